"""Answers to lesson 00."""

RIGHT = {
    "00.image_score": [
        "def image_score(maps):\n    return maps.flatten(1).max(1).values",
        "def image_score(maps):\n    return torch.stack([m.max() for m in maps])",
    ],
    "00.is_defective": ["def is_defective(scores, threshold):\n    return torch.gt(scores, threshold)"],
}
WRONG = {
    "00.image_score": [
        ("def image_score(maps):\n    return maps.mean((1, 2))", "mean of the map"),
        ("def image_score(maps):\n    return maps.max()", "one number for all images"),
        ("def image_score(maps):\n    return maps.max(dim=-1).values", "maximum of each row"),
        ("def image_score(maps):\n    return maps.amax(1)", "maximum of each column"),
        ("def image_score(maps):\n    return maps.flatten(1).max(1)", "two things"),
        ("def image_score(maps):\n    return maps.sum((1, 2))", "sum of the map"),
        ("def image_score(maps):\n    return maps.max(0).values", "maximum over the images"),
    ],
    "00.is_defective": [
        ("def is_defective(scores, threshold):\n    return scores < threshold", "wrong way round"),
        ("def is_defective(scores, threshold):\n    return scores >= threshold", "not above it"),
        ("def is_defective(scores, threshold):\n    return scores - threshold", "do not subtract"),
        ("def is_defective(scores, threshold):\n    return scores[scores > threshold]", "every image"),
        ("def is_defective(scores, threshold):\n    return (scores > threshold).any()", "one answer for all images"),
    ],
}
