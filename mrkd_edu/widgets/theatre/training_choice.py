"""A theatre with a menu: choose a variant, press Start, and watch it learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.study.run import Plan
from mrkd_edu.widgets.frame import memory
from mrkd_edu.widgets.frame.shown import close_all, with_still
from mrkd_edu.widgets.theatre.watch import TrainingTheatre, button, running


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
        self.start_button = button("Start", "play", "Train from the beginning; stops a training that runs", self.start)
        self._head = ipywidgets.HBox([self.choice, self.start_button])
        self.theatre = self._under_way() or self._new()
        super().__init__([self._head, self.theatre])
        self.add_class("mrkd-explorer")
        self.add_class("mrkd-choose-training")
        self.choice.observe(self._chosen, "value")

    def close(self) -> None:
        """Take it from the page; a training that another choice has taken over goes on."""
        self.set_trait("children", ())
        close_all([self, self._head] if self.theatre.running else [self, self._head, self.theatre])

    def start(self) -> None:
        """Train the chosen plan from its beginning."""
        if self._replace():
            self.theatre.start()

    def _chosen(self, _: Any) -> None:
        if not self.theatre.running:
            self._replace()

    def _replace(self) -> bool:
        """A new theatre in place of the one that is shown; False when its images cannot be had."""
        try:
            new = self._new()
        except Exception as error:  # of any kind: the person looks at the widget, not at the log
            self.theatre.shown.complain(error)
            return False
        old, self.theatre = self.theatre, new
        self.children = [self._head, new]
        old.stop()
        close_all([old])
        return True

    def _new(self) -> TrainingTheatre:
        return TrainingTheatre(self.data, self.plans[self.choice.value])

    def _under_way(self) -> TrainingTheatre | None:
        """A training of these plans that runs already, because the cell is run again."""
        theatre = running()
        if theatre is not None and theatre.data.root == self.data.root:
            for name, plan in self.plans.items():
                if plan == theatre.plan:
                    self.choice.value = name
                    return theatre
        return None

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
    choice = TrainingChoice(data, plans)
    memory.MEMORY.succeed(memory.place("choose_training"), choice)
    return choice
