"""Leakage: one for a student that copies, zero for one that restores, and what lies between and beyond."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mrkd_edu.leakage import LeakageUndefined, leakage, leakage_sums, mask_at_scale

SIZES = ((4, 16), (6, 8), (8, 4))  # channels and side of three scales
Maps = list[Tensor]


def features(images: Tensor) -> Maps:
    """A stand-in for a teacher: fixed random projections of the pooled image, (B, C_k, h_k, w_k)."""
    maps = []
    for channels, side in SIZES:
        weight = torch.randn(channels, 3, 1, 1, generator=torch.Generator().manual_seed(channels))
        maps.append(F.conv2d(F.adaptive_avg_pool2d(images, side), weight) + 0.1)
    return maps


def pair(batch: int = 2, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Normal images, the same with a defect in rows and columns 8 to 24, and its mask."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.rand(batch, 3, 32, 32, generator=generator)
    mask = torch.zeros(batch, 32, 32, dtype=torch.bool)
    mask[:, 8:24, 8:24] = True
    defect = torch.rand(batch, 3, 32, 32, generator=generator)
    return normal, torch.where(mask[:, None], defect, normal), mask


def unit(maps: Maps) -> Maps:
    return [F.normalize(m, dim=1) for m in maps]


def test_copying_student_leaks_everything() -> None:
    assert leakage(lambda x: (features(x), features(x)), [pair()]) == pytest.approx([1, 1, 1])


def test_restoring_student_leaks_nothing() -> None:
    """Its output is that of the normal image, whatever it is shown. It need not even be a good one."""
    normal, _, _ = pair()
    for output in (features(normal), features(torch.rand(2, 3, 32, 32))):
        assert leakage(lambda x, output=output: (features(x), output), [pair()]) == [0, 0, 0]


def test_who_copies_leaks_1_however_badly_it_knows_the_normal_image() -> None:
    """The earlier definition, sum <s, d> / sum <d, d>, gave less than 1 to a student that copies defects only."""
    _, defective, _ = pair()
    answers = {True: features(defective), False: features(torch.rand(2, 3, 32, 32))}

    def student(x: Tensor) -> tuple[Maps, Maps]:
        return features(x), answers[torch.equal(x, defective)]

    assert leakage(student, [pair()]) == pytest.approx([1, 1, 1])


def test_going_across_is_not_leakage() -> None:
    """A change of the student at right angles to the way from its normal answer to the copy."""
    t, t_defect = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    s, s_defect = torch.tensor([0.6, 0.8, 0]), torch.tensor([-0.6, 0.8, 0])  # r = (-0.6, 0.2, 0), s = (-1.2, 0, 0)
    maps = [[v.view(1, 3, 1, 1)] for v in (t, s, t_defect, s_defect)]
    sums = leakage_sums((maps[0], maps[1]), (maps[2], maps[3]), torch.ones(1, 4, 4, dtype=torch.bool))
    torch.testing.assert_close(sums, torch.tensor([[0.72], [0.4]]))  # <s, r>, <r, r>, worked out by hand
    across = torch.tensor([0.6, 0.8, 0]) + torch.tensor([0, 0, 1.0])  # not of unit length, so that only z changes
    leaks = leakage_sums((maps[0], maps[1]), (maps[2], [across.view(1, 3, 1, 1)]), torch.ones(1, 1, 1) > 0)
    assert leaks[0] < 0.5 * leaks[1]


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 76.0, 1e30])
def test_the_students_length_does_not_count(factor: float) -> None:
    torch.manual_seed(1)
    mixing = [torch.randn(c, c, 1, 1) for c, _ in SIZES]

    def student(x: Tensor, factor: float = 1.0) -> tuple[Maps, Maps]:
        t = features(x)
        return t, [factor * F.conv2d(m, w) for m, w in zip(t, mixing, strict=True)]

    assert leakage(lambda x: student(x, factor), [pair()]) == pytest.approx(leakage(student, [pair()]), rel=1e-4)


def test_half_way() -> None:
    """Unit vectors at 0 and 90 degrees for the teacher, 0 and 60 for the student, worked out by hand:
    r = (-1, 1), s = (cos 60 - 1, sin 60) = (-0.5, 0.866), <s, r> / <r, r> = 1.366 / 2."""
    zero, ninety, sixty = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.75**0.5]]).view(3, 1, 2, 1, 1)

    def half(x: Tensor) -> tuple[Maps, Maps]:
        return ([ninety], [sixty]) if x.any() else ([zero], [zero])

    mask = torch.ones(1, 2, 2, dtype=torch.bool)
    found = leakage(half, [(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2), mask)])
    assert found == pytest.approx([(0.5 + 0.75**0.5) / 2])


def test_share_of_positions_that_copy() -> None:
    """A student that copies in some images and restores in others leaks by their weight, not one per image."""
    normal, defective, mask = pair(2)
    normal_maps, defect_maps = unit(features(normal)), unit(features(defective))
    mixed = [torch.stack([d[0], n[1]]) for n, d in zip(normal_maps, defect_maps, strict=True)]

    def student(x: Tensor) -> tuple[Maps, Maps]:
        return features(x), (mixed if torch.equal(x, defective) else normal_maps)

    wanted = []
    for (_, side), n, d in zip(SIZES, normal_maps, defect_maps, strict=True):
        change = (d - n).square().sum(1) * mask_at_scale(mask, (side, side))  # (B, h, w)
        wanted.append((change[0].sum() / change.sum()).item())
    assert leakage(student, [(normal, defective, mask)]) == pytest.approx(wanted)


def test_length_of_features_does_not_matter() -> None:
    def scaled(x: Tensor) -> tuple[Maps, Maps]:
        return [3 * t for t in features(x)], [0.01 * t for t in features(x)]

    assert leakage(scaled, [pair()]) == pytest.approx([1, 1, 1])


def test_only_the_mask_counts() -> None:
    """The student copies inside the mask and does anything outside of it."""
    normal, defective, mask = pair()

    def wild(x: Tensor) -> tuple[Maps, Maps]:
        t = features(x)
        inside = [mask_at_scale(mask, (m.shape[2], m.shape[3]))[:, None] for m in t]
        noise = [torch.randn(m.shape) for m in t]
        return t, [torch.where(i, m, n) for i, m, n in zip(inside, t, noise, strict=True)]

    assert leakage(wild, [(normal, defective, mask)]) == pytest.approx([1, 1, 1])


def test_scales_are_measured_apart() -> None:
    normal_maps = features(pair()[0])

    def student(x: Tensor) -> tuple[Maps, Maps]:
        t = features(x)
        return t, [t[0], normal_maps[1], [2 * n - m for n, m in zip(normal_maps, t, strict=True)][2]]

    copied, restored, opposite = leakage(student, [pair()])
    assert copied == pytest.approx(1)
    assert restored == 0
    assert opposite < 0  # moves away from the defect


def test_batches_add_up() -> None:
    """Many batches give what one large batch gives: sums are added before the division."""
    torch.manual_seed(0)
    mixing = [torch.randn(c, c, 1, 1) for c, _ in SIZES]

    def student(x: Tensor) -> tuple[Maps, Maps]:
        t = features(x)
        return t, [F.conv2d(m, w) for m, w in zip(t, mixing, strict=True)]

    normal, defective, mask = pair(6)
    parts = [(normal[i], defective[i], mask[i]) for i in (slice(0, 1), slice(1, 4), slice(4, 6))]
    assert leakage(student, parts) == pytest.approx(leakage(student, [(normal, defective, mask)]), rel=1e-5)


def test_nothing_to_measure() -> None:
    both = lambda x: (features(x), features(x))  # noqa: E731
    normal, defective, mask = pair()
    with pytest.raises(LeakageUndefined, match="at least one pair"):
        leakage(both, [])
    with pytest.raises(LeakageUndefined, match="changes the teacher's features"):
        leakage(both, [(normal, normal, mask)])
    with pytest.raises(LeakageUndefined):
        leakage(both, [(normal, defective, torch.zeros_like(mask))])


@pytest.mark.parametrize("size", [(32, 32), (8, 8), (4, 16), (1, 1)])
def test_mask_keeps_every_touched_cell(size: tuple[int, int]) -> None:
    mask = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) < 0.01
    cells = mask.view(3, size[0], 32 // size[0], size[1], 32 // size[1]).any(4).any(2)
    assert torch.equal(mask_at_scale(mask, size), cells)
