"""Assignment A2: the distance, both losses, the map, the score, AUPRO from scratch, and a floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from mrkd_edu import metrics
from mrkd_edu.checks import measuring, probes, reverse_distillation, welcome
from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.checks.inputs import VISIBLE, different_sizes, drawing, seeded
from mrkd_edu.distance import add_scales, cosine_distance, distillation_loss, enlarge, gaussian_blur, image_score, unit
from mrkd_edu.distance import anomaly_map as papers_map

Array = np.ndarray
Maps = Sequence[Tensor]
Cases = Mapping[str, tuple[Any, ...]]
HALF_OVERFLOWS = (
    "Right for float32, not for half precision: its largest number is 65504, and sums of squares are larger. Turn both "
    "maps into float32 first."
)
NO_GRADIENT = (
    "The number is right, but it has no gradient: the student cannot learn from it. Give back the tensor, not a plain "
    "number."
)
FLATTENED = (
    "That is one cosine over the whole map. Here every position has a cosine of its own, along the channels, and then "
    "comes the mean."
)


def flattened_loss(T: Maps, S: Maps) -> Tensor:
    """One cosine over the whole map of each scale, mean over the batch, sum over the scales: two lists to a scalar."""
    return distillation_loss(list(T), list(S))


def per_position_loss(T: Maps, S: Maps) -> Tensor:
    """The distance of each position, mean over positions and batch, sum over the scales: two lists to a scalar."""
    return distillation_loss(list(T), list(S), form="per_pixel")


def at_image_size(d: Tensor, size: tuple[int, int]) -> Tensor:
    """Distances at the size of the image, bilinear, with pixel centres in place: (B, h, w) to (B, *size)."""
    return enlarge(d[:, None], size)[:, 0]


def anomaly_map(T: Maps, S: Maps, size: tuple[int, int], sigma: float) -> Tensor:
    """Distances of all scales at the size of the image, added and smoothed: two lists to (B, *size).

    Args:
        T, S: maps of teacher and student, (B, C_k, h_k, w_k).
        size: height and width of the image.
        sigma: of the Gaussian, pixels of the image; 0 is none.
    """
    return papers_map(list(T), list(S), size, sigma=sigma)


def aupro(maps: Array, regions: Array, limit: float) -> float:
    """Area under the per-region overlap of a whole set, up to a false-positive rate, divided by that rate.

    Args:
        maps: anomaly maps, (N, H, W).
        regions: int (N, H, W), 0 for normal pixels, else the number of the region, 1 to R in the whole set.
        limit: of the false-positive rate, in (0, 1].
    """
    return metrics.aupro(maps, regions > 0, limit)


def floored_distance(t: Tensor, s: Tensor, floor: float) -> Tensor:
    """The cosine distance, damped where the teacher's vector is short: (B, C, h, w) twice to (B, h, w)."""
    return cosine_distance(t, s, floor)


# ---- what they are tried on ----------------------------------------------------------------------------------


class _Draws:
    """Maps that are drawn one after another from one seed."""

    def __init__(self, seed: int):
        self.generator = seeded(seed - VISIBLE)
        self.rng = drawing(seed)

    def pair(self, *shape: int) -> tuple[Tensor, Tensor]:
        """Maps of teacher and student (B, C, h, w) that agree more or less from place to place, of many lengths."""
        t, other = (torch.randn(shape, generator=self.generator) for _ in range(2))
        share, size, length = (torch.rand(shape[0], 1, *shape[2:], generator=self.generator) for _ in range(3))
        return t * 4 ** (2 * size - 1), (share * t + (1 - share) * other) * 4 ** (2 * length - 1)

    def scales(self, batch: int, channels: Sequence[int], height: int, width: int) -> tuple[list[Tensor], list[Tensor]]:
        """Maps of several scales, each half as large as the one before."""
        pairs = [self.pair(batch, c, height >> k, width >> k) for k, c in enumerate(channels)]
        return [t for t, _ in pairs], [s for _, s in pairs]


def _of_distance(seed: int) -> Cases:
    draw = _Draws(seed)
    b, c, h, w = different_sizes(draw.rng, 3, 10, 4)
    t, s = draw.pair(b, c, h, w)
    empty_t, empty_s = (x.clone() for x in draw.pair(2, w, c, b))
    empty_t[:, :, 0], empty_s[:, :, :, -1] = 0, 0
    long_t, long_s = draw.pair(2, 16, w, h)
    return {
        "a batch": (t, s),
        "one image": draw.pair(1, h, c, w),
        "one position": draw.pair(3, w, 1, 1),
        "a student 76 times as long": (t, 76 * t + s),
        "short vectors": (0.02 * F.normalize(t, dim=1), 0.02 * F.normalize(s, dim=1)),
        "the same map": (t, t.clone()),
        "opposite directions": (t, -3 * t),
        "vectors of zeros": (empty_t, empty_s),
        "long vectors in half precision": ((90 * long_t).half(), (90 * long_s).half()),
    }


def _of_losses(seed: int) -> Cases:
    draw = _Draws(seed)
    b, c1, c2, c3 = different_sizes(draw.rng, 3, 10, 4)
    h, w = (int(n) for n in 4 * draw.rng.permutation(np.arange(1, 5))[:2])
    T, S = draw.scales(b, (c1, c2, c3), h, w)
    uneven = [t.clone() for t in T]
    for t in uneven:
        t[:, :, 0, 0] *= 30  # one long position
    halves = draw.scales(2, (c3, 16), 2 * w, h)
    return {
        "three scales": (T, S),
        "one scale": draw.scales(b, (c2,), w, h),
        "two scales of one image": draw.scales(1, (c3, c1), w, h),
        "one position much longer than the others": (uneven, S),
        "a student twice as long": (T, [2 * t for t in T]),
        "opposite directions": (T, [-t for t in T]),
        "long vectors in half precision": tuple([(60 * x).half() for x in maps] for maps in halves),
    }


def _of_image_size(seed: int) -> Cases:
    draw = _Draws(seed)
    b, h, w, n = different_sizes(draw.rng, 3, 9, 4)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draw.generator)

    corner = torch.zeros(2, w, n)
    corner[0, 0, 0] = corner[1, -1, -1] = 1.0
    return {
        "four times the size": (drawn(b, h, w), (4 * h, 4 * w)),
        "one map": (drawn(1, w, h), (7 * w, 5 * h)),
        "odd sizes": (drawn(2, n, w), (5 * n + 2, 3 * w + 1)),
        "one position": (drawn(b, 1, 1), (h, n)),
        "one high corner": (corner, (6 * w, 8 * n)),
        "the size it has": (drawn(2, h, n), (h, n)),
        "a smaller size": (drawn(2, 3 * n, 2 * h), (n + 1, h + 1)),
    }


def _of_map(seed: int) -> Cases:
    draw = _Draws(seed)
    b, c1, c2, c3 = different_sizes(draw.rng, 3, 10, 4)
    h, w = (int(n) for n in 4 * draw.rng.permutation(np.arange(2, 5))[:2])
    halves = draw.scales(2, (c2, 12), w, h)
    return {
        "three scales": (*draw.scales(b, (c1, c2, c3), h, w), (4 * h, 4 * w), 1.5),
        "no smoothing": (*draw.scales(b, (c3, c1, c2), w, h), (3 * w, 5 * h), 0.0),
        "one image": (*draw.scales(1, (c2, c3, c1), h, w), (2 * h, 2 * w), 2.0),
        "one scale": (*draw.scales(2, (c1,), w, h), (2 * w, 3 * h), 1.0),
        "odd sizes": (*draw.scales(2, (c2, c1), h - 1, w - 1), (4 * h + 1, 3 * w - 1), 1.0),
        "half precision": (*([x.half() for x in maps] for maps in halves), (4 * w, 4 * h), 1.0),
    }


def _of_scores(seed: int) -> Cases:
    draw = _Draws(seed)
    b, h, w, n = different_sizes(draw.rng, 3, 12, 4)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draw.generator)

    return {
        "a batch": (drawn(b, h, w),),
        "one map": (drawn(1, w, n),),
        "one pixel": (drawn(n, 1, 1),),
        "negative values": (drawn(2, n, h) - 3,),
        "high values": (1e4 * drawn(3, w, h),),
        "half precision": (drawn(b, n, w).half(),),
    }


def _blobs(rng: np.random.Generator, images: int, height: int, width: int, good: int) -> Array:
    """Numbered regions (N, H, W) of several sizes that do not touch; the last `good` images have none."""
    regions, number = np.zeros((images, height, width), int), 0
    while number == 0:
        for image in regions[: images - good]:
            found, count = ndimage.label(rng.random((height, width)) < 0.16, structure=np.ones((3, 3)))
            image[:] = np.where(found > 0, found + number, 0)
            number += count
    return regions


def _scored(rng: np.random.Generator, regions: Array, strength: float = 1.5) -> Array:
    """Anomaly maps that see more of some regions than of others, (N, H, W)."""
    seen = strength * rng.random(int(regions.max()) + 1)
    seen[0] = 0
    return seen[regions] + rng.random(regions.shape)


def _of_pro(seed: int) -> Cases:
    rng = drawing(seed)
    n, h, w, m = different_sizes(rng, 3, 10, 4)
    regions, other = _blobs(rng, n, h, w + 2, good=1), _blobs(rng, 1, m + 3, h + 2, good=0)
    sizes = np.zeros((2, 9, w + 8), int)
    sizes[0, :7, :5], sizes[0, 8, 9], sizes[1, 4:6, 3:5] = 1, 2, 3  # a large region, a pixel, another image
    large, small = sizes == 1, sizes == 2
    return {
        "a set": (_scored(rng, regions) > 0.9, regions),
        "one image": (_scored(rng, other) > 1.1, other),
        "only the large region is found": (large & (rng.random(sizes.shape) < 0.8), sizes),
        "only the small region is found": (small | ((sizes == 0) & (rng.random(sizes.shape) < 0.3)), sizes),
        "nothing is called": (np.zeros(regions.shape, bool), regions),
        "everything is called": (np.ones(regions.shape, bool), regions),
        "one region": (_scored(rng, (sizes == 3) * 1) > 0.6, (sizes == 3) * 1),
    }


def _of_aupro(seed: int) -> Cases:
    rng = drawing(seed)
    n, h, w, m = different_sizes(rng, 4, 10, 4)
    regions, other = _blobs(rng, n, h, w, good=2), _blobs(rng, 1, m + 3, h + 3, good=0)
    hot = _scored(rng, regions)
    hot[-1, 0, 0] = 9.0  # a good image has the hottest pixel
    steep = np.zeros((1, 5, 8), int)
    steep[0, :3, :2], steep[0, 4, 4:6] = 1, 2  # 32 normal pixels
    jump = rng.permutation(np.arange(40.0)).reshape(steep.shape)
    jump[steep == 0] = rng.permutation(32)
    jump[steep > 0] = rng.permutation([40.0, 40.5, 20.5, 23.5, 23.5, 23.5, 23.75, 5.5])  # 8 of 32 lie above 23.5
    return {
        "a set with good images": (_scored(rng, regions), regions, 0.3),
        "one image": (_scored(rng, other), other, 0.3),
        "a small limit": (_scored(rng, regions, 1.0), regions, 0.05),
        "up to 1": (_scored(rng, other, 0.5), other, 1.0),
        "many ties": (np.minimum(np.round(4 * _scored(rng, regions)) / 4, 1.0), regions, 0.3),
        "float32": (_scored(rng, other).astype(np.float32), other, 0.2),
        "a hot pixel in a good image": (hot, regions, 0.3),
        "a jump just at the limit": (jump, steep, 0.25),
        "a perfect map": ((regions > 0) + 0.0, regions, 0.3),
        "the same value everywhere": (np.full(other.shape, 0.7), other, 0.3),
    }


def _of_floors(seed: int) -> Cases:
    draw = _Draws(seed)
    b, c, h, w = different_sizes(draw.rng, 3, 10, 4)
    t, s = draw.pair(b, c, h, w)
    empty, any_student = draw.pair(2, w, c, b)
    empty = empty.clone()
    empty[:, :, 0] = 0
    long_t, long_s = draw.pair(2, 16, w, h)
    return {
        "a batch": (t, s, 0.3),
        "one image": (*draw.pair(1, h, c, w), 1.5),
        "a student 7 times as long": (t, 7 * s, 0.3),
        "a student 76 times as long": (t, 76 * s, 0.3),
        "a student a tenth as long": (t, 0.1 * s, 0.3),
        "short vectors of the teacher": (0.1 * t, s, 0.3),
        "a floor of 0": (t, s, 0.0),
        "a teacher's vectors of zeros": (empty, any_student, 0.5),
        "vectors of zeros and a floor of 0": (empty, any_student, 0.0),
        "long vectors in half precision": ((90 * long_t).half(), (90 * long_s).half(), 20.0),
    }


# ---- what goes wrong -----------------------------------------------------------------------------------------


def _exercise(module: Any, name: str) -> Exercise:
    """A lesson's, of a function that is asked for again."""
    found: Exercise = next(exercise for exercise in module.EXERCISES if exercise.name == name)
    return found


def _summed(one: Callable[[Tensor, Tensor], Any]) -> Callable[..., Any]:
    """A loss from what one scale adds to it."""
    return lambda T, S: sum(one(t, s) for t, s in zip(T, S, strict=True))


def _dots(t: Tensor, s: Tensor) -> Tensor:
    """1 - cos along axis 1, in the precision that comes in."""
    return 1 - (t * s).sum(1) / (t.square().sum(1).sqrt() * s.square().sum(1).sqrt())


def _norms(t: Tensor, s: Tensor) -> Tensor:
    return 1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1))


def _with_epsilon(eps: float) -> Callable[[Tensor, Tensor], Tensor]:
    return _in_float32(lambda t, s: 1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1) + eps))


def _in_float32(one: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, s: one(t.float(), s.float())


def _zero_is_far(one: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, s: torch.where((t * s).sum(1) == 0, 1.0, one(t, s))


def _flat(one: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, s: one(t.flatten(1), s.flatten(1)).mean()


def _averaged(one: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, s: one(t, s).mean()


def _zero_is_near(t: Tensor, s: Tensor) -> Tensor:
    nothing = (t.float().norm(dim=1) == 0) | (s.float().norm(dim=1) == 0)
    return cosine_distance(t, s).masked_fill(nothing, 0.0)


def _pooled_over_scales(T: Maps, S: Maps) -> Tensor:
    return torch.cat([cosine_distance(t, s).flatten() for t, s in zip(T, S, strict=True)]).mean()


def _weighted(t: Tensor, s: Tensor) -> Tensor:
    """Positions weighted by the length of the teacher's vector."""
    length = t.float().norm(dim=1)
    return (cosine_distance(t, s) * length).sum() / length.sum()


def _resized(mode: str, **how: bool) -> Callable[..., Tensor]:
    return lambda d, size: F.interpolate(d[:, None], size, mode=mode, **how)[:, 0]


def _combined(combine: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """`anomaly_map` with another way to put the scales together, (K, B, H, W) to (B, H, W)."""

    def answer(T: Maps, S: Maps, size: Any, sigma: float) -> Tensor:
        maps = combine(torch.stack([papers_map([t], [s], size, sigma=0) for t, s in zip(T, S, strict=True)]))
        return gaussian_blur(maps, sigma) if sigma else maps

    return answer


def _enlarged(resize: Callable[[Tensor, Any], Tensor]) -> Callable[..., Tensor]:
    """`anomaly_map` with another way to enlarge."""

    def answer(T: Maps, S: Maps, size: Any, sigma: float) -> Tensor:
        maps = torch.stack([resize(cosine_distance(t, s), size) for t, s in zip(T, S, strict=True)]).sum(0)
        return gaussian_blur(maps, sigma) if sigma else maps

    return answer


def _blurred_first(T: Maps, S: Maps, size: Any, sigma: float) -> Tensor:
    distances = [cosine_distance(t, s) for t, s in zip(T, S, strict=True)]
    return add_scales([gaussian_blur(d, sigma) if sigma else d for d in distances], size, sigma=0)


def _smoothed_by(mode: str, between_images: bool = False) -> Callable[..., Tensor]:
    """`anomaly_map` smoothed as scipy does it, with other edges, or across the images as well."""

    def answer(T: Maps, S: Maps, size: Any, sigma: float) -> Tensor:
        widths = (sigma if between_images else 0, sigma, sigma)
        maps = anomaly_map(T, S, size, 0.0).numpy()
        return torch.from_numpy(ndimage.gaussian_filter(maps, widths, mode=mode))

    return answer


def _always_blurred(T: Maps, S: Maps, size: Any, sigma: float) -> Tensor:
    return gaussian_blur(anomaly_map(T, S, size, 0.0), sigma)


def _cosines_added(T: Maps, S: Maps, size: Any, sigma: float) -> Tensor:
    """The cosines are enlarged and added, and the distance is taken of the sum."""
    return anomaly_map(T, S, size, sigma) - len(T) + 1


def _per_image(called: Array, regions: Array) -> float:
    """The mean of each image first, then over the images with a region."""
    found = []
    for one, numbers in zip(called, regions, strict=True):
        if own := set(numbers[numbers > 0].tolist()):
            found.append(np.mean([one[numbers == r].mean() for r in own]))
    return float(np.mean(found))


def _curve(
    maps: Array, regions: Array, *, pooled: bool = False, all_pixels: bool = False, grid: int = 0
) -> tuple[Array, Array]:
    """False-positive rate and PRO at each threshold from strict to lenient, without a point at the beginning."""
    thresholds = np.linspace(maps.max(), maps.min(), grid) if grid else np.unique(maps)[::-1]

    def called(where: Array) -> Array:
        return (maps[where] >= thresholds[:, None]).mean(1)

    groups = [regions > 0] if pooled else [regions == r for r in range(1, int(regions.max()) + 1)]
    normal = np.ones(maps.shape, bool) if all_pixels else regions == 0
    return called(normal), np.mean([called(group) for group in groups], axis=0)


def _area(
    how: Callable[[Array, Array, float], float] = measuring.aupro, begin: bool = True, end: bool = True, **curve: Any
) -> Callable[..., float]:
    """`aupro` with another area below the curve, or another curve."""

    def answer(maps: Array, regions: Array, limit: float) -> float:
        fpr, found = _curve(maps, regions, **curve)
        if not end:  # thresholds with `>`: the most lenient one is never reached
            fpr, found = fpr[:-1], found[:-1]
        if begin:
            fpr, found = np.append(0.0, fpr), np.append(0.0, found)
        return how(fpr, found, limit)

    return answer


def _ascending(fpr: Array, found: Array, limit: float) -> float:
    """The area when thresholds go from low to high: the curve runs backwards."""
    return measuring.aupro(np.append(0.0, fpr[::-1]), np.append(0.0, found[::-1]), limit)


def _of_each_image(maps: Array, regions: Array, limit: float) -> float:
    with_region = [i for i, numbers in enumerate(regions) if numbers.any()]
    return float(np.mean([metrics.aupro(maps[[i]], regions[[i]] > 0, limit) for i in with_region]))


def _without_good(maps: Array, regions: Array, limit: float) -> float:
    bad = regions.any((1, 2))
    return metrics.aupro(maps[bad], regions[bad] > 0, limit)


def _in_steps(side: int) -> Callable[[Array, Array, float], float]:
    """The area in rectangles, as high as the curve is at their left (0) or right end (1)."""

    def area(fpr: Array, found: Array, limit: float) -> float:
        x = np.append(fpr[fpr <= limit], limit)
        y = np.append(found[fpr <= limit], np.interp(limit, fpr, found))
        return float(np.sum(np.diff(x) * y[side : len(y) - 1 + side]) / limit)

    return area


def _damped(damp: Callable[[Tensor, Tensor, int, float], Tensor]) -> Callable[..., Tensor]:
    """The distance times a factor, from the lengths of both, the number of channels and the floor."""

    def answer(t: Tensor, s: Tensor, floor: float) -> Tensor:
        if floor == 0:
            return cosine_distance(t, s)
        return cosine_distance(t, s) * damp(t.float().norm(dim=1), s.float().norm(dim=1), t.shape[1], floor)

    return answer


def _in_the_cosine(t: Tensor, s: Tensor, floor: float) -> Tensor:
    t, s = t.float(), s.float()
    return 1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1) + floor * t.shape[1] + (floor == 0) * 1e-20)


def _damped_cosine(t: Tensor, s: Tensor, floor: float) -> Tensor:
    squares = t.float().square().sum(1)
    return 1 - (1 - cosine_distance(t, s)) * squares / (squares + floor * t.shape[1] + (floor == 0) * 1e-20)


def _zero_over_zero(t: Tensor, s: Tensor, floor: float) -> Tensor:
    squares = t.float().square().sum(1)
    return (1 - (unit(t) * unit(s)).sum(1)) * squares / (squares + floor * t.shape[1])


def _half_floor(t: Tensor, s: Tensor, floor: float) -> Tensor:
    squares = t.square().sum(1)
    return cosine_distance(t, s) * (squares / (squares + floor * t.shape[1]) if floor else 1)


ONE_COSINE = "The cosine runs along the last axis, the width. The feature vector lies along the channels: `dim=1`."

EXERCISES = (
    Exercise(
        name="A2.cosine_distance",
        answer=cosine_distance,
        cases=lambda: _of_distance(VISIBLE),
        hidden=_of_distance,
        tolerance=3e-3,
        mistakes=(
            *_exercise(reverse_distillation, "03.cosine_distance").mistakes,
            *(
                Mistake(
                    _in_float32(one),
                    "Right where both vectors have a length. A vector of zeros has none, and 0 / 0 is NaN: the "
                    "distance should be 1 there.",
                )
                for one in (_norms, _dots)
            ),
            Mistake(
                _zero_is_near,
                "Where a vector is zero your distance is 0, as if both agreed. It has no direction: the cosine is 0 "
                "and the distance 1.",
            ),
            *(
                Mistake(
                    _with_epsilon(eps),
                    "You add a small number to the lengths, or do not let them fall below it, and with short vectors "
                    "that counts. Treat the length 0 on its own instead.",
                )
                for eps in (1e-5, 1e-4, 1e-3)
            ),
            *(Mistake(_zero_is_far(one), HALF_OVERFLOWS) for one in (_norms, _dots)),
            Mistake(
                lambda t, s: cosine_distance(t, s)[:, None],
                "The numbers are right, with an axis too many: (B, 1, h, w). One number a position is (B, h, w).",
            ),
            Mistake(
                lambda t, s: 1 - (1 - cosine_distance(t, s)).abs(),
                "Opposite directions should be as far apart as can be, 2. Leave the sign of the cosine as it is.",
            ),
        ),
    ),
    Exercise(
        name="A2.flattened_loss",
        answer=flattened_loss,
        cases=lambda: _of_losses(VISIBLE),
        hidden=_of_losses,
        probe=probes.with_gradients,
        mistakes=(
            *_exercise(reverse_distillation, "03.loss").mistakes,
            Mistake(lambda T, S: flattened_loss(T, S).item(), NO_GRADIENT),
            Mistake(lambda T, S: flattened_loss(T, S).detach(), NO_GRADIENT),
            *(Mistake(_summed(_flat(one)), HALF_OVERFLOWS) for one in (_norms, _dots)),
            Mistake(
                _summed(lambda t, s: (1 - F.cosine_similarity(t.float().flatten(2), s.float().flatten(2), -1)).mean()),
                "That is one cosine for each channel. All numbers of a scale make one vector: `flatten(1)`.",
            ),
            Mistake(
                lambda T, S: flattened_loss(
                    [torch.cat([t.float().flatten(1) for t in T], 1)], [torch.cat([s.float().flatten(1) for s in S], 1)]
                ),
                "All scales went into one vector. Each scale has a cosine of its own, and the losses are added.",
            ),
        ),
    ),
    Exercise(
        name="A2.per_position_loss",
        answer=per_position_loss,
        cases=lambda: _of_losses(VISIBLE),
        hidden=_of_losses,
        probe=probes.with_gradients,
        mistakes=(
            Mistake(flattened_loss, FLATTENED),
            Mistake(_summed(lambda t, s: cosine_distance(t, s).sum()), "The positions are added up. Take their mean."),
            Mistake(
                _summed(lambda t, s: cosine_distance(t, s).sum((1, 2)).mean()),
                "The positions of an image are added up: a scale with more positions would count more. Take their "
                "mean.",
            ),
            Mistake(
                _pooled_over_scales,
                "The positions of all scales went into one mean, so that the finest scale, which has most of them, "
                "decides. One mean a scale; then add.",
            ),
            Mistake(
                lambda T, S: per_position_loss(T, S) / len(T),
                "The scales are averaged. The formula adds them up.",
            ),
            Mistake(
                _summed(lambda t, s: 1 - cosine_distance(t, s).mean()),
                "That is the cosine: it would be made smaller, until the student says the opposite. 1 - cos.",
            ),
            Mistake(
                _summed(lambda t, s: (1 - F.cosine_similarity(t.float(), s.float(), dim=-1)).mean()),
                ONE_COSINE,
            ),
            Mistake(
                _summed(_weighted),
                "Positions where the teacher's vector is long count more. Here all of them count the same.",
            ),
            Mistake(
                _summed(lambda t, s: F.mse_loss(unit(s), unit(t))),
                "That is the mean squared difference of unit vectors, over the channels, too. It is twice the "
                "distance, divided by C: sum over the channels instead, and halve it, or take the cosine.",
            ),
            Mistake(lambda T, S: per_position_loss(T, S).item(), NO_GRADIENT),
            Mistake(lambda T, S: per_position_loss(T, S).detach(), NO_GRADIENT),
            *(Mistake(_summed(_averaged(one)), HALF_OVERFLOWS) for one in (_norms, _dots)),
        ),
    ),
    Exercise(
        name="A2.at_image_size",
        answer=at_image_size,
        cases=lambda: _of_image_size(VISIBLE),
        hidden=_of_image_size,
        mistakes=(
            Mistake(
                _resized("bilinear", align_corners=True),
                "Nearly. The centres of the outermost positions were laid on the centres of the outermost pixels "
                "(`align_corners=True`), and everything is a little out of place, most at the rim.",
            ),
            Mistake(
                _resized("nearest"),
                "The map is enlarged in blocks, each position repeated. Bilinear goes over smoothly from one position "
                "to the next.",
            ),
            Mistake(
                _resized("bicubic", align_corners=False),
                "That is a bicubic enlargement, which overshoots beside high values. Asked is the bilinear one.",
            ),
            Mistake(
                _resized("area"),
                "That is the mean of an area. Asked is bilinear interpolation.",
            ),
            Mistake(
                _resized("bilinear", align_corners=False, antialias=True),
                "Right when the map grows. When it shrinks it is smoothed before: leave `antialias` off.",
            ),
            Mistake(
                lambda d, size: at_image_size(d, (size[1], size[0])),
                "Height and width are exchanged. `size` is (height, width), and `F.interpolate` takes it so.",
            ),
            Mistake(
                lambda d, size: at_image_size(d, size)[:, None],
                "The numbers are right, with an axis too many: (B, 1, H, W). Take the channel axis off again.",
            ),
        ),
    ),
    Exercise(
        name="A2.anomaly_map",
        answer=anomaly_map,
        cases=lambda: _of_map(VISIBLE),
        hidden=_of_map,
        mistakes=(
            Mistake(
                _combined(lambda maps: maps.mean(0)),
                "That is the mean of the scales. The formula adds them up.",
            ),
            Mistake(
                _combined(lambda maps: maps.amax(0)),
                "At each pixel the largest scale counts alone. The formula adds all of them up.",
            ),
            Mistake(_combined(lambda maps: maps[0]), "Only the finest scale is in the map. Add the others."),
            Mistake(
                _combined(lambda maps: maps[-1]),
                "Only the last scale is in the map: is the sum overwritten in every turn of the loop?",
            ),
            Mistake(
                _combined(lambda maps: maps.prod(0)),
                "The scales are multiplied. The formula adds them up.",
            ),
            Mistake(
                lambda T, S, size, sigma: anomaly_map(T, S, size, 0.0),
                "The sum is right, and never smoothed. `ndimage.gaussian_filter` does it.",
            ),
            *(
                Mistake(
                    _smoothed_by(mode, between_images=True),
                    "The smoothing goes across the images, too: the map of one is mixed with that of the next. Give a "
                    "sigma for each axis, and 0 for the first.",
                )
                for mode in ("mirror", "reflect", "nearest", "constant")
            ),
            *(
                Mistake(
                    _smoothed_by(mode),
                    "Right in the middle, not at the border of the image. What lies beyond it is mirrored at the "
                    'centre of the outermost pixel: `mode="mirror"`.',
                )
                for mode in ("reflect", "nearest", "constant")
            ),
            Mistake(
                _blurred_first,
                "The small maps are smoothed and enlarged afterwards. Sigma is in pixels of the image: enlarge first.",
            ),
            Mistake(
                _always_blurred,
                "With sigma 0 there should be no smoothing. The formula of a Gaussian divides by sigma: leave it out "
                "then.",
            ),
            Mistake(
                _enlarged(_resized("nearest")),
                "The maps are enlarged in blocks. Use `at_image_size`, which goes over smoothly.",
            ),
            Mistake(
                _enlarged(_resized("bilinear", align_corners=True)),
                "The maps are enlarged with `align_corners=True`, which moves everything a little. Use your "
                "`at_image_size`.",
            ),
            Mistake(
                _cosines_added,
                "The cosines were added up before the distance was taken. Each scale has a distance of its own, and "
                "these are added.",
            ),
            Mistake(
                lambda T, S, size, sigma: anomaly_map(T, S, (size[1], size[0]), sigma),
                "Height and width are exchanged: `size` is (height, width).",
            ),
        ),
    ),
    replace(
        _exercise(welcome, "00.image_score"),
        name="A2.image_score",
        answer=image_score,
        cases=lambda: _of_scores(VISIBLE),
        hidden=_of_scores,
    ),
    Exercise(
        name="A2.pro",
        answer=measuring.pro,
        cases=lambda: _of_pro(VISIBLE),
        hidden=_of_pro,
        mistakes=(
            *_exercise(measuring, "06b.pro").mistakes,
            Mistake(
                _per_image,
                "That is a mean for each image first, then over the images. A region of an image with many would count "
                "less: one mean over all regions of the set.",
            ),
        ),
    ),
    Exercise(
        name="A2.aupro",
        answer=aupro,
        cases=lambda: _of_aupro(VISIBLE),
        hidden=_of_aupro,
        tolerance=1e-4,
        mistakes=(
            Mistake(
                _area(pooled=True),
                "All defect pixels are pooled, so that a large region decides. At each threshold take the PRO, the "
                "mean over the regions.",
            ),
            Mistake(
                _of_each_image,
                "That is the AUPRO of each image, then the mean: every image gets thresholds of its own. There is one "
                "curve for the whole set.",
            ),
            Mistake(
                _without_good,
                "The good images are left out. Their pixels are normal pixels, and belong to the false-positive rate.",
            ),
            Mistake(
                _area(all_pixels=True),
                "The false-positive rate is taken over all pixels. It is the share of the *normal* ones that is "
                "called: regions == 0.",
            ),
            *(Mistake(_area(of_curve), says) for of_curve, says in _exercise(measuring, "06b.aupro").mistakes),
            Mistake(
                _area(_ascending, begin=False),
                "The thresholds go from low to high, so that the curve runs backwards. Begin with the strictest, the "
                "largest value.",
            ),
            Mistake(
                _area(begin=False),
                "The curve begins at its first threshold. It should begin at (0, 0), where nothing is called: with "
                "ties at the top a piece of the area is missing.",
            ),
            Mistake(
                _area(end=False),
                "The curve does not reach (1, 1): a pixel is called where the map is *at least* the threshold, so that "
                "the lowest threshold calls everything.",
            ),
            *(
                Mistake(
                    _area(grid=number),
                    "The thresholds are a grid of evenly spaced numbers. Between two of them there can be many "
                    "pixels. Take every value that occurs in the maps: `np.unique`.",
                )
                for number in (10, 20, 50, 100, 200, 500, 1000)
            ),
            *(
                Mistake(
                    _area(_in_steps(side)),
                    "The area is made of rectangles. Between two points the curve is a straight line: width times the "
                    "mean of both heights.",
                )
                for side in (0, 1)
            ),
        ),
    ),
    Exercise(
        name="A2.floored_distance",
        answer=floored_distance,
        cases=lambda: _of_floors(VISIBLE),
        hidden=_of_floors,
        mistakes=(
            Mistake(
                _damped(lambda t, s, c, floor: t * s / (t * s + floor * c)),
                "The answer changes when the student answers 7 times as long, and nobody chose that length: the floor "
                "is on a product with the student's length in it. Put s and 7 s in, and look which lengths may be in "
                "it.",
            ),
            Mistake(
                _damped(lambda t, s, c, floor: s * s / (s * s + floor * c)),
                "The floor is on the student's length, which is free. It should damp where the *teacher* says `as "
                "usual`.",
            ),
            Mistake(
                _damped(lambda t, s, c, floor: (t * t + s * s) / (t * t + s * s + floor * c)),
                "The student's length is in the floor: put s and 7 s in, and the answer changes. Which of the two "
                "lengths did the loss choose?",
            ),
            Mistake(
                _damped(lambda t, s, c, floor: torch.minimum(t, s) ** 2 / (torch.minimum(t, s) ** 2 + floor * c)),
                "The shorter of the two vectors is looked at, and that can be the student's. Its length is free.",
            ),
            Mistake(
                _in_the_cosine,
                "The floor went into the cosine's denominator. Then short vectors get a cosine of 0, a *large* "
                "distance, and the student's length counts again. The distance as a whole is damped.",
            ),
            Mistake(
                _damped_cosine,
                "The cosine was damped, so that short vectors come out far apart, 1. Damp the distance: short vectors "
                "say nothing.",
            ),
            Mistake(
                _damped(lambda t, s, c, floor: t * t / (t * t + floor)),
                "The number of channels C is missing: the squared length of a standardised vector is C on average, and "
                "the floor is measured in that.",
            ),
            *(
                Mistake(
                    _damped(damp),
                    "The length should be squared: the sum of the squares, without a root.",
                )
                for damp in (
                    lambda t, s, c, floor: t / (t + floor * c),
                    lambda t, s, c, floor: t / (t + floor * c**0.5),
                    lambda t, s, c, floor: t / (t + floor),
                )
            ),
            Mistake(
                _damped(lambda t, s, c, floor: t * 0 + 1),
                "The floor is not used: that is the plain cosine distance.",
            ),
            Mistake(
                _damped(lambda t, s, c, floor: (t * t > floor * c).float()),
                "That cuts off: a vector just below the floor counts nothing, one just above it fully. The factor of "
                "the formula goes over smoothly.",
            ),
            Mistake(
                _damped(lambda t, s, c, floor: floor * c / (t * t + floor * c)),
                "The wrong way round: long vectors are damped, and short ones count.",
            ),
            Mistake(
                _zero_over_zero,
                "With a floor of 0 a teacher's vector of zeros gives 0 / 0. Without a floor the answer is the plain "
                "distance.",
            ),
            Mistake(
                _half_floor,
                "Right for float32, not for half precision: its largest number is 65504, and the squared lengths are "
                "larger. Turn both maps into float32 first.",
            ),
        ),
    ),
)
