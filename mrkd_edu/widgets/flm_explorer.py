"""The FLM explorer: hide positions of the student's features, and see whether the generation module restores them.

Feature-level masking turns copying into restoring: what is hidden at a position can only come from its surroundings.
This explorer shows what is hidden, what is left, what comes out, and what should.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import ipywidgets
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mrkd_edu.data.images import ImageSource, read_image
from mrkd_edu.distance import cosine_distance
from mrkd_edu.flm import FeatureMasking, random_mask
from mrkd_edu.leakage import FeaturePair
from mrkd_edu.model import MRKD
from mrkd_edu.plots import colour_of
from mrkd_edu.plots_features import pca_colours
from mrkd_edu.widgets.explorer import Explorer
from mrkd_edu.widgets.judgement import rgb
from mrkd_edu.widgets.panels import GAP, View, bar, below, beside, panel, write

SIDE = 168  # of a picture, pixels
BARS = 250  # width of the bars, pixels
GREY = (140, 140, 140)
HIDDEN = (0, 0, 0)
MOST = 0.95  # the largest lambda on offer


def unmasked(model: MRKD, image: np.ndarray) -> FeaturePair:
    """An image uint8 (S, S, 3) to the teacher's maps and to the student's before anything is hidden."""
    with torch.no_grad(), model.autocast():
        teacher = model.see(torch.from_numpy(image).permute(2, 0, 1)[None])
        return teacher, model.student(teacher)


def hide(maps: Sequence[Tensor], drop: Sequence[float], seed: int) -> list[Tensor]:
    """The masks that training would draw with this seed, for one image: one (1, 1, h_k, w_k) a scale, 0 where hidden.

    Example:
        >>> [fine, coarse] = hide([torch.zeros(1, 9, 8, 8), torch.zeros(1, 9, 4, 4)], (0.5, 0.0), seed=0)
        >>> fine.shape, bool(fine.all()), bool(coarse.all())
        (torch.Size([1, 1, 8, 8]), False, True)
    """
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
    features: FeaturePair | None = None,
) -> View:
    r"""What feature masking hides at each scale, and what the generation module makes of the rest.

    Args:
        model: with feature masking, see `masking`.
        image: uint8 (S, S, 3), of the model's size.
        drop: :math:`\lambda`, the share of hidden positions, one a scale.
        seed: of the masks.
        generate: whether the generation module is at work in the picture.
        features: what `unmasked` gives for the image, if it is known already.

    Returns:
        `values` has the share that is hidden at every stride, such as `hidden_4`, and the cosine distance to the
        teacher at hidden positions, a mean over the scales: `error` as shown, `error_with` and `error_without` the
        module, `error_unmasked` with the module and nothing hidden. It is not a number where nothing is hidden.
    """
    flm = masking(model)
    teacher, student = unmasked(model, image) if features is None else features
    masks = hide(student, drop, seed)
    left = [s * m for s, m in zip(student, masks, strict=True)]  # M_k * S_k, (1, C_k, h_k, w_k)
    with torch.no_grad(), model.autocast():
        restored = [g(x) for g, x in zip(flm.generate, left, strict=True)]  # G_k(M_k * S_k)
        untouched = [g(x) for g, x in zip(flm.generate, student, strict=True)]  # G_k(S_k)
    errors = {
        name: [_error(t, s, m) for t, s, m in zip(teacher, maps, masks, strict=True)]
        for name, maps in (("without", left), ("with", restored), ("unmasked", untouched))
    }
    strides = model.settings.strides
    rows = [_headings(generate)]
    for k, stride in enumerate(strides):
        out = restored[k] if generate else left[k]
        pictures = _scale(image, masks[k], student[k], out, teacher[k], generate)
        own = {name: values[k] for name, values in errors.items()}
        share = _hidden_share(masks[k])
        label = write(104, f"stride {stride}\n{100 * share:.0f} % hidden")
        bars = _bars(own, rgb(colour_of(model.settings.variant)), generate)
        rows.append(beside([label, *pictures, bars]))
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


def explore_flm(model: MRKD, images: Sequence[ImageSource]) -> Explorer:
    """Hide more or fewer of a student's features, and see what its generation modules restore.

    Args:
        model: trained, variant `flm` or `mrkd`.
        images: files or arrays (H, W, 3).

    Raises:
        ValueError: a model without feature masking, or no image.
    """
    usual = masking(model).drop
    if len(images) == 0:
        raise ValueError("explore_flm needs at least one image; give files or arrays")
    pictures = [read_image(image, model.settings.size) for image in images]

    @lru_cache(maxsize=32)
    def features(photo: int) -> FeaturePair:
        return unmasked(model, pictures[photo])

    controls = {
        "photo": ipywidgets.Dropdown(
            options=[(f"picture {i + 1}", i) for i in range(len(pictures))],
            value=0,
            description="image",
            tooltip="which image the teacher sees",
        ),
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
            description=f"\N{GREEK SMALL LETTER LAMDA} at stride {stride}",
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
        return "Nothing is hidden: move a lambda."
    if not generate:
        return f"Without the generation module nothing is left at hidden positions: error {means['without']:.2f}."
    return (
        f"At hidden positions the generation module brings the error from {means['without']:.2f} to "
        f"{means['with']:.2f}; with nothing hidden it would be {means['unmasked']:.2f}."
    )


# ---- the picture -------------------------------------------------------------------------------------------


def _headings(generate: bool) -> np.ndarray:
    out = "restored" if generate else "not restored"
    heads = [write(SIDE, head, bold=True) for head in ("hidden: black", "what is left", out, "target: teacher")]
    return beside([write(104, ""), *heads, write(BARS, "error where hidden", bold=True)])


@lru_cache
def _legend() -> np.ndarray:
    text = "Colours: directions of features (PCA), shared in a row. Error: cosine distance to the teacher, bars from 0 to 1."
    return write(1060, text)


def _scale(
    image: np.ndarray, mask: Tensor, student: Tensor, out: Tensor, teacher: Tensor, generate: bool
) -> list[np.ndarray]:
    """One scale: where, what is left, what comes out, the target. The features share their colours."""
    hidden = mask[0, 0].float().cpu().numpy() == 0  # (h, w)
    # The loss is a cosine: a student is free in the length of its features, so only their direction is shown.
    directions = F.normalize(torch.cat([student, out, teacher]).float(), dim=1)  # (3, C, h, w)
    before, after, target = pca_colours(directions)  # (h, w, 3) each
    before[hidden] = HIDDEN
    if not generate:
        after[hidden] = HIDDEN
    covered = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    covered[cv2.resize(hidden.astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 0] = HIDDEN
    large = [cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) for p in (before, after, target)]
    return [covered, *large]


def _bars(errors: dict[str, float], colour: tuple[int, int, int], generate: bool) -> np.ndarray:
    """The errors of a scale as bars from 0 to 1; the one that the picture shows has the colour of the variant."""
    names = {"without": "gaps left", "with": "restored", "unmasked": "nothing hidden"}
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
