"""The numbers behind the pictures of masking, and that the pictures say them."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from sample_results import four_results, small_toy

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import as_batch
from mrkd_edu.figures.style import SPACE, Picture, colour_of
from mrkd_edu.ilm import Anomaly, Box, add_anomaly, visible_change
from mrkd_edu.lessons import feature_masking, image_masking
from mrkd_edu.lessons.pictures import feature_masking as draw_06
from mrkd_edu.lessons.pictures import image_masking as draw_05
from mrkd_edu.lessons.pictures import seeds as draw_seeds
from mrkd_edu.model import MRKD
from mrkd_edu.nsa import NSA, PRESETS
from mrkd_edu.study.evaluate import Evaluation

SIZE = 64


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AnomalyFolder:
    return small_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def results(data: AnomalyFolder) -> dict[str, Evaluation]:
    return {e.variant: e for e in four_results(data)}


@pytest.fixture(scope="module")
def flm() -> MRKD:
    return MRKD(variant="flm", size=SIZE, standardise=False)


@pytest.fixture
def photos(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)


def said(figure: Picture) -> str:
    """All titles of a figure as one text."""
    titles = [ax.get_title(loc=place) for ax in figure.axes for place in ("left", "center")]
    overall = figure.get_suptitle()
    return " ".join([overall, *titles]).replace(SPACE, " ").replace("\n", " ")


def draws(figure: Picture) -> bool:
    figure.savefig(io.BytesIO(), format="png", dpi=40)  # raises what only drawing finds, warnings too
    return True


# --- image masking ---------------------------------------------------------------------------------------------


def test_a_patch_by_hand_is_the_librarys_own(photos: np.ndarray) -> None:
    """The steps shown are those that `add_anomaly` takes."""
    for blend in ("swap", "poisson"):
        alone = NSA((0.1, 0.1), (0.2, 0.2), patches=1, rescale=(1, 1), blend=blend)
        made = add_anomaly(photos[0], alone, np.random.default_rng(3), photos[1])
        (box,) = made.boxes
        cuts = [
            Box(top, left, box.height, box.width)
            for top in range(SIZE - box.height + 1) for left in range(SIZE - box.width + 1)
        ]  # fmt: skip
        mine = [getattr(image_masking.patch_steps(photos[0], photos[1], cut, box), blend) for cut in cuts]
        assert sum(np.array_equal(m[made.mask], made.image[made.mask]) for m in mine) == 1


def test_a_patch_is_rescaled_to_its_box_and_leaves_the_rest_alone(photos: np.ndarray) -> None:
    before = photos.copy()
    steps = image_masking.patch_steps(photos[0], photos[1], Box(0, 0, 10, 20), Box(30, 20, 8, 24))
    assert steps.patch.shape == (10, 20, 3) and steps.resized.shape == (8, 24, 3)
    outside = np.ones((SIZE, SIZE), bool)
    outside[steps.box.slices] = False
    for new in (steps.swap, steps.poisson):
        assert np.array_equal(new[outside], photos[0][outside])
        assert not np.array_equal(new, photos[0])
    assert np.array_equal(photos, before)


@pytest.mark.parametrize("cut, box", [(Box(60, 0, 5, 5), Box(0, 0, 5, 5)), (Box(0, 0, 5, 5), Box(0, -1, 5, 5))])
def test_a_box_outside_its_image_is_refused(photos: np.ndarray, cut: Box, box: Box) -> None:
    with pytest.raises(ValueError, match="reaches out"):
        image_masking.patch_steps(photos[0], photos[1], cut, box)


def test_blending_removes_the_seam() -> None:
    image, source = np.full((SIZE, SIZE, 3), 90, np.uint8), np.full((SIZE, SIZE, 3), 190, np.uint8)
    box = Box(20, 20, 16, 16)
    steps = image_masking.patch_steps(image, source, box, box)
    assert image_masking.rim_jump(image, box) == 0
    assert image_masking.rim_jump(steps.swap, box) == 100
    assert image_masking.rim_jump(steps.poisson, box, inside=1) == 0
    assert np.isnan(image_masking.rim_jump(image, Box(0, 0, SIZE, SIZE)))
    assert np.isnan(image_masking.rim_jump(image, Box(20, 20, 2, 9), inside=1)), "nothing is left of it"


def test_the_seam_of_a_blended_patch_is_looked_for_where_it_lies() -> None:
    """A blend keeps the outermost pixels of its box: a step behind them is no step across the border."""
    image = np.full((SIZE, SIZE, 3), 90, np.uint8)
    image[21:35, 21:35] = 150
    box = Box(20, 20, 16, 16)
    assert image_masking.rim_jump(image, box) == 0
    assert image_masking.rim_jump(image, box, inside=1) == 60


def test_drawn_sides_keep_to_the_bounds_and_have_the_right_mean(rng: np.random.Generator) -> None:
    free = image_masking.draw_sides((0.01, 0.5), 20_000, rng)
    assert free.min() >= 0.06 and free.max() <= 1.0
    assert free.mean() == pytest.approx(2 * (0.03 + 2 * 0.05), abs=0.005)
    bounded = image_masking.draw_sides((0.01, 0.05), 20_000, rng)
    assert image_masking.commonest_share(bounded) == pytest.approx(1.4 * np.exp(-0.4), abs=0.02)


def test_the_teacher_sees_no_distance_where_nothing_changed(photos: np.ndarray) -> None:
    model = MRKD(variant="rd", size=SIZE, standardise=False)
    normal = as_batch(photos[:3])
    changed = normal.clone()
    changed[1, :, 16:48, 16:48] = 255 - changed[1, :, 16:48, 16:48]
    masks = (changed != normal).any(1)
    distances = image_masking.teacher_distances(model, normal, changed, masks)
    assert distances.shape == (3, len(model.settings.strides))
    assert np.isnan(distances[[0, 2]]).all() and (distances[1] > 0).all()
    everywhere = image_masking.teacher_distances(model, normal, changed, torch.ones_like(masks))
    assert everywhere[[0, 2]] == pytest.approx(0, abs=1e-3) and (everywhere[1, :-1] < distances[1, :-1]).all()
    scores = image_masking.perfect_scores(model, normal, changed)
    assert scores[1] > 0.05 and scores[[0, 2]] == pytest.approx(0, abs=1e-2)


# --- feature masking -------------------------------------------------------------------------------------------


def test_neighbour_mean_fills_from_the_window_and_nothing_else() -> None:
    features = torch.arange(25.0).view(1, 1, 5, 5)
    mask = torch.ones(1, 1, 5, 5)
    mask[0, 0, 2, 2] = 0
    assert feature_masking.neighbour_mean(features, mask, reach=1)[0, 0, 2, 2].item() == pytest.approx(12.0)
    assert torch.equal(feature_masking.neighbour_mean(features, mask) * mask, features * mask)
    mask[0, 0, 1:4, 1:4] = 0
    assert feature_masking.neighbour_mean(features, mask, reach=1)[0, 0, 2, 2] == 0  # no neighbour is left
    changed = features.clone()
    changed[0, 0, 2, 2] = 1e6  # what is hidden must not leak into what fills it
    assert torch.equal(feature_masking.neighbour_mean(changed, mask), feature_masking.neighbour_mean(features, mask))


def test_hidden_error_looks_at_hidden_positions_only() -> None:
    teacher = torch.randn(1, 8, 4, 4)
    mask = torch.ones(1, 1, 4, 4)
    mask[0, 0, 0, 0] = 0
    wrong = teacher.clone()
    wrong[0, :, 3, 3] *= -1
    assert feature_masking.hidden_error(teacher, wrong, mask) == pytest.approx(0, abs=1e-6)
    wrong[0, :, 0, 0] *= -1
    assert feature_masking.hidden_error(teacher, wrong, mask) == pytest.approx(2, abs=1e-6)
    with pytest.raises(ValueError, match="hides nothing"):
        feature_masking.hidden_error(teacher, wrong, torch.ones(1, 1, 4, 4))


def test_varying_share_tells_a_template_from_noise() -> None:
    template = torch.randn(1, 8, 4, 4).expand(16, -1, -1, -1)
    noise = torch.randn(16, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    assert feature_masking.varying_share([template]) == pytest.approx(0, abs=1e-6)
    assert feature_masking.varying_share([noise]) == pytest.approx((15 / 16) ** 0.5, abs=0.03)
    assert feature_masking.varying_share([noise, template]) == pytest.approx(feature_masking.varying_share([noise]) / 2)


def test_masks_at_test_time_change_scores_and_masks_off_do_not(flm: MRKD, photos: np.ndarray) -> None:
    images = as_batch(photos)
    seeds = [torch.Generator().manual_seed(s) for s in (0, 1, 0)]
    off, one, other, again = feature_masking.scores_with_masks(flm, images, [None, *seeds], batch=4)
    assert off == pytest.approx(flm.predict(list(photos)).score, abs=1e-3)
    assert not np.array_equal(one, other)
    assert np.array_equal(one, again)  # the generator decides, nothing else
    assert not flm.flm.training
    assert (one != off).all()
    with pytest.raises(ValueError, match="no feature masking"):
        feature_masking.scores_with_masks(MRKD(variant="rd", size=SIZE, standardise=False), images, [None])


# --- the pictures ----------------------------------------------------------------------------------------------


def test_pictures_of_a_patch_say_what_was_measured(photos: np.ndarray) -> None:
    image = np.full((SIZE, SIZE, 3), 90, np.uint8)
    steps = image_masking.patch_steps(image, np.full_like(image, 190), Box(0, 0, 16, 16), Box(20, 20, 16, 16))
    strip = draw_05.patch_strip(steps, [visible_change(image, new) for new in (steps.swap, steps.poisson)])
    assert "covers 6.2 % of the image; visibly changed are 6.2 % (swap) and 0.0 % (Poisson)" in said(strip)
    profile = draw_05.blend_profile(steps)
    assert "before 0, swap 100, Poisson (one pixel inside) 0" in said(profile)
    assert draws(strip) and draws(profile)


def test_preset_sizes_counts_what_has_collapsed() -> None:
    figure = draw_05.preset_sizes({name: PRESETS[name] for name in ("bottle", "tile", "metal_nut")})
    assert "In 2 of 3 categories" in said(figure)
    order = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert order == ["metal_nut", "tile", "bottle"]  # small to large
    assert draws(figure)


def test_background_rule_gives_the_share_on_the_object() -> None:
    nut = np.full((SIZE, SIZE, 3), 200, np.uint8)
    nut[:, : SIZE // 2] = 20
    mask = np.zeros((SIZE, SIZE), bool)
    mask[10:20, SIZE // 2 - 15 : SIZE // 2 + 5] = True  # three quarters on the object
    made = [Anomaly(nut, mask, [])]
    figure = draw_05.background_rule([nut], (200, 20), {"with": made, "empty": [Anomaly(nut, ~mask & mask, [])]})
    assert "with 75.0 %, empty nan %" in said(figure)
    assert draws(figure)


def test_gallery_is_sorted_and_counts_the_useless(photos: np.ndarray) -> None:
    made = [Anomaly(photo, photo[..., 0] > 100, []) for photo in photos]
    scores = np.array([0.5, 3.0, 1.0, 2.0, 0.1, 4.0])
    figure = draw_05.anomaly_gallery(made, scores, threshold=2.0, number=2)
    assert "3 of 6 would raise no alarm" in said(figure)
    shown = [re.match(r"[\d.]+", ax.get_xlabel()).group() for ax in figure.axes]  # type: ignore[union-attr]
    assert shown == ["0.05", "0.25", "1.50", "2.00"]
    assert draws(figure)
    with pytest.raises(ValueError, match="got 6"):
        draw_05.anomaly_gallery(made, scores, 2.0, number=7)


def test_charts_refuse_to_draw_nothing() -> None:
    for chart in (draw_05.distance_by_scale, draw_06.mask_reach, draw_06.hidden_errors):
        with pytest.raises(ValueError, match="there is no"):
            chart({}, (4, 8))
    with pytest.raises(ValueError, match="nothing to compare"):
        draw_seeds.seed_dots({})
    with pytest.raises(ValueError, match="no mask"):
        draw_06.masks_on_features(np.zeros((SIZE, SIZE, 3), np.uint8), [], {})
    with pytest.raises(ValueError, match="normal and defective"):
        draw_06.mask_noise(np.ones(3), np.ones((2, 3)), np.ones(3, int))


def test_distances_with_an_empty_mask_do_not_spoil_the_mean() -> None:
    figure = draw_05.distance_by_scale({"swap": np.array([[0.4, 0.2], [np.nan, np.nan]])}, (4, 8))
    assert "swap 0.30" in said(figure)
    assert draws(figure)


def test_seed_dots_show_every_seed_in_its_variants_colour(results: dict[str, Evaluation]) -> None:
    figure = draw_seeds.seed_dots({"rd": [results["rd"], results["ilm"]], "ilm, swap": [results["ilm"]]})
    for ax, metric in zip(figure.axes, ("leakage", "image_auroc"), strict=True):
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert [len(line.get_ydata()) for line in dots] == [2, 1]
        assert dots[0].get_ydata() == pytest.approx([results[v].metrics[metric] for v in ("rd", "ilm")])
        assert [to_rgb(line.get_color()) for line in dots] == [to_rgb(colour_of(v)) for v in ("rd", "ilm")]
    low, high = figure.axes[1].get_ylim()
    assert high - low >= 0.1  # a small difference stays small
    assert f"ilm swap {results['ilm'].metrics['image_auroc']:.3f}" in said(figure)
    assert draws(figure)


def test_masks_lie_on_the_features_where_they_hide(photos: np.ndarray) -> None:
    mask = np.ones((4, 4), np.float32)
    mask[0, 0] = 0
    figure = draw_06.masks_on_features(photos[0], [np.full((4, 4, 3), 200, np.uint8)], {0.1: [mask]})
    shown = np.asarray(figure.axes[1].images[0].get_array())
    assert not shown[0, 0].any() and (shown[1:, 1:] == 200).all()
    assert figure.axes[1].get_xlabel().startswith("6.2")
    assert draws(figure)


def test_reach_counts_the_other_scales() -> None:
    figure = draw_06.mask_reach({"after": np.eye(3), "inside": np.tril(np.ones((3, 3)))}, (4, 8, 16))
    assert "after: 0 of 6 other entries change" in said(figure) and "inside: 3 of 6 other entries" in said(figure)
    assert draws(figure)


def test_restoration_and_errors_say_the_numbers(photos: np.ndarray) -> None:
    figure = draw_06.restoration_pictures(photos[0], {"teacher": photos[1], "restored": photos[2]}, {"restored": 0.25})
    assert "restored 0.25" in said(figure) and len(figure.axes) == 3
    bars = draw_06.hidden_errors({"zeros": [1.0, 1.0], "trained": [0.2, 0.4]}, (4, 8))
    assert "zeros 1.00, trained 0.30" in said(bars)
    assert draws(figure) and draws(bars)


def test_drop_curves_compare_seed_with_seed(results: dict[str, Evaluation]) -> None:
    figure = draw_06.drop_curves({0.5: [results["mrkd"]], 0.0: [results["flm"]]}, [results["rd"], results["ilm"]])
    values = [results[v].metrics["image_auroc"] for v in ("flm", "mrkd", "rd")]
    assert "{:.3f} at $\\lambda$ = 0, {:.3f} at 0.5; rd {:.3f}".format(*values) in said(figure)
    assert draws(figure)
    blind = results["flm"].__class__(**{**vars(results["flm"]), "metrics": {"leakage": None, "image_auroc": 0.5}})
    with pytest.raises(ValueError, match="no leakage"):
        draw_06.drop_curves({0.2: [blind]}, [results["rd"]])


def test_mask_noise_gives_the_spread_and_both_aurocs() -> None:
    off, labels = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1])
    on = np.array([[1.0, 3.0, 2.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    figure = draw_06.mask_noise(off, on, labels)
    assert "AUROC off 1.000; on 0.750 to 1.000" in said(figure)
    assert f"spread of {100 * feature_masking.score_spread(on):.1f} %" in said(figure)
    assert draws(figure)
