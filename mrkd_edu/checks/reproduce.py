"""Lesson 09: paired differences out of a table, and their interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.lessons.statistics import mean_interval

Rows = Sequence[Mapping[str, str]]


def paired_differences(rows: Rows, measure: str, one: str, other: str) -> np.ndarray:
    """A measure of one variant less that of another, seed by seed, over the seeds that both have.

    Args:
        rows: of results.csv, everything in it text; with `variant`, `seed` and measures.
        measure: a column.
        one, other: variants; the difference is other - one.

    Returns:
        (seeds,), the smallest seed first.
    """
    by_seed = {v: {int(r["seed"]): float(r[measure]) for r in rows if r["variant"] == v} for v in (one, other)}
    both = sorted(set(by_seed[one]) & set(by_seed[other]))
    return np.array([by_seed[other][seed] - by_seed[one][seed] for seed in both])


def interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean, and the two ends of its 95 % interval by Student's t, (n,) to three numbers."""
    return mean_interval(differences)


def _rows(order: Sequence[int], values: Mapping[tuple[str, int], float]) -> list[dict[str, str]]:
    made = [{"variant": v, "seed": str(s), "aupro": f"{x:.6g}", "leakage": "0.5"} for (v, s), x in values.items()]
    return [made[i] for i in order]


def _of_rows() -> dict[str, tuple[Rows, str, str, str]]:
    rng = np.random.default_rng(0)
    values = {(v, s): float(rng.random()) for v in ("rd", "ilm", "mrkd") for s in (0, 1, 2)}
    many = {(v, s): float(rng.random()) for v in ("rd", "mrkd") for s in (0, 2, 10, 11)}
    lacking = {key: x for key, x in many.items() if key != ("rd", 2)}
    scarce = {key: x for key, x in many.items() if key != ("mrkd", 10)}
    return {
        "three seeds": (_rows(range(9), values), "aupro", "rd", "mrkd"),
        "rows in another order": (_rows([5, 8, 0, 7, 2, 6, 1, 3, 4], values), "aupro", "rd", "mrkd"),
        "two other variants": (_rows(range(9), values), "aupro", "ilm", "rd"),
        "seeds of two digits": (_rows([7, 3, 1, 0, 2, 6, 5, 4], many), "aupro", "rd", "mrkd"),
        "a seed that only the other has": (_rows(range(7), scarce), "aupro", "rd", "mrkd"),
        "a seed that only one has": (_rows(range(7), lacking), "aupro", "rd", "mrkd"),
    }


def _in_file_order(rows: Rows, measure: str, one: str, other: str) -> np.ndarray:
    a, b = ([float(r[measure]) for r in rows if r["variant"] == v] for v in (one, other))
    n = min(len(a), len(b))
    return np.array(b[:n]) - np.array(a[:n])


def _as_text(rows: Rows, measure: str, one: str, other: str) -> np.ndarray:
    by_seed = {v: {r["seed"]: float(r[measure]) for r in rows if r["variant"] == v} for v in (one, other)}
    both = sorted(set(by_seed[one]) & set(by_seed[other]))
    return np.array([by_seed[other][seed] - by_seed[one][seed] for seed in both])


def _of_differences() -> dict[str, tuple[np.ndarray]]:
    rng = np.random.default_rng(1)
    return {
        "three seeds": (np.array([0.01, 0.03, 0.02]),),
        "five seeds": (rng.normal(size=5),),
        "two seeds": (np.array([-0.4, 0.1]),),
        "fifteen": (rng.normal(0.3, 1, 15),),
    }


def _reach(d: np.ndarray, quantile: float, ddof: int = 1, root: bool = True) -> tuple[float, float, float]:
    reach = quantile * d.std(ddof=ddof) / (np.sqrt(len(d)) if root else 1)
    return float(d.mean()), float(d.mean() - reach), float(d.mean() + reach)


def _t(d: np.ndarray, p: float = 0.975) -> float:
    return float(stats.t.ppf(p, len(d) - 1))


EXERCISES = (
    Exercise(
        name="09.paired_differences",
        answer=paired_differences,
        cases=_of_rows,
        mistakes=(
            Mistake(
                lambda rows, m, one, other: -paired_differences(rows, m, one, other),
                "The sign is turned round: it is `other` less `one`.",
            ),
            Mistake(
                _in_file_order,
                "The values are paired in the order of the file. Nothing says that the rows are sorted, or that both "
                "have the same seeds: pair them by their seed.",
            ),
            Mistake(
                _as_text,
                "The seeds are sorted as text, in which 10 comes before 2. Turn them into numbers: `int(row['seed'])`.",
            ),
            Mistake(
                lambda rows, m, one, other: paired_differences(rows, m, one, other)[::-1],
                "The seeds come in the wrong order: the smallest first.",
            ),
            Mistake(
                lambda rows, m, one, other: np.array([paired_differences(rows, m, one, other).mean()]),
                "That is the mean. Give one difference for each seed: their spread is needed.",
            ),
        ),
    ),
    Exercise(
        name="09.interval",
        answer=interval,
        cases=_of_differences,
        mistakes=(
            Mistake(
                lambda d: _reach(d, float(stats.norm.ppf(0.975))),
                "That is the quantile of the normal distribution, 1.96. From few seeds the deviation itself is "
                "uncertain: Student's t, with n - 1 degrees of freedom.",
            ),
            Mistake(
                lambda d: _reach(d, _t(d), root=False),
                "That is where single seeds lie. The mean of n is surer: divide by the root of n.",
            ),
            Mistake(
                lambda d: _reach(d, _t(d), ddof=0),
                "Nearly: numpy's `std` divides by n. With few seeds it should be n - 1: `ddof=1`.",
            ),
            Mistake(
                lambda d: _reach(d, _t(d, 0.95)),
                "95 % in the middle leave 2.5 % on either side: the quantile is that of 0.975.",
            ),
            Mistake(
                lambda d: (float(d.mean()), float(d.min()), float(d.max())),
                "Those are the lowest and the highest seed. The interval comes from their deviation.",
            ),
        ),
    ),
)
