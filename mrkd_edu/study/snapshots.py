"""Snapshots: one long training, kept at several steps. Does it get better at its task, or only at copying?"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.judging.detector import Variant
from mrkd_edu.model import MRKD
from mrkd_edu.runtime.checkpoint import History
from mrkd_edu.runtime.hardware import pick_device
from mrkd_edu.runtime.manifest import ModelError
from mrkd_edu.runtime.tables import write_table
from mrkd_edu.study.evaluate import check_test_set, evaluate
from mrkd_edu.study.prepare import Plan, build, conclude, divide
from mrkd_edu.study.run import can_keep, home_of, keep_if_possible
from mrkd_edu.train import Moment, fit


def snapshots(
    data: AnomalyFolder, plan: Plan, at: Sequence[int], *, device: str = "auto", progress: bool = True
) -> dict[int, MRKD]:
    """One long training, kept at several steps: the models that one would have who stopped there.

    The learning rate stays constant after its warm-up, so that a longer training continues a shorter one. Each snapshot
    is the same model as a `run` of that many steps, and is kept in the cache as that run.

    Args:
        data: its training images are used, its test images never.
        plan: the settings; the number of steps and the schedule are replaced.
        at: the steps; the last is the length of the training.
        device: `"auto"`, `"cpu"`, `"cuda"`.
        progress: show a bar.

    Returns:
        Step to trained model, with weights of the scales and threshold as if the training had ended there.
    """
    plans = {
        step: replace(plan, recipe=replace(plan.recipe, steps=step, epochs=None, schedule="constant"))
        for step in sorted(at)
    }
    homes = {step: home_of(data, p, pick_device(device)) for step, p in plans.items()}
    with suppress(ModelError):  # one is missing or damaged: train anew
        return {step: MRKD.load(folder, device) for step, folder in homes.items()}
    longest = plans[max(at)]
    model, parts = build(longest), divide(data, plan)
    history, kept = History(images=len(parts.learned)), {}
    keeps = can_keep(homes[max(at)], model)

    def keep(moment: Moment) -> None:
        history.loss.append(moment.loss)
        if moment.step in plans:
            history.seconds = moment.seconds
            conclude(model, history, data, plans[moment.step], parts)
            kept[moment.step] = copy.deepcopy(model).eval()
            if keeps:
                keep_if_possible(homes[moment.step], model)

    fit(
        model,
        parts.learned,
        recipe=longest.recipe,
        nsa=parts.nsa,
        seed=plan.seed,
        device=device,
        progress=progress,
        callback=keep,
    )
    return kept


@dataclass(frozen=True)
class Look:
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


def look_at_snapshots(
    data: AnomalyFolder,
    plan: Plan,
    at: Sequence[int],
    *,
    variants: Sequence[Variant] = ("rd", "mrkd"),
    recipe: str = "",
    device: str = "auto",
    progress: bool = True,
) -> list[Look]:
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
        One `Look` for each variant and step, in this order.

    Raises:
        ValueError, data.images.DataError: the test set cannot be used; found before the training.
    """
    check_test_set(data, plan.size)
    looks: list[Look] = []
    for variant in variants:
        looks += watched(data, replace(plan, variant=variant), at, device=device, progress=progress)
    return [replace(look, recipe=recipe) for look in looks]


def watched(
    data: AnomalyFolder, plan: Plan, at: Sequence[int], *, device: str = "auto", progress: bool = True
) -> list[Look]:
    """Train one model by a plan, and look at the test set after the steps `at`, see `snapshots`."""
    looks = []
    for step, model in snapshots(data, plan, at, device=device, progress=progress).items():
        result, past = evaluate(model, data, progress=False), model.settings.history
        auroc, cost = result.metrics["image_auroc"], result.metrics["copying_cost"]
        ceiling = None
        if auroc is not None and cost is not None and result.leakage_from == "twins":  # else the cost of other defects
            ceiling = auroc + cost
        loss, pixels = float(np.mean(past["loss"][-20:])), result.metrics["pixel_auroc"]
        looks.append(Look(plan.variant, plan.seed, step, past["seconds"], loss, auroc, pixels, result.leakage, ceiling))
    return looks


def write_looks(path: str | Path, looks: Sequence[Look]) -> None:
    """Looks as a CSV file, leakage with one column a scale."""
    scales = max(len(look.leakage or []) for look in looks)
    names = ["recipe", "variant", "seed", "step", "seconds", "loss", "image_auroc", "ceiling", "pixel_auroc"]
    rows = ([*(getattr(look, name) for name in names), *(look.leakage or [])] for look in looks)
    write_table(path, [*names, *(f"leakage_{k + 1}" for k in range(scales))], rows)
