"""The report: what the models did on a test set, as one HTML file that opens anywhere.

All pictures are inside the file; there is no script and no request to any server. The same results give the
same bytes: no date, no random choice. Text that comes from file names or from the caller is escaped.

The page is made of small functions that each return a piece of HTML; `write_report` puts them in order. How it
looks is in `report.css`.
"""

from __future__ import annotations

import base64
import io
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import read_image
from mrkd_edu.figures import heat as heat_figures
from mrkd_edu.figures import results as plots
from mrkd_edu.figures import style as style_figures
from mrkd_edu.figures.heat import THRESHOLDS_SHOWN
from mrkd_edu.figures.style import TIMES, VARIANT_COLOURS
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
    evaluations = plots.comparable(evaluations)
    path = Path(path)
    title = escape(f"Anomaly detection on {data.name}")
    body = "\n".join(
        [
            _heading(title, evaluations, data),
            _method(evaluations, data),
            _table(evaluations),
            _copied(evaluations, data),
            _pictures(evaluations, data),
            _charts(evaluations),
            _how_to_read(evaluations, data, path.parent),
            _facts(facts or {}),
        ]
    )
    css = (files("mrkd_edu.app") / "report.css").read_text(encoding="utf-8")
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n'  # no icon: or the browser would ask a server for one
        f"<title>{title}</title>\n<style>\n{css}</style>\n</head>\n"
        f'<body>\n<main style="{_columns(len(evaluations))}">\n{body}\n</main>\n</body>\n</html>\n'
    )
    with whole_file(path) as file:
        file.write(readable(page, lines=True))  # file names may hold what is no text
    return path


# ---- the sections ------------------------------------------------------------------------------------------


def _heading(title: str, evaluations: list[Evaluation], data: AnomalyFolder) -> str:
    labels = evaluations[-1].labels
    kinds = Counter(sample.kind for sample in evaluations[-1].samples if sample.label)
    listed = f" ({', '.join(f'{escape(kind)} {count}' for kind, count in kinds.items())})" if kinds else ""
    counts = (
        f"{len(data.train)} normal images to learn from; test set of {int((labels == 0).sum())} normal and "
        f"{int(labels.sum())} defective images{listed}."
    )
    findings = "".join(f"<li>{_variant(e)} {_verdict_counts(e)}</li>" for e in evaluations)
    return f"""<header><h1>{title}</h1><p class="lead">{counts}</p>
<ul class="findings">{findings}</ul></header>"""


def _verdict_counts(evaluation: Evaluation) -> str:
    if evaluation.threshold is None:
        return "has no threshold, and so gives scores but no verdict."
    count = plots.outcomes(evaluation)
    parts = []
    if defective := count["found"] + count["missed"]:
        parts.append(f"finds <b>{count['found']} of {defective}</b> defective images")
    if normal := count["passed"] + count["false alarm"]:
        plural = "" if count["false alarm"] == 1 else "s"
        parts.append(f"gives <b>{count['false alarm']}</b> false alarm{plural} on {normal} normal images")
    return " and ".join(parts) + "."


def _method(evaluations: list[Evaluation], data: AnomalyFolder) -> str:
    items = [(_variant(e), VARIANT_WORDS.get(e.variant)) for e in evaluations]
    variants = "".join(f"<li>{name} {words}</li>" for name, words in items if words)
    return f"""<section><h2>What was done</h2>
<p>A <em>teacher</em>, a neural network that has learned from everyday photographs, describes every place of
an image in numbers. A <em>student</em> learns to give the same description, and practises on the
{len(data.train)} normal images of {escape(data.name)} only. It never sees a real defect, so on a defect the
two should disagree. Where they disagree, the <em>anomaly map</em> is hot. The map's highest value is the
image's <em>score</em>; a score above a <em>threshold</em>, chosen from normal images alone, is called defective.</p>
<p>The danger is a student that learns too well: it copies the defect as well, agrees with the teacher, and the
map stays cold. How a student practises makes the difference:</p>
<ul>{variants}</ul></section>"""


def _table(evaluations: list[Evaluation]) -> str:
    rows = []
    for metric in METRICS:
        values = [e.metrics.get(metric.key) for e in evaluations]
        known = [value for value in values if value is not None]
        if not known:
            continue
        best = set()
        if metric.badness is not None and len(known) > 1:
            best.add(metric.text(min(known, key=metric.badness)))  # as text: two that print alike are equally good
        cells = []
        for value in values:
            text = "&ndash;" if value is None else metric.text(value)
            cells.append(f"<td><b>{text}</b></td>" if text in best else f"<td>{text}</td>")
        meaning = metric.meaning
        if metric.key in ("leakage", "copying_cost") and _synthetic(evaluations):
            meaning += " Here on synthetic defects, which favours ilm and mrkd."
        rows.append(f'<tr><th scope="row">{metric.name}<small>{meaning}</small></th>{"".join(cells)}</tr>')
    head = "".join(f'<th scope="col">{_variant(e)}</th>' for e in evaluations)
    note = "<p>The best value of each row is bold; times vary too much for that.</p>" if len(evaluations) > 1 else ""
    width = "wide" if len(evaluations) > 2 else "narrow"
    return f"""<section><h2>Results</h2>{note}
<table class="{width}"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></section>"""


def _copied(evaluations: list[Evaluation], data: AnomalyFolder) -> str:
    """What copying takes away: maps as they are, and had the student restored the normal image."""
    first = evaluations[0]
    if not first.restored:
        return ""
    evaluations = evaluations[:1] + evaluations[1:][-1:]  # more than two have no room side by side
    columns = 1 + sum(2 if e.restored else 1 for e in evaluations)
    grid = f'<div class="row" style="--pictures: {columns}">'
    rows = "".join(
        f"<article><h4>{escape(f'{first.samples[i].kind}/{first.samples[i].path.name}')}</h4>"
        f"{grid}{_what_is_left(evaluations, data, i)}</div></article>"
        for i in most_copied(first, COPIED)
    )
    name = _variant(first)
    return f"""<section><h2>What copying takes away</h2>
<p>Every defective image here has a twin, the same image without its defect. So one can give a student the teacher's
description of the twin, and hold its answer against the description of the defect: that is the map had it
<em>restored</em> the normal image. What the real map lacks beside it has been copied. Shown are defects that copying
hides from {name}, if there are any, and those whose score it lowers most: an illustration, not the usual case.</p>
<ul>{_copying_counts(evaluations)}</ul>
{rows}</section>"""


def most_copied(evaluation: Evaluation, number: int) -> list[int]:
    """Indices of the test images whose score copying lowers most, see `Evaluation.restored`.

    Those that copying hides, found had the student restored and missed as it is, come first.
    """
    restored, hidden = _restored_scores(evaluation)
    return sorted(restored, key=lambda i: (i not in hidden, evaluation.score[i] - restored[i]))[:number]


def _restored_scores(evaluation: Evaluation) -> tuple[dict[int, float], set[int]]:
    """Test image -> its score had the student restored; and which are found then, and missed as it is."""
    threshold = plots.verdict_threshold(evaluation)
    restored = {i: float(heat.max()) for i, heat in evaluation.restored.items()}
    return restored, {i for i, score in restored.items() if score > threshold >= evaluation.score[i]}


def _copying_counts(evaluations: list[Evaluation]) -> str:
    """For each student: how much of a score copying leaves, and how many defects it hides."""
    items = []
    for e in evaluations:
        if not e.restored:
            continue
        restored, lost = _restored_scores(e)
        kept = np.median([e.score[i] / restored[i] for i in restored])
        cost = e.metrics["copying_cost"]
        points = "" if cost is None else f" Copying costs it {100 * cost:.1f} points of image AUROC."
        items.append(
            f"<li>{_variant(e)} keeps <b>{100 * kept:.0f} %</b> of a defect's score (median), and copies "
            f"<b>{len(lost)} of {len(restored)}</b> defects out of sight: it would find them had it restored the "
            f"normal image, and misses them.{points}</li>"
        )
    return "".join(items)


def _what_is_left(evaluations: list[Evaluation], data: AnomalyFolder, index: int) -> str:
    """One defective image: its outline, and each student's map had it restored the normal image, and as it is."""
    sample, masks = evaluations[0].samples[index], evaluations[0].masks
    label = escape(sample.path.name, quote=True)
    image = read_image(sample.path, PICTURE_SIDE)  # (320, 320, 3)
    outlined = image if masks is None else heat_figures.outline(image, masks[index])
    figures = [_figure(outlined, label, "true defect outlined")]
    shown = []
    for e in evaluations:
        shown += [(e, e.restored[index], "had it restored")] if index in e.restored else []
        shown.append((e, e.anomaly_map[index], "as it is"))
    for evaluation, heat, what in shown:
        threshold = plots.verdict_threshold(evaluation)
        score = float(heat.max()) / threshold
        outcome = "found" if score > 1 else '<span class="wrong">missed</span>'
        picture = heat_figures.overlay(image, heat, heat_figures.shared_scale(threshold))
        caption = f"{_variant(evaluation)} {what}: {score:.2f} {TIMES} threshold: {outcome}"
        figures.append(_figure(picture, f"{escape(evaluation.variant)}, {what}, for {label}", caption))
    return "".join(figures)


def _pictures(evaluations: list[Evaluation], data: AnomalyFolder) -> str:
    judge = evaluations[-1]
    missed, alarms, found = choose(judge, EXAMPLES)
    name = _variant(judge)
    groups = (
        ("Hardest defects", f"The defective images with the lowest scores of {name}.", missed),
        ("False alarms, or nearest to one", f"The normal images with the highest scores of {name}.", alarms),
        ("Clearest defects", f"The defective images with the highest scores of {name}.", found),
    )
    parts = [
        f"<h3>{heading}</h3><p>{text}</p>" + "".join(_case(evaluations, data, i) for i in chosen)
        for heading, text, chosen in groups
        if chosen
    ]
    notes = []
    if judge.masks is not None and judge.masks.any():
        notes.append("The cyan line is the true outline of the defect.")
    notes.append(
        "Each map is divided by the threshold of its own model, and all pictures share one colour scale: the middle "
        "of the bar is the threshold, for every model and every image. So colours can be compared; values "
        f"beyond {THRESHOLDS_SHOWN:.0f} thresholds look like {THRESHOLDS_SHOWN:.0f}."
    )
    if any(e.threshold is None for e in evaluations):
        notes.append("Where a model has no threshold, the highest score of its normal test images stands in.")
    return f"""<section><h2>Images and maps</h2>
<p>{" ".join(notes)}</p>
{_colour_bar()}
{"".join(parts)}</section>"""


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


def _case(evaluations: list[Evaluation], data: AnomalyFolder, index: int) -> str:
    """One test image and its maps."""
    sample, masks = evaluations[0].samples[index], evaluations[0].masks
    name = sample.path.relative_to(data.root) if sample.path.is_relative_to(data.root) else sample.path
    label = escape(name.as_posix(), quote=True)
    image = read_image(sample.path, PICTURE_SIDE)  # (320, 320, 3)
    shown = image if masks is None else heat_figures.outline(image, masks[index])
    truth = "true defect outlined" if masks is not None and sample.label else "the image"
    figures = [_figure(shown, label, truth)]
    for evaluation in evaluations:
        threshold = plots.verdict_threshold(evaluation)
        heat = heat_figures.overlay(image, evaluation.anomaly_map[index], heat_figures.shared_scale(threshold))
        outcome = plots.outcome(evaluation, index)
        wrong = ' class="wrong"' if outcome in ("missed", "false alarm") else ""
        caption = (
            f"{_variant(evaluation)} {evaluation.score[index] / threshold:.2f} {TIMES} threshold: "
            f"<span{wrong}>{outcome}</span>"
        )
        figures.append(_figure(heat, f"anomaly map of {escape(evaluation.variant)} for {label}", caption))
    return f'<article><h4>{label}</h4><div class="row">{"".join(figures)}</div></article>'


def _figure(image: np.ndarray, alt: str, caption: str) -> str:
    picture = f'<img src="{_jpeg(image)}" width="{PICTURE_SIDE}" height="{PICTURE_SIDE}" alt="{alt}">'
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _colour_bar() -> str:
    colours = ", ".join(f"rgb({r} {g} {b})" for r, g, b in heat_figures.scale_colours(17).tolist())
    return f"""<div class="scale" role="img" aria-label="colour scale from 0 to {THRESHOLDS_SHOWN:.0f} thresholds">
<div class="bar" style="background: linear-gradient(to right, {colours})"></div>
<div class="ticks"><span>0</span><span>1 = threshold</span><span>{THRESHOLDS_SHOWN:.0f} and more</span></div></div>"""


def _charts(evaluations: list[Evaluation]) -> str:
    labels = evaluations[0].labels
    cards = [
        _card(
            plots.score_histogram(evaluations),
            "Scores of the test images",
            "Good: grey left of the line, colour right of it. Where grey and colour overlap, no threshold "
            "can tell normal from defective. Scores are divided by each model's threshold.",
        )
    ]
    if any(e.leakage is not None for e in evaluations):
        cards.append(
            _card(
                plots.leakage_bars(evaluations),
                "Leakage: how far the student goes from restoring to copying",
                "Measured on pairs: an image without and with a defect. At 0 % the student describes the defective "
                "image as it describes the normal one, and the whole defect shows in the map; at 100 % it "
                "describes the defect as the teacher does, and none of it shows. The scales are grids over the "
                f"image, from fine to coarse. {_pairs(evaluations)}",
            )
        )
    if 0 < labels.sum() < len(labels):
        cards.append(
            _card(
                plots.roc_curves(evaluations),
                "ROC: defects found against false alarms",
                "Every point is a possible threshold. Good: up the left side and along the top. The dot is "
                "the threshold that the model uses, chosen without the test images.",
            )
        )
    if evaluations[0].masks is not None and evaluations[0].masks.any():
        cards.append(
            _card(
                plots.pro_curves(evaluations),
                "PRO: area of the defects found",
                "The same question for the maps: how much of each defect is marked when so many normal pixels "
                "are marked too. AUPRO is the mean height of the curve.",
            )
        )
    return f'<section><h2>Charts</h2><div class="cards">{"".join(cards)}</div></section>'


def _synthetic(evaluations: list[Evaluation]) -> bool:
    return any(e.leakage_from == "synthetic" for e in evaluations)


def _pairs(evaluations: list[Evaluation]) -> str:
    """What leakage was measured on."""
    if _synthetic(evaluations):
        return (
            "<b>The defects here are synthetic</b>, pasted into normal test images, because the test set has no image "
            "both with and without its defect. They are of the kind that ilm and mrkd were trained with, which favours "
            "these two: on real defects their leakage may be higher."
        )
    return "Each pair is a defective test image and the same image without the defect."


def _card(figure: style_figures.Picture, heading: str, text: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=CHART_DPI)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    image = f'<img src="{source}" width="{width}" height="{height}" alt="{heading}">'
    return f'<figure class="card"><h3>{heading}</h3>{image}<figcaption>{text}</figcaption></figure>'


def _how_to_read(evaluations: list[Evaluation], data: AnomalyFolder, folder: Path) -> str:
    compared = [e.variant for e in evaluations if e.variant in VARIANTS]
    variants = ",".join(compared if len(compared) > 1 else ("rd", "mrkd"))
    repeat = _command("benchmark", data.root, "--variants", variants, "--seeds", "0,1,2", "--out", "results")
    run, train = folder / evaluations[-1].variant, ""
    if not (run / "model.json").is_file():  # `mrkd-edu demo` leaves its models beside the report
        run = Path("my_run")
        train = _command("train", data.root, "--variant", "mrkd", "--out", run) + "<br>\n"
    predict = _command("predict", run, "photo.jpg", "--out", "predictions")
    return f"""<section><h2>How to read this, and what next</h2>
<ul>
<li><b>Look at the hardest defects first.</b> Is the map cold on a defect that is plain to see? If the leakage is
high, the student copies the defect. If it is low, the teacher hardly sees the defect: a larger image size or another
teacher may help.</li>
<li><b>Then at the false alarms.</b> Heat on dust, light or wear that is in fact normal means that too few
training images show it. Add such images.</li>
<li><b>Found, or well ranked?</b> AUROC asks only for the order of the scores. How many defects are found also
depends on the threshold: a high AUROC with many missed defects means that the threshold is too high.</li>
<li><b>Small differences may be chance.</b> One training is one draw. Before you call one variant better, repeat
with other seeds:<br>
{repeat}</li>
<li><b>Try an image of your own:</b><br>
{train}{predict}</li>
</ul>
<p>Run these commands in the folder in which the report was made.</p></section>"""


def _command(*words: str | Path) -> str:
    """A line for the shell. Slashes also on Windows, whose shells know no quotes around a backslash."""
    quoted = [escape(shlex.quote(w.as_posix() if isinstance(w, Path) else w)) for w in ("mrkd-edu", *words)]
    # A browser would break a line after the first hyphen of an option; the style of a span forbids it.
    return f"<code>{' '.join(f'<span>{w}</span>' if w.startswith('--') else w for w in quoted)}</code>"


def _facts(facts: dict[str, str]) -> str:
    if not facts:
        return ""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<section><h2>How it was made</h2><dl>{rows}</dl></section>"


# ---- small things ------------------------------------------------------------------------------------------


def _variant(evaluation: Evaluation) -> str:
    """A variant's name with its colour beside it."""
    colour = VARIANT_COLOURS.get(evaluation.variant, "#777777")
    return f'<span class="variant"><i style="background:{colour}"></i>{escape(evaluation.variant)}</span>'


def _columns(variants: int) -> str:
    """The numbers that report.css needs."""
    narrow = 2 if variants in (1, 3) else 3  # so that no row on a telephone holds one picture alone
    return f"--variants: {variants}; --pictures: {1 + variants}; --pictures-on-a-telephone: {narrow}"


def _jpeg(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
