"""The frame of every explorer: labelled controls, and one picture that follows them.

An explorer is built from a pure function `render(**state) -> View`. This file gives it what good tools have: the last
of fast moves wins, a busy sign after 300 ms, errors where one looks, a reset button, and a state that survives running
the cell again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets

from mrkd_edu.widgets.frame import memory
from mrkd_edu.widgets.frame.latest import Latest
from mrkd_edu.widgets.frame.panels import View
from mrkd_edu.widgets.frame.shown import Shown, close_all, with_still

PATIENCE = 0.3  # seconds before the busy sign
FOR_KEEPS = "MRKD_EDU_FOR_KEEPS"  # set while a notebook is executed to be kept


class Explorer(ipywidgets.VBox):
    """Controls and a picture.

    Args:
        name: what it is; under this name, in this cell, the state is remembered while the kernel lives.
        controls: name of a parameter of `render` to the widget that sets it. Every one has a description and a tooltip.
        render: state to picture; pure, so that tests and static figures use it too.
        picture: where the picture goes: a widget with a trait `value` of PNG bytes.
        after: called when a picture, or an error, is on its way to the browser.

    Example:
        >>> from mrkd_edu.widgets.frame.panels import panel
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
        self._after = after
        self._defaults = self.state
        self._quiet = False
        self._latest: Latest[None] = Latest(self._draw)
        self._turn, self._lock = 0, threading.Lock()

        self.shown = Shown(picture)
        self.shown.redraw = lambda: self._latest.ask(None)
        self.busy = ipywidgets.HTML("<span>computing …</span>")
        self.busy.add_class("mrkd-busy")
        self.busy.layout.visibility = "hidden"
        self.reset_button = ipywidgets.Button(description="Reset", icon="undo", tooltip="All controls as they began")
        self.reset_button.on_click(lambda _: self.reset())
        column = ipywidgets.VBox([*self.controls.values(), ipywidgets.HBox([self.reset_button, self.busy])])
        column.add_class("mrkd-controls")
        body = ipywidgets.HBox([column, self.shown])
        body.add_class("mrkd-body")
        super().__init__([body])
        self.add_class("mrkd-explorer")
        self.add_class(f"mrkd-{name.replace('_', '-')}")

        self._place = memory.place(name)
        memory.MEMORY.succeed(self._place, self)
        memory.MEMORY.restore(self._place, self.controls)
        for control in self.controls.values():
            control.observe(self._changed, "value")
        self._latest.ask(None)

    @property
    def state(self) -> dict[str, Any]:
        """What the controls say: the arguments of `render`."""
        return {key: control.value for key, control in self.controls.items()}

    @property
    def view(self) -> View | None:
        """The last picture with its numbers, or None before the first."""
        return self.shown.view

    @property
    def problem(self) -> ipywidgets.HTML:
        """Where errors appear."""
        return self.shown.problem

    def set(self, **values: Any) -> None:
        """Move several controls with one new picture."""
        self._quiet = True
        try:
            for key, value in values.items():
                self.controls[key].value = value
        finally:
            self._quiet = False
        self._changed()

    def reset(self) -> None:
        """Move all controls back to where they began."""
        self.set(**self._defaults)

    def wait(self, seconds: float = 60) -> bool:
        """Until the picture has followed the controls; False when that takes longer than `seconds`."""
        return self._latest.wait(seconds)

    def close(self) -> None:
        """Take it from the page, and let go of what it holds."""
        self.render = _closed
        self._after = lambda: None
        if hasattr(self, "shown"):  # not where it was refused before it was made
            self.shown.redraw = lambda: None
        close_all([self])

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook keeps of it: the live widget, and a still picture for readers without a kernel."""
        if os.environ.get(FOR_KEEPS):
            self.wait()
        else:  # the first picture, and not what is worked out behind it
            self._latest.wait(5)
        return with_still(super()._repr_mimebundle_(), self.view)

    def _changed(self, _: Any = None) -> None:
        if not self._quiet:
            memory.MEMORY.keep(self._place, self.controls)
            self._latest.ask(None)

    def _draw(self, _: None) -> None:
        busy = threading.Timer(PATIENCE, self._show_busy, [self._turn])
        busy.daemon = True
        try:
            busy.start()
            self.shown.show(self.render(**self.state))  # the state of now, however old the wish
        except Exception as error:  # of any kind: the person looks at the widget, not at the log
            self.shown.complain(error)
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


def _closed(**_: Any) -> View:
    raise ValueError("this explorer was closed: run its cell again")
