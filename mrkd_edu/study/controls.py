r"""Two controls without a student: what is a student worth, and what is a low leakage worth?

- **`gauss`**: no student. The teacher's features of normal images are described by one Gaussian a scale, and the
  distance is Mahalanobis' (`mahalanobis.py` with :math:`S_k = 0`), as in Rippel et al. (ICPR 2020). What a student
  adds to it is what it knows about *places*: what belongs where, given the rest of the image.
- **`template`**: a student that ignores its input. At each place it answers with the mean feature of normal images
  there. Its leakage is 0 by construction, so leakage alone is no merit.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from mrkd_edu.backbones.entry import OFFLINE_TEACHER
from mrkd_edu.data.stack import ImageStack
from mrkd_edu.judging.detector import Baseline, Restorer, Settings
from mrkd_edu.recipe import Recipe
from mrkd_edu.runtime.batches import in_batches
from mrkd_edu.runtime.hardware import Precision


class Control(Restorer):
    """`gauss` or `template`, with the scales and features of a recipe, so that a student can be held against it.

    Args:
        variant: `"gauss"` or `"template"`.
        images: normal images, (N, 3, size, size) uint8.
        recipe: says which scales, and whether features are standardised.
        backbone: the teacher.
        precision: number format of the teacher.
        device: where it computes.

    Example:
        >>> images = torch.randint(0, 255, (4, 3, 64, 64), dtype=torch.uint8)
        >>> model = Control("template", images, Recipe())
        >>> teacher, answer = model.features(images)
        >>> [tuple(s.shape) for s in answer] == [tuple(t.shape) for t in teacher]
        True
    """

    def __init__(
        self,
        variant: Baseline,
        images: ImageStack | Tensor,
        recipe: Recipe,
        *,
        backbone: str = OFFLINE_TEACHER,
        precision: Precision = "auto",
        device: torch.device | None = None,
    ):
        distance = "mahalanobis" if variant == "gauss" else recipe.distance
        super().__init__(
            Settings(
                backbone=backbone,
                variant=variant,
                size=images.shape[-1],
                precision=precision,
                **recipe.architecture | {"distance": distance},
            )
        )
        self.to(device or "cpu")
        begin = time.perf_counter()
        self.learn_channels(images)
        total: list[Tensor] = []
        for part in in_batches(images):
            with torch.no_grad():
                sums = [t.float().sum(0, keepdim=True) for t in self.see(part)]
            total = [a + b for a, b in zip(total, sums, strict=True)] if total else sums
        for k, t in enumerate(total):
            self.register_buffer(f"answer{k}", t / len(images) if variant == "template" else torch.zeros_like(t))
        self.settings.history = {"seconds": time.perf_counter() - begin, "steps": 0}
        self.eval()

    def restore(self, features: list[Tensor]) -> list[Tensor]:
        """The same answer to every image."""
        return [getattr(self, f"answer{k}").expand_as(t) for k, t in enumerate(features)]
