r"""Which scales see a defect? A weight for each scale of the anomaly map, from normal images alone.

The papers add the scales as they are, :math:`A = \sum_k A_k`. Then the scale with the largest values has the say,
even where it only sees the grain of the material. Here every scale has to show on held-out *normal* images what it is
good for. Paste synthetic defects into them (NSA, as in ILM), and compare the image scores :math:`s_k = \max A_k` of
one scale alone,

.. math:: d_k = \max\Bigl(0, \frac{\operatorname{mean} s_k^\text{defect} - \operatorname{mean} s_k^\text{normal}}
    {\operatorname{std} s_k^\text{normal}}\Bigr), \qquad w_k \propto \frac{d_k}{\operatorname{std} s_k^\text{normal}}

so a scale counts for as much as it separates, in units of how much it fluctuates. This is Fisher's linear discriminant
for scores that fluctuate independently. No real defect is looked at.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mrkd_edu.distance import anomaly_map, image_score
from mrkd_edu.ilm import add_anomalies
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import NSA

BATCH = 16
DEFECTS = 2  # synthetic defects for every normal image


def separation(normal: np.ndarray, defective: np.ndarray) -> np.ndarray:
    """How far the scores of defective images lie above those of normal ones, in standard deviations of the latter.

    Args:
        normal: (N, K) image scores of K scales.
        defective: (M, K).

    Returns:
        (K,) numbers, 0 or more.

    Example:
        >>> normal = np.array([[1.0, 1.0], [3.0, 3.0]])
        >>> separation(normal, np.array([[6.0, 1.0]])).round(2).tolist()
        [2.83, 0.0]
    """
    return np.maximum(0, (defective.mean(0) - normal.mean(0)) / (normal.std(0, ddof=1) + 1e-12))


def scale_scores(model: MRKD, images: Tensor) -> np.ndarray:
    """Image scores that each scale would give on its own: (N, 3, S, S) to (N, K)."""
    size, rows = model.settings.size, []
    for start in range(0, len(images), BATCH):
        with torch.no_grad():
            teacher, student = model.features(images[start : start + BATCH])
        maps = [anomaly_map([t], [s], (size, size), sigma=size / 64) for t, s in zip(teacher, student, strict=True)]
        rows.append(torch.stack([image_score(m) for m in maps], 1).cpu().numpy())  # (B, K)
    return np.concatenate(rows)


def choose_weights(model: MRKD, normal: Tensor, nsa: NSA, rng: np.random.Generator) -> dict[str, list[float]]:
    r"""Set `model.settings.weights` from normal images that the student was not trained on.

    Args:
        model: trained.
        normal: (N, 3, S, S) uint8, two or more.
        nsa: settings of the synthetic defects.
        rng: draws them.

    Returns:
        What was found, one number a scale: `separation` :math:`d_k`, `spread` (standard deviation of the normal
        scores) and `weights` :math:`w_k`, which sum to 1. Where no scale separates, all weights are the same.
    """
    model.eval()
    defective, where = add_anomalies(torch.cat([normal] * DEFECTS), nsa, rng)
    good = scale_scores(model, normal)  # (N, K)
    bad = scale_scores(model, defective[where.flatten(1).any(1)]) if where.any() else good  # (M, K)
    found, spread = separation(good, bad), good.std(0, ddof=1) + 1e-12  # (K,)
    weights = found / spread if found.any() else np.ones_like(spread)
    weights = weights / weights.sum()
    model.settings.weights = tuple(round(float(w), 4) for w in weights)
    return {
        "strides": list(model.settings.strides),
        "separation": found.round(3).tolist(),
        "spread": spread.round(5).tolist(),
        "weights": list(model.settings.weights),
    }
