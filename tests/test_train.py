"""Training: it learns, it repeats itself, and neither Ctrl-C, SIGKILL nor bad numbers cost more than a step."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mrkd_edu import train
from mrkd_edu.data import DataError, ImageStack
from mrkd_edu.distance import distillation_loss
from mrkd_edu.model import MRKD, VARIANTS
from mrkd_edu.nsa import PRESETS
from mrkd_edu.recipe import RECIPES, Recipe
from mrkd_edu.runtime.checkpoint import Damaged, packed, unpacked
from mrkd_edu.train import Moment, TrainingError, cache_features, fit, learning_rate, training_loss

SIZE = 64
SHORT = Recipe(steps=6, batch=4, warmup=0, schedule="constant")


def normal_images(n: int = 10, size: int = SIZE) -> Tensor:
    """Discs of slightly different place and grey level on a plain ground, (n, 3, size, size)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    discs = []
    for _ in range(n):
        inside = (x - rng.uniform(0.45, 0.55)) ** 2 + (y - rng.uniform(0.45, 0.55)) ** 2 < 0.1
        discs.append(np.where(inside, rng.integers(60, 90), 200) + rng.integers(0, 12, (3, size, size)))
    return torch.from_numpy(np.stack(discs).astype(np.uint8))


IMAGES = normal_images()


def weights(model: MRKD) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def said_by(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says beside its tensors."""
    return unpacked(checkpoint.read_bytes())[0]


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def trained(variant: str = "mrkd", recipe: Recipe = SHORT, images: Any = IMAGES, **options: Any) -> tuple[MRKD, Any]:
    model = MRKD(variant=variant, size=SIZE)  # type: ignore[arg-type]
    return model, fit(model, images, recipe=recipe, progress=False, **options)


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[dict[str, Tensor], list[float]]:
    """What every interrupted and resumed training below must come to."""
    model, history = trained()
    return weights(model), history.loss


# --- it learns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_falls(variant: str) -> None:
    _, history = trained(variant, Recipe(steps=16, batch=4, warmup=2))
    assert np.mean(history.loss[-3:]) < 0.6 * history.loss[0]
    assert history.images == 10
    assert history.seconds > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_changes_the_student_and_never_the_teacher(variant: str) -> None:
    before = weights(MRKD(variant=variant, size=SIZE))  # type: ignore[arg-type]
    model, _ = trained(variant, replace(SHORT, steps=2))
    after = weights(model)
    for name, value in before.items():
        if name.startswith("teacher."):
            assert torch.equal(value, after[name]), name
    still = [name for name, _ in model.named_parameters() if torch.equal(before[name], after[name])]
    assert all(name.startswith("teacher.") for name in still)
    assert not model.training


def test_training_on_the_papers_recipe() -> None:
    model = MRKD(variant="mrkd", size=SIZE, **RECIPES["paper"].architecture)
    history = fit(model, IMAGES[:4], recipe=replace(RECIPES["paper"], epochs=3, batch=2), progress=False)
    assert len(history.loss) == 6


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_on_request(precision: Any) -> None:
    formats = set()
    model = MRKD(variant="mrkd", size=SIZE, precision=precision)
    hook = model.student.bottleneck.register_forward_hook(lambda _module, _given, made: formats.add(made.dtype))
    fit(model, IMAGES, recipe=replace(SHORT, steps=2), progress=False)
    hook.remove()
    assert formats == {{"fp32": torch.float32, "bf16": torch.bfloat16}[precision]}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(("images", "batch"), [(2, 5), (3, 2), (10, 10), (10, 16)])
def test_any_batch_with_any_number_of_images(images: int, batch: int) -> None:
    _, history = trained("mrkd", replace(SHORT, steps=2, batch=batch), IMAGES[:images])
    assert np.isfinite(history.loss).all()


def test_lambda_zero_trains_like_no_mask() -> None:
    model = MRKD(variant="flm", size=SIZE, drop=0.0)
    history = fit(model, IMAGES, recipe=replace(SHORT, steps=2, drop=0.0), progress=False)
    _, plain = trained("rd", replace(SHORT, steps=2))
    assert history.loss[0] == plain.loss[0]  # residual modules start as the identity


@pytest.mark.parametrize("change", [{"drop": 0.3}, {"residual": False}])
def test_a_model_built_for_another_recipe_is_refused(change: dict[str, Any]) -> None:
    recipe = replace(SHORT, **change)
    with pytest.raises(ValueError, match="Build it with"):
        fit(MRKD(variant="flm", size=SIZE), IMAGES, recipe=recipe, progress=False)
    fit(MRKD(variant="rd", size=SIZE), IMAGES, recipe=replace(recipe, steps=1), progress=False)  # has no FLM


def test_ilm_that_finds_no_place_says_so() -> None:
    grey = torch.full((6, 3, SIZE, SIZE), 180, dtype=torch.uint8)  # all background, by the preset of screws
    with pytest.raises(TrainingError, match="no place for a synthetic defect"):
        fit(MRKD(variant="ilm", size=SIZE), grey, recipe=SHORT, nsa=PRESETS["screw"], progress=False)


@pytest.mark.parametrize(
    "numbers",
    [
        {"steps": None},
        {"steps": 3, "epochs": 3},
        {"steps": 0},
        {"batch": 1},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"warmup": -1},
        {"schedule": "foo"},
        {"loss": "l2"},
        {"distance": "far"},
        {"squeeze": 3},
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"A recipe|choose one of"):
        Recipe(**numbers)


# --- what a step is -----------------------------------------------------------------------------------------


def batches(variant: str = "mrkd", seed: int = 0, steps: int = 5, batch: int = 4) -> list[Any]:
    model = MRKD(variant=variant, size=SIZE)  # type: ignore[arg-type]
    made = train.Batches(model, IMAGES, replace(SHORT, batch=batch), train.DEFAULT, seed)
    return [made.make(step) for step in range(steps)]


def test_every_epoch_shows_every_image_once() -> None:
    order = np.concatenate([b.index for b in batches("rd", steps=10, batch=4)])  # 40 places, 10 images
    epochs = order.reshape(4, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_ilm_shows_an_anomaly_and_asks_for_the_normal_image() -> None:
    for batch in batches("ilm"):
        assert torch.equal(batch.normal, IMAGES[batch.index])
        assert (batch.anomalous != batch.normal).flatten(1).any(1).float().mean() > 0.5
    for batch in batches("flm"):
        assert batch.anomalous is None


def test_loss_compares_the_student_with_the_normal_image() -> None:
    """The whole step, written out."""
    model = MRKD(variant="mrkd", size=SIZE, precision="fp32").train()
    model.learn_channels(IMAGES)
    known = train.cache_features(model, IMAGES)
    assert known is not None and model.flm is not None
    batch, again = (batches("mrkd", steps=1)[0] for _ in range(2))
    with torch.no_grad():
        target = [t[batch.index] for t in known]
        found = training_loss(model, batch.normal, batch.anomalous, batch.generator, target=target)
        wanted = model.see(IMAGES[again.index])
        student = model.flm(model.student(model.see(again.anomalous)), again.generator)
        torch.testing.assert_close(found, distillation_loss(wanted, student), rtol=1e-4, atol=1e-5)


def test_steps_draw_anew_and_from_seed_and_step_alone() -> None:
    first, again, other = batches(seed=3), batches(seed=3), batches(seed=4)
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a.anomalous, b.anomalous)
        assert a.generator.get_state().equal(b.generator.get_state())
        assert not torch.equal(a.anomalous, c.anomalous)
        assert not a.generator.get_state().equal(c.generator.get_state())
    assert len({bytes(a.generator.get_state().numpy()) for a in first}) == len(first)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_learning_rate(schedule: Any) -> None:
    recipe = Recipe(lr=0.1, warmup=10, schedule=schedule)
    rates = [learning_rate(recipe, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 100)
    assert rates[10] == max(rates) == 0.1
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
    assert (rates[-1] == 0.1) if schedule == "constant" else (0 < rates[-1] < 0.001)


def test_learning_rate_of_a_training_shorter_than_its_warmup() -> None:
    rates = [learning_rate(Recipe(lr=0.1, warmup=30), step, 3) for step in range(3)]
    assert rates == pytest.approx([0.1 / 30, 0.2 / 30, 0.3 / 30])


# --- it repeats itself --------------------------------------------------------------------------------------


def test_same_seed_same_weights(uninterrupted: tuple[dict[str, Tensor], list[float]]) -> None:
    torch.manual_seed(123)  # global randomness plays no part
    np.random.seed(123)
    model, history = trained()
    assert same(weights(model), uninterrupted[0])
    assert history.loss == uninterrupted[1]


def test_other_seed_other_weights(uninterrupted: tuple[dict[str, Tensor], list[float]]) -> None:
    model, history = trained(seed=1)
    assert not same(weights(model), uninterrupted[0])
    assert history.loss != uninterrupted[1]


def test_longer_training_begins_like_a_shorter_one(uninterrupted: tuple[dict[str, Tensor], list[float]]) -> None:
    _, history = trained(recipe=replace(SHORT, steps=8))
    assert history.loss[:6] == uninterrupted[1]
    assert len(history.loss) == 8


def test_images_from_files_are_the_same_images(
    uninterrupted: tuple[dict[str, Tensor], list[float]], tmp_path: Path
) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(len(IMAGES))]
    for path, image in zip(paths, IMAGES, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    for memory in (2**30, 0):  # kept, and decoded anew each time
        model, _ = trained(images=ImageStack(paths, SIZE, memory=memory))
        assert same(weights(model), uninterrupted[0])


@pytest.mark.parametrize("variant", ["rd", "mrkd"])
def test_without_room_for_features_training_is_the_same(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_features(MRKD(size=SIZE), IMAGES) is not None
    _, kept = trained(variant, replace(SHORT, steps=4))
    monkeypatch.setattr(train, "FEATURE_MEMORY", 0)
    assert cache_features(MRKD(size=SIZE), IMAGES) is None
    _, computed = trained(variant, replace(SHORT, steps=4))
    # Not bit for bit: convolutions may round differently in another batch.
    np.testing.assert_allclose(kept.loss, computed.loss, rtol=0.02)


def test_cached_features_are_the_teachers() -> None:
    model = MRKD(size=SIZE, precision="fp32")
    cached = cache_features(model, IMAGES, batch=4)
    assert cached is not None
    for kept, wanted in zip(cached, model.teacher(IMAGES), strict=True):
        torch.testing.assert_close(kept, wanted)


# --- interrupted --------------------------------------------------------------------------------------------


def interrupted_by(error: type[BaseException], at: int, checkpoint: Path, images: Any = IMAGES, **options: Any) -> None:
    def callback(moment: Moment) -> None:
        if moment.step == at:
            raise error

    with pytest.raises(error):
        trained(checkpoint=checkpoint, callback=callback, images=images, **options)


@pytest.mark.parametrize("at", [1, 4, 6])
def test_ctrl_c_and_resume(at: int, tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[float]]) -> None:
    checkpoint = tmp_path / "runs" / "checkpoint.safetensors"
    interrupted_by(KeyboardInterrupt, at, checkpoint)
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint.safetensors"]
    seen: list[int] = []
    model, history = trained(checkpoint=checkpoint, resume=True, callback=lambda moment: seen.append(moment.step))
    assert seen == list(range(at + 1, 7))
    assert same(weights(model), uninterrupted[0])
    assert history.loss == uninterrupted[1]


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handler, also where the tests were started in the background, which ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself Ctrl-C on Windows")
def test_ctrl_c_in_the_middle_of_a_step(tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[float]]) -> None:
    """The batch statistics of the third step are updated, its gradients are not: the step must be finished."""
    model = MRKD(variant="mrkd", size=SIZE)
    calls: list[int] = []

    def press(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    hook = model.student.decoder.register_forward_hook(press)
    with pytest.raises(KeyboardInterrupt):
        fit(model, IMAGES, recipe=SHORT, progress=False, checkpoint=tmp_path / "c.safetensors")
    hook.remove()
    assert len(calls) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed, history = trained(checkpoint=tmp_path / "c.safetensors", resume=True)
    assert same(weights(resumed), uninterrupted[0])
    assert history.loss == uninterrupted[1]


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself Ctrl-C on Windows")
def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    """And it does not save half a step: the checkpoint is the one of the step before."""
    model = MRKD(variant="mrkd", size=SIZE)
    calls: list[int] = []

    def press(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    hook = model.student.decoder.register_forward_hook(press)
    with pytest.raises(KeyboardInterrupt):
        fit(model, IMAGES, recipe=SHORT, progress=False, checkpoint=tmp_path / "c.safetensors", every=3)
    hook.remove()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(said_by(tmp_path / "c.safetensors")["history"]["loss"]) == 3


def test_training_works_outside_of_the_main_thread(uninterrupted: tuple[dict[str, Tensor], list[float]]) -> None:
    losses: list[float] = []
    thread = threading.Thread(target=lambda: losses.extend(trained()[1].loss))
    thread.start()
    thread.join()
    assert losses == uninterrupted[1]


TRAIN = """
import sys
import torch
from test_train import trained

def callback(moment):
    print(moment.step, flush=True)
    if moment.step == 5:
        sys.stdin.read()  # wait

torch.set_num_threads(int(sys.argv[2]))  # results depend on it
trained(checkpoint=sys.argv[1], every=2, callback=callback)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on Windows")
def test_sigkill_and_resume(tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[float]]) -> None:
    """A process is killed after step 5. From its checkpoint of step 4 this one goes on, bit for bit."""
    checkpoint = tmp_path / "checkpoint.safetensors"
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    with subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(checkpoint), str(torch.get_num_threads())],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(5)] == ["1", "2", "3", "4", "5"]
        process.send_signal(signal.SIGKILL)  # nothing can be tidied up
    assert process.returncode == -signal.SIGKILL

    steps: list[int] = []
    model, history = trained(checkpoint=checkpoint, resume=True, callback=lambda moment: steps.append(moment.step))
    assert steps == [5, 6]
    assert same(weights(model), uninterrupted[0])
    assert history.loss == uninterrupted[1]


def test_killed_while_saving(tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[float]]) -> None:
    """What a kill in the middle of writing leaves beside the checkpoint does no harm."""
    checkpoint = tmp_path / "checkpoint.safetensors"
    interrupted_by(KeyboardInterrupt, 3, checkpoint)
    checkpoint.with_suffix(".tmp").write_bytes(checkpoint.read_bytes()[:1000])
    model, _ = trained(checkpoint=checkpoint, resume=True)
    assert same(weights(model), uninterrupted[0])


def test_resuming_a_finished_training_changes_nothing(
    tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[float]]
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    trained(checkpoint=checkpoint)
    model, history = trained(checkpoint=checkpoint, resume=True, callback=lambda _: pytest.fail("a step was made"))
    assert same(weights(model), uninterrupted[0])
    assert history.loss == uninterrupted[1]


def test_resume_without_a_checkpoint_starts(
    tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[float]]
) -> None:
    _, history = trained(checkpoint=tmp_path / "none.safetensors", resume=True)
    assert history.loss == uninterrupted[1]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a training that was interrupted after its first step."""
    checkpoint = tmp_path_factory.mktemp("begun") / "checkpoint.safetensors"
    interrupted_by(KeyboardInterrupt, 1, checkpoint)
    return checkpoint


@pytest.mark.parametrize("other", ["variant", "seed", "recipe", "images", "number", "drop", "precision"])
def test_checkpoint_of_another_training_is_refused(other: str, begun: Path) -> None:
    settings = {"variant": {"variant": "flm"}, "drop": {"drop": 0.3}, "precision": {"precision": "fp32"}}.get(other, {})
    model = MRKD(**{"variant": "mrkd", "size": SIZE, **settings})  # type: ignore[arg-type]
    before = weights(model)
    options: dict[str, Any] = {"images": IMAGES, "recipe": SHORT, "seed": 0}
    options |= {
        "seed": {"seed": 1},
        "recipe": {"recipe": replace(SHORT, lr=0.001)},
        "images": {"images": 255 - IMAGES},
        "number": {"images": IMAGES[:9]},
    }.get(other, {})
    if other == "drop":
        options["recipe"] = replace(SHORT, drop=0.3)
    said = r"checkpoint\.safetensors belongs to another training(.|\n)*delete the file"
    said += r"(.|\n)*  there: (.{0,80})\n  here:  (.{0,80})$"
    with pytest.raises(TrainingError, match=said):  # what differs, and nothing else
        fit(model, **options, checkpoint=begun, resume=True, progress=False)
    assert same(weights(model), before)


State = tuple[dict[str, Any], dict[str, Tensor]]  # what a checkpoint says, and its tensors
FIRST = "student.bottleneck.mff.0.0.0.0.weight"


def rewritten(checkpoint: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], State]) -> None:
    """Change what a checkpoint says, and vouch for it."""
    checkpoint.write_bytes(packed(*change(*unpacked(checkpoint.read_bytes()))))


def says(**other: Any) -> Callable[[dict[str, Any], dict[str, Tensor]], State]:
    """Says other things; None: says nothing of it."""
    return lambda said, tensors: ({n: v for n, v in (said | other).items() if v is not None}, tensors)


def holds(change: Callable[[str, Tensor], Tensor | None]) -> Callable[[dict[str, Any], dict[str, Tensor]], State]:
    """Holds other tensors; None: lacks one."""

    def changed(said: dict[str, Any], tensors: dict[str, Tensor]) -> State:
        return said, {name: new for name, old in tensors.items() if (new := change(name, old)) is not None}

    return changed


def first(change: Callable[[Tensor], Tensor | None]) -> Callable[[dict[str, Any], dict[str, Tensor]], State]:
    """Holds another tensor in the place of the first."""
    return holds(lambda name, t: change(t) if name == FIRST else t)


INSIDE: dict[str, Callable[[dict[str, Any], dict[str, Tensor]], State]] = {
    "another thing": lambda said, _: (said, {"weight": torch.zeros(3)}),
    "no student": holds(lambda name, t: None if not name.startswith("adam.") else t),
    "no optimiser": holds(lambda name, t: None if name.startswith("adam.") else t),
    "half an optimiser": holds(lambda name, t: None if name.endswith("exp_avg_sq") else t),
    "no scaler": says(scaler=None),
    "a scaler of something": says(scaler={"scale": "large"}),
    "no history": says(history=None),
    "history of something": says(history={"loss": "falling"}),
    "no number": says(history={"loss": [float("nan")]}),
    "endless": says(history={"loss": [1.0], "seconds": float("inf")}),
    "nobody": says(identity=[1]),
    "fewer weights": first(lambda _: None),
    "more weights": lambda said, tensors: (said, tensors | {"more": torch.zeros(3)}),
    "another shape": first(lambda t: t.flatten()),
    "another type": first(lambda t: t.double()),
    "no weights": first(lambda t: t * float("nan")),
}


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "flipped", *INSIDE])
def test_damaged_checkpoint_is_named(damage: str, tmp_path: Path, begun: Path) -> None:
    """Eight of these were tracebacks, and some messages gave the advice to unpickle it all the same."""
    checkpoint, content = tmp_path / "checkpoint.safetensors", begun.read_bytes()
    checkpoint.write_bytes(content)
    if damage in INSIDE:
        rewritten(checkpoint, INSIDE[damage])
    else:
        flipped = bytes([*content[:999], content[999] ^ 1, *content[1000:]])
        damaged = {"truncated": content[: len(content) // 2], "empty": b"", "text": b"?", "flipped": flipped}
        checkpoint.write_bytes(damaged[damage])
    model = MRKD(variant="mrkd", size=SIZE)
    before = weights(model)
    with pytest.raises(Damaged, match=r"checkpoint\.safetensors is damaged or not a checkpoint\. Delete the file"):
        fit(model, IMAGES, recipe=SHORT, seed=0, checkpoint=checkpoint, resume=True, progress=False)
    assert same(weights(model), before)


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path, begun: Path) -> None:
    """Also the pickles of the first versions, which are not opened."""
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(begun.read_bytes())
    rewritten(checkpoint, says(format=3))
    pickled = tmp_path / "checkpoint.pt"
    memory = io.BytesIO()
    torch.save({"student": {}}, memory)
    pickled.write_bytes(hashlib.blake2b(memory.getvalue(), digest_size=16).digest() + memory.getvalue())
    for path in (checkpoint, pickled):
        with pytest.raises(Damaged, match=r"checkpoint\.\w+ was written by another version of mrkd_edu\. Delete"):
            trained(checkpoint=path, resume=True)


@pytest.mark.parametrize("variant", ["rd", "mrkd"])
def test_every_recipe_goes_on_to_the_same_bits(variant: str, tmp_path: Path) -> None:
    """Every weight of every student has its place in a checkpoint, in the order that it has in memory."""
    for change in ({"drop": 0.0, "width": 16}, {"residual": False, "squeeze": 2, "strides": (4, 8, 16), "width": None}):
        recipe = replace(SHORT, steps=4, **change)
        found = []
        for stop in (None, 2):
            checkpoint = tmp_path / f"{len(change)}.safetensors"
            checkpoint.unlink(missing_ok=True)
            for _ in range(1 if stop is None else 2):
                model = MRKD(variant=variant, size=SIZE, **recipe.architecture)  # type: ignore[arg-type]
                options: dict[str, Any] = {"recipe": recipe, "checkpoint": checkpoint, "resume": True}
                history = fit(model, IMAGES, **options, progress=False, callback=lambda m, stop=stop: m.step != stop)
            found.append((weights(model), history.loss, unpacked(checkpoint.read_bytes())[1]))
        (one, losses, state), (other, its_losses, its_state) = found
        assert losses == its_losses and len(losses) == 4
        assert same(one, other) and same(state, its_state)


def test_the_scaler_of_half_precision_goes_on_where_it_was(tmp_path: Path) -> None:
    """fp16 is for GPUs; a CPU does it slowly, and with the same state."""
    found = []
    for stop in (None, 2):
        checkpoint = tmp_path / f"{stop}.safetensors"
        for _ in range(1 if stop is None else 2):
            model = MRKD(variant="rd", size=SIZE, precision="fp16", width=16)
            options: dict[str, Any] = {"recipe": replace(SHORT, width=16), "checkpoint": checkpoint, "resume": True}
            history = fit(model, IMAGES, **options, progress=False, callback=lambda m, stop=stop: m.step != stop)
        found.append((weights(model), history.loss, said_by(checkpoint)["scaler"]))
    (one, losses, scaler), (other, its_losses, its_scaler) = found
    assert losses == its_losses and same(one, other)
    assert scaler == its_scaler and scaler["scale"] > 0


def test_a_full_disk_does_not_end_a_training(
    tmp_path: Path, uninterrupted: tuple[dict[str, Tensor], list[float]], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mrkd_edu.runtime.writing.os.fsync", full)
    _, history = trained(checkpoint=tmp_path / "checkpoint.safetensors", every=1)
    assert history.loss == uninterrupted[1]
    assert list(tmp_path.iterdir()) == []  # nothing half-written is left on the full disk
    said = capfd.readouterr().err
    assert said.count("goes on without checkpoints") == 1 and "No space left on device. Make room" in said


def test_callback_can_stop(tmp_path: Path) -> None:
    moments: list[Moment] = []

    def callback(moment: Moment) -> bool:
        moments.append(moment)
        return moment.step < 3

    _, history = trained(callback=callback, checkpoint=tmp_path / "c.safetensors")
    assert [moment.step for moment in moments] == [1, 2, 3]
    assert [moment.loss for moment in moments] == history.loss
    assert moments[0].steps == 6
    assert len(said_by(tmp_path / "c.safetensors")["history"]["loss"]) == 3


def test_callback_may_predict(uninterrupted: tuple[dict[str, Tensor], list[float]]) -> None:
    """A picture of the map after every step, as a notebook draws it, must not change the training."""
    model, history = trained(callback=lambda moment: moment.model.predict(IMAGES[0]) and None)
    assert history.loss == uninterrupted[1]
    assert same(weights(model), uninterrupted[0])


def test_an_error_in_a_callback_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        trained(callback=lambda moment: 1 // (moment.step - 2))


# --- bad numbers and bad images -----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["student.decoder.stages.2.0.layers.0.0.weight", "flm.generate.0.conv1.weight"])
def test_a_loss_that_is_not_finite_stops(where: str, tmp_path: Path) -> None:
    """The last checkpoint is from before, so it is whole."""
    checkpoint = tmp_path / "c.safetensors"

    def poison(moment: Moment) -> None:
        if moment.step == 4:
            with torch.no_grad():
                moment.model.get_parameter(where)[0, 0, 0, 0] = float("nan")

    with pytest.raises(TrainingError, match=r"loss of step 5 is nan.*lower Recipe.lr"):
        trained(checkpoint=checkpoint, every=2, callback=poison)
    said, tensors = unpacked(checkpoint.read_bytes())
    assert len(said["history"]["loss"]) == 4
    assert all(value.isfinite().all() for value in tensors.values())


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    """The loss of the last step is fine, but its update is not: no later step would tell."""
    model, checkpoint = MRKD(variant="rd", size=SIZE), tmp_path / "c.safetensors"
    parameter = next(model.student.parameters())
    calls: list[int] = []

    def spoil(gradient: Tensor) -> Tensor:
        calls.append(1)
        return gradient * float("inf") if len(calls) == 4 else gradient

    handle = parameter.register_hook(spoil)
    with pytest.raises(TrainingError, match="weights after step 4 are not finite"):
        fit(model, IMAGES, recipe=replace(SHORT, steps=4), progress=False, checkpoint=checkpoint, every=2)
    handle.remove()
    said, tensors = unpacked(checkpoint.read_bytes())
    assert len(said["history"]["loss"]) == 2
    assert all(value.isfinite().all() for value in tensors.values())


@pytest.mark.parametrize("variant", ["rd", "mrkd"])
def test_a_file_that_breaks_while_training(variant: str, tmp_path: Path) -> None:
    """Named at once, not a hang of the thread that prepares batches; and what was learned is kept."""
    paths = [tmp_path / f"{i}.png" for i in range(len(IMAGES))]
    for path, image in zip(paths, IMAGES, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    images = ImageStack(paths, SIZE, memory=0)

    def callback(moment: Moment) -> None:
        if moment.step == 2:
            for path in paths:
                path.write_bytes(path.read_bytes()[:60])

    with pytest.raises(DataError, match=r"\d\.png"):
        trained(variant, images=images, checkpoint=tmp_path / "c.safetensors", callback=callback)
    assert len(said_by(tmp_path / "c.safetensors")["history"]["loss"]) >= 2


@pytest.mark.parametrize(("images", "message"), [
    (torch.zeros(8, 3, 32, 32, dtype=torch.uint8), r"\(N, 3, 64, 64\); got \(8, 3, 32, 32\)"),
    (torch.zeros(8, 1, 64, 64, dtype=torch.uint8), r"got \(8, 1, 64, 64\)"),
    (torch.zeros(8, 64, 64, 3, dtype=torch.uint8), r"got \(8, 64, 64, 3\)"),
    (torch.zeros(3, 64, 64, dtype=torch.uint8), r"got \(3, 64, 64\)"),
    (IMAGES[:1], "at least 2 images"),
    (IMAGES.float() / 255, "uint8.*float32"),
])  # fmt: skip
def test_images_of_the_wrong_kind(images: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trained(images=images)


def test_progress_shows_loss_and_speed(capsys: pytest.CaptureFixture) -> None:
    fit(MRKD(variant="rd", size=SIZE), IMAGES, recipe=replace(SHORT, steps=2))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "rd: 100%" in captured.err and "loss=" in captured.err and "images_per_s=" in captured.err
