"""What a learner wrote and predicted, kept beside the notebooks in one file, `my_course.json`.

    {"solved": {"03.loss": "def loss(T, S): ..."}, "predictions": {"04.copied": {"said": 10.0, "was": 37.4}}}

All notebooks of a folder share it, so that work goes on after a kernel was restarted, and `my_mrkd.py` can be made of
it. Where the folder cannot be written everything still works, but only as long as the kernel lives.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mrkd_edu.runtime.writing import NotWritten, alone, whole_file

NAME = "my_course.json"
_unwritten: dict[str, dict[str, Any]] = {}  # what could not be kept on disk


def folder() -> Path:
    """Where the notes are: `$MRKD_EDU_NOTES`, else the folder of the notebook."""
    return Path(os.environ.get("MRKD_EDU_NOTES") or Path.cwd())


def read(part: str) -> dict[str, Any]:
    """What is kept of `"solved"` or `"predictions"`; nothing where the file is missing or no notes."""
    try:
        found = json.loads((folder() / NAME).read_text(encoding="utf-8"))
        kept = found.get(part, {}) if isinstance(found, dict) else {}
    except (OSError, ValueError):
        kept = {}
    return (kept if isinstance(kept, dict) else {}) | _unwritten.get(part, {})


def keep(part: str, name: str, value: Any) -> None:
    """Note one thing; what other notebooks note at the same time stays.

    Args:
        part: `"solved"` or `"predictions"`.
        name: of an exercise or a prediction, such as `"03.loss"`.
        value: what JSON can hold; None takes the note away.
    """
    try:
        with alone(folder() / f".{NAME}.lock", "", waits=lambda: None):
            kept = {each: read(each) for each in ("solved", "predictions")}
            kept[part][name] = value
            kept = {each: {n: v for n, v in said.items() if v is not None} for each, said in kept.items()}
            with whole_file(folder() / NAME) as file:
                json.dump(kept, file, indent=1, ensure_ascii=False)
        _unwritten.clear()
    except NotWritten:
        _unwritten.setdefault(part, {})[name] = value
