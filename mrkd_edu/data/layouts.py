"""Which folder means what: the layout of MVTec AD, the plain one, and images alone."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mrkd_edu.data.files import DataError, as_path, entries, no_folder
from mrkd_edu.data.images import IMAGE_SUFFIXES, list_images, natural_key

GOOD_NAMES = ("good", "ok", "normal")
MASK_NAMES = ("ground_truth", "masks", "mask", "groundtruth", "gt", "labels", "label", "annotations")
TWIN_NAMES = ("twins",)
NO_KIND = (  # beside good/, these may be anything: a kind of defect of such a name has to be renamed
    *("images", "image", "raw", "all", "unsorted", "unlabeled", "unlabelled", "train", "val", "background"),
    *("output", "outputs", "out", "heatmaps", "maps", "segmentation", "seg"),
)
OURS = ("scores.csv", "results.csv", "theatre.csv", "report.html", "model.json", "leakage_kinds.png")  # what we leave
MASK_ENDINGS = ("_mask", "_gt", "_label", "_seg")
LITTER = ("Thumbs.db", "desktop.ini")  # what a file browser leaves behind, besides hidden files
RECORDS = ("toy.json", "photos.csv", "source.json")  # what this program writes beside images
TEST_EVERY = 5  # plain layout: of the normal images 1 to 5, 6 to 10, ... the last one is a test image


@dataclass(frozen=True)
class Sample:
    """One image of a data set.

    Attributes:
        path: The image file.
        label: 0 normal, 1 defective.
        kind: `"good"`, or the name of the defect's folder.
        mask: The ground-truth mask file, if there is one.
        twin: The file of the same picture without its defect, if there is one.
    """

    path: Path
    label: int
    kind: str
    mask: Path | None = None
    twin: Path | None = None


def find_categories(root: str | Path) -> list[Path]:
    """The categories that a folder holds.

    Args:
        root: A category, or a folder of several categories such as the unpacked MVTec AD.

    Returns:
        `[root]` if it is a category itself (it has a folder `train`, `test` or `good`), else those of its
        subfolders that are, in natural order. With neither, `[root]` if it holds images, else an empty list.

    Raises:
        DataError: `root` is not a folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name in ("bottle/train/good", "cable/train/good", "notes"):
        ...         Path(root, name).mkdir(parents=True)
        ...     [path.name for path in find_categories(root)]
        ['bottle', 'cable']
    """
    root = as_path(root)
    if not os.path.isdir(root):
        raise DataError(no_folder(root, "give a category or the folder that holds the categories"))
    if _is_category(root):
        return [root]
    inside = [folder for folder in visible_folders(root) if _is_category(folder)]
    return inside or ([root] if list_images(root) else [])


def _is_category(folder: Path) -> bool:
    """Whether a folder is meant as a category; what may be missing in it, `AnomalyFolder` says."""
    return any(find(folder, names) for names in (("train",), ("test",), GOOD_NAMES))


def read_mvtec(root: Path) -> tuple[list[Sample], list[Sample]]:
    train_folder, test_folder = find(root, ("train",)), find(root, ("test",))
    good = find(train_folder, GOOD_NAMES) if train_folder else None
    if good is None:
        raise DataError(f"{root} has no train/good; put the normal training images there")
    train = _samples(good)
    if test_folder is None:
        return train, []
    good = find(test_folder, GOOD_NAMES)
    defects = [folder for folder in visible_folders(test_folder) if folder != good and not is_ours(folder)]
    if stray := [folder for folder in defects if folder.name.casefold() in MASK_NAMES + TWIN_NAMES]:
        raise DataError(
            f"{stray[0]} would be tested as a kind of defect; masks belong in {root / 'ground_truth'}/<kind>/, twins "
            f"in {root / 'twins'}/<kind>/"
        )
    if good is None and not defects and list_images(test_folder):
        raise DataError(f"the images in {test_folder} have no kind; sort them into good/ and <defect>/")
    normal = _samples(good) if good else []
    return train, normal + [sample for folder in defects for sample in _samples(folder, folder.name)]


def read_plain(root: Path, good: Path) -> tuple[list[Sample], list[Sample]]:
    normal = _samples(good)
    others = [folder for folder in visible_folders(root) if folder != good and not is_ours(folder)]
    defects = [folder for folder in others if folder.name.casefold() not in MASK_NAMES + TWIN_NAMES]
    for folder in defects:
        if folder.name.casefold() in NO_KIND:
            raise DataError(
                f"is {folder} a kind of defect? Every folder beside {good.name}/ is one; give it the name of the "
                "defect, or move it away"
            )
    if not defects:
        return normal, []
    held_out = normal[TEST_EVERY - 1 :: TEST_EVERY]
    train = [sample for i, sample in enumerate(normal) if i % TEST_EVERY != TEST_EVERY - 1]
    return train, held_out + [sample for folder in defects for sample in _samples(folder, folder.name)]


def is_ours(folder: Path) -> bool:
    """Whether a folder is one that this program has written: predictions, a report, a model. Never a kind of defect."""
    return any(os.path.isfile(folder / name) for name in OURS)


def read_images_only(root: Path) -> list[Sample]:
    found = find_categories(root)
    if found and found != [root]:
        names = ", ".join(folder.name for folder in found)
        raise DataError(f"{root} is not a category, but holds some ({names}); name one of them, such as {found[0]}")
    folders = [folder.name for folder in visible_folders(root) if not found or list_images(folder)]
    if folders:
        raise DataError(
            f"{root} has no folder of normal images, only {listed(folders)}; put the normal images into "
            f"{root / 'good'} (the other folders are then kinds of defect), or move the other folders away"
        )
    return _samples(root)


def _samples(folder: Path, kind: str = "good") -> list[Sample]:
    """The images in a folder, of which there must be at least one."""
    paths = list_images(folder)
    if not paths:
        if os.path.isfile(folder / "model.json"):
            raise DataError(f"{folder} holds a trained model, no images; are two folders given in the wrong order?")
        others = Counter(path.suffix.lower() for path in entries(folder) if os.path.isfile(path) and path.suffix)
        found = listed([f"{count} x {suffix}" for suffix, count in others.items()])
        raise DataError(
            f"{folder} holds no images{f' (it has {found})' if found else ''}; put images directly into it "
            f"({', '.join(IMAGE_SUFFIXES)}), or move the folder away"
        )
    stems = {stem_of(path) for path in paths}
    for path in paths:
        for ending in MASK_ENDINGS:
            if stem_of(path).endswith(ending) and stem_of(path).removesuffix(ending) in stems:
                raise DataError(
                    f"{path} looks like the mask of the image beside it, and would be taken for an image; move masks "
                    f"into a folder ground_truth/{kind}/ (or masks/{kind}/) beside the images' folders"
                )
    return [Sample(path, int(kind != "good"), kind) for path in paths]


def visible_folders(folder: Path) -> list[Path]:
    """Folders directly in a folder, in natural order, without hidden ones and a zip file's `__MACOSX`."""
    found = [path for path in entries(folder) if not path.name.startswith((".", "__")) and os.path.isdir(path)]
    return sorted(found, key=lambda path: natural_key(path.name))


def find(parent: Path, names: tuple[str, ...]) -> Path | None:
    """The one subfolder with one of these names, in upper or lower case."""
    wanted = [name.casefold() for name in names]
    found = [folder for folder in visible_folders(parent) if folder.name.casefold() in wanted]
    if len(found) > 1:
        raise DataError(f"{found[0]} and {found[1].name} mean the same; put their files into one folder")
    return found[0] if found else None


def listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def stem_of(path: Path) -> str:
    """A name without suffix, in lower case. Umlauts in one piece or in two (as a Mac writes them) are the same."""
    return unicodedata.normalize("NFC", path.stem).casefold()
