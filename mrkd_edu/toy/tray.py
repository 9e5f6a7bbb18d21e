"""The category `tray`: a moulded kitting tray of nine nests, each with its own parts, seen from above.

The defects are global: every part is sound, and a small window on the picture shows little that could not be
normal somewhere on a tray. Only the place, the number or the direction of a part is wrong. What is where:

    9 steel balls   9 brass balls        spare: always empty
    a lever         3 pins, 4 grooves    a lever, the other way
    4 washers       4 nuts               4 screws

The region of a defect is what the changed parts cover, before or after, and where their shadows changed.
Strength says how many parts are concerned, one at least (the parts of a weak defect are among those of a
strong one), or, for `turned`, how far.

Here is what lies where, and what can be wrong with that. `tray_mould.py` draws the empty tray,
`tray_parts.py` the parts, whose shapes are in `tray_makes.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from mrkd_edu.toy.patterns import grid, soft_noise
from mrkd_edu.toy.scene import Array, Category, Layer, Light, Scene
from mrkd_edu.toy.tray_mould import (
    BALLS,
    DISCS,
    GROOVES,
    PITCH,
    SPARE_BALLS,
    SPARE_DISCS,
    Place,
    Pose,
    draw_mould,
)
from mrkd_edu.toy.tray_parts import CHART, Part, draw_parts, draw_shadows

LEVERS = {3: 45.0, 5: 135.0}  # their nests, and the direction of each in degrees
# nest, make, places, usual angle in degrees (None: any), play in the seat along both axes
KIT: list[tuple[int, str, list[Place], float | None, Place]] = [
    (0, "steel ball", BALLS, None, (0.006, 0.006)),
    (1, "brass ball", BALLS, None, (0.006, 0.006)),
    (3, "lever", [(0, 0)], LEVERS[3], (0.012, 0.012)),
    (4, "pin", GROOVES[:3], 0, (0.016, 0.002)),
    (5, "lever", [(0, 0)], LEVERS[5], (0.012, 0.012)),
    (6, "washer", DISCS, None, (0.008, 0.008)),
    (7, "nut", DISCS, None, (0.008, 0.008)),
    (8, "screw", DISCS, None, (0.008, 0.008)),
]
NOWHERE = -1  # the nest of a part that has none
SPARE = 2
CLUSTERS = (0, 1, 4, 6, 7, 8)  # nests with several parts
ALIKE = ((0, 1), (0, 1), (6, 7), (7, 8), (6, 8))  # nests with equal seats; that of balls as often as any disc's
SLACK = 4.0  # degrees that a keyed part may deviate from its direction


@dataclass(frozen=True)
class Tray(Scene):
    """A scene that remembers what lies where, so that a defect can rearrange it.

    Attributes:
        pose: how the tray lies.
        mould: the empty tray, a layer without the shadows of parts.
        near: how much stronger the main lamp is on the side where it stands (n, n); about 1.
        parts: everything that lies in it.
        chart: texture of the parts' surfaces (CHART, CHART).
    """

    pose: Pose
    mould: Layer
    near: Array
    parts: tuple[Part, ...]
    chart: Array

    def holding(self, parts: Sequence[Part]) -> Tray:
        """The same tray with other parts in it."""
        n = len(self.mould.height)
        ground, kit = self.mould, draw_parts(parts, self.chart, n)
        ground = replace(ground, light=ground.light * draw_shadows(parts, self.lights[0], n) * self.near)
        return replace(self, layers=(ground, replace(kit, light=kit.light * self.near)), parts=tuple(parts))


def build(rng: np.random.Generator, n: int) -> Tray:
    """A normal scene: a full tray, on n x n fine pixels."""
    pose = Pose(rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05), math.radians(rng.uniform(-2.5, 2.5)))
    # Angles in radians: the main lamp stands at the upper left, 46 to 60 degrees high; a weak one opposite.
    key = Light(rng.normal(-2.23, 0.25), rng.uniform(0.80, 1.05), rng.uniform(1.05, 1.3), 0.12)
    fill = Light(key.azimuth + rng.uniform(2.4, 3.5), 0.70, rng.uniform(0.16, 0.30), 0.22)
    above = Light(rng.uniform(0, 6), 1.43, rng.uniform(0.10, 0.18), 0.20)
    ambient = rng.uniform(0.24, 0.31)

    fine = rng.spawn(1)[0]  # noise per pixel comes from its own stream, so that n changes nothing else
    parts = _fill(rng, pose)
    chart = soft_noise(rng, CHART, 12, 4, 0.8)
    mould, inside = draw_mould(rng, fine, n, pose, key)
    face, rim = inside > 0.04, np.abs(inside) < 2 / n
    x, y = grid(n)
    near = 1 + np.float32(rng.uniform(0.03, 0.13)) * (x * math.cos(key.azimuth) + y * math.sin(key.azimuth))
    bare = Tray((mould,), 1, (key, fill, above), ambient, face, rim, pose, mould, near, (), chart)
    return bare.holding(parts)


def _fill(rng: np.random.Generator, pose: Pose) -> list[Part]:
    """Every part in its place, as far off as its seat allows."""
    parts = []
    for nest, make, places, usual, play in KIT:
        for u, v in places:
            x, y = pose.place(nest, u + rng.uniform(-1, 1) * play[0], v + rng.uniform(-1, 1) * play[1])
            any_angle, off = rng.uniform(0, 360), rng.uniform(-SLACK, SLACK) * (0.3 if make == "pin" else 1)
            angle = any_angle if usual is None else usual + off
            parts.append(_part(rng, make, nest, x, y, pose.angle + math.radians(angle)))
    return parts


def _part(rng: np.random.Generator, make: str, nest: int, x: float, y: float, angle: float) -> Part:
    """A part with a surface of its own."""
    tone = float(np.clip(rng.normal(1, 0.04), 0.88, 1.12))
    return Part(make, nest, x, y, angle, tone, (rng.uniform(0, CHART), rng.uniform(0, CHART)))


# --- what can be wrong ---------------------------------------------------------------------------


def missing(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """Parts of one nest were not laid in: their empty seats show."""
    tray = _tray(scene)
    nest = CLUSTERS[int(rng.integers(len(CLUSTERS)))]
    there = [i for i, part in enumerate(tray.parts) if part.nest == nest]
    order = rng.permutation(there)
    gone = set(order[: _count(strength, len(there))].tolist())
    return _rearranged(tray, [part for i, part in enumerate(tray.parts) if i not in gone])


def swapped(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """Parts of two nests with equal seats changed places."""
    tray = _tray(scene)
    pair = ALIKE[int(rng.integers(len(ALIKE)))]
    first, second = ([i for i, part in enumerate(tray.parts) if part.nest == nest] for nest in pair)
    order = rng.permutation(len(first))
    parts = list(tray.parts)
    for seat in order[: _count(strength, len(first))]:
        i, j = first[seat], second[seat]
        a, b = parts[i], parts[j]  # each takes the other's place as the other lay: equal shapes, equal shadows
        parts[i] = replace(a, make=b.make, tone=b.tone, skin=b.skin)
        parts[j] = replace(b, make=a.make, tone=a.tone, skin=a.skin)
    return _rearranged(tray, parts)


def turned(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """A lever lies in the wrong direction, up to a quarter turn."""
    tray = _tray(scene)
    nest = list(LEVERS)[int(rng.integers(len(LEVERS)))]
    where = next(i for i, part in enumerate(tray.parts) if part.nest == nest)
    lever = tray.parts[where]
    off = lever.angle - tray.pose.angle - math.radians(LEVERS[nest])
    side = math.copysign(1, off)  # farther the way it leans already, so that no play makes up for it
    turn = math.radians(90) * strength**1.5  # 5 degrees at strength 0.15: a little more than the play
    parts = list(tray.parts)
    parts[where] = replace(lever, angle=lever.angle + side * turn)
    return _rearranged(tray, parts)


def extra(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """Parts too many: in the seats of the spare nest, or where the paths between the nests cross."""
    tray = _tray(scene)
    in_seats = rng.random() < 0.5
    nest = int(rng.choice([0, 1, 3, 4]))  # the crossing lies at the lower right corner of this nest
    order, jitter = rng.permutation(5), rng.uniform(-0.011, 0.011, (5, 2))
    arms = rng.uniform(0.125, 0.175, 4)
    balls, discs = ("steel ball", "brass ball"), ("washer", "nut", "screw")
    if in_seats:
        places = SPARE_BALLS + SPARE_DISCS
        makes = [balls[int(k)] for k in rng.integers(2, size=3)] + [discs[int(k)] for k in rng.integers(3, size=2)]
    else:  # five balls: one at the crossing, one on every path
        c, (left, right, up, down) = PITCH / 2, arms.tolist()
        places = [(c, c), (c - left, c), (c + right, c), (c, c - up), (c, c + down)]
        makes = [balls[int(k)] for k in rng.integers(2, size=5)]
    angles = rng.uniform(0, 2 * math.pi, 5)
    surplus = []
    for k in range(5):
        x, y = tray.pose.place(SPARE if in_seats else nest, *(np.array(places[k]) + jitter[k]).tolist())
        surplus.append(_part(rng, makes[k], NOWHERE, x, y, float(angles[k])))
    chosen = [surplus[k] for k in order[: _count(strength, 5)]]
    return _rearranged(tray, [*tray.parts, *chosen])


def _tray(scene: Scene) -> Tray:
    """The scene as what it is; the defects of a tray need its list of parts."""
    if not isinstance(scene, Tray):
        raise TypeError("the defects of `tray` rearrange the parts of a tray; this scene is none.")
    return scene


def _count(strength: float, of: int) -> int:
    """How many of `of` parts a defect of this strength concerns: one at least, all at strength 1."""
    return max(1, int(strength * of + 0.5))


def _rearranged(tray: Tray, parts: Sequence[Part]) -> tuple[Tray, Array]:
    """The tray with these parts instead, and where that made a difference, bool (n, n)."""
    after = tray.holding(parts)
    region = tray.layers[0].light != after.layers[0].light
    old, new = tray.layers[1], after.layers[1]
    differs = np.zeros_like(region)
    for field in fields(Layer):
        unequal = getattr(old, field.name) != getattr(new, field.name)
        differs |= unequal if unequal.ndim == 2 else unequal.any(axis=0)
    return after, region | (differs & ((old.cover > 0) | (new.cover > 0)))


TRAY = Category(
    name="tray",
    build=build,
    defects={"extra": extra, "missing": missing, "swapped": swapped, "turned": turned},
)
