"""Assignment A4: leakage, what it costs, paired intervals of an ablation, and the files of the open challenge."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from mrkd_edu.checks import probes
from mrkd_edu.checks.catalogue import find
from mrkd_edu.checks.exercise import Cases, Exercise, Mistake
from mrkd_edu.checks.inputs import fine_to_coarse, other_sizes, seeded
from mrkd_edu.checks.measuring import auroc
from mrkd_edu.distance import anomaly_map, unit
from mrkd_edu.leakage import mask_at_scale

Array = np.ndarray
Maps = Sequence[Tensor]
Sides = tuple[Maps, Maps]  # the teacher's maps, and the student's
Scores = Mapping[str, float]
LEVEL = 0.95


def leakage(T_defect: Maps, S: Maps, S_defect: Maps, mask: Tensor) -> list[float]:
    """How far the student goes from restoring defects to copying them, at each scale.

    Args:
        T_defect: the teacher's maps of the defective images, one (B, C_k, h_k, w_k) a scale.
        S, S_defect: the student's, of the normal and of the defective images.
        mask: bool (B, H, W), where the defects are in the images.

    Returns:
        K numbers: 0 where it restores, 1 where it copies, NaN where there is no defect.
    """
    shares = []
    for t_defect, s, s_defect in zip(T_defect, S, S_defect, strict=True):
        t_defect, s, s_defect = unit(t_defect), unit(s), unit(s_defect)
        way, gone = t_defect - s, s_defect - s  # r and s, (B, C, h, w)
        inside = mask_at_scale(mask, (way.shape[2], way.shape[3]))  # (B, h, w)
        shares.append(float((gone * way).sum(1)[inside].sum() / (way * way).sum(1)[inside].sum()))
    return shares


def without_copying(normal: Sides, defective: Sides, size: int) -> tuple[Tensor, Tensor]:
    """The anomaly map of defective images as it is, and as it would be had the student restored their normal twins.

    Args:
        normal: the teacher's maps of the normal images, and the student's.
        defective: the same of the defective images.
        size: side of the images.

    Returns:
        Two maps (B, size, size), sums of the cosine distances of all scales.
    """
    T_defect, S_defect = defective
    as_it_is, restored = (
        anomaly_map(list(T_defect), list(S), (size, size), sigma=0) for S in (S_defect, normal[1])
    )
    return as_it_is, restored


def ceiling(good: Array, as_it_is: Array, restored: Array) -> tuple[float, float, float]:
    """Image AUROC as it is, the same without copying, and what copying costs, in points.

    Args:
        good: image scores of good images, (G,).
        as_it_is: of defective images, (D,).
        restored: of the same, had nothing been copied, (D,).
    """
    labels = np.repeat([0, 1], [len(good), len(as_it_is)])
    found, best = (auroc(np.concatenate([good, scores]), labels) for scores in (as_it_is, restored))
    return found, best, 100 * (best - found)


def paired_interval(one: Array, other: Array, level: float) -> tuple[float, float, float]:
    """Mean of the paired differences other - one, and its interval by Student's t.

    Args:
        one, other: a measure of two designs, (n,), the same seeds in the same order.
        level: of the interval, 0.95 for instance.

    Returns:
        Mean, lower and upper end; NaN for both ends where there is one seed only.
    """
    d = np.asarray(other, dtype=float) - np.asarray(one, dtype=float)
    if len(d) < 2:
        return float(d.mean()), math.nan, math.nan
    reach = float(stats.t.ppf((1 + level) / 2, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d)))
    return float(d.mean()), float(d.mean()) - reach, float(d.mean()) + reach


def compared(
    rows: Sequence[Mapping[str, Any]], base: str, measure: str
) -> dict[str, tuple[int, float, float, float]]:
    """Every design against the base, over the seeds that both have.

    Args:
        rows: one a training, each with `"design"`, `"seed"` and measures; a measure can be None.
        base: the design that the others are compared with.
        measure: which one.

    Returns:
        Design to: number of common seeds, mean difference, lower and upper end of its 95 % interval.
    """
    by: dict[str, dict[int, float]] = {}
    for row in rows:
        known = by.setdefault(row["design"], {})
        if row[measure] is not None:
            known[row["seed"]] = row[measure]
    found = {}
    for design, values in by.items():
        if design == base:
            continue
        both = [seed for seed in values if seed in by[base]]
        one, other = (np.array([each[seed] for seed in both]) for each in (by[base], values))
        mean, low, high = paired_interval(one, other, LEVEL) if both else (math.nan,) * 3
        found[design] = (len(both), mean, low, high)
    return found


def challenge_files(scores: Scores, maps: Mapping[str, Array], folder: str | Path) -> None:
    """Write a submission: `scores.csv`, and `maps.npz` in half precision without pickle.

    Args:
        scores: image to its score.
        maps: image to its anomaly map, (h, w).
        folder: made where it is missing; older files in it are replaced.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "score"])
        table.writerows([name, repr(float(score))] for name, score in scores.items())
    halves = {name: np.asarray(each, dtype=np.float16) for name, each in maps.items()}
    np.savez_compressed(folder / "maps.npz", **halves)  # type: ignore[arg-type]


# ---- what they are tried on ------------------------------------------------------------------------------------

PAIRS = {  # batch, height and width of the coarsest map, pixels of its cell, channels fine to coarse
    "three scales": (3, 3, 3, 16, 4, 6, 8),
    "one image": (1, 4, 3, 8, 5, 7),
    "odd sizes": (2, 5, 3, 6, 3, 5),
    "a defect of a few pixels": (2, 4, 4, 8, 4, 6),
    "long and short features": (3, 4, 5, 4, 6),
    "half precision": (2, 3, 4, 8, 6, 8),
    "a student that nearly restores": (2, 3, 3, 4, 5, 6),
    "a student that copies": (2, 4, 3, 4, 5, 6),
    "no defect": (2, 3, 4, 4, 4, 5),
}
SIDES = {  # batch, height and width of the coarsest map, size, channels
    "three scales": (3, 2, 2, 32, 4, 6, 8),
    "one image": (1, 3, 3, 24, 5, 7),
    "one scale": (2, 4, 4, 16, 6),
    "odd sizes": (2, 3, 5, 37, 4, 3),
    "large and small numbers": (2, 4, 3, 20, 5, 6),
    "half precision": (2, 3, 3, 24, 6, 8),
    "no defect": (2, 3, 4, 16, 4, 5),
}
IMAGES = {"50 images": (20, 30), "ties": (12, 15), "one of each": (1, 1), "far apart": (8, 5)}  # good, defective
SEEDS = {  # seeds, level in percent
    "five seeds": (5, 95),
    "two seeds": (2, 95),
    "twelve seeds at 90 %": (12, 90),
    "one seed": (1, 95),
    "the same difference in each": (4, 99),
}
TABLES = {  # designs beside the base, seeds
    "two designs": (2, 4),
    "in mixed order": (3, 5),
    "seeds that are missing": (3, 6),
    "a measure that is None": (2, 5),
    "one seed": (2, 1),
    "no seed in common": (1, 3),
}
FILES = {  # images, height, width, whether an older submission is there
    "three images": (3, 8, 8, 0),
    "one image": (1, 5, 7, 0),
    "scores that are close": (6, 4, 4, 0),
    "an older submission": (4, 6, 3, 1),
}


def _of_leakage(seed: int = 0, sizes: Mapping[str, tuple[int, ...]] = PAIRS) -> Cases:
    cases = {}
    for i, (what, (batch, h, w, cell, *channels)) in enumerate(sizes.items()):
        chance = seeded(seed + i)
        t, s, between = (fine_to_coarse(batch, h, w, channels, seed + 90 * i + 30 * j) for j in range(3))
        share = torch.linspace(0.1, 0.8, batch)[:, None, None, None]  # of what is copied
        lengths = [torch.ones(()) for _ in t]
        if what == "long and short features":
            lengths = [0.1 + 9 * torch.rand(batch, 1, *m.shape[2:], generator=chance) ** 2 for m in t]
        t = [length * m for length, m in zip(lengths, t, strict=True)]
        s_defect = [share * a + b / length + 0.3 * n for a, b, length, n in zip(t, s, lengths, between, strict=True)]
        cells = torch.rand(batch, 2 * h, 2 * w, generator=chance) < 0.3
        mask = cells.repeat_interleave(cell // 2, 1).repeat_interleave(cell // 2, 2)  # (B, H, W)
        mask[:, cell // 2 :, :2] = False  # cells that a defect only touches
        mask[:, 0, 0] = True
        if what == "a defect of a few pixels":
            mask[:] = False
            mask[:, cell : cell + 2, cell + 1] = mask[:, -1, 2] = True
        elif what == "no defect":
            mask[:] = False
        elif what == "a student that nearly restores":
            s_defect = [3 * m + 0.1 * n for m, n in zip(s, t, strict=True)]
        elif what == "a student that copies":
            s_defect = [0.5 * m for m in t]
        elif what == "half precision":
            t, s, s_defect = ([(100 * m).half() for m in maps] for maps in (t, s, s_defect))  # squares overflow
        cases[what] = (t, s, s_defect, mask)
    return cases


def _of_maps(seed: int = 0, sizes: Mapping[str, tuple[int, ...]] = SIDES) -> Cases:
    cases = {}
    for i, (what, (batch, h, w, size, *channels)) in enumerate(sizes.items()):
        t, s, t_defect, s_defect = (fine_to_coarse(batch, h, w, channels, seed + 90 * i + 20 * j) for j in range(4))
        if what == "no defect":
            t_defect, s_defect = ([m.clone() for m in maps] for maps in (t, s))
        if what == "large and small numbers":
            s, t_defect = [1e-3 * m for m in s], [300 * m for m in t_defect]
        if what == "half precision":
            t, s, t_defect, s_defect = ([(100 * m).half() for m in maps] for maps in (t, s, t_defect, s_defect))
        cases[what] = ((t, s), (t_defect, s_defect), size)
    return cases


def _of_ceiling(seed: int = 0, sizes: Mapping[str, tuple[int, ...]] = IMAGES) -> Cases:
    rng, cases = np.random.default_rng(seed), dict[str, tuple[Any, ...]]()
    for what, (number, defects) in sizes.items():
        good, found = rng.normal(size=number), 0.8 + rng.normal(size=defects)
        restored = found + rng.uniform(-0.2, 1, defects)
        if what == "ties":
            good, found, restored = np.round(good), np.round(found), np.round(restored)
        if what == "far apart":
            good, found, restored = 1e-6 * good, 1e-6 * found, 1e6 * (1 + restored**2)
        cases[what] = (good, found, restored)
    good, found, _ = cases["50 images"]
    return {**cases, "nothing copied": (good[1:], found[2:], found[2:].copy())}


def _of_interval(seed: int = 0, sizes: Mapping[str, tuple[int, ...]] = SEEDS) -> Cases:
    rng, cases = np.random.default_rng(seed), dict[str, tuple[Any, ...]]()
    for what, (n, percent) in sizes.items():
        one = rng.normal(0.85, 0.05, n)
        other = one + (0.04 if what.startswith("the same") else rng.normal(0.01, 0.02, n))
        cases[what] = (one, other, percent / 100)
    return cases


def _of_tables(seed: int = 0, sizes: Mapping[str, tuple[int, ...]] = TABLES) -> Cases:
    rng, cases = np.random.default_rng(seed), dict[str, tuple[Any, ...]]()
    for what, (number, n) in sizes.items():
        designs = ["wide", *("narrow", "with ILM", "short", "long", "two scales", "deep")[:number]]
        base = rng.normal(0.85, 0.05, n)
        rows: list[dict[str, Any]] = []
        for i, design in enumerate(designs):
            values = base + (i > 0) * rng.normal(0.01 * i, 0.01, n)
            rows += [
                {"design": design, "seed": j, "image_auroc": float(value), "leakage": float(rng.random())}
                for j, value in enumerate(values)
            ]
        if what == "in mixed order":
            rows = [rows[j] for j in rng.permutation(len(rows))]
        elif what == "seeds that are missing":
            rows = [row for row in rows if (row["seed"] + len(row["design"])) % 3]
        elif what == "a measure that is None":
            rows = [row | {"image_auroc": None} if row["seed"] in (1, len(row["design"]) % 3) else row for row in rows]
        elif what == "no seed in common":
            rows = [row | {"seed": row["seed"] + 10 * (row["design"] == "wide")} for row in rows]
        cases[what] = (rows, "wide", "image_auroc")
    rows, *_ = cases["in mixed order"]
    nought = [row | {"image_auroc": 0.0} if row["seed"] == 0 else row for row in rows]
    nothing = [*rows, {"design": "never measured", "seed": 0, "image_auroc": None, "leakage": None}]
    cases["a measure that is 0"] = ([dict(row) for row in nought], "wide", "image_auroc")
    cases["a design without a measure"] = ([dict(row) for row in nothing], "wide", "image_auroc")
    return {**cases, "another base and measure": ([dict(row) for row in rows], "narrow", "leakage")}


def _of_files(seed: int = 0, sizes: Mapping[str, tuple[int, ...]] = FILES) -> Cases:
    rng, cases = np.random.default_rng(seed), dict[str, tuple[Any, ...]]()
    for what, (number, h, w, older) in sizes.items():
        names = [f"{int(i):03}.png" for i in rng.permutation(90)[:number]]
        maps: dict[str, Array] = {name: (4 * rng.random((h, w)) ** 3).astype(np.float32) for name in names}
        scores: dict[str, Any] = {name: np.float32(maps[name].max()) for name in names}
        if what == "scores that are close":
            scores = {name: 0.5 + 1e-10 * (number - i) for i, name in enumerate(names)}
        cases[what] = (scores, maps, bool(older))
    names = ["part 7, left.png", "good/Ähre.png", "scratch/003.jpg"]
    maps = {name: rng.random((4 + i, 6 + seed % 5)) for i, name in enumerate(names)}  # of different sizes, in double
    return {**cases, "names that are not plain": ({n: float(maps[n].mean()) for n in names[::-1]}, maps, False)}


# ---- what goes wrong -------------------------------------------------------------------------------------------

Cells = Callable[[Tensor, tuple[int, int]], Tensor]


def _leaks(one: Callable[..., Any], cells: Cells = mask_at_scale) -> Callable[..., list[float]]:
    """`leakage` from what is done at one scale, and from a way to bring the mask there."""

    def answer(T_defect: Maps, S: Maps, S_defect: Maps, mask: Tensor) -> list[float]:
        three = zip(T_defect, S, S_defect, strict=True)
        return [float(one(t, s, s_defect, cells(mask, (t.shape[2], t.shape[3])))) for t, s, s_defect in three]

    return answer


def _share(t_defect: Tensor, s: Tensor, s_defect: Tensor, inside: Tensor) -> Tensor:
    t_defect, s, s_defect = unit(t_defect), unit(s), unit(s_defect)
    way, gone = t_defect - s, s_defect - s
    return (gone * way).sum(1)[inside].sum() / (way * way).sum(1)[inside].sum()


def _squares(t_defect: Tensor, s: Tensor, s_defect: Tensor, inside: Tensor) -> Tensor:
    t_defect, s, s_defect = unit(t_defect), unit(s), unit(s_defect)
    way, gone = t_defect - s, s_defect - s
    return (gone * gone).sum(1)[inside].sum() / (way * way).sum(1)[inside].sum()


def _averaged(T_defect: Maps, S: Maps, S_defect: Maps, mask: Tensor) -> list[float]:
    return [float(np.mean(leakage(T_defect, S, S_defect, mask)))] * len(S)


def _summed(
    pair: Callable[[Sides, Sides], tuple[Sides, Sides]] = lambda normal, defective: (
        defective,
        (defective[0], normal[1]),
    ),
    join: Callable[[list[Tensor]], Tensor] = lambda maps: torch.stack(maps).sum(0),
    **how: Any,
) -> Callable[..., tuple[Tensor, ...]]:
    """`without_copying` from another choice of sides, another sum, or another way to enlarge."""

    def one(sides: Sides, size: int) -> Tensor:
        distances = (1 - F.cosine_similarity(t.float(), s.float()) for t, s in zip(*sides, strict=True))
        options = {"mode": "bilinear", **how}
        return join([F.interpolate(d[:, None], (size, size), **options)[:, 0] for d in distances])

    return lambda normal, defective, size: tuple(one(sides, size) for sides in pair(normal, defective))


def _ordered(
    a: Callable[[Array, Array], Any], cost: Callable[[float, float], float] = lambda found, best: 100 * (best - found)
) -> Callable[..., tuple[float, float, float]]:
    """`ceiling` from another AUROC of (good, defective), or another cost."""

    def answer(good: Array, as_it_is: Array, restored: Array) -> tuple[float, float, float]:
        found, best = float(a(good, as_it_is)), float(a(good, restored))
        return found, best, float(cost(found, best))

    return answer


def _pairs(good: Array, bad: Array) -> float:
    return float(((bad[:, None] > good) + 0.5 * (bad[:, None] == good)).mean())


def _between(good: Array, as_it_is: Array, restored: Array) -> tuple[float, float, float]:
    found, best = _pairs(good, as_it_is), _pairs(as_it_is, restored)
    return found, best, 100 * (best - found)


def _reaching(
    reach: Callable[[Array, Array, float], Any], turn: int = 1
) -> Callable[[Array, Array, float], tuple[float, float, float]]:
    """`paired_interval` from another half width, one function of (one, other, level)."""

    def answer(one: Array, other: Array, level: float) -> tuple[float, float, float]:
        mean = float(turn * (other.mean() - one.mean()))
        if len(one) < 2:
            return mean, math.nan, math.nan
        half = float(reach(one, other, level))
        return mean, mean - half, mean + half

    return answer


def _error(one: Array, other: Array, ddof: int = 1) -> float:
    """Standard error of the mean difference."""
    return float((other - one).std(ddof=ddof) / np.sqrt(len(one)))


def _t(level: float, freedom: int) -> float:
    return float(stats.t.ppf((1 + level) / 2, freedom))


def _apart(one: Array, other: Array, level: float) -> float:
    """As if the two had been measured with different seeds."""
    n = len(one)
    return _t(level, 2 * n - 2) * float(np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / n))


def _unseeded(rows: Sequence[Mapping[str, Any]], base: str, measure: str) -> dict[str, Any]:
    """Pairs by their place in the table."""
    by: dict[str, list[float]] = {}
    for row in rows:
        by.setdefault(row["design"], [])
        if row[measure] is not None:
            by[row["design"]].append(row[measure])
    found = {}
    for design in by:
        n = min(len(by[base]), len(by[design]))
        one, other = (np.array(by[name][:n]) for name in (base, design))
        if design != base:
            found[design] = (n, *(paired_interval(one, other, LEVEL) if n else (math.nan,) * 3))
    return found


def _changed(
    rows: Callable[[Sequence[Mapping[str, Any]], str], Any], turn: bool = False
) -> Callable[..., dict[str, Any]]:
    """`compared` on other rows, or with the sign turned round."""

    def answer(table: Sequence[Mapping[str, Any]], base: str, measure: str) -> dict[str, Any]:
        found = compared(rows(table, measure), base, measure)
        if not turn:
            return found
        return {design: (n, -mean, -high, -low) for design, (n, mean, low, high) in found.items()}

    return answer


def _zeros(rows: Sequence[Mapping[str, Any]], measure: str) -> list[dict[str, Any]]:
    return [dict(row) | {measure: row[measure] or 0.0} for row in rows]


def _with_base(rows: Sequence[Mapping[str, Any]], base: str, measure: str) -> dict[str, Any]:
    twice = [dict(row) | {"design": "again"} for row in rows if row["design"] == base]
    again = compared([*rows, *twice], base, measure)
    designs = dict.fromkeys(row["design"] for row in rows)
    return {design: again["again" if design == base else design] for design in designs}


def _over_all(rows: Sequence[Mapping[str, Any]], base: str, measure: str) -> dict[str, Any]:
    """Means over all the seeds that each has."""
    means = {}
    for design in dict.fromkeys(row["design"] for row in rows):
        values = [row[measure] for row in rows if row["design"] == design and row[measure] is not None]
        means[design] = float(np.mean(values)) if values else math.nan
    found = compared(rows, base, measure)
    return {design: (n, means[design] - means[base], low, high) for design, (n, _, low, high) in found.items()}


def _written(
    row: Callable[[str, Any], Sequence[Any]] = lambda name, score: (name, repr(float(score))),
    array: Callable[[Array], Array] = lambda each: each.astype(np.float16),
    header: bool = True,
    order: Callable[[Scores], Any] = list,
    key: Callable[[str, int], str] = lambda name, i: name,
    **how: Any,
) -> Callable[..., None]:
    """`challenge_files` that writes something else."""

    def answer(scores: Scores, maps: Mapping[str, Array], folder: str | Path) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with open(Path(folder) / "scores.csv", "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, **how)
            if header:
                table.writerow(["image", "score"])
            table.writerows(row(name, scores[name]) for name in order(scores))
        arrays = {key(name, i): array(np.asarray(each)) for i, (name, each) in enumerate(maps.items())}
        np.savez(Path(folder) / "maps.npz", **arrays)  # type: ignore[arg-type]

    return answer


def _rounded(digits: int, name: str, score: float) -> tuple[str, str]:
    return name, f"{float(score):.{digits}f}"


def _stretched(each: Array) -> Array:
    return ((each - each.min()) / (each.max() - each.min())).astype(np.float16)


def _mean_pooled(mask: Tensor, size: tuple[int, int]) -> Tensor:
    return F.adaptive_avg_pool2d(mask[:, None].float(), size)[:, 0]


EXERCISES = (
    Exercise(
        name="A4.leakage",
        answer=leakage,
        cases=_of_leakage,
        hidden=lambda seed: _of_leakage(3000 + 1000 * seed, other_sizes(PAIRS, seed, keep=(3,))),
        tolerance=3e-3,
        mistakes=(
            *(Mistake(_leaks(m.answer), m.says) for m in find("04.leakage").mistakes if "Exercise 2" not in m.says),
            Mistake(
                _leaks(_squares),
                "The numerator is s times s. It should be s times r: how far along r the student has come.",
            ),
            Mistake(
                _leaks(_share, lambda mask, size: _mean_pooled(mask, size) > 0.5),
                "A cell counts only where the defect covers more than half of it. One that is touched counts: the "
                "maximum over the cell's pixels, not their mean.",
            ),
            Mistake(
                _leaks(_share, lambda mask, size: _mean_pooled(mask, size) >= 1),
                "A cell counts only where the defect covers all of it. One that is touched counts.",
            ),
            Mistake(
                _leaks(_share, lambda mask, size: F.interpolate(mask[:, None].float(), size)[:, 0] > 0),
                "The mask was brought to the map's size by taking one pixel of each cell. A defect between these "
                "pixels is lost: take the maximum over the cell.",
            ),
            Mistake(
                _averaged,
                "That is the mean over the scales. Each scale has a number of its own.",
            ),
        ),
    ),
    Exercise(
        name="A4.without_copying",
        answer=without_copying,
        cases=_of_maps,
        hidden=lambda seed: _of_maps(3000 + 1000 * seed, other_sizes(SIDES, seed)),
        mistakes=(
            Mistake(
                _summed(lambda normal, defective: ((defective[0], normal[1]), defective)),
                "The two maps are exchanged: first the map as it is, then the one without copying.",
            ),
            Mistake(
                _summed(lambda normal, defective: (defective, (normal[0], defective[1]))),
                "In the second map the sides are exchanged. The teacher sees the defective image, and the student is "
                "told of the normal one.",
            ),
            Mistake(
                _summed(lambda normal, defective: (defective, normal)),
                "The second map is that of the normal image. The defect belongs on the teacher's side; only the "
                "student is told of the normal one.",
            ),
            Mistake(
                _summed(lambda normal, defective: (defective, (defective[0], normal[0]))),
                "The second map compares the teacher with itself. The student's answer to the *normal* image stands on "
                "the other side.",
            ),
            Mistake(
                _summed(lambda normal, defective: (defective, (normal[1], defective[1]))),
                "The second map compares the student with itself. The teacher's maps of the *defective* image stand on "
                "one side.",
            ),
            Mistake(
                _summed(lambda normal, defective: (defective, defective)),
                "The two maps are the same: the student was told of the defect both times.",
            ),
            Mistake(
                _summed(join=lambda maps: torch.stack(maps).mean(0)),
                "The scales are averaged. The formula adds them up.",
            ),
            Mistake(_summed(align_corners=True), "The maps are enlarged from corner to corner: `align_corners=False`."),
            Mistake(
                _summed(mode="nearest"),
                "The maps are enlarged in blocks. Between the positions they run in straight lines: bilinear.",
            ),
        ),
    ),
    Exercise(
        name="A4.ceiling",
        answer=ceiling,
        cases=_of_ceiling,
        hidden=lambda seed: _of_ceiling(3000 + seed, other_sizes(IMAGES, seed)),
        mistakes=(
            Mistake(
                _ordered(lambda good, bad: (bad[:, None] > good).mean()),
                "Ties count nothing here. Two equal scores are in neither order: count half.",
            ),
            Mistake(
                _ordered(lambda good, bad: (bad[:, None] >= good).mean()),
                "Ties count fully here. Two equal scores are in neither order: count half.",
            ),
            Mistake(
                _ordered(lambda good, bad: 1 - _pairs(good, bad)),
                "Good and defective are exchanged: a pair is right where the *defective* image scores higher.",
            ),
            Mistake(
                _ordered(_pairs, lambda found, best: best - found),
                "The cost is in AUROC. In points it is a hundred times that.",
            ),
            Mistake(
                _ordered(_pairs, lambda found, best: 100 * (found - best)),
                "The cost has the wrong sign: it is what would be gained without copying.",
            ),
            Mistake(
                _ordered(_pairs, lambda found, best: 100 * (best - found) / best if best else 0.0),
                "The cost is a share of the ceiling. Points are a difference: do not divide.",
            ),
            Mistake(
                _between,
                "The second AUROC holds the two scores of the defective images against each other. Both times "
                "defective images are held against the *good* ones.",
            ),
            Mistake(
                lambda good, found, restored: ceiling(good, restored, found),
                "As it is and without copying are exchanged.",
            ),
        ),
    ),
    Exercise(
        name="A4.paired_interval",
        answer=paired_interval,
        cases=_of_interval,
        hidden=lambda seed: _of_interval(3000 + seed, other_sizes(SEEDS, seed, keep=(1,))),
        mistakes=(
            Mistake(
                _reaching(lambda one, other, level: _t(level, len(one) - 1) * _error(one, other), turn=-1),
                "The sign is turned round: the difference is `other - one`.",
            ),
            Mistake(
                _reaching(_apart),
                "The two are treated as if they had different seeds. Here the seeds are the same: take the difference "
                "of each seed first, and look how *that* spreads.",
            ),
            Mistake(
                _reaching(lambda one, other, level: stats.norm.ppf((1 + level) / 2) * _error(one, other)),
                "That is the quantile of the normal distribution. With few seeds the deviation itself is uncertain: "
                "Student's t, with n - 1 degrees of freedom.",
            ),
            Mistake(
                _reaching(lambda one, other, level: _t(level, len(one) - 1) * _error(one, other, ddof=0)),
                "Nearly: numpy's `std` divides by n. With few seeds it should be n - 1: `ddof=1`.",
            ),
            Mistake(
                _reaching(lambda one, other, level: _t(level, len(one) - 1) * (other - one).std(ddof=1)),
                "That is where one more *seed* would lie. Asked is where the *mean* lies: divide by the root of n.",
            ),
            Mistake(
                _reaching(lambda one, other, level: stats.t.ppf(level, len(one) - 1) * _error(one, other)),
                "The whole rest lies on one side. Of an interval of 95 % there are 2.5 % on either side: the quantile "
                "is that of (1 + level) / 2.",
            ),
            Mistake(
                _reaching(lambda one, other, level: _t(level, len(one)) * _error(one, other)),
                "Nearly: n seeds leave n - 1 degrees of freedom.",
            ),
            Mistake(
                _reaching(lambda one, other, level: _error(one, other)),
                "That is one standard error on either side. An interval of this level takes the quantile of "
                "Student's t times it.",
            ),
            Mistake(
                _reaching(lambda one, other, level: _t(0.95, len(one) - 1) * _error(one, other)),
                "The level is always 95 %. Use `level`.",
            ),
        ),
    ),
    Exercise(
        name="A4.compared",
        answer=compared,
        cases=_of_tables,
        hidden=lambda seed: _of_tables(3000 + seed, other_sizes(TABLES, seed)),
        mistakes=(
            Mistake(
                lambda rows, base, measure: compared([r for r in rows if r[measure] != 0], base, measure),
                "A measure of 0 is a measure, and is lost. Ask `is not None`, not whether it is true.",
            ),
            Mistake(
                lambda rows, base, measure: compared([r for r in rows if r[measure] is not None], base, measure),
                "A design that was never measured is missing. It belongs into the answer, with no seed in common.",
            ),
            Mistake(
                _unseeded,
                "The pairs are made by their place in the table. Rows can come in any order, and some can be missing: "
                "pair those of the same *seed*.",
            ),
            Mistake(
                _changed(lambda rows, measure: rows, turn=True),
                "The sign is turned round: the difference is the design less the base.",
            ),
            Mistake(
                _changed(_zeros),
                "A measure that is None counts as 0. It was not measured: leave this seed out.",
            ),
            Mistake(_with_base, "The base is compared with itself. Only the other designs belong in the answer."),
            Mistake(
                _over_all,
                "The mean is the difference of two means over all seeds. Where one has seeds that the other has not, "
                "this compares seeds and not designs: only those that both have.",
            ),
        ),
    ),
    Exercise(
        name="A4.challenge_files",
        answer=challenge_files,
        probe=probes.submission,
        cases=_of_files,
        hidden=lambda seed: _of_files(3000 + seed, other_sizes(FILES, seed)),
        mistakes=(
            Mistake(_written(header=False), "The first row, `image,score`, is missing."),
            *(
                Mistake(
                    _written(row=partial(_rounded, digits)),
                    "The scores are rounded, so that images that differ become ties. Write them in full.",
                )
                for digits in range(1, 10)
            ),
            Mistake(
                _written(array=lambda each: each.astype(np.float32)),
                "The maps are in single precision, `float32`. Half of that is enough: `float16`.",
            ),
            Mistake(
                _written(array=lambda each: each),
                "The maps are written in the format in which they came. Turn them into `float16`.",
            ),
            Mistake(
                _written(order=sorted),
                "The images in scores.csv are sorted by name. Keep the order of `scores`.",
            ),
            Mistake(
                _written(order=lambda scores: sorted(scores, key=lambda name: -scores[name])),
                "The images in scores.csv are sorted by score. Keep the order of `scores`.",
            ),
            Mistake(
                _written(key=lambda name, i: f"arr_{i}"),
                "The maps have lost their names: they are `arr_0`, `arr_1`, ... Hand them to `np.savez` by name, "
                "`**arrays`.",
            ),
            Mistake(
                _written(key=lambda name, i: Path(name).stem),
                "The maps stand under shortened names. Their key is the image's name as it is, folder and ending "
                "included.",
            ),
            Mistake(
                _written(array=_stretched),
                "Each map is stretched to 0 to 1 by its own smallest and largest value. Then a good image looks as hot "
                "as a defective one: write the maps as they are.",
            ),
        ),
    ),
)
