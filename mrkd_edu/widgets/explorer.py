"""The frame of every explorer: labelled controls, and one picture that follows them.

An explorer is built from a pure function `render(**state) -> View`. This file gives it what good tools have: the last
of fast moves wins, a busy sign after 300 ms, errors where one looks, a reset button, and a state that survives running
the cell again.
"""

from __future__ import annotations

import base64
import html
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets
from traitlets import TraitError

from mrkd_edu.widgets.latest import Latest
from mrkd_edu.widgets.panels import View, framed, jpeg, png

PATIENCE = 0.3  # seconds before the busy sign
STILL = 20.0  # seconds that the still picture in a notebook may take
CSS = (Path(__file__).parent / "explorer.css").read_text(encoding="utf-8")
_remembered: dict[str, dict[str, Any]] = {}  # name of an explorer to its last state


class Explorer(ipywidgets.VBox):
    """Controls and a picture.

    Args:
        name: under which the state is remembered while the kernel lives.
        controls: name of a parameter of `render` to the widget that sets it. Every one has a description and a tooltip.
        render: state to picture; pure, so that tests and static figures use it too.
        picture: where the picture goes: a widget with a trait `value` of PNG bytes.
        after: called when a picture, or an error, is on its way to the browser.

    Attributes:
        view: the last `View`, or None before the first.

    Example:
        >>> from mrkd_edu.widgets.panels import panel
        >>> import numpy as np
        >>> grey = ipywidgets.IntSlider(50, 0, 255, description="grey", tooltip="how bright")
        >>> draw = lambda grey: View(panel(np.full((64, 64, 3), grey, np.uint8), "grey"), f"grey {grey}")
        >>> explorer = Explorer("example", {"grey": grey}, draw)
        >>> grey.value = 200
        >>> explorer.wait()
        True
        >>> explorer.view.says
        'grey 200'
    """

    def __init__(
        self,
        name: str,
        controls: Mapping[str, ipywidgets.ValueWidget],
        render: Callable[..., View],
        *,
        picture: ipywidgets.DOMWidget | None = None,
        after: Callable[[], None] = lambda: None,
    ):
        for key, control in controls.items():
            if not control.description or not control.tooltip:
                raise ValueError(f"control {key!r} of explorer {name!r} needs a description and a tooltip")
            if hasattr(control, "style"):  # a canvas has none and takes what room it needs
                control.style.description_width = "9.5em"
                control.layout.width = "24em"
        self.name, self.controls, self.render = name, dict(controls), render
        self.view: View | None = None
        self._after = after
        self._defaults = self.state
        self._quiet = False
        self._latest: Latest[dict[str, Any]] = Latest(self._draw)
        self._turn, self._lock = 0, threading.Lock()

        self.picture = picture or ipywidgets.Image(format="png")
        self.picture.add_class("mrkd-picture")
        self.says = ipywidgets.HTML()
        self.says.add_class("mrkd-says")
        self.problem = ipywidgets.HTML()
        self.problem.add_class("mrkd-problem")
        self.busy = ipywidgets.HTML('<span role="status">computing …</span>')
        self.busy.add_class("mrkd-busy")
        self.busy.layout.visibility = "hidden"
        self.reset_button = ipywidgets.Button(description="Reset", icon="undo", tooltip="All controls as they began")
        self.reset_button.on_click(lambda _: self.reset())
        bar = ipywidgets.HBox([self.reset_button, self.busy])
        column = ipywidgets.VBox([*self.controls.values(), bar])
        column.add_class("mrkd-controls")
        shown = ipywidgets.VBox([self.picture, self.says, self.problem])
        shown.add_class("mrkd-shown")
        body = ipywidgets.HBox([column, shown])
        body.add_class("mrkd-body")
        super().__init__([ipywidgets.HTML(f"<style>{CSS}</style>"), body])
        self.add_class("mrkd-explorer")
        self.add_class(f"mrkd-{name.replace('_', '-')}")

        self._restore()
        for control in self.controls.values():
            control.observe(self._changed, "value")
        self._ask()

    @property
    def state(self) -> dict[str, Any]:
        """What the controls say: the arguments of `render`."""
        return {key: control.value for key, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Move several controls with one new picture."""
        self._quiet = True
        try:
            for key, value in values.items():
                self.controls[key].value = value
        finally:
            self._quiet = False
        self._ask()

    def reset(self) -> None:
        """Move all controls back to where they began."""
        self.set(**self._defaults)

    def wait(self, seconds: float = 60) -> bool:
        """Until the picture has followed the controls; False when that takes longer than `seconds`."""
        return self._latest.wait(seconds)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook keeps of it: the live widget, and a still picture for readers without a kernel."""
        self.wait(STILL)
        return with_still(super()._repr_mimebundle_(), self.view)

    def _restore(self) -> None:
        for key, value in _remembered.get(self.name, {}).items():
            if key in self.controls:
                try:
                    self.controls[key].value = value
                except TraitError:  # other images: what was chosen is not on offer any more
                    continue

    def _changed(self, _: Any) -> None:
        if not self._quiet:
            self._ask()

    def _ask(self) -> None:
        _remembered[self.name] = self.state
        self._latest.ask(self.state)

    def _draw(self, state: dict[str, Any]) -> None:
        busy = threading.Timer(PATIENCE, self._show_busy, [self._turn])
        busy.daemon = True
        busy.start()
        try:
            self.view = self.render(**state)
            self.picture.value = png(framed(self.view.image))
            self.says.value = html.escape(self.view.says)
            self.problem.value = ""
        except Exception as error:  # of any kind: the person looks at the widget, not at the log
            self.problem.value = f'<span role="alert">{html.escape(explain(error))}</span>'
        finally:
            busy.cancel()
            self._hide_busy()
            self._after()

    def _show_busy(self, turn: int) -> None:
        with self._lock:
            if turn == self._turn:  # else the timer went off just as the picture was done
                self.busy.layout.visibility = "visible"

    def _hide_busy(self) -> None:
        with self._lock:
            self._turn += 1
            self.busy.layout.visibility = "hidden"


def with_still(live: dict[str, Any], view: View | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """A widget's output, data and metadata, with a picture beside the live view; what is said of it is its description.

    Example:
        >>> import numpy as np
        >>> data, metadata = with_still({"text/plain": "VBox(...)"}, View(np.zeros((8, 8, 3), np.uint8), "all black"))
        >>> sorted(data), metadata["image/jpeg"]
        (['image/jpeg', 'text/plain'], {'alt': 'all black'})
    """
    live = live | {"text/plain": "Interactive: run this cell to move it."}
    if view is None:
        return live, {}
    live["image/jpeg"] = base64.b64encode(jpeg(framed(view.image))).decode()
    return live, {"image/jpeg": {"alt": view.says}}


def explain(error: Exception) -> str:
    """An error as a person reads it; what is no mistake of the person also says its kind."""
    text = str(error) or "no message"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
