"""The last of many wishes wins: work in a thread, and never a queue of stale work.

A slider that is dragged sends thirty values a second, each of which wants a new picture. The kernel takes messages one
after the other; were each drawn, the picture would lag behind the hand for seconds. So a wish is only noted. A thread
works on one wish, and then takes the newest there is; what came between was never seen and is not missed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Wish = TypeVar("Wish")


class Latest(Generic[Wish]):
    """Calls `work(wish)` in a thread, one at a time, always with the newest wish.

    Args:
        work: should catch its own errors. Others are reported like those of any thread; the next wish is still heard.

    Example:
        >>> seen = []
        >>> latest = Latest(seen.append)
        >>> for number in range(100):
        ...     latest.ask(number)
        >>> latest.wait()
        True
        >>> seen[-1], len(seen) <= 100
        (99, True)
    """

    def __init__(self, work: Callable[[Wish], None]):
        self.work = work
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._wishes: list[Wish] = []  # none or one

    def ask(self, wish: Wish) -> None:
        """Note the wish, in place of one that waits, and return at once."""
        with self._lock:
            self._wishes = [wish]
            if not self._idle.is_set():
                return
            threading.Thread(target=self._run, daemon=True).start()
            self._idle.clear()

    def wait(self, seconds: float | None = None) -> bool:
        """Until nothing is left to do; False when that takes longer than `seconds`."""
        return self._idle.wait(seconds)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._wishes:
                    self._idle.set()
                    return
                wish = self._wishes.pop()
            try:
                self.work(wish)
            except Exception:
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
