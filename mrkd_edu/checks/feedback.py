"""What an assignment's notebook calls below each function that is written: feedback at once, and the graded test.

    check("A1.paste_patch", paste_patch)       in every copy: says at once what is right and what is not
    grade("A1.paste_patch", paste_patch)       in the master alone: raises what is wrong, on inputs of its own
"""

from __future__ import annotations

from typing import Any

from mrkd_edu.checks.catalogue import find
from mrkd_edu.checks.exercise import Verdict, ask, held_against, judge

SEED = 0  # of the hidden inputs, where nobody names another


def check(name: str, mine: Any) -> None:
    """Say at once whether a function is right, and if not, what is wrong with it.

    Args:
        name: of the exercise, `"A1.paste_patch"`.
        mine: the function or class.

    Raises:
        ValueError: there is no such exercise.

    Example:
        >>> check("00.image_score", lambda maps: maps.flatten(1).amax(1).values)  # doctest: +ELLIPSIS
        ✗ image_score: not yet. On ...
    """
    exercise = find(name)
    verdict = judge(exercise, mine)
    if verdict.state == "untouched":
        verdict = Verdict(verdict.state, "not written yet.")
    print(verdict.line(exercise.title))


def graded(name: str, mine: Any, seed: int = SEED) -> Verdict:
    """The verdict that counts: on the inputs that are known and on hidden ones.

    Args:
        name: of an assignment's exercise.
        mine: the function or class.
        seed: of the hidden inputs.
    """
    exercise = find(name)
    verdict = judge(exercise, mine)
    if verdict.state == "right" and exercise.hidden is not None:
        complaint = held_against(exercise, exercise.hidden(seed), lambda given: ask(exercise, mine, given))
        if complaint is not None:
            return Verdict("wrong", f"Right on the inputs that you could see, not on others. {complaint}")
    return verdict


def grade(name: str, mine: Any, seed: int = SEED) -> None:
    """Raise what is wrong with a function: a graded test is passed where nothing is raised.

    Args:
        name, mine, seed: as in `graded`.

    Raises:
        AssertionError: the function is not right, or not written.
    """
    verdict = graded(name, mine, seed)
    if verdict.state != "right":
        raise AssertionError("Not written." if verdict.state == "untouched" else verdict.says)
