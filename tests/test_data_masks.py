"""One mask, written in many ways: the same defect, or an error that says what to do. Never another in silence."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import DataError, read_mask
from mrkd_edu.data.masks import defect_pixels
from mrkd_edu.toy import make_toy

Write = Callable[[np.ndarray, Path], Path]


def _grey(values: np.ndarray, path: Path) -> Path:
    Image.fromarray(values).save(path)
    return path


def _jpeg_again_as_png(mask: np.ndarray, path: Path) -> Path:
    noisy = io.BytesIO()
    Image.fromarray(mask * np.uint8(255)).save(noisy, "JPEG", quality=75)
    Image.open(noisy).save(path)
    return path


def _jpeg(mask: np.ndarray, path: Path) -> Path:
    Image.fromarray(mask * np.uint8(255)).save(path.with_suffix(".jpg"), quality=75)
    return path.with_suffix(".jpg")


def _colours(background: tuple[int, ...], defect: tuple[int, ...]) -> Write:
    def write(mask: np.ndarray, path: Path) -> Path:
        return _grey(np.where(mask[..., None], np.uint8(defect), np.uint8(background)), path)

    return write


def _palette(background: list[int], defect: list[int]) -> Write:
    def write(mask: np.ndarray, path: Path) -> Path:
        image = Image.fromarray(mask.astype(np.uint8))
        image.putpalette(background + defect)
        image.save(path)
        return path

    return write


def _nan(mask: np.ndarray, path: Path) -> Path:
    return _grey(np.where(mask, np.float32(1), np.float32("nan")), path.with_suffix(".tif"))


def _labels(mask: np.ndarray, path: Path) -> Path:
    """A number for each column of the defect: a map of labels, at most 9."""
    return _grey((mask * (1 + np.arange(mask.shape[1]) % 9)).astype(np.uint8), path)


WAYS: dict[str, Write] = {
    "0 and 255": lambda mask, path: _grey(mask * np.uint8(255), path),
    "0 and 1": lambda mask, path: _grey(mask * np.uint8(1), path),
    "0 and 1 in 16 bits": lambda mask, path: _grey(mask.astype(np.uint16), path),
    "one bit": lambda mask, path: _grey(mask, path),
    "labels": _labels,
    "labels from 1": lambda mask, path: _grey((1 + mask).astype(np.uint8), path),
    "floats": lambda mask, path: _grey(mask.astype(np.float32), path.with_suffix(".tif")),
    "NaN background": _nan,
    "white on black": _colours((0, 0, 0), (255, 255, 255)),
    "red on black": _colours((0, 0, 0), (255, 0, 0)),
    "red on white": _colours((255, 255, 255), (255, 0, 0)),
    "white on alpha": _colours((255, 255, 255, 0), (255, 255, 255, 255)),
    "black on alpha": _colours((0, 0, 0, 0), (0, 0, 0, 255)),
    "palette, black and red": _palette([0, 0, 0], [200, 0, 0]),
    "palette, white and red": _palette([255, 255, 255], [200, 0, 0]),
    "JPEG": _jpeg,
    "JPEG saved again as PNG": _jpeg_again_as_png,
}


@pytest.mark.parametrize("way", WAYS)
def test_however_a_mask_is_written_it_is_the_same_defect(way: str, tmp_path: Path) -> None:
    mask = np.zeros((48, 64), dtype=bool)
    mask[8:24, 16:40] = True
    assert np.array_equal(read_mask(WAYS[way](mask, tmp_path / "m.png")), mask)


EXACT = [way for way in WAYS if "JPEG" not in way]


@settings(deadline=None, max_examples=60)
@given(
    mask=hnp.arrays(bool, (12, 16), elements=st.booleans()),
    way=st.sampled_from(EXACT),
)
def test_any_mask_in_any_way_is_itself_or_an_error(
    mask: np.ndarray, way: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wanted = mask if mask.mean() <= 0.5 else ~mask  # more than half: the background cannot be told without black
    if wanted.mean() == 0.5:
        wanted[0] = False
    path = WAYS[way](wanted, tmp_path_factory.mktemp("mask") / "m.png")
    if wanted.any():
        assert np.array_equal(read_mask(path), wanted)
    elif way in ("labels from 1", "red on white", "white on alpha", "palette, white and red"):
        with pytest.raises(DataError, match="marks every pixel"):  # nothing but one level, and that is not black
            read_mask(path)
    else:
        assert not read_mask(path).any()


def test_a_soft_brush_counts_from_its_half(tmp_path: Path) -> None:
    mask = np.zeros((60, 60), dtype=bool)
    mask[20:40, 20:40] = True
    soft = Image.fromarray(mask * np.uint8(255)).filter(ImageFilter.GaussianBlur(2))
    soft.save(tmp_path / "m.png")
    found = read_mask(tmp_path / "m.png")
    assert (found != mask).sum() <= 12  # the four corners


def test_noise_on_a_black_mask_is_no_defect() -> None:
    assert not defect_pixels(np.random.default_rng(0).integers(0, 9, (20, 20)).astype(np.uint8), lossy=True).any()


def test_a_mask_that_is_all_defect_is_refused(tmp_path: Path) -> None:
    Image.new("L", (20, 20), 255).save(tmp_path / "all.png")
    with pytest.raises(DataError, match=r"all\.png marks every pixel as defect; a mask is black where"):
        read_mask(tmp_path / "all.png")


def test_inverted_masks_are_refused_and_one_large_defect_is_not(tmp_path: Path) -> None:
    toy = make_toy(tmp_path, "metal", train=12, test_good=1, test_defective=5, size=64)
    masks = sorted((toy / "ground_truth").rglob("*.png"))
    before = AnomalyFolder(toy).test_masks(64)
    large = Image.new("L", (64, 64), 255)
    large.paste(0, (0, 0, 64, 10))
    large.save(masks[0])
    assert AnomalyFolder(toy).test_masks(64).sum() > before.sum()
    for path in masks[1:]:
        Image.eval(Image.open(path).convert("L"), lambda value: 255 - value).save(path)
    with pytest.raises(DataError, match=r"5 of 5 masks mark more than half .* invert them"):
        AnomalyFolder(toy).test_masks(64)
