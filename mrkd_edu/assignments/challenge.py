"""The open challenge: a hidden toy category, what students hand in, and a board of results with intervals.

Students get normal images to learn from, and test images under names that say nothing. They hand in a folder with

    scores.csv      columns image, score: one line for each test image, higher where more anomalous
    maps.npz        anomaly maps under the images' names, (h, w); for AUPRO, may be missing

or the folder of a trained model (`mrkd-edu train`), for which the board shows leakage as well. Nothing that is handed
in is executed or unpickled.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.lessons.statistics import bootstrap_aurocs, interval
from mrkd_edu.metrics import Array, aupro, image_auroc
from mrkd_edu.runtime.names import readable
from mrkd_edu.runtime.writing import whole_file
from mrkd_edu.toy import CATEGORIES, make_toy

SIZE = 192  # side of the images, and of the maps that are compared, pixels
DRAWS, MAP_DRAWS = 2000, 100  # of the bootstrap: of AUROC and leakage, and of AUPRO
LARGEST = 256 * 2**20  # bytes of what one student hands in, unpacked
MEASURES = ("image_auroc", "aupro", "leakage")


class Score(NamedTuple):
    """A measure with its 95 % interval over test sets that could have been drawn."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Entry:
    """One student's line on the board.

    Attributes:
        student: whose.
        scores: a measure's name to its score; those that cannot be had are missing.
        note: why something is missing, in words.
    """

    student: str
    scores: dict[str, Score]
    note: str = ""


def make_challenge(secret: str, out: Path, category: str | None = None, **numbers: int) -> Path:
    """Make a hidden category from a secret: `handout/` for students, `hidden/` for the instructor alone.

    Args:
        secret: any words; the same ones make the same challenge.
        out: where both folders appear.
        category: a key of `toy.CATEGORIES`; the secret chooses where it is None.
        numbers: `train`, `test_good`, `test_defective` and `size` of the toy factory.

    Returns:
        The folder `handout`.

    Raises:
        FileExistsError: there is a challenge already.
    """
    if (out / "handout").exists():
        raise FileExistsError(f"{out} holds a challenge already. Choose another folder, or delete that one first.")
    seed = int.from_bytes(hashlib.blake2b(secret.encode(), digest_size=6).digest(), "big")
    rng = np.random.default_rng(seed)
    name = category or sorted(CATEGORIES)[rng.integers(len(CATEGORIES))]
    wanted: dict[str, Any] = {"train": 60, "test_good": 50, "test_defective": 50, "size": SIZE} | numbers
    hidden = make_toy(out / "hidden", name, seed=seed, **wanted)
    data, key = AnomalyFolder(hidden), {}
    for number, sample in enumerate(data.train):
        _copy(sample.path, out / "handout" / "train" / "good" / f"{number:03}.png")
    for number, i in enumerate(rng.permutation(len(data.test))):
        anonymous = f"{number:03}.png"
        _copy(data.test[i].path, out / "handout" / "images" / anonymous)
        key[anonymous] = str(data.test[i].path.relative_to(hidden).as_posix())
    with whole_file(out / "hidden" / "key.json") as file:
        json.dump({"category": name, "images": key}, file, indent=1)
    return out / "handout"


def _copy(source: Path, target: Path) -> None:
    """The pixels alone: no name, date or comment of the file says what it was."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        image.convert("RGB").save(target)


@dataclass(frozen=True)
class Hidden:
    """What only the instructor has.

    Attributes:
        data: the category with labels, masks and twins.
        names: of the test images as students know them, in the order of `data.test`.
        masks: (N, SIZE, SIZE) bool.
    """

    data: AnomalyFolder
    names: list[str]
    masks: Array

    @classmethod
    def read(cls, folder: Path) -> Hidden:
        """Read a challenge.

        Args:
            folder: as `make_challenge` wrote it.

        Raises:
            FileNotFoundError: there is none.
        """
        path = folder / "hidden" / "key.json"
        if not path.is_file():
            raise FileNotFoundError(f"There is no challenge in {folder}: {path} is missing.")
        key = json.loads(path.read_text(encoding="utf-8"))
        data = AnomalyFolder(folder / "hidden" / key["category"])
        known = {place: name for name, place in key["images"].items()}
        names = [known[sample.path.relative_to(data.root).as_posix()] for sample in data.test]
        masks = np.stack([m > 0 for m in data.test_masks(SIZE)])
        return cls(data, names, masks)


def board(submissions: Path, challenge: Path, out: Path, say: Callable[[str], None] = lambda name: None) -> list[Entry]:
    """Measure all that was handed in, and write `board.csv` and `board.html`.

    Args:
        submissions: a folder or zip for each student.
        challenge: as `make_challenge` wrote it.
        out: where table and page appear.
        say: called with the name of each student before he or she is measured.

    Raises:
        FileNotFoundError: there is no challenge, or nothing was handed in.
    """
    hidden = Hidden.read(challenge)
    inside = sorted(submissions.iterdir()) if submissions.is_dir() else []
    handed = [path for path in inside if path.is_dir() or path.suffix == ".zip"]
    if not handed:
        raise FileNotFoundError(f"Nothing is handed in in {submissions}: no folders or zips are there.")
    entries = []
    for path in handed:
        say(path.stem)
        try:
            entries.append(measured(path, hidden))
        except Exception as error:  # of any kind: it is a stranger's data, and nobody else's business
            kind = "" if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: "
            entries.append(Entry(path.stem, {}, f"{kind}{readable(str(error))[:300]}"))
    entries.sort(key=lambda e: -e.scores["image_auroc"].value if "image_auroc" in e.scores else math.inf)
    write_board(entries, out)
    return entries


def measured(path: Path, hidden: Hidden) -> Entry:
    """One submission, measured.

    Args:
        path: a folder with scores and maps, or with a trained model; or a zip of one.
        hidden: of the challenge.

    Raises:
        ValueError: it is not complete, or holds what is no number.
        OSError: it cannot be read.
    """
    files = _Files(path)
    if (model := files.find("model.json")) is not None:
        if path.is_dir():
            return _of_model(path.stem, model.parent, hidden)
        raise ValueError("A model is handed in as a folder: unpack the zip")
    scores = _scores(files.read("scores.csv"), hidden.names)
    maps = _maps(files.read("maps.npz"), hidden.names) if files.has("maps.npz") else None
    return _entry(path.stem, scores, maps, hidden, "" if maps is not None else "no maps.npz: no AUPRO")


def _entry(student: str, scores: Array, maps: Array | None, hidden: Hidden, note: str) -> Entry:
    rng, labels = np.random.default_rng(0), hidden.data.test_labels
    drawn = bootstrap_aurocs(scores[None], labels, DRAWS, rng)[0]
    found = {"image_auroc": Score(image_auroc(scores, labels), *interval(drawn))}
    if maps is not None:
        picks = [_draw(labels, rng) for _ in range(MAP_DRAWS)]
        areas = np.array([aupro(maps[pick], hidden.masks[pick]) for pick in picks])
        found["aupro"] = Score(aupro(maps, hidden.masks), *interval(areas))
    return Entry(student, found, note)


def _draw(labels: Array, rng: np.random.Generator) -> Array:
    """Images of a test set that could have been: as many of each class, with replacement."""
    parts = (np.flatnonzero(labels == label) for label in (0, 1))
    return np.concatenate([rng.choice(part, len(part)) for part in parts])


def _of_model(student: str, folder: Path, hidden: Hidden) -> Entry:
    from mrkd_edu.model import MRKD
    from mrkd_edu.study.copying import answers, read_pairs

    model = MRKD.load(folder, "cpu")
    said = model.predict([sample.path for sample in hidden.data.test])
    entry = _entry(student, said.score.astype(float), np.stack([_sized(m) for m in said.anomaly_map]), hidden, "")
    pairs = answers(model, read_pairs(hidden.data, model.settings.size)).leakage().mean(1)  # (P,) of each pair
    rng = np.random.default_rng(0)
    drawn = np.array([rng.choice(pairs, len(pairs)).mean() for _ in range(DRAWS)])
    return Entry(student, entry.scores | {"leakage": Score(float(pairs.mean()), *interval(drawn))})


class _Files:
    """Files of a submission by name, in a folder or a zip, wherever in it they lie. Nothing is unpacked on the disk."""

    def __init__(self, path: Path):
        self.path = path

    def find(self, name: str) -> Path | None:
        if self.path.is_dir():
            return next((p for p in sorted(self.path.rglob(name)) if not p.is_symlink()), None)
        with zipfile.ZipFile(self.path) as archive:
            inside = [i for i in archive.namelist() if Path(i).name == name and "__MACOSX" not in i]
        return Path(inside[0]) if inside else None

    def has(self, name: str) -> bool:
        return self.find(name) is not None

    def read(self, name: str) -> bytes:
        found = self.find(name)
        if found is None:
            raise ValueError(f"{name} is missing")
        if self.path.is_dir():
            if found.stat().st_size > LARGEST:
                raise ValueError(f"{name} is too large")
            return found.read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            if archive.getinfo(found.as_posix()).file_size > LARGEST:
                raise ValueError(f"{name} is too large")
            return archive.read(found.as_posix())


def _scores(content: bytes, names: Sequence[str]) -> Array:
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    if not rows or not {"image", "score"} <= set(rows[0]):
        raise ValueError("scores.csv needs the columns image and score")
    said = {Path(str(row["image"])).name: row["score"] for row in rows}
    if lost := [name for name in names if name not in said]:
        raise ValueError(f"scores.csv has no line for {len(lost)} of {len(names)} images, {lost[0]} among them")
    try:
        scores = np.array([float(str(said[name])) for name in names])
    except ValueError as error:
        raise ValueError(f"a score in scores.csv is no number ({error})") from error
    if not np.isfinite(scores).all():
        raise ValueError("a score in scores.csv is NaN or infinite")
    return scores


def _maps(content: bytes, names: Sequence[str]) -> Array:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        if sum(each.file_size for each in file.zip.infolist()) > LARGEST:
            raise ValueError("maps.npz is too large")
        known = {Path(key).stem: key for key in file.files}
        if lost := [name for name in names if Path(name).stem not in known]:
            raise ValueError(f"maps.npz has no map for {len(lost)} of {len(names)} images, {lost[0]} among them")
        maps = [np.asarray(file[known[Path(name).stem]]) for name in names]
    for name, each in zip(names, maps, strict=True):
        if each.ndim != 2 or each.dtype.kind not in "fiu" or min(each.shape) < 1 or not np.isfinite(each).all():
            raise ValueError(f"the map of {name} is no (h, w) of finite numbers")
    return np.stack([_sized(each) for each in maps])


def _sized(one: Array) -> Array:
    """A map at the size at which all are compared: (h, w) to (SIZE, SIZE)."""
    return np.asarray(cv2.resize(one.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR))


def write_board(entries: Sequence[Entry], out: Path) -> None:
    """The board as a table and as a page that needs nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(out / "board.csv", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["rank", "student", *(f"{m}{end}" for m in MEASURES for end in ("", "_low", "_high")), "note"])
        for rank, entry in enumerate(entries, 1):
            values: list[Any] = []
            for measure in MEASURES:
                found = entry.scores.get(measure)
                values += [f"{v:.4f}" for v in found] if found else ["", "", ""]
            writer.writerow([rank, entry.student, *values, entry.note])
    with whole_file(out / "board.html") as file:
        file.write(_page(entries))


def _page(entries: Sequence[Entry]) -> str:
    import jinja2

    def bar(found: Score | None, percent: bool) -> dict[str, Any] | None:
        if found is None:
            return None
        value, low, high = (min(1.0, max(0.0, v)) for v in found)
        shown, *both = (f"{100 * v:.1f} %" if percent else f"{v:.3f}" for v in found)
        ends = " to ".join(both)
        return {"at": 100 * value, "left": 100 * low, "width": 100 * (high - low), "shown": shown, "ends": ends}

    rows = [
        {"student": e.student, "note": e.note, "bars": [bar(e.scores.get(m), m == "leakage") for m in MEASURES]}
        for e in entries
    ]
    environment = jinja2.Environment(loader=jinja2.PackageLoader("mrkd_edu.assignments", "."), autoescape=True)
    return environment.get_template("board.html.j2").render(rows=rows)
