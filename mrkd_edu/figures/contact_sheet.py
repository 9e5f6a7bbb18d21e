"""What is in a folder of images, on one page: a row for each kind, some pictures spread over its files."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from mrkd_edu.data.files import DataError, as_path, no_folder
from mrkd_edu.data.images import read_image, read_mask
from mrkd_edu.data.layouts import Sample
from mrkd_edu.figures.axes import HEADLINE, frameless, new_grid
from mrkd_edu.figures.style import NORMAL_COLOUR, TRUTH_COLOUR, VARIANT_COLOURS, Picture, in_our_style
from mrkd_edu.inspection.examine import Findings
from mrkd_edu.inspection.inventory import Problem, take_stock
from mrkd_edu.runtime.batches import side_by_side
from mrkd_edu.runtime.names import readable

MOST_ROWS = 12  # kinds; a page has no room for more
SIDE = 160  # pixels of the longer side of a picture as it is drawn
AROUND = 3  # of these pixels, from a mask to its outline
CELL, LABEL = 1.35, 1.75  # inches
MARK = {"error": VARIANT_COLOURS["rd"], "warning": VARIANT_COLOURS["ilm"]}  # told apart by their word, too
SHORT = {  # what is written on a picture
    "unreadable": "not readable",
    "constant": "blank",
    "dark-16-bit": "12 bits in 16",
    "mask-missing": "no mask",
    "mask-empty": "mask empty",
    "mask-size": "mask: other size",
    "mask-inverted": "mask inverted?",
    "mask-unreadable": "bad mask file",
    "mask-full": "mask: all defect",
    "mask-beside-image": "a mask?",
    "repeated-kinds": "in two kinds",
    "alike-kinds": "in two kinds?",
    "repeated-train-test": "train and test",
    "alike-train-test": "train and test?",
    "repeated-training": "twice",
    "repeated-test": "twice",
    "same-name": "same name",
}


@in_our_style
def contact_sheet(what: str | os.PathLike[str] | Findings, most: int = 8) -> Picture:
    """Draw what is in a category: normal and defective pictures, outlines of masks, marks where something is wrong.

    Pictures with a problem come first in their row, up to half of it, with a frame and a word (an error's is red and
    closed, a warning's orange and dashed); the others are spread over the row's files. Each keeps its shape.

    Args:
        what: the folder of one category, in any state; or what `inspection.examine` found in it, so that problems are
            marked. For a folder alone only files that cannot be read are.
        most: pictures in a row.

    Raises:
        DataError: the folder does not exist, or holds no images.
        ValueError: `most` is less than 1.

    Example:
        >>> from mrkd_edu.toy import cached_toy
        >>> figure = contact_sheet(cached_toy("metal", train=8, test_good=1, test_defective=2, size=64), most=3)
        >>> len(figure.axes)  # three pictures of train good, test good, chip, dent
        12
    """
    if most < 1:
        raise ValueError(f"most must be at least 1, not {most}")
    root = as_path(what.root if isinstance(what, Findings) else what)
    if not os.path.isdir(root):
        raise DataError(no_folder(root, "give the folder of a category"))
    stock = take_stock(root)
    rows = _rows(stock.train, stock.test)
    if not rows:
        why = f": {stock.problems[0].text}" if stock.problems else ""
        raise DataError(f"{root} holds no images that could be shown{why}")
    marks = _marks(root, what.problems if isinstance(what, Findings) else [])
    columns = min(most, max(len(samples) for _, samples in rows))
    shown = {name: _some(samples, columns, marks) for name, samples in rows[:MOST_ROWS]}
    samples = [sample for some in shown.values() for sample in some]
    pictures = dict(zip(samples, side_by_side(_picture, samples), strict=True))
    width, height = columns * CELL + LABEL, len(shown) * (CELL + 0.3) + 0.55
    figure, axes = new_grid(len(shown), columns, width, height)
    for row, (name, some), (_, all_of_it) in zip(axes, shown.items(), rows, strict=False):
        for ax in row:
            frameless(ax)
        _label(row[0], name, len(all_of_it))
        for ax, sample in zip(row, some, strict=False):
            mark = marks.get(sample.path) or (marks.get(sample.mask) if sample.mask else None)
            _draw(ax, sample, *pictures[sample], mark)
        for ax in row[len(some) :]:
            ax.axis("off")
    figure.suptitle(_title(root, rows, marks, isinstance(what, Findings)), parse_math=False, **HEADLINE)
    return figure


def _rows(train: Sequence[Sample], test: Sequence[Sample]) -> list[tuple[str, list[Sample]]]:
    """Train good, test good, then each kind."""
    rows = [("train good", list(train))] if train else []
    for kind in dict.fromkeys(sample.kind for sample in test):
        rows.append((f"test {kind}" if kind == "good" else kind, [s for s in test if s.kind == kind]))
    return rows


def _marks(root: Path, problems: Sequence[Problem]) -> dict[Path, tuple[str, str]]:
    """What is written on which file, and how grave it is; the gravest counts, and of a mask its image has it."""
    marks: dict[Path, tuple[str, str]] = {}
    for problem in problems:
        if problem.severity in MARK and problem.code in SHORT:
            for name in (problem.file, *problem.others):
                marks.setdefault(root / name, (problem.severity, SHORT[problem.code]))
    return marks


def _some(samples: list[Sample], most: int, marks: dict[Path, tuple[str, str]]) -> list[Sample]:
    """Some with a mark first, then others spread evenly over the rest; each part in the order of the files."""
    if len(samples) <= most:
        return samples
    wrong = _spread([s for s in samples if s.path in marks or s.mask in marks], max(1, most // 2))
    rest = [sample for sample in samples if sample not in wrong]
    return wrong + _spread(rest, most - len(wrong))


def _spread(samples: list[Sample], most: int) -> list[Sample]:
    """At most so many, the first and the last among them."""
    if len(samples) <= most:
        return samples
    return [samples[i] for i in np.linspace(0, len(samples) - 1, most).round().astype(int)]


def _picture(sample: Sample) -> tuple[np.ndarray | None, np.ndarray | None]:
    """A small picture, uint8 (h, w, 3), and the share of defect in its pixels (h, w); None for what cannot be read."""
    try:
        image = read_image(sample.path)
    except (DataError, MemoryError):
        return None, None
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shape = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    image = np.array(Image.fromarray(image).resize(size, shape))
    try:
        mask = read_mask(sample.mask) if sample.mask else None
    except (DataError, MemoryError):
        mask = None
    if mask is None or not mask.any():
        return image, None
    return image, cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def _draw(
    ax: Axes, sample: Sample, picture: np.ndarray | None, mask: np.ndarray | None, mark: tuple[str, str] | None
) -> None:
    ax.spines[:].set(visible=True, color=NORMAL_COLOUR, linewidth=0.8)  # a white ground ends somewhere
    if picture is None:
        field = np.full((SIDE, SIDE, 3), int(NORMAL_COLOUR[1:3], 16), np.uint8)
        ax.imshow(field)
        name = textwrap.fill(_short(readable(sample.path.name), 33), 11)
        ax.text(SIDE / 2, SIDE / 2, name, ha="center", va="center", fontsize=11, parse_math=False)
        mark = mark or ("error", SHORT["unreadable"])
    else:
        ax.imshow(picture)
    if mask is not None:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * AROUND + 1, 2 * AROUND + 1))
        around = cv2.dilate(np.pad(mask > 0, 1).astype(np.uint8), disc)  # no defect is painted over
        height, width = mask.shape
        for colour, line in (("black", 3.2), (tuple(value / 255 for value in TRUTH_COLOUR), 1.6)):
            ax.contour(around, [0.5], colors=[colour], linewidths=line, extent=(-1.5, width + 0.5, -1.5, height + 0.5))
        ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    if mark:
        ax.set_xlabel(mark[1], fontsize=11, fontweight="bold", color="black", labelpad=3)
        ax.spines[:].set(visible=True, color=MARK[mark[0]], linewidth=4)
        if mark[0] == "warning":
            ax.spines[:].set(linestyle=(0, (2, 1)), capstyle="butt")  # dashed: told apart without colours


def _label(ax: Axes, name: str, number: int) -> None:
    words = textwrap.fill(_short(readable(name), 36), 13)
    ax.set_ylabel(f"{words}\n{number}", rotation=0, ha="right", va="center", fontsize=12, labelpad=10)
    ax.yaxis.label.set_parse_math(False)


def _title(root: Path, rows: list[tuple[str, list[Sample]]], marks: dict[Path, tuple[str, str]], examined: bool) -> str:
    name = _short(readable(Path(os.path.abspath(root)).name), 40)
    number = sum(len(samples) for _, samples in rows)
    title = f"{name}: {number} images"
    if examined:
        wrong = sum(sample.path in marks or sample.mask in marks for _, samples in rows for sample in samples)
        title += f", {wrong} marked" if wrong else ", none marked"
    if len(rows) > MOST_ROWS:
        title += f"; {MOST_ROWS} of {len(rows)} kinds shown"
    return title


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 8]}...{name[-5:]}"
