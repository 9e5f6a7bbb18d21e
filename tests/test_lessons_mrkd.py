"""Pictures of a study: titles say what the numbers say, every seed is there, and the paper is kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from mrkd_edu.figures.style import MINUS
from mrkd_edu.lessons import statistics
from mrkd_edu.lessons.pictures import mrkd as draw_mrkd
from mrkd_edu.lessons.pictures import reproduce as draw_reproduce
from mrkd_edu.study.published import published
from mrkd_edu.study.results import Row

FOUND = {
    "image_auroc": {"rd": [0.80, 0.82], "ilm": [0.81, 0.83], "mrkd": [0.81, 0.85]},
    "leakage": {"rd": [0.06, 0.05], "ilm": [0.02, 0.03], "mrkd": [0.01, 0.01]},
}


def row(category: str, variant: str, seed: int, value: float, **changes: str) -> Row:
    usual = {"backbone": "wide_resnet50_2", "size": "256", "steps": "2400", "image_auroc": str(value)}
    return {"category": category, "variant": variant, "seed": str(seed), **usual, **changes}


def title(ax: object) -> str:
    return " ".join(ax.get_title(loc="left").split())  # type: ignore[attr-defined]


def test_beyond_the_spread_means_one_sign_and_a_mean_larger_than_the_range() -> None:
    assert statistics.beyond_spread([-0.02, -0.03, -0.025])
    assert not statistics.beyond_spread([0.01, 0.05])  # one sign, but the seeds differ more than the effect
    assert not statistics.beyond_spread([-0.01, 0.0])
    assert not statistics.beyond_spread([0.5])


def test_the_ablation_shows_every_seed_and_ranks_by_the_means() -> None:
    figure = draw_mrkd.ablation(FOUND)
    auroc, leakage = figure.axes
    assert title(auroc) == "image AUROC: mrkd best (0.830), rd last (0.810); their seeds overlap"
    assert title(leakage) == "leakage: mrkd best (0.010), rd last (0.055); their seeds lie apart"
    drawn = np.concatenate([c.get_offsets() for c in auroc.collections if len(np.shape(c.get_offsets())) == 2])
    values = {round(float(y), 6) for _, y in drawn if np.isfinite(y)}
    assert {v for values_of in FOUND["image_auroc"].values() for v in values_of} <= values
    assert auroc.get_ylim()[0] > 0.75  # no axis from zero that hides the differences


def test_effects_are_in_points_and_only_clear_ones_are_named() -> None:
    found = {"leakage": {"ILM": [-0.03, -0.04], "FLM": [-0.01, 0.01]}, "aupro": {"ILM": [0.01, 0.0]}}
    leakage, aupro = draw_mrkd.effects_by_measure(found).axes
    assert title(leakage) == f"leakage: beyond the spread of seeds: ILM ({MINUS}3.5)"
    assert title(aupro) == "AUPRO: nothing beyond the spread of seeds"
    assert leakage.get_xlim()[0] < -3.9  # points, not shares


def test_gains_are_the_papers_and_ours_apart() -> None:
    figure = draw_mrkd.gains({"image_auroc": [0.01, 0.02], "aupro": [-0.01, -0.01]}, "toy")
    auroc, aupro = figure.axes
    assert title(auroc) == "image AUROC paper: mean +0.5, median 0.0 here: mean +1.5"
    assert title(aupro).endswith(f"here: mean {MINUS}1.0")
    assert "transistor" in [text.get_text() for text in aupro.texts]  # the category that makes the paper's mean


def test_a_toy_beside_the_paper_says_that_it_is_no_reproduction() -> None:
    small = {"backbone": "efficientnet_lite0", "size": "192", "steps": "240"}
    rows = [row("surface", v, s, x + s / 100, **small) for v, x in (("rd", 0.8), ("mrkd", 0.85)) for s in (0, 1)]
    paper, here = draw_reproduce.beside_paper(rows).axes
    assert title(paper).endswith("MRKD above RD4AD in 7 of 15 categories, below in 4, equal in 4")
    assert title(here) == (
        "HERE (other data, other teacher, 192 pixels, 240 steps): no reproduction "
        "mrkd \N{MINUS SIGN} rd: +5.0 points, beyond the spread of seeds"
    )
    assert paper.get_facecolor() != here.get_facecolor()
    assert not here.texts  # nothing of this category stands in the paper


def test_a_real_reproduction_shows_its_difference_from_the_paper() -> None:
    table = published("image_auroc")
    rows = [row(c, v, 0, table[c][v] - 0.01) for c in ("cable", "zipper") for v in ("rd", "mrkd")]
    _, here = draw_reproduce.beside_paper(rows).axes
    assert title(here) == "HERE: the paper's data, teacher and size mrkd above rd in 1 of 2 categories"
    assert [text.get_text() for text in here.texts][1:] == [f"{MINUS}1.0, {MINUS}1.0"] * 2


def test_a_workshop_training_of_the_papers_teacher_is_no_reproduction() -> None:
    assert draw_reproduce.differs_from_paper([row("cable", "rd", 0, 0.9, steps="240")]) == "240 steps"
    assert draw_reproduce.differs_from_paper([row("cable", "rd", 0, 0.9), row("cable", "nn", 0, 0.9, steps="0")]) == ""


def test_nothing_to_draw_is_said() -> None:
    for draw in (draw_mrkd.ablation, draw_mrkd.effects_by_measure):
        with pytest.raises(ValueError, match="to draw"):
            draw({})
    with pytest.raises(ValueError, match="to draw"):
        draw_mrkd.gains({}, "toy")
    with pytest.raises(ValueError, match="leakage"):
        draw_mrkd.gains({"leakage": [0.1]}, "toy")
    with pytest.raises(ValueError, match="nothing to set beside"):
        draw_reproduce.beside_paper([row("cable", "nn", 0, 0.9)])
