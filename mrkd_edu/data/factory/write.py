"""The toy data set on disk: MVTec's folders, plus the normal twins and a record of how it was made.

What is written:

    <root>/<category>/train/good/000.png
                      test/good/000.png  test/<kind>/000.png
                      ground_truth/<kind>/000_mask.png     0 = normal, 255 = defect
                      twins/<kind>/000.png                 the same picture without its defect
                      toy.json                             settings, and the strength of every defect

A finished folder is never written to again: it is reused as it is, or refused.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from mrkd_edu.data.factory.pairs import (
    TEST_DEFECTIVE,
    TEST_GOOD,
    TRAIN,
    check_numbers,
    find_category,
    normal_image,
    pair_image,
)
from mrkd_edu.data.factory.scene import Array

VERSION = 1  # goes up whenever the same settings begin to give other pictures
STRENGTHS = (0.15, 1.0)  # of test defects, drawn uniformly: from hard to see to obvious


def make_toy(
    root: str | Path,
    category: str = "metal",
    *,
    train: int = 80,
    test_good: int = 20,
    test_defective: int = 30,
    size: int = 256,
    seed: int = 0,
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
        progress: show a progress bar.

    Returns:
        The path `<root>/<category>`.

    Raises:
        ValueError: unknown category, a negative number or seed, size too small.
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
    settings = {
        "version": VERSION,
        "category": category,
        "train": train,
        "test_good": test_good,
        "test_defective": test_defective,
        "size": size,
        "seed": seed,
    }
    record = {"settings": settings, "defective": [_plan(seed, i, kinds) for i in range(test_defective)]}
    root = Path(root)
    target = root / category
    if target.exists():
        _check_same(target, record)
        return target

    root.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{category}-unfinished-", dir=root))
    try:
        total = train + test_good + test_defective
        label = f"toy factory: {category}"
        for written in tqdm(_pictures(record), label, total, unit="image", disable=not progress):
            for name, pixels in written.items():
                path = unfinished / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path, compress_level=3)
        (unfinished / "toy.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        unfinished.chmod(0o755)  # a temporary folder is private; a data set is not
        try:
            unfinished.rename(target)
        except OSError:
            if not target.exists():
                raise
            _check_same(target, record)  # somebody else made it meanwhile
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _plan(seed: int, number: int, kinds: list[str]) -> dict[str, Any]:
    """What test defect number `number` will be: its file, kind and strength."""
    kind, index = kinds[number % len(kinds)], number // len(kinds)
    strength = np.random.default_rng([seed, TEST_DEFECTIVE, number]).uniform(*STRENGTHS)
    return {"image": f"test/{kind}/{index:03d}.png", "kind": kind, "strength": round(float(strength), 4)}


def _pictures(record: dict[str, Any]) -> Iterator[dict[str, Array]]:
    """Every picture of the data set, as {file name: pixels}; a defective one with its mask and its twin."""
    wanted = record["settings"]
    category, size, seed = wanted["category"], wanted["size"], wanted["seed"]
    for i in range(wanted["train"]):
        yield {f"train/good/{i:03d}.png": normal_image(category, (seed, TRAIN, i), size)}
    for i in range(wanted["test_good"]):
        yield {f"test/good/{i:03d}.png": normal_image(category, (seed, TEST_GOOD, i), size)}
    for i, plan in enumerate(record["defective"]):
        pair = pair_image(category, plan["kind"], plan["strength"], (seed, TEST_DEFECTIVE, i), size)
        image, mask, twin = _files(plan["image"])
        yield {image: pair.defective, mask: np.where(pair.mask, 255, 0).astype(np.uint8), twin: pair.normal}


def _files(image: str) -> tuple[str, str, str]:
    """The names of a defective picture, its mask and its twin."""
    _, kind, name = image.split("/")
    return image, f"ground_truth/{kind}/{name.removesuffix('.png')}_mask.png", f"twins/{kind}/{name}"


def _check_same(target: Path, record: dict[str, Any]) -> None:
    """Raise unless `target` is the data set of this record, complete and with nothing added."""
    cure = "Choose another folder, or delete this one first; nothing was overwritten."
    try:
        found = json.loads((target / "toy.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise FileExistsError(f"{target} exists and was not made by the toy factory. {cure}") from None
    if found != record:
        was = found.get("settings", {}) if isinstance(found, dict) else {}
        other = [f"{k} is {was.get(k)}, not {v}" for k, v in record["settings"].items() if was.get(k) != v]
        difference = "; ".join(other) or "its list of defects differs"
        raise FileExistsError(f"{target} holds a toy data set with other settings: {difference}. {cure}")
    wanted = record["settings"]
    expected = {f"train/good/{i:03d}.png" for i in range(wanted["train"])}
    expected |= {f"test/good/{i:03d}.png" for i in range(wanted["test_good"])}
    expected |= {name for plan in record["defective"] for name in _files(plan["image"])}
    files = (path for path in target.rglob("*") if path.is_file() and not path.name.startswith("."))
    present = {path.relative_to(target).as_posix() for path in files} - {"toy.json"}
    if missing := sorted(expected - present):
        raise FileExistsError(f"{target} lacks {len(missing)} of its files, first {missing[0]}. {cure}")
    if added := sorted(present - expected):
        raise FileExistsError(f"{target} holds files that are not its own, first {added[0]}. {cure}")
