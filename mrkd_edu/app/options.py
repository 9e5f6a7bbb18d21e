"""Options that several commands share, and what is refused of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mrkd_edu.study.run import Plan


DataFolder = Annotated[
    Path, typer.Argument(metavar="DATA", help="Folder of one category: MVTec layout, good/ + others, or just images.")
]
Backbone = Annotated[str, typer.Option(help="Teacher network. Without a download: efficientnet_lite0, _lite1, _lite2.")]
Size = Annotated[
    int | None,
    typer.Option(help="Images are resized to squares of this side, a multiple of 32 [default: the recipe's].", min=32),
]
Steps = Annotated[int | None, typer.Option(help="Gradient steps [default: the recipe's].", min=1)]
Recipe = Annotated[
    str,
    typer.Option(help="`workshop` (a minute), `long` (some minutes, finds more) or `paper` (200 epochs, for a GPU)."),
]
Distance = Annotated[
    str | None,
    typer.Option(help="From teacher to student: `cosine` (the papers') or `mahalanobis` [default: the recipe's]."),
]
Device = Annotated[str, typer.Option(help="`auto`, `cpu` or `cuda`.")]
Precision = Annotated[str, typer.Option(help="`auto` takes what is quick here; or `fp32`, `bf16`, `fp16`.")]


def make_plan(
    variant: str,
    backbone: str,
    size: int | None,
    steps: int | None,
    seed: int,
    recipe: str,
    precision: str,
    distance: str | None = None,
    baseline: bool = False,
) -> Plan:
    """The options of the command line as a `Plan`; `ValueError` names an option that is no choice."""
    from mrkd_edu.backbones.registry import BACKBONES
    from mrkd_edu.recipe import RECIPES
    from mrkd_edu.study.run import Plan

    check_choice("--backbone", backbone, BACKBONES)
    check_choice("--recipe", recipe, RECIPES)
    check_choice("--precision", precision, ("auto", "fp32", "bf16", "fp16"))
    chosen = RECIPES[recipe]
    if steps is not None:
        chosen = replace(chosen, steps=steps, epochs=None)
    if distance is not None:
        chosen = replace(chosen, distance=check_distance(distance))
    return Plan(check_variant(variant, baseline=baseline), backbone, size or 0, seed, chosen, precision)  # type: ignore[arg-type]


def check_distance(distance: str, option: str = "--distance") -> Any:
    """The distance, if it is one."""
    from mrkd_edu.recipe import DISTANCES

    check_choice(option, distance, DISTANCES)
    return distance


def check_variant(variant: str, option: str = "--variant", baseline: bool = False) -> Any:
    """The variant, if it is one; `baseline`: those without a student count as well."""
    from mrkd_edu.model import BASELINES, VARIANTS

    check_choice(option, variant, (*BASELINES, *VARIANTS) if baseline else VARIANTS)
    return variant


def check_choice(option: str, value: str, choices: Any) -> None:
    """Raise `ValueError` where the value is none of the choices."""
    if value not in choices:
        raise ValueError(f"{option} {value or repr(value)}: no such choice. Choose one of: {', '.join(choices)}.")


def whole_number(option: str, text: str, least: int = 0) -> int:
    """One of the whole numbers of an option that takes several."""
    if not text.strip().isdecimal() or int(text) < least:
        what = f"whole numbers, {least} or more, with commas between them"
        raise ValueError(f"{option} {text or repr(text)}: give {what}, for instance 1,2,3.")
    return int(text)


def seed_numbers(text: str) -> list[int]:
    """`--seeds`."""
    return different("--seeds", [whole_number("--seeds", s) for s in text.split(",")])


def listed(text: str) -> list[str]:
    """The words of an option that takes several, with commas between them."""
    return [word.strip() for word in text.split(",")]


def different(option: str, values: list[Any]) -> list[Any]:
    """Refuse what is named twice: the same training twice would be a spread of nothing."""
    if twice := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"{option} names {twice[0]} twice; give each once.")
    return values
