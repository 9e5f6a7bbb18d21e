"""Lesson 04b: how well normal features are explained, and which defects copying hides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mrkd_edu import leakage
from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.checks.inputs import noise

Array = np.ndarray


def explained(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> list[float]:
    """Share of the normal features that a student explains, at each scale: `leakage.explained`.

    Args:
        teacher, student: maps of normal images, one (B, C, h, w) a scale.
    """
    return leakage.explained(list(teacher), list(student))


def hidden(restored: Array, as_it_is: Array) -> Array:
    """Which defects copying hides: found if nothing were copied, missed as it is; the largest loss first.

    Args:
        restored: image scores without copying, in thresholds, (N,).
        as_it_is: image scores as they are, in thresholds, (N,).

    Returns:
        Their indices.
    """
    return _sorted(np.flatnonzero((restored > 1) & (as_it_is <= 1)), restored, as_it_is)


# ---- what they are tried on ----------------------------------------------------------------------------------


def _of_explained() -> dict[str, tuple[list[Tensor], list[Tensor]]]:
    def maps(batch: int, *shapes: tuple[int, int, int], seed: int) -> tuple[list[Tensor], list[Tensor]]:
        teacher = [noise(batch, *shape, seed=seed + k) for k, shape in enumerate(shapes)]
        loud = torch.linspace(0.3, 2, batch)[:, None, None, None]  # images whose student is too short, and too long
        student = [loud * (t + (0.4 + 0.3 * k) * noise(*t.shape, seed=seed + 50 + k)) for k, t in enumerate(teacher)]
        return teacher, student

    teacher, student = maps(3, (8, 6, 6), (12, 3, 3), seed=0)
    return {
        "a batch, two scales": (teacher, student),
        "one image": maps(1, (5, 7, 4), seed=10),
        "a student that is always too long": (teacher, [5 * s for s in student]),
        "a mean that is not 0": ([t + 2 for t in teacher], student),
        "a student of zeros": (teacher, [torch.zeros_like(s) for s in student]),
        "half precision": ([t.half() for t in teacher], [s.half() for s in student]),
    }


def _of_hidden() -> dict[str, tuple[Array, Array]]:
    rng = np.random.default_rng(0)
    restored = rng.uniform(0.7, 1.6, 30)
    return {
        "30 defects": (restored, restored - rng.uniform(0, 0.5, 30)),
        "some that score higher": (restored, restored + rng.uniform(-0.4, 0.2, 30)),
        "scores of just 1": (np.array([1.2, 1.0, 1.4, 1.1]), np.array([1.0, 0.9, 0.7, 1.1])),
        "none that is hidden": (np.array([1.5, 0.8]), np.array([1.2, 0.7])),
    }


def _scales(share: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., list[float]]:
    """A mistake at one scale, of (B, C, h, w) twice, at all of them."""
    return lambda teacher, student: [float(share(t.float(), s.float())) for t, s in zip(teacher, student, strict=True)]


def _fit(t: Tensor, s: Tensor, over: tuple[int, ...]) -> Tensor:
    """The student at the length that fits best, one for each of what is not summed over."""
    return s * (t * s).sum(over, keepdim=True) / (s * s).sum(over, keepdim=True).clamp_min(1e-12)


def _share(t: Tensor, s: Tensor) -> Tensor:
    return 1 - (t - s).square().sum() / t.square().sum()


def _ratio_of_each(t: Tensor, s: Tensor) -> Tensor:
    rest = t - _fit(t, s, (1, 2, 3))
    return (1 - rest.square().sum((1, 2, 3)) / t.square().sum((1, 2, 3))).mean()


def _cosine(t: Tensor, s: Tensor) -> Tensor:
    return torch.cosine_similarity(t.flatten(1), s.flatten(1)).mean()


def _about_the_mean(t: Tensor, s: Tensor) -> Tensor:
    return 1 - (t - _fit(t, s, (1, 2, 3))).square().sum() / (t - t.mean()).square().sum()


def _sorted(which: Array, restored: Array, as_it_is: Array) -> Array:
    return which[np.argsort((as_it_is - restored)[which], kind="stable")]


def _by_ratio(restored: Array, as_it_is: Array) -> Array:
    which = np.flatnonzero((restored > 1) & (as_it_is <= 1))
    return which[np.argsort((as_it_is / restored)[which], kind="stable")]


EXERCISES = (
    Exercise(
        name="04b.explained",
        answer=explained,
        cases=_of_explained,
        mistakes=(
            Mistake(
                _scales(_share),
                "The student's length counts here. It is free: first multiply each image's S by the a that fits best, "
                "<T, S> / <S, S>.",
            ),
            Mistake(
                _scales(lambda t, s: _share(t, _fit(t, s, (0, 1, 2, 3)))),
                "That is one a for the whole batch. Each image has its own: keep dimension 0 when you sum.",
            ),
            Mistake(
                _scales(lambda t, s: _share(t, _fit(t, s, (1,)))),
                "That is one a for each position. It is one a image: sum over channels, rows and columns.",
            ),
            Mistake(
                _scales(_ratio_of_each),
                "That is a mean of the images' shares. The sums run over all images, above and below the line, and are "
                "divided once.",
            ),
            Mistake(
                _scales(lambda t, s: 1 - _share(t, _fit(t, s, (1, 2, 3)))),
                "That is the share that is left over. Explained is 1 less it.",
            ),
            Mistake(
                _scales(_cosine),
                "That is the cosine. The share that is explained is its square, and it comes from sums over all "
                "images: follow the formula.",
            ),
            Mistake(
                _scales(_about_the_mean),
                "The mean is taken off below the line. The formula has the features as they are: standardised ones "
                "have the mean 0 anyway.",
            ),
        ),
    ),
    Exercise(
        name="04b.hidden",
        answer=hidden,
        cases=_of_hidden,
        mistakes=(
            Mistake(
                lambda r, a: np.flatnonzero((r > 1) & (a <= 1)),
                "The right ones, in the order of the images. Those that lose most come first: sort them by their loss.",
            ),
            Mistake(
                _by_ratio,
                "The right ones, sorted by the ratio of the two scores. The loss is their difference.",
            ),
            Mistake(
                lambda r, a: hidden(r, a)[::-1],
                "The right ones in the wrong order: the *largest* loss comes first.",
            ),
            Mistake(
                lambda r, a: (r > 1) & (a <= 1),
                "That is True and False for each image. Give the indices of those that are hidden: `np.flatnonzero`.",
            ),
            Mistake(
                lambda r, a: np.argsort((a - r)[(r > 1) & (a <= 1)], kind="stable"),
                "Those are places *among the hidden ones*. Look them up: `which[order]` are the images.",
            ),
            Mistake(
                lambda r, a: _sorted(np.flatnonzero((r > 1) | (a <= 1)), r, a),
                "That is *or*. Both must hold: found without copying, *and* missed as it is.",
            ),
            Mistake(
                lambda r, a: _sorted(np.flatnonzero(a <= 1), r, a),
                "Those are all that are missed. Hidden by copying are only those that would be found without it.",
            ),
            Mistake(
                lambda r, a: _sorted(np.flatnonzero((r > 1) & (a < 1)), r, a),
                "Nearly: found is what lies *above* the threshold. A score of just 1 is missed.",
            ),
        ),
    ),
)
