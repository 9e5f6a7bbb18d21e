"""Releases, solutions, class lists: what is handed out, and who handed in what."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import nbformat
import pytest
from course_material import hand_in, small_master
from nbclient import NotebookClient
from typer.testing import CliRunner

from mrkd_edu.app.cli import app
from mrkd_edu.assignments.build import build
from mrkd_edu.assignments.classroom import write_export, write_table
from mrkd_edu.assignments.grade import Graded
from mrkd_edu.assignments.master import Master, masters
from mrkd_edu.assignments.roster import Student, find_student, handed_in, read_class

MOODLE = "\ufeffIdentifier,Full name,ID number,Email address,Grade\nParticipant 7,Ada Lovelace,al1,ada@example.org,\n"
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Final Score\n    Points Possible,,,,,(read only)\n"
    '"Lovelace, Ada",12,al1,ada,1,\n"Zuse, Konrad",13,kz2,konrad,1,\n'
)


@pytest.fixture
def master(tmp_path: Path) -> Master:
    return small_master(tmp_path / "masters")


def test_a_release_holds_no_solution_and_no_hidden_test(master: Master, tmp_path: Path) -> None:
    [files] = build([master], tmp_path / "course")
    released = nbformat.read(files.release, as_version=4)
    text = files.release.read_text()
    for word in ("BEGIN", "amax", "HIDDEN", "is not None", "Because it is so"):
        assert word not in text, word
    assert "def image_score(maps):\n    ..." in [cell.source for cell in released.cells]
    locked = [c for c in released.cells if c.metadata.get("nbgrader", {}).get("locked")]
    assert locked and all(not c.metadata.editable and not c.metadata.deletable for c in locked)
    with zipfile.ZipFile(files.archive) as archive:
        assert archive.namelist() == ["00/00_small.ipynb"]
        assert archive.read("00/00_small.ipynb").decode() == text
    before = files.archive.read_bytes()
    build([master], tmp_path / "course")
    assert files.archive.read_bytes() == before, "the same master gives the same zip"


def test_a_release_runs_and_says_what_is_missing(master: Master, tmp_path: Path) -> None:
    [files] = build([master], tmp_path / "course")
    released = nbformat.read(files.release, as_version=4)
    NotebookClient(released, timeout=120).execute()
    said = "".join(out.text for c in released.cells if c.cell_type == "code" for out in c.outputs if "text" in out)
    assert "image_score: not written yet." in said


def test_solutions_are_those_of_the_master_without_its_marks(master: Master, tmp_path: Path) -> None:
    [files] = build([master], tmp_path / "course")
    solved = nbformat.read(files.solution, as_version=4)
    sources = [cell.source for cell in solved.cells]
    assert "def image_score(maps):\n    return maps.flatten(1).amax(1)" in sources
    assert not any("###" in source for source in sources)


def test_a_folder_without_masters_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no master"):
        masters(tmp_path)


# --- who handed in what ---------------------------------------------------------------------------------------


def test_names_of_moodle_and_canvas_are_understood(tmp_path: Path) -> None:
    (tmp_path / "Ada Lovelace_1234567_assignsubmission_file_").mkdir()
    for name in (
        "zusekonrad_LATE_12_34_A1_masks.ipynb",
        "hopper_56_78_A1_masks-2.zip",
        "Grace Hopper_99_assignsubmission_file_A1.ipynb",
        "plain.ipynb",
        "notes.txt",
        ".DS_Store",
    ):
        (tmp_path / name).write_text("")
    found = {each.student: each.late for each in handed_in(tmp_path)}
    assert found == {
        "Ada Lovelace": False, "zusekonrad": True, "hopper": False, "Grace Hopper": False, "plain": False,
    }
    with pytest.raises(NotADirectoryError, match="Unpack"):
        handed_in(tmp_path / "plain.ipynb")


def test_class_lists_of_moodle_canvas_and_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_text(MOODLE, encoding="utf-8")
    [ada] = read_class(path).students
    assert ada is not None
    assert find_student("Ada Lovelace", [ada]) == ada and ada.email == "ada@example.org"
    path.write_text(CANVAS, encoding="utf-8")
    nobody, *listed = read_class(path).students
    both = [student for student in listed if student is not None]
    assert nobody is None and [s.id for s in both] == ["12", "13"]
    assert find_student("lovelaceada", both) == both[0], "Canvas writes last and first name together"
    path.write_text("student;name\nal1;Ada Lovelace\n", encoding="utf-8")
    assert read_class(path).students == [Student("al1", "Ada Lovelace")]
    path.write_text("colour\nred\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"class\.csv names no students.*It has colour"):
        read_class(path)
    twins = [Student("1", "Ada Lovelace"), Student("2", "Ada Lovelace")]
    assert find_student("Ada Lovelace", twins) is None, "nobody is guessed"


def graded(student: str, points: float, name: str = "00") -> Graded:
    return Graded(student, name, {"test_image_score": points, "test_is_defective": 0.0, "report": None})


def test_the_table_has_those_who_handed_in_nothing_and_no_formulas(master: Master, tmp_path: Path) -> None:
    students = [Student("al1", "Ada Lovelace", "ada@example.org"), Student("kz2", "Konrad Zuse")]
    write_table(tmp_path / "g.csv", [graded("lovelaceada", 3), graded("=1+1", 3)], master, students)
    rows = {row["student"]: row for row in csv.DictReader((tmp_path / "g.csv").read_text().splitlines())}
    assert set(rows) == {"al1", "kz2", "'=1+1"}
    assert (rows["al1"]["points"], rows["al1"]["of"], rows["al1"]["by_hand"]) == ("3", "10", "2")
    assert rows["kz2"]["points"] == "0" and "Nothing was handed in" in rows["kz2"]["notes"]


@pytest.mark.parametrize(
    "text, expected",
    [
        (MOODLE, {"Ada Lovelace": "3"}),
        (CANVAS, {"Points Possible": "", "Lovelace, Ada": "3", "Zuse, Konrad": "0"}),
    ],
)
def test_the_class_list_comes_back_with_a_column_of_grades(
    text: str, expected: dict[str, str], tmp_path: Path
) -> None:
    path, out = tmp_path / "class.csv", tmp_path / "export.csv"
    path.write_text(text, encoding="utf-8")
    write_export(out, read_class(path), [graded("Ada Lovelace", 3), graded("stranger", 1)])
    rows = list(csv.DictReader(out.read_text().splitlines()))
    before = list(csv.DictReader(text.lstrip("\ufeff").splitlines()))
    assert [{k: v for k, v in row.items() if k != "00"} for row in rows] == before
    assert {(row.get("Full name") or row["Student"]).strip(): row["00"] for row in rows} == expected


# --- the command ----------------------------------------------------------------------------------------------


def test_the_command_builds_grades_and_exports(master: Master, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = ["--masters", str(master.path.parent)]
    run = CliRunner().invoke
    done = run(app, ["course", "build", *folder])
    assert done.exit_code == 0 and (tmp_path / "course" / "zips" / "00.zip").is_file(), done.output
    hand_in(tmp_path / "handed" / "ada.ipynb", report="Because.")
    (tmp_path / "class.csv").write_text("student,name\nada,Ada Lovelace\nkz2,Konrad Zuse\n")
    done = run(app, ["course", "grade", "handed", "-a", "00", "--class-list", "class.csv", *folder])
    assert done.exit_code == 0, done.output
    assert "1 submissions, 8.0 of 10 points on average" in done.output and "1 wait for points by hand" in done.output
    export = (tmp_path / "grades-export.csv").read_text().splitlines()
    assert export == ["student,name,00", "ada,Ada Lovelace,8", "kz2,Konrad Zuse,0"]
    done = run(app, ["course", "grade", "handed", "-a", "Z9", *folder])
    assert done.exit_code == 1 and "There is no assignment 'Z9'. There are: 00." in done.output
    (tmp_path / "nothing").mkdir()
    done = run(app, ["course", "grade", "nothing", "-a", "00", *folder])
    assert done.exit_code == 1 and "Nothing is handed in" in done.output


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrkd_edu.app.course.find_spec", lambda name: None if name == "nbgrader" else name)
    for command in (["course", "build"], ["course", "grade", "handed", "-a", "A1"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 1 and "need nbgrader, which is not installed" in done.output, done.output
