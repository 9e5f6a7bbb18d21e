"""What a teacher sees: feature maps as colours."""

from __future__ import annotations

import numpy as np
import torch
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
    vectors = _vectors(maps)
    if vectors.shape[1] < 3:
        raise ValueError(f"three colours need at least 3 channels; got {vectors.shape[1]}")
    centred = vectors - vectors.mean(0)  # (P, C)
    values, directions = torch.linalg.eigh(centred.T @ centred)  # ascending
    directions = directions[:, values.argsort(descending=True)[:3]]  # (C, 3)
    # The sign of a direction is arbitrary: make its largest entry positive, so that a second call agrees.
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))  # (1, 3)
    scores = (centred @ (directions * largest.sign())).numpy()  # (P, 3)
    low, high = np.quantile(scores, (TAIL, 1 - TAIL), axis=0)
    colours = np.rint(255 * np.clip((scores - low) / (high - low + 1e-12), 0, 1)).astype(np.uint8)
    return colours.reshape(*maps.shape[:-3], *maps.shape[-2:], 3)


def _vectors(maps: Tensor) -> Tensor:
    """Maps (C, h, w) or (N, C, h, w) to one feature a row, (P, C)."""
    if maps.ndim not in (3, 4):
        raise ValueError(f"maps must be (C, h, w) or (N, C, h, w); got {tuple(maps.shape)}")
    return maps.detach().float().cpu().movedim(-3, -1).reshape(-1, maps.shape[-3])
