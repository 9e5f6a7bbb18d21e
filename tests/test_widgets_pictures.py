"""The pictures that explorers are given: files or arrays in a list, and a menu that chooses one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mrkd_edu.data.images import DataError
from mrkd_edu.model import MRKD
from mrkd_edu.widgets import explore_distance, explore_flm, explore_ilm, paint_defects
from mrkd_edu.widgets.frame.pictures import picture_menu, read_pictures

pytestmark = pytest.mark.usefixtures("nothing_remembered")

SIZE = 64


@pytest.fixture(scope="module")
def model() -> MRKD:
    model = MRKD(variant="mrkd", size=SIZE, pretrained=False, width=16)
    model.settings.threshold = 1.0
    return model


@pytest.fixture
def photos(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


EXPLORERS: dict[str, Callable[[MRKD, Any], Any]] = {
    "explore_ilm": lambda model, images: explore_ilm(images, model),
    "explore_flm": explore_flm,
    "explore_distance": explore_distance,
    "paint_defects": lambda model, images: paint_defects({"mrkd": model}, images),
}


def test_files_arrays_and_tensors_are_read_alike(photos: np.ndarray, tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(len(photos))]
    for file, photo in zip(files, photos, strict=True):
        Image.fromarray(photo).save(file)
    tensor = torch.from_numpy(photos).permute(0, 3, 1, 2)  # (3, 3, S, S)
    for given in (files, tuple(map(str, files)), np.array(list(map(str, files))), list(photos), photos, tensor):
        assert np.array_equal(read_pictures("me", given, SIZE), photos)  # type: ignore[arg-type]


def test_a_single_image_is_no_list_of_images(photos: np.ndarray) -> None:
    rows = torch.from_numpy(photos[0]).permute(2, 0, 1)  # (3, S, S)
    for one in ("part.png", Path("part.png"), Image.fromarray(photos[0]), photos[0], photos[0, ..., 0], rows):
        with pytest.raises(ValueError, match=r"me got a single image \(.*give a list of files or arrays"):
            read_pictures("me", one, SIZE)  # type: ignore[arg-type]


def test_an_image_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"missing\.png does not exist"):
        read_pictures("me", ["missing.png"], SIZE)


def test_the_menu_names_every_picture() -> None:
    menu = picture_menu(3, "image", "which image")
    assert menu.options == (("picture 1", 0), ("picture 2", 1), ("picture 3", 2))
    assert (menu.value, menu.description, menu.tooltip) == (0, "image", "which image")


@pytest.mark.parametrize("who", EXPLORERS)
def test_every_explorer_takes_an_array_and_refuses_what_is_no_list(who: str, model: MRKD, photos: np.ndarray) -> None:
    explore = EXPLORERS[who]
    explorer = explore(model, photos)
    assert explorer.wait() and explorer.problem.value == ""
    assert len(explorer.controls["photo"].options) == 3
    for nothing in ([], photos[:0]):
        with pytest.raises(ValueError, match=f"{who} needs at least one image"):
            explore(model, nothing)
    for one in ("part.png", photos[0]):
        with pytest.raises(ValueError, match=f"{who} got a single image"):
            explore(model, one)
