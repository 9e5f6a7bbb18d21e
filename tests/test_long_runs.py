"""Long work takes no more memory than short work: the benchmark of it in short, and that it would find a leak."""

from __future__ import annotations

import runpy
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mrkd_edu import train, widgets
from mrkd_edu.recipe import budget
from mrkd_edu.widgets.explorers import strength

LONG = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks" / "long_runs.py"))
watched, again = LONG["watched"], LONG["again"]
SIZE = 64
PICTURE = 3 * SIZE * SIZE / 1024 * 1000  # kB: one picture that is kept each time, in 1,000 repetitions
STEPS, PREDICTIONS, CELLS = budget(quick=(100, 120, 12), full=(2000, 2000, 500))
LEAKY = 40  # repetitions are enough to see a leak

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_remembered")]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRKD_EDU_CACHE", "")  # what the benchmark sets is taken back
        patch.setattr(strength, "COARSE_TO_FINE", (0.5,))
        yield LONG["tasks"](tmp_path_factory.mktemp("long"), SIZE)


def traced() -> float:
    """What Python and NumPy hold, kB: to the byte, so that few repetitions are enough. Of torch it knows nothing."""
    return tracemalloc.get_traced_memory()[0] / 1024


@pytest.fixture
def tracing() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize(("name", "repetitions"), [("fit", STEPS), ("predict", PREDICTIONS)])
def test_steps_and_predictions_leave_nothing(name: str, repetitions: int, tasks: dict[str, Any]) -> None:
    tasks[name](5, lambda: None)  # warm
    growth = watched(tasks[name], repetitions)
    assert growth.slope - 3 * growth.error < PICTURE / 2, growth


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("name", widgets.__all__)
def test_a_cell_run_again_and_again_leaves_nothing(name: str, tasks: dict[str, Any]) -> None:
    tasks[name](3, lambda: None)
    growth = watched(tasks[name], CELLS // 2 if name == "watch_training" else CELLS, traced)
    assert growth.slope - 3 * growth.error < PICTURE / 2, growth  # a cache that fills once is a step, no slope


def leaking(task: Callable[..., None], leak: Callable[[], Any]) -> tuple[Callable[..., None], list[Any]]:
    """A task that keeps something in every repetition."""
    kept: list[Any] = []

    def leaky(repetitions: int, tick: Callable[[], None]) -> None:
        def and_leak() -> None:
            kept.append(leak())
            tick()

        task(repetitions, and_leak)

    return leaky, kept


def test_a_graph_that_is_kept_in_every_step_would_be_found(
    tasks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, kept = train.training_loss, []

    def loss(*given: Any, **options: Any) -> Any:
        kept.append(real(*given, **options))  # with all that its gradient would need
        return real(*given, **options)

    monkeypatch.setattr(train, "training_loss", loss)
    growth = watched(tasks["fit"], LEAKY)
    assert growth.slope - 3 * growth.error > PICTURE / 2, growth
    assert len(kept) == LEAKY


def test_a_picture_that_is_kept_in_every_prediction_would_be_found(tasks: dict[str, Any]) -> None:
    task, kept = leaking(tasks["predict"], lambda: bytearray(3 * SIZE * SIZE))
    growth = watched(task, PREDICTIONS)
    assert growth.slope - 3 * growth.error > PICTURE / 2, growth
    assert len(kept) == PREDICTIONS


@pytest.mark.usefixtures("tracing")
def test_a_picture_that_is_kept_by_a_cell_would_be_found(tasks: dict[str, Any]) -> None:
    task, kept = leaking(tasks["explore_threshold"], lambda: bytearray(3 * SIZE * SIZE))
    growth = watched(task, CELLS, traced)
    assert growth.slope - 3 * growth.error > PICTURE / 2, growth
    assert len(kept) == CELLS
