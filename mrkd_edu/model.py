r"""MRKD: teacher and student in one object, in four variants.

=======  ===  ===  =====================================================================
variant  ILM  FLM  the student's task
=======  ===  ===  =====================================================================
`rd`     no   no   reproduce the normal image's features (RD4AD, the baseline)
`ilm`    yes  no   restore the normal features from those of an image with a synthetic defect
`flm`    no   yes  restore features of which random positions are hidden
`mrkd`   yes  yes  both
=======  ===  ===  =====================================================================

This file wires the parts; each part has a file of its own. What a model does with an image, `see`, `restore` and
`compare`, is in `judging/detector.py`; training is in `train.py`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from mrkd_edu import __version__
from mrkd_edu.backbones.entry import OFFLINE_TEACHER, WeightsNotFound
from mrkd_edu.flm import FeatureMasking
from mrkd_edu.judging.detector import Baseline, Restorer, Settings, Variant
from mrkd_edu.runtime.hardware import Precision, pick_device
from mrkd_edu.runtime.manifest import ModelError, read_model, write_model
from mrkd_edu.student import Student

VARIANTS: tuple[Variant, ...] = get_args(Variant)
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
ONE_AT_A_TIME = Lock()  # initial weights are drawn from torch's one generator, which threads share


class MRKD(Restorer):
    r"""A frozen teacher, a student that learns to imitate it on normal images, and their distance.

    Args:
        backbone: the teacher, a key of `backbones.registry.BACKBONES`.
        variant: `"rd"`, `"ilm"`, `"flm"` or `"mrkd"`.
        size: side of the square that every image is resized to, pixels; a multiple of twice the coarsest stride.
        precision: number format of the networks; `"auto"` is the one that is quick on the device.
        seed: of the student's initial weights.
        pretrained: `False` gives the teacher random weights, for tests of shapes only.
        architecture: strides, width and so on, see `recipe.Architecture`.

    Raises:
        ValueError: unknown variant, backbone or precision, or a size that does not fit the scales.

    Example:
        >>> model = MRKD(variant="rd", size=64)
        >>> prediction = model.predict(torch.zeros(3, 480, 640, dtype=torch.uint8))
        >>> prediction.anomaly_map.shape, prediction.score.shape
        ((1, 64, 64), (1,))
    """

    def __init__(
        self,
        backbone: str = OFFLINE_TEACHER,
        variant: Variant = "mrkd",
        *,
        size: int = 256,
        precision: Precision = "auto",
        seed: int = 0,
        pretrained: bool = True,
        **architecture: Any,
    ):
        if variant not in VARIANTS:
            raise ValueError(f"Unknown variant {variant!r}. Choose one of: {', '.join(VARIANTS)}.")
        settings = Settings(backbone=backbone, variant=variant, size=size, precision=precision, **architecture)
        settings.strides = tuple(settings.strides)
        coarsest = settings.squeeze * settings.strides[-1]  # the bottleneck may halve the coarsest scale once more
        if size < coarsest or size % coarsest:
            raise ValueError(f"size must be a multiple of {coarsest} pixels, for instance 256; got {size}.")
        with ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):  # the caller's own random numbers stay as they were
            super().__init__(settings, pretrained=pretrained)
            torch.default_generator.manual_seed(seed)
            signed = settings.standardise or self.teacher.signed
            self.student = Student(self.teacher, width=settings.width, squeeze=settings.squeeze, signed=signed)
            self.flm = None
            if self.masks_features:
                self.flm = FeatureMasking(self.teacher.channels, settings.drop, residual=settings.residual)
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
        """:math:`T_k` to the student's answer :math:`S_k`; in training FLM hides positions, drawn with `generator`."""
        with self.autocast():
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
        manifest, content = read_model(folder, Settings)
        said = manifest.settings
        try:
            weights = from_bytes(content)
            model = cls(said.backbone, said.variant, size=said.size, precision=said.precision, **said.architecture)  # type: ignore[arg-type]
        except WeightsNotFound:
            raise
        except (SafetensorError, KeyError) as error:  # the second: numbers of a type that torch does not have
            raise ModelError(f"{folder / 'model.safetensors'} is damaged ({error}). Train again.") from error
        except (ValueError, RuntimeError) as error:  # settings that are each possible, but not together
            raise ModelError(f"{folder / 'model.json'} describes no possible model: {error} Train again.") from error
        model.settings = said
        if said.weights is not None and len(said.weights) != len(said.strides):
            raise ModelError(
                f"{folder / 'model.json'} has weights for {len(said.weights)} scales, but the model has "
                f"{len(said.strides)}. Train again."
            )
        if manifest.teacher_fingerprint != model.teacher.fingerprint():
            raise ModelError(
                f"The student in {folder} was trained with other weights of {model.settings.backbone} than those "
                "installed here. Install the same weights, or train again."
            )
        here = {k: (v.shape, v.dtype) for k, v in model.state_dict().items() if not k.startswith("teacher.")}
        if {k: (v.shape, v.dtype) for k, v in weights.items()} != here:
            raise ModelError(f"{folder / 'model.safetensors'} does not fit {folder / 'model.json'}. Train again.")
        if odd := [k for k, v in weights.items() if v.is_floating_point() and not v.isfinite().all()]:
            raise ModelError(f"{folder / 'model.safetensors'} holds NaN or infinity, in {odd[0]}. Train again.")
        model.load_state_dict(weights, strict=False)  # not strict: the teacher is not in the file
        return model.to(pick_device(device)).eval()
