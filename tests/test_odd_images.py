"""Every odd file of `odd_images.py`: the right pixels, or an error with the file's name and a cure. Nothing else.

The files are read once, in a process of their own, which writes down each answer before it opens the next file. So a
file that hangs or ends the process is a failure that names it, and not a suite that stands still.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import odd_images
import pytest
from odd_images import PICTURE, Answer, Case, Odd, cases, chunk, jpeg, png, tiff
from PIL import Image

from mrkd_edu import MRKD
from mrkd_edu.data import AnomalyFolder, DataError, read_image

DEADLINE = 600  # seconds for all files together, which take ten or twenty: only against hanging
CURE = re.compile("copy it|save it|delete it|delete the|check the|make it smaller|give |put |divide|replace|invert")
CASES = {case.name: case for case in cases()}


class Reading(NamedTuple):
    answers: dict[str, tuple[Odd, dict[str, Answer]]]
    ended: str  # how, if not well
    printed: str  # on stderr


class _Unpickler(pickle.Unpickler):
    """The other process calls the module `__main__`."""

    def find_class(self, module: str, name: str) -> Any:
        return getattr(odd_images, name) if module == "__main__" else super().find_class(module, name)


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    folder = tmp_path_factory.mktemp("odd")
    out, said = folder / "answers.pickle", folder / "stderr.txt"
    command = [sys.executable, odd_images.__file__, str(folder / "files"), "--read", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path(odd_images.__file__).parents[1]), "PYTHONFAULTHANDLER": "1"}
    with said.open("wb") as stderr:
        try:
            code = subprocess.run(command, stderr=stderr, timeout=DEADLINE, env=environment).returncode
            ended = f"ended with {code}" if code else ""
        except subprocess.TimeoutExpired:
            ended = f"hung for {DEADLINE} seconds"
    answers = {}
    with out.open("rb") as file:
        while True:
            try:
                odd, answer = _Unpickler(file).load()
            except (EOFError, pickle.UnpicklingError):  # the last one may be cut off
                break
            answers[odd.name] = odd, answer
    return Reading(answers, ended, said.read_text(errors="replace"))


def answers_to(name: str, reading: Reading) -> tuple[Odd, dict[str, Answer]]:
    if name not in reading.answers:
        if reading.ended:
            last = next(reversed(reading.answers), "none")
            pytest.fail(f"not reached: reading {reading.ended}, after {last!r}:\n{reading.printed[-2000:]}")
        pytest.skip("this machine or user cannot have such a file")
    return reading.answers[name]


def test_the_reader_comes_to_its_end_and_prints_nothing(reading: Reading) -> None:
    assert not reading.ended, f"{reading.ended}: {reading.printed[-2000:]}"
    assert reading.printed == ""
    assert len(reading.answers) > 0.9 * len(CASES)  # the others cannot be made here


@pytest.mark.parametrize("name", CASES)
def test_read_right_or_refused_with_name_and_cure(name: str, reading: Reading) -> None:
    odd, answers = answers_to(name, reading)
    for question, answer in answers.items():
        assert not answer.warned, f"{question} warned"
        if answer.kind:
            assert answer.kind == "DataError", f"{question}: {answer.error}"
            assert str(odd.file) in answer.error
            assert CURE.search(answer.error), answer.error
    image, size, mask, found = (answers[q] for q in ("read_image", "image_size", "read_mask", "predict"))

    if image.kind:
        assert odd.refused is not None or odd.right is None, image.error
        assert odd.refused is None or re.search(odd.refused, image.error, re.DOTALL), image.error
    else:
        assert odd.right is not None or odd.refused is None, "was read"
        assert image.value.dtype == np.uint8 and image.value.ndim == 3 and image.value.shape[2] == 3
        if odd.right is not None:
            assert image.value.shape == odd.right.shape
            assert np.abs(image.value.astype(int) - odd.right).max() <= odd.tolerance
        assert size.value == image.value.shape[:2]

    if not mask.kind:
        assert mask.value.dtype == bool and mask.value.shape == size.value and not mask.value.all()
    assert bool(found.kind) == bool(image.kind), f"predict {found.error}, read_image {image.error}"
    if not found.kind:
        assert found.value.score.shape == (1,) and np.isfinite(found.value.anomaly_map).all()
        assert found.value.score[0] == found.value.anomaly_map.max()


def test_the_corpus_is_large_and_its_names_differ() -> None:
    names = [case.name for case in cases()]
    assert len(names) == len(set(names)) >= 200


# ---- a data set with bad files in it ---------------------------------------------------------------------------

BAD = [
    "empty",
    "text as png",
    "heic as png",
    "broken link",
    "self link",
    "pipe",
    "flipped IHDR",
    "no size tiff",
    "400 million pixels",
    "strange depth",
]


def category(root: Path) -> Path:
    for name in ("good/0.png", "good/1.png", "good/2.png", "scratch/0.png"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(PICTURE))
    return root


@pytest.mark.parametrize("kind", ["good", "scratch"])
@pytest.mark.parametrize("name", BAD)
def test_a_folder_with_a_bad_file_names_it_before_a_training(name: str, kind: str, tmp_path: Path) -> None:
    root = category(tmp_path / "washer")
    odd = CASES[name].write(root / kind)
    if odd is None:
        pytest.skip("this machine or user cannot have such a file")
    with pytest.raises(DataError) as error:
        AnomalyFolder(root)
    assert str(odd.file) in str(error.value) and CURE.search(str(error.value))
    odd.file.unlink()
    assert len(AnomalyFolder(root).train) == 3


@pytest.mark.parametrize("name", ["50% of png", "90% of jpg", "flipped IDAT", "zeros in png", "flipped pixel"])
def test_damage_behind_the_header_is_named_when_its_turn_comes(name: str, tmp_path: Path) -> None:
    root = category(tmp_path / "washer")
    odd = CASES[name].write(root / "good")
    assert odd is not None
    data = AnomalyFolder(root)
    assert len(data.train) == 4
    with pytest.raises(DataError, match=re.escape(str(odd.file))):
        data.train_images(32)[:]


def test_a_folder_of_odd_names_is_used_whole(tmp_path: Path) -> None:
    root = category(tmp_path / "washer")
    written = [case.write(root / "scratch") for case in cases() if case.name.startswith("name with ")]
    images = [odd for odd in written if odd is not None and odd.file.name.lower().endswith(".png")]
    assert len(images) >= 10
    data = AnomalyFolder(root)
    assert {odd.file for odd in images} < {sample.path for sample in data.test}
    assert data.test_images(16)[:].shape == (len(images) + 1, 3, 16, 16)


# ---- what the corpus found -------------------------------------------------------------------------------------


def test_a_png_whose_pixels_are_not_those_of_its_checksum_is_refused(tmp_path: Path) -> None:
    """Pillow stops at the last pixel: half a file of zeros was a picture, half of it black."""
    whole = png(PICTURE)
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    with pytest.raises(DataError, match=r"a\.png cannot be read \(the checksum of its pixels is wrong\).* copy"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("threads", [1, 8])
def test_pillows_warnings_are_not_heard_and_all_others_are(tmp_path: Path, threads: int) -> None:
    import warnings
    from concurrent.futures import ThreadPoolExecutor

    (tmp_path / "a.jpg").write_bytes(jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(9)))
    before = list(warnings.filters)
    with ThreadPoolExecutor(threads) as pool:
        read = list(pool.map(read_image, 40 * [tmp_path / "a.jpg"]))
    assert all(image.shape == PICTURE.shape for image in read)
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="Corrupt EXIF"), Image.open(tmp_path / "a.jpg") as image:
        image.getexif()


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_colours_of_12_bits_in_16_are_refused(tmp_path: Path, kind: str, bits: int) -> None:
    """Only grey ones were: colour came out nearly black, without a word."""
    values = PICTURE.astype(np.uint16) * (257 >> (16 - bits))
    data = png(values, 16) if kind == "png" else tiff(values.astype("<u2").tobytes(), bits=(16, 16, 16))
    (tmp_path / f"a.{kind}").write_bytes(data)
    model = MRKD(variant="rd", size=64, pretrained=False)
    if bits == 16:
        assert np.isfinite(model.predict(tmp_path / f"a.{kind}").score).all()
    else:
        with pytest.raises(DataError, match=f"nearly black.* they hold {bits} bits. Multiply .* by {2 ** (16 - bits)}"):
            model.predict(tmp_path / f"a.{kind}")


def test_predict_on_a_folder_without_images_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path.name} holds no images; give a folder"):
        MRKD(variant="rd", size=64, pretrained=False).predict(tmp_path)


def test_a_comment_of_a_megabyte_is_no_reason(tmp_path: Path) -> None:
    case = Case("x", "x", lambda: png(PICTURE, before=chunk(b"tEXt", b"x\0" + b"y" * (1 << 20))), right=PICTURE)
    odd = case.write(tmp_path)
    assert odd is not None and np.array_equal(read_image(odd.file), PICTURE)
