r"""The teacher: a frozen ImageNet backbone that turns an image into feature maps of several scales.

`T_1, T_2, T_3` are the last feature maps at the papers' strides 4, 8 and 16, or at 8, 16 and 32 in the quick recipes.
What a backbone gives there (how many channels) is discovered by sending a small image through it, so that a new one
needs no more than an entry in `backbones/registry.py`.

The teacher never learns: no gradient, and evaluation mode even inside a parent that is put in training mode.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise

import torch
from torch import Tensor, nn

from mrkd_edu.backbones.efficientnet_lite import fuse
from mrkd_edu.backbones.entry import OFFLINE_TEACHER
from mrkd_edu.backbones.registry import BACKBONES

PROBE = 64  # side of the image that discovers channels and strides


class Teacher(nn.Module):
    r"""Image to one feature map a scale, :math:`T_1, T_2, T_3, \dots`

    Args:
        backbone: a key of `backbones.registry.BACKBONES`.
        pretrained: `False` gives random weights, for tests of shapes only.
        strides: of the scales, each twice the one before. Each takes the *last* feature map of its stride.

    Attributes:
        channels, strides: of the maps.
        signed: whether features can be negative (EfficientNet's can, those of a ResNet end in a ReLU).

    Raises:
        ValueError: unknown backbone, a stride that it does not have, or strides that do not double.
        WeightsNotFound: weights missing and not to be fetched; the message names the cure.

    Example:
        >>> teacher = Teacher("efficientnet_lite0")
        >>> images = torch.zeros(2, 3, 256, 256, dtype=torch.uint8)
        >>> [tuple(t.shape) for t in teacher(images)]
        [(2, 24, 64, 64), (2, 40, 32, 32), (2, 112, 16, 16)]
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: str = OFFLINE_TEACHER, *, pretrained: bool = True, strides: tuple[int, ...] = (4, 8, 16)
    ):
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"Unknown backbone {backbone!r}. Choose one of: {', '.join(BACKBONES)}.")
        if any(coarse != 2 * fine for fine, coarse in pairwise(strides)):  # the student's decoder doubles
            raise ValueError(f"Every stride must be twice the one before, such as 4, 8, 16; got {strides}.")
        entry = BACKBONES[backbone]
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(entry.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(entry.std).view(1, 3, 1, 1))
        with torch.random.fork_rng(devices=[]):  # networks draw weights first: not from the caller's numbers
            stages = nn.ModuleList(entry.build(pretrained)).eval()
        self._fingerprint = _hash(stages)  # before fusing, which rounds differently on other processors
        fuse(stages)

        found = _probe(stages)  # stride -> (index of the last stage there, its features)
        if missing := [s for s in strides if s not in found]:
            raise ValueError(f"{backbone} has no features at stride {missing}; it has {sorted(found)}.")
        self.strides = tuple(strides)
        self.taps = tuple(found[s][0] for s in strides)
        self.channels = tuple(found[s][1].shape[1] for s in strides)
        self.signed = any(bool((found[s][1] < 0).any()) for s in strides)
        self.stages = stages[: max(self.taps) + 1]  # nothing behind the deepest scale is needed
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode, whatever the parent asks for."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of `images` (B, 3, H, W), uint8 or float in [0, 1].

        Returns:
            One map (B, channels[k], H / strides[k], W / strides[k]) a scale.
        """
        x = images.float() / 255 if images.dtype == torch.uint8 else images
        x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)  # (B, 3, H, W)
        features = {}
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.taps:
                features[i] = x
        return [features[i] for i in self.taps]

    def fingerprint(self) -> str:
        """Hash of the weights as they were published: a student only fits the teacher it was trained with."""
        return self._fingerprint


def _hash(stages: nn.Module) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for value in stages.state_dict().values():
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def _probe(stages: nn.ModuleList) -> dict[int, tuple[int, Tensor]]:
    """The last stage at each stride, with its features of one noise image."""
    x = torch.randn(1, 3, PROBE, PROBE, generator=torch.Generator().manual_seed(0))
    found = {}
    for i, stage in enumerate(stages):
        x = stage(x)
        found[PROBE // x.shape[-1]] = (i, x)
    return found
