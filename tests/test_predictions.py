"""Heat maps and scores on disk."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mrkd_edu.app.predictions import LONG_SIDE, write_predictions
from mrkd_edu.data import list_images
from mrkd_edu.model import MRKD
from mrkd_edu.runtime.manifest import ModelError


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


ODD_NAMES = {  # what a folder of photographs may hold
    "no UTF-8": b"Fl\xe4che.png",
    "250 letters": b"a" * 246 + b".png",
    "like a home folder": b"~x.png",
    "steers a terminal": b"a\x1b[31mred.png",
    "two lines": b"one\ntwo.png",
    "a formula": b"=1+1.png",
    "minus": b"-1.png",
    "other letters": "零件.png".encode(),
    "many bytes": ("零" * 80 + ".png").encode(),
    "a backslash": b"a\\b.png",
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_odd_names_end_nothing(
    model: MRKD, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with a stray byte ended the command, and all later images had no row."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for name in ODD_NAMES.values():
        photo(Path("plain.png"), 40, 40, rng).rename(os.fsdecode(name))
    Path("loop.png").symlink_to("loop.png")
    os.mkfifo("pipe.png")
    photo(Path("z.png"), 40, 40, rng)
    rows = write_predictions(model, list_images("."), tmp_path / "out", progress=False)
    written = table(tmp_path / "out")
    assert written == rows and len(rows) == len(ODD_NAMES) + 3
    by_name = {row["image"]: row for row in rows}
    for name in ("loop.png", "pipe.png"):
        assert by_name.pop(name)["verdict"].startswith("unreadable: ")
    assert all(row["score"] and (tmp_path / "out" / row["heat_map"]).is_file() for row in by_name.values())
    assert {r"Fl\xe4che.png", r"a\x1b[31mred.png", r"one\x0atwo.png", "'=1+1.png", "'-1.png"} < set(by_name)
    assert not any(row[column].startswith(("=", "+", "-", "@")) for row in rows for column in row)


def test_an_interrupted_prediction_keeps_what_it_found(
    model: MRKD, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [photo(tmp_path / f"{i}.png", 40, 40, rng) for i in range(3)]
    predict = model.predict

    def interrupted(path: Path) -> Any:
        if path.name == "2.png":
            raise KeyboardInterrupt
        return predict(path)

    monkeypatch.setattr(model, "predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_predictions(model, files, tmp_path / "out", progress=False)
    assert [row["image"] for row in table(tmp_path / "out")] == ["0.png", "1.png"]


def test_a_model_without_threshold_gives_no_verdicts(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="calibrate"):
        write_predictions(MRKD(variant="rd", size=64), ["a.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
