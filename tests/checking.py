"""What tests of lessons and of assignments both do with answers that somebody might write."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mrkd_edu.checks.catalogue import find
from mrkd_edu.checks.exercise import judge


def compiled(source: str, name: str, names: Mapping[str, Any]) -> Any:
    """A function or class from its source, with these names beside it; messages can quote its lines."""
    there, file = dict(names), f"<answer to {name}: {hash(source)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), there)
    return there[name.split(".", 1)[1]]


def each_mistake_is_told(name: str, wrong: Sequence[tuple[str, str]], written: Callable[[str, str], Any]) -> None:
    """Typical wrong answers, three at least, are wrong, and each gets a message of its own with these words."""
    assert len(wrong) >= 3, "try three typical mistakes at least"
    said = []
    for source, words in wrong:
        verdict = judge(find(name), written(source, name))
        assert verdict.state == "wrong", source
        assert words in verdict.says, f"{source}\n{verdict.says}"
        said.append(verdict.says)
    assert len(set(said)) == len(said), "each mistake has a message of its own"
