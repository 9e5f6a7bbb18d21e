"""What makes a training loop pleasant: batches made ahead, a bar, a clock, and an optimiser for half precision."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mrkd_edu.runtime.checkpoint import TrainingError, diverged

Batch = TypeVar("Batch")


@contextmanager
def made_ahead(make: Callable[[int], Batch], steps: range) -> Iterator[Iterator[tuple[int, Batch]]]:
    """The batches of some steps, each made by another thread while the one before is learned from.

    Example:
        >>> with made_ahead(lambda step: 10 * step, range(1, 4)) as batches:
        ...     list(batches)
        [(1, 10), (2, 20), (3, 30)]
    """
    with ThreadPoolExecutor(1) as worker:

        def batches() -> Iterator[tuple[int, Batch]]:
            upcoming = worker.submit(make, steps.start)
            for step in steps:
                ready = upcoming.result()
                if step + 1 < steps.stop:
                    upcoming = worker.submit(make, step + 1)
                yield step, ready

        yield batches() if steps else iter(())


class Stopwatch:
    """Seconds since the last look. What happens between `lap` and `restart` is not counted."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.begin = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the start or the last lap."""
        begin, self.begin = self.begin, time.perf_counter()
        return self.begin - begin


class Bar(tqdm):
    """A progress bar with the loss and the images per second."""

    def show(self, loss: float, images: int, seconds: float) -> None:
        """One step more: its loss, and how many images it took how long for."""
        self.update()
        if not self.disable:
            self.set_postfix(loss=f"{loss:.3f}", images_per_s=f"{images / seconds:.0f}", refresh=False)


class Optimiser:
    """Adam, with gradients scaled in fp16: small ones would vanish there, and no other format needs it.

    Args:
        learner: what is trained.
        betas: of Adam.
        half: whether the networks run in fp16.
    """

    def __init__(self, learner: nn.Module, betas: tuple[float, float], half: bool):
        weights = list(learner.parameters())
        self.adam = torch.optim.Adam(weights, betas=betas, fused=True)
        self.scaler = torch.amp.GradScaler(weights[0].device.type, enabled=half)

    def step(self, loss: Tensor, rate: float, number: int) -> float:
        """Make step `number` downhill with a learning rate, and give the loss as a number.

        Raises:
            TrainingError: it is none.
        """
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(diverged(f"loss of step {number} is {value}"))
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.adam)
        self.scaler.update()
        return value
