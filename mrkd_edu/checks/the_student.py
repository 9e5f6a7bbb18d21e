"""Assignment A3: a student from its parts, a teacher that stays as it is, a step of ILM, and FLM.

Networks are compared with the same weights: the task prescribes the names and shapes of the layers, the weights are
among the inputs, and a probe puts them in, runs the network and says what came out, gradients and statistics included
(`probes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mrkd_edu.checks import probes
from mrkd_edu.checks.exercise import Cases, Exercise, Mistake
from mrkd_edu.checks.feature_masking import GenerationModule
from mrkd_edu.checks.inputs import fine_to_coarse, noise, other_sizes, seeded

Maps = Sequence[Tensor]
Sizes = Mapping[str, tuple[int, ...]]


class DecoderStage(nn.Module):
    """A residual block that doubles height and width, and can answer with negative numbers.

    Args:
        c_in, c_out: channels.
    """

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.up, self.up_norm = nn.ConvTranspose2d(c_in, c_out, 2, stride=2), nn.BatchNorm2d(c_out)
        self.conv, self.conv_norm = nn.Conv2d(c_out, c_out, 3, padding=1), nn.BatchNorm2d(c_out)
        self.short, self.short_norm = nn.ConvTranspose2d(c_in, c_out, 2, stride=2), nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.up_norm(self.up(x)))  # (B, c_out, 2 h, 2 w)
        return self.conv_norm(self.conv(y)) + self.short_norm(self.short(x))


class Bottleneck(nn.Module):
    """The maps of all scales, fine to coarse, to one narrow map of half the coarsest one's side.

    Args:
        channels: of the K scales, fine to coarse, each half as large as the one before.
        width: channels of the narrow map.
    """

    def __init__(self, channels: Sequence[int], width: int):
        super().__init__()
        jumps = [2 ** (len(channels) - 1 - k) for k in range(len(channels))]  # 4, 2, 1 for three scales
        self.bring = nn.ModuleList(
            nn.Conv2d(c, width, 2 * s - 1, stride=s, padding=s - 1) for c, s in zip(channels, jumps, strict=True)
        )
        self.squeeze = nn.Conv2d(len(channels) * width, width, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, maps: Maps) -> Tensor:
        brought = [F.relu(bring(t)) for bring, t in zip(self.bring, maps, strict=True)]  # K of (B, width, h_K, w_K)
        return F.relu(self.norm(self.squeeze(torch.cat(brought, 1))))  # (B, width, h_K / 2, w_K / 2)


class Student(nn.Module):
    """Bottleneck and one decoder stage a scale: maps fine to coarse in, maps of the same shapes out.

    Args:
        channels, width: as for `Bottleneck`.
    """

    def __init__(self, channels: Sequence[int], width: int):
        super().__init__()
        self.bottleneck = Bottleneck(channels, width)
        deep_to_fine = [width, *reversed(channels)]
        self.stages = nn.ModuleList(map(DecoderStage, deep_to_fine, deep_to_fine[1:]))

    def forward(self, maps: Maps) -> list[Tensor]:
        x, answers = self.bottleneck(maps), list[Tensor]()
        for stage in self.stages:
            x = stage(x)
            answers.append(x)
        return answers[::-1]


class FrozenTeacher(nn.Module):
    """A network that never learns and is always in evaluation mode.

    Args:
        network: images to a list of maps.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenTeacher:
        super().train(mode)
        self.network.eval()
        return self

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network(images)
        return maps


def ilm_step(
    teacher: Callable[[Tensor], list[Tensor]],
    student: nn.Module,
    loss: Callable[[Maps, Maps], Tensor],
    optimiser: torch.optim.Optimizer,
    normal: Tensor,
    anomalous: Tensor,
) -> float:
    """One step of image-level masking; the loss that it was made with.

    Args:
        teacher: images to maps; it gets no gradient.
        student: these maps to its answer.
        loss: of target and answer.
        optimiser: of the student.
        normal, anomalous: images (B, 3, S, S).
    """
    student.train()
    with torch.no_grad():
        target, given = teacher(normal), teacher(anomalous)
    value = loss(target, student(given))
    optimiser.zero_grad()
    value.backward()
    optimiser.step()
    return value.item()


def flm(
    maps: Maps,
    generate: Sequence[Callable[[Tensor], Tensor]],
    drop: Sequence[float],
    training: bool,
    random: Sequence[Tensor] | None,
) -> list[Tensor]:
    r"""Hide positions in training, and restore in any case: :math:`G_k(M_k \odot S_k)`.

    Args:
        maps: of the student, (B, C_k, h_k, w_k).
        generate: the generation module of each scale.
        drop: :math:`\lambda` of each scale.
        training: whether positions are hidden.
        random: uniform numbers of each scale, (B, 1, h_k, w_k); None in evaluation.
    """
    if training:
        assert random is not None
        maps = [s * (r >= d).to(s) for s, r, d in zip(maps, random, drop, strict=True)]
    return [g(s) for g, s in zip(generate, maps, strict=True)]


# ---- what they are tried on ------------------------------------------------------------------------------------

STAGES = {  # c_in, c_out, batch, height, width
    "a batch": (6, 4, 3, 5, 5),
    "one image": (3, 5, 1, 4, 6),
    "odd sizes": (4, 4, 2, 3, 7),
    "large numbers": (5, 3, 2, 4, 4),
}
SCALES = {  # width, batch, height and width of the coarsest map, channels
    "three scales": (8, 3, 4, 4, 3, 5, 6),
    "two scales": (5, 2, 6, 4, 4, 7),
    "one image": (6, 1, 4, 6, 4, 3, 5),
    "large numbers": (4, 2, 4, 2, 3, 6),
}
ODD = {"odd sizes": (4, 2, 3, 5, 3, 4, 5)}
MODULES = {  # channels, batch, height, width
    "a batch": (5, 3, 6, 6),
    "one image": (3, 1, 5, 8),
    "odd sizes": (4, 2, 7, 3),
    "a map of one position": (6, 2, 1, 1),
    "large numbers": (4, 2, 5, 5),
}
IMAGES = {"a batch": (4, 8, 8), "one image": (1, 6, 8), "odd sizes": (2, 7, 5)}  # batch, height, width
STEPS = {"one step": (1, 4, 8), "three steps": (3, 3, 6), "one image": (2, 1, 10)}  # times, batch, side
MASKED = {  # batch, side of the coarsest map, channels fine to coarse
    "three scales in training": (3, 3, 5, 4, 3),
    "one image in training": (1, 5, 3, 4),
    "odd sizes in training": (2, 7, 4),
    "half precision in training": (2, 4, 3, 5),
    "three scales in evaluation": (2, 3, 4, 3, 5),
    "half precision in evaluation": (2, 5, 4, 3),
    "numbers that are just lambda": (2, 6, 3),
    "lambda 0": (2, 4, 3, 4),
}
LARGE = 500


def drawn(module: nn.Module, seed: int) -> dict[str, Tensor]:
    """Other weights and statistics for a network, by their names. Counters are left out."""
    draws, weights = seeded(seed), dict[str, Tensor]()
    for name, value in module.state_dict().items():
        if not value.is_floating_point():
            continue
        weights[name] = torch.randn(value.shape, generator=draws)
        if value.ndim > 1:  # of a convolution: keeps what goes through at its size
            weights[name] *= (value.numel() / value.shape[0]) ** -0.5
        elif name.endswith("norm.weight") or name.endswith("running_var"):
            weights[name] = (1 + 0.3 * weights[name]).abs() + 0.1
        else:
            weights[name] *= 0.3
    return weights


def _even(sizes: Sizes) -> Sizes:
    """The same with a coarsest map of even sides, which can be halved and doubled."""
    return {what: (*s[:2], s[2] // 2 * 2, s[3] // 2 * 2, *s[4:]) for what, s in sizes.items()}


def _size_of(what: str) -> int:
    return LARGE if what == "large numbers" else 1


def _of_stage(seed: int = 0, sizes: Sizes = STAGES) -> Cases:
    cases = {}
    for i, (what, (c_in, c_out, batch, h, w)) in enumerate(sizes.items()):
        x = noise(batch, c_in, h, w, seed=seed + i) * _size_of(what)
        cases[what] = ((c_in, c_out), drawn(DecoderStage(c_in, c_out), seed + 50 + i), x)
    return cases


def _of_scales(network: Callable[..., nn.Module], seed: int, sizes: Sizes) -> Cases:
    cases = {}
    for i, (what, (width, batch, h, w, *channels)) in enumerate(sizes.items()):
        maps = [m * _size_of(what) for m in fine_to_coarse(batch, h, w, channels, seed + 9 * i)]
        cases[what] = ((tuple(channels), width), drawn(network(channels, width), seed + 50 + i), maps)
    return cases


def _of_module(seed: int = 0, sizes: Sizes = MODULES) -> Cases:
    cases = {}
    for i, (what, (channels, batch, h, w)) in enumerate(sizes.items()):
        x = noise(batch, channels, h, w, seed=seed + i) * _size_of(what)
        cases[what] = (channels, drawn(GenerationModule(channels), seed + 50 + i), x)
    return cases


def _of_teacher(seed: int = 0, sizes: Sizes = IMAGES) -> Cases:
    cases = {}
    for i, (what, (batch, h, w)) in enumerate(sizes.items()):
        cases[what] = (drawn(probes.Eye(), seed + 50 + i), noise(batch, 3, h, w, seed=seed + i) + 0.5)
    return cases


def _of_step(seed: int = 0, sizes: Sizes = STEPS) -> Cases:
    cases: dict[str, tuple[Any, ...]] = {}
    for i, (what, (times, batch, side)) in enumerate(sizes.items()):
        normal, other = (noise(batch, 3, side, side, seed=seed + i + j) for j in (0, 20))
        anomalous = normal.clone()
        anomalous[:, :, : side // 2, 1:] = other[:, :, : side // 2, 1:]
        eye, hand = drawn(probes.Eye(), seed + 50 + i), drawn(probes.Hand(), seed + 70 + i)
        cases[what] = (eye, hand, normal, anomalous, times, 0.2)
    eye, hand, normal, *_ = cases["three steps"]
    return {**cases, "nothing pasted": (eye, hand, normal, normal.clone(), 2, 0.1)}


def _of_flm(seed: int = 0, sizes: Sizes = MASKED) -> Cases:
    cases = {}
    for i, (what, (batch, side, *channels)) in enumerate(sizes.items()):
        draws = seeded(seed + i)
        maps = fine_to_coarse(batch, side, side, channels, seed + 9 * i)
        drop = [(0.25, 0.5, 0.75)[(k + seed + i) % 3] for k in range(len(channels))]
        random = [torch.rand(len(m), 1, *m.shape[2:], generator=draws) for m in maps]
        if what == "numbers that are just lambda":
            random = [torch.where(r < 0.6, d, r) for r, d in zip(random, drop, strict=True)]
        if what == "lambda 0":
            drop, random = [0.0] * len(drop), [torch.where(r < 0.3, 0.0, r) for r in random]
        weights = [drawn(nn.Conv2d(c, c, 3), seed + 50 + 9 * i + k) for k, c in enumerate(channels)]
        if "half" in what:
            maps = [m.half() for m in maps]
        training = "evaluation" not in what
        cases[what] = (maps, weights, tuple(drop), training, random if training else None)
    return cases


# ---- what goes wrong -------------------------------------------------------------------------------------------


def _with(network: type[nn.Module], forward: Callable[..., Any], start: float = 0.0) -> type[nn.Module]:
    """A network with the right layers that uses them in another way; or a module that begins away from zero."""

    class Other(network):  # type: ignore[misc, valid-type]
        def __init__(self, *sizes: Any):
            super().__init__(*sizes)
            if start:
                nn.init.constant_(self.conv2.weight, start)

    Other.forward = forward  # type: ignore[method-assign]
    return Other


def _brought(self: Any, maps: Maps) -> list[Tensor]:
    return [F.relu(bring(t)) for bring, t in zip(self.bring, maps, strict=True)]


def _decoded(
    go: Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]],
) -> Callable[[Any, Maps], list[Tensor]]:
    """A student's `forward` from one function of (stage, what it gets, the teacher's map) to (answer, what goes on)."""

    def forward(self: Any, maps: Maps) -> list[Tensor]:
        x, answers = self.bottleneck(maps), list[Tensor]()
        for stage, t in zip(self.stages, reversed(maps), strict=True):
            answer, x = go(stage, x, t)
            answers.append(answer)
        return answers[::-1]

    return forward


def _thawed(
    at_first: bool = True, stays: bool = True, asks: bool = False, gradient: bool = False, gives_self: bool = True
) -> type[nn.Module]:
    """A `FrozenTeacher` that lacks something."""

    class Other(nn.Module):
        def __init__(self, network: nn.Module):
            super().__init__()
            self.network = network.requires_grad_(asks)
            if at_first:
                network.eval()

        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            if stays:
                self.network.eval()
            return self if gives_self else None

        def forward(self, images: Tensor) -> Any:
            with torch.set_grad_enabled(gradient):
                return self.network(images)

    return Other


def _stepped(
    target: int = 0,
    given: int = 1,
    zero: bool = True,
    go: bool = True,
    train: bool = True,
    says: str = "before",
    through: bool = False,
    turned: bool = False,
) -> Callable[..., Any]:
    """`ilm_step` with another target and input (0 normal, 1 anomalous), or with something left out.

    `through` lets the gradient run into the teacher; `turned` holds the target against the answer the wrong way round;
    `says` is `"before"`, `"after"` or `"tensor"`.
    """

    def answer(teacher: Any, student: Any, loss: Any, optimiser: Any, *images: Tensor) -> Any:
        if train:
            student.train()
        with torch.set_grad_enabled(through):
            known = [teacher(each) for each in images]
        sides = (known[target], student(known[given]))
        value = loss(*(sides[::-1] if turned else sides))
        if zero:
            optimiser.zero_grad()
        value.backward()
        if go:
            optimiser.step()
        if says == "after":
            value = loss(known[target], student(known[given]))
        return value if says == "tensor" else value.item()

    return answer


def _masked(mask: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., list[Tensor]]:
    """`flm` with another way to hide in training, one function of `(s, random, drop)`."""

    def answer(maps: Maps, generate: Any, drop: Any, training: bool, random: Any) -> list[Tensor]:
        if training:
            maps = [mask(s, r, d).to(s.dtype) for s, r, d in zip(maps, random, drop, strict=True)]
        return [g(s) for g, s in zip(generate, maps, strict=True)]

    return answer


def _holes_at_the_end(maps: Maps, generate: Any, drop: Any, training: bool, random: Any) -> list[Tensor]:
    maps = [g(s) for g, s in zip(generate, maps, strict=True)]
    return [s * (r >= d) for s, r, d in zip(maps, random, drop, strict=True)] if training else list(maps)


def _modules_in_training_only(maps: Maps, generate: Any, drop: Any, training: bool, random: Any) -> list[Tensor]:
    return flm(maps, generate, drop, True, random) if training else list(maps)


def _paler(maps: Maps, generate: Any, drop: Any, training: bool, random: Any) -> list[Tensor]:
    if training:
        return flm(maps, generate, drop, True, random)
    return [g((1 - d) * s) for g, s, d in zip(generate, maps, drop, strict=True)]


EXERCISES = (
    Exercise(
        name="A3.DecoderStage",
        answer=DecoderStage,
        probe=probes.network,
        cases=_of_stage,
        hidden=lambda seed: _of_stage(1000 + 100 * seed, other_sizes(STAGES, seed)),
        mistakes=(
            Mistake(
                _with(DecoderStage, lambda self, x: F.relu(DecoderStage.forward(self, x))),
                "There is a ReLU at the end, so that no answer is ever negative. The teacher's features are negative "
                "about half of the time, and such a student could never give them. End with the sum.",
            ),
            Mistake(
                _with(DecoderStage, lambda self, x: self.conv_norm(self.conv(F.relu(self.up_norm(self.up(x)))))),
                "The shortcut is missing: `short` and `short_norm` are made and never used. Both ways are added.",
            ),
            Mistake(
                _with(
                    DecoderStage,
                    lambda self, x: (
                        self.conv_norm(self.conv(self.up_norm(self.up(x)))) + self.short_norm(self.short(x))
                    ),
                ),
                "There is no ReLU on the long way. Two convolutions with nothing between them are no more than one. It "
                "stands after `up_norm`.",
            ),
            Mistake(
                _with(
                    DecoderStage,
                    lambda self, x: (
                        self.conv_norm(self.conv(self.up_norm(F.relu(self.up(x))))) + self.short_norm(self.short(x))
                    ),
                ),
                "The ReLU comes before `up_norm`. The order is convolution, normalisation, ReLU: normalised numbers "
                "lie around zero, where the ReLU bends.",
            ),
            Mistake(
                _with(
                    DecoderStage,
                    lambda self, x: self.conv_norm(self.conv(F.relu(self.up_norm(self.up(x))))) + self.short(x),
                ),
                "The shortcut is added without its normalisation, `short_norm`.",
            ),
            Mistake(
                _with(
                    DecoderStage,
                    lambda self, x: (
                        F.relu(self.conv_norm(self.conv(F.relu(self.up_norm(self.up(x))))))
                        + self.short_norm(self.short(x))
                    ),
                ),
                "A ReLU follows `conv_norm`, so that the long way can only add and never take away. It has one ReLU, "
                "between its two convolutions.",
            ),
        ),
    ),
    Exercise(
        name="A3.Bottleneck",
        answer=Bottleneck,
        probe=probes.network,
        cases=lambda: _of_scales(Bottleneck, 0, SCALES | ODD),
        hidden=lambda seed: _of_scales(Bottleneck, 1000 + 100 * seed, other_sizes(SCALES | ODD, seed)),
        mistakes=(
            Mistake(
                _with(
                    Bottleneck,
                    lambda self, maps: F.relu(
                        self.norm(
                            self.squeeze(torch.cat([b(t) for b, t in zip(self.bring, maps, strict=True)], 1))
                        )
                    ),
                ),
                "What `bring` gives goes on without a ReLU. Then `bring` and `squeeze` together are one linear map: a "
                "ReLU stands between them.",
            ),
            Mistake(
                _with(Bottleneck, lambda self, maps: self.norm(self.squeeze(torch.cat(_brought(self, maps), 1)))),
                "The last ReLU is missing. The narrow place is `squeeze`, `norm`, ReLU; only the *decoder's* answers "
                "must be able to be negative.",
            ),
            Mistake(
                _with(
                    Bottleneck, lambda self, maps: self.norm(F.relu(self.squeeze(torch.cat(_brought(self, maps), 1))))
                ),
                "At the end normalisation and ReLU are exchanged: first `norm`, then the ReLU.",
            ),
            Mistake(
                _with(Bottleneck, lambda self, maps: F.relu(self.squeeze(torch.cat(_brought(self, maps), 1)))),
                "`norm` is made and never used. It stands between `squeeze` and the last ReLU.",
            ),
            Mistake(
                _with(
                    Bottleneck,
                    lambda self, maps: F.relu(self.norm(self.squeeze(torch.cat(_brought(self, maps)[::-1], 1)))),
                ),
                "The scales are concatenated coarse to fine. The weights of `squeeze` belong to channels: keep the "
                "order of `maps`, fine to coarse.",
            ),
        ),
    ),
    Exercise(
        name="A3.Student",
        answer=Student,
        probe=probes.network,
        cases=lambda: _of_scales(Student, 0, SCALES),
        hidden=lambda seed: _of_scales(Student, 1000 + 100 * seed, _even(other_sizes(SCALES, seed))),
        mistakes=(
            Mistake(
                _with(Student, lambda self, maps: Student.forward(self, maps)[::-1]),
                "The maps come out coarse to fine. The teacher's go fine to coarse, and each is compared with its own: "
                "turn the list round.",
            ),
            Mistake(
                _with(Student, _decoded(lambda stage, x, t: (stage(x) + t,) * 2)),
                "The teacher's maps are added on the way. That is a way around the narrow place, and all that goes "
                "there is copied, defects included. Only the bottleneck sees the maps.",
            ),
            Mistake(
                _with(Student, _decoded(lambda stage, x, t: (F.relu(stage(x)),) * 2)),
                "There is a ReLU after each stage, so that no answer is ever negative. What a stage gives is the "
                "answer.",
            ),
            Mistake(
                _with(Student, _decoded(lambda stage, x, t: (y := stage(x), F.relu(y)))),
                "The next stage gets only the positive part of an answer. Hand on the answer itself.",
            ),
            Mistake(
                _with(Student, _decoded(lambda stage, x, t: (y := stage(x), y.detach()))),
                "The answers are right, but gradients stop between the stages: the bottleneck learns nothing from the "
                "finer scales. Hand on the answer as it is, without `detach` and outside of `no_grad`.",
            ),
        ),
    ),
    Exercise(
        name="A3.FrozenTeacher",
        answer=FrozenTeacher,
        probe=probes.frozen,
        cases=_of_teacher,
        hidden=lambda seed: _of_teacher(1000 + 100 * seed, other_sizes(IMAGES, seed)),
        mistakes=(
            Mistake(
                _thawed(stays=False),
                "It is in evaluation mode only until somebody calls `train` on the model that it is a part of. That "
                "call reaches every part: write a `train` of its own, after which the network is in evaluation mode.",
            ),
            Mistake(
                _thawed(at_first=False, stays=False),
                "The weights have no gradient, but the network is in training mode: its normalisation follows the "
                "batches, and dropout hides something. Put it into evaluation mode, and see that it stays there.",
            ),
            Mistake(
                _thawed(asks=True, gradient=True),
                "The network stays in evaluation mode, but its weights ask for a gradient, and the maps carry one. "
                "Switch it off for every parameter.",
            ),
            Mistake(
                _thawed(stays=False, asks=True, gradient=True),
                "The network can still learn: its weights ask for a gradient, and `train` puts it into training mode. "
                "Switch off both, for good.",
            ),
            Mistake(
                _thawed(asks=True),
                "What comes out has no gradient, but the weights still ask for one: whoever collects the parameters "
                "that learn would take them. Switch it off for every parameter as well.",
            ),
            Mistake(
                _thawed(at_first=False),
                "Before the first call of `train` the network is in whatever mode it came. Put it into evaluation mode "
                "in `__init__`, too.",
            ),
            Mistake(
                _thawed(gives_self=False),
                "`train` gives None. Like the `train` of every module it should give `self`, or `model = "
                "model.train()` loses the model.",
            ),
            Mistake(
                _thawed(at_first=False, stays=False, asks=True, gradient=True),
                "Nothing is frozen yet: the weights ask for a gradient, and the network is in training mode. Switch "
                "off both, for good.",
            ),
        ),
    ),
    Exercise(
        name="A3.ilm_step",
        answer=ilm_step,
        probe=probes.step,
        cases=_of_step,
        hidden=lambda seed: _of_step(1000 + 100 * seed, other_sizes(STEPS, seed)),
        mistakes=(
            Mistake(
                _stepped(target=1),
                "The target comes from the anomalous images: whoever copies is rewarded. It should be what the teacher "
                "says of the *normal* ones.",
            ),
            Mistake(
                _stepped(given=0),
                "The student is shown the normal images: that is `rd`. Show it the *anomalous* ones, and keep the "
                "target.",
            ),
            Mistake(
                _stepped(target=1, given=0),
                "Target and input are exchanged: that teaches to put defects in. The anomalous images are shown, the "
                "normal ones are asked for.",
            ),
            Mistake(
                _stepped(turned=True),
                "`loss` gets the student's answer first. It takes the target first, and the answer second.",
            ),
            Mistake(
                _stepped(zero=False),
                "Gradients from before are still there, and add up. Call `optimiser.zero_grad()` before `backward`.",
            ),
            Mistake(_stepped(go=False), "The weights have not moved. After `backward` comes `optimiser.step()`."),
            Mistake(
                _stepped(says="after"),
                "The loss is computed once more after the step. Return the one that the step was made with.",
            ),
            Mistake(
                _stepped(says="tensor"),
                "It returns a tensor, and with it all that its gradient needed: after a thousand steps the memory is "
                "full. Return a plain number, `.item()`.",
            ),
            Mistake(
                _stepped(train=False),
                "The student is left in evaluation mode, in which its normalisation does not look at the batch. The "
                "step begins with `student.train()`.",
            ),
            Mistake(
                _stepped(through=True),
                "The student learns as it should, but the gradient runs on into the teacher. Ask the teacher inside "
                "`with torch.no_grad():`.",
            ),
        ),
    ),
    Exercise(
        name="A3.GenerationModule",
        answer=GenerationModule,
        probe=probes.module,
        cases=_of_module,
        hidden=lambda seed: _of_module(1000 + 100 * seed, other_sizes(MODULES, seed)),
        mistakes=(
            Mistake(
                _with(GenerationModule, GenerationModule.forward, start=0.1),
                "At first it does not give back what it gets. Set weight *and* bias of `conv2` to zero in `__init__`: "
                "`nn.init.zeros_`.",
            ),
            Mistake(
                _with(GenerationModule, lambda self, x: self.conv2(F.relu(self.conv1(x)))),
                "What comes in is not added at the end. The convolutions say what to *change*: `x + ...`.",
            ),
            Mistake(
                _with(GenerationModule, lambda self, x: x + self.conv2(self.conv1(x))),
                "There is no ReLU between the two convolutions. Without it they are no more than one.",
            ),
            Mistake(
                _with(GenerationModule, lambda self, x: F.relu(x + self.conv2(F.relu(self.conv1(x))))),
                "There is a ReLU at the end. Features are negative about half of the time, and have to come out so.",
            ),
            Mistake(
                _with(GenerationModule, lambda self, x: x + F.relu(self.conv2(F.relu(self.conv1(x))))),
                "A ReLU follows `conv2`: the module could only add and never take away. One ReLU, between the two.",
            ),
            Mistake(
                _with(GenerationModule, lambda self, x: x + self.conv2(F.relu(x))),
                "`conv1` is made and never used.",
            ),
        ),
    ),
    Exercise(
        name="A3.flm",
        answer=flm,
        probe=probes.hidden_positions,
        cases=_of_flm,
        hidden=lambda seed: _of_flm(1000 + 100 * seed, other_sizes(MASKED, seed)),
        mistakes=(
            Mistake(
                _masked(lambda s, r, d: s * (r < d)),
                "It hides what should stay, and shows what should be hidden. A position is hidden where its number is "
                "*below* lambda.",
            ),
            Mistake(
                _masked(lambda s, r, d: s * (r > d)),
                "Nearly: a number that is just lambda stays visible. With lambda 0 nothing may be hidden: compare with "
                "*at least*.",
            ),
            Mistake(
                _masked(lambda s, r, d: s * (r >= d) / (1 - d)),
                "What stays visible is made larger, as dropout does. Here it stays as it is: multiply with 0 or 1.",
            ),
            Mistake(
                _masked(lambda s, r, d: s), "In training nothing is hidden: compare `random` with lambda, and multiply."
            ),
            Mistake(
                _masked(lambda s, r, d: s * (r[:1] >= d)),
                "All images of the batch get the first one's mask. Each has numbers of its own.",
            ),
            Mistake(
                _holes_at_the_end,
                "The holes are still there at the end: the module comes *after* the mask, or it restores nothing.",
            ),
            Mistake(
                _modules_in_training_only,
                "In evaluation the generation modules are left out. Only the masks are for training; the modules are a "
                "part of the network and always run.",
            ),
            Mistake(
                _paler,
                "In evaluation the maps are multiplied with 1 - lambda, as dropout was first published. Here nothing "
                "happens to a map before its module.",
            ),
            Mistake(
                lambda maps, generate, drop, *rest: flm(maps, generate, [drop[0]] * len(maps), *rest),
                "All scales have the first one's lambda. Go through `drop` together with `maps`.",
            ),
            Mistake(
                lambda maps, generate, drop, *rest: flm(maps, generate, drop[::-1], *rest),
                "The lambdas are taken in the wrong order: the first belongs to the first map.",
            ),
            Mistake(
                lambda maps, generate, drop, *rest: flm(maps, [nn.Identity()] * len(maps), drop, *rest),
                "The generation modules are never asked. They restore what is hidden.",
            ),
        ),
    ),
)
