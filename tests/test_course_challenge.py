"""The open challenge: what is handed out tells nothing, and what comes back is measured or refused."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrkd_edu.assignments.challenge import Hidden, board, make_challenge
from mrkd_edu.metrics import aupro, image_auroc
from mrkd_edu.model import MRKD

FEW = {"train": 4, "test_good": 4, "test_defective": 6, "size": 64}


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("challenge")
    make_challenge("a secret", folder, "surface", **FEW)
    return folder


def hand_in(folder: Path, hidden: Hidden, scores: np.ndarray, maps: np.ndarray | None = None) -> Path:
    folder.mkdir(parents=True)
    with (folder / "scores.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "score"], *zip(hidden.names, scores.tolist(), strict=True)])
    if maps is not None:
        np.savez(folder / "maps.npz", **dict(zip(hidden.names, maps.astype(np.float16), strict=True)))
    return folder


def test_the_same_secret_makes_the_same_challenge_and_another_another(challenge: Path, tmp_path: Path) -> None:
    def pictures(folder: Path) -> list[bytes]:
        return [p.read_bytes() for p in sorted((folder / "handout").rglob("*.png"))]

    make_challenge("a secret", tmp_path / "again", "surface", **FEW)
    make_challenge("another", tmp_path / "other", "surface", **FEW)
    assert pictures(tmp_path / "again") == pictures(challenge) != pictures(tmp_path / "other")
    with pytest.raises(FileExistsError, match="already"):
        make_challenge("a secret", challenge, "surface", **FEW)


def test_what_is_handed_out_says_nothing_about_labels(challenge: Path) -> None:
    handout = challenge / "handout"
    assert sorted(p.name for p in (handout / "images").iterdir()) == [f"{i:03}.png" for i in range(10)]
    assert {p.parent.name for p in handout.rglob("*.png")} == {"good", "images"}
    hidden = Hidden.read(challenge)
    labels = [label for _, label in sorted(zip(hidden.names, hidden.data.test_labels.tolist(), strict=True))]
    assert labels != sorted(labels), "their order says nothing"
    for path in handout.rglob("*.png"):
        with Image.open(path) as image:
            assert not image.info, path
    for name, sample in zip(hidden.names, hidden.data.test, strict=True):
        with Image.open(handout / "images" / name) as one, Image.open(sample.path) as other:
            assert np.array_equal(np.asarray(one), np.asarray(other.convert("RGB")))


def test_the_board_measures_scores_maps_and_models_and_says_why_not(challenge: Path, tmp_path: Path) -> None:
    hidden, rng = Hidden.read(challenge), np.random.default_rng(0)
    labels = hidden.data.test_labels
    perfect = hidden.masks.astype(float)
    handed = tmp_path / "handed"
    hand_in(handed / "perfect", hidden, labels.astype(float), perfect)
    hand_in(handed / "chance", hidden, rng.normal(size=len(labels)))
    noise = rng.normal(size=len(labels)), rng.random(perfect.shape)
    noisy = hand_in(tmp_path / "zipped", hidden, labels + noise[0], perfect + noise[1])
    with zipfile.ZipFile(handed / "zipped.zip", "w") as archive:
        for path in noisy.iterdir():
            archive.write(path, f"inner/{path.name}")
    model = MRKD(size=64)
    model.calibrate(np.array([0.1, 0.2]))
    model.save(handed / "model")
    hand_in(handed / "short", hidden, labels.astype(float))
    lines = (handed / "short" / "scores.csv").read_text().splitlines()
    (handed / "short" / "scores.csv").write_text("\n".join(lines[:-2]))
    hand_in(handed / "nan", hidden, np.where(labels, np.nan, 0.0))
    pickled = hand_in(handed / "pickled", hidden, labels.astype(float))
    np.savez(pickled / "maps.npz", **{name: np.array([print], dtype=object) for name in hidden.names})
    (handed / "empty").mkdir()
    (handed / "broken.zip").write_bytes(b"PK no zip")

    entries = {entry.student: entry for entry in board(handed, challenge, tmp_path / "board")}
    assert entries["perfect"].scores["image_auroc"] == (1, 1, 1)
    assert entries["perfect"].scores["aupro"].value == pytest.approx(1)
    assert "leakage" not in entries["perfect"].scores and "no AUPRO" in entries["chance"].note
    scores = np.array([float(r["score"]) for r in csv.DictReader((noisy / "scores.csv").read_text().splitlines())])
    found = entries["zipped"].scores
    assert found["image_auroc"].value == image_auroc(scores, labels)
    assert found["image_auroc"].low <= found["image_auroc"].value <= found["image_auroc"].high
    with np.load(noisy / "maps.npz") as file:
        maps = np.stack([file[name] for name in hidden.names]).astype(np.float32)
    assert found["aupro"].value == pytest.approx(aupro(maps, hidden.masks), abs=1e-6)
    assert set(entries["model"].scores) == {"image_auroc", "aupro", "leakage"}
    for student, words in (
        ("short", "no line for 2 of 10 images"),
        ("nan", "NaN or infinite"),
        ("pickled", "allow_pickle"),
        ("empty", "scores.csv is missing"),
        ("broken", "not a zip file"),
    ):
        assert not entries[student].scores and words in entries[student].note, entries[student]

    rows = list(csv.DictReader((tmp_path / "board" / "board.csv").read_text().splitlines()))
    assert rows[0]["student"] == "perfect" and len(rows) == len(entries)
    page = (tmp_path / "board" / "board.html").read_text()
    assert "perfect" in page and "http" not in page and "<script" not in page


def test_names_cannot_write_into_the_page(challenge: Path, tmp_path: Path) -> None:
    (tmp_path / "handed" / "<script>alert(1)").mkdir(parents=True)
    board(tmp_path / "handed", challenge, tmp_path / "board")
    assert "<script" not in (tmp_path / "board" / "board.html").read_text()


def test_a_challenge_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"key\.json is missing"):
        board(tmp_path, tmp_path, tmp_path / "board")
