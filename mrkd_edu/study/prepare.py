"""What comes before and after a training: a plan, images to learn from and held-out ones, weights and a threshold."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from mrkd_edu.backbones.entry import OFFLINE_TEACHER
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.stack import ImageStack, some_images
from mrkd_edu.judging.detector import Baseline, Restorer, Variant
from mrkd_edu.judging.scale_weights import choose_weights
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import NSA, preset
from mrkd_edu.recipe import RECIPES, Recipe
from mrkd_edu.runtime.checkpoint import History
from mrkd_edu.runtime.hardware import Precision
from mrkd_edu.runtime.names import readable

HOLD_OUT, WEIGHTS = 2, 4  # streams of random numbers; `train.py` has 0 and 1, `evaluate.py` 3
HELD_OUT = 0.1  # share of the normal training images that the threshold is chosen from


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run, except the images.

    Attributes:
        variant: `"rd"`, `"ilm"`, `"flm"` or `"mrkd"`.
        backbone: the teacher.
        size: side of the working square, pixels; 0 takes the recipe's.
        seed: of weights, order, masks and synthetic anomalies.
        recipe: see `recipe.Recipe`.
        precision: number format.
        nsa: settings of the synthetic anomalies; None takes the category's preset (`nsa.preset`).
    """

    variant: Variant | Baseline = "mrkd"
    backbone: str = OFFLINE_TEACHER
    size: int = 0
    seed: int = 0
    recipe: Recipe = RECIPES["workshop"]
    precision: Precision = "auto"
    nsa: NSA | None = None

    def __post_init__(self) -> None:
        if self.size == 0:
            object.__setattr__(self, "size", self.recipe.size)


@dataclass(frozen=True)
class Parts:
    """The normal images to learn from, those held out, and the settings of the synthetic anomalies."""

    learned: ImageStack
    held_out: ImageStack
    nsa: NSA


def build(plan: Plan) -> MRKD:
    """The model of a plan, before its training."""
    return MRKD(
        plan.backbone,
        plan.variant,  # type: ignore[arg-type]  # a baseline is refused
        size=plan.size,
        precision=plan.precision,
        seed=plan.seed,
        **plan.recipe.architecture,
    )


def divide(data: AnomalyFolder, plan: Plan) -> Parts:
    """Divide the normal images of a plan, and choose the settings of the synthetic anomalies."""
    images = data.train_images(plan.size)
    learned, held_out = split(len(images), plan.seed)
    usual = preset(data.name, images[learned[:16]])
    if plan.recipe.published_ilm:  # pasted as it was cut, within the same image
        usual = replace(usual, blend="swap", source="same", rescale=(1.0, 1.0))
    stack = [ImageStack([images.paths[i] for i in part], plan.size) for part in (learned, held_out)]
    return Parts(stack[0], stack[1], plan.nsa or usual)


def split(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the normal images to learn from, and of those held out for the threshold.

    One in ten is held out, but at least 16, for fewer say little of how scores spread, and at most one in four. A
    set of fewer than 12 images is too small to give any away: all are used for both, and the threshold will be on
    the low side.

    Example:
        >>> learned, held_out = split(200, seed=0)
        >>> len(learned), len(held_out), set(learned) & set(held_out)
        (180, 20, set())
        >>> [len(split(n, seed=0)[1]) for n in (12, 40, 100, 300)]
        [3, 10, 16, 30]
    """
    order = np.random.default_rng([seed, HOLD_OUT]).permutation(images)
    if images < 12:
        return order, order
    n = min(max(16, round(images * HELD_OUT)), images // 4)
    return order[n:], order[:n]


def finish(model: Restorer, parts: Parts, plan: Plan) -> dict[str, Any] | None:
    """After training, from normal images: what residuals are like, the weights of the scales, the threshold.

    Residuals are looked at on some of the training images and on all held-out ones. Weights (if the recipe asks) and
    threshold come from the held-out ones alone; both from the same ones, which therefore look a little calmer than
    new ones will: with 16 to 26 of them, a threshold for 5 % of false alarms gives about 6 % (simulated with
    independent scales).

    Returns:
        What `scale_weights.choose_weights` found, or None.
    """
    held_out = parts.held_out[:]  # (N, 3, S, S)
    model.learn_residuals(torch.cat([some_images(parts.learned), held_out]))
    found = None
    if plan.recipe.weigh:
        found = choose_weights(model, held_out, parts.nsa, np.random.default_rng([plan.seed, WEIGHTS]))
    model.calibrate(model.predict(parts.held_out.paths).score)
    return found


def conclude(model: MRKD, history: History, data: AnomalyFolder, plan: Plan, parts: Parts) -> None:
    """After a training: `finish` the model, and let it remember what it is the result of."""
    found = finish(model, parts, plan)
    model.settings.history = {
        "steps": len(history.loss),
        "seconds": round(history.seconds, 2),
        "images": history.images,
        "loss": [round(value, 5) for value in history.loss],
        "plan": plain(plan),
        "nsa": plain(parts.nsa),
        "scales": found,
        "category": readable(data.name),
    }


def plain(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON has them."""
    return json.loads(json.dumps(asdict(settings)))
