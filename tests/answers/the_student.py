"""Answers to assignment A3."""

STAGE = """class DecoderStage(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.up = nn.ConvTranspose2d(c_in, c_out, 2, stride=2)
        self.up_norm = nn.BatchNorm2d(c_out)
        self.conv = nn.Conv2d(c_out, c_out, {kernel})
        self.conv_norm = nn.BatchNorm2d(c_out)
        self.short = {short}
        self.short_norm = nn.BatchNorm2d(c_out)

    def forward(self, x):
        {forward}
"""
LONG = "self.conv_norm(self.conv(F.relu(self.up_norm(self.up(x)))))"
SHORT = "self.short_norm(self.short(x))"


def stage(
    forward: str = f"return {LONG} + {SHORT}",
    kernel: str = "3, padding=1",
    short: str = "nn.ConvTranspose2d(c_in, c_out, 2, stride=2)",
) -> str:
    return STAGE.format(forward=forward, kernel=kernel, short=short)


NECK = """class Bottleneck(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        K = len(channels)
        self.bring = {many}(
            [nn.Conv2d(c, width, {kernel}, stride=s, padding={pad}) for c, s in zip(channels, (4, 2, 1)[3 - K :])]
        )
        self.squeeze = nn.Conv2d(K * width, width, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, maps):
        x = torch.cat({x}, 1)
        {answer}
"""
EACH = "[F.relu(b(t)) for b, t in zip(self.bring, maps)]"


def neck(
    answer: str = "return F.relu(self.norm(self.squeeze(x)))",
    x: str = EACH,
    many: str = "nn.ModuleList",
    kernel: str = "2 * s - 1",
    pad: str = "s - 1",
) -> str:
    return NECK.format(answer=answer, x=x, many=many, kernel=kernel, pad=pad)


STUDENT = """class Student(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.bottleneck = Bottleneck(channels, width)
        sizes = [width] + list(channels)[::-1]
        self.stages = {many}([DecoderStage(a, b) for a, b in zip(sizes, sizes[1:])])

    def forward(self, maps):
        x, answers = self.bottleneck(maps), []
        for stage in self.stages:
            {go}
        {answer}
"""


def student(
    go: str = "x = stage(x); answers.append(x)", answer: str = "return answers[::-1]", many: str = "nn.ModuleList"
) -> str:
    return STUDENT.format(go=go, answer=answer, many=many)


TEACHER = """class FrozenTeacher(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
        {start}

    def train(self, mode=True):
        {train}

    def forward(self, images):
        {forward}
"""
OFF = "for p in network.parameters(): p.requires_grad = False"


def teacher(
    start: str = "network.requires_grad_(False); network.eval()",
    train: str = "super().train(mode); self.network.eval(); return self",
    forward: str = "return self.network(images)",
) -> str:
    return TEACHER.format(start=start, train=train, forward=forward)


def step(
    known: str = "with torch.no_grad(): T, given = teacher(normal), teacher(anomalous)",
    loss: str = "value = loss(T, student(given))",
    go: str = "optimiser.zero_grad(); value.backward(); optimiser.step()",
    back: str = "return value.item()",
    begin: str = "student.train()",
) -> str:
    lines = "".join(f"    {line}\n" for line in (begin, known, loss, go, back))
    return f"def ilm_step(teacher, student, loss, optimiser, normal, anomalous):\n{lines}"


MODULE = """class GenerationModule(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, {kernel})
        self.conv2 = nn.Conv2d(channels, channels, {kernel})
        {start}

    def forward(self, x):
        {forward}
"""


def module(
    forward: str = "return x + self.conv2(F.relu(self.conv1(x)))",
    start: str = "nn.init.zeros_(self.conv2.weight); nn.init.zeros_(self.conv2.bias)",
    kernel: str = "3, padding=1",
) -> str:
    return MODULE.format(forward=forward, start=start, kernel=kernel)


def flm(hide: str = "s * (r >= d)", back: str = "[g(s) for g, s in zip(generate, maps)]") -> str:
    return (
        "def flm(maps, generate, drop, training, random):\n"
        "    if training:\n"
        f"        maps = [{hide} for s, r, d in zip(maps, random, drop)]\n"
        f"    return {back}"
    )


RIGHT = {
    "A3.DecoderStage": [
        stage(),
        stage(forward=f"y = self.up_norm(self.up(x)).relu(); return {SHORT} + self.conv_norm(self.conv(y))"),
        """class DecoderStage(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        for name in ("up", "short"):
            setattr(self, name, nn.ConvTranspose2d(c_in, c_out, kernel_size=(2, 2), stride=(2, 2)))
            setattr(self, f"{name}_norm", nn.BatchNorm2d(c_out))
        self.conv, self.conv_norm = nn.Conv2d(c_out, c_out, 3, padding="same"), nn.BatchNorm2d(c_out)

    def forward(self, x):
        ways = [norm(layer(x)) for layer, norm in ((self.up, self.up_norm), (self.short, self.short_norm))]
        return torch.stack([self.conv_norm(self.conv(ways[0].clamp(min=0))), ways[1]]).sum(0)
""",
    ],
    "A3.Bottleneck": [
        neck(),
        neck(
            x="[b(t).clamp_min(0) for b, t in zip(self.bring, maps)]",
            answer="return self.norm(self.squeeze(x)).relu()",
        ),
        """class Bottleneck(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.bring, jump = nn.ModuleList(), 2 ** (len(channels) - 1)
        for c in channels:
            self.bring.append(nn.Conv2d(c, width, jump * 2 - 1, jump, jump - 1))
            jump //= 2
        self.squeeze = nn.Conv2d(len(channels) * width, width, 3, 2, 1)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, maps):
        fused = None
        for bring, t in zip(self.bring, maps):
            one = self.relu(bring(t))
            fused = one if fused is None else torch.cat((fused, one), dim=1)
        return self.relu(self.norm(self.squeeze(fused)))
""",
    ],
    "A3.Student": [
        student(),
        student(go="answers.insert(0, stage(x)); x = answers[0]", answer="return answers"),
        """class Student(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.bottleneck = Bottleneck(channels, width)
        self.stages = nn.ModuleList()
        for k in range(len(channels) - 1, -1, -1):
            below = width if k == len(channels) - 1 else channels[k + 1]
            self.stages.append(DecoderStage(below, channels[k]))

    def forward(self, maps):
        def deeper(x, k):
            if k == len(self.stages):
                return []
            y = self.stages[k](x)
            return deeper(y, k + 1) + [y]

        return deeper(self.bottleneck(maps), 0)
""",
    ],
    "A3.FrozenTeacher": [
        teacher(),
        teacher(start=OFF + "\n        self.train()", train="super().train(False); return self"),
        teacher(
            start="self.eval(); network.requires_grad_(False)",
            train="return super().train(False)",
            forward="with torch.no_grad(): return self.network(images)",
        ),
    ],
    "A3.ilm_step": [
        step(),
        step(
            known="T, given = ([t.detach() for t in teacher(x)] for x in (normal, anomalous))"
            "\n    for p in teacher.parameters(): p.grad = None",
            go="[p.grad.zero_() for p in student.parameters()]; value.backward(); optimiser.step()",
            back="return float(value.detach())",
        ),
        step(
            known="with torch.no_grad():\n        T = teacher(normal)\n        given = teacher(anomalous)",
            loss="optimiser.zero_grad(set_to_none=True)\n    S = student(given)\n    value = loss(T, S)",
            go="value.backward(); optimiser.step()",
            back="return value.detach().item()",
        ),
    ],
    "A3.GenerationModule": [
        module(),
        module(
            start="self.conv2.weight.data.zero_(); self.conv2.bias.data.fill_(0)",
            forward="y = self.conv1(x).relu(); return self.conv2(y) + x",
        ),
        module(
            kernel="kernel_size=3, padding='same'",
            start="[nn.init.constant_(p, 0.0) for p in self.conv2.parameters()]",
            forward="return torch.add(self.conv2(torch.clamp(self.conv1(x), min=0)), x)",
        ),
    ],
    "A3.flm": [
        flm(),
        flm(hide="torch.where(r >= d, s, torch.zeros_like(s))"),
        """def flm(maps, generate, drop, training, random):
    answers = []
    for k in range(len(maps)):
        s = maps[k]
        if training:
            mask = 1 - (random[k] < drop[k]).to(s.dtype)
            s = s * mask
        answers.append(generate[k](s))
    return answers
""",
        flm(hide="s.masked_fill(r < d, 0)"),
    ],
}
WRONG = {
    "A3.DecoderStage": [
        (stage(forward=f"return F.relu({LONG} + {SHORT})"), "a ReLU at the end"),
        (stage(forward=f"return {LONG}"), "shortcut is missing"),
        (stage(forward=f"return {LONG.replace('F.relu', '')} + {SHORT}"), "no ReLU on the long way"),
        (stage(forward=f"return {LONG} + self.short(x)"), "without its normalisation"),
        (
            stage(forward=f"return self.conv_norm(self.conv(self.up_norm(F.relu(self.up(x))))) + {SHORT}"),
            "before `up_norm`",
        ),
        (stage(forward=f"return F.relu({LONG}) + {SHORT}"), "can only add"),
        (stage(forward=f"{LONG} + {SHORT}"), "The `return` is missing"),
        (stage(short="nn.Conv2d(c_in, c_out, 1)"), "`short.weight` has the shape"),
        (stage().replace("conv_norm", "norm"), "It has no `conv_norm.weight`"),
        (stage(kernel="3, padding=1, bias=False"), "with bias"),
        (stage(kernel="3"), "must match the size"),
        (stage(forward=f"x *= 2; return {LONG} + {SHORT}"), "changes what it is given"),
    ],
    "A3.Bottleneck": [
        (neck(x=EACH.replace("F.relu(b(t))", "b(t)")), "one linear map"),
        (neck(answer="return self.norm(self.squeeze(x))"), "last ReLU is missing"),
        (neck(answer="return self.norm(F.relu(self.squeeze(x)))"), "exchanged"),
        (neck(answer="return F.relu(self.squeeze(x))"), "`norm` is made and never used"),
        (neck(x=EACH + "[::-1]"), "coarse to fine"),
        (neck(many="list"), "plain Python list"),
        (neck(kernel="3", pad="1"), "`bring.0.weight` has the shape"),
        (neck(pad="0"), "Sizes of tensors must match"),
    ],
    "A3.Student": [
        (student(answer="return answers"), "come out coarse to fine"),
        (student(go="x = stage(x) + maps[len(maps) - 1 - len(answers)]; answers.append(x)"), "around the narrow place"),
        (student(go="x = F.relu(stage(x)); answers.append(x)"), "a ReLU after each stage"),
        (student(go="answers.append(stage(x)); x = F.relu(answers[-1])"), "only the positive part"),
        (student(go="answers.append(stage(x)); x = answers[-1].detach()"), "gradients stop"),
        (student(many="list"), "`stages` is a plain Python list"),
        (student(go="answers.append(stage(x))"), "it stops"),
        (student(answer="answers[::-1]"), "The `return` is missing"),
    ],
    "A3.FrozenTeacher": [
        (teacher(train="return super().train(mode)"), "until somebody calls `train`"),
        (teacher(start=OFF, train="return super().train(mode)"), "dropout hides something"),
        (teacher(start="network.eval()"), "the maps carry one"),
        (teacher(start="network.eval()", train="return super().train(mode)"), "can still learn"),
        (
            teacher(start="network.eval()", forward="with torch.no_grad(): return self.network(images)"),
            "still ask for one",
        ),
        (teacher(start=OFF), "Before the first call"),
        (teacher(train="super().train(mode); self.network.eval()"), "`train` gives None"),
        (teacher(start="pass", train="return super().train(mode)"), "Nothing is frozen"),
        (teacher(forward="self.network(images)"), "The `return` is missing"),
        (teacher().replace("self.network", "self.net"), "as `self.network`"),
    ],
    "A3.ilm_step": [
        (step(loss="value = loss(given, student(given))"), "copies is rewarded"),
        (step(loss="value = loss(T, student(T))"), "that is `rd`"),
        (step(loss="value = loss(given, student(T))"), "exchanged"),
        (step(loss="value = loss(student(given), T)"), "takes the target first"),
        (step(go="value.backward(); optimiser.step()"), "add up"),
        (step(go="optimiser.zero_grad(); value.backward()"), "have not moved"),
        (step(back="return loss(T, student(given)).item()"), "once more after the step"),
        (step(back="return value"), "returns a tensor"),
        (step(back="pass"), "gives None"),
        (step(begin="pass"), "left in evaluation mode"),
        (step(known="T, given = teacher(normal), teacher(anomalous)"), "runs on into the teacher"),
    ],
    "A3.GenerationModule": [
        (module(start="nn.init.zeros_(self.conv2.weight)"), "does not give back what it gets"),
        (module(start="[nn.init.zeros_(p) for p in self.parameters()]"), "some weight is not zero"),
        (module(forward="return self.conv2(F.relu(self.conv1(x)))"), "not added at the end"),
        (module(forward="return x + self.conv2(self.conv1(x))"), "no ReLU between"),
        (module(forward="return F.relu(x + self.conv2(F.relu(self.conv1(x))))"), "a ReLU at the end"),
        (module(forward="return x + F.relu(self.conv2(F.relu(self.conv1(x))))"), "A ReLU follows `conv2`"),
        (module(forward="return x + self.conv2(F.relu(x))"), "`conv1` is made and never used"),
        (module(kernel="1"), "has the shape"),
        (module(kernel="3"), "it stops"),
        (module(forward="x += self.conv2(F.relu(self.conv1(x))); return x"), "changes what it is given"),
    ],
    "A3.flm": [
        (flm(hide="s * (r < d)"), "*below* lambda"),
        (flm(hide="s * (r > d)"), "just lambda"),
        (flm(hide="s * (r >= d) / (1 - d)"), "made larger"),
        (flm(hide="s"), "nothing is hidden"),
        (flm(hide="s * (r[:1] >= d)"), "first one's mask"),
        (flm(hide="s * (r >= drop[0])"), "first one's lambda"),
        (flm(hide="s * (r >= d).float()"), "half precision"),
        (flm(back="maps"), "never asked"),
        (flm(back="[g(s) for g, s in zip(generate, maps)] if training else maps"), "left out"),
        (flm(hide="s.mul_(r >= d)"), "changes what it was given"),
        (
            "def flm(maps, generate, drop, training, random):\n"
            "    maps = [g(s) for g, s in zip(generate, maps)]\n"
            "    return [s * (r >= d) for s, r, d in zip(maps, random, drop)] if training else maps",
            "comes *after* the mask",
        ),
        (
            flm(back="[g(s if training else s * (1 - d)) for g, s, d in zip(generate, maps, drop)]"),
            "multiplied with 1 - lambda",
        ),
        (flm().replace("random, drop)", "random, drop[::-1])"), "wrong order"),
    ],
}
