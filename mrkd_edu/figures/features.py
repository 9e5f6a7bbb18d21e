"""Feature maps as pictures: colours for the main directions, likeness to one place."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TAIL = 0.01  # share of positions at either end that may be clipped when principal components become colours


def pca_colours(maps: Tensor) -> np.ndarray:
    """Features as colours: the three directions in which they vary most become red, green and blue.

    Components and range of colours are fitted over everything that is handed in, so that within one call equal
    colours mean similar features, across images too.

    Args:
        maps: of one scale, (C, h, w) or (N, C, h, w), at least 3 channels.

    Returns:
        uint8 (h, w, 3) or (N, h, w, 3).

    Raises:
        ValueError: fewer than 3 channels, or another shape.

    Example:
        >>> pca_colours(torch.randn(2, 8, 6, 6)).shape, pca_colours(torch.randn(8, 6, 6)).shape
        ((2, 6, 6, 3), (6, 6, 3))
    """
    return pca_colouring(maps)(maps)


def pca_colouring(maps: Tensor) -> Callable[[Tensor], np.ndarray]:
    """Fit `pca_colours` on some maps, to colour others of their scale alike.

    Args:
        maps: as there.

    Returns:
        Maps to colours, as there; equal colours mean similar features in all that it is given.

    Raises:
        ValueError: as there.

    Example:
        >>> maps = torch.randn(2, 8, 6, 6)
        >>> colours_of = pca_colouring(maps)
        >>> bool((colours_of(maps[1]) == pca_colours(maps)[1]).all())
        True
    """
    vectors = as_vectors(maps)
    if vectors.shape[1] < 3:
        raise ValueError(f"three colours need at least 3 channels; got {vectors.shape[1]}")
    mean = vectors.mean(0)
    centred = vectors - mean  # (P, C)
    values, directions = torch.linalg.eigh(centred.T @ centred)  # ascending
    directions = directions[:, values.argsort(descending=True)[:3]]  # (C, 3)
    # The sign of a direction is arbitrary: make its largest entry positive, so that a second call agrees.
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))  # (1, 3)
    directions = directions * largest.sign()
    low, high = np.quantile((centred @ directions).numpy(), (TAIL, 1 - TAIL), axis=0)

    def colours_of(maps: Tensor) -> np.ndarray:
        scores = ((as_vectors(maps) - mean) @ directions).numpy()  # (P, 3)
        colours = np.rint(255 * np.clip((scores - low) / (high - low + 1e-12), 0, 1)).astype(np.uint8)
        return colours.reshape(*maps.shape[:-3], *maps.shape[-2:], 3)

    return colours_of


def similarity(feature_map: Tensor, row: int, col: int) -> np.ndarray:
    """Cosine of the feature at one position with the features at all positions.

    Args:
        feature_map: of one image and scale, (C, h, w).
        row, col: the position, in cells of the map.

    Returns:
        float32 (h, w), in [-1, 1]; 1 at the position itself.

    Raises:
        ValueError: another shape, or a position outside the map.

    Example:
        >>> s = similarity(torch.randn(8, 4, 6), row=1, col=5)
        >>> s.shape, round(float(s[1, 5]), 3)
        ((4, 6), 1.0)
    """
    if feature_map.ndim != 3:
        raise ValueError(f"similarity takes one map (C, h, w); got {tuple(feature_map.shape)}")
    height, width = feature_map.shape[1:]
    if not (0 <= row < height and 0 <= col < width):
        raise ValueError(f"position ({row}, {col}) lies outside a map of {height} x {width} cells")
    unit = F.normalize(feature_map.detach().float().cpu(), dim=0)  # (C, h, w)
    return torch.einsum("c,chw->hw", unit[:, row, col], unit).numpy()


def as_vectors(maps: Tensor) -> Tensor:
    """Maps (C, h, w) or (N, C, h, w) to one feature a row, (P, C)."""
    if maps.ndim not in (3, 4):
        raise ValueError(f"maps must be (C, h, w) or (N, C, h, w); got {tuple(maps.shape)}")
    return maps.detach().float().cpu().movedim(-3, -1).reshape(-1, maps.shape[-3])


def pixels(image: Tensor) -> np.ndarray:
    """Tensor uint8 (3, H, W) or (N, 3, H, W) to an array as pictures are drawn from, (H, W, 3) or (N, H, W, 3)."""
    return np.ascontiguousarray(image.movedim(-3, -1).cpu().numpy())


def centre(mask: np.ndarray) -> tuple[float, float]:
    """The place deepest inside a mask (H, W), as shares of height and width: a position to look at.

    Raises:
        ValueError: the mask is empty.

    Example:
        >>> mask = np.zeros((10, 10), bool); mask[2:5, 6:9] = True
        >>> centre(mask)
        (0.35, 0.75)
    """
    if not mask.any():
        raise ValueError("an empty mask has no centre")
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, col = np.unravel_index(int(depth.argmax()), mask.shape)
    return (float(row) + 0.5) / mask.shape[0], (float(col) + 0.5) / mask.shape[1]
