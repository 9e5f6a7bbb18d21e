"""Many images of one size: indexed like a tensor, decoded when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrkd_edu.data.images import check_size, read_image
from mrkd_edu.runtime.batches import side_by_side


def read_images(sources: Sequence[Any], size: int) -> list[np.ndarray]:
    """Several images as `read_image` gives them, (size, size, 3) uint8 each, decoded side by side.

    Raises:
        DataError: An image cannot be read; the message names the first of these.
    """
    if len(sources) < 2:
        return [read_image(source, size) for source in sources]
    return side_by_side(lambda source: read_image(source, size), sources)


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
        >>> from PIL import Image
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
        check_size(size)
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
