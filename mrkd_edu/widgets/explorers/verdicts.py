"""An evaluation judged at any threshold: which images and pixels are called defective, rightly or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_curve

from mrkd_edu.figures.style import colour_of
from mrkd_edu.judging.confusion import Confusion, confusion
from mrkd_edu.metrics import pro_curve
from mrkd_edu.study.evaluate import Evaluation
from mrkd_edu.widgets.frame.judgement import rgb

PRO_END = 0.3  # false-positive rate where AUPRO stops
PRO_POINTS = 121  # of a drawn PRO curve


@dataclass(frozen=True)
class Verdicts(Confusion):
    """How a test set's images and pixels are called at one threshold.

    Attributes:
        pixels: share of all normal pixels that is called defective.
        area: share of a defect's area that is called defective, mean over the defects (PRO).
    """

    pixels: float
    area: float


class Judge:
    """An evaluation, prepared to be judged at any threshold in a few milliseconds.

    Args:
        evaluation: with masks, a threshold, and normal and defective images.
        name: of the model in the picture; "" takes its variant.

    Attributes:
        roc: false-positive and true-positive rate of the image scores, (P,) each.
        pro: false-positive rate and PRO of the maps, up to where AUPRO stops, thinned out for drawing, (Q,) each.

    Raises:
        ValueError: something of that is missing.
    """

    def __init__(self, evaluation: Evaluation, name: str = ""):
        labels, self.name = evaluation.labels, name or evaluation.variant
        if evaluation.masks is None:
            raise ValueError("the threshold explorer needs ground-truth masks; this data set has none")
        if not evaluation.threshold or evaluation.threshold < 0:
            raise ValueError(f"{self.name} has no threshold above 0: take a model that `run` trained, or calibrate it")
        if not 0 < labels.sum() < len(labels):
            raise ValueError("the threshold explorer needs normal and defective test images; here is one kind only")
        self.evaluation, self.labels, self.colour = evaluation, labels, rgb(colour_of(evaluation.variant))
        self.masks, self.threshold = evaluation.masks, evaluation.threshold  # (N, S, S), a number
        self.normal_pixels = evaluation.anomaly_map[~evaluation.masks]  # (P,)
        self.curve = pro_curve(evaluation.anomaly_map, evaluation.masks)
        self._rising = -self.curve.thresholds
        self.roc = roc_curve(labels, evaluation.score)[:2]
        grid = PRO_END * np.linspace(0, 1, PRO_POINTS) ** 2  # dense where curves are steep
        self.pro = np.append(0, grid), np.append(0, np.interp(grid, self.curve.fpr, self.curve.pro))

    def at(self, multiple: float) -> Verdicts:
        """The verdicts at a multiple of the model's own threshold: images, and pixels, with a score above it."""
        line = self.line(multiple)
        last = int(np.searchsorted(self._rising, -line, side="left")) - 1  # of the curve's points above the line
        return Verdicts(
            **vars(confusion(self.evaluation.score, self.labels, line)),
            pixels=float(np.count_nonzero(self.normal_pixels > line) / self.normal_pixels.size),
            area=float(self.curve.pro[last]),
        )

    def line(self, multiple: float) -> float:
        """The threshold at a multiple of the model's own, as it is compared with the maps' float32."""
        return float(np.float32(multiple * self.threshold))
