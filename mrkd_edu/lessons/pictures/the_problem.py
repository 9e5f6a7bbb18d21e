"""Pictures of lesson 01: what defects look like, what a classifier finds, and what an alarm is worth."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import FuncFormatter, PercentFormatter

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.figures.axes import bars_beside, frameless, head_row, new_chart, new_grid, set_title
from mrkd_edu.figures.style import SPACE, Picture, in_our_style
from mrkd_edu.lessons.the_problem import explained, precision_at

# Detectors that are no variant of the method: greys and a blue that no variant has, told apart in print as well.
COLOURS = ("#333333", "#A6A6A6", "#56B4E9", "#C9B400")
MARKERS = "osD^"
Aurocs = tuple[float, float | None]


@in_our_style
def defect_sizes(data: AnomalyFolder, size: int = 256) -> Picture:
    """Which share of its image each defect covers, a row of dots for each kind.

    Args:
        data: with masks.
        size: side of the masks, pixels.

    Raises:
        data.images.DataError: there are no masks.
    """
    share = data.test_masks(size).mean(axis=(1, 2))  # (N,)
    kinds = np.array([sample.kind for sample in data.test])
    figure, ax = new_chart(7.2, 1.5 + 0.5 * len(data.kinds))
    for row, kind in enumerate(data.kinds):
        mine = np.sort(share[(kinds == kind) & (data.test_labels == 1)])
        ax.plot(mine, np.full(len(mine), row), "o", color=COLOURS[0], alpha=0.55, markersize=9)
    middle = float(np.median(share[data.test_labels == 1]))
    ax.axvline(middle, color="black", linestyle="--", linewidth=1.5)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    ax.set_yticks(range(len(data.kinds)), data.kinds)
    ax.set_ylim(len(data.kinds) - 0.5, -0.5)
    ax.set_xlabel("share of the image's area that is defective (dashed: median)")
    set_title(ax, f"Half of the defects cover less than {100 * middle:.2g} % of their image", 60)
    return figure


@in_our_style
def mean_images(sets: Mapping[str, np.ndarray], shown: int = 2) -> Picture:
    """What is normal on average: some images, their mean, and how much each pixel varies about it.

    Args:
        sets: name to normal images in [0, 1], (N, 3, S, S); one row each.
        shown: how many of the images to show.

    Raises:
        ValueError: there are no images.

    Example:
        >>> images = np.random.default_rng(0).random((5, 3, 16, 16))
        >>> len(mean_images({"noise": images}).axes)  # two images, mean, deviation and its colour bar
        5
    """
    if not sets or not all(len(images) for images in sets.values()):
        raise ValueError("there are no images to average")
    spread = {name: images.std(axis=0).mean(axis=0) for name, images in sets.items()}  # (S, S) each
    top = max(float(s.max()) for s in spread.values())
    columns = shown + 2
    figure, axes = new_grid(len(sets), columns, 2.4 * columns + 1, 2.45 * len(sets) + 0.5)
    for row, (name, images) in zip(axes, sets.items(), strict=True):
        pictures = [*images[:shown], images.mean(axis=0)]
        for ax, picture in zip(row, pictures, strict=False):
            ax.imshow(np.clip(picture.transpose(1, 2, 0), 0, 1))
        drawn = row[-1].imshow(spread[name], cmap="viridis", vmin=0, vmax=top)
        row[-2].set_xlabel(f"explains {100 * explained(images):.0f} %", fontsize=12)
        row[0].set_ylabel(name)
    frameless(*axes.flat)
    titles = [*(f"image {i + 1}" for i in range(shown)), "mean image", "deviation"]
    head_row(axes[0], titles, loc="center")
    bar = figure.colorbar(drawn, ax=axes, aspect=14 * len(sets), pad=0.02)
    bar.set_label("standard deviation (0 black, 1 white)")
    return figure


@in_our_style
def found_by_kind(found: Mapping[str, Mapping[str, tuple[int, int]]], false_alarms: float) -> Picture:
    """How many defects of each kind are found, a bar for each detector.

    Args:
        found: detector to kind of defect to (number found, number shown). The same kinds for all.
        false_alarms: the share of normal images at which all were measured.

    Raises:
        ValueError: no detector, no kind, or detectors that were asked for different kinds.

    Example:
        >>> figure = found_by_kind({"a": {"dent": (9, 10)}, "b": {"dent": (5, 10)}}, 0.05)
        >>> figure.axes[0].get_title(loc="left")
        'Defects found: a 90\xa0%, b 50\xa0%'
    """
    kinds = list(next(iter(found.values()), {}))
    if not kinds or any(list(mine) != kinds for mine in found.values()):
        raise ValueError("found_by_kind needs detectors that were all asked for the same kinds of defect")
    figure, ax = new_chart(max(7.2, 1.9 * len(kinds)), 4.8)
    for i, (name, mine) in enumerate(found.items()):
        heights, counts = [n / of for n, of in mine.values()], [str(n) for n, _ in mine.values()]
        bars_beside(ax, (i, len(found)), heights, counts, name, COLOURS[i % len(COLOURS)])
    ax.axhline(false_alarms, color="black", linestyle="--", linewidth=1.5)
    ax.text(len(kinds) - 0.45, false_alarms, "by chance", va="center", fontsize=11)
    numbers = [of for _, of in next(iter(found.values())).values()]
    ax.set_xticks(range(len(kinds)), [f"{kind}\n(of {of})" for kind, of in zip(kinds, numbers, strict=True)])
    ax.set(ylim=(0, 1.08), xlim=(-0.5, len(kinds) - 0.5), ylabel=f"found, at {100 * false_alarms:.0f} % false alarms")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=len(found))
    overall = [f"{name} {100 * sum(n for n, _ in m.values()) / sum(numbers):.0f}{SPACE}%" for name, m in found.items()]
    set_title(ax, "Defects found: " + ", ".join(overall), 78)
    return figure


@in_our_style
def rare_defects(detectors: Mapping[str, tuple[float, float]], base_rate: float = 0.01) -> Picture:
    """What becomes of a detector where defects are rare: its accuracy, and how many of its alarms are true.

    Args:
        detectors: name to (recall, share of false alarms), the latter above 0.
        base_rate: share of defective images that the left panel and the titles are about.

    Raises:
        ValueError: no detector, or shares out of range.

    Example:
        >>> figure = rare_defects({"a": (0.9, 0.05)})
        >>> "15 of 100 alarms" in figure.axes[1].get_title(loc="left")
        True
    """
    if not detectors or not all(0 <= r <= 1 and 0 < f <= 1 for r, f in detectors.values()):
        raise ValueError(f"rare_defects needs detectors with shares (recall, false alarms > 0); got {dict(detectors)}")
    figure, [[left, right]] = new_grid(1, 2, 11, 4.6, width_ratios=(1, 1.15))
    lazy = 1 - base_rate
    accuracy = [base_rate * r + (1 - base_rate) * (1 - f) for r, f in detectors.values()]
    names = ["calls everything\nnormal", *(textwrap.fill(name, 18) for name in detectors)]
    colours = ["white", *(COLOURS[i % len(COLOURS)] for i in range(len(detectors)))]
    bars = left.barh(names, [lazy, *accuracy], color=colours, edgecolor="black", height=0.6)
    left.bar_label(bars, [f"{100 * a:.1f} %" for a in (lazy, *accuracy)], padding=4, fontsize=12)
    left.set(xlim=(0, 1.22), xlabel=f"accuracy, where {100 * base_rate:g} % of the images are defective")
    left.set_xticks(np.linspace(0, 1, 6))
    left.invert_yaxis()
    left.grid(axis="y", visible=False)
    left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    best = "Who finds nothing is right most often" if lazy > max(accuracy) else "Accuracy, with defects this rare"
    set_title(left, best, 44)

    rates = np.geomspace(0.001, 0.5, 200)
    for i, (name, (recall, false_alarms)) in enumerate(detectors.items()):
        colour = COLOURS[i % len(COLOURS)]
        right.plot(rates, precision_at(rates, recall, false_alarms), color=colour, label=name)
        at = precision_at(base_rate, recall, false_alarms)
        right.plot(base_rate, at, MARKERS[i % len(MARKERS)], color=colour, markeredgecolor="white", markersize=11)
    right.axvline(base_rate, color="black", linestyle="--", linewidth=1.5)
    right.set_xscale("log")
    right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    right.set(ylim=(0, 1), xlabel="base rate: share of images that are defective", ylabel="alarms that are true")
    right.legend(loc="upper left")
    true = sorted({round(100 * float(precision_at(base_rate, r, f))) for r, f in detectors.values()})
    number = str(true[0]) if len(true) == 1 else f"{true[0]} to {true[-1]}"
    set_title(right, f"With {100 * base_rate:g}{SPACE}% defective, {number} of 100 alarms are true", 44)
    return figure


@in_our_style
def auroc_by_category(results: Mapping[str, Mapping[str, Aurocs]], chosen: str) -> Picture:
    """Image AUROC and pixel AUROC of several detectors on several categories.

    Args:
        results: category to detector to (image AUROC, pixel AUROC or None).
        chosen: the detector that the titles are about.

    Raises:
        ValueError: there are no results, or `chosen` is not among the detectors of every category.

    Example:
        >>> figure = auroc_by_category({"nut": {"mean": (0.6, 0.8), "PCA": (0.7, None)}}, "mean")
        >>> figure.axes[0].get_title(loc="left")
        'Image AUROC, mean: nut\xa00.60'
    """
    if not results or any(chosen not in mine for mine in results.values()):
        raise ValueError(f"auroc_by_category needs results of {chosen!r} for every category; got {dict(results)}")
    detectors = list(dict.fromkeys(name for mine in results.values() for name in mine))
    figure, [axes] = new_grid(1, 2, 11, 1.9 + 0.7 * len(results), sharey=True)
    places = np.arange(len(results))
    for which, (ax, what) in enumerate(zip(axes, ("Image AUROC", "Pixel AUROC"), strict=True)):
        for i, name in enumerate(detectors):
            values = [mine.get(name, (None, None))[which] for mine in results.values()]
            known = [(v, p) for v, p in zip(values, places, strict=True) if v is not None]
            x, y = zip(*known, strict=True) if known else ((), ())
            marker, colour = MARKERS[i % len(MARKERS)], COLOURS[i % len(COLOURS)]
            (line,) = ax.plot(x, y, marker, color=colour, markersize=13, markeredgecolor="black")
            if which == 0:
                line.set_label(name)
        ax.axvline(0.5, color="black", linestyle=":", linewidth=1.5)
        measured = [v for mine in results.values() for v in (pair[which] for pair in mine.values()) if v is not None]
        ax.set(xlim=(min([0.5, *measured]) - 0.04, 1.02), xlabel=f"{what} (dotted: chance)")
        mine_of = {category: mine[chosen][which] for category, mine in results.items()}
        told = ", ".join(f"{category}{SPACE}{v:.2f}" for category, v in mine_of.items() if v is not None)
        set_title(ax, f"{what}, {chosen}: {told or 'not measured'}", 48)
    axes[0].set_yticks(places, list(results))
    axes[0].set_ylim(len(results) - 0.5, -0.5)
    figure.legend(loc="outside lower center", ncols=len(detectors))
    return figure
