"""Image-level masking: the anomalies obey their settings, the mask tells the truth, nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.sparse as sparse
import scipy.sparse.linalg
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mrkd_edu import ilm
from mrkd_edu.ilm import add_anomalies, add_anomaly
from mrkd_edu.nsa import DEFAULT, NSA, PRESETS, estimate_background, foreground, preset
from mrkd_edu.nsa.poisson import poisson_blend

# Bounds of half height and half width (shares), patches, background, least object share, least overlap.
TABLE = {
    "bottle": ((0.03, 0.40), (0.03, 0.40), 3, (200, 60), 0.70, 0.25),
    "cable": ((0.01, 0.05), (0.01, 0.10), 3, None, None, None),
    "capsule": ((0.01, 0.05), (0.01, 0.05), 1, (200, 60), 0.70, 0.25),
    "hazelnut": ((0.03, 0.35), (0.03, 0.35), 3, (20, 20), 0.70, 0.25),
    "metal_nut": ((0.01, 0.05), (0.01, 0.01), 1, (20, 20), 0.50, 0.25),
    "pill": ((0.01, 0.05), (0.01, 0.05), 1, (20, 20), 0.70, 0.25),
    "screw": ((0.01, 0.05), (0.01, 0.05), 1, (200, 60), 0.50, 0.25),
    "toothbrush": ((0.01, 0.01), (0.01, 0.01), 1, (20, 20), 0.25, 0.25),
    "transistor": ((0.03, 0.40), (0.03, 0.40), 3, None, None, None),
    "zipper": ((0.01, 0.05), (0.01, 0.01), 1, (200, 60), 0.70, 0.25),
    "carpet": ((0.03, 0.40), (0.03, 0.40), 4, None, None, None),
    "leather": ((0.03, 0.40), (0.03, 0.40), 4, None, None, None),
    "grid": ((0.01, 0.05), (0.01, 0.10), 4, None, None, None),
    "tile": ((0.01, 0.05), (0.01, 0.10), 4, None, None, None),
    "wood": ((0.01, 0.05), (0.01, 0.01), 4, None, None, None),
}
WHITE = (255, 20)  # background of `disc`
BLENDS = ("swap", "poisson", "mix")


def noise(seed: int, height: int = 96, width: int = 96, low: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (height, width, 3), dtype=np.uint8)


def disc(seed: int, side: int = 96) -> np.ndarray:
    """A rough dark disc on a white background."""
    image = np.full((side, side, 3), 255, np.uint8)
    y, x = np.mgrid[:side, :side] - side / 2
    inside = y**2 + x**2 < (0.4 * side) ** 2
    image[inside] = noise(seed, side, side, 0, 120)[inside]
    return image


def batch(*images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


# --- the mask and the picture ---


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("background", [None, WHITE])
def test_mask_holds_every_change_and_little_else(blend, background):
    made = 0
    for seed in range(30):
        old = disc(seed)
        anomaly = add_anomaly(
            old, NSA(blend=blend, background=background), np.random.default_rng(seed), disc(seed + 100)
        )
        change = np.abs(anomaly.image.astype(int) - old).max(axis=2)  # (H, W)
        assert (change[~anomaly.mask] == 0).all()  # outside the mask: the normal image, bit for bit
        visible = change > ilm.NOISE_FLOOR
        assert (anomaly.mask | ~visible).all()
        # What the closing adds lies in gaps: no pixel of the mask is far from a visible change.
        distance = cv2.distanceTransform((~visible).astype(np.uint8), cv2.DIST_L2, 5)
        assert not anomaly.mask.any() or distance[anomaly.mask].max() < ilm.CLOSING
        made += anomaly.mask.any()
    assert made >= 25


@pytest.mark.parametrize("blend", BLENDS)
def test_nothing_changes_outside_the_boxes(blend):
    for seed in range(30):
        anomaly = add_anomaly(noise(seed), NSA(blend=blend), np.random.default_rng(seed), noise(seed + 100))
        inside = np.zeros(anomaly.mask.shape, bool)
        for box in anomaly.boxes:
            assert anomaly.mask[box.slices].any()
            inside[box.slices] = True
        assert not anomaly.mask[~inside].any()


def test_a_swapped_patch_of_another_colour_is_masked_exactly():
    old, other = np.full((64, 64, 3), 40, np.uint8), np.full((64, 64, 3), 200, np.uint8)
    anomaly = add_anomaly(old, NSA(blend="swap", patches=1), np.random.default_rng(0), other)
    (box,) = anomaly.boxes
    expected = np.zeros((64, 64), bool)
    expected[box.slices] = True
    assert (anomaly.mask == expected).all()
    assert (anomaly.image[expected] == 200).all() and (anomaly.image[~expected] == 40).all()


def test_a_patch_that_cannot_be_seen_is_no_anomaly():
    flat, other = np.full((64, 64, 3), 40, np.uint8), np.full((64, 64, 3), 200, np.uint8)
    faint = flat + np.uint8(ilm.NOISE_FLOOR)
    for settings, source in ((NSA(blend="poisson"), other), (NSA(blend="swap"), faint)):
        anomaly = add_anomaly(flat, settings, np.random.default_rng(0), source)
        assert (anomaly.image == flat).all() and not anomaly.mask.any() and anomaly.boxes == []


def test_inputs_stay_as_they_are():
    old, other = noise(0), noise(1)
    copies = old.copy(), other.copy()
    result = add_anomaly(old, DEFAULT, np.random.default_rng(0), other)
    assert result.boxes and (old == copies[0]).all() and (other == copies[1]).all()

    images = batch(old, other)
    add_anomalies(images, DEFAULT, np.random.default_rng(0), sources=images)
    assert torch.equal(images, batch(*copies))


# --- places and sizes ---


@pytest.mark.parametrize("name, only", [("all background", (255, 255)), ("object in one", (255, 0))])
def test_no_place_fits(name, only):
    old, other = (np.full((64, 64, 3), grey, np.uint8) for grey in only)
    for image, source in ((old, other), (other, old)):
        anomaly = add_anomaly(image, NSA(blend="swap", background=WHITE), np.random.default_rng(0), source)
        assert (anomaly.image == image).all() and not anomaly.mask.any() and anomaly.boxes == []


def test_sizes_obey_the_bounds(rng):
    height, width, rescale = (0.05, 0.10), (0.15, 0.20), (0.8, 1.25)
    settings = NSA(height=height, width=width, rescale=rescale, patches=4, blend="swap")
    boxes = [box for seed in range(60) for box in add_anomaly(noise(seed, 100, 200), settings, rng, noise(999)).boxes]
    heights, widths = (np.array([getattr(box, side) for box in boxes]) for side in ("height", "width"))
    assert len(boxes) > 100
    assert heights.min() >= 2 * 5 * 0.8 - 1 and heights.max() <= 2 * 10 * 1.25 + 1
    assert widths.max() <= 2 * 40 * 1.25 + 1
    assert len(set(heights)) > 5  # they do vary
    assert all(0 <= box.top <= 100 - box.height and 0 <= box.left <= 200 - box.width for box in boxes)


def test_number_of_patches(rng):
    settings = NSA(height=(0.01, 0.05), width=(0.01, 0.05), patches=3, blend="swap")
    counts = [len(add_anomaly(noise(0), settings, rng, noise(1)).boxes) for _ in range(400)]
    shares = np.bincount(counts, minlength=4) / 400
    # One patch always, two more tosses of a coin: 1/4, 1/2, 1/4; four standard errors are 0.1.
    assert shares == pytest.approx([0, 0.25, 0.5, 0.25], abs=0.1)


def test_on_a_plain_background_only_object_pixels_change():
    swapped_outside = False
    for seed in range(40):
        old, other = disc(seed), disc(seed + 100)
        on_object = foreground(old, WHITE)
        # The closing may add a few background pixels to the mask, so the picture itself is compared.
        poisson = add_anomaly(old, NSA(background=WHITE), np.random.default_rng(seed), other)
        assert not (poisson.image != old).any(axis=2)[~on_object].any()
        swap = add_anomaly(old, NSA(background=WHITE, blend="swap"), np.random.default_rng(seed), other)
        swapped_outside |= bool((swap.image != old).any(axis=2)[~on_object].any())
        assert len(swap.boxes) > 0
        for box in swap.boxes:
            assert on_object[box.slices].any()
    assert swapped_outside  # a pasted patch may stick out of the object


def test_object_share_and_overlap_hold():
    source_object, target_object = foreground(disc(0), WHITE), foreground(disc(1), WHITE)
    settings = NSA(background=WHITE, min_object=0.8, min_overlap=0.6, rescale=(1, 1))
    rng = np.random.default_rng(0)
    for _ in range(100):
        found = ilm._find_place(source_object, target_object, False, settings, rng)
        assert found is not None
        cut, box, patch_object = found
        assert cut[2:] == box[2:] == patch_object.shape
        assert source_object[cut.slices].mean() >= 0.8
        assert (patch_object & target_object[box.slices]).sum() >= 0.6 * patch_object.sum()


# --- where the patch comes from, how it is blended ---


def test_patches_come_from_the_source():
    old, other = noise(0, high=100), noise(1, low=150)
    settings = NSA(blend="swap", patches=1)
    from_other = add_anomaly(old, settings, np.random.default_rng(0), other)
    assert (from_other.image[from_other.boxes[0].slices] >= 150).all()
    for same in (
        add_anomaly(old, replace(settings, source="same"), np.random.default_rng(0), other),
        add_anomaly(old, settings, np.random.default_rng(0)),
    ):
        assert same.mask.any() and same.image.max() < 100


def test_the_same_place_of_the_same_image_is_never_used():
    # Without rescaling, a patch put back where it was cut would leave noise unchanged.
    large = (0.45, 0.5)
    settings = NSA(large, large, patches=1, rescale=(1, 1), blend="swap", source="same")
    old = noise(0, 20, 20)
    results = [add_anomaly(old, settings, np.random.default_rng(seed)) for seed in range(100)]
    assert all(result.boxes for result in results)


def test_swap_and_poisson_differ_and_mix_does_both():
    old, other = noise(0, high=60), noise(1, low=190)

    def brightest(blend, seed):
        settings = NSA(blend=blend, patches=1, height=(0.2, 0.3), width=(0.2, 0.3))
        return add_anomaly(old, settings, np.random.default_rng(seed), other).image.max()

    swap, poisson, mix = ([brightest(blend, seed) > 180 for seed in range(30)] for blend in BLENDS)
    assert all(swap) and not any(poisson) and 5 < sum(mix) < 25


def test_poisson_blend_solves_the_poisson_equation():
    patch, place = (cv2.GaussianBlur(noise(seed, 14, 11), (0, 0), 2) // 2 + 60 for seed in (0, 1))
    h, w = 14, 11
    pixels = np.arange(h * w).reshape(h, w)

    # The oracle, one sparse system: sum_q (f_p - f_q) = sum_q (g_p - g_q) over the neighbours q of every
    # inner pixel p, and f = place on the rim.
    system, right = sparse.lil_matrix((h * w, h * w)), place.reshape(-1, 3).astype(float)
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            p = pixels[y, x]
            system[p, p] = 4
            right[p] = 0
            for q in (pixels[y + 1, x], pixels[y - 1, x], pixels[y, x + 1], pixels[y, x - 1]):
                system[p, q] = -1
                right[p] += patch.reshape(-1, 3)[p].astype(float) - patch.reshape(-1, 3)[q]
    rim = np.ones((h, w), bool)
    rim[1:-1, 1:-1] = False
    system[pixels[rim], pixels[rim]] = 1
    expected = scipy.sparse.linalg.spsolve(system.tocsc(), right).reshape(h, w, 3)

    assert expected.min() > 0 and expected.max() < 255  # no clipping, so the equation holds everywhere
    assert np.abs(poisson_blend(patch, place) - expected).max() <= 0.51  # rounding to grey levels


def test_poisson_blend_keeps_the_place_where_it_must():
    patch, place = noise(0, 20, 30), noise(1, 20, 30)
    assert (poisson_blend(place, place) == place).all()
    assert (poisson_blend(patch, place, np.zeros((20, 30), bool)) == place).all()
    blended = poisson_blend(patch, place)
    for rim in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert (blended[rim] == place[rim]).all()
    assert (poisson_blend(patch[:2], place[:2]) == place[:2]).all()  # too thin to have an inside


# --- randomness ---


def test_same_seed_same_bytes_whatever_the_threads():
    images = batch(*(disc(seed, 128) for seed in range(4)))
    settings = NSA(blend="mix", background=WHITE)
    threads = cv2.getNumThreads()
    try:
        results = []
        for count in (1, 4):
            cv2.setNumThreads(count)
            results.append(add_anomalies(images, settings, np.random.default_rng(5)))
    finally:
        cv2.setNumThreads(threads)
    other = add_anomalies(images, settings, np.random.default_rng(6))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])
    assert not torch.equal(results[0][0], other[0])


# --- batches ---


def test_batch_never_uses_an_image_as_its_own_source():
    # Flat images of one grey level each: the level of a patch tells whose it is.
    levels = [20, 60, 100, 140, 180]
    images = batch(*(np.full((32, 32, 3), level, np.uint8) for level in levels))
    used = set()
    for seed in range(40):
        anomalous, masks = add_anomalies(images, NSA(blend="swap"), np.random.default_rng(seed))
        for i, level in enumerate(levels):
            assert masks[i].any()
            (patch_level,) = anomalous[i][:, masks[i]].unique().tolist()
            assert patch_level in levels and patch_level != level
            used.add((level, patch_level))
    assert len(used) == 20  # every image meets every other one


def test_batch_of_one_is_its_own_source():
    image = noise(0, high=100)
    anomalous, masks = add_anomalies(batch(image), NSA(blend="swap"), np.random.default_rng(0))
    assert masks.any() and anomalous.max() < 100


def test_empty_batch():
    images = torch.empty(0, 3, 8, 8, dtype=torch.uint8)
    anomalous, masks = add_anomalies(images, DEFAULT, np.random.default_rng(0))
    assert anomalous.shape == (0, 3, 8, 8) and masks.shape == (0, 8, 8)


def test_pool_of_sources():
    images = batch(*(np.full((32, 48, 3), 20, np.uint8) for _ in range(8)))
    pool = batch(*(np.full((40, 24, 3), level, np.uint8) for level in (90, 150, 210)))  # another size, too
    anomalous, masks = add_anomalies(images, NSA(blend="swap", patches=1), np.random.default_rng(0), pool)
    assert masks.dtype == torch.bool and masks.flatten(1).any(1).all()
    assert set(anomalous.unique().tolist()) == {20, 90, 150, 210}

    same, _ = add_anomalies(images, NSA(blend="swap", source="same"), np.random.default_rng(0), pool)
    assert torch.equal(same, images)  # the pool is not used: flat images stay flat


# --- any image, any settings ---

shares = st.tuples(st.floats(0.001, 0.5), st.floats(0.001, 0.5)).map(lambda pair: (min(pair), max(pair)))
any_settings = st.builds(
    NSA,
    height=shares,
    width=shares,
    patches=st.integers(1, 5),
    rescale=st.tuples(st.floats(0.1, 4), st.floats(0.1, 4)).map(lambda pair: (min(pair), max(pair))),
    blend=st.sampled_from(BLENDS),
    source=st.sampled_from(["same", "other"]),
    background=st.none() | st.tuples(st.integers(0, 255), st.integers(0, 255)),
    min_object=st.floats(0, 1),
    min_overlap=st.floats(0, 1),
)
sides = st.integers(1, 40)


@given(settings=any_settings, sizes=st.tuples(sides, sides, sides, sides), seed=st.integers(0, 2**32 - 1))
@hypothesis_settings(max_examples=80, deadline=None, derandomize=True)
def test_any_settings_any_size(settings, sizes, seed):
    old, other = noise(seed, *sizes[:2]), noise(seed + 1, *sizes[2:])
    image, mask, boxes = add_anomaly(old, settings, np.random.default_rng(seed), other)
    assert image.shape == old.shape and image.dtype == np.uint8
    assert mask.shape == old.shape[:2] and mask.dtype == bool
    assert len(boxes) <= settings.patches and bool(boxes) == bool(mask.any())
    assert (image == old)[~mask].all()


@pytest.mark.parametrize("shape", [(16, 16), (16, 200), (200, 16)])
@pytest.mark.parametrize("category", [*PRESETS, "anything else"])
def test_presets_work_on_small_and_long_images(category, shape):
    grey = np.repeat(noise(0, *shape)[..., :1], 3, axis=2)  # a grey image as RGB
    settings = preset(category)
    anomaly = add_anomaly(grey, settings, np.random.default_rng(0), grey[::-1].copy())
    assert (anomaly.image[..., 0] == anomaly.image[..., 1]).all()  # stays grey
    assert (anomaly.image == grey)[~anomaly.mask].all()


def one(image, source=None):
    return add_anomaly(image, DEFAULT, np.random.default_rng(0), source)


def many(images, sources=None):
    return add_anomalies(images, DEFAULT, np.random.default_rng(0), sources)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: NSA(blend="paste"), ValueError, "swap, poisson, mix"),
        (lambda: NSA(source="neighbour"), ValueError, "other, same"),
        (lambda: NSA(height=(0.4, 0.1)), ValueError, "height"),
        (lambda: NSA(width=(0.1, 0.9)), ValueError, "width"),
        (lambda: NSA(rescale=(0, 1)), ValueError, "rescale"),
        (lambda: NSA(patches=0), ValueError, "patches"),
        (lambda: NSA(min_object=70), ValueError, "min_object"),
        (lambda: NSA(background=(300, 10)), ValueError, "background"),
        (lambda: one(noise(0)[..., 0]), ValueError, r"\(H, W, 3\)"),
        (lambda: one(noise(0) / 255), TypeError, "uint8"),
        (lambda: one(noise(0), noise(1) / 255), TypeError, "source"),
        (lambda: many(torch.rand(2, 3, 8, 8)), TypeError, "uint8"),
        (lambda: many(torch.ones(3, 8, 8)), ValueError, "images"),
        (lambda: many(batch(noise(0)), batch(noise(0))[:0]), ValueError, "sources is empty"),
        (lambda: many(batch(noise(0)), torch.rand(2, 3, 8, 8)), TypeError, "sources"),
        (lambda: preset("bottle", torch.rand(2, 3, 8, 8)), TypeError, "uint8"),
        (lambda: preset("bottle", batch(noise(0))[:0]), ValueError, "images is empty"),
        (lambda: preset("my parts", batch(noise(0))[:0]), ValueError, "images is empty"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


# --- presets and backgrounds ---


def test_presets_are_the_published_ones():
    assert set(PRESETS) == set(TABLE)
    for category, (height, width, patches, background, min_object, min_overlap) in TABLE.items():
        found = preset(category)
        assert (found.height, found.width, found.patches) == (height, width, patches)
        assert found.background == background
        if background is not None:  # without one, the two shares have no meaning
            assert (found.min_object, found.min_overlap) == (min_object, min_overlap)
        assert found.rescale == (0.7, 1.3) and found.source == "other"


def test_any_other_category_gets_the_default():
    assert preset("toy nut") == DEFAULT and DEFAULT.background is None
    assert preset("toy nut", batch(disc(0), disc(1))) == replace(DEFAULT, background=(255, 20))
    assert preset("toy nut", batch(noise(0), noise(1))) == DEFAULT


def test_a_preset_keeps_its_background_where_it_leaves_an_object():
    images = batch(disc(0), disc(1))  # dark on white: 255 lies within 60 of the bottle's 200
    assert preset("bottle", images) == PRESETS["bottle"]
    assert preset("carpet", images) == PRESETS["carpet"]  # a texture by its name gets no background


@pytest.mark.parametrize("category", [name for name, settings in PRESETS.items() if settings.background])
def test_a_folder_whose_name_promises_another_background(category):
    # Grey cloth is all background to the light presets (200 +- 60) and all object to the dark ones (20 +- 20).
    cloth = batch(*(noise(seed, low=160, high=201) for seed in range(8)))
    settings = preset(category, cloth)
    assert settings == replace(PRESETS[category], background=None)
    _, masks = add_anomalies(cloth, replace(settings, blend="swap"), np.random.default_rng(0))
    assert masks.flatten(1).any(1).all()


def test_a_preset_takes_the_background_that_the_images_have():
    images = batch(disc(0), disc(1))  # dark on white, where the pills of MVTec AD lie on black
    assert preset("pill", images) == replace(PRESETS["pill"], background=(255, 20))


def test_background_of_a_noisy_surface():
    image = np.random.default_rng(0).normal(90, 6, (96, 96, 1)).astype(np.uint8).repeat(3, axis=2)
    image[30:60, 30:60] = 180
    found = estimate_background(batch(image, image[::-1]))
    assert found is not None and found[0] in range(88, 93)
    objects = foreground(image, found)
    assert objects[32:58, 32:58].all() and objects[:28].mean() < 0.01


def test_backgrounds_of_real_categories(real_data: Path):
    def some(category: str) -> torch.Tensor:
        files = sorted((real_data / category / "train" / "good").iterdir())[:10]
        return batch(*(cv2.resize(cv2.imread(str(file)), (128, 128))[..., ::-1] for file in files))

    assert preset("bottle", some("bottle")) == PRESETS["bottle"]
    assert preset("screw", some("commutator")).background is None  # all but 0.3 % of it would be background
    level, tolerance = estimate_background(some("bottle")) or (0, 0)
    assert level >= 240 and 10 <= tolerance <= 60
    assert estimate_background(some("commutator")) is None
    assert estimate_background(some("magnetic_tile")) is None


def test_the_default_makes_visible_anomalies_on_real_images(real_data: Path):
    for category in ("bottle", "commutator", "magnetic_tile"):
        files = sorted((real_data / category / "train" / "good").iterdir())[:10]
        images = batch(*(cv2.resize(cv2.imread(str(file)), (128, 128))[..., ::-1] for file in files))
        _, masks = add_anomalies(images, preset("any", images), np.random.default_rng(0))
        assert masks.flatten(1).any(1).float().mean() >= 0.9, category
