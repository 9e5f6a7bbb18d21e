"""Charts that are put together fast: axes, curves and moving points as arrays, in a few milliseconds.

A matplotlib figure takes a tenth of a second, too long for a picture that follows a hand or a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

from mrkd_edu.widgets.frame.panels import GAP, LINE, below, beside, font, write
from mrkd_edu.widgets.frame.paper import Colour, drawn_once, paper, readable

SMALL = 14  # height of the letters at the axes, pixels
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 8, 2 * LINE  # pixels around the field of the curves
POINTER = -1  # instead of a curve's number: the point lies further to the right
LADDER = (0.2, 0.5, 1.0, 2.0, 5.0)  # upper ends of an axis of shares


@dataclass(frozen=True)
class Axis:
    """One direction of a chart.

    Attributes:
        low, high: its ends.
        ticks: values with what is written there.
        label: what is counted.
        log: whether equal factors, instead of equal differences, are equally far apart.

    Example:
        >>> Axis(1, 100, log=True).share(10), Axis(0, 10).share(1)
        (0.5, 0.1)
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    label: str = ""
    log: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 1; what is beyond an end lies at the end."""
        return float(self.shares([value])[0])

    def shares(self, values: ArrayLike) -> np.ndarray:
        """The same of many values, (N,); what is not a number stays so."""
        low, high, along = (
            np.log(np.maximum(v, 1e-12)) if self.log else np.asarray(v, float) for v in (self.low, self.high, values)
        )
        return np.clip((along - low) / (high - low), 0, 1)


def leakage_axis(values: Sequence[float]) -> Axis:
    """An axis for leakage in percent: small ones are shown large, in few fixed steps so that it seldom jumps.

    Example:
        >>> leakage_axis([0.02, 0.3]).high, leakage_axis([]).high
        (0.5, 0.2)
    """
    top = next((step for step in LADDER if step >= max(values, default=0)), LADDER[-1])
    return Axis(-top / 5, top, tuple((t, f"{100 * t:.0f} %") for t in (0.0, top / 2, top)))


@dataclass(frozen=True)
class Curve:
    """A line through points; what is not a number is a gap.

    Attributes:
        x, y: the points.
        colour: of the line.
        name: in the legend; "" for none.
        dots: every how many points one is marked; 0 for none.
        thick: width of the line, pixels.
    """

    x: Sequence[float]
    y: Sequence[float]
    colour: Colour
    name: str = ""
    dots: int = 1
    thick: int = 2


def chart(
    title: str,
    x: Axis,
    y: Axis,
    curves: Sequence[Curve],
    *,
    width: int,
    height: int = 200,
    now: float | None = None,
    line: float | None = None,
    spot: tuple[int, float, float] | None = None,
    legend: str = "",
) -> np.ndarray:
    """Curves in a field with axes, under a title, with a legend of their names: uint8 (h, width, 3).

    Curves differ in the shape of their dots as well as in colour. Thick ones lie below thin ones, so that both can be
    seen where they run together.

    Args:
        title: what is seen, or what goes up the vertical axis.
        x, y: the axes.
        curves: drawn in this order, as far as they are equally thick.
        width, height: of the picture, and of the field with its axes, pixels.
        now: where on the horizontal axis one is: a vertical line, and a large dot on every curve with a point there.
        line: a value of the vertical axis that is marked by a dashed line.
        spot: number of a curve, x and y: a large dot there; where x is beyond the axis, a pointer at the border.
        legend: a short word before the names of the curves.

    Example:
        >>> chart("score", Axis(0, 1), Axis(0, 2), [Curve([0, 1], [0.5, 1.5], (0, 0, 0))], width=300).shape
        (224, 300, 3)
    """
    field = _axes(width, height, x, y).copy()
    if line is not None:
        level = _place(field, x, y, x.low, line)[1]
        for start in range(LEFT, width - RIGHT, 12):
            cv2.line(field, (start, level), (start + 6, level), paper().ink, 2)
    if now is not None:
        column = _place(field, x, y, now, y.low)[0]
        cv2.line(field, (column, TOP), (column, height - BOTTOM), (150, 150, 150), 1)
    for i, curve in sorted(enumerate(curves), key=lambda numbered: -numbered[1].thick):
        _draw(field, x, y, curve, i, now)
    if spot is not None:
        number, a, b = spot
        _large_dot(field, _place(field, x, y, a, b), curves[number].colour, POINTER if a > x.high else number)
    named = [_name(f"{'●■▲'[i % 3]} {c.name}", c.colour) for i, c in enumerate(curves) if c.name]
    return below([write(width, title, bold=True), *_rows(legend, named, width), field], gap=0)[:, :width]


def _name(text: str, colour: Colour) -> np.ndarray:
    return write(round(font(True).getlength(text)) + 2 * GAP, text, bold=True, colour=colour)


def _rows(first: str, named: Sequence[np.ndarray], width: int) -> list[np.ndarray]:
    """The names of the curves, in as many rows as they need, after a word in the first one."""
    rows: list[list[np.ndarray]] = []
    for name in named:
        if not rows or sum(n.shape[1] for n in rows[-1]) + name.shape[1] > width - LEFT:
            rows.append([])
        rows[-1].append(name)
    return [beside([write(LEFT - 8, "" if i else first), write(8, ""), *row], gap=0) for i, row in enumerate(rows)]


def _draw(field: np.ndarray, x: Axis, y: Axis, curve: Curve, number: int, now: float | None) -> None:
    """One curve onto the field, and its large dot where one is now."""
    across, up = np.asarray(curve.x, float), np.asarray(curve.y, float)
    known = np.flatnonzero(~np.isnan(up))
    places = dict(zip(known.tolist(), _places(field, x, y, across[known], up[known]), strict=True))
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        if len(run) > 1:
            line = np.array([places[i] for i in run])
            cv2.polylines(field, [line], False, readable(curve.colour), curve.thick, cv2.LINE_AA)
    for i, place in places.items():
        at = int(place[0]), int(place[1])
        if across[i] == now:
            _large_dot(field, at, curve.colour, number)
        elif curve.dots and i % curve.dots == 0:
            _dot(field, at, 3, readable(curve.colour), number)


def _large_dot(field: np.ndarray, place: tuple[int, int], colour: Colour, number: int) -> None:
    for radius, fill in ((10, paper().ink), (9, paper().page), (7, readable(colour))):
        _dot(field, place, radius, fill, number)


def _dot(field: np.ndarray, place: tuple[int, int], radius: int, colour: Colour, number: int) -> None:
    """A disc, a square, a triangle or a pointer."""
    column, row = place
    if number == POINTER:
        corners = [(column + radius, row), (column - radius, row - radius), (column - radius, row + radius)]
        cv2.fillPoly(field, [np.array(corners, np.int32)], colour, cv2.LINE_AA)
    elif number % 3 == 0:
        cv2.circle(field, place, radius, colour, -1, cv2.LINE_AA)
    elif number % 3 == 1:
        cv2.rectangle(field, (column - radius, row - radius), (column + radius, row + radius), colour, -1)
    else:
        corners = [(column - radius, row + radius), (column + radius, row + radius), (column, row - radius)]
        cv2.fillPoly(field, [np.array(corners, np.int32)], colour, cv2.LINE_AA)


def _place(field: np.ndarray, x: Axis, y: Axis, a: float, b: float) -> tuple[int, int]:
    """Column and row of a point."""
    column, row = _places(field, x, y, [a], [b])[0]
    return int(column), int(row)


def _places(field: np.ndarray, x: Axis, y: Axis, a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Column and row of N points: int32 (N, 2)."""
    height, width = field.shape[:2]
    columns = LEFT + x.shares(a) * (width - LEFT - RIGHT)
    rows = height - BOTTOM - y.shares(b) * (height - TOP - BOTTOM)
    return np.rint(np.stack([columns, rows], axis=1)).astype(np.int32)


@drawn_once
def _axes(width: int, height: int, x: Axis, y: Axis) -> np.ndarray:
    """The empty field: grid, ticks and labels, uint8 (height, width, 3)."""
    canvas, look = Image.new("RGB", (width, height), paper().page), paper()
    pen = ImageDraw.Draw(canvas)
    field = np.asarray(canvas)
    letters = font(False, SMALL)
    bottom = height - BOTTOM
    for value, text in y.ticks:
        _, row = _place(field, x, y, x.low, value)
        pen.line([(LEFT, row), (width - RIGHT, row)], look.grid)
        pen.text((LEFT - 6, row), text, fill=look.ink, font=letters, anchor="rm")
    for value, text in x.ticks:
        column, _ = _place(field, x, y, value, y.low)
        pen.line([(column, TOP), (column, bottom)], look.grid)
        pen.line([(column, bottom), (column, bottom + 4)], look.ink)
        pen.text((column, bottom + 6), text, fill=look.ink, font=letters, anchor="ma")
    pen.line([(LEFT, TOP), (LEFT, bottom), (width - RIGHT, bottom)], look.ink)
    pen.text(((LEFT + width - RIGHT) // 2, height - GAP), x.label, fill=look.ink, font=letters, anchor="mm")
    return np.array(canvas)
