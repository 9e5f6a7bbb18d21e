"""Messages between the grader and the process in which a student's code runs: JSON and arrays, never pickle.

A message is a tree of dicts, lists, tuples, numbers, text, arrays and tensors. On the wire stand two lengths, the tree
as JSON, and its arrays as an npz file that is read with `allow_pickle=False`: whoever writes to the grader can send
wrong numbers, and nothing that is executed.
"""

from __future__ import annotations

import io
import json
import os
import select
import struct
import time
import zipfile
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

LARGEST = 64 * 2**20  # bytes of one message, JSON and arrays together
DEEPEST, MOST = 12, 20_000  # levels and entries of a tree
_LENGTHS = struct.Struct("<QQ")
_HALVES = {"bfloat16": torch.bfloat16}


class BadMessage(ValueError):
    """What came over the wire is no message; the text says why."""


class NothingCame(TimeoutError):
    """No whole message came in time."""


class Gone(EOFError):
    """The other side has closed its end: it has ended, or crashed."""


class Unknown(NamedTuple):
    """Stands for a thing that cannot be sent, by the name of its type."""

    kind: str


def packed(tree: Any) -> bytes:
    """A tree as bytes.

    Raises:
        BadMessage: it is too deep, or too large.

    Example:
        >>> said, rest = unpacked(packed({"map": torch.zeros(2, 3), "loss": 0.5, "box": (1, 2)}))
        >>> said["map"].shape, said["loss"], said["box"], rest
        (torch.Size([2, 3]), 0.5, (1, 2), b'')
    """
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_to_plain(tree, arrays, 0)).encode()
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    body = file.getvalue()
    if len(text) + len(body) > LARGEST:
        raise BadMessage(f"the answer is larger than {LARGEST // 2**20} MiB")
    return _LENGTHS.pack(len(text), len(body)) + text + body


def unpacked(data: bytes) -> tuple[Any, bytes]:
    """The first message of some bytes as a tree, and the bytes behind it.

    Raises:
        BadMessage: it is damaged, too large, or holds objects.
    """
    length = needed(data)
    if length is None or len(data) < length:
        raise BadMessage("the message is cut off")
    of_text, _ = _LENGTHS.unpack_from(data)
    text, body = data[_LENGTHS.size :][:of_text], data[_LENGTHS.size + of_text : length]
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            if sum(each.file_size for each in file.zip.infolist()) > LARGEST:  # a zip may promise more than it holds
                raise BadMessage("its arrays are too large")
            arrays = {name: file[name] for name in file.files}
        return _from_plain(json.loads(text), arrays, [MOST]), data[length:]
    except BadMessage:
        raise
    except (ValueError, KeyError, TypeError, OSError, EOFError, RecursionError, zipfile.BadZipFile) as error:
        raise BadMessage(f"it cannot be read ({type(error).__name__})") from error


def needed(data: bytes) -> int | None:
    """How many bytes the first message has, or None where its lengths have not come yet.

    Raises:
        BadMessage: more than is allowed.
    """
    if len(data) < _LENGTHS.size:
        return None
    total = sum(_LENGTHS.unpack_from(data))
    if total > LARGEST:
        raise BadMessage(f"it claims to be larger than {LARGEST // 2**20} MiB")
    return _LENGTHS.size + total


class Wire:
    """One end of a pair of pipes.

    Args:
        read, write: file descriptors.
    """

    def __init__(self, read: int, write: int):
        self.read, self.write, self._rest = read, write, b""

    def send(self, tree: Any) -> None:
        """Send a tree.

        Raises:
            Gone: nobody listens any more.
            BadMessage: as in `packed`.
        """
        data = memoryview(packed(tree))
        try:
            while data:
                data = data[os.write(self.write, data) :]
        except BrokenPipeError as error:
            raise Gone("the other side has closed its end") from error

    def receive(self, seconds: float | None = None) -> Any:
        """The next tree.

        Args:
            seconds: how long to wait for the whole of it; without end where this is None.

        Raises:
            NothingCame, Gone, BadMessage: no message came.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while (length := needed(self._rest)) is None or len(self._rest) < length:
            left = None if until is None else until - time.monotonic()
            if left is not None and (left <= 0 or not select.select([self.read], [], [], left)[0]):
                raise NothingCame(f"nothing came within {seconds:.0f} seconds")
            more = os.read(self.read, 1 << 20)
            if not more:
                raise Gone("the other side has closed its end")
            self._rest += more
        tree, self._rest = unpacked(self._rest)
        return tree


def _to_plain(x: Any, arrays: dict[str, np.ndarray], depth: int) -> Any:
    if depth > DEEPEST:
        raise BadMessage(f"it is nested deeper than {DEEPEST} levels")
    if x is None or isinstance(x, (bool, str)):
        return x
    if isinstance(x, (int, np.integer)):
        return int(x) if abs(int(x)) < 2**63 else {"?": "a very large whole number"}
    if isinstance(x, (float, np.floating)):
        return {"f": repr(float(x))}  # also nan and inf
    if isinstance(x, np.bool_):
        return bool(x)
    if isinstance(x, (Tensor, np.ndarray)):
        return _array(x, arrays)
    if isinstance(x, dict):
        return {"d": [[str(key), _to_plain(value, arrays, depth + 1)] for key, value in x.items()]}
    if isinstance(x, (list, tuple)):
        return {"t" if isinstance(x, tuple) else "l": [_to_plain(value, arrays, depth + 1) for value in x]}
    return {"?": type(x).__name__}


def _array(x: Tensor | np.ndarray, arrays: dict[str, np.ndarray]) -> Any:
    name, dtype = f"a{len(arrays)}", None
    if isinstance(x, Tensor):
        x, dtype = x.detach().cpu(), str(x.dtype).removeprefix("torch.")
        values = (x.float() if dtype in _HALVES else x).contiguous().numpy()
    else:
        values = x
        if values.dtype.hasobject or values.dtype.kind not in "biufU":
            return {"?": f"an array of {values.dtype}"}
    arrays[name] = values
    return {"a": name} if dtype is None else {"a": name, "tensor": dtype}


def _from_plain(x: Any, arrays: dict[str, np.ndarray], left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise BadMessage(f"it has more than {MOST} entries")
    if not isinstance(x, dict):
        if isinstance(x, list):
            raise BadMessage("a list stands where none should")
        return x
    if "?" in x:
        return Unknown(str(x["?"]))
    if "f" in x:
        return float(x["f"])
    if "a" in x:
        values = arrays[x["a"]]
        if not isinstance(values, np.ndarray):  # numpy hands out what has no head of an array as bytes
            raise BadMessage("an array in it is none")
        if "tensor" not in x:
            return values
        tensor = torch.from_numpy(np.array(values))
        return tensor.to(_HALVES[x["tensor"]]) if x["tensor"] in _HALVES else tensor
    if "d" in x:
        return {str(key): _from_plain(value, arrays, left) for key, value in x["d"]}
    for kind, make in (("l", list), ("t", tuple)):
        if kind in x:
            return make(_from_plain(value, arrays, left) for value in x[kind])
    raise BadMessage("it holds an unknown kind of thing")
