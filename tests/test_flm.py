"""Feature-level masking: random in training, the identity in evaluation, and the same for the same seed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mrkd_edu.flm import FeatureMasking, GenerationModule, random_mask


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masks_of(drop: float | tuple[float, ...], *, batch: int = 8, seed: int = 0) -> list[Tensor]:
    """The masks of one training step: what comes out when ones go in and nothing is restored."""
    flm = FeatureMasking((3, 5, 7), drop).train()
    flm.generate = nn.ModuleList([nn.Identity()] * 3)
    return flm([torch.ones(batch, c, n, n) for c, n in ((3, 64), (5, 32), (7, 16))], generator(seed))


# --- masks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drop", [0.2, 0.9, (0.1, 0.4, 0.7)])
def test_share_of_dropped_positions_is_lambda(drop: float | tuple[float, ...]) -> None:
    lambdas = drop if isinstance(drop, tuple) else (drop,) * 3
    for mask, p in zip(masks_of(drop), lambdas, strict=True):
        positions = mask[:, 0].numel()
        spread = math.sqrt(p * (1 - p) / positions)  # of a binomial share
        assert abs((mask[:, 0] == 0).float().mean().item() - p) < 5 * spread


def test_masks_are_zeros_and_ones_for_all_channels_at_once() -> None:
    for mask in masks_of(0.5):
        assert set(mask.unique().tolist()) == {0, 1}
        assert torch.equal(mask, mask[:, :1].expand_as(mask))


def test_masks_differ_between_images_scales_and_steps() -> None:
    fine, middle, _ = masks_of(0.5)
    assert not any(torch.equal(fine[0], fine[i]) for i in range(1, len(fine)))
    assert not torch.equal(fine[0, 0, ::2, ::2], middle[0, 0])  # a scale's mask is not that of another, resized

    flm = FeatureMasking((2,), 0.5).train()
    flm.generate = nn.ModuleList([nn.Identity()])
    ongoing, x = generator(), [torch.ones(1, 2, 16, 16)]
    assert not torch.equal(flm(x, ongoing)[0], flm(x, ongoing)[0])


def test_masks_come_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    first = masks_of(0.3, seed=4)
    torch.manual_seed(2)
    again, other = masks_of(0.3, seed=4), masks_of(0.3, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_lambda_zero_hides_nothing() -> None:
    assert random_mask(4, 32, 32, 0.0, generator()).all()
    assert all(mask.all() for mask in masks_of(0))


# --- training and evaluation --------------------------------------------------------------------------------


def test_evaluation_hides_nothing_and_is_deterministic() -> None:
    flm = FeatureMasking((4, 6), 0.9, residual=False).eval()
    x = [torch.randn(2, c, 8, 8, generator=generator()) for c in (4, 6)]
    first, second = flm(x), flm(x, generator())
    for restore, s, a, b in zip(flm.generate, x, first, second, strict=True):
        assert torch.equal(a, restore(s))
        assert torch.equal(a, b)


def test_generation_modules_restore_what_the_mask_left() -> None:
    flm = FeatureMasking((4,), 0.5, residual=False).train()
    x = torch.randn(2, 4, 8, 8, generator=generator())
    (y,) = flm([x], generator(7))
    mask = random_mask(2, 8, 8, 0.5, generator(7))
    assert torch.equal(y, flm.generate[0](mask * x))


def test_features_in_half_precision_stay_so() -> None:
    (y,) = masks_of_dtype(torch.bfloat16)
    assert y.dtype == torch.bfloat16


def masks_of_dtype(dtype: torch.dtype) -> list[Tensor]:
    flm = FeatureMasking((2,), 0.5).train().to(dtype)
    return flm([torch.ones(1, 2, 8, 8, dtype=dtype)], generator())


@pytest.mark.parametrize("residual", [True, False])
def test_generation_module_is_conv_relu_conv(residual: bool) -> None:
    module = GenerationModule(6, residual=residual)
    with torch.no_grad():
        module.conv2.weight.normal_(generator=generator())
    x = torch.randn(2, 6, 8, 8, generator=generator())
    y = module.conv2(module.conv1(x).relu())
    assert torch.equal(module(x), x + y if residual else y)
    assert sum(p.numel() for p in module.parameters()) == 2 * (9 * 6 * 6 + 6)


def test_residual_module_starts_as_the_identity_and_still_learns() -> None:
    module = GenerationModule(6, residual=True)
    x = torch.randn(2, 6, 8, 8, generator=generator())
    assert torch.equal(module(x), x)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):  # the first step moves the second convolution, and so opens the way to the first
        optimiser.zero_grad()
        module(x).square().mean().backward()
        optimiser.step()
    assert all(p.grad is not None and p.grad.any() for p in module.parameters())


# --- mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drop", [1, 1.0, -0.1, (0.1, 0.2, 1.5), float("nan")])
def test_lambda_outside_its_range(drop: float | tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"in \[0, 1\)"):
        FeatureMasking((2, 2, 2), drop)


@pytest.mark.parametrize("drop", [(), (0.1, 0.2)])
def test_wrong_number_of_lambdas(drop: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="3 scales need one lambda or 3"):
        FeatureMasking((2, 2, 2), drop)


def test_training_needs_a_generator() -> None:
    with pytest.raises(ValueError, match=r"torch\.Generator"):
        FeatureMasking((2,)).train()([torch.ones(1, 2, 4, 4)])


def test_the_papers_module_starts_with_kaimings_weights() -> None:
    """The published code draws normal weights of variance 2 / fan out; torch's own default is 2.45 times smaller."""
    torch.manual_seed(0)
    module = GenerationModule(64, residual=False)
    for conv in (module.conv1, module.conv2):
        assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
