"""Lesson 10: what a student leaves unexplained, and how far that is in units of what is usual."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mrkd_edu.checks.exercise import Cases, Exercise, Mistake
from mrkd_edu.checks.inputs import noise
from mrkd_edu.distance import match_length


def residual(t: Tensor, s: Tensor) -> Tensor:
    """What is left of the teacher's map when the student's, at its best length, is taken off: (B, C, h, w) twice."""
    return t - match_length(t, s)


def far(r: Tensor, mu: Tensor, sigma: Tensor, gamma: float) -> Tensor:
    """Mahalanobis' distance of residuals (..., C) from what is usual: mean (C,) and covariance (C, C), to (...)."""
    centred = r - mu
    solved = centred @ torch.linalg.inv(_shrunk(sigma, gamma))
    return (solved * centred).sum(-1).div(len(mu)).sqrt()


def _shrunk(sigma: Tensor, gamma: float) -> Tensor:
    return (1 - gamma) * sigma + gamma * sigma.diagonal().mean() * torch.eye(len(sigma), dtype=sigma.dtype)


# --- inputs ---------------------------------------------------------------------------------------------------


def _pair(*shape: int) -> tuple[Tensor, Tensor]:
    """A teacher's map, and a student's that is like it in part: too short, and by another factor in each image."""
    t = noise(*shape)
    factor = torch.linspace(0.3, 0.8, shape[0]).view(-1, 1, 1, 1)
    return t, factor * (t + 0.7 * noise(*shape, seed=1))


def _of_residuals() -> Cases:
    t, s = _pair(3, 5, 4, 6)
    turned = s.clone()
    turned[0] *= -1  # the first image: worse than saying nothing
    silent = s.clone()
    silent[1] = 0.0
    return {
        "three images": (t, s),
        "one image of odd sizes": _pair(1, 4, 5, 3),
        "a student that answers 76 times as long": (t, 76 * s),
        "a student that says the opposite": (t, turned),
        "half precision": (t.half(), s.half()),
        "a student that says nothing": (t, silent),
    }


def _usual(channels: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance of channels that vary together, (C,) and (C, C), in double precision."""
    mixed = noise(channels, channels, seed=2).double() + torch.eye(channels, dtype=torch.float64)
    mean = noise(channels, seed=3).double() + 1
    return mean, mixed @ mixed.mT + 0.3 * torch.eye(channels, dtype=torch.float64)


def _of_distances() -> Cases:
    def residuals(*shape: int) -> Tensor:
        return 2 * noise(*shape).double() + 1

    (mean, covariance), (short_mean, short) = _usual(5), _usual(3)
    return {
        "maps of two images": (residuals(2, 3, 4, 5), mean, covariance, 0.3),
        "seven positions": (residuals(7, 3), short_mean, short, 0.1),
        "one position": (residuals(5), mean, covariance, 0.3),
        "no shrinkage": (residuals(6, 5), mean, covariance, 0.0),
        "much shrinkage": (residuals(6, 5), mean, covariance, 0.9),
        "large units": (50 * residuals(6, 5), 50 * mean, 2500 * covariance, 0.3),
        "exactly the mean": (mean.expand(2, 5).clone(), mean, covariance, 0.3),
    }


# --- typical mistakes ---------------------------------------------------------------------------------------------

Factor = Callable[[Tensor, Tensor], Tensor]  # numerator and denominator to a factor
IMAGE = (1, 2, 3)


def _fits(top: Tensor, below: Tensor, guarded: bool, clamped: bool) -> Tensor:
    a = top / (below.clamp_min(1e-12) if guarded else below)
    return a.clamp_min(0) if clamped else a


def _residuals(says: str, make: Callable[[Tensor, Tensor, Factor], Tensor]) -> Iterator[Mistake]:
    """One mistake, with a division by 0 and without, with a factor below 0 and without."""
    for guarded in (True, False):
        for clamped in (True, False):

            def answer(t: Tensor, s: Tensor, guarded: bool = guarded, clamped: bool = clamped) -> Tensor:
                return make(t.float(), s.float(), lambda top, below: _fits(top, below, guarded, clamped))

            yield Mistake(answer, says)


def _right_but(guarded: bool, clamped: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """The residual, but for a division by 0 or a factor below 0."""
    return lambda t, s: _best(IMAGE)(t.float(), s.float(), lambda top, below: _fits(top, below, guarded, clamped))


def _best(axes: tuple[int, ...]) -> Callable[[Tensor, Tensor, Factor], Tensor]:
    """The residual with a factor for each of what is left when these axes are summed over."""
    return lambda t, s, fit: t - fit((t * s).sum(axes, keepdim=True), (s * s).sum(axes, keepdim=True)) * s


def _length(x: Tensor) -> Tensor:
    return x.square().sum(IMAGE, keepdim=True).sqrt()


def _by_length(t: Tensor, s: Tensor, fit: Factor) -> Tensor:
    return t - fit(_length(t), _length(s)) * s


def _by_cosine(t: Tensor, s: Tensor, fit: Factor) -> Tensor:
    return t - fit((t * s).sum(IMAGE, keepdim=True), _length(t) * _length(s)) * s


def _over_teacher(t: Tensor, s: Tensor, fit: Factor) -> Tensor:
    return t - fit((t * s).sum(IMAGE, keepdim=True), (t * t).sum(IMAGE, keepdim=True)) * s


def _root_below(t: Tensor, s: Tensor, fit: Factor) -> Tensor:
    return t - fit((t * s).sum(IMAGE, keepdim=True), _length(s)) * s


def _only_matched(t: Tensor, s: Tensor, fit: Factor) -> Tensor:
    return t - _best(IMAGE)(t, s, fit)


def _other_way_round(t: Tensor, s: Tensor, fit: Factor) -> Tensor:
    return -_best(IMAGE)(t, s, fit)


def _through(prepare: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    """`far` with another matrix to invert."""

    def answer(r: Tensor, mu: Tensor, sigma: Tensor, gamma: float) -> Tensor:
        centred = r - mu
        return ((centred @ torch.linalg.inv(prepare(sigma, gamma))) * centred).sum(-1).div(len(mu)).sqrt()

    return answer


def _not_inverted(r: Tensor, mu: Tensor, sigma: Tensor, gamma: float) -> Tensor:
    centred = r - mu
    return ((centred @ _shrunk(sigma, gamma)) * centred).sum(-1).div(len(mu)).sqrt()


def _mixed_with(sigma: Tensor, gamma: float, other: Tensor | float) -> Tensor:
    return (1 - gamma) * sigma + gamma * other


EXERCISES = (
    Exercise(
        name="10.residual",
        answer=residual,
        cases=_of_residuals,
        mistakes=(
            Mistake(
                lambda t, s: t - s,
                "The student's length is still in it: 76 times as long an answer leaves another residual. Bring it to "
                "the teacher's length before you subtract.",
            ),
            *_residuals(
                "The factor is common to the whole batch. Each image has its own: sum over channels, height and width, "
                "and leave axis 0.",
                _best((0, 1, 2, 3)),
            ),
            *_residuals(
                "Every position has a factor of its own. Then a student may be long here and short there, and that is "
                "forgiven. One factor an image: sum over height and width, too.",
                _best((1,)),
            ),
            *_residuals(
                "Every channel has a factor of its own. One factor an image: sum over the channels, too.", _best((2, 3))
            ),
            *_residuals(
                "Both are equally long now, but that is not the length which leaves least: a student that points "
                "elsewhere should be taken off less. The formula has the product of both above.",
                _by_length,
            ),
            *_residuals(
                "The factor is the cosine. It lies between -1 and 1 and knows nothing of the lengths: below the line "
                "stands the square of the student's length, without the teacher's.",
                _by_cosine,
            ),
            *_residuals(
                "Below the line stands the teacher's length. It is the student that is to be stretched: divide by the "
                "square of the student's.",
                _over_teacher,
            ),
            *_residuals("Below the line stands the length of the student; it should be its square.", _root_below),
            *_residuals(
                "That is the student at the right length. The residual is what the teacher has beyond it: subtract.",
                _only_matched,
            ),
            *_residuals("The sign: the residual is teacher minus student.", _other_way_round),
            Mistake(
                _right_but(guarded=True, clamped=False),
                "A student that says the opposite gets a factor below 0, and is turned round into a good one. Do not "
                "let the factor fall below 0.",
            ),
            Mistake(
                _right_but(guarded=False, clamped=True),
                "A student that says nothing, all zeros, makes this 0 / 0, which is NaN. See that you never divide by "
                "0.",
            ),
            Mistake(
                _right_but(guarded=False, clamped=False),
                "The factor can fall below 0, and it can be 0 / 0. Neither should happen.",
            ),
        ),
    ),
    Exercise(
        name="10.far",
        answer=far,
        cases=_of_distances,
        mistakes=(
            Mistake(
                lambda r, mu, sigma, gamma: far(r + mu, mu, sigma, gamma),
                "What is usual is not taken off: a residual that is exactly the mean should be at the distance 0.",
            ),
            Mistake(
                _not_inverted,
                "The covariance multiplies, so that loud directions count more. It should divide: use its inverse.",
            ),
            Mistake(
                _through(lambda sigma, gamma: _shrunk(sigma, gamma).diagonal().diag()),
                "Only the variances of the channels are used. Channels vary together; invert the whole matrix, not "
                "its diagonal.",
            ),
            Mistake(
                lambda r, mu, sigma, gamma: far(r, mu, sigma, gamma) * len(mu) ** 0.5,
                "The number of channels is missing: without it the usual distance grows with C instead of being "
                "about 1.",
            ),
            Mistake(
                lambda r, mu, sigma, gamma: far(r, mu, sigma, gamma) / len(mu) ** 0.5,
                "The number of channels stands outside the root. It belongs inside.",
            ),
            Mistake(
                lambda r, mu, sigma, gamma: far(r, mu, sigma, gamma).square(),
                "That is the square of the distance: take the root.",
            ),
            Mistake(
                _through(lambda sigma, gamma: sigma),
                "Right without shrinkage. `gamma` is not used: mix the covariance with the one that is the same in all "
                "directions before you invert it.",
            ),
            Mistake(
                _through(lambda sigma, gamma: _shrunk(sigma, 1 - gamma)),
                "`gamma` stands at the wrong end: 0 should leave the covariance as it is.",
            ),
            Mistake(
                _through(lambda sigma, gamma: _mixed_with(sigma, gamma, torch.eye(len(sigma), dtype=sigma.dtype))),
                "The mean variance is missing before the identity. In large units the 1 of the identity would be "
                "nothing.",
            ),
            Mistake(
                _through(lambda sigma, gamma: sigma + gamma * sigma.diagonal().mean() * torch.eye(len(sigma))),
                "Something is added, and nothing taken away: the estimate itself gets the weight 1 - gamma.",
            ),
            Mistake(
                _through(lambda sigma, gamma: _mixed_with(sigma, gamma, sigma.diagonal().mean())),
                "The mean variance was added to every entry of the matrix. It belongs on the diagonal only.",
            ),
            Mistake(
                _through(lambda sigma, gamma: _mixed_with(sigma, gamma, sigma.mean() * torch.eye(len(sigma)))),
                "That is the mean of all entries of the covariance. The variances stand on its diagonal: take their "
                "mean.",
            ),
            Mistake(
                _through(lambda sigma, gamma: _mixed_with(sigma, gamma, sigma.trace() * torch.eye(len(sigma)))),
                "That is the sum of the variances. The formula has their mean.",
            ),
            Mistake(
                _through(lambda sigma, gamma: _mixed_with(sigma, gamma, sigma.diagonal().diag())),
                "Each channel keeps its own variance on the diagonal. Shrinking goes towards a covariance that is the "
                "same in all directions: the mean variance everywhere.",
            ),
        ),
    ),
)
