"""Answers to lesson 07."""

ARGUMENTS = "see, student, generate, optimiser, normal, anomalous, generator"


def step(
    target: str = "see(normal)",
    given: str = "see(anomalous)",
    answer: str = "flm(student(given), generate, DROP, True, generator)",
    end: str = "optimiser.zero_grad(); value.backward(); optimiser.step(); return value.item()",
) -> str:
    return (
        f"def step({ARGUMENTS}):\n    target, given = {target}, {given}\n    S = {answer}\n"
        f"    value = loss(target, S)\n    {end}"
    )


def effects(body: str) -> str:
    return f"def effects(rd, ilm, flm, mrkd):\n    return {body}"


AUROC = "def a(s, y):\n    return ((s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0])).mean()\n"


def bootstrap(
    draw: str = "i = np.concatenate([rng.choice(good, len(good)), rng.choice(bad, len(bad))])",
    difference: str = "a(other[i], labels[i]) - a(one[i], labels[i])",
    quantiles: str = "[0.025, 0.975]",
) -> str:
    return (
        f"{AUROC}def paired_bootstrap(one, other, labels, number, rng):\n"
        "    good, bad = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)\n    d = []\n"
        f"    for _ in range(number):\n        {draw}\n        d.append({difference})\n"
        f"    return tuple(np.quantile(d, {quantiles}))"
    )


RIGHT = {
    "07.step": [
        step(),
        f"def step({ARGUMENTS}):\n"
        "    with torch.no_grad():\n        target = see(normal)\n        given = see(anomalous)\n"
        "    optimiser.zero_grad()\n    restored = flm(student(given), generate, [0.2] * 3, True, generator)\n"
        "    value = loss(target, restored)\n    value.backward()\n    optimiser.step()\n"
        "    return float(value.detach())",
    ],
    "07.effects": [
        effects("(ilm + mrkd - rd - flm) / 2, (flm + mrkd - rd - ilm) / 2, mrkd - flm - ilm + rd"),
        effects("0.5 * (ilm + mrkd) - 0.5 * (rd + flm), 0.5 * (flm + mrkd - rd - ilm), mrkd + rd - flm - ilm"),
    ],
    "07.paired_bootstrap": [
        bootstrap(),
        bootstrap(draw="i = np.r_[rng.choice(good, good.size, replace=True), rng.choice(bad, bad.size)]"),
    ],
}
NO_STEP = "optimiser.zero_grad(); value.backward(); return value.item()"
WRONG = {
    "07.step": [
        (step(target="see(anomalous)"), "copying is right"),
        (step(given="see(normal)"), "shown the normal images"),
        (step(answer="student(given)"), "generation modules have not learned"),
        (step(answer="flm(student(given), generate, DROP, False, generator)"), "masks are off"),
        (step(end=NO_STEP), "have not moved"),
        (step(end="value.backward(); optimiser.step(); return value.item()"), "add up"),
        (step(end="optimiser.zero_grad(); value.backward(); optimiser.step(); return value"), "`.item()`"),
    ],
    "07.effects": [
        (effects("ilm - rd, flm - rd, mrkd - flm - (ilm - rd)"), "the other mask off only"),
        (effects("ilm - rd + mrkd - flm, flm - rd + mrkd - ilm, mrkd - flm - ilm + rd"), "a half is missing"),
        (effects("(ilm - rd + mrkd - flm) / 2, (flm - rd + mrkd - ilm) / 2, mrkd - rd"), "of two differences"),
        (effects("(ilm - rd + mrkd - flm) / 2, (flm - rd + mrkd - ilm) / 2, ilm - rd - mrkd + flm"), "wrong sign"),
        (effects("(flm + mrkd - rd - ilm) / 2, (ilm + mrkd - rd - flm) / 2, mrkd - flm - ilm + rd"), "are exchanged"),
        (effects("(ilm - rd + mrkd - flm) / 2, (flm - rd + mrkd - ilm) / 2, mrkd - flm + ilm - rd"), "do not add it"),
    ],
    "07.paired_bootstrap": [
        (
            bootstrap(
                draw="i, j = (np.r_[rng.choice(good, len(good)), rng.choice(bad, len(bad))] for _ in range(2))",
                difference="a(other[j], labels[j]) - a(one[i], labels[i])",
            ),
            "the *same* drawn images",
        ),
        (bootstrap(draw="i = np.concatenate([good, bad])"), "*with* replacement"),
        (bootstrap(difference="a(one[i], labels[i]) - a(other[i], labels[i])"), "sign is turned round"),
        (bootstrap(draw="i = rng.integers(len(labels), size=len(labels))"), "separately"),
        (bootstrap(quantiles="[0.25, 0.75]"), "is too narrow"),
        (bootstrap(quantiles="[0.05, 0.95]"), "somewhat too narrow"),
        (bootstrap(quantiles="[0.005, 0.995]"), "somewhat too wide"),
    ],
}
