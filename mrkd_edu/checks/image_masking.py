"""Lesson 05: paste a patch, keep to the object, and the loss of image-level masking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from mrkd_edu.checks.exercise import Exercise, Mistake
from mrkd_edu.checks.inputs import SmallModel, noise
from mrkd_edu.distance import distillation_loss
from mrkd_edu.ilm import NOISE_FLOOR, Box, rescaled_patch, visible_change

Pasted = tuple[np.ndarray, np.ndarray]


def paste_patch(
    image: np.ndarray, source: np.ndarray, cut: tuple[int, int, int, int], box: tuple[int, int, int, int]
) -> Pasted:
    """Cut a box from the source, rescale it to another box, and paste it there.

    Args:
        image: uint8 (H, W, 3), left as it is.
        source: uint8 (H', W', 3).
        cut, box: (top, left, height, width), in the source and in the image.

    Returns:
        The new image, uint8 (H, W, 3), and where it visibly differs from the old one, bool (H, W).
    """
    new = image.copy()
    new[Box(*box).slices] = rescaled_patch(source, Box(*cut), Box(*box))
    return new, visible_change(image, new)


def on_object(patch_object: np.ndarray, place_object: np.ndarray, min_object: float, min_overlap: float) -> bool:
    """Whether a patch may be put down: enough of it is object, and enough of that lands on object again.

    Args:
        patch_object, place_object: bool (h, w), where the patch and the place below it are object.
        min_object: least share of the patch that is object.
        min_overlap: least share of the patch's object that lies on object of the place.
    """
    own, both = int(patch_object.sum()), int((patch_object & place_object).sum())
    return own > 0 and own >= min_object * patch_object.size and both >= min_overlap * own


def ilm_loss(model: Any, normal: Tensor, anomalous: Tensor) -> Tensor:
    """The loss of image-level masking: from the anomalous image, restore what the teacher says of the normal one.

    Args:
        model: with `see`, images to the teacher's maps, and `restore`, these maps to the student's.
        normal, anomalous: images, (B, 3, S, S).
    """
    with torch.no_grad():
        target, given = model.see(normal), model.see(anomalous)
    return distillation_loss(target, model.restore(given))


# ---- what they are tried on ----------------------------------------------------------------------------------


def _picture(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _smooth(side: int, seed: int) -> np.ndarray:
    """A picture without noise, so that rescaling in another way changes little."""
    small = np.random.default_rng(seed).integers(40, 216, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


def _of_pasting() -> dict[str, tuple[Any, ...]]:
    grey = np.full((20, 20, 3), 100, np.uint8)
    colour, dark = grey.copy(), np.full((20, 20, 3), 10, np.uint8)
    colour[..., 0] = 150  # another red, the same green and blue
    like = np.where(np.arange(20)[None, :, None] % 2, 98, 102).astype(np.uint8) + np.zeros_like(grey)
    a_little = grey + np.array([6, 0, 0], np.uint8)  # visible, and not in the mean of the three
    dark[:, ::2] = 97  # barely different from the grey in every other column
    partly = np.where(np.arange(20)[:, None, None] < 6, 100, 200).astype(np.uint8) + np.zeros_like(grey)
    return {
        "a square patch": (_smooth(48, 0), _smooth(48, 1), (4, 6, 12, 12), (20, 24, 12, 12)),
        "a wide patch, rescaled": (_smooth(48, 2), _smooth(48, 3), (2, 3, 10, 24), (30, 5, 8, 19)),
        "a high patch from another size": (_smooth(40, 4), _smooth(64, 5), (10, 20, 30, 12), (1, 2, 36, 14)),
        "a patch at the rim": (_smooth(32, 6), _smooth(32, 7), (0, 0, 8, 8), (24, 24, 8, 8)),
        "a patch that changes one colour only": (grey, colour, (2, 2, 8, 8), (5, 5, 8, 8)),
        "a patch that changes one colour a little": (grey, a_little, (2, 2, 8, 8), (5, 5, 8, 8)),
        "a patch that is darker": (grey, dark, (2, 2, 8, 8), (5, 5, 8, 8)),
        "a patch that agrees in part": (grey, partly, (2, 2, 8, 8), (5, 5, 8, 8)),
        "a patch like the place": (grey, like, (2, 2, 8, 8), (5, 5, 8, 8)),
    }


def _of_placing() -> dict[str, tuple[Any, ...]]:
    full, empty = np.ones((6, 8), bool), np.zeros((6, 8), bool)
    left, half = empty.copy(), empty.copy()
    left[:, :4], half[:3] = True, True
    most = full.copy()
    most[0, :6] = False
    return {
        "object on object": (full, full, 0.7, 0.5),
        "object on background": (full, empty, 0.7, 0.5),
        "background on object": (empty, full, 0.7, 0.5),
        "background, and nothing asked": (empty, full, 0.0, 0.0),
        "half an object, half asked": (left, full, 0.5, 0.5),
        "half an object, more asked": (left, full, 0.7, 0.5),
        "half of the object lands": (full, left, 0.7, 0.5),
        "a quarter of the patch lands, half of its object": (left, half, 0.5, 0.5),
        "most of it, a little lands": (most, half, 0.7, 0.6),
    }


def _images(batch: int, seed: int) -> Tensor:
    return noise(batch, 3, 8, 8, seed=seed)


def _of_the_loss() -> dict[str, tuple[Any, ...]]:
    return {
        "a batch": (SmallModel(), _images(4, 1), _images(4, 2)),
        "one image": (SmallModel(), _images(1, 3), _images(1, 4)),
        "nothing pasted": (SmallModel(), _images(2, 5), _images(2, 5)),
    }


def _gradient(mine: Callable[..., Any]) -> str | None:
    model = SmallModel()
    loss = mine(model, _images(2, 1), _images(2, 2))
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return (
            "The number is right, but it has no gradient: the student cannot learn from it. Call `model.restore` "
            "outside of `torch.no_grad`, and do not turn the loss into a plain number."
        )
    loss.backward()
    if model.eye.grad is not None and bool(model.eye.grad.abs().sum() > 0):
        return (
            "The number is right, but the gradient runs into the teacher. What the teacher says, target and input, is "
            "given: take it inside `with torch.no_grad():`."
        )
    return None


def _pasted(
    mask: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    patch: Callable[[np.ndarray, Box, Box], np.ndarray] | None = None,
) -> Callable[..., Pasted]:
    """`paste_patch` with another mask, or with another patch."""

    def answer(image: np.ndarray, source: np.ndarray, cut: Any, box: Any) -> Pasted:
        new = image.copy()
        new[Box(*box).slices] = (patch or rescaled_patch)(source, Box(*cut), Box(*box))
        return new, (mask or visible_change)(image, new)

    return answer


def _box_as_mask(image: np.ndarray, source: np.ndarray, cut: Any, box: Any) -> Pasted:
    mask = np.zeros(image.shape[:2], bool)
    mask[Box(*box).slices] = True
    return paste_patch(image, source, cut, box)[0], mask


def _in_place(image: np.ndarray, source: np.ndarray, cut: Any, box: Any) -> Pasted:
    image[Box(*box).slices] = rescaled_patch(source, Box(*cut), Box(*box))
    return image, visible_change(image, image)


def _not_cut(image: np.ndarray, source: np.ndarray, cut: Any, box: Any) -> Pasted:
    return paste_patch(image, image, cut, box)


def _whole(image: np.ndarray, source: np.ndarray, cut: Any, box: Any) -> Pasted:
    return paste_patch(image, source, (0, 0, *source.shape[:2]), box)


WRAPPED = (
    "uint8 cannot be negative: 10 - 100 becomes 166, and 97 - 100 becomes 253. Turn one of the two images into int "
    "before you subtract."
)

EXERCISES = (
    Exercise(
        name="05.paste_patch",
        answer=paste_patch,
        cases=_of_pasting,
        tolerance=0.02,
        mistakes=(
            Mistake(
                _box_as_mask,
                "That mask is the box. Inside the box there can be pixels that did not change: compare the new image "
                "with the old one, pixel by pixel.",
            ),
            Mistake(
                _pasted(lambda old, new: (np.abs(new.astype(int) - old) >= NOISE_FLOOR).any(2)),
                "Nearly: more than 3 levels count, not 3 itself.",
            ),
            *(
                Mistake(_pasted(mask), WRAPPED)
                for mask in (
                    lambda old, new: ((new - old) > NOISE_FLOOR).any(2),
                    lambda old, new: ((old - new) > NOISE_FLOOR).any(2),
                    lambda old, new: (np.abs(new - old) > NOISE_FLOOR).any(2),
                    lambda old, new: (np.abs(old - new) > NOISE_FLOOR).any(2),
                )
            ),
            Mistake(
                _pasted(lambda old, new: (np.abs(new.astype(int) - old) > NOISE_FLOOR).all(2)),
                "Only pixels where all three colours changed are marked. One colour that changed is enough: `any`, "
                "not `all`.",
            ),
            Mistake(
                _pasted(lambda old, new: (new.astype(int) - old > NOISE_FLOOR).any(2)),
                "Only pixels that became brighter are marked. A darker one has changed as well: take the absolute "
                "difference.",
            ),
            *(
                Mistake(
                    _pasted(mask),
                    "The mask marks every change, down to a single grey level. Nobody sees that: more than 3 levels "
                    "count.",
                )
                for mask in (
                    lambda old, new: (new != old).any(2),
                    lambda old, new: (np.abs(new.astype(int) - old) > 0).any(2),
                )
            ),
            Mistake(
                _pasted(lambda old, new: np.abs(new.astype(int) - old) > NOISE_FLOOR),
                "The mask has one value for each colour, (H, W, 3). It should have one for each pixel: has any of its "
                "colours changed?",
            ),
            Mistake(
                _pasted(lambda old, new: np.abs(new.astype(int) - old).mean(2) > NOISE_FLOOR),
                "The change is averaged over the colours before it is compared. Compare each colour, then ask whether "
                "any of them changed.",
            ),
            Mistake(
                _in_place,
                "The image itself was changed, so that old and new are the same and nothing seems to differ. Begin "
                "with `image.copy()`.",
            ),
            Mistake(_not_cut, "The patch was cut from `image`. Cut it from `source`."),
            Mistake(
                _whole,
                "All of the source was squeezed into the box. Cut the box `cut` out of it first, then rescale.",
            ),
        ),
    ),
    Exercise(
        name="05.on_object",
        answer=on_object,
        cases=_of_placing,
        mistakes=(
            Mistake(
                lambda patch, place, a, b: bool(patch.any() and patch.mean() >= a and (patch & place).mean() >= b),
                "The overlap is taken as a share of the whole patch. Asked is which share of the patch's *object* "
                "lands on object.",
            ),
            Mistake(
                lambda patch, place, a, b: bool(patch.any() and patch.mean() >= a and place.mean() >= b),
                "That asks how much of the place is object. Asked is how much of the patch's object lands there.",
            ),
            Mistake(
                lambda patch, place, a, b: bool(
                    patch.any() and (patch.mean() >= a or (patch & place).sum() >= b * patch.sum())
                ),
                "One of the two conditions is enough here. Both must hold: `and`.",
            ),
            Mistake(
                lambda patch, place, a, b: bool(patch.any() and patch.mean() >= a),
                "The second condition never fails: it is missing, or it counts the union, what is object in the patch "
                "*or* in the place. What lands on object again is object in both: the intersection.",
            ),
            Mistake(
                lambda patch, place, a, b: bool(
                    patch.any() and patch.mean() > a and (patch & place).sum() > b * patch.sum()
                ),
                "Nearly: a share that is exactly the least one is enough. `>=`, not `>`.",
            ),
            Mistake(
                lambda patch, place, a, b: bool(patch.mean() >= a and (patch & place).sum() >= b * patch.sum()),
                "A patch without any object passes when nothing is asked for. It would paste background on background: "
                "at least one pixel must be object.",
            ),
        ),
    ),
    Exercise(
        name="05.ilm_loss",
        answer=ilm_loss,
        cases=_of_the_loss,
        examine=_gradient,
        examined=("gradients of student and teacher",),
        mistakes=(
            Mistake(
                lambda model, _, odd: distillation_loss(model.see(odd), model.restore(model.see(odd))),
                "The target comes from the anomalous image: whoever copies is rewarded. It should be what the teacher "
                "says of the *normal* image.",
            ),
            Mistake(
                lambda model, normal, _: distillation_loss(model.see(normal), model.restore(model.see(normal))),
                "The student is shown the normal image: that is `rd`. Show it the *anomalous* one; keep the target.",
            ),
            Mistake(
                lambda model, normal, odd: distillation_loss(model.see(odd), model.restore(model.see(normal))),
                "Input and target are exchanged: that teaches to put defects in. The student is shown the anomalous "
                "image, and the target is the normal one.",
            ),
            Mistake(
                lambda model, normal, anomalous: distillation_loss(model.see(normal), model.see(anomalous)),
                "That compares the teacher with the teacher. The student's answer, `model.restore(...)`, is missing.",
            ),
            Mistake(
                lambda model, normal, anomalous: distillation_loss(
                    model.restore(model.see(normal)), model.restore(model.see(anomalous))
                ),
                "Both sides are the student's. The target is what the *teacher* says: `model.see(normal)`, as it is.",
            ),
        ),
    ),
)
