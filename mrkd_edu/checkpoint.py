"""What makes a training safe: checkpoints, a Ctrl-C that loses nothing, and errors that say how to go on.

A checkpoint holds weights, optimiser and history. It needs no state of a random generator: every step draws from a
generator made of the seed and the step's number, see `train.py`.
"""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from mrkd_edu.writing import whole_file


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to do."""


@dataclass
class History:
    """What happened in a training.

    Attributes:
        loss: of every step.
        seconds: spent training, over all sittings.
        images: in the training set.
    """

    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    images: int = 0


class CtrlC:
    """Ctrl-C waits until the step is done, for half a step cannot be resumed. A second one does not wait."""

    def __init__(self) -> None:
        self.waiting = self.cut_short = False

    def __enter__(self) -> CtrlC:
        # Python gives signals to the main thread only; a handler of somebody else's stays.
        main = threading.current_thread() is threading.main_thread()
        self.ours = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.ours:
            signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: object) -> None:
        if self.ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _press(self, *_: object) -> None:
        if self.waiting:
            self.cut_short = True
            raise KeyboardInterrupt
        self.waiting = True

    def check(self) -> None:
        """Between two steps: stop here if Ctrl-C was pressed."""
        if self.waiting:
            raise KeyboardInterrupt


def diverged(what: str) -> str:
    """What to say when numbers stop being numbers."""
    return (
        f"Training diverged: the {what}. Train again with --precision fp32 (in Python: MRKD(precision='fp32')) or with "
        "a lower Recipe.lr. The last checkpoint, if there is one, is from before."
    )


class Checkpoint:
    """Everything that a training needs to continue: weights, optimiser, and how far it came."""

    def __init__(self, path: Path | None, identity: str, history: History, **parts: Any):
        self.path, self.identity, self.history, self.parts = path, identity, history, parts

    def save(self) -> None:
        """Write the file. Raises `TrainingError` where a weight is not finite; the older file stays."""
        state: dict[str, Any] = {name: part.state_dict() for name, part in self.parts.items()}
        if not all(bool(value.isfinite().all()) for value in state["student"].values()):
            raise TrainingError(diverged(f"weights after step {len(self.history.loss)} are not finite"))
        if self.path is None:
            return
        state.update(identity=self.identity, history=asdict(self.history))
        with whole_file(self.path, "wb") as file:  # a kill in between leaves the older checkpoint whole
            torch.save(state, file)

    def load(self) -> None:
        """Continue from the file where there is one. Raises `TrainingError` where it does not fit."""
        if self.path is None or not self.path.exists():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            identity = state["identity"]
        except Exception as error:  # a damaged file fails with almost any error
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise TrainingError(
                f"{self.path} is damaged or not a checkpoint ({reason}). Delete the file to start anew."
            ) from error
        if identity != self.identity:
            raise TrainingError(
                f"{self.path} belongs to another training.\n  there: {identity}\n  here:  {self.identity}\n"
                "Resume with the same settings, or delete the file to start anew."
            )
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        for name, value in state["history"].items():
            setattr(self.history, name, value)
