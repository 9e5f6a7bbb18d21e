"""How long each variant trains here, side by side in one run: the workshop recipe on 120 slabs, twice, the shorter one.

    python benchmarks/variant_times.py
"""

from __future__ import annotations

import argparse

import torch

from mrkd_edu.data import AnomalyFolder
from mrkd_edu.model import VARIANTS
from mrkd_edu.study.evaluate import evaluate
from mrkd_edu.study.prepare import Plan
from mrkd_edu.study.run import run
from mrkd_edu.toy import cached_toy


def main() -> None:
    """Train, evaluate, print a row for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2, help="trainings of each variant; the shortest counts")
    repeats = parser.parse_args().repeats
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}, torch {torch.__version__}")
    data = AnomalyFolder(cached_toy("surface", train=120, test_good=40, test_defective=60))
    names = ("variant", "seconds", "image AUROC", "pixel AUROC", "AUPRO", "leakage", "ms an image")
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for variant in VARIANTS:
        times = []
        for _ in range(repeats):
            model = run(data, Plan(variant), cache=False, progress=False)
            times.append(model.settings.history["seconds"])
        m = evaluate(model, data, progress=False).metrics
        numbers = " | ".join(f"{m[name]:.3f}" for name in ("image_auroc", "pixel_auroc", "aupro", "leakage"))
        print(f"| `{variant}` | {min(times):.1f} | {numbers} | {m['ms_per_image']:.1f} |", flush=True)


if __name__ == "__main__":
    main()
