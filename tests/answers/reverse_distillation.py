"""Answers to lesson 03."""

UP = """class UpBlock(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.up = {up}
        self.conv = nn.Sequential(nn.Conv2d(c_out, c_out, 3, padding=1), nn.BatchNorm2d(c_out))
        self.shortcut = {shortcut}

    def forward(self, x):
        {forward}
"""
TWICE = "nn.ConvTranspose2d(c_in, c_out, 2, stride=2)"


FORWARD = "return self.conv(F.relu(self.up(x))) + self.shortcut(x)"


def up(up: str = TWICE, shortcut: str = TWICE, forward: str = FORWARD) -> str:
    return UP.format(up=up, shortcut=shortcut, forward=forward)


STUDENT = """class Student(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        K = len(channels)
        self.bring = {many}(nn.Conv2d(c, width, 3, 2 ** (K - 1 - k), 1) for k, c in enumerate(channels))
        self.squeeze = nn.Sequential(nn.Conv2d(K * width, {narrow}, 1), nn.BatchNorm2d({narrow}), nn.ReLU())
        self.first = nn.Conv2d({narrow}, channels[-1], 3, padding=1)
        self.ups = {many}(UpBlock(channels[k], channels[k - 1]) for k in range(K - 1, 0, -1))

    def forward(self, maps):
        x = {x}
        out = [{first}]
        for up in self.ups:
            out.append(up(out[-1]))
        return {answer}
"""


def student(
    many: str = "nn.ModuleList",
    narrow: str = "width",
    x: str = "torch.cat([F.relu(b(t)) for b, t in zip(self.bring, maps)], 1)",
    first: str = "self.first(self.squeeze(x))",
    answer: str = "out[::-1]",
) -> str:
    return STUDENT.format(many=many, narrow=narrow, x=x, first=first, answer=answer)


def step(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.split("; "))
    return f"def training_step(student, optimiser, given, target):\n{lines}"


def short(name: str, arguments: str, body: str) -> str:
    return f"def {name}({arguments}):\n    return {body}"


COSINE = "F.cosine_similarity(t.flatten(1), s.flatten(1))"
ZERO, BACK = "optimiser.zero_grad()", "value.backward()"
VALUE = "value = loss(target, student(given))"
RIGHT = {
    "03.UpBlock": [
        up(),
        up(forward="y = F.relu(self.up(x)); return self.shortcut(x) + self.conv(y)"),
    ],
    "03.Student": [
        student(),
        student(x="torch.cat([b(t).relu() for b, t in zip(self.bring, maps)], dim=1)", answer="list(reversed(out))"),
    ],
    "03.cosine_distance": [
        short("cosine_distance", "t, s", "1 - (F.normalize(t.float(), dim=1) * F.normalize(s.float(), dim=1)).sum(1)"),
        short("cosine_distance", "t, s", "1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1))"),
    ],
    "03.loss": [
        "def loss(T, S):\n    total = 0\n    for t, s in zip(T, S):\n        t, s = t.flatten(1), s.flatten(1)\n"
        "        total = total + (1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1))).mean()\n    return total",
        short("loss", "T, S", f"sum(1 - {COSINE}.mean() for t, s in zip(T, S))"),
    ],
    "03.training_step": [
        step(f"{ZERO}; {VALUE}; {BACK}; optimiser.step(); return value.item()"),
        step(f"{VALUE}; {ZERO}; {BACK}; optimiser.step(); return float(value.detach())"),
    ],
    "03.anomaly_map": [
        "def anomaly_map(T, S, size, sigma):\n    total = 0\n    for t, s in zip(T, S):\n"
        "        total = total + at_image_size(cosine_distance(t, s), size, sigma)\n    return total",
        "def anomaly_map(T, S, size, sigma):\n"
        "    maps = [enlarge(cosine_distance(t, s)[:, None], (size, size))[:, 0] for t, s in zip(T, S)]\n"
        "    return gaussian_blur(sum(maps), sigma)",
    ],
}
WRONG = {
    "03.UpBlock": [
        (up(forward="return F.relu(self.conv(F.relu(self.up(x))) + self.shortcut(x))"), "ReLU at the end"),
        (up(up="nn.Conv2d(c_in, c_out, 1)", shortcut="nn.Conv2d(c_in, c_out, 1)"), "stay as they were"),
        (up(forward="return self.shortcut(x)"), "made and never used"),
        (up(shortcut="nn.Conv2d(c_in, c_out, 1)"), "must match the size"),
        (up(forward="self.conv(F.relu(self.up(x))) + self.shortcut(x)"), "Is the `return` missing?"),
    ],
    "03.Student": [
        (student(answer="out"), "coarse to fine"),
        (student(many="list"), "`nn.ModuleList`"),
        (student(answer="[F.relu(o) for o in out[::-1]]"), "ReLU at the end"),
        (student(x="torch.cat([F.relu(t) for t in maps], 1)"), "Sizes of tensors must match"),
        (
            student(x="torch.cat([F.relu(b(t)) * (i == 2) for i, (b, t) in enumerate(zip(self.bring, maps))], 1)"),
            "does not depend on the map of scale 1",
        ),
    ],
    "03.cosine_distance": [
        (short("cosine_distance", "t, s", "1 - F.cosine_similarity(t.flatten(1), s.flatten(1))"), "whole map"),
        (short("cosine_distance", "t, s", "F.cosine_similarity(t, s, dim=1)"), "cosine itself"),
        (short("cosine_distance", "t, s", "1 - F.cosine_similarity(t, s, dim=-1)"), "`dim=1`"),
        (short("cosine_distance", "t, s", "(1 - F.cosine_similarity(t, s, dim=1)).mean()"), "leave the mean away"),
        (short("cosine_distance", "t, s", "1 - (t * s).sum(1)"), "not divided by the lengths"),
    ],
    "03.loss": [
        (short("loss", "T, S", "sum((1 - F.cosine_similarity(t, s)).mean() for t, s in zip(T, S))"), "RD4AD's formula"),
        (short("loss", "T, S", f"sum((1 - {COSINE}).sum() for t, s in zip(T, S))"), "Take their mean"),
        (short("loss", "T, S", f"sum((1 - {COSINE}).mean().item() for t, s in zip(T, S))"), "has no gradient"),
        (
            short(
                "loss", "T, S", "sum(1 - F.cosine_similarity(t.flatten(), s.flatten(), dim=0) for t, s in zip(T, S))"
            ),
            "one vector",
        ),
    ],
    "03.training_step": [
        (step(f"{VALUE}; {BACK}; optimiser.step(); return value.item()"), "add up"),
        (step(f"{VALUE}; {ZERO}; {BACK}; return value.item()"), "have not moved"),
        (step(f"{VALUE}; {ZERO}; {BACK}; optimiser.step(); return value"), "`.item()`"),
        (step(f"{VALUE}; {ZERO}; {BACK}; optimiser.step(); return loss(target, student(given)).item()"), "once more"),
        (
            step(f"value = loss(given, student(given)); {ZERO}; {BACK}; optimiser.step(); return value.item()"),
            "held against what it was given",
        ),
    ],
    "03.anomaly_map": [
        (
            "def anomaly_map(T, S, size, sigma):\n"
            "    return sum(at_image_size(cosine_distance(t, s), size, sigma) for t, s in zip(T, S)) / len(T)",
            "mean of the scales",
        ),
        (
            "def anomaly_map(T, S, size, sigma):\n    for t, s in zip(T, S):\n"
            "        total = at_image_size(cosine_distance(t, s), size, sigma)\n    return total",
            "overwritten",
        ),
        (
            "def anomaly_map(T, S, size, sigma):\n"
            "    return sum(enlarge(cosine_distance(t, s)[:, None], (size, size))[:, 0] for t, s in zip(T, S))",
            "not smoothed",
        ),
    ],
}
