"""Lesson 02: features in common units, the nearest normal feature, and a map at the size of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from mrkd_edu.checks.exercise import Cases, Exercise, Mistake
from mrkd_edu.checks.inputs import seeded
from mrkd_edu.distance import enlarge, gaussian_blur
from mrkd_edu.standardise import SMALLEST

CHANNELS, FLAT = (0, 2, 3), 1  # the axes of a channel's statistics; the channel that never changes


def standardise(t: Tensor, normal: Tensor) -> Tensor:
    """Maps in units of normal ones, channel by channel: (B, C, h, w) and (N, C, h, w) to (B, C, h, w).

    A channel that never changes in `normal` is only centred.
    """
    std, mean = torch.std_mean(normal.float(), dim=CHANNELS, keepdim=True)  # (1, C, 1, 1)
    return ((t - mean) / torch.where(std > SMALLEST, std, 1.0)).to(t.dtype)


def nearest(f: Tensor, bank: Tensor) -> Tensor:
    """Distance of each position to the most similar entry of a bank: (N, C, h, w) and (b, C) to (N, h, w)."""
    rows = f.flatten(2).mT  # (N, h w, C)
    return torch.stack([torch.cdist(one, bank).amin(1) for one in rows]).view(-1, *f.shape[-2:])


def at_image_size(d: Tensor, size: int, sigma: float) -> Tensor:
    """Distances at the size of the image, smoothed: (B, h, w) to (B, size, size)."""
    return gaussian_blur(enlarge(d[:, None], (size, size))[:, 0], sigma)


# --- inputs ---------------------------------------------------------------------------------------------------


def _features(number: int, channels: int, height: int, width: int, *, seed: int = 0) -> Tensor:
    """Maps whose channels differ in mean and deviation, (N, C, h, w)."""
    drawn = torch.randn(number, channels, height, width, generator=seeded(seed))
    each = torch.arange(channels).view(1, -1, 1, 1)
    return drawn * (0.5 + each) + 3 - 2 * each


def _odd(*shape: int) -> Tensor:
    """Maps of images that are not normal: larger, and elsewhere."""
    return 1.4 * _features(*shape, seed=1) + 0.8


def _of_standardising() -> Cases:
    normal, flat, flat_normal = _features(6, 5, 16, 12), _odd(6, 3, 16, 12), _features(6, 3, 16, 12)
    flat[:, FLAT] = flat_normal[:, FLAT] = 0.0
    return {
        "six images": (_odd(6, 5, 16, 12), normal),
        "the normal maps themselves": (normal, normal),
        "one image of odd sizes": (_odd(1, 4, 7, 9), _features(16, 4, 7, 9)),
        "half precision": (_odd(6, 5, 16, 12).half(), normal.half()),
        "a channel that never changes": (flat, flat_normal),
    }


def _of_nearest() -> Cases:
    two = _features(2, 4, 6, 5)
    return {
        "three images": (_features(3, 5, 4, 6), _features(2, 5, 3, 4, seed=1).permute(0, 2, 3, 1).flatten(0, 2)),
        "one image of odd sizes": (_features(1, 3, 5, 7), _features(11, 3, 1, 1, seed=1)[:, :, 0, 0]),
        "a bank of one": (_features(2, 4, 3, 3), torch.tensor([[1.0, -2.0, 0.5, 3.0]])),
        "positions that are in the bank": (two, two[0].flatten(1).T.contiguous()),
    }


def _of_image_size() -> Cases:
    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=seeded(0))

    corner = torch.zeros(1, 6, 6)
    corner[0, 0, 0] = 1.0
    return {
        "three maps": (drawn(3, 8, 8), 32, 2.0),
        "one map": (drawn(1, 6, 6), 48, 3.0),
        "odd sizes": (drawn(2, 5, 7), 30, 1.5),
        "a flat map": (torch.ones(2, 4, 4), 16, 2.0),
        "one high corner": (corner, 24, 1.0),
    }


# --- typical mistakes ---------------------------------------------------------------------------------------------


def _statistics(
    axes: tuple[int, ...], says: str, *, of_normal: bool = True, centre: bool = True, power: int = 1
) -> Iterator[Mistake]:
    """One mistake, with a division by 0 and without; with n or n - 1 in the deviation."""
    for smallest in (SMALLEST, -1.0):
        for correction in (0, 1):

            def answer(t: Tensor, normal: Tensor, smallest: float = smallest, correction: int = correction) -> Tensor:
                source = (normal if of_normal else t).float()
                std, mean = torch.std_mean(source, dim=axes, keepdim=True, correction=correction)
                return (t - (mean if centre else 0)) / torch.where(std > smallest, std, 1.0) ** power

            yield Mistake(answer, says)


def _nearest_by(pick: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """`nearest` with another way to get one number from the distances to the bank, (N, h w, b) to (N, h w)."""
    return lambda f, bank: pick(torch.cdist(f.flatten(2).mT, bank)).view(-1, *f.shape[-2:])


def _cosine(f: Tensor, bank: Tensor) -> Tensor:
    rows = F.normalize(f.flatten(2).mT, dim=2)  # (N, h w, C)
    return (1 - rows @ F.normalize(bank, dim=1).T).amin(2).view(-1, *f.shape[-2:])


def _rows_in_order(order: tuple[int, ...]) -> Callable[[Tensor, Tensor], Tensor]:
    """`nearest` with the axes of `f` in another order before it becomes rows."""

    def answer(f: Tensor, bank: Tensor) -> Tensor:
        rows = f.permute(order).reshape(-1, f.shape[1])
        return torch.cdist(rows, bank).amin(1).view(-1, *f.shape[-2:])

    return answer


def _blurred_first(d: Tensor, size: int, sigma: float) -> Tensor:
    return enlarge(gaussian_blur(d, sigma)[:, None], (size, size))[:, 0]


def _resized(mode: str, **how: bool) -> Callable[[Tensor, int, float], Tensor]:
    """`at_image_size` with another way to enlarge."""
    return lambda d, size, sigma: gaussian_blur(F.interpolate(d[:, None], (size, size), mode=mode, **how)[:, 0], sigma)


BLUR_FIRST = (
    "That blurs the small map and enlarges it afterwards. The width of the blur is in pixels of the image: enlarge "
    "first."
)
WRONG_ROWS = (
    "Channels and positions got mixed up: a row must hold the C numbers of one position. `reshape` and `view` do not "
    "exchange axes, they only cut the same row of numbers anew. Bring the channel axis to the end first."
)

EXERCISES = (
    Exercise(
        name="02.standardise",
        answer=standardise,
        cases=_of_standardising,
        mistakes=(
            *_statistics(CHANNELS, "Nearly: centred, but divided by the variance. Divide by its root.", power=2),
            *_statistics(
                CHANNELS, "The deviation is right, but the mean is still in it. Take it off first.", centre=False
            ),
            Mistake(
                lambda t, normal: t - normal.float().mean(CHANNELS, keepdim=True),
                "Centred, and not yet scaled: each channel keeps its own size. Divide by its deviation.",
            ),
            *_statistics(
                (0,),
                "Mean and deviation are taken over the images only, so that each position has its own. A channel has "
                "one of each: average over height and width, too.",
            ),
            *_statistics(
                CHANNELS,
                "Mean and deviation come from `t`, the maps that are to be judged. Then a defect helps to decide what "
                "is usual. Take both from `normal`.",
                of_normal=False,
            ),
            *(
                mistake
                for of_normal in (True, False)
                for mistake in _statistics(
                    (2, 3),
                    "Every image has a mean and a deviation of its own here. What is usual is asked of all normal "
                    "images together: average over the images, too.",
                    of_normal=of_normal,
                )
            ),
            *(
                mistake
                for axes in ((1,), (1, 2, 3))
                for of_normal in (True, False)
                for mistake in _statistics(
                    axes,
                    "The average runs over the channels, axis 1. It should run over everything else, so that each "
                    "channel keeps its own mean and deviation.",
                    of_normal=of_normal,
                )
            ),
            *_statistics(
                (0, 1, 2, 3),
                "There is one mean and one deviation for all channels together. Each channel needs its own: leave out "
                "axis 1 when you average.",
            ),
            *(
                Mistake(
                    lambda t, normal, one=correction: (
                        (t - normal.mean(CHANNELS, keepdim=True)) / normal.std(CHANNELS, keepdim=True, correction=one)
                    ),
                    "Right for channels that change. One that never changes has the deviation 0, and 0 / 0 is NaN: "
                    "see that you never divide by 0.",
                )
                for correction in (0, 1)
            ),
        ),
    ),
    Exercise(
        name="02.nearest",
        answer=nearest,
        cases=_of_nearest,
        tolerance=5e-3,  # `torch.cdist` is not exact where a distance is nearly 0
        mistakes=(
            Mistake(
                _nearest_by(lambda d: d.mean(2)),
                "That is the mean distance to all of the bank. Most of what is normal looks different from this "
                "position; asked is how far the most similar entry is.",
            ),
            Mistake(
                _nearest_by(lambda d: d.amax(2)),
                "That is the distance to the least similar entry. Asked is the most similar one.",
            ),
            Mistake(
                _nearest_by(lambda d: d.square().amin(2)),
                "That is the squared distance. The formula has the length itself: take the root.",
            ),
            Mistake(
                _nearest_by(lambda d: d.argmin(2)),
                "That says which entry is nearest, its number in the bank. Asked is how far it is.",
            ),
            Mistake(
                lambda f, bank: torch.cdist(f.flatten(2).mT, bank).amin((1, 2)),
                "That is one number an image: the minimum over the positions, too. Each position keeps its own "
                "distance; only the bank is minimised over.",
            ),
            Mistake(
                lambda f, bank: torch.cdist(f.flatten(2).mT, bank).amin(2),
                "The distances are right, in one row for each image. Give them their height and width back.",
            ),
            Mistake(_rows_in_order((0, 1, 2, 3)), WRONG_ROWS),
            Mistake(
                _rows_in_order((0, 3, 2, 1)),
                "Height and width changed places on the way. Bring the channel axis to the end and leave the others "
                "in their order.",
            ),
            Mistake(
                _rows_in_order((2, 3, 0, 1)),
                "The positions come in another order than the answer is cut into. Keep the images first, then height, "
                "then width, and the channel axis last.",
            ),
            Mistake(_cosine, "That is a cosine distance. Asked is the length of the difference f - b."),
            Mistake(
                lambda f, bank: torch.cdist(f.flatten(2).mT, bank, p=1).amin(2).view(-1, *f.shape[-2:]),
                "That adds up the differences of the channels. The length adds up their squares, and takes the root.",
            ),
        ),
    ),
    Exercise(
        name="02.at_image_size",
        answer=at_image_size,
        cases=_of_image_size,
        mistakes=(
            Mistake(
                lambda d, size, sigma: enlarge(d[:, None], (size, size))[:, 0],
                "Enlarged, and not smoothed: one noisy position would decide. Blur what you have.",
            ),
            Mistake(lambda d, size, sigma: _blurred_first(d, size, sigma), BLUR_FIRST),
            Mistake(lambda d, size, sigma: _blurred_first(d, size, sigma * d.shape[-1] / size), BLUR_FIRST),
            Mistake(
                _resized("nearest"),
                "The map is enlarged in blocks, each position repeated. `enlarge` goes over smoothly from one to the "
                "next.",
            ),
            Mistake(
                _resized("bilinear", align_corners=True),
                "Nearly. The centres of the outermost positions were laid on the centres of the outermost pixels "
                "(`align_corners=True`), and everything is a little out of place, most at the rim. `enlarge` keeps "
                "centres in place.",
            ),
            Mistake(
                _resized("bicubic", align_corners=False),
                "That is a bicubic enlargement, which overshoots beside high values. `enlarge` is bilinear.",
            ),
            Mistake(
                lambda d, size, sigma: at_image_size(d, size, sigma)[:, None],
                "The numbers are right, with an axis too many: (B, 1, size, size). Take the channel axis off again.",
            ),
        ),
    ),
)
