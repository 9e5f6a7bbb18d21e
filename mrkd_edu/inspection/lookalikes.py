"""The same picture twice: saved again, resized, brightened, or the same part photographed a second time.

Perceptual hashes (aHash, dHash, pHash, the package imagehash) are the wrong yardstick here. They tell a beach from a
face; but all pictures of one product show the same thing in the same place, and their hashes are nearly equal. What
tells two bottles apart is only what is *not* common to all bottles. So what all have in common is subtracted first.

- A thumbnail is 48 x 48 grey, as logarithm: another exposure adds a constant to it, which is taken out again.
- Cells in which pixels are blown out do not count: there a brighter exposure has lost what it showed.
- The set's mean thumbnail is subtracted. What is left of two pictures is compared by their correlation.
- Where a set falls into groups (two sorts of a product, two lamps), the mean of all is that of neither, and all of one
  group look alike. So a pair must hold out against the mean of its own neighbours, too.

Measured: the largest correlation of each picture with a different one, and the smallest with itself, changed.

                     different                   the same, changed
                     median   90 %   largest     JPEG q75   half size   20 % brighter   2 % cropped
    bottle             0.62   0.78     0.969        0.999       0.999           0.989          0.25
    commutator         0.19   0.31     0.555        1.000       1.000           0.963          0.88
    magnetic_tile      0.84   0.92     0.965        0.999       0.995           0.984          0.79
    toy metal          0.74   0.86     0.901        0.999       0.999           0.998          0.81
    toy fabric         0.24   0.36     0.395        1.000       0.996           1.000          0.55
    toy surface        0.16   0.25     0.479        0.999       0.996           0.999          0.61
    toy tray           0.85   0.92     0.939        1.000       0.999           1.000          0.63

With the limit 0.975 not one of these 1696 pictures was taken for another one. One in five was added again, as JPEG, at
half the size, or brighter: 1013 of 1014 were found. So were many photographs of one tile in magnetic_tile, where the
numbers in the files' names tell (there, "different" is more than 4000 apart): 115 pairs, none of two tiles; a limit of
0.95 would have added 12 false ones. Bottles 069 and 070 of MVTec AD, 0.969, may be one bottle. A picture that was
cropped is not found: what is cut off moves everything else.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

SIDE = 48  # of a thumbnail, in cells
LIFT = 8.0  # of 255, added before the logarithm: the noise of black is not to become large
BLOWN, BLOWN_SHARE = 250, 0.05  # grey values from here on are blown out; a cell may hold this share of such pixels
VALID_SHARE = 0.25  # a picture that has fewer cells which are not blown out is compared in all of them
LIMIT = 0.975  # of the correlation
HELD_OUT = 0.8  # of the correlation that is left when the mean of a pair's neighbours is subtracted
NEIGHBOURS = 16  # whose mean a pair must hold out against
FEWEST = 12  # pictures: of fewer one cannot tell what they have in common
SAME = 0.005  # of the logarithm, root mean square: JPEG changes a thumbnail by 0.002 to 0.004, parts by 0.04 and more
BLOCK = 512  # pictures compared at once with as many others: 1 MB a matrix
CLOSEST = 4  # others that are looked at for each picture


def thumbnail(rgb: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """What is compared of a picture.

    Args:
        rgb: of mode RGB, any size.

    Returns:
        The logarithm of its brightness, (48 * 48) float32 with the mean 0, and which cells count, (48 * 48) bool.

    Example:
        >>> values, valid = thumbnail(Image.new("RGB", (100, 60), (80, 90, 100)))
        >>> values.shape, float(values.std()), bool(valid.all())
        ((2304,), 0.0, True)
    """
    grey = rgb.convert("L")
    blown = grey.point([0] * BLOWN + [255] * (256 - BLOWN)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    cells = grey.convert("F").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    values = np.log(np.asarray(cells, np.float32).ravel() + LIFT)
    valid = np.asarray(blown).ravel() <= 255 * BLOWN_SHARE
    if valid.mean() < VALID_SHARE:
        valid = np.ones_like(valid)
    return values - values[valid].mean(), valid


def lookalikes(values: np.ndarray, valid: np.ndarray, limit: float = LIMIT) -> list[tuple[int, int, float]]:
    """Pairs of pictures that show the same.

    Args:
        values: thumbnails, (N, 2304) float32, see `thumbnail`.
        valid: which of their cells count, (N, 2304) bool.
        limit: of the correlation.

    Returns:
        `(i, j, correlation)` with i < j, the most alike first; of many that are all alike not every pair. Nothing
        for fewer than 12 pictures: of these one cannot tell what all have in common.

    Example:
        >>> pictures = np.random.default_rng(0).normal(size=(20, 2304)).astype(np.float32)
        >>> pictures[7] = pictures[3] + 0.1 * pictures[4]
        >>> [(i, j) for i, j, _ in lookalikes(pictures, np.ones(pictures.shape, bool))]
        [(3, 7)]
    """
    number = len(values)
    if number < FEWEST:
        return []
    weight = valid.astype(np.float32)  # (N, C)
    apart = (values - _mean(values, weight)) * weight  # 0 where a cell does not count
    nearest, alike = _closest(apart, weight, min(NEIGHBOURS + 1, number - 1))  # (N, K) each
    pairs = {}
    for i in range(number):
        for j, correlation in zip(nearest[i][:CLOSEST].tolist(), alike[i][:CLOSEST].tolist(), strict=True):
            both = valid[i] & valid[j]
            difference = (values[i] - values[j])[both]
            same = bool(both.any()) and float(difference.std()) < SAME
            if same or (correlation >= limit and _holds_out(i, j, values, weight, nearest[i])):
                pairs[min(i, j), max(i, j)] = 1.0 if same else float(correlation)
    return sorted(((i, j, c) for (i, j), c in pairs.items()), key=lambda pair: -pair[2])


def spread(values: np.ndarray, valid: np.ndarray) -> float:
    """How far a picture of the set is from the mean of all: the median of the root mean squares.

    Below `SAME` they are one picture, but for what saving it has changed.
    """
    weight = valid.astype(np.float32)
    squares = ((values - _mean(values, weight)) * weight) ** 2
    return float(np.median(np.sqrt(squares.sum(axis=1) / np.maximum(weight.sum(axis=1), 1))))


def groups(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Pairs that hang together, as groups.

    Example:
        >>> groups([(0, 3), (5, 6), (3, 4)])
        [[0, 3, 4], [5, 6]]
    """
    group: dict[int, set[int]] = {}
    for i, j in pairs:
        joined = group.get(i, {i}) | group.get(j, {j})
        group.update(dict.fromkeys(joined, joined))
    return sorted({min(members): sorted(members) for members in group.values()}.values())


def _mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The mean of thumbnails where they count, (C,)."""
    return (values * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)


def _closest(apart: np.ndarray, weight: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """For each picture the others that are most like it, the nearest first: their indices and correlations, (N, K)."""
    number = len(apart)
    nearest, alike = np.empty((number, most), np.int64), np.empty((number, most), np.float32)
    squares = apart * apart
    simple = bool(weight.all())  # every cell counts: one product instead of six
    unit = apart - apart.mean(axis=1, keepdims=True)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-6)
    for start in range(0, number, BLOCK):
        rows = slice(start, min(start + BLOCK, number))
        found = np.empty((rows.stop - start, number), np.float32)
        if simple:
            found = unit[rows] @ unit.T
        for other in range(0, 0 if simple else number, BLOCK):
            columns = slice(other, other + BLOCK)
            w, v, a, b = weight[rows], weight[columns].T, apart[rows], apart[columns].T
            cells = np.maximum(w @ v, 1)  # that count in both
            sum_a, sum_b = a @ v, w @ b
            both = a @ b - sum_a * sum_b / cells
            spread_a = squares[rows] @ v - sum_a**2 / cells
            spread_b = w @ squares[columns].T - sum_b**2 / cells
            found[:, columns] = both / np.sqrt(np.maximum(spread_a * spread_b, 1e-12))
        found[np.arange(len(found)), np.arange(rows.start, rows.stop)] = -np.inf
        order = np.argpartition(-found, most - 1, axis=1)[:, :most]
        order = np.take_along_axis(order, np.argsort(-np.take_along_axis(found, order, 1), axis=1, kind="stable"), 1)
        nearest[rows], alike[rows] = order, np.take_along_axis(found, order, 1)
    return nearest, alike


def _holds_out(
    i: int, j: int, values: np.ndarray, weight: np.ndarray, neighbours: np.ndarray
) -> bool:
    """Whether two pictures are still alike when the mean of their neighbours is subtracted, not that of all."""
    others = [k for k in neighbours if k != j][:NEIGHBOURS]
    both = (weight[i] * weight[j]) > 0
    mean = _mean(values[others], weight[others])
    a, b = ((values[k] - mean)[both] for k in (i, j))
    spread = float(a.std() * b.std())
    return spread > 0 and float(((a - a.mean()) * (b - b.mean())).mean()) / spread >= HELD_OUT
