"""The lessons with all folded solutions put into their cells: for instructors, and for the tests.

    python notebooks/solved.py solved          writes copies of all lessons into the folder solved/
    python notebooks/solved.py solved --twice  the same, with each code cell twice: whoever learns runs a cell again
"""

from __future__ import annotations

import argparse
import re
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
BUILD = re.compile(r"^@build\(", flags=re.MULTILINE)
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", flags=re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the copies go; files of these names are replaced")
    parser.add_argument("--twice", action="store_true", help="each code cell twice, one after the other")
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(FOLDER.glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        written = solve(notebook)
        if options.twice:
            twice(notebook)
        nbformat.write(notebook, folder / path.name)
        print(f"{path.name}: {written} cells written")
    return 0


def solve(notebook: NotebookNode) -> int:
    """Put each folded solution into the cell above it, and take all outputs away; how many cells were written."""
    written = 0
    for cell, below in pairwise(notebook.cells):
        if cell.cell_type == "code" and BUILD.search(cell.source) and (found := SOLUTION.search(below.source)):
            cell.source = "# Built\n" + found[1].rstrip()
            written += 1
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return written


def twice(notebook: NotebookNode) -> None:
    """Put each code cell in once more, behind itself."""
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code":
            cells.append(nbformat.v4.new_code_cell(cell.source, metadata=cell.metadata))
    notebook.cells = cells


if __name__ == "__main__":
    sys.exit(main())
