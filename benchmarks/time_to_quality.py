"""Time to quality: seconds of training until the image AUROC stays within half a point of its final value.

    python benchmarks/time_to_quality.py DATA/bottle toy/fabric --out results/time_to_quality.csv

Looks at the test set five times on the way (the looks are not counted as training, and choose nothing). The finished
models go into the run cache, so that `mrkd-edu benchmark` with the same seed does not train them again. Two categories
at once on two cores share them: say so beside the figures.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mrkd_edu.data import AnomalyFolder
from mrkd_edu.distance import image_score
from mrkd_edu.metrics import image_auroc
from mrkd_edu.model import MRKD, VARIANTS
from mrkd_edu.recipe import budget
from mrkd_edu.runtime.batches import in_batches
from mrkd_edu.study.prepare import divide, finish
from mrkd_edu.study.run import Plan, run
from mrkd_edu.train import Moment

LOOKS = 5
NEAR = 0.005  # half a point of AUROC


def time_to_quality(seconds: list[float], auroc: list[float]) -> float:
    """The first look from which on the AUROC never falls more than `NEAR` below its last value.

    Example:
        >>> time_to_quality([5, 10, 15, 20], [0.7, 0.9, 0.80, 0.802])
        10
        >>> time_to_quality([5, 10, 15, 20], [0.7, 0.9, 0.70, 0.802])
        20
    """
    good = [a >= auroc[-1] - NEAR for a in auroc]
    first = len(good) - next((i for i, ok in enumerate(reversed(good)) if not ok), len(good))
    return seconds[first]


class Looks:
    """A callback of `fit` that measures the image AUROC now and then. The teacher sees the test images only once."""

    def __init__(self, data: AnomalyFolder, plan: Plan):
        self.images, self.labels, self.plan = data.test_images(plan.size), data.test_labels, plan
        self.work = divide(data, plan)
        self.steps: list[int] = []
        self.seconds: list[float] = []
        self.auroc: list[float] = []
        self.seen: list[list[torch.Tensor]] = []

    def __call__(self, moment: Moment) -> None:
        if moment.step % max(1, moment.steps // LOOKS) and moment.step != moment.steps:
            return
        model = moment.model.eval()
        finish(model, self.work, self.plan)
        self.steps.append(moment.step)
        self.seconds.append(moment.seconds)
        self.auroc.append(image_auroc(self.scores(model), self.labels))

    @torch.no_grad()
    def scores(self, model: MRKD) -> np.ndarray:
        """Image scores of the test set, (N,)."""
        if not self.seen:
            self.seen = [model.see(part) for part in in_batches(self.images)]
        scores = [image_score(model.compare(T, model.restore(T))) for T in self.seen]
        return torch.cat(scores).cpu().numpy()


def main() -> None:
    """Read the command line, train, write one row for each category and variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path, help="categories")
    parser.add_argument("--out", type=Path, default=Path("results/time_to_quality.csv"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = []
    grid = [(AnomalyFolder(folder), variant) for folder in options.data for variant in VARIANTS]
    for data, variant in tqdm(grid, unit="run"):
        plan = Plan(variant=variant, seed=options.seed, size=budget(quick=64, full=0))
        looks = Looks(data, plan)
        run(data, plan, progress=False, callback=looks)
        if not looks.auroc:
            print(f"{data.name} {variant}: from the run cache, nothing to time", file=sys.stderr)
            continue
        if len(looks.steps) < LOOKS:
            print(f"{data.name} {variant}: its beginning was trained before, and not timed", file=sys.stderr)
            continue
        until = time_to_quality(looks.seconds, looks.auroc)
        points = zip(looks.steps, looks.seconds, looks.auroc, strict=True)
        curve = " ".join(f"{step}:{second:.1f}:{auroc:.4f}" for step, second, auroc in points)
        end = f"{looks.seconds[-1]:.1f}", f"{looks.auroc[-1]:.4f}"
        rows.append([data.name, variant, options.seed, f"{until:.1f}", *end, curve])
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["category", "variant", "seed", "seconds_to_quality", "seconds", "image_auroc", "curve"])
            writer.writerows(rows)


if __name__ == "__main__":
    main()
