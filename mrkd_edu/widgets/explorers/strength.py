"""The overgeneralisation explorer: let a defect grow, and see which student finds it and which copies it.

The toy factory renders the same product with and without the same defect at any strength. So one can ask of every
strength: how high is the score, and how much of the defect does the student let through (leakage)?
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets
import numpy as np
import torch

from mrkd_edu.data.images import as_batch
from mrkd_edu.figures.heat import outline, scale_colours
from mrkd_edu.figures.style import SPACE, TIMES, colour_of
from mrkd_edu.leakage import FeaturePair, mean_leakage
from mrkd_edu.model import MRKD
from mrkd_edu.toy import CATEGORIES, Pair, growing_pair
from mrkd_edu.toy.pairs import find_category
from mrkd_edu.widgets.frame.chart import Axis, Curve, chart, leakage_axis
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.judgement import (
    common_size,
    in_thresholds,
    judged,
    rgb,
    see_once,
    threshold_of,
    verdict,
    verdict_title,
)
from mrkd_edu.widgets.frame.latest import Latest
from mrkd_edu.widgets.frame.panels import GAP, LARGEST, WIDTH, View, below, beside, panel, write
from mrkd_edu.widgets.frame.paper import drawn_once

STEP = 0.05  # of the slider
STRENGTHS = tuple(round(STEP * i, 2) for i in range(21))
COARSE_TO_FINE = sorted(STRENGTHS, key=lambda s: -next(n for n in (10, 5, 2, 1) if round(s / STEP) % n == 0))
SHOW_EVERY = 4  # new points of the curves
PRODUCTS = 100  # seeds to choose from
REST = 0.3  # seconds without a move after which the hand rests


@dataclass(frozen=True)
class Look:
    """What the models say about a defect of one strength.

    Attributes:
        pair: the product without and with it.
        maps: model to anomaly map of the product with it, (S, S).
        scores: model to score in thresholds.
        leakage: model to leakage, mean over the scales; not a number where the defect changes nothing.
    """

    pair: Pair
    maps: dict[str, np.ndarray]
    scores: dict[str, float]
    leakage: dict[str, float]


class Growth:
    """A defect on one product as it grows. Every strength is worked out once, when it is first asked for.

    Args:
        models: name to calibrated model; all of one size.
        category: a key of `toy.CATEGORIES`.
        kind: of defect.
        seed: of the product and of the defect's place.

    Attributes:
        known: strength to `Look`, so far.
    """

    def __init__(self, models: Mapping[str, MRKD], category: str, kind: str, seed: int = 0):
        self.models, self.kind = models, kind
        self._pair = growing_pair(category, kind, size=next(iter(models.values())).settings.size, seed=seed)
        self.known: dict[float, Look] = {}
        self._normal: dict[str, FeaturePair] = {}

    def look(self, strength: float, pause: Callable[[], None] = lambda: None) -> Look:
        """What the models say about this strength, from 0 to 1; `pause` is called between two pieces of work."""
        if strength not in self.known:
            self.known[strength] = self._judge(self._pair(strength), pause)
        return self.known[strength]

    @torch.no_grad()
    def _judge(self, pair: Pair, pause: Callable[[], None]) -> Look:
        mask = torch.from_numpy(pair.mask)[None]  # (1, S, S)
        if not self._normal:
            self._normal = self._features(pair.normal)
            pause()
        maps, scores, leakage = {}, {}, {}
        for name, (teacher, student) in self._features(pair.defective).items():
            pause()
            maps[name] = self.models[name].compare(teacher, student)[0].cpu().numpy()  # (S, S)
            scores[name] = in_thresholds(maps[name], threshold_of(name, self.models[name]))
            leakage[name] = mean_leakage(self._normal[name], (teacher, student), mask)
        return Look(pair, maps, scores, leakage)

    def _features(self, image: np.ndarray) -> dict[str, FeaturePair]:
        """An image uint8 (S, S, 3) to the teacher's and the student's maps of every model."""
        pixels = as_batch([image])  # (1, 3, S, S)
        return {
            name: (teacher, self.models[name].restore(teacher))
            for name, teacher in see_once(self.models, pixels).items()
        }


def render_overgeneralisation(
    models: Mapping[str, MRKD],
    category: str,
    kind: str,
    strength: float,
    *,
    seed: int = 0,
    strengths: Sequence[float] = STRENGTHS,
) -> View:
    """A product with a defect of some strength, what the models say, and both against the strength.

    Args:
        models: name to calibrated model, for instance `{"rd": rd, "mrkd": mrkd}`; all of one size.
        category: a key of `toy.CATEGORIES`, the one that they were trained on.
        kind: of defect, a key of that category's `defects`.
        strength: from 0 (the normal product) to 1 (obvious).
        seed: of the product.
        strengths: of the curves' points.

    Returns:
        `values` has for each model, such as rd, `rd_score` in thresholds, and `rd_leakage`, unless the defect changes
        nothing.

    Raises:
        ValueError: models of different sizes or without a threshold, or a category, kind or strength that is not there.
    """
    check_models(models, category)
    growth = Growth(models, category, kind, seed)
    for point in (strength, *strengths):
        growth.look(point)
    return render_growth(growth, strength)


def render_growth(growth: Growth, strength: float) -> View:
    """The picture of one strength, with the curves as far as they are known; see `render_overgeneralisation`."""
    look, models = growth.look(strength), growth.models
    side = min(LARGEST, (WIDTH - GAP * len(models)) // (len(models) + 1))
    shown = outline(look.pair.defective, look.pair.mask) if look.pair.mask.any() else look.pair.normal
    title = f"{growth.kind} (cyan), strength {strength:.2f}" if strength else "normal, strength 0"
    top = [below([panel(shown, title, size=side), _colour_scale(side)], gap=6)]
    for name, model in models.items():
        title, colour = verdict_title(name, look.scores[name]), rgb(colour_of(model.settings.variant))
        threshold = threshold_of(name, model)
        mask = look.pair.mask
        top.append(judged(look.pair.defective, look.maps[name], threshold, title, size=side, colour=colour, mask=mask))
    values = {f"{name}_score": score for name, score in look.scores.items()}
    values |= {f"{name}_leakage": leaks for name, leaks in look.leakage.items() if np.isfinite(leaks)}
    picture = below([beside(top), _curves(growth, strength)])
    return View(picture, _finding(growth.kind, strength, look), values)


def check_models(models: Mapping[str, MRKD], category: str) -> None:
    """Refuse models that cannot be compared on this category.

    Raises:
        ValueError: says why.
    """
    find_category(category)
    common_size("the overgeneralisation explorer", models)
    for name, model in models.items():
        trained_on = model.settings.history.get("category", category)
        if trained_on != category:
            raise ValueError(f"{name} was trained on {trained_on}, not on {category}: take a model of {category}")


class OvergeneralisationExplorer(Explorer):
    """An explorer that works out its curves in the background, while the hand rests.

    Args:
        models, category: see `explore_overgeneralisation`.
        kind: of defect to begin with.
    """

    def __init__(self, models: Mapping[str, MRKD], category: str, kind: str):
        self._growing = lru_cache(maxsize=3)(lambda kind, seed: Growth(models, category, kind, seed))
        self._filler: Latest[Growth] = Latest(self._fill)
        self._current: Growth | None = None
        self._last: tuple[str, int, float] | None = None
        self._moved = 0.0  # when
        super().__init__("explore_overgeneralisation", _controls(category, kind), self._render, after=self._go_on)

    def wait(self, seconds: float = 60) -> bool:
        """Until the picture has followed the controls and its curves are complete."""
        return super().wait(seconds) and self._filler.wait(seconds) and super().wait(seconds)

    def close(self) -> None:
        """Take it from the page, let go of its scenes, and stop working on its curves."""
        self._current = None
        self._growing.cache_clear()
        super().close()

    def _render(self, kind: str, seed: int, strength: float) -> View:
        if self._last != (kind, seed, strength):
            self._last, self._moved = (kind, seed, strength), time.monotonic()
        self._current = self._growing(kind, seed)
        return render_growth(self._current, round(strength, 2))

    def _go_on(self) -> None:
        if self._current is not None:
            self._filler.ask(self._current)

    def _let_go_first(self) -> None:
        """Until the hand rests: while it moves, its picture has the processor for itself."""
        while not super().wait(0) or time.monotonic() - self._moved < REST:
            time.sleep(REST / 10)

    def _fill(self, growth: Growth) -> None:
        """The missing points of the curves, as long as nobody chooses another product."""
        missing = [strength for strength in COARSE_TO_FINE if strength not in growth.known]
        try:
            for number, strength in enumerate(missing, 1):
                self._let_go_first()
                if growth is not self._current:
                    return
                growth.look(strength, self._let_go_first)
                if number % SHOW_EVERY == 0 or number == len(missing):
                    self._latest.ask(None)
        except Exception as error:  # as in a picture: the person looks at the widget
            self.shown.complain(error)


def explore_overgeneralisation(models: Mapping[str, MRKD], category: str) -> OvergeneralisationExplorer:
    """Let a defect grow from nothing to obvious, and see what each model finds and what it copies.

    The first picture is there at once; the curves fill up while one looks at it.

    Args:
        models: name to calibrated model, for instance `{"rd": rd, "mrkd": mrkd}`; all of one size.
        category: a key of `toy.CATEGORIES`, the one that they were trained on.

    Raises:
        ValueError: no models, models of different sizes, without a threshold or of another category.
    """
    check_models(models, category)
    for model in models.values():
        model.eval()
    return OvergeneralisationExplorer(models, category, next(iter(CATEGORIES[category].defects)))


# ---- how it is done ----------------------------------------------------------------------------------------


def _controls(category: str, kind: str) -> dict[str, ipywidgets.ValueWidget]:
    return {
        "kind": ipywidgets.Dropdown(
            options=list(CATEGORIES[category].defects),
            value=kind,
            description="kind of defect",
            tooltip="what is wrong with the product",
        ),
        "seed": ipywidgets.IntSlider(
            0, 0, PRODUCTS - 1, description="product", tooltip="another product, with the defect in another place"
        ),
        "strength": ipywidgets.FloatSlider(
            0.5,
            min=0,
            max=1,
            step=STEP,
            readout_format=".2f",
            description="strength",
            tooltip="of the defect: 0 none, 0.15 hard to see, 1 obvious",
        ),
    }


@drawn_once
def _colour_scale(side: int) -> np.ndarray:
    bar = np.tile(scale_colours(side), (18, 1, 1))
    return below([bar, write(side, f"colours: 0 to 2 {TIMES} each threshold")], gap=2)


def _curves(growth: Growth, strength: float) -> np.ndarray:
    """Score and leakage against strength, as far as they are known: uint8 (h, WIDTH, 3)."""
    known = dict(sorted(growth.known.items()))
    ticks = tuple((t, f"{t:g}") for t in (0.0, 0.25, 0.5, 0.75, 1.0))
    across = Axis(0, 1, ticks, "strength of the defect")
    scores = Axis(0, 2, tuple((float(t), f"{t:g}") for t in (0, 0.5, 1, 1.5, 2)))
    copied = leakage_axis([v for look in known.values() for v in look.leakage.values() if np.isfinite(v)])

    def curves(value: Callable[[Look, str], float]) -> list[Curve]:
        return [
            Curve(list(known), [value(look, name) for look in known.values()], rgb(colour_of(m.settings.variant)), name)
            for name, m in growth.models.items()
        ]

    half = (WIDTH - GAP) // 2
    score_title = "score in thresholds: above the line, found"
    leakage_title = f"leakage, mean over scales (100{SPACE}%: copied)"
    found = chart(score_title, across, scores, curves(lambda k, n: k.scores[n]), width=half, now=strength, line=1)
    leaks = chart(leakage_title, across, copied, curves(lambda k, n: k.leakage[n]), width=half, now=strength)
    return beside([found, leaks])


def _finding(kind: str, strength: float, look: Look) -> str:
    what = f"{kind.capitalize()} of strength {strength:.2f}" if strength else "The normal product"
    parts = []
    for name, score in look.scores.items():
        leaks = look.leakage[name]
        copied = f" and copies {round(100 * leaks)} % of it" if np.isfinite(leaks) else ""
        parts.append(f"{name} gives {score:.2f} times its threshold ({verdict(score)}){copied}")
    return f"{what}: " + "; ".join(parts) + "."
