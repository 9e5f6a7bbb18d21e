"""Two ways to go through many images: some at a time, and several at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tqdm.auto import tqdm

Given = TypeVar("Given")
Made = TypeVar("Made")

DECODERS = min(8, os.cpu_count() or 1)  # threads; PIL lets go of the interpreter while it decodes
BATCH = 16  # images that go through a network at a time, where nothing is learned


def in_batches(images: Any, batch: int = BATCH) -> Iterator[Any]:
    """The slices of anything that has a length and can be sliced: a tensor, an array, an `ImageStack`, a list.

    Example:
        >>> list(in_batches("abcde", 2))
        ['ab', 'cd', 'e']
    """
    for start in range(0, len(images), batch):
        yield images[start : start + batch]


def side_by_side(
    how: Callable[[Given], Made],
    items: Sequence[Given],
    threads: int = DECODERS,
    *,
    what: str = "",
    unit: str = "file",
    progress: bool = False,
) -> list[Made]:
    """Do the same to many things in threads, and keep their order; the first error ends it.

    Args:
        how: what is done to one.
        items: what it is done to.
        threads: that work at once.
        what, unit: written on the bar.
        progress: show a bar.

    Example:
        >>> side_by_side(str.upper, ["a", "b"])
        ['A', 'B']
    """
    pool = ThreadPoolExecutor(threads)
    try:
        return list(tqdm(pool.map(how, items), what, len(items), unit=unit, disable=not progress or not items))
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C: do not do the rest first
