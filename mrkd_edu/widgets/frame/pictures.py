"""The pictures that an explorer is given, and the menu that chooses one of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import ipywidgets
import numpy as np
import torch
from PIL import Image

from mrkd_edu.data.images import ImageSource, read_image

# What an explorer takes: files, arrays and so on, see `data.images.read_image`; or one array (N, H, W, 3).
Pictures = Sequence[ImageSource] | np.ndarray


def read_pictures(who: str, images: Pictures, size: int) -> list[np.ndarray]:
    """Images as an explorer needs them: uint8 (size, size, 3) each.

    Args:
        who: asks for them; its name is in the message.
        images: files or arrays (H, W, 3), or one array (N, H, W, 3).
        size: side to which they are resized, pixels.

    Raises:
        ValueError: there is no image, or one that is not in a list.
        data.images.DataError: an image that cannot be read.

    Example:
        >>> [picture.shape for picture in read_pictures("explore_ilm", np.zeros((2, 9, 5, 3), np.uint8), size=8)]
        [(8, 8, 3), (8, 8, 3)]
        >>> read_pictures("explore_ilm", "part.png", size=8)
        Traceback (most recent call last):
        ValueError: explore_ilm got a single image (str); give a list of files or arrays, for instance [image]
    """
    if _is_one(images):
        raise ValueError(
            f"{who} got a single image ({type(images).__name__}); give a list of files or arrays, for instance [image]"
        )
    pictures = [read_image(image, size) for image in images]
    if not pictures:
        raise ValueError(f"{who} needs at least one image; give a list of files or arrays")
    return pictures


def picture_menu(number: int, description: str, tooltip: str) -> ipywidgets.Dropdown:
    """A menu of so many pictures; its value counts from 0, its names from 1.

    Example:
        >>> picture_menu(2, "image", "which image to look at").options
        (('picture 1', 0), ('picture 2', 1))
    """
    options = [(f"picture {i + 1}", i) for i in range(number)]
    return ipywidgets.Dropdown(options=options, value=0, description=description, tooltip=tooltip)


def _is_one(images: object) -> bool:
    """Whether it is an image itself: its letters or its rows are no images."""
    if isinstance(images, np.ndarray | torch.Tensor):
        return images.ndim in (2, 3)
    return isinstance(images, str | os.PathLike | Image.Image)
