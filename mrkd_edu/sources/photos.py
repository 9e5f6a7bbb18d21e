"""Photos of one's own, from wherever they lie to a folder that `AnomalyFolder` reads. Nothing is moved or changed.

    a folder of good parts            my_part/good/*.jpg
    a folder of bad ones        ->    my_part/<kind>/*.jpg
    a folder of their masks           my_part/masks/<kind>/*_mask.png
                                      my_part/photos.csv: which file is which, and what was not taken

`plan_photos` looks at every photo and decides; `take_photos` copies. The new folder appears whole or not at all.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mrkd_edu.data.files import DataError, as_path
from mrkd_edu.data.folder import AnomalyFolder, digest_of
from mrkd_edu.data.images import IMAGE_SUFFIXES, list_images, read_mask
from mrkd_edu.data.layouts import MASK_ENDINGS, listed, stem_of, visible_folders
from mrkd_edu.runtime.batches import side_by_side
from mrkd_edu.runtime.names import cell, readable
from mrkd_edu.runtime.tables import write_table
from mrkd_edu.runtime.writing import check_room, explained, unfinished_folder, whole_file
from mrkd_edu.sources.phone import GROWS, Photo, see, write_converted
from mrkd_edu.sources.photo_folders import TABLE, check_folders, harmless, kind_name, kinds_of, photos_in
from mrkd_edu.sources.place import our_turn

COLUMNS = ("file", "from", "why", "content")
ROOM = 1.05  # of what the files have, for the folders


@dataclass
class Item:
    """One file of the new folder.

    Attributes:
        source: where it comes from.
        to: its place, relative to the new folder, with `/`.
        why: what was done to it.
        content: a hash of the source.
        bytes: that it needs, about.
        convert: it is converted, not copied.
    """

    source: Path
    to: str
    why: str
    content: str
    bytes: int
    convert: bool = False


@dataclass
class PhotoPlan:
    """What would be done.

    Attributes:
        out: the new folder.
        items: its files.
        left_out: photos that are not taken, and why.
    """

    out: Path
    items: list[Item] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Photos:
    """What was done.

    Attributes:
        folder: the new folder.
        counts: photos by kind, the good ones under `"good"`.
        masks: how many masks.
        converted: how many photos were converted.
        renamed: (place in the new folder, name before) of those that got another name.
        left_out: (photo, why) of those that were not taken.
        already: the same photos were there before, and nothing was done.
    """

    folder: Path
    counts: dict[str, int]
    masks: int = 0
    converted: int = 0
    renamed: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    already: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        facts = {**asdict(self), "folder": readable(str(self.folder))}
        for name in ("renamed", "left_out"):
            facts[name] = [[readable(word) for word in pair] for pair in facts[name]]
        return facts


Source = str | os.PathLike[str]


def plan_photos(
    good: Source, out: Source, bad: Source | None = None, masks: Source | None = None, progress: bool = False
) -> PhotoPlan:
    """Look at photos and decide where each belongs; nothing is written.

    Args:
        good: folder of photos of good parts.
        out: the folder that would be made.
        bad: folder of photos of bad parts: subfolders are kinds of defect; what lies flat in it is the kind `defect`.
        masks: folder of masks for the bad ones, by name (`a.png` or `a_mask.png` for `a.jpg`), flat or in subfolders of
            the kinds. White is the defect. Every bad photo needs one then.
        progress: show a bar.

    Raises:
        DataError: no folder, no photo that can be read, the same photo among good and bad ones, or a mask that is
            missing or wrong.
    """
    good, out = as_path(good), as_path(out)
    bad, masks = (None if path is None else as_path(path) for path in (bad, masks))
    check_folders(good, out, bad, masks)
    plan = PhotoPlan(out)
    kinds = {"good": photos_in(plan.left_out, good, except_for=(bad, masks))}
    if bad is not None:
        kinds |= kinds_of(plan.left_out, bad, masks)
    paths = [path for of_kind in kinds.values() for path in of_kind]
    seen = dict(zip(paths, side_by_side(see, paths, what="photos", progress=progress), strict=True))
    _check_apart(plan, kinds, seen)
    names: dict[Path, str] = {}  # of the bad ones: their place without suffix, for the mask
    for kind, of_kind in kinds.items():
        used: set[str] = set()
        for path in of_kind:
            if path in seen:
                _add(plan, kind, path, seen[path], used, names)
    for kind, folder, what in (("good", good, "normal"), ("", bad, "defective")):
        if folder is not None and not any((item.to.startswith("good/")) == (kind == "good") for item in plan.items):
            why = f": {plan.left_out[0][1]}" if plan.left_out else ""
            raise DataError(f"{folder} holds no {what} photos that could be taken{why} ({', '.join(IMAGE_SUFFIXES)})")
    if masks is not None:
        _add_masks(plan, masks, names, kinds, seen)
    return plan


def take_photos(
    good: Source, out: Source, bad: Source | None = None, masks: Source | None = None, progress: bool = False
) -> Photos:
    """Copy photos into a new folder in the layout that the library reads.

    Args:
        good, out, bad, masks: as for `plan_photos`. `out` must not exist, be empty, or hold these very photos.
        progress: show bars.

    Returns:
        What was done, and what was left out.

    Raises:
        DataError: as `plan_photos`, or `out` holds something else.
        writing.NotWritten: no room, or no right to write there.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for i, name in enumerate(("fine/a.jpg", "fine/b.jpg", "broken/c.jpg")):
        ...         Path(folder, name).parent.mkdir(exist_ok=True)
        ...         Image.new("L", (64, 64), 50 * i).save(Path(folder, name))
        ...     done = take_photos(f"{folder}/fine", f"{folder}/washer", bad=f"{folder}/broken")
        ...     print(done.counts, AnomalyFolder(done.folder).kinds)
        {'good': 2, 'defect': 1} ['defect']
    """
    plan = plan_photos(good, out, bad, masks, progress)
    with our_turn(plan.out.parent, plan.out.name):
        if os.path.lexists(plan.out) and not _empty(plan.out):
            _check_same(plan)
            return _told(plan, already=True)
        check_room(plan.out.parent, int(ROOM * sum(item.bytes for item in plan.items)))
        with unfinished_folder(plan.out) as unfinished:
            made = unfinished / plan.out.name
            side_by_side(partial(_copy, made), plan.items, what="copying", progress=progress)
            rows = [(cell(item.to), cell(str(item.source)), item.why, item.content) for item in plan.items]
            rows += [("", cell(name), readable(f"left out: {why}"), "") for name, why in plan.left_out]
            write_table(made / TABLE, COLUMNS, rows)
            _check_read(made, plan.out)
            with explained(plan.out):
                if _empty(plan.out):
                    plan.out.rmdir()
                made.rename(plan.out)
    return _told(plan)


def describe_photos(photos: Photos, most: int = 5) -> list[str]:
    """What was done, as lines of text; of many names `most` are said."""
    kinds = ", ".join(f"{kind} {number}" for kind, number in photos.counts.items())
    lines = [f"{photos.folder}: {kinds}" + (f", {photos.masks} masks" if photos.masks else "")]
    if photos.already:
        lines.append("These very photos were there already; nothing was done.")
    if photos.converted:
        lines.append(f"{photos.converted} photos of a phone's format were converted to JPEG.")
    for names, what in ((photos.renamed, "Renamed"), (photos.left_out, "Left out")):
        arrow = " was " if what == "Renamed" else ": "
        lines += [f"{what}: {name}{arrow}{why}" for name, why in names[:most]]
        if len(names) > most:
            lines.append(f"{what}: {len(names) - most} more, see {photos.folder / TABLE}")
    return [readable(line) for line in lines]


def _check_apart(plan: PhotoPlan, kinds: dict[str, list[Path]], seen: dict[Path, Photo]) -> None:
    """Leave out what cannot be read and what is there twice; refuse a photo that is of two kinds."""
    first: dict[bytes, tuple[str, Path]] = {}
    both = []
    for kind, of_kind in kinds.items():
        for path in of_kind:
            photo = seen[path]
            if photo.error:
                plan.left_out.append((str(path), photo.error))
                del seen[path]
                continue
            other_kind, other = first.setdefault(photo.pixels, (kind, path))
            if other is path:
                continue
            if other_kind != kind:
                both.append(f"{path} and {other}")
            plan.left_out.append((str(path), f"the same picture as {other.name}"))
            del seen[path]
    if both:
        raise DataError(
            f"the same picture is of two kinds: {listed(both, 3)}. A part is good or has one kind of defect: take it "
            "out of one of the folders"
        )


def _add(plan: PhotoPlan, kind: str, path: Path, photo: Photo, used: set[str], names: dict[Path, str]) -> None:
    """Give a photo its place."""
    wanted = harmless(path.stem)
    stem, number = wanted, 1
    while stem.casefold() in used:
        number += 1
        stem = f"{wanted}-{number}"
    used.add(stem.casefold())
    why = "converted" if photo.convert else "copied"
    if stem != path.stem:
        why += ", renamed: " + ("the name was taken" if number > 1 else "not every system can write the name")
    suffix = photo.suffix if photo.suffix in IMAGE_SUFFIXES else ".jpg"
    if kind != "good":
        names[path] = f"{kind}/{stem}"
    needed = photo.bytes * (GROWS if photo.convert else 1)
    plan.items.append(Item(path, f"{kind}/{stem}{suffix}", why, photo.content, needed, photo.convert))


def _add_masks(
    plan: PhotoPlan, folder: Path, names: dict[Path, str], kinds: dict[str, list[Path]], seen: dict[Path, Photo]
) -> None:
    """Find the mask of each bad photo, and check it: a folder of which the library refuses the masks helps nobody."""
    by_name: dict[tuple[str, str], Path] = {("", stem_of(path)): path for path in list_images(folder)}
    for inside in visible_folders(folder):
        by_name |= {(kind_name(inside.name).casefold(), stem_of(path)): path for path in list_images(inside)}
    wrong, used = [], set()
    for kind, of_kind in kinds.items():
        for path in of_kind if kind != "good" else ():
            if path not in names:
                continue
            stems = [stem_of(path) + ending for ending in ("_mask", "", *MASK_ENDINGS[1:])]
            places = [(kind.casefold(), stem) for stem in stems] + [("", stem) for stem in stems]
            mask = next((by_name[place] for place in places if place in by_name), None)
            if mask is None:
                wrong.append(f"{path.name} ({kind}) has none")
                continue
            if mask in used:
                wrong.append(f"{mask.name} would be that of two photos")
                continue
            used.add(mask)
            try:
                if not read_mask(mask, expect=seen[path].size).any():
                    raise DataError(f"{mask} is all black; draw the defect in white")
            except DataError as error:
                wrong.append(str(error))
                continue
            to = f"masks/{names[path]}_mask{mask.suffix.lower()}"
            plan.items.append(Item(mask, to, "mask, copied", digest_of(mask).hex()[:32], mask.stat().st_size))
    if wrong:
        raise DataError(
            f"masks in {folder}: {listed(wrong, 3)}. With masks, each bad photo needs one in its own size: add or mend "
            "them, or work without masks"
        )
    for path in by_name.values():
        if path not in used:
            plan.left_out.append((str(path), "a mask of no bad photo: its name must be that of the photo"))


# ------------------------------------------------------------------------------------------------ into the place


def _copy(folder: Path, item: Item) -> None:
    """Copy or convert one file."""
    with whole_file(folder / item.to, "wb") as file:
        if item.convert:
            write_converted(item.source, file)
        else:
            with item.source.open("rb") as source:
                shutil.copyfileobj(source, file, 2**20)


def _check_read(made: Path, out: Path) -> None:
    """The library has the last word on whether it can read what was made."""
    try:
        AnomalyFolder(made)
    except DataError as error:
        raise DataError(str(error).replace(str(made), str(out))) from error


def _check_same(plan: PhotoPlan) -> None:
    """Whether a folder that exists is what would be made."""
    lines: list[dict[str, str]] = []
    if os.path.isfile(plan.out / TABLE):
        with (plan.out / TABLE).open(newline="", encoding="utf-8", errors="replace") as file:
            lines = list(csv.DictReader(file))
    there = {(line.get("file") or "", line.get("content") or "") for line in lines} - {("", "")}
    whole = all(os.path.isfile(plan.out / item.to) for item in plan.items)
    if not whole or there != {(cell(item.to), item.content) for item in plan.items}:
        raise DataError(
            f"{plan.out} exists and holds something else, or other photos; nothing was changed. Take another folder, "
            "or move that one away"
        )


def _empty(folder: Path) -> bool:
    return os.path.isdir(folder) and not os.listdir(folder)


def _told(plan: PhotoPlan, already: bool = False) -> Photos:
    images = [item for item in plan.items if not item.to.startswith("masks/")]
    counts = Counter(item.to.partition("/")[0] for item in images)
    renamed = [(item.to, item.source.name) for item in images if "renamed" in item.why]
    converted = sum(item.convert for item in images)
    return Photos(plan.out, dict(counts), len(plan.items) - len(images), converted, renamed, plan.left_out, already)
