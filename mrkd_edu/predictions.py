"""Predictions on disk: a heat map for each image, and one table of scores and verdicts."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from mrkd_edu.data.images import read_image
from mrkd_edu.model import MRKD, ModelError
from mrkd_edu.plots import overlay, shared_scale

COLUMNS = ("image", "score", "threshold", "verdict", "heat_map")
LONG_SIDE = 1024  # pixels of a heat map: enough for a screen
BATCH = 16


def write_predictions(
    model: MRKD, images: Sequence[str | Path], out: str | Path, *, progress: bool = True
) -> list[dict[str, str]]:
    """Score images, and write `scores.csv` and one heat map an image into a folder.

    A heat map has the shape of its photograph. All share one colour scale, from 0 to twice the threshold, so that
    equal colours mean the same in all of them.

    Args:
        model: trained, with a threshold.
        images: image files.
        out: folder to write into; files of the same names are replaced.
        progress: show a bar.

    Returns:
        One row an image: `image`, `score`, `threshold`, `verdict` (`normal` or `defective`), `heat_map`.

    Raises:
        ModelError: the model has no threshold.
        data.images.DataError: an image that cannot be read. Rows and maps of the images before it are on disk.
    """
    threshold = model.settings.threshold
    if threshold is None:
        raise ModelError("This model has no threshold yet: call model.calibrate(scores_of_normal_images) first.")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    names: set[str] = set()
    with (
        (out / "scores.csv").open("w", newline="", encoding="utf-8") as file,
        tqdm(total=len(images), desc="predict", unit="image", disable=not progress) as bar,
    ):
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for start in range(0, len(images), BATCH):
            part = [Path(image) for image in images[start : start + BATCH]]
            found = model.predict(part)
            for path, score, heat in zip(part, found.score, found.anomaly_map, strict=True):
                # a.jpg and a.png, or files of two folders, must not share a heat map
                stem = next(s for s in (path.stem, path.name, f"{len(rows)}_{path.name}") if s not in names)
                names.add(stem)
                photo = Image.fromarray(read_image(path))
                photo.thumbnail((LONG_SIDE, LONG_SIDE))
                picture = overlay(np.asarray(photo), heat, shared_scale(threshold))
                Image.fromarray(picture).save(out / f"{stem}_heat.png")
                verdict = "defective" if score > threshold else "normal"
                values = (path.name, f"{score:.6g}", f"{threshold:.6g}", verdict, f"{stem}_heat.png")
                rows.append(dict(zip(COLUMNS, values, strict=True)))
                table.writerow(rows[-1])
                bar.update()
    return rows
