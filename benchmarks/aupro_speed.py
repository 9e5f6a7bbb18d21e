"""How much faster is the exact AUPRO than the usual threshold loop? Both run here, on the same maps.

The loop has the form that published evaluation codes commonly share: 200 thresholds between the lowest and
the highest score; at each of them all maps are binarised, the connected regions of every mask are looked for,
and the share found is averaged over the regions. 200 thresholds only sample the curve, so the loop's value
differs a little from the exact one. Times are CPU times, which other programs on the machine disturb less.

The maps are synthetic and seeded: smooth noise everywhere and a smooth bump on each defect. As in MVTec AD's
bottle, 20 of 83 images are good; the others have one to three defects. In the repository, the package
installed:

    python benchmarks/aupro_speed.py
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.measure import label, regionprops
from sklearn.metrics import auc

from mrkd_edu.metrics import aupro

LIMIT = 0.3
REPEATS = 5  # of the exact metric, before the loop and again after it; the loop runs once


def make_maps(images: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Anomaly maps, float32 (N, H, W), and masks, bool (N, H, W); a quarter of the images are good."""
    maps = np.empty((images, size, size), dtype=np.float32)
    masks = np.zeros((images, size, size), dtype=bool)
    y, x = np.mgrid[:size, :size] / size  # (H, W) each, in shares of the side
    good = round(images * 20 / 83)
    for i in range(images):
        for _ in range(rng.integers(1, 4) if i >= good else 0):
            centre_y, centre_x = rng.uniform(0.2, 0.8, size=2)
            half_y, half_x = rng.uniform(0.02, 0.14, size=2)
            masks[i] |= ((y - centre_y) / half_y) ** 2 + ((x - centre_x) / half_x) ** 2 < 1
        noise = ndimage.gaussian_filter(rng.normal(size=(size, size)), sigma=size / 64)
        bump = ndimage.gaussian_filter(masks[i].astype(np.float64), sigma=size / 64)
        maps[i] = noise / noise.std() + rng.uniform(2, 8) * bump
    return maps, masks


def aupro_by_loop(maps: np.ndarray, masks: np.ndarray, thresholds: int) -> float:
    """AUPRO as commonly written: integer masks of 0 and 1, all of it worked out anew at each threshold."""
    binary = np.zeros(maps.shape, dtype=bool)
    fpr, pro = [], []
    for threshold in np.linspace(maps.max(), maps.min(), thresholds):
        binary[maps < threshold] = False
        binary[maps >= threshold] = True
        overlaps = []
        for prediction, mask in zip(binary, masks, strict=True):
            for region in regionprops(label(mask)):
                rows, columns = region.coords.T
                overlaps.append(prediction[rows, columns].sum() / region.area)
        normal = 1 - masks
        fpr.append(np.logical_and(normal, binary).sum() / normal.sum())
        pro.append(np.mean(overlaps))
    inside = np.array(fpr) < LIMIT
    pro_at_limit = np.interp(LIMIT, fpr, pro)
    return float(auc([*np.array(fpr)[inside], LIMIT], [*np.array(pro)[inside], pro_at_limit]) / LIMIT)


def timed(repeats: int, function: Callable[..., float], *arguments: Any) -> tuple[float, list[float]]:
    """What the function returns, and the CPU time of each call in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        value = function(*arguments)
        times.append(time.process_time() - start)
    return value, times


def main() -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--images", type=int, default=83, help="number of maps (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of a map, pixels (default: %(default)s)")
    parser.add_argument("--thresholds", type=int, default=200, help="of the loop (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the maps (default: %(default)s)")
    args = parser.parse_args()

    maps, masks = make_maps(args.images, args.size, np.random.default_rng(args.seed))
    integer_masks = masks.astype(int)  # as such a loop usually gets them
    exact, times = timed(REPEATS, aupro, maps, masks, LIMIT)
    sampled, [loop] = timed(1, aupro_by_loop, maps, integer_masks, args.thresholds)
    times += timed(REPEATS, aupro, maps, masks, LIMIT)[1]
    best, median = min(times), statistics.median(times)

    regions = sum(int(label(mask).max()) for mask in masks)
    print(f"{args.images} maps of {args.size}x{args.size}, {regions} regions, {masks.mean():.1%} defect")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} cores")
    print()
    print(f"exact  AUPRO {exact:.4f}  {best:7.3f} s best of {len(times)}, {median:.3f} s median")
    print(f"loop   AUPRO {sampled:.4f}  {loop:7.3f} s once, {args.thresholds} thresholds")
    print()
    print(f"ratio: {loop / best:.0f} (best), {loop / median:.0f} (median)")


if __name__ == "__main__":
    main()
