"""A room without a network: toy data, trained models, teachers and the list of packages, in one file on a stick.

    bundle.json                  what is in it, with the hash of every file
    toy/<hash>/<category>/...    toy sets, as the cache keeps them
    runs/<key>/model.*           models that were trained on these
    teachers/<name>.safetensors  weights of torchvision's teachers, as far as they were downloaded
    wheels.txt, READ_ME.txt      packages in their versions, and what to do in the room

A run's key in the cache names the machine's number format and its torch. Where a bundle is opened, each model gets the
key that it has there: a room of different laptops shares the models, and sees the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save
from tqdm.auto import tqdm

import mrkd_edu
from mrkd_edu.backbones.registry import FETCHED
from mrkd_edu.backbones.resnet import kept_teacher, torchvision_weights
from mrkd_edu.data.files import DataError, as_path, check_file
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.layouts import visible_folders
from mrkd_edu.runtime.cache import cache_folder
from mrkd_edu.runtime.hardware import format_name, pick_device
from mrkd_edu.runtime.writing import check_room, explained, unfinished_folder, whole_file
from mrkd_edu.sources.archive import unpack
from mrkd_edu.study.prepare import Plan
from mrkd_edu.study.run import home_of, trained_by

FORMAT = 1
CONTENTS = "bundle.json"
MODEL = ("model.json", "model.safetensors")
PLAN = TypeAdapter(Plan)
READ_ME = """\
A room without a network
========================

At home, with a network, on a computer like those in the room (same system, same Python):

    pip download -r wheels.txt -d wheels
    pip wheel --no-deps -w wheels .            in a clone of the project, for the project itself

Put the folder wheels/, this file's archive, and a clone of the project (for its notebooks) on the stick. In the room:

    python -m venv .venv
    source .venv/bin/activate                  Windows: .venv\\Scripts\\Activate.ps1
    pip install --no-index --find-links wheels -r wheels.txt
    pip install --no-index --no-deps wheels/mrkd_edu-*.whl
    mrkd-edu data import bundle.zip            toy data, models and teachers, to where they belong
    mrkd-edu doctor
"""


@dataclass
class Bundle:
    """What is in a bundle, or what was taken out of it.

    Attributes:
        path: the file.
        toys: toy sets.
        runs: trained models.
        teachers: names of teachers.
        packages: how many packages the list names.
        size: bytes.
        already: of those, how many were there.
        notes: what has to be said besides.
    """

    path: Path
    toys: int = 0
    runs: int = 0
    teachers: list[str] = field(default_factory=list)
    packages: int = 0
    size: int = 0
    already: int = 0
    notes: list[str] = field(default_factory=list)


def make_bundle(out: str | Path, *, progress: bool = True) -> Bundle:
    """Pack what the cache holds for a room without a network.

    Only models are packed that this version of the code has trained on toy sets that are there: no others would be
    found again.

    Args:
        out: the file to write, `.zip`.
        progress: show a bar.

    Raises:
        DataError: `out` is a folder.
        writing.NotWritten: no room, or no right to write there.
    """
    out, home = as_path(out), cache_folder()
    if out.is_dir():
        raise DataError(f"{out} is a folder; name the file to write, such as {out / 'bundle.zip'}")
    found = Bundle(out)
    contents: dict[str, Any] = {"format": FORMAT, "mrkd_edu": mrkd_edu.__version__, "code": trained_by(), "runs": []}
    contents |= {"torch": torch.__version__, "number_format": format_name(pick_device())}
    files: dict[str, Path | bytes] = {}
    toys = list(_toys(home))
    for toy in toys:
        for path in sorted(toy.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                files[f"toy/{path.relative_to(home / 'toy').as_posix()}"] = path
    for folder, toy, plan in _runs(home, toys):
        place = toy.relative_to(home / "toy").as_posix()
        contents["runs"].append({"run": folder.name, "toy": place, "plan": plan})
        files |= {f"runs/{folder.name}/{name}": folder / name for name in MODEL}
    for name in FETCHED:
        if (weights := torchvision_weights(name)) is not None:
            files[f"teachers/{name}.safetensors"] = save(weights)
            found.teachers.append(name)
    wheels = packages()
    files |= {"wheels.txt": "".join(f"{line}\n" for line in wheels).encode(), "READ_ME.txt": READ_ME.encode()}
    found.toys, found.runs, found.packages = len(toys), len(contents["runs"]), len(wheels)
    found.size = sum(len(what) if isinstance(what, bytes) else what.stat().st_size for what in files.values())
    check_room(out.absolute().parent, found.size)
    hashes = {}
    with whole_file(out, "wb") as file, zipfile.ZipFile(file, "w") as archive:  # pictures and weights do not shrink
        for name, what in tqdm(files.items(), desc="packing", unit="file", disable=not progress):
            content = what if isinstance(what, bytes) else what.read_bytes()
            archive.writestr(name, content)
            hashes[name] = hashlib.sha256(content).hexdigest()
        archive.writestr(CONTENTS, json.dumps({**contents, "files": hashes}, indent=1))
    if not found.runs:
        found.notes.append("No trained models: run the lessons here first (make notebooks), then pack again.")
    if not found.teachers:
        found.notes.append("No teacher of torchvision's was ever downloaded here; the offline one comes as a package.")
    return found


def is_bundle(path: str | Path) -> bool:
    """Whether a file is a bundle.

    Example:
        >>> is_bundle(__file__)
        False
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return CONTENTS in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def open_bundle(path: str | Path, *, progress: bool = True) -> Bundle:
    """Put what a bundle holds into the cache. What is there already is left alone.

    Args:
        path: the file.
        progress: show a bar.

    Raises:
        DataError: damaged, or of another version. Nothing was changed.
        writing.NotWritten: no room, or a cache that cannot be written.
    """
    path, home = as_path(path), cache_folder()
    check_file(path)
    check_room(home, path.stat().st_size)
    with unfinished_folder(home / "bundle") as unfinished:
        unpack(path, unfinished, suffixes=(".json", ".txt", ".png", ".safetensors"), progress=progress)
        contents = _read_contents(path, unfinished)
        opened = Bundle(path, size=path.stat().st_size)
        with explained(home):
            toys = {toy.relative_to(unfinished / "toy").as_posix(): toy for toy in _toys(unfinished)}
            opened.toys = len(toys)
            for place, toy in toys.items():
                opened.already += not _moved(toy, home / "toy" / place)
            for weights in sorted((unfinished / "teachers").glob("*.safetensors")):
                if weights.stem in FETCHED:
                    opened.teachers.append(weights.stem)
                    opened.already += not _moved(weights, kept_teacher(weights.stem))
            if contents["code"] == trained_by():
                runs = [entry for entry in contents["runs"] if entry.get("toy") in toys]
                _take_runs(runs, unfinished, home, opened)
            elif contents["runs"]:
                opened.notes.append(
                    f"{len(contents['runs'])} models were left out: another version of mrkd_edu has trained them."
                )
        here = (torch.__version__, format_name(pick_device()))
        if opened.runs and (contents["torch"], contents["number_format"]) != here:
            opened.notes.append(
                f"The models were trained with torch {contents['torch']} in {contents['number_format']}; here it is "
                f"torch {here[0]} in {here[1]}. They are taken all the same, and give the numbers of that machine."
            )
        return opened


def _take_runs(runs: list[dict[str, Any]], unfinished: Path, home: Path, opened: Bundle) -> None:
    """Each model to where this machine would look for it."""
    device = pick_device()
    for entry in runs:
        source = unfinished / "runs" / Path(str(entry.get("run"))).name
        if source.is_dir():
            opened.runs += 1
            data = AnomalyFolder(home / "toy" / entry["toy"])
            opened.already += not _moved(source, home_of(data, entry["plan"], device))


def _moved(source: Path, target: Path) -> bool:
    """Move a file or folder to where nothing is yet."""
    if os.path.lexists(target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        source.rename(target)
        return True
    return False


def _read_contents(path: Path, folder: Path) -> dict[str, Any]:
    """What a bundle says of itself, once every file in it is as it was packed."""
    damaged = DataError(f"{path} is damaged, or no bundle. Copy it again, or make it anew:  mrkd-edu data bundle FILE")
    try:
        contents = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        files, runs = contents["files"], list(contents["runs"])
        said = (contents["code"], contents["torch"], contents["number_format"])
        if contents["code"] == trained_by():  # of another code not even the settings need be known here
            contents["runs"] = [{**entry, "plan": PLAN.validate_python(entry["plan"])} for entry in runs]
    except (OSError, ValueError, TypeError, KeyError, ValidationError, RecursionError) as error:
        raise damaged from error
    if contents.get("format") != FORMAT or not all(isinstance(word, str) for word in said):
        raise DataError(f"{path} was made by another version of mrkd_edu. Make it anew:  mrkd-edu data bundle FILE")
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {CONTENTS}
    if not isinstance(files, dict) or present != set(files):
        raise damaged
    for name in present:
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != files[name]:
            raise damaged
    return contents


def _toys(home: Path) -> Iterator[Path]:
    """The toy sets of a cache that are whole, as far as their record says."""
    for folder in visible_folders(home / "toy") if (home / "toy").is_dir() else []:
        yield from (category for category in visible_folders(folder) if (category / "toy.json").is_file())


def _runs(home: Path, toys: list[Path]) -> Iterator[tuple[Path, Path, dict[str, Any]]]:
    """Every run of a cache that this code has trained, with its toy set and its plan."""
    device, data = pick_device(), [AnomalyFolder(toy) for toy in toys]
    for folder in visible_folders(home / "runs") if (home / "runs").is_dir() else []:
        try:
            history = json.loads((folder / MODEL[0]).read_text(encoding="utf-8"))["settings"]["history"]
            plan, category = PLAN.validate_python(history["plan"]), history["category"]
        except (OSError, ValueError, TypeError, KeyError, ValidationError):
            continue  # unfinished, damaged, or older
        for toy in data:
            if toy.name == category and home_of(toy, plan, device).name == folder.name:
                yield folder, toy.root, history["plan"]
                break


def packages(of: str = "mrkd-edu", extras: tuple[str, ...] = ("notebooks",)) -> list[str]:
    """Every package that one needs, with the version that is installed here, for `pip download -r`.

    Example:
        >>> any(line.startswith("torch==") for line in packages())
        True
    """
    found: dict[str, str] = {}
    waiting = [(of, frozenset(extras))]
    seen = set(waiting)
    while waiting:
        name, wanted = waiting.pop()
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # of another system, or an extra that is not installed
        if name != of:
            found[name] = package.version
        for line in package.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in wanted or {""}):
                following = (str(canonicalize_name(needed.name)), frozenset(needed.extras))
                waiting += [] if following in seen else [following]
                seen.add(following)
    return [f"{name}=={version}" for name, version in sorted(found.items())]
