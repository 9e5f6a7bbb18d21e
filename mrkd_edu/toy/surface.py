"""The category `surface`: a paving slab of exposed-aggregate concrete, made from a real photograph.

The stones come from scikit-image's photograph of gravel (CC0, inside its package, so nothing is downloaded).
The photograph is cut into single stones once. Every normal picture shows another part of it, turned,
mirrored and scaled a little, its gaps filled with cement. The grey values of the photograph give the colour of
the stones and, smoothed, their relief; hence our lamp, not the photographer's, decides where the light comes
from. Also normal: tint of stones and cement, wear, damp, dust, sand, pores, light, the place on the mat.

The slab lies on a mat (surface_table.py). In its `Scene`, `face` is the slab without a margin, and `rim` the
seams between the stones, along which some may break out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from skimage import data
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import find_boundaries, watershed

from mrkd_edu.toy.patterns import blur, grid, ramp, smoothstep, soft_noise
from mrkd_edu.toy.render import slopes
from mrkd_edu.toy.scene import Array, Category, Layer, Light, Scene
from mrkd_edu.toy.surface_defects import crack, hole, slurry, soaked, sunlight
from mrkd_edu.toy.surface_foreign import foreign
from mrkd_edu.toy.surface_table import Pose, mat

SIDE = 512  # pixels of the photograph
FINEST = 256  # a smaller grid would lose parts of the photograph: it is averaged down from this one
CEMENT = np.array([0.235, 0.220, 0.198], np.float32)  # reflectance, linear
DUST = np.array([0.40, 0.37, 0.32], np.float32)
# Tints of natural stone, relative to grey, and how common they are: blue-grey, sand, reddish.
TINTS = np.array([[0.97, 1.0, 1.02], [1.06, 1.0, 0.89], [1.07, 0.96, 0.88]], np.float32)
SHARES = (0.55, 0.33, 0.12)


@dataclass(frozen=True)
class Stones:
    """The photograph, cut into stones. All arrays are (512, 512).

    Attributes:
        tone: reflectance, linear, mean about 1.
        relief: height in pixels of the photograph, 0 in the gaps.
        number: which stone a pixel belongs to, 1, 2, ...
        count: how many stones there are.
    """

    tone: Array
    relief: Array
    number: Array
    count: int


@lru_cache(maxsize=1)
def stones() -> Stones:
    """Cut the photograph into stones: bright islands grow until they meet, along the darkest line."""
    photo = data.gravel().astype(np.float32)
    even = photo / blur(photo, 12)  # brightness relative to the neighbourhood: takes out the large shades
    smooth = blur(even, 1.0)
    solid = cv2.morphologyEx((smooth > 0.86).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    depth = blur(cv2.distanceTransform(solid, cv2.DIST_L2, 5), 1.2)
    number = watershed(-depth - 2 * smooth, label(h_maxima(depth, 0.6)))

    seam = find_boundaries(number, mode="thick")
    inwards = cv2.distanceTransform((~seam).astype(np.uint8), cv2.DIST_L2, 5)
    dome = 1 - np.exp(-inwards / 2.2)  # steep at the seam, flat on top
    relief = 3.0 * dome + 3.8 * np.clip(smooth - 0.92, -0.4, 0.35)  # lit facets stand higher than dark ones
    tone = (photo / 255) ** 2.2
    tone /= 0.6 * tone.mean() + 0.4 * blur(tone, 40)
    return Stones(tone, np.maximum(blur(relief, 0.7), 0), number.astype(np.float32), int(number.max()))


@dataclass(frozen=True)
class Crop:
    """Which part of the photograph a picture shows: a turned square."""

    matrix: Array  # from pixels of the picture to pixels of the photograph (2, 3)
    unit: float  # length of a pixel of the photograph in the scene

    @classmethod
    def draw(cls, rng: np.random.Generator, n: int) -> Crop:
        """Any angle, mirrored or not, 350 to 390 pixels of the photograph across."""
        half = rng.uniform(175, 195)
        angle, mirror = rng.uniform(0, 2 * np.pi), 1 if rng.random() < 0.5 else -1
        cos, sin = np.cos(angle), np.sin(angle)
        slack = SIDE / 2 - half  # a turned square sticks out a little: there the photograph is mirrored
        middle = SIDE / 2 - 0.5 + slack * rng.uniform(-1, 1, 2)
        turn = np.array([[mirror * cos, -sin], [mirror * sin, cos]]) * half * 2 / n  # (2, 2)
        start = middle + turn @ np.array([0.5 - n / 2, 0.5 - n / 2])
        return cls(np.column_stack([turn, start]), 1 / half)

    def of(self, chart: Array, n: int) -> Array:
        """The part of a chart in the photograph's pixels that the picture shows (n, n)."""
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(chart, self.matrix, (n, n), flags=flags, borderMode=cv2.BORDER_REFLECT)

    def seams(self, number: Array, n: int) -> Array:
        """Pixels whose right or lower neighbour belongs to another stone, bool (n, n)."""
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        here = cv2.warpAffine(number, self.matrix, (n, n), flags=flags, borderMode=cv2.BORDER_REFLECT)
        seam = np.zeros((n, n), bool)
        seam[:, :-1] |= here[:, 1:] != here[:, :-1]
        seam[:-1] |= here[1:] != here[:-1]
        return seam


def build(rng: np.random.Generator, n: int) -> Scene:
    """A normal scene: one slab on its mat, on n x n fine pixels."""
    return _slab(rng, n) if n >= FINEST else _shrink(_slab(rng, FINEST), n)


def _slab(rng: np.random.Generator, n: int) -> Scene:
    """A normal scene, on a grid that is not much coarser than the photograph."""
    # Radians: the main lamp stands at the upper left, 38 to 46 degrees high; the others are weak.
    key = Light(rng.normal(-2.2, 0.15), rng.uniform(0.66, 0.80), rng.uniform(1.3, 1.5), 0.10)
    fill = Light(key.azimuth + rng.uniform(2.4, 3.8), 0.75, rng.uniform(0.12, 0.22), 0.2)
    ambient = rng.uniform(0.25, 0.30)
    crop, pose = Crop.draw(rng, n), Pose.draw(rng)
    fine = rng.spawn(1)[0]  # noise per pixel comes from its own stream, so that n changes nothing else

    inwards = pose.inwards(n) + np.float32(0.0012) * soft_noise(rng, n, 40, 2)  # a cast edge is not quite straight
    height, cement = _relief(rng, fine, n, crop, inwards)
    colour = _colour(rng, fine, n, crop, cement)
    sand, grains = _sand(rng, n)
    height += np.float32(0.006) * sand
    colour += sand * (grains[:, None, None] - colour)
    one, none = np.ones((n, n), np.float32), np.zeros((n, n), np.float32)
    slab = Layer(
        height=height,
        colour=np.clip(colour, 0, 1),
        cover=np.clip(inwards * np.float32(n / 2) + 0.5, 0, 1),  # fine pixels from the outline
        light=sunlight(height, key, 0.55),
        metal=none,
        rough=one,
        along=one,
        groove=np.stack([one, none]),
    )
    table = mat(rng, fine, n, key, slab.cover)
    return Scene((table, slab), 1, (key, fill), ambient, inwards > 0.28, crop.seams(stones().number, n))


def _shrink(scene: Scene, n: int) -> Scene:
    """The same scene on a coarser grid. Relief too fine for the grid still turns light away."""

    def fewer(chart: Array) -> Array:
        return cv2.resize(chart, (n, n), interpolation=cv2.INTER_AREA)

    one, none = np.ones((n, n), np.float32), np.zeros((n, n), np.float32)
    layers = []
    for layer in scene.layers:
        height, cover = fewer(layer.height), fewer(layer.cover)
        light = np.minimum(fewer(layer.light * _upright(layer.height)) / _upright(height), 1)
        colour = np.stack([fewer(plane) for plane in layer.colour])
        layers.append(Layer(height, colour, cover, light, none, one, one, np.stack([one, none])))
    face, rim = (fewer(part.astype(np.float32)) for part in (scene.face, scene.rim))
    return replace(scene, layers=tuple(layers), face=face > 0.5, rim=rim > 0)


def _upright(height: Array) -> Array:
    """How much the surface faces the camera: cosine of its tilt (n, n)."""
    gx, gy = slopes(height)
    return 1 / np.sqrt(1 + gx * gx + gy * gy)


def _relief(
    rng: np.random.Generator, fine: np.random.Generator, n: int, crop: Crop, inwards: Array
) -> tuple[Array, Array]:
    """Height of stones and cement, and where cement shows, 0..1 (n, n) each."""
    lift = rng.normal(1, 0.08, stones().count + 1).clip(0.7, 1.3).astype(np.float32)  # no two stand equally high
    uneven = blur(lift[stones().number.astype(np.intp)], 1.2)
    relief = crop.of(stones().relief * uneven, n)  # (n, n), in pixels of the photograph
    level = rng.uniform(1.45, 1.75) + 0.10 * soft_noise(rng, n, 4, 3)  # how far the cement was washed out
    level += 2 * smoothstep(0.034, 0.022, inwards)  # not at the margin
    worn = rng.uniform(3.0, 3.4) + 0.10 * soft_noise(rng, n, 3, 2)  # feet have polished the highest tops
    cement = smoothstep(0.35, -0.35, relief - level)
    relief = level + ramp(relief - level, 0.4)
    relief -= 0.8 * ramp(relief - worn, 0.3)
    grit = blur(fine.standard_normal((n, n), dtype=np.float32), max(0.5, 1.3 * n / 512))
    relief += (0.05 + 0.25 * cement) * grit + 0.25 * soft_noise(rng, n, 6, 2)
    arris = smoothstep(0.012, -0.006, inwards)  # the mould rounds the edge off
    return relief * np.float32(crop.unit) - np.float32(0.02) * arris, cement


def _colour(rng: np.random.Generator, fine: np.random.Generator, n: int, crop: Crop, cement: Array) -> Array:
    """Reflectance of stones and cement, with damp and dust (3, n, n)."""
    kind = rng.choice(len(TINTS), stones().count + 1, p=SHARES)
    shade = rng.normal(1, 0.07, stones().count + 1).clip(0.8, 1.2)
    tints = TINTS[kind] * shade[:, None] * rng.normal(1, 0.012, (stones().count + 1, 3))  # (stones, 3)
    tints = tints.astype(np.float32) * rng.normal(1, [0.008, 0.004, 0.008]).astype(np.float32)
    albedo = rng.uniform(0.18, 0.20)
    number = stones().number.astype(np.intp)
    tone = np.float32(albedo) * np.clip(crop.of(stones().tone, n), 0.05, 4) ** 0.65
    stone = np.stack([crop.of(blur(tints[:, c][number], 0.8), n) for c in range(3)]) * tone

    grain = blur(fine.standard_normal((n, n), dtype=np.float32), max(0.5, 0.9 * n / 512))
    cloud = soft_noise(rng, n, 5, 4, 0.6)
    paste = (CEMENT * rng.normal(1, 0.018, 3)).astype(np.float32) * np.float32(rng.normal(0.85, 0.03))
    matrix = paste[:, None, None] * (1 + 0.16 * grain + 0.05 * cloud) * (0.55 + 0.45 * np.minimum(tone / albedo, 1.2))
    colour = stone + cement * (matrix - stone)

    # Damp darkens, more so the cement; dust lies on everything, more so in the low places.
    x, y = grid(n)
    wind = rng.uniform(0, 2 * np.pi)
    across = x * np.float32(np.cos(wind)) + y * np.float32(np.sin(wind))
    damp = rng.uniform(0, 0.25) * smoothstep(-0.6, 1.6, across + 0.5 * soft_noise(rng, n, 3, 4))
    colour *= 1 - damp * (0.28 + 0.20 * cement) * np.array([0.95, 1.0, 1.05], np.float32)[:, None, None]
    dust = rng.uniform(0.0, 0.12) * smoothstep(-0.8, 2.0, soft_noise(rng, n, 3, 4, 0.6)) * (0.5 + 0.5 * cement)
    return colour + dust * (DUST[:, None, None] - colour)


def _sand(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Loose grains of sand, 0..1 (n, n), and their colour (3,)."""
    canvas = np.zeros((n, n), np.uint8)
    for _ in range(int(rng.integers(5, 25))):
        place = ((rng.uniform(-1, 1, 2) + 1) * n / 2 * 16).astype(int).tolist()
        radius = int(16 * rng.uniform(0.6, 1.6) * n / 512)
        cv2.circle(canvas, place, radius, int(rng.uniform(120, 255)), -1, cv2.LINE_AA, shift=4)
    grains = DUST * rng.uniform(0.5, 1.3)
    return blur(canvas.astype(np.float32) / 255, max(0.4, 0.8 * n / 512)), grains.astype(np.float32)


SURFACE = Category(
    name="surface",
    build=build,
    defects={"blur": slurry, "crack": crack, "foreign": foreign, "hole": hole, "stain": soaked},
)
