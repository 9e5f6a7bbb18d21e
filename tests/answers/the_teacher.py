"""Answers to lesson 02."""

RIGHT = {
    "02.standardise": [
        """
def standardise(t, normal):
    mean = normal.mean(dim=(0, 2, 3), keepdim=True)
    std = normal.std(dim=(0, 2, 3), keepdim=True)
    return (t - mean) / (std + 1e-6)
""",
        """
def standardise(t, normal):
    out = torch.zeros_like(t)
    for c in range(t.shape[1]):
        mean, std = normal[:, c].mean(), normal[:, c].std()
        out[:, c] = (t[:, c] - mean) / max(std.item(), 1e-3)
    return out
""",
        """
def standardise(t, normal):
    rows = normal.float().permute(1, 0, 2, 3).flatten(1)
    mean, var = rows.mean(1), rows.var(1, correction=0)
    return (t - mean[None, :, None, None]) / (var[None, :, None, None] + 1e-12).sqrt()
""",
        """
def standardise(t, normal):
    mean = normal.mean((0, 2, 3))[:, None, None]
    std = normal.std((0, 2, 3))[:, None, None].clamp(min=1e-3)
    return (t - mean) / std
""",
        """
def standardise(t, normal):
    mean = normal.mean((0, 2, 3), keepdim=True)
    std = normal.std((0, 2, 3), keepdim=True)
    std[std == 0] = 1
    return (t - mean) / std
""",
    ],
    "02.nearest": [
        """
def nearest(f, bank):
    rows = f.permute(0, 2, 3, 1).reshape(-1, f.shape[1])
    return torch.cdist(rows, bank).min(dim=1).values.reshape(len(f), *f.shape[2:])
""",
        """
def nearest(f, bank):
    n, c, h, w = f.shape
    out = torch.zeros(n, h, w)
    for i in range(n):
        for y in range(h):
            for x in range(w):
                out[i, y, x] = (f[i, :, y, x] - bank).norm(dim=1).min()
    return out
""",
        """
def nearest(f, bank):
    difference = f[:, None] - bank[None, :, :, None, None]
    return difference.square().sum(2).sqrt().amin(1)
""",
        """
def nearest(f, bank):
    rows = f.movedim(1, -1)
    squared = rows.square().sum(-1, keepdim=True) - 2 * rows @ bank.T + bank.square().sum(1)
    return squared.amin(-1).clamp_min(0).sqrt()
""",
    ],
    "02.at_image_size": [
        """
def at_image_size(d, size, sigma):
    large = F.interpolate(d.unsqueeze(1), size=(size, size), mode="bilinear", align_corners=False)
    return gaussian_blur(large.squeeze(1), sigma)
""",
        """
def at_image_size(d, size, sigma):
    from scipy import ndimage

    large = [cv2.resize(one.numpy(), (size, size), interpolation=cv2.INTER_LINEAR) for one in d]
    return torch.from_numpy(np.stack([ndimage.gaussian_filter(one, sigma, mode="mirror", truncate=4) for one in large]))
""",
        """
def at_image_size(d, size, sigma):
    return torch.cat([gaussian_blur(enlarge(one[None, None], (size, size))[0], sigma) for one in d])
""",
    ],
}
WRONG = {
    "02.standardise": [
        (
            "def standardise(t, normal):\n    return (t - normal.mean(0)) / (normal.std(0) + 1e-6)",
            "each position has its own",
        ),
        (
            "def standardise(t, normal):\n    a = (0, 2, 3)\n"
            "    return (t - t.mean(a, keepdim=True)) / (t.std(a, keepdim=True) + 1e-8)",
            "Take both from `normal`",
        ),
        ("def standardise(t, normal):\n    return t - normal.mean((0, 2, 3), keepdim=True)", "not yet scaled"),
        (
            "def standardise(t, normal):\n    a = (0, 2, 3)\n"
            "    return (t - normal.mean(a, keepdim=True)) / (normal.var(a, keepdim=True) + 1e-6)",
            "divided by the variance",
        ),
        (
            "def standardise(t, normal):\n    a = (0, 2, 3)\n"
            "    return t / normal.std(a, keepdim=True)",
            "mean is still in it",
        ),
        (
            "def standardise(t, normal):\n    a = (1, 2, 3)\n"
            "    return (t - t.mean(a, keepdim=True)) / (t.std(a, keepdim=True) + 1e-6)",
            "runs over the channels",
        ),
        ("def standardise(t, normal):\n    return (t - normal.mean()) / normal.std()", "for all channels together"),
        (
            "def standardise(t, normal):\n    a = (2, 3)\n"
            "    return (t - t.mean(a, keepdim=True)) / (t.std(a, keepdim=True) + 1e-6)",
            "Every image has a mean",
        ),
        (
            "def standardise(t, normal):\n    a = (0, 2, 3)\n"
            "    return (t - normal.mean(a, keepdim=True)) / normal.std(a, keepdim=True)",
            "0 / 0 is NaN",
        ),
        (
            "def standardise(t, normal):\n    return (t - normal.mean((0, 2, 3))) / normal.std((0, 2, 3))",
            "In the line `return",
        ),
        (
            "def standardise(t, normal):\n    a = (0, 2, 3)\n    t -= normal.mean(a, keepdim=True)\n"
            "    t /= normal.std(a, keepdim=True) + 1e-6\n    return t",
            "changes what it was given",
        ),
    ],
    "02.nearest": [
        (
            "def nearest(f, bank):\n    rows = f.permute(0, 2, 3, 1).flatten(0, 2)\n"
            "    return torch.cdist(rows, bank).mean(1).view(len(f), *f.shape[2:])",
            "mean distance to all of the bank",
        ),
        (
            "def nearest(f, bank):\n    n, c, h, w = f.shape\n"
            "    return torch.cdist(f.reshape(n * h * w, c), bank).amin(1).reshape(n, h, w)",
            "mixed up",
        ),
        (
            "def nearest(f, bank):\n    rows = f.permute(0, 2, 3, 1).flatten(0, 2)\n"
            "    return (rows[:, None] - bank).square().sum(2).amin(1).view(len(f), *f.shape[2:])",
            "squared distance",
        ),
        (
            "def nearest(f, bank):\n    return torch.cdist(f.flatten(2).transpose(1, 2), bank).amin(2)",
            "height and width back",
        ),
        (
            "def nearest(f, bank):\n    return torch.cdist(f.flatten(2).mT, bank).flatten(1).amin(1)",
            "one number an image",
        ),
        (
            "def nearest(f, bank):\n    n, c, h, w = f.shape\n"
            "    rows = f.permute(2, 3, 0, 1).flatten(0, 2)\n"
            "    return torch.cdist(rows, bank).amin(1).reshape(n, h, w)",
            "in another order",
        ),
        (
            "def nearest(f, bank):\n    n, c, h, w = f.shape\n"
            "    return torch.cdist(f.transpose(1, 3).reshape(-1, c), bank).amin(1).reshape(n, h, w)",
            "changed places",
        ),
        (
            "def nearest(f, bank):\n    rows = F.normalize(f, dim=1).permute(0, 2, 3, 1)\n"
            "    return (1 - rows @ F.normalize(bank, dim=1).T).amin(3)",
            "cosine distance",
        ),
        ("def nearest(f, bank):\n    return torch.cdist(f.flatten(1), bank).amin(1)", "In the line"),
    ],
    "02.at_image_size": [
        ("def at_image_size(d, size, sigma):\n    return enlarge(d[:, None], (size, size))[:, 0]", "not smoothed"),
        (
            "def at_image_size(d, size, sigma):\n    soft = gaussian_blur(d, sigma)\n"
            "    return enlarge(soft[:, None], (size, size))[:, 0]",
            "enlarge first",
        ),
        (
            "def at_image_size(d, size, sigma):\n"
            "    return gaussian_blur(F.interpolate(d[:, None], (size, size))[:, 0], sigma)",
            "in blocks",
        ),
        (
            "def at_image_size(d, size, sigma):\n"
            "    large = F.interpolate(d[:, None], size, mode='bilinear', align_corners=True)\n"
            "    return gaussian_blur(large[:, 0], sigma)",
            "align_corners",
        ),
        (
            "def at_image_size(d, size, sigma):\n"
            "    return gaussian_blur(enlarge(d[:, None], (size, size))[:, 0], sigma).unsqueeze(1)",
            "an axis too many",
        ),
        (
            "def at_image_size(d, size, sigma):\n    return gaussian_blur(enlarge(d, (size, size)), sigma)",
            "In the line",
        ),
    ],
}
