"""`mrkd-edu data` as a person would use it."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faulty_server import Server, server, sha256
from PIL import Image
from published_layouts import btad, mask, picture, write_archive, write_folder
from typer.testing import CliRunner, Result

from mrkd_edu.app import data as module
from mrkd_edu.app.cli import app
from mrkd_edu.sources import fetch, place, registry
from mrkd_edu.sources.registry import SETS

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("toy", "list", "get", "import", "check", "photos", "bundle")


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with a small BTAD, which the registry knows."""
    archive = write_archive(tmp_path / "btad.zip", btad()).read_bytes()
    with server() as running:
        url = running.put("btad.zip", archive)
        entry = replace(SETS["btad"], url=url, sha256=sha256(archive), size=len(archive))
        for changed in (registry, fetch, place):
            monkeypatch.setattr(changed, "SETS", {**SETS, "btad": entry})
        monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
        yield running


def call(*words: object, answers: str | None = None) -> Result:
    env = {"COLUMNS": "200", "TERM": "dumb"}
    return CliRunner().invoke(app, ["data", *map(str, words)], env=env, input=answers)


def failure(*words: object, **options: Any) -> str:
    result = call(*words, **options)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return re.sub(r"\s+", " ", result.stderr)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"Example: mrkd-edu data {command}" in re.sub(r"\s+", " ", result.output)


def test_list(tmp_path: Path) -> None:
    said = call("list", "--root", tmp_path).output
    assert all(name in said for name in SETS)
    assert "5.3 GB" in said and "CC BY-NC-SA 4.0" in said


def test_get_does_nothing_without_a_yes(room: Server, tmp_path: Path) -> None:
    assert "add --accept-licence" in failure("get", "btad", "--root", tmp_path / "data")
    assert not room.asked and not (tmp_path / "data").exists()


@pytest.mark.parametrize("answer", [True, False])
def test_a_person_is_asked(answer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _: True})())
    monkeypatch.setattr(module.typer, "confirm", lambda question: answer)
    if answer:
        module.agree(SETS["visa"], accepted=False)
    else:
        with pytest.raises(ValueError, match="Nothing was downloaded"):
            module.agree(SETS["visa"], accepted=False)


def test_get_list_and_get_again(room: Server, tmp_path: Path) -> None:
    words = ("get", "btad", "--root", tmp_path / "data", "--accept-licence")
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert "Not for commercial use" in done.output and "Cite: Mishra" in done.output
    assert "btad: 3 categories, 18 files" in done.output
    assert f"mrkd-edu data check {tmp_path / 'data' / 'btad' / '01'}" in done.output
    assert re.search(r"btad .*yes", call("list", "--root", tmp_path / "data").output)
    again = call("get", "btad", "--root", tmp_path / "data")  # asks nobody: there is nothing to accept
    assert again.exit_code == 0 and "It was there already: nothing was done." in again.output
    assert len(room.asked) == 1


def test_get_from_a_computer_in_the_room(room: Server, tmp_path: Path) -> None:
    url = room.put("copy/of/btad.zip", room.files["btad.zip"].content)
    words = ("get", "btad", "--root", tmp_path / "data", "--accept-licence", "--url", url, "--category", "02", "--keep")
    done = call(*words)
    assert done.exit_code == 0 and "1 category, 6 files" in done.output
    assert f"The archive is kept: {tmp_path / 'data' / 'archives' / 'btad.zip'}" in done.output


def test_get_of_nothing(room: Server, tmp_path: Path) -> None:
    assert "did you mean btad?" in failure("get", "btd", "--root", tmp_path)
    room.files.clear()
    said = failure("get", "btad", "--root", tmp_path, "--accept-licence")
    assert "the server says 404" in said and "data import FILE" in said


def test_import_of_an_archive_and_of_nothing(tmp_path: Path) -> None:
    files = {f"good/{i}.png": picture(i) for i in range(3)} | {"notes.doc": b"1"}
    done = call("import", write_archive(tmp_path / "washer.zip", files), "--root", tmp_path / "data")
    assert done.exit_code == 0 and "washer: 1 category, 3 files" in done.output
    assert "Left out: 1 files that are no image, table or text" in done.output
    assert "is no archive" in failure("import", write_folder(tmp_path, {"a.png": picture(0)}) / "a.png")
    assert "does not exist" in failure("import", tmp_path / "nothing.zip")


def test_bundle_and_import_of_it(room: Server, tmp_path: Path) -> None:
    packed = call("bundle", tmp_path / "b.zip")
    assert packed.exit_code == 0 and "0 toy sets, 0 trained models" in packed.output
    assert "run the lessons here first" in packed.stderr
    opened = call("import", tmp_path / "b.zip")
    assert opened.exit_code == 0 and "of these 0 were here already" in opened.output


def test_check_reports_and_draws(tmp_path: Path) -> None:
    files = {f"washer/good/{i}.png": picture(i) for i in range(5)}
    files |= {"washer/good/broken.png": b"no picture", "washer/scratch/0.png": picture(9)}
    files |= {"washer/masks/scratch/0.png": mask()}
    folder = write_folder(tmp_path, files)
    done = call("check", folder, "--sheet", tmp_path / "sheet.jpg")
    assert done.exit_code == 1, "a file that cannot be read ends a training"
    assert "broken.png" in done.output and "nothing is wrong" not in done.output
    with Image.open(tmp_path / "sheet.jpg") as drawn:
        assert drawn.format == "JPEG" and drawn.width > 300
    facts = json.loads(call("check", folder, "--json").stdout)
    assert facts[0]["name"] == "washer" and any(p["severity"] == "error" for p in facts[0]["problems"])
    assert "does not exist" in failure("check", tmp_path / "nothing")


def test_check_of_several_categories_draws_one_sheet_each(tmp_path: Path) -> None:
    files = {f"{name}/good/{i}.png": picture(10 * n + i) for n, name in enumerate("ab") for i in range(3)}
    call("check", write_folder(tmp_path, files), "--sheet", tmp_path / "sheet.jpg")
    assert {p.name for p in tmp_path.glob("*.jpg")} == {"sheet_a.jpg", "sheet_b.jpg"}


def test_photos_by_options_and_by_questions(tmp_path: Path) -> None:
    files = {f"fine/IMG_{i}.jpg": picture(i, ".jpg") for i in range(6)}
    files |= {"broken/IMG_7.jpg": picture(7, ".jpg")}
    write_folder(tmp_path, files)
    words = ("photos", "--good", tmp_path / "fine", "--bad", tmp_path / "broken", "--out", tmp_path / "washer")
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert f"mrkd-edu demo --data {tmp_path / 'washer'}" in done.output
    assert len(list((tmp_path / "washer" / "good").iterdir())) == 6
    asked = call("photos", answers=f"{tmp_path / 'fine'}\n{tmp_path / 'broken'}\n\n{tmp_path / 'second'}\n")
    assert asked.exit_code == 0, asked.output
    assert len(list((tmp_path / "second" / "defect").iterdir())) == 1
    alone = call("photos", answers=f"{tmp_path / 'fine'}\n\n{tmp_path / 'third'}\n")
    assert alone.exit_code == 0 and {p.name for p in (tmp_path / "third").iterdir()} == {"good", "photos.csv"}
    assert "Traceback" not in failure("photos", "--good", tmp_path / "nothing", "--out", tmp_path / "fourth")


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "data_scripts").glob("*.py")))
def test_every_script_explains_itself(script: str) -> None:
    words = [sys.executable, str(ROOT / "data_scripts" / script), "--help"]
    run = subprocess.run(words, capture_output=True, text=True, env={"COLUMNS": "200", "TERM": "dumb", "PATH": ""})
    assert run.returncode == 0, run.stderr
    assert "usage" in run.stdout.lower()
    runpy.run_path(str(ROOT / "data_scripts" / script))  # imported, it does nothing
