"""One way to go through many images: some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

BATCH = 16  # images that go through a network at a time, where nothing is learned


def in_batches(images: Any, batch: int = BATCH) -> Iterator[Any]:
    """The slices of anything that has a length and can be sliced: a tensor, an array, an `ImageStack`, a list.

    Example:
        >>> list(in_batches("abcde", 2))
        ['ab', 'cd', 'e']
    """
    for start in range(0, len(images), batch):
        yield images[start : start + batch]
