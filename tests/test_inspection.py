"""What `mrkd-edu data check` finds: every kind of fault, all at once, and no false alarm on good folders."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mrkd_edu.data import AnomalyFolder, DataError
from mrkd_edu.inspection.examine import Findings, describe, examine
from mrkd_edu.inspection.inventory import Problem
from mrkd_edu.inspection.lookalikes import groups, lookalikes, thumbnail
from mrkd_edu.toy import CATEGORIES, cached_toy, make_toy

SIDE = 96


def save(path: Path, seed: int, mode: str = "L") -> Path:
    """A picture of its own: smooth noise, another one for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(60, 200, (9, 9), dtype=np.uint8)
    Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert(mode).save(path)
    return path


def save_mask(path: Path, share: float = 0.2, side: int = SIDE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", (side, side))
    mask.paste(255, (0, 0, side, round(share * side)))
    mask.save(path)
    return path


def folder(root: Path, train: int = 20, good: int = 5, bad: int = 5, masks: bool = True) -> Path:
    """A category in MVTec's layout, with nothing wrong but that it is small."""
    for i in range(train):
        save(root / f"train/good/{i:03}.png", i)
    for i in range(good):
        save(root / f"test/good/{i:03}.png", 100 + i)
    for i in range(bad):
        save(root / f"test/dent/{i:03}.png", 200 + i)
        if masks:
            save_mask(root / f"ground_truth/dent/{i:03}_mask.png")
    return root


def one(root: Path) -> Findings:
    (found,) = examine(root)
    return found


def named(found: Findings, code: str) -> Problem:
    problems = [problem for problem in found.problems if problem.code == code]
    assert problems, f"{code} not among {[problem.code for problem in found.problems]}"
    return problems[0]


def codes(found: Findings, *severities: str) -> set[str]:
    return {problem.code for problem in found.problems if not severities or problem.severity in severities}


# ------------------------------------------------------------------------------------------ folders without fault


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_toy_factory_has_no_faults(category: str) -> None:
    found = one(cached_toy(category))
    assert codes(found, "error", "warning") == set()
    assert sum(row["images"] for row in found.counts) == 130


def test_real_categories(real_data: Path) -> None:
    """Of bottles and commutators no two are taken for one; of the tiles several photographs of one tile are found."""
    found = {category.name: category for category in examine(real_data)}
    assert codes(found["bottle"]) == codes(found["commutator"]) == set()
    tiles = found["magnetic_tile"]
    assert codes(tiles, "error") == set()
    assert {"alike-training", "alike-train-test", "alike-test"} <= codes(tiles)
    for problem in tiles.problems:
        numbers = [int(re.findall(r"num_(\d+)", name)[0]) for name in (problem.file, *problem.others) if name]
        assert not numbers or max(numbers) - min(numbers) < 5000, "two tiles were taken for one"


def test_counts_sizes_and_what_is_left_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "part")
    (root / "train/good/notes.txt").touch()
    (root / "train/good/x.heic").touch()
    save(root / "train/good/more/0.png", 300)
    save(root / "elsewhere/0.png", 301)
    save(root / "train/good/.hidden.png", 302)
    found = one(root)
    assert found.layout == "MVTec AD"
    assert [(row["split"], row["kind"], row["images"], row["masks"]) for row in found.counts] == [
        ("train", "good", 20, 0), ("test", "good", 5, 0), ("test", "dent", 5, 5),
    ]  # fmt: skip
    assert set(found.sizes.values()) == {(SIDE, SIDE, 30)}
    assert found.modes == {"grey": 30} and found.formats == {"PNG": 30}
    why = {(row["what"], row["where"]): row["why"] for row in found.left_out}
    assert why[".txt", "train/good"] == "no image"
    assert "save it as JPEG" in why[".heic", "train/good"]
    assert "not searched" in why[".png", "train/good/more"]
    assert "no part of the layout" in why[".png", "elsewhere"]
    assert why[".png", "train/good"] == "hidden"
    assert named(found, "left-out").severity == "warning"


# ------------------------------------------------------------------------------------------------------- faults


def test_all_faults_are_found_at_once(tmp_path: Path) -> None:
    root = folder(tmp_path / "part", bad=8)
    (root / "train/good/003.png").write_bytes(b"not a picture")
    Image.new("L", (SIDE, SIDE), 90).save(root / "train/good/004.png")
    shutil.copy(root / "train/good/005.png", root / "test/good/001.png")
    shutil.copy(root / "train/good/006.png", root / "test/dent/007.png")
    shutil.copy(root / "train/good/007.png", root / "train/good/008.png")
    masks = root / "ground_truth/dent"
    save_mask(masks / "000_mask.png", 0)
    save_mask(masks / "001_mask.png", 1)
    save_mask(masks / "002_mask.png", 0.9)
    save_mask(masks / "003_mask.png", side=48)
    (masks / "004_mask.png").unlink()
    save_mask(masks / "005.png")
    (masks / "006_mask.png").write_bytes(b"")
    save_mask(masks / "999_mask.png")
    found = one(root)
    expected = {
        "unreadable": "train/good/003.png",
        "constant": "train/good/004.png",
        "repeated-train-test": "test/good/001.png",
        "repeated-kinds": "train/good/006.png",
        "repeated-training": "train/good/007.png",
        "mask-empty": "ground_truth/dent/000_mask.png",
        "mask-full": "ground_truth/dent/001_mask.png",
        "mask-inverted": "ground_truth/dent/002_mask.png",
        "mask-size": "ground_truth/dent/003_mask.png",
        "mask-missing": "test/dent/004.png",
        "mask-unreadable": "ground_truth/dent/006_mask.png",
        "few-images": "",
    }
    assert {code: named(found, code).file for code in expected} == expected
    spare = {problem.file for problem in found.problems if problem.code == "mask-of-no-image"}
    assert spare == {"ground_truth/dent/005.png", "ground_truth/dent/999_mask.png"}
    assert named(found, "mask-inverted").severity == "warning"  # one of many may be a large defect
    lines = "\n".join(describe([found]))
    assert "error: train/good/003.png: is not an image" in lines and f"{found.number('error')} errors" in lines
    again = json.loads(json.dumps(found.to_dict()))
    assert again["problems"][0]["severity"] == "error" and again["sizes"]["largest"] == [SIDE, SIDE, 32]


def test_most_masks_inverted_is_an_error(tmp_path: Path) -> None:
    root = folder(tmp_path / "part")
    for path in (root / "ground_truth/dent").iterdir():
        save_mask(path, 0.9)
    assert named(one(root), "mask-inverted").severity == "error"


def test_12_bits_in_16(tmp_path: Path) -> None:
    root = folder(tmp_path / "part")
    for i, path in enumerate((root / "train/good").iterdir()):
        values = np.random.default_rng(i).integers(0, 4096, (SIDE, SIDE), dtype=np.uint16)
        Image.fromarray(values).save(path)
    found = one(root)
    assert "multiply their values by 16" in named(found, "dark-16-bit").text
    assert found.modes["16 bit"] == 20 and "refused" not in codes(found)


def test_12_bits_in_16_of_each_colour(tmp_path: Path) -> None:
    root = folder(tmp_path / "part")
    for i, path in enumerate((root / "train/good").iterdir()):
        values = np.random.default_rng(i).integers(0, 4096, (SIDE, SIDE, 3), dtype=np.uint16)
        assert cv2.imwrite(str(path), values)
    found = one(root)
    assert "multiply their values by 16" in named(found, "dark-16-bit").text
    assert found.modes["16 bit RGB"] == 20 and "refused" not in codes(found)


def test_too_few_images(tmp_path: Path) -> None:
    found = one(folder(tmp_path / "part", train=2, good=0, bad=0))
    assert "too few to hold any out" in named(found, "few-images").text
    assert "too-few-to-compare" in codes(found)
    found = one(folder(tmp_path / "few", train=30, good=0, bad=2))
    assert named(found, "few-images").severity == named(found, "few-normal-tests").severity == "warning"
    assert named(found, "few-defective-tests").severity == "note"


def test_the_same_picture_again_and_again(tmp_path: Path) -> None:
    root = folder(tmp_path / "part", good=0, bad=0)
    for path in (root / "train/good").iterdir():
        save(path, 0)
    assert named(one(root), "all-the-same").severity == "error"
    for path in (root / "train/good").iterdir():
        Image.new("L", (SIDE, SIDE), int(path.stem)).save(path)
    assert {"constant", "all-constant"} <= codes(one(root))
    for path in (root / "train/good").iterdir():
        picture = Image.open(save(tmp_path / "one.png", 1))
        picture.save(path.with_suffix(".jpg"), quality=60 + int(path.stem))
        path.unlink()
    assert named(one(root), "all-alike").severity == "error"


def test_what_tells_kinds_apart_without_a_defect(tmp_path: Path) -> None:
    root = folder(tmp_path / "part", masks=False)
    for path in (root / "test/dent").iterdir():
        picture = Image.open(path).convert("RGB").resize((50, 60))
        path.unlink()
        picture.save(path.with_suffix(".jpg"))
    found = one(root)
    assert {"other-mode", "other-kind", "other-size", "small", "shapes", "no-masks"} <= codes(found)


def test_folders_that_are_no_layout(tmp_path: Path) -> None:
    save(tmp_path / "a/scratch/0.png", 0)
    assert "no-good" in codes(one(tmp_path / "a"))
    (tmp_path / "b").mkdir()
    assert codes(one(tmp_path / "b")) == {"no-images"}
    save(tmp_path / "c/test/good/0.png", 0)
    assert "no-training-images" in codes(one(tmp_path / "c"))
    (tmp_path / "d/train/good").mkdir(parents=True)
    assert "empty-folder" in codes(one(tmp_path / "d"))
    for name in ("good", "ok", "images", "dent"):
        save(tmp_path / f"e/{name}/0.png", len(name))
    assert {"same-folder", "no-kind"} <= codes(one(tmp_path / "e"))
    save(tmp_path / "f/good/0.png", 0)
    save(tmp_path / "f/good/0_mask.png", 1)
    assert "mask-beside-image" in codes(one(tmp_path / "f"))
    root = folder(tmp_path / "g")
    save_mask(root / "ground_truth/0.png")
    save_mask(root / "test/masks/0.png")
    assert {"masks-of-no-kind", "masks-in-test"} <= codes(one(root))
    save(tmp_path / "h/0.png", 0)
    assert one(tmp_path / "h").layout == "only images"
    with pytest.raises(DataError, match="does not exist"):
        examine(tmp_path / "nothing")


def test_whatever_the_library_refuses_is_an_error_here(tmp_path: Path) -> None:
    """Whenever `AnomalyFolder` raises, one error at least is reported, and the other way round for its own checks."""
    root = folder(tmp_path / "part")
    (root / "test/dent/000.png").rename(root / "test/dent/001.bmp")
    (root / "ground_truth/dent/000_mask.png").unlink()
    with pytest.raises(DataError):
        AnomalyFolder(root)
    found = one(root)
    assert found.number("error") >= 1 and "same-name" in codes(found)
    twins = folder(tmp_path / "twins")
    Image.new("L", (10, 10)).save(save(twins / "twins/dent/000.png", 0))
    assert "refused" in codes(one(twins))


def test_several_categories_and_odd_names(tmp_path: Path) -> None:
    folder(tmp_path / "one")
    folder(tmp_path / "t{w}o")
    shutil.copytree(tmp_path / "t{w}o/test/dent", tmp_path / "t{w}o/test/{x}")
    found = examine(tmp_path)
    assert [category.name for category in found] == ["one", "t{w}o"]
    assert "{x}" in named(found[1], "repeated-kinds").text
    assert describe(found).count("") == 1  # a line between them
    first = next(line for line in describe(found, most=1) if "more like these" in line)
    assert "and 4 more like these" in first


# ---------------------------------------------------------------------------------------------------- lookalikes


def again(picture: Image.Image, how: str) -> Image.Image:
    buffer = io.BytesIO()
    if how == "jpeg":
        picture.save(buffer, "JPEG", quality=75)
        return Image.open(buffer).convert("RGB")
    if how == "half":
        return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BILINEAR)
    return ImageEnhance.Brightness(picture).enhance(1.2)


@pytest.mark.parametrize("how", ["jpeg", "half", "brighter"])
def test_the_same_picture_is_found_among_many(how: str, tmp_path: Path) -> None:
    root = make_toy(tmp_path, "metal", train=30, test_good=5, test_defective=5, size=128)
    picture = again(Image.open(root / "train/good/007.png").convert("RGB"), how)
    picture.save(root / "test/good/099.png")
    problem = named(one(root), "alike-train-test")
    assert (problem.file, problem.others) == ("test/good/099.png", ("train/good/007.png",))
    assert codes(one(root), "warning", "error") <= {"alike-train-test", "few-images", "other-size"}


def test_two_sorts_of_a_product_are_not_taken_for_one(rng: np.random.Generator) -> None:
    """The mean of all is that of neither sort, and all of one sort are alike, but for what is their own."""
    sorts = rng.normal(size=(2, 2304))
    pictures = np.concatenate([one_sort + 0.1 * rng.normal(size=(30, 2304)) for one_sort in sorts]).astype(np.float32)
    valid = np.ones(pictures.shape, bool)
    assert lookalikes(pictures, valid) == []
    pictures[40] = pictures[3] + 0.01 * rng.normal(size=2304)
    assert [(i, j) for i, j, _ in lookalikes(pictures, valid)] == [(3, 40)]


def test_more_pictures_than_are_compared_at_once(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrkd_edu.inspection.lookalikes.BLOCK", 16)
    pictures = rng.normal(size=(50, 2304)).astype(np.float32)
    pictures[45] = pictures[2]
    pictures[33] = pictures[2]
    valid = rng.random(pictures.shape) < 0.9
    assert groups((i, j) for i, j, _ in lookalikes(pictures, valid)) == [[2, 33, 45]]


def test_sets_of_which_nothing_can_be_told() -> None:
    for number in (0, 1, 2, 11):
        assert lookalikes(np.zeros((number, 2304), np.float32), np.ones((number, 2304), bool)) == []
    blank = np.zeros((20, 2304), np.float32)
    assert all(correlation == 1 for _, _, correlation in lookalikes(blank, np.ones(blank.shape, bool)))


def test_a_thumbnail_of_a_blown_out_picture_counts_everywhere() -> None:
    values, valid = thumbnail(Image.new("RGB", (50, 50), "white"))
    assert valid.all() and abs(values).max() < 1e-6
    half = Image.new("RGB", (96, 96), "white")
    half.paste((90, 90, 90), (0, 0, 96, 48))
    assert 0.4 < thumbnail(half)[1].mean() < 0.5
