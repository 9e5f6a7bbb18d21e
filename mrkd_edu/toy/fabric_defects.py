"""What can go wrong with a woven cloth: crease, cut, foreign, hole, stain and thread.

The kinds of the category `fabric`, made under the same rules as those in defects.py. Where yarns break, go
missing or move, the charts of the weave are changed and the cloth is woven again; what came out differently
is the region.

    crease    the ridge that a sharp fold left
    cut       the slit, the severed ends and the yarns around it that moved
    foreign   the thread where it is seen, and its shadow
    hole      the broken yarns and those around that came loose
    stain     where the liquid went
    thread    the yarn that is missing or floats, and its neighbours where they moved
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from mrkd_edu.toy.patterns import blob, blur, distance_to_curve, grid, pick, smoothstep, soft_noise, stroke
from mrkd_edu.toy.scene import Array, Layer, Scene
from mrkd_edu.toy.weave import CRIMP, YARNS, Cloth, Weave, Yarns, draw_fibres, interlace, matte, places

# Dyes of foreign threads, and the share of light that passes a dried liquid, linear.
DYES = np.array([[0.45, 0.04, 0.035], [0.02, 0.02, 0.022], [0.42, 0.26, 0.03], [0.03, 0.16, 0.06]], np.float32)
LIQUIDS = np.array([[0.32, 0.17, 0.07], [0.32, 0.25, 0.14], [0.25, 0.25, 0.26]], np.float32)  # tea, oil, dirty water


def hole(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """Worn through or torn: some yarns of both sets are broken, their ends frayed, and the board shows."""
    radius, stretch = rng.uniform(2.7, 3.9), rng.uniform(0.75, 1.3)
    grown = 0.5 + 0.5 * strength
    return _sever(_cloth(scene), (grown * radius * stretch, grown * radius / stretch), strength, rng)


def cut(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """A blade went through: a straight slit, wide open in its middle."""
    half = rng.uniform(5.0, 7.5)
    return _sever(_cloth(scene), (half * (0.5 + 0.5 * strength), 0.48 + 0.58 * strength), strength, rng)


def _sever(cloth: Cloth, axes: tuple[float, float], strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """Break the yarns within an ellipse with these half axes, in pitches, and fray their ends."""
    weave = cloth.weave
    (x, y), (u, v) = _somewhere(cloth, rng)
    turn = rng.uniform(0, np.pi)
    of_each = rng.standard_normal((2, 3, YARNS, 1)).astype(np.float32)
    cos, sin = np.cos(turn), np.sin(turn)

    def away(a: Array, b: Array) -> Array:  # of the place u = a, v = b: 0 in the middle, 1 on the ellipse
        along, across = (a - u) * cos + (b - v) * sin, (b - v) * cos - (a - u) * sin
        return np.hypot(along / axes[0], across / axes[1])

    def broken(yarns: Yarns, d: Array, ragged: Array, swing: Array, curl: Array) -> Yarns:
        d = d + 0.16 * ragged  # no two yarns break at the same place
        gone = smoothstep(1.15, 0.80, d) * min(1, 1.9 * strength**0.95)
        end = np.clip(1 - ((d - 1.0) / 0.4) ** 2, 0, 1) ** 2 * strength  # loose ends stand up and swing aside
        side, lift = yarns.side + 0.14 * swing * end, yarns.lift + 0.10 * (curl + 0.5) * end
        return replace(yarns, half=yarns.half * (1 - gone), side=side, lift=lift)

    yarn, along = places()
    warp = broken(weave.warp, away(yarn, along), *of_each[0])
    weft = broken(weave.weft, away(along, yarn), *of_each[1])
    torn, region = _rewoven(cloth, replace(weave, warp=warp, weft=weft))
    loose = _loose_fibres(cloth, (x, y), turn, axes, strength, rng)
    return replace(torn, layers=(*torn.layers, loose)), region | (loose.cover > 0)


def _loose_fibres(
    cloth: Cloth,
    middle: tuple[float, float],
    turn: float,
    axes: tuple[float, float],
    strength: float,
    rng: np.random.Generator,
) -> Layer:
    """Single fibres that stick out of the broken ends into the gap, an ellipse, as a layer of their own."""
    weave, n = cloth.weave, len(cloth.face)
    many = 48
    around, aside, bend = rng.uniform(0, 2 * np.pi, many), rng.normal(0, 0.5, many), rng.normal(0, 1.2, many)
    long, shine = rng.uniform(0.4, 1.5, many), rng.uniform(0.2, 0.9, many)

    rim = 1.12 * np.stack([axes[0] * np.cos(around), axes[1] * np.sin(around)], axis=1)  # (many, 2) in pitches
    cos, sin = np.cos(turn), np.sin(turn)
    start = np.array(middle) + weave.pitch * rim @ np.array([[cos, sin], [-sin, cos]])
    inward = np.arctan2(-rim[:, 1], -0.4 * rim[:, 0]) + turn + aside
    length = weave.pitch * strength * long * min(1.6, 0.8 * axes[1] + 0.4)  # not far across a narrow gap
    cover = draw_fibres(n, start, inward, length, bend, strength * shine)
    tint = (weave.warp.tint + weave.weft.tint) / 2
    fibres = matte(weave.base, np.broadcast_to(tint[:, None, None], (3, n, n)))
    return replace(fibres, cover=cover, light=0.8 * fibres.light)


def thread(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """One yarn is missing over a stretch, or it missed its crossings there and floats on the cloth, thick."""
    cloth = _cloth(scene)
    _, middle = _somewhere(cloth, rng)
    of_weft, missing, half = int(rng.integers(2)), rng.random() < 0.5, rng.uniform(5.0, 9.0)

    number, centre, grown = round(middle[of_weft]), middle[1 - of_weft], strength**0.65
    half *= 0.55 + 0.45 * strength
    yarn, along = places()
    amount = grown * smoothstep(half, half - 1.5, np.abs(along - centre)) * (yarn == number)
    weave = cloth.weave
    own, other, across, run = weave.warp, weave.weft, weave.u, weave.v
    if of_weft:
        own, other, across, run = other, own, run, across
    if missing:  # those that it crossed are no longer pressed flat there: they sink, rounder
        at = grown * smoothstep(half, half - 1.5, np.abs(yarn - centre)) * np.exp(-(((along - number) / 0.55) ** 2))
        other = replace(other, half=other.half * (1 - 0.35 * at), lift=other.lift - 0.12 * at)
        own = replace(own, half=own.half * (1 - amount))
    else:
        free = np.minimum(1.6 * amount, 1) * np.maximum(1.25 * CRIMP - own.lift, 0)
        own = replace(own, lift=own.lift + free, half=own.half + 0.03 * amount)
    # Its neighbours stand apart: pushed aside, or no longer held in place.
    d = across - np.float32(number)
    give = np.float32((0.18 if missing else 0.36) * grown) * smoothstep(half, half - 2.5, np.abs(run - centre))
    across = across - give * d * np.exp(-np.abs(d * d * d) / 2.5)
    if of_weft:
        return _rewoven(cloth, replace(weave, warp=other, weft=own, v=across))
    return _rewoven(cloth, replace(weave, warp=own, weft=other, u=across))


def stain(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """Liquid soaked in: it crept farther along some yarns than along others, and dried darkest at its border."""
    cloth = _cloth(scene)
    product, weave = cloth.layers[1], cloth.weave
    n = len(product.height)
    middle, radius = pick(rng, cloth.face), rng.uniform(0.25, 0.38)
    inside = blob(rng, n, middle, radius * (0.75 + 0.25 * strength), 0.15, cells=5)
    passing = LIQUIDS[int(rng.integers(len(LIQUIDS)))]
    creep = 1 + 0.07 * rng.standard_normal((2, YARNS)).astype(np.float32)
    uneven = soft_noise(rng, n, 9, 3)

    warp = creep[0][np.rint(weave.u).astype(int) + YARNS // 2]  # (n, n) that of each pixel's yarn
    weft = creep[1][np.rint(weave.v).astype(int) + YARNS // 2]
    inside = 1 - (1 - inside) * (warp * cloth.over + weft * (1 - cloth.over))
    rim = smoothstep(0.20, 0.08, inside)
    alpha = smoothstep(0.0, 0.05, inside) * np.clip(0.66 + 0.34 * rim + 0.07 * uneven, 0, 1)
    region = alpha > 0.05
    alpha = np.where(region, alpha, 0).astype(np.float32) * np.float32(strength**0.55)
    film = 1 - alpha * (1 - passing[:, None, None])
    return replace(cloth, layers=(cloth.layers[0], replace(product, colour=product.colour * film))), region


def crease(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """The cloth was folded sharply and laid flat again: a ridge remains, nearly straight."""
    cloth = _cloth(scene)
    product = cloth.layers[1]
    x, y = grid(len(product.height))
    cx, cy = 0.6 * np.array(pick(rng, cloth.face))  # a crease is long: its middle stays near that of the picture
    # Across the light, more or less: in raking light a crease along it is lost between the yarns.
    angle, bend = cloth.lights[0].azimuth + np.pi / 2 + rng.uniform(-0.5, 0.5), rng.uniform(-0.15, 0.15)
    half, wide = rng.uniform(0.65, 0.9) * (0.65 + 0.35 * strength), rng.uniform(0.11, 0.15)
    uneven = soft_noise(rng, len(x), 8, 2)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = (x - cx) * cos + (y - cy) * sin, (y - cy) * cos - (x - cx) * sin
    d = (across + np.float32(bend) * along * along) / np.float32(wide)
    ends = smoothstep(1, 0.2, np.abs(along) / np.float32(half)) * np.clip(0.85 + 0.2 * uneven, 0.4, 1.2)
    side = np.clip(1 - np.sqrt(d * d + 0.02), 0, 1)  # a crest with a narrow round top
    ridge = side * side * ends
    region = ridge > 0.01
    ridge = np.where(region, ridge, 0)
    height = product.height + np.float32(1.2 * wide * strength**0.7) * ridge
    worn = 1 + np.float32(0.45 * strength) * ridge * ridge * ridge  # fibres on the crest are rubbed bare
    colour = np.clip(product.colour * worn, 0, 1)
    return replace(cloth, layers=(cloth.layers[0], replace(product, height=height, colour=colour))), region


def foreign(scene: Scene, strength: float, rng: np.random.Generator) -> tuple[Scene, Array]:
    """A dyed thread lies on the cloth; here and there it dives under a yarn."""
    cloth = _cloth(scene)
    product, pitch = cloth.layers[1], cloth.weave.pitch
    n = len(product.height)
    middle, long = pick(rng, cloth.face), rng.uniform(0.5, 0.9)
    points = stroke(rng, middle, long, rng.uniform(0.6, 1.8))
    tint, thick = DYES[int(rng.integers(len(DYES)))], rng.uniform(0.20, 0.28) * pitch
    dive_at, dives = rng.uniform(0, 6), rng.uniform(14, 24)

    width, opaque = thick * (0.5 + 0.5 * strength), np.float32(min(1, 3 * strength))
    x, y, z = cloth.lights[0].direction
    drop = 0.5 * pitch
    distance, position = distance_to_curve(points, n, 2 * width)
    d = np.minimum(distance / np.float32(width), 2)
    shown = 0.5 * (0.48 + 0.58 * strength)  # a weak one is shorter
    part = np.sqrt(smoothstep(0, 0.06, shown - np.abs(position - 0.5)))
    level = pitch * (0.34 + 0.24 * np.sin(dives * position + dive_at))  # of its middle line, above the cloth's own
    top = level + width * np.sqrt(np.clip(1 - d * d, 0, 1)) + cloth.weave.base
    above = np.clip((top - product.height) / np.float32(0.1 * pitch) + 0.5, 0, 1)
    edge = np.float32(2 / n / width)  # one fine pixel, for a smooth outline
    cover = np.clip((part - d) / edge + 0.5, 0, 1) * above * (part > 0) * opaque

    below, where = distance_to_curve(points - np.array([x, y]) * drop / z, n, 2.2 * width)
    reached = np.isfinite(below) & (np.abs(where - 0.5) < shown)
    dark = 0.55 * opaque * smoothstep(2.2, 0.5, np.where(reached, below / np.float32(width), 2.2))
    dark = np.where(dark > 0.02, dark, 0)
    grey = blur(rng.spawn(1)[0].standard_normal((n, n), dtype=np.float32), 0.7)
    plies = np.sin(position * np.float32(long / (0.10 * pitch)) + 2.2 * _signed(points, position, n) / width)
    tone = 1 + 0.35 * grey + 0.18 * plies
    fibre = replace(matte(top + 0.12 * width * plies, np.clip(tint[:, None, None] * tone, 0, 1)), cover=cover)
    shaded = tuple(replace(layer, light=layer.light * (1 - dark)) for layer in cloth.layers)
    return replace(cloth, layers=(*shaded, fibre)), (cover > 0) | (dark > 0)


def _signed(points: Array, position: Array, n: int) -> Array:
    """Distance of every pixel to the nearest point of a curve, below 0 on its left (n, n)."""
    x, y = grid(n)
    step = np.gradient(points, axis=0)
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    index = np.rint(position * (len(points) - 1)).astype(int)
    px, py, sx, sy = (c.astype(np.float32)[index] for c in (*points.T, *step.T))
    return (y - py) * sx - (x - px) * sy


def _cloth(scene: Scene) -> Cloth:
    """The scene as a cloth; other scenes have no yarns to break."""
    if not isinstance(scene, Cloth):
        raise TypeError("this defect needs a woven cloth.")
    return scene


def _somewhere(cloth: Cloth, rng: np.random.Generator) -> tuple[tuple[float, float], tuple[float, float]]:
    """A random place on the cloth: x, y and the cloth's own u, v."""
    x, y = pick(rng, cloth.face)
    n = len(cloth.face)
    row, column = int((y + 1) * n / 2), int((x + 1) * n / 2)
    return (x, y), (float(cloth.weave.u[row, column]), float(cloth.weave.v[row, column]))


def _rewoven(cloth: Cloth, weave: Weave) -> tuple[Scene, Array]:
    """The scene with this weave, and the region where that is seen; elsewhere nothing changes, to the last bit."""
    old, (new, over) = cloth.layers[1], interlace(weave)
    seen = np.abs(new.height - old.height) > 0.02 * weave.pitch
    seen |= (np.abs(new.light - old.light) > 0.02) | (np.abs(new.cover - old.cover) > 0.02)
    seen |= (np.abs(new.colour - old.colour) > 0.01).any(axis=0)
    gap = 2 * round(0.3 * weave.pitch * len(seen) / 2) + 1  # pixels; specks and slits thinner than this are filled
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap))
    region = cv2.morphologyEx(seen.astype(np.uint8), cv2.MORPH_CLOSE, disc) > 0
    changed = replace(
        old,
        height=np.where(region, new.height, old.height),
        colour=np.where(region, new.colour, old.colour),
        cover=np.where(region, new.cover, old.cover),
        light=np.where(region, new.light, old.light),
    )
    over = np.where(region, over, cloth.over)
    return replace(cloth, layers=(cloth.layers[0], changed), weave=weave, over=over), region
