"""What detectors found: pictures of one evaluation, or of several on the same test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn
from matplotlib.ticker import MaxNLocator, PercentFormatter, ScalarFormatter
from sklearn.metrics import roc_curve

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import read_image
from mrkd_edu.figures.axes import bars_beside, frameless, new_chart, new_grid, set_title, share_axes
from mrkd_edu.figures.heat import outline, overlay, shared_scale, threshold_bar
from mrkd_edu.figures.style import NORMAL_COLOUR, SPACE, TIMES, Picture, colour_of, dashes, in_our_style
from mrkd_edu.judging.confusion import Confusion, confusion
from mrkd_edu.metrics import pro_curve
from mrkd_edu.study.evaluate import Evaluation

Evaluations = Evaluation | Sequence[Evaluation]


def verdict_threshold(evaluation: Evaluation) -> float:
    """The score that has the middle colour in this model's maps: the threshold of its verdict.

    Where the model has none, the highest score of a normal test image stands in; without normal images, the
    highest score of all.

    Args:
        evaluation: of the model.

    Returns:
        A positive number.
    """
    normal = evaluation.score[evaluation.labels == 0]
    candidates = [evaluation.threshold, *(float(s.max()) for s in (normal, evaluation.score) if len(s))]
    return next((score for score in candidates if score is not None and score > 0), 1.0)


def outcome(evaluation: Evaluation, index: int) -> str:
    """What the model's verdict on a test image came to, in a word or two.

    Returns:
        `"found"` or `"missed"` for a defective image, `"passed"` or `"false alarm"` for a normal one, and
        `"no verdict"` when the model has no threshold.
    """
    if evaluation.threshold is None:
        return "no verdict"
    called_defective = evaluation.defective[index]
    if evaluation.samples[index].label:
        return "found" if called_defective else "missed"
    return "false alarm" if called_defective else "passed"


def outcomes(evaluation: Evaluation) -> Confusion | None:
    """How many test images have which `outcome`; None when the model has no threshold."""
    if evaluation.threshold is None:
        return None
    return confusion(evaluation.score, evaluation.labels, evaluation.threshold)


@in_our_style
def examples(data: AnomalyFolder, size: int = 256) -> Picture:
    """The first test image of each kind, with the outline of the true defect where it is known.

    Args:
        data: with test images.
        size: side of the pictures, pixels.

    Raises:
        ValueError: the data has no test images.
    """
    if not data.test:
        raise ValueError(f"{data.root} has no test images to show")
    first = {sample.kind: i for i, sample in reversed(list(enumerate(data.test)))}
    masks = data.test_masks(size) if data.has_masks else None
    kinds = sorted(first, key=lambda kind: (kind != "good", kind))
    columns = min(6, len(kinds))
    rows = -(-len(kinds) // columns)
    figure, axes = new_grid(rows, columns, 2.3 * columns, 2.7 * rows)
    for ax in axes.flat:
        ax.axis("off")
    for ax, kind in zip(axes.flat, kinds, strict=False):  # the last row may have places left
        image = read_image(data.test[first[kind]].path, size)  # (S, S, 3)
        ax.imshow(image if masks is None or kind == "good" else outline(image, masks[first[kind]]))
        ax.set_title(kind)
    return figure


@in_our_style
def comparison(evaluations: Evaluations, indices: Sequence[int]) -> Picture:
    """Chosen test images, one a row: the photograph with its true defect, then the map of each variant.

    Below each map stand the image's score in thresholds and the verdict. All maps share one colour scale, see
    `heat.shared_scale`.

    Args:
        evaluations: one, or several of the same test set.
        indices: which of the N test images.

    Raises:
        ValueError: no image, or evaluations of different test sets.
        data.images.DataError: an image that is no longer there.
    """
    evaluations = comparable(evaluations)
    if len(indices) == 0:
        raise ValueError("comparison needs at least one index of a test image")
    rows, columns = len(indices), 1 + len(evaluations)
    figure, axes = new_grid(rows, columns, 2.7 * columns + 1.1, 3.25 * rows + 0.5)
    frameless(*axes.flat)
    masks = evaluations[0].masks
    for row, index in zip(axes, indices, strict=True):
        sample = evaluations[0].samples[index]
        image = read_image(sample.path, max(256, evaluations[0].anomaly_map.shape[-1]))  # (S, S, 3)
        row[0].imshow(image if masks is None else outline(image, masks[index]))
        row[0].set_xlabel(sample.kind, fontsize=12)
        for ax, evaluation in zip(row[1:], evaluations, strict=True):
            threshold = verdict_threshold(evaluation)
            ax.imshow(overlay(image, evaluation.anomaly_map[index], shared_scale(threshold)))
            multiple = evaluation.score[index] / threshold
            ax.set_xlabel(f"{multiple:.2f} {TIMES} threshold:\n{outcome(evaluation, index)}", fontsize=12)
    axes[0, 0].set_title("image" if masks is None else "image and true defect")
    for ax, evaluation in zip(axes[0, 1:], evaluations, strict=True):
        ax.set_title(evaluation.variant, color=colour_of(evaluation.variant))
    threshold_bar(figure, axes, aspect=14 * rows, pad=0.02)
    return figure


@in_our_style
def score_histogram(evaluations: Evaluations) -> Picture:
    """How the scores of normal and of defective images lie about the threshold; one panel a variant.

    Args:
        evaluations: one, or several of the same test set. Scores are in thresholds, so that panels compare.
    """
    evaluations = comparable(evaluations)
    relative = [e.score / verdict_threshold(e) for e in evaluations]
    together = np.concatenate([[1.0], *relative])
    step = (together.max() - together.min() + 0.04) / 40
    first, last = np.floor((together.min() - 1) / step), np.ceil((together.max() - 1) / step)
    bins = 1 + step * np.arange(first - 1, last + 2)  # an edge at the threshold: no bar reaches across it
    figure, axes = new_grid(len(evaluations), 1, 6.4, 0.7 + 2.3 * len(evaluations), sharex=True)
    for ax, evaluation, scores in zip(axes.flat, evaluations, relative, strict=True):
        labels = evaluation.labels
        groups = (("normal", 0, NORMAL_COLOUR), ("defective", 1, colour_of(evaluation.variant)))
        for name, label, colour in groups:
            if (labels == label).any():
                group = scores[labels == label]
                look = {"color": colour, "alpha": 0.65, "linewidth": 0.5}
                seaborn.histplot(x=group, bins=bins, label=name, ax=ax, **look)
        ax.axvline(1, color="black", linewidth=2, linestyle="--", label="threshold")
        ax.set(xlabel="", ylabel="images")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        ax.set_ylim(0, 1.35 * ax.get_ylim()[1])  # room for the legend
        ax.legend(loc="upper center", ncols=3)
        set_title(ax, _counted(evaluation))
    axes[-1, 0].set_xlabel("image score / threshold")
    return figure


@in_our_style
def roc_curves(evaluations: Evaluations) -> Picture:
    """Share of defective images found against share of normal images called defective, for every threshold.

    The dot on a curve is the model's own threshold, chosen without a look at the test set.

    Args:
        evaluations: one, or several of the same test set.

    Raises:
        ValueError: the test set lacks normal or defective images.
    """
    evaluations = comparable(evaluations)
    labels = evaluations[0].labels
    if not 0 < labels.sum() < len(labels):
        raise ValueError("ROC curves need normal and defective test images; this test set has one kind only")
    figure, ax = new_chart()
    for i, evaluation in enumerate(evaluations):
        colour = colour_of(evaluation.variant)
        fpr, tpr, _ = roc_curve(labels, evaluation.score)
        ax.plot(fpr, tpr, color=colour, linestyle=dashes(i), label=_with_value(evaluation, "image_auroc"))
        if evaluation.threshold is not None:
            called = evaluation.defective
            at = called[labels == 0].mean(), called[labels == 1].mean()
            ax.plot(*at, "o", color=colour, markeredgecolor="white", markersize=11, clip_on=False, zorder=5)
    ax.plot([0, 1], [0, 1], color="#777777", linewidth=1.2, linestyle=":", label="chance")
    share_axes(ax, "normal images called defective (false alarms)", "defective images found", 1.0)
    set_title(ax, _finding(evaluations, "image_auroc", "image AUROC"))
    return figure


@in_our_style
def pro_curves(evaluations: Evaluations) -> Picture:
    """Share of a defect's area found against share of normal pixels called defective, up to 30 %.

    The area under the curve, divided by 0.3, is AUPRO; see `metrics.pro_curve`.

    Args:
        evaluations: one, or several of the same test set.

    Raises:
        ValueError: there are no masks.
    """
    evaluations = comparable(evaluations)
    figure, ax = new_chart()
    # The curve has two points per defect pixel. These are enough for the eye, dense where it is steep.
    grid = 0.3 * np.linspace(0, 1, 500) ** 2
    for i, evaluation in enumerate(evaluations):
        if evaluation.masks is None:
            raise ValueError("PRO curves need ground-truth masks; this data set has none")
        curve = pro_curve(evaluation.anomaly_map, evaluation.masks)
        found = np.interp(grid, curve.fpr, curve.pro)
        label = _with_value(evaluation, "aupro")
        ax.plot([0, *grid], [0, *found], color=colour_of(evaluation.variant), linestyle=dashes(i), label=label)
    share_axes(ax, "normal pixels called defective", "area of a defect found, mean over defects", 0.3)
    set_title(ax, _finding(evaluations, "aupro", "AUPRO"))
    return figure


@in_our_style
def leakage_bars(evaluations: Evaluations) -> Picture:
    """How much of a defect the student lets through, at each scale and on average.

    Args:
        evaluations: one, or several of the same test set; those without leakage are left out.

    Raises:
        ValueError: none of them has leakage.
    """
    shown = [(e, e.leakage) for e in comparable(evaluations) if e.leakage is not None]
    if not shown:
        raise ValueError("no evaluation has leakage: it needs twins, or normal test images")
    scales_shown = max(len(scales) for _, scales in shown)
    ends = {1: "fine", scales_shown: "coarse"} if scales_shown > 1 else {}
    ticks = [f"scale {k}\n{ends.get(k, '')}" for k in range(1, scales_shown + 1)] + ["mean"]
    figure, ax = new_chart()
    for i, (evaluation, scales) in enumerate(shown):
        alone = scales if len(scales) == scales_shown else [np.nan] * scales_shown  # other scales: only the mean
        heights = [*alone, float(np.mean(scales))]
        numbers = ["" if np.isnan(h) else str(round(100 * h)) for h in heights]
        numbers = numbers if len(shown) <= 3 else []  # more would run into each other
        bars_beside(ax, (i, len(shown)), heights, numbers, evaluation.variant, colour_of(evaluation.variant))
    highest = max(max(scales) for _, scales in shown)
    top = 1.15 if highest > 0.4 else max(0.1, 1.25 * highest)  # small leakages are shown large, and the axis says so
    marks = [(0, "restores\nthe normal\nimage", "-"), (1, "copies\nthe defect", "--")]
    for height, meaning, line in marks[: 2 if top > 1 else 1]:
        ax.axhline(height, color="black", linewidth=1.5, linestyle=line)
        ax.text(1.02, height, meaning, transform=ax.get_yaxis_transform(), va="center", fontsize=11)
    if top < 1:
        ax.text(1.02, 0.97, "(100 % copies\nthe defect)", transform=ax.transAxes, va="top", fontsize=11)
    ax.set_ylim(1.15 * min(0.0, *(min(scales) for _, scales in shown)), max(top, 1.1 * highest))
    ax.set_xticks(range(len(ticks)), ticks)
    ax.set_ylabel("leakage")
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=len(shown))
    ordered = sorted(shown, key=lambda pair: abs(float(np.mean(pair[1]))))
    first, *others = [(e.variant, f"{100 * float(np.mean(scales)):.0f}{SPACE}%") for e, scales in ordered]
    rest = "".join(f", {variant} {share}" for variant, share in others)
    set_title(ax, f"{first[0]} lets {first[1]} of the defect through{rest}")
    return figure


@in_our_style
def loss_curves(losses: Mapping[str, Sequence[float]]) -> Picture:
    """The loss of each step, and its running median.

    Losses of different variants are losses of different tasks: to restore is harder than to copy. They tell
    whether a training has settled, not which variant finds more.

    Args:
        losses: variant to the loss of every step, for instance `{"rd": history.loss}`.

    Raises:
        ValueError: there is no loss to draw.

    Example:
        >>> figure = loss_curves({"rd": [0.9, 0.5, 0.3], "mrkd": [1.1, 0.8, 0.6]})
        >>> figure.axes[0].get_title(loc="left")
        'Loss at the end: rd 0.300, mrkd 0.600'
    """
    drawn = {variant: np.asarray(loss, dtype=np.float64) for variant, loss in losses.items() if len(loss)}
    if not drawn:
        raise ValueError("there is no loss to draw: every history is empty")
    figure, ax = new_chart()
    ends = []
    for i, (variant, loss) in enumerate(drawn.items()):
        steps = np.arange(1, len(loss) + 1)
        window = max(1, len(loss) // 20)
        smooth = np.array([np.median(loss[max(0, k - window) : k]) for k in steps])
        ax.plot(steps, loss, color=colour_of(variant), linewidth=0.8, alpha=0.35)
        ax.plot(steps, smooth, color=colour_of(variant), linestyle=dashes(i), label=variant)
        ends.append(f"{variant} {smooth[-1]:.3f}")
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(ScalarFormatter())  # 2, not 2 x 10^0
    ax.yaxis.set_minor_formatter(ScalarFormatter())
    ax.set(xlabel="training step", ylabel="distillation loss, sum over scales")
    set_title(ax, "Loss at the end: " + ", ".join(ends))
    ax.legend(loc="upper right")
    return figure


def comparable(evaluations: Evaluations) -> list[Evaluation]:
    """One evaluation or several, as a list, if they are of the same test images.

    Raises:
        ValueError: there is none, or their test images differ.
    """
    listed = [evaluations] if isinstance(evaluations, Evaluation) else list(evaluations)
    if not listed:
        raise ValueError("there is no evaluation to show")
    paths = [sample.path for sample in listed[0].samples]
    for other in listed[1:]:
        if [sample.path for sample in other.samples] != paths:
            raise ValueError(
                f"{listed[0].variant} on {listed[0].category} and {other.variant} on {other.category} were "
                "evaluated on different test images; compare results of one test set"
            )
    return listed


def _with_value(evaluation: Evaluation, metric: str) -> str:
    value = evaluation.metrics.get(metric)
    return evaluation.variant if value is None else f"{evaluation.variant}  {value:.3f}"


def _counted(evaluation: Evaluation) -> str:
    """What the verdicts came to, as a title."""
    count = outcomes(evaluation)
    if count is None:
        stand_in = "score" if evaluation.labels.all() else "normal score"  # see verdict_threshold
        return f"{evaluation.variant}: no threshold; 1 = highest {stand_in}"
    parts = []
    if defective := count.found + count.missed:
        parts.append(f"finds {count.found} of {defective}")
    if count.passed + count.false_alarms:
        parts.append("1 false alarm" if count.false_alarms == 1 else f"{count.false_alarms} false alarms")
    return f"{evaluation.variant}: " + ", ".join(parts)


def _finding(evaluations: Sequence[Evaluation], metric: str, name: str) -> str:
    """Which variant is best and which last in a metric of which more is better, as a title."""
    known = [(e.variant, e.metrics.get(metric)) for e in evaluations]
    values = sorted(((round(v, 3), variant) for variant, v in known if v is not None), key=lambda p: -p[0])
    if not values:
        return f"{name}: not measured"
    best, worst = values[0], values[-1]
    if len(values) == 1:
        return f"{best[1]}: {name} {best[0]:.3f}"
    if best[0] == worst[0]:
        return f"No difference: all have {name} {best[0]:.3f}"
    winners = " and ".join(variant for value, variant in values if value == best[0])
    return f"{winners} best ({name} {best[0]:.3f}), {worst[1]} last ({worst[0]:.3f})"
