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
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

import mrkd_edu
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.model import MRKD
from mrkd_edu.recipe import DISTANCES, Distance
from mrkd_edu.runtime.cache import cache_folder
from mrkd_edu.runtime.checkpoint import OF_ANOTHER_VERSION, Damaged, TrainingError
from mrkd_edu.runtime.hardware import number_format, pick_device
from mrkd_edu.runtime.manifest import ModelError
from mrkd_edu.runtime.names import tell
from mrkd_edu.runtime.writing import NotWritten, alone, check_room
from mrkd_edu.study.prepare import Plan, build, conclude, divide, finish, plain
from mrkd_edu.train import Moment, fit, forecast

WORTH_A_WORD = 100  # steps; of a longer training it is said beforehand how long it will take
CHECKPOINT, LOCK = "checkpoint.safetensors", ".lock"  # in the folder of a run
OLDER = "checkpoint.pt"  # how checkpoints were called that are pickles
ROOMS = (".", "backbones", "data", "judging", "nsa", "runtime")  # folders whose code decides what a training gives
STEPS_OF_A_RUN = ("study/prepare.py", "study/run.py")


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
    homes = list(_homes(data, plan, where)) if cache else []  # each is a hash of all training images
    home = homes[0][1] if homes else None
    folder = Path(out) if out is not None else None
    trained = _cached(homes, data, plan, where) if homes else None  # whole, or refused: many may read beside a writer
    with ExitStack() as alone_there:
        if home and trained is None:
            waits = partial(tell, f"Another process trains {plan.variant} on {data.name} just now: waiting for it.")
            alone_there.enter_context(alone(home / LOCK, "", waits))
            trained = _cached(homes, data, plan, where)  # it may be there by now
        model = trained or build(plan)
        if folder is not None:
            other = f"Another training is writing into {folder}: wait for it, or choose another folder (--out)."
            alone_there.enter_context(alone(folder / LOCK, other))
            if (folder / OLDER).exists():
                raise TrainingError(f"{folder / OLDER} {OF_ANOTHER_VERSION}")
            check_room(folder, _room(model))
        if trained is None:
            kept = home if home and can_keep(home, model) else None
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
    parts = divide(data, plan)
    if progress:
        say_how_long([(data, plan)], device)
    here = folder or kept
    checkpoint = here / CHECKPOINT if here else None
    ours = folder is None  # the cache's own folder is named by its settings: always the same training
    learn = partial(
        fit,
        model,
        parts.learned,
        recipe=plan.recipe,
        nsa=parts.nsa,
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
    conclude(model, history, data, plan, parts)
    _keep(model, folder, kept)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


def _room(model: MRKD) -> int:
    """Bytes of two checkpoints, an older and a newer one, and of the model: Adam keeps two numbers for each weight."""
    return sum(7 * p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)


def can_keep(home: Path, model: MRKD) -> bool:
    """Whether the cache can be written, with a model's checkpoints. If not, that is said, and one works without."""
    try:
        check_room(home, _room(model))
    except NotWritten as error:
        cure = "Set the environment variable MRKD_EDU_CACHE to another folder."
        tell(f"Nothing is kept in the cache for the next time. {error} {cure}")
        return False
    return True


def keep_if_possible(home: Path, model: MRKD) -> None:
    """Write a trained model into the cache. A cache that cannot be written costs time the next time, no model now."""
    try:
        model.save(home)
    except NotWritten as error:
        tell(f"Nothing is kept for the next time. {error}")


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


def home_of(data: AnomalyFolder, plan: Plan, device: torch.device) -> Path:
    """Where the cache keeps the model of a plan."""
    return cache_folder() / "runs" / run_key(data, plan, device)


def is_trained(data: AnomalyFolder, plan: Plan, device: torch.device) -> bool:
    """Whether the cache has the student of a plan, by whichever distance it was judged."""
    return any((kept / "model.json").exists() for _, kept in _homes(data, plan, device))


def _homes(data: AnomalyFolder, plan: Plan, device: torch.device) -> Iterator[tuple[Distance, Path]]:
    """Where the student of a plan may be, by the distance that it was judged by; the plan's own comes first."""
    for distance in sorted(DISTANCES, key=lambda name: name != plan.recipe.distance):
        yield distance, home_of(data, replace(plan, recipe=replace(plan.recipe, distance=distance)), device)


def _cached(
    homes: Sequence[tuple[Distance, Path]], data: AnomalyFolder, plan: Plan, device: torch.device
) -> MRKD | None:
    """The model of a plan from the cache. A student judged by another distance is judged anew, not trained anew."""
    home = homes[0][1]
    for distance, kept in homes:
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
            facts["plan"] = plain(plan)
            with suppress(NotWritten):  # it is judged anew the next time
                model.save(home)
            how = f", now judged by the {plan.recipe.distance} distance"
        tell(
            f"Reused run {home.name[:8]}: {plan.variant} on {data.name}, "
            f"{facts['steps']} steps, seed {plan.seed}, trained before in {facts['seconds']:.0f} s{how}."
        )
        return model
    return None


def run_key(data: AnomalyFolder, plan: Plan, device: torch.device, code: Sequence[str] = ()) -> str:
    """Name of a run: a hash of its settings, its training images, the code that trains, and what it trains on.

    `code` names further files that decide its result.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(plain(plan), sort_keys=True).encode())
    digest.update(f"{data.name} {data.fingerprint('train')}".encode(errors="surrogateescape"))
    digest.update(f"{device.type} {number_format(device, plan.precision)} torch {torch.__version__}".encode())
    for file in _code(code):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def trained_by() -> str:
    """A hash of the code that trains: models of another one are not taken for this one's."""
    return hashlib.blake2b(b"".join(file.read_bytes() for file in _code()), digest_size=16).hexdigest()


def _code(more: Sequence[str] = ()) -> list[Path]:
    """The files that decide what a training gives."""
    package = Path(mrkd_edu.__file__).parent
    files = [file for room in ROOMS for file in sorted((package / room).glob("*.py"))]
    return [*files, *(package / name for name in (*STEPS_OF_A_RUN, *more))]


def say_how_long(trainings: Sequence[tuple[AnomalyFolder, Plan]], device: str = "auto") -> None:
    """Say beforehand how long trainings will take here: one of each variant is timed for a few steps.

    Nothing is said of trainings of a few seconds.
    """
    steps, timed, seconds = 0, dict[str, float](), 0.0
    for data, plan in trainings:
        parts = divide(data, plan)
        its_steps = plan.recipe.total_steps(len(parts.learned))
        if its_steps < WORTH_A_WORD:
            continue
        if plan.variant not in timed:
            timed[plan.variant] = forecast(build(plan), parts.learned, plan.recipe, parts.nsa, device) / its_steps
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
