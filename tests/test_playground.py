"""The playground as a person uses it: a real JupyterLab, a real browser, a mouse and a keyboard.

The notebook is copied to an empty folder and run there. Pictures of what the browser showed are left in
`out/screenshots`.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import ConsoleMessage, Locator, Page, TimeoutError, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
SHOTS = ROOT / "out" / "screenshots"
EXPLORERS = (
    *("paint-defects", "explore-overgeneralisation", "explore-ilm", "explore-flm", "explore-distance"),
    *("explore-threshold", "watch-training"),
)
PATIENCE = 240_000  # milliseconds until two students are trained and all explorers are there
SETTINGS = {  # a JupyterLab that asks nobody outside, and keeps cells that are out of sight in the page
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
    "notebook-extension/tracker": '{"windowingMode": "none"}',
}
COUNT_PICTURES = """
    window.made = 0; window.freed = 0;
    const make = URL.createObjectURL, free = URL.revokeObjectURL;
    URL.createObjectURL = (thing) => { window.made++; return make.call(URL, thing); };
    URL.revokeObjectURL = (url) => { window.freed++; return free.call(URL, url); };
"""

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=15_000)  # milliseconds; a busy machine takes its time


@dataclass
class Playground:
    """The open page, and what its console complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Locator:
        """An explorer, scrolled into view."""
        explorer = self.page.locator(f".mrkd-{name}").first
        explorer.scroll_into_view_if_needed()
        return explorer

    def says(self, name: str) -> str:
        return self[name].locator(".mrkd-says").inner_text()

    def numbers(self, name: str) -> list[float]:
        return [float(number) for number in re.findall(r"-?\d+\.?\d*", self.says(name))]

    def scores(self) -> list[float]:
        """What the painter's students say, in thresholds."""
        return [float(number) for number in re.findall(r"([\d.]+) times", self.says("paint-defects"))]

    def changed(self, name: str, before: str) -> str:
        """What the explorer says once it says something else, and is quiet again."""
        expect(self[name].locator(".mrkd-says")).not_to_have_text(before, timeout=30_000)
        return self.settled(name)

    def settled(self, name: str) -> str:
        says = None
        while says != (says := self.says(name)):
            self.page.wait_for_timeout(600)
        return says

    def back(self, name: str, button: str, before: str) -> None:
        """Press a button that brings back what was said before."""
        self[name].get_by_role("button", name=button).click()
        expect(self[name].locator(".mrkd-says")).to_have_text(before)

    def shot(self, name: str, what: str = "") -> None:
        self[name].screenshot(path=SHOTS / f"{name}{what}.png")


def slider(explorer: Locator, label: str) -> Locator:
    return explorer.locator(".widget-slider", has=explorer.page.get_by_text(label, exact=True))


def drag(page: Page, handle: Locator, right: float, down: float = 0) -> None:
    """Pull the middle of something with the mouse, in several small moves."""
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=15)
    page.mouse.up()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A JupyterLab server on a copy of the playground, without the user's own settings."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(ROOT / "notebooks" / "playground.ipynb", folder)
    for name, setting in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(setting, encoding="utf-8")
    port = free_port()
    of_its_own = {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "MRKD_EDU_BUDGET": os.environ.get("MRKD_EDU_BUDGET", "quick"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    log = folder / "server.log"
    with log.open("w") as stream:
        server = subprocess.Popen(command, env={**os.environ, **of_its_own}, stdout=stream, stderr=stream)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            if server.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{url}/api", timeout=5)
                yield url
                return
            except OSError:
                time.sleep(0.25)
        pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")
    finally:
        server.terminate()
        server.wait(30)


def run_all(page: Page, url: str) -> None:
    """Open a notebook and run all its cells. A JupyterLab that is asked before its kernel is ready never answers."""
    indicator = ".jp-Notebook-ExecutionIndicator[data-status='{}']"
    for pause in (2_000, 6_000, 18_000):
        page.goto(url)
        page.locator(indicator.format("idle")).wait_for(timeout=60_000)
        page.wait_for_timeout(pause)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        try:
            page.locator(indicator.format("busy")).wait_for(timeout=10_000)
        except TimeoutError:
            continue
        break
    page.locator(".mrkd-watch-training .mrkd-picture").wait_for(timeout=PATIENCE)


@pytest.fixture(scope="module")
def playground(address: str, chromium: str) -> Iterator[Playground]:
    """The playground, all its cells run."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(30_000)
        page.add_init_script(COUNT_PICTURES)
        opened = Playground(page)

        def listen(message: ConsoleMessage) -> None:
            if message.type == "error":
                opened.complaints.append(message.text)

        page.on("console", listen)
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        run_all(page, f"{address}/lab/tree/playground.ipynb?reset")
        yield opened
        browser.close()


# --- all explorers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPLORERS)
def test_an_explorer_shows_a_picture_and_says_what_is_on_it(playground: Playground, name: str) -> None:
    picture = playground[name].locator("img").first
    expect(picture).to_be_visible()
    playground.page.wait_for_function("image => image.naturalWidth > 300", arg=picture.element_handle())
    shown = playground[name].locator(".mrkd-shown")
    inside = "(box, image) => image.getBoundingClientRect().bottom <= box.getBoundingClientRect().bottom"
    assert shown.evaluate(inside, shown.locator("img").first.element_handle()), "nothing is cut off"
    assert playground.settled(name).endswith(".")
    for problem in playground[name].locator(".mrkd-problem").all():
        expect(problem).to_have_text("")
    playground.shot(name)


# --- one by one ------------------------------------------------------------------------------------------------


def test_the_score_rises_under_a_stroke_and_falls_back(playground: Playground) -> None:
    name = "paint-defects"
    before = playground.settled(name)
    rd, mrkd, _ = playground.scores()
    assert "copies" not in before
    drag(playground.page, playground[name].locator("canvas"), 90, 40)
    said = playground.changed(name, before)
    painted_rd, painted_mrkd, _ = playground.scores()
    assert said.count("copies") == 3
    assert painted_rd > 1.2 * rd and painted_mrkd > 1.2 * mrkd
    playground.shot(name, "-stroke")
    playground.back(name, "Undo", before)


def test_a_picked_colour_leaves_no_trace(playground: Playground) -> None:
    name = "paint-defects"
    before = playground.settled(name)
    playground[name].get_by_role("button", name="Pick colour").click()
    drag(playground.page, playground[name].locator("canvas"), 40)  # the hand moves while it picks
    colour = playground[name].locator("input[type=color]")
    expect(colour).not_to_have_value("#3a2a1a")
    assert playground.settled(name) == before
    colour.fill("#3a2a1a")


def test_a_stroke_after_a_needless_clear_is_judged_at_once(playground: Playground) -> None:
    name = "paint-defects"
    before = playground.settled(name)
    playground[name].get_by_role("button", name="Clear").click()
    drag(playground.page, playground[name].locator("canvas"), 60, 60)
    expect(playground[name].locator(".mrkd-says")).not_to_have_text(before, timeout=3000)  # it gives up after 4 s
    playground.back(name, "Reset", before)


def test_keys_stay_in_the_explorer(playground: Playground) -> None:
    """In a notebook an arrow goes to another cell, and X cuts one."""
    name, page = "paint-defects", playground.page
    cells = page.locator(".jp-Cell").count()
    before = playground.settled(name)
    menu = playground[name].locator("select")
    menu.focus()
    page.keyboard.press("ArrowDown")
    expect(menu).to_have_value("picture 2")
    playground.changed(name, before)
    playground[name].get_by_role("button", name="Reset").focus()
    page.keyboard.press("x")
    assert page.locator(".jp-Cell").count() == cells
    page.keyboard.press("Enter")  # resets
    expect(menu).to_have_value("picture 1")
    expect(playground[name].locator(".mrkd-says")).to_have_text(before)


def test_screen_readers_hear_what_is_said(playground: Playground) -> None:
    name = "explore-ilm"
    before = playground.settled(name)
    slider(playground[name], "seed").locator(".noUi-handle").focus()
    playground.page.keyboard.press("ArrowRight")
    expect(playground[name].locator(".mrkd-voice")).to_have_text(playground.changed(name, before))
    playground.back(name, "Reset", before)


def test_the_painter_takes_the_keyboard(playground: Playground) -> None:
    name = "paint-defects"
    before = playground.settled(name)
    playground[name].locator("canvas").focus()
    for key in (" ", "ArrowRight", "ArrowRight", "ArrowDown", " "):
        playground.page.keyboard.press(key)
    playground.changed(name, before)
    playground.back(name, "Clear", before)


def test_a_photo_of_ones_own_is_judged_and_another_file_is_refused(playground: Playground, tmp_path: Path) -> None:
    name = "paint-defects"
    before = playground.settled(name)
    (tmp_path / "words.png").write_text("no picture")
    chooser = playground[name].locator("input[type=file]")
    chooser.set_input_files(tmp_path / "words.png")
    expect(playground[name].get_by_text("words.png is no picture")).to_be_visible()
    Image.effect_noise((300, 200), 90).convert("RGB").save(tmp_path / "photo.jpg")
    chooser.set_input_files(tmp_path / "photo.jpg")
    playground.changed(name, before)
    assert playground.numbers(name)[0] > 1.5  # nothing like a stone slab
    expect(playground[name].get_by_text("words.png is no picture")).to_be_hidden()
    playground.back(name, "Reset", before)


def test_a_photo_can_be_dropped_on_the_canvas(playground: Playground) -> None:
    name = "paint-defects"
    before = playground.settled(name)
    photo = io.BytesIO()
    Image.effect_noise((300, 200), 90).convert("RGB").save(photo, "PNG")
    drop = """(canvas, bytes) => {
        const carried = new DataTransfer();
        if (bytes) carried.items.add(new File([new Uint8Array(bytes)], "photo.png", { type: "image/png" }));
        canvas.dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));
    }"""
    canvas = playground[name].locator("canvas")
    canvas.evaluate(drop, None)
    expect(playground[name].get_by_text("That was no file")).to_be_visible()
    canvas.evaluate(drop, list(photo.getvalue()))
    playground.changed(name, before)
    playground.back(name, "Clear", before)


def test_the_mask_share_follows_the_size_of_the_patches(playground: Playground) -> None:
    name = "explore-ilm"

    def share() -> float:
        found = re.search(r"([\d.]+) % of the image", playground.settled(name))
        assert found, playground.says(name)
        return float(found[1])

    before, small = playground.settled(name), share()
    for label in ("half height", "half width"):  # the lower bounds go up: only large patches are left
        drag(playground.page, slider(playground[name], label).locator(".noUi-handle").first, 60)
    playground.changed(name, before)
    large = share()
    assert large > 1.5 * small
    playground.shot(name, "-large")
    playground.back(name, "Reset", before)


def test_a_number_typed_by_keyboard_hides_more(playground: Playground) -> None:
    name = "explore-flm"
    before = playground.settled(name)
    readout = slider(playground[name], "\N{GREEK SMALL LETTER LAMDA} at stride 8").locator(".widget-readout")
    readout.click()
    playground.page.keyboard.press("Control+A")
    playground.page.keyboard.type("0.90")
    playground.page.keyboard.press("Enter")
    playground.changed(name, before)
    expect(readout).to_have_text("0.90")
    playground.shot(name, "-typed")


def test_a_click_and_the_arrow_keys_move_the_position(playground: Playground) -> None:
    name = "explore-distance"
    before = playground.settled(name)
    row, col = (slider(playground[name], label).locator(".widget-readout") for label in ("row", "column"))
    picture = playground[name].locator(".mrkd-click")
    box = picture.bounding_box()
    assert box is not None
    picture.click(position={"x": 0.05 * box["width"], "y": 0.2 * box["height"]})
    playground.changed(name, before)
    first = int(row.inner_text()), int(col.inner_text())
    playground.page.keyboard.press("ArrowRight")
    playground.page.keyboard.press("Shift+ArrowDown")
    expect(col).to_have_text(str(first[1] + 1))
    expect(row).to_have_text(str(first[0] + 4))
    playground.shot(name, "-clicked")


def test_a_defect_grows_with_its_slider(playground: Playground) -> None:
    name = "explore-overgeneralisation"
    before = playground.settled(name)
    handle = slider(playground[name], "strength").locator(".noUi-handle")
    drag(playground.page, handle, 150)
    assert "of strength 1.00" in playground.changed(name, before)
    drag(playground.page, handle, -300)
    expect(playground[name].locator(".mrkd-says")).to_contain_text("The normal product")
    playground[name].get_by_role("button", name="Reset").click()


def test_at_threshold_0_all_is_defective_and_high_up_nothing(playground: Playground) -> None:
    name = "explore-threshold"
    before = playground.settled(name)
    slider(playground[name], "threshold").locator(".noUi-handle").focus()
    playground.page.keyboard.press("Home")
    playground.changed(name, before)
    _, found, of, alarms, normal = playground.numbers(name)[:5]
    assert (found, alarms) == (of, normal)
    playground.shot(name, "-0")
    playground.back(name, "Reset", before)


def test_what_was_chosen_survives_running_the_cell_again(playground: Playground) -> None:
    name, page = "explore-threshold", playground.page
    before = playground.settled(name)
    slider(playground[name], "threshold").locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    moved = playground.changed(name, before)
    page.get_by_text("widgets.explore_threshold(").click()
    page.keyboard.press("Control+Enter")
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()
    page.wait_for_timeout(1000)
    assert playground.settled(name) == moved


@pytest.mark.parametrize(("name", "label"), [("explore-threshold", "threshold"), ("explore-distance", "column")])
def test_500_moves_leave_no_pictures_behind(playground: Playground, name: str, label: str) -> None:
    page = playground.page
    playground.settled(name)
    made, freed = page.evaluate("[window.made, window.freed]")
    slider(playground[name], label).locator(".noUi-handle").focus()
    for i in range(500):
        page.keyboard.press("ArrowRight" if (i // 50) % 2 else "ArrowLeft")
        page.wait_for_timeout(40)
    playground.settled(name)
    made_now, freed_now = page.evaluate("[window.made, window.freed]")
    assert made_now - made > 20  # stale ones are left out, but the picture kept up
    assert (made_now - freed_now) - (made - freed) <= 2


def test_a_training_can_be_watched_paused_and_stopped(playground: Playground) -> None:
    theatre, page = playground["watch-training"], playground.page
    playground["choose-training"].get_by_role("button", name="Start").click()
    status = playground["watch-training"].locator("[role=status]").first
    expect(status).to_have_text("training", timeout=60_000)
    theatre.get_by_role("button", name="Pause").click()
    expect(status).to_have_text("paused")
    paused_at = playground.settled("watch-training")
    page.wait_for_timeout(1000)
    assert playground.says("watch-training") == paused_at
    theatre.get_by_role("button", name="Continue").click()
    expect(status).to_have_text("training")
    theatre.get_by_role("button", name="Stop").click()
    expect(status).to_have_text(re.compile("^(stopped after|done)"), timeout=60_000)
    playground.shot("watch-training")


def test_the_console_has_no_errors(playground: Playground) -> None:
    """Last in this file: after all that was done above."""
    assert playground.complaints == []
