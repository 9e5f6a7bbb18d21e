r"""FLM, feature-level masking: hide random positions of the student's features, then restore them.

For every image and scale a binary mask :math:`M_k \in \{0, 1\}^{h \times w}` drops each position with
probability :math:`\lambda`; a small network, the generation module, fills the gaps from their surroundings::

    S_k  <-  G_k(M_k * S_k)            G_k = conv3x3, ReLU, conv3x3            (paper, section 3.3)

Masks exist in training only. (The published code leaves them on at test time, so two evaluations of one model
differ.) This file is the mask and the generation module, nothing of the loss.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def random_mask(batch: int, height: int, width: int, drop: float, generator: torch.Generator) -> Tensor:
    r"""One binary mask an image: 0 where a position is dropped, which happens with probability :math:`\lambda`.

    Args:
        batch, height, width: shape of the mask.
        drop: the paper's :math:`\lambda` in [0, 1).
        generator: source of randomness, on the CPU so that every device sees the same masks.

    Returns:
        Float mask (B, 1, h, w) of zeros and ones.

    Example:
        >>> mask = random_mask(4, 64, 64, 0.2, torch.Generator().manual_seed(0))
        >>> mask.shape, round(1 - mask.mean().item(), 2)
        (torch.Size([4, 1, 64, 64]), 0.2)
    """
    return (torch.rand(batch, 1, height, width, generator=generator) >= drop).float()  # (B, 1, h, w)


class GenerationModule(nn.Module):
    r"""Restores a masked feature map from what is left of it.

    Args:
        channels: of the feature map.
        residual: start as the identity: :math:`G(x) = x + g(x)` with the last convolution of :math:`g` at zero.
            The paper's :math:`G` is :math:`g` alone, its weights drawn as the published code draws them (He et al.,
            2015, fan out); it starts from noise, which costs the first few hundred steps.

    Example:
        >>> x = torch.randn(1, 24, 8, 8)
        >>> torch.equal(GenerationModule(24, residual=True)(x), x)
        True
    """

    def __init__(self, channels: int, *, residual: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.residual = residual
        if residual:
            nn.init.zeros_(self.conv2.weight)
            nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]
        else:
            for conv in (self.conv1, self.conv2):
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(x)))  # (B, C, h, w)
        return x + y if self.residual else y


class FeatureMasking(nn.Module):
    r"""FLM at every scale: mask in training, identity mask in evaluation, generation modules always.

    Args:
        channels: of the scales.
        drop: :math:`\lambda`, one number or one per scale.
        residual: see `GenerationModule`.

    Raises:
        ValueError: a :math:`\lambda` outside [0, 1), or not one per scale.

    Example:
        >>> flm = FeatureMasking((24, 40), drop=(0.2, 0.4), residual=False).eval()
        >>> maps = flm([torch.ones(1, 24, 8, 8), torch.ones(1, 40, 4, 4)])
        >>> [tuple(m.shape) for m in maps]
        [(1, 24, 8, 8), (1, 40, 4, 4)]
    """

    def __init__(self, channels: tuple[int, ...], drop: float | tuple[float, ...] = 0.2, *, residual: bool = True):
        super().__init__()
        self.drop = (drop,) * len(channels) if isinstance(drop, (int, float)) else tuple(drop)
        if len(self.drop) != len(channels):
            raise ValueError(f"{len(channels)} scales need one lambda or {len(channels)}; got {self.drop}.")
        if not all(0 <= d < 1 for d in self.drop):
            raise ValueError(f"lambda is the share of dropped positions, in [0, 1); got {self.drop}.")
        self.generate = nn.ModuleList(GenerationModule(c, residual=residual) for c in channels)

    def forward(self, maps: list[Tensor], generator: torch.Generator | None = None) -> list[Tensor]:
        """Mask (in training) and restore the maps (B, C_k, h_k, w_k).

        Raises:
            ValueError: training without a generator: randomness is an argument.
        """
        if self.training:
            if generator is None:
                raise ValueError("FLM draws random masks in training: pass generator=torch.Generator().")
            masks = [
                random_mask(len(s), s.shape[2], s.shape[3], d, generator)
                for s, d in zip(maps, self.drop, strict=True)
            ]
            maps = [s * m.to(s) for s, m in zip(maps, masks, strict=True)]  # M_k * S_k
        return [restore(s) for restore, s in zip(self.generate, maps, strict=True)]  # G_k(...)
