"""Masters: the notebooks in nbgrader's format from which releases, solutions and grades are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

NO_ANSWER = "YOUR ANSWER HERE"  # what a release has in the place of a written answer
HOME = Path(__file__).resolve().parents[2] / "notebooks" / "assignments"


def mark(cell: NotebookNode, name: str) -> Any:
    """What nbgrader's metadata of a cell say under a name; None where they say nothing, or are no metadata."""
    marks = cell.get("metadata", {}).get("nbgrader", {})
    value = marks.get(name) if isinstance(marks, dict) else None
    return value if isinstance(value, (str, bool, int, float)) else None


@dataclass(frozen=True)
class Part:
    """What is graded on its own.

    Attributes:
        name: nbgrader's `grade_id` of the test, or of the answer that a person grades.
        points: at most.
        exercise: the name of the check, `"A1.paste_patch"`; None where a person grades.
    """

    name: str
    points: float
    exercise: str | None

    @property
    def title(self) -> str:
        """`"paste_patch"` of `"test_paste_patch"`."""
        return self.name.removeprefix("test_")


@dataclass(frozen=True)
class Master:
    """An assignment.

    Attributes:
        name: `"A1"`.
        path: of the notebook.
    """

    name: str
    path: Path

    @cached_property
    def notebook(self) -> NotebookNode:
        """The notebook, read once."""
        return nbformat.read(self.path, as_version=4)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """What is graded, in the order of the notebook."""
        found = []
        for cell in self.notebook.cells:
            if mark(cell, "grade"):
                name = str(mark(cell, "grade_id"))
                exercise = None if mark(cell, "solution") else f"{self.name}.{name.removeprefix('test_')}"
                found.append(Part(name, mark(cell, "points"), exercise))
        return tuple(found)

    @property
    def points(self) -> float:
        """All of them together."""
        return sum(part.points for part in self.parts)

    @property
    def by_hand(self) -> float:
        """Those that a person gives."""
        return sum(part.points for part in self.parts if part.exercise is None)

    def cell(self, name: str) -> NotebookNode | None:
        """The cell with this `grade_id`."""
        return next((cell for cell in self.notebook.cells if mark(cell, "grade_id") == name), None)


def assignment_of(notebook: NotebookNode) -> str | None:
    """Which assignment a notebook belongs to, by what its master left in it; None where it says nothing."""
    own = notebook.get("metadata", {}).get("mrkd_edu", {})
    said = own.get("assignment") if isinstance(own, dict) else None
    return said if isinstance(said, str) else None


def masters(folder: Path | None = None) -> dict[str, Master]:
    """All masters of a folder by name.

    Args:
        folder: of the masters; those of this project where it is None.

    Raises:
        FileNotFoundError: there is none.
    """
    folder = HOME if folder is None else folder
    found: dict[str, Master] = {}
    for path in sorted(folder.glob("*.ipynb")):
        if name := assignment_of(nbformat.read(path, as_version=4)):
            found[name] = Master(name, path)
    if not found:
        raise FileNotFoundError(f"There is no master of an assignment in {folder}. Name the folder that has them.")
    return found
