"""Answers to assignment A1."""


def function(head: str, *lines: str) -> str:
    return f"def {head}:\n" + "".join(f"    {line}\n" for line in lines)


# ---- cut_and_rescale

CUT = "cut_and_rescale(source, cut, height, width)"


def cut(index: str = "[top : top + h, left : left + w]", size: str = "(width, height)", how: str = "") -> str:
    return function(CUT, "top, left, h, w = cut", f"return cv2.resize(source{index}, {size}{how})")


# ---- paste_patch

PASTE = "paste_patch(image, source, cut, box)"
UNPACK = "t, l, h, w = cut", "top, left, height, width = box"
PATCH = "patch = cv2.resize(source[t : t + h, l : l + w], (width, height))"
LIMITS = (
    "a, b = max(top, 0), max(left, 0)",
    "c, d = max(a, min(top + height, image.shape[0])), max(b, min(left + width, image.shape[1]))",
)


def paste(*lines: str, patch: str = PATCH, new: str = "new = image.copy()") -> str:
    return function(PASTE, *UNPACK, patch, *LIMITS, new, *lines, "return new")


PUT = "new[a:c, b:d] = patch[a - top : c - top, b - left : d - left]"

# ---- true_change_mask

CHANGE = "true_change_mask(old, new)"

# ---- poisson_blend

BLEND = "poisson_blend(patch, place)"


def blend(
    right: str = "4 * g[y, x] - g[y - 1, x] - g[y + 1, x] - g[y, x - 1] - g[y, x + 1]",
    floats: str = "g, f = patch.astype(float), place.astype(float)",
    known: str = "b[k] += f[q]",
    back: str = "return f",
) -> str:
    return function(
        BLEND,
        floats,
        "h, w = g.shape",
        "number = {}",
        "for y in range(1, h - 1):",
        "    for x in range(1, w - 1):",
        "        number[y, x] = len(number)",
        "A, b = np.zeros((len(number), len(number))), np.zeros(len(number))",
        "for (y, x), k in number.items():",
        "    A[k, k] = 4",
        f"    b[k] = {right}",
        "    for q in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):",
        "        if q in number:",
        "            A[k, number[q]] = -1",
        "        else:",
        f"            {known}",
        "if number:",
        "    for p, value in zip(number, np.linalg.solve(A, b)):",
        "        f[p] = value",
        back,
    )


def sweeps(number: int) -> str:
    return function(
        BLEND,
        "g, f = patch.astype(float), place.astype(float)",
        "if min(f.shape) < 3:",
        "    return f",
        "def around(x):",
        "    return x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]",
        f"for _ in range({number}):",
        "    f[1:-1, 1:-1] = (around(f) + 4 * g[1:-1, 1:-1] - around(g)) / 4",
        "return f",
    )


CORRECTION = function(
    BLEND,
    "g, f = np.float64(patch), np.float64(place)",
    "h, w = g.shape",
    "inner = np.zeros((h, w), bool)",
    "inner[1:-1, 1:-1] = True",
    "if not inner.any():",
    "    return f",
    "full = np.zeros((h * w, h * w))",
    "for p in range(h * w):",
    "    full[p, p] = 4",
    "    for q in (p - w, p + w, p - 1, p + 1):",
    "        if 0 <= q < h * w:",
    "            full[p, q] = -1",
    "rim = np.where(inner, 0, f - g).ravel()",
    "k = inner.ravel()",
    "new = g.copy()",
    "new[inner] += np.linalg.solve(full[np.ix_(k, k)], -(full @ rim)[k])",
    "new[~inner] = f[~inner]",
    "return new",
)  # the patch plus a correction without differences

# ---- seam

SEAM = "seam(grey, box, inside)"


def seam(
    start: str = "g = grey.astype(float)",
    box: str = "y, x, h, w = box[0] + inside, box[1] + inside, box[2] - 2 * inside, box[3] - 2 * inside",
    guard: str = "0 < {} < g.shape[{}]",
    end: str = "return np.abs(np.concatenate(steps)).mean() if steps else np.nan",
) -> str:
    return function(
        SEAM,
        start,
        box,
        "steps = []",
        "if min(h, w) < 1:",
        "    return float('nan')",
        "for at in (y, y + h):",
        f"    if {guard.format('at', 0)}:",
        "        steps.append(g[at, x : x + w] - g[at - 1, x : x + w])",
        "for at in (x, x + w):",
        f"    if {guard.format('at', 1)}:",
        "        steps.append(g[y : y + h, at] - g[y : y + h, at - 1])",
        end,
    )


RIGHT = {
    "A1.cut_and_rescale": [
        cut(),
        function(
            CUT,
            "patch = source[cut[0] :, cut[1] :][: cut[2], : cut[3]]",
            "return cv2.resize(patch, dsize=(width, height), interpolation=cv2.INTER_LINEAR)",
        ),
        function(
            CUT,
            "rows, columns = cut[0] + np.arange(cut[2]), cut[1] + np.arange(cut[3])",
            "patch = torch.from_numpy(source[rows[:, None], columns]).permute(2, 0, 1)[None].float()",
            "out = F.interpolate(patch, (height, width), mode='bilinear', align_corners=False)",
            "return out[0].permute(1, 2, 0).round().byte().numpy()",
        ),
    ],
    "A1.paste_patch": [
        paste(PUT),
        function(
            PASTE,
            *UNPACK,
            PATCH,
            "ys, xs = top + np.arange(height), left + np.arange(width)",
            "ky, kx = (ys >= 0) & (ys < image.shape[0]), (xs >= 0) & (xs < image.shape[1])",
            "new = np.array(image)",
            "new[np.ix_(ys[ky], xs[kx])] = patch[np.ix_(ky, kx)]",
            "return new",
        ),
        function(
            PASTE,
            *UNPACK,
            PATCH,
            "m = 100",
            "wide = np.pad(image, ((m, m), (m, m), (0, 0)))",
            "wide[m + top : m + top + height, m + left : m + left + width] = patch",
            "return wide[m:-m, m:-m].copy()",
        ),
        function(
            PASTE,
            *UNPACK,
            PATCH,
            "new = image.copy()",
            "for y in range(height):",
            "    for x in range(width):",
            "        if 0 <= top + y < len(new) and 0 <= left + x < len(new[0]):",
            "            new[top + y, left + x] = patch[y, x]",
            "return new",
        ),
    ],
    "A1.true_change_mask": [
        function(CHANGE, "return (np.abs(new.astype(int) - old) > 3).any(2)"),
        function(CHANGE, "return cv2.absdiff(old, new).max(axis=-1) > 3"),
        function(
            CHANGE,
            "larger, smaller = np.maximum(old, new), np.minimum(old, new)",
            "return np.any(larger - smaller > 3, axis=2)",
        ),
        function(
            CHANGE,
            "difference = old.astype(np.float32) - new.astype(np.float32)",
            "mask = np.zeros(old.shape[:2], dtype=bool)",
            "for c in range(3):",
            "    mask |= difference[..., c] ** 2 > 9.5",
            "return mask",
        ),
    ],
    "A1.flm_mask": [
        function("flm_mask(random, drop)", "return (random >= drop).to(random.dtype)"),
        function("flm_mask(random, drop)", "return torch.where(random < drop, 0, 1).type_as(random)"),
        function(
            "flm_mask(random, drop)",
            "mask = torch.ones_like(random)",
            "mask[random < drop] = 0",
            "return mask",
        ),
        function("flm_mask(random, drop)", "return (random >= drop).float()"),
    ],
    "A1.poisson_blend": [blend(), CORRECTION, sweeps(2000)],
    "A1.seam": [
        seam(),
        function(
            SEAM,
            "g = grey.astype(int)",
            "member = np.zeros(g.shape, bool)",
            "y, x, h, w = box",
            "if min(h, w) <= 2 * inside:",
            "    return float('nan')",
            "member[y + inside : y + h - inside, x + inside : x + w - inside] = True",
            "down, right = np.abs(np.diff(g, axis=0)), np.abs(np.diff(g, axis=1))",
            "across = np.concatenate([down[member[1:] != member[:-1]], right[member[:, 1:] != member[:, :-1]]])",
            "return across.mean() if len(across) else float('nan')",
        ),
        function(
            SEAM,
            "top, left, bottom, right = box[0], box[1], box[0] + box[2], box[1] + box[3]",
            "top, left, bottom, right = top + inside, left + inside, bottom - inside, right - inside",
            "total, count = 0, 0",
            "for y in range(top, bottom):",
            "    for x in range(left, right):",
            "        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):",
            "            if top <= v < bottom and left <= u < right:",
            "                continue",
            "            if 0 <= v < grey.shape[0] and 0 <= u < grey.shape[1]:",
            "                total, count = total + abs(int(grey[y, x]) - int(grey[v, u])), count + 1",
            "return total / count if count else float('nan')",
        ),
    ],
}
WRONG = {
    "A1.cut_and_rescale": [
        (cut(size="(height, width)"), "OpenCV counts x before y"),
        (cut(index=""), "whole source was rescaled"),
        (cut(index="[:h, :w]"), "`top` and `left` are not used"),
        (cut(index="[left : left + w, top : top + h]"), "Rows and columns are exchanged"),
        (function(CUT, "return source[cut[0] : cut[0] + height, cut[1] : cut[1] + width]"), "piece of the new size"),
        (cut(how=", interpolation=cv2.INTER_NEAREST"), "repeats its nearest neighbour"),
        (cut(how=", interpolation=cv2.INTER_AREA"), "by another interpolation"),
        (cut(how=") / 255.0 + (0"), "its numbers are float64, and they should be uint8"),
    ],
    "A1.paste_patch": [
        (paste("new[a:c, b:d] = patch[: c - a, : d - b]"), "as far in as the box reaches out"),
        (
            paste(
                "if c > a and d > b:",
                "    new[a:c, b:d] = cv2.resize(source[t : t + h, l : l + w], (d - b, c - a))",
            ),
            "Rescale it to the size of the box",
        ),
        (paste("if (c - a, d - b) == (height, width):", "    new[a:c, b:d] = patch"), "left out altogether"),
        (paste(PUT, patch=PATCH.replace("source", "image")), "Cut it from `source`"),
        (paste(PUT, patch="patch = cv2.resize(source, (width, height))"), "Cut the box `cut` out of it first"),
        (paste(PUT, new="new = image"), "changes what it was given"),
        (
            paste(
                "for y in range(height):",
                "    for x in range(width):",
                "        if -len(new) <= top + y < len(new) and -len(new[0]) <= left + x < len(new[0]):",
                "            new[top + y, left + x] = patch[y, x]",
            ),
            "comes in again on the other side",
        ),
        (
            paste(
                "top, left = max(0, min(top, len(new) - height)), max(0, min(left, len(new[0]) - width))",
                "rest = new[top : top + height, left : left + width]",
                "rest[:] = patch[: len(rest), : rest.shape[1]]",
            ),
            "was moved into the image",
        ),
        (paste(), "comes back as it was"),
    ],
    "A1.true_change_mask": [
        (function(CHANGE, "return (np.abs(new - old) > 3).any(2)"), "uint8 cannot be negative"),
        (function(CHANGE, "return (np.abs(new.astype(int) - old) > 3).all(2)"), "`any`, not `all`"),
        (function(CHANGE, "return (new.astype(int) - old > 3).any(2)"), "became brighter"),
        (function(CHANGE, "return (new != old).any(2)"), "marks every change"),
        (function(CHANGE, "return (np.abs(new.astype(int) - old) >= 3).any(2)"), "not 3 itself"),
        (function(CHANGE, "return np.abs(new.astype(int) - old) > 3"), "one value for each colour"),
        (function(CHANGE, "return np.abs(new.astype(int) - old).mean(2) > 3"), "averaged over the colours"),
        (
            function(
                CHANGE,
                "a, b = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(int) for x in (old, new))",
                "return abs(a - b) > 3",
            ),
            "compares grey values",
        ),
        (function(CHANGE, "return (abs(new.astype(int) - old) <= 3).all(2)"), "The wrong way round"),
        (function(CHANGE, "return (abs(new.astype(int) - old) > 3).any(2) * 1"), "should be True or False"),
    ],
    "A1.flm_mask": [
        (function("flm_mask(random, drop)", "return (random < drop).to(random.dtype)"), "The wrong way round"),
        (function("flm_mask(random, drop)", "return (random > drop).to(random.dtype)"), "just lambda is kept"),
        (function("flm_mask(random, drop)", "return (random >= drop) / (1 - drop)"), "as dropout does"),
        (function("flm_mask(random, drop)", "return random * (random >= drop)"), "still has its random number"),
        (function("flm_mask(random, drop)", "return random.round()"), "Half of the positions"),
        (function("flm_mask(random, drop)", "return random >= drop"), "its numbers are torch.bool"),
        (
            function(
                "flm_mask(random, drop)",
                "n = random[0].numel()",
                "order = random.flatten(1).argsort(1).argsort(1)",
                "return (order >= round(drop * n)).reshape(random.shape).to(random.dtype)",
            ),
            "decides for itself",
        ),
    ],
    "A1.poisson_blend": [
        (blend(right="0"), "as if the patch were flat"),
        (blend(right="g[y - 1, x] + g[y + 1, x] + g[y, x - 1] + g[y, x + 1] - 4 * g[y, x]"), "as a negative"),
        (blend(known="pass"), "counted as 0"),
        (
            function(
                BLEND,
                "f = place.astype(float)",
                "f[1:-1, 1:-1] = patch[1:-1, 1:-1]",
                "return f",
            ),
            "inside is the patch itself",
        ),
        (sweeps(1), "one step towards the solution"),
        (blend(back="return np.round(f)"), "The answer is rounded"),
        (blend(back="return f.clip(0, 255)"), "cut off at 0 or at 255"),
        (blend(back="return f.round().astype(np.uint8)"), "its numbers are uint8, and they should be floats"),
        (
            function(
                BLEND,
                "f = place.astype(float)",
                "if min(f.shape) < 3:",
                "    return f",
                "n, h, w = f[1:-1, 1:-1].size, f.shape[0] - 2, f.shape[1] - 2",
                "A = np.kron(np.eye(h), 2 * np.eye(w) - np.eye(w, k=1) - np.eye(w, k=-1))",
                "A += np.kron(2 * np.eye(h) - np.eye(h, k=1) - np.eye(h, k=-1), np.eye(w))",
                "b = 4 * patch[1:-1, 1:-1] - patch[:-2, 1:-1] - patch[2:, 1:-1] - patch[1:-1, :-2] - patch[1:-1, 2:]",
                "b = b.astype(float)",
                "b[0] += f[0, 1:-1]; b[-1] += f[-1, 1:-1]; b[:, 0] += f[1:-1, 0]; b[:, -1] += f[1:-1, -1]",
                "f[1:-1, 1:-1] = np.linalg.solve(A, b.ravel()).reshape(h, w)",
                "return f",
            ),
            "4 times 100 becomes 144",
        ),
    ],
    "A1.seam": [
        (seam(start="g = grey"), "a step from 100 down to 97"),
        (seam(end="return np.concatenate(steps).mean() if steps else np.nan"), "cancel each other"),
        (seam(end="return np.mean([np.abs(s).mean() for s in steps]) if steps else np.nan"), "mean of four means"),
        (seam(guard="{} < g.shape[{}]"), "row -1 or column -1"),
        (seam(box="y, x, h, w = box"), "`inside` is not used"),
        (
            seam(box="y, x, h, w = box[0] + inside, box[1] + inside, box[2] - inside, box[3] - inside"),
            "Only two of the sides were moved in",
        ),
        (seam(box="y, x, h, w = box[0] + inside, box[1] + inside, box[2], box[3]"), "it has its old size"),
        (seam(end="return np.abs(np.concatenate(steps)).max() if steps else np.nan"), "the largest step"),
        (seam(end="return np.abs(np.concatenate(steps)).sum() if steps else np.nan"), "the sum of the steps"),
        (seam(guard="0 <= {} <= g.shape[{}]"), "is out of bounds for axis 0"),
    ],
}
