"""One picture of the toy factory: a normal one, or a pair of a defective picture and its normal twin."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

import numpy as np

from mrkd_edu.toy.fabric import FABRIC
from mrkd_edu.toy.metal import METAL
from mrkd_edu.toy.render import Camera, develop, picture
from mrkd_edu.toy.scene import Array, Category
from mrkd_edu.toy.surface import SURFACE
from mrkd_edu.toy.tray import TRAY

CATEGORIES: dict[str, Category] = {c.name: c for c in (METAL, FABRIC, SURFACE, TRAY)}

FREE, TRAIN, TEST_GOOD, TEST_DEFECTIVE = range(4)  # the streams of pictures; no two share random numbers
SMALLEST = 32  # pixels; below this a nut is no longer one


class Pair(NamedTuple):
    """A defective picture and its twin.

    Attributes:
        normal: without the defect, uint8 (H, W, 3).
        defective: with the defect, uint8 (H, W, 3).
        mask: True where the defect is, bool (H, W).
    """

    normal: Array
    defective: Array
    mask: Array


def render_normal(category: str = "metal", *, size: int = 256, seed: int = 0) -> Array:
    """A picture without a defect: the `normal` of `render_pair` with the same seed.

    Args:
        category: a key of `CATEGORIES`.
        size: side of the picture in pixels.
        seed: chooses the product, the light and the noise.

    Returns:
        uint8 (size, size, 3), RGB.

    Raises:
        ValueError: unknown category, size too small or negative seed.

    Example:
        >>> render_normal("metal", size=64, seed=1).shape
        (64, 64, 3)
    """
    return normal_image(category, (seed, FREE, 0), size)


def render_pair(category: str, kind: str, strength: float, *, size: int = 256, seed: int = 0) -> Pair:
    """A defective picture, its normal twin and the mask. The seed fixes everything but the strength.

    Moving `strength` alone makes the same defect weaker or stronger, in the same place, on the same
    product. At 0 both pictures are equal and the mask is empty.

    Args:
        category: a key of `CATEGORIES`.
        kind: a key of `CATEGORIES[category].defects`.
        strength: from 0 (nothing) through 0.15 (hard to see) to 1 (obvious).
        size: side of the picture in pixels.
        seed: chooses the product, the light, the noise and the place of the defect.

    Returns:
        `Pair(normal, defective, mask)`. Both pictures are equal outside the mask and the one pixel around it
        that the lens blurs.

    Raises:
        ValueError: unknown category or kind, strength outside [0, 1], size too small or negative seed.

    Example:
        >>> pair = render_pair("metal", "stain", 0.8, size=64)
        >>> bool((pair.normal != pair.defective)[pair.mask].any())
        True
    """
    return pair_image(category, kind, strength, (seed, FREE, 0), size)


def growing_pair(category: str, kind: str, *, size: int = 256, seed: int = 0) -> Callable[[float], Pair]:
    """`render_pair` for many strengths of one defect: what they share is built once, which halves the time of each.

    Args:
        category, kind, size, seed: as for `render_pair`.

    Returns:
        A function from the strength to the pair. It keeps the scene, about 40 MB at 256 pixels.

    Raises:
        ValueError: as for `render_pair`.

    Example:
        >>> pair = growing_pair("metal", "stain", size=64)
        >>> bool((pair(0.3).defective == render_pair("metal", "stain", 0.3, size=64).defective).all())
        True
    """
    return _growing(category, kind, (seed, FREE, 0), size)


def normal_image(category: str, key: tuple[int, int, int], size: int) -> Array:
    """The normal picture number key[2] of stream key[1] under seed key[0], uint8 (size, size, 3)."""
    product = find_category(category)
    scene_rng, camera_rng, _ = _generators(category, key, size)
    return develop(picture(product.build(scene_rng, 2 * size)), Camera.draw(camera_rng, size))


def pair_image(category: str, kind: str, strength: float, key: tuple[int, int, int], size: int) -> Pair:
    """The pair number key[2] of stream key[1] under seed key[0]."""
    return _growing(category, kind, key, size)(strength)


def find_category(name: str) -> Category:
    """The category of this name, or an error that lists the names."""
    if name not in CATEGORIES:
        raise ValueError(f"the toy factory has no category {name!r}; choose one of {', '.join(CATEGORIES)}.")
    return CATEGORIES[name]


def check_numbers(size: int, seed: int) -> None:
    """Raise when no picture can have this size or seed."""
    if size < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} pixels, not {size}.")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}.")


def _generators(category: str, key: tuple[int, int, int], size: int) -> list[np.random.Generator]:
    """Independent generators for the scene, the camera and the defect of one picture."""
    check_numbers(size, key[0])
    streams = np.random.SeedSequence([crc32(category.encode()), *key]).spawn(3)
    return [np.random.default_rng(stream) for stream in streams]


def _growing(category: str, kind: str, key: tuple[int, int, int], size: int) -> Callable[[float], Pair]:
    """Strength to pair, for the pair of `pair_image`."""
    product = find_category(category)
    if kind not in product.defects:
        raise ValueError(f"{category} has no defect {kind!r}; choose one of {', '.join(product.defects)}.")
    scene_rng, camera_rng, _ = _generators(category, key, size)
    scene = product.build(scene_rng, 2 * size)
    camera = Camera.draw(camera_rng, size)
    normal = develop(picture(scene), camera)

    def pair(strength: float) -> Pair:
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must lie between 0 and 1, not {strength}.")
        if strength == 0:
            return Pair(normal, normal.copy(), np.zeros((size, size), bool))
        defect_rng = _generators(category, key, size)[2]  # the same numbers for every strength
        broken, region = product.defects[kind](scene, strength, defect_rng)
        defective = develop(picture(broken), camera)
        # A pixel belongs to the mask when any of its 2 x 2 fine pixels belongs to the defect.
        mask = np.asarray(region.reshape(size, 2, size, 2).any(axis=(1, 3)))  # (size, size)
        if np.array_equal(normal, defective):  # too weak for 8 bits: then there is nothing to find
            mask = np.zeros_like(mask)
        return Pair(normal, defective, mask)

    return pair
