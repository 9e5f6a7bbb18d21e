"""The benchmark: category x variant x seed, one row each, as the paper's table needs it.

Every finished row is on disk before the next one starts, so an interrupted benchmark goes on where it stopped. Rows
that are there already are not computed again, as long as recipe, images and code are those that made them: for each
row, `results.keys.json` keeps the key of its run (see `run.run_key`), in which test images and measures count as well.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table
from tqdm.auto import tqdm

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.judging.detector import Baseline, Detector, Variant
from mrkd_edu.model import BASELINES, VARIANTS
from mrkd_edu.recipe import Distance
from mrkd_edu.runtime.hardware import pick_device
from mrkd_edu.runtime.names import cell, readable, tell
from mrkd_edu.runtime.writing import alone, read_whole, whole_file
from mrkd_edu.study.controls import Control
from mrkd_edu.study.evaluate import COPYING, COSTS, check_test_set, evaluate
from mrkd_edu.study.neighbours import Neighbours
from mrkd_edu.study.prepare import divide, finish, split
from mrkd_edu.study.run import Plan, is_trained, run, run_key, say_how_long

KEY = ("category", "variant", "distance", "seed", "backbone", "size", "steps")
MEASURES = ("image_auroc", "pixel_auroc", "aupro", "f1_max", *COPYING, *COSTS)
MEASURING = ("study/controls.py", "study/evaluate.py", "study/neighbours.py")  # code behind a row
SHOWN = (*MEASURES[:6], "train_seconds")  # as many as fit into 80 columns; results.csv has all
OWN = {"nn": "euclidean", "gauss": "mahalanobis"}  # baselines with one distance, whatever is asked for
UNREADABLE = "\ufffd"  # stands for bytes that are no text
Row = dict[str, str]
Key = tuple[str, ...]


def benchmark(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    plan: Plan | None = None,
    variants: Sequence[Variant | Baseline] = (*BASELINES, *VARIANTS),
    seeds: Iterable[int] = (0, 1, 2),
    distances: Sequence[Distance] | None = None,
    device: str = "auto",
    progress: bool = True,
) -> list[Row]:
    """Train and evaluate every combination, and write `results.csv` into `out`.

    Args:
        folders: one category each.
        out: where `results.csv` is, or will be.
        plan: what all runs share (default: `Plan()`); variant and seed are replaced.
        variants, seeds: the grid.
        distances: each student is judged by all of these; None: by the recipe's. Baselines with a distance of their
            own have one row.
        device: `"auto"`, `"cpu"`, `"cuda"`.
        progress: show bars.

    Returns:
        The rows of this grid, in its order, as written: text, six digits, empty where not measurable.

    Raises:
        data.images.DataError: a folder or a mask cannot be used. All are looked at before the first training.
        ValueError: no test images, two categories of one name, or a results.csv that is not a benchmark's.
    """
    table = Results(out)
    plan = plan or Plan()
    rows, keys = table.read()
    sets = [AnomalyFolder(folder) for folder in folders]
    if not sets:
        raise ValueError("No category to work on: give at least one folder of images.")
    if len({data.name for data in sets}) < len(sets):
        names = ", ".join(data.name for data in sets)
        raise ValueError(f"Two categories have the same name: {names}. Give each folder once, or rename one of them.")
    for data in sets:
        check_test_set(data, plan.size)
    where = pick_device(device)
    tested = {data.name: data.fingerprint() for data in sets}
    asked, variants, seeds = tuple(distances or (plan.recipe.distance,)), tuple(variants), tuple(seeds)
    for name, values in (("variants", variants), ("seeds", seeds), ("distances", asked)):
        if len(set(values)) < len(values):
            raise ValueError(f"{name} {values} names one twice: the same training twice is a spread of nothing.")
    grid = [
        (data, variant, seed, distance)
        for data in sets
        for variant in variants
        for seed in seeds
        for distance in (asked[:1] if variant in OWN else asked)
    ]
    cells, missing = [], {}
    for data, variant, seed, distance in grid:
        mine = replace(plan, variant=variant, seed=seed, recipe=replace(plan.recipe, distance=distance))
        learned, _ = split(len(data.train), seed)
        steps = 0 if variant in BASELINES else mine.recipe.total_steps(len(learned))
        shown = OWN.get(variant, distance)
        key = tuple(str(v) for v in (cell(data.name), variant, shown, seed, mine.backbone, mine.size, steps))
        run_name = f"{run_key(data, mine, where, code=MEASURING)} {tested[data.name]}"
        cells.append((data, mine, key, run_name))
        if variant not in BASELINES and keys.get(key) != run_name:
            missing[data.name, variant, seed] = data, mine
    if progress and (waiting := [pair for pair in missing.values() if not is_trained(*pair, where)]):
        say_how_long(waiting, device)
    wanted = []
    with tqdm(cells, desc="benchmark", unit="run", disable=not progress) as bar:
        for data, mine, key, run_name in bar:
            bar.set_postfix_str(f"{readable(data.name)} {mine.variant} seed {mine.seed}")
            if keys.get(key) != run_name:
                result = evaluate(detector(data, mine, device), data, progress=False)
                rows[key] = dict(zip(KEY, key, strict=True)) | {m: _text(result.metrics[m]) for m in MEASURES}
                table.add(key, rows[key], run_name)
            wanted.append(rows[key])
    return wanted


def detector(data: AnomalyFolder, plan: Plan, device: str = "auto") -> Detector:
    """The detector of one row: a trained model, or a baseline. All have a threshold.

    A baseline learns from the images that a student would learn from, and takes its threshold from the same held-out
    ones; `gauss` and `template` their scales' weights as well. Where a data set is too small to hold any out (see
    `run.split`), `nn` knows all by heart and gets no threshold.
    """
    if plan.variant not in BASELINES:
        return run(data, plan, device=device, progress=False)
    work, where = divide(data, plan), pick_device(device)
    given: dict[str, Any] = {"backbone": plan.backbone, "precision": plan.precision, "device": where}
    if plan.variant != "nn":
        control = Control(plan.variant, work.learned, plan.recipe, **given)
        finish(control, work, plan)
        return control
    model = Neighbours(work.learned, seed=plan.seed, **given)
    if not set(work.learned.paths) & set(work.held_out.paths):
        model.calibrate(model.predict(work.held_out.paths).score)
    return model


class Results:
    """`results.csv` in a folder, and beside it `results.keys.json`, which says what each row is a result of.

    Neither is believed unread. A row counts as done if it parses whole, and if the keys know it, by a hash, as it
    stands. Several benchmarks may write into one folder: each row is added to what is there at that moment.
    """

    def __init__(self, folder: str | Path):
        self.path = Path(folder) / "results.csv"
        self.keys_file = self.path.with_suffix(".keys.json")

    def read(self, quiet: bool = False) -> tuple[dict[Key, Row], dict[Key, str]]:
        """Rows by their key, and the names of the runs behind those that count as done; `quiet`: it was said before.

        Raises:
            ValueError: the file is another table than a benchmark's.
        """
        rows = read_results(self.path, quiet)
        try:
            known = json.loads(read_whole(self.keys_file))
            marks = {tuple(entry["key"]): (entry["run"], entry["row"]) for entry in known}
        except FileNotFoundError:
            return rows, {}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            if not quiet:
                tell(f"{self.keys_file} is damaged: what {self.path.name} holds is measured again.")
            return rows, {}
        return rows, {key: marks[key][0] for key, row in rows.items() if key in marks and marks[key][1] == _mark(row)}

    def add(self, key: Key, row: Row, run_name: str) -> None:
        """Write one row more, or in place of an older one."""
        with alone(self.path.with_name(".results.lock"), "", lambda: None):
            rows, keys = self.read(quiet=True)
            rows[key], keys[key] = row, run_name
            with whole_file(self.path, newline="") as file:
                writer = csv.DictWriter(file, KEY + MEASURES)
                writer.writeheader()
                writer.writerows(rows.values())
            entries = [{"key": k, "run": run, "row": _mark(rows[k])} for k, run in keys.items()]
            with whole_file(self.keys_file) as file:
                file.write(json.dumps(entries, indent=1) + "\n")


def read_results(path: str | Path, quiet: bool = False) -> dict[Key, Row]:
    """Rows of a `results.csv` by their key; empty where there is no file yet.

    A row that does not parse whole is left out, and that is said.

    Raises:
        ValueError: the file is another table than a benchmark's.
    """
    path = Path(path)
    try:
        text = read_whole(path).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    lines = text.replace("\0", UNREADABLE).splitlines()  # one row a line: names have no line breaks, see `names.py`
    if not lines:
        return {}
    if _values(lines[0]) != KEY + MEASURES:
        raise ValueError(f"{path} is not a benchmark's table (its columns differ). Choose another --out.")
    rows, broken = {}, 0
    for line in lines[1:]:
        row = dict(zip(KEY + MEASURES, _values(line), strict=False))
        if len(_values(line)) == len(KEY + MEASURES) and _parses(row):
            rows[tuple(row[name] for name in KEY)] = row
        else:
            broken += 1
    if broken and not quiet:
        tell(f"{path}: {broken} damaged {'row was' if broken == 1 else 'rows were'} left out.")
    return rows


def _values(line: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([line]), ()))
    except csv.Error:
        return ()


def _parses(row: Row) -> bool:
    """Whether a row is one that was written here: whole numbers, measures that are finite or empty."""
    try:
        whole = all(int(row[name]) >= 0 for name in ("seed", "size", "steps"))
        finite = all(math.isfinite(float(row[name])) for name in MEASURES if row[name])
    except ValueError:
        return False
    known = row["variant"] in (*BASELINES, *VARIANTS) and bool(row["category"])
    return whole and finite and known and UNREADABLE not in "".join(row.values())


def _mark(row: Row) -> str:
    """A hash of a row as it stands."""
    return hashlib.blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=8).hexdigest()


def summary(rows: Iterable[Row]) -> Table:
    """Means over the seeds, with their standard deviation below, as a table that fits into 80 columns."""
    rows = list(rows)
    several = len({row.get("distance") for row in rows if row["variant"] not in OWN}) > 1
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        name = row["variant"]
        if several and name not in OWN:
            name += f"\n{row['distance']}"
        groups.setdefault((row["category"], name), []).append(row)
    seeds = sorted({len(members) for members in groups.values()})
    title = f"mean ± standard deviation over seeds (number of seeds: {', '.join(map(str, seeds))})"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("category", "variant", *SHOWN):
        header = {"train_seconds": "train\ns", "ms_per_image": "ms per\nimage"}.get(name, name.replace("_", "\n"))
        table.add_column(header, justify="right" if name in SHOWN else "left", overflow="fold")
    shown = None
    for (category, variant), members in groups.items():
        if shown not in (None, category):
            table.add_section()
        cells = [mean_and_spread(members, m).replace(" ±", "\n±") for m in SHOWN]
        table.add_row("" if category == shown else escape(category), variant, *cells)
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
