r"""MRKD: teacher and student in one object, in four variants.

=======  ===  ===  =====================================================================
variant  ILM  FLM  the student's task
=======  ===  ===  =====================================================================
`rd`     no   no   reproduce the normal image's features (RD4AD, the baseline)
`ilm`    yes  no   restore the normal features from those of an image with a synthetic defect
`flm`    no   yes  restore features of which random positions are hidden
`mrkd`   yes  yes  both
=======  ===  ===  =====================================================================

This file wires the parts; each part has a file of its own. Training is in `train.py`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from scipy import stats
from torch import Tensor, nn

from mrkd_edu import __version__
from mrkd_edu.backbones.efficientnet_lite import WeightsNotFound
from mrkd_edu.data.images import ImageStack, list_images, read_image, some_images
from mrkd_edu.distance import add_scales, cosine_distance, image_score
from mrkd_edu.flm import FeatureMasking
from mrkd_edu.judging.mahalanobis import Mahalanobis
from mrkd_edu.recipe import RECIPES, Distance
from mrkd_edu.runtime.hardware import Precision, autocast, format_name, number_format, pick_device
from mrkd_edu.runtime.manifest import ModelError, read_model, write_model
from mrkd_edu.standardise import Standardise
from mrkd_edu.student import Student
from mrkd_edu.teacher import OFFLINE_TEACHER, Teacher

Variant = Literal["nn", "gauss", "template", "rd", "ilm", "flm", "mrkd"]
VARIANTS: tuple[Variant, ...] = ("rd", "ilm", "flm", "mrkd")
BASELINES: tuple[Variant, ...] = ("nn", "gauss", "template")  # no student: neighbours.py and controls.py
DISTANCES: tuple[Distance, ...] = ("cosine", "mahalanobis")
ROUNDING = 1e-3  # share of a score that rounding may change, in another batch or on another machine
FLOOR = 0.3  # of the cosine distance of standardised features; docs/recipe.md has the measurements
ImageLike = str | Path | Image.Image | np.ndarray | Tensor


def verdict(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """Which scores are above the threshold: (N,) bool.

    Raises:
        ModelError: the model was never calibrated.
    """
    if threshold is None:
        raise ModelError("This model has no threshold yet: call model.calibrate(scores_of_normal_images) first.")
    if not (math.isfinite(threshold) and np.isfinite(scores).all()):
        raise ModelError(  # a comparison with NaN is False, and False would read "normal"
            f"There is no verdict: the threshold is {threshold:g}, and {int((~np.isfinite(scores)).sum())} of "
            f"{np.size(scores)} scores are NaN or infinite. The model is damaged, or its number format is too small: "
            "train again, with --precision fp32."
        )
    return scores > threshold


@dataclass(frozen=True)
class Prediction:
    """What the model says about N images.

    Attributes:
        score: (N,) one number an image, higher where more anomalous.
        anomaly_map: (N, size, size) float32, at the model's working size.
        image: (N, size, size, 3) uint8, what the model looked at.
        threshold: scores above it are called defective; None when the model has none yet.
    """

    score: np.ndarray
    anomaly_map: np.ndarray
    image: np.ndarray
    threshold: float | None

    @property
    def defective(self) -> np.ndarray:
        """(N,) bool: score above the threshold.

        Raises:
            ModelError: the model was never calibrated.
        """
        return verdict(self.score, self.threshold)

    def __len__(self) -> int:
        return len(self.score)


@dataclass
class Settings:
    """All that is needed to build a model again. Saved as JSON beside the weights."""

    backbone: str = OFFLINE_TEACHER
    variant: Variant = "mrkd"
    size: int = 256
    strides: tuple[int, ...] = (4, 8, 16)
    width: int | None = None
    squeeze: int = 2
    standardise: bool = False
    drop: float | tuple[float, ...] = 0.2
    residual: bool = True
    precision: Precision = "auto"
    distance: Distance = "cosine"
    weights: tuple[float, ...] | None = None
    threshold: float | None = None
    threshold_in: Precision | None = None  # the number format of the scores that the threshold was chosen from
    history: dict[str, Any] = field(default_factory=dict)


class Detector(nn.Module):
    """What every detector can do once it has anomaly maps: predict, and choose a threshold from normal images.

    A subclass gives `settings`, `teacher`, `features` and `anomaly_maps`.
    """

    settings: Settings
    teacher: Teacher

    def features(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Images (B, 3, size, size) to the teacher's maps and to what the detector expects there."""
        raise NotImplementedError

    def anomaly_maps(self, images: Tensor) -> Tensor:
        """Images (B, 3, size, size) to anomaly maps (B, size, size), float32 on the detector's device."""
        raise NotImplementedError

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

    def predict(self, images: ImageLike | Sequence[ImageLike], *, batch: int = 16) -> Prediction:
        """Score images of any size and mode.

        Args:
            images: a file, a folder, a PIL image, an array (H, W), (H, W, 3) or (N, H, W, 3), a tensor (3, H, W)
                or (N, 3, H, W), or a list of these. See `data.images.read_image` for what is accepted.
            batch: how many go through the network at a time.

        Raises:
            data.images.DataError: an image that cannot be read; the message names it.
        """
        self.eval()
        sources = _as_list(images)
        pixels, maps = [], []
        for start in range(0, len(sources), batch):
            part = sources[start : start + batch]
            chunk = np.stack([read_image(source, self.settings.size) for source in part])  # (B, S, S, 3)
            pixels.append(chunk)
            maps.append(self.anomaly_maps(torch.from_numpy(chunk).permute(0, 3, 1, 2)).cpu())
        joined = torch.cat(maps)  # (N, S, S)
        return Prediction(image_score(joined).numpy(), joined.numpy(), np.concatenate(pixels), self.settings.threshold)

    def calibrate(self, scores: np.ndarray, false_alarms: float = 0.05) -> float:
        r"""Set the threshold from the scores of *normal* images the student was not trained on.

        No defect is needed to choose it, so none can be cheated with. For scores of mean :math:`\mu` and standard
        deviation :math:`s` from :math:`n` images, it is the prediction limit of one more normal score,

        .. math:: \mu + t_{n-1,\,1-\alpha} \; s \sqrt{1 + 1/n},

        which a share :math:`\alpha` of new normal images exceeds if scores are normally distributed. Student's
        :math:`t` widens it where few images make :math:`s` unsure. Scores that are all the same are taken to spread by
        a thousandth, for the next one may be rounded otherwise.

        Args:
            scores: (n,) of normal images.
            false_alarms: :math:`\alpha`, the share of normal images that may be called defective.

        Returns:
            The threshold, also stored in `settings.threshold`.

        Raises:
            ValueError: fewer than 2 scores, a score that is not finite, or a share outside (0, 1).
        """
        scores = np.asarray(scores, dtype=np.float64)
        n = len(scores)
        if n < 2 or not np.isfinite(scores).all():
            raise ValueError(f"A threshold needs at least 2 finite scores of normal images; got {n}.")
        if not 0 < false_alarms < 1:
            raise ValueError(f"false_alarms is a share between 0 and 1; got {false_alarms}.")
        reach = stats.t.ppf(1 - false_alarms, n - 1) * np.sqrt(1 + 1 / n)
        spread = max(scores.std(ddof=1), ROUNDING * abs(scores.mean()))
        if self.settings.threshold is None or self.settings.threshold_in is None:
            self.settings.threshold_in = format_name(self.device, self.settings.precision)
        self.settings.threshold = float(scores.mean() + reach * spread)
        return self.settings.threshold


class Restorer(Detector):
    """A detector that holds the teacher's features against what they should have been.

    A subclass gives `restore`: features in, the answer out. What else is needed to judge an image is here: scales,
    standardised features, the two distances, and the anomaly map.

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
        """Images (B, 3, size, size) to the teacher's maps :math:`T_k`, standardised if the model does so."""
        maps = self.teacher(images.to(self.device))
        return maps if self.standardise is None else self.standardise(maps)

    def restore(self, features: list[Tensor], generator: torch.Generator | None = None) -> list[Tensor]:
        """Teacher features to what they should have been, :math:`S_k`."""
        raise NotImplementedError

    def features(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Images (B, 3, size, size) to the teacher's and the student's maps, one a scale."""
        with self.autocast():
            teacher = self.see(images)
            return teacher, self.restore(teacher)

    forward = features

    @torch.no_grad()
    def learn_channels(self, images: ImageStack | Tensor) -> None:
        """Standardise by 64 of the normal images at most, see `standardise.py`. Nothing where the model does not."""
        if self.standardise is not None:
            with self.autocast():
                maps = [self.teacher(part.to(self.device)) for part in some_images(images).split(16)]
            self.standardise.learn([torch.cat(parts) for parts in zip(*maps, strict=True)])

    @torch.no_grad()
    def learn_residuals(self, images: Tensor) -> None:
        """What residuals are like on normal images, (N, 3, size, size), see `mahalanobis.py`."""
        self.eval()
        teacher, student = zip(*(self.features(part) for part in images.split(16)), strict=True)
        self.mahalanobis.learn(list(teacher), list(student))

    @property
    def floor(self) -> float:
        """Damping of short vectors in the cosine distance: for standardised features only, see `distance.py`."""
        return FLOOR if self.settings.standardise else 0.0

    @torch.no_grad()
    def distances(self, teacher: list[Tensor], student: list[Tensor]) -> list[Tensor]:
        """Two answers, K maps (B, C_k, h_k, w_k) each, to the model's distance at each position, (B, h_k, w_k)."""
        if self.settings.distance == "mahalanobis":
            return self.mahalanobis(teacher, student)
        return [cosine_distance(t, s, self.floor) for t, s in zip(teacher, student, strict=True)]

    @torch.no_grad()
    def compare(self, teacher: list[Tensor], student: list[Tensor]) -> Tensor:
        """Two answers, K maps (B, C_k, h_k, w_k) each, to anomaly maps (B, size, size) as this model makes them.

        The student's need not be what it said of this image: that is how one asks what would have been.
        """
        return self.add(self.distances(teacher, student), self.settings.weights)

    def add(self, distances: list[Tensor], weights: Sequence[float] | None) -> Tensor:
        """Distances of some scales, (B, h_k, w_k), to anomaly maps (B, size, size)."""
        size = self.settings.size
        return add_scales(distances, (size, size), weights=weights, sigma=size / 64)  # the papers: 4 pixels at 256

    @torch.no_grad()
    def judge(self, teacher: list[Tensor]) -> Tensor:
        """The teacher's maps, as `see` gives them, to anomaly maps (B, size, size), float32."""
        with self.autocast():
            student = self.restore(teacher)
        return self.compare(teacher, student)

    @torch.no_grad()
    def anomaly_maps(self, images: Tensor) -> Tensor:
        """Images (B, 3, size, size) to anomaly maps (B, size, size), float32 on the model's device."""
        with self.autocast():
            teacher = self.see(images)
        return self.judge(teacher)


class MRKD(Restorer):
    r"""A frozen teacher, a student that learns to imitate it on normal images, and their distance.

    Args:
        backbone: the teacher, a key of `teacher.BACKBONES`.
        variant: `"rd"`, `"ilm"`, `"flm"` or `"mrkd"`.
        size: side of the square that every image is resized to, pixels; a multiple of twice the coarsest stride.
        strides: of the scales, each twice the one before.
        width: channels of the student's bottleneck; None takes the paper's rule, see `student.Bottleneck`.
        squeeze: 2 halves the coarsest scale once more in the bottleneck, as the papers do; 1 does not.
        standardise: whether the teacher's channels are brought to one size, see `standardise.py`.
        drop: FLM's :math:`\lambda`, one number or one per scale.
        residual: whether FLM's generation modules start as the identity.
        precision: number format of the networks; `"auto"` is the one that is quick on the device.
        distance: `"cosine"`, the papers', or `"mahalanobis"`, see `mahalanobis.py`.
        seed: of the student's initial weights.
        pretrained: `False` gives the teacher random weights, for tests of shapes only.

    Raises:
        ValueError: unknown variant, backbone or precision, or a size that does not fit the scales.

    Example:
        >>> model = MRKD(variant="rd", size=64)
        >>> photo = np.zeros((480, 640, 3), np.uint8)
        >>> prediction = model.predict(photo)
        >>> prediction.anomaly_map.shape, prediction.score.shape
        ((1, 64, 64), (1,))
    """

    def __init__(
        self,
        backbone: str = OFFLINE_TEACHER,
        variant: Variant = "mrkd",
        *,
        size: int = 256,
        strides: tuple[int, ...] = RECIPES["workshop"].strides,
        width: int | None = RECIPES["workshop"].width,
        squeeze: int = RECIPES["workshop"].squeeze,
        standardise: bool = RECIPES["workshop"].standardise,
        drop: float | tuple[float, ...] = RECIPES["workshop"].drop,
        residual: bool = RECIPES["workshop"].residual,
        precision: Precision = "auto",
        distance: Distance = RECIPES["workshop"].distance,
        seed: int = 0,
        pretrained: bool = True,
    ):
        if variant not in VARIANTS:
            raise ValueError(f"Unknown variant {variant!r}. Choose one of: {', '.join(VARIANTS)}.")
        coarsest = squeeze * strides[-1]  # the bottleneck may halve the coarsest scale once more
        if size < coarsest or size % coarsest:
            raise ValueError(f"size must be a multiple of {coarsest} pixels, for instance 256; got {size}.")
        strides = tuple(strides)
        settings = Settings(
            backbone, variant, size, strides, width, squeeze, standardise, drop, residual, precision, distance
        )
        with torch.random.fork_rng(devices=[]):  # the caller's own random numbers stay as they would have been
            super().__init__(settings, pretrained=pretrained)
            torch.default_generator.manual_seed(seed)
            self.student = Student(
                self.teacher, width=width, squeeze=squeeze, signed=standardise or self.teacher.signed
            )
            self.flm = FeatureMasking(self.teacher.channels, drop, residual=residual) if self.masks_features else None
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval()

    @property
    def masks_images(self) -> bool:
        """Whether training pastes synthetic anomalies (ILM)."""
        return self.settings.variant in ("ilm", "mrkd")

    @property
    def masks_features(self) -> bool:
        """Whether training hides feature positions (FLM)."""
        return self.settings.variant in ("flm", "mrkd")

    def restore(self, features: list[Tensor], generator: torch.Generator | None = None) -> list[Tensor]:
        """Teacher features to student features :math:`S_k`; FLM masks them in training, with `generator`."""
        maps = self.student(features)
        return maps if self.flm is None else self.flm(maps, generator)

    def save(self, folder: str | Path) -> Path:
        """Write `model.safetensors` (student and FLM; the teacher is fetched by name) and `model.json`.

        Raises:
            writing.NotWritten: the folder cannot be written, or the disk is full; what was there before stays.
        """
        weights = {k: v.contiguous() for k, v in self.state_dict().items() if not k.startswith("teacher.")}
        folder = Path(folder)
        write_model(folder, to_bytes(weights), asdict(self.settings), self.teacher.fingerprint(), __version__)
        return folder

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> MRKD:
        """Read what `save` wrote.

        Raises:
            ModelError: no model there, damaged files, files that do not fit, or another teacher's student.
            WeightsNotFound: the teacher's weights are missing.
        """
        folder = Path(folder)
        manifest, content = read_model(folder)
        settings = manifest.settings.model_dump()
        learned = {name: settings.pop(name) for name in ("weights", "threshold", "threshold_in", "history")}
        try:
            weights = from_bytes(content)
            model = cls(**settings)
        except WeightsNotFound:
            raise
        except SafetensorError as error:
            raise ModelError(f"{folder / 'model.safetensors'} is damaged ({error}). Train again.") from error
        except (ValueError, RuntimeError) as error:  # settings that are each possible, but not together
            raise ModelError(f"{folder / 'model.json'} describes no possible model: {error} Train again.") from error
        model.settings = replace(model.settings, **learned)
        if learned["weights"] is not None and len(learned["weights"]) != len(model.settings.strides):
            raise ModelError(
                f"{folder / 'model.json'} has weights for {len(learned['weights'])} scales, but the model has "
                f"{len(model.settings.strides)}. Train again."
            )
        if manifest.teacher_fingerprint != model.teacher.fingerprint():
            raise ModelError(
                f"The student in {folder} was trained with other weights of {model.settings.backbone} than those "
                "installed here. Install the same weights, or train again."
            )
        here = {k: v.shape for k, v in model.state_dict().items() if not k.startswith("teacher.")}
        if {k: v.shape for k, v in weights.items()} != here:
            raise ModelError(f"{folder / 'model.safetensors'} does not fit {folder / 'model.json'}. Train again.")
        if odd := [k for k, v in weights.items() if v.is_floating_point() and not v.isfinite().all()]:
            raise ModelError(f"{folder / 'model.safetensors'} holds NaN or infinity, in {odd[0]}. Train again.")
        model.load_state_dict(weights, strict=False)  # not strict: the teacher is not in the file
        return model.to(pick_device(device)).eval()


def _as_list(images: Any) -> list[Any]:
    """One image, a folder, a batch or a list to a list of single images."""
    if isinstance(images, (str, Path)) and os.path.isdir(images):
        images = list_images(Path(images))
    if isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4:
        images = list(images)
    if not isinstance(images, (list, tuple)):
        images = [images]
    if not images:
        raise ValueError("No image to predict: the list or folder is empty.")
    return list(images)
