"""Pictures of lesson 03: the network, and the distances of its scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

from mrkd_edu.figures.axes import HEADLINE, frameless, grouped, head_row, new_chart, new_grid
from mrkd_edu.figures.heat import HEAT, outline, overlay, shared_scale, threshold_colours, threshold_line
from mrkd_edu.figures.style import SPACE, TIMES, Picture, colour_of, in_our_style
from mrkd_edu.lessons.the_teacher import length_share, say_of_heaviest
from mrkd_edu.model import MRKD


@in_our_style
def network_diagram(model: MRKD) -> Picture:
    """Teacher, bottleneck and decoder as boxes, with the shapes that they have in this model.

    Args:
        model: any variant; the picture shows teacher and student.

    Returns:
        Two rows: the teacher's maps from left to right, the student's from right to left, the bottleneck between
        their deep ends. A box is the higher, the larger its map.
    """
    size = model.settings.size
    with torch.no_grad():
        teacher = model.teacher(torch.zeros(1, 3, size, size, device=model.device))
        bottleneck = model.student.bottleneck
        fused = torch.cat([path(t) for path, t in zip(bottleneck.mff, teacher, strict=True)], 1)
        embedding = bottleneck.oce(fused)
    given = sum(t.numel() for t in teacher)
    scales = len(teacher)
    figure, ax = new_chart(11, 6)
    ax.set(xlim=(-0.75, scales + 3.15), ylim=(-1.35, 1.55))
    ax.axis("off")
    teacher_colour, student_colour = "#999999", colour_of("rd")
    _box(ax, 0, 0.75, 0.62, "image I", (3, size, size), "#56B4E9")
    for k, t in enumerate(teacher):
        height = 0.62 - 0.1 * k
        _box(ax, k + 1, 0.75, height, f"$T_{k + 1}$", t.shape[1:], teacher_colour)
        _box(ax, k + 1, -0.75, height, f"$S_{k + 1}$", t.shape[1:], student_colour)
        _arrow(ax, (k + 0.36, 0.75), (k + 0.64, 0.75))
        ax.plot([k + 1, k + 1], [0.75 - height / 2 - 0.24, -0.75 + height / 2], ":", color="black", linewidth=2)
        ax.text(k + 1.05, -0.17, f"distance\nat stride {model.settings.strides[k]}", fontsize=11, va="center")
        ax.plot([k + 1, k + 1], [0.75 + height / 2, 1.25], color="black", linewidth=1.5)
        if k:
            _arrow(ax, (k + 0.64, -0.75), (k + 0.36, -0.75))
    right = scales + 1.15
    ax.plot([1, right], [1.25, 1.25], color="black", linewidth=1.5)
    deepest = 0.62 - 0.1 * (scales - 1)  # MFF brings all scales to the size of the last one
    narrow = deepest - 0.1 * (embedding.shape[-1] < fused.shape[-1])
    _arrow(ax, (right, 1.25), (right, 0.76 + deepest / 2))
    _box(ax, right, 0.75, deepest, "MFF", fused.shape[1:], "#F0E442")
    _arrow(ax, (right, 0.2), (right, -0.55))
    _box(ax, right, -0.75, narrow, "OCE", embedding.shape[1:], "#F0E442")
    _arrow(ax, (right - 0.36, -0.75), (scales + 0.36, -0.75))
    notes = ((0.75, "bottleneck:\nall scales brought\nto the smallest"), (-0.75, "the narrow place"))
    for y, text in notes:
        ax.text(right + 0.45, y, text, fontsize=11, va="center")
    ax.text(-0.36, 1.36, "teacher, frozen: from fine to coarse", fontsize=12, fontweight="bold")
    decoder = "student's\ndecoder, learns:\nfrom coarse\nto fine"
    ax.text(-0.7, -0.75, decoder, fontsize=12, fontweight="bold", va="center")
    ax.set_title(
        f"The teacher gives {grouped(given)} numbers, {grouped(embedding.numel())} pass the narrow place: "
        f"one for every {given / embedding.numel():.0f}"
    )
    return figure


@in_our_style
def scale_maps(
    images: Sequence[np.ndarray],
    shares: Sequence[np.ndarray],
    totals: np.ndarray,
    threshold: float,
    strides: Sequence[int],
    *,
    masks: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> Picture:
    """How an anomaly map comes about: what each scale adds to it, and the smoothed sum. One image a row.

    Args:
        images: uint8 (H, W, 3) each.
        shares: what a scale adds, weights included, (N, h_k, w_k) each.
        totals: the anomaly maps, (N, S, S).
        threshold: of the verdict.
        strides: of the scales.
        masks: true defects, bool (N, S, S), drawn as outlines.
        names: of the rows.

    Raises:
        ValueError: not as many rows of images as of maps.
    """
    if not len(images) == len(totals):
        raise ValueError(f"{len(images)} images, but {len(totals)} anomaly maps")
    columns = len(strides) + 2
    figure, axes = new_grid(len(images), columns, 2.05 * columns + 0.4, 2.15 * len(images) + 1.3)
    top = max(float(s.max()) for s in shares) / threshold
    for i, (row, image) in enumerate(zip(axes, images, strict=True)):
        row[0].imshow(image if masks is None else outline(image, masks[i]))
        row[0].set_ylabel(names[i] if names else "")
        for ax, share in zip(row[1:-1], shares, strict=True):
            ax.imshow(share[i] / threshold, cmap=HEAT, vmin=0, vmax=top, interpolation="nearest")
        row[-1].imshow(overlay(image, totals[i], shared_scale(threshold)))
        threshold_line(row[-1], totals[i] / threshold)
        row[-1].set_xlabel(f"score {totals[i].max() / threshold:.2f} {TIMES} threshold", fontsize=11)
    frameless(*axes.flat)
    titles = ["image", *(f"stride {s}" for s in strides), "sum, smoothed"]
    head_row(axes[0], titles, loc="center", fontsize=12)
    added = ScalarMappable(Normalize(0, top), HEAT)
    bar = figure.colorbar(added, ax=axes[:, 1:-1], location="bottom", aspect=40, pad=0.03)
    bar.set_label("added by the scale / threshold")
    bar = figure.colorbar(
        threshold_colours(), ax=axes[:, -1], location="bottom", aspect=10, pad=0.03, extend="max", ticks=[0, 1, 2]
    )
    bar.set_label("map / threshold")
    loudest = Counter(int(np.argmax([s[i].max() for s in shares])) for i in range(len(images)))
    parts = [f"stride {strides[k]} in {n}" for k, n in sorted(loudest.items())]
    figure.suptitle(f"Of {len(images)} images, the highest value comes from " + ", ".join(parts), **HEADLINE)
    return figure


@in_our_style
def position_weights(image: np.ndarray, maps: Sequence[Tensor], strides: Sequence[int]) -> Picture:
    """How much each position counts in the flattened cosine (`length_share`), against an equal count. One image.

    Args:
        image: uint8 (H, W, 3).
        maps: the teacher's, one (C_k, h_k, w_k) a scale.
        strides: of the scales.

    Example:
        >>> picture = position_weights(np.zeros((32, 32, 3), np.uint8), [torch.ones(4, 10, 10)], (4,))
        >>> picture.get_suptitle().replace(SPACE, " ")
        'The heaviest tenth of the positions has 10 % of the say'
    """
    shares = [length_share(m) for m in maps]
    heavy = [100 * say_of_heaviest(s) for s in shares]
    figure, [axes] = new_grid(1, len(maps) + 1, 2.3 * (len(maps) + 1) + 1, 3.1)
    axes[0].imshow(image)
    axes[0].set_title("image", loc="center", fontsize=12)
    colours = matplotlib.colormaps["cividis"]
    together = np.concatenate([(s * s.size).ravel() for s in shares])
    top = max(2.0, float(np.quantile(together, 0.995)))  # a single position may be far above all others
    for ax, share, stride in zip(axes[1:], shares, strides, strict=True):
        ax.imshow(share * share.size, cmap=colours, vmin=0, vmax=top, interpolation="nearest")
        ax.set_title(f"stride {stride}", loc="center", fontsize=12)
    frameless(*axes)
    bar = figure.colorbar(ScalarMappable(Normalize(0, top), colours), ax=axes, aspect=12, pad=0.02, extend="max")
    bar.set_label("weight\n(1: as all others)")
    low, high = f"{min(heavy):.0f}", f"{max(heavy):.0f}"
    span = low if low == high else f"{low} to {high}"
    figure.suptitle(f"The heaviest tenth of the positions has {span}{SPACE}% of the say", **HEADLINE)
    return figure


def _box(ax: Axes, x: float, y: float, height: float, name: str, shape: Sequence[int], colour: str) -> None:
    corner = (x - 0.32, y - height / 2)
    ax.add_patch(
        FancyBboxPatch(corner, 0.64, height, boxstyle="round,pad=0.02", facecolor=colour, edgecolor="black", alpha=0.75)
    )
    ax.text(x, y, name, ha="center", va="center", fontsize=13)
    channels, rows, columns = shape
    ax.text(x, y - height / 2 - 0.05, f"{channels}\n{rows}{TIMES}{columns}", ha="center", va="top", fontsize=11)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 1.5})
