"""Answers to lesson 05."""

PASTE = """def paste_patch(image, source, cut, box):
    top, left, height, width = cut
    patch = cv2.resize(source[top : top + height, left : left + width], ({size}))
    top, left, height, width = box
    new = {start}
    new[top : top + height, left : left + width] = patch
    return new, {mask}
"""


def paste(size="box[3], box[2]", start="image.copy()", mask="(np.abs(new.astype(int) - image) > 3).any(2)") -> str:
    return PASTE.format(size=size, start=start, mask=mask)


RIGHT = {
    "05.paste_patch": [
        paste(),
        paste(mask="(np.abs(new.astype(float) - image.astype(float)).max(axis=-1) > 3)"),
        paste(start="np.array(image)", mask="cv2.absdiff(new, image).max(2) > 3"),
    ],
    "05.on_object": [
        "def on_object(patch_object, place_object, min_object, min_overlap):\n"
        "    if not patch_object.any() or patch_object.mean() < min_object:\n"
        "        return False\n"
        "    return place_object[patch_object].mean() >= min_overlap",
        "def on_object(patch_object, place_object, min_object, min_overlap):\n"
        "    own = np.count_nonzero(patch_object)\n"
        "    both = np.count_nonzero(np.logical_and(patch_object, place_object))\n"
        "    return bool(own and own / patch_object.size >= min_object and both / own >= min_overlap)",
    ],
    "05.ilm_loss": [
        "def ilm_loss(model, normal, anomalous):\n"
        "    with torch.no_grad():\n"
        "        target = model.see(normal)\n"
        "        given = model.see(anomalous)\n"
        "    S = model.restore(given)\n"
        "    return loss(target, S)",
        "def ilm_loss(model, normal, anomalous):\n"
        "    target = [t.detach() for t in model.see(normal)]\n"
        "    given = [t.detach() for t in model.see(anomalous)]\n"
        "    return loss(target, model.restore(given))",
    ],
}
WRONG = {
    "05.paste_patch": [
        (paste(size="box[2], box[3]"), "could not broadcast"),
        (paste(mask="(np.abs(new - image) > 3).any(2)"), "uint8 cannot be negative"),
        (paste(mask="(np.abs(new.astype(int) - image) > 3).all(2)"), "`any`, not `all`"),
        (paste(mask="(new != image).any(axis=2)"), "more than 3 levels count"),
        (paste(mask="(np.abs(new.astype(int) - image) >= 3).any(2)"), "not 3 itself"),
        (paste(mask="np.abs(new.astype(int) - image).mean(2) > 3"), "averaged over the colours"),
        (paste(start="image"), "Begin with `image.copy()`"),
        (paste(mask="np.abs(new.astype(int) - image) > 3"), "one value for each colour"),
        (
            "def paste_patch(image, source, cut, box):\n"
            "    new = image.copy()\n"
            "    patch = cv2.resize(source[cut[0] : cut[0] + cut[2], cut[1] : cut[1] + cut[3]], (box[3], box[2]))\n"
            "    new[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = patch\n"
            "    mask = np.zeros(image.shape[:2], bool)\n"
            "    mask[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = True\n"
            "    return new, mask",
            "That mask is the box",
        ),
    ],
    "05.on_object": [
        (
            "def on_object(patch_object, place_object, min_object, min_overlap):\n"
            "    if patch_object.mean() < min_object or not patch_object.any():\n"
            "        return False\n"
            "    return (patch_object | place_object).sum() >= min_overlap * patch_object.sum()",
            "counts the union",
        ),
        (
            "def on_object(patch_object, place_object, min_object, min_overlap):\n"
            "    both = patch_object & place_object\n"
            "    return patch_object.any() and patch_object.mean() >= min_object and both.mean() >= min_overlap",
            "share of the whole patch",
        ),
        (
            "def on_object(patch_object, place_object, min_object, min_overlap):\n"
            "    both = (patch_object & place_object).sum()\n"
            "    return patch_object.mean() >= min_object and both >= min_overlap * patch_object.sum()",
            "at least one pixel must be object",
        ),
        (
            "def on_object(patch_object, place_object, min_object, min_overlap):\n"
            "    both = (patch_object & place_object).sum()\n"
            "    enough = patch_object.mean() >= min_object or both >= min_overlap * patch_object.sum()\n"
            "    return patch_object.any() and enough",
            "Both must hold",
        ),
    ],
    "05.ilm_loss": [
        (
            "def ilm_loss(model, normal, anomalous):\n"
            "    given = model.see(anomalous)\n    return loss(given, model.restore(given))",
            "whoever copies is rewarded",
        ),
        (
            "def ilm_loss(model, normal, anomalous):\n    T = model.see(normal)\n    return loss(T, model.restore(T))",
            "that is `rd`",
        ),
        (
            "def ilm_loss(model, normal, anomalous):\n"
            "    return loss(model.see(anomalous), model.restore(model.see(normal)))",
            "exchanged",
        ),
        (
            "def ilm_loss(model, normal, anomalous):\n"
            "    return loss(model.see(normal), model.restore(model.see(anomalous)))",
            "runs into the teacher",
        ),
        (
            "def ilm_loss(model, normal, anomalous):\n"
            "    with torch.no_grad():\n"
            "        return loss(model.see(normal), model.restore(model.see(anomalous)))",
            "has no gradient",
        ),
    ],
}
