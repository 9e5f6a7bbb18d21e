"""The checks of what learners write: folded solutions, other right answers, typical wrong ones, and untouched cells."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checking import compiled, each_mistake_is_told
from scipy import stats
from torch import nn

from mrkd_edu.checks import own_file
from mrkd_edu.checks.build import build
from mrkd_edu.checks.catalogue import LESSONS, exercises, find
from mrkd_edu.checks.exercise import judge
from mrkd_edu.distance import enlarge, gaussian_blur
from mrkd_edu.ilm import Box
from mrkd_edu.lessons import notes, statistics
from mrkd_edu.metrics import image_auroc

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NAMES = {"torch": torch, "np": np, "F": F, "nn": nn, "cv2": cv2, "stats": stats, "Box": Box}
NAMES |= {"enlarge": enlarge, "gaussian_blur": gaussian_blur, "DROP": (0.2, 0.2, 0.2), "earlier": own_file.earlier}
NAMES |= {"statistics": statistics, "image_auroc": image_auroc}
ALL = [name for lesson in LESSONS for name in exercises(lesson)]


@pytest.fixture(autouse=True)
def empty_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MRKD_EDU_NOTES", str(tmp_path))
    return tmp_path


def written(source: str, name: str) -> Callable[..., Any]:
    """A learner's function or class from its source, with the library's earlier parts beside it."""
    names = NAMES | {part.split(".")[1]: own_file.earlier(part) for part in own_file.PARTS if part != name}
    return compiled(source, name, names | {"build": lambda _: lambda mine: mine})


def answers_of(name: str) -> Any:
    return importlib.import_module(f"answers.{LESSONS[name.split('.')[0]]}")


def cells() -> Iterator[tuple[str, str, str]]:
    """Every cell in which something is built: notebook, the cell, and the folded solution below it."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        below: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for cell, following in zip(below, [*below[1:], {"cell_type": "", "source": []}], strict=True):
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and re.search(r"^@build\(", source, flags=re.MULTILINE):
                text = "".join(following["source"])
                found = re.search(r"<summary>Solution</summary>\s*```python\n(.*?)```", text, flags=re.DOTALL)
                yield path.name, source, found[1] if found else ""


def names_in(source: str) -> list[str]:
    return re.findall(r'^@build\("([^"]+)"\)', source, flags=re.MULTILINE)


CELLS = list(cells())
SOLUTIONS = {name: solution for _, cell, solution in CELLS for name in names_in(cell)}


@pytest.mark.parametrize("name", ALL)
def test_the_folded_solution_is_right(name: str) -> None:
    assert name in SOLUTIONS, "no lesson asks for it"
    verdict = judge(find(name), written(SOLUTIONS[name], name))
    assert verdict.state == "right", verdict.says


@pytest.mark.parametrize("name", ALL)
def test_other_right_answers_are_right(name: str) -> None:
    other = answers_of(name).RIGHT.get(name, [])
    assert other, "no other right answer is tried"
    for source in other:
        verdict = judge(find(name), written(source, name))
        assert verdict.state == "right", f"{source}\n{verdict.says}"


@pytest.mark.parametrize("name", ALL)
def test_typical_wrong_answers_are_told_what_is_wrong(name: str) -> None:
    each_mistake_is_told(name, answers_of(name).WRONG.get(name, []), written)


@pytest.mark.parametrize("name", ALL)
def test_an_untouched_cell_goes_on_with_the_librarys(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    cell = next(cell for _, cell, _ in CELLS if name in names_in(cell))
    names = NAMES | {"build": build}
    exec(compile(cell, "<cell>", "exec"), names)
    exercise = find(name)
    assert names[exercise.title] is exercise.answer
    assert f"{exercise.title}: Not written yet" in capsys.readouterr().out


def test_cells_and_hints_have_the_shape_that_learners_know() -> None:
    for path, cell, solution in CELLS:
        assert cell.startswith("# Build it"), f"{path}: {cell}"
        assert solution, f"{path}: no folded solution below\n{cell}"
        assert names_in(cell) == names_in(solution), path
        below: list[dict[str, Any]] = json.loads((FOLDER / path).read_text(encoding="utf-8"))["cells"]
        sources = ["".join(each["source"]) for each in below]
        text = sources[sources.index(cell) + 1]
        for step in ("Hint 1", "Hint 2", "Hint 3"):
            assert f"<summary>{step}</summary>" in text, f"{path}: no {step} below\n{cell}"
        lines = [line for line in solution.splitlines() if line.strip() and not line.startswith("@")]
        assert len(lines) <= 24, f"{path}: {len(lines)} lines are too much for one cell"


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_has_two_to_five_cells_to_build_in(lesson: str) -> None:
    mine = [cell for _, cell, _ in CELLS if names_in(cell)[0].startswith(f"{lesson}.")]
    assert 2 <= len(mine) <= 5
    assert sum(len(names_in(cell)) for cell in mine) == len(exercises(lesson))


def test_all_solutions_together_make_a_file_of_under_200_lines(empty_notes: Path) -> None:
    for name in own_file.PARTS:
        source = SOLUTIONS[name]
        blocks = re.split(r"^(?=@build\()", source, flags=re.MULTILINE)
        own = next(block for block in blocks if block.startswith(f'@build("{name}")'))
        notes.keep("solved", name, own.split("\n", 1)[1])
    path = own_file.write()
    assert path is not None
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    assert "Not written yet" not in text
    module = own_file.load()
    assert all(hasattr(module, name.split(".")[1]) for name in own_file.PARTS)


def test_without_a_single_solution_the_file_runs_on_the_librarys_parts(empty_notes: Path) -> None:
    module = own_file.load()
    for name in own_file.PARTS:
        assert getattr(module, name.split(".")[1]) is find(name).answer
