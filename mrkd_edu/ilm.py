"""Image-level masking (ILM): paste a synthetic anomaly into a normal image.

The student sees the anomalous image and must produce the teacher's features of the normal one.
The anomalies are those of NSA (Schlueter, Tan, Hou, Kainz, "Natural Synthetic Anomalies for Self-Supervised
Anomaly Detection and Localization", ECCV 2022): a rectangle is cut from a normal image, rescaled, and put
somewhere else in another normal image, by plain pasting (`swap`) or by Poisson blending (`poisson`).

This file makes the pictures, the masks and the boxes. The settings are in `nsa/settings.py`, the blending in
`nsa/poisson.py`. It knows nothing of teacher and student.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
import torch

from mrkd_edu.nsa import NSA, foreground, numpy_images
from mrkd_edu.nsa.poisson import poisson_blend

# Half height and half width of a patch, as shares of the image side: 0.03 + Gamma(shape 2, scale 0.05).
SMALLEST_HALF, GAMMA_SHAPE, GAMMA_SCALE = 0.03, 2.0, 0.05
MIN_SIDE = 3  # pixels; the smallest patch, and the smallest that has an inside for Poisson blending
TRIES = 100  # draws of size and place for a patch; a few milliseconds when none of them fits
NOISE_FLOOR = 3  # grey levels; a smaller change in every channel cannot be told from camera and JPEG noise
CLOSING = 7  # pixels; gaps in the mask narrower than this are places where old and new agree by chance


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
        >>> anomaly = add_anomaly(image, NSA(), rng, source=other)
        >>> bool((anomaly.image != image).any(axis=2)[~anomaly.mask].any())  # no change outside the mask
        False
        >>> len(anomaly.boxes) >= 1
        True
    """
    _check_image(image, "image")
    if source is None or settings.source == "same":
        source = image
    _check_image(source, "source")

    target_object = _object_mask(image, settings)  # (H, W)
    source_object = target_object if source is image else _object_mask(source, settings)  # (H', W')

    new = image.copy()
    boxes = []
    for number in range(settings.patches):
        if number > 0 and rng.random() < 0.5:
            continue
        found = _find_place(source_object, target_object, source is image, settings, rng)
        if found is None:
            break  # a further patch would only search as long again
        cut, box, patch_object = found
        patch = rescaled_patch(source, cut, box)
        place, place_object = new[box.slices], target_object[box.slices]
        if settings.blend == "poisson" or (settings.blend == "mix" and rng.random() < 0.5):
            region = patch_object & place_object
            patch = poisson_blend(patch, place, region)
        else:
            region = patch_object | place_object
        new[box.slices] = _where(region, patch, place)
        boxes.append(box)

    mask = _changed(image, new, boxes)
    # Changes too small to see are taken back, so that mask and picture agree exactly.
    new = _where(mask, new, image)
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
        >>> anomalous, masks = add_anomalies(images, NSA(), rng)
        >>> anomalous.shape, masks.shape, bool(masks.any())
        (torch.Size([4, 3, 64, 64]), torch.Size([4, 64, 64]), True)
    """
    batch = numpy_images(images)  # (B, H, W, 3)
    origins: Iterable[np.ndarray | None]
    if sources is not None:
        if len(sources) == 0:
            raise ValueError("sources is empty; give at least one normal image, or None to use the batch")
        drawn = torch.from_numpy(rng.integers(len(sources), size=len(batch)))  # (B,)
        origins = numpy_images(sources[drawn], "sources")
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


def rescaled_patch(source: np.ndarray, cut: Box, box: Box) -> np.ndarray:
    """Cut a box out of an image (H', W', 3), and bring it to the size of another box, (h, w, 3)."""
    return cv2.resize(source[cut.slices], (box.width, box.height), interpolation=cv2.INTER_LINEAR)


def visible_change(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Where two uint8 images (H, W, 3) differ by more than the noise floor in any channel: bool (H, W).

    Example:
        >>> old = np.zeros((1, 3, 3), np.uint8)
        >>> new = old.copy(); new[0, 1], new[0, 2] = 3, 4
        >>> visible_change(old, new).tolist()
        [[False, False, True]]
    """
    return cv2.inRange(cv2.absdiff(old, new), (0, 0, 0), 3 * (NOISE_FLOOR,)) == 0


def _object_mask(image: np.ndarray, settings: NSA) -> np.ndarray:
    """The foreground, bool, (H, W); without a background everything is object."""
    if settings.background is None:
        return np.ones(image.shape[:2], bool)
    return foreground(image, settings.background)


def _find_place(
    source_object: np.ndarray, target_object: np.ndarray, same: bool, settings: NSA, rng: np.random.Generator
) -> tuple[Box, Box, np.ndarray] | None:
    """Draw a patch to cut and a place to put it until both meet the conditions, or None after `TRIES` draws.

    Args:
        source_object: foreground of the source, bool, (H', W').
        target_object: foreground of the image, bool, (H, W).
        same: source and image are one, so the two places must differ.

    Returns:
        The box in the source, the box in the image, and the patch's object at that size, bool, (h, w).
    """
    for _ in range(TRIES):
        cut, box = _draw_boxes(source_object.shape, target_object.shape, settings, rng)
        patch_object = source_object[cut.slices]
        if same and cut[:2] == box[:2]:
            continue
        if np.count_nonzero(patch_object) < max(1, settings.min_object * patch_object.size):
            continue
        patch_object = cv2.resize(
            patch_object.astype(np.uint8), (box.width, box.height), interpolation=cv2.INTER_NEAREST
        ).astype(bool)
        overlap = np.count_nonzero(patch_object & target_object[box.slices])
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


def _where(mask: np.ndarray, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """`np.where(mask[..., None], new, old)`, several times as fast."""
    return cv2.copyTo(new, mask.view(np.uint8), old.copy())


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
    seen = visible_change(old[around], new[around]).view(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSING, CLOSING))
    mask[around] = (cv2.morphologyEx(seen, cv2.MORPH_CLOSE, disc) > 0) & inside[around]
    return mask


def _check_image(image: np.ndarray, name: str) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"{name} has shape {image.shape}; give an RGB image of shape (H, W, 3)")
    if image.dtype != np.uint8:
        raise TypeError(f"{name} is {image.dtype}; give uint8 with values 0..255")
