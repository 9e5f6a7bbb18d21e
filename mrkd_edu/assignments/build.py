"""From masters to what is handed out: releases without solutions, solutions for instructors, zips.

nbgrader's own preprocessors do the work, so that a release is also right for those who collect and grade with nbgrader.
"""

from __future__ import annotations

import copy
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode

from mrkd_edu.assignments.master import NO_ANSWER, Master
from mrkd_edu.runtime.writing import whole_file

STUB = "..."  # what a release has in the place of a function's body
MARKERS = re.compile(r"^[ \t]*### (BEGIN|END) SOLUTION[^\n]*\n?", flags=re.MULTILINE)
HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\n]*\n?", flags=re.MULTILINE | re.DOTALL)
WHEN = (2000, 1, 1, 0, 0, 0)  # in zips, so that the same master gives the same zip


class Built(NamedTuple):
    """The files that one master became."""

    release: Path
    solution: Path
    archive: Path


def build(masters: Iterable[Master], out: Path) -> list[Built]:
    """Write releases, solutions and zips.

    Args:
        masters: of `master.masters`.
        out: `release/`, `solutions/` and `zips/` appear in it.

    Raises:
        NotWritten: the folder cannot be written.
    """
    built = []
    for master in masters:
        files = Built(
            out / "release" / master.name / master.path.name,
            out / "solutions" / master.path.name,
            out / "zips" / f"{master.name}.zip",
        )
        text = nbformat.writes(release(master))
        for path, content in ((files.release, text), (files.solution, nbformat.writes(solution(master)))):
            with whole_file(path) as file:
                file.write(content + "\n")
        with whole_file(files.archive, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(f"{master.name}/{master.path.name}", WHEN), text + "\n")
        built.append(files)
    return built


def release(master: Master) -> NotebookNode:
    """The students' notebook: no solutions, no hidden tests, no outputs; its given cells cannot be edited."""
    from nbgrader import preprocessors as nbgrader  # slow to import, and needed for this alone
    from traitlets.config import Config

    config = Config()
    config.ClearSolutions.code_stub = {"python": STUB}
    config.ClearSolutions.text_stub = NO_ANSWER
    steps: list[Any] = [
        nbgrader.LockCells,
        nbgrader.ClearSolutions,
        nbgrader.ClearOutput,
        nbgrader.CheckCellMetadata,
        nbgrader.ClearHiddenTests,
        nbgrader.ClearMarkScheme,
        nbgrader.ComputeChecksums,
        nbgrader.CheckCellMetadata,
    ]
    notebook = copy.deepcopy(master.notebook)
    resources: dict[str, Any] = {"nbgrader": {}}
    for step in steps:
        notebook, resources = step(config=config).preprocess(notebook, resources)
    notebook.metadata.pop("sources", None)
    return notebook


def solution(master: Master) -> NotebookNode:
    """The instructor's notebook: solved and executed as the master, without the marks of nbgrader's language."""
    notebook = copy.deepcopy(master.notebook)
    for cell in notebook.cells:
        cell.source = HIDDEN.sub("", MARKERS.sub("", cell.source)).rstrip()
    return notebook
