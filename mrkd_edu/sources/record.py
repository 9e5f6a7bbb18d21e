"""What a root of data sets holds already, and where each came from.

    <root>/<set>/source.json       its archive, hash, licence, and the number of files of each category
    <root>/archives/hashes.json    hashes of archives that their publisher has not fixed, as they were at first
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from mrkd_edu.data.files import DataError, as_path, check_file
from mrkd_edu.data.layouts import listed, visible_folders
from mrkd_edu.runtime.names import readable
from mrkd_edu.runtime.writing import NotWritten, whole_file
from mrkd_edu.sources.registry import DataSet

RECORD = "source.json"
HASHES = "hashes.json"
Record = dict[str, Any]


def held(root: str | Path) -> dict[str, list[str]]:
    """The sets of a root that were put there by this program, with their categories.

    Example:
        >>> held("a folder that does not exist")
        {}
    """
    root = as_path(root)
    if not os.path.isdir(root):
        return {}
    records = {folder.name: read_record(folder) for folder in visible_folders(root)}
    return {name: sorted(record["categories"]) for name, record in records.items() if record}


def read_record(folder: Path) -> Record | None:
    """The record of a set, without categories that are gone; None where there is none that can be read."""
    with suppress(OSError, ValueError, DataError):
        check_file(folder / RECORD)
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if isinstance(record, dict) and isinstance(record.get("categories"), dict):
            here = {c: n for c, n in record["categories"].items() if isinstance(n, int) and os.path.isdir(folder / c)}
            return {**record, "categories": here}
    return None


def write_record(folder: Path, record: Record) -> None:
    """Write the record of a set."""
    with whole_file(folder / RECORD) as file:
        file.write(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def new_record(entry: DataSet | None, source: Path, sha256: str | None, left_out: list[str]) -> Record:
    """What is to be known of a set later, but for its categories."""
    facts: Record = {"archive": readable(source.name), "sha256": sha256, "taken": date.today().isoformat()}
    if entry:
        facts |= {"set": entry.name, "title": entry.title, "licence": entry.licence, "terms": entry.terms}
        facts |= {"page": entry.page, "cite": entry.cite}
    return facts | {"left_out": left_out}


def missing_of(record: Record | None, categories: Sequence[str]) -> list[str]:
    """Which categories of a set are not there yet.

    Example:
        >>> missing_of({"categories": {"bottle": 292}}, ["bottle", "cable"])
        ['cable']
    """
    return [category for category in categories if not record or category not in record["categories"]]


def check_whole(folder: Path, record: Record, categories: list[str]) -> int:
    """How many files some categories have.

    Raises:
        DataError: more or fewer than were put there.
    """
    images = 0
    for category in categories:
        number, known = files_in(folder / category), record["categories"][category]
        if number != known:
            raise DataError(
                f"{folder / category} is not as it was put there: it has {number} files, not {known}. Delete that "
                "folder to have it again, or move it away"
            )
        images += number
    return images


def files_in(folder: Path) -> int:
    """How many files lie in a folder and below."""
    return sum(path.is_file() for path in folder.rglob("*"))


def check_free(folder: Path, record: Record | None) -> None:
    """Refuse a place where something else lies than this program has put there.

    Raises:
        DataError: a file, or folders that no record knows.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise DataError(f"{folder} is a file, where the data set would be put. Move it away, or choose another --root")
    there = [path.name for path in visible_folders(folder)] if os.path.isdir(folder) else []
    if strange := [name for name in there if not record or name not in record["categories"]]:
        raise DataError(
            f"{folder} holds {listed(strange)} already, which this program has not put there. Nothing was overwritten: "
            "move that folder away, or choose another --root"
        )


def known_hash(shelf: Path, entry: DataSet) -> str | None:
    """The published hash of an archive, or the one that it had when it was downloaded first."""
    found = entry.sha256 or _hashes(shelf).get(entry.archive)
    return found if isinstance(found, str) and len(found) == 64 else None


def remember_hash(shelf: Path, entry: DataSet, sha256: str) -> None:
    """Write down what hash an archive had."""
    with suppress(NotWritten), whole_file(shelf / HASHES) as file:
        json.dump({**_hashes(shelf), entry.archive: sha256}, file, indent=1)


def _hashes(shelf: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads((shelf / HASHES).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}
