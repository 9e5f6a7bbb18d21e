"""Anomaly maps as colours on a photograph, on one scale across a comparison."""

from __future__ import annotations

from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from mrkd_edu.figures.style import TRUTH_COLOUR

HEAT = matplotlib.colormaps["inferno"]  # perceptually uniform, dark to bright
SIGNED = matplotlib.colormaps["RdBu_r"]  # blue -1, white 0, red 1: told apart by colour-blind people too
HEAT_SHARE = 0.6  # of the heat in an overlay; the rest is the photograph
THRESHOLDS_SHOWN = 2.0  # the colour scale ends at this many thresholds


def shared_scale(threshold: float) -> tuple[float, float]:
    """The range of map values that a model's pictures show: from 0 to twice its threshold.

    Two models have two ranges, but one scale: equal colours are equal multiples of each model's own threshold.

    Args:
        threshold: a model's, or what `verdict_threshold` gives.

    Returns:
        `(low, high)`, the `scale` of `overlay`.

    Example:
        >>> shared_scale(0.4)
        (0.0, 0.8)
    """
    return 0.0, THRESHOLDS_SHOWN * float(threshold)


def overlay(image: np.ndarray, anomaly_map: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Lay an anomaly map as heat over the greyed image.

    The share of colour is the same at every pixel, so that hotter is always brighter, also in a black and
    white print. The image loses its colours; all colour is heat.

    Args:
        image: uint8 (H, W, 3).
        anomaly_map: float (h, w), resized to the image.
        scale: map values of the coldest and the hottest colour, see `shared_scale`; values beyond
            are clipped.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: wrong shapes, or an empty scale.

    Example:
        >>> photo = np.full((64, 64, 3), 128, np.uint8)
        >>> heat = np.zeros((16, 16)); heat[8, 8] = 1.0
        >>> picture = overlay(photo, heat, shared_scale(0.5))
        >>> picture.shape, bool(picture[34, 34].mean() > picture[0, 0].mean())
        ((64, 64, 3), True)
    """
    check_image(image)
    low, high = scale
    if np.ndim(anomaly_map) != 2:
        raise ValueError(f"anomaly_map must be one map (h, w), got {np.shape(anomaly_map)}")
    if not low < high:
        raise ValueError(f"scale must be (low, high) with low < high, got {scale}")
    height, width = image.shape[:2]
    heat = cv2.resize(np.asarray(anomaly_map, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    colours = HEAT(np.clip((heat - low) / (high - low), 0, 1))[..., :3] * 255  # (H, W, 3)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]  # (H, W, 1)
    return np.rint((1 - HEAT_SHARE) * grey + HEAT_SHARE * colours).astype(np.uint8)


def outline(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the border of a mask around its regions; a dark line beside it shows it on any ground.

    Args:
        image: uint8 (H, W, 3).
        mask: bool (h, w), resized to the image.

    Returns:
        uint8 (H, W, 3), a copy.

    Example:
        >>> mask = np.zeros((32, 32), bool); mask[10:20, 10:20] = True
        >>> outline(np.zeros((64, 64, 3), np.uint8), mask)[19, 30].tolist()
        [0, 255, 255]
    """
    check_image(image)
    height, width = image.shape[:2]
    inside = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    line = max(1, round(width / 160))  # pixels
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * line + 1, 2 * line + 1))
    ring = cv2.dilate(inside, disc)
    result = image.copy()
    result[cv2.dilate(ring, np.ones((3, 3), np.uint8)) > inside] = 0
    result[ring > inside] = TRUTH_COLOUR  # outside the region: none of its pixels is painted over
    return result


def scale_colours(number: int = 256) -> np.ndarray:
    """The colours of the scale as they look over a middle grey, for a colour bar: uint8 (number, 3)."""
    grey = np.full((1, number, 3), 128, np.uint8)
    values = np.linspace(0, THRESHOLDS_SHOWN, number, dtype=np.float32)[None]  # (1, number)
    return overlay(grey, values, (0, THRESHOLDS_SHOWN))[0]


def threshold_colours() -> ScalarMappable:
    """The scale of all anomaly maps, in thresholds, for a colour bar."""
    return ScalarMappable(Normalize(0, THRESHOLDS_SHOWN), ListedColormap(scale_colours() / 255))


def threshold_bar(figure: Figure, axes: Any, **placing: Any) -> None:
    """The upright colour bar beside anomaly maps, with a line at the threshold."""
    bar = figure.colorbar(threshold_colours(), ax=axes, extend="max", ticks=[0, 0.5, 1, 1.5, 2], **placing)
    bar.set_label("anomaly map / threshold")
    bar.ax.axhline(1, color="white", linewidth=2)


def threshold_line(ax: Any, in_thresholds: np.ndarray) -> None:
    """A white line around what lies above the threshold, where an overlay's colours alone cannot be read.

    Args:
        ax: with a picture of the map's size.
        in_thresholds: the map in thresholds, (S, S).
    """
    if (in_thresholds > 1).any() and (in_thresholds <= 1).any():
        ax.contour(in_thresholds, [1.0], colors="white", linewidths=1.2)


def check_image(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 (H, W, 3), got {image.dtype} {image.shape}")
