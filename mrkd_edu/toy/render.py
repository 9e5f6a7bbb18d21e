"""From a scene to a photograph: light, shadow, lens and sensor.

`shade` lights one layer, `picture` stacks the layers, `develop` is the camera. Every step looks at a pixel
and at most its close neighbours. A defect therefore changes the photograph where it is and nowhere else,
which is what makes masks exact and twins equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mrkd_edu.toy.patterns import blur, grid, smoothstep
from mrkd_edu.toy.scene import Array, Layer, Light, Scene


def slopes(height: Array) -> tuple[Array, Array]:
    """Central differences dh/dx and dh/dy of a relief (n, n), in units of slope."""
    per_pixel = len(height) / 4  # pixel pitch 2/n, two pixels apart
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=1, scale=per_pixel)
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=1, scale=per_pixel)
    return gx, gy


def shade(layer: Layer, lights: tuple[Light, ...], ambient: float) -> Array:
    """The light that a layer sends up to the camera, linear (3, n, n).

    Matte material follows Lambert: brightness = power * max(0, N . L). Metal is a carpet of tiny mirrors
    whose slopes spread like a Gaussian around the slope g of the surface (Beckmann's model); those with the
    slope q that mirrors the lamp shine. Grooves make the Gaussian wide across and narrow along them, which
    gives turned metal its bow tie:

        D = exp(-((q - g) . along / a)^2 - ((q - g) . across / b)^2)
    """
    gx, gy = slopes(layer.height)
    steep2 = gx * gx + gy * gy
    glow = np.zeros_like(gx)
    if layer.metal.min() < 1:  # some of it is matte
        upright = 1 / np.sqrt(1 + steep2)
        matte = np.full_like(gx, ambient)
        for lamp in lights:
            lx, ly, lz = lamp.direction
            matte += lamp.power * np.maximum(0, (lz - gx * np.float32(lx) - gy * np.float32(ly)) * upright)
        glow += (1 - layer.metal) * matte
    if layer.metal.max() > 0:  # some of it is metal
        cos, sin = layer.groove
        mirror = surroundings(gx, gy, steep2, lights[0], ambient)
        for lamp in lights:
            qx, qy = lamp.mirror_slope
            ex, ey = np.float32(qx) - gx, np.float32(qy) - gy
            along, across = ex * cos + ey * sin, ey * cos - ex * sin
            soft = np.float32(lamp.spread**2)
            tilt = along * along / (layer.along**2 + soft) + across * across / (layer.rough**2 + soft)
            mirror += np.float32(lamp.power) * np.exp(-tilt)
        glow += layer.metal * mirror
    return layer.colour * (layer.light * glow)


def surroundings(gx: Array, gy: Array, steep2: Array, key: Light, ambient: float) -> Array:
    """What metal mirrors besides the lamps: a ceiling, brighter by the main lamp, and the table (n, n)."""
    steep = np.sqrt(steep2)
    qx, qy = key.mirror_slope
    towards = (gx * np.float32(qx) + gy * np.float32(qy)) / (np.float32(np.hypot(qx, qy)) * (0.25 + steep))
    ceiling = np.float32(ambient) * (0.75 + 0.45 * towards)
    return ceiling * (1 - 0.7 * smoothstep(0.7, 1.4, steep))  # steeper than 45 degrees: it mirrors the table


def cast_shadow(cover: Array, tall: float, key: Light, soft: float) -> Array:
    """Soft shadow of a thing of height `tall` on the ground below it, 0..1 (n, n).

    The silhouette is swept away from the lamp, over the length tall / tan(elevation), and blurred. `soft`
    is the blur in units of half the image side.
    """
    n = len(cover)
    coarse = max(64, n // 4)  # a shadow is soft: a quarter of the resolution is enough
    small = cv2.resize(cover, (coarse, coarse), interpolation=cv2.INTER_AREA)
    x, y, z = key.direction
    reach = tall / z * coarse / 2
    swept = small
    for share in np.linspace(0.1, 1, 10):
        move = np.array([[1, 0, -x * reach * share], [0, 1, -y * reach * share]], np.float32)
        swept = np.maximum(swept, cv2.warpAffine(small, move, (coarse, coarse)))
    shadow = blur(swept, max(0.5, soft * coarse / 2))
    return np.clip(cv2.resize(shadow, (n, n), interpolation=cv2.INTER_LINEAR), 0, 1)


def picture(scene: Scene) -> Array:
    """All layers, lit and stacked from the table upwards, linear (3, n, n)."""
    result = np.zeros((3, *scene.face.shape), np.float32)
    for layer in scene.layers:
        lit = shade(layer, scene.lights, scene.ambient)
        lit -= result
        lit *= layer.cover
        result += lit  # result = cover * lit + (1 - cover) * result
    return result


@dataclass(frozen=True)
class Camera:
    """One exposure: its settings and its noise. A defective picture and its twin share one camera.

    Attributes:
        gain: exposure times white balance, per channel (3,).
        vignette: how much darker the corners are, 0..1.
        noise: one realisation of the sensor noise, standard normal (size, size, 3).
        grain: size of the noise relative to its usual one.
    """

    gain: Array
    vignette: float
    noise: Array
    grain: float

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int) -> Camera:
        """A camera whose exposure, white balance and vignette drifted a little, for size x size pixels."""
        exposure = rng.normal(1, 0.04)
        balance = rng.normal(1, 0.012, 3)
        vignette, grain = rng.uniform(0.06, 0.14), rng.uniform(0.8, 1.2)
        # Neighbours share noise, as they do behind a colour filter array.
        noise = 1.5 * blur(rng.standard_normal((size, size, 3), dtype=np.float32), 0.6)
        return cls((exposure * balance).astype(np.float32), vignette, noise, grain)


def develop(linear: Array, camera: Camera) -> Array:
    """Linear light (3, n, n) -> the photograph, uint8 (n/2, n/2, 3): lens, sensor, tone curve."""
    size = len(camera.noise)
    sharp = cv2.GaussianBlur(cv2.merge(list(linear)), (3, 3), 0.8, borderType=cv2.BORDER_REFLECT)  # the lens
    image = cv2.resize(sharp, (size, size), interpolation=cv2.INTER_AREA)  # (size, size, 3)
    x, y = grid(size)
    image *= cv2.merge([gain * (1 - camera.vignette * (x * x + y * y) / 2) for gain in camera.gain])
    # Photon noise grows with the square root of the light; the read-out adds a little everywhere.
    image = image + camera.grain * camera.noise * np.sqrt(1.6e-4 * np.maximum(image, 0) + 6e-6)
    image = np.maximum(image, 0)
    image = image * (1 + image / 4) / (1 + 0.75 * image) * 1.4  # film-like shoulder: highlights roll off
    return (255 * np.clip(image, 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8)
