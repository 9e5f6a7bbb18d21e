"""Training: `fit` turns normal images into a student, step by step as in the paper's figure 2.

The figure is `training_loss`. The rest makes a training quick and safe: teacher features of normal images are computed
once, and what a loop needs beside its steps comes from `runtime/`: batches made ahead, a bar, checkpoints, a Ctrl-C
that loses nothing.

Randomness: step `i` of a training with seed `s` draws from a generator made of (s, i) alone. Nothing has to be
remembered to resume, and a longer training sees the same batches first as a shorter one.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mrkd_edu.data.images import DataError
from mrkd_edu.data.stack import ImageStack, some_images
from mrkd_edu.distance import LossForm, distillation_loss
from mrkd_edu.ilm import add_anomalies
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import DEFAULT, NSA
from mrkd_edu.recipe import RECIPES, Recipe
from mrkd_edu.runtime.batches import BATCH, in_batches
from mrkd_edu.runtime.checkpoint import Checkpoint, CtrlC, History, TrainingError
from mrkd_edu.runtime.hardware import number_format, pick_device
from mrkd_edu.runtime.loop import Bar, Optimiser, Stopwatch, made_ahead

FEATURE_MEMORY = 2 * 2**30  # bytes that cached teacher features may take
BATCHES, ORDER = 0, 1  # the streams of random numbers that a training draws from


def training_loss(
    model: MRKD,
    normal: Tensor,
    anomalous: Tensor | None,
    generator: torch.Generator,
    *,
    target: list[Tensor] | None = None,
    form: LossForm = "flattened",
) -> Tensor:
    r"""The loss of one step: the paper's figure 2, from left to right.

    Args:
        model: its student is in training mode.
        normal: images :math:`I`, (B, 3, S, S).
        anomalous: the same with synthetic anomalies pasted (ILM), :math:`I'`; None for variants without ILM.
        generator: draws the masks of FLM.
        target: :math:`T_k(I)`, where they are known already.
        form: see `distance.distillation_loss`.

    Returns:
        A scalar with a gradient for student and FLM. The teacher has none.
    """
    T = target or model.see(normal)  # K maps (B, C_k, h_k, w_k): what the student shall answer
    given = T if anomalous is None else model.see(anomalous)  # what it is shown
    with model.autocast():
        S = model.student(given)  # K maps of the same shapes: what it answers
        if model.flm is not None:
            S = model.flm(S, generator)  # random positions hidden, and restored
    return distillation_loss(T, S, form)


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
        >>> drawn = torch.Generator().manual_seed(0)
        >>> images = torch.randint(0, 255, (8, 3, 64, 64), dtype=torch.uint8, generator=drawn)
        >>> history = fit(model, images, recipe=Recipe(steps=2, batch=8), progress=False)
        >>> len(history.loss), history.loss[1] < history.loss[0]
        (2, True)
    """
    watch = Stopwatch()
    _check(model, images, recipe)
    model.to(pick_device(device))
    steps, history = recipe.total_steps(len(images)), History(images=len(images))
    batches = Batches(model, images, recipe, nsa, seed)
    learner = nn.ModuleDict({name: m for name, m in model.named_children() if name != "teacher"})
    half = number_format(model.device, model.settings.precision) == torch.float16
    optimiser = Optimiser(learner, recipe.betas, half)
    file = Path(checkpoint) if checkpoint else None
    saved = Checkpoint(file, batches.identity(), history, learner, optimiser.adam, optimiser.scaler)
    if resume:
        saved.load()  # refuses another training's checkpoint before anything is changed
    model.learn_channels(images)
    known = cache_features(model, images)
    history.seconds += watch.lap()  # what the cached features cost belongs to the training

    todo = range(len(history.loss), steps)
    bar = Bar(total=steps, initial=todo.start, desc=model.settings.variant, unit="step", disable=not progress)
    try:
        with bar, CtrlC() as ctrl_c, saved.on(KeyboardInterrupt, DataError), made_ahead(batches.make, todo) as upcoming:
            for step, batch in upcoming:
                model.train()  # in every step: a callback may have used the model to predict
                target = None if known is None else [T[batch.index.to(T.device)] for T in known]
                loss = training_loss(
                    model, batch.normal, batch.anomalous, batch.generator, target=target, form=recipe.loss
                )
                value = optimiser.step(loss, learning_rate(recipe, step, steps), step + 1)
                seconds = watch.lap()
                history.loss.append(value)
                history.seconds += seconds
                bar.show(value, recipe.batch, seconds)
                if (step + 1) % every == 0:
                    saved.save()
                ctrl_c.check()
                if callback is not None and callback(Moment(step + 1, steps, value, history.seconds, model)) is False:
                    break
                watch.restart()
    finally:
        model.eval()
    saved.save()
    return history


@dataclass(frozen=True)
class Batch:
    """What one step needs, made before it begins.

    Attributes:
        index: which training images, (B,).
        normal: (B, 3, S, S) uint8.
        anomalous: the same with synthetic anomalies, or None where the variant has no ILM.
        generator: draws the masks of FLM.
    """

    index: Tensor
    normal: Tensor
    anomalous: Tensor | None
    generator: torch.Generator


class Batches:
    """The batches of a training. Each is a function of the seed and the step's number alone."""

    def __init__(self, model: MRKD, images: ImageStack | Tensor, recipe: Recipe, nsa: NSA, seed: int):
        self.model, self.images, self.recipe, self.nsa, self.seed = model, images, recipe, nsa, seed
        if model.masks_images:
            first = self.make(0)
            if first.anomalous is not None and torch.equal(first.anomalous, first.normal):
                raise TrainingError(
                    "ILM finds no place for a synthetic defect in any image of the first batch. Train rd or flm, which "
                    f"need none; or, in Python, set the background of the NSA settings to that of these images: {nsa}"
                )

    def make(self, step: int) -> Batch:
        """The batch of a step: normal images, and with ILM the same with synthetic anomalies pasted."""
        rng = np.random.default_rng([self.seed, BATCHES, step])
        index = self._order(step)
        normal, anomalous = self.images[index], None  # (B, 3, S, S)
        if self.model.masks_images:
            anomalous, _ = add_anomalies(normal, self.nsa, rng)  # patches come from other images of the batch
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        return Batch(torch.from_numpy(index), normal, anomalous, generator)

    def _order(self, step: int) -> np.ndarray:
        """Indices of a step. Every epoch is a fresh permutation; a batch may reach into the next epoch."""
        n, size = len(self.images), self.recipe.batch
        places = np.arange(step * size, (step + 1) * size)
        epochs = {e: np.random.default_rng([self.seed, ORDER, e]).permutation(n) for e in set((places // n).tolist())}
        return np.array([epochs[p // n][p % n] for p in places.tolist()])

    def identity(self) -> str:
        """What tells this training from another: its settings, and a hash of some of its images."""
        settings = replace(self.model.settings, weights=None, threshold=None, history={})
        looks = hashlib.blake2b(some_images(self.images).cpu().numpy().tobytes(), digest_size=8).hexdigest()
        return repr((settings, self.recipe, self.nsa, self.seed, len(self.images), looks))


@torch.no_grad()
def cache_features(model: MRKD, images: ImageStack | Tensor, batch: int = BATCH) -> list[Tensor] | None:
    """Teacher features of all normal images, computed once: the teacher is frozen, so they never change.

    Returns:
        One map (N, C_k, h_k, w_k) a scale, or None where they would not fit into `FEATURE_MEMORY`: then every step
        computes its own.
    """
    kept: list[Tensor] = []
    done = 0
    for part in in_batches(images, batch):
        T = model.see(part)
        if not kept:
            per_image = sum(t[0].numel() * t.element_size() for t in T)
            if per_image * len(images) > FEATURE_MEMORY:
                return None
            like: dict[str, Any] = {"device": model.device, "memory_format": torch.channels_last}
            kept = [torch.empty((len(images), *t.shape[1:]), dtype=t.dtype, **like) for t in T]
        for whole, t in zip(kept, T, strict=True):
            whole[done : done + len(t)] = t
        done += len(part)
    return kept


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


def _check(model: MRKD, images: ImageStack | Tensor, recipe: Recipe) -> None:
    """Refuse what cannot be learned from, and a model that was built for another recipe."""
    size = model.settings.size
    if len(images) < 2:
        raise ValueError(f"Training needs at least 2 images; got {len(images)}. Add normal images.")
    if tuple(images.shape[1:]) != (3, size, size):
        raise ValueError(f"fit needs images of shape (N, 3, {size}, {size}); got {tuple(images.shape)}.")
    if isinstance(images, Tensor) and images.dtype != torch.uint8:
        raise ValueError(f"fit needs uint8 images, 0 to 255; got {images.dtype}.")
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
