"""Modules that moved into rooms: their old names still import, with a `DeprecationWarning` that says the new one.

Notebooks and scripts of one's own live longer than a layout.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "benchmark": "study.benchmark",
    "cache": "runtime.cache",
    "checkpoint": "runtime.checkpoint",
    "cli": "app.cli",
    "controls": "study.controls",
    "copying": "study.copying",
    "course": "lessons.course",
    "data.factory": "toy",
    "data.published": "study.published",
    "doctor": "app.doctor",
    "efficientnet_lite": "backbones.efficientnet_lite",
    "evaluate": "study.evaluate",
    "hardware": "runtime.hardware",
    "mahalanobis": "judging.mahalanobis",
    "manifest": "runtime.manifest",
    "names": "runtime.names",
    "neighbours": "study.neighbours",
    "overgeneralisation": "study.leakage_by_kind",
    "plots": "figures.results",
    "plots_leakage": "figures.leakage",
    "plots_residuals": "lessons.pictures.how_far",
    "plots_toy": "figures.toy",
    "poisson": "nsa.poisson",
    "predictions": "app.predictions",
    "report": "app.report",
    "run": "study.run",
    "scales": "judging.scale_weights",
    "writing": "runtime.writing",
}


class _Moved(MetaPathFinder, Loader):
    """Finds a module by its old name, and puts the new one in its place."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, old = name.partition(".")
        return ModuleSpec(name, self) if package == "mrkd_edu" and old in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        new = "mrkd_edu." + MOVED[module.__name__.partition(".")[2]]
        warnings.warn(f"{module.__name__} has moved to {new}.", DeprecationWarning, stacklevel=2)
        sys.modules[module.__name__] = import_module(new)


def install() -> None:
    """Make the old names known, after all that is really there."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
