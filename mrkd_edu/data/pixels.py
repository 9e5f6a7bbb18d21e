"""Whatever a picture is made of, to RGB with 8 bits: modes, bits, transparency, EXIF orientation."""

from __future__ import annotations

import numpy as np
import torch
from PIL import ExifTags, Image

from mrkd_edu.data.files import DataError

TURNS = {  # EXIF orientation: what makes the picture stand upright; 1 does already
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8. What cannot be read, or means nothing, is 1."""
    if image.format == "PNG" and not any("exif" in str(key) for key in image.info):
        return 1  # here PIL would decode the whole PNG just to look for EXIF data behind the pixels
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a picture is not wrong because a camera wrote nonsense beside it
        return 1
    return int(found) if found in range(1, 9) else 1


def upright(image: Image.Image) -> Image.Image:
    if orientation(image) == 1:
        return image
    image.load()  # PIL may turn a TIFF here, and then takes the orientation away
    if (turn := TURNS.get(orientation(image))) is None:
        return image
    turned = image.transpose(turn)
    turned.format = image.format  # `to_rgb` asks for it
    return turned


def to_rgb(image: Image.Image, name: str) -> Image.Image:
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
        if values.dtype.itemsize < 4:
            values = values.astype(np.float32)  # halves have no room for 178.55, and round it to 178.5
        with np.errstate(over="ignore"):  # 1e38 is out of range, and so is infinity
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


def from_array(values: np.ndarray, name: str) -> Image.Image:
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


def channels_last(tensor: torch.Tensor) -> np.ndarray:
    """A tensor (H, W) or (C, H, W) as an array (H, W) or (H, W, C)."""
    try:
        if tensor.is_complex():
            raise TypeError
        values = tensor.detach().cpu()
        array = (values.float() if values.is_floating_point() else values).numpy()  # NumPy has no bfloat16
    except (TypeError, RuntimeError) as error:  # sparse, quantised, of 4 bits, on no device
        raise DataError(
            f"the tensor has the type {tensor.dtype} ({tensor.layout}, {tensor.device}); give a dense one of uint8, "
            "uint16, bool, or floats in [0, 1]"
        ) from error
    if array.ndim != 3:
        return array  # (H, W), or a wrong shape for which `from_array` has the words
    if array.shape[0] not in (1, 3, 4):
        raise DataError(f"the tensor has the shape {array.shape}; the channels of a tensor come first: (3, H, W)")
    return array.transpose(1, 2, 0)  # (H, W, C)
