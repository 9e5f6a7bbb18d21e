"""Answers to lesson 06b."""


def short(name: str, arguments: str, body: str) -> str:
    return f"def {name}({arguments}):\n    return {body}"


SL, TF = "scores, labels", "scores, false_alarms"
PAIRS = "scores[labels == 1][:, None] {} scores[labels == 0]"
MEAN = "scores.mean() + stats.t.ppf(1 - false_alarms, len(scores) - 1) * scores.std({}) * np.sqrt(1 + 1 / len(scores))"


def f1(thresholds: str, body: str = "2 * hit / (called.sum() + labels.sum())") -> str:
    return (
        f"def f1_max(scores, labels):\n    found = []\n    for t in {thresholds}:\n        called = scores > t\n"
        f"        hit = (called & (labels == 1)).sum()\n        found.append({body})\n    return max(found)"
    )


def area(x: str, y: str, by: str, near: str = "<=") -> str:
    return (
        f"def aupro(fpr, pro, limit):\n    inside = fpr {near} limit\n    x, y = {x}, {y}\n"
        f"    return np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / {by}"
    )


X, Y = "np.append(fpr[inside], limit)", "np.append(pro[inside], np.interp(limit, fpr, pro))"
EVERY = "(-np.inf, *np.unique(scores))"
REGIONS = "np.mean([called[regions == r].{} for r in range({})])"
RIGHT = {
    "06b.auroc": [
        short("auroc", SL, f"(1.0 * ({PAIRS.format('>')}) + ({PAIRS.format('>=')})).mean() / 2"),
        "def auroc(scores, labels):\n    won = 0\n    for bad in scores[labels == 1]:\n"
        "        for good in scores[labels == 0]:\n            won += 1 if bad > good else 0.5 if bad == good else 0\n"
        "    return won / (labels.sum() * (labels == 0).sum())",
        short("auroc", SL, f"np.mean(0.5 + 0.5 * np.sign({PAIRS.format('-')}))"),
    ],
    "06b.pro": [
        short("pro", "called, regions", REGIONS.format("mean()", "1, regions.max() + 1")),
        "def pro(called, regions):\n    found = []\n    for r in np.unique(regions):\n        if r:\n"
        "            own = regions == r\n            found.append((called & own).sum() / own.sum())\n"
        "    return sum(found) / len(found)",
    ],
    "06b.aupro": [area(X, Y, "limit")],
    "06b.threshold": [short("threshold", TF, MEAN.format("ddof=1"))],
    "06b.f1_max": [
        f1("[-np.inf] + list(scores)"),
        f1(EVERY, "2 / (called.sum() / hit + labels.sum() / hit) if hit else 0"),
    ],
}
WRONG = {
    "06b.auroc": [
        (short("auroc", SL, f"({PAIRS.format('>')}).mean()"), "Ties count nothing"),
        (short("auroc", SL, f"({PAIRS.format('>=')}).mean()"), "Ties count fully"),
        (short("auroc", SL, f"np.mean(0.5 - 0.5 * np.sign({PAIRS.format('-')}))"), "exchanged"),
        (short("auroc", SL, "((scores > np.median(scores)) == labels).mean()"), "at one threshold"),
    ],
    "06b.pro": [
        (short("pro", "called, regions", "called[regions > 0].mean()"), "large region decides"),
        (short("pro", "called, regions", REGIONS.format("mean()", "regions.max() + 1")), "number 0"),
        (short("pro", "called, regions", REGIONS.format("any()", "1, regions.max() + 1")), "as soon as one pixel"),
    ],
    "06b.aupro": [
        (area(X, Y, "limit", "<"), "foot of the jump"),
        (area(X, Y, "1"), "not divided by the limit"),
        (area("fpr[inside]", "pro[inside]", "limit"), "from there to the limit is missing"),
        (area("fpr[inside]", "pro[inside]", "max(x[-1], 1e-9)"), "limit of its own"),
        (area("fpr", "pro", "1"), "up to 1"),
    ],
    "06b.threshold": [
        (short("threshold", TF, MEAN.format("")), "`ddof=1`"),
        (short("threshold", TF, MEAN.format("ddof=1").replace("false_alarms", "false_alarms / 2")), "one side"),
        (short("threshold", TF, "np.quantile(scores, 1 - false_alarms)"), "scores themselves"),
        (
            short(
                "threshold",
                TF,
                MEAN.format("ddof=1").replace("t.ppf(1 - false_alarms, len(scores) - 1)", "norm.ppf(1 - false_alarms)"),
            ),
            "Student's t",
        ),
        (
            short("threshold", TF, MEAN.format("ddof=1").replace(" * np.sqrt(1 + 1 / len(scores))", "")),
            "root is missing",
        ),
    ],
    "06b.f1_max": [
        (f1("[np.median(scores)]"), "at one threshold"),
        (f1("np.unique(scores)"), "below all scores is missing"),
        (f1(EVERY, "(called == (labels == 1)).mean()"), "share of right verdicts"),
        (f1(EVERY, "2 * hit / max(called.sum(), 1)"), "more than 1"),
        (f1("scores").replace("max(found)", "found[-1]"), "last threshold"),
    ],
}
