"""Files are whole or not there, whoever writes beside."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mrkd_edu.runtime.writing import whole_file


def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("older")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a.txt") as file:
        file.write("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_writers_beside_each_other_do_not_mix(tmp_path: Path) -> None:
    def write(number: int) -> None:
        with whole_file(tmp_path / "a.txt") as file:
            for _ in range(500):
                file.write(f"{number}\n")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    lines = (tmp_path / "a.txt").read_text().split()
    assert len(lines) == 500 and len(set(lines)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with whole_file(tmp_path / "a.bin", "wb") as file:
            file.write(b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o644


def test_a_name_as_long_as_a_name_may_be(tmp_path: Path) -> None:
    with whole_file(tmp_path / ("a" * 255)) as file:
        file.write("1")
    assert (tmp_path / ("a" * 255)).read_text() == "1"
