"""The picture of a training: loss and leakage so far, above the anomaly maps of a few fixed images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mrkd_edu.figures.heat import outline, scale_colours
from mrkd_edu.figures.style import TIMES, colour_of
from mrkd_edu.widgets.frame.chart import Axis, Curve, chart, leakage_axis
from mrkd_edu.widgets.frame.judgement import in_thresholds, judged, rgb
from mrkd_edu.widgets.frame.panels import GAP, LARGEST, WIDTH, View, below, beside, panel, write
from mrkd_edu.widgets.frame.paper import paper

SCALE = 140  # width of the colour scale, pixels
DECADE = (1, 2, 5)


@dataclass(frozen=True)
class TrainingState:
    """How far a training has come, and what it looks like.

    Attributes:
        variant: of the model.
        steps: of the whole training.
        images: uint8 (N, S, S, 3), those that are shown.
        names: what they are, one each.
        masks: true defects, bool (N, S, S); all False where none is known.
        loss: of every step so far.
        leakage: step and leakage, mean over the scales, at every look.
        maps: (N, S, S), of the last look; None before the first.
        level: the score that has the middle colour.
        calibrated: whether that is the model's threshold; before the end, it is the highest score of a few held-out
            normal images.
    """

    variant: str
    steps: int
    images: np.ndarray
    names: Sequence[str]
    masks: np.ndarray
    loss: Sequence[float] = ()
    leakage: Sequence[tuple[int, float]] = ()
    maps: np.ndarray | None = None
    level: float = 1.0
    calibrated: bool = False


def render_training(state: TrainingState) -> View:
    """Loss and leakage so far, above the maps of the images. All maps share one colour scale, 0 to 2 levels.

    Returns:
        `values` has `step`, and when they are known `loss`, `leakage`, and `score_1` to `score_N` in levels.

    Example:
        >>> black = np.zeros((1, 64, 64, 3), np.uint8)
        >>> state = TrainingState("rd", 100, black, ["good"], np.zeros((1, 64, 64), bool), loss=[2.0, 1.5])
        >>> render_training(state).values
        {'step': 2, 'loss': 1.5}
    """
    done, n = len(state.loss), len(state.images)
    values: dict[str, float] = {"step": done}
    if done:
        values["loss"] = state.loss[-1]
    if state.leakage:
        values["leakage"] = state.leakage[-1][1]
    side = min(LARGEST, (WIDTH - GAP * (n - 1)) // n)
    unit = "threshold" if state.calibrated else "highest normal"
    shown = []
    for i, (image, name, mask) in enumerate(zip(state.images, state.names, state.masks, strict=True)):
        if state.maps is None:
            shown.append(panel(outline(image, mask) if mask.any() else image, name, size=side))
        else:
            values[f"score_{i + 1}"] = in_thresholds(state.maps[i], state.level)
            shown.append(judged(image, state.maps[i], state.level, name, size=side, unit=unit, mask=mask))
    return View(below([_curves(state), _caption(state), beside(shown)]), _finding(state, values, unit), values)


# ---- how it is done ----------------------------------------------------------------------------------------


def _caption(state: TrainingState) -> np.ndarray:
    """What is seen below, and what its colours mean: uint8 (h, WIDTH, 3)."""
    cyan = ", cyan: true defect" if state.masks.any() else ""
    if state.maps is None:
        return write(WIDTH, f"The images that are watched{cyan}")
    unit = "the threshold" if state.calibrated else "the highest held-out normal score"
    scale = np.tile(scale_colours(SCALE), (18, 1, 1))
    bar = cv2.copyMakeBorder(scale, 3, 3, 0, 0, cv2.BORDER_CONSTANT, value=paper().page)
    what = write(WIDTH - SCALE - 4 * GAP, f"Anomaly maps{cyan}; colours: 0 to 2 {TIMES} {unit}")
    return beside([what, write(GAP, "0"), bar, write(GAP, "2")], gap=8)


def _curves(state: TrainingState) -> np.ndarray:
    """Loss and leakage over the steps: uint8 (h, WIDTH, 3)."""
    done, half, colour = len(state.loss), (WIDTH - GAP) // 2, rgb(colour_of(state.variant))
    ticks = tuple((float(t), str(t)) for t in sorted({0, state.steps // 2, state.steps}))
    across = Axis(0, state.steps, ticks, "training step")
    step, leaks = [s for s, _ in state.leakage], [v for _, v in state.leakage]
    loss = f"loss of {state.variant}" + (f": {state.loss[-1]:.3f}" if done else "") + " (logarithmic axis)"
    copied = "leakage, mean over scales" + (f": {round(100 * leaks[-1])} %" if leaks else "")
    losses, leakages = Curve(range(1, done + 1), state.loss, colour, dots=0), Curve(step, leaks, colour)
    return beside(
        [
            chart(loss, across, loss_axis(state.loss), [losses], width=half, now=done),
            chart(copied, across, leakage_axis(leaks), [leakages], width=half, now=done),
        ]
    )


def loss_axis(loss: Sequence[float]) -> Axis:
    """A logarithmic axis that ends at 1, 2 or 5 times a power of ten, and so seldom jumps.

    Example:
        >>> axis = loss_axis([3.9, 0.42])
        >>> axis.low, axis.high, [text for _, text in axis.ticks]
        (0.2, 5.0, ['0.2', '0.5', '1', '2', '5'])
    """
    steps = [float(f"{m}e{e}") for e in range(-6, 4) for m in DECADE]
    least, most = (min(loss), max(loss)) if len(loss) else (1, 2)
    low = max((s for s in steps if s <= least), default=steps[0])
    high = min((s for s in steps if s >= most and s > low), default=steps[-1])
    return Axis(low, high, tuple((s, f"{s:g}") for s in steps if low <= s <= high), log=True)


def _finding(state: TrainingState, values: dict[str, float], unit: str) -> str:
    if not state.loss:
        return f"{state.variant} before its first of {state.steps} steps."
    says = f"{state.variant} after {len(state.loss)} of {state.steps} steps: loss {values['loss']:.3f}"
    if "leakage" in values:
        says += f", {round(100 * values['leakage'])} % of a defect copied"
    if state.maps is not None:
        scores = ", ".join(f"{name} {values[f'score_{i + 1}']:.2f}" for i, name in enumerate(state.names))
        says += f"; scores in units of the {unit}: {scores}"
    return says + "."
