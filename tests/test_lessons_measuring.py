"""What a metric means: the pure functions against oracles, and titles that say what the numbers say."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from sample_results import four_results, small_toy
from scipy import stats
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.figures.style import Picture
from mrkd_edu.lessons import measuring as measuring_numbers
from mrkd_edu.lessons import statistics
from mrkd_edu.lessons.pictures import intervals as draw_intervals
from mrkd_edu.lessons.pictures import measuring as draw_measuring
from mrkd_edu.metrics import aupro, f1_max, image_auroc, pro_curve
from mrkd_edu.study.evaluate import Evaluation


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AnomalyFolder:
    return small_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def result(data: AnomalyFolder) -> Evaluation:
    return four_results(data)[0]


def titles(figure: Picture) -> str:
    return " ".join(ax.get_title(loc="left") for ax in figure.axes).replace("\n", " ")


def scored(rng: np.random.Generator, models: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores (K, 40) with ties, and labels (40,) of 15 normal and 25 defective images."""
    labels = np.repeat([0, 1], [15, 25])
    return (rng.normal(size=(models, 40)) + 0.8 * labels).round(1), labels


# ---- verdicts, pairs -----------------------------------------------------------------------------------------


def test_confusion_and_f1_agree_with_scikit_learn(rng: np.random.Generator) -> None:
    (scores,), labels = scored(rng)
    for threshold in (-9.0, *np.quantile(scores, (0.2, 0.5, 0.8)), 9.0):
        counts, called = measuring_numbers.confusion(scores, labels, threshold), scores > threshold
        passed, alarms, missed, found = confusion_matrix(labels, called).ravel()
        assert astuple(counts) == (found, missed, alarms, passed)
        assert counts.f1 == pytest.approx(f1_score(labels, called, zero_division=0))
    best, threshold = f1_max(scores, labels)
    assert measuring_numbers.confusion(scores, labels, threshold).f1 == pytest.approx(best)


def test_pairs_are_auroc_also_with_ties_and_weights(rng: np.random.Generator) -> None:
    scores, labels = scored(rng, models=3)
    pairs = statistics.pairs_in_order(scores, labels)
    assert pairs.shape == (3, 25, 15)
    weights = rng.integers(0, 4, (5, 40))
    found = statistics.weighted_auroc(pairs, weights[:, labels == 1], weights[:, labels == 0])
    expected = [[roc_auc_score(labels, row, sample_weight=w) for w in weights] for row in scores]
    assert np.allclose(found, expected)
    with pytest.raises(ValueError, match="one kind only"):
        statistics.pairs_in_order([0.1, 0.2], [1, 1])


def test_bootstrap_is_paired_and_as_wide_as_the_rule_of_thumb(rng: np.random.Generator) -> None:
    labels = np.repeat([0, 1], [200, 300])
    scores = rng.exponential(size=500) * np.where(labels, 4.0, 1.0)  # exponential, as the rule assumes: AUROC 0.8
    noise = rng.normal(size=500)
    one, same, noisy = statistics.bootstrap_aurocs([scores, 2 * scores, scores + noise], labels, 500, rng)
    assert np.array_equal(one, same), "a rescaled model must see the same resamples"
    assert 0.2 < statistics.likeness(one, noisy) < 1
    assert statistics.likeness(one, np.ones_like(one)) == 0
    assert one.mean() == pytest.approx(image_auroc(scores, labels), abs=0.005)
    assert one.std() == pytest.approx(statistics.auroc_error(0.8, 200, 300), rel=0.2)


def test_images_needed_is_where_the_uncertainty_meets_the_difference() -> None:
    for correlation in (0.0, 0.7):
        n = statistics.images_needed(0.90, 0.93, correlation)
        assert 1.96 * statistics.difference_error(0.915, n, correlation) <= 0.03
        assert 1.96 * statistics.difference_error(0.915, 0.98 * n, correlation) > 0.03 * 0.98
    assert statistics.images_needed(0.90, 0.93, 0.7) < statistics.images_needed(0.90, 0.93) / 2
    with pytest.raises(ValueError, match="low < high"):
        statistics.images_needed(0.9, 0.9)


def test_intervals_are_the_known_ones() -> None:
    low, high = statistics.share_interval(0, 20)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 20))
    values = [1.0, 4.0, 2.0, 2.5]
    mean, low, high = statistics.mean_interval(values)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 3, mean, stats.sem(values)))


# ---- choosing on the test set --------------------------------------------------------------------------------


def test_halves_divide_each_class_evenly(rng: np.random.Generator) -> None:
    labels = np.repeat([0, 1], [4, 7])
    halves = measuring_numbers.random_halves(labels, 50, rng)
    assert (halves[:, labels == 0].sum(axis=1) == 2).all()
    assert (halves[:, labels == 1].sum(axis=1) == 3).all()
    assert len(np.unique(halves, axis=0)) > 20
    with pytest.raises(ValueError, match="class 0 has 1"):
        measuring_numbers.random_halves([0, 1, 1], 1, rng)


def test_choosing_among_equals_is_optimistic_and_not_choosing_is_not(rng: np.random.Generator) -> None:
    scores, labels = scored(rng, models=6)
    halves = measuring_numbers.random_halves(labels, 60, rng)
    choice = measuring_numbers.choose_stage(scores, labels, halves)
    half, pick = halves[7], choice.chosen[7]
    assert choice.same[7] == pytest.approx(max(roc_auc_score(labels[half], row[half]) for row in scores))
    assert choice.other[7] == pytest.approx(roc_auc_score(labels[~half], scores[pick][~half]))
    assert choice.optimism > 0.02
    for row in scores:
        assert measuring_numbers.choose_stage([row], labels, halves).optimism == pytest.approx(0)


def test_the_best_threshold_of_a_half_is_scored_on_the_other(rng: np.random.Generator) -> None:
    (scores,), labels = scored(rng)
    halves = measuring_numbers.random_halves(labels, 40, rng)
    choice = measuring_numbers.choose_threshold(scores, labels, halves)
    half = halves[3]
    assert (choice.same[3], choice.chosen[3]) == f1_max(scores[half], labels[half])
    assert choice.other[3] == pytest.approx(f1_score(labels[~half], scores[~half] > choice.chosen[3]))
    assert choice.other[43] == pytest.approx(f1_score(labels[half], scores[half] > choice.chosen[43]))
    assert choice.optimism > 0


# ---- AUPRO ---------------------------------------------------------------------------------------------------


def test_region_overlaps_are_points_of_the_exact_curve(result: Evaluation) -> None:
    assert result.masks is not None
    curve = pro_curve(result.anomaly_map, result.masks)
    fpr, overlaps = measuring_numbers.region_overlaps(result.anomaly_map, result.masks, curve.thresholds[1:-1:50])
    assert np.allclose(fpr, curve.fpr[1:-1:50])
    assert np.allclose(overlaps.mean(axis=0), curve.pro[1:-1:50])


def test_each_mistake_is_the_one_it_says(result: Evaluation) -> None:
    maps, masks = result.anomaly_map, result.masks
    assert masks is not None
    found, defective = measuring_numbers.aupro_mistakes(maps, masks), result.labels == 1
    assert found[measuring_numbers.RIGHT] == aupro(maps, masks)
    assert found["no good images"] == aupro(maps[defective], masks[defective])
    alone = [aupro(m[None], k[None]) for m, k in zip(maps[defective], masks[defective], strict=True)]
    assert found["per image"] == pytest.approx(np.mean(alone))
    assert found["grid, cut"] < found["observed limit"]
    fine = measuring_numbers.aupro_mistakes(maps, masks, grid=20000)
    assert fine["observed limit"] == pytest.approx(found[measuring_numbers.RIGHT], abs=0.002)


def test_a_map_stretched_to_its_own_range_has_lost_its_score(rng: np.random.Generator) -> None:
    maps = rng.random((3, 8, 8)) * np.array([1, 10, 100])[:, None, None]
    stretched = measuring_numbers.per_image_scale(maps)
    assert np.allclose(stretched.max(axis=(1, 2)), 1)
    assert np.allclose(stretched.min(axis=(1, 2)), 0)
    assert not measuring_numbers.per_image_scale(np.ones((1, 4, 4))).any()


# ---- pictures ------------------------------------------------------------------------------------------------


def test_pictures_state_the_numbers(data: AnomalyFolder, result: Evaluation, rng: np.random.Generator) -> None:
    figure = draw_measuring.roc_by_threshold(result, np.quantile(result.score, [0.8, 0.5]))
    area = f"area {image_auroc(result.score, result.labels):.3f}"
    assert area in [text.get_text() for text in figure.axes[1].texts]
    small = np.array([[[9.0, 8.0, 7.0, 3.0, 1.0, 2.0]]])
    mask = np.array([[[True, True, False, False, False, True]]])
    assert f"AUPRO {aupro(small, mask):.3f}" in titles(draw_measuring.pro_by_hand(small, mask))
    stretched = measuring_numbers.per_image_scale(result.anomaly_map)[result.labels == 0] > 0.5
    figure = draw_measuring.two_scales(data, result, [0, 6])
    assert f"{100 * stretched.mean():.0f} % of the pixels look hot" in figure.get_suptitle()
    draws = {"rd": rng.normal(0.9, 0.01, 900), "mrkd": rng.normal(0.9, 0.01, 900)}
    assert "stays open" in titles(draw_intervals.auroc_intervals(draws, 50))
    draws["mrkd"] = draws["rd"] + 0.05 + rng.normal(0, 0.001, 900)
    assert "mrkd is better" in titles(draw_intervals.auroc_intervals(draws, 50))
    needed = statistics.images_needed(0.985, 0.989)
    assert f"{float(f'{needed:.2g}'):g}" in titles(draw_intervals.images_for_a_difference(0.985, 0.989, [0.0], 20))


def test_half_of_the_defect_pixels_costs_what_the_title_says() -> None:
    maps = np.arange(200, dtype=np.float32).reshape(1, 10, 20)
    masks = np.zeros((1, 10, 20), bool)
    masks[0, 9, 0:20:2] = True  # 10 of the 20 hottest: 180, 182, ...; half are found at 190, with 5 normal pixels
    said: dict[str, Any] = {"score": np.array([1.0]), "anomaly_map": maps, "threshold": 1.0}
    result = Evaluation(**said, category="x", variant="rd", samples=[], masks=masks, metrics={})
    assert titles(draw_measuring.pixel_sweep(result)) == (
        "Half found: 2.6 % of the normal pixels ... but of 100 pixels called, 50 are normal"
    )


def test_a_perfect_detector_can_be_drawn(result: Evaluation, rng: np.random.Generator) -> None:
    labels = np.repeat([0, 1], 10)
    same = statistics.bootstrap_aurocs([labels, labels], labels, 50, rng)
    assert "stays open" in titles(draw_intervals.auroc_intervals(dict(zip(("rd", "mrkd"), same, strict=True)), 20))
    choice = measuring_numbers.choose_stage([labels], labels, measuring_numbers.random_halves(labels, 5, rng))
    assert "no optimism" in titles(draw_measuring.chosen_on_test({"one": choice}, "AUROC"))


def test_pictures_refuse_what_they_cannot_draw(data: AnomalyFolder, result: Evaluation) -> None:
    with pytest.raises(ValueError, match="masks"):
        draw_measuring.pixel_sweep(replace(result, masks=None))
    with pytest.raises(ValueError, match="two models"):
        draw_intervals.auroc_intervals({"rd": np.ones(3)}, 3)
    with pytest.raises(ValueError, match="one index"):
        draw_measuring.two_scales(data, result, [])
    with pytest.raises(ValueError, match="one length"):
        draw_measuring.promised_false_alarms([0.1], [1, 2], 20)
    with pytest.raises(ValueError, match="same categories"):
        draw_intervals.category_differences({"a": 1.0, "b": 2.0}, {"a": 1.0}, "AUROC")
    for draw in (draw_measuring.mistake_bars, lambda none: draw_measuring.chosen_on_test(none, "AUROC")):
        with pytest.raises(ValueError, match="to draw"):
            draw({})
