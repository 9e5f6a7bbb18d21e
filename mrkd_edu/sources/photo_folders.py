"""Which photos lie in somebody's folders, of which kind they are, and names that every system can write."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from mrkd_edu.data.files import DataError, no_folder
from mrkd_edu.data.images import list_images, natural_key
from mrkd_edu.data.layouts import (
    GOOD_NAMES,
    LITTER,
    MASK_ENDINGS,
    MASK_NAMES,
    NO_KIND,
    TWIN_NAMES,
    stem_of,
    visible_folders,
)
from mrkd_edu.inspection.inventory import PHONE_SUFFIXES, UNREAD_SUFFIXES
from mrkd_edu.runtime.names import DEVICES, ODD

ONE_KIND = "defect"  # of bad photos that lie flat in their folder
LONGEST = 80  # signs of a name; the rest is cut off
NOT_ON_WINDOWS = re.compile(r'[<>:"/\\|?*]')
MASK_BESIDE = "looks like the mask of the photo beside it: give masks as a folder of their own"
TABLE = "photos.csv"
LeftOut = list[tuple[str, str]]  # a file, and why it is not taken


def harmless(name: str) -> str:
    """A name, without suffix, that every system can write.

    Example:
        >>> harmless("crack: 3/4?"), harmless("con"), harmless(" .hidden. ")
        ('crack_ 3_4_', 'con_', 'hidden')
    """
    name = ODD.sub("_", NOT_ON_WINDOWS.sub("_", unicodedata.normalize("NFC", name)))
    name = name.strip(" .").lstrip("~")[:LONGEST].strip(" .") or "photo"
    return f"{name}_" if DEVICES.fullmatch(name) else name


def check_folders(good: Path, out: Path, bad: Path | None, masks: Path | None) -> None:
    """Refuse folders that do not exist, that are given twice, or in which the new one would lie."""
    for what, folder in (("good", good), ("bad", bad), ("masks", masks)):
        if folder is not None and not os.path.isdir(folder):
            raise DataError(no_folder(folder, f"give the folder of the photos ({what})"))
    given = [Path(os.path.realpath(folder)) for folder in (good, bad, masks) if folder is not None]
    if len(set(given)) < len(given):
        raise DataError(f"{good} is given twice; good photos, bad ones and masks must lie in folders of their own")
    place = Path(os.path.realpath(out))
    for folder in given:
        if place == folder or folder in place.parents:
            raise DataError(f"{out} lies among your photos ({folder}), which stay as they are; take one beside them")


def photos_in(
    left_out: LeftOut, folder: Path, except_for: Sequence[Path | None] = (), deep: bool = True
) -> list[Path]:
    """The photos directly in a folder; whatever else lies there is left out by name."""
    found = list_images(folder)
    kept = {path.name for path in found}
    for path in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        if path.name.startswith(".") or path.name in (*LITTER, TABLE) or path.name in kept:
            continue
        suffix = path.suffix.lower()
        if os.path.isdir(path):
            same = [other for other in except_for if other and os.path.realpath(other) == os.path.realpath(path)]
            if deep and not same and not path.name.startswith("__"):
                left_out.append((str(path), "a folder inside; its photos are not taken, give that folder itself"))
        elif suffix in PHONE_SUFFIXES:
            found.append(path)
        elif suffix in UNREAD_SUFFIXES:
            left_out.append((str(path), f"{suffix} is not read here: save it as JPEG or PNG"))
        else:
            left_out.append((str(path), "no photo"))
    stems = {stem_of(path) for path in found}
    for path in list(found):
        if any(stem_of(path).endswith(e) and stem_of(path).removesuffix(e) in stems for e in MASK_ENDINGS):
            found.remove(path)
            left_out.append((str(path), MASK_BESIDE))
    return sorted(found, key=lambda path: natural_key(path.name))


def kinds_of(left_out: LeftOut, bad: Path, masks: Path | None) -> dict[str, list[Path]]:
    """The bad photos by kind."""
    kinds: dict[str, list[Path]] = {}
    if flat := photos_in(left_out, bad, deep=False):
        kinds[ONE_KIND] = flat
    for folder in visible_folders(bad):
        if masks is not None and os.path.realpath(folder) == os.path.realpath(masks):
            continue
        if folder.name.casefold() in MASK_NAMES + TWIN_NAMES:
            left_out.append((str(folder), "no kind of defect by its name; give masks as a folder of their own"))
            continue
        kind = kind_name(folder.name)
        known = next((name for name in kinds if name.casefold() == kind.casefold()), kind)
        kinds[known] = kinds.get(known, []) + photos_in(left_out, folder)
    return {kind: paths for kind, paths in kinds.items() if paths}


def kind_name(name: str) -> str:
    """The folder of a kind: a name that the layout has no other use for."""
    name = harmless(name)
    taken = name.casefold() in GOOD_NAMES + NO_KIND + MASK_NAMES + TWIN_NAMES
    return f"{name}_{ONE_KIND}" if taken or name.startswith("__") else name
