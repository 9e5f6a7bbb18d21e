"""From the layout of each publisher to that of MVTec AD, which the rest of the library reads.

A converter looks at an unpacked archive and says for each file where it belongs; it moves nothing. Where a set has no
division into training and test images of its own, it is made so that no item is on both sides: two pictures of one item
share its scratches and its grain, and a test on them would ask for memory.

    <category>/train/good/*  test/good/*  test/<kind>/*  ground_truth/<kind>/<name>_mask.*
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mrkd_edu.data.files import DataError
from mrkd_edu.data.images import IMAGE_SUFFIXES, list_images, read_mask
from mrkd_edu.data.layouts import MASK_NAMES, TWIN_NAMES, find_categories, visible_folders
from mrkd_edu.runtime.writing import read_whole
from mrkd_edu.sources.archive import safe_name

SAME_TILE = 150  # between the numbers of two photos, at most, for one magnetic tile
TEST_EVERY = 5  # of items without a division of their own, the last of every five is for testing


@dataclass(frozen=True)
class Piece:
    """One file of a converted set.

    Attributes:
        category: the folder that it becomes part of.
        to: its place in there, such as `train/good/000.png`.
        of: the files that it is made of: one that is taken as it is, or several masks of one image that are united.
    """

    category: str
    to: str
    of: tuple[Path, ...]


@dataclass
class Conversion:
    """What a converter says of an unpacked archive.

    Attributes:
        pieces: files and where they belong.
        left_out: images that are not used, and why, counted.
    """

    pieces: list[Piece] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, category: str, to: str, *of: Path) -> None:
        """One file more."""
        self.pieces.append(Piece(category, to, of))

    def counts(self) -> Counter[str]:
        """Images by kind, of training and test together."""
        places = [piece.to.split("/") for piece in self.pieces]
        return Counter(place[1] for place in places if place[0] in ("train", "test"))


def native(root: Path) -> Conversion:
    """MVTec AD and whatever is laid out like it, also in the plain layout: taken as it is."""
    done = Conversion()
    for folder in _categories(root):
        for path in _images_below(folder):
            done.add(folder.name, path.relative_to(folder).as_posix(), path)
    return done


def loco(root: Path) -> Conversion:
    """MVTec LOCO AD: one folder of masks for each image, and normal images for validation, which are left out."""
    done = Conversion()
    for folder in _categories(root):
        for path in _images_below(folder):
            place = path.relative_to(folder)
            if place.parts[0] == "validation":
                done.left_out["for validation, which published results do not train on"] += 1
            elif place.parts[0] != "ground_truth":
                done.add(folder.name, place.as_posix(), path)
        for kind in visible_folders(folder / "ground_truth"):
            for image in visible_folders(kind):
                done.add(folder.name, f"ground_truth/{kind.name}/{image.name}_mask.png", *list_images(image))
    return done


def ad2(root: Path) -> Conversion:
    """MVTec AD 2: the public test images. Those whose truth is only on a server, and those for validation, stay out."""
    done = Conversion()
    for folder in _categories(root):
        for path in _images_below(folder):
            first, *rest = path.relative_to(folder).parts
            if first == "train":
                done.add(folder.name, path.relative_to(folder).as_posix(), path)
            elif first == "test_public":
                masks = rest[0] == "ground_truth"
                done.add(folder.name, "/".join(rest if masks else ["test", *rest]), path)
            else:
                done.left_out[f"in {first}/, without a truth or for validation"] += 1
    return done


def visa(root: Path) -> Conversion:
    """VisA: a table says which image is for what, and where its mask is."""
    table = _one(root, "split_csv/1cls.csv")
    top, done = table.parent.parent, Conversion()
    rows = csv.DictReader(read_whole(table).decode("utf-8", errors="replace").splitlines())
    if not {"object", "split", "label", "image", "mask"} <= set(rows.fieldnames or ()):
        raise DataError(f"{table} has other columns than VisA's: object, split, label, image, mask")
    for row in rows:
        category, image = safe_name(row["object"] or "", table), _named(top, row["image"], table)
        kind = "good" if row["label"] == "normal" else "bad"
        if "/" in category or row["split"] not in ("train", "test") or (row["split"] == "train" and kind == "bad"):
            raise DataError(f"{table} has a row that cannot be: {', '.join(map(str, row.values()))[:200]}")
        done.add(category, f"{row['split']}/{kind}/{image.name}", image)
        if kind == "bad":
            mask = _named(top, row["mask"], table)
            done.add(category, f"ground_truth/bad/{image.stem}_mask{mask.suffix}", mask)
    return done


def btad(root: Path) -> Conversion:
    """BTAD: `ok` and `ko` in place of `good` and a kind."""
    done = Conversion()
    for folder in _categories(root):
        for path in _images_below(folder):
            first, kind, *rest = path.relative_to(folder).parts
            if not rest:
                done.left_out["outside of train/ok, test/ok, test/ko"] += 1
            elif first == "ground_truth":
                done.add(folder.name, f"ground_truth/{kind}/{path.stem}_mask{path.suffix}", path)
            else:
                done.add(folder.name, f"{first}/{'good' if kind == 'ok' else kind}/{path.name}", path)
    return done


def kolektor(root: Path) -> Conversion:
    """KolektorSDD: `kosNN/PartN.jpg` with a mask beside it, empty where the part is good. Divided by item.

    Each item has about one defective part, so that items for training lose theirs: to keep enough for a test, every
    second item is for testing.
    """
    done = Conversion()
    items = sorted({path.parent for path in root.rglob("Part*_label.*")}, key=lambda path: path.name)
    if not items:
        raise DataError(f"{root} is not KolektorSDD: it has no kosNN/PartN_label.bmp")
    for number, item in enumerate(items):
        masks = {path.stem.removesuffix("_label"): path for path in list_images(item) if path.stem.endswith("_label")}
        for path in (path for path in list_images(item) if not path.stem.endswith("_label")):
            if path.stem not in masks:
                done.left_out["without a mask"] += 1
                continue
            defective, name = bool(read_mask(masks[path.stem]).any()), f"{item.name}_{path.name}"
            if number % 2 == 0 and defective:
                done.left_out["defective, of an item that is trained on"] += 1
            elif number % 2 == 0:
                done.add("commutator", f"train/good/{name}", path)
            elif defective:
                done.add("commutator", f"test/crack/{name}", path)
                mask = masks[path.stem]
                done.add("commutator", f"ground_truth/crack/{Path(name).stem}_mask{mask.suffix}", mask)
            else:
                done.add("commutator", f"test/good/{name}", path)
    return done


def magnetic_tile(root: Path) -> Conversion:
    """Magnetic tiles: `MT_<kind>/Imgs/*.jpg` with a mask of the same name. Divided by tile.

    A tile was photographed up to six times, in other light, and has a name for each (`exp1_num_43817.jpg`,
    `exp4_num_43865.jpg`). All of these are on one side, and a tile that has a defect somewhere is not trained on.
    """
    done = Conversion()
    kinds = {path.name[3:].lower(): path / "Imgs" for path in root.rglob("MT_*") if (path / "Imgs").is_dir()}
    if "free" not in kinds:
        raise DataError(f"{root} is not the set of magnetic tiles: it has no MT_Free/Imgs")
    photos = {kind: [p for p in list_images(kinds[kind]) if p.suffix.lower() != ".png"] for kind in sorted(kinds)}
    tiles = _tiles([path.stem for paths in photos.values() for path in paths])
    spoilt = {tiles[path.stem] for kind in photos if kind != "free" for path in photos[kind]}
    whole = sorted({tiles[path.stem] for path in photos["free"]} - spoilt)
    tested = {*spoilt, *whole[TEST_EVERY - 1 :: TEST_EVERY]}
    for kind, paths in photos.items():
        for path in paths:
            mask = path.with_suffix(".png")
            if kind == "free":
                part = "test" if tiles[path.stem] in tested else "train"
                done.add("magnetic_tile", f"{part}/good/{path.name}", path)
            elif mask.is_file():
                done.add("magnetic_tile", f"test/{kind}/{path.name}", path)
                done.add("magnetic_tile", f"ground_truth/{kind}/{path.stem}_mask.png", mask)
            else:
                done.left_out["without a mask"] += 1
    return done


def _tiles(stems: list[str]) -> dict[str, int]:
    """Which tile a photo is of: the numbers in the names count up, in small steps while a tile stays under the camera.

    Measured on 552 of the photos: of 75 groups that look like one tile (see `lookalikes.py`), 71 lie within steps of
    150, and 52 within steps of 60. Where two tiles are taken for one, nothing is lost but a little freedom.
    """
    numbers = {stem: int(found[1]) if (found := re.search(r"num_(\d+)", stem)) else -1 for stem in stems}
    tiles, tile, before = {}, 0, None
    for stem in sorted(stems, key=lambda stem: (numbers[stem], stem)):
        if before is None or numbers[stem] - before > SAME_TILE:
            tile += 1
        tiles[stem], before = tile, numbers[stem]
    return tiles


CONVERTERS: Mapping[str, Callable[[Path], Conversion]] = {
    "native": native,
    "loco": loco,
    "ad2": ad2,
    "visa": visa,
    "btad": btad,
    "kolektor": kolektor,
    "magnetic_tile": magnetic_tile,
}
SIGNS: Mapping[str, Callable[[Path], bool]] = {  # by which an unpacked archive is known; the first that fits
    "visa": lambda root: any(root.rglob("split_csv/1cls.csv")),
    "kolektor_sdd": lambda root: any(root.rglob("kos*/Part*_label.*")),
    "magnetic_tile": lambda root: any(root.rglob("MT_Free/Imgs")),
    "mvtec_ad_2": lambda root: any(root.rglob("test_public/good")),
    "mvtec_loco": lambda root: any(root.rglob("test/logical_anomalies")),
    "btad": lambda root: any(root.rglob("01/train/ok")),
    "mvtec_ad": lambda root: any(root.rglob("metal_nut/train/good")) and any(root.rglob("zipper/train/good")),
}


def recognised(root: Path) -> str | None:
    """The name of the public set that an unpacked archive holds, by its folders; None: none that is known."""
    return next((name for name, fits in SIGNS.items() if fits(root)), None)


def _categories(root: Path) -> list[Path]:
    """The categories at or below a folder, however many folders an archive is packed into."""
    folder = root
    for _ in range(4):
        if found := find_categories(folder):
            return found
        inside = visible_folders(folder)
        if len(inside) != 1:
            break
        folder = inside[0]
    raise DataError(
        f"{folder} holds no category: a category has a folder train/good (or good/) with images. Give the folder or "
        "archive that holds the categories"
    )


def _images_below(folder: Path) -> Iterator[Path]:
    """All images of a category, in the folders that mean something and in no others."""
    known = {"train", "test", "validation", "test_public", "test_private", "test_private_mixed"}
    mvtec = (folder / "train").is_dir() or (folder / "test").is_dir()
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_file() or not path.name.lower().endswith(IMAGE_SUFFIXES):
            continue
        if not mvtec or parts[0].casefold() in {*known, *MASK_NAMES, *TWIN_NAMES}:
            yield path


def _one(root: Path, name: str) -> Path:
    found = sorted(root.rglob(name))
    if not found:
        raise DataError(f"{root} has no {name}; give the archive as it was published, or the folder it unpacks to")
    return found[0]


def _named(top: Path, name: str | None, table: Path) -> Path:
    """The file that a table names, which must be there, and not elsewhere on the disk."""
    path = top / safe_name(name or "", table)
    if not path.is_file():
        raise DataError(f"{table} names {name or 'no file'}, which is not there: the archive is not whole")
    return path
