"""The projector page: one explorer at a time, as large as the screen, in both themes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from test_playground import ROOT, SHOTS, free_port
from test_playground_kernels import answers
from waiting import until

from mrkd_edu.widgets.frame.paper import lay, paper
from mrkd_edu.widgets.projector import READING, STAGES, Projector, Stage

# --- without a browser -----------------------------------------------------------------------------------------


def stages(made: list[Any]) -> list[Stage]:
    def make(name: str) -> Stage:
        def show(ready: str) -> ipywidgets.Widget:
            made.append((name, ready))
            return ipywidgets.HTML(f"{name} {ready}")

        return Stage(name, f"what of {name}?", show)

    return [make("one"), make("two")]


def test_there_is_something_to_read_until_the_students_are_ready() -> None:
    go = threading.Event()
    projector = Projector(stages([]), ["slab", "nut"], lambda product: go.wait(60) and product, "<p>Meanwhile</p>")
    assert "Meanwhile" in projector.place.children[0].value
    assert "what of one?" in projector.question.value
    go.set()
    assert projector.wait()
    assert projector.place.children[0].value == "one slab"
    projector.close()


def test_a_product_is_made_ready_once_and_the_last_choice_is_shown() -> None:
    made: list[Any] = []
    ready: list[str] = []
    projector = Projector(stages(made), ["slab", "nut"], lambda product: ready.append(product) or product, "<p></p>")
    assert projector.wait()
    projector.product.value = "nut"
    projector.stage.value = "two"
    assert projector.wait()
    projector.product.value = "slab"
    assert projector.wait()
    assert projector.place.children[0].value == "two slab"
    assert ready == ["slab", "nut"]
    projector.close()


def test_what_goes_wrong_is_said_on_the_page() -> None:
    def broken(product: str) -> str:
        raise ValueError(f"no images of {product}")

    projector = Projector(stages([]), ["slab"], broken, "<p></p>")
    assert projector.wait()
    assert "no images of slab" in projector.place.children[0].value
    projector.close()


def test_every_stage_asks_a_question_and_the_reading_names_the_students() -> None:
    assert all(stage.question.endswith("?") for stage in STAGES)
    assert all(f"<b>{name}</b>" in READING for name in ("rd", "mrkd", "rd, long"))


def test_dark_paper_is_taken_back() -> None:
    try:
        assert lay(True) and paper().page == (30, 30, 30)
        assert not lay(True)
    finally:
        lay(False)
    assert paper().page == (255, 255, 255)


# --- in a browser ----------------------------------------------------------------------------------------------

SIZES = ((1280, 720), (1920, 1080))
PATIENCE = 300_000  # milliseconds until three students are trained


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Page]:
    """The projector as `make projector` opens it."""
    folder, port = tmp_path_factory.mktemp("projector"), free_port()
    command = [sys.executable, "-m", "voila", str(ROOT / "notebooks" / "projector.ipynb"), "--no-browser"]
    command += [f"--port={port}", f"--theme={request.param}"]
    of_its_own = {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "MRKD_EDU_BUDGET": os.environ.get("MRKD_EDU_BUDGET", "quick"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    log = folder / "log"
    with log.open("w") as stream:
        server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **of_its_own}, stdout=stream, stderr=stream)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/voila/static/voila.js") or server.poll() is not None)
        assert server.poll() is None, log.read_text()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": SIZES[0][0], "height": SIZES[0][1]})
            page.goto(f"http://127.0.0.1:{port}", timeout=PATIENCE)
            page.wait_for_selector(".mrkd-projector", timeout=PATIENCE)
            page.wait_for_selector(".mrkd-paint-defects .mrkd-picture", timeout=PATIENCE)
            page.wait_for_timeout(1500)
            yield page
            browser.close()
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[1]}p")
def test_the_painter_fills_the_screen_and_can_be_read(page: Page, size: tuple[int, int]) -> None:
    width, height = size
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(800)
    canvas, picture = page.locator(".mrkd-canvas").bounding_box(), page.locator("img.mrkd-picture").bounding_box()
    assert canvas is not None and picture is not None
    for box in (canvas, picture):
        assert box["y"] + box["height"] <= height, "all is on the screen"
    assert picture["width"] > 0.55 * width
    letters = page.locator(".mrkd-projector button, .mrkd-says .widget-html-content").evaluate_all(
        "all => all.map(one => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(letters) >= 20 * height / 1080 * 0.99
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"projector-{height}-{_theme(page)}.png")


@pytest.mark.browser
@pytest.mark.slow
def test_pictures_lie_on_paper_of_the_page_s_theme(page: Page) -> None:
    shot = page.locator("img.mrkd-picture").screenshot()
    corner = Image.open(io.BytesIO(shot)).convert("L").getpixel((4, 4))
    assert (corner < 60) == (_theme(page) == "dark")


@pytest.mark.browser
@pytest.mark.slow
def test_another_explorer_takes_the_place(page: Page) -> None:
    page.get_by_role("button", name="Move the threshold").click()
    page.wait_for_selector(".mrkd-explore-threshold img.mrkd-picture", timeout=60_000)
    assert page.locator(".mrkd-paint-defects").count() == 0
    page.get_by_role("button", name="Paint a defect").click()
    page.wait_for_selector(".mrkd-paint-defects img.mrkd-picture", timeout=60_000)


def _theme(page: Page) -> str:
    return "light" if page.evaluate("document.body.dataset.jpThemeLight") == "true" else "dark"
