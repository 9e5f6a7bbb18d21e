"""A web server on this machine whose faults can be ordered: what a room's Wi-Fi does to a large download."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """A file on the server, and what goes wrong with it.

    Attributes:
        content: its bytes.
        cut: of each answer in turn, after how many bytes the connection breaks; when they are used up, none does.
        codes: answers before the first good one, such as 503.
        ranges: whether the server can send a part of a file.
        leads_to: another name on the server, where this one redirects to.
        retry_after: seconds that a server asks to wait.
        kind: what the server says the file is.
        tag: the file's version; None: the server has none.
    """

    content: bytes
    cut: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    ranges: bool = True
    leads_to: str = ""
    retry_after: str = ""
    kind: str = "application/octet-stream"
    tag: str | None = '"1"'
    stall: threading.Event | None = None


@dataclass
class Server:
    """What the server has, and what it was asked for."""

    address: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # name, and Range
    sent: int = 0

    def put(self, name: str, content: bytes, **faults: object) -> str:
        """A file more; its address."""
        self.files[name] = Served(content, **faults)  # type: ignore[arg-type]
        return f"{self.address}/{name}"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def server() -> Iterator[Server]:
    """A server of this machine's own, for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name, asked = self.path.lstrip("/"), self.headers.get("Range")
            known.asked.append((name, asked))
            file = known.files.get(name)
            if file is None:
                self.send_error(404)
                return
            if file.leads_to:
                self._head(302, {"Location": f"/{file.leads_to}", "Content-Length": "0"})
                return
            if file.codes:
                wait = {"Retry-After": file.retry_after} if file.retry_after else {}
                self._head(file.codes.pop(0), {"Content-Length": "0", **wait})
                return
            begin, size = 0, len(file.content)
            fresh = self.headers.get("If-Range") in (None, file.tag)
            if asked and file.ranges and fresh:
                begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            if begin >= size and begin:
                self._head(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
                return
            headers = {"Content-Length": str(size - begin), "Content-Type": file.kind}
            headers |= {"ETag": file.tag} if file.tag else {}
            headers |= {"Content-Range": f"bytes {begin}-{size - 1}/{size}"} if begin else {}
            self._head(206 if begin else 200, headers)
            end = min(size, begin + file.cut.pop(0)) if file.cut else size
            for at in range(begin, end, 2**16):
                piece = file.content[at : min(end, at + 2**16)]
                self.wfile.write(piece)
                known.sent += len(piece)
                if file.stall:
                    self.wfile.flush()
                    file.stall.wait()
            if end < size:
                self.close_connection = True
                self.wfile.flush()
                self.connection.shutdown(2)

        def _head(self, code: int, headers: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None: ...  # a client that went away

    http = Quiet(("127.0.0.1", 0), Handler)
    known = Server(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        for file in known.files.values():
            if file.stall:
                file.stall.set()
        http.shutdown()
        http.server_close()
        thread.join()
