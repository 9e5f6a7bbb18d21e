"""A run: from a folder of images to a trained model, never done twice.

`run` holds out some normal images, trains on the others, sets the threshold from the held-out ones, and keeps the
result in a cache. The key of the cache is made of everything that decides the result: the settings, the content of
the images, and the code that trains. A notebook or a second command that asks for the same run gets it at once.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mrkd_edu
from mrkd_edu.backbones.entry import OFFLINE_TEACHER
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import ImageStack, some_images
from mrkd_edu.judging.detector import Baseline, Restorer, Variant
from mrkd_edu.judging.scale_weights import choose_weights
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import NSA, preset
from mrkd_edu.recipe import DISTANCES, RECIPES, Distance, Recipe
from mrkd_edu.runtime.cache import cache_folder
from mrkd_edu.runtime.checkpoint import Damaged
from mrkd_edu.runtime.hardware import Precision, number_format, pick_device
from mrkd_edu.runtime.manifest import ModelError
from mrkd_edu.runtime.names import readable, tell
from mrkd_edu.runtime.writing import NotWritten, alone, check_room
from mrkd_edu.train import History, Moment, fit, forecast

HOLD_OUT, WEIGHTS = 2, 4  # streams of random numbers; `train.py` has 0 and 1, `evaluate.py` 3
WORTH_A_WORD = 100  # steps; of a longer training it is said beforehand how long it will take
CHECKPOINT, LOCK = "checkpoint.pt", ".lock"  # in the folder of a run
HELD_OUT = 0.1  # share of the normal training images that the threshold is chosen from
ROOMS = (".", "backbones", "data", "judging", "nsa", "runtime")  # folders whose code decides what a training gives


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run, except the images.

    Attributes:
        variant: `"rd"`, `"ilm"`, `"flm"` or `"mrkd"`.
        backbone: the teacher.
        size: side of the working square, pixels; 0 takes the recipe's.
        seed: of weights, order, masks and synthetic anomalies.
        recipe: see `recipe.Recipe`.
        precision: number format.
        nsa: settings of the synthetic anomalies; None takes the category's preset (`nsa.preset`).
    """

    variant: Variant | Baseline = "mrkd"
    backbone: str = OFFLINE_TEACHER
    size: int = 0
    seed: int = 0
    recipe: Recipe = RECIPES["workshop"]
    precision: Precision = "auto"
    nsa: NSA | None = None

    def __post_init__(self) -> None:
        if self.size == 0:
            object.__setattr__(self, "size", self.recipe.size)


def run(
    data: AnomalyFolder,
    plan: Plan,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    cache: bool = True,
    device: str = "auto",
    progress: bool = True,
    callback: Callable[[Moment], Any] | None = None,
) -> MRKD:
    """Train a model on the normal images of `data`, or take it from the cache.

    Args:
        data: its training images are used, its test images never.
        plan: the settings.
        out: folder for the model (`model.safetensors`, `model.json`); None keeps it in the cache only.
        resume: continue a training that was interrupted in `out`.
        cache: whether the run may be taken from and kept in the cache.
        device: `"auto"`, `"cpu"`, `"cuda"`.
        progress: show bars. What was reused is said in any case, on stderr.
        callback: called after every step of a training, see `train.fit`; never for a run from the cache.

    Returns:
        The trained model with its threshold; `model.settings.history` tells of the training.

    Raises:
        data.images.DataError: images that cannot be read.
        TrainingError: the training failed.
        writing.Taken: another training is writing into `out`.
        writing.NotWritten: `out` cannot be written; where a training had ended, the message says where its model is.
    """
    where = pick_device(device)
    home = _home(data, plan, where)
    folder = Path(out) if out is not None else None
    with ExitStack() as alone_there:
        if cache:
            waits = partial(tell, f"Another process trains {plan.variant} on {data.name} just now: waiting for it.")
            alone_there.enter_context(alone(home / LOCK, "", waits))
        trained = _cached(data, plan, where) if cache else None
        model = trained or build(plan)
        if folder is not None:
            other = f"Another training is writing into {folder}: wait for it, or choose another folder (--out)."
            alone_there.enter_context(alone(folder / LOCK, other))
            check_room(folder, _room(model))
        if trained is None:
            kept = home if cache and _can_keep(home, _room(model)) else None
            _train(model, data, plan, folder, kept, resume, device, progress, callback)
        elif folder is not None:
            model.save(folder)
            (folder / CHECKPOINT).unlink(missing_ok=True)  # of a training that was finished elsewhere
    return model


def _train(
    model: MRKD,
    data: AnomalyFolder,
    plan: Plan,
    folder: Path | None,
    kept: Path | None,
    resume: bool,
    device: str,
    progress: bool,
    callback: Callable[[Moment], Any] | None,
) -> None:
    """Train, and write the model into `folder` and into the cache's `kept`, where there are such."""
    work = divide(data, plan)
    if progress:
        say_how_long([(data, plan)], device)
    here = folder or kept
    checkpoint = here / CHECKPOINT if here else None
    ours = folder is None  # the cache's own folder is named by its settings: always the same training
    learn = partial(
        fit,
        model,
        work.learned,
        recipe=plan.recipe,
        nsa=work.nsa,
        seed=plan.seed,
        device=device,
        checkpoint=checkpoint,
        resume=resume or ours,
        progress=progress,
        callback=callback,
    )
    try:
        history = learn()
    except Damaged:
        if not ours or checkpoint is None:
            raise
        checkpoint.unlink()  # nobody but us wrote it: start anew
        history = learn()
    scales = finish(model, work, plan)
    model.settings.history = _facts(history, data, plan, work.nsa, scales)
    _keep(model, folder, kept)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


def _room(model: MRKD) -> int:
    """Bytes of two checkpoints, an older and a newer one, and of the model: Adam keeps two numbers for each weight."""
    return sum(7 * p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)


def _can_keep(home: Path, room: int) -> bool:
    """Whether the cache can be written. If not, that is said, and one works without."""
    try:
        check_room(home, room)
    except NotWritten as error:
        cure = "Set the environment variable MRKD_EDU_CACHE to another folder."
        tell(f"Nothing is kept in the cache for the next time. {error} {cure}")
        return False
    return True


def _keep(model: MRKD, folder: Path | None, kept: Path | None) -> None:
    """Write a trained model into the cache and where it is asked for. What was trained is not lost to a full disk."""
    failed: list[tuple[Path, NotWritten]] = []
    for place in (kept, folder):  # the cache first: from there it can be had again
        if place is not None:
            try:
                model.save(place)
            except NotWritten as error:
                failed.append((place, error))
    if not failed:
        return
    place, why = failed[-1]
    if place == kept:
        if folder is not None:  # where it is asked for it is
            tell(f"Nothing is kept for the next time. {why}")
            return
        raise why
    if kept is not None and len(failed) == 1:
        raise NotWritten(f"{why} The trained model is kept: give the same command again.") from why
    rescue = Path(tempfile.mkdtemp(prefix="mrkd_edu_"))
    model.save(rescue)
    raise NotWritten(f"{why} The trained model is in {rescue}.") from why


def _home(data: AnomalyFolder, plan: Plan, device: torch.device) -> Path:
    """Where the cache keeps the model of a plan."""
    return cache_folder() / "runs" / run_key(data, plan, device)


def is_trained(data: AnomalyFolder, plan: Plan, device: torch.device) -> bool:
    """Whether the cache has the student of a plan, by whichever distance it was judged."""
    return any((kept / "model.json").exists() for _, kept in _homes(data, plan, device))


def _homes(data: AnomalyFolder, plan: Plan, device: torch.device) -> Iterator[tuple[Distance, Path]]:
    """Where the student of a plan may be, by the distance that it was judged by; the plan's own comes first."""
    for distance in sorted(DISTANCES, key=lambda name: name != plan.recipe.distance):
        yield distance, _home(data, replace(plan, recipe=replace(plan.recipe, distance=distance)), device)


def _cached(data: AnomalyFolder, plan: Plan, device: torch.device) -> MRKD | None:
    """The model of a plan from the cache. A student judged by another distance is judged anew, not trained anew."""
    for distance, kept in _homes(data, plan, device):
        if not (kept / "model.json").exists():
            continue
        try:
            model = MRKD.load(kept, str(device))
        except ModelError:  # damaged: train anew, and write over it
            continue
        facts = model.settings.history
        how = ""
        if distance != plan.recipe.distance:
            model.settings.distance = plan.recipe.distance
            facts["scales"] = finish(model, divide(data, plan), plan)
            facts["plan"] = _plain(plan)
            with suppress(NotWritten):  # it is judged anew the next time
                model.save(_home(data, plan, device))
            how = f", now judged by the {plan.recipe.distance} distance"
        tell(
            f"Reused run {_home(data, plan, device).name[:8]}: {plan.variant} on {data.name}, {facts['steps']} steps, "
            f"seed {plan.seed}, trained before in {facts['seconds']:.0f} s{how}."
        )
        return model
    return None


def stages(
    data: AnomalyFolder, plan: Plan, at: Sequence[int], *, device: str = "auto", progress: bool = True
) -> dict[int, MRKD]:
    """One long training, kept at several steps: the models that one would have who stopped there.

    The learning rate stays constant after its warm-up, so that a longer training continues a shorter one. Each stage
    is the same model as a `run` of that many steps, and is kept in the cache as that run.

    Args:
        data: its training images are used, its test images never.
        plan: the settings; the number of steps and the schedule are replaced.
        at: the steps; the last is the length of the training.
        device: `"auto"`, `"cpu"`, `"cuda"`.
        progress: show a bar.

    Returns:
        Step to trained model, with weights of the scales and threshold as if the training had ended there.
    """
    plans = {
        step: replace(plan, recipe=replace(plan.recipe, steps=step, epochs=None, schedule="constant"))
        for step in sorted(at)
    }
    kept = {step: _home(data, p, pick_device(device)) for step, p in plans.items()}
    if not all((folder / "model.json").exists() for folder in kept.values()):
        longest = plans[max(at)]
        model, work = build(longest), divide(data, plan)
        history = History(images=len(work.learned))

        def keep(moment: Moment) -> None:
            history.loss.append(moment.loss)
            if moment.step in plans:
                history.seconds, mine = moment.seconds, plans[moment.step]
                facts = _facts(history, data, mine, work.nsa, finish(model, work, mine))
                model.settings.history = facts
                model.save(kept[moment.step])

        fit(
            model,
            work.learned,
            recipe=longest.recipe,
            nsa=work.nsa,
            seed=plan.seed,
            device=device,
            progress=progress,
            callback=keep,
        )
    return {step: MRKD.load(folder, device) for step, folder in kept.items()}


@dataclass(frozen=True)
class Work:
    """What a run works with: the normal images to learn from, those held out, and the synthetic anomalies."""

    learned: ImageStack
    held_out: ImageStack
    nsa: NSA


def build(plan: Plan) -> MRKD:
    """The model of a plan, before its training."""
    return MRKD(
        plan.backbone,
        plan.variant,  # type: ignore[arg-type]  # a baseline is refused
        size=plan.size,
        precision=plan.precision,
        seed=plan.seed,
        **plan.recipe.architecture,
    )


def divide(data: AnomalyFolder, plan: Plan) -> Work:
    """Divide the normal images of a plan, and choose the settings of the synthetic anomalies."""
    images = data.train_images(plan.size)
    learned, held_out = split(len(images), plan.seed)
    usual = preset(data.name, images[learned[:16]])
    if plan.recipe.published_ilm:  # pasted as it was cut, within the same image
        usual = replace(usual, blend="swap", source="same", rescale=(1.0, 1.0))
    stack = [ImageStack([images.paths[i] for i in part], plan.size) for part in (learned, held_out)]
    return Work(stack[0], stack[1], plan.nsa or usual)


def finish(model: Restorer, work: Work, plan: Plan) -> dict[str, Any] | None:
    """After training, from normal images: what residuals are like, the weights of the scales, the threshold.

    Residuals are looked at on some of the training images and on all held-out ones. Weights (if the recipe asks) and
    threshold come from the held-out ones alone; both from the same ones, which therefore look a little calmer than
    new ones will: with 16 to 26 of them, a threshold for 5 % of false alarms gives about 6 % (simulated with
    independent scales).

    Returns:
        What `scales.choose_weights` found, or None.
    """
    held_out = work.held_out[:]  # (N, 3, S, S)
    model.learn_residuals(torch.cat([some_images(work.learned), held_out]))
    found = None
    if plan.recipe.weigh:
        found = choose_weights(model, held_out, work.nsa, np.random.default_rng([plan.seed, WEIGHTS]))
    model.calibrate(model.predict(work.held_out.paths).score)
    return found


def split(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the normal images to learn from, and of those held out for the threshold.

    One in ten is held out, but at least 16, for fewer say little of how scores spread, and at most one in four. A
    set of fewer than 12 images is too small to give any away: all are used for both, and the threshold will be on
    the low side.

    Example:
        >>> learned, held_out = split(200, seed=0)
        >>> len(learned), len(held_out), set(learned) & set(held_out)
        (180, 20, set())
        >>> [len(split(n, seed=0)[1]) for n in (12, 40, 100, 300)]
        [3, 10, 16, 30]
    """
    order = np.random.default_rng([seed, HOLD_OUT]).permutation(images)
    if images < 12:
        return order, order
    n = min(max(16, round(images * HELD_OUT)), images // 4)
    return order[n:], order[:n]


def run_key(data: AnomalyFolder, plan: Plan, device: torch.device, code: Sequence[str] = ()) -> str:
    """Name of a run: a hash of its settings, its training images, the code that trains, and what it trains on.

    `code` names further files that decide its result.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(_plain(plan), sort_keys=True).encode())
    digest.update(f"{data.name} {data.fingerprint('train')}".encode(errors="surrogateescape"))
    digest.update(f"{device.type} {number_format(device, plan.precision)} torch {torch.__version__}".encode())
    package = Path(mrkd_edu.__file__).parent
    files = [file for room in ROOMS for file in sorted((package / room).glob("*.py"))]
    for file in (*files, Path(__file__), *(package / name for name in code)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _facts(
    history: History, data: AnomalyFolder, plan: Plan, nsa: NSA, scales: dict[str, list[float]] | None
) -> dict[str, Any]:
    """What a model remembers of its training."""
    return {
        "steps": len(history.loss),
        "seconds": round(history.seconds, 2),
        "images": history.images,
        "loss": [round(value, 5) for value in history.loss],
        "plan": _plain(plan),
        "nsa": _plain(nsa),
        "scales": scales,
        "category": readable(data.name),
    }


def say_how_long(trainings: Sequence[tuple[AnomalyFolder, Plan]], device: str = "auto") -> None:
    """Say beforehand how long trainings will take here: one of each variant is timed for a few steps.

    Nothing is said of trainings of a few seconds.
    """
    steps, timed, seconds = 0, dict[str, float](), 0.0
    for data, plan in trainings:
        work = divide(data, plan)
        its_steps = plan.recipe.total_steps(len(work.learned))
        if its_steps < WORTH_A_WORD:
            continue
        if plan.variant not in timed:
            timed[plan.variant] = forecast(build(plan), work.learned, plan.recipe, work.nsa, device) / its_steps
        steps += its_steps
        seconds += timed[plan.variant] * its_steps
    if steps:
        what = f"{len(trainings)} trainings" if len(trainings) > 1 else f"{plan.variant} on {data.name}"
        tell(f"{what}: {steps} steps of {plan.recipe.batch} images, about {duration(seconds)} on this machine.")


def duration(seconds: float) -> str:
    """A time as one would say it.

    Example:
        >>> [duration(s) for s in (42, 100, 900, 9000, 200_000)]
        ['40 seconds', '1.7 minutes', '15 minutes', '2.5 hours', '56 hours']
    """
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * size:
            number = seconds / size
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{max(10, round(seconds, -1)):.0f} seconds"


def _plain(settings: Any) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(settings)))
