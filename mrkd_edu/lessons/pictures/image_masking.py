"""Pictures of lesson 05: patches, blending, presets, and what the teacher sees of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from mrkd_edu.figures.axes import new_chart, new_grid, percent
from mrkd_edu.figures.heat import outline
from mrkd_edu.figures.style import NORMAL_COLOUR, TIMES, Picture, in_our_style
from mrkd_edu.ilm import Anomaly, Box
from mrkd_edu.lessons.image_masking import (
    PatchSteps,
    around,
    commonest_share,
    draw_sides,
    rim_jump,
    share_on_object,
)
from mrkd_edu.nsa import NSA, foreground

BLEND_COLOURS = {"swap": "#56B4E9", "poisson": "#444444"}  # Okabe and Ito's sky blue; no variant has it
METHOD_COLOURS = ("#444444", "#56B4E9", "#F0E442", "#009E73", "#BBBBBB")


@in_our_style
def patch_strip(steps: PatchSteps, masks: Sequence[np.ndarray]) -> Picture:
    """The way of a patch in eight pictures, from the cut to the mask of what has changed.

    Args:
        steps: what `patch_steps` gives.
        masks: of the pasted and of the blended patch, bool (H, W).

    Example:
        >>> from mrkd_edu.ilm import Box, visible_change
        >>> from mrkd_edu.lessons.image_masking import patch_steps
        >>> image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        >>> steps = patch_steps(image, image[::-1], Box(8, 8, 20, 16), Box(30, 20, 24, 19))
        >>> figure = patch_strip(steps, [visible_change(image, steps.swap), visible_change(image, steps.poisson)])
        >>> len(figure.axes)
        8
    """
    cut, box = steps.cut, steps.box
    figure, axes = new_grid(2, 4, 10.6, 6.0)
    pictures = [
        (outline(steps.source, _filled(steps.source, cut)), "1  cut from the source"),
        (_alone(steps.source, cut, steps.patch), f"2  patch: {cut.height} {TIMES} {cut.width} px"),
        (_alone(steps.image, box, steps.resized), f"3  rescaled: {TIMES} {box.height / cut.height:.2f}"),
        (outline(steps.image, _filled(steps.image, box)), "4  place in the image"),
        (steps.swap, "5a  swap"),
        (steps.poisson, "5b  Poisson"),
        (masks[0], "6a  changed by swap"),
        (masks[1], "6b  changed by Poisson"),
    ]
    for ax, (picture, name) in zip(axes.flat, pictures, strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize=12, loc="left")
    figure.suptitle(
        f"The box covers {percent(_filled(steps.image, box).mean())} of the image; visibly changed are "
        f"{percent(masks[0].mean())} (swap) and {percent(masks[1].mean())} (Poisson)",
    )
    return figure


@in_our_style
def blend_profile(steps: PatchSteps) -> Picture:
    """The seam of a patch, pasted and blended: the place, and its grey values from left to right.

    Args:
        steps: what `patch_steps` gives.
    """
    box, image = steps.box, steps.image
    figure = Picture(figsize=(10.6, 4.4), layout="constrained")
    axes = figure.subplot_mosaic([["swap", "profile", "profile"], ["poisson", "profile", "profile"]])
    middle = box.top + box.height // 2
    band = slice(max(0, middle - 3), middle + 4)  # the mean of some rows: a single one is mostly grain
    for name, picture in (("swap", steps.swap), ("poisson", steps.poisson)):
        axes[name].imshow(picture[around(box, image)])
        axes[name].set(xticks=[], yticks=[])
        axes[name].set_title({"swap": "swap", "poisson": "Poisson"}[name], fontsize=12)
    ax = axes["profile"]
    for name, picture, colour in (
        ("before", image, NORMAL_COLOUR),
        ("swap", steps.swap, BLEND_COLOURS["swap"]),
        ("Poisson", steps.poisson, BLEND_COLOURS["poisson"]),
    ):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[band].mean(axis=0)  # (W,)
        columns = np.arange(len(grey))[around(box, image)[1]]
        ax.plot(columns, grey[columns], color=colour, label=name, linewidth=5 if name == "before" else 2.2)
    for at in (box.left, box.left + box.width):
        ax.axvline(at - 0.5, color="black", linestyle=":", linewidth=1.5)
    ax.set(xlabel="column, pixels (dotted: the border of the box)", ylabel="grey level, mean of 7 rows")
    ax.legend(loc="best")
    before, swap = rim_jump(image, box), rim_jump(steps.swap, box)
    poisson = rim_jump(steps.poisson, box, inside=1)  # the rim itself is the place's own
    ax.set_title(
        "Mean step where the patch begins, in grey levels:\n"
        f"before {before:.0f}, swap {swap:.0f}, Poisson (one pixel inside) {poisson:.0f}"
    )
    return figure


@in_our_style
def preset_sizes(presets: Mapping[str, NSA], size: int = 256, draws: int = 4000, seed: int = 0) -> Picture:
    """How large the patches of each category are where they are cut.

    A line reaches from the 5th to the 95th percentile of the drawn sides, the dot is their median. The title counts the
    categories in which height or width is practically fixed: 9 of 10 draws or more give one and the same number.

    Args:
        presets: category to settings, for instance `nsa.PRESETS`.
        size: side of the image, pixels.
        draws, seed: of the simulation.
    """
    rng = np.random.default_rng(seed)
    drawn = {
        name: (size * draw_sides(s.height, draws, rng), size * draw_sides(s.width, draws, rng))
        for name, s in presets.items()
    }
    names = sorted(drawn, key=lambda name: float(np.median(drawn[name][0] * drawn[name][1])))
    figure, ax = new_chart(8.4, 1.4 + 0.33 * len(names))
    looks = (("height", 0.16, "o", "#444444"), ("width", -0.16, "s", "#56B4E9"))
    for side, (label, shift, marker, colour) in enumerate(looks):
        low, middle, high = np.array([np.percentile(drawn[name][side], (5, 50, 95)) for name in names]).T
        places = np.arange(len(names)) + shift
        ax.hlines(places, low, high, color=colour, linewidth=4, alpha=0.5)
        ax.plot(middle, places, marker, color=colour, label=label, markersize=7)
    ax.set_xscale("log")
    ticks = [size * share for share in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)]
    ax.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(np.arange(len(names)), names)
    ax.set_xlabel(f"side of the patch where it is cut, pixels of {size} (logarithmic)")
    ax.legend(loc="lower right")
    fixed = sum(max(map(commonest_share, sides)) >= 0.9 for sides in drawn.values())
    ax.set_title(f"In {fixed} of {len(names)} categories 9 of 10 patches\nhave one and the same height or width")
    return figure


@in_our_style
def background_rule(
    images: Sequence[np.ndarray], background: tuple[int, int], anomalies: Mapping[str, Sequence[Anomaly]]
) -> Picture:
    """What counts as object, and where the patches land with and without that rule.

    Args:
        images: normal images, uint8 (H, W, 3).
        background: grey level and tolerance.
        anomalies: name of a row to an anomaly of each image.
    """
    objects = [foreground(image, background) for image in images]
    rows, columns = 1 + len(anomalies), len(images)
    figure, axes = new_grid(rows, columns, 1.75 * columns + 0.4, 1.85 * rows + 0.4)
    for ax, inside in zip(axes[0], objects, strict=True):
        ax.imshow(inside, cmap="gray", vmin=0, vmax=1)
    axes[0, 0].set_ylabel("object (white)")
    found = []
    for row, (name, made) in zip(axes[1:], anomalies.items(), strict=True):
        for ax, anomaly in zip(row, made, strict=True):
            ax.imshow(outline(anomaly.image, anomaly.mask))
        row[0].set_ylabel(name)
        found.append(f"{name} {percent(share_on_object(made, objects))}")
    for ax in axes.ravel():
        ax.set(xticks=[], yticks=[])
    figure.suptitle("Changed pixels that lie on the object: " + ", ".join(found))
    return figure


@in_our_style
def anomaly_gallery(anomalies: Sequence[Anomaly], scores: np.ndarray, threshold: float, number: int = 6) -> Picture:
    """The synthetic anomalies that move the teacher least, and those that move it most.

    Args:
        anomalies: of one size.
        scores: (N,) what `perfect_scores` gives.
        threshold: of the model that the scores are compared with.
        number: pictures a row.

    Raises:
        ValueError: fewer anomalies than pictures.
    """
    if len(anomalies) < number:
        raise ValueError(f"the gallery shows {number} anomalies a row; got {len(anomalies)}")
    order = np.argsort(scores)
    figure, axes = new_grid(2, number, 1.85 * number + 0.4, 5.4)
    for row, chosen, name in zip(axes, (order[:number], order[-number:]), ("lowest", "highest"), strict=True):
        for ax, i in zip(row, chosen, strict=True):
            ax.imshow(outline(anomalies[i].image, anomalies[i].mask))
            ax.set(xticks=[], yticks=[])
            area = percent(anomalies[i].mask.mean())
            ax.set_xlabel(f"{scores[i] / threshold:.2f} {TIMES} threshold\n{area} of the area")
        row[0].set_ylabel(name)
    hidden = int((scores < threshold).sum())
    figure.suptitle(
        f"{hidden} of {len(scores)} would raise no alarm if the student restored perfectly",
    )
    return figure


@in_our_style
def distance_by_scale(by_kind: Mapping[str, np.ndarray], strides: Sequence[int]) -> Picture:
    """How far kinds of anomaly move the teacher at each scale; lines join means, dots are single anomalies.

    Args:
        by_kind: name, such as `"swap"` and `"poisson"`, to what `teacher_distances` gives, (N, K).
        strides: of the scales.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> figure = distance_by_scale({"swap": np.full((3, 2), 0.4), "poisson": np.full((3, 2), 0.2)}, (4, 8))
        >>> figure.axes[0].get_title(loc="left")
        'Mean distance over all scales:\\nswap 0.40, poisson 0.20'
    """
    if not by_kind:
        raise ValueError("there is no distance to draw")
    figure, ax = new_chart(7.2, 4.4)
    places, jitter, means = np.arange(len(strides)), np.random.default_rng(0), []
    for i, (name, distances) in enumerate(by_kind.items()):
        colour = BLEND_COLOURS.get(name, METHOD_COLOURS[i % len(METHOD_COLOURS)])
        shift = 0.24 * (i - (len(by_kind) - 1) / 2)
        at = places + shift + jitter.uniform(-0.06, 0.06, distances.shape)
        ax.plot(at.ravel(), distances.ravel(), "o", color=colour, markersize=5, alpha=0.45, markeredgewidth=0)
        ax.plot(places + shift, np.nanmean(distances, 0), color=colour, marker="_", markersize=22, label=name)
        means.append(f"{name} {np.nanmean(distances):.2f}")
    ax.set_xticks(places, [str(s) for s in strides])
    ax.set_ylim(bottom=0)
    ax.set(xlabel="stride of the scale, pixels", ylabel="teacher's distance,\nmean over the patch")
    ax.set_title("Mean distance over all scales:\n" + ", ".join(means))
    figure.legend(loc="outside lower center", ncols=len(by_kind))
    return figure


def _filled(image: np.ndarray, box: Box) -> np.ndarray:
    inside = np.zeros(image.shape[:2], bool)
    inside[box.slices] = True
    return inside


def _alone(image: np.ndarray, box: Box, patch: np.ndarray) -> np.ndarray:
    """A patch in its place on an empty page of the image's size."""
    page = np.full_like(image, 255)
    page[box.slices] = patch
    return page
