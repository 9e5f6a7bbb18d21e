"""An exercise: what a learner writes, what it is held against, and what typical mistakes are told.

The oracle is the library's own function. A learner's function gets the same inputs, several of them, and must give the
same answers. If it does not, it is compared with *typical mistakes*, functions that go wrong in a known way: whose
answers agree with such a mistake on every input has made it, and is told so in a sentence.

What cannot be compared as it is, a network with random weights, is either put into a form that can be (`probe`: the
same weights for both), or examined by a function of its own.

An assignment has a second set of inputs, drawn from a seed, which is not known while one works on it. There the
learner's function may run in another process: `held_against` only needs somebody to ask.
"""

from __future__ import annotations

import copy
import dis
import re
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
OFTEN = (  # what exceptions say that many a beginner meets, and what to do about it
    (
        r"Boolean value of Tensor|truth value of an array",
        "`if`, `and` and `or` take one True or False; for all places at once use `&`, `|`, or `torch.where`.",
    ),
    (
        r"must match the size of tensor|could not be broadcast|Expected size for first two|shape mismatch",
        "Two things of different shapes meet. Is an axis gone (`keepdim=True`, or `[:, None]`), or are two maps not of "
        "one size yet?",
    ),
    (
        r"leaf Variable that requires grad",
        "To set a layer to zero, use `nn.init.zeros_(layer.weight)`.",
    ),
    (
        r"unsupported operand type.*'str' and 'str'",
        "Text cannot be subtracted: make numbers of it with `float(...)`.",
    ),
    (
        r"does not require grad|element 0 of tensors",
        "Nothing that learns took part in this number: is the student asked, and with its gradients?",
    ),
    (
        r"spatial dimensions|Expected [34]D|expected [34]D",
        "This function wants (B, C, h, w): add an axis for the channels with `[:, None]`; `[:, 0]` takes it away.",
    ),
)


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
        probe: asks a function about one input, and gives what is compared; plainly calls it where this is None.
        hidden: of an assignment: other inputs, from a seed.
    """

    name: str
    answer: Function
    cases: Callable[[], Cases] = dict
    mistakes: Sequence[Mistake] = ()
    examine: Callable[[Function], str | None] | None = None
    examined: Sequence[str] = ()
    tolerance: float = 1e-3
    probe: Callable[..., Any] | None = None
    hidden: Callable[[int], Cases] | None = None

    @property
    def title(self) -> str:
        """`"cosine_distance"` of `"03.cosine_distance"`."""
        return self.name.split(".", 1)[1]


class Verdict(NamedTuple):
    """What became of an answer: `right`, `wrong` or `untouched`, and what to say of it."""

    state: str
    says: str

    def line(self, title: str) -> str:
        """The verdict on the function of this name, for whoever wrote it.

        Example:
            >>> print(Verdict("right", "Checked: one image.").line("pro"))
            \u2713 pro: right. Checked: one image.
        """
        begin = {"right": f"\N{CHECK MARK} {title}: right.", "wrong": f"\N{BALLOT X} {title}: not yet."}
        return f"{begin.get(self.state, f'{title}:')} {self.says}"


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
        complaint = held_against(exercise, exercise.cases(), lambda given: ask(exercise, mine, given))
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


class Reply(NamedTuple):
    """What somebody's function answered to one input.

    Attributes:
        got: the answer, or None where it stopped.
        stopped: why it stopped, in words; else None.
        changed: whether it changed what it was given.
        told: `stopped` is a sentence for the learner, and no exception of his or her code.
    """

    got: Any
    stopped: str | None = None
    changed: bool = False
    told: bool = False


def ask(exercise: Exercise, mine: Function, given: tuple[Any, ...]) -> Reply:
    """Ask a function about one input. The input stays as it is."""
    return asked(exercise.probe, mine, given)


def asked(probe: Callable[..., Any] | None, mine: Function, given: tuple[Any, ...]) -> Reply:
    """The same, from the probe of the exercise alone."""
    gets = copy.deepcopy(given)
    try:
        got = probe(mine, *gets) if probe else mine(*gets)
    except Exception as error:  # of any kind: it is the learner's code
        return Reply(None, explain(error), told=getattr(error, "told", False))
    return Reply(got, None, changed(given, gets))


def held_against(exercise: Exercise, cases: Cases, reply_to: Callable[[tuple[Any, ...]], Reply]) -> str | None:
    """The first difference from the library's answers in words, or None.

    Args:
        exercise: what should be done.
        cases: inputs, by what they are.
        reply_to: asks the learner's function about one input, wherever it runs.
    """
    answers: dict[str, Any] = {}
    first: str | None = None
    for what, given in cases.items():
        expected, reply = ask(exercise, exercise.answer, given), reply_to(given)
        assert expected.stopped is None, f"the library's own answer to {what} of {exercise.name}: {expected.stopped}"
        if reply.stopped is not None:
            return f"On {what} ({shapes(given)}){':' if reply.told else ' it stops.'} {reply.stopped}"
        answers[what] = reply.got
        if first is None:
            if reply.got is None:
                return "It gives None. Is the `return` missing?"
            found = difference(expected.got, reply.got, _tolerance(exercise, given))
            if found is not None:
                first = f"On {what} ({shapes(given)}): {found}"
            elif reply.changed and not expected.changed:
                first = f"On {what} it changes what it was given. Make a copy, and leave the input as it is."
    if first is None:
        return None
    for mistake in exercise.mistakes:
        if all(_is_that(exercise, mistake, given, answers[what]) for what, given in cases.items()):
            return mistake.says
    return first


def _is_that(exercise: Exercise, mistake: Mistake, given: tuple[Any, ...], got: Any) -> bool:
    """Whether a mistake gives what the learner's function gave."""
    theirs = ask(exercise, mistake.answer, given)
    if theirs.stopped is not None:  # this mistake does not survive this input, so the learner's is another
        return False
    return difference(theirs.got, got, _tolerance(exercise, given)) is None


def _guarded(examine: Callable[[Function], str | None], mine: Function) -> str | None:
    try:
        return examine(mine)
    except Exception as error:  # of any kind: it is the learner's code
        return f"It stops. {explain(error)}"


def explain(error: Exception) -> str:
    """An exception of a learner's code: its text, and the line that raised it where there is one to show."""
    text = " ".join(str(error).split())
    if getattr(error, "told", False):  # a probe's own word
        return text
    text = text if len(text) <= LONGEST else text[:LONGEST] + " ..."
    ours = re.compile(r"mrkd_edu[\\/](checks|assignments)[\\/]")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not ours.search(f.filename)]
    mine = next((f for f in frames if "site-packages" not in f.filename and f.line), None)
    where = f" In the line `{mine.line}`." if mine else ""
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    advice = next((f" {says}" for pattern, says in OFTEN if re.search(pattern, text)), "")
    return f"{what}{'' if what.endswith('.') else '.'}{where}{advice}"


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
        pairs = [(f"under {name!r}: ", expected[name], got[name]) for name in expected]
    elif isinstance(expected, (list, tuple)):
        if not isinstance(got, (list, tuple)):
            return f"the answer should be {len(expected)} things in a {type(expected).__name__}, not {_kind(got)}."
        if len(got) != len(expected):
            return f"the answer has {len(got)} parts; it should have {len(expected)}."
        pairs = [(f"in part {i + 1}: ", e, g) for i, (e, g) in enumerate(zip(expected, got, strict=True))]
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
        count = f"{int(np.isnan(g).sum())} of the {g.size} numbers are" if g.ndim else "the number is"
        return f"{count} NaN, no number: is something divided by 0 there?"
    finite = np.abs(e[np.isfinite(e)])
    reach = tolerance * max(1e-3, float(finite.max(initial=0.0)))
    wrong = ~np.isclose(g, e, rtol=tolerance, atol=reach, equal_nan=True)
    if not wrong.any():
        return None
    worst = np.unravel_index(int(np.argmax(np.where(wrong, np.abs(g - e), 0))), g.shape) if g.ndim else ()
    at = f", most at {tuple(int(i) for i in worst)}" if g.ndim else ""
    how_many = f"all {g.size}" if wrong.all() else f"{int(wrong.sum())} of the {g.size}"
    count = f"{how_many} numbers are off{at}: " if g.ndim else ""
    return f"{count}{g[worst]:.4g}, and it should be {e[worst]:.4g}."
