"""Predictions on disk: a heat map for each image, and one table of scores and verdicts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from mrkd_edu.data.images import DataError, read_image
from mrkd_edu.figures.heat import overlay, shared_scale
from mrkd_edu.judging.prediction import verdict
from mrkd_edu.model import MRKD
from mrkd_edu.runtime.names import FORMULA, cell, readable
from mrkd_edu.runtime.tables import write_table
from mrkd_edu.runtime.writing import whole_file

COLUMNS = ("image", "score", "threshold", "verdict", "heat_map")
LONG_SIDE = 1024  # pixels of a heat map: enough for a screen
HEAT, NAME_BYTES = "_heat.png", 200  # of the stem: with the ending, a name may have 255 bytes on most disks


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
        `unreadable: ...` with the reason; an unreadable image has no score and stops none of the others. Names are
        written so that they can be read (`names.cell`). The table is written in the end, or as far as it came.

    Raises:
        ModelError: the model has no threshold.
        ValueError: heat maps would be written among the images, and be taken for images the next time.
        writing.NotWritten: no room, or no right to write there.
    """
    threshold = model.settings.threshold
    verdict(np.zeros(0), threshold)  # refuses a model without a threshold
    assert threshold is not None
    out = Path(out)
    if any(_same_folder(out, Path(image).parent) for image in images):
        raise ValueError(f"{out} holds the images themselves. Choose another folder for the heat maps (--out).")
    rows: list[dict[str, str]] = []
    names: set[str] = set()
    try:
        for path in tqdm([Path(image) for image in images], desc="predict", unit="image", disable=not progress):
            try:
                found, photo = model.predict(path), read_image(path)  # photo: (H, W, 3)
            except DataError as error:
                values = (cell(path.name), "", f"{threshold:.6g}", cell(f"unreadable: {error}"), "")
            else:
                name = _heat_name(path, len(rows), names)
                small = Image.fromarray(photo)
                small.thumbnail((LONG_SIDE, LONG_SIDE))
                picture = overlay(np.asarray(small), found.anomaly_map[0], shared_scale(threshold))
                memory = io.BytesIO()
                Image.fromarray(picture).save(memory, "PNG")
                with whole_file(out / name, "wb") as file:
                    file.write(memory.getvalue())
                word = "defective" if found.defective[0] else "normal"
                values = (cell(path.name), f"{found.score[0]:.6g}", f"{threshold:.6g}", word, name)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    finally:  # also after Ctrl-C: what was found is kept
        write_table(out / "scores.csv", COLUMNS, (row.values() for row in rows))
    return rows


def _same_folder(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # not there yet
        return False


def _heat_name(path: Path, number: int, taken: set[str]) -> str:
    """A name for the heat map of image `number` that no other has: a.jpg and A.png, or files of two folders."""
    for wanted in (path.stem, path.name, f"{number}_{path.name}"):
        stem = readable(wanted).replace("\\", "_")  # a backslash parts folders on Windows
        if stem.startswith(FORMULA):
            stem = f"_{stem}"
        if len(stem.encode()) > NAME_BYTES:
            mark = hashlib.blake2b(wanted.encode(errors="surrogateescape"), digest_size=4).hexdigest()
            stem = f"{stem.encode()[:NAME_BYTES].decode(errors='ignore')}_{mark}"
        if stem.lower() not in taken:
            break
    taken.add(stem.lower())
    return f"{stem}{HEAT}"
