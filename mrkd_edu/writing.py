"""Files are written whole or not at all, whoever else writes or reads them.

A new file is written beside the old one under a name that nobody else has, brought onto the disk, and put in its place
in one step. So a reader sees the old file or the new one, a kill or a full disk leaves the old one, and two writers do
not mix. (The well-known packages for this are no longer kept up.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4


@contextmanager
def whole_file(path: str | Path, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Open a file for writing; it takes the place of `path` when the block ends without an error.

    Args:
        path: the file to write; its folder is made when missing.
        mode: `"w"` or `"wb"`.
        options: of `open`; text is UTF-8 unless told otherwise.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(f"{folder}/a/b.txt") as file:
        ...         _ = file.write("all")
        ...     print([p.name for p in Path(folder, "a").iterdir()], Path(folder, "a", "b.txt").read_text())
        ['b.txt'] all
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{uuid4().hex}.part")  # not made of `path`, whose name may be as long as is allowed
    if "b" not in mode:
        options = {"encoding": "utf-8"} | options
    try:
        with open(unfinished, mode.replace("w", "x"), **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
