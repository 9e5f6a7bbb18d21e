"""The toy factory's category `surface`: a photograph that is always there, a slab inside the picture, whole stones."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from mrkd_edu.toy import render_pair
from mrkd_edu.toy.surface import SIDE, Crop, build, stones


def test_the_photograph_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "socket", refuse)
    again = stones.__wrapped__()  # without the cache
    assert again.tone.shape == (SIDE, SIDE)
    assert np.array_equal(again.number, stones().number)


def test_the_photograph_is_cut_into_stones() -> None:
    sizes = np.bincount(stones().number.astype(int).ravel())
    assert sizes[0] == 0  # every pixel belongs to one
    assert 500 < stones().count < 900 and 250 < np.median(sizes[1:]) < 500


@pytest.mark.parametrize("n", [64, 512])
def test_a_slab_shows_no_more_than_the_photograph(n: int) -> None:
    """Only the corners of a turned crop may stick out, where the photograph is mirrored."""
    edges = np.array([[-0.5, n - 0.5, n / 2 - 0.5, n / 2 - 0.5], [n / 2 - 0.5, n / 2 - 0.5, -0.5, n - 0.5], [1] * 4])
    for seed in range(50):
        crop = Crop.draw(np.random.default_rng(seed), n)
        at = (crop.matrix @ edges).T  # middles of the four sides, in pixels of the photograph
        assert at.min() >= -0.5 and at.max() <= SIDE - 0.5
        assert 350 <= np.linalg.norm(at[1] - at[0]) <= 390


def test_the_mat_ends_the_picture_on_all_sides() -> None:
    for seed in range(20):
        cover = build(np.random.default_rng(seed), 64).layers[1].cover
        assert max(cover[0].max(), cover[-1].max(), cover[:, 0].max(), cover[:, -1].max()) == 0
        assert 0.6 < cover.mean() < 0.8


def test_a_small_scene_is_the_large_one_averaged() -> None:
    small, large = (build(np.random.default_rng(3), n).layers[1] for n in (64, 256))
    blocks = large.colour.reshape(3, 64, 4, 64, 4).mean(axis=(2, 4))
    assert np.abs(small.colour - blocks).max() < 1e-5


@pytest.mark.parametrize("size", [32, 256])
def test_a_hole_is_one_compact_piece(size: int) -> None:
    for seed in range(4):
        mask = render_pair("surface", "hole", 1, size=size, seed=seed).mask
        rows, columns = np.nonzero(mask)
        box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert mask.sum() > 0.4 * box and 0.003 < mask.mean() < 0.06
