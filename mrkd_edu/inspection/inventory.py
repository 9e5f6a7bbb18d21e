"""What lies in the folder of a category, and what each file is taken for. Nothing here raises.

The rules are those of `data.layouts`, which `AnomalyFolder` follows. It stops at the first thing that is wrong; this
goes on and says what is wrong with the rest as well.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mrkd_edu.data.files import DataError
from mrkd_edu.data.images import IMAGE_SUFFIXES, list_images, natural_key
from mrkd_edu.data.layouts import (
    GOOD_NAMES,
    LITTER,
    MASK_ENDINGS,
    MASK_NAMES,
    NO_KIND,
    RECORDS,
    TEST_EVERY,
    TWIN_NAMES,
    Sample,
    is_ours,
    listed,
    stem_of,
    visible_folders,
)

PHONE_SUFFIXES = (".heic", ".heif", ".hif", ".avif")
RAW_SUFFIXES = (".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw")  # of cameras
UNREAD_SUFFIXES = (*PHONE_SUFFIXES, *RAW_SUFFIXES, ".gif", ".jp2", ".jxl", ".psd", ".svg", ".npy")
IGNORED = (*LITTER, ".DS_Store", *RECORDS)
OF_NO_KIND = "in a folder that is no part of the layout"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: which sort of thing; equal for equal things.
        severity: `"error"`: training or evaluation is refused, or worth nothing; `"warning"`; `"note"`.
        file: what it is about, relative to the category; `""` is the category as a whole.
        text: a sentence with a cure.
        others: further files that it is about.
    """

    code: str
    severity: str
    file: str
    text: str
    others: tuple[str, ...] = ()


@dataclass
class Inventory:
    """What lies in a category.

    Attributes:
        root: its folder.
        layout: `"MVTec AD"`, `"plain"`, `"only images"` or `"none"`.
        train: normal images to learn from.
        test: images to test on; `mask` is set where there is one.
        masks: masks by kind, all that there are.
        left_out: files that are not used: (what, where, why) and how many.
        problems: what is wrong with the folders.
    """

    root: Path
    layout: str = "none"
    train: list[Sample] = field(default_factory=list)
    test: list[Sample] = field(default_factory=list)
    masks: dict[str, list[Path]] = field(default_factory=dict)
    twins: list[Path] = field(default_factory=list)
    left_out: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def name(self, path: Path) -> str:
        """A file's name inside the category."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return str(path)

    def complain(self, code: str, severity: str, about: Path | None, text: str, *others: Path) -> None:
        """One problem more."""
        file = "" if about is None else self.name(about)
        self.problems.append(Problem(code, severity, file, text, tuple(self.name(path) for path in others)))


def take_stock(root: Path) -> Inventory:
    """List a category.

    Args:
        root: a folder that exists.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("good/0.png", "good/1.png", "good/2.heic", "scratch/0.png"):
        ...         Path(folder, name).parent.mkdir(exist_ok=True)
        ...         Path(folder, name).touch()
        ...     stock = take_stock(Path(folder))
        >>> stock.layout, len(stock.train), len(stock.test), [what for what, _, _ in stock.left_out]
        ('plain', 2, 1, ['.heic'])
    """
    stock = Inventory(root)
    train, test, good = (_the(stock, root, names) for names in (("train",), ("test",), GOOD_NAMES))
    if train or test:
        stock.layout = "MVTec AD"
        _mvtec(stock, train, test)
    elif good:
        stock.layout = "plain"
        _plain(stock, good)
    else:
        images = _images(stock, root)
        stock.layout = "only images" if images else "none"
        stock.train = [Sample(path, 0, "good") for path in images]
        if others := [folder.name for folder in _folders(stock, root) if not images or _images(stock, folder)]:
            stock.complain(
                "no-good", "error", None,
                f"there is no folder of normal images, only {listed(others)}; call the folder of the normal images "
                "good/ (the others are then kinds of defect), or move the other folders away",
            )  # fmt: skip
        elif not images:
            stock.complain("no-images", "error", None, "there are no images; put the normal ones into good/")
    _masks(stock)
    _look_like_masks(stock)
    _left_out(stock)
    return stock


def _mvtec(stock: Inventory, train: Path | None, test: Path | None) -> None:
    good = _the(stock, train, GOOD_NAMES) if train else None
    if good is None:
        text = "there is no train/good; put the normal training images there"
        stock.complain("no-training-images", "error", stock.root / "train/good", text)
    else:
        stock.train = _kind(stock, good, "good")
    if test is None:
        return
    good = _the(stock, test, GOOD_NAMES)
    stock.test = _kind(stock, good, "good") if good else []
    for folder in _folders(stock, test):
        if folder.name.casefold() in MASK_NAMES + TWIN_NAMES:
            text = "it would be taken for a kind of defect; masks belong in ground_truth/<kind>/, twins in twins/"
            stock.complain("masks-in-test", "error", folder, text)
        elif folder != good and not is_ours(folder):
            stock.test += _kind(stock, folder, folder.name)
    if not stock.test and (loose := _images(stock, test)):
        text = f"{len(loose)} images lie in it without a kind; sort them into good/ and <defect>/"
        stock.complain("no-kind", "error", test, text)


def _plain(stock: Inventory, good: Path) -> None:
    normal = _kind(stock, good, "good")
    defective = []
    for folder in _folders(stock, stock.root):
        if folder == good or is_ours(folder) or folder.name.casefold() in MASK_NAMES + TWIN_NAMES:
            continue
        if folder.name.casefold() in NO_KIND:
            text = "is it a kind of defect? Every folder beside good/ is: give it the defect's name, or move it away"
            stock.complain("no-kind", "error", folder, text)
        elif folder.name.casefold() not in GOOD_NAMES:
            defective += _kind(stock, folder, folder.name)
            stock.layout = "plain"
    if defective:
        held_out = normal[TEST_EVERY - 1 :: TEST_EVERY]
        stock.train = [sample for i, sample in enumerate(normal) if i % TEST_EVERY != TEST_EVERY - 1]
        stock.test = held_out + defective
    else:
        stock.train = normal


def _kind(stock: Inventory, folder: Path, kind: str) -> list[Sample]:
    images = _images(stock, folder)
    if not images:
        text = f"it holds no images; put some directly into it ({', '.join(IMAGE_SUFFIXES)}), or move the folder away"
        stock.complain("empty-folder", "error", folder, text)
    return [Sample(path, int(kind != "good"), kind) for path in images]


def _masks(stock: Inventory) -> None:
    """Find the masks, and give each defective image its own."""
    folder = _the(stock, stock.root, MASK_NAMES)
    if twins := _the(stock, stock.root, TWIN_NAMES):
        stock.twins = [path for kind in _folders(stock, twins) for path in _images(stock, kind)]
    if folder is None:
        return
    kinds = {sample.kind.casefold(): sample.kind for sample in stock.test if sample.label}
    if flat := _images(stock, folder):
        text = f"{len(flat)} masks lie directly in it, where no image finds its own; put each into <kind>/"
        stock.complain("masks-of-no-kind", "error", folder, text, *flat)
    by_name: dict[tuple[str, str], Path] = {}
    for inside in _folders(stock, folder):
        kind = kinds.get(inside.name.casefold(), inside.name)
        stock.masks[kind] = _images(stock, inside)
        for path in stock.masks[kind]:
            _same_name(stock, by_name, kind, path)
    used: set[Path] = set()
    images: dict[tuple[str, str], Path] = {}
    for i, sample in enumerate(stock.test):
        if not sample.label:
            continue
        _same_name(stock, images, sample.kind, sample.path)
        stem = stem_of(sample.path)
        mask = by_name.get((sample.kind, f"{stem}_mask")) or by_name.get((sample.kind, stem))
        if mask:
            used.add(mask)
            stock.test[i] = Sample(sample.path, 1, sample.kind, mask)
    for path in (path for paths in stock.masks.values() for path in paths if path not in used):
        text = "there is no defective image of that name and kind; correct its name or its folder, or delete it"
        stock.complain("mask-of-no-image", "warning", path, text)


def _same_name(stock: Inventory, known: dict[tuple[str, str], Path], kind: str, path: Path) -> None:
    if (other := known.setdefault((kind, stem_of(path)), path)) is not path:
        text = f"{other.name} has the same name without suffix: one cannot tell which mask belongs to which; rename one"
        stock.complain("same-name", "error", path, text, other)


def _look_like_masks(stock: Inventory) -> None:
    """Masks beside their images, which would be taken for images."""
    stems = {(sample.path.parent, stem_of(sample.path)) for sample in stock.train + stock.test}
    for sample in stock.train + stock.test:
        stem = stem_of(sample.path)
        if any(stem.endswith(e) and (sample.path.parent, stem.removesuffix(e)) in stems for e in MASK_ENDINGS):
            text = "it looks like the mask of the image beside it; move it into masks/<kind>/ (or ground_truth/<kind>/)"
            stock.complain("mask-beside-image", "error", sample.path, text)


def _left_out(stock: Inventory) -> None:
    """Everything below the category that is not used, and why."""
    used = {path for s in stock.train + stock.test for path in (s.path, s.mask) if path} | set(stock.twins)
    used |= {path for paths in stock.masks.values() for path in paths}
    homes = {path.parent for path in used}
    for place, folders, files in os.walk(stock.root):
        folder = Path(place)
        folders.sort(key=natural_key)
        where = "" if folder == stock.root else folder.relative_to(stock.root).as_posix()
        for name in list(folders):
            if name.startswith((".", "__")) or is_ours(folder / name):
                folders.remove(name)
                if name not in ("__MACOSX", "__pycache__"):
                    why = "hidden" if name.startswith((".", "__")) else "written by this program"
                    stock.left_out[f"{name}/", where, why] += 1
        for name in files:
            if folder / name in used or name in IGNORED or name.startswith("._"):
                continue
            suffix = Path(name).suffix.lower()
            if name.startswith((".", "__")):
                why = "hidden"
            elif suffix in PHONE_SUFFIXES:
                why = "of a format that is not read here: save it as JPEG or PNG (`mrkd-edu data photos` does)"
            elif suffix in UNREAD_SUFFIXES:
                why = "of a format that is not read here: save it as JPEG or PNG"
            elif suffix not in IMAGE_SUFFIXES:
                why = "no image"
            elif folder.parent in homes and folder not in homes:
                why = "in a folder inside a folder of images, which is not searched"
            else:
                why = OF_NO_KIND
            stock.left_out[suffix or "without a suffix", where, why] += 1
    pictures = {key: n for key, n in stock.left_out.items() if key[0] in (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)}
    if pictures:
        what = listed([f"{n} x {what} in {where or 'the folder itself'}" for (what, where, _), n in pictures.items()])
        text = f"pictures that are not used: {what}. Move them to where they belong, or away"
        stock.complain("left-out", "warning", None, text)


def _the(stock: Inventory, parent: Path, names: tuple[str, ...]) -> Path | None:
    """The subfolder with one of these names."""
    found = [folder for folder in _folders(stock, parent) if folder.name.casefold() in names]
    for other in found[1:]:
        text = f"it means the same as {found[0].name}; put their files into one folder"
        if not any(problem.file == stock.name(other) and problem.code == "same-folder" for problem in stock.problems):
            stock.complain("same-folder", "error", other, text)
    return found[0] if found else None


def _folders(stock: Inventory, folder: Path) -> list[Path]:
    return _listing(visible_folders, stock, folder)


def _images(stock: Inventory, folder: Path) -> list[Path]:
    return _listing(list_images, stock, folder)


def _listing(how: Callable[[Path], list[Path]], stock: Inventory, folder: Path) -> list[Path]:
    """What lies in a folder; one that cannot be opened is said once."""
    try:
        return how(folder)
    except DataError as error:
        if not any(p.code == "closed-folder" and p.file == stock.name(folder) for p in stock.problems):
            stock.complain("closed-folder", "error", folder, str(error))
        return []
