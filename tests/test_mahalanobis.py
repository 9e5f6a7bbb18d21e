"""The Mahalanobis distance of residuals, and what holds for both distances: the student's length does not count."""

from __future__ import annotations

from types import MethodType

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis as by_scipy
from torch import Tensor

from mrkd_edu.distance import match_length
from mrkd_edu.judging.mahalanobis import Mahalanobis
from mrkd_edu.model import MRKD
from mrkd_edu.recipe import DISTANCES
from mrkd_edu.toy import render_normal, render_pair

SIZE = 64


def maps(seed: int, channels: int = 5, side: int = 8, batch: int = 3) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def images() -> Tensor:
    pictures = [render_normal("fabric", size=SIZE, seed=seed) for seed in range(6)]
    pictures.append(render_pair("fabric", "hole", 0.9, size=SIZE, seed=9).defective)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)  # (7, 3, S, S)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_it_is_scipys_distance_of_the_residual(shrinkage: float) -> None:
    mixing = torch.randn(5, 5, generator=torch.Generator().manual_seed(5))
    t, s = torch.einsum("cd,bdhw->bchw", mixing, maps(0)) + 1, maps(1)
    distance = Mahalanobis((5,))
    distance.learn([[t[:2]], [t[2:]]], [[s[:2]], [s[2:]]], shrinkage)
    r = (t - match_length(t, s)).movedim(1, -1).double()  # (B, h, w, C)
    rows = r.reshape(-1, 5).numpy()
    covariance = np.cov(rows.T, bias=True)
    covariance = (1 - shrinkage) * covariance + shrinkage * covariance.trace() / 5 * np.eye(5)
    [found] = distance([t], [s])
    for b, i, j in ((0, 0, 0), (1, 3, 7), (2, 6, 2)):
        wanted = by_scipy(r[b, i, j].numpy(), rows.mean(0), np.linalg.inv(covariance)) / np.sqrt(5)
        assert found[b, i, j].item() == pytest.approx(wanted, rel=1e-4)


def test_normal_residuals_are_about_1_and_odd_ones_far() -> None:
    t, s = 3 * maps(0, batch=20), maps(1, batch=20)
    distance = Mahalanobis((5,))
    distance.learn([[t]], [[s]], shrinkage=0)
    assert distance([t], [s])[0].square().mean().item() == pytest.approx(1, rel=1e-3)
    assert distance([10 * t], [s])[0].square().mean().item() == pytest.approx(100, rel=0.05)


def test_the_matched_length_is_the_best_one() -> None:
    t, s = maps(0) + maps(1), maps(1)
    best = (t - match_length(t, s)).square().sum((1, 2, 3))
    for factor in (0.97, 1.03):
        assert (best < (t - factor * match_length(t, s)).square().sum((1, 2, 3))).all()
    assert match_length(t, torch.zeros_like(s)).abs().max() == 0  # a student that says nothing explains nothing


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("factor", [1e-30, 0.1, 6.0, 76.0, 1e30])
@pytest.mark.parametrize("standardise", [True, False])
def test_the_students_length_changes_nothing(images: Tensor, distance: str, factor: float, standardise: bool) -> None:
    """The loss leaves the length of the student's answer free: distances, maps, scores and verdicts must too."""
    model = MRKD(variant="rd", size=SIZE, distance=distance, precision="fp32", standardise=standardise)  # type: ignore[arg-type]
    model.learn_channels(images[:6])
    model.learn_residuals(images[:6])
    model.calibrate(model.predict(images[:6]).score)
    before = model.predict(images)
    teacher, student = model.features(images)
    near = model.distances(teacher, student)
    assert before.defective.any() or before.score.std() > 0  # there is something to change

    restore = model.restore

    def longer(self: MRKD, features: list[Tensor], generator: torch.Generator | None = None) -> list[Tensor]:
        return [factor * s for s in restore(features, generator)]

    model.restore = MethodType(longer, model)  # type: ignore[method-assign]
    after = model.predict(images)
    for d, wanted in zip(model.distances(teacher, [factor * s for s in student]), near, strict=True):
        torch.testing.assert_close(d, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after.anomaly_map, before.anomaly_map, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after.score, before.score, rtol=1e-4)
    assert (after.defective == before.defective).all()


def test_it_survives_the_file_and_the_cosine_is_still_there(images: Tensor, tmp_path: object) -> None:
    model = MRKD(variant="rd", size=SIZE, distance="mahalanobis", precision="fp32")
    model.learn_residuals(images[:6])
    loaded = MRKD.load(model.save(tmp_path), "cpu")  # type: ignore[arg-type]
    torch.testing.assert_close(loaded(images), model(images))
    loaded.settings.distance = "cosine"
    assert not torch.allclose(loaded(images), model(images))


def test_an_unknown_distance_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Unknown distance 'far'. Choose one of: cosine, mahalanobis"):
        MRKD(size=SIZE, distance="far", pretrained=False)  # type: ignore[arg-type]
