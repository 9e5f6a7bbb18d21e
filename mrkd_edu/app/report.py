"""The report: what the models did on a test set, as one HTML file that opens anywhere.

All pictures are inside the file; there is no script and no request to any server. The same results give the
same bytes: no date, no random choice.

This file puts the facts together; `report.html.j2` is the page (a Jinja template, which escapes whatever it prints),
and `report.css` says how it looks.
"""

from __future__ import annotations

import base64
import io
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from PIL import Image

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import read_image
from mrkd_edu.figures import results as draw
from mrkd_edu.figures.heat import THRESHOLDS_SHOWN, outline, overlay, scale_colours, shared_scale
from mrkd_edu.figures.style import TIMES, VARIANT_COLOURS, Picture
from mrkd_edu.model import VARIANTS
from mrkd_edu.runtime.names import readable
from mrkd_edu.runtime.writing import whole_file
from mrkd_edu.study.evaluate import Evaluation

PICTURE_SIDE = 320  # pixels of a photograph in the report
JPEG_QUALITY = 85
CHART_DPI = 130
EXAMPLES = 4  # test images of a group
COPIED = 3  # defects that show what copying takes away

VARIANT_WORDS = {
    "rd": "practises on normal images as they are (reverse distillation, the baseline).",
    "ilm": "is shown images with synthetic defects and must describe them as if they were normal "
    "(image-level masking).",
    "flm": "has random places of its description erased and must fill them in from their surroundings "
    "(feature-level masking).",
    "mrkd": "does both: it is shown synthetic defects, and random places of its description are erased "
    "(masked reverse knowledge distillation).",
    "nn": "has no student: every place is compared with the most similar one in the normal images "
    "(nearest neighbours).",
}


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    Attributes:
        key: in `Evaluation.metrics`.
        name: as printed.
        meaning: one line for the reader.
        badness: a value to a number, lower is better; decides what is printed bold. None: nothing is.
        text: a value to what is printed.
    """

    key: str
    name: str
    meaning: str
    badness: Callable[[float], float] | None
    text: Callable[[float], str]


def _thousandths(value: float) -> str:
    return f"{value:.3f}"


METRICS = (
    Metric(
        "image_auroc",
        "Image AUROC",
        "Chance that a defective image scores higher than a normal one. 1 is perfect, 0.5 is guessing.",
        lambda v: -v,
        _thousandths,
    ),
    Metric(
        "pixel_auroc",
        "Pixel AUROC",
        "The same for single pixels. 1 is perfect; large defects dominate.",
        lambda v: -v,
        _thousandths,
    ),
    Metric(
        "aupro",
        "AUPRO",
        "How much of each defect is found at few false pixels; small defects count as much as large ones. "
        "1 is perfect.",
        lambda v: -v,
        _thousandths,
    ),
    Metric(
        "f1_max",
        "F1-max",
        "Balance of defects found and false alarms at the best possible threshold. 1 is perfect.",
        lambda v: -v,
        _thousandths,
    ),
    Metric(
        "leakage",
        "Leakage",
        "How far the student goes from restoring the normal image (0 %) to copying the defect (100 %). Near 0 is best.",
        abs,
        lambda v: f"{100 * v:.0f} %",
    ),
    Metric(
        "copying_cost",
        "Copying costs",
        "Points of image AUROC that would be won if the student restored the normal image. Near 0 is best.",
        abs,
        lambda v: f"{100 * v:.1f}",
    ),
    Metric(
        "explained",
        "Explained",
        "Share of the variance of normal descriptions that the student knows. 100 % is perfect.",
        lambda v: -v,
        lambda v: f"{100 * v:.0f} %",
    ),
    Metric(
        "train_seconds",
        "Training",
        "Depends also on what else the machine was doing.",
        None,
        lambda v: f"{v:.0f} s",
    ),
    Metric(
        "ms_per_image",
        "Time per image",
        "From pixels to map, in batches. Depends also on what else the machine was doing.",
        None,
        lambda v: f"{v:.0f} ms" if v >= 10 else f"{v:.1f} ms",
    ),
)


def write_report(
    path: str | Path,
    evaluations: Sequence[Evaluation],
    *,
    data: AnomalyFolder,
    facts: dict[str, str] | None = None,
) -> Path:
    """Write one self-contained HTML file about what the models did on the test set of `data`.

    The pictures shown are chosen by the scores of the *last* evaluation: the defective images with its lowest
    scores, the normal images with its highest, and the defective images with its highest. What the data
    cannot give (masks, defective images, a metric) is left out.

    Args:
        path: the file to write; its folder is made when missing.
        evaluations: one or more, of the same test set. A `train_seconds` among their metrics is shown too.
        data: the data set they were evaluated on.
        facts: name to value, printed as they are: command, versions, machine.

    Returns:
        `path`.

    Raises:
        ValueError: no evaluation, or evaluations of different test sets.
        data.images.DataError: a test image that cannot be read.
    """
    evaluations = draw.comparable(evaluations)
    path = Path(path)
    labels, judge = evaluations[-1].labels, evaluations[-1]
    kinds = Counter(sample.kind for sample in judge.samples if sample.label)
    synthetic = any(e.leakage_from == "synthetic" for e in evaluations)
    page = Environment(loader=PackageLoader("mrkd_edu.app", "."), autoescape=True, keep_trailing_newline=True)
    told = page.get_template("report.html.j2").render(
        title=f"Anomaly detection on {data.name}",
        css=(files("mrkd_edu.app") / "report.css").read_text(encoding="utf-8"),
        columns=_columns(len(evaluations)),
        side=PICTURE_SIDE,
        times=TIMES,
        end=f"{THRESHOLDS_SHOWN:.0f}",
        colours=", ".join(f"rgb({r} {g} {b})" for r, g, b in scale_colours(17).tolist()),
        name=data.name,
        train=len(data.train),
        normal=int((labels == 0).sum()),
        defective=int(labels.sum()),
        kinds=list(kinds.items()),
        variants=[_variant(e) | {"counts": draw.outcomes(e)} for e in evaluations],
        rows=_rows(evaluations, synthetic),
        copied=_copied(evaluations) if evaluations[0].restored else None,
        outlined=judge.masks is not None and judge.masks.any(),
        stand_in=any(e.threshold is None for e in evaluations),
        groups=_groups(evaluations, data),
        cards=_charts(evaluations),
        synthetic=synthetic,
        **_commands(evaluations, data, path.parent),
        facts=facts or {},
    )
    with whole_file(path) as file:
        file.write(readable(told, lines=True))  # file names may hold what is no text
    return path


# ---- the facts ---------------------------------------------------------------------------------------------


def _variant(evaluation: Evaluation) -> dict[str, Any]:
    """A variant's name, and how the page shows it."""
    name = evaluation.variant
    return {"name": name, "colour": VARIANT_COLOURS.get(name, "#777777"), "words": VARIANT_WORDS.get(name)}


def _rows(evaluations: list[Evaluation], synthetic: bool) -> list[dict[str, Any]]:
    """The table of results, without what no model has."""
    rows = []
    for metric in METRICS:
        values = [e.metrics.get(metric.key) for e in evaluations]
        known = [value for value in values if value is not None]
        if not known:
            continue
        best = set()
        if metric.badness is not None and len(known) > 1:
            best.add(metric.text(min(known, key=metric.badness)))  # as text: two that print alike are equally good
        meaning = metric.meaning
        if synthetic and metric.key in ("leakage", "copying_cost"):
            meaning += " Here on synthetic defects, which favours ilm and mrkd."
        cells = ["\N{EN DASH}" if value is None else metric.text(value) for value in values]
        rows.append({"name": metric.name, "meaning": meaning, "cells": cells, "best": best})
    return rows


def _copied(evaluations: list[Evaluation]) -> dict[str, Any]:
    """What copying takes away: maps as they are, and had the student restored the normal image."""
    first = evaluations[0]
    evaluations = evaluations[:1] + evaluations[1:][-1:]  # more than two have no room side by side
    counts = []
    for e in evaluations:
        if e.restored:
            restored, lost = _restored_scores(e)
            kept, cost = np.median([e.score[i] / restored[i] for i in restored]), e.metrics["copying_cost"]
            points = None if cost is None else 100 * cost
            said = {"kept": 100 * kept, "lost": len(lost), "of": len(restored), "points": points}
            counts.append({"variant": _variant(e)} | said)
    cases = []
    for i in most_copied(first, COPIED):
        sample, image = first.samples[i], read_image(first.samples[i].path, PICTURE_SIDE)  # (320, 320, 3)
        pictures = [_photo(first, i, image, sample.path.name, "true defect outlined")]
        for e in evaluations:
            if i in e.restored:
                pictures.append(_map(e, image, e.restored[i], sample.path.name, "had it restored"))
            pictures.append(_map(e, image, e.anomaly_map[i], sample.path.name, "as it is"))
        cases.append({"label": f"{sample.kind}/{sample.path.name}", "pictures": pictures})
    return {"counts": counts, "cases": cases, "columns": 1 + sum(2 if e.restored else 1 for e in evaluations)}


def most_copied(evaluation: Evaluation, number: int) -> list[int]:
    """Indices of the test images whose score copying lowers most, see `Evaluation.restored`.

    Those that copying hides, found had the student restored and missed as it is, come first.
    """
    restored, hidden = _restored_scores(evaluation)
    return sorted(restored, key=lambda i: (i not in hidden, evaluation.score[i] - restored[i]))[:number]


def _restored_scores(evaluation: Evaluation) -> tuple[dict[int, float], set[int]]:
    """Test image -> its score had the student restored; and which are found then, and missed as it is."""
    threshold = draw.verdict_threshold(evaluation)
    restored = {i: float(heat.max()) for i, heat in evaluation.restored.items()}
    return restored, {i for i, score in restored.items() if score > threshold >= evaluation.score[i]}


def _groups(evaluations: list[Evaluation], data: AnomalyFolder) -> list[dict[str, Any]]:
    """The images that are shown, in three groups; an empty one is left out."""
    missed, alarms, found = choose(evaluations[-1], EXAMPLES)
    groups = (
        ("Hardest defects", "defective images with the lowest scores", missed),
        ("False alarms, or nearest to one", "normal images with the highest scores", alarms),
        ("Clearest defects", "defective images with the highest scores", found),
    )
    return [
        {"heading": heading, "which": which, "cases": [_case(evaluations, data, i) for i in chosen]}
        for heading, which, chosen in groups
        if chosen
    ]


def choose(evaluation: Evaluation, number: int) -> tuple[list[int], list[int], list[int]]:
    """Indices of the images that a report shows.

    Args:
        evaluation: whose scores decide.
        number: at most so many of each group.

    Returns:
        Defective images with the lowest scores, lowest first; normal images with the highest scores, highest
        first; defective images with the highest scores, highest first. No image is in two lists.
    """
    rising = np.argsort(evaluation.score, kind="stable")
    defective = [int(i) for i in rising if evaluation.labels[i]]
    normal = [int(i) for i in rising if not evaluation.labels[i]]
    missed = defective[:number]
    found = defective[len(missed) :][::-1][:number]
    return missed, normal[::-1][:number], found


def _case(evaluations: list[Evaluation], data: AnomalyFolder, index: int) -> dict[str, Any]:
    """One test image and its maps."""
    first = evaluations[0]
    sample = first.samples[index]
    name = sample.path.relative_to(data.root) if sample.path.is_relative_to(data.root) else sample.path
    image = read_image(sample.path, PICTURE_SIDE)  # (320, 320, 3)
    truth = "true defect outlined" if first.masks is not None and sample.label else "the image"
    pictures = [_photo(first, index, image, name.as_posix(), truth)]
    for e in evaluations:
        pictures.append(_map(e, image, e.anomaly_map[index], name.as_posix(), outcome=draw.outcome(e, index)))
    return {"label": name.as_posix(), "pictures": pictures}


def _photo(evaluation: Evaluation, index: int, image: np.ndarray, name: str, caption: str) -> dict[str, Any]:
    masks = evaluation.masks
    shown = image if masks is None else outline(image, masks[index])
    return {"source": _jpeg(shown), "alt": name, "caption": caption}


def _map(
    evaluation: Evaluation, image: np.ndarray, heat: np.ndarray, name: str, what: str = "", outcome: str = ""
) -> dict[str, Any]:
    """A map over its image, with its score in thresholds; without an outcome, that of a defective image."""
    threshold = draw.verdict_threshold(evaluation)
    score = float(heat.max()) / threshold
    outcome = outcome or ("found" if score > 1 else "missed")
    alt = f"{evaluation.variant}, {what}, for {name}" if what else f"anomaly map of {evaluation.variant} for {name}"
    return {
        "source": _jpeg(overlay(image, heat, shared_scale(threshold))),
        "alt": alt,
        "variant": _variant(evaluation),
        "what": f"{what}: " if what else "",
        "score": score,
        "outcome": outcome,
        "wrong": outcome in ("missed", "false alarm"),
    }


def _charts(evaluations: list[Evaluation]) -> list[dict[str, Any]]:
    labels, masks = evaluations[0].labels, evaluations[0].masks
    cards = [
        _card(
            draw.score_histogram(evaluations),
            "Scores of the test images",
            "Good: grey left of the line, colour right of it. Where grey and colour overlap, no threshold "
            "can tell normal from defective. Scores are divided by each model's threshold.",
        )
    ]
    if any(e.leakage is not None for e in evaluations):
        leakage = _card(
            draw.leakage_bars(evaluations),
            "Leakage: how far the student goes from restoring to copying",
            "Measured on pairs: an image without and with a defect. At 0 % the student describes the defective "
            "image as it describes the normal one, and the whole defect shows in the map; at 100 % it "
            "describes the defect as the teacher does, and none of it shows. The scales are grids over the "
            "image, from fine to coarse.",
        )
        cards.append(leakage | {"leakage": True})
    if 0 < labels.sum() < len(labels):
        cards.append(
            _card(
                draw.roc_curves(evaluations),
                "ROC: defects found against false alarms",
                "Every point is a possible threshold. Good: up the left side and along the top. The dot is "
                "the threshold that the model uses, chosen without the test images.",
            )
        )
    if masks is not None and masks.any():
        cards.append(
            _card(
                draw.pro_curves(evaluations),
                "PRO: area of the defects found",
                "The same question for the maps: how much of each defect is marked when so many normal pixels "
                "are marked too. AUPRO is the mean height of the curve.",
            )
        )
    return cards


def _card(figure: Picture, heading: str, text: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=CHART_DPI)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"source": source, "width": width, "height": height, "heading": heading, "text": text}


def _commands(evaluations: list[Evaluation], data: AnomalyFolder, folder: Path) -> dict[str, Any]:
    """What to type next, word by word."""
    compared = [e.variant for e in evaluations if e.variant in VARIANTS]
    variants = ",".join(compared if len(compared) > 1 else ("rd", "mrkd"))
    repeat = _words("benchmark", data.root, "--variants", variants, "--seeds", "0,1,2", "--out", "results")
    run, try_it = folder / evaluations[-1].variant, []
    if not (run / "model.json").is_file():  # `mrkd-edu demo` leaves its models beside the report
        run = Path("my_run")
        try_it.append(_words("train", data.root, "--variant", "mrkd", "--out", run))
    return {"repeat": repeat, "try_it": [*try_it, _words("predict", run, "photo.jpg", "--out", "predictions")]}


def _words(*words: str | Path) -> list[str]:
    """A line for the shell. Slashes also on Windows, whose shells know no quotes around a backslash."""
    return [shlex.quote(w.as_posix() if isinstance(w, Path) else w) for w in ("mrkd-edu", *words)]


def _columns(variants: int) -> str:
    """The numbers that report.css needs."""
    narrow = 2 if variants in (1, 3) else 3  # so that no row on a telephone holds one picture alone
    return f"--variants: {variants}; --pictures: {1 + variants}; --pictures-on-a-telephone: {narrow}"


def _jpeg(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
