"""Predictions on disk: a heat map for each image, and one table of scores and verdicts."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from mrkd_edu.data.images import DataError, read_image
from mrkd_edu.model import MRKD, verdict
from mrkd_edu.plots import overlay, shared_scale

COLUMNS = ("image", "score", "threshold", "verdict", "heat_map")
LONG_SIDE = 1024  # pixels of a heat map: enough for a screen


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
        One row an image: `image`, `score`, `threshold`, `verdict`, `heat_map`. The verdict is `normal`, `defective`, or
        `unreadable: ...` with the reason; an unreadable image has no score and stops none of the others.

    Raises:
        ModelError: the model has no threshold.
        ValueError: heat maps would be written among the images, and be taken for images the next time.
    """
    threshold = model.settings.threshold
    verdict(np.zeros(0), threshold)  # refuses a model without a threshold
    assert threshold is not None
    out = Path(out)
    if any(out.resolve() == Path(image).resolve().parent for image in images):
        raise ValueError(f"{out} holds the images themselves. Choose another folder for the heat maps (--out).")
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    names: set[str] = set()
    with (
        (out / "scores.csv").open("w", newline="", encoding="utf-8") as file,
        tqdm(total=len(images), desc="predict", unit="image", disable=not progress) as bar,
    ):
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for path in map(Path, images):
            try:
                found, photo = model.predict(path), read_image(path)  # photo: (H, W, 3)
            except DataError as error:
                values = (path.name, "", f"{threshold:.6g}", f"unreadable: {error}", "")
            else:
                # a.jpg and A.png, or files of two folders, must not share a heat map
                stem = next(s for s in (path.stem, path.name, f"{len(rows)}_{path.name}") if s.lower() not in names)
                names.add(stem.lower())
                small = Image.fromarray(photo)
                small.thumbnail((LONG_SIDE, LONG_SIDE))
                picture = overlay(np.asarray(small), found.anomaly_map[0], shared_scale(threshold))
                Image.fromarray(picture).save(out / f"{stem}_heat.png")
                word = "defective" if found.defective[0] else "normal"
                values = (path.name, f"{found.score[0]:.6g}", f"{threshold:.6g}", word, f"{stem}_heat.png")
            rows.append(dict(zip(COLUMNS, values, strict=True)))
            table.writerow(rows[-1])
            bar.update()
    return rows
