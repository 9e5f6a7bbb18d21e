"""Answers to assignment A4."""

LEAK = """def leakage(T_defect, S, S_defect, mask):
    shares = []
    for t, s, s_defect in zip(T_defect, S, S_defect):
        {unit}
        r, gone = {ways}
        inside = {inside}
        {share}
        shares.append(share)
    return {answer}
"""
UNIT = "t, s, s_defect = (F.normalize(x.float(), dim=1) for x in (t, s, s_defect))"
TOUCHED = "F.adaptive_max_pool2d(mask[:, None].float(), t.shape[2:])[:, 0] > 0"
ONCE = "share = ((gone * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()).item()"


def leak(
    unit: str = UNIT,
    ways: str = "t - s, s_defect - s",
    inside: str = TOUCHED,
    share: str = ONCE,
    answer: str = "shares",
) -> str:
    return LEAK.format(unit=unit, ways=ways, inside=inside, share=share, answer=answer)


def counterfactual(
    first: str = "T_defect, S_defect",
    second: str = "T_defect, S",
    join: str = "total + m[:, 0]",
    how: str = "mode='bilinear', align_corners=False",
    end: str = "one(FIRST), one(SECOND)",
) -> str:
    return (
        "def without_copying(normal, defective, size):\n"
        "    (T, S), (T_defect, S_defect) = normal, defective\n"
        "    def one(A, B):\n"
        "        total = 0\n"
        "        for a, b in zip(A, B):\n"
        "            d = 1 - F.cosine_similarity(a.float(), b.float(), dim=1)\n"
        f"            m = F.interpolate(d[:, None], (size, size), {how})\n"
        f"            total = {join}\n"
        "        return total\n"
        f"    return {end.replace('FIRST', first).replace('SECOND', second)}"
    )


def ceiling(
    auroc: str = "(bad[:, None] > g).mean() + 0.5 * (bad[:, None] == g).mean()",
    back: str = "a(good, as_it_is), a(good, restored), 100 * (a(good, restored) - a(good, as_it_is))",
) -> str:
    return f"def ceiling(good, as_it_is, restored):\n    a = lambda g, bad: {auroc}\n    return {back}"


def interval(
    d: str = "other - one",
    reach: str = "stats.t.ppf((1 + level) / 2, n - 1) * d.std(ddof=1) / n**0.5",
    first: str = "if n == 1: return d[0], float('nan'), float('nan')",
) -> str:
    return (
        f"def paired_interval(one, other, level):\n    d, n = {d}, len(one)\n    {first}\n"
        f"    reach = {reach}\n    return d.mean(), d.mean() - reach, d.mean() + reach"
    )


COMPARED = """def compared(rows, base, measure):
    table = {{}}
    for row in rows:
        table.setdefault(row["design"], {{}})
        {keep}
    found = {{}}
    for design, mine in table.items():
        {skip}
        seeds = {seeds}
        if not seeds:
            found[design] = (0, float("nan"), float("nan"), float("nan"))
            continue
        a, b = (np.array([x[s] for s in seeds]) for x in {order})
        found[design] = {answer}
    return found
"""


def compared(
    keep: str = 'if row[measure] is not None: table[row["design"]][row["seed"]] = row[measure]',
    skip: str = "if design == base: continue",
    seeds: str = "sorted(set(mine) & set(table[base]))",
    order: str = "(table[base], mine)",
    answer: str = "(len(seeds), *paired_interval(a, b, 0.95))",
) -> str:
    return COMPARED.format(keep=keep, skip=skip, seeds=seeds, order=order, answer=answer)


FILES = """def challenge_files(scores, maps, folder):
    folder = Path(folder)
    {make}
    with open(folder / "{name}", "w", {options}) as file:
        {table}
    {maps}
"""
TABLE = "w = csv.writer(file); w.writerow(['image', 'score']); w.writerows({rows})"
ROWS = "(n, float(s)) for n, s in scores.items()"
SAVE = "np.savez(folder / 'maps.npz', **{{n: {each} for n, m in maps.items()}})"
HALF = "m.astype(np.float16)"


def files(
    make: str = "folder.mkdir(parents=True, exist_ok=True)",
    name: str = "scores.csv",
    options: str = "encoding='utf-8', newline=''",
    rows: str = f"[{ROWS}]",
    table: str = TABLE,
    maps: str = SAVE,
    each: str = HALF,
) -> str:
    saved = maps.format(each=each)
    return FILES.format(make=make, name=name, options=options, table=table.format(rows=rows), maps=saved)


RIGHT = {
    "A4.leakage": [
        leak(),
        leak(
            unit="t, s, s_defect = (x.double() / x.double().norm(dim=1, keepdim=True) for x in (t, s, s_defect))",
            share="m = inside[:, None]; share = (gone * r * m).sum() / (r.square() * m).sum()",
        ),
        """def leakage(T_defect, S, S_defect, mask):
    def of_scale(t, s, s_defect):
        B, C, h, w = t.shape
        cells = mask.reshape(B, h, mask.shape[1] // h, w, mask.shape[2] // w).any(4).any(2)
        if not cells.any():
            return float("nan")
        t, s, s_defect = (F.normalize(x.float().permute(0, 2, 3, 1)[cells], dim=-1) for x in (t, s, s_defect))
        r = t - s
        return float(torch.sum((s_defect - s) * r) / torch.sum(r**2))

    return [of_scale(*three) for three in zip(T_defect, S, S_defect)]
""",
        leak(
            inside="torch.zeros(t.shape[0], *t.shape[2:], dtype=torch.bool)\n"
            "        step = mask.shape[1] // t.shape[2], mask.shape[2] // t.shape[3]\n"
            "        for b, y, x in mask.nonzero().tolist(): inside[b, y // step[0], x // step[1]] = True"
        ),
    ],
    "A4.without_copying": [
        counterfactual(),
        """def without_copying(normal, defective, size):
    maps = []
    for S in (defective[1], normal[1]):
        scales = []
        for t, s in zip(defective[0], S):
            t, s = F.normalize(t.float(), dim=1), F.normalize(s.float(), dim=1)
            d = (1 - (t * s).sum(1, keepdim=True))
            scales.append(F.interpolate(d, size=(size, size), mode="bilinear", align_corners=False).squeeze(1))
        maps.append(torch.stack(scales).sum(0))
    return tuple(maps)
""",
        """def without_copying(normal, defective, size):
    def distance(t, s):
        t, s = t.double(), s.double()
        return 1 - torch.einsum("bchw,bchw->bhw", t, s) / (t.norm(dim=1) * s.norm(dim=1))

    enlarge = torch.nn.Upsample((size, size), mode="bilinear")
    def one(T, S):
        return sum(enlarge(distance(t, s).unsqueeze(1)) for t, s in zip(T, S))[:, 0]

    return one(defective[0], defective[1]), one(defective[0], normal[1])
""",
    ],
    "A4.ceiling": [
        ceiling(),
        """def ceiling(good, as_it_is, restored):
    def auroc(bad):
        ranks = stats.rankdata(np.concatenate([good, bad]))[len(good) :]
        return (ranks.sum() - len(bad) * (len(bad) + 1) / 2) / (len(good) * len(bad))

    return auroc(as_it_is), auroc(restored), 100 * auroc(restored) - 100 * auroc(as_it_is)
""",
        """def ceiling(good, as_it_is, restored):
    found = []
    for bad in (as_it_is, restored):
        points = 0.0
        for b in bad:
            for g in good:
                points += 1.0 if b > g else 0.5 if b == g else 0.0
        found.append(points / (len(bad) * len(good)))
    return found[0], found[1], (found[1] - found[0]) * 100
""",
    ],
    "A4.paired_interval": [
        interval(),
        """def paired_interval(one, other, level):
    d = [b - a for a, b in zip(one, other)]
    n, mean = len(d), sum(d) / len(d)
    if n < 2:
        return mean, float("nan"), float("nan")
    spread = (sum((x - mean) ** 2 for x in d) / (n - 1)) ** 0.5
    reach = -stats.t.ppf((1 - level) / 2, n - 1) * spread / n**0.5
    return mean, mean - reach, mean + reach
""",
        """def paired_interval(one, other, level):
    d = torch.as_tensor(other - one)
    if len(d) == 1:
        return d.item(), np.nan, np.nan
    low, high = stats.t.interval(level, len(d) - 1, loc=0, scale=1)
    error = d.std().item() / len(d) ** 0.5
    return d.mean().item(), d.mean().item() + low * error, d.mean().item() + high * error
""",
    ],
    "A4.compared": [
        compared(),
        """def compared(rows, base, measure):
    known = {(r["design"], r["seed"]): r[measure] for r in rows if r[measure] is not None}
    found = {}
    for design in {r["design"]: 0 for r in rows}:
        if design != base:
            pairs = [(known[base, s], v) for (d, s), v in known.items() if d == design and (base, s) in known]
            n, nan = len(pairs), float("nan")
            found[design] = (n, *paired_interval(*np.array(pairs).T, 0.95)) if n else (0, nan, nan, nan)
    return found
""",
        """def compared(rows, base, measure):
    designs = []
    for row in rows:
        if row["design"] not in designs:
            designs.append(row["design"])
    designs.remove(base)
    answer = {}
    for design in designs:
        one, other = [], []
        for row in rows:
            for twin in rows:
                same = row["design"] == base and twin["design"] == design and row["seed"] == twin["seed"]
                if same and None not in (row[measure], twin[measure]):
                    one.append(row[measure])
                    other.append(twin[measure])
        interval = (np.nan, np.nan, np.nan)
        if one:
            interval = paired_interval(np.array(one), np.array(other), 0.95)
        answer[design] = (len(one),) + tuple(interval)
    return answer
""",
    ],
    "A4.challenge_files": [
        files(),
        """def challenge_files(scores, maps, folder):
    import os

    os.makedirs(folder, exist_ok=True)
    lines = ["image,score"]
    for name in scores:
        quoted = '"' + name.replace('"', '""') + '"'
        lines.append(f"{quoted},{scores[name].__float__()!r}")
    with open(os.path.join(folder, "scores.csv"), "wb") as file:
        file.write(("\\n".join(lines) + "\\n").encode("utf-8"))
    halves = {name: torch.as_tensor(each).half().numpy() for name, each in maps.items()}
    with open(os.path.join(folder, "maps.npz"), "wb") as file:
        np.savez_compressed(file, **halves)
""",
        """def challenge_files(scores, maps, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["image", "score"])
        table.writeheader()
        for name, score in scores.items():
            table.writerow({"image": name, "score": f"{float(score):.17g}"})
    halves = {}
    for name in maps:
        halves[name] = np.array(maps[name], dtype="float16")
    np.savez(folder / "maps", **halves)
""",
    ],
}
WRONG = {
    "A4.leakage": [
        (leak(unit="t, s, s_defect = t.float(), s.float(), s_defect.float()"), "features as they are"),
        (leak(unit=UNIT.replace("dim=1", "dim=-1")), "rows"),
        (leak(share="share = ((gone * r).sum() / (r * r).sum()).item()"), "whole map"),
        (leak(share="share = ((gone * r).sum(1) / (r * r).sum(1))[inside].mean().item()"), "mean of ratios"),
        (leak(share=ONCE.replace("(r * r)", "(gone * gone)")), "whole way is r"),
        (leak(share=ONCE.replace("(gone * r)", "(gone * gone)")), "numerator is s times s"),
        (leak(share="share = (gone * r).sum(1)[inside].sum().item()"), "numerator alone"),
        (leak(share=ONCE.replace("share =", "share = 1 -")), "what is left, 1"),
        (leak(ways="t - s, s - s_defect"), "sign is wrong"),
        (leak(ways="t - s_defect, s_defect - s"), "starts from S(x')"),
        (leak(inside="F.adaptive_avg_pool2d(mask[:, None].float(), t.shape[2:])[:, 0] > 0.5"), "more than half"),
        (leak(inside="F.interpolate(mask[:, None].float(), t.shape[2:])[:, 0] > 0"), "one pixel of each cell"),
        (leak(inside="mask"), "it stops"),
        (leak(answer="[np.mean(shares)] * len(S)"), "mean over the scales"),
        (leak(answer="np.mean(shares)"), "3 things in a list"),
    ],
    "A4.without_copying": [
        (counterfactual(first="T_defect, S", second="T_defect, S_defect"), "two maps are exchanged"),
        (counterfactual(second="T, S_defect"), "sides are exchanged"),
        (counterfactual(second="T, S"), "that of the normal image"),
        (counterfactual(second="T_defect, T"), "the teacher with itself"),
        (counterfactual(second="S, S_defect"), "the student with itself"),
        (counterfactual(second="T_defect, S_defect"), "both times"),
        (counterfactual(join="total + m[:, 0] / len(A)"), "averaged"),
        (counterfactual(how="mode='bilinear', align_corners=True"), "align_corners=False"),
        (counterfactual(how="mode='nearest'"), "in blocks"),
        (counterfactual(end="one(SECOND)"), "2 things in a tuple"),
    ],
    "A4.ceiling": [
        (ceiling(auroc="(bad[:, None] > g).mean()"), "Ties count nothing"),
        (ceiling(auroc="(bad[:, None] >= g).mean()"), "Ties count fully"),
        (ceiling(auroc="(bad[:, None] < g).mean() + 0.5 * (bad[:, None] == g).mean()"), "*defective* image"),
        (ceiling(back="a(good, as_it_is), a(good, restored), a(good, restored) - a(good, as_it_is)"), "a hundred"),
        (
            ceiling(back="a(good, as_it_is), a(good, restored), 100 * (a(good, as_it_is) - a(good, restored))"),
            "wrong sign",
        ),
        (
            ceiling(back="a(good, restored), a(good, as_it_is), 100 * (a(good, as_it_is) - a(good, restored))"),
            "without copying are exchanged",
        ),
        (
            ceiling(back="a(good, as_it_is), a(as_it_is, restored), 100 * (a(as_it_is, restored) - a(good, as_it_is))"),
            "against each other",
        ),
    ],
    "A4.paired_interval": [
        (interval(d="one - other"), "other - one"),
        (interval(reach="stats.norm.ppf((1 + level) / 2) * d.std(ddof=1) / n**0.5"), "normal distribution"),
        (interval(reach="stats.t.ppf((1 + level) / 2, n - 1) * d.std() / n**0.5"), "`ddof=1`"),
        (interval(reach="stats.t.ppf((1 + level) / 2, n - 1) * d.std(ddof=1)"), "root of n"),
        (interval(reach="stats.t.ppf(level, n - 1) * d.std(ddof=1) / n**0.5"), "on either side"),
        (interval(reach="stats.t.ppf((1 + level) / 2, n) * d.std(ddof=1) / n**0.5"), "n - 1 degrees of freedom"),
        (interval(reach="d.std(ddof=1) / n**0.5"), "one standard error"),
        (interval(reach="stats.t.ppf(0.975, n - 1) * d.std(ddof=1) / n**0.5"), "Use `level`"),
        (
            interval(
                reach="stats.t.ppf((1 + level) / 2, 2 * n - 2) * (one.var(ddof=1) / n + other.var(ddof=1) / n) ** 0.5"
            ),
            "different seeds",
        ),
    ],
    "A4.compared": [
        (
            compared(keep='if row[measure] is not None: d = table[row["design"]]; d[len(d)] = row[measure]'),
            "same *seed*",
        ),
        (compared(order="(mine, table[base])"), "less the base"),
        (compared(keep='table[row["design"]][row["seed"]] = row[measure] or 0.0'), "counts as 0"),
        (compared(keep='if row[measure]: table[row["design"]][row["seed"]] = row[measure]'), "A measure of 0"),
        (compared().replace("in rows:", "in (r for r in rows if r[measure] is not None):"), "never measured"),
        (compared(skip="pass"), "with itself"),
        (compared(seeds="sorted(mine)"), "it stops"),
        (compared(answer="paired_interval(a, b, 0.95)"), "it should have 4"),
        (
            compared(
                answer="(len(seeds), np.mean(list(mine.values())) - np.mean(list(table[base].values())),"
                " *paired_interval(a, b, 0.95)[1:])"
            ).replace('found[design] = (0, float("nan")', "found[design] = (0, M(mine) - M(table[base])")
            + "\nM = lambda x: np.mean(list(x.values())) if x else float(\"nan\")",
            "difference of two means",
        ),
    ],
    "A4.challenge_files": [
        (files(table=TABLE.replace("w.writerow(['image', 'score']); ", "")), "first row"),
        (files(rows="[(n, round(float(s), 4)) for n, s in scores.items()]"), "rounded"),
        (files(each="m.astype(np.float32)"), "single precision"),
        (files(each="m"), "in which they came"),
        (files(rows="sorted((n, float(s)) for n, s in scores.items())"), "sorted by name"),
        (files(rows="sorted(scores.items(), key=lambda each: each[1], reverse=True)"), "sorted by score"),
        (files(maps="np.savez(folder / 'maps.npz', *[{each} for m in maps.values()])"), "lost their names"),
        (files(maps=SAVE.replace("n:", "Path(n).stem:")), "shortened"),
        (files(each="((m - m.min()) / np.ptp(m)).astype(np.float16)"), "stretched"),
        (files(make="folder.mkdir()"), "it stops. FileNotFoundError"),
        (files(make="folder.mkdir(parents=True)"), "it stops. FileExistsError"),
        (files(name="score.csv"), "There is no scores.csv"),
        (files(maps="np.savez(folder / 'maps.npz', maps={{n: {each} for n, m in maps.items()}})"), "without pickle"),
        (files(rows="[(n, repr(s)) for n, s in scores.items()]"), "which is no number"),
        (
            files(table="file.write('image,score\\n' + ''.join(f'{{n}},{{s}}\\n' for n, s in scores.items()))"),
            "needs quotes",
        ),
        (files(options="encoding='latin-1', newline=''"), "not in UTF-8"),
        (files(maps="np.savez(folder / 'maps.npz', **{{n: {each} for n, m in [*maps.items()][:1]}})"), "the keys"),
    ],
}
