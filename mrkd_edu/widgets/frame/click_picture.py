"""A picture that says where it was clicked, and takes arrow keys: mouse, pen, finger and keyboard alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from mrkd_edu.widgets.frame.front_end import front_end


class ClickPicture(anywidget.AnyWidget):
    """A picture with a hand on it.

    Args:
        on_click: called with the place, as shares of width and height, when the picture is clicked or dragged over.
        on_move: called with the steps to the right and down when an arrow key is pressed.

    Attributes:
        value: PNG bytes.
        description: what it is. Front ends that see a tooltip ask for it.
        tooltip: what can be done with it; also its name for screen readers.

    Example:
        >>> clicks = []
        >>> picture = ClickPicture(on_click=lambda x, y: clicks.append((x, y)))
        >>> picture.receive({"click": [0.5, 0.25]})
        >>> clicks
        [(0.5, 0.25)]
    """

    _esm = front_end(__file__, "click_picture.js")
    _css = front_end(__file__, "click_picture.css")
    value = traitlets.Bytes().tag(sync=True)
    description = traitlets.Unicode("Picture").tag(sync=True)
    tooltip = traitlets.Unicode("Click a place, or move with the arrow keys").tag(sync=True)

    def __init__(
        self,
        *,
        on_click: Callable[[float, float], object] = lambda x, y: None,
        on_move: Callable[[int, int], object] = lambda right, down: None,
        **traits: Any,
    ):
        super().__init__(**traits)
        self._on_click, self._on_move = on_click, on_move
        self.on_msg(lambda _, content, __: self.receive(content))

    def receive(self, content: dict[str, list[float]]) -> None:
        """What the browser says: `{"click": [x, y]}` or `{"move": [right, down]}`."""
        if place := content.get("click"):
            self._on_click(float(place[0]), float(place[1]))
        if steps := content.get("move"):
            self._on_move(int(steps[0]), int(steps[1]))
