"""Which exercises there are, and where a lesson's stand."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from mrkd_edu.checks.exercise import Exercise

LESSONS = {
    "00": "welcome",
    "01": "the_problem",
    "02": "the_teacher",
    "03": "reverse_distillation",
    "04": "overgeneralisation",
    "05": "image_masking",
    "06": "feature_masking",
    "07": "mrkd",
    "08": "measuring",
    "09": "reproduce",
    "10": "how_far",
}


def module_of(lesson: str) -> str:
    """The module with a lesson's exercises, and with the library's answers.

    Raises:
        ValueError: there is no such lesson.

    Example:
        >>> module_of("03")
        'mrkd_edu.checks.reverse_distillation'
    """
    if lesson not in LESSONS:
        raise ValueError(f"There is no lesson {lesson!r} with things to build. There are: {', '.join(LESSONS)}.")
    return f"mrkd_edu.checks.{LESSONS[lesson]}"


@cache
def exercises(lesson: str) -> dict[str, Exercise]:
    """The exercises of a lesson by name, in the order of the lesson.

    Raises:
        ValueError: there is no such lesson.

    Example:
        >>> list(exercises("00"))
        ['00.image_score', '00.is_defective']
    """
    found: tuple[Exercise, ...] = import_module(module_of(lesson)).EXERCISES
    return {exercise.name: exercise for exercise in found}


def find(name: str) -> Exercise:
    """The exercise of this name.

    Raises:
        ValueError: there is none; the message names those of the lesson.
    """
    known = exercises(name.split(".", 1)[0])
    if name not in known:
        raise ValueError(f"There is no exercise {name!r}. This lesson has: {', '.join(known)}.")
    return known[name]
