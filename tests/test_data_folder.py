"""Data sets on disk: the three layouts, masks and twins, and the errors for everything that can be wrong."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mrkd_edu.data import AnomalyFolder, DataError, ImageStack, Sample, find_categories

SIDE = 24


def save(path: Path, grey: int = 100, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """One grey image; the folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)
    return path


def save_mask(path: Path, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """A mask whose left half is the defect."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    mask.save(path)
    return path


def mvtec(root: Path, masks: bool = True, twins: bool = False) -> Path:
    """Four training images, two good test images, two scratches, one dent."""
    for i in range(4):
        save(root / f"train/good/{i:03}.png", 100 + i)
    for i in range(2):
        save(root / f"test/good/{i:03}.png", 110 + i)
    for i, name in enumerate(("scratch/000", "scratch/001", "dent/000")):
        save(root / f"test/{name}.png", 120 + i)
        if masks:
            save_mask(root / f"ground_truth/{name}_mask.png")
        if twins:
            save(root / f"twins/{name}.jpg", 200 + i)
    return root


def names(samples: list[Sample]) -> list[str]:
    return [f"{sample.kind}/{sample.path.name}" for sample in samples]


# ------------------------------------------------------------------------------------------- MVTec layout


def test_mvtec_layout(tmp_path: Path) -> None:
    data = AnomalyFolder(str(mvtec(tmp_path / "washer")))
    assert data.root == tmp_path / "washer"
    assert data.name == "washer"
    assert names(data.train) == ["good/000.png", "good/001.png", "good/002.png", "good/003.png"]
    assert names(data.test) == [
        "good/000.png",
        "good/001.png",
        "dent/000.png",
        "scratch/000.png",
        "scratch/001.png",
    ]
    assert data.kinds == ["dent", "scratch"]
    assert data.has_masks and not data.has_twins
    assert data.test[2] == Sample(
        path=tmp_path / "washer/test/dent/000.png",
        label=1,
        kind="dent",
        mask=tmp_path / "washer/ground_truth/dent/000_mask.png",
        twin=None,
    )
    assert data.test_labels.tolist() == [0, 0, 1, 1, 1]
    assert all(sample.label == 0 and sample.mask is None for sample in data.train)


def test_images_and_masks(tmp_path: Path) -> None:
    data = AnomalyFolder(mvtec(tmp_path))
    train, test = data.train_images(8), data.test_images(8)
    assert isinstance(train, ImageStack) and train.shape == (4, 3, 8, 8)
    assert test[:][:, 0, 0, 0].tolist() == [110, 111, 122, 120, 121]
    masks = data.test_masks(8)
    assert masks.shape == (5, 8, 8) and masks.dtype == bool
    assert not masks[:2].any()
    assert masks[2:, :, :4].all() and not masks[2:, :, 4:].any()


def test_summary_and_repr(tmp_path: Path) -> None:
    data = AnomalyFolder(mvtec(tmp_path / "washer", twins=True))
    assert data.summary().splitlines() == [
        "washer",
        "  train  good        4",
        "  test   good        2",
        "  test   dent        1  masks, twins",
        "  test   scratch     2  masks, twins",
    ]
    assert repr(data) == f"AnomalyFolder('{tmp_path / 'washer'}': 4 train, 2 good + 3 defective test)"


def test_name_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mvtec(tmp_path / "washer"))
    assert AnomalyFolder(".").name == "washer"


@pytest.mark.parametrize("good", ["ok", "OK", "Normal", "GOOD"])
def test_synonyms_of_good(tmp_path: Path, good: str) -> None:
    root = mvtec(tmp_path)
    for split in ("train", "test"):
        (root / split / "good").rename(root / split / "aside")
        (root / split / "aside").rename(root / split / good)
    data = AnomalyFolder(root)
    assert names(data.test)[:2] == ["good/000.png", "good/001.png"]
    assert data.kinds == ["dent", "scratch"]


@pytest.mark.parametrize(
    "mask",
    [
        "ground_truth/dent/000_mask.png",
        "ground_truth/dent/000.bmp",
        "Ground_Truth/DENT/000_MASK.TIF",
        "masks/dent/000.png",
    ],
)
def test_names_of_masks(tmp_path: Path, mask: str) -> None:
    save(tmp_path / "train/good/0.png")
    save(tmp_path / "test/dent/000.jpg")
    save_mask(tmp_path / mask)
    data = AnomalyFolder(tmp_path)
    assert data.has_masks
    assert data.test[0].mask == tmp_path / mask


def test_name_with_mask_wins(tmp_path: Path) -> None:
    root = mvtec(tmp_path)
    save_mask(root / "ground_truth/dent/000.png")
    assert AnomalyFolder(root).test[2].mask == root / "ground_truth/dent/000_mask.png"


def test_numbers_in_names_are_sorted_as_numbers(tmp_path: Path) -> None:
    for name in ("img10", "img9", "img1"):
        save(tmp_path / f"train/good/{name}.png")
    assert names(AnomalyFolder(tmp_path).train) == ["good/img1.png", "good/img9.png", "good/img10.png"]


def test_what_is_not_part_of_a_data_set_is_passed_over(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "a")
    before = AnomalyFolder(root).fingerprint()
    for name in (
        "license.txt",
        "train/good/.DS_Store",
        "test/Thumbs.db",
        "test/.cache/0.png",
        "test/__MACOSX/0.png",
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("nothing")
    assert AnomalyFolder(root).fingerprint() == before


def test_train_only(tmp_path: Path) -> None:
    save(tmp_path / "train/good/0.png")
    data = AnomalyFolder(tmp_path)
    assert data.test == [] and data.kinds == [] and not data.has_masks
    assert data.test_labels.shape == (0,)
    assert data.test_images(8).shape == (0, 3, 8, 8)
    with pytest.raises(DataError, match="no defective images, and so no masks"):
        data.test_masks(8)


def test_images_of_different_sizes(tmp_path: Path) -> None:
    save(tmp_path / "train/good/0.png", size=(20, 30))
    save(tmp_path / "train/good/1.png", size=(50, 10))
    save(tmp_path / "test/dent/0.png", size=(40, 20))
    save_mask(tmp_path / "ground_truth/dent/0.png", size=(40, 20))
    data = AnomalyFolder(tmp_path)
    assert data.train_images(16)[:].shape == (2, 3, 16, 16)
    assert data.test_masks(16)[0, :, :8].all()


def test_mask_of_a_rotated_photo(tmp_path: Path) -> None:
    """The mask was drawn on the picture as people see it, upright."""
    save(tmp_path / "train/good/0.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "test/dent").mkdir(parents=True)
    Image.new("L", (40, 20)).save(tmp_path / "test/dent/0.jpg", exif=exif)
    save_mask(tmp_path / "ground_truth/dent/0.png", size=(20, 40))
    assert AnomalyFolder(tmp_path).test_masks(8)[0, :, :4].all()


# ------------------------------------------------------------------------------------------ plain layouts


def test_good_and_kinds(tmp_path: Path) -> None:
    """Every fifth normal image, counted in natural order, is a test image."""
    for i in range(12):
        save(tmp_path / f"good/{i}.png")
    save(tmp_path / "dent/a.jpg")
    save(tmp_path / "Scratch/b.bmp")
    data = AnomalyFolder(tmp_path)
    assert names(data.test) == ["good/4.png", "good/9.png", "dent/a.jpg", "Scratch/b.bmp"]
    assert [int(sample.path.stem) for sample in data.train] == [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]
    assert data.kinds == ["dent", "Scratch"]
    assert len(data.train) == 12 - 12 // 5
    assert not data.has_masks
    with pytest.raises(DataError, match=r"has no masks; for pixel metrics add ground_truth/<kind>/"):
        data.test_masks(8)


@pytest.mark.parametrize("folder", ["ground_truth", "masks"])
def test_good_and_kinds_with_masks_and_twins(tmp_path: Path, folder: str) -> None:
    for i in range(5):
        save(tmp_path / f"ok/{i}.png")
    save(tmp_path / "dent/a.jpg", 130)
    save_mask(tmp_path / folder / "dent/a.png")
    save(tmp_path / "twins/dent/a.png", 140)
    data = AnomalyFolder(tmp_path)
    assert data.kinds == ["dent"]
    assert data.has_masks and data.has_twins
    assert data.test_masks(8).any(axis=(1, 2)).tolist() == [False, True]


def test_good_alone_is_all_for_training(tmp_path: Path) -> None:
    for i in range(10):
        save(tmp_path / f"good/{i}.png")
    data = AnomalyFolder(tmp_path)
    assert len(data.train) == 10 and data.test == []


def test_images_alone(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.jpg")
    (tmp_path / "runs").mkdir()
    data = AnomalyFolder(tmp_path)
    assert names(data.train) == ["good/0.jpg", "good/1.jpg", "good/2.jpg"]
    assert data.test == []
    assert data.summary().splitlines()[1:] == ["  train  good     3", "  left out: folder runs/"]


# ---------------------------------------------------------------------------------------------------- twins


def test_twin_pairs(tmp_path: Path) -> None:
    data = AnomalyFolder(mvtec(tmp_path, twins=True))
    assert data.has_twins
    normal, defective, masks = data.twin_pairs(8)
    assert normal[:][:, 0, 0, 0].tolist() == [202, 200, 201]
    assert defective[:][:, 0, 0, 0].tolist() == [122, 120, 121]
    assert masks.shape == (3, 8, 8) and masks.dtype == bool and masks[:, :, :4].all()


def test_twins_of_some_images(tmp_path: Path) -> None:
    root = mvtec(tmp_path, twins=True)
    (root / "twins/dent/000.jpg").unlink()
    normal, defective, masks = AnomalyFolder(root).twin_pairs(8)
    assert len(normal) == len(defective) == len(masks) == 2


@pytest.mark.parametrize(("masks", "twins"), [(True, False), (False, True)])
def test_no_twin_pairs(tmp_path: Path, masks: bool, twins: bool) -> None:
    data = AnomalyFolder(mvtec(tmp_path, masks=masks, twins=twins))
    assert not data.has_twins
    with pytest.raises(DataError, match=r"put twins in twins/<kind>/"):
        data.twin_pairs(8)


def test_twin_of_another_size(tmp_path: Path) -> None:
    root = mvtec(tmp_path, twins=True)
    save(root / "twins/dent/000.jpg", size=(30, 20))
    with pytest.raises(DataError, match=r"the twin .*000\.jpg is 20 x 30 .* its image .*000\.png 24 x 24"):
        AnomalyFolder(root)


# --------------------------------------------------------------------------------------------------- errors


def test_missing_masks_are_named(tmp_path: Path) -> None:
    root = mvtec(tmp_path)
    (root / "ground_truth/scratch/001_mask.png").unlink()
    with pytest.raises(DataError) as error:
        AnomalyFolder(root)
    message = str(error.value)
    assert "1 of the 3 defective images" in message
    assert "ground_truth/scratch/001_mask.png" in message
    assert "or move ground_truth/ away to work without masks" in message
    shutil.rmtree(root / "ground_truth")
    assert not AnomalyFolder(root).has_masks  # the cure works


def test_only_the_first_missing_masks_are_named(tmp_path: Path) -> None:
    root = mvtec(tmp_path)
    for i in range(2, 12):
        save(root / f"test/scratch/{i:03}.png")
    with pytest.raises(DataError, match=r"10 of the 13 .*002_mask.*006_mask\.png and 5 more") as error:
        AnomalyFolder(root)
    assert "007_mask" not in str(error.value)


def test_masks_whose_names_fit_nothing(tmp_path: Path) -> None:
    root = mvtec(tmp_path, masks=False)
    save_mask(root / "ground_truth/dent/label-0.png")
    with pytest.raises(DataError, match=r"no mask for 3 of the 3 defective images of "):
        AnomalyFolder(root)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("scratch/0.png", "masks/0.png"),
        ("scratch/0.png", "ground_truth/0_mask.png"),
        ("test/scratch/0.png", "Ground_Truth/0.png"),
    ],
)
def test_masks_without_a_folder_of_their_kind(tmp_path: Path, image: str, mask: str) -> None:
    save(tmp_path / ("train/good/0.png" if image.startswith("test") else "good/0.png"))
    save(tmp_path / image)
    save_mask(tmp_path / mask)
    with pytest.raises(DataError) as error:
        AnomalyFolder(tmp_path)
    folder, name = mask.split("/")
    assert f"{tmp_path / folder} holds {name} directly" in str(error.value)
    assert f"{folder}/<kind>/<image name>_mask.png" in str(error.value)
    assert f"{tmp_path / image} is {folder}/scratch/0_mask.png" in str(error.value)
    (tmp_path / folder / "scratch").mkdir()
    (tmp_path / mask).rename(tmp_path / folder / "scratch/0_mask.png")
    assert AnomalyFolder(tmp_path).has_masks  # the cure works


def test_a_picture_beside_complete_masks_is_passed_over(tmp_path: Path) -> None:
    root = mvtec(tmp_path)
    save(root / "ground_truth/overview.png")
    assert AnomalyFolder(root).has_masks


def test_mask_of_another_size(tmp_path: Path) -> None:
    root = mvtec(tmp_path)
    save_mask(root / "ground_truth/dent/000_mask.png", size=(48, 24))
    with pytest.raises(
        DataError, match=r"the mask .*dent/000_mask\.png is 24 x 48 .* its image .*000\.png 24 x 24"
    ):
        AnomalyFolder(root)


def test_mask_that_was_replaced_by_one_of_another_size(tmp_path: Path) -> None:
    root = mvtec(tmp_path)
    data = AnomalyFolder(root)
    save_mask(root / "ground_truth/dent/000_mask.png", size=(48, 24))
    with pytest.raises(DataError, match=r"000_mask\.png is 24 x 48 pixels .* its image 24 x 24"):
        data.test_masks(8)


def test_black_mask_of_a_defective_image(tmp_path: Path) -> None:
    root = mvtec(tmp_path, twins=True)
    save(root / "ground_truth/dent/000_mask.png", grey=0)
    data = AnomalyFolder(root)
    for read in (data.test_masks, data.twin_pairs):
        with pytest.raises(
            DataError, match=r"dent/000_mask\.png is all black, but .*dent/000\.png is defective"
        ):
            read(8)


@pytest.mark.parametrize(
    "file",
    [
        "train/good/002.png",
        "test/good/001.png",
        "test/dent/000.png",
        "ground_truth/dent/000_mask.png",
        "twins/dent/000.jpg",
    ],
)
def test_one_unreadable_file_is_named_before_training(tmp_path: Path, file: str) -> None:
    root = mvtec(tmp_path, twins=True)
    (root / file).write_bytes(b"")
    with pytest.raises(DataError, match=rf"{file} is empty \(0 bytes\)"):
        AnomalyFolder(root)
    (root / file).write_text("no image")
    with pytest.raises(DataError, match=rf"{file} is not an image"):
        AnomalyFolder(root)


def test_truncated_image_is_named_when_it_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    root = mvtec(tmp_path)
    path = root / "train/good/001.png"
    Image.fromarray(rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:300])
    data = AnomalyFolder(root)
    with pytest.raises(DataError, match=r"train/good/001\.png cannot be read"):
        data.train_images(8)[:]


def test_no_folder(tmp_path: Path) -> None:
    for root in (tmp_path / "nowhere", save(tmp_path / "a.png")):
        for read in (AnomalyFolder, find_categories):
            with pytest.raises(DataError, match=r"(does not exist|is not a folder); give"):
                read(root)


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no images; put images directly into it \(\.jpg, "):
        AnomalyFolder(tmp_path)


@pytest.mark.parametrize("folder", ["train/good", "test/good", "test/dent"])
def test_folder_without_images(tmp_path: Path, folder: str) -> None:
    root = mvtec(tmp_path, masks=False)
    shutil.rmtree(root / folder)
    (root / folder).mkdir()
    with pytest.raises(DataError, match=rf"{folder} holds no images; .* or move the folder away"):
        AnomalyFolder(root)
    for name in ("1.heic", "2.HEIC"):
        (root / folder / name).touch()
    with pytest.raises(DataError, match=rf"{folder} holds no images \(it has 2 x \.heic\)"):
        AnomalyFolder(root)


def test_training_images_that_are_missing_or_misplaced(tmp_path: Path) -> None:
    root = mvtec(tmp_path)
    (root / "train/good").rename(root / "train/images")
    with pytest.raises(DataError, match="has no train/good; put the normal training images there"):
        AnomalyFolder(root)
    shutil.rmtree(root / "train")
    with pytest.raises(DataError, match="has no train/good; put the normal training images there"):
        AnomalyFolder(root)


def test_test_images_without_a_kind(tmp_path: Path) -> None:
    save(tmp_path / "train/good/0.png")
    save(tmp_path / "test/0.png")
    with pytest.raises(DataError, match="have no kind; sort them into good/ and <defect>/"):
        AnomalyFolder(tmp_path)


def test_defects_without_good(tmp_path: Path) -> None:
    save(tmp_path / "dent/0.png")
    with pytest.raises(
        DataError, match="has no folder of normal images, only dent; put the normal images into"
    ):
        AnomalyFolder(tmp_path)
    save(tmp_path / "0.png")  # are these the normal ones? Better ask than train on the wrong images
    with pytest.raises(DataError, match="has no folder of normal images, only dent"):
        AnomalyFolder(tmp_path)


def test_two_folders_of_good_images(tmp_path: Path) -> None:
    save(tmp_path / "good/0.png")
    save(tmp_path / "ok/0.png")
    with pytest.raises(DataError, match="good and ok mean the same; put their files into one folder"):
        AnomalyFolder(tmp_path)


# ----------------------------------------------------------------------------------------------- categories


def test_find_categories(tmp_path: Path) -> None:
    mvtec(tmp_path / "b10")
    mvtec(tmp_path / "b9")
    save(tmp_path / "mine/ok/0.png")
    save(tmp_path / "papers/0.png")
    save(tmp_path / "overview.png")
    assert [path.name for path in find_categories(tmp_path)] == ["b9", "b10", "mine"]
    assert find_categories(tmp_path / "b9") == [tmp_path / "b9"]
    assert find_categories(str(tmp_path / "mine")) == [tmp_path / "mine"]
    assert find_categories(tmp_path / "papers") == [tmp_path / "papers"]
    with pytest.raises(
        DataError, match=r"holds some \(b9, b10, mine\); name one of them, such as .*b9"
    ):
        AnomalyFolder(tmp_path)


def test_no_categories(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    assert find_categories(tmp_path) == []


def test_incomplete_category_is_found_and_then_explained(tmp_path: Path) -> None:
    save(tmp_path / "broken/test/good/0.png")
    assert find_categories(tmp_path) == [tmp_path / "broken"]
    with pytest.raises(DataError, match=r"broken has no train/good; put"):
        AnomalyFolder(tmp_path / "broken")


# ---------------------------------------------------------------------------------------------- fingerprint


def test_fingerprint_is_that_of_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = mvtec(tmp_path / "here", twins=True)
    first = AnomalyFolder(root).fingerprint()
    assert len(first) == 32 and int(first, 16) >= 0
    shutil.copytree(root, tmp_path / "there/copy")
    assert AnomalyFolder(tmp_path / "there/copy").fingerprint() == first
    monkeypatch.chdir(tmp_path)
    assert AnomalyFolder("here").fingerprint() == first


@pytest.mark.parametrize(
    "file",
    [
        "train/good/002.png",
        "test/good/001.png",
        "test/dent/000.png",
        "ground_truth/dent/000_mask.png",
        "twins/dent/000.jpg",
    ],
)
def test_fingerprint_changes_with_every_file(tmp_path: Path, file: str) -> None:
    root = mvtec(tmp_path, twins=True)
    before = AnomalyFolder(root).fingerprint()
    save(root / file, grey=77)
    assert AnomalyFolder(root).fingerprint() != before


def test_fingerprint_changes_with_names_and_number(tmp_path: Path) -> None:
    root = mvtec(tmp_path)
    prints = [AnomalyFolder(root).fingerprint()]
    (root / "train/good/000.png").rename(root / "train/good/900.png")
    prints.append(AnomalyFolder(root).fingerprint())
    save(root / "train/good/901.png")
    prints.append(AnomalyFolder(root).fingerprint())
    assert len(set(prints)) == 3


def test_fingerprint_of_a_file_that_went_away(tmp_path: Path) -> None:
    data = AnomalyFolder(mvtec(tmp_path))
    data.train[0].path.unlink()
    with pytest.raises(DataError, match=r"000\.png does not exist"):
        data.fingerprint()


@settings(max_examples=15, deadline=None)
@given(
    good=st.integers(1, 13),
    counts=st.dictionaries(st.sampled_from(["dent", "ok2", "A b", "10", "9"]), st.integers(1, 3)),
)
def test_plain_folder_loses_and_doubles_no_image(
    tmp_path_factory: pytest.TempPathFactory, good: int, counts: dict[str, int]
) -> None:
    root = tmp_path_factory.mktemp("plain")
    for kind, count in {"good": good, **counts}.items():
        for i in range(count):
            save(root / kind / f"{i}.png", size=(2, 2))
    data = AnomalyFolder(root)
    used = [sample.path for sample in data.train + data.test]
    assert sorted(used) == sorted(root.glob("*/*.png"))
    assert len(data.test) == (good // 5 + sum(counts.values()) if counts else 0)
    assert int(data.test_labels.sum()) == sum(counts.values())


# ------------------------------------------------------------------------------------------------ real data


@pytest.mark.parametrize(
    ("category", "train", "test"),
    [
        ("bottle", 209, {"good": 20, "broken_large": 20, "broken_small": 22, "contamination": 21}),
        ("commutator", 202, {"good": 80, "crack": 50}),
        (
            "magnetic_tile",
            260,
            {"good": 80, "blowhole": 45, "break": 45, "crack": 45, "fray": 32, "uneven": 45},
        ),
    ],
)
def test_real_categories(real_data: Path, category: str, train: int, test: dict[str, int]) -> None:
    if not (real_data / category).is_dir():
        pytest.skip(f"{real_data} has no {category}")
    data = AnomalyFolder(real_data / category)
    assert len(data.train) == train
    assert {kind: sum(s.kind == kind for s in data.test) for kind in ("good", *data.kinds)} == test
    defective = data.test_masks(64).any(axis=(1, 2))
    assert np.array_equal(defective, data.test_labels == 1)
    assert data.test_images(64)[-3:].shape == (3, 3, 64, 64)


# ------------------------------------------------------------------------------------------ one name for two


def _plain(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(path)
    return root


def test_two_files_of_one_stem_are_refused_where_masks_depend_on_it(tmp_path: Path) -> None:
    data = _plain(tmp_path / "part", "good/0.png", "dent/a.png", "dent/a.bmp")
    assert len(AnomalyFolder(data).test) == 2  # without masks nothing depends on the names
    mask = Image.new("L", (16, 16))
    mask.paste(255, (0, 0, 4, 4))
    (data / "masks" / "dent").mkdir(parents=True)
    mask.save(data / "masks" / "dent" / "a.png")
    with pytest.raises(DataError, match=r"a\.bmp and a\.png have the same name without suffix.*rename"):
        AnomalyFolder(data)
    (data / "dent" / "a.bmp").unlink()
    mask.save(data / "masks" / "dent" / "a.tif")
    with pytest.raises(DataError, match=r"masks.dent.a\.png and a\.tif have the same name"):
        AnomalyFolder(data)


UMLAUT = "gr\u00fcn"


def test_umlauts_in_one_piece_and_in_two_are_one_name(tmp_path: Path) -> None:
    data = _plain(tmp_path / "part", "good/0.png", f"dent/{unicodedata.normalize('NFC', UMLAUT)}.png")
    mask = Image.new("L", (16, 16))
    mask.paste(255, (0, 0, 4, 4))
    (data / "masks" / "dent").mkdir(parents=True)
    mask.save(data / "masks" / "dent" / f"{unicodedata.normalize('NFD', UMLAUT)}_mask.png")
    assert AnomalyFolder(data).has_masks


def test_a_linked_folder_keeps_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _plain(tmp_path / "data", "good/0.png")
    (tmp_path / "screw").symlink_to(data)
    assert AnomalyFolder(tmp_path / "screw").name == "screw"
    monkeypatch.chdir(tmp_path / "screw")
    assert AnomalyFolder(".").name in ("screw", "data")  # the system may have forgotten the link


# ------------------------------------------------------------------------------------ what was taken for what


@pytest.mark.parametrize("name", ["mask", "gt", "labels", "groundtruth", "Ground_Truth", "annotations"])
def test_masks_by_any_usual_name_are_no_kind_of_defect(tmp_path: Path, name: str) -> None:
    data = _plain(tmp_path / "part", "good/0.png", "dent/a.png")
    (data / name / "dent").mkdir(parents=True)
    mask = Image.new("L", (16, 16))
    mask.paste(255, (0, 0, 4, 4))
    mask.save(data / name / "dent" / "a.png")
    found = AnomalyFolder(data)
    assert found.kinds == ["dent"] and found.has_masks


def test_folders_that_we_have_written_are_no_kind_of_defect(tmp_path: Path) -> None:
    data = _plain(tmp_path / "part", "good/0.png", "dent/a.png", "heat/a.png", "my_report/x.png")
    (data / "heat" / "scores.csv").touch()
    (data / "my_report" / "report.html").touch()
    found = AnomalyFolder(data)
    assert found.kinds == ["dent"]
    assert "folder heat/ (written by this program), folder my_report/ (written by this program)" in found.taken()


def test_a_folder_that_may_be_anything_is_refused(tmp_path: Path) -> None:
    data = _plain(tmp_path / "part", "good/0.png", "output/a.png")
    with pytest.raises(DataError, match=r"is .*output a kind of defect\?.* move it away"):
        AnomalyFolder(data)
    mvtec = _plain(tmp_path / "nut", "train/good/0.png", "test/good/0.png", "test/mask/0.png")
    with pytest.raises(DataError, match=r"masks belong in .*ground_truth"):
        AnomalyFolder(mvtec)


def test_masks_beside_their_images_are_refused(tmp_path: Path) -> None:
    for names in (("good/0.png", "dent/a.png", "dent/a_mask.png"), ("good/0.png", "good/0_mask.png", "dent/a.png")):
        data = _plain(tmp_path / names[-1].replace("/", "_"), *names)
        with pytest.raises(DataError, match=r"_mask\.png looks like the mask of the image beside it.*move masks"):
            AnomalyFolder(data)


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    data = _plain(tmp_path / "part", "train/good/0.png", "test/good/0.jfif", "test/dent/a.png", "test/dent/day2/b.png")
    for name in ("train/good/1.HEIC", "train/good/2.HEIC", "test/stray.png", "notes.txt", "Thumbs.db"):
        (data / name).touch()
    said = AnomalyFolder(data).taken()
    assert said.startswith("part: 1 normal image to learn from; to test, 1 normal and 1 defective (dent 1), no masks.")
    for what in ("2 x .heic in train/good/", "1 x .png in test/", "folder test/dent/day2/", "1 x .txt"):
        assert what in said
    assert "Thumbs" not in said and "Left out" not in AnomalyFolder(_plain(tmp_path / "whole", "good/0.png")).taken()


def test_the_library_says_what_was_left_out(tmp_path: Path) -> None:
    data = _plain(tmp_path / "part", "good/0.png", "good/1.png", "scratch/0.png")
    assert "left out" not in repr(AnomalyFolder(data)) + AnomalyFolder(data).summary()
    (data / "good" / "2.heic").write_bytes(b"")
    assert repr(AnomalyFolder(data)).endswith("test, left out 1 x .heic in good/)")
    assert AnomalyFolder(data).summary().endswith("\n  left out: 1 x .heic in good/")


def test_training_images_in_the_test_set_are_named(tmp_path: Path) -> None:
    data = tmp_path / "part"
    for i, name in enumerate(("train/good/0.png", "train/good/1.png", "test/good/0.png", "test/dent/a.png")):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (i, 0, 0)).save(data / name)
    assert AnomalyFolder(data).repeated() == []
    shutil.copy(data / "train" / "good" / "1.png", data / "test" / "good" / "again.png")
    assert AnomalyFolder(data).repeated() == [data / "test" / "good" / "again.png"]


@pytest.mark.parametrize(("bits", "factor"), [(12, 16), (10, 64)])
def test_pictures_of_12_bits_in_16_are_refused(tmp_path: Path, bits: int, factor: int) -> None:
    (tmp_path / "part" / "good").mkdir(parents=True)
    values = np.random.default_rng(0).integers(0, 2**bits, (16, 16)).astype(np.uint16)
    values[0, 0] = 2**bits - 1
    Image.fromarray(values).save(tmp_path / "part" / "good" / "0.png")
    with pytest.raises(DataError, match=rf"so they hold {bits} bits. Multiply their values by {factor}"):
        AnomalyFolder(tmp_path / "part")
    Image.fromarray(values * np.uint16(factor)).save(tmp_path / "part" / "good" / "0.png")
    assert AnomalyFolder(tmp_path / "part").train_images(16)[:].max() > 250


def test_a_second_camera_of_12_bits_is_noticed(tmp_path: Path) -> None:
    """Pictures to learn from and pictures to test on are looked at apart."""
    data = _plain(tmp_path / "part", *(f"good/{i}.png" for i in range(6)), "scratch/0.png")
    AnomalyFolder(data)
    values = np.random.default_rng(0).integers(2000, 4096, (16, 16)).astype(np.uint16)
    Image.fromarray(values).save(data / "scratch" / "0.png")
    with pytest.raises(DataError, match="hold 12 bits"):
        AnomalyFolder(data)
