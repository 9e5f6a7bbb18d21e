"""The same on a GPU: skipped, with the reason, where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mrkd_edu.data import AnomalyFolder
from mrkd_edu.judging.detector import Baseline, Variant
from mrkd_edu.model import BASELINES, MRKD, VARIANTS
from mrkd_edu.recipe import Recipe
from mrkd_edu.runtime.hardware import quick_dtype
from mrkd_edu.study.benchmark import detector
from mrkd_edu.study.copying import answers, copying_cost, read_pairs
from mrkd_edu.study.evaluate import evaluate
from mrkd_edu.study.prepare import Plan
from mrkd_edu.toy import make_toy
from mrkd_edu.train import fit

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU that torch can see"),
]
RECIPE = Recipe(steps=12, batch=4, warmup=2)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(0, 255, (8, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_learns(variant: Variant, images: torch.Tensor) -> None:
    model = MRKD(variant=variant, size=64)
    history = fit(model, images, recipe=RECIPE, device="cuda", progress=False)
    assert model.device.type == "cuda"
    assert np.mean(history.loss[-3:]) < np.mean(history.loss[:3])


def test_half_precision_trains_with_scaled_gradients(images: torch.Tensor) -> None:
    model = MRKD(variant="rd", size=64, precision="fp16")
    history = fit(model, images, recipe=RECIPE, device="cuda", progress=False)
    assert np.mean(history.loss[-3:]) < np.mean(history.loss[:3])


def test_maps_are_those_of_the_cpu(images: torch.Tensor) -> None:
    model = MRKD(variant="mrkd", size=64, precision="fp32")
    on_cpu = model(images)
    on_gpu = model.to("cuda")(images).cpu()
    torch.testing.assert_close(on_gpu, on_cpu, atol=0.02, rtol=0)  # TF32 convolutions round to ten bits


def test_training_goes_on_from_its_checkpoint(images: torch.Tensor, tmp_path: Path) -> None:
    whole = fit(MRKD(variant="mrkd", size=64, precision="fp32"), images, recipe=RECIPE, device="cuda", progress=False)

    def interrupt(moment: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(
            MRKD(variant="mrkd", size=64, precision="fp32"),
            images,
            recipe=RECIPE,
            device="cuda",
            checkpoint=tmp_path / "c.safetensors",
            progress=False,
            callback=interrupt,
        )
    model = MRKD(variant="mrkd", size=64, precision="fp32")
    resumed = fit(
        model, images, recipe=RECIPE, device="cuda", checkpoint=tmp_path / "c.safetensors", resume=True, progress=False
    )
    assert len(resumed.loss) == len(whole.loss)
    np.testing.assert_allclose(resumed.loss, whole.loss, rtol=0.05)  # cuDNN rounds differently in every run


def test_the_quick_format_is_half_as_wide() -> None:
    assert quick_dtype(torch.device("cuda")) in (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("variant", [*VARIANTS, *BASELINES])
def test_a_run_is_evaluated_as_on_the_cpu(variant: Variant | Baseline, tmp_path: Path) -> None:
    """From images to every number, leakage and the cost of copying included, on either device."""
    data = AnomalyFolder(make_toy(tmp_path, "fabric", train=16, test_good=3, test_defective=6, size=64))
    recipe = replace(RECIPE, distance="mahalanobis")
    plan = Plan(variant, size=64, recipe=recipe, precision="fp32")
    there, here = detector(data, plan, "cuda"), detector(data, plan, "cpu")
    if not isinstance(there, MRKD):  # nothing was trained: the two are the same but for rounding
        a, b = (evaluate(model, data, progress=False) for model in (there, here))
        torch.testing.assert_close(torch.from_numpy(a.score), torch.from_numpy(b.score), atol=0.05, rtol=0.05)
        return
    on_gpu = evaluate(there, data, progress=False)
    pairs = read_pairs(data, 64)
    cost = copying_cost(answers(there, pairs), pairs)
    on_cpu = evaluate(there.to("cpu"), data, progress=False)
    torch.testing.assert_close(torch.from_numpy(on_gpu.score), torch.from_numpy(on_cpu.score), atol=0.05, rtol=0.05)
    assert on_gpu.leakage == pytest.approx(on_cpu.leakage, abs=0.02)
    assert cost.leakage == pytest.approx(on_gpu.leakage, abs=0.02)
