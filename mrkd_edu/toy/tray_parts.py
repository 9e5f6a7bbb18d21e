"""Draws the small parts of the category `tray`, and their shadows.

All parts of a picture share one layer. Each is drawn in its own window of the layer's arrays and keeps to
its own outline there, so that taking one away, or laying it elsewhere, leaves the others untouched to the
last bit. Its shadow is drawn in the same way, into the light of the ground. Kinds and shapes are in
`tray_makes.py`; what lies where, and what may be wrong with that, is the business of `tray.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mrkd_edu.toy.patterns import grid, smoothstep
from mrkd_edu.toy.scene import Array, Layer, Light
from mrkd_edu.toy.tray_makes import MAKES, radius

CHART, CELL = 256, 0.004  # the surface chart: cells per side, and the size of one in scene units
FAINT = 0.025  # a shadow fainter than this is none: nobody sees it, and masks stay tight


@dataclass(frozen=True)
class Part:
    """One part and how it lies.

    Attributes:
        make: a key of `MAKES`.
        nest: number of the nest that it lies in, row by row; -1 is none.
        x, y: its centre.
        angle: its rotation, radians.
        tone: how bright its metal is among its kind; 1 is usual.
        skin: which piece of the surface chart covers it (2,), cells.
    """

    make: str
    nest: int
    x: float
    y: float
    angle: float
    tone: float
    skin: tuple[float, float]


def window(x: float, y: float, reach: float, n: int) -> tuple[slice, slice]:
    """The rows and columns of an n x n grid that lie within `reach` of (x, y) along either axis."""
    spans = []
    for middle in (y, x):
        low, high = ((middle + side * reach + 1) * n / 2 for side in (-1, 1))
        spans.append(slice(max(0, math.floor(low)), min(n, max(0, math.ceil(high)))))
    return spans[0], spans[1]


def local(x: float, y: float, angle: float, where: tuple[slice, slice], n: int) -> tuple[Array, Array]:
    """Coordinates u, v in a frame that stands at (x, y), turned by `angle`, in a window (h, w) each."""
    gx, gy = grid(n)
    dx, dy = gx[where] - np.float32(x), gy[where] - np.float32(y)
    cos, sin = math.cos(angle), math.sin(angle)
    return cos * dx + sin * dy, cos * dy - sin * dx


def draw_parts(parts: Sequence[Part], chart: Array, n: int) -> Layer:
    """All parts as one layer on n x n fine pixels; `chart` is the texture of their surfaces."""
    zero = np.zeros((n, n), np.float32)
    height, cover, light = zero.copy(), zero.copy(), zero + 1
    rough, along = zero + 1, zero + 1
    colour, groove = np.zeros((3, n, n), np.float32), np.stack([zero + 1, zero])
    nearest = np.full((n, n), -4 / n, np.float32)  # a part also shapes the two pixels around it
    for part in parts:
        make = MAKES[part.make]
        where = window(part.x, part.y, make.reach + 6 / n, n)
        u, v = local(part.x, part.y, part.angle, where, n)
        edge = make.edge(u, v)
        own = edge > nearest[where]  # the pixel belongs to the part whose outline it is deepest in
        if not own.any():
            continue
        texture = _skin(part, u, v, chart)
        r = radius(u, v)
        flow = (-v / r, u / r) if make.turned else (np.zeros_like(u), np.ones_like(u))
        cos, sin = math.cos(part.angle), math.sin(part.angle)
        for field, value in (
            (nearest, edge),
            (height, make.relief(u, v, edge) + 0.0007 * make.bumps * texture),
            (cover, np.clip(edge * (n / 2) + 0.5, 0, 1)),
            (light, 1 - make.dim(u, v, edge)),
            (rough, make.rough * (1 + 0.1 * texture)),
            (along, make.along * (1 + 0.1 * texture)),
            (groove[0], cos * flow[0] - sin * flow[1]),
            (groove[1], sin * flow[0] + cos * flow[1]),
            *((colour[i], make.colour[i] * part.tone * (1 + 0.05 * make.bumps * texture)) for i in range(3)),
        ):
            np.copyto(field[where], value, where=own)
    return Layer(height, np.clip(colour, 0, 1), cover, light, (cover > 0).astype(np.float32), rough, along, groove)


def _skin(part: Part, u: Array, v: Array, chart: Array) -> Array:
    """The piece of the surface chart that covers a part: it moves and turns with the part (h, w)."""
    column, row = u * np.float32(1 / CELL) + part.skin[0], v * np.float32(1 / CELL) + part.skin[1]
    return cv2.remap(
        chart, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )


def draw_shadows(parts: Sequence[Part], key: Light, n: int) -> Array:
    """The share of light that the parts leave on the ground, 0..1 (n, n)."""
    light = np.ones((n, n), np.float32)
    for part in parts:
        where, dark = _shadow(part, key, n)
        light[where] *= 1 - dark
    return light


def _shadow(part: Part, key: Light, n: int) -> tuple[tuple[slice, slice], Array]:
    """One part's shadow and the dim ground close to it: its window, and the share of light lost (h, w).

    The outline is moved away from the lamp by height / tan(elevation), for three heights: the higher it
    is above the ground, the softer its shadow.
    """
    make = MAKES[part.make]
    lx, ly, lz = key.direction
    halo = 0.035  # within this distance a part hides some of the sky
    throw = make.tall[1] * math.hypot(lx, ly) / lz
    where = window(part.x, part.y, make.reach + throw + halo, n)
    u, v = local(part.x, part.y, part.angle, where, n)
    cos, sin = math.cos(part.angle), math.sin(part.angle)
    du, dv = (cos * lx + sin * ly) / lz, (cos * ly - sin * lx) / lz
    umbra = np.zeros_like(u)
    for tall in np.linspace(*make.tall, 3).tolist():
        soft = 0.006 + 0.3 * tall
        umbra = np.maximum(umbra, smoothstep(-soft, soft, make.edge(u + du * tall, v + dv * tall)))
    contact = smoothstep(-halo, 0, make.edge(u, v))
    dark = 1 - (1 - 0.66 * umbra) * (1 - 0.5 * contact * contact)
    return where, np.where(dark > FAINT, dark, 0).astype(np.float32)
