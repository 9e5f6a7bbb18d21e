"""Answers to lesson 04."""

START = "def leakage(t_defect, s, s_defect, inside):\n"
UNIT = START + "    t_defect, s, s_defect = (F.normalize(x.float(), dim=1) for x in (t_defect, s, s_defect))\n"
SHARE = "    return (gone * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()"
TWO = UNIT + "    r, gone = t_defect - s, s_defect - s\n"
MAPS = "def without_copying(model, normal, defective):\n"
SAME = "def ignoring_student(known, given):\n"

RIGHT = {
    "04.leakage": [
        TWO + "    return ((gone * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()).item()",
        TWO + "    return (gone * r * inside[:, None]).sum() / (r * r * inside.unsqueeze(1)).sum()",
        START
        + "    t, a, b = (x.float() / x.float().norm(dim=1, keepdim=True) for x in (t_defect, s, s_defect))\n"
        + "    r, gone = (t - a).permute(0, 2, 3, 1)[inside], (b - a).permute(0, 2, 3, 1)[inside]  # (positions, C)\n"
        + "    return float((gone * r).sum() / r.square().sum())",
        START
        + "    top = bottom = 0.0\n"
        + "    for b, y, x in inside.nonzero().tolist():\n"
        + "        t, n, d = (f[b, :, y, x].float() for f in (t_defect, s, s_defect))\n"
        + "        t, n, d = t / t.norm(), n / n.norm(), d / d.norm()\n"
        + "        top, bottom = top + (d - n) @ (t - n), bottom + (t - n) @ (t - n)\n"
        + "    return top / bottom",
    ],
    "04.without_copying": [
        MAPS + "    T_defect = model.see(defective)\n    S = model.restore(model.see(normal))\n"
        "    return model.compare(T_defect, S)",
        MAPS + "    T, S = model.features(normal)\n    T_defect, _ = model.features(defective)\n"
        "    return model.compare(T_defect, S)",
        MAPS + "    with torch.no_grad():\n"
        "        return model.compare(model.see(defective), model.features(normal)[1])",
    ],
    "04.ignoring_student": [
        SAME + "    return [k.mean(0).repeat(len(g), 1, 1, 1) for k, g in zip(known, given)]",
        SAME + "    return [torch.zeros_like(g) + k.mean(0) for k, g in zip(known, given)]",
        SAME + "    answer = []\n    for k, g in zip(known, given):\n"
        "        answer.append(torch.stack([k.sum(0) / len(k)] * len(g)))\n    return answer",
    ],
}
WRONG = {
    "04.leakage": [
        (
            START + "    r, gone = t_defect - s, s_defect - s\n"
            "    return (gone * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()",
            "features as they are",
        ),
        (TWO + "    return (gone * r).sum() / (r * r).sum()", "whole map"),
        (TWO + "    return F.cosine_similarity(gone, r)[inside].mean()", "angle between"),
        (TWO.replace("dim=1", "dim=-1") + SHARE, "rows"),
        (TWO + "    return ((gone * r).sum(1) / (r * r).sum(1))[inside].mean()", "mean of ratios"),
        (TWO + "    return ((gone * gone).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum())", "s times s. It"),
        (TWO + "    return (gone * r).sum(1)[inside].sum() / (gone**2).sum(1)[inside].sum()", "whole way is r"),
        (TWO + "    return gone.norm(dim=1)[inside].sum() / r.norm(dim=1)[inside].sum()", "lengths of s and r"),
        (TWO + "    return (gone * r).sum(1)[inside].sum()", "numerator alone"),
        (TWO + "    return 1 - (gone * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()", "what is left, 1"),
        (
            UNIT + "    r, gone = t_defect - s_defect, s_defect - s\n"
            "    return (gone * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()",
            "starts from S(x')",
        ),
        (
            UNIT + "    r, gone = t_defect - s, s - s_defect\n"
            "    return (gone * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()",
            "sign is wrong",
        ),
        (
            START + "    r, gone = (F.normalize(x.float() - s.float(), dim=1) for x in (t_defect, s_defect))\n"
            "    return (gone * r).sum(1)[inside].sum() / (r * r).sum(1)[inside].sum()",
            "before the differences",
        ),
        (
            TWO + "    top = ((gone * r).sum(1) * inside).sum((1, 2))\n"
            "    return (top / ((r * r).sum(1) * inside).sum((1, 2))).mean()",
            "images' shares",
        ),
    ],
    "04.without_copying": [
        (MAPS + "    return model.compare(*model.features(defective))", "as it is"),
        (MAPS + "    return model.compare(*model.features(normal))", "map of the normal image"),
        (MAPS + "    return model.compare(model.see(normal), model.restore(model.see(defective)))", "exchanged"),
        (MAPS + "    return model.compare(model.restore(model.see(normal)), model.see(defective))", "maps first"),
        (MAPS + "    return model.compare(model.see(defective), model.see(normal))", "teacher with itself"),
        (MAPS + "    return model.compare(model.see(defective), model.restore(normal))", "through `see` first"),
        (
            MAPS + "    return model.compare(model.restore(model.see(defective)), model.restore(model.see(normal)))",
            "Both sides",
        ),
    ],
    "04.ignoring_student": [
        (SAME + "    return [k.mean((0, 2, 3), keepdim=True) + 0 * g for k, g in zip(known, given)]", "each place"),
        (SAME + "    return [k.mean((0, 1)).expand_as(g) for k, g in zip(known, given)]", "over the channels"),
        (SAME + "    return [k.mean(0) for k in known]", "without the dimension"),
        (SAME + "    return [k.mean(0, keepdim=True) for k in known]", "(1, C, h, w)"),
        (SAME + "    return [k.mean(0, keepdim=True).expand_as(k) for k in known]", "as many answers"),
        (SAME + "    return [g.mean(0, keepdim=True).expand_as(g) for g in given]", "defects included"),
        (SAME + "    return given", "copycat"),
        (SAME + "    return [k[0].expand_as(g) for k, g in zip(known, given)]", "first normal image"),
    ],
}
