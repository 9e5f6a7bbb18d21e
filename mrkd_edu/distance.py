r"""How far the student is from the teacher: the loss, the anomaly map and the image's score.

Everything rests on the cosine distance of two feature vectors at one position,

.. math:: d(t, s) = 1 - \frac{\langle t, s \rangle}{\lVert t \rVert \, \lVert s \rVert} \in [0, 2],

0 where student and teacher agree, large where they do not: there is the defect.

Direction is all that it looks at. Where features are standardised (`standardise.py`), a short vector of the teacher
means "as usual", and its direction is noise. A *floor* damps it:

.. math:: d(t, s) = (1 - \cos(t, s)) \, \frac{\lVert t \rVert^2}{\lVert t \rVert^2 + \varepsilon C},

with :math:`C` the number of channels, which is the mean squared length of a standardised feature.
:math:`\varepsilon = 0` is the cosine distance.

**The student's length must not count.** The loss fixes directions and leaves lengths free: plain students were seen
to answer 1 to 2 times as long as the teacher, those with FLM 6 to 76 times. Whatever is computed from :math:`s` has to
give the same for :math:`s` and for :math:`7 s`, or it compares lengths that nobody chose.

A second distance, which knows what normal residuals look like, is in `mahalanobis.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

LossForm = Literal["flattened", "per_pixel"]


def unit(maps: Tensor) -> Tensor:
    """Feature vectors of any length to length 1: (B, C, h, w) to the same; a zero vector stays zero.

    Example:
        >>> [unit(scale * torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)).flatten().tolist() for scale in (1, 1e-30)]
        [[0.6..., 0.8...], [0.6..., 0.8...]]
    """
    maps = maps.float()
    largest = maps.abs().amax(1, keepdim=True)  # (B, 1, h, w); without it, squares of tiny numbers vanish
    return F.normalize(maps / largest.clamp_min(torch.finfo(torch.float32).tiny), dim=1)


def match_length(teacher: Tensor, student: Tensor) -> Tensor:
    r"""The student's map, as long as fits the teacher's best: :math:`a S` with one :math:`a \ge 0` an image.

    :math:`a = \langle \operatorname{vec} T, \operatorname{vec} S \rangle / \lVert \operatorname{vec} S \rVert^2`,
    least squares over the whole map, as the loss compares whole maps.

    Args:
        teacher, student: one map each, (B, C, h, w).

    Example:
        >>> t = torch.ones(1, 2, 4, 4)
        >>> torch.equal(match_length(t, 76 * t), t), match_length(t, -t).abs().max().item()
        (True, 0.0)
    """
    t, s = teacher.float(), student.float()
    s = s / s.abs().amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    a = (t * s).sum((1, 2, 3)) / s.square().sum((1, 2, 3)).clamp_min(torch.finfo(torch.float32).tiny)  # (B,)
    return a.clamp_min(0)[:, None, None, None] * s


def cosine_distance(teacher: Tensor, student: Tensor, floor: float = 0.0) -> Tensor:
    r"""Distance at every position of one scale: (B, C, h, w) twice to (B, h, w). The student's length does not count.

    Args:
        teacher, student: one map each.
        floor: :math:`\varepsilon`, how strongly short vectors of the teacher are damped; 0 is the papers' distance.

    Example:
        >>> t = torch.tensor([[1.0, 0.0]]).view(1, 2, 1, 1)
        >>> s = torch.tensor([[0.0, 3.0]]).view(1, 2, 1, 1)
        >>> cosine_distance(t, s).item(), cosine_distance(t, 5 * t).item()
        (1.0, 0.0)
        >>> cosine_distance(t, s, floor=1.5).item(), cosine_distance(t, 9 * s, floor=1.5).item()  # 1 / (1 + 1.5 * 2)
        (0.25, 0.25)
    """
    t = teacher.float()
    d = 1 - (unit(t) * unit(student)).sum(1)  # (B, h, w)
    if floor == 0:
        return d
    length = t.square().sum(1)  # (B, h, w), |t|^2
    return d * length / (length + floor * t.shape[1])


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

    The kernel ends at 4 sigma. Mirrored edges keep a constant map constant.

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


def add_scales(
    distances: Sequence[Tensor], size: tuple[int, int], *, weights: Sequence[float] | None = None, sigma: float = 4.0
) -> Tensor:
    r"""The distances of all scales to one anomaly map at the size of the image.

    :math:`A = \mathcal{G}_\sigma * \sum_k w_k \operatorname{up}(d_k)`, with bilinear upsampling.

    Args:
        distances: :math:`d_k`, one map a scale, (B, h_k, w_k).
        size: height and width of the result, pixels.
        weights: :math:`w_k` of the scales, see `judging/scale_weights.py`. None: all 1, as in the papers.
        sigma: of the Gaussian smoothing, pixels; 0 switches it off. 4 at 256 pixels in the papers.

    Returns:
        Maps (B, H, W), higher where more anomalous.

    Example:
        >>> add_scales([torch.ones(1, 16, 16), torch.ones(1, 8, 8)], (64, 64), weights=[0.5, 2.0], sigma=0).max().item()
        2.5
    """
    weights = weights or [1.0] * len(distances)
    scales = [
        w * enlarge(d[:, None], size)[:, 0]
        for w, d in zip(weights, distances, strict=True)
        if w  # a scale that does not count costs nothing
    ]  # K maps (B, H, W)
    maps = torch.stack(scales).sum(0)  # (B, H, W)
    return gaussian_blur(maps, sigma) if sigma > 0 else maps


def anomaly_map(
    teacher: list[Tensor],
    student: list[Tensor],
    size: tuple[int, int],
    *,
    weights: Sequence[float] | None = None,
    floor: float = 0.0,
    sigma: float = 4.0,
) -> Tensor:
    r"""Where teacher and student disagree by the cosine distance: the papers' anomaly map.

    Args:
        teacher, student: one map a scale each, (B, C_k, h_k, w_k).
        size, weights, sigma: see `add_scales`.
        floor: see `cosine_distance`.

    Returns:
        Maps (B, H, W), from 0 to twice the sum of the weights.

    Example:
        >>> t = [torch.rand(1, 8, n, n) for n in (16, 8)]
        >>> anomaly_map(t, t, (64, 64)).shape
        torch.Size([1, 64, 64])
    """
    distances = [cosine_distance(t, s, floor) for t, s in zip(teacher, student, strict=True)]  # K maps (B, h, w)
    return add_scales(distances, size, weights=weights, sigma=sigma)


def image_score(maps: Tensor) -> Tensor:
    """One number an image: the maximum of its anomaly map. (B, H, W) to (B,).

    Example:
        >>> image_score(torch.tensor([[[0.1, 0.9], [0.2, 0.3]]])).item() == torch.tensor(0.9).item()
        True
    """
    return maps.flatten(1).amax(1)
