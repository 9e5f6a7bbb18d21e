"""Numbers of lesson 04: how well distances tell defective positions, and scores with and without copying."""

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
