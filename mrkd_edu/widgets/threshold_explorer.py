"""The threshold explorer: move the line between normal and defective, and watch everything that hangs on it.

One threshold decides twice: a pixel of the anomaly map above it is called defective, and an image is as soon as one of
its pixels is. So one slider moves the outline in the picture, the confusion matrix, precision and recall, and a point on
two curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import ipywidgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Transform
from PIL import Image, ImageDraw
from sklearn.metrics import roc_curve

from mrkd_edu.data.images import read_image
from mrkd_edu.evaluate import Evaluation
from mrkd_edu.metrics import pro_curve
from mrkd_edu.plots import (
    THRESHOLDS_SHOWN,
    TIMES,
    Evaluations,
    Picture,
    colour_of,
    comparable,
    dashes,
    in_our_style,
    outline,
)
from mrkd_edu.widgets.explorer import Explorer
from mrkd_edu.widgets.judgement import rgb
from mrkd_edu.widgets.panels import INK, View, bar, below, beside, font, panel, write

PHOTO = 400  # side of the picture, pixels
MATRIX = 288  # width of the confusion matrix, pixels
CHART = (416, 300)  # width and height of a chart, pixels
PRO_END = 0.3  # false-positive rate where AUPRO stops
CALLED = (230, 159, 0)  # orange, of pixels that are called defective
RIGHT, WRONG = (0, 114, 178), (213, 94, 0)  # blue, vermilion: of verdicts
ARROW = 9  # pixels


# ---- one evaluation at many thresholds ---------------------------------------------------------------------


@dataclass(frozen=True)
class Verdicts:
    """How a test set's images and pixels are called at one threshold.

    Attributes:
        found, missed: defective images that are called so, and that are not.
        false_alarms, passed: normal images that are called defective, and that are not.
        pixels: share of all normal pixels that is called defective.
        area: share of a defect's area that is called defective, mean over the defects (PRO).
    """

    found: int
    missed: int
    false_alarms: int
    passed: int
    pixels: float
    area: float

    @property
    def precision(self) -> float:
        """Share of truly defective images among those that are called so; not a number where none is.

        Example:
            >>> Verdicts(6, 2, 2, 10, 0.1, 0.9).precision
            0.75
        """
        called = self.found + self.false_alarms
        return self.found / called if called else float("nan")

    @property
    def recall(self) -> float:
        """Share of the defective images that is found: the true-positive rate."""
        return self.found / (self.found + self.missed)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the normal images that is called defective: the false-positive rate."""
        return self.false_alarms / (self.false_alarms + self.passed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 where nothing is found.

        Example:
            >>> Verdicts(6, 2, 2, 10, 0.1, 0.9).f1
            0.75
        """
        return 2 * self.found / (2 * self.found + self.false_alarms + self.missed)


class Judge:
    """An evaluation, prepared to be judged at any threshold in a few milliseconds.

    Args:
        evaluation: with masks, a threshold, and normal and defective images.

    Raises:
        ValueError: something of that is missing.
    """

    def __init__(self, evaluation: Evaluation):
        labels, variant = evaluation.labels, evaluation.variant
        if evaluation.masks is None:
            raise ValueError("the threshold explorer needs ground-truth masks; this data set has none")
        if not evaluation.threshold or evaluation.threshold < 0:
            raise ValueError(f"{variant} has no threshold above 0: take a model that `run` trained, or calibrate it")
        if not 0 < labels.sum() < len(labels):
            raise ValueError("the threshold explorer needs normal and defective test images; this test set has one kind")
        self.evaluation, self.labels = evaluation, labels
        self.masks, self.threshold = evaluation.masks, evaluation.threshold  # (N, S, S), a number
        self.normal_pixels = evaluation.maps[~evaluation.masks]  # (P,)
        self.curve = pro_curve(evaluation.maps, evaluation.masks)
        self._rising = -self.curve.thresholds

    def at(self, multiple: float) -> Verdicts:
        """The verdicts at a multiple of the model's own threshold: images, and pixels, with a score above it."""
        line = self.line(multiple)
        called, defective = self.evaluation.scores > line, self.labels == 1  # (N,)
        last = int(np.searchsorted(self._rising, -line, side="left")) - 1  # of the curve's points above the line
        return Verdicts(
            found=int((called & defective).sum()),
            missed=int((~called & defective).sum()),
            false_alarms=int((called & ~defective).sum()),
            passed=int((~called & ~defective).sum()),
            pixels=float(np.count_nonzero(self.normal_pixels > line) / self.normal_pixels.size),
            area=float(self.curve.pro[last]),
        )

    def line(self, multiple: float) -> float:
        """The threshold at a multiple of the model's own, as it is compared with the maps' float32."""
        return float(np.float32(multiple * self.threshold))


# ---- charts that are drawn once ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Chart:
    """A chart as pixels, on which a point can be put.

    Attributes:
        image: uint8 (H, W, 3).
        place: data to pixels, counted from the lower left corner.
        end: the largest x that is drawn.
    """

    image: np.ndarray
    place: Transform
    end: float

    def with_point(self, x: float, y: float, colour: tuple[int, int, int]) -> np.ndarray:
        """The chart with a point at data (x, y); an arrow on the right border where x is beyond the chart."""
        picture = self.image.copy()
        left, up = self.place.transform((min(x, self.end), y))
        at = round(float(left)), round(len(picture) - 1 - float(up))
        if x > self.end:
            tip, back = (at[0] + ARROW, at[1]), at[0] - ARROW
            corners = np.array([tip, (back, at[1] - ARROW), (back, at[1] + ARROW)])
            cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)
            cv2.polylines(picture, [corners], True, INK, 2, cv2.LINE_AA)
            return picture
        for radius, fill in ((10, INK), (8, (255, 255, 255)), (6, colour)):
            cv2.circle(picture, at, radius, fill, -1, cv2.LINE_AA)
        return picture


def roc_chart(judges: Sequence[Judge]) -> Chart:
    """The ROC curves of the image scores."""
    curves = [roc_curve(j.labels, j.evaluation.scores)[:2] for j in judges]
    return _chart(judges, curves, 1.0, "image ROC", "normal images called defective", "defective images found")


def pro_chart(judges: Sequence[Judge]) -> Chart:
    """The PRO curves of the anomaly maps, up to where AUPRO stops."""
    grid = PRO_END * np.linspace(0, 1, 500) ** 2  # enough for the eye, dense where curves are steep
    curves = [
        (np.append(0, grid), np.append(0, np.interp(grid, j.curve.fpr, j.curve.pro))) for j in judges
    ]
    return _chart(judges, curves, PRO_END, "PRO of the maps", "normal pixels called defective", "area of defects found")


@in_our_style
def _chart(
    judges: Sequence[Judge],
    curves: Sequence[tuple[np.ndarray, np.ndarray]],
    end: float,
    title: str,
    x: str,
    y: str,
) -> Chart:
    figure = Picture(figsize=(CHART[0] / 100, CHART[1] / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    ax = figure.subplots()
    for i, (judge, (across, up)) in enumerate(zip(judges, curves, strict=True)):
        variant = judge.evaluation.variant
        ax.plot(across, up, color=colour_of(variant), linestyle=dashes(i), label=variant, clip_on=False)
    ax.set(xlim=(0, end), ylim=(0, 1), xlabel=x, ylabel=y)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_title(title)
    ax.legend(loc="lower right")
    canvas.draw()
    return Chart(np.asarray(canvas.buffer_rgba())[..., :3].copy(), ax.transData.frozen(), end)


# ---- the explorer ------------------------------------------------------------------------------------------


def render_threshold(
    judge: Judge, image: np.ndarray, index: int, multiple: float, roc: Chart, pro: Chart
) -> View:
    """A test image with what is called defective in it, the confusion matrix, and the point on both curves.

    Args:
        judge: of the model.
        image: the test image, uint8 (H, W, 3).
        index: its number in the test set.
        multiple: the threshold, in multiples of the model's own.
        roc, pro: the charts of all models, see `roc_chart` and `pro_chart`.

    Returns:
        `values` has the numbers: `threshold`, the counts `found`, `missed`, `false_alarms`, `passed`, and `precision`
        (not a number where nothing is called defective), `recall`, `f1`, `false_alarm_rate`, `pixel_false_alarm_rate`,
        `pro`, and the share of this image that is called defective, `called_share`.
    """
    verdicts, line = judge.at(multiple), judge.line(multiple)
    called = judge.evaluation.maps[index] > line  # (S, S)
    said = _outcome(bool(judge.labels[index]), bool(judge.evaluation.scores[index] > line))
    colour = rgb(colour_of(judge.evaluation.variant))
    score = judge.evaluation.scores[index] / judge.threshold
    photo = below(
        [
            panel(_marked(image, called, judge.masks[index]), f"this image: {said}", size=PHOTO),
            write(PHOTO, f"its score: {score:.2f} {TIMES} the model's threshold"),
            write(PHOTO, f"the line: {multiple:.2f} {TIMES} the model's threshold", bold=True),
            write(PHOTO, "orange: called defective    cyan: true defect"),
        ],
        gap=4,
    )
    charts = below(
        [
            roc.with_point(verdicts.false_alarm_rate, verdicts.recall, colour),
            pro.with_point(verdicts.pixels, verdicts.area, colour),
        ]
    )
    picture = beside([photo, below([_matrix(verdicts), *_shares(verdicts, colour)]), charts])
    values = {
        "threshold": line,
        "found": float(verdicts.found),
        "missed": float(verdicts.missed),
        "false_alarms": float(verdicts.false_alarms),
        "passed": float(verdicts.passed),
        "precision": verdicts.precision,
        "recall": verdicts.recall,
        "f1": verdicts.f1,
        "false_alarm_rate": verdicts.false_alarm_rate,
        "pixel_false_alarm_rate": verdicts.pixels,
        "pro": verdicts.area,
        "called_share": float(called.mean()),
    }
    return View(picture, _finding(judge.evaluation.variant, multiple, verdicts, said), values)


def explore_threshold(evaluations: Evaluations, images: Sequence[int] | None = None) -> Explorer:
    """Move the threshold of a model, and see what it finds, what it misses, and at what price.

    Args:
        evaluations: one, or several of the same test set, with masks.
        images: which of the N test images the menu offers; None offers all.

    Raises:
        ValueError: evaluations of different test sets, without masks or threshold, of one kind of images only; or no
            such image.
        data.images.DataError: an image that is no longer there, shown in the explorer.
    """
    judges = [Judge(evaluation) for evaluation in comparable(evaluations)]
    samples = judges[0].evaluation.samples
    offered = list(range(len(samples)) if images is None else images)
    if not offered or not all(0 <= i < len(samples) for i in offered):
        raise ValueError(f"images must be numbers from 0 to {len(samples) - 1}, at least one; got {offered}")
    roc, pro = roc_chart(judges), pro_chart(judges)
    variants = [j.evaluation.variant for j in judges]
    unique = len(set(variants)) == len(variants)
    defective = [i for i in offered if samples[i].label]

    @lru_cache(maxsize=32)
    def picture(photo: int) -> np.ndarray:
        return read_image(samples[photo].path, PHOTO)

    def render(model: int, photo: int, multiple: float) -> View:
        return render_threshold(judges[model], picture(photo), photo, multiple, roc, pro)

    controls = {
        "multiple": ipywidgets.FloatSlider(
            1.0,
            min=0,
            max=THRESHOLDS_SHOWN,
            step=0.01,
            description="threshold",
            tooltip="in multiples of the model's own threshold, which was chosen from normal images",
        ),
        "model": ipywidgets.Dropdown(
            options=[(v if unique else f"{i + 1}: {v}", i) for i, v in enumerate(variants)],
            value=0,
            description="model",
            tooltip="whose scores and maps are judged",
        ),
        "photo": ipywidgets.Dropdown(
            options=[(f"{i}: {samples[i].kind}", i) for i in offered],
            value=(defective or offered)[0],
            description="test image",
            tooltip="which test image is shown; the numbers are those of the whole test set",
        ),
    }
    return Explorer("explore_threshold", controls, render)


# ---- the picture -------------------------------------------------------------------------------------------


def _outcome(defective: bool, called: bool) -> str:
    if defective:
        return "defective, found" if called else "defective, missed"
    return "normal, false alarm" if called else "normal, passed"


def _marked(image: np.ndarray, called: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The image at the size of its panel, what is called defective tinted and outlined, the true defect outlined."""
    photo = cv2.resize(image, (PHOTO, PHOTO), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(called.astype(np.uint8), (PHOTO, PHOTO), interpolation=cv2.INTER_NEAREST)
    tinted = cv2.addWeighted(photo, 0.65, np.full_like(photo, CALLED), 0.35, 0)
    photo = cv2.copyTo(tinted, mask, photo)
    borders, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(photo, borders, -1, (0, 0, 0), 5, cv2.LINE_AA)
    cv2.drawContours(photo, borders, -1, CALLED, 3, cv2.LINE_AA)
    return outline(photo, truth)


def _matrix(verdicts: Verdicts) -> np.ndarray:
    """The confusion matrix of the images, right verdicts blue and wrong ones vermilion: uint8 (h, MATRIX, 3)."""
    rows = (
        ("defective images", (("found", verdicts.found, RIGHT), ("missed", verdicts.missed, WRONG))),
        ("normal images", (("false alarms", verdicts.false_alarms, WRONG), ("passed", verdicts.passed, RIGHT))),
    )
    half = MATRIX // 2 - 3
    heads = beside([write(half, "called\ndefective"), write(half, "called\nnormal")], gap=6)
    parts = [write(MATRIX, "images of the test set", bold=True), heads]
    for name, cells in rows:
        total = max(1, sum(count for _, count, _ in cells))
        parts.append(write(MATRIX, f"{name}: {total}"))
        parts.append(beside([_cell(half, word, count, count / total, colour) for word, count, colour in cells], gap=6))
    return below(parts, gap=2)


def _cell(width: int, word: str, count: int, share: float, colour: tuple[int, int, int]) -> np.ndarray:
    """A count on its colour, the fuller the larger the share of its row."""
    strength = 0.12 + 0.88 * share
    ground = tuple(round(255 + (c - 255) * strength) for c in colour)
    ink = "white" if strength > 0.6 else INK
    cell = Image.new("RGB", (width, 84), ground)
    draw = ImageDraw.Draw(cell)
    draw.text((width // 2, 34), str(count), fill=ink, font=font(True, 36), anchor="mm")
    draw.text((width // 2, 68), word, fill=ink, font=font(False), anchor="mm")
    return np.asarray(cell)


def _shares(verdicts: Verdicts, colour: tuple[int, int, int]) -> list[np.ndarray]:
    numbers = {"precision": verdicts.precision, "recall": verdicts.recall, "F1": verdicts.f1}
    return [
        bar(
            value,
            f"{name}: " + ("\N{EN DASH} (nothing called defective)" if np.isnan(value) else f"{value:.2f}"),
            width=MATRIX,
            colour=colour,
        )
        for name, value in numbers.items()
    ]


def _finding(variant: str, multiple: float, verdicts: Verdicts, said: str) -> str:
    defective, normal = verdicts.found + verdicts.missed, verdicts.false_alarms + verdicts.passed
    alarms = "1 false alarm" if verdicts.false_alarms == 1 else f"{verdicts.false_alarms} false alarms"
    return (
        f"At {multiple:.2f} times its threshold {variant} finds {verdicts.found} of {defective} defective images, with "
        f"{alarms} among {normal} normal ones. This image: {said}."
    )
