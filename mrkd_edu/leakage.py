r"""Leakage: how far a student goes from restoring a defect to copying it. The measure of overgeneralisation.

Take a normal image :math:`x` and the same image with a defect, :math:`x'`. All features are brought to unit length at
every position. A student that *restores* answers the defective image as it answers the normal one,
:math:`S_k(x') = S_k(x)`. A student that *copies* answers as the teacher does, :math:`S_k(x') = T_k(x')`. The way from
the one to the other is :math:`r = T_k(x') - S_k(x)`, the residual that makes the alarm; the student has gone
:math:`s = S_k(x') - S_k(x)`. Over the defect's positions,

.. math:: \text{leakage}_k = \frac{\sum \langle s, r \rangle}{\sum \langle r, r \rangle}

is the share of the way: 0 where the student restores, 1 where it copies, whatever else it does well or badly.
docs/leakage.md derives it, and says what an earlier definition had wrong. AUROC cannot tell a student that copies from
a defect that is hard to see; leakage can. But leakage alone is no merit: who ignores the image leaks nothing. Read it
beside `explained`, which says how well normal features are fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from mrkd_edu.distance import match_length, unit

FeaturePair = tuple[list[Tensor], list[Tensor]]


class LeakageUndefined(ValueError):
    """There is no pair, or no defect that the teacher can see: nothing that could leak."""


def mask_at_scale(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Bool mask (B, H, W) at a feature map's size: a position counts when the defect touches its cell.

    Example:
        >>> mask = torch.zeros(1, 8, 8, dtype=torch.bool)
        >>> mask[0, 0, 0] = True
        >>> mask_at_scale(mask, (2, 2)).tolist()
        [[[True, False], [False, False]]]
    """
    return F.adaptive_max_pool2d(mask[:, None].float(), size)[:, 0] > 0  # (B, h, w)


def leakage_sums(normal: FeaturePair, defective: FeaturePair, mask: Tensor) -> Tensor:
    r"""Numerator :math:`\sum\langle s, r\rangle` and denominator :math:`\sum\langle r, r\rangle` of every scale.

    Positions where the teacher sees no difference at all between the two images do not count.

    Args:
        normal, defective: (teacher maps, student maps) of the image without and with the defect, (B, C_k, h_k, w_k).
        mask: True where the defect is, (B, H, W).

    Returns:
        Tensor (2, K), to be added up over batches before the division.
    """
    sums = []
    for k in range(len(normal[0])):
        t, s, t_defect, s_defect = (unit(f[k]) for f in (*normal, *defective))
        way, gone = t_defect - s, s_defect - s  # r and s, (B, C, h, w)
        inside = mask_at_scale(mask.to(t.device), (t.shape[-2], t.shape[-1]))  # (B, h, w)
        inside &= (t_defect != t).any(1)
        sums.append(torch.stack([(gone * way).sum(1)[inside].sum(), (way * way).sum(1)[inside].sum()]))
    return torch.stack(sums, 1)  # (2, K)


def mean_leakage(normal: FeaturePair, defective: FeaturePair, mask: Tensor) -> float:
    """Leakage of a batch, mean over its scales; not a number where the defect changes nothing at some scale.

    Args:
        normal, defective, mask: as for `leakage_sums`.
    """
    copied, there = leakage_sums(normal, defective, mask)  # (K,) each
    return float((copied / there).mean()) if bool((there > 0).all()) else float("nan")


@torch.no_grad()
def leakage(
    features: Callable[[Tensor], FeaturePair], pairs: Iterable[tuple[Tensor, Tensor, Tensor]]
) -> list[float]:
    r"""Leakage of every scale, over pairs of images.

    Args:
        features: images (B, 3, H, W) to (teacher maps, student maps), for instance `model.features`.
        pairs: batches of (normal images, defective images, masks (B, H, W)).

    Returns:
        One number per scale: 0 restores, 1 copies. It can leave [0, 1]: below 0 the student moves away from the
        teacher's answer, above 1 beyond it.

    Raises:
        LeakageUndefined: no pair, or defects that do not change the teacher's features at all.

    Example:
        >>> copycat = lambda x: ([x.float()], [x.float()])
        >>> x = torch.rand(1, 3, 8, 8)
        >>> mask = torch.ones(1, 8, 8, dtype=torch.bool)
        >>> [round(v, 3) for v in leakage(copycat, [(x, x.flip(1), mask)])]
        [1.0]
    """
    return shares(leakage_sums(features(normal), features(defective), mask) for normal, defective, mask in pairs)


def shares(sums: Iterable[Tensor]) -> list[float]:
    """Leakage of every scale from what `leakage_sums` gives for each batch.

    Raises:
        LeakageUndefined: no batch, or defects that do not change the teacher's features at all.
    """
    total: Tensor | None = None
    for one in sums:
        total = one if total is None else total + one
    if total is None or (total[1] == 0).any():
        raise LeakageUndefined("Leakage needs at least one pair whose defect changes the teacher's features.")
    return (total[0] / total[1]).tolist()


def explained(teacher: list[Tensor], student: list[Tensor]) -> list[float]:
    r"""How well normal features are fitted: the share of their variance that the student explains, at every scale.

    :math:`1 - \sum \lVert T_k - a S_k \rVert^2 / \sum \lVert T_k \rVert^2`, with the :math:`a` of each image that
    fits best, for the student's length is free. It is the squared cosine that the loss raises.

    Args:
        teacher, student: maps of normal images, (B, C_k, h_k, w_k); variance is meant where they are standardised.

    Returns:
        One number a scale, 0 (nothing) to 1 (everything).

    Example:
        >>> t = torch.tensor([1.0, -1.0, 1.0, -1.0]).view(1, 1, 2, 2)
        >>> explained([t, t], [7 * t, torch.ones(1, 1, 2, 2)])
        [1.0, 0.0]
    """
    shares = []
    for t, s in zip(teacher, student, strict=True):
        rest = t.float() - match_length(t, s)  # (B, C, h, w)
        shares.append(float(1 - rest.square().sum() / t.float().square().sum()))
    return shares
