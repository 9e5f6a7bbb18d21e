"""Killed at any moment, on a disk that is full: what was finished stays, and it goes on to the same bits."""

from __future__ import annotations

import csv
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("resource", reason="no SIGKILL and no limits of files on Windows")

import jobs

from mrkd_edu.recipe import budget
from mrkd_edu.runtime.checkpoint import unpacked
from mrkd_edu.runtime.writing import check_room
from mrkd_edu.study.evaluate import COSTS
from mrkd_edu.study.results import KEY, MEASURES
from mrkd_edu.toy import make_toy

KILLS = budget(quick=8, full=20)
PATIENCE = 300  # seconds, against a hang

pytestmark = pytest.mark.slow


def state(checkpoint: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The losses, the weights, and the optimiser's state."""
    said, tensors = unpacked(checkpoint.read_bytes())
    return said["history"]["loss"], tensors


def looks(folder: Path) -> tuple[Any, ...]:
    """Changes with every file that is written."""
    return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())) if folder.exists() else ()


def until_something_is_written(folder: Path, process: Any) -> None:
    before, end = looks(folder), time.monotonic() + PATIENCE
    while process.exitcode is None and time.monotonic() < end:
        try:
            if looks(folder) != before:
                return
        except FileNotFoundError:  # gone while it was looked at: something was written
            return
        time.sleep(0.001)


def killed(process: Any, wait: float) -> bool:
    """Kill a process after a while; whether it was still at work."""
    process.join(wait)
    if process.exitcode is None:
        os.kill(process.pid, signal.SIGKILL)  # nothing can be tidied up
    return jobs.ended(process) == -signal.SIGKILL


def test_a_training_killed_again_and_again_comes_to_the_same_bits(tmp_path: Path) -> None:
    """While it starts, in a step, while it saves: seeded moments, each time taken up again."""
    begin = time.perf_counter()
    process = jobs.started(jobs.train, tmp_path / "calm" / "checkpoint.safetensors")
    until_something_is_written(tmp_path / "calm", process)
    start = time.perf_counter() - begin
    assert jobs.ended(process) == 0
    step = (time.perf_counter() - begin - start) / jobs.NARROW.steps
    losses, tensors = state(tmp_path / "calm" / "checkpoint.safetensors")
    assert len(losses) == jobs.NARROW.steps and len(tensors) > 100

    rng, folder, kills, finished = np.random.default_rng(0), tmp_path / "killed", 0, 0
    while kills < KILLS or not finished:
        process = jobs.started(jobs.train, folder / "checkpoint.safetensors")
        if kills >= KILLS:
            assert jobs.ended(process) == 0
        elif kills % 3 == 0:  # while it starts
            kills += killed(process, rng.uniform(0, 0.9 * start))
        else:  # in a step, or while it saves
            until_something_is_written(folder, process)
            kills += killed(process, rng.uniform(0, 2 * step))
        if process.exitcode == 0:
            finished += 1
            its_losses, its_tensors = state(folder / "checkpoint.safetensors")
            assert its_losses == losses
            assert its_tensors.keys() == tensors.keys()
            assert all(torch.equal(value, its_tensors[name]) for name, value in tensors.items())
            folder = tmp_path / f"killed {finished}"


def table(out: Path) -> list[dict[str, str]]:
    """Rows without what is measured with a clock."""
    with (out / "results.csv").open(newline="") as file:
        return [{name: row[name] for name in (*KEY, *MEASURES) if name not in COSTS} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), train=12, test_good=3, test_defective=5, size=jobs.SIZE)


@pytest.fixture(scope="module")
def calm(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, str]], float]:
    """The table of a benchmark that nobody disturbs, and how long it takes."""
    folder, begin = tmp_path_factory.mktemp("calm"), time.perf_counter()
    assert jobs.ended(jobs.started(jobs.bench, toy, folder / "out", folder / "cache", (0, 1))) == 0
    return table(folder / "out"), time.perf_counter() - begin


def test_a_benchmark_killed_again_and_again_has_each_row_once(
    toy: Path, calm: tuple[list[dict[str, str]], float], tmp_path: Path
) -> None:
    rows, seconds = calm
    rng, kills = np.random.default_rng(1), 0
    out, finished = tmp_path / "0", 0
    while kills < KILLS or not finished:
        process = jobs.started(jobs.bench, toy, out, out / "cache", (0, 1))
        if kills >= KILLS:
            assert jobs.ended(process) == 0
        elif kills % 2 == 0:
            kills += killed(process, rng.uniform(0, 0.5 * seconds))
        else:  # shortly after a row, or a model
            until_something_is_written(out, process)
            kills += killed(process, rng.uniform(0, 0.1 * seconds))
        if process.exitcode == 0:
            assert table(out) == rows
            finished += 1
            out = tmp_path / str(finished)


def test_two_benchmarks_into_one_folder_have_each_row_once(
    toy: Path, calm: tuple[list[dict[str, str]], float], tmp_path: Path
) -> None:
    """Two processes, the same rows and the same cache."""
    both = [jobs.started(jobs.bench, toy, tmp_path / "out", tmp_path / "cache", seeds) for seeds in ((0, 1), (1, 0))]
    assert [jobs.ended(process) for process in both] == [0, 0]
    found, (rows, _) = table(tmp_path / "out"), calm
    assert len(found) == len(rows) and sorted(found, key=str) == sorted(rows, key=str)


def test_what_a_killed_writer_left_is_swept_up_later(tmp_path: Path) -> None:
    """It stayed for ever: a hidden file of the size of a checkpoint for every kill while saving."""
    old, young = tmp_path / f".{'a' * 32}.part", tmp_path / f".{'b' * 32}.part"
    others = [tmp_path / name for name in ("mine.part", ".part", ".hidden", f".{'a' * 31}.part")]
    for path in (old, young, *others):
        path.write_bytes(b"half")
    for path in (old, *others):
        os.utime(path, (0, 0))
    check_room(tmp_path, 1)
    assert not old.exists() and young.exists() and all(path.exists() for path in others)


# --- full disks -----------------------------------------------------------------------------------------------


@pytest.fixture
def disks(tmp_path: Path) -> Path:
    """A folder at which a disk can be made, or a skip."""
    (tmp_path / "disk").mkdir()
    process = jobs.started(jobs.can_make_disks, tmp_path / "disk")
    if jobs.ended(process):
        pytest.skip("a small disk cannot be made here: that takes root on Linux, and the right to mount")
    return tmp_path / "disk"


def test_a_file_that_may_not_grow_ends_no_training(tmp_path: Path) -> None:
    """A limit of the size of files (`ulimit -f`), as some clusters have it."""
    folder = tmp_path / "out"
    process = jobs.started(jobs.train_until_full, folder / "checkpoint.safetensors", tmp_path / "said", 500_000, False)
    assert jobs.ended(process) == 0, (tmp_path / "said").read_text()
    said = (tmp_path / "said").read_text()
    assert said.count("The training goes on without checkpoints") == 1
    assert (
        "checkpoint.safetensors cannot be written: File too large. Make room, or take a folder on another disk" in said
    )


def test_a_disk_that_is_full_ends_no_training(disks: Path, tmp_path: Path) -> None:
    """A real one, not a mock: a disk in memory."""
    checkpoint = disks / "checkpoint.safetensors"
    process = jobs.started(jobs.train_until_full, checkpoint, tmp_path / "said", 150_000_000, True)
    assert jobs.ended(process) == 0, (tmp_path / "said").read_text()
    said = (tmp_path / "said").read_text()
    assert said.count("The training goes on without checkpoints") == 1
    assert "No space left on device. Make room" in said


def test_a_cache_on_a_full_disk_is_said_and_ends_nothing(disks: Path, toy: Path, tmp_path: Path) -> None:
    process = jobs.started(jobs.run_on_a_small_disk, toy, disks, tmp_path / "said", 1_000_000)
    assert jobs.ended(process) == 0, (tmp_path / "said").read_text()
    said = (tmp_path / "said").read_text()
    assert "Nothing is kept in the cache for the next time" in said and "MRKD_EDU_CACHE to another folder" in said
