"""Which device, and which number format it is quick in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Format = Literal["fp32", "bf16", "fp16"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


def pick_device(device: str = "auto") -> torch.device:
    """`"auto"` is the GPU where there is one, else the CPU; or `"cpu"`, `"cuda"`, `"cuda:1"`.

    Raises:
        ValueError: unknown device, or a GPU was asked for and there is none.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"Unknown device {device!r}. Choose one of: auto, cpu, cuda.") from error
    if chosen.type not in ("cpu", "cuda"):
        raise ValueError(f"Device {device!r} is not supported here. Choose one of: auto, cpu, cuda.")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("This machine has no CUDA GPU that torch can see. Use --device cpu (or auto).")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"There is no GPU {chosen.index} here, only {torch.cuda.device_count()}, counted from 0. Use --device cuda."
        )
    return chosen


def quick_dtype(device: torch.device) -> torch.dtype:
    """The format with the best speed that still trains: bf16 where the hardware computes in it, else fp32.

    Decided from what the processor says of itself, not by a stopwatch, so that the same machine always gives the
    same answer. A CPU without bf16 instructions emulates them, slower than fp32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        for feature in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            if getattr(torch.cpu, feature, lambda: False)():
                return torch.bfloat16
    return torch.float32


def number_format(device: torch.device, precision: Precision = "auto") -> torch.dtype:
    """The format that the networks compute in: the quick one, or the one on request.

    Raises:
        ValueError: unknown precision.

    Example:
        >>> number_format(torch.device("cpu"), "fp32")
        torch.float32
    """
    formats = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision != "auto" and precision not in formats:
        raise ValueError(f"Unknown precision {precision!r}. Choose one of: auto, {', '.join(formats)}.")
    return quick_dtype(device) if precision == "auto" else formats[precision]


def format_name(device: torch.device, precision: Precision = "auto") -> Format:
    """The name of `number_format(device, precision)`.

    Example:
        >>> format_name(torch.device("cpu"), "bf16")
        'bf16'
    """
    names: dict[torch.dtype, Format] = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
    return names[number_format(device, precision)]


def autocast(device: torch.device, precision: Precision = "auto") -> AbstractContextManager:
    """Context in which torch computes in `number_format(device, precision)`."""
    dtype = number_format(device, precision)
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)
