"""Messages between grader and worker: what goes through, and what a stranger may send."""

from __future__ import annotations

import io
import os
import struct
import threading
import zipfile
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mrkd_edu.assignments.wire import BadMessage, Gone, NothingCame, Unknown, Wire, needed, packed, unpacked

TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(TREES)
def test_a_tree_comes_out_as_it_went_in(tree: Any) -> None:
    assert repr(unpacked(packed(tree))[0]) == repr(tree)  # by repr: nan is not equal to itself


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_tensors_keep_shape_type_and_numbers(dtype: torch.dtype) -> None:
    for shape in ((), (0, 3), (2, 3, 4)):
        tensor = (10 * torch.rand(shape)).to(dtype)
        [back] = unpacked(packed([tensor]))[0]
        assert back.dtype == dtype and torch.equal(back, tensor)
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)[:, ::-1]
    assert np.array_equal(unpacked(packed(array))[0], array)


def test_what_cannot_be_sent_is_said() -> None:
    assert unpacked(packed([lambda: 1, {1}, object()]))[0] == [Unknown("function"), Unknown("set"), Unknown("object")]
    assert isinstance(unpacked(packed(np.array([None], dtype=object)))[0], Unknown)
    nested: list[Any] = []
    nested.append(nested)
    with pytest.raises(BadMessage, match="nested"):
        packed(nested)
    with pytest.raises(BadMessage, match="larger"):
        packed(np.zeros(2**24))


def with_lengths(text: bytes, body: bytes) -> bytes:
    return struct.pack("<QQ", len(text), len(body)) + text + body


def npz(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def pickled() -> bytes:
    """An array of objects, as numpy would write it: reading it would run whatever it says."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([os.getpid], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 15,
        struct.pack("<QQ", 2**60, 2**60),
        with_lengths(b"{", npz()),
        with_lengths(b"null", b"no zip"),
        with_lengths(b'{"a": "a0"}', npz()),
        with_lengths(b'{"a": "a0"}', npz(a0=b"no array")),
        with_lengths(b'{"a": "a0"}', npz(a0=pickled())),
        with_lengths(b'{"a": "a0"}', npz(a0=bytes(2**27))),  # a bomb: 128 MB of nothing
        with_lengths(b"[" * 100_000 + b"]" * 100_000, npz()),
        with_lengths(b'{"l": [' + b"1," * 30_000 + b"1]}", npz()),
        with_lengths(b'{"nonsense": 1}', npz()),
        with_lengths(b'{"f": "not a number"}', npz()),
        packed({"loss": 1.0})[:-3],
    ],
)
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        unpacked(data)


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_for(data: bytes) -> None:
    try:
        assert needed(data) is None or len(data) >= 16
        unpacked(data)
    except BadMessage:
        return


def test_a_pair_of_pipes_carries_large_messages_and_tells_silence_from_an_end() -> None:
    (read, far_write), (far_read, write) = os.pipe(), os.pipe()
    near, far = Wire(read, write), Wire(far_read, far_write)
    array = np.random.default_rng(0).normal(size=300_000)
    sender = threading.Thread(target=near.send, args=({"map": array},))
    sender.start()
    assert np.array_equal(far.receive(30)["map"], array)
    sender.join()
    far.send(1), far.send("two")  # two in one go
    assert (near.receive(5), near.receive(5)) == (1, "two")
    with pytest.raises(NothingCame):
        near.receive(0.05)
    os.close(far_write)
    with pytest.raises(Gone):
        near.receive(5)
    os.close(far_read)
    with pytest.raises(Gone):
        near.send(1)
    os.close(read), os.close(write)
