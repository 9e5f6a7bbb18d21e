"""How a model's judgement of an image is shown in every explorer: its map as heat, its score as a bar."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mrkd_edu.figures.heat import HEAT, THRESHOLDS_SHOWN, outline, overlay, shared_scale
from mrkd_edu.figures.style import TIMES
from mrkd_edu.judging.detector import Detector
from mrkd_edu.model import MRKD
from mrkd_edu.widgets.frame.panels import below, panel, write
from mrkd_edu.widgets.frame.paper import Colour, paper


def judged(
    image: np.ndarray,
    anomaly_map: np.ndarray,
    threshold: float,
    title: str,
    *,
    size: int = 320,
    colour: Colour | None = None,
    unit: str = "threshold",
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """A map over its image, under a title, with the score below: uint8 (h, size, 3).

    The colours run from 0 to 2 thresholds, so that equal colours of two models are equal multiples of their thresholds.

    Args:
        image: uint8 (S, S, 3).
        anomaly_map: (S, S).
        threshold: the model's.
        title: a line.
        size: side of the picture, pixels.
        colour: of the title.
        unit: what the threshold is called.
        mask: the true defect, bool (S, S), drawn as an outline.

    Example:
        >>> judged(np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64)), 0.5, "rd", size=100).shape
        (174, 100, 3)
    """
    heat = overlay(image, anomaly_map, shared_scale(threshold))
    if mask is not None and mask.any():
        heat = outline(heat, mask)
    score = in_thresholds(anomaly_map, threshold)
    return below([panel(heat, title, size=size, colour=colour), score_bar(score, size, unit)], gap=6)


def in_thresholds(anomaly_map: np.ndarray, threshold: float) -> float:
    """An image's score, the highest value of its map, in multiples of the threshold.

    Example:
        >>> in_thresholds(np.array([[0.1, 0.75]]), 0.5)
        1.5
    """
    return float(anomaly_map.max()) / threshold


def verdict(score: float) -> str:
    """What a score in thresholds means: a defect lies above the threshold.

    Example:
        >>> verdict(1.5), verdict(1.0)
        ('defect', 'normal')
    """
    return "defect" if score > 1 else "normal"


def verdict_title(name: str, score: float) -> str:
    """A model's verdict as the title of a picture, where a defect stands out.

    Example:
        >>> verdict_title("rd", 1.5), verdict_title("rd", 0.5)
        ('rd: DEFECT', 'rd: normal')
    """
    word = verdict(score)
    return f"{name}: {word.upper() if word == 'defect' else word}"


@torch.no_grad()
def see_once(models: Mapping[str, MRKD], images: Tensor) -> dict[str, list[Tensor]]:
    """What `see` gives for every model, (B, C_k, h_k, w_k) a scale; a teacher that several models have looks once."""
    looks: dict[tuple[object, ...], list[Tensor]] = {}
    seen = {}
    for name, model in models.items():
        look = model.teacher.fingerprint(), model.settings.strides, model.settings.precision, model.device
        with model.autocast():
            if look not in looks:
                looks[look] = model.teacher(images.to(model.device))
            raw = looks[look]
            seen[name] = raw if model.standardise is None else model.standardise(raw)
    return seen


def score_bar(multiple: float, width: int, unit: str = "threshold") -> np.ndarray:
    """A score as a bar from 0 to 2 thresholds, with the threshold marked: uint8 (h, width, 3)."""
    share = float(np.clip(multiple / THRESHOLDS_SHOWN, 0, 1))
    bar = np.full((18, width, 3), paper().band, np.uint8)
    bar[:, : int(share * width)] = np.rint(255 * np.array(HEAT(share)[:3]))
    middle = round(width / THRESHOLDS_SHOWN)
    for reach, colour in ((3, paper().page), (1, paper().ink)):  # the threshold; its rim shows it on any heat
        bar[:, middle - reach : middle + reach + 1] = colour
    return below([bar, write(width, f"score {multiple:.2f} {TIMES} {unit} (line)")], gap=2)


def rgb(colour: str) -> tuple[int, int, int]:
    """`"#D55E00"` to three numbers."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def common_size(who: str, models: Mapping[str, Detector]) -> int:
    """Side of the images of models that are to be compared, pixels.

    Args:
        who: asks for them; its name is in the message.
        models: name to model.

    Raises:
        ValueError: no model, models of different sizes, or one without a threshold.
    """
    sizes = {model.settings.size for model in models.values()}
    if len(sizes) != 1:
        raise ValueError(f"{who} needs models of one size; got sizes {sorted(sizes)}")
    for name, model in models.items():
        threshold_of(name, model)
    return sizes.pop()


def threshold_of(name: str, model: Detector) -> float:
    """The model's threshold.

    Raises:
        ValueError: it has none.
    """
    if not model.settings.threshold:
        raise ValueError(f"{name} has no threshold yet: take a model that `run` trained")
    return model.settings.threshold
