"""`mrkd-edu data`: toy sets, public sets, one's own photos; and what is wrong with a folder of images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.table import Table

from mrkd_edu.app.console import console, draw, errors, problems, say

if TYPE_CHECKING:
    from mrkd_edu.sources.bundle import Bundle
    from mrkd_edu.sources.place import Placed
    from mrkd_edu.sources.registry import DataSet

data_app = typer.Typer(
    help="Data sets: make, fetch, check.\n\n"
    "Without a network:  mrkd-edu data toy data        Your own photos:  mrkd-edu data photos",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Root = Annotated[Path, typer.Option(help="Folder of data sets.")]


@data_app.command("toy")
def data_toy(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put the data set.")],
    category: Annotated[str, typer.Option(help="`metal`, `fabric`, `surface`, `tray`, or `all` four.")] = "metal",
    train: Annotated[int, typer.Option(help="Normal training images.", min=1)] = 80,
    test_good: Annotated[int, typer.Option(help="Normal test images.", min=0)] = 20,
    test_defective: Annotated[int, typer.Option(help="Defective test images, all kinds together.", min=0)] = 30,
    size: Annotated[int, typer.Option(help="Side of the images, pixels.", min=32)] = 256,
    seed: Annotated[int, typer.Option(help="Another seed gives another data set.", min=0)] = 0,
    weakest: Annotated[float, typer.Option(help="Strength of the faintest test defects, above 0.")] = 0.15,
    strongest: Annotated[float, typer.Option(help="Strength of the plainest ones; 1 is obvious, and the most.")] = 1.0,
) -> None:
    """Render a toy data set: products with known defects, exact masks, and the normal twin of every defect.

    `metal` is a turned nut, `fabric` a woven cloth, `surface` a photographed slab; in `tray` every part is as it
    should be, but one is missing, surplus, turned, or in another's place.

    Example:  mrkd-edu data toy data --category all --seed 1
    """
    with errors():
        from mrkd_edu.data.folder import AnomalyFolder
        from mrkd_edu.toy import CATEGORIES, make_toy

        numbers = {"train": train, "test_good": test_good, "test_defective": test_defective}
        span = (weakest, strongest)
        for name in CATEGORIES if category == "all" else (category,):
            path = make_toy(folder, name, **numbers, size=size, seed=seed, strengths=span, progress=True)
            say(AnomalyFolder(path).summary())
            say(f"In {path}")


@data_app.command("list")
def data_list(root: Root = Path("data")) -> None:
    """The public data sets that can be fetched, with size and licence, and which of them are here.

    Example:  mrkd-edu data list
    """
    with errors():
        from mrkd_edu.sources.record import held
        from mrkd_edu.sources.registry import ALL

        here = held(root)
        table = Table("name", "shows", "size", "licence", "here", title="Public data sets", title_justify="left")
        for entry in ALL:
            there = here.pop(entry.name, [])
            all_of_it = len(there) == len(entry.categories)
            state = "yes" if all_of_it else f"{len(there)} of {len(entry.categories)}" if there else "no"
            table.add_row(entry.name, entry.shows, size_of(entry), entry.licence, state)
        console.print(table)
        if here:
            say(f"Also in {root}: {', '.join(f'{name} ({len(there)})' for name, there in here.items())}")
        say("A ? says that only the server knows the size.\nNext:  mrkd-edu data get NAME")


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `mrkd-edu data list` has it.")],
    category: Annotated[
        list[str] | None, typer.Option(help="Only this category; give it again for more. The archive is kept then.")
    ] = None,
    root: Root = Path("data"),
    accept: Annotated[bool, typer.Option("--accept-licence", help="Do not ask: the licence is accepted.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archive, in ROOT/archives, for other computers.")] = (
        False
    ),
    url: Annotated[
        str | None, typer.Option(help="Another address of the same archive, such as a computer in the room.")
    ] = None,
) -> None:
    """Download a public data set, check it, and bring it into the layout that all commands read.

    An interrupted download goes on where it stopped: give the same command again.

    Example:  mrkd-edu data get mvtec_ad --category bottle --category tile
    """
    with errors():
        from mrkd_edu.sources.fetch import get
        from mrkd_edu.sources.record import missing_of, read_record
        from mrkd_edu.sources.registry import find_set

        entry = find_set(name)
        if missing_of(read_record(root / entry.name), category or entry.categories):
            agree(entry, accept)
        told(get(name, root, categories=category or (), url=url, keep=keep), name)


@data_app.command("import")
def data_import(
    source: Annotated[
        Path,
        typer.Argument(metavar="ARCHIVE_OR_FOLDER", help="A downloaded archive, what it unpacks to, or a bundle."),
    ],
    root: Root = Path("data"),
    name: Annotated[
        str | None, typer.Option("--as", help="Which public set it is, or what your own shall be called.")
    ] = None,
    any_version: Annotated[
        bool, typer.Option("--any-version", help="Take a public set whose hash or numbers are not the published ones.")
    ] = False,
) -> None:
    """Take an archive that somebody has downloaded by browser: one USB stick for a room without Wi-Fi.

    A folder is copied and stays as it is. A file that `mrkd-edu data bundle` has made is put where it belongs.

    Example:  mrkd-edu data import /media/stick/mvtec_anomaly_detection.tar.xz
    """
    with errors():
        from mrkd_edu.sources.bundle import is_bundle, open_bundle
        from mrkd_edu.sources.fetch import take

        if is_bundle(source):
            bundle = open_bundle(source)
            say(f"{contents_of(bundle)}; of these {bundle.already} were here already.")
            for note in bundle.notes:
                say(note, problems)
            return
        placed = take(source, root, name=name, any_version=any_version)
        told(placed, placed.folder.name)


@data_app.command("check")
def data_check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A category, or a folder of categories.")],
    sheet: Annotated[
        Path | None, typer.Option(help="Draw a contact sheet into this file (.jpg); of several categories, one each.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """What is in a folder of images, and what is wrong with it: from files that cannot be read to near duplicates.

    It never stops at the first fault. The exit code is 1 where something must be mended before a training.

    Example:  mrkd-edu data check photos/my_part --sheet sheet.jpg
    """
    with errors():
        from mrkd_edu.inspection.examine import describe, examine

        findings = examine(folder, progress=not as_json)
        if as_json:
            print(json.dumps([found.to_dict() for found in findings], indent=1))
        else:
            for line in describe(findings):
                say(line)
        if sheet is not None:
            from mrkd_edu.figures.contact_sheet import contact_sheet

            for found in findings:
                path = sheet if len(findings) == 1 else sheet.with_name(f"{sheet.stem}_{found.name}{sheet.suffix}")
                draw(contact_sheet(found), path)
                say(f"Contact sheet: {path}", problems if as_json else console)
        if any(found.number("error") for found in findings):
            raise typer.Exit(1)


@data_app.command("photos")
def data_photos(
    good: Annotated[Path | None, typer.Option(help="Folder of photos of good parts.")] = None,
    bad: Annotated[
        Path | None, typer.Option(help="Folder of photos of bad parts; with folders inside, one for each kind.")
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder of masks, named like their photos.")] = None,
    out: Annotated[Path | None, typer.Option(help="The data set to make.")] = None,
) -> None:
    """From your own photos to a data set: copied, sorted, checked. A phone's HEIC is converted.

    Good photos are enough to train on; forty are a start. Some bad ones show whether it works. Nothing of yours is
    moved or changed. Without options it asks.

    Example:  mrkd-edu data photos --good photos/good --bad photos/bad --out data/my_part
    """
    with errors():
        from mrkd_edu.inspection.examine import describe, examine
        from mrkd_edu.sources.photos import describe_photos, take_photos

        if good is None:
            good = asked("Folder of photos of good parts")
            bad = bad or asked("Folder of photos of bad parts (Enter: none)", "")
            masks = masks or (asked("Folder of masks, named like the bad photos (Enter: none)", "") if bad else None)
        out = out or asked("Folder of the new data set", "data/my_part")
        if good is None or out is None:
            raise ValueError("A folder of good photos and one for the data set are needed.")
        done = take_photos(good, out, bad, masks, progress=True)
        for line in (*describe_photos(done), "", *describe(examine(out))):
            say(line)
        say(f"Next:  mrkd-edu demo --data {out}")


def asked(question: str, default: str | None = None) -> Path | None:
    """A folder that a person types in; None for nothing."""
    answer = typer.prompt(question, default=default, show_default=bool(default)).strip()
    return Path(answer) if answer else None


@data_app.command("bundle")
def data_bundle(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The zip file to write.")] = Path("bundle.zip"),
) -> None:
    """Pack toy data, trained models, teachers and the list of packages for a room without a network.

    It packs what this computer's cache holds: run the lessons here first, and the room need not train.
    In the room:  mrkd-edu data import bundle.zip

    Example:  mrkd-edu data bundle /media/stick/bundle.zip
    """
    with errors():
        from mrkd_edu.sources.bundle import make_bundle

        bundle = make_bundle(out)
        say(f"{contents_of(bundle)}, and a list of {bundle.packages} packages, {bundle.size / 1e6:.0f} MB: {out}")
        for note in bundle.notes:
            say(note, problems)
        say(f"It says itself what to do:  unzip -p {out} READ_ME.txt")


def contents_of(bundle: Bundle) -> str:
    """What is in a bundle, in a line."""
    teachers = f"{len(bundle.teachers)} teachers" + (f" ({', '.join(bundle.teachers)})" if bundle.teachers else "")
    return f"{bundle.toys} toy sets, {bundle.runs} trained models, {teachers}"


def size_of(entry: DataSet) -> str:
    """The size of an archive as one reads it."""
    if entry.size is None:
        return "?"
    return f"{entry.size / 1e9:.1f} GB" if entry.size >= 1e9 else f"{entry.size / 1e6:.0f} MB"


def agree(entry: DataSet, accepted: bool) -> None:
    """Show a licence, and go on only with a yes."""
    console.print(
        Panel(
            f"[bold]{entry.licence}[/bold]  {entry.terms}\n\nCite: {entry.cite}\nRead: {entry.page}\n"
            f"From: {entry.url.split('/')[2]}, {size_of(entry).replace('?', 'size not known')}",
            title=entry.title,
            title_align="left",
        ),
        soft_wrap=False,
    )
    if accepted:
        return
    if not sys.stdin.isatty():
        raise ValueError(f"The licence of {entry.title} must be accepted: read it, and add --accept-licence.")
    if not typer.confirm("Do you accept this licence?"):
        raise ValueError("Nothing was downloaded.")


def told(placed: Placed, name: str) -> None:
    """Say what was done, and what to do next."""
    categories = f"{len(placed.categories)} {'category' if len(placed.categories) == 1 else 'categories'}"
    what = f"{name}: {categories}, {placed.images} files, in {placed.folder}"
    say(f"{what}. It was there already: nothing was done." if placed.already else what)
    if placed.left_out:
        say(f"Left out: {'; '.join(placed.left_out)}")
    for problem in placed.problems:
        say(f"Problem: {problem}", problems)
    if placed.archive:
        say(f"The archive is kept: {placed.archive}")
    example = placed.folder / placed.categories[0]
    say(f"Next:  mrkd-edu data check {example}\n       mrkd-edu demo --data {example}")
