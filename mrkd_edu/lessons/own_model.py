"""What `my_mrkd.py` is given, beside the parts that a learner wrote: places for patches, and the slabs to run on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.ilm import GAMMA_SCALE, GAMMA_SHAPE, MIN_SIDE, SMALLEST_HALF, Box
from mrkd_edu.leakage import mask_at_scale
from mrkd_edu.lessons.course import SIZE, STEPS
from mrkd_edu.nsa.settings import NSA
from mrkd_edu.runtime.batches import in_batches
from mrkd_edu.study.copying import Pairs, read_pairs
from mrkd_edu.study.prepare import split
from mrkd_edu.toy import cached_toy


def draw_boxes(side: int, rng: np.random.Generator, largest: float = 0.4) -> tuple[Box, Box]:
    r"""A place to cut from and a place to put it, of one shape up to a factor, see lesson 05.

    Half height and half width are :math:`0.03 + \text{Gamma}(2, 0.05)` of the side, at most `largest`; the patch is
    then rescaled by 0.7 to 1.3.

    Args:
        side: of the square images, pixels.
        rng: draws sizes and places.
        largest: half height and half width, as a share of the side.

    Example:
        >>> cut, put = draw_boxes(64, np.random.default_rng(0))
        >>> 3 <= cut.height <= 64 and put.top + put.height <= 64
        True
    """
    halves = np.minimum(SMALLEST_HALF + rng.gamma(GAMMA_SHAPE, GAMMA_SCALE, size=2), largest)
    cut = np.maximum(np.round(2 * side * halves).astype(int), MIN_SIDE)  # height and width, pixels
    put = np.clip(np.round(rng.uniform(*NSA.rescale) * cut).astype(int), MIN_SIDE, side)
    places = [int(rng.integers(side - length + 1)) for length in (*cut, *put)]
    return Box(*places[:2], *cut.tolist()), Box(*places[2:], *put.tolist())


def train_and_measure(
    make: Callable[..., Any],
    leakage: Callable[..., float],
    auroc: Callable[..., float],
    data: AnomalyFolder,
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> dict[str, Any]:
    """Train a learner's model on the normal images of a category, and measure it on its test images.

    Args:
        make: `MyMRKD` of `my_mrkd.py`.
        leakage: of one scale, as lesson 04 has it written.
        auroc: of scores and labels, as lesson 08 has it written.
        data: with twins, or normal test images that synthetic defects can be pasted into.
        steps: of the training.
        seed: of weights, order, patches and masks.

    Returns:
        `model`, `losses`, `seconds` of the training, `image_auroc` and `leakage` (mean over the scales).
    """
    learned, _ = split(len(data.train), seed)
    model = make(torch.as_tensor(data.train_images(SIZE)[learned]), seed)
    begin = time.perf_counter()
    losses = model.fit(steps, progress=lambda numbers: tqdm(numbers, "my_mrkd", leave=False))
    seconds = time.perf_counter() - begin
    tests = data.test_images(SIZE)
    scores = np.concatenate([model(part).amax((1, 2)).numpy() for part in in_batches(tests)])
    return {
        "model": model,
        "losses": losses,
        "seconds": seconds,
        "image_auroc": float(auroc(scores, data.test_labels)),
        "leakage": mean_leakage_of(model, leakage, read_pairs(data, SIZE)),
    }


@torch.no_grad()
def mean_leakage_of(model: Any, leakage: Callable[..., float], pairs: Pairs) -> float:
    """Leakage of a learner's model over all pairs, mean over its scales.

    Args:
        model: with `see` and `restore`.
        leakage: of one scale: teacher's map of the defective image, student's map of the normal and of the defective
            one, (B, C, h, w), and where the defect is, bool (B, h, w).
        pairs: see `read_pairs`.
    """
    T, T_defect = model.see(pairs.normal), model.see(pairs.defective)
    S, S_defect = model.restore(T), model.restore(T_defect)
    shares = []
    for k, t in enumerate(T_defect):
        inside = mask_at_scale(pairs.mask, (t.shape[-2], t.shape[-1]))  # (N, h, w)
        shares.append(float(leakage(t, S[k], S_defect[k], inside)))
    return float(np.mean(shares))


def main(
    make: Callable[..., Any],
    leakage: Callable[..., float],
    auroc: Callable[..., float],
    threshold: Callable[..., float],
) -> None:
    """Train on the slabs of the toy factory, and say what is found and what is copied: `python my_mrkd.py`."""
    data = AnomalyFolder(cached_toy("surface"))
    found = train_and_measure(make, leakage, auroc, data)
    model = found["model"]
    _, held_out = split(len(data.train), 0)
    calm = model(torch.as_tensor(data.train_images(SIZE)[held_out])).amax((1, 2)).numpy()
    losses = found["losses"]
    print(f"trained {STEPS} steps in {found['seconds']:.0f} s, loss {losses[0]:.2f} to {losses[-1]:.2f}")
    print(f"image AUROC {found['image_auroc']:.3f}, leakage {100 * found['leakage']:.1f} %")
    print(f"threshold at 5 % false alarms: {threshold(calm, 0.05):.3f}")
