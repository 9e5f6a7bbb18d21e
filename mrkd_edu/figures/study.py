"""Pictures of a study: four variants over several seeds, what each mask does, kinds of defect, and the paper's table.

The rules are those of `plots.py`. Every seed is a point: a mean without its spread says nothing about a difference.
No bar starts at zero, for it would hide what the study is about.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mrkd_edu.figures.results import MINUS, VARIANT_COLOURS, Picture, colour_of, in_our_style
from mrkd_edu.study.benchmark import Row
from mrkd_edu.study.published import PAPERS_SIZE, PAPERS_TEACHER, published

MEASURE_NAMES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO", "leakage": "leakage"}
LESS_IS_BETTER = ("leakage",)
PAPERS_FEWEST_STEPS = 600  # 200 epochs of toothbrush, the smallest category of MVTec AD
HERE_GROUND = "#FFF6DD"  # behind everything that was measured here, where the paper stands beside it
SEED_MARKERS = ("o", "s", "^", "D", "v", "P")
PanelValues = Mapping[str, Mapping[str, Sequence[float]]]


def beyond_spread(differences: Sequence[float]) -> bool:
    """Whether paired differences say more than the choice of the seed does.

    The rule of the course: every seed has the same sign, and the mean is larger than the distance between the lowest
    and the highest. No test of significance is hidden in it; with three seeds none would mean much.

    Args:
        differences: one for each seed.

    Example:
        >>> beyond_spread([0.03, 0.04, 0.05]), beyond_spread([0.01, 0.04, 0.06]), beyond_spread([0.04])
        (True, False, False)
    """
    d = np.asarray(differences, dtype=np.float64)
    return len(d) > 1 and bool((np.sign(d) == np.sign(d[0])).all() and abs(d.mean()) > np.ptp(d))


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
    figure, axes = _panels(len(found), width=5.2, height=4.0)
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
        ax.set_ylabel(f"{_name(measure)} ({_direction(measure)} is better)")
        ax.grid(axis="x", visible=False)
        ax.set_title(textwrap.fill(f"{_name(measure)}: {_ranking(measure, dict(zip(names, values, strict=True)))}", 40))
    seeds = [
        axes[0].scatter([], [], marker=SEED_MARKERS[s % len(SEED_MARKERS)], color="#555555", label=f"seed {s}")
        for s in range(values.shape[1])
    ]
    figure.legend(handles=seeds, loc="outside lower center", ncols=len(seeds))
    return figure


@in_our_style
def effects(found: PanelValues) -> Picture:
    """Effects of the maskings with every seed as a point, against the line of no effect.

    Args:
        found: measure to the name of an effect to one difference a seed, in the unit of the measure.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> figure = effects({"aupro": {"ILM": [0.00, 0.03], "FLM": [-0.01, 0.01]}})
        >>> figure.axes[0].get_title(loc="left")
        'AUPRO: nothing beyond the spread of\\nseeds'
    """
    if not found:
        raise ValueError("there is no effect to draw")
    longest = max(len(by_effect) for by_effect in found.values())
    figure, axes = _panels(len(found), width=5.2, height=1.6 + 0.6 * longest)
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
        ax.set_xlabel(f"change of {_name(measure)}, percentage points")
        ax.grid(axis="y", visible=False)
        named = [f"{name} ({_signed(v)})" for name, v in by_effect.items() if beyond_spread(v)]
        said = f"beyond the spread of seeds: {', '.join(named)}" if named else "nothing beyond the spread of seeds"
        ax.set_title(textwrap.fill(f"{_name(measure)}: {said}", 38))
    full, hollow = (
        axes[0].scatter([], [], s=60, c=face, edgecolor="#0072B2", linewidth=1.6) for face in ("#0072B2", "white")
    )
    mean = axes[0].plot([], [], marker="|", color="black", markersize=16, markeredgewidth=3, linestyle="none")[0]
    labels = ["seeds, beyond their spread", "seeds, within it", "mean"]
    figure.legend([full, hollow, mean], labels, loc="outside lower center", ncols=3)
    return figure


@in_our_style
def kinds_of_defect(found: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> Picture:
    """How well each kind of defect is told from normal images, by every variant and seed; one panel a data set.

    Args:
        found: heading of a panel to variant to kind of defect to one image AUROC a seed.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> figure = kinds_of_defect({"global": {"rd": {"missing": [1.0], "swapped": [0.7]}}})
        >>> figure.axes[0].get_title(loc="left")
        'global: swapped is hardest (0.70), missing easiest (1.00)'
    """
    if not found:
        raise ValueError("there is no data set to draw")
    figure = Picture(figsize=(11, 0.6 + 3.7 * len(found)), layout="constrained")
    axes = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    lowest = min(v for panel in found.values() for row in panel.values() for values in row.values() for v in values)
    for ax, (heading, by_variant) in zip(axes, found.items(), strict=True):
        kinds = list(next(iter(by_variant.values())))
        table = [(kind, name, v) for name, row in by_variant.items() for kind, values in row.items() for v in values]
        kind_of, variant_of, values = (list(column) for column in zip(*table, strict=True))
        options = {"x": kind_of, "y": values, "hue": variant_of, "palette": VARIANT_COLOURS, "ax": ax, "order": kinds}
        seaborn.stripplot(**options, dodge=True, jitter=False, size=8, edgecolor="white", linewidth=0.8, zorder=3)
        shift = 0.8 / len(by_variant)  # as stripplot dodges
        for i, (name, row) in enumerate(by_variant.items()):
            for place, kind in enumerate(kinds):
                x = place + (i - (len(by_variant) - 1) / 2) * shift
                ax.vlines(x, min(row[kind]), max(row[kind]), color=colour_of(name), linewidth=2.5, alpha=0.5)
                ax.hlines(np.mean(row[kind]), x - 0.4 * shift, x + 0.4 * shift, color=colour_of(name), linewidth=3)
        for border in np.arange(len(kinds) - 1) + 0.5:
            ax.axvline(border, color="#E4E4E4", linewidth=1)
        ax.axhline(0.5, color="#777777", linewidth=1.5, linestyle=":")
        ax.set(xlabel="kind of defect", ylabel="image AUROC,\nthis kind against normal")
        ax.set_ylim(min(0.45, lowest) - 0.03, 1.03)
        ax.grid(axis="x", visible=False)
        ax.get_legend().remove()
        means = {kind: float(np.mean([row[kind] for row in by_variant.values()])) for kind in kinds}
        hard, easy = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
        said = f"{hard} is hardest ({means[hard]:.2f}), {easy} easiest ({means[easy]:.2f})"
        ax.set_title(f"{heading}: {said}" if len(kinds) > 1 else f"{heading}: {hard} {means[hard]:.2f}")
    chance = axes[0].get_lines()[-1]
    handles = [axes[0].scatter([], [], s=64, color=colour_of(name), label=name) for name in by_variant]
    figure.legend([*handles, chance], [*by_variant, "chance"], loc="outside lower center", ncols=len(handles) + 1)
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
    figure = Picture(figsize=(12.5, 5.2), layout="constrained")
    axes = figure.subplots(1, len(here), squeeze=False)[0]
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
        ax.set(ylim=(1.6, -0.55), yticks=[], xlabel=f"mrkd {MINUS} rd in {_name(measure)},\npercentage points")
        ax.grid(axis="y", visible=False)
        middle = f"mean {_signed([paper.mean() / 100])}, median {_signed([float(np.median(paper)) / 100])}"
        ax.set_title(f"{_name(measure)}\npaper: {middle}\nhere: mean {_signed(seeds)}")
    paper_label = "paper:\n15 categories\nof MVTec AD,\nanother\nteacher"
    axes[0].set_yticks([0, 1.05], [paper_label, f"here,\nall seeds:\n{where}"])
    return figure


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
    figure = Picture(figsize=(11.5, 6.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
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
            off = [_signed([float(np.mean(values)) - table[category][v]]) for v, values in by_variant.items()]
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


# ---- how it is done ----------------------------------------------------------------------------------------


def _panels(number: int, width: float, height: float) -> tuple[Picture, list[Axes]]:
    """Up to two panels a row."""
    columns = min(2, number)
    rows = -(-number // columns)
    figure = Picture(figsize=(width * columns, height * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for ax in axes[number:]:
        ax.set_visible(False)
    return figure, axes[:number]


def _name(measure: str) -> str:
    return MEASURE_NAMES.get(measure, measure)


def _direction(measure: str) -> str:
    return "less" if measure in LESS_IS_BETTER else "more"


def _signed(differences: Sequence[float]) -> str:
    """The mean of differences of shares, in percentage points and with a sign.

    Example:
        >>> _signed([0.01, 0.02]), _signed([0.0001])
        ('+1.5', '0.0')
    """
    points = round(100 * float(np.mean(differences)), 1)
    return "0.0" if points == 0 else f"{points:+.1f}".replace("-", MINUS)


def _ranking(measure: str, by_variant: Mapping[str, np.ndarray]) -> str:
    """Best and last by their means, and whether the values of one all lie above those of the other."""
    ordered = sorted(by_variant, key=lambda name: -float(by_variant[name].mean()))
    if measure in LESS_IS_BETTER:
        ordered.reverse()
    best, last = by_variant[ordered[0]], by_variant[ordered[-1]]
    if len(ordered) == 1 or round(best.mean(), 3) == round(last.mean(), 3):
        return f"{ordered[0]} {best.mean():.3f}" if len(ordered) == 1 else f"all alike ({best.mean():.3f})"
    apart = best.min() > last.max() or best.max() < last.min()
    if len(best) == 1:
        spread = "one seed, no spread known"
    else:
        spread = "their seeds lie apart" if apart else "their seeds overlap"
    high, low = (round(float(values.mean()), 3) + 0.0 for values in (best, last))  # + 0.0: no "-0.000"
    return f"{ordered[0]} best ({high:.3f}), {ordered[-1]} last ({low:.3f}); {spread}"


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
        for variant, values in by_variant.items():
            height = place + (0.09 if variant == "rd" else -0.09)  # equal values: both can be seen
            ax.scatter(100 * np.array(values), [height] * len(values), s=60, color=colour_of(variant), zorder=3)
    ax.set_yticks(range(len(table)), list(table))
    room = max(0, 5 - len(table)) / 2  # a single row would be drawn out over the whole height
    ax.set_ylim(len(table) - 0.4 + room, -0.6 - room)
    ax.set_xlabel(f"{_name(measure)}, percent")
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
        return f"mrkd {MINUS} rd: {_signed(gain)} points"
    clear = beyond_spread([m - r for r, m in zip(rd, mrkd, strict=True)])
    return f"mrkd {MINUS} rd: {_signed(gain)} points, {'beyond' if clear else 'within'} the spread of seeds"
