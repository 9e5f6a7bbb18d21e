r"""The student: teacher features in, the same features out, through a narrow place.

Reverse distillation (Deng and Li, CVPR 2022) turns the student around: it does not see the image but the
teacher's features, squeezes them through a bottleneck, and rebuilds them from deep to shallow::

    T_1, T_2, T_3  ->  Bottleneck (MFF, OCE)  ->  Decoder  ->  S_3, S_2, S_1

- **MFF**, multi-scale feature fusion: stride-2 convolutions bring all scales to the coarsest one, concatenate.
- **OCE**, one-class embedding: one more residual stage, stride 2: the narrow place.
- **Decoder**: the teacher mirrored; each stage doubles the size with a transposed convolution.

With `wide_resnet50_2` this is the paper's student. Feature-level masking is not here but in `flm.py`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mrkd_edu.backbones.registry import BACKBONES
from mrkd_edu.teacher import Teacher


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1, *, up: bool = False) -> nn.Sequential:
    """Convolution and normalisation. `up` doubles the size with a 2x2 transposed convolution instead."""
    conv: nn.Module
    if up:
        conv = nn.ConvTranspose2d(c_in, c_out, 2, stride=2, bias=False)
    else:
        conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


class ResidualBlock(nn.Module):
    """A ResNet block that keeps, halves (`stride=2`) or doubles (`up=True`) the size.

    Args:
        c_in, c_out: channels.
        kind: `"basic"` two 3x3 convolutions (ResNet-18, -34); `"bottleneck"` 1x1, 3x3, 1x1 with a quarter of the
            channels in the middle (ResNet-50); `"wide"` the same with half of them (WideResNet-50-2).
        activate: end in a ReLU. Off where the features to imitate can be negative.
    """

    def __init__(
        self, c_in: int, c_out: int, kind: str, *, stride: int = 1, up: bool = False, activate: bool = True
    ):
        super().__init__()
        if kind == "basic":
            layers = [conv_bn(c_in, c_out, 3, stride, up=up), conv_bn(c_out, c_out, 3)]
        else:
            c_mid = c_out // 2 if kind == "wide" else c_out // 4
            layers = [conv_bn(c_in, c_mid, 1), conv_bn(c_mid, c_mid, 3, stride, up=up), conv_bn(c_mid, c_out, 1)]
        self.layers = nn.ModuleList(layers)
        same = c_in == c_out and stride == 1 and not up
        self.shortcut = nn.Identity() if same else conv_bn(c_in, c_out, 1, stride, up=up)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.layers[:-1]:
            y = F.relu(layer(y))
        y = self.layers[-1](y) + self.shortcut(x)
        return F.relu(y) if self.activate else y


class Bottleneck(nn.Module):
    """Feature maps of several scales to one small embedding: MFF, then OCE.

    Args:
        channels: of the teacher's scales, each half as large as the one before.
        kind: see `ResidualBlock`.
        blocks: residual blocks of the OCE.
        width: channels of the embedding, and the most that MFF uses. None, as in the papers: twice the channels of
            the coarsest scale, and as many as the teacher has.
        squeeze: 2, as in the papers: the embedding has half the coarsest scale's side; 1: it has the same side.
    """

    def __init__(
        self, channels: tuple[int, ...], kind: str, blocks: int, width: int | None = None, squeeze: int = 2
    ):
        super().__init__()
        self.channels = width or 2 * channels[-1]
        thin = [c if width is None else min(c, width) for c in channels]
        self.mff = nn.ModuleList()
        for k, c in enumerate(channels):  # scale k is halved until it is as small as the last one
            steps = [conv_bn(a, b, 3, 2) for a, b in pairwise([c, *thin[k + 1 :]])]  # e.g. 256 -> 512 -> 1024
            if k == len(channels) - 1 and thin[k] < c:
                steps = [conv_bn(c, thin[k], 1)]
            self.mff.append(nn.Sequential(*(nn.Sequential(step, nn.ReLU()) for step in steps)))
        oce = [ResidualBlock(len(channels) * thin[-1], self.channels, kind, stride=squeeze)]
        oce += [ResidualBlock(self.channels, self.channels, kind) for _ in range(blocks - 1)]
        self.oce = nn.Sequential(*oce)

    def forward(self, features: list[Tensor]) -> Tensor:
        fused = torch.cat([path(t) for path, t in zip(self.mff, features, strict=True)], 1)  # (B, K c_K, h_K, w_K)
        return self.oce(fused)  # (B, width, h_K / squeeze, w_K / squeeze)


class Decoder(nn.Module):
    """The embedding back to the feature maps, from deep to shallow.

    Args:
        c_in: channels of the embedding.
        channels: of the scales, shallow to deep.
        kind: see `ResidualBlock`.
        blocks: residual blocks of the stages, deep to shallow.
        signed: the features to imitate can be negative, so the stages do not end in a ReLU.
        squeeze: of the bottleneck; where it is 1, the first stage keeps the size.
    """

    def __init__(
        self, c_in: int, channels: tuple[int, ...], kind: str, blocks: tuple[int, ...], signed: bool, squeeze: int = 2
    ):
        super().__init__()
        self.stages = nn.ModuleList()
        for c_out, n in zip(reversed(channels), blocks, strict=True):
            up = squeeze == 2 or len(self.stages) > 0
            stage = [ResidualBlock(c_in, c_out, kind, up=up, activate=not (signed and n == 1))]
            stage += [ResidualBlock(c_out, c_out, kind, activate=not (signed and i == n - 1)) for i in range(1, n)]
            self.stages.append(nn.Sequential(*stage))
            c_in = c_out

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[::-1]  # S_1, S_2, S_3 as the teacher's


class Student(nn.Module):
    """Bottleneck and decoder, built to fit a teacher.

    Args:
        teacher: gives the channels, and which residual block to mirror.
        width, squeeze: of the bottleneck, see `Bottleneck`.
        signed: whether the features to imitate can be negative; None takes it from the teacher.

    Example:
        >>> teacher = Teacher("efficientnet_lite0", pretrained=False)
        >>> student = Student(teacher)
        >>> maps = student(teacher(torch.zeros(1, 3, 64, 64)))
        >>> [tuple(s.shape) for s in maps]
        [(1, 24, 16, 16), (1, 40, 8, 8), (1, 112, 4, 4)]
    """

    def __init__(
        self, teacher: Teacher, *, width: int | None = None, squeeze: int = 2, signed: bool | None = None
    ):
        super().__init__()
        entry = BACKBONES[teacher.backbone]
        signed = teacher.signed if signed is None else signed
        extra = (entry.blocks[0],) * (len(teacher.channels) - len(entry.blocks))  # a fourth scale, the deepest
        blocks = (*extra, *entry.blocks)[-len(teacher.channels) :]
        self.bottleneck = Bottleneck(teacher.channels, entry.block, entry.oce_blocks, width, squeeze)
        self.decoder = Decoder(self.bottleneck.channels, teacher.channels, entry.block, blocks, signed, squeeze)
        for module in self.modules():  # as ResNet and RD4AD initialise them
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Teacher features, one map a scale, to student features of the same shapes."""
        return self.decoder(self.bottleneck(features))
