"""Every backbone under its name. A new one needs an entry here, and nothing else: docs are in CONTRIBUTING.md."""

from __future__ import annotations

from mrkd_edu.backbones.efficientnet_lite import efficientnet_lite
from mrkd_edu.backbones.entry import Backbone
from mrkd_edu.backbones.resnet import resnet

BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": efficientnet_lite("lite0"),
    "efficientnet_lite1": efficientnet_lite("lite1"),
    "efficientnet_lite2": efficientnet_lite("lite2"),
    # RD4AD's decoder has the backbone's own first three stage depths, in the order of the scales 3, 2, 1.
    "wide_resnet50_2": resnet("wide_resnet50_2", "wide", (3, 4, 6), 3),
    "resnet18": resnet("resnet18", "basic", (2, 2, 2), 2),
    "resnet34": resnet("resnet34", "basic", (3, 4, 6), 3),
    "resnet50": resnet("resnet50", "bottleneck", (3, 4, 6), 3),
}
FETCHED = tuple(name for name in BACKBONES if not name.startswith("efficientnet"))  # torchvision's, when first used
