"""What exercises of several lessons are tried on: seeded numbers, and a model small enough to be checked in no time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

VISIBLE = -1  # the seed of the inputs that everybody sees; hidden ones have seeds from 0 on

def seeded(seed: int) -> torch.Generator:
    """A generator of its own, so that a check draws the same numbers every time."""
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers of this shape.

    Example:
        >>> torch.equal(noise(2, 3), noise(2, 3)), torch.equal(noise(2, 3), noise(2, 3, seed=1))
        (True, False)
    """
    return torch.randn(*shape, generator=seeded(seed))


def drawing(seed: int) -> np.random.Generator:
    """numpy's generator for inputs of an assignment, visible or hidden."""
    return np.random.default_rng(seed - VISIBLE)


def different_sizes(rng: np.random.Generator, low: int, high: int, number: int) -> list[int]:
    """Different numbers in [low, high), so that sides and axes are never mixed up unseen."""
    return [int(n) for n in rng.permutation(np.arange(low, high))[:number]]


def other_sizes(
    sizes: Mapping[str, tuple[int, ...]], seed: int, keep: Sequence[int] = ()
) -> dict[str, tuple[int, ...]]:
    """Other sizes of the same kinds. What is 1 or 0 stays so, and what stands at the places `keep`."""
    rng = np.random.default_rng(seed)
    return {
        what: tuple(n if n < 2 or i in keep else n + int(rng.integers(1, 4)) for i, n in enumerate(each))
        for what, each in sizes.items()
    }


def fine_to_coarse(batch: int, h: int, w: int, channels: Sequence[int], seed: int) -> list[Tensor]:
    """Maps of several scales, the coarsest (h, w), each twice as large as the next."""
    last = len(channels) - 1
    return [noise(batch, c, h << (last - k), w << (last - k), seed=seed + k) for k, c in enumerate(channels)]


class SmallModel(nn.Module):
    """A teacher and a student that differ, two scales of 6 channels, with the methods of a model that lessons name.

    Example:
        >>> [tuple(t.shape) for t in SmallModel().see(noise(2, 3, 8, 8))]
        [(2, 6, 8, 8), (2, 6, 4, 4)]
    """

    def __init__(self) -> None:
        super().__init__()
        self.eye = nn.Parameter(noise(6, 3, 1, 1, seed=0))
        self.hand = nn.Parameter(noise(6, 6, 1, 1, seed=1))

    def see(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, S, S) to the teacher's maps, (B, 6, S, S) and (B, 6, S / 2, S / 2)."""
        if not isinstance(images, Tensor):
            raise TypeError("`see` takes images (B, 3, S, S), no lists of maps")
        t = nn.functional.conv2d(images.float(), self.eye)
        return [t, nn.functional.avg_pool2d(t, 2)]

    def restore(self, maps: list[Tensor]) -> list[Tensor]:
        """The teacher's maps to the student's."""
        if isinstance(maps, Tensor):
            raise TypeError("`restore` takes the teacher's maps, a list; send the images through `see` first")
        return [nn.functional.conv2d(t, self.hand) for t in maps]

    def features(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Images (B, 3, S, S) to the maps of both."""
        maps = self.see(images)
        return maps, self.restore(maps)

    def compare(self, teacher: list[Tensor], student: list[Tensor]) -> Tensor:
        """Maps of both sides to an anomaly map (B, S, S) that notices when scales or sides are exchanged."""
        maps = [1 - torch.cosine_similarity(t, s, dim=1) for t, s in zip(teacher, student, strict=True)]
        # the second scale weighs twice, and the teacher's side counts
        louder = [m * (1 + t.abs().mean(1)) for m, t in zip(maps, teacher, strict=True)]
        return louder[0] + 2 * nn.functional.interpolate(louder[1][:, None], teacher[0].shape[-2:])[:, 0]
