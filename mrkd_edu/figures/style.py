"""One style for all pictures: colours that colour-blind readers can tell apart, letters for the back row."""

from __future__ import annotations

import io
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design", 2008.
VARIANT_COLOURS = {
    "rd": "#D55E00",  # vermilion
    "ilm": "#E69F00",  # orange
    "flm": "#009E73",  # bluish green
    "mrkd": "#0072B2",  # blue
    "nn": "#CC79A7",  # reddish purple
    "gauss": "#333333",  # the controls: greys
    "template": "#C8C8C8",
}
NORMAL_COLOUR = "#9A9A9A"
TRUTH_COLOUR = (0, 255, 255)  # of the ground truth's outline: the heat colours have no cyan
TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
LARGE_PNG = 150_000  # bytes
_STYLE = {  # readable from the back row: nothing below 11 points
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 12,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.framealpha": 1.0,
    "legend.edgecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "lines.linewidth": 2.5,
}
in_our_style = style.context(["default", _STYLE])  # whatever style the user has set


class Picture(Figure):
    """A matplotlib figure that a notebook shows once, as a cell's last value; pyplot does not know it.

    A chart is kept as PNG, a page of photographs as JPEG, which is several times smaller: notebooks are handed out
    with their pictures in them.
    """

    def _repr_png_(self) -> bytes | None:
        picture = self._as("png")
        return picture if len(picture) <= LARGE_PNG else None

    def _repr_jpeg_(self) -> bytes | None:
        if self._repr_png_() is not None:
            return None
        return self._as("jpeg", pil_kwargs={"quality": 85})

    def _as(self, kind: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format=kind, dpi=100, **options)
        return buffer.getvalue()


def colour_of(variant: str) -> str:
    return VARIANT_COLOURS.get(variant, "#333333")


def dashes(number: int) -> str | tuple[int, tuple[int, ...]]:
    """Curves differ in their dashes too: where they lie on each other, both can be seen."""
    return ("-", (0, (5, 1)), (0, (2, 1)), (0, (6, 1, 1, 1)))[number % 4]
