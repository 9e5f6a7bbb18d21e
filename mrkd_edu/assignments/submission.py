"""A submission: what a student handed in, as cells that can be run, whatever it is that was handed in."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode

from mrkd_edu.assignments.master import Master, assignment_of, mark

LARGEST = 20 * 2**20  # bytes of a notebook
MOST_CELLS = 400


class Cell(NamedTuple):
    """A code cell to run.

    Attributes:
        source: of it, plain Python.
        imports: it is a given cell, of which only the imports are run.
    """

    source: str
    imports: bool


class Unreadable(ValueError):
    """What was handed in cannot be graded; the text says why, to the student."""


@dataclass
class Submission:
    """What is left of a submission when everything that is not the student's is taken from the master.

    Attributes:
        notebook: as it was handed in, in today's format; outputs are left out.
        cells: the code to run, in order.
        notes: what was odd about it, in words for student and instructor.
    """

    notebook: NotebookNode
    cells: list[Cell] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_submission(path: Path, master: Master) -> Submission:
    """Read what was handed in: a notebook, or a zip or a folder that holds one somewhere.

    Args:
        path: of it.
        master: of the assignment that was asked for.

    Raises:
        Unreadable: no notebook of this assignment can be read from it.
    """
    notes: list[str] = []
    notebook = _upgraded(_json(_content(path, master, notes)), notes)
    found = assignment_of(notebook)
    known = {part.title for part in master.parts}
    own = {mark(cell, "grade_id") for cell in notebook.cells}
    if found is not None and found != master.name:
        raise Unreadable(f"This is the notebook of {found}. {master.name} was asked for.")
    if found is None and not own & known:
        raise Unreadable(f"This is no notebook of {master.name}: none of its cells is one of the assignment's.")
    submission = Submission(notebook, notes=notes)
    _sort_cells(submission, master)
    return submission


def _content(path: Path, master: Master, notes: list[str]) -> bytes:
    if path.is_symlink():
        raise Unreadable("This is a link, and no file of its own.")
    if path.is_dir():
        return _best({str(p): p.read_bytes() for p in sorted(path.rglob("*.ipynb")) if _proper(p)}, master, notes)
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                inside = [i for i in archive.infolist() if _wanted(i)]
                if any(i.file_size > LARGEST for i in inside):
                    raise Unreadable(f"A notebook in the zip is larger than {LARGEST // 2**20} MB.")
                return _best({i.filename: archive.read(i) for i in inside}, master, notes)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise Unreadable(f"The zip cannot be opened ({error}).") from error
    if path.stat().st_size > LARGEST:
        raise Unreadable(f"The file is larger than {LARGEST // 2**20} MB. Clear all outputs, and hand it in again.")
    if path.suffix != ".ipynb":
        notes.append(f"The file is called {path.name}; a notebook's name ends with .ipynb.")
    return path.read_bytes()


def _proper(path: Path) -> bool:
    """A file of the student's own: no link, which may lead anywhere."""
    return not path.is_symlink() and ".ipynb_checkpoints" not in path.parts and path.stat().st_size <= LARGEST


def _wanted(entry: zipfile.ZipInfo) -> bool:
    parts = Path(entry.filename).parts
    hidden = ".ipynb_checkpoints" in parts or "__MACOSX" in parts
    return entry.filename.endswith(".ipynb") and not hidden and not entry.is_dir()


def _best(found: dict[str, bytes], master: Master, notes: list[str]) -> bytes:
    """Of several notebooks the one that belongs to the assignment."""
    if not found:
        raise Unreadable("There is no notebook (.ipynb) in it.")
    fitting = {}
    for name, content in found.items():
        try:
            if assignment_of(nbformat.from_dict(json.loads(content))) == master.name:
                fitting[name] = content
        except (ValueError, TypeError, AttributeError, RecursionError):
            continue
    chosen = fitting or found
    if len(chosen) > 1:
        notes.append(f"There are {len(chosen)} notebooks in it; graded is {Path(next(iter(chosen))).name}.")
    return next(iter(chosen.values()))


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        said = f"The file is damaged: it is no whole notebook ({error}). Save it again, and hand that in."
        raise Unreadable(said) from error
    if not isinstance(found, dict) or not ("cells" in found or "worksheets" in found):
        raise Unreadable("The file is no notebook: it has no cells.")
    return found


def _upgraded(found: dict[str, Any], notes: list[str]) -> NotebookNode:
    """Of any format that nbformat knows, as format 4; ids that stand twice are made anew."""
    version = found.get("nbformat", 3 if "worksheets" in found else 4)
    try:
        notebook = nbformat.from_dict(found)
        if version != 4:
            notes.append(f"The notebook has the old format {version}; it was converted.")
            notebook = nbformat.convert(notebook, 4)
        cells = list(notebook.cells)
        for cell in cells:
            source, marks = cell.get("source", ""), cell.setdefault("metadata", NotebookNode())
            cell.source = source if isinstance(source, str) else "".join(map(str, source))
            if not isinstance(marks, dict):
                cell.metadata = NotebookNode()
            cell.cell_type = cell.get("cell_type") if cell.get("cell_type") in ("code", "markdown", "raw") else "raw"
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        ids = [cell.get("id") for cell in cells]
        if len(set(map(str, ids))) < len(ids):
            notes.append("Some cells have the same id; they got new ones.")
        for number, cell in enumerate(cells):
            cell["id"] = f"cell-{number}"
    except Unreadable:
        raise
    except Exception as error:  # of any kind: the file is a stranger's
        raise Unreadable(f"The notebook cannot be read ({type(error).__name__}: {error}).") from error
    if len(cells) > MOST_CELLS:
        raise Unreadable(f"The notebook has {len(cells)} cells, more than {MOST_CELLS}.")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _plain(source: str) -> str:
    """Without the lines that only IPython understands; the others keep their numbers."""
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())


def _sort_cells(submission: Submission, master: Master) -> None:
    """The student's code from the submission, imports of given cells from the master, tests from nowhere."""
    given = {}
    for cell in master.notebook.cells:
        if cell.cell_type == "code" and mark(cell, "locked"):
            given[mark(cell, "grade_id")] = None if mark(cell, "grade") else cell.source
    submission.cells = [Cell(_plain(source), True) for source in given.values() if source is not None]
    seen: list[str] = []
    for cell in submission.notebook.cells:
        name = mark(cell, "grade_id")
        if isinstance(name, str):
            seen.append(name)
        if cell.cell_type == "code" and name not in given:
            submission.cells.append(Cell(_plain(cell.source), False))
    wanted = {mark(c, "grade_id") for c in master.notebook.cells if mark(c, "solution")}
    if lost := sorted(str(name) for name in wanted - set(seen)):
        submission.notes.append(f"Cells are missing: {', '.join(lost)}.")
    if twice := sorted({name for name in seen if seen.count(name) > 1 and name in wanted}):
        submission.notes.append(f"Cells are there twice: {', '.join(twice)}. What stands last counts.")
