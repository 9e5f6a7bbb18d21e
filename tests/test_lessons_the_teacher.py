"""Pictures of features: the arithmetic against an oracle, and that titles and panels say what the data holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mrkd_edu.figures import features as fmaps
from mrkd_edu.figures.style import SPACE, TIMES
from mrkd_edu.lessons import the_teacher as the_teacher_numbers
from mrkd_edu.lessons.pictures import reverse_distillation as draw_reverse_distillation
from mrkd_edu.lessons.pictures import the_teacher as draw_the_teacher
from mrkd_edu.model import MRKD

GREY = np.full((32, 32, 3), 128, np.uint8)


@pytest.fixture
def maps() -> Tensor:
    return torch.randn(2, 6, 8, 10, generator=torch.Generator().manual_seed(0))  # (N, C, h, w)


# ---- arithmetic --------------------------------------------------------------------------------------------


def test_colours_are_the_principal_components(maps: Tensor) -> None:
    vectors = maps.movedim(1, -1).reshape(-1, 6).double().numpy()  # (P, C)
    _, _, directions = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    colours = fmaps.pca_colours(maps).reshape(-1, 3).astype(float)
    for i in range(3):
        component = (vectors - vectors.mean(0)) @ directions[i]
        assert abs(np.corrcoef(component, colours[:, i])[0, 1]) > 0.99


def test_equal_features_have_equal_colours_in_all_images_of_a_call(maps: Tensor) -> None:
    maps[1, :, 2, 3] = maps[0, :, 5, 5]
    colours = fmaps.pca_colours(maps)
    assert colours[1, 2, 3].tolist() == colours[0, 5, 5].tolist()
    assert np.array_equal(colours, fmaps.pca_colours(maps))
    assert fmaps.pca_colours(maps[0]).shape == (8, 10, 3)


def test_pca_share_is_the_variance_that_is_shown(maps: Tensor) -> None:
    assert the_teacher_numbers.pca_share(maps, components=6) == pytest.approx(1.0)
    maps[:, 0] *= 100
    assert the_teacher_numbers.pca_share(maps, components=1) > 0.99


def test_similarity_is_the_cosine(maps: Tensor) -> None:
    values = fmaps.similarity(maps[0], row=2, col=7)
    a, b = maps[0, :, 2, 7], maps[0, :, 6, 1]
    assert values[6, 1] == pytest.approx(float(a @ b / (a.norm() * b.norm())), abs=1e-6)
    assert np.unravel_index(values.argmax(), values.shape) == (2, 7)
    assert np.allclose(values, fmaps.similarity(5 * maps[0], row=2, col=7), atol=1e-6)  # length does not matter


@pytest.mark.parametrize(("row", "col"), [(8, 0), (0, 10), (-1, 0)])
def test_a_position_outside_is_refused(maps: Tensor, row: int, col: int) -> None:
    with pytest.raises(ValueError, match="outside a map of 8 x 10"):
        fmaps.similarity(maps[0], row, col)


def test_wrong_shapes_are_refused(maps: Tensor) -> None:
    with pytest.raises(ValueError, match="one map"):
        fmaps.similarity(maps, 0, 0)
    with pytest.raises(ValueError, match="maps must be"):
        fmaps.pca_colours(maps[0, 0])
    with pytest.raises(ValueError, match="at least 3 channels"):
        fmaps.pca_colours(maps[:, :2])


def test_length_share_counts_long_features_more(maps: Tensor) -> None:
    maps[0, :, 4, 4] *= 10
    share = the_teacher_numbers.length_share(maps)
    assert share.shape == (2, 8, 10) and np.allclose(share.sum((1, 2)), 1)
    assert np.unravel_index(share[0].argmax(), share[0].shape) == (4, 4)


def test_equal_positions_have_an_equal_say_whatever_their_number() -> None:
    for cells in (16, 36, 100):
        assert the_teacher_numbers.say_of_heaviest(np.full(cells, 1 / cells)) == pytest.approx(0.1)
    assert the_teacher_numbers.say_of_heaviest(np.array([[0.5, 0.1], [0.3, 0.1]]), part=0.5) == pytest.approx(0.8)


def test_shares_find_the_large_channel_and_the_constant_part() -> None:
    maps = torch.randn(4, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    assert the_teacher_numbers.mean_share(maps) < 0.01 and the_teacher_numbers.channel_shares(maps)[0] < 0.25
    assert the_teacher_numbers.mean_share(maps + 3) == pytest.approx(0.9, abs=0.01)
    maps[:, 3] *= 10
    assert the_teacher_numbers.channel_shares(maps)[0] > 0.9


def test_centre_lies_inside_even_of_a_ring() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:35, 10:50] = True
    mask[12:28, 18:42] = False
    row, col = fmaps.centre(mask)
    assert mask[int(row * 40), int(col * 60)]
    with pytest.raises(ValueError, match="empty"):
        fmaps.centre(np.zeros((4, 4), bool))


# ---- pictures ----------------------------------------------------------------------------------------------


def test_channel_grid_shows_the_channels_that_vary_most(maps: Tensor) -> None:
    maps[0, 4] *= 50
    figure = draw_the_teacher.channel_grid(GREY, [maps[0]], (4,), number=2)
    assert figure.axes[1].get_title(loc="center") == "channel 4"
    assert np.array_equal(figure.axes[1].images[0].get_array(), maps[0, 4].numpy())


def test_pca_grid_shares_colours_along_a_row(maps: Tensor) -> None:
    figure = draw_the_teacher.pca_grid(np.stack([GREY, GREY]), [maps], (4,), names=["a", "b"])
    shown = [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
    assert np.array_equal(shown[2], fmaps.pca_colours(maps)[0]) and np.array_equal(shown[3], fmaps.pca_colours(maps)[1])


def test_similarity_grid_has_one_scale_and_marks_the_cell(maps: Tensor) -> None:
    figure = draw_the_teacher.similarity_grid([GREY, GREY], [[maps[0]], [maps[1]]], (4,), (0.3, 0.75), names=["a", "b"])
    pictures = [ax for ax in figure.axes if ax.images][1:4:2]
    assert [ax.images[0].get_clim() for ax in pictures] == [(-1, 1), (-1, 1)]
    assert pictures[0].lines[0].get_xydata().tolist() == [[7, 2]]  # column, row of 10 x 8 cells


def test_similarity_grid_is_white_at_zero_and_tells_signs_apart(maps: Tensor) -> None:
    figure = draw_the_teacher.similarity_grid([GREY], [[maps[0]]], (4,), (0.3, 0.75), names=["a"])
    shown = next(ax for ax in figure.axes[1:] if ax.images).images[0]
    below, zero, above = (shown.cmap(shown.norm(value))[:3] for value in (-0.8, 0.0, 0.8))
    assert min(zero) > 0.95
    assert below[2] > below[0] + 0.3 and above[0] > above[2] + 0.3  # blue, red


def test_share_bars_say_the_numbers() -> None:
    maps = [torch.randn(2, 20, 8, 8, generator=torch.Generator().manual_seed(0)) + 2]
    figure = draw_the_teacher.share_bars(maps, [maps[0] - maps[0].mean((0, 2, 3), keepdim=True)], (4,))
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([the_teacher_numbers.mean_share(maps[0]), 0], abs=1e-6)


def test_kinds_title_says_where_and_gives_a_tie_to_nobody() -> None:
    values = {"dent (1 %)": [0.1, 0.4], "hole": [0.5, 0.2], "all": [0.701, 0.699], "three": [0.1, 0.1]}
    title = draw_the_teacher.kinds_by_scale(values, (4, 8), measure="d", low=0, high=1).axes[0].get_title(loc="left")
    assert title.replace("\n", " ") == "Largest at stride 4: hole; stride 8: dent; all scales: all, three"
    with pytest.raises(ValueError, match="no kind"):
        draw_the_teacher.kinds_by_scale({}, (4, 8), measure="d", low=0, high=1)


def test_diagram_has_the_shapes_of_the_model() -> None:
    model = MRKD(variant="rd", size=64, strides=(4, 8, 16, 32), squeeze=2, pretrained=False)
    figure = draw_reverse_distillation.network_diagram(model)
    texts = [text.get_text() for text in figure.axes[0].texts]
    shapes = [f"{c}\n{64 // s}{TIMES}{64 // s}" for c, s in zip(model.teacher.channels, (4, 8, 16, 32), strict=True)]
    assert all(texts.count(shape) == 2 for shape in shapes)  # the teacher's and the student's
    assert f"128\n1{TIMES}1" in texts
    given = sum(c * (64 // s) ** 2 for c, s in zip(model.teacher.channels, (4, 8, 16, 32), strict=True))
    assert f"one for every {given / 128:.0f}" in figure.axes[0].get_title(loc="left")


def test_scale_maps_count_the_loudest_scale_in_thresholds() -> None:
    shares = [np.zeros((2, 8, 8)), np.zeros((2, 4, 4))]
    shares[0][0, 1, 1], shares[1][1, 2, 2] = 3.0, 1.0
    totals = np.zeros((2, 32, 32), np.float32)
    totals[0, 5, 5] = 4.0
    figure = draw_reverse_distillation.scale_maps([GREY, GREY], shares, totals, 2.0, (4, 8))
    assert figure.get_suptitle() == "Of 2 images, the highest value comes from stride 4 in 1, stride 8 in 1"
    assert figure.axes[1].images[0].get_array().max() == 1.5  # of a threshold
    assert figure.axes[3].get_xlabel().startswith("score 2.00")
    with pytest.raises(ValueError, match="1 images, but 2"):
        draw_reverse_distillation.scale_maps([GREY], shares, totals, 2.0, (4, 8))


def test_position_weights_say_what_the_heaviest_tenth_has(maps: Tensor) -> None:
    maps[0, :, 0, :8] *= 1000  # 8 of 80 positions
    title = draw_reverse_distillation.position_weights(GREY, [maps[0]], (4,)).get_suptitle()
    assert title.replace(SPACE, " ") == "The heaviest tenth of the positions has 100 % of the say"


def test_pixels_turns_tensors_into_pictures() -> None:
    batch = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 3, 4, 5)
    assert fmaps.pixels(batch).shape == (2, 4, 5, 3)
    assert fmaps.pixels(batch[0])[1, 2].tolist() == batch[0, :, 1, 2].tolist()
