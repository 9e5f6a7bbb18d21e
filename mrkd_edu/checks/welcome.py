"""Lesson 00: from a map to a verdict."""

from __future__ import annotations

import torch
from torch import Tensor

from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.checks.inputs import seeded
from mrkd_edu.distance import image_score


def is_defective(scores: Tensor, threshold: float) -> Tensor:
    """Which images are called defective: (N,) and a number to (N,) bool."""
    return scores > threshold


def _maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=seeded(seed))


EXERCISES = (
    Exercise(
        name="00.image_score",
        answer=image_score,
        cases=lambda: {
            "three maps": (_maps(3, 8, 8),),
            "one map": (_maps(1, 8, 8),),
            "odd sizes": (_maps(2, 7, 5),),
            "negative values": (_maps(2, 6, 6) - 2,),
            "half precision": (_maps(2, 8, 8).half(),),
        },
        mistakes=(
            Mistake(
                lambda maps: maps.mean((1, 2)),
                "That is the mean of the map. A defect is small: in the mean it drowns. Take the largest value.",
            ),
            Mistake(
                lambda maps: maps.max(),
                "That is one number for all images together. Each image needs its own: take the maximum over height "
                "and width, and leave the first axis.",
            ),
            Mistake(
                lambda maps: maps.amax(2),
                "That is the maximum of each row. Take it over both axes, height and width.",
            ),
            Mistake(
                lambda maps: maps.amax(1),
                "That is the maximum of each column. Take it over both axes, height and width.",
            ),
            *(
                Mistake(
                    two_things,
                    "torch's `max` along an axis gives two things, the largest values and where they are. "
                    "`amax` gives the values alone.",
                )
                for two_things in (
                    lambda maps: maps.max(1),
                    lambda maps: maps.max(2),
                    lambda maps: maps.flatten(1).max(1),
                )
            ),
            Mistake(
                lambda maps: maps.sum((1, 2)),
                "That is the sum of the map. It grows with the size of the picture, and a small defect drowns in it. "
                "Take the largest value.",
            ),
            Mistake(
                lambda maps: maps.amax(0),
                "That is the maximum over the images, at each place. Take it over height and width of each image.",
            ),
        ),
    ),
    Exercise(
        name="00.is_defective",
        answer=is_defective,
        cases=lambda: {
            "five images": (_maps(5), 0.5),
            "one image": (_maps(1), 0.9),
            "a score on the threshold": (torch.tensor([0.1, 0.25, 0.4]), 0.25),
            "a threshold of 0": (torch.tensor([-0.1, 0.0, 0.2]), 0.0),
        },
        mistakes=(
            Mistake(
                lambda scores, threshold: scores < threshold,
                "The wrong way round: a high score means unlike what is normal.",
            ),
            Mistake(
                lambda scores, threshold: scores >= threshold,
                "Nearly. A score that lies on the threshold itself is not above it: the rule of the course is `>`.",
            ),
            Mistake(
                lambda scores, threshold: scores[scores > threshold],
                "Those are the scores of the defective images alone. Asked is a yes or no for every image.",
            ),
            Mistake(
                lambda scores, threshold: scores - threshold,
                "That says how far above the threshold each score is. Asked is yes or no: compare, do not subtract.",
            ),
            Mistake(
                lambda scores, threshold: (scores > threshold).any(),
                "That is one answer for all images together. Each image gets its own verdict.",
            ),
        ),
    ),
)
