"""Assignment A1: cut, rescale and paste a patch, the masks of both kinds of masking, Poisson blending, and the seam."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from mrkd_edu.checks import probes
from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.checks.image_masking import WRAPPED
from mrkd_edu.checks.inputs import VISIBLE, different_sizes, drawing, seeded
from mrkd_edu.ilm import NOISE_FLOOR, Box, rescaled_patch, visible_change
from mrkd_edu.lessons.image_masking import rim_jump

Array = np.ndarray
Rectangle = tuple[int, int, int, int]  # top, left, height, width
Cases = Mapping[str, tuple[Any, ...]]


def cut_and_rescale(source: Array, cut: Rectangle, height: int, width: int) -> Array:
    """Cut a box out of an image and bring it to another size, bilinear.

    Args:
        source: uint8 (H', W', 3).
        cut: (top, left, height, width), inside the source.
        height, width: of the answer.

    Returns:
        uint8 (height, width, 3).
    """
    return rescaled_patch(source, Box(*cut), Box(0, 0, height, width))


def paste_patch(image: Array, source: Array, cut: Rectangle, box: Rectangle) -> Array:
    """Cut a patch from the source, rescale it to a box, and paste what of the box lies in the image.

    Args:
        image: uint8 (H, W, 3), left as it is.
        source: uint8 (H', W', 3).
        cut: (top, left, height, width), inside the source.
        box: (top, left, height, width) in the image; it may reach out of it, or lie outside.

    Returns:
        A new image, uint8 (H, W, 3).
    """
    return _pasted(image, rescaled_patch(source, Box(*cut), Box(*box)), box[0], box[1])


def true_change_mask(old: Array, new: Array) -> Array:
    """Where an image changed visibly, by more than 3 grey levels in a colour: uint8 (H, W, 3) twice to bool (H, W)."""
    return visible_change(old, new)


def flm_mask(random: Tensor, drop: float) -> Tensor:
    """The mask of feature-level masking from given random numbers.

    Args:
        random: uniform in [0, 1), (B, 1, h, w).
        drop: the probability to drop a position, lambda.

    Returns:
        0 where a position is dropped and 1 elsewhere, float (B, 1, h, w).
    """
    return (random >= drop).to(random.dtype)


def poisson_blend(patch: Array, place: Array) -> Array:
    """Blend a grey patch into a place: the differences of the patch, the rim of the place.

    For every inner pixel p with its four neighbours q: 4 f(p) - sum f(q) = 4 g(p) - sum g(q).

    Args:
        patch, place: g and f*, (h, w) each, floats or uint8.

    Returns:
        f, float (h, w), neither rounded nor clipped.
    """
    g, blended = patch.astype(float), place.astype(float)
    if min(g.shape) >= 3:
        blended[1:-1, 1:-1] = _solved(_laplace(g), blended)
    return blended


def seam(grey: Array, box: Rectangle, inside: int) -> float:
    """Mean absolute step across the border of a box that was moved inwards.

    Args:
        grey: uint8 (H, W).
        box: (top, left, height, width), in the image.
        inside: pixels by which each of its four sides is moved in.

    Returns:
        Grey levels; sides on the border of the image do not count. NaN where no step is left.
    """
    return rim_jump(np.repeat(grey[..., None], 3, axis=2), Box(*box), inside)


# ---- how it is done --------------------------------------------------------------------------------------------


def _pasted(image: Array, patch: Array, top: int, left: int) -> Array:
    """A copy of the image with a patch at a place that may lie partly or wholly outside."""
    rows, columns = (np.arange(n) + at for n, at in zip(patch.shape[:2], (top, left), strict=True))
    inside = [(at >= 0) & (at < n) for at, n in zip((rows, columns), image.shape[:2], strict=True)]
    new = image.copy()
    new[np.ix_(rows[inside[0]], columns[inside[1]])] = patch[np.ix_(*inside)]
    return new


def _laplace(g: Array) -> Array:
    """4 g(p) minus the sum over the neighbours of each inner pixel: (h, w) to (h - 2, w - 2)."""
    return 4 * g[1:-1, 1:-1] - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:]


def _second_difference(n: int) -> Array:
    """The matrix of 2 f(i) - f(i - 1) - f(i + 1), (n, n)."""
    return 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


def _solved(right: Array, place: Array) -> Array:
    """Inner pixels (h - 2, w - 2) for right-hand sides of this shape and a rim, that of the place (h, w)."""
    h, w = right.shape
    rim = place.copy()
    rim[1:-1, 1:-1] = 0
    matrix = np.kron(_second_difference(h), np.eye(w)) + np.kron(np.eye(h), _second_difference(w))
    return np.linalg.solve(matrix, (right - _laplace(rim)).ravel()).reshape(h, w)


# ---- what they are tried on ----------------------------------------------------------------------------------


def _picture(rng: np.random.Generator, height: int, width: int) -> Array:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _box(rng: np.random.Generator, shape: tuple[int, ...], height: int, width: int) -> Rectangle:
    """A box of this size in an image of this shape, where rows and columns may be mixed up and it is still inside."""
    top, left = rng.integers(min(shape[:2]) - max(height, width) + 1, size=2)
    return int(top), int(left), height, width


def _of_cutting(seed: int) -> Cases:
    rng = drawing(seed)
    wide, high = (_picture(rng, *sorted(different_sizes(rng, 28, 50, 2), reverse=upright)) for upright in (False, True))
    square = _picture(rng, *2 * different_sizes(rng, 20, 40, 1))
    h, w, small, large = different_sizes(rng, 6, 14, 4)
    return {
        "the size it has": (wide, _box(rng, wide.shape, h, w), h, w),
        "a smaller one": (high, _box(rng, high.shape, 2 * h + 1, 2 * w), small, large),
        "a larger one": (wide, _box(rng, wide.shape, h, w), 2 * h + 3, 3 * w - 2),
        "higher and narrower": (high, _box(rng, high.shape, h, w), 2 * h + 1, w // 2 + 1),
        "lower and wider": (wide, _box(rng, wide.shape, h, w), h // 2 + 1, 2 * w + 1),
        "a cut in the last corner": (square, (len(square) - h, len(square) - w, h, w), large, small),
        "a cut of one pixel": (wide, _box(rng, wide.shape, 1, 1), 4, 5),
    }


def _of_pasting(seed: int) -> Cases:
    rng = drawing(seed)
    image, source = (_picture(rng, *different_sizes(rng, 24, 44, 2)) for _ in range(2))
    high, wide = image.shape[:2]
    h, w, a, b = different_sizes(rng, 7, 14, 4)

    def cut(height: int, width: int) -> Rectangle:
        return _box(rng, tuple(np.minimum(source.shape, image.shape)), height, width)

    return {
        "a box in the image": (image, source, cut(h, w), _box(rng, image.shape, h, w)),
        "a box of another size": (image, source, cut(a, b), _box(rng, image.shape, b, h)),
        "a box that reaches out above and to the left": (image, source, cut(h, w), (-(a // 3), -(b // 3), a, b)),
        "a box that reaches out below and to the right": (image, source, cut(a, b), (high - h // 2, wide - 3, h, w)),
        "a box below the image": (image, source, cut(h, w), (high + 2, wide // 2, a, b)),
        "a box to the left of the image": (image, source, cut(h, w), (3, -b - 1, a, b)),
        "a box larger than the image": (image, source, cut(a, b), (-2, -3, high + 5, wide + 4)),
        "an image as its own source": (image, image, _box(rng, image.shape, h, w), _box(rng, image.shape, a, b)),
    }


def _of_change(seed: int) -> Cases:
    rng = drawing(seed)
    h, w, a, b = different_sizes(rng, 8, 20, 4)
    picture = _picture(rng, h, w)
    grey = np.full((a, b, 3), int(rng.integers(60, 190)), np.uint8)
    box = (slice(2, 6), slice(1, 7))
    one, darker, exchanged = grey.copy(), grey.copy(), grey.copy()
    one[(*box, int(rng.integers(3)))] += 40
    darker[box] -= 40
    exchanged[(*box, 0)] += 8  # the grey value of the two nearly stays
    exchanged[(*box, 1)] -= 4
    steps = (int(grey[0, 0, 0]) + rng.integers(-6, 7, (a, b, 3))).astype(np.uint8)
    black, white = np.zeros((h, b, 3), np.uint8), np.full((h, b, 3), 255, np.uint8)
    ends = np.where(rng.random((h, b, 1)) < 0.5, white, black)
    return {
        "another picture": (picture, _picture(rng, h, w)),
        "a box in another colour": (grey, one),
        "a box that is darker": (grey, darker),
        "a little more red and less green": (grey, exchanged),
        "steps of up to 6 levels": (grey, steps),
        "steps of 3 and of 4 levels": (grey, grey + rng.choice(_STEPS, (a, b, 3)).astype(np.uint8)),
        "from white to black": (white, ends),
        "from black to white": (black, ends),
        "nothing changed": (picture, picture.copy()),
        "one pixel": (picture[:1, :1], picture[:1, :1] ^ np.uint8(128)),
    }


_STEPS = np.array([0, 3, 4, 252, 253])  # 252 and 253 are -4 and -3 in uint8


def _of_masks(seed: int) -> Cases:
    draws = seeded(seed - VISIBLE)
    b, h, w, n = different_sizes(drawing(seed), 3, 12, 4)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draws)

    eighths = torch.floor(8 * uniform(3, 1, n, h)) / 8  # 0, 1/8, ... 7/8
    return {
        "a batch": (uniform(b, 1, h, w), 0.2),
        "one image": (uniform(1, 1, w, n), 0.6),
        "nothing dropped": (eighths, 0.0),
        "numbers that are just lambda": (eighths, 0.25),
        "nearly everything dropped": (uniform(2, 1, n, w), 0.9),
        "one position an image": (uniform(b, 1, 1, 1), 0.5),
        "half precision": (uniform(2, 1, h, n).half(), 0.75),
    }


def _of_blending(seed: int) -> Cases:
    rng = drawing(seed)
    h, w, a, b = different_sizes(rng, 4, 10, 4)

    def grey(height: int, width: int) -> Array:
        return rng.uniform(0, 255, (height, width))

    bumps = np.where(np.indices((a, w)).sum(0) % 2, 255.0, 0.0)
    slope = np.add.outer(7.0 * np.arange(h), 11.0 * np.arange(b)) + float(rng.integers(20, 60))
    same = grey(b, a)
    return {
        "one inner pixel": (grey(3, 3), grey(3, 3)),
        "a grid": (grey(h, w), grey(h, w)),
        "another grid": (grey(b, h), grey(b, h)),
        "a row of inner pixels": (grey(3, a), grey(3, a)),
        "a flat patch on a slope": (np.full((h, b), 200.0), slope),
        "strong bumps on a bright place": (bumps, np.full((a, w), 230.0)),
        "uint8": (grey(w, h).astype(np.uint8), grey(w, h).astype(np.uint8)),
        "a patch like the place": (same, same.copy()),
        "nothing but rim": (grey(2, w), grey(2, w)),
        "a single pixel": (grey(1, 1).astype(np.uint8), grey(1, 1).astype(np.uint8)),
        "a single row": (grey(1, b).astype(np.uint8), grey(1, b).astype(np.uint8)),
        "two columns": (grey(a, 2).astype(np.uint8), grey(a, 2).astype(np.uint8)),
    }


def _of_seams(seed: int) -> Cases:
    rng = drawing(seed)
    high, wide, h, w = (*different_sizes(rng, 20, 34, 2), *different_sizes(rng, 5, 12, 2))
    grey = rng.integers(0, 256, (high, wide), dtype=np.uint8)
    pasted = np.full((high, wide), 20, np.uint8)
    top, left = 2 + int(rng.integers(4)), 3 + int(rng.integers(4))
    pasted[top : top + h, left : left + w] = 240
    pasted[top + 1 : top + h - 1, left + 1 : left + w - 1] = 100  # a second step, one pixel further in
    return {
        "a box in the middle": (grey, (4, 6, h, w), 0),
        "sides moved in by one pixel": (grey, (5, 3, h, w), 1),
        "sides moved in by two pixels": (grey, (3, 4, h + 4, w + 3), 2),
        "a bright frame": (pasted, (top, left, h, w), 0),
        "the inside of a bright frame": (pasted, (top, left, h, w), 1),
        "the first corner": (grey, (0, 0, h, w), 0),
        "the last corner": (grey, (high - h, wide - w, h, w), 0),
        "a band from side to side": (grey, (6, 0, h, wide), 0),
        "the corner moved in by a pixel": (grey, (high - h, 0, h, w), 1),
        "all of the image": (grey, (0, 0, high, wide), 0),
        "a box of one pixel": (grey, (7, 9, 1, 1), 0),
        "nothing left inside": (grey, (4, 5, 2, w), 1),
    }


# ---- what is asked, and what goes wrong ------------------------------------------------------------------------


def _cut_with(interpolation: int) -> Callable[..., Array]:
    def answer(source: Array, cut: Any, height: int, width: int) -> Array:
        return cv2.resize(source[Box(*cut).slices], (width, height), interpolation=interpolation)

    return answer


def _cut_as(change: Callable[[Any, Array], Any]) -> Callable[..., Array]:
    """`cut_and_rescale` of another box; `change` gets the box and the source."""

    def answer(source: Array, cut: Any, height: int, width: int) -> Array:
        return cut_and_rescale(source, change(cut, source), height, width)

    return answer


def _sides_exchanged(source: Array, cut: Any, height: int, width: int) -> Array:
    return cut_and_rescale(source, cut, width, height)


def _cropped(source: Array, cut: Any, height: int, width: int) -> Array:
    return source[cut[0] : cut[0] + height, cut[1] : cut[1] + width]


def _moved_inside(image: Array, source: Array, cut: Any, box: Any) -> Array:
    patch = rescaled_patch(source, Box(*cut), Box(*box))
    room = np.subtract(image.shape[:2], patch.shape[:2]).clip(0)
    top, left = (int(at) for at in np.clip(box[:2], 0, room))
    return _pasted(image, patch, top, left)


def _visible(image: Array, box: Any) -> tuple[int, int, int, int]:
    """First and last row and column of the part of a box that lies in the image; equal where nothing does."""
    top, left = max(0, box[0]), max(0, box[1])
    return top, max(top, min(image.shape[0], box[0] + box[2])), left, max(left, min(image.shape[1], box[1] + box[3]))


def _squeezed(image: Array, source: Array, cut: Any, box: Any) -> Array:
    top, bottom, left, right = _visible(image, box)
    if bottom <= top or right <= left:
        return image.copy()
    return _pasted(image, rescaled_patch(source, Box(*cut), Box(0, 0, bottom - top, right - left)), top, left)


def _first_rows(image: Array, source: Array, cut: Any, box: Any) -> Array:
    top, bottom, left, right = _visible(image, box)
    new = image.copy()
    new[top:bottom, left:right] = rescaled_patch(source, Box(*cut), Box(*box))[: bottom - top, : right - left]
    return new


def _left_out(image: Array, source: Array, cut: Any, box: Any) -> Array:
    top, bottom, left, right = _visible(image, box)
    whole = (bottom - top, right - left) == (box[2], box[3])
    return paste_patch(image, source, cut, box) if whole else image.copy()


def _wrapped_round(image: Array, source: Array, cut: Any, box: Any) -> Array:
    patch, new = rescaled_patch(source, Box(*cut), Box(*box)), image.copy()
    for i, y in enumerate(range(box[0], box[0] + box[2])):
        for j, x in enumerate(range(box[1], box[1] + box[3])):
            if -image.shape[0] <= y < image.shape[0] and -image.shape[1] <= x < image.shape[1]:
                new[y, x] = patch[i, j]
    return new


def _changed_by(measure: Callable[[Array, Array], Array], above: float = NOISE_FLOOR) -> Callable[..., Array]:
    """`true_change_mask` with another measure of change."""
    return lambda old, new: measure(old, new) > above


def _levels(old: Array, new: Array) -> Array:
    return np.abs(new.astype(int) - old)


def _grey(picture: Array) -> Array:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(int)


def _exactly(random: Tensor, drop: float) -> Tensor:
    """The smallest share lambda of each image's numbers is dropped."""
    flat = random.flatten(1).float()
    rank = flat.argsort(1).argsort(1)
    return (rank >= round(drop * flat.shape[1])).view_as(random).to(random.dtype)


def _blended(inner: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """`poisson_blend` with other inner pixels, from the patch and the place as floats."""

    def answer(patch: Array, place: Array) -> Array:
        g, blended = patch.astype(float), place.astype(float)
        if min(g.shape) >= 3:
            blended[1:-1, 1:-1] = inner(g, blended)
        return blended

    return answer


def _overflowing(patch: Array, place: Array) -> Array:
    blended = place.astype(float)
    if min(patch.shape) >= 3:
        blended[1:-1, 1:-1] = _solved(_laplace(patch).astype(float), blended)
    return blended


def _shifted(g: Array, place: Array) -> Array:
    """The patch, brighter by what place and patch differ on the rim on average."""
    rim = np.ones(g.shape, bool)
    rim[1:-1, 1:-1] = False
    return g[1:-1, 1:-1] + (place - g)[rim].mean()


def _one_sweep(g: Array, place: Array) -> Array:
    return (_laplace(g) + 4 * place[1:-1, 1:-1] - _laplace(place)) / 4


def _pasted_inside(g: Array, place: Array) -> Array:
    """The place's rim around the patch's inside."""
    found = place.copy()
    found[1:-1, 1:-1] = g[1:-1, 1:-1]
    return found


def _steps(grey: Array, box: Any, *, sides: str = "tblr", shift: int = 0, wrap: bool = False) -> list[Array]:
    """Steps across the sides of a box, one array a side, where it does not lie on the border of the image."""
    top, left, height, width = box
    if min(height, width) < 1:
        return []
    rows, columns, found = slice(top, top + height), slice(left, left + width), []
    for side, at in (("t", top), ("b", top + height - shift)):
        if side in sides and (0 < at < grey.shape[0] or (wrap and at == 0)):
            found.append(grey[at, columns] - grey[at - 1, columns])
    for side, at in (("l", left), ("r", left + width - shift)):
        if side in sides and (0 < at < grey.shape[1] or (wrap and at == 0)):
            found.append(grey[rows, at] - grey[rows, at - 1])
    return found


def _seam(
    pick: Callable[[list[Array]], Any],
    inset: Callable[[int, int], tuple[int, int]] = lambda inside, length: (inside, length - 2 * inside),
    integer: bool = True,
    **how: Any,
) -> Callable[..., float]:
    """`seam` with another summary of the steps, another way to move the sides in, or other steps."""

    def answer(grey: Array, box: Any, inside: int) -> float:
        (down, height), (right, width) = inset(inside, box[2]), inset(inside, box[3])
        steps = _steps(grey.astype(int) if integer else grey, (box[0] + down, box[1] + right, height, width), **how)
        return float(pick(steps)) if steps else float("nan")

    return answer


def _mean_step(steps: list[Array]) -> float:
    return float(np.abs(np.concatenate(steps)).mean())


def _on_whole_lines(grey: Array, box: Any, inside: int) -> float:
    whole = grey.astype(int)
    top, left, height, width = box[0] + inside, box[1] + inside, box[2] - 2 * inside, box[3] - 2 * inside
    if min(height, width) < 1:
        return float("nan")
    steps = [whole[at] - whole[at - 1] for at in (top, top + height) if 0 < at < grey.shape[0]]
    steps += [whole[:, at] - whole[:, at - 1] for at in (left, left + width) if 0 < at < grey.shape[1]]
    return _mean_step(steps) if steps else float("nan")


def _padded(grey: Array, box: Any, inside: int) -> float:
    """Sides on the border of the image count as steps of 0."""
    return seam(np.pad(grey, 1, mode="edge"), (box[0] + 1, box[1] + 1, box[2], box[3]), inside)


EXERCISES = (
    Exercise(
        name="A1.cut_and_rescale",
        answer=cut_and_rescale,
        cases=lambda: _of_cutting(VISIBLE),
        hidden=_of_cutting,
        probe=probes.uint8,
        tolerance=0.01,  # another way to round is as good
        mistakes=(
            Mistake(
                _sides_exchanged,
                "Height and width of the answer are exchanged. OpenCV counts x before y: `cv2.resize` wants the width "
                "first.",
            ),
            Mistake(
                _cut_as(lambda cut, source: (0, 0, *source.shape[:2])),
                "The whole source was rescaled. Cut the box out of it first.",
            ),
            Mistake(
                _cut_as(lambda cut, source: (0, 0, cut[2], cut[3])),
                "The patch has the right size but comes from the upper left corner: `top` and `left` are not used.",
            ),
            *(
                Mistake(
                    _cut_as(change),
                    "Rows and columns are exchanged. A box says top first, then left; an image is indexed by row "
                    "first, then column.",
                )
                for change in (
                    lambda cut, source: (cut[1], cut[0], cut[2], cut[3]),
                    lambda cut, source: (cut[0], cut[1], cut[3], cut[2]),
                    lambda cut, source: (cut[1], cut[0], cut[3], cut[2]),
                )
            ),
            Mistake(
                _cropped,
                "That cuts a piece of the new size. Cut the box at its own size, `cut[2]` by `cut[3]`, and then "
                "rescale what you have cut.",
            ),
            Mistake(
                _cut_with(cv2.INTER_NEAREST),
                "Every pixel repeats its nearest neighbour. Asked is bilinear interpolation, which is what "
                "`cv2.resize` does unless it is told otherwise.",
            ),
            *(
                Mistake(
                    _cut_with(how),
                    "The patch is rescaled by another interpolation. Asked is the bilinear one, which is what "
                    "`cv2.resize` does unless it is told otherwise.",
                )
                for how in (cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
            ),
        ),
    ),
    Exercise(
        name="A1.paste_patch",
        answer=paste_patch,
        cases=lambda: _of_pasting(VISIBLE),
        hidden=_of_pasting,
        probe=probes.uint8,
        tolerance=0.01,
        mistakes=(
            Mistake(
                _first_rows,
                "Where the box reaches out above or to the left, the wrong part of the patch is left: the first rows "
                "and columns of the patch are those that lie outside. Begin to read it as far in as the box reaches "
                "out.",
            ),
            Mistake(
                _squeezed,
                "The whole patch was squeezed into the part of the box that lies in the image. Rescale it to the size "
                "of the box, and cut off afterwards what reaches out.",
            ),
            Mistake(
                _moved_inside,
                "A box that reaches out was moved into the image. It stays where it is; what lies outside is cut off.",
            ),
            Mistake(
                _left_out,
                "A patch that reaches out is left out altogether. Paste the part of it that lies in the image.",
            ),
            Mistake(
                _wrapped_round,
                "What reaches out above or to the left comes in again on the other side: Python takes an index of -1 "
                "as the last one. Begin at row 0 and column 0.",
            ),
            Mistake(
                lambda image, source, cut, box: paste_patch(image, image, cut, box),
                "The patch was cut from `image`. Cut it from `source`.",
            ),
            Mistake(
                lambda image, source, cut, box: paste_patch(image, source, (0, 0, *source.shape[:2]), box),
                "All of the source was squeezed into the box. Cut the box `cut` out of it first, then rescale.",
            ),
            Mistake(
                lambda image, source, cut, box: paste_patch(image, source, cut, (box[1], box[0], box[2], box[3])),
                "The patch is put down with rows and columns exchanged. A box says top first, then left.",
            ),
            Mistake(
                lambda image, source, cut, box: image.copy(),
                "The image comes back as it was. Write the patch into the copy before you return it.",
            ),
        ),
    ),
    Exercise(
        name="A1.true_change_mask",
        answer=true_change_mask,
        cases=lambda: _of_change(VISIBLE),
        hidden=_of_change,
        mistakes=(
            *(
                Mistake(_changed_by(measure), WRAPPED)
                for measure in (
                    lambda old, new: (new - old).max(2),
                    lambda old, new: (old - new).max(2),
                    lambda old, new: np.minimum(new - old, old - new).max(2),
                )
            ),
            Mistake(
                _changed_by(lambda old, new: _levels(old, new).min(2)),
                "Only pixels where all three colours changed are marked. One colour that changed is enough: `any`, "
                "not `all`.",
            ),
            Mistake(
                _changed_by(lambda old, new: (new.astype(int) - old).max(2)),
                "Only pixels that became brighter are marked. A darker one has changed as well: take the absolute "
                "difference.",
            ),
            Mistake(
                _changed_by(lambda old, new: (old.astype(int) - new).max(2)),
                "Only pixels that became darker are marked. A brighter one has changed as well: take the absolute "
                "difference.",
            ),
            Mistake(
                _changed_by(lambda old, new: _levels(old, new).max(2), 0),
                "The mask marks every change, down to a single grey level. Nobody sees that: more than 3 levels count.",
            ),
            Mistake(
                _changed_by(lambda old, new: _levels(old, new).max(2), NOISE_FLOOR - 1),
                "Nearly: more than 3 levels count, not 3 itself.",
            ),
            Mistake(
                _changed_by(lambda old, new: _levels(old, new).max(2), NOISE_FLOOR + 1),
                "Nearly: a change of 4 levels is more than 3, and counts.",
            ),
            Mistake(
                _changed_by(_levels),
                "The mask has one value for each colour, (H, W, 3). It should have one for each pixel: has any of its "
                "colours changed?",
            ),
            Mistake(
                _changed_by(lambda old, new: _levels(old, new).mean(2)),
                "The change is averaged over the colours before it is compared. Compare each colour, then ask whether "
                "any of them changed.",
            ),
            Mistake(
                _changed_by(lambda old, new: _levels(old, new).sum(2)),
                "The changes of the three colours are added up before they are compared. Compare each colour, then "
                "ask whether any of them changed.",
            ),
            Mistake(
                _changed_by(lambda old, new: np.abs(_grey(new) - _grey(old))),
                "That compares grey values. A little more red and a little less green leave the grey value as it is: "
                "compare each colour.",
            ),
            Mistake(
                lambda old, new: ~visible_change(old, new),
                "The wrong way round: True is where the image has changed.",
            ),
        ),
    ),
    Exercise(
        name="A1.flm_mask",
        answer=flm_mask,
        cases=lambda: _of_masks(VISIBLE),
        hidden=_of_masks,
        probe=probes.floats,
        mistakes=(
            *(
                Mistake(
                    turned,
                    "The wrong way round: a share lambda of the positions should be *dropped*, 0, and the others kept, "
                    "1.",
                )
                for turned in (
                    lambda random, drop: (random < drop).to(random.dtype),
                    lambda random, drop: (random <= drop).to(random.dtype),
                )
            ),
            Mistake(
                lambda random, drop: (random > drop).to(random.dtype),
                "Nearly: a number that is just lambda is kept. The rule is `random < lambda` for dropping, so that "
                "lambda = 0 drops nothing, not even a 0.",
            ),
            *(
                Mistake(
                    lambda random, drop, keep=keep: flm_mask(random, drop) / (1 - drop if keep else drop or 1),
                    "What stays visible is made larger, as dropout does. Here it stays as it is: 1.",
                )
                for keep in (True, False)
            ),
            Mistake(
                lambda random, drop: flm_mask(random, drop) * random,
                "What is kept still has its random number. The mask is 0 or 1.",
            ),
            *(
                Mistake(half, "Half of the positions are dropped whatever lambda is. Compare with `drop`.")
                for half in (
                    lambda random, drop: (random >= 0.5).to(random.dtype),
                    lambda random, drop: (random > 0.5).to(random.dtype),
                )
            ),
            Mistake(
                lambda random, drop: flm_mask(random[:1].expand_as(random), drop),
                "All images get the mask of the first one. Each has random numbers of its own.",
            ),
            Mistake(
                _exactly,
                "That drops the same number of positions in each image, those with the smallest numbers. Each position "
                "decides for itself: compare its number with lambda.",
            ),
        ),
    ),
    Exercise(
        name="A1.poisson_blend",
        answer=poisson_blend,
        cases=lambda: _of_blending(VISIBLE),
        hidden=_of_blending,
        probe=probes.floats,
        tolerance=1e-4,
        mistakes=(
            Mistake(
                _overflowing,
                "Right for floats. With uint8, 4 times 100 becomes 144, and differences cannot be negative: turn both "
                "into floats first.",
            ),
            Mistake(
                _blended(lambda g, place: _solved(0 * _laplace(g), place)),
                "The inside is what the rim alone gives, as if the patch were flat. The right-hand sides are the "
                "patch's: 4 g(p) minus its four neighbours.",
            ),
            Mistake(
                _blended(lambda g, place: _solved(-_laplace(g), place)),
                "The patch comes out as a negative: the sign of the right-hand sides is wrong. Both sides of the "
                "equation are 4 times the middle minus the neighbours.",
            ),
            Mistake(
                _blended(lambda g, place: _solved(_laplace(g), 0 * place)),
                "Neighbours on the rim are counted as 0. They are known: their values, those of the place, go to the "
                "right-hand side.",
            ),
            Mistake(
                lambda patch, place: patch.astype(float),
                "The patch comes back as it was: the rim was taken from the patch. On the rim the new picture is the "
                "place.",
            ),
            Mistake(
                lambda patch, place: place.astype(float),
                "The place comes back as it was. Its inner pixels should have the differences of the *patch*.",
            ),
            Mistake(
                _blended(lambda g, place: g[1:-1, 1:-1]),
                "The inside is the patch itself. Either it was pasted, or the known neighbours on the rim were taken "
                "from the patch: on the rim the new picture is the place.",
            ),
            Mistake(
                _blended(_shifted),
                "That is the patch, made brighter or darker by one number. The rim differs from pixel to pixel: each "
                "inner pixel has an equation of its own.",
            ),
            *(
                Mistake(
                    _blended(sweep),
                    "That is one step towards the solution: every pixel was set from its old neighbours. All equations "
                    "must hold at once: solve them together, or repeat the step until nothing moves.",
                )
                for sweep in (_one_sweep, lambda g, place: _one_sweep(g, _pasted_inside(g, place)))
            ),
            Mistake(
                lambda patch, place: np.rint(poisson_blend(patch, place)),
                "The answer is rounded. Leave it as it is, floats.",
            ),
            Mistake(
                lambda patch, place: np.clip(poisson_blend(patch, place), 0, 255),
                "The answer is cut off at 0 or at 255. Leave it as it is: what is done with such values is decided "
                "later.",
            ),
        ),
    ),
    Exercise(
        name="A1.seam",
        answer=seam,
        cases=lambda: _of_seams(VISIBLE),
        hidden=_of_seams,
        mistakes=(
            Mistake(
                _seam(_mean_step, integer=False),
                "uint8 cannot be negative: a step from 100 down to 97 becomes 253. Turn the image into int before you "
                "subtract.",
            ),
            Mistake(
                _seam(lambda steps: _mean_step([-side for side in steps]), integer=False),  # the other way round
                "uint8 cannot be negative: a step from 97 up to 100 becomes 253. Turn the image into int before you "
                "subtract.",
            ),
            Mistake(
                _seam(lambda steps: np.concatenate(steps).mean()),
                "Steps up and steps down cancel each other. Take the absolute value of each step, then the mean.",
            ),
            Mistake(
                _seam(lambda steps: abs(np.concatenate(steps).mean())),
                "Steps up and steps down cancel each other. Take the absolute value of each step, then the mean.",
            ),
            Mistake(
                _seam(lambda steps: np.mean([np.abs(side).mean() for side in steps])),
                "That is the mean of four means, so that a short side counts as much as a long one. Put all steps "
                "together, then take one mean.",
            ),
            Mistake(
                _seam(_mean_step, wrap=True),
                "At the upper or left border of the image, row -1 or column -1 is the last one. There is no "
                "neighbour outside: such a side does not count.",
            ),
            Mistake(
                _padded,
                "A side on the border of the image is counted, with steps of 0. It has no steps: leave it out of the "
                "mean.",
            ),
            Mistake(
                _seam(_mean_step, lambda inside, length: (0, length)),
                "`inside` is not used: the seam of a blended patch lies that many pixels further in.",
            ),
            Mistake(
                _seam(_mean_step, lambda inside, length: (-inside, length + 2 * inside)),
                "The sides were moved outwards. `inside` moves each of them in.",
            ),
            Mistake(
                _seam(_mean_step, lambda inside, length: (inside, length - inside)),
                "Only two of the sides were moved in. When all four move by `inside`, height and width lose twice as "
                "much.",
            ),
            Mistake(
                _seam(_mean_step, lambda inside, length: (inside, length)),
                "The box was moved, but it has its old size. When all four sides move by `inside`, height and width "
                "lose twice as much.",
            ),
            Mistake(
                _seam(_mean_step, shift=1),
                "The lower and the right side are one pixel too far in: the last row of the box is `top + height - 1`, "
                "and its neighbour outside is `top + height`.",
            ),
            *(
                Mistake(
                    _seam(_mean_step, sides=sides),
                    "Only two of the four sides are looked at. The border goes all the way round.",
                )
                for sides in ("tb", "lr", "tl", "br")
            ),
            Mistake(
                _on_whole_lines,
                "The steps are taken along whole rows and columns of the image. Only those that belong to the box lie "
                "on its border.",
            ),
            Mistake(
                _seam(lambda steps: np.abs(np.concatenate(steps)).max()),
                "That is the largest step. Asked is the mean.",
            ),
            Mistake(
                _seam(lambda steps: np.abs(np.concatenate(steps)).sum()),
                "That is the sum of the steps: a large box would have a stronger seam. Asked is the mean.",
            ),
        ),
    ),
)
