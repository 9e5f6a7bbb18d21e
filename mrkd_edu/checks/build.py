"""`@build`: a cell in which a learner writes a part of the method, and is told at once whether it is right.

    @build("03.cosine_distance")
    def cosine_distance(teacher, student):
        ...                       # yours: (B, C, h, w) twice -> (B, h, w)

Nothing here can stop a lesson. Where nothing is written yet, and where what is written is wrong, the library's function
takes its place; a right one is used from there on, is noted as solved, and becomes a part of `my_mrkd.py`.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

from mrkd_edu.checks import own_file, progress
from mrkd_edu.checks.catalogue import find
from mrkd_edu.checks.exercise import Function, judge
from mrkd_edu.lessons import notes


def build(name: str) -> Callable[[Any], Any]:
    """Check the function or class below, and put the library's in its place where it is not right.

    Args:
        name: of the exercise, `"03.cosine_distance"`.

    Raises:
        ValueError: there is no such exercise.

    Example:
        >>> @build("00.image_score")
        ... def image_score(maps):
        ...     ...
        image_score: Not written yet: the lesson goes on with the library's.
        >>> import torch
        >>> image_score(torch.eye(3)[None]).item()
        1.0
    """
    exercise = find(name)

    def check(mine: Function) -> Function:
        verdict = judge(exercise, mine)
        print(verdict.line(exercise.title))
        if verdict.state == "wrong":
            print("  The lesson goes on with the library's.")
        elif verdict.state == "right" and (source := source_of(mine)) is not None:
            notes.keep("solved", name, source)
            own_file.write()
        progress.refresh(name.split(".", 1)[0])
        return mine if verdict.state == "right" else exercise.answer

    return check


def source_of(mine: Function) -> str | None:
    """What the learner wrote, without the decorator; None where Python cannot say."""
    try:
        source = textwrap.dedent(inspect.getsource(mine))
    except (OSError, TypeError):
        return None
    return re.sub(r"\A(?:@.*\n)+", "", source).rstrip() + "\n"
