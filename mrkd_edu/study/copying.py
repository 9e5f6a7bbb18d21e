r"""What copying costs: the anomaly map as it is, and as it would be if the student had not copied.

Leakage (`leakage.py`) says how much of a defect the student copies. This file says what that does to the detector. It
needs pairs of a normal image :math:`x` and the same image with a defect, :math:`x'`, and a property of reverse
distillation: the student never sees an image, only the teacher's features. So one may hand it the features of the
normal twin, and hold its answer against the teacher's features of the defective image. That is the map of the same
student, had it restored the normal image:

- *copied*, the real map: :math:`T_k(x')` against :math:`S_k(x')`;
- *restored*, the map without copying: :math:`T_k(x')` against :math:`S_k(x)`.

Teacher, student and threshold are the same in both. What differs is what copying costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.distance import image_score, unit
from mrkd_edu.leakage import LeakageUndefined, leakage_sums, mask_at_scale
from mrkd_edu.metrics import image_auroc
from mrkd_edu.model import MRKD
from mrkd_edu.runtime.batches import in_batches
from mrkd_edu.study.evaluate import leakage_pairs


@dataclass(frozen=True)
class Pairs:
    """N normal images, the same images with a defect, and normal images beside them.

    Attributes:
        normal, defective: (N, 3, S, S) uint8.
        mask: (N, S, S) bool, where the defect is.
        kinds: of the defects, N names.
        good: (M, 3, S, S) uint8, the normal images of the test set.
    """

    normal: Tensor
    defective: Tensor
    mask: Tensor
    kinds: list[str]
    good: Tensor


def read_pairs(data: AnomalyFolder, size: int) -> Pairs:
    """The test set's twins, or synthetic defects in its normal images, see `evaluate.leakage_pairs`.

    Raises:
        leakage.LeakageUndefined: there are neither twins nor places for synthetic defects, or no normal test image.
    """
    good = np.flatnonzero(data.test_labels == 0)
    if not len(good):
        raise LeakageUndefined(f"{data.root} has no normal test images: nothing to compare defects with.")
    batches = list(leakage_pairs(data, size))
    normal, defective, mask = (torch.cat(parts) for parts in zip(*batches, strict=True))
    kinds = [s.kind for s in data.test if s.twin is not None] if data.has_twins else ["synthetic"] * len(normal)
    found = mask.flatten(1).any(1)  # on some images no synthetic patch finds a place
    if not found.any():
        raise LeakageUndefined("No synthetic defect found a place in the normal images.")
    kinds = [kind for kind, there in zip(kinds, found.tolist(), strict=True) if there]
    return Pairs(normal[found], defective[found], mask[found], kinds, data.test_images(size)[good])


@dataclass(frozen=True)
class Flow:
    r"""Where a defect goes at one scale, features brought to unit length. Each (N, h, w). See `leakage.py`.

    Attributes:
        defect: :math:`|d| = |T_k(x') - T_k(x)|`, what the defect does to the teacher.
        restored: :math:`|r| = |T_k(x') - S_k(x)|`, what the anomaly map would be made of, had the student restored
            the normal image.
        copied: :math:`\langle s, r\rangle / |r|`, how far the student goes along :math:`r`.
        seen: :math:`|r - s| = |T_k(x') - S_k(x')|`, what the anomaly map is made of.
        inside: bool, the defect's positions.
    """

    defect: np.ndarray
    restored: np.ndarray
    copied: np.ndarray
    seen: np.ndarray
    inside: np.ndarray


@dataclass(frozen=True)
class Answers:
    """What a model makes of N pairs: the features of both images of each, K maps (N, C_k, h_k, w_k).

    Attributes:
        model: the model.
        normal, defective: (teacher maps, student maps) of the image without and with the defect.
        mask: (N, S, S) bool.
    """

    model: MRKD
    normal: tuple[list[Tensor], list[Tensor]]
    defective: tuple[list[Tensor], list[Tensor]]
    mask: Tensor

    def leakage(self) -> np.ndarray:
        """Of every pair alone at every scale: (N, K)."""
        rows = []
        for i in range(len(self.mask)):
            one = [tuple([m[i : i + 1] for m in maps] for maps in side) for side in (self.normal, self.defective)]
            top, bottom = leakage_sums(one[0], one[1], self.mask[i : i + 1])  # type: ignore[arg-type]  # (K,), (K,)
            rows.append((top / bottom).numpy())
        return np.stack(rows)

    def flow(self, k: int) -> Flow:
        """Where the defects go at scale `k`, counted from 0."""
        t, s, t_defect, s_defect = (unit(maps[k]) for maps in (*self.normal, *self.defective))
        way, gone = t_defect - s, s_defect - s  # r and s, (N, C, h, w)
        restored = way.norm(dim=1)  # (N, h, w)
        along = (gone * way).sum(1) / restored.clamp_min(1e-6)
        defect, seen = (t_defect - t).norm(dim=1), (way - gone).norm(dim=1)
        inside = mask_at_scale(self.mask, (t.shape[-2], t.shape[-1]))
        return Flow(*(x.numpy() for x in (defect, restored, along, seen, inside)))

    def distances(self, k: int) -> dict[str, np.ndarray]:
        """The model's distance of teacher and student, position by position, at scale `k`.

        Returns:
            `"normal"`: all positions of the normal images; `"copied"`: the defects' positions; `"restored"`: these
            once more, had the student restored the normal image.
        """
        (t, s), (t_defect, s_defect) = self.normal, self.defective
        inside = mask_at_scale(self.mask, (t[k].shape[-2], t[k].shape[-1]))  # (N, h, w)
        normal, copied, restored = (
            self.model.distances(*sides)[k].cpu() for sides in ((t, s), (t_defect, s_defect), (t_defect, s))
        )
        found = {"normal": normal.flatten(), "copied": copied[inside], "restored": restored[inside]}
        return {name: values.numpy() for name, values in found.items()}

    @cached_property
    def maps(self) -> dict[str, np.ndarray]:
        """Anomaly maps (N, S, S): of the `"normal"` images, and of the defective ones `"copied"` and `"restored"`."""
        (t, s), (t_defect, s_defect) = self.normal, self.defective
        sides = {"normal": (t, s), "copied": (t_defect, s_defect), "restored": (t_defect, s)}
        return {name: self.model.compare(*side).cpu().numpy() for name, side in sides.items()}


def answers(model: MRKD, pairs: Pairs) -> Answers:
    """Send both images of each pair through teacher and student."""
    return Answers(model, _features(model, pairs.normal), _features(model, pairs.defective), pairs.mask)


@dataclass(frozen=True)
class Cost:
    """What copying costs a model.

    Attributes:
        steps: of its training.
        loss: mean of its last 20 steps.
        leakage: of every scale.
        good: (M,) image scores of the good test images.
        copied: (N,) image scores of the pairs' defective images.
        restored: (N,) the same, had the student restored the normal images.
        lost: share of the defects' alarm that copying takes away. Alarm is what a defect adds to the map inside its
            mask: restored map less the twin's is the whole, copied map less the twin's is what is left.
    """

    steps: int
    loss: float
    leakage: list[float]
    good: np.ndarray
    copied: np.ndarray
    restored: np.ndarray
    lost: float

    @property
    def auroc(self) -> float:
        """Image AUROC, good test images against the pairs' defective images."""
        return auroc_of(self.good, self.copied)

    @property
    def auroc_restored(self) -> float:
        """The same, had the student restored the normal images."""
        return auroc_of(self.good, self.restored)


def copying_cost(seen: Answers, pairs: Pairs) -> Cost:
    """Measure leakage, and what it does to the anomaly maps.

    Args:
        seen: what a trained model makes of the pairs.
        pairs: see `read_pairs`.

    Raises:
        leakage.LeakageUndefined: the defects do not change the teacher's features.
    """
    top, bottom = leakage_sums(seen.normal, seen.defective, seen.mask)  # (K,), (K,)
    if (bottom == 0).any():
        raise LeakageUndefined("The defects do not change the teacher's features.")
    model, maps, inside = seen.model, seen.maps, pairs.mask.numpy()
    whole, left = ((maps[name] - maps["normal"])[inside].sum() for name in ("restored", "copied"))
    losses = model.settings.history["loss"]
    return Cost(
        steps=len(losses),
        loss=float(np.mean(losses[-20:])),
        leakage=(top / bottom).tolist(),
        good=image_score(model.compare(*_features(model, pairs.good))).cpu().numpy(),
        copied=maps["copied"].max(axis=(1, 2)),
        restored=maps["restored"].max(axis=(1, 2)),
        lost=float(1 - left / whole),
    )


def auroc_of(normal: np.ndarray, defective: np.ndarray) -> float:
    """AUROC of two groups of scores, or of distances.

    Example:
        >>> auroc_of(np.array([0.1, 0.2]), np.array([0.15, 0.3]))
        0.75
    """
    return image_auroc(np.r_[normal, defective], np.repeat([0, 1], [len(normal), len(defective)]))


@torch.no_grad()
def _features(model: MRKD, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """(teacher maps, student maps) of many images, on the CPU."""
    model.eval()
    parts = [model.features(part) for part in in_batches(images)]
    teacher, student = (
        [torch.cat(maps).float().cpu() for maps in zip(*side, strict=True)] for side in zip(*parts, strict=True)
    )
    return teacher, student
