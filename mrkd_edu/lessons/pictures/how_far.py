"""Pictures of residuals: in which directions they vary, what is far in them, how much shrinking, and what it gives.

Results in, a new picture out; titles that say the finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Ellipse

from mrkd_edu.figures.axes import new_chart
from mrkd_edu.figures.style import NORMAL_COLOUR, Picture, colour_of, in_our_style
from mrkd_edu.lessons.pictures.comparing import panels

DEFECT_COLOUR = colour_of("rd")
SCALE_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00")
RINGS = (1, 2, 3)
TWO = {"cosine": "o", "mahalanobis": "D"}  # markers of the two distances


@in_our_style
def spectrum(variances: Mapping[int, np.ndarray]) -> Picture:
    """How much residuals vary in each direction, largest first, in units of a scale's mean.

    Args:
        variances: stride to the eigenvalues of the covariance, (C,).

    Raises:
        ValueError: there is no scale.

    Example:
        >>> spectrum({8: np.array([9.0, 1.0, 0.5])}).axes[0].get_title(loc="left")
        'The loudest direction varies\\n18 times as much as the quietest'
    """
    if not variances:
        raise ValueError("there is no scale to draw")
    figure, ax = new_chart(7.2, 4.4)
    ratios = []
    for colour, (stride, values) in zip(SCALE_COLOURS, variances.items(), strict=False):
        falling = np.sort(np.asarray(values, dtype=np.float64))[::-1]
        share = np.linspace(0, 100, len(falling))
        ax.plot(share, falling / falling.mean(), color=colour, label=f"stride {stride}, {len(falling)} channels")
        ratios.append(falling[0] / falling[-1])
    ax.axhline(1, color="black", linestyle=":", label="if all were alike")
    ax.set_yscale("log")
    ax.set(xlabel="directions, loudest first, percent of all", ylabel="variance / mean variance")
    ax.legend(loc="upper right")
    low, high = min(ratios), max(ratios)
    span = f"{low:,.0f}" if len(ratios) == 1 or round(low) == round(high) else f"{low:,.0f} to {high:,.0f}"
    ax.set_title(f"The loudest direction varies\n{span} times as much as the quietest")
    return figure


@in_our_style
def loud_and_quiet(normal: np.ndarray, defect: np.ndarray) -> Picture:
    """Residuals in one loud and one quiet direction, with rings of equal distance: 1, 2, 3 as usual.

    Args:
        normal: residuals of normal positions, (N, 2): along the loud direction, along the quiet one.
        defect: the same of a defect's positions, (M, 2).

    Raises:
        ValueError: an array has another shape.

    Example:
        >>> figure = loud_and_quiet(np.array([[3.0, 1.0], [-3.0, -1.0]]), np.array([[0.0, 9.0], [9.0, 0.0]]))
        >>> figure.axes[0].get_title(loc="left")
        'Outside the third ring: 0 % of the normal positions,\\n50 % of the defects'
    """
    for points in (normal, defect):
        if np.ndim(points) != 2 or np.shape(points)[1] != 2:
            raise ValueError(f"residuals in two directions have the shape (N, 2), not {np.shape(points)}")
    mean, spread = normal.mean(0), normal.std(0)
    figure, ax = new_chart(7.2, 5.4)
    ax.scatter(normal[:, 0], normal[:, 1], s=9, color=NORMAL_COLOUR, alpha=0.5, linewidth=0, label="normal images")
    ax.scatter(defect[:, 0], defect[:, 1], s=16, color=DEFECT_COLOUR, alpha=0.7, linewidth=0, label="defects")
    for ring in RINGS:
        width, height = 2 * ring * spread
        ax.add_patch(Ellipse((mean[0], mean[1]), width, height, fill=False, color="black", linewidth=1.2))
    reach = 1.05 * max(np.abs(normal).max(), np.abs(defect).max())
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_aspect("equal")  # a length is a length in both directions
    ax.set(xlabel="residual along a loud direction", ylabel="residual along a quiet direction")
    ax.legend(loc="upper right")
    out = [(np.sqrt((((p - mean) / spread) ** 2).sum(1)) > RINGS[-1]).mean() for p in (normal, defect)]
    ax.set_title(
        f"Outside the third ring: {100 * out[0]:.0f} % of the normal positions,\n{100 * out[1]:.0f} % of the defects"
    )
    return figure


@in_our_style
def shrinkage_curves(gammas: Sequence[float], learned: Sequence[float], new: Sequence[float]) -> Picture:
    """Mean squared distance of normal images that the covariance was learned from, and of new ones.

    Args:
        gammas: the shrinkages.
        learned, new: one value each.

    Example:
        >>> shrinkage_curves([0.01, 1.0], [1.0, 1.0], [1.8, 1.1]).axes[0].get_title(loc="left")
        'With a shrinkage of 0.01, new normal images\\nseem 1.8 times as far (squared)'
    """
    figure, ax = new_chart(7.2, 4.2)
    places = np.arange(len(gammas))
    ax.plot(places, learned, "o-", color="black", label="normal images that it was learned from")
    ax.plot(places, new, "s-", color=colour_of("mrkd"), label="new normal images")
    ax.set_xticks(places, [f"{gamma:g}" for gamma in gammas])
    ax.set_ylim(bottom=0)
    ax.set(xlabel="shrinkage $\\gamma$", ylabel="mean of $d^2$")
    ax.legend(loc="best")
    further = f"{new[0] / learned[0]:.1f} times as far (squared)"
    ax.set_title(f"With a shrinkage of {gammas[0]:g}, new normal images\nseem {further}")
    return figure


@in_our_style
def two_distances(found: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> Picture:
    """The same detectors by both distances: a panel a question, every seed a mark.

    Args:
        found: panel to detector to distance (`"cosine"`, `"mahalanobis"`, or another for a detector that has only one)
            to one value a seed.

    Raises:
        ValueError: there is nothing to draw.

    Example:
        >>> figure = two_distances({"tray": {"rd": {"cosine": [0.90, 0.92], "mahalanobis": [0.97, 0.99]}}})
        >>> figure.axes[0].get_title(loc="left")
        'tray: rd +7.0 points'
    """
    if not found:
        raise ValueError("there is no panel to draw")
    figure, axes = panels(len(found), 5.2, 3.9, room=0.3)
    for ax, (panel, detectors) in zip(axes, found.items(), strict=True):
        gains = []
        for place, (name, by_distance) in enumerate(detectors.items()):
            colour = colour_of(name)
            for shift, (distance, values) in zip((-0.16, 0.16), by_distance.items(), strict=False):
                x = place + (shift if len(by_distance) > 1 else 0)
                marker = TWO.get(distance, "s")
                ax.plot([x] * len(values), values, marker, color=colour, markersize=8, alpha=0.75, markeredgewidth=0)
                ax.hlines(np.mean(values), x - 0.13, x + 0.13, color=colour, linewidth=3)
            if set(by_distance) >= set(TWO):
                gain = np.mean(by_distance["mahalanobis"]) - np.mean(by_distance["cosine"])
                gains.append(f"{name} {100 * gain:+.1f}")
        ax.set_xticks(range(len(detectors)), list(detectors))
        ax.set_xlim(-0.5, len(detectors) - 0.5)
        ax.grid(axis="x", visible=False)
        ax.set_title(f"{panel}: {', '.join(gains)} points" if gains else panel)
    marks = [axes[0].plot([], [], marker, color="#555555", label=name)[0] for name, marker in TWO.items()]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    return figure
