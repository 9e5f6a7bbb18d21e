"""A public data set from its publisher, or an archive that somebody has downloaded by hand."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tqdm.auto import tqdm

from mrkd_edu.data.files import DataError, as_path, check_file
from mrkd_edu.runtime.names import readable, tell
from mrkd_edu.runtime.writing import check_room
from mrkd_edu.sources.archive import is_archive, stem_of_archive
from mrkd_edu.sources.convert import recognised
from mrkd_edu.sources.download import download, lock_of
from mrkd_edu.sources.place import Placed, our_turn, place
from mrkd_edu.sources.record import check_free, check_whole, known_hash, missing_of, read_record, remember_hash
from mrkd_edu.sources.registry import SETS, DataSet, find_set

SHELF = "archives"  # in the root: archives as they were downloaded


def get(
    name: str,
    root: str | Path = "data",
    *,
    categories: Sequence[str] = (),
    url: str | None = None,
    keep: bool = False,
    progress: bool = True,
) -> Placed:
    """Download a public data set and put it into its place. What is there already is not fetched again.

    Whoever calls this accepts the licence, `find_set(name).licence`.

    Args:
        name: a key of `registry.SETS`.
        root: folder of data sets; made when missing.
        categories: only these; all when empty. The archive is kept then, so that others can be had without a network.
        url: another address of the same archive, such as a computer in the room; its hash is checked all the same.
        keep: keep the archive in `<root>/archives/`.
        progress: show bars.

    Raises:
        DataError: unknown set or category, a download that fails, an archive that cannot be unpacked.
        writing.NotWritten: no room, or no right to write there.
    """
    entry, root = find_set(name), as_path(root)
    if unknown := [c for c in categories if c not in entry.categories]:
        raise DataError(f"{entry.name} has no category {unknown[0]}; it has {', '.join(entry.categories)}")
    target, archive = root / entry.name, root / SHELF / entry.archive
    asked = list(categories or entry.categories)
    with our_turn(root, entry.name):
        record = read_record(target)
        missing = missing_of(record, asked)
        if record and not missing:
            files = check_whole(target, record, asked)
            return Placed(target, asked, files, already=True, left_out=record.get("left_out", []))
        check_free(target, record)
        if entry.size:
            check_room(root, entry.size if archive.exists() else 2 * entry.size)  # pictures hardly grow when unpacked
        known = known_hash(archive.parent, entry)
        found = download(url or entry.url, archive, known, page=entry.page, progress=progress)
        if known is None:
            remember_hash(archive.parent, entry, found)
            tell(f"The hash of {entry.archive} is not fixed by its publisher. Recorded: {found}")
        placed = place(archive, target, entry, missing, found, progress=progress)
        if keep or categories:
            placed.archive = archive
        else:
            for path in (archive, lock_of(archive)):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # it holds other archives, or a record of hashes
                archive.parent.rmdir()
    return placed


def take(
    source: str | Path,
    root: str | Path = "data",
    *,
    name: str | None = None,
    any_version: bool = False,
    progress: bool = True,
) -> Placed:
    """Put an archive, or a folder, that somebody has downloaded by hand into its place.

    A public set is known by its folders, and its archive must have the published hash. Anything else that has a layout
    which the library reads is taken as it is, under the name of the archive or folder.

    Args:
        source: a zip or tar file, or the folder that it was unpacked to, which is copied.
        root: folder of data sets; made when missing.
        name: which public set it is, or what your own shall be called; None: by its content, or its file's name.
        any_version: take a public set with another hash or other numbers of images as well.
        progress: show bars.

    Raises:
        DataError: no archive, not whole, of another version, or nothing that the library could read.
        writing.NotWritten: no room, or no right to write there.
    """
    source, root = as_path(source), as_path(root)
    folder = os.path.isdir(source)
    if not folder:
        check_file(source)
        if not is_archive(source):
            raise DataError(f"{source} is no archive (zip, tar, tar.gz, tar.xz, tar.bz2), and no folder; give one")
    found = None if folder else _hash(source, progress)
    entry = _which(source, name, found)
    label = entry.name if entry else readable(name or stem_of_archive(source)).replace("/", "_").lstrip(".") or "data"
    target = root / label
    with our_turn(root, label):
        record = read_record(target)
        if record and record.get("archive") == readable(source.name) and record.get("sha256") == found:
            there = sorted(record["categories"])
            files = check_whole(target, record, there)
            return Placed(target, there, files, already=True, left_out=record.get("left_out", []))
        check_free(target, record)
        missing = missing_of(record, entry.categories) if entry else None
        if record and not missing:
            raise DataError(
                f"{target} holds {record.get('archive')} already. Nothing was overwritten: choose another name (--as), "
                "or another --root"
            )
        options = {"named": name is not None, "any_version": any_version, "progress": progress}
        return place(source, target, entry, missing, found, **options)


def _which(source: Path, name: str | None, sha256: str | None) -> DataSet | None:
    """Which public set an archive or folder is: as it is said to be, by its hash, its file's name, or its folders.

    The folders inside of an archive are seen only when it is unpacked.
    """
    if name is not None:
        return SETS.get(name)
    for entry in SETS.values():
        if sha256 and entry.sha256 == sha256:
            return entry
    by_name = next((entry for entry in SETS.values() if entry.archive == source.name), None)
    return by_name or (SETS.get(recognised(source) or "") if os.path.isdir(source) else None)


def _hash(path: Path, progress: bool) -> str:
    """SHA-256 of a file, with a bar: gigabytes take a while."""
    total = hashlib.sha256()
    with (
        path.open("rb") as file,
        tqdm(desc="checking", total=path.stat().st_size, unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        while piece := file.read(2**20):
            total.update(piece)
            bar.update(len(piece))
    return total.hexdigest()
