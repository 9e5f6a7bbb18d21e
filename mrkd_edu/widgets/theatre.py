"""The theatre: watch a training while it runs, pause it, go on, or stop it and keep what was learned.

Training runs in a thread, so that the buttons answer. Between two steps it shows the loss so far, the anomaly maps of
three fixed images, and how much of a defect the student copies by now (leakage). Looking changes nothing: the model is
the one that `run` gives for the same plan, and no step is chosen by what is seen.
"""

from __future__ import annotations

import html
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import ipywidgets
import numpy as np
import torch
from torch import Tensor

from mrkd_edu.cache import cache_folder
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import ImageSource, read_image
from mrkd_edu.ilm import add_anomalies
from mrkd_edu.leakage import leakage_sums
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import preset
from mrkd_edu.plots import TIMES, colour_of, outline, scale_colours
from mrkd_edu.run import Plan, run, run_key, split
from mrkd_edu.train import Moment
from mrkd_edu.widgets.chart import Axis, Curve, chart, leakage_axis
from mrkd_edu.widgets.explorer import CSS, explain, with_still
from mrkd_edu.widgets.judgement import judged, rgb
from mrkd_edu.widgets.panels import GAP, View, below, beside, framed, panel, png, write

SHOWN, NORMAL, PAIRS = 3, 4, 4  # images that are shown; normal ones that set the colours; pairs for leakage
WIDTH, LARGEST = 924, 300  # of the picture; side of a panel, pixels
SCALE, WHITE = 140, (255, 255, 255)  # width of the colour scale, pixels
LOOKS = 24  # in a training, unless the slider says otherwise
PACES = (1, 2, 5, 10, 20, 50, 100)  # steps between two looks
DECADE = (1, 2, 5)


@dataclass(frozen=True)
class TrainingState:
    """How far a training has come, and what it looks like.

    Attributes:
        variant: of the model.
        steps: of the whole training.
        images: uint8 (N, S, S, 3), those that are shown.
        names: what they are, one each.
        masks: true defects, bool (N, S, S); all False where none is known.
        loss: of every step so far.
        leakage: step and leakage, mean over the scales, at every look.
        maps: (N, S, S), of the last look; None before the first.
        level: the score that has the middle colour.
        calibrated: whether that is the model's threshold; before the end, it is the highest score of a few held-out
            normal images.
    """

    variant: str
    steps: int
    images: np.ndarray
    names: Sequence[str]
    masks: np.ndarray
    loss: Sequence[float] = ()
    leakage: Sequence[tuple[int, float]] = ()
    maps: np.ndarray | None = None
    level: float = 1.0
    calibrated: bool = False


def render_training(state: TrainingState) -> View:
    """Loss and leakage so far, above the maps of the images. All maps share one colour scale, 0 to 2 levels.

    Returns:
        `values` has `step`, and when they are known `loss`, `leakage`, and `score_1` to `score_N` in levels.

    Example:
        >>> black = np.zeros((1, 64, 64, 3), np.uint8)
        >>> state = TrainingState("rd", 100, black, ["good"], np.zeros((1, 64, 64), bool), loss=[2.0, 1.5])
        >>> render_training(state).values
        {'step': 2, 'loss': 1.5}
    """
    done, n = len(state.loss), len(state.images)
    values: dict[str, float] = {"step": done}
    if done:
        values["loss"] = state.loss[-1]
    if state.leakage:
        values["leakage"] = state.leakage[-1][1]
    side = min(LARGEST, (WIDTH - GAP * (n - 1)) // n)
    unit = "threshold" if state.calibrated else "highest normal"
    shown = []
    for i, (image, name, mask) in enumerate(zip(state.images, state.names, state.masks, strict=True)):
        if state.maps is None:
            shown.append(panel(outline(image, mask) if mask.any() else image, name, size=side))
        else:
            values[f"score_{i + 1}"] = float(state.maps[i].max()) / state.level
            shown.append(judged(image, state.maps[i], state.level, name, size=side, unit=unit, mask=mask))
    return View(below([_curves(state), _caption(state), beside(shown)]), _finding(state, values, unit), values)


def watch_training(
    data: AnomalyFolder, plan: Plan, images: Sequence[ImageSource] | None = None
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
    if in_notebook():
        theatre.start()
    else:
        theatre.train(progress=True)
        theatre.model  # noqa: B018 - raises what went wrong
    return theatre


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, so that widgets can be seen."""
    return type(sys.stdout).__module__.startswith("ipykernel")


@dataclass
class Stage:
    """What every look looks at, through the teacher only once: the teacher is frozen.

    Attributes:
        images: those that are shown, (N, 3, S, S) uint8.
        normal: held-out normal ones, (M, 3, S, S).
        pairs: (P, 3, S, S) without and (P, 3, S, S) with a defect.
        mask: of the defects, (P, S, S).
    """

    images: Tensor
    normal: Tensor
    pairs: tuple[Tensor, Tensor]
    mask: Tensor
    teacher: list[Tensor] = field(default_factory=list)

    @torch.no_grad()
    def look(self, model: MRKD) -> tuple[np.ndarray, float, float]:
        """Maps (N, S, S) of the images, the highest score of a normal image, and leakage, mean over the scales."""
        model.eval()
        with model.autocast():
            if not self.teacher:
                self.teacher = model.see(torch.cat([self.images, self.normal, *self.pairs]))
            student = model.restore(self.teacher)  # (N + M + 2 P, C_k, h_k, w_k)
        n, p = len(self.images), len(self.mask)
        judged_part = slice(None, n + len(self.normal))
        maps = model.compare([t[judged_part] for t in self.teacher], [s[judged_part] for s in student]).cpu().numpy()
        without, having = (
            ([t[part] for t in self.teacher], [s[part] for s in student])
            for part in (slice(-2 * p, -p), slice(-p, None))
        )
        copied, there = leakage_sums(without, having, self.mask.to(model.device))  # (K,) each
        leaks = float((copied / there).mean()) if bool((there > 0).all()) else float("nan")
        return maps[:n], float(maps[n:].max()), leaks


class TrainingTheatre(ipywidgets.VBox):
    """A training with a picture and buttons; made by `watch_training`.

    Attributes:
        state: how far it is, see `TrainingState`.
        view: the last picture.
        pace: slider with the number of steps between two looks.
    """

    def __init__(self, data: AnomalyFolder, plan: Plan, images: Sequence[ImageSource] | None = None):
        self.data, self.plan = data, plan
        learned, held_out = split(len(data.train), plan.seed)
        steps = plan.recipe.total_steps(len(learned))
        self._stage, self.state = set_stage(data, plan, steps, held_out, images)
        self.view = render_training(self.state)
        self._model: MRKD | None = None
        self._error: BaseException | None = None
        self._may_go, self._stopping, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._may_go.set()

        self.pause_button = _button("Pause", "pause", "Halt after this step", self.pause)
        self.continue_button = _button("Continue", "play", "Go on with the training", self.go_on)
        self.stop_button = _button("Stop", "stop", "End here, keep what was learned, set the threshold", self.stop)
        self.pace = ipywidgets.SelectionSlider(
            options=PACES,
            value=max((pace for pace in PACES if pace <= steps / LOOKS), default=1),
            description="look every",
            tooltip="Steps between two looks; every look costs a little time, which is not counted as training",
        )
        self.bar = ipywidgets.IntProgress(0, 0, steps, description="training")
        self.status, self.says, self.problem = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.says.add_class("mrkd-says")
        self.problem.add_class("mrkd-problem")
        self.picture = ipywidgets.Image(format="png")
        self.picture.add_class("mrkd-picture")
        buttons = ipywidgets.HBox([self.pause_button, self.continue_button, self.stop_button])
        controls = ipywidgets.HBox([buttons, self.pace, ipywidgets.HTML("steps")])
        progress = ipywidgets.HBox([self.bar, self.status])
        style = ipywidgets.HTML(f"<style>{CSS}</style>")
        super().__init__([style, controls, progress, self.picture, self.says, self.problem])
        self.add_class("mrkd-explorer")
        self.add_class("mrkd-watch-training")
        self._tell("not started")
        self._show()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook keeps of it: the live widget, and a still picture for readers without a kernel."""
        return with_still(super()._repr_mimebundle_(), self.view)

    # ---- what one does with it ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Train in the background."""
        global _running
        if _running is not None:
            _running.stop()
        _running = self
        self._tell("getting ready")
        threading.Thread(target=self.train, daemon=True).start()

    def pause(self) -> None:
        """Halt after the step that is under way."""
        self._may_go.clear()
        self._tell("paused")

    def go_on(self) -> None:
        """Continue after a pause."""
        self._may_go.set()
        self._tell("training")

    def stop(self) -> None:
        """End after the step that is under way; what was learned is kept and calibrated."""
        if not self._ended.is_set():
            self._stopping.set()
            self._may_go.set()
            self._tell("setting the threshold")

    def wait(self, seconds: float | None = None) -> bool:
        """Until the training has ended; False when that takes longer than `seconds`."""
        return self._ended.wait(seconds)

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
        try:
            callback = None if progress else self._after_step
            model = run(self.data, self.plan, cache=False, progress=progress, callback=callback)
            done = len(model.settings.history["loss"])
            if done == self.state.steps:
                model.save(cache_folder() / "runs" / run_key(self.data, self.plan, model.device))
            self.state = replace(self.state, loss=model.settings.history["loss"])
            self._look(model, calibrated=True)
            self._model = model
            self._tell("done" if done == self.state.steps else f"stopped after {done} steps")
        except BaseException as error:  # of any kind: the person looks at the widget; `model` raises it again
            self._error = error
            shown = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
            self.problem.value = f'<span role="alert">{html.escape(explain(shown))}</span>'
            self._tell("failed")
        finally:
            self._ended.set()
            for button in (self.pause_button, self.continue_button, self.stop_button):
                button.disabled = True

    def _after_step(self, moment: Moment) -> bool:
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
        maps, highest, leaks = self._stage.look(model)
        step, seen = len(self.state.loss), list(self.state.leakage)
        if np.isfinite(leaks) and (not seen or seen[-1][0] < step):
            seen.append((step, leaks))
        level = model.settings.threshold if calibrated and model.settings.threshold else highest
        self.state = replace(self.state, maps=maps, leakage=seen, level=max(level, 1e-6), calibrated=calibrated)
        self.view = render_training(self.state)
        self._show()

    def _show(self) -> None:
        self.picture.value = png(framed(self.view.image))
        self.says.value = html.escape(self.view.says)

    def _tell(self, what: str) -> None:
        """Say what goes on, and let only those buttons be pressed that do something."""
        if what in ("paused", "training") and self._stopping.is_set():
            return
        self.status.value = f'<span role="status">{html.escape(what)}</span>'
        off, paused = what == "not started" or self._stopping.is_set(), not self._may_go.is_set()
        self.pause_button.disabled = off or paused
        self.continue_button.disabled = not paused
        self.stop_button.disabled = off


_running: TrainingTheatre | None = None  # the last one that was started


class TrainingChoice(ipywidgets.VBox):
    """A theatre with a choice of what is trained, and a button to begin; made by `choose_training`.

    Attributes:
        theatre: the one that is shown.
        choice: menu of the plans' names.
        start_button: trains the chosen plan from its beginning, as often as one likes.
    """

    def __init__(self, data: AnomalyFolder, plans: Mapping[str, Plan]):
        self.data, self.plans = data, dict(plans)
        self.choice = ipywidgets.Dropdown(
            options=list(plans), description="variant", tooltip="which student is trained, from its beginning"
        )
        self.start_button = _button("Start", "play", "Train from the beginning; stops a training that runs", self.start)
        self.theatre = self._theatre()
        self._head = ipywidgets.HBox([self.choice, self.start_button])
        super().__init__([self._head, self.theatre])
        self.add_class("mrkd-choose-training")

    def _theatre(self) -> TrainingTheatre:
        return TrainingTheatre(self.data, self.plans[self.choice.value])

    def start(self) -> None:
        """Train the chosen plan from its beginning."""
        self.theatre = self._theatre()
        self.children = [self._head, self.theatre]
        self.theatre.start()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return with_still(super()._repr_mimebundle_(), self.theatre.view)


def choose_training(data: AnomalyFolder, plans: Mapping[str, Plan]) -> TrainingChoice:
    """Choose a variant, press Start, and watch it learn: `watch_training` with a menu.

    Args:
        data: its training images are learned from.
        plans: name to plan, for instance `{"rd": Plan("rd"), "mrkd": Plan("mrkd")}`.

    Raises:
        ValueError: there is no plan.
    """
    if not plans:
        raise ValueError("choose_training needs a plan, for instance {'rd': Plan('rd')}")
    return TrainingChoice(data, plans)


def set_stage(
    data: AnomalyFolder,
    plan: Plan,
    steps: int,
    held_out: np.ndarray,
    images: Sequence[ImageSource] | None,
) -> tuple[Stage, TrainingState]:
    """What a training by this plan is looked at with: images to show, normal ones, and pairs for leakage.

    Raises:
        ValueError: `images` is empty.
        data.images.DataError: an image that cannot be read.
    """
    if images is not None and len(images) == 0:
        raise ValueError("watch_training needs at least one image to look at; leave `images` out to take test images")
    size = plan.size
    normal = data.train_images(size)[held_out[:NORMAL]]  # (M, 3, S, S)
    if images is not None:
        shown = torch.from_numpy(np.stack([read_image(image, size) for image in images])).permute(0, 3, 1, 2)
        names, masks = [f"picture {i + 1}" for i in range(len(images))], np.zeros((len(images), size, size), bool)
    elif data.test:
        chosen = _some_of_each(data)
        shown = data.test_images(size)[chosen]
        names = [data.test[i].kind for i in chosen]
        masks = data.test_masks(size)[chosen] if data.has_masks else np.zeros((len(chosen), size, size), bool)
    else:
        shown = normal[:SHOWN]
        names, masks = ["held-out, normal"] * len(shown), np.zeros((len(shown), size, size), bool)
    if data.has_twins:
        without, having, where = data.twin_pairs(size)
        some = np.unique(np.linspace(0, len(without) - 1, PAIRS).astype(int))
        pairs, mask = (without[some], having[some]), torch.from_numpy(where[some])
    else:
        anomalous, mask = add_anomalies(normal, preset(data.name, normal), np.random.default_rng(plan.seed))
        pairs = (normal, anomalous)
    pictures = shown.permute(0, 2, 3, 1).contiguous().numpy()  # (N, S, S, 3)
    return Stage(shown, normal, pairs, mask), TrainingState(plan.variant, steps, pictures, names, masks)


# ---- how it is done ----------------------------------------------------------------------------------------


def _some_of_each(data: AnomalyFolder) -> list[int]:
    """Indices of three test images: a good one and one of the last kinds of defect each, as far as there are any."""
    first = {sample.kind: i for i, sample in reversed(list(enumerate(data.test)))}
    good = [i for kind, i in first.items() if not data.test[i].label]
    defective = sorted(i for i in first.values() if data.test[i].label)
    return good[:1] + defective[-(SHOWN - len(good[:1])) :]


def _button(name: str, icon: str, tooltip: str, press: Callable[[], None]) -> ipywidgets.Button:
    button = ipywidgets.Button(description=name, icon=icon, tooltip=tooltip)
    button.layout.width = "8em"
    button.on_click(lambda _: press())
    return button


def _caption(state: TrainingState) -> np.ndarray:
    """What is seen below, and what its colours mean: uint8 (h, WIDTH, 3)."""
    cyan = ", cyan: true defect" if state.masks.any() else ""
    if state.maps is None:
        return write(WIDTH, f"The images that are watched{cyan}")
    unit = "the threshold" if state.calibrated else "the highest held-out normal score"
    bar = cv2.copyMakeBorder(np.tile(scale_colours(SCALE), (18, 1, 1)), 3, 3, 0, 0, cv2.BORDER_CONSTANT, value=WHITE)
    what = write(WIDTH - SCALE - 4 * GAP, f"Anomaly maps{cyan}; colours: 0 to 2 {TIMES} {unit}")
    return beside([what, write(GAP, "0"), bar, write(GAP, "2")], gap=8)


def _curves(state: TrainingState) -> np.ndarray:
    """Loss and leakage over the steps: uint8 (h, WIDTH, 3)."""
    done, half, colour = len(state.loss), (WIDTH - GAP) // 2, rgb(colour_of(state.variant))
    ticks = tuple((float(t), str(t)) for t in sorted({0, state.steps // 2, state.steps}))
    across = Axis(0, state.steps, ticks, "training step")
    step, leaks = [s for s, _ in state.leakage], [v for _, v in state.leakage]
    loss = f"loss of {state.variant}" + (f": {state.loss[-1]:.3f}" if done else "") + " (logarithmic axis)"
    copied = "leakage, mean over scales" + (f": {round(100 * leaks[-1])} %" if leaks else "")
    losses, leakages = Curve(range(1, done + 1), state.loss, colour, dots=0), Curve(step, leaks, colour)
    return beside(
        [
            chart(loss, across, loss_axis(state.loss), [losses], width=half, now=done),
            chart(copied, across, leakage_axis(leaks), [leakages], width=half, now=done),
        ]
    )


def loss_axis(loss: Sequence[float]) -> Axis:
    """A logarithmic axis that ends at 1, 2 or 5 times a power of ten, and so seldom jumps.

    Example:
        >>> axis = loss_axis([3.9, 0.42])
        >>> axis.low, axis.high, [text for _, text in axis.ticks]
        (0.2, 5.0, ['0.2', '0.5', '1', '2', '5'])
    """
    steps = [float(f"{m}e{e}") for e in range(-6, 4) for m in DECADE]
    least, most = (min(loss), max(loss)) if len(loss) else (1, 2)
    low = max((s for s in steps if s <= least), default=steps[0])
    high = min((s for s in steps if s >= most and s > low), default=steps[-1])
    return Axis(low, high, tuple((s, f"{s:g}") for s in steps if low <= s <= high), log=True)


def _finding(state: TrainingState, values: dict[str, float], unit: str) -> str:
    if not state.loss:
        return f"{state.variant} before its first of {state.steps} steps."
    says = f"{state.variant} after {len(state.loss)} of {state.steps} steps: loss {values['loss']:.3f}"
    if "leakage" in values:
        says += f", {round(100 * values['leakage'])} % of a defect copied"
    if state.maps is not None:
        scores = ", ".join(f"{name} {values[f'score_{i + 1}']:.2f}" for i, name in enumerate(state.names))
        says += f"; scores in units of the {unit}: {scores}"
    return says + "."
