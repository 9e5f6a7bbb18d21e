"""The cache: where it lies, and that asking for it costs nothing."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

import mrkd_edu.runtime.cache
from mrkd_edu.runtime.cache import cache_folder


def test_chosen_by_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    assert not cache_folder().exists()  # asking makes nothing
    monkeypatch.setenv("MRKD_EDU_CACHE", "~/mine")
    assert cache_folder() == Path.home() / "mine"


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps caches in LOCALAPPDATA")
@pytest.mark.parametrize("value", [None, ""])
def test_left_to_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    for name in ("MRKD_EDU_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)  # set but empty is as good as not set
    assert cache_folder() == Path.home() / ".cache" / "mrkd_edu"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "mrkd_edu"


def test_imports_the_standard_library_alone() -> None:
    tree = ast.parse(Path(mrkd_edu.runtime.cache.__file__).read_text(encoding="utf-8"))
    used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert used <= sys.stdlib_module_names
