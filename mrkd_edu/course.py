"""What all lessons share: the size of their images, the length of their trainings, and their seeds.

Lessons that ask for the same plan share one run: the cache in `run.py` trains it once. Everything here is a little
smaller than the library's own default, so that a lesson fits into an hour on a laptop; `MRKD_EDU_BUDGET=quick` makes it
smaller still, for the tests.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torchvision.models import get_model_weights

from mrkd_edu.model import Variant
from mrkd_edu.recipe import RECIPES, budget
from mrkd_edu.run import Plan
from mrkd_edu.teacher import OFFLINE_TEACHER

PAPERS_TEACHER = "wide_resnet50_2"
FULL = budget(quick=False, full=True)
SIZE = budget(quick=128, full=192)  # pixels
STEPS = budget(quick=80, full=240)  # of a training
SEEDS = budget(quick=(0, 1), full=(0, 1, 2))  # of a comparison that wants a spread
STAGES = budget(quick=(20, 80, 160), full=(30, 120, 480, 960))  # steps at which a long training is looked at


def teacher_at_hand() -> str:
    """The paper's teacher where its weights lie in torchvision's cache already, else the offline one.

    `make test-gpu` asks this, so that a GPU runner without network does not wait for a download.
    """
    url = get_model_weights(PAPERS_TEACHER)["IMAGENET1K_V1"].url
    there = Path(torch.hub.get_dir(), "checkpoints", Path(url).name).exists()
    return PAPERS_TEACHER if there else OFFLINE_TEACHER


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
