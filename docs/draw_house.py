"""Draw the house: every room of the package with its files, floor by floor, and who uses whom, read from the imports.

    python docs/draw_house.py            writes docs/images/house.svg

A test draws it again and compares, so that the picture cannot go stale.
"""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mrkd_edu"
PARTS = ("teacher", "student", "ilm", "flm", "distance", "standardise", "leakage", "metrics", "recipe")
WHOLE = ("model", "train")
FLOORS = (  # from the ground up; what stands on a floor may use its own and those below
    ("runtime",),
    ("data", "nsa", "backbones", "toy"),
    ("parts",),
    ("judging",),
    ("whole",),
    ("study",),
    ("sources", "inspection"),
    ("figures",),
    ("lessons",),
    ("checks", "widgets"),
    ("assignments",),
    ("app",),
)
SAYS = {
    "runtime": "safe and quick on any machine",
    "data": "images, folders",
    "nsa": "synthetic anomalies",
    "backbones": "for a teacher",
    "toy": "the toy factory",
    "parts": "the paper's boxes, one a file",
    "judging": "from two answers to a verdict",
    "whole": "the boxes wired, and trained",
    "study": "experiments: one run, its evaluation, baselines, tables",
    "sources": "public sets, archives, photos, a bundle",
    "inspection": "what is wrong with a folder",
    "figures": "pictures in one style",
    "lessons": "what only lessons need",
    "checks": "what learners write",
    "assignments": "handed out, graded",
    "widgets": "explorers, theatre",
    "app": "what is started",
}
INK, PAPER, LINE = "#222222", "#F4F1EA", "#0072B2"
NAME = {"weight": "bold", "fontsize": 11, "color": INK}
GAP = 2.4  # between floors; 1 is a hundredth of the width


def room_of(module: str) -> str:
    """`"teacher"` to `"parts"`, `"train"` to `"whole"`, `"study.run"` to `"study"`."""
    first = module.split(".")[0]
    return "parts" if first in PARTS else "whole" if first in WHOLE else first


def used_rooms() -> dict[str, set[str]]:
    """Room to the other rooms that its files import from, at any depth of code."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = room_of(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
        if room == "__init__" or path.name == "moved.py":
            continue
        names = re.findall(r"from mrkd_edu\.(\w+)", path.read_text(encoding="utf-8"))
        found.setdefault(room, set()).update(room_of(name) for name in names)
    return {room: others - {room} for room, others in found.items()}


def edges() -> str:
    """Every use of one room by another, in words."""
    return "; ".join(f"{room} uses {', '.join(sorted(others))}" for room, others in sorted(used_rooms().items()))


def files_of(room: str) -> str:
    """The names of a room's files, or of its sub-folders where it has such."""
    if room in ("parts", "whole"):
        return ", ".join(PARTS if room == "parts" else WHOLE)
    inside = [p for p in sorted((PACKAGE / room).iterdir()) if not p.name.startswith(("_", "."))]
    folders = [f"{p.name}/" for p in inside if p.is_dir()]
    return ", ".join([p.stem for p in inside if p.suffix == ".py"] + folders)


def wrapped(names: str, width: int) -> str:
    """Names in lines of at most `width` letters."""
    lines = [""]
    for name in names.split(", "):
        joined = f"{lines[-1]}, {name}" if lines[-1] else name
        if len(joined) <= width:
            lines[-1] = joined
        else:
            lines[-1] += ","
            lines.append(name)
    return "\n".join(lines)


def letters(rooms: tuple[str, ...]) -> int:
    """How many letters of a file's name fit beside each other in a room of such a floor."""
    return int((100 / len(rooms) - 4) / 0.76)


def draw() -> plt.Figure:
    """The house as a figure."""
    plt.rcParams.update({"svg.hashsalt": "house", "svg.fonttype": "none", "font.family": "sans-serif"})
    rows = [max(wrapped(files_of(room), letters(rooms)).count("\n") + 1 for room in rooms) for rooms in FLOORS]
    heights = [3.4 + 1.35 * n for n in rows]
    figure, ax = plt.subplots(figsize=(11, 0.115 * (sum(heights) + GAP * len(FLOORS))))
    ax.set(xlim=(0, 100), ylim=(0, sum(heights) + GAP * len(FLOORS)))
    ax.axis("off")
    at, ground = {}, 0.5
    for rooms, height in zip(FLOORS, heights, strict=True):
        width = 100 / len(rooms)
        for i, room in enumerate(rooms):
            x, own = i * width + 1, room in ("parts", "whole")
            shape = FancyBboxPatch(
                (x, ground), width - 2, height, "round,pad=0.2",
                facecolor="#FFE9B8" if own else PAPER, edgecolor=INK, linewidth=1,
            )
            ax.add_patch(shape)
            title = ax.text(x + 0.6, ground + height - 0.4, "mrkd_edu/" if own else f"{room}/", va="top", **NAME)
            says = {"xytext": (6, 0), "textcoords": "offset points", "fontsize": 9, "color": "#555555"}
            ax.annotate(SAYS[room], (1, 0), xycoords=title, va="bottom", **says)
            files = wrapped(files_of(room), letters(rooms))
            ax.text(x + 0.6, ground + height - 2.6, files, fontsize=8.5, va="top", color=INK)
            at[room] = (x + width / 2 - 1, ground, ground + height)
        ground += height + GAP
    level_of = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
    for room, others in sorted(used_rooms().items()):
        below = [o for o in others if level_of[o] == level_of[room] - 1]
        for other in sorted(below):
            ax.annotate(
                "", (at[other][0], at[other][2] + 0.3), (at[room][0], at[room][1] - 0.3),
                arrowprops={"arrowstyle": "->", "color": LINE, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0},
            )
    ax.set_title("Each room uses what lies below it. Arrows: from one floor to the next.", loc="left", fontsize=12)
    figure.tight_layout()
    return figure


def main(target: Path = ROOT / "docs" / "images" / "house.svg") -> Path:
    """Write the picture."""
    facts = {"Description": edges(), "Date": None, "Creator": None}
    draw().savefig(target, metadata=facts)
    return target


if __name__ == "__main__":
    print(main())
