"""What makes a training safe: checkpoints, a Ctrl-C that loses nothing, and errors that say how to go on.

A checkpoint holds weights, optimiser and history. It needs no state of a random generator: every step draws from a
generator made of the seed and the step's number, see `train.py`.
"""

from __future__ import annotations

import copy
import hashlib
import io
import math
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from mrkd_edu.runtime.writing import NotWritten, read_whole, whole_file

DIGEST = 16  # bytes of the hash in front of a checkpoint


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


class CutShort(KeyboardInterrupt):
    """A second Ctrl-C: the step is not finished."""


class CtrlC:
    """Ctrl-C waits until the step is done, for half a step cannot be resumed. A second one does not wait."""

    def __init__(self) -> None:
        self.waiting = False

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
            raise CutShort
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


class Damaged(TrainingError):
    """A checkpoint that is none, or not whole."""


class Checkpoint:
    """Everything that a training needs to continue: weights, optimiser, and how far it came.

    A file is a hash and what it is the hash of, so that half a file or a flipped bit is found before it is used.
    """

    def __init__(self, path: Path | None, identity: str, history: History, **parts: Any):
        self.path, self.identity, self.history, self.parts = path, identity, history, parts
        self.trouble: NotWritten | None = None  # with the last saving

    def save(self) -> None:
        """Write the file. Raises `TrainingError` where a weight is not finite; the older file stays.

        A file that cannot be written does not end a training: that is said once, and kept in `trouble`.
        """
        state: dict[str, Any] = {name: part.state_dict() for name, part in self.parts.items()}
        if not all(bool(value.isfinite().all()) for value in state["student"].values()):
            raise TrainingError(diverged(f"weights after step {len(self.history.loss)} are not finite"))
        if self.path is None:
            return
        state.update(identity=self.identity, history=asdict(self.history))
        memory = io.BytesIO()  # torch says "unexpected pos" where a disk is full; the system says what is wrong
        torch.save(state, memory)
        content = memory.getvalue()
        try:
            with whole_file(self.path, "wb") as file:  # a kill in between leaves the older checkpoint whole
                file.write(_hash(content) + content)
        except NotWritten as error:
            if self.trouble is None:
                tqdm.write(f"The training goes on without checkpoints: {error}", file=sys.stderr)
            self.trouble = error
        else:
            self.trouble = None

    @contextmanager
    def on(self, *reasons: type[BaseException]) -> Iterator[None]:
        """Save where one of these ends the block between two steps, so that it can go on from there."""
        try:
            yield
        except CutShort:
            raise
        except reasons:
            self.trouble = None  # it is said again: from here there is nothing to go on from
            self.save()
            raise

    def load(self) -> None:
        """Continue from the file where there is one.

        Raises:
            Damaged: the file is no checkpoint, or not whole. Nothing was changed.
            TrainingError: it belongs to another training.
        """
        if self.path is None or not self.path.exists():
            return
        damaged = Damaged(f"{self.path} is damaged or not a checkpoint. Delete the file to start anew.")
        try:
            state = read_checkpoint(self.path)
            identity, history = state["identity"], History(**state["history"])
            if not isinstance(identity, str) or not all(map(math.isfinite, history.loss)):
                raise ValueError("no history")
        except Exception as error:  # what is no checkpoint fails with almost any error
            raise damaged from error
        if identity != self.identity:
            raise TrainingError(
                f"{self.path} belongs to another training. Resume with the same images and settings, or delete the "
                f"file to start anew.\n{_difference(identity, self.identity)}"
            )
        before = {name: copy.deepcopy(part.state_dict()) for name, part in self.parts.items()}
        try:
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
        except Exception as error:  # a part is missing, or has other weights
            for name, part in self.parts.items():
                part.load_state_dict(before[name])
            raise damaged from error
        for name, value in asdict(history).items():
            setattr(self.history, name, value)


def read_checkpoint(path: Path) -> Any:
    """What a checkpoint holds. Raises almost any error where it is damaged."""
    content = read_whole(path)
    if content[:DIGEST] != _hash(content[DIGEST:]):
        raise ValueError(f"{path} is not the file that was written")
    return torch.load(io.BytesIO(content[DIGEST:]), map_location="cpu", weights_only=True)


def _difference(there: str, here: str) -> str:
    """Where two descriptions of a training differ, in lines of their own."""
    one, other = there.split(", "), here.split(", ")
    if len(one) == len(other):  # the same settings with other values: show only these
        one, other = ([words[i] for i in range(len(one)) if one[i] != other[i]] for words in (one, other))
    return f"  there: {', '.join(one)}\n  here:  {', '.join(other)}"


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST).digest()
