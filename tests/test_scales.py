"""Weights of the scales: from normal images alone, and right where one can say what is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mrkd_edu.distance import anomaly_map
from mrkd_edu.judging.scale_weights import choose_weights, scale_scores
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import NSA
from mrkd_edu.toy import render_normal

SIZE = 64


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    pictures = np.stack([render_normal("fabric", size=SIZE, seed=seed) for seed in range(6)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)  # (6, 3, S, S)


def test_scale_scores_are_the_scores_of_each_scale_alone(images: torch.Tensor) -> None:
    model = MRKD(variant="rd", size=SIZE)
    scores = scale_scores(model, images)
    assert scores.shape == (6, 3)
    teacher, student = model.features(images)
    alone = anomaly_map(teacher[2:3], student[2:3], (SIZE, SIZE), floor=model.floor, sigma=1).detach()
    np.testing.assert_allclose(scores[:, 2], alone.flatten(1).amax(1).numpy(), rtol=1e-5)


def test_weights_are_set_sum_to_one_and_repeat(images: torch.Tensor) -> None:
    found = []
    for _ in range(2):
        model = MRKD(variant="rd", size=SIZE)
        found.append(choose_weights(model, images, NSA(), np.random.default_rng(1)))
        assert model.settings.weights == tuple(found[-1]["weights"])
    assert found[0] == found[1]
    assert sum(found[0]["weights"]) == pytest.approx(1, abs=1e-3) and min(found[0]["weights"]) >= 0


def test_a_blind_scale_gets_no_say(images: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """One scale sees defects, one sees noise, one sees nothing at all."""
    rng = np.random.default_rng(0)

    def scores(model: MRKD, shown: torch.Tensor) -> np.ndarray:
        defective = len(shown) > len(images)
        columns = [rng.normal(10 if defective else 0, 1, len(shown)), rng.normal(0, 1, len(shown))]
        return np.stack([*columns, np.ones(len(shown))], 1)

    monkeypatch.setattr("mrkd_edu.judging.scale_weights.scale_scores", scores)
    model = MRKD(variant="rd", size=SIZE)
    weights = choose_weights(model, images, NSA(), rng)["weights"]
    assert weights[0] > 0.5 and weights[0] > 1.5 * weights[1] and weights[2:] == [0]


def test_where_nothing_separates_each_scale_counts_by_its_spread(images: torch.Tensor) -> None:
    model = MRKD(variant="rd", size=SIZE)
    all_background = NSA(background=(128, 127), min_object=1.0)  # no patch finds an object
    found = choose_weights(model, images, all_background, np.random.default_rng(0))
    assert found["auroc"] == [0.5] * 3
    shares = 1 / np.array(found["spread"])
    assert found["weights"] == pytest.approx((shares / shares.sum()).tolist(), abs=1e-3)


def test_weights_change_the_map_and_survive_the_file(images: torch.Tensor, tmp_path: object) -> None:
    model = MRKD(variant="rd", size=SIZE)
    plain = model(images)
    model.settings.weights = (0.0, 2.0, 0.0)
    weighted = model(images)
    teacher, student = model.features(images)
    wanted = 2 * anomaly_map(teacher[1:2], student[1:2], (SIZE, SIZE), floor=model.floor, sigma=1)
    torch.testing.assert_close(weighted, wanted)
    assert not torch.allclose(plain, weighted)
    loaded = MRKD.load(model.save(tmp_path))  # type: ignore[arg-type]
    assert loaded.settings.weights == (0.0, 2.0, 0.0)
    torch.testing.assert_close(loaded(images), weighted)
