"""How sure is a comparison? Intervals over test images and seeds, of every variant and of its gain over `rd`.

    python benchmarks/intervals.py toy/surface --recipe long --seeds 0,1,2

Each draw takes as many good and as many defective test images as there are, with replacement, and one of the seeds; all
variants get the same images. An interval holds the middle 95 % of the draws. Models come from the cache where
`mrkd-edu benchmark` has trained them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from tqdm import tqdm

from mrkd_edu.data import AnomalyFolder
from mrkd_edu.distance import image_score
from mrkd_edu.judging.detector import Detector
from mrkd_edu.metrics import aupro, image_auroc
from mrkd_edu.model import BASELINES, VARIANTS
from mrkd_edu.recipe import RECIPES
from mrkd_edu.study.benchmark import detector
from mrkd_edu.study.evaluate import BATCH
from mrkd_edu.study.run import Plan

MIDDLE = (0.025, 0.975)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="categories")
    parser.add_argument("--recipe", default="long", choices=list(RECIPES))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--variants", default=",".join((*BASELINES, *VARIANTS)), help="rd among them")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--distance", default="cosine", choices=("cosine", "mahalanobis"))
    options = parser.parse_args()
    recipe = replace(RECIPES[options.recipe], distance=options.distance)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    print("| category | variant | image AUROC | gain over `rd` | AUPRO | gain over `rd` |\n|---|---|---|---|---|---|")
    for folder in options.data:
        data = AnomalyFolder(folder)
        found: dict[str, list[Look]] = {}
        for variant in options.variants.split(","):
            models = (detector(data, Plan(variant, seed=seed, recipe=recipe)) for seed in seeds)
            found[variant] = [look(model, data) for model in models]
        for line in table(found, options.draws):
            print(f"| {data.name} | {line}", flush=True)


@dataclass(frozen=True)
class Look:
    """What a model says of N test images: scores (N,), maps (N, h, w), every fourth pixel; and what is true."""

    scores: np.ndarray
    labels: np.ndarray
    maps: np.ndarray
    masks: np.ndarray


def look(model: Detector, data: AnomalyFolder) -> Look:
    """Judge the test set; leakage and what else `evaluate` measures is not needed here."""
    size = model.settings.size
    images = data.test_images(size)
    with torch.no_grad():
        maps = torch.cat([model(images[i : i + BATCH]).cpu() for i in range(0, len(images), BATCH)])
    masks = data.test_masks(size)
    return Look(image_score(maps).numpy(), data.test_labels, maps.numpy()[:, ::4, ::4], masks[:, ::4, ::4])


def table(found: dict[str, list[Look]], draws: int) -> list[str]:
    """A row for each variant: value and interval of both measures, and of the gains over `rd`."""
    drawn = {name: draw(found, measure, draws) for name, measure in (("image", _auroc), ("aupro", _aupro))}
    whole = {
        name: {v: np.mean([measure(e, np.arange(len(e.score))) for e in mine]) for v, mine in found.items()}
        for name, measure in (("image", _auroc), ("aupro", _aupro))
    }
    lines = []
    for variant in found:
        cells = [f"`{variant}`"]
        for name in ("image", "aupro"):
            cells.append(_interval(whole[name][variant], drawn[name][variant], ".3f"))
            gain = 100 * (whole[name][variant] - whole[name]["rd"])
            gains = 100 * (drawn[name][variant] - drawn[name]["rd"])
            cells.append("" if variant == "rd" else _interval(gain, gains, "+.1f"))
        lines.append(" | ".join(cells) + " |")
    return lines


def draw(
    found: dict[str, list[Look]], measure: Callable[[Look, np.ndarray], float], draws: int
) -> dict[str, np.ndarray]:
    """Variant to its measure in each draw, (draws,)."""
    rng = np.random.default_rng(0)
    labels = next(iter(found.values()))[0].labels
    good, bad = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    values: dict[str, list[float]] = {variant: [] for variant in found}
    for _ in tqdm(range(draws), leave=False):
        chosen = np.r_[rng.choice(good, len(good)), rng.choice(bad, len(bad))]
        for variant, mine in found.items():
            values[variant].append(measure(mine[rng.integers(len(mine))], chosen))
    return {variant: np.array(drawn) for variant, drawn in values.items()}


def _auroc(evaluation: Look, chosen: np.ndarray) -> float:
    return image_auroc(evaluation.score[chosen], evaluation.labels[chosen])


def _aupro(evaluation: Look, chosen: np.ndarray) -> float:
    return aupro(evaluation.anomaly_map[chosen], evaluation.masks[chosen])


def _interval(value: float, drawn: np.ndarray, form: str) -> str:
    low, high = np.quantile(drawn, MIDDLE)
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


if __name__ == "__main__":
    main()
