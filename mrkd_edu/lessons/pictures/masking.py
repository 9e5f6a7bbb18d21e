"""Both maskings, step by step: the numbers behind the lessons' pictures, and the pictures.

The upper half computes and draws nothing: what a patch goes through, how far a synthetic anomaly moves the teacher,
how a generation module fills holes, what masks do to a test. The lower half takes such results and returns a new
picture each, by the rules of `plots.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import seaborn
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from mrkd_edu.distance import cosine_distance, image_score
from mrkd_edu.figures.results import NORMAL_COLOUR, SPACE, TIMES, Picture, colour_of, in_our_style, outline
from mrkd_edu.flm import random_mask
from mrkd_edu.ilm import GAMMA_SCALE, GAMMA_SHAPE, NOISE_FLOOR, SMALLEST_HALF, Anomaly, Box
from mrkd_edu.leakage import mask_at_scale
from mrkd_edu.metrics import image_auroc
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import NSA, foreground
from mrkd_edu.nsa.poisson import poisson_blend
from mrkd_edu.study.evaluate import Evaluation

BLEND_COLOURS = {"swap": "#56B4E9", "poisson": "#444444"}  # Okabe and Ito's sky blue; no variant has it
METHOD_COLOURS = ("#444444", "#56B4E9", "#F0E442", "#009E73", "#BBBBBB")
BATCH = 16


# ---- image masking: a patch, from where it is cut to what has changed ----------------------------------------


class PatchSteps(NamedTuple):
    """A patch at every step of its way.

    Attributes:
        source, image: uint8 RGB; where it is cut, (H', W', 3), and where it is put, (H, W, 3).
        cut, box: its box in the source, and its box in the image.
        patch: uint8 RGB as it was cut; `resized`, as it is put down.
        swap, poisson: uint8 RGB (H, W, 3), the image with the patch pasted, and with the patch blended.
    """

    source: np.ndarray
    image: np.ndarray
    cut: Box
    box: Box
    patch: np.ndarray
    resized: np.ndarray
    swap: np.ndarray
    poisson: np.ndarray


def patch_steps(image: np.ndarray, source: np.ndarray, cut: Box, box: Box) -> PatchSteps:
    """Cut a patch from the source, rescale it to the box, paste it, blend it.

    Args:
        image: uint8 RGB, (H, W, 3). It is left as it is.
        source: uint8 RGB, (H', W', 3).
        cut, box: a rectangle in the source, and one in the image.

    Raises:
        ValueError: a box reaches out of its image.

    Example:
        >>> image, source = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 200, np.uint8)
        >>> steps = patch_steps(image, source, Box(0, 0, 8, 8), Box(10, 10, 6, 6))
        >>> int(steps.swap.max()), int(steps.poisson.max())  # a flat patch has no differences to keep
        (200, 0)
    """
    for name, one, picture in (("cut", cut, source), ("box", box, image)):
        if min(one) < 0 or one.top + one.height > picture.shape[0] or one.left + one.width > picture.shape[1]:
            raise ValueError(f"{name} is {one}, which reaches out of its image of {picture.shape[:2]} pixels")
    patch = source[cut.slices]
    resized = cv2.resize(patch, (box.width, box.height), interpolation=cv2.INTER_LINEAR)
    swap, poisson = image.copy(), image.copy()
    swap[box.slices] = resized
    poisson[box.slices] = poisson_blend(resized, image[box.slices])
    return PatchSteps(source, image, cut, box, patch, resized, swap, poisson)


def visible_change(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Where two images differ by more than the noise floor in any channel: bool (H, W).

    Example:
        >>> old = np.zeros((1, 3, 3), np.uint8)
        >>> new = old.copy(); new[0, 1], new[0, 2] = 3, 4
        >>> visible_change(old, new).tolist()
        [[False, False, True]]
    """
    return np.abs(new.astype(np.int16) - old).max(axis=2) > NOISE_FLOOR


def rim_jump(image: np.ndarray, box: Box) -> float:
    """How strong the seam is: the mean difference in grey between the two sides of a box's border.

    Args:
        image: uint8 RGB, (H, W, 3).
        box: in the image. Sides on the border of the image do not count.

    Returns:
        Grey levels; NaN where the box is the whole image.

    Example:
        >>> image = np.zeros((16, 16, 3), np.uint8); image[4:8, 4:8] = 50
        >>> rim_jump(image, Box(4, 4, 4, 4))
        50.0
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.int16)  # (H, W)
    rows, columns = box.slices
    sides = []
    for at in (box.top, box.top + box.height):
        if 0 < at < grey.shape[0]:
            sides.append(grey[at, columns] - grey[at - 1, columns])
    for at in (box.left, box.left + box.width):
        if 0 < at < grey.shape[1]:
            sides.append(grey[rows, at] - grey[rows, at - 1])
    return float(np.abs(np.concatenate(sides)).mean()) if sides else float("nan")


def draw_sides(bounds: tuple[float, float], number: int, rng: np.random.Generator) -> np.ndarray:
    """Sides of patches where they are cut, as NSA draws them: twice a clipped `0.03 + Gamma(2, 0.05)`.

    Args:
        bounds: of half a side, shares of the image's side, as in `NSA.height` and `NSA.width`.
        number: how many.
        rng: draws.

    Returns:
        (number,) shares of the image's side.

    Example:
        >>> draw_sides((0.01, 0.01), 3, np.random.default_rng(0)).tolist()
        [0.02, 0.02, 0.02]
    """
    return 2 * np.clip(SMALLEST_HALF + rng.gamma(GAMMA_SHAPE, GAMMA_SCALE, size=number), *bounds)


# ---- image masking: how far it moves the teacher --------------------------------------------------------------


def as_batch(images: Sequence[np.ndarray]) -> Tensor:
    """Images (H, W, 3) as numpy has them to a batch (B, 3, H, W) as the networks want it."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


@torch.no_grad()
def teacher_distances(model: MRKD, normal: Tensor, anomalous: Tensor, masks: Tensor) -> np.ndarray:
    """How far an anomaly moves the teacher's features, at every scale: the mean distance over its positions.

    Args:
        model: gives the teacher; its student is not asked.
        normal, anomalous: uint8 (B, 3, S, S).
        masks: bool (B, S, S), where they differ.

    Returns:
        (B, K); NaN where a mask is empty.
    """
    found = []
    for start in range(0, len(normal), BATCH):
        part = slice(start, start + BATCH)
        with model.autocast():
            pairs = zip(model.see(normal[part]), model.see(anomalous[part]), strict=True)
        scales = []
        for t, t_defect in pairs:
            d = cosine_distance(t, t_defect, model.floor).cpu()  # (B, h, w)
            inside = mask_at_scale(masks[part].cpu(), (d.shape[1], d.shape[2]))  # (B, h, w)
            scales.append((d * inside).sum((1, 2)) / inside.sum((1, 2)))
        found.append(torch.stack(scales, 1))
    return torch.cat(found).numpy()


@torch.no_grad()
def perfect_scores(model: MRKD, normal: Tensor, anomalous: Tensor) -> np.ndarray:
    """Image scores that the anomalous images would get if the student restored the normal ones perfectly.

    It is the teacher's distance between the two images, put through weights, smoothing and maximum like any anomaly
    map; so it can be compared with the model's threshold.

    Args:
        model: gives teacher, weights of the scales and smoothing.
        normal, anomalous: uint8 (B, 3, S, S).

    Returns:
        (B,)
    """
    scores = []
    for start in range(0, len(normal), BATCH):
        part = slice(start, start + BATCH)
        with model.autocast():
            seen, target = model.see(anomalous[part]), model.see(normal[part])
        scores.append(image_score(model.compare(seen, target)).cpu())
    return torch.cat(scores).numpy()


# ---- feature masking -------------------------------------------------------------------------------------------


def neighbour_mean(features: Tensor, mask: Tensor, reach: int = 2) -> Tensor:
    """Fill hidden positions with the mean of the visible ones around them.

    Args:
        features: (B, C, h, w).
        mask: (B, 1, h, w), 0 where hidden.
        reach: how many positions away a neighbour may be; 2 is what two 3x3 convolutions see.

    Returns:
        (B, C, h, w); visible positions as they were, and zeros where no neighbour is visible.

    Example:
        >>> features = torch.tensor([[[[2.0, 7.0, 4.0]]]])
        >>> neighbour_mean(features, torch.tensor([[[[1.0, 0.0, 1.0]]]])).flatten().tolist()
        [2.0, 3.0, 4.0]
    """
    side = 2 * reach + 1
    total = F.avg_pool2d(features * mask, side, stride=1, padding=reach)  # (B, C, h, w)
    seen = F.avg_pool2d(mask, side, stride=1, padding=reach)  # (B, 1, h, w)
    mean = torch.where(seen > 0, total / seen.clamp_min(1e-12), torch.zeros_like(total))
    return torch.where(mask > 0, features, mean)


def hidden_error(teacher: Tensor, restored: Tensor, mask: Tensor) -> float:
    """Mean cosine distance from the teacher over the hidden positions; a zero vector has distance 1.

    Args:
        teacher, restored: (B, C, h, w).
        mask: (B, 1, h, w), 0 where hidden.

    Raises:
        ValueError: nothing is hidden.

    Example:
        >>> teacher = torch.ones(1, 4, 2, 2)
        >>> hidden_error(teacher, torch.zeros_like(teacher), torch.zeros(1, 1, 2, 2))
        1.0
    """
    hidden = mask[:, 0] == 0  # (B, h, w)
    if not hidden.any():
        raise ValueError("the mask hides nothing: there is no position to measure at")
    return float(cosine_distance(teacher, restored)[hidden].mean())


def varying_share(maps: Sequence[Tensor]) -> float:
    """How much of the features differs from image to image: 0 is a template that ignores the image.

    It is the size of the deviation from the mean over the images, as a share of the size of the features, averaged over
    the scales.

    Args:
        maps: of one network, one a scale, (B, C_k, h_k, w_k), of at least 2 images.

    Example:
        >>> varying_share([torch.ones(3, 4, 2, 2)])
        0.0
    """
    shares = [(m - m.mean(0, keepdim=True)).norm() / m.norm() for m in (m.float() for m in maps)]
    return float(torch.stack(shares).mean())


@torch.no_grad()
def scores_with_masks(
    model: MRKD, images: Tensor, generators: Sequence[torch.Generator | None], batch: int = BATCH
) -> np.ndarray:
    """Image scores with the feature masks on, as the published code tests, and off.

    Args:
        model: with feature masking, trained.
        images: uint8 (N, 3, S, S).
        generators: one a repetition: it draws the masks. None: masks off.
        batch: how many images go through at a time.

    Returns:
        (repetitions, N)

    Raises:
        ValueError: the model has no feature masking.
    """
    if model.flm is None:
        raise ValueError(f"{model.settings.variant} has no feature masking: there are no masks to leave on")
    scores = []
    for start in range(0, len(images), batch):
        with model.autocast():
            teacher = model.see(images[start : start + batch])
            student = model.student(teacher)  # S_k before the masks
        rows = []
        for generator in generators:
            model.flm.train(generator is not None)  # only the masks depend on it: there is no BatchNorm in it
            with model.autocast():
                restored = model.flm(student, generator)
            model.flm.eval()
            rows.append(image_score(model.compare(teacher, restored)).cpu())
        scores.append(torch.stack(rows))
    return torch.cat(scores, 1).numpy()


def drop_masks(shapes: Sequence[tuple[int, int]], drop: float, generator: torch.Generator) -> list[np.ndarray]:
    """One mask a scale for one image: arrays (h_k, w_k) of zeros and ones."""
    return [random_mask(1, h, w, drop, generator)[0, 0].numpy() for h, w in shapes]


# ---- pictures of image masking ---------------------------------------------------------------------------------


@in_our_style
def patch_strip(steps: PatchSteps) -> Picture:
    """The way of a patch in eight pictures, from the cut to the mask of what has changed.

    Args:
        steps: what `patch_steps` gives.

    Example:
        >>> image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        >>> figure = patch_strip(patch_steps(image, image[::-1], Box(8, 8, 20, 16), Box(30, 20, 24, 19)))
        >>> len(figure.axes)
        8
    """
    cut, box = steps.cut, steps.box
    masks = [visible_change(steps.image, new) for new in (steps.swap, steps.poisson)]
    figure = Picture(figsize=(10.6, 6.0), layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    pictures = [
        (outline(steps.source, _filled(steps.source, cut)), "1  cut from the source"),
        (_alone(steps.source, cut, steps.patch), f"2  patch: {cut.height} {TIMES} {cut.width} px"),
        (_alone(steps.image, box, steps.resized), f"3  rescaled: {TIMES} {box.height / cut.height:.2f}"),
        (outline(steps.image, _filled(steps.image, box)), "4  place in the image"),
        (steps.swap, "5a  swap"),
        (steps.poisson, "5b  Poisson"),
        (masks[0], "6a  mask of swap"),
        (masks[1], "6b  mask of Poisson"),
    ]
    for ax, (picture, name) in zip(axes, pictures, strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize=12, loc="left")
    figure.suptitle(
        f"The box covers {_percent(_filled(steps.image, box).mean())} of the image; visibly changed are "
        f"{_percent(masks[0].mean())} (swap) and {_percent(masks[1].mean())} (Poisson)",
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
        axes[name].imshow(picture[_around(box, image)])
        axes[name].set(xticks=[], yticks=[])
        axes[name].set_title({"swap": "swap", "poisson": "Poisson"}[name], fontsize=12)
    ax = axes["profile"]
    for name, picture, colour in (
        ("before", image, NORMAL_COLOUR),
        ("swap", steps.swap, BLEND_COLOURS["swap"]),
        ("Poisson", steps.poisson, BLEND_COLOURS["poisson"]),
    ):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[band].mean(axis=0)  # (W,)
        columns = np.arange(len(grey))[_around(box, image)[1]]
        ax.plot(columns, grey[columns], color=colour, label=name, linewidth=5 if name == "before" else 2.2)
    for at in (box.left, box.left + box.width):
        ax.axvline(at - 0.5, color="black", linestyle=":", linewidth=1.5)
    ax.set(xlabel="column, pixels (dotted: the border of the box)", ylabel="grey level, mean of 7 rows")
    ax.legend(loc="best")
    before, swap, poisson = (rim_jump(picture, box) for picture in (image, steps.swap, steps.poisson))
    ax.set_title(
        f"Mean step across the border, in grey levels:\nbefore {before:.0f}, swap {swap:.0f}, Poisson {poisson:.0f}"
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
    figure = Picture(figsize=(8.4, 1.4 + 0.33 * len(names)), layout="constrained")
    ax = figure.subplots()
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
    fixed = sum(max(map(constant_share, sides)) >= 0.9 for sides in drawn.values())
    ax.set_title(f"In {fixed} of {len(names)} categories 9 of 10 patches\nhave one and the same height or width")
    return figure


def constant_share(values: np.ndarray) -> float:
    """Share of the values that are equal to the most frequent one.

    Example:
        >>> constant_share(np.array([0.1, 0.1, 0.1, 0.3]))
        0.75
    """
    return float(np.unique(values, return_counts=True)[1].max() / len(values))


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
    figure = Picture(figsize=(1.75 * len(images) + 0.4, 1.85 * (1 + len(anomalies)) + 0.4), layout="constrained")
    axes = figure.subplots(1 + len(anomalies), len(images), squeeze=False)
    for ax, inside in zip(axes[0], objects, strict=True):
        ax.imshow(inside, cmap="gray", vmin=0, vmax=1)
    axes[0, 0].set_ylabel("object (white)")
    found = []
    for row, (name, made) in zip(axes[1:], anomalies.items(), strict=True):
        for ax, anomaly in zip(row, made, strict=True):
            ax.imshow(outline(anomaly.image, anomaly.mask))
        row[0].set_ylabel(name)
        found.append(f"{name} {_percent(share_on_object(made, objects))}")
    for ax in axes.ravel():
        ax.set(xticks=[], yticks=[])
    figure.suptitle("Changed pixels that lie on the object: " + ", ".join(found))
    return figure


def share_on_object(anomalies: Sequence[Anomaly], objects: Sequence[np.ndarray]) -> float:
    """Share of all changed pixels that were object before; NaN when nothing changed."""
    changed = sum(int(a.mask.sum()) for a in anomalies)
    inside = sum(int((a.mask & o).sum()) for a, o in zip(anomalies, objects, strict=True))
    return inside / changed if changed else float("nan")


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
    figure = Picture(figsize=(1.85 * number + 0.4, 5.4), layout="constrained")
    axes = figure.subplots(2, number, squeeze=False)
    for row, chosen, name in zip(axes, (order[:number], order[-number:]), ("lowest", "highest"), strict=True):
        for ax, i in zip(row, chosen, strict=True):
            ax.imshow(outline(anomalies[i].image, anomalies[i].mask))
            ax.set(xticks=[], yticks=[])
            area = _percent(anomalies[i].mask.mean())
            ax.set_xlabel(f"{scores[i] / threshold:.2f} {TIMES} threshold\n{area} of the area")
        row[0].set_ylabel(name)
    hidden = int((scores < threshold).sum())
    figure.suptitle(
        f"{hidden} of {len(scores)} would raise no alarm, even with a student that restores perfectly",
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
    figure = Picture(figsize=(7.2, 4.4), layout="constrained")
    ax = figure.subplots()
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


@in_our_style
def seed_dots(results: Mapping[str, Sequence[Evaluation]]) -> Picture:
    """Leakage and image AUROC of several trainings; a dot a seed, a line their mean.

    Args:
        results: name to its evaluations. What stands before a comma gives the colour.

    Raises:
        ValueError: nothing can be drawn, because no evaluation has leakage or image AUROC.
    """
    measures = {"leakage": "leakage, mean over scales", "image_auroc": "image AUROC"}
    values = {
        metric: {name: [v for e in found if (v := e.metrics[metric]) is not None] for name, found in results.items()}
        for metric in measures
    }
    shown = [metric for metric in measures if all(values[metric].values())]
    if not results or not shown:
        raise ValueError("the evaluations have neither leakage nor image AUROC: nothing to compare")
    figure = Picture(figsize=(5.3 * len(shown), 4.4), layout="constrained")
    for ax, metric in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        for i, (name, dots) in enumerate(values[metric].items()):
            colour = colour_of(name.split(",")[0])
            spread = np.linspace(-0.12, 0.12, len(dots)) if len(dots) > 1 else [0.0]
            ax.plot(i + np.asarray(spread), dots, "o", color=colour, markersize=9, alpha=0.75, markeredgewidth=0)
            ax.plot([i - 0.28, i + 0.28], [np.mean(dots)] * 2, color=colour)
        ax.set_xticks(range(len(results)), [name.replace(", ", "\n") for name in results])
        ax.set_xlim(-0.6, len(results) - 0.4)
        ax.set_ylabel(measures[metric])
        ax.grid(axis="x", visible=False)
        if metric == "leakage":
            low, high = ax.get_ylim()
            ax.set_ylim(min(0.0, low), 1.05 * high)
            ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            _not_stretched(ax)
        ax.set_title(_means(values[metric], measures[metric].split(",")[0], percent=metric == "leakage"))
    return figure


def _not_stretched(ax: Axes) -> None:
    """An AUROC axis of 10 points at least: a difference of half a point should look like one."""
    low, high = ax.get_ylim()
    room = max(0.0, 0.1 - (high - low)) / 2
    ax.set_ylim(low - room, high + room)


def _means(values: Mapping[str, Sequence[float]], what: str, *, percent: bool) -> str:
    """The means in words, two to a line."""
    said = [
        f"{name.replace(', ', SPACE)} {_percent(float(np.mean(v))) if percent else f'{np.mean(v):.3f}'}"
        for name, v in values.items()
    ]
    lines = [", ".join(said[i : i + 2]) for i in range(0, len(said), 2)]
    return f"{what[0].upper()}{what[1:]}: " + ",\n".join(lines)


# ---- pictures of feature masking -------------------------------------------------------------------------------


@in_our_style
def masks_on_image(image: np.ndarray, masks: Mapping[float, Sequence[np.ndarray]]) -> Picture:
    """What feature masks would hide if they lay on the image: a row for each lambda, a column for each scale.

    Args:
        image: uint8 (S, S, 3).
        masks: lambda to the masks of the scales, (h_k, w_k) each, 0 where hidden.

    Raises:
        ValueError: there is no mask.
    """
    if not masks:
        raise ValueError("there is no mask to show")
    columns = len(next(iter(masks.values())))
    figure = Picture(figsize=(2.3 * columns + 0.5, 2.5 * len(masks) + 0.4), layout="constrained")
    axes = figure.subplots(len(masks), columns, squeeze=False)
    shares = []
    for row, (drop, scales) in zip(axes, masks.items(), strict=True):
        for ax, mask in zip(row, scales, strict=True):
            stride = image.shape[0] // mask.shape[0]
            large = cv2.resize(mask.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
            ax.imshow(image * large[..., None])
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(f"{_percent((mask == 0).mean())} hidden")
            if row is axes[0]:
                ax.set_title(f"stride {stride} px", loc="center", fontsize=12)
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
        'after the decoder:\\n0 other scales change'
    """
    if not changes:
        raise ValueError("there is no change to draw")
    figure = Picture(figsize=(4.3 * len(changes) + 1.0, 4.4), layout="constrained")
    axes = figure.subplots(1, len(changes), squeeze=False)[0]
    top = 100 * max(float(grid.max()) for grid in changes.values())
    for ax, (place, grid) in zip(axes, changes.items(), strict=True):
        seaborn.heatmap(
            100 * grid, ax=ax, vmin=0, vmax=top, cmap="cividis", annot=True, fmt=".0f", square=True,
            xticklabels=[str(s) for s in strides], yticklabels=[str(s) for s in strides] if ax is axes[0] else False,
            cbar=ax is axes[-1], cbar_kws={"label": "relative change of the output, %", "shrink": 0.8},
        )
        ax.set_xlabel("scale that changes (stride, pixels)")
        others = int((grid > 0).sum() - (np.diag(grid) > 0).sum())
        ax.set_title(f"{place}:\n{others} other scales change", loc="center")
    axes[0].set_ylabel("scale that is masked (stride, pixels)")
    axes[0].tick_params(axis="y", rotation=0)
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
    figure = Picture(figsize=(2.3 * columns, 3.4), layout="constrained")
    axes = figure.subplots(1, columns)
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
    figure = Picture(figsize=(10.0, 4.6), layout="constrained")
    ax = figure.subplots()
    width = 0.84 / len(errors)
    for i, (name, values) in enumerate(errors.items()):
        at = np.arange(len(strides)) + (i - (len(errors) - 1) / 2) * width
        bars = ax.bar(at, values, 0.92 * width, color=METHOD_COLOURS[i % len(METHOD_COLOURS)], label=name)
        ax.bar_label(bars, [f"{v:.2f}" for v in values], padding=2, fontsize=11)
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
    figure = Picture(figsize=(10.6, 4.4), layout="constrained")
    panels = figure.subplots(1, 2)
    drops = sorted(by_drop)
    for ax, metric, label in zip(panels, ("leakage", "image_auroc"), ("leakage", "image AUROC"), strict=True):
        found = {drop: _known(by_drop[drop], metric) for drop in drops}
        base = _known(reference, metric)
        ax.axhspan(min(base), max(base), color=colour_of(name), alpha=0.25, linewidth=0)
        ax.axhline(float(np.mean(base)), color=colour_of(name), linestyle=(0, (5, 1)), label=f"{name}, all seeds")
        ax.plot(drops, [found[d][0] for d in drops], color=colour_of("flm"), label="flm, seed 0")
        for drop in drops:
            ax.plot([drop] * len(found[drop]), found[drop], "o", color=colour_of("flm"), markersize=8, alpha=0.8)
        ax.set_xticks(drops)
        ax.set(xlabel=r"$\lambda$, share of hidden positions", ylabel=label)
        first, last = drops[0], drops[-1]
        start, end, without = (
            _percent(v) if metric == "leakage" else f"{v:.3f}" for v in (found[first][0], found[last][0], base[0])
        )
        ax.set_title(
            f"{label[0].upper()}{label[1:]}, seed 0: {start} at $\\lambda$ = {first:g},\n"
            f"{end} at {last:g}; {name} {without}"
        )
        if metric == "leakage":
            ax.yaxis.set_major_formatter(PercentFormatter(1.0))
            ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
        else:
            _not_stretched(ax)
    panels[0].legend(loc="best")
    return figure


def _known(evaluations: Sequence[Evaluation], metric: str) -> list[float]:
    values = [e.metrics[metric] for e in evaluations]
    known = [v for v in values if v is not None]
    if not known or len(known) < len(values):
        raise ValueError(f"an evaluation has no {metric}: it needs normal and defective test images")
    return known


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
    figure = Picture(figsize=(10.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    places = np.arange(len(off))
    left.vlines(places, on.min(0)[order], on.max(0)[order], color=colour_of("flm"), linewidth=3, alpha=0.55)
    for label, name, marker, colour in ((0, "normal", "o", "#777777"), (1, "defective", "^", "black")):
        mine = labels[order] == label
        left.plot(places[mine], off[order][mine], marker, color=colour, markersize=5, label=f"{name}, masks off")
    left.plot([], [], color=colour_of("flm"), linewidth=3, alpha=0.55, label=f"masks on, {len(on)} times")
    left.set(xlabel="test images, in the order of their score", ylabel="image score")
    left.legend(loc="upper left")
    left.set_title(f"One image, {len(on)} scores: a spread of {_percent(score_spread(on))}\n(deviation / mean)")
    aurocs = [image_auroc(row, labels) for row in on]
    straight = image_auroc(off, labels)
    right.hlines(straight, -0.5, 0.5, color="black", label="masks off")
    right.plot(np.linspace(-0.25, 0.25, len(on)), aurocs, "o", color=colour_of("flm"), markersize=9, label="masks on")
    right.set_xlim(-0.5, 0.5)
    right.set_xticks([])
    right.set(ylabel="image AUROC", xlabel="evaluations of one model")
    _not_stretched(right)
    right.yaxis.set_major_locator(MaxNLocator(5))
    right.legend(loc="best")
    right.set_title(f"AUROC off {straight:.3f};\non {min(aurocs):.3f} to {max(aurocs):.3f}")
    return figure


def score_spread(scores: np.ndarray) -> float:
    """Mean over the images of deviation / mean of repeated scores (R, N).

    Example:
        >>> score_spread(np.array([[1.0, 2.0], [1.0, 2.0]]))
        0.0
    """
    return float((scores.std(0, ddof=1) / scores.mean(0)).mean())


# ---- how it is done --------------------------------------------------------------------------------------------


def _filled(image: np.ndarray, box: Box) -> np.ndarray:
    inside = np.zeros(image.shape[:2], bool)
    inside[box.slices] = True
    return inside


def _alone(image: np.ndarray, box: Box, patch: np.ndarray) -> np.ndarray:
    """A patch in its place on an empty page of the image's size."""
    page = np.full_like(image, 255)
    page[box.slices] = patch
    return page


def _around(box: Box, image: np.ndarray) -> tuple[slice, slice]:
    """The box with as much room around it again as it is large, a third on either side."""
    y, x = max(4, box.height // 3), max(4, box.width // 3)
    rows = slice(max(0, box.top - y), min(image.shape[0], box.top + box.height + y))
    return rows, slice(max(0, box.left - x), min(image.shape[1], box.left + box.width + x))


def _percent(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:.1f}{SPACE}%"  # + 0.0: no "-0.0"
