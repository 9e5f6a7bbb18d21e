"""Unpack an archive of a stranger: only files that a data set needs, only below one folder, only as much as is sane.

The standard library reads the formats; its filter against paths that lead outside (`tarfile.data_filter`) lets links
pass and knows nothing of zip files, bombs, or names that Windows cannot write. So every name is looked at here, the
same way for both formats, and what is no plain file or folder ends the unpacking.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from tqdm.auto import tqdm

from mrkd_edu.data.files import DataError, check_file
from mrkd_edu.data.images import IMAGE_SUFFIXES
from mrkd_edu.runtime.names import DEVICES, readable
from mrkd_edu.runtime.writing import NotWritten, check_room, explained

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
NESTED = (*ARCHIVES, ".7z", ".rar", ".gz", ".xz", ".bz2")
TEXTS = (".csv", ".txt", ".md", ".json")  # tables of contents, licences, records
SWOLLEN = 50  # times its archive: pictures hardly grow when they are unpacked, and masks are small
ALWAYS = 200 * 2**20  # bytes that are never too many
MOST_FILES = 300_000
CHUNK = 2**20


@dataclass
class Unpacked:
    """What came out of an archive.

    Attributes:
        files: how many.
        size: bytes, all together.
        nested: archives inside, which were left closed.
        left_out: other files that are no image, table or text.
    """

    files: int = 0
    size: int = 0
    nested: list[str] = field(default_factory=list)
    left_out: int = 0


@dataclass(frozen=True)
class _Member:
    """An entry of any archive: its name, what it is, its size as declared, and how to read it."""

    name: str
    kind: str  # "file", "folder", or in words what else
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: str | Path) -> bool:
    """Whether a name is that of an archive that can be unpacked here.

    Example:
        >>> is_archive("mvtec.tar.xz"), is_archive("photo.png")
        (True, False)
    """
    return str(path).lower().endswith(ARCHIVES)


def stem_of_archive(path: str | Path) -> str:
    """The name of an archive without its endings; of a folder, its name.

    Example:
        >>> stem_of_archive("sets/parts.tar.gz")
        'parts'
    """
    name = Path(os.path.abspath(path)).name
    ending = max((ending for ending in ARCHIVES if name.lower().endswith(ending)), key=len, default="")
    return name[: len(name) - len(ending)] if not os.path.isdir(path) else name


def unpack(
    archive: str | Path,
    folder: str | Path,
    *,
    suffixes: tuple[str, ...] = IMAGE_SUFFIXES + TEXTS,
    progress: bool = True,
) -> Unpacked:
    """Unpack images, tables and texts of an archive into an empty folder.

    Where it raises, the folder holds a part: unpack into a folder that can be thrown away.

    Args:
        archive: a zip or tar file.
        folder: an empty folder; made when missing.
        suffixes: endings of the files that are wanted.
        progress: show a bar.

    Raises:
        DataError: damaged, cut off or no archive; a name that leads outside, that is there twice or cannot be written
            everywhere; a link, a device, a password; or far more than an archive of that size can hold.
        writing.NotWritten: no room.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with zipfile.ZipFile(f"{folder}/a.zip", "w") as file:
        ...         file.writestr("../outside.png", b"")
        ...     unpack(f"{folder}/a.zip", f"{folder}/new")
        Traceback (most recent call last):
        mrkd_edu.data.files.DataError: ...a.zip holds ../outside.png, whose name leads out of its folder...
    """
    archive, folder = Path(archive), Path(folder)
    check_file(archive)
    result, seen, folders = Unpacked(), set[str](), set[str]()
    most = max(ALWAYS, SWOLLEN * archive.stat().st_size)
    check_room(folder, archive.stat().st_size)
    with explained(folder), _readable(archive), ExitStack() as closing:
        members = closing.enter_context(_members(archive))
        bar = closing.enter_context(
            tqdm(desc=f"unpacking {readable(archive.name)}", unit="B", unit_scale=True, disable=not progress)
        )
        for number, member in enumerate(members):
            name = safe_name(member.name, archive)
            if member.kind not in ("file", "folder"):
                raise DataError(f"{_holds(archive, member.name)}, which is {member.kind}. {_REFUSED}")
            if number >= MOST_FILES:
                raise DataError(f"{archive} holds more than {MOST_FILES:,} files, as no data set does. {_REFUSED}")
            if not name or member.kind == "folder":
                continue
            key = _key(name)
            parents = {key.rsplit("/", depth)[0] for depth in range(1, key.count("/") + 1)}
            if key in seen or key in folders or parents & seen:
                raise DataError(
                    f"{_holds(archive, member.name)} twice, or two names that are one on some systems: one would "
                    f"take the other's place. {_REFUSED}"
                )
            seen.add(key)
            folders |= parents
            if name.split("/")[0] == "__MACOSX" or name.rsplit("/", 1)[-1].startswith("."):
                continue  # what a Mac leaves beside every file
            if not name.lower().endswith(suffixes):
                if name.lower().endswith(NESTED):
                    result.nested.append(name)
                else:
                    result.left_out += 1
                continue
            result.size += _write(member, folder / name, archive, most - result.size, bar)
            result.files += 1
    return result


def safe_name(name: str, whose: str | Path) -> str:
    r"""A name inside an archive or a table, as a relative path with `/`; empty for the top folder itself.

    Raises:
        DataError: it leads outside, or some system could not write it, or would write it elsewhere.

    Example:
        >>> safe_name("bottle\\train\\good/./000.png", "a.zip")
        'bottle/train/good/000.png'
    """
    plain = name.replace("\\", "/")  # Windows parts folders so, and so do some zip files
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or re.match("[A-Za-z]:", plain) or ".." in parts:
        raise DataError(f"{_holds(whose, name)}, whose name leads out of its folder. {_REFUSED}")
    for part in parts:
        if "\0" in part or ":" in part or DEVICES.fullmatch(part) or len(part.encode(errors="surrogateescape")) > 255:
            raise DataError(f"{_holds(whose, name)}, a name that not every system can write. {_REFUSED}")
    return "/".join(parts)


_REFUSED = "Nothing of it was kept: get the archive from its publisher again"


def _holds(whose: str | Path, name: str) -> str:
    return f"{whose} holds {readable(name)[:200]}"


def _key(name: str) -> str:
    """What two names share that are one file somewhere: a Mac composes umlauts, Windows takes A for a."""
    return unicodedata.normalize("NFC", name).casefold()


def _write(member: _Member, path: Path, archive: Path, room: int, bar: tqdm) -> int:
    """Write one file, and count what really comes, whatever the archive declares."""
    written = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    source = member.open()
    assert source is not None  # a plain file has content
    with source, open(path, "xb") as file:
        while piece := source.read(CHUNK):
            written += len(piece)
            if written > room:
                raise DataError(
                    f"{archive} unpacks to more than {SWOLLEN} times its size, as no pictures do: it is made to fill a "
                    f"disk. {_REFUSED}"
                )
            file.write(piece)
            bar.update(len(piece))
    if written != member.size:
        raise DataError(f"{archive} is damaged: {readable(member.name)} is shorter than it says. Download it again")
    return written


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    """The entries of a zip or tar file, one after the other, as they lie in the file."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield _of_zip(zipped, archive)
    else:
        with _Stream(archive) as stream, tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as tar:
            yield _of_tar(tar)
            stream.check_end()


def _of_zip(file: zipfile.ZipFile, archive: Path) -> Iterator[_Member]:
    for entry in file.infolist():
        mode = entry.external_attr >> 16  # Unix's, where it was packed on one
        kind = "folder" if entry.is_dir() else "file"
        if stat.S_ISLNK(mode):
            kind = "a link"
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "a device"
        if entry.flag_bits & 1:
            raise DataError(f"{archive} has a password. Unpack it by hand, and import the folder")
        yield _Member(entry.filename, kind, entry.file_size, partial(file.open, entry))


def _of_tar(file: tarfile.TarFile) -> Iterator[_Member]:
    for entry in file:
        kind = "file" if entry.isfile() else "folder" if entry.isdir() else "a device"
        if entry.issym() or entry.islnk():
            kind = "a link"
        yield _Member(entry.name, kind, entry.size, partial(file.extractfile, entry))


class _Stream:
    """A tar file as it is without compression, and whether it came to its end.

    `tarfile` takes a file that was cut off between two entries for a whole one. But a tar file ends with 1024 zeros,
    and a compressed one with a check sum that its decoder looks for only when it is read to the end.
    """

    def __init__(self, archive: Path) -> None:
        with archive.open("rb") as file:
            head = file.read(2)
        known: dict[bytes, Callable[[Path, str], Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
        self.file = known.get(head, open)(archive, "rb")
        self.tail = b""

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self, size: int) -> bytes:
        piece = self.file.read(size)
        self.tail = (self.tail + piece)[-1024:]
        return piece

    def check_end(self) -> None:
        """Raise where the end is missing."""
        while self.read(CHUNK):
            pass
        if any(self.tail):
            raise EOFError("its end is missing")


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    """Turn the many errors of damaged archives into one sentence; those of our own disk stay what they are."""
    try:
        yield
    except (DataError, NotWritten):
        raise
    except Exception as error:  # a damaged archive fails with almost any error
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(
            f"{archive} is damaged, cut off, or no zip or tar file ({error or type(error).__name__}). Download it again"
        ) from error
