r"""Leakage: how much of a defect the student copies. The measure of overgeneralisation.

Take a normal image :math:`x` and the same image with a defect, :math:`x'`. With features normalised to unit length
at every position, :math:`d = T_k(x') - T_k(x)` is what the defect does to the teacher, and
:math:`s = S_k(x') - S_k(x)` is what of it reaches the student's output. Over the defect's positions,

.. math:: \text{leakage}_k = \frac{\sum \langle s, d \rangle}{\sum \langle d, d \rangle}

is 0 where the student restores the normal image and 1 where it copies the defect. AUROC cannot tell a student that
copies from a defect that is hard to see; leakage can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

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
    r"""Numerator :math:`\sum\langle s, d\rangle` and denominator :math:`\sum\langle d, d\rangle` of every scale.

    Args:
        normal, defective: (teacher maps, student maps) of the image without and with the defect, (B, C_k, h_k, w_k).
        mask: True where the defect is, (B, H, W).

    Returns:
        Tensor (2, K), to be added up over batches before the division.
    """
    sums = []
    for k in range(len(normal[0])):
        t, s, t_defect, s_defect = (F.normalize(f[k].float(), dim=1) for f in (*normal, *defective))
        d = t_defect - t  # (B, C, h, w)
        ds = s_defect - s  # (B, C, h, w)
        inside = mask_at_scale(mask, (t.shape[-2], t.shape[-1]))  # (B, h, w)
        sums.append(torch.stack([(ds * d).sum(1)[inside].sum(), (d * d).sum(1)[inside].sum()]))
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
        defect, above 1 it exaggerates it.

    Raises:
        LeakageUndefined: no pair, or defects that do not change the teacher's features at all.

    Example:
        >>> copycat = lambda x: ([x.float()], [x.float()])
        >>> x = torch.rand(1, 3, 8, 8)
        >>> mask = torch.ones(1, 8, 8, dtype=torch.bool)
        >>> [round(v, 3) for v in leakage(copycat, [(x, x.flip(1), mask)])]
        [1.0]
    """
    total: Tensor | None = None
    for normal, defective, mask in pairs:
        sums = leakage_sums(features(normal), features(defective), mask)
        total = sums if total is None else total + sums
    if total is None or (total[1] == 0).any():
        raise LeakageUndefined("Leakage needs at least one pair whose defect changes the teacher's features.")
    return (total[0] / total[1]).tolist()
