"""A picture with what is said of it: in every explorer and in the theatre.

It is updated in place, keeps its keys to itself, tells screen readers what it shows, and leaves a still picture in the
notebook for readers without a kernel.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import ipywidgets
import traitlets

from mrkd_edu.widgets.frame.front_end import front_end
from mrkd_edu.widgets.frame.panels import View, framed, jpeg, png
from mrkd_edu.widgets.frame.paper import lay

CSS = front_end(__file__, "explorer.css")


class Voice(anywidget.AnyWidget):
    """Reads `text` to screen readers, keeps the explorer's keys from the notebook around it, knows a dark page."""

    _esm = front_end(__file__, "voice.js")
    text = traitlets.Unicode("").tag(sync=True)
    dark = traitlets.Bool(False).tag(sync=True)


class Shown(ipywidgets.VBox):
    """A picture, a sentence about it, and a place for what went wrong.

    Args:
        picture: a widget with a trait `value` of PNG bytes; None makes one.

    Attributes:
        view: the last `View`, or None before the first.
        redraw: draws it once more; called when the page has become dark or light.

    Example:
        >>> import numpy as np
        >>> shown = Shown()
        >>> shown.show(View(np.zeros((8, 8, 3), np.uint8), "all black"))
        >>> shown.says.value, shown.voice.text
        ('all black', 'all black')
    """

    def __init__(self, picture: ipywidgets.DOMWidget | None = None):
        self.view: View | None = None
        self.redraw: Callable[[], object] = lambda: None
        self.picture = picture or ipywidgets.Image(format="png")
        self.says, self.problem, self.voice = ipywidgets.HTML(), ipywidgets.HTML(), Voice()
        style = ipywidgets.HTML(f"<style>{CSS}</style>")
        super().__init__([self.picture, self.says, self.problem, self.voice, style])
        self.voice.observe(self._page_changed, "dark")
        for part, name in ((self.picture, "picture"), (self.says, "says"), (self.problem, "problem"), (self, "shown")):
            part.add_class(f"mrkd-{name}")

    def show(self, view: View) -> None:
        """The picture in place of the one before; a complaint that stood there is over."""
        self.view = view
        self.picture.value = png(framed(view.image))
        self.says.value = html.escape(view.says)
        self.problem.value = ""
        self.voice.text = view.says

    def _page_changed(self, change: Any) -> None:
        lay(change.new)
        self.redraw()

    def complain(self, error: BaseException) -> None:
        """Say what went wrong where the person looks."""
        self.problem.value = f'<span role="alert">{html.escape(explain(error))}</span>'


def explain(error: BaseException) -> str:
    """An error as a person reads it; what is no mistake of the person also says its kind.

    Example:
        >>> explain(ValueError("choose another")), explain(KeyError("x"))
        ('choose another', "KeyError: 'x'")
    """
    text = str(error) or "no message"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


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


def close_all(widgets: Sequence[ipywidgets.Widget]) -> None:
    """Close widgets with all that belongs to them: a kernel keeps what is not closed."""
    for widget in widgets:
        parts = [getattr(widget, name, None) for name in ("layout", "style")]
        close_all([*getattr(widget, "children", ()), *(part for part in parts if isinstance(part, ipywidgets.Widget))])
        ipywidgets.Widget.close(widget)
