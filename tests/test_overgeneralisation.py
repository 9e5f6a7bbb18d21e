"""Overgeneralisation: the questions asked of leakage give the answers that one can work out."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.figures import leakage as plots_leakage
from mrkd_edu.judging.detector import Detector, Settings
from mrkd_edu.leakage import leakage
from mrkd_edu.recipe import RECIPES
from mrkd_edu.study.evaluate import evaluate
from mrkd_edu.study.leakage_by_kind import leakage_by_kind, leakage_by_strength
from mrkd_edu.study.run import Plan, run
from mrkd_edu.study.snapshots import Look, look_at_snapshots, watched, write_looks
from mrkd_edu.toy import make_toy

PLAN = Plan(variant="rd", size=64, recipe=replace(RECIPES["workshop"], steps=4, warmup=1, batch=4))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path_factory.mktemp("cache")))


class Copies(Detector):
    """Lets a share of everything through: its leakage is that share, whatever the defect.

    Its features have a large constant, so that bringing them to unit length changes little."""

    def __init__(self, share: float):
        super().__init__()
        self.share, self.settings = share, Settings(size=64)
        self.normal: torch.Tensor | None = None  # leakage asks about the normal images first, then about the twins

    def features(self, images: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        x = torch.nn.functional.avg_pool2d(images.float() / 255, 4)  # (B, 3, 16, 16)
        t = torch.cat([x, torch.full_like(x[:, :1], 100)], 1)  # nearly of one length: the share survives `unit`
        normal, self.normal = (t, t) if self.normal is None else (self.normal, None)
        return [t], [normal + self.share * (t - normal)]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> AnomalyFolder:
    root = tmp_path_factory.mktemp("toy")
    return AnomalyFolder(make_toy(root, "tray", train=14, test_good=4, test_defective=9, size=64))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_who_copies_a_share_leaks_that_share_of_every_kind(share: float, toy: AnomalyFolder) -> None:
    found = leakage_by_kind(Copies(share), toy)
    assert sorted(found) == ["extra", "missing", "swapped", "turned"]
    assert all(scales == pytest.approx([share], abs=0.01) for scales in found.values())


def test_kinds_together_are_the_whole_test_set(toy: AnomalyFolder) -> None:
    normal, defective, masks = toy.twin_pairs(64)
    model = Copies(0.3)
    kinds = [s.kind for s in toy.test if s.twin]
    alone = [i for i, kind in enumerate(kinds) if kind == "turned"]
    wanted = leakage(model.features, [(normal[alone], defective[alone], torch.from_numpy(masks[alone]))])
    assert leakage_by_kind(model, toy)["turned"] == pytest.approx(wanted)


def test_strengths_are_rows_and_scales_are_columns() -> None:
    found = leakage_by_strength(Copies(0.7), "metal", strengths=(0.5, 1.0), pairs=2)
    assert sorted(found) == ["chip", "dent", "foreign", "scratch", "stain"]
    for rows in found.values():
        assert rows.shape == (2, 1)
        np.testing.assert_allclose(rows, 0.7, atol=0.01)


def test_looking_does_not_change_the_training(toy: AnomalyFolder) -> None:
    """The last look shows exactly what the same run, undisturbed, gives at its end."""
    acts = watched(toy, PLAN, at=(1, 2, 4), progress=False)
    assert [a.step for a in acts] == [1, 2, 4]
    assert 0 < acts[0].seconds < acts[1].seconds < acts[2].seconds
    whole = replace(PLAN, recipe=replace(PLAN.recipe, steps=4, schedule="constant"))
    result = evaluate(run(toy, whole, cache=False, progress=False), toy, progress=False)
    assert acts[-1].image_auroc == result.metrics["image_auroc"]
    assert acts[-1].leakage == result.leakage
    cost = result.metrics["copying_cost"]
    assert cost is not None and acts[-1].ceiling == acts[-1].image_auroc + cost


def test_the_theatre_plays_every_variant_to_the_last_step(toy: AnomalyFolder, tmp_path: Path) -> None:
    acts = look_at_snapshots(toy, PLAN, at=(2, 3), variants=("rd", "flm"), recipe="workshop", progress=False)
    assert [(a.variant, a.step) for a in acts] == [("rd", 2), ("rd", 3), ("flm", 2), ("flm", 3)]
    assert {a.recipe for a in acts} == {"workshop"}
    write_looks(tmp_path / "new" / "acts.csv", acts)
    with (tmp_path / "new" / "acts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = [a.leakage[0] for a in acts if a.leakage]
    assert [float(row["leakage_1"]) for row in rows] == pytest.approx(wanted, rel=1e-4)


# --- pictures -----------------------------------------------------------------------------------------------


def acts_of(variant: str, aurocs: tuple[float, float], leaks: tuple[float, float]) -> list[Look]:
    return [
        Look(variant, seed, step, 1.0, 0.5, auroc + 0.02 * seed, 0.9, [leak, leak])
        for seed in (0, 1)
        for step, auroc, leak in zip((100, 400), aurocs, leaks, strict=True)
    ]


def test_the_theatres_titles_are_means_over_seeds() -> None:
    acts = acts_of("rd", (0.70, 0.60), (0.1, 0.4)) + acts_of("mrkd", (0.69, 0.74), (0.05, 0.06))
    figure = plots_leakage.theatre_curves(acts)
    left, right = (ax.get_title(loc="left") for ax in figure.axes)
    assert left == "At its best and after 400 steps\nrd 0.71, then 0.61; mrkd 0.75, then 0.75"
    assert right == "What is copied, after 100 and 400 steps\nrd 10 to 40 %; mrkd 5 to 6 %"
    with pytest.raises(ValueError, match="no acts"):
        plots_leakage.theatre_curves([])


def test_the_theatre_shows_two_recipes_in_two_rows_on_one_scale() -> None:
    acts = acts_of("rd", (0.70, 0.60), (0.1, 0.4)) + acts_of("mrkd", (0.69, 0.74), (0.05, 0.06))
    able = [replace(a, recipe="long", ceiling=0.9, image_auroc=0.8) for a in acts]
    figure = plots_leakage.theatre_curves([replace(a, recipe="workshop") for a in acts] + able)
    first, _, second, leaks = figure.axes
    assert first.get_title(loc="left").startswith("workshop: ") and second.get_title(loc="left").startswith("long: ")
    assert first.get_ylim() == second.get_ylim() and leaks.get_ylim() == figure.axes[1].get_ylim()
    dashed = [line for line in second.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 2 and all(np.allclose(line.get_ydata(), 0.9) for line in dashed)
    assert not [line for line in first.lines if line.get_linestyle() == "--"]  # no ceiling known, none drawn


def test_kinds_and_strengths_share_one_scale_across_variants() -> None:
    kinds = {"rd": {"hole": [0.1, 0.6], "cut": [0.2, 0.2]}, "mrkd": {"hole": [0.0, 0.1], "cut": [0.1, 0.0]}}
    figure = plots_leakage.leakage_kinds(kinds, (8, 16))
    limits = {ax.collections[0].get_clim() for ax in figure.axes[:2]}
    assert limits == {(0, 60)}
    assert [ax.get_title() for ax in figure.axes[:2]] == ["rd copies 28 %", "mrkd copies 5 %"]
    growing = {v: {k: np.array([[0.1, 0.3], [0.2, 0.4]]) for k in found} for v, found in kinds.items()}
    figure = plots_leakage.leakage_strengths(growing, (0.5, 1.0))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["hole", "cut"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == pytest.approx([0.2, 0.3])
