"""One picture or mask of a folder, looked at once: what its header says, what its pixels hash to, its thumbnail.

Nothing here raises for what is in a file: what cannot be read says so in a sentence.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mrkd_edu.data.files import DataError
from mrkd_edu.data.folder import digest_of
from mrkd_edu.data.images import brightest_of_16_bits, opened, read_mask
from mrkd_edu.data.pixels import to_rgb, upright
from mrkd_edu.inspection.lookalikes import thumbnail

MODES = {
    "1": "black and white", "L": "grey", "LA": "grey with alpha", "P": "palette", "PA": "palette", "RGB": "RGB",
    "RGBA": "RGB with alpha", "CMYK": "CMYK", "YCbCr": "YCbCr", "F": "float",
}  # fmt: skip


@dataclass
class Look:
    """What was seen of a picture.

    Attributes:
        error: why it cannot be read; the rest is then empty.
        size: height and width, upright, in pixels.
        mode: grey, RGB, palette ..., in words.
        kind: PIL's name of the format.
        brightest: the largest value of a picture with 16 bits, else None.
        constant: all pixels are the same.
        content: a hash of the file.
        pixels: a hash of the picture as it is read.
        thumb: see `lookalikes.thumbnail`.
        valid: which cells of the thumbnail count.
    """

    error: str = ""
    size: tuple[int, int] = (0, 0)
    mode: str = ""
    kind: str = ""
    brightest: int | None = None
    constant: bool = False
    content: bytes = b""
    pixels: bytes = b""
    thumb: np.ndarray | None = None
    valid: np.ndarray | None = None


def look(path: Path) -> Look:
    """Look at a picture."""
    try:
        content = digest_of(path)
        with opened(path) as image:
            mode = image.mode
            brightest = brightest_of_16_bits(image)
            name = MODES.get(mode, mode)
            if brightest is not None:
                name = f"16 bit {name}" if mode in MODES else "16 bit"
            name += " with alpha" if "transparency" in image.info and mode in ("L", "RGB", "P") else ""
            kind = image.format or ""
            rgb = to_rgb(upright(image), str(path))
    except DataError as error:
        return Look(error=str(error))
    except MemoryError:
        return Look(error=f"{path} is too large for the memory of this machine; make it smaller, or cut it into tiles")
    thumb, valid = thumbnail(rgb)
    return Look(
        size=(rgb.height, rgb.width),
        mode=name,
        kind=kind,
        brightest=brightest,
        constant=not np.ptp(rgb.getextrema(), axis=1).any(),
        content=content,
        pixels=hash_of_pixels(rgb),
        thumb=thumb,
        valid=valid,
    )


def hash_of_pixels(rgb: Image.Image) -> bytes:
    """A hash of a picture: its size and its pixels, whatever file they were in."""
    return hashlib.blake2b(rgb.tobytes(), digest_size=16, person=f"{rgb.width}x{rgb.height}".encode()[:16]).digest()


@dataclass
class MaskLook:
    """What was seen of a mask: why it cannot be read, its height and width, and the share that it calls defect."""

    error: str = ""
    size: tuple[int, int] = (0, 0)
    share: float = 0.0


def look_at_mask(path: Path) -> MaskLook:
    """Look at a mask."""
    try:
        mask = read_mask(path)
    except DataError as error:
        return MaskLook(error=str(error))
    return MaskLook(size=(mask.shape[0], mask.shape[1]), share=float(mask.mean()))
