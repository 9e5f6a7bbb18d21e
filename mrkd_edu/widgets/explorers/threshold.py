"""The threshold explorer: move the line between normal and defective, and watch everything that hangs on it.

One threshold decides twice: a pixel of the anomaly map above it is called defective, and an image is as soon as one of
its pixels is. So one slider moves the outline in the picture, the line among the scores, the confusion matrix,
precision, recall and F1, and a point on two curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import ipywidgets
import numpy as np
from PIL import Image, ImageDraw

from mrkd_edu.data.images import read_image
from mrkd_edu.figures.heat import THRESHOLDS_SHOWN, outline
from mrkd_edu.figures.results import Evaluations, comparable
from mrkd_edu.figures.style import SPACE, TIMES, TRUTH_COLOUR
from mrkd_edu.widgets.explorers.verdicts import PRO_END, Judge, Verdicts
from mrkd_edu.widgets.frame.chart import SMALL, Axis, Curve, chart
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.panels import GAP, View, bar, below, beside, font, panel, write
from mrkd_edu.widgets.frame.paper import drawn_once, paper

PHOTO, MATRIX, CHART = 400, 288, 416  # widths of the picture, the confusion matrix and a chart, pixels
HIGH = 258  # height of a chart's field with its axes, pixels
PRO_DOTS = 12  # every how many points of a PRO curve are marked
CALLED = (230, 159, 0)  # orange, of pixels that are called defective
RIGHT, WRONG = (84, 96, 112), (170, 51, 119)  # slate, purple: of verdicts; no variant has these
ROW, LABEL = 44, 100  # height of a row of scores; width of its name, pixels
LANES = 5  # dots of a row lie in so many lanes, so that equal scores do not hide each other


# ---- the explorer ------------------------------------------------------------------------------------------


def render_threshold(
    judges: Sequence[Judge], image: np.ndarray, index: int, multiple: float, *, model: int = 0
) -> View:
    """A test image with what is called defective in it, all scores, the confusion matrix, and the point on both curves.

    Args:
        judges: of all models whose curves are shown; of the same test set.
        image: the test image, uint8 (H, W, 3).
        index: its number in the test set.
        multiple: the threshold, in multiples of the model's own.
        model: number of the judge that judges.

    Returns:
        `values` has the numbers: `threshold`, the counts `found`, `missed`, `false_alarms`, `passed`, and `precision`
        (not a number where nothing is called defective), `recall`, `f1`, `false_alarm_rate`, `pixel_false_alarm_rate`,
        `pro`, the share of this image that is called defective, `called_share`, and the share of its defect,
        `defect_found` (not a number where there is none).

    Raises:
        ValueError: a threshold below 0.
    """
    if multiple < 0:
        raise ValueError(f"the threshold is a multiple of the model's own, 0 or more; got {multiple}")
    judge = judges[model]
    verdicts, line = judge.at(multiple), judge.line(multiple)
    called, truth = judge.evaluation.anomaly_map[index] > line, judge.masks[index]  # (S, S) each
    said = _outcome(bool(judge.labels[index]), bool(judge.evaluation.score[index] > line))
    defect_found = float(called[truth].mean()) if truth.any() else float("nan")
    photo = below(
        [
            panel(_marked(image, called, truth), f"this image: {said}", size=PHOTO),
            _key(float(called.mean()), defect_found),
        ],
        gap=4,
    )
    left = below([beside([photo, below([_matrix(verdicts), *_shares(verdicts)])]), _scores(judge, multiple, index)])
    picture = beside([left, below([_roc(judges, model, verdicts), _pro(judges, model, verdicts)])])
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
        "defect_found": defect_found,
    }
    return View(picture, _finding(judge.name, multiple, verdicts, said), values)


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
    listed = comparable(evaluations)
    variants = [evaluation.variant for evaluation in listed]
    unique = len(set(variants)) == len(variants)
    judges = [Judge(e, e.variant if unique else f"{i}: {e.variant}") for i, e in enumerate(listed, 1)]
    samples = judges[0].evaluation.samples
    offered = list(range(len(samples)) if images is None else images)
    if not offered or not all(0 <= i < len(samples) for i in offered):
        raise ValueError(f"images must be numbers from 0 to {len(samples) - 1}, at least one; got {offered}")
    defective = [i for i in offered if samples[i].label]

    @lru_cache(maxsize=32)
    def picture(photo: int) -> np.ndarray:
        return read_image(samples[photo].path, PHOTO)

    def render(model: int, photo: int, multiple: float) -> View:
        return render_threshold(judges, picture(photo), photo, multiple, model=model)

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
            options=[(judge.name, i) for i, judge in enumerate(judges)],
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


def _key(called: float, defect_found: float) -> np.ndarray:
    """What the colours of the picture mean, and how much there is of them: uint8 (h, PHOTO, 3)."""
    true = f"true defect: {_percent(defect_found)} of it called" if np.isfinite(defect_found) else "true defect: none"
    lines = ((CALLED, f"called defective: {_percent(called)} of the image"), (TRUTH_COLOUR, true))
    rows = [beside([_swatch(colour), write(PHOTO - 24 - 6, text)], gap=6) for colour, text in lines]
    return below(rows, gap=0)


def _swatch(colour: tuple[int, int, int]) -> np.ndarray:
    square = np.full((24, 24, 3), paper().page, np.uint8)
    cv2.rectangle(square, (3, 4), (20, 20), (0, 0, 0), -1)
    cv2.rectangle(square, (5, 6), (18, 18), colour, -1)
    return square


def _scores(judge: Judge, multiple: float, index: int) -> np.ndarray:
    """Every image's score as a dot, right or wrong at this line: uint8 (h, PHOTO + GAP + MATRIX, 3)."""
    width = PHOTO + GAP + MATRIX
    strip = _score_rows(width).copy()
    scores = judge.evaluation.score / judge.threshold  # (N,)
    line = judge.line(multiple)
    wrong = ((judge.evaluation.score > line) != (judge.labels == 1)).astype(int)  # (N,)
    places: dict[int, tuple[int, int]] = {}
    for row in (0, 1):
        images = np.flatnonzero(judge.labels == 1 - row)
        for lane, i in enumerate(images[np.argsort(scores[images], kind="stable")].tolist()):
            places[i] = _column(width, scores[i]), row * ROW + 9 + lane % LANES * (ROW - 20) // (LANES - 1)
            cv2.circle(strip, places[i], 5, (RIGHT, WRONG)[wrong[i]], -1, cv2.LINE_AA)
    for radius, colour in ((10, (0, 0, 0)), (8, CALLED), (5, (RIGHT, WRONG)[wrong[index]])):
        cv2.circle(strip, places[index], radius, colour, -1, cv2.LINE_AA)
    column = _column(width, multiple)
    cv2.line(strip, (column, 0), (column, 2 * ROW), (0, 0, 0), 5)
    cv2.line(strip, (column, 0), (column, 2 * ROW), CALLED, 3)
    title = f"scores of all images, ringed: this one. The line: {multiple:.2f} {TIMES} {judge.name}'s threshold"
    return below([write(width, title, bold=True), strip], gap=2)


@drawn_once
def _score_rows(width: int) -> np.ndarray:
    """The empty rows with their names and the axis: uint8 (h, width, 3)."""
    canvas, look = Image.new("RGB", (width, 2 * ROW + 24), paper().page), paper()
    pen = ImageDraw.Draw(canvas)
    for row, name in enumerate(("defective", "normal")):
        pen.rectangle([(LABEL, row * ROW + 1), (width, (row + 1) * ROW - 2)], fill=look.band)
        pen.text((0, row * ROW + ROW // 2), name, fill=look.ink, font=font(), anchor="lm")
    for tick in np.arange(0, THRESHOLDS_SHOWN + 0.1, 0.5):
        column = _column(width, tick)
        pen.line([(column, 0), (column, 2 * ROW + 4)], look.grid)
        text = f"{tick:g}" if tick < THRESHOLDS_SHOWN else f"\N{GREATER-THAN OR EQUAL TO} {tick:g}"
        pen.text((column, 2 * ROW + 6), text, fill=look.ink, font=font(False, SMALL), anchor="ma")
    pen.text((0, 2 * ROW + 6), "in thresholds", fill=look.ink, font=font(False, SMALL), anchor="la")
    return np.array(canvas)


def _column(width: int, score: float) -> int:
    """Where a score in thresholds lies in the rows; what is beyond their end lies there."""
    return LABEL + 12 + round((width - LABEL - 24) * float(np.clip(score / THRESHOLDS_SHOWN, 0, 1)))


def _roc(judges: Sequence[Judge], model: int, verdicts: Verdicts) -> np.ndarray:
    return chart(
        f"ROC: finds {_percent(verdicts.recall)} of defective images",
        _share_axis((0, 0.25, 0.5, 0.75, 1), "normal images called defective"),
        _share_axis((0, 0.25, 0.5, 0.75, 1)),
        _curves(judges, model, [judge.roc for judge in judges], "image_auroc", 1),
        width=CHART,
        height=HIGH,
        spot=(model, verdicts.false_alarm_rate, verdicts.recall),
        legend="AUROC",
    )


def _pro(judges: Sequence[Judge], model: int, verdicts: Verdicts) -> np.ndarray:
    beyond = f" (now {_percent(verdicts.pixels)})" if verdicts.pixels > PRO_END else ""
    return chart(
        f"PRO: finds {_percent(verdicts.area)} of a defect's area",
        _share_axis((0, 0.1, 0.2, PRO_END), f"normal pixels called defective{beyond}"),
        _share_axis((0, 0.25, 0.5, 0.75, 1)),
        _curves(judges, model, [judge.pro for judge in judges], "aupro", PRO_DOTS),
        width=CHART,
        height=HIGH,
        spot=(model, verdicts.pixels, verdicts.area),
        legend="AUPRO",
    )


def _share_axis(ticks: tuple[float, ...], label: str = "") -> Axis:
    return Axis(ticks[0], ticks[-1], tuple((t, _percent(t)) for t in ticks), label)


def _curves(
    judges: Sequence[Judge], model: int, points: Sequence[tuple[np.ndarray, np.ndarray]], metric: str, dots: int
) -> list[Curve]:
    """One of every model, with the area under it; that of the model which judges is thick."""
    curves = []
    for i, (judge, (x, y)) in enumerate(zip(judges, points, strict=True)):
        area = judge.evaluation.metrics.get(metric)
        name = judge.name if area is None else f"{judge.name} {area:.3f}"
        curves.append(Curve(x.tolist(), y.tolist(), judge.colour, name, dots, thick=5 if i == model else 2))
    return curves


def _matrix(verdicts: Verdicts) -> np.ndarray:
    """The confusion matrix of the images, right verdicts slate and wrong ones purple: uint8 (h, MATRIX, 3)."""
    rows = (
        ("defective images", (("found", verdicts.found, RIGHT), ("missed", verdicts.missed, WRONG))),
        ("normal images", (("false alarms", verdicts.false_alarms, WRONG), ("passed", verdicts.passed, RIGHT))),
    )
    half = MATRIX // 2 - 3
    heads = beside([write(half, "called defective"), write(half, "called normal")], gap=6)
    parts = [write(MATRIX, "images of the test set", bold=True), heads]
    for name, cells in rows:
        total = sum(count for _, count, _ in cells)
        parts.append(write(MATRIX, f"of {total} {name}:"))
        parts.append(beside([_cell(half, word, count, count / total, colour) for word, count, colour in cells], gap=6))
    return below(parts, gap=2)


def _cell(width: int, word: str, count: int, share: float, colour: tuple[int, int, int]) -> np.ndarray:
    """A count on its colour, the fuller the larger the share of its row."""
    strength = 0.12 + 0.88 * share
    page, ink = paper().page, paper().ink
    ground = tuple(round(p + (c - p) * strength) for p, c in zip(page, colour, strict=True))
    ink = (255, 255, 255) if strength > 0.75 else ink
    cell = Image.new("RGB", (width, 84), ground)
    draw = ImageDraw.Draw(cell)
    draw.text((width // 2, 34), str(count), fill=ink, font=font(True, 36), anchor="mm")
    draw.text((width // 2, 68), word, fill=ink, font=font(False), anchor="mm")
    return np.asarray(cell)


def _shares(verdicts: Verdicts) -> list[np.ndarray]:
    """Precision, recall and F1 as bars, with how they come about."""
    found, called, defective = verdicts.found, verdicts.found + verdicts.false_alarms, verdicts.found + verdicts.missed
    if called:
        precision = f"precision {verdicts.precision:.2f} = {found} of {called} called"
    else:
        precision = "precision: none is called defective"
    return [
        bar(verdicts.precision, precision, width=MATRIX),
        bar(verdicts.recall, f"recall {verdicts.recall:.2f} = {found} of {defective} defective", width=MATRIX),
        bar(verdicts.f1, f"F1 {verdicts.f1:.2f} = 2 {TIMES} {found} / ({called} + {defective})", width=MATRIX),
    ]


def _percent(share: float) -> str:
    """In whole percent, but nothing that is there as 0, and nothing that lacks some as 100.

    Example:
        >>> _percent(0.003), _percent(0.254), _percent(0.999)
        ('<1\N{NO-BREAK SPACE}%', '25\N{NO-BREAK SPACE}%', '>99\N{NO-BREAK SPACE}%')
    """
    if 0 < share < 0.005:
        return f"<1{SPACE}%"
    return f">99{SPACE}%" if 0.995 <= share < 1 else f"{100 * share:.0f}{SPACE}%"


def _finding(name: str, multiple: float, verdicts: Verdicts, said: str) -> str:
    defective, normal = verdicts.found + verdicts.missed, verdicts.false_alarms + verdicts.passed
    alarms = "1 false alarm" if verdicts.false_alarms == 1 else f"{verdicts.false_alarms} false alarms"
    return (
        f"At {multiple:.2f} times its threshold {name} finds {verdicts.found} of {defective} defective images, with "
        f"{alarms} among {normal} normal ones. This image: {said}."
    )
