"""What learners write and predict is kept beside the notebooks, and nothing that goes wrong there stops a lesson."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mrkd_edu.checks import build, earlier, own_file, progress
from mrkd_edu.checks.progress import bar
from mrkd_edu.lessons import notes
from mrkd_edu.runtime.writing import NotWritten
from mrkd_edu.widgets.predictions import compare, guess, guesses, nearness


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MRKD_EDU_NOTES", str(tmp_path))
    notes._unwritten.clear()
    return tmp_path


def solve() -> None:
    @build("00.image_score")
    def image_score(maps):  # type: ignore[no-untyped-def]
        return maps.flatten(1).amax(1)


# --- notes -----------------------------------------------------------------------------------------------------


def test_what_is_noted_is_there_for_the_next_kernel(folder: Path) -> None:
    notes.keep("solved", "03.loss", "def loss(): ...\n")
    notes.keep("predictions", "04.copied", {"said": 10.0})
    assert notes.read("solved") == {"03.loss": "def loss(): ...\n"}
    assert json.loads((folder / notes.NAME).read_text())["predictions"]["04.copied"]["said"] == 10.0
    notes.keep("predictions", "04.copied", None)
    assert notes.read("predictions") == {}
    (folder / notes.NAME).unlink()  # whoever wants to begin anew deletes the file
    assert notes.read("solved") == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"solved": []}', "\x00"])
def test_damaged_notes_are_no_notes(folder: Path, content: str) -> None:
    (folder / notes.NAME).write_text(content)
    assert notes.read("solved") == {}
    notes.keep("solved", "03.loss", "x")
    assert notes.read("solved") == {"03.loss": "x"}


def test_two_notebooks_note_at_the_same_time(folder: Path) -> None:
    threads = [threading.Thread(target=notes.keep, args=("solved", f"03.{i}", "x")) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notes.read("solved")) == 20


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise NotWritten("no room")

    monkeypatch.setattr(notes, "whole_file", full)
    monkeypatch.setattr(own_file, "whole_file", full)
    notes.keep("solved", "03.loss", "x")
    assert notes.read("solved") == {"03.loss": "x"}
    assert own_file.write() is None
    box = guess("04.copied", "How far?", unit="%")
    box.box.value = "10"
    assert "You said 10 %" in str(compare("04.copied", 12.0))


# --- building --------------------------------------------------------------------------------------------------


def test_a_solved_cell_is_noted_and_seen_in_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert "0 of 2 solved" in str(bar("00"))
    solve()
    assert capsys.readouterr().out.startswith("\N{CHECK MARK} image_score: right.")
    assert "1 of 2 solved. [x] image_score" in str(bar("00"))
    source = notes.read("solved")["00.image_score"]
    assert "amax(1)" in source and "@build" not in source
    assert "image_score" in bar("00")._repr_html_()


def test_a_wrong_answer_does_not_take_a_solved_cell_back(capsys: pytest.CaptureFixture[str]) -> None:
    solve()

    @build("00.image_score")
    def image_score(maps):  # type: ignore[no-untyped-def]
        return maps.mean((1, 2))

    assert "not yet" in capsys.readouterr().out
    assert "00.image_score" in notes.read("solved")
    assert image_score.__module__ != __name__, "the lesson goes on with the library's"


def test_an_unknown_exercise_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no exercise '00.nothing'. This lesson has: 00.image_score"):
        build("00.nothing")
    with pytest.raises(ValueError, match="no lesson '77'"):
        build("77.loss")
    with pytest.raises(ValueError):
        earlier("03.nothing")


def largest(maps):  # type: ignore[no-untyped-def]
    return maps.largest()


def forgotten(maps):  # type: ignore[no-untyped-def]
    maps.amax((1, 2))


def no_argument():  # type: ignore[no-untyped-def]
    return 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (largest, "AttributeError: 'Tensor' object has no attribute 'largest'. In the line `return maps.largest()`"),
        (forgotten, "Is the `return` missing?"),
        (no_argument, "TypeError"),
    ],
)
def test_an_answer_that_cannot_be_compared_is_told_why(
    answer: Callable[..., Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build("00.image_score")(answer) is not answer
    assert words in capsys.readouterr().out


def test_an_edited_file_that_does_not_run_costs_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / own_file.NAME).write_text("def broken(:\n")
    module = own_file.load()
    assert "does not run any more" in capsys.readouterr().out
    assert callable(module.loss)


def test_the_bar_outside_of_a_notebook_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    progress("00")


# --- predictions -----------------------------------------------------------------------------------------------


def test_a_number_is_kept_and_compared_softly(folder: Path) -> None:
    box = guess("04.copied", "How far does it go?", unit="%")
    box.box.value = "10 %"
    assert box.note.value == "kept"
    assert guess("04.copied", "How far does it go?", unit="%").box.value == "10", "a new kernel knows it"
    assert str(compare("04.copied", 34.0)) == (
        "You said 10 %, it is 34 %: further off than a factor of two. What did you not think of?"
    )
    assert "How far does it go? | 10 % | 34 %" in str(guesses("04"))
    assert "<details>" in compare("04.copied", 34.0)._repr_html_()


def test_what_is_no_number_is_asked_for_again() -> None:
    box = guess("04.copied", "How far?", unit="%")
    box.box.value = "much"
    assert "Please write a number" in box.note.value
    assert "No prediction was written down. It is 34 %." in str(compare("04.copied", 34.0, "%"))
    box.box.value = "0,5"
    assert "You said 0.5 %" in str(compare("04.copied", 34.0))


def test_a_choice_and_a_sentence() -> None:
    box = guess("00.leaks", "Which leaks more?", options=("rd", "mrkd"))
    assert box.box.value is None
    box.box.value = "rd"
    assert str(compare("00.leaks", "rd")) == "You said rd, and so it is."
    assert str(compare("00.leaks", "mrkd")) == "You wrote: rd. It is: mrkd."
    sentence = guess("03.why", "Why?")
    sentence.box.value = "Because <b>."
    assert str(compare("03.why", "a narrow place")) == "You wrote: Because <b>.. It is: a narrow place."
    assert "&lt;b&gt;" in guesses("03")._repr_html_()
    assert str(guesses("09")) == "No prediction was written down in this lesson."


@pytest.mark.parametrize(
    ("said", "was", "words"),
    [(10, 10, "very near"), (0, 0, "very near"), (6, 10, "right size"), (-5, 5, "further off"), (0, 5, "further off")],
)
def test_nearness(said: float, was: float, words: str) -> None:
    assert words in nearness(said, was)


def test_without_a_kernel_the_question_stands_there() -> None:
    data, _ = guess("00.leaks", "Which <one>?", options=("rd", "mrkd"))._repr_mimebundle_()
    assert "Which &lt;one&gt;?" in data["text/html"] and "rd / mrkd" in data["text/html"]
