"""The kinds of small parts in the category `tray`: their shapes and their metals.

A shape is a set of functions of u, v, the coordinates from the part's centre; they know nothing of place,
light or pixels. `tray_parts.py` draws parts from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrkd_edu.toy.patterns import ramp, smoothstep
from mrkd_edu.toy.scene import Array


@dataclass(frozen=True)
class Make:
    """What all parts of one kind share.

    Attributes:
        edge: distance to the outline, inside > 0, from (u, v).
        relief: height above the ground, from (u, v, edge).
        dim: share of the light that does not arrive, from (u, v, edge).
        reach: no point of it is farther from its centre.
        tall: heights above the ground between which its outline throws the shadow.
        colour: reflectance, linear (3,).
        rough, along: spread of the microscopic slopes, as in `Layer`.
        turned: whether its grooves run around its centre; otherwise they run along v.
        bumps: how strongly the surface chart shows.
    """

    edge: Callable[[Array, Array], Array]
    relief: Callable[[Array, Array, Array], Array]
    dim: Callable[[Array, Array, Array], Array]
    reach: float
    tall: tuple[float, float]
    colour: tuple[float, float, float]
    rough: float
    along: float
    turned: bool
    bumps: float


BALL, DISC, PIN = 0.056, 0.082, (0.172, 0.034)  # radii; half length and radius of a pin
NUT, BORE, SLOT = 0.071, 0.040, 0.012  # half the width across flats; radius of holes; half a slot's width
EYE, HOLE, TIP, SPAN = 0.066, 0.027, 0.032, 0.25  # a lever: radii of its eye and its tip, their distance,
SHIFT = 0.115  # and how far the eye lies from the centre
BEYOND = 2  # slope at which round parts fall on outside their outline: on a coarse grid, too, rims are steep


def radius(u: Array, v: Array) -> Array:
    """Distance from the centre, never 0."""
    return np.sqrt(u * u + v * v) + np.float32(1e-6)


# A kind's shape: its `edge`, its `relief` and, where it shades itself, its `dim`; see `Make`.


def _ball_edge(u: Array, v: Array) -> Array:
    return BALL - radius(u, v)


def _ball_relief(u: Array, v: Array, edge: Array) -> Array:
    return BALL + np.sqrt(np.maximum(BALL * BALL - u * u - v * v, 0)) + BEYOND * np.minimum(edge, 0)


def _ball_dim(u: Array, v: Array, edge: Array) -> Array:
    return 0.5 * smoothstep(0.3 * BALL, 0, edge)  # low on its sides the nest is in the way


def _pin_girth(u: Array) -> Array:
    """Radius of a pin along its axis: the ends are bevelled."""
    return PIN[1] - 0.7 * ramp(np.abs(u) - (PIN[0] - 0.014), 0.005)


def _pin_edge(u: Array, v: Array) -> Array:
    return np.minimum(PIN[0] - np.abs(u), _pin_girth(u) - np.abs(v))


def _pin_relief(u: Array, v: Array, edge: Array) -> Array:
    return PIN[1] + np.sqrt(np.maximum(_pin_girth(u) ** 2 - v * v, 0)) + BEYOND * np.minimum(edge, 0)


def _pin_dim(u: Array, v: Array, edge: Array) -> Array:
    return 0.4 * smoothstep(0.35 * PIN[1], 0, edge)


def _washer_edge(u: Array, v: Array) -> Array:
    r = radius(u, v)
    return np.minimum(DISC - r, r - BORE)


def _washer_relief(u: Array, v: Array, edge: Array) -> Array:
    return 0.018 - 0.8 * ramp(0.007 - edge, 0.007)  # punched: the upper edge is drawn in


def _nut_edge(u: Array, v: Array) -> Array:
    across = np.abs(u)
    for angle in (math.pi / 3, 2 * math.pi / 3):
        across = np.maximum(across, np.abs(math.cos(angle) * u + math.sin(angle) * v))
    r = radius(u, v)
    return np.minimum(np.minimum(NUT - across, 1.13 * NUT - r), r - BORE)


def _nut_relief(u: Array, v: Array, edge: Array) -> Array:
    r = radius(u, v)
    cone = 0.55 * ramp(r - 0.93 * NUT, 0.003) + 0.9 * ramp(BORE + 0.010 - r, 0.003)  # chamfer, countersink
    return 0.055 - cone - 0.8 * ramp(0.003 - edge, 0.003)


def _screw_edge(u: Array, v: Array) -> Array:
    return DISC - radius(u, v)


def _slot(v: Array) -> Array:
    return smoothstep(SLOT + 0.004, SLOT - 0.004, np.abs(v))


def _screw_relief(u: Array, v: Array, edge: Array) -> Array:
    return 0.050 - ramp(0.010 - edge, 0.007) - 0.6 * (u * u + v * v) - 0.020 * _slot(v)


def _screw_dim(u: Array, v: Array, edge: Array) -> Array:
    return 0.55 * _slot(v)


def _lever_edge(u: Array, v: Array) -> Array:
    """A drop: the hull of two circles, with a hole in the larger one."""
    u, v = u + SHIFT, np.abs(v)
    narrow = (EYE - TIP) / SPAN  # sine of the angle between the axis and a flank
    flank = math.sqrt(1 - narrow * narrow)
    where = flank * u - narrow * v  # along the flank: which of circle, flank or circle is nearest
    eye = EYE - radius(u, v)
    hull = np.where(where > flank * SPAN, TIP - radius(u - SPAN, v), EYE - narrow * u - flank * v)
    return np.minimum(np.where(where < 0, eye, hull), EYE - HOLE - eye)


def _lever_relief(u: Array, v: Array, edge: Array) -> Array:
    rib = smoothstep(0.022, 0, np.abs(v)) * smoothstep(-0.07, -0.02, u) * smoothstep(0.11, 0.07, u)
    return 0.030 - 0.7 * ramp(0.008 - edge, 0.007) + 0.005 * rib  # stamped, with a rib that stiffens it


def _nothing(u: Array, v: Array, edge: Array) -> Array:
    return np.zeros_like(edge)


CHROME, STEEL, ZINC = (0.70, 0.70, 0.69), (0.58, 0.575, 0.56), (0.53, 0.55, 0.57)
BRASS, BLACK = (0.64, 0.45, 0.18), (0.15, 0.15, 0.16)
ROUND = (0.5 * BALL, 1.15 * BALL)

# edge, relief, dim; reach, tall; colour, rough, along, turned, bumps
MAKES: dict[str, Make] = {
    "steel ball": Make(_ball_edge, _ball_relief, _ball_dim, BALL, ROUND, CHROME, 0.10, 0.10, False, 0.2),
    "brass ball": Make(_ball_edge, _ball_relief, _ball_dim, BALL, ROUND, BRASS, 0.14, 0.14, False, 0.3),
    "pin": Make(_pin_edge, _pin_relief, _pin_dim, PIN[0], (0.01, 1.2 * PIN[1]), STEEL, 0.20, 0.12, False, 0.3),
    "washer": Make(_washer_edge, _washer_relief, _nothing, DISC, (0, 0.018), ZINC, 0.30, 0.24, True, 0.8),
    "nut": Make(_nut_edge, _nut_relief, _nothing, DISC, (0, 0.055), BRASS, 0.30, 0.17, True, 0.6),
    "screw": Make(_screw_edge, _screw_relief, _screw_dim, DISC, (0, 0.050), BLACK, 0.32, 0.17, True, 0.7),
    "lever": Make(_lever_edge, _lever_relief, _nothing, SHIFT + EYE, (0, 0.030), STEEL, 0.32, 0.32, False, 0.8),
}
