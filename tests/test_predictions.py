"""Heat maps and scores on disk."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrkd_edu.model import MRKD, ModelError
from mrkd_edu.predictions import LONG_SIDE, write_predictions


@pytest.fixture(scope="module")
def model() -> MRKD:
    model = MRKD(variant="rd", size=64)
    model.settings.threshold = 1.0
    return model


def photo(path: Path, width: int, height: int, rng: np.random.Generator) -> Path:
    Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
    return path


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_heat_map_has_the_shape_of_its_photograph(model: MRKD, tmp_path: Path, rng: np.random.Generator) -> None:
    small, large = photo(tmp_path / "s.png", 90, 60, rng), photo(tmp_path / "l.jpg", 2048, 1024, rng)
    rows = write_predictions(model, [small, large], tmp_path / "out", progress=False)
    sizes = []
    for row in rows:
        with Image.open(tmp_path / "out" / row["heat_map"]) as heat:
            sizes.append(heat.size)
    assert sizes == [(90, 60), (LONG_SIDE, LONG_SIDE // 2)]
    assert table(tmp_path / "out") == rows
    assert [float(r["score"]) for r in rows] == pytest.approx(model.predict([small, large]).score, rel=1e-5)


def test_files_of_one_name_keep_their_own_heat_maps(model: MRKD, tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "b").mkdir()
    files = [tmp_path / "a.png", tmp_path / "a.bmp", tmp_path / "b" / "a.png", tmp_path / "b" / "A.bmp"]
    rows = write_predictions(model, [photo(f, 40, 40, rng) for f in files], tmp_path / "out", progress=False)
    assert len({row["heat_map"] for row in rows}) == 4
    assert all((tmp_path / "out" / row["heat_map"]).exists() for row in rows)


def test_a_broken_image_has_its_row_and_stops_no_other(model: MRKD, tmp_path: Path, rng: np.random.Generator) -> None:
    files = [photo(tmp_path / f"{i}.png", 40, 40, rng) for i in range(3)]
    files[1].write_bytes(b"no picture")
    write_predictions(model, files, tmp_path / "out", progress=False)
    rows = table(tmp_path / "out")
    assert [bool(row["score"]) for row in rows] == [True, False, True]
    assert rows[1]["verdict"].startswith("unreadable: ") and "1.png" in rows[1]["verdict"]


def test_heat_maps_do_not_go_among_the_images(model: MRKD, tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="Choose another folder"):
        write_predictions(model, [photo(tmp_path / "a.png", 40, 40, rng)], tmp_path)


def test_a_model_without_threshold_gives_no_verdicts(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="calibrate"):
        write_predictions(MRKD(variant="rd", size=64), ["a.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
