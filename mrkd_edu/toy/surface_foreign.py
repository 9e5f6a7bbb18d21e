"""What may lie on a slab of the category `surface`: a piece of binding wire or a dry leaf.

The rules are those of defects.py. The region is the thing itself and its shadow.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from mrkd_edu.toy.patterns import blur, distance_to_curve, grid, pick, smoothstep, soft_noise, stroke
from mrkd_edu.toy.scene import Array, Layer, Scene

WIRES = np.array([[0.52, 0.52, 0.53], [0.085, 0.036, 0.018]], np.float32)  # bright, rusty
LEAVES = np.array([[0.140, 0.066, 0.026], [0.190, 0.118, 0.044], [0.062, 0.036, 0.022]], np.float32)


def foreign(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """A piece of binding wire or a dry leaf lies on the stones; its shadow breaks over them."""
    wire = rng.random() < 0.5
    thing, top = (_wire if wire else _leaf)(scene, strength, rng)
    # A ground pixel is dark when the ray to the lamp meets the thing at its height.
    slab = scene.layers[scene.product]
    n = len(slab.height)
    x, y, z = scene.lights[0].direction
    drop = np.clip(top - slab.height, 0.004, 0.06) / np.float32(z) * np.float32(n / 2)  # (n, n) in fine pixels
    columns, rows = np.meshgrid(np.arange(n, dtype=np.float32), np.arange(n, dtype=np.float32))
    soft = blur(thing.cover, max(0.5, 0.008 * n / 2))
    dark = cv2.remap(soft, columns + drop * np.float32(x), rows + drop * np.float32(y), cv2.INTER_LINEAR)
    dark = np.where(dark > 0.06, 0.72 * dark, 0).astype(np.float32)
    layers = [replace(layer, light=layer.light * (1 - dark)) for layer in scene.layers]
    return replace(scene, layers=(*layers, thing)), (thing.cover > 0) | (dark > 0)


def _wire(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Layer, float]:
    """A bent piece of wire: its layer, and how high it lies."""
    slab = scene.layers[scene.product]
    n = len(slab.height)
    x, y = pick(rng, scene.face)
    middle = 0.6 * x, 0.6 * y  # all of it lies on the slab
    points = stroke(rng, middle, rng.uniform(0.6, 1.0), rng.uniform(0.8, 2.2))
    tint, thick = WIRES[int(rng.integers(2))], rng.uniform(0.019, 0.026)
    bare = tint[2] > 0.2  # rust does not shine
    patchy = soft_noise(rng, n, 60, 2)
    width = thick * (0.6 + 0.4 * strength)
    distance, position = distance_to_curve(points, n, 3 * width)
    there = np.isfinite(distance) & (np.abs(position - 0.5) < 0.5 * (0.4 + 0.6 * strength))
    d = np.where(there, distance, 3 * width) / np.float32(width)
    cover = np.clip((1 - d) * np.float32(width * n / 2) + 0.5, 0, 1) * np.float32(min(1.0, 2.2 * strength))
    height = np.float32(width) * np.sqrt(np.clip(1 - d * d, 0.02, 1))
    colour = tint[:, None, None] * (1 + 0.12 * patchy)
    return _thing(height, colour, np.where(there, cover, 0), 0.75 if bare else 0.0), _top(slab, middle) + width


def _leaf(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Layer, float]:
    """A dry leaf: its layer, and how high it lies."""
    slab = scene.layers[scene.product]
    n = len(slab.height)
    middle, turn = pick(rng, scene.face), rng.uniform(0, 2 * np.pi)
    long, slim, curve = rng.uniform(0.24, 0.34), rng.uniform(0.30, 0.45), rng.uniform(-0.25, 0.25)
    tint = LEAVES[int(rng.integers(len(LEAVES)))] * rng.uniform(0.8, 1.2)
    torn, spots, crinkle = soft_noise(rng, n, 18, 3), soft_noise(rng, n, 30, 3), soft_noise(rng, n, 12, 3)
    curl, veins = rng.uniform(0.35, 0.7), rng.uniform(5, 8)

    long = long * (0.6 + 0.4 * strength)
    x, y = grid(n)
    dx, dy = (x - np.float32(middle[0])) / np.float32(long), (y - np.float32(middle[1])) / np.float32(long)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = cos * dx + sin * dy, cos * dy - sin * dx  # along the leaf and across it
    v = v - np.float32(curve) * (u * u - 0.3)
    outline = slim * np.clip(1 - u * u, 0, 1) ** 0.8 * (1 - 0.25 * u) + 0.035 * torn  # half its width at u
    edge = (outline - np.abs(v)) * np.float32(long * n / 2)  # fine pixels from the border, inside > 0
    cover = np.where(np.abs(u) < 1, np.clip(0.7 * edge + 0.5, 0, 1), 0) * np.float32(min(1.0, 2.2 * strength))
    vein = np.abs(np.sin(np.float32(np.pi * veins) * (u - 0.8 * np.abs(v)))) ** 8
    rib = smoothstep(0.05, 0.0, np.abs(v))
    height = np.float32(long) * (curl * np.abs(v) ** 1.5 + 0.06 * crinkle + 0.012 * rib + 0.005 * vein)
    brown = smoothstep(0.12, 0, outline - np.abs(v))  # leaves dry from the border
    tone = (1 + 0.20 * np.clip(spots, -1.5, 2) + 0.30 * rib + 0.06 * vein) * (1 - 0.35 * brown)
    colour = np.clip(tint[:, None, None] * tone, 0, 1)
    return _thing(height, colour, cover, 0.0), _top(slab, middle) + 0.03  # curled: it touches few stones


def _top(slab: Layer, place: tuple[float, float]) -> float:
    """Height of the highest stones around a place."""
    x, y = grid(len(slab.height))
    near = (x - place[0]) ** 2 + (y - place[1]) ** 2 < 0.2**2
    return float(np.quantile(slab.height[near], 0.9))


def _thing(height: Array, colour: Array, cover: Array, metal: float) -> Layer:
    """The layer of a thing that lies on the slab."""
    one = np.ones_like(height)
    return Layer(height, colour, cover, one, metal * one, 0.22 * one, 0.22 * one, np.stack([one, 0 * one]))
