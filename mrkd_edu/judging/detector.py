r"""What every detector can do: see an image, say what should be there, and hold the two against each other.

Three verbs, :math:`K` scales, images (B, 3, S, S)::

    T = model.see(images)       # the teacher's maps T_k, (B, C_k, h_k, w_k)
    S = model.restore(T)        # what they should have been, S_k, of the same shapes
    A = model.compare(T, S)     # anomaly maps, (B, S, S)

`model(images)` is all three, and `model.predict` is for images as people have them: files, folders, photographs.
`S` need not come from the same image as `T`: that is how one asks what would have been.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Ge, Le
from PIL import Image
from torch import Tensor, nn
from tqdm.auto import tqdm

from mrkd_edu.backbones.entry import OFFLINE_TEACHER
from mrkd_edu.data.files import DataError, as_path
from mrkd_edu.data.images import IMAGE_SUFFIXES, list_images, refuse_dark_16_bits
from mrkd_edu.data.stack import ImageStack, read_images, some_images
from mrkd_edu.distance import add_scales, cosine_distance, image_score
from mrkd_edu.judging.mahalanobis import Mahalanobis
from mrkd_edu.judging.prediction import Prediction, threshold_from
from mrkd_edu.recipe import DISTANCES, Architecture
from mrkd_edu.runtime.batches import BATCH, in_batches
from mrkd_edu.runtime.hardware import Format, Precision, autocast, format_name, number_format
from mrkd_edu.runtime.manifest import Finite, NotNegative
from mrkd_edu.standardise import Standardise
from mrkd_edu.teacher import Teacher

Variant = Literal["rd", "ilm", "flm", "mrkd"]
Baseline = Literal["nn", "gauss", "template"]  # no student: study/neighbours.py and study/controls.py
FLOOR = 0.3  # of the cosine distance of standardised features; docs/recipe.md has the measurements
ImageLike = str | Path | Image.Image | np.ndarray | Tensor


@dataclass
class Settings(Architecture):
    """All that is needed to build a detector again, and what it learned that is no weight. The saved form is JSON.

    Attributes:
        backbone: the teacher, a key of `backbones.registry.BACKBONES`.
        variant: which student, or which baseline.
        size: side of the square that every image is resized to, pixels.
        precision: number format of the networks.
        weights: of the scales, see `scale_weights.py`; None: all 1.
        threshold: scores above it are called defective; None before `calibrate`.
        threshold_in: the number format of the scores that the threshold was chosen from.
        history: of the training.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True}  # of a saved model, see runtime/manifest.py

    backbone: str = OFFLINE_TEACHER
    variant: Variant | Baseline = "mrkd"
    size: Annotated[int, Ge(32), Le(4096)] = 256
    precision: Precision = "auto"
    weights: tuple[NotNegative, ...] | None = None
    threshold: Finite | None = None
    threshold_in: Format | None = None
    history: dict[str, Any] = field(default_factory=dict)


class Detector(nn.Module):
    """What is the same for all detectors. A subclass gives `settings`, `teacher` and the three verbs."""

    settings: Settings
    teacher: Teacher

    def see(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, S, S), uint8 or float in [0, 1], to what the detector looks at: K maps (B, C_k, h_k, w_k)."""
        raise NotImplementedError

    def restore(self, features: list[Tensor]) -> list[Tensor]:
        """What was seen to what should have been seen: K maps (B, C_k, h_k, w_k) to the same shapes."""
        raise NotImplementedError

    def compare(self, teacher: list[Tensor], student: list[Tensor]) -> Tensor:
        """What was seen and what should have been to anomaly maps (B, S, S), float32 on the detector's device."""
        raise NotImplementedError

    def features(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Images (B, 3, S, S) to both sides, what was seen and what should have been."""
        seen = self.see(images)
        return seen, self.restore(seen)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) to anomaly maps (B, S, S), float32 on the detector's device."""
        return self.compare(*self.features(images))

    @property
    def device(self) -> torch.device:
        return self.teacher.mean.device

    def autocast(self) -> AbstractContextManager:
        """Context in which the networks run in the model's number format.

        Scores in another format differ by up to 4 %. So a model with a threshold stays in the format that the threshold
        was chosen in, also on a machine where another one is quicker; without its threshold it is free again.
        """
        settings = self.settings
        chosen = settings.threshold_in if settings.threshold is not None else None
        return autocast(self.device, chosen or settings.precision)

    def predict(
        self, images: ImageLike | Sequence[ImageLike], *, batch: int = BATCH, progress: str = ""
    ) -> Prediction:
        """Score images of any size and mode.

        Args:
            images: a file, a folder, a PIL image, an array (H, W), (H, W, 3) or (N, H, W, 3), a tensor (3, H, W)
                or (N, 3, H, W), or a list of these. See `data.images.read_image` for what is accepted.
            batch: how many go through the network at a time.
            progress: name of a bar to show; without a name there is none.

        Raises:
            data.images.DataError: an image that cannot be read; the message names it.
        """
        self.eval()
        sources = _as_list(images)
        refuse_dark_16_bits(sources, "these images")
        pixels, maps, seconds = [], [], 0.0
        with tqdm(total=len(sources), desc=progress, unit="image", disable=not progress) as bar:
            for part in in_batches(sources, batch):
                chunk = np.stack(read_images(part, self.settings.size))  # (B, S, S, 3)
                begin = time.perf_counter()
                maps.append(self(torch.from_numpy(chunk).permute(0, 3, 1, 2)).cpu())  # (B, S, S)
                seconds += time.perf_counter() - begin
                pixels.append(chunk)
                bar.update(len(part))
        joined = torch.cat(maps)  # (N, S, S)
        scores, seen = image_score(joined).numpy(), np.concatenate(pixels)  # (N,), (N, S, S, 3)
        return Prediction(scores, joined.numpy(), seen, self.settings.threshold, seconds)

    def calibrate(self, scores: np.ndarray, false_alarms: float = 0.05) -> float:
        """Set the threshold, and give it back: see `prediction.threshold_from`, which has the same arguments."""
        threshold = threshold_from(scores, false_alarms)
        if self.settings.threshold is None or self.settings.threshold_in is None:
            self.settings.threshold_in = format_name(self.device, self.settings.precision)
        self.settings.threshold = threshold
        return threshold


class Restorer(Detector):
    """A detector that holds the teacher's features against an answer, by one of the two distances.

    A subclass gives `restore`.

    Args:
        settings: `backbone`, `size`, `strides`, `standardise`, `distance` and `precision` count.
        pretrained: see `teacher.Teacher`.
    """

    def __init__(self, settings: Settings, *, pretrained: bool = True):
        super().__init__()
        self.settings = settings
        number_format(torch.device("cpu"), settings.precision)  # refuses an unknown precision now, not in a step
        if settings.distance not in DISTANCES:
            raise ValueError(f"Unknown distance {settings.distance!r}. Choose one of: {', '.join(DISTANCES)}.")
        self.teacher = Teacher(settings.backbone, pretrained=pretrained, strides=settings.strides)
        self.standardise = Standardise(self.teacher.channels) if settings.standardise else None
        self.mahalanobis = Mahalanobis(self.teacher.channels)

    def see(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, S, S) to the teacher's maps :math:`T_k`, standardised if the model does so."""
        with self.autocast():
            maps = self.teacher(images.to(self.device))
            return maps if self.standardise is None else self.standardise(maps)

    @torch.no_grad()
    def compare(self, teacher: list[Tensor], student: list[Tensor]) -> Tensor:
        """:math:`T_k` and :math:`S_k` to anomaly maps (B, S, S): distances of all scales, weighted and added."""
        return self.add(self.distances(teacher, student), self.settings.weights)

    @torch.no_grad()
    def distances(self, teacher: list[Tensor], student: list[Tensor]) -> list[Tensor]:
        """:math:`T_k` and :math:`S_k` to the model's distance at each position, K maps (B, h_k, w_k)."""
        teacher, student = ([m.to(self.device) for m in maps] for maps in (teacher, student))
        if self.settings.distance == "mahalanobis":
            return self.mahalanobis(teacher, student)
        return [cosine_distance(t, s, self.floor) for t, s in zip(teacher, student, strict=True)]

    @property
    def floor(self) -> float:
        """Damping of short vectors in the cosine distance: for standardised features only, see `distance.py`."""
        return FLOOR if self.settings.standardise else 0.0

    def add(self, distances: list[Tensor], weights: Sequence[float] | None) -> Tensor:
        """Distances of some scales, (B, h_k, w_k), to anomaly maps (B, S, S)."""
        size = self.settings.size
        return add_scales(distances, (size, size), weights=weights, sigma=size / 64)  # the papers: 4 pixels at 256

    @torch.no_grad()
    def learn_channels(self, images: ImageStack | Tensor) -> None:
        """Standardise by 64 of the normal images at most, see `standardise.py`. Nothing where the model does not."""
        if self.standardise is not None:
            with self.autocast():
                maps = [self.teacher(part.to(self.device)) for part in in_batches(some_images(images))]
            self.standardise.learn([torch.cat(parts) for parts in zip(*maps, strict=True)])

    @torch.no_grad()
    def learn_residuals(self, images: Tensor) -> None:
        """What residuals are like on normal images, (N, 3, S, S), see `mahalanobis.py`."""
        self.eval()
        teacher, student = zip(*(self.features(part) for part in in_batches(images)), strict=True)
        self.mahalanobis.learn(list(teacher), list(student))


def _as_list(images: Any) -> list[Any]:
    """One image, a folder, a batch or a list to a list of single images."""
    folder = as_path(images) if isinstance(images, (str, os.PathLike)) else None
    if folder is not None and os.path.isdir(folder):
        images = list_images(folder)
        if not images:
            raise DataError(f"{folder} holds no images; give a folder of {', '.join(IMAGE_SUFFIXES)}")
    if isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4:
        images = list(images)
    if not isinstance(images, (list, tuple)):
        images = [images]
    if not images:
        raise ValueError("No image to predict: the list is empty.")
    return list(images)
