"""Eight kinds of strokes on eight slabs: what the painter's three students say of each, and how much they copy.

    python benchmarks/painter_strokes.py            a table; docs/instructor.md has it with a word on why

Scores are in thresholds of each student, means over the slabs; in brackets how many of eight are called a defect.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from mrkd_edu.data.images import read_image
from mrkd_edu.lessons.course import SIZE, playground
from mrkd_edu.widgets.explorers.painter import render_judgement

SLABS = 8
Point = tuple[int, int]
Stroke = Callable[[np.ndarray, Point, Point], None]


def line(colour: tuple[int, int, int] | None, width: int) -> Stroke:
    """A line of this colour; None takes that of the stone where it begins."""

    def draw(image: np.ndarray, start: Point, end: Point) -> None:
        taken = tuple(int(v) for v in image[start[1], start[0]]) if colour is None else colour
        cv2.line(image, start, end, taken, width, cv2.LINE_AA)

    return draw


def blob(colour: tuple[int, int, int], radius: int) -> Stroke:
    return lambda image, start, end: cv2.circle(image, start, radius, colour, -1, cv2.LINE_AA)


def soft_spot(image: np.ndarray, start: Point, end: Point) -> None:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    share = 0.6 * np.exp(-((x - start[0]) ** 2 + (y - start[1]) ** 2) / (2 * 14**2))[..., None]
    image[:] = image * (1 - share) + 120 * share


def smear(image: np.ndarray, start: Point, end: Point, radius: int = 10) -> None:
    x, y = (min(max(v, radius), image.shape[0] - radius - 32) for v in start)
    for i in range(30):
        rows, columns = slice(y - radius, y + radius), slice(x + i - radius, x + i + radius)
        onto = slice(columns.start + 1, columns.stop + 1)
        image[rows, onto] = 0.2 * image[rows, onto] + 0.8 * image[rows, columns]


STROKES: dict[str, Stroke] = {
    "thin dark scratch": line((40, 35, 30), 2),
    "scratch in the colour of a stone": line(None, 3),
    "white line": line((240, 240, 240), 4),
    "small dark blob": blob((50, 40, 30), 5),
    "large dark blob": blob((50, 40, 30), 18),
    "red blob": blob((220, 40, 30), 12),
    "soft grey spot": soft_spot,
    "smear": smear,
}


def main() -> None:
    data, models = playground("surface")
    slabs = [read_image(sample.path, SIZE) for sample in data.train[:SLABS]]
    higher, total = 0, 0
    print(f"{'':34}" + "".join(f"{name:>22}" for name in models) + "   copied")
    for name, stroke in STROKES.items():
        seen = []
        for number, slab in enumerate(slabs):
            rng = np.random.default_rng(number)
            start = rng.integers(SIZE // 4, 3 * SIZE // 4, 2)
            way = rng.normal(size=2)
            end = (start + way / np.linalg.norm(way) * SIZE / 4).astype(int)
            painted = slab.copy()
            stroke(painted, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])))
            seen.append(render_judgement(models, painted, slab).values)
        scores = {student: np.array([each[student] for each in seen]) for student in models}
        copied = {student: np.mean([each[f"{student} copies"] for each in seen]) for student in models}
        higher, total = higher + int((scores["rd"] > scores["mrkd"]).sum()), total + len(seen)
        cells = "".join(f"{s.mean():13.2f} ({(s > 1).sum()} of {SLABS})" for s in scores.values())
        print(f"{name:34}{cells}   " + ", ".join(f"{100 * share:.0f} %" for share in copied.values()))
    untouched = render_judgement(models, slabs[0], slabs[0]).values
    print("untouched slab:", ", ".join(f"{name} {score:.2f}" for name, score in untouched.items()))
    print(f"rd scores higher than mrkd in {higher} of {total} strokes")


if __name__ == "__main__":
    main()
