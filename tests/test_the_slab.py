"""The one slab of all lessons."""

from __future__ import annotations

import numpy as np
import pytest

from mrkd_edu.lessons import the_slab as story
from mrkd_edu.lessons.course import SIZE
from mrkd_edu.lessons.pictures.the_slab import slab_so_far


def test_the_slab_differs_from_its_twin_on_the_mask_only() -> None:
    pair = story.the_slab()
    assert pair.defective.shape == pair.normal.shape == (SIZE, SIZE, 3)
    assert pair.mask.shape == (SIZE, SIZE) and 0.003 < pair.mask.mean() < 0.03
    change = np.abs(pair.defective.astype(int) - pair.normal).max(2)
    assert change[pair.mask].mean() > 5 * change[~pair.mask].mean() + 5


def test_a_lesson_adds_its_panels_to_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    amap = np.zeros((SIZE, SIZE), np.float32)
    amap[story.the_slab().mask] = 1.2
    makers = {
        "01": lambda: [("pixels", "pixels", amap)],
        "04": lambda: [("rd", "rd", 0.5 * amap), ("without copying", "rd", amap)],
    }
    monkeypatch.setattr(story, "MAKERS", makers)
    assert [panel.title for panel in story.panels("03")] == ["pixels"]
    assert [(p.title, p.found) for p in story.panels("04")] == [
        ("pixels", True),
        ("rd", False),
        ("without copying", True),
    ]
    said = [ax.get_xlabel() for ax in slab_so_far("04").axes]
    assert any("1.20" in label and "found" in label for label in said)
    assert any("0.60" in label and "missed" in label for label in said)


def test_every_lesson_of_the_story_has_a_panel() -> None:
    assert list(story.MAKERS) == ["01", "02", "03", "04", "05", "06", "07"]


def test_the_pixel_map_is_in_thresholds_of_normal_slabs() -> None:
    found = story._pixels()
    assert found.shape == (SIZE, SIZE) and np.isfinite(found).all()
    assert 0.2 < found.max() < 5
