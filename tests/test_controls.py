"""`gauss` and `template`: no student, the same rows in every table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mrkd_edu.data import AnomalyFolder
from mrkd_edu.leakage import leakage
from mrkd_edu.recipe import Recipe
from mrkd_edu.study.benchmark import benchmark, detector
from mrkd_edu.study.controls import Control
from mrkd_edu.study.evaluate import evaluate
from mrkd_edu.study.run import Plan
from mrkd_edu.toy import make_toy

PLAN = Plan(size=64, recipe=Recipe(steps=3, warmup=1, batch=4, width=16))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> AnomalyFolder:
    return AnomalyFolder(
        make_toy(tmp_path_factory.mktemp("toy"), "surface", train=14, test_good=4, test_defective=5, size=64)
    )


def test_template_answers_each_place_with_its_mean(toy: AnomalyFolder) -> None:
    images = toy.train_images(64)
    model = Control("template", images, PLAN.recipe, precision="fp32")
    teacher, answer = model.features(images[:])
    for t, s in zip(teacher, answer, strict=True):
        torch.testing.assert_close(s[3], t.mean(0), rtol=1e-3, atol=1e-4)
        assert torch.equal(s[0], s[-1])


def test_template_leaks_nothing_and_copying_costs_it_nothing(toy: AnomalyFolder) -> None:
    model = detector(toy, Plan("template", size=64, recipe=PLAN.recipe))
    normal, defective, mask = toy.twin_pairs(64)
    assert leakage(model.features, [(normal[:], defective[:], torch.from_numpy(mask))]) == [0, 0, 0]
    result = evaluate(model, toy, progress=False)
    assert result.metrics["leakage"] == result.metrics["copying_cost"] == 0
    assert 0 < result.metrics["explained"] < 1  # the mean explains something, and not all


def test_gauss_is_the_mahalanobis_distance_of_the_features(toy: AnomalyFolder) -> None:
    model = detector(toy, Plan("gauss", size=64, recipe=PLAN.recipe))
    assert model.settings.distance == "mahalanobis" and model.settings.threshold is not None
    teacher, answer = model.features(toy.test_images(64)[:])
    assert all(not s.any() for s in answer)
    t, distance = teacher[0], model.distances(teacher, answer)[0]
    whiten, mean = model.mahalanobis.whiten0, model.mahalanobis.mean0
    wanted = ((t[2, :, 1, 5] - mean) @ whiten).square().mean().sqrt()
    torch.testing.assert_close(distance[2, 1, 5], wanted)


def test_both_distances_from_one_training(toy: AnomalyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRKD_EDU_CACHE", str(tmp_path / "cache"))
    trained = []
    monkeypatch.setattr("mrkd_edu.study.run.fit", counted(trained))
    rows = benchmark(
        [toy.root], tmp_path, plan=PLAN, variants=("nn", "gauss", "template", "rd"), seeds=(0,),
        distances=("cosine", "mahalanobis"), progress=False,
    )  # fmt: skip
    assert [(r["variant"], r["distance"]) for r in rows] == [
        ("nn", "euclidean"), ("gauss", "mahalanobis"), ("template", "cosine"), ("template", "mahalanobis"),
        ("rd", "cosine"), ("rd", "mahalanobis"),
    ]  # fmt: skip
    assert len(trained) == 1, "a student is trained once and judged twice"
    assert rows[4]["image_auroc"] != rows[5]["image_auroc"] or rows[4]["aupro"] != rows[5]["aupro"]
    assert rows[4]["leakage"] == rows[5]["leakage"], "leakage belongs to the student, not to the distance"
    assert rows[4]["copying_cost"] and rows[0]["copying_cost"] == ""


def counted(log: list[str]):
    from mrkd_edu.train import fit

    def wrapped(model, *args, **kwargs):
        log.append(model.settings.variant)
        return fit(model, *args, **kwargs)

    return wrapped


def test_the_ceiling_is_the_auroc_had_the_student_restored(toy: AnomalyFolder) -> None:
    """Against the counterfactual of lesson 04, computed in another way."""
    from mrkd_edu.study.copying import answers, copying_cost, read_pairs

    model = detector(toy, Plan("rd", size=64, recipe=PLAN.recipe))
    pairs = read_pairs(toy, 64)
    cost = copying_cost(answers(model, pairs), pairs)
    found = evaluate(model, toy, progress=False).metrics["copying_cost"]
    assert found == pytest.approx(cost.auroc_restored - cost.auroc, abs=1e-6)
    assert np.isfinite(cost.leakage).all()


def test_controls_take_the_recipes_scales() -> None:
    images = torch.randint(0, 255, (4, 3, 64, 64), dtype=torch.uint8)
    model = Control("gauss", images, Recipe(strides=(4, 8), squeeze=2))
    assert [tuple(d.shape) for d in model.distances(*model.features(images))] == [(4, 16, 16), (4, 8, 8)]
