"""Several trainings side by side: one dot a seed. Lessons 05 and 06."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mrkd_edu.figures.axes import new_grid, not_stretched, percent
from mrkd_edu.figures.style import SPACE, Picture, colour_of, in_our_style
from mrkd_edu.study.evaluate import Evaluation


@in_our_style
def seed_dots(results: Mapping[str, Sequence[Evaluation]]) -> Picture:
    """Leakage and image AUROC of several trainings; a dot a seed, thin lines join a seed's, a wide line is the mean.

    Args:
        results: name to its evaluations. What stands before a comma gives the colour.

    Raises:
        ValueError: nothing can be drawn, because no evaluation has leakage or image AUROC.
    """
    measures = {"leakage": "leakage, mean over scales", "image_auroc": "image AUROC"}
    values = {
        metric: {name: [v for e in found if (v := e.metrics[metric]) is not None] for name, found in results.items()}
        for metric in measures
    }
    shown = [metric for metric in measures if all(values[metric].values())]
    if not results or not shown:
        raise ValueError("the evaluations have neither leakage nor image AUROC: nothing to compare")
    figure, axes = new_grid(1, len(shown), 5.3 * len(shown), 4.4)
    for ax, metric in zip(axes.flat, shown, strict=True):
        join_seeds(ax, list(values[metric].values()))
        for i, (name, dots) in enumerate(values[metric].items()):
            colour = colour_of(name.split(",")[0])
            places = i + beside_each_other(len(dots))
            ax.plot(places, dots, "o", color=colour, markersize=9, alpha=0.75, markeredgewidth=0)
            ax.plot([i - 0.28, i + 0.28], [np.mean(dots)] * 2, color=colour)
        ax.set_xticks(range(len(results)), [name.replace(", ", "\n") for name in results])
        ax.set_xlim(-0.6, len(results) - 0.4)
        ax.set_ylabel(measures[metric])
        ax.grid(axis="x", visible=False)
        if metric == "leakage":
            low, high = ax.get_ylim()
            ax.set_ylim(min(0.0, low), 1.05 * high)
            ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            not_stretched(ax)
        ax.set_title(_means(values[metric], measures[metric].split(",")[0], as_percent=metric == "leakage"))
    return figure


def beside_each_other(number: int) -> np.ndarray:
    """Where the dots of one column stand, left and right of its middle: (number,)."""
    return np.linspace(-0.12, 0.12, number) if number > 1 else np.zeros(1)


def join_seeds(ax: Axes, columns: Sequence[Sequence[float]]) -> None:
    """Thin lines between neighbouring columns with the same seeds."""
    for i, (left, right) in enumerate(pairwise(columns)):
        if len(left) == len(right) > 1:
            places = beside_each_other(len(left))
            for place, a, b in zip(places, left, right, strict=True):
                ax.plot([i + place, i + 1 + place], [a, b], color="#999999", linewidth=0.9, zorder=1)


def _means(values: Mapping[str, Sequence[float]], what: str, *, as_percent: bool) -> str:
    """The means in words, two to a line."""
    said = [
        f"{name.replace(', ', SPACE)} {percent(float(np.mean(v))) if as_percent else f'{np.mean(v):.3f}'}"
        for name, v in values.items()
    ]
    lines = [", ".join(said[i : i + 2]) for i in range(0, len(said), 2)]
    return f"{what[0].upper()}{what[1:]}: " + ",\n".join(lines)
