"""Results as an evaluation might give them, for the tests of pictures and report; no model is trained."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.metrics import aupro, f1_max, image_auroc, pixel_auroc
from mrkd_edu.model import VARIANTS
from mrkd_edu.study.evaluate import Evaluation
from mrkd_edu.toy import make_toy

SIDE = 64  # pixels of a map


def small_toy(folder: Path) -> AnomalyFolder:
    """2 images to learn from; a test set of 5 normal and 7 defective ones."""
    return AnomalyFolder(make_toy(folder, train=2, test_good=5, test_defective=7, size=96))


def results_of(data: AnomalyFolder, variant: str, strength: float, leak: float) -> Evaluation:
    """What a model that finds defects with some strength might have done; each with its own range of maps."""
    rng = np.random.default_rng(VARIANTS.index(variant))
    unit = 1 + VARIANTS.index(variant)
    masks = data.test_masks(SIDE) if data.has_masks else None
    maps = rng.random((len(data.test), SIDE, SIDE), dtype=np.float32) ** 4
    maps = np.stack([cv2.GaussianBlur(m, (0, 0), 2) for m in maps])
    if masks is not None:
        strengths = strength * rng.uniform(0.2, 1, (len(maps), 1, 1))
        maps = maps + strengths * np.stack([cv2.GaussianBlur(m.astype(np.float32), (0, 0), 2) for m in masks])
    maps = (unit * maps).astype(np.float32)  # (N, S, S)
    scores, labels = maps.max(axis=(1, 2)), data.test_labels
    metrics: dict[str, float | None] = dict.fromkeys(("image_auroc", "pixel_auroc", "aupro", "f1_max"))
    if 0 < labels.sum() < len(labels):
        metrics["image_auroc"], metrics["f1_max"] = image_auroc(scores, labels), f1_max(scores, labels)[0]
    if masks is not None:
        metrics["pixel_auroc"], metrics["aupro"] = pixel_auroc(maps, masks), aupro(maps, masks)
    metrics |= {"leakage": leak, "ms_per_image": 12.5, "train_seconds": 90.0}
    normal = scores[labels == 0] if (labels == 0).any() else scores
    threshold = float(normal.mean() + 3 * normal.std())
    leakage = [1.5 * leak, leak, 0.5 * leak]
    return Evaluation(
        category=data.name,
        variant=variant,
        samples=list(data.test),
        score=scores,
        anomaly_map=maps,
        masks=masks,
        threshold=threshold,
        metrics=metrics,
        leakage=leakage,
        leakage_from="twins",
    )


def four_results(data: AnomalyFolder) -> list[Evaluation]:
    settings = {"rd": (0.4, 0.34), "ilm": (0.6, 0.2), "flm": (0.5, 0.3), "mrkd": (1.0, 0.12)}
    return [results_of(data, variant, *numbers) for variant, numbers in settings.items()]
