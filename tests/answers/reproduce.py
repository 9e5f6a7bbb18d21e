"""Answers to lesson 09."""


def paired(values: str, both: str, result: str = "np.array([b[s] - a[s] for s in both])") -> str:
    return (
        "def paired_differences(rows, measure, one, other):\n"
        f"    a, b = ({values} for v in (one, other))\n    both = {both}\n    return {result}"
    )


BY_SEED = "{int(r['seed']): float(r[measure]) for r in rows if r['variant'] == v}"
BY_TEXT = "{r['seed']: float(r[measure]) for r in rows if r['variant'] == v}"


def interval(t: str = "stats.t.ppf(0.975, n - 1)", s: str = "np.std(d, ddof=1)", root: str = "np.sqrt(n)") -> str:
    return (
        f"def interval(differences):\n    d = np.array(differences)\n    n = len(d)\n    reach = {t} * {s} / {root}\n"
        "    return d.mean(), d.mean() - reach, d.mean() + reach"
    )


RIGHT = {
    "09.paired_differences": [
        paired(BY_SEED, "sorted(a.keys() & b.keys())"),
        paired(BY_TEXT, "sorted((s for s in a if s in b), key=int)"),
    ],
    "09.interval": [interval(), interval(s="np.sqrt(((d - d.mean()) ** 2).sum() / (n - 1))", root="n**0.5")],
}
WRONG = {
    "09.paired_differences": [
        (paired(BY_SEED, "sorted(a.keys() & b.keys())", "np.array([a[s] - b[s] for s in both])"), "turned round"),
        (paired(BY_TEXT, "sorted(a.keys() & b.keys())"), "sorted as text"),
        (
            paired(
                "[float(r[measure]) for r in rows if r['variant'] == v]",
                "min(len(a), len(b))",
                "np.array(b[:both]) - np.array(a[:both])",
            ),
            "order of the file",
        ),
        (paired(BY_SEED, "sorted(a.keys() & b.keys())[::-1]"), "the smallest first"),
        (paired(BY_SEED, "sorted(a)"), "On a seed that only the other has"),
        (paired(BY_SEED, "sorted(b)"), "On a seed that only one has"),
    ],
    "09.interval": [
        (interval(t="1.959964"), "1.96"),
        (interval(root="1"), "where single seeds lie"),
        (interval(s="d.std()"), "`ddof=1`"),
        (interval(t="stats.t.ppf(0.95, n - 1)"), "of 0.975"),
    ],
}
