"""Training: `fit` turns normal images into a student.

What happens in a step is twenty lines: choose normal images and paste synthetic defects into them (ILM, `_Task.batch`);
let the student restore, and compare with the teacher's features of the *normal* images (`_Task.loss`). The rest makes
a training pleasant and safe: cached teacher features, progress, checkpoints, and a resume that continues bit for bit.

Randomness: step `i` of a training with seed `s` draws from a generator made of (s, i) alone. Nothing has to be
remembered to resume, and a longer training sees the same batches first as a shorter one.
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mrkd_edu.data.images import DataError, ImageStack, some_images
from mrkd_edu.distance import distillation_loss
from mrkd_edu.ilm import add_anomalies
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import DEFAULT, NSA
from mrkd_edu.recipe import RECIPES, Recipe
from mrkd_edu.runtime.checkpoint import Checkpoint, CtrlC, History, TrainingError, diverged
from mrkd_edu.runtime.hardware import number_format, pick_device

FEATURE_MEMORY = 2 * 2**30  # bytes that cached teacher features may take
BATCHES, ORDER = 0, 1  # the streams of random numbers that a training draws from


@dataclass(frozen=True)
class Moment:
    """What a callback of `fit` sees after every step."""

    step: int
    steps: int
    loss: float
    seconds: float  # of training until here, without what callbacks cost
    model: MRKD


def fit(
    model: MRKD,
    images: ImageStack | Tensor,
    *,
    recipe: Recipe = RECIPES["workshop"],
    nsa: NSA = DEFAULT,
    seed: int = 0,
    device: str = "auto",
    checkpoint: str | Path | None = None,
    every: int = 50,
    resume: bool = False,
    progress: bool = True,
    callback: Callable[[Moment], Any] | None = None,
) -> History:
    """Train the model's student on normal images.

    Args:
        model: trained in place; its variant says what is masked.
        images: normal images, (N, 3, size, size) uint8.
        recipe: steps, batch, learning rate and so on.
        nsa: settings of the synthetic anomalies, for the variants with ILM.
        seed: of the order of images, the synthetic anomalies and the feature masks.
        device: `"auto"`, `"cpu"`, `"cuda"`.
        checkpoint: file to save progress in, every `every` steps, on Ctrl-C and at the end.
        every: steps between checkpoints.
        resume: continue from `checkpoint` where it exists. On one machine's CPU the result is the same, bit for bit, as
            without the interruption; on a GPU, cuDNN may round the last digits differently in every run.
        progress: show a bar with loss and images per second.
        callback: called after every step; return `False` to stop early.

    Returns:
        The history. The model is left in evaluation mode.

    Raises:
        ValueError: images of the wrong shape or type, or a model that was built for another recipe.
        data.images.DataError: an image that cannot be read, after the checkpoint was saved.
        TrainingError: the loss or the weights are not finite, or the checkpoint is damaged or another training's.
        KeyboardInterrupt: Ctrl-C, after the step was finished and the checkpoint saved. A second Ctrl-C does not
            wait, and the checkpoint stays as it was.

    Example:
        >>> model = MRKD(variant="rd", size=64)
        >>> images = torch.randint(0, 255, (8, 3, 64, 64), dtype=torch.uint8)
        >>> history = fit(model, images, recipe=Recipe(steps=2, batch=4), progress=False)
        >>> len(history.loss), history.loss[1] < history.loss[0]
        (2, True)
    """
    size = model.settings.size
    if len(images) < 2:
        raise ValueError(f"Training needs at least 2 images; got {len(images)}. Add normal images.")
    if tuple(images.shape[1:]) != (3, size, size):
        raise ValueError(f"fit needs images of shape (N, 3, {size}, {size}); got {tuple(images.shape)}.")
    if isinstance(images, Tensor) and images.dtype != torch.uint8:
        raise ValueError(f"fit needs uint8 images, 0 to 255; got {images.dtype}.")
    _check_architecture(model, recipe)
    begin = time.perf_counter()
    model.to(pick_device(device))
    steps = recipe.total_steps(len(images))
    task = _Task(model, images, recipe, nsa, seed)
    optimiser = torch.optim.Adam(task.parameters, lr=recipe.lr, betas=recipe.betas, fused=True)
    fp16 = number_format(model.device, model.settings.precision) == torch.float16
    scaler = torch.amp.GradScaler(model.device.type, enabled=fp16)  # only fp16 needs its gradients scaled
    history = History(images=len(images))
    path = Path(checkpoint) if checkpoint else None
    saved = Checkpoint(path, task.identity, history, student=task.learner, optimiser=optimiser, scaler=scaler)
    if resume:
        saved.load()  # refuses another training's checkpoint before anything is changed
    task.look()
    history.seconds += time.perf_counter() - begin  # what the cached features cost belongs to the training

    bar = tqdm(total=steps, initial=len(history.loss), desc=model.settings.variant, unit="step", disable=not progress)
    ctrl_c = CtrlC()
    try:
        with ThreadPoolExecutor(1) as worker, bar, ctrl_c:
            upcoming = worker.submit(task.batch, len(history.loss))
            for step in range(len(history.loss), steps):
                start = time.perf_counter()
                batch = upcoming.result()
                model.train()  # in every step: a callback may have used the model to predict
                if step + 1 < steps:
                    upcoming = worker.submit(task.batch, step + 1)  # made while this one is learned from
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(recipe, step, steps)
                loss = task.loss(batch)
                value = loss.item()
                if not math.isfinite(value):
                    raise TrainingError(diverged(f"loss of step {step + 1} is {value}"))
                optimiser.zero_grad()
                scaler.scale(loss).backward()
                scaler.step(optimiser)
                scaler.update()
                history.loss.append(value)
                history.seconds += time.perf_counter() - start
                bar.update()
                if progress:
                    rate = recipe.batch / (time.perf_counter() - start)
                    bar.set_postfix(loss=f"{value:.3f}", images_per_s=f"{rate:.0f}", refresh=False)
                if (step + 1) % every == 0:
                    saved.save()
                ctrl_c.check()
                if callback is not None and callback(Moment(step + 1, steps, value, history.seconds, model)) is False:
                    break
    except (KeyboardInterrupt, DataError):
        if not ctrl_c.cut_short:
            saved.trouble = None  # it is said again: from here there is nothing to go on from
            saved.save()
        raise
    finally:
        model.eval()
    saved.save()
    return history


def forecast(
    model: MRKD, images: ImageStack | Tensor, recipe: Recipe, nsa: NSA = DEFAULT, device: str = "auto"
) -> float:
    """Seconds that `fit` will take here: a few steps of a throw-away copy, timed, times the number of steps.

    Args:
        model, images, recipe, nsa, device: as for `fit`; the model stays as it is.
    """
    ticks: list[float] = []
    fit(
        copy.deepcopy(model),
        some_images(images, 2 * recipe.batch),
        recipe=replace(recipe, steps=4, epochs=None),
        nsa=nsa,
        device=device,
        progress=False,
        callback=lambda moment: ticks.append(moment.seconds),
    )
    return float(np.diff(ticks)[1:].min()) * recipe.total_steps(len(images))


def _check_architecture(model: MRKD, recipe: Recipe) -> None:
    """Some settings belong to the model and to the recipe: refuse a model that was built for another recipe."""
    other = {
        name: (built, wanted)
        for name, wanted in recipe.architecture.items()
        if (built := getattr(model.settings, name)) != wanted
        and (model.masks_features or name not in ("drop", "residual"))
    }
    if other:
        differences = ", ".join(f"{name}={built} and not {wanted}" for name, (built, wanted) in other.items())
        raise ValueError(
            f"The model was built for another recipe, with {differences}. Build it with "
            "MRKD(..., **recipe.architecture)."
        )


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of a step: a linear warm-up, then constant or half a cosine down to zero.

    Example:
        >>> recipe = Recipe(lr=1.0, warmup=10, schedule="cosine")
        >>> [round(learning_rate(recipe, i, 110), 2) for i in (0, 9, 60, 109)]
        [0.1, 1.0, 0.5, 0.0]
    """
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    if recipe.schedule == "constant":
        return recipe.lr
    done = (step - recipe.warmup) / max(1, steps - recipe.warmup)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class _Batch:
    """Input of one step, ready before the step begins."""

    index: np.ndarray  # (B,) which training images
    normal: Tensor  # (B, 3, S, S) uint8
    seen: Tensor  # (B, 3, S, S) uint8: what the student's teacher sees; with ILM, with synthetic anomalies
    changed: bool  # whether ILM changed any image
    mask_generator: torch.Generator  # for FLM


class _Task:
    """Batches and loss of one training."""

    def __init__(self, model: MRKD, images: ImageStack | Tensor, recipe: Recipe, nsa: NSA, seed: int):
        self.model, self.images, self.recipe, self.nsa, self.seed = model, images, recipe, nsa, seed
        self.learner = nn.ModuleDict({name: m for name, m in model.named_children() if name != "teacher"})
        self.parameters = list(self.learner.parameters())
        self.features: list[Tensor] | None = None
        settings = replace(model.settings, weights=None, threshold=None, history={})
        if model.masks_images and not self.batch(0).changed:
            raise TrainingError(
                "ILM finds no place for a synthetic defect in any image of the first batch. Train rd or flm, which "
                f"need none; or, in Python, set the background of the NSA settings to that of these images: {nsa}"
            )
        self.identity = repr((settings, recipe, nsa, seed, len(images), _digest(images)))

    def look(self) -> None:
        """See all normal images once: standardise the teacher's channels, and keep its features."""
        self.model.learn_channels(self.images)
        self.features = cache_features(self.model, self.images)

    def batch(self, step: int) -> _Batch:
        """The batch of a step: a function of the seed and the step's number alone."""
        rng = np.random.default_rng([self.seed, BATCHES, step])
        index = self._order(step)
        normal = self.images[index]  # (B, 3, S, S)
        seen, changed = normal, False
        if self.model.masks_images:
            seen, where = add_anomalies(normal, self.nsa, rng)  # patches come from other images of the batch
            changed = bool(where.any())
        mask_generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        return _Batch(index, normal, seen, changed, mask_generator)

    def _order(self, step: int) -> np.ndarray:
        """Indices of a step. Every epoch is a fresh permutation; a batch may reach into the next epoch."""
        n, size = len(self.images), self.recipe.batch
        places = np.arange(step * size, (step + 1) * size)
        epochs = {e: np.random.default_rng([self.seed, ORDER, e]).permutation(n) for e in set((places // n).tolist())}
        return np.array([epochs[p // n][p % n] for p in places.tolist()])

    def loss(self, batch: _Batch) -> Tensor:
        """The distillation loss of one batch (the paper's figure 2, left to right)."""
        model = self.model
        with model.autocast():
            if self.features is not None:
                index = torch.from_numpy(batch.index).to(model.device)
                target = [f[index] for f in self.features]  # T_k of the normal images
            else:
                target = model.see(batch.normal)
            given = target if batch.seen is batch.normal else model.see(batch.seen)
            student = model.restore(given, batch.mask_generator)  # S_k
        return distillation_loss(target, student, self.recipe.loss)


def _digest(images: ImageStack | Tensor) -> str:
    """Hash of some of the images: enough to tell two training sets apart."""
    return hashlib.blake2b(some_images(images).cpu().numpy().tobytes(), digest_size=8).hexdigest()


@torch.no_grad()
def cache_features(model: MRKD, images: ImageStack | Tensor, batch: int = 16) -> list[Tensor] | None:
    """Teacher features of all normal images, computed once: the teacher is frozen, so they never change.

    Returns:
        One map (N, C_k, h_k, w_k) a scale, or None where they would not fit into `FEATURE_MEMORY`: then every step
        computes its own.
    """
    kept: list[Tensor] = []
    for start in range(0, len(images), batch):
        with model.autocast():
            features = model.see(images[start : start + batch])
        if not kept:
            per_image = sum(f[0].numel() * f.element_size() for f in features)
            if per_image * len(images) > FEATURE_MEMORY:
                return None
            shapes = [(len(images), *f.shape[1:]) for f in features]
            like: dict[str, Any] = {"device": model.device, "memory_format": torch.channels_last}
            kept = [torch.empty(s, dtype=f.dtype, **like) for s, f in zip(shapes, features, strict=True)]
        for whole, part in zip(kept, features, strict=True):
            whole[start : start + batch] = part
    return kept
