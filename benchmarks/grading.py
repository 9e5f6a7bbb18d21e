"""How long a class takes: submissions of an assignment, right, wrong and ill-behaved ones, graded side by side.

    python benchmarks/grading.py --assignment A2 --students 100 --jobs 2

Prints the time of the whole, of one submission (median, 95th percentile, the slowest with its name), and the peak
memory of the grader and of the largest process of a submission.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from mrkd_edu.assignments.build import MARKERS, release
from mrkd_edu.assignments.classroom import grade_folder
from mrkd_edu.assignments.master import Master, mark, masters
from mrkd_edu.assignments.sandbox import walls
from mrkd_edu.checks.catalogue import ASSIGNMENTS, exercises

ILL = {  # what a student in twenty does to one of the functions
    "loop": "    while True:\n        pass",
    "memory": "    kept = []\n    while True:\n        kept.append(bytearray(2**26))",
    "crash": "    import os\n    os._exit(1)",
}


def submissions(master: Master, students: int, folder: Path) -> None:
    """Each student's notebook: every function is right, typically wrong, or not written, by a draw."""
    rng, answers = np.random.default_rng(0), importlib.import_module(f"answers.{ASSIGNMENTS[master.name]}")
    for number in range(students):
        notebook = copy.deepcopy(release(master))
        kind = list(ILL)[number % 3] if number % 20 == 7 else ""
        own = [c for c in notebook.cells if f"{master.name}.{mark(c, 'grade_id')}" in exercises(master.name)]
        for cell in own:
            name, draw = f"{master.name}.{mark(cell, 'grade_id')}", rng.random()
            if draw < 0.7:
                cell.source = MARKERS.sub("", master.cell(mark(cell, "grade_id")).source)  # type: ignore[union-attr]
            elif draw < 0.9:
                wrong = answers.WRONG[name]
                cell.source = wrong[rng.integers(len(wrong))][0]
        if kind:
            head = re.match(r"def .*?\n", own[0].source)
            own[0].source = (head[0] if head else own[0].source) + ILL[kind]
        nbformat.write(notebook, folder / f"student{number:03}{'-' if kind else ''}{kind}.ipynb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assignment", default="A2")
    parser.add_argument("--students", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    master = masters()[options.assignment]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "handed_in")
        folder.mkdir()
        submissions(master, options.students, folder)
        print(f"{options.students} submissions of {master.name}, {options.jobs} at a time", flush=True)
        print(f"walls: {walls()}", flush=True)
        begin = time.perf_counter()
        grades = grade_folder(folder, master, Path(place, "grades.csv"), jobs=options.jobs)
        total = time.perf_counter() - begin
        begin = time.perf_counter()
        again = grade_folder(folder, master, Path(place, "grades.csv"), jobs=options.jobs)
        resumed = time.perf_counter() - begin
    assert [g.points for g in again] == [g.points for g in grades], "a second run gives the same grades"
    each = sorted((g.seconds, g.student) for g in grades)
    seconds = np.array([s for s, _ in each])
    print(f"all {total:.0f} s, {total / len(grades):.1f} s a submission; taken up again when done {resumed:.1f} s")
    print(f"one submission: median {np.median(seconds):.1f} s, 95 % below {np.quantile(seconds, 0.95):.1f} s")
    print("slowest:", ", ".join(f"{name} {s:.0f} s" for s, name in each[-5:]))
    points = [g.total for g in grades]
    print(f"points: {min(points):g} to {max(points):g} of {master.points:g}, mean {np.mean(points):.1f}")
    whose = {"grader": resource.RUSAGE_SELF, "largest process": resource.RUSAGE_CHILDREN}
    peak = {name: resource.getrusage(who).ru_maxrss / 2**20 for name, who in whose.items()}  # KiB on Linux
    print("peak memory:", ", ".join(f"{name} {gib:.2f} GiB" for name, gib in peak.items()))


if __name__ == "__main__":
    main()
