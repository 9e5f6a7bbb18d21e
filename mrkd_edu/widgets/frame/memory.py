"""What an explorer remembers when its cell is run again: what was chosen, and whom it succeeds.

A place is an explorer's name and the cell that made it, so that two cells with the same explorer do not get in each
other's way. A state is restored only where the controls are those that it was chosen with: other images, other models
or other settings begin anew.
"""

from __future__ import annotations

import builtins
from collections.abc import Hashable, Mapping
from typing import Any

import ipywidgets

SHAPE = ("options", "min", "max", "side", "base")  # traits that say what a control offers
Place = tuple[Hashable, ...]
_made: dict[Place, tuple[Hashable, int]] = {}  # name and cell to its last run, and how many were made in it


def place(name: str) -> Place:
    """Name, cell, and how many of this name this run of the cell made before; the name alone where no cell is known.

    Example:
        >>> place("explore_ilm")
        ('explore_ilm',)
    """
    shell = getattr(builtins, "get_ipython", lambda: None)()  # IPython puts it there while it runs a cell
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return (name,)
    request = kernel.get_parent()
    cell, now = request.get("metadata", {}).get("cellId"), request.get("header", {}).get("msg_id")
    if cell is None:  # a front end that does not say
        return (name,)
    before, number = _made.get((name, cell), (None, 0))
    number = number + 1 if before == now else 0
    _made[name, cell] = now, number
    return name, cell, number


class Memory:
    """States and explorers by their place.

    Example:
        >>> memory, slider, again = Memory(), ipywidgets.IntSlider(3), ipywidgets.IntSlider(3)
        >>> memory.restore(("x",), {"number": slider})  # nothing yet
        >>> slider.value = 8
        >>> memory.keep(("x",), {"number": slider})
        >>> memory.restore(("x",), {"number": again})
        >>> again.value
        8
    """

    def __init__(self) -> None:
        self._states: dict[Place, dict[str, Any]] = {}
        self._shapes: dict[Place, dict[str, Any]] = {}
        self._living: dict[Place, ipywidgets.Widget] = {}

    def succeed(self, where: Place, explorer: ipywidgets.Widget) -> None:
        """Close the explorer that this cell made before. Where there are no cells, all live on."""
        if len(where) > 1:
            if before := self._living.pop(where, None):
                before.close()
            self._living[where] = explorer

    def restore(self, where: Place, controls: Mapping[str, ipywidgets.ValueWidget]) -> None:
        """Set the controls as they were left, if they offer what they offered then, and begin where they began."""
        shape = {key: _shape(control) for key, control in controls.items()}
        if self._shapes.get(where) != shape:
            self._states.pop(where, None)
        self._shapes[where] = shape
        for key, value in self._states.get(where, {}).items():
            controls[key].value = value

    def keep(self, where: Place, controls: Mapping[str, ipywidgets.ValueWidget]) -> None:
        """Remember what the controls say, after `restore` has seen them as they began."""
        self._states[where] = {key: control.value for key, control in controls.items()}


def _shape(control: ipywidgets.ValueWidget) -> tuple[object, ...]:
    return control.value, *(getattr(control, name, None) for name in SHAPE)


MEMORY = Memory()  # of this kernel
