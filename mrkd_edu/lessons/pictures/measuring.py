"""What a metric means, and how sure it is: pure functions, and the pictures of them.

The upper half computes and draws nothing: verdicts at a threshold, AUROC as pairs in order, AUPRO as published code
gets it wrong, what is gained by choosing on the test set, how sure an AUROC is. The lower half draws. The rules are
those of `plots.py`: results in, a new picture out; titles that say the finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import ArrayLike
from scipy import ndimage, stats
from sklearn.metrics import roc_curve

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import read_image
from mrkd_edu.figures.results import (
    THRESHOLDS_SHOWN,
    TIMES,
    Picture,
    colour_of,
    dashes,
    frameless,
    in_our_style,
    outline,
    overlay,
    percent_axes,
    shared_scale,
    verdict_threshold,
)
from mrkd_edu.metrics import Array, aupro, f1_max, image_auroc, pro_curve
from mrkd_edu.study.evaluate import Evaluation

LEVEL = 0.95  # of every interval here
GRID = 200  # thresholds, evenly spaced: what published code usually takes
RIGHT = "as defined"  # the name of the right value in `aupro_mistakes`
HONEST_COLOUR, FLATTERED_COLOUR = "#0072B2", "#D55E00"  # measured on other images; on those that were chosen by


# ---- verdicts at a threshold -------------------------------------------------------------------------------


class Confusion(NamedTuple):
    """What the verdicts of one threshold come to, in images.

    Example:
        >>> counts = Confusion(found=8, missed=2, false_alarms=2, passed=8)
        >>> counts.recall, counts.false_alarm_rate, counts.precision, counts.f1
        (0.8, 0.2, 0.8, 0.8)
    """

    found: int
    missed: int
    false_alarms: int
    passed: int

    @property
    def recall(self) -> float:
        """Share of the defective images that is found: true-positive rate."""
        return self.found / max(1, self.found + self.missed)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the normal images that is called defective: false-positive rate."""
        return self.false_alarms / max(1, self.false_alarms + self.passed)

    @property
    def precision(self) -> float:
        """Share of the images called defective that is defective."""
        return self.found / max(1, self.found + self.false_alarms)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.found / max(1, 2 * self.found + self.missed + self.false_alarms)


def confusion(scores: ArrayLike, labels: ArrayLike, threshold: float) -> Confusion:
    """Count the verdicts of a threshold: an image is called defective when `score > threshold`, as everywhere.

    Args:
        scores: (N,) image scores.
        labels: (N,) 0 normal, 1 defective.
        threshold: in the unit of the scores.

    Example:
        >>> confusion([0.1, 0.4, 0.3, 0.8], [0, 0, 1, 1], threshold=0.35)
        Confusion(found=1, missed=1, false_alarms=1, passed=1)
    """
    called, defective = np.asarray(scores) > threshold, np.asarray(labels) == 1
    pairs = ((called, defective), (~called, defective), (called, ~defective), (~called, ~defective))
    return Confusion(*(int((one & other).sum()) for one, other in pairs))


# ---- AUROC as pairs in the right order ---------------------------------------------------------------------


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


# ---- choosing on the test set ------------------------------------------------------------------------------


class Choice(NamedTuple):
    """What was promised and what was kept, over H random halves, each used both ways.

    Attributes:
        same: (2H,) the metric on the half that was chosen by.
        other: (2H,) the same choice on the other half.
        chosen: (2H,) what was chosen: the index of a stage, or a threshold.
    """

    same: Array
    other: Array
    chosen: Array

    @property
    def optimism(self) -> float:
        """How much too good the first one is, on average."""
        return float((self.same - self.other).mean())


def random_halves(labels: ArrayLike, number: int, rng: np.random.Generator) -> Array:
    """Divide a test set in two at random, many times; each class is divided evenly.

    Args:
        labels: (N,).
        number: of divisions H.
        rng: draws them.

    Returns:
        (H, N) bool: True is in the first half.

    Raises:
        ValueError: a class has fewer than 2 images.

    Example:
        >>> halves = random_halves([0, 0, 1, 1, 1, 1], 3, np.random.default_rng(0))
        >>> halves.sum(axis=1).tolist()
        [3, 3, 3]
    """
    labels = np.asarray(labels)
    halves = np.zeros((number, len(labels)), dtype=bool)
    for label in (0, 1):
        places = np.flatnonzero(labels == label)
        if len(places) < 2:
            raise ValueError(f"a half needs an image of each class; class {label} has {len(places)} images")
        for half in halves:
            half[rng.permutation(places)[: len(places) // 2]] = True
    return halves


def choose_stage(scores: ArrayLike, labels: ArrayLike, halves: Array) -> Choice:
    """Choose the model with the best AUROC on one half, and look at its AUROC on both.

    Args:
        scores: (K, N) of K models, for instance the stages of one training; the first of several best is taken.
        labels: (N,).
        halves: (H, N) of `random_halves`.

    Example:
        >>> labels = np.array([0, 0, 1, 1])
        >>> chosen = choose_stage([[0.1, 0.2, 0.8, 0.9]], labels, random_halves(labels, 5, np.random.default_rng(0)))
        >>> chosen.optimism  # one model: there is nothing to choose
        0.0
    """
    labels = np.asarray(labels)
    pairs = pairs_in_order(scores, labels)  # (K, D, G)
    both = np.concatenate([halves, ~halves])  # (2H, N)
    first, second = (
        weighted_auroc(pairs, part[:, labels == 1].astype(int), part[:, labels == 0].astype(int))
        for part in (both, ~both)
    )  # (K, 2H) each
    chosen = first.argmax(axis=0)
    every = np.arange(len(both))
    return Choice(first[chosen, every], second[chosen, every], chosen)


def choose_threshold(scores: ArrayLike, labels: ArrayLike, halves: Array) -> Choice:
    """Choose the threshold of the best F1 on one half, and look at its F1 on both.

    Args:
        scores: (N,) of one model.
        labels: (N,).
        halves: (H, N) of `random_halves`.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    rows = []
    for half in np.concatenate([halves, ~halves]):  # (N,)
        best, threshold = f1_max(scores[half], labels[half])
        rows.append((best, confusion(scores[~half], labels[~half], threshold).f1, threshold))
    return Choice(*np.array(rows).T)


# ---- AUPRO, wrongly ----------------------------------------------------------------------------------------


def region_overlaps(maps: ArrayLike, masks: ArrayLike, thresholds: ArrayLike) -> tuple[Array, Array]:
    """The textbook loop: at each threshold, the false-positive rate, and the share found of each region.

    Args:
        maps: (N, H, W).
        masks: (N, H, W) bool.
        thresholds: (P,).

    Returns:
        False-positive rates (P,), overlaps (R, P) of R regions (8-connected).

    Example:
        >>> maps = np.array([[[9.0, 3.0, 1.0, 2.0]]])
        >>> fpr, overlaps = region_overlaps(maps, maps != 3.0, [9.0, 2.0])
        >>> fpr.tolist(), overlaps.tolist()
        ([0.0, 1.0], [[1.0, 1.0], [0.0, 0.5]])
    """
    maps, masks = np.asarray(maps), np.asarray(masks)
    regions = []
    for anomaly_map, mask in zip(maps, masks, strict=True):
        numbered, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [anomaly_map[numbered == r] for r in range(1, count + 1)]
    thresholds = np.asarray(thresholds)
    normal = maps[~masks]
    shares = np.array([_share_at_least(part, thresholds) for part in [normal, *regions]])  # (1 + R, P)
    return shares[0], shares[1:]


def aupro_mistakes(maps: ArrayLike, masks: ArrayLike, limit: float = 0.3, grid: int = GRID) -> dict[str, float]:
    """AUPRO as it is defined, and with each mistake of published code alone.

    Args:
        maps: (N, H, W).
        masks: (N, H, W) bool; images without a defect are the good ones.
        limit: the false-positive rate at which the integral stops.
        grid: number of thresholds in the code that takes a grid of them.

    Returns:
        Name to value. `"as defined"` is `metrics.aupro`. `"per image"`: each defective image alone, averaged.
        `"no good images"`: the set without them. `"observed limit"`: thresholds on a grid, points beyond the limit
        dropped, the area divided by the largest false-positive rate that is left. `"grid, cut"`: the same divided
        by the limit, so that the piece between the last point and the limit is missing.

    Raises:
        ValueError: as for `metrics.aupro`.
    """
    maps, masks = np.asarray(maps), np.asarray(masks)
    defective = masks.any(axis=(1, 2))
    right = aupro(maps, masks, limit)
    alone = [aupro(m[None], k[None], limit) for m, k in zip(maps[defective], masks[defective], strict=True)]
    thresholds = np.linspace(maps.max(), maps.min(), grid)  # falling: the rate rises
    fpr, overlaps = region_overlaps(maps, masks, thresholds)
    kept = fpr < limit
    fpr, pro = fpr[kept], overlaps.mean(axis=0)[kept]
    area = float((np.diff(fpr) * (pro[1:] + pro[:-1]) / 2).sum())
    return {
        RIGHT: right,
        "per image": float(np.mean(alone)),
        "no good images": aupro(maps[defective], masks[defective], limit),
        "observed limit": area / float(fpr[-1]) if len(fpr) and fpr[-1] > 0 else 0.0,
        "grid, cut": area / limit,
    }


def per_image_scale(maps: Array) -> Array:
    """Every map stretched to its own range, 0 to 1, as many heat maps in papers are: (N, H, W) to the same.

    Example:
        >>> per_image_scale(np.array([[[1.0, 2.0, 3.0]], [[10.0, 20.0, 30.0]]])).tolist()
        [[[0.0, 0.5, 1.0]], [[0.0, 0.5, 1.0]]]
    """
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return (maps - low) / np.maximum(high - low, np.finfo(maps.dtype).tiny)


# ---- pictures: verdicts and curves -------------------------------------------------------------------------


@in_our_style
def roc_by_threshold(evaluation: Evaluation, thresholds: Sequence[float]) -> Picture:
    """Where thresholds A, B, C, ... cut the scores, and which points of the ROC curve that gives.

    Args:
        evaluation: with normal and defective images.
        thresholds: in the unit of the scores.

    Raises:
        ValueError: normal or defective images are missing.
    """
    scores, labels = evaluation.scores, evaluation.labels
    area = image_auroc(scores, labels)
    colour, unit = colour_of(evaluation.variant), verdict_threshold(evaluation)
    figure = Picture(figsize=(10.4, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    rng = np.random.default_rng(0)  # of the jitter alone
    for label, name, shade in ((0, "normal", "#555555"), (1, "defective", colour)):
        mine = scores[labels == label] / unit
        left.plot(mine, label + rng.uniform(-0.22, 0.22, len(mine)), "o", color=shade, alpha=0.6, label=name)
    left.set(yticks=[0, 1], yticklabels=["normal", "defective"], ylim=(-0.5, 1.75), xlabel="image score / threshold")
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    right.fill_between(fpr, tpr, color=colour, alpha=0.15, linewidth=0)
    right.plot(fpr, tpr, color=colour)
    right.plot([0, 1], [0, 1], color="#777777", linewidth=1.2, linestyle=":")
    for letter, threshold in zip("ABCDEFGH", thresholds, strict=False):
        counts = confusion(scores, labels, threshold)
        left.axvline(threshold / unit, color="black", linewidth=1.5, linestyle="--")
        left.text(threshold / unit, 1.58, letter, ha="center", backgroundcolor="white", weight="bold")
        at = counts.false_alarm_rate, counts.recall
        right.plot(*at, "o", color="black", markersize=9, clip_on=False, zorder=5)
        right.annotate(letter, at, (8, -16), textcoords="offset points", weight="bold")
    right.text(0.55, 0.3, f"area {area:.3f}", ha="center", fontsize=13)
    percent_axes(right, "normal images called defective (false-positive rate)", "defective images found")
    right.set(xlim=(-0.02, 1), ylim=(0, 1.03))
    left.set_title("Each threshold cuts both rows ...")
    right.set_title("... and is one point of the curve")
    return figure


@in_our_style
def pixel_sweep(evaluation: Evaluation) -> Picture:
    """Pixels at each threshold: the ROC curve beside what is called defective and is.

    Args:
        evaluation: with masks.

    Raises:
        ValueError: there are no masks.
    """
    if evaluation.masks is None:
        raise ValueError("pixels need ground-truth masks; this data set has none")
    maps, masks, colour = evaluation.maps, evaluation.masks, colour_of(evaluation.variant)
    found = np.linspace(0.01, 1, 100)  # share of the defect pixels
    defect = np.sort(maps[masks])[::-1]
    thresholds = defect[np.ceil(found * len(defect)).astype(int) - 1]
    false = _share_at_least(maps[~masks], thresholds)
    false_pixels = false * (~masks).sum()
    true_pixels = found * len(defect)
    precision = true_pixels / (true_pixels + false_pixels)
    figure = Picture(figsize=(10.4, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, *false, 1], [0, *found, 1], color=colour)
    left.plot([0, 1], [0, 1], color="#777777", linewidth=1.2, linestyle=":")
    right.plot(found, precision, color=colour)
    right.axhline(masks.mean(), color="#777777", linewidth=1.2, linestyle=":")
    right.text(0.02, masks.mean() + 0.02, "chance: share of defect pixels", fontsize=11)
    half = int(np.argmin(abs(found - 0.5)))
    left.plot(false[half], found[half], "o", color="black", markersize=9)
    right.plot(found[half], precision[half], "o", color="black", markersize=9)
    percent_axes(left, "normal pixels called defective", "defect pixels found")
    percent_axes(right, "defect pixels found", "called defective and right (precision)")
    right.set_ylim(0, 1.03)
    left.set_title(f"Half found: {100 * false[half]:.1f} % of the normal pixels")
    right.set_title(f"... but of 100 pixels called, {100 * (1 - precision[half]):.0f} are normal")
    return figure


# ---- pictures: AUPRO ---------------------------------------------------------------------------------------


@in_our_style
def pro_by_hand(maps: Array, masks: Array, limit: float = 0.3) -> Picture:
    """A small case: the values with the regions framed, then the overlap of each region, their mean and its area.

    Args:
        maps: (1, H, W), a few pixels.
        masks: (1, H, W) bool.
        limit: of the false-positive rate.

    Raises:
        ValueError: as for `metrics.pro_curve`.
    """
    curve, thresholds = pro_curve(maps, masks), np.unique(maps)[::-1]
    fpr, overlaps = region_overlaps(maps, masks, thresholds)  # (P,), (R, P)
    figure = Picture(figsize=(10.4, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(maps[0], cmap="Greys", vmin=0, vmax=1.6 * maps.max())
    for (row, column), value in np.ndenumerate(maps[0]):
        left.text(column, row, f"{value:g}", ha="center", va="center", fontsize=12)
        if masks[0, row, column]:
            frame = Rectangle((column - 0.44, row - 0.44), 0.88, 0.88, fill=False, edgecolor=HONEST_COLOUR, linewidth=3)
            left.add_patch(frame)
    left.set(xticks=[], yticks=[])
    left.grid(visible=False)
    for number, overlap in enumerate(overlaps):
        name = f"region {number + 1}"
        right.plot([0, *fpr], [0, *overlap], color="#555555", linestyle=dashes(number + 1), linewidth=1.8, label=name)
    right.plot(curve.fpr, curve.pro, color=HONEST_COLOUR, label="mean: PRO")
    before = curve.fpr < limit
    inside = [*curve.fpr[before], limit]
    height = [*curve.pro[before], np.interp(limit, curve.fpr, curve.pro)]
    right.fill_between(inside, height, color=HONEST_COLOUR, alpha=0.2, linewidth=0)
    right.axvline(limit, color="black", linewidth=1.5, linestyle="--")
    right.text(limit + 0.015, 0.06, f"limit {limit:g}")
    percent_axes(right, "normal pixels called defective", "share of a region found")
    right.set(xlim=(-0.01, 1), ylim=(0, 1.03))
    right.legend(loc="lower right")
    area = aupro(maps, masks, limit)
    left.set_title("Values; defect pixels are framed")
    right.set_title(f"Shaded area {limit * area:.3f}, by {limit:g}: AUPRO {area:.3f}")
    return figure


@in_our_style
def mistake_bars(cases: Mapping[str, Mapping[str, float]]) -> Picture:
    """AUPRO as defined, and what each mistake makes of it, one panel a case.

    Args:
        cases: name of the case to what `aupro_mistakes` gives.

    Raises:
        ValueError: there is no case.

    Example:
        >>> figure = mistake_bars({"run": {"as defined": 0.6, "per image": 0.75, "no good images": 0.5}})
        >>> figure.axes[0].get_title(loc="left")
        'run:\\n0.50 to 0.75, right is 0.60'
    """
    if not cases:
        raise ValueError("there is no case to draw")
    figure = Picture(figsize=(5.4 * len(cases), 3.8), layout="constrained")
    panels = figure.subplots(1, len(cases), sharey=True, squeeze=False)[0]
    for ax, (case, values) in zip(panels, cases.items(), strict=True):
        names, heights = list(values), list(values.values())
        right = values[RIGHT]
        colours = [HONEST_COLOUR if name == RIGHT else FLATTERED_COLOUR for name in names]
        ax.barh(names, heights, color=colours)
        for row, (name, height) in enumerate(values.items()):  # beside the bars: no line runs through them
            ax.text(1.02, row, f"{height:.3f}" + ("" if name == RIGHT else f" ({height - right:+.3f})"), va="center")
        ax.axvline(right, color="black", linewidth=1.5, linestyle="--")
        ax.set(xlim=(0, 1.65), xticks=np.linspace(0, 1, 6), xlabel="AUPRO")
        ax.grid(axis="y", visible=False)
        ax.set_title(f"{case}:\n{min(heights):.2f} to {max(heights):.2f}, right is {right:.2f}")
    panels[0].invert_yaxis()
    return figure


# ---- pictures: thresholds and choices ----------------------------------------------------------------------


@in_our_style
def promised_false_alarms(promised: Sequence[float], false_alarms: Sequence[int], images: int) -> Picture:
    """Share of false alarms that was promised, against what was seen on good images, with its 95 % interval.

    Args:
        promised: shares, each with its own threshold.
        false_alarms: how many of the good test images were called defective by that threshold.
        images: number of good test images.

    Raises:
        ValueError: the lengths differ or there are no images.

    Example:
        >>> figure = promised_false_alarms([0.05, 0.2], [0, 4], 20)
        >>> figure.axes[0].get_title(loc="left")
        '2 of 2 promises lie in what 20 images can tell'
    """
    if images < 1 or len(promised) != len(false_alarms) or not len(promised):
        raise ValueError("promised and false_alarms must have one length, of at least one image")
    ends = np.array([share_interval(int(k), images) for k in false_alarms])  # (P, 2)
    seen = np.array(false_alarms) / images
    inside = int(((ends[:, 0] <= promised) & (promised <= ends[:, 1])).sum())
    figure = Picture(figsize=(6.4, 4.8), layout="constrained")
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color="black", linewidth=1.5, linestyle="--", label="promise kept")
    bars = [np.maximum(seen - ends[:, 0], 0), np.maximum(ends[:, 1] - seen, 0)]
    label = f"seen, {100 * LEVEL:.0f} % interval"
    ax.errorbar(promised, seen, yerr=bars, fmt="o", color=HONEST_COLOUR, capsize=4, linewidth=1.8, label=label)
    top = 1.05 * float(max(ends.max(), *promised))
    percent_axes(ax, "false alarms promised", f"false alarms seen on {images} good images")
    ax.set(xlim=(0, 1.1 * max(promised)), ylim=(-0.02, top))
    ax.legend(loc="upper left")
    ax.set_title(f"{inside} of {len(promised)} promises lie in what {images} images can tell")
    return figure


@in_our_style
def chosen_on_test(choices: Mapping[str, Choice], metric: str) -> Picture:
    """What was promised on the half that was chosen by, and what the other half shows; one panel a way to choose.

    Args:
        choices: name of the way to choose to what it gave.
        metric: its name, with its unit if it has one.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> choice = Choice(np.array([0.9, 0.8]), np.array([0.7, 0.8]), np.array([0, 1]))
        >>> chosen_on_test({"best stage": choice}, "image AUROC").axes[0].get_title(loc="left")
        'best stage: 0.850, then 0.750 (0.100 too good)'
    """
    if not choices:
        raise ValueError("there is no choice to draw")
    together = np.concatenate([part for c in choices.values() for part in (c.same, c.other)])
    bins = np.linspace(together.min() - 0.005, together.max() + 0.005, 30)
    figure = Picture(figsize=(7.4, 0.9 + 2.5 * len(choices)), layout="constrained")
    panels = figure.subplots(len(choices), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, choice) in zip(panels, choices.items(), strict=True):
        groups = (("same half", choice.same, FLATTERED_COLOUR), ("other half", choice.other, HONEST_COLOUR))
        for number, (half, values, colour) in enumerate(groups):
            ax.hist(values, bins=bins, color=colour, alpha=0.5, label=half)
            mean = float(values.mean())
            ax.axvline(mean, color=colour, linestyle=dashes(number), label=f"its mean, {mean:.3f}")
        verdict = f"{abs(choice.optimism):.3f} too {'good' if choice.optimism >= 0 else 'bad'}"
        if abs(choice.optimism) < 0.0005:
            verdict = "no optimism"
        ax.set_title(f"{name}: {choice.same.mean():.3f}, then {choice.other.mean():.3f} ({verdict})")
        ax.set_ylabel("halves")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        ax.legend(loc="upper left")
    panels[-1].set_xlabel(metric)
    return figure


@in_our_style
def two_scales(data: AnomalyFolder, evaluation: Evaluation, indices: Sequence[int]) -> Picture:
    """The same images with each map stretched to its own range, and with all maps on one scale.

    Args:
        data: the test set.
        evaluation: of it.
        indices: which of the N test images, one a row.

    Raises:
        ValueError: no image.
    """
    if not len(indices):
        raise ValueError("two_scales needs at least one index of a test image")
    stretched, fixed = per_image_scale(evaluation.maps), shared_scale(verdict_threshold(evaluation))
    hot = [
        100 * float((maps[evaluation.labels == 0] > middle).mean())
        for maps, middle in ((stretched, 0.5), (evaluation.maps, fixed[1] / THRESHOLDS_SHOWN))
    ]  # share of the pixels of good images above the middle colour
    figure = Picture(figsize=(9.6, 3.2 * len(indices) + 0.7), layout="constrained")
    axes = figure.subplots(len(indices), 3, squeeze=False)
    for row, index in zip(axes, indices, strict=True):
        image = read_image(data.test[index].path, max(256, evaluation.maps.shape[-1]))  # (S, S, 3)
        row[0].imshow(image if evaluation.masks is None else outline(image, evaluation.masks[index]))
        row[1].imshow(overlay(image, stretched[index], (0.0, 1.0)))
        row[2].imshow(overlay(image, evaluation.maps[index], fixed))
        row[0].set_xlabel(data.test[index].kind, fontsize=12)
        multiple = evaluation.scores[index] / verdict_threshold(evaluation)
        row[1].set_xlabel("hottest pixel: 1, always", fontsize=12)
        row[2].set_xlabel(f"hottest pixel: {multiple:.2f} {TIMES} threshold", fontsize=12)
    for ax in axes.ravel():
        frameless(ax)
    for ax, title in zip(axes[0], ("image", "scale of its own", "one fixed scale"), strict=True):
        ax.set_title(title)
    finding = f"Good images: {hot[0]:.0f} % of the pixels look hot on scales of their own, {hot[1]:.1f} % on one scale"
    figure.suptitle(finding, x=0.01, ha="left")
    return figure


# ---- pictures: how sure ------------------------------------------------------------------------------------


@in_our_style
def auroc_intervals(resampled: Mapping[str, Array], images: int) -> Picture:
    """AUROC of each model over resampled test sets, and the difference of the last and the first, with 95 % intervals.

    Args:
        resampled: variant to (R,) of `bootstrap_aurocs`, the same resamples for all.
        images: in the test set, for the title.

    Raises:
        ValueError: fewer than two models.
    """
    if len(resampled) < 2:
        raise ValueError("a difference needs two models")
    figure = Picture(figsize=(10.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    ends = {name: _interval(values) for name, values in resampled.items()}
    everything = np.concatenate(list(resampled.values()))
    bins = np.linspace(everything.min() - 0.005, everything.max() + 0.005, 36)
    for number, (name, values) in enumerate(resampled.items()):
        colour = colour_of(name)
        left.hist(values, bins=bins, color=colour, alpha=0.45)
        height = -0.045 * (number + 1)
        bar = {"transform": left.get_xaxis_transform(), "clip_on": False, "solid_capstyle": "butt"}
        left.plot(ends[name], [height, height], color=colour, linewidth=5, **bar)
        left.plot([], [], color=colour, linewidth=5, label=f"{name}  {ends[name][0]:.2f} to {ends[name][1]:.2f}")
    left.tick_params(axis="x", pad=28)  # room for the bars
    first, last = next(iter(resampled)), list(resampled)[-1]
    difference = resampled[last] - resampled[first]
    low, high = _interval(difference)
    right.hist(difference, bins=31, color="#777777", alpha=0.6)
    right.axvspan(low, high, color=HONEST_COLOUR, alpha=0.15)
    right.axvline(0, color="black", linewidth=2, linestyle="--")
    left.set(xlabel="image AUROC", ylabel="resampled test sets")
    right.set(xlabel=f"image AUROC of {last} minus {first}", ylabel="resampled test sets")
    left.legend(loc="upper left")
    widest = max(top - bottom for bottom, top in ends.values())
    left.set_title(f"{images} images:\nintervals of up to {100 * widest:.0f} points")
    better = "which is better stays open" if low <= 0 <= high else f"{last if low > 0 else first} is better"
    right.set_title(f"{100 * low:+.1f} to {100 * high:+.1f} points:\n{better}")
    return figure


@in_our_style
def images_for_a_difference(low: float, high: float, correlations: Sequence[float], images: int) -> Picture:
    """How small a difference of two AUROCs a test set can tell, against its size.

    Args:
        low, high: the two AUROCs to be told apart.
        correlations: of the models' AUROCs, one line each.
        images: of each class in the test set at hand, marked.

    Example:
        >>> figure = images_for_a_difference(0.985, 0.989, [0.0, 0.8], 25)
        >>> "images of each class" in figure.axes[0].get_xlabel()
        True
    """
    figure = Picture(figsize=(7.4, 4.8), layout="constrained")
    ax = figure.subplots()
    numbers = np.geomspace(10, 20000, 60)
    reach = float(stats.norm.ppf((1 + LEVEL) / 2))
    middle, wanted = (low + high) / 2, []
    for number, correlation in enumerate(correlations):
        sure = [100 * reach * difference_error(middle, n, correlation) for n in numbers]
        shade = (HONEST_COLOUR, "#009E73", "#CC79A7", "#E69F00")[number % 4]
        ax.plot(numbers, sure, linestyle=dashes(number), color=shade, label=f"correlation {correlation:.2f}")
        wanted.append(images_needed(low, high, correlation))
        ax.plot(wanted[-1], 100 * (high - low), "o", color="black", zorder=5)
    ax.axhline(100 * (high - low), color="black", linewidth=1.5, linestyle="--")
    ax.text(20000, 107 * (high - low), f"{100 * low:.1f} or {100 * high:.1f} %?", ha="right")
    ax.axvline(images, color="#777777", linewidth=1.5, linestyle=":", label="this test set")
    ax.set(xscale="log", yscale="log", xlabel="images of each class (logarithmic)")
    ax.set_ylabel("smallest difference told, points (logarithmic)")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.minorticks_off()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.legend(loc="upper right")
    ordered = " or ".join(_rounded(n) for n in wanted)
    ax.set_title(f"{100 * low:.1f} against {100 * high:.1f} % takes {ordered}\nimages of each class")
    return figure


@in_our_style
def category_differences(before: Mapping[str, float], after: Mapping[str, float], metric: str) -> Picture:
    """The difference of two methods in each category, and the 95 % interval of the mean difference.

    Args:
        before, after: category to the metric in percent; the same categories, at least 2.
        metric: its name.

    Raises:
        ValueError: the categories differ, or there are fewer than 2.

    Example:
        >>> figure = category_differences({"a": 97.0, "b": 99.0}, {"a": 98.0, "b": 99.0}, "image AUROC")
        >>> figure.axes[0].get_title(loc="left")
        'Mean +0.50 points, interval -5.85 to +6.85: 0 is in it'
    """
    if before.keys() != after.keys() or len(before) < 2:
        raise ValueError("before and after need the same categories, at least 2")
    gains = {name: after[name] - before[name] for name in sorted(before, key=lambda name: after[name] - before[name])}
    mean, low, high = mean_interval(list(gains.values()))
    figure = Picture(figsize=(7.8, 1.4 + 0.29 * len(gains)), layout="constrained")
    ax = figure.subplots()
    colours = [HONEST_COLOUR if gain >= 0 else FLATTERED_COLOUR for gain in gains.values()]
    ax.hlines(list(gains), 0, list(gains.values()), color=colours, linewidth=2)
    ax.scatter(list(gains.values()), list(gains), color=colours, s=45, zorder=3)
    ax.axvspan(low, high, color="#777777", alpha=0.2, label="mean, 95 % interval")
    ax.axvline(mean, color="#555555", linestyle="--")
    ax.axvline(0, color="black", linewidth=1.5)
    ax.set_xlabel(f"difference in {metric}, points")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right")
    verdict = "0 is in it" if low <= 0 <= high else "0 is not in it"
    ax.set_title(f"Mean {mean:+.2f} points, interval {low:+.2f} to {high:+.2f}: {verdict}")
    return figure


# ---- how it is done ----------------------------------------------------------------------------------------


def _share_at_least(values: Array, thresholds: Array) -> Array:
    """Share of the values that reach each threshold: (P,)."""
    return 1 - np.searchsorted(np.sort(values), thresholds, side="left") / len(values)


def _interval(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _rounded(number: int) -> str:
    """Two digits are what the rule of thumb is worth."""
    return f"{float(f'{number:.2g}'):g}"
