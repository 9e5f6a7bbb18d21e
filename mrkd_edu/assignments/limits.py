"""What a submission may use, and how a process binds itself to it. Bound once, it cannot free itself again."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

import psutil

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Attributes:
        seconds: of one cell, and of one answer.
        cpu: seconds of computing in all.
        memory: bytes.
        processes: at a time, threads included.
        files: open at a time.
        disk: bytes.
    """

    seconds: float = 20.0
    cpu: int = 240
    memory: int = 3 * 2**30
    processes: int = 96
    files: int = 128
    disk: int = 64 * 2**20

    def bind(self) -> None:
        """Bind this process and all that it will begin."""
        for name, most in (
            ("RLIMIT_CPU", self.cpu),
            ("RLIMIT_DATA", self.memory),
            ("RLIMIT_NPROC", self.processes + (_processes_of_mine() if resource else 0)),
            ("RLIMIT_NOFILE", self.files),
            ("RLIMIT_FSIZE", self.disk),
            ("RLIMIT_CORE", 0),
        ):
            if hasattr(resource, name):
                with suppress(ValueError, OSError):
                    resource.setrlimit(getattr(resource, name), (most, most))


def _processes_of_mine() -> int:
    """Threads of this user, which count against its limit of processes."""
    count = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            count += process.num_threads() if process.uids().real == os.geteuid() else 0
    return count
