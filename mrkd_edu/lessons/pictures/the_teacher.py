"""Pictures of lesson 02: what the teacher sees."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from mrkd_edu.figures.axes import HEADLINE, frameless, grouped, head_row, heat_table, new_chart, new_grid
from mrkd_edu.figures.features import pca_colours, similarity
from mrkd_edu.figures.heat import SIGNED
from mrkd_edu.figures.style import SPACE, Picture, in_our_style
from mrkd_edu.lessons.the_teacher import channel_shares, mean_share, pca_share

RAW_COLOUR, STANDARDISED_COLOUR = "#999999", "#0072B2"


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
        >>> import torch
        >>> picture = channel_grid(np.zeros((32, 32, 3), np.uint8), [torch.randn(8, 8, 8)], (4,), number=2)
        >>> len(picture.axes)
        3
    """
    figure, axes = new_grid(len(maps), number + 1, 1.55 * (number + 1) + 0.5, 1.72 * len(maps) + 0.5)
    for row, stride, feature_map in zip(axes, strides, maps, strict=True):
        values = feature_map.detach().float().cpu().numpy()  # (C, h, w)
        chosen = np.argsort(-values.std((1, 2)), kind="stable")[:number]
        frameless(*row)
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
        f"{grouped(numbers[0])} numbers become {grouped(numbers[-1])}",
        **HEADLINE,
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
        >>> import torch
        >>> picture = pca_grid(np.zeros((2, 32, 32, 3), np.uint8), [torch.randn(2, 8, 8, 8)], (4,))
        >>> len(picture.axes)
        4
    """
    figure, axes = new_grid(len(maps) + 1, len(images), 1.9 * len(images) + 0.6, 1.9 * (len(maps) + 1) + 0.6)
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
        f"Three directions hold {min(shares):.0f} to {max(shares):.0f}{SPACE}% of what varies", **HEADLINE
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

    A cosine has a sign: blue is below 0, white is 0, red is above.

    Args:
        images: one uint8 (H, W, 3) a row.
        maps: for each image one (C_k, h_k, w_k) a scale.
        strides: of the scales.
        at: the position as shares of height and width, in [0, 1); it is marked.
        names: of the rows.
        what: kind of features, for the title.

    Example:
        >>> import torch
        >>> picture = similarity_grid(
        ...     [np.zeros((32, 32, 3), np.uint8)], [[torch.ones(8, 8, 8)]], (4,), (0.5, 0.5), names=["flat"]
        ... )
        >>> picture.get_suptitle()
        'Typical cosine with the marked position: 1.00 at stride 4'
    """
    figure, axes = new_grid(len(images), len(strides) + 1, 2.05 * (len(strides) + 1) + 1.2, 2.1 * len(images) + 0.6)
    typical = np.zeros((len(images), len(strides)))
    for i, (row, image, scales) in enumerate(zip(axes, images, maps, strict=True)):
        row[0].imshow(image)
        _mark(row[0], at[1] * image.shape[1], at[0] * image.shape[0])
        row[0].set_ylabel(names[i])
        for k, feature_map in enumerate(scales):
            cell = int(at[0] * feature_map.shape[1]), int(at[1] * feature_map.shape[2])
            values = similarity(feature_map, *cell)
            typical[i, k] = np.median(values)
            row[k + 1].imshow(values, cmap=SIGNED, vmin=-1, vmax=1, interpolation="nearest")
            _mark(row[k + 1], cell[1], cell[0])
    frameless(*axes.flat)
    head_row(axes[0], ["image", *(f"stride {s}" for s in strides)], loc="center", fontsize=12)
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), SIGNED), ax=axes, aspect=14 * len(images), pad=0.02)
    bar.set_label("cosine with the marked position")
    last = typical.mean(0)
    ends = [f"{last[k]:.2f} at stride {strides[k]}" for k in dict.fromkeys((0, len(strides) - 1))]
    figure.suptitle(f"Typical {what} with the marked position: " + ", ".join(ends), **HEADLINE)
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
        >>> import torch
        >>> maps = [torch.randn(2, 12, 8, 8) + 3]
        >>> picture = share_bars(maps, [maps[0] - 3], (4,))
        >>> len(picture.axes[0].patches)  # a bar for each kind of features
        2
    """
    figure, [[left, right]] = new_grid(1, 2, 10, 4.4, sharey=True)
    constant = [[mean_share(m) for m in maps] for maps in (raw, standardised)]
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
    figure, ax = new_chart(7.2, 1.9 + 0.5 * len(grid))
    look = {"vmin": low, "vmax": high, "cbar_kws": {"label": measure}}
    heat_table(ax, grid, strides, list(values), annot=True, fmt=".2f", **look)
    ax.set_title(textwrap.fill("Largest at " + "; ".join(_largest(values, strides)), 58))
    return figure


def _mark(ax: Axes, x: float, y: float) -> None:
    """A black cross with a white rim: it is seen on every colour."""
    ax.plot(x, y, "+", color="white", markersize=15, markeredgewidth=5)
    ax.plot(x, y, "+", color="black", markersize=13, markeredgewidth=2)


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
