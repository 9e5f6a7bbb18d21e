"""The paper that pictures are drawn on: white, or dark where the page around them is dark.

Photographs and heat maps are the same on both. What is drawn once and kept is drawn anew when the paper changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

Colour = tuple[int, int, int]
Made = TypeVar("Made")


@dataclass(frozen=True)
class Paper:
    """Colours of what is around and between photographs.

    Attributes:
        page: the ground.
        ink: text and axes.
        grid: lines behind curves.
        band: the empty part of a bar, rows of dots.
        lift: how far a colour is mixed with white, so that it can be read on the page, 0 to 1.
    """

    page: Colour
    ink: Colour
    grid: Colour
    band: Colour
    lift: float


LIGHT = Paper((255, 255, 255), (34, 34, 34), (228, 228, 228), (232, 232, 232), 0.0)
DARK = Paper((30, 30, 30), (230, 230, 230), (70, 70, 70), (66, 66, 66), 0.45)
_lies = [LIGHT]
_forget: list[Callable[[], None]] = []


def paper() -> Paper:
    """The one that lies there now."""
    return _lies[0]


def lay(dark: bool) -> bool:
    """Take dark or white paper from now on; whether that is another than before.

    Example:
        >>> lay(True), lay(True), paper().ink, lay(False)
        (True, False, (230, 230, 230), True)
    """
    wanted = DARK if dark else LIGHT
    if wanted is paper():
        return False
    _lies[0] = wanted
    for forget in _forget:
        forget()
    return True


def drawn_once(draw: Callable[..., Made]) -> Callable[..., Made]:
    """`functools.lru_cache` for what is drawn on the paper."""
    kept = lru_cache(maxsize=64)(draw)
    _forget.append(kept.cache_clear)
    return kept


def readable(colour: Colour) -> Colour:
    """A colour as it is drawn on this paper: lighter on a dark one.

    Example:
        >>> readable((0, 114, 178))
        (0, 114, 178)
    """
    lift = paper().lift
    red, green, blue = (round(c + (255 - c) * lift) for c in colour)
    return red, green, blue
