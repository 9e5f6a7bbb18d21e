"""Numbers of lesson 01: what two detectors disagree on, what precision a rare defect leaves, what a mean explains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from mrkd_edu.data.stack import ImageStack
from mrkd_edu.lessons.statistics import LEVEL
from mrkd_edu.runtime.batches import in_batches
from mrkd_edu.study.evaluate import Evaluation
from mrkd_edu.study.neighbours import Neighbours


def features(images: ImageStack | Tensor) -> Tensor:
    """What the teacher says of images, at one position for every 8 x 8 pixels; lesson 02 looks inside.

    Args:
        images: uint8 (N, 3, S, S), S a multiple of 16.

    Returns:
        (N, 152, S / 8, S / 8), the features that the baseline `nn` compares.

    Example:
        >>> features(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape
        torch.Size([2, 152, 8, 8])
    """
    teacher = Neighbours(images[:1], bank=1)
    return torch.cat([teacher.see(part)[0].cpu() for part in in_batches(images)])


def z_scores(normal: Tensor, test: Tensor) -> Tensor:
    """Deviations from the mean at each place, in the deviations that are usual there, mean over the channels.

    A tenth of the channel's mean deviation is added to what is usual, so that a place where nothing ever changed does
    not divide by zero.

    Args:
        normal: maps or images that are known to be normal, float (N, C, h, w).
        test: those to judge, float (M, C, h, w).

    Returns:
        Maps, (M, h, w).

    Example:
        >>> normal = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)
        >>> round(z_scores(normal, torch.full((1, 1, 1, 1), 5.0)).item(), 2)
        1.93
    """
    mean, std = normal.mean(0), normal.std(0)  # (C, h, w)
    usual = std + 0.1 * std.mean((1, 2), keepdim=True)
    return ((test - mean).abs() / usual).mean(1)


def fifths(kinds: np.ndarray) -> np.ndarray:
    """A number from 0 to 4 for each image, dealt out anew within each kind: every fifth holds some of every kind.

    Args:
        kinds: of the images, (N,).

    Example:
        >>> fifths(np.array(["dent", "dent", "hole", "dent"])).tolist()
        [0, 1, 0, 2]
    """
    return np.array([(kinds[:i] == kind).sum() % 5 for i, kind in enumerate(kinds)])


def points(result: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """For each defective image: is it called defective, and does the highest pixel of its map lie in the mask?

    Args:
        result: with masks.

    Returns:
        Two bool arrays (D,).
    """
    bad = np.flatnonzero(result.labels == 1)
    maps = result.anomaly_map[bad].reshape(len(bad), -1)
    inside = np.asarray(result.masks)[bad].reshape(len(bad), -1)
    return result.defective[bad], inside[np.arange(len(bad)), maps.argmax(1)]


class Disagreement(NamedTuple):
    """Two detectors on the same defects.

    Attributes:
        only_one: number that only the first one finds.
        only_other: number that only the second one finds.
        difference: share found by the first minus share found by the second.
        low, high: 95 % interval of the difference (Bonett and Price, 2012).
        p: how often as many coin flips would be as uneven as the disagreements are, or more (McNemar, 1947, exact).
    """

    only_one: int
    only_other: int
    difference: float
    low: float
    high: float
    p: float


def disagreement(one: np.ndarray, other: np.ndarray) -> Disagreement:
    """What two detectors find of the same defects: were they equally good, each disagreement would be a coin flip.

    Args:
        one, other: bool (N,), which of the same N defects each detector finds.

    Example:
        >>> one, other = np.arange(100) < 60, np.arange(100) < 52
        >>> found = disagreement(one, other)
        >>> found.only_one, found.only_other, round(found.difference, 2), round(found.p, 4)
        (8, 0, 0.08, 0.0078)
    """
    only_one, only_other = int((one & ~other).sum()), int((~one & other).sum())
    flips, of = only_one + only_other, len(one)
    p = float(stats.binomtest(only_one, flips).pvalue) if flips else 1.0
    # One disagreement of each sort is added, so that the interval of few of them, or none, is no point.
    middle, spread = (only_one - only_other) / (of + 2), (flips + 2) / (of + 2)
    reach = float(stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt((spread - middle**2) / (of + 2)))
    return Disagreement(only_one, only_other, (only_one - only_other) / of, middle - reach, middle + reach, p)


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
