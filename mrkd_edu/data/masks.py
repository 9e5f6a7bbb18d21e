"""Which pixels of a mask are the defect? Its content decides, not its container.

Masks come from many programs: 0 and 1, 0 and 255, a number for each kind of defect, white paint on a transparent layer,
red on white, a JPEG saved again as PNG, a soft brush. What they share is that most of them say one of two things:

- a **few levels** (or colours) are names: one of them is the background, all others are defect;
- **many levels** are one quantity with noise or a soft edge: the upper half of it is defect.

The background is black where there is black, and else what is most common. This file knows nothing of files.
"""

from __future__ import annotations

import numpy as np

FEW = 16  # levels; a soft edge or a JPEG has more
NOISE = 16  # of 255: what a JPEG makes of a black picture stays below
DARK = 64  # of 255: nearly black in all three channels


def defect_pixels(values: np.ndarray, lossy: bool = False) -> np.ndarray:
    """The defect of a mask, (H, W) bool.

    Args:
        values: grey values (H, W) of any type, NaN is background and infinity the largest number there is; or
            colours with alpha, (H, W, 4) uint8.
        lossy: the levels are only nearly what was saved, so that none of them is a name.

    Example:
        >>> defect_pixels(np.array([[0, 7], [2, 0]])).tolist()  # names
        [[False, True], [True, False]]
        >>> red_on_white = np.full((2, 2, 4), 255, np.uint8)
        >>> red_on_white[0, 0, 1:3] = 0
        >>> defect_pixels(red_on_white).tolist()
        [[True, False], [False, False]]
    """
    return _of_colours(values, lossy) if values.ndim == 3 else _of_levels(values, lossy)


def _of_levels(values: np.ndarray, lossy: bool) -> np.ndarray:
    """(H, W) to (H, W) bool."""
    if np.issubdtype(values.dtype, np.floating):
        values = np.nan_to_num(values, nan=0)  # nothing is above the middle between 0 and infinity
    levels, counts = np.unique(values, return_counts=True)
    if lossy and values.dtype == np.uint8 and levels[-1] < NOISE:
        return np.zeros(values.shape, dtype=bool)
    if len(levels) == 1 or (not lossy and len(levels) <= FEW):
        background = 0 if 0 in levels or len(levels) == 1 else levels[counts.argmax()]
        return values != background
    low, high = float(levels[0]), float(levels[-1])
    return values.astype(np.float64) > (low + high) / 2


def _of_colours(rgba: np.ndarray, lossy: bool) -> np.ndarray:
    """(H, W, 4) uint8 to (H, W) bool."""
    colours, alpha = rgba[..., :3], rgba[..., 3]
    if np.ptp(colours.reshape(-1, 3), axis=0).max() == 0 and np.ptp(alpha) > 0:
        return _of_levels(alpha, lossy)  # paint of one colour on a transparent layer
    if (colours == colours[..., :1]).all():
        return _of_levels(colours[..., 0], lossy)
    names = colours.astype(np.int64) @ np.array([65536, 256, 1])  # (H, W), black is 0
    if not lossy and len(np.unique(names)) <= FEW:
        return _of_levels(names, lossy=False)
    widest = np.ptp(colours.reshape(-1, 3), axis=0).argmax()
    upper = _of_levels(colours[..., widest], lossy=True)
    black = (colours.max(axis=2) < DARK).any()
    return upper if black or upper.mean() <= 0.5 else ~upper
