"""Where a model runs and in which number format.

PyTorch is asked about devices only on machines that may have others than the CPU: loading it takes
longer than loading a model.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["DeviceError", "choose_device", "precision_name", "running_dtype"]

_GPUS = (
    "/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia", "/sys/module/nvidia", "/dev/nvmap",
    "/dev/dxg", "/dev/kfd",
)  # fmt: skip


class DeviceError(ValueError):
    """A device that is not there; the message says what is."""


def choose_device(name: str | None = None) -> str:
    """The device called ``name``; without a name the best one: CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: ``name`` is not ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, or this
            machine lacks it.
    """
    if name is None or name == "auto":
        return _available()[0]
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not (kind == "cuda" and index.isdigit())):
        raise DeviceError(f"device {name!r} is not one of auto, cpu, cuda, cuda:N, mps")
    if kind == "cpu":
        return name
    if kind not in _available(asked=True) or (index and int(index) >= _cuda_devices()):
        raise DeviceError(f"this machine has no {name}; it has {', '.join(_available(asked=True))}")
    return name


def running_dtype(device: torch.device) -> torch.dtype:
    """Number format of the weights: half precision on CUDA (bf16 where it is known), else fp32."""
    import torch  # noqa: PLC0415

    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def precision_name(dtype: torch.dtype) -> str:
    """``fp32``, ``fp16`` or ``bf16``."""
    import torch  # noqa: PLC0415

    names = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
    return names[dtype]


def _available(*, asked: bool = False) -> list[str]:
    """The devices, the best first; PyTorch is asked wherever it may know of another."""
    if not asked and not _may_have_others():
        return ["cpu"]
    import torch  # noqa: PLC0415

    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def _cuda_devices() -> int:
    import torch  # noqa: PLC0415

    return torch.cuda.device_count()


def _may_have_others() -> bool:
    """Whether there may be a GPU that PyTorch can use; True wherever that is not sure."""
    if sys.modules.get("torch") or not sys.platform.startswith("linux"):
        return True
    if not any(map(os.path.exists, _GPUS)):
        return False
    spec = find_spec("torch")
    try:  # a PyTorch without CUDA says so in a file
        text = (Path((spec and spec.origin) or "").parent / "version.py").read_text("utf-8")
    except OSError:
        return True
    return "cuda: Optional[str] = None" not in text or "hip: Optional[str] = None" not in text
