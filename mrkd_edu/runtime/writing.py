"""Files are written whole or not at all, whoever else writes or reads them.

A new file is written beside the old one under a name that nobody else has, brought onto the disk, and put in its place
in one step. So a reader sees the old file or the new one, a kill or a full disk leaves the old one, and two writers do
not mix. (The well-known packages for this are no longer kept up.)
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from filelock import FileLock, Timeout

LARGEST = 8 * 2**30  # bytes of a file that is read as a whole; a checkpoint of the paper's student has 2 GB
LEFT_OVER = 3600.0  # seconds after which an unfinished file belongs to nobody


class NotWritten(OSError):
    """A file that could not be written; the message names it, and says why and what to do."""


class Taken(RuntimeError):
    """Another process is at work where one wanted to write."""


@contextmanager
def whole_file(path: str | Path, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Open a file for writing; it takes the place of `path` when the block ends without an error.

    Args:
        path: the file to write; its folder is made when missing.
        mode: `"w"` or `"wb"`.
        options: of `open`; text is UTF-8 unless told otherwise.

    Raises:
        NotWritten: no right to write there, no room on the disk, or whatever else the system says.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(f"{folder}/a/b.txt") as file:
        ...         _ = file.write("all")
        ...     print([p.name for p in Path(folder, "a").iterdir()], Path(folder, "a", "b.txt").read_text())
        ['b.txt'] all
    """
    path = Path(path)
    unfinished = path.with_name(f".{uuid4().hex}.part")  # not made of `path`, whose name may be as long as is allowed
    if "b" not in mode:
        options = {"encoding": "utf-8"} | options
    with explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(unfinished, mode.replace("w", "x"), **options) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
            _onto_the_disk(path.parent)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target`, to make something in and rename it when it is whole; gone when the block ends.

    Raises:
        NotWritten: no right to write there, or no room.
    """
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=unfinished_name(target.name), dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unfinished_name(name: str) -> str:
    """How the folder begins in which something of this name is made; a name may be as long as a system allows."""
    return f".{name[:100]}-unfinished-"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Whatever the system says against writing a file becomes `NotWritten`, one sentence with a cure."""
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # the last: a limit of the size of files
            cure = "Make room, or take a folder on another disk."
        elif error.errno in (errno.EEXIST, errno.ENOTDIR):
            cure = "There is a file where a folder must be: move it away, or take another folder."
        else:
            cure = "Take a folder that you may write to."
        raise NotWritten(f"{path} cannot be written: {why}. {cure}") from error


def _onto_the_disk(folder: Path) -> None:
    """The new name must survive a power cut as well. Not every system can be asked for that."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def check_room(folder: Path, needed: int) -> None:
    """Find out before long work whether its result can be kept: rights, and `needed` bytes.

    Raises:
        NotWritten: the message says which of the two.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        _sweep(folder)
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise NotWritten(
            f"{folder} has {free / 1e6:.0f} MB free, and about {needed / 1e6:.0f} MB are needed. Make room, or take "
            "another folder."
        )


def _sweep(folder: Path) -> None:
    """Take away what writers left that were killed. One that still writes has touched its file a moment ago."""
    for path in folder.glob(f".{'?' * 32}.part"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFT_OVER:
                path.unlink()


@contextmanager
def alone(lock: Path, other: str, waits: Callable[[], object] | None = None) -> Iterator[None]:
    """Only one process at a time is inside the block for this lock. A process that is killed lets go.

    Where no lock can be made, in a folder that may only be read or on a disk that knows none, all may enter.

    Args:
        lock: the file that stands for what is written.
        other: what to say where another process is inside.
        waits: called before waiting for the other process; None does not wait, but raises.

    Raises:
        Taken: another process is inside, and one does not wait.
    """
    held = FileLock(lock)
    with suppress(OSError, NotImplementedError):
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire(timeout=0)
        except Timeout:
            if waits is None:
                raise Taken(other) from None
            waits()
            held.acquire()
    try:
        yield
    finally:
        held.release()


def read_whole(path: str | Path, most: int = LARGEST) -> bytes:
    """The bytes of a file that is one: a pipe or a device in its place would keep one waiting for ever.

    Args:
        path: the file.
        most: bytes; a file with holes may say that it has a terabyte, and take no room on the disk.

    Raises:
        OSError: missing, not readable, too large, or no regular file.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a file")
    if (size := path.stat().st_size) > most:
        raise OSError(f"{path} has {size / 1e9:,.1f} GB, more than such a file can have")
    return path.read_bytes()
