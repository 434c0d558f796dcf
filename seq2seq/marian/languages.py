"""Which languages a Marian model speaks: from its vocabulary, its tokenizer, its card, its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from seq2seq.config import ConfigError, read_json
from seq2seq.languages import is_group, is_language, standard_code
from seq2seq.stored import CheckpointError

__all__ = ["MarianLanguages", "read_languages"]

_TAG = re.compile(r">>([A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,3})<<")
_PAIR = re.compile(r"opus-?mt.*?-([A-Za-z_]+)-([A-Za-z_]+)(?:-[\d-]+)?$")
_TOKENIZER = "tokenizer_config.json"
_CARD = "README.md"
_LARGEST_CARD = 2**16
_MOST_DIRECTIONS = 2000
_LONGEST_CODE = 32


@dataclass(frozen=True, kw_only=True)
class MarianLanguages:
    """The languages of a model.

    Attributes:
        sources, targets: codes.
        tags: for several target languages, the piece that names each of them in the source.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    tags: dict[str, str]

    @property
    def all(self) -> tuple[str, ...]:
        """Every code once, sources first."""
        return tuple(dict.fromkeys((*self.sources, *self.targets)))

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """Every source with every other target."""
        return tuple((s, t) for s in self.sources for t in self.targets if s != t)


def read_languages(folder: Path, *, name: str, pieces: Iterable[str]) -> MarianLanguages:
    """Find out what a model speaks.

    Targets are the vocabulary's ``>>fra<<`` pieces, or what ``tokenizer_config.json`` or the
    model's name says (``opus-mt-en-de``). Sources are what these say too; where they name a
    group (``opus-mt-ROMANCE-en``), the languages of the model card that are no targets.

    Raises:
        CheckpointError: nothing says what the model translates.
    """
    tags: dict[str, str] = {}
    for piece in pieces:
        if found := _TAG.fullmatch(piece):
            tags.setdefault(standard_code(found[1]), piece)
    source, target = _pair(folder, name)
    simple = [code is not None and is_language(code) for code in (source, target)]
    listed = () if simple[0] and (simple[1] or tags) else _listed_in_card(folder)
    targets = tuple(tags) or _members(target, listed, but=_members(source, (), but=()))
    sources = _members(source, listed, but=targets)
    if len(sources) * len(targets) > _MOST_DIRECTIONS:  # of any language, nobody could choose
        sources = ("mul",)
    if not sources or not targets or not any(s != t for s in sources for t in targets):
        raise CheckpointError(
            f"{folder}: nothing says which languages the model translates; name them as "
            f"source_lang and target_lang in {_TOKENIZER}"
        )
    return MarianLanguages(sources=sources, targets=targets, tags=tags)


def _members(code: str | None, listed: Sequence[str], *, but: Sequence[str]) -> tuple[str, ...]:
    """A language, or those of a group as far as the card lists them."""
    if code is not None and is_language(code):
        return (code,)
    members = tuple(one for one in listed if is_language(one) and one not in but)
    return members or ((code,) if code is not None and is_group(code) else ())


def _pair(folder: Path, name: str) -> tuple[str | None, str | None]:
    """Source and target as the tokenizer's settings or the model's name call them."""
    said: list[object] = [None, None]
    if (path := folder / _TOKENIZER).is_file():
        try:
            values = read_json(path)
        except ConfigError as error:
            raise CheckpointError(str(error)) from error
        said = [values.get("source_lang"), values.get("target_lang")]
    named = _PAIR.search(name)
    return tuple(  # type: ignore[return-value]
        standard_code(one)
        if isinstance(one, str) and is_language(standard_code(one))
        else standard_code(named[side])
        if named
        else None
        for side, one in enumerate(said, start=1)
    )


def _listed_in_card(folder: Path) -> tuple[str, ...]:
    """Languages that the front matter of the model card lists, in whatever order.

    A card is a stranger's: one that is no plain YAML only costs the list.
    """
    path = folder / _CARD
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_CARD:
            return ()
        front = path.read_text(encoding="utf-8").split("---\n")
        block = front[1] if len(front) > 2 and not front[0].strip() else ""
        if re.search(r"(^|[\s,\[{:-])[&*]|<<", block):  # names for parts can multiply them
            return ()
        values = yaml.safe_load(block)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return ()
    said = values.get("language") if isinstance(values, dict) else None
    codes = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    short = [code for code in codes if isinstance(code, str) and len(code) <= _LONGEST_CODE]
    return tuple(dict.fromkeys(map(standard_code, short)))
