"""What a picture of the toy factory is made of: layers, lights, a scene, and a category that builds scenes.

Nothing is drawn here. A category fills these containers, a defect changes them, and `render.py` turns them
into a photograph. Lengths are in units of half the image side: coordinates x, y run from -1 to 1 (y down),
and the height of a relief is measured on the same ruler, so that a slope is a plain number (1 = 45
degrees).

A scene is rendered on a grid of n x n fine pixels, n = 2 * image size, and averaged down at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Layer:
    """One sheet of material, seen from above. Every field is an array on the fine grid.

    Attributes:
        height: relief (n, n). It may continue beyond the layer's edge, so that edges are no cliffs.
        colour: reflected share of red, green, blue, linear (3, n, n): whole planes, since
            numpy is slow over a last axis of three.
        cover: share of each pixel that the layer fills, 0..1 (n, n).
        light: share of the light that arrives: shadows and hollows, 0..1 (n, n).
        metal: 0 = matte, 1 = bare metal (n, n).
        rough: spread of the microscopic slopes across the grooves (n, n).
        along: spread of the microscopic slopes along the grooves (n, n). Equal to `rough`: no grooves.
        groove: direction of the grooves, cos and sin of their angle (2, n, n).
    """

    height: Array
    colour: Array
    cover: Array
    light: Array
    metal: Array
    rough: Array
    along: Array
    groove: Array

    def __post_init__(self) -> None:
        for field in fields(self):  # one precision everywhere: OpenCV asks for it, and it halves the work
            object.__setattr__(self, field.name, np.asarray(getattr(self, field.name), np.float32))


@dataclass(frozen=True)
class Light:
    """A soft lamp: where it stands, how strong and how large it is.

    Attributes:
        azimuth: direction in the image plane, radians (0 = right, pi/2 = down).
        elevation: angle above the table, radians.
        power: brightness; 1 is the main lamp.
        spread: how much its size widens a highlight, in units of slope.
    """

    azimuth: float
    elevation: float
    power: float
    spread: float

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector from the product to the lamp (x, y, z)."""
        flat = np.cos(self.elevation)
        return (
            float(flat * np.cos(self.azimuth)),
            float(flat * np.sin(self.azimuth)),
            float(np.sin(self.elevation)),
        )

    @property
    def mirror_slope(self) -> tuple[float, float]:
        """The surface slope (dh/dx, dh/dy) that would mirror this lamp straight up into the camera."""
        x, y, z = self.direction
        return -x / (1 + z), -y / (1 + z)


@dataclass(frozen=True)
class Scene:
    """Everything in front of the camera, and where defects may go.

    Attributes:
        layers: from the table upwards.
        product: index of the layer that is the product.
        lights: the first one is the main lamp, the one that casts shadows.
        ambient: light from everywhere, 0..1.
        face: where a defect may lie, bool (n, n).
        rim: edge pixels where a piece may break away, bool (n, n).
    """

    layers: tuple[Layer, ...]
    product: int
    lights: tuple[Light, ...]
    ambient: float
    face: Array
    rim: Array


# A defect takes the scene, the strength in (0, 1] and a generator. It returns the changed scene and the
# region that it changed, bool (n, n). It draws the same numbers whatever the strength, so that strength
# moves nothing but itself.
Defect = Callable[[Scene, float, np.random.Generator], tuple[Scene, Array]]


@dataclass(frozen=True)
class Category:
    """A kind of product: how to build a normal scene of n x n fine pixels, and what can be wrong with it."""

    name: str
    build: Callable[[np.random.Generator, int], Scene]
    defects: dict[str, Defect]
