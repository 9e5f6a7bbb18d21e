"""Contact sheets of the toy factory: what is normal, what can go wrong, and how it grows from hidden to obvious."""

from __future__ import annotations

from collections.abc import Sequence

from mrkd_edu.figures.axes import head_row, new_grid
from mrkd_edu.figures.heat import outline
from mrkd_edu.figures.style import Picture, in_our_style
from mrkd_edu.toy import CATEGORIES, render_normal, render_pair

SHOWN = (0.15, 0.4, 0.7, 1.0)


@in_our_style
def defect_sheet(category: str, *, strengths: Sequence[float] = SHOWN, size: int = 192, seed: int = 0) -> Picture:
    """Every kind of defect of a category, one a row: the normal twin, growing strength, and the true outline.

    Args:
        category: a key of `toy.CATEGORIES`.
        strengths: in (0, 1].
        size: side of a picture, pixels.
        seed: of product, light and defect.

    Example:
        >>> figure = defect_sheet("metal", strengths=(1.0,), size=64)
        >>> len(figure.axes)  # five kinds; twin, defect and outline
        15
    """
    kinds = list(CATEGORIES[category].defects)
    columns = ["normal twin", *(f"strength {s:g}" for s in strengths), "true outline"]
    figure, axes = new_grid(len(kinds), len(columns), 1.9 * len(columns) + 0.4, 1.95 * len(kinds) + 0.3)
    for row, kind in zip(axes, kinds, strict=True):
        pairs = [render_pair(category, kind, s, size=size, seed=seed) for s in strengths]
        images = [pairs[-1].normal, *(p.defective for p in pairs), outline(pairs[-1].defective, pairs[-1].mask)]
        for ax, image in zip(row, images, strict=True):
            ax.imshow(image)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(kind)
    head_row(axes[0], columns, loc="center", fontsize=12)
    return figure


@in_our_style
def normal_sheet(*, number: int = 5, size: int = 192) -> Picture:
    """Normal pictures of all categories, one a row: what a detector has to put up with.

    Args:
        number: pictures of each category.
        size: side of a picture, pixels.
    """
    figure, axes = new_grid(len(CATEGORIES), number, 1.9 * number + 0.4, 1.95 * len(CATEGORIES))
    for row, category in zip(axes, CATEGORIES, strict=True):
        for seed, ax in enumerate(row):
            ax.imshow(render_normal(category, size=size, seed=seed))
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(category)
    return figure
