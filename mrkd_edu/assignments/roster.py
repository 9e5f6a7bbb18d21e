"""Who handed in what: class lists, and the names that Moodle and Canvas give to the files of a download.

    Moodle    Ada Lovelace_1234567_assignsubmission_file_/A1.ipynb     a folder each, or one file each
    Canvas    lovelaceada_12345_67890_A1_masks.ipynb                   one file each; LATE_ after the name
    plain     ada/A1.ipynb, or ada.ipynb
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_\w+?_(?P<file>.*)$")
CANVAS = re.compile(r"^(?P<name>[^_]+)(?P<late>_LATE)?_(?P<id>\d+)_(?P<submission>\d+)_(?P<file>.+)$")
KINDS = (".ipynb", ".zip")
COLUMNS = {  # what class lists call it, in the order in which we look
    "id": ("student_id", "id", "sis login id", "sis user id", "username", "user name", "id number", "student"),
    "name": ("name", "full name", "student name", "display name", "student"),
    "first": ("first name", "firstname", "vorname"),
    "last": ("last name", "lastname", "surname", "nachname"),
    "email": ("email", "email address", "e-mail"),
}


class Student(NamedTuple):
    """One line of a class list."""

    id: str
    name: str
    email: str = ""


class Handed(NamedTuple):
    """What one student handed in.

    Attributes:
        student: the name by which he or she is graded.
        path: a notebook, a zip, or a folder.
        late: Canvas says so.
    """

    student: str
    path: Path
    late: bool = False


def handed_in(folder: Path) -> list[Handed]:
    """All submissions of a folder, by student. Of several files of one student the last by name is taken.

    Args:
        folder: a download from Moodle or Canvas, unpacked; or a folder or file for each student.

    Raises:
        NotADirectoryError: it is no folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder. Unpack the download, and name the folder that it makes.")
    found: dict[str, Handed] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in ("__MACOSX", "feedback", "graded"):
            continue
        if path.is_dir() or path.suffix.lower() in KINDS or MOODLE.match(path.name) or CANVAS.match(path.name):
            one = student_of(path)
            found[one.student] = one
    return list(found.values())


def student_of(path: Path) -> Handed:
    """Whose a file or folder is, by its name.

    Example:
        >>> student_of(Path("Ada Lovelace_1234567_assignsubmission_file_")).student
        'Ada Lovelace'
        >>> student_of(Path("lovelaceada_LATE_12345_67890_A1_masks.ipynb"))[0::2]
        ('lovelaceada', True)
        >>> student_of(Path("ada.ipynb")).student
        'ada'
    """
    if match := MOODLE.match(path.name):
        return Handed(match["name"], path)
    if not path.is_dir() and (match := CANVAS.match(path.name)):
        return Handed(match["name"], path, match["late"] is not None)
    return Handed(path.name if path.is_dir() else path.stem, path)


class ClassList(NamedTuple):
    """A class list as it came, and who is meant by its lines.

    Attributes:
        rows: a dict of texts a line, under the words of the heading.
        separator: comma, semicolon or tab.
        students: of each line; None where it is nobody's, such as Canvas's second line.
    """

    rows: list[dict[str, str]]
    separator: str
    students: list[Student | None]


def read_class(path: Path) -> ClassList:
    """A class list: a CSV file with a heading, as Moodle and Canvas export it or as one writes it by hand.

    Args:
        path: of it. Comma, semicolon or tab; UTF-8, with or without a mark at its beginning.

    Raises:
        ValueError: no column holds an id or a name.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    rows = list(csv.DictReader(lines, delimiter=separator))
    heading = {str(h).strip().lower(): str(h) for h in (rows[0] if rows else {})}
    column = {kind: next((heading[n] for n in names if n in heading), None) for kind, names in COLUMNS.items()}
    if column["id"] == column["name"]:  # `Student` alone is a name, beside a name it is an id
        column["id"] = None
    if column["id"] is None and column["name"] is None and column["first"] is None:
        raise ValueError(
            f"{path.name} names no students: none of its columns is called {', '.join(COLUMNS['id'][:3])} or name. "
            f"It has {', '.join(heading.values()) or 'none'}."
        )
    return ClassList(rows, separator, [_student(row, column) for row in rows])


def _student(row: Mapping[str, str | None], column: Mapping[str, str | None]) -> Student | None:
    said = {kind: (row.get(name) or "").strip() if name else "" for kind, name in column.items()}
    name = said["name"] or f"{said['first']} {said['last']}".strip()
    key = said["id"] or said["email"] or name
    if not key or key.lower().startswith("points possible"):  # Canvas's second line
        return None
    return Student(key, name or key, said["email"])


def find_student(name: str, students: Sequence[Student]) -> Student | None:
    """The student of a class list that a file's name means, or None where none or several could be meant.

    Example:
        >>> ada = Student("al1", "Ada Lovelace", "ada@example.org")
        >>> find_student("lovelaceada", [ada]) is ada, find_student("AL1", [ada]) is ada, find_student("bob", [ada])
        (True, True, None)
    """
    for key in (_exact, _letters):
        meant = [s for s in students if key(name) in {key(s.id), key(s.name), key(s.email), key(s.email.split("@")[0])}]
        if len(meant) == 1:
            return meant[0]
    return None


def _exact(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold() or "\0"


def _letters(text: str) -> str:
    """Letters in the order of the alphabet, so that first and last name may change places."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(sorted(c for c in plain if c.isalnum())) or "\0"
