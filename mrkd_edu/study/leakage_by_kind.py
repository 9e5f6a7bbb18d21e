"""Overgeneralisation looked at from three sides: by kind of defect, by its strength, and over the steps of a training.

The measure is leakage (`leakage.py`); this file asks it the questions. The third one is the theatre: train longer and
longer, and watch whether the detector gets better at its task or only at copying.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.judging.detector import Detector, Variant
from mrkd_edu.leakage import leakage
from mrkd_edu.runtime.batches import in_batches
from mrkd_edu.runtime.writing import whole_file
from mrkd_edu.study.evaluate import check_test_set, evaluate
from mrkd_edu.study.run import Plan, stages
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
        category: a key of `data.factory.CATEGORIES`.
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
            normal, defective = (
                torch.from_numpy(np.stack([getattr(p, name) for p in drawn])).permute(0, 3, 1, 2)
                for name in ("normal", "defective")
            )  # (pairs, 3, S, S)
            masks = torch.from_numpy(np.stack([p.mask for p in drawn]))  # (pairs, S, S)
            rows.append(leakage(model.features, [(normal, defective, masks)]))
        found[kind] = np.array(rows)
    return found


@dataclass(frozen=True)
class Act:
    """One look at a training: what one would have who stopped here.

    Attributes:
        variant: of the model.
        seed: of the training.
        step: gradient steps done.
        seconds: of training until here; what the looks cost is not counted.
        loss: mean of the last 20 steps.
        image_auroc, pixel_auroc: on the test set.
        leakage: of every scale.
        ceiling: image AUROC had the student restored the normal images; None without twins.
        recipe: name of the recipe that the student's form is from.
    """

    variant: str
    seed: int
    step: int
    seconds: float
    loss: float
    image_auroc: float | None
    pixel_auroc: float | None
    leakage: list[float] | None
    ceiling: float | None = None
    recipe: str = ""


def theatre(
    data: AnomalyFolder,
    plan: Plan,
    at: Sequence[int],
    *,
    variants: Sequence[Variant] = ("rd", "mrkd"),
    recipe: str = "",
    device: str = "auto",
    progress: bool = True,
) -> list[Act]:
    """Train each variant as long as `at` says, and look at the test set on the way.

    Looking changes nothing: no step is chosen, and the training sees none of it. Weights of the scales and threshold
    are set anew at each look, as if the training ended there. The learning rate stays constant after its warm-up, so
    that a longer training is the continuation of a shorter one.

    Args:
        data: with test images.
        plan: the settings; variant and number of steps are replaced.
        at: steps at which to look; the last is the length of the training.
        variants: which to compare.
        recipe: name of the plan's recipe, for tables and figures.
        device: `"auto"`, `"cpu"`, `"cuda"`.
        progress: show a bar.

    Returns:
        One `Act` for each variant and step, in this order.

    Raises:
        ValueError, data.images.DataError: the test set cannot be used; found before the training.
    """
    check_test_set(data, plan.size)
    acts: list[Act] = []
    for variant in variants:
        acts += watched(data, replace(plan, variant=variant), at, device=device, progress=progress)
    return [replace(act, recipe=recipe) for act in acts]


def watched(
    data: AnomalyFolder, plan: Plan, at: Sequence[int], *, device: str = "auto", progress: bool = True
) -> list[Act]:
    """Train one model by a plan, and look at the test set after the steps `at`, see `run.stages`."""
    acts = []
    for step, model in stages(data, plan, at, device=device, progress=progress).items():
        result, past = evaluate(model, data, progress=False), model.settings.history
        auroc, cost = result.metrics["image_auroc"], result.metrics["copying_cost"]
        ceiling = None
        if auroc is not None and cost is not None and result.leakage_from == "twins":  # else the cost of other defects
            ceiling = auroc + cost
        loss, pixels = float(np.mean(past["loss"][-20:])), result.metrics["pixel_auroc"]
        acts.append(Act(plan.variant, plan.seed, step, past["seconds"], loss, auroc, pixels, result.leakage, ceiling))
    return acts


def write_acts(path: str | Path, acts: Sequence[Act]) -> None:
    """Acts as a CSV file, leakage with one column a scale."""
    with whole_file(path, newline="") as file:
        writer = csv.writer(file)
        scales = max(len(a.leakage or []) for a in acts)
        names = ["recipe", "variant", "seed", "step", "seconds", "loss", "image_auroc", "ceiling", "pixel_auroc"]
        writer.writerow([*names, *(f"leakage_{k + 1}" for k in range(scales))])
        for a in acts:
            values = [*(getattr(a, name) for name in names), *(a.leakage or [])]
            writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in values])
