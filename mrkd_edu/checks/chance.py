"""Lesson 08: choosing on one half of a test set, and the images that a difference takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.lessons import statistics
from mrkd_edu.metrics import image_auroc

Array = np.ndarray
Found = tuple[float, float, int]


def chosen_stage(by_stage: Array, labels: Array, half: Array) -> Found:
    """Choose the stage with the best image AUROC on one half of the test set, and look at both halves.

    Args:
        by_stage: image scores of K stages, (K, N).
        labels: 0 good, 1 defective, (N,).
        half: bool (N,), True for the images that are chosen by.

    Returns:
        The chosen stage's AUROC on the half, its AUROC on the other half, and which stage it is, counted from 0; the
        first of several best.
    """
    on_half = [image_auroc(row[half], labels[half]) for row in by_stage]
    best = int(np.argmax(on_half))
    return on_half[best], image_auroc(by_stage[best, ~half], labels[~half]), best


def images_needed(low: float, high: float, correlation: float) -> int:
    """Images of each class from which the difference of two AUROCs is larger than its 95 % uncertainty.

    Args:
        low, high: the two AUROCs.
        correlation: of the two over test sets.
    """
    return statistics.images_needed(low, high, correlation)


# ---- what they are tried on ----------------------------------------------------------------------------------


def _of_stages() -> dict[str, tuple[Array, Array, Array]]:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [20, 30])
    scores = 0.8 * labels + rng.normal(size=(4, 50))
    half = rng.permutation(np.arange(50) % 2 == 0)
    mixed = rng.permutation(50)
    return {
        "four stages": (scores, labels, half),
        "the other half": (scores, labels, ~half),
        "mixed order": (scores[:, mixed], labels[mixed], half),
        "one stage": (scores[:1], labels, half),
        "two equally good": (np.stack([scores[1], scores[1], scores[0]]), labels, half),
    }


def _look(chosen_by: Callable[[Array, Array, Array], Array], turned: bool = False) -> Callable[..., Found]:
    """What somebody reports who chooses the stage by other numbers, one of each stage."""

    def answer(by_stage: Array, labels: Array, half: Array) -> Found:
        best = int(np.argmax(chosen_by(by_stage, labels, half)))
        same, other = (image_auroc(by_stage[best, part], labels[part]) for part in (half, ~half))
        return (other, same, best) if turned else (same, other, best)

    return answer


def _by(by_stage: Array, labels: Array, half: Array) -> Array:
    return np.array([image_auroc(row[half], labels[half]) for row in by_stage])


def _best_of_each(by_stage: Array, labels: Array, half: Array) -> Found:
    same, other = _by(by_stage, labels, half), _by(by_stage, labels, ~half)
    return float(same.max()), float(other.max()), int(same.argmax())


def _whole_set(by_stage: Array, labels: Array, half: Array) -> Found:
    same = _by(by_stage, labels, half)
    best = int(same.argmax())
    return float(same[best]), image_auroc(by_stage[best], labels), best


def _of_planning() -> dict[str, tuple[float, float, float]]:
    return {
        "the paper's difference": (0.985, 0.989, 0.0),
        "the same images, alike errors": (0.985, 0.989, 0.7),
        "a larger difference": (0.9, 0.94, 0.3),
        "near chance": (0.6, 0.66, 0.5),
    }


def _plan(
    reach: float = 1.96, keeps: float = 1.0, at: Callable[[float, float], float] = lambda low, high: (low + high) / 2
) -> Callable[[float, float, float], int]:
    def answer(low: float, high: float, correlation: float) -> int:
        n = 2
        while reach * statistics.difference_error(at(low, high), n, keeps * correlation) > high - low:
            n += 1 + n // 200
        return n

    return answer


def _doubled(low: float, high: float, correlation: float) -> int:
    n = 2
    while 1.96 * statistics.difference_error((low + high) / 2, n, correlation) > high - low:
        n *= 2
    return n


def _one_model(low: float, high: float, correlation: float) -> int:
    n = 2
    while 1.96 * statistics.auroc_error((low + high) / 2, n, n) > high - low:
        n += 1 + n // 200
    return n


EXERCISES = (
    Exercise(
        name="08.chosen_stage",
        answer=chosen_stage,
        cases=_of_stages,
        mistakes=(
            Mistake(
                _look(lambda s, y, half: _by(s, y, np.ones(len(y), bool))),
                "The stage is chosen by the whole test set. Choose by the images of the half alone.",
            ),
            Mistake(
                _look(lambda s, y, half: _by(s, y, ~half)),
                "The stage is chosen by the other half. `half` is True for the images to choose by.",
            ),
            Mistake(
                _look(_by, turned=True),
                "The two AUROCs are exchanged: first that of the half that was chosen by.",
            ),
            Mistake(
                _best_of_each,
                "That chooses a second time, on the other half. Choose once, and look at the *same* stage there.",
            ),
            Mistake(
                _whole_set,
                "The second number is of all images, those that were chosen by among them. It should be of the others "
                "alone: `~half`.",
            ),
            Mistake(
                lambda s, y, half: (*_look(_by)(s, y, half)[:2], _look(_by)(s, y, half)[2] + 1),
                "Nearly: stages are counted from 0.",
            ),
            Mistake(
                lambda s, y, half: (_by(s, y, half).max(), _by(s, y, half).max(), int(_by(s, y, half).argmax())),
                "The second number is of the same half again. The other images are `~half`.",
            ),
            Mistake(
                _look(lambda s, y, half: -_by(s, y, half)),
                "That takes the worst stage.",
            ),
        ),
    ),
    Exercise(
        name="08.images_needed",
        answer=images_needed,
        cases=_of_planning,
        tolerance=0.02,
        mistakes=(
            Mistake(
                _plan(reach=1.0),
                "That is one standard error. 95 % of a normal distribution lie within 1.96 of them.",
            ),
            Mistake(
                _plan(reach=float(stats.norm.ppf(0.95))),
                "1.64 leaves 5 % on one side. 95 % in the middle leave 2.5 % on either: 1.96.",
            ),
            Mistake(
                _plan(keeps=0.0),
                "The correlation is not used. Hand it on: models that err alike are told apart sooner.",
            ),
            Mistake(
                _plan(at=lambda low, high: low),
                "The error is taken at the lower AUROC. Take it in the middle of the two.",
            ),
            Mistake(
                _plan(at=lambda low, high: high),
                "The error is taken at the higher AUROC. Take it in the middle of the two.",
            ),
            Mistake(
                _doubled,
                "It is enough, and more than is needed: doubling runs past the smallest n. Add a few at a time.",
            ),
            Mistake(
                _one_model,
                "That is the error of one AUROC. The *difference* of two has another: `difference_error`.",
            ),
        ),
    ),
)
