"""Pictures of lesson 07: the two masks apart and together, kind by kind, and the gain here beside the paper's."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from mrkd_edu.figures.axes import new_grid
from mrkd_edu.figures.style import MINUS, Picture, colour_of, in_our_style
from mrkd_edu.lessons.pictures.comparing import SEED_MARKERS, PanelValues, direction, name_of, panels, ranking, signed
from mrkd_edu.lessons.pictures.reproduce import HERE_GROUND
from mrkd_edu.lessons.statistics import beyond_spread
from mrkd_edu.study.published import published


@in_our_style
def ablation(found: PanelValues) -> Picture:
    """Every variant and seed in every measure: a thin line joins what one seed gave, the wide mark is the mean.

    Args:
        found: measure to variant to one value a seed, all of the same seeds in the same order.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> figure = ablation({"aupro": {"rd": [0.60, 0.62], "mrkd": [0.70, 0.71]}})
        >>> figure.axes[0].get_title(loc="left")
        'AUPRO: mrkd best (0.705), rd last\\n(0.610); their seeds lie apart'
    """
    if not found:
        raise ValueError("there is no measure to draw")
    figure, axes = panels(len(found), width=5.2, height=4.0)
    for ax, (measure, by_variant) in zip(axes, found.items(), strict=True):
        values = np.array(list(by_variant.values()), dtype=np.float64)  # (variants, seeds)
        names, places = list(by_variant), np.arange(len(by_variant))
        for seed, line in enumerate(values.T):
            ax.plot(places, line, color="#BBBBBB", linewidth=1, zorder=1)
            marker = SEED_MARKERS[seed % len(SEED_MARKERS)]
            colours = [colour_of(name) for name in names]
            ax.scatter(places, line, s=55, c=colours, marker=marker, edgecolor="white", linewidth=0.8, zorder=3)
        for place, name, row in zip(places, names, values, strict=True):
            ax.vlines(place, row.min(), row.max(), color=colour_of(name), linewidth=2.5, alpha=0.5, zorder=2)
            ax.hlines(row.mean(), place - 0.27, place + 0.27, color=colour_of(name), linewidth=4, zorder=2)
        ax.set_xticks(places, names)
        ax.set_xlim(-0.5, len(names) - 0.5)
        ax.set_ylabel(f"{name_of(measure)} ({direction(measure)} is better)")
        ax.grid(axis="x", visible=False)
        best = ranking(measure, dict(zip(names, values, strict=True)))
        ax.set_title(textwrap.fill(f"{name_of(measure)}: {best}", 40))
    seeds = [
        axes[0].scatter([], [], marker=SEED_MARKERS[s % len(SEED_MARKERS)], color="#555555", label=f"seed {s}")
        for s in range(values.shape[1])
    ]
    figure.legend(handles=seeds, loc="outside lower center", ncols=len(seeds))
    return figure


@in_our_style
def effects_by_measure(found: PanelValues) -> Picture:
    """Effects of the maskings with every seed as a point, against the line of no effect.

    Args:
        found: measure to the name of an effect to one difference a seed, in the unit of the measure.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> figure = effects_by_measure({"aupro": {"ILM": [0.00, 0.03], "FLM": [-0.01, 0.01]}})
        >>> figure.axes[0].get_title(loc="left")
        'AUPRO: nothing beyond the spread of\\nseeds'
    """
    if not found:
        raise ValueError("there is no effect to draw")
    longest = max(len(by_effect) for by_effect in found.values())
    figure, axes = panels(len(found), width=5.2, height=1.6 + 0.6 * longest)
    for ax, (measure, by_effect) in zip(axes, found.items(), strict=True):
        for place, values in enumerate(by_effect.values()):
            points = 100 * np.asarray(values, dtype=np.float64)
            clear = beyond_spread(values)
            ax.hlines(place, points.min(), points.max(), color="#555555", linewidth=2, alpha=0.5)
            face = "#0072B2" if clear else "white"
            heights = place + 0.14 * (np.arange(len(points)) - (len(points) - 1) / 2)  # equal seeds stay apart
            ax.scatter(points, heights, s=60, c=face, edgecolor="#0072B2", linewidth=1.6, zorder=3)
            ax.plot(points.mean(), place, marker="|", color="black", markersize=22, markeredgewidth=3, zorder=2)
        ax.axvline(0, color="black", linewidth=1.5, linestyle="--")
        ax.set_yticks(range(len(by_effect)), list(by_effect))
        ax.set_ylim(len(by_effect) - 0.5, -0.5)
        ax.set_xlabel(f"change of {name_of(measure)}, percentage points")
        ax.grid(axis="y", visible=False)
        named = [f"{name} ({signed(v)})" for name, v in by_effect.items() if beyond_spread(v)]
        said = f"beyond the spread of seeds: {', '.join(named)}" if named else "nothing beyond the spread of seeds"
        ax.set_title(textwrap.fill(f"{name_of(measure)}: {said}", 38))
    full, hollow = (
        axes[0].scatter([], [], s=60, c=face, edgecolor="#0072B2", linewidth=1.6) for face in ("#0072B2", "white")
    )
    mean = axes[0].plot([], [], marker="|", color="black", markersize=16, markeredgewidth=3, linestyle="none")[0]
    labels = ["seeds, beyond their spread", "seeds, within it", "mean"]
    figure.legend([full, hollow, mean], labels, loc="outside lower center", ncols=3)
    return figure


@in_our_style
def gains(here: Mapping[str, Sequence[float]], where: str) -> Picture:
    """What `mrkd` gains over `rd`: in every category of the paper's table, and, set apart, here in every seed.

    Args:
        here: measure (one that the paper prints) to one difference a seed.
        where: what was measured here: data, teacher, length.

    Raises:
        ValueError: there is nothing to draw, or a measure that the paper does not print.

    Example:
        >>> figure = gains({"image_auroc": [0.01, -0.01]}, "surface, small teacher")
        >>> figure.axes[0].get_title(loc="left")
        'image AUROC\\npaper: mean +0.5, median 0.0\\nhere: mean 0.0'
    """
    if not here:
        raise ValueError("there is no measure to draw")
    figure, [axes] = new_grid(1, len(here), 12.5, 5.2)
    for ax, (measure, seeds) in zip(axes, here.items(), strict=True):
        table = published(measure)
        paper = 100 * np.array([row["mrkd"] - row["rd"] for row in table.values()])
        mine = 100 * np.asarray(seeds, dtype=np.float64)
        ax.axhspan(0.5, 1.6, color=HERE_GROUND, zorder=0)
        heights = np.linspace(-0.33, 0.33, len(paper))[np.argsort(np.argsort(paper))]
        ax.scatter(paper, heights, s=60, color="#666666", edgecolor="white", zorder=3)
        ax.scatter(mine, np.linspace(0.95, 1.15, len(mine)), s=70, color=colour_of("mrkd"), edgecolor="white", zorder=3)
        ax.plot(paper.mean(), 0, "|", color="black", markersize=60, markeredgewidth=3, zorder=2)
        ax.plot(mine.mean(), 1.05, "|", color="black", markersize=40, markeredgewidth=3, zorder=2)
        ax.axvline(0, color="black", linewidth=1.5, linestyle="--")
        for category, gain, height in zip(table, paper, heights, strict=True):
            if gain in (paper.max(), paper.min()) and (paper == gain).sum() == 1:
                side = "right" if gain > paper.mean() else "left"
                look = {"textcoords": "offset points", "ha": side, "va": "center", "fontsize": 11}
                ax.annotate(category, (gain, height), (-9, 0) if side == "right" else (9, 0), **look)
        ax.set(ylim=(1.6, -0.55), yticks=[], xlabel=f"mrkd {MINUS} rd in {name_of(measure)},\npercentage points")
        ax.grid(axis="y", visible=False)
        middle = f"mean {signed([paper.mean() / 100])}, median {signed([float(np.median(paper)) / 100])}"
        ax.set_title(f"{name_of(measure)}\npaper: {middle}\nhere: mean {signed(seeds)}")
    paper_label = "paper:\n15 categories\nof MVTec AD,\nanother\nteacher"
    axes[0].set_yticks([0, 1.05], [paper_label, f"here,\nall seeds:\n{where}"])
    return figure
