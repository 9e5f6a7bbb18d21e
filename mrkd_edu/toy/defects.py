"""Defects that several categories share: scratch, chip, stain, dent and foreign.

A defect is made in the scene, before the light: it carves the relief, changes the material or puts
something on top. The renderer then lights it like everything else, so its highlights and shadows agree with
the lamps. No pixels are copied from anywhere.

Each function takes the scene, a strength in (0, 1] and a generator, and returns the changed scene and the
region that it changed, bool (n, n). Outside this region the scene is untouched, to the last bit. What the
region is:

    scratch   the groove and the lips that it pushed up
    chip      the product where material is missing, whether the table shows or a broken surface
    stain     where the liquid or rust covers the product at all
    dent      the hollow from rim to rim
    foreign   the thing itself and the shadow that it casts

All random numbers are drawn before the strength is used: strength alone never moves a defect to another
place.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrkd_edu.toy.patterns import blob, distance_to_curve, pick, smoothstep, soft_noise, stroke
from mrkd_edu.toy.scene import Array, Layer, Scene

RUST = np.array([0.095, 0.037, 0.017], np.float32)  # reflectance, linear
DYES = np.array([[0.5, 0.5, 0.45], [0.05, 0.11, 0.3], [0.35, 0.05, 0.04], [0.03, 0.03, 0.03]], np.float32)
OIL = np.array([0.42, 0.30, 0.12], np.float32)  # share of the light that passes the film twice


def scratch(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """A sharp point was drawn over the surface: a curved groove with lips on both sides."""
    product = scene.layers[scene.product]
    n = len(product.height)
    points = stroke(rng, pick(rng, scene.face), rng.uniform(0.3, 0.7), 0.7)
    pressure = 1 + 0.35 * soft_noise(rng, n, 12, 2)
    width = rng.uniform(0.009, 0.013) * (0.5 + 0.5 * strength)
    shine = rng.uniform(-0.4, 0.3)  # the groove's floor: darker or brighter than the skin around it

    distance, position = distance_to_curve(points, n, 3 * width)
    ends = (0.45 + 0.55 * strength) / 2  # a weak scratch is shorter
    taper = np.clip(1 - (np.abs(position - 0.5) / ends) ** 4, 0, 1) * np.clip(pressure, 0.3, 1.6)
    d = np.where(np.isfinite(distance), distance, 0) / np.float32(width)
    groove = np.clip(1 - d * d, 0, None) ** 2
    lips = np.clip(1 - (d - 1.4) ** 2, 0, None) ** 2
    region = (d < 2.4) & np.isfinite(distance) & (taper > 0.02) & (product.cover > 0)
    amount = np.where(region, taper, 0).astype(np.float32)
    height = product.height + np.float32(width * 0.9 * strength**0.8) * amount * (0.35 * lips - groove)
    tone = 1 + np.float32(shine * strength) * amount * groove
    return _with(scene, replace(product, height=height, colour=product.colour * tone)), region


def dent(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """Something hard hit the surface: a smooth hollow that catches the light on its far side."""
    product = scene.layers[scene.product]
    n = len(product.height)
    radius = rng.uniform(0.08, 0.14)
    steep = rng.uniform(0.22, 0.34)
    inside = blob(rng, n, pick(rng, scene.face), radius * (0.6 + 0.4 * strength), 0.12, cells=8)
    bowl = np.clip(inside, 0, 1)
    bowl = (bowl * (2 - bowl)) ** 2  # (1 - rho^2)^2: flat in the middle and at the rim
    region = (bowl > 0.01) & (product.cover > 0)
    depth = np.float32(radius * steep * strength**1.2)
    bowl = np.where(region, bowl, 0)
    height = product.height - depth * bowl
    shade = np.float32(0.3 * strength) * bowl  # a hollow sees less of the sky
    return _with(scene, replace(product, height=height, light=product.light * (1 - shade))), region


def stain(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """Rust or oil: another colour with a soft irregular border. Rust is matte, oil keeps the shine."""
    product = scene.layers[scene.product]
    n = len(product.height)
    middle = pick(rng, scene.face)
    rusty = rng.random() < 0.5
    radius = rng.uniform(0.13, 0.24) * (0.65 + 0.35 * strength)
    inside = blob(rng, n, middle, radius, 0.28, cells=6)
    speckle = soft_noise(rng, n, 60, 3, 0.7)
    if rusty:  # it grows on the metal and hides it: a matte film of its own, eating in spot by spot
        alpha = smoothstep(0.0, 0.45, inside) * np.clip(0.8 + 0.2 * speckle, 0.3, 1)
    else:  # a drying drop is darkest along its border
        alpha = smoothstep(0.0, 0.12, inside) * (0.75 + 0.25 * smoothstep(0.22, 0.06, inside))
    region = (alpha > 0.04) & (product.cover > 0)
    alpha = np.where(region, alpha, 0).astype(np.float32) * np.float32(strength)
    if not rusty:
        film = 1 - 0.68 * alpha * (1 - OIL[:, None, None])
        return _with(scene, replace(product, colour=product.colour * film)), region
    flat = np.zeros((n, n), np.float32)
    rust = replace(
        product,
        height=product.height + np.float32(0.0012) * alpha * speckle,
        colour=np.clip(RUST[:, None, None] * (1 + 0.25 * speckle), 0, 1),
        cover=np.float32(0.92) * alpha * product.cover,
        metal=flat,
    )
    return replace(scene, layers=(*scene.layers, rust)), region


def chip(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """A piece of the rim broke away: a rough slope, and at full depth the table shows."""
    product = scene.layers[scene.product]
    n = len(product.height)
    middle = pick(rng, scene.rim)
    radius = rng.uniform(0.12, 0.19)
    inside = blob(rng, n, middle, radius * (0.35 + 0.65 * strength), 0.20, cells=7)
    facets = soft_noise(rng, n, 22, 3, 0.5)
    grit = rng.standard_normal((n, n), dtype=np.float32)

    region = (inside > 0) & (product.cover > 0)
    broken = np.where(region, np.clip(inside, 0, 1), 0).astype(np.float32)
    fade = smoothstep(0.0, 0.12, broken) * np.float32(min(1.0, 2 * strength))
    fall = np.float32(radius * 0.55) * broken
    rubble = fade * (0.004 * np.abs(facets) + 0.0006 * grit)
    height = product.height - (fall - rubble) * np.float32(strength**0.8)
    missing = 1 - 0.45 * strength  # beyond this depth nothing is left and the layer below shows
    gone = smoothstep(missing, missing + 0.05, broken)
    grey = product.colour.mean(axis=0) * (0.40 + 0.08 * facets + 0.05 * grit)
    return (
        _with(
            scene,
            replace(
                product,
                height=height,
                cover=product.cover * (1 - gone),
                light=product.light * (1 - 0.25 * fade),
                colour=np.clip(product.colour + fade * (grey - product.colour), 0, 1),
                metal=product.metal * (1 - 0.6 * fade),
                rough=product.rough + fade * (0.35 - product.rough),
                along=product.along + fade * (0.35 - product.along),  # a break has no grooves
            ),
        ),
        region,
    )


def foreign(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """A textile fibre or a curled metal shaving lies on the product and casts a shadow."""
    product = scene.layers[scene.product]
    n = len(product.height)
    middle = pick(rng, scene.face)
    shaving = rng.random() < 0.5
    length, bend, thick = rng.uniform(0.45, 0.8), rng.uniform(1.0, 2.4), rng.uniform(0.006, 0.009)
    tint = DYES[int(rng.integers(len(DYES)))]
    points = stroke(rng, middle, length, bend)
    twist_at, twists = rng.uniform(0, 6), rng.uniform(12, 20)
    if shaving:  # shorter, wider, twisted: bright and dark by turns
        points = np.asarray(middle) + (points - np.asarray(middle)) * 0.6
        thick, tint = thick * 1.9, np.array([0.62, 0.60, 0.56], np.float32)

    width = thick * (0.5 + 0.5 * strength)
    drop = 1.6 * width  # how high it lies above the surface
    x, y, z = scene.lights[0].direction
    reach = 3 * width + drop
    distance, position = distance_to_curve(points, n, reach)
    there = np.isfinite(distance)
    part = np.abs(position - 0.5) < 0.5 * (0.4 + 0.6 * strength)  # a weak one is shorter
    d = np.where(there, distance, reach) / np.float32(width)
    turn = np.sin(twists * position + np.float32(twist_at))
    lean = np.float32(0.75) * (0.6 + 0.4 * np.abs(turn)) if shaving else np.float32(1)
    edge = np.float32(2 / n / width)  # one fine pixel, for a smooth outline
    opaque = np.float32(min(1.0, 2.2 * strength))
    cover = np.where(part & there, np.clip((lean - d) / edge + 0.5, 0, 1), 0).astype(np.float32) * opaque

    # The shadow is the same curve moved away from the lamp, with a soft border that ends at twice the width.
    moved = points - np.array([x, y]) * drop / z
    below, where = distance_to_curve(moved, n, 2.2 * width)
    reached = np.isfinite(below) & (np.abs(where - 0.5) < 0.5 * (0.4 + 0.6 * strength))
    dark = smoothstep(2.2, 0.4, np.where(reached, below / np.float32(width), 2.2)) * np.float32(0.6) * opaque
    dark = np.where(dark > 0.02, dark, 0).astype(np.float32)
    layers = [replace(layer, light=layer.light * (1 - dark)) for layer in scene.layers]

    round_top = np.float32(width) * np.sqrt(np.clip(1 - d * d, 0, 1))
    flat = np.zeros((n, n), np.float32)
    gx, gy = _across(points, position)
    thing = Layer(
        height=round_top * (np.float32(0.6) * turn if shaving else np.float32(0.5)),
        colour=np.broadcast_to(tint[:, None, None], (3, n, n)),
        cover=cover,
        light=flat + 1,
        metal=flat + np.float32(0.9 if shaving else 0.0),
        rough=flat + np.float32(0.35),
        along=flat + np.float32(0.2),
        groove=np.stack([gx, gy]),
    )
    region = (cover > 0) | (dark > 0)
    return replace(scene, layers=(*layers, thing)), region


def _across(points: Array, position: Array) -> tuple[Array, Array]:
    """Direction of a curve at each pixel's nearest point: cos, sin (n, n) each."""
    step = np.gradient(points, axis=0)
    step = (step / np.linalg.norm(step, axis=1, keepdims=True)).astype(np.float32)
    index = np.rint(position * (len(points) - 1)).astype(int)
    return step[index, 0], step[index, 1]


def _with(scene: Scene, product: Layer) -> Scene:
    """The scene with another product."""
    layers = list(scene.layers)
    layers[scene.product] = product
    return replace(scene, layers=tuple(layers))
