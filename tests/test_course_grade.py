"""Grading: what a submission can get, whatever it does, and what it costs the others."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat
import psutil
import pytest
from course_material import SCORE, VERDICT, hand_in, marks, small_master
from nbformat.v4 import new_code_cell, new_notebook

from mrkd_edu.assignments.classroom import grade_folder
from mrkd_edu.assignments.grade import Graded, grade_submission
from mrkd_edu.assignments.limits import Limits
from mrkd_edu.assignments.master import Master
from mrkd_edu.assignments.sandbox import walls

QUICK = Limits(seconds=4)
WALLED = pytest.mark.skipif(not walls().namespaces, reason=f"no namespaces here: {walls()}")


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Master:
    return small_master(tmp_path_factory.mktemp("masters"))


def graded(master: Master, path: Path, limits: Limits = QUICK) -> Graded:
    return grade_submission("ada", path, master, limits=limits, hide=[path.parent])


def automatic(found: Graded) -> tuple[float | None, float | None]:
    return found.points["test_image_score"], found.points["test_is_defective"]


# --- what is written ------------------------------------------------------------------------------------------


def test_right_and_wrong_and_unwritten(master: Master, tmp_path: Path) -> None:
    found = graded(master, hand_in(tmp_path / "a.ipynb", report="Because."))
    assert automatic(found) == (3, 5) and found.points["report"] is None and not found.notes
    wrong = VERDICT.replace(">", ">=")
    found = graded(master, hand_in(tmp_path / "b.ipynb", is_defective=wrong))
    assert automatic(found) == (3, 0) and "on the threshold itself" in found.says["test_is_defective"]
    assert found.points["report"] == 0, "the text that was handed out is no answer"
    untouched = [f"{source.splitlines()[0]}\n    ..." for source in (SCORE, VERDICT)]
    found = graded(master, hand_in(tmp_path / "c.ipynb", *untouched))
    assert found.total == 0 and found.says["test_image_score"] == "Not written."


def test_the_release_itself_gets_nothing_and_the_master_everything(master: Master, tmp_path: Path) -> None:
    from mrkd_edu.assignments.build import release

    nbformat.write(release(master), tmp_path / "release.ipynb")
    assert graded(master, tmp_path / "release.ipynb").total == 0
    assert automatic(graded(master, master.path)) == (3, 5)


def test_helpers_of_a_students_own_are_run(master: Master, tmp_path: Path) -> None:
    score = "def image_score(maps):\n    return largest(maps)"
    helper = "def largest(maps):\n    return maps.amax((1, 2))"
    assert automatic(graded(master, hand_in(tmp_path / "a.ipynb", score, extra=[helper]))) == (3, 5)


# --- what costs its own points alone --------------------------------------------------------------------------

FATAL = {
    "endless loop": "def image_score(maps):\n    while True: pass",
    "memory": "def image_score(maps):\n    kept = []\n    while True: kept.append(bytearray(2**26))",
    "fork bomb": "import os\ndef image_score(maps):\n    while True: os.fork()",
    "crash": "import ctypes\ndef image_score(maps):\n    return ctypes.string_at(0)",
    "end of the process": "import os\ndef image_score(maps):\n    os._exit(0)",
    "exit": "def image_score(maps):\n    exit()",
    "recursion": "def image_score(maps):\n    return image_score(maps)",
    "a huge answer": "def image_score(maps):\n    return torch.zeros(2**25)",
    "a strange answer": "def image_score(maps):\n    return lambda: 1",
    "nested without end": "def image_score(maps):\n    a = []\n    a.append(a)\n    return a",
}


@WALLED
@pytest.mark.parametrize("what", FATAL)
def test_one_function_costs_its_own_points(master: Master, tmp_path: Path, what: str) -> None:
    found = graded(master, hand_in(tmp_path / "a.ipynb", FATAL[what]))
    assert automatic(found) == (0, 5)
    assert len(found.says["test_image_score"]) > 20, "it is said why"


@WALLED
def test_a_cell_that_never_ends_is_left_out(master: Master, tmp_path: Path) -> None:
    found = graded(master, hand_in(tmp_path / "a.ipynb", extra=["while True: pass", "import os\nos._exit(1)", "1 / 0"]))
    assert automatic(found) == (3, 5)
    assert "does a loop never end" in found.notes[0] and "process ended" in found.notes[1], found.notes


@WALLED
def test_a_process_that_is_left_behind_ends_with_the_submission(master: Master, tmp_path: Path) -> None:
    mark = f"{time.time():.0f}.123"
    start = f"import subprocess\nsubprocess.Popen(['sleep', '{mark}'], start_new_session=True)"
    assert automatic(graded(master, hand_in(tmp_path / "a.ipynb", extra=[start]))) == (3, 5)
    assert not [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


# --- what raises no grade -------------------------------------------------------------------------------------

WRONG = "def image_score(maps):\n    return maps.mean((1, 2))"
FORGED = {
    "patching the checks": "import mrkd_edu.checks.exercise as e\ne.difference = e.asked = lambda *a, **k: None",
    "patching torch": "import torch\ntorch.equal = torch.allclose = lambda *a, **k: True",
    "patching numpy": "import numpy as np\nnp.isclose = lambda a, b, **k: np.ones_like(a, bool)",
    "printing a result": "print('1 passed', 8, 'of 8 points')",
    "a test cell of one's own": "def check(*a): return True\ngrade = check\nassert grade(1, 2)",
}
STOLEN = {  # cells that stop, since what they reach for is not there
    "the library's own answer": (
        "import importlib\nimage_score = importlib.import_module('mrkd_edu.checks.welcome').image_score"
    ),
    "the library from its folder": (
        "import sys\nsys.path.insert(0, '{root}')\nfor name in [n for n in sys.modules if n.startswith('mrkd_edu')]:\n"
        "    del sys.modules[name]\nfrom mrkd_edu.checks.welcome import image_score"
    ),
    "the master": "solved = open('{master}').read()",
    "other submissions": "import glob\nfound = 1 / len(glob.glob('{here}/*'))",
    "the network": "import socket\nsocket.create_connection(('127.0.0.1', 9), 1)",
    "the disk": "open('{root}/left_behind', 'w')",
    "a large file": "open('big', 'wb').write(bytes(80 * 2**20))",
    "many files": "for i in range(40): open(f'b{i}', 'wb').write(bytes(2**21))",
    "open files": "kept = [open('f%d' % i, 'w') for i in range(500)]",
}
SENT = {
    "noise to the grader": (
        "import os\nfor fd in range(3, 40):\n    try: os.write(fd, b'x' * 16)\n    except OSError: pass"
    ),
    "answers for the worker": (
        "import os\nfrom mrkd_edu.assignments.wire import packed\n"
        "says = packed({'state': 'written', 'got': True, 'stopped': None, 'changed': False})\n"
        "for fd in range(3, 40):\n    try: os.write(fd, says * 50)\n    except OSError: pass"
    ),
}


@WALLED
def test_nothing_but_a_right_answer_is_right(master: Master, tmp_path: Path) -> None:
    found = graded(master, hand_in(tmp_path / "a.ipynb", WRONG, extra=list(FORGED.values())))
    assert automatic(found) == (0, 5), found


@WALLED
@pytest.mark.parametrize("what", SENT)
def test_messages_of_ones_own_raise_no_grade(master: Master, tmp_path: Path, what: str) -> None:
    assert graded(master, hand_in(tmp_path / "a.ipynb", WRONG, extra=[SENT[what]])).points["test_image_score"] == 0


@WALLED
def test_library_masters_others_network_and_disk_are_out_of_reach(master: Master, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[1]
    here = tmp_path / "handed in, group B"  # a name with blanks is hidden like any other
    places = {"{root}": root, "{master}": master.path, "{here}": here}
    cells = list(STOLEN.values())
    for name, place in places.items():
        cells = [cell.replace(name, str(place)) for cell in cells]
    found = graded(master, hand_in(here / "a.ipynb", WRONG, extra=cells))
    assert found.points["test_image_score"] == 0, found
    for what, cell in zip(STOLEN, cells, strict=True):
        first = cell.splitlines()[0][:60]
        assert any(f"begins with `{first}" in note and "stops" in note for note in found.notes), (what, found.notes)
    assert not (root / "left_behind").exists()


def test_a_colleague_is_told_where_to_look(master: Master, tmp_path: Path) -> None:
    cells = ["import ctypes", "x = eval('1')", "from os import fork"]
    found = graded(master, hand_in(tmp_path / "a.ipynb", extra=cells))
    assert found.look == ["imports ctypes", "calls eval()"]


# --- what is handed in ----------------------------------------------------------------------------------------


def test_odd_files_cost_their_own_points_and_are_said(master: Master, tmp_path: Path) -> None:
    proper = hand_in(tmp_path / "proper.ipynb").read_text()
    inside = tmp_path / "folder.zip"
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("my work/A (1)/renamed.ipynb", proper)
        archive.writestr("__MACOSX/._renamed.ipynb", "rubbish")
    twice = json.loads(proper)
    for cell in twice["cells"]:
        cell["id"] = "same"
    lost = json.loads(proper)
    lost["cells"] = [c for c in lost["cells"] if "image_score" not in "".join(c["source"])]
    again = json.loads(proper)
    again["cells"].append(again["cells"][1] | {"id": "again"})
    of_another = hand_in(tmp_path / "x.ipynb", metadata={"mrkd_edu": {"assignment": "A9"}}).read_text()
    cases = {
        "broken": (proper[:200], None, "damaged"),
        "empty": ("", None, "damaged"),
        "no notebook": ("[1, 2]", None, "no cells"),
        "foreign": (json.dumps(new_notebook(cells=[new_code_cell("1")])), None, "none of its cells"),
        "another": (of_another, None, "of A9"),
        "same ids": (json.dumps(twice), (3, 5), "same id"),
        "lost": (json.dumps(lost), (0, 5), "missing: image_score"),
        "again": (json.dumps(again), (3, 5), "there twice"),
        "renamed": (proper, (3, 5), "is called renamed.txt"),
        "metadata": (json.dumps(json.loads(proper) | {"metadata": {"mrkd_edu": 7}}), (3, 5), ""),
    }
    for name, (content, points, words) in cases.items():
        path = tmp_path / ("renamed.txt" if name == "renamed" else f"{name}.ipynb")
        path.write_text(content, encoding="utf-8")
        found = graded(master, path)
        assert automatic(found) == (points or (0, 0)), name
        assert words in " ".join(found.notes), name
    assert automatic(graded(master, inside)) == (3, 5)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights of their own on Windows")
def test_a_link_to_somebody_elses_work_is_no_submission(master: Master, tmp_path: Path) -> None:
    theirs = hand_in(tmp_path / "bob" / "work.ipynb")
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "mine.ipynb").symlink_to(theirs)
    (tmp_path / "eve.ipynb").symlink_to(theirs)
    assert "no notebook" in graded(master, tmp_path / "ada").notes[0]
    assert "a link" in graded(master, tmp_path / "eve.ipynb").notes[0]


def test_a_notebook_of_the_old_format_is_graded(master: Master, tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "language": "python", "input": s, "outputs": []} for s in (SCORE, VERDICT)]
    cells[0]["metadata"] = marks("image_score", solution=True)
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells, "metadata": {}}]}
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps(old), encoding="utf-8")
    found = graded(master, path)
    assert automatic(found) == (3, 5) and "old format 3" in " ".join(found.notes)


# --- a whole class --------------------------------------------------------------------------------------------


def test_a_class_is_graded_kept_and_graded_alike_again(master: Master, tmp_path: Path) -> None:
    folder = tmp_path / "submissions"
    hand_in(folder / "Ada Lovelace_12_assignsubmission_file_" / "work.ipynb")
    hand_in(folder / "bobsmith_LATE_3_4_00_small.ipynb", WRONG)
    (folder / "carl.ipynb").write_text("{")
    kept: dict[str, bool] = {}

    def go() -> list[Graded]:
        return grade_folder(
            folder, master, tmp_path / "g.csv", limits=QUICK, done=lambda g, k: kept.update({g.student: k})
        )

    first = go()
    assert {g.student: g.total for g in first} == {"Ada Lovelace": 8, "bobsmith": 5, "carl": 0}
    assert not any(kept.values())
    table = (tmp_path / "g.csv").read_text()
    again = go()
    assert all(kept.values()) and again == first and (tmp_path / "g.csv").read_text() == table
    afresh = grade_folder(folder, master, tmp_path / "afresh.csv", limits=QUICK)
    assert [(g.points, g.says, g.notes) for g in afresh] == [(g.points, g.says, g.notes) for g in first]
    hand_in(folder / "carl.ipynb")
    third = go()
    assert kept == {"Ada Lovelace": True, "bobsmith": True, "carl": False} and third[-1].total == 8
    rows = list(csv.DictReader((tmp_path / "g.csv").read_text().splitlines()))
    assert [row["student"] for row in rows] == ["Ada Lovelace", "bobsmith", "carl"]
    assert rows[1]["image_score"] == "0" and "late" in rows[1]["notes"]
    pages = sorted(p.name for p in (tmp_path / "g" / "feedback").iterdir())
    assert len(pages) == 3 and pages[-2:] == ["bobsmith.html", "carl.html"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT of a process group is another thing on Windows")
def test_grading_that_was_interrupted_goes_on(master: Master, tmp_path: Path) -> None:
    folder = tmp_path / "submissions"
    for i in range(4):
        hand_in(folder / f"s{i}.ipynb")
    command = [sys.executable, "-m", "mrkd_edu.app.cli", "course", "grade", str(folder), "-a", "00"]
    command += ["--masters", str(master.path.parent), "--out", str(tmp_path / "g.csv"), "--jobs", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    while len(list((tmp_path / "g").glob("*.json"))) < 1 and process.poll() is None:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {p.stem: p.read_text() for p in (tmp_path / "g").glob("*.json")}
    assert 1 <= len(done) < 4
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert all((tmp_path / "g" / f"{name}.json").read_text() == text for name, text in done.items())
    assert len(list(csv.DictReader((tmp_path / "g.csv").read_text().splitlines()))) == 4


def test_a_page_runs_nothing(master: Master, tmp_path: Path) -> None:
    folder = tmp_path / "submissions"
    evil = "<script>alert(1)</script> <img src='http://example.org/x' onerror='alert(2)'>"
    hand_in(folder / "eve.ipynb", report=evil)
    grade_folder(folder, master, tmp_path / "g.csv", limits=QUICK)
    page = (tmp_path / "g" / "feedback" / "eve.html").read_text()
    assert "<script" not in page and not re.search(r"<\w[^>]*onerror", page)
    assert "default-src 'none'" in page, "and if something were left, the page forbids it"
    assert "8 of 10 points; 2 more are given by a person" in page
