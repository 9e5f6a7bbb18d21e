"""The command `mrkd-edu`. It parses, calls the library, prints; whatever it can do, Python can do too."""

from __future__ import annotations

import io
import json
import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from mrkd_edu import __version__
from mrkd_edu.app.console import console, draw, errors, escape, lacking, number, opened, problems, say
from mrkd_edu.app.course import course_app
from mrkd_edu.app.data import data_app
from mrkd_edu.app.options import (
    Backbone,
    DataFolder,
    Device,
    Distance,
    Precision,
    Recipe,
    Size,
    Steps,
    check_distance,
    check_variant,
    different,
    listed,
    make_plan,
    seed_numbers,
    whole_number,
)
from mrkd_edu.runtime.names import readable

# The library is imported inside the commands: `mrkd-edu --help` must not wait for torch.

app = typer.Typer(
    help="Find defects in images with masked reverse knowledge distillation (MRKD).\n\n"
    "A frozen teacher network knows images; a student learns to imitate it on *normal* images; where the two "
    "disagree, there is a defect.\n\n"
    "Start here:  mrkd-edu demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)
app.add_typer(data_app, name="data")
app.add_typer(course_app, name="course")


def say_version(wanted: bool) -> None:
    """Print the version and stop, for `--version`."""
    if wanted:
        print(f"mrkd-edu {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=say_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    """What holds for every command."""


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="Your own category instead of the toy data set.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the report and of both models.")] = Path("report"),
    quick: Annotated[bool, typer.Option("--quick", help="Small and short, only to see that it works.")] = False,
    device: Device = "auto",
    show: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
) -> None:
    """Train `rd` and `mrkd`, and write a report with pictures. About 5 minutes on a laptop.

    Example:  mrkd-edu demo --data photos/bottle --out report
    """
    with errors():
        from mrkd_edu.app.demo import demo as run_demo
        from mrkd_edu.study.evaluate import COSTS
        from mrkd_edu.study.results import MEASURES

        folder = None if data is None else opened(data)
        report, evaluations = run_demo(folder, out, quick=quick, device=device)
        first = evaluations[0]
        title = escape(f"{first.category}: {len(first.samples)} test images")
        table = Table("measure", title=title, title_justify="left")
        for e in evaluations:
            table.add_column(e.variant, justify="right")
        for name in MEASURES:
            digits = 1 if name in COSTS else 3
            table.add_row(name.replace("_", " "), *(number(e.metrics[name], digits) for e in evaluations))
        console.print(table)
        say(f"Report: {report.resolve()}")
        if show:
            webbrowser.open(report.resolve().as_uri())


@app.command()
def train(
    data: DataFolder,
    out: Annotated[Path, typer.Option(help="Folder of the trained model.")],
    variant: Annotated[str, typer.Option(help="`rd` (plain), `ilm`, `flm` or `mrkd` (both).")] = "mrkd",
    backbone: Backbone = "efficientnet_lite0",
    size: Size = None,
    steps: Steps = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and masks.", min=0)] = 0,
    recipe: Recipe = "long",
    distance: Distance = None,
    device: Device = "auto",
    precision: Precision = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted training in --out.")] = False,
    cache: Annotated[bool, typer.Option(help="Take the run from the cache if it was trained before.")] = True,
) -> None:
    """Train one model on the normal images of a folder.

    Example:  mrkd-edu train photos/bottle --variant mrkd --out runs/bottle
    """
    with errors():
        from mrkd_edu.judging.scale_weights import describe
        from mrkd_edu.study.run import run

        refuse_foreign_run(out, resume)
        plan = make_plan(variant, backbone, size, steps, seed, recipe, precision, distance)
        model = run(opened(data, tested=False), plan, out=out, resume=resume, cache=cache, device=device)
        facts = model.settings.history
        console.print(
            f"{facts['steps']} steps on {facts['images']} images in {facts['seconds']:.0f} s, "
            f"loss {facts['loss'][-1]:.3f}, threshold {model.settings.threshold:.3f}\n"
            f"Scales: {describe(model.settings)}"
        )
        say(f"Model: {out}\nNext:  mrkd-edu evaluate {out} {data}")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained model.")],
    data: DataFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    device: Device = "auto",
) -> None:
    """Measure a model on a test set: AUROC, AUPRO, F1-max, leakage.

    Example:  mrkd-edu evaluate runs/bottle photos/bottle --json
    """
    with errors():
        from mrkd_edu.model import MRKD
        from mrkd_edu.study.evaluate import evaluate as measure

        folder = opened(data)
        result = measure(MRKD.load(run, device), folder, progress=not as_json)
        if as_json:
            facts = {"category": result.category, "variant": result.variant, "threshold": result.threshold}
            leaks = {"leakage_per_scale": result.leakage, "leakage_from": result.leakage_from}
            print(json.dumps({**facts, **result.metrics, **leaks}, indent=2))
            return
        table = Table("measure", title=escape(f"{result.category}, {result.variant}"), title_justify="left")
        table.add_column("value", justify="right")
        for name, value in result.metrics.items():
            table.add_row(name.replace("_", " "), number(value, 4))
        console.print(table)
        if result.leakage_from == "synthetic":
            say("Leakage: on synthetic defects. ilm and mrkd train with such defects, which favours these two.")
        if missing := [name for name, value in result.metrics.items() if value is None]:
            say(f"Not measurable on this data: {', '.join(missing)} ({lacking(folder)}).")


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained model.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGE_OR_FOLDER", help="One image, or a folder of images.")],
    out: Annotated[Path, typer.Option(help="Folder for the heat maps and scores.csv.")] = Path("predictions"),
    device: Device = "auto",
) -> None:
    """Give each image a score, a verdict and a heat map.

    Example:  mrkd-edu predict runs/bottle photo.jpg --out predictions
    """
    with errors():
        from mrkd_edu.app.predictions import write_predictions
        from mrkd_edu.data.images import list_images
        from mrkd_edu.model import MRKD

        paths = list_images(images) if os.path.isdir(images) else [images]  # a name that cannot be is no folder
        if not paths:
            raise ValueError(
                f"{images} holds no images; subfolders are not searched. Give one image, or the folder of the images."
            )
        rows = write_predictions(MRKD.load(run, device), paths, out, progress=len(paths) > 1)
        table = Table("image", "score", "verdict", title=f"threshold {rows[0]['threshold']}", title_justify="left")
        for row in rows:
            colour = {"normal": "green", "defective": "red"}.get(row["verdict"], "yellow")
            word, _, why = row["verdict"].partition(": ")
            table.add_row(escape(row["image"]), row["score"], Text(word, colour))
            if why:
                say(f"Unreadable: {why}", problems)
        console.print(table)
        say(f"Heat maps and scores.csv: {out}")
        if all(not row["score"] for row in rows):
            raise typer.Exit(1)


@app.command()
def benchmark(
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Categories, or folders that hold categories.")],
    out: Annotated[Path, typer.Option(help="Folder of results.csv; what is there already is not done again.")],
    variants: Annotated[
        str, typer.Option(help="Comma-separated; `nn`, `gauss`, `template` have no student, to compare with.")
    ] = "nn,gauss,template,rd,ilm,flm,mrkd",
    seeds: Annotated[str, typer.Option(help="Comma-separated.")] = "0,1,2",
    distances: Annotated[
        str | None,
        typer.Option(help="Comma-separated; each student is trained once and judged by all [default: the recipe's]."),
    ] = None,
    steps: Steps = None,
    size: Size = None,
    backbone: Backbone = "efficientnet_lite0",
    recipe: Recipe = "long",
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Every category with every variant and seed, into one table. Can be interrupted and goes on where it stopped.

    Example:  mrkd-edu benchmark photos/bottle photos/tile --variants rd,mrkd --seeds 0,1,2 --out results
    """
    with errors():
        from mrkd_edu.data.layouts import find_categories, visible_folders
        from mrkd_edu.study.benchmark import benchmark as run_benchmark
        from mrkd_edu.study.results import summary

        chosen = different("--variants", [check_variant(v, "--variants", baseline=True) for v in listed(variants)])
        numbers = seed_numbers(seeds)
        plan = make_plan(chosen[0], backbone, size, steps, numbers[0], recipe, precision, baseline=True)
        judges = None
        if distances:
            judges = different("--distances", [check_distance(d, "--distances") for d in listed(distances)])
        folders, passed_over = [], []
        for folder in data:
            found = find_categories(folder)
            if not found:
                raise ValueError(
                    f"{folder} holds no category: a category has a folder good/ (or train/ and test/) with images."
                )
            folders += found
            passed_over += [] if found == [folder] else [f for f in visible_folders(folder) if f not in found]
        left = f"Passed over, because they are not categories: {', '.join(map(str, passed_over))}"
        if passed_over:
            say(left, problems)
        sets = [opened(folder) for folder in folders]
        rows = run_benchmark(sets, out, plan=plan, variants=chosen, seeds=numbers, distances=judges, device=device)
        console.print(summary(rows))
        if passed_over:  # again, beside the table, which may be all that is kept
            say(left)
        say(f"Rows: {out / 'results.csv'}")


@app.command()
def leakage(
    data: DataFolder,
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of trained models.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the figures; without it, only the table.")] = None,
    device: Device = "auto",
) -> None:
    """How much of each kind of defect does a student copy? 0: it restores the normal image, 1: it copies the defect.

    Needs a test set with twins (the same pictures without their defects), such as the toy factory's. For a category of
    the toy factory a second figure shows leakage against the strength of the defect.

    Example:  mrkd-edu leakage data/fabric runs/rd runs/mrkd --out leakage
    """
    with errors():
        from mrkd_edu.figures.leakage import leakage_kinds, leakage_strengths
        from mrkd_edu.model import MRKD
        from mrkd_edu.study.leakage_by_kind import STRENGTHS, leakage_by_kind, leakage_by_strength
        from mrkd_edu.toy import CATEGORIES

        folder = opened(data)
        loaded = [MRKD.load(run, device) for run in runs]
        variants = [model.settings.variant for model in loaded]
        names = variants if len(set(variants)) == len(runs) else [str(run) for run in runs]
        models = dict(zip(names, loaded, strict=True))
        first = loaded[0].settings
        for run, model in zip(runs, loaded, strict=True):
            s = model.settings
            if (s.strides, s.standardise) != (first.strides, first.standardise):
                raise ValueError(
                    f"The leakage of {run} and {runs[0]} cannot be compared: their scales or features differ. "
                    "Give models of one recipe."
                )
            if s.history.get("category", readable(folder.name)) != readable(folder.name):
                raise ValueError(
                    f"{run} was trained on {s.history['category']}, not on {folder.name}. Give a model and images "
                    "of one category."
                )
        strides = first.strides
        by_kind = {name: leakage_by_kind(model, folder) for name, model in models.items()}
        table = Table("model", "kind", title=escape(f"{folder.name}: leakage"), title_justify="left")
        for column in (*(f"stride {s}" for s in strides), "mean"):
            table.add_column(column, justify="right")
        for name, found in by_kind.items():
            for kind, scales in found.items():
                table.add_row(escape(name), escape(kind), *(f"{v:.3f}" for v in (*scales, sum(scales) / len(scales))))
        console.print(table)
        if out is not None:
            draw(leakage_kinds(by_kind, strides), out / "leakage_kinds.png")
            if folder.name in CATEGORIES and os.path.exists(data / "toy.json"):
                growing = {name: leakage_by_strength(model, folder.name) for name, model in models.items()}
                draw(leakage_strengths(growing, STRENGTHS), out / "leakage_strength.png")
            say(f"Figures: {out}")


@app.command()
def theatre(
    data: DataFolder,
    out: Annotated[Path, typer.Option(help="Folder of theatre.csv and theatre.png.")] = Path("theatre"),
    variants: Annotated[str, typer.Option(help="Comma-separated: `rd`, `ilm`, `flm`, `mrkd`.")] = "rd,mrkd",
    seeds: Annotated[str, typer.Option(help="Comma-separated.")] = "0",
    at: Annotated[str, typer.Option(help="Look at the test set after these steps.")] = "75,150,300,600,1200",
    size: Size = None,
    backbone: Backbone = "efficientnet_lite0",
    recipe: Annotated[str, typer.Option(help="Recipes whose forms of student are trained, comma-separated.")] = (
        "workshop,long"
    ),
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Train longer and longer: does the student find more, or does it only copy more? One figure and one table.

    Students of two forms, that of the recipe `workshop` and the more able one of `long`, are trained with a constant
    learning rate, and looked at on the way. The dashed line of the figure is what a student would find had it restored
    the normal image.

    Example:  mrkd-edu theatre photos/tile --at 75,150,300,600,1200 --seeds 0,1,2 --out theatre
    """
    with errors():
        from mrkd_edu.figures.leakage import theatre_curves
        from mrkd_edu.study.snapshots import look_at_snapshots, write_looks

        chosen = different("--variants", [check_variant(v, "--variants") for v in listed(variants)])
        looks = sorted({whole_number("--at", s, least=1) for s in at.split(",")})
        numbers = seed_numbers(seeds)
        plans = {  # all at once, so that a wrong option is found before the first training
            (form, seed, variant): make_plan(variant, backbone, size, None, seed, form, precision)
            for form in (name.strip() for name in recipe.split(","))
            for seed in numbers
            for variant in chosen
        }
        acts, category = [], opened(data)
        for (form, _, variant), plan in plans.items():  # a file after each: an interruption loses one training at most
            acts += look_at_snapshots(category, plan, looks, variants=[variant], recipe=form, device=device)
            write_looks(out / "theatre.csv", acts)
        draw(theatre_curves(acts), out / "theatre.png")
        title = escape(category.name)
        table = Table("student", "seed", "steps", title=title, title_justify="left")
        for name in ("loss", "image\nAUROC", "ceiling", "pixel\nAUROC", "leakage"):
            table.add_column(name, justify="right")
        for a in acts:
            mean = None if a.leakage is None else sum(a.leakage) / len(a.leakage)
            values = (number(v, 3) for v in (a.loss, a.image_auroc, a.ceiling, a.pixel_auroc, mean))
            table.add_row(f"{a.variant}, {a.recipe}", str(a.seed), str(a.step), *values)
        console.print(table)
        say(f"Figure: {out / 'theatre.png'}, rows: {out / 'theatre.csv'}")


@app.command()
def doctor() -> None:
    """Is this machine ready? Versions, device, teacher weights, disk, cache; and what to do about each problem.

    Example:  mrkd-edu doctor
    """
    from mrkd_edu.app.doctor import examine

    findings = examine()
    table = Table("", "what", "found", "what to do")
    for f in findings:
        mark = "[red]x[/red]" if f.serious else "[yellow]![/yellow]" if f.cure else "[green]ok[/green]"
        table.add_row(mark, f.what, escape(f.state), escape(f.cure))
    console.print(table)
    if any(f.serious for f in findings):
        problems.print("[red]Not ready:[/red] see the rows marked x.")
        raise typer.Exit(1)
    say("Ready. Next:  mrkd-edu demo")


def refuse_foreign_run(out: Path, resume: bool) -> None:
    """A finished or interrupted training in the way is not overwritten without a word."""
    from mrkd_edu.study.run import CHECKPOINT, OLDER

    interrupted = [out / name for name in (CHECKPOINT, OLDER) if (out / name).exists()]  # an older one is refused later
    if (out / "model.json").exists() and not interrupted:
        raise FileExistsError(
            f"{out} holds a trained model already{': nothing to resume' if resume else ''}. Choose another --out, or "
            "delete that model first."
        )
    if resume and not interrupted:
        say(f"{out} holds no interrupted training: starting anew.", problems)
    if interrupted and not resume:
        raise FileExistsError(
            f"{out} holds an interrupted training. Continue it with --resume, or delete {interrupted[0]}."
        )


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):  # a file or pipe may have a code page without the letters of a name
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    main()
