"""Pictures of overgeneralisation: leakage by kind of defect, against its strength, and over the steps of a training.

Results in, a new picture out; one colour per variant; titles that say the finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter, ScalarFormatter

from mrkd_edu.figures.axes import heat_table, new_grid
from mrkd_edu.figures.style import Picture, colour_of, dashes, in_our_style
from mrkd_edu.study.snapshots import Look

LEAKS = "leakage, mean over scales"


@in_our_style
def theatre_curves(acts: Sequence[Look]) -> Picture:
    """How well defects are found, and how much of them is copied, over the steps of a training; one row a recipe.

    Lines are means over seeds, the bands reach from the lowest to the highest seed. Dashed: the image AUROC had the
    student restored the normal images; the gap to the line is what copying costs.

    Args:
        acts: what `study.snapshots.look_at_snapshots` gives, of one or several recipes and seeds.

    Raises:
        ValueError: there are none.

    Example:
        >>> acts = [Look("rd", 0, step, 1.0, 0.5, auroc, 0.9, [0.2]) for step, auroc in ((100, 0.7), (200, 0.6))]
        >>> theatre_curves(acts).axes[0].get_title(loc="left")
        'At its best and after 200 steps\\nrd 0.70, then 0.60'
    """
    if not acts:
        raise ValueError("there are no acts to draw")
    recipes = list(dict.fromkeys(a.recipe for a in acts))
    figure, axes = new_grid(len(recipes), 2, 10, 4.6 * len(recipes), sharey="col")
    for (left, right), recipe in zip(axes, recipes, strict=True):
        _one_recipe(left, right, [a for a in acts if a.recipe == recipe], f"{recipe}: " if recipe else "")
    low, high = axes[0, 1].get_ylim()
    axes[0, 1].set_ylim(min(0.0, low), max(0.05, high))
    axes[0, 0].legend(loc="best")
    return figure


def _one_recipe(left: Axes, right: Axes, acts: Sequence[Look], name: str) -> None:
    """Image AUROC on the left, leakage on the right, a line a variant."""
    steps = sorted({a.step for a in acts})
    auroc, leaks = [], []
    for variant in dict.fromkeys(a.variant for a in acts):
        mine = [a for a in acts if a.variant == variant]
        found = _over_steps(left, variant, steps, [(a.step, a.image_auroc) for a in mine])
        copied = _over_steps(
            right, variant, steps, [(a.step, None if a.leakage is None else float(np.mean(a.leakage))) for a in mine]
        )
        ceilings = [[a.ceiling for a in mine if a.step == s and a.ceiling is not None] for s in steps]
        if all(ceilings):
            restored = [float(np.mean(values)) for values in ceilings]
            left.plot(steps, restored, "--", color=colour_of(variant), label=f"{variant}, nothing copied")
        if np.isfinite(found).all():
            auroc.append(f"{variant} {max(found):.2f}, then {found[-1]:.2f}")
        if np.isfinite(copied).all():
            leaks.append(f"{variant} {100 * copied[0]:.0f} to {100 * copied[-1]:.0f} %")
    left.set_ylabel("image AUROC")
    right.set_ylabel(LEAKS)
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    best, span = f"At its best and after {steps[-1]} steps", f"What is copied, after {steps[0]} and {steps[-1]} steps"
    if name:  # shorter, for the name needs room
        best, span = f"{name}at its best and after {steps[-1]} steps", f"{name}leakage, {steps[0]} to {steps[-1]} steps"
    left.set_title(f"{best}\n" + ("; ".join(auroc) or "not measurable"))
    right.set_title(f"{span}\n" + ("; ".join(leaks) or "not measurable"))
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xticks(steps, [str(s) for s in steps])
        ax.xaxis.set_minor_formatter(ScalarFormatter())
        ax.minorticks_off()
        ax.set_xlabel("training steps (logarithmic)")


def _over_steps(
    ax: Axes, variant: str, steps: Sequence[int], values: Sequence[tuple[int, float | None]]
) -> list[float]:
    """Draw one variant's mean and range over the seeds; return the means."""
    rows = [[v for step, v in values if step == s and v is not None] or [float("nan")] for s in steps]
    means = [float(np.mean(row)) for row in rows]
    ax.fill_between(steps, [min(r) for r in rows], [max(r) for r in rows], color=colour_of(variant), alpha=0.2)
    ax.plot(steps, means, marker="o", color=colour_of(variant), label=variant)
    return means


@in_our_style
def leakage_kinds(by_variant: Mapping[str, Mapping[str, Sequence[float]]], strides: Sequence[int]) -> Picture:
    """Leakage of each kind of defect at each scale, one panel a variant, one colour scale for all.

    Args:
        by_variant: variant to what `study.leakage_by_kind.leakage_by_kind` gives.
        strides: of the scales.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> figure = leakage_kinds({"rd": {"hole": [0.0, 0.4], "stain": [0.1, 0.2]}}, (8, 16))
        >>> figure.axes[0].get_title()
        'rd copies 18 %'
    """
    if not by_variant:
        raise ValueError("there is no leakage to draw")
    kinds = list(next(iter(by_variant.values())))
    values = [v for found in by_variant.values() for scales in found.values() for v in scales]
    low, top = min(0.0, *values), max(0.3, *values)
    figure, [axes] = new_grid(1, len(by_variant), 1.6 + 3.1 * len(by_variant), 1.6 + 0.5 * len(kinds))
    for ax, (variant, found) in zip(axes, by_variant.items(), strict=True):
        grid = 100 * np.array([found[kind] for kind in kinds])  # (kinds, K)
        look = {"vmin": 100 * low, "vmax": 100 * top, "cbar_kws": {"label": "leakage in %: 0 restored, 100 copied"}}
        numbers = grid.round() + 0.0  # + 0.0: no "-0"
        names = kinds if ax is axes[0] else False
        heat_table(ax, grid, strides, names, annot=numbers, fmt=".0f", cbar=ax is axes[-1], **look)
        ax.set_title(f"{variant} copies {grid.mean():.0f} %", loc="center")
    return figure


@in_our_style
def leakage_strengths(by_variant: Mapping[str, Mapping[str, np.ndarray]], strengths: Sequence[float]) -> Picture:
    """Leakage against the strength of the defect, one panel a kind.

    Args:
        by_variant: variant to what `study.leakage_by_kind.leakage_by_strength` gives.
        strengths: those that it was asked for.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not by_variant:
        raise ValueError("there is no leakage to draw")
    kinds = list(next(iter(by_variant.values())))
    figure, [axes] = new_grid(1, len(kinds), 0.8 + 2.3 * len(kinds), 3.6, sharey=True)
    for ax, kind in zip(axes, kinds, strict=True):
        for variant, found in by_variant.items():
            style = dashes(list(by_variant).index(variant))  # models of one variant have one colour
            means = found[kind].mean(axis=1)
            ax.plot(strengths, means, marker="o", color=colour_of(variant), linestyle=style, label=variant)
        ax.axhline(0, color="black", linewidth=1)
        ax.set_title(kind)
        ax.set(xlabel="strength", xlim=(0, 1.05))
    axes[0].set_ylabel(LEAKS)
    axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(by_variant))
    return figure
