"""The theatre: watch a training while it runs, pause it, go on, or stop it and keep what was learned.

Training runs in a thread, so that the buttons answer. Between two steps it shows the loss so far, the anomaly maps of
three fixed images, and how much of a defect the student copies by now (leakage). Looking changes nothing: the model is
the one that `run` gives for the same plan, and no step is chosen by what is seen.
"""

from __future__ import annotations

import html
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ipywidgets
import numpy as np

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.model import MRKD
from mrkd_edu.study.prepare import split
from mrkd_edu.study.run import Plan, home_of, keep_if_possible, run
from mrkd_edu.train import Moment
from mrkd_edu.widgets.frame import memory
from mrkd_edu.widgets.frame.panels import View
from mrkd_edu.widgets.frame.pictures import Pictures
from mrkd_edu.widgets.frame.shown import Shown, close_all, with_still
from mrkd_edu.widgets.theatre.exhibits import set_up
from mrkd_edu.widgets.theatre.training_picture import render_training

LOOKS = 24  # in a training, unless the slider says otherwise
PACES = (1, 2, 5, 10, 20, 50, 100)  # steps between two looks
BUILD = 30.0  # seconds that building a model may take


def watch_training(
    data: AnomalyFolder, plan: Plan, images: Pictures | None = None
) -> TrainingTheatre:
    """Train a model by a plan, and watch.

    In a notebook the training runs in the background: `watch = watch_training(...)` starts it, `watch` as a cell's last
    line shows it, and `watch.wait()` in a later cell waits for its end. Elsewhere it runs at once, with a plain
    progress bar, and has ended on return. In both cases `watch.model` is the trained and calibrated model. A training
    that ran to its end is kept where `run` looks for it. A new training stops one that still runs.

    Args:
        data: its training images are learned from.
        plan: the settings, as for `run`.
        images: what to look at, files or arrays (H, W, 3); None takes a good and two defective test images, or held-out
            normal ones where there is no test set.

    Raises:
        ValueError, data.images.DataError: images that cannot be used; found before the training.
        TrainingError: the training failed, outside a notebook; in a notebook the widget says so.
    """
    theatre = TrainingTheatre(data, plan, images)
    memory.MEMORY.succeed(memory.place("watch_training"), theatre)
    if in_notebook():
        theatre.start()
    else:
        theatre.train(progress=True)
        theatre.model  # noqa: B018 - raises what went wrong
    return theatre


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, so that widgets can be seen."""
    return type(sys.stdout).__module__.startswith("ipykernel")


class TrainingTheatre(ipywidgets.VBox):
    """A training with a picture and buttons; made by `watch_training`.

    Attributes:
        state: how far it is, see `TrainingState`.
        pace: slider with the number of steps between two looks.
    """

    def __init__(self, data: AnomalyFolder, plan: Plan, images: Pictures | None = None):
        self._started, self._built, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._may_go, self._stopping = threading.Event(), threading.Event()
        self._may_go.set()
        self.data, self.plan = data, plan
        learned, held_out = split(len(data.train), plan.seed)
        steps = plan.recipe.total_steps(len(learned))
        self._exhibits, self.state = set_up(data, plan, steps, held_out, images)
        self.shown = Shown()
        self.shown.show(render_training(self.state))
        self.shown.redraw = lambda: self.shown.show(render_training(self.state))
        self._model: MRKD | None = None
        self._error: BaseException | None = None

        self.pause_button = button("Pause", "pause", "Halt after this step", self.pause)
        self.continue_button = button("Continue", "play", "Go on with the training", self.go_on)
        self.stop_button = button("Stop", "stop", "End here, keep what was learned, set the threshold", self.stop)
        self.pace = ipywidgets.SelectionSlider(
            options=PACES,
            value=max((pace for pace in PACES if pace <= steps / LOOKS), default=1),
            description="look every",
            tooltip="Steps between two looks; every look costs a little time, which is not counted as training",
        )
        self.bar = ipywidgets.IntProgress(0, 0, steps, description="training")
        self.status = ipywidgets.HTML()
        buttons = ipywidgets.HBox([self.pause_button, self.continue_button, self.stop_button])
        controls = ipywidgets.HBox([buttons, self.pace, ipywidgets.HTML("steps")])
        progress = ipywidgets.HBox([self.bar, self.status])
        super().__init__([controls, progress, self.shown])
        self.add_class("mrkd-explorer")
        self.add_class("mrkd-watch-training")
        self._tell("not started")

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook keeps of it: the live widget, and a still picture for readers without a kernel."""
        return with_still(super()._repr_mimebundle_(), self.view)

    def close(self) -> None:
        """End the training, and take all of it from the page."""
        self.stop()
        close_all([self])

    @property
    def view(self) -> View:
        """The last picture with its numbers."""
        assert self.shown.view is not None
        return self.shown.view

    @property
    def problem(self) -> ipywidgets.HTML:
        """Where errors appear."""
        return self.shown.problem

    # ---- what one does with it ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Train in the background; returns after the first step.

        A model is built from torch's one generator of random numbers. Until it is, nothing else can run in the kernel,
        so that no other cell draws from it.

        Raises:
            RuntimeError: it was started before.
        """
        global _running
        if self._started.is_set():
            raise RuntimeError("This training was started before: make a new one.")
        self._started.set()
        if _running is not None:
            _running.stop()
        _running = self
        self._tell("getting ready")
        threading.Thread(target=self.train, daemon=True).start()
        self._built.wait(BUILD)

    def pause(self) -> None:
        """Halt after the step that is under way."""
        if self.running:
            self._may_go.clear()
            self._tell("paused")

    def go_on(self) -> None:
        """Continue after a pause."""
        if self.running:
            self._may_go.set()
            self._tell("training")

    def stop(self) -> None:
        """End after the step that is under way; what was learned is kept and calibrated."""
        if self.running:
            self._stopping.set()
            self._may_go.set()
            self._tell("setting the threshold")

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended; a pause does not end it."""
        return self._started.is_set() and not self._ended.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Until the training has ended; False when that takes longer than `seconds`.

        While a cell waits, the buttons cannot be heard; interrupting the kernel stops the training as the button would.

        Raises:
            RuntimeError: it would wait for ever, for a training that was not started or is paused.
        """
        if seconds is None and not self._ended.is_set():
            if not self._started.is_set():
                raise RuntimeError("The training has not begun: call start(), or press Start.")
            if not self._may_go.is_set():
                raise RuntimeError("The training is paused, and no button is heard while a cell waits: go_on() first.")
        try:
            return self._ended.wait(seconds)
        except KeyboardInterrupt:
            self.stop()
            return self._ended.wait()

    @property
    def model(self) -> MRKD:
        """The trained and calibrated model.

        Raises:
            RuntimeError: the training has not ended yet.
            Exception: whatever the training failed with.
        """
        if self._error is not None:
            raise self._error
        if self._model is None:
            raise RuntimeError("The training has not ended yet: call wait() first, or press Stop.")
        return self._model

    # ---- the training ------------------------------------------------------------------------------------------

    def train(self, progress: bool = False) -> None:
        """Train here and now; with a bar in the terminal, or else with a look now and then."""
        self._started.set()
        try:
            callback = None if progress else self._after_step
            model = run(self.data, self.plan, cache=False, progress=progress, callback=callback)
            done = len(model.settings.history["loss"])
            if done == self.state.steps:
                keep_if_possible(home_of(self.data, self.plan, model.device), model)
            self.state = replace(self.state, loss=model.settings.history["loss"])
            self._look(model, calibrated=True)
            self._model = model
            self._tell("done" if done == self.state.steps else f"stopped after {done} steps")
        except BaseException as error:  # of any kind: the person looks at the widget; `model` raises it again
            self._error = error
            self.shown.complain(error)
            self._tell("failed")
        finally:
            self._forget()
            for button in (self.pause_button, self.continue_button, self.stop_button):
                button.disabled = True
            self._built.set()
            self._ended.set()

    def _forget(self) -> None:
        global _running
        if _running is self:
            _running = None

    def _after_step(self, moment: Moment) -> bool:
        self._built.set()
        self.state = replace(self.state, loss=[*self.state.loss, moment.loss])
        self.bar.value = moment.step
        if moment.step == 1 and self._may_go.is_set():
            self._tell("training")
        last = moment.step == moment.steps  # looked at when it is calibrated
        if moment.step == 1 or (moment.step % self.pace.value == 0 and not last):
            self._look(moment.model)
        if last:
            self._tell("setting the threshold")
        self._may_go.wait()
        return not self._stopping.is_set()

    def _look(self, model: MRKD, calibrated: bool = False) -> None:
        maps, highest, leaks = self._exhibits.look(model)
        step, seen = len(self.state.loss), list(self.state.leakage)
        if np.isfinite(leaks) and (not seen or seen[-1][0] < step):
            seen.append((step, leaks))
        level = model.settings.threshold if calibrated and model.settings.threshold else highest
        self.state = replace(self.state, maps=maps, leakage=seen, level=max(level, 1e-6), calibrated=calibrated)
        self.shown.show(render_training(self.state))

    def _tell(self, what: str) -> None:
        """Say what goes on, and let only those buttons be pressed that do something."""
        if what in ("paused", "training") and self._stopping.is_set():
            return
        self.status.value = f'<span role="status">{html.escape(what)}</span>'
        off, paused = not self._started.is_set() or self._stopping.is_set(), not self._may_go.is_set()
        self.pause_button.disabled = off or paused
        self.continue_button.disabled = not paused
        self.stop_button.disabled = off


_running: TrainingTheatre | None = None  # the last one that was started


def running() -> TrainingTheatre | None:
    """The training that is under way, if there is one."""
    return _running if _running is not None and _running.running else None


def button(name: str, icon: str, tooltip: str, press: Callable[[], None]) -> ipywidgets.Button:
    button = ipywidgets.Button(description=name, icon=icon, tooltip=tooltip)
    button.layout.width = "8em"
    button.on_click(lambda _: press())
    return button
