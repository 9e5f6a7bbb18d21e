"""Standardised features: learned from normal images, kept with the model."""

from __future__ import annotations

from pathlib import Path

import torch

from mrkd_edu.model import MRKD
from mrkd_edu.recipe import Recipe
from mrkd_edu.standardise import Standardise
from mrkd_edu.train import fit


def test_the_identity_until_it_has_learned() -> None:
    maps = [torch.randn(2, 3, 4, 4)]
    assert torch.equal(Standardise((3,))(maps)[0], maps[0])


def test_channels_get_mean_zero_and_deviation_one() -> None:
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([0.1, 1.0, 50.0]).view(1, 3, 1, 1)
    maps = [torch.randn(8, 3, 16, 16, generator=generator) * scale + 3 * scale]
    standardise = Standardise((3,))
    standardise.learn(maps)
    std, mean = torch.std_mean(standardise(maps)[0], dim=(0, 2, 3))
    torch.testing.assert_close(std, torch.ones(3), rtol=1e-3, atol=0)
    assert mean.abs().max() < 1e-3


def test_a_channel_that_never_changes_is_not_blown_up() -> None:
    maps = [torch.full((2, 1, 4, 4), 7.0)]
    standardise = Standardise((1,))
    standardise.learn(maps)
    assert torch.equal(standardise(maps)[0], torch.zeros(2, 1, 4, 4))


def test_training_learns_it_from_its_images_and_the_file_keeps_it(tmp_path: Path) -> None:
    images = torch.randint(0, 255, (8, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    model = MRKD(variant="rd", size=64, precision="fp32")
    fit(model, images, recipe=Recipe(steps=1, batch=4), progress=False)
    for t in model.see(images):
        std, mean = torch.std_mean(t.float(), dim=(0, 2, 3))
        assert (std - 1).abs().max() < 0.05 and mean.abs().max() < 0.05
    loaded = MRKD.load(model.save(tmp_path))
    for a, b in zip(model.see(images), loaded.see(images), strict=True):
        torch.testing.assert_close(a, b)


def test_the_papers_recipe_leaves_features_as_they_are() -> None:
    model = MRKD(variant="rd", size=64, standardise=False, strides=(4, 8, 16), precision="fp32")
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    for a, b in zip(model.see(images), model.teacher(images), strict=True):
        assert torch.equal(a, b)
