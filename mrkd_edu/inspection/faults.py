"""What can be wrong with a category: each check adds its sentences to the inventory, and none of them raises."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from mrkd_edu.data.files import DataError
from mrkd_edu.data.folder import AnomalyFolder
from mrkd_edu.data.images import BITS_12
from mrkd_edu.data.layouts import Sample, listed
from mrkd_edu.inspection.inventory import Inventory
from mrkd_edu.inspection.lookalikes import FEWEST, SAME, groups, lookalikes, spread
from mrkd_edu.inspection.looks import Look, MaskLook

HELD_OUT_FROM = 12  # normal images; of fewer `study.prepare.split` holds out none for the threshold
A_START, BETTER = 40, 100  # normal images to learn from, as the README has it
FEW_TESTS = 5  # of a sort: fewer say little
SMALL = 64  # pixels; the teacher sees little in smaller pictures
SQUEEZED = 1.1  # ratio of the widest to the tallest shape, from which on pictures are distorted differently


def check_reading(stock: Inventory, looks: dict[Sample, Look]) -> None:
    """Pictures that cannot be read, with their sentences."""
    for sample, seen in looks.items():
        if seen.error:
            stock.complain("unreadable", "error", sample.path, _without(seen.error, sample.path))


def check_masks(stock: Inventory, looks: dict[Sample, Look], masks: dict[Sample, MaskLook]) -> None:
    """Masks that are missing, empty, inverted, of another size, or cannot be read."""
    defective = [sample for sample in stock.test if sample.label]
    unmasked = [sample for sample in defective if sample.mask is None]
    if defective and not any(stock.masks.values()):
        text = "there are no masks, and so no pixel metrics; for these add ground_truth/<kind>/<image name>_mask.png"
        stock.complain("no-masks", "note", None, text)
    elif unmasked:
        for sample in unmasked:
            text = (
                f"it has no mask, though others have one; add {sample.kind}/{sample.path.stem}_mask.png to the masks, "
                "or move the folder of masks away to work without"
            )
            stock.complain("mask-missing", "error", sample.path, text)
    mostly = [sample for sample, mask in masks.items() if mask.share > 0.5]
    for sample, mask in masks.items():
        assert sample.mask is not None
        image = looks[sample]
        if mask.error:
            code = "mask-full" if "every pixel" in mask.error else "mask-unreadable"
            stock.complain(code, "error", sample.mask, _without(mask.error, sample.mask))
            continue
        if not image.error and mask.size != image.size:
            one, other = (f"{seen.size[0]} x {seen.size[1]}" for seen in (mask, image))
            text = f"it is {one} pixels (height x width), its image {other}; save it in the size of its image"
            stock.complain("mask-size", "error", sample.mask, text, sample.path)
        if mask.share == 0:
            text = "it is all black, but its image is defective; draw the defect in white, or move the image to good"
            stock.complain("mask-empty", "error", sample.mask, text, sample.path)
        elif mask.share > 0.5:
            severity = "error" if len(mostly) > len(defective) / 2 else "warning"
            text = f"it calls {mask.share:.0%} of its image defect; is it the wrong way round? Then invert it"
            stock.complain("mask-inverted", severity, sample.mask, text, sample.path)


def check_numbers(stock: Inventory) -> None:
    """Too few pictures of a sort."""
    train, normal = len(stock.train), sum(not sample.label for sample in stock.test)
    defective = len(stock.test) - normal
    if 0 < train < HELD_OUT_FROM:
        text = (
            f"{train} normal images to learn from are too few to hold any out for the threshold, which will be too "
            f"low; take {A_START} at least, {BETTER} are better"
        )
        stock.complain("few-images", "warning", None, text)
    elif train < BETTER and train:
        severity = "warning" if train < A_START else "note"
        text = f"{train} normal images to learn from; {A_START} are a start, {BETTER} are better: take more if you can"
        stock.complain("few-images", severity, None, text)
    if train and not stock.test:
        text = "there is no test set: one can train and predict, but not evaluate; put defective images into <kind>/"
        stock.complain("no-test", "note", None, text)
    elif train:
        for number, what, where in ((normal, "normal", "good/"), (defective, "defective", "folders of their kind")):
            if number < FEW_TESTS:
                severity = "warning" if number == 0 else "note"
                text = f"{number} {what} test images: too few to measure with; put more into {where}"
                stock.complain(f"few-{what}-tests", severity, None, text)


def check_bits(stock: Inventory, looks: dict[Sample, Look]) -> None:
    """16-bit pictures that hold 12 bits or fewer, and would be read nearly black."""
    for samples in (stock.train, stock.test):  # apart, as `AnomalyFolder` does: they may come from two cameras
        values = [(value, s) for s in samples if (value := looks[s].brightest) is not None]
        if not values:
            continue
        brightest = max(value for value, _ in values)
        paths = [sample.path for _, sample in values]
        if 0 < brightest <= BITS_12:
            bits = max(brightest.bit_length(), 8)
            text = (
                f"{len(values)} 16-bit pictures are nearly black: the brightest pixel is {brightest} of 65535, so they "
                f"hold {bits} bits; multiply their values by {2 ** (16 - bits)}"
            )
            stock.complain("dark-16-bit", "error", paths[0], text, *paths[1:])


def check_alike(stock: Inventory, looks: dict[Sample, Look]) -> None:
    """Constant pictures, repeated ones, and ones that show the same again."""
    read = [sample for sample, seen in looks.items() if not seen.error]
    for sample in read:
        if looks[sample].constant:
            text = "every pixel of it is the same: a blank picture; take it anew, or delete it"
            stock.complain("constant", "warning", sample.path, text)
    varied = [sample for sample in read if not looks[sample].constant]
    learned = set(stock.train)
    train = [sample for sample in read if sample in learned]
    if len(train) > 1 and len({looks[sample].pixels for sample in train}) == 1:
        text = f"all {len(train)} normal images to learn from are the same picture; take one photograph of each part"
        stock.complain("all-the-same", "error", None, text)
    elif read and not varied:
        stock.complain("all-constant", "error", None, "all images are blank; is the camera's cap on? Take them anew")
    repeated: defaultdict[bytes, list[Sample]] = defaultdict(list)
    for sample in read:
        repeated[looks[sample].pixels].append(sample)
    for same in repeated.values():
        if len(same) > 1:
            files = len({looks[sample].content for sample in same}) == 1
            _complain_of_repeats(stock, same, learned, "the same file" if files else "the same pixels", exact=True)
    once = [same[0] for same in repeated.values() if not looks[same[0]].constant]
    thumbs = [(looks[s].thumb, looks[s].valid) for s in once]
    if len(once) < FEWEST:
        if len(once) > 1:
            text = f"of fewer than {FEWEST} images one cannot tell which show the same part twice: not looked for"
            stock.complain("too-few-to-compare", "note", None, text)
        return
    values = np.stack([thumb for thumb, _ in thumbs if thumb is not None])
    valid = np.stack([cells for _, cells in thumbs if cells is not None])
    if spread(values, valid) < SAME:
        text = f"all {len(once)} images look the same: is it one picture? Take one photograph of each part"
        stock.complain("all-alike", "error", None, text)
        return
    for group in groups((i, j) for i, j, _ in lookalikes(values, valid)):
        # one of each set of equal ones stands for it; where it is about both parts, all must be asked
        members = [sample for i in group for sample in repeated[looks[once[i]].pixels]]
        _complain_of_repeats(stock, members, learned, "probably the same picture or the same part", exact=False)


def _complain_of_repeats(stock: Inventory, same: list[Sample], learned: set[Sample], what: str, exact: bool) -> None:
    """One problem for a group of pictures that are, or show, the same."""
    inside = [sample for sample in same if sample in learned]
    tested = [sample for sample in same if sample not in learned]
    code = "repeated" if exact else "alike"
    if len({sample.kind for sample in same}) > 1:
        kinds = listed(sorted({sample.kind for sample in same}))
        text = f"{what} is in {kinds}: sorted wrongly, or a defect that hardly shows? Look at {{names}}"
        _say(stock, f"{code}-kinds", "error" if exact else "warning", same, text)
    if inside and tested:
        cure = "move it out of one of them" if exact else "put all pictures of one part on one side"
        worth = "what is measured on it is worth nothing" if exact else "a test on it asks for memory"
        text = f"{what} is learned from and tested on ({{names}}): {worth}; {cure}"
        _say(stock, f"{code}-train-test", "error" if exact else "warning", tested + inside, text)
    elif len({sample.kind for sample in same}) == 1:
        part = "training" if inside else "test"
        cure = "delete all but one" if exact else "keep one of them, unless a part may count several times"
        text = f"{what} is {len(same)} times in the {part} images ({{names}}); {cure}"
        _say(stock, f"{code}-{part}", "warning" if exact else "note", same, text)


def _say(stock: Inventory, code: str, severity: str, samples: list[Sample], text: str) -> None:
    names = listed([stock.name(sample.path) for sample in samples], 3)
    paths = [sample.path for sample in samples]
    stock.complain(code, severity, paths[0], text.replace("{names}", names), *paths[1:])


def check_shapes(stock: Inventory, looks: dict[Sample, Look]) -> None:
    """Sizes and modes that a detector could tell normal from defective images by, or that distort them."""
    read = {sample: seen for sample, seen in looks.items() if not seen.error}
    if not read:
        return
    small = [sample.path for sample, seen in read.items() if min(seen.size) < SMALL]
    if small:
        text = f"{len(small)} images have a side below {SMALL} pixels, too few for a small defect; take larger ones"
        stock.complain("small", "note", small[0], text, *small[1:])
    shapes = [seen.size[1] / seen.size[0] for seen in read.values()]
    if max(shapes) > SQUEEZED * min(shapes):
        text = (
            "images have different shapes (width / height from "
            f"{min(shapes):.2g} to {max(shapes):.2g}), and each is squeezed to a square; cut them alike if you can"
        )
        stock.complain("shapes", "note", None, text)
    normal = [seen for sample, seen in read.items() if not sample.label]
    defective = [seen for sample, seen in read.items() if sample.label]
    for what in ("mode", "kind", "size"):
        one, other = ({getattr(seen, what) for seen in part} for part in (normal, defective))
        if len(normal) > 1 and len(defective) > 1 and not one & other:
            said = {"mode": "kind of pixels", "kind": "format", "size": "size"}[what]
            names = [listed(sorted(_word(value) for value in values), 2) for values in (one, other)]
            text = (
                f"normal and defective images have no {said} in common ({names[0]}; {names[1]}): a detector may tell "
                "them apart by that alone; take and save all in the same way"
            )
            stock.complain(f"other-{what}", "warning", None, text)


def _word(value: str | tuple[int, int]) -> str:
    return value if isinstance(value, str) else f"{value[0]} x {value[1]}"


def check_refused(stock: Inventory) -> None:
    """What the library says, unless it is said already: it has the last word on what it reads."""
    try:
        AnomalyFolder(stock.root)
    except DataError as error:
        errors = [problem for problem in stock.problems if problem.severity == "error"]
        told = any(p.file and str(stock.root / p.file) in str(error) for p in errors)
        if not told and not any(p.code in ("no-good", "no-images", "dark-16-bit", "mask-missing") for p in errors):
            stock.complain("refused", "error", None, str(error))


def _without(text: str, path: Path) -> str:
    """A sentence that begins with the name of its file, without it: the name stands before it anyway."""
    for begins in (f"the mask {path} ", f"{path} "):
        text = text.removeprefix(begins)
    return text
