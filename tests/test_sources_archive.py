"""Archives of strangers: what is in them comes out below one folder, or nothing does."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from published_layouts import write_archive

from mrkd_edu.data.files import DataError
from mrkd_edu.sources import archive as module
from mrkd_edu.sources.archive import safe_name, unpack

FORMATS = ("zip", "tar", "tar.gz", "tar.xz", "tar.bz2")
FILES = {"set/train/good/000.png": b"one" * 1000, "set/test/good/1.PNG": b"two", "set/readme.txt": b"three"}


def tar_with(path: Path, **entry: object) -> Path:
    """A tar file with one odd entry behind a good one."""
    with tarfile.open(path, "w") as archive:
        good = tarfile.TarInfo("a.png")
        good.size = 3
        archive.addfile(good, io.BytesIO(b"abc"))
        odd = tarfile.TarInfo("b.png")
        for name, value in entry.items():
            setattr(odd, name, value)
        archive.addfile(odd)
    return path


def there(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format(ending: str, tmp_path: Path) -> None:
    out = unpack(write_archive(tmp_path / f"a.{ending}", FILES), tmp_path / "new", progress=False)
    assert there(tmp_path / "new") == FILES
    assert (out.files, out.size) == (3, sum(map(len, FILES.values())))


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("tenth", range(10))
def test_cut_off_at_every_tenth(tenth: int, ending: str, tmp_path: Path, rng: np.random.Generator) -> None:
    files = {f"set/{i}.png": rng.bytes(3000) for i in range(20)}
    whole = write_archive(tmp_path / f"whole.{ending}", files).read_bytes()
    whole = whole.rstrip(b"\0") + bytes(1024) if ending == "tar" else whole  # without its padding
    (tmp_path / f"a.{ending}").write_bytes(whole[: len(whole) * tenth // 10])
    with pytest.raises(DataError, match=r"a\.(zip|tar|tar\.\w+) (is damaged|is cut off|is empty)"):
        unpack(tmp_path / f"a.{ending}", tmp_path / "new", progress=False)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(FORMATS), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8))
def test_any_flipped_bytes(tmp_path_factory: pytest.TempPathFactory, ending: str, flips: list[tuple[int, int]]) -> None:
    """All, a part of it, or an error in words; never anything outside, never another error."""
    home = tmp_path_factory.mktemp("flipped")
    path = write_archive(home / f"a.{ending}", FILES)
    content = bytearray(path.read_bytes())
    for at, value in flips:
        content[at % len(content)] = value
    path.write_bytes(content)
    (home / "in").mkdir()
    try:
        unpack(path, home / "in" / "new", progress=False)
    except DataError as error:
        assert str(path) in str(error) or str(home) in str(error)
    except OSError as error:  # a name that became too long, or a size that no disk has
        assert "cannot be written" in str(error) or "MB are needed" in str(error)
    assert {p.name for p in home.iterdir()} == {"in", path.name}
    assert {p.name for p in (home / "in").iterdir()} <= {"new"}


@pytest.mark.parametrize("ending", ["zip", "tar"])
@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "set/../../evil.png",
        "/tmp/evil.png",
        "//server/share/evil.png",
        "C:/evil.png",
        "c:evil.png",
        "..\\evil.png",
        "set\\..\\..\\evil.png",
        "C:\\Windows\\evil.png",
        "set/a.png:stream.png",
        "set/aux.png",
        "NUL",
        "n" * 300 + ".png",
    ],
)
def test_names_that_lead_outside_or_cannot_be(name: str, ending: str, tmp_path: Path) -> None:
    path = write_archive(tmp_path / f"a.{ending}", {"good.png": b"1", name: b"2"})
    with pytest.raises(DataError, match=r"leads out of its folder|not every system can write"):
        unpack(path, tmp_path / "in" / "new", progress=False)
    assert not [p for p in tmp_path.rglob("*") if "evil" in p.name]


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_whatever_a_name_is_it_stays_below(name: str) -> None:
    try:
        safe = safe_name(name, "a.zip")
    except DataError:
        return
    below = os.path.normpath(os.path.join("/top/set", safe))
    assert below == "/top/set" or below.startswith("/top/set/")
    assert safe_name(safe, "a.zip") == safe


@pytest.mark.parametrize(
    "entry",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.SYMTYPE, "linkname": "a.png"},
        {"type": tarfile.LNKTYPE, "linkname": "a.png"},
        {"type": tarfile.LNKTYPE, "linkname": "../../outside"},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        {"type": tarfile.BLKTYPE},
        {"type": tarfile.FIFOTYPE},
    ],
    ids=["symbolic", "symbolic inside", "hard", "hard outside", "character", "block", "pipe"],
)
def test_links_and_devices_in_a_tar(entry: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"b\.png, which is a (link|device)"):
        unpack(tar_with(tmp_path / "a.tar", **entry), tmp_path / "new", progress=False)
    assert not (tmp_path / "new" / "b.png").exists()


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_a_zip(mode: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        entry = zipfile.ZipInfo("b.png")
        entry.external_attr = (mode | 0o644) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match=r"b\.png, which is a (link|device)"):
        unpack(tmp_path / "a.zip", tmp_path / "new", progress=False)


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar.xz"])
def test_bomb(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros pack to a thousandth. What is unpacked is counted, not what the archive says of itself."""
    monkeypatch.setattr(module, "ALWAYS", 2**20)
    path = write_archive(tmp_path / f"a.{ending}", {"a.png": bytes(2**22), "b.png": bytes(2**22)})
    with pytest.raises(DataError, match="made to fill a disk"):
        unpack(path, tmp_path / "new", progress=False)
    assert sum(p.stat().st_size for p in (tmp_path / "new").rglob("*") if p.is_file()) <= 2**20


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 10)
    with pytest.raises(DataError, match="more than 10 files"):
        files = {f"{i}.png": b"" for i in range(11)}
        unpack(write_archive(tmp_path / "a.zip", files), tmp_path / "new", progress=False)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("other", ["set/a.png", "set/A.png", "./set/a.png", "set\\a.png", "set/a.png/b.png"])
def test_names_that_are_there_twice(other: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("set/a.png", b"1")
        archive.writestr(other, b"2")
    with pytest.raises(DataError, match="twice, or two names that are one"):
        unpack(tmp_path / "a.zip", tmp_path / "new", progress=False)


def test_two_ways_to_write_an_umlaut_are_one_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="twice"):
        files = {"\u00e4.png": b"1", "a\u0308.png": b"2"}
        unpack(write_archive(tmp_path / "a.zip", files), tmp_path / "new", progress=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no names of raw bytes")
def test_names_in_other_encodings(tmp_path: Path) -> None:
    """A tar of a Western Windows, and a zip in its old code page: the files are there, and can be read."""
    with tarfile.open(tmp_path / "a.tar", "w", encoding="latin-1") as archive:
        entry = tarfile.TarInfo("set/Fläche.png")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"1"))
    unpack(tmp_path / "a.tar", tmp_path / "tar", progress=False)
    assert len(there(tmp_path / "tar")) == 1
    zipped = write_archive(tmp_path / "a.zip", {"set/Flache.png": b"1"})
    zipped.write_bytes(zipped.read_bytes().replace(b"Flache", b"Fl\x84che"))  # cp437's ä
    unpack(zipped, tmp_path / "zip", progress=False)
    assert there(tmp_path / "zip") == {"set/Fläche.png": b"1"}


def test_a_password_is_asked_for_by_nobody(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {"a.png": b"1"})
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="has a password"):
        unpack(path, tmp_path / "new", progress=False)


def test_archives_inside_stay_closed_and_programs_stay_out(tmp_path: Path) -> None:
    inner = write_archive(tmp_path / "inner.zip", FILES).read_bytes()
    files = {"a.png": b"1", "inner.zip": inner, "run.exe": b"2", "set.py": b"3"}
    files |= {"__MACOSX/._a.png": b"4", ".DS_Store": b"5"}
    out = unpack(write_archive(tmp_path / "a.zip", files), tmp_path / "new", progress=False)
    assert there(tmp_path / "new") == {"a.png": b"1"}
    assert out.nested == ["inner.zip"] and out.left_out == 2


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive at all", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    if content.startswith(b"PK\x05"):  # an empty zip is one
        assert unpack(tmp_path / "a.zip", tmp_path / "new", progress=False).files == 0
        return
    with pytest.raises(DataError, match=r"is empty|is damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "new", progress=False)


def test_a_real_picture_survives(tmp_path: Path, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "PNG")
    unpack(write_archive(tmp_path / "a.tar.xz", {"a.png": memory.getvalue()}), tmp_path / "new", progress=False)
    assert np.array_equal(np.array(Image.open(tmp_path / "new" / "a.png")), pixels)
