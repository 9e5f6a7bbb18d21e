"""The threshold explorer: every number is that of scikit-learn and of the project's own metrics, at every threshold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.metrics import auc, confusion_matrix, f1_score, precision_score, recall_score

from mrkd_edu.data.layouts import Sample
from mrkd_edu.metrics import aupro, image_auroc, pro_curve
from mrkd_edu.study.evaluate import Evaluation
from mrkd_edu.widgets.explorers.threshold import CALLED, explore_threshold, render_threshold
from mrkd_edu.widgets.explorers.verdicts import Judge, Verdicts
from mrkd_edu.widgets.frame.chart import Axis, Curve, chart
from mrkd_edu.widgets.frame.explorer import Explorer

pytestmark = pytest.mark.usefixtures("nothing_remembered")

SIZE, NORMAL, DEFECTIVE = 32, 5, 7
MULTIPLES = np.round(np.arange(0, 2.01, 0.05), 2)


def evaluation(folder: Path, variant: str = "rd", seed: int = 0) -> Evaluation:
    """Maps in steps of 1/16, so that scores tie with each other and with the line."""
    rng, n = np.random.default_rng(seed), NORMAL + DEFECTIVE
    masks = np.zeros((n, SIZE, SIZE), bool)
    for i in range(NORMAL, n):
        masks[i, 2 : 2 + i, 4:9] = masks[i, 20:23, 15 : 15 + i] = True  # two defects
    maps = rng.integers(0, 12, masks.shape) / 16 + masks * rng.integers(0, 12, (n, 1, 1)) / 16
    maps[NORMAL] = 0  # one that no threshold finds
    maps[:NORMAL] *= rng.integers(4, 17, (NORMAL, 1, 1)) / 16
    maps = np.maximum(np.rint(16 * maps) / 16, 0).astype(np.float32)
    kinds = ["good"] * NORMAL + ["hole"] * DEFECTIVE
    samples = [Sample(folder / f"{i}.png", int(kind != "good"), kind, None) for i, kind in enumerate(kinds)]
    scores = maps.max(axis=(1, 2))
    metrics = {"image_auroc": image_auroc(scores, [s.label for s in samples]), "aupro": aupro(maps, masks)}
    said: dict[str, Any] = {"score": scores, "anomaly_map": maps, "threshold": 0.625}
    return Evaluation(**said, category="toy", variant=variant, samples=samples, masks=masks, metrics=metrics)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("threshold")
    for i in range(NORMAL + DEFECTIVE):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((SIZE, SIZE, 3), 10 * i, np.uint8))
    return folder


@pytest.fixture(scope="module")
def one(folder: Path) -> Evaluation:
    return evaluation(folder)


@pytest.fixture(scope="module")
def judge(one: Evaluation) -> Judge:
    return Judge(one)


@pytest.fixture
def explorer(folder: Path, one: Evaluation) -> Iterator[Explorer]:
    explorer = explore_threshold([one, evaluation(folder, "mrkd", seed=1)])
    assert explorer.wait()
    yield explorer


# ---- the numbers -------------------------------------------------------------------------------------------


def test_images_are_judged_as_by_scikit_learn(judge: Judge) -> None:
    labels, scores = judge.labels, judge.evaluation.score
    for multiple in MULTIPLES:
        called, verdicts = scores > judge.line(multiple), judge.at(multiple)
        matrix = [[verdicts.passed, verdicts.false_alarms], [verdicts.missed, verdicts.found]]
        assert confusion_matrix(labels, called).tolist() == matrix
        assert verdicts.recall == recall_score(labels, called)
        assert verdicts.f1 == pytest.approx(f1_score(labels, called, zero_division=0))
        expected = precision_score(labels, called, zero_division=np.nan)
        assert verdicts.precision == pytest.approx(expected, nan_ok=True)


def test_verdicts_at_its_own_threshold_are_the_models(judge: Judge) -> None:
    called = judge.evaluation.defective
    assert judge.at(1).found + judge.at(1).false_alarms == called.sum()
    assert (judge.evaluation.score == judge.line(1)).any()  # a score on the line is not above it


def test_an_image_is_called_where_a_pixel_is(judge: Judge) -> None:
    for multiple in MULTIPLES:
        line, verdicts = judge.line(multiple), judge.at(multiple)
        assert (judge.evaluation.anomaly_map > line).any(axis=(1, 2)).sum() == verdicts.found + verdicts.false_alarms


def test_pixels_are_judged_as_by_counting(judge: Judge) -> None:
    maps, masks = judge.evaluation.anomaly_map, judge.masks
    for multiple in MULTIPLES:
        called, verdicts = maps > judge.line(multiple), judge.at(multiple)
        found = []
        for c, mask in zip(called, masks, strict=True):
            if mask.any():
                number, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
                found += [c[regions == i].mean() for i in range(1, number)]
        assert len(found) == 2 * DEFECTIVE
        assert verdicts.area == pytest.approx(np.mean(found))
        assert verdicts.pixels == pytest.approx(called[~masks].mean())


def test_the_point_lies_on_both_curves(judge: Judge) -> None:
    curve, (fpr, tpr) = pro_curve(judge.evaluation.anomaly_map, judge.masks), judge.roc
    for multiple in MULTIPLES:
        v = judge.at(multiple)
        for x, y, at, up in ((fpr, tpr, v.false_alarm_rate, v.recall), (curve.fpr, curve.pro, v.pixels, v.area)):
            steps = np.hypot(np.diff(x), np.diff(y))
            ways = np.hypot(x[:-1] - at, y[:-1] - up) + np.hypot(x[1:] - at, y[1:] - up) - steps
            assert ways.min() == pytest.approx(0, abs=1e-9)  # no detour by way of the point


def test_areas_under_the_drawn_curves_are_the_metrics(judge: Judge) -> None:
    assert auc(*judge.roc) == pytest.approx(judge.evaluation.metrics["image_auroc"])
    assert auc(*judge.pro) / 0.3 == pytest.approx(judge.evaluation.metrics["aupro"], abs=2e-3)


def test_nothing_called_has_no_precision() -> None:
    verdicts = Verdicts(0, 7, 0, 5, 0.0, 0.0)
    assert np.isnan(verdicts.precision) and verdicts.recall == verdicts.f1 == verdicts.false_alarm_rate == 0


# ---- the picture -------------------------------------------------------------------------------------------


def test_the_values_of_a_picture(judge: Judge) -> None:
    black, index = np.zeros((SIZE, SIZE, 3), np.uint8), NORMAL + 1
    view = render_threshold([judge], black, index, 0.8)
    called, mask = judge.evaluation.anomaly_map[index] > judge.line(0.8), judge.masks[index]
    assert view.values["called_share"] == pytest.approx(called.mean())
    assert view.values["defect_found"] == pytest.approx(called[mask].mean())
    v = judge.at(0.8)
    assert (view.values["precision"], view.values["f1"], view.values["pro"]) == (v.precision, v.f1, v.area)
    assert view.image.dtype == np.uint8 and view.image.shape[1] < 1150
    assert f"rd finds {v.found} of 7 defective images" in view.says and "among 5 normal ones" in view.says


def test_what_is_called_is_orange(judge: Judge) -> None:
    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    orange = [
        (render_threshold([judge], black, NORMAL + 1, m).image[30:420, 5:395] == CALLED).all(axis=2).sum()
        for m in (0.9, 100)
    ]
    assert orange[0] > 100 and orange[1] == 0


def test_where_nothing_is_called_there_is_a_picture_too(judge: Judge) -> None:
    view = render_threshold([judge], np.zeros((SIZE, SIZE, 3), np.uint8), 0, 100)
    assert np.isnan(view.values["precision"]) and np.isnan(view.values["defect_found"])
    assert "finds 0 of 7 defective images, with 0 false alarms" in view.says and "normal, passed" in view.says


def test_a_threshold_below_nothing_is_refused(judge: Judge) -> None:
    with pytest.raises(ValueError, match="0 or more; got -1"):
        render_threshold([judge], np.zeros((SIZE, SIZE, 3), np.uint8), 0, -1)


def test_a_spot_is_drawn_on_a_chart() -> None:
    red, blue = (255, 0, 0), (0, 0, 255)
    curves = [Curve([0, 1], [0, 1], red, dots=0, thick=5), Curve([0, 1], [0, 1], blue, dots=0)]
    plain = chart("", Axis(0, 1), Axis(0, 1), curves, width=200)
    assert (plain == red).all(axis=2).any() and (plain == blue).all(axis=2).any()  # on each other, both are seen
    for x in (0.5, 7):  # on the chart and beyond it
        spotted = chart("", Axis(0, 1), Axis(0, 1), curves, width=200, spot=(0, x, 0.9))
        assert (spotted == red).all(axis=2).sum() > (plain == red).all(axis=2).sum() + 50
    assert np.abs(spotted.astype(int) - plain)[:, :150].max() == 0


def test_names_of_many_curves_take_more_rows() -> None:
    curves = [Curve([0, 1], [0, 1], (0, 0, 0), name) for name in ("rd 0.883", "ilm 0.9", "flm 0.9", "mrkd 0.837")]
    few, many = (chart("", Axis(0, 1), Axis(0, 1), curves[:n], width=416) for n in (2, 4))
    assert len(many) > len(few) and many.shape[1] == few.shape[1] == 416


# ---- the controls ------------------------------------------------------------------------------------------


def test_the_slider_moves_the_line(explorer: Explorer) -> None:
    seen = []
    for multiple in (0.0, 0.5, 1.0, 1.5, 2.0):
        explorer.controls["multiple"].value = multiple
        assert explorer.wait() and explorer.view is not None and explorer.problem.value == ""
        seen.append([explorer.view.values[v] for v in ("found", "false_alarms", "pro", "called_share")])
    assert all((np.diff(column) <= 0).all() for column in zip(*seen, strict=True))
    assert seen[0] != seen[-1]


def test_it_begins_with_a_defective_image_at_the_models_threshold(explorer: Explorer, one: Evaluation) -> None:
    assert explorer.state == {"multiple": 1.0, "model": 0, "photo": NORMAL}
    assert explorer.view is not None and explorer.view.values["threshold"] == one.threshold


def test_another_model_and_image(explorer: Explorer) -> None:
    assert explorer.view is not None
    before = explorer.view
    explorer.controls["photo"].value = NORMAL + 3
    assert explorer.wait()
    same = ("found", "missed", "false_alarms", "passed", "pro")
    assert [explorer.view.values[v] for v in same] == [before.values[v] for v in same]
    assert explorer.view.values["called_share"] != before.values["called_share"]
    explorer.controls["model"].value = 1
    assert explorer.wait() and explorer.view.values["pro"] != before.values["pro"]
    assert "mrkd finds" in explorer.view.says


def test_reset_and_memory(explorer: Explorer, folder: Path, one: Evaluation) -> None:
    explorer.set(multiple=0.4, photo=2)
    again = explore_threshold([one, evaluation(folder, "mrkd", seed=1)])
    assert again.state == {"multiple": 0.4, "model": 0, "photo": 2}
    again.reset()
    assert again.state == {"multiple": 1.0, "model": 0, "photo": NORMAL}
    assert again.wait() and explorer.wait()
    explorer.set(multiple=0.4)
    assert explore_threshold(one).state["multiple"] == 1.0  # another choice of models begins anew


def test_two_models_of_one_variant_are_told_apart(one: Evaluation) -> None:
    explorer = explore_threshold([one, one])
    assert explorer.wait() and [name for name, _ in explorer.controls["model"].options] == ["1: rd", "2: rd"]
    assert explorer.view is not None and "1: rd finds" in explorer.view.says


def test_an_image_that_is_gone_is_an_error_that_is_shown(one: Evaluation, tmp_path: Path) -> None:
    gone = replace(one, samples=[replace(s, path=tmp_path / s.path.name) for s in one.samples])
    explorer = explore_threshold(gone)
    assert explorer.wait() and str(tmp_path) in explorer.problem.value


def test_what_cannot_be_judged_is_refused(one: Evaluation, folder: Path) -> None:
    with pytest.raises(ValueError, match="needs ground-truth masks"):
        explore_threshold(replace(one, masks=None))
    for threshold in (None, 0.0, -1.0):
        with pytest.raises(ValueError, match="rd has no threshold above 0"):
            explore_threshold(replace(one, threshold=threshold))
    kind = replace(one, samples=[replace(s, label=1) for s in one.samples])
    with pytest.raises(ValueError, match="one kind only"):
        explore_threshold(kind)
    with pytest.raises(ValueError, match="different test images"):
        explore_threshold([one, kind, evaluation(folder / "elsewhere")])
    for images in ([], [12], [-1]):
        with pytest.raises(ValueError, match="numbers from 0 to 11, at least one"):
            explore_threshold(one, images)
