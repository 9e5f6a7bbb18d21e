"""Numbers of lessons 04 and 04b: distances of positions, scores without copying, and which pairs to look at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrkd_edu.study.copying import Answers, auroc_of


def position_auroc(found: Mapping[str, np.ndarray], name: str = "copied") -> float:
    """How well distances tell defective positions from normal ones, of what `Answers.distances` gives.

    Example:
        >>> position_auroc({"normal": np.array([0.1, 0.2]), "copied": np.array([0.3])})
        1.0
    """
    return auroc_of(found["normal"], found[name])


def scores(seen: Answers) -> np.ndarray:
    """Image scores of the defective images in thresholds, (2, N): had the student restored, and as it is.

    Raises:
        ValueError: the model has no threshold.
    """
    threshold = seen.model.settings.threshold
    if threshold is None:
        raise ValueError("the model has no threshold to measure scores by: calibrate it first")
    maps = seen.maps
    return np.stack([maps[name].max(axis=(1, 2)) / threshold for name in ("restored", "copied")])


def most_copied(seen: Answers, k: int) -> int:
    """Of the defects that change the teacher's features at least as much as the median one, the most copied pair.

    Args:
        seen: what a model makes of the pairs.
        k: the scale, counted from 0.
    """
    flow = seen.flow(k)
    change = (flow.defect**2 * flow.inside).sum(axis=(1, 2))  # (N,) sum of <d, d> of each pair
    return int(np.argmax(np.where(change >= np.median(change), seen.leakage()[:, k], -np.inf)))


def faded(early: Answers, late: Answers, number: int = 3) -> np.ndarray:
    """Defects that were found at an early stage and are missed at a late one, those first that copying lowers most.

    Where there are fewer than asked for, others follow, again those first that copying lowers most.

    Args:
        early, late: answers to the same pairs at two stages of a training.
        number: how many.

    Returns:
        Their indices.
    """
    (_, before), (restored, after) = scores(early), scores(late)
    gone = (before > 1) & (after <= 1)
    return np.lexsort((after - restored, ~gone))[:number]
