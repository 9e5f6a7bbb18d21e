"""The frame of every explorer, and the painter: the last wish wins, errors are seen, states survive."""

from __future__ import annotations

import base64
import builtins
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import ipywidgets
import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _instances  # all widgets that the kernel keeps

from mrkd_edu.data.images import as_batch
from mrkd_edu.leakage import mean_leakage
from mrkd_edu.model import MRKD
from mrkd_edu.widgets.explorers.painter import paint_defects, painted_image, render_judgement
from mrkd_edu.widgets.frame import memory
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.judgement import in_thresholds, verdict, verdict_title
from mrkd_edu.widgets.frame.latest import Latest
from mrkd_edu.widgets.frame.memory import place
from mrkd_edu.widgets.frame.panels import View, below, beside, panel

pytestmark = pytest.mark.usefixtures("nothing_remembered")


def slider() -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(1, 0, 1000, description="number", tooltip="any number")


def draw(number: int) -> View:
    if number == 13:
        raise ValueError("13 cannot be drawn; choose another number <here>")
    return View(np.full((8, 8, 3), number % 256, np.uint8), f"number {number}", {"number": number})


def test_what_comes_while_one_works_is_skipped_but_for_the_last() -> None:
    seen: list[int] = []
    go = threading.Event()

    def work(wish: int) -> None:
        go.wait(10)
        seen.append(wish)

    latest = Latest(work)
    for wish in range(50):
        latest.ask(wish)
    assert not latest.wait(0.01)
    go.set()
    assert latest.wait(10)
    assert seen[-1] == 49
    assert len(seen) <= 2  # the one that was under way, and the newest


def test_a_control_without_a_name_or_a_tooltip_is_refused() -> None:
    with pytest.raises(ValueError, match="'number' of explorer 'x' needs a description and a tooltip"):
        Explorer("x", {"number": ipywidgets.IntSlider(description="number")}, draw)


def test_the_picture_follows_and_goes_back() -> None:
    control = slider()
    explorer = Explorer("follows", {"number": control}, draw)
    assert explorer.wait()
    first = explorer.shown.picture.value
    control.value = 200
    assert explorer.wait()
    assert explorer.view is not None and explorer.view.values == {"number": 200}
    assert explorer.shown.picture.value != first
    assert "number 200" in explorer.shown.says.value
    explorer.reset_button.click()
    assert explorer.wait()
    assert explorer.shown.picture.value == first
    assert explorer.busy.layout.visibility == "hidden"


def test_an_error_is_shown_where_one_looks_and_goes_away() -> None:
    control = slider()
    explorer = Explorer("errs", {"number": control}, draw)
    control.value = 13
    assert explorer.wait()
    assert "choose another number &lt;here&gt;" in explorer.problem.value
    control.value = 14
    assert explorer.wait()
    assert explorer.problem.value == ""


def test_running_the_cell_again_keeps_the_state() -> None:
    control = slider()
    Explorer("kept", {"number": control}, draw)
    control.value = 77
    again = Explorer("kept", {"number": slider()}, draw)
    assert again.state == {"number": 77}
    narrow = ipywidgets.Dropdown(options=[1, 2], value=1, description="number", tooltip="few numbers")
    assert Explorer("kept", {"number": narrow}, draw).state == {"number": 1}  # 77 is not on offer here


def test_500_moves_leave_nothing_behind() -> None:
    control = slider()
    explorer = Explorer("moves", {"number": control}, draw)
    before = len(_instances)
    for number in range(500):
        control.value = number + 20
    assert explorer.wait()
    assert len(_instances) == before
    assert explorer.view is not None and explorer.view.values == {"number": 519}
    assert threading.active_count() < 20


def test_panels_are_put_beside_and_below() -> None:
    small = panel(np.zeros((8, 8, 3), np.uint8), "a title", size=64)
    assert small.shape == (88, 64, 3)
    assert beside([small, small], gap=2).shape == (88, 130, 3)
    assert below([small, small], gap=2).shape == (178, 64, 3)


# --- the painter ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    made = {variant: MRKD(variant=variant, size=64) for variant in ("rd", "mrkd")}  # type: ignore[arg-type]
    for model in made.values():
        model.settings.threshold = 1.0
    return made


def test_a_stroke_changes_both_judgements(models: dict[str, Any], rng: np.random.Generator) -> None:
    photo = rng.integers(100, 120, (64, 64, 3), dtype=np.uint8)
    paint = paint_defects(models, [photo, 255 - photo])
    assert paint.wait()
    assert paint.view is not None
    clean, canvas = paint.view.values, paint.controls["painted"]
    stroke = np.full((64, 64, 4), 255, np.uint8)
    stroke[..., :3] = photo
    stroke[20:40, 20:40, :3] = (255, 0, 0)
    before = canvas.answered
    canvas.value = stroke.tobytes()
    assert paint.wait()
    assert all(paint.view.values[name] != clean[name] for name in models)
    assert canvas.answered > before, "the browser would wait for ever"
    paint.reset()
    assert paint.wait()
    assert paint.view.values == pytest.approx(clean)


def test_the_painter_says_how_much_of_a_stroke_is_copied(models: dict[str, Any], rng: np.random.Generator) -> None:
    """By the leakage of the stroke, with the unpainted picture as its twin."""
    photo = rng.integers(100, 120, (64, 64, 3), dtype=np.uint8)
    stroke = photo.copy()
    stroke[20:40, 20:40] = (255, 0, 0)
    painted = np.zeros((1, 64, 64), bool)
    painted[0, 20:40, 20:40] = True
    values = render_judgement(models, stroke, photo).values
    for name, model in models.items():
        model.eval()
        with torch.no_grad():
            normal, defective = (model.features(as_batch([each])) for each in (photo, stroke))
        expected = mean_leakage(normal, defective, torch.from_numpy(painted))
        assert values[f"{name} copies"] == pytest.approx(expected, abs=0.01)
    untouched, another = render_judgement(models, photo, photo), render_judgement(models, 255 - photo, photo)
    assert not any("copies" in view.says for view in (untouched, another)), "there is no twin of another picture"


def test_another_product_starts_without_paint(models: dict[str, Any], rng: np.random.Generator) -> None:
    photo = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    paint = paint_defects(models, [photo, 255 - photo])
    canvas = paint.controls["painted"]
    canvas.value, base = bytes(4 * 64 * 64), canvas.base
    paint.controls["photo"].value = 1
    assert paint.wait()
    assert canvas.value == b"" and canvas.base != base


def test_a_defect_lies_above_the_threshold() -> None:
    scores = [in_thresholds(np.array([[0.0, highest], [0.25, 0.0]], np.float32), 0.5) for highest in (0.25, 0.5, 0.75)]
    assert scores == [0.5, 1.0, 1.5]
    assert [verdict(score) for score in scores] == ["normal", "normal", "defect"]
    assert [verdict_title("rd", score) for score in scores[1:]] == ["rd: normal", "rd: DEFECT"]


def test_the_painter_says_each_verdict(models: dict[str, Any], rng: np.random.Generator) -> None:
    photo = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for model in models.values():
        model.eval()
    view = render_judgement(models, photo)
    highest = {name: model.predict([photo]).score[0] for name, model in models.items()}
    assert view.values == pytest.approx(highest, rel=1e-4)  # the thresholds are 1
    said = [f"{name}: {score:.2f} times its threshold, {verdict(score)}" for name, score in view.values.items()]
    assert view.says == "; ".join(said) + "."


def test_the_painter_says_what_it_cannot_use(models: dict[str, Any]) -> None:
    photo = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match=r"models of one size; got sizes \[\]"):
        paint_defects({}, [photo])
    other = MRKD(variant="rd", size=128, pretrained=False, width=16)
    with pytest.raises(ValueError, match=r"models of one size; got sizes \[64, 128\]"):
        paint_defects({**models, "other": other}, [photo])
    with pytest.raises(ValueError, match="paint_defects needs at least one image"):
        paint_defects(models, [])
    with pytest.raises(ValueError, match="a picture of side 4 has 64"):
        painted_image(np.zeros((4, 4, 3), np.uint8), b"12")


def test_the_painter_takes_calibrated_models_only_and_lets_them_judge(models: dict[str, Any]) -> None:
    photos = np.zeros((2, 64, 64, 3), np.uint8)  # an array of pictures is as good as a list
    fresh = MRKD(variant="rd", size=64, pretrained=False, width=16)
    for model in models.values():
        model.train()
    with pytest.raises(ValueError, match="fresh has no threshold yet"):
        paint_defects({**models, "fresh": fresh}, photos)
    paint = paint_defects(models, photos)
    assert not any(part.training for model in models.values() for part in model.modules())
    assert paint.wait() and paint.problem.value == ""


def test_a_notebook_keeps_a_picture_with_its_description() -> None:
    explorer = Explorer("x", {"number": slider()}, draw)
    kept, metadata = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in kept
    assert base64.b64decode(kept["image/jpeg"])[:2] == b"\xff\xd8"  # how JPEG begins
    assert metadata["image/jpeg"] == {"alt": "number 1"}


def test_without_widgets_one_is_told_what_to_install() -> None:
    code = "import sys; sys.modules['anywidget'] = None; import mrkd_edu.widgets"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert "pip install 'mrkd-edu[notebooks]'" in run.stderr


def test_a_cell_that_is_run_again_lets_go_of_its_old_explorer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "place", lambda name: (name, "cell 1", 0))
    open_before = len(_instances)
    first = Explorer("again", {"number": slider()}, draw)
    assert first.wait()
    each = len(_instances) - open_before
    first.controls["number"].value = 7
    second = Explorer("again", {"number": slider()}, draw)
    assert second.wait() and second.state == {"number": 7}
    assert len(_instances) - open_before == each, "the widgets of the first are closed"
    first.controls["number"].value = 8  # nobody sees it
    assert first.wait() and second.state == {"number": 7}


def test_places_of_explorers(monkeypatch: pytest.MonkeyPatch) -> None:
    request = {"metadata": {"cellId": "a"}, "header": {"msg_id": "1"}}
    shell = SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda: request))
    monkeypatch.setattr(builtins, "get_ipython", lambda: shell, raising=False)
    monkeypatch.setattr(memory, "_made", {})
    assert [place("x"), place("x"), place("y")] == [("x", "a", 0), ("x", "a", 1), ("y", "a", 0)]
    request["header"] = {"msg_id": "2"}  # the cell is run again
    assert place("x") == ("x", "a", 0)
    request["metadata"] = {}  # a front end that does not name its cells
    assert place("x") == ("x",)
