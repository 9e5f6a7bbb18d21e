"""Woven cloth, yarn by yarn: from the shape of every yarn to one layer of a scene. No defects, no lamps of its own.

A cloth is two sets of parallel yarns, the *warp* and the *weft*, that pass over and under each other. Its own
coordinates u, v count yarns: warp yarn number i runs along u = i, weft yarn number j along v = j, and the
*pitch* is the distance between two neighbours. All lengths in this file are in pitches.

What a yarn looks like along its way is kept in a *chart*: one row per yarn, one column per place along it. A
pixel looks up its nearest warp yarn and its nearest weft yarn; the higher one is seen, and where neither
covers it there is a pore. A defect changes charts or coordinates and has the cloth woven again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np

from mrkd_edu.toy.patterns import smoothstep
from mrkd_edu.toy.scene import Array, Layer, Light, Scene

YARNS, PLACES = 56, 16  # rows of a chart; columns per pitch
LENGTH = YARNS * PLACES  # columns of a chart
COARSE = 256  # pixels; a cloth on a smaller grid is woven larger and averaged
CRIMP = 0.20  # how far a yarn rises and falls on its way over and under the others
FLAT = 0.62  # height of a yarn's cross-section over its width: yarns are pressed flat
TWIST = 0.42  # slope of the fibres on a yarn's surface


@dataclass(frozen=True)
class Yarns:
    """One set of parallel yarns. Every chart is (YARNS, LENGTH).

    Attributes:
        side: shift of the yarn's middle line to the side.
        half: half the yarn's width; 0 where there is no yarn.
        lift: height of the yarn's middle line.
        tone: how bright it is; 1 is usual.
        tint: its reflected share of red, green, blue, linear (3,).
    """

    side: Array
    half: Array
    lift: Array
    tone: Array
    tint: Array

    def __post_init__(self) -> None:
        for field in fields(self):  # one precision everywhere, as in a layer
            object.__setattr__(self, field.name, np.asarray(getattr(self, field.name), np.float32))


@dataclass(frozen=True)
class Weave:
    """All that a cloth is woven from.

    Attributes:
        warp: the yarns along v.
        weft: the yarns along u.
        u: cloth coordinate across the warp yarns (n, n).
        v: cloth coordinate across the weft yarns (n, n).
        pitch: distance of two yarns in units of half the image side.
        base: relief of the cloth as a whole, in units of half the image side (n, n).
        fibres: noise that is drawn along the yarns (rows, columns); it repeats.
        fuzz: short fibres that stand out of the yarns, 0..1 (n, n).
        grain: how much brighter or darker each pixel is, around 1 (n, n).
        key: the lamp in whose light the yarns shade each other.
    """

    warp: Yarns
    weft: Yarns
    u: Array
    v: Array
    pitch: float
    base: Array
    fibres: Array
    fuzz: Array
    grain: Array
    key: Light


@dataclass(frozen=True)
class Cloth(Scene):
    """A scene that remembers how its cloth was woven.

    Attributes:
        weave: the yarns.
        over: how far the warp is the yarn that is seen, 0..1 (n, n).
    """

    weave: Weave
    over: Array


def places() -> tuple[Array, Array]:
    """Coordinates of a chart: number of the yarn (YARNS, 1), and the place along it (1, LENGTH)."""
    yarn = np.arange(YARNS, dtype=np.float32) - YARNS // 2
    along = np.arange(LENGTH, dtype=np.float32) / PLACES - YARNS // 2
    return yarn[:, None], along[None]


def along_noise(rng: np.random.Generator, length: float) -> Array:
    """Noise that varies along each yarn over about `length` pitches, standard deviation 1 (YARNS, LENGTH)."""
    coarse = rng.standard_normal((YARNS, int(YARNS / length)), dtype=np.float32)
    noise = cv2.resize(coarse, (LENGTH, YARNS), interpolation=cv2.INTER_CUBIC)
    return noise / noise.std()


def plain_crimp() -> Array:
    """Height of the warp in a plain weave: over one weft yarn, under the next (YARNS, LENGTH).

    That of the weft is minus it.
    """
    yarn, along = places()
    return CRIMP * np.cos(np.pi * (along + yarn))


def interlace(weave: Weave) -> tuple[Layer, Array]:
    """The cloth as a layer, and how far the warp is the yarn that is seen, 0..1 (n, n)."""
    n = len(weave.u)
    if n < COARSE:
        return _interlace_larger(weave, n)
    pixel = np.float32(2 / n / weave.pitch)
    warp, warp_cover, warp_tone = _lie(weave.warp, weave.u, weave.v, weave.fibres, pixel)
    weft, weft_cover, weft_tone = _lie(weave.weft, weave.v, weave.u, weave.fibres, pixel)
    above = np.clip((warp - weft) / (pixel + 0.02) + 0.5, 0, 1)  # 1: the warp is on top
    cover = warp_cover + weft_cover - warp_cover * weft_cover
    over = warp_cover * (1 - weft_cover * (1 - above)) / np.maximum(cover, np.float32(1e-3))
    height = np.maximum(warp, weft)

    warp_tone, weft_tone = warp_tone * over, weft_tone * (1 - over)
    colour = np.stack([warp_tone * a + weft_tone * b for a, b in zip(weave.warp.tint, weave.weft.tint, strict=True)])
    colour = weave.grain * (colour + 0.16 * weave.fuzz)
    # Deep places see less of the sky, and a yarn in raking light shades what lies behind it.
    hollow = smoothstep(-0.30, 0.22, height)
    light = (0.5 + 0.5 * hollow) * (1 - 0.6 * yarn_shadow(height, weave))
    height = np.float32(weave.pitch) * height + weave.base
    layer = replace(matte(height, np.clip(colour, 0, 1)), cover=cover, light=light)
    return layer, over


def _resize(image: Array, n: int) -> Array:
    """An array (n, n) at another size."""
    return cv2.resize(image, (n, n), interpolation=cv2.INTER_AREA if n < len(image) else cv2.INTER_LINEAR)


def _interlace_larger(weave: Weave, n: int) -> tuple[Layer, Array]:
    """The same on a grid of twice the pixels, averaged: with few pixels per yarn the pattern would break up."""
    u, v, base, fuzz, grain = (_resize(a, 2 * n) for a in (weave.u, weave.v, weave.base, weave.fuzz, weave.grain))
    layer, over = interlace(replace(weave, u=u, v=v, base=base, fuzz=fuzz, grain=grain))
    colour = np.stack([_resize(channel, n) for channel in layer.colour])
    height, cover, light = (_resize(image, n) for image in (layer.height, layer.cover, layer.light))
    return replace(matte(height, colour), cover=cover, light=light), _resize(over, n)


def matte(height: Array, colour: Array) -> Layer:
    """A layer without any shine, whole and in full light."""
    one, none = np.ones_like(height), np.zeros_like(height)
    return Layer(height, colour, cover=one, light=one, metal=none, rough=one, along=one, groove=np.stack([one, none]))


def draw_fibres(n: int, start: Array, heading: Array, length: Array, bend: Array, shine: Array) -> Array:
    """Fine curved fibres, each from `start` (m, 2) on: how much of a pixel they fill, 0..1 (n, n).

    Lengths are in units of half the image side, `bend` is how far a fibre turns on its way, in radians.
    """
    canvas = np.zeros((n, n), np.uint8)
    t = np.linspace(0, 1, 8)
    angle = heading[:, None] + bend[:, None] * t  # (m, 8)
    step = np.stack([np.cos(angle), np.sin(angle)], axis=2) * (length / len(t))[:, None, None]
    way = (start[:, None] + np.cumsum(step, axis=1) + 1) * (n / 2 * 16)  # (m, 8, 2) in 1/16 of a pixel
    for points, level in zip(way.astype(np.int32), shine, strict=True):
        cv2.polylines(canvas, [points], False, int(255 * level), 1, cv2.LINE_AA, shift=4)
    return np.float32(min(1, n / 512) / 255) * canvas  # a line is a pixel wide, however large that is


def _lie(yarns: Yarns, across: Array, along: Array, fibres: Array, pixel: np.float32) -> tuple[Array, Array, Array]:
    """How one set of yarns lies: height of the nearest yarn, the share of the pixel it covers, its tone (n, n) each."""
    number = np.rint(across)
    chart = cv2.merge([yarns.side, yarns.half, yarns.lift, yarns.tone])
    column, row = (along + YARNS // 2) * PLACES, number + np.float32(YARNS // 2)
    found = cv2.remap(chart, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    side, half, lift, tone = cv2.split(found)
    s = across - number - side
    # Fibres wind around the yarn. Each yarn reads its own part of the noise.
    turn = (s + TWIST * along) * 7 + number * 11.3
    run = along * 5 + number * 37.7
    streak = cv2.remap(fibres, run, turn, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    # Where a yarn is worn thin, single fibres remain.
    thin = np.clip(0.30 - half, 0, None)
    reach = half + (thin + 0.02) * streak * (half > 0.02)
    cover = np.clip((reach - np.abs(s)) / pixel + 0.5, 0, 1) * np.clip(reach / pixel, 0, 1)
    lift -= np.clip(0.8 - 8 * half, 0, 1)  # where there is no yarn, the other set's are seen
    half = np.maximum(half, 0.04)
    height = lift + FLAT * (half - np.minimum(s * s / half, 1)) + 0.022 * streak
    return height, cover, tone * (1 + 0.11 * streak)


def yarn_shadow(height: Array, weave: Weave) -> Array:
    """Shadow that yarns cast on each other, 0..1 (n, n): is something towards the lamp above the ray of light?"""
    n = len(height)
    small = min(n, max(256, n // 2))  # a shadow is soft
    low = cv2.resize(height, (small, small), interpolation=cv2.INTER_AREA)
    x, y, z = weave.key.direction
    climb, scale = z / np.hypot(x, y), weave.pitch * small / 2  # scale: pixels per pitch
    direction = np.array([x, y]) / np.hypot(x, y)
    rise = np.zeros_like(low)
    for far in np.linspace(0.2, 1.4, 7):
        dx, dy = direction * far * scale
        move = np.array([[1, 0, -dx], [0, 1, -dy]], np.float32)
        towards = cv2.warpAffine(low, move, (small, small), borderMode=cv2.BORDER_REPLICATE)
        np.maximum(rise, towards - np.float32(far * climb) - low, out=rise)
    shadow = smoothstep(0.0, 0.18, rise)
    return cv2.resize(shadow, (n, n), interpolation=cv2.INTER_LINEAR)
