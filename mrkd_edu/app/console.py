"""What commands say: words, tables, figures, and errors as one sentence."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape as without_markup

from mrkd_edu.runtime.names import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mrkd_edu.data.folder import AnomalyFolder


console = Console(highlight=False)
problems = Console(stderr=True, highlight=False)


def opened(folder: Path, tested: bool = True) -> AnomalyFolder:
    """A category, with a line on stderr that says what was taken for what; results on stdout stay clean."""
    from mrkd_edu.data.folder import AnomalyFolder as Folder

    data = Folder(folder)
    say(data.taken(), problems)
    if tested:
        data.tell_repeated()
    return data


def lacking(data: AnomalyFolder) -> str:
    """What a test set lacks for all measures."""
    labels = data.test_labels
    lacks = {
        "no normal test images": labels.all(),
        "no defective test images": not labels.any(),
        "no masks": labels.any() and not data.has_masks,
    }
    return ", ".join(what for what, so in lacks.items() if so) or "no place for a synthetic defect"


def say(text: str, to: Console = console) -> None:
    """Print as it is: no line breaks in paths, no markup in file names, nothing that steers the terminal."""
    to.print(readable(text, lines=True), markup=False, soft_wrap=True)


def escape(name: str) -> str:
    """A name for a table: no markup, and nothing that steers the terminal."""
    return without_markup(readable(name))


def draw(figure: Figure, path: Path) -> None:
    """A figure as a PNG file, or JPEG where its name says so (photographs take a quarter), whole or not at all."""
    from mrkd_edu.runtime.writing import whole_file

    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    with whole_file(path, "wb") as file:
        figure.savefig(file, format="jpeg" if jpeg else "png", dpi=100)


def number(value: float | None, digits: int) -> str:
    """A number for a table; a dash where it could not be measured."""
    return "-" if value is None else f"{value:.{digits}f}"


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """Expected problems end as one message and exit code 1, not as a traceback (but with MRKD_EDU_DEBUG set)."""
    try:
        yield
    except KeyboardInterrupt:
        problems.print(
            "\nInterrupted. To go on, give the same command again: `train` with --resume. (`theatre` starts the "
            "interrupted training anew.)"
        )
        raise typer.Exit(130) from None
    except Exception as error:
        no_memory = out_of_memory(error)
        if os.environ.get("MRKD_EDU_DEBUG") or not (no_memory or is_expected(error)):
            raise
        problems.print("[bold red]Error:[/bold red]", end=" ")
        say(no_memory or str(error), problems)
        raise typer.Exit(1) from error


def is_expected(error: Exception) -> bool:
    """Whether an error is one that a person can do something about, and whose words are meant for people."""
    if isinstance(error, (ValueError, OSError)):
        return True
    from mrkd_edu.backbones.entry import WeightsNotFound  # here: they bring torch, which a listing does without
    from mrkd_edu.data.files import DataError
    from mrkd_edu.runtime.checkpoint import TrainingError
    from mrkd_edu.runtime.writing import Taken

    return isinstance(error, (DataError, WeightsNotFound, TrainingError, Taken))


def out_of_memory(error: Exception) -> str:
    """What to do where there was not enough memory; empty where that was not it. Torch has many words for it."""
    words = str(error).lower()
    told = any(phrase in words for phrase in ("out of memory", "not enough memory", "allocate memory"))
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and told):
        return (
            "There is not enough memory. Close other programs, or leave the GPU (--device cpu). Smaller images need "
            "less (--size 128, for train, benchmark and theatre)."
        )
    return ""
