"""What pictures of lessons 07 and 09 share: panels, names of measures, rankings in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from mrkd_edu.figures.axes import new_grid
from mrkd_edu.figures.style import MINUS, Picture

MEASURE_NAMES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO", "leakage": "leakage"}
LESS_IS_BETTER = ("leakage",)
SEED_MARKERS = ("o", "s", "^", "D", "v", "P")
PanelValues = Mapping[str, Mapping[str, Sequence[float]]]


def panels(number: int, width: float, height: float, room: float = 0.4) -> tuple[Picture, list[Axes]]:
    """Up to two panels a row, of some inches each; `room` is what the legend takes."""
    columns = min(2, number)
    rows = -(-number // columns)
    figure, grid = new_grid(rows, columns, width * columns, height * rows + room)
    axes = grid.ravel().tolist()
    for ax in axes[number:]:
        ax.set_visible(False)
    return figure, axes[:number]


def name_of(measure: str) -> str:
    return MEASURE_NAMES.get(measure, measure)


def direction(measure: str) -> str:
    return "less" if measure in LESS_IS_BETTER else "more"


def signed(differences: Sequence[float]) -> str:
    """The mean of differences of shares, in percentage points and with a sign.

    Example:
        >>> signed([0.01, 0.02]), signed([0.0001])
        ('+1.5', '0.0')
    """
    points = round(100 * float(np.mean(differences)), 1)
    return "0.0" if points == 0 else f"{points:+.1f}".replace("-", MINUS)


def ranking(measure: str, by_variant: Mapping[str, np.ndarray]) -> str:
    """Best and last by their means, and whether the values of one all lie above those of the other."""
    ordered = sorted(by_variant, key=lambda name: -float(by_variant[name].mean()))
    if measure in LESS_IS_BETTER:
        ordered.reverse()
    best, last = by_variant[ordered[0]], by_variant[ordered[-1]]
    if len(ordered) == 1 or round(best.mean(), 3) == round(last.mean(), 3):
        return f"{ordered[0]} {best.mean():.3f}" if len(ordered) == 1 else f"all alike ({best.mean():.3f})"
    apart = best.min() > last.max() or best.max() < last.min()
    if len(best) == 1:
        spread = "one seed, no spread known"
    else:
        spread = "their seeds lie apart" if apart else "their seeds overlap"
    high, low = (round(float(values.mean()), 3) + 0.0 for values in (best, last))  # + 0.0: no "-0.000"
    return f"{ordered[0]} best ({high:.3f}), {ordered[-1]} last ({low:.3f}); {spread}"
