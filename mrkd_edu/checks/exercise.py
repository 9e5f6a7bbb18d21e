"""An exercise: what a learner writes, what it is held against, and what typical mistakes are told.

The oracle is the library's own function. A learner's function gets the same inputs, several of them, and must give the
same answers. If it does not, it is compared with *typical mistakes*, functions that go wrong in a known way: whose
answers agree with such a mistake on every input has made it, and is told so in a sentence.

What cannot be compared, a network with random weights or a random mask, is examined by a function of its own.
"""

from __future__ import annotations

import copy
import dis
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

Function = Callable[..., Any]
Cases = Mapping[str, tuple[Any, ...]]
LONGEST = 300  # characters of an exception's text that are shown


class Mistake(NamedTuple):
    """A function that goes wrong in a typical way, and what whoever wrote it is told."""

    answer: Function
    says: str


@dataclass(frozen=True)
class Exercise:
    """One function, or one network, that a learner writes.

    Attributes:
        name: lesson and name, `"03.cosine_distance"`.
        answer: the library's, with the signature that the lesson shows.
        cases: makes the inputs anew, by what they are: `{"one image": (t, s), "odd sizes": ...}`.
        mistakes: typical ones.
        examine: looks at what outputs do not show, or cannot show; gives a sentence, or None if all is well.
        examined: what `examine` looks at, for the tick.
        tolerance: relative, of numbers that should agree.
    """

    name: str
    answer: Function
    cases: Callable[[], Cases] = dict
    mistakes: Sequence[Mistake] = ()
    examine: Callable[[Function], str | None] | None = None
    examined: Sequence[str] = ()
    tolerance: float = 1e-3

    @property
    def title(self) -> str:
        """`"cosine_distance"` of `"03.cosine_distance"`."""
        return self.name.split(".", 1)[1]


class Verdict(NamedTuple):
    """What became of an answer: `right`, `wrong` or `untouched`, and what to say of it."""

    state: str
    says: str


def judge(exercise: Exercise, mine: Function) -> Verdict:
    """Hold a learner's function against the library's.

    Args:
        exercise: what it should do.
        mine: the learner's function or class.
    """
    if is_untouched(mine):
        return Verdict("untouched", "Not written yet: the lesson goes on with the library's.")
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    try:
        complaint = _compare(exercise, mine)
        if complaint is None and exercise.examine is not None:
            complaint = _guarded(exercise.examine, mine)
    finally:  # a check leaves no trace in the lesson's random numbers
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)
    if complaint is not None:
        return Verdict("wrong", complaint)
    looked_at = [*exercise.cases(), *exercise.examined]
    return Verdict("right", f"Checked: {', '.join(looked_at)}.")


def is_untouched(mine: Function) -> bool:
    """Whether a function's body is `...` and nothing else; of a class, whether this is true of `forward`.

    Example:
        >>> def written(x): return x
        >>> def empty(x):
        ...     "With a docstring, or without."
        ...     ...
        >>> is_untouched(written), is_untouched(empty)
        (False, True)
    """
    if isinstance(mine, type):
        forward = getattr(mine, "forward", None)
        return forward is None or forward is nn.Module.forward or is_untouched(forward)
    if not isinstance(mine, FunctionType):
        return False
    for step in dis.get_instructions(mine):
        if step.opname in ("RESUME", "NOP", "RETURN_VALUE", "CACHE"):
            continue
        if step.opname not in ("LOAD_CONST", "RETURN_CONST") or step.argval is not None:
            return False
    return True


def _compare(exercise: Exercise, mine: Function) -> str | None:
    """The first difference from the library's answers in words, or None."""
    cases = exercise.cases()
    answers: dict[str, Any] = {}
    first: str | None = None
    for what, given in cases.items():
        mine_gets, library_gets = copy.deepcopy(given), copy.deepcopy(given)
        expected = exercise.answer(*library_gets)
        try:
            got = mine(*mine_gets)
        except Exception as error:  # of any kind: it is the learner's code
            return f"On {what} ({shapes(given)}) it stops. {explain(error)}"
        answers[what] = got
        if first is None:
            if got is None:
                return "It gives None. Is the `return` missing?"
            found = difference(expected, got, _tolerance(exercise, given))
            if found is not None:
                first = f"On {what} ({shapes(given)}): {found}"
            elif changed(given, mine_gets) and not changed(given, library_gets):
                first = f"On {what} it changes what it was given. Make a copy, and leave the input as it is."
    if first is None:
        return None
    for mistake in exercise.mistakes:
        if all(_is_that(mistake, given, answers[what], _tolerance(exercise, given)) for what, given in cases.items()):
            return mistake.says
    return first


def _is_that(mistake: Mistake, given: tuple[Any, ...], got: Any, tolerance: float) -> bool:
    """Whether a mistake gives what the learner's function gave."""
    try:
        theirs = mistake.answer(*copy.deepcopy(given))
    except Exception:  # this mistake does not survive this input, so the learner's is another
        return False
    return difference(theirs, got, tolerance) is None


def _guarded(examine: Callable[[Function], str | None], mine: Function) -> str | None:
    try:
        return examine(mine)
    except Exception as error:  # of any kind: it is the learner's code
        return f"It stops. {explain(error)}"


def explain(error: Exception) -> str:
    """An exception of a learner's code: its text, and the line that raised it where there is one to show."""
    text = " ".join(str(error).split())
    text = text if len(text) <= LONGEST else text[:LONGEST] + " ..."
    ours = "mrkd_edu/checks/"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if ours not in f.filename.replace("\\", "/")]
    mine = next((f for f in frames if "site-packages" not in f.filename and f.line), None)
    where = f" In the line `{mine.line}`." if mine else ""
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{what}{'' if what.endswith('.') else '.'}{where}"


def _tolerance(exercise: Exercise, given: Any) -> float:
    halves = (torch.float16, torch.bfloat16)
    if any(isinstance(x, Tensor) and x.dtype in halves for x in _leaves(given)):
        return max(exercise.tolerance, 2e-2)
    return exercise.tolerance


def _leaves(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return [x for value in given.values() for x in _leaves(value)]
    if isinstance(given, (list, tuple)):
        return [x for value in given for x in _leaves(value)]
    return [given]


def changed(before: Any, after: Any) -> bool:
    """Whether any array or tensor in one structure differs from that in the other."""
    for a, b in zip(_leaves(before), _leaves(after), strict=True):
        if isinstance(a, Tensor) and not torch.equal(a, b):
            return True
        if isinstance(a, np.ndarray) and not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            return True
    return False


def shapes(given: Any) -> str:
    """Shapes of what a function was given, for messages.

    Example:
        >>> shapes((torch.zeros(2, 3), [np.zeros(4)], 0.5))
        '(2, 3), [(4,)], 0.5'
    """
    return ", ".join(_shape(x) for x in given) or "nothing"


def _shape(x: Any) -> str:
    if isinstance(x, (Tensor, np.ndarray)):
        return str(tuple(x.shape))
    if isinstance(x, (list, tuple)) and len(x) <= 4:
        return f"[{', '.join(_shape(y) for y in x)}]"
    if isinstance(x, (bool, int, str)) or x is None:
        return repr(x)
    if isinstance(x, float):
        return f"{x:.4g}"
    return type(x).__name__


def difference(expected: Any, got: Any, tolerance: float) -> str | None:
    """What differs between two answers, in words; None if nothing does.

    Example:
        >>> difference(torch.zeros(2, 3), torch.zeros(3, 2), 1e-3)
        'the answer has the shape (3, 2); it should be (2, 3).'
        >>> difference((1.0, 2.0), (1.0, 2.0001), 1e-3)
    """
    if isinstance(expected, Mapping):
        if not isinstance(got, Mapping) or set(got) != set(expected):
            return f"the answer should be a dict with the keys {', '.join(map(str, expected))}."
        pairs = [(f"under {name!r} ", expected[name], got[name]) for name in expected]
    elif isinstance(expected, (list, tuple)):
        if not isinstance(got, (list, tuple)):
            return f"the answer should be {len(expected)} things in a {type(expected).__name__}, not {_kind(got)}."
        if len(got) != len(expected):
            return f"the answer has {len(got)} parts; it should have {len(expected)}."
        pairs = [(f"in part {i + 1} ", e, g) for i, (e, g) in enumerate(zip(expected, got, strict=True))]
    else:
        return _values_differ(expected, got, tolerance)
    for where, e, g in pairs:
        if (found := difference(e, g, tolerance)) is not None:
            return where + found
    return None


def _kind(x: Any) -> str:
    names = {Tensor: "tensor", np.ndarray: "numpy array"}
    return "a " + next((name for kind, name in names.items() if isinstance(x, kind)), type(x).__name__)


def _numbers(x: Any) -> Any:
    """A tensor as an array, half precision as double; anything else as it is."""
    if not isinstance(x, Tensor):
        return x
    return x.cpu().numpy() if x.dtype == torch.bool else x.detach().double().cpu().numpy()


def _values_differ(expected: Any, got: Any, tolerance: float) -> str | None:
    if isinstance(expected, Tensor) and not isinstance(got, Tensor) and expected.ndim:
        return f"the answer is {_kind(got)}; it should be a tensor."
    expected, got = _numbers(expected), _numbers(got)
    try:
        e, g = np.asarray(expected), np.asarray(got)
        if g.dtype == object or e.dtype.kind in "USO":
            return None if bool(expected == got) else f"the answer is {got!r}; it should be {expected!r}."
    except (ValueError, TypeError):
        return f"the answer is {_kind(got)}, which is no number."
    if g.shape != e.shape:
        return f"the answer has the shape {g.shape}; it should be {e.shape}."
    if e.dtype == bool and g.dtype != bool:
        return f"the answer should be True or False{' at each place' if e.ndim else ''}, not a number."
    e, g = e.astype(float), g.astype(float)
    if (np.isnan(g) & ~np.isnan(e)).any():
        return f"{int(np.isnan(g).sum())} of the {g.size} numbers are NaN: a division by zero?"
    finite = np.abs(e[np.isfinite(e)])
    reach = tolerance * max(1e-3, float(finite.max(initial=0.0)))
    wrong = ~np.isclose(g, e, rtol=tolerance, atol=reach, equal_nan=True)
    if not wrong.any():
        return None
    worst = np.unravel_index(int(np.argmax(np.where(wrong, np.abs(g - e), 0))), g.shape) if g.ndim else ()
    at = f", most at {tuple(int(i) for i in worst)}" if g.ndim else ""
    count = f"{int(wrong.sum())} of the {g.size} numbers are off{at}: " if g.ndim else ""
    return f"{count}{g[worst]:.4g}, and it should be {e[worst]:.4g}."
