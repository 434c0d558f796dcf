"""The files in which Marian's tensors lie: safetensors, in shards or not, or a pickle."""

from __future__ import annotations

import reprlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from seq2seq.config import ConfigError, read_json
from seq2seq.stored import CheckpointError, read_slice

__all__ = ["StoredTensor", "open_tensors"]

_SAFE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLE = "pytorch_model.bin"
_FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor on disk.

    Attributes:
        shape: of it.
        read: gives it or, from one row to another, a part; in its own number format, or fp32 where
            NumPy has no such.
    """

    shape: tuple[int, ...]
    read: Callable[..., np.ndarray]


def open_tensors(folder: Path) -> dict[str, StoredTensor]:
    """All tensors of a folder by name; none is read yet.

    Of ``pytorch_model.bin``, which is a pickle, only tensors are believed.

    Raises:
        CheckpointError: there are none, or they cannot be read.
    """
    if (folder / _INDEX).is_file():
        files = _shards(folder / _INDEX)
    else:
        files = [path for name in (_SAFE, _PICKLE) if (path := folder / name).is_file()][:1]
    if not files:
        raise CheckpointError(f"{folder}: has neither {_SAFE} nor {_PICKLE}; get it again, whole")
    tensors: dict[str, StoredTensor] = {}
    for path in files:
        try:
            found = _open_pickle(path) if path.name == _PICKLE else _open_safe(path)
        except CheckpointError:
            raise
        except Exception as error:  # a damaged file can end in nearly anything
            raise _damaged(path) from error
        tensors.update(found)
    return tensors


def _open_safe(path: Path) -> dict[str, StoredTensor]:
    found = {}
    with safe_open(path, framework="np") as file:
        for name in file.keys():  # noqa: SIM118  (not a mapping)
            part = file.get_slice(name)
            kind = str(part.get_dtype())
            if kind not in _FLOATS:
                raise _odd(path, name)
            read = partial(read_slice, path, name, bfloat16=kind == "BF16")
            found[name] = StoredTensor(tuple(part.get_shape()), read)
    return found


def _open_pickle(path: Path) -> dict[str, StoredTensor]:
    import torch  # noqa: PLC0415  (reads pickles; other folders do without it)

    # Files of before 2020 are no zip archives and cannot be mapped into memory.
    mapped = zipfile.is_zipfile(path)
    loaded = dict(torch.load(path, map_location="cpu", weights_only=True, mmap=mapped))
    found = {}
    for name, value in loaded.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise _odd(path, name)
        found[name] = StoredTensor(tuple(value.shape), partial(_rows, value))
    return found


def _rows(value: Any, first: int = 0, end: int | None = None) -> np.ndarray:
    part = value if end is None else value[first:end]
    rows: np.ndarray = part.detach().float().numpy()
    return rows


def _is_plain(value: object) -> bool:
    """Whether something is a tensor that holds each of its numbers, which are floating-point."""
    import torch  # noqa: PLC0415

    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_nested
        and value.is_floating_point()
        and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    )


def _odd(path: Path, name: object) -> CheckpointError:
    return CheckpointError(
        f"{path}: {reprlib.repr(name)} is no plain tensor of floating-point numbers"
    )


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(f"{path}: is damaged, or holds more than tensors; get it again")


def _shards(index: Path) -> list[Path]:
    try:
        weight_map = read_json(index).get("weight_map")
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    said = list(weight_map.values()) if isinstance(weight_map, dict) else []
    for name in said:
        plain = isinstance(name, str) and not set(name) & set("/\\:\0")
        if not plain or name.startswith(".") or not name.endswith(".safetensors"):
            shown = reprlib.repr(name)
            raise CheckpointError(f"{index}: {shown} is not the name of a file in this folder")
    names = set(said)
    for name in names:
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index.parent / name}: is missing; get the folder again")
    return sorted(index.parent / name for name in names)
