"""What can go wrong with the category `surface`, a slab of stones in cement: the slab itself is damaged.

    crack    a branching crack that runs along the seams between the stones; region: the gap and its lips
    soaked   oil or rust that the slab has sucked in; region: where it is discoloured
    hole     a few stones broke out; region: the pit
    slurry   a film of cement drowned the stones; region: the film

The rules are those of defects.py: made before the light, nothing outside the region changes, all random
numbers are drawn before the strength is used.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from skimage.graph import route_through_array

from mrkd_edu.toy.patterns import blob, blur, distance_to_curve, grid, pick, ramp, smoothstep, soft_noise
from mrkd_edu.toy.scene import Array, Layer, Light, Scene

COARSE = 112  # side of the map on which a crack looks for its way: about 8 cells across a stone
OIL = np.array([0.17, 0.145, 0.115], np.float32)  # share of the light that comes back from oily stone
RUST = np.array([0.74, 0.34, 0.13], np.float32)  # and from stone with rust in its pores
SLURRY = np.array([0.25, 0.243, 0.228], np.float32)  # reflectance of dry cement paste


def sunlight(height: Array, key: Light, dark: float) -> Array:
    """Share of the light that is left where the relief hides the main lamp, 1 - `dark` to 1 (n, n).

    Walks from every pixel towards the lamp and looks whether the ground rises above the ray.
    """
    n = len(height)
    m = max(32, n // 2)  # a shadow is soft: half the resolution is enough
    small = cv2.resize(height, (m, m), interpolation=cv2.INTER_AREA)
    x, y, z = key.direction
    above = np.zeros_like(small)
    for run in np.linspace(0.007, 0.11, 9):  # how far to walk in the plane
        flat = run / np.hypot(x, y)
        ahead = np.array([[1, 0, flat * x * m / 2], [0, 1, flat * y * m / 2]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        there = cv2.warpAffine(small, ahead, (m, m), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        above = np.maximum(above, there - small - np.float32(flat * z))
    shadow = blur(smoothstep(0, 0.005, above), max(0.5, 0.9 * m / 256))
    return 1 - np.float32(dark) * cv2.resize(shadow, (n, n), interpolation=cv2.INTER_LINEAR)


def hole(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """A few stones broke out of the cement: first a shallow piece, at full strength all of them."""
    slab = scene.layers[scene.product]
    n = len(slab.height)
    bed = _stones_at(scene, rng)
    ragged = soft_noise(rng, n, 26, 3, 0.6)
    facets, grain = soft_noise(rng, n, 20, 3, 0.5), soft_noise(rng, n, 90, 2, 0.8)
    depth = rng.uniform(0.55, 0.75)

    inwards = cv2.distanceTransform(bed, cv2.DIST_L2, 5) * np.float32(2 / n)  # (n, n)
    inwards = blur(inwards, max(0.5, 0.016 * n / 2))
    radius = float(inwards.max())
    away = inwards - np.float32(radius * (1 - strength) ** 1.5 * 0.5)  # a weak one is smaller
    pit = np.clip(away / np.float32(radius) * (1 + 0.25 * ragged), 0, 1)
    region = pit > 0.06
    bowl = np.where(region, smoothstep(0.0, 0.6, pit), 0).astype(np.float32)
    broken = np.float32(0.003) * facets + np.float32(0.0012) * grain
    floor = blur(slab.height, 0.035 * n / 2) - np.float32(depth * radius * strength**0.7) * bowl + broken
    fresh = np.float32(min(1.0, 1.6 * strength)) * np.where(region, smoothstep(0.06, 0.25, pit), 0)
    height = slab.height + fresh * (floor - slab.height)
    grey = 0.2 * slab.colour.mean(axis=0) + SLURRY[:, None, None] * (0.48 + 0.06 * facets + 0.06 * grain)
    colour = slab.colour + np.float32(0.9) * fresh * (grey - slab.colour)
    sun = sunlight(height, scene.lights[0], 0.72)  # what the wall on the lamp's side leaves
    light = slab.light + fresh * (sun * (1 - 0.48 * bowl) - slab.light)
    return _done(scene, replace(slab, height=height, colour=np.clip(colour, 0, 1), light=light), region)


def _stones_at(scene: Scene, rng: np.random.Generator) -> Array:
    """The thickest stone near a random place, its neighbours, and the bed around them: 0 or 1 (n, n)."""
    n = len(scene.rim)
    x, y = pick(rng, scene.face)
    reach = rng.uniform(0.14, 0.19)
    columns, rows = grid(n)
    near = (np.maximum(np.abs(columns - x), np.abs(rows - y)) < 0.2) & scene.face
    solid = cv2.morphologyEx((~scene.rim).astype(np.uint8), cv2.MORPH_OPEN, _disc(0.015 * n))  # cuts thin bridges
    inwards = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    row, column = np.unravel_index(np.argmax(np.where(near, inwards, 0)), (n, n))
    around = (columns - columns[0, column]) ** 2 + (rows - rows[row, 0]) ** 2 < reach**2
    count, number = cv2.connectedComponents(solid, connectivity=4)
    share = np.bincount(number[around], minlength=count) / np.bincount(number.ravel(), minlength=count)
    loose = (share > 0.5) & (np.arange(count) > 0)  # number 0 are the seams
    loose[number[row, column]] = True
    together = cv2.morphologyEx(loose[number].astype(np.uint8), cv2.MORPH_CLOSE, _disc(0.05 * n))
    return cv2.dilate(together, _disc(0.016 * n))


def _disc(width: float) -> Array:
    """A disc of about this many pixels across, for morphology."""
    odd = 2 * int(width / 2) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (odd, odd))


def crack(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """The slab broke: a crack with one or two branches, deep and dark, with crumbled lips."""
    slab = scene.layers[scene.product]
    n = len(slab.height)
    middle, heading = np.array(pick(rng, scene.face)) * 0.6, rng.uniform(0, 2 * np.pi)
    effort = _effort(slab.height, rng)
    half = rng.uniform(0.42, 0.62) * np.array([np.cos(heading), np.sin(heading)])
    width = rng.uniform(0.010, 0.014) * (0.4 + strength)
    crumble = soft_noise(rng, n, 40, 2)
    main = _route(effort, middle - half, middle + half)
    curves = [(main, np.float32(0.5), 0.45 + 0.55 * strength, 1.0)]  # points, middle, share to show, relative width
    for side in rng.permutation([-1, 1])[: int(rng.integers(1, 3))]:
        at, turn, length = rng.uniform(0.3, 0.7), side * rng.uniform(0.5, 1.0), rng.uniform(0.22, 0.42)
        start = main[int(at * (len(main) - 1))]
        end = start + length * np.array([np.cos(heading + turn), np.sin(heading + turn)])
        curves.append((_route(effort, start, end), np.float32(0), 2 * np.clip((strength - 0.2) / 0.8, 0, 1), 0.65))

    gap, lips = np.zeros((n, n), np.float32), np.zeros((n, n), np.float32)
    for points, centre, share, relative in curves:
        w = width * relative * (1 + 0.45 * np.clip(crumble, -1.5, 2.2))
        distance, position = distance_to_curve(points, n, 5 * width)
        ends = np.clip(1 - (np.abs(position - centre) / max(share / 2, 1e-3)) ** 3, 0, 1)  # it closes to its ends
        d = np.where(np.isfinite(distance), distance, np.inf) / (w * (0.3 + 0.7 * ends))
        gap = np.maximum(gap, np.where(ends > 0, smoothstep(1.3, 0.5, d), 0))
        lips = np.maximum(lips, np.where(ends > 0, smoothstep(2.6, 0.9, d), 0))
    region = lips > 0.03
    lips = np.where(region, lips, 0)
    amount = np.float32(strength**0.5)
    height = slab.height - amount * np.float32(width) * (1.6 * gap + 0.5 * lips)
    light = slab.light * (1 - amount * np.float32(0.92) * gap) * (1 - amount * np.float32(0.12) * lips)
    pale = slab.colour + np.float32(0.35) * amount * lips * (SLURRY[:, None, None] - slab.colour)  # fresh break
    return _done(scene, replace(slab, height=height, light=light, colour=pale), region)


def _effort(height: Array, rng: np.random.Generator) -> Array:
    """What it costs a crack to pass: cement is weak, stones are strong (COARSE, COARSE)."""
    low = cv2.resize(height, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    relative = (low - blur(low, 6)) / low.std()
    return np.exp(0.95 * relative + 0.5 * rng.standard_normal(low.shape)) + 0.25


def _route(effort: Array, start: Array, end: Array) -> Array:
    """The easiest way between two places: points (400, 2) in x, y."""
    ends = [np.clip(((p + 1) * COARSE / 2).astype(int), 0, COARSE - 1)[::-1] for p in (start, end)]
    path, _ = route_through_array(effort, ends[0], ends[1], fully_connected=True, geometric=True)
    cells = gaussian_filter1d(np.array(path, float)[:, ::-1], 0.9, axis=0, mode="nearest")  # (m, 2) as x, y
    at = np.linspace(0, len(cells) - 1, 400)
    points = np.stack([np.interp(at, np.arange(len(cells)), cells[:, k]) for k in range(2)], axis=1)
    return (points + 0.5) * 2 / COARSE - 1


def soaked(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """Oil or rust was sucked in: the relief stays, the cement takes up more of it than the stones."""
    slab = scene.layers[scene.product]
    n = len(slab.height)
    middle, rusty = pick(rng, scene.face), rng.random() < 0.5
    radius = rng.uniform(0.27, 0.36) * (0.7 + 0.3 * strength)
    inside = blob(rng, n, middle, radius, 0.26, cells=7)
    patchy = soft_noise(rng, n, 14, 4, 0.6)
    porous = smoothstep(0.006, -0.012, slab.height - blur(slab.height, 0.06 * n / 2))  # low places: cement
    reach = inside + 0.10 * porous  # it creeps along the cement
    if rusty:
        taken = smoothstep(0.03, 0.4, reach) * np.clip(0.85 + 0.25 * patchy, 0.2, 1.2) * (0.7 + 0.3 * porous)
    else:
        taken = smoothstep(0.02, 0.26, reach) * np.clip(0.9 + 0.10 * patchy, 0.5, 1.1) * (0.85 + 0.15 * porous)
    region = (inside > 0) & (taken > 0.04)
    alpha = np.where(region, taken, 0).astype(np.float32) * np.float32(strength**0.7)
    film = 1 - np.minimum(alpha, 1) * (1 - (RUST if rusty else OIL)[:, None, None])
    return _done(scene, replace(slab, colour=slab.colour * film), region)


def slurry(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """A splash of cement was smeared over the slab and dried: it fills the gaps, then drowns the stones."""
    slab = scene.layers[scene.product]
    n = len(slab.height)
    inside = blob(rng, n, pick(rng, scene.face), rng.uniform(0.29, 0.37) * (0.7 + 0.3 * strength), 0.25, cells=6)
    cloud, bubbles = soft_noise(rng, n, 12, 4, 0.6), soft_noise(rng, n, 70, 2)
    grit = blur(rng.spawn(1)[0].standard_normal((n, n), dtype=np.float32), max(0.5, 1.1 * n / 512))
    tint = SLURRY * rng.uniform(0.75, 1.05)
    spread = smoothstep(0, 0.55, inside)
    region = spread > 0.03
    alpha = np.where(region, spread, 0).astype(np.float32) * np.float32(strength**0.75)

    base = blur(slab.height, 0.08 * n / 2)
    level = base + np.float32(0.03) * (alpha * 1.3 - 0.5) + np.float32(0.0015) * cloud
    above = ramp(level - slab.height, 0.004)  # thickness of the film
    pores = smoothstep(1.9, 2.6, bubbles) * smoothstep(0.004, 0.010, above)  # none in a mere haze
    rough = np.float32(0.0028) * grit - np.float32(0.006) * pores
    height = slab.height + np.where(region, above, 0) * np.minimum(1, 4 * alpha) + np.minimum(1, 1.5 * alpha) * rough
    haze = np.minimum(1, alpha * 0.5 + smoothstep(0, 0.010, above) * np.minimum(1, 1.6 * alpha))
    dry = tint[:, None, None] * (1 + 0.07 * cloud + 0.14 * grit - 0.4 * pores)
    colour = slab.colour + np.where(region, haze, 0) * (dry - slab.colour)
    light = slab.light + np.where(region, haze, 0) * (1 - slab.light)  # no stones, no shadows of stones
    return _done(scene, replace(slab, height=height, colour=colour, light=light), region)


def _done(scene: Scene, slab: Layer, region: Array) -> tuple[Scene, Array]:
    """The scene with the changed slab, and the region as far as the slab reaches."""
    layers = list(scene.layers)
    layers[scene.product] = slab
    reach = cv2.dilate(slab.cover, np.ones((3, 3))) > 0  # a height just beyond the edge still tilts the edge
    return replace(scene, layers=tuple(layers)), region & reach
