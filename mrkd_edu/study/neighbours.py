r"""Nearest neighbours: the baseline `nn` that a trained student has to beat.

Nothing is trained. Remember what the teacher says at many positions of normal images, and call a position of a new
image anomalous when it resembles none of them:

.. math:: d(p) = \min_{b \in \text{bank}} \lVert f(p) - b \rVert

with :math:`f(p)` the teacher's features at strides 8 and 16, averaged over 3x3 positions and joined. This is PatchCore
(Roth et al., CVPR 2022) at its simplest: the bank is drawn at random, and the image's score is the map's maximum.

The nearest neighbour :math:`b` is what a student would output that knows normal images by heart. So leakage can be
measured here as well: how far does the nearest normal feature follow the defect?
"""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mrkd_edu.backbones.entry import OFFLINE_TEACHER
from mrkd_edu.data.stack import ImageStack
from mrkd_edu.distance import enlarge, gaussian_blur
from mrkd_edu.judging.detector import Detector, Settings
from mrkd_edu.recipe import Stride
from mrkd_edu.runtime.batches import in_batches
from mrkd_edu.runtime.hardware import Precision
from mrkd_edu.teacher import Teacher

BANK = 15_000  # positions that are remembered
STRIDES: tuple[Stride, ...] = (8, 16)


class Neighbours(Detector):
    """A teacher and a bank of its features from normal images.

    Args:
        images: normal images, (N, 3, size, size) uint8.
        backbone: the teacher, a key of `backbones.registry.BACKBONES`.
        bank: how many positions to remember.
        seed: of their choice.
        precision: number format of the teacher.

    Example:
        >>> images = torch.randint(0, 255, (4, 3, 64, 64), dtype=torch.uint8)
        >>> model = Neighbours(images, bank=100)
        >>> model(images).shape, tuple(model.bank.shape)
        (torch.Size([4, 64, 64]), (100, 152))
    """

    bank: Tensor

    def __init__(
        self,
        images: ImageStack | Tensor,
        *,
        backbone: str = OFFLINE_TEACHER,
        bank: int = BANK,
        seed: int = 0,
        precision: Precision = "auto",
        device: torch.device | None = None,
    ):
        super().__init__()
        if images.shape[-1] % STRIDES[1]:
            raise ValueError(f"size must be a multiple of {STRIDES[1]} pixels; got images of {images.shape[-1]}.")
        self.settings = Settings(
            backbone=backbone, variant="nn", size=images.shape[-1], strides=STRIDES, precision=precision
        )
        self.teacher = Teacher(backbone, strides=STRIDES)
        self.to(device or "cpu")
        begin = time.perf_counter()
        positions = len(images) * (images.shape[-1] // STRIDES[0]) ** 2
        chosen = np.random.default_rng(seed).choice(positions, min(bank, positions), replace=False)
        kept, done = [], 0
        for part in in_batches(images):
            f = self.see(part)[0].permute(0, 2, 3, 1).flatten(0, 2)  # (B h w, C)
            here = chosen - done
            kept.append(f[torch.from_numpy(here[(here >= 0) & (here < len(f))]).to(f.device)])
            done += len(f)
        self.register_buffer("bank", torch.cat(kept))  # (bank, C)
        self.settings.history = {"seconds": time.perf_counter() - begin, "steps": 0}
        self.eval()

    @torch.no_grad()
    def see(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, S, S) to one joined map of features f, (B, C, S / 8, S / 8)."""
        with self.autocast():
            maps = self.teacher(images.to(self.device))
        h, w = maps[0].shape[-2:]
        # Zeros from outside the image are averaged in. They make the rim's features short, and its distances with
        # them: the rim is where the teacher's own zero padding makes normal images differ most from each other.
        pooled = [F.avg_pool2d(t.float(), 3, stride=1, padding=1) for t in maps]
        return [torch.cat([enlarge(p, (h, w)) for p in pooled], 1)]  # (B, C, h, w)

    @torch.no_grad()
    def restore(self, features: list[Tensor]) -> list[Tensor]:
        """For each position the most similar feature of the bank."""
        [f] = features  # (B, C, h, w)
        nearest = []
        for one in f.flatten(2).mT:  # (h w, C); image by image, since the distances to the bank are many
            nearest.append(self.bank[torch.cdist(one, self.bank).argmin(1)])  # (h w, C)
        return [torch.stack(nearest).mT.reshape(f.shape)]

    @torch.no_grad()
    def compare(self, teacher: list[Tensor], student: list[Tensor]) -> Tensor:
        """Distances of features and their neighbours to anomaly maps (B, S, S), smoothed as all maps."""
        size = self.settings.size
        distance = (teacher[0] - student[0]).norm(dim=1)  # (B, h, w)
        return gaussian_blur(enlarge(distance[:, None], (size, size))[:, 0], sigma=size / 64)
