"""Make the picture that the demo shows beside its own: the able student, trained by the recipe `long`.

    python data_scripts/able_student.py mrkd_edu/data/able_student.jpg

Same data and seed as the demo. Shown are the defects that copying costs `rd` most. Takes some minutes.
"""

from __future__ import annotations

import io
import sys

from PIL import Image

from mrkd_edu.data import AnomalyFolder
from mrkd_edu.data.factory import cached_toy
from mrkd_edu.demo import COMPARED, SHOWN
from mrkd_edu.evaluate import evaluate
from mrkd_edu.plots_copying import what_is_left
from mrkd_edu.recipe import RECIPES
from mrkd_edu.report import most_copied
from mrkd_edu.run import Plan, run


def main(path: str, defects: int = 2) -> None:
    """Train both, draw, save as JPEG, and say what the text beside it needs."""
    data = AnomalyFolder(cached_toy(SHOWN, progress=True))
    evaluations = [evaluate(run(data, Plan(variant, recipe=RECIPES["long"])), data) for variant in COMPARED]
    figure, buffer = what_is_left(evaluations, most_copied(evaluations[0], defects)), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    Image.open(buffer).convert("RGB").save(path, quality=85)
    for e in evaluations:
        print(e.variant, e.metrics)


if __name__ == "__main__":
    main(sys.argv[1])
