"""Anything at all, and what must hold for it: files, arrays, masks, synthetic anomalies, metrics, predictions.

The examples are the same on every machine. `MRKD_EDU_BUDGET=full` draws many more of them than `quick`.
"""

from __future__ import annotations

import faulthandler
import io
import warnings
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from odd_images import WHOLE, chunk, picture
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from mrkd_edu import MRKD, add_anomalies
from mrkd_edu.data import DataError, image_size, read_image, read_mask
from mrkd_edu.data.images import _resize_mask
from mrkd_edu.data.masks import defect_pixels
from mrkd_edu.ilm import NOISE_FLOOR, add_anomaly
from mrkd_edu.judging.prediction import ROUNDING
from mrkd_edu.metrics import aupro, f1_max, image_auroc, pixel_auroc, pro_curve
from mrkd_edu.nsa import NSA, PRESETS, estimate_background, preset
from mrkd_edu.recipe import budget

HANGING = 900  # seconds; what takes longer hangs, and is ended with a traceback
SENTENCE = 20  # letters; a message has at least so many


def tried(quick: int, full: int) -> settings:
    """So many examples, the same ones each time."""
    return settings(
        max_examples=budget(quick, full),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    """A test that hangs ends the process and says where, instead of standing still."""
    faulthandler.dump_traceback_later(HANGING, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def model() -> MRKD:
    return MRKD(variant="rd", size=64, precision="fp32")


def is_picture(image: np.ndarray) -> bool:
    return image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size > 0


# ---- files -----------------------------------------------------------------------------------------------------

SMALL = {
    **WHOLE,
    "zip.tif": lambda: _saved("TIFF", compression="tiff_deflate"),
    "fax.tif": lambda: _saved("TIFF", "1", compression="group4"),
    "jpeg.tif": lambda: _saved("TIFF", compression="jpeg"),
    "grey.png": lambda: _saved("PNG", "L"),
    "palette.png": lambda: _saved("PNG", "P"),
    "wide.png": lambda: _saved("PNG", "I;16"),
    "ink.jpg": lambda: _saved("JPEG", "CMYK"),
    "turned.jpg": lambda: _saved("JPEG", exif=_exif(6)),
    "turned.tif": lambda: _saved("TIFF", exif=_exif(6)),
    "lossy.webp": lambda: _saved("WEBP"),
    "moving.webp": lambda: _saved("WEBP", save_all=True, append_images=[Image.new("RGB", (23, 18))]),
    "moving.png": lambda: _saved("PNG", save_all=True, append_images=[Image.new("RGB", (23, 18))]),
    "phone.jpg": lambda: _saved("MPO", save_all=True, append_images=[Image.new("RGB", (23, 18))]),
    "palette.bmp": lambda: _saved("BMP", "P"),
}


def _saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    image = Image.fromarray(picture())
    if mode == "I;16":
        image = Image.fromarray(picture()[..., 0].astype(np.uint16) * 257)
    image.convert(mode).save(out, kind, **options)
    return out.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of some format, and what a broken copy, a bad disk or a bad program may make of it."""
    name = draw(st.sampled_from(sorted(SMALL)))
    data = bytearray(SMALL[name]())
    for _ in range(draw(st.integers(1, 5))):
        if not data:
            break
        near = st.integers(0, len(data) - 1)
        at = draw(st.integers(0, min(80, len(data) - 1)) | near)
        match draw(st.sampled_from(["set", "flip", "cut", "insert", "drop", "zeros", "swap", "twice", "word"])):
            case "set":
                data[at] = draw(st.integers(0, 255))
            case "flip":
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=40))
            case "drop":
                del data[at : at + draw(st.integers(1, 40))]
            case "zeros":
                end = min(len(data), at + draw(st.integers(1, 400)))
                data[at:end] = bytes(end - at)
            case "swap":
                other, length = draw(near), draw(st.integers(1, 30))
                low, high = sorted((at, other))
                if low + length <= high and high + length <= len(data):
                    data[low : low + length], data[high : high + length] = (
                        data[high : high + length],
                        data[low : low + length],
                    )
            case "twice":
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
            case "word":  # an extreme number, in either order
                word = draw(st.sampled_from([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]))
                data[at : at + 4] = word.to_bytes(4, draw(st.sampled_from(["little", "big"])))
    return name, bytes(data)


@tried(quick=400, full=8000)
@given(file=damaged())
def test_a_damaged_file_is_a_picture_or_a_sentence(file: tuple[str, bytes], folder: Path) -> None:
    name, data = file
    path = folder / f"a.{name}"
    path.write_bytes(data)
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 10**6  # a flipped bit may promise 80 million pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found: dict[str, Any] = {}
            for question in (read_image, image_size, read_mask):
                try:
                    found[question.__name__] = question(path)
                except DataError as error:
                    assert str(path) in str(error) and len(str(error)) > len(str(path)) + SENTENCE
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    if "read_image" in found:
        assert is_picture(found["read_image"])
        assert found["image_size"] == found["read_image"].shape[:2]
    if "read_mask" in found:
        assert found["read_mask"].dtype == bool and found["read_mask"].shape == found["image_size"]


@tried(quick=60, full=2000)
@given(data=st.data())
def test_a_png_with_one_flipped_bit_is_never_another_picture(data: st.DataObject, folder: Path) -> None:
    """Header, palette and pixels of a PNG have checksums: all but what is not looked at is known to be damaged."""
    name = data.draw(st.sampled_from(["png", "grey.png", "palette.png", "wide.png"]))
    content = bytearray(SMALL[name]())
    path = folder / f"b.{name}"
    path.write_bytes(content)
    whole = read_image(path)
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        assert np.array_equal(read_image(path), whole)
    except DataError as error:
        assert str(path) in str(error)


@tried(quick=60, full=1000)
@given(data=st.data())
def test_chunks_of_a_png_in_any_order(data: st.DataObject, folder: Path) -> None:
    header = chunk(b"IHDR", b"\0\0\0\x04\0\0\0\x03\x08\x03\0\0\0")
    pixels = zlib.compress(b"\0\1\2\3\0" * 3)
    chunks = [
        header,
        chunk(b"PLTE", bytes(range(48))),
        chunk(b"tRNS", b"\0\xff"),
        chunk(b"IDAT", pixels[:7]),
        chunk(b"IDAT", pixels[7:]),
        chunk(b"eXIf", b"II*\0" + bytes(9)),
        chunk(b"acTL", b"\0\0\0\x02\0\0\0\0"),
        chunk(b"fcTL", bytes(26)),
        chunk(b"fdAT", b"\0\0\0\1" + pixels),
        chunk(b"iCCP", b"x\0\0"),
        chunk(b"zTXt", b"x\0\0"),
        chunk(b"IEND"),
    ]
    order = data.draw(st.lists(st.sampled_from(chunks), max_size=14))
    path = folder / "c.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + b"".join(order))
    try:
        assert is_picture(read_image(path))
    except DataError as error:
        assert str(path) in str(error)


# ---- arrays and tensors ----------------------------------------------------------------------------------------

INTEGERS = ["bool", "uint8", "int8", "uint16", ">u2", "int16", "uint32", "int32", ">i4", "int64", "uint64"]
FLOATS = ["float16", "float32", ">f4", "float64", "longdouble", "complex64", "complex128"]
ANY_DTYPE = st.sampled_from([*INTEGERS, *FLOATS, "S3", "U2", "datetime64[s]", "timedelta64[s]", "object"])
SHAPES = st.one_of(
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from([0, 1, 2, 3, 4, 5])),
    st.lists(st.integers(0, 4), max_size=5).map(tuple),
)


@tried(quick=400, full=8000)
@given(data=st.data())
def test_any_array_is_a_picture_or_a_sentence(data: st.DataObject) -> None:
    dtype = data.draw(ANY_DTYPE)
    shape = data.draw(SHAPES)
    if dtype == "object":
        array = np.full(shape, data.draw(st.sampled_from([None, 1, "a", 0.5])), dtype=object)
    elif dtype == "longdouble":
        array = data.draw(hnp.arrays(np.float64, shape)).astype(np.longdouble)
    else:
        unit = hnp.from_dtype(np.dtype(dtype))
        if np.dtype(dtype).kind == "f":
            unit = unit | st.floats(0, 1, width=16)
        array = data.draw(hnp.arrays(np.dtype(dtype), shape, elements=unit))
    if data.draw(st.booleans()):
        array = array[::-1].T if array.ndim == 2 else array[::-1] if array.ndim else array  # not contiguous
    before = array.copy()
    try:
        image = read_image(array)
    except DataError as error:
        assert str(error).startswith("the array") and len(str(error)) > SENTENCE
        allowed = array.dtype.kind in "bf" or array.dtype in (np.uint8, np.dtype("<u2"), np.dtype(">u2"))
        shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
        values = array.astype(float) if array.dtype.kind == "f" else np.zeros(array.shape)
        ranged = array.dtype.kind != "f" or bool(np.all((values >= 0) & (values <= 1)))  # False for NaN
        assert not (allowed and shaped and ranged and array.size), f"refused: {error}"
    else:
        assert is_picture(image) and image.shape[:2] == array.shape[:2]
        if array.ndim == 2 or array.shape[2] == 3:
            scale = {"b": 255, "f": 255, "u": 1 if array.dtype.itemsize == 1 else 1 / 257}[array.dtype.kind]
            wanted = array.astype(np.float64) * scale
            assert np.abs(image - (wanted[..., None] if array.ndim == 2 else wanted)).max() <= 0.51
        assert np.array_equal(read_image(np.ascontiguousarray(array)), image)
    assert array.dtype == object or array.tobytes() == before.tobytes()


TORCH_TYPES = [
    value
    for name, value in sorted(vars(torch).items())
    if isinstance(value, torch.dtype) and not name.startswith(("q", "bits"))
]
TENSOR_SHAPES = [(5, 6), (3, 5, 6), (1, 5, 6), (4, 5, 6), (2, 5, 6), (6,), (), (3, 0, 6), (1, 3, 5, 6)]


def a_tensor(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Ones; of the types that PyTorch knows by name only, whatever lies there."""
    try:
        return torch.ones(shape).to(dtype)
    except (RuntimeError, NotImplementedError, TypeError):
        return torch.empty(shape, dtype=dtype)


@pytest.mark.filterwarnings("ignore:.*support is experimental")
@pytest.mark.parametrize("dtype", sorted(set(TORCH_TYPES), key=str), ids=str)
def test_any_tensor_is_a_picture_or_a_sentence(dtype: torch.dtype, model: MRKD) -> None:
    for shape in TENSOR_SHAPES:
        tensor = a_tensor(shape, dtype)
        for turned in (tensor, tensor.mT if tensor.ndim > 1 else tensor):
            try:
                assert is_picture(read_image(turned))
            except DataError as error:
                assert "the tensor" in str(error) and len(str(error)) > SENTENCE
            try:
                assert np.isfinite(model.predict(turned).score).all()
            except DataError as error:
                assert "the tensor" in str(error) or "nearly black" in str(error)


NO_NUMBERS = {
    "sparse": lambda: torch.ones(3, 4, 4).to_sparse(),
    "rows": lambda: torch.ones(4, 4).to_sparse_csr(),
    "meta": lambda: torch.ones(3, 4, 4, device="meta"),
    "meta of 16 bits": lambda: torch.ones(3, 4, 4, dtype=torch.uint16, device="meta"),
    "complex": lambda: torch.ones(3, 4, 4, dtype=torch.complex64),
    "conjugate": lambda: torch.ones(3, 4, 4, dtype=torch.complex64).conj(),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3, 4, 4), 0.1, 0, torch.quint8),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("what", NO_NUMBERS)
def test_a_tensor_without_plain_numbers_is_refused(what: str, model: MRKD) -> None:
    for question in (read_image, model.predict):
        with pytest.raises(DataError, match=r"the tensor has the type .* give a dense one of uint8"):
            question(NO_NUMBERS[what]())  # type: ignore[operator]


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_12_bits_in_an_array_of_either_order_are_refused(order: str, model: MRKD) -> None:
    """Of an array with its high byte first, nothing was said."""
    with pytest.raises(DataError, match="nearly black"):
        model.predict(np.full((8, 8), 4000, order))


# ---- masks -----------------------------------------------------------------------------------------------------

MASK_VALUES = st.one_of(
    hnp.arrays(bool, (7, 9)),
    hnp.arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 1, 255])),
    hnp.arrays(np.uint8, (7, 9)),
    hnp.arrays(np.uint16, (7, 9)),
    hnp.arrays(np.int32, (7, 9)),
    hnp.arrays(np.float32, (7, 9), elements=st.sampled_from([0, 1, np.nan]) | st.floats(width=32)),
    hnp.arrays(np.uint8, (7, 9, 4), elements=st.sampled_from([0, 255])),
    hnp.arrays(np.uint8, (7, 9, 4)),
    hnp.arrays(np.uint8, (7, 9, 3), elements=st.sampled_from([0, 128, 255])),
)


@tried(quick=250, full=3000)
@given(values=MASK_VALUES, lossy=st.booleans())
def test_what_of_any_values_is_the_defect(values: np.ndarray, lossy: bool) -> None:
    if values.ndim == 3:
        opaque = np.full(values.shape[:2], 255, np.uint8)
        values = np.dstack([values[..., :3], values[..., 3] if values.shape[2] == 4 else opaque])
    mask = defect_pixels(values, lossy)
    assert mask.shape == values.shape[:2] and mask.dtype == bool
    if values.ndim == 2:
        finite = np.nan_to_num(values.astype(np.float64), nan=0)
        for level in np.unique(finite):  # one value is all defect, or none of it
            assert len(set(mask[finite == level].tolist())) == 1
        if len(np.unique(finite)) > 1 and not lossy:
            assert mask.any() and not mask.all()
        if 0 in finite and (finite >= 0).all():
            assert not mask[finite == 0].any()  # black is background


@tried(quick=120, full=3000)
@given(values=MASK_VALUES, suffix=st.sampled_from(["png", "tif", "bmp"]), size=st.integers(1, 20))
def test_a_mask_from_a_file_follows_the_rules(values: np.ndarray, suffix: str, size: int, folder: Path) -> None:
    if values.dtype in (np.float32, np.int32) or (values.dtype == np.uint16 and suffix == "bmp"):
        suffix = "tif"
    path = folder / f"mask.{suffix}"
    Image.fromarray(values).save(path)
    colours = values if values.ndim == 2 else np.asarray(Image.fromarray(values).convert("RGBA"))
    if suffix == "bmp" and values.ndim == 3:
        with Image.open(path) as image:
            colours = np.asarray(image.convert("RGBA"))  # some BMPs have no alpha
    wanted = defect_pixels(colours)
    try:
        mask = read_mask(path)
    except DataError as error:
        assert wanted.all() and "marks every pixel" in str(error)
        return
    assert np.array_equal(mask, wanted)
    small = read_mask(path, size, expect=(7, 9))
    assert small.shape == (size, size) and small.any() == mask.any()


@tried(quick=120, full=4000)
@given(
    mask=hnp.arrays(
        bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=50), elements=st.booleans(), fill=st.just(False)
    ),
    size=st.integers(1, 50),
)
def test_a_resized_mask_loses_no_defect_and_makes_none(mask: np.ndarray, size: int) -> None:
    small = _resize_mask(mask, size)
    assert small.shape == (size, size) and small.any() == mask.any()
    touched = np.zeros((size, size), bool)
    for y, x in np.argwhere(mask):  # each new pixel that a pixel of the defect reaches into
        rows = slice(int(y * size / mask.shape[0]), int(np.ceil((y + 1) * size / mask.shape[0])))
        columns = slice(int(x * size / mask.shape[1]), int(np.ceil((x + 1) * size / mask.shape[1])))
        touched[rows, columns] = True
    near = ndimage.binary_dilation(touched, np.ones((3, 3)))
    assert not (small & ~near).any()  # nothing is made from nothing
    regions, number = ndimage.label(touched, np.ones((3, 3)))
    kept = set(regions[small & touched].tolist())
    assert kept == set(range(1, number + 1))  # every region is still there


# ---- image-level masking ---------------------------------------------------------------------------------------

PAIR = st.tuples(st.floats(0.001, 0.5), st.floats(0.001, 0.5)).map(lambda pair: (min(pair), max(pair)))
ANY_SETTINGS = st.builds(
    NSA,
    height=PAIR,
    width=PAIR,
    patches=st.integers(1, 4),
    rescale=st.tuples(st.floats(0.01, 4), st.floats(0.01, 4)).map(lambda pair: (min(pair), max(pair))),
    blend=st.sampled_from(["swap", "poisson", "mix"]),
    source=st.sampled_from(["same", "other"]),
    background=st.none() | st.tuples(st.integers(0, 255), st.integers(0, 255)),
    min_object=st.floats(0, 1),
    min_overlap=st.floats(0, 1),
) | st.sampled_from(list(PRESETS.values()))


@st.composite
def any_image(draw: st.DrawFn) -> np.ndarray:
    """Flat, noisy, striped, black and white, any values, at any size."""
    height, width = draw(st.integers(1, 48)), draw(st.integers(1, 48))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    match draw(st.sampled_from(["flat", "noise", "faint", "extreme", "picture", "object", "drawn"])):
        case "flat":
            return np.full((height, width, 3), draw(st.integers(0, 255)), np.uint8)
        case "noise":
            return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        case "faint":
            return rng.integers(100, 103, (height, width, 3), dtype=np.uint8)
        case "extreme":
            return rng.choice(np.array([0, 255], np.uint8), (height, width, 3))
        case "object":
            image = np.full((height, width, 3), 250, np.uint8)
            image[height // 4 : -(height // 4) or None, width // 4 :] = rng.integers(0, 90)
            return image
        case "drawn":
            return draw(hnp.arrays(np.uint8, (min(height, 9), min(width, 9), 3)))
        case _:
            return picture(height, width)


@tried(quick=250, full=3000)
@given(image=any_image(), source=st.none() | any_image(), how=ANY_SETTINGS, seed=st.integers(0, 2**32 - 1))
def test_any_anomaly_keeps_its_promises(image: np.ndarray, source: np.ndarray | None, how: NSA, seed: int) -> None:
    before = image.copy(), None if source is None else source.copy()
    new, mask, boxes = add_anomaly(image, how, np.random.default_rng(seed), source)
    assert new.dtype == np.uint8 and new.shape == image.shape and mask.dtype == bool and mask.shape == image.shape[:2]
    assert np.array_equal(image, before[0]) and (source is None or np.array_equal(source, before[1]))
    assert np.array_equal(new[~mask], image[~mask])
    visible = np.abs(new.astype(int) - image).max(axis=2) > NOISE_FLOOR
    assert mask.any() == visible.any() == bool(boxes) and (mask | ~visible).all()
    inside = np.zeros_like(mask)
    for box in boxes:
        assert min(box.height, box.width) >= 1 and min(box.top, box.left) >= 0
        assert box.top + box.height <= mask.shape[0] and box.left + box.width <= mask.shape[1]
        inside[box.slices] = True
    assert not (mask & ~inside).any() and len(boxes) <= how.patches
    again = add_anomaly(image, how, np.random.default_rng(seed), source)
    assert np.array_equal(again.image, new) and np.array_equal(again.mask, mask)


@tried(quick=40, full=1500)
@given(images=st.lists(any_image(), min_size=1, max_size=4), how=ANY_SETTINGS, seed=st.integers(0, 2**32 - 1))
def test_a_batch_of_anomalies(images: list[np.ndarray], how: NSA, seed: int) -> None:
    height, width = images[0].shape[:2]
    stack = torch.from_numpy(np.stack([np.resize(image, (height, width, 3)) for image in images])).permute(0, 3, 1, 2)
    kept = stack.clone()
    new, masks = add_anomalies(stack, how, np.random.default_rng(seed))
    assert new.shape == stack.shape and new.dtype == torch.uint8 and masks.dtype == torch.bool
    assert torch.equal(stack, kept)
    changed = (new != stack).any(1)
    assert not (changed & ~masks).any() and torch.equal(changed.flatten(1).any(1), masks.flatten(1).any(1))
    background = estimate_background(stack)
    assert background is None or all(0 <= value <= 255 for value in background)
    assert preset("screw", stack).blend == "mix"


BAD_PAIRS = [(0, 0.1), (-0.1, 0.1), (0.3, 0.1), (0.1, 9.0), (np.nan, 0.1), (0.1, np.nan), (0.1, np.inf)]
NO_PAIRS = [0.1, (0.1,), (0.1, 0.2, 0.3), ("a", "b"), None]
BAD_GREYS = [(-1, 5), (5, 256), (np.nan, 5), (5,), (1, 2, 3), 200, "ab", ("a", "b")]
WRONG: list[dict[str, Any]] = [
    *({name: pair} for name in ("height", "width", "rescale") for pair in BAD_PAIRS + NO_PAIRS),
    *({name: v} for name in ("min_object", "min_overlap") for v in (-0.1, 1.1, np.nan, np.inf, "a", None, (0.1, 0.2))),
    *({"patches": value} for value in (0, -1, 2.5, np.nan, "3", None)),
    *({"background": value} for value in BAD_GREYS),
    *({"blend": "paste"}, {"source": None}, {"blend": ["mix"]}),
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_settings_out_of_bounds_get_a_sentence(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is .*(give|choose)"):
        NSA(**wrong)


# ---- metrics ---------------------------------------------------------------------------------------------------

SCORES = st.one_of(
    st.floats(width=16),
    st.floats(width=32),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 1.0, 0.5, np.finfo(float).max, -np.finfo(float).max, 5e-324]),
    st.integers(-(2**70), 2**70),
    st.booleans(),
)


@tried(quick=300, full=3000)
@given(
    images=st.lists(st.tuples(SCORES, st.sampled_from([0, 1, 0, 1, True, False, 2, -1, 0.5, np.nan])), max_size=12),
    kind=st.sampled_from([list, np.float16, np.float32, np.float64, object]),
)
def test_image_metrics_of_anything(images: list[tuple[Any, Any]], kind: Any) -> None:
    scores: Any = [score for score, _ in images]
    labels = [label for _, label in images]
    if kind is not list:
        try:
            with np.errstate(all="ignore"):
                scores = np.array([float(score) for score in scores]).astype(kind)
        except OverflowError:
            assume(False)
    plain = np.array([float(score) for score in scores])
    good = bool(images) and np.isfinite(plain).all() and set(labels) <= {0, 1} and len(set(map(int, labels))) == 2
    if not good:
        for metric in (image_auroc, f1_max):
            with pytest.raises(ValueError) as error:
                metric(scores, labels)
            assert len(str(error.value)) > SENTENCE
        return
    truth = np.array(labels, int)
    value = image_auroc(scores, labels)
    wins = [(d > n) + (d == n) / 2 for d in plain[truth == 1] for n in plain[truth == 0]]
    assert 0 <= value <= 1 and value == pytest.approx(np.mean(wins), abs=1e-12)
    best, threshold = f1_max(scores, labels)
    called = plain > threshold
    assert 0 < best <= 1
    assert best == pytest.approx(2 * (called & (truth == 1)).sum() / (called.sum() + truth.sum()), abs=1e-12)
    order = np.unique(plain, return_inverse=True)[1]  # a monotone map that keeps ties
    for other in (order, order * 1000 - 5e5, -(10.0**-order), np.exp2(order * 40.0)):
        assert image_auroc(other, labels) == pytest.approx(value, abs=1e-12)
        assert f1_max(other, labels)[0] == pytest.approx(best, abs=1e-12)


@st.composite
def any_maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 6)))
    dtype = np.dtype(draw(st.sampled_from(["f2", "f4", "f8", ">f4", "longdouble"])))
    extremes = [0.0, -0.0, 1.0, 5e-324, float(np.finfo(np.dtype("f2")).max), float("inf"), float("nan"), 1e30, -1e300]
    few = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    many = st.floats(-100, 100, width=16)
    kinds = [st.just(0.5), few, many, few | many, st.sampled_from(extremes), st.floats(width=64)]
    elements = draw(st.sampled_from(kinds))
    with np.errstate(all="ignore"):
        maps = draw(hnp.arrays(np.float64, shape, elements=elements)).astype(dtype)
    return maps, draw(hnp.arrays(bool, shape, elements=st.booleans()))


def slow_pixel_auroc(maps: np.ndarray, masks: np.ndarray) -> float:
    defect, normal = maps[masks], maps[~masks]
    return float(np.mean((defect[:, None] > normal) + (defect[:, None] == normal) / 2))


def slow_aupro(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """The curve at each threshold, then trapezoids that end at the limit."""
    labels = [ndimage.label(mask, np.ones((3, 3))) for mask in masks]
    regions = [maps[i][label == k] for i, (label, n) in enumerate(labels) for k in range(1, n + 1)]
    normal = maps[~masks]
    points = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        points.append(((normal >= threshold).mean(), np.mean([(r >= threshold).mean() for r in regions])))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= limit:
            break
        end = min(x1, limit)
        y_end = y1 if x1 <= limit else y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / limit


@tried(quick=300, full=3000)
@given(case=any_maps(), limit=st.sampled_from([0.3, 1.0, 0.05, 1e-9]))
def test_pixel_metrics_of_anything(case: tuple[np.ndarray, np.ndarray], limit: float) -> None:
    maps, masks = case
    if not (np.isfinite(maps).all() and masks.any() and not masks.all()):
        for metric in (pixel_auroc, aupro, pro_curve):
            with pytest.raises(ValueError) as error:
                metric(maps, masks)
            assert len(str(error.value)) > SENTENCE
        return
    auroc, area, curve = pixel_auroc(maps, masks), aupro(maps, masks, limit), pro_curve(maps, masks)
    assert 0 <= auroc <= 1 and 0 <= area <= 1
    assert auroc == pytest.approx(slow_pixel_auroc(maps, masks), abs=1e-9)
    assert area == pytest.approx(slow_aupro(maps, masks, limit), abs=1e-6)
    assert auroc == pytest.approx(
        roc_auc_score(masks.ravel(), np.unique(maps, return_inverse=True)[1].ravel()), abs=1e-9
    )
    for values in (curve.fpr, curve.pro):
        assert values[0] == 0 and values[-1] == pytest.approx(1) and (np.diff(values) >= -1e-12).all()
    ranks = np.unique(maps, return_inverse=True)[1].reshape(maps.shape)
    for other in (ranks.astype(np.float16), ranks * 1e9 - 3e12, np.exp2(ranks.astype(np.float64))):
        assert pixel_auroc(other, masks) == pytest.approx(auroc, abs=1e-12)
        assert aupro(other, masks, limit) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize("metric", [pixel_auroc, aupro, pro_curve])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "complex64", "U3", "object", "datetime64[s]"])
def test_maps_of_no_floats_get_a_sentence(metric: Any, dtype: str) -> None:
    maps = np.zeros((2, 4, 4)).astype(dtype)
    masks = np.eye(4, dtype=bool)[None].repeat(2, axis=0)
    words = "bool, as a comparison gives them: give the scores" if dtype == "bool" else "maps must be floating point"
    with pytest.raises(ValueError, match=words):
        metric(maps, masks)


@pytest.mark.parametrize("metric", [image_auroc, f1_max])
@pytest.mark.parametrize("scores", [["a", "b"], [None, 1], [1j, 2], [10**400, 1], np.array(["x", "y"]), [[1], [2, 3]]])
def test_scores_that_are_no_numbers_get_a_sentence(metric: Any, scores: Any) -> None:
    with pytest.raises(ValueError, match="scores"):
        metric(scores, [0, 1])


@pytest.mark.parametrize("metric", [image_auroc, f1_max])
@pytest.mark.parametrize("labels", [["good", "bad"], [None, 1], [[0], [0, 1]], [0, "1"]])
def test_labels_that_are_no_numbers_get_a_sentence(metric: Any, labels: Any) -> None:
    with pytest.raises(ValueError, match="labels"):
        metric([0.1, 0.2], labels)


# ---- predictions -----------------------------------------------------------------------------------------------


@tried(quick=25, full=200)
@given(images=st.lists(any_image(), min_size=1, max_size=5), batch=st.integers(1, 6))
def test_one_image_alone_and_in_a_batch(images: list[np.ndarray], batch: int, model: MRKD) -> None:
    together = model.predict(images, batch=batch)
    assert together.score.shape == (len(images),) and together.anomaly_map.shape == (len(images), 64, 64)
    assert np.isfinite(together.anomaly_map).all() and (together.anomaly_map >= -1e-5).all()
    assert np.array_equal(together.score, together.anomaly_map.max(axis=(1, 2)))
    for image, score, seen in zip(images, together.score, together.image, strict=True):
        alone = model.predict(image)
        assert np.array_equal(alone.image[0], seen)
        assert alone.score[0] == pytest.approx(score, rel=ROUNDING)  # what the library itself allows for rounding
        assert model.predict(Image.fromarray(image)).score[0] == alone.score[0]


NO_IMAGES = [
    None,
    5,
    0.5,
    "",
    "nowhere.png",
    b"a.png",
    "a\0b.png",
    {},
    {"a": 1},
    [None],
    [[]],
    object(),
    [1, 2],
    "/",
    "~",
]


@pytest.mark.parametrize("given_", NO_IMAGES, ids=repr)
def test_predict_of_no_image_gets_a_sentence(given_: Any, model: MRKD) -> None:
    with pytest.raises(DataError) as error:
        model.predict(given_)
    assert len(str(error.value)) > SENTENCE
