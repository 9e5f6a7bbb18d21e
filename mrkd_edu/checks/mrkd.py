"""Lesson 07: the whole training step, the effects of two switches, and a paired bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.checks.feature_masking import flm
from mrkd_edu.checks.inputs import seeded
from mrkd_edu.checks.measuring import auroc
from mrkd_edu.checks.reverse_distillation import loss

DROP = (0.2, 0.2, 0.2)  # lambda of each scale
Array = np.ndarray


def step(
    see: Callable[[Tensor], list[Tensor]],
    student: Callable[[list[Tensor]], list[Tensor]],
    generate: Any,
    optimiser: torch.optim.Optimizer,
    normal: Tensor,
    anomalous: Tensor,
    generator: torch.Generator,
) -> float:
    """One step of masked reverse knowledge distillation.

    Args:
        see: images to the teacher's maps.
        student: these maps to its answer.
        generate: the generation module of each scale.
        optimiser: of student and modules.
        normal, anomalous: images (B, 3, S, S).
        generator: draws the masks.
    """
    target, given = see(normal), see(anomalous)
    value = loss(target, flm(student(given), generate, DROP, True, generator))
    optimiser.zero_grad()
    value.backward()
    optimiser.step()
    return value.item()


def effects(rd: Array, ilm: Array, flm: Array, mrkd: Array) -> tuple[Array, Array, Array]:
    """Main effect of ILM, main effect of FLM, interaction: arrays (seeds,) to one number a seed each."""
    return ((ilm - rd) + (mrkd - flm)) / 2, ((flm - rd) + (mrkd - ilm)) / 2, (mrkd - flm) - (ilm - rd)


def paired_bootstrap(
    one: Array, other: Array, labels: Array, number: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Where 95 % of the differences of image AUROC lie, other - one, over test sets drawn anew with replacement.

    Args:
        one, other: scores of two models, (N,).
        labels: 0 good, 1 defective, (N,).
        number: of draws.
        rng: draws.
    """
    good, bad = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    found = []
    for _ in range(number):
        drawn = np.concatenate([rng.choice(good, len(good)), rng.choice(bad, len(bad))])
        found.append(auroc(other[drawn], labels[drawn]) - auroc(one[drawn], labels[drawn]))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


# ---- what they are tried on ----------------------------------------------------------------------------------


class _Parts:
    """A small teacher, student and module, with what a step did to them."""

    def __init__(self) -> None:
        draws = seeded(0)
        self.eye = torch.randn(4, 3, 1, 1, generator=draws)
        self.seen: list[Tensor] = []
        self.student = nn.Conv2d(4, 4, 1, bias=False)
        self.module = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        for layer in (self.student, self.module):
            nn.init.normal_(layer.weight, std=0.5, generator=draws)
        self.generate = nn.ModuleList([self.module] * 3)
        weights = [self.student.weight, self.module.weight]
        self.before = [w.detach().clone() for w in weights]
        self.optimiser = torch.optim.SGD(weights, lr=0.3)
        self.normal = torch.randn(3, 3, 8, 8, generator=draws)
        self.anomalous = torch.randn(3, 3, 8, 8, generator=draws)
        self.given: list[Tensor] = []

    def see(self, images: Tensor) -> list[Tensor]:
        self.seen.append(images)
        t = F.conv2d(images, self.eye)
        return [t, F.avg_pool2d(t, 2), F.avg_pool2d(t, 4)]

    def answer(self, maps: list[Tensor]) -> list[Tensor]:
        self.given = maps
        return [self.student(t) for t in maps]

    def go(self, mine: Callable[..., Any], times: int = 1) -> list[Any]:
        draws = seeded(7)
        arguments = self.see, self.answer, self.generate, self.optimiser, self.normal, self.anomalous, draws
        return [mine(*arguments) for _ in range(times)]

    def weights(self) -> list[Tensor]:
        return [self.student.weight.detach(), self.module.weight.detach()]


def _examine_step(mine: Callable[..., Any]) -> str | None:
    own, right = _Parts(), _Parts()
    [said], [told] = own.go(mine), right.go(step)
    if said is None:
        return "It gives None. Return the loss, as a plain number."
    if isinstance(said, Tensor):
        return "It returns a tensor with its whole history. Return a plain number, `.item()`."
    if not own.given:
        return "The student is never asked: `student(...)` answers what the teacher says of the anomalous images."
    shown = own.see(own.anomalous)[0]
    if not torch.allclose(own.given[0], shown):
        if torch.allclose(own.given[0], own.see(own.normal)[0]):
            return "The student is shown the normal images. ILM shows it the anomalous ones: `student(see(anomalous))`."
        return "The student is shown something else than `see(anomalous)`."
    moved = [not torch.equal(a, b) for a, b in zip(own.before, own.weights(), strict=True)]
    if moved == [True, False]:
        return "The generation modules have not learned: their maps are not in the loss. Send the answer through `flm`."
    if not all(moved):
        return "The weights have not moved. After `backward()` comes `optimiser.step()`."
    draws = seeded(7)
    fresh = _Parts()
    answer = fresh.answer(fresh.see(fresh.anomalous))
    for says, target, training in (
        (
            "The target is what the teacher says of the anomalous images: then copying is right. It should be "
            "`see(normal)`.",
            fresh.see(fresh.anomalous),
            True,
        ),
        ("The masks are off: `flm` gets True in training.", fresh.see(fresh.normal), False),
    ):
        with torch.no_grad():
            other = loss(target, flm(answer, list(fresh.generate), DROP, training, draws.manual_seed(7))).item()
        if abs(other - said) < 1e-5 and abs(told - said) > 1e-5:
            return says
    if abs(told - said) > 1e-4:
        return f"The loss is {said:.4f}, and it should be {told:.4f}: what is compared with what, and which lambdas?"
    if not all(torch.allclose(a, b, atol=1e-5) for a, b in zip(own.weights(), right.weights(), strict=True)):
        return "The weights moved, but not as they should: zero the gradients, go backward, then step, in this order."
    own, right = _Parts(), _Parts()
    own.go(mine, 3), right.go(step, 3)
    if not all(torch.allclose(a, b, atol=1e-4) for a, b in zip(own.weights(), right.weights(), strict=True)):
        return "The gradients of earlier steps add up. Call `optimiser.zero_grad()` in every step."
    return None


def _of_effects() -> dict[str, tuple[Array, ...]]:
    rng = np.random.default_rng(0)
    return {
        "three seeds": tuple(rng.normal(size=(4, 3))),
        "one seed": tuple(rng.normal(size=(4, 1))),
        "effects that add up": (np.zeros(2), np.full(2, 3.0), np.full(2, 1.0), np.full(2, 4.0)),
        "nothing happens": (np.ones(3),) * 4,
    }


def _scores(noise: float, shift: float, seed: int = 0) -> tuple[Array, Array, Array]:
    """Two models whose scores are alike up to some noise, the second better by a shift."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [40, 25])
    one = labels + rng.normal(size=65)
    return one, one + shift * labels + noise * rng.normal(size=65), labels


def _examine_bootstrap(mine: Callable[..., Any]) -> str | None:
    one, other, labels = _scores(0.3, 0.6)
    low, high = paired_bootstrap(one, other, labels, 2000, np.random.default_rng(0))
    said = mine(one.copy(), other.copy(), labels.copy(), 2000, np.random.default_rng(1))
    if said is None:
        return "It gives None. Is the `return` missing?"
    if np.shape(said) != (2,):
        return "It should give two numbers, the lower and the upper end."
    mine_low, mine_high = float(said[0]), float(said[1])
    width, right = mine_high - mine_low, high - low
    if abs(mine_low - mine_high) < 1e-9:
        return "Both ends are the same: every draw is the test set itself. Draw *with* replacement."
    if mine_low > mine_high:
        return "The lower end should come first."
    if mine_high < 0.02 and high > 0.05:
        return "The sign is turned round: the difference is the other model less the one."
    if 1.12 * right < width < 1.6 * right:
        return "The interval is somewhat too wide. The middle 95 % leave 2.5 % on either side, not less."
    if width > 1.12 * right:
        return (
            "The interval is too wide. Both models must be judged on the *same* drawn images: draw once, and take the "
            "scores of both from it."
        )
    if 0.8 * right < width < 0.9 * right:
        return "The interval is somewhat too narrow. 95 % in the middle leave 2.5 % on either side, not 5."
    if width < 0.9 * right:
        if abs(mine_low - low) < 0.15 * right or abs(mine_high - high) < 0.15 * right:
            return "One end lies where it should, the other too far in. 95 % in the middle leave 2.5 % on either side."
        return "The interval is too narrow. Draw good *and* defective images anew; take the 2.5 and 97.5 % quantiles."
    if abs(mine_low - low) > 0.15 * right or abs(mine_high - high) > 0.15 * right:
        return f"It gives {mine_low:+.3f} to {mine_high:+.3f}, and about {low:+.3f} to {high:+.3f} is right."
    few = np.r_[np.zeros(3, int), np.ones(3, int)]
    try:
        ends = [mine(np.arange(6.0), np.arange(6.0), few, 200, np.random.default_rng(s)) for s in range(3)]
    except Exception:  # of any kind: a draw had one class only
        ends = [(np.nan, np.nan)]
    if not np.isfinite(ends).all():
        return "With few images a draw can hold no good image, or no defective one. Draw the two kinds separately."
    return None


EXERCISES = (
    Exercise(
        name="07.step",
        answer=step,
        examine=_examine_step,
        examined=("what is shown and what is asked for", "masks", "weights of student and modules", "three steps"),
    ),
    Exercise(
        name="07.effects",
        answer=effects,
        cases=_of_effects,
        mistakes=(
            Mistake(
                lambda rd, ilm, flm, mrkd: (ilm - rd, flm - rd, (mrkd - flm) - (ilm - rd)),
                "Each effect is taken with the other mask off only. A main effect is the mean of both: off, and on.",
            ),
            Mistake(
                lambda rd, ilm, flm, mrkd: (
                    (ilm - rd) + (mrkd - flm),
                    (flm - rd) + (mrkd - ilm),
                    (mrkd - flm) - (ilm - rd),
                ),
                "The two differences of a main effect are added up. Take their mean: a half is missing.",
            ),
            Mistake(
                lambda rd, ilm, flm, mrkd: (
                    ((ilm - rd) + (mrkd - flm)) / 2,
                    ((flm - rd) + (mrkd - ilm)) / 2,
                    mrkd - rd,
                ),
                "The last one is what both masks do together. The interaction is the difference of two differences: "
                "what ILM does when FLM is on, less what it does when FLM is off.",
            ),
            Mistake(
                lambda rd, ilm, flm, mrkd: (
                    ((ilm - rd) + (mrkd - flm)) / 2,
                    ((flm - rd) + (mrkd - ilm)) / 2,
                    (ilm - rd) - (mrkd - flm),
                ),
                "The interaction has the wrong sign: FLM on comes first, less FLM off.",
            ),
            Mistake(
                lambda rd, ilm, flm, mrkd: effects(rd, flm, ilm, mrkd),
                "The effects of ILM and FLM are exchanged: ILM comes first.",
            ),
            Mistake(
                lambda rd, ilm, flm, mrkd: (*effects(rd, ilm, flm, mrkd)[:2], (mrkd - flm) + (ilm - rd)),
                "The interaction is the difference of two differences: take away what ILM does alone, do not add it.",
            ),
            Mistake(
                lambda rd, ilm, flm, mrkd: tuple(e.mean() for e in effects(rd, ilm, flm, mrkd)),
                "The seeds are averaged already. Give one number for each seed: their spread is needed.",
            ),
        ),
    ),
    Exercise(
        name="07.paired_bootstrap",
        answer=paired_bootstrap,
        examine=_examine_bootstrap,
        examined=("both ends", "the same draw for both models", "both kinds of images in every draw"),
    ),
)
