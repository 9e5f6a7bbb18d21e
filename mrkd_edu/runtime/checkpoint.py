"""What makes a training safe: checkpoints, a Ctrl-C that loses nothing, and errors that say how to go on.

A checkpoint holds weights, optimiser and history. It needs no state of a random generator: every step draws from a
generator made of the seed and the step's number, see `train.py`.

It is a safetensors file: named tensors, and a text in JSON that says the rest. Nothing in it can be executed, which is
not so of `torch.save`, whose files are pickles.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import TypeAdapter
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from tqdm.auto import tqdm

from mrkd_edu.runtime.manifest import Finite, NotNegative, digest
from mrkd_edu.runtime.writing import NotWritten, read_whole, whole_file

FORMAT = 2  # of a checkpoint; another number is another meaning
ADAM = "adam."  # how the names of the optimiser's tensors begin; the others are named as in a model
NO_HASH = "-" * 32  # keeps the place of the hash, while it is computed
OF_ANOTHER_VERSION = "was written by another version of mrkd_edu. Delete the file to start anew."
OLD = b"PK\x03\x04"  # stood behind the hash in format 1, a pickle


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

    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True}  # of a checkpoint

    loss: list[Finite] = field(default_factory=list)
    seconds: NotNegative = 0.0
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

    A file holds a hash of itself, so that half a file or a flipped bit is found before it is used.

    Args:
        path: the file; None: nothing is kept.
        identity: what tells this training from another.
        history: how far it came.
        learner: all that learns.
        adam: its optimiser.
        scaler: of gradients in fp16.
    """

    def __init__(
        self,
        path: Path | None,
        identity: str,
        history: History,
        learner: nn.Module,
        adam: torch.optim.Adam,
        scaler: torch.amp.GradScaler,
    ):
        self.path, self.identity, self.history = path, identity, history
        self.learner, self.adam, self.scaler = learner, adam, scaler
        self.trouble: NotWritten | None = None  # with the last saving

    def save(self) -> None:
        """Write the file. Raises `TrainingError` where a weight is not finite; the older file stays.

        A file that cannot be written does not end a training: that is said once, and kept in `trouble`.
        """
        tensors = dict(self.learner.state_dict())
        if not _finite(tensors):
            raise TrainingError(diverged(f"weights after step {len(self.history.loss)} are not finite"))
        if self.path is None:
            return
        for number, of_one in self.adam.state_dict()["state"].items():  # two means and a counter for each weight
            tensors |= {f"{ADAM}{number}.{name}": value for name, value in of_one.items()}
        said = {"identity": self.identity, "history": asdict(self.history), "scaler": self.scaler.state_dict()}
        content = packed(said, tensors)
        try:
            with whole_file(self.path, "wb") as file:  # a kill in between leaves the older checkpoint whole
                file.write(content)
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
            content = read_whole(self.path)
            old = content[16:20] == OLD
            said, tensors = ({}, {}) if old else unpacked(content)
        except Exception as error:  # what is no checkpoint fails with almost any error
            raise damaged from error
        if old or said.get("format") != FORMAT:
            raise Damaged(f"{self.path} {OF_ANOTHER_VERSION}")
        try:
            identity, scaler = said["identity"], said["scaler"]
            history = TypeAdapter(History).validate_json(json.dumps(said["history"]))
            if not isinstance(identity, str):
                raise ValueError("no identity")
        except Exception as error:
            raise damaged from error
        if identity != self.identity:
            raise TrainingError(
                f"{self.path} belongs to another training. Resume with the same images and settings, or delete the "
                f"file to start anew.\n{_difference(identity, self.identity)}"
            )
        if not self._fits(tensors, history, scaler):
            raise damaged
        self.learner.load_state_dict({name: t for name, t in tensors.items() if not name.startswith(ADAM)})
        adam = self.adam.state_dict()  # lr and betas come from the recipe
        for number, weight in enumerate(self._weights() if history.loss else ()):
            like = {name: torch.empty_like(weight) for name in ("exp_avg", "exp_avg_sq")}  # in the order in memory
            means = {name: place.copy_(tensors[f"{ADAM}{number}.{name}"]) for name, place in like.items()}
            adam["state"][number] = {"step": tensors[f"{ADAM}{number}.step"], **means}
        self.adam.load_state_dict(adam)
        self.scaler.load_state_dict(scaler)
        for name, value in asdict(history).items():
            setattr(self.history, name, value)

    def _weights(self) -> list[Tensor]:
        """The weights by the numbers that Adam gives them."""
        return [weight for group in self.adam.param_groups for weight in group["params"]]

    def _fits(self, tensors: dict[str, Tensor], history: History, scaler: Any) -> bool:
        """Whether these are the names, shapes and types of this training, and numbers: all of it, and no more."""
        like = dict(self.learner.state_dict())
        for number, weight in enumerate(self._weights() if history.loss else ()):  # Adam begins with the first step
            like |= {f"{ADAM}{number}.exp_avg": weight, f"{ADAM}{number}.exp_avg_sq": weight}
            like[f"{ADAM}{number}.step"] = torch.zeros(())
        here, there = ({name: (t.shape, t.dtype) for name, t in each.items()} for each in (like, tensors))
        known = self.scaler.state_dict()  # empty, but in fp16
        numbers = isinstance(scaler, dict) and all(isinstance(v, int | float) for v in scaler.values())
        if here != there or not numbers or scaler.keys() != known.keys() or not _finite(tensors):
            return False
        made = {float(t) for name, t in tensors.items() if name.startswith(ADAM) and name.endswith(".step")}
        return made <= {len(history.loss)} or bool(known)  # in fp16, steps are left out


def packed(said: dict[str, Any], tensors: dict[str, Tensor]) -> bytes:
    """A checkpoint as it is written: a safetensors file with a hash of itself.

    Example:
        >>> said, tensors = unpacked(packed({"identity": "mine"}, {"w": torch.ones(2)}))
        >>> said["identity"], tensors["w"]
        ('mine', tensor([1., 1.]))
    """
    text = {"hash": NO_HASH, "said": json.dumps({"format": FORMAT, **said})}
    content = to_bytes({name: value.contiguous() for name, value in tensors.items()}, text)
    return content.replace(NO_HASH.encode(), digest(content).encode(), 1)


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint says, and its tensors. Raises almost any error where it is damaged."""
    tensors = from_bytes(content)  # compares every length with the file's before it reads
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    text = header["__metadata__"]
    if digest(content.replace(text["hash"].encode(), NO_HASH.encode(), 1)) != text["hash"]:
        raise ValueError("it is not what was written")
    said = json.loads(text["said"])
    if not isinstance(said, dict):
        raise ValueError("it says nothing")
    return said, tensors


def _finite(tensors: dict[str, Tensor]) -> bool:
    return all(bool(value.isfinite().all()) for name, value in tensors.items() if not name.startswith(ADAM))


def _difference(there: str, here: str) -> str:
    """Where two descriptions of a training differ, in lines of their own."""
    one, other = there.split(", "), here.split(", ")
    if len(one) == len(other):  # the same settings with other values: show only these
        one, other = ([words[i] for i in range(len(one)) if one[i] != other[i]] for words in (one, other))
    return f"  there: {', '.join(one)}\n  here:  {', '.join(other)}"
