"""Numbers of lessons 02 and 03: which channels are loud, and which positions weigh most in the loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mrkd_edu.figures.features import as_vectors


def length_share(maps: Tensor) -> np.ndarray:
    r"""How much of a map's squared length lies at each position: its say in the flattened cosine.

    Args:
        maps: (C, h, w) or (N, C, h, w).

    Returns:
        float (h, w) or (N, h, w): :math:`\lVert t_p \rVert^2 / \sum_q \lVert t_q \rVert^2`, which sums to 1 over
        the positions of an image.

    Example:
        >>> length_share(torch.tensor([[[1.0, 3.0]]])).tolist()
        [[0.1..., 0.8...]]
    """
    squared = maps.detach().float().cpu().square().sum(-3)  # (..., h, w)
    return (squared / squared.sum((-2, -1), keepdim=True)).numpy()


def say_of_heaviest(shares: np.ndarray, part: float = 0.1) -> float:
    """What the heaviest positions of a map have together.

    Args:
        shares: of the positions, sum 1, as `length_share` gives them for one image.
        part: how many positions count as heavy, as a share of all; in between two numbers it is interpolated.

    Example:
        >>> round(say_of_heaviest(np.array([0.7, 0.1, 0.1, 0.1]), part=0.5), 3)
        0.8
    """
    together = np.concatenate([[0.0], np.cumsum(np.sort(shares.ravel())[::-1])])  # of the n heaviest, n = 0, 1, ...
    return float(np.interp(part * shares.size, np.arange(len(together)), together))


def channel_shares(maps: Tensor) -> np.ndarray:
    """How much of all squared length lies in each channel, the largest first.

    Args:
        maps: (C, h, w) or (N, C, h, w).

    Returns:
        float (C,), descending, sum 1. With equal channels each has 1 / C.

    Example:
        >>> channel_shares(torch.tensor([1.0, 2.0]).view(2, 1, 1)).tolist()
        [0.8..., 0.2...]
    """
    squared = as_vectors(maps).square().sum(0)  # (C,)
    return (squared / squared.sum()).sort(descending=True).values.numpy()


def mean_share(maps: Tensor) -> float:
    """Share of all squared length that is the same at every position: that of the mean feature.

    Args:
        maps: (C, h, w) or (N, C, h, w).

    Example:
        >>> mean_share(torch.ones(4, 8, 8)), mean_share(torch.tensor([[[1.0, -1.0]]]))
        (1.0, 0.0)
    """
    vectors = as_vectors(maps)
    return float(vectors.mean(0).square().sum() / vectors.square().sum(1).mean())


def pca_share(maps: Tensor, components: int = 3) -> float:
    """Share of the features' variance that lies in the directions shown by `figures.features.pca_colours`.

    Args:
        maps: as there.
        components: how many directions.

    Example:
        >>> round(pca_share(torch.randn(3, 16, 16)), 3)
        1.0
    """
    vectors = as_vectors(maps)
    values = torch.linalg.eigvalsh((vectors - vectors.mean(0)).T @ (vectors - vectors.mean(0)))  # ascending
    return float(values[-components:].sum() / values.sum())
