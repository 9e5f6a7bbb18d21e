"""The overgeneralisation explorer: picture, scores, leakage and curves follow the defect."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from mrkd_edu.leakage import leakage
from mrkd_edu.model import MRKD
from mrkd_edu.toy import CATEGORIES, render_pair
from mrkd_edu.widgets.explorers import strength as strength_explorer
from mrkd_edu.widgets.explorers.strength import (
    COARSE_TO_FINE,
    STRENGTHS,
    Growth,
    OvergeneralisationExplorer,
    explore_overgeneralisation,
    render_overgeneralisation,
)
from mrkd_edu.widgets.frame.chart import Axis, Curve, chart
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.judgement import see_once

pytestmark = pytest.mark.usefixtures("nothing_remembered")

SIZE = 64
FEW = (0.5, 1.0, 0.0, 0.25, 0.75)  # points of the curves; the real ones are many


@pytest.fixture(scope="module")
def models() -> dict[str, MRKD]:
    made = {v: MRKD(variant=v, size=SIZE, pretrained=False, width=16, seed=i) for i, v in enumerate(("rd", "mrkd"))}
    for model in made.values():
        model.settings.threshold = 4.0
    return made


@pytest.fixture
def explorer(
    models: dict[str, MRKD], monkeypatch: pytest.MonkeyPatch
) -> Iterator[OvergeneralisationExplorer]:
    monkeypatch.setattr(strength_explorer, "REST", 0.01)
    monkeypatch.setattr(strength_explorer, "COARSE_TO_FINE", FEW)
    explorer = explore_overgeneralisation(models, "surface")
    assert explorer.wait()
    yield explorer


def batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


# ---- the picture -------------------------------------------------------------------------------------------


def test_values_are_those_of_the_library(models: dict[str, MRKD]) -> None:
    pair = render_pair("surface", "hole", 0.8, size=SIZE, seed=3)
    view = render_overgeneralisation(models, "surface", "hole", 0.8, seed=3, strengths=())
    for name, model in models.items():
        score = model.predict(pair.defective).score[0] / 4.0
        assert view.values[f"{name}_score"] == pytest.approx(score, rel=1e-3)
        images = batch(pair.normal), batch(pair.defective)
        leaks = leakage(model.features, [(*images, torch.from_numpy(pair.mask)[None])])
        assert view.values[f"{name}_leakage"] == pytest.approx(float(np.mean(leaks)), rel=1e-3)
    assert view.image.dtype == np.uint8 and view.image.shape[1] < 1150
    assert "Hole of strength 0.80" in view.says


def test_a_teacher_that_models_share_looks_once() -> None:
    made = {v: MRKD(variant=v, size=SIZE, width=16, seed=i) for i, v in enumerate(("rd", "ilm"))}  # real weights
    image = batch(render_pair("surface", "hole", 0.8, size=SIZE).defective)
    looks = []
    for model in made.values():
        model.teacher.register_forward_hook(lambda *_: looks.append(1))
    seen = see_once(made, image)
    assert len(looks) == 1
    with torch.no_grad():
        for name, model in made.items():
            assert np.allclose(model.compare(seen[name], model.restore(seen[name])), model(image), atol=1e-6)


def test_other_teachers_look_for_themselves(models: dict[str, MRKD]) -> None:
    other = MRKD(variant="rd", size=SIZE, width=16)  # real weights; those of `models` are random
    image = batch(render_pair("surface", "hole", 0.8, size=SIZE).defective)
    seen = see_once({"random": models["rd"], "real": other}, image)
    assert not torch.allclose(seen["random"][0], seen["real"][0])


def test_without_a_defect_there_is_nothing_to_copy(models: dict[str, MRKD]) -> None:
    view = render_overgeneralisation(models, "surface", "hole", 0, strengths=())
    assert set(view.values) == {"rd_score", "mrkd_score"}
    assert view.says.startswith("The normal product") and "copies" not in view.says


def test_every_category_and_kind_can_be_shown(models: dict[str, MRKD]) -> None:
    for category in CATEGORIES:
        kind = list(CATEGORIES[category].defects)[-1]
        assert render_overgeneralisation(models, category, kind, 1, strengths=()).values["rd_leakage"]


def test_curves_are_filled_from_coarse_to_fine() -> None:
    assert sorted(COARSE_TO_FINE) == list(STRENGTHS)
    assert sorted(COARSE_TO_FINE[:3]) == [0, 0.5, 1]


def test_a_curve_goes_through_its_points() -> None:
    red = (255, 0, 0)
    picture = chart("", Axis(0, 1), Axis(0, 1), [Curve([0, 0.5, 1], [0.5, np.nan, 0.5], red)], width=200, now=1)
    rows, columns = np.where((picture == red).all(axis=2))
    assert set(columns) & set(range(60, 160)) == set()  # a gap on both sides of what is not a number
    assert columns.max() > 170 and np.median(rows) == pytest.approx(24 + 8 + (200 - 8 - 48) / 2, abs=2)


# ---- the controls ------------------------------------------------------------------------------------------


def test_scores_and_leakage_follow_the_slider(explorer: OvergeneralisationExplorer, models: dict[str, MRKD]) -> None:
    explorer.set(kind="hole", strength=0.75)
    assert explorer.wait() and explorer.view is not None
    assert explorer.problem.value == ""
    expected = render_overgeneralisation(models, "surface", "hole", 0.75, strengths=FEW)
    assert explorer.view.values == pytest.approx(expected.values, rel=1e-3)
    assert np.array_equal(explorer.view.image, expected.image)  # curves and all
    explorer.controls["strength"].value = 0
    assert explorer.wait()
    assert "rd_leakage" not in explorer.view.values


def test_a_strength_is_worked_out_once(
    explorer: OvergeneralisationExplorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("worked out twice")

    monkeypatch.setattr(Growth, "_judge", refuse)
    for strength in FEW:
        explorer.controls["strength"].value = strength
        assert explorer.wait()
    assert explorer.problem.value == ""
    explorer.controls["seed"].value = 7
    assert explorer.wait()
    assert "worked out twice" in explorer.problem.value


def test_filling_stops_for_another_product(explorer: OvergeneralisationExplorer) -> None:
    explorer.controls["seed"].value = 1
    Explorer.wait(explorer)
    left = explorer._current
    explorer.controls["seed"].value = 2
    assert explorer.wait()
    assert left is not None and len(left.known) < len(FEW)
    assert explorer._current is not None and len(explorer._current.known) == len(FEW)


def test_reset_and_memory(explorer: OvergeneralisationExplorer, models: dict[str, MRKD]) -> None:
    explorer.set(kind="crack", seed=5, strength=0.3)
    again = explore_overgeneralisation(models, "surface")
    assert again.state == {"kind": "crack", "seed": 5, "strength": 0.3}
    again.reset()
    assert again.state == {"kind": next(iter(CATEGORIES["surface"].defects)), "seed": 0, "strength": 0.5}
    assert again.wait() and explorer.wait()


def test_what_was_remembered_of_another_category_is_let_go(
    explorer: OvergeneralisationExplorer, models: dict[str, MRKD]
) -> None:
    explorer.set(kind="crack", strength=0.3)
    other = explore_overgeneralisation(models, "metal")
    assert other.state["kind"] in CATEGORIES["metal"].defects
    assert other.wait() and other.problem.value == "" and explorer.wait()


def test_bad_input_is_refused(models: dict[str, MRKD]) -> None:
    with pytest.raises(ValueError, match="models of one size; got sizes"):
        explore_overgeneralisation({}, "surface")
    with pytest.raises(ValueError, match="no category 'paper'"):
        explore_overgeneralisation(models, "paper")
    with pytest.raises(ValueError, match="fresh has no threshold yet"):
        explore_overgeneralisation({"fresh": MRKD(variant="rd", size=SIZE, pretrained=False, width=16)}, "surface")
    other = MRKD(variant="rd", size=SIZE, pretrained=False, width=16)
    other.settings.threshold, other.settings.history = 1.0, {"category": "metal"}
    with pytest.raises(ValueError, match="rd was trained on metal, not on surface"):
        explore_overgeneralisation({"rd": other}, "surface")
    with pytest.raises(ValueError, match="no defect 'rust'"):
        Growth(models, "surface", "rust")
