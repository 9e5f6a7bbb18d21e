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
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from mrkd_edu.data.files import DataError, as_path, check_file, entries, no_folder
from mrkd_edu.data.images import image_size, list_images, refuse_dark_16_bits
from mrkd_edu.data.layouts import (
    GOOD_NAMES,
    LITTER,
    MASK_NAMES,
    RECORDS,
    TWIN_NAMES,
    Sample,
    find,
    is_ours,
    listed,
    read_images_only,
    read_mvtec,
    read_plain,
    visible_folders,
)
from mrkd_edu.data.pairing import masks_of_no_kind, missing_masks, read_defect_masks, with_masks_and_twins
from mrkd_edu.data.stack import ImageStack
from mrkd_edu.runtime.names import tell


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
        if find(self.root, ("train",)) or find(self.root, ("test",)):
            self.train, self.test = read_mvtec(self.root)
        elif good := find(self.root, GOOD_NAMES):
            self.train, self.test = read_plain(self.root, good)
        else:
            self.train, self.test = read_images_only(self.root), []
        self.kinds = list(dict.fromkeys(sample.kind for sample in self.test if sample.label))

        mask_folder = find(self.root, MASK_NAMES)
        twin_folder = find(self.root, TWIN_NAMES)
        self.test = with_masks_and_twins(self.test, mask_folder, twin_folder)

        defective = [sample for sample in self.test if sample.label]
        unmasked = [sample for sample in defective if sample.mask is None]
        self.has_masks = bool(defective) and not unmasked
        self.has_twins = self.has_masks and any(sample.twin for sample in defective)
        if unmasked and mask_folder is not None and (flat := list_images(mask_folder)):
            raise DataError(masks_of_no_kind(mask_folder, flat, unmasked[0]))
        if unmasked and mask_folder is not None and visible_folders(mask_folder):
            raise DataError(missing_masks(self.root, mask_folder, unmasked, len(defective)))
        self._check_headers()
        self._check_scale()
        self._rest = listed(self.left_out(), 8)  # in words, as it was when the folder was read

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
        masks[defective] = read_defect_masks([self.test[i] for i in defective], size)
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
        masks = read_defect_masks([sample for sample, _ in pairs], size)  # (N, size, size)
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
            total.update(digest_of(path))
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
        return f"{text}." + (f" Left out: {self._rest}." if self._rest else "")

    def left_out(self) -> list[str]:
        """What lies in the folders that were read and was not used, counted."""
        used = set(self._files())
        folders = {path.parent for path in used} | {self.root}
        folders |= {folder for name in ("train", "test") if (folder := find(self.root, (name,)))}
        parents = {parent for folder in folders for parent in folder.parents}
        found: Counter[str] = Counter()
        for folder in sorted(folders):
            where = "" if folder == self.root else f" in {folder.relative_to(self.root).as_posix()}/"
            for path in sorted(entries(folder)):
                if path.name.startswith((".", "__")) or path.name in (*LITTER, *RECORDS) or path in used:
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
        known = {digest_of(sample.path) for sample in self.train}
        return [sample.path for sample in self.test if digest_of(sample.path) in known]

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
        lines += [f"  left out: {self._rest}"] if self._rest else []
        return "\n".join([self.name, *lines])

    def __repr__(self) -> str:
        defective = int(self.test_labels.sum())
        return (
            f"AnomalyFolder({str(self.root)!r}: {len(self.train)} train, "
            f"{len(self.test) - defective} good + {defective} defective test"
            + (f", left out {self._rest})" if self._rest else ")")
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


def digest_of(path: Path) -> bytes:
    """A hash of a file's content."""
    try:
        check_file(path)
        return hashlib.blake2b(path.read_bytes()).digest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); copy it again or delete it") from error
