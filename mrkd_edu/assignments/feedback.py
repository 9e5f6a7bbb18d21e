"""What a student gets back: the notebook as it was handed in, with points and a sentence for each part, as a page.

The page is nbgrader's. What a student wrote is cleaned before a browser shows it, and the page itself forbids scripts
and requests: opening the page of a submission runs nothing of it, and tells nobody. Formulas stay as they are written.
"""

from __future__ import annotations

import copy
import re
from html import escape
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from mrkd_edu.assignments.grade import Graded
from mrkd_edu.assignments.master import Master, mark

NOTHING_RUNS = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)
STYLE = "<style>td, th { padding: 3px 12px 3px 0 } .anchor-link { display: none }</style>"
SCRIPTS = re.compile(r"<script\b.*?</script>", flags=re.DOTALL | re.IGNORECASE)
PLAIN = """<!doctype html>
<html lang="en"><head>NOTHING<meta charset="utf-8"><title>{title}</title>
<style>body {{ font-family: sans-serif; max-width: 46em; margin: 2em auto; line-height: 1.5 }}</style></head>
<body><h1>{title}</h1><p><b>{points}</b></p>{notes}</body></html>
""".replace("NOTHING", NOTHING_RUNS)


def page(graded: Graded, master: Master, notebook: NotebookNode | None) -> str:
    """The page of one student.

    Args:
        graded: what was found.
        master: of the assignment.
        notebook: as it was handed in; None where it could not be read.
    """
    title = f"{master.name}: {graded.student}"
    points = f"{graded.total:g} of {master.points:g} points"
    if waiting := sum(part.points for part in master.parts if graded.points.get(part.name) is None):
        points += f"; {waiting:g} more are given by a person"
    if notebook is not None:
        try:
            return _as_html(_marked(graded, master, notebook, points), graded, master)
        except ImportError:
            raise
        except Exception:  # of any kind: the notebook is a stranger's, and its points are to be said in any case
            graded.notes.append("The notebook itself cannot be shown as a page.")
    said = [f"{p.title}: {_number(graded.points.get(p.name))}. {graded.says.get(p.name, '')}" for p in master.parts]
    notes = "".join(f"<p>{escape(line)}</p>" for line in [*graded.notes, *said])
    return PLAIN.format(title=escape(title), points=escape(points), notes=notes)


def _marked(graded: Graded, master: Master, notebook: NotebookNode, points: str) -> NotebookNode:
    """The notebook with a table at its top, and what nbgrader's template wants to know of each cell."""
    known = {part.name: part for part in master.parts}
    titles = {part.title: part for part in master.parts if part.exercise}
    marked = copy.deepcopy(notebook)
    for cell in marked.cells:
        name = mark(cell, "grade_id")
        cell.metadata = NotebookNode()
        if not isinstance(name, str):
            continue
        if (part := known.get(name)) is not None:
            solution = part.exercise is None
            marks = {"grade": True, "solution": solution, "grade_id": name, "points": part.points}
            cell.metadata.nbgrader = NotebookNode(marks | {"score": graded.points.get(name) or 0.0, "comment": ""})
        elif (part := titles.get(name)) is not None:
            marks = {"grade": False, "solution": True, "grade_id": name, "comment": graded.says.get(part.name, "")}
            cell.metadata.nbgrader = NotebookNode(marks)
    rows = "\n".join(
        f"| {part.title} | {_number(graded.points.get(part.name))} of {part.points:g} | "
        f"{_cell(graded.says.get(part.name, ''))} |"
        for part in master.parts
    )
    notes = "".join(f"\n- {_cell(note)}" for note in graded.notes)
    head = f"# {master.name}, {_cell(graded.student)}: {points}\n\n| part | points | what we say |\n|---|---|---|"
    table = f"{head}\n{rows}\n{notes}"
    marked.cells.insert(0, nbformat.v4.new_markdown_cell(table))
    return marked


def _as_html(notebook: NotebookNode, graded: Graded, master: Master) -> str:
    import nbgrader
    from nbconvert.exporters import HTMLExporter
    from nbconvert.preprocessors.sanitize import SanitizeHTML
    from traitlets.config import Config

    formgrader = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader"
    config = Config()
    config.HTMLExporter.template_name = "feedback"
    config.HTMLExporter.extra_template_basedirs = [str(formgrader / "templates")]
    style = formgrader / "static" / "node_modules" / "bootstrap" / "dist" / "css"
    config.HTMLExporter.extra_template_paths = [str(style)]
    said = {"score": graded.total, "max_score": master.points, "late_penalty": 0.0}
    resources = {"nbgrader": said, "metadata": {"name": f"{master.name} {graded.student}"}}
    notebook, _ = SanitizeHTML().preprocess(notebook, {})
    html, _ = HTMLExporter(config=config).from_notebook_node(notebook, resources=resources)
    return SCRIPTS.sub("", str(html)).replace("<head>", f"<head>{NOTHING_RUNS}{STYLE}", 1)


def _number(points: float | None) -> str:
    return "open" if points is None else f"{points:g}"


def _cell(text: str) -> str:
    """Text for a cell of a table in Markdown."""
    return " ".join(text.split()).replace("|", "\\|")
