"""Lesson 01: a threshold for a share of false alarms, what an alarm is worth, and a detector of mean and deviation."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from mrkd_edu.checks.exercise import Exercise, Function, Mistake, difference
from mrkd_edu.checks.inputs import seeded
from mrkd_edu.lessons.the_problem import precision_at as precision
from mrkd_edu.lessons.the_problem import z_scores


def false_alarm_threshold(scores: np.ndarray, share: float) -> float:
    """The threshold that a share of normal images passes: scores (N,) to a number."""
    return float(np.quantile(scores, 1 - share))


# --- the threshold --------------------------------------------------------------------------------------------


def _scores(number: int, seed: int) -> np.ndarray:
    """Skewed, as scores are: no bell curve."""
    return np.random.default_rng(seed).exponential(1.0, number) + 0.5


def _threshold_cases() -> dict[str, tuple[np.ndarray, float]]:
    return {
        "5 % of 200 scores": (_scores(200, 0), 0.05),
        "10 % of 80 scores": (_scores(80, 1), 0.1),
        "1 % of 1000 scores": (_scores(1000, 2), 0.01),
        "30 % of 37 scores": (_scores(37, 3) - 2, 0.3),
        "scores that tie": (np.repeat([0.0, 1.0], 50), 0.2),
    }


THRESHOLD_MISTAKES = (
    Mistake(
        lambda scores, share: np.quantile(scores, share),
        "The wrong end: nearly all normal images would be called defective. Only `share` of the scores may lie above "
        "the threshold. Which share lies below it?",
    ),
    Mistake(
        lambda scores, share: np.percentile(scores, 1 - share),
        "`np.percentile` counts from 0 to 100, so nearly all scores lie above this. `np.quantile` counts from 0 to 1, "
        "as `share` does.",
    ),
    Mistake(
        lambda scores, share: scores.max(),
        "No score lies above the largest one: that is a threshold without false alarms, whatever `share` is.",
    ),
    Mistake(
        lambda scores, share: (1 - share) * scores.max(),
        "That is a share of the largest *score*. Asked is a share of the *images*: count how many lie above.",
    ),
    *(
        Mistake(
            reach,
            "Mean and deviation tell a share only where the scores follow a bell curve, and they do not. "
            "Look at the scores themselves: how many lie above?",
        )
        for reach in (
            lambda scores, share: scores.mean() + 2 * scores.std(),
            lambda scores, share: scores.mean() + 3 * scores.std(),
            lambda scores, share: scores.mean() + stats.norm.ppf(1 - share) * scores.std(),
        )
    ),
)


def examine_threshold(mine: Function) -> str | None:
    """Several thresholds pass the same share, so that what they do is counted, not their value compared."""
    said: dict[str, float] = {}
    complaint = None
    for what, (scores, share) in _threshold_cases().items():
        given = scores.copy()
        answer = mine(given, share)
        if answer is None:
            return "It gives None. Is the `return` missing?"
        try:
            said[what] = float(answer)
        except (TypeError, ValueError):
            return "One number is asked for, the threshold. Comparing the scores with it comes later."
        if not np.array_equal(given, scores):
            return "It changes the scores that it was given, or their order. `np.sort` makes a sorted copy."
        above, from_it_on = int((scores > said[what]).sum()), int((scores >= said[what]).sum())
        wanted = share * len(scores)
        if complaint is None and not (above <= wanted + 1 and from_it_on >= wanted - 1):
            complaint = f"On {what}: {above} of the {len(scores)} lie above your threshold; about {wanted:.0f} should."
    if complaint is None:
        return None
    for mistake in THRESHOLD_MISTAKES:
        theirs = {what: float(mistake.answer(*given)) for what, given in _threshold_cases().items()}
        if all(np.isclose(said[what], theirs[what], rtol=1e-3) for what in said):
            return mistake.says
    return complaint


# --- mean and deviation ---------------------------------------------------------------------------------------


def _maps(number: int, channels: int, height: int, width: int, seed: int) -> Tensor:
    """Maps with a usual value and a deviation of its own at each place, and channels of different size."""
    same = seeded(channels * height * width)  # for normal and test maps alike
    usual = 3 * torch.randn(channels, height, width, generator=same)
    spread = 0.2 + torch.rand(channels, height, width, generator=same)
    noise = torch.randn(number, channels, height, width, generator=seeded(seed))
    size = 10.0 ** torch.arange(channels).view(-1, 1, 1)
    return (usual + spread * noise) * size


def _z_cases() -> dict[str, tuple[Tensor, Tensor]]:
    calm = _maps(8, 2, 5, 5, 5)
    calm[:, :, 1, 3] = calm[0, :, 1, 3] + 1e-3 * (calm[:, :, 1, 3] - calm[0, :, 1, 3])  # next to no deviation
    return {
        "four maps against six": (_maps(6, 3, 5, 5, 1), _maps(4, 3, 5, 5, 2)),
        "two maps against five": (_maps(5, 2, 6, 6, 3), _maps(2, 2, 6, 6, 4)),
        "a place that hardly changed": (calm, _maps(3, 2, 5, 5, 6)),
        "odd sizes with one channel": (_maps(7, 1, 7, 4, 7), _maps(3, 1, 7, 4, 8)),
    }


def examine_one_map(mine: Function) -> str | None:
    """A single test image keeps its axis."""
    normal, test = _maps(5, 2, 6, 6, 3), _maps(1, 2, 6, 6, 4)
    found = difference(z_scores(normal, test), mine(normal, test), 1e-3)
    return None if found is None else f"With one map to test: {found}"


def _off(normal: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """The two halves of the fraction: how far off, and how far off is usual."""
    std = normal.std(0)
    return (test - normal.mean(0)).abs(), std + 0.1 * std.mean((1, 2), keepdim=True)


def _all_places(normal: Tensor, test: Tensor) -> Tensor:
    mean, std = normal.mean((0, 2, 3)).view(-1, 1, 1), normal.std((0, 2, 3)).view(-1, 1, 1)
    return ((test - mean).abs() / (1.1 * std)).mean(1)


def _divides_by_images(normal: Tensor, test: Tensor) -> Tensor:
    std = normal.std(0, correction=0)
    return ((test - normal.mean(0)).abs() / (std + 0.1 * std.mean((1, 2), keepdim=True))).mean(1)


def _by_variance(normal: Tensor, test: Tensor) -> Tensor:
    var = normal.var(0)
    return ((test - normal.mean(0)).abs() / (var + 0.1 * var.mean((1, 2), keepdim=True))).mean(1)


def _one_epsilon(normal: Tensor, test: Tensor) -> Tensor:
    std = normal.std(0)
    return ((test - normal.mean(0)).abs() / (std + 0.1 * std.mean())).mean(1)


def _no_brackets(normal: Tensor, test: Tensor) -> Tensor:
    std = normal.std(0)
    return ((test - normal.mean(0)).abs() / std + 0.1 * std.mean((1, 2), keepdim=True)).mean(1)


Z_MISTAKES = (
    Mistake(
        lambda normal, test: ((test - normal.mean(0)) / _off(normal, test)[1]).mean(1),
        "Too dark and too bright cancel out, since the sign is still there. How far off is asked, not to which side.",
    ),
    Mistake(
        lambda normal, test: (_off(normal, test)[0] / normal.std(0)).mean(1),
        "The small epsilon is missing: where a place hardly changed, you divide by next to nothing, or by 0.",
    ),
    Mistake(
        _one_epsilon,
        "Your epsilon is one number for all channels. Each channel has its own: a tenth of *its* average deviation, "
        "over height and width.",
    ),
    Mistake(
        _no_brackets,
        "Python divides before it adds: epsilon belongs under the fraction line. Put the sum in brackets.",
    ),
    Mistake(
        lambda normal, test: _off(normal, test)[0] / _off(normal, test)[1],
        "One map for each image is asked for, and the channels are still there. Take their mean at the end.",
    ),
    Mistake(
        lambda normal, test: (_off(normal, test)[0] / _off(normal, test)[1]).amax(1),
        "That is the largest of the channels at each place. Asked is their mean.",
    ),
    Mistake(
        lambda normal, test: (_off(normal, test)[0] / _off(normal, test)[1]).sum(1),
        "You add the channels up. Asked is their mean: it does not grow with the number of channels.",
    ),
    Mistake(
        lambda normal, test: (_off(normal, test)[0] / _off(normal, test)[1]).mean(0),
        "You take the mean over the images, and all become one. Take it over the channels: which axis is that?",
    ),
    Mistake(
        lambda normal, test: ((_off(normal, test)[0] / _off(normal, test)[1]) ** 2).mean(1),
        "You square. The formula has the absolute value: 4 deviations off are 4, not 16.",
    ),
    Mistake(
        _all_places,
        "You have one mean and one deviation for all places. Each place has its own: take them over the images alone, "
        "the first axis.",
    ),
    Mistake(
        _by_variance,
        "That divides by the variance. The standard deviation is its square root.",
    ),
    Mistake(
        lambda normal, test: _off(normal, test)[0].mean(1),
        "Nothing divides the difference yet. The same difference is much where normal images hardly vary, and nothing "
        "where they vary a lot.",
    ),
    Mistake(
        lambda normal, test: (_off(test, test)[0] / _off(test, test)[1]).mean(1),
        "Your mean and deviation come from the test images. Take them from the normal ones: these say what is usual.",
    ),
    Mistake(
        _divides_by_images,
        "Nearly: your deviation divides by N. Take it as torch's `std` does unless told otherwise, with N - 1.",
    ),
)


# --- precision ------------------------------------------------------------------------------------------------

PRECISION_MISTAKES = (
    Mistake(
        lambda base_rate, recall, false_alarms: recall / (recall + false_alarms),
        "The base rate is missing. There are far more normal slabs than defective ones: weigh each rate by how many "
        "slabs there are to raise it.",
    ),
    Mistake(
        lambda base_rate, recall, false_alarms: base_rate * recall / (base_rate * recall + false_alarms),
        "False alarms come from the normal slabs only. Which share of all slabs is normal?",
    ),
    Mistake(
        lambda base_rate, recall, false_alarms: (1 - base_rate)
        * false_alarms
        / (base_rate * recall + (1 - base_rate) * false_alarms),
        "That is the share of alarms that are *false*. Asked are the true ones.",
    ),
    Mistake(
        lambda base_rate, recall, false_alarms: base_rate * recall,
        "That is the share of all *slabs* that raise a true alarm. Divide it by the share that raise any alarm.",
    ),
    Mistake(
        lambda base_rate, recall, false_alarms: base_rate * recall / (1 - base_rate) / false_alarms,
        "That is true alarms for each false one. Asked is their share of *all* alarms, true and false together.",
    ),
    Mistake(
        lambda base_rate, recall, false_alarms: base_rate * recall / base_rate * recall
        + (1 - base_rate) * false_alarms,
        "Python divides before it adds. Put what stands under the fraction line in brackets.",
    ),
    Mistake(
        lambda base_rate, recall, false_alarms: base_rate * recall + (1 - base_rate) * (1 - false_alarms),
        "That is the accuracy, the share of *slabs* that are judged correctly. Asked is how many *alarms* are true.",
    ),
)


EXERCISES = (
    Exercise(
        name="01.false_alarm_threshold",
        answer=false_alarm_threshold,
        examine=examine_threshold,
        examined=tuple(_threshold_cases()),
    ),
    Exercise(
        name="01.precision",
        answer=precision,
        cases=lambda: {
            "one slab in a hundred": (0.01, 0.6, 0.05),
            "half of the slabs": (0.5, 0.9, 0.1),
            "one in a thousand": (0.001, 0.99, 0.02),
            "every defect found": (0.02, 1.0, 0.05),
            "nothing found": (0.05, 0.0, 0.03),
        },
        mistakes=PRECISION_MISTAKES,
    ),
    Exercise(
        name="01.z_scores",
        answer=z_scores,
        cases=_z_cases,
        mistakes=Z_MISTAKES,
        examine=examine_one_map,
        examined=("one map to test",),
    ),
)
