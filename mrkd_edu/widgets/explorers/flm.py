"""The FLM explorer: hide positions of the student's features, and see whether the generation module restores them.

Feature-level masking turns copying into restoring: what is hidden at a position can only come from its surroundings.
This explorer shows what is hidden, what is left, what comes out, and what should.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import ipywidgets
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mrkd_edu.data.images import as_batch
from mrkd_edu.distance import cosine_distance
from mrkd_edu.figures.features import pca_colouring
from mrkd_edu.figures.style import colour_of
from mrkd_edu.flm import FeatureMasking, random_mask
from mrkd_edu.model import MRKD
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.judgement import rgb
from mrkd_edu.widgets.frame.panels import GAP, View, bar, below, beside, write
from mrkd_edu.widgets.frame.paper import drawn_once
from mrkd_edu.widgets.frame.pictures import Pictures, picture_menu, read_pictures

SIDE = 168  # of a picture, pixels
BARS = 250  # width of the bars, pixels
GREY = (140, 140, 140)
HIDDEN = (0, 0, 0)
MOST = 0.95  # the largest lambda on offer
LAMBDA = "\N{GREEK SMALL LETTER LAMDA}"


class Unmasked(NamedTuple):
    """What an image gives while nothing is hidden, one entry a scale in each list; a map is (1, C_k, h_k, w_k).

    Attributes:
        teacher: the target.
        student: what is masked, :math:`S_k`.
        generated: what the generation module makes of all of it, :math:`G_k(S_k)`.
        colours: fitted on the three, so that a colour keeps its meaning whatever is then hidden.
    """

    teacher: list[Tensor]
    student: list[Tensor]
    generated: list[Tensor]
    colours: list[Callable[[Tensor], np.ndarray]]


def unmasked(model: MRKD, image: np.ndarray) -> Unmasked:
    """Teacher, student and generation modules at work on an image, uint8 (S, S, 3).

    Raises:
        ValueError: a model without feature masking.
    """
    flm = masking(model)
    with torch.no_grad(), model.autocast():
        teacher = model.see(as_batch([image]))
        student = model.student(teacher)
        generated = [g(s) for g, s in zip(flm.generate, student, strict=True)]
    colours = [
        pca_colouring(torch.cat([_directions(m) for m in maps]))
        for maps in zip(teacher, student, generated, strict=True)
    ]
    return Unmasked(teacher, student, generated, colours)


def hide(maps: Sequence[Tensor], drop: Sequence[float], seed: int) -> list[Tensor]:
    """The masks that training would draw with this seed, for one image: one (1, 1, h_k, w_k) a scale, 0 where hidden.

    The more of a scale is hidden, the more is added to what was hidden before; other scales keep their masks.

    Raises:
        ValueError: not one share in [0, 1) a scale.

    Example:
        >>> [fine, coarse] = hide([torch.zeros(1, 9, 8, 8), torch.zeros(1, 9, 4, 4)], (0.5, 0.0), seed=0)
        >>> fine.shape, bool(fine.all()), bool(coarse.all())
        (torch.Size([1, 1, 8, 8]), False, True)
    """
    if len(drop) != len(maps) or not all(0 <= share < 1 for share in drop):
        raise ValueError(f"give one share of hidden positions, in [0, 1), for each of {len(maps)} scales; got {drop}")
    generator = torch.Generator().manual_seed(seed)
    return [
        random_mask(1, m.shape[2], m.shape[3], share, generator).to(m) for m, share in zip(maps, drop, strict=True)
    ]


def render_flm(
    model: MRKD,
    image: np.ndarray,
    drop: Sequence[float],
    *,
    seed: int = 0,
    generate: bool = True,
    features: Unmasked | None = None,
) -> View:
    r"""What feature masking hides at each scale, and what the generation module makes of the rest.

    Args:
        model: with feature masking, see `masking`.
        image: uint8 (S, S, 3), of the model's size.
        drop: :math:`\lambda`, the share of hidden positions, one a scale.
        seed: of the masks.
        generate: whether the generation module is at work in the picture.
        features: of the image, if they are known already.

    Returns:
        `values` has the share that is hidden at every stride, such as `hidden_4`, and the cosine distance to the
        teacher at hidden positions, a mean over the scales: `error` as shown, `error_with` and `error_without` the
        module, `error_unmasked` with the module and nothing hidden. It is not a number where nothing is hidden.

    Raises:
        ValueError: a model without feature masking, or not one share in [0, 1) a scale.
    """
    flm = masking(model)
    known = unmasked(model, image) if features is None else features
    masks = hide(known.student, drop, seed)
    left = [s * m for s, m in zip(known.student, masks, strict=True)]  # M_k * S_k, (1, C_k, h_k, w_k)
    with torch.no_grad(), model.autocast():
        restored = [g(x) for g, x in zip(flm.generate, left, strict=True)]  # G_k(M_k * S_k)
    errors = {
        name: [_error(t, s, m) for t, s, m in zip(known.teacher, maps, masks, strict=True)]
        for name, maps in (("without", left), ("with", restored), ("unmasked", known.generated))
    }
    strides = model.settings.strides
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    rows = [_headings(generate)]
    for k, stride in enumerate(strides):
        hidden = masks[k][0, 0].float().cpu().numpy() == 0  # (h, w)
        maps = known.student[k], restored[k], known.teacher[k]
        before, after, target = (known.colours[k](_directions(m))[0] for m in maps)  # (h, w, 3) each
        before[hidden] = HIDDEN
        features_shown = [_enlarged(colours) for colours in (before, after if generate else before, target)]
        own = {name: values[k] for name, values in errors.items()}
        label = write(104, f"stride {stride}\n{LAMBDA} = {drop[k]:.2f}\n{100 * hidden.mean():.0f} % hidden")
        bars = _bars(own, rgb(colour_of(model.settings.variant)), generate)
        rows.append(beside([label, _covered(small, hidden), *features_shown, bars]))
    rows.append(_legend())
    means = {name: _mean(values) for name, values in errors.items()}
    shown = means["with" if generate else "without"]
    values = {f"hidden_{s}": _hidden_share(m) for s, m in zip(strides, masks, strict=True)}
    values |= {"error": shown, **{f"error_{name}": mean for name, mean in means.items()}}
    return View(below(rows, gap=6), _finding(means, generate), values)


def masking(model: MRKD) -> FeatureMasking:
    """The model's feature masking.

    Raises:
        ValueError: the variant has none.
    """
    if model.flm is None:
        raise ValueError(
            f"explore_flm needs a model with feature masking, variant flm or mrkd; this one is {model.settings.variant}"
        )
    return model.flm


def explore_flm(model: MRKD, images: Pictures) -> Explorer:
    """Hide more or fewer of a student's features, and see what its generation modules restore.

    Args:
        model: trained, variant `flm` or `mrkd`.
        images: files or arrays (H, W, 3).

    Raises:
        ValueError: a model without feature masking, or no list of images.
        data.images.DataError: an image that cannot be read.
    """
    usual = masking(model).drop
    pictures = read_pictures("explore_flm", images, model.settings.size)
    model.eval()

    @lru_cache(maxsize=32)
    def features(photo: int) -> Unmasked:
        return unmasked(model, pictures[photo])

    controls = {
        "photo": picture_menu(len(pictures), "image", "which image the teacher sees"),
        "generate": ipywidgets.Checkbox(
            True, description="generation module", tooltip="restore what is hidden, or leave the gaps"
        ),
        "seed": ipywidgets.IntSlider(0, 0, 99, description="seed", tooltip="another seed hides other positions"),
    }
    names = [f"drop_{stride}" for stride in model.settings.strides]
    for name, stride, share in zip(names, model.settings.strides, usual, strict=True):
        controls[name] = ipywidgets.FloatSlider(
            value=min(share, MOST),
            min=0,
            max=MOST,
            step=0.05,
            description=f"{LAMBDA} at stride {stride}",
            tooltip=f"share of the positions at stride {stride} that are hidden",
        )

    def render(photo: int, generate: bool, seed: int, **drop: float) -> View:
        shares = [drop[name] for name in names]
        return render_flm(model, pictures[photo], shares, seed=seed, generate=generate, features=features(photo))

    return Explorer("explore_flm", controls, render)


# ---- numbers -----------------------------------------------------------------------------------------------


def _hidden_share(mask: Tensor) -> float:
    return float((mask == 0).float().mean())


def _error(teacher: Tensor, student: Tensor, mask: Tensor) -> float:
    """Mean cosine distance at the hidden positions; an empty feature is at distance 1."""
    return float(cosine_distance(teacher, student)[mask[:, 0] == 0].mean())


def _mean(errors: Sequence[float]) -> float:
    known = [e for e in errors if not np.isnan(e)]
    return float(np.mean(known)) if known else float("nan")


def _finding(means: dict[str, float], generate: bool) -> str:
    if np.isnan(means["with"]):
        return f"Nothing is hidden: move a {LAMBDA}."
    if not generate:
        return (
            f"Without the generation module nothing is left at hidden positions: error {means['without']:.2f} (mean "
            f"over the scales); with it, {means['with']:.2f}."
        )
    return (
        f"At hidden positions the generation module brings the error from {means['without']:.2f} to "
        f"{means['with']:.2f} (mean over the scales); with nothing hidden it would be {means['unmasked']:.2f} there."
    )


# ---- the picture -------------------------------------------------------------------------------------------


@drawn_once
def _headings(generate: bool) -> np.ndarray:
    out = "module on" if generate else "module off"
    heads = [write(SIDE, head, bold=True) for head in ("hidden: black", "what is left", out, "target: teacher")]
    return beside([write(104, ""), *heads, write(BARS, "error where hidden", bold=True)])


@drawn_once
def _legend() -> np.ndarray:
    text = "Equal colours in a row: similar features (PCA). Error: cosine distance to the teacher, bars from 0 to 1."
    return write(1086, text)


def _covered(image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """The small image, black where a scale's positions (h, w) are hidden."""
    covered = image.copy()
    covered[_enlarged(hidden.astype(np.uint8)) > 0] = HIDDEN
    return covered


def _directions(maps: Tensor) -> Tensor:
    """What the loss, a cosine, looks at: a student is free in the length of its features."""
    return F.normalize(maps.float(), dim=1)  # (1, C, h, w)


def _enlarged(cells: np.ndarray) -> np.ndarray:
    return cv2.resize(cells, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)


def _bars(errors: dict[str, float], colour: tuple[int, int, int], generate: bool) -> np.ndarray:
    """The errors of a scale as bars from 0 to 1; the one that the picture shows has the colour of the variant."""
    names = {"without": "module off", "with": "module on", "unmasked": "nothing hidden"}
    now = "with" if generate else "without"
    return below(
        [
            bar(
                value,
                f"{names[name]}: " + ("\N{EN DASH}" if np.isnan(value) else f"{value:.2f}"),
                width=BARS,
                colour=colour if name == now else GREY,
            )
            for name, value in errors.items()
        ],
        gap=GAP,
    )
