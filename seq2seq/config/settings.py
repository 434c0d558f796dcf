"""Settings as frozen, validated dataclasses that read and write JSON.

Every settings object refuses unknown keys and values out of range with a
:class:`ConfigError` that names the key, so that a typing mistake in a file never
becomes a silent default.
"""

from __future__ import annotations

import dataclasses
import json
import math
import reprlib
import sys
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

__all__ = ["ConfigError", "Settings", "read_json"]

_LONGEST_SHOWN = 80  # characters of a value in a message


class ConfigError(ValueError):
    """A setting that cannot be used; the message names the key and what is accepted."""


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object from ``path``.

    Raises:
        ConfigError: the file is missing, not UTF-8, not JSON, not an object, or says a key twice.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repetition)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # also a number with too many digits
        raise ConfigError(f"{path}: is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must hold a JSON object")
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that is said twice, ``json`` alone would silently drop the first value."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key[:40]!r} occurs twice")
        found[key] = value
    return found


class Settings:
    """Shared behaviour of all settings: from and to plain dictionaries, with checks."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; :meth:`from_dict` gives an equal object back."""
        return {
            f.name: _plain(getattr(self, f.name))
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build the settings from plain JSON types.

        Raises:
            ConfigError: an unknown key, a wrong type, or a value out of range.
        """
        name = cls.__name__
        if not isinstance(values, dict):
            raise ConfigError(f"{name}: must be a JSON object, not {type(values).__name__}")
        cls._refuse_unknown(values)
        kind: Any = cls
        missing = [
            f.name
            for f in _fields(kind).values()
            if f.name not in values
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise ConfigError(f"{name}: key {missing[0]!r} is missing")
        return cls(**cls._checked(values))

    def changed(self, **values: Any) -> Self:
        """The same but for some values, of plain JSON types, which alone are checked.

        Raises:
            ConfigError: an unknown key, a wrong type, or a value out of range.
        """
        self._refuse_unknown(values)
        return dataclasses.replace(self, **self._checked(values))  # type: ignore[type-var]

    @classmethod
    def _checked(cls, values: dict[str, Any]) -> dict[str, Any]:
        kind: Any = cls
        fields, hints = _fields(kind), _hints(kind)
        return {
            key: _field(cls.__name__, fields[key], hints[key], value)
            for key, value in values.items()
        }

    @classmethod
    def _refuse_unknown(cls, values: dict[str, Any]) -> None:
        kind: Any = cls
        fields = _fields(kind)
        unknown = sorted(values.keys() - fields.keys())
        if unknown:
            known = ", ".join(sorted(fields))
            raise ConfigError(f"{cls.__name__}: unknown key {unknown[0]!r} (known: {known})")

    def _require(self, condition: bool, key: str, expected: str) -> None:
        if not condition:
            value = _shown(getattr(self, key))
            raise ConfigError(f"{type(self).__name__}.{key}: {value} is not {expected}")


@cache
def _fields(kind: Any) -> dict[str, dataclasses.Field[Any]]:
    return {f.name: f for f in dataclasses.fields(kind)}


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Resolved once for each class: every request builds settings."""
    return get_type_hints(kind)


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _shown(value: Any) -> str:
    """A value for people: lists and settings as they stand in a file."""
    plain = _plain(value)
    return _as_json(plain) if isinstance(plain, list | dict) else repr(value)


def _as_json(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # from a program, or absurdly deep
        return reprlib.repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


def _field(owner: str, field: dataclasses.Field[Any], hint: Any, value: Any) -> Any:
    """Check the value of a field, which may say itself how it is written (``form``)."""
    where = f"{owner}.{field.name}"
    try:
        return _typed(where, hint, value)
    except ConfigError as error:
        if (form := field.metadata.get("form")) is None:
            raise
        raise ConfigError(f"{where}: must be {form}, not {_as_json(value)}") from error


def _typed(where: str, hint: Any, value: Any) -> Any:
    """Check ``value`` against a field's type; build nested settings and tuples."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        return _typed(where, next(a for a in get_args(hint) if a is not type(None)), value)
    if origin is Literal:
        if value not in get_args(hint):
            choices = ", ".join(repr(choice) for choice in get_args(hint))
            raise ConfigError(f"{where}: {reprlib.repr(value)} is not one of {choices}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where}: must be a list")
        inner = get_args(hint)
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) != len(value):
            raise ConfigError(f"{where}: must hold {len(kinds)} values, not {len(value)}")
        return tuple(_typed(where, kind, v) for kind, v in zip(kinds, value, strict=True))
    if isinstance(hint, type) and issubclass(hint, Settings):
        return value if isinstance(value, hint) else hint.from_dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < sys.float_info.max else math.inf
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where}: {reprlib.repr(value)} is not of type {hint.__name__}")
    if hint is float and not math.isfinite(value):
        raise ConfigError(f"{where}: {value!r} is not a finite number")
    return value
