"""Where a model runs and in which number format."""

from __future__ import annotations

import torch

__all__ = ["DeviceError", "choose_device", "precision_name", "running_dtype"]


class DeviceError(ValueError):
    """A device that is not there; the message says what is."""


def choose_device(name: str | None = None) -> torch.device:
    """The device called ``name``; without a name the best one: CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: ``name`` is not ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, or this
            machine lacks it.
    """
    if name is None or name == "auto":
        return torch.device(_available()[0])
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not (kind == "cuda" and index.isdigit())):
        raise DeviceError(f"device {name!r} is not one of auto, cpu, cuda, cuda:N, mps")
    if kind not in _available() or (index and int(index) >= torch.cuda.device_count()):
        raise DeviceError(f"this machine has no {name}; it has {', '.join(_available())}")
    return torch.device(name)


def running_dtype(device: torch.device) -> torch.dtype:
    """Number format of the weights: half precision on CUDA (bf16 where it is known), else fp32."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def precision_name(dtype: torch.dtype) -> str:
    """``fp32``, ``fp16`` or ``bf16``."""
    names = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
    return names[dtype]


def _available() -> list[str]:
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]
