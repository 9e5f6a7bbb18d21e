"""Pictures of data and of simple detectors: what they show is what they were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from sample_results import small_toy
from scipy import stats

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import DataError
from mrkd_edu.data.layouts import Sample
from mrkd_edu.figures.style import SPACE
from mrkd_edu.lessons import the_problem as the_problem_numbers
from mrkd_edu.lessons.pictures import the_problem as draw
from mrkd_edu.study.evaluate import Evaluation


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AnomalyFolder:
    return small_toy(tmp_path_factory.mktemp("toy"))


def title_of(figure: Figure, panel: int = 0) -> str:
    return figure.axes[panel].get_title(loc="left").replace("\n", " ").replace(SPACE, " ")


def test_defect_sizes_shows_every_defect_and_their_median(data: AnomalyFolder) -> None:
    figure = draw.defect_sizes(data, 64)
    *rows, median = figure.axes[0].lines
    drawn = np.concatenate([np.asarray(line.get_xdata()) for line in rows])
    share = data.test_masks(64).mean(axis=(1, 2))[data.test_labels == 1]
    assert sorted(drawn) == pytest.approx(sorted(share))
    assert median.get_xdata()[0] == pytest.approx(np.median(share))
    assert f"less than {100 * np.median(share):.2g} %" in title_of(figure)


def test_defect_sizes_needs_masks(data: AnomalyFolder, tmp_path: Path) -> None:
    (tmp_path / "nut").mkdir()
    for kind in ("good", "dent"):
        (tmp_path / "nut" / kind).symlink_to(data.root / "test" / ("good" if kind == "good" else data.kinds[0]))
    with pytest.raises(DataError, match="no masks"):
        draw.defect_sizes(AnomalyFolder(tmp_path / "nut"), 64)


def test_the_mean_explains_all_of_equal_images_and_little_of_noise(rng: np.random.Generator) -> None:
    one = rng.random((1, 3, 16, 16))
    noise = rng.random((50, 3, 16, 16))
    assert the_problem_numbers.explained(np.repeat(one, 5, axis=0)) == pytest.approx(1)
    assert the_problem_numbers.explained(noise) == pytest.approx(1 / 50, rel=0.2)
    assert the_problem_numbers.explained(one + 0.1 * noise) > 0.9


def test_mean_images_shows_mean_and_deviation_on_one_scale(rng: np.random.Generator) -> None:
    calm, wild = 0.5 + 0.01 * rng.random((6, 3, 8, 8)), rng.random((6, 3, 8, 8))
    figure = draw.mean_images({"calm": calm, "wild": wild})
    panels = figure.axes[:8]
    assert np.allclose(panels[2].images[0].get_array(), calm.mean(axis=0).transpose(1, 2, 0))
    assert np.allclose(panels[7].images[0].get_array(), wild.std(axis=0).mean(axis=0))
    assert panels[3].images[0].get_clim() == panels[7].images[0].get_clim()
    with pytest.raises(ValueError, match="no images"):
        draw.mean_images({})


def test_found_by_kind_draws_shares_and_counts_all_in_the_title() -> None:
    known = {"dent": (9, 10), "stain": (1, 30)}
    new = {"dent": (5, 10), "stain": (0, 30)}
    figure = draw.found_by_kind({"known": known, "new": new}, 0.05)
    assert [bar.get_height() for bar in figure.axes[0].patches] == pytest.approx([0.9, 1 / 30, 0.5, 0])
    assert title_of(figure) == "Defects found: known 25 %, new 12 %"  # of images, not the mean of the kinds
    for wrong in ({}, {"known": known, "new": {"dent": (5, 10)}}):
        with pytest.raises(ValueError, match="same kinds"):
            draw.found_by_kind(wrong, 0.05)


def test_precision_is_that_of_a_count() -> None:
    slabs, base_rate, recall, false_alarms = 100_000, 0.02, 0.7, 0.1
    true, false = slabs * base_rate * recall, slabs * (1 - base_rate) * false_alarms
    assert the_problem_numbers.precision_at(base_rate, recall, false_alarms) == pytest.approx(true / (true + false))
    rates = np.array([0.001, 0.01, 0.1, 0.5])
    assert (np.diff(the_problem_numbers.precision_at(rates, recall, false_alarms)) > 0).all()
    assert the_problem_numbers.precision_at(0.5, 0.8, 0.2) == pytest.approx(0.8)


def test_a_position_of_the_features_covers_8_pixels(data: AnomalyFolder) -> None:
    images = data.train_images(64)
    found = the_problem_numbers.features(images)
    assert found.shape == (len(images), 152, 8, 8)
    assert found[:1].allclose(the_problem_numbers.features(images[:1]), atol=1e-4)


def test_disagreement_is_the_exact_test_of_mcnemar() -> None:
    one, other = np.zeros(300, bool), np.zeros(300, bool)
    one[:80], other[:60], other[290:] = True, True, True
    found = the_problem_numbers.disagreement(one, other)
    assert (found.only_one, found.only_other, found.difference) == (20, 10, pytest.approx(10 / 300))
    assert found.p == pytest.approx(stats.binomtest(20, 30).pvalue)
    assert found.low < 0 < found.difference < found.high
    back = the_problem_numbers.disagreement(other, one)
    assert (back.low, back.high, back.p) == (pytest.approx(-found.high), pytest.approx(-found.low), found.p)
    same = the_problem_numbers.disagreement(one, one)
    assert (same.difference, same.p) == (0, 1)
    assert same.low < 0 < same.high


def test_the_interval_of_a_disagreement_holds_the_truth_as_often_as_it_says(rng: np.random.Generator) -> None:
    held = []
    for _ in range(400):
        u = rng.random(150)
        found = the_problem_numbers.disagreement(u < 0.75, (u > 0.2) & (u < 0.85))  # 0.75 against 0.65
        held.append(found.low <= 0.1 <= found.high)
    assert 0.92 <= np.mean(held) <= 0.985


def test_points_tells_a_right_verdict_from_a_right_place() -> None:
    maps, masks = np.zeros((4, 8, 8)), np.zeros((4, 8, 8), bool)
    masks[1:, 2, 2] = True
    maps[1, 2, 2] = maps[2, 5, 5] = 1.0  # found and pointed at, found elsewhere
    maps[3, 2, 2] = 0.2  # pointed at, and missed
    samples = [Sample(Path(f"{i}.png"), int(i > 0), "dent" if i else "good") for i in range(4)]
    said = {"score": maps.max((1, 2)), "anomaly_map": maps, "threshold": 0.5, "samples": samples, "masks": masks}
    found, right = the_problem_numbers.points(Evaluation(**said, category="nut", variant="PCA", metrics={}))
    assert found.tolist() == [True, True, False]
    assert right.tolist() == [True, False, True]


def test_rare_defects_says_who_is_right_most_often() -> None:
    figure = draw.rare_defects({"careful": (0.5, 0.001), "eager": (1.0, 0.2)})
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([0.99, 0.01 * 0.5 + 0.99 * 0.999, 0.01 + 0.99 * 0.8])
    assert "nothing" not in title_of(figure)
    assert title_of(figure, 1) == "With 1 % defective, 5 to 83 of 100 alarms are true"
    assert "nothing" in title_of(draw.rare_defects({"eager": (1.0, 0.2)}))
    for wrong in ({}, {"perfect": (1.0, 0.0)}, {"odd": (1.2, 0.1)}):
        with pytest.raises(ValueError, match="shares"):
            draw.rare_defects(wrong)


def test_auroc_by_category_leaves_out_what_was_not_measured() -> None:
    results = {"nut": {"mean": (0.6, 0.8), "PCA": (0.3, 0.9)}, "tile": {"mean": (0.7, None), "PCA": (0.8, None)}}
    figure = draw.auroc_by_category(results, chosen="mean")
    assert title_of(figure) == "Image AUROC, mean: nut 0.60, tile 0.70"
    assert title_of(figure, 1) == "Pixel AUROC, mean: nut 0.80"
    left, right = figure.axes
    assert [list(line.get_xdata()) for line in left.lines[:2]] == [[0.6, 0.7], [0.3, 0.8]]
    assert [list(line.get_xdata()) for line in right.lines[:2]] == [[0.8], [0.9]]
    assert left.get_xlim()[0] < 0.3 < 1 < left.get_xlim()[1]
    without_masks = draw.auroc_by_category({"tile": results["tile"]}, chosen="PCA")
    assert title_of(without_masks, 1) == "Pixel AUROC, PCA: not measured"
    with pytest.raises(ValueError, match="'rd'"):
        draw.auroc_by_category(results, chosen="rd")
