"""`mrkd-edu course`: assignments, from the master to the table of grades."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mrkd_edu.app.console import console, errors, escape, problems, say

course_app = typer.Typer(
    help="Assignments: make what is handed out, grade what comes back.\n\n"
    "Start here:  mrkd-edu course build",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def has_nbgrader() -> None:
    """Raise what to install where something is missing that only assignments need."""
    if lacking := [name for name in ("nbformat", "nbconvert", "nbgrader", "psutil") if find_spec(name) is None]:
        raise ValueError(
            f"Assignments need {', '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not installed. "
            "Install what they need: pip install 'mrkd-edu[course]', or in a clone pip install -e '.[course]'."
        )


Masters = Annotated[Path | None, typer.Option(help="Folder of the masters; this project's own where none is named.")]


@course_app.command("build")
def course_build(
    out: Annotated[Path, typer.Option(help="Where `release/`, `solutions/` and `zips/` appear.")] = Path("course"),
    masters: Masters = None,
) -> None:
    """Make the students' release, the instructor's solutions, and a zip of each assignment.

    Example:  mrkd-edu course build --out course
    """
    with errors():
        has_nbgrader()
        from mrkd_edu.assignments.build import build
        from mrkd_edu.assignments.master import masters as find_masters

        found = find_masters(masters)
        table = Table("assignment", "exercises", "points", "by hand", "for students")
        for master, files in zip(found.values(), build(found.values(), out), strict=True):
            counts = (str(len(master.parts)), f"{master.points:g}", f"{master.by_hand:g}")
            table.add_row(master.name, *counts, escape(str(files.archive)))
        console.print(table)
        say(f"For students: {out / 'release'} and {out / 'zips'}. For you alone: {out / 'solutions'}.")


@course_app.command("grade")
def course_grade(
    submissions: Annotated[Path, typer.Argument(metavar="SUBMISSIONS", help="A folder or file for each student.")],
    assignment: Annotated[str, typer.Option("--assignment", "-a", help="Which one: `A1`, `A2`, ...")],
    out: Annotated[Path, typer.Option(help="The table. Pages for students appear in a folder beside it.")] = Path(
        "grades.csv"
    ),
    class_list: Annotated[Path | None, typer.Option(help="CSV with names or ids, as Moodle or Canvas has it.")] = None,
    seed: Annotated[int, typer.Option(help="Of the hidden inputs. Keep it to yourself.", min=0)] = 0,
    jobs: Annotated[int, typer.Option(help="How many at a time.", min=1)] = 2,
    seconds: Annotated[float, typer.Option(help="That one cell, or one answer, may take.", min=1)] = 20.0,
    masters: Masters = None,
) -> None:
    """Grade a folder of submissions; each in a process of its own, which can do nothing to the others or to you.

    Downloads of Moodle and Canvas are understood as they come, unpacked. Begun again, it goes on where it stopped; the
    same submission gets the same grade.

    Example:  mrkd-edu course grade submissions --assignment A2 --class-list class.csv --out A2.csv
    """
    with errors():
        has_nbgrader()
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        from mrkd_edu.assignments.classroom import grade_folder, write_export
        from mrkd_edu.assignments.grade import Graded
        from mrkd_edu.assignments.limits import Limits
        from mrkd_edu.assignments.master import masters as find_masters
        from mrkd_edu.assignments.roster import find_student, handed_in, read_class
        from mrkd_edu.assignments.sandbox import walls

        found = find_masters(masters)
        if assignment not in found:
            raise ValueError(f"There is no assignment {assignment!r}. There are: {', '.join(found)}.")
        listed = read_class(class_list) if class_list is not None else None
        students = [student for student in listed.students if student is not None] if listed else []
        say(f"Walls around a submission: {walls()}.", problems)
        working: list[str] = []
        clock = MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
        with Progress(SpinnerColumn(), BarColumn(), *clock, console=problems) as bar:
            task = bar.add_task("", total=len(handed_in(submissions)))

            def began(student: str) -> None:
                working.append(student)
                bar.update(task, description=escape(", ".join(working[-jobs:])))

            def done(graded: Graded, kept: bool) -> None:
                if graded.student in working:
                    working.remove(graded.student)
                bar.update(task, advance=1, description=escape(", ".join(working[-jobs:])))

            master = found[assignment]
            limits = Limits(seconds=seconds)
            grades = grade_folder(
                submissions, master, out, seed=seed, jobs=jobs, limits=limits, students=students, began=began, done=done
            )
        if listed is not None:
            export = out.with_name(f"{out.stem}-export.csv")
            write_export(export, listed, grades)
            say(f"To import into Moodle or Canvas: {export}")
            unknown = [g.student for g in grades if find_student(g.student, students) is None]
            if unknown:
                say(f"Not in the class list: {', '.join(unknown)}. Their grades are in {out} alone.", problems)
        average = sum(g.total for g in grades) / len(grades)
        say(f"{len(grades)} submissions, {average:.1f} of {master.points:g} points on average: {out}")
        if waiting := sum(None in g.points.values() for g in grades):
            say(f"{waiting} wait for points by hand ({master.by_hand:g} each).")
        if odd := [g.student for g in grades if g.notes or g.look]:
            say(f"Look at {', '.join(odd[:12])}{' and more' if len(odd) > 12 else ''}: columns notes and look_at.")
        say(f"Pages for students: {out.with_suffix('') / 'feedback'}")


challenge_app = typer.Typer(
    help="The open challenge: a hidden toy category and a board of results.", no_args_is_help=True
)
course_app.add_typer(challenge_app, name="challenge")


@challenge_app.command("make")
def challenge_make(
    secret: Annotated[str, typer.Argument(help="Any words. The same words make the same challenge.")],
    out: Annotated[Path, typer.Option(help="`handout/` is for students, `hidden/` for you alone.")] = Path("challenge"),
    category: Annotated[str | None, typer.Option(help="Of the toy factory; else the secret chooses.")] = None,
) -> None:
    """Make a hidden category: images to learn from, and test images under names that say nothing.

    Example:  mrkd-edu course challenge make "autumn 2026, group B" --out challenge
    """
    with errors():
        from mrkd_edu.assignments.challenge import make_challenge

        handout = make_challenge(secret, out, category)
        say(f"For students: {handout}. For you alone: {out / 'hidden'}.")


@challenge_app.command("board")
def challenge_board(
    submissions: Annotated[Path, typer.Argument(metavar="SUBMISSIONS", help="A folder or zip for each student.")],
    challenge: Annotated[Path, typer.Option(help="What `challenge make` wrote.")] = Path("challenge"),
    out: Annotated[Path, typer.Option(help="Where board.csv and board.html appear.")] = Path("board"),
) -> None:
    """Measure what was handed in, scores and maps or a trained model, and write the board.

    Example:  mrkd-edu course challenge board handed_in --challenge challenge --out board
    """
    with errors():
        from mrkd_edu.assignments.challenge import MEASURES, board

        entries = board(submissions, challenge, out, lambda name: say(f"{name} ...", problems))
        table = Table("", "student", *MEASURES, "note")
        for rank, entry in enumerate(entries, 1):
            found = [entry.scores.get(measure) for measure in MEASURES]
            cells = ["-" if f is None else f"{f.value:.3f} ({f.low:.3f} to {f.high:.3f})" for f in found]
            table.add_row(str(rank), escape(entry.student), *cells, escape(entry.note))
        console.print(table)
        say(f"The board: {(out / 'board.html').resolve()}")
