"""Image-level masking (ILM): paste a synthetic anomaly into a normal image.

The student sees the anomalous image and must produce the teacher's features of the normal one.
The anomalies are those of NSA (Schlueter, Tan, Hou, Kainz, "Natural Synthetic Anomalies for Self-Supervised
Anomaly Detection and Localization", ECCV 2022): a rectangle is cut from a normal image, rescaled, and put
somewhere else in another normal image, by plain pasting (`swap`) or by Poisson blending (`poisson`).

This file makes the pictures, the masks and the boxes, and holds the settings of the 15 MVTec AD categories.
It knows nothing of teacher and student.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from scipy.fft import dstn, idstn

# Half height and half width of a patch, as shares of the image side: 0.03 + Gamma(shape 2, scale 0.05).
SMALLEST_HALF, GAMMA_SHAPE, GAMMA_SCALE = 0.03, 2.0, 0.05
MIN_SIDE = 3  # pixels; the smallest patch, and the smallest that has an inside for Poisson blending
TRIES = 100  # draws of size and place for a patch; a few milliseconds when none of them fits
NOISE_FLOOR = 3  # grey levels; a smaller change in every channel cannot be told from camera and JPEG noise
CLOSING = 7  # pixels; gaps in the mask narrower than this are places where old and new agree by chance
GRAIN = 5  # pixels; the median filter that removes specks from the foreground


@dataclass(frozen=True)
class NSA:
    """Settings of the synthetic anomalies. A share is a fraction of the image's height or width.

    Attributes:
        height: bounds of a patch's half height where it is cut, share of the image height.
        width: bounds of a patch's half width where it is cut, share of the image width.
        patches: number of patches at most; the first is always tried, each further one with probability 1/2.
        rescale: bounds of the factor between the patch that is cut and the patch that is put down.
        blend: "swap" pastes, "poisson" blends seamlessly, "mix" tosses a coin for every patch.
        source: "other" cuts from another image, "same" from another place in the image itself.
        background: grey level and tolerance of a plain background, both 0..255; None for textures.
        min_object: with a background, the least share of the cut patch that must be object.
        min_overlap: with a background, the least share of the patch's object that must land on object.

    Raises:
        ValueError: a setting is outside its range; the message names it.

    Example:
        >>> NSA(patches=1, blend="swap").blend
        'swap'
        >>> NSA(blend="paste")
        Traceback (most recent call last):
        ValueError: blend is 'paste'; choose one of swap, poisson, mix
    """

    height: tuple[float, float] = (0.03, 0.40)
    width: tuple[float, float] = (0.03, 0.40)
    patches: int = 3
    rescale: tuple[float, float] = (0.7, 1.3)
    blend: str = "poisson"
    source: str = "other"
    background: tuple[int, int] | None = None
    min_object: float = 0.7
    min_overlap: float = 0.25

    def __post_init__(self) -> None:
        for name, choices in (("blend", ("swap", "poisson", "mix")), ("source", ("other", "same"))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}")
        for name, top in (("height", 0.5), ("width", 0.5), ("rescale", 4.0)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= top:
                raise ValueError(f"{name} is {(low, high)}; give 0 < low <= high <= {top}")
        if self.patches < 1:
            raise ValueError(f"patches is {self.patches}; give 1 or more")
        for name in ("min_object", "min_overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give a share between 0 and 1")
        if self.background is not None and not all(0 <= grey <= 255 for grey in self.background):
            raise ValueError(f"background is {self.background}; give grey level and tolerance, both 0..255")


# For any folder of images. Chosen by looking at what it draws on objects and on textures: half of the patches
# have sharp edges, like cracks and broken pieces, and half blend in, like stains and wear; on a plain
# background at least half of a patch's object lies on the object, so that few patches hang in the air.
DEFAULT = NSA(blend="mix", source="other", min_overlap=0.5)

_ANY, _SMALL, _TINY = (0.03, 0.40), (0.01, 0.05), (0.01, 0.01)  # bounds of half sizes
_LIGHT, _DARK = (200, 60), (20, 20)  # backgrounds: grey level, tolerance


def _published(
    height: tuple[float, float],
    width: tuple[float, float],
    patches: int,
    background: tuple[int, int] | None = None,
    min_object: float = 0.7,
) -> NSA:
    return NSA(height, width, patches, blend="mix", background=background, min_object=min_object)


PRESETS: dict[str, NSA] = {
    "bottle": _published(_ANY, _ANY, 3, _LIGHT),
    "cable": _published(_SMALL, (0.01, 0.10), 3),
    "capsule": _published(_SMALL, _SMALL, 1, _LIGHT),
    "carpet": _published(_ANY, _ANY, 4),
    "grid": _published(_SMALL, (0.01, 0.10), 4),
    "hazelnut": _published((0.03, 0.35), (0.03, 0.35), 3, _DARK),
    "leather": _published(_ANY, _ANY, 4),
    "metal_nut": _published(_SMALL, _TINY, 1, _DARK, min_object=0.5),
    "pill": _published(_SMALL, _SMALL, 1, _DARK),
    "screw": _published(_SMALL, _SMALL, 1, _LIGHT, min_object=0.5),
    "tile": _published(_SMALL, (0.01, 0.10), 4),
    "toothbrush": _published(_TINY, _TINY, 1, _DARK, min_object=0.25),
    "transistor": _published(_ANY, _ANY, 3),
    "wood": _published(_SMALL, _TINY, 4),
    "zipper": _published(_SMALL, _TINY, 1, _LIGHT),
}
"""The 15 categories of MVTec AD: sizes, number of patches and backgrounds as the authors of MRKD set them.

Blending and source are those of `DEFAULT`. The published MRKD code pastes from the image itself, which is
`dataclasses.replace(PRESETS["bottle"], blend="swap", source="same")`; NSA's own code blends from another
image, which is `replace(PRESETS["bottle"], blend="poisson")`. In metal_nut, toothbrush, wood and zipper the
bounds of the width have collapsed to 0.01 of the side, so that every patch is about 5 pixels wide at 256
pixels; in toothbrush it is as small in height.
"""


def preset(category: str, images: torch.Tensor | None = None) -> NSA:
    """The settings for a category: those of `PRESETS`, else `DEFAULT`.

    Args:
        category: name of the category, such as "bottle".
        images: a few normal images, uint8 RGB, (B, 3, H, W). Given for a category without a preset, they tell
            whether there is a plain background (`estimate_background`).

    Returns:
        The settings; change one with `dataclasses.replace`.

    Example:
        >>> preset("screw").background, preset("my parts") == DEFAULT
        ((200, 60), True)
    """
    if category in PRESETS:
        return PRESETS[category]
    return DEFAULT if images is None else replace(DEFAULT, background=estimate_background(images))


class Box(NamedTuple):
    """A rectangle in an image, in pixels.

    Example:
        >>> np.arange(12).reshape(3, 4)[Box(top=1, left=2, height=2, width=2).slices]
        array([[ 6,  7],
               [10, 11]])
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The index that cuts the box out of an (H, W) or (H, W, 3) array."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


class Anomaly(NamedTuple):
    """A normal image with a synthetic anomaly. Outside the mask it equals the normal image, bit for bit.

    Attributes:
        image: uint8 RGB, (H, W, 3).
        mask: bool, (H, W), True where the image really changed.
        boxes: the patches that left a visible change, as boxes in the image.
    """

    image: np.ndarray
    mask: np.ndarray
    boxes: list[Box]


def foreground(image: np.ndarray, background: tuple[int, int]) -> np.ndarray:
    """Where the object is: `|grey - level| > tolerance`, cleaned of specks and pores by a 5x5 median.

    Args:
        image: uint8 RGB, (H, W, 3).
        background: grey level and tolerance of the background, both 0..255.

    Returns:
        bool, (H, W), True on the object.

    Example:
        >>> image = np.full((9, 9, 3), 250, np.uint8)
        >>> image[:, 3:] = 40  # the object
        >>> image[4, 1] = 0  # a speck of dust
        >>> foreground(image, (255, 20))[4]
        array([False, False, False,  True,  True,  True,  True,  True,  True])
    """
    level, tolerance = background
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.int16)  # (H, W), signed for the difference
    objects = (np.abs(grey - level) > tolerance).astype(np.uint8)
    return cv2.medianBlur(objects, GRAIN).astype(bool)


def estimate_background(images: torch.Tensor) -> tuple[int, int] | None:
    """Grey level and tolerance of a plain background, or None where there is none (textures).

    An object on a plain surface leaves the rim of the image to the surface. The median of all rim pixels is
    the background if 95 % of them lie within 16 grey levels of it, and if 5 % to 95 % of all pixels differ
    from it by more than the tolerance, so that there is an object. The tolerance is twice the distance within
    which those 95 % lie, and 20 at least.

    Args:
        images: uint8 RGB, (B, 3, H, W); ten normal images are plenty.

    Returns:
        `(level, tolerance)` for `NSA.background`, or None.

    Example:
        >>> images = torch.full((2, 3, 64, 64), 250, dtype=torch.uint8)
        >>> estimate_background(images) is None  # nothing but background: no object
        True
        >>> images[:, :, 16:48, 16:48] = 30
        >>> estimate_background(images)
        (250, 20)
    """
    _check_batch(images, "images")
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in _to_numpy(images)])  # (B, H, W)
    depth = max(1, min(grey.shape[1:]) // 50)  # thickness of the rim, pixels
    rim = np.ones(grey.shape[1:], bool)
    rim[depth:-depth, depth:-depth] = False
    level = int(np.median(grey[:, rim]))
    spread = float(np.percentile(np.abs(grey[:, rim].astype(np.int16) - level), 95))
    tolerance = max(20, round(2 * spread))
    object_share = np.mean(np.abs(grey.astype(np.int16) - level) > tolerance)
    return (level, tolerance) if spread <= 16 and 0.05 <= object_share <= 0.95 else None


def poisson_blend(patch: np.ndarray, place: np.ndarray, region: np.ndarray | None = None) -> np.ndarray:
    r"""Blend a patch into a place of the same size, so that no seam shows.

    The new picture f keeps the differences between neighbours of the patch g, and the values of the place f*
    on the rim (Perez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003, equations 3 and 9):

        laplace f = div v,   v = grad g inside the region, grad f* elsewhere,   f = f* on the rim

    For the correction u = f - f*, which is 0 on the rim, this reads laplace u = div(v - grad f*), and
    v - grad f* is grad(g - f*) inside the region and 0 elsewhere. A sine transform turns the Laplacian into a
    multiplication, so one transform there and back gives the exact solution. (OpenCV's `seamlessClone` is
    slower and raises an error on regions one or two pixels thin.)

    Args:
        patch: uint8 RGB, (h, w, 3), what to blend in.
        place: uint8 RGB, (h, w, 3), what is there now.
        region: bool, (h, w), where the patch may show; None for everywhere.

    Returns:
        uint8 RGB, (h, w, 3). The outermost pixels are those of the place.

    Example:
        >>> place = np.full((8, 8, 3), 90, np.uint8)
        >>> patch = np.full((8, 8, 3), 200, np.uint8)
        >>> bool((poisson_blend(patch, place) == place).all())  # a flat patch has no differences to keep
        True
    """
    if min(place.shape[:2]) < MIN_SIDE:  # all rim, nothing inside
        return place.copy()
    blended = place.astype(np.float32)  # (h, w, 3)
    difference = patch.astype(np.float32) - blended
    down, right = np.diff(difference, axis=0), np.diff(difference, axis=1)  # (h-1, w, 3), (h, w-1, 3)
    if region is not None:  # a step counts where both its ends are in the region
        down *= (region[1:] & region[:-1])[..., None]
        right *= (region[:, 1:] & region[:, :-1])[..., None]
    divergence = np.diff(down, axis=0)[:, 1:-1] + np.diff(right, axis=1)[1:-1]  # (h-2, w-2, 3)

    def eigenvalues(n: int) -> np.ndarray:  # of the second difference over n pixels with zeros at both ends
        return 2 * np.cos(np.pi * np.arange(1, n + 1, dtype=np.float32) / (n + 1)) - 2

    h, w = divergence.shape[:2]
    laplace = eigenvalues(h)[:, None] + eigenvalues(w)  # (h-2, w-2), never 0
    spectrum = dstn(divergence, type=1, axes=(0, 1)) / laplace[..., None]
    blended[1:-1, 1:-1] += idstn(spectrum, type=1, axes=(0, 1))
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8)


def add_anomaly(
    image: np.ndarray, settings: NSA, rng: np.random.Generator, source: np.ndarray | None = None
) -> Anomaly:
    """Put a synthetic anomaly into a normal image.

    With a background, only object pixels take part. A pasted patch changes the union of its own object and of
    the object below it, as in NSA: it may stick out of the object or bite into it, like a broken edge. A
    Poisson patch changes the intersection, which departs from NSA: in the union the grey level of the
    background, which holds on the rim of the patch, bleeds into the object as a white or black haze.

    Args:
        image: the normal image, uint8 RGB, (H, W, 3). It is left as it is.
        settings: sizes, number of patches, blending, background.
        rng: draws sizes, places and blending.
        source: another normal image, uint8 RGB, of any size, for `source="other"`.
            None: patches come from another place in the image itself.

    Returns:
        The anomalous image, the mask of what changed, and the boxes of the patches. When no place fits, or
        the change cannot be seen, the image comes back unchanged, with an empty mask and no boxes.

    Raises:
        TypeError: an image is not uint8.
        ValueError: an image is not (H, W, 3).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> image, other = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
        >>> anomaly = add_anomaly(image, DEFAULT, rng, source=other)
        >>> bool((anomaly.image != image).any(axis=2)[~anomaly.mask].any())  # no change outside the mask
        False
        >>> len(anomaly.boxes) >= 1
        True
    """
    _check_image(image, "image")
    if source is None or settings.source == "same":
        source = image
    _check_image(source, "source")

    here = _objects(image, settings)  # (H, W)
    there = here if source is image else _objects(source, settings)

    new = image.copy()
    boxes = []
    for number in range(settings.patches):
        if number > 0 and rng.random() < 0.5:
            continue
        found = _find_place(there, here, source is image, settings, rng)
        if found is None:
            break  # a further patch would only search as long again
        cut, box, patch_object = found
        patch = cv2.resize(source[cut.slices], (box.width, box.height), interpolation=cv2.INTER_LINEAR)
        place, place_object = new[box.slices], here[box.slices]
        if settings.blend == "poisson" or (settings.blend == "mix" and rng.random() < 0.5):
            region = patch_object & place_object
            patch = poisson_blend(patch, place, region)
        else:
            region = patch_object | place_object
        new[box.slices] = cv2.copyTo(patch, region.view(np.uint8), place.copy())
        boxes.append(box)

    mask = _changed(image, new, boxes)
    # Changes too small to see are taken back, so that mask and picture agree exactly.
    new = cv2.copyTo(new, mask.view(np.uint8), image.copy())
    return Anomaly(new, mask, [box for box in boxes if mask[box.slices].any()])


def add_anomalies(
    images: torch.Tensor, settings: NSA, rng: np.random.Generator, sources: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put a synthetic anomaly into every image of a batch.

    Args:
        images: normal images, uint8 RGB, (B, 3, H, W), on any device. They are left as they are.
        settings: see `NSA`.
        rng: draws everything that is random.
        sources: a pool of normal images to cut from, uint8 RGB, (M, 3, H', W'); every image draws one. None:
            every image gets another image of the batch, never itself; a batch of one is its own source.

    Returns:
        The anomalous images, uint8, (B, 3, H, W), and the masks, bool, (B, H, W), on the device of `images`.

    Raises:
        TypeError: a tensor is not uint8.
        ValueError: a tensor is not (B, 3, H, W), or the pool is empty.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> images = torch.from_numpy(rng.integers(0, 256, (4, 3, 64, 64), dtype=np.uint8))
        >>> anomalous, masks = add_anomalies(images, DEFAULT, rng)
        >>> anomalous.shape, masks.shape, bool(masks.any())
        (torch.Size([4, 3, 64, 64]), torch.Size([4, 64, 64]), True)
    """
    _check_batch(images, "images")
    batch = _to_numpy(images)  # (B, H, W, 3)
    origins: Iterable[np.ndarray | None]
    if sources is not None:
        _check_batch(sources, "sources")
        if len(sources) == 0:
            raise ValueError("sources is empty; give at least one normal image, or None to use the batch")
        origins = _to_numpy(sources[torch.from_numpy(rng.integers(len(sources), size=len(batch)))])
    elif len(batch) > 1:
        origins = np.roll(batch, rng.integers(1, len(batch)), axis=0)  # no image meets itself
    else:
        origins = [None] * len(batch)

    new = np.empty_like(batch)  # (B, H, W, 3)
    masks = np.empty(batch.shape[:3], bool)  # (B, H, W)
    for i, (image, source) in enumerate(zip(batch, origins, strict=True)):
        new[i], masks[i], _ = add_anomaly(image, settings, rng, source)
    anomalous = torch.from_numpy(new).permute(0, 3, 1, 2).contiguous()  # (B, 3, H, W)
    return anomalous.to(images.device), torch.from_numpy(masks).to(images.device)


def _objects(image: np.ndarray, settings: NSA) -> np.ndarray:
    """The foreground, bool, (H, W); without a background everything is object."""
    if settings.background is None:
        return np.ones(image.shape[:2], bool)
    return foreground(image, settings.background)


def _find_place(
    there: np.ndarray, here: np.ndarray, same: bool, settings: NSA, rng: np.random.Generator
) -> tuple[Box, Box, np.ndarray] | None:
    """Draw a patch to cut and a place to put it until both meet the conditions, or None after `TRIES` draws.

    Args:
        there: foreground of the source, bool, (H', W').
        here: foreground of the image, bool, (H, W).
        same: source and image are one, so the two places must differ.

    Returns:
        The box in the source, the box in the image, and the patch's object at that size, bool, (h, w).
    """
    for _ in range(TRIES):
        cut, box = _draw_boxes(there.shape, here.shape, settings, rng)
        patch_object = there[cut.slices]
        objects = np.count_nonzero(patch_object)
        if (same and cut[:2] == box[:2]) or objects < max(1, settings.min_object * patch_object.size):
            continue
        patch_object = cv2.resize(
            patch_object.astype(np.uint8), (box.width, box.height), interpolation=cv2.INTER_NEAREST
        ).astype(bool)
        overlap = np.count_nonzero(patch_object & here[box.slices])
        if overlap >= max(1, settings.min_overlap * np.count_nonzero(patch_object)):
            return cut, box, patch_object
    return None


def _draw_boxes(
    source_shape: tuple[int, ...], shape: tuple[int, ...], settings: NSA, rng: np.random.Generator
) -> tuple[Box, Box]:
    """A random box in the source, and a random box in the image that is the first one rescaled."""
    halves = SMALLEST_HALF + rng.gamma(GAMMA_SHAPE, GAMMA_SCALE, size=2)  # shares of height and width
    (low_h, high_h), (low_w, high_w) = settings.height, settings.width
    cut = [
        _length(2 * shape[0] * min(max(halves[0], low_h), high_h), source_shape[0]),
        _length(2 * shape[1] * min(max(halves[1], low_w), high_w), source_shape[1]),
    ]
    scale = rng.uniform(*settings.rescale)
    scale = min(scale, shape[0] / cut[0], shape[1] / cut[1])  # inside the image, with the patch's proportions
    size = [_length(scale * length, limit) for length, limit in zip(cut, shape, strict=True)]
    return _somewhere(cut, source_shape, rng), _somewhere(size, shape, rng)


def _length(pixels: float, limit: int) -> int:
    return min(max(MIN_SIDE, round(pixels)), limit)


def _somewhere(size: list[int], shape: tuple[int, ...], rng: np.random.Generator) -> Box:
    height, width = size
    top, left = rng.integers(shape[0] - height + 1), rng.integers(shape[1] - width + 1)
    return Box(int(top), int(left), height, width)


def _changed(old: np.ndarray, new: np.ndarray, boxes: list[Box]) -> np.ndarray:
    """A visible change: above the noise floor in any channel, small gaps closed, inside the boxes."""
    mask = np.zeros(old.shape[:2], bool)  # (H, W)
    if not boxes:
        return mask
    inside = mask.copy()
    for box in boxes:
        inside[box.slices] = True
    top, left, bottom, right = (
        min(box.top for box in boxes),
        min(box.left for box in boxes),
        max(box.top + box.height for box in boxes),
        max(box.left + box.width for box in boxes),
    )
    around = slice(top, bottom), slice(left, right)  # all boxes; the rest of the image is not looked at
    faint = cv2.inRange(cv2.absdiff(old[around], new[around]), (0, 0, 0), 3 * (NOISE_FLOOR,))  # 255 or 0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSING, CLOSING))
    mask[around] = (cv2.morphologyEx(255 - faint, cv2.MORPH_CLOSE, disc) > 0) & inside[around]
    return mask


def _check_image(image: np.ndarray, name: str) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"{name} has shape {image.shape}; give an RGB image of shape (H, W, 3)")
    if image.dtype != np.uint8:
        raise TypeError(f"{name} is {image.dtype}; give uint8 with values 0..255")


def _check_batch(images: torch.Tensor, name: str) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"{name} has shape {tuple(images.shape)}; give RGB images of shape (B, 3, H, W)")
    if images.dtype != torch.uint8:
        raise TypeError(f"{name} is {images.dtype}; give torch.uint8 with values 0..255")


def _to_numpy(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).contiguous().cpu().numpy()  # (B, H, W, 3)
