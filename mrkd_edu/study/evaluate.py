"""Evaluation: a model and a test set to one result, with scores, maps, metrics and leakage.

Test images are looked at here and nowhere else. Nothing in this file changes a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.layouts import Sample
from mrkd_edu.data.stack import ImageStack
from mrkd_edu.distance import image_score
from mrkd_edu.ilm import add_anomalies
from mrkd_edu.judging.detector import Detector, Restorer
from mrkd_edu.judging.prediction import Prediction
from mrkd_edu.leakage import LeakageUndefined, explained, leakage, leakage_sums, shares
from mrkd_edu.metrics import aupro, f1_max, image_auroc, pixel_auroc
from mrkd_edu.nsa import preset
from mrkd_edu.runtime.batches import BATCH, in_batches

COPYING = ("leakage", "copying_cost", "explained")
COSTS = ("train_seconds", "ms_per_image")
NSA_SEED = (0, 3)  # of the synthetic defects that stand in for twins


@dataclass(frozen=True, kw_only=True)
class Evaluation(Prediction):
    """What a model said of a test set of N images (see `Prediction`), and how right it was.

    Attributes:
        category: name of the data set.
        variant: of the model.
        samples: the N test images: path, label, kind of defect.
        masks: (N, S, S) bool ground truth, or None where the data set has none.
        metrics: `image_auroc`, `pixel_auroc`, `aupro`, `f1_max`, `f1_threshold`, `leakage` (mean over the scales),
            `copying_cost` and `explained` (see `Copying`),
            `train_seconds`, `ms_per_image`; None where it cannot be measured.
        leakage: of every scale, or None.
        leakage_from: `"twins"`, real defects; `"synthetic"`, defects of the kind that ILM trains with, which favours
            the variants that trained with them; or None.
        restored: test image with a twin -> its anomaly map had the student restored the normal image, (S, S). Empty
            without twins, or without a student.
    """

    category: str
    variant: str
    samples: list[Sample]
    masks: np.ndarray | None
    metrics: dict[str, float | None]
    leakage: list[float] | None = None
    leakage_from: str | None = None
    restored: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def labels(self) -> np.ndarray:
        """(N,) 0 normal, 1 defective."""
        return np.array([s.label for s in self.samples])


def check_test_set(data: AnomalyFolder, size: int) -> None:
    """Find out before a long training whether `evaluate` will have what it needs, and whether every image can be read.

    Raises:
        ValueError: the data has no test images.
        data.images.DataError: a mask or an image cannot be used; the message names it.
    """
    ground_truth(data, size)
    check_images(data, size)


def check_images(data: AnomalyFolder, size: int) -> None:
    """Decode every image once, those to train on as well, and keep none. No header tells that a file is cut off.

    Raises:
        data.images.DataError: an image or a twin cannot be read; the message names it.
    """
    files = [path for sample in data.train + data.test for path in (sample.path, sample.twin) if path is not None]
    images = ImageStack(files, size, memory=0)
    for _ in in_batches(images):
        pass


def ground_truth(data: AnomalyFolder, size: int) -> np.ndarray | None:
    """What `evaluate` measures with, (N, size, size) bool, or None where the data has no masks.

    Raises:
        ValueError: the data has no test images.
        data.images.DataError: a mask cannot be used; the message names it.
    """
    if not data.test:
        raise ValueError(
            f"{data.root} has no test images, only normal ones to learn from: nothing to evaluate. "
            "Add a folder for each kind of defect (beside good/, or in test/), or use `mrkd-edu train` and `mrkd-edu "
            "predict`."
        )
    return data.test_masks(size) if data.has_masks else None


def evaluate(model: Detector, data: AnomalyFolder, *, progress: bool = True) -> Evaluation:
    """Score the test images of `data`, and measure.

    Metrics that the data cannot give (no defective images, no masks) are None.

    Args:
        model: trained.
        data: with test images.
        progress: show a bar.

    Raises:
        ValueError: the data has no test images.
    """
    size = model.settings.size
    masks = ground_truth(data, size)  # (N, S, S)
    data.tell_repeated()
    files = [sample.path for sample in data.test]
    model.eval()
    model(torch.zeros(min(BATCH, len(files)), 3, size, size, dtype=torch.uint8))  # a first batch is slow: not timed
    found = model.predict(files, progress="evaluate" if progress else "")
    joined, scores = found.anomaly_map, found.score  # (N, S, S), (N,)
    labels = data.test_labels

    names = ("image_auroc", "pixel_auroc", "aupro", "f1_max", "f1_threshold", *COPYING, *COSTS)
    metrics: dict[str, float | None] = dict.fromkeys(names)
    if 0 < labels.sum() < len(labels):
        metrics["image_auroc"] = image_auroc(scores, labels)
        metrics["f1_max"], metrics["f1_threshold"] = f1_max(scores, labels)
    if masks is not None:
        metrics["pixel_auroc"], metrics["aupro"] = pixel_auroc(joined, masks), aupro(joined, masks)
    leaks: list[float] | None = None
    restored: dict[int, np.ndarray] = {}
    if data.has_twins or not labels.all():
        with suppress(LeakageUndefined):  # no synthetic defect found a place in the normal images
            seen = copying(model, leakage_pairs(data, size), good=scores[labels == 0])
            leaks = seen.leakage
            metrics.update(leakage=float(np.mean(leaks)), copying_cost=seen.cost, explained=seen.explained)
            if data.has_twins:
                paired = [i for i, sample in enumerate(data.test) if sample.twin is not None]
                restored = {paired[pair]: seen.restored[pair] for pair in seen.restored}
    settings = model.settings
    metrics["train_seconds"] = settings.history.get("seconds")
    metrics["ms_per_image"] = 1000 * found.seconds / len(files)
    return Evaluation(
        **vars(replace(found, image=None)),  # the files are there to be read again
        category=data.name,
        variant=settings.variant,
        samples=list(data.test),
        masks=masks,
        metrics=metrics,
        leakage=leaks,
        leakage_from=None if leaks is None else "twins" if data.has_twins else "synthetic",
        restored=restored,
    )


@dataclass(frozen=True)
class Copying:
    """What pairs of images tell about a detector.

    Attributes:
        leakage: of every scale.
        cost: image AUROC that copying costs: of good images against the pairs' defective ones, had the student
            restored the normal images, less the same as it is. With twins, the *ceiling*, what this student would
            reach if it copied nothing, is the test set's AUROC plus the cost; the cost of synthetic defects is one of
            other defects and must not be added. None without good images, or without a student to restore.
        explained: share of the variance of the normal images' features that the student explains, mean over scales.
        restored: pair -> anomaly map (S, S) of its defective image had the student restored the normal one. Pairs
            without a defect are left out, and all without a student to restore.
    """

    leakage: list[float]
    cost: float | None
    explained: float | None
    restored: dict[int, np.ndarray] = field(default_factory=dict)


@torch.no_grad()
def copying(model: Detector, pairs: Iterable[tuple[Tensor, Tensor, Tensor]], good: np.ndarray) -> Copying:
    """Leakage, what it costs, and how well normal images are fitted.

    Args:
        model: trained.
        pairs: batches of (normal images, defective images, masks), see `leakage_pairs`.
        good: (N,) image scores of good images.

    Raises:
        leakage.LeakageUndefined: no pair, or defects that the teacher does not see.
    """
    if not isinstance(model, Restorer):
        return Copying(leakage(model.features, pairs), None, None)
    sums, seen, as_it_is, restored, fits, weights = [], [], [], [], [], []
    for normal, defective, mask in pairs:
        both = model.features(normal), model.features(defective)
        sums.append(leakage_sums(*both, mask))
        there = mask.flatten(1).any(1)  # on some images no synthetic patch finds a place
        seen.append(there)
        if not there.any():
            continue
        (t, s), (t_defect, s_defect) = (([m[there] for m in maps] for maps in side) for side in both)
        as_it_is.append(image_score(model.compare(t_defect, s_defect)).cpu().numpy())
        restored.append(model.compare(t_defect, s).cpu())
        fits.append(float(np.mean(explained(t, s))))
        weights.append(int(there.sum()))
    leaks, labels = shares(sums), np.repeat([0, 1], [len(good), sum(weights)])
    maps, cost = torch.cat(restored), None  # (P, S, S)
    if len(good):
        found = np.concatenate(as_it_is), image_score(maps).numpy()
        real, perfect = (image_auroc(np.r_[good, scores], labels) for scores in found)
        cost = perfect - real
    pairs_seen = torch.cat(seen).nonzero().flatten().tolist()
    by_pair = dict(zip(pairs_seen, maps.numpy(), strict=True))
    return Copying(leaks, cost, float(np.average(fits, weights=weights)), by_pair)


def leakage_pairs(data: AnomalyFolder, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches of (normal, defective, mask) for leakage.

    The test set's twins where it has them: the same image with and without a real defect. Else synthetic defects
    (NSA, fixed seed) in the normal test images.
    """
    if data.has_twins:
        normal, defective, masks = data.twin_pairs(size)
        yield from zip(*map(in_batches, (normal, defective, torch.from_numpy(masks))), strict=True)
        return
    images = data.test_images(size)
    good = np.flatnonzero(data.test_labels == 0)
    nsa = preset(data.name, images[good[:BATCH]])
    rng = np.random.default_rng(NSA_SEED)
    for part in in_batches(good):
        normal_batch = images[part]  # (B, 3, S, S)
        anomalous, mask = add_anomalies(normal_batch, nsa, rng)
        yield normal_batch, anomalous, mask
