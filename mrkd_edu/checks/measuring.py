"""Lesson 06b: AUROC as pairs, PRO at one threshold, AUPRO, a threshold from normal images, F1-max."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.judging.prediction import threshold_from

Array = np.ndarray


def auroc(scores: Array, labels: Array) -> float:
    """Share of pairs (defective, good) in which the defective image scores higher; a tie counts half. (N,) twice."""
    d = scores[labels == 1][:, None] - scores[labels == 0]  # (D, G)
    return float(((d > 0) + 0.5 * (d == 0)).mean())


def pro(called: Array, regions: Array) -> float:
    """Per-region overlap at one threshold: the mean over the regions of the share of each that is called.

    Args:
        called: bool (H, W), pixels called defective.
        regions: int (H, W), 0 where there is no defect, else the number of the region, 1 to R.
    """
    return float(np.mean([called[regions == r].mean() for r in range(1, int(regions.max()) + 1)]))


def aupro(fpr: Array, pro: Array, limit: float) -> float:
    """Area under a curve up to a limit, interpolated at the limit, divided by it.

    Args:
        fpr: rising from 0 to 1, (P,).
        pro: of these points, (P,).
        limit: of the false-positive rate.
    """
    return _area_to(fpr, pro, limit, fpr <= limit)


def _area_to(fpr: Array, pro: Array, limit: float, kept: Array) -> float:
    """The same with the points that are `kept`, and one at the limit."""
    x, y = np.append(fpr[kept], limit), np.append(pro[kept], np.interp(limit, fpr, pro))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / limit)


def threshold(scores: Array, false_alarms: float) -> float:
    """The threshold that a share of normal images exceeds, from the scores of n normal images, (n,)."""
    return float(threshold_from(scores, false_alarms))


def f1_max(scores: Array, labels: Array) -> float:
    """The best F1 of any threshold: defective is what scores above it. (N,) twice."""
    best = 0.0
    for t in (-np.inf, *np.unique(scores)):
        called = scores > t
        right = float((called & (labels == 1)).sum())
        best = max(best, 2 * right / float(called.sum() + (labels == 1).sum()))
    return best


# ---- what they are tried on ----------------------------------------------------------------------------------


def _of_scores() -> dict[str, tuple[Array, Array]]:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [30, 12])
    scores = labels + rng.normal(size=42)
    return {
        "42 images": (scores, labels),
        "mixed order": (scores[::-1].copy(), labels[::-1].copy()),
        "ties": (np.round(scores), labels),
        "all the same score": (np.ones(6), np.array([0, 1, 0, 1, 0, 1])),
        "one good and one defective image": (np.array([0.2, 0.7]), np.array([0, 1])),
        "everything in the wrong order": (np.array([5.0, 4.0, 1.0, 0.0]), np.array([0, 0, 1, 1])),
    }


def _of_pro() -> dict[str, tuple[Array, Array]]:
    regions = np.zeros((8, 9), int)
    regions[:4, :5], regions[6:, 7:] = 1, 2  # a large and a small one
    called = np.zeros((8, 9), bool)
    called[:4, :4] = called[7, 7] = called[5, 0] = True
    third = regions.copy()
    third[7, 0] = 3
    return {
        "a large and a small region": (called, regions),
        "three regions": (called, third),
        "nothing is called": (np.zeros_like(called), regions),
        "everything is called": (np.ones_like(called), regions),
        "one region": (called, (regions == 1).astype(int)),
    }


def _of_area() -> dict[str, tuple[Array, Array, float]]:
    fpr = np.array([0.0, 0.05, 0.2, 0.45, 0.8, 1.0])
    found = np.array([0.0, 0.3, 0.55, 0.7, 0.9, 1.0])
    return {
        "a curve up to 0.3": (fpr, found, 0.3),
        "up to 0.1": (fpr, found, 0.1),
        "a point just at the limit": (fpr, found, 0.2),
        "up to 1": (fpr, found, 1.0),
        "a perfect curve": (np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]), 0.3),
        "a jump just at the limit": (np.array([0.0, 0.1, 0.3, 0.3, 1.0]), np.array([0.0, 0.4, 0.5, 0.9, 1.0]), 0.3),
    }


def _of_threshold() -> dict[str, tuple[Array, float]]:
    rng = np.random.default_rng(1)
    return {
        "16 scores at 5 %": (rng.normal(0.2, 0.02, 16), 0.05),
        "40 scores at 20 %": (rng.normal(3, 1, 40), 0.2),
        "three scores": (np.array([1.0, 1.1, 1.4]), 0.05),
        "half of them": (rng.normal(0.2, 0.02, 9), 0.5),
    }


def _by_formula(quantile: Callable[[float, int], float], ddof: int = 1, root: bool = True) -> Callable[..., float]:
    def answer(scores: Array, a: float) -> float:
        n = len(scores)
        return float(scores.mean() + quantile(1 - a, n) * scores.std(ddof=ddof) * (np.sqrt(1 + 1 / n) if root else 1))

    return answer


def _student(p: float, n: int) -> float:
    return float(stats.t.ppf(p, n - 1))


def _f1(scores: Array, labels: Array, t: float, good: int = 1) -> float:
    called = (scores > t) if good else (scores <= t)
    right = float((called & (labels == good)).sum())
    return 2 * right / max(1.0, float(called.sum() + (labels == good).sum()))


def _f1_without_the_defective(scores: Array, labels: Array) -> float:
    found = [(2.0 * (labels[scores > t] == 1).sum(), (scores > t).sum()) for t in (-np.inf, *np.unique(scores))]
    return max(float(twice / max(called, 1)) for twice, called in found)


def _area(fpr: Array, pro: Array, limit: float, how: str) -> float:
    inside = fpr <= limit
    x, y = (fpr[inside], pro[inside]) if how != "whole" else (fpr, pro)
    area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    return area / {"cut": limit, "observed": max(float(x[-1]), 1e-12), "whole": 1.0}[how]


EXERCISES = (
    Exercise(
        name="06b.auroc",
        answer=auroc,
        cases=_of_scores,
        mistakes=(
            Mistake(
                lambda s, y: float((s[y == 1][:, None] > s[y == 0]).mean()),
                "Ties count nothing here. Two equal scores are neither order: count half.",
            ),
            Mistake(
                lambda s, y: float((s[y == 1][:, None] >= s[y == 0]).mean()),
                "Ties count fully here. Two equal scores are neither order: count half.",
            ),
            Mistake(
                lambda s, y: 1 - auroc(s, y),
                "Good and defective are exchanged: a pair is right where the *defective* image scores higher.",
            ),
            Mistake(
                lambda s, y: float(((s > np.median(s)) == y).mean()),
                "That is the share of right verdicts at one threshold. AUROC has no threshold: compare pairs.",
            ),
            Mistake(
                lambda s, y: float(((s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0])).sum()),
                "That is the number of pairs in the right order. Give their share of all pairs.",
            ),
        ),
    ),
    Exercise(
        name="06b.pro",
        answer=pro,
        cases=_of_pro,
        mistakes=(
            Mistake(
                lambda called, regions: float(called[regions > 0].mean()),
                "All defect pixels are pooled, so that the large region decides. Take the share of each region, then "
                "the mean over the regions.",
            ),
            Mistake(
                lambda called, regions: float(np.mean([called[regions == r].mean() for r in range(regions.max() + 1)])),
                "The ground, number 0, is counted as a region. Begin with 1.",
            ),
            Mistake(
                lambda called, regions: float(np.mean([called[regions == r].mean() for r in range(1, regions.max())])),
                "The last region is left out: `range(1, R)` ends before R.",
            ),
            Mistake(
                lambda called, regions: float(
                    np.mean([called[regions == r].any() for r in range(1, regions.max() + 1)])
                ),
                "A region counts fully as soon as one pixel of it is called. Take the share of its pixels.",
            ),
            Mistake(
                lambda called, regions: float((called & (regions > 0)).sum() / max(1, called.sum())),
                "That is the share of called pixels that are defect, the precision. Asked is what share of each region "
                "is called.",
            ),
        ),
    ),
    Exercise(
        name="06b.aupro",
        answer=aupro,
        cases=_of_area,
        mistakes=(
            Mistake(
                lambda fpr, pro, limit: _area_to(fpr, pro, limit, fpr < limit),
                "Nearly: where the curve jumps just at the limit, the piece before it ends at the foot of the jump. "
                "Keep the points with `fpr <= limit`.",
            ),
            Mistake(
                lambda fpr, pro, limit: aupro(fpr, pro, limit) * limit,
                "The area is right, and not divided by the limit: a perfect curve would have 0.3 and not 1.",
            ),
            Mistake(
                lambda fpr, pro, limit: _area(fpr, pro, limit, "cut"),
                "The curve ends at its last point before the limit: the piece from there to the limit is missing. Put "
                "a point exactly at the limit, on the line between its neighbours.",
            ),
            Mistake(
                lambda fpr, pro, limit: _area(fpr, pro, limit, "observed"),
                "It ends at the last point before the limit, and is divided by that. Every model would have a limit of "
                "its own. Put a point exactly at the limit, and divide by the limit.",
            ),
            Mistake(
                lambda fpr, pro, limit: _area(fpr, pro, limit, "whole"),
                "That is the area under the whole curve, up to 1. Stop at the limit.",
            ),
        ),
    ),
    Exercise(
        name="06b.threshold",
        answer=threshold,
        cases=_of_threshold,
        mistakes=(
            Mistake(
                _by_formula(_student, ddof=0),
                "Nearly: numpy's `std` divides by n. With few scores it should be n - 1: `ddof=1`.",
            ),
            Mistake(
                _by_formula(lambda p, n: float(stats.norm.ppf(p))),
                "That is the quantile of the normal distribution. The deviation itself is uncertain: Student's t, with "
                "n - 1 degrees of freedom.",
            ),
            Mistake(
                _by_formula(lambda p, n: float(stats.t.ppf(1 - (1 - p) / 2, n - 1))),
                "Only scores *above* the threshold are alarms: one side, the quantile of 1 - false_alarms. A half of "
                "it belongs to an interval with two sides.",
            ),
            Mistake(
                _by_formula(_student, root=False),
                "The root is missing: one *more* image is judged, by a mean that is uncertain, too.",
            ),
            Mistake(
                lambda scores, a: float(np.quantile(scores, 1 - a)),
                "That is the quantile of the scores themselves. Of 16 images none is rarer than 6 %; the formula goes "
                "on beyond them.",
            ),
            Mistake(
                _by_formula(lambda p, n: float(stats.t.ppf(p, n))),
                "Nearly: n scores leave n - 1 degrees of freedom.",
            ),
            Mistake(
                _by_formula(lambda p, n: float(stats.t.ppf(1 - p, n - 1))),
                "It lies below the mean: the quantile is that of 1 - false_alarms.",
            ),
        ),
    ),
    Exercise(
        name="06b.f1_max",
        answer=f1_max,
        cases=_of_scores,
        mistakes=(
            Mistake(
                lambda s, y: _f1(s, y, float(np.median(s))),
                "That is F1 at one threshold. Try all of them, and keep the best.",
            ),
            Mistake(
                _f1_without_the_defective,
                "That can be more than 1. Below the line stand the called images *and* the defective ones.",
            ),
            Mistake(
                lambda s, y: _f1(s, y, float(s[-1])),
                "That is the F1 of the last threshold. Keep the best of all.",
            ),
            Mistake(
                lambda s, y: max(_f1(s, y, float(t)) for t in np.unique(s)),
                "Nearly: the threshold below all scores is missing, at which everything is called defective.",
            ),
            Mistake(
                lambda s, y: max(float(((s > t) == y).mean()) for t in (-np.inf, *np.unique(s))),
                "That is the best share of right verdicts. F1 leaves the good images that are passed out of account.",
            ),
            Mistake(
                lambda s, y: max(_f1(s, y, float(t), good=0) for t in (-np.inf, *np.unique(s))),
                "That is the F1 of the good images. Defective is what is to be found.",
            ),
        ),
    ),
)
