"""The distance explorer: click a position, and see which other positions look alike, to the teacher and to the student.

The anomaly map compares teacher and student position by position. This explorer shows what such a position holds: how
much its feature has in common with its neighbours' and with those far away. Features that are alike over long ways say
what a student can guess from around a hidden place.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import ipywidgets
import numpy as np
import torch
from torch import Tensor

from mrkd_edu.data.images import as_batch
from mrkd_edu.distance import cosine_distance
from mrkd_edu.figures.features import similarity
from mrkd_edu.figures.heat import SIGNED
from mrkd_edu.figures.style import MINUS, colour_of
from mrkd_edu.model import MRKD
from mrkd_edu.widgets.frame.click_picture import ClickPicture
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.judgement import rgb
from mrkd_edu.widgets.frame.panels import GAP, LINE, View, below, beside, panel, write
from mrkd_edu.widgets.frame.paper import drawn_once
from mrkd_edu.widgets.frame.pictures import Pictures, picture_menu, read_pictures

WIDTH = 1126  # of the picture, pixels
LARGEST = 256  # side of a panel, pixels
TITLE = 2 * LINE  # height of a panel's title, pixels
MARK = 15  # side of the mark's box where cells are smaller, pixels
TEACHER, STUDENT = "teacher", "student"


def render_distance(
    image: np.ndarray,
    teacher: Sequence[Tensor],
    student: Sequence[Tensor],
    row: int,
    col: int,
    *,
    floor: float = 0.0,
    colour: tuple[int, int, int] = (0, 0, 0),
) -> View:
    """A position marked in an image, and its cosine with all positions at every scale, in teacher and student.

    All maps share one colour scale, from -1 through 0 to 1, so that models and images compare.

    Args:
        image: uint8 (S, S, 3).
        teacher, student: their maps of the image, (C_k, h_k, w_k) each, the finest first.
        row, col: the position, in cells of the finest scale.
        floor: of the distance, see `distance.cosine_distance`; `model.floor`.
        colour: of the student's titles.

    Returns:
        `values` has for each stride, such as 4, `teacher_near_4` and `student_near_4`, the mean cosine with the
        neighbouring cells; `teacher_far_4` and `student_far_4`, with cells at least a third of the image away, where
        there are any; and `distance_4`, between teacher and student at the position.

    Raises:
        ValueError: a position outside the finest map.
    """
    finest = teacher[0].shape[-2:]
    if not (0 <= row < finest[0] and 0 <= col < finest[1]):
        raise ValueError(f"position ({row}, {col}) lies outside the finest map of {finest[0]} x {finest[1]} cells")
    side = panel_side(len(teacher))
    values: dict[str, float] = {}
    strips: dict[str, list[np.ndarray]] = {TEACHER: [], STUDENT: []}
    for t, s in zip(teacher, student, strict=True):
        stride = image.shape[0] // t.shape[-2]
        at = row * t.shape[-2] // finest[0], col * t.shape[-1] // finest[1]
        for who, features in ((TEACHER, t), (STUDENT, s)):
            cosines = similarity(features, *at)  # (h, w)
            near, far = near_and_far(cosines, *at)
            values[f"{who}_near_{stride}"] = near
            title = f"{who}, stride {stride}\nnear {_number(near)}"
            if far is not None:
                values[f"{who}_far_{stride}"] = far
                title += f", far {_number(far)}"
            ink = colour if who == STUDENT else (0, 0, 0)
            strips[who].append(panel(_coloured(cosines, at, side), title, size=side, colour=ink))
        here = cosine_distance(t[None, :, at[0], at[1], None, None], s[None, :, at[0], at[1], None, None], floor)
        values[f"distance_{stride}"] = float(here)
    photo = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    marked = panel(_marked(photo, (row, col), finest), "image\nclick or arrow keys", size=side)
    legend = beside([_legend(side, values), *strips[STUDENT]])[: TITLE + side]
    picture = below([beside([marked, *strips[TEACHER]]), legend])
    return View(picture, _finding(values), values)


def near_and_far(cosines: np.ndarray, row: int, col: int) -> tuple[float, float | None]:
    """Mean of a map over the up to 8 cells around one, and over those at least a third of the map away, if any.

    Example:
        >>> cosines = np.zeros((9, 9)); cosines[3:6, 3:6] = 0.5
        >>> near_and_far(cosines, 4, 4)
        (0.5, 0.0)
        >>> near_and_far(np.ones((2, 2)), 0, 0)
        (1.0, None)
    """
    height, width = cosines.shape
    away = np.maximum(*np.abs(np.indices(cosines.shape) - np.array([row, col])[:, None, None]))  # (h, w)
    far = away >= max(2, max(height, width) / 3)
    return float(cosines[away == 1].mean()), float(cosines[far].mean()) if far.any() else None


def panel_side(scales: int) -> int:
    """Side of the square panels of a picture with so many scales, pixels."""
    return min(LARGEST, (WIDTH - scales * GAP) // (scales + 1))


def clicked(x: float, y: float, scales: int) -> tuple[float, float] | None:
    """Where a click on the framed picture lies within the image or a map, as shares of its height and width.

    Args:
        x, y: shares of the framed picture's width and height.
        scales: how many the picture shows.

    Returns:
        None between the panels.

    Example:
        >>> clicked(0.0, 0.0, scales=4) is None
        True
    """
    side = panel_side(scales)
    width, height = (scales + 1) * (side + GAP) + GAP, 2 * (TITLE + side + GAP) + GAP
    column, right = divmod(x * width - GAP, side + GAP)
    line, down = divmod(y * height - GAP, TITLE + side + GAP)
    on_legend = line == 1 and column == 0
    if not (0 <= column <= scales and 0 <= line <= 1 and right < side and TITLE <= down < TITLE + side) or on_legend:
        return None
    return (down - TITLE) / side, right / side


def explore_distance(model: MRKD, images: Pictures) -> Explorer:
    """Click a position of an image or of a map, and see what is alike to it: for the teacher and for the student.

    Mouse, arrow keys on the picture, and two sliders set the same position.

    Args:
        model: trained.
        images: files or arrays (H, W, 3).

    Raises:
        ValueError: there is no list of images.
        data.images.DataError: an image that cannot be read.
    """
    size = model.settings.size
    pictures = read_pictures("explore_distance", images, size)
    model.eval()
    cells, scales = size // model.settings.strides[0], len(model.settings.strides)
    colour = rgb(colour_of(model.settings.variant))

    @lru_cache(maxsize=32)
    def features(photo: int) -> tuple[list[Tensor], list[Tensor]]:
        pixels = as_batch([pictures[photo]])  # (1, 3, S, S)
        with torch.no_grad():
            both = model.features(pixels)
        teacher, student = ([f[0].float().cpu().contiguous() for f in maps] for maps in both)  # (C_k, h_k, w_k) each
        return teacher, student

    def render(photo: int, row: int, col: int) -> View:
        return render_distance(pictures[photo], *features(photo), row, col, floor=model.floor, colour=colour)

    def click(x: float, y: float) -> None:
        if place := clicked(x, y, scales):
            explorer.set(row=int(place[0] * cells), col=int(place[1] * cells))

    def move(right: int, down: int) -> None:
        row, col = explorer.state["row"] + down, explorer.state["col"] + right
        explorer.set(row=min(max(row, 0), cells - 1), col=min(max(col, 0), cells - 1))

    controls = {
        "photo": picture_menu(len(pictures), "image", "which image to look at"),
        "row": _slider(cells, "row", "the position's row, counted from the top in cells of the finest scale"),
        "col": _slider(cells, "column", "the position's column, counted from the left in cells of the finest scale"),
    }
    tip = "Similarity maps. Click a position in the image or in a map; arrow keys move it, with Shift four cells"
    picture = ClickPicture(on_click=click, on_move=move, tooltip=tip)
    explorer = Explorer("explore_distance", controls, render, picture=picture)
    return explorer


def _slider(cells: int, description: str, tooltip: str) -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(cells // 2, 0, cells - 1, description=description, tooltip=tooltip)


def _coloured(cosines: np.ndarray, at: tuple[int, int], side: int) -> np.ndarray:
    """A map in colours, its cells enlarged, the marked one outlined: uint8 (side, side, 3)."""
    colours = np.rint(255 * SIGNED((cosines + 1) / 2)[..., :3]).astype(np.uint8)  # (h, w, 3)
    return _marked(cv2.resize(colours, (side, side), interpolation=cv2.INTER_NEAREST), at, cosines.shape)


def _marked(square: np.ndarray, at: tuple[int, int], cells: Sequence[int]) -> np.ndarray:
    """A box around one cell, black with a white rim; never so small that it could be missed. Draws on the picture."""
    side = square.shape[0]
    corners = []
    for place, number in zip(at, cells, strict=True):
        length = round(max(MARK, side / number))
        start = round((place + 0.5) * side / number - length / 2)
        start = min(max(3, start), side - 4 - length)  # at the border it keeps its size
        corners.append((start, start + length))
    (top, bottom), (left, right) = corners
    cv2.rectangle(square, (left, top), (right, bottom), (255, 255, 255), 5)
    cv2.rectangle(square, (left, top), (right, bottom), (0, 0, 0), 2)
    return square


def _legend(side: int, values: dict[str, float]) -> np.ndarray:
    """The colour scale, and how far teacher and student are apart at the mark: uint8 (h, side, 3)."""
    strides = [name.removeprefix("distance_") for name in values if name.startswith("distance_")]
    there = [f"{stride}: {values[f'distance_{stride}']:.2f}" for stride in strides]
    lines = "\n".join("stride " + ", ".join(there[i : i + 2]) for i in range(0, len(there), 2))
    heading = write(side, "distance at the mark,\nteacher to student:", bold=True)
    meaning = write(side, "near: the cells around it\nfar: a third away or more")
    return below([_scale(side), meaning, heading, write(side, lines)], gap=2)


@drawn_once
def _scale(side: int) -> np.ndarray:
    strip = np.rint(255 * SIGNED(np.linspace(0, 1, side))[:, :3]).astype(np.uint8)  # (side, 3)
    left, right = write(side // 2 - 6, f"{MINUS}1"), write(side - side // 2 - 8, "0")
    ends = beside([left, right, write(14, "1")], gap=0)
    bar = np.tile(strip, (18, 1, 1))
    return below([write(side, "colour: cosine with\nthe marked position", bold=True), bar, ends], gap=2)


def _finding(values: dict[str, float]) -> str:
    """Means over the scales, in a sentence."""

    def mean(who: str, where: str) -> float:
        found = [value for name, value in values.items() if name.startswith(f"{who}_{where}_")]
        return float(np.mean(found)) if found else float("nan")

    says = (
        f"Neighbours of the marked position have cosine {_number(mean(TEACHER, 'near'))} with it in the teacher and "
        f"{_number(mean(STUDENT, 'near'))} in the student (mean over the scales)"
    )
    if np.isfinite(mean(TEACHER, "far")):
        far = f"{_number(mean(TEACHER, 'far'))} and {_number(mean(STUDENT, 'far'))}"
        says += f"; positions at least a third of the image away {far}"
    return says + "."


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS)  # + 0.0: no "-0.00"
