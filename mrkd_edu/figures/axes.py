"""Axes as all pictures have them: titles that state a finding, shares in percent, no frame without need."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mrkd_edu.figures.style import SPACE, Picture

HEADLINE: dict = {"x": 0.01, "ha": "left"}  # of a figure of several axes


def frameless(*axes: Axes) -> None:
    """Nothing around a photograph or a map: no ticks, no lines."""
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)


def head_row(axes: Sequence[Axes], titles: Sequence[str], **look: Any) -> None:
    """A title above each column of pictures."""
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, **look)


def percent_axes(ax: Axes, x: str, y: str) -> None:
    """Both axes are shares, in percent."""
    ax.set(xlabel=x, ylabel=y)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def new_grid(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Picture, np.ndarray]:
    """A picture of some inches, and its axes (rows, columns); options are those of matplotlib's `subplots`."""
    figure = Picture(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def new_chart(width: float = 6.4, height: float = 4.8) -> tuple[Picture, Axes]:
    """A picture with one pair of axes."""
    figure, axes = new_grid(1, 1, width, height)
    return figure, axes[0, 0]


def bars_beside(
    ax: Axes, which: tuple[int, int], heights: Sequence[float], numbers: Sequence[str], name: str, colour: str,
    room: float = 0.8,
) -> None:
    """Bars of one name, a place each: the i-th of n names side by side, with numbers above, unless there are none."""
    i, of = which
    width = room / of
    at = np.arange(len(heights)) + (i - (of - 1) / 2) * width
    bars = ax.bar(at, heights, 0.92 * width, color=colour, label=name)
    if numbers:
        ax.bar_label(bars, numbers, padding=2, fontsize=11)


def heat_table(ax: Axes, grid: np.ndarray, strides: Sequence[int], rows: Sequence[str] | bool, **look: Any) -> None:
    """A number for each row and scale, as colours with the numbers in them; `rows` False leaves out their names."""
    ticks = [str(s) for s in strides]
    seaborn.heatmap(grid, ax=ax, cmap="cividis", xticklabels=ticks, yticklabels=rows, **look)
    ax.set_xlabel("stride of the scale, pixels")
    ax.tick_params(axis="y", rotation=0)


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
