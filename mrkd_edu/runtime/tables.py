"""One way to write a table: CSV, whole or not at all, six digits."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mrkd_edu.runtime.writing import whole_file


def text_of(value: Any) -> str:
    """A value as it stands in a table: six digits, and nothing for None.

    Example:
        >>> [text_of(value) for value in (1 / 3, 7, None, "rd")]
        ['0.333333', '7', '', 'rd']
    """
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def write_table(path: str | Path, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write rows under their columns. Names of files have to be made harmless before, see `names.cell`.

    The standard library's writer, and not pandas': tables are short, and a command that writes one should not wait half
    a second for an import.

    Raises:
        writing.NotWritten: no room, or no right to write there.
    """
    with whole_file(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([text_of(value) for value in row] for row in rows)
