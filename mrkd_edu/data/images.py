"""Reading pictures: one image, one mask, or many images of one size.

Whatever is in the file, the rest of the library sees only two things: an image is `uint8` RGB of shape
`(H, W, 3)`, a mask is `bool` of shape `(H, W)` and True on the defect. This file knows nothing of data sets
(see `folder.py`) and nothing of the normalisation that a teacher wants (the teacher does that itself).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError
from scipy import ndimage

from mrkd_edu.data.files import DataError, as_path, check_file, entries
from mrkd_edu.data.masks import defect_pixels

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp")
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")  # PIL's names; a phone's MPO begins with a JPEG, and is opened as one
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP")  # their pixels are only nearly what was saved
BITS_12 = 4095  # 16-bit pictures none of whose pixels is brighter hold 12 bits, or 10
DECODERS = min(8, os.cpu_count() or 1)  # threads; PIL lets go of the interpreter while it decodes
TURNS = {  # EXIF orientation: what makes the picture stand upright; 1 does already
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What `read_image` takes: a file, a PIL image, an array or a tensor.
ImageSource = str | os.PathLike[str] | Image.Image | np.ndarray | torch.Tensor


# ------------------------------------------------------------------------------------------------- one image


def read_image(source: ImageSource, size: int | None = None) -> np.ndarray:
    """Read one image, whatever its format, as 8-bit RGB.

    Transparent pixels become white, unless all are. 16-bit values are divided by 257, a fixed scale, so that two
    images stay comparable; files that keep 12-bit data in 16 bits therefore come out nearly black: rescale them
    first (times 16), or pass an array of floats, values / 4095. (`AnomalyFolder` refuses a set of such.) A photo
    that carries an EXIF rotation is turned upright. Of several pages or frames the first is taken. A file, the PIL
    image, array or tensor of the same pixels all give the same result.

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
    _check_size(size)
    if isinstance(source, (str, os.PathLike)):
        path = as_path(source)
        with _opened(path) as image:
            # No `draft`: it would decode a JPEG file at a reduced scale, and give other pixels than its own array.
            rgb = _to_rgb(_upright(image), str(path))
    elif isinstance(source, Image.Image):
        with _explained("the PIL image"):
            rgb = _to_rgb(_upright(source), "the PIL image")
    elif isinstance(source, torch.Tensor):
        rgb = _to_rgb(_from_array(_channels_last(source), "the tensor"), "the tensor")
    elif isinstance(source, np.ndarray):
        rgb = _to_rgb(_from_array(source, "the array"), "the array")
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
    with _opened(as_path(path)) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # of a TIFF, `size` is upright in new versions of PIL
            width, height = (image.tag_v2[tag] for tag in (TiffImagePlugin.IMAGEWIDTH, TiffImagePlugin.IMAGELENGTH))
        lying = _orientation(image) >= 5  # EXIF orientations 5 to 8 swap height and width
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
    known = [value for source in some if (value := _brightest_of_16_bits(source)) is not None]
    if known and 0 < max(known) <= BITS_12:
        bits = max(max(known).bit_length(), 8)
        raise DataError(
            f"the 16-bit pictures of {whose} are nearly black: the brightest pixel of {len(known)} of them is "
            f"{max(known)} of 65535, so they hold {bits} bits. Multiply their values by {2 ** (16 - bits)}"
        )


def _brightest_of_16_bits(source: Any) -> int | None:
    """The largest value of a picture with 16 bits for each pixel; None for any other picture."""
    if isinstance(source, torch.Tensor):
        return int(source.cpu().numpy().max()) if source.numel() and source.dtype == torch.uint16 else None
    if isinstance(source, np.ndarray):
        return int(source.max()) if source.size and source.dtype == np.uint16 else None
    if not isinstance(source, (str, os.PathLike, Image.Image)):
        return None  # reading it will say what is wrong with it
    with contextlib.nullcontext(source) if isinstance(source, Image.Image) else _opened(as_path(source)) as image:
        if not image.mode.startswith("I;16") and (image.mode, image.format) != ("I", "PNG"):
            return None
        return int(np.asarray(image).max())


def _check_size(size: int | None) -> None:
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1 pixel, not {size}")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8. What cannot be read, or means nothing, is 1."""
    if image.format == "PNG" and not any("exif" in str(key) for key in image.info):
        return 1  # here PIL would decode the whole PNG just to look for EXIF data behind the pixels
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a picture is not wrong because a camera wrote nonsense beside it
        return 1
    return int(found) if found in range(1, 9) else 1


def _upright(image: Image.Image) -> Image.Image:
    if _orientation(image) == 1:
        return image
    image.load()  # PIL may turn a TIFF here, and then takes the orientation away
    if (turn := TURNS.get(_orientation(image))) is None:
        return image
    turned = image.transpose(turn)
    turned.format = image.format  # `_to_rgb` asks for it
    return turned


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Any mode of PIL -> mode RGB."""
    if 0 in image.size:
        raise DataError(f"{name} has no pixels (its size is {image.height} x {image.width})")
    if image.mode == "I" and image.format != "PNG":  # 32 bits; older Pillows open a 16-bit PNG as that, too
        raise DataError(_no_scale(name))
    if image.mode == "F" or image.mode.startswith("I"):  # float; I;16 is 16-bit grey
        image = Image.fromarray(_to_uint8(np.asarray(image), name))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        rgba = image.convert("RGBA")
        if not any(rgba.getchannel("A").getextrema()):  # transparent all over: a fourth byte that is no alpha
            return rgba.convert("RGB")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    return image.convert("RGB")


def _to_uint8(values: np.ndarray, name: str) -> np.ndarray:
    """Any allowed type of pixel -> `uint8`, on a scale that is the same for every image."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(values.dtype, np.floating):
        if np.isnan(values).any():
            raise DataError(f"{name} contains NaN; replace those pixels, floats must lie in [0, 1]")
        levels = np.rint(values * 255)  # forgives what is out of range by less than half a grey level
        if levels.min() < 0 or levels.max() > 255:
            raise DataError(
                f"{name} has float pixels from {values.min():g} to {values.max():g}, outside [0, 1]; "
                "divide by the largest value that the camera can give (255 for 8-bit pictures)"
            )
        return levels.astype(np.uint8)
    if values.dtype in (np.dtype("<u2"), np.dtype(">u2"), np.dtype(np.int32)):  # PIL's I;16, I;16B, I of a PNG
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise DataError(f"{name} has pixels from {low} to {high}; save it with 8 or 16 bits per pixel")
        return ((values.astype(np.int64) + 128) // 257).astype(np.uint8)  # 65535 / 257 = 255, rounded
    raise DataError(f"{name} has the type {values.dtype}; use uint8, uint16, bool, or floats in [0, 1]")


def _no_scale(name: str) -> str:
    return (
        f"{name} has 32-bit integers, which do not tell how bright white is (255, 4095, 65535?); save it with 8 or "
        "16 bits per pixel, or give an array of uint8, of uint16, or of floats in [0, 1]"
    )


def _from_array(values: np.ndarray, name: str) -> Image.Image:
    """An array `(H, W)` or `(H, W, 1 | 3 | 4)` -> a PIL image of mode L, RGB or RGBA."""
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 and not (values.ndim == 3 and values.shape[2] in (3, 4)):
        raise DataError(
            f"{name} has the shape {values.shape}; one image is (H, W) or (H, W, 1 | 3 | 4) as an array, "
            "(H, W) or (1 | 3 | 4, H, W) as a tensor"
        )
    if 0 in values.shape:
        raise DataError(f"{name} has no pixels (its shape is {values.shape})")
    if values.dtype == np.int32:
        raise DataError(_no_scale(name))
    return Image.fromarray(np.ascontiguousarray(_to_uint8(values, name)))


def _channels_last(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy has no bfloat16
    if tensor.ndim != 3:
        return tensor.numpy()  # (H, W), or a wrong shape for which `_from_array` has the words
    if tensor.shape[0] not in (1, 3, 4):
        raise DataError(
            f"the tensor has the shape {tuple(tensor.shape)}; the channels of a tensor come first: (3, H, W)"
        )
    return tensor.permute(1, 2, 0).numpy()  # (H, W, C)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """PIL's view of a file. What goes wrong inside the block becomes a `DataError` with the file's name."""
    with _explained(str(path)):
        check_file(path)
        # Without `formats` PIL tries all that it knows, and starts Ghostscript for some. Given a path, not a file,
        # it maps raw pixels into memory, and then (Pillow 13) mixes up the rows of a grey TIFF that lies on its side.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            limit = Image.MAX_IMAGE_PIXELS  # PIL warns from here on, and refuses only at twice as many
            if limit is not None and image.width * image.height > limit:
                raise Image.DecompressionBombError
            yield image


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn PIL's many errors into a `DataError` that says what to do."""
    try:
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
            "save it again as PNG or JPEG, or delete it"
        ) from error
    except Exception as error:  # a damaged file can fail with almost any error, deep inside a decoder
        raise DataError(
            f"{name} cannot be read ({error or type(error).__name__}): it may be damaged or cut off; "
            "copy it again, save it again as PNG or JPEG, or delete it"
        ) from error


# -------------------------------------------------------------------------------------------------- one mask


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
    _check_size(size)
    path = as_path(path)
    with _opened(path) as image:
        lossy = image.format in LOSSY_FORMATS
        image = _upright(image)
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
    """Resize by area. Float, because 8 bits would round one pixel in a thousand to nothing."""
    area = Image.fromarray(mask.astype(np.float32)).resize((size, size), Image.Resampling.BOX)
    share = np.asarray(area)  # (size, size), the share of each new pixel that was defect
    half = share >= 0.5 - 1e-6
    # Regions of which nothing reaches half a pixel: keep all they touch.
    regions, _ = ndimage.label(share > 0, structure=np.ones((3, 3)))
    lost = (share > 0) & ~np.isin(regions, regions[half])
    return half | lost


# ----------------------------------------------------------------------------------------------- many images


def read_images(sources: Sequence[Any], size: int) -> list[np.ndarray]:
    """Several images as `read_image` gives them, (size, size, 3) uint8 each, decoded side by side.

    Raises:
        DataError: An image cannot be read; the message names the first of these.
    """
    if len(sources) < 2:
        return [read_image(source, size) for source in sources]
    pool = ThreadPoolExecutor(DECODERS)
    try:
        return list(pool.map(lambda source: read_image(source, size), sources))
    finally:
        pool.shutdown(cancel_futures=True)  # after an error: do not decode the rest first


def as_batch(images: Sequence[np.ndarray]) -> torch.Tensor:
    """Images (H, W, 3) uint8 of one size to a batch (B, 3, H, W)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def some_images(images: ImageStack | torch.Tensor, number: int = 64) -> torch.Tensor:
    """A part of a set, spread evenly over it: at most `number` images, (M, 3, size, size) uint8.

    Example:
        >>> some_images(torch.zeros(130, 3, 8, 8), 64).shape  # every third
        torch.Size([44, 3, 8, 8])
    """
    return images[:: -(-len(images) // number)]


class ImageStack:
    """N images of one size: indexed like a tensor `(N, 3, size, size)`, decoded only when asked for.

    Decoded images are kept in memory while they fit; the rest are decoded anew each time. Training visits
    all images equally often, so that the first ones are as good to keep as any.

    Args:
        paths: The image files.
        size: Side of the square that every image is resized to, in pixels.
        memory: How many bytes of decoded images to keep at most. 1 GiB holds 5461 images of 256 pixels.

    Raises:
        DataError: When an image that is asked for cannot be read; the message names the file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = [Path(folder, f"{i}.png") for i in range(3)]
        ...     for i, path in enumerate(paths):
        ...         Image.new("L", (50, 40), i).save(path)
        ...     stack = ImageStack(paths, size=8)
        ...     print(stack.shape, stack[0].shape, stack[1:].shape, stack[[2, 0]][:, 0, 0, 0].tolist())
        (3, 3, 8, 8) torch.Size([3, 8, 8]) torch.Size([2, 3, 8, 8]) [2, 0]
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]], size: int, memory: int = 2**30) -> None:
        _check_size(size)
        self.paths = [Path(path) for path in paths]
        self.size = size
        self._room = memory // (3 * size * size)  # how many decoded images may be kept
        self._kept: dict[int, torch.Tensor] = {}

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(N, 3, size, size)`."""
        return (len(self), 3, self.size, self.size)

    def __getitem__(self, index: Any) -> torch.Tensor:
        """One image `(3, size, size)` for an int, else a batch `(B, 3, size, size)`, `uint8`.

        Args:
            index: An int, a slice, or a list, array or tensor of ints or of N bools, as NumPy reads them.
        """
        if isinstance(index, torch.Tensor):
            index = index.cpu().numpy()
        chosen = np.arange(len(self))[index]  # NumPy checks the range and resolves negative indices
        if np.ndim(chosen) == 0:
            return self._decode([int(chosen)])[0]  # (3, size, size)
        if np.ndim(chosen) != 1:
            raise IndexError(f"an ImageStack takes one index or a list of them, not {np.shape(index)}")
        if len(chosen) == 0:
            return torch.empty((0, *self.shape[1:]), dtype=torch.uint8)
        return self._decode(chosen.tolist())  # (B, 3, size, size)

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"ImageStack({len(self)} images, size={self.size})"

    def _decode(self, chosen: list[int]) -> torch.Tensor:
        missing = [index for index in dict.fromkeys(chosen) if index not in self._kept]  # each once, in order
        read = read_images([self.paths[index] for index in missing], self.size)
        fresh = {i: torch.from_numpy(x).permute(2, 0, 1).contiguous() for i, x in zip(missing, read, strict=True)}
        for index in missing[: max(0, self._room - len(self._kept))]:
            self._kept[index] = fresh[index]
        return torch.stack([fresh[i] if i in fresh else self._kept[i] for i in chosen])  # (B, 3, size, size)


# ----------------------------------------------------------------------------------------------- image files


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
