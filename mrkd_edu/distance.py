r"""How far the student is from the teacher: the loss, the anomaly map and the image's score.

Everything rests on the cosine distance of two feature vectors at one position,

.. math:: d(t, s) = 1 - \frac{\langle t, s \rangle}{\lVert t \rVert \, \lVert s \rVert} \in [0, 2],

0 where student and teacher agree, large where they do not: there is the defect.

Direction is all that it looks at. Where features are standardised (`standardise.py`), a short vector means "as usual",
and its direction is noise. A *floor* damps it: :math:`d = \frac{\lVert t \rVert \lVert s \rVert - \langle t, s
\rangle}{\lVert t \rVert \lVert s \rVert + \varepsilon C}`, with :math:`C` the number of channels, which is the
mean squared length of a standardised feature. :math:`\varepsilon = 0` is the cosine distance. The price: where a
student restores "as usual", its vector is short too, and part of the alarm is damped with the noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

LossForm = Literal["flattened", "per_pixel"]


def cosine_distance(teacher: Tensor, student: Tensor, floor: float = 0.0) -> Tensor:
    r"""Distance at every position of one scale: (B, C, h, w) twice to (B, h, w).

    Args:
        teacher, student: one map each.
        floor: :math:`\varepsilon`, how strongly short vectors are damped; 0 is the papers' cosine distance.

    Example:
        >>> t = torch.tensor([[1.0, 0.0]]).view(1, 2, 1, 1)
        >>> s = torch.tensor([[0.0, 3.0]]).view(1, 2, 1, 1)
        >>> cosine_distance(t, s).item(), cosine_distance(t, 5 * t).item()
        (1.0, 0.0)
        >>> cosine_distance(t, s, floor=1.5).item()  # lengths 1 and 3: 3 / (3 + 1.5 * 2)
        0.5
    """
    t, s = teacher.float(), student.float()
    if floor == 0:
        return 1 - F.cosine_similarity(t, s, dim=1)  # (B, h, w)
    lengths = t.norm(dim=1) * s.norm(dim=1)  # (B, h, w)
    return (lengths - (t * s).sum(1)) / (lengths + floor * t.shape[1])


def distillation_loss(teacher: list[Tensor], student: list[Tensor], form: LossForm = "flattened") -> Tensor:
    r"""The loss that the student minimises, summed over the scales.

    - `"flattened"`: one cosine over the whole map of a scale, as the published code of RD4AD and MRKD does:
      :math:`\sum_k \operatorname{mean}_B \bigl(1 - \cos(\operatorname{vec} T_k, \operatorname{vec} S_k)\bigr)`.
      Positions with long feature vectors count more.
    - `"per_pixel"`: the mean of the distances at the positions, as RD4AD's formula reads. Every position counts
      the same, however long its vector.

    Args:
        teacher, student: one map a scale each, (B, C_k, h_k, w_k).
        form: which of the two.

    Returns:
        A scalar in [0, 2 x number of scales].

    Example:
        >>> maps = [torch.ones(2, 8, 4, 4)]
        >>> [round(distillation_loss(maps, [sign * maps[0]]).item(), 4) for sign in (1, -1)]
        [0.0, 2.0]
    """
    total = torch.zeros((), device=teacher[0].device)
    for t, s in zip(teacher, student, strict=True):
        if form == "flattened":
            d = 1 - F.cosine_similarity(t.float().flatten(1), s.float().flatten(1), dim=1)  # (B,)
        else:
            d = cosine_distance(t, s)  # (B, h, w)
        total = total + d.mean()
    return total


def gaussian_blur(maps: Tensor, sigma: float) -> Tensor:
    """Smooth maps (B, H, W) with a Gaussian of `sigma` pixels: two fixed one-dimensional convolutions.

    The kernel ends at 3 sigma. Mirrored edges keep a constant map constant.

    Example:
        >>> torch.allclose(gaussian_blur(torch.ones(1, 9, 9), 2.0), torch.ones(1, 9, 9))
        True
    """
    radius = max(1, math.ceil(4 * sigma))
    x = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()  # (2 r + 1,)
    height, width = (_mirror(n, radius).to(maps.device) for n in maps.shape[-2:])
    y = maps[:, height][:, :, width]  # (B, H + 2 r, W + 2 r)
    y = F.conv2d(F.conv2d(y[:, None], kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return y[:, 0]  # (B, H, W)


def _mirror(n: int, radius: int) -> Tensor:
    """Indices of n places with `radius` more on either side, mirrored: 2 1 [0 1 2] 1 0."""
    period = max(1, 2 * (n - 1))
    index = torch.arange(-radius, n + radius).abs() % period
    return torch.minimum(index, period - index)


def enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (B, C, h, w) to (B, C, *size), bilinear, with pixel centres in place.

    Example:
        >>> enlarge(torch.tensor([[[[0.0, 1.0]]]]), (1, 4)).flatten().tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def anomaly_map(
    teacher: list[Tensor],
    student: list[Tensor],
    size: tuple[int, int],
    *,
    weights: Sequence[float] | None = None,
    floor: float = 0.0,
    sigma: float = 4.0,
) -> Tensor:
    r"""Where teacher and student disagree, at the size of the image.

    :math:`A = \mathcal{G}_\sigma * \sum_k w_k \operatorname{up}(d(T_k, S_k))`, with bilinear upsampling.

    Args:
        teacher, student: one map a scale each, (B, C_k, h_k, w_k).
        size: height and width of the result, pixels.
        weights: :math:`w_k` of the scales, see `scales.py`. None: all 1, as in the papers.
        floor: see `cosine_distance`.
        sigma: of the Gaussian smoothing, pixels; 0 switches it off. 4 at 256 pixels in the papers.

    Returns:
        Maps (B, H, W), higher where more anomalous, from 0 to twice the sum of the weights.

    Example:
        >>> t = [torch.rand(1, 8, n, n) for n in (16, 8)]
        >>> anomaly_map(t, t, (64, 64)).shape
        torch.Size([1, 64, 64])
    """
    weights = weights or [1.0] * len(teacher)
    scales = [
        w * enlarge(cosine_distance(t, s, floor)[:, None], size)[:, 0]
        for w, t, s in zip(weights, teacher, student, strict=True)
        if w  # a scale that does not count costs nothing
    ]  # K maps (B, H, W)
    maps = torch.stack(scales).sum(0)  # (B, H, W)
    return gaussian_blur(maps, sigma) if sigma > 0 else maps


def image_score(maps: Tensor) -> Tensor:
    """One number an image: the maximum of its anomaly map. (B, H, W) to (B,).

    Example:
        >>> image_score(torch.tensor([[[0.1, 0.9], [0.2, 0.3]]])).item() == torch.tensor(0.9).item()
        True
    """
    return maps.flatten(1).amax(1)
