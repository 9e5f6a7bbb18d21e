"""Pictures of lessons 04 and 04b: a defect that is copied, what that costs, and what vanishes by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import PercentFormatter

from mrkd_edu.figures.axes import frameless, new_grid
from mrkd_edu.figures.features import pixels
from mrkd_edu.figures.heat import HEAT, outline, overlay, shared_scale, threshold_bar
from mrkd_edu.figures.style import MINUS, NORMAL_COLOUR, TRUTH_COLOUR, Picture, colour_of, in_our_style
from mrkd_edu.lessons.overgeneralisation import position_auroc, scores
from mrkd_edu.study.copying import Answers, Cost, Pairs

COPIED, RESTORED = colour_of("rd"), "black"
LEFT, RIGHT = "\N{MATHEMATICAL LEFT ANGLE BRACKET}", "\N{MATHEMATICAL RIGHT ANGLE BRACKET}"


@in_our_style
def copied_defect(pairs: Pairs, seen: Answers, index: int, k: int) -> Picture:
    """One defect on its way: what it does to the teacher, what the student lets through, what the map keeps.

    All four maps have one colour scale: lengths of feature vectors, from 0 to the largest of the four. Below each
    stands its mean inside the defect, whose outline is cyan.

    Args:
        pairs: the images.
        seen: what a model made of them.
        index: of the pair.
        k: the scale, counted from 0.
    """
    flow, stride = seen.flow(k), seen.model.settings.strides[k]
    inside = flow.inside[index]  # (h, w)
    shown = [
        ("|d|: what the defect\ndoes to the teacher", flow.defect[index]),
        (f"|r| = |T(x') {MINUS} S(x)|: for the map,\nhad the student restored", flow.restored[index]),
        (f"{LEFT}s, r{RIGHT} / |r|: how far\nthe student follows", flow.copied[index]),
        (f"|r {MINUS} s| = |T(x') {MINUS} S(x')|:\nwhat is left for the map", flow.seen[index]),
    ]
    top = max(float(values.max()) for _, values in shown)
    figure, axes = new_grid(2, 3, 10.4, 8.6)
    mask = pairs.mask[index].numpy()
    photos = [pixels(pairs.normal[index]), outline(pixels(pairs.defective[index]), mask)]
    titles = ("x: normal", f"x': with a defect\n({pairs.kinds[index]})")
    for ax, photo, title in zip(axes[:, 0], photos, titles, strict=True):
        ax.imshow(photo)
        ax.set_title(title)
    for ax, (title, values) in zip(axes[:, 1:].ravel(), shown, strict=True):
        ax.imshow(values, cmap=HEAT, vmin=0, vmax=top, interpolation="nearest")
        _cell_outline(ax, inside)
        ax.set_title(title)
        ax.set_xlabel(f"mean in the defect: {values[inside].mean():.2f}")
    frameless(*axes.flat)
    heat = ScalarMappable(Normalize(0, top), HEAT)
    figure.colorbar(heat, ax=axes, aspect=35, pad=0.02).set_label("length, features of unit length (no unit)")
    share = 100 * seen.leakage()[index, k]
    figure.suptitle(f"At stride {stride} the student goes {share:.0f} % of the way from restoring to copying")
    return figure


@in_our_style
def distance_histograms(stages: Mapping[int, Mapping[str, np.ndarray]], stride: int) -> Picture:
    """Distances of normal and of defective positions after several steps of a training, one panel each.

    Args:
        stages: steps to what `Answers.distances` gives.
        stride: of the scale.

    Raises:
        ValueError: there is no stage.

    Example:
        >>> one = {"normal": np.array([0.1, 0.2]), "copied": np.array([0.15, 0.3]), "restored": np.array([0.3, 0.4])}
        >>> distance_histograms({50: one}, 8).axes[0].get_title(loc="left")
        '50 steps: AUROC of positions 0.75, without copying 1.00'
    """
    if not stages:
        raise ValueError("there is no stage to draw")
    end = max(float(np.quantile(found[name], 0.995)) for found in stages.values() for name in found)
    bins = np.linspace(0, end, 41)
    figure, grid = new_grid(len(stages), 1, 7.6, 0.9 + 1.9 * len(stages), sharex=True)
    axes = grid[:, 0]
    for ax, (step, found) in zip(axes, stages.items(), strict=True):
        for name, label, look in (
            ("normal", "normal positions", {"color": NORMAL_COLOUR, "alpha": 0.6}),
            ("copied", "defective positions", {"color": COPIED, "alpha": 0.55}),
            ("restored", "defective, without copying", {"color": RESTORED, "histtype": "step", "linewidth": 2.0}),
        ):
            values = np.minimum(found[name], end)
            share = np.full(len(values), 100 / len(values))
            ax.hist(values, bins=bins, weights=share, label=label, **look)  # type: ignore[arg-type]
        real, without = (position_auroc(found, name) for name in ("copied", "restored"))
        ax.set_title(f"{step} steps: AUROC of positions {real:.2f}, without copying {without:.2f}")
        ax.set_ylabel("% of positions")
    axes[-1].set_xlabel(f"cosine distance of teacher and student at stride {stride} (no unit)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@in_our_style
def cost_curves(costs: Mapping[int, Cost], along: str = "training steps") -> Picture:
    """Loss, leakage and detection over the steps of a training, or along another number.

    Args:
        costs: steps (or the other number) to what `copying.copying_cost` gives.
        along: name of the numbers.

    Raises:
        ValueError: fewer than two.
    """
    if len(costs) < 2:
        raise ValueError("a curve needs two costs or more")
    numbers, found = list(costs), list(costs.values())
    figure, [[left, middle, right]] = new_grid(1, 3, 12.4, 4.3)
    left.plot(numbers, [c.loss for c in found], marker="o", color=COPIED)
    left.set_ylabel("training loss (no unit)")
    left.set_ylim(0, 1.08 * max(c.loss for c in found))
    left.set_title(f"Loss from {found[0].loss:.2f}\nto {found[-1].loss:.2f}")

    leaks, lost = [float(np.mean(c.leakage)) for c in found], [c.lost for c in found]
    middle.plot(numbers, leaks, marker="o", color=COPIED, label="leakage, mean over scales")
    middle.plot(numbers, lost, marker="s", linestyle="--", color="#56B4E9", label="share of the alarm that is lost")
    middle.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    middle.set_ylim(min(0.0, *leaks, *lost), max(0.1, 1.1 * max(*leaks, *lost)))
    middle.set_ylabel("share of the defect")
    middle.set_title(f"At {numbers[-1]}: {100 * leaks[-1]:.0f} % copied,\n{100 * lost[-1]:.0f} % of the alarm lost")

    right.plot(numbers, [c.auroc for c in found], marker="o", color=COPIED, label="as it is")
    restored = [c.auroc_restored for c in found]
    right.plot(numbers, restored, marker="s", linestyle="--", color=RESTORED, label="without copying")
    right.set_ylabel("image AUROC")
    right.set_ylim(min(0.7, *(c.auroc - 0.05 for c in found)), 1.0)  # wide, so that noise does not look like news
    right.set_title(f"At {numbers[-1]}: image AUROC {found[-1].auroc:.2f},\nwithout copying {restored[-1]:.2f}")
    for ax in (left, middle, right):
        ax.set_xscale("log")
        ax.set_xticks(numbers, [str(n) for n in numbers])
        ax.minorticks_off()
        ax.set_xlabel(f"{along} (logarithmic)")
    for ax in (middle, right):  # below the axes, where no point can be
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22))
    return figure


@in_our_style
def alarm_scatter(stages: Mapping[int, Answers], kinds: Sequence[str], chosen: Sequence[int] = ()) -> Picture:
    """Image score of every defect without and with copying, in thresholds; one panel a stage.

    A defect below the diagonal loses by copying. In the shaded corner it would be found if nothing were copied, and is
    missed.

    Args:
        stages: steps to answers to the same pairs.
        kinds: of the defects.
        chosen: indices of defects to circle.

    Raises:
        ValueError: there is no stage.
    """
    if not stages:
        raise ValueError("there is no stage to draw")
    points = {step: scores(seen) for step, seen in stages.items()}  # step: (2, N)
    every = np.concatenate([p.ravel() for p in points.values()])
    low, high = min(0.9, every.min()) - 0.05, max(1.1, every.max()) + 0.05
    figure, [axes] = new_grid(1, len(stages), 5.2 * len(stages), 5.4, sharey=True)
    for ax, (step, (restored, copied)) in zip(axes, points.items(), strict=True):
        ax.fill_between([1, high], low, 1, color="#F0E442", alpha=0.4, linewidth=0)
        ax.plot([low, high], [low, high], color="#777777", linewidth=1.2, linestyle=":")
        for kind, marker in zip(dict.fromkeys(kinds), "osD^vPX*<>", strict=False):
            mine = np.array([k == kind for k in kinds])
            ax.plot(restored[mine], copied[mine], marker, color=COPIED, markersize=8, alpha=0.8, label=kind)
        ax.plot(restored[list(chosen)], copied[list(chosen)], "o", markersize=17, color="none", markeredgecolor="black")
        vanished = int(((restored > 1) & (copied <= 1)).sum())
        ax.set_title(f"{step} steps: copying hides {vanished}\nof {len(copied)} defects")
        ax.set(xlim=(low, high), ylim=(low, high), xlabel="score without copying / threshold", aspect="equal")
    axes[0].set_ylabel("score as it is / threshold")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(set(kinds)))
    return figure


@in_our_style
def vanishing(pairs: Pairs, stages: Mapping[int, Answers], chosen: Sequence[int]) -> Picture:
    """Chosen defects, one a row: image, the map after each stage, and the last map had nothing been copied.

    Every map is divided by its own model's threshold; the threshold has the same colour everywhere.

    Args:
        pairs: the images.
        stages: steps to answers to these pairs, the last one is the one that is compared.
        chosen: indices of pairs.

    Raises:
        ValueError: no defect, no stage, or a model without threshold.
    """
    if not len(chosen) or not stages:
        raise ValueError("there is nothing to draw: choose defects and stages")
    columns = [(f"after {step} steps", seen, "copied") for step, seen in stages.items()]
    last = list(stages)[-1]
    columns.append((f"after {last} steps,\nwithout copying", stages[last], "restored"))
    figure, axes = new_grid(len(chosen), 1 + len(columns), 2.7 * (1 + len(columns)) + 1.0, 3.0 * len(chosen) + 0.7)
    frameless(*axes.flat)
    for row, i in zip(axes[:, 0], chosen, strict=True):
        row.imshow(outline(pixels(pairs.defective[i]), pairs.mask[i].numpy()))
        row.set_xlabel(pairs.kinds[i])
    axes[0, 0].set_title("image and true\ndefect")
    for column, (title, seen, name) in zip(axes.T[1:], columns, strict=True):
        relative, maps = scores(seen)[0 if name == "restored" else 1], seen.maps[name]
        threshold = seen.model.settings.threshold
        assert threshold is not None  # `scores` has seen to that
        for ax, i in zip(column, chosen, strict=True):
            ax.imshow(overlay(pixels(pairs.defective[i]), maps[i], shared_scale(threshold)))
            ax.set_xlabel(f"score {relative[i]:.2f}: " + ("found" if relative[i] > 1 else "missed"))
        column[0].set_title(title)
    threshold_bar(figure, axes, aspect=14 * len(chosen), pad=0.02)
    return figure


def _cell_outline(ax: Axes, inside: np.ndarray) -> None:
    """The border of the cells that count, along their edges."""
    colour = tuple(c / 255 for c in TRUTH_COLOUR)
    padded = np.pad(inside, 1)
    for axis in (0, 1):
        for y, x in np.argwhere(np.diff(padded.astype(int), axis=axis)):
            row, column = y - 1.5 + (axis == 0), x - 1.5 + (axis == 1)  # corner where the edge begins
            ends = ([column, column + 1], [row, row]) if axis == 0 else ([column, column], [row, row + 1])
            ax.plot(*ends, color=colour, linewidth=1.8)
