"""A box for each prediction: a number, a choice or a sentence, kept beside the notebook and held against the result.

    guess("04.copied", "How far does it go?", unit="%")      before the result is shown: a box
    compare("04.copied", 37.4)                               after it, folded: "You said 10 %, it is 37.4 %"
    guesses("04")                                            at the end of the lesson: all of them

A prediction is no exam. Nothing waits for it, and what it is told is how far off it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets

from mrkd_edu.lessons import notes

PART = "predictions"


class Guess(ipywidgets.VBox):
    """A question with a box for the answer.

    Args:
        name: lesson and name, `"04.copied"`.
        question: what to predict.
        options: the answers to choose from; None for a number or a sentence.
        unit: of a number, `"%"` for instance; None for a sentence.

    Example:
        >>> box = Guess("04.copied", "How far?", unit="%")
        >>> box.parse("12,5 %"), box.parse("much")
        (12.5, None)
    """

    def __init__(self, name: str, question: str, *, options: Sequence[str] = (), unit: str | None = None):
        self.name, self.question, self.options, self.unit = name, question, tuple(options), unit
        said = notes.read(PART).get(name, {}).get("said")
        label = ipywidgets.HTML(f"<b>Your prediction.</b> {escape(question)}")
        wide = ipywidgets.Layout(width="auto", max_width="46em")
        self.box: ipywidgets.ValueWidget
        if options:
            known = said if said in self.options else None
            self.box = ipywidgets.RadioButtons(options=self.options, value=known, tooltip=question, layout=wide)
        elif unit is not None:
            written, wanted = "" if said is None else f"{said:g}", f"a number in {unit}" if unit else "a number"
            self.box = ipywidgets.Text(written, placeholder=wanted, tooltip=question, continuous_update=False)
        else:
            self.box = ipywidgets.Textarea(
                said or "", placeholder="one sentence", tooltip=question, continuous_update=False, rows=2, layout=wide
            )
        self.note = ipywidgets.HTML("" if said in (None, "") else "kept")
        self.box.observe(self._written, "value")
        super().__init__([label, self.box, self.note])

    def parse(self, written: str) -> float | str | None:
        """What was written, as a number where one is asked for; None where it is none."""
        if self.options or self.unit is None:
            return written.strip() or None
        found = re.fullmatch(r"\s*([-+]?\d*[.,]?\d+(?:[eE][-+]?\d+)?)\s*\S{0,12}\s*", written)
        value = float(found[1].replace(",", ".")) if found else math.nan
        return value if math.isfinite(value) else None

    def _written(self, change: Any) -> None:
        said = self.parse(change.new or "")
        if said is None and (change.new or "").strip():
            self.note.value = "Please write a number: it is compared with the result."
            return
        kept = {"said": said, "question": self.question, "unit": self.unit or ""}
        notes.keep(PART, self.name, kept if said is not None else None)
        self.note.value = "kept" if said is not None else ""

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The live box, and for readers without a kernel the question."""
        bundle = super()._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        choices = f" ({' / '.join(map(escape, self.options))})" if self.options else ""
        data["text/plain"] = f"Your prediction: {self.question}"
        data["text/html"] = f"<i>Your prediction: {escape(self.question)}{choices} Run this cell to write it down.</i>"
        return data, metadata


def guess(name: str, question: str, *, options: Sequence[str] = (), unit: str | None = None) -> Guess:
    """A box for a prediction, see `Guess`."""
    return Guess(name, question, options=options, unit=unit)


class Compared:
    """A prediction beside the result, folded.

    Example:
        >>> print(Compared({"said": 10.0, "unit": "%"}, 37.4, "%"))
        You said 10 %, it is 37.4 %: further off than a factor of two. What did you not think of?
    """

    def __init__(self, kept: dict[str, Any], was: float | str, unit: str):
        self.kept, self.was, self.unit = kept, was, unit

    def __str__(self) -> str:
        said, result = self.kept.get("said"), shown(self.was, self.unit)
        if said is None:
            return f"No prediction was written down. It is {result}."
        if isinstance(self.was, str):
            if said == self.was:
                return f"You said {said}, and so it is."
            return f"You wrote: {said}. It is: {result}."
        if not isinstance(said, (int, float)):
            return f"You wrote: {said}. It is {result}."
        return f"You said {shown(said, self.unit)}, it is {result}: {nearness(float(said), float(self.was))}"

    def _repr_html_(self) -> str:
        return f"<details><summary>Your prediction and the result</summary>{escape(str(self))}</details>"

    __repr__ = __str__


def compare(name: str, was: float | str, unit: str = "") -> Compared:
    """Hold a prediction against the result, softly.

    Args:
        name: as in `guess`.
        was: the result; for a choice one of the options.
        unit: of a number; by default that of the box.
    """
    kept = notes.read(PART).get(name, {})
    kept = kept if isinstance(kept, dict) else {}
    if kept.get("said") is not None:
        notes.keep(PART, name, kept | {"was": was if isinstance(was, str) else float(was)})
    return Compared(kept, was, unit or kept.get("unit", ""))


def shown(value: float | str, unit: str) -> str:
    """`37.4` and `"%"` to `"37.4 %"`."""
    if isinstance(value, str):
        return value
    number = f"{value:.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"
    return f"{number} {unit}".rstrip()


def nearness(said: float, was: float) -> str:
    """How near a guess is, in words.

    Example:
        >>> nearness(33, 34), nearness(20, 34)
        ('very near.', 'of the right size.')
    """
    if abs(said - was) <= 0.15 * abs(was) or said == was:
        return "very near."
    if said * was > 0 and 0.5 <= said / was <= 2:
        return "of the right size."
    return "further off than a factor of two. What did you not think of?"


class Guesses:
    """All predictions of a lesson beside what came out."""

    def __init__(self, kept: dict[str, dict[str, Any]]):
        self.kept = kept

    def __str__(self) -> str:
        if not self.kept:
            return "No prediction was written down in this lesson."
        return "\n".join(" | ".join(row) for row in self._rows())

    __repr__ = __str__

    def _rows(self) -> list[tuple[str, str, str]]:
        rows = []
        for each in self.kept.values():
            unit, was = each.get("unit", ""), each.get("was")
            result = "not yet" if was is None else shown(was, unit)
            rows.append((each.get("question", ""), shown(each["said"], unit), result))
        return rows

    def _repr_html_(self) -> str:
        if not self.kept:
            return f"<i>{self}</i>"
        head = "<tr><th>question</th><th>you said</th><th>it is</th></tr>"
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self._rows())
        return f'<table aria-label="your predictions">{head}{body}</table>'


def guesses(lesson: str) -> Guesses:
    """The predictions of a lesson, `"04"`, for its end."""
    kept = {name: each for name, each in notes.read(PART).items() if name.startswith(f"{lesson}.")}
    return Guesses({n: each for n, each in kept.items() if isinstance(each, dict) and each.get("said") is not None})
