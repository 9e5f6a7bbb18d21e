"""ResNets from torchvision, with the ImageNet weights that RD4AD and MRKD use. Fetched when they are first used.

torchvision is imported where it is used: that takes as long as torch itself, and the offline teacher does without.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import nn

from mrkd_edu.backbones.entry import OFFLINE_TEACHER, Backbone, WeightsNotFound
from mrkd_edu.runtime.cache import cache_folder


def resnet(
    name: str, block: Literal["basic", "bottleneck", "wide"], blocks: tuple[int, int, int], oce_blocks: int
) -> Backbone:
    def build(pretrained: bool) -> list[nn.Module]:
        import torchvision

        weights = _weights(name) if pretrained else None
        try:
            if pretrained and kept_teacher(name).exists():
                return _stages(_from_bundle(name))
            with redirect_stdout(sys.stderr):  # torch.hub announces a download; stdout is for results
                net = torchvision.models.get_model(name, weights=weights)
        except Exception as error:  # no network is an OSError; a damaged file fails with almost any error
            assert weights is not None, "only weights can be missing"
            raise WeightsNotFound(_why_no_weights(name, weights.url, error)) from error
        return _stages(net)

    return Backbone(build, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), block, blocks, oce_blocks)


def _stages(net: Any) -> list[nn.Module]:
    """A ResNet in the pieces that run one after the other."""
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    return [stem, net.layer1, net.layer2, net.layer3, net.layer4]


def kept_teacher(name: str) -> Path:
    """Where the weights lie that came without a network, in a bundle: no pickle, unlike torchvision's own file."""
    return cache_folder() / "teachers" / f"{name}.safetensors"


def _from_bundle(name: str) -> nn.Module:
    import torchvision

    net = torchvision.models.get_model(name, weights=None)
    net.load_state_dict(load_file(kept_teacher(name)))
    return net


def torchvision_weights(name: str) -> dict[str, torch.Tensor] | None:
    """The weights of a backbone that was downloaded already, or came in a bundle; None where neither is so."""
    if kept_teacher(name).exists():
        return load_file(kept_teacher(name))
    if not _kept_as(_weights(name).url).exists():
        return None
    return dict(_weights(name).get_state_dict(progress=False, check_hash=True))


def _weights(name: str) -> Any:
    """Torchvision's entry for IMAGENET1K_V1, the weights of RD4AD's and the paper's teacher."""
    import torchvision

    return torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]


def _kept_as(url: str) -> Path:
    """Where torch.hub keeps what it has downloaded."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(url).name)


def weights_are_here(name: str) -> bool:
    """Whether a torchvision backbone's weights were downloaded already."""
    return kept_teacher(name).exists() or _kept_as(_weights(name).url).exists()


def _why_no_weights(name: str, url: str, error: Exception) -> str:
    """What is wrong with torchvision's weights, and the cure."""
    file = kept_teacher(name) if kept_teacher(name).exists() else _kept_as(url)
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
