"""Trainings on what is hardly data: a result that is finite, or one sentence that says what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import mrkd_edu.study.run as run_module
from mrkd_edu.app.cli import app
from mrkd_edu.data import AnomalyFolder, DataError
from mrkd_edu.model import BASELINES, MRKD, VARIANTS
from mrkd_edu.recipe import DISTANCES, Recipe
from mrkd_edu.study.benchmark import detector
from mrkd_edu.study.evaluate import evaluate
from mrkd_edu.study.run import Plan, run
from mrkd_edu.train import TrainingError, fit

SIZE = 64
RECIPE = Recipe(steps=4, batch=4, warmup=0, width=16)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))


def photos(folder: Path, number: int, grey: int | None = None) -> Path:
    """A folder with normal images, all the same where a grey level is given, and two with a dark spot."""
    rng = np.random.default_rng(0)
    for kind, count in (("good", number), ("spot", 2)):
        (folder / kind).mkdir(parents=True)
        for i in range(count):
            random = rng.integers(100, 200, (SIZE, SIZE, 3), dtype=np.uint8)
            image = random if grey is None else np.full((SIZE, SIZE, 3), grey, np.uint8)
            if kind == "spot":
                image[20:30, 20:30] = 0
            Image.fromarray(image).save(folder / kind / f"{i}.png")
    return folder


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, re.sub(r"\s+", " ", result.stderr)


def finite(what: Any) -> bool:
    """Whether all numbers in something are."""
    if isinstance(what, dict):
        return all(map(finite, what.values()))
    if isinstance(what, list | tuple):
        return all(map(finite, what))
    return not isinstance(what, float) or math.isfinite(what)


@pytest.mark.parametrize(
    ("variant", "distance", "grey"),
    [*((v, d, 128) for v in (*VARIANTS, *BASELINES) for d in DISTANCES), ("rd", "cosine", 0), ("rd", "cosine", 255)],
)
def test_images_that_are_all_the_same(variant: Any, distance: Any, grey: int, tmp_path: Path) -> None:
    """No channel varies, no residual does, and ILM finds only copies to paste."""
    data = AnomalyFolder(photos(tmp_path / "constant", 14, grey))
    plan = Plan(variant, size=SIZE, recipe=replace(RECIPE, distance=distance))
    try:
        model = detector(data, plan)
    except TrainingError as error:
        assert variant in ("ilm", "mrkd") and "no place for a synthetic defect" in str(error)
        return
    normal = model.predict([data.train[0].path] * 2)
    assert np.isfinite(normal.score).all() and np.isfinite(normal.anomaly_map).all()
    assert not normal.defective.any(), "its own training images are normal"
    assert finite(evaluate(model, data, progress=False).metrics)
    assert finite(model.settings.history) and finite(model.settings.weights) and finite(model.settings.threshold)


def test_images_that_are_all_the_same_on_the_command_line(tmp_path: Path) -> None:
    folder = photos(tmp_path / "constant", 14, 128)
    train = ("train", folder, "--size", SIZE, "--steps", 4)
    code, said = call(*train, "--variant", "rd", "--out", tmp_path / "rd")
    assert code == 0, said
    code, said = call("evaluate", tmp_path / "rd", folder)
    assert code == 0, said
    code, said = call(*train, "--variant", "mrkd", "--out", tmp_path / "mrkd")
    assert code == 0 or ("Error: ILM finds no place" in said and "Train rd or flm" in said)


@pytest.mark.parametrize("number", [0, 1])
def test_one_training_image_or_none(number: int, tmp_path: Path) -> None:
    folder = photos(tmp_path / "few", number)
    if number == 0:
        Image.new("RGB", (8, 8)).save(folder / "other.png")
    with pytest.raises((ValueError, DataError)) as caught:
        run(AnomalyFolder(folder), Plan("rd", size=SIZE, recipe=RECIPE), progress=False)
    code, said = call("train", folder, "--size", SIZE, "--steps", 4, "--out", tmp_path / "out")
    assert code == 1 and "Error: " in said
    assert len(str(caught.value)) > 20


@pytest.mark.parametrize("variant", ["rd", "mrkd"])
@pytest.mark.parametrize("images", [2, 13])
def test_a_batch_larger_than_the_set(images: int, variant: Any, tmp_path: Path) -> None:
    data = AnomalyFolder(photos(tmp_path / "few", images))
    model = run(data, Plan(variant, size=SIZE, recipe=replace(RECIPE, batch=40, steps=2)), progress=False)
    assert finite(model.settings.history) and math.isfinite(model.settings.threshold or math.nan)


def spoil(numbers: Any, value: float) -> None:
    """Put a number that is none into the first tensor of some."""
    first = next(numbers).data
    first[(0,) * first.ndim] = value


POISON: dict[str, Callable[[MRKD], None]] = {
    "a weight": lambda model: spoil(model.student.parameters(), math.nan),
    "a running mean": lambda model: spoil(model.student.buffers(), math.inf),
    "the teacher": lambda model: spoil(model.teacher.parameters(), math.nan),
}


@pytest.mark.parametrize("what", POISON)
@pytest.mark.parametrize("step", [2, 4])
def test_numbers_that_are_none_end_a_run_with_a_sentence(what: str, step: int, tmp_path: Path) -> None:
    """In the middle, or behind the last step; nothing of it is kept as a model."""
    data, plan = AnomalyFolder(photos(tmp_path / "photos", 14)), Plan("mrkd", size=SIZE, recipe=RECIPE)

    def poison(moment: Any) -> None:
        if moment.step == step:
            POISON[what](moment.model)

    with pytest.raises((TrainingError, ValueError), match=r"diverged|finite"):
        run(data, plan, out=tmp_path / "out", callback=poison, progress=False)
    assert not list(tmp_path.rglob("model.json"))


def test_a_loss_that_is_none_ends_the_command_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photos(tmp_path / "photos", 14)

    def poisoned(model: MRKD, *given: Any, **options: Any) -> Any:
        return fit(model, *given, **options | {"callback": lambda moment: POISON["a weight"](moment.model) is None})

    monkeypatch.setattr(run_module, "fit", poisoned)
    code, said = call("train", folder, "--size", SIZE, "--steps", 4, "--out", tmp_path / "out")
    assert code == 1 and "Error: " in said and "Training diverged" in said and "--precision fp32" in said


@pytest.mark.parametrize("images", [
    torch.full((4, 3, SIZE, SIZE), math.nan),
    torch.full((4, 3, SIZE, SIZE), math.inf),
    torch.zeros((4, 3, SIZE, SIZE), dtype=torch.float64),
])  # fmt: skip
def test_images_of_numbers_that_are_none_are_not_trained_on(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="fit needs uint8 images"):
        fit(MRKD(variant="rd", size=SIZE, width=16), images, recipe=RECIPE, progress=False)
    model = MRKD(variant="rd", size=SIZE, width=16)
    for one in (images, images.permute(0, 2, 3, 1).numpy()):
        if not torch.isfinite(images).all():
            with pytest.raises(DataError, match=r"NaN|outside \[0, 1\]"):
                model.predict(one)
