"""Limits and walls around a process in which a stranger's code runs.

On Linux, where `unshare` may be used: no network, processes of its own that all end with it, every disk read-only but a
small one in memory, the folders of the course not to be seen, and no rights of root. Where it may not, limits alone: of
time, memory, processes, open files and file size. `walls()` says which.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psutil

from mrkd_edu.assignments.limits import Limits, resource
from mrkd_edu.assignments.wire import Wire

FIRST_USER = 61_000  # as root: work is graded as a user who owns nothing, another one for each place in line
LOOK = 0.25  # seconds between two looks at what the processes take
SET_UP = """
IFS='
'
mount -t tmpfs -o size=$DISK$OWNER none "$HOME" || exit 71
for folder in $HIDDEN; do mount -t tmpfs -o size=4k,mode=555 none "$folder" || exit 72; done
while IFS=' ' read -r _ place _; do
  place=$(printf '%b' "$place")
  case "$place" in "$HOME"|/proc*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null;; esac
done < /proc/self/mounts
test -w / && exit 73
unset HIDDEN OWNER DISK
cd "$HOME" && exec "$@"
"""


class Walls(NamedTuple):
    """What keeps a stranger's code in on this machine.

    Attributes:
        namespaces: network, processes and disks of its own.
        user: it runs as a user who owns nothing.
        limits: resource limits.
    """

    namespaces: bool
    user: bool
    limits: bool

    def __str__(self) -> str:
        if self.namespaces:
            return "no network, own processes, disks read-only (unshare); limits of time, memory, processes and files"
        if self.limits:
            return "limits of time, memory, processes and files; network and disk are NOT closed off (no unshare here)"
        return "a limit of time alone, since this system has no others: grade in a virtual machine, or on Linux"


@cache
def walls() -> Walls:
    """What this machine has. It is tried once."""
    namespaces = user = False
    if sys.platform == "linux" and shutil.which("unshare") and shutil.which("setpriv"):
        with tempfile.TemporaryDirectory() as home:
            for lower in (True, False) if os.geteuid() == 0 else (False,):
                program = [sys.executable, "-c", "import numpy"]
                trial, own = _walled(program, Path(home), Limits(), (), FIRST_USER if lower else None)
                with suppress(OSError, subprocess.TimeoutExpired):
                    done = subprocess.run(trial, env=own, capture_output=True, timeout=60, check=False)
                    if done.returncode == 0:
                        namespaces, user = True, lower
                        break
    return Walls(namespaces, user, resource is not None)


@contextmanager
def confined(
    module: str, kit: Path, limits: Limits, hide: Sequence[Path] = (), place: int = 0
) -> Iterator[Wire]:
    """A process that runs a module of the kit behind walls, with a wire to it. It has ended when the block is left.

    Args:
        module: takes two file descriptors, and the limits that it sets itself before it does anything else.
        kit: the folder that Python imports from first.
        limits: of the process.
        hide: folders that it must not see.
        place: number of this process among those that run at the same time.
    """
    home = Path(tempfile.mkdtemp(prefix="graded-"))
    to_worker, from_worker = os.pipe(), os.pipe()
    try:
        process = _start(module, kit, limits, hide, place, home, (to_worker[0], from_worker[1]))
        for end in (to_worker[0], from_worker[1]):
            os.close(end)
        to_worker, from_worker = (-1, to_worker[1]), (from_worker[0], -1)
        try:
            with _watched(process, limits):
                yield Wire(from_worker[0], to_worker[1])
        finally:
            _end(process)
    finally:
        for end in (*to_worker, *from_worker):
            if end >= 0:
                os.close(end)
        shutil.rmtree(home, ignore_errors=True)


def _start(
    module: str, kit: Path, limits: Limits, hide: Sequence[Path], place: int, home: Path, ends: tuple[int, int]
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-B", "-m", module, *map(str, ends), *map(repr, astuple(limits))]
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    settings = keep | {"HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(kit), "MPLBACKEND": "agg"}
    settings |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    if walls().namespaces:
        command, own = _walled(command, home, limits, hide, FIRST_USER + place if walls().user else None)
        settings |= own
    return subprocess.Popen(
        command,
        cwd=home,
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=ends if os.name == "posix" else (),
        start_new_session=True,
    )


def _walled(
    command: list[str], home: Path, limits: Limits, hide: Sequence[Path], user: int | None
) -> tuple[list[str], dict[str, str]]:
    """A command behind namespaces, and the variables that its set-up reads."""
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    drop += [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user is not None else []
    names = "\n".join(str(folder.resolve()) for folder in hide if folder.is_dir())
    owner = "" if user is None else f",uid={user},gid={user}"
    settings = {"HOME": str(home), "HIDDEN": names, "OWNER": owner, "DISK": str(limits.disk)}
    return [*_unshare(), "sh", "-c", SET_UP, "sh", *drop, *command], {"PATH": os.environ.get("PATH", "")} | settings


def _unshare() -> list[str]:
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *own, "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]


@contextmanager
def _watched(process: subprocess.Popen[bytes], limits: Limits) -> Iterator[None]:
    """End the process when all of its kin together are too many, or take too much memory.

    Limits of the system count for one process, or for one user; root has none of processes. So somebody looks.
    """
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(LOOK):
            kin = _kin(process.pid)
            if len(kin) > limits.processes or sum(map(_own_memory, kin)) > limits.memory:
                _kill(process)
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _kin(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []


def _own_memory(process: psutil.Process) -> int:
    """Bytes of memory that a process takes, shared ones left out where the system tells them."""
    with suppress(psutil.Error):
        found = process.memory_info()
        return int(found.rss - getattr(found, "shared", 0))
    return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that descend from it; with namespaces, all that it ever began."""
    _kill(process)
    process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    for each in _kin(process.pid):
        with suppress(psutil.Error):
            each.kill()
