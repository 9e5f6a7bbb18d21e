"""The toy factory's fabric: what its weave promises beyond the rules for every category."""

from __future__ import annotations

import numpy as np
import pytest

from mrkd_edu.toy import CATEGORIES, render_pair
from mrkd_edu.toy.fabric import build
from mrkd_edu.toy.weave import interlace


def test_the_same_weave_gives_the_same_cloth() -> None:
    cloth = build(np.random.default_rng(0), 256)
    again, over = interlace(cloth.weave)
    assert np.array_equal(again.height, cloth.layers[1].height) and np.array_equal(over, cloth.over)


def test_warp_and_weft_are_seen_about_equally_often() -> None:
    cloth = build(np.random.default_rng(1), 256)
    assert 0.35 < cloth.over.mean() < 0.65
    assert cloth.layers[1].cover.mean() > 0.95  # pores are small


def test_the_board_shows_through_a_hole() -> None:
    cloth = build(np.random.default_rng(2), 256)
    torn, region = CATEGORIES["fabric"].defects["hole"](cloth, 1.0, np.random.default_rng(3))
    assert (torn.layers[1].cover[region] < 0.05).mean() > 0.2
    pair = render_pair("fabric", "hole", 1.0, size=128, seed=0)
    assert pair.defective[pair.mask].min(axis=1).mean() < 0.8 * pair.normal[pair.mask].min(axis=1).mean()


@pytest.mark.parametrize("kind", CATEGORIES["fabric"].defects)
def test_defects_need_a_cloth_and_leave_it_alone(kind: str) -> None:
    defect = CATEGORIES["fabric"].defects[kind]
    cloth = build(np.random.default_rng(0), 64)
    before = [cloth.layers[1].height.copy(), cloth.weave.weft.half.copy(), cloth.weave.u.copy()]
    defect(cloth, 1.0, np.random.default_rng(1))
    after = [cloth.layers[1].height, cloth.weave.weft.half, cloth.weave.u]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    with pytest.raises(TypeError, match="woven cloth"):
        defect(CATEGORIES["metal"].build(np.random.default_rng(0), 64), 1.0, np.random.default_rng(1))
