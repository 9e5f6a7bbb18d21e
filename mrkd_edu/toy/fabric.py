"""The category `fabric`: a plain weave of linen, blue warp and undyed weft, that fills the frame in raking light.

All pictures show the same cloth at other places. What varies is normal: where the picture is taken, a turn of
a few degrees, stretch and wander of the weave, thick and thin places of the yarns (*slubs*), their tones, the
fibre fuzz, how softly the cloth lies in waves, and the light.
"""

from __future__ import annotations

import cv2
import numpy as np

from mrkd_edu.toy.fabric_defects import crease, cut, foreign, hole, stain, thread
from mrkd_edu.toy.patterns import blur, grid, soft_noise
from mrkd_edu.toy.scene import Array, Category, Light
from mrkd_edu.toy.weave import (
    YARNS,
    Cloth,
    Weave,
    Yarns,
    along_noise,
    draw_fibres,
    interlace,
    matte,
    plain_crimp,
)

WARP = np.array([0.135, 0.190, 0.265], np.float32)  # reflectance, linear
WEFT = np.array([0.42, 0.395, 0.345], np.float32)
GROUND = np.array([0.018, 0.0175, 0.017], np.float32)  # a black board under the cloth


def build(rng: np.random.Generator, n: int) -> Cloth:
    """A normal scene: the cloth on a black board, on n x n fine pixels."""
    # Angles in radians: the main lamp stands at the upper left, 27 to 34 degrees high.
    key = Light(rng.normal(-2.45, 0.12), rng.uniform(0.48, 0.59), rng.uniform(1.4, 1.6), 0.1)
    fill = Light(key.azimuth + rng.uniform(2.4, 3.6), 0.8, rng.uniform(0.14, 0.22), 0.2)
    ambient = rng.uniform(0.16, 0.20)
    fine = rng.spawn(1)[0]  # noise per pixel comes from its own stream, so that n changes nothing else

    pitch = 2 / rng.uniform(33.5, 35.5)
    u, v = _cloth_coordinates(rng, n, pitch)
    crimp = plain_crimp()
    chaff = _fuzz(rng, n, int(rng.integers(3, 10)), 0.02, 0.4)  # bits of the flax plant's stem
    # A small picture averages the light and dark sides of a yarn before the camera's tone curve, which then lifts
    # that even grey too far. Fitted, so that the mean grey stays at that of 256 pixels, where `even` is 1.
    even = 1 - 0.19 * (1 - np.exp(-max(0, 2 / n / pitch - 0.068) / 0.15))
    grain = 1 + 0.16 * blur(fine.standard_normal((n, n), dtype=np.float32), 0.7)
    weave = Weave(
        warp=_spin(rng, crimp, WARP, thick=0.43),
        weft=_spin(rng, -crimp, WEFT, thick=0.46),
        u=u,
        v=v,
        pitch=pitch,
        base=_waves(rng, n),
        fibres=_fibres(rng),
        fuzz=_fuzz(rng, n, 600, 0.045, 1.6),
        grain=np.float32(even) * grain * (1 - 0.5 * chaff),
        key=key,
    )
    layer, over = interlace(weave)
    x, y = grid(n)
    board = matte(np.zeros_like(x), np.broadcast_to(GROUND[:, None, None], (3, n, n)))
    face = np.maximum(np.abs(x), np.abs(y)) < 0.7
    return Cloth((board, layer), 1, (key, fill), ambient, face, np.zeros_like(face), weave, over)


def _cloth_coordinates(rng: np.random.Generator, n: int, pitch: float) -> tuple[Array, Array]:
    """Where each pixel lies on the cloth, in yarns across warp and weft (n, n) each."""
    x, y = grid(n)
    turn, skew = rng.normal(0, 0.028), rng.normal(0, 0.010)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u = (cos * x + np.float32(sin + skew) * y) / np.float32(pitch)
    v = (cos * y - sin * x) / np.float32(pitch * rng.uniform(0.99, 1.04))
    # The weave wanders as a whole, by a sixth of a yarn within some ten yarns.
    u = u + 0.16 * soft_noise(rng, n, 3, 2) + np.float32(rng.uniform(-1, 1))
    v = v + 0.16 * soft_noise(rng, n, 3, 2) + np.float32(rng.uniform(-1, 1))
    return u, v


def _spin(rng: np.random.Generator, crimp: Array, tint: Array, thick: float) -> Yarns:
    """A set of yarns as a spinning wheel makes them: none is like the next, and none is even."""
    each = rng.standard_normal((3, YARNS, 1)).astype(np.float32)
    slub = along_noise(rng, 9)
    uneven = 0.04 * each[0] + 0.05 * slub + 0.04 * along_noise(rng, 2) + 0.14 * np.maximum(slub - 1.4, 0)
    return Yarns(
        side=0.025 * each[1] + 0.03 * along_noise(rng, 6),
        half=(thick * np.exp(uneven)).astype(np.float32),
        lift=crimp + 0.02 * along_noise(rng, 4),
        tone=1 + 0.04 * each[2] + 0.035 * along_noise(rng, 7),
        tint=tint,
    )


def _fibres(rng: np.random.Generator) -> Array:
    """Noise with long streaks along its rows (128, 1024), standard deviation 1."""
    noise = cv2.GaussianBlur(rng.standard_normal((128, 1024), dtype=np.float32), (0, 0), sigmaX=4, sigmaY=0.6)
    return noise / noise.std()


def _waves(rng: np.random.Generator, n: int) -> Array:
    """How the cloth lies: not quite flat, with one or two soft folds (n, n)."""
    x, y = grid(n)
    base = 0.024 * soft_noise(rng, n, 2, 2) + 0.0012 * soft_noise(rng, n, 9, 2)
    for _ in range(2):
        angle, place, wide = rng.uniform(0, np.pi), rng.uniform(-1, 1), rng.uniform(0.18, 0.4)
        d = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) - np.float32(place)
        base += np.float32(rng.uniform(0, 0.12) * wide) * np.exp(-((d / np.float32(wide)) ** 2))
    return base


def _fuzz(rng: np.random.Generator, n: int, count: int, size: float, bend: float) -> Array:
    """Fibres of about `size` that lie anywhere on the cloth, 0..1 (n, n)."""
    start, heading = rng.uniform(-1.05, 1.05, (count, 2)), rng.uniform(0, 2 * np.pi, count)
    length, turn = size * rng.gamma(2, 0.5, count), rng.normal(0, bend, count)
    return draw_fibres(n, start, heading, length, turn, rng.uniform(0.15, 1, count))


FABRIC = Category(
    name="fabric",
    build=build,
    defects={"crease": crease, "cut": cut, "foreign": foreign, "hole": hole, "stain": stain, "thread": thread},
)
