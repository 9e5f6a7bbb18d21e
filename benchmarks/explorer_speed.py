"""How soon an explorer answers: from a control's change to the new picture in hand, as PNG bytes.

    python benchmarks/explorer_speed.py [--only ilm,painter] [--json explorers.json]

Moves every explorer 50 times, each time to a state that it has not shown before, and waits for its picture; `strength`
and `product` are two sliders of the overgeneralisation explorer. The models
are `rd` and `mrkd` of the toy category `surface` with the default teacher at 256 pixels; they are trained first where
the cache does not have them. What a browser needs to show the picture comes on top and is not measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.model import MRKD
from mrkd_edu.study.evaluate import evaluate
from mrkd_edu.study.run import Plan, run
from mrkd_edu.toy import cached_toy
from mrkd_edu.widgets import (
    explore_distance,
    explore_flm,
    explore_ilm,
    explore_overgeneralisation,
    explore_threshold,
    paint_defects,
)
from mrkd_edu.widgets.frame.explorer import Explorer

CATEGORY, SIZE, MOVES = "surface", 256, 50
SETUP = "setup"  # marks a move that is not timed
Moves = Iterator[dict[str, object]]  # the controls that a move sets


def scattered(low: float, high: float, step: float) -> Callable[[int], float]:
    """Values that jump about between two bounds, as far apart from move to move as a hasty hand's."""
    number = round((high - low) / step) + 1
    return lambda move: round(low + step * (move * 7 % number), 6)


def ilm_moves() -> Moves:
    patches, seed = scattered(1, 8, 1), scattered(0, 99, 1)
    for i in range(MOVES):
        yield {"seed": seed(i)} if i % 2 else {"patches": patches(i)}


def flm_moves() -> Moves:
    share = scattered(0.05, 0.95, 0.05)
    for i in range(MOVES):
        yield {f"drop_{(4, 8, 16, 32)[i % 4]}": share(i)}


def distance_moves() -> Moves:
    row, col = scattered(0, 63, 1), scattered(0, 63, 1)
    for i in range(MOVES):
        yield {"row": row(i)} if i % 2 else {"col": col(i)}


def threshold_moves() -> Moves:
    multiple = scattered(0.02, 1.98, 0.02)
    for i in range(MOVES):
        yield {"multiple": multiple(i)}


def strength_moves() -> Moves:
    """Every strength once, then another product, whose building is not a move of this slider."""
    for i in range(MOVES):
        if i % 20 == 0:
            yield {SETUP: True, "seed": 1 + i // 20, "strength": 0.0}
        yield {"strength": round(0.05 * (1 + i * 7 % 20), 2)}


def product_moves() -> Moves:
    for i in range(MOVES):
        yield {"seed": 10 + i}


def strokes(image: np.ndarray) -> Moves:
    """A brush that goes along a wave."""
    painted = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])  # (S, S, 4)
    for i in range(MOVES):
        row, col = round(SIZE * (0.5 + 0.3 * np.sin(i / 8))), round(SIZE * (0.1 + 0.8 * i / MOVES))
        painted[row - 6 : row + 6, col - 6 : col + 6, :3] = (60, 40, 20)
        yield {"painted": painted.tobytes()}


def time_moves(explorer: Explorer, moves: Moves) -> list[float]:
    """Milliseconds of every move."""
    explorer.wait()
    times = []
    for move in moves:
        counts = not move.pop(SETUP, False)
        start = time.perf_counter()
        if len(move) == 1:
            [(name, value)] = move.items()
            explorer.controls[name].value = value
        else:
            explorer.set(**move)
        Explorer.wait(explorer)  # for the picture, not for the curves that are worked out behind it
        if counts:
            times.append(1000 * (time.perf_counter() - start))
        if explorer.problem.value:
            raise SystemExit(f"{explorer.name} says: {explorer.problem.value}")
    return times


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--only", help="names, with commas between them (default: all)")
    parser.add_argument("--json", type=Path, help="also write the times to this file")
    args = parser.parse_args()

    data = AnomalyFolder(cached_toy(CATEGORY))
    models: dict[str, MRKD] = {name: run(data, Plan(name, size=SIZE)) for name in ("rd", "mrkd")}
    judged = [evaluate(model, data, progress=False) for model in models.values()]
    normal = [sample.path for sample in data.train[:8]]
    first = data.train_images(SIZE)[0].permute(1, 2, 0).contiguous().numpy()  # (S, S, 3)
    todo: dict[str, tuple[int | None, Callable[[], Explorer], Callable[[], Moves]]] = {
        "ilm": (100, lambda: explore_ilm(normal, models["rd"]), ilm_moves),
        "flm": (100, lambda: explore_flm(models["mrkd"], normal), flm_moves),
        "distance": (100, lambda: explore_distance(models["rd"], normal), distance_moves),
        "threshold": (100, lambda: explore_threshold(judged), threshold_moves),
        "strength": (250, lambda: explore_overgeneralisation(models, CATEGORY), strength_moves),
        "product": (None, lambda: explore_overgeneralisation(models, CATEGORY), product_moves),
        "painter": (250, lambda: paint_defects(models, [first]), lambda: strokes(first)),
    }
    chosen = args.only.split(",") if args.only else list(todo)
    if unknown := set(chosen) - set(todo):
        parser.error(f"no explorer called {', '.join(sorted(unknown))}; there are {', '.join(todo)}")

    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads of torch")
    print(f"{os.cpu_count()} cores, {MOVES} moves each, {SIZE} pixels, milliseconds\n")
    print(f"{'explorer':10}  {'median':>6}  {'95 %':>6}  {'aim':>5}")
    found = {}
    for name in chosen:
        aim, make, moves = todo[name]
        times = time_moves(make(), moves())
        median, high = np.percentile(times, [50, 95])
        found[name] = {"median_ms": round(median, 1), "p95_ms": round(high, 1), "aim_ms": aim}
        print(f"{name:10}  {median:6.0f}  {high:6.0f}  {aim or '-':>5}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
