"""A folder of submissions, graded side by side; begun again, it goes on where it stopped."""

from __future__ import annotations

import csv
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import mrkd_edu
from mrkd_edu.assignments import feedback
from mrkd_edu.assignments.grade import Graded, grade_submission
from mrkd_edu.assignments.limits import Limits
from mrkd_edu.assignments.master import Master
from mrkd_edu.assignments.roster import ClassList, Handed, Student, find_student, handed_in
from mrkd_edu.assignments.submission import Unreadable, read_submission
from mrkd_edu.runtime.writing import whole_file

FORMULA = ("=", "+", "-", "@", "\t")  # a cell that begins so is a formula to a spreadsheet


def grade_folder(
    submissions: Path,
    master: Master,
    out: Path,
    *,
    seed: int = 0,
    jobs: int = 2,
    limits: Limits | None = None,
    students: Sequence[Student] = (),
    began: Callable[[str], None] = lambda student: None,
    done: Callable[[Graded, bool], None] = lambda graded, kept: None,
) -> list[Graded]:
    """Grade all submissions of a folder, and write a table and a page for each student.

    Each is graded in a process of its own; what happens to one costs nobody else anything. What has been graded before
    is kept as long as neither the submission nor the master, the checks, the seed or the limits have changed.

    Args:
        submissions: a folder as `roster.handed_in` takes it.
        master: of the assignment.
        out: the table, for instance `grades.csv`; beside it appears a folder of the same name with the pages.
        seed: of the hidden inputs.
        jobs: how many at a time.
        limits: of each.
        students: the class list; who handed in nothing is in the table as well.
        began, done: called with each student's name when it begins, and with the grade and whether it had been kept.

    Raises:
        NotADirectoryError: `submissions` is no folder.
        FileNotFoundError: nothing was handed in.
        NotWritten: the table cannot be written.
    """
    found = handed_in(submissions)
    if not found:
        raise FileNotFoundError(f"Nothing is handed in in {submissions}: no folders, notebooks or zips are there.")
    limits = limits or Limits()
    kept_in = out.with_suffix("")
    (kept_in / "feedback").mkdir(parents=True, exist_ok=True)
    rules = _rules(master, seed, limits)
    places, lock = list(range(jobs)), threading.Lock()

    def one(handed: Handed) -> tuple[Graded, bool]:
        key = _key(handed.path, rules)
        record = kept_in / f"{_file_name(handed.student)}.json"
        if (before := _kept(record, key)) is not None:
            return before, True
        began(handed.student)
        with lock:
            place = places.pop()
        try:
            graded = grade_submission(
                handed.student, handed.path, master, seed=seed, limits=limits, hide=[submissions], place=place
            )
        except Exception as error:  # a fault of ours, and no reason for nought points
            graded = Graded(handed.student, master.name, dict.fromkeys(part.name for part in master.parts))
            graded.look.append(f"could not be graded, grade it by hand ({type(error).__name__}: {error})")
        finally:
            with lock:
                places.append(place)
        if handed.late:
            graded.notes.append("It was handed in late.")
        _keep(record, key, graded, handed, master)
        return graded, False

    grades: dict[str, Graded] = {}
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(one, handed) for handed in found]
        try:
            for future in as_completed(running):
                graded, kept = future.result()
                grades[graded.student] = graded
                done(graded, kept)
        except BaseException:  # Ctrl-C: what has been graded is kept, the rest does not begin
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    ordered = [grades[handed.student] for handed in found]
    write_table(out, ordered, master, students)
    return ordered


def write_table(out: Path, grades: Sequence[Graded], master: Master, students: Sequence[Student] = ()) -> None:
    """The table of all grades as CSV: one line a student, one column a part."""
    named = {graded.student: find_student(graded.student, students) for graded in grades}
    lines = [_line(graded, named[graded.student], master) for graded in grades]
    there = {student for student in named.values() if student is not None}
    for student in students:
        if student not in there:
            nothing = Graded(student.id, master.name, notes=["Nothing was handed in."])
            nothing.points = dict.fromkeys((part.name for part in master.parts), 0.0)
            lines.append(_line(nothing, student, master))
    lines.sort(key=lambda line: str(line["student"]).casefold())
    with whole_file(out, newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def write_export(out: Path, listed: ClassList, grades: Sequence[Graded]) -> None:
    """The class list as it came, with the grades in a new column: what Moodle and Canvas take in again.

    Args:
        out: of the new list.
        listed: of `read_class`.
        grades: of one assignment.
    """
    known = [student for student in listed.students if student is not None]
    points = {find_student(graded.student, known): f"{graded.total:g}" for graded in grades}
    name = grades[0].assignment if grades else "points"
    rows = [
        row | {name: "" if student is None else points.get(student, "0")}
        for row, student in zip(listed.rows, listed.students, strict=True)
    ]
    with whole_file(out, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=listed.separator)
        writer.writeheader()
        writer.writerows(rows)


def _line(graded: Graded, student: Student | None, master: Master) -> dict[str, Any]:
    waiting = sum(part.points for part in master.parts if graded.points.get(part.name) is None)
    line: dict[str, Any] = {
        "student": _harmless(student.id if student else graded.student),
        "name": _harmless(student.name if student else ""),
        "email": _harmless(student.email if student else ""),
        "assignment": master.name,
        "points": f"{graded.total:g}",
        "of": f"{master.points:g}",
        "by_hand": f"{waiting:g}",
    }
    for part in master.parts:
        points = graded.points.get(part.name)
        line[part.title] = "" if points is None else f"{points:g}"
    return line | {"notes": " ".join(graded.notes), "look_at": "; ".join(graded.look)}


def _harmless(text: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _file_name(student: str) -> str:
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in student).strip(".")[:60]
    return plain if plain == student else f"{plain}-{hashlib.blake2b(student.encode(), digest_size=4).hexdigest()}"


def _rules(master: Master, seed: int, limits: Limits) -> str:
    """Changes with everything that all grades depend on: checks, grader, master, hidden inputs and limits."""
    package, digest = Path(mrkd_edu.__file__).parent, hashlib.blake2b(digest_size=16)
    own = [file for folder in ("checks", "assignments") for file in sorted((package / folder).glob("*.py"))]
    _take_in(digest, [*own, master.path])
    digest.update(repr((seed, limits)).encode())
    return digest.hexdigest()


def _key(path: Path, rules: str) -> str:
    """Changes with what was handed in, and with the rules."""
    digest = hashlib.blake2b(rules.encode(), digest_size=16)
    _take_in(digest, sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path])
    return digest.hexdigest()


def _take_in(digest: hashlib.blake2b, files: Sequence[Path]) -> None:
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)} ".encode() + content)


def _kept(record: Path, key: str) -> Graded | None:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        return Graded(**found["graded"]) if found["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(record: Path, key: str, graded: Graded, handed: Handed, master: Master) -> None:
    """The page first, then the record: who has a record has a page."""
    try:
        notebook = read_submission(handed.path, master).notebook
    except (Unreadable, OSError):
        notebook = None
    html = feedback.page(graded, master, notebook)
    with whole_file(record.parent / "feedback" / f"{record.stem}.html") as file:
        file.write(html)
    with whole_file(record) as file:
        json.dump({"key": key, "graded": graded.as_dict()}, file, indent=1, ensure_ascii=False)
