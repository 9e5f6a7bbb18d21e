"""Pictures of lesson 06: masks, how far they reach, what is restored, and the noise of a mask at test time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mrkd_edu.figures.axes import bars_beside, heat_table, new_chart, new_grid, not_stretched, percent
from mrkd_edu.figures.style import Picture, colour_of, in_our_style
from mrkd_edu.lessons.feature_masking import known, score_spread
from mrkd_edu.lessons.pictures.image_masking import METHOD_COLOURS
from mrkd_edu.metrics import image_auroc
from mrkd_edu.study.evaluate import Evaluation


@in_our_style
def masks_on_features(
    image: np.ndarray, colours: Sequence[np.ndarray], masks: Mapping[float, Sequence[np.ndarray]]
) -> Picture:
    """What masks hide of the features: a row for each lambda; the image, then a column for each scale.

    Args:
        image: uint8 (S, S, 3).
        colours: the features of each scale as colours, uint8 (h_k, w_k, 3).
        masks: lambda to the masks of the scales, (h_k, w_k) each, 0 where hidden.

    Raises:
        ValueError: there is no mask.
    """
    if not masks:
        raise ValueError("there is no mask to show")
    columns = len(colours)
    figure, axes = new_grid(len(masks), 1 + columns, 2.3 * (1 + columns) + 0.5, 2.5 * len(masks) + 0.4)
    shares = []
    for row, (drop, scales) in zip(axes, masks.items(), strict=True):
        row[0].imshow(image)
        row[0].set(xticks=[], yticks=[])
        for ax, mask, colour in zip(row[1:], scales, colours, strict=True):
            ax.imshow(colour * (mask > 0)[..., None], interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(f"{percent((mask == 0).mean())} hidden")
            if row is axes[0]:
                ax.set_title(f"features,\nstride {image.shape[0] // mask.shape[0]}", loc="center", fontsize=12)
            shares.append(abs(float((mask == 0).mean()) - drop))
        row[0].set_ylabel(f"$\\lambda$ = {drop:g}")
    off = 100 * np.array(shares).reshape(len(masks), columns).max(0)
    figure.suptitle(
        f"The hidden share differs from $\\lambda$ by up to {off[0]:.1f} points at the finest scale, "
        f"{off[-1]:.1f} at the coarsest",
    )
    return figure


@in_our_style
def mask_reach(changes: Mapping[str, np.ndarray], strides: Sequence[int]) -> Picture:
    """Which scales change when one of them is masked; a panel for each place where the masks may sit.

    Args:
        changes: place to (K, K) relative changes: row, the masked scale; column, the scale that changes.
        strides: of the scales.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> figure = mask_reach({"after the decoder": np.eye(2)}, (4, 8))
        >>> figure.axes[0].get_title()
        'after the decoder:\\n0 of 2 other entries change'
    """
    if not changes:
        raise ValueError("there is no change to draw")
    figure, [axes] = new_grid(1, len(changes), 4.3 * len(changes) + 1.0, 4.4)
    top = 100 * max(float(grid.max()) for grid in changes.values())
    for ax, (place, grid) in zip(axes, changes.items(), strict=True):
        look = {"vmin": 0, "vmax": top, "cbar_kws": {"label": "relative change of the output, %", "shrink": 0.8}}
        names = [str(s) for s in strides] if ax is axes[0] else False
        heat_table(ax, 100 * grid, strides, names, annot=True, fmt=".0f", square=True, cbar=ax is axes[-1], **look)
        ax.set_xlabel("scale that changes (stride, pixels)")
        others = int((grid > 0).sum() - (np.diag(grid) > 0).sum())
        pairs = grid.size - len(grid)
        ax.set_title(f"{place}:\n{others} of {pairs} other entries change", loc="center")
    axes[0].set_ylabel("scale that is masked (stride, pixels)")
    return figure


@in_our_style
def restoration_pictures(image: np.ndarray, maps: Mapping[str, np.ndarray], errors: Mapping[str, float]) -> Picture:
    """A photograph and its features as colours: the teacher's, the hidden ones, the restored ones.

    Args:
        image: uint8 (S, S, 3).
        maps: name to colours, uint8 (h, w, 3), on one colour scale.
        errors: name to `hidden_error`, for those maps that have one.
    """
    columns = 1 + len(maps)
    figure, [axes] = new_grid(1, columns, 2.3 * columns, 3.4)
    axes[0].imshow(image)
    axes[0].set_title("image", fontsize=12)
    for ax, (name, colours) in zip(axes[1:], maps.items(), strict=True):
        ax.imshow(colours, interpolation="nearest")
        ax.set_title(name, fontsize=12)
        if name in errors:
            ax.set_xlabel(f"error {errors[name]:.2f}")
    for ax in axes:
        ax.set(xticks=[], yticks=[])
    said = ", ".join(f"{name.replace(chr(10), ' ')} {error:.2f}" for name, error in errors.items())
    figure.suptitle(f"Error at the hidden positions: {said}")
    return figure


@in_our_style
def hidden_errors(errors: Mapping[str, Sequence[float]], strides: Sequence[int]) -> Picture:
    """The error at hidden positions, of several ways to fill them, at each scale.

    Args:
        errors: way to `hidden_error` of every scale.
        strides: of the scales.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not errors:
        raise ValueError("there is no error to draw")
    figure, ax = new_chart(10.0, 4.6)
    for i, (name, values) in enumerate(errors.items()):
        numbers, colour = [f"{v:.2f}" for v in values], METHOD_COLOURS[i % len(METHOD_COLOURS)]
        bars_beside(ax, (i, len(errors)), values, numbers, name, colour, room=0.84)
    ax.set_xticks(range(len(strides)), [str(s) for s in strides])
    ax.set(xlabel="stride of the scale, pixels", ylabel="distance from the teacher\nat hidden positions")
    ax.grid(axis="x", visible=False)
    ax.set_ylim(0, 1.12 * max(max(v) for v in errors.values()))
    figure.legend(loc="outside lower center", ncols=3)
    means = [f"{name} {np.mean(v):.2f}" for name, v in errors.items()]
    lines = [", ".join(means[i : i + 3]) for i in range(0, len(means), 3)]
    ax.set_title("Mean over the scales: " + ",\n".join(lines))
    return figure


@in_our_style
def drop_curves(by_drop: Mapping[float, Sequence[Evaluation]], reference: Sequence[Evaluation]) -> Picture:
    """Leakage and image AUROC against lambda, beside a variant without feature masking.

    Args:
        by_drop: lambda to its evaluations, one a seed; a dot is one of them.
        reference: evaluations of the variant without, one a seed; the band reaches over all.

    Raises:
        ValueError: an evaluation lacks leakage or image AUROC.
    """
    name = reference[0].variant
    figure, [panels] = new_grid(1, 2, 10.6, 4.4)
    drops = sorted(by_drop)
    for ax, metric, label in zip(panels, ("leakage", "image_auroc"), ("leakage", "image AUROC"), strict=True):
        found = {drop: known(by_drop[drop], metric) for drop in drops}
        base = known(reference, metric)
        ax.axhspan(min(base), max(base), color=colour_of(name), alpha=0.25, linewidth=0)
        ax.axhline(float(np.mean(base)), color=colour_of(name), linestyle=(0, (5, 1)), label=f"{name}, all seeds")
        ax.plot(drops, [found[d][0] for d in drops], color=colour_of("flm"), label="flm, seed 0")
        for drop in drops:
            first, *others = found[drop]
            look = {"color": colour_of("flm"), "markersize": 8, "markeredgewidth": 1.8}
            ax.plot([drop] * len(others), others, "o", markerfacecolor="none", **look)  # hollow: other seeds
            ax.plot([drop], [first], "o", **look)
        ax.set_xticks(drops)
        ax.set(xlabel=r"$\lambda$, share of hidden positions", ylabel=label)
        first, last = drops[0], drops[-1]
        start, end, without = (
            percent(v) if metric == "leakage" else f"{v:.3f}" for v in (found[first][0], found[last][0], base[0])
        )
        ax.set_title(
            f"{label[0].upper()}{label[1:]}, seed 0: {start} at $\\lambda$ = {first:g},\n"
            f"{end} at {last:g}; {name} {without}"
        )
        if metric == "leakage":
            ax.yaxis.set_major_formatter(PercentFormatter(1.0))
            ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
        else:
            not_stretched(ax)
    panels[0].legend(loc="best")
    return figure


@in_our_style
def mask_noise(off: np.ndarray, on: np.ndarray, labels: np.ndarray) -> Picture:
    """What masks at test time do: image scores that differ from one evaluation to the next.

    Args:
        off: (N,) scores without masks.
        on: (R, N) scores with masks, one row an evaluation.
        labels: (N,) 0 normal, 1 defective.

    Raises:
        ValueError: only one kind of image.
    """
    if not 0 < labels.sum() < len(labels):
        raise ValueError("mask_noise needs normal and defective images")
    order = np.argsort(off)
    figure, [[left, right]] = new_grid(1, 2, 10.6, 4.4, width_ratios=(3, 2))
    places = np.arange(len(off))
    left.vlines(places, on.min(0)[order], on.max(0)[order], color=colour_of("flm"), linewidth=3, alpha=0.55)
    for label, name, marker, colour in ((0, "normal", "o", "#777777"), (1, "defective", "^", "black")):
        mine = labels[order] == label
        left.plot(places[mine], off[order][mine], marker, color=colour, markersize=5, label=f"{name}, masks off")
    left.plot([], [], color=colour_of("flm"), linewidth=3, alpha=0.55, label=f"masks on, {len(on)} times")
    left.set(xlabel="test images, in the order of their score", ylabel="image score")
    left.legend(loc="upper left")
    left.set_title(f"One image, {len(on)} scores: a spread of {percent(score_spread(on))}\n(deviation / mean)")
    aurocs = [image_auroc(row, labels) for row in on]
    straight = image_auroc(off, labels)
    right.hlines(straight, -0.5, 0.5, color="black", label="masks off")
    right.plot(np.linspace(-0.25, 0.25, len(on)), aurocs, "o", color=colour_of("flm"), markersize=9, label="masks on")
    right.set_xlim(-0.5, 0.5)
    right.set_xticks([])
    right.set(ylabel="image AUROC", xlabel="evaluations of one model")
    not_stretched(right)
    right.yaxis.set_major_locator(MaxNLocator(5))
    right.legend(loc="best")
    right.set_title(f"AUROC off {straight:.3f};\non {min(aurocs):.3f} to {max(aurocs):.3f}")
    return figure
