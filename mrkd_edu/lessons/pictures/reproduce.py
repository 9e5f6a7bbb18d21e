"""Pictures of lesson 09: what was measured here beside the paper's table."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mrkd_edu.figures.axes import new_grid
from mrkd_edu.figures.style import MINUS, Picture, colour_of, in_our_style
from mrkd_edu.lessons.pictures.comparing import PanelValues, name_of, signed
from mrkd_edu.lessons.statistics import beyond_spread
from mrkd_edu.study.published import PAPERS_SIZE, PAPERS_TEACHER, published
from mrkd_edu.study.results import Row

PAPERS_FEWEST_STEPS = 600  # 200 epochs of toothbrush, the smallest category of MVTec AD
HERE_GROUND = "#FFF6DD"  # behind everything that was measured here, where the paper stands beside it


@in_our_style
def beside_paper(rows: Sequence[Row], measure: str = "image_auroc") -> Picture:
    """The paper's table at the left; what a benchmark measured here at the right, on other ground and set apart.

    The heading at the right says what differs from the paper's setting, so that nobody takes a toy for a reproduction.
    Where a category of the paper was measured, its difference from the paper stands beside it.

    Args:
        rows: of a benchmark with the variants `rd` and `mrkd`.
        measure: one that the paper prints.

    Raises:
        ValueError: no row of `rd` or `mrkd`, or a measure that the paper does not print.
    """
    table, mine = published(measure), _by_category(rows, measure)
    if not mine:
        raise ValueError(f"no row of rd or mrkd has {measure}: there is nothing to set beside the paper")
    figure, [[left, right]] = new_grid(1, 2, 11.5, 6.4, width_ratios=(1, 1))
    _dumbbells(left, {c: {v: [value] for v, value in row.items()} for c, row in table.items()}, measure)
    better, worse = (sum(sign * (r["mrkd"] - r["rd"]) > 1e-9 for r in table.values()) for sign in (1, -1))
    left.set_title(
        f"PAPER (MVTec AD, WideResNet-50-2)\nMRKD above RD4AD in {better} of {len(table)} categories,\n"
        f"below in {worse}, equal in {len(table) - better - worse}"
    )
    right.set_facecolor(HERE_GROUND)
    _dumbbells(right, mine, measure)
    margin = {"transform": right.get_yaxis_transform(), "va": "center", "fontsize": 11}
    if not table.keys().isdisjoint(mine):
        right.text(1.02, right.get_ylim()[1], f"here {MINUS} paper,\npoints: rd, mrkd", **margin | {"va": "bottom"})
    for place, (category, by_variant) in enumerate(mine.items()):
        if category in table:
            off = [signed([float(np.mean(values)) - table[category][v]]) for v, values in by_variant.items()]
            right.text(1.02, place, ", ".join(off), **margin)
    differs = differs_from_paper(rows)
    setting = f"HERE ({differs}): no reproduction" if differs else "HERE: the paper's data, teacher and size"
    right.set_title("\n".join(textwrap.fill(line, 40) for line in (setting, _here(mine))))
    marks = [left.scatter([], [], s=80, color=colour_of(v), label=v) for v in ("rd", "mrkd")]
    figure.legend(marks, ["rd (RD4AD)", "mrkd"], loc="outside lower center", ncols=2)
    return figure


def differs_from_paper(rows: Sequence[Row]) -> str:
    """What sets a benchmark apart from the paper's: data, teacher, size, in words; empty where nothing does.

    Example:
        >>> row = {"category": "surface", "backbone": "efficientnet_lite0", "size": "256", "steps": "240"}
        >>> differs_from_paper([row])
        'other data, other teacher, 240 steps'
    """
    table, steps = published("image_auroc"), max(int(row["steps"]) for row in rows)
    facts = {
        "other data": any(row["category"] not in table for row in rows),
        "other teacher": any(row["backbone"] != PAPERS_TEACHER for row in rows),
        f"{rows[0]['size']} pixels": any(row["size"] != str(PAPERS_SIZE) for row in rows),
        f"{steps} steps": steps < PAPERS_FEWEST_STEPS,
    }
    return ", ".join(name for name, differs in facts.items() if differs)


def _by_category(rows: Sequence[Row], measure: str) -> dict[str, dict[str, list[float]]]:
    """Category to variant (`rd`, `mrkd`) to a value for each seed."""
    found: dict[str, dict[str, list[float]]] = {}
    for variant in ("rd", "mrkd"):
        for row in rows:
            if row["variant"] == variant and row[measure]:
                found.setdefault(row["category"], {}).setdefault(variant, []).append(float(row[measure]))
    return found


def _dumbbells(ax: Axes, table: PanelValues, measure: str) -> None:
    """A line from the mean of `rd` to that of `mrkd` for each category, and a point for each value."""
    for place, by_variant in enumerate(table.values()):
        ax.plot([100 * np.mean(v) for v in by_variant.values()], [place] * len(by_variant), color="#999999", zorder=1)
        seeds = list(by_variant.values())
        if len(seeds) == 2 and len(seeds[0]) == len(seeds[1]) > 1:  # the points of one seed belong together
            for one, other in zip(*seeds, strict=True):
                ends = [100 * one, 100 * other], [place + 0.09, place - 0.09]
                ax.plot(*ends, color="#BBBBBB", linewidth=0.9, zorder=2)
        for variant, values in by_variant.items():
            height = place + (0.09 if variant == "rd" else -0.09)  # equal values: both can be seen
            ax.scatter(100 * np.array(values), [height] * len(values), s=60, color=colour_of(variant), zorder=3)
    ax.set_yticks(range(len(table)), list(table))
    room = max(0, 5 - len(table)) / 2  # a single row would be drawn out over the whole height
    ax.set_ylim(len(table) - 0.4 + room, -0.6 - room)
    ax.set_xlabel(f"{name_of(measure)}, percent")
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.grid(axis="y", visible=False)


def _here(mine: PanelValues) -> str:
    """What `mrkd` gains over `rd` here, as a title; paired by seed where there are as many of both."""
    both = [row for row in mine.values() if len(row) == 2]
    if not both:
        return "mrkd and rd were not both measured"
    gain = [float(np.mean(row["mrkd"]) - np.mean(row["rd"])) for row in both]
    if len(both) > 1:
        return f"mrkd above rd in {sum(g > 0 for g in gain)} of {len(both)} categories"
    rd, mrkd = (list(both[0][v]) for v in ("rd", "mrkd"))
    if len(rd) != len(mrkd) or len(rd) == 1:
        return f"mrkd {MINUS} rd: {signed(gain)} points"
    clear = beyond_spread([m - r for r, m in zip(rd, mrkd, strict=True)])
    return f"mrkd {MINUS} rd: {signed(gain)} points, {'beyond' if clear else 'within'} the spread of seeds"
