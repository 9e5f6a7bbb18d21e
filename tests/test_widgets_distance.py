"""The distance explorer: what it says follows the position, however that is chosen."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mrkd_edu.model import MRKD
from mrkd_edu.widgets.explorers.distance import (
    GAP,
    TITLE,
    _marked,
    clicked,
    explore_distance,
    panel_side,
    render_distance,
)
from mrkd_edu.widgets.frame import click_picture
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.front_end import front_end
from mrkd_edu.widgets.frame.panels import framed, png

pytestmark = pytest.mark.usefixtures("nothing_remembered")

SIZE, CELLS, SCALES = 64, 16, 4


@pytest.fixture(scope="module")
def model() -> MRKD:
    return MRKD(variant="mrkd", size=SIZE, strides=(4, 8, 16, 32), squeeze=2, pretrained=False, width=16)


@pytest.fixture
def images(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(2)]


@pytest.fixture
def explorer(model: MRKD, images: list[np.ndarray]) -> Iterator[Explorer]:
    explorer = explore_distance(model, images)
    assert explorer.wait()
    yield explorer


def maps(*sides: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(6, n, n, generator=generator) for n in sides]


def place_of(panel: tuple[int, int], row: int, col: int) -> tuple[float, float]:
    """The middle of a cell of the finest scale in a panel (line, column), as a click on the framed picture."""
    side = panel_side(SCALES)
    width, height = (SCALES + 1) * (side + GAP) + GAP, 2 * (TITLE + side + GAP) + GAP
    x = GAP + panel[1] * (side + GAP) + (col + 0.5) * side / CELLS
    y = GAP + panel[0] * (TITLE + side + GAP) + TITLE + (row + 0.5) * side / CELLS
    return x / width, y / height


# ---- the picture -------------------------------------------------------------------------------------------


def test_values_are_the_means_of_cosines() -> None:
    teacher, student = maps(16, 8), maps(16, 8)[::-1]
    student = [F.interpolate(s[None], t.shape[-2:])[0] for s, t in zip(student, teacher, strict=True)]
    view = render_distance(np.zeros((64, 64, 3), np.uint8), teacher, student, row=5, col=2)
    unit = F.normalize(teacher[0], dim=0)
    cosines = (unit[:, 5, 2, None, None] * unit).sum(0)
    near = (cosines[4:7, 1:4].sum() - 1) / 8
    assert view.values["teacher_near_4"] == pytest.approx(near.item(), abs=1e-6)
    far = torch.ones(16, 16, dtype=torch.bool)
    far[:11, :8] = False
    assert view.values["teacher_far_4"] == pytest.approx(cosines[far].mean().item(), abs=1e-6)
    # cell (5, 2) of 16 x 16 lies in cell (2, 1) of 8 x 8
    here = F.cosine_similarity(teacher[1][:, 2, 1], student[1][:, 2, 1], dim=0).item()
    assert view.values["distance_8"] == pytest.approx(1 - here, abs=1e-6)
    assert view.image.dtype == np.uint8 and view.image.shape[1] < 1150
    assert "0." in view.says and "-0.00" not in view.says


def test_a_map_of_one_feature_is_alike_everywhere() -> None:
    view = render_distance(np.zeros((64, 64, 3), np.uint8), [torch.ones(3, 16, 16)], [torch.ones(3, 16, 16)], 0, 15)
    assert view.values.pop("distance_4") == pytest.approx(0, abs=1e-6)
    assert len(view.values) == 4 and list(view.values.values()) == pytest.approx([1.0] * 4)


def test_a_position_outside_is_refused() -> None:
    with pytest.raises(ValueError, match=r"position \(16, 0\) lies outside the finest map of 16 x 16 cells"):
        render_distance(np.zeros((64, 64, 3), np.uint8), maps(16), maps(16), 16, 0)


def test_the_mark_is_drawn_on_the_image_and_on_every_map() -> None:
    view = [render_distance(np.zeros((64, 64, 3), np.uint8), maps(16, 8), maps(16, 8), 8, col).image for col in (2, 13)]
    side = panel_side(2)
    for line in range(2):
        for column in range(3):
            if (line, column) == (1, 0):
                continue  # the legend
            top, left = line * (TITLE + side + GAP) + TITLE, column * (side + GAP)
            parts = [v[top : top + side, left : left + side].astype(int) for v in view]
            assert (parts[0] != parts[1]).any(axis=2)[:, side // 10 : side // 4].any()


def test_the_mark_keeps_its_size_in_a_corner() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    sizes = [(_marked(grey.copy(), at, (64, 64)) != 128).any(axis=2).sum() for at in ((32, 32), (0, 0), (63, 63))]
    assert sizes[0] == sizes[1] == sizes[2] > 0


# ---- the hand ----------------------------------------------------------------------------------------------


def test_sliders_set_the_position(explorer: Explorer) -> None:
    before = explorer.view
    explorer.controls["row"].value, explorer.controls["col"].value = 3, 12
    assert explorer.wait()
    assert explorer.view is not None and before is not None
    assert explorer.view.values != before.values
    assert explorer.problem.value == ""


@pytest.mark.parametrize("panel", [(0, 0), (0, 3), (1, 1), (1, 4)])
def test_a_click_sets_the_sliders(explorer: Explorer, panel: tuple[int, int]) -> None:
    x, y = place_of(panel, 3, 12)
    explorer.shown.picture.receive({"click": [x, y]})
    assert (explorer.controls["row"].value, explorer.controls["col"].value) == (3, 12)
    assert explorer.wait()
    by_click = explorer.view
    explorer.set(row=0, col=0)
    explorer.set(row=3, col=12)
    assert explorer.wait()
    assert by_click is not None and explorer.view is not None and by_click.values == explorer.view.values


def test_clicks_are_measured_on_the_picture_that_is_shown(explorer: Explorer) -> None:
    assert explorer.view is not None
    height, width = framed(explorer.view.image).shape[:2]
    side = panel_side(SCALES)
    corner = GAP + 1.01, GAP + TITLE + 1.01  # the image's first pixels, below its title
    assert clicked(corner[0] / width, corner[1] / height, SCALES) == pytest.approx((1 / side, 1 / side), abs=0.01)


def test_clicks_beside_the_panels_do_nothing(explorer: Explorer) -> None:
    before = explorer.state
    for place in ([0.0, 0.0], [1.0, 1.0], list(place_of((1, 0), 8, 8))):  # the last: on the legend
        explorer.shown.picture.receive({"click": place})
    assert explorer.state == before


def test_arrow_keys_move_cell_by_cell_and_stop_at_the_edge(explorer: Explorer) -> None:
    explorer.set(row=1, col=8)
    explorer.shown.picture.receive({"move": [1, 0]})
    explorer.shown.picture.receive({"move": [0, -4]})
    assert (explorer.controls["row"].value, explorer.controls["col"].value) == (0, 9)


def test_another_image_and_reset(explorer: Explorer) -> None:
    first = explorer.view
    explorer.set(photo=1, row=2, col=2)
    assert explorer.wait() and explorer.view is not None and first is not None
    assert explorer.view.values != first.values
    explorer.reset()
    assert explorer.wait()
    assert explorer.state == {"photo": 0, "row": 8, "col": 8}
    assert explorer.view.values == pytest.approx(first.values)  # threads may add up in another order


def test_the_position_is_remembered(explorer: Explorer, model: MRKD, images: list[np.ndarray]) -> None:
    explorer.set(photo=1, row=4, col=5)
    again = explore_distance(model, images)
    assert again.state == {"photo": 1, "row": 4, "col": 5} and again.wait()


def test_an_error_is_shown(explorer: Explorer) -> None:
    explorer.controls["row"].max = 99
    explorer.controls["row"].value = 99
    assert explorer.wait()
    assert "lies outside the finest map" in explorer.problem.value


def test_no_image_is_refused(model: MRKD) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        explore_distance(model, [])


# ---- in a browser ------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_picture_in_a_browser(chromium: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason='no playwright: pip install -e ".[test]"')
    script = front_end(click_picture.__file__, "click_picture.js")
    source, picture = (
        base64.b64encode(data).decode()
        for data in (script.encode(), png(np.zeros((100, 200, 3), np.uint8)))
    )
    setup = """async ([source, picture]) => {
        const { default: widget } = await import("data:text/javascript;base64," + source);
        const bytes = Uint8Array.from(atob(picture), (c) => c.charCodeAt(0));
        window.sent = [];
        const traits = { value: new DataView(bytes.buffer), tooltip: "Click here" };
        const model = { get: (name) => traits[name], on() {}, off() {}, send: (content) => sent.push(content) };
        widget.render({ model, el: document.body });
        await document.querySelector("img").decode();
    }"""
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.add_style_tag(content=front_end(click_picture.__file__, "click_picture.css"))
        page.evaluate(setup, [source, picture])
        page.locator("img").click(position={"x": 50, "y": 75})
        page.wait_for_function("sent.length > 0")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("a")
        stage = page.get_by_role("application", name="Click here")
        assert stage.evaluate("e => e === document.activeElement")
        assert page.evaluate("sent") == [{"click": [0.25, 0.75]}, {"move": [1, 0]}, {"move": [0, -4]}]
        page.locator("img").hover(position={"x": 20, "y": 20})
        page.mouse.down()
        for x in range(30, 190, 10):
            page.mouse.move(page.locator("img").bounding_box()["x"] + x, 60)
        page.wait_for_function("sent.at(-1).click?.[0] > 0.85")
        page.mouse.up()
        page.set_viewport_size({"width": 150, "height": 300})  # narrower than the picture: it shrinks
        box = page.locator("img").bounding_box()
        assert box["width"] < 150 and box["width"] == pytest.approx(2 * box["height"], rel=0.02)
        browser.close()
