r"""What a teacher sees, and how a student rebuilds it: pictures of feature maps, of a network, of its distances.

The first half is arithmetic on feature maps and returns arrays and numbers: `pca_colours`, `similarity`,
`length_share`, `say_of_heaviest`, `channel_shares`, `constant_share`. The second half draws. The rules are those of
`plots.py`: results in, a new picture out; one colour scale across a comparison; titles that say the finding.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import cv2
import matplotlib
import numpy as np
import seaborn
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from mrkd_edu.figures.results import (
    HEAT,
    SPACE,
    TIMES,
    Picture,
    colour_of,
    frameless,
    in_our_style,
    outline,
    overlay,
    shared_scale,
    threshold_colours,
)
from mrkd_edu.model import MRKD

TAIL = 0.01  # share of positions at either end that may be clipped when principal components become colours
RAW_COLOUR, STANDARDISED_COLOUR = "#999999", "#0072B2"
MARK = "#00FFFF"  # of a chosen position: the heat colours have no cyan

# ---- arithmetic on feature maps ----------------------------------------------------------------------------


def pca_colours(maps: Tensor) -> np.ndarray:
    """Features as colours: the three directions in which they vary most become red, green and blue.

    Components and range of colours are fitted over everything that is handed in, so that within one call equal
    colours mean similar features, across images too.

    Args:
        maps: of one scale, (C, h, w) or (N, C, h, w), at least 3 channels.

    Returns:
        uint8 (h, w, 3) or (N, h, w, 3).

    Raises:
        ValueError: fewer than 3 channels, or another shape.

    Example:
        >>> pca_colours(torch.randn(2, 8, 6, 6)).shape, pca_colours(torch.randn(8, 6, 6)).shape
        ((2, 6, 6, 3), (6, 6, 3))
    """
    return pca_colouring(maps)(maps)


def pca_colouring(maps: Tensor) -> Callable[[Tensor], np.ndarray]:
    """Fit `pca_colours` on some maps, to colour others of their scale alike.

    Args:
        maps: as there.

    Returns:
        Maps to colours, as there; equal colours mean similar features in all that it is given.

    Raises:
        ValueError: as there.

    Example:
        >>> maps = torch.randn(2, 8, 6, 6)
        >>> colours_of = pca_colouring(maps)
        >>> bool((colours_of(maps[1]) == pca_colours(maps)[1]).all())
        True
    """
    vectors = _vectors(maps)
    if vectors.shape[1] < 3:
        raise ValueError(f"three colours need at least 3 channels; got {vectors.shape[1]}")
    mean = vectors.mean(0)
    centred = vectors - mean  # (P, C)
    values, directions = torch.linalg.eigh(centred.T @ centred)  # ascending
    directions = directions[:, values.argsort(descending=True)[:3]]  # (C, 3)
    # The sign of a direction is arbitrary: make its largest entry positive, so that a second call agrees.
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))  # (1, 3)
    directions = directions * largest.sign()
    low, high = np.quantile((centred @ directions).numpy(), (TAIL, 1 - TAIL), axis=0)

    def colours_of(maps: Tensor) -> np.ndarray:
        scores = ((_vectors(maps) - mean) @ directions).numpy()  # (P, 3)
        colours = np.rint(255 * np.clip((scores - low) / (high - low + 1e-12), 0, 1)).astype(np.uint8)
        return colours.reshape(*maps.shape[:-3], *maps.shape[-2:], 3)

    return colours_of


def pca_share(maps: Tensor, components: int = 3) -> float:
    """Share of the features' variance that lies in the directions shown by `pca_colours`.

    Args:
        maps: as there.
        components: how many directions.

    Example:
        >>> round(pca_share(torch.randn(3, 16, 16)), 3)
        1.0
    """
    vectors = _vectors(maps)
    values = torch.linalg.eigvalsh((vectors - vectors.mean(0)).T @ (vectors - vectors.mean(0)))  # ascending
    return float(values[-components:].sum() / values.sum())


def similarity(feature_map: Tensor, row: int, col: int) -> np.ndarray:
    """Cosine of the feature at one position with the features at all positions.

    Args:
        feature_map: of one image and scale, (C, h, w).
        row, col: the position, in cells of the map.

    Returns:
        float32 (h, w), in [-1, 1]; 1 at the position itself.

    Raises:
        ValueError: another shape, or a position outside the map.

    Example:
        >>> s = similarity(torch.randn(8, 4, 6), row=1, col=5)
        >>> s.shape, round(float(s[1, 5]), 3)
        ((4, 6), 1.0)
    """
    if feature_map.ndim != 3:
        raise ValueError(f"similarity takes one map (C, h, w); got {tuple(feature_map.shape)}")
    height, width = feature_map.shape[1:]
    if not (0 <= row < height and 0 <= col < width):
        raise ValueError(f"position ({row}, {col}) lies outside a map of {height} x {width} cells")
    unit = F.normalize(feature_map.detach().float().cpu(), dim=0)  # (C, h, w)
    return torch.einsum("c,chw->hw", unit[:, row, col], unit).numpy()


def length_share(maps: Tensor) -> np.ndarray:
    r"""How much of a map's squared length lies at each position: its say in the flattened cosine.

    Args:
        maps: (C, h, w) or (N, C, h, w).

    Returns:
        float (h, w) or (N, h, w): :math:`\lVert t_p \rVert^2 / \sum_q \lVert t_q \rVert^2`, which sums to 1 over
        the positions of an image.

    Example:
        >>> length_share(torch.tensor([[[1.0, 3.0]]])).tolist()
        [[0.1..., 0.8...]]
    """
    squared = maps.detach().float().cpu().square().sum(-3)  # (..., h, w)
    return (squared / squared.sum((-2, -1), keepdim=True)).numpy()


def say_of_heaviest(shares: np.ndarray, part: float = 0.1) -> float:
    """What the heaviest positions of a map have together.

    Args:
        shares: of the positions, sum 1, as `length_share` gives them for one image.
        part: how many positions count as heavy, as a share of all; in between two numbers it is interpolated.

    Example:
        >>> round(say_of_heaviest(np.array([0.7, 0.1, 0.1, 0.1]), part=0.5), 3)
        0.8
    """
    together = np.concatenate([[0.0], np.cumsum(np.sort(shares.ravel())[::-1])])  # of the n heaviest, n = 0, 1, ...
    return float(np.interp(part * shares.size, np.arange(len(together)), together))


def channel_shares(maps: Tensor) -> np.ndarray:
    """How much of all squared length lies in each channel, the largest first.

    Args:
        maps: (C, h, w) or (N, C, h, w).

    Returns:
        float (C,), descending, sum 1. With equal channels each has 1 / C.

    Example:
        >>> channel_shares(torch.tensor([1.0, 2.0]).view(2, 1, 1)).tolist()
        [0.8..., 0.2...]
    """
    squared = _vectors(maps).square().sum(0)  # (C,)
    return (squared / squared.sum()).sort(descending=True).values.numpy()


def constant_share(maps: Tensor) -> float:
    """Share of all squared length that is the same at every position: that of the mean feature.

    Args:
        maps: (C, h, w) or (N, C, h, w).

    Example:
        >>> constant_share(torch.ones(4, 8, 8)), constant_share(torch.tensor([[[1.0, -1.0]]]))
        (1.0, 0.0)
    """
    vectors = _vectors(maps)
    return float(vectors.mean(0).square().sum() / vectors.square().sum(1).mean())


def _vectors(maps: Tensor) -> Tensor:
    """Maps (C, h, w) or (N, C, h, w) to one feature a row, (P, C)."""
    if maps.ndim not in (3, 4):
        raise ValueError(f"maps must be (C, h, w) or (N, C, h, w); got {tuple(maps.shape)}")
    return maps.detach().float().cpu().movedim(-3, -1).reshape(-1, maps.shape[-3])


# ---- what the teacher sees ---------------------------------------------------------------------------------


@in_our_style
def channel_grid(image: np.ndarray, maps: Sequence[Tensor], strides: Sequence[int], *, number: int = 6) -> Picture:
    """Some channels of each scale as grey pictures, one scale a row; the image stands before the first.

    The channels shown are those whose values vary most over this image. Each is stretched to its own range: they
    have no common unit, and only the pattern is to be seen.

    Args:
        image: uint8 (H, W, 3).
        maps: of this image, one (C_k, h_k, w_k) a scale.
        strides: of the scales.
        number: channels a scale.

    Example:
        >>> picture = channel_grid(np.zeros((32, 32, 3), np.uint8), [torch.randn(8, 8, 8)], (4,), number=2)
        >>> len(picture.axes)
        3
    """
    figure = Picture(figsize=(1.55 * (number + 1) + 0.5, 1.72 * len(maps) + 0.5), layout="constrained")
    axes = figure.subplots(len(maps), number + 1, squeeze=False)
    for row, stride, feature_map in zip(axes, strides, maps, strict=True):
        values = feature_map.detach().float().cpu().numpy()  # (C, h, w)
        chosen = np.argsort(-values.std((1, 2)), kind="stable")[:number]
        for ax in row:
            frameless(ax)
        row[1].set_ylabel(f"stride {stride}")
        for ax, channel in zip(row[1:], chosen, strict=True):
            ax.imshow(values[channel], cmap="gray", interpolation="nearest")
            ax.set_title(f"channel {channel}", loc="center", fontsize=11, fontweight="normal", pad=4)
    axes[0, 0].imshow(image)
    axes[0, 0].set_title("image", loc="center", fontsize=11, fontweight="normal", pad=4)
    numbers = [int(np.prod(m.shape)) for m in maps]
    sides = f"{maps[0].shape[-1]} cells a side become {maps[-1].shape[-1]}"
    figure.suptitle(
        f"{sides}, {maps[0].shape[0]} channels become {maps[-1].shape[0]}: "
        f"{_grouped(numbers[0])} numbers become {_grouped(numbers[-1])}",
        **_HEADLINE,
    )
    return figure


@in_our_style
def pca_grid(
    images: np.ndarray, maps: Sequence[Tensor], strides: Sequence[int], *, names: Sequence[str] | None = None
) -> Picture:
    """Features as colours (`pca_colours`), one scale a row, one image a column; colours are shared along a row.

    Args:
        images: uint8 (N, H, W, 3).
        maps: of these images, one (N, C_k, h_k, w_k) a scale.
        strides: of the scales.
        names: of the images.

    Example:
        >>> picture = pca_grid(np.zeros((2, 32, 32, 3), np.uint8), [torch.randn(2, 8, 8, 8)], (4,))
        >>> len(picture.axes)
        4
    """
    figure = Picture(figsize=(1.9 * len(images) + 0.6, 1.9 * (len(maps) + 1) + 0.6), layout="constrained")
    axes = figure.subplots(len(maps) + 1, len(images), squeeze=False)
    rows = [images, *(pca_colours(m) for m in maps)]
    for row, label, pictures in zip(axes, ["image", *(f"stride {s}" for s in strides)], rows, strict=True):
        for ax, picture in zip(row, pictures, strict=True):
            frameless(ax)
            ax.imshow(picture, interpolation="nearest")
        row[0].set_ylabel(label)
    for ax, name in zip(axes[0], names or [], strict=False):
        ax.set_title(name, loc="center", fontsize=12)
    shares = [100 * pca_share(m) for m in maps]
    figure.suptitle(
        f"Three directions hold {min(shares):.0f} to {max(shares):.0f}{SPACE}% of what varies", **_HEADLINE
    )
    return figure


@in_our_style
def similarity_grid(
    images: Sequence[np.ndarray],
    maps: Sequence[Sequence[Tensor]],
    strides: Sequence[int],
    at: tuple[float, float],
    *,
    names: Sequence[str],
    what: str = "cosine",
) -> Picture:
    """One position compared with all others (`similarity`), one image a row, one scale a column, one colour scale.

    Args:
        images: one uint8 (H, W, 3) a row.
        maps: for each image one (C_k, h_k, w_k) a scale.
        strides: of the scales.
        at: the position as shares of height and width, in [0, 1); it is marked.
        names: of the rows.
        what: kind of features, for the title.

    Example:
        >>> picture = similarity_grid(
        ...     [np.zeros((32, 32, 3), np.uint8)], [[torch.ones(8, 8, 8)]], (4,), (0.5, 0.5), names=["flat"]
        ... )
        >>> picture.get_suptitle()
        'Typical cosine with the marked position: 1.00 at stride 4'
    """
    figure = Picture(figsize=(2.05 * (len(strides) + 1) + 1.2, 2.1 * len(images) + 0.6), layout="constrained")
    axes = figure.subplots(len(images), len(strides) + 1, squeeze=False)
    typical = np.zeros((len(images), len(strides)))
    for i, (row, image, scales) in enumerate(zip(axes, images, maps, strict=True)):
        row[0].imshow(image)
        row[0].plot(at[1] * image.shape[1], at[0] * image.shape[0], "+", color=MARK, markersize=14, markeredgewidth=3)
        row[0].set_ylabel(names[i])
        for k, feature_map in enumerate(scales):
            cell = int(at[0] * feature_map.shape[1]), int(at[1] * feature_map.shape[2])
            values = similarity(feature_map, *cell)
            typical[i, k] = np.median(values)
            row[k + 1].imshow(values, cmap=HEAT, vmin=-1, vmax=1, interpolation="nearest")
            row[k + 1].plot(cell[1], cell[0], "+", color=MARK, markersize=12, markeredgewidth=2.5)
    for ax in axes.ravel():
        frameless(ax)
    for ax, title in zip(axes[0], ["image", *(f"stride {s}" for s in strides)], strict=True):
        ax.set_title(title, loc="center", fontsize=12)
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), HEAT), ax=axes, aspect=14 * len(images), pad=0.02)
    bar.set_label("cosine with the marked position")
    last = typical.mean(0)
    ends = [f"{last[k]:.2f} at stride {strides[k]}" for k in dict.fromkeys((0, len(strides) - 1))]
    figure.suptitle(f"Typical {what} with the marked position: " + ", ".join(ends), **_HEADLINE)
    return figure


@in_our_style
def share_bars(
    raw: Sequence[Tensor], standardised: Sequence[Tensor], strides: Sequence[int], *, top: int = 5
) -> Picture:
    """What a cosine is made of, before and after standardising: the constant part, and the largest channels.

    Args:
        raw, standardised: maps (N, C_k, h_k, w_k) of the same images, one a scale.
        strides: of the scales.
        top: how many channels the right panel counts; the black marks say what equal channels would have.

    Example:
        >>> maps = [torch.randn(2, 12, 8, 8) + 3]
        >>> picture = share_bars(maps, [maps[0] - 3], (4,))
        >>> len(picture.axes[0].patches)  # a bar for each kind of features
        2
    """
    figure = Picture(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    constant = [[constant_share(m) for m in maps] for maps in (raw, standardised)]
    largest = [[float(channel_shares(m)[:top].sum()) for m in maps] for maps in (raw, standardised)]
    for ax, groups in ((left, constant), (right, largest)):
        _paired_bars(ax, groups, strides)
    equal = [min(1.0, top / m.shape[1]) for m in raw]
    right.hlines(equal, np.arange(len(strides)) - 0.42, np.arange(len(strides)) + 0.42, color="black", label="if equal")
    left.set_ylabel("share of squared length")
    left.set_title(
        f"Constant part: up to {100 * max(constant[0]):.0f}{SPACE}% raw,\n"
        f"up to {100 * max(constant[1]):.0f}{SPACE}% standardised"
    )
    ratio = [[share / fair for share, fair in zip(shares, equal, strict=True)] for shares in largest]
    right.set_title(
        f"{top} largest channels: up to {max(ratio[0]):.1f} times\ntheir equal share, then {max(ratio[1]):.1f} times"
    )
    right.legend(loc="upper right")
    return figure


@in_our_style
def kinds_by_scale(
    values: Mapping[str, Sequence[float]], strides: Sequence[int], *, measure: str, low: float, high: float
) -> Picture:
    """A number for each kind of defect and each scale, as a heat map; the title says where the largest ones are.

    Args:
        values: kind to one number a scale.
        strides: of the scales.
        measure: what the numbers are.
        low, high: ends of the colour scale.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> picture = kinds_by_scale({"dent": [0.4, 0.2]}, (4, 8), measure="distance", low=0, high=1)
        >>> picture.axes[0].get_title(loc="left")
        'Largest at stride 4: dent'
    """
    if not values:
        raise ValueError("there is no kind of defect to draw")
    grid = np.array(list(values.values()), dtype=float)  # (kinds, K)
    figure = Picture(figsize=(7.2, 1.9 + 0.5 * len(grid)), layout="constrained")
    ax = figure.subplots()
    seaborn.heatmap(
        grid,
        ax=ax,
        vmin=low,
        vmax=high,
        cmap="cividis",
        annot=True,
        fmt=".2f",
        xticklabels=[str(s) for s in strides],
        yticklabels=list(values),
        cbar_kws={"label": measure},
    )
    ax.set_xlabel("stride of the scale, pixels")
    ax.tick_params(axis="y", rotation=0)
    ax.set_title(textwrap.fill("Largest at " + "; ".join(_largest(values, strides)), 58))
    return figure


# ---- the student -------------------------------------------------------------------------------------------


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
    figure = Picture(figsize=(11, 6), layout="constrained")
    ax = figure.subplots()
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
        f"The teacher gives {_grouped(given)} numbers, {_grouped(embedding.numel())} pass the narrow place: "
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
    figure = Picture(figsize=(2.05 * columns + 0.4, 2.15 * len(images) + 1.3), layout="constrained")
    axes = figure.subplots(len(images), columns, squeeze=False)
    top = max(float(s.max()) for s in shares) / threshold
    for i, (row, image) in enumerate(zip(axes, images, strict=True)):
        row[0].imshow(image if masks is None else outline(image, masks[i]))
        row[0].set_ylabel(names[i] if names else "")
        for ax, share in zip(row[1:-1], shares, strict=True):
            ax.imshow(share[i] / threshold, cmap=HEAT, vmin=0, vmax=top, interpolation="nearest")
        row[-1].imshow(overlay(image, totals[i], shared_scale(threshold)))
        row[-1].set_xlabel(f"score {totals[i].max() / threshold:.2f} {TIMES} threshold", fontsize=11)
    for ax in axes.ravel():
        frameless(ax)
    titles = ["image", *(f"stride {s}" for s in strides), "sum, smoothed"]
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, loc="center", fontsize=12)
    added = ScalarMappable(Normalize(0, top), HEAT)
    bar = figure.colorbar(added, ax=axes[:, 1:-1], location="bottom", aspect=40, pad=0.03)
    bar.set_label("added by the scale / threshold")
    bar = figure.colorbar(
        threshold_colours(), ax=axes[:, -1], location="bottom", aspect=10, pad=0.03, extend="max", ticks=[0, 1, 2]
    )
    bar.set_label("map / threshold")
    loudest = Counter(int(np.argmax([s[i].max() for s in shares])) for i in range(len(images)))
    parts = [f"stride {strides[k]} in {n}" for k, n in sorted(loudest.items())]
    figure.suptitle(f"Of {len(images)} images, the highest value comes from " + ", ".join(parts), **_HEADLINE)
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
    figure = Picture(figsize=(2.3 * (len(maps) + 1) + 1, 3.1), layout="constrained")
    axes = figure.subplots(1, len(maps) + 1)
    axes[0].imshow(image)
    axes[0].set_title("image", loc="center", fontsize=12)
    colours = matplotlib.colormaps["cividis"]
    together = np.concatenate([(s * s.size).ravel() for s in shares])
    top = max(2.0, float(np.quantile(together, 0.995)))  # a single position may be far above all others
    for ax, share, stride in zip(axes[1:], shares, strides, strict=True):
        ax.imshow(share * share.size, cmap=colours, vmin=0, vmax=top, interpolation="nearest")
        ax.set_title(f"stride {stride}", loc="center", fontsize=12)
    for ax in axes:
        frameless(ax)
    bar = figure.colorbar(ScalarMappable(Normalize(0, top), colours), ax=axes, aspect=12, pad=0.02, extend="max")
    bar.set_label("weight\n(1: as all others)")
    low, high = f"{min(heavy):.0f}", f"{max(heavy):.0f}"
    span = low if low == high else f"{low} to {high}"
    figure.suptitle(f"The heaviest tenth of the positions has {span}{SPACE}% of the say", **_HEADLINE)
    return figure


# ---- how it is done ----------------------------------------------------------------------------------------

_HEADLINE: dict = {"x": 0.01, "ha": "left"}


def pixels(image: Tensor) -> np.ndarray:
    """Tensor uint8 (3, H, W) or (N, 3, H, W) to an array as pictures are drawn from, (H, W, 3) or (N, H, W, 3)."""
    return np.ascontiguousarray(image.movedim(-3, -1).cpu().numpy())


def centre(mask: np.ndarray) -> tuple[float, float]:
    """The place deepest inside a mask (H, W), as shares of height and width: a position to look at.

    Raises:
        ValueError: the mask is empty.

    Example:
        >>> mask = np.zeros((10, 10), bool); mask[2:5, 6:9] = True
        >>> centre(mask)
        (0.35, 0.75)
    """
    if not mask.any():
        raise ValueError("an empty mask has no centre")
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, col = np.unravel_index(int(depth.argmax()), mask.shape)
    return (float(row) + 0.5) / mask.shape[0], (float(col) + 0.5) / mask.shape[1]


def _grouped(number: int) -> str:
    """12345 as 12 345."""
    return f"{number:,}".replace(",", SPACE)


def _largest(values: Mapping[str, Sequence[float]], strides: Sequence[int]) -> list[str]:
    """Which kinds have their largest number at which scale; a tie, to two digits, belongs to no scale."""
    found: dict[str, list[str]] = {}
    for name, row in values.items():
        shown = [round(v, 2) for v in row]
        places = [s for s, v in zip(strides, shown, strict=True) if v == max(shown)]
        tie = "all scales" if len(set(shown)) == 1 else "several scales"
        where = f"stride {places[0]}" if len(places) == 1 else tie
        found.setdefault(where, []).append(name.partition(" ")[0])
    order = [*(f"stride {s}" for s in strides), "several scales", "all scales"]
    return [f"{where}: {', '.join(found[where])}" for where in order if where in found]


def _paired_bars(ax: Axes, groups: Sequence[Sequence[float]], strides: Sequence[int]) -> None:
    places = np.arange(len(strides))
    looks = ((RAW_COLOUR, "raw", ""), (STANDARDISED_COLOUR, "standardised", "//"))
    for i, (heights, (colour, name, hatch)) in enumerate(zip(groups, looks, strict=True)):
        bars = ax.bar(places + 0.4 * (i - 0.5), heights, 0.38, color=colour, label=name, hatch=hatch, edgecolor="white")
        ax.bar_label(bars, [f"{100 * h:.0f}" for h in heights], padding=2, fontsize=11)
    ax.set_xticks(places, [str(s) for s in strides])
    ax.set_xlabel("stride of the scale, pixels")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.grid(axis="x", visible=False)


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
