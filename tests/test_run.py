"""A run: the same thing is never trained twice, another thing never taken for it."""

from __future__ import annotations

import ast
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import mrkd_edu
import mrkd_edu.study.run as run_module
from mrkd_edu.data import AnomalyFolder, DataError
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import DEFAULT
from mrkd_edu.recipe import RECIPES, Recipe
from mrkd_edu.runtime.writing import NotWritten, Taken
from mrkd_edu.study.prepare import split
from mrkd_edu.study.run import Plan, run, run_key
from mrkd_edu.study.snapshots import snapshots
from mrkd_edu.toy import make_toy
from mrkd_edu.train import TrainingError

SIZE = 64
CPU = torch.device("cpu")
PLAN = Plan("mrkd", size=SIZE, recipe=Recipe(steps=3, batch=4, warmup=0))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), train=14, test_good=2, test_defective=5, size=SIZE)


@pytest.fixture(scope="module")
def first(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MRKD]:
    """A cache with the run of PLAN in it, and what that run gave."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRKD_EDU_CACHE", str(cache))
        return cache, run(AnomalyFolder(toy), PLAN, progress=False)


@pytest.fixture
def data(toy: Path) -> AnomalyFolder:
    return AnomalyFolder(toy)


@pytest.fixture
def cache(first: tuple[Path, MRKD], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that cache, in use."""
    shutil.copytree(first[0], tmp_path / "cache")
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in use."""
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(a: MRKD, b: MRKD) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def runs(cache: Path) -> list[Path]:
    return sorted((cache / "runs").iterdir())


def times(cache: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}


# --- reuse --------------------------------------------------------------------------------------------------


def test_each_stage_is_the_run_that_ended_there_and_is_trained_once(data: AnomalyFolder, cache: Path) -> None:
    kept = snapshots(data, PLAN, (4, 2), progress=False)
    assert list(kept) == [2, 4]
    for step, model in kept.items():
        plan = replace(PLAN, recipe=replace(PLAN.recipe, steps=step, schedule="constant"))
        alone = run(data, plan, cache=False, progress=False)
        assert same(model, alone)
        assert model.settings.threshold == alone.settings.threshold
        assert model.settings.history["loss"] == alone.settings.history["loss"]
    before = times(cache)
    snapshots(data, PLAN, (2, 4), progress=False)
    assert times(cache) == before


def test_second_run_is_the_first_one(
    cache: Path, data: AnomalyFolder, first: tuple[Path, MRKD], capsys: pytest.CaptureFixture
) -> None:
    before = times(cache)
    model = run(data, PLAN)
    assert same(model, first[1])
    assert model.settings == first[1].settings
    assert times(cache) == before  # nothing was trained, nothing written
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Reused run ") and "mrkd on metal, 3 steps, seed 0" in captured.err

    run(data, PLAN, progress=False)  # no bars, but what was reused is always said
    assert capsys.readouterr().err.startswith("Reused run ")


def files(folder: Path) -> list[str]:
    """Names in a folder, but for the lock, which is hidden."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_cache_holds_the_model_and_nothing_else(cache: Path) -> None:
    (folder,) = runs(cache)
    assert files(folder) == ["model.json", "model.safetensors"]


def test_reused_run_is_written_where_it_is_asked_for(
    cache: Path, data: AnomalyFolder, first: tuple[Path, MRKD], tmp_path: Path
) -> None:
    run(data, PLAN, out=tmp_path / "out", progress=False)
    assert same(MRKD.load(tmp_path / "out"), first[1])


def test_run_with_a_folder_fills_the_cache(
    empty: Path, data: AnomalyFolder, first: tuple[Path, MRKD], tmp_path: Path
) -> None:
    model = run(data, PLAN, out=tmp_path / "out", progress=False)
    assert same(model, first[1]) and same(MRKD.load(tmp_path / "out"), model)
    assert files(tmp_path / "out") == ["model.json", "model.safetensors"]
    before = times(empty)
    assert same(run(data, PLAN, progress=False), model)
    assert times(empty) == before


def test_without_cache_nothing_is_reused_or_kept(
    cache: Path, data: AnomalyFolder, first: tuple[Path, MRKD], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    before = times(cache)
    model = run(data, PLAN, out=tmp_path / "out", cache=False)
    assert "Reused" not in capsys.readouterr().err
    assert same(model, first[1])  # the same settings and images give the same bits
    assert times(cache) == before


def test_model_tells_of_its_training(first: tuple[Path, MRKD]) -> None:
    history = first[1].settings.history
    assert (history["steps"], history["category"], len(history["loss"])) == (3, "metal", 3)
    assert history["seconds"] > 0
    assert history["plan"]["variant"] == "mrkd" and history["plan"]["recipe"]["steps"] == 3
    assert history["nsa"]["blend"] == "mix"
    json.dumps(history)


# --- what makes another run ---------------------------------------------------------------------------------

CHANGES: dict[str, dict[str, Any]] = {
    "variant": {"variant": "rd"},
    "backbone": {"backbone": "efficientnet_lite1"},
    "size": {"size": 96},
    "seed": {"seed": 1},
    "steps": {"recipe": replace(PLAN.recipe, steps=4)},
    "drop": {"recipe": replace(PLAN.recipe, drop=(0.1, 0.2, 0.3))},
    "precision": {"precision": "fp32"},
    "nsa": {"nsa": replace(DEFAULT, patches=1)},
}


def test_every_setting_makes_another_key(data: AnomalyFolder) -> None:
    keys = {run_key(data, replace(PLAN, **change), CPU) for change in CHANGES.values()}
    assert len(keys | {run_key(data, PLAN, CPU)}) == len(CHANGES) + 1
    assert run_key(data, PLAN, CPU) == run_key(data, replace(PLAN), CPU)
    assert run_key(data, PLAN, CPU) != run_key(data, PLAN, torch.device("cuda"))


def test_another_seed_is_trained(cache: Path, data: AnomalyFolder, first: tuple[Path, MRKD]) -> None:
    model = run(data, replace(PLAN, seed=1), progress=False)
    assert not same(model, first[1])
    assert len(runs(cache)) == 2


@pytest.mark.parametrize("change", ["pixel", "more", "name"])
def test_other_images_make_another_key(change: str, toy: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(toy, tmp_path / "metal"))
    assert run_key(AnomalyFolder(copy), PLAN, CPU) == run_key(AnomalyFolder(toy), PLAN, CPU)  # the place is nothing
    image = next((copy / "train" / "good").iterdir())
    if change == "pixel":
        pixels = np.array(Image.open(image))
        pixels[0, 0] ^= 1
        Image.fromarray(pixels).save(image)
    elif change == "more":
        shutil.copy(image, image.with_name("999.png"))
    else:  # the name of the category chooses the preset
        copy = copy.rename(tmp_path / "screw")
    assert run_key(AnomalyFolder(copy), PLAN, CPU) != run_key(AnomalyFolder(toy), PLAN, CPU)


def imported_by(name: str) -> set[str]:
    """The module `mrkd_edu.<name>` and all modules of the library that it imports, as files."""
    files, package = set(), Path(mrkd_edu.__file__).parent
    waiting = [name]
    while waiting:
        path = package.joinpath(*waiting.pop().split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if (place := file.relative_to(package).as_posix()) in files:
            continue
        files.add(place)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mrkd_edu."):
                waiting.append(str(node.module).removeprefix("mrkd_edu."))
    return files


def test_key_covers_every_file_that_training_imports() -> None:
    """A change of the code must not be hidden by an old run."""
    others = imported_by("study.run") - set(run_module.STEPS_OF_A_RUN)
    assert {Path(file).parent.as_posix() for file in others} <= set(run_module.ROOMS)


# --- damage and interruption --------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "half the weights": lambda folder: truncate(folder / "model.safetensors"),
    "half the settings": lambda folder: truncate(folder / "model.json"),
    "empty settings": lambda folder: (folder / "model.json").write_bytes(b""),
    "no settings": lambda folder: (folder / "model.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_trained_anew(
    damage: str, cache: Path, data: AnomalyFolder, first: tuple[Path, MRKD]
) -> None:
    (folder,) = runs(cache)
    DAMAGE[damage](folder)
    assert same(run(data, PLAN, progress=False), first[1])
    assert same(MRKD.load(folder), first[1])


def stop_after(steps: int) -> Callable[[Any], None]:
    """A callback: Ctrl-C after some steps."""

    def callback(moment: Any) -> None:
        if moment.step == steps:
            raise KeyboardInterrupt

    return callback


@pytest.mark.parametrize("out", [True, False])
def test_interrupted_run_is_resumed(
    out: bool, empty: Path, data: AnomalyFolder, first: tuple[Path, MRKD], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"out": tmp_path / "out" if out else None, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        run(data, PLAN, callback=stop_after(2), **options)
    (folder,) = [tmp_path / "out"] if out else runs(empty)
    assert files(folder) == ["checkpoint.safetensors"]

    model = run(data, PLAN, resume=out, **options)  # in the cache's own folder it resumes by itself
    assert same(model, first[1])
    assert model.settings.history["loss"] == first[1].settings.history["loss"]
    assert files(folder) == ["model.json", "model.safetensors"]


def test_finished_elsewhere_nothing_is_left_to_resume(
    cache: Path, data: AnomalyFolder, first: tuple[Path, MRKD], tmp_path: Path
) -> None:
    """The checkpoint stayed behind, and the finished model counted as interrupted for ever."""
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(data, PLAN, out=out, cache=False, callback=stop_after(2), progress=False)
    assert files(out) == ["checkpoint.safetensors"]
    run(data, PLAN, out=out, resume=True, progress=False)  # from the cache
    assert files(out) == ["model.json", "model.safetensors"]


def test_a_checkpoint_of_another_version_in_the_folder_is_refused(
    empty: Path, data: AnomalyFolder, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "checkpoint.pt").write_bytes(b"a pickle")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt was written by another version of mrkd_edu\. Delete"):
        run(data, PLAN, out=tmp_path / "out", resume=True, progress=False)


def test_a_damaged_checkpoint_in_the_cache_is_nobodys_problem(
    empty: Path, data: AnomalyFolder, first: tuple[Path, MRKD]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(data, PLAN, callback=stop_after(2), progress=False)
    (folder,) = runs(empty)
    truncate(folder / "checkpoint.safetensors")
    assert same(run(data, PLAN, progress=False), first[1])


def test_a_cache_that_cannot_be_written_is_said_before_and_ends_nothing(
    empty: Path, data: AnomalyFolder, first: tuple[Path, MRKD], tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "file" / "cache"))
    said: list[str] = []
    model = run(data, PLAN, out=tmp_path / "m", callback=lambda _: said.append(capsys.readouterr().err))
    assert "Nothing is kept" in said[0] and "MRKD_EDU_CACHE to another folder" in said[0]
    assert same(model, first[1]) and files(tmp_path / "m") == ["model.json", "model.safetensors"]


def fill_the_disk(monkeypatch: pytest.MonkeyPatch, *full: Path) -> None:
    """From now on no file can be written below these folders."""
    real = os.replace

    def replace_file(source: str | Path, target: str | Path) -> None:
        if any(Path(target).is_relative_to(folder) for folder in full):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr("mrkd_edu.runtime.writing.os.replace", replace_file)


@pytest.mark.parametrize("cached", [True, False])
def test_a_disk_that_is_full_in_the_end_loses_no_training(
    cached: bool, empty: Path, data: AnomalyFolder, first: tuple[Path, MRKD], tmp_path: Path, monkeypatch: Any
) -> None:
    out = tmp_path / "out"
    fill_the_disk(monkeypatch, out)
    with pytest.raises(NotWritten, match=r"No space left on device\. Make room") as caught:
        run(data, PLAN, out=out, cache=cached, progress=False)
    assert files(out) == []
    if cached:
        assert "give the same command again" in str(caught.value)
        assert same(run(data, PLAN, progress=False), first[1])
    else:
        rescue = Path(str(caught.value).split("The trained model is in ")[1].removesuffix("."))
        assert same(MRKD.load(rescue), first[1])
        shutil.rmtree(rescue)


def test_a_full_cache_in_the_end_is_only_said(
    empty: Path, data: AnomalyFolder, first: tuple[Path, MRKD], tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    fill_the_disk(monkeypatch, empty)
    assert same(run(data, PLAN, out=tmp_path / "m", progress=False), first[1])
    assert "Nothing is kept for the next time" in capsys.readouterr().err
    assert same(MRKD.load(tmp_path / "m"), first[1])


def test_stages_are_trained_to_the_end_whatever_becomes_of_the_cache(
    empty: Path, data: AnomalyFolder, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    wanted = snapshots(data, PLAN, (2, 3), progress=False)
    truncate(runs(empty)[0] / "model.safetensors")
    again = snapshots(data, PLAN, (2, 3), progress=False)  # one is damaged: both are trained anew
    assert all(same(again[step], model) for step, model in wanted.items())
    assert all(same(MRKD.load(folder), wanted[MRKD.load(folder).settings.history["steps"]]) for folder in runs(empty))

    shutil.rmtree(empty)
    with monkeypatch.context() as full:
        fill_the_disk(full, empty)
        capsys.readouterr()
        again = snapshots(data, PLAN, (2, 3), progress=False)
    assert all(same(again[step], model) for step, model in wanted.items())
    assert "Nothing is kept for the next time" in capsys.readouterr().err

    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "file" / "cache"))
    again = snapshots(data, PLAN, (2, 3), progress=False)
    assert all(same(again[step], model) for step, model in wanted.items())
    assert capsys.readouterr().err.count("Nothing is kept in the cache") == 1  # said once, before


def test_no_room_is_found_before_the_training(
    empty: Path, data: AnomalyFolder, tmp_path: Path, monkeypatch: Any
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("mrkd_edu.runtime.writing.shutil.disk_usage", lambda _: usage)
    with pytest.raises(NotWritten, match=r"0 MB free, and about .* MB are needed"):
        run(data, PLAN, out=tmp_path / "m", callback=lambda _: pytest.fail("trained"), progress=False)


TRAINS = """
import sys
from mrkd_edu.data import AnomalyFolder
from mrkd_edu.recipe import Recipe
from mrkd_edu.study.run import Plan, run
plan = Plan("rd", size=64, recipe=Recipe(steps=12, batch=4))
def tell(moment):
    if moment.step == 1:
        print("training", flush=True)
    if moment.step == 2 and len(sys.argv) > 2:
        sys.stdin.read()  # until it may go on
run(AnomalyFolder(sys.argv[1]), plan, out=sys.argv[3] if len(sys.argv) > 3 else None, progress=False, callback=tell)
"""


def test_a_second_training_of_the_same_waits_and_takes_the_first_ones(empty: Path, toy: Path) -> None:
    """Two trainings into one place killed each other, or left a damaged checkpoint."""
    one = subprocess.Popen(
        [sys.executable, "-c", TRAINS, str(toy), "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert one.stdin is not None and one.stdout is not None
    assert one.stdout.readline() == "training\n"
    two = subprocess.Popen(
        [sys.executable, "-c", TRAINS, str(toy)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert two.stderr is not None
    assert "waiting for it" in two.stderr.readline()
    one.communicate("")
    said, told = two.communicate()
    assert (one.returncode, two.returncode, said) == (0, 0, "")
    assert "Reused run" in told


def test_a_second_training_into_one_folder_is_refused(empty: Path, toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    one = subprocess.Popen(
        [sys.executable, "-c", TRAINS, str(toy), "wait", str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert one.stdin is not None and one.stdout is not None
    assert one.stdout.readline() == "training\n"
    with pytest.raises(Taken, match=r"Another training is writing into .*out: wait for it, or choose another folder"):
        run(AnomalyFolder(toy), PLAN, out=out, progress=False)
    one.communicate("")
    assert one.returncode == 0 and MRKD.load(out).settings.history["steps"] == 12


def test_resuming_with_other_settings_is_refused(empty: Path, data: AnomalyFolder, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(data, PLAN, out=tmp_path / "out", callback=stop_after(1), progress=False)
    with pytest.raises(TrainingError, match="another training"):
        run(data, replace(PLAN, seed=1), out=tmp_path / "out", resume=True, progress=False)


# --- images -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [2, 11, 12, 13, 39, 40, 100, 391])
@pytest.mark.parametrize("seed", [0, 7])
def test_split(images: int, seed: int) -> None:
    learned, held_out = split(images, seed)
    assert set(learned) | set(held_out) == set(range(images))
    if images < 12:
        assert len(learned) == len(held_out) == images
    else:
        assert not set(learned) & set(held_out)
        assert images // 10 <= len(held_out) <= images // 4
        assert len(held_out) >= min(16, images // 4)
    again = split(images, seed)
    assert np.array_equal(learned, again[0]) and np.array_equal(held_out, again[1])
    if images > 12:
        assert set(held_out) != set(split(images, seed + 1)[1])


def test_threshold_is_that_of_the_held_out_images(first: tuple[Path, MRKD], data: AnomalyFolder) -> None:
    _, held_out = split(len(data.train), PLAN.seed)
    scores = first[1].predict([data.train[i].path for i in held_out]).score
    assert first[1].settings.threshold == pytest.approx(MRKD(size=SIZE).calibrate(scores), rel=1e-5)


def test_training_sees_the_learned_images_and_no_other(
    empty: Path, data: AnomalyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Tensor] = []
    fit = run_module.fit
    monkeypatch.setattr(
        run_module, "fit", lambda model, images, **options: given.append(images[:]) or fit(model, images, **options)
    )
    run(data, PLAN, progress=False)
    learned, _ = split(len(data.train), PLAN.seed)
    assert torch.equal(given[0], data.train_images(SIZE)[learned])


def test_test_images_are_never_looked_at(empty: Path, toy: Path, tmp_path: Path, first: tuple[Path, MRKD]) -> None:
    """Every test image, mask and twin is spoilt once the folder has been checked: training does not notice."""
    copy = Path(shutil.copytree(toy, tmp_path / "metal"))
    data = AnomalyFolder(copy)
    for folder in ("test", "ground_truth", "twins"):
        for path in (copy / folder).rglob("*.png"):
            path.write_bytes(b"no image")
    assert same(run(data, PLAN, progress=False), first[1])


def test_a_training_image_that_breaks_is_named(empty: Path, toy: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(toy, tmp_path / "metal"))
    data = AnomalyFolder(copy)
    truncate(data.train[0].path)
    with pytest.raises(DataError, match=data.train[0].path.name):
        run(data, PLAN, progress=False)


def test_few_images(empty: Path, tmp_path: Path) -> None:
    data = AnomalyFolder(make_toy(tmp_path, train=3, test_good=0, test_defective=0, size=SIZE))
    assert run(data, PLAN, progress=False).settings.threshold is not None


# --- judged anew, told beforehand, and the published setting -------------------------------------------------------


def test_another_distance_is_judged_anew_and_not_trained_anew(
    cache: Path, data: AnomalyFolder, first: tuple[Path, MRKD], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(PLAN, recipe=replace(PLAN.recipe, distance="mahalanobis"))
    monkeypatch.setattr(run_module, "fit", lambda *_, **__: pytest.fail("the student is there already"))
    model, known = run(data, plan, progress=False), first[1]
    assert model.settings.distance == "mahalanobis" and known.settings.distance == "cosine"
    same = {name for name, value in model.state_dict().items() if torch.equal(value, known.state_dict()[name])}
    assert same == set(known.state_dict())
    assert model.settings.threshold != known.settings.threshold
    monkeypatch.setattr(run_module, "finish", lambda *_, **__: pytest.fail("judged once"))
    assert run(data, plan, progress=False).settings.threshold == model.settings.threshold


def test_a_student_judged_anew_is_the_one_trained_for_that_distance(
    cache: Path, data: AnomalyFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = replace(PLAN, recipe=replace(PLAN.recipe, distance="mahalanobis"))
    judged = run(data, plan, progress=False)
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "empty"))
    trained = run(data, plan, progress=False)
    assert trained.settings.weights == judged.settings.weights
    assert trained.settings.threshold == pytest.approx(judged.settings.threshold)


def test_it_is_said_beforehand_how_long_a_training_takes(
    empty: Path, data: AnomalyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_module, "WORTH_A_WORD", 3)
    run(data, PLAN)
    said = capsys.readouterr().err
    assert "mrkd on metal: 3 steps of 4 images, about 10 seconds on this machine." in said
    run(data, PLAN)
    assert "about" not in capsys.readouterr().err, "nothing to wait for: the run is in the cache"


def test_foretelling_leaves_the_training_as_it_is(first: tuple[Path, MRKD], empty: Path, data: AnomalyFolder) -> None:
    run_module.say_how_long([(data, PLAN)])
    again = run(data, PLAN, progress=False)
    assert again.settings.history["loss"] == first[1].settings.history["loss"]


def test_paper_pastes_as_the_published_code_does(data: AnomalyFolder) -> None:
    nsa = run_module.divide(data, Plan("mrkd", size=64, recipe=RECIPES["paper"])).nsa
    assert (nsa.blend, nsa.source, nsa.rescale) == ("swap", "same", (1.0, 1.0))


def test_size_is_the_recipes_unless_said_otherwise() -> None:
    assert Plan().size == 192 and Plan(recipe=RECIPES["paper"]).size == 256 and Plan(size=64).size == 64
