"""Answers to lesson 08."""


def chosen(by: str = "row[half], labels[half]", other: str = "s[best][~half], labels[~half]", **parts: str) -> str:
    result, pick = parts.get("result", "same, other, best"), parts.get("pick", "np.argmax(found)")
    return (
        "def chosen_stage(s, labels, half):\n"
        f"    found = [image_auroc({by}) for row in s]\n    best = {pick}\n"
        f"    same = image_auroc(s[best][half], labels[half])\n    other = image_auroc({other})\n    return {result}"
    )


def needed(reach: str = "1.96", at: str = "(low + high) / 2", error: str = "difference_error(middle, n, r)") -> str:
    return (
        f"def images_needed(low, high, r):\n    middle = {at}\n    n = 2\n"
        f"    while {reach} * statistics.{error} > high - low:\n        n += 1\n    return n"
    )


RIGHT = {
    "08.chosen_stage": [
        chosen(),
        chosen(pick="found.index(max(found))"),
        "def chosen_stage(by_stage, labels, half):\n    best, same = 0, -1.0\n"
        "    for k in range(len(by_stage)):\n        now = image_auroc(by_stage[k, half], labels[half])\n"
        "        if now > same:\n            best, same = k, now\n"
        "    return same, image_auroc(by_stage[best, ~half], labels[~half]), best",
    ],
    "08.images_needed": [
        needed(),
        needed("stats.norm.ppf(0.975)"),
        "def images_needed(low, high, r):\n    few, many = 1, 10**6\n    while many - few > 1:\n"
        "        n = (few + many) // 2\n"
        "        enough = 1.96 * statistics.difference_error((low + high) / 2, n, r) <= high - low\n"
        "        few, many = (few, n) if enough else (n, many)\n    return many",
    ],
}
WRONG = {
    "08.chosen_stage": [
        (chosen("row, labels"), "whole test set"),
        (chosen("row[~half], labels[~half]"), "chosen by the other half"),
        (chosen(result="other, same, best"), "exchanged"),
        (chosen(other="s[best], labels"), "second number is of all images"),
        (
            "def chosen_stage(s, labels, half):\n    same = [image_auroc(r[half], labels[half]) for r in s]\n"
            "    other = [image_auroc(r[~half], labels[~half]) for r in s]\n"
            "    return max(same), max(other), np.argmax(same)",
            "chooses a second time",
        ),
        (chosen(pick="np.argmin(found)"), "worst stage"),
        (chosen(result="same, other, best + 1"), "counted from 0"),
        (chosen(result="same, same, best"), "the same half again"),
    ],
    "08.images_needed": [
        (needed("1"), "one standard error"),
        (needed("1.645"), "on one side"),
        (needed(error="difference_error(middle, n)"), "correlation is not used"),
        (needed(at="low"), "lower AUROC"),
        (needed(at="high"), "higher AUROC"),
        (needed(error="auroc_error(middle, n, n)"), "error of one AUROC"),
        (needed().replace("n += 1", "n *= 2"), "runs past"),
    ],
}
