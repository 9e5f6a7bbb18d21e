"""How long the synthetic anomalies of `mrkd_edu.ilm` take, per image and per batch.

    python benchmarks/ilm_speed.py [--images FOLDER]

Runs on one core. Without a folder it draws on random textures and on discs with a plain background; with one,
on the images of that folder.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from mrkd_edu.ilm import add_anomalies
from mrkd_edu.nsa import DEFAULT, estimate_background


def textures(count: int, side: int) -> torch.Tensor:
    """Smooth random grey images."""
    noise = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    images = np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in noise])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()  # (B, 3, H, W)


def discs(count: int, side: int) -> torch.Tensor:
    """The textures, cut out to a disc on a white background."""
    images = textures(count, side)
    y, x = torch.meshgrid(*[torch.arange(side) - side / 2] * 2, indexing="ij")
    images[:, :, y**2 + x**2 > (0.4 * side) ** 2] = 255
    return images


def folder(path: Path, count: int, side: int) -> torch.Tensor:
    """The first images of a folder."""
    files = sorted(path.iterdir())[:count]
    images = [cv2.resize(cv2.imread(str(file)), (side, side), interpolation=cv2.INTER_AREA) for file in files]
    return torch.from_numpy(np.stack(images)).flip(3).permute(0, 3, 1, 2).contiguous()  # BGR to RGB


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=Path, help="folder of normal images")
    parser.add_argument("--side", type=int, default=256, help="image side in pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=50, help="batches per line")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)

    if options.images:
        sets = {options.images.parent.parent.name: folder(options.images, options.batch, options.side)}
    else:
        sets = {make.__name__: make(options.batch, options.side) for make in (textures, discs)}
    print(f"{options.side} px, batch of {options.batch}, milliseconds: median (95th percentile)")
    for name, images in sets.items():
        background = estimate_background(images)
        for blend in ("swap", "poisson", "mix"):
            settings = replace(DEFAULT, blend=blend, background=background)
            times = []
            for seed in range(options.repeats):
                start = time.perf_counter()
                add_anomalies(images, settings, np.random.default_rng(seed))
                times.append(1000 * (time.perf_counter() - start))
            middle, high = np.percentile(times[1:], [50, 95])  # the first one warms up
            per_image = middle / len(images)
            print(f"{name:14} {blend:8} batch {middle:6.1f} ({high:6.1f})   image {per_image:5.2f}")


if __name__ == "__main__":
    main()
