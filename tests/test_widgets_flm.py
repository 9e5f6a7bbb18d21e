"""The FLM explorer: what is hidden follows lambda, and what is restored is the generation module's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from moved_explorer import seen

from mrkd_edu.distance import cosine_distance
from mrkd_edu.flm import random_mask
from mrkd_edu.model import MRKD
from mrkd_edu.widgets.explorers.flm import SIDE, explore_flm, hide, render_flm, unmasked
from mrkd_edu.widgets.frame.explorer import Explorer
from mrkd_edu.widgets.frame.panels import GAP, LINE, View

pytestmark = pytest.mark.usefixtures("nothing_remembered")

SIZE, LABEL, ROW_GAP = 128, 104, 6
STRIDES = (4, 8, 16, 32)
DROPS = {f"drop_{stride}": 0.0 for stride in STRIDES}  # nothing hidden


@pytest.fixture(scope="module")
def model() -> MRKD:
    """Untrained; the generation modules' last convolutions are moved off zero, so that they do something."""
    model = MRKD(variant="mrkd", size=SIZE, strides=STRIDES, pretrained=False, width=16)
    assert model.flm is not None
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.flm.generate:
            weight = module.conv2.weight
            weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    return model


@pytest.fixture
def images(rng: np.random.Generator) -> list[np.ndarray]:
    return list(rng.integers(1, 256, (2, SIZE, SIZE, 3), dtype=np.uint8))


@pytest.fixture
def explorer(model: MRKD, images: list[np.ndarray]) -> Explorer:
    explorer = explore_flm(model, images)
    assert explorer.wait()
    return explorer


def picture(view: View, scale: int, column: int) -> np.ndarray:
    """One of the four pictures of a scale: hidden, left, module's, target."""
    top, left = LINE + ROW_GAP + scale * (SIDE + ROW_GAP), LABEL + GAP + column * (SIDE + GAP)
    return view.image[top : top + SIDE, left : left + SIDE]


# ---- the picture -------------------------------------------------------------------------------------------


def test_values_are_those_of_the_library(model: MRKD, images: list[np.ndarray]) -> None:
    drop = (0.1, 0.5, 0.3, 0.7)
    view = render_flm(model, images[0], drop, seed=3)
    generator = torch.Generator().manual_seed(3)
    found: dict[str, list[float]] = {"without": [], "with": [], "unmasked": []}
    assert model.flm is not None
    with torch.no_grad(), model.autocast():
        teacher = model.see(torch.from_numpy(images[0]).permute(2, 0, 1)[None])
        student = model.student(teacher)
        for k, stride in enumerate(STRIDES):
            cells, generate = SIZE // stride, model.flm.generate[k]
            mask = random_mask(1, cells, cells, drop[k], generator).to(student[k])
            assert view.values[f"hidden_{stride}"] == pytest.approx(1 - mask.float().mean().item())
            gaps = student[k] * mask
            for name, maps in (("without", gaps), ("with", generate(gaps)), ("unmasked", generate(student[k]))):
                found[name].append(cosine_distance(teacher[k], maps)[mask[:, 0] == 0].mean().item())
    for name, errors in found.items():
        assert view.values[f"error_{name}"] == pytest.approx(np.mean(errors), abs=1e-5)
    assert view.values["error"] == view.values["error_with"]
    assert view.image.dtype == np.uint8 and view.image.shape[1] <= 1150
    assert f"{view.values['error_with']:.2f}" in view.says


def test_masks_are_those_that_training_draws(model: MRKD, images: list[np.ndarray]) -> None:
    known = unmasked(model, images[0])
    masks = hide(known.student, (0.2, 0.4, 0.2, 0.4), seed=5)
    assert model.flm is not None
    usual = model.flm.drop
    try:
        model.flm.drop = (0.2, 0.4, 0.2, 0.4)
        with torch.no_grad(), model.autocast():
            expected = model.flm.train()(known.student, torch.Generator().manual_seed(5))
            restored = [g(s * m) for g, s, m in zip(model.flm.generate, known.student, masks, strict=True)]
    finally:
        model.flm.drop = usual
        model.flm.eval()
    for e, r in zip(expected, restored, strict=True):
        assert torch.equal(e, r)


def test_what_is_hidden_is_black_in_the_image_and_in_what_is_left(model: MRKD, images: list[np.ndarray]) -> None:
    view = render_flm(model, images[0], (0.5,) * 4)
    for scale, mask in enumerate(hide(unmasked(model, images[0]).student, (0.5,) * 4, 0)):
        cells = mask.shape[-1]
        middles = (2 * np.arange(cells) + 1) * SIDE // (2 * cells)
        hidden = mask[0, 0].float().numpy() == 0
        black = (picture(view, scale, 0)[np.ix_(middles, middles)] == 0).all(axis=2)
        assert np.array_equal(black, hidden)
        assert (picture(view, scale, 1)[np.ix_(middles, middles)][hidden] == 0).all()


def test_colours_keep_their_meaning(explorer: Explorer) -> None:
    """Only what a control changes looks different: the target never does, what is left not by the module."""
    on = seen(explorer, generate=True)
    off = seen(explorer, generate=False)
    more = seen(explorer, drop_8=0.6)
    for scale in range(len(STRIDES)):
        assert np.array_equal(picture(on, scale, 3), picture(more, scale, 3))
        assert np.array_equal(picture(on, scale, 1), picture(off, scale, 1))
        assert not np.array_equal(picture(on, scale, 2), picture(off, scale, 2))
        assert np.array_equal(picture(off, scale, 2), picture(off, scale, 1))  # gaps stay
        assert np.array_equal(picture(off, scale, 0), picture(more, scale, 0)) == (scale != 1)


# ---- the controls ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", STRIDES)
def test_the_hidden_share_follows_lambda(explorer: Explorer, stride: int) -> None:
    """Every scale its own slider; the masks are drawn, so a mean over seeds is near it."""
    others = {f"hidden_{s}": seen(explorer).values[f"hidden_{s}"] for s in STRIDES if s != stride}
    shares = [seen(explorer, **{f"drop_{stride}": share}).values[f"hidden_{stride}"] for share in (0.0, 0.3, 0.6, 0.95)]
    assert shares[0] == 0 and sorted(shares) == shares and shares[-1] > shares[1]
    assert all(seen(explorer).values[name] == share for name, share in others.items())
    seen(explorer, **{f"drop_{stride}": 0.4})
    cells = (SIZE // stride) ** 2
    drawn = [seen(explorer, seed=seed).values[f"hidden_{stride}"] for seed in range(8)]
    assert np.mean(drawn) == pytest.approx(0.4, abs=4 * np.sqrt(0.4 * 0.6 / (cells * len(drawn))))


def test_the_module_can_be_switched_off(explorer: Explorer) -> None:
    on = seen(explorer, generate=True).values
    off = seen(explorer, generate=False)
    assert off.values["error"] == off.values["error_without"] == pytest.approx(1)
    assert on["error"] == on["error_with"] != off.values["error"]
    assert {**on, "error": 0} == {**off.values, "error": 0}
    assert off.says.startswith("Without the generation module")


def test_nothing_hidden_has_no_error_and_says_so(explorer: Explorer) -> None:
    view = seen(explorer, **DROPS)
    assert "Nothing is hidden" in view.says and np.isnan(view.values["error"])
    view = seen(explorer, drop_8=0.5)  # a mean over the one scale where something is hidden
    assert np.isfinite(view.values["error"])


def test_another_image_another_seed_and_reset(explorer: Explorer) -> None:
    first = seen(explorer)
    other = seen(explorer, photo=1)
    assert other.values["hidden_4"] == first.values["hidden_4"] and other.values["error"] != first.values["error"]
    assert seen(explorer, photo=0, seed=7).values["hidden_4"] != first.values["hidden_4"]
    explorer.reset()
    again = seen(explorer)
    assert again.values == first.values and np.array_equal(again.image, first.image)


def test_lambda_begins_at_the_models_own_and_is_remembered(
    explorer: Explorer, model: MRKD, images: list[np.ndarray]
) -> None:
    assert explorer.state["drop_4"] == 0.2
    seen(explorer, drop_4=0.7, seed=4, generate=False)
    again = explore_flm(model, images)
    assert again.state == explorer.state and again.wait()
    drop = (0.1, 0.2, 0.3, 0.4)
    other = MRKD(variant="flm", size=SIZE, strides=STRIDES, pretrained=False, width=16, drop=drop)
    assert [explore_flm(other, images).state[name] for name in DROPS] == list(drop)  # its own, not the last's


def test_a_model_in_training_is_looked_at_in_evaluation(model: MRKD, images: list[np.ndarray]) -> None:
    expected = render_flm(model, images[0], (0.2,) * 4).values
    model.train()
    explorer = explore_flm(model, images)
    assert seen(explorer).values == pytest.approx(expected)
    assert not model.training


# ---- what is refused ---------------------------------------------------------------------------------------


def test_an_error_is_shown(explorer: Explorer) -> None:
    explorer.controls["drop_8"].max = 1
    explorer.controls["drop_8"].value = 1
    assert explorer.wait()
    assert "give one share of hidden positions, in [0, 1), for each of 4 scales" in explorer.problem.value
    explorer.reset()
    assert explorer.wait() and explorer.problem.value == ""


def test_bad_input_is_refused(model: MRKD, images: list[np.ndarray]) -> None:
    plain = MRKD(variant="rd", size=SIZE, strides=STRIDES, pretrained=False, width=16)
    with pytest.raises(ValueError, match="variant flm or mrkd; this one is rd"):
        explore_flm(plain, images)
    with pytest.raises(ValueError, match="at least one image"):
        explore_flm(model, [])
    with pytest.raises(ValueError, match="for each of 4 scales"):
        render_flm(model, images[0], (0.2, 0.2))
