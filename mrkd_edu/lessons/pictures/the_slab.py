"""The one slab of all lessons, with what each detector so far makes of it."""

from __future__ import annotations

from mrkd_edu.figures.axes import frameless, new_grid
from mrkd_edu.figures.heat import outline, overlay, shared_scale, threshold_bar, threshold_line
from mrkd_edu.figures.style import TIMES, Picture, colour_of, in_our_style
from mrkd_edu.lessons.the_slab import panels, the_slab

COLUMNS = 5  # of the picture; more panels begin a second row


@in_our_style
def slab_so_far(upto: str) -> Picture:
    """The slab and its maps by all detectors up to a lesson, on one colour scale.

    Under each map stands its largest value inside the defect, in thresholds of its own detector; a thin line is the
    threshold.

    Args:
        upto: number of the lesson, `"03"`.
    """
    pair, shown = the_slab(), list(panels(upto))
    columns = min(COLUMNS, 1 + len(shown))
    rows = -(-(1 + len(shown)) // columns)
    figure, axes = new_grid(rows, columns, 2.5 * columns + 1.0, 3.2 * rows + 0.3)
    cells = list(axes.flat)
    frameless(*cells)
    cells[0].imshow(outline(pair.defective, pair.mask))
    cells[0].set_title("the slab and\nwhat lies on it", fontsize=12)
    for ax, panel in zip(cells[1:], shown, strict=False):
        ax.imshow(overlay(pair.defective, panel.map, shared_scale(1.0)))
        threshold_line(ax, panel.map)
        ax.set_title(panel.title, fontsize=12, color=colour_of(panel.variant))
        ax.set_xlabel(f"{panel.inside:.2f} {TIMES} threshold:\n{'found' if panel.found else 'missed'}", fontsize=12)
    for ax in cells[1 + len(shown) :]:
        ax.axis("off")
    threshold_bar(figure, axes, aspect=14 * rows, pad=0.02)
    return figure
