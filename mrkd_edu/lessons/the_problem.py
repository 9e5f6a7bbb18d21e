"""Numbers of lesson 01: what an average image explains, and what precision a rare defect leaves."""

from __future__ import annotations

import numpy as np


def explained(images: np.ndarray) -> float:
    """The share of all differences between pixel values that the mean image accounts for.

    With :math:`x_{n,p}` the value of pixel p in image n: variance of the mean image over its pixels, divided by the
    variance of all :math:`x_{n,p}`. The rest is what differs from image to image.

    Args:
        images: (N, 3, S, S), of any scale.

    Returns:
        From 1 / N and below (nothing in common) to 1 (all images are the same).

    Example:
        >>> image = np.arange(12.0).reshape(1, 3, 2, 2)
        >>> round(explained(np.concatenate([image, image])), 3)
        1.0
        >>> round(explained(np.concatenate([image, -image])), 3)
        0.0
    """
    return float(images.mean(axis=0).var() / images.var())


def precision_at(base_rate: float | np.ndarray, recall: float, false_alarms: float) -> float | np.ndarray:
    r"""The share of alarms that are true, by Bayes' rule.

    .. math:: P(\text{defect} \mid \text{alarm}) = \frac{\pi r}{\pi r + (1 - \pi) f}

    Args:
        base_rate: :math:`\pi`, the share of images that are defective.
        recall: r, the share of defective images that raise an alarm.
        false_alarms: f, the share of normal images that raise an alarm.

    Example:
        >>> round(precision_at(0.5, 0.9, 0.1), 6), round(precision_at(0.01, 0.9, 0.1), 3)
        (0.9, 0.083)
    """
    true = base_rate * recall
    return true / (true + (1 - base_rate) * false_alarms)
