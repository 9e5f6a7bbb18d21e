"""Overgeneralisation by kind of defect, and by its strength.

The measure is leakage (`leakage.py`); this file asks it the questions. How it goes over the steps of a training,
`snapshots.py` asks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import as_batch
from mrkd_edu.judging.detector import Detector
from mrkd_edu.leakage import leakage
from mrkd_edu.runtime.batches import in_batches
from mrkd_edu.toy import CATEGORIES, render_pair

STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def leakage_by_kind(model: Detector, data: AnomalyFolder) -> dict[str, list[float]]:
    """Leakage of every scale, for each kind of defect of a test set with twins.

    Raises:
        data.images.DataError: the data has no twins.
        leakage.LeakageUndefined: the defects of a kind do not change what the teacher sees.
    """
    normal, defective, masks = data.twin_pairs(model.settings.size)
    kinds = np.array([sample.kind for sample in data.test if sample.twin is not None])
    found = {}
    for kind in sorted(set(kinds)):
        places = np.flatnonzero(kinds == kind)
        parts = ((normal[i], defective[i], torch.from_numpy(masks[i])) for i in in_batches(places))
        found[kind] = leakage(model.features, parts)
    return found


def leakage_by_strength(
    model: Detector, category: str, *, strengths: Sequence[float] = STRENGTHS, pairs: int = 4, seed: int = 0
) -> dict[str, np.ndarray]:
    """Leakage of the same defects, growing from hardly visible to obvious.

    Args:
        model: trained on this category of the toy factory.
        category: a key of `toy.CATEGORIES`.
        strengths: in (0, 1].
        pairs: pictures of each kind of defect.
        seed: of the pictures.

    Returns:
        For each kind, leakage (strengths, K): a row for each strength, a column for each scale.
    """
    size, found = model.settings.size, {}
    for kind in CATEGORIES[category].defects:
        rows = []
        for strength in strengths:
            drawn = [render_pair(category, kind, strength, size=size, seed=seed + i) for i in range(pairs)]
            normal = as_batch([p.normal for p in drawn])  # (pairs, 3, S, S)
            defective = as_batch([p.defective for p in drawn])  # (pairs, 3, S, S)
            masks = torch.from_numpy(np.stack([p.mask for p in drawn]))  # (pairs, S, S)
            rows.append(leakage(model.features, [(normal, defective, masks)]))
        found[kind] = np.array(rows)
    return found
