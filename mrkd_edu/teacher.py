r"""The teacher: a frozen ImageNet backbone that turns an image into feature maps of several scales.

`T_1, T_2, T_3` are the last feature maps at strides 4, 8 and 16; a fourth, at stride 32,
is used by the default recipe. What a
backbone gives there (how many channels) is discovered by sending a small image through it, so adding a backbone means
adding one entry to `BACKBONES`.

The teacher never learns: no gradient, and evaluation mode even inside a parent that is put in training mode.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
import torchvision
from torch import Tensor, nn

from mrkd_edu.backbones import efficientnet_lite
from mrkd_edu.backbones.efficientnet_lite import EfficientNetLite, WeightsNotFound, fuse, load_efficientnet_lite

OFFLINE_TEACHER = "efficientnet_lite0"
PROBE = 64  # side of the image that discovers channels and strides


@dataclass(frozen=True)
class Backbone:
    """How to build one backbone, and which residual block mirrors it in the student.

    Attributes:
        build: `build(pretrained)` gives the stages to run one after the other.
        mean, std: preprocessing of an image in [0, 1], per RGB channel.
        block: the student's residual block, `"basic"`, `"bottleneck"` or `"wide"`.
        blocks: residual blocks of the student's decoder for scales 3, 2, 1.
        oce_blocks: residual blocks of the one-class embedding.
    """

    build: Callable[[bool], list[nn.Module]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    block: Literal["basic", "bottleneck", "wide"]
    blocks: tuple[int, int, int]
    oce_blocks: int


def _lite(version: str) -> Backbone:
    def build(pretrained: bool) -> list[nn.Module]:
        net = load_efficientnet_lite(version) if pretrained else EfficientNetLite(version)
        return [net.stem, *net.blocks]

    mean, std = efficientnet_lite.MEAN, efficientnet_lite.STD
    return Backbone(build, (mean,) * 3, (std,) * 3, "basic", blocks=(1, 1, 1), oce_blocks=1)


def _resnet(
    name: str, block: Literal["basic", "bottleneck", "wide"], blocks: tuple[int, int, int], oce_blocks: int
) -> Backbone:
    def build(pretrained: bool) -> list[nn.Module]:
        weights = _weights(name) if pretrained else None
        try:
            with redirect_stdout(sys.stderr):  # torch.hub announces a download; stdout is for results
                net = torchvision.models.get_model(name, weights=weights)
        except Exception as error:  # no network is an OSError; a damaged file fails with almost any error
            assert weights is not None, "only weights can be missing"
            raise WeightsNotFound(_why_no_weights(name, weights.url, error)) from error
        stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        return [stem, net.layer1, net.layer2, net.layer3, net.layer4]

    return Backbone(build, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), block, blocks, oce_blocks)


def _weights(name: str) -> Any:
    """Torchvision's entry for IMAGENET1K_V1, the weights of RD4AD's and the paper's teacher."""
    return torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]


def _kept_as(url: str) -> Path:
    """Where torch.hub keeps what it has downloaded."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(url).name)


def weights_are_here(name: str) -> bool:
    """Whether a torchvision backbone's weights were downloaded already."""
    return _kept_as(_weights(name).url).exists()


def _why_no_weights(name: str, url: str, error: Exception) -> str:
    """What is wrong with torchvision's weights, and the cure."""
    file = _kept_as(url)
    reason = str(error).partition("\n")[0]  # torch's go on for pages
    offline = f"backbone={OFFLINE_TEACHER!r} (--backbone {OFFLINE_TEACHER})"
    if file.exists() and not isinstance(error, OSError):
        return (
            f"The ImageNet weights of {name} in {file} are damaged ({reason}).\n"
            f"Delete that file and run again with a network, or use the offline teacher: {offline}."
        )
    return (
        f"The ImageNet weights of {name} are not on this machine and could not be downloaded ({reason}).\n"
        f"Use the offline teacher instead: {offline}.\n"
        f"Or run once with a network; the file is then kept as {file}."
    )


BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": _lite("lite0"),
    "efficientnet_lite1": _lite("lite1"),
    "efficientnet_lite2": _lite("lite2"),
    # RD4AD's decoder has the backbone's own first three stage depths, in the order of the scales 3, 2, 1.
    "wide_resnet50_2": _resnet("wide_resnet50_2", "wide", (3, 4, 6), 3),
    "resnet18": _resnet("resnet18", "basic", (2, 2, 2), 2),
    "resnet34": _resnet("resnet34", "basic", (3, 4, 6), 3),
    "resnet50": _resnet("resnet50", "bottleneck", (3, 4, 6), 3),
}


class Teacher(nn.Module):
    r"""Image to one feature map a scale, :math:`T_1, T_2, T_3, \dots`

    Args:
        backbone: a key of `BACKBONES`.
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
        with torch.random.fork_rng(
            devices=[]
        ):  # networks draw weights before they get theirs: not the caller's numbers
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
