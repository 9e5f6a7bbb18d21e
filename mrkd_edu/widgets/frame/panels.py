"""Pictures that are put together fast: arrays side by side with a line of text above each.

A matplotlib figure takes a tenth of a second; a slider wants a new picture in that time. So explorers compose
arrays. The paper between them is white or dark, see `paper.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mrkd_edu.widgets.frame.paper import Colour, paper, readable

GAP = 12  # pixels between panels
WIDTH, LARGEST = 924, 300  # of a picture with a row of panels; side of a panel; pixels
TEXT = 17  # height of the letters, pixels
LINE = 24  # height of a line of text, pixels


@dataclass(frozen=True)
class View:
    """What an explorer shows for one state.

    Attributes:
        image: uint8 (H, W, 3).
        says: one sentence about it, read aloud by screen readers.
        values: the numbers behind it.
    """

    image: np.ndarray
    says: str
    values: dict[str, float] = field(default_factory=dict)


@lru_cache
def font(bold: bool = False, size: int = TEXT) -> ImageFont.FreeTypeFont:
    """Matplotlib's own typeface, which is there on every system."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


def write(width: int, text: str, *, bold: bool = False, colour: Colour | None = None) -> np.ndarray:
    """Lines of text on paper: uint8 (lines * LINE, width, 3). A line that is too long gets smaller letters."""
    lines = text.split("\n")
    strip = Image.new("RGB", (width, LINE * len(lines)), paper().page)
    ink = paper().ink if colour is None else readable(colour)
    draw = ImageDraw.Draw(strip)
    for i, line in enumerate(lines):
        size = TEXT
        while size > 11 and draw.textlength(line, font(bold, size)) > width:
            size -= 1
        draw.text((0, i * LINE + LINE // 2), line, fill=ink, font=font(bold, size), anchor="lm")
    return np.asarray(strip)


def panel(image: np.ndarray, title: str, *, size: int = 256, colour: Colour | None = None) -> np.ndarray:
    """A square picture under its title, uint8 (h, size, 3).

    Small maps are enlarged with hard edges, so that one sees their positions.

    Example:
        >>> panel(np.zeros((8, 8, 3), np.uint8), "stride 32").shape
        (280, 256, 3)
    """
    side = image.shape[0]
    how = cv2.INTER_NEAREST if side < size / 2 else cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    square = image if image.shape[:2] == (size, size) else cv2.resize(image, (size, size), interpolation=how)
    return np.concatenate([write(size, title, bold=True, colour=colour), square])


def bar(share: float, text: str, *, width: int = 256, colour: Colour | None = None) -> np.ndarray:
    """A share from 0 to 1 as a bar under its text, uint8 (h, width, 3). What is not a number has an empty bar.

    Example:
        >>> bar(0.5, "half", width=100).shape
        (38, 100, 3)
    """
    strip = np.full((14, width, 3), paper().band, np.uint8)
    strip[:, : round(width * float(np.clip(np.nan_to_num(share), 0, 1)))] = readable(colour) if colour else paper().ink
    return np.concatenate([write(width, text), strip])


def beside(parts: Sequence[np.ndarray], *, gap: int = GAP) -> np.ndarray:
    """Pictures in a row, their tops in line: uint8 (max h, sum of w, 3).

    Example:
        >>> beside([np.zeros((10, 5, 3), np.uint8), np.zeros((8, 5, 3), np.uint8)], gap=2).shape
        (10, 12, 3)
    """
    height, width = max(len(part) for part in parts), sum(part.shape[1] for part in parts)
    page = np.full((height, width + gap * (len(parts) - 1), 3), paper().page, np.uint8)
    left = 0
    for part in parts:
        page[: len(part), left : left + part.shape[1]] = part
        left += part.shape[1] + gap
    return page


def below(parts: Sequence[np.ndarray], *, gap: int = GAP) -> np.ndarray:
    """Pictures under each other, their left edges in line: uint8 (sum of h, max w, 3)."""
    height, width = sum(len(part) for part in parts), max(part.shape[1] for part in parts)
    page = np.full((height + gap * (len(parts) - 1), width, 3), paper().page, np.uint8)
    top = 0
    for part in parts:
        page[top : top + len(part), : part.shape[1]] = part
        top += len(part) + gap
    return page


def framed(image: np.ndarray, margin: int = GAP) -> np.ndarray:
    """A margin of paper around a picture."""
    return cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=paper().page)


def png(image: np.ndarray) -> bytes:
    """uint8 (H, W, 3) to PNG bytes, quickly."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    return data.tobytes()


def jpeg(image: np.ndarray) -> bytes:
    """uint8 (H, W, 3) to JPEG bytes: a third of the size of PNG, for pictures that are kept."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    return data.tobytes()
