"""What a training is looked at with: images to show, normal ones that set the colours, and pairs for leakage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import as_batch
from mrkd_edu.ilm import add_anomalies
from mrkd_edu.leakage import mean_leakage
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import preset
from mrkd_edu.study.run import Plan
from mrkd_edu.widgets.frame.pictures import Pictures, read_pictures
from mrkd_edu.widgets.theatre.training_picture import TrainingState

SHOWN, NORMAL, PAIRS = 3, 4, 4  # images that are shown; normal ones that set the colours; pairs for leakage


@dataclass
class Exhibits:
    """What every look looks at, through the teacher only once: the teacher is frozen.

    Attributes:
        images: those that are shown, (N, 3, S, S) uint8.
        normal: held-out normal ones, (M, 3, S, S).
        pairs: (P, 3, S, S) without and (P, 3, S, S) with a defect.
        mask: of the defects, (P, S, S).
    """

    images: Tensor
    normal: Tensor
    pairs: tuple[Tensor, Tensor]
    mask: Tensor
    teacher: list[Tensor] = field(default_factory=list)

    @torch.no_grad()
    def look(self, model: MRKD) -> tuple[np.ndarray, float, float]:
        """Maps (N, S, S) of the images, the highest score of a normal image, and leakage, mean over the scales."""
        model.eval()
        if not self.teacher:
            self.teacher = model.see(torch.cat([self.images, self.normal, *self.pairs]))
        student = model.restore(self.teacher)  # (N + M + 2 P, C_k, h_k, w_k)
        n, p = len(self.images), len(self.mask)
        judged_part = slice(None, n + len(self.normal))
        maps = model.compare([t[judged_part] for t in self.teacher], [s[judged_part] for s in student]).cpu().numpy()
        without, having = (
            ([t[part] for t in self.teacher], [s[part] for s in student])
            for part in (slice(-2 * p, -p), slice(-p, None))
        )
        return maps[:n], float(maps[n:].max()), mean_leakage(without, having, self.mask.to(model.device))


def set_up(
    data: AnomalyFolder,
    plan: Plan,
    steps: int,
    held_out: np.ndarray,
    images: Pictures | None,
) -> tuple[Exhibits, TrainingState]:
    """What a training by this plan is looked at with: images to show, normal ones, and pairs for leakage.

    Raises:
        ValueError: `images` is empty, or no list.
        data.images.DataError: an image that cannot be read.
    """
    size = plan.size
    normal = data.train_images(size)[held_out[:NORMAL]]  # (M, 3, S, S)
    if images is not None:
        shown = as_batch(read_pictures("watch_training", images, size))
        names, masks = [f"picture {i + 1}" for i in range(len(shown))], np.zeros((len(shown), size, size), bool)
    elif data.test:
        chosen = _some_of_each(data)
        shown = data.test_images(size)[chosen]
        names = [data.test[i].kind for i in chosen]
        masks = data.test_masks(size)[chosen] if data.has_masks else np.zeros((len(chosen), size, size), bool)
    else:
        shown = normal[:SHOWN]
        names, masks = ["held-out, normal"] * len(shown), np.zeros((len(shown), size, size), bool)
    if data.has_twins:
        without, having, where = data.twin_pairs(size)
        some = np.unique(np.linspace(0, len(without) - 1, PAIRS).astype(int))
        pairs, mask = (without[some], having[some]), torch.from_numpy(where[some])
    else:
        anomalous, mask = add_anomalies(normal, preset(data.name, normal), np.random.default_rng(plan.seed))
        pairs = (normal, anomalous)
    pictures = shown.permute(0, 2, 3, 1).contiguous().numpy()  # (N, S, S, 3)
    return Exhibits(shown, normal, pairs, mask), TrainingState(plan.variant, steps, pictures, names, masks)


def _some_of_each(data: AnomalyFolder) -> list[int]:
    """Indices of three test images: a good one and one of the last kinds of defect each, as far as there are any."""
    first = {sample.kind: i for i, sample in reversed(list(enumerate(data.test)))}
    good = [i for kind, i in first.items() if not data.test[i].label]
    defective = sorted(i for i in first.values() if data.test[i].label)
    return good[:1] + defective[-(SHOWN - len(good[:1])) :]
