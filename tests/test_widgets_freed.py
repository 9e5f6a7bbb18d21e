"""Explorers let go of what they hold when they are closed, as running a cell again does: or a kernel fills up."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import pytest
import traitlets
from ipywidgets.widgets.widget import _instances  # all widgets that the kernel keeps
from PIL import Image
from test_widgets_theatre import PLAN
from test_widgets_threshold import evaluation

from mrkd_edu import widgets
from mrkd_edu.data import AnomalyFolder
from mrkd_edu.model import MRKD
from mrkd_edu.toy import make_toy
from mrkd_edu.widgets.explorers import strength

pytestmark = pytest.mark.usefixtures("nothing_remembered")

SIZE, TIMES = 64, 4
Make = Callable[[], Any]


@pytest.fixture(scope="module")
def makers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Make]:
    """Every explorer of `mrkd_edu.widgets`, by its name."""
    models = {v: MRKD(variant=v, size=SIZE) for v in ("rd", "mrkd")}  # type: ignore[arg-type]
    for model in models.values():
        model.settings.threshold = 1.0
    pictures = list(np.random.default_rng(0).integers(0, 255, (3, SIZE, SIZE, 3), dtype=np.uint8))
    folder = tmp_path_factory.mktemp("freed")
    results = [evaluation(folder)]
    for sample, picture in zip(results[0].samples, 4 * pictures, strict=False):
        Image.fromarray(picture).save(sample.path)
    data = AnomalyFolder(make_toy(folder, train=14, test_good=2, test_defective=5, size=PLAN.size))
    return {
        "paint_defects": lambda: widgets.paint_defects(models, pictures),
        "explore_distance": lambda: widgets.explore_distance(models["mrkd"], pictures),
        "explore_ilm": lambda: widgets.explore_ilm(pictures, models["mrkd"]),
        "explore_flm": lambda: widgets.explore_flm(models["mrkd"], pictures),
        "explore_overgeneralisation": lambda: widgets.explore_overgeneralisation(models, "surface"),
        "explore_threshold": lambda: widgets.explore_threshold(results),
        "watch_training": lambda: widgets.watch_training(data, PLAN),
        "choose_training": lambda: widgets.choose_training(data, {"rd": PLAN}),
    }


@pytest.fixture(autouse=True)
def few_points(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(strength, "COARSE_TO_FINE", (0.5,))
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))


def alive(refs: list[weakref.ref]) -> int:
    """How many still live; a thread that has just drawn the last picture may hold one for a moment."""
    for _ in range(100):
        gc.collect()
        if not any(ref() is not None for ref in refs):
            return 0
        time.sleep(0.05)
    return sum(ref() is not None for ref in refs)


def every_widget() -> Iterator[type]:
    waiting: list[type] = [anywidget.AnyWidget]
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one.__module__.startswith("mrkd_edu."):
            yield one


def test_every_explorer_is_tried(makers: dict[str, Make]) -> None:
    assert makers.keys() == set(widgets.__all__)


@pytest.mark.parametrize("name", widgets.__all__)
def test_a_closed_explorer_is_freed(name: str, makers: dict[str, Make]) -> None:
    make, refs = makers[name], []
    before = len(_instances)
    for _ in range(TIMES):
        explorer = make()
        if hasattr(explorer, "wait"):
            assert explorer.wait(60)
        refs.append(weakref.ref(explorer))
        explorer.close()
        del explorer
    assert alive(refs) == 0
    assert len(_instances) == before, "the kernel keeps a part of it"


def test_nobody_watches_a_file() -> None:
    """anywidget keeps every instance whose script or style is given as a path."""
    ours = list(every_widget())
    assert len(ours) >= 3
    for one in ours:
        for name in ("_esm", "_css"):
            assert isinstance(vars(one).get(name, ""), (str, traitlets.TraitType)), one  # a trait, once one was made
