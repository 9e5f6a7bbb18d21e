"""Lessons as people go through them: the kernel is started again half-way, cells are changed and run again."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.util import run_sync

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
solve = runpy.run_path(str(FOLDER / "solved.py"))["solve"]

pytestmark = pytest.mark.slow


class Lesson:
    """A solved lesson with a kernel."""

    def __init__(self, client: NotebookClient):
        self.client, self.cells = client, client.nb.cells

    def run(self, *numbers: int) -> str:
        """Run some cells, all code by default, and give what they printed. An error in one is an error here."""
        said = ""
        for number in numbers or range(len(self.cells)):
            if self.cells[number].cell_type == "code":
                cell = self.client.execute_cell(self.cells[number], number)
                said += "".join(out.text for out in cell.outputs if out.output_type == "stream")
        return said

    def number(self, words: str) -> int:
        """The one code cell with these words."""
        (number,) = (i for i, cell in enumerate(self.cells) if cell.cell_type == "code" and words in cell.source)
        return number

    def change(self, old: str, new: str) -> int:
        """Write something else into a cell."""
        number = self.number(old)
        self.cells[number].source = self.cells[number].source.replace(old, new)
        return number

    def ask(self, code: str) -> str:
        """Run a line that stands in no cell, and give what it printed."""
        self.cells.append(nbformat.v4.new_code_cell(code))
        said = self.run(len(self.cells) - 1)
        self.cells.pop()
        return said

    def restart(self) -> None:
        """As the button does: another process, and nothing of before."""
        run_sync(self.client.km.restart_kernel)(now=True)
        run_sync(self.client.kc.wait_for_ready)(timeout=120)


@contextmanager
def opened(name: str, notes: Path) -> Iterator[Lesson]:
    notebook = nbformat.read(FOLDER / name, as_version=4)
    solve(notebook)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}})
    mine = {"MRKD_EDU_NOTES": str(notes), "MRKD_EDU_BUDGET": os.environ.get("MRKD_EDU_BUDGET", "quick")}
    with client.setup_kernel(env={**os.environ, **mine}):
        yield Lesson(client)


def test_what_was_solved_and_predicted_outlives_the_kernel(tmp_path: Path) -> None:
    with opened("00_welcome.ipynb", tmp_path) as lesson:
        half = lesson.number('guess("00.found"')
        lesson.run(*range(half + 1))
        lesson.ask(f"{lesson.cells[half].source.replace('guess(', 'box = guess(', 1)}\nbox.box.value = '7'")
        before = json.loads((tmp_path / "my_course.json").read_text(encoding="utf-8"))
        assert before["predictions"]["00.found"]["said"] == 7
        assert sorted(before["solved"]) == ["00.image_score", "00.is_defective"]

        lesson.restart()
        assert lesson.ask("print('models' in globals())").strip() == "False"
        lesson.run()
        after = json.loads((tmp_path / "my_course.json").read_text(encoding="utf-8"))
        assert after["solved"] == before["solved"]
        assert after["predictions"]["00.found"]["said"] == 7 and "was" in after["predictions"]["00.found"]
        assert (
            lesson.ask(f"{lesson.cells[half].source.replace('guess(', 'box = guess(', 1)}\nprint(box.box.value)")
            == "7\n"
        )

        lesson.restart()  # begun in the middle: what is missing is Python's own error, and nothing is lost
        with pytest.raises(Exception, match="NameError"):
            lesson.run(lesson.number("leakage_bars(results)"))
        assert json.loads((tmp_path / "my_course.json").read_text(encoding="utf-8")) == after


def test_cells_that_the_exercises_have_changed_run_again_in_any_order(tmp_path: Path) -> None:
    """Lesson 01: another share of false alarms, fewer components; cells above, below, and from another section."""
    with opened("01_the_problem.ipynb", tmp_path) as lesson:
        lesson.run()
        lesson.run(lesson.change("FALSE_ALARMS = 0.05", "FALSE_ALARMS = 0.01"))
        for words in ("def leave_out(", "def versus(", "draw.rare_defects(", "slabs = recall", "known_to = {"):
            lesson.run(lesson.number(words))
        lesson.run(lesson.change("max(1, len(normal) // 2)", "5"), lesson.number('"PCA": evaluation('))
        lesson.run(lesson.number("draw.defect_sizes("), lesson.number("EACH = 20"), lesson.number("guesses("))
        lesson.run(lesson.change("FALSE_ALARMS = 0.01", "FALSE_ALARMS = 0.05"), lesson.number("def versus("))
