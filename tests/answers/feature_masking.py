"""Answers to lesson 06."""

MODULE = """class GenerationModule(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.one = nn.Conv2d(channels, channels, {kernel})
        self.two = nn.Conv2d(channels, channels, {kernel})
        {start}

    def forward(self, x):
        return {answer}
"""
ZERO = "nn.init.zeros_(self.two.weight), nn.init.zeros_(self.two.bias)"


def module(kernel: str = "3, padding=1", start: str = ZERO, answer: str = "x + self.two(F.relu(self.one(x)))") -> str:
    return MODULE.format(kernel=kernel, start=start, answer=answer)


def mask(body: str) -> str:
    return f"def random_mask(batch, height, width, drop, generator):\n    return {body}"


def flm(when: str = "if training:", hide: str = "s * random_mask(len(s), *s.shape[2:], d, generator)") -> str:
    return (
        "def flm(maps, generate, drop, training, generator):\n"
        f"    {when}\n"
        f"        maps = [{hide} for s, d in zip(maps, drop)]\n"
        "    return [g(s) for g, s in zip(generate, maps)]"
    )


RIGHT = {
    "06.random_mask": [
        mask("(torch.rand(batch, 1, height, width, generator=generator) > drop).float()"),
        mask("torch.bernoulli(torch.full((batch, 1, height, width), 1 - drop), generator=generator)"),
        mask("1.0 - (torch.rand(batch, 1, height, width, generator=generator) < drop).to(torch.float32)"),
    ],
    "06.GenerationModule": [
        module(),
        module(start="self.two.weight.data.zero_(); self.two.bias.data.zero_()"),
        "class GenerationModule(nn.Module):\n"
        "    def __init__(self, channels):\n"
        "        super().__init__()\n"
        "        last = nn.Conv2d(channels, channels, 3, padding='same', bias=False)\n"
        "        nn.init.zeros_(last.weight)\n"
        "        self.g = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), last)\n"
        "    def forward(self, x):\n"
        "        return x + self.g(x)",
    ],
    "06.flm": [
        flm(),
        "def flm(maps, generate, drop, training, generator):\n"
        "    answers = []\n"
        "    for k in range(len(maps)):\n"
        "        s = maps[k]\n"
        "        if training:\n"
        "            B, C, h, w = s.shape\n"
        "            s = random_mask(B, h, w, drop[k], generator) * s\n"
        "        answers.append(generate[k](s))\n"
        "    return answers",
    ],
}
WRONG = {
    "06.random_mask": [
        (mask("(torch.rand(batch, 1, height, width, generator=generator) < drop).float()"), "hides 80 %"),
        (mask("(torch.rand(batch, 1, height, width) >= drop).float()"), "The generator does not decide"),
        (
            mask("(torch.rand(1, 1, height, width, generator=generator) >= drop).float().expand(batch, -1, -1, -1)"),
            "same mask",
        ),
        (mask("(torch.rand(batch, height, width, generator=generator) >= drop).float()"), "shape (8, 20, 30)"),
        (mask("torch.rand(batch, 1, height, width, generator=generator) >= drop"), "`.float()`"),
        (mask("torch.rand(batch, 1, height, width, generator=generator)"), "0 or 1"),
    ],
    "06.GenerationModule": [
        (module(kernel="1"), "one position only"),
        (module(kernel="3"), "keep its shape"),
        (module(start="pass"), "the identity"),
        (module(answer="self.two(F.relu(self.one(x)))"), "`x + ...`"),
        (module(answer="x + self.two(self.one(x))"), "Without a ReLU"),
        (module(answer="x + self.two(F.relu(x))"), "sees 3x3 positions"),
    ],
    "06.flm": [
        (flm(when="if not training:"), "On three scales in evaluation"),
        (flm(hide="s * random_mask(len(s), *s.shape[2:], drop[0], generator)"), "own lambda"),
        (flm(hide="s * random_mask(1, *s.shape[2:], d, generator)"), "the same mask"),
        (flm(hide="s * random_mask(len(s), *s.shape[2:], d, generator) / (1 - d)"), "as dropout does"),
        (
            "def flm(maps, generate, drop, training, generator):\n"
            "    if not training:\n"
            "        return maps\n"
            "    return [g(s * random_mask(len(s), *s.shape[2:], d, generator))"
            " for g, s, d in zip(generate, maps, drop)]",
            "modules are left out",
        ),
        (
            "def flm(maps, generate, drop, training, generator):\n"
            "    maps = [g(s) for g, s in zip(generate, maps)]\n"
            "    if training:\n"
            "        maps = [s * random_mask(len(s), *s.shape[2:], d, generator) for s, d in zip(maps, drop)]\n"
            "    return maps",
            "comes *after* the mask",
        ),
        (
            "def flm(maps, generate, drop, training, generator):\n"
            "    for s, d in zip(maps, drop):\n"
            "        if training:\n"
            "            s *= random_mask(len(s), *s.shape[2:], d, generator)\n"
            "    return [g(s) for g, s in zip(generate, maps)]",
            "not `s *= mask`",
        ),
    ],
}
