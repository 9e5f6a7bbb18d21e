"""How sure is a number? Resampling, intervals, and the images that a difference needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from mrkd_edu.metrics import Array

LEVEL = 0.95  # of every interval here


def pairs_in_order(scores: ArrayLike, labels: ArrayLike) -> Array:
    """For each defective and each normal image: 1 if the defective one scores higher, 1/2 for a tie, else 0.

    The mean of all pairs is the AUROC.

    Args:
        scores: (N,), or (K, N) for K models.
        labels: (N,) 0 normal, 1 defective.

    Returns:
        (D, G) for D defective and G normal images, or (K, D, G).

    Raises:
        ValueError: there are no normal or no defective images.

    Example:
        >>> pairs_in_order([0.1, 0.4, 0.3, 0.8], [0, 0, 1, 1])
        array([[1., 0.],
               [1., 1.]])
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if not 0 < labels.sum() < len(labels):
        raise ValueError("pairs need normal and defective images; there is one kind only")
    defective, normal = scores[..., labels == 1, None], scores[..., None, labels == 0]
    return (defective > normal) + 0.5 * (defective == normal)  # (..., D, G)


def weighted_auroc(pairs: Array, defective: Array, normal: Array) -> Array:
    """AUROC of many resamples of a test set at once, from weights of its images.

    A weight of 0 leaves an image out, 2 counts it twice. So halves and bootstrap are one formula.

    Args:
        pairs: (..., D, G) of `pairs_in_order`.
        defective: (R, D) weights in R resamples.
        normal: (R, G) weights.

    Returns:
        (..., R) AUROC of each resample.

    Example:
        >>> pairs = pairs_in_order([0.1, 0.4, 0.3, 0.8], [0, 0, 1, 1])
        >>> weighted_auroc(pairs, np.array([[1, 1], [1, 0]]), np.array([[1, 1], [1, 1]]))
        array([0.75, 0.5 ])
    """
    in_order = ((defective @ pairs) * normal).sum(axis=-1)  # (..., R)
    return in_order / (defective.sum(axis=1) * normal.sum(axis=1))


def bootstrap_aurocs(scores: ArrayLike, labels: ArrayLike, number: int, rng: np.random.Generator) -> Array:
    """AUROC of test sets that could have been drawn: as many images of each class, with replacement.

    All models see the same resamples, so that their differences are paired.

    Args:
        scores: (K, N) of K models.
        labels: (N,).
        number: of resamples R.
        rng: draws them.

    Returns:
        (K, R).

    Raises:
        ValueError: as for `pairs_in_order`.
    """
    pairs = pairs_in_order(scores, labels)  # (K, D, G)
    d, g = pairs.shape[-2:]
    draws = [rng.multinomial(n, np.full(n, 1 / n), size=number) for n in (d, g)]  # (R, D), (R, G)
    return weighted_auroc(pairs, *draws)


def auroc_error(auroc: float, normal: float, defective: float) -> float:
    """Standard error of an AUROC, from the numbers of images alone.

    Hanley and McNeil, Radiology 143, 1982, for scores that are distributed exponentially: a rule of thumb for
    planning. The bootstrap needs scores but no such assumption.

    Args:
        auroc: expected value, in (0, 1).
        normal: number of normal images.
        defective: number of defective images.

    Example:
        >>> round(auroc_error(0.9, 50, 50), 3)
        0.032
    """
    two_defective = auroc / (2 - auroc)  # chance that two random defective images outscore one normal one
    two_normal = 2 * auroc**2 / (1 + auroc)
    spread = auroc * (1 - auroc)
    spread += (defective - 1) * (two_defective - auroc**2) + (normal - 1) * (two_normal - auroc**2)
    return float(np.sqrt(spread / (normal * defective)))


def difference_error(auroc: float, images: float, correlation: float = 0.0) -> float:
    """Standard error of the difference of two AUROCs on one test set, `images` normal and as many defective.

    Args:
        auroc: of both, about.
        images: of each class.
        correlation: of the two AUROCs over test sets: 0 for two separate sets, near 1 if the models err alike.
    """
    return auroc_error(auroc, images, images) * float(np.sqrt(2 * (1 - correlation)))


def images_needed(low: float, high: float, correlation: float = 0.0) -> int:
    """Images of each class from which the difference of two AUROCs is larger than its 95 % uncertainty.

    Example:
        >>> images_needed(0.985, 0.989) > 10 * images_needed(0.97, 0.99)
        True
    """
    if not 0 < low < high < 1:
        raise ValueError(f"AUROCs must be 0 < low < high < 1; got {low} and {high}")
    middle, reach, most = (low + high) / 2, float(stats.norm.ppf((1 + LEVEL) / 2)), 2
    while reach * difference_error(middle, most, correlation) > high - low:
        most = most * 101 // 100 + 1  # to within a hundredth: the formula is no better
    return most


def likeness(one: Array, other: Array) -> float:
    """Correlation of two models' AUROCs over the same resamples: 0 where one of them never changes.

    Args:
        one, other: (R,) of `bootstrap_aurocs`.

    Example:
        >>> round(likeness(np.array([0.8, 0.9, 0.7]), np.array([0.7, 0.8, 0.6])), 6)
        1.0
    """
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def mean_interval(values: ArrayLike) -> tuple[float, float, float]:
    """Mean of n values and its 95 % interval by Student's t.

    Example:
        >>> [round(v, 2) for v in mean_interval([1.0, 2.0, 3.0])]
        [2.0, -0.48, 4.48]
    """
    values = np.asarray(values, dtype=np.float64)
    reach = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - reach), float(values.mean() + reach)


def share_interval(number: int, of: int) -> tuple[float, float]:
    """Exact 95 % interval of a share that was seen as `number` of `of` (Clopper and Pearson, 1934).

    Example:
        >>> [round(end, 2) for end in share_interval(1, 20)]
        [0.0, 0.25]
    """
    found = stats.binomtest(number, of).proportion_ci(LEVEL, method="exact")
    return float(found.low), float(found.high)


def interval(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def beyond_spread(differences: Sequence[float]) -> bool:
    """Whether paired differences say more than the choice of the seed does.

    The rule of the course: every seed has the same sign, and the mean is larger than the distance between the lowest
    and the highest. No test of significance is hidden in it; with three seeds none would mean much.

    Args:
        differences: one for each seed.

    Example:
        >>> beyond_spread([0.03, 0.04, 0.05]), beyond_spread([0.01, 0.04, 0.06]), beyond_spread([0.04])
        (True, False, False)
    """
    d = np.asarray(differences, dtype=np.float64)
    return len(d) > 1 and bool((np.sign(d) == np.sign(d[0])).all() and abs(d.mean()) > np.ptp(d))
