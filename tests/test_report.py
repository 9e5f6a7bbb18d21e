"""The report: complete, safe and readable, whatever the data set lacks, and as a browser shows it."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from playwright.sync_api import sync_playwright
from sample_results import four_results, results_of, small_toy

from mrkd_edu.app.cli import app
from mrkd_edu.app.report import choose, most_copied, write_report
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import DataError
from mrkd_edu.study.evaluate import Evaluation

VOID = {"meta", "link", "img", "br"}  # elements without an end


class Page(HTMLParser):
    """Reads a page: its text, its elements, and whether every element is closed where it was opened."""

    def __init__(self, path: Path):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AnomalyFolder:
    return small_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def results(data: AnomalyFolder) -> list[Evaluation]:
    return four_results(data)


@pytest.fixture(scope="module")
def full_report(data: AnomalyFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All four variants, and words too long for a narrow screen."""
    root = tmp_path_factory.mktemp("long") / ("Unbreakable" * 9)
    data = AnomalyFolder(shutil.copytree(data.root, root))
    facts = {"command": "mrkd-edu demo --data " + "a_long_folder_name/" * 12}
    path = tmp_path_factory.mktemp("out") / "new" / "report.html"
    return write_report(path, four_results(data), data=data, facts=facts)


def rows_of(path: Path) -> dict[str, list[str]]:
    """Name of a metric -> its cells, as HTML."""
    table = re.search(r"<tbody>(.*?)</tbody>", path.read_text(encoding="utf-8"), re.DOTALL)
    assert table
    rows = re.findall(r'<tr><th scope="row">(.*?)<small>.*?</th>(.*?)</tr>', table[1], re.DOTALL)
    return {name: re.findall(r"<td>(.*?)</td>", cells) for name, cells in rows}


# ---- what it says ------------------------------------------------------------------------------------------


def check_content(path: Path, shown: list[Evaluation]) -> None:
    page = Page(path)
    assert path.stat().st_size < 3e6
    assert "2 normal images to learn from; test set of 5 normal and 7 defective images" in page.text
    # 4 hardest, 4 nearest to a false alarm, and the 3 defective images that are left; then 4 charts
    assert len(page.all("article")) == 11
    assert len(page.all("img")) == 11 * (1 + len(shown)) + 4
    for evaluation in shown:
        auroc = evaluation.metrics["image_auroc"]
        assert auroc is not None and f"{auroc:.3f}" in page.text


def test_a_report_on_four_variants(full_report: Path, results: list[Evaluation]) -> None:
    check_content(full_report, results)
    assert "mrkd-edu demo --data" in Page(full_report).text


def test_a_report_on_one_variant(data: AnomalyFolder, results: list[Evaluation], tmp_path: Path) -> None:
    one, two = (write_report(tmp_path / name, results[-1:], data=data) for name in ("1.html", "2.html"))
    check_content(one, results[-1:])
    assert one.read_bytes() == two.read_bytes()  # the same results give the same bytes


def test_the_file_needs_nothing_else(full_report: Path) -> None:
    page = Page(full_report)
    assert not page.all("script")
    sources = [image["src"] or "" for image in page.all("img")] + [link["href"] or "" for link in page.all("link")]
    assert all(source.startswith("data:") for source in sources)
    text = re.sub(r"base64,[A-Za-z0-9+/=]*", "", full_report.read_text(encoding="utf-8"))
    assert not re.search(r"https?:|//[a-z]|url\(|@import", text)
    assert all(image["alt"] for image in page.all("img"))


def with_twins(evaluation: Evaluation, above: float) -> Evaluation:
    """As if the student copied: had it restored, every defect would score `above` its score, in thresholds."""
    assert evaluation.threshold
    scores = np.where(evaluation.labels, 0.9 * evaluation.threshold, evaluation.score)
    maps = np.where(evaluation.labels[:, None, None] == 1, 0.9 * evaluation.threshold, evaluation.anomaly_map)
    heat = np.full_like(evaluation.anomaly_map[0], (0.9 + above) * evaluation.threshold)
    restored = dict.fromkeys(np.flatnonzero(evaluation.labels).tolist(), heat)
    metrics = evaluation.metrics | {"copying_cost": 0.083}
    return replace(evaluation, score=scores, anomaly_map=maps, restored=restored, metrics=metrics)


def test_what_copying_takes_away(data: AnomalyFolder, results: list[Evaluation], tmp_path: Path) -> None:
    rd, mrkd = with_twins(results[0], 0.9), with_twins(results[-1], 0.0)
    page = Page(write_report(tmp_path / "report.html", [rd, results[1], mrkd], data=data))
    assert "rd keeps 50 % of a defect's score (median), and copies 7 of 7 defects out of sight" in page.text
    assert "mrkd keeps 100 % of a defect's score (median), and copies 0 of 7 defects out of sight" in page.text
    assert "Copying costs it 8.3 points of image AUROC." in page.text
    assert "rd had it restored: 1.80 \N{MULTIPLICATION SIGN} threshold: found" in page.text
    assert "rd as it is: 0.90 \N{MULTIPLICATION SIGN} threshold: missed" in page.text
    assert most_copied(rd, 2) == np.flatnonzero(rd.labels).tolist()[:2]
    assert "copying takes" not in Page(write_report(tmp_path / "none.html", results, data=data)).text


def test_the_better_value_is_bold(data: AnomalyFolder, results: list[Evaluation], tmp_path: Path) -> None:
    rd = replace(results[0], metrics={"image_auroc": 0.9, "aupro": 0.50004, "leakage": 0.05, "f1_max": None})
    mrkd = replace(results[3], metrics={"image_auroc": 0.8, "aupro": 0.50001, "leakage": -0.4, "f1_max": 0.7})
    rows = rows_of(write_report(tmp_path / "report.html", [rd, mrkd], data=data))
    assert rows["Image AUROC"] == ["<b>0.900</b>", "0.800"]
    assert rows["AUPRO"] == ["<b>0.500</b>", "<b>0.500</b>"]  # they print alike
    assert rows["Leakage"] == ["<b>5 %</b>", "-40 %"]  # near 0 is best
    assert rows["F1-max"] == ["\N{EN DASH}", "0.700"]  # nothing to compare with
    assert "Pixel AUROC" not in rows


def test_times_are_not_a_contest(data: AnomalyFolder, results: list[Evaluation], tmp_path: Path) -> None:
    slow = replace(results[3], metrics={"train_seconds": 200.0, "ms_per_image": 99.0})
    rows = rows_of(write_report(tmp_path / "report.html", [results[0], slow], data=data))
    assert rows["Training"] == ["90 s", "200 s"]
    assert rows["Time per image"] == ["12 ms", "99 ms"]


def test_the_images_shown_are_the_last_variants_extremes(results: list[Evaluation]) -> None:
    judge = results[-1]
    missed, alarms, found = choose(judge, 3)
    defective, normal = judge.score[judge.labels == 1], judge.score[judge.labels == 0]
    assert judge.score[missed].tolist() == np.sort(defective)[:3].tolist()
    assert judge.score[alarms].tolist() == np.sort(normal)[::-1][:3].tolist()
    assert judge.score[found].tolist() == np.sort(defective)[::-1][:3].tolist()
    everything = choose(judge, 99)
    assert sorted(itertools.chain(*everything)) == list(range(len(judge.score)))


def test_it_says_what_leakage_was_measured_on(data: AnomalyFolder, results: list[Evaluation], tmp_path: Path) -> None:
    twins = Page(write_report(tmp_path / "twins.html", results[:1], data=data)).text
    assert "the same image without the defect" in twins and "synthetic, pasted" not in twins
    pasted = [replace(e, leakage_from="synthetic") for e in results[:1]]
    synthetic = Page(write_report(tmp_path / "synthetic.html", pasted, data=data)).text
    assert "the same image without the defect" not in synthetic
    assert "ilm and mrkd were trained with, which favours these two" in synthetic
    assert "Here on synthetic defects" in synthetic and "Here on synthetic defects" not in twins


def commands_of(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The commands that a report ends with, as the command line understands them: name and options."""
    parsed = []
    lines = re.findall("<code>(mrkd-edu .*?)</code>", path.read_text(encoding="utf-8").split("what next")[1])
    for line in lines:
        program, name, *words = shlex.split(unescape(re.sub("</?span>", "", line)))
        assert program == "mrkd-edu"
        subcommand = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
        parsed.append((name, subcommand.make_context(name, words).params))
    return parsed


def test_the_commands_at_the_end_can_be_typed(data: AnomalyFolder, results: list[Evaluation], tmp_path: Path) -> None:
    root = shutil.copytree(data.root, tmp_path / "it's my <data> & more")
    data = AnomalyFolder(root)
    path = write_report(tmp_path / "my report" / "report.html", four_results(data)[1:], data=data)
    (benchmark, repeat), (train, own), (predict, image) = commands_of(path)
    assert (benchmark, train, predict) == ("benchmark", "train", "predict")
    assert repeat["data"] == [root] and repeat["variants"] == "ilm,flm,mrkd" and repeat["seeds"] == "0,1,2"
    assert own["data"] == root and own["out"] == image["run"]
    (path.parent / "mrkd").mkdir()
    (path.parent / "mrkd" / "model.json").write_text("{}", encoding="utf-8")
    path = write_report(path, four_results(data)[3:], data=data)  # beside its model, as the demo writes it
    (benchmark, repeat), (predict, image) = commands_of(path)
    assert repeat["variants"] == "rd,mrkd"  # one variant alone is no comparison
    assert image["run"] == path.parent / "mrkd"


def test_missed_defects_and_false_alarms_are_called_so(
    data: AnomalyFolder, results: list[Evaluation], tmp_path: Path
) -> None:
    rd = results[0]
    page = Page(write_report(tmp_path / "a.html", [replace(rd, threshold=1e9)], data=data))
    assert "finds 0 of 7 defective images and gives 0 false alarms on 5 normal images" in page.text
    assert page.text.count("threshold: missed") == 7
    page = Page(write_report(tmp_path / "b.html", [replace(rd, threshold=1e-9)], data=data))
    assert "finds 7 of 7 defective images and gives 5 false alarms" in page.text
    assert page.text.count("threshold: false alarm") == 4


# ---- what a data set may lack ------------------------------------------------------------------------------


def test_without_masks(data: AnomalyFolder, results: list[Evaluation], tmp_path: Path) -> None:
    bare = [replace(e, masks=None, metrics=e.metrics | {"aupro": None, "pixel_auroc": None}) for e in results[:2]]
    page = Page(write_report(tmp_path / "report.html", bare, data=data))
    assert "ROC:" in page.text and "PRO: area" not in page.text and "cyan" not in page.text


def test_with_normal_images_only(data: AnomalyFolder, tmp_path: Path) -> None:
    root = tmp_path / "only_good"
    for part in ("train", "test"):
        shutil.copytree(data.root / part / "good", root / part / "good")
    good = AnomalyFolder(root)
    evaluation = replace(results_of(good, "rd", 1.0, 0.3), leakage=None, metrics={})
    page = Page(write_report(tmp_path / "report.html", [evaluation], data=good))
    assert len(page.all("article")) == 4
    assert "5 normal and 0 defective images." in page.text and "Leakage" not in page.text
    assert "Hardest" not in page.text.split("How to read")[0]


def test_with_defective_images_only(data: AnomalyFolder, tmp_path: Path) -> None:
    root = tmp_path / "no_good"
    shutil.copytree(data.root, root)
    shutil.rmtree(root / "test" / "good")
    bad = AnomalyFolder(root)
    evaluation = replace(results_of(bad, "mrkd", 1.0, 0.3), threshold=None)
    page = Page(write_report(tmp_path / "report.html", [evaluation], data=bad))
    assert "no verdict" in page.text and "has no threshold" in page.text and "ROC:" not in page.text
    assert "PRO: area" in page.text


# ---- what may go wrong -------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows allows no such file names")
def test_names_cannot_break_the_page(data: AnomalyFolder, tmp_path: Path) -> None:
    evil = '<img src=x onerror="alert(1)">'
    root = tmp_path / evil
    shutil.copytree(data.root, root, ignore=shutil.ignore_patterns("ground_truth", "twins"))
    (root / "test" / "chip").rename(root / "test" / evil)
    for image in (root / "test" / "good").iterdir():
        image.rename(image.with_name(os.fsdecode(b"caf\xe9 <b>") + image.name))
    data = AnomalyFolder(root)
    evaluation = results_of(data, "rd", 1.0, 0.3)
    page = Page(write_report(tmp_path / "report.html", [evaluation], data=data, facts={evil: evil}))
    assert page.text.count(evil) >= 6
    assert "<b>000.png" in page.text
    assert {image.get("src", "")[:11] for image in page.all("img")} == {"data:image/"}  # type: ignore[index]


def test_errors(data: AnomalyFolder, results: list[Evaluation], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    rd, mrkd = results[0], results[-1]
    with pytest.raises(ValueError, match="no evaluation"):
        write_report(path, [], data=data)
    with pytest.raises(ValueError, match="different test images"):
        write_report(path, [rd, replace(mrkd, samples=mrkd.samples[::-1])], data=data)
    gone = [replace(sample, path=tmp_path / sample.path.name) for sample in rd.samples]
    path.write_text("the report of yesterday", encoding="utf-8")
    with pytest.raises(DataError, match="does not exist"):
        write_report(path, [replace(rd, samples=gone)], data=data)
    assert path.read_text(encoding="utf-8") == "the report of yesterday"  # an error loses nothing


# ---- in a browser ------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_in_a_browser(chromium: str, full_report: Path) -> None:
    wider = """() => [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
        .map(e => e.outerHTML.slice(0, 80))"""
    broken = "() => [...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.alt)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        complaints: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        for width in (1200, 400):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(full_report.as_uri())
            assert page.evaluate("document.images.length") == 59
            assert page.evaluate(broken) == []
            assert page.evaluate(wider) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    assert complaints == []
    assert {url for url in requests if not url.startswith("data:")} == {full_report.as_uri()}
