"""Numbers of lesson 08: counting, choosing on the test set, and six mistakes in AUPRO."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from mrkd_edu.judging.confusion import confusion as confusion  # the lesson begins with it
from mrkd_edu.lessons.statistics import pairs_in_order, weighted_auroc
from mrkd_edu.metrics import Array, aupro, f1_max

GRID = 200  # thresholds, evenly spaced: what published code usually takes
RIGHT = "as defined"  # the name of the right value in `aupro_mistakes`


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
    shares = np.array([share_at_least(part, thresholds) for part in [normal, *regions]])  # (1 + R, P)
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


def share_at_least(values: Array, thresholds: Array) -> Array:
    """Share of the values that reach each threshold: (P,)."""
    return 1 - np.searchsorted(np.sort(values), thresholds, side="left") / len(values)
