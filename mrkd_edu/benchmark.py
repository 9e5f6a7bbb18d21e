"""The benchmark: category x variant x seed, one row each, as the paper's table needs it.

Every finished row is on disk before the next one starts, so an interrupted benchmark goes on where it stopped. Rows
that are there already are not computed again, as long as recipe, images and code are those that made them: for each
row, `results.keys.json` keeps the key of its run (see `run.run_key`), in which test images and measures count as well.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from tqdm.auto import tqdm

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.evaluate import COSTS, check_test_set, evaluate
from mrkd_edu.hardware import pick_device
from mrkd_edu.model import VARIANTS, Detector, Variant
from mrkd_edu.neighbours import Neighbours
from mrkd_edu.run import Plan, run, run_key, split

KEY = ("category", "variant", "seed", "backbone", "size", "steps")
MEASURES = ("image_auroc", "pixel_auroc", "aupro", "f1_max", "leakage", "train_seconds", "ms_per_image")
MEASURING = ("evaluate.py", "leakage.py", "neighbours.py")  # code behind a row, beside that of its training
Row = dict[str, str]


def benchmark(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    plan: Plan | None = None,
    variants: Sequence[Variant] = ("nn", *VARIANTS),
    seeds: Iterable[int] = (0, 1, 2),
    device: str = "auto",
    progress: bool = True,
) -> list[Row]:
    """Train and evaluate every combination, and write `results.csv` into `out`.

    Args:
        folders: one category each.
        out: where `results.csv` is, or will be.
        plan: what all runs share (default: `Plan()`); variant and seed are replaced.
        variants, seeds: the grid.
        device: `"auto"`, `"cpu"`, `"cuda"`.
        progress: show bars.

    Returns:
        The rows of this grid, in its order, as written: text, six digits, empty where not measurable.

    Raises:
        data.images.DataError: a folder or a mask cannot be used. All are looked at before the first training.
        ValueError: no test images, two categories of one name, or a results.csv that is not a benchmark's.
    """
    table = Path(out) / "results.csv"
    plan = plan or Plan()
    rows = read_results(table)
    keys_file = table.with_suffix(".keys.json")
    keys: dict[str, str] = json.loads(keys_file.read_text(encoding="utf-8")) if rows and keys_file.exists() else {}
    sets = [AnomalyFolder(folder) for folder in folders]
    if len({data.name for data in sets}) < len(sets):
        raise ValueError(f"Two categories have the same name: {[data.name for data in sets]}. Rename one folder.")
    for data in sets:
        check_test_set(data, plan.size)
    where = pick_device(device)
    tested = {data.name: data.fingerprint() for data in sets}
    grid = [(data, variant, seed) for data in sets for variant in variants for seed in seeds]
    wanted = []
    with tqdm(grid, desc="benchmark", unit="run", disable=not progress) as bar:
        for data, variant, seed in bar:
            bar.set_postfix_str(f"{data.name} {variant} seed {seed}")
            mine = replace(plan, variant=variant, seed=seed)
            learned, _ = split(len(data.train), seed)
            steps = 0 if variant == "nn" else mine.recipe.total_steps(len(learned))
            key = tuple(str(v) for v in (data.name, variant, seed, mine.backbone, mine.size, steps))
            run_name = f"{run_key(data, mine, where, code=MEASURING)} {tested[data.name]}"
            if key not in rows or keys.get(" ".join(key)) != run_name:
                result = evaluate(detector(data, mine, device), data, progress=False)
                rows[key] = dict(zip(KEY, key, strict=True)) | {m: _text(result.metrics[m]) for m in MEASURES}
                _write(table, rows.values())
                keys[" ".join(key)] = run_name
                keys_file.write_text(json.dumps(keys, indent=1) + "\n", encoding="utf-8")
            wanted.append(rows[key])
    return wanted


def detector(data: AnomalyFolder, plan: Plan, device: str = "auto") -> Detector:
    """The detector of one row: a trained model, or for `nn` a bank of features. Both have a threshold.

    `nn` remembers the images that a student would learn from, and takes its threshold from the same held-out ones.
    Where a data set is too small to hold any out (see `run.split`), `nn` knows all by heart and gets no threshold.
    """
    if plan.variant != "nn":
        return run(data, plan, device=device, progress=False)
    images = data.train_images(plan.size)
    learned, held_out = split(len(images), plan.seed)
    model = Neighbours(
        images[learned], backbone=plan.backbone, seed=plan.seed, precision=plan.precision, device=pick_device(device)
    )
    if not set(learned) & set(held_out):
        model.calibrate(model.predict([images.paths[i] for i in held_out]).score)
    return model


def read_results(path: str | Path) -> dict[tuple[str, ...], Row]:
    """Rows of a `results.csv` by their key; empty where there is no file yet."""
    path = Path(path)
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != KEY + MEASURES:
            raise ValueError(f"{path} is not a benchmark's table (its columns differ). Choose another --out.")
        return {tuple(row[name] for name in KEY): row for row in reader}


def summary(rows: Iterable[Row]) -> Table:
    """Means over the seeds, with their standard deviation below, as a table that fits into 80 columns."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["category"], row["variant"]), []).append(row)
    seeds = sorted({len(members) for members in groups.values()})
    title = f"mean ± standard deviation over seeds (number of seeds: {', '.join(map(str, seeds))})"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("category", "variant", *MEASURES):
        header = {"train_seconds": "train\ns", "ms_per_image": "ms per\nimage"}.get(name, name.replace("_", "\n"))
        table.add_column(header, justify="right" if name in MEASURES else "left", overflow="fold")
    shown = None
    for (category, variant), members in groups.items():
        if shown not in (None, category):
            table.add_section()
        cells = [mean_and_spread(members, m).replace(" ±", "\n±") for m in MEASURES]
        table.add_row("" if category == shown else category, variant, *cells)
        shown = category
    return table


def mean_and_spread(rows: Sequence[Row], measure: str) -> str:
    """Mean ± sample standard deviation of one column; the mean alone for one row, a dash for none.

    Example:
        >>> mean_and_spread([{"aupro": "0.9"}, {"aupro": "0.8"}], "aupro")
        '0.850 ±0.071'
    """
    values = np.array([float(row[measure]) for row in rows if row[measure]])
    digits = 1 if measure in COSTS else 3
    if len(values) == 0:
        return "-"
    mean = f"{values.mean():.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ±{values.std(ddof=1):.{digits}f}"


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}"


def _write(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, KEY + MEASURES)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(unfinished, path)
