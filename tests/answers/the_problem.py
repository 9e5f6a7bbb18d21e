"""Answers to lesson 01."""

RIGHT = {
    "01.false_alarm_threshold": [
        "def false_alarm_threshold(scores, share):\n    return np.percentile(scores, 100 * (1 - share))",
        "def false_alarm_threshold(scores, share):\n    return torch.quantile(torch.as_tensor(scores), 1 - share)",
        "def false_alarm_threshold(scores, share):\n    return np.quantile(scores, 1 - share, method='higher')",
        "def false_alarm_threshold(scores, share):\n"
        "    above = int(share * len(scores))\n"
        "    return sorted(scores)[len(scores) - above - 1]",
    ],
    "01.precision": [
        "def precision(base_rate, recall, false_alarms):\n"
        "    slabs = 1_000_000\n"
        "    true = slabs * base_rate * recall\n"
        "    false = slabs * (1 - base_rate) * false_alarms\n"
        "    return true / (true + false)",
        "def precision(base_rate, recall, false_alarms):\n"
        "    if recall == 0:\n"
        "        return 0.0\n"
        "    return 1 / (1 + (1 - base_rate) / base_rate * false_alarms / recall)",
    ],
    "01.z_scores": [
        "def z_scores(normal, test):\n"
        "    mean = normal.mean(dim=0, keepdim=True)\n"
        "    std = normal.std(dim=0, keepdim=True)\n"
        "    epsilon = 0.1 * std.mean(dim=(2, 3), keepdim=True)\n"
        "    return torch.mean(torch.abs(test - mean) / (std + epsilon), dim=1)",
        "def z_scores(normal, test):\n"
        "    maps = []\n"
        "    std = normal.std(0)\n"
        "    for image in test:\n"
        "        total = 0\n"
        "        for c in range(len(image)):\n"
        "            off = abs(image[c] - normal[:, c].mean(0))\n"
        "            total = total + off / (std[c] + std[c].mean() / 10)\n"
        "        maps.append(total / len(image))\n"
        "    return torch.stack(maps)",
        "def z_scores(normal, test):\n"
        "    mean = normal.sum(0) / len(normal)\n"
        "    std = (((normal - mean) ** 2).sum(0) / (len(normal) - 1)).sqrt()\n"
        "    epsilon = 0.1 * std.flatten(1).mean(1)[:, None, None]\n"
        "    return ((test - mean) / (std + epsilon)).abs().mean(1)",
    ],
}
_Z = "def z_scores(normal, test):\n    mean, std = normal.mean(0), normal.std(0)\n"
_E = "    e = 0.1 * std.mean((1, 2), keepdim=True)\n"
WRONG = {
    "01.false_alarm_threshold": [
        ("def false_alarm_threshold(scores, share):\n    return np.quantile(scores, share)", "wrong end"),
        ("def false_alarm_threshold(scores, share):\n    return np.percentile(scores, 1 - share)", "from 0 to 100"),
        ("def false_alarm_threshold(scores, share):\n    return scores.max()", "without false alarms"),
        ("def false_alarm_threshold(scores, share):\n    return (1 - share) * max(scores)", "share of the largest"),
        ("def false_alarm_threshold(scores, share):\n    return scores.mean() + 3 * scores.std()", "bell curve"),
        ("def false_alarm_threshold(scores, share):\n    return scores > np.quantile(scores, 1 - share)", "One number"),
        (
            "def false_alarm_threshold(scores, share):\n"
            "    scores.sort()\n"
            "    return scores[len(scores) - int(share * len(scores)) - 1]",
            "or their order",
        ),
        ("def false_alarm_threshold(scores, share):\n    np.quantile(scores, 1 - share)", "None"),
        ("def false_alarm_threshold(scores, share):\n    return np.median(scores)", "about 10 should"),
    ],
    "01.precision": [
        (
            "def precision(base_rate, recall, false_alarms):\n    return recall / (recall + false_alarms)",
            "base rate is missing",
        ),
        (
            "def precision(base_rate, recall, false_alarms):\n"
            "    return base_rate * recall / (base_rate * recall + false_alarms)",
            "normal slabs only",
        ),
        ("def precision(base_rate, recall, false_alarms):\n    return base_rate * recall", "any alarm"),
        (
            "def precision(base_rate, recall, false_alarms):\n"
            "    true, false = base_rate * recall, (1 - base_rate) * false_alarms\n"
            "    return false / (true + false)",
            "*false*",
        ),
        (
            "def precision(base_rate, recall, false_alarms):\n"
            "    true, false = base_rate * recall, (1 - base_rate) * false_alarms\n"
            "    return true / false",
            "for each false one",
        ),
        (
            "def precision(base_rate, recall, false_alarms):\n"
            "    return base_rate * recall / base_rate * recall + (1 - base_rate) * false_alarms",
            "divides before it adds",
        ),
        (
            "def precision(base_rate, recall, false_alarms):\n"
            "    return base_rate * recall + (1 - base_rate) * (1 - false_alarms)",
            "accuracy",
        ),
    ],
    "01.z_scores": [
        (_Z + _E + "    return ((test - mean) / (std + e)).mean(1)", "cancel out"),
        (_Z + "    return ((test - mean).abs() / std).mean(1)", "epsilon is missing"),
        (_Z + "    return ((test - mean).abs() / (std + 0.1 * std.mean())).mean(1)", "one number for all channels"),
        (_Z + _E + "    return ((test - mean).abs() / std + e).mean(1)", "under the fraction line"),
        (_Z + _E + "    return (test - mean).abs() / (std + e)", "channels are still there"),
        (_Z + _E + "    return ((test - mean).abs() / (std + e)).max(1).values", "largest of the channels"),
        (_Z + _E + "    return ((test - mean).abs() / (std + e)).sum(1)", "add the channels up"),
        (_Z + _E + "    return ((test - mean).abs() / (std + e)).mean(0)", "over the images"),
        (_Z + _E + "    return ((test - mean).abs() / (std + e)).mean(1).squeeze()", "one map to test"),
        (_Z + _E + "    return (((test - mean) / (std + e)) ** 2).mean(1)", "You square"),
        (_Z + "    return (test - mean).abs().mean(1)", "Nothing divides"),
        (
            "def z_scores(normal, test):\n"
            "    mean, std = normal.mean((0, 2, 3), keepdim=True), normal.std((0, 2, 3), keepdim=True)\n"
            "    return ((test - mean).abs() / (std + 0.1 * std)).mean(1)",
            "for all places",
        ),
        (
            "def z_scores(normal, test):\n"
            "    mean, std = normal.mean(0), normal.var(0)\n"
            + _E
            + "    return ((test - mean).abs() / (std + e)).mean(1)",
            "variance",
        ),
        (
            "def z_scores(normal, test):\n"
            "    mean, std = test.mean(0), test.std(0)\n"
            + _E
            + "    return ((test - mean).abs() / (std + e)).mean(1)",
            "from the test images",
        ),
        (
            "def z_scores(normal, test):\n"
            "    mean, std = normal.mean(0), normal.std(0, unbiased=False)\n"
            + _E
            + "    return ((test - mean).abs() / (std + e)).mean(1)",
            "N - 1",
        ),
    ],
}
