"""The small parts of the category `tray`: balls, pins, washers, nuts, screws and levers, drawn one by one.

All parts of a picture share one layer. Each is drawn in its own window of the layer's arrays and keeps to
its own outline there, so that taking one away, or laying it elsewhere, leaves the others untouched to the
last bit. Its shadow is drawn in the same way, into the light of the ground. What lies where, and what may
be wrong with that, is the business of `tray.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mrkd_edu.data.factory.patterns import grid, ramp, smoothstep
from mrkd_edu.data.factory.scene import Array, Layer, Light

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


@dataclass(frozen=True)
class Make:
    """What all parts of one kind share. Shapes are functions of u, v: coordinates from the part's centre.

    Attributes:
        reach: no point of it is farther from its centre.
        tall: heights above the ground between which its outline throws the shadow.
        edge: distance to the outline, inside > 0.
        relief: height above the ground, from (u, v, edge).
        colour: reflectance, linear (3,).
        rough, along: spread of the microscopic slopes, as in `Layer`.
        turned: whether its grooves run around its centre; otherwise they run along v.
        bumps: how strongly the surface chart shows.
    """

    reach: float
    tall: tuple[float, float]
    edge: Callable[[Array, Array], Array]
    relief: Callable[[Array, Array, Array], Array]
    colour: tuple[float, float, float]
    rough: float
    along: float
    turned: bool
    bumps: float


BALL, DISC, PIN = 0.056, 0.082, (0.172, 0.032)  # radii; half length and radius of a pin
NUT, BORE, SLOT = 0.071, 0.040, 0.012  # half the width across flats; radius of holes; half a slot's width
EYE, TIP, SPAN, SHIFT = 0.078, 0.036, 0.205, 0.085  # a lever: radii of its ends, their distance, offset


def _radius(u: Array, v: Array) -> Array:
    return np.sqrt(u * u + v * v) + np.float32(1e-6)


def _ball_relief(u: Array, v: Array, edge: Array) -> Array:
    return BALL + np.sqrt(np.maximum(BALL * BALL - u * u - v * v, 0))


def _pin_edge(u: Array, v: Array) -> Array:
    return np.minimum(PIN[0] - np.abs(u), PIN[1] - np.abs(v))


def _pin_relief(u: Array, v: Array, edge: Array) -> Array:
    bevel = ramp(np.abs(u) - (PIN[0] - 0.014), 0.006)  # ends are bevelled: a cone on a cylinder
    return PIN[1] + np.sqrt(np.maximum((PIN[1] - 0.8 * bevel) ** 2 - v * v, 0))


def _washer_edge(u: Array, v: Array) -> Array:
    r = _radius(u, v)
    return np.minimum(DISC - r, r - BORE)


def _washer_relief(u: Array, v: Array, edge: Array) -> Array:
    return 0.018 - 0.8 * ramp(0.007 - edge, 0.007)  # punched: the upper edge is drawn in


def _nut_edge(u: Array, v: Array) -> Array:
    across = np.abs(u)
    for angle in (math.pi / 3, 2 * math.pi / 3):
        across = np.maximum(across, np.abs(math.cos(angle) * u + math.sin(angle) * v))
    r = _radius(u, v)
    return np.minimum(np.minimum(NUT - across, 1.13 * NUT - r), r - BORE)


def _nut_relief(u: Array, v: Array, edge: Array) -> Array:
    r = _radius(u, v)
    cone = 0.55 * ramp(r - 0.93 * NUT, 0.003) + 0.9 * ramp(BORE + 0.010 - r, 0.003)  # chamfer, countersink
    return 0.055 - cone - 0.8 * ramp(0.003 - edge, 0.003)


def _screw_relief(u: Array, v: Array, edge: Array) -> Array:
    slot = smoothstep(SLOT + 0.004, SLOT - 0.004, np.abs(v))
    return 0.050 - 1.0 * ramp(0.010 - edge, 0.007) - 0.6 * (u * u + v * v) - 0.020 * slot


def _lever_edge(u: Array, v: Array) -> Array:
    """A drop: the hull of two circles, with a hole in the larger one."""
    u, v = u + SHIFT, np.abs(v)
    narrow = (EYE - TIP) / SPAN  # sine of the angle between the axis and a flank
    flank = math.sqrt(1 - narrow * narrow)
    where = flank * u - narrow * v  # along the flank: which of circle, flank or circle is nearest
    eye = EYE - _radius(u, v)
    hull = np.where(where > flank * SPAN, TIP - _radius(u - SPAN, v), EYE - narrow * u - flank * v)
    return np.minimum(np.where(where < 0, eye, hull), EYE - BORE - eye)


def _lever_relief(u: Array, v: Array, edge: Array) -> Array:
    rib = smoothstep(0.016, 0.004, np.abs(v)) * smoothstep(-0.02, 0.01, u) * smoothstep(0.13, 0.10, u)
    return 0.030 - 0.7 * ramp(0.008 - edge, 0.007) + 0.006 * rib  # stamped, with a rib that stiffens it


STEEL, ZINC, BRASS, BLACK = (0.60, 0.595, 0.58), (0.53, 0.55, 0.57), (0.62, 0.44, 0.18), (0.13, 0.13, 0.14)

MAKES: dict[str, Make] = {
    "steel ball": Make(
        BALL, (0.6 * BALL, 1.35 * BALL), lambda u, v: BALL - _radius(u, v), _ball_relief, STEEL, 0.13, 0.13, False, 0.2
    ),
    "brass ball": Make(
        BALL, (0.6 * BALL, 1.35 * BALL), lambda u, v: BALL - _radius(u, v), _ball_relief, BRASS, 0.17, 0.17, False, 0.4
    ),
    "pin": Make(PIN[0] + 0.01, (0.01, 1.3 * PIN[1]), _pin_edge, _pin_relief, STEEL, 0.20, 0.12, False, 0.3),
    "washer": Make(DISC, (0, 0.018), _washer_edge, _washer_relief, ZINC, 0.30, 0.24, True, 1.0),
    "nut": Make(DISC, (0, 0.055), _nut_edge, _nut_relief, BRASS, 0.30, 0.17, True, 0.6),
    "screw": Make(DISC, (0, 0.050), lambda u, v: DISC - _radius(u, v), _screw_relief, BLACK, 0.34, 0.20, True, 0.8),
    "lever": Make(SHIFT + EYE, (0, 0.030), _lever_edge, _lever_relief, STEEL, 0.32, 0.32, False, 1.3),
}


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
        r = _radius(u, v)
        flow = (-v / r, u / r) if make.turned else (np.zeros_like(u), np.ones_like(u))
        cos, sin = math.cos(part.angle), math.sin(part.angle)
        deep = np.clip((make.tall[1] - make.relief(u, v, edge)) / 0.02, 0, 1) if part.make == "screw" else 0
        shade = 1 - 0.45 * smoothstep(0.25 * make.reach, 0, edge) if "ball" in part.make else 1 - 0.55 * deep
        for field, value in (
            (nearest, edge),
            (height, make.relief(u, v, edge) + 0.0007 * make.bumps * texture),
            (cover, np.clip(edge * (n / 2) + 0.5, 0, 1)),
            (light, shade),
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
