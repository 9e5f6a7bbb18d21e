"""The pictures say what the numbers say, on one colour scale, and leave pyplot and the user's style alone."""

from __future__ import annotations

import io
import itertools
from dataclasses import astuple, replace
from pathlib import Path

import cv2
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from sample_results import four_results, small_toy
from sklearn.metrics import auc

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import DataError
from mrkd_edu.figures import heat as heat_figures
from mrkd_edu.figures import results as plots
from mrkd_edu.figures import style as style_figures
from mrkd_edu.figures import toy as plots_toy
from mrkd_edu.model import VARIANTS
from mrkd_edu.runtime.manifest import ModelError
from mrkd_edu.study.evaluate import Evaluation

CHARTS = (plots.score_histogram, plots.roc_curves, plots.pro_curves, plots.leakage_bars)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AnomalyFolder:
    return small_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def results(data: AnomalyFolder) -> list[Evaluation]:
    return four_results(data)


def title_of(figure: Figure, panel: int = 0) -> str:
    return figure.axes[panel].get_title(loc="left").replace("\n", " ").replace(style_figures.SPACE, " ")


# ---- heat --------------------------------------------------------------------------------------------------


def test_equal_multiples_of_the_threshold_have_equal_colours(rng: np.random.Generator) -> None:
    photo = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    multiples = rng.random((10, 15)) * 2.5
    one, other = (heat_figures.overlay(photo, t * multiples, heat_figures.shared_scale(t)) for t in (0.03, 7.0))
    assert np.array_equal(one, other)


def test_a_normal_image_stays_cold_however_its_map_is_spread(rng: np.random.Generator) -> None:
    photo = np.full((32, 32, 3), 128, np.uint8)
    cold = heat_figures.overlay(photo, 0.3 * rng.random((32, 32)), heat_figures.shared_scale(1.0))
    at_threshold = heat_figures.overlay(photo, np.ones((32, 32)), heat_figures.shared_scale(1.0))
    hot = heat_figures.overlay(photo, np.full((32, 32), 2.0), heat_figures.shared_scale(1.0))
    assert cold.mean(axis=2).max() < at_threshold.mean(axis=2).min() < hot.mean(axis=2).min()


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_hotter_is_brighter_on_every_ground(grey: int) -> None:
    photo = np.full((1, 64, 3), grey, np.uint8)
    heat = heat_figures.overlay(photo, np.linspace(0, 2, 64)[None], (0, 2))
    brightness = cv2.cvtColor(heat, cv2.COLOR_RGB2GRAY)[0].astype(int)
    assert (np.diff(brightness) >= -1).all()  # one grey level of rounding
    assert brightness[-1] - brightness[0] > 80


def test_values_beyond_the_scale_are_clipped_and_the_photo_is_left_alone() -> None:
    photo = np.full((8, 8, 3), 90, np.uint8)
    beyond = heat_figures.overlay(photo, np.full((8, 8), 1e9), (0, 2))
    assert np.array_equal(beyond, heat_figures.overlay(photo, np.full((8, 8), 2.0), (0, 2)))
    assert (photo == 90).all()


def test_the_photo_shows_through_the_heat(rng: np.random.Generator) -> None:
    photo = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    heat = heat_figures.overlay(photo, np.full((32, 32), 0.2), (0, 2)).mean(axis=2)
    assert np.corrcoef(heat.ravel(), cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("image", "heat", "scale", "message"),
    [
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8)), (0, 1), "uint8"),
        (np.zeros((3, 8, 8), np.uint8), np.zeros((8, 8)), (0, 1), r"\(H, W, 3\)"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((2, 8, 8)), (0, 1), "one map"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8)), (1, 1), "low < high"),
    ],
)
def test_bad_input_is_named(image: np.ndarray, heat: np.ndarray, scale: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        heat_figures.overlay(image, heat, scale)


def test_the_threshold_falls_back_to_scores(results: list[Evaluation]) -> None:
    known = results[0]
    assert plots.verdict_threshold(known) == known.threshold
    normal = known.score[known.labels == 0]
    assert plots.verdict_threshold(replace(known, threshold=None)) == pytest.approx(normal.max())
    nothing = replace(known, threshold=None, score=np.zeros(len(known.score)))
    assert plots.verdict_threshold(nothing) > 0


def test_the_outline_frames_the_defect_and_hides_none_of_it() -> None:
    mask = np.zeros((32, 32), bool)
    mask[10:20, 12:18] = True
    for ground in (0, 255):
        photo = np.full((64, 64, 3), ground, np.uint8)
        framed = heat_figures.outline(photo, mask)
        large = np.kron(mask, np.ones((2, 2), bool))
        assert (framed[large] == ground).all()
        touched = (framed != ground).any(axis=2)
        assert touched[30, 23] and touched[30, 36] and not touched[30, 45]
    assert np.array_equal(heat_figures.outline(photo, np.zeros_like(mask)), photo)


def test_variant_colours_differ_for_the_colour_blind() -> None:
    assert set(VARIANTS) <= set(style_figures.VARIANT_COLOURS)
    # Machado, Oliveira and Fernandes, 2009: complete red blindness and green blindness, in linear RGB.
    red_blind = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    green_blind = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    for matrix in (np.eye(3), np.array(red_blind), np.array(green_blind)):
        rgb = np.array([to_rgb(colour) for colour in style_figures.VARIANT_COLOURS.values()])
        seen = np.clip(rgb**2.2 @ matrix.T, 0, 1) ** (1 / 2.2)
        lab = cv2.cvtColor(seen[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]
        distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)]
        assert min(distances) > 15  # 2.3 is just noticeable


# ---- charts ------------------------------------------------------------------------------------------------


def test_titles_state_the_finding(results: list[Evaluation]) -> None:
    rd, mrkd = results[0], results[-1]
    assert title_of(plots.leakage_bars([rd, mrkd])) == "mrkd lets 12 % of the defect through, rd 34 %"
    assert title_of(plots.leakage_bars(mrkd)) == "mrkd lets 12 % of the defect through"
    scored = [replace(e, metrics={**e.metrics, "image_auroc": v}) for e, v in ((rd, 0.9), (mrkd, 0.9876))]
    assert title_of(plots.roc_curves(scored)) == "mrkd best (image AUROC 0.988), rd last (0.900)"
    equal = [replace(e, metrics={**e.metrics, "image_auroc": 1.0}) for e in (rd, mrkd)]
    assert title_of(plots.roc_curves(equal)) == "No difference: all have image AUROC 1.000"


def test_a_histogram_counts_verdicts_as_the_model_gives_them(results: list[Evaluation]) -> None:
    known = results[0]
    scores = np.where(known.labels == 1, 3.0, 1.0)
    scores[0] = 2.0  # a normal image on the threshold: a verdict needs more
    scores[-1] = 2.5
    figure = plots.score_histogram(replace(known, score=scores, threshold=2.0))
    assert title_of(figure) == "rd: finds 7 of 7, 0 false alarms"
    drawn = sum(bar.get_height() for bar in figure.axes[0].patches)
    assert drawn == len(scores)  # no image falls outside the bins


def test_a_pro_curve_has_the_area_of_aupro(results: list[Evaluation]) -> None:
    for evaluation in results:
        line = plots.pro_curves(evaluation).axes[0].lines[0]
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert x[-1] == pytest.approx(0.3)
        assert auc(x, y) / 0.3 == pytest.approx(evaluation.metrics["aupro"], abs=0.005)


def test_outcomes(results: list[Evaluation]) -> None:
    known = results[0]
    first_defect = int(np.flatnonzero(known.labels)[0])
    scores = np.zeros(len(known.score))
    assert plots.outcome(replace(known, score=scores, threshold=1.0), 0) == "passed"
    assert plots.outcome(replace(known, score=scores, threshold=1.0), first_defect) == "missed"
    assert plots.outcome(replace(known, score=scores + 2, threshold=1.0), 0) == "false alarm"
    assert plots.outcome(replace(known, score=scores + 2, threshold=1.0), first_defect) == "found"
    assert plots.outcome(replace(known, threshold=None), 0) == "no verdict"


def test_outcomes_are_counted_and_nan_is_no_verdict(results: list[Evaluation]) -> None:
    for evaluation in results:
        each = [plots.outcome(evaluation, index) for index in range(len(evaluation.samples))]
        counted = plots.outcomes(evaluation)
        assert counted is not None
        words = ("found", "missed", "false alarm", "passed")
        assert astuple(counted) == tuple(each.count(word) for word in words)
    assert plots.outcomes(replace(results[0], threshold=None)) is None
    with pytest.raises(ModelError, match="There is no verdict"):
        plots.outcomes(replace(results[0], score=results[0].score * np.nan))


@pytest.mark.parametrize("number", [1, 4])
def test_everything_written_is_large_and_inside_the_picture(results: list[Evaluation], number: int) -> None:
    shown = results[-number:]
    losses = {e.variant: np.geomspace(2, 0.1, 50).tolist() for e in shown}
    for figure in (*(chart(shown) for chart in CHARTS), plots.comparison(shown, [0, 6]), plots.loss_curves(losses)):
        figure.savefig(io.BytesIO())  # lays it out
        written = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
        assert len(written) > 5
        for text in written:
            assert text.get_fontsize() >= 11, text
        for ax in figure.axes:
            children = [*ax.get_children(), ax.xaxis.label, ax.yaxis.label]  # titles, notes and labels
            for text in (child for child in children if child in written):
                box, page = text.get_window_extent(), figure.bbox
                assert box.x0 > page.x0 - 1 and box.x1 < page.x1 + 1, text
                assert box.y0 > page.y0 - 1 and box.y1 < page.y1 + 1, text


def test_pyplot_and_the_users_style_stay_as_they_are(results: list[Evaluation]) -> None:
    figures, settings = plt.get_fignums(), dict(matplotlib.rcParams)
    for chart in CHARTS:
        chart(results)
    plots.comparison(results, [0])
    assert plt.get_fignums() == figures
    assert dict(matplotlib.rcParams) == settings
    with matplotlib.style.context("dark_background"):
        figure = plots.roc_curves(results)
    assert figure.get_facecolor() == (1, 1, 1, 1)
    assert to_rgb(figure.axes[0].xaxis.label.get_color()) == (0, 0, 0)


def test_a_notebook_can_show_a_picture(results: list[Evaluation]) -> None:
    chart, photographs = plots.roc_curves(results), plots.comparison(results, [0])
    assert chart._repr_png_().startswith(b"\x89PNG") and chart._repr_jpeg_() is None
    photographs.set_size_inches(12, 12)  # large enough that PNG would be heavy
    assert photographs._repr_png_() is None
    assert photographs._repr_jpeg_().startswith(b"\xff\xd8\xff")


def test_a_comparison_has_a_column_per_variant_and_one_bar(results: list[Evaluation]) -> None:
    figure = plots.comparison(results, [0, 5, 11])
    pictures = [ax for ax in figure.axes if ax.images]
    assert len(pictures) == 3 * (1 + len(results))
    assert len(figure.axes) == len(pictures) + 1
    multiple = results[0].score[5] / plots.verdict_threshold(results[0])
    assert pictures[6].get_xlabel().startswith(f"{multiple:.2f} ")


# ---- what cannot be drawn ----------------------------------------------------------------------------------


def test_results_of_different_test_sets_are_not_compared(results: list[Evaluation]) -> None:
    rd, mrkd = results[0], results[-1]
    shorter = replace(mrkd, samples=mrkd.samples[:-1], score=mrkd.score[:-1])
    for chart in CHARTS:
        with pytest.raises(ValueError, match="different test images"):
            chart([rd, shorter])
    with pytest.raises(ValueError, match="no evaluation"):
        plots.roc_curves([])


def test_missing_ground_truth_is_said(results: list[Evaluation]) -> None:
    rd = results[0]
    with pytest.raises(ValueError, match="masks"):
        plots.pro_curves(replace(rd, masks=None))
    with pytest.raises(ValueError, match="leakage"):
        plots.leakage_bars(replace(rd, leakage=None))
    with pytest.raises(ValueError, match="normal and defective"):
        plots.roc_curves(replace(rd, samples=rd.samples[:5], score=rd.score[:5]))
    with pytest.raises(ValueError, match="every history is empty"):
        plots.loss_curves({"rd": []})
    with pytest.raises(ValueError, match="index"):
        plots.comparison(rd, [])


def test_a_picture_that_is_gone_is_named(results: list[Evaluation], tmp_path: Path) -> None:
    rd = results[0]
    gone = replace(rd, samples=[replace(rd.samples[0], path=tmp_path / "gone.png"), *rd.samples[1:]])
    with pytest.raises(DataError, match=r"gone\.png"):
        plots.comparison(gone, [0])


# ---- contact sheets of the toy factory ---------------------------------------------------------------------


def test_normal_sheet_shows_every_category() -> None:
    figure = plots_toy.normal_sheet(number=2, size=32)
    assert len(figure.axes) == 8
    assert [ax.get_ylabel() for ax in figure.axes[::2]] == ["metal", "fabric", "surface", "tray"]


def test_defect_sheet_grows_from_the_twin_to_the_outline() -> None:
    figure = plots_toy.defect_sheet("tray", strengths=(0.15, 1.0), size=64)
    row = [np.asarray(ax.images[0].get_array()).astype(int) for ax in figure.axes[:4]]  # of the kind `extra`
    changes = [np.abs(image - row[0]).sum() for image in row]
    assert changes[0] == 0 < changes[1] < changes[2]
    assert [ax.get_ylabel() for ax in figure.axes[::4]] == ["extra", "missing", "swapped", "turned"]
