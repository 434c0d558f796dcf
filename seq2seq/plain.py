"""Dataclasses and named tuples of numbers, texts and arrays to plain JSON types and back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from seq2seq.config import Settings

__all__ = ["from_plain", "to_plain"]


def to_plain(value: Any) -> Any:
    """Return plain JSON types; :func:`from_plain` gives an equal value back."""
    if isinstance(value, Settings):
        return value.to_dict()
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "data": [float(x) for x in value.ravel()]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: to_plain(item) for name, item in zip(value._fields, value, strict=True)}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    return value


def from_plain(hint: Any, value: Any, *, where: str) -> Any:
    """Read back a value of the type ``hint``; ``where`` names it in messages.

    Raises:
        ValueError: a missing or unknown key, a value of another kind, or a number that is not
            finite.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in inner:
            return None
        return from_plain(next(h for h in inner if h is not type(None)), value, where=where)
    if origin is tuple:
        _expect(where, value, list)
        return tuple(
            from_plain(inner[0], item, where=f"{where}[{i}]") for i, item in enumerate(value)
        )
    if origin in (dict, Mapping):
        _expect(where, value, dict)
        return {
            _whole_number(where, key): from_plain(inner[1], item, where=f"{where}.{key}")
            for key, item in value.items()
        }
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"{where}: is not one of {', '.join(map(repr, inner))}")
        return value
    if hint is np.ndarray:
        return _array(where, value)
    if isinstance(hint, type) and issubclass(hint, Settings):
        return hint.from_dict(value)
    if dataclasses.is_dataclass(hint) or hasattr(hint, "_fields"):
        return _record(hint, value, where=where)
    if hint is float:
        return _finite(where, value)
    _expect(where, value, hint)
    return value


def _record(hint: Any, value: Any, *, where: str) -> Any:
    _expect(where, value, dict)
    fields = _fields(hint)
    if unknown := sorted(map(str, set(value) - set(fields))):
        raise ValueError(f"{where}: unknown key {unknown[0]!r:.40}")
    for name, needed in fields.items():
        if needed and name not in value:
            raise ValueError(f"{where}: key {name!r} is missing")
    hints = _hints(hint)
    return hint(
        **{k: from_plain(hints[k], item, where=f"{where}.{k}") for k, item in value.items()}
    )


@cache
def _fields(kind: Any) -> dict[str, bool]:
    """Names, and whether they have to be given."""
    if not dataclasses.is_dataclass(kind):
        return {name: name not in kind._field_defaults for name in kind._fields}
    missing = dataclasses.MISSING
    return {f.name: f.default is f.default_factory is missing for f in dataclasses.fields(kind)}


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Resolved once for each class; a trace holds thousands of objects of one."""
    return get_type_hints(kind)


def _array(where: str, value: Any) -> np.ndarray:
    _expect(where, value, dict)
    if set(value) != {"shape", "data"}:
        raise ValueError(f"{where}: must hold 'shape' and 'data'")
    shape, data = value["shape"], value["data"]
    _expect(f"{where}.shape", shape, list)
    _expect(f"{where}.data", data, list)
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"{where}.shape: must hold whole numbers, none below 0")
    if math.prod(shape) != len(data):
        raise ValueError(f"{where}: {len(data)} values do not fill the shape")
    if not all(type(item) in (int, float) for item in data):
        raise ValueError(f"{where}.data: must hold numbers")
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(data, dtype=np.float32).reshape(shape)
    except OverflowError as error:
        raise ValueError(f"{where}.data: a number is not finite") from error
    if not np.isfinite(array).all():
        raise ValueError(f"{where}.data: a number is not finite")
    return array


def _finite(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}: expected float, found {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{where}: is not a finite number")
    return number


def _whole_number(where: str, key: Any) -> int:
    """A key of an object as the number that it was; ``int`` alone would read " 1_0 " too."""
    if not isinstance(key, str) or not key.isdecimal() or str(int(key)) != key:
        raise ValueError(f"{where}: key {key!r:.40} is no whole number")
    return int(key)


def _expect(where: str, value: Any, kind: type) -> None:
    """JSON tells ``true`` from 1, Python's ``isinstance`` does not."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where}: expected {kind.__name__}, found {type(value).__name__}")
