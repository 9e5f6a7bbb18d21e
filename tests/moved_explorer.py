"""Moves the controls of an explorer, as tests of several explorers do."""

from __future__ import annotations

from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.panels import View


def seen(explorer: Explorer, **state: object) -> View:
    """What the explorer shows after its controls were moved to there."""
    if len(state) == 1:
        [(name, value)] = state.items()
        explorer.controls[name].value = value  # as by hand
    else:
        explorer.set(**state)
    assert explorer.wait() and explorer.view is not None
    assert explorer.problem.value == ""
    return explorer.view
