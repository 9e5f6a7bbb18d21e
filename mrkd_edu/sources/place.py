"""A data set, from an archive or a folder to its place on the disk: the whole of it, or nothing.

    <root>/<set>/<category>/train/good/...    the categories, ready for `train` and `benchmark`

Everything is made in a hidden folder beside that place, and gets its name in one step at the end.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from glob import escape
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from mrkd_edu.data.files import DataError
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import read_mask
from mrkd_edu.data.layouts import listed, visible_folders
from mrkd_edu.runtime.names import readable, tell
from mrkd_edu.runtime.writing import alone, check_room, explained, unfinished_folder, unfinished_name
from mrkd_edu.sources.archive import stem_of_archive, unpack
from mrkd_edu.sources.convert import CONVERTERS, Conversion, native, recognised
from mrkd_edu.sources.record import Record, check_free, files_in, new_record, read_record, write_record
from mrkd_edu.sources.registry import SETS, DataSet


@dataclass
class Placed:
    """What was done.

    Attributes:
        folder: where the set is.
        categories: its categories that were asked for.
        images: how many image files they hold, masks among them.
        already: it was there, and nothing was done.
        left_out: what was not used, and why.
        problems: what the library would say against a category.
        archive: the archive, where it was kept.
    """

    folder: Path
    categories: list[str]
    images: int
    already: bool = False
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    archive: Path | None = None


@contextmanager
def our_turn(root: Path, name: str) -> Iterator[None]:
    """Only one process puts a set in place. What a killed one has left behind is thrown away."""
    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
    waits = partial(tell, f"Another program makes {readable(name)} just now: waiting for it.")
    with alone(root / f".{name[:100]}.lock", "", waits):
        for left in root.glob(f"{escape(unfinished_name(name))}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def place(
    source: Path,
    target: Path,
    entry: DataSet | None,
    wanted: list[str] | None,
    sha256: str | None,
    *,
    named: bool = False,
    any_version: bool = False,
    progress: bool = True,
) -> Placed:
    """Unpack, convert, and put in place in one step.

    Args:
        source: an archive, or a folder, which is copied.
        target: the folder of the set.
        entry: which public set it is; None: by its content, or one of somebody's own.
        wanted: categories that are put there; None: all.
        sha256: of the archive, for the record.
        named: the set's folder is called as somebody wants it, whatever its content turns out to be.
        any_version: take other numbers of images than the known ones.
        progress: show bars.

    Raises:
        DataError: an archive that is refused, or that holds no such set.
        writing.NotWritten: no room, or no right to write there.
    """
    left_out: list[str] = []
    if entry and not any_version:
        _check_version(entry, source, sha256)  # before anything of it is unpacked
    with unfinished_folder(target) as unfinished:
        ours = not os.path.isdir(source)
        top = unfinished / "unpacked" / stem_of_archive(source) if ours else source
        if ours:
            out = unpack(source, top, progress=progress)
            if out.nested and not out.files:
                raise DataError(
                    f"{source} holds nothing but other archives ({listed(out.nested)}). Unpack it by hand, and import "
                    "one of these"
                )
            left_out += [f"{listed(out.nested)}: archives inside are not opened"] if out.nested else []
            left_out += [f"{out.left_out} files that are no image, table or text"] if out.left_out else []
        if entry is None and (name := recognised(top)):
            entry = SETS[name]
            if not named:
                target = target.parent / name
                check_free(target, None)
        conversion = (CONVERTERS[entry.layout] if entry else native)(top)
        if entry and not any_version:
            _check_version(entry, source, sha256, conversion.counts())
        left_out += [f"{number} images {why}" for why, number in conversion.left_out.items()]
        made = _write(conversion, unfinished / "set", wanted, ours, progress)
        categories = {folder.name: files_in(folder) for folder in visible_folders(made)}
        if not categories:
            lacking = f" of {listed(wanted)}" if wanted else ""
            raise DataError(f"{source} holds no images{lacking} that the library could read")
        problems = _problems(made)
        before = read_record(target)
        record = new_record(entry, source, sha256, left_out)
        record["categories"] = {**(before["categories"] if before else {}), **categories}
        _into_place(made, target, record)
    return Placed(target, list(categories), sum(categories.values()), left_out=left_out, problems=problems)


def _write(conversion: Conversion, folder: Path, wanted: list[str] | None, ours: bool, progress: bool) -> Path:
    """The files of a conversion, moved where the source is our own, else copied."""
    pieces = [piece for piece in conversion.pieces if wanted is None or piece.category in wanted]
    if not ours:
        check_room(folder.parent, sum(path.stat().st_size for piece in pieces for path in piece.of))
    with explained(folder):
        folder.mkdir()
        for piece in tqdm(pieces, desc="sorting", unit="file", disable=not progress):
            to = folder / piece.category / piece.to
            to.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(to):
                raise DataError(f"two files would become {piece.category}/{piece.to}; one would take the other's place")
            if len(piece.of) > 1:
                masks = [read_mask(path) for path in piece.of]  # (H, W) each
                Image.fromarray(np.where(np.any(masks, axis=0), 255, 0).astype(np.uint8)).save(to)
            elif ours:
                piece.of[0].replace(to)
            else:
                shutil.copyfile(piece.of[0], to)
    return folder


def _into_place(made: Path, target: Path, record: Record) -> None:
    """The last step. A set that is new appears at once; categories of a set that is there, one after the other."""
    with explained(target):
        if hasattr(os, "sync"):
            os.sync()  # a power cut must not leave names without content
        if os.path.isdir(target):
            for folder in visible_folders(made):
                folder.rename(target / folder.name)
            write_record(target, record)
        else:
            write_record(made, record)
            made.rename(target)


def _problems(made: Path) -> list[str]:
    """What the library would say of a category; the set is put in place all the same, for most of it may be well."""
    said = []
    for folder in visible_folders(made):
        try:
            AnomalyFolder(folder)
        except DataError as error:
            said.append(f"{folder.name}: {str(error).replace(str(made), '...')}")
    return said


def _check_version(entry: DataSet, source: Path, sha256: str | None, found: Counter[str] | None = None) -> None:
    """Refuse a public set in another version than the published one: by its hash, or by its numbers of images."""
    other = []
    if sha256 and entry.sha256 and sha256 != entry.sha256:
        other = [f"the SHA-256 {sha256}, not {entry.sha256}"]
    elif found is not None:
        other = [f"{found[kind]} {kind}, not {known}" for kind, known in entry.counts.items() if found[kind] != known]
    if other:
        raise DataError(
            f"{source} is not {entry.title} as it is published: it has {', '.join(other)}. It may be damaged or not "
            f"whole: get it again from {entry.page}. Is it another version that you want?  mrkd-edu data import "
            f"{source} --any-version"
        )
