"""Lesson 03: a student, its loss, a step of its training, and its anomaly map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mrkd_edu.checks.exercise import Exercise, Mistake, explain
from mrkd_edu.checks.inputs import seeded
from mrkd_edu.distance import add_scales, cosine_distance, distillation_loss
from mrkd_edu.distance import anomaly_map as papers_map

Maps = Sequence[Tensor]
CHANNELS, SIDE = (40, 112, 320), 24  # of the teacher's scales; side of the finest map


class UpBlock(nn.Module):
    """A residual block that doubles height and width, and can answer with negative numbers.

    Args:
        c_in, c_out: channels.
    """

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.up = nn.Sequential(nn.ConvTranspose2d(c_in, c_out, 2, stride=2), nn.BatchNorm2d(c_out), nn.ReLU())
        self.conv = nn.Sequential(nn.Conv2d(c_out, c_out, 3, padding=1), nn.BatchNorm2d(c_out))
        self.shortcut = nn.Sequential(nn.ConvTranspose2d(c_in, c_out, 2, stride=2), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.up(x)) + self.shortcut(x)  # (B, c_out, 2 h, 2 w)


class Student(nn.Module):
    """Bottleneck and decoder: maps fine to coarse in, maps of the same shapes out.

    Args:
        channels: of the teacher's scales, fine to coarse, each half as large as the one before.
        width: channels of the narrow place.
    """

    def __init__(self, channels: Sequence[int], width: int):
        super().__init__()
        last = len(channels) - 1
        self.bring = nn.ModuleList(
            nn.Conv2d(c, width, 3, stride=2 ** (last - k), padding=1) for k, c in enumerate(channels)
        )
        self.squeeze = nn.Sequential(nn.Conv2d(width * len(channels), width, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.first = nn.Conv2d(width, channels[-1], 3, padding=1)
        self.ups = nn.ModuleList(UpBlock(channels[k], channels[k - 1]) for k in range(last, 0, -1))

    def forward(self, maps: Maps) -> list[Tensor]:
        x = torch.cat([F.relu(bring(t)) for bring, t in zip(self.bring, maps, strict=True)], 1)
        answers = [self.first(self.squeeze(x))]  # the coarsest first
        for up in self.ups:
            answers.append(up(answers[-1]))
        return answers[::-1]


def loss(T: Maps, S: Maps) -> Tensor:
    """One cosine over the whole map of each scale, mean over the batch, sum over the scales: lists to a scalar."""
    return distillation_loss(list(T), list(S))


def training_step(
    student: Callable[[Maps], Maps], optimiser: torch.optim.Optimizer, given: Maps, target: Maps
) -> float:
    """One step downhill: the student answers `given`, is held against `target`, and learns; the loss as a number."""
    value = loss(target, student(given))
    optimiser.zero_grad()
    value.backward()
    optimiser.step()
    return value.item()


def anomaly_map(T: Maps, S: Maps, size: int, sigma: float) -> Tensor:
    """Distances of all scales at the size of the image, added and smoothed: lists to (B, size, size)."""
    return papers_map(list(T), list(S), (size, size), sigma=sigma)


# ---- what they are tried on ----------------------------------------------------------------------------------


def _maps(batch: int, channels: Sequence[int], side: int, seed: int) -> list[Tensor]:
    draws = seeded(seed)
    return [torch.randn(batch, c, side >> k, side >> k, generator=draws) for k, c in enumerate(channels)]


def _examine_block(mine: Callable[..., Any]) -> str | None:
    torch.manual_seed(0)
    block = mine(12, 7)
    x = torch.randn(4, 12, 5, 6)
    answer = block(x)
    if answer is None:
        return "`forward` gives None. Is the `return` missing?"
    if answer.shape[1] != 7:
        return f"It was asked for 7 channels and gives {answer.shape[1]}: the second number is `c_out`."
    if answer.shape[2:] == x.shape[2:]:
        return "Height and width stay as they were. `nn.ConvTranspose2d(..., 2, stride=2)` doubles them."
    if answer.shape[2:] != (10, 12):
        return f"A map of 5 x 6 becomes {answer.shape[2]} x {answer.shape[3]}; it should become 10 x 12."
    if bool((answer >= 0).all()):
        return (
            "No answer is ever negative: there is a ReLU at the end. Standardised features are negative half of the "
            "time, so that this student could never give them. End without a ReLU."
        )
    if not list(block.parameters()):
        return "It has nothing to learn: make the layers in `__init__`, and keep them as `self. ...`."
    answer.sum().backward()
    if any(p.grad is None for p in block.parameters()):
        return "Some of its layers are made and never used: see that `forward` goes through all of them."
    block.eval()
    spot = torch.zeros(1, 12, 9, 9)
    spot[:, :, 4, 4] = 1
    with torch.no_grad():
        moved = (block(spot) - block(torch.zeros_like(spot))).abs().sum(1)[0] > 1e-6
    if int(moved.sum()) <= 4:
        return "A position of the answer sees one position of the input only. A 3x3 convolution should follow."
    return None


def in_a_plain_list(module: nn.Module) -> str | None:
    """The name of an attribute that holds layers in a list or tuple of Python, where nothing registers them."""
    for name, value in vars(module).items():
        if isinstance(value, (list, tuple)) and any(isinstance(each, nn.Module) for each in value):
            return name
    return None


def _examine_student(mine: Callable[..., Any]) -> str | None:
    for channels, what in ((CHANNELS, "three scales"), ((6, 10), "two scales"), ((5, 9, 14, 20), "four scales")):
        torch.manual_seed(0)
        maps = _maps(2, channels, SIDE if len(channels) < 4 else 32, 1)
        try:
            student = mine(channels, 16)
            if (name := in_a_plain_list(student)) is not None:
                return (
                    f"`self.{name}` is a plain list: neither the optimiser nor `.eval()` sees the layers in it. Put "
                    "them into an `nn.ModuleList`."
                )
            answers = student(maps)
        except Exception as error:  # of any kind: it is the learner's code
            return f"With {what}, of {', '.join(map(str, channels))} channels, it stops. {explain(error)}"
        if answers is None:
            return "`forward` gives None. Is the `return` missing?"
        shapes, wanted = [tuple(a.shape) for a in answers], [tuple(t.shape) for t in maps]
        if shapes != wanted and shapes == wanted[::-1]:
            return "The maps come out coarse to fine. The teacher's go fine to coarse: turn the list round, `[::-1]`."
        if shapes != wanted:
            return f"For {what} its maps have the shapes {shapes}; they should be those of the teacher, {wanted}."
    torch.manual_seed(0)
    student, maps = mine(CHANNELS, 16), _maps(3, CHANNELS, SIDE, 2)
    known = sum(p.numel() for p in student.parameters())
    if known < 100_000:
        return (
            "Most of its layers are unknown to the optimiser: layers in a plain Python list or dict do not register. "
            "Put them into `nn.ModuleList`."
        )
    answers = student(maps)
    if any(bool((a >= 0).all()) for a in answers):
        return (
            "At some scale no answer is ever negative: there is a ReLU at the end. Standardised features are negative "
            "half of the time. End without one."
        )
    sum(a.square().mean() for a in answers).backward()
    if any(p.grad is None for p in student.parameters()):
        return "Some of its layers get no gradient: they are made in `__init__` and never used in `forward`."
    student.eval()
    with torch.no_grad():
        before = student(maps)
        for k in range(3):
            other = [t + torch.randn_like(t) if j == k else t for j, t in enumerate(maps)]
            if torch.allclose(student(other)[-1], before[-1], atol=1e-6):
                return f"The answer does not depend on the map of scale {k + 1}. All scales go into the narrow place."
        alone = student([t[:1] for t in maps])
    if not torch.allclose(alone[0], before[0][:1], atol=1e-4):
        return "In evaluation the answer to an image depends on the other images of the batch."
    return None


def _of_distance() -> dict[str, tuple[Any, ...]]:
    t, s = _maps(3, (8,), 6, 0)[0], _maps(3, (8,), 6, 1)[0]
    return {
        "two maps": (t, s),
        "one image": (t[:1], s[:1]),
        "odd sizes": (t[..., :5, :3], s[..., :5, :3]),
        "the same map": (t, t.clone()),
        "a student seven times as long": (t, 7 * t),
        "opposite directions": (t, -t),
        "half precision": (t.half(), s.half()),
    }


def _of_loss() -> dict[str, tuple[Any, ...]]:
    T, S = _maps(3, (4, 6, 8), 8, 0), _maps(3, (4, 6, 8), 8, 1)
    uneven = [t.clone() for t in T]
    uneven[0][:, :, 0, 0] *= 30  # one long position
    return {
        "three scales": (T, S),
        "one scale": (T[:1], S[:1]),
        "one image": ([t[:1] for t in T], [s[:1] for s in S]),
        "one position much longer than the others": (uneven, [u + s for u, s in zip(uneven, S, strict=True)]),
        "a student twice as long": (T, [2 * t for t in T]),
        "opposite directions": (T, [-t for t in T]),
    }


def _with_gradient(mine: Callable[..., Any]) -> str | None:
    T, S = _maps(2, (4, 6), 8, 0), [s.requires_grad_() for s in _maps(2, (4, 6), 8, 1)]
    value = mine(T, S)
    if not isinstance(value, Tensor) or not value.requires_grad:
        return "The number is right, but it has no gradient: the student cannot learn from it. Leave `.item()` away."
    return None


class _Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        draws = seeded(3)
        self.weight = nn.Parameter(torch.randn(4, 4, 1, 1, generator=draws))

    def forward(self, maps: Maps) -> list[Tensor]:
        return [F.conv2d(t, self.weight) for t in maps]


def _stepped(step: Callable[..., Any], times: int) -> tuple[list[Any], Tensor]:
    student = _Linear()
    optimiser = torch.optim.SGD(student.parameters(), lr=0.5)
    given, target = _maps(3, (4,), 4, 5), _maps(3, (4,), 4, 6)
    return [step(student, optimiser, given, target) for _ in range(times)], student.weight.detach()


def _examine_step(mine: Callable[..., Any]) -> str | None:
    said, weight = _stepped(mine, 1)
    told, right = _stepped(training_step, 1)
    if said[0] is None:
        return "It gives None. Return the loss, as a plain number."
    if isinstance(said[0], Tensor):
        return (
            "It returns a tensor, and with it all that is needed for its gradient: after a thousand steps the memory "
            "is full. Return a plain number, `.item()`."
        )
    if torch.equal(weight, _Linear().weight):
        return "The weights have not moved. After `backward()` comes `optimiser.step()`."
    if abs(said[0] - told[0]) > 1e-4:
        later = _stepped(training_step, 2)[0][1]
        if abs(said[0] - later) < 1e-4:
            return "The loss is computed once more after the step. Return the one that the step was made with."
        if abs(said[0] - loss(_maps(3, (4,), 4, 5), _Linear()(_maps(3, (4,), 4, 5))).item()) < 1e-4:
            return "The student is held against what it was given. Hold it against `target`."
        return f"The loss is {said[0]:.4f}, and it should be {told[0]:.4f}: `loss(target, student(given))`."
    if not torch.allclose(weight, right, atol=1e-5):
        return "The weights moved, but not as they should: zero the gradients, go backward, then step, in this order."
    _, twice = _stepped(mine, 3)
    _, right = _stepped(training_step, 3)
    if not torch.allclose(twice, right, atol=1e-5):
        return "The gradients of earlier steps are still there, and add up. Begin with `optimiser.zero_grad()`."
    return None


def _of_map() -> dict[str, tuple[Any, ...]]:
    T, S = _maps(2, (4, 6, 8), 16, 0), _maps(2, (4, 6, 8), 16, 1)
    return {
        "three scales": (T, S, 64, 1.0),
        "one image": ([t[:1] for t in T], [s[:1] for s in S], 64, 2.0),
        "one scale": (T[:1], S[:1], 32, 1.0),
        "odd sizes": ([T[0][..., :5, :5]], [S[0][..., :5, :5]], 37, 1.5),
    }


def _mapped(combine: Callable[[list[Tensor]], Tensor]) -> Callable[..., Tensor]:
    """`anomaly_map` with another way to put the scales together."""
    return lambda T, S, size, sigma: combine(
        [papers_map([t], [s], (size, size), sigma=sigma) for t, s in zip(T, S, strict=True)]
    )


EXERCISES = (
    Exercise(
        name="03.UpBlock",
        answer=UpBlock,
        examine=_examine_block,
        examined=("channels", "twice the size", "negative answers", "every layer is used"),
    ),
    Exercise(
        name="03.Student",
        answer=Student,
        examine=_examine_student,
        examined=("two, three and four scales", "negative answers", "every scale counts", "every layer learns"),
    ),
    Exercise(
        name="03.cosine_distance",
        answer=cosine_distance,
        cases=_of_distance,
        mistakes=(
            Mistake(
                lambda t, s: 1 - F.cosine_similarity(t.float().flatten(1), s.float().flatten(1)),
                "That is one cosine of the whole map, the loss. Here every position has its own: compare along the "
                "channels, axis 1.",
            ),
            Mistake(
                lambda t, s: F.cosine_similarity(t.float(), s.float()),
                "That is the cosine itself: 1 where they agree. A distance is 0 there: 1 - cos.",
            ),
            Mistake(
                lambda t, s: 1 - (t.float() * s.float()).sum(1),
                "The product is not divided by the lengths: who answers twice as long would be twice as near.",
            ),
            Mistake(
                lambda t, s: 1 - F.cosine_similarity(t.float(), s.float(), dim=-1),
                "The cosine runs along the last axis, the width. The feature vector lies along the channels: `dim=1`.",
            ),
            Mistake(
                lambda t, s: (1 - F.cosine_similarity(t.float(), s.float())).mean(),
                "That is one number for all. A map has a distance at every position: leave the mean away.",
            ),
            Mistake(
                lambda t, s: (t.float() - s.float()).norm(dim=1),
                "That is the length of the difference. The student's length is free; compare directions: the cosine.",
            ),
        ),
    ),
    Exercise(
        name="03.loss",
        answer=loss,
        cases=_of_loss,
        examine=_with_gradient,
        examined=("a gradient for the student",),
        mistakes=(
            Mistake(
                lambda T, S: sum((1 - F.cosine_similarity(t, s)).mean() for t, s in zip(T, S, strict=True)),
                "That is a cosine at each position, then the mean: RD4AD's formula. Here the whole map is one vector: "
                "flatten it first.",
            ),
            Mistake(
                lambda T, S: sum(
                    (1 - F.cosine_similarity(t.flatten(1), s.flatten(1))).sum() for t, s in zip(T, S, strict=True)
                ),
                "The images of the batch are added up: a larger batch would have a larger loss. Take their mean.",
            ),
            Mistake(
                lambda T, S: loss(T, S) / len(T),
                "The scales are averaged. The formula adds them up.",
            ),
            Mistake(
                lambda T, S: sum(
                    1 - F.cosine_similarity(t.flatten(), s.flatten(), dim=0) for t, s in zip(T, S, strict=True)
                ),
                "All images of the batch went into one vector. Each has its own: `flatten(1)` keeps the first axis.",
            ),
            Mistake(
                lambda T, S: sum(
                    F.cosine_similarity(t.flatten(1), s.flatten(1)).mean() for t, s in zip(T, S, strict=True)
                ),
                "That is the cosine: it would be made smaller, until the student says the opposite. 1 - cos.",
            ),
            Mistake(
                lambda T, S: sum(F.mse_loss(s, t) for t, s in zip(T, S, strict=True)),
                "That is the mean squared difference. It fixes the student's length, too; the cosine leaves it free.",
            ),
        ),
    ),
    Exercise(
        name="03.training_step",
        answer=training_step,
        examine=_examine_step,
        examined=("the loss before the step", "the weights after one and after three steps"),
    ),
    Exercise(
        name="03.anomaly_map",
        answer=anomaly_map,
        cases=_of_map,
        mistakes=(
            Mistake(
                _mapped(lambda maps: torch.stack(maps).mean(0)),
                "That is the mean of the scales. The formula adds them up.",
            ),
            Mistake(
                _mapped(lambda maps: torch.stack(maps).amax(0)),
                "At each pixel the largest scale counts alone. The formula adds all of them up.",
            ),
            Mistake(
                _mapped(lambda maps: maps[0]),
                "Only the finest scale is in the map. Add the others.",
            ),
            Mistake(
                _mapped(lambda maps: maps[-1]),
                "Only the last scale is in the map: is the sum overwritten in every turn of the loop?",
            ),
            Mistake(
                lambda T, S, size, sigma: add_scales(
                    [cosine_distance(t, s) for t, s in zip(T, S, strict=True)], (size, size), sigma=0
                ),
                "The sum is right, and not smoothed. `at_image_size` takes `sigma`.",
            ),
            Mistake(
                _mapped(lambda maps: torch.stack(maps).prod(0)),
                "The scales are multiplied. The formula adds them up.",
            ),
        ),
    ),
)
