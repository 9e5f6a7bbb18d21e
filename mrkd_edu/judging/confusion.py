"""Four counts: which images a threshold calls defective, rightly or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mrkd_edu.judging.prediction import verdict


@dataclass(frozen=True)
class Confusion:
    """What the verdicts of one threshold come to, in images.

    Attributes:
        found, missed: defective images that are called so, and that are not.
        false_alarms, passed: normal images that are called defective, and that are not.

    Example:
        >>> counts = Confusion(found=8, missed=2, false_alarms=2, passed=8)
        >>> counts.recall, counts.false_alarm_rate, counts.precision, counts.f1
        (0.8, 0.2, 0.8, 0.8)
    """

    found: int
    missed: int
    false_alarms: int
    passed: int

    @property
    def recall(self) -> float:
        """Share of the defective images that is found: true-positive rate."""
        return self.found / max(1, self.found + self.missed)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the normal images that is called defective: false-positive rate."""
        return self.false_alarms / max(1, self.false_alarms + self.passed)

    @property
    def precision(self) -> float:
        """Share of truly defective images among those that are called so; not a number where none is."""
        called = self.found + self.false_alarms
        return self.found / called if called else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 where nothing is found."""
        return 2 * self.found / max(1, 2 * self.found + self.missed + self.false_alarms)


def confusion(scores: ArrayLike, labels: ArrayLike, threshold: float) -> Confusion:
    """Count the verdicts of a threshold: an image is called defective when `score > threshold`, as everywhere.

    Args:
        scores: (N,) image scores.
        labels: (N,) 0 normal, 1 defective.
        threshold: in the unit of the scores.

    Raises:
        ModelError: a score or the threshold is no finite number, see `prediction.verdict`.

    Example:
        >>> confusion([0.1, 0.4, 0.3, 0.8], [0, 0, 1, 1], threshold=0.35)
        Confusion(found=1, missed=1, false_alarms=1, passed=1)
    """
    called, defective = verdict(np.asarray(scores), threshold), np.asarray(labels) == 1
    pairs = ((called, defective), (~called, defective), (called, ~defective), (~called, ~defective))
    return Confusion(*(int((one & other).sum()) for one, other in pairs))
