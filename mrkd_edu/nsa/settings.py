"""Settings of the synthetic anomalies: how large, how many, how blended, and what counts as background.

NSA is Schlueter, Tan, Hou, Kainz, "Natural Synthetic Anomalies for Self-Supervised Anomaly Detection and
Localization", ECCV 2022. This file holds the settings, those of the 15 MVTec AD categories, and the choice of
settings for a folder of images. The anomalies themselves are made in `ilm.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import cv2
import numpy as np
import torch

GRAIN = 5  # pixels; the median filter that removes specks from the foreground
OBJECT_SHARE = (0.02, 0.95)  # share of the pixels that an object takes up; outside it, the background is not one


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
            bounds = getattr(self, name)
            if not (_is_pair(bounds) and 0 < bounds[0] <= bounds[1] <= top):
                raise ValueError(f"{name} is {bounds}; give two numbers, 0 < low <= high <= {top}")
        if not isinstance(self.patches, Integral) or self.patches < 1:
            raise ValueError(f"patches is {self.patches}; give a whole number, 1 or more")
        for name in ("min_object", "min_overlap"):
            share = getattr(self, name)
            if not (isinstance(share, Real) and 0 <= share <= 1):
                raise ValueError(f"{name} is {share}; give a share between 0 and 1")
        grey = self.background
        if grey is not None and not (_is_pair(grey) and all(0 <= level <= 255 for level in grey)):
            raise ValueError(f"background is {self.background}; give grey level and tolerance, both 0..255")


def _is_pair(values: Any) -> bool:
    return isinstance(values, (tuple, list)) and len(values) == 2 and all(isinstance(value, Real) for value in values)


# For any folder of images. Chosen by looking at what it draws on objects and on textures: half of the patches
# have sharp edges, like cracks and broken pieces, and half blend in, like stains and wear; on a plain
# background at least half of a patch's object lies on the object, so that few patches hang in the air.
DEFAULT = NSA(blend="mix", source="other", min_overlap=0.5)

_ANY, _SMALL, _TINY = (0.03, 0.40), (0.01, 0.05), (0.01, 0.01)  # bounds of half sizes
_LIGHT, _DARK = (200, 60), (20, 20)  # backgrounds: grey level, tolerance


def _mvtec(
    height: tuple[float, float],
    width: tuple[float, float],
    patches: int,
    background: tuple[int, int] | None = None,
    min_object: float = 0.7,
) -> NSA:
    return NSA(height, width, patches, blend="mix", background=background, min_object=min_object)


PRESETS: dict[str, NSA] = {
    "bottle": _mvtec(_ANY, _ANY, 3, _LIGHT),
    "cable": _mvtec(_SMALL, (0.01, 0.10), 3),
    "capsule": _mvtec(_SMALL, _SMALL, 1, _LIGHT),
    "carpet": _mvtec(_ANY, _ANY, 4),
    "grid": _mvtec(_SMALL, (0.01, 0.10), 4),
    "hazelnut": _mvtec((0.03, 0.35), (0.03, 0.35), 3, _DARK),
    "leather": _mvtec(_ANY, _ANY, 4),
    "metal_nut": _mvtec(_SMALL, _TINY, 1, _DARK, min_object=0.5),
    "pill": _mvtec(_SMALL, _SMALL, 1, _DARK),
    "screw": _mvtec(_SMALL, _SMALL, 1, _LIGHT, min_object=0.5),
    "tile": _mvtec(_SMALL, (0.01, 0.10), 4),
    "toothbrush": _mvtec(_TINY, _TINY, 1, _DARK, min_object=0.25),
    "transistor": _mvtec(_ANY, _ANY, 3),
    "wood": _mvtec(_SMALL, _TINY, 4),
    "zipper": _mvtec(_SMALL, _TINY, 1, _LIGHT),
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

    A name proves nothing: the images of a folder called "screw" may have quite another background than the
    screws of MVTec AD. If all of an image counts as background, no patch ever fits. So the images, if given, decide:

    - A preset keeps its background if that leaves an object in the images, 2 % to 95 % of their pixels.
    - If it does not, and for a category without a preset, `estimate_background` decides.
    - A preset without a background, a texture, stays as it is.

    Args:
        category: name of the category, such as "bottle".
        images: a few normal images, uint8 RGB, (B, 3, H, W). None goes by the name alone.

    Returns:
        The settings; change one with `dataclasses.replace`.

    Raises:
        TypeError, ValueError: `images` are needed and are not what they should be; see `estimate_background`.

    Example:
        >>> preset("screw").background, preset("my parts") == DEFAULT
        ((200, 60), True)
        >>> grey_cloth = torch.full((2, 3, 64, 64), 180, dtype=torch.uint8)
        >>> preset("screw", grey_cloth).background is None
        True
    """
    settings = PRESETS.get(category, DEFAULT)
    if images is None or (category in PRESETS and settings.background is None):
        return settings
    if settings.background is not None and _leaves_object(_some_images(images), settings.background):
        return settings
    return replace(settings, background=estimate_background(images))


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
    the background if 95 % of them lie within 16 grey levels of it, and if 2 % to 95 % of all pixels are then
    foreground, so that there is an object. The tolerance is twice the distance within which those 95 % lie,
    and 20 at least.

    Args:
        images: uint8 RGB, (B, 3, H, W); ten normal images are plenty.

    Returns:
        `(level, tolerance)` for `NSA.background`, or None.

    Raises:
        TypeError: the images are not uint8.
        ValueError: the images are not (B, 3, H, W), or there are none.

    Example:
        >>> images = torch.full((2, 3, 64, 64), 250, dtype=torch.uint8)
        >>> estimate_background(images) is None  # nothing but background: no object
        True
        >>> images[:, :, 16:48, 16:48] = 30
        >>> estimate_background(images)
        (250, 20)
    """
    batch = _some_images(images)  # (B, H, W, 3)
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in batch])  # (B, H, W)
    depth = max(1, min(grey.shape[1:]) // 50)  # thickness of the rim, pixels
    rim = np.ones(grey.shape[1:], bool)
    rim[depth:-depth, depth:-depth] = False
    level = int(np.median(grey[:, rim]))
    spread = float(np.percentile(np.abs(grey[:, rim].astype(np.int16) - level), 95))
    found = level, max(20, round(2 * spread))
    return found if spread <= 16 and _leaves_object(batch, found) else None


def numpy_images(images: torch.Tensor, name: str = "images") -> np.ndarray:
    """A batch of images as OpenCV wants them.

    Args:
        images: uint8 RGB, (B, 3, H, W), on any device.
        name: what an error calls them.

    Returns:
        uint8 RGB, (B, H, W, 3).

    Raises:
        TypeError: the images are not uint8.
        ValueError: the images are not (B, 3, H, W).

    Example:
        >>> numpy_images(torch.zeros(4, 3, 32, 48, dtype=torch.uint8)).shape
        (4, 32, 48, 3)
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"{name} has shape {tuple(images.shape)}; give RGB images of shape (B, 3, H, W)")
    if images.dtype != torch.uint8:
        raise TypeError(f"{name} is {images.dtype}; give torch.uint8 with values 0..255")
    return images.permute(0, 2, 3, 1).contiguous().cpu().numpy()  # (B, H, W, 3)


def _some_images(images: torch.Tensor) -> np.ndarray:
    if len(images) == 0:
        raise ValueError("images is empty; give at least one normal image")
    return numpy_images(images)  # (B, H, W, 3)


def _leaves_object(batch: np.ndarray, background: tuple[int, int]) -> bool:
    """Whether a background leaves a plausible object in images of shape (B, H, W, 3), taken together."""
    share = np.mean([foreground(image, background).mean() for image in batch])
    return bool(OBJECT_SHARE[0] <= share <= OBJECT_SHARE[1])
