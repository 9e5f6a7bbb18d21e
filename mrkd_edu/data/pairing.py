"""Which mask and which twin belongs to which image, and what the masks say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mrkd_edu.data.files import DataError
from mrkd_edu.data.images import image_size, list_images, read_mask
from mrkd_edu.data.layouts import Sample, find, listed, stem_of


def with_masks_and_twins(
    samples: list[Sample], mask_folder: Path | None, twin_folder: Path | None
) -> list[Sample]:
    kinds = {sample.kind for sample in samples if sample.label}
    if mask_folder is not None or twin_folder is not None:
        seen: dict[tuple[str, str], Path] = {}
        for sample in (s for s in samples if s.label):
            if (other := seen.setdefault((sample.kind, stem_of(sample.path)), sample.path)) is not sample.path:
                raise DataError(same_name(other, sample.path))
    masks = {kind: _by_stem(mask_folder, kind) for kind in kinds}
    twins = {kind: _by_stem(twin_folder, kind) for kind in kinds}
    found = []
    for sample in samples:
        if sample.label:
            stem = stem_of(sample.path)
            mask = masks[sample.kind].get(f"{stem}_mask") or masks[sample.kind].get(stem)
            sample = replace(sample, mask=mask, twin=twins[sample.kind].get(stem))
        found.append(sample)
    return found


def _by_stem(folder: Path | None, kind: str) -> dict[str, Path]:
    """The images in `folder/kind` by their lower-case names without suffix."""
    kind_folder = find(folder, (kind,)) if folder else None
    found: dict[str, Path] = {}
    for path in list_images(kind_folder) if kind_folder else []:
        if (other := found.setdefault(stem_of(path), path)) is not path:
            raise DataError(same_name(other, path))
    return found


def same_name(one: Path, other: Path) -> str:
    return (
        f"{one} and {other.name} have the same name without suffix, so that one cannot tell which belongs to what; "
        "rename one of them, or delete it"
    )


def missing_masks(root: Path, mask_folder: Path, unmasked: list[Sample], defective: int) -> str:
    wanted = [f"{mask_folder.name}/{sample.kind}/{sample.path.stem}_mask.png" for sample in unmasked]
    return (
        f"no mask for {len(unmasked)} of the {defective} defective images of {root}. Add {listed(wanted)}, "
        f"or move {mask_folder.name}/ away to work without masks"
    )


def masks_of_no_kind(mask_folder: Path, flat: list[Path], example: Sample) -> str:
    return (
        f"{mask_folder} holds {listed([path.name for path in flat])} directly, where no image finds its mask. "
        f"Put each mask into the folder of its kind of defect, {mask_folder.name}/<kind>/<image name>_mask.png; "
        f"the one of {example.path} is {mask_folder.name}/{example.kind}/{example.path.stem}_mask.png"
    )


def read_defect_masks(samples: list[Sample], size: int) -> np.ndarray:
    """The masks of defective images, (N, size, size) bool."""
    masks = np.stack([_read_defect_mask(sample, size) for sample in samples])
    mostly = [s.mask for s, mask in zip(samples, masks, strict=True) if mask.mean() > 0.5]
    if len(mostly) > len(samples) / 2:
        raise DataError(
            f"{len(mostly)} of {len(samples)} masks mark more than half of their image as defect, first {mostly[0]}; "
            "are they the other way round? A mask is black where the image is normal, white on the defect: invert them"
        )
    return masks


def _read_defect_mask(sample: Sample, size: int) -> np.ndarray:
    assert sample.mask is not None
    mask = read_mask(sample.mask, size, expect=image_size(sample.path))
    if not mask.any():
        raise DataError(
            f"the mask {sample.mask} is all black, but {sample.path} is defective ({sample.kind}); "
            "draw the defect in white, or move the image to good"
        )
    return mask  # (size, size)
