"""Photos as cameras and phones give them: read where they can be, else one sentence that helps.

The library reads JPEG, PNG, BMP, TIFF and WebP. Phones also write HEIC (read by the package pillow-heif, which is not
installed unless asked for) and AVIF (read by Pillow itself from 11.3 on). The content decides, not the name: phones
send HEIC under names that end in .jpg.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image, features

from mrkd_edu.data.files import DataError, check_file
from mrkd_edu.data.folder import digest_of
from mrkd_edu.data.images import explained, opened
from mrkd_edu.data.pixels import to_rgb, upright
from mrkd_edu.inspection.looks import hash_of_pixels

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
QUALITY = 95  # of a JPEG made of a HEIC photo
GROWS = 4  # times, at most, that a photo grows by being converted
NO_HEIC = (
    "a HEIC photo, which cannot be read here: pip install pillow-heif, or let the phone save JPEG (iPhone: Settings, "
    "Camera, Formats, Most Compatible)"
)
NO_AVIF = "an AVIF photo, which needs Pillow 11.3 or newer: pip install --upgrade pillow"


@dataclass
class Photo:
    """What was seen of a photo.

    Attributes:
        error: why it cannot be taken; the rest is then empty.
        content: a hash of the file.
        pixels: a hash of the picture.
        size: height and width, upright.
        convert: it is of a format that the library does not read.
        suffix: the one it gets in its new place.
        bytes: of the file.
    """

    error: str = ""
    content: str = ""
    pixels: bytes = b""
    size: tuple[int, int] = (0, 0)
    convert: bool = False
    suffix: str = ""
    bytes: int = 0


def see(path: Path) -> Photo:
    """Look at a photo: can it be read, and must it be converted?"""
    try:
        content = digest_of(path).hex()[:32]
        convert = brand_of(path) != ""
        if convert:
            with opened_phone_photo(path) as image:
                rgb, suffix = to_rgb(image, str(path)), _new_suffix(image)
        else:
            with opened(path) as image:
                rgb, suffix = to_rgb(upright(image), str(path)), path.suffix.lower()
    except DataError as error:
        return Photo(error=str(error).removeprefix(f"{path} "))
    except MemoryError:
        return Photo(error="too large for the memory of this machine; make it smaller")
    return Photo("", content, hash_of_pixels(rgb), (rgb.height, rgb.width), convert, suffix, path.stat().st_size)


def brand_of(path: Path) -> str:
    """`"heic"` or `"avif"` by the first bytes of a file, else `""`."""
    check_file(path)
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp":
        return ""
    return "avif" if head[8:12] in AVIF_BRANDS else "heic" if head[8:12] in HEIC_BRANDS else ""


def opened_phone_photo(path: Path) -> Image.Image:
    """A HEIC or AVIF photo as PIL has it, upright.

    Raises:
        DataError: it is damaged, or the package that reads it is missing.
    """
    with explained(str(path)):
        if brand_of(path) == "avif":
            if not ("avif" in features.modules and features.check("avif")):
                raise DataError(NO_AVIF)
            with path.open("rb") as file, Image.open(file, formats=("AVIF",)) as image:
                _check_pixels(image.size)
                image.load()
                return upright(image)
        if importlib.util.find_spec("pillow_heif") is None:
            raise DataError(NO_HEIC)
        heif: Any = importlib.import_module("pillow_heif")
        photo = heif.open_heif(path, convert_hdr_to_8bit=True)  # decoded when it is asked for
        _check_pixels(photo.size)
        return photo.to_pillow()  # stands upright already


def _check_pixels(size: tuple[int, int]) -> None:
    """As `opened` has it: a small file may hold a picture that fills the memory."""
    if Image.MAX_IMAGE_PIXELS is not None and size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError


def write_converted(source: Path, file: IO[bytes]) -> None:
    """Write a HEIC or AVIF photo in a format that everything reads.

    A JPEG of quality 95 with full colours, not a PNG: HEIC has lost something already, and this adds less than that
    (measured on four photographs: 0.3 to 1.2 grey levels on average, where HEIC of quality 80 had changed 0.2 to 1.8).
    The file stays about as large as it was; a PNG would have three to four times as much. But with transparency it is a
    PNG. Nothing beside the pixels is kept but the colour profile: no place, no date.
    """
    with opened_phone_photo(source) as image:
        profile = image.info.get("icc_profile")
        if _new_suffix(image) == ".png":
            image.save(file, "PNG", icc_profile=profile)
        else:
            image.convert("RGB").save(file, "JPEG", quality=QUALITY, subsampling=0, icc_profile=profile, exif=b"")


def _new_suffix(image: Image.Image) -> str:
    return ".png" if image.mode in ("RGBA", "LA") else ".jpg"
