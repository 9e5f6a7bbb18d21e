"""The command line as a person would use it: what it writes, what it says, what it refuses."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

import mrkd_edu
from mrkd_edu.app.cli import app
from mrkd_edu.study.benchmark import benchmark
from mrkd_edu.toy import make_toy

QUICK = ["--size", "64", "--steps", "4"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), train=14, test_good=4, test_defective=5, size=64)


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRKD_EDU_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "nut"
    result = call("train", toy, "--out", out, "--variant", "rd", *QUICK)
    assert result.exit_code == 0, result.output
    return out


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "TERM": "dumb"})


def failure(*words: object) -> str:
    """What an expected problem prints: one message, no traceback."""
    result = call(*words)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return re.sub(r"\s+", " ", result.stderr)


@pytest.mark.parametrize(
    "words",
    [
        *[("demo",), ("data", "toy"), ("train",), ("evaluate",), ("predict",), ("benchmark",), ("doctor",)],
        *[("leakage",), ("theatre",)],
    ],
)
def test_every_command_explains_itself_with_an_example(words: tuple[str, ...]) -> None:
    result = call(*words, "--help")
    assert result.exit_code == 0
    assert f"Example: mrkd-edu {' '.join(words)}" in re.sub(r"\s+", " ", result.output)


def test_version() -> None:
    assert call("--version").output == f"mrkd-edu {mrkd_edu.__version__}\n"


def test_train_leaves_a_model_and_names_the_next_command(toy: Path, tmp_path: Path) -> None:
    result = call("train", toy, "--out", tmp_path / "run", "--variant", "mrkd", *QUICK)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (tmp_path / "run").glob("[!.]*")) == ["model.json", "model.safetensors"]
    assert "mrkd-edu evaluate" in result.output


def test_the_same_training_is_reused_and_says_so(toy: Path, trained: Path, tmp_path: Path) -> None:
    result = call("train", toy, "--out", tmp_path / "again", "--variant", "rd", *QUICK)
    assert result.exit_code == 0
    assert "Reused run" in result.stderr
    first, second = (folder / "model.safetensors" for folder in (trained, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()


def test_a_trained_model_is_not_overwritten(toy: Path, trained: Path) -> None:
    assert "holds a trained model already" in failure("train", toy, "--out", trained, *QUICK)


def test_evaluate_prints_json_with_every_measure(toy: Path, trained: Path) -> None:
    result = call("evaluate", trained, toy, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["category"] == "metal" and facts["variant"] == "rd"
    assert 0 <= facts["image_auroc"] <= 1 and 0 <= facts["aupro"] <= 1
    assert len(facts["leakage_per_scale"]) == 3


def test_evaluate_prints_a_table(toy: Path, trained: Path) -> None:
    result = call("evaluate", trained, toy)
    assert result.exit_code == 0
    assert "image auroc" in result.output and "leakage" in result.output


def test_predict_writes_a_heat_map_and_a_row_for_every_image(toy: Path, trained: Path, tmp_path: Path) -> None:
    folder = toy / "test" / "scratch"
    images = sorted(p.name for p in folder.iterdir())
    assert call("predict", trained, folder, "--out", tmp_path).exit_code == 0
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["image"] for r in rows] == images
    for row in rows:
        assert (float(row["score"]) > float(row["threshold"])) == (row["verdict"] == "defective")
        with Image.open(tmp_path / row["heat_map"]) as heat:
            assert heat.size == (64, 64)


def test_predict_takes_a_photo_of_any_size(trained: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    photo = tmp_path / "phone.jpg"
    Image.fromarray(rng.integers(0, 255, (600, 800, 3), dtype=np.uint8)).save(photo)
    result = call("predict", trained, photo, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "phone.jpg" in result.output


def test_benchmark_finds_the_categories_in_a_folder(toy: Path, tmp_path: Path) -> None:
    result = call("benchmark", toy.parent, "--variants", "rd", "--seeds", "0", "--out", tmp_path, *QUICK)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "results.csv").read_text().count("\n") == 2


def test_demo_makes_a_report(toy: Path, tmp_path: Path) -> None:
    result = call("demo", "--data", toy, "--out", tmp_path, "--quick")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<html" in page and "mrkd" in page
    assert (tmp_path / "rd" / "model.json").exists() and (tmp_path / "mrkd" / "model.json").exists()


def test_data_toy_writes_a_data_set(tmp_path: Path) -> None:
    numbers = ["--train", "3", "--test-good", "1", "--test-defective", "4", "--size", "64"]
    result = call("data", "toy", tmp_path, "--category", "all", *numbers)
    assert result.exit_code == 0, result.output
    for category in ("metal", "fabric", "surface", "tray"):
        assert len(list((tmp_path / category / "train" / "good").iterdir())) == 3
    assert "choose one of metal, fabric" in failure("data", "toy", tmp_path, "--category", "wood")


def test_leakage_tells_kinds_apart_and_draws(toy: Path, trained: Path, tmp_path: Path) -> None:
    result = call("leakage", toy, trained, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert all(kind in result.output for kind in ("chip", "dent", "foreign", "scratch", "stain", "stride 32"))
    assert {path.name for path in tmp_path.iterdir()} == {"leakage_kinds.png", "leakage_strength.png"}


def test_theatre_writes_a_row_for_each_look(toy: Path, tmp_path: Path) -> None:
    result = call("theatre", toy, "--size", "64", "--at", "4,2", "--seeds", "0,1", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    with (tmp_path / "theatre.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    looked = [(row["recipe"], row["variant"], row["seed"], row["step"]) for row in rows]
    forms = ("workshop", "long")
    assert looked == [(f, v, seed, step) for f in forms for seed in "01" for v in ("rd", "mrkd") for step in "24"]
    assert all(float(row["leakage_3"]) < 1 and 0 <= float(row["image_auroc"]) <= 1 for row in rows)
    assert all(0 <= float(row["ceiling"]) <= 1 for row in rows)
    assert (tmp_path / "theatre.png").stat().st_size > 10_000
    assert "--at x: give whole numbers" in failure("theatre", toy, "--at", "5,x", "--out", tmp_path / "no")
    assert "short" in failure("theatre", toy, "--recipe", "workshop,short", "--out", tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_doctor_says_ready_and_what_it_found() -> None:
    result = call("doctor")
    assert result.exit_code == 0, result.output
    assert "efficientnet_lite0" in result.output and "Ready" in result.output


def test_doctor_names_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "file" / "cache"))
    result = call("doctor")
    assert result.exit_code == 1
    said = re.sub(r"[\s│]+", " ", result.output)  # a long path breaks the table's lines
    assert "(Not a directory)" in said and "Set MRKD_EDU_CACHE" in said


def test_wrong_input_ends_in_one_message_that_says_what_to_do(toy: Path, trained: Path, tmp_path: Path) -> None:
    assert "Choose one of: nn, gauss" in failure("benchmark", toy, "--out", tmp_path / "b", "--variants", "rdx")
    assert "nowhere does not exist; give the folder" in failure("train", tmp_path / "nowhere", "--out", tmp_path / "r")
    assert "Choose one of: rd, ilm, flm, mrkd" in failure("train", toy, "--out", tmp_path / "r", "--variant", "x")
    assert "multiple of 32" in failure("train", toy, "--out", tmp_path / "r", "--size", "100")
    assert "efficientnet_lite0" in failure("train", toy, "--out", tmp_path / "r", "--backbone", "vgg")
    assert "whole numbers" in failure("benchmark", toy, "--out", tmp_path / "b", "--seeds", "0,one")
    assert "no trained model" in failure("evaluate", tmp_path, toy)
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert "empty.jpg" in failure("predict", trained, tmp_path / "empty.jpg", "--out", tmp_path / "p")
    assert not (tmp_path / "r").exists()


def test_a_benchmark_of_nothing_is_an_error(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    assert "holds no category" in failure("benchmark", tmp_path / "notes", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("option", "value"), [("seeds", "0,0"), ("variants", "rd,rd"), ("distances", "cosine,cosine")])
def test_the_same_training_twice_is_no_spread(option: str, value: str, toy: Path, tmp_path: Path) -> None:
    said = failure("benchmark", toy, f"--{option}", value, "--out", tmp_path / "out")
    assert f"--{option} names {value.partition(',')[0]} twice; give each once" in said
    with pytest.raises(ValueError, match="names one twice"):
        benchmark([toy], tmp_path / "out", **{option: value.split(",")})
    assert not (tmp_path / "out" / "results.csv").exists()


def test_folders_that_are_no_category_are_named(toy: Path, tmp_path: Path) -> None:
    shutil.copytree(toy, tmp_path / "sets" / "metal")
    (tmp_path / "sets" / "raw").mkdir()
    options = ("--variants", "nn", "--seeds", "0", "--size", "64", "--out", tmp_path / "out")
    result = call("benchmark", tmp_path / "sets", *options)
    assert result.exit_code == 0, result.output
    assert f"Passed over, because they are not categories: {tmp_path / 'sets' / 'raw'}" in result.output


def test_brackets_in_a_name_are_no_markup(toy: Path, trained: Path, tmp_path: Path) -> None:
    named = shutil.copytree(toy, tmp_path / "part [red]")
    assert "part [red]" in call("evaluate", trained, named).output


def program(*words: object, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """The command as a program of its own, with its output in pipes."""
    here = {**os.environ, "COLUMNS": "200", "TERM": "dumb"} | environment
    command = [sys.executable, "-m", "mrkd_edu.app.cli", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=here, capture_output=True)


@pytest.mark.parametrize("code_page", ["cp1252", "ascii", "utf-8"])
def test_output_into_a_file_with_any_code_page(code_page: str, toy: Path, trained: Path, tmp_path: Path) -> None:
    """Into a file, Windows writes cp1252: a name outside it ended the command after its work, without a table."""
    named = shutil.copytree(toy, tmp_path / "零件")
    first = sorted((named / "test" / "chip").iterdir())[0]
    for part, name in (("test", first.name), ("ground_truth", f"{first.stem}_mask.png"), ("twins", first.name)):
        file = named / part / "chip" / name
        file.rename(file.with_name(name.replace(first.stem, "划痕")))
    commands = (
        ("evaluate", trained, named),
        ("predict", trained, named / "test" / "chip", "--out", tmp_path / "p"),
        ("benchmark", named, "--variants", "nn", "--seeds", "0", "--size", "64", "--out", tmp_path / "b"),
    )
    for words in commands:
        done = program(*words, folder=tmp_path, PYTHONIOENCODING=code_page)
        assert done.returncode == 0, done.stderr.decode(code_page)
        shown = done.stdout.decode(code_page)
        assert ("零件" if code_page == "utf-8" else r"\u96f6\u4ef6") in shown or "predict" in words
        assert len(shown.splitlines()) > 3


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_no_name_steers_the_terminal(toy: Path, trained: Path, tmp_path: Path) -> None:
    named = shutil.copytree(toy, tmp_path / "\x1b[2Jnut\udce4")
    (named / "test" / "good" / "\x1b]0;title\x07.heic").write_bytes(b"")
    commands: list[tuple[object, ...]] = [
        ("evaluate", trained, named),
        ("train", named, "--out", tmp_path / "\x1b[1mm", "--variant", "rd", *QUICK),
        ("predict", trained, named / "test" / "chip", "--out", tmp_path / "\x1b[3Jp"),
        ("benchmark", named, "--variants", "nn", "--seeds", "0", "--size", "64", "--out", tmp_path / "b"),
        ("train", tmp_path / "\x1b[4mnowhere", "--out", tmp_path / "r"),
    ]
    for words in commands:
        done = program(*words, folder=tmp_path)
        assert b"\x1b" not in done.stdout + done.stderr and b"\x07" not in done.stdout + done.stderr
        assert done.returncode == (1 if "nowhere" in str(words) else 0), done.stderr
        assert rb"\x1b[" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("mps", "'mps' is not supported here. Choose one of: auto, cpu, cuda."),
        ("meta", "'meta' is not supported here"),
        ("gpu", "Unknown device 'gpu'"),
        ("cuda:77", "CUDA GPU|no GPU 77"),
    ],
)
def test_a_device_that_there_is_not(device: str, said: str, toy: Path, trained: Path, tmp_path: Path) -> None:
    for words in (("train", toy, "--out", tmp_path / "r", *QUICK), ("evaluate", trained, toy)):
        assert re.search(said, failure(*words, "--device", device))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 51539607552 bytes."),
        MemoryError(),
    ],
)
def test_out_of_memory_says_what_to_do(
    error: Exception, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("mrkd_edu.train.training_loss", fail)
    said = failure("train", toy, "--out", tmp_path / "r", "--no-cache", *QUICK)
    assert "not enough memory. Close other programs" in said and "--size 128" in said


def test_an_error_that_nobody_expected_is_not_hidden(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("mrkd_edu.train.training_loss", fail)
    result = call("train", toy, "--out", tmp_path / "r", "--no-cache", *QUICK)
    assert isinstance(result.exception, RuntimeError)


def test_what_cannot_be_measured_has_its_true_reason(toy: Path, trained: Path, tmp_path: Path) -> None:
    """A test set without good images was told that it had no defective ones, or no masks."""

    def without(*parts: str) -> str:
        copy = shutil.copytree(toy, tmp_path / "-".join(parts).replace("/", "_"))
        for part in parts:
            shutil.rmtree(copy / part)
        output = call("evaluate", trained, copy).output
        return re.sub(r"\s+", " ", output[output.index("Not measurable") :])

    assert "(no normal test images)" in without("test/good")
    assert "(no masks)" in without("ground_truth", "twins")


def test_a_cache_that_cannot_be_written_does_not_end_a_training(toy: Path, tmp_path: Path) -> None:
    """The error came after the whole training, and the finished model counted as interrupted."""
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "m"
    done = program(
        *("train", toy, "--out", out, "--variant", "rd", *QUICK), folder=tmp_path, MRKD_EDU_CACHE=str(tmp_path / "file")
    )
    assert done.returncode == 0, done.stderr
    assert b"Nothing is kept in the cache for the next time" in done.stderr
    assert sorted(path.name for path in out.glob("[!.]*")) == ["model.json", "model.safetensors"]


def test_a_folder_that_cannot_be_written_is_found_before_the_training(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    said = failure("train", toy, "--out", tmp_path / "file" / "m", *QUICK, "--no-cache")
    assert "cannot be written: Not a directory. There is a file where a folder must be" in said
    assert "steps" not in said


def test_nothing_to_resume_is_said(toy: Path, tmp_path: Path) -> None:
    """After a slip in --out one would believe to go on."""
    said = failure("train", toy, "--out", tmp_path / "new", "--resume", "--size", "100")
    assert "new holds no interrupted training: starting anew" in said
