"""The benchmark: category x variant x seed, one row each, as the paper's table needs it.

Every finished row is on disk before the next one starts, so an interrupted benchmark goes on where it stopped. Rows
that are there already are not computed again, as long as recipe, images and code are those that made them: for each
row, `results.keys.json` keeps the key of its run (see `run.run_key`), in which test images and measures count as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.judging.detector import Baseline, Detector, Variant
from mrkd_edu.model import BASELINES, VARIANTS
from mrkd_edu.recipe import Distance
from mrkd_edu.runtime.hardware import pick_device
from mrkd_edu.runtime.names import cell, readable
from mrkd_edu.runtime.tables import text_of
from mrkd_edu.study.controls import Control
from mrkd_edu.study.evaluate import check_test_set, evaluate
from mrkd_edu.study.neighbours import Neighbours
from mrkd_edu.study.prepare import divide, finish, split
from mrkd_edu.study.results import KEY, MEASURES, OWN, Results, Row
from mrkd_edu.study.run import Plan, is_trained, run, run_key, say_how_long

MEASURING = ("study/controls.py", "study/evaluate.py", "study/neighbours.py")  # code behind a row


def benchmark(
    folders: Sequence[str | Path | AnomalyFolder],
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
        folders: one category each; those that are open already are not read again.
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
    sets = [f if isinstance(f, AnomalyFolder) else AnomalyFolder(f) for f in folders]
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
                rows[key] = dict(zip(KEY, key, strict=True)) | {m: text_of(result.metrics[m]) for m in MEASURES}
                table.add(key, rows[key], run_name)
            wanted.append(rows[key])
    return wanted


def detector(data: AnomalyFolder, plan: Plan, device: str = "auto") -> Detector:
    """The detector of one row: a trained model, or a baseline. All have a threshold.

    A baseline learns from the images that a student would learn from, and takes its threshold from the same held-out
    ones; `gauss` and `template` their scales' weights as well. Where a data set is too small to hold any out (see
    `prepare.split`), `nn` knows all by heart and gets no threshold.
    """
    if plan.variant not in BASELINES:
        return run(data, plan, device=device, progress=False)
    parts, where = divide(data, plan), pick_device(device)
    given: dict[str, Any] = {"backbone": plan.backbone, "precision": plan.precision, "device": where}
    if plan.variant != "nn":
        control = Control(plan.variant, parts.learned, plan.recipe, **given)
        finish(control, parts, plan)
        return control
    model = Neighbours(parts.learned, seed=plan.seed, **given)
    if not set(parts.learned.paths) & set(parts.held_out.paths):
        model.calibrate(model.predict(parts.held_out.paths).score)
    return model
