"""Reading images and masks: every format and mode, every way in which a file can be wrong, the stack."""

from __future__ import annotations

import pickle
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import EpsImagePlugin, Image, ImageFile, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from mrkd_edu.data import IMAGE_SUFFIXES, DataError, ImageStack, image_size, list_images, read_image, read_mask
from mrkd_edu.data.images import _resize_mask

ORIENTATION = 0x0112  # the EXIF tag


def picture(height: int = 30, width: int = 40) -> np.ndarray:
    """A smooth colour picture without symmetry, so that a turn, a flip or a channel swap shows."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 128 * x / width + 20], axis=2).astype(np.uint8)


def photo(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """A large picture with coarse and fine structure."""
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def differs(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape and a.dtype == b.dtype == np.uint8
    return int(np.abs(a.astype(int) - b).max())


# ------------------------------------------------------------------------------------------ files and modes


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
@pytest.mark.parametrize("upper", [False, True])
def test_every_suffix(tmp_path: Path, suffix: str, upper: bool) -> None:
    path = tmp_path / f"a{suffix.upper() if upper else suffix}"
    options = {"quality": 98} if suffix in (".jpg", ".jpeg", ".jfif", ".webp") else {}
    Image.fromarray(picture()).save(path, **options)
    assert list_images(tmp_path) == [path]
    assert image_size(path) == (30, 40)
    for source in (path, str(path)):
        image = read_image(source)
        assert image.shape == (30, 40, 3)
        assert differs(image, picture()) <= (12 if options else 0)


def grey(height: int = 8, width: int = 16) -> np.ndarray:
    return np.arange(height * width, dtype=np.uint8).reshape(height, width)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(grey()).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert np.array_equal(image, np.repeat(grey()[:, :, None], 3, axis=2))


def test_one_bit(tmp_path: Path) -> None:
    bits = grey() % 3 == 0
    Image.fromarray(bits).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "1"
    assert np.array_equal(read_image(tmp_path / "a.png")[:, :, 0], bits * np.uint8(255))


def test_transparency_becomes_white(tmp_path: Path) -> None:
    rgba = np.zeros((4, 3, 4), dtype=np.uint8)  # black ...
    rgba[:, 1, 3] = 128  # ... transparent, half transparent, opaque
    rgba[:, 2, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    assert read_image(tmp_path / "rgba.png")[0, :, 0].tolist() == [255, 127, 0]

    Image.fromarray(rgba).convert("LA").save(tmp_path / "la.png")
    assert read_image(tmp_path / "la.png")[0, :, 2].tolist() == [255, 127, 0]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 255])], ids=["one colour", "table"])
def test_palette(tmp_path: Path, transparency: int | bytes) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).convert("L")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    assert image.mode == "P"
    image.save(tmp_path / "plain.png")
    assert read_image(tmp_path / "plain.png")[0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    image.save(tmp_path / "holes.png", transparency=transparency)
    assert read_image(tmp_path / "holes.png")[0].tolist() == [[10, 20, 30], [255, 255, 255], [70, 80, 90]]


@pytest.mark.parametrize(("mode", "colour"), [("L", 7), ("RGB", (7, 8, 9))])
def test_transparent_colour_of_a_png_without_alpha(
    tmp_path: Path, mode: str, colour: int | tuple[int, ...]
) -> None:
    image = Image.new(mode, (2, 1), colour)
    image.putpixel((1, 0), 0 if mode == "L" else (0, 0, 0))
    image.save(tmp_path / "a.png", transparency=colour)
    assert read_image(tmp_path / "a.png")[0].tolist() == [[255, 255, 255], [0, 0, 0]]


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path)
    with Image.open(path) as image:
        assert image.mode == "CMYK"
    assert differs(read_image(path), np.full((16, 16, 3), (255, 0, 0), dtype=np.uint8)) <= 3


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_has_a_fixed_scale(tmp_path: Path, name: str) -> None:
    """A dim picture stays dim: nothing is stretched to the range of its own pixels."""
    values = np.array([[0, 257, 1000, 25700, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / name)
    assert read_image(tmp_path / name)[0, :, 1].tolist() == [0, 1, 4, 100, 255]
    Image.fromarray(values[:, :3]).save(tmp_path / name)
    assert read_image(tmp_path / name)[0, :, 1].tolist() == [0, 1, 4]
    assert read_image(values)[0, :, 1].tolist() == [0, 1, 4, 100, 255]


def test_16_bit_big_endian_tiff(tmp_path: Path) -> None:
    values = np.array([[0, 25700]], dtype=np.uint16)
    Image.frombytes("I;16B", (2, 1), values.astype(">u2").tobytes()).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 100]


def test_32_bit_integers_are_refused_for_they_have_no_scale(tmp_path: Path) -> None:
    """0 to 255 in 32 bits came out black, without a word."""
    levels = np.array([[0, 255]], dtype=np.int32)
    Image.fromarray(levels).save(tmp_path / "a.tif")
    for source in (tmp_path / "a.tif", Image.fromarray(levels), levels, torch.from_numpy(levels)):
        with pytest.raises(DataError, match=r"has 32-bit integers.* save it with 8 or 16 bits"):
            read_image(source)


def test_a_fourth_byte_of_zeros_is_no_alpha(tmp_path: Path) -> None:
    """A picture that is transparent all over was white, and so were all others of its set."""
    rgba = np.dstack([picture(), np.zeros((30, 40), np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), picture())
    assert np.array_equal(read_image(rgba), picture())
    rgba[0, 0, 3] = 255
    assert read_image(rgba)[0, 1].tolist() == [255, 255, 255]  # one opaque pixel: then it means something


def test_float_tiff(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0.2, 1]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 51, 255]
    Image.fromarray(np.array([[0, 3.5]], dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif has float pixels from 0 to 3\.5, outside \[0, 1\]; divide"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_exif_rotation(tmp_path: Path, name: str, orientation: int) -> None:
    """What a camera stored lying on its side comes out upright, whatever the file's format."""
    turns = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }
    upright = picture()
    stored = Image.fromarray(np.ascontiguousarray(turns[orientation](upright)))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored.save(tmp_path / name, exif=exif, **({} if name.endswith(("png", "tif")) else {"quality": 98}))
    assert differs(read_image(tmp_path / name), upright) <= 12
    assert image_size(tmp_path / name) == (30, 40)
    small = np.array(Image.fromarray(upright).resize((16, 16), Image.Resampling.BILINEAR))
    assert differs(read_image(tmp_path / name, size=16), small) <= 12
    with Image.open(tmp_path / name) as image:
        assert differs(read_image(image), upright) <= 12


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_exif_rotation_of_every_mode(tmp_path: Path, mode: str, name: str, orientation: int) -> None:
    """Pillow 13 maps such a TIFF into memory when it is given a path, and mixes up its rows."""
    upright = picture()[:, :, 0]
    turns = {3: np.rot90(upright, 2), 5: upright.T, 6: np.rot90(upright), 8: np.rot90(upright, -1)}
    stored = Image.fromarray(np.ascontiguousarray(turns[orientation]))
    if mode == "I;16":
        stored = Image.fromarray(np.asarray(stored).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored.convert(mode).save(tmp_path / name, exif=exif)
    assert np.array_equal(read_image(tmp_path / name)[:, :, 0], upright)
    assert image_size(tmp_path / name) == (30, 40)


def tag(kind: int, count: int, value: bytes) -> bytes:
    """The orientation as it stands in EXIF data: its type, how many there are of it, and four bytes."""
    return struct.pack("<HHI4s", ORIENTATION, kind, count, value)


def exif_of(*tags: bytes) -> bytes:
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(tags) + bytes(4)


NO_ORIENTATION = {
    "0": tag(3, 1, b"\0"),
    "9": tag(3, 1, b"\x09"),
    "65535": tag(3, 1, b"\xff\xff"),
    "-1": tag(9, 1, b"\xff\xff\xff\xff"),
    "letter": tag(2, 2, b"x"),
    "text of a digit": tag(2, 2, b"6"),
    "byte": tag(7, 1, b"\x06"),
    "not a number": tag(11, 1, struct.pack("<f", np.nan)),
    "unknown type": tag(99, 1, b"\x06"),
    "none of them": tag(3, 0, b"\x06"),
}


@pytest.mark.parametrize("what", NO_ORIENTATION)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_an_orientation_that_means_nothing_is_none(tmp_path: Path, name: str, what: str) -> None:
    """9 made a picture lie for its size, but not for its pixels; a letter could not be read at all."""
    path = tmp_path / name
    if name.endswith("tif"):  # here the tags of the picture are its EXIF data
        exif = Image.Exif()
        exif[ORIENTATION] = 5
        Image.fromarray(picture()).save(path, exif=exif)
        assert tag(3, 1, b"\x05") in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(tag(3, 1, b"\x05"), NO_ORIENTATION[what]))
    else:
        Image.fromarray(picture()).save(path, exif=exif_of(NO_ORIENTATION[what]), quality=98)
    assert image_size(path) == (30, 40)
    assert differs(read_image(path), picture()) <= 12
    with Image.open(path) as image:
        assert differs(read_image(image), picture()) <= 12


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"garbage, and more of it", b"II*\0", exif_of(tag(3, 1, b"\x06"))[6:20]])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_exif_data_that_cannot_be_read_are_none(tmp_path: Path, name: str, exif: bytes) -> None:
    Image.fromarray(picture()).save(tmp_path / name, exif=b"Exif\0\0" + exif, quality=98)
    assert image_size(tmp_path / name) == (30, 40)
    assert differs(read_image(tmp_path / name), picture()) <= 12


def test_text_that_should_be_exif_data_is_none(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n 12\nno hexadecimal digits")
    Image.fromarray(picture()).save(tmp_path / "a.png", pnginfo=text)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[700], tags.tagtype[700] = '<x tiff:Orientation="6"/>', 2  # XMP, as text instead of bytes
    Image.fromarray(picture()).save(tmp_path / "a.tif", tiffinfo=tags)
    for name in ("a.png", "a.tif"):
        assert image_size(tmp_path / name) == (30, 40)
        assert np.array_equal(read_image(tmp_path / name), picture())


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.tif", "packed.tif", "a.webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_size_is_read_without_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {} if name == "a.bmp" else {"exif": exif}
    packed = {"compression": "tiff_lzw"} if name == "packed.tif" else {}
    Image.fromarray(picture()).save(tmp_path / name, **options, **packed)

    def refuse(image: Image.Image) -> None:
        raise AssertionError("decoded")

    for kind in (ImageFile.ImageFile, TiffImagePlugin.TiffImageFile, WebPImagePlugin.WebPImageFile):
        monkeypatch.setattr(kind, "load", refuse)
    assert image_size(tmp_path / name) == ((40, 30) if orientation == 6 and options else (30, 40))


def test_resize_is_antialiased_and_square() -> None:
    stripes = np.tile(np.array([[0, 255]], dtype=np.uint8), (64, 64))  # (64, 128), one pixel wide
    image = read_image(stripes, size=16)
    assert image.shape == (16, 16, 3)
    assert image.min() > 100 and image.max() < 155  # grey, not a moire of black and white


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.tif", "a.webp"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_file_its_pil_image_its_array_and_its_tensor_give_the_same(
    tmp_path: Path, rng: np.random.Generator, name: str, orientation: int
) -> None:
    """A JPEG file was decoded at a reduced scale, its own pixels were not: another score for the same picture."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo(rng, 750, 1000).save(tmp_path / name, quality=90, **({} if name == "a.bmp" else {"exif": exif}))
    whole = read_image(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        for source in (image, whole, torch.from_numpy(whole).permute(2, 0, 1), whole / 255):
            assert np.array_equal(read_image(source, size=64), read_image(tmp_path / name, size=64))


def test_a_phones_photo_of_two_pictures(tmp_path: Path) -> None:
    """MPO: a JPEG with a second one behind it, under the name of the first."""
    first, second = Image.fromarray(picture()), Image.new("RGB", (40, 30))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second], quality=98)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    assert image_size(tmp_path / "a.jpg") == (30, 40)
    assert differs(read_image(tmp_path / "a.jpg"), picture()) <= 12


def test_only_the_first_page_or_frame(tmp_path: Path) -> None:
    pages = [Image.new("L", (4, 4), value) for value in (10, 20)]
    for name in ("a.tif", "a.webp"):
        pages[0].save(
            tmp_path / name,
            save_all=True,
            append_images=pages[1:],
            **({"lossless": True} if "webp" in name else {}),
        )
        assert read_image(tmp_path / name)[0, 0].tolist() == [10, 10, 10]


# ---------------------------------------------------------------------------------- PIL, arrays and tensors


def test_pil_image_is_left_alone() -> None:
    source = Image.fromarray(picture()).convert("RGBA")
    assert differs(read_image(source), picture()) == 0
    assert source.mode == "RGBA" and source.size == (40, 30)


def test_arrays_and_tensors_agree() -> None:
    image = picture()
    chw = np.ascontiguousarray(image.transpose(2, 0, 1))
    sources = [
        image,
        image / 255,
        (image / 255).astype(np.float32),
        image.astype(np.uint16) * 257,
        np.dstack([image, np.full(image.shape[:2], 255, dtype=np.uint8)]),
        image[:, ::-1][:, ::-1],
        torch.from_numpy(chw),
        torch.from_numpy(chw) / 255,
        (torch.from_numpy(chw) / 255).requires_grad_(),
        (torch.from_numpy(chw) / 255).double(),
    ]
    for source in sources:
        assert differs(read_image(source), image) == 0
    assert differs(read_image((torch.from_numpy(chw) / 255).bfloat16()), image) <= 1


@pytest.mark.parametrize("shape", [(8, 16), (8, 16, 1)])
def test_grey_arrays(shape: tuple[int, ...]) -> None:
    expected = np.repeat(grey()[:, :, None], 3, axis=2)
    assert np.array_equal(read_image(grey().reshape(shape)), expected)
    assert np.array_equal(read_image(torch.from_numpy(grey())), expected)
    assert np.array_equal(read_image(torch.from_numpy(grey())[None]), expected)


def test_bool_array() -> None:
    assert read_image(np.array([[True, False]]))[0, :, 0].tolist() == [255, 0]


def test_result_shares_no_memory_and_can_be_written() -> None:
    source = picture()
    image = read_image(source)
    image[:] = 0
    assert source.max() > 0


def test_rounding_noise_of_floats_is_forgiven() -> None:
    assert read_image(np.array([[-1e-6, 1 + 1e-6]], dtype=np.float64))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.full((4, 4), 200.0), r"float pixels from 200 to 200, outside \[0, 1\]; divide by"),
        (np.array([[-0.5, 0.5]]), r"from -0\.5 to 0\.5"),
        (np.array([[0.5, np.inf]]), r"outside \[0, 1\]"),
        (np.array([[0.5, np.nan]]), "contains NaN; replace"),
        (torch.tensor([[0.5, float("nan")]]), "the tensor contains NaN"),
        (torch.rand(3, 4, 4) * 255, r"the tensor has float pixels .* outside"),
        (np.zeros((0, 5), dtype=np.uint8), "no pixels"),
        (np.zeros((5, 0, 3), dtype=np.uint8), "no pixels"),
        (torch.zeros(3, 0, 5), "no pixels"),
        (np.zeros((3, 8, 8), dtype=np.uint8), r"shape \(3, 8, 8\); one image is \(H, W\)"),
        (np.zeros((8, 8, 2), dtype=np.uint8), r"shape \(8, 8, 2\)"),
        (np.zeros(8, dtype=np.uint8), r"shape \(8,\)"),
        (np.zeros((1, 8, 8, 3), dtype=np.uint8), r"shape \(1, 8, 8, 3\)"),
        (torch.zeros(8, 8, 3), r"channels of a tensor come first"),
        (torch.zeros(1, 3, 8, 8), r"shape \(1, 3, 8, 8\)"),
        (np.zeros((4, 4), dtype=np.int64), "type int64; use uint8"),
        (np.zeros((4, 4), dtype=complex), "type complex128"),
        (Image.new("RGB", (0, 3)), "no pixels"),
        ([[1, 2]], "cannot be read from a list; give a file name"),
        (None, "cannot be read from a NoneType"),
    ],
)
def test_wrong_sources(source: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_image(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -3])
def test_wrong_size(tmp_path: Path, size: int) -> None:
    with pytest.raises(ValueError, match="size must be at least 1"):
        read_image(picture(), size=size)
    with pytest.raises(ValueError, match="size must be at least 1"):
        read_mask(tmp_path / "any.png", size=size)
    with pytest.raises(ValueError, match="size must be at least 1"):
        ImageStack([], size=size)


# -------------------------------------------------------------------------------------------- broken files


@pytest.mark.parametrize("read", [read_image, read_mask, image_size])
def test_files_that_are_no_images(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(DataError, match=r"missing\.png does not exist; check the name"):
        read(tmp_path / "missing.png")
    with pytest.raises(DataError, match="is a folder, not an image"):
        read(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png is empty \(0 bytes\); copy it again"):
        read(tmp_path / "empty.png")
    (tmp_path / "text.jpg").write_text("this is no image")
    with pytest.raises(DataError, match=r"text\.jpg is not an image that can be read"):
        read(tmp_path / "text.jpg")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / ("x" * 300 + ".png"))  # longer than a file name may be


@pytest.mark.parametrize("read", [read_image, read_mask, image_size])
@pytest.mark.parametrize("kind", ["EPS", "GIF", "animated GIF", "ICO", "PPM", "TGA", "PCX", "PDF"])
def test_only_the_formats_that_we_name_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object], kind: str
) -> None:
    """PIL opens whatever it knows; for PostScript under the name of a PNG it started Ghostscript."""
    path = tmp_path / "a.png"
    more = {"save_all": True, "append_images": [Image.new("RGB", (40, 30))]} if kind == "animated GIF" else {}
    Image.fromarray(picture()).save(path, kind.split()[-1], **more)

    def refuse(*_: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", refuse)
    with pytest.raises(DataError, match=r"a\.png is not an image .* none of JPEG, PNG, BMP, TIFF, WEBP; save it again"):
        read(path)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_truncated_file(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    for share in (0.9, 0.5, 0.1):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match=rf"a\{suffix} .*(copy it again|save it again)"):
            read_image(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_file_is_read_or_explained(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever bytes are flipped, the answer is an image or a `DataError`, never another exception."""
    suffix = data.draw(st.sampled_from(IMAGE_SUFFIXES))
    path = tmp_path_factory.mktemp("damaged") / f"a{suffix}"
    Image.fromarray(picture(20, 24)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.one_of(st.integers(0, 60), st.integers(0, len(content) - 1)))
        content[position % len(content)] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        image = read_image(path, size=8)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert image.shape == (8, 8, 3)


@pytest.mark.parametrize("warn", ["error", "ignore"])
def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warn: str) -> None:
    """PIL warns at its limit and refuses at twice as many pixels; here both are one clear error."""
    Image.new("L", (100, 150)).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter(warn)  # type: ignore[arg-type]
        for limit in (10_000, 5_000):
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
            for read in (read_image, read_mask, image_size):
                with pytest.raises(DataError, match=rf"a\.png has more than {limit:,} pixels; make it smaller"):
                    read(tmp_path / "a.png")
    for allowed in (15_000, None):  # None: the user wants no limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", allowed)
        assert read_image(tmp_path / "a.png").shape == (150, 100, 3)
        assert image_size(tmp_path / "a.png") == read_mask(tmp_path / "a.png").shape == (150, 100)


def test_too_many_pixels_in_one_of_several_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first page counts: the others are never decoded."""
    small, large = Image.new("L", (20, 10)), Image.new("L", (100, 150))
    small.save(tmp_path / "first.tif", save_all=True, append_images=[large])
    large.save(tmp_path / "last.tif", save_all=True, append_images=[small])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8_000)
    assert read_image(tmp_path / "first.tif").shape == (10, 20, 3)
    for read in (read_image, read_mask, image_size):
        with pytest.raises(DataError, match=r"last\.tif has more than 8,000 pixels"):
            read(tmp_path / "last.tif")


# --------------------------------------------------------------------------------------------------- masks


def blob(height: int = 30, width: int = 40) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    mask[5:20, 10:30] = True
    return mask


@pytest.mark.parametrize("value", [1, 80, 255])
@pytest.mark.parametrize("name", ["m.png", "m.bmp", "m.tif"])
def test_mask_is_what_is_not_black(tmp_path: Path, name: str, value: int) -> None:
    Image.fromarray(blob() * np.uint8(value)).save(tmp_path / name)
    mask = read_mask(tmp_path / name)
    assert mask.dtype == bool
    assert np.array_equal(mask, blob())


@pytest.mark.parametrize("name", ["m.jpg", "m.webp"])
def test_lossy_mask_has_no_fringe(tmp_path: Path, name: str) -> None:
    Image.fromarray(blob() * np.uint8(255)).save(tmp_path / name, quality=60)
    assert (
        np.count_nonzero(np.asarray(Image.open(tmp_path / name).convert("L"))) > blob().sum()
    )  # it is lossy
    assert np.array_equal(read_mask(tmp_path / name), blob())


@pytest.mark.parametrize("mode", ["1", "RGB", "RGBA", "LA", "P", "I;16", "I", "F", "CMYK"])
def test_mask_of_every_mode(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(blob() * np.uint8(255))
    if mode == "P":
        image = Image.fromarray(blob().astype(np.uint8))
        image.putpalette([0, 0, 0, 128, 0, 0])
    elif mode == "I;16":
        image = Image.fromarray(blob().astype(np.uint16))  # 1 of 65535 is a defect too
    elif mode == "CMYK":
        image = image.convert("RGB").convert("CMYK")
    else:
        image = image.convert(mode)
    image.save(tmp_path / "m.tif")
    assert np.array_equal(read_mask(tmp_path / "m.tif"), blob())


def test_any_channel_counts_and_alpha_does_not(tmp_path: Path) -> None:
    rgba = np.zeros((2, 3, 4), dtype=np.uint8)
    rgba[0, 0, 2] = 9  # a little blue, fully transparent
    rgba[1, 1, 3] = 255  # black, opaque
    Image.fromarray(rgba).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").tolist() == [[True, False, False], [False, False, False]]


def test_mask_of_another_size_than_its_image(tmp_path: Path) -> None:
    Image.fromarray(blob()).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", size=8, expect=(30, 40)).shape == (8, 8)
    with pytest.raises(DataError, match=r"m\.png is 30 x 40 pixels .* its image 40 x 30; save the mask in"):
        read_mask(tmp_path / "m.png", expect=(40, 30))


def test_mask_follows_its_exif_rotation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(np.rot90(blob()) * np.uint8(255)).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(read_mask(tmp_path / "m.png", expect=(30, 40)), blob())


def test_black_mask_is_read(tmp_path: Path) -> None:
    for name in ("m.png", "m.jpg"):
        Image.new("L", (20, 20)).save(tmp_path / name)
        assert not read_mask(tmp_path / name).any()
        assert not read_mask(tmp_path / name, size=10).any()


def test_mask_enlarged_and_kept() -> None:
    mask = np.array([[True, False], [False, False]])
    assert np.array_equal(_resize_mask(mask, 2), mask)
    assert np.array_equal(_resize_mask(mask, 6), np.kron(mask, np.ones((3, 3), dtype=bool)))


def test_mask_keeps_its_area_when_reduced() -> None:
    y, x = np.mgrid[0:900, 0:900]
    disc = (y - 450) ** 2 + (x - 400) ** 2 < 200**2
    small = _resize_mask(disc, 128)
    assert small.mean() == pytest.approx(disc.mean(), rel=0.02)


def test_small_defect_beside_a_large_one_does_not_vanish() -> None:
    mask = np.zeros((4000, 4000), dtype=bool)
    mask[:1000, :1000] = True
    mask[3000, 2000] = True  # one pixel of 16 million
    small = _resize_mask(mask, 64)
    assert small[:16, :16].all()
    assert small[48, 32]
    assert small.sum() == 16 * 16 + 1


@settings(max_examples=100, deadline=None)
@given(
    mask=hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.booleans()),
    size=st.integers(1, 40),
)
def test_resized_mask_is_empty_only_if_the_mask_is(mask: np.ndarray, size: int) -> None:
    small = _resize_mask(mask, size)
    assert small.shape == (size, size) and small.dtype == bool
    assert small.any() == mask.any()
    assert small.all() or not mask.all()


# --------------------------------------------------------------------------------------------------- stack


@pytest.fixture
def ten(tmp_path: Path) -> list[Path]:
    """Ten files whose grey value is ten times their number, each of another size."""
    paths = [tmp_path / f"{i}.png" for i in range(10)]
    for i, path in enumerate(paths):
        Image.new("L", (20 + i, 30), 10 * i).save(path)
    return paths


def values(batch: torch.Tensor) -> list[int]:
    assert batch.dtype == torch.uint8 and batch.shape[1:] == (3, 8, 8)
    return batch[:, 2, 3, 4].tolist()


def test_stack_is_indexed_like_a_tensor(ten: list[Path]) -> None:
    stack = ImageStack(ten, size=8)
    assert len(stack) == 10
    assert stack.shape == (10, 3, 8, 8)
    assert stack[3].shape == (3, 8, 8)
    for index in (3, -7, np.int64(3), torch.tensor(3)):
        assert values(stack[index][None]) == [30]
    for index in ([3, 1, 3], np.array([3, 1, 3]), torch.tensor([3, 1, 3]), [-7, -9, -7]):
        assert values(stack[index]) == [30, 10, 30]
    assert values(stack[:]) == list(range(0, 100, 10))
    assert values(stack[8:2:-3]) == [80, 50]
    assert values(stack[7:99]) == [70, 80, 90]
    even = [i % 2 == 0 for i in range(10)]
    for index in (even, np.array(even), torch.tensor(even)):
        assert values(stack[index]) == [0, 20, 40, 60, 80]
    for empty in ([], slice(0, 0), np.zeros(10, dtype=bool)):
        assert stack[empty].shape == (0, 3, 8, 8)
    for wrong in (10, -11, [0, 10], [[0, 1]], (0, 1), 1.5, [True] * 9):
        with pytest.raises(IndexError):
            stack[wrong]


def test_stack_holds_what_read_image_reads(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    stack = ImageStack([tmp_path / "a.png"], size=16)
    assert np.array_equal(stack[0].permute(1, 2, 0).numpy(), read_image(tmp_path / "a.png", 16))
    assert ImageStack([tmp_path / "a.png"], size=1)[0].shape == (3, 1, 1)


def test_iterating_a_stack(ten: list[Path]) -> None:
    stack = ImageStack(ten, size=8)
    assert [int(image[0, 0, 0]) for image in stack] == list(range(0, 100, 10))
    assert list(ImageStack([], size=8)) == []


@pytest.mark.parametrize("memory", [2**30, 4 * 3 * 8 * 8, 0], ids=["all kept", "four kept", "none kept"])
def test_stack_keeps_only_what_fits(ten: list[Path], memory: int) -> None:
    """The files are overwritten after the first reading: what is kept does not notice."""
    stack = ImageStack(ten, size=8, memory=memory)
    assert values(stack[:]) == list(range(0, 100, 10))
    for path in ten:
        Image.new("L", (20, 30), 255).save(path)
    kept = min(10, memory // (3 * 8 * 8))
    assert values(stack[:]) == list(range(0, 10 * kept, 10)) + [255] * (10 - kept)
    assert values(stack[[9, 0]]) == [90 if kept > 9 else 255, 0 if kept else 255]


def test_writing_into_a_result_does_not_change_the_stack(ten: list[Path]) -> None:
    stack = ImageStack(ten, size=8)
    for index in (4, [4]):
        stack[index].zero_()
        assert values(stack[[4]]) == [40]


def test_stack_error_names_the_file(ten: list[Path]) -> None:
    ten[6].write_bytes(b"")
    ten[7].unlink()
    stack = ImageStack(ten, size=8)
    assert values(stack[:6]) == [0, 10, 20, 30, 40, 50]  # nothing is read before it is asked for
    with pytest.raises(DataError, match=r"6\.png is empty"):
        stack[:]
    with pytest.raises(DataError, match=r"7\.png does not exist"):
        stack[7]
    assert values(stack[8:]) == [80, 90]


def test_stack_travels_to_another_process(ten: list[Path]) -> None:
    stack = ImageStack(ten, size=8)
    stack[2:4]
    assert values(pickle.loads(pickle.dumps(stack))[1:4]) == [10, 20, 30]


# -------------------------------------------------------------------------------------------------- listing


def test_list_images(tmp_path: Path) -> None:
    names = ["10.png", "9.PNG", "a2.jpg", "A1.jpeg", "b.tiff", "1.bmp", "²3.webp", "é.tif"]
    for name in [*names, ".hidden.png", "._9.png", "notes.txt", "png", "c.heic"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = [path.name for path in list_images(str(tmp_path))]
    assert found == ["1.bmp", "9.PNG", "10.png", "A1.jpeg", "a2.jpg", "b.tiff", "²3.webp", "é.tif"]


def test_list_images_of_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist; check the name"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"a\.png is a file; give the folder"):
        list_images(tmp_path / "a.png")
