"""The explorers for a room: one at a time, as large as the screen, with a product to choose.

`make projector` opens it. What takes long, training students the first time, is done behind a text to read.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ipywidgets

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.lessons.course import lesson_plan, playground
from mrkd_edu.model import MRKD, VARIANTS
from mrkd_edu.study.evaluate import Evaluation, evaluate
from mrkd_edu.widgets.explorers.distance import explore_distance
from mrkd_edu.widgets.explorers.flm import explore_flm
from mrkd_edu.widgets.explorers.ilm import explore_ilm
from mrkd_edu.widgets.explorers.painter import paint_defects
from mrkd_edu.widgets.explorers.strength import explore_overgeneralisation
from mrkd_edu.widgets.explorers.threshold import explore_threshold
from mrkd_edu.widgets.frame.front_end import front_end
from mrkd_edu.widgets.frame.latest import Latest
from mrkd_edu.widgets.frame.shown import close_all, explain
from mrkd_edu.widgets.theatre.training_choice import choose_training

CSS = front_end(__file__, "projector.css")


class Stage(NamedTuple):
    """One explorer of the projector.

    Attributes:
        name: on its button.
        question: what to ask the room before anything is moved.
        make: what was got ready for a product, to the explorer.
    """

    name: str
    question: str
    make: Callable[[Any], ipywidgets.Widget]


class Projector(ipywidgets.VBox):
    """A row of buttons, a product, and one explorer.

    Args:
        stages: the explorers.
        products: names to choose from; the first is shown first.
        get_ready: product to what the stages' `make` needs; called in a thread, once a product.
        reading: HTML to read meanwhile.

    Attributes:
        stage, product: the two choices.
        place: holds what is shown.

    Example:
        >>> say = lambda ready: ipywidgets.HTML(ready)
        >>> projector = Projector([Stage("say", "What will it say?", say)], ["nut"], str.upper, "<p>Wait.</p>")
        >>> projector.wait()
        True
        >>> projector.place.children[0].value
        'NUT'
    """

    def __init__(
        self, stages: Sequence[Stage], products: Sequence[str], get_ready: Callable[[str], Any], reading: str
    ):
        self._stages: Mapping[str, Stage] = {stage.name: stage for stage in stages}
        self._get_ready, self._reading, self._ready = get_ready, reading, dict[str, Any]()
        self.stage = ipywidgets.ToggleButtons(options=list(self._stages), tooltips=[s.question for s in stages])
        self.product = ipywidgets.Dropdown(options=list(products), description="product", tooltip="what is looked at")
        self.question = ipywidgets.HTML()
        self.place = ipywidgets.VBox()
        for part, name in ((self.question, "question"), (self.place, "place")):
            part.add_class(f"mrkd-{name}")
        head = ipywidgets.HBox([self.stage, self.product])
        head.add_class("mrkd-head")
        super().__init__([ipywidgets.HTML(f"<style>{CSS}</style>"), head, self.question, self.place])
        self.add_class("mrkd-projector")
        self._latest: Latest[tuple[str, str]] = Latest(self._set_up)
        for choice in (self.stage, self.product):
            choice.observe(lambda _: self._changed(), "value")
        self._changed()

    def wait(self, seconds: float = 600) -> bool:
        """Until what was chosen is shown; False when that takes longer than `seconds`."""
        return self._latest.wait(seconds)

    def close(self) -> None:
        """Take it from the page, and let go of what it holds."""
        self._latest.wait(5)
        self._ready.clear()
        close_all([self])

    def _changed(self) -> None:
        stage = self._stages[self.stage.value]
        self.question.value = f"<b>Before you move it:</b> {html.escape(stage.question)}"
        if self.product.value not in self._ready:
            self._show(ipywidgets.HTML(f'<div class="mrkd-reading" role="status">{self._reading}</div>'))
        self._latest.ask((stage.name, self.product.value))

    def _set_up(self, wanted: tuple[str, str]) -> None:
        name, product = wanted
        try:
            if product not in self._ready:
                self._ready[product] = self._get_ready(product)
            self._show(self._stages[name].make(self._ready[product]))
        except Exception as error:  # of any kind: the room looks at the page, not at the log
            self._show(ipywidgets.HTML(f'<span class="mrkd-problem" role="alert">{html.escape(explain(error))}</span>'))

    def _show(self, widget: ipywidgets.Widget) -> None:
        before = self.place.children
        self.place.children = (widget,)
        for old in before:
            old.close()


class Ready(NamedTuple):
    """What the explorers of a product need: its images, its students, and what they make of the test set."""

    data: AnomalyFolder
    models: dict[str, MRKD]
    judged: list[Evaluation]
    normal: list[Path]
    defective: list[Path]


def get_ready(product: str) -> Ready:
    """Render the product's images and train its students, where that was not done before."""
    data, models = playground(product)
    judged = [evaluate(models[name], data, progress=False) for name in ("rd", "mrkd")]
    normal = [sample.path for sample in data.train[:8]]
    defective = [sample.path for sample in data.test if sample.label][::5]
    return Ready(data, models, judged, normal, defective)


def _pair(ready: Ready) -> dict[str, MRKD]:
    return {name: ready.models[name] for name in ("rd", "mrkd")}


def _trainings(ready: Ready) -> ipywidgets.Widget:
    return choose_training(ready.data, {name: lesson_plan(name) for name in VARIANTS})


STAGES = (
    Stage(
        "Paint a defect",
        "Which of the three will see what you paint, and which of them copies most of it?",
        lambda r: paint_defects(r.models, r.normal),
    ),
    Stage(
        "Let it grow",
        "At which strength does each student notice? Does it copy a larger share of a defect that grows?",
        lambda r: explore_overgeneralisation(_pair(r), r.data.name),
    ),
    Stage(
        "Make defects",
        "One large patch or five small ones: which is further from normal for the teacher, and at which stride?",
        lambda r: explore_ilm(r.normal, r.models["rd"]),
    ),
    Stage(
        "Hide features",
        "How much can be hidden before the generation module fails?",
        lambda r: explore_flm(r.models["mrkd"], r.normal + r.defective),
    ),
    Stage(
        "What is alike",
        "Which other places are like the middle of a defect?",
        lambda r: explore_distance(r.models["rd"], r.defective + r.normal),
    ),
    Stage(
        "Move the threshold",
        "What does it cost to miss no defect at all?",
        lambda r: explore_threshold(r.judged),
    ),
    Stage("Watch a training", "The loss only falls. Does the student also get better at finding defects?", _trainings),
)
READING = """
<p><b>Getting three students ready.</b> The first time they are trained, about three minutes a product; later they are
there in a few seconds. Meanwhile:</p>
<p>A frozen <b>teacher</b> describes every place of a picture. A <b>student</b> has learned to give the same
descriptions, from good products alone. Where the two differ, there should be a defect.</p>
<p><b>rd</b> learned to copy the teacher. <b>mrkd</b> learned to restore what was hidden or wrong. <b>rd, long</b>
copies too, is wider, and was trained four times as long.</p>
<p><b>Predict, and write it down:</b> you will paint a thin scratch in the colour of a stone, and a large dark blob.
Which of the three students will call them a defect? Of which stroke is a larger share copied?</p>
<p>A map is bright where teacher and student differ; its brightest place is the score. All maps are in thresholds of
their own student, so that equal colours mean equally suspicious.</p>
"""


def project() -> Projector:
    """The explorers for a room, with all products of the toy factory."""
    return Projector(STAGES, ["surface", "tray", "fabric", "metal"], get_ready, READING)
