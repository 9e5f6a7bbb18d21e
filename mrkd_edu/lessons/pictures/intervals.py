"""More pictures of lesson 08: how sure a number is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import LogLocator
from scipy import stats

from mrkd_edu.figures.axes import new_chart, new_grid
from mrkd_edu.figures.style import Picture, colour_of, dashes, in_our_style
from mrkd_edu.lessons.pictures.measuring import FLATTERED_COLOUR, HONEST_COLOUR
from mrkd_edu.lessons.statistics import (
    LEVEL,
    difference_error,
    images_needed,
    interval,
    mean_interval,
)
from mrkd_edu.metrics import Array


@in_our_style
def auroc_intervals(resampled: Mapping[str, Array], images: int) -> Picture:
    """AUROC of each model over resampled test sets, and the difference of the last and the first, with 95 % intervals.

    Args:
        resampled: variant to (R,) of `bootstrap_aurocs`, the same resamples for all.
        images: in the test set, for the title.

    Raises:
        ValueError: fewer than two models.
    """
    if len(resampled) < 2:
        raise ValueError("a difference needs two models")
    figure, [[left, right]] = new_grid(1, 2, 10.4, 4.2)
    ends = {name: interval(values) for name, values in resampled.items()}
    everything = np.concatenate(list(resampled.values()))
    bins = np.linspace(everything.min() - 0.005, min(1.0, everything.max() + 0.005), 36)
    for number, (name, values) in enumerate(resampled.items()):
        colour = colour_of(name)
        left.hist(values, bins=bins, color=colour, alpha=0.45)
        height = -0.045 * (number + 1)
        bar = {"transform": left.get_xaxis_transform(), "clip_on": False, "solid_capstyle": "butt"}
        left.plot(ends[name], [height, height], color=colour, linewidth=5, **bar)
        left.plot([], [], color=colour, linewidth=5, label=f"{name}  {ends[name][0]:.2f} to {ends[name][1]:.2f}")
    left.tick_params(axis="x", pad=28)  # room for the bars
    first, last = next(iter(resampled)), list(resampled)[-1]
    difference = 100 * (resampled[last] - resampled[first])  # points
    low, high = interval(difference)
    right.hist(difference, bins=31, color="#777777", alpha=0.6)
    right.axvspan(low, high, color=HONEST_COLOUR, alpha=0.15)
    right.axvline(0, color="black", linewidth=2, linestyle="--")
    left.set(xlabel="image AUROC", ylabel="resampled test sets")
    right.set(xlabel=f"image AUROC of {last} minus {first}, points", ylabel="resampled test sets")
    left.legend(loc="upper left")
    widest = max(top - bottom for bottom, top in ends.values())
    left.set_title(f"{images} images:\nintervals of up to {100 * widest:.0f} points")
    better = "which is better stays open" if low <= 0 <= high else f"{last if low > 0 else first} is better"
    right.set_title(f"{low:+.1f} to {high:+.1f} points:\n{better}")
    return figure


@in_our_style
def images_for_a_difference(low: float, high: float, correlations: Sequence[float], images: int) -> Picture:
    """How small a difference of two AUROCs a test set can tell, against its size.

    Args:
        low, high: the two AUROCs to be told apart.
        correlations: of the models' AUROCs, one line each.
        images: of each class in the test set at hand, marked.

    Example:
        >>> figure = images_for_a_difference(0.985, 0.989, [0.0, 0.8], 25)
        >>> "images of each class" in figure.axes[0].get_xlabel()
        True
    """
    figure, ax = new_chart(7.4, 4.8)
    numbers = np.geomspace(10, 20000, 60)
    reach = float(stats.norm.ppf((1 + LEVEL) / 2))
    middle, wanted = (low + high) / 2, []
    for number, correlation in enumerate(correlations):
        sure = [100 * reach * difference_error(middle, n, correlation) for n in numbers]
        shade = (HONEST_COLOUR, "#009E73", "#CC79A7", "#E69F00")[number % 4]
        ax.plot(numbers, sure, linestyle=dashes(number), color=shade, label=f"correlation {correlation:.2f}")
        wanted.append(images_needed(low, high, correlation))
        ax.plot(wanted[-1], 100 * (high - low), "o", color="black", zorder=5)
    ax.axhline(100 * (high - low), color="black", linewidth=1.5, linestyle="--")
    ax.text(20000, 107 * (high - low), f"{100 * low:.1f} or {100 * high:.1f} %?", ha="right")
    ax.axvline(images, color="#777777", linewidth=1.5, linestyle=":", label="this test set")
    ax.set(xscale="log", yscale="log", xlabel="images of each class (logarithmic)")
    ax.set_ylabel("smallest difference told, points (logarithmic)")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.minorticks_off()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.legend(loc="upper right")
    ordered = " or ".join(_rounded(n) for n in wanted)
    ax.set_title(f"{100 * low:.1f} against {100 * high:.1f} % takes {ordered}\nimages of each class")
    return figure


@in_our_style
def category_differences(before: Mapping[str, float], after: Mapping[str, float], metric: str) -> Picture:
    """The difference of two methods in each category, and the 95 % interval of the mean difference.

    Args:
        before, after: category to the metric in percent; the same categories, at least 2.
        metric: its name.

    Raises:
        ValueError: the categories differ, or there are fewer than 2.

    Example:
        >>> figure = category_differences({"a": 97.0, "b": 99.0}, {"a": 98.0, "b": 99.0}, "image AUROC")
        >>> figure.axes[0].get_title(loc="left")
        'Mean +0.50 points, interval -5.85 to +6.85: 0 is in it'
    """
    if before.keys() != after.keys() or len(before) < 2:
        raise ValueError("before and after need the same categories, at least 2")
    gains = {name: after[name] - before[name] for name in sorted(before, key=lambda name: after[name] - before[name])}
    mean, low, high = mean_interval(list(gains.values()))
    figure, ax = new_chart(7.8, 1.4 + 0.29 * len(gains))
    colours = [{1.0: HONEST_COLOUR, 0.0: "#777777", -1.0: FLATTERED_COLOUR}[np.sign(gain)] for gain in gains.values()]
    ax.hlines(list(gains), 0, list(gains.values()), color=colours, linewidth=2)
    ax.scatter(list(gains.values()), list(gains), color=colours, s=45, zorder=3)
    ax.axvspan(low, high, color="#777777", alpha=0.2, label="its 95 % interval")
    ax.axvline(mean, color="#555555", linestyle="--", label="mean")
    ax.axvline(0, color="black", linewidth=1.5)
    ax.set_xlabel(f"difference in {metric}, points")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right")
    verdict = "0 is in it" if low <= 0 <= high else "0 is not in it"
    ax.set_title(f"Mean {mean:+.2f} points, interval {low:+.2f} to {high:+.2f}: {verdict}")
    return figure


def _rounded(number: int) -> str:
    """Two digits are what the rule of thumb is worth."""
    return f"{float(f'{number:.2g}'):g}"
