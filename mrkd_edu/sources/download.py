"""One large file over a bad network: it goes on where it stopped, and counts only when its hash is right.

pooch fetches, checks the hash and puts the file in its place. What it does not have is taken up here: its downloader
begins anew after every break, and a break in the last minute of 5 GB costs an evening. (aria2 and wget can do that, but
are programs that somebody would have to install.)
"""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from mrkd_edu.data.files import DataError
from mrkd_edu.runtime.names import readable, tell
from mrkd_edu.runtime.writing import alone, check_room, explained, whole_file

if TYPE_CHECKING:
    import requests

CHUNK = 2**14  # bytes that are written at a time, and lost at most where a connection breaks
WAIT = (10, 60)  # seconds: until a server answers, and between two pieces of what it sends
TRIES = 5  # in a row in which nothing arrives
BUSY = (429, 500, 502, 503, 504)  # a server that says: later


class NotFetched(DataError):
    """A file that could not be downloaded. The message says why, what is kept, and what to do."""


def download(
    url: str,
    path: str | Path,
    sha256: str | None = None,
    *,
    page: str = "",
    pause: float = 1.0,
    progress: bool = True,
) -> str:
    """Download a file, or go on with a download that was interrupted, or find that it is there already.

    What has arrived lies beside the file as `<name>.part` until all is there and its hash is right. Two processes that
    want the same file do not fetch it twice: the second waits.

    Args:
        url: where the file is.
        path: where it shall be; its folder is made when missing.
        sha256: of the whole file, 64 hexadecimal digits; None: not known, then nothing is checked.
        page: where a person may download it by hand, for messages.
        pause: seconds before the second try; the next pauses double. A server that says how long is obeyed.
        progress: show a bar of size and speed.

    Returns:
        The SHA-256 of the file.

    Raises:
        NotFetched: no such file there, no network, or a wrong hash. What has arrived is kept, but for a wrong hash.
        writing.NotWritten: no right to write, or no room.
    """
    import pooch  # here, because it loads requests, which no other command needs

    pooch.get_logger().setLevel("WARNING")
    path = Path(path).absolute()
    part = path.with_name(path.name + ".part")
    waits = f"Another program downloads {path.name} just now: waiting for it."
    with explained(path), alone(lock_of(path), "", lambda: tell(waits)):
        fetch = _Resuming(part, sha256 is not None, page, pause, progress)
        try:
            pooch.retrieve(url, sha256, fname=path.name, path=path.parent, downloader=fetch)
        except ValueError as error:  # pooch's word for a wrong hash
            found = re.findall(r"[0-9a-f]{64}", str(error))
            raise NotFetched(
                f"{url} gave another file than the published one: its SHA-256 is {found[-1] if found else 'another'}, "
                f"not {sha256}. It was damaged on the way, or its publisher has changed it; it was deleted. Try again; "
                f"if it stays so, {_by_hand(page)}"
            ) from error
        return sha256 or pooch.file_hash(str(path))


def lock_of(path: Path) -> Path:
    """The file that stands for a download: one process at a time."""
    return path.with_name(f".{path.name}.lock")


class _Resuming:
    """A downloader for pooch that keeps what has arrived, and asks for the rest only."""

    def __init__(self, part: Path, checked: bool, page: str, pause: float, progress: bool) -> None:
        self.part, self.checked, self.page, self.pause, self.progress = part, checked, page, pause, progress
        self.mark = part.with_name(part.name + ".json")  # which version of the file the part is of

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        import requests

        tries = 0
        with requests.Session() as session:
            while True:
                before = _size(self.part)
                try:
                    self._more(session, url)
                    break
                except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                    tries = 1 if _size(self.part) > before else tries + 1
                    if tries >= TRIES:
                        raise NotFetched(self._gave_up(url, _in_words(error))) from error
                    wait = self.pause * 2 ** (tries - 1)
                except _Busy as busy:
                    tries += 1
                    if tries >= TRIES:
                        raise NotFetched(self._gave_up(url, f"the server says {busy}")) from busy
                    wait = self.pause * 2 ** (tries - 1) if busy.after is None else min(busy.after, 300.0)
                time.sleep(wait)
        self.part.replace(output_file)
        self.mark.unlink(missing_ok=True)

    def _more(self, session: requests.Session, url: str) -> None:
        """One request: what is still lacking, as far as it arrives."""
        have, version = _size(self.part), self._version()
        headers = {"Accept-Encoding": "identity"}  # the bytes as they are: a Range counts these
        if have and (version or self.checked):  # else one could not tell whether the rest is of the same file
            headers["Range"] = f"bytes={have}-"
            if version:
                headers["If-Range"] = version
        with session.get(url, headers=headers, stream=True, timeout=WAIT) as answer:
            self._check(answer, url)
            if answer.status_code == 416:  # nothing lies behind what is here: it is whole, or of something else
                if _total(answer) != have:
                    self.part.unlink()
                    self._more(session, url)
                return
            goes_on = answer.status_code == 206 and _begins(answer) == have
            if answer.status_code == 206 and not goes_on:
                raise NotFetched(f"{url} answered with another part than was asked for. {_by_hand(self.page)}")
            have = have if goes_on else 0  # a server without ranges sends all again
            length = answer.headers.get("Content-Length", "")
            expected = have + int(length) if length.isdigit() else None
            if expected is not None:
                check_room(self.part.parent, expected - have)
            self._remember(answer)
            self._write(answer, have, expected)

    def _write(self, answer: requests.Response, have: int, expected: int | None) -> None:
        """What the server sends, behind what is there; and a bar."""
        shown = readable(self.part.name.removesuffix(".part"))
        with (
            open(self.part, "ab" if have else "wb", buffering=0) as file,
            tqdm(
                desc=shown, initial=have, total=expected, unit="B", unit_scale=True, disable=not self.progress
            ) as bar,
        ):
            for piece in answer.iter_content(CHUNK):
                file.write(piece)
                bar.update(len(piece))

    def _check(self, answer: requests.Response, url: str) -> None:
        """Refuse what is no file to go on with."""
        code = answer.status_code
        if code in BUSY:
            wait = answer.headers.get("Retry-After", "")
            raise _Busy(f"{code} {answer.reason}", float(wait) if wait.isdigit() else None)
        if code not in (200, 206, 416):
            raise NotFetched(f"{url} gives no file: the server says {code} {answer.reason}. {_by_hand(self.page)}")
        if url.startswith("https:") and not answer.url.startswith("https:") and not self.checked:
            raise NotFetched(f"{url} leads to {answer.url}, which anybody on the way could change. Not downloaded.")
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise NotFetched(
                f"{url} gives a web page, not a file: a form or a login stands before it, as in the Wi-Fi of a hotel. "
                f"{_by_hand(self.page)}"
            )

    def _remember(self, answer: requests.Response) -> None:
        """Write down which version of the file the part is of: its ETag, or its date."""
        tag = answer.headers.get("ETag", "")
        version = answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
        with whole_file(self.mark) as file:
            json.dump({"version": version}, file)

    def _version(self) -> str:
        with suppress(OSError, ValueError, AttributeError):
            return str(json.loads(self.mark.read_text(encoding="utf-8")).get("version", ""))
        return ""

    def _gave_up(self, url: str, why: str) -> str:
        kept = f"{_size(self.part) / 1e6:.1f} MB are kept. " if _size(self.part) else ""
        again = f"Give the same command again to go on, or {_by_hand(self.page)}"
        return f"{url} cannot be downloaded: {why}. {kept}{again}"


class _Busy(Exception):
    """A server that asks to come again later, after some seconds or without saying when."""

    def __init__(self, words: str, after: float | None) -> None:
        super().__init__(words)
        self.after = after


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _begins(answer: requests.Response) -> int | None:
    """Where the piece begins that a server sends: `bytes 500-999/1000` begins at 500."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _total(answer: requests.Response) -> int | None:
    """How large the whole file is, says a server that has no more to send: `bytes */1000`."""
    found = re.match(r"bytes \*/(\d+)", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _in_words(error: Exception) -> str:
    """What a broken connection is to a person. The library's own words are those of five layers."""
    text = str(error)
    if "Name or service not known" in text or "NameResolutionError" in text or "getaddrinfo" in text:
        return "its server was not found, so there is no network here, or the address is wrong"
    if "timed out" in text:
        return "the server does not answer any more"
    if "refused" in text:
        return "the server refuses the connection"
    return "the connection breaks again and again"


def _by_hand(page: str) -> str:
    where = f" from {page}" if page else ""
    return f"download it{where} with a browser, and then:  mrkd-edu data import FILE"
