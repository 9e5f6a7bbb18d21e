"""Fixtures that every test may use: the folder of real categories and a seeded generator."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")  # no window: the tests run on machines without a screen
torch.set_num_threads(1)  # the tests' images are so small that a second thread costs more than it gives
os.environ["OMP_NUM_THREADS"] = "1"  # the same for programs that tests start

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real categories in the MVTec layout (bottle, commutator, magnetic_tile), or a skip."""
    chosen = os.environ.get("MRKD_EDU_DATA")
    folder = Path(chosen) if chosen else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            "no real images: set MRKD_EDU_DATA to a folder of categories in the MVTec layout, "
            f"or put one at ../shared/data beside the repository (looked at {folder})"
        )
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with seed 0: every test draws the same numbers, in whatever order tests run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium or Chrome that playwright can start (`executable_path`), or a skip."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    pytest.skip(
        "no browser: install Chromium (Debian, Ubuntu: `apt-get install chromium`) or Chrome "
        "so that `chromium` or `google-chrome` is on the PATH"
    )


@pytest.fixture
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explorers begin where they begin, whatever another test has chosen."""
    from mrkd_edu.widgets.frame import memory

    monkeypatch.setattr(memory, "MEMORY", memory.Memory())
