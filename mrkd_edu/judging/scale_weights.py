r"""Which scales see a defect? A weight for each scale of the anomaly map, from normal images alone.

The papers add the scales as they are, :math:`A = \sum_k A_k`. Then the scale with the largest values has the say,
even where it only sees the grain of the material. Here every scale has to show on held-out *normal* images what it is
good for. Paste synthetic defects into them (NSA, as in ILM), let each scale judge alone by its image score
:math:`s_k = \max A_k`, and give it

.. math:: w_k \propto \frac{\max(0, \mathrm{AUROC}_k - 1/2)}{\sigma_k}

with :math:`\mathrm{AUROC}_k` the share of pairs of a normal and a defective image that it puts in the right order (1/2
is guessing), and :math:`\sigma_k` the standard deviation of :math:`s_k` over normal images: a scale whose score
fluctuates by itself has to shout louder to be heard. No real defect is looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrkd_edu.distance import image_score
from mrkd_edu.ilm import add_anomalies
from mrkd_edu.judging.detector import Restorer, Settings
from mrkd_edu.metrics import image_auroc
from mrkd_edu.nsa import NSA
from mrkd_edu.runtime.batches import in_batches

DEFECTS = 2  # synthetic defects for every normal image
FEW = 10  # normal images; of fewer, the mean score is a better unit than a standard deviation


def scale_scores(model: Restorer, images: Tensor) -> np.ndarray:
    """Image scores that each scale would give on its own: (N, 3, S, S) to (N, K)."""
    rows = []
    for part in in_batches(images):
        with torch.no_grad():
            found = model.distances(*model.features(part))  # K maps (B, h_k, w_k)
        scores = [image_score(model.add([d], None)) for d in found]
        rows.append(torch.stack(scores, 1).cpu().numpy())  # (B, K)
    return np.concatenate(rows)


def describe(settings: Settings) -> str:
    """What the scales count for, in words.

    Example:
        >>> describe(Settings(strides=(8, 16), weights=(0.25, 0.75)))
        'weights from normal images: stride 8 25 %, stride 16 75 %'
        >>> describe(Settings())
        'all scales count the same'
    """
    if settings.weights is None:
        return "all scales count the same"
    pairs = zip(settings.strides, settings.weights, strict=True)
    shares = ", ".join(f"stride {stride} {100 * w / sum(settings.weights):.0f} %" for stride, w in pairs)
    return f"weights from normal images: {shares}"


def choose_weights(model: Restorer, normal: Tensor, nsa: NSA, rng: np.random.Generator) -> dict[str, Any]:
    r"""Set `model.settings.weights` from normal images that the student was not trained on.

    Args:
        model: trained.
        normal: (N, 3, S, S) uint8, 2 or more.
        nsa: settings of the synthetic defects.
        rng: draws them.

    Returns:
        What was found, one number a scale: `auroc`, `spread` :math:`\sigma_k`, and `weights` :math:`w_k`, brought to
        a sum of 1. Where no scale separates anything, each counts by :math:`1/\sigma_k`.
    """
    model.eval()
    drawn = [add_anomalies(normal, nsa, rng) for _ in range(DEFECTS)]
    defective, where = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    defective = defective[where.flatten(1).any(1)]  # on some images no patch finds a place
    good = scale_scores(model, normal)  # (N, K)
    spread = good.std(0) if len(good) >= FEW else good.mean(0)  # (K,)
    aurocs = np.full(len(spread), 0.5)
    if len(defective):
        bad = scale_scores(model, defective)  # (M, K)
        labels = np.repeat([0, 1], [len(good), len(bad)])
        aurocs = np.array([image_auroc(np.r_[good[:, k], bad[:, k]], labels) for k in range(len(spread))])
    say = np.maximum(0, aurocs - 0.5)
    weights = (say if say.any() else np.ones_like(say)) / (spread + 1e-12)
    weights = weights / weights.sum()
    model.settings.weights = tuple(round(float(w), 4) for w in weights)
    return {
        "strides": list(model.settings.strides),
        "auroc": aurocs.round(4).tolist(),
        "spread": spread.round(6).tolist(),
        "weights": list(model.settings.weights),
    }
