"""One cache, many processes: readers beside a writer, a cache that may only be read, and what is built at once."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Empty

import pytest
import torch

pytest.importorskip("resource", reason="no other user's processes on Windows")

import jobs

from mrkd_edu.data import AnomalyFolder
from mrkd_edu.model import MRKD
from mrkd_edu.recipe import budget
from mrkd_edu.runtime.writing import alone
from mrkd_edu.study.run import LOCK, home_of, run
from mrkd_edu.toy import make_toy

CPU = torch.device("cpu")
PROCESSES, THREADS, WHOLE = 10, 20, budget(quick=2, full=20)  # how many threads of each process build the model


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), train=12, test_good=3, test_defective=5, size=jobs.SIZE)


@pytest.mark.slow
def test_200_readers_beside_a_writer_get_a_whole_model_or_an_error(toy: Path, tmp_path: Path) -> None:
    """Ten processes with twenty threads each, which begin together, while two models take each other's place."""
    models = [MRKD(variant="rd", size=jobs.SIZE, seed=seed, width=8) for seed in (1, 2)]
    homes = []
    for number, model in enumerate(models):
        model.settings.threshold = float(number + 1)
        homes.append(model.save(tmp_path / str(number)))
    home = models[0].save(tmp_path / "home")
    context = multiprocessing.get_context("forkserver")
    gate, stop, said = context.Event(), context.Event(), context.Queue()
    wanted = {jobs.marks(model) for model in models}
    for model, each in zip(models, homes, strict=True):
        weights = (each / "model.safetensors").read_bytes()
        wanted.add(f"{model.settings.threshold} {hashlib.sha256(weights).hexdigest()}")
    assert len(wanted) == 4
    writer = jobs.started(jobs.write_often, tuple(homes), home, stop)
    readers = [jobs.started(jobs.read_often, home, THREADS, WHOLE, wanted, gate, said) for _ in range(PROCESSES)]
    gate.set()
    found: Counter[str] = Counter()
    for _ in range(PROCESSES * THREADS):
        try:
            found[said.get(timeout=300)] += 1
        except Empty:
            raise AssertionError(f"a reader hangs; the others: {found}") from None
    stop.set()
    assert [jobs.ended(process) for process in (*readers, writer)] == [0] * (PROCESSES + 1)
    assert set(found) <= {"whole", "refused"} and found["whole"], found


def test_what_is_in_the_cache_is_read_beside_whoever_trains(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Readers waited for each other one by one, and were told that somebody trained."""
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path))
    data = AnomalyFolder(toy)
    run(data, jobs.PLAN, progress=False)
    home = home_of(data, jobs.PLAN, CPU)
    with alone(home / LOCK, "taken"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(run, data, jobs.PLAN, progress=False).result(60).settings.threshold is not None
    said = capsys.readouterr().err
    assert "Reused run" in said and "waiting" not in said


def test_models_built_at_once_have_the_weights_of_their_seed() -> None:
    """Two threads that built models drew from one generator, and neither got what its seed says."""
    wanted = MRKD(variant="mrkd", size=jobs.SIZE, seed=3).state_dict()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: MRKD(variant="mrkd", size=jobs.SIZE, seed=3).state_dict(), range(16)))
    for each in found:
        assert all(torch.equal(value, each[name]) for name, value in wanted.items())


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that others may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can be another user for a moment")
@pytest.mark.parametrize("filled", [True, False])
def test_a_cache_that_may_only_be_read(filled: bool, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user, for root may write everywhere. What is there is used; the rest is trained, and that is said."""
    toy = make_toy(shared, train=12, test_good=3, test_defective=5, size=jobs.SIZE)
    cache = shared / "cache"
    (cache / "runs").mkdir(parents=True)
    if filled:
        monkeypatch.setenv("MRKD_EDU_CACHE", str(cache))
        run(AnomalyFolder(toy), jobs.PLAN, progress=False)
    before = sorted(path.name for path in cache.rglob("*"))
    process = jobs.started(jobs.train_as_nobody, toy, cache, shared / "said")
    code, said = jobs.ended(process), (shared / "said").read_text()
    assert code == 0, said
    assert sorted(path.name for path in cache.rglob("*")) == before
    if filled:
        assert "Reused run" in said and "Nothing is kept" not in said
    else:
        assert "Nothing is kept in the cache for the next time" in said and "Permission denied" in said


def test_a_half_written_entry_is_trained_anew(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are there and the description is not yet, and a writer that was killed left its half."""
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path))
    data, plan = AnomalyFolder(toy), replace(jobs.PLAN, seed=5)
    wanted = run(data, plan, progress=False)
    home = home_of(data, plan, CPU)
    (home / "model.json").rename(home / f".{'c' * 32}.part")
    (home / "model.safetensors").write_bytes((home / "model.safetensors").read_bytes()[:5000])
    again = run(data, plan, progress=False)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in wanted.state_dict().items())
    assert MRKD.load(home).settings.threshold == wanted.settings.threshold
