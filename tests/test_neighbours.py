"""The baseline `nn`: exact nearest neighbours, and a row in the benchmark like every other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mrkd_edu.recipe import RECIPES
from mrkd_edu.study.benchmark import benchmark
from mrkd_edu.study.neighbours import Neighbours
from mrkd_edu.study.run import Plan
from mrkd_edu.toy import make_toy


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(0, 255, (6, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_nearest_is_the_nearest(images: torch.Tensor) -> None:
    """Against a loop over every position and every remembered feature."""
    model = Neighbours(images[:4], bank=50, precision="fp32")
    [f], [nearest] = model.features(images[4:])
    for b in range(2):
        for p in range(64):
            here = f[b].flatten(1)[:, p]
            wanted = min(((here - kept).norm() for kept in model.bank), key=float)
            torch.testing.assert_close((here - nearest[b].flatten(1)[:, p]).norm(), wanted, rtol=1e-4, atol=1e-4)


def test_who_remembers_everything_finds_nothing(images: torch.Tensor) -> None:
    model = Neighbours(images, bank=10**6, precision="fp32")
    assert model.bank.shape == (6 * 64, 152)  # all positions at stride 8
    assert model(images).max() < 1e-3
    assert Neighbours(images[:3], bank=10**6, precision="fp32")(images[3:]).max() > 1


def test_the_bank_is_drawn_from_all_images_and_repeats(images: torch.Tensor) -> None:
    twice = [Neighbours(images, bank=40, seed=3, precision="fp32").bank for _ in range(2)]
    assert torch.equal(*twice)
    assert not torch.equal(twice[0], Neighbours(images, bank=40, seed=4, precision="fp32").bank)
    one_each = torch.cat([Neighbours(images[i : i + 1], bank=64, precision="fp32").bank for i in range(6)])
    origin = torch.cdist(twice[0], one_each).argmin(1) // 64  # the image of every remembered position
    assert len(origin.unique()) == 6


def test_nn_is_a_row_of_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
    toy = make_toy(tmp_path, train=12, test_good=3, test_defective=5, size=64)
    plan = Plan(size=64, recipe=replace(RECIPES["workshop"], steps=2, warmup=1, batch=4))
    rows = benchmark([toy], tmp_path / "out", plan=plan, variants=("nn", "rd"), seeds=(0,), progress=False)
    assert [(row["variant"], row["steps"]) for row in rows] == [("nn", "0"), ("rd", "2")]
    assert {name for name, value in rows[0].items() if not value} == {"copying_cost", "explained"}  # no student
    again = benchmark([toy], tmp_path / "out", plan=plan, variants=("nn",), seeds=(0,), progress=False)
    assert again == rows[:1]
