"""The ILM explorer: the defect follows the controls, and the distances are the teacher's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from moved_explorer import seen

from mrkd_edu.distance import cosine_distance
from mrkd_edu.ilm import add_anomaly
from mrkd_edu.leakage import mask_at_scale
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import DEFAULT, NSA
from mrkd_edu.teacher import Teacher
from mrkd_edu.widgets.explorers.ilm import STRIDES, See, explore_ilm, eyes, look_at, render_ilm
from mrkd_edu.widgets.frame.explorer import Explorer

pytestmark = pytest.mark.usefixtures("nothing_remembered")

SIZE = 64
SEEDS = range(8)
TEXTURE = NSA(patches=1, blend="swap", rescale=(1, 1))


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(pretrained=False, strides=STRIDES)


@pytest.fixture(scope="module")
def see(teacher: Teacher) -> See:
    return eyes(teacher)


@pytest.fixture
def images(rng: np.random.Generator) -> list[np.ndarray]:
    """Three textures, so that every patch can be told from what was there."""
    return list(rng.integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8))


@pytest.fixture
def parts(rng: np.random.Generator) -> list[np.ndarray]:
    """Three dark, grainy squares on a light, plain ground."""
    made = np.full((3, SIZE, SIZE, 3), 250, np.uint8)
    made[:, 12:52, 12:52] = rng.integers(0, 120, (3, 40, 40, 3), dtype=np.uint8)
    return list(made)


@pytest.fixture
def explorer(images: list[np.ndarray], teacher: Teacher) -> Explorer:
    explorer = explore_ilm(images, teacher, size=SIZE)
    assert explorer.wait()
    return explorer


def mean_over_seeds(explorer: Explorer, value: str, **state: object) -> float:
    return float(np.mean([seen(explorer, seed=seed, **state).values[value] for seed in SEEDS]))


# ---- the picture -------------------------------------------------------------------------------------------


def test_values_are_those_of_the_library(images: list[np.ndarray], see: See) -> None:
    image, other = images[:2]
    settings = NSA(patches=4, blend="swap")
    view = render_ilm(image, settings, see, seed=5, source=other)
    anomaly = add_anomaly(image, settings, np.random.default_rng(5), other)
    assert view.values["mask_share"] == anomaly.mask.mean() > 0
    assert view.values["patches"] == len(anomaly.boxes) > 1
    assert view.values["patch_height"] == pytest.approx(np.mean([box.height for box in anomaly.boxes]) / SIZE)
    assert view.values["patch_width"] == pytest.approx(np.mean([box.width for box in anomaly.boxes]) / SIZE)
    assert view.values["object_share"] == 1
    for stride, before, after in zip(STRIDES, look_at(see, image), look_at(see, anomaly.image), strict=True):
        inside = mask_at_scale(torch.from_numpy(anomaly.mask)[None], before.shape[-2:])
        expected = cosine_distance(before, after)[inside].mean().item()
        assert view.values[f"distance_{stride}"] == pytest.approx(expected, abs=1e-6)
    assert view.image.dtype == np.uint8 and view.image.shape[1] <= 1150
    assert f"{len(anomaly.boxes)} patches change {100 * anomaly.mask.mean():.1f} % of the image" in view.says


def test_a_model_lends_its_standardised_eyes(images: list[np.ndarray]) -> None:
    model = MRKD(variant="rd", size=SIZE, strides=STRIDES, pretrained=False, width=16)
    assert model.standardise is not None
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    raw = look_at(eyes(model), images[0])
    model.standardise.learn(model.teacher(batch))
    see = eyes(model)
    assert not torch.allclose(raw[0].float(), see(batch[:1])[0].float())
    of_model = explore_ilm(images, model)
    assert of_model.wait() and of_model.view is not None
    expected = render_ilm(images[0], DEFAULT, see, seed=0, source=images[1])
    assert of_model.view.values == pytest.approx(expected.values, abs=1e-5)


@pytest.mark.parametrize(("blend", "source"), [("swap", "same"), ("swap", "other"), ("poisson", "other")])
def test_every_blend_and_source_is_shown(explorer: Explorer, blend: str, source: str) -> None:
    default = explorer.view
    view = seen(explorer, blend=blend, source=source, seed=1)
    assert default is not None and not np.array_equal(view.image, default.image)
    assert view.values["mask_share"] > 0 and np.isfinite(view.values["distance_4"])


def test_a_plain_patch_that_blends_in_leaves_nothing(see: See) -> None:
    flat = [np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in (80, 200)]
    paste, blend = (
        render_ilm(flat[0], replace(TEXTURE, blend=how), see, source=flat[1]).values for how in ("swap", "poisson")
    )
    assert paste["mask_share"] > 0 and paste["distance_4"] > 0
    assert blend["mask_share"] == 0  # a plain patch takes the grey of its place


# ---- the controls ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "other"), [("height", "width"), ("width", "height")])
def test_patches_follow_the_size_sliders(explorer: Explorer, side: str, other: str) -> None:
    """Without rescaling a patch is twice its half size, and where that is drawn, it lies between the bounds."""
    kept = seen(explorer, rescale=(1.0, 1.0), patches=1).values[f"patch_{other}"]
    for half in (0.05, 0.15, 0.3):
        values = seen(explorer, **{side: (half, half)}).values
        assert values[f"patch_{side}"] == pytest.approx(2 * half, abs=1 / SIZE)
        assert values[f"patch_{other}"] == kept  # one slider, one side
    means = []
    for low, high in ((0.05, 0.1), (0.1, 0.2), (0.2, 0.4)):
        drawn = [seen(explorer, **{side: (low, high)}, seed=seed).values[f"patch_{side}"] for seed in SEEDS]
        assert min(drawn) >= 2 * low - 1 / SIZE and max(drawn) <= 2 * high + 1 / SIZE
        means.append(np.mean(drawn))
    assert means[0] < means[1] < means[2]


def test_patches_follow_the_rescale_slider(explorer: Explorer) -> None:
    seen(explorer, patches=1, height=(0.1, 0.1), width=(0.1, 0.1))
    for factor in (0.5, 1.0, 2.0):
        values = seen(explorer, rescale=(factor, factor)).values
        assert values["patch_height"] == pytest.approx(0.2 * factor, abs=1 / SIZE)
        assert values["patch_width"] == pytest.approx(0.2 * factor, abs=1 / SIZE)


def test_the_mask_follows_the_sliders(explorer: Explorer) -> None:
    seen(explorer, blend="swap", rescale=(1.0, 1.0))
    by_size = [
        mean_over_seeds(explorer, "mask_share", patches=1, height=(half, half), width=(half, half))
        for half in (0.05, 0.15, 0.3)
    ]
    assert by_size == pytest.approx([0.1**2, 0.3**2, 0.6**2], rel=0.2)
    seen(explorer, height=(0.05, 0.05), width=(0.05, 0.05))
    by_number = [mean_over_seeds(explorer, "mask_share", patches=number) for number in (1, 3, 8)]
    assert by_number[0] < by_number[1] < by_number[2]


def test_the_number_of_patches_follows_its_slider(explorer: Explorer) -> None:
    seen(explorer, height=(0.05, 0.05), width=(0.05, 0.05), blend="swap")
    assert mean_over_seeds(explorer, "patches", patches=1) == 1
    drawn = [seen(explorer, patches=8, seed=seed).values["patches"] for seed in SEEDS]
    assert min(drawn) >= 1 and max(drawn) <= 8
    assert 3 < np.mean(drawn) < 6  # 1 + 7 / 2


def test_a_coarse_scale_hardly_sees_a_small_patch(explorer: Explorer) -> None:
    tiny = seen(explorer, patches=1, height=(0.04, 0.04), width=(0.04, 0.04), blend="swap").values
    large = seen(explorer, height=(0.4, 0.4), width=(0.4, 0.4)).values
    assert tiny["distance_32"] < large["distance_32"]


def test_another_image_another_seed_and_reset(explorer: Explorer) -> None:
    first = seen(explorer)
    assert seen(explorer, photo=2).values != first.values
    itself = [seen(explorer, photo=0, source="same", seed=seed).values for seed in (0, 7)]
    assert itself[0]["patch_height"] != itself[1]["patch_height"]  # the seed draws more than the image to cut from
    explorer.reset()
    again = seen(explorer)
    assert again.values == first.values and np.array_equal(again.image, first.image)


def test_the_state_is_remembered(explorer: Explorer, images: list[np.ndarray], teacher: Teacher) -> None:
    seen(explorer, seed=9, height=(0.1, 0.2), blend="swap")
    again = explore_ilm(images, teacher, size=SIZE)
    assert again.state == explorer.state and again.wait()


def test_controls_begin_where_the_settings_say(images: list[np.ndarray], teacher: Teacher) -> None:
    settings = NSA(height=(0.1, 0.2), patches=12, blend="poisson", source="same", background=(30, 10))
    explorer = explore_ilm(images, teacher, settings=settings, size=SIZE)
    state = explorer.state
    assert explorer.wait()
    assert (state["height"], state["patches"], state["blend"], state["source"]) == ((0.1, 0.2), 12, "poisson", "same")
    assert (state["background"], state["grey"], state["tolerance"]) == ("given", 30, 10)


@pytest.mark.parametrize(
    ("settings", "digits"),
    [
        (NSA(height=(0.004, 0.008), width=(0.0025, 0.5), rescale=(0.05, 0.15), patches=20), (3, 4, 2)),
        (NSA(height=(0.01, 0.5), width=(0.5, 0.5), rescale=(0.1, 4), patches=1), (2, 2, 1)),
        (NSA(height=(0.3, 0.35), width=(0.125, 0.25), rescale=(3.999, 4)), (2, 3, 3)),
    ],
)
def test_no_control_changes_the_settings_that_were_given(
    images: list[np.ndarray], see: See, teacher: Teacher, settings: NSA, digits: tuple[int, ...]
) -> None:
    explorer = explore_ilm(images, teacher, settings=settings, size=SIZE)
    assert explorer.wait() and explorer.view is not None and explorer.problem.value == ""
    for name in ("height", "width", "rescale", "patches"):
        assert explorer.state[name] == getattr(settings, name)
    expected = render_ilm(images[0], settings, see, seed=0, source=images[1])
    assert explorer.view.values == pytest.approx(expected.values, abs=1e-5, nan_ok=True)
    for name, places in zip(("height", "width", "rescale"), digits, strict=True):
        slider = explorer.controls[name]
        steps = (np.array(slider.value) - slider.min) / slider.step  # else a browser moves one bound with the other
        assert slider.step == pytest.approx(10**-places) and np.allclose(steps, np.rint(steps), atol=1e-6)


def test_one_image_is_its_own_source(images: list[np.ndarray], teacher: Teacher) -> None:
    explorer = explore_ilm(images[:1], teacher, size=SIZE)
    assert seen(explorer, seed=1).values["mask_share"] > 0
    assert explorer.state["source"] == "same"


# ---- the background ----------------------------------------------------------------------------------------


def test_the_background_follows_its_rule(parts: list[np.ndarray], teacher: Teacher) -> None:
    explorer = explore_ilm(parts, teacher, size=SIZE)
    assert explorer.state["background"] == "estimated" and explorer.controls["grey"].disabled
    assert seen(explorer).values["object_share"] == pytest.approx((40 / SIZE) ** 2, rel=0.05)
    assert explorer.state["grey"] == 250  # a rule of one's own begins at the estimate
    assert seen(explorer, background="none").values["object_share"] == 1
    assert seen(explorer, background="given", grey=250, tolerance=20).values["object_share"] < 0.5
    assert not explorer.controls["grey"].disabled
    assert seen(explorer, tolerance=240).values["object_share"] < 0.1


def test_all_background_leaves_no_place_and_says_so(parts: list[np.ndarray], teacher: Teacher) -> None:
    explorer = explore_ilm(parts, teacher, size=SIZE)
    view = seen(explorer, background="given", tolerance=255)
    assert view.values["patches"] == view.values["mask_share"] == view.values["object_share"] == 0
    assert np.isnan(view.values["distance_4"]) and np.isnan(view.values["patch_height"])
    assert view.says.startswith("No defect")


def test_a_texture_has_no_background_and_says_so(explorer: Explorer) -> None:
    assert "No plain background was found" in seen(explorer, seed=2).says
    assert "No plain background" not in seen(explorer, background="none").says


# ---- what is refused ---------------------------------------------------------------------------------------


def test_an_error_is_shown(explorer: Explorer) -> None:
    explorer.controls["height"].max = 0.9
    explorer.controls["height"].value = (0.1, 0.8)
    assert explorer.wait()
    assert "give two numbers, 0 &lt; low" in explorer.problem.value
    explorer.reset()
    assert explorer.wait() and explorer.problem.value == ""


def test_bad_input_is_refused(images: list[np.ndarray], teacher: Teacher) -> None:
    with pytest.raises(ValueError, match="explore_ilm needs at least one image"):
        explore_ilm([], teacher)
    with pytest.raises(ValueError, match="size must be a multiple of 32"):
        explore_ilm(images, teacher, size=100)
