"""What other processes do in tests: they train and measure, and are killed. Starting one takes no second.

A clean process with one thread imports torch once, and is forked for each job (`multiprocessing`'s forkserver).
"""

from __future__ import annotations

import ctypes
import hashlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

import mrkd_edu.study.benchmark as benchmark_module
from mrkd_edu.data import AnomalyFolder
from mrkd_edu.judging.detector import Settings
from mrkd_edu.model import MRKD
from mrkd_edu.recipe import Recipe
from mrkd_edu.runtime.manifest import ModelError, read_model
from mrkd_edu.study.run import Plan, run
from mrkd_edu.train import fit

SIZE = 64
NARROW = Recipe(steps=24, batch=4, warmup=0, schedule="constant", width=8)  # a checkpoint of some megabytes
PLAN = Plan("rd", size=SIZE, recipe=replace(NARROW, steps=3))
ROWS = ("nn", "gauss", "template", "rd")
NOBODY = 65534  # a user who owns nothing
torch.set_num_threads(1)


def started(job: Callable[..., None], *given: Any) -> BaseProcess:
    """A job of this file, in another process."""
    context = multiprocessing.get_context("forkserver")
    assert isinstance(context, ForkServerContext)
    context.set_forkserver_preload(["jobs"])
    here = str(Path(__file__).parent)
    if here not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    process = context.Process(target=job, args=given)
    process.start()
    return process


def ended(process: BaseProcess, patience: float = 300) -> int:
    """Wait for a process, and give its exit code; one that hangs is an error."""
    process.join(patience)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"a process did not end in {patience:.0f} s")
    return process.exitcode


def images() -> torch.Tensor:
    return torch.randint(0, 255, (10, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


# --- what they do ---------------------------------------------------------------------------------------------


def train(checkpoint: Path, every: int = 1) -> None:
    """Train, and save after each step; goes on where it was."""
    model = MRKD(variant="ilm", size=SIZE, **NARROW.architecture)
    where: dict[str, Any] = {"checkpoint": checkpoint, "resume": True, "every": every}
    fit(model, images(), recipe=NARROW, progress=False, **where)


def train_until_full(checkpoint: Path, errors: Path, most: int, disk: bool) -> None:
    """Train where the first checkpoints fit, and the later ones do not: a limit of a file's size, or a small disk."""
    sys.stderr = errors.open("w", buffering=1)
    if disk:
        small_disk(checkpoint.parent, most)
    model = MRKD(variant="ilm", size=SIZE, **NARROW.architecture)
    whole, limits = {}, resource.getrlimit(resource.RLIMIT_FSIZE)

    def callback(moment: Any) -> None:
        if moment.step == 4:
            whole["bytes"] = checkpoint.read_bytes()
            if disk:
                rest = most - len(whole["bytes"]) - 500_000
                (checkpoint.parent / "filler").write_bytes(b"x" * rest)
            else:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))

    history = fit(model, images(), recipe=NARROW, checkpoint=checkpoint, every=2, progress=False, callback=callback)
    assert len(history.loss) == NARROW.steps
    assert checkpoint.read_bytes() == whole["bytes"], "the older one must stay as it is"
    assert not list(checkpoint.parent.glob(".*")), "nothing half-written may be left"
    if disk:
        (checkpoint.parent / "filler").unlink()
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    again = MRKD(variant="ilm", size=SIZE, **NARROW.architecture)
    seen: list[int] = []
    resumed = fit(
        again, images(), recipe=NARROW, checkpoint=checkpoint, resume=True, every=99, progress=False,
        callback=lambda moment: seen.append(moment.step),
    )  # fmt: skip
    assert seen[0] == 5 and resumed.loss == history.loss


def small_disk(folder: Path, most: int) -> None:
    """A disk of some bytes at a folder, which only this process sees. Needs root on Linux.

    Raises:
        PermissionError: it may not be made here.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    new_names, private = 0x00020000, 0x4000 | 0x40000  # CLONE_NEWNS; MS_REC | MS_PRIVATE
    if (
        libc.unshare(new_names)
        or libc.mount(b"none", b"/", None, private, None)
        or libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={most}".encode())
    ):
        raise PermissionError(ctypes.get_errno(), "no disk can be made here")


def can_make_disks(folder: Path) -> None:
    small_disk(folder, 1_000_000)


def bench(toy: Path, out: Path, cache: Path, seeds: tuple[int, ...]) -> None:
    """A benchmark of three baselines and a student."""
    os.environ["MRKD_EDU_CACHE"] = str(cache)
    benchmark_module.benchmark([toy], out, plan=PLAN, variants=ROWS, seeds=seeds, progress=False)


def train_as_nobody(toy: Path, cache: Path, errors: Path) -> None:
    """A run whose cache belongs to another user, and may only be read."""
    os.environ["MRKD_EDU_CACHE"] = str(cache.with_name("warm"))
    run(AnomalyFolder(toy), PLAN, progress=False)  # as oneself: later nothing can be imported from this user's folders
    sys.stderr = errors.open("w", buffering=1)
    os.environ["MRKD_EDU_CACHE"] = str(cache)
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    model = run(AnomalyFolder(toy), PLAN, progress=False)
    assert model.settings.threshold is not None


def run_on_a_small_disk(toy: Path, cache: Path, errors: Path, most: int) -> None:
    """A run whose cache has too little room."""
    small_disk(cache, most)
    sys.stderr = errors.open("w", buffering=1)
    os.environ["MRKD_EDU_CACHE"] = str(cache)
    model = run(AnomalyFolder(toy), PLAN, progress=False)
    assert model.settings.threshold is not None
    assert not [path for path in cache.rglob("*.part")]


def read_often(home: Path, threads: int, whole: int, wanted: set[str], gate: Any, said: Any) -> None:
    """Many threads that read one model at once; each notes what it got. Only some build it as well: that takes long."""
    barrier = threading.Barrier(threads)

    def read(builds: bool) -> None:
        barrier.wait()
        try:
            if builds:
                found = marks(MRKD.load(home, "cpu"))
            else:
                facts, weights = read_model(home, Settings)
                found = f"{facts.settings.threshold} {hashlib.sha256(weights).hexdigest()}"
        except ModelError as error:
            found = "refused" if "is just being written" in str(error) else f"{error}"
        except Exception:
            found = traceback.format_exc()
        said.put(found if found not in wanted else "whole")

    gate.wait()
    workers = [threading.Thread(target=read, args=(number < whole,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def marks(model: MRKD) -> str:
    """What tells one model from another: its threshold and a weight, which are in different files."""
    weight = next(model.student.parameters()).flatten()[0].item()
    return f"{model.settings.threshold} {weight:.6f}"


def write_often(homes: tuple[Path, Path], home: Path, stop: Any) -> None:
    """One writer that puts now one model, now another in one place."""
    models = [MRKD.load(each, "cpu") for each in homes]
    number = 0
    while not stop.is_set():
        models[number % 2].save(home)
        number += 1
        time.sleep(0.02)
