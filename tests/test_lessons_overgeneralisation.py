"""Copying: a student that lets a known share through costs what one can work out, and the pictures say so."""

from __future__ import annotations

from pathlib import Path
from types import MethodType

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.figures.style import Picture
from mrkd_edu.leakage import LeakageUndefined, leakage
from mrkd_edu.lessons import overgeneralisation as overgeneralisation_numbers
from mrkd_edu.lessons.pictures import overgeneralisation as draw
from mrkd_edu.model import MRKD
from mrkd_edu.study.copying import Answers, Pairs, answers, copying_cost, read_pairs
from mrkd_edu.study.evaluate import evaluate
from mrkd_edu.toy import make_toy

SIZE = 64


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> AnomalyFolder:
    root = tmp_path_factory.mktemp("toy")
    return AnomalyFolder(make_toy(root, "surface", train=2, test_good=4, test_defective=5, size=SIZE))


@pytest.fixture(scope="module")
def pairs(toy: AnomalyFolder) -> Pairs:
    return read_pairs(toy, SIZE)


@pytest.fixture(scope="module")
def untrained() -> MRKD:
    model = MRKD(variant="rd", size=SIZE, precision="fp32")
    model.settings.threshold, model.settings.history = 0.5, {"loss": [3.0, 2.0]}
    return model


def student(answer: str) -> MRKD:
    """A student that copies everything, or that always says the same."""
    model = MRKD(variant="rd", size=SIZE, precision="fp32")
    model.settings.threshold, model.settings.history = 0.1, {"loss": [1.0]}

    def restore(self: MRKD, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return features if answer == "copies" else [torch.ones_like(t) for t in features]

    model.restore = MethodType(restore, model)  # type: ignore[method-assign]
    return model


def test_pairs_are_the_twins_and_the_good_images(toy: AnomalyFolder, pairs: Pairs) -> None:
    assert pairs.kinds == [s.kind for s in toy.test if s.label]
    assert len(pairs.normal) == len(pairs.defective) == len(pairs.mask) == 5 and len(pairs.good) == 4
    changed = (pairs.normal != pairs.defective).any(1)  # (N, S, S)
    assert all((changed[i] & pairs.mask[i]).any() for i in range(5))


def test_without_twins_pairs_are_synthetic_and_each_has_a_defect(toy: AnomalyFolder, tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).symlink_to(toy.root / part)
    made = read_pairs(AnomalyFolder(tmp_path), SIZE)
    assert set(made.kinds) == {"synthetic"} and len(made.kinds) == len(made.mask)
    assert made.mask.flatten(1).any(1).all()
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "train").symlink_to(toy.root / "train")
    with pytest.raises(LeakageUndefined, match="no normal test images"):
        read_pairs(AnomalyFolder(tmp_path / "only"), SIZE)


def test_who_copies_everything_loses_the_whole_alarm(pairs: Pairs) -> None:
    cost = copying_cost(answers(student("copies"), pairs), pairs)
    assert cost.leakage == pytest.approx([1] * 3)
    assert cost.lost == pytest.approx(1, abs=1e-4)
    assert cost.auroc < cost.auroc_restored
    assert np.allclose(cost.copied, 0, atol=1e-5) and cost.restored.min() > 1e-3


def test_who_always_says_the_same_loses_nothing(pairs: Pairs) -> None:
    cost = copying_cost(answers(student("constant"), pairs), pairs)
    assert cost.leakage == pytest.approx([0] * 3, abs=1e-6)
    assert cost.lost == pytest.approx(0, abs=1e-6)
    assert cost.auroc == cost.auroc_restored


def test_costs_agree_with_the_evaluation(toy: AnomalyFolder, pairs: Pairs, untrained: MRKD) -> None:
    cost, result = copying_cost(answers(untrained, pairs), pairs), evaluate(untrained, toy, progress=False)
    assert cost.auroc == pytest.approx(result.metrics["image_auroc"])
    assert cost.leakage == pytest.approx(result.leakage, abs=1e-4)
    assert cost.copied == pytest.approx(result.score[result.labels == 1], rel=1e-4)
    assert cost.steps == 2 and cost.loss == 2.5


def test_leakage_of_a_pair_is_that_of_a_set_of_one(pairs: Pairs, untrained: MRKD) -> None:
    one = [(pairs.normal[2:3], pairs.defective[2:3], pairs.mask[2:3])]
    assert answers(untrained, pairs).leakage()[2] == pytest.approx(leakage(untrained.features, one), abs=1e-4)


def test_the_flow_adds_up(pairs: Pairs, untrained: MRKD) -> None:
    flow = answers(untrained, pairs).flow(1)
    share = (flow.copied * flow.restored)[flow.inside].sum() / (flow.restored**2)[flow.inside].sum()
    assert share == pytest.approx(copying_cost(answers(untrained, pairs), pairs).leakage[1], abs=1e-4)
    assert (flow.seen >= flow.restored - flow.copied - 1e-5).all()  # a vector is at least as long as its part along r
    copies = answers(student("copies"), pairs).flow(0)
    assert np.allclose(copies.seen, 0, atol=1e-5) and np.allclose(copies.copied, copies.restored, atol=1e-3)


def test_the_pair_that_is_shown_is_visible_and_copied_most(pairs: Pairs, untrained: MRKD) -> None:
    seen = answers(untrained, pairs)
    i, flow = overgeneralisation_numbers.most_copied(seen, 1), seen.flow(1)
    change = (flow.defect**2 * flow.inside).sum(axis=(1, 2))
    visible = change >= np.median(change)
    assert visible[i] and seen.leakage()[i, 1] == seen.leakage()[visible, 1].max()


def test_faded_are_those_that_go_from_found_to_missed(pairs: Pairs) -> None:
    early, late = answers(student("constant"), pairs), answers(student("copies"), pairs)
    restored = np.sort(early.maps["restored"].max(axis=(1, 2)))
    early.model.settings.threshold = float(restored[2:4].mean())  # two are found
    first = overgeneralisation_numbers.faded(early, late, 2)
    assert (overgeneralisation_numbers.scores(early)[1][first] > 1).all()
    assert len(set(overgeneralisation_numbers.faded(early, late, 4).tolist())) == 4
    assert set(first) <= set(overgeneralisation_numbers.faded(early, late, 4))


# --- pictures -----------------------------------------------------------------------------------------------


def words(figure: Picture) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.fixture(scope="module")
def seen(pairs: Pairs, untrained: MRKD) -> Answers:
    return answers(untrained, pairs)


def test_one_defects_maps_share_one_scale_and_the_share_is_the_title(pairs: Pairs, seen: Answers) -> None:
    figure = draw.copied_defect(pairs, seen, 1, 2)
    limits = {ax.images[0].get_clim() for ax in figure.axes[:6] if ax.images[0].get_array().ndim == 2}
    assert len(limits) == 1 and limits.pop()[0] == 0
    share = f"{100 * seen.leakage()[1, 2]:.0f} %"
    stride = seen.model.settings.strides[2]
    assert f"At stride {stride} the student goes {share} of the way from restoring to copying" in words(figure)


def test_outlined_cells_are_the_defects_cells(pairs: Pairs, seen: Answers) -> None:
    inside = seen.flow(0).inside[0]
    ax = draw.copied_defect(pairs, seen, 0, 0).axes[1]
    xs, ys = np.concatenate([line.get_data() for line in ax.lines], axis=1)
    rows, columns = np.nonzero(inside)
    assert (xs.min(), xs.max()) == (columns.min() - 0.5, columns.max() + 0.5)
    assert (ys.min(), ys.max()) == (rows.min() - 0.5, rows.max() + 0.5)


def test_histograms_hold_every_position(seen: Answers) -> None:
    found = seen.distances(1)
    figure = draw.distance_histograms({10: found, 20: found}, 8)
    for patches in (figure.axes[0].containers[0], figure.axes[1].containers[1]):
        assert sum(bar.get_height() for bar in patches) == pytest.approx(100)  # %, those beyond the end in the last bar
    with pytest.raises(ValueError, match="no stage"):
        draw.distance_histograms({}, 8)


def test_cost_curves_end_where_the_numbers_do(pairs: Pairs) -> None:
    costs = {n: copying_cost(answers(student(kind), pairs), pairs) for n, kind in ((10, "constant"), (40, "copies"))}
    figure = draw.cost_curves(costs, "width")
    assert figure.axes[1].get_title(loc="left") == "At 40: 100 % copied,\n100 % of the alarm lost"
    assert figure.axes[2].lines[0].get_ydata().tolist() == [c.auroc for c in costs.values()]
    assert all(ax.get_xlabel() == "width (logarithmic)" for ax in figure.axes)
    figure.draw_without_rendering()
    for ax in figure.axes[1:]:
        legend = ax.get_legend()
        assert legend is not None and legend.get_window_extent().y1 < ax.get_window_extent().y0  # over no point
    with pytest.raises(ValueError, match="two costs"):
        draw.cost_curves({10: costs[10]})


def test_the_scatter_counts_what_copying_hides(pairs: Pairs) -> None:
    copies, constant = (answers(student(kind), pairs) for kind in ("copies", "constant"))
    copies.model.settings.threshold = float(0.5 * copies.maps["restored"].max(axis=(1, 2)).min())
    figure = draw.alarm_scatter({5: constant, 9: copies}, pairs.kinds, [0])
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes]
    assert titles == ["5 steps: copying hides 0 of 5 defects", "9 steps: copying hides 5 of 5 defects"]
    with pytest.raises(ValueError, match="no stage"):
        draw.alarm_scatter({}, pairs.kinds)


def test_what_vanished_is_called_missed_and_would_have_been_found(pairs: Pairs) -> None:
    copies = answers(student("copies"), pairs)
    copies.model.settings.threshold = float(0.5 * copies.maps["restored"].max(axis=(1, 2)).min())
    said = words(draw.vanishing(pairs, {7: copies}, [3, 1]))
    assert sum(word.endswith(": missed") for word in said) == 2  # as it is
    assert sum(word.endswith(": found") for word in said) == 2  # without copying
    with pytest.raises(ValueError, match="nothing to draw"):
        draw.vanishing(pairs, {7: copies}, [])
    copies.model.settings.threshold = None
    with pytest.raises(ValueError, match="no threshold"):
        overgeneralisation_numbers.scores(copies)
