"""The assignments: masters, their exercises, and what right, wrong and unwritten answers are told and given."""

from __future__ import annotations

import csv
import importlib
import json
import re
from pathlib import Path
from typing import Any

import cv2
import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checking import compiled, each_mistake_is_told
from scipy import stats
from torch import nn

from mrkd_edu.assignments.build import HIDDEN, MARKERS, release
from mrkd_edu.assignments.grade import grade_submission
from mrkd_edu.assignments.master import Master, masters
from mrkd_edu.assignments.sandbox import walls
from mrkd_edu.assignments.submission import read_submission
from mrkd_edu.assignments.wire import packed, unpacked
from mrkd_edu.checks.catalogue import ASSIGNMENTS, exercises, find
from mrkd_edu.checks.exercise import ask
from mrkd_edu.checks.feedback import graded

MASTERS = masters()
ALL = [name for assignment in ASSIGNMENTS for name in exercises(assignment)]
NAMES = {"torch": torch, "np": np, "F": F, "nn": nn, "cv2": cv2, "stats": stats, "csv": csv, "Path": Path, "json": json}
SEEDS = (0, 1)


def written(source: str, name: str) -> Any:
    """A student's function or class from its source, with the assignment's other functions beside it."""
    names = NAMES | {e.title: e.answer for e in exercises(name.split(".")[0]).values() if e.name != name}
    return compiled(source, name, names)


def answers_of(name: str) -> Any:
    return importlib.import_module(f"answers.{ASSIGNMENTS[name.split('.')[0]]}")


def test_there_are_four_with_at_least_25_checks() -> None:
    assert list(MASTERS) == list(ASSIGNMENTS)
    assert len(ALL) >= 25
    asked = [part.exercise for master in MASTERS.values() for part in master.parts if part.exercise]
    assert sorted(asked) == sorted(ALL), "each exercise is asked for by its master, once"


@pytest.mark.parametrize("name", ALL)
def test_inputs_are_several_and_hidden_ones_are_others(name: str) -> None:
    exercise = find(name)
    assert exercise.examine is None and exercise.hidden is not None
    visible = packed({what: given for what, given in exercise.cases().items()})
    hidden = [packed(dict(exercise.hidden(seed))) for seed in (0, 0, 1)]
    assert len(exercise.cases()) >= 3 and len(exercise.hidden(0)) >= 3
    assert hidden[0] == hidden[1] != hidden[2] != visible, "the seed decides, and nothing else"
    for given in exercise.cases().values():
        sent = unpacked(packed(given))[0]
        assert ask(exercise, exercise.answer, sent).stopped is None, "inputs survive the way to another process"


@pytest.mark.parametrize("name", ALL)
def test_three_right_answers_are_right_on_hidden_inputs_too(name: str) -> None:
    right = answers_of(name).RIGHT.get(name, [])
    assert len(right) >= 3 and len(set(right)) == len(right)
    for source in right:
        for seed in SEEDS:
            verdict = graded(name, written(source, name), seed)
            assert verdict.state == "right", f"{source}\n{verdict.says}"


@pytest.mark.parametrize("name", ALL)
def test_typical_wrong_answers_are_told_what_is_wrong(name: str) -> None:
    each_mistake_is_told(name, answers_of(name).WRONG.get(name, []), written)


# --- masters --------------------------------------------------------------------------------------------------


def named(master: Master) -> str:
    return master.name


@pytest.mark.parametrize("master", MASTERS.values(), ids=named)
def test_a_master_says_what_is_expected_and_asks_as_all_do(master: Master) -> None:
    head = master.notebook.cells[0].source
    assert re.search(r"\*\*Time:\*\* about \d+ minutes", head) and f"**{master.points:g}**" in head
    for part in master.parts:
        row = rf"^\| .*`?{part.title}`?.* \| {part.points:g} \|$"
        assert re.search(row, head, flags=re.MULTILINE), f"the first cell lists {part.title} with its points"
    ids = [c.metadata.nbgrader.grade_id for c in master.notebook.cells if "nbgrader" in c.metadata]
    assert len(ids) == len(set(ids))
    for part in master.parts:
        if part.exercise is None:
            continue
        test, solution = master.cell(part.name), master.cell(part.title)
        assert test is not None and solution is not None, part
        assert test.source.startswith(f'check("{part.exercise}", {part.title})'), part
        assert HIDDEN.search(test.source) and f'grade("{part.exercise}", {part.title})' in test.source
        assert len(MARKERS.findall(solution.source)) == 2
        text = master.notebook.cells[master.notebook.cells.index(solution) - 1].source
        assert text.count("<summary>Hint") >= 3, f"{part.title} has three hints above it"


@pytest.mark.parametrize("master", MASTERS.values(), ids=named)
def test_no_solution_is_left_in_the_release(master: Master) -> None:
    released = release(master)
    for part in master.parts:
        if part.exercise:
            cell = next(c for c in released.cells if c.metadata.get("nbgrader", {}).get("grade_id") == part.title)
            assert re.search(r"^ *\.\.\.$", cell.source, flags=re.MULTILINE), cell.source
            assert "return" not in cell.source, cell.source
    assert not any("HIDDEN" in c.source or "SOLUTION" in c.source for c in released.cells)
    assert not any(c.get("outputs") for c in released.cells)


@pytest.mark.skipif(not walls().namespaces, reason=f"no namespaces here: {walls()}")
@pytest.mark.parametrize("master", MASTERS.values(), ids=named)
def test_the_master_gets_all_points_and_the_release_none(master: Master, tmp_path: Path) -> None:
    found = grade_submission("master", master.path, master)
    automatic = {part.name: part.points for part in master.parts if part.exercise}
    assert {name: found.points[name] for name in automatic} == automatic, found.says
    assert not found.notes
    nbformat.write(release(master), tmp_path / "release.ipynb")
    found = grade_submission("release", tmp_path / "release.ipynb", master)
    assert found.total == 0 and None not in found.points.values(), found


@pytest.mark.parametrize("master", MASTERS.values(), ids=named)
def test_what_runs_where_work_is_graded_needs_no_library(master: Master) -> None:
    """Given cells run their imports alone; what students write must not lean on names that only the library has."""
    own = [cell.source for cell in read_submission(master.path, master).cells if not cell.imports]
    solutions = [s for s in own if "### BEGIN SOLUTION" in s]
    assert solutions and not any("mrkd_edu" in s for s in solutions)
