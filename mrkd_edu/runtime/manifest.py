"""`model.json`: what a trained model says of itself, and what of it is believed.

A model is two files. `model.safetensors` holds numbers. `model.json`, written after it, says how to build the network
that they belong to, and which file of numbers is meant, by a hash. It carries a hash of itself as well, so that a file
that was cut off, mixed up or edited is refused instead of giving other scores.

Settings are checked by pydantic against their annotations, before anything is allocated or downloaded: sizes within
limits, known words, finite numbers.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mrkd_edu.runtime.writing import read_whole, whole_file

FORMAT = 2  # of the folder; another number is another meaning
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
LIMIT = 10_000_000  # bytes of a description; the largest hold the loss of every step


class ModelError(ValueError):
    """A saved model that cannot be used; the message says why and what to do."""


Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Settings = TypeVar("Settings")


class Manifest(BaseModel, Generic[Settings]):
    """The content of `model.json`. What settings may hold, their dataclass says by its annotations."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[2]
    mrkd_edu: str
    teacher_fingerprint: str
    weights_hash: str
    settings: Settings
    own_hash: str


def write_model(folder: Path, weights: bytes, settings: dict[str, Any], fingerprint: str, version: str) -> None:
    """Write the two files of a model, its description last."""
    facts = {
        "format": FORMAT,
        "mrkd_edu": version,
        "teacher_fingerprint": fingerprint,
        "weights_hash": digest(weights),
        "settings": json.loads(json.dumps(settings)),
    }
    facts["own_hash"] = _seal(facts)
    with whole_file(folder / WEIGHTS, "wb") as file:
        file.write(weights)
    with whole_file(folder / DESCRIPTION) as file:
        file.write(json.dumps(facts, indent=2) + "\n")


def read_model(folder: Path, settings: type[Settings]) -> tuple[Manifest[Settings], bytes]:
    """Read the two files of a model, or refuse them.

    Args:
        folder: where they are.
        settings: the dataclass of its settings.

    Raises:
        ModelError: no model there, a file that cannot be read, was changed or is damaged, or settings that cannot be.
    """
    try:
        content = read_whole(folder / DESCRIPTION, LIMIT)
        weights = read_whole(folder / WEIGHTS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(
            f"{folder} holds no trained model ({Path(error.filename or '').name or error} is missing). "
            "Check the name, or train one:  mrkd-edu train DATA --out RUN"
        ) from error
    except OSError as error:
        why = error.strerror or error
        raise ModelError(f"The model in {folder} cannot be read: {why}. Check its files and their rights.") from error
    description = folder / DESCRIPTION
    try:
        facts = json.loads(content)
        if not isinstance(facts, dict) or "settings" not in facts:
            raise ValueError("it has no settings")
    except (ValueError, RecursionError) as error:  # no text, no JSON, not what we write
        raise ModelError(
            f"{description} is damaged or describes no model ({error}). Copy the model again, or train again."
        ) from error
    if facts.get("format") != FORMAT:
        raise ModelError(f"{description} was written by another version of mrkd_edu. Train again.")
    if facts.get("own_hash") != _seal(facts):
        raise ModelError(
            f"{description} was changed or damaged after it was written. Copy the model again, or train again. (To "
            "change a threshold: model = MRKD.load(...), model.settings.threshold = ..., model.save(...).)"
        )
    try:
        manifest = Manifest[settings].model_validate_json(content)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelError(f"{description} has an impossible setting, {where}: {first['msg']}. Train again.") from error
    if digest(weights) != manifest.weights_hash:
        raise ModelError(
            f"{folder / WEIGHTS} is not the file that {description} was written with: it is damaged, belongs "
            "to another model, or is just being written. Copy both files again, or train again."
        )
    return manifest, weights


def digest(content: bytes) -> str:
    """A hash of a file's content, 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _seal(facts: dict[str, Any]) -> str:
    """A hash of all that a description says, but for the hash itself."""
    said = {name: value for name, value in facts.items() if name != "own_hash"}
    return digest(json.dumps(said, sort_keys=True).encode())
