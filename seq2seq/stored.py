"""Weights on disk, as they are read: sharded safetensors in fp32, fp16 or int8, checked first.

The index is that of huggingface_hub. A tensor that the model uses twice (tied embeddings) is stored
once, under its first name. Everything that a file claims is held against the shapes that the
configuration implies before memory is set aside for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError, safe_open

from seq2seq.config import ConfigError, ModelConfig, TransformerConfig, read_json
from seq2seq.parameters import Shape, parameter_count, parameter_shapes

__all__ = [
    "CheckpointError",
    "Storage",
    "StoredWeights",
    "count_parameters",
    "is_finite",
    "is_matrix",
    "open_weights",
    "read_slice",
]

Storage = Literal["fp32", "fp16", "int8"]

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_MAX_LAYERS = 256
_MAX_TABLE = 2**26  # elements of tables that are computed, not stored (sinusoids)
_MAX_PARAMETERS = 2**40


class CheckpointError(ValueError):
    """A checkpoint that cannot be written or read; names the file and what to do about it."""


@dataclass(frozen=True)
class _Stored:
    """What one tensor of a file must look like, or claims to."""

    dtype: str
    shape: Shape


def open_weights(folder: Path, config: ModelConfig, *, storage: Storage) -> StoredWeights:
    """Where the weights of the model that ``config`` describes are.

    Raises:
        CheckpointError: a file is missing, damaged or points outside the folder; a tensor is
            missing, unexpected or of the wrong shape; the sizes are absurd.
    """
    shapes = _shapes(folder, config)
    expected: dict[str, _Stored] = {}
    for name, shape in shapes.items():
        expected.update(_expected(name, shape, storage))
    files = _shards(folder)
    found = {name: path for path in files for name in _check_header(path, files[path], expected)}
    if missing := sorted(set(expected) - set(found)):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckpointError(
            f"{folder}: weight {missing[0]!r}{more} is missing from the files; copy the whole "
            "checkpoint folder again"
        )
    return StoredWeights(shapes, found, folder=folder)


class StoredWeights:
    """Weights that stay on disk until they are needed, one by one.

    Args:
        shapes: of all, by name.
        files: where each tensor is.
        folder: of the checkpoint, for messages.
    """

    positions: np.ndarray | None = None

    def __init__(
        self, shapes: Mapping[str, Shape], files: Mapping[str, Path], *, folder: Path
    ) -> None:
        self._shapes = shapes
        self._files = files
        self._folder = folder

    def read(self, name: str) -> np.ndarray:
        """A parameter in fp32.

        Raises:
            CheckpointError: it cannot be read, or is not finite.
        """
        value = read_slice(self._files[name], name)
        scale = self._scale(name, 0, None)
        if scale is not None:
            value = value.astype(np.float32) * scale[:, None]
        self._check(value, name)
        return value.astype(np.float32, copy=False)

    def read_rows(
        self, name: str, *, at_once: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """A matrix as it is stored, a few rows after the other: some ``at_once`` numbers.

        Yields:
            Rows in int8 and their scales, or rows in fp32 and None.

        Raises:
            CheckpointError: as :meth:`read`.
        """
        rows, width = self._shapes[name]
        step = max(1, at_once // max(1, width))
        for first in range(0, rows, step):
            end = min(first + step, rows)
            value = read_slice(self._files[name], name, first, end)
            scale = self._scale(name, first, end)
            self._check(value if scale is None else scale, name)
            yield value if scale is not None else value.astype(np.float32, copy=False), scale

    def _scale(self, name: str, first: int, end: int | None) -> np.ndarray | None:
        scale = f"{name}.scale"
        path = self._files.get(scale)
        return None if path is None else read_slice(path, scale, first, end)

    def _check(self, value: np.ndarray, name: str) -> None:
        if not is_finite(value):
            raise CheckpointError(
                f"{self._folder}: weight {name!r} holds NaN or infinity; the "
                "checkpoint is damaged or its training diverged: get or train it again"
            )


def read_slice(
    path: Path, name: str, first: int = 0, end: int | None = None, *, bfloat16: bool = False
) -> np.ndarray:
    """A tensor of a safetensors file, or some of its rows.

    Args:
        path, name: of it.
        first, end: rows; all of them without an end.
        bfloat16: it is in this format, which NumPy does not have: PyTorch makes fp32 of it.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:  # opened each time: what was read of a file counts as memory while it is open
        with safe_open(path, framework="pt" if bfloat16 else "np") as file:
            value = file.get_tensor(name) if end is None else file.get_slice(name)[first:end]
            found: np.ndarray = value.float().numpy() if bfloat16 else value
    except (ValueError, OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as safetensors ({_first_line(error)})"
        ) from error
    return found


def is_finite(value: np.ndarray) -> bool:
    """Whether there is neither NaN nor infinity; takes no memory, however large the array."""
    return not value.size or (math.isfinite(value.min()) and math.isfinite(value.max()))


def is_matrix(shape: Shape) -> bool:
    """Whether a parameter is stored in 8 bits, where storage is such."""
    return len(shape) == 2


def count_parameters(folder: Path, config: ModelConfig) -> int:
    """Trainable parameters of the model that ``config`` describes, without building it.

    Raises:
        CheckpointError: the sizes are absurd; names ``folder``.
    """
    _shapes(folder, config)
    return parameter_count(config)


def _shapes(folder: Path, config: ModelConfig) -> dict[str, Shape]:
    where = folder / "config.json"
    for key, value in config.to_dict().items():
        if key.endswith("_layers") and value > _MAX_LAYERS:
            raise CheckpointError(f"{where}: {key} is {value}, at most {_MAX_LAYERS} are read")
    if _computed(config) > _MAX_TABLE:
        raise CheckpointError(f"{where}: the model's position tables are too large to be built")
    try:
        shapes = parameter_shapes(config)
    except ConfigError as error:
        raise CheckpointError(f"{where}: {error}") from error
    if parameter_count(config) > _MAX_PARAMETERS:
        raise CheckpointError(f"{where}: the model is too large to be built")
    return shapes


def _computed(config: ModelConfig) -> int:
    """Elements of the tables that are not stored."""
    if isinstance(config, TransformerConfig) and config.positions != "learned":
        return config.max_positions * config.d_model
    return 0


def _expected(name: str, shape: Shape, storage: Storage) -> dict[str, _Stored]:
    if storage == "fp32":
        return {name: _Stored("F32", shape)}
    if storage == "fp16" or not is_matrix(shape):
        return {name: _Stored("F16", shape)}
    return {name: _Stored("I8", shape), f"{name}.scale": _Stored("F32", shape[:1])}


def _shards(folder: Path) -> dict[Path, frozenset[str] | None]:
    """Weight files with the tensor names that the index puts there (None without an index)."""
    index = folder / _INDEX
    if not index.exists():
        single = folder / _SINGLE
        if not single.is_file():
            raise CheckpointError(f"{single}: is missing; copy the whole checkpoint folder again")
        return {single: None}
    try:
        weight_map = read_json(index).get("weight_map")
    except ConfigError as error:
        raise CheckpointError(f"{error}; copy the whole checkpoint folder again") from error
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index}: has no 'weight_map'; copy the checkpoint folder again")
    names: dict[Path, set[str]] = {}
    for tensor, file in weight_map.items():
        if not _is_plain_shard(file):
            raise CheckpointError(
                f"{index}: {file!r} is not the name of a .safetensors file in this folder; "
                "do not use this checkpoint"
            )
        names.setdefault(folder / file, set()).add(tensor)
    for path in names:
        if not path.is_file():
            raise CheckpointError(f"{path}: is missing; copy the whole checkpoint folder again")
    return {path: frozenset(tensors) for path, tensors in names.items()}


def _is_plain_shard(file: object) -> bool:
    """Whether an index entry is a bare file name: no folders, drives or other suffixes."""
    plain = isinstance(file, str) and not set(file) & set("/\\:\0") and not file.startswith(".")
    return plain and str(file).endswith(".safetensors")


def _check_header(
    path: Path, listed: frozenset[str] | None, expected: Mapping[str, _Stored]
) -> list[str]:
    """Hold a file's header against the configuration; nothing is loaded yet. Gives its names."""
    try:
        with safe_open(path, framework="np") as file:
            found = {}
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                part = file.get_slice(name)
                found[name] = _Stored(str(part.get_dtype()), tuple(part.get_shape()))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: is damaged or cut short ({_first_line(error)}); copy the file again"
        ) from error
    if listed is not None and set(found) != listed:
        odd = min(set(found) ^ listed)
        raise CheckpointError(f"{path}: disagrees with {_INDEX} about {odd!r}; copy both again")
    for name, stored in found.items():
        if name not in expected:
            raise CheckpointError(
                f"{path}: weight {name!r} is unexpected; config.json belongs to another model"
            )
        if stored.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: weight {name!r} has the shape {list(stored.shape)}, config.json implies "
                f"{list(expected[name].shape)}"
            )
        if stored.dtype != expected[name].dtype:
            raise CheckpointError(
                f"{path}: weight {name!r} is stored as {stored.dtype}, config.json implies "
                f"{expected[name].dtype}"
            )
    return list(found)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
