"""Pictures of residuals: the titles are the findings, and what is wrong is refused."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import Ellipse

from mrkd_edu.lessons.pictures.how_far import loud_and_quiet, shrinkage_curves, spectrum, two_distances


def test_the_spectrum_falls_and_is_in_units_of_the_mean() -> None:
    figure = spectrum({8: np.array([1.0, 4.0, 1.0]), 16: np.array([8.0, 1.0])})
    fine, coarse, alike = figure.axes[0].lines
    assert np.allclose(fine.get_ydata(), [2.0, 0.5, 0.5]) and np.allclose(coarse.get_ydata(), [16 / 9, 2 / 9])
    assert np.allclose(alike.get_ydata(), 1)
    assert figure.axes[0].get_title(loc="left") == "The loudest direction varies\n4 to 8 times as much as the quietest"
    with pytest.raises(ValueError, match="no scale"):
        spectrum({})


def test_the_rings_are_multiples_of_the_normal_spread() -> None:
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(4000, 2)) * [10, 1]
    figure = loud_and_quiet(normal, np.array([[0.0, 5.0], [5.0, 0.0], [0.0, -4.0], [20.0, 0.0]]))
    rings = [patch for patch in figure.axes[0].patches if isinstance(patch, Ellipse)]
    assert [round(ring.width / ring.height) for ring in rings] == [10, 10, 10]
    assert rings[2].height == pytest.approx(6, rel=0.05)
    # the same length is far in the quiet direction and near in the loud one
    assert figure.axes[0].get_title(loc="left").endswith("1 % of the normal positions,\n50 % of the defects")
    with pytest.raises(ValueError, match=r"not \(3,\)"):
        loud_and_quiet(np.zeros(3), normal)


def test_the_curves_of_shrinkage_have_one_mark_for_each() -> None:
    figure = shrinkage_curves([0.01, 0.3, 1], [1.0, 0.9, 0.8], [2.0, 1.2, 0.9])
    known, new = figure.axes[0].lines
    assert list(new.get_ydata()) == [2.0, 1.2, 0.9] and list(known.get_ydata()) == [1.0, 0.9, 0.8]
    assert "2.0 times as far" in figure.axes[0].get_title(loc="left")


def test_two_distances_shows_every_seed_and_names_the_gain() -> None:
    found = {
        "tray": {"nn": {"euclidean": [0.9]}, "rd": {"cosine": [0.8, 0.9], "mahalanobis": [0.9, 0.96]}},
        "surface": {"rd": {"cosine": [0.9, 0.9], "mahalanobis": [0.8, 0.8]}},
        "metal": {"nn": {"euclidean": [0.7, 0.7]}},
    }
    figure = two_distances(found)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()]
    assert titles == ["tray: rd +8.0 points", "surface: rd -10.0 points", "metal"]
    marks = [y for line in figure.axes[0].lines for y in np.atleast_1d(line.get_ydata())]
    assert sorted(marks) == [0.8, 0.9, 0.9, 0.9, 0.96]
    with pytest.raises(ValueError, match="no panel"):
        two_distances({})
