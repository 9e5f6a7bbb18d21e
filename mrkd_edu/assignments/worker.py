"""The process in which a student's code runs. It knows the questions and no answer.

    python -m mrkd_edu.assignments.worker IN OUT LIMITS...          two file descriptors, see `wire`, and `limits`

It executes the cells of a notebook one after the other, as a kernel would, and then answers what the grader asks: what
does your function give for this input? What is right is decided by the grader, in another process. So nothing that a
student's code changes here, torch, the checks, or this file itself, can make a wrong answer right.
"""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import sys
import types
from typing import Any

from mrkd_edu.assignments.limits import Limits
from mrkd_edu.assignments.wire import BadMessage, Gone, Wire
from mrkd_edu.checks import probes
from mrkd_edu.checks.exercise import asked, explain, is_untouched

KEPT = 4000  # characters of what a cell prints
OWN = "Where work is graded the library is not there: write it yourself, with torch, numpy and cv2."


def main(read: int, write: int) -> None:
    """Answer until the grader hangs up."""
    wire, names = Wire(read, write), _module()
    wire.send({"ready": True})
    while True:
        try:
            wanted = wire.receive()
        except (Gone, BadMessage):
            return
        with contextlib.redirect_stdout(_Short()), contextlib.redirect_stderr(_Short()):
            reply = _cell(wanted, names) if wanted["do"] == "cell" else _answer(wanted, names)
        try:
            wire.send(reply)
        except BadMessage as error:
            wire.send({"stopped": f"The answer cannot be compared: {error}.", "told": True})


def _module() -> dict[str, Any]:
    """Where the cells live: `__main__`, so that functions know their home as in a notebook."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    return module.__dict__


def _cell(wanted: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Execute a cell; of a given one (`imports`) the imports alone, as many as there are."""
    source, name = str(wanted["source"]), f"<cell {wanted['number']}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        tree = ast.parse(source, name)
    except SyntaxError as error:
        return {"stopped": f"SyntaxError: {error.msg}, line {error.lineno}."}
    whole = [tree]
    if wanted["imports"]:
        whole = [ast.Module([node], []) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    stopped = None
    for part in whole:
        try:
            exec(compile(part, name, "exec"), names)
        except ModuleNotFoundError as error:
            stopped = OWN if (error.name or "").startswith("mrkd_edu") else explain(error)
        except Exception as error:  # of any kind: it is a student's code
            stopped = explain(error)
        except BaseException as error:  # exit(), and the like
            stopped = f"It ends the program ({type(error).__name__})."
    return {"stopped": None if wanted["imports"] else stopped}


def _answer(wanted: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """What the student's function gives for one input."""
    mine = names.get(str(wanted["title"]))
    if mine is None:
        return {"state": "missing"}
    if is_untouched(mine):
        return {"state": "untouched"}
    probe = getattr(probes, str(wanted["probe"])) if wanted["probe"] else None
    try:
        reply = asked(probe, mine, tuple(wanted["given"]))
    except BaseException as error:  # exit(), and the like; exceptions are told in the reply
        return {"stopped": f"It ends the program ({type(error).__name__}).", "told": True}
    if reply.stopped and "No module named 'mrkd_edu" in reply.stopped:
        return {"stopped": OWN, "told": True}
    return {"state": "written", **reply._asdict()}


class _Short(io.StringIO):
    """Keeps the beginning of what is printed, so that a loop that prints fills no memory."""

    def write(self, text: str) -> int:
        if self.tell() < KEPT:
            super().write(text[:KEPT])
        return len(text)


if __name__ == "__main__":
    seconds, *most = sys.argv[3:]
    Limits(float(seconds), *map(int, most)).bind()
    main(int(sys.argv[1]), int(sys.argv[2]))
