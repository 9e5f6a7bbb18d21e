"""The defect painter: paint on a product, and watch what the students say about it, and how much of it they copy.

The picture without paint is the twin of the one with it, so that leakage can be measured of every stroke. The canvas
(`painter.js`) lives in the browser; this file is what Python makes of the strokes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets

from mrkd_edu.data.images import as_batch
from mrkd_edu.figures.style import colour_of
from mrkd_edu.ilm import visible_change
from mrkd_edu.judging.detector import Detector
from mrkd_edu.leakage import mean_leakage
from mrkd_edu.model import MRKD
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.front_end import front_end
from mrkd_edu.widgets.frame.judgement import (
    common_size,
    in_thresholds,
    judged,
    rgb,
    see_once,
    threshold_of,
    verdict,
    verdict_title,
)
from mrkd_edu.widgets.frame.panels import View, bar, below, beside, png
from mrkd_edu.widgets.frame.pictures import Pictures, picture_menu, read_pictures

ANOTHER_PICTURE = 0.6  # share of changed pixels from which it is a photo of one's own, which has no twin
NOTHING_PAINTED = "nothing painted yet"


class Painter(anywidget.AnyWidget):
    """A canvas with tools.

    Attributes:
        base: PNG bytes of the picture without paint.
        value: raw RGBA bytes of the painted picture, (side, side, 4); empty while nothing is painted.
        side: of the canvas, pixels.
        sent: number of the browser's last report; it counts on where a report is like the one before.
        answered: counted up when a report was dealt with; the browser then sends the next one.
    """

    _esm = front_end(__file__, "painter.js")
    _css = front_end(__file__, "painter.css")
    base = traitlets.Bytes().tag(sync=True)
    value = traitlets.CBytes().tag(sync=True, echo_update=False)  # no echo: it would send every picture back
    side = traitlets.Int(256).tag(sync=True)
    sent = traitlets.Int(0).tag(sync=True, echo_update=False)
    answered = traitlets.Int(0).tag(sync=True)
    description = traitlets.Unicode("Painter").tag(sync=True)
    tooltip = traitlets.Unicode(
        "Paint a defect: drag with mouse, pen or finger; with the keyboard, arrows move and the space bar paints"
    ).tag(sync=True)
    _reported = b""

    @traitlets.observe("sent")
    def _answer_the_unchanged(self, _: object) -> None:
        """A picture like the one before has been judged: nobody else would answer."""
        if self.value == self._reported:
            self.answered += 1
        self._reported = self.value


def painted_image(base: np.ndarray, painted: bytes) -> np.ndarray:
    """What the canvas shows: the painted picture, or the base where nothing is painted. uint8 (S, S, 3).

    Raises:
        ValueError: bytes that are no picture of that size.

    Example:
        >>> base = np.zeros((2, 2, 3), np.uint8)
        >>> painted_image(base, bytes([9, 8, 7, 255]) * 4)[0, 0].tolist(), painted_image(base, b"").max()
        ([9, 8, 7], np.uint8(0))
    """
    if not painted:
        return base
    side = base.shape[0]
    if len(painted) != 4 * side * side:
        raise ValueError(f"the painter sent {len(painted)} bytes; a picture of side {side} has {4 * side**2}")
    return np.frombuffer(painted, np.uint8).reshape(side, side, 4)[..., :3].copy()


def render_judgement(models: Mapping[str, Detector], image: np.ndarray, twin: np.ndarray | None = None) -> View:
    """An image, the map of every model over it, their scores, and how much of what was painted each student copies.

    Args:
        models: name to calibrated model; all of one size.
        image: uint8 (S, S, 3), of the models' size.
        twin: the same picture without paint; None where there is none.
    """
    painted = None if twin is None else paint_of(image, twin)
    both = as_batch([image] if painted is None or twin is None else [image, twin])  # (1 or 2, 3, S, S)
    seen = see_once({name: model for name, model in models.items() if isinstance(model, MRKD)}, both)
    parts, said, values = [], [], {}
    for name, model in models.items():
        T = seen[name] if isinstance(model, MRKD) else model.see(both)
        with torch.no_grad():
            S = model.restore(T)
        of_image = [t[:1] for t in T], [s[:1] for s in S]
        anomaly_map = model.compare(*of_image)[0].cpu().numpy()  # (S, S)
        threshold = threshold_of(name, model)
        score = in_thresholds(anomaly_map, threshold)
        colour = rgb(colour_of(model.settings.variant))
        shown = [judged(image, anomaly_map, threshold, verdict_title(name, score), colour=colour)]
        words = f"{name}: {score:.2f} times its threshold, {verdict(score)}"
        values[name] = score
        if isinstance(model, MRKD):
            share = float("nan")
            if painted is not None:
                of_twin = [t[1:] for t in T], [s[1:] for s in S]
                share = mean_leakage(of_twin, of_image, torch.from_numpy(painted)[None])
            copied = NOTHING_PAINTED if np.isnan(share) else f"copies {100 * share:.0f} % of the paint"
            shown.append(bar(share, copied, width=shown[0].shape[1], colour=colour))
            if not np.isnan(share):
                words += f", copies {100 * share:.0f} %"
                values[f"{name} copies"] = share
        parts.append(below(shown, gap=6))
        said.append(words)
    return View(beside(parts), "; ".join(said) + ".", values)


def paint_of(image: np.ndarray, twin: np.ndarray) -> np.ndarray | None:
    """Where a picture was painted, bool (S, S); None where nothing was, or where it is another picture.

    Example:
        >>> twin = np.zeros((4, 4, 3), np.uint8)
        >>> image = twin.copy()
        >>> image[1, 2] = 200
        >>> int(paint_of(image, twin).sum()), paint_of(twin, twin), paint_of(twin + 9, twin)
        (1, None, None)
    """
    where = visible_change(twin, image)  # (S, S)
    return where if 0 < where.mean() < ANOTHER_PICTURE else None


def paint_defects(models: Mapping[str, Detector], images: Pictures) -> Explorer:
    """Paint on a product image, and see what the models say while you paint, and how much of the paint each copies.

    Args:
        models: name to calibrated model, for instance `{"rd": rd, "mrkd": mrkd}`; all of one size.
        images: normal images, files or arrays (H, W, 3), to start from.

    Raises:
        ValueError: no model, no list of images, models of different sizes or without a threshold.
        data.images.DataError: an image that cannot be read.
    """
    side = common_size("paint_defects", models)
    pictures = read_pictures("paint_defects", images, side)
    for model in models.values():
        model.eval()
    painter = Painter(side=side, base=png(pictures[0]))
    photo = picture_menu(len(pictures), "product", "which picture to paint on")

    def another(_: Any) -> None:
        with painter.hold_sync():  # one message: between two the browser would draw the old product
            painter.value = b""
            painter.base = png(pictures[photo.value])

    photo.observe(another, "value")

    def render(photo: int, painted: bytes) -> View:
        twin = pictures[photo]
        return render_judgement(models, painted_image(twin, painted), twin)

    def answer() -> None:
        painter.answered += 1

    return Explorer("paint_defects", {"photo": photo, "painted": painter}, render, after=answer)
