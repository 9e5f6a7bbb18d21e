"""Does memory grow in long work? Many steps, many predictions, and every explorer's cell run again and again.

    python benchmarks/long_runs.py [--steps 2000] [--predictions 2000] [--cells 500] [--only fit,predict] [--json FILE]

Up to 200 times on the way the collector runs, free memory is given back to the system, and the resident memory is read.
The table has the slope of a line through the second half, by least squares, in kB per 1,000 repetitions; the first half
is for caches that fill. Its standard error counts readings that are like their neighbours as fewer, by the correlation
of each residual with the next. One picture that is kept in every repetition makes a slope of 12,000 at 64 pixels.

Explorers run as in a notebook's cell: a stand-in for the kernel says which cell it is, and that it was run again, so
that each closes the one before. Every one draws its first picture; `watch_training` trains anew each time.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import ctypes
import ctypes.util
import gc
import io
import itertools
import json
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import torch

from mrkd_edu import widgets
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.model import MRKD
from mrkd_edu.recipe import Recipe
from mrkd_edu.study.evaluate import evaluate
from mrkd_edu.study.run import Plan, run
from mrkd_edu.toy import make_toy
from mrkd_edu.train import fit
from mrkd_edu.widgets.explorers import strength

READINGS = 200  # at most, of one task
Task = Callable[[int, Callable[[], None]], None]  # how often, and what to call after each


@dataclass
class Growth:
    """Resident memory over many repetitions of one thing.

    Attributes:
        repetitions: how many.
        seconds: they took.
        slope: of the second half, kB per 1,000 repetitions.
        error: its standard error.
        resident: in the end, MB.
    """

    repetitions: int
    seconds: float
    slope: float
    error: float
    resident: float


def resident() -> float:
    """Resident memory in kB, without what is free."""
    give_back()
    return psutil.Process().memory_info().rss / 1024


def watched(task: Task, repetitions: int, read: Callable[[], float] = resident) -> Growth:
    """Do a task, and measure how memory grows, in kB as `read` gives it."""
    gc.collect()
    gc.freeze()  # what is there already is not looked through each time
    every, count, readings, begin = math.ceil(repetitions / READINGS), itertools.count(1), [], time.perf_counter()

    def tick() -> None:
        if (number := next(count)) % every == 0:
            gc.collect()
            readings.append((number, read()))

    task(repetitions, tick)
    seconds = time.perf_counter() - begin
    number, kilobytes = np.array(readings[len(readings) // 2 :]).T
    gc.unfreeze()
    slope, error = line(number, kilobytes)
    return Growth(repetitions, seconds, 1000 * slope, 1000 * error, kilobytes[-1] / 1024)


def give_back() -> None:
    """Return what is free to the system, where the C library can be asked for that (glibc): else it counts as used."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim(0)


def line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope by least squares, and its standard error.

    Example:
        >>> line(np.arange(4.0), np.array([1.0, 3.0, 5.0, 7.0]))[0]
        2.0
    """
    away = x - x.mean()
    slope = float((away * y).sum() / (away**2).sum())
    left = y - y.mean() - slope * away
    error = math.sqrt((left**2).sum() / max(1, len(x) - 2) / (away**2).sum())
    alike = 0.0 if not left.any() else float((left[1:] * left[:-1]).sum() / (left**2).sum())
    alike = min(max(alike, 0.0), 0.99)
    return slope, error * math.sqrt((1 + alike) / (1 - alike))


def tasks(folder: Path, size: int = 64) -> dict[str, Task]:
    """What is repeated, by name; the cache and a toy data set are made in a folder."""
    os.environ["MRKD_EDU_CACHE"] = str(folder / "cache")
    data = AnomalyFolder(make_toy(folder, train=14, test_good=2, test_defective=5, size=size))
    plan = Plan("rd", size=size, recipe=Recipe(steps=6, batch=4, warmup=0, width=16))
    models = {v: run(data, Plan(v, size=size, recipe=plan.recipe), progress=False) for v in ("rd", "mrkd")}
    results = [evaluate(model, data, progress=False) for model in models.values()]
    images = data.train_images(size)[:]  # (N, 3, S, S)
    pictures = [image.permute(1, 2, 0).contiguous().numpy() for image in images[:3]]

    def steps(repetitions: int, tick: Callable[[], None]) -> None:
        recipe = Recipe(steps=repetitions, batch=4)
        model = MRKD(variant="mrkd", size=size)
        options: dict[str, Any] = {"checkpoint": folder / "c.safetensors", "progress": False}
        fit(model, images, recipe=recipe, callback=lambda _: tick(), **options)

    def predictions(repetitions: int, tick: Callable[[], None]) -> None:
        rng = np.random.default_rng(0)
        for _ in range(repetitions):  # photographs of many sizes
            height, width = rng.integers(size, 4 * size, 2)
            models["mrkd"].predict(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
            tick()

    def watch_training() -> Any:
        shutil.rmtree(folder / "cache" / "runs")  # or there is nothing to watch
        return widgets.watch_training(data, plan)

    cells: dict[str, Callable[[], Any]] = {
        "paint_defects": lambda: widgets.paint_defects(models, pictures),
        "explore_distance": lambda: widgets.explore_distance(models["mrkd"], pictures),
        "explore_ilm": lambda: widgets.explore_ilm(pictures, models["mrkd"]),
        "explore_flm": lambda: widgets.explore_flm(models["mrkd"], pictures),
        "explore_overgeneralisation": lambda: widgets.explore_overgeneralisation(models, data.name),
        "explore_threshold": lambda: widgets.explore_threshold(results),
        "watch_training": watch_training,
        "choose_training": lambda: widgets.choose_training(data, {"rd": plan}),
    }
    return {"fit": steps, "predict": predictions} | {name: again(name, make) for name, make in cells.items()}


def again(name: str, make: Callable[[], Any]) -> Task:
    """A cell with an explorer, run many times as in a notebook."""

    def task(repetitions: int, tick: Callable[[], None]) -> None:
        for number in range(repetitions):
            with in_cell(name, number), contextlib.redirect_stderr(io.StringIO()):  # of bars
                explorer = make()
                if hasattr(explorer, "wait"):
                    explorer.wait()
                explorer._repr_mimebundle_()
            del explorer  # the cell's own name for it
            tick()

    return task


@contextlib.contextmanager
def in_cell(cell: str, run_number: int) -> Iterator[None]:
    """A stand-in for a kernel: it says which cell runs, and which time it is."""
    request = {"metadata": {"cellId": cell}, "header": {"msg_id": f"{cell} {run_number}"}}
    before = getattr(builtins, "get_ipython", None)
    shell = SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda: request))
    builtins.get_ipython = lambda: shell  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if before is None:
            del builtins.get_ipython  # type: ignore[attr-defined]
        else:
            builtins.get_ipython = before  # type: ignore[attr-defined]


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--steps", type=int, default=2000, help="of one training")
    parser.add_argument("--predictions", type=int, default=2000)
    parser.add_argument("--cells", type=int, default=500, help="times that each explorer's cell is run")
    parser.add_argument("--only", help="names, with commas between them (default: all)")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    args = parser.parse_args()
    strength.COARSE_TO_FINE = (0.5,)  # one point of the curve that is worked out behind the picture

    with tempfile.TemporaryDirectory() as folder:
        todo = tasks(Path(folder))
        chosen = args.only.split(",") if args.only else list(todo)
        if unknown := set(chosen) - set(todo):
            parser.error(f"nothing called {', '.join(sorted(unknown))}; there are {', '.join(todo)}")
        print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
        print("| what | repetitions | seconds | kB per 1,000 | resident in the end, MB |\n|---|---|---|---|---|")
        found = {}
        for name in chosen:
            growth = watched(todo[name], {"fit": args.steps, "predict": args.predictions}.get(name, args.cells))
            found[name] = vars(growth)
            slope = f"{growth.slope:.0f} ± {growth.error:.0f}"
            row = (f"`{name}`", growth.repetitions, f"{growth.seconds:.0f}", slope, f"{growth.resident:.0f}")
            print(f"| {' | '.join(map(str, row))} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
