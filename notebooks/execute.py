"""Execute notebooks afresh and keep what they show. `make notebooks` calls this for all of them.

    python notebooks/execute.py                                   all, in order, outputs saved
    python notebooks/execute.py notebooks/04_overgeneralisation.ipynb
    python notebooks/execute.py --data ../shared/data/bottle      on other images: `DATA` is replaced, nothing is saved

A notebook is saved with a hash of its cells. A test compares it with the cells that are there, so that nobody hands out
pictures of another program. Anything on stderr counts as an error: a reader should see no warnings.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
SWITCH = re.compile(r"^DATA = None\b", flags=re.MULTILINE)
LIVE = "application/vnd.jupyter.widget-view+json"
CAPTION = re.compile(r"\*Figure: (.+?)\*\s*(?:\n\n|$)", flags=re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the course")
    parser.add_argument("--data", type=Path, help="a folder of other images, in place of the toy factory")
    options = parser.parse_args()
    failed = 0
    for path in options.notebooks or sorted(FOLDER.glob("*.ipynb")):
        begin = time.perf_counter()
        notebook = nbformat.read(path, as_version=4)
        if options.data is not None and not point_at(notebook, options.data):
            print(f"{path.name}: has no line DATA = None", file=sys.stderr)
            failed += 1
            continue
        try:
            execute(notebook)
        except CellExecutionError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            failed += 1
            continue
        if noise := said_on_stderr(notebook):
            print(f"{path.name}: a cell wrote to stderr:\n{noise}", file=sys.stderr)
            failed += 1
        elif options.data is None:
            nbformat.write(notebook, path)
        print(f"{path.name}: {time.perf_counter() - begin:.0f} s", flush=True)
    return 1 if failed else 0


def point_at(notebook: NotebookNode, data: Path) -> bool:
    """Set the notebook's variable `DATA`; False when there is none."""
    found = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source, n = SWITCH.subn(lambda _: f"DATA = {str(data.resolve())!r}", cell.source)
            found += n
    return found == 1


def execute(notebook: NotebookNode) -> None:
    """Run all cells in a fresh kernel, then tidy what they left."""
    os.environ["MRKD_EDU_FOR_KEEPS"] = "1"  # explorers finish their pictures before they are kept
    with tempfile.TemporaryDirectory() as notes:
        os.environ["MRKD_EDU_NOTES"] = notes  # what the person at the keyboard solved is not kept
        place = {"metadata": {"path": str(FOLDER)}}
        NotebookClient(notebook, timeout=None, record_timing=False, resources=place).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        cell.metadata["slideshow"] = {"slide_type": slide_type(cell)}
        if cell.cell_type == "code":
            cell.outputs = [still(out) for out in cell.outputs if not is_progress_bar(out)]
    for cell, following in pairwise(notebook.cells):
        if caption := CAPTION.match(following.source):
            describe(cell, " ".join(caption[1].split()))
    notebook.metadata.pop("widgets", None)
    notebook.metadata["sources"] = source_hash(notebook)


def slide_type(cell: NotebookNode) -> str:
    """Where a cell stands when the notebook is shown as slides: a heading begins one, a picture has its own."""
    if cell.cell_type == "markdown":
        return "slide" if cell.source.startswith("#") else "-"
    shown = [out for out in cell.outputs if any(kind.startswith("image/") for kind in out.get("data", {}))]
    return "subslide" if shown else "skip"


def describe(cell: NotebookNode, caption: str) -> None:
    """Give a cell's pictures their caption as alternative text, for screen readers."""
    for out in cell.get("outputs", []):
        for kind in out.get("data", {}):
            if kind.startswith("image/"):
                out.metadata[kind] = {"alt": caption}


def still(output: NotebookNode) -> NotebookNode:
    """An explorer as its picture alone: without its kernel the live view would be an error message."""
    if any(kind.startswith("image/") for kind in output.get("data", {})):
        output.data.pop(LIVE, None)
    return output


def is_progress_bar(output: NotebookNode) -> bool:
    """A bar is a widget; without its kernel only "0%" would be left of it."""
    return LIVE in output.get("data", {}) and "%|" in output["data"]["text/plain"]


def said_on_stderr(notebook: NotebookNode) -> str:
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    return "".join(out.text for out in outputs if out.output_type == "stream" and out.name == "stderr")


def source_hash(notebook: NotebookNode) -> str:
    """Hash of what all cells say, their outputs left out."""
    cells = [f"{cell['cell_type']}\n{''.join(cell['source'])}" for cell in notebook["cells"]]
    return hashlib.blake2b("\0".join(cells).encode(), digest_size=8).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
