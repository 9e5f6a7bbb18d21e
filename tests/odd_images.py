"""A corpus of odd image files: every mode, container and damage that was thought of, with what is expected of each.

    python tests/odd_images.py FOLDER              writes the files and lists them
    python tests/odd_images.py FOLDER --read OUT   reads each of them with the library, and writes what came to OUT

The expected pixels are those that were put into a file, never those that the library read from it. PNG, TIFF and BMP
are written here byte by byte, where Pillow would not write them so odd. `test_odd_images.py` holds the library to it.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

HEIGHT, WIDTH = 18, 23  # neither is a multiple of 8, and they differ
LOSSY = 24  # grey levels that a JPEG or WebP of high quality may be off, at most

DAMAGED = r"cannot be read .*: it may be damaged or cut off; copy it again"
NO_IMAGE = "is not an image that can be read"


@dataclass(frozen=True)
class Odd:
    """One odd file. With both `right` and `refused`, either will do; with neither, any picture or a refusal.

    Attributes:
        name: of the case.
        file: where it lies.
        what: it is, in a few words.
        right: the expected pixels, uint8 (H, W, 3).
        tolerance: grey levels by which they may differ.
        refused: what the message must say, a regular expression.
    """

    name: str
    file: Path
    what: str
    right: np.ndarray | None = None
    tolerance: int = 0
    refused: str | None = None


@dataclass(frozen=True)
class Case:
    """How one odd file is made: `make` gives its bytes, or puts something else at the path that it is given."""

    name: str
    what: str
    make: Callable[[], bytes] | None = None
    place: Callable[[Path], None] | None = None
    file: str | bytes = ""  # its name where it matters
    suffix: str = ".png"
    right: np.ndarray | None = None
    tolerance: int = 0
    refused: str | None = None

    def write(self, folder: Path) -> Odd | None:
        """The file in its place, or None where this machine cannot have such a file."""
        name = os.fsdecode(self.file) if self.file else self.name.replace(" ", "_").replace("/", "-") + self.suffix
        path = folder / name
        try:
            if self.place is not None:
                self.place(path)
            elif self.make is not None:
                path.write_bytes(self.make())
        except (OSError, NotImplementedError, AttributeError, UnicodeError):  # no pipes, links, such names, or codecs
            return None
        return Odd(self.name, path, self.what, self.right, self.tolerance, self.refused)


# ---- pictures --------------------------------------------------------------------------------------------------


def picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A smooth colour picture (H, W, 3) without symmetry, so that a turn, a flip or a swap of channels shows."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 128 * x / width + 20], axis=2).astype(np.uint8)


def rgb(grey: np.ndarray) -> np.ndarray:
    """Grey levels (H, W) as uint8 (H, W, 3)."""
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def over_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)


PICTURE = picture()
GREY = PICTURE[..., 1] // 2 + PICTURE[..., 0] // 2  # (H, W)
BITS = GREY > 120
WIDE = GREY.astype(np.uint16) * 257  # 16 bits, bright
SLOPE = np.broadcast_to(np.arange(WIDTH) * 11, (HEIGHT, WIDTH)).astype(np.uint8)  # an alpha channel
FOUR = GREY // 16  # 16 levels
PALETTE = np.stack([np.arange(16) * 16, 255 - np.arange(16) * 15, np.arange(16) * 5 + 90], 1).astype(np.uint8)


def saved(pixels: np.ndarray | Image.Image, kind: str, mode: str | None = None, **options: Any) -> bytes:
    """What Pillow writes of an array or image."""
    image = pixels.copy() if isinstance(pixels, Image.Image) else Image.fromarray(pixels)  # saving leaves marks
    out = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(out, kind, **options)
    return out.getvalue()


def jpeg(**options: Any) -> bytes:
    return saved(PICTURE, "JPEG", **{"quality": 98, "subsampling": 0, **options})


# ---- PNG, byte by byte -----------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n"
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(values: np.ndarray, depth: int) -> list[bytes]:
    """Rows of samples (H, W) or (H, W, C) as a PNG, TIFF or BMP packs them, the highest bit first."""
    places = np.arange(depth - 1, -1, -1)
    return [np.packbits(((row.reshape(-1, 1).astype(np.int64) >> places) & 1).ravel()).tobytes() for row in values]


def png(
    values: np.ndarray,
    depth: int = 8,
    colour: int = 2,
    *,
    before: bytes = b"",
    after: bytes = b"",
    interlaced: bool = False,
    size: tuple[int, int] | None = None,
    end: bytes | None = None,
    level: int = 6,
) -> bytes:
    """A PNG of samples (H, W) or (H, W, C), with chunks before and after its pixels."""
    height, width = size or values.shape[:2]
    parts = [values[y::down, x::right] for x, y, right, down in ADAM7] if interlaced else [values]
    lines = b"".join(b"\0" + row for part in parts if part.size for row in packed(part, depth))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    data = chunk(b"IDAT", zlib.compress(lines, level))
    return PNG + chunk(b"IHDR", header) + before + data + after + (chunk(b"IEND") if end is None else end)


def flipped(data: bytes, kind: bytes, offset: int = 0) -> bytes:
    """One bit flipped in a chunk or segment, at its `offset`-th byte after its name."""
    at = data.index(kind) + len(kind) + offset
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


# ---- TIFF and BMP, byte by byte --------------------------------------------------------------------------------


def tiff(
    data: bytes,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    *,
    bits: tuple[int, ...] = (8, 8, 8),
    photometric: int = 2,
    order: str = "<",
    big: bool = False,
    compression: int = 1,
    more: dict[int, tuple[int, list[int]]] | None = None,
) -> bytes:
    """A TIFF of one strip; `more` tags are `{number: (type, values)}`, and replace those here."""
    tags: dict[int, tuple[int, list[int]]] = {
        256: (4, [size[1]]),
        257: (4, [size[0]]),
        258: (3, list(bits)),
        259: (3, [compression]),
        262: (3, [photometric]),
        273: (4, [0]),
        277: (3, [len(bits)]),
        278: (4, [size[0]]),
        279: (4, [len(data)]),
        **(more or {}),
    }
    begin, slot = (16, 8) if big else (8, 4)
    for number in (273, 324):
        if number in tags and (number == 273) != (324 in tags):
            tags[number] = (4, [begin + offset for offset in tags[number][1]])
    if 324 in tags:
        for number in (273, 278, 279):
            tags.pop(number, None)
    rest, entries = b"", b""
    for number, (kind, values) in sorted(tags.items()):
        content = struct.pack(order + len(values) * {3: "H", 4: "I"}[kind], *values)
        if len(content) > slot:
            at = begin + len(data) + len(rest)
            rest += content
            content = struct.pack(order + ("Q" if big else "I"), at)
        entries += struct.pack(order + ("HHQ" if big else "HHI"), number, kind, len(values)) + content.ljust(
            slot, b"\0"
        )
    where = begin + len(data) + len(rest)
    letters = b"II" if order == "<" else b"MM"
    if big:
        head = letters + struct.pack(order + "HHHQ", 43, 8, 0, where)
        return head + data + rest + struct.pack(order + "Q", len(tags)) + entries + bytes(8)
    return (
        letters
        + struct.pack(order + "HI", 42, where)
        + data
        + rest
        + struct.pack(order + "H", len(tags))
        + entries
        + bytes(4)
    )


def tiled() -> bytes:
    """Four tiles of 16 x 16, those at the border filled up."""
    whole = np.zeros((32, 32, 3), np.uint8)
    whole[:HEIGHT, :WIDTH] = PICTURE
    tiles = [whole[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)]
    offsets = [768 * i for i in range(4)]
    return tiff(b"".join(tiles), more={322: (3, [16]), 323: (3, [16]), 324: (4, offsets), 325: (4, [768] * 4)})


def bmp(lines: list[bytes], bits: int, *, top_down: bool = False, compression: int = 0, tables: bytes = b"") -> bytes:
    """A BMP of rows from top to bottom, each already in its final form."""
    rows = [row.ljust(-(-len(row) // 4) * 4, b"\0") if compression != 1 else row for row in lines]
    data = b"".join(rows if top_down else rows[::-1]) + (b"\0\1" if compression == 1 else b"")
    height = -HEIGHT if top_down else HEIGHT
    head = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, compression, len(data), 2835, 2835, 0, 0)
    start = 14 + len(head) + len(tables)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + tables + data


def run_lengths(row: np.ndarray) -> bytes:
    """A row of a BMP's RLE8, each pixel a run of one."""
    return b"".join(bytes([1, value]) for value in row) + b"\0\0"


def fives(pixels: np.ndarray, green: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours with 5, `green` and 5 bits: the 16-bit words (H, W), and the colours (H, W, 3) that they stand for."""
    deep = pixels.astype(np.uint16)
    r, g, b = deep[..., 0] >> 3, deep[..., 1] >> (8 - green), deep[..., 2] >> 3
    words = (r << (5 + green)) | (g << 5) | b
    return words, np.stack([r * 255 / 31, g * 255 / (2**green - 1), b * 255 / 31], 2).astype(np.uint8)


# ---- the cases -------------------------------------------------------------------------------------------------


def modes() -> Iterator[Case]:
    la = np.dstack([GREY, SLOPE])
    rgba = np.dstack([PICTURE, SLOPE])
    table = chunk(b"PLTE", PALETTE.tobytes())
    plain = PALETTE[FOUR]
    yield Case("1 bit", "PNG of one bit a pixel", lambda: png(BITS, 1, 0), right=rgb(BITS * 255))
    yield Case("2 bits", "grey PNG of four levels", lambda: png(GREY // 64, 2, 0), right=rgb(GREY // 64 * 85))
    yield Case("4 bits", "grey PNG of 16 levels", lambda: png(FOUR, 4, 0), right=rgb(FOUR * 17))
    yield Case("grey", "grey PNG", lambda: png(GREY, 8, 0), right=rgb(GREY))
    yield Case(
        "grey alpha", "grey PNG with alpha", lambda: png(la, 8, 4), right=over_white(rgb(GREY), SLOPE), tolerance=1
    )
    yield Case("palette", "PNG with a palette of 16", lambda: png(FOUR, 8, 3, before=table), right=plain)
    yield Case("palette of 4 bits", "the same, two pixels a byte", lambda: png(FOUR, 4, 3, before=table), right=plain)
    holes = np.where(np.isin(FOUR, (3, 5))[..., None], 255, plain).astype(np.uint8)
    clear = table + chunk(b"tRNS", bytes([255, 255, 255, 0, 255, 0]))
    yield Case("palette with holes", "two colours are transparent", lambda: png(FOUR, 8, 3, before=clear), right=holes)
    beyond = np.where(FOUR[..., None] < 8, plain, 0).astype(np.uint8)
    yield Case(
        "palette too short",
        "pixels beyond the end of the palette",
        lambda: png(FOUR, 8, 3, before=chunk(b"PLTE", PALETTE[:8].tobytes())),
        right=beyond,
        refused=DAMAGED,
    )
    yield Case("no palette", "palette PNG without a palette", lambda: png(FOUR, 8, 3))
    yield Case(
        "palette alpha",
        "TIFF of palette and alpha",
        lambda: saved(_palette_alpha(), "TIFF"),
        suffix=".tif",
        right=over_white(plain, SLOPE),
        tolerance=1,
    )
    yield Case("colour", "plain PNG", lambda: png(PICTURE), right=PICTURE)
    yield Case("alpha", "PNG with alpha", lambda: png(rgba, 8, 6), right=over_white(PICTURE, SLOPE), tolerance=1)
    none = np.dstack([PICTURE, np.zeros_like(SLOPE)])
    yield Case("alpha all zero", "a fourth byte that is no alpha", lambda: png(none, 8, 6), right=PICTURE)
    key = chunk(b"tRNS", struct.pack(">HHH", *PICTURE[4, 5]))
    keyed = np.where((PICTURE[4, 5] == PICTURE).all(2)[..., None], 255, PICTURE).astype(np.uint8)
    yield Case("colour key", "one colour of a PNG is transparent", lambda: png(PICTURE, before=key), right=keyed)
    yield Case("16 bits", "grey PNG of 16 bits", lambda: png(WIDE, 16, 0), right=rgb(GREY))
    wide = PICTURE.astype(np.uint16) * 257
    yield Case("16 bits colour", "colour PNG of 16 bits", lambda: png(wide, 16, 2), right=PICTURE)
    yield Case(
        "16 bits alpha",
        "PNG of 4 x 16 bits",
        lambda: png(np.dstack([wide, SLOPE.astype(np.uint16) * 257]), 16, 6),
        right=over_white(PICTURE, SLOPE),
        tolerance=1,
    )
    grey16 = np.dstack([WIDE, SLOPE.astype(np.uint16) * 257])
    yield Case(
        "16 bits grey alpha",
        "PNG of 2 x 16 bits",
        lambda: png(grey16, 16, 4),
        right=over_white(rgb(GREY), SLOPE),
        tolerance=1,
    )
    yield Case("interlaced", "Adam7, colour", lambda: png(PICTURE, interlaced=True), right=PICTURE)
    yield Case("interlaced 1 bit", "Adam7, one bit", lambda: png(BITS, 1, 0, interlaced=True), right=rgb(BITS * 255))
    yield Case("interlaced 16 bits", "Adam7, 16 bits", lambda: png(WIDE, 16, 0, interlaced=True), right=rgb(GREY))
    for name, order in (("little", "<"), ("big", ">")):
        data = WIDE.astype(order + "u2").tobytes()
        how: dict[str, Any] = {"bits": (16,), "photometric": 1, "order": order}
        yield Case(
            f"16 bits {name} endian",
            f"TIFF, {name} end first",
            lambda data=data, how=how: tiff(data, **how),
            suffix=".tif",
            right=rgb(GREY),
        )
        colours = wide.astype(order + "u2").tobytes()
        yield Case(
            f"3 x 16 bits {name} endian",
            "colour TIFF of 16 bits",
            lambda colours=colours, order=order: tiff(colours, bits=(16, 16, 16), order=order),
            suffix=".tif",
            right=PICTURE,
        )
    scale = "has 32-bit integers, which do not tell how bright white is"
    for name, kind in (("unsigned", 1), ("signed", 2)):
        yield Case(
            f"32 bits {name}",
            "TIFF of 32-bit integers",
            lambda kind=kind: tiff(GREY.astype("<i4").tobytes(), bits=(32,), photometric=1, more={339: (3, [kind])}),
            suffix=".tif",
            refused=scale + "|cannot be read|is not an image",
        )
    yield Case(
        "signed 16 bits",
        "TIFF of negative numbers",
        lambda: tiff((GREY.astype("<i2") - 100).tobytes(), bits=(16,), photometric=1, more={339: (3, [2])}),
        suffix=".tif",
        refused="has pixels from -100|cannot be read|is not an image|has 32-bit integers",
    )
    floats = (GREY / np.float32(255)).astype("<f4")
    yield Case("floats", "TIFF of floats in [0, 1]", lambda: _floats(floats), suffix=".tif", right=rgb(GREY))
    outside = "has float pixels from .*, outside .*divide by"
    yield Case("floats to 255", "TIFF of floats", lambda: _floats(GREY), suffix=".tif", refused=outside)
    for name, value, words in (("NaN", math.nan, "contains NaN; replace"), ("infinity", math.inf, outside)):
        bad = floats.copy()
        bad[3, 4] = value
        yield Case(
            f"floats with {name}", "one pixel of a TIFF", lambda bad=bad: _floats(bad), suffix=".tif", refused=words
        )
    bad = floats.copy()
    bad[3, 4] = 3e38
    yield Case("floats of 3e38", "one pixel of a TIFF", lambda bad=bad: _floats(bad), suffix=".tif", refused=outside)
    doubles = (GREY / 255).astype("<f8").tobytes()
    yield Case(
        "doubles",
        "TIFF of 64-bit floats",
        lambda: tiff(doubles, bits=(64,), photometric=1, more={339: (3, [3])}),
        suffix=".tif",
        right=rgb(GREY),
        refused="cannot be read|is not an image",
    )
    ink = np.dstack([255 - PICTURE, np.zeros_like(GREY)])
    image = Image.frombytes("CMYK", (WIDTH, HEIGHT), ink.tobytes())
    yield Case(
        "CMYK",
        "JPEG of four inks",
        lambda: saved(image, "JPEG", quality=98),
        suffix=".jpg",
        right=PICTURE,
        tolerance=LOSSY,
    )
    yield Case(
        "CMYK TIFF", "TIFF of four inks", lambda: saved(image, "TIFF"), suffix=".tif", right=PICTURE, tolerance=2
    )
    yield Case(
        "YCbCr",
        "TIFF of brightness and colour",
        lambda: saved(PICTURE, "TIFF", "YCbCr"),
        suffix=".tif",
        right=PICTURE,
        tolerance=4,
        refused="cannot be read",
    )
    bright = ((GREY / 2.55 + 16) / 116) ** 3  # L* of at least 8 to linear light, and that to sRGB
    srgb = np.rint(255 * (1.055 * bright ** (1 / 2.4) - 0.055)).astype(np.uint8)
    yield Case(
        "LAB",
        "grey TIFF in the colours of the eye",
        lambda: tiff(np.dstack([GREY, 0 * GREY, 0 * GREY]).tobytes(), photometric=8),
        suffix=".tif",
        right=rgb(srgb),
        tolerance=12,
        refused="LAB",
    )
    yield Case(
        "premultiplied alpha",
        "TIFF with colours already thinned",
        lambda: tiff(np.dstack([PICTURE // 2, np.full_like(GREY, 128)]).tobytes(), bits=(8,) * 4, more={338: (3, [1])}),
        suffix=".tif",
        right=over_white(PICTURE, np.full_like(GREY, 128)),
        tolerance=2,
    )


def _floats(values: np.ndarray) -> bytes:
    return tiff(values.astype("<f4").tobytes(), bits=(32,), photometric=1, more={339: (3, [3])})


def _palette_alpha() -> Image.Image:
    image = Image.frombytes("PA", (WIDTH, HEIGHT), np.dstack([FOUR, SLOPE]).tobytes())
    image.putpalette(PALETTE.tobytes())
    return image


def containers() -> Iterator[Case]:
    lossy: dict[str, Any] = {"suffix": ".jpg", "right": PICTURE, "tolerance": LOSSY}
    yield Case("jpeg", "plain JPEG", jpeg, **lossy)
    yield Case("progressive jpeg", "JPEG in several scans", lambda: jpeg(progressive=True), **lossy)
    yield Case(
        "grey jpeg",
        "JPEG of one channel",
        lambda: saved(GREY, "JPEG", quality=98),
        suffix=".jpg",
        right=rgb(GREY),
        tolerance=LOSSY,
    )
    yield Case("restart jpeg", "JPEG with restart markers", lambda: jpeg(restart_marker_blocks=1), **lossy)
    yield Case(
        "coarse colour jpeg",
        "JPEG with a quarter of the colour",
        lambda: jpeg(subsampling=2),
        suffix=".jpg",
        right=PICTURE,
        tolerance=2 * LOSSY,
    )
    yield Case(
        "12 bit jpeg",
        "JPEG whose header says 12 bits",
        lambda: jpeg().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
        suffix=".jpg",
        refused=f"{DAMAGED}|{NO_IMAGE}",
    )
    yield Case(
        "arithmetic jpeg",
        "header says arithmetic coding",
        lambda: jpeg().replace(b"\xff\xc0\0\x11", b"\xff\xc9\0\x11"),
        suffix=".jpg",
    )
    yield Case(
        "lossless jpeg",
        "header says lossless",
        lambda: jpeg().replace(b"\xff\xc0\0\x11", b"\xff\xc3\0\x11"),
        suffix=".jpg",
        refused=f"{DAMAGED}|{NO_IMAGE}",
    )
    turns: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda a: a,
        np.fliplr,
        lambda a: np.rot90(a, 2),
        np.flipud,
        lambda a: a.swapaxes(0, 1),
        lambda a: np.rot90(a, 1),
        lambda a: np.rot90(a.swapaxes(0, 1), 2),
        lambda a: np.rot90(a, -1),
    ]
    for number, turn in enumerate(turns, 1):
        stored = np.ascontiguousarray(turn(PICTURE))
        exif = Image.Exif()
        exif[0x0112] = number
        yield Case(
            f"turned {number}",
            f"JPEG of EXIF orientation {number}",
            lambda stored=stored, exif=exif: saved(stored, "JPEG", quality=98, subsampling=0, exif=exif),
            **lossy,
        )
    broken = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(range(64))
    yield Case("broken exif", "JPEG with nonsense for EXIF", lambda: jpeg(exif=broken), **lossy)
    yield Case(
        "short exif",
        "JPEG whose EXIF data are cut off",
        lambda: jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0"),
        **lossy,
    )
    yield Case(
        "broken exif png",
        "PNG with nonsense for EXIF",
        lambda: png(PICTURE, before=chunk(b"eXIf", broken[6:])),
        right=PICTURE,
    )
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield Case("profile", "JPEG with a colour profile", lambda: jpeg(icc_profile=profile), **lossy)
    yield Case("broken profile", "JPEG with half a profile", lambda: jpeg(icc_profile=profile[:99]), **lossy)
    yield Case(
        "profile in png", "PNG with a colour profile", lambda: saved(PICTURE, "PNG", icc_profile=profile), right=PICTURE
    )
    yield Case(
        "broken profile in png",
        "PNG with a profile that cannot be unpacked",
        lambda: png(PICTURE, before=chunk(b"iCCP", b"x\0\0no zlib here")),
        right=PICTURE,
    )
    yield Case(
        "mpo",
        "a phone's photo of two pictures",
        lambda: saved(PICTURE, "MPO", quality=98, subsampling=0, **_two()),
        **lossy,
    )
    yield Case(
        "broken mpo",
        "the same, its table overwritten",
        lambda: saved(PICTURE, "MPO", quality=98, subsampling=0, **_two()).replace(b"MPF\0II*\0", b"MPF\0XX*\0"),
        **lossy,
    )
    yield Case("two jpegs", "one JPEG behind another", lambda: jpeg() + saved(255 - PICTURE, "JPEG"), **lossy)
    yield Case("pages", "TIFF of two pages", lambda: saved(PICTURE, "TIFF", **_two()), suffix=".tif", right=PICTURE)
    yield Case("animated png", "PNG of two pictures", lambda: saved(PICTURE, "PNG", **_two()), right=PICTURE)
    yield Case(
        "animated webp",
        "WebP of two pictures",
        lambda: saved(PICTURE, "WEBP", lossless=True, **_two()),
        suffix=".webp",
        right=PICTURE,
    )
    yield Case(
        "webp",
        "lossy WebP",
        lambda: saved(PICTURE, "WEBP", quality=98),
        suffix=".webp",
        right=PICTURE,
        tolerance=2 * LOSSY,
    )
    yield Case(
        "lossless webp", "lossless WebP", lambda: saved(PICTURE, "WEBP", lossless=True), suffix=".webp", right=PICTURE
    )
    yield Case(
        "webp with alpha",
        "WebP with alpha",
        lambda: saved(np.dstack([PICTURE, SLOPE]), "WEBP", lossless=True, exact=True),
        suffix=".webp",
        right=over_white(PICTURE, SLOPE),
        tolerance=1,
    )
    raw = PICTURE.tobytes()
    tif: dict[str, Any] = {"suffix": ".tif", "right": PICTURE}
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "tiff_adobe_deflate", "lzma", "zstd"):
        yield Case(
            f"tiff {compression}",
            "packed TIFF",
            lambda compression=compression: _packed_tiff(compression),
            refused=None if compression != "zstd" else "cannot be read",
            **tif,
        )
    yield Case(
        "tiff fax",
        "TIFF of one bit, packed as a fax",
        lambda: saved(BITS, "TIFF", compression="group4"),
        suffix=".tif",
        right=rgb(BITS * 255),
    )
    yield Case(
        "tiff jpeg",
        "TIFF with a JPEG in it",
        lambda: saved(PICTURE, "TIFF", compression="jpeg", quality=98),
        suffix=".tif",
        right=PICTURE,
        tolerance=2 * LOSSY,
    )
    yield Case("tiled tiff", "TIFF of four tiles", tiled, **tif)
    yield Case("big tiff", "TIFF for more than 4 GB", lambda: tiff(raw, big=True), **tif)
    yield Case("big endian tiff", "TIFF, big end first", lambda: tiff(raw, order=">"), **tif)
    yield Case(
        "planes",
        "TIFF of one plane a colour",
        lambda: tiff(
            np.ascontiguousarray(PICTURE.transpose(2, 0, 1)).tobytes(),
            more={284: (3, [2]), 273: (4, [0, 414, 828]), 279: (4, [414] * 3)},
        ),
        **tif,
    )
    yield Case(
        "white is zero",
        "TIFF whose 0 is white",
        lambda: tiff((255 - GREY).tobytes(), bits=(8,), photometric=0),
        suffix=".tif",
        right=rgb(GREY),
    )
    yield Case(
        "tiff of four bits",
        "TIFF of 16 levels",
        lambda: tiff(b"".join(packed(FOUR, 4)), bits=(4,), photometric=1),
        suffix=".tif",
        right=rgb(FOUR * 17),
    )
    yield Case(
        "tiff palette",
        "TIFF with a palette",
        lambda: tiff(
            FOUR.tobytes(),
            bits=(8,),
            photometric=3,
            more={
                320: (3, [int(v) * 257 for c in range(3) for v in np.resize(np.append(PALETTE[:, c], [0] * 240), 256)])
            },
        ),
        suffix=".tif",
        right=PALETTE[FOUR],
    )
    yield Case(
        "tiff upside down", "TIFF of orientation 4", lambda: tiff(PICTURE[::-1].tobytes(), more={274: (3, [4])}), **tif
    )
    bgr = [row[:, ::-1].tobytes() for row in PICTURE]
    yield Case("bmp", "BMP from the bottom up", lambda: bmp(bgr, 24), suffix=".bmp", right=PICTURE)
    yield Case(
        "bmp top down", "BMP from the top down", lambda: bmp(bgr, 24, top_down=True), suffix=".bmp", right=PICTURE
    )
    table = np.column_stack([PALETTE[:, ::-1], np.zeros(16, np.uint8)]).astype(np.uint8).tobytes() + bytes(4 * 240)
    rows = [run_lengths(row) for row in FOUR]
    yield Case(
        "bmp runs",
        "BMP packed by runs",
        lambda: bmp(rows, 8, compression=1, tables=table),
        suffix=".bmp",
        right=PALETTE[FOUR],
    )
    words, colours = fives(PICTURE, 5)
    yield Case(
        "bmp 555",
        "BMP of 15 bits",
        lambda: bmp([row.astype("<u2").tobytes() for row in words], 16),
        suffix=".bmp",
        right=colours,
        tolerance=1,
    )
    words6, colours6 = fives(PICTURE, 6)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    yield Case(
        "bmp 565",
        "BMP of 16 bits with a table",
        lambda: bmp([row.astype("<u2").tobytes() for row in words6], 16, compression=3, tables=masks),
        suffix=".bmp",
        right=colours6,
        tolerance=1,
    )
    fourth = [np.dstack([row[None, :, ::-1], np.zeros((1, WIDTH), np.uint8)]).tobytes() for row in PICTURE]
    yield Case("bmp 32", "BMP with a fourth byte of 0", lambda: bmp(fourth, 32), suffix=".bmp", right=PICTURE)
    yield Case("wrong suffix", "PNG named .jpg", lambda: png(PICTURE), suffix=".jpg", right=PICTURE)
    yield Case("wrong suffix too", "JPEG named .png", jpeg, right=PICTURE, tolerance=LOSSY)


def _two() -> dict[str, Any]:
    return {"save_all": True, "append_images": [Image.fromarray(255 - PICTURE)]}


def _packed_tiff(compression: str) -> bytes:
    return saved(PICTURE, "TIFF", compression=compression)


def geometry() -> Iterator[Case]:
    for height, width in ((1, 1), (1, 97), (97, 1), (1, 65000), (65000, 1), (31, 37), (2, 2)):
        pixels = picture(height, width)
        yield Case(f"{height} x {width}", "an odd size", lambda pixels=pixels: png(pixels), right=pixels)
        if max(height, width) < 100:
            yield Case(
                f"{height} x {width} jpeg",
                "an odd size",
                lambda pixels=pixels: saved(pixels, "JPEG", quality=98, subsampling=0),
                suffix=".jpg",
                right=pixels,
                tolerance=40,
            )
    for name, size in (("no width", (HEIGHT, 0)), ("no height", (0, WIDTH)), ("no size", (0, 0))):
        yield Case(
            f"{name} png",
            "header without pixels",
            lambda size=size: png(PICTURE, size=size),
            refused=f"{NO_IMAGE}|no pixels|{DAMAGED}",
        )
        yield Case(
            f"{name} tiff",
            "header without pixels",
            lambda size=size: tiff(PICTURE.tobytes(), size),
            suffix=".tif",
            refused=f"{NO_IMAGE}|no pixels|{DAMAGED}",
        )
    many = "has more than .* pixels; make it smaller"
    yield Case(
        "400 million pixels",
        "a tiny file of a huge picture",
        lambda: png(np.zeros((1, 20000), np.uint8), 1, 0, size=(20000, 20000)),
        refused=many,
    )
    yield Case(
        "4 billion squared",
        "the largest header there is",
        lambda: png(PICTURE, size=(2**31 - 1, 2**31 - 1)),
        refused=f"{many}|{DAMAGED}|{NO_IMAGE}",
    )
    yield Case(
        "huge tiff",
        "a TIFF's header of 4 billion rows",
        lambda: tiff(PICTURE.tobytes(), (2**32 - 1, 2**32 - 1)),
        suffix=".tif",
        refused=f"{many}|{DAMAGED}|{NO_IMAGE}",
    )
    yield Case(
        "huge webp",
        "a WebP's header of 268 million pixels",
        lambda: saved(PICTURE, "WEBP", lossless=True).replace(_webp_size(WIDTH, HEIGHT), _webp_size(16384, 16384)),
        suffix=".webp",
        refused=f"{many}|{DAMAGED}|{NO_IMAGE}",
    )
    yield Case(
        "more rows than there are", "header that promises too much", lambda: png(PICTURE, size=(HEIGHT + 9, WIDTH))
    )
    yield Case(
        "fewer rows than there are",
        "header that promises too little",
        lambda: png(PICTURE, size=(HEIGHT - 9, WIDTH)),
        right=PICTURE[:-9],
        refused=DAMAGED,
    )
    yield Case(
        "wider than it is",
        "header that promises wider rows",
        lambda: png(PICTURE, size=(HEIGHT, WIDTH + 9)),
        refused=DAMAGED,
    )
    size = struct.pack(">HH", HEIGHT, WIDTH)
    yield Case(
        "taller jpeg",
        "JPEG that promises more rows",
        lambda: jpeg().replace(size, struct.pack(">HH", 10 * HEIGHT, WIDTH)),
        suffix=".jpg",
    )
    yield Case(
        "taller tiff",
        "TIFF that promises more rows",
        lambda: tiff(PICTURE.tobytes(), (2 * HEIGHT, WIDTH)),
        suffix=".tif",
        refused=DAMAGED,
    )
    yield Case(
        "taller bmp",
        "BMP that promises more rows",
        lambda: bmp([row[:, ::-1].tobytes() for row in PICTURE], 24).replace(
            struct.pack("<ii", WIDTH, HEIGHT), struct.pack("<ii", WIDTH, 2 * HEIGHT)
        ),
        suffix=".bmp",
        refused=DAMAGED,
    )


def _webp_size(width: int, height: int) -> bytes:
    """The first bytes of a lossless WebP's data: a signature, and 14 bits each."""
    return b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)


WHOLE: dict[str, Callable[[], bytes]] = {
    "png": lambda: png(PICTURE),
    "jpg": jpeg,
    "progressive.jpg": lambda: jpeg(progressive=True),
    "tif": lambda: tiff(PICTURE.tobytes()),
    "lzw.tif": lambda: _packed_tiff("tiff_lzw"),
    "bmp": lambda: bmp([row[:, ::-1].tobytes() for row in PICTURE], 24),
    "webp": lambda: saved(PICTURE, "WEBP", lossless=True),
}


def damage() -> Iterator[Case]:
    for suffix, make in WHOLE.items():
        for share in (0.02, 0.25, 0.5, 0.75, 0.9):
            yield Case(
                f"{share:.0%} of {suffix}",
                "cut off",
                lambda make=make, share=share: (lambda data: data[: max(2, int(share * len(data)))])(make()),
                suffix=f".{suffix}",
                refused=f"{DAMAGED}|{NO_IMAGE}",
            )
        yield Case(
            f"all but a byte of {suffix}",
            "the last byte is missing",
            lambda make=make: make()[:-1],
            suffix=f".{suffix}",
            right=PICTURE,
            tolerance=LOSSY if "jpg" in suffix else 0,
            refused=f"{DAMAGED}|{NO_IMAGE}",
        )
        yield Case(
            f"garbage after {suffix}",
            "a kilobyte behind the end",
            lambda make=make: make() + bytes(range(256)) * 4,
            suffix=f".{suffix}",
            right=PICTURE,
            tolerance=LOSSY if "jpg" in suffix else 0,
        )
        yield Case(
            f"zeros in {suffix}",
            "its second half is zeros, as a broken copy leaves it",
            lambda make=make: (lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2))(make()),
            suffix=f".{suffix}",
            refused=None,
        )
    no: dict[str, Any] = {"refused": NO_IMAGE}
    yield Case("empty", "no bytes", lambda: b"", refused=r"is empty \(0 bytes\); copy it again or delete it")
    yield Case("one byte", "one byte", lambda: b"\x89", **no)
    for suffix, magic in (
        ("png", PNG),
        ("jpg", b"\xff\xd8\xff"),
        ("bmp", b"BM"),
        ("tif", b"II*\0"),
        ("webp", b"RIFF\x24\0\0\0WEBPVP8L"),
    ):
        yield Case(
            f"magic of {suffix}",
            "its first bytes and no more",
            lambda magic=magic: magic,
            suffix=f".{suffix}",
            refused=f"{NO_IMAGE}|{DAMAGED}",
        )
    plain = PALETTE[FOUR]
    for kind in (b"IHDR", b"PLTE", b"IDAT"):
        yield Case(
            f"flipped {kind.decode()}",
            "one bit of a chunk",
            lambda kind=kind: flipped(_with_chunks(), kind, 6),
            refused=f"{DAMAGED}|{NO_IMAGE}",
        )
    for kind in (b"gAMA", b"pHYs", b"tRNS", b"tEXt"):
        yield Case(
            f"flipped {kind.decode()}",
            "one bit of a chunk",
            lambda kind=kind: flipped(_with_chunks(), kind, 2),
            right=plain,
            refused=f"{DAMAGED}|{NO_IMAGE}",
        )
    yield Case(
        "flipped name",
        "one bit of a chunk's name",
        lambda: flipped(_with_chunks(), b"gAM"),
        right=plain,
        refused=f"{DAMAGED}|{NO_IMAGE}",
    )
    yield Case(
        "flipped pixel",
        "one bit of a pixel that is not packed",
        lambda: flipped(png(PICTURE, level=0), b"IDAT", 99),
        refused=DAMAGED,
    )
    yield Case(
        "flipped checksum",
        "bad CRC of the pixels",
        lambda: png(PICTURE, end=b"")[:-1] + b"x" + chunk(b"IEND"),
        right=PICTURE,
        refused=DAMAGED,
    )
    yield Case("no end", "PNG without its last chunk", lambda: png(PICTURE, end=b""), right=PICTURE, refused=DAMAGED)
    yield Case(
        "two headers",
        "PNG with a second header",
        lambda: PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 2, 0, 0, 0)) + png(PICTURE)[8:],
        right=PICTURE,
        refused=DAMAGED,
    )
    yield Case(
        "no pixels at all",
        "PNG without IDAT",
        lambda: PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 2, 0, 0, 0)) + chunk(b"IEND"),
        refused=DAMAGED,
    )
    yield Case("strange depth", "PNG of 5 bits", lambda: png(GREY // 8, 5, 0), refused=f"{NO_IMAGE}|{DAMAGED}")
    bomb = zlib.compress(bytes(64 << 20), 9)
    yield Case(
        "bomb in a text",
        "64 MB in a PNG's text",
        lambda: png(PICTURE, before=chunk(b"zTXt", b"x\0\0" + bomb)),
        right=PICTURE,
        refused="Decompressed data too large|too large",
    )
    yield Case(
        "bomb in a profile",
        "64 MB in a PNG's profile",
        lambda: png(PICTURE, before=chunk(b"iCCP", b"x\0\0" + bomb)),
        right=PICTURE,
        refused="too large",
    )
    yield Case(
        "bomb of pixels",
        "64 MB behind the last pixel",
        lambda: (
            PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 2, 0, 0, 0)) + chunk(b"IDAT", bomb) + chunk(b"IEND")
        ),
        right=np.zeros((5, 5, 3), np.uint8),
        refused=DAMAGED,
    )
    yield Case(
        "text of a megabyte",
        "PNG with a long comment",
        lambda: png(PICTURE, before=chunk(b"tEXt", b"x\0" + b"y" * (1 << 20))),
        right=PICTURE,
        refused="too large|Too much",
    )
    for marker, name in (
        (b"\xff\xdb", "tables"),
        (b"\xff\xc4", "codes"),
        (b"\xff\xc0", "frame"),
        (b"\xff\xda", "scan"),
        (b"\xff\xe0", "application"),
    ):
        yield Case(
            f"flipped {name}",
            "one bit of a JPEG's segment",
            lambda marker=marker: flipped(jpeg(), marker, 2),
            suffix=".jpg",
        )
    yield Case(
        "flipped scan data", "one bit of a JPEG's pixels", lambda: flipped(jpeg(), b"\xff\xda", 60), suffix=".jpg"
    )
    yield Case("loop of pages", "TIFF whose next page is the first", _loop, suffix=".tif", right=PICTURE)
    yield Case(
        "strip beyond the end",
        "TIFF whose pixels lie nowhere",
        lambda: tiff(PICTURE.tobytes(), more={273: (4, [10**9])}),
        suffix=".tif",
        refused=DAMAGED,
    )
    for name, start in FOREIGN.items():
        yield Case(f"{name} as png", f"{name} under the name of a PNG", lambda start=start: start(), **no)


def _with_chunks() -> bytes:
    """A PNG with a palette and some chunks that are not needed."""
    before = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"pHYs", bytes(9)) + chunk(b"PLTE", PALETTE.tobytes())
    return png(FOUR, 8, 3, before=before + chunk(b"tRNS", b"\xff" * 16), after=chunk(b"tEXt", b"Title\0x"))


def _loop() -> bytes:
    data = tiff(PICTURE.tobytes())
    return data[:-4] + data[4:8]


def _zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", png(PICTURE))
    return out.getvalue()


def _boxes(brand: bytes) -> bytes:
    """The beginning of a picture as phones write it: HEIC, AVIF."""
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1" + brand + struct.pack(">I", 8) + b"mdat"


FOREIGN: dict[str, Callable[[], bytes]] = {
    "gif": lambda: saved(GREY, "GIF"),
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
    "pdf": lambda: b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "html": lambda: b"<!DOCTYPE html><title>404 Not Found</title>",
    "text": lambda: b"version https://git-lfs.github.com/spec/v1\nsize 12345\n",
    "zip": _zipped,
    "heic": lambda: _boxes(b"heic"),
    "avif": lambda: _boxes(b"avif"),
    "jpeg 2000": lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
    "zeros": lambda: bytes(4096),
    "numpy": lambda: b"\x93NUMPY\x01\0v\0{'descr': '|u1', 'fortran_order': False, 'shape': (9, 9)}\n",
}


def file_system() -> Iterator[Case]:
    whole = png(PICTURE)
    named = {
        "emoji": "\N{MICROSCOPE}\N{CAT FACE}.png",
        "right to left": "\u202egnp.exe.png",
        "leading dash": "-rf.png",
        "leading tilde": "~root.png",
        "blanks": "  a  b .png",
        "250 letters": "x" * 246 + ".png",
        "quotes": "a'b\"c`$(d).png",
        "percent": "%s%n{0}.png",
        "brackets": "[a]*?.png",
        "not utf-8": b"\xff\xfe-\xe4.png",
        "line break": "a\nb\tc.png",
        "escape": "\x1b[31ma.png",
        "trailing dot": "a.png.",
        "no suffix": "a",
        "loud suffix": "LOUD.PNG",
        "two suffixes": "a.tar.gz.png",
    }
    for name, file in named.items():
        yield Case(f"name with {name}", "an odd name", lambda: whole, file=file, right=PICTURE)
    yield Case(
        "folder",
        "a folder named as a PNG",
        place=Path.mkdir,
        file="folder.png",
        refused="is a folder, not an image|holds no images",
    )
    yield Case(
        "broken link",
        "a link to nothing",
        place=lambda path: path.symlink_to("nowhere.png"),
        refused="is a link that leads nowhere",
    )
    yield Case(
        "self link",
        "a link to itself",
        place=lambda path: path.symlink_to(path.name),
        refused="is a link that leads back to itself",
    )
    yield Case("good link", "a link to a picture", place=_linked, right=PICTURE)
    yield Case("pipe", "a named pipe", place=lambda path: os.mkfifo(path), refused="is a named pipe, not a file")
    yield Case(
        "device",
        "a device",
        place=lambda path: path.symlink_to("/dev/zero") if Path("/dev/zero").exists() else _unable(),
        refused="is a device, not a file",
    )
    yield Case("locked", "a file without rights", place=_locked, refused="cannot be read .*Permission denied")
    yield Case("missing", "nothing of this name", place=lambda path: None, refused="does not exist; check the name")
    yield Case(
        "file taken for a folder",
        "a path that goes through a file",
        place=_through,
        file="through.png/a.png",
        refused="does not exist; check the name",
    )


def _linked(path: Path) -> None:
    target = path.with_name(f"target_of_{path.stem}.bin")
    target.write_bytes(png(PICTURE))
    path.symlink_to(target.name)


def _through(path: Path) -> None:
    path.parent.write_bytes(png(PICTURE))


def _unable() -> None:
    raise NotImplementedError


def _locked(path: Path) -> None:
    path.write_bytes(png(PICTURE))
    path.chmod(0)
    if os.access(path, os.R_OK):  # Windows, or root
        path.unlink()
        raise NotImplementedError


def cases() -> list[Case]:
    return [*modes(), *containers(), *geometry(), *damage(), *file_system()]


def odd_images(folder: Path) -> list[Odd]:
    """Write all odd files that this machine can have into a folder, and say what is expected of each."""
    folder.mkdir(parents=True, exist_ok=True)
    return [odd for case in cases() if (odd := case.write(folder)) is not None]


# ---- what the library makes of them ----------------------------------------------------------------------------


@dataclass
class Answer:
    """What came of one question: a value, or an error; and the warnings on the way."""

    value: Any = None
    error: str = ""
    kind: str = ""  # of the error, by name
    warned: tuple[str, ...] = ()


def ask(question: Callable[[], Any]) -> Answer:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        answer = Answer()
        try:
            answer.value = question()
        except Exception as error:  # whatever it is, the test names it
            answer.error, answer.kind = str(error), type(error).__name__
        answer.warned = tuple(f"{w.category.__name__}: {w.message}" for w in heard)
    return answer


def read_all(folder: Path, out: Path) -> None:
    """Ask four questions about each file. Each answer is on disk before the next file is opened.

    What hangs or ends the process is thus the file behind the last answer.
    """
    import torch

    from mrkd_edu import MRKD
    from mrkd_edu.data import image_size, read_image, read_mask

    torch.set_num_threads(1)
    model = MRKD(variant="rd", size=64, pretrained=False)
    with out.open("wb") as file:
        for odd in odd_images(folder):
            questions: dict[str, Callable[[Path], Any]] = {
                "read_image": read_image,
                "image_size": image_size,
                "read_mask": read_mask,
                "predict": model.predict,
            }
            pickle.dump((odd, {name: ask(partial(q, odd.file)) for name, q in questions.items()}), file)
            file.flush()


def main() -> None:
    folder = Path(sys.argv[1])
    if sys.argv[2:3] == ["--read"]:
        read_all(folder, Path(sys.argv[3]))
        return
    for odd in odd_images(folder):
        expected = "a picture" if odd.right is not None else "a refusal" if odd.refused else "either"
        print(f"{odd.name:32} {odd.what:44} {expected:10} {os.fsencode(odd.file.name)!r:.60}")


if __name__ == "__main__":
    main()
