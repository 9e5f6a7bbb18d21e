"""Pictures of lesson 08: curves by threshold, mistakes, and choices made on the test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import roc_curve

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import read_image
from mrkd_edu.figures.axes import HEADLINE, frameless, head_row, new_chart, new_grid, percent_axes
from mrkd_edu.figures.heat import THRESHOLDS_SHOWN, outline, overlay, shared_scale
from mrkd_edu.figures.results import verdict_threshold
from mrkd_edu.figures.style import TIMES, Picture, colour_of, dashes, in_our_style
from mrkd_edu.lessons.measuring import (
    RIGHT,
    Choice,
    confusion,
    per_image_scale,
    region_overlaps,
    share_at_least,
)
from mrkd_edu.lessons.statistics import LEVEL, share_interval
from mrkd_edu.metrics import Array, aupro, image_auroc, pro_curve
from mrkd_edu.study.evaluate import Evaluation

HONEST_COLOUR, FLATTERED_COLOUR = "#0072B2", "#D55E00"  # measured on other images; on those that were chosen by


@in_our_style
def roc_by_threshold(evaluation: Evaluation, thresholds: Sequence[float]) -> Picture:
    """Where thresholds A, B, C, ... cut the scores, and which points of the ROC curve that gives.

    Args:
        evaluation: with normal and defective images.
        thresholds: in the unit of the scores.

    Raises:
        ValueError: normal or defective images are missing.
    """
    scores, labels = evaluation.score, evaluation.labels
    area = image_auroc(scores, labels)
    colour, unit = colour_of(evaluation.variant), verdict_threshold(evaluation)
    figure, [[left, right]] = new_grid(1, 2, 10.4, 4.4)
    rng = np.random.default_rng(0)  # of the jitter alone
    for label, name, shade in ((0, "normal", "#555555"), (1, "defective", colour)):
        mine = scores[labels == label] / unit
        left.plot(mine, label + rng.uniform(-0.22, 0.22, len(mine)), "o", color=shade, alpha=0.6, label=name)
    left.set(yticks=[0, 1], yticklabels=["normal", "defective"], ylim=(-0.5, 1.75))
    left.set_xlabel("image score (1 is the model's own threshold)")
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    right.fill_between(fpr, tpr, color=colour, alpha=0.15, linewidth=0)
    right.plot(fpr, tpr, color=colour)
    right.plot([0, 1], [0, 1], color="#777777", linewidth=1.2, linestyle=":")
    for letter, threshold in zip("ABCDEFGH", thresholds, strict=False):
        counts = confusion(scores, labels, threshold)
        left.axvline(threshold / unit, color="black", linewidth=1.5, linestyle="--")
        left.text(threshold / unit, 1.58, letter, ha="center", backgroundcolor="white", weight="bold")
        at = counts.false_alarm_rate, counts.recall
        right.plot(*at, "o", color="black", markersize=9, clip_on=False, zorder=5)
        right.annotate(letter, at, (8, -16), textcoords="offset points", weight="bold")
    right.text(0.55, 0.3, f"area {area:.3f}", ha="center", fontsize=13)
    percent_axes(right, "normal images called defective (false-positive rate)", "defective images found")
    right.set(xlim=(-0.02, 1), ylim=(0, 1.03))
    left.set_title("Each threshold cuts both rows ...")
    right.set_title("... and is one point of the curve")
    return figure


@in_our_style
def pixel_sweep(evaluation: Evaluation) -> Picture:
    """Pixels at each threshold: the ROC curve beside what is called defective and is.

    Args:
        evaluation: with masks.

    Raises:
        ValueError: there are no masks.
    """
    if evaluation.masks is None:
        raise ValueError("pixels need ground-truth masks; this data set has none")
    maps, masks, colour = evaluation.anomaly_map, evaluation.masks, colour_of(evaluation.variant)
    found = np.linspace(0.01, 1, 100)  # share of the defect pixels
    defect = np.sort(maps[masks])[::-1]
    thresholds = defect[np.ceil(found * len(defect)).astype(int) - 1]
    false = share_at_least(maps[~masks], thresholds)
    false_pixels = false * (~masks).sum()
    true_pixels = found * len(defect)
    precision = true_pixels / (true_pixels + false_pixels)
    figure, [[left, right]] = new_grid(1, 2, 10.4, 4.4)
    left.plot([0, *false, 1], [0, *found, 1], color=colour)
    left.plot([0, 1], [0, 1], color="#777777", linewidth=1.2, linestyle=":")
    right.plot(found, precision, color=colour)
    right.axhline(masks.mean(), color="#777777", linewidth=1.2, linestyle=":")
    right.text(0.02, masks.mean() + 0.02, "chance: share of defect pixels", fontsize=11)
    half = int(np.argmin(abs(found - 0.5)))
    left.plot(false[half], found[half], "o", color="black", markersize=9)
    right.plot(found[half], precision[half], "o", color="black", markersize=9)
    percent_axes(left, "normal pixels called defective", "defect pixels found")
    percent_axes(right, "defect pixels found", "called defective and right (precision)")
    right.set_ylim(0, 1.03)
    left.set_title(f"Half found: {100 * false[half]:.1f} % of the normal pixels")
    right.set_title(f"... but of 100 pixels called, {100 * (1 - precision[half]):.0f} are normal")
    return figure


@in_our_style
def pro_by_hand(maps: Array, masks: Array, limit: float = 0.3) -> Picture:
    """A small case: the values with the regions framed, then the overlap of each region, their mean and its area.

    Args:
        maps: (1, H, W), a few pixels.
        masks: (1, H, W) bool.
        limit: of the false-positive rate.

    Raises:
        ValueError: as for `metrics.pro_curve`.
    """
    curve, thresholds = pro_curve(maps, masks), np.unique(maps)[::-1]
    fpr, overlaps = region_overlaps(maps, masks, thresholds)  # (P,), (R, P)
    figure, [[left, right]] = new_grid(1, 2, 10.4, 4.4)
    left.imshow(maps[0], cmap="Greys", vmin=0, vmax=1.6 * maps.max())
    for (row, column), value in np.ndenumerate(maps[0]):
        left.text(column, row, f"{value:g}", ha="center", va="center", fontsize=12)
        if masks[0, row, column]:
            frame = Rectangle((column - 0.44, row - 0.44), 0.88, 0.88, fill=False, edgecolor=HONEST_COLOUR, linewidth=3)
            left.add_patch(frame)
    left.set(xticks=[], yticks=[])
    left.grid(visible=False)
    for number, overlap in enumerate(overlaps):
        name = f"region {number + 1}"
        right.plot([0, *fpr], [0, *overlap], color="#555555", linestyle=dashes(number + 1), linewidth=1.8, label=name)
    right.plot(curve.fpr, curve.pro, color=HONEST_COLOUR, label="mean: PRO")
    before = curve.fpr < limit
    inside = [*curve.fpr[before], limit]
    height = [*curve.pro[before], np.interp(limit, curve.fpr, curve.pro)]
    right.fill_between(inside, height, color=HONEST_COLOUR, alpha=0.2, linewidth=0)
    right.axvline(limit, color="black", linewidth=1.5, linestyle="--")
    right.text(limit + 0.015, 0.06, f"limit {limit:g}")
    percent_axes(right, "normal pixels called defective", "share of a region found")
    right.set(xlim=(-0.01, 1), ylim=(0, 1.03))
    right.legend(loc="lower right")
    area = aupro(maps, masks, limit)
    left.set_title("Values; defect pixels are framed")
    right.set_title(f"Shaded area {limit * area:.3f} / {limit:g} = AUPRO {area:.3f}")
    return figure


@in_our_style
def mistake_bars(cases: Mapping[str, Mapping[str, float]]) -> Picture:
    """AUPRO as defined, and what each mistake makes of it, one panel a case.

    Args:
        cases: name of the case to what `aupro_mistakes` gives.

    Raises:
        ValueError: there is no case.

    Example:
        >>> figure = mistake_bars({"run": {"as defined": 0.6, "per image": 0.75, "no good images": 0.5}})
        >>> figure.axes[0].get_title(loc="left")
        'run:\\n0.50 to 0.75, right is 0.60'
    """
    if not cases:
        raise ValueError("there is no case to draw")
    figure, [panels] = new_grid(1, len(cases), 5.4 * len(cases), 3.8, sharey=True)
    for ax, (case, values) in zip(panels, cases.items(), strict=True):
        names, heights = list(values), list(values.values())
        right = values[RIGHT]
        colours = [HONEST_COLOUR if name == RIGHT else FLATTERED_COLOUR for name in names]
        ax.barh(names, heights, color=colours)
        for row, (name, height) in enumerate(values.items()):  # beside the bars: no line runs through them
            ax.text(1.02, row, f"{height:.3f}" + ("" if name == RIGHT else f" ({height - right:+.3f})"), va="center")
        ax.axvline(right, color="black", linewidth=1.5, linestyle="--")
        ax.set(xlim=(0, 1.65), xticks=np.linspace(0, 1, 6), xlabel="AUPRO")
        ax.grid(axis="y", visible=False)
        ax.set_title(f"{case}:\n{min(heights):.2f} to {max(heights):.2f}, right is {right:.2f}")
    panels[0].invert_yaxis()
    return figure


@in_our_style
def promised_false_alarms(promised: Sequence[float], false_alarms: Sequence[int], images: int) -> Picture:
    """Share of false alarms that was promised, against what was seen on good images, with its 95 % interval.

    Args:
        promised: shares, each with its own threshold.
        false_alarms: how many of the good test images were called defective by that threshold.
        images: number of good test images.

    Raises:
        ValueError: the lengths differ or there are no images.

    Example:
        >>> figure = promised_false_alarms([0.05, 0.2], [0, 4], 20)
        >>> figure.axes[0].get_title(loc="left")
        '2 of 2 promises lie in what 20 images can tell'
    """
    if images < 1 or len(promised) != len(false_alarms) or not len(promised):
        raise ValueError("promised and false_alarms must have one length, of at least one image")
    ends = np.array([share_interval(int(k), images) for k in false_alarms])  # (P, 2)
    seen = np.array(false_alarms) / images
    inside = int(((ends[:, 0] <= promised) & (promised <= ends[:, 1])).sum())
    figure, ax = new_chart(6.4, 4.8)
    ax.plot([0, 1], [0, 1], color="black", linewidth=1.5, linestyle="--", label="promise kept")
    bars = [np.maximum(seen - ends[:, 0], 0), np.maximum(ends[:, 1] - seen, 0)]
    label = f"seen, {100 * LEVEL:.0f} % interval"
    ax.errorbar(promised, seen, yerr=bars, fmt="o", color=HONEST_COLOUR, capsize=4, linewidth=1.8, label=label)
    top = 1.05 * float(max(ends.max(), *promised))
    percent_axes(ax, "false alarms promised", f"false alarms seen on {images} good images")
    ax.set(xlim=(0, 1.1 * max(promised)), ylim=(-0.02, top))
    ax.legend(loc="upper left")
    ax.set_title(f"{inside} of {len(promised)} promises lie in what {images} images can tell")
    return figure


@in_our_style
def chosen_on_test(choices: Mapping[str, Choice], metric: str) -> Picture:
    """What was promised on the half that was chosen by, and what the other half shows; one panel a way to choose.

    Args:
        choices: name of the way to choose to what it gave.
        metric: its name, with its unit if it has one.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> choice = Choice(np.array([0.9, 0.8]), np.array([0.7, 0.8]), np.array([0, 1]))
        >>> chosen_on_test({"best stage": choice}, "image AUROC").axes[0].get_title(loc="left")
        'best stage: 0.850, then 0.750 (0.100 too good)'
    """
    if not choices:
        raise ValueError("there is no choice to draw")
    together = np.concatenate([part for c in choices.values() for part in (c.same, c.other)])
    bins = np.linspace(together.min() - 0.005, together.max() + 0.005, 30)
    figure, grid = new_grid(len(choices), 1, 7.4, 0.9 + 2.5 * len(choices), sharex=True)
    panels = grid[:, 0]
    for ax, (name, choice) in zip(panels, choices.items(), strict=True):
        groups = (("same half", choice.same, FLATTERED_COLOUR), ("other half", choice.other, HONEST_COLOUR))
        for number, (half, values, colour) in enumerate(groups):
            ax.hist(values, bins=bins, color=colour, alpha=0.2)
            ax.hist(values, bins=bins, color=colour, histtype="step", linewidth=2, label=half)
            mean = float(values.mean())
            ax.axvline(mean, color=colour, linestyle=dashes(number), label=f"its mean, {mean:.3f}")
        verdict = f"{abs(choice.optimism):.3f} too {'good' if choice.optimism >= 0 else 'bad'}"
        if abs(choice.optimism) < 0.0005:
            verdict = "no optimism"
        ax.set_title(f"{name}: {choice.same.mean():.3f}, then {choice.other.mean():.3f} ({verdict})")
        ax.set_ylabel("halves")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        ax.legend(loc="upper left")
    panels[-1].set_xlabel(metric)
    return figure


@in_our_style
def two_scales(data: AnomalyFolder, evaluation: Evaluation, indices: Sequence[int]) -> Picture:
    """The same images with each map stretched to its own range, and with all maps on one scale.

    Args:
        data: the test set.
        evaluation: of it.
        indices: which of the N test images, one a row.

    Raises:
        ValueError: no image.
    """
    if not len(indices):
        raise ValueError("two_scales needs at least one index of a test image")
    stretched, fixed = per_image_scale(evaluation.anomaly_map), shared_scale(verdict_threshold(evaluation))
    hot = [
        100 * float((maps[evaluation.labels == 0] > middle).mean())
        for maps, middle in ((stretched, 0.5), (evaluation.anomaly_map, fixed[1] / THRESHOLDS_SHOWN))
    ]  # share of the pixels of good images above the middle colour
    figure, axes = new_grid(len(indices), 3, 9.6, 3.2 * len(indices) + 0.7)
    for row, index in zip(axes, indices, strict=True):
        image = read_image(data.test[index].path, max(256, evaluation.anomaly_map.shape[-1]))  # (S, S, 3)
        row[0].imshow(image if evaluation.masks is None else outline(image, evaluation.masks[index]))
        row[1].imshow(overlay(image, stretched[index], (0.0, 1.0)))
        row[2].imshow(overlay(image, evaluation.anomaly_map[index], fixed))
        row[0].set_xlabel(data.test[index].kind, fontsize=12)
        multiple = evaluation.score[index] / verdict_threshold(evaluation)
        row[1].set_xlabel("hottest pixel: 1, always", fontsize=12)
        row[2].set_xlabel(f"hottest pixel: {multiple:.2f} {TIMES} threshold", fontsize=12)
    frameless(*axes.flat)
    head_row(axes[0], ("image", "scale of its own", "one fixed scale"))
    finding = f"Good images: {hot[0]:.0f} % of the pixels look hot on scales of their own, {hot[1]:.1f} % on one scale"
    figure.suptitle(finding, **HEADLINE)
    return figure
