"""Numbers of lesson 05: the steps of pasting a patch, and what synthetic defects do to teacher and student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from mrkd_edu.distance import cosine_distance, image_score
from mrkd_edu.ilm import GAMMA_SCALE, GAMMA_SHAPE, SMALLEST_HALF, Anomaly, Box, rescaled_patch
from mrkd_edu.leakage import mask_at_scale
from mrkd_edu.model import MRKD
from mrkd_edu.nsa.poisson import poisson_blend
from mrkd_edu.runtime.batches import in_batches


class PatchSteps(NamedTuple):
    """A patch at every step of its way.

    Attributes:
        source, image: uint8 RGB; where it is cut, (H', W', 3), and where it is put, (H, W, 3).
        cut, box: its box in the source, and its box in the image.
        patch: uint8 RGB as it was cut; `resized`, as it is put down.
        swap, poisson: uint8 RGB (H, W, 3), the image with the patch pasted, and with the patch blended.
    """

    source: np.ndarray
    image: np.ndarray
    cut: Box
    box: Box
    patch: np.ndarray
    resized: np.ndarray
    swap: np.ndarray
    poisson: np.ndarray


def patch_steps(image: np.ndarray, source: np.ndarray, cut: Box, box: Box) -> PatchSteps:
    """Cut a patch from the source, rescale it to the box, paste it, blend it.

    Args:
        image: uint8 RGB, (H, W, 3). It is left as it is.
        source: uint8 RGB, (H', W', 3).
        cut, box: a rectangle in the source, and one in the image.

    Raises:
        ValueError: a box reaches out of its image.

    Example:
        >>> image, source = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 200, np.uint8)
        >>> steps = patch_steps(image, source, Box(0, 0, 8, 8), Box(10, 10, 6, 6))
        >>> int(steps.swap.max()), int(steps.poisson.max())  # a flat patch has no differences to keep
        (200, 0)
    """
    for name, one, picture in (("cut", cut, source), ("box", box, image)):
        if min(one) < 0 or one.top + one.height > picture.shape[0] or one.left + one.width > picture.shape[1]:
            raise ValueError(f"{name} is {one}, which reaches out of its image of {picture.shape[:2]} pixels")
    patch = source[cut.slices]
    resized = rescaled_patch(source, cut, box)
    swap, poisson = image.copy(), image.copy()
    swap[box.slices] = resized
    poisson[box.slices] = poisson_blend(resized, image[box.slices])
    return PatchSteps(source, image, cut, box, patch, resized, swap, poisson)


def rim_jump(image: np.ndarray, box: Box, inside: int = 0) -> float:
    """How strong the seam is: the mean difference in grey between the two sides of a box's border.

    A blended patch keeps the outermost pixels of its box as they were, so its seam lies one pixel further in.

    Args:
        image: uint8 RGB, (H, W, 3).
        box: in the image. Sides on the border of the image do not count.
        inside: pixels by which the border is moved in, 0 for a pasted patch, 1 for a blended one.

    Returns:
        Grey levels; NaN where nothing of a border is left.

    Example:
        >>> image = np.zeros((16, 16, 3), np.uint8); image[4:8, 4:8] = 50
        >>> rim_jump(image, Box(4, 4, 4, 4)), rim_jump(image, Box(4, 4, 4, 4), inside=1)
        (50.0, 0.0)
    """
    box = Box(box.top + inside, box.left + inside, box.height - 2 * inside, box.width - 2 * inside)
    if min(box.height, box.width) < 1:
        return float("nan")
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.int16)  # (H, W)
    rows, columns = box.slices
    sides = []
    for at in (box.top, box.top + box.height):
        if 0 < at < grey.shape[0]:
            sides.append(grey[at, columns] - grey[at - 1, columns])
    for at in (box.left, box.left + box.width):
        if 0 < at < grey.shape[1]:
            sides.append(grey[rows, at] - grey[rows, at - 1])
    return float(np.abs(np.concatenate(sides)).mean()) if sides else float("nan")


def draw_sides(bounds: tuple[float, float], number: int, rng: np.random.Generator) -> np.ndarray:
    """Sides of patches where they are cut, as NSA draws them: twice a clipped `0.03 + Gamma(2, 0.05)`.

    Args:
        bounds: of half a side, shares of the image's side, as in `NSA.height` and `NSA.width`.
        number: how many.
        rng: draws.

    Returns:
        (number,) shares of the image's side.

    Example:
        >>> draw_sides((0.01, 0.01), 3, np.random.default_rng(0)).tolist()
        [0.02, 0.02, 0.02]
    """
    return 2 * np.clip(SMALLEST_HALF + rng.gamma(GAMMA_SHAPE, GAMMA_SCALE, size=number), *bounds)


@torch.no_grad()
def teacher_distances(model: MRKD, normal: Tensor, anomalous: Tensor, masks: Tensor) -> np.ndarray:
    """How far an anomaly moves the teacher's features, at every scale: the mean distance over its positions.

    Args:
        model: gives the teacher; its student is not asked.
        normal, anomalous: uint8 (B, 3, S, S).
        masks: bool (B, S, S), where they differ.

    Returns:
        (B, K); NaN where a mask is empty.
    """
    found = []
    for before, after, mask in zip(*map(in_batches, (normal, anomalous, masks)), strict=True):
        scales = []
        for t, t_defect in zip(model.see(before), model.see(after), strict=True):
            d = cosine_distance(t, t_defect, model.floor).cpu()  # (B, h, w)
            inside = mask_at_scale(mask.cpu(), (d.shape[1], d.shape[2]))  # (B, h, w)
            scales.append((d * inside).sum((1, 2)) / inside.sum((1, 2)))
        found.append(torch.stack(scales, 1))
    return torch.cat(found).numpy()


@torch.no_grad()
def perfect_scores(model: MRKD, normal: Tensor, anomalous: Tensor) -> np.ndarray:
    """Image scores that the anomalous images would get if the student restored the normal ones perfectly.

    It is the teacher's distance between the two images, put through weights, smoothing and maximum like any anomaly
    map; so it can be compared with the model's threshold.

    Args:
        model: gives teacher, weights of the scales and smoothing.
        normal, anomalous: uint8 (B, 3, S, S).

    Returns:
        (B,)
    """
    scores = []
    for before, after in zip(in_batches(normal), in_batches(anomalous), strict=True):
        scores.append(image_score(model.compare(model.see(after), model.see(before))).cpu())
    return torch.cat(scores).numpy()


def commonest_share(values: np.ndarray) -> float:
    """Share of the values that are equal to the most frequent one.

    Example:
        >>> commonest_share(np.array([0.1, 0.1, 0.1, 0.3]))
        0.75
    """
    return float(np.unique(values, return_counts=True)[1].max() / len(values))


def share_on_object(anomalies: Sequence[Anomaly], objects: Sequence[np.ndarray]) -> float:
    """Share of all changed pixels that were object before; NaN when nothing changed."""
    changed = sum(int(a.mask.sum()) for a in anomalies)
    inside = sum(int((a.mask & o).sum()) for a, o in zip(anomalies, objects, strict=True))
    return inside / changed if changed else float("nan")


def around(box: Box, image: np.ndarray) -> tuple[slice, slice]:
    """The box with as much room around it again as it is large, a third on either side."""
    y, x = max(4, box.height // 3), max(4, box.width // 3)
    rows = slice(max(0, box.top - y), min(image.shape[0], box.top + box.height + y))
    return rows, slice(max(0, box.left - x), min(image.shape[1], box.left + box.width + x))
