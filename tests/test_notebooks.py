"""The notebooks as they are handed out: executed, quiet, small, and of the shape that every lesson has."""

from __future__ import annotations

import ast
import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.rglob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if re.match(r"\d\d[a-z]?_", path.name)]
LARGEST_FIGURE, LARGEST_COURSE = 300_000, 12_000_000  # bytes
LONGEST_CELL = 25  # lines
MOST_PREDICTIONS, ASKS = 5, r"^\*\*What do you expect\?\*\*"
source_hash = runpy.run_path(str(FOLDER / "execute.py"))["source_hash"]
minutes = runpy.run_path(str(FOLDER / "reading_time.py"))["minutes"]

Cells = list[dict[str, Any]]


def named(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def cells_of(path: Path, kind: str) -> Cells:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in cells if cell["cell_type"] == kind]


def prose_of(path: Path) -> str:
    return "\n\n".join(cell["source"] for cell in cells_of(path, "markdown"))


# --- kept alive -----------------------------------------------------------------------------------------------


@named(NOTEBOOKS)
def test_notebook_is_kept_executed(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"  # else JupyterLab opens it without a kernel
    assert notebook["metadata"].get("sources") == source_hash(notebook), "cells were changed: run `make notebooks`"
    code = cells_of(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), "run `make notebooks`"
    outputs = [out for cell in code for out in cell["outputs"]]
    assert not [out for out in outputs if out["output_type"] == "error"]
    assert not [out for out in outputs if out.get("name") == "stderr"], "a reader should see no warning"


@named(NOTEBOOKS)
def test_pictures_are_small_enough_to_hand_out(path: Path) -> None:
    for cell in cells_of(path, "code"):
        for out in cell["outputs"]:
            for kind, content in out.get("data", {}).items():
                if kind.startswith("image/"):
                    assert len(content) * 3 / 4 < LARGEST_FIGURE, cell["source"]


def test_all_notebooks_together_are_small_enough_to_hand_out() -> None:
    assert sum(path.stat().st_size for path in NOTEBOOKS) < LARGEST_COURSE


# --- the shape of a lesson ------------------------------------------------------------------------------------


@named(LESSONS)
def test_lesson_says_what_it_asks_needs_and_takes(path: Path) -> None:
    head = cells_of(path, "markdown")[0]["source"]
    assert head.startswith(f"# {path.name.split('_')[0]} \N{MIDDLE DOT} ")
    for part in ("**The question:**", "After this notebook you can\n\n- ", "**You need:**", "**Time:**", "CPU", "GPU"):
        assert part in head, f"the header lacks {part!r}"
    assert f"**Time:** {minutes(path)} minutes." in " ".join(head.split()), f"it takes {minutes(path)} minutes"


@named(LESSONS)
def test_lesson_asks_before_it_shows_and_folds_its_answers(path: Path) -> None:
    prose = prose_of(path)
    questions = len(re.findall(ASKS, prose, flags=re.MULTILINE))
    answers = prose.count("<summary>Answer</summary>")
    assert 1 <= questions <= MOST_PREDICTIONS
    assert answers >= questions, "each question has its answer after the result"
    assert prose.count("<details>") == prose.count("</details>")
    assert "## Summary" in prose and "## Exercises" in prose and "## References" in prose
    exercises = prose.split("## Exercises")[1].split("## References")[0]
    number = len(re.findall(r"^\d\. ", exercises, flags=re.MULTILINE))
    assert 2 <= number <= 4
    assert exercises.count("<summary>Hint</summary>") == exercises.count("<summary>Answer</summary>") == number


@named(LESSONS)
def test_each_prediction_has_a_box_and_is_compared(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    asks = [i for i, source in enumerate(sources) if re.search(ASKS, source, flags=re.MULTILINE)]
    for i in asks:
        assert len(re.findall(ASKS, sources[i], flags=re.MULTILINE)) == 1, "one question a cell"
        assert cells[i + 1]["cell_type"] == "code", sources[i]
        assert re.search(r"^guess\(", sources[i + 1], flags=re.MULTILINE), sources[i]
    code = "\n".join(cell["source"] for cell in cells_of(path, "code"))
    asked, compared = (re.findall(rf"\b{name}\(\s*\"([^\"]+)\"", code) for name in ("guess", "compare"))
    assert sorted(asked) == sorted(compared), "each prediction is compared with the result, once"
    assert len(asked) == len(set(asked)) == len(asks)
    assert "guesses(" in code, "all of them stand together near the end"


@named(LESSONS)
def test_what_is_to_be_written_has_three_hints_and_a_solution(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if cell["cell_type"] == "code" and "".join(cell["source"]).startswith("# Build it"):
            assert following is not None
            folds = re.findall(r"<details><summary>(.*?)</summary>", "".join(following["source"]))
            assert folds[:4] == ["Hint 1", "Hint 2", "Hint 3", "Solution"], cell["source"]


@named(LESSONS)
def test_lesson_checks_what_it_says(path: Path) -> None:
    """A check in every section that computes something, and asserts that are no tautologies."""
    checks = [c for c in cells_of(path, "code") if c["source"].startswith("# Check yourself")]
    assert len(checks) >= 2
    for cell in checks:
        tree = ast.parse(cell["source"])
        asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        assert asserts, cell["source"]
        assert not any(isinstance(node.test, ast.Constant) for node in asserts)


@named(LESSONS)
def test_lesson_has_short_cells_and_one_switch_for_other_images(path: Path) -> None:
    code = [cell["source"] for cell in cells_of(path, "code")]
    for source in code:
        assert len(source.splitlines()) <= LONGEST_CELL, source
    assert len(re.findall(r"^DATA = None\b", "\n".join(code), flags=re.MULTILINE)) == 1


@named(LESSONS)
def test_every_picture_is_described_beside_it(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        pictures = [out for out in cell.get("outputs", []) if any(k.startswith("image/") for k in out.get("data", {}))]
        if pictures:
            assert following is not None and "".join(following["source"]).startswith("*Figure: "), cell["source"]


def test_the_map_of_the_course_is_true() -> None:
    """The table in 00 names every lesson, with the minutes that its header gives."""
    table = prose_of(FOLDER / "00_welcome.ipynb")
    rows = re.findall(r"^\| \[(\w+)\]\((\w+\.ipynb)\) \| .+ \| (\d+) \|$", table, flags=re.MULTILINE)
    assert [file for _, file, _ in rows] == [path.name for path in LESSONS]
    for name, file, minutes in rows:
        assert file == f"{name}.ipynb"
        assert f"**Time:** {minutes} minutes." in prose_of(FOLDER / file), f"{name} says other minutes"
