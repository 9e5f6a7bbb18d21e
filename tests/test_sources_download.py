"""Downloads over a bad network: what is fetched is whole or refused, and what has arrived is not fetched again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faulty_server import Server, server, sha256

from mrkd_edu.runtime.writing import NotWritten
from mrkd_edu.sources import download as module
from mrkd_edu.sources.download import NotFetched, download

CONTENT = np.random.default_rng(0).bytes(1_000_000)
HASH = sha256(CONTENT)


@pytest.fixture
def room() -> Iterator[Server]:
    with server() as running:
        yield running


def fetch(url: str, to: Path, known: str | None = HASH, **options: object) -> str:
    return download(url, to, known, pause=0, progress=False, **options)  # type: ignore[arg-type]


def test_whole_and_once(room: Server, tmp_path: Path) -> None:
    url, to = room.put("a.zip", CONTENT), tmp_path / "new" / "a.zip"
    assert fetch(url, to) == HASH and to.read_bytes() == CONTENT
    assert fetch(url, to) == HASH
    assert len(room.asked) == 1
    assert [path.name for path in to.parent.iterdir() if not path.name.startswith(".")] == ["a.zip"]


def test_cut_at_every_tenth(room: Server, tmp_path: Path) -> None:
    """Ten connections, each of which breaks after a tenth: no more is sent twice than what was under way."""
    url = room.put("a.zip", CONTENT, cut=[100_000] * 9)
    assert fetch(url, tmp_path / "a.zip") == HASH
    assert [asked is None for _, asked in room.asked][:2] == [True, False]
    assert len(CONTENT) <= room.sent < len(CONTENT) + 10 * module.CHUNK


@pytest.mark.parametrize("tenth", range(10))
def test_the_next_call_goes_on(tenth: int, room: Server, tmp_path: Path) -> None:
    """Broken at a tenth, and then no network at all: it is kept, said, and gone on with by the next call."""
    kept = 100_000 * tenth
    url = room.put("a.zip", CONTENT, cut=[kept, *[0] * 20])
    with pytest.raises(NotFetched, match=r"Give the same command again to go on") as error:
        fetch(url, tmp_path / "a.zip", page="https://set.example")
    assert "https://set.example" in str(error.value) and "data import" in str(error.value)
    assert ("MB are kept" in str(error.value)) == (kept > 0)
    assert not (tmp_path / "a.zip").exists()
    room.files["a.zip"].cut.clear()
    room.sent = 0
    assert fetch(url, tmp_path / "a.zip") == HASH
    assert len(CONTENT) - kept <= room.sent < len(CONTENT) - kept + module.CHUNK


def test_a_server_without_ranges_sends_all_again(room: Server, tmp_path: Path) -> None:
    url = room.put("a.zip", CONTENT, cut=[300_000], ranges=False)
    assert fetch(url, tmp_path / "a.zip") == HASH
    assert room.sent == len(CONTENT) + 300_000


def test_a_file_that_changed_meanwhile_is_begun_anew(room: Server, tmp_path: Path) -> None:
    """Never the beginning of one version and the end of another, even where no hash is known."""
    url = room.put("a.zip", CONTENT, cut=[300_000, *[0] * 20])
    with pytest.raises(NotFetched):
        fetch(url, tmp_path / "a.zip", None)
    other = CONTENT[::-1]
    room.put("a.zip", other, tag='"2"')
    assert fetch(url, tmp_path / "a.zip", None) == sha256(other)
    assert (tmp_path / "a.zip").read_bytes() == other


def test_without_hash_and_version_nothing_is_glued(room: Server, tmp_path: Path) -> None:
    url = room.put("a.zip", CONTENT, cut=[300_000], tag=None)
    assert fetch(url, tmp_path / "a.zip", None) == HASH
    assert [asked for _, asked in room.asked] == [None, None]


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more", b"something else" * 10_000])
def test_a_part_that_is_whole_too_long_or_foreign(part: bytes, room: Server, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(part)
    url = room.put("a.zip", CONTENT)
    if part.startswith(b"something"):
        with pytest.raises(NotFetched, match="SHA-256"):
            fetch(url, tmp_path / "a.zip")
    assert fetch(url, tmp_path / "a.zip") == HASH


def test_wrong_hash(room: Server, tmp_path: Path) -> None:
    url = room.put("a.zip", CONTENT[:-1] + b"?")
    with pytest.raises(NotFetched, match="another file than the published one") as error:
        fetch(url, tmp_path / "a.zip")
    assert HASH in str(error.value) and sha256(CONTENT[:-1] + b"?") in str(error.value)
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


def test_truncated_on_the_server(room: Server, tmp_path: Path) -> None:
    """The server has half of it and calls that the whole."""
    with pytest.raises(NotFetched, match="SHA-256"):
        fetch(room.put("a.zip", CONTENT[:500_000]), tmp_path / "a.zip")


@pytest.mark.parametrize("code", [404, 403, 410, 401, 418])
def test_not_there(code: int, room: Server, tmp_path: Path) -> None:
    url = room.put("a.zip", CONTENT, codes=[code] * 9)
    with pytest.raises(NotFetched, match=f"the server says {code}"):
        fetch(url, tmp_path / "a.zip")
    assert len(room.asked) == 1


@pytest.mark.parametrize("code", [503, 429, 500])
def test_busy_and_then_fine(code: int, room: Server, tmp_path: Path) -> None:
    url = room.put("a.zip", CONTENT, codes=[code] * 2)
    assert fetch(url, tmp_path / "a.zip") == HASH


def test_busy_for_good(room: Server, tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match="503"):
        fetch(room.put("a.zip", CONTENT, codes=[503] * 99), tmp_path / "a.zip")
    assert len(room.asked) == module.TRIES


def test_a_server_that_says_when_is_obeyed(room: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    fetch(room.put("a.zip", CONTENT, codes=[503], retry_after="7"), tmp_path / "a.zip")
    assert waited == [7.0]


def test_redirect(room: Server, tmp_path: Path) -> None:
    room.put("b", CONTENT, cut=[400_000])
    assert fetch(room.put("a.zip", b"", leads_to="b"), tmp_path / "a.zip") == HASH


def test_a_login_page_is_no_archive(room: Server, tmp_path: Path) -> None:
    url = room.put("a.zip", b"<html>Welcome to our hotel</html>", kind="text/html; charset=utf-8")
    with pytest.raises(NotFetched, match="a web page, not a file"):
        fetch(url, tmp_path / "a.zip", None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a.zip", "http://no-such-host.invalid/a.zip"])
def test_no_network(url: str, tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match=r"cannot be downloaded: (the server refuses|its server was not found)"):
        fetch(url, tmp_path / "a.zip")


def test_no_room(room: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found out before the first byte is written."""
    usage = type("Usage", (), {"free": 500_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(NotWritten, match="MB are needed"):
        fetch(room.put("a.zip", CONTENT), tmp_path / "a.zip")
    assert not (tmp_path / "a.zip.part").exists()


RUN = """
import sys
from mrkd_edu.sources.download import download
print(download(sys.argv[1], sys.argv[2], sys.argv[3] or None, progress=False), flush=True)
"""


def started(url: str, to: Path, before: str = "") -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", before + RUN, url, str(to), HASH],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="no limit of file size on Windows")
def test_a_disk_that_fills_up_on_the_way(room: Server, tmp_path: Path) -> None:
    """A real limit of the system; what fitted is kept, and gone on with."""
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
    with started(room.put("a.zip", CONTENT), tmp_path / "a.zip", limit) as process:
        said = process.communicate()[1]
    assert process.returncode and "NotWritten" in said and "cannot be written" in said
    assert 0 < (tmp_path / "a.zip.part").stat().st_size <= 400_000
    assert fetch(f"{room.address}/a.zip", tmp_path / "a.zip") == HASH


def test_two_processes_at_once_fetch_it_once(room: Server, tmp_path: Path) -> None:
    go = threading.Event()
    url = room.put("a.zip", CONTENT, stall=go)
    with started(url, tmp_path / "a.zip") as one, started(url, tmp_path / "a.zip") as other:
        assert one.stderr and other.stderr
        said = threading.Event()
        words: list[str] = []

        def listen(stream: Iterator[str]) -> None:
            for line in stream:
                words.append(line)
                said.set()

        for process in (one, other):
            threading.Thread(target=listen, args=(process.stderr,), daemon=True).start()
        assert said.wait(120), "the second says that it waits"
        go.set()
        assert {process.stdout.read().strip() for process in (one, other) if process.stdout} == {HASH}
    assert any("waiting for it" in line for line in words)
    assert room.sent == len(CONTENT)


@pytest.mark.skipif(os.name == "nt", reason="no such signals on Windows")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted(how: signal.Signals, room: Server, tmp_path: Path) -> None:
    """Ctrl-C, or worse: what has arrived stays, and is not fetched again."""
    go = threading.Event()
    url = room.put("a.zip", np.random.default_rng(0).bytes(5_000_000), stall=go)
    part = tmp_path / "a.zip.part"
    waiting = threading.Event()
    with started(url, tmp_path / "a.zip") as process:
        while not (part.exists() and part.stat().st_size) and process.poll() is None:
            waiting.wait(0.02)
        process.send_signal(how)
        process.wait()
    assert process.returncode
    go.set()
    assert not (tmp_path / "a.zip").exists() and part.exists()
    assert json.loads((tmp_path / "a.zip.part.json").read_text())["version"] == '"1"'
    content = room.files["a.zip"].content
    room.files["a.zip"].stall = None
    kept = part.stat().st_size
    assert fetch(url, tmp_path / "a.zip", sha256(content)) == sha256(content)
    assert room.asked[-1] == ("a.zip", f"bytes={kept}-")


def test_progress_shows_size_and_speed(room: Server, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    download(room.put("a.zip", CONTENT), tmp_path / "a.zip", HASH)
    shown = capsys.readouterr().err
    assert "a.zip" in shown and "1.00M/1.00M" in shown and "B/s" in shown
