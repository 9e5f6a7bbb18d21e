"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(true: Callable[[], bool]) -> None:
    """Wait until something is true, looking often; a minute is long enough."""
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("waited a minute")
