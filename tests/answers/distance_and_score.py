"""Answers to assignment A2."""


def function(head: str, *lines: str) -> str:
    return f"def {head}:\n" + "".join(f"    {line}\n" for line in lines)


def short(head: str, body: str) -> str:
    return function(head, f"return {body}")


DISTANCE, FLAT, EACH = "cosine_distance(t, s)", "flattened_loss(T, S)", "per_position_loss(T, S)"
SIZE, MAP, SCORE = "at_image_size(d, size)", "anomaly_map(T, S, size, sigma)", "image_score(maps)"
PRO, AUPRO, FLOOR = "pro(called, regions)", "aupro(maps, regions, limit)", "floored_distance(t, s, floor)"
FLOATS = "t, s = t.float(), s.float()"
PAIRS = "zip(T, S)"


def summed(one: str) -> str:
    return f"sum({one} for t, s in {PAIRS})"


WHOLE = "F.cosine_similarity(t.float().flatten(1), s.float().flatten(1))"
ALONG = "F.cosine_similarity(t.float(), s.float(), dim={})"


# ---- anomaly_map


def smoothed(
    add: str = "total = total + at_image_size(cosine_distance(t, s), size)",
    start: str = "total = torch.zeros(1)",
    sigma: str = "(0, sigma, sigma)",
    mode: str = "mirror",
    blur: str = "return blur(total)",
    end: str = "",
) -> str:
    return function(
        MAP,
        "from scipy import ndimage",
        "def blur(x):",
        f"    return torch.from_numpy(ndimage.gaussian_filter(x.numpy(), {sigma}, mode='{mode}'))",
        start,
        f"for t, s in {PAIRS}:",
        f"    {add}",
        blur + end,
    )


# ---- aupro


def area(
    thresholds: str = "np.unique(maps)[::-1]",
    begin: str = "[0.0], [0.0]",
    normal: str = "regions == 0",
    share: str = "np.mean([called[regions == r].mean() for r in range(1, regions.max() + 1)])",
    called: str = "maps >= threshold",
    keep: str = "fpr <= limit",
    piece: str = "(y[1:] + y[:-1]) / 2",
    by: str = "limit",
    start: str = "pass",
    last: str = "x, y = np.append(fpr[inside], limit), np.append(found[inside], np.interp(limit, fpr, found))",
) -> str:
    return function(
        AUPRO,
        start,
        f"fpr, found = {begin}",
        f"for threshold in {thresholds}:",
        f"    called = {called}",
        f"    fpr.append(called[{normal}].mean())",
        f"    found.append({share})",
        "fpr, found = np.array(fpr), np.array(found)",
        f"inside = {keep}",
        last,
        f"return np.sum(np.diff(x) * {piece}) / {by}",
    )


CREDIT = function(
    AUPRO,
    "normal = maps[regions == 0]",
    "def credit(value):",
    "    a, b = (normal > value).mean(), (normal >= value).mean()",
    "    if a >= limit:",
    "        return 0.0",
    "    if b <= limit:",
    "        return (b - a) / 2 + limit - b",
    "    return (limit - a) ** 2 / (b - a) / 2",
    "found = [np.mean([credit(v) for v in maps[regions == r]]) for r in range(1, regions.max() + 1)]",
    "return np.mean(found) / limit",
)  # without a curve: what each defect pixel adds to the area
SORTED = function(
    AUPRO,
    "order = np.argsort(-maps, axis=None, kind='stable')",
    "value, number = maps.ravel()[order], regions.ravel()[order]",
    "size = np.bincount(regions.ravel())",
    "weight = np.where(number > 0, 1 / size[number] / (len(size) - 1), 0)",
    "last = np.append(value[1:] != value[:-1], True)  # ties come at once",
    "fpr = np.append(0, (np.cumsum(number == 0) / size[0])[last])",
    "found = np.append(0, np.cumsum(weight)[last])",
    "total = 0.0",
    "for x0, x1, y0, y1 in zip(fpr, fpr[1:], found, found[1:]):",
    "    if x0 < limit and x1 > x0:",
    "        end = min(x1, limit)",
    "        total += (end - x0) * (y0 + y0 + (y1 - y0) * (end - x0) / (x1 - x0)) / 2",
    "return total / limit",
)


# ---- floored_distance


def floored(factor: str, *before: str) -> str:
    return function(
        FLOOR,
        FLOATS,
        "d = 1 - F.cosine_similarity(t, s)",
        "if floor == 0:",
        "    return d",
        "a, b, C = t.norm(dim=1), s.norm(dim=1), t.shape[1]",
        *before,
        f"return {factor}",
    )


RIGHT = {
    "A2.cosine_distance": [
        short(DISTANCE, f"1 - {ALONG.format(1)}"),
        function(
            DISTANCE,
            "t, s = F.normalize(t.float(), dim=1), F.normalize(s.float(), dim=1)",
            "return 1 - (t * s).sum(1)",
        ),
        function(
            DISTANCE,
            FLOATS,
            "product = t.square().sum(1).sqrt() * s.square().sum(1).sqrt()",
            "cosine = torch.einsum('bchw,bchw->bhw', t, s) / torch.where(product > 0, product, 1)",
            "return 1 - cosine",
        ),
        function(
            DISTANCE,
            "t, s = t.double().numpy(), s.double().numpy()",
            "lengths = np.linalg.norm(t, axis=1) * np.linalg.norm(s, axis=1)",
            "cosine = np.divide((t * s).sum(1), lengths, out=np.zeros_like(lengths), where=lengths > 0)",
            "return torch.from_numpy(1 - cosine)",
        ),
    ],
    "A2.flattened_loss": [
        short(FLAT, summed(f"(1 - {WHOLE}).mean()")),
        function(
            FLAT,
            "total = 0",
            f"for t, s in {PAIRS}:",
            "    t, s = t.float().reshape(len(t), -1), s.float().reshape(len(s), -1)",
            "    cosine = (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1))",
            "    total = total + torch.mean(1 - cosine)",
            "return total",
        ),
        function(
            FLAT,
            "losses = []",
            f"for t, s in {PAIRS}:",
            "    for one, other in zip(t.double(), s.double()):",
            "        a, b = one.flatten() / one.norm(), other.flatten() / other.norm()",
            "        losses.append((1 - a @ b) / len(t))",
            "return torch.stack(losses).sum()",
        ),
    ],
    "A2.per_position_loss": [
        short(EACH, summed("cosine_distance(t, s).mean()")),
        function(
            EACH,
            "total = torch.zeros(())",
            f"for t, s in {PAIRS}:",
            f"    {FLOATS}",
            "    cosine = (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1))",
            "    total += 1 - cosine.mean()",
            "return total",
        ),
        short(
            EACH,
            summed("(F.normalize(t.float(), dim=1) - F.normalize(s.float(), dim=1)).square().sum(1).mean() / 2"),
        ),
    ],
    "A2.at_image_size": [
        short(SIZE, "F.interpolate(d[:, None], size, mode='bilinear', align_corners=False)[:, 0]"),
        short(SIZE, "F.interpolate(d.unsqueeze(0), size=tuple(size), mode='bilinear').squeeze(0)"),
        function(
            SIZE,
            "def weights(n, m):",
            "    at = ((torch.arange(m) + 0.5) * n / m - 0.5).clamp(0, n - 1)",
            "    return (1 - (at[:, None] - torch.arange(n)).abs()).clamp(min=0)",
            "rows, columns = weights(d.shape[1], size[0]), weights(d.shape[2], size[1])",
            "return rows @ d @ columns.T",
        ),
    ],
    "A2.anomaly_map": [
        function(
            MAP,
            "from scipy import ndimage",
            "total = 0",
            f"for t, s in {PAIRS}:",
            "    total = total + at_image_size(cosine_distance(t, s), size)",
            "return torch.from_numpy(ndimage.gaussian_filter(total.numpy(), (0, sigma, sigma), mode='mirror'))",
        ),
        function(
            MAP,
            "from scipy import ndimage",
            f"maps = torch.stack([at_image_size(cosine_distance(t, s), size) for t, s in {PAIRS}])",
            "if sigma == 0:",
            "    return maps.sum(0)",
            "soft = [[ndimage.gaussian_filter(one.double(), sigma, mode='mirror') for one in scale] for scale in maps]",
            "return torch.tensor(np.array(soft).sum(0))",
        ),
        function(
            MAP,
            f"total = sum(at_image_size(cosine_distance(t, s), size) for t, s in {PAIRS})",
            "if sigma == 0:",
            "    return total",
            "r = int(4 * sigma + 0.5)",
            "k = torch.exp(-(torch.arange(-r, r + 1.0) ** 2) / (2 * sigma**2))",
            "k = k / k.sum()",
            "wide = F.pad(total[:, None], (r, r, r, r), mode='reflect')",
            "return F.conv2d(F.conv2d(wide, k.view(1, 1, 1, -1)), k.view(1, 1, -1, 1))[:, 0]",
        ),
    ],
    "A2.image_score": [
        short(SCORE, "maps.amax((1, 2))"),
        short(SCORE, "maps.flatten(1).max(1).values"),
        short(SCORE, "torch.stack([m.max() for m in maps])"),
        short(SCORE, "F.adaptive_max_pool2d(maps[:, None].float(), 1).reshape(-1)"),
    ],
    "A2.pro": [
        short(PRO, "np.mean([called[regions == r].mean() for r in range(1, regions.max() + 1)])"),
        function(
            PRO,
            "total, number = 0, 0",
            "for r in np.unique(regions[regions > 0]):",
            "    total, number = total + (called & (regions == r)).sum() / (regions == r).sum(), number + 1",
            "return total / number",
        ),
        function(
            PRO,
            "size = np.bincount(regions.ravel())[1:]",
            "found = np.bincount(regions.ravel(), weights=called.ravel())[1:]",
            "return (found / size).mean()",
        ),
    ],
    "A2.aupro": [
        area(),
        CREDIT,
        SORTED,
        area(share="pro(called, regions)", thresholds="sorted(set(maps.ravel().tolist()), reverse=True)"),
    ],
    "A2.floored_distance": [
        floored("d * a**2 / (a**2 + floor * C)"),
        function(
            FLOOR,
            "squares = (t.float() ** 2).sum(dim=1)",
            "factor = squares / (squares + floor * t.size(1)) if floor > 0 else 1.0",
            "return cosine_distance(t, s) * factor",
        ),
        function(
            FLOOR,
            FLOATS,
            "mean = t.square().mean(1)",
            "factor = 1 if floor == 0 else 1 - floor / (mean + floor)",
            "return (1 - (F.normalize(t, dim=1) * F.normalize(s, dim=1)).sum(1)) * factor",
        ),
    ],
}
WRONG = {
    "A2.cosine_distance": [
        (short(DISTANCE, f"1 - {WHOLE}"), "whole map"),
        (short(DISTANCE, ALONG.format(1)), "cosine itself"),
        (short(DISTANCE, f"1 - {ALONG.format(-1)}"), "`dim=1`"),
        (short(DISTANCE, f"(1 - {ALONG.format(1)}).mean()"), "leave the mean away"),
        (short(DISTANCE, "1 - (t.float() * s.float()).sum(1)"), "not divided by the lengths"),
        (
            function(DISTANCE, FLOATS, "return 1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1))"),
            "A vector of zeros has none",
        ),
        (
            function(
                DISTANCE,
                FLOATS,
                "return torch.nan_to_num(1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1)))",
            ),
            "as if both agreed",
        ),
        (
            function(
                DISTANCE,
                "product = t.norm(dim=1) * s.norm(dim=1)",
                "return torch.where(product == 0, 1.0, 1 - (t * s).sum(1) / product)",
            ),
            "not for half precision",
        ),
        (short(DISTANCE, f"1 - {ALONG.format(1)}[:, None]"), "axis too many"),
        (short(DISTANCE, f"1 - {ALONG.format(1)}.abs()"), "Opposite directions"),
    ],
    "A2.flattened_loss": [
        (short(FLAT, summed(f"(1 - {ALONG.format(1)}).mean()")), "RD4AD's formula"),
        (short(FLAT, summed(f"(1 - {WHOLE}).sum()")), "Take their mean"),
        (short(FLAT, summed(f"(1 - {WHOLE}).mean()") + " / len(T)"), "The scales are averaged"),
        (
            short(FLAT, summed("1 - F.cosine_similarity(t.float().flatten(), s.float().flatten(), dim=0)")),
            "went into one vector",
        ),
        (short(FLAT, summed(f"{WHOLE}.mean()")), "That is the cosine"),
        (short(FLAT, summed(f"(1 - {WHOLE}).mean().item()")), "has no gradient"),
        (
            function(
                FLAT,
                "total = 0",
                f"for t, s in {PAIRS}:",
                "    t, s = t.flatten(1), s.flatten(1)",
                "    total = total + (1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1))).mean()",
                "return total",
            ),
            "not for half precision",
        ),
        (
            function(
                FLAT,
                "t = torch.cat([x.float().flatten(1) for x in T], 1)",
                "s = torch.cat([x.float().flatten(1) for x in S], 1)",
                "return (1 - F.cosine_similarity(t, s)).mean()",
            ),
            "All scales went into one vector",
        ),
    ],
    "A2.per_position_loss": [
        (short(EACH, summed(f"(1 - {WHOLE}).mean()")), "one cosine over the whole map"),
        (short(EACH, summed("cosine_distance(t, s).sum()")), "The positions are added up"),
        (
            short(EACH, f"torch.cat([cosine_distance(t, s).flatten() for t, s in {PAIRS}]).mean()"),
            "went into one mean",
        ),
        (short(EACH, summed("cosine_distance(t, s).mean()") + " / len(T)"), "The scales are averaged"),
        (short(EACH, summed(f"{ALONG.format(1)}.mean()")), "That is the cosine"),
        (short(EACH, summed("cosine_distance(t, s).mean().item()")), "has no gradient"),
        (short(EACH, summed(f"(1 - {ALONG.format(-1)}).mean()")), "`dim=1`"),
    ],
    "A2.at_image_size": [
        (
            short(SIZE, "F.interpolate(d[:, None], size, mode='bilinear', align_corners=True)[:, 0]"),
            "`align_corners=True`",
        ),
        (short(SIZE, "F.interpolate(d[:, None], size)[:, 0]"), "in blocks"),
        (short(SIZE, "F.interpolate(d[:, None], size, mode='bicubic')[:, 0]"), "overshoots"),
        (short(SIZE, "F.interpolate(d[:, None], size[::-1], mode='bilinear')[:, 0]"), "are exchanged"),
        (short(SIZE, "F.interpolate(d[:, None], size, mode='bilinear')"), "axis too many"),
        (short(SIZE, "F.interpolate(d, size, mode='bilinear')"), "ValueError"),
    ],
    "A2.anomaly_map": [
        (smoothed(start="total = 0", end=" / len(T)"), "mean of the scales"),
        (smoothed(add="total = at_image_size(cosine_distance(t, s), size)"), "overwritten"),
        (short(MAP, summed("at_image_size(cosine_distance(t, s), size)")), "never smoothed"),
        (
            smoothed(add="total = total + at_image_size(blur(cosine_distance(t, s)), size)", blur="return total"),
            "enlarge first",
        ),
        (smoothed(add="total = torch.maximum(total, at_image_size(cosine_distance(t, s), size))"), "counts alone"),
        (smoothed(sigma="sigma"), "across the images"),
        (smoothed(mode="reflect"), "at the border"),
        (smoothed(blur="return blur(total).numpy()"), "it should be a tensor"),
    ],
    "A2.image_score": [
        (short(SCORE, "maps.mean((1, 2))"), "mean of the map"),
        (short(SCORE, "maps.max()"), "one number for all images"),
        (short(SCORE, "maps.amax(2)"), "maximum of each row"),
        (short(SCORE, "maps.flatten(1).max(1)"), "two things"),
        (short(SCORE, "maps.amax(0)"), "maximum over the images"),
    ],
    "A2.pro": [
        (short(PRO, "called[regions > 0].mean()"), "large region decides"),
        (short(PRO, "np.mean([called[regions == r].mean() for r in range(regions.max() + 1)])"), "number 0"),
        (
            short(PRO, "np.mean([called[regions == r].any() for r in range(1, regions.max() + 1)])"),
            "as soon as one pixel",
        ),
        (short(PRO, "(called & (regions > 0)).sum() / max(1, called.sum())"), "the precision"),
        (
            function(
                PRO,
                "found = []",
                "for one, numbers in zip(called, regions):",
                "    own = [r for r in np.unique(numbers) if r > 0]",
                "    if own:",
                "        found.append(np.mean([one[numbers == r].mean() for r in own]))",
                "return np.mean(found)",
            ),
            "mean for each image first",
        ),
    ],
    "A2.aupro": [
        (area(share="called[regions > 0].mean()"), "defect pixels are pooled"),
        (area(by="1"), "not divided by the limit"),
        (area(last="x, y = fpr[inside], found[inside]"), "missing"),
        (area(last="x, y = fpr[inside], found[inside]", by="max(x[-1], 1e-9)"), "limit of its own"),
        (area(last="x, y = fpr, found", by="1"), "whole curve"),
        (area(keep="fpr < limit"), "foot of the jump"),
        (area(begin="[], []"), "begin at (0, 0)"),
        (area(called="maps > threshold"), "does not reach (1, 1)"),
        (area(thresholds="np.linspace(maps.max(), maps.min(), 100)"), "grid of evenly spaced numbers"),
        (area(piece="y[1:]"), "made of rectangles"),
        (area(normal="regions >= 0"), "over all pixels"),
        (
            area(start="maps, regions = maps[regions.any((1, 2))], regions[regions.any((1, 2))]"),
            "good images are left out",
        ),
    ],
    "A2.floored_distance": [
        (floored("d * a * b / (a * b + floor * C)"), "product with the student's length"),
        (floored("d * b**2 / (b**2 + floor * C)"), "on the student's length, which is free"),
        (floored("1 - (t * s).sum(1) / (a * b + floor * C)"), "into the cosine's denominator"),
        (floored("d * a**2 / (a**2 + floor)"), "number of channels C is missing"),
        (floored("d * a / (a + floor * C)"), "should be squared"),
        (floored("d"), "The floor is not used"),
        (floored("d * (a**2 > floor * C)"), "That cuts off"),
        (floored("1 - (1 - d) * a**2 / (a**2 + floor * C)"), "The cosine was damped"),
        (
            function(
                FLOOR,
                "squares = t.square().sum(1)",
                "d = cosine_distance(t, s)",
                "return d * squares / (squares + floor * t.shape[1]) if floor else d",
            ),
            "not for half precision",
        ),
    ],
}
