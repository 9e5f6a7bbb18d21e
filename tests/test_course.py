"""What the lessons share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mrkd_edu.data import AnomalyFolder
from mrkd_edu.lessons import course
from mrkd_edu.lessons.course import lesson_plan, lesson_rows, teacher_at_hand
from mrkd_edu.nsa import DEFAULT
from mrkd_edu.recipe import RECIPES
from mrkd_edu.toy import make_toy


def test_a_lessons_plan_is_the_workshop_recipe_made_small() -> None:
    plan = lesson_plan("ilm", 3, width=16, nsa=DEFAULT)
    assert (plan.variant, plan.seed, plan.recipe.width, plan.nsa) == ("ilm", 3, 16, DEFAULT)
    assert plan.recipe.lr == RECIPES["workshop"].lr
    assert plan.size % 64 == 0


def test_the_paper_s_teacher_is_taken_only_where_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert teacher_at_hand() == "efficientnet_lite0"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "wide_resnet50_2-95faca4d.pth").touch()
    assert teacher_at_hand() == "wide_resnet50_2"
    monkeypatch.setenv("MRKD_EDU_TEACHER", teacher_at_hand())
    assert lesson_plan().backbone == "wide_resnet50_2"


def test_lessons_share_their_rows_unless_the_recipe_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = AnomalyFolder(make_toy(tmp_path / "toy", train=12, test_good=2, test_defective=5, size=64))
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(course, "SIZE", 64)
    monkeypatch.setattr(course, "STEPS", 2)
    first = lesson_rows(data, ["rd"], seeds=[0])
    assert lesson_rows(data, ["rd"], seeds=[0]) == first  # its time per image would differ, had it been measured again
    [other] = lesson_rows(data, ["rd"], seeds=[0], loss="per_pixel")
    assert other["ms_per_image"] != first[0]["ms_per_image"]
    assert lesson_rows(data, ["rd"], seeds=[0]) == first, "the other recipe's row has taken its place"


def test_the_playground_takes_the_lessons_students(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = make_toy(tmp_path, "fabric", train=2, test_good=1, test_defective=1, size=64)
    monkeypatch.setattr(course, "cached_toy", {"fabric": toy}.get)
    monkeypatch.setattr(course, "run", lambda data, plan: (data.name, plan))
    data, students = course.playground("fabric")
    assert data.root == toy
    copies = students.pop("rd, long")[1].recipe
    assert (copies.steps, copies.strides, copies.width) == (course.SNAPSHOTS[-1], (4, 8, 16), None)
    assert students == {variant: ("fabric", lesson_plan(variant)) for variant in ("rd", "mrkd")}
