"""Answers to lesson 10."""

RIGHT = {
    "10.residual": [
        """
def residual(t, s):
    out = torch.zeros_like(t)
    for i in range(len(t)):
        below = (s[i] ** 2).sum()
        a = (t[i] * s[i]).sum() / below if below > 0 else 0
        out[i] = t[i] - max(a, 0) * s[i]
    return out
""",
        """
def residual(t, s):
    a = (t * s).mean((1, 2, 3), keepdim=True) / (s.square().mean((1, 2, 3), keepdim=True) + 1e-7)
    return t - F.relu(a) * s
""",
        """
def residual(t, s):
    T, S = t.flatten(1).float(), s.flatten(1).float()
    a = torch.einsum("bi,bi->b", T, S) / S.norm(dim=1).clamp_min(1e-9) ** 2
    return (T - a.clamp(min=0)[:, None] * S).reshape(t.shape)
""",
        """
def residual(t, s):
    direction = F.normalize(s.float().flatten(1), dim=1)
    along = (t.flatten(1) * direction).sum(1, keepdim=True).clamp(min=0)
    return t - (along * direction).view(t.shape)
""",
    ],
    "10.far": [
        """
def far(r, mu, sigma, gamma):
    C = len(mu)
    shrunk = (1 - gamma) * sigma + gamma * torch.trace(sigma) / C * torch.eye(C)
    d = r - mu
    return torch.sqrt(torch.einsum("...i,ij,...j->...", d, torch.linalg.inv(shrunk), d) / C)
""",
        """
def far(r, mu, sigma, gamma):
    values, directions = torch.linalg.eigh(sigma)
    values = (1 - gamma) * values + gamma * values.mean()
    return (((r - mu) @ directions) ** 2 / values).mean(-1).sqrt()
""",
        """
def far(r, mu, sigma, gamma):
    shrunk = (1 - gamma) * sigma.numpy() + gamma * np.diag(sigma.numpy()).mean() * np.eye(len(mu))
    d = (r - mu).numpy()
    return torch.as_tensor(np.sqrt((d * (d @ np.linalg.inv(shrunk))).mean(-1)))
""",
        """
def far(r, mu, sigma, gamma):
    shrunk = (1 - gamma) * sigma + gamma * sigma.diagonal().mean() * torch.eye(len(mu))
    d = (r - mu).reshape(-1, len(mu))
    root = torch.linalg.cholesky(shrunk)
    white = torch.linalg.solve_triangular(root, d.T, upper=False)
    return white.square().mean(0).sqrt().reshape(r.shape[:-1])
""",
    ],
}
FIT = "def residual(t, s):\n    a = "
SUMS = "(t * s).sum((1, 2, 3)) / (s * s).sum((1, 2, 3))"
SHRINK = """def far(r, mu, sigma, gamma):
    shrunk = (1 - gamma) * sigma + gamma * sigma.diagonal().mean() * torch.eye(len(mu))
"""
DISTANCE = """    d = r - mu
    return ((d @ torch.linalg.inv(shrunk)) * d).sum(-1).div(len(mu)).sqrt()
"""
WRONG = {
    "10.residual": [
        ("def residual(t, s):\n    return t - s", "length is still in it"),
        (FIT + "(t * s).sum() / (s * s).sum().clamp_min(1e-9)\n    return t - a * s", "common to the whole batch"),
        (
            FIT + "(t * s).sum(1, keepdim=True) / (s * s).sum(1, keepdim=True)\n    return t - a.clamp_min(0) * s",
            "Every position has a factor",
        ),
        (
            FIT + "t.flatten(1).norm(dim=1) / s.flatten(1).norm(dim=1)\n    return t - a.view(-1, 1, 1, 1) * s",
            "equally long now",
        ),
        (
            FIT + "F.cosine_similarity(t.flatten(1), s.flatten(1))\n"
            "    return t - a.clamp_min(0).view(-1, 1, 1, 1) * s",
            "factor is the cosine",
        ),
        (
            FIT + SUMS + ".clamp_min(1e-9)\n    return t - a.view(-1, 1, 1, 1) * s",
            "turned round",
        ),
        (
            FIT + SUMS + "\n    return t - a.clamp_min(0).view(-1, 1, 1, 1) * s",
            "all zeros",
        ),
        (
            FIT + SUMS + "\n    return t - a.view(-1, 1, 1, 1) * s",
            "Neither should happen",
        ),
        (
            FIT + SUMS + ".clamp_min(1e-9)\n"
            "    return a.clamp_min(0).view(-1, 1, 1, 1) * s",
            "at the right length",
        ),
        (
            FIT + SUMS + ".clamp_min(1e-9)\n    return t - a.clamp_min(0) * s",
            "In the line",
        ),
    ],
    "10.far": [
        (SHRINK + DISTANCE.replace("r - mu", "r"), "What is usual is not taken off"),
        (SHRINK + DISTANCE.replace("torch.linalg.inv(shrunk)", "shrunk"), "loud directions count more"),
        (SHRINK + "    return ((r - mu) ** 2 / shrunk.diagonal()).mean(-1).sqrt()", "Channels vary together"),
        (SHRINK + DISTANCE.replace(".div(len(mu))", ""), "number of channels is missing"),
        (SHRINK + DISTANCE.replace(".sqrt()", ""), "take the root"),
        (SHRINK + DISTANCE.replace("inv(shrunk)", "inv(sigma)"), "`gamma` is not used"),
        (SHRINK.replace("(1 - gamma) * sigma + gamma", "gamma * sigma + (1 - gamma)") + DISTANCE, "wrong end"),
        (SHRINK.replace("sigma.diagonal().mean() * ", "") + DISTANCE, "missing before the identity"),
        (SHRINK.replace(" * torch.eye(len(mu))", "") + DISTANCE, "every entry of the matrix"),
        (SHRINK.replace("sigma.diagonal().mean()", "sigma.mean()") + DISTANCE, "mean of all entries"),
        (SHRINK.replace("sigma.diagonal().mean()", "sigma.diagonal().sum()") + DISTANCE, "sum of the variances"),
        (SHRINK.replace("(1 - gamma) * sigma", "sigma") + DISTANCE, "nothing taken away"),
    ],
}
