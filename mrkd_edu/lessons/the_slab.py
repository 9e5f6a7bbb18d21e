"""One slab through all lessons: what each detector of the course makes of it.

A foreign thing lies on it. In the papers' form, `rd` finds it early in a long training and misses it at the end, while
`mrkd` keeps it. It was chosen because it shows that: of 200 faint defects, four go this way and one goes the other.
It was in no training, and in no test set of the lessons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import as_batch, read_image
from mrkd_edu.distance import gaussian_blur
from mrkd_edu.judging.prediction import threshold_from
from mrkd_edu.lessons.course import PAPERS_FORM, SIZE, SNAPSHOTS, lesson_plan
from mrkd_edu.lessons.the_problem import z_scores
from mrkd_edu.study.benchmark import detector
from mrkd_edu.study.copying import Pairs, answers
from mrkd_edu.study.prepare import split
from mrkd_edu.study.run import run
from mrkd_edu.study.snapshots import snapshots
from mrkd_edu.toy import cached_toy
from mrkd_edu.toy.pairs import TEST_DEFECTIVE, Pair, pair_image

CATEGORY, KIND, STRENGTH, NUMBER = "surface", "foreign", 0.4106, 197


@dataclass(frozen=True)
class Panel:
    """What one detector makes of the slab.

    Attributes:
        lesson: that adds it, `"01"`.
        title: of the detector, for the picture.
        variant: gives the colour of the title.
        map: in thresholds of this detector, (S, S).
        inside: largest value inside the defect.
    """

    lesson: str
    title: str
    variant: str
    map: np.ndarray
    inside: float

    @property
    def found(self) -> bool:
        """Whether the map passes the threshold inside the defect."""
        return self.inside > 1


@cache
def the_slab() -> Pair:
    """The slab, its twin without the thing, and the mask, at the lessons' size."""
    pair = pair_image(CATEGORY, KIND, STRENGTH, (0, TEST_DEFECTIVE, NUMBER), 256)
    mask = torch.from_numpy(pair.mask)[None, None].float()
    mask = torch.nn.functional.interpolate(mask, (SIZE, SIZE), mode="area")[0, 0] > 0  # (S, S)
    return Pair(read_image(pair.normal, SIZE), read_image(pair.defective, SIZE), mask.numpy())


def panels(upto: str) -> Iterator[Panel]:
    """The panels of all lessons up to this one, in their order.

    Args:
        upto: number of a lesson, `"04"`.
    """
    for lesson, make in MAKERS.items():
        if lesson <= upto:
            for title, variant, found in make():
                inside = float(found[the_slab().mask].max())
                yield Panel(lesson, title, variant, found, inside)


@cache
def _data() -> AnomalyFolder:
    return AnomalyFolder(cached_toy(CATEGORY))


@cache
def _pixels() -> np.ndarray:
    """Deviations from the mean image, see `lessons/the_problem.py`."""
    data = _data()
    learned, held_out = split(len(data.train), seed=0)
    images = data.train_images(SIZE)
    normal, calm = (torch.as_tensor(images[chosen]).float() for chosen in (learned, held_out))
    amap = gaussian_blur(z_scores(normal, calm), SIZE / 64)  # (B, S, S)
    of_slab = gaussian_blur(z_scores(normal, as_batch([the_slab().defective])), SIZE / 64)[0]  # (S, S)
    return (of_slab / threshold_from(amap.amax((1, 2)).numpy())).numpy()


def _in_thresholds(model: Any) -> np.ndarray:
    return model.predict(the_slab().defective).anomaly_map[0] / model.settings.threshold


@cache
def _neighbours() -> np.ndarray:
    return _in_thresholds(detector(_data(), replace(lesson_plan(), variant="nn")))


@cache
def _student(variant: Any) -> np.ndarray:
    return _in_thresholds(run(_data(), lesson_plan(variant), progress=False))


@cache
def stages(variant: Any, at: tuple[int, ...] = SNAPSHOTS) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Step of a long training in the papers' form to the slab's map, as it is and without copying, in thresholds."""
    slab = the_slab()
    normal = as_batch([slab.normal])  # (1, 3, S, S)
    pairs = Pairs(normal, as_batch([slab.defective]), torch.from_numpy(slab.mask)[None], [KIND], good=normal)
    found = {}
    for step, model in snapshots(_data(), lesson_plan(variant, **PAPERS_FORM), at).items():
        maps, threshold = answers(model, pairs).maps, model.settings.threshold
        found[step] = (maps["copied"][0] / threshold, maps["restored"][0] / threshold)
    return found


MAKERS = {
    "01": lambda: [("pixels:\nmean image", "pixels", _pixels())],
    "02": lambda: [("nn: nearest\nneighbours", "nn", _neighbours())],
    "03": lambda: [("rd, the\ncourse's form", "rd", _student("rd"))],
    "04": lambda: [
        (f"rd, papers' form,\n{SNAPSHOTS[-1]} steps", "rd", stages("rd")[SNAPSHOTS[-1]][0]),
        ("the same,\nwithout copying", "rd", stages("rd")[SNAPSHOTS[-1]][1]),
    ],
    "05": lambda: [("ilm, the\ncourse's form", "ilm", _student("ilm"))],
    "06": lambda: [("flm, the\ncourse's form", "flm", _student("flm"))],
    "07": lambda: [(f"mrkd, papers' form,\n{SNAPSHOTS[-1]} steps", "mrkd", stages("mrkd")[SNAPSHOTS[-1]][0])],
}
