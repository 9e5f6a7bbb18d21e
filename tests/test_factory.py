"""The toy factory: twins, masks, repeatability, and a folder that is whole or not there."""

from __future__ import annotations

import errno
import hashlib
import json
import runpy
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from mrkd_edu.runtime.writing import NotWritten
from mrkd_edu.toy import CATEGORIES, cached_toy, growing_pair, make_toy, render_normal, render_pair, write
from mrkd_edu.toy import defects as shared_defects

KINDS = ("chip", "dent", "foreign", "scratch", "stain")  # of the category metal
EVERY = [(category, kind) for category, product in CATEGORIES.items() for kind in product.defects]
COUNTED = ("missing", "swapped", "extra")  # kinds of `tray` whose strength is a number of parts: it grows in steps
SMALL: dict[str, Any] = {"train": 2, "test_good": 1, "test_defective": 6, "size": 64}
SCRIPT = Path(__file__).parents[1] / "data_scripts" / "make_toy.py"


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def changed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pixels that differ in any channel, bool (H, W)."""
    return (a != b).any(axis=2)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), **SMALL)


# --- pairs ---------------------------------------------------------------------------------------


def test_four_categories_of_at_least_four_kinds() -> None:
    assert set(CATEGORIES) == {"metal", "fabric", "surface", "tray"}
    assert all(name == product.name and len(product.defects) >= 4 for name, product in CATEGORIES.items())
    assert tuple(CATEGORIES["metal"].defects) == KINDS


@pytest.mark.parametrize(("category", "kind"), EVERY)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("strength", [0.15, 1.0])
def test_a_pair_differs_in_the_mask_and_nowhere_else(category: str, kind: str, seed: int, strength: float) -> None:
    pair = render_pair(category, kind, strength, size=128, seed=seed)
    difference = changed(pair.normal, pair.defective)
    assert pair.mask.dtype == bool and pair.mask.shape == (128, 128)
    assert pair.normal.dtype == pair.defective.dtype == np.uint8
    assert 4 <= pair.mask.sum() < 128 * 128 / 6
    assert not (difference & ~binary_dilation(pair.mask, np.ones((3, 3)))).any()
    # A faint defect sinks below one grey level here and there; a strong one changes nearly all of its mask.
    assert difference[pair.mask].mean() > (0.75 if strength == 1 else 0.2)


@pytest.mark.parametrize(("category", "kind"), EVERY)
def test_strength_zero_is_the_normal_picture(category: str, kind: str) -> None:
    pair = render_pair(category, kind, 0, size=64, seed=3)
    assert np.array_equal(pair.normal, pair.defective)
    assert not pair.mask.any()


@pytest.mark.parametrize(("category", "kind"), EVERY)
def test_a_growing_pair_is_the_pair_of_each_strength(category: str, kind: str) -> None:
    grown = growing_pair(category, kind, size=64, seed=5)
    for strength in (1.0, 0.2, 0.0, 0.2):  # one leaves no trace in the next
        expected = render_pair(category, kind, strength, size=64, seed=5)
        assert all(np.array_equal(a, b) for a, b in zip(grown(strength), expected, strict=True))


@pytest.mark.parametrize(("category", "kind"), EVERY)
def test_strength_moves_nothing_but_the_defect(category: str, kind: str) -> None:
    pairs = [render_pair(category, kind, s, size=96, seed=4) for s in (0.02, 0.2, 0.5, 1.0)]
    normal = render_normal(category, size=96, seed=4)
    assert all(np.array_equal(pair.normal, normal) for pair in pairs)
    effects = [np.abs(pair.defective.astype(int) - pair.normal).sum() for pair in pairs]
    assert effects == sorted(effects) and effects[0] < effects[-1] / (2 if kind in COUNTED else 10)
    middles = [np.argwhere(pair.mask).mean(axis=0) for pair in pairs if pair.mask.any()]
    assert np.ptp(middles, axis=0).max() < 96 / 10  # it stays where it is


@pytest.mark.parametrize(("category", "kind"), [pair for pair in EVERY if pair[1] not in COUNTED])
def test_a_small_step_of_strength_is_a_small_step_of_the_picture(category: str, kind: str) -> None:
    before, after = (render_pair(category, kind, s, size=64, seed=5).defective for s in (0.6, 0.61))
    full = render_pair(category, kind, 1.0, size=64, seed=5)
    step = np.abs(after.astype(int) - before).sum()
    assert step < 0.15 * np.abs(full.defective.astype(int) - full.normal).sum()


@pytest.mark.parametrize("category", CATEGORIES)
def test_normal_pictures_vary(category: str) -> None:
    pictures = np.stack([render_normal(category, size=64, seed=seed) for seed in range(6)]).astype(float)
    assert (pictures.std(axis=0).mean(axis=2) > 0.5).mean() > 0.95
    # Light and exposure drift, but nobody switches the lamp off.
    brightness = pictures.mean(axis=(1, 2, 3))
    assert np.ptp(brightness) > 2 and 60 < brightness.min() < brightness.max() < 190


@pytest.mark.parametrize("category", CATEGORIES)
def test_highlights_are_not_clipped(category: str) -> None:
    assert (render_normal(category, size=128, seed=0) == 255).mean() < 0.01


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("size", [32, 97, 130])
def test_any_size_shows_the_same_scene(category: str, size: int) -> None:
    pair = render_pair(category, next(iter(CATEGORIES[category].defects)), 1, size=size, seed=2)
    assert pair.defective.shape == (size, size, 3) and pair.mask.any()
    reference = np.asarray(Image.fromarray(render_normal(category, size=256, seed=2)).resize((32, 32), 4))
    shrunk = np.asarray(Image.fromarray(pair.normal).resize((32, 32), 4))
    assert np.abs(shrunk.astype(int) - reference).mean() < 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wood", "dent", 0.5), "no category 'wood'; choose one of metal"),
        (("metal", "hole", 0.5), "no defect 'hole'; choose one of chip, dent, foreign, scratch, stain"),
        (("metal", "dent", 1.5), "between 0 and 1"),
        (("metal", "dent", float("nan")), "between 0 and 1"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[str, str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render_pair(*arguments, size=64)


def test_wrong_numbers_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 32"):
        render_normal(size=16)
    with pytest.raises(ValueError, match="seed"):
        make_toy(tmp_path / "new", seed=-1)
    with pytest.raises(ValueError, match="train must be 0 or more"):
        make_toy(tmp_path / "new", train=-1)
    assert not (tmp_path / "new").exists()


# --- the folder ----------------------------------------------------------------------------------


def test_the_layout_is_mvtecs(toy: Path) -> None:
    expected = {"train/good/000.png", "train/good/001.png", "test/good/000.png", "toy.json"}
    for kind, count in {"chip": 2, "dent": 1, "foreign": 1, "scratch": 1, "stain": 1}.items():
        for i in range(count):
            expected |= {f"test/{kind}/{i:03d}.png", f"twins/{kind}/{i:03d}.png"}
            expected.add(f"ground_truth/{kind}/{i:03d}_mask.png")
    assert set(hashes(toy)) == expected
    assert toy.name == "metal"
    assert [path.name for path in toy.parent.iterdir()] == ["metal"]  # nothing unfinished is left


def test_the_files_are_a_picture_its_twin_and_its_mask(toy: Path) -> None:
    for path in sorted(toy.glob("test/*/*.png")):
        picture = np.asarray(Image.open(path))
        assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
        if (kind := path.parent.name) == "good":
            continue
        twin = np.asarray(Image.open(toy / "twins" / kind / path.name))
        mask = np.asarray(Image.open(toy / "ground_truth" / kind / f"{path.stem}_mask.png"))
        assert mask.shape == (64, 64) and set(np.unique(mask)) == {0, 255}
        difference = changed(picture, twin)
        assert difference[mask > 0].any()
        assert not (difference & ~binary_dilation(mask > 0, np.ones((3, 3)))).any()


def test_toy_json_says_how_it_was_made(toy: Path) -> None:
    record = json.loads((toy / "toy.json").read_text())
    defaults = {"category": "metal", "seed": 0, "strengths": [0.15, 1.0], "version": 0}
    assert record["settings"] | {"version": 0} == SMALL | defaults
    assert [entry["kind"] for entry in record["defective"]] == [*KINDS, "chip"]
    assert all((toy / entry["image"]).is_file() for entry in record["defective"])
    strengths = [entry["strength"] for entry in record["defective"]]
    assert all(0.15 <= strength <= 1 for strength in strengths) and len(set(strengths)) == 6


def test_strengths_are_as_asked(tmp_path: Path) -> None:
    few: dict[str, Any] = {"train": 0, "test_good": 0, "test_defective": 4, "size": 32}
    faint = make_toy(tmp_path, strengths=(0.2, 0.4), **few)
    found = [entry["strength"] for entry in json.loads((faint / "toy.json").read_text())["defective"]]
    assert all(0.2 <= strength <= 0.4 for strength in found) and len(set(found)) == 4
    with pytest.raises(FileExistsError, match=r"strengths is \[0.2, 0.4\], not \[0.15, 1.0\]"):
        make_toy(tmp_path, **few)
    for wrong in ((0.4, 0.2), (0.0, 0.5), (0.5, 1.1), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="the weakest first"):
            make_toy(tmp_path / "wrong", strengths=wrong, **few)


def test_a_set_from_before_one_could_choose_strengths_is_reused(tmp_path: Path) -> None:
    few: dict[str, Any] = {"train": 1, "test_good": 0, "test_defective": 1, "size": 32}
    path = make_toy(tmp_path, **few)
    record = json.loads((path / "toy.json").read_text())
    del record["settings"]["strengths"]
    (path / "toy.json").write_text(json.dumps(record))
    assert make_toy(tmp_path, **few) == path


def test_no_two_pictures_are_equal(toy: Path) -> None:
    pictures = hashes(toy)
    shown = [value for name, value in pictures.items() if name.startswith(("train", "test", "twins"))]
    assert len(set(shown)) == len(shown) == 2 + 1 + 2 * 6


def test_same_seed_same_bytes_other_seed_other_pictures(toy: Path, tmp_path: Path) -> None:
    assert hashes(make_toy(tmp_path / "again", **SMALL)) == hashes(toy)
    few: dict[str, Any] = {"train": 1, "test_good": 0, "test_defective": 1, "size": 64}
    other = hashes(make_toy(tmp_path / "other", seed=1, **few))
    assert other["train/good/000.png"] != hashes(toy)["train/good/000.png"]


def test_more_pictures_never_change_the_earlier_ones(toy: Path, tmp_path: Path) -> None:
    few = hashes(make_toy(tmp_path, train=1, test_good=0, test_defective=3, size=64))
    few.pop("toy.json")
    assert few.items() <= hashes(toy).items()


def test_the_same_folder_is_reused_untouched(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"train": 1, "test_good": 0, "test_defective": 1, "size": 32}
    path = make_toy(tmp_path, **settings)
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*")}
    for name in (".DS_Store", "train/good/Thumbs.db"):
        (path / name).touch()  # what a file browser leaves behind is no reason to refuse
    assert make_toy(str(tmp_path), **settings) == path
    assert all(p.stat().st_mtime_ns == then for p, then in before.items() if p.suffix)


def test_a_folder_that_differs_is_refused_and_left_alone(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"train": 1, "test_good": 0, "test_defective": 1, "size": 32}
    path = make_toy(tmp_path, **settings)

    def refused(match: str, **other: Any) -> None:
        before = hashes(path)
        with pytest.raises(FileExistsError, match=match) as caught:
            make_toy(tmp_path, **settings | other)
        assert str(path) in str(caught.value) and "nothing was overwritten" in str(caught.value)
        assert hashes(path) == before

    refused("seed is 0, not 7", seed=7)
    refused("train is 1, not 2; size is 32, not 64", train=2, size=64)
    (path / "test" / "chip" / "mine.png").touch()
    refused("not its own, first test/chip/mine.png")
    (path / "test" / "chip" / "mine.png").unlink()
    (path / "test" / "hole").mkdir()
    refused("not its own, first test/hole")
    (path / "test" / "hole").rmdir()
    (path / "train" / "good" / "000.png").write_bytes(b"")
    refused("lacks 1 of its files, first train/good/000.png")
    (path / "train" / "good" / "000.png").unlink()
    refused("lacks 1 of its files, first train/good/000.png")
    (path / "toy.json").write_text("[")
    refused("not made by the toy factory")


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    metal = CATEGORIES["metal"]
    broken = replace(metal, defects=metal.defects | {"dent": interrupt})  # the second defect never ends
    with monkeypatch.context() as patch:
        patch.setitem(CATEGORIES, "metal", broken)
        with pytest.raises(KeyboardInterrupt):
            make_toy(tmp_path, **SMALL)
    assert list(tmp_path.iterdir()) == []


# --- the library's own copy ----------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cached_set_is_made_once(cache: Path, toy: Path) -> None:
    path = cached_toy(**SMALL)
    assert path.name == "metal" and path.parents[1] == cache / "toy"
    assert hashes(path) == hashes(toy)
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*")}
    assert cached_toy(**dict(reversed(SMALL.items()))) == path  # the order of the settings says nothing
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*")} == before


def test_other_settings_and_versions_are_kept_apart(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few: dict[str, Any] = {"train": 1, "test_good": 0, "test_defective": 0, "size": 32}
    first, second = cached_toy(**few), cached_toy(**few, seed=1)
    monkeypatch.setattr(write, "VERSION", write.VERSION + 1)
    third = cached_toy(**few)
    assert len({first, second, third}) == len(list((cache / "toy").iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: (path / "test/good/000.png").unlink(), id="a file is gone"),
        pytest.param(lambda path: (path / "twins/dent/000.png").write_bytes(b""), id="a file is empty"),
        pytest.param(lambda path: (path / "toy.json").write_text("["), id="the record is damaged"),
        pytest.param(lambda path: (path / "toy.json").write_text("{}"), id="the record is another"),
        pytest.param(lambda path: (path / "test/chip/mine.png").touch(), id="a file was added"),
        pytest.param(lambda path: (path / "test/hole").mkdir(), id="a folder was added"),
        pytest.param(lambda path: shutil.rmtree(path / "train"), id="half of it is gone"),
        pytest.param(lambda path: (shutil.rmtree(path), path.touch()), id="it is a file"),
    ],
)
def test_a_damaged_cached_set_is_made_anew(cache: Path, toy: Path, damage: Any) -> None:
    path = cached_toy(**SMALL)
    damage(path)
    assert cached_toy(**SMALL) == path
    assert hashes(path) == hashes(toy)
    assert [p.name for p in path.parent.iterdir()] == ["metal"]  # nothing damaged or unfinished is left


def test_two_at_once_share_one_set(cache: Path, toy: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        paths = {future.result() for future in [pool.submit(cached_toy, **SMALL) for _ in range(3)]}
    (path,) = paths
    assert hashes(path) == hashes(toy)
    assert [p.name for p in path.parent.iterdir()] == ["metal"]


def test_two_processes_repair_one_set(cache: Path, toy: Path) -> None:
    path = cached_toy(**SMALL)
    (path / "train/good/000.png").unlink()
    code = f"from mrkd_edu.toy import cached_toy; print(cached_toy(**{SMALL}))"
    command, place = [sys.executable, "-c", code], Path(__file__).parents[1]
    both = [subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == [str(path)] * 2
    assert hashes(path) == hashes(toy)
    assert [p.name for p in path.parent.iterdir()] == ["metal"]


def test_wrong_settings_leave_the_cache_alone(cache: Path) -> None:
    with pytest.raises(ValueError, match="no category 'wood'"):
        cached_toy("wood")
    with pytest.raises(ValueError, match="at least 32"):
        cached_toy(size=16)
    with pytest.raises(TypeError, match="colour"):
        cached_toy(colour=3)
    assert not cache.exists()


# --- the script ----------------------------------------------------------------------------------


def test_the_script_writes_reuses_and_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(*more: str) -> None:
        few = ["--train", "1", "--test-good", "1", "--test-defective", "1", "--size", "32"]
        monkeypatch.setattr("sys.argv", [str(SCRIPT), str(tmp_path), *few, *more])
        runpy.run_path(str(SCRIPT), run_name="__main__")

    for _ in range(2):
        script()
        assert capsys.readouterr().out.strip() == str(tmp_path / "metal")
    before = hashes(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        script("--seed", "3")
    assert stopped.value.code == 2 and "seed is 0, not 3" in capsys.readouterr().err
    assert hashes(tmp_path) == before


def test_defects_leave_the_scene_they_were_given_alone() -> None:
    scene = CATEGORIES["metal"].build(np.random.default_rng(0), 64)
    before = [layer.height.copy() for layer in scene.layers], [layer.light.copy() for layer in scene.layers]
    for kind in KINDS:
        getattr(shared_defects, kind)(scene, 1.0, np.random.default_rng(1))
    after = [layer.height for layer in scene.layers], [layer.light for layer in scene.layers]
    assert all(
        np.array_equal(a, b) for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True)
    )


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, path: Path, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(NotWritten, match=r"metal cannot be written: No space left on device\. Make room"):
        make_toy(tmp_path, "metal", train=1, test_good=1, test_defective=1)
    assert list(tmp_path.iterdir()) == []
