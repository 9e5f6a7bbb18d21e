"""Answers to lesson 04b."""


BEST = "(t * s).sum(1, keepdim=True) / (s * s).sum(1, keepdim=True)"


def explained(a: str = BEST + ".clamp_min(1e-12)", **parts: str) -> str:
    flat = parts.get("flat", "T.float().flatten(1), S.float().flatten(1)")
    share = parts.get("share", "1 - ((t - a * s) ** 2).sum() / (t**2).sum()")
    return (
        "def explained(teacher, student):\n    shares = []\n    for T, S in zip(teacher, student):\n"
        f"        t, s = {flat}\n        a = {a}\n        shares.append({share})\n    return shares"
    )


def hidden(which: str = "np.flatnonzero((restored > 1) & (as_it_is <= 1))", result: str = "which[order]") -> str:
    return (
        f"def hidden(restored, as_it_is):\n    which = {which}\n    loss = (restored - as_it_is)[which]\n"
        f"    order = np.argsort(-loss)\n    return {result}"
    )


RIGHT = {
    "04b.explained": [
        explained(),
        explained(share="(1 - (t - a * s).square().sum() / t.square().sum()).item()"),
        "def explained(teacher, student):\n    shares = []\n    for T, S in zip(teacher, student):\n"
        "        rest = whole = 0.0\n        for t, s in zip(T.double(), S.double()):\n"
        "            a = (t * s).sum() / max((s * s).sum(), 1e-9)\n"
        "            rest, whole = rest + ((t - a * s) ** 2).sum(), whole + (t * t).sum()\n"
        "        shares.append(1 - rest / whole)\n    return shares",
    ],
    "04b.hidden": [
        hidden(),
        hidden("[i for i in range(len(restored)) if restored[i] > 1 >= as_it_is[i]]", "np.array(which, int)[order]"),
        "def hidden(restored, as_it_is):\n    which = np.where((restored > 1) & ~(as_it_is > 1))[0]\n"
        "    return np.array(sorted(which, key=lambda i: as_it_is[i] - restored[i]))",
    ],
}
WRONG = {
    "04b.explained": [
        (explained(a="1"), "length counts"),
        (explained(a="(t * s).sum() / (s * s).sum().clamp_min(1e-12)"), "whole batch"),
        (explained(flat="T.float(), S.float()"), "each position"),
        (explained(share="(1 - ((t - a * s) ** 2).sum(1) / (t**2).sum(1)).mean()"), "mean of the images' shares"),
        (explained(share="((t - a * s) ** 2).sum() / (t**2).sum()"), "left over"),
        (explained(share="F.cosine_similarity(t, s).mean()"), "the cosine"),
        (explained(share="1 - ((t - a * s) ** 2).sum() / ((t - t.mean()) ** 2).sum()"), "mean is taken off"),
        (explained(a=BEST), "NaN"),
    ],
    "04b.hidden": [
        (hidden(result="which"), "order of the images"),
        (hidden().replace("(restored - as_it_is)[which]", "(restored / as_it_is)[which]"), "their difference"),
        (hidden(result="which[order[::-1]]"), "wrong order"),
        (hidden(result="order"), "among the hidden"),
        ("def hidden(restored, as_it_is):\n    return (restored > 1) & (as_it_is <= 1)", "True and False"),
        (hidden("np.flatnonzero((restored > 1) | (as_it_is <= 1))"), "That is *or*"),
        (hidden("np.flatnonzero(as_it_is <= 1)"), "all that are missed"),
        (hidden("np.flatnonzero((restored > 1) & (as_it_is < 1))"), "A score of just 1"),
    ],
}
