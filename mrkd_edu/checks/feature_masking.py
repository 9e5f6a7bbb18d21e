"""Lesson 06: the random mask, the generation module, and both at every scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.checks.inputs import seeded
from mrkd_edu.flm import GenerationModule as OfThePaper
from mrkd_edu.flm import random_mask

CHANNELS, SIDES = (5, 4, 3), (24, 12, 6)  # of three scales
DROPS = (0.1, 0.4, 0.7)  # of these scales, far enough apart to be told from each other


class GenerationModule(OfThePaper):
    """x + conv3x3(relu(conv3x3(x))), which begins as the identity.

    Args:
        channels: of the feature map.
    """

    def __init__(self, channels: int):
        super().__init__(channels, residual=True)


def flm(
    maps: Sequence[Tensor],
    generate: Sequence[Callable[[Tensor], Tensor]],
    drop: Sequence[float],
    training: bool,
    generator: torch.Generator | None,
) -> list[Tensor]:
    r"""Hide random positions in training, and restore in any case: :math:`G_k(M_k \odot S_k)`.

    Args:
        maps: of the student, (B, C_k, h_k, w_k).
        generate: the generation module of each scale.
        drop: :math:`\lambda` of each scale.
        training: whether masks are drawn.
        generator: draws them.
    """
    if training:
        assert generator is not None
        masks = [random_mask(len(s), s.shape[2], s.shape[3], d, generator) for s, d in zip(maps, drop, strict=True)]
        maps = [s * m.to(s) for s, m in zip(maps, masks, strict=True)]
    return [g(s) for g, s in zip(generate, maps, strict=True)]


def _examine_mask(mine: Callable[..., Any]) -> str | None:
    mask = mine(8, 20, 30, 0.2, seeded(0))
    if not isinstance(mask, Tensor):
        return "The mask should be a tensor."
    if mask.shape != (8, 1, 20, 30):
        return (
            f"The mask has the shape {tuple(mask.shape)}; it should be (8, 1, 20, 30): one for each image, and one "
            "channel, so that all channels of a position are hidden together."
        )
    if not mask.is_floating_point():
        return f"The mask is {mask.dtype}; it is multiplied with features, so make it a float: `.float()`."
    values = set(mask.unique().tolist())
    if not values <= {0.0, 1.0}:
        return "The mask should be 0 or 1 at each position. Compare the random numbers with lambda."
    hidden = 1 - mask.mean().item()
    if abs(hidden - 0.8) < 0.05:
        return "It hides 80 % where it should hide 20 %: 0 is where a position is dropped. Turn the comparison round."
    if abs(hidden - 0.2) > 0.05:
        return f"With lambda 0.2 it hides {100 * hidden:.0f} % of the positions. It should be about 20 %."
    if mine(4, 9, 9, 0.0, seeded(1)).mean() != 1:
        return "With lambda 0 something is still hidden. Keep a position where the random number is *at least* lambda."
    if bool((mask == mask[:1]).all()):
        return "All images get the same mask. Draw one for each image of the batch."
    if bool((mask == mask[:, :, :1]).all()) or bool((mask == mask[:, :, :, :1]).all()):
        return "Whole rows or columns are hidden at once. Draw a number for each position."
    again, other = mine(8, 20, 30, 0.2, seeded(0)), mine(8, 20, 30, 0.2, seeded(5))
    if not torch.equal(mask, again) or torch.equal(mask, other):
        return (
            "The generator does not decide: with the same one the mask should be the same again, with another one "
            "another. Pass `generator=generator` to the function that draws."
        )
    one = seeded(3)
    if torch.equal(mine(2, 9, 9, 0.5, one), mine(2, 9, 9, 0.5, one)):
        return "Two calls with one generator give the same mask. Use the generator as it comes; do not seed it anew."
    return None


def _examine_module(mine: Callable[..., Any]) -> str | None:
    module = mine(6)
    if not isinstance(module, nn.Module):
        return "It should be a class that inherits from `nn.Module`."
    x = torch.randn(2, 6, 9, 11, generator=seeded(0))
    try:
        answer = module(x)
    except RuntimeError as error:
        if "must match the size" in str(error):
            return "The map gets smaller on its way: it should keep its shape. A 3x3 convolution needs `padding=1`."
        raise
    if answer is None:
        return "`forward` gives None. Is the `return` missing?"
    if answer.shape != x.shape:
        return f"A map of {tuple(x.shape)} becomes {tuple(answer.shape)}: it should keep its shape."
    learned = list(module.parameters())
    if not learned:
        return "It has nothing to learn: make the convolutions in `__init__` and keep them with `self. ... =`."
    if bool((answer == 0).all()):
        return "At first it gives zeros. Add what comes in: `x + ...`."
    if not torch.allclose(answer, x, atol=1e-6):
        return (
            "At first it should give back what it gets, the identity. Set weight and bias of the *last* convolution to "
            "zero: `nn.init.zeros_`."
        )
    for p in learned:  # away from zero, to see how it computes
        nn.init.normal_(p, std=0.2, generator=seeded(p.numel()))
    spot = torch.zeros(1, 6, 11, 11)
    spot[:, :, 5, 5] = 1
    with torch.no_grad():
        moved = (module(spot) - module(torch.zeros_like(spot))).abs().sum(1)[0] > 1e-6
    reach = int(moved.any(1).nonzero().max()) - 5
    if reach == 0:
        return "It looks at one position only, which is just what is missing where something is hidden. Use 3x3."
    if reach == 1:
        return "It sees 3x3 positions; two 3x3 convolutions after one another see 5x5. Is one of them missing?"
    if reach > 2:
        return f"It sees {2 * reach + 1} positions across. Two 3x3 convolutions see five."
    with torch.no_grad():
        straight = module(2 * x) - 2 * module(x) + module(torch.zeros_like(x))
        bent = straight.abs().max()
    if bent < 1e-4:
        return "Without a ReLU between them the two convolutions are no more than one. Put it between."
    module(x).sum().backward()
    if any(p.grad is None for p in learned):
        return "Some of its weights get no gradient: are all of the convolutions used in `forward`?"
    return None


class _Add(nn.Module):
    """Instead of a generation module: what goes through is changed in a way that can be told."""

    def __init__(self, what: float):
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> Tensor:
        return x + self.what


def _of_flm() -> dict[str, tuple[Any, ...]]:
    maps = [torch.randn(3, c, n, n, generator=seeded(n)) for c, n in zip(CHANNELS, SIDES, strict=True)]
    modules = [_Add(10.0 * (k + 1)) for k in range(3)]
    return {
        "three scales in evaluation": (maps, modules, DROPS, False, None),
        "one scale": (maps[:1], modules[:1], DROPS[:1], False, None),
        "one image": ([m[:1] for m in maps], modules, DROPS, False, None),
    }


def _examine_flm(mine: Callable[..., Any]) -> str | None:
    ones = [torch.ones(40, c, n, n) for c, n in zip(CHANNELS, SIDES, strict=True)]
    through = [nn.Identity() for _ in ones]
    before = [m.clone() for m in ones]
    out = mine(ones, through, DROPS, True, seeded(0))
    if any(not torch.equal(a, b) for a, b in zip(before, ones, strict=True)):
        return "It changes the maps it was given. Multiply into new ones: `s * mask`, not `s *= mask`."
    if len(out) != 3 or any(o.shape != m.shape for o, m in zip(out, ones, strict=True)):
        return "In training the maps come out in another number or shape. One map of the same shape for each scale."
    values = {round(v, 3) for o in out for v in o.unique().tolist()}
    if values <= {1.0}:
        return "In training nothing is hidden: draw a mask for each scale, and multiply."
    if not values <= {0.0, 1.0}:
        return (
            "What stays visible is made larger, as dropout does. Here it stays as it is: only multiply with the mask."
        )
    if any(not bool((o == o[:, :1]).all()) for o in out):
        return "Single channels are hidden. A position is hidden with all of its channels: the mask has one channel."
    hidden = [1 - o.mean().item() for o in out]
    if max(hidden) - min(hidden) < 0.1:
        return "All scales lose the same share. Each scale has its own lambda: go through `drop` together with `maps`."
    if all(abs(h - d) < 0.06 for h, d in zip(hidden, DROPS[::-1], strict=True)):
        return "The lambdas are taken in the wrong order: the first belongs to the first map."
    if any(abs(h - d) > 0.06 for h, d in zip(hidden, DROPS, strict=True)):
        said = ", ".join(f"{100 * h:.0f} %" for h in hidden)
        return f"With lambda 0.1, 0.4 and 0.7 the scales lose {said}. Drop each position with its scale's probability."
    if any(bool((o == o[:1]).all()) for o in out):
        return "All images of the batch get the same mask. Each gets its own."
    added = mine(ones, [_Add(5.0)] * 3, DROPS, True, seeded(0))
    if any(bool((o == 0).any()) for o in added):
        return "The holes are still there at the end: the module comes *after* the mask, or it restores nothing."
    one, other = (mine(ones, through, DROPS, True, seeded(7)) for _ in range(2))
    if not torch.equal(one[0], other[0]):
        return "The same generator should draw the same masks again. Hand it on to `random_mask`."
    return None


def _rescaled(maps: Any, generate: Any, drop: Any, training: bool, generator: Any) -> list[Tensor]:
    return [g((1 - d) * s) for g, s, d in zip(generate, maps, drop, strict=True)]


def _masks_on(maps: Any, generate: Any, drop: Any, training: bool, generator: Any) -> list[Tensor]:
    return flm(maps, generate, drop, True, generator or seeded(0))


EXERCISES = (
    Exercise(
        name="06.random_mask",
        answer=random_mask,
        examine=_examine_mask,
        examined=("shape", "the share that is hidden", "no two images alike", "the generator decides"),
    ),
    Exercise(
        name="06.GenerationModule",
        answer=GenerationModule,
        examine=_examine_module,
        examined=("shape", "the identity at first", "5x5 positions are seen", "the ReLU", "gradients"),
    ),
    Exercise(
        name="06.flm",
        answer=flm,
        cases=_of_flm,
        examine=_examine_flm,
        examined=("masks in training", "lambda of each scale", "restored after hiding"),
        mistakes=(
            Mistake(
                lambda maps, generate, drop, training, generator: list(maps),
                "In evaluation the generation modules are left out. Only the masks are for training; the modules are a "
                "part of the network and always run.",
            ),
            Mistake(
                _rescaled,
                "In evaluation the maps are multiplied with 1 - lambda, as dropout was first published. Here masks off "
                "means that nothing happens to the map.",
            ),
        ),
    ),
)
