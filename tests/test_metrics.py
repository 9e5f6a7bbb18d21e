"""The metrics against oracles written from the definitions alone, and the cases that trip metrics up."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import auc, roc_auc_score

from mrkd_edu.judging.prediction import verdict
from mrkd_edu.metrics import aupro, f1_max, image_auroc, pixel_auroc, pro_curve

# ---- the oracle: one threshold after another, in exact fractions -------------------------------------------


def flood_fill(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Regions of one mask as sets of pixels; the eight neighbours of a pixel belong to its region."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    regions = []
    while left:
        region, front = set(), [left.pop()]
        while front:
            y, x = front.pop()
            region.add((y, x))
            neighbours = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= neighbours
            front += neighbours
        regions.append(region)
    return regions


def share_found(scores: np.ndarray, threshold: float) -> Fraction:
    return Fraction(int(np.count_nonzero(scores >= threshold)), scores.size)


def naive_curve(maps: np.ndarray, masks: np.ndarray) -> list[tuple[Fraction, Fraction]]:
    """(false-positive rate, mean share of a region found) at every distinct score of the set."""
    regions = [
        np.array([anomaly_map[y, x] for y, x in region])
        for anomaly_map, mask in zip(maps, masks, strict=True)
        for region in flood_fill(mask)
    ]
    normal = maps[~masks]
    points = [(Fraction(0), Fraction(0))]
    for threshold in sorted(set(maps.ravel().tolist()), reverse=True):
        found = [share_found(region, threshold) for region in regions]
        points.append((share_found(normal, threshold), sum(found, Fraction(0)) / len(regions)))
    return points


def naive_aupro(maps: np.ndarray, masks: np.ndarray, limit: float = 0.3) -> float:
    """Trapezoids under the curve from 0 to the limit; the one that crosses it is cut there."""
    end, area = Fraction(limit), Fraction(0)
    points = naive_curve(maps, masks)
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= end:
            break
        if x1 > end:
            x1, y1 = end, y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (x1 - x0) * (y0 + y1) / 2
    return float(area / end)


@st.composite
def small_sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Up to three maps of up to 5x5, few or many distinct scores, any masks with both kinds of pixel."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(2, 5)))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    maps = draw(arrays(np.int64, shape, elements=st.integers(-levels, levels))).astype(dtype) / dtype(8)
    masks = draw(arrays(np.bool_, shape).filter(lambda masks: masks.any() and not masks.all()))
    return maps, masks


checked = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@checked
@given(small_sets(), st.sampled_from([0.05, 0.3, 0.5, 0.77, 1.0]))
def test_aupro_equals_the_naive_loop(case: tuple[np.ndarray, np.ndarray], limit: float) -> None:
    maps, masks = case
    value = aupro(maps, masks, limit)
    assert value == pytest.approx(naive_aupro(maps, masks, limit), abs=1e-12)
    assert 0 <= value <= 1


@checked
@given(small_sets())
def test_pixel_auroc_equals_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    maps, masks = case
    assert pixel_auroc(maps, masks) == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)


@checked
@given(small_sets())
def test_pro_curve_is_the_naive_curve(case: tuple[np.ndarray, np.ndarray]) -> None:
    maps, masks = case
    curve = pro_curve(maps, masks)
    # Every point of the naive curve lies on ours: on a segment, or on a vertical rise between its two ends.
    for x, y in naive_curve(maps, masks):
        first = np.searchsorted(curve.fpr, float(x) - 1e-12)
        last = np.searchsorted(curve.fpr, float(x) + 1e-12) - 1
        if first <= last:
            assert curve.pro[first] - 1e-12 <= float(y) <= curve.pro[last] + 1e-12
        else:
            assert np.interp(float(x), curve.fpr, curve.pro) == pytest.approx(float(y), abs=1e-12)
    assert auc(curve.fpr, curve.pro) == pytest.approx(aupro(maps, masks, limit=1.0), abs=1e-12)


@pytest.fixture
def blobs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Twelve maps of 32x32 with ties (scores in steps of 1/8), one to three defects in eight of them."""
    masks = np.zeros((12, 32, 32), dtype=bool)
    for mask in masks[4:]:
        for _ in range(rng.integers(1, 4)):
            y, x = rng.integers(0, 26, size=2)
            height, width = rng.integers(1, 7, size=2)
            mask[y : y + height, x : x + width] = True
    maps = rng.normal(size=masks.shape) + 1.5 * masks
    return np.round(maps * 8) / 8, masks


def test_both_metrics_on_a_larger_set_with_ties(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    maps, masks = blobs
    assert aupro(maps, masks) == pytest.approx(naive_aupro(maps, masks), abs=1e-12)
    assert pixel_auroc(maps, masks) == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)


def test_each_point_of_the_curve_is_what_its_threshold_gives(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    maps, masks = blobs
    curve = pro_curve(maps, masks)
    regions = [
        (image, *np.array(sorted(region)).T)  # an index: image, rows, columns
        for image, mask in enumerate(masks)
        for region in flood_fill(mask)
    ]
    for fpr, pro, threshold in zip(*curve, strict=True):
        found = maps >= threshold
        assert fpr == found[~masks].mean()
        assert pro == pytest.approx(np.mean([found[region].mean() for region in regions]), abs=1e-12)
    assert (np.diff(curve.fpr) >= 0).all() and (np.diff(curve.pro) >= 0).all()
    assert (np.diff(curve.thresholds[1:-1]) < 0).all()


@pytest.mark.parametrize("lowest_first", [True, False])
def test_a_sample_that_misleads_changes_nothing(rng: np.random.Generator, lowest_first: bool) -> None:
    # Every 101st normal score is looked at first, to guess what the limit can reach. Here these are extremes.
    rows = np.sort(rng.normal(size=(20, 101)), axis=1)  # all normal
    defects = rng.normal(size=(1, 101)) + 1
    maps = np.concatenate([rows if lowest_first else rows[:, ::-1], defects])[None]  # (1, 21, 101)
    masks = np.zeros(maps.shape, dtype=bool)
    masks[0, 20] = True
    assert aupro(maps, masks) == pytest.approx(naive_aupro(maps, masks), abs=1e-12)


# ---- cases worked out by hand ------------------------------------------------------------------------------


def test_aupro_of_a_case_worked_out_by_hand() -> None:
    # Region A, two pixels: 10 is found at FPR 0, 7.5 at FPR 0.2, after the normal pixels 9 and 8.
    # Region B, one pixel: 8, tied with a normal pixel: it comes in along a slope from FPR 0.1 to 0.2.
    #
    #   FPR 0   to 0.1   A = 1/2   B = 0        PRO 0.25            area 0.025
    #       0.1 to 0.2   A = 1/2   B = 0 to 1   PRO 0.25 to 0.75    area 0.050
    #       0.2 to 0.3   A = 1     B = 1        PRO 1               area 0.100
    #
    # So AUPRO = 0.175 / 0.3. A limit of 0.15 cuts the slope in the middle, where PRO is 0.5: the area is then
    # 0.025 + 0.05 * (0.25 + 0.5) / 2 = 0.04375.
    maps = np.array([[[10, 7.5, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 8]]])
    masks = np.array([[[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]]) > 0
    assert aupro(maps, masks) == pytest.approx(0.175 / 0.3, abs=1e-15)
    assert aupro(maps, masks, limit=0.15) == pytest.approx(0.04375 / 0.15, abs=1e-15)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_perfect_inverted_and_constant_maps(blobs: tuple[np.ndarray, np.ndarray], limit: float) -> None:
    _, masks = blobs
    assert aupro(masks.astype(np.float32), masks, limit) == 1
    assert aupro(1 - masks.astype(np.float32), masks, limit) == 0
    # A constant map is one tie of everything: the straight line PRO = FPR, with the area limit^2 / 2.
    assert aupro(np.zeros(masks.shape), masks, limit) == pytest.approx(limit / 2, abs=1e-15)


def test_pixel_auroc_of_perfect_inverted_and_constant_maps(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    _, masks = blobs
    assert pixel_auroc(masks.astype(np.float32), masks) == 1
    assert pixel_auroc(1 - masks.astype(np.float32), masks) == 0
    assert pixel_auroc(np.zeros(masks.shape), masks) == 0.5


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    masks = np.zeros((1, 20, 20), dtype=bool)
    masks[0, :10, :10] = True  # 100 pixels, all found before any normal pixel
    masks[0, 15, 15] = True  # 1 pixel, never found within the limit
    maps = masks.astype(np.float32)
    maps[0, 15, 15] = -1
    assert aupro(maps, masks) == 0.5
    assert pixel_auroc(maps, masks) == pytest.approx(100 / 101)


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    masks = np.zeros((1, 6, 6), dtype=bool)
    masks[0, [0, 1, 2], [0, 1, 2]] = True  # a diagonal scratch, found
    masks[0, 5, 5] = True  # a dot, missed
    maps = masks.astype(np.float32)
    maps[0, 5, 5] = -1
    assert aupro(maps, masks) == 0.5  # (1 + 0) / 2 regions; four regions would give 3 / 4


def test_regions_of_two_images_are_never_one() -> None:
    masks = np.zeros((2, 3, 3), dtype=bool)
    masks[:, 1, 1] = True  # in the same place in both images, found in the first alone
    maps = np.array([[[1.0]], [[-1.0]]]) * masks
    assert aupro(maps, masks) == 0.5


def test_good_images_count_as_negatives() -> None:
    masks = np.zeros((2, 4, 4), dtype=bool)
    masks[0, :2, :2] = True
    maps = np.zeros(masks.shape)
    maps[0, :2, :2] = 1
    assert aupro(maps, masks) == 1
    maps[1] = 2  # false alarms all over the good image: 16 of the 28 normal pixels
    assert aupro(maps, masks) == 0
    assert pixel_auroc(maps, masks) == pytest.approx(12 / 28)


RESCALINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp,
    "affine": lambda scores: 1e3 * scores - 7e4,
    "tiny": lambda scores: scores * 1e-200,
    "rank": lambda scores: np.unique(scores, return_inverse=True)[1].reshape(scores.shape).astype(float),
}


@pytest.mark.parametrize("name", RESCALINGS)
def test_only_the_order_of_the_scores_matters(blobs: tuple[np.ndarray, np.ndarray], name: str) -> None:
    maps, masks = blobs
    rescaled = RESCALINGS[name](maps)
    assert aupro(rescaled, masks) == aupro(maps, masks)
    assert pixel_auroc(rescaled, masks) == pixel_auroc(maps, masks)
    scores, labels = maps.max(axis=(1, 2)), masks.any(axis=(1, 2))
    rescaled_scores = RESCALINGS[name](scores)
    assert image_auroc(rescaled_scores, labels) == image_auroc(scores, labels)
    assert f1_max(rescaled_scores, labels)[0] == f1_max(scores, labels)[0]


# ---- types and memory --------------------------------------------------------------------------------------


def test_float64_scores_are_compared_as_float64() -> None:
    maps = np.array([[[1.0, 1.0 + 1e-12]]])  # float32 could not tell them apart
    masks = np.array([[[False, True]]])
    assert aupro(maps, masks) == pixel_auroc(maps, masks) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_smaller_floats_give_the_same_value(blobs: tuple[np.ndarray, np.ndarray], dtype: type) -> None:
    maps, masks = blobs  # multiples of 1/8 below 16: exact in every float type
    assert aupro(maps.astype(dtype), masks) == aupro(maps, masks)
    assert pixel_auroc(maps.astype(dtype), masks) == pixel_auroc(maps, masks)
    np.testing.assert_array_equal(pro_curve(maps.astype(dtype), masks).pro, pro_curve(maps, masks).pro)


def test_the_inputs_stay_as_they_are(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    maps, masks = blobs
    maps.flags.writeable = masks.flags.writeable = False
    aupro(maps, masks)
    pixel_auroc(maps, masks)
    pro_curve(maps, masks)
    strided = np.repeat(maps, 2, axis=2)[:, :, ::2]  # not contiguous
    assert aupro(strided, np.asfortranarray(masks)) == aupro(maps, masks)


def peak_bytes(function: Callable[..., object], *arguments: np.ndarray) -> int:
    """The most memory that a call holds at one time, beyond what was there before."""
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("defect_rows", [16, 240])
def test_pixel_metrics_need_only_a_few_bytes_per_pixel(rng: np.random.Generator, defect_rows: int) -> None:
    maps = rng.normal(size=(20, 256, 256)).astype(np.float32)
    masks = np.zeros(maps.shape, dtype=bool)
    masks[:, :defect_rows] = True
    assert peak_bytes(aupro, maps, masks) < 5 * maps.size
    assert peak_bytes(pixel_auroc, maps, masks) < 8 * maps.size
    # The same meter, the same pixels: the straightforward way would not pass.
    assert peak_bytes(roc_auc_score, masks.ravel(), maps.ravel()) > 30 * maps.size


# ---- whole images ------------------------------------------------------------------------------------------


def test_image_auroc_is_the_share_of_pairs_in_the_right_order(rng: np.random.Generator) -> None:
    scores, labels = rng.integers(0, 6, size=40) / 4, rng.integers(0, 2, size=40)
    normal, defective = scores[labels == 0], scores[labels == 1]
    wins = (defective[:, None] > normal).mean() + (defective[:, None] == normal).mean() / 2
    assert image_auroc(scores, labels) == pytest.approx(wins, abs=1e-12)
    assert image_auroc(scores.tolist(), (labels > 0).tolist()) == image_auroc(scores, labels)


image_sets = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=12).filter(
    lambda images: len({label for _, label in images}) == 2
)


@checked
@given(image_sets)
def test_f1_max_is_the_best_of_all_thresholds(images: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([score / 4 for score, _ in images]), np.array([label for _, label in images])
    best, threshold = f1_max(scores, labels)
    f1 = {}
    for score in [np.nextafter(scores.min(), -np.inf), *scores.tolist()]:
        called = scores > score
        f1[score] = 2 * (called & labels).sum() / (called.sum() + labels.sum())  # 2 TP / (2 TP + FP + FN)
    assert best == pytest.approx(max(f1.values()), abs=1e-12)
    assert best == pytest.approx(f1[threshold], abs=1e-12)


def test_f1_max_where_a_normal_image_scores_highest() -> None:
    # Where only 9 is called defective, precision and recall are both 0. The best is to call everything defective.
    assert f1_max([9, 1, 2], [0, 1, 1]) == (pytest.approx(0.8), np.nextafter(1.0, 0.0))
    assert f1_max([1, 2, 8, 9], [0, 0, 1, 1]) == (1.0, 2.0)


def test_f1_max_and_verdict_have_one_rule() -> None:
    scores, labels = np.array([0.1, 0.4, 0.3, 0.8]), np.array([0, 0, 1, 1])
    best, threshold = f1_max(scores, labels)
    called = verdict(scores, threshold)
    assert 2 * (called & (labels == 1)).sum() / (called.sum() + labels.sum()) == pytest.approx(best)


# ---- bad input ---------------------------------------------------------------------------------------------

MAPS, MASKS = np.zeros((2, 3, 4)), np.eye(3, 4, dtype=bool)[None].repeat(2, axis=0)


def with_nan() -> np.ndarray:
    maps = MAPS.copy()
    maps[1, 0, 0] = np.nan
    return maps


@pytest.mark.parametrize("metric", [pixel_auroc, aupro, pro_curve])
@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        (MAPS, MASKS[:, :, :3], "(2, 3, 4) and (2, 3, 3)"),
        (MAPS[0], MASKS[0], "(N, H, W), got (3, 4)"),
        (MAPS.astype(np.int64), MASKS, "maps must be floating point, got int64"),
        (MAPS, MASKS.astype(np.uint8), "masks must be bool, True = defect, got uint8: write masks > 0"),
        (MAPS, MASKS & False, "no defect pixel"),
        (MAPS, MASKS | True, "no normal pixel"),
        (MAPS[:0], MASKS[:0], "no defect pixel"),
        (with_nan(), MASKS, "1 of 2 maps hold NaN or infinity, first: index 1"),
        (MAPS - np.inf, MASKS, "2 of 2 maps hold NaN or infinity, first: index 0"),
    ],
)
def test_bad_maps_are_refused(metric: Callable, maps: np.ndarray, masks: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        metric(maps, masks)


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, 30.0, np.nan])
def test_a_limit_that_is_no_rate_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=r"limit .* must lie in \(0, 1\]"):
        aupro(MAPS, MASKS, limit)


@pytest.mark.parametrize("metric", [image_auroc, f1_max])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, 0.2], [0, 0], "normal and defective images are needed, got 2 normal and 0 defective"),
        ([0.1, 0.2], [True, True], "normal and defective images are needed, got 0 normal and 2 defective"),
        ([], [], "normal and defective images are needed, got 0 normal and 0 defective"),
        ([0.1, np.nan, 0.2], [0, 1, 1], "1 of 3 scores are NaN or infinity, first: index 1"),
        ([0.1, np.inf], [0, 1], "1 of 2 scores are NaN or infinity, first: index 1"),
        ([0.1, 0.2], [0, 1, 1], "(2,) and (3,)"),
        ([[0.1, 0.2]], [[0, 1]], "(1, 2)"),
        ([0.1, 0.2], [0, 255], "labels must be 0 (normal) or 1 (defective), got [0, 255]"),
    ],
)
def test_bad_scores_are_refused(metric: Callable, scores: list, labels: list, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        metric(scores, labels)
