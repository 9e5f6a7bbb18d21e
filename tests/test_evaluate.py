"""Evaluation: every number is that of the metric itself, and what cannot be measured is None."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mrkd_edu import metrics
from mrkd_edu.data import AnomalyFolder, DataError, stack
from mrkd_edu.leakage import leakage
from mrkd_edu.model import MRKD
from mrkd_edu.study.evaluate import Evaluation, check_test_set, evaluate, leakage_pairs
from mrkd_edu.toy import make_toy

SIZE = 64
COPYING = {"leakage", "copying_cost", "explained"}
COSTS = {"train_seconds", "ms_per_image"}
NAMES = {"image_auroc", "pixel_auroc", "aupro", "f1_max", "f1_threshold"} | COPYING | COSTS


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), train=2, test_good=17, test_defective=6, size=SIZE)


@pytest.fixture(scope="module")
def model() -> MRKD:
    """Untrained: its maps mean little, which is all that the tests of the arithmetic need."""
    model = MRKD(variant="mrkd", size=SIZE)
    model.settings.threshold = 1.5
    model.settings.history = {"seconds": 12.5}
    return model


@pytest.fixture(scope="module")
def result(toy: Path, model: MRKD) -> Evaluation:
    return evaluate(model, AnomalyFolder(toy), progress=False)


@pytest.fixture
def copy(toy: Path, tmp_path: Path) -> Path:
    """The same data, to take something away from."""
    return Path(shutil.copytree(toy, tmp_path / "metal"))


# --- numbers ------------------------------------------------------------------------------------------------


def test_maps_and_scores_are_those_of_predict(toy: Path, model: MRKD, result: Evaluation) -> None:
    data = AnomalyFolder(toy)
    assert [sample.path for sample in result.samples] == [sample.path for sample in data.test]
    prediction = model.predict([sample.path for sample in data.test])
    assert np.array_equal(result.anomaly_map, prediction.anomaly_map)
    assert np.array_equal(result.score, prediction.score)
    assert result.anomaly_map.dtype == np.float32 and result.anomaly_map.shape == (23, SIZE, SIZE)
    assert (result.category, result.variant, result.threshold) == ("metal", "mrkd", 1.5)


def test_metrics_are_those_of_the_metrics_module(toy: Path, result: Evaluation) -> None:
    labels = np.array([0] * 17 + [1] * 6)
    masks = AnomalyFolder(toy).test_masks(SIZE)
    assert np.array_equal(result.labels, labels)
    assert result.masks is not None and np.array_equal(result.masks, masks)
    f1, threshold = metrics.f1_max(result.score, labels)
    wanted = {
        "image_auroc": metrics.image_auroc(result.score, labels),
        "pixel_auroc": metrics.pixel_auroc(result.anomaly_map, masks),
        "aupro": metrics.aupro(result.anomaly_map, masks),
        "f1_max": f1,
        "f1_threshold": threshold,
    }
    assert {name: result.metrics[name] for name in wanted} == wanted
    assert result.metrics.keys() == NAMES
    assert all(isinstance(value, float) for value in result.metrics.values())


def test_evaluation_repeats_itself(toy: Path, model: MRKD, result: Evaluation) -> None:
    model.train()  # as a model may come out of a training
    again = evaluate(model, AnomalyFolder(toy), progress=False)
    assert not model.training
    assert np.array_equal(again.anomaly_map, result.anomaly_map)
    assert again.leakage == result.leakage
    clock = {"ms_per_image": 0.0}
    assert again.metrics | clock == result.metrics | clock


def test_evaluation_changes_no_weight(toy: Path) -> None:
    model = MRKD(variant="mrkd", size=SIZE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, AnomalyFolder(toy), progress=False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_times(toy: Path, result: Evaluation) -> None:
    milliseconds = result.metrics["ms_per_image"]
    assert milliseconds is not None and milliseconds > 0
    assert result.metrics["train_seconds"] == 12.5
    assert evaluate(MRKD(size=SIZE), AnomalyFolder(toy), progress=False).metrics["train_seconds"] is None


def test_progress(toy: Path, model: MRKD, capsys: pytest.CaptureFixture) -> None:
    evaluate(model, AnomalyFolder(toy))
    captured = capsys.readouterr()
    assert captured.out == "" and "23/23" in captured.err


# --- leakage ------------------------------------------------------------------------------------------------


def test_leakage_is_measured_on_twins(toy: Path, model: MRKD, result: Evaluation) -> None:
    data = AnomalyFolder(toy)
    normal, defective, masks = data.twin_pairs(SIZE)
    wanted = leakage(model.features, [(normal[:], defective[:], torch.from_numpy(masks))])
    assert result.leakage == pytest.approx(wanted)
    assert result.metrics["leakage"] == pytest.approx(np.mean(wanted))
    assert sum(len(batch) for batch, _, _ in leakage_pairs(data, SIZE)) == 6


def test_without_twins_defects_are_made(copy: Path, model: MRKD, result: Evaluation) -> None:
    shutil.rmtree(copy / "twins")
    data = AnomalyFolder(copy)
    first, second = list(leakage_pairs(data, SIZE)), list(leakage_pairs(data, SIZE))
    assert [len(normal) for normal, _, _ in first] == [16, 1]  # all good test images
    assert torch.equal(torch.cat([normal for normal, _, _ in first]), data.test_images(SIZE)[:17])
    for (normal, defective, mask), (_, again, _) in zip(first, second, strict=True):
        assert torch.equal(defective, again)  # a fixed seed
        changed = (normal != defective).any(1)
        assert not (changed & ~mask).any()
    assert sum(int(mask.flatten(1).any(1).sum()) for _, _, mask in first) > 8

    made = evaluate(model, data, progress=False)
    assert made.leakage is not None and len(made.leakage) == 3
    assert made.restored == {}  # of synthetic defects, which are not in the test set
    assert made.leakage != result.leakage
    assert {k: v for k, v in made.metrics.items() if k not in COPYING | {"ms_per_image"}} == {
        k: v for k, v in result.metrics.items() if k not in COPYING | {"ms_per_image"}
    }


def test_the_restored_maps_are_those_of_the_twins_features(toy: Path, model: MRKD, result: Evaluation) -> None:
    data = AnomalyFolder(toy)
    paired = [i for i, sample in enumerate(data.test) if sample.twin is not None]
    assert sorted(result.restored) == paired
    normal, defective, _ = data.twin_pairs(SIZE)
    with torch.no_grad():
        (_, s), (t_defect, _) = model.features(normal[:]), model.features(defective[:])
        wanted = model.compare(t_defect, s).numpy()  # (6, S, S)
    for i, heat in zip(paired, wanted, strict=True):
        assert np.allclose(result.restored[i], heat, atol=1e-4)


def test_leakage_of_a_student_that_copies(copy: Path) -> None:
    """One at every scale, through the whole of evaluate, on twins and on made defects."""

    class Copycat(MRKD):
        def restore(self, features: list[torch.Tensor], generator: object = None) -> list[torch.Tensor]:
            return features

    model = Copycat(variant="rd", size=SIZE)
    found = evaluate(model, AnomalyFolder(copy), progress=False)
    assert found.leakage == pytest.approx([1, 1, 1])
    assert found.anomaly_map.max() < 1e-3  # nothing left to see
    shutil.rmtree(copy / "twins")
    assert evaluate(model, AnomalyFolder(copy), progress=False).leakage == pytest.approx([1, 1, 1])


# --- what cannot be measured --------------------------------------------------------------------------------


def test_without_masks(copy: Path, model: MRKD, result: Evaluation) -> None:
    shutil.rmtree(copy / "twins")
    shutil.rmtree(copy / "ground_truth")
    found = evaluate(model, AnomalyFolder(copy), progress=False)
    assert found.masks is None
    assert {name for name, value in found.metrics.items() if value is None} == {"pixel_auroc", "aupro"}
    assert found.metrics["image_auroc"] == result.metrics["image_auroc"]


def test_only_good_test_images(copy: Path, model: MRKD) -> None:
    for folder in ("twins", "ground_truth"):
        shutil.rmtree(copy / folder)
    for folder in (copy / "test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    found = evaluate(model, AnomalyFolder(copy), progress=False)
    measured = {name for name, value in found.metrics.items() if value is not None}
    assert measured == COPYING | COSTS  # on synthetic pairs
    assert found.labels.tolist() == [0] * 17


def test_only_defective_test_images(copy: Path, model: MRKD) -> None:
    shutil.rmtree(copy / "test" / "good")
    found = evaluate(model, AnomalyFolder(copy), progress=False)
    missing = {name for name, value in found.metrics.items() if value is None}
    assert missing == {"image_auroc", "f1_max", "f1_threshold", "copying_cost"}
    shutil.rmtree(copy / "twins")
    found = evaluate(model, AnomalyFolder(copy), progress=False)
    assert found.leakage is None and found.metrics["leakage"] is None


def test_no_place_for_a_synthetic_defect(tmp_path: Path, model: MRKD) -> None:
    """Flat images: whatever is pasted where, nothing changes. The rest is measured all the same."""
    for name in ("train/good/0.png", "test/good/0.png", "test/good/1.png", "test/dent/0.png"):
        path = tmp_path / "flat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIZE, SIZE), (90, 90, 90) if "dent" not in name else (200, 90, 90)).save(path)
    found = evaluate(model, AnomalyFolder(tmp_path / "flat"), progress=False)
    assert found.leakage is None and found.metrics["leakage"] is None
    assert found.metrics["image_auroc"] is not None


def test_no_test_images(copy: Path, model: MRKD) -> None:
    for folder in ("test", "twins", "ground_truth"):
        shutil.rmtree(copy / folder)
    with pytest.raises(ValueError, match=r"metal has no test images.*mrkd-edu predict"):
        evaluate(model, AnomalyFolder(copy), progress=False)
    with pytest.raises(ValueError, match=r"metal has no test images.*mrkd-edu predict"):
        check_test_set(AnomalyFolder(copy), SIZE)


# --- before a training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["train/good", "test/good", "test/{kind}", "twins/{kind}", "ground_truth/{kind}"])
def test_an_image_that_is_cut_off_is_found_before_a_training(copy: Path, place: str) -> None:
    """Its header is whole, so that opening the folder does not find it."""
    file = max((copy / place.format(kind=AnomalyFolder(copy).kinds[-1])).iterdir())
    check_test_set(AnomalyFolder(copy), SIZE)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    data = AnomalyFolder(copy)
    with pytest.raises(DataError, match=rf"{file.name} cannot be read .* cut off"):
        check_test_set(data, SIZE)


def test_evaluate_decodes_only_what_it_measures(copy: Path, model: MRKD, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of all images belongs before a training, not into every evaluation."""
    shutil.rmtree(copy / "twins")
    data, decoded = AnomalyFolder(copy), []
    read = stack.read_image
    monkeypatch.setattr(stack, "read_image", lambda path, size: decoded.append(path) or read(path, size))
    evaluate(model, data, progress=False)
    tested = sorted(sample.path for sample in data.test)
    assert sorted(set(decoded)) == tested  # and none to train on
    good = [sample.path for sample in data.test if sample.label == 0]
    assert sorted(decoded) == sorted(tested + good)  # the good ones once more, to make defects in
    decoded.clear()
    check_test_set(data, SIZE)
    assert sorted(decoded) == sorted(sample.path for sample in data.train + data.test)


def test_training_images_in_the_test_set_are_told(
    copy: Path, model: MRKD, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(copy / "train" / "good" / "000.png", copy / "test" / "good" / "again.png")
    data = AnomalyFolder(copy)
    for _ in range(2):
        evaluate(model, data, progress=False)
    said = capsys.readouterr().err
    assert said.count("metal: 1 of 24 test images are training images as well (again.png)") == 1
    assert "worth nothing" in said
