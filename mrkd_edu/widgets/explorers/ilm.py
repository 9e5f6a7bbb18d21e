"""The ILM explorer: make synthetic defects by hand, and see what the teacher makes of them.

Image-level masking rests on one question: does the defect that is pasted change the teacher's features? This explorer
shows the pasted picture, its mask, and the teacher's distance between the picture with and without the defect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import cv2
import ipywidgets
import numpy as np
import torch
from torch import Tensor

from mrkd_edu.data.images import as_batch
from mrkd_edu.distance import cosine_distance
from mrkd_edu.figures.heat import HEAT, outline
from mrkd_edu.ilm import Anomaly, add_anomaly
from mrkd_edu.leakage import mask_at_scale
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import DEFAULT, NSA, estimate_background, foreground
from mrkd_edu.runtime.hardware import autocast
from mrkd_edu.teacher import Teacher
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.panels import LINE, View, below, beside, panel, write
from mrkd_edu.widgets.frame.paper import drawn_once
from mrkd_edu.widgets.frame.pictures import Pictures, picture_menu, read_pictures

STRIDES = (4, 8, 16, 32)  # of the offline teacher's scales
BOX = (230, 159, 0)  # orange, of the patches' boxes
ALARM = (176, 0, 32)
ESTIMATED_FROM = 16  # images
NONE, ESTIMATED, GIVEN = "none", "estimated", "given"
SHARES, FACTORS = (0.01, 0.5), (0.2, 4.0)  # ends of the sliders; `nsa.NSA` allows no larger shares or factors

See = Callable[[Tensor], list[Tensor]]  # images (B, 3, S, S) to one map a scale


def eyes(teacher: Teacher | MRKD) -> See:
    """What turns images into the features that are compared: a teacher's as they are, a model's standardised."""
    if isinstance(teacher, MRKD):
        model, see = teacher, teacher.see
        device, precision = model.device, model.settings.precision
    else:
        see, device, precision = teacher, teacher.mean.device, "auto"

    @torch.no_grad()
    def look(images: Tensor) -> list[Tensor]:
        with autocast(device, precision):
            return see(images.to(device))

    return look


def look_at(see: See, image: np.ndarray) -> list[Tensor]:
    """An image uint8 (S, S, 3) to the maps that `see` gives, (1, C_k, h_k, w_k) each."""
    return see(as_batch([image]))


def render_ilm(
    image: np.ndarray,
    settings: NSA,
    see: See,
    *,
    seed: int = 0,
    source: np.ndarray | None = None,
    normal: list[Tensor] | None = None,
) -> View:
    """A normal image, the same with a synthetic defect, its mask, and the teacher's distance between the two.

    Args:
        image: normal, uint8 (S, S, 3).
        settings: of the synthetic defect.
        see: images to features, see `eyes`.
        seed: of sizes and places.
        source: another normal image to cut from, for `settings.source="other"`; None cuts from the image itself.
        normal: the features of `image` if they are known already.

    Returns:
        `values` has `patches`, how many left a visible change; their mean `patch_height` and `patch_width`, as shares
        of the image; `mask_share` and `object_share` of the image; and the mean cosine distance inside the mask at
        every stride, such as `distance_4`. Without a visible change, sizes and distances are not numbers.
    """
    anomaly = add_anomaly(image, settings, np.random.default_rng(seed), source)
    before = look_at(see, image) if normal is None else normal
    after = look_at(see, anomaly.image) if anomaly.boxes else before
    maps = [cosine_distance(t, t_defect)[0].cpu() for t, t_defect in zip(before, after, strict=True)]  # (h_k, w_k)
    strides = [image.shape[0] // m.shape[0] for m in maps]
    mask = torch.from_numpy(anomaly.mask)[None]  # (1, S, S)
    inside = [float(m[mask_at_scale(mask, (m.shape[0], m.shape[1]))[0]].mean()) for m in maps]
    cut_from = image if source is None or settings.source == "same" else source
    picture = below(
        [
            beside(_pictures(image, anomaly, settings, cut_from)),
            _colour_scale(),
            beside([_distance(m.numpy(), anomaly, s, d) for m, s, d in zip(maps, strides, inside, strict=True)]),
            _legend(),
        ]
    )
    values = {"patches": float(len(anomaly.boxes)), **_mean_size(anomaly)}
    values |= {"mask_share": float(anomaly.mask.mean()), "object_share": _object_share(image, settings)}
    values |= {f"distance_{stride}": distance for stride, distance in zip(strides, inside, strict=True)}
    return View(picture, _finding(anomaly, settings, strides, inside), values)


def explore_ilm(
    images: Pictures,
    teacher: Teacher | MRKD | None = None,
    *,
    settings: NSA | None = None,
    size: int = 256,
) -> Explorer:
    """Change how synthetic defects are made, and see what they look like and what the teacher sees of them.

    Args:
        images: normal images, files or arrays (H, W, 3). From two on, patches can come from another image.
        teacher: whose distance is shown. A model lends its teacher, standardising and size; None takes the offline
            teacher with its raw features.
        settings: where the controls begin; None takes `nsa.DEFAULT`, with the background estimated from the images.
        size: side of the images, pixels, where no model gives it; a multiple of 32.

    Raises:
        ValueError: there is no list of images, or a size that the teacher's scales do not divide.
        data.images.DataError: an image that cannot be read.
    """
    teacher = Teacher(strides=STRIDES) if teacher is None else teacher
    if isinstance(teacher, MRKD):
        size = teacher.settings.size
    elif size < teacher.strides[-1] or size % teacher.strides[-1]:
        raise ValueError(f"size must be a multiple of {teacher.strides[-1]} pixels, for instance 256; got {size}")
    pictures = read_pictures("explore_ilm", images, size)
    estimated = estimate_background(as_batch(pictures[:ESTIMATED_FROM]))
    see = eyes(teacher)

    @lru_cache(maxsize=32)
    def features(photo: int) -> list[Tensor]:
        return look_at(see, pictures[photo])

    begin = DEFAULT if settings is None else settings

    def render(
        photo: int,
        patches: int,
        height: tuple[float, float],
        width: tuple[float, float],
        rescale: tuple[float, float],
        blend: str,
        source: str,
        background: str,
        grey: int,
        tolerance: int,
        seed: int,
    ) -> View:
        rules = {NONE: None, ESTIMATED: estimated, GIVEN: (grey, tolerance)}
        chosen = replace(
            begin,
            patches=patches,
            height=height,
            width=width,
            rescale=rescale,
            blend=blend,
            source=source,
            background=rules[background],
        )
        others = [i for i in range(len(pictures)) if i != photo]
        other = pictures[others[seed % len(others)]] if others else None
        view = render_ilm(pictures[photo], chosen, see, seed=seed, source=other, normal=features(photo))
        if background == ESTIMATED and estimated is None:
            return replace(view, says=f"{view.says} No plain background was found: everything counts as object.")
        return view

    rule = ESTIMATED if settings is None else NONE if settings.background is None else GIVEN
    return Explorer("explore_ilm", _controls(len(pictures), begin, rule, begin.background or estimated), render)


# ---- controls ----------------------------------------------------------------------------------------------


def _controls(
    pictures: int, begin: NSA, rule: str, background: tuple[int, int] | None
) -> dict[str, ipywidgets.ValueWidget]:
    sources = [("another image", "other"), ("the same image", "same")]
    rules = [("none: all is object", NONE), ("estimated from the images", ESTIMATED), ("grey and tolerance", GIVEN)]
    grey, tolerance = background or (200, 60)
    controls = {
        "photo": picture_menu(pictures, "normal image", "which normal image gets a defect"),
        "seed": ipywidgets.IntSlider(
            0, 0, 99, description="seed", tooltip="draws sizes and places, and which other image is cut from"
        ),
        "patches": ipywidgets.IntSlider(
            begin.patches,
            1,
            max(8, begin.patches),
            description="patches at most",
            tooltip="the first patch is always tried, each further one with probability 1/2",
        ),
        "height": _bounds(
            begin.height, SHARES, "half height", "bounds of a patch's half height, share of the image's height"
        ),
        "width": _bounds(
            begin.width, SHARES, "half width", "bounds of a patch's half width, share of the image's width"
        ),
        "rescale": _bounds(
            begin.rescale,
            FACTORS,
            "rescale",
            "bounds of the factor by which a patch grows or shrinks before it is put down",
        ),
        "blend": ipywidgets.Dropdown(
            options=[("swap: paste it", "swap"), ("Poisson: no seam", "poisson"), ("either, by chance", "mix")],
            value=begin.blend,
            description="blend",
            tooltip="paste the patch as it is, or blend it in so that no seam shows",
        ),
        "source": ipywidgets.Dropdown(
            options=sources if pictures > 1 else sources[1:],
            value=begin.source if pictures > 1 else "same",
            description="patches from",
            tooltip="where patches are cut from",
        ),
        "background": ipywidgets.Dropdown(
            options=rules,
            value=rule,
            description="background",
            tooltip="patches are cut from the object and put on the object; this rule says what is background",
        ),
        "grey": ipywidgets.IntSlider(
            grey, 0, 255, description="background grey", tooltip="grey level of the background, 0 black, 255 white"
        ),
        "tolerance": ipywidgets.IntSlider(
            tolerance, 0, 255, description="tolerance", tooltip="how far from that grey level is still background"
        ),
    }

    def follow(_: object = None) -> None:
        controls["grey"].disabled = controls["tolerance"].disabled = controls["background"].value != GIVEN

    controls["background"].observe(follow, "value")
    follow()
    return controls


def _bounds(
    value: tuple[float, float], ends: tuple[float, float], description: str, tooltip: str
) -> ipywidgets.FloatRangeSlider:
    """Two bounds between these ends, or below the lower one if they begin there; shares are read in percent."""
    percent = ends == SHARES
    digits = _digits(value, 2 if percent else 1)
    return ipywidgets.FloatRangeSlider(
        value=value,
        min=min(value[0], ends[0]),
        max=ends[1],
        step=10**-digits,
        readout_format=f".{digits - 2}%" if percent else f".{digits}f",
        description=description,
        tooltip=tooltip,
    )


def _digits(bounds: tuple[float, float], fewest: int) -> int:
    """Decimal places of a slider's steps, so that both bounds are among them: 6 at most.

    A browser moves a bound that lies between two steps as soon as the other bound is moved.

    Example:
        >>> _digits((0.03, 0.4), 2), _digits((0.004, 0.008), 2)
        (2, 3)
    """
    return next((n for n in range(fewest, 6) if all(abs(bound - round(bound, n)) < 1e-9 for bound in bounds)), 6)


# ---- the picture -------------------------------------------------------------------------------------------


def _pictures(image: np.ndarray, anomaly: Anomaly, settings: NSA, source: np.ndarray) -> list[np.ndarray]:
    """The upper row: what goes in, what comes out, what changed, and where patches are cut."""
    found = bool(anomaly.boxes)
    mask = np.repeat(255 * anomaly.mask[..., None].astype(np.uint8), 3, axis=2)  # (S, S, 3)
    line = max(1, image.shape[0] // 128)
    for box in anomaly.boxes:
        corner = box.left + box.width - 1, box.top + box.height - 1
        cv2.rectangle(mask, (box.left, box.top), corner, BOX, line)
    shown = anomaly.image if found else _notice(image, _reason(image, source, settings))
    normal = "normal"
    if settings.background is not None:
        normal += f": {100 * _object_share(image, settings):.0f} % is object"
    return [
        panel(_struck(image, settings), normal),
        panel(shown, "with synthetic defect") if found else panel(shown, "no synthetic defect", colour=ALARM),
        panel(mask, f"mask: {100 * anomaly.mask.mean():.1f} % of image" if found else "mask: empty"),
        panel(_struck(source, settings), "cut from: itself" if source is image else "cut from: another image"),
    ]


def _struck(image: np.ndarray, settings: NSA) -> np.ndarray:
    """The image with what counts as background struck out by thin lines."""
    if settings.background is None:
        return image
    row, col = np.indices(image.shape[:2])
    period = max(4, image.shape[0] // 32)
    struck = ~foreground(image, settings.background) & ((row + col) % period < period // 4)
    shown = image.copy()
    shown[struck] = (0, 114, 178)  # blue
    return shown


def _distance(distances: np.ndarray, anomaly: Anomaly, stride: int, mean: float) -> np.ndarray:
    """The map of one scale, its cells enlarged, with the outline of the mask."""
    side = anomaly.mask.shape[0]
    colours = np.rint(255 * HEAT(np.clip(distances, 0, 1))[..., :3]).astype(np.uint8)  # (h, w, 3)
    large = cv2.resize(colours, (side, side), interpolation=cv2.INTER_NEAREST)
    title = f"stride {stride}: {mean:.2f} in mask" if anomaly.boxes else f"stride {stride}: no change"
    return panel(outline(large, anomaly.mask), title)


@drawn_once
def _colour_scale() -> np.ndarray:
    colours = np.rint(255 * HEAT(np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)  # (256, 3)
    strip = np.tile(colours, (LINE, 1, 1))
    text = "Cosine distance between the two images, as the teacher sees them:"
    return beside([write(620, text, bold=True), write(12, "0"), strip, write(100, "1 or more")], gap=8)


@drawn_once
def _legend() -> np.ndarray:
    return write(
        1060, "cyan: border of the mask    orange: boxes of the patches    blue stripes: what counts as background"
    )


def _notice(image: np.ndarray, text: str) -> np.ndarray:
    """The image, faded, with lines of text across its middle, for a panel of 256 pixels."""
    faded = cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA) // 3 + 170
    note = write(240, text, bold=True, colour=ALARM)
    top = (256 - len(note)) // 2
    faded[top : top + len(note), 8:248] = note
    return faded


def _reason(image: np.ndarray, source: np.ndarray, settings: NSA) -> str:
    """Why there is no defect, as far as one can tell, and what to do: lines of text for the picture."""
    if settings.background is None:
        return "No patch that can be\nseen. Try another seed\nor another size."
    if not all(foreground(part, settings.background).any() for part in (image, source)):
        return "All is background:\nno place for a patch.\nChange the rule."
    return "No place for a patch\non the object found.\nTry smaller patches,\nanother seed or rule."


def _mean_size(anomaly: Anomaly) -> dict[str, float]:
    """Of the patches as they were put down, shares of the image's height and width."""
    if not anomaly.boxes:
        return {"patch_height": float("nan"), "patch_width": float("nan")}
    height, width = anomaly.mask.shape
    return {
        "patch_height": float(np.mean([box.height for box in anomaly.boxes])) / height,
        "patch_width": float(np.mean([box.width for box in anomaly.boxes])) / width,
    }


def _object_share(image: np.ndarray, settings: NSA) -> float:
    return 1.0 if settings.background is None else float(foreground(image, settings.background).mean())


def _finding(anomaly: Anomaly, settings: NSA, strides: Sequence[int], inside: Sequence[float]) -> str:
    if not anomaly.boxes:
        if settings.background is None:
            return "No defect: no patch changes anything that can be seen."
        return "No defect: no patch keeps to the background rule and changes anything that can be seen."
    best = int(np.argmax(inside))
    patches = "1 patch changes" if len(anomaly.boxes) == 1 else f"{len(anomaly.boxes)} patches change"
    return (
        f"{patches} {100 * anomaly.mask.mean():.1f} % of the image; inside, the teacher's distance is largest at "
        f"stride {strides[best]}: {inside[best]:.2f}."
    )
