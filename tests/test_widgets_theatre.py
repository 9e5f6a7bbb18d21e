"""The theatre: it shows a training, obeys its buttons, and gives the model that `run` would give."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from waiting import until

from mrkd_edu.data import AnomalyFolder
from mrkd_edu.data.images import read_image
from mrkd_edu.leakage import leakage
from mrkd_edu.model import MRKD
from mrkd_edu.recipe import Recipe
from mrkd_edu.study.run import Plan, run
from mrkd_edu.toy import make_toy
from mrkd_edu.train import TrainingError
from mrkd_edu.widgets.theatre import watch as module
from mrkd_edu.widgets.theatre.training_choice import choose_training
from mrkd_edu.widgets.theatre.training_picture import TrainingState, render_training
from mrkd_edu.widgets.theatre.watch import TrainingTheatre, watch_training

SIZE, STEPS = 64, 6
PLAN = Plan("rd", size=SIZE, recipe=Recipe(steps=STEPS, batch=4, warmup=0, width=16))
ENDLESS = replace(PLAN, recipe=replace(PLAN.recipe, steps=10_000))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), train=14, test_good=2, test_defective=5, size=SIZE)


@pytest.fixture
def data(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnomalyFolder:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
    return AnomalyFolder(toy)


@pytest.fixture
def endless(data: AnomalyFolder) -> Iterator[TrainingTheatre]:
    theatre = TrainingTheatre(data, ENDLESS)
    theatre.start()
    yield theatre
    theatre.stop()
    assert theatre.wait(60)


def state(**changes: object) -> TrainingState:
    black = np.zeros((3, SIZE, SIZE, 3), np.uint8)
    begin = TrainingState("rd", 100, black, ["good", "hole", "stain"], np.zeros((3, SIZE, SIZE), bool))
    return replace(begin, **changes)  # type: ignore[arg-type]


# ---- the picture -------------------------------------------------------------------------------------------


def test_the_picture_before_the_first_step() -> None:
    view = render_training(state())
    assert view.values == {"step": 0}
    assert view.says == "rd before its first of 100 steps."
    assert view.image.dtype == np.uint8 and view.image.shape[1] < 1150


def test_the_numbers_of_a_picture() -> None:
    maps = np.zeros((3, SIZE, SIZE), np.float32)
    maps[1, 5, 5] = 3.0
    view = render_training(state(loss=[4.0, 0.5], leakage=[(1, 0.1), (2, 0.25)], maps=maps, level=2.0))
    assert view.values == {"step": 2, "loss": 0.5, "leakage": 0.25, "score_1": 0, "score_2": 1.5, "score_3": 0}
    assert "hole 1.50" in view.says and "25 %" in view.says and "highest normal" in view.says
    end = render_training(state(loss=[4.0, 0.5], maps=maps, level=2.0, calibrated=True))
    assert "units of the threshold" in end.says


# ---- the training ------------------------------------------------------------------------------------------


def test_it_is_the_model_of_run_and_kept_for_it(
    data: AnomalyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    expected = run(data, PLAN, cache=False, progress=False)
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    theatre = watch_training(data, PLAN)
    theatre.pace.value = 2
    assert theatre.wait(60)
    for name, value in expected.state_dict().items():
        assert torch.equal(theatre.model.state_dict()[name], value), name
    assert theatre.model.settings.threshold == expected.settings.threshold
    capsys.readouterr()
    assert run(data, PLAN).settings.threshold == expected.settings.threshold
    assert "Reused run" in capsys.readouterr().err

    assert theatre.view.values["step"] == theatre.bar.value == STEPS
    assert theatre.state.leakage[0][0] == 1 and theatre.state.leakage[-1][0] == STEPS
    assert theatre.state.calibrated and "done" in theatre.status.value and theatre.problem.value == ""
    assert all(b.disabled for b in (theatre.pause_button, theatre.continue_button, theatre.stop_button))
    prediction = theatre.model.predict(data.test[0].path)
    assert theatre.view.values["score_1"] == pytest.approx(prediction.score[0] / prediction.threshold, rel=1e-2)
    theatre.stop()  # too late: changes nothing
    assert "done" in theatre.status.value


def test_leakage_is_the_librarys(data: AnomalyFolder) -> None:
    theatre = TrainingTheatre(data, PLAN)
    model = MRKD(variant="rd", size=SIZE, **PLAN.recipe.architecture)
    stage = theatre._exhibits
    _, highest, leaks = stage.look(model)
    expected = leakage(model.features, [(*stage.pairs, stage.mask)])
    assert leaks == pytest.approx(float(np.mean(expected)), rel=1e-2, abs=1e-3)
    assert highest == pytest.approx(model(stage.normal).max().item(), rel=1e-2)


def test_pause_continue_stop(endless: TrainingTheatre) -> None:
    until(lambda: len(endless.state.loss) >= 2)
    endless.pause_button.click()
    assert endless.pause_button.disabled and not endless.continue_button.disabled
    assert "paused" in endless.status.value
    time.sleep(0.5)  # the step that was under way
    halted = len(endless.state.loss)
    time.sleep(0.5)
    assert len(endless.state.loss) == halted
    with pytest.raises(RuntimeError, match="has not ended yet"):
        endless.model  # noqa: B018
    endless.continue_button.click()
    until(lambda: len(endless.state.loss) > halted)
    assert "training" in endless.status.value and not endless.wait(0.01)
    endless.stop_button.click()
    assert endless.wait(60)
    done = len(endless.state.loss)
    assert len(endless.model.settings.history["loss"]) == done
    assert endless.model.settings.threshold and endless.state.calibrated
    assert f"stopped after {done} steps" in endless.status.value


def test_stop_while_paused(endless: TrainingTheatre) -> None:
    endless.pause()
    until(lambda: len(endless.state.loss) == 1)
    assert "paused" in endless.status.value
    endless.stop()
    assert endless.wait(60) and endless.model.settings.threshold


def test_what_was_stopped_is_not_taken_for_the_whole(endless: TrainingTheatre, tmp_path: Path) -> None:
    endless.stop()
    assert endless.wait(60) and endless.model.settings.threshold
    assert not list((tmp_path / "cache").glob("runs/*/model.json"))


def test_a_new_training_stops_the_old_one(
    endless: TrainingTheatre, data: AnomalyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    new = watch_training(data, PLAN)
    assert endless.wait(60) and new.wait(60)
    assert len(new.model.settings.history["loss"]) == STEPS


def test_an_error_is_shown_and_raised(data: AnomalyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TrainingError("Training diverged: <nan>")

    monkeypatch.setattr(module, "run", fail)
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    theatre = watch_training(data, PLAN)
    assert theatre.wait(60)
    assert "TrainingError: Training diverged: &lt;nan&gt;" in theatre.problem.value
    assert "failed" in theatre.status.value
    with pytest.raises(TrainingError, match="diverged"):
        theatre.model  # noqa: B018


# ---- without a notebook ------------------------------------------------------------------------------------


def test_without_a_notebook_it_trains_at_once(data: AnomalyFolder, capsys: pytest.CaptureFixture) -> None:
    threads = threading.active_count()
    theatre = watch_training(data, PLAN)
    assert theatre.wait(0)
    assert len(theatre.model.settings.history["loss"]) == STEPS
    assert f"{STEPS}/{STEPS}" in capsys.readouterr().err  # the plain bar
    assert threading.active_count() <= threads + 1  # tqdm's monitor
    assert theatre.view.values["step"] == STEPS


def test_without_a_notebook_errors_are_raised(data: AnomalyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        watch_training(data, PLAN)


# ---- what is looked at -------------------------------------------------------------------------------------


def test_a_good_and_two_kinds_of_defect_are_shown(data: AnomalyFolder) -> None:
    shown = TrainingTheatre(data, PLAN).state
    assert shown.names[0] == "good" and len(set(shown.names)) == 3
    assert [bool(mask.any()) for mask in shown.masks] == [False, True, True]


def test_images_of_ones_own(data: AnomalyFolder, rng: np.random.Generator) -> None:
    mine = [rng.integers(0, 256, (90, 70, 3), dtype=np.uint8)]
    theatre = TrainingTheatre(data, PLAN, mine)
    assert theatre.state.images.shape == (1, SIZE, SIZE, 3) and theatre.state.names == ["picture 1"]
    with pytest.raises(ValueError, match="at least one image"):
        TrainingTheatre(data, PLAN, [])


def test_normal_images_alone_are_enough(toy: Path, tmp_path: Path, data: AnomalyFolder) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "good").symlink_to(toy / "train" / "good")
    theatre = TrainingTheatre(AnomalyFolder(tmp_path / "plain"), PLAN)
    theatre.train()
    assert theatre.model.settings.threshold
    assert set(theatre.state.names) == {"held-out, normal"} and theatre.state.leakage


def test_a_cache_that_cannot_be_written_loses_no_training(
    data: AnomalyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "file" / "cache"))
    theatre = TrainingTheatre(data, PLAN)
    theatre.train()
    assert theatre.model.settings.threshold and "done" in theatre.status.value
    assert "Nothing is kept for the next time" in capsys.readouterr().err


def test_a_choice_begins_when_it_is_told_to_and_again(data: AnomalyFolder) -> None:
    choice = choose_training(data, {"rd": PLAN, "mrkd": replace(PLAN, variant="mrkd")})
    first = choice.theatre
    assert first.pause_button.disabled and first.continue_button.disabled and first.stop_button.disabled
    assert "not started" in first.status.value
    choice.choice.value = "mrkd"
    choice.start_button.click()
    assert choice.theatre is not first and choice.children[-1] is choice.theatre
    assert choice.theatre.wait(60)
    assert choice.theatre.model.settings.variant == "mrkd"
    assert not first.wait(0)  # never begun
    choice.start_button.click()
    assert choice.theatre.wait(60)


def test_a_choice_made_again_finds_the_training_that_runs(endless: TrainingTheatre, data: AnomalyFolder) -> None:
    choice = choose_training(data, {"short": PLAN, "long": ENDLESS})
    assert choice.theatre is endless and choice.choice.value == "long"
    choice.choice.value = "short"  # a training that runs is not thrown away by a look at the menu
    assert choice.theatre is endless


def test_a_choice_whose_images_are_gone_says_so(data: AnomalyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = choose_training(data, {"rd": PLAN})
    monkeypatch.setattr(choice, "_new", lambda: read_image("gone.png", SIZE))
    before = choice.theatre
    choice.start_button.click()
    assert "gone.png" in choice.theatre.problem.value and choice.theatre is before


def test_nobody_waits_for_ever(endless: TrainingTheatre, data: AnomalyFolder) -> None:
    with pytest.raises(RuntimeError, match="has not begun"):
        TrainingTheatre(data, PLAN).wait()
    endless.pause()
    with pytest.raises(RuntimeError, match="is paused"):
        endless.wait()
    with pytest.raises(RuntimeError, match="started before"):
        endless.start()


def test_a_choice_of_nothing_is_refused(data: AnomalyFolder) -> None:
    with pytest.raises(ValueError, match="needs a plan"):
        choose_training(data, {})


def test_a_notebook_keeps_a_picture_of_a_theatre(data: AnomalyFolder) -> None:
    theatre = TrainingTheatre(data, PLAN)
    kept, metadata = theatre._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in kept
    assert metadata["image/jpeg"]["alt"] == theatre.view.says
