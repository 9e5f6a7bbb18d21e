"""Distance: loss, anomaly map and score against the formulae, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from mrkd_edu.distance import anomaly_map, cosine_distance, distillation_loss, gaussian_blur, image_score

SHAPES = [(2, 6, 16, 12), (2, 10, 8, 6), (2, 14, 4, 3)]


def pyramid(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


@pytest.fixture
def teacher() -> list[Tensor]:
    return pyramid(0)


@pytest.fixture
def student() -> list[Tensor]:
    return pyramid(1)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


# --- distance and loss --------------------------------------------------------------------------------------


def test_distance_is_one_minus_cosine_at_every_position(teacher: list[Tensor], student: list[Tensor]) -> None:
    for t, s in zip(teacher, student, strict=True):
        found = cosine_distance(t, s)
        assert found.shape == (t.shape[0], *t.shape[2:])
        for b, i, j in np.ndindex(found.shape):
            wanted = 1 - cosine(t[b, :, i, j].double().numpy(), s[b, :, i, j].double().numpy())
            assert found[b, i, j].item() == pytest.approx(wanted, abs=1e-6)


def test_the_floor_damps_short_vectors_and_leaves_long_ones(teacher: list[Tensor], student: list[Tensor]) -> None:
    t, s = teacher[0], student[0]
    plain = cosine_distance(t, s)
    torch.testing.assert_close(cosine_distance(t, s, floor=1e-9), plain)
    torch.testing.assert_close(cosine_distance(1000 * t, 1000 * s, floor=0.3), plain, rtol=1e-3, atol=1e-3)
    assert cosine_distance(t / 1000, s / 1000, floor=0.3).max() < 1e-3 * plain.max()


def test_distance_ignores_length_and_knows_its_ends(teacher: list[Tensor]) -> None:
    t = teacher[0]
    torch.testing.assert_close(cosine_distance(t, 7 * t), torch.zeros(2, 16, 12), atol=1e-6, rtol=0)
    torch.testing.assert_close(cosine_distance(t, -t), torch.full((2, 16, 12), 2.0))
    assert torch.equal(cosine_distance(t, torch.zeros_like(t)), torch.ones(2, 16, 12))  # no direction: halfway


def test_flattened_loss(teacher: list[Tensor], student: list[Tensor]) -> None:
    wanted = 0.0
    for t, s in zip(teacher, student, strict=True):
        wanted += np.mean([1 - cosine(a.ravel(), b.ravel()) for a, b in zip(t.numpy(), s.numpy(), strict=True)])
    assert distillation_loss(teacher, student).item() == pytest.approx(wanted, abs=1e-6)


def test_per_pixel_loss(teacher: list[Tensor], student: list[Tensor]) -> None:
    wanted = sum(float(cosine_distance(t, s).mean()) for t, s in zip(teacher, student, strict=True))
    assert distillation_loss(teacher, student, "per_pixel").item() == pytest.approx(wanted, abs=1e-6)


def test_flattened_weighs_positions_by_length_and_per_pixel_does_not() -> None:
    """Two positions. The student is right at the first and orthogonal at the second; then lengths change."""
    t = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).T.view(1, 2, 1, 2)
    s = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).T.view(1, 2, 1, 2)
    length = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
    assert distillation_loss([t], [s]).item() == pytest.approx(1 - 1 / 2)
    assert distillation_loss([t], [s], "per_pixel").item() == pytest.approx(1 / 2)
    assert distillation_loss([length * t], [length * s]).item() == pytest.approx(1 - 1 / 10)
    assert distillation_loss([length * t], [length * s], "per_pixel").item() == pytest.approx(1 / 2)


def test_images_of_a_batch_do_not_mix(teacher: list[Tensor], student: list[Tensor]) -> None:
    single = [distillation_loss([t[i : i + 1] for t in teacher], [s[i : i + 1] for s in student]) for i in (0, 1)]
    torch.testing.assert_close(distillation_loss(teacher, student), torch.stack(single).mean())


@pytest.mark.parametrize("form", ["flattened", "per_pixel"])
def test_loss_pulls_the_student_only(form: str, teacher: list[Tensor], student: list[Tensor]) -> None:
    for s in student:
        s.requires_grad_()
    loss = distillation_loss(teacher, student, form)  # type: ignore[arg-type]
    loss.backward()
    moved = [s.detach() - 0.1 * s.grad for s in student if s.grad is not None]
    assert distillation_loss(teacher, moved, form) < loss  # type: ignore[arg-type]


def test_half_precision_is_compared_in_full(teacher: list[Tensor]) -> None:
    half = [t.bfloat16() for t in teacher]
    loss = distillation_loss(half, half)
    assert loss.dtype == torch.float32 and abs(loss.item()) < 1e-5
    assert anomaly_map(half, half, (16, 12)).dtype == torch.float32


def test_different_numbers_of_scales_are_refused(teacher: list[Tensor], student: list[Tensor]) -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        distillation_loss(teacher, student[:2])


# --- smoothing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5, 4.0])
@pytest.mark.parametrize("shape", [(64, 48), (9, 30), (5, 2), (1, 7), (1, 1)])
def test_blur_is_scipys(sigma: float, shape: tuple[int, int], rng: np.random.Generator) -> None:
    maps = rng.random((3, *shape), np.float32)
    radius = max(1, int(np.ceil(4 * sigma)))
    wanted = [ndimage.gaussian_filter(m, sigma, mode="mirror", radius=radius) for m in maps]
    np.testing.assert_allclose(gaussian_blur(torch.from_numpy(maps), sigma), wanted, atol=1e-5)


@pytest.mark.parametrize("sigma", [1.0, 4.0])  # where 4 sigma is whole, scipy's own rule gives the same kernel
def test_blur_ends_where_scipys_does(sigma: float, rng: np.random.Generator) -> None:
    maps = rng.random((1, 64, 64), np.float32)
    wanted = ndimage.gaussian_filter(maps[0], sigma, mode="mirror")
    np.testing.assert_allclose(gaussian_blur(torch.from_numpy(maps), sigma)[0], wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(32, 32), (3, 40), (1, 1)])
def test_blur_keeps_a_constant_map(shape: tuple[int, int]) -> None:
    maps = torch.full((2, *shape), 0.7)
    torch.testing.assert_close(gaussian_blur(maps, 4.0), maps)


def test_blur_of_a_view_and_of_doubles(rng: np.random.Generator) -> None:
    maps = torch.from_numpy(rng.random((20, 30, 2))).permute(2, 0, 1)  # float64, not contiguous
    assert not maps.is_contiguous()
    blurred = gaussian_blur(maps, 2.0)
    assert blurred.dtype == torch.float64
    torch.testing.assert_close(blurred, gaussian_blur(maps.contiguous(), 2.0))


# --- anomaly map and score ----------------------------------------------------------------------------------


def upsample(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear with half-pixel centres, the edge continued."""
    rows, columns = (
        np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        for new, old in zip(size, values.shape, strict=True)
    )
    return ndimage.map_coordinates(values, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")


@pytest.mark.parametrize("weights", [None, (0.5, 0.0, 2.0)])
@pytest.mark.parametrize("floor", [0.0, 0.3])
@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_anomaly_map(
    weights: tuple[float, ...] | None, floor: float, sigma: float, teacher: list[Tensor], student: list[Tensor]
) -> None:
    size = (64, 48)
    found = anomaly_map(teacher, student, size, weights=weights, floor=floor, sigma=sigma)
    assert found.shape == (2, *size)
    for b in range(2):
        scales = [
            w * upsample(cosine_distance(t, s, floor)[b].double().numpy(), size)
            for w, t, s in zip(weights or (1, 1, 1), teacher, student, strict=True)
        ]
        wanted = np.sum(scales, axis=0)
        if sigma:
            wanted = ndimage.gaussian_filter(wanted, sigma, mode="mirror")
        np.testing.assert_allclose(found[b], wanted, atol=1e-5)


def test_map_is_high_where_the_student_differs(teacher: list[Tensor]) -> None:
    student = [t.clone() for t in teacher]
    for s in student:
        h, w = s.shape[2:]
        s[:, :, : h // 2, : w // 3] *= -1  # top left
    maps = anomaly_map(teacher, student, (96, 72), sigma=2)
    assert maps[:, :36, :16].min() > maps[:, 72:, 48:].max() + 1


def test_score_is_the_maximum_of_each_map(rng: np.random.Generator) -> None:
    maps = rng.random((5, 8, 6), np.float32)
    assert image_score(torch.from_numpy(maps)).tolist() == maps.max(axis=(1, 2)).tolist()
    assert image_score(torch.from_numpy(maps).transpose(1, 2)).tolist() == maps.max(axis=(1, 2)).tolist()
