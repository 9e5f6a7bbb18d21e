"""How a class or a training step is asked, so that what comes back can be compared: the same weights for both sides.

These functions run beside a student's code, and hold no answer. They import nothing of this package.

    uint8, floats                                       assignment A1
    with_gradients                                      assignment A2
    network, module, frozen, step, hidden_positions     assignment A3
    submission                                          assignment A4
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = Mapping[str, Tensor]
Function = Callable[..., Any]

# ---- networks --------------------------------------------------------------------------------------------------


class Told(ValueError):
    """What is wrong, in a sentence for whoever wrote it."""

    told = True


class OtherNetwork(Told):
    """A network is not what the task asks for: it has other layers, or cannot be compared."""


def network(mine: Function, sizes: tuple[Any, ...], weights: Weights, x: Any) -> dict[str, Any]:
    """Make a network of these sizes, put weights in, and say what it answers, in evaluation and in training.

    Args:
        mine: the class.
        sizes: its arguments.
        weights: by the names of its layers, statistics included.
        x: a map, or a list of maps.
    """
    one = is_network(mine(*sizes))
    put_in(one, weights)
    return look_at(one, x)


def module(mine: Function, channels: int, weights: Weights, x: Tensor) -> dict[str, Any]:
    """The same for a module that should begin as the identity.

    Args:
        mine: the class.
        channels: its argument.
        weights, x: as for `network`.
    """
    one = is_network(mine(channels))
    with torch.no_grad():
        first = answer_of(one, x)
    same = first.shape == x.shape and torch.allclose(first, x, rtol=1e-5, atol=1e-5 * float(x.abs().max()))
    moves = any(bool(p.abs().sum() > 0) for p in one.parameters())  # zeros everywhere get no gradient
    put_in(one, weights)
    begins = {"At first it gives back what it gets:": _yes(same), "At first some weight is not zero:": _yes(moves)}
    return begins | look_at(one, x)


def is_network(one: Any) -> nn.Module:
    """The same, where it is one.

    Raises:
        OtherNetwork: it is none.
    """
    if not isinstance(one, nn.Module):
        raise OtherNetwork("It should be a class that inherits from `nn.Module`.")
    return one


def put_in(one: nn.Module, weights: Weights) -> None:
    """Give a network weights and statistics by the names of its layers.

    Raises:
        OtherNetwork: it has other layers; the message says which.
    """
    own = {name: value for name, value in one.state_dict().items() if value.is_floating_point()}
    missing, more = [n for n in weights if n not in own], [n for n in own if n not in weights]
    if missing:
        raise OtherNetwork(_missing(one, missing, more))
    if more:
        raise OtherNetwork(f"It has layers that the task does not name: {_listed(more)}.")
    for name, value in weights.items():
        if own[name].shape != value.shape:
            shapes = f"{tuple(own[name].shape)}; it should be {tuple(value.shape)}"
            raise OtherNetwork(f"`{name}` has the shape {shapes}. Look at its channels, kernel and type of layer.")
    one.load_state_dict(dict(weights), strict=False)


def _missing(one: nn.Module, missing: Sequence[str], more: Sequence[str]) -> str:
    if not more and all(n.endswith(".bias") and n.removesuffix("bias") + "weight" in one.state_dict() for n in missing):
        return f"It has no {_listed(missing)}. Leave the layer's default as it is: with bias."
    place: Any = one
    path = missing[0].split(".")
    for i, part in enumerate(path):
        if isinstance(place, (list, tuple)):
            return (
                f"`{'.'.join(path[:i])}` is a plain Python {type(place).__name__}: PyTorch does not find the layers in "
                "it, and the optimiser does not either. Put them into `nn.ModuleList`."
            )
        place = getattr(place, part, None)
    instead = f" There are others, not named in the task: {_listed(more)}." if more else ""
    return f"It has no {_listed(missing)}. Layers have the names of the task, and stand as `self. ...`.{instead}"


def _listed(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(f"`{name}`" for name in names[:most]) + (" and others" if len(names) > most else "")


def answer_of(one: nn.Module, x: Any) -> Any:
    """What a network answers.

    Raises:
        OtherNetwork: it gives nothing, or changes what it is given.
    """
    before = [each.clone() for each in _leaves(x)]
    answer = one(x)
    if answer is None:
        raise OtherNetwork("`forward` gives None. The `return` is missing.")
    if not all(map(torch.equal, before, _leaves(x))):
        raise OtherNetwork("It changes what it is given. Make something new, `x + y` and not `x += y`.")
    return answer


def look_at(one: nn.Module, x: Any) -> dict[str, Any]:
    """What a network answers in evaluation and in training, and what training leaves behind.

    Args:
        one: with its weights.
        x: a map, or a list of maps.
    """
    one.eval()
    with torch.no_grad():
        calm = answer_of(one, x)
    one.train()
    answer = answer_of(one, x)
    total = torch.zeros(())
    for each in _leaves(answer):  # each number counts differently, so that exchanged ones are noticed
        total = total + (each.float() * torch.linspace(-1, 2, each.numel()).view_as(each)).sum()
    if total.requires_grad:
        total.backward()
    gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in one.named_parameters()}
    return {
        "the answer in evaluation": calm,
        "the answer in training": answer.detach() if isinstance(answer, Tensor) else [a.detach() for a in answer],
        "the gradients": gradients,
        "the running statistics": _statistics(one),
    }


def _leaves(x: Any) -> list[Tensor]:
    return [x] if isinstance(x, Tensor) else list(x)


def _statistics(one: nn.Module) -> dict[str, Tensor]:
    """Running means and variances, without the counters."""
    return {name: value for name, value in one.named_buffers() if value.is_floating_point()}


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


# ---- a teacher, and a step -------------------------------------------------------------------------------------


class Eye(nn.Module):
    """A small teacher with what has two modes: normalisation and dropout. Images (B, 3, S, S) to two maps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.conv_norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.down, self.down_norm = nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6)

    def forward(self, images: Tensor) -> list[Tensor]:
        fine = self.conv_norm(self.conv(images))  # (B, 4, S, S)
        return [fine, self.down_norm(self.down(self.drop(F.relu(fine))))]  # and (B, 6, S / 2, S / 2)


class Hand(nn.Module):
    """A small student of the two maps, with a normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.fine_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.coarse = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [self.fine_norm(self.fine(maps[0])), self.coarse(maps[1])]


def some_loss(target: Sequence[Tensor], answer: Sequence[Tensor]) -> Tensor:
    """Squared differences, where the target is large more than elsewhere: it notices when the two are exchanged."""
    scales = [((1 + t.abs()) * (t - s).square()).mean() for t, s in zip(target, answer, strict=True)]
    return torch.stack(scales).sum()


def frozen(mine: Function, weights: Weights, images: Tensor) -> dict[str, Any]:
    """Freeze a network, make it a part of a model, train the model, and see what became of the network.

    Args:
        mine: the class that freezes.
        weights: of `Eye`.
        images: (B, 3, S, S).
    """
    eye = Eye().train()
    put_in(eye, weights)
    one = is_network(mine(eye))
    if getattr(one, "network", None) is not eye:
        raise OtherNetwork("It should keep the network that it is given as `self.network`.")
    at_first = not any(part.training for part in eye.modules())
    model = nn.ModuleDict({"teacher": one, "student": nn.Conv2d(3, 1, 1)})
    with torch.random.fork_rng(devices=[]):  # of dropout, which a teacher in training mode would have
        torch.manual_seed(0)
        model.train()
        later = not any(part.training for part in eye.modules())
        seen = answer_of(one, images)
    beside = model["student"]
    return {
        "Everything in evaluation mode at first:": _yes(at_first),
        "Everything in evaluation mode after model.train():": _yes(later),
        "the maps": [t.detach() for t in seen],
        "The maps carry a gradient:": _yes(any(t.requires_grad for t in seen)),
        "Weights that ask for a gradient:": sum(p.requires_grad for p in eye.parameters()),
        "`train` gives the module itself:": _yes(one.train() is one),
        "What stands beside it can learn:": _yes(beside.training and all(p.requires_grad for p in beside.parameters())),
        "the running statistics": _statistics(eye),
    }


def step(
    mine: Function, eye: Weights, hand: Weights, normal: Tensor, anomalous: Tensor, times: int, lr: float
) -> dict[str, Any]:
    """Steps with a teacher that would take a gradient, a student in evaluation mode, and gradients left over.

    Args:
        mine: a function of teacher, student, loss, optimiser, normal and anomalous images.
        eye, hand: weights of teacher and student.
        normal, anomalous: images (B, 3, S, S).
        times: steps.
        lr: learning rate of plain gradient descent.
    """
    teacher, student = Eye(), Hand()
    put_in(teacher, eye)
    put_in(student, hand)
    teacher.eval()
    student.eval()
    optimiser = torch.optim.SGD(student.parameters(), lr)
    for p in student.parameters():
        p.grad = torch.full_like(p, 0.3)
    said = [mine(teacher, student, some_loss, optimiser, normal, anomalous) for _ in range(times)]
    if said[0] is None:
        raise Told("It gives None. Return the loss, as a plain number.")
    return {
        "the loss before each step": [value.item() if isinstance(value, Tensor) else value for value in said],
        "The loss is a plain number:": _yes(all(isinstance(value, float) for value in said)),
        "the student's weights": {n: p.detach() for n, p in student.named_parameters()},
        "the student's running statistics": _statistics(student),
        "The teacher has got a gradient:": _yes(any(p.grad is not None for p in teacher.parameters())),
        "the teacher's weights": {n: p.detach() for n, p in teacher.named_parameters()},
        "the teacher's running statistics": _statistics(teacher),
    }


# ---- masks on features -----------------------------------------------------------------------------------------


def hidden_positions(
    mine: Function,
    maps: list[Tensor],
    weights: Sequence[Weights],
    drop: Sequence[float],
    training: bool,
    random: Sequence[Tensor] | None,
) -> Any:
    """Ask for maps that are masked and restored, with a convolution in place of each generation module.

    Args:
        mine: a function of maps, modules and the rest.
        maps: (B, C_k, h_k, w_k).
        weights: of the convolutions.
        drop, training, random: handed on.
    """
    generate = nn.ModuleList()
    for m, each in zip(maps, weights, strict=True):
        conv = nn.Conv2d(m.shape[1], m.shape[1], 3, padding=1)
        put_in(conv, each)
        generate.append(conv.to(m.dtype))
    with torch.no_grad():
        return mine(maps, generate, drop, training, random)


# ---- files -----------------------------------------------------------------------------------------------------


class NoSubmission(Told):
    """The files of a submission are missing, or cannot be read."""


def submission(
    mine: Function, scores: Mapping[str, float], maps: Mapping[str, np.ndarray], older: bool
) -> dict[str, Any]:
    """Let a submission be written, and read it back.

    Args:
        mine: a function of scores, maps and a folder.
        scores, maps: by the names of the images.
        older: an older submission is in the folder; else there is no folder yet.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "to" / "challenge"
        if older:
            folder.mkdir(parents=True)
            (folder / "scores.csv").write_text("image,score\nolder.png,1.0\n" * 40, encoding="utf-8")
            np.savez(folder / "maps.npz", older=np.ones((9, 9)))
        mine(scores, maps, str(folder) if older else folder)
        return _read_back(folder)


def _read_back(folder: Path) -> dict[str, Any]:
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for name in ("scores.csv", "maps.npz"):
        if name not in there:
            found = f"there is {', '.join(there)}" if there else "nothing was written there"
            raise NoSubmission(f"There is no {name} in the folder; {found}.")
    header, names, numbers = _table((folder / "scores.csv").read_bytes())
    maps = _arrays(folder / "maps.npz")
    return {
        "the names of the files": there,
        "the header of scores.csv": header,
        "the images in scores.csv": names,
        "the scores": np.array(numbers),
        "the order of the images by score": np.argsort(numbers, kind="stable"),
        "the maps": maps,
        "the number format of the maps": {name: str(each.dtype) for name, each in maps.items()},
    }


def _table(content: bytes) -> tuple[list[str], list[str], list[float]]:
    """Header, names and scores of a scores.csv."""
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise NoSubmission("scores.csv is not in UTF-8. Say so when you open it: `encoding='utf-8'`.") from None
    header, *rows = list(csv.reader(lines)) or [[]]
    numbers = []
    for row in rows:
        if len(row) != 2:
            raise NoSubmission(
                f"In scores.csv the row {row} has {len(row)} columns; it should have two. A name with a comma needs "
                "quotes: the module `csv` sets them. Lines must not be empty."
            )
        try:
            numbers.append(float(row[1]))
        except ValueError:
            raise NoSubmission(f"In scores.csv the score of {row[0]} is {row[1]!r}, which is no number.") from None
    return header, [row[0] for row in rows], numbers


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise NoSubmission("maps.npz holds a single array. Write one for each image, by its name: `np.savez`.")
        with archive:
            return {name: archive[name] for name in archive.files}
    except NoSubmission:
        raise
    except ValueError as error:
        raise NoSubmission(
            f"maps.npz cannot be read without pickle ({error}). Give `np.savez` one array for each image, by its name."
        ) from None


# ---- pictures, masks and losses ----------------------------------------------------------------------------------


def uint8(mine: Function, *given: Any) -> Any:
    """Ask for a picture, and take bytes only: where values are compared, floats would pass for them."""
    answer = mine(*given)
    _refuse(answer, str(getattr(answer, "dtype", "uint8")) == "uint8", "uint8")
    return answer


def floats(mine: Function, *given: Any) -> Any:
    """Ask for an array or a tensor, and take floats only, of any precision."""
    answer = mine(*given)
    if isinstance(answer, Tensor):
        _refuse(answer, answer.is_floating_point(), "floats")
    elif isinstance(answer, np.ndarray):
        _refuse(answer, answer.dtype.kind == "f", "floats")
    return answer


def _refuse(answer: Any, fits: bool, wanted: str) -> None:
    if not fits:
        raise Told(f"What it gives cannot be used: its numbers are {answer.dtype}, and they should be {wanted}.")


def with_gradients(mine: Function, T: Sequence[Tensor], S: Sequence[Tensor]) -> Any:
    """Ask for a loss of two lists of maps, and for what it asks of the student's maps.

    Args:
        mine: a function of `T` and `S`.
        T, S: maps of teacher and student, (B, C_k, h_k, w_k).
    """
    S = [s.detach().clone().requires_grad_() for s in S]
    loss = mine(T, S)
    if loss is None:
        return None
    if not isinstance(loss, Tensor) or not loss.requires_grad or loss.ndim > 0:
        value = loss.detach() if isinstance(loss, Tensor) else loss
        return {"the loss": value, "the gradients": "none"}
    loss.backward()
    gradients = [torch.zeros_like(s) if s.grad is None else s.grad for s in S]
    return {"the loss": loss.detach(), "the gradients": gradients}
