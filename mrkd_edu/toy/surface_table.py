"""Around a slab of the category `surface`: its outline, and the rubber mat on which it is photographed.

The mat ends the picture calmly on all sides, so that no stone is cut off by the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mrkd_edu.toy.patterns import blur, grid, soft_noise
from mrkd_edu.toy.render import cast_shadow
from mrkd_edu.toy.scene import Array, Layer, Light

HALF, CORNER = 0.84, 0.015  # half the slab's side, radius of its corners
THICK = 0.06  # how high the slab stands above the mat
MAT = np.array([0.115, 0.113, 0.110], np.float32)  # reflectance of grey rubber, linear


@dataclass(frozen=True)
class Pose:
    """Where the slab lies: somebody put it against the stops by hand, so only nearly in the same place."""

    x: float
    y: float
    turn: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Pose:
        """Off by a fiftieth of half the picture at most."""
        x, y, turn = rng.normal(0, 0.008, 3).clip(-0.02, 0.02).tolist()
        return cls(x, y, turn)

    def inwards(self, n: int) -> Array:
        """Distance from the slab's outline, positive inside it (n, n)."""
        x, y = grid(n)
        dx, dy = x - np.float32(self.x), y - np.float32(self.y)
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        u = np.abs(cos * dx + sin * dy) - np.float32(HALF - CORNER)
        v = np.abs(cos * dy - sin * dx) - np.float32(HALF - CORNER)
        outside = np.hypot(np.maximum(u, 0), np.maximum(v, 0))
        return np.float32(CORNER) - outside - np.minimum(np.maximum(u, v), 0)


def mat(rng: np.random.Generator, fine: np.random.Generator, n: int, key: Light, cover: Array) -> Layer:
    """The mat with its grain and the slab's shadow."""
    grain = blur(fine.standard_normal((n, n), dtype=np.float32), max(0.5, 0.9 * n / 512))
    cloud = soft_noise(rng, n, 3, 4)
    tone = rng.normal(1, 0.02) * (1 + 0.03 * cloud + 0.06 * grain)
    sky = blur(cv2.resize(cover, (128, 128), interpolation=cv2.INTER_AREA), 2.5)
    hidden = cv2.resize(sky, (n, n), interpolation=cv2.INTER_LINEAR)  # where the slab hides the sky
    light = (1 - 0.60 * cast_shadow(cover, THICK, key, 0.015)) * (1 - 0.40 * hidden)
    one, none = np.ones((n, n), np.float32), np.zeros((n, n), np.float32)
    return Layer(0.001 * grain, MAT[:, None, None] * tone, one, light, none, one, one, np.stack([one, none]))
