"""The category `metal`: a turned steel hex nut with a washer face, seen from above on a matte work surface.

All nuts are of one make. What varies from picture to picture is normal: rotation, place, size, the light,
the turning marks, tarnish, hairlines from handling, dust and the table's grain.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mrkd_edu.toy.defects import chip, dent, foreign, scratch, stain
from mrkd_edu.toy.patterns import blur, grid, ramp, smoothstep, soft_noise
from mrkd_edu.toy.render import cast_shadow
from mrkd_edu.toy.scene import Array, Category, Layer, Light, Scene

# Radii as shares of the apothem (half the width across flats), close to an M8 nut.
FACE, CONE, CORNER = 0.90, 0.945, 1.125  # washer face ends, chamfer begins, corners are cut
SINK, THREAD, BORE = 0.685, 0.60, 0.465  # countersink begins, thread begins, what is left of the hole
STEEL = np.array([0.60, 0.595, 0.58], np.float32)  # reflectance of steel, linear
TABLE = np.array([0.070, 0.077, 0.085], np.float32)  # a grey-blue mat


@dataclass(frozen=True)
class Pose:
    """Where a nut lies: centre, apothem, rotation, and the shift of the hole's far end (perspective)."""

    x: float
    y: float
    apothem: float
    angle: float
    lean: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Pose:
        """A random pose: any rotation, small shifts, a little nearer or farther."""
        x, y = rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05)
        lean = rng.uniform(-0.012, 0.012) - 0.06 * x, rng.uniform(-0.012, 0.012) - 0.06 * y
        return cls(x, y, rng.uniform(0.625, 0.665), rng.uniform(0, 2 * np.pi), lean)


def build(rng: np.random.Generator, n: int) -> Scene:
    """A normal scene: one nut on the table, on n x n fine pixels."""
    pose = Pose.draw(rng)
    # Angles in radians: the main lamp stands at the upper left, 46 to 60 degrees high; a weak one opposite.
    key = Light(rng.normal(-2.23, 0.25), rng.uniform(0.80, 1.05), rng.uniform(1.05, 1.3), 0.10)
    fill = Light(key.azimuth + rng.uniform(2.4, 3.5), 0.70, rng.uniform(0.16, 0.30), 0.20)
    above = Light(rng.uniform(0, 6), 1.43, rng.uniform(0.10, 0.18), 0.15)
    ambient = rng.uniform(0.22, 0.28)

    fine = rng.spawn(1)[0]  # noise per pixel comes from its own stream, so that n changes nothing else
    nut, face, rim = _nut(rng, fine, n, pose, key)
    table = _table(rng, fine, n, pose, key, nut.cover)
    return Scene((table, nut), 1, (key, fill, above), ambient, face, rim)


def _around(pose: Pose, n: int) -> tuple[Array, Array, Array]:
    """Coordinates from the nut's centre, and the distance to it (n, n) each."""
    x, y = grid(n)
    dx, dy = x - np.float32(pose.x), y - np.float32(pose.y)
    return dx, dy, np.sqrt(dx * dx + dy * dy) + np.float32(1e-6)


def _nut(
    rng: np.random.Generator, fine: np.random.Generator, n: int, pose: Pose, key: Light
) -> tuple[Layer, Array, Array]:
    """The nut's layer, the part of it where defects may lie, and its breakable rim."""
    a, pixel = np.float32(pose.apothem), 2 / n
    dx, dy, r = _around(pose, n)
    angle = cv2.phase(dx, dy)  # (n, n) 0..2 pi

    # Silhouette: a hexagon with cut corners, minus the hole. `edge`: distance to the outside, inside > 0.
    flats = [pose.angle + k * np.pi / 3 for k in range(3)]
    across = np.max([np.abs(dx * float(np.cos(f)) + dy * float(np.sin(f))) for f in flats], axis=0)
    edge = np.minimum(a - across, CORNER * a - r)
    depth = np.clip((THREAD * a - r) / ((THREAD - BORE) * a), 0, 1)  # 0: thread begins, 1: its far end
    bore = np.hypot(dx - depth * pose.lean[0], dy - depth * pose.lean[1])
    cover = np.clip(edge / pixel + 0.5, 0, 1) * np.clip((bore - BORE * a) / pixel + 0.5, 0, 1)

    radius, profile = _turned_profile(rng)
    streaks = _streaks(rng, r / a, angle)
    height = a * np.interp(r / a, radius, profile).astype(np.float32)
    height -= 0.9 * ramp(0.010 - edge, 0.010)  # handled edges are round
    height += 0.0011 * soft_noise(rng, n, 5, 2)  # no face is quite flat
    height += 0.00022 * streaks - _hairlines(rng, n, 0.0009)

    # Colour: steel with a breath of tarnish, streaks and pores.
    tarnish = soft_noise(rng, n, 4, 4, 0.6)
    warm = rng.normal(0, 0.012)
    tone = 1 + 0.045 * tarnish + 0.05 * streaks + 0.03 * fine.standard_normal((n, n), dtype=np.float32)
    colour = (STEEL * np.array([1 + warm, 1, 1 - warm], np.float32))[:, None, None] * tone
    colour[2] -= 0.015 * np.maximum(tarnish, 0)

    layer = Layer(
        height=height,
        colour=np.clip(colour, 0, 1),
        cover=cover,
        light=_thread_light(depth, angle, (dx * key.direction[0] + dy * key.direction[1]) / r),
        metal=np.ones((n, n)),
        rough=rng.uniform(0.27, 0.35) * (1 + 0.08 * tarnish),
        along=np.full((n, n), rng.uniform(0.15, 0.19)),
        groove=np.stack([-dy / r, dx / r]),
    )
    face = (edge > 0.05 * a) & (r > (SINK + 0.03) * a)
    return layer, face, np.abs(edge) < pixel


def _turned_profile(rng: np.random.Generator) -> tuple[Array, Array]:
    """What the lathe made: radius and height (3000,), both as shares of the apothem."""
    radius = np.linspace(0, 1.5, 3000).astype(np.float32)
    profile = 0.14 * (ramp(radius - FACE - 0.03, 0.012) - ramp(radius - FACE, 0.012))  # a step down
    profile -= 0.55 * ramp(radius - CONE, 0.015)  # the chamfer
    profile -= 0.95 * ramp(SINK - radius, 0.014)  # the countersink,
    profile += 0.35 * ramp(THREAD - radius, 0.006)  # and the flanks of the thread, less steep
    marks = rng.standard_normal(3000).astype(np.float32)
    feed = np.sin(2 * np.pi * radius / rng.uniform(0.016, 0.020) + rng.uniform(0, 6))
    rings = 0.0006 * _smooth(marks, 4) + 0.0008 * _smooth(marks[::-1], 14)
    profile += 0.00016 * feed + rings * (1 - 0.6 * smoothstep(FACE, CONE, radius))
    return radius, profile


def _streaks(rng: np.random.Generator, radius: Array, angle: Array) -> Array:
    """Turning marks that begin and end: noise on an (angle, radius) chart, bent around."""
    chart = blur(rng.standard_normal((96, 400), dtype=np.float32), 0.7)
    row, column = angle * np.float32(96 / (2 * np.pi)), radius * np.float32(300)
    return cv2.remap(chart, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _thread_light(depth: Array, angle: Array, towards: Array) -> Array:
    """Light in the hole: less with depth and on the lamp's side; each turn of the thread shades the next."""
    light = np.ones_like(depth)
    inside = depth > 0
    deep = depth[inside]
    turn = (deep * 3.6 + angle[inside] / np.float32(2 * np.pi)) % 1
    flank = smoothstep(0, 0.25, turn) * smoothstep(1.0, 0.9, turn)
    light[inside] = (1 - 0.75 * deep) * (0.15 + 0.85 * flank) * (0.85 - 0.35 * towards[inside])
    return light


def _table(
    rng: np.random.Generator, fine: np.random.Generator, n: int, pose: Pose, key: Light, cover: Array
) -> Layer:
    """The work surface with its grain, a little dust, and the nut's shadow."""
    a = pose.apothem
    dx, dy, r = _around(pose, n)
    grain = blur(fine.standard_normal((n, n), dtype=np.float32), 0.9 * n / 512)
    cloud = soft_noise(rng, n, 3, 4)
    tone = rng.normal(1, 0.05) * (1 + 0.035 * cloud + 0.10 * grain)
    tint = (TABLE * (1 + rng.normal(0, 0.015, 3))).astype(np.float32)
    colour = tint[:, None, None] * tone + 0.16 * _dust(rng, n)  # (3, n, n)

    solid = np.where(r < a / 2, 1, cover).astype(np.float32)  # the hole is dark by another rule
    contact = blur(cv2.resize(solid, (128, 128), interpolation=cv2.INTER_AREA), 4.0)
    contact = cv2.resize(contact, (n, n), interpolation=cv2.INTER_LINEAR)  # where the nut hides the sky
    light = (1 - 0.60 * cast_shadow(solid, 0.30 * a, key, 0.035)) * (1 - 0.45 * contact)
    towards = (dx * key.direction[0] + dy * key.direction[1]) / a
    light = np.where(r < 0.6 * a, 0.20 - 0.22 * towards, light)

    one, none = np.ones((n, n), np.float32), np.zeros((n, n), np.float32)
    return Layer(
        height=0.0016 * grain + 0.001 * cloud,
        colour=np.clip(colour, 0, 1),
        cover=one,
        light=light,
        metal=none,
        rough=one,
        along=one,
        groove=np.stack([one, none]),
    )


def _smooth(values: Array, width: float) -> Array:
    """Gaussian smoothing of a row of numbers, brought back to standard deviation 1."""
    smooth = cv2.GaussianBlur(values[None].copy(), (0, 0), width)[0]
    return smooth / smooth.std()


def _hairlines(rng: np.random.Generator, n: int, deep: float) -> Array:
    """Fine marks of handling: depth of the grooves (n, n)."""
    canvas = np.zeros((n, n), np.uint8)
    for _ in range(int(rng.integers(6, 18))):
        middle, heading = rng.uniform(-0.7, 0.7, 2), rng.uniform(0, np.pi)
        half = rng.uniform(0.02, 0.16) * np.array([np.cos(heading), np.sin(heading)])
        ends = [((p + 1) * n / 2 * 16).astype(int).tolist() for p in (middle - half, middle + half)]
        cv2.line(canvas, ends[0], ends[1], int(rng.uniform(60, 255)), 1, cv2.LINE_AA, shift=4)
    return np.float32(deep * 1.5 / 255) * blur(canvas.astype(np.float32), 0.7)


def _dust(rng: np.random.Generator, n: int) -> Array:
    """Specks of dust on the table, 0..1 (n, n)."""
    canvas = np.zeros((n, n), np.uint8)
    for _ in range(int(rng.integers(4, 16))):
        place = ((rng.uniform(-1, 1, 2) + 1) * n / 2 * 16).astype(int).tolist()
        radius = int(16 * rng.uniform(0.3, 1.1) * n / 512)
        cv2.circle(canvas, place, radius, int(rng.uniform(60, 220)), -1, cv2.LINE_AA, shift=4)
    return blur(canvas.astype(np.float32) / 255, 0.6)


METAL = Category(
    name="metal",
    build=build,
    defects={"chip": chip, "dent": dent, "foreign": foreign, "scratch": scratch, "stain": stain},
)
