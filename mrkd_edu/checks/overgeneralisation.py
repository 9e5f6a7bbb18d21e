"""Lesson 04: leakage, the map without copying, and a student that ignores its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.checks.inputs import SmallModel, noise, seeded
from mrkd_edu.distance import unit


def leakage(t_defect: Tensor, s_normal: Tensor, s_defect: Tensor, inside: Tensor) -> float:
    """How far the student goes from restoring a defect to copying it, at one scale.

    Args:
        t_defect: the teacher's features of the defective images, (B, C, h, w).
        s_normal, s_defect: the student's, of the normal and of the defective images, (B, C, h, w).
        inside: bool (B, h, w), the positions of the defects.

    Returns:
        0 where it restores, 1 where it copies.
    """
    t_defect, s_normal, s_defect = unit(t_defect), unit(s_normal), unit(s_defect)
    way, gone = t_defect - s_normal, s_defect - s_normal  # r and s, (B, C, h, w)
    return float((gone * way).sum(1)[inside].sum() / (way * way).sum(1)[inside].sum())


def without_copying(model: Any, normal: Tensor, defective: Tensor) -> Tensor:
    """Anomaly maps of defective images, had the student restored their normal twins.

    Args:
        model: with `see`, images to the teacher's maps; `restore`, these to the student's; `compare`, both to a map.
        normal, defective: images, (B, 3, S, S).

    Returns:
        Maps, (B, S, S).
    """
    found: Tensor = model.compare(model.see(defective), model.restore(model.see(normal)))
    return found


def ignoring_student(known: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """A student that ignores its input: at each place it answers with the mean feature of known normal images.

    Args:
        known: the teacher's maps of N normal images, one (N, C, h, w) a scale.
        given: its maps of the B images that are judged, one (B, C, h, w) a scale.

    Returns:
        One map (B, C, h, w) a scale, the same for each of the B images.
    """
    return [k.mean(0, keepdim=True).expand_as(g) for k, g in zip(known, given, strict=True)]


# ---- what they are tried on ----------------------------------------------------------------------------------


def _of_leakage() -> dict[str, tuple[Any, ...]]:
    def given(batch: int, channels: int, height: int, width: int, seed: int) -> tuple[Tensor, ...]:
        t, s, between = (noise(batch, channels, height, width, seed=10 * seed + j) for j in range(3))
        chance = seeded(seed)
        lengths = 1 + 3 * torch.rand(batch, 1, height, width, generator=chance)
        share = torch.linspace(0.1, 0.8, batch)[:, None, None]  # of places with a defect, and of what is copied there
        inside = torch.rand(batch, height, width, generator=chance) < share
        inside[:, 0, 0] = True
        return lengths * t, s / lengths, share[:, None] * lengths * t + s + 0.3 * between, inside

    t, s, moved, inside = given(2, 6, 4, 5, 3)
    one = torch.zeros(1, 3, 3, dtype=torch.bool)
    one[0, 1, 2] = True
    return {
        "a batch": given(4, 8, 6, 6, 0),
        "one image": given(1, 5, 7, 4, 1),
        "one position": (*given(1, 6, 3, 3, 2)[:3], one),
        "a student that nearly copies": (t, s, 5 * t + 0.2 * s, inside),
        "a student that restores": (t, s, 2 * s, inside),
        "half precision": (t.half(), s.half(), moved.half(), inside),
    }


def _images(batch: int, side: int, seed: int) -> Tensor:
    return noise(batch, 3, side, side, seed=seed)


def _of_the_counterfactual() -> dict[str, tuple[Any, ...]]:
    return {
        "a batch": (SmallModel(), _images(4, 8, 1), _images(4, 8, 2)),
        "one image": (SmallModel(), _images(1, 8, 3), _images(1, 8, 4)),
        "no defect": (SmallModel(), _images(2, 8, 5), _images(2, 8, 5)),
        "other images": (SmallModel(), _images(3, 12, 6), _images(3, 12, 7)),
    }


def _of_ignoring() -> dict[str, tuple[Any, ...]]:
    def maps(batch: int, seed: int) -> list[Tensor]:
        return [noise(batch, 6, 8, 8, seed=seed) + 2, noise(batch, 10, 4, 4, seed=seed + 1) - 1]

    return {
        "many known, few given": (maps(7, 0), maps(3, 2)),
        "few known, many given": (maps(2, 4), maps(5, 6)),
        "one given": (maps(4, 8), maps(1, 10)),
        "odd sizes": ([noise(5, 3, 7, 5, seed=12)], [noise(2, 3, 7, 5, seed=13)]),
    }


# ---- what goes wrong -----------------------------------------------------------------------------------------

Sums = Callable[[Tensor, Tensor, Tensor, Tensor], Any]


def _with(sums: Sums, scale: Callable[[Tensor], Tensor] = unit) -> Callable[..., Any]:
    """A leakage from `(r, s, inside, t_defect)`, for one way to bring features to unit length."""

    def answer(t_defect: Tensor, s: Tensor, s_defect: Tensor, inside: Tensor) -> Any:
        t_defect, s, s_defect = (scale(x.float()) for x in (t_defect, s, s_defect))
        return sums(t_defect - s, s_defect - s, inside, t_defect)

    return answer


def _share(r: Tensor, s: Tensor, inside: Tensor, _: Tensor) -> Tensor:
    return (s * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()


def _whole(r: Tensor, s: Tensor, inside: Tensor, _: Tensor) -> Tensor:
    return (s * r).sum() / (r * r).sum()


def _of_ratios(r: Tensor, s: Tensor, inside: Tensor, _: Tensor) -> Tensor:
    return ((s * r).sum(1) / (r * r).sum(1))[inside].mean()


def _of_images(r: Tensor, s: Tensor, inside: Tensor, _: Tensor) -> Tensor:
    """Mean over images of each image's share."""
    top, bottom = ((x.sum(1) * inside).sum((1, 2)) for x in (s * r, r * r))
    return (top / bottom).mean()


def _lengths(r: Tensor, s: Tensor, inside: Tensor, _: Tensor) -> Tensor:
    return s.norm(dim=1)[inside].sum() / r.norm(dim=1)[inside].sum()


def _squares(r: Tensor, s: Tensor, inside: Tensor, _: Tensor) -> Tensor:
    return (s * s).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()


def _left(r: Tensor, s: Tensor, inside: Tensor, t: Tensor) -> Tensor:
    return 1 - _share(r, s, inside, t)


def _numerator(r: Tensor, s: Tensor, inside: Tensor, _: Tensor) -> Tensor:
    return (s * r).sum(1)[inside].sum()


def _by_s(r: Tensor, s: Tensor, inside: Tensor, _: Tensor) -> Tensor:
    return (s * r).sum(1)[inside].sum() / (s * s).sum(1)[inside].sum()


def _turned(r: Tensor, s: Tensor, inside: Tensor, t: Tensor) -> Tensor:
    return -_share(r, s, inside, t)


def _wrong_way(t_defect: Tensor, s: Tensor, s_defect: Tensor, inside: Tensor) -> Tensor:
    """r from the student's answer to the defective image: T(x') - S(x')."""
    t_defect, s, s_defect = unit(t_defect), unit(s), unit(s_defect)
    r, gone = t_defect - s_defect, s_defect - s
    return (gone * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()


def _over_image(x: Tensor) -> Tensor:
    return x / x.flatten(1).norm(dim=1)[:, None, None, None]


def _along_width(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1)


def _angle(r: Tensor, s: Tensor, inside: Tensor, _: Tensor) -> Tensor:
    return torch.cosine_similarity(s, r, dim=1)[inside].mean()


def _raw(x: Tensor) -> Tensor:
    return x


def _after(t_defect: Tensor, s: Tensor, s_defect: Tensor, inside: Tensor) -> Tensor:
    """Unit length too late: of r and s instead of the features."""
    t_defect, s, s_defect = (x.float() for x in (t_defect, s, s_defect))
    return _share(unit(t_defect - s), unit(s_defect - s), inside, t_defect)


def _compared(model: Any, normal: Tensor, defective: Tensor) -> Any:
    return model.compare(model.see(defective), model.restore(model.see(defective)))


def _of_normal(model: Any, normal: Tensor, defective: Tensor) -> Any:
    return model.compare(model.see(normal), model.restore(model.see(normal)))


def _swapped(model: Any, normal: Tensor, defective: Tensor) -> Any:
    return model.compare(model.see(normal), model.restore(model.see(defective)))


def _sides(model: Any, normal: Tensor, defective: Tensor) -> Any:
    return model.compare(model.restore(model.see(normal)), model.see(defective))


def _teachers(model: Any, normal: Tensor, defective: Tensor) -> Any:
    return model.compare(model.see(defective), model.see(normal))


def _students(model: Any, normal: Tensor, defective: Tensor) -> Any:
    return model.compare(model.restore(model.see(defective)), model.restore(model.see(normal)))


def _difference(model: Any, normal: Tensor, defective: Tensor) -> Any:
    return without_copying(model, normal, defective) - _compared(model, normal, defective)


def _each(one: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., list[Tensor]]:
    """The answer at every scale from one function of `(known, given)`."""
    return lambda known, given: [one(k, g) for k, g in zip(known, given, strict=True)]


def _examine_ignoring(mine: Callable[..., Any]) -> str | None:
    known = [noise(4, 3, 5, 5, seed=1)]
    one, other = (mine(known, [noise(2, 3, 5, 5, seed=seed)]) for seed in (2, 3))
    if not torch.allclose(one[0].float(), other[0].float()):
        return "It answers two images differently. Only `known` may decide the answer; `given` says how many there are."
    return None


EXERCISES = (
    Exercise(
        name="04.leakage",
        answer=leakage,
        cases=_of_leakage,
        tolerance=3e-3,
        mistakes=(
            Mistake(
                _with(_share, _raw),
                "That is the share of features as they are. Their lengths differ from place to place and from image "
                "to image: bring each position's vector to unit length first, all three maps.",
            ),
            Mistake(
                _with(_share, _over_image),
                "That brings a whole image to unit length. Every position has a vector of its own, along the "
                "channels: dimension 1.",
            ),
            Mistake(
                _with(_share, _along_width),
                "That brings rows of the picture to unit length. The vector of a position runs along the channels: "
                "dimension 1 of (B, C, h, w).",
            ),
            Mistake(
                _with(_angle),
                "That is the cosine of the angle between r and s, and it does not see how far the student went along "
                "r. Leakage has no length of s in the denominator.",
            ),
            Mistake(
                _after,
                "Unit length comes before the differences, not after: r and s are allowed to be long or short. That "
                "they are tells how much was copied.",
            ),
            Mistake(
                _with(_whole),
                "That sums over the whole map. Leakage asks about the defect: keep the positions `inside`.",
            ),
            Mistake(
                _with(_of_ratios),
                "That is a mean of ratios, one a position. A position that hardly has an alarm then counts as much as "
                "the middle of the defect. First both sums, then one division.",
            ),
            Mistake(
                _with(_of_images),
                "That is a mean of the images' shares. First the sums over the positions of all images, then one "
                "division.",
            ),
            Mistake(
                _with(_lengths),
                "That compares the lengths of s and r. Who moves sideways has gone far, too, and has copied nothing: "
                "it is the part of s *along* r that counts, and this is what the product of the two gives.",
            ),
            Mistake(
                _with(_squares),
                "The numerator is s times s. It should be s times r: how far along r the student has come. (Exercise 2 "
                "asks for this number.)",
            ),
            Mistake(
                _with(_by_s),
                "The denominator is s times s. The whole way is r: divide by r times r.",
            ),
            Mistake(
                _with(_numerator),
                "That is the numerator alone. Divide by the sum of r times r, the whole way.",
            ),
            Mistake(
                _with(_left),
                "That is what is left, 1 for a student that restores. Leakage is the part that was copied.",
            ),
            Mistake(
                _with(_turned),
                "The sign is wrong: a student that copies has leakage 1. Look at the order in which you subtract; "
                "r and s both start from S(x).",
            ),
            Mistake(
                _wrong_way,
                "Your r starts from S(x'), what the student says of the defective image. That is only what is left of "
                "the way. The whole way starts from S(x).",
            ),
        ),
    ),
    Exercise(
        name="04.without_copying",
        answer=without_copying,
        cases=_of_the_counterfactual,
        mistakes=(
            Mistake(
                _compared,
                "That is the map as it is: the student was told of the defect. Give it the features of the normal "
                "image.",
            ),
            Mistake(
                _of_normal,
                "That is the map of the normal image, without any defect. What the teacher says of the defective "
                "image belongs on the other side.",
            ),
            Mistake(
                _swapped,
                "The two images are exchanged: the teacher should see the defective one, the student be told of the "
                "normal one.",
            ),
            Mistake(_sides, "`compare` takes the teacher's maps first, and the student's second."),
            Mistake(
                _teachers,
                "That compares the teacher with itself: no student is in it. Send the features of the normal image "
                "through `restore`.",
            ),
            Mistake(
                _students,
                "Both sides went through the student. One side is what the teacher says of the defective image.",
            ),
            Mistake(
                _difference,
                "That is what copying takes away from the map. The map itself is asked for; do not subtract.",
            ),
        ),
    ),
    Exercise(
        name="04.ignoring_student",
        answer=ignoring_student,
        cases=_of_ignoring,
        examine=_examine_ignoring,
        examined=("that the input does not matter",),
        mistakes=(
            Mistake(
                _each(lambda k, g: k.mean((0, 2, 3), keepdim=True).expand_as(g)),
                "That is one vector for the whole map. It should be the mean feature *of each place*: a mean over the "
                "images only, dimension 0.",
            ),
            Mistake(
                _each(lambda k, g: k.mean((2, 3), keepdim=True).mean(0, keepdim=True).expand_as(g)),
                "That is one vector for the whole map. It should be the mean feature *of each place*: a mean over the "
                "images only, dimension 0.",
            ),
            Mistake(
                _each(lambda k, g: k.mean(1, keepdim=True).mean(0, keepdim=True).expand_as(g)),
                "That is a mean over the channels as well. A feature stays a vector: take the mean over dimension 0 "
                "only.",
            ),
            Mistake(
                _each(lambda k, g: k.mean(0)),
                "That is one answer, without the dimension of the batch. It is asked for each given image: the same "
                "map, once for each of the B images.",
            ),
            Mistake(
                _each(lambda k, g: k.mean(0, keepdim=True)),
                "That is one answer, (1, C, h, w). It is asked for each given image: the same map B times.",
            ),
            Mistake(
                _each(lambda k, g: k.mean(0, keepdim=True).expand_as(k)),
                "That has as many answers as there are known images. There should be one for each *given* image.",
            ),
            Mistake(
                _each(lambda k, g: g.mean(0, keepdim=True).expand_as(g)),
                "That is the mean of the given images, defects included. Only the known normal images may be asked.",
            ),
            Mistake(
                lambda known, given: list(given),
                "That gives the input back: this is the copycat, the other end of the axis.",
            ),
            Mistake(
                _each(lambda k, g: k[:1].expand_as(g)),
                "That is the first normal image. It should be the mean of all of them.",
            ),
            Mistake(
                _each(lambda k, g: k.sum(0, keepdim=True).expand_as(g)),
                "That is a sum; the mean of N images is N times smaller.",
            ),
        ),
    ),
)
