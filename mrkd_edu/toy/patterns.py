"""Patterns that scenes are made from: coordinates, smooth steps, noise, blobs, curves. No light or colour."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from scipy.spatial import cKDTree

Array = np.ndarray


@lru_cache(maxsize=2)
def grid(n: int) -> tuple[Array, Array]:
    """Coordinates x, y of n x n pixel centres, from -1 to 1, y down. Cached, so read-only.

    Example:
        >>> x, y = grid(4)
        >>> x[0].tolist()
        [-0.75, -0.25, 0.25, 0.75]
    """
    centre = ((np.arange(n) + 0.5) * 2 / n - 1).astype(np.float32)
    x, y = np.meshgrid(centre, centre)  # (n, n)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def smoothstep(low: float, high: float, x: Array) -> Array:
    """0 below `low`, 1 above `high`, 3t^2 - 2t^3 between; `low` > `high` makes it fall.

    Example:
        >>> smoothstep(0, 1, np.array([-1.0, 0.5, 2.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def ramp(x: Array, width: float) -> Array:
    """max(0, x) with its corner rounded over +-`width`.

    Example:
        >>> ramp(np.array([-1.0, 0.0, 1.0]), 0.5).tolist()
        [0.0, 0.125, 1.0]
    """
    t = np.clip(x + width, 0, 2 * width)
    return t * t / (4 * width) + np.maximum(x - width, 0)


def blur(image: Array, sigma: float) -> Array:
    """Gaussian blur, sigma in pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def soft_noise(rng: np.random.Generator, n: int, cells: int, octaves: int = 3, gain: float = 0.5) -> Array:
    """Cloudy noise with mean about 0 and standard deviation about 1 (n, n).

    A coarse random grid of `cells` x `cells`, enlarged smoothly, plus octaves of twice the cells and `gain`
    times the height. The coarse grids do not depend on n, so that a scene keeps its look at another image
    size.
    """
    total = np.zeros((n, n), np.float32)
    for octave in range(octaves):
        coarse = rng.standard_normal((cells * 2**octave,) * 2, dtype=np.float32)
        total += gain**octave * cv2.resize(coarse, (n, n), interpolation=cv2.INTER_CUBIC)
    spread = np.sqrt(sum(gain ** (2 * octave) for octave in range(octaves)))
    return total / np.float32(0.75 * spread)  # smooth enlargement loses about a quarter of the spread


def stroke(rng: np.random.Generator, middle: tuple[float, float], length: float, bend: float) -> Array:
    """A curved stroke around `middle`: points (400, 2) in x, y. Its direction wanders by `bend` radians."""
    t = np.linspace(-1, 1, 400)
    start, arc, wave, phase = rng.uniform(0, 2 * np.pi), *rng.uniform(-1, 1, 2), rng.uniform(0, 6)
    heading = start + bend * (arc * t + 0.5 * wave * np.sin(4 * t + phase))
    step = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / len(t))
    points = np.cumsum(step, axis=0)
    return points - points[len(t) // 2] + np.asarray(middle)


def distance_to_curve(points: Array, n: int, reach: float) -> tuple[Array, Array]:
    """Distance of every pixel to a curve, and where along the curve the nearest point lies.

    Args:
        points: the curve, dense (m, 2), in x, y.
        n: grid size.
        reach: pixels farther away than this get an infinite distance (so that the search stays short).

    Returns:
        Distance (n, n), and position along the curve from 0 to 1 (n, n), 0 where the distance is infinite.
    """
    x, y = grid(n)
    distance = np.full((n, n), np.inf, np.float32)
    position = np.zeros((n, n), np.float32)
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    near = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
    found, index = cKDTree(points).query(np.stack([x[near], y[near]], axis=1), distance_upper_bound=reach)
    distance[near] = found
    position[near] = np.where(np.isfinite(found), index / (len(points) - 1), 0)
    return distance, position


def blob(
    rng: np.random.Generator, n: int, middle: tuple[float, float], radius: float, ragged: float, cells: int
) -> Array:
    """An irregular round patch: 1 in the middle, 0 on its border, negative outside (n, n).

    `ragged` is how much noise disturbs the border; `radius` may be multiplied later by strength, since the
    noise depends on neither.
    """
    x, y = grid(n)
    stretch, turn = rng.uniform(0.75, 1.3), rng.uniform(0, np.pi)
    dx, dy = x - middle[0], y - middle[1]
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = (cos * dx + sin * dy) * np.float32(stretch), (cos * dy - sin * dx) / np.float32(stretch)
    noise = soft_noise(rng, n, cells, 4, 0.6)
    distance = np.sqrt(u * u + v * v) / np.float32(radius)
    return 1 - distance * np.exp(np.clip(ragged * noise, -0.5, 0.5))


def pick(rng: np.random.Generator, where: Array) -> tuple[float, float]:
    """A random place (x, y) among the True pixels of `where` (n, n)."""
    rows, columns = np.nonzero(where)
    # A share, not an index: the same generator finds about the same place at another image size.
    chosen = int(rng.random() * len(rows))
    x, y = grid(len(where))
    return float(x[0, columns[chosen]]), float(y[rows[chosen], 0])
