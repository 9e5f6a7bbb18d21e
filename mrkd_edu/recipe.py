"""Recipes: every number that decides how a student is trained, in one place and under a name.

- `workshop` makes all four variants converge in about a minute on a laptop.
- `long` trains a wider student twice as long: able enough to fit normal images well, and to copy defects. It is what
  images of one's own deserve.
- `paper` is the setting of Jiang, Cao and Shen (2023), section 4.1, as their published code has it, for a GPU, with
  the paper's teacher (`--backbone wide_resnet50_2`).

The choices behind the first two come from training loss, normal images, synthetic defects and the toy factory's
validation pictures, never from test scores: docs/recipe.md.

What of `paper` still differs from the published code:

- Normal images: one in ten is held out for the threshold (at least 16), so that fewer are learned from.
- Batches: the last one of an epoch reaches into the next, where theirs is short.
- Numbers: a GPU computes in bf16 unless told otherwise (`--precision fp32`).
- Bottleneck: a 1x1 convolution that the published code defines and never calls is not there.
- ILM: with a background, the region that a pasted patch changes is the union of both objects, as in NSA; a change too
  small to see (3 grey levels) is undone, so that mask and picture agree.
- FLM: masks are off at test time. The published code leaves them on, so two evaluations of one model differ.
- Anomaly map: enlarged with pixel centres in place (`align_corners=False`).
- Measures: AUPRO is taken over the whole set and divided by the limit of 0.3; no epoch is chosen by test scores.
"""

from __future__ import annotations

import math
import os
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Annotated, Any, Literal, TypeVar, get_args

from annotated_types import Ge, Le, Len, Lt

from mrkd_edu.distance import LossForm

Choice = TypeVar("Choice")
Distance = Literal["cosine", "mahalanobis"]
Schedule = Literal["constant", "cosine"]
Squeeze = Literal[1, 2]
Stride = Literal[2, 4, 8, 16, 32, 64]
Share = Annotated[float, Ge(0), Lt(1)]
DISTANCES = get_args(Distance)
CHOICES = {  # of a recipe's settings that are one of several
    "schedule": get_args(Schedule),
    "loss": get_args(LossForm),
    "distance": DISTANCES,
    "squeeze": get_args(Squeeze),
}


def budget(quick: Choice, full: Choice) -> Choice:
    """One of two values, by the environment variable `MRKD_EDU_BUDGET`: `quick` for tests, `full` (default) else.

    Notebooks take their steps and image sizes from here, so that one variable makes all of them short.

    Raises:
        ValueError: the variable has another value.

    Example:
        >>> budget(quick=30, full=300) in (30, 300)
        True
    """
    chosen = os.environ.get("MRKD_EDU_BUDGET", "full")
    if chosen not in ("quick", "full"):
        raise ValueError(f"MRKD_EDU_BUDGET is {chosen!r}; set it to quick or full.")
    return quick if chosen == "quick" else full


@dataclass
class Architecture:
    r"""How a student is built, and its maps compared with the teacher's. The bounds are those of a saved model.

    Attributes:
        strides: of the scales, each twice the one before.
        width: channels of the student's bottleneck; None: twice the coarsest scale's, as in the papers.
        squeeze: how much smaller than the coarsest scale the bottleneck's side is, 2 as in the papers, or 1.
        standardise: bring the teacher's channels to one size, see `standardise.py`.
        drop: :math:`\lambda` of FLM, one number or one per scale.
        residual: whether FLM's generation modules start as the identity, see `flm.GenerationModule`.
        distance: of the anomaly map, `"cosine"` or `"mahalanobis"`; the loss is always the cosine.
    """

    strides: Annotated[tuple[Stride, ...], Len(1, 5)] = (8, 16, 32)
    width: Annotated[int, Ge(1), Le(8192)] | None = 128
    squeeze: Squeeze = 1
    standardise: bool = True
    drop: Share | Annotated[tuple[Share, ...], Len(1, 5)] = 0.2
    residual: bool = True
    distance: Distance = "cosine"

    @property
    def architecture(self) -> dict[str, Any]:
        """These settings by name: `MRKD(variant=..., **recipe.architecture)`."""
        return {field.name: getattr(self, field.name) for field in fields(Architecture)}


@dataclass(unsafe_hash=True)  # its values never change, see `__setattr__`
class Recipe(Architecture):
    r"""Settings of one training, and of the student that it trains (see `Architecture`).

    Attributes:
        steps: gradient steps; or None when `epochs` counts.
        epochs: passes over the training images; or None when `steps` counts.
        batch: images a step.
        lr: learning rate of Adam, after warm-up.
        betas: of Adam.
        warmup: steps over which the learning rate rises from zero.
        schedule: what follows: `"constant"`, or `"cosine"` down to zero.
        loss: see `distance.distillation_loss`.
        size: side of the working square, pixels.
        weigh: choose the scales' weights from normal images, see `judging/scale_weights.py`. False: all count the same.
        published_ilm: paste within the same image, as the published code does, instead of the blending and source
            of the category's preset.

    Raises:
        ValueError: a number out of its range.
    """

    steps: int | None = 240
    epochs: int | None = None
    batch: int = 8
    lr: float = 0.005
    betas: tuple[float, float] = (0.5, 0.999)
    warmup: int = 24
    schedule: Schedule = "cosine"
    loss: LossForm = "flattened"
    size: int = 192
    weigh: bool = True
    published_ilm: bool = False

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"A recipe counts steps or epochs, not both; got {self.steps} and {self.epochs}.")
        length = self.epochs if self.steps is None else self.steps
        assert length is not None
        if length < 1 or self.batch < 2 or not 0 < self.lr < math.inf or self.warmup < 0:
            raise ValueError(
                "A recipe needs steps or epochs >= 1, batch >= 2, lr > 0 and finite, warmup >= 0; got "
                f"{length}, {self.batch}, {self.lr}, {self.warmup}."
            )
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"Recipe({name}={getattr(self, name)!r}): choose one of {', '.join(map(str, choices))}."
                )

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            raise FrozenInstanceError(f"a recipe does not change; make another: replace(recipe, {name}=...)")
        super().__setattr__(name, value)

    def total_steps(self, images: int) -> int:
        """Gradient steps for a training set of `images` images.

        Example:
            >>> RECIPES["workshop"].total_steps(209), RECIPES["paper"].total_steps(209)
            (240, 2800)
        """
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return self.epochs * -(-images // self.batch)


RECIPES: dict[str, Recipe] = {
    "workshop": Recipe(),
    "long": Recipe(steps=480, warmup=48, width=256),
    "paper": Recipe(
        steps=None,
        epochs=200,
        batch=16,
        warmup=0,
        schedule="constant",
        size=256,
        strides=(4, 8, 16),
        width=None,
        squeeze=2,
        standardise=False,
        weigh=False,
        residual=False,
        published_ilm=True,
    ),
}
