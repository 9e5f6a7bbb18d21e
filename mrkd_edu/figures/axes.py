"""Axes as all pictures have them: titles that state a finding, shares in percent, no frame without need."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mrkd_edu.figures.style import SPACE, Picture

HEADLINE: dict = {"x": 0.01, "ha": "left"}  # of a figure of several axes


def frameless(ax: Axes) -> None:
    """Nothing around a photograph or a map: no ticks, no lines."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)


def percent_axes(ax: Axes, x: str, y: str) -> None:
    """Both axes are shares, in percent."""
    ax.set(xlabel=x, ylabel=y)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def new_chart() -> tuple[Picture, Axes]:
    """A picture with one pair of axes."""
    figure = Picture(figsize=(6.4, 4.8), layout="constrained")
    return figure, figure.subplots()


def set_title(ax: Axes, finding: str, width: int = 46) -> None:
    """The finding as a title, in lines of `width` letters."""
    ax.set_title(textwrap.fill(finding, width))


def share_axes(ax: Axes, x: str, y: str, end: float) -> None:
    """Both axes are shares, in percent; x stops at `end`."""
    percent_axes(ax, x, y)
    ax.set(xlim=(-0.01 * end, end), ylim=(0, 1.02))
    ax.legend(loc="lower right")


def percent(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:.1f}{SPACE}%"  # + 0.0: no "-0.0"


def not_stretched(ax: Axes) -> None:
    """An AUROC axis of 10 points at least: a difference of half a point should look like one."""
    low, high = ax.get_ylim()
    room = max(0.0, 0.1 - (high - low)) / 2
    ax.set_ylim(low - room, high + room)


def grouped(number: int) -> str:
    """12345 as 12 345."""
    return f"{number:,}".replace(",", SPACE)
