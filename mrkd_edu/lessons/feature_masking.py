"""Numbers of lesson 06: what hidden positions could be guessed from, and scores with masks left on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mrkd_edu.distance import cosine_distance, image_score
from mrkd_edu.model import MRKD
from mrkd_edu.runtime.batches import BATCH, in_batches
from mrkd_edu.study.evaluate import Evaluation


def neighbour_mean(features: Tensor, mask: Tensor, reach: int = 2) -> Tensor:
    """Fill hidden positions with the mean of the visible ones around them.

    Args:
        features: (B, C, h, w).
        mask: (B, 1, h, w), 0 where hidden.
        reach: how many positions away a neighbour may be; 2 is what two 3x3 convolutions see.

    Returns:
        (B, C, h, w); visible positions as they were, and zeros where no neighbour is visible.

    Example:
        >>> features = torch.tensor([[[[2.0, 7.0, 4.0]]]])
        >>> neighbour_mean(features, torch.tensor([[[[1.0, 0.0, 1.0]]]])).flatten().tolist()
        [2.0, 3.0, 4.0]
    """
    side = 2 * reach + 1
    total = F.avg_pool2d(features * mask, side, stride=1, padding=reach)  # (B, C, h, w)
    seen = F.avg_pool2d(mask, side, stride=1, padding=reach)  # (B, 1, h, w)
    mean = torch.where(seen > 0, total / seen.clamp_min(1e-12), torch.zeros_like(total))
    return torch.where(mask > 0, features, mean)


def hidden_error(teacher: Tensor, restored: Tensor, mask: Tensor) -> float:
    """Mean cosine distance from the teacher over the hidden positions; a zero vector has distance 1.

    Args:
        teacher, restored: (B, C, h, w).
        mask: (B, 1, h, w), 0 where hidden.

    Raises:
        ValueError: nothing is hidden.

    Example:
        >>> teacher = torch.ones(1, 4, 2, 2)
        >>> hidden_error(teacher, torch.zeros_like(teacher), torch.zeros(1, 1, 2, 2))
        1.0
    """
    hidden = mask[:, 0] == 0  # (B, h, w)
    if not hidden.any():
        raise ValueError("the mask hides nothing: there is no position to measure at")
    return float(cosine_distance(teacher, restored)[hidden].mean())


def varying_share(maps: Sequence[Tensor]) -> float:
    """How much of the features differs from image to image: 0 is a template that ignores the image.

    It is the size of the deviation from the mean over the images, as a share of the size of the features, averaged over
    the scales.

    Args:
        maps: of one network, one a scale, (B, C_k, h_k, w_k), of at least 2 images.

    Example:
        >>> varying_share([torch.ones(3, 4, 2, 2)])
        0.0
    """
    shares = [(m - m.mean(0, keepdim=True)).norm() / m.norm() for m in (m.float() for m in maps)]
    return float(torch.stack(shares).mean())


@torch.no_grad()
def scores_with_masks(
    model: MRKD, images: Tensor, generators: Sequence[torch.Generator | None], batch: int = BATCH
) -> np.ndarray:
    """Image scores with the feature masks on, as the published code tests, and off.

    Args:
        model: with feature masking, trained.
        images: uint8 (N, 3, S, S).
        generators: one a repetition: it draws the masks. None: masks off.
        batch: how many images go through at a time.

    Returns:
        (repetitions, N)

    Raises:
        ValueError: the model has no feature masking.
    """
    if model.flm is None:
        raise ValueError(f"{model.settings.variant} has no feature masking: there are no masks to leave on")
    scores = []
    for part in in_batches(images, batch):
        teacher = model.see(part)
        with model.autocast():
            student = model.student(teacher)  # S_k before the masks
        rows = []
        for generator in generators:
            model.flm.train(generator is not None)  # only the masks depend on it: there is no BatchNorm in it
            with model.autocast():
                restored = model.flm(student, generator)
            model.flm.eval()
            rows.append(image_score(model.compare(teacher, restored)).cpu())
        scores.append(torch.stack(rows))
    return torch.cat(scores, 1).numpy()


def known(evaluations: Sequence[Evaluation], metric: str) -> list[float]:
    values = [e.metrics[metric] for e in evaluations]
    known = [v for v in values if v is not None]
    if not known or len(known) < len(values):
        raise ValueError(f"an evaluation has no {metric}: it needs normal and defective test images")
    return known


def score_spread(scores: np.ndarray) -> float:
    """Mean over the images of deviation / mean of repeated scores (R, N).

    Example:
        >>> score_spread(np.array([[1.0, 2.0], [1.0, 2.0]]))
        0.0
    """
    return float((scores.std(0, ddof=1) / scores.mean(0)).mean())
