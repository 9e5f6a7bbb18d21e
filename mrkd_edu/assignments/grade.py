"""One submission, graded: its code runs in a confined process, and what it answers is compared here."""

from __future__ import annotations

import ast
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import mrkd_edu
from mrkd_edu.assignments.kit import write_kit
from mrkd_edu.assignments.limits import Limits
from mrkd_edu.assignments.master import NO_ANSWER, Master, Part, mark
from mrkd_edu.assignments.sandbox import confined
from mrkd_edu.assignments.submission import Cell, Submission, Unreadable, read_submission
from mrkd_edu.assignments.wire import BadMessage, Gone, NothingCame, Unknown, Wire
from mrkd_edu.checks.catalogue import find
from mrkd_edu.checks.exercise import Exercise, Reply, Verdict, held_against

BEGIN = 90.0  # seconds for Python and torch to be ready on a busy machine
LONGEST = 300.0  # seconds that a whole submission may take
RESTARTS = 6  # of its process; a submission that ends it more often is not asked any further
CALLS = {"exec", "eval", "compile", "__import__", "open", "globals"}  # that few an answer needs
NOT_HERE = {"mrkd_edu", "ctypes", "gc", "inspect", "importlib", "subprocess", "socket", "multiprocessing"}


@dataclass
class Graded:
    """What a submission got.

    Attributes:
        student, assignment: whose, and of what.
        points: of each part by its name; None where a person has still to grade.
        says: what is said of each part.
        notes: what was odd.
        look: what an instructor should look at, since no program can judge it.
        seconds: that it took.
    """

    student: str
    assignment: str
    points: dict[str, float | None] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    look: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> float:
        """Points so far."""
        return sum(each for each in self.points.values() if each is not None)

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


class Stopped(RuntimeError):
    """A student's process does not answer any more; the text says so to the student."""


def grade_submission(
    student: str,
    path: Path,
    master: Master,
    *,
    seed: int = 0,
    limits: Limits | None = None,
    hide: Sequence[Path] = (),
    place: int = 0,
) -> Graded:
    """Grade what a student handed in. Whatever it is, the answer is a grade.

    Args:
        student: whose.
        path: of what was handed in.
        master: of the assignment.
        seed: of the hidden inputs; the same for all students.
        limits: of time, memory and the like.
        hide: folders that the student's code must not see; the library is hidden in any case.
        place: number among those graded at the same time.
    """
    begin, graded = time.perf_counter(), Graded(student, master.name)
    try:
        submission = read_submission(path, master)
    except (Unreadable, OSError) as error:
        graded.notes.append(str(error))
        for part in master.parts:
            graded.points[part.name], graded.says[part.name] = 0.0, "There is nothing to grade."
        return graded
    graded.notes += submission.notes
    graded.look += suspicions(submission.cells)
    away = [Path(mrkd_edu.__file__).parent, master.path.parent, *hide]
    with (
        tempfile.TemporaryDirectory() as kit,  # one each, for where it can be written to
        _Session(submission.cells, write_kit(Path(kit)), limits or Limits(), away, place, begin + LONGEST) as session,
    ):
        for part in master.parts:
            if part.exercise is None:
                points, says = _by_hand(part, submission)
            else:
                verdict = _verdict(find(part.exercise), session, seed)
                points, says = (part.points if verdict.state == "right" else 0.0), verdict.says
            graded.points[part.name], graded.says[part.name] = points, says
    graded.notes += session.notes
    graded.seconds = time.perf_counter() - begin
    return graded


def _by_hand(part: Part, submission: Submission) -> tuple[float | None, str]:
    """None, to be graded; 0 where the answer is the one that was handed out."""
    own = [cell for cell in submission.notebook.cells if mark(cell, "grade_id") == part.name]
    if not own or own[-1].source.strip() in ("", NO_ANSWER):
        return 0.0, "Nothing is written."
    return None, "A person grades this."


def _verdict(exercise: Exercise, session: _Session, seed: int) -> Verdict:
    cases = dict(exercise.cases())
    if exercise.hidden is not None:
        cases |= {f"{what} (hidden)": given for what, given in exercise.hidden(seed).items()}
    try:
        complaint = held_against(exercise, cases, lambda given: session.reply(exercise, given))
    except _NotThere as found:
        return Verdict("untouched", str(found))
    except Stopped as error:
        return Verdict("wrong", str(error))
    except Exception as error:  # of any kind: what came is a stranger's data
        return Verdict("wrong", f"What it gives cannot be compared ({type(error).__name__}).")
    return Verdict("right", "Right.") if complaint is None else Verdict("wrong", complaint)


class _NotThere(LookupError):
    """There is no such function, or nothing is written in it."""


class _Session:
    """A student's process: begun, told the cells, asked, and begun again where it has ended."""

    def __init__(
        self, cells: Sequence[Cell], kit: Path, limits: Limits, hide: Sequence[Path], place: int, until: float
    ):
        self.cells, self.kit, self.limits, self.hide, self.place, self.until = cells, kit, limits, hide, place, until
        self.notes: list[str] = []
        self._skip: set[int] = set()
        self._wire: Wire | None = None
        self._begun = 0
        self._stack = ExitStack()

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def reply(self, exercise: Exercise, given: tuple[Any, ...]) -> Reply:
        """What the student's function gives for an input."""
        wire = self._ready()
        probe = exercise.probe.__name__ if exercise.probe else None
        question = {"do": "answer", "title": exercise.title, "probe": probe, "given": given}
        with self._answered(f"`{exercise.title}`"):
            wire.send(question)
            answer = wire.receive(self._patience())
            if not isinstance(answer, dict):
                raise BadMessage("it is no reply")
            state = answer.get("state")
            if state in ("missing", "untouched"):
                where = "There is no such function." if state == "missing" else "Not written."
                raise _NotThere(where)
            stopped, told = answer.get("stopped"), answer.get("told") is True
            if isinstance(answer.get("got"), Unknown):
                stopped = f"It gives a thing of the type {answer['got'].kind}, which is no number, array or tensor."
                told = True
            stopped = None if stopped is None else str(stopped)
            return Reply(answer.get("got"), stopped, answer.get("changed") is True, told)

    def _ready(self) -> Wire:
        while self._wire is None:
            if self._begun > RESTARTS:
                raise Stopped("Its process was ended too often; it is not asked any more.")
            if time.perf_counter() > self.until:
                raise Stopped(f"The notebook takes longer than {LONGEST:.0f} seconds in all.")
            self._begun += 1
            wire = self._stack.enter_context(
                confined("mrkd_edu.assignments.worker", self.kit, self.limits, self.hide, self.place)
            )
            self._wire = wire
            try:
                with self._answered("the notebook"):
                    wire.receive(BEGIN)
                self._tell(wire)
            except Stopped:
                continue
        return self._wire

    def _tell(self, wire: Wire) -> None:
        """Run the cells; one that ends the process, or does not end, is left out from then on."""
        for number, cell in enumerate(self.cells):
            if number in self._skip:
                continue
            try:
                with self._answered("a cell"):
                    wire.send({"do": "cell", "number": number + 1, "source": cell.source, "imports": cell.imports})
                    said = wire.receive(self._patience())
            except Stopped as error:
                self._skip.add(number)
                self.notes.append(f"The cell that begins with `{_first_line(cell)}` was left out. {error}")
                raise
            if isinstance(said, dict) and said.get("stopped") and self._begun == 1:
                why = str(said["stopped"])[:300]
                self.notes.append(f"The cell that begins with `{_first_line(cell)}` stops. {why}")

    def _patience(self) -> float:
        return max(0.1, min(self.limits.seconds, self.until - time.perf_counter()))

    @contextmanager
    def _answered(self, what: str) -> Iterator[None]:
        """Turns a silence into words, and gives the process up."""
        try:
            yield
        except NothingCame as error:
            self._give_up()
            seconds = f"{self.limits.seconds:.0f} seconds"
            raise Stopped(f"No answer from {what} within {seconds}: does a loop never end?") from error
        except Gone as error:
            self._give_up()
            raise Stopped(f"The process ended at {what}: too much memory or computing, or a crash.") from error
        except BadMessage as error:
            self._give_up()
            raise Stopped(f"What came from {what} cannot be read: {error}.") from error

    def _give_up(self) -> None:
        self._stack.close()
        self._wire = None


def _first_line(cell: Cell) -> str:
    return next((line.strip() for line in cell.source.splitlines() if line.strip()), "")[:60]


def suspicions(cells: Sequence[Cell]) -> list[str]:
    """What in a student's code an instructor should look at: attempts to reach what is not part of the task.

    Example:
        >>> suspicions([Cell("import sys\\nfrom mrkd_edu.distance import cosine_distance", False)])
        ['imports mrkd_edu.distance']
    """
    found: list[str] = []
    for cell in cells:
        if cell.imports:
            continue
        try:
            tree = ast.parse(cell.source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found += [f"imports {n.name}" for n in node.names if n.name.split(".")[0] in NOT_HERE]
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in NOT_HERE:
                if (node.module, {n.name for n in node.names}) != ("mrkd_edu.checks", {"check"}):
                    found.append(f"imports {node.module}")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
                found.append(f"calls {node.func.id}()")
    return list(dict.fromkeys(found))
