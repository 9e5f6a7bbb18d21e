"""A small assignment with the two exercises of lesson 00, and ways to hand it in, for the tests of grading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mrkd_edu.assignments.master import Master

SCORE = "def image_score(maps):\n    return maps.flatten(1).amax(1)"
VERDICT = "def is_defective(scores, threshold):\n    return scores > threshold"


def marks(name: str, **own: Any) -> dict[str, Any]:
    base = {"schema_version": 3, "grade_id": name, "grade": False, "solution": False, "locked": False, "task": False}
    return {"nbgrader": base | own}


def small_master(folder: Path) -> Master:
    """Two exercises of 3 and 5 points, and an answer of 2 points that a person grades."""
    cells = [new_markdown_cell("# A small assignment")]
    imports = "import torch\nfrom mrkd_edu.checks import check"
    cells.append(new_code_cell(imports, metadata=marks("imports", locked=True)))
    for title, source, points in (("image_score", SCORE, 3), ("is_defective", VERDICT, 5)):
        head, body = source.split("\n", 1)
        solved = f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"
        cells.append(new_code_cell(solved, metadata=marks(title, solution=True)))
        test = f'check("00.{title}", {title})\n### BEGIN HIDDEN TESTS\nassert {title} is not None\n### END HIDDEN TESTS'
        cells.append(new_code_cell(test, metadata=marks(f"test_{title}", grade=True, locked=True, points=points)))
    cells.append(
        new_markdown_cell("Because it is so.", metadata=marks("report", grade=True, solution=True, points=2))
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "00_small.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"mrkd_edu": {"assignment": "00"}}), path)
    return Master("00", path)


def hand_in(path: Path, image_score: str = SCORE, is_defective: str = VERDICT, **changes: Any) -> Path:
    """Write a submission of the small assignment.

    Args:
        path: of the notebook.
        image_score, is_defective: source of the two solution cells.
        changes: `extra`, code cells before the solutions; `report`, the written answer; `metadata` of the notebook.
    """
    cells = [new_code_cell("import torch", metadata=marks("imports", locked=True))]
    cells += [new_code_cell(source) for source in changes.get("extra", ())]
    cells.append(new_code_cell(image_score, metadata=marks("image_score", solution=True)))
    cells.append(new_code_cell(is_defective, metadata=marks("is_defective", solution=True)))
    report = changes.get("report", "YOUR ANSWER HERE")
    cells.append(new_markdown_cell(report, metadata=marks("report", grade=True, solution=True, points=2)))
    notebook = new_notebook(cells=cells, metadata=changes.get("metadata", {"mrkd_edu": {"assignment": "00"}}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path
