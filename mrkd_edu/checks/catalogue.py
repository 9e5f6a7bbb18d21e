"""Which exercises there are, and where those of a lesson or an assignment stand."""

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
    "04b": "what_makes_it_copy",
    "05": "image_masking",
    "06": "feature_masking",
    "06b": "measuring",
    "07": "mrkd",
    "08": "chance",
    "09": "reproduce",
    "10": "how_far",
}

ASSIGNMENTS = {
    "A1": "masks_and_patches",
    "A2": "distance_and_score",
    "A3": "the_student",
    "A4": "copying_and_its_cost",
}


def module_of(lesson: str) -> str:
    """The module with a lesson's exercises, or an assignment's, and with the library's answers.

    Raises:
        ValueError: there is no such lesson.

    Example:
        >>> module_of("03")
        'mrkd_edu.checks.reverse_distillation'
    """
    known = LESSONS | ASSIGNMENTS
    if lesson not in known:
        raise ValueError(f"There is no lesson {lesson!r} with things to build. There are: {', '.join(known)}.")
    return f"mrkd_edu.checks.{known[lesson]}"


@cache
def exercises(lesson: str) -> dict[str, Exercise]:
    """The exercises of a lesson or an assignment by name, in their order.

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
