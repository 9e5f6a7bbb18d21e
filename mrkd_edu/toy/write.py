"""The toy data set on disk: MVTec's folders, plus the normal twins and a record of how it was made.

What is written:

    <root>/<category>/train/good/000.png
                      test/good/000.png  test/<kind>/000.png
                      ground_truth/<kind>/000_mask.png     0 = normal, 255 = defect
                      twins/<kind>/000.png                 the same picture without its defect
                      toy.json                             settings, and the strength of every defect

A finished folder is never written to again: `make_toy` reuses it as it is, or refuses it. Only the library's
own copy in the cache, that of `cached_toy`, is thrown away and made anew when it is not whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mrkd_edu.data.files import DataError, check_file
from mrkd_edu.data.layouts import LITTER
from mrkd_edu.runtime.batches import side_by_side
from mrkd_edu.runtime.cache import cache_folder
from mrkd_edu.runtime.writing import explained, unfinished_folder
from mrkd_edu.toy.pairs import (
    TEST_DEFECTIVE,
    TEST_GOOD,
    TRAIN,
    check_numbers,
    find_category,
    normal_image,
    pair_image,
)
from mrkd_edu.toy.scene import Array

VERSION = 1  # goes up whenever the same settings begin to give other pictures
STRENGTHS = (0.15, 1.0)  # of test defects, unless told otherwise: from hard to see to obvious
PAINTERS = min(4, os.cpu_count() or 1)  # threads; each needs about 60 MB for pictures of 256 pixels


def make_toy(
    root: str | Path,
    category: str = "metal",
    *,
    train: int = 80,
    test_good: int = 20,
    test_defective: int = 30,
    size: int = 256,
    seed: int = 0,
    strengths: tuple[float, float] = STRENGTHS,
    progress: bool = False,
) -> Path:
    """Write a toy data set in the MVTec layout, or reuse it when the same one is already there.

    Pictures are independent: number i of a split looks the same however many are asked for. The kinds of
    defect take turns. The folder appears only when it is complete, so that an interrupted run leaves
    nothing half-made.

    Args:
        root: folder that will hold the category's folder; made when missing.
        category: a key of `CATEGORIES`.
        train: number of normal training pictures.
        test_good: number of normal test pictures.
        test_defective: number of defective test pictures, all kinds together.
        size: side of the pictures in pixels.
        seed: another seed, another data set.
        strengths: of the test defects, drawn uniformly between these two: 0 is no defect, 1 an obvious one.
        progress: show a progress bar.

    Returns:
        The path `<root>/<category>`.

    Raises:
        ValueError: unknown category, a negative number or seed, size too small, strengths not in order or outside
            of 0 to 1.
        FileExistsError: the folder exists and is not this data set. Nothing is overwritten.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = make_toy(folder, train=1, test_good=1, test_defective=2, size=64)
        ...     print(path.name, *sorted(kind.name for kind in (path / "test").iterdir()))
        metal chip dent good
    """
    kinds = list(find_category(category).defects)
    check_numbers(size, seed)
    for name, number in (("train", train), ("test_good", test_good), ("test_defective", test_defective)):
        if number < 0:
            raise ValueError(f"{name} must be 0 or more, not {number}.")
    weakest, strongest = strengths
    if not 0 < weakest <= strongest <= 1:
        raise ValueError(
            f"strengths of defects must be above 0 and at most 1, the weakest first; got {weakest} to {strongest}."
        )
    settings = {
        "version": VERSION,
        "category": category,
        "train": train,
        "test_good": test_good,
        "test_defective": test_defective,
        "size": size,
        "seed": seed,
        "strengths": [weakest, strongest],
    }
    defective = [_plan(seed, i, kinds, strengths) for i in range(test_defective)]
    record = {"settings": settings, "defective": defective}
    root = Path(root)
    target = root / category
    if not os.path.exists(target):  # not of `Path`, which raises where a name cannot be
        _write(target, record, progress)
    _check_same(target, record)
    return target


def cached_toy(category: str = "metal", *, progress: bool = False, **settings: Any) -> Path:
    """The toy data set in the library's own cache: made when it is not there, and anew when it is not whole.

    Nothing that lies in this folder is kept for its own sake; `make_toy` writes a folder of yours. Several
    processes may ask for the same set at once: the first to finish puts its set in place, all use that one.

    Args:
        category: a key of `CATEGORIES`.
        progress: show a progress bar.
        settings: `train`, `test_good`, `test_defective`, `size`, `seed`, `strengths`, as in `make_toy`.

    Returns:
        The path `<cache>/toy/<hash of the settings>/<category>`.

    Raises:
        ValueError: unknown category, a negative number or seed, size too small.
    """
    key = hashlib.blake2b(json.dumps([VERSION, category, settings], sort_keys=True).encode(), digest_size=6)
    home = cache_folder() / "toy" / key.hexdigest()
    try:
        return make_toy(home, category, progress=progress, **settings)
    except (FileExistsError, FileNotFoundError):
        # It is ours, but a file is missing or strange, or vanished while we looked. Out of the way in one step:
        # another process sees it damaged or not at all. If it is gone already, then another did the same.
        with tempfile.TemporaryDirectory(prefix=".damaged-", dir=home) as away, suppress(FileNotFoundError):
            (home / category).rename(Path(away) / category)
        return make_toy(home, category, progress=progress, **settings)


def _write(target: Path, record: dict[str, Any], progress: bool) -> None:
    """Make the data set of this record next to `target`, then put it there in one step, unless it is taken."""
    label = f"toy factory: {record['settings']['category']}"
    with unfinished_folder(target) as unfinished, explained(target):
        paint = partial(_paint, unfinished)  # numpy and OpenCV let go of the interpreter while they work
        side_by_side(paint, _jobs(record), PAINTERS, what=label, unit="image", progress=progress)
        (unfinished / "toy.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        unfinished.chmod(0o755)  # a temporary folder is private; a data set is not
        try:
            unfinished.rename(target)
        except OSError:
            if not os.path.exists(target):
                raise  # otherwise another process made it meanwhile


def _paint(folder: Path, job: Callable[[], dict[str, Array]]) -> None:
    """Do one job and save its pictures below a folder."""
    for name, pixels in job().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, compress_level=3)


def _plan(seed: int, number: int, kinds: list[str], strengths: tuple[float, float]) -> dict[str, Any]:
    """What test defect number `number` will be: its file, kind and strength."""
    kind, index = kinds[number % len(kinds)], number // len(kinds)
    strength = np.random.default_rng([seed, TEST_DEFECTIVE, number]).uniform(*strengths)
    return {"image": f"test/{kind}/{index:03d}.png", "kind": kind, "strength": round(float(strength), 4)}


def _jobs(record: dict[str, Any]) -> list[Callable[[], dict[str, Array]]]:
    """One function for each picture of the data set; called, it gives the files: {name: pixels}."""
    wanted = record["settings"]
    jobs: list[Callable[[], dict[str, Array]]] = []
    for folder, count, stream in (("train", wanted["train"], TRAIN), ("test", wanted["test_good"], TEST_GOOD)):
        jobs += [partial(_normal, wanted, f"{folder}/good/{i:03d}.png", stream, i) for i in range(count)]
    jobs += [partial(_defective, wanted, plan, i) for i, plan in enumerate(record["defective"])]
    return jobs


def _normal(wanted: dict[str, Any], name: str, stream: int, number: int) -> dict[str, Array]:
    return {name: normal_image(wanted["category"], (wanted["seed"], stream, number), wanted["size"])}


def _defective(wanted: dict[str, Any], plan: dict[str, Any], number: int) -> dict[str, Array]:
    """A defective picture with its mask and its twin."""
    key = (wanted["seed"], TEST_DEFECTIVE, number)
    pair = pair_image(wanted["category"], plan["kind"], plan["strength"], key, wanted["size"])
    image, mask, twin = _files(plan["image"])
    return {image: pair.defective, mask: np.where(pair.mask, 255, 0).astype(np.uint8), twin: pair.normal}


def _files(image: str) -> tuple[str, str, str]:
    """The names of a defective picture, its mask and its twin."""
    _, kind, name = image.split("/")
    return image, f"ground_truth/{kind}/{name.removesuffix('.png')}_mask.png", f"twins/{kind}/{name}"


def _check_same(target: Path, record: dict[str, Any]) -> None:
    """Raise unless `target` is the data set of this record, complete and with nothing added."""
    cure = "Choose another folder, or delete this one first; nothing was overwritten."
    try:
        check_file(target / "toy.json")
        found = json.loads((target / "toy.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, DataError):
        raise FileExistsError(
            f"{target} exists and was not made by the toy factory. Choose another folder; nothing was overwritten."
        ) from None
    if isinstance(found, dict) and isinstance(found.get("settings"), dict):
        found["settings"].setdefault("strengths", list(STRENGTHS))  # a set made before one could choose
    if found != record:
        was = found.get("settings", {}) if isinstance(found, dict) else {}
        other = [f"{k} is {was.get(k)}, not {v}" for k, v in record["settings"].items() if was.get(k) != v]
        difference = "; ".join(other) or "its list of defects differs"
        raise FileExistsError(f"{target} holds a toy data set with other settings: {difference}. {cure}")
    wanted = record["settings"]
    expected = {f"train/good/{i:03d}.png" for i in range(wanted["train"])}
    expected |= {f"test/good/{i:03d}.png" for i in range(wanted["test_good"])}
    expected |= {name for plan in record["defective"] for name in _files(plan["image"])}
    folders = {parent.as_posix() for name in expected for parent in Path(name).parents}
    present: set[str] = set()
    strange: set[str] = set()
    for path in target.rglob("*"):
        name = path.relative_to(target).as_posix()
        if path.name.startswith(".") or path.name in LITTER or name == "toy.json":
            continue
        if name not in (folders if os.path.isdir(path) else expected):
            strange.add(name)  # a folder too: it would be read as a kind of defect
        elif os.path.isdir(path) or (os.path.isfile(path) and path.stat().st_size):
            present.add(name)  # an empty file was cut off, by a full disk for instance
    if missing := sorted(expected - present):
        raise FileExistsError(f"{target} lacks {len(missing)} of its files, first {missing[0]}. {cure}")
    if strange:
        raise FileExistsError(
            f"{target} holds files that are not its own, first {min(strange)}. Move them away, or choose another "
            "folder; nothing was overwritten."
        )
