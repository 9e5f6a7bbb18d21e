"""The category `tray`: its defects rearrange a list of parts and touch nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mrkd_edu.toy import CATEGORIES
from mrkd_edu.toy.tray import LEVERS, SLACK, Tray, build, extra, missing, swapped, turned

STRENGTHS = (0.02, 0.15, 0.4, 0.7, 1.0)


def tray(seed: int = 0, n: int = 96) -> Tray:
    return build(np.random.default_rng(seed), n)


def broken(kind: str, strength: float, seed: int) -> tuple[Tray, np.ndarray]:
    scene, region = CATEGORIES["tray"].defects[kind](tray(), strength, np.random.default_rng(seed))
    assert isinstance(scene, Tray)
    return scene, region


@pytest.mark.parametrize("kind", ["extra", "missing", "swapped"])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_wrong_at_a_weak_strength_is_wrong_at_a_strong_one(kind: str, seed: int) -> None:
    normal = set(tray().parts)
    before: set = set()
    for strength in STRENGTHS:
        parts = set(broken(kind, strength, seed)[0].parts)
        wrong = parts ^ normal
        assert wrong and before <= wrong
        before = wrong


@pytest.mark.parametrize("seed", range(6))
def test_strength_is_a_number_of_parts(seed: int) -> None:
    full = len(tray().parts)
    gone = [full - len(broken("missing", s, seed)[0].parts) for s in STRENGTHS]
    assert gone[0] == gone[1] == 1 and gone == sorted(gone) and gone[-1] in (3, 4, 9)
    added = [len(broken("extra", s, seed)[0].parts) - full for s in STRENGTHS]
    assert added == [1, 1, 2, 4, 5]
    assert len(broken("swapped", 1.0, seed)[0].parts) == full


@pytest.mark.parametrize("seed", range(6))
def test_swapped_exchanges_whole_nests_in_the_end(seed: int) -> None:
    def kinds(scene: Tray) -> dict[int, list[str]]:
        return {nest: [part.make for part in scene.parts if part.nest == nest] for nest in range(9)}

    before, after = kinds(tray()), kinds(broken("swapped", 1.0, seed)[0])
    a, b = (nest for nest in range(9) if before[nest] != after[nest])
    assert before[a] == after[b] and before[b] == after[a]


@pytest.mark.parametrize("seed", range(8))
def test_a_turned_lever_lies_beyond_the_play_and_a_normal_one_within(seed: int) -> None:
    def off(scene: Tray) -> np.ndarray:
        angles = {part.nest: part.angle for part in scene.parts if part.make == "lever"}
        return np.array([math.degrees(angles[nest] - scene.pose.angle) - usual for nest, usual in LEVERS.items()])

    assert (abs(off(tray(seed))) <= SLACK).all()
    for strength in (0.15, 1.0):
        assert (abs(off(broken("turned", strength, seed)[0])) > SLACK).sum() == 1


@pytest.mark.parametrize("kind", CATEGORIES["tray"].defects)
def test_a_defect_leaves_everything_else_as_it_was_to_the_last_bit(kind: str) -> None:
    before = tray()
    after, region = broken(kind, 0.5, 1)
    assert np.array_equal(before.layers[0].light[~region], after.layers[0].light[~region])
    shown = ~region & (before.layers[1].cover > 0)
    assert np.array_equal(before.layers[1].height[shown], after.layers[1].height[shown])
    assert np.array_equal(before.layers[1].cover[~region], after.layers[1].cover[~region])
    assert np.array_equal(before.layers[0].height, after.layers[0].height)


@pytest.mark.parametrize("defect", [extra, missing, swapped, turned])
def test_only_a_tray_can_be_rearranged(defect) -> None:  # type: ignore[no-untyped-def]
    nut = CATEGORIES["metal"].build(np.random.default_rng(0), 64)
    with pytest.raises(TypeError, match="parts of a tray"):
        defect(nut, 1.0, np.random.default_rng(0))
