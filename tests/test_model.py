"""The model: one picture, one score, however it comes in; and what is saved is what is loaded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from mrkd_edu.data import DataError, read_image
from mrkd_edu.distance import anomaly_map
from mrkd_edu.judging.detector import Settings
from mrkd_edu.judging.prediction import Prediction, verdict
from mrkd_edu.model import MRKD, VARIANTS
from mrkd_edu.runtime import manifest
from mrkd_edu.runtime.manifest import ModelError, digest

SIZE = 64


@pytest.fixture(scope="module")
def model() -> MRKD:
    return MRKD(variant="mrkd", size=SIZE)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A picture with structure, (50, 80, 3)."""
    y, x = np.mgrid[:50, :80]
    return np.stack([x * 3, y * 5, (x * y) % 256], axis=2).astype(np.uint8)


# --- construction -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "images", "features"), [
    ("rd", False, False), ("ilm", True, False), ("flm", False, True), ("mrkd", True, True),
])  # fmt: skip
def test_variants_mask_what_they_say(variant: Any, images: bool, features: bool) -> None:
    model = MRKD(variant=variant, size=SIZE)
    assert (model.masks_images, model.masks_features) == (images, features)
    assert (model.flm is not None) == features


def test_variants_start_from_the_same_student() -> None:
    students = [MRKD(variant=variant, size=SIZE, seed=3).student.state_dict() for variant in VARIANTS]
    for name, value in students[0].items():
        assert all(torch.equal(value, other[name]) for other in students[1:])


def test_seed_decides_the_weights_and_nothing_else_is_drawn_from() -> None:
    torch.manual_seed(1)
    first = MRKD(size=SIZE, seed=5).state_dict()
    torch.manual_seed(2)
    again, other = MRKD(size=SIZE, seed=5).state_dict(), MRKD(size=SIZE, seed=6).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    name = "student.decoder.stages.0.0.layers.0.0.weight"
    assert not torch.equal(first[name], other[name])


def test_building_a_model_leaves_the_users_randomness_alone() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    MRKD(size=SIZE)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize(("settings", "message"), [
    ({"variant": "MRKD"}, "'MRKD'.*rd, ilm, flm, mrkd"),
    ({"backbone": "resnet19"}, "'resnet19'.*resnet18"),
    ({"size": 100}, "multiple of 32 pixels.*got 100"),
    ({"size": 0}, "multiple of 32"),
    ({"size": 96, "squeeze": 2}, "multiple of 64"),
    ({"size": 48, "strides": (4, 8, 16), "squeeze": 2}, "multiple of 32"),
    ({"drop": 1.0}, "lambda"),
    ({"precision": "fp64"}, "'fp64'.*auto, fp32, bf16, fp16"),
])  # fmt: skip
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MRKD(**{"size": SIZE, **settings})


def test_train_mode_does_not_reach_the_teacher() -> None:
    model = MRKD(size=SIZE).train()
    assert model.student.training and model.flm is not None and model.flm.training
    assert not any(module.training for module in model.teacher.modules())


# --- predict: what goes in ----------------------------------------------------------------------------------


def score(model: MRKD, image: Any) -> float:
    prediction = model.predict(image)
    assert prediction.score.shape == (1,)
    return prediction.score.item()


def test_one_picture_one_score(model: MRKD, photo: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    Image.fromarray(photo).save(file)
    wanted = score(model, photo)
    assert wanted > 0
    tensor = torch.from_numpy(photo).permute(2, 0, 1)  # (3, H, W), not contiguous
    for same in (
        *(file, str(file), tmp_path, Image.open(file), tensor, tensor.contiguous(), tensor / 255, photo / 255),
        *([file], (photo,), photo[None], tensor[None], photo[:, ::-1].copy()[:, ::-1], Image.fromarray(photo)),
    ):
        assert score(model, same) == wanted


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr", "HSV", "LAB"])
def test_every_mode(mode: str, model: MRKD, photo: np.ndarray) -> None:
    image = Image.fromarray(photo)
    if mode == "I;16":
        image = Image.fromarray(photo[..., 0].astype(np.uint16) * 257)
    elif mode == "LAB":
        image = Image.new("LAB", (80, 50))
    else:
        image = image.convert(mode)
    assert image.mode == mode
    assert score(model, image) == score(model, read_image(image))


def test_grey_pictures(model: MRKD, photo: np.ndarray) -> None:
    grey = photo[..., 0]
    wanted = score(model, np.stack([grey] * 3, axis=2))
    assert score(model, grey) == score(model, torch.from_numpy(grey)) == score(model, Image.fromarray(grey)) == wanted


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (7, 5), (63, 65), (700, 900)])
def test_every_size(shape: tuple[int, int], model: MRKD, rng: np.random.Generator) -> None:
    prediction = model.predict(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert prediction.anomaly_map.shape == (1, SIZE, SIZE)
    assert prediction.image.shape == (1, SIZE, SIZE, 3)
    assert np.isfinite(prediction.score).all()


def test_a_list_may_mix_everything(model: MRKD, photo: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    Image.fromarray(photo).save(file)
    prediction = model.predict([file, photo[:20], Image.fromarray(photo).convert("L"), torch.zeros(3, 9, 9)])
    assert len(prediction) == 4
    singles = [score(model, x) for x in (photo, photo[:20], Image.fromarray(photo).convert("L"), torch.zeros(3, 9, 9))]
    np.testing.assert_allclose(prediction.score, singles, rtol=0.02)  # bf16 may round differently in a batch


def test_folder_is_read_in_natural_order(model: MRKD, tmp_path: Path) -> None:
    for name, grey in (("10.png", 200), ("2.png", 30)):
        Image.new("L", (40, 40), grey).save(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    assert model.predict(tmp_path).image[:, 0, 0, 0].tolist() == [30, 200]


def test_batches_are_only_a_matter_of_memory(model: MRKD, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    whole, parts = model.predict(images), model.predict(images, batch=2)
    np.testing.assert_allclose(whole.anomaly_map, parts.anomaly_map, atol=0.02)
    assert np.array_equal(whole.image, parts.image) and np.array_equal(whole.image, images)


@pytest.mark.parametrize(("image", "error", "message"), [
    ("nowhere.png", DataError, r"nowhere\.png does not exist"),
    ([], ValueError, "empty"),
    (np.zeros((4, 4, 7), np.uint8), DataError, "4, 4, 7"),
    (np.full((4, 4, 3), np.nan), DataError, "NaN"),
    (torch.full((3, 4, 4), 255.0), DataError, r"outside \[0, 1\]"),
    (3, DataError, "int"),
])  # fmt: skip
def test_what_is_no_image(image: Any, error: type[Exception], message: str, model: MRKD) -> None:
    with pytest.raises(error, match=message):
        model.predict(image)


def test_a_folder_without_images(model: MRKD, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        model.predict(tmp_path)


# --- predict: what comes out --------------------------------------------------------------------------------


def test_prediction_is_the_anomaly_map_and_its_maximum(model: MRKD, photo: np.ndarray) -> None:
    prediction = model.predict([photo, photo[::-1]])
    assert prediction.anomaly_map.dtype == np.float32
    assert np.array_equal(prediction.score, prediction.anomaly_map.max(axis=(1, 2)))

    images = torch.from_numpy(prediction.image).permute(0, 3, 1, 2)
    with torch.no_grad():
        teacher, student = model.features(images)
    wanted = anomaly_map(teacher, student, (SIZE, SIZE), floor=model.floor, sigma=SIZE / 64)  # 4 pixels at 256
    assert np.array_equal(prediction.anomaly_map, wanted)


def test_predict_is_deterministic_and_leaves_training_mode(photo: np.ndarray) -> None:
    model = MRKD(variant="mrkd", size=SIZE).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = model.predict(photo), model.predict(photo)
    assert np.array_equal(first.anomaly_map, second.anomaly_map)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_full_precision_on_request(photo: np.ndarray) -> None:
    model = MRKD(variant="mrkd", size=SIZE, precision="fp32")
    teacher, student = model.features(torch.from_numpy(read_image(photo, SIZE)).permute(2, 0, 1)[None])
    assert {t.dtype for t in teacher + student} == {torch.float32}
    half = MRKD(variant="mrkd", size=SIZE, precision="bf16")
    assert {t.dtype for t in half.features(torch.zeros(1, 3, SIZE, SIZE))[0]} == {torch.bfloat16}
    np.testing.assert_allclose(model.predict(photo).anomaly_map, half.predict(photo).anomaly_map, atol=0.1)


# --- threshold ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "accepted"), [(5, 0.05), (50, 0.05), (16, 0.2)])
def test_threshold_lets_the_wanted_share_of_normal_images_through(
    n: int, accepted: float, rng: np.random.Generator
) -> None:
    model = MRKD(variant="rd", size=SIZE)
    alarms = []
    for _ in range(4000):  # calibrate on n scores, meet one more of the same kind
        *seen, new = rng.normal(3.0, 0.5, n + 1)
        alarms.append(new > model.calibrate(np.array(seen), accepted))
    assert np.mean(alarms) == pytest.approx(accepted, abs=4 * np.sqrt(accepted * (1 - accepted) / 4000))


def test_threshold_is_kept_and_comes_with_the_prediction(photo: np.ndarray) -> None:
    model = MRKD(variant="rd", size=SIZE)
    threshold = model.calibrate(np.array([1.0, 2.0, 3.0]))
    assert threshold == model.settings.threshold == model.predict(photo).threshold
    with pytest.raises(ValueError, match="share between 0 and 1"):
        model.calibrate(np.array([1.0, 2.0]), false_alarms=5)


def test_verdict() -> None:
    maps = np.zeros((3, 2, 2), np.float32)
    prediction = Prediction(np.array([0.1, 0.5, 0.6]), maps, maps, threshold=0.5)
    assert prediction.defective.tolist() == [False, False, True]
    with pytest.raises(ModelError, match="calibrate"):
        _ = Prediction(np.array([0.1]), maps, maps, threshold=None).defective


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, np.nan], [1.0, np.inf]])
def test_threshold_needs_scores(scores: list[float], model: MRKD) -> None:
    with pytest.raises(ValueError, match="at least 2 finite scores"):
        model.calibrate(np.array(scores))
    assert model.settings.threshold is None


# --- save and load ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> MRKD:
    """A model that differs from a fresh one in every weight, threshold and history included."""
    model = MRKD("efficientnet_lite1", "mrkd", size=SIZE, drop=(0.1, 0.2, 0.3), width=None, seed=7)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if not name.startswith("teacher.") and value.is_floating_point():
                value.add_(0.01 * torch.rand(value.shape, generator=generator))
    model.calibrate(np.array([0.5, 0.6]))
    model.settings.history = {"steps": 3, "loss": [1.0, 0.5, 0.25], "category": "washer"}
    return model


@pytest.fixture
def saved(trained: MRKD, tmp_path: Path) -> Path:
    return trained.save(tmp_path / "deep" / "run")


def test_round_trip(trained: MRKD, saved: Path, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    loaded = MRKD.load(saved)
    assert loaded.settings == trained.settings
    assert not loaded.training
    a, b = trained.predict(images), loaded.predict(images)
    assert np.array_equal(a.anomaly_map, b.anomaly_map)
    assert a.threshold == b.threshold
    for name, value in trained.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])


def test_no_pickle_and_no_teacher_in_the_folder(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["model.json", "model.safetensors"]
    assert not any(name.startswith("teacher") for name in load_file(saved / "model.safetensors"))
    facts = json.loads((saved / "model.json").read_text())
    assert Settings(**facts["settings"]).backbone == "efficientnet_lite1"


def test_saving_again_replaces(saved: Path) -> None:
    MRKD(variant="rd", size=128).save(saved)
    assert MRKD.load(saved).settings.size == 128


def test_no_model_there(tmp_path: Path, saved: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelError, match=r"no trained model \(model\.json.*\n?.*mrkd-edu train"):
            MRKD.load(folder)
    with pytest.raises(ModelError, match="no trained model"):
        MRKD.load(saved / "model.json")
    (saved / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no trained model \(.*model\.safetensors"):
        MRKD.load(saved)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"settings": {}}', b'{"settings": []}', b"\xff\xfe"])
def test_damaged_description(content: bytes, saved: Path) -> None:
    (saved / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.json.*[Tt]rain again"):
        MRKD.load(saved)


def test_an_edited_description_is_refused(saved: Path) -> None:
    """Another size or version would load, and give other scores."""
    facts = json.loads((saved / "model.json").read_text())
    facts["settings"]["size"] = 2 * SIZE
    (saved / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ModelError, match="was changed or damaged"):
        MRKD.load(saved)


def test_another_version_of_the_format_is_refused(saved: Path) -> None:
    facts = json.loads((saved / "model.json").read_text())
    facts["format"] = 1
    (saved / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ModelError, match="another version of mrkd_edu"):
        MRKD.load(saved)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_damaged_weights(damage: str, saved: Path) -> None:
    file = saved / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "text": b"no weights at all"}[damage])
    with pytest.raises(ModelError, match=r"model\.safetensors is not the file .* damaged"):
        MRKD.load(saved)
    sign(saved)  # even if somebody vouches for it
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        MRKD.load(saved)


def sign(folder: Path, **settings: Any) -> None:
    """Vouch for the weights that are there now, for other settings, and for the description itself."""
    facts = json.loads((folder / "model.json").read_text())
    facts["weights_hash"] = digest((folder / "model.safetensors").read_bytes())
    facts["settings"].update(settings)
    facts["own_hash"] = manifest._seal(facts)
    (folder / "model.json").write_text(json.dumps(facts))


def test_one_flipped_bit_is_refused(saved: Path, rng: np.random.Generator) -> None:
    """41 of 100 changed scores, and none was refused."""
    file = saved / "model.safetensors"
    content = file.read_bytes()
    for place in rng.integers(len(content), size=30):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(flipped)
        with pytest.raises(ModelError, match="is not the file"):
            MRKD.load(saved)
    file.write_bytes(content)
    MRKD.load(saved)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(value: float, saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    name = next(key for key, tensor in weights.items() if tensor.is_floating_point())
    weights[name].view(-1)[0] = value
    save_file(weights, saved / "model.safetensors")
    sign(saved)
    with pytest.raises(ModelError, match="holds NaN or infinity"):
        MRKD.load(saved)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": float("inf")}, "threshold"),
        ({"threshold": "0.5"}, "threshold"),
        ({"weights": [0.5]}, "weights for 1 scales"),
        ({"weights": [0.5, float("nan"), 0.5]}, "weights"),
        ({"weights": [0.5, -1.0, 0.5]}, "weights"),
        ({"backbone": "vgg"}, "vgg"),
        ({"variant": "both"}, "variant"),
        ({"variant": "nn"}, "variant"),
        ({"size": 65}, "size"),
        ({"size": 10**9}, "size"),
        ({"size": -64}, "size"),
        ({"size": 64.5}, "size"),
        ({"width": 10**9}, "width"),
        ({"strides": []}, "strides"),
        ({"strides": [4, 16]}, "twice the one before"),
        ({"strides": [4, 8, 16, 32, 64, 64, 64]}, "strides"),
        ({"drop": 1.5}, "drop"),
        ({"drop": [0.1, 0.1]}, "lambda|drop|scale"),
        ({"precision": "int4"}, "precision"),
        ({"distance": "l2"}, "distance"),
        ({"threshold_in": "auto"}, "threshold_in"),
        ({"history": []}, "history"),
        ({"new_option": 1}, "new_option"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change: dict[str, Any], said: str, saved: Path) -> None:
    """Even where somebody vouches for them; and before anything is allocated or downloaded."""
    sign(saved, **change)
    with pytest.raises(ModelError, match=said):
        MRKD.load(saved)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_pipe_in_place_of_a_file_does_not_hang(name: str, saved: Path) -> None:
    (saved / name).unlink()
    os.mkfifo(saved / name)
    with pytest.raises(ModelError, match="is not a file"):
        MRKD.load(saved)


def test_a_threshold_keeps_its_number_format(photo: np.ndarray, tmp_path: Path) -> None:
    """A threshold chosen in bf16 was used in fp32 on the next machine: scores differ by up to 4 %."""
    model = MRKD(variant="rd", size=SIZE, precision="bf16")
    model.calibrate(model.predict([photo, 255 - photo]).score)
    model.settings.precision = "auto"  # what a description says that was written where bf16 is quick
    with mock.patch("mrkd_edu.runtime.hardware.quick_dtype", return_value=torch.float32):  # and read where it is not
        there = MRKD.load(model.save(tmp_path / "m"))
        assert there.predict(photo).score == model.predict(photo).score
        there.settings.threshold = None  # free again
        assert there.predict(photo).score != model.predict(photo).score


def test_images_that_are_all_the_same_are_normal() -> None:
    """Two constant images: the model called its own training images defective."""
    model = MRKD(variant="rd", size=SIZE)
    grey = np.full((SIZE, SIZE, 3), 90, np.uint8)
    model.calibrate(model.predict([grey, grey]).score)
    for images in ([grey], [grey] * 3, [grey] * 17):
        assert not model.predict(images).defective.any()


def test_no_verdict_is_normal_without_a_finite_score() -> None:
    """NaN > threshold is False, and False was called normal, with exit code 0."""
    assert verdict(np.array([0.1, 0.9]), 0.5).tolist() == [False, True]
    for scores, threshold in (([0.1, np.nan], 0.5), ([np.inf], 0.5), ([0.1], np.nan), ([0.1], np.inf)):
        with pytest.raises(ModelError, match="There is no verdict"):
            verdict(np.array(scores), threshold)


@pytest.mark.parametrize("change", ["missing", "more", "shape"])
def test_weights_that_do_not_fit(change: str, saved: Path) -> None:
    file = saved / "model.safetensors"
    weights = load_file(file)
    name = next(iter(weights))
    if change == "missing":
        del weights[name]
    else:
        weights["new" if change == "more" else name] = torch.zeros(3)
    save_file(weights, file)
    sign(saved)
    with pytest.raises(ModelError, match=r"model\.safetensors does not fit"):
        MRKD.load(saved)


def test_weights_of_another_variant(saved: Path, tmp_path: Path) -> None:
    other = MRKD("efficientnet_lite1", "rd", size=SIZE).save(tmp_path / "rd")
    (other / "model.safetensors").replace(saved / "model.safetensors")
    with pytest.raises(ModelError, match="belongs to another model"):
        MRKD.load(saved)
    sign(saved)
    with pytest.raises(ModelError, match="does not fit"):
        MRKD.load(saved)


def test_another_teacher(saved: Path) -> None:
    facts = json.loads((saved / "model.json").read_text())
    facts["teacher_fingerprint"] = "0" * 16
    (saved / "model.json").write_text(json.dumps(facts))
    sign(saved)
    with pytest.raises(ModelError, match="other weights of efficientnet_lite1"):
        MRKD.load(saved)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_picture_of_fewer_bits_in_16_gets_no_verdict(bits: int, model: MRKD, tmp_path: Path) -> None:
    """It would be read nearly black, and called defective."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(2**bits // 2, 2**bits, (40, 40)).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for source in (pixels, torch.from_numpy(pixels), tmp_path / "a.png", Image.open(tmp_path / "a.png")):
        with pytest.raises(DataError, match=rf"hold {bits} bits. Multiply their values by {2 ** (16 - bits)}"):
            model.predict(source)
    model.predict([pixels, pixels * 2 ** (16 - bits)])  # one dark picture among bright ones may be dark
    model.predict(np.zeros((40, 40), np.uint16))  # black is black
