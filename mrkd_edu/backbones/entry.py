"""What the teacher and the student have to know of a backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

OFFLINE_TEACHER = "efficientnet_lite0"


class WeightsNotFound(RuntimeError):
    """The pretrained weights of a backbone are not on this machine and could not be fetched."""


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
