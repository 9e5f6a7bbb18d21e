"""A data set on disk: which images are normal, which are defective, and where their masks are.

`AnomalyFolder` understands three layouts. In each of them `ok` and `normal` may stand for `good`:

    MVTec                              plain                         only images
    bottle/                            my_parts/                     my_parts/
      train/good/000.png                 good/a.jpg                    a.jpg
      test/good/000.png                  scratch/b.jpg                 b.jpg
      test/crack/000.png                 dent/c.jpg
      ground_truth/crack/000_mask.png    masks/scratch/b.png
      twins/crack/000.png

Masks (in `ground_truth/` or `masks/`) and twins are optional. A twin is the same picture without its defect.
This file finds and checks files; `images.py` reads them.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mrkd_edu.data.files import DataError, as_path, check_file, entries, no_folder
from mrkd_edu.data.images import (
    IMAGE_SUFFIXES,
    ImageStack,
    image_size,
    list_images,
    natural_key,
    read_mask,
    refuse_dark_16_bits,
)
from mrkd_edu.runtime.names import tell

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


class AnomalyFolder:
    """The images of one category: normal ones to train on, normal and defective ones to test on.

    Building it lists the folders and reads the header of each file, so that most of what can be wrong is
    found before a training, not after it. In the plain layout every fifth normal image, in natural order of
    the names, goes to the test set: of n normal images n // 5 are for testing (none of fewer than 5) and the
    others for training. With `good/` alone, or only images, there is no test set and all are for training.

    Args:
        root: The category's folder, in one of the layouts above.

    Attributes:
        root (Path): The category's folder.
        name (str): Its name.
        train (list[Sample]): The normal images to train on.
        test (list[Sample]): The test images: good ones first, then one kind of defect after the other.
        kinds (list[str]): The kinds of defect.
        has_masks (bool): Every defective test image has a mask, and there is at least one.
        has_twins (bool): There are masks, and at least one defective test image has a twin.

    Raises:
        DataError: No such layout, no training images, an empty folder, a broken file, masks for some
            defective images but not for others, masks outside their kind's folder, or a mask or twin of
            another size than its image.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     for name in ("good/0.png", "good/1.png", "scratch/0.png"):
        ...         path = Path(parent, "washer", name)
        ...         path.parent.mkdir(parents=True, exist_ok=True)
        ...         Image.new("RGB", (32, 32)).save(path)
        ...     data = AnomalyFolder(f"{parent}/washer")
        ...     print(data.summary())
        washer
          train  good       2
          test   scratch    1  no mask
    """

    def __init__(self, root: str | Path) -> None:
        self.root = as_path(root)
        self._told = False
        self.name = Path(os.path.abspath(self.root)).name  # not resolved: a link has a name of its own
        if not os.path.isdir(self.root):
            raise DataError(no_folder(self.root, "give the folder of one category of images"))
        self.train: list[Sample]
        self.test: list[Sample]
        if _find(self.root, ("train",)) or _find(self.root, ("test",)):
            self.train, self.test = _read_mvtec(self.root)
        elif good := _find(self.root, GOOD_NAMES):
            self.train, self.test = _read_plain(self.root, good)
        else:
            self.train, self.test = _read_images_only(self.root), []
        self.kinds = list(dict.fromkeys(sample.kind for sample in self.test if sample.label))

        mask_folder = _find(self.root, MASK_NAMES)
        twin_folder = _find(self.root, TWIN_NAMES)
        self.test = _with_masks_and_twins(self.test, mask_folder, twin_folder)

        defective = [sample for sample in self.test if sample.label]
        unmasked = [sample for sample in defective if sample.mask is None]
        self.has_masks = bool(defective) and not unmasked
        self.has_twins = self.has_masks and any(sample.twin for sample in defective)
        if unmasked and mask_folder is not None and (flat := list_images(mask_folder)):
            raise DataError(_masks_of_no_kind(mask_folder, flat, unmasked[0]))
        if unmasked and mask_folder is not None and visible_folders(mask_folder):
            raise DataError(_missing_masks(self.root, mask_folder, unmasked, len(defective)))
        self._check_headers()
        self._check_scale()

    # -------------------------------------------------------------------------------------------- the images

    def train_images(self, size: int) -> ImageStack:
        """The training images, `(N, 3, size, size)`, decoded on demand."""
        return ImageStack([sample.path for sample in self.train], size)

    def test_images(self, size: int) -> ImageStack:
        """The test images, `(N, 3, size, size)`, decoded on demand."""
        return ImageStack([sample.path for sample in self.test], size)

    @property
    def test_labels(self) -> np.ndarray:
        """0 for a normal, 1 for a defective test image, `int64` of shape `(N,)`."""
        return np.array([sample.label for sample in self.test], dtype=np.int64)

    def test_masks(self, size: int) -> np.ndarray:
        """The ground truth of all test images.

        Args:
            size: Side of the square that every mask is resized to, in pixels.

        Returns:
            `bool` of shape `(N, size, size)`, True on defects; all False for normal images.

        Raises:
            DataError: There are no masks (see `has_masks`), or the mask of a defective image is empty.
        """
        if not self.has_masks:
            raise DataError(self._why_no_masks())
        defective = [i for i, sample in enumerate(self.test) if sample.label]
        masks = np.zeros((len(self.test), size, size), dtype=bool)
        masks[defective] = _read_defect_masks([self.test[i] for i in defective], size)
        return masks

    def twin_pairs(self, size: int) -> tuple[ImageStack, ImageStack, np.ndarray]:
        """Every defective test image that has a twin, together with it.

        Args:
            size: Side of the square that images and masks are resized to, in pixels.

        Returns:
            The normal twins `(N, 3, size, size)`, the defective images `(N, 3, size, size)` in the same
            order, and the masks, `bool` of shape `(N, size, size)`.

        Raises:
            DataError: There are no such pairs (see `has_twins`).
        """
        if not self.has_twins:
            raise DataError(
                f"{self.root} has no twins of its defective images, or no masks for them. A twin is the same picture "
                "without its defect; put twins in twins/<kind>/ under the names of the test images"
            )
        pairs = [(sample, sample.twin) for sample in self.test if sample.twin is not None]
        normal = ImageStack([twin for _, twin in pairs], size)
        defective = ImageStack([sample.path for sample, _ in pairs], size)
        masks = _read_defect_masks([sample for sample, _ in pairs], size)  # (N, size, size)
        return normal, defective, masks

    # -------------------------------------------------------------------------------------------- what it is

    def fingerprint(self, part: Literal["all", "train"] = "all") -> str:
        """A hash over the name and content of every file that is used, or of the training images alone.

        It is the same for a copy of the folder elsewhere and changes with any pixel, name or added file.

        Returns:
            32 hexadecimal digits (BLAKE2b, 16 bytes).
        """
        total = hashlib.blake2b(digest_size=16)
        files = {path.relative_to(self.root).as_posix(): path for path in self._files(part)}
        for name, path in sorted(files.items()):
            total.update(name.encode(errors="surrogateescape") + b"\0")
            total.update(_digest(path))
        return total.hexdigest()

    def taken(self) -> str:
        """What was taken for what, in a sentence or two, and what was left out.

        Example:
            >>> import tempfile
            >>> from PIL import Image
            >>> with tempfile.TemporaryDirectory() as parent:
            ...     for name in ("good/0.png", "good/1.png", "good/2.heic", "scratch/0.png"):
            ...         path = Path(parent, "washer", name)
            ...         path.parent.mkdir(parents=True, exist_ok=True)
            ...         Image.new("RGB", (32, 32)).save(path, "PNG")
            ...     for sentence in AnomalyFolder(f"{parent}/washer").taken().split(". "):
            ...         print(sentence)
            washer: 2 normal images to learn from; to test, 0 normal and 1 defective (scratch 1), no masks
            Left out: 1 x .heic in good/.
        """
        defective = Counter(sample.kind for sample in self.test if sample.label)
        text = f"{self.name}: {len(self.train)} normal {'image' if len(self.train) == 1 else 'images'} to learn from"
        if self.test:
            kinds = ", ".join(f"{kind} {count}" for kind, count in defective.items())
            masks = "with masks" if self.has_masks else "no masks"
            text += f"; to test, {len(self.test) - defective.total()} normal and {defective.total()} defective"
            text += f" ({kinds}), {masks}" if kinds else ""
        left_out = self.left_out()
        return f"{text}." + (f" Left out: {_listed(left_out, 8)}." if left_out else "")

    def left_out(self) -> list[str]:
        """What lies in the folders that were read and was not used, counted."""
        used = set(self._files())
        folders = {path.parent for path in used} | {self.root}
        folders |= {folder for name in ("train", "test") if (folder := _find(self.root, (name,)))}
        parents = {parent for folder in folders for parent in folder.parents}
        found: Counter[str] = Counter()
        for folder in sorted(folders):
            where = "" if folder == self.root else f" in {folder.relative_to(self.root).as_posix()}/"
            for path in sorted(entries(folder)):
                if path.name.startswith((".", "__")) or path.name in (*LITTER, "toy.json") or path in used:
                    continue
                if os.path.isdir(path):
                    if path not in folders | parents:
                        ours = " (written by this program)" if is_ours(path) else ""
                        found[f"folder {path.relative_to(self.root).as_posix()}/{ours}"] += 1
                else:
                    found[f"{path.suffix.lower() or 'without a suffix'}{where}"] += 1
        return [f"{count} x {name}" if not name.startswith("folder") else name for name, count in found.items()]

    def repeated(self) -> list[Path]:
        """Test images that are training images as well, byte for byte. What is measured on them is worth nothing."""
        known = {_digest(sample.path) for sample in self.train}
        return [sample.path for sample in self.test if _digest(sample.path) in known]

    def tell_repeated(self) -> None:
        """Say so, once, where test images are training images as well."""
        again = [] if self._told else self.repeated()
        self._told = True
        if again:
            names = ", ".join(path.name for path in again[:5]) + (" ..." if len(again) > 5 else "")
            what = f"{self.name}: {len(again)} of {len(self.test)} test images are training images as well ({names})"
            tell(f"{what}: what is measured here is worth nothing. Take other images to test on.")

    def summary(self) -> str:
        """The number of images per split and kind, one per line."""
        rows = []
        for split, samples in (("train", self.train), ("test", self.test)):
            for kind, count in Counter(sample.kind for sample in samples).items():
                extras = "" if split == "train" or kind == "good" else self._extras(kind)
                rows.append((split, kind, count, extras))
        width = max(len(kind) for _, kind, _, _ in rows)
        lines = [f"  {split:<5}  {kind:<{width}}  {count:>4}{extras}" for split, kind, count, extras in rows]
        left_out = self.left_out()
        lines += [f"  left out: {_listed(left_out, 8)}"] if left_out else []
        return "\n".join([self.name, *lines])

    def __repr__(self) -> str:
        defective = int(self.test_labels.sum())
        left_out = self.left_out()
        return (
            f"AnomalyFolder({str(self.root)!r}: {len(self.train)} train, "
            f"{len(self.test) - defective} good + {defective} defective test"
            + (f", left out {_listed(left_out, 8)})" if left_out else ")")
        )

    def _extras(self, kind: str) -> str:
        twins = any(sample.twin for sample in self.test if sample.kind == kind)
        return ("  masks" if self.has_masks else "  no mask") + (", twins" if twins else "")

    def _files(self, part: Literal["all", "train"] = "all") -> Iterable[Path]:
        for sample in self.train if part == "train" else self.train + self.test:
            yield from (path for path in (sample.path, sample.mask, sample.twin) if path is not None)

    def _why_no_masks(self) -> str:
        if not any(sample.label for sample in self.test):
            return f"{self.root} has no defective images, and so no masks; put some in test/<kind of defect>/"
        return (
            f"{self.root} has no masks; for pixel metrics add ground_truth/<kind>/<image name>_mask.png "
            "(black where the image is normal, white on the defect)"
        )

    def _check_headers(self) -> None:
        for sample in self.train + self.test:
            height, width = image_size(sample.path)
            for what, path in (("mask", sample.mask), ("twin", sample.twin)):
                if path is not None and (other := image_size(path)) != (height, width):
                    raise DataError(
                        f"the {what} {path} is {other[0]} x {other[1]} pixels (height x width), its image "
                        f"{sample.path} {height} x {width}; save the {what} in the size of its image"
                    )

    def _check_scale(self) -> None:
        """Refuse a set of dark 16-bit pictures: they hold 12 bits or fewer, and would be learned nearly black."""
        for samples in (self.train, self.test):  # apart: they may come from two cameras
            refuse_dark_16_bits([sample.path for sample in samples], str(self.root))


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
    return any(_find(folder, names) for names in (("train",), ("test",), GOOD_NAMES))


# ----------------------------------------------------------------------------------------- the three layouts


def _read_mvtec(root: Path) -> tuple[list[Sample], list[Sample]]:
    train_folder, test_folder = _find(root, ("train",)), _find(root, ("test",))
    good = _find(train_folder, GOOD_NAMES) if train_folder else None
    if good is None:
        raise DataError(f"{root} has no train/good; put the normal training images there")
    train = _samples(good)
    if test_folder is None:
        return train, []
    good = _find(test_folder, GOOD_NAMES)
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


def _read_plain(root: Path, good: Path) -> tuple[list[Sample], list[Sample]]:
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


def _read_images_only(root: Path) -> list[Sample]:
    found = find_categories(root)
    if found and found != [root]:
        names = ", ".join(folder.name for folder in found)
        raise DataError(f"{root} is not a category, but holds some ({names}); name one of them, such as {found[0]}")
    folders = [folder.name for folder in visible_folders(root) if not found or list_images(folder)]
    if folders:
        raise DataError(
            f"{root} has no folder of normal images, only {_listed(folders)}; put the normal images into "
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
        found = _listed([f"{count} x {suffix}" for suffix, count in others.items()])
        raise DataError(
            f"{folder} holds no images{f' (it has {found})' if found else ''}; put images directly into it "
            f"({', '.join(IMAGE_SUFFIXES)}), or move the folder away"
        )
    stems = {_stem(path) for path in paths}
    for path in paths:
        for ending in MASK_ENDINGS:
            if _stem(path).endswith(ending) and _stem(path).removesuffix(ending) in stems:
                raise DataError(
                    f"{path} looks like the mask of the image beside it, and would be taken for an image; move masks "
                    f"into a folder ground_truth/{kind}/ (or masks/{kind}/) beside the images' folders"
                )
    return [Sample(path, int(kind != "good"), kind) for path in paths]


# ------------------------------------------------------------------------------------------- masks and twins


def _with_masks_and_twins(
    samples: list[Sample], mask_folder: Path | None, twin_folder: Path | None
) -> list[Sample]:
    kinds = {sample.kind for sample in samples if sample.label}
    if mask_folder is not None or twin_folder is not None:
        seen: dict[tuple[str, str], Path] = {}
        for sample in (s for s in samples if s.label):
            if (other := seen.setdefault((sample.kind, _stem(sample.path)), sample.path)) is not sample.path:
                raise DataError(_same_name(other, sample.path))
    masks = {kind: _by_stem(mask_folder, kind) for kind in kinds}
    twins = {kind: _by_stem(twin_folder, kind) for kind in kinds}
    found = []
    for sample in samples:
        if sample.label:
            stem = _stem(sample.path)
            mask = masks[sample.kind].get(f"{stem}_mask") or masks[sample.kind].get(stem)
            sample = replace(sample, mask=mask, twin=twins[sample.kind].get(stem))
        found.append(sample)
    return found


def _by_stem(folder: Path | None, kind: str) -> dict[str, Path]:
    """The images in `folder/kind` by their lower-case names without suffix."""
    kind_folder = _find(folder, (kind,)) if folder else None
    found: dict[str, Path] = {}
    for path in list_images(kind_folder) if kind_folder else []:
        if (other := found.setdefault(_stem(path), path)) is not path:
            raise DataError(_same_name(other, path))
    return found


def _stem(path: Path) -> str:
    """A name without suffix, in lower case. Umlauts in one piece or in two (as a Mac writes them) are the same."""
    return unicodedata.normalize("NFC", path.stem).casefold()


def _same_name(one: Path, other: Path) -> str:
    return (
        f"{one} and {other.name} have the same name without suffix, so that one cannot tell which belongs to what; "
        "rename one of them, or delete it"
    )


def _missing_masks(root: Path, mask_folder: Path, unmasked: list[Sample], defective: int) -> str:
    wanted = [f"{mask_folder.name}/{sample.kind}/{sample.path.stem}_mask.png" for sample in unmasked]
    return (
        f"no mask for {len(unmasked)} of the {defective} defective images of {root}. Add {_listed(wanted)}, "
        f"or move {mask_folder.name}/ away to work without masks"
    )


def _masks_of_no_kind(mask_folder: Path, flat: list[Path], example: Sample) -> str:
    return (
        f"{mask_folder} holds {_listed([path.name for path in flat])} directly, where no image finds its mask. "
        f"Put each mask into the folder of its kind of defect, {mask_folder.name}/<kind>/<image name>_mask.png; "
        f"the one of {example.path} is {mask_folder.name}/{example.kind}/{example.path.stem}_mask.png"
    )


def _digest(path: Path) -> bytes:
    """A hash of a file's content."""
    try:
        check_file(path)
        return hashlib.blake2b(path.read_bytes()).digest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); copy it again or delete it") from error


def _read_defect_masks(samples: list[Sample], size: int) -> np.ndarray:
    """The masks of defective images, (N, size, size) bool."""
    masks = np.stack([_read_defect_mask(sample, size) for sample in samples])
    mostly = [s.mask for s, mask in zip(samples, masks, strict=True) if mask.mean() > 0.5]
    if len(mostly) > len(samples) / 2:
        raise DataError(
            f"{len(mostly)} of {len(samples)} masks mark more than half of their image as defect, first {mostly[0]}; "
            "are they the other way round? A mask is black where the image is normal, white on the defect: invert them"
        )
    return masks


def _read_defect_mask(sample: Sample, size: int) -> np.ndarray:
    assert sample.mask is not None
    mask = read_mask(sample.mask, size, expect=image_size(sample.path))
    if not mask.any():
        raise DataError(
            f"the mask {sample.mask} is all black, but {sample.path} is defective ({sample.kind}); "
            "draw the defect in white, or move the image to good"
        )
    return mask  # (size, size)


# --------------------------------------------------------------------------------------------------- folders


def visible_folders(folder: Path) -> list[Path]:
    """Folders directly in a folder, in natural order, without hidden ones and a zip file's `__MACOSX`."""
    found = [path for path in entries(folder) if not path.name.startswith((".", "__")) and os.path.isdir(path)]
    return sorted(found, key=lambda path: natural_key(path.name))


def _find(parent: Path, names: tuple[str, ...]) -> Path | None:
    """The one subfolder with one of these names, in upper or lower case."""
    wanted = [name.casefold() for name in names]
    found = [folder for folder in visible_folders(parent) if folder.name.casefold() in wanted]
    if len(found) > 1:
        raise DataError(f"{found[0]} and {found[1].name} mean the same; put their files into one folder")
    return found[0] if found else None


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
