"""The benchmark's table: complete, resumable, readable."""

from __future__ import annotations

import csv
import io
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from mrkd_edu.data import AnomalyFolder, DataError
from mrkd_edu.model import BASELINES
from mrkd_edu.recipe import RECIPES
from mrkd_edu.study import benchmark as module
from mrkd_edu.study.benchmark import benchmark
from mrkd_edu.study.evaluate import COSTS, evaluate
from mrkd_edu.study.results import KEY, MEASURES, Results, mean_and_spread, read_results, summary
from mrkd_edu.study.run import Plan
from mrkd_edu.teacher import Teacher
from mrkd_edu.toy import make_toy

PLAN = Plan(size=64, recipe=replace(RECIPES["workshop"], steps=3, warmup=1, batch=4))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), train=12, test_good=3, test_defective=5, size=64)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))


def test_every_combination_is_one_row_with_all_columns(toy: Path, tmp_path: Path) -> None:
    benchmark([toy], tmp_path / "out", plan=PLAN, variants=("rd", "mrkd"), seeds=(0, 1), progress=False)
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*KEY, *MEASURES]
    assert [(r["variant"], r["seed"]) for r in rows] == [("rd", "0"), ("rd", "1"), ("mrkd", "0"), ("mrkd", "1")]
    assert all(r["steps"] == "3" and r["size"] == "64" and r["category"] == "metal" for r in rows)
    assert all(0 <= float(r["image_auroc"]) <= 1 and float(r["train_seconds"]) > 0 for r in rows)


def test_finished_rows_are_kept_and_only_missing_ones_are_computed(toy: Path, tmp_path: Path) -> None:
    (first,) = benchmark([toy], tmp_path / "out", plan=PLAN, variants=("rd",), seeds=(0,), progress=False)
    rows = benchmark([toy], tmp_path / "out", plan=PLAN, variants=("rd", "flm"), seeds=(0,), progress=False)
    assert [r["variant"] for r in rows] == ["rd", "flm"]
    assert rows[0] == first  # with the milliseconds of that time
    assert len(read_results(tmp_path / "out" / "results.csv")) == 2


def shorten(text: str, row: dict[str, str]) -> str:
    return text.replace(row["image_auroc"], row["image_auroc"][:3])


DAMAGE = {  # of results.csv
    "a shortened number": shorten,
    "half the last row": lambda text, _: text[:-30],
    "a word for a number": lambda text, row: text.replace(row["aupro"], "high"),
    "no number": lambda text, row: text.replace(row["aupro"], "nan"),
    "NUL": lambda text, row: text.replace(row["image_auroc"], "\0" * 8),
    "nothing": lambda text, _: "",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_row_that_is_not_as_it_was_written_is_measured_again(damage: str, toy: Path, tmp_path: Path) -> None:
    """A shortened number counted as done, and a row of NULs stayed for ever."""
    options: dict[str, Any] = {"plan": PLAN, "variants": ("rd",), "seeds": (0,), "progress": False}
    (first,) = benchmark([toy], tmp_path / "out", **options)
    table = tmp_path / "out" / "results.csv"
    table.write_text(DAMAGE[damage](table.read_text(), first))
    (again,) = benchmark([toy], tmp_path / "out", **options)
    same = [name for name in (*KEY, *MEASURES) if name not in COSTS]
    assert [again[name] for name in same] == [first[name] for name in same]
    assert list(read_results(table).values()) == [again]


@pytest.mark.parametrize("content", ["", "[]", "{}", "[1]", '{"a": 1}', "null", "[[]]", '[{"key": 3}]', "\0\0"])
def test_keys_that_are_none_are_said_and_measured_again(
    content: str, toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options: dict[str, Any] = {"plan": PLAN, "variants": ("rd",), "seeds": (0,), "progress": False}
    benchmark([toy], tmp_path / "out", **options)
    (tmp_path / "out" / "results.keys.json").write_text(content)
    (row,) = benchmark([toy], tmp_path / "out", **options)
    assert row["variant"] == "rd"
    assert content in ("[]", "{}") or "results.keys.json is damaged: what results.csv holds" in capsys.readouterr().err


def test_two_writers_lose_no_row(tmp_path: Path) -> None:
    """Of eight rows that two benchmarks wrote, four were lost, and both ended well."""

    def write(seed: int) -> None:
        names = ("nut", "rd", "cosine", str(seed), "efficientnet_lite0", "64", "3")
        row = dict(zip(KEY, names, strict=True)) | dict.fromkeys(MEASURES, "0.5")
        Results(tmp_path).add(names, row, f"run {seed}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    rows, keys = Results(tmp_path).read()
    assert len(rows) == len(keys) == 24


def test_a_category_whose_name_is_a_formula(toy: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(toy, tmp_path / "=1+1")
    for _ in range(2):  # the second time it is found again
        (row,) = benchmark([copy], tmp_path / "out", plan=PLAN, variants=("rd",), seeds=(0,), progress=False)
        assert row["category"] == "'=1+1"
    assert len(read_results(tmp_path / "out" / "results.csv")) == 1


def test_a_test_image_that_breaks_is_found_before_the_first_training(toy: Path, tmp_path: Path) -> None:
    """It was found after the training, and ended the rest of the grid."""
    copy = shutil.copytree(toy, tmp_path / "other")
    broken = next((copy / "test" / "chip").iterdir())
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(DataError, match=broken.name):
        benchmark([toy, copy], tmp_path / "out", plan=PLAN, progress=False)
    assert not (tmp_path / "out").exists()


def test_nothing_is_foretold_for_students_that_are_trained_already(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(module, "say_how_long", lambda trainings, device: asked.append(len(trainings)))
    benchmark([toy], tmp_path / "out", plan=PLAN, variants=("rd",), seeds=(0,))
    benchmark([toy], tmp_path / "other", plan=PLAN, variants=("nn", "rd"), seeds=(0, 1), distances=["mahalanobis"])
    assert asked == [1, 1]  # seed 0 waits for the other distance only


def test_rows_of_another_recipe_or_other_images_are_computed_anew(toy: Path, tmp_path: Path) -> None:
    options = {"variants": ("rd",), "seeds": (0,), "progress": False}
    copy = shutil.copytree(toy, tmp_path / "copy" / toy.name)
    (first,) = benchmark([copy], tmp_path / "out", plan=PLAN, **options)
    slower = replace(PLAN, recipe=replace(PLAN.recipe, lr=1e-5))  # as many steps: the row has the same name
    (second,) = benchmark([copy], tmp_path / "out", plan=slower, **options)
    assert second["image_auroc"] != first["image_auroc"] or second["leakage"] != first["leakage"]
    next((copy / "train" / "good").iterdir()).unlink()
    (third,) = benchmark([copy], tmp_path / "out", plan=slower, **options)
    assert third["leakage"] != second["leakage"]
    assert len(read_results(tmp_path / "out" / "results.csv")) == 1


def test_rows_of_other_test_images_are_measured_anew(toy: Path, tmp_path: Path) -> None:
    options = {"plan": PLAN, "variants": ("rd",), "seeds": (0,), "progress": False}
    copy = shutil.copytree(toy, tmp_path / "copy" / toy.name)
    (first,) = benchmark([copy], tmp_path / "out", **options)
    for part in ("test", "ground_truth", "twins"):
        shutil.rmtree(copy / part / "chip")
    (second,) = benchmark([copy], tmp_path / "out", **options)
    assert second["leakage"] != first["leakage"]


def test_bad_data_is_found_before_the_first_training(toy: Path, tmp_path: Path) -> None:
    untested = tmp_path / "only_good"
    shutil.copytree(toy / "train" / "good", untested / "good")
    for image in sorted((untested / "good").iterdir())[4:]:
        image.unlink()  # with fewer than five, none goes to the test set
    with pytest.raises(ValueError, match="no test images"):
        benchmark([toy, untested], tmp_path / "out", plan=PLAN, progress=False)
    assert not (tmp_path / "out").exists()


def test_nobody_elses_random_numbers_are_moved(toy: Path) -> None:
    """Building a bank of neighbours moved torch's global generator, and with it what a notebook drew next."""
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
    data = AnomalyFolder(toy)
    Teacher("resnet18", pretrained=False)
    for variant in (*BASELINES, "mrkd"):
        evaluate(module.detector(data, replace(PLAN, variant=variant)), data, progress=False)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # type: ignore[index]


def test_a_table_of_something_else_is_not_touched(toy: Path, tmp_path: Path) -> None:
    table = tmp_path / "results.csv"
    table.write_text("name,price\nnut,3\n")
    with pytest.raises(ValueError, match="not a benchmark"):
        benchmark([toy], tmp_path, plan=PLAN, progress=False)
    assert table.read_text() == "name,price\nnut,3\n"


def test_two_categories_of_one_name_are_refused(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same name"):
        benchmark([toy, toy], tmp_path, plan=PLAN, progress=False)


def test_the_summary_shows_mean_and_spread_per_variant() -> None:
    common = dict.fromkeys(MEASURES, "0.5") | {"category": "nut", "variant": "rd", "distance": "cosine"}
    rows = [common | {"image_auroc": "0.8"}, common | {"image_auroc": "0.9", "leakage": ""}]
    stream = io.StringIO()
    Console(file=stream, width=80).print(summary(rows))
    assert "0.850" in stream.getvalue() and "±0.071" in stream.getvalue() and "…" not in stream.getvalue()
    assert mean_and_spread(pd.Series([0.5, None]), 3) == "0.500"  # the empty one is left out, not counted as zero
