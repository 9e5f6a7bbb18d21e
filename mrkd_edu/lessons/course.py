"""What all lessons share: the size of their images, the length of their trainings, and their seeds.

Lessons that ask for the same plan share one run: the cache in `run.py` trains it once. Everything here is a little
smaller than the library's own default, so that a lesson fits into an hour on a laptop; `MRKD_EDU_BUDGET=quick` makes it
smaller still, for the tests.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mrkd_edu.backbones.entry import OFFLINE_TEACHER
from mrkd_edu.backbones.resnet import weights_are_here
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.model import MRKD, Variant
from mrkd_edu.recipe import RECIPES, budget
from mrkd_edu.runtime.cache import cache_folder
from mrkd_edu.study.benchmark import benchmark
from mrkd_edu.study.published import PAPERS_TEACHER
from mrkd_edu.study.results import Row
from mrkd_edu.study.run import Plan, run
from mrkd_edu.toy import cached_toy

FULL = budget(quick=False, full=True)
SIZE = budget(quick=128, full=192)  # pixels
STEPS = budget(quick=80, full=240)  # of a training
SEEDS = budget(quick=(0, 1), full=(0, 1, 2))  # of a comparison that wants a spread
PAPERS_FORM: dict[str, Any] = {"strides": (4, 8, 16), "width": None, "squeeze": 2, "standardise": False, "weigh": False}
SNAPSHOTS = budget(quick=(20, 80, 160), full=(30, 120, 480, 960))  # steps at which a long training is looked at


def teacher_at_hand() -> str:
    """The paper's teacher where its weights lie in torchvision's cache already, else the offline one.

    `make test-gpu` asks this, so that a GPU runner without network does not wait for a download.
    """
    return PAPERS_TEACHER if weights_are_here(PAPERS_TEACHER) else OFFLINE_TEACHER


def lesson_plan(variant: Variant = "rd", seed: int = 0, **changes: Any) -> Plan:
    """The plan of a lesson's run: the workshop recipe at the course's size and length.

    The teacher is the offline one, unless the environment variable `MRKD_EDU_TEACHER` names another.

    Args:
        variant: `"rd"`, `"ilm"`, `"flm"` or `"mrkd"`.
        seed: of the training.
        changes: fields of `recipe.Recipe` that differ, for instance `width=32`; or `nsa`, of `run.Plan`.

    Example:
        >>> lesson_plan("flm", drop=0.5).recipe.drop
        0.5
    """
    nsa = changes.pop("nsa", None)
    recipe = replace(RECIPES["workshop"], **{"steps": STEPS, **changes})
    backbone = os.environ.get("MRKD_EDU_TEACHER", OFFLINE_TEACHER)
    return Plan(variant=variant, backbone=backbone, size=SIZE, seed=seed, recipe=recipe, nsa=nsa)


def playground(category: str = "surface") -> tuple[AnomalyFolder, dict[str, MRKD]]:
    """The images and the three students of the playground, trained by the lessons' plans where no lesson has done so.

    `rd` and `mrkd` are those of the lessons. `rd, long` is a student that overgeneralises: the papers' form, trained
    four times as long.

    Args:
        category: a key of `toy.CATEGORIES`.
    """
    data = AnomalyFolder(cached_toy(category))
    long = lesson_plan("rd", steps=SNAPSHOTS[-1], schedule="constant", **PAPERS_FORM)  # as lesson 04 trains it
    plans = {"rd": lesson_plan("rd"), "mrkd": lesson_plan("mrkd"), "rd, long": long}
    return data, {name: run(data, plan) for name, plan in plans.items()}


def lesson_rows(
    data: AnomalyFolder, variants: Sequence[Variant], seeds: Sequence[int] = SEEDS, **changes: Any
) -> list[Row]:
    """Rows of a benchmark with the lessons' plan: measured once, by whichever lesson asks first.

    Args:
        data: with test images.
        variants: `"nn"` and those of `lesson_plan`.
        seeds: of the trainings.
        changes: as for `lesson_plan`; rows of different recipes are kept apart.
    """
    recipe = "-".join(f"{name}={value}" for name, value in sorted(changes.items())) or "workshop"
    return benchmark(
        [data.root], cache_folder() / "lessons" / recipe, plan=lesson_plan(**changes), variants=variants, seeds=seeds
    )
