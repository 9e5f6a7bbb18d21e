"""How good are the scores and the anomaly maps? AUROC, AUPRO and F1-max, exact and fast.

What is here: one number per question. `image_auroc` and `f1_max` judge the scores of whole images;
`pixel_auroc` and `aupro` judge anomaly maps; `pro_curve` is the curve behind AUPRO, to draw. All of them look
only at the order of the scores: any strictly rising rescaling leaves the value as it is. What is not here: a
model, a data set, a plot.

**One idea behind both pixel metrics.** The textbook way to a curve is a loop: set a threshold, count what is
found, go on to the next threshold. The area under the curve needs none of that. Ask each defect pixel, with
score s, one question instead: how many normal pixels look at least as bad as you? The answer is a
false-positive rate, the price of finding this pixel:

    a = share of normal pixels with a score > s      just before it is found
    b = share of normal pixels with a score >= s     once it is found; b > a only where scores tie

Alone, the pixel has the curve "0 up to a, rising to 1 between a and b, then 1". Its credit is the area under
that curve from 0 to the limit L, divided by L; without ties that is (L - a) / L, or 0 if a > L. Then

    pixel AUROC = mean of the credit over all defect pixels, L = 1
    AUPRO       = mean over regions of the mean of the credit over the region's pixels, L = 0.3

AUPRO is thus a partial AUROC in which each defect pixel weighs 1 / (number of regions * size of its region):
a scratch of 50 pixels counts as much as a dent of 5000. Both metrics need one sort, of the normal pixels;
each defect pixel then looks up its place among them. Ties come out exact, as the straight line that a curve
draws through them.

Sources: AUPRO is from Bergmann et al., "Uninformed Students", CVPR 2020, and "The MVTec Anomaly Detection
Dataset", IJCV 129, 2021. As there, the false-positive rate is taken over the normal pixels of the whole set,
good images included, and the limit is 0.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from sklearn.metrics import precision_recall_curve, roc_auc_score

Array = NDArray[Any]

# Pixels that touch at a corner belong to one region: 8-connectivity, as in MVTec's own evaluation code.
# A thin diagonal scratch is then one region; with 4-connectivity it would fall apart into single pixels.
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


# ---- whole images ------------------------------------------------------------------------------------------


def image_auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve of image scores, by scikit-learn.

    It is the chance that a random defective image scores higher than a random normal one; ties count half.

    Args:
        scores: one score per image, (N,); higher means more defective.
        labels: 0 (or False) for a normal image, 1 (or True) for a defective one, (N,).

    Returns:
        A number in [0, 1]; 0.5 is chance.

    Raises:
        ValueError: the shapes differ, a score is NaN or infinite, a label is neither 0 nor 1, or one class is
            absent.

    Example:
        >>> image_auroc([0.1, 0.4, 0.3, 0.8], [0, 0, 1, 1])
        0.75
    """
    scores, labels = _checked_images(scores, labels)
    return float(roc_auc_score(labels, scores))


def f1_max(scores: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """The best F1 that any threshold reaches, and that threshold.

    An image is called defective when `score > threshold`, as everywhere here. The threshold is chosen with the
    labels in hand: it says what the scores could do at best, and is not one to deploy.

    Args:
        scores: one score per image, (N,); higher means more defective.
        labels: 0 (or False) for a normal image, 1 (or True) for a defective one, (N,).

    Returns:
        F1 in (0, 1], and the threshold: the highest score that is still called normal (where none is, the number
        just below all scores). The lowest where several do equally well.

    Raises:
        ValueError: as for `image_auroc`.

    Example:
        >>> f1_max([0.1, 0.4, 0.3, 0.8], [0, 0, 1, 1])
        (0.8, 0.1)
    """
    scores, labels = _checked_images(scores, labels)
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    precision, recall = precision[:-1], recall[:-1]  # the last point, (1, 0), is an end without a threshold
    total = precision + recall
    # Precision and recall are both 0 where only normal images score that high: F1 is 0 there, not 0 / 0.
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(np.argmax(f1))
    normal = scores[scores < thresholds[best]]  # scikit-learn's rule is score >= threshold
    with np.errstate(over="ignore"):  # below the lowest number there is lies minus infinity
        return float(f1[best]), float(normal.max() if normal.size else np.nextafter(thresholds[best], -np.inf))


# ---- anomaly maps ------------------------------------------------------------------------------------------


class PROCurve(NamedTuple):
    """The curve behind AUPRO: its points, joined by straight lines, are the curve itself, not a sample of it.

    Attributes:
        fpr: share of the set's normal pixels with a score >= threshold, (P,), rising from 0 to 1.
        pro: share of a region found, averaged over the regions, (P,), rising from 0 to 1.
        thresholds: the threshold of each point, (P,), falling from infinity to minus infinity.
    """

    fpr: Array
    pro: Array
    thresholds: Array


def pixel_auroc(maps: ArrayLike, masks: ArrayLike) -> float:
    """Area under the ROC curve of all pixels of a set; equal to scikit-learn's, in a fraction of the memory.

    Beyond the maps it needs about 5 bytes per pixel for float32 (9 for float64); `roc_auc_score` needs 70.

    Args:
        maps: anomaly maps, float (N, H, W); higher means more defective.
        masks: ground truth, bool (N, H, W); True is defect.

    Returns:
        A number in [0, 1]; 0.5 is chance.

    Raises:
        ValueError: the shapes or types do not fit, a map holds NaN or infinity, or there is no defect
            pixel or no normal pixel in the whole set.

    Example:
        >>> maps = np.array([[[0.1, 0.4], [0.3, 0.8]]])
        >>> masks = np.array([[[False, False], [True, True]]])
        >>> pixel_auroc(maps, masks)
        0.75
    """
    maps, masks = _checked_maps(maps, masks)
    normal = _NormalPixels(maps, masks)
    credit = sum(normal.credit(anomaly_map[mask]) for anomaly_map, mask in zip(maps, masks, strict=True))
    return float(credit / masks.sum())


def aupro(maps: ArrayLike, masks: ArrayLike, limit: float = 0.3) -> float:
    """Area under the per-region overlap (PRO) curve up to a false-positive rate, divided by that rate.

        AUPRO = 1/L * integral from 0 to L of PRO(fpr) d fpr,    PRO = mean over regions of the share found

    A region is a connected part of a mask (8-connectivity). The curve is that of the whole set, so good
    images belong in it: their pixels are normal pixels. It is cut, by interpolation, exactly at the limit.
    Beyond the maps it needs about 2 to 4 bytes per pixel.

    Args:
        maps: anomaly maps, float (N, H, W); higher means more defective.
        masks: ground truth, bool (N, H, W); True is defect.
        limit: the false-positive rate L at which the integral stops, in (0, 1].

    Returns:
        A number in [0, 1]: 1 if every defect pixel scores higher than every normal one. Chance, and a
        constant map, give limit / 2 = 0.15, not 0.5.

    Raises:
        ValueError: as for `pixel_auroc`, or the limit lies outside (0, 1].

    Example:
        One region is found before any normal pixel, the other after half of them. AUPRO weighs both alike.

        >>> maps = np.array([[[9.0, 8.0, 7.0, 3.0, 1.0, 2.0]]])
        >>> masks = np.array([[[True, True, True, False, False, True]]])
        >>> aupro(maps, masks, limit=1.0)  # (1 + 1/2) / 2
        0.75
        >>> pixel_auroc(maps, masks)  # (3 * 1 + 1/2) / 4
        0.875
    """
    maps, masks = _checked_maps(maps, masks)
    if not 0 < limit <= 1:
        raise ValueError(f"limit is a false-positive rate and must lie in (0, 1], got {limit}")
    normal = _NormalPixels(maps, masks, limit)
    return float(np.mean([normal.credit(region) / region.size for region in _regions(maps, masks)]))


def pro_curve(maps: ArrayLike, masks: ArrayLike) -> PROCurve:
    """The per-region overlap curve of a set, exact and complete, for drawing.

    Two points for each distinct score of a defect pixel: just above that score and at it. The straight line
    between the two is the tie between defect and normal pixels of one score.

    Args:
        maps: anomaly maps, float (N, H, W); higher means more defective.
        masks: ground truth, bool (N, H, W); True is defect.

    Returns:
        The curve from (0, 0) to (1, 1). `sklearn.metrics.auc(curve.fpr, curve.pro)` is AUPRO with limit 1.

    Raises:
        ValueError: as for `pixel_auroc`.

    Example:
        >>> maps = np.array([[[9.0, 3.0, 1.0, 2.0]]])
        >>> masks = np.array([[[True, False, False, True]]])
        >>> curve = pro_curve(maps, masks)
        >>> curve.fpr.tolist()
        [0.0, 0.0, 0.0, 0.5, 0.5, 1.0]
        >>> curve.pro.tolist()
        [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    """
    maps, masks = _checked_maps(maps, masks)
    normal = _NormalPixels(maps, masks)
    regions = list(_regions(maps, masks))
    sizes = [region.size for region in regions]
    weights = np.repeat(1 / np.array(sizes), sizes)  # (D,) D defect pixels
    scores, place = np.unique(np.concatenate(regions), return_inverse=True)  # (U,) rising, (D,)
    gains = np.bincount(place, weights)[::-1]  # (U,) from the highest score down, as a threshold falls
    found = np.cumsum(np.concatenate([[0.0], gains]))  # (U + 1,) up to the number of regions
    found = found / found[-1]

    scores = scores[::-1]  # (U,) falling
    above, at = normal.rates(scores)
    with np.errstate(over="ignore"):  # above the highest number there is lies infinity
        just_above = np.nextafter(scores, np.inf, dtype=scores.dtype)  # score >= this  <=>  score > s
    return PROCurve(
        fpr=np.concatenate([[0.0], _alternate(above, at), [1.0]]),
        pro=np.concatenate([[0.0], _alternate(found[:-1], found[1:]), [1.0]]),
        thresholds=np.concatenate([[np.inf], _alternate(just_above, scores), [-np.inf]]),
    )


# ---- how it is done ----------------------------------------------------------------------------------------


class _NormalPixels:
    """The scores of a set's normal pixels, sorted, to tell what finding a defect pixel costs.

    Only the highest are kept and sorted: all that a false-positive rate up to the limit can reach.
    """

    def __init__(self, maps: Array, masks: Array, limit: float = 1.0) -> None:
        normal = ~masks  # (N, H, W)
        self.count = int(np.count_nonzero(normal))
        self.limit = limit
        sample = maps.flat[::101][normal.flat[::101]]
        if limit < 1 and sample.size:
            # The sample tells how far down the limit reaches; go a little further, for safety. Any floor will
            # do that leaves a share `limit` of the scores or more: a sample that misleads costs only time.
            floor = np.quantile(sample, max(0, 1 - 1.05 * limit), method="lower")
            top = normal & (maps >= floor)
            if np.count_nonzero(top) >= limit * self.count:
                normal = top
        scores = maps[normal]  # the one large copy
        if scores.dtype == np.float16:
            scores = scores.astype(np.float32)  # exact, and sorts many times faster
        scores.sort()
        self.scores = scores

    def rates(self, scores: Array) -> tuple[Array, Array]:
        """False-positive rates a (normal pixels > s) and b (normal pixels >= s) of scores s, (K,) and (K,).

        A score below all those kept gets a = b >= limit, which is all that one needs to know about it.
        """
        up_to = np.searchsorted(self.scores, scores, side="right")  # how many are <= s
        below = up_to.copy()  # how many are < s: the same, but for ties, which alone need a second search
        tied = self.scores[up_to - 1] == scores  # where up_to is 0, index -1 is the highest score: no tie
        below[tied] = np.searchsorted(self.scores, scores[tied], side="left")
        return (self.scores.size - up_to) / self.count, (self.scores.size - below) / self.count

    def credit(self, scores: Array) -> float:
        """Sum of the credits (see the top of this file) of defect pixels with the scores (K,)."""
        a, b = self.rates(np.sort(scores))  # sorted look-ups are quicker: they stay in the cache
        width = np.clip(self.limit, a, b) - a  # of the rising part, as far as the limit lets it go
        height = np.divide(width, b - a, out=np.zeros_like(a), where=b > a)  # that it reaches there
        area = width * height / 2 + np.maximum(self.limit - b, 0)  # triangle + rectangle, from 0 to L
        return float((area / self.limit).sum())  # in this order, rounding never lifts a metric above 1


def _regions(maps: Array, masks: Array) -> Iterator[Array]:
    """Yield the scores (K,) of each defect region of a set."""
    for anomaly_map, mask in zip(maps, masks, strict=True):
        rows = np.flatnonzero(mask.any(axis=1))
        if rows.size == 0:
            continue  # a good image
        band = slice(rows[0], rows[-1] + 1)  # to search these rows alone is several times faster
        labels, _ = ndimage.label(mask[band], structure=_EIGHT_NEIGHBOURS)
        for number, box in enumerate(ndimage.find_objects(labels), start=1):
            yield anomaly_map[band][box][labels[box] == number]


def _alternate(first: Array, second: Array) -> Array:
    """f0, s0, f1, s1, ..."""
    return np.column_stack([first, second]).ravel()


def _checked_images(scores: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    """Scores as float64 (N,) and labels as int (N,), or a ValueError that says what is wrong."""
    try:
        if np.iscomplexobj(scores):  # NumPy would drop half of them
            raise TypeError("complex")
        scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"scores and labels must be one plain number for each image, (N,) both ({error})") from error
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(f"scores and labels must both be (N,), got {scores.shape} and {labels.shape}")
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise ValueError(f"{bad.size} of {scores.size} scores are NaN or infinity, first: index {bad[0]}")
    given = labels.tolist()
    if not all(label in (0, 1) for label in given):
        found = ", ".join(dict.fromkeys(map(str, given)))
        raise ValueError(f"labels must be 0 (normal) or 1 (defective), got [{found}]")
    defective = int(np.count_nonzero(labels))
    if defective in (0, labels.size):
        raise ValueError(
            "both normal and defective images are needed, "
            f"got {labels.size - defective} normal and {defective} defective"
        )
    return scores, labels.astype(np.int64)


def _checked_maps(maps: ArrayLike, masks: ArrayLike) -> tuple[Array, Array]:
    """Maps as float (N, H, W) and masks as bool (N, H, W), or a ValueError that says what is wrong."""
    maps, masks = np.asarray(maps), np.asarray(masks)
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise ValueError(f"maps and masks must both be (N, H, W), got {maps.shape} and {masks.shape}")
    if maps.dtype == np.bool_:
        raise ValueError("maps are bool, as a comparison gives them: give the scores themselves, before any threshold")
    if not np.issubdtype(maps.dtype, np.floating):
        raise ValueError(f"maps must be floating point, got {maps.dtype}: write maps.astype(np.float32)")
    if masks.dtype != np.bool_:
        raise ValueError(f"masks must be bool, True = defect, got {masks.dtype}: write masks > 0")
    finite = np.isfinite(maps).all(axis=(1, 2))  # (N,)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise ValueError(f"{bad.size} of {len(maps)} maps hold NaN or infinity, first: index {bad[0]}")
    defect = int(np.count_nonzero(masks))
    if defect == 0:
        raise ValueError("the masks have no defect pixel at all: pixel metrics need a defective image")
    if defect == masks.size:
        raise ValueError("the masks have no normal pixel at all: is True the defect, and not the background?")
    return maps, masks
