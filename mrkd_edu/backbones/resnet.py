"""ResNets from torchvision, with the ImageNet weights that RD4AD and MRKD use. Fetched when they are first used."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal

import torch
import torchvision
from torch import nn

from mrkd_edu.backbones.entry import OFFLINE_TEACHER, Backbone, WeightsNotFound


def resnet(
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
