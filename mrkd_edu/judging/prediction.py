"""From a score to a verdict: what a detector says of images, and the threshold that it says it by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # Student's t; scipy.stats has it too, and takes a second to import

from mrkd_edu.runtime.manifest import ModelError

ROUNDING = 1e-3  # share of a score that rounding may change, in another batch or on another machine


@dataclass(frozen=True)
class Prediction:
    """What a detector says about N images.

    Attributes:
        score: (N,) one number an image, higher where more anomalous.
        anomaly_map: (N, size, size) float32, at the model's working size.
        image: (N, size, size, 3) uint8, what the model looked at, where that was kept.
        threshold: scores above it are called defective; None when the model has none yet.
        seconds: that the networks took, for all images; reading them is not counted.
    """

    score: np.ndarray
    anomaly_map: np.ndarray
    image: np.ndarray | None = None
    threshold: float | None = None
    seconds: float = 0.0

    @property
    def defective(self) -> np.ndarray:
        """(N,) bool: score above the threshold.

        Raises:
            ModelError: the model was never calibrated.
        """
        return verdict(self.score, self.threshold)

    def __len__(self) -> int:
        return len(self.score)


def verdict(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """Which scores are above the threshold: (N,) bool.

    Raises:
        ModelError: the model was never calibrated.
    """
    if threshold is None:
        raise ModelError("This model has no threshold yet: call model.calibrate(scores_of_normal_images) first.")
    if not (math.isfinite(threshold) and np.isfinite(scores).all()):
        raise ModelError(  # a comparison with NaN is False, and False would read "normal"
            f"There is no verdict: the threshold is {threshold:g}, and {int((~np.isfinite(scores)).sum())} of "
            f"{np.size(scores)} scores are NaN or infinite. The model is damaged, or its number format is too small: "
            "train again, with --precision fp32."
        )
    return scores > threshold


def threshold_from(scores: np.ndarray, false_alarms: float = 0.05) -> float:
    r"""A threshold from the scores of *normal* images the student was not trained on.

    No defect is needed to choose it, so none can be cheated with. For scores of mean :math:`\mu` and standard
    deviation :math:`s` from :math:`n` images, it is the prediction limit of one more normal score,

    .. math:: \mu + t_{n-1,\,1-\alpha} \; s \sqrt{1 + 1/n},

    which a share :math:`\alpha` of new normal images exceeds if scores are normally distributed. Student's
    :math:`t` widens it where few images make :math:`s` unsure. Scores that are all the same are taken to spread by
    a thousandth, for the next one may be rounded otherwise.

    Args:
        scores: (n,) of normal images.
        false_alarms: :math:`\alpha`, the share of normal images that may be called defective.

    Raises:
        ValueError: fewer than 2 scores, a score that is not finite, or a share outside (0, 1).

    Example:
        >>> round(threshold_from(np.array([1.0, 1.1, 0.9, 1.0])), 2)
        1.21
    """
    scores = np.asarray(scores, dtype=np.float64)
    n = len(scores)
    if n < 2 or not np.isfinite(scores).all():
        raise ValueError(f"A threshold needs at least 2 finite scores of normal images; got {n}.")
    if not 0 < false_alarms < 1:
        raise ValueError(f"false_alarms is a share between 0 and 1; got {false_alarms}.")
    reach = stdtrit(n - 1, 1 - false_alarms) * np.sqrt(1 + 1 / n)
    spread = max(scores.std(ddof=1), ROUNDING * abs(scores.mean()))
    return float(scores.mean() + reach * spread)
