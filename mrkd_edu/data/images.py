"""Reading pictures: one image, or one mask.

Whatever is in the file, the rest of the library sees only two things: an image is `uint8` RGB of shape
`(H, W, 3)`, a mask is `bool` of shape `(H, W)` and True on the defect. This file knows nothing of data sets
(see `folder.py`), nothing of many images at once (`stack.py`), and nothing of the normalisation that a teacher wants
(the teacher does that itself).
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from scipy import ndimage

from mrkd_edu.data.files import DataError, as_path, check_file, entries
from mrkd_edu.data.masks import defect_pixels
from mrkd_edu.data.pixels import channels_last, from_array, orientation, to_rgb, upright

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp")
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")  # PIL's names; a phone's MPO begins with a JPEG, and is opened as one
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP")  # their pixels are only nearly what was saved
BITS_12 = 4095  # 16-bit pictures none of whose pixels is brighter hold 12 bits, or 10
UNHEARD = ("ignore", None, Warning, re.compile(r"PIL\."), 0)  # a line of `warnings.filters`
# What `read_image` takes: a file, a PIL image, an array or a tensor.
ImageSource = str | os.PathLike[str] | Image.Image | np.ndarray | torch.Tensor


def read_image(source: ImageSource, size: int | None = None) -> np.ndarray:
    """Read one image, whatever its format, as 8-bit RGB.

    Transparent pixels become white, unless all are. 16-bit values are divided by 257, a fixed scale, so that two
    images stay comparable (of 16-bit colours in a file Pillow keeps the upper byte, one level off at most); files
    that keep 12-bit data in 16 bits therefore come out nearly black: rescale them first (times 16), or pass an array
    of floats, values / 4095. (`AnomalyFolder` and `predict` refuse a set of such.) A photo that carries an EXIF
    rotation is turned upright. Of several pages or frames the first is taken. A file, the PIL image, array or tensor
    of the same pixels all give the same result.

    Args:
        source: A file (jpg, png, bmp, tif, webp); a PIL image; an array `(H, W)` or `(H, W, 1 | 3 | 4)` of
            `uint8`, `uint16`, `bool` or floats in [0, 1]; or a tensor `(H, W)` or `(1 | 3 | 4, H, W)` of the
            same types. Of four channels the last is the alpha channel.
        size: If given, the image is resized to `size` x `size` pixels (bilinear, antialiased). The aspect
            ratio is not kept, as in the papers.

    Returns:
        The image, `uint8` of shape `(H, W, 3)`, which shares no memory with `source`.

    Raises:
        DataError: The file is missing, empty, damaged, too large or of another format, or the array has a wrong
            shape, type or range.

    Example:
        >>> import numpy as np
        >>> grey = np.linspace(0, 1, 6).reshape(2, 3)
        >>> read_image(grey).shape
        (2, 3, 3)
        >>> read_image(grey)[0, :, 0].tolist()
        [0, 51, 102]
        >>> read_image(grey, size=8).shape
        (8, 8, 3)
    """
    check_size(size)
    if isinstance(source, (str, os.PathLike)):
        path = as_path(source)
        with opened(path, whole=True) as image:
            # No `draft`: it would decode a JPEG file at a reduced scale, and give other pixels than its own array.
            rgb = to_rgb(upright(image), str(path))
    elif isinstance(source, Image.Image):
        with explained("the PIL image"):
            rgb = to_rgb(upright(source), "the PIL image")
    elif isinstance(source, torch.Tensor):
        rgb = to_rgb(from_array(channels_last(source), "the tensor"), "the tensor")
    elif isinstance(source, np.ndarray):
        rgb = to_rgb(from_array(source, "the array"), "the array")
    else:
        raise DataError(
            f"an image cannot be read from a {type(source).__name__}; "
            "give a file name, a PIL image, an array or a tensor"
        )
    if size is not None:
        rgb = rgb.resize((size, size), Image.Resampling.BILINEAR)
    return np.array(rgb)  # (H, W, 3) uint8


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The height and width of an image file once it stands upright; reads only the file's header.

    Args:
        path: The image file.

    Returns:
        `(H, W)` in pixels, as `read_image(path)` would have them.

    Raises:
        DataError: The file is missing, empty or no image.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (40, 30)).save(f"{folder}/a.png")
        ...     image_size(f"{folder}/a.png")
        (30, 40)
    """
    with opened(as_path(path)) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # of a TIFF, `size` is upright in new versions of PIL
            width, height = (image.tag_v2[tag] for tag in (TiffImagePlugin.IMAGEWIDTH, TiffImagePlugin.IMAGELENGTH))
        lying = orientation(image) >= 5  # EXIF orientations 5 to 8 swap height and width
        return (width, height) if lying else (height, width)


def refuse_dark_16_bits(sources: Sequence[Any], whose: str) -> None:
    """Refuse pictures of 16 bits that hold 12 bits or fewer, and would be read nearly black.

    One dark picture among bright ones may be dark. So all are looked at together, or eight of many.

    Args:
        sources: as for `read_image`.
        whose: what they are, for the message.

    Raises:
        DataError: a file cannot be read, or the brightest pixel of all 16-bit pictures is that dark.

    Example:
        >>> refuse_dark_16_bits([np.full((2, 2), 4095, np.uint16)], "your images")
        Traceback (most recent call last):
        mrkd_edu.data.files.DataError: the 16-bit pictures of your images are nearly black: ... Multiply ... by 16
    """
    some = sources[:: max(1, -(-len(sources) // 8))]
    known = [value for source in some if (value := brightest_of_16_bits(source)) is not None]
    if known and 0 < max(known) <= BITS_12:
        bits = max(max(known).bit_length(), 8)
        raise DataError(
            f"the 16-bit pictures of {whose} are nearly black: the brightest pixel of {len(known)} of them is "
            f"{max(known)} of 65535, so they hold {bits} bits. Multiply their values by {2 ** (16 - bits)}"
        )


def brightest_of_16_bits(source: Any) -> int | None:
    """The largest value of a picture with 16 bits for each pixel; None for any other picture."""
    if isinstance(source, torch.Tensor):
        return int(channels_last(source).max()) if source.numel() and source.dtype == torch.uint16 else None
    if isinstance(source, np.ndarray):  # in either order of its bytes
        return int(source.max()) if source.size and source.dtype in (np.dtype("<u2"), np.dtype(">u2")) else None
    if not isinstance(source, (str, os.PathLike, Image.Image)):
        return None  # reading it will say what is wrong with it
    with contextlib.nullcontext(source) if isinstance(source, Image.Image) else opened(as_path(source)) as image:
        if image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PNG"):
            return int(np.asarray(image).max())
        tiles = getattr(image, "tile", ())  # how the pixels are stored, until they are decoded
        if image.mode in ("RGB", "RGBA") and image.format in ("PNG", "TIFF") and any(";16" in str(t) for t in tiles):
            upper = int(np.asarray(image.convert("RGB")).max())  # of 16-bit colours Pillow keeps the upper byte
            return upper and upper << 8 | 255
        return None


def check_size(size: int | None) -> None:
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1 pixel, not {size}")


@contextlib.contextmanager
def opened(path: Path, *, whole: bool = False) -> Iterator[Image.Image]:
    """PIL's view of a file. What goes wrong inside the block becomes a `DataError` with the file's name.

    Args:
        path: the file.
        whole: all of it is wanted, not only its header.
    """
    with explained(str(path)):
        check_file(path)
        # Without `formats` PIL tries all that it knows, and starts Ghostscript for some. Given a path, not a file,
        # it maps raw pixels into memory, and then (Pillow 13) mixes up the rows of a grey TIFF that lies on its side.
        with path.open("rb") as file:
            if whole:
                _check_sums(file)
            with Image.open(file, formats=FORMATS) as image:
                limit = Image.MAX_IMAGE_PIXELS  # PIL warns from here on, and refuses only at twice as many
                if limit is not None and image.width * image.height > limit:
                    raise Image.DecompressionBombError
                yield image


def _check_sums(file: BinaryIO) -> None:
    """Refuse a PNG whose pixels are not those of its checksum, at which Pillow does not look.

    It stops at the last pixel that it wants: a file whose second half is zeros can still give a picture.
    """
    if file.read(8) == b"\x89PNG\r\n\x1a\n":
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IEND":
                break
            if kind != b"IDAT":
                file.seek(length + 4, os.SEEK_CUR)
            elif zlib.crc32(file.read(length), zlib.crc32(kind)) != int.from_bytes(file.read(4), "big"):
                raise OSError("the checksum of its pixels is wrong")
    file.seek(0)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Without Pillow's warnings: of EXIF data that nobody needs, or of damage for which there is an error.

    Not `warnings.catch_warnings`: files are decoded in several threads, which share one list of filters, and the last
    to leave would put back what another one had set. Here each adds a line to that list, and takes one away.
    """
    cast(list, warnings.filters).insert(0, UNHEARD)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # somebody has put another list in its place
            cast(list, warnings.filters).remove(UNHEARD)


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn PIL's many errors into a `DataError` that says what to do."""
    try:
        with _unheard():
            yield
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{name} has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels; "
            "make it smaller, cut it into tiles, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file"
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{name} is not an image that can be read, whatever its name says: it is none of {', '.join(FORMATS)}; "
            "save it again as PNG or JPEG, copy it again if its beginning may be damaged, or delete it"
        ) from error
    except PermissionError as error:
        raise DataError(f"{name} cannot be read ({error.strerror}); give it other rights, or copy it") from error
    except Exception as error:  # a damaged file can fail with almost any error, deep inside a decoder
        raise DataError(
            f"{name} cannot be read ({error or type(error).__name__}): it may be damaged or cut off; "
            "copy it again, save it again as PNG or JPEG, or delete it"
        ) from error


def read_mask(
    path: str | os.PathLike[str], size: int | None = None, expect: tuple[int, int] | None = None
) -> np.ndarray:
    """Read a ground-truth mask. What of it is the defect its content decides, see `masks.py`.

    Few levels or colours are names, and all but the background are defect: 0 and 1, 0 and 255, a number for each
    kind, red on white. Many levels are noise or a soft edge: the upper half is defect. Paint of one colour on a
    transparent layer counts where it is opaque; else an alpha channel is ignored, as is NaN.

    When the mask is resized, a pixel is defect if at least half of its area was. A region too small or too
    thin to cover half a pixel anywhere keeps every pixel it touches: a small defect never vanishes.

    Args:
        path: The mask file.
        size: If given, the mask is resized to `size` x `size` pixels.
        expect: The `(H, W)` of the mask's image before resizing; see `image_size`.

    Returns:
        The mask, `bool` of shape `(H, W)`, True on the defect. It may be all False.

    Raises:
        DataError: The file cannot be read, its size is not `expect`, or every pixel of it is defect.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mask = Image.new("L", (100, 100))
        ...     mask.putpixel((50, 50), 255)  # one pixel of 10000
        ...     mask.save(f"{folder}/mask.png")
        ...     int(read_mask(f"{folder}/mask.png", size=10).sum())
        1
    """
    check_size(size)
    path = as_path(path)
    with opened(path, whole=True) as image:
        lossy = image.format in LOSSY_FORMATS
        image = upright(image)
        if image.mode in ("1", "L", "F") or image.mode.startswith("I"):
            values = np.asarray(image)  # (H, W)
        else:
            values = np.asarray(image.convert("RGBA"))  # (H, W, 4)
    mask = defect_pixels(values, lossy)
    if mask.all():
        raise DataError(
            f"the mask {path} marks every pixel as defect; a mask is black where the image is normal and white on the "
            "defect: draw it anew, or invert it if it is the other way round"
        )
    if expect is not None and mask.shape != tuple(expect):
        raise DataError(
            f"the mask {path} is {mask.shape[0]} x {mask.shape[1]} pixels (height x width), "
            f"its image {expect[0]} x {expect[1]}; save the mask in the size of its image"
        )
    return mask if size is None else _resize_mask(mask, size)


def _resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """A new pixel is defect where half of the old ones in it are; a region that nowhere is keeps all that it touches.

    Pillow counts the old pixels whose middle lies in a new one, and so would lose one whose middle is on the border of
    two. What a region touches is therefore counted exactly, in whole numbers. The area itself is not: with exact shares
    thin cracks break into more pieces (83 in place of 77 on `commutator`, at 192 pixels; the masks have 51), and each
    counts in AUPRO.
    """
    share = Image.fromarray(mask.astype(np.float32)).resize((size, size), Image.Resampling.BOX)  # float: 8 bits round
    half = np.asarray(share) >= 0.5 - 1e-6  # (size, size)
    touched = _touched(_touched(mask, size).T, size).T  # (size, size)
    regions, _ = ndimage.label(touched | half, structure=np.ones((3, 3)))
    lost = touched & ~np.isin(regions, regions[half])
    return half | lost


def _touched(mask: np.ndarray, size: int) -> np.ndarray:
    """Which of `size` new rows a defect of the old ones reaches into: (n, m) bool to (size, m) bool.

    Example:
        >>> _touched(np.array([[False], [True], [False]]), 2).T.tolist()  # three rows to two, of one and a half each
        [[True, True]]
    """
    n, new = len(mask), np.arange(size)
    first, behind = new * n // size, -(-(new + 1) * n // size)
    counted = np.concatenate([np.zeros((1, mask.shape[1]), np.int32), mask.cumsum(axis=0, dtype=np.int32)])
    return counted[behind] > counted[first]


def as_batch(images: Sequence[np.ndarray]) -> torch.Tensor:
    """Images (H, W, 3) uint8 of one size to a batch (B, 3, H, W)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files directly in a folder, in natural order (`2.png` before `10.png`).

    Args:
        folder: The folder to look into; its subfolders are not searched.

    Returns:
        The paths of all files that end in one of `IMAGE_SUFFIXES`, in upper or lower case. Hidden files are
        left out; what is no ordinary file (a broken link, a pipe) is not: reading it says what is wrong.

    Raises:
        DataError: The folder does not exist or cannot be opened.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("10.png", "2.PNG", "notes.txt", ".hidden.png"):
        ...         Path(folder, name).touch()
        ...     [path.name for path in list_images(folder)]
        ['2.PNG', '10.png']
    """
    named = [path for path in entries(as_path(folder)) if path.name.lower().endswith(IMAGE_SUFFIXES)]
    # not isdir() rather than isfile(): a broken link or a pipe is listed, and reading it says what is wrong
    found = [path for path in named if not path.name.startswith(".") and not os.path.isdir(path)]
    return sorted(found, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> tuple[list[str | int], str]:
    """A sort key that compares the numbers in a name as numbers.

    Example:
        >>> sorted(["img10", "img9", "Img1"], key=natural_key)
        ['Img1', 'img9', 'img10']
    """
    parts: list[str | int] = list(re.split(r"([0-9]+)", name.casefold()))  # text, digits, ..., text
    parts[1::2] = [int(digits) for digits in parts[1::2]]
    return parts, name
