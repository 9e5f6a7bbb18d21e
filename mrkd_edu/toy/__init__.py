"""The toy factory: a seeded generator of product photographs with defects, exact masks and normal twins.

It is the data set that is always there: no download, no licence, a few seconds. Every picture is rendered
from a small scene (relief, material, lamps, camera), so that for each defective picture its *twin* exists:
the same product, light and noise without the defect. Twins are what overgeneralisation is measured on.

    scene.py     the containers: layer, light, scene, category
    patterns.py  coordinates, noise, blobs, curves
    render.py    light and camera: scene -> photograph
    defects.py   what can go wrong, shared by the categories
    metal.py     the category `metal`; one file per category
    fabric.py    the category `fabric`, with weave.py (cloth, yarn by yarn) and fabric_defects.py
    surface.py   the category `surface`, with surface_table.py, surface_defects.py and surface_foreign.py
    tray.py      the category `tray`, with tray_mould.py, tray_parts.py and tray_makes.py
    pairs.py     one picture, or a pair
    write.py     the data set on disk

The same seed gives the same bytes on one machine. Other versions of numpy, OpenCV or Pillow, or another
processor, may round differently and change bytes, though not what the pictures show.
"""

from __future__ import annotations

from mrkd_edu.toy.pairs import CATEGORIES, Pair, growing_pair, render_normal, render_pair
from mrkd_edu.toy.write import cached_toy, make_toy

__all__ = ["CATEGORIES", "Pair", "cached_toy", "growing_pair", "make_toy", "render_normal", "render_pair"]
