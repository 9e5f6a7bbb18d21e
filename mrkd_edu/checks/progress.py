"""The bar at the top of a lesson: what of it is built."""

from __future__ import annotations

from html import escape

from mrkd_edu.checks.catalogue import exercises
from mrkd_edu.lessons import notes

_shown: dict[str, object] = {}  # lesson to the bar on the page


class Bar:
    """How many of a lesson's exercises are solved, for a notebook.

    Example:
        >>> print(Bar("00", {"00.image_score": True, "00.is_defective": False}))
        Build it: 1 of 2 solved. [x] image_score  [ ] is_defective
    """

    def __init__(self, lesson: str, solved: dict[str, bool]):
        self.lesson, self.solved = lesson, solved

    def __str__(self) -> str:
        marks = "  ".join(f"[{'x' if done else ' '}] {name.split('.', 1)[1]}" for name, done in self.solved.items())
        return f"Build it: {sum(self.solved.values())} of {len(self.solved)} solved. {marks}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        look = "display:inline-block;padding:2px 10px;margin:2px;border-radius:4px;font-size:13px;"
        done, open_ = look + "background:#0072B2;color:#fff", look + "border:1px solid #888"
        parts = []
        for name, is_done in self.solved.items():
            style, mark = (done, "&#10003; ") if is_done else (open_, "")
            parts.append(f'<span style="{style}">{mark}{escape(name.split(".", 1)[1])}</span>')
        count = f"{sum(self.solved.values())} of {len(self.solved)}"
        return f'<div role="status" aria-label="{escape(str(self))}"><b>Build it: {count}</b> {"".join(parts)}</div>'


def bar(lesson: str) -> Bar:
    """The bar of a lesson as the notes have it."""
    solved = notes.read("solved")
    return Bar(lesson, {name: name in solved for name in exercises(lesson)})


def progress(lesson: str) -> None:
    """Show the bar of a lesson; it fills up while cells are solved.

    Args:
        lesson: its number, `"03"`.
    """
    from IPython.display import display

    _shown[lesson] = display(bar(lesson), display_id=True)


def refresh(lesson: str) -> None:
    """Bring a bar that is shown up to date."""
    handle = _shown.get(lesson)
    if handle is not None:
        handle.update(bar(lesson))  # type: ignore[attr-defined]
