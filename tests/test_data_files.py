"""Files that are none, links that lead nowhere, odd names: each is named or passes, and nothing waits for ever."""

from __future__ import annotations

import os
import re
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from mrkd_edu.data import (
    AnomalyFolder,
    DataError,
    ImageStack,
    find_categories,
    image_size,
    list_images,
    read_image,
    read_mask,
)
from mrkd_edu.data.layouts import is_ours, visible_folders
from mrkd_edu.toy import make_toy

READERS = (read_image, read_mask, image_size)
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files or names")


def picture(path: Path, grey: int = 100) -> Path:
    """A grey picture whose left half is white, which will do as a mask as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (40, 30), grey)
    image.paste(255, (0, 0, 20, 30))
    image.save(path)
    return path


def data_set(root: Path) -> Path:
    """Two training images, one good test image, one dent with its mask and its twin."""
    for i, name in enumerate(("train/good/0", "train/good/1", "test/good/0", "test/dent/0", "twins/dent/0")):
        picture(root / f"{name}.png", i)
    picture(root / "ground_truth/dent/0_mask.png", 0)
    return root


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Who waits for a pipe, fails after two seconds instead of never."""

    def ring(*_: object) -> None:
        raise TimeoutError("waited for two seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(2)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# ----------------------------------------------------------------------------------------------- what is no file


@POSIX
@pytest.mark.parametrize("read", READERS)
def test_what_is_no_ordinary_file_is_refused(read: Callable[[Path], object], no_waiting: None) -> None:
    with tempfile.TemporaryDirectory() as short:  # the name of a socket may not be long
        folder = Path(short)
        os.mkfifo(folder / "pipe.png")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "socket.png"))
        (folder / "device.png").symlink_to(os.devnull)
        assert [path.stem for path in list_images(folder)] == ["device", "pipe", "socket"]
        for name, what in (("pipe", "a named pipe"), ("socket", "a socket"), ("device", "a device")):
            with pytest.raises(DataError, match=rf"{name}\.png is {what}, not a file; put the image itself there"):
                read(folder / f"{name}.png")


@POSIX
@pytest.mark.parametrize("read", READERS)
def test_links_that_lead_to_no_file(tmp_path: Path, read: Callable[[Path], object]) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"link\.png is a link that leads nowhere \(to .*gone\.png\); put the file"):
        read(tmp_path / "link.png")
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png is a link that leads back to itself; delete it"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("read", READERS)
def test_names_that_cannot_be(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(DataError, match=r"0\.png.b\.png does not exist; check the name"):
        read(picture(tmp_path / "0.png") / "b.png")
    with pytest.raises(DataError, match=r"'a\\x00\.png' cannot be the name of a file"):
        read(Path("a\0.png"))


@POSIX
def test_a_link_that_leads_back_to_itself_does_not_end_a_listing(tmp_path: Path) -> None:
    for name in ("loop", "loop.png", "report.html"):
        (tmp_path / name).symlink_to(tmp_path / name)
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    picture(tmp_path / "inside/0.png")
    (tmp_path / "inside.png").symlink_to(tmp_path / "inside")
    assert [path.name for path in list_images(tmp_path)] == ["loop.png", "nowhere.png"]  # reading says what is wrong
    assert [path.name for path in visible_folders(tmp_path)] == ["inside", "inside.png"]
    assert not is_ours(tmp_path)
    for read in (list_images, visible_folders):
        with pytest.raises(DataError, match=r"loop cannot be opened .*; check its name and its rights"):
            read(tmp_path / "loop")
    for open_data in (AnomalyFolder, find_categories):
        with pytest.raises(DataError, match="is not a folder; give"):
            open_data(tmp_path / "loop")
        with pytest.raises(DataError, match="does not exist; give"):
            open_data(tmp_path / ("x" * 300))


PLACES = (
    *("train/good/2.png", "test/good/2.png", "test/dent/0.png"),
    *("ground_truth/dent/0_mask.png", "twins/dent/0.png"),
)


@POSIX
@pytest.mark.parametrize("file", PLACES)
@pytest.mark.parametrize("what", ["a named pipe", "back to itself", "nowhere", "PostScript"])
def test_one_odd_file_of_a_data_set_is_named(tmp_path: Path, file: str, what: str, no_waiting: None) -> None:
    path = data_set(tmp_path / "part") / file
    path.unlink(missing_ok=True)
    if what == "PostScript":
        Image.new("L", (40, 30)).save(path, "EPS")
    elif what == "a named pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if what == "back to itself" else tmp_path / "gone.png")
    said = {"PostScript": "is not an image that can be read", "a named pipe": "is a named pipe"}
    with pytest.raises(DataError, match=re.escape(str(path)) + f" {said.get(what, f'is a link that leads {what}')}"):
        AnomalyFolder(tmp_path / "part")


@POSIX
@pytest.mark.parametrize("what", ["pipe", "loop"])
def test_a_file_that_has_become_none_is_not_waited_for(tmp_path: Path, what: str, no_waiting: None) -> None:
    data = AnomalyFolder(data_set(tmp_path))
    path = data.train[1].path
    path.unlink()
    os.mkfifo(path) if what == "pipe" else path.symlink_to(path)
    for use in (data.fingerprint, data.repeated, lambda: data.train_images(8)[:]):
        with pytest.raises(DataError, match=rf"good.1\.png is a {'named pipe' if what == 'pipe' else 'link'}"):
            use()


@POSIX
def test_odd_files_beside_a_data_set_are_left_out(tmp_path: Path, no_waiting: None) -> None:
    root = data_set(tmp_path / "part")
    before = AnomalyFolder(root).fingerprint()
    for folder in ("", "train/good", "test/dent", "ground_truth", "ground_truth/dent", "twins"):
        os.mkfifo(root / folder / "pipe")
        (root / folder / "loop").symlink_to(root / folder / "loop")
        (root / folder / "nowhere.txt").symlink_to(root / "gone")
    (root / "mask").symlink_to(root / "mask")
    data = AnomalyFolder(root)
    assert data.fingerprint() == before
    assert "2 x without a suffix in train/good/" in data.taken() and "1 x .txt in test/dent/" in data.taken()


@POSIX
def test_an_odd_file_in_a_toy_data_set(tmp_path: Path, no_waiting: None) -> None:
    settings = {"train": 1, "test_good": 1, "test_defective": 1, "size": 64}
    made = make_toy(tmp_path, **settings)
    (made / "test/good/000.png").unlink()
    (made / "test/good/000.png").symlink_to(made / "test/good/000.png")
    with pytest.raises(FileExistsError, match=r"lacks 1 of its files, first test/good/000\.png"):
        make_toy(tmp_path, **settings)
    (made / "toy.json").unlink()
    os.mkfifo(made / "toy.json")
    with pytest.raises(FileExistsError, match="was not made by the toy factory"):
        make_toy(tmp_path, **settings)


# --------------------------------------------------------------------------------------------------------- names


def test_a_name_that_begins_with_a_tilde_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`expanduser` took `~x.png` for the home folder of a user of that name."""
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    for folder in (".", "~parts", "home"):
        picture(Path(folder, "~x.png"))
    for name in ("~x.png", "~parts/~x.png", "~/~x.png"):
        for source in (name, Path(name)):
            assert read_image(source).shape == (30, 40, 3)
            assert image_size(source) == read_mask(source).shape == (30, 40)
            assert ImageStack([source], 8)[0].shape == (3, 8, 8)
    assert list_images("~parts") == [Path("~parts", "~x.png")]
    assert list_images("~") == [tmp_path / "home" / "~x.png"]
    with pytest.raises(DataError, match=r"~nobody\.png does not exist"):
        read_image("~nobody.png")


def test_a_data_set_whose_names_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    data_set(Path("~part"))
    picture(Path("~part/train/good/~.png"))
    picture(Path("~part/test/~bent/~0.png"))
    picture(Path("~part/ground_truth/~bent/~0.png"))
    data = AnomalyFolder("~part")
    assert (data.name, data.kinds) == ("~part", ["dent", "~bent"])
    assert len(data.train_images(8)[:]) == 3 and data.test_masks(8).any()
    assert data.fingerprint() == AnomalyFolder("~/~part").fingerprint()
    assert find_categories("~") == [tmp_path / "~part"]


LONG = "a" * 240
NAMES = {
    "250 letters": (LONG, f"{LONG}.png"),
    "250 letters after a dot": ("a", f"b.{LONG}.png"),
    "no UTF-8": ("gr\udcfcn", "Fl\udce4che.png"),
    "signs that steer a terminal": ("\x1b[31m", "a\n\x07.png"),
}


@POSIX
@pytest.mark.parametrize("what", NAMES)
def test_odd_names_pass(tmp_path: Path, what: str) -> None:
    kind, name = NAMES[what]
    root = data_set(tmp_path / "part")
    stem = name.removesuffix(".png")
    mask = name if "250" in what else f"{stem}_mask.png"
    try:
        for folder in ("train/good", f"test/{kind}", f"twins/{kind}"):
            picture(root / folder / name)
        picture(root / "ground_truth" / kind / mask)
        for file in (f"{kind}x", f"test/{kind}/{stem}", f"train/good/0.{kind}", f"{kind}2/{name}"):
            (root / file).parent.mkdir(exist_ok=True)
            (root / file).touch()
    except OSError as error:
        pytest.skip(f"this disk takes no such names: {error}")
    data = AnomalyFolder(root)
    assert data.kinds == [kind, "dent"] or data.kinds == ["dent", kind]
    assert data.has_masks and all(sample.twin for sample in data.test if sample.label)
    assert f"folder {kind}2/" in data.left_out() and f"folder {kind}2/" in data.taken()
    assert f"1 x .{kind.lower()} in train/good/" in data.left_out()
    assert len(data.fingerprint()) == 32 and data.repeated() and kind in data.summary()
    assert len(data.train_images(8)[:]) == 3 and data.test_masks(8).any(axis=(1, 2)).sum() == 2
    assert root in find_categories(root) and find_categories(tmp_path) == [root]
    (root / "test" / kind / name).write_bytes(b"no image")
    with pytest.raises(DataError) as error:
        AnomalyFolder(root)
    assert f"{root / 'test' / kind / name} is not an image" in str(error.value)
