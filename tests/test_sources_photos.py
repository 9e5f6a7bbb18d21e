"""One's own photos: copied whole or not at all, converted where they must be, and everything said that was left out."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from mrkd_edu.data import AnomalyFolder, DataError, read_image
from mrkd_edu.runtime.writing import NotWritten
from mrkd_edu.sources import phone
from mrkd_edu.sources.photo_folders import harmless
from mrkd_edu.sources.photos import describe_photos, plan_photos, take_photos


def picture(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(40, 220, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path)
    return path


def save_mask(path: Path, size: tuple[int, int] = (60, 40), white: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", size)
    mask.paste(255 if white else 0, (5, 5, 20, 20))
    mask.save(path)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    for i in range(6):
        save(tmp_path / f"phone/fine/IMG_{i}.JPG", i)
    return tmp_path / "phone/fine"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    for i in range(3):
        save(tmp_path / f"phone/broken/IMG_{i}.jpg", 50 + i)
    return tmp_path / "phone/broken"


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "photos.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --------------------------------------------------------------------------------------------------- what is made


def test_good_ones_alone(good: Path, tmp_path: Path) -> None:
    before = everything(tmp_path / "phone")
    done = take_photos(good, tmp_path / "sets/part")
    assert done.counts == {"good": 6} and not done.already and done.left_out == []
    assert len(AnomalyFolder(done.folder).train) == 6
    assert everything(tmp_path / "phone") == before
    assert (done.folder / "good/IMG_0.jpg").read_bytes() == (good / "IMG_0.JPG").read_bytes()
    assert set(os.listdir(tmp_path / "sets")) == {"part", ".part.lock"}


def test_bad_ones_flat_and_in_kinds_with_masks(good: Path, bad: Path, tmp_path: Path) -> None:
    save(bad / "deep crack/a.png", 70)
    save(bad / "images/b.png", 71)  # a name that the layout has other uses for
    for i in range(3):
        save_mask(tmp_path / f"masks/IMG_{i}.png")
    save_mask(tmp_path / "masks/deep crack/a_mask.png")
    save_mask(tmp_path / "masks/images/b.png")
    save_mask(tmp_path / "masks/spare.png")
    done = take_photos(good, tmp_path / "part", bad, tmp_path / "masks")
    data = AnomalyFolder(done.folder)
    assert data.has_masks and sorted(data.kinds) == ["deep crack", "defect", "images_defect"]
    assert done.counts == {"good": 6, "defect": 3, "deep crack": 1, "images_defect": 1} and done.masks == 5
    assert [Path(name).name for name, _ in done.left_out] == ["spare.png"]
    assert data.test_masks(32).any(axis=(1, 2)).sum() == 5


def test_bad_ones_inside_the_folder_of_good_ones(good: Path, bad: Path, tmp_path: Path) -> None:
    shutil.move(bad, good / "bad")
    assert take_photos(good, tmp_path / "part", good / "bad").counts == {"good": 6, "defect": 3}


def test_names_and_what_is_left_out(good: Path, bad: Path, tmp_path: Path) -> None:
    (good / "IMG_7.jpg").write_bytes(b"\xff\xd8 cut off")
    shutil.copy(good / "IMG_1.JPG", good / "copy of 1.jpg")
    save(good / "con.png", 20)
    save(good / "img_2.png", 21)
    save(good / "IMG_3_mask.png", 22)
    save(good / "more/a.png", 23)
    (good / "film.mov").touch()
    (good / "x.gif").touch()
    (good / ".DS_Store").touch()
    if os.name != "nt":
        save(good / 'why? "so".png', 24)
        save(good / "=1+1.png", 25)
    done = take_photos(good, tmp_path / "part", bad)
    left = {Path(name).name: why for name, why in done.left_out}
    assert left.keys() == {"IMG_7.jpg", "IMG_1.JPG", "IMG_3_mask.png", "more", "film.mov", "x.gif"}
    assert "is not an image" in left["IMG_7.jpg"] and "copy of 1" in left["IMG_1.JPG"]
    before = dict(done.renamed)
    assert before["good/con_.png"] == "con.png" and before["good/img_2-2.png"] == "img_2.png"
    table = rows(done.folder)
    assert {row["file"] for row in table if row["file"]} >= {"good/con_.png", "defect/IMG_0.jpg"}
    assert all((done.folder / row["file"]).is_file() for row in table if row["file"])
    assert not any(value.startswith("=") for row in table for value in row.values())
    assert sum(row["why"].startswith("left out") for row in table) == 6
    lines = describe_photos(done, most=2)
    assert any("4 more" in line for line in lines) and "good 10" in lines[0].replace("good 8", "good 10")
    assert harmless("a\nb") == "a_b" and harmless("...") == "photo" and len(harmless("x" * 300)) == 80


# ------------------------------------------------------------------------------------------------ whole or nothing


def test_a_second_call_says_so_and_touches_nothing(good: Path, bad: Path, tmp_path: Path) -> None:
    take_photos(good, tmp_path / "part", bad)
    before = everything(tmp_path / "part")
    assert take_photos(good, tmp_path / "part", bad).already
    save(good / "another.jpg", 90)
    with pytest.raises(DataError, match="holds something else"):
        take_photos(good, tmp_path / "part", bad)
    assert everything(tmp_path / "part") == before


@pytest.mark.parametrize("what", ["a file", "a folder", "empty"])
def test_what_stands_in_the_place_of_the_new_folder(what: str, good: Path, tmp_path: Path) -> None:
    out = tmp_path / "part"
    if what == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
    if what == "a folder":
        (out / "mine.txt").write_text("mine")
    if what == "empty":
        assert take_photos(good, out).counts == {"good": 6}
        return
    with pytest.raises(DataError, match="nothing was changed"):
        take_photos(good, out)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_run_leaves_nothing(
    error: BaseException, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = []

    def stops(source: object, target: object, length: int) -> None:
        copied.append(1)
        if len(copied) == 3:
            raise error

    monkeypatch.setattr("mrkd_edu.sources.photos.shutil.copyfileobj", stops)
    (tmp_path / "sets/.part-unfinished-old").mkdir(parents=True)  # of a run that was killed
    with pytest.raises((KeyboardInterrupt, NotWritten)):
        take_photos(good, tmp_path / "sets/part")
    assert os.listdir(tmp_path / "sets") == [".part.lock"]


def test_no_room(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil._ntuple_diskusage(100, 100, 0)  # type: ignore[attr-defined]
    monkeypatch.setattr("mrkd_edu.runtime.writing.shutil.disk_usage", lambda _: full)
    with pytest.raises(NotWritten, match="MB are needed"):
        take_photos(good, tmp_path / "part")
    assert not (tmp_path / "part").exists()


# ----------------------------------------------------------------------------------------------------- refusals


def test_what_is_refused(good: Path, bad: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="does not exist"):
        plan_photos(tmp_path / "no such", tmp_path / "part")
    with pytest.raises(DataError, match="holds no normal photos"):
        plan_photos(tmp_path / "nothing", tmp_path / "part")
    with pytest.raises(DataError, match="holds no defective photos"):
        plan_photos(good, tmp_path / "part", tmp_path / "nothing")
    with pytest.raises(DataError, match="given twice"):
        plan_photos(good, tmp_path / "part", good)
    for inside in (good, good / "part"):
        with pytest.raises(DataError, match="lies among your photos"):
            plan_photos(good, inside)
    shutil.copy(good / "IMG_1.JPG", bad / "oops.jpg")
    with pytest.raises(DataError, match=r"oops\.jpg and .*IMG_1\.JPG"):
        plan_photos(good, tmp_path / "part", bad)
    assert not (tmp_path / "part").exists()


def test_masks_that_are_missing_or_wrong(good: Path, bad: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    save_mask(masks / "IMG_0.png", size=(30, 20))
    save_mask(masks / "IMG_1.png", white=False)
    with pytest.raises(DataError, match=r"(?s)30.*all black.*IMG_2\.jpg \(defect\) has none"):
        plan_photos(good, tmp_path / "part", bad, masks)


# ------------------------------------------------------------------------------------------------------- phones


def test_heic_is_converted(good: Path, bad: Path, tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    taken = picture(30, (300, 200))
    heif.from_pillow(taken).save(good / "IMG_30.HEIC", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    heif.from_pillow(picture(31, (300, 200))).save(good / "IMG_31.jpg", quality=90, exif=exif.tobytes())
    glass = picture(32).convert("RGBA")
    glass.putalpha(Image.linear_gradient("L").resize(glass.size))
    heif.from_pillow(glass).save(bad / "glass.heif", quality=90)
    (bad / "cut.heic").write_bytes((good / "IMG_30.HEIC").read_bytes()[:600])
    done = take_photos(good, tmp_path / "part", bad)
    assert done.converted == 3 and [Path(name).name for name, _ in done.left_out] == ["cut.heic"]
    made = read_image(done.folder / "good/IMG_30.jpg")
    assert np.abs(made.astype(float) - np.asarray(taken)).mean() < 3
    assert read_image(done.folder / "good/IMG_31.jpg").shape == (300, 200, 3)
    with Image.open(done.folder / "good/IMG_31.jpg") as image:
        assert image.format == "JPEG" and not image.getexif()
    with Image.open(done.folder / "defect/glass.png") as image:
        assert image.mode == "RGBA"
    assert take_photos(good, tmp_path / "part", bad).already
    assert {row["why"] for row in rows(done.folder) if row["file"].endswith("IMG_30.jpg")} == {"converted"}


def test_heic_without_the_package(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first bytes of a HEIC photo are enough to know that it is one, whatever its name."""
    for name in ("a.heic", "b.jpg"):
        (good / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    monkeypatch.setattr(phone.importlib.util, "find_spec", lambda name: None)
    done = take_photos(good, tmp_path / "part")
    assert [Path(name).name for name, why in done.left_out if "pip install pillow-heif" in why] == ["a.heic", "b.jpg"]
    for path in good.glob("IMG*"):
        path.unlink()
    with pytest.raises(DataError, match="Most Compatible"):
        take_photos(good, tmp_path / "other")


def test_a_heic_photo_that_would_fill_the_memory(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(picture(1, (300, 200))).save(good / "a.heic")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    assert "more than 50,000 pixels" in dict(take_photos(good, tmp_path / "part").left_out)[str(good / "a.heic")]


def test_avif(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "avif" not in features.modules or not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    picture(40).save(good / "a.avif")
    assert take_photos(good, tmp_path / "part").converted == 1
    monkeypatch.setattr(phone.features, "check", lambda name: False)
    ((name, why),) = take_photos(good, tmp_path / "other").left_out
    assert name.endswith("a.avif") and "Pillow 11.3" in why


def test_real_photos(real_data: Path, tmp_path: Path) -> None:
    """The way from a plain folder of photos to masks that the library reads."""
    bottle = real_data / "bottle"
    for kind in ("broken_large", "contamination"):
        shutil.copytree(bottle / "test" / kind, tmp_path / "bad" / kind)
    done = take_photos(bottle / "test/good", tmp_path / "part", tmp_path / "bad", bottle / "ground_truth")
    assert done.counts == {"good": 20, "broken_large": 20, "contamination": 21} and done.masks == 41
    assert len(done.left_out) == 22  # masks of broken_small
    assert AnomalyFolder(done.folder).has_masks
