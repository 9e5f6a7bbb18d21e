r"""Standardised features: what is the same everywhere is taken out, and every channel counts the same.

A large part of a feature vector is the same at every position of every image: with the default teacher 20 to 75 % of
its squared length, most at the coarse scales. A cosine is dominated by that constant, and two very different places
look alike. Channels also differ in size, two to ten times. So each channel is brought to mean 0 and standard
deviation 1 over normal training images,

.. math:: T_{k,c} \leftarrow \frac{T_{k,c} - \mu_{k,c}}{\sigma_{k,c}},

and student, loss, anomaly map and leakage live in these units. The papers use raw features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST = 1e-3  # a channel that never changes is only centred, rather than its noise blown up


class Standardise(nn.Module):
    r"""Teacher maps to maps whose channels have mean 0 and deviation 1. The identity until `learn` was called.

    Args:
        channels: of the scales.

    Example:
        >>> maps = [torch.randn(4, 3, 8, 8) * 5 + 2]
        >>> standardise = Standardise((3,))
        >>> standardise.learn(maps)
        >>> [(z,)] = [standardise(maps)]
        >>> bool(z.mean().abs() < 1e-5), round(z.std().item(), 2)
        (True, 1.0)
    """

    def __init__(self, channels: tuple[int, ...]):
        super().__init__()
        for k, c in enumerate(channels):
            self.register_buffer(f"mean{k}", torch.zeros(1, c, 1, 1))
            self.register_buffer(f"std{k}", torch.ones(1, c, 1, 1))

    @torch.no_grad()
    def learn(self, maps: list[Tensor]) -> None:
        """Take mean and deviation from the teacher's maps of normal images, (N, C_k, h_k, w_k)."""
        for k, t in enumerate(maps):
            std, mean = torch.std_mean(t.float(), dim=(0, 2, 3), keepdim=True)  # (1, C, 1, 1)
            getattr(self, f"mean{k}").copy_(mean)
            getattr(self, f"std{k}").copy_(torch.where(std > SMALLEST, std, 1))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [
            ((t - getattr(self, f"mean{k}")) / getattr(self, f"std{k}")).to(t.dtype) for k, t in enumerate(maps)
        ]
