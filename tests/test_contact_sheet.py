"""The contact sheet: a row a kind, honest shapes, and marks where something is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from mrkd_edu.data import DataError
from mrkd_edu.figures.contact_sheet import MARK, contact_sheet
from mrkd_edu.figures.style import Picture
from mrkd_edu.inspection.examine import examine
from mrkd_edu.toy import make_toy


@pytest.fixture
def metal(tmp_path: Path) -> Path:
    return make_toy(tmp_path, "metal", train=14, test_good=2, test_defective=5, size=64)


def drawn(figure: Picture) -> list[Axes]:
    return [ax for ax in figure.axes if ax.images]


def words(figure: Picture) -> list[str]:
    return [ax.get_xlabel() for ax in drawn(figure) if ax.get_xlabel()]


def labels(figure: Picture) -> list[str]:
    return [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]


def test_rows_counts_and_outlines(metal: Path) -> None:
    figure = contact_sheet(metal, most=4)
    assert labels(figure) == [
        "train good\n14", "test good\n2", "chip\n1", "dent\n1", "foreign\n1", "scratch\n1", "stain\n1",
    ]  # fmt: skip
    assert len(drawn(figure)) == 4 + 2 + 5
    assert [len(ax.collections) > 0 for ax in drawn(figure)] == 6 * [False] + 5 * [True]
    assert figure.get_suptitle() == "metal: 21 images"
    assert words(figure) == []


def test_what_is_wrong_is_marked_and_shown(metal: Path) -> None:
    (metal / "train/good/009.png").write_bytes(b"no picture")
    shutil.copy(metal / "train/good/011.png", metal / "test/good/001.png")
    Image.new("L", (64, 64)).save(next((metal / "ground_truth/chip").iterdir()))
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(metal / "train/good/005.png")
    (found,) = examine(metal)
    figure = contact_sheet(found, most=6)
    assert words(figure) == ["blank", "not readable", "train and test", "train and test", "mask empty"]
    blank, unreadable = (ax for ax in drawn(figure)[:2])
    assert unreadable.texts[0].get_text() == "009.png"
    assert blank.spines["left"].get_linestyle() != unreadable.spines["left"].get_linestyle() == "solid"
    assert len(set(MARK.values())) == 2
    assert figure.get_suptitle() == "metal: 21 images, 5 marked"
    assert contact_sheet(metal).get_suptitle() == "metal: 21 images"  # without findings it is not looked for


def test_shapes_are_honest_and_names_harmless(tmp_path: Path) -> None:
    sizes = {"good/$x_1$.png": (300, 100), "good/b.png": (40, 80), "a $\\nonsense$ name/c.png": (9, 3000)}
    for name, size in sizes.items():
        (tmp_path / "part" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 90).save(tmp_path / "part" / name)
    (tmp_path / "part/good/$_frac$.png").write_bytes(b"")
    figure = contact_sheet(tmp_path / "part")
    figure._repr_png_()  # whatever is in a name, it is drawn
    shapes = [ax.images[0].get_array().shape[:2] for ax in drawn(figure)]
    assert shapes == [(160, 160), (53, 160), (160, 80), (160, 1)]
    assert all(ax.get_aspect() == 1 for ax in drawn(figure))


def test_what_cannot_be_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        contact_sheet(tmp_path / "nothing")
    with pytest.raises(DataError, match="holds no images"):
        contact_sheet(tmp_path)
    with pytest.raises(ValueError, match="at least 1"):
        contact_sheet(tmp_path, most=0)


def test_real_tiles_fit_on_a_page(real_data: Path) -> None:
    figure = contact_sheet(real_data / "magnetic_tile")
    assert labels(figure)[0] == "train good\n260" and len(drawn(figure)) == 56
    kept = figure._repr_jpeg_()
    assert kept is not None and len(kept) < 300_000
