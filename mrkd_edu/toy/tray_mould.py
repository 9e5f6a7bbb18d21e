"""The empty tray of the category `tray`: nine nests in moulded plastic, their seats, and the bench below.

It says where seats are and what the tray looks like. What lies in the seats is the business of `tray.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mrkd_edu.toy.patterns import blur, smoothstep, soft_noise
from mrkd_edu.toy.scene import Array, Layer, Light
from mrkd_edu.toy.tray_makes import BALL, DISC, PIN, radius
from mrkd_edu.toy.tray_parts import local, window

PITCH, HALF, CORNER, DEEP = 0.58, 0.22, 0.06, 0.05  # nests: distance, half width, corner radius, depth
EDGE, TALL = 0.90, 0.10  # half the tray's width, and how high the deck lies above the bench
PLASTIC = np.array([0.085, 0.102, 0.124], np.float32)  # blue-grey, linear
BENCH = np.array([0.23, 0.21, 0.185], np.float32)  # pale

Place = tuple[float, float]
# Places of parts, counted from the middle of their nest.
BALLS: list[Place] = [(0.14 * i, 0.14 * j) for j in (-1, 0, 1) for i in (-1, 0, 1)]
DISCS: list[Place] = [(0.105 * i, 0.105 * j) for j in (-1, 1) for i in (-1, 1)]
GROOVES: list[Place] = [(0.0, v) for v in (-0.15, -0.05, 0.05, 0.15)]
SPARE_BALLS: list[Place] = [(0.14 * i, -0.115) for i in (-1, 0, 1)]
SPARE_DISCS: list[Place] = [(0.105 * i, 0.09) for i in (-1, 1)]
# Seats of each nest: kind of seat and places. The nests of the levers are plain and round.
SEATS: dict[int, list[tuple[str, list[Place]]]] = {
    0: [("ball", BALLS)],
    1: [("ball", BALLS)],
    2: [("ball", SPARE_BALLS), ("disc", SPARE_DISCS)],
    4: [("pin", GROOVES)],
    6: [("disc", DISCS)],
    7: [("disc", DISCS)],
    8: [("disc", DISCS)],
}
ROUND = (3, 5)


@dataclass(frozen=True)
class Pose:
    """How the tray lies on the bench: its centre, and its rotation in radians."""

    x: float
    y: float
    angle: float

    def place(self, nest: int, u: float, v: float) -> Place:
        """Where a point of a nest is in the picture; u, v count from the middle of the nest."""
        u, v = u + PITCH * (nest % 3 - 1), v + PITCH * (nest // 3 - 1)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return self.x + cos * u - sin * v, self.y + sin * u + cos * v


def draw_mould(
    rng: np.random.Generator, fine: np.random.Generator, n: int, pose: Pose, key: Light
) -> tuple[Layer, Array]:
    """The empty tray on its bench as one layer, and the distance to its outline (n, n), inside > 0."""
    u, v = local(pose.x, pose.y, pose.angle, (slice(0, n), slice(0, n)), n)
    lx, ly, lz = key.direction
    cos, sin = math.cos(pose.angle), math.sin(pose.angle)
    du, dv = (cos * lx + sin * ly) / lz, (cos * ly - sin * lx) / lz  # towards the lamp, per unit of height
    inside = _box(u, v, EDGE, EDGE, 0.07)
    height = TALL * smoothstep(-0.03, 0, inside)  # the flank; then a bead runs around the deck
    height += 0.010 * smoothstep(0.004, 0.014, inside) * smoothstep(0.036, 0.024, inside)
    outside = smoothstep(-0.025, -0.033, inside)
    thrown = smoothstep(-0.025, 0.025, _box(u + TALL * du, v + TALL * dv, EDGE, EDGE, 0.07))
    light = 1 - outside * (1 - (1 - 0.66 * thrown) * (1 - 0.45 * smoothstep(-0.13, -0.03, inside)))
    for nest in range(9):
        _carve(nest, pose, (du, dv), height, light)

    grain = blur(fine.standard_normal((n, n), dtype=np.float32), 0.9 * n / 512)
    cloud = soft_noise(rng, n, 4, 4, 0.6)
    scuffs, dust = _scuffs(rng, n), _dust(rng, n)
    shade = rng.normal(1, 0.05)
    plastic = (PLASTIC * (1 + rng.normal(0, 0.02, 3)) * shade).astype(np.float32)
    bench = BENCH * np.float32(rng.normal(1, 0.04))
    tone = 1 + 0.03 * cloud + 0.05 * grain
    colour = np.stack([tone * (p + outside * (b - p)) for p, b in zip(plastic, bench, strict=True)])  # (3, n, n)
    colour += 0.06 * scuffs + 0.20 * dust
    one, none = np.ones((n, n), np.float32), np.zeros((n, n), np.float32)
    layer = Layer(
        height=height + 0.0011 * grain + 0.0015 * cloud - 0.0006 * scuffs,
        colour=np.clip(colour, 0, 1),
        cover=one,
        light=light,
        metal=0.35 * (1 - outside),  # plastic has a sheen
        rough=0.30 * one,
        along=0.30 * one,
        groove=np.stack([one, none]),
    )
    return layer, inside


def _box(u: Array, v: Array, wide: float, tall: float, corner: float) -> Array:
    """Distance to the outline of a box with round corners, inside > 0; `wide`, `tall`: half its sides."""
    p, q = np.abs(u) - (wide - corner), np.abs(v) - (tall - corner)
    beyond_p, beyond_q = np.maximum(p, 0), np.maximum(q, 0)
    return corner - np.sqrt(beyond_p * beyond_p + beyond_q * beyond_q) - np.minimum(np.maximum(p, q), 0)


def _carve(nest: int, pose: Pose, lamp: Place, height: Array, light: Array) -> None:
    """Sink one nest and its seats into the deck, in place: its relief, and the light that arrives in it.

    `lamp` is the step towards the main lamp per unit of height, in the tray's coordinates.
    """
    where, u, v = _around(pose, nest, (0, 0), 1.5 * HALF, len(height))

    def outline(u: Array, v: Array) -> Array:
        return HALF - radius(u, v) if nest in ROUND else _box(u, v, HALF, HALF, CORNER)

    edge = outline(u, v)
    floor = smoothstep(-0.012, 0.012, edge)
    lit = smoothstep(-0.014, 0.014, outline(u + DEEP * lamp[0], v + DEEP * lamp[1]))  # else the wall is in the way
    height[where] -= DEEP * floor
    light[where] *= 1 - floor * (1 - (0.42 + 0.58 * lit) * (1 - 0.35 * smoothstep(0.07, 0, edge)))
    for kind, places in SEATS.get(nest, []):
        for place in places:
            _seat(kind, pose, nest, place, lamp, height, light)


def _seat(kind: str, pose: Pose, nest: int, place: Place, lamp: Place, height: Array, light: Array) -> None:
    """Press one seat into the floor of a nest, in place: a dimple, a round step or a groove."""
    depth, wall, reach = {"ball": (0.020, 0.030, 0.09), "disc": (0.014, 0.006, 0.11), "pin": (0.018, 0.014, 0.22)}[kind]
    where, u, v = _around(pose, nest, place, reach, len(height))

    def outline(u: Array, v: Array) -> Array:
        if kind == "pin":
            return _box(u, v, PIN[0] + 0.018, PIN[1] + 0.002, 0.02)
        return (0.9 * BALL if kind == "ball" else DISC + 0.010) - radius(u, v)

    sunk = smoothstep(-wall / 2, wall, outline(u, v))
    far = smoothstep(wall / 2, -wall / 2, outline(u + depth * lamp[0], v + depth * lamp[1]))  # the wall is in the way
    height[where] -= depth * sunk
    light[where] *= 1 - sunk * (0.12 + 0.3 * far)


def _around(pose: Pose, nest: int, place: Place, reach: float, n: int) -> tuple[tuple[slice, slice], Array, Array]:
    """A window around a place in a nest, and the tray's coordinates there, counted from the place (h, w)."""
    x, y = pose.place(nest, *place)
    where = window(x, y, reach, n)
    return where, *local(x, y, pose.angle, where, n)


def _scuffs(rng: np.random.Generator, n: int) -> Array:
    """Scratches that years of use left in the plastic, 0..1 (n, n)."""
    canvas = np.zeros((n, n), np.uint8)
    for _ in range(int(rng.integers(12, 50))):
        middle, heading = rng.uniform(-0.85, 0.85, 2), rng.uniform(0, np.pi)
        half = rng.uniform(0.01, 0.12) * np.array([np.cos(heading), np.sin(heading)])
        ends = [((p + 1) * n / 2 * 16).astype(int).tolist() for p in (middle - half, middle + half)]
        cv2.line(canvas, ends[0], ends[1], int(rng.uniform(50, 230)), 1, cv2.LINE_AA, shift=4)
    return blur(canvas.astype(np.float32) / 255, 0.7)


def _dust(rng: np.random.Generator, n: int) -> Array:
    """Specks of dust, 0..1 (n, n)."""
    canvas = np.zeros((n, n), np.uint8)
    for _ in range(int(rng.integers(8, 40))):
        place = ((rng.uniform(-1, 1, 2) + 1) * n / 2 * 16).astype(int).tolist()
        radius = int(16 * rng.uniform(0.3, 1.1) * n / 512)
        cv2.circle(canvas, place, radius, int(rng.uniform(60, 220)), -1, cv2.LINE_AA, shift=4)
    return blur(canvas.astype(np.float32) / 255, 0.6)
