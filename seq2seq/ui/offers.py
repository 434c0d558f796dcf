"""Which models the page offers: those that are here, and those of the Hub that can be."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from seq2seq import hub, languages
from seq2seq.catalogue import embedded
from seq2seq.checkpoint import Checkpoint, CheckpointError, describe
from seq2seq.config import SearchConfig
from seq2seq.formats import read_model
from seq2seq.hub import HubError
from seq2seq.ui import wording
from seq2seq.ui.operator import Listed, Operator

__all__ = ["Model", "Offers", "language_names", "names_here"]

_PREFERRED = ("fr-en-transformer",)
_MOST_NAMED = 6
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """One entry of the model list.

    Attributes:
        name: what it is loaded by.
        line: what it is, in one line.
        directions: pairs of source and target language.
        search: its tuned settings, the page's defaults.
        remote: it has to be downloaded first.
    """

    name: str
    line: str
    directions: tuple[tuple[str, str], ...]
    search: SearchConfig
    remote: bool = False

    @staticmethod
    def of(name: str, checkpoint: Checkpoint) -> Model:
        """The entry of a model that is here."""
        return Model(
            name=name,
            line=f"{describe(checkpoint.model)}; {_named(checkpoint.directions)}",
            directions=checkpoint.directions,
            search=checkpoint.search,
        )

    @staticmethod
    def listed(entry: Listed) -> Model:
        """The entry of a model that is still on the Hub."""
        return Model(
            name=entry.id,
            line=wording.REMOTE_MODEL.format(directions=_named(entry.directions)),
            directions=entry.directions,
            search=SearchConfig(beam=4),
            remote=True,
        )

    def pair(self, direction: str) -> tuple[str, str] | None:
        """Source and target of ``"en-pt-BR"``, None if the model does not translate so."""
        known = {"-".join(pair): pair for pair in self.directions}
        return known.get(direction)


class Offers:
    """The model list. What is on this disk is looked for once and after every download.

    Args:
        operator: what may be offered.
    """

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._lock = threading.Lock()
        self._own: dict[str, Model] = {}
        self._hub: dict[str, Model] = {}
        self._added: list[str] = []
        self.refresh()

    def all(self) -> dict[str, Model]:
        """Every model by name: the one to begin with first, those of the Hub last."""
        with self._lock:
            own, others = dict(self._own), dict(self._hub)
        if not own:
            own = {name: Model.of(name, info) for name, info in embedded().items()}
        first = [name for name in (*self._operator.models, *_PREFERRED) if name in own]
        order = dict.fromkeys((*first, *sorted(own)))
        return {name: own[name] for name in order} | {
            n: m for n, m in others.items() if n not in own
        }

    def add(self, name: str) -> None:
        """Offer a model that was named and is here, at whatever revision."""
        with self._lock:
            if name not in self._added:
                self._added.append(name)
        self.refresh()

    def refresh(self) -> None:
        """Look anew for what lies in the Hub's cache."""
        own = {name: model for name in self._operator.models if (model := _here(name))}
        found: dict[str, Model] = {}
        for entry in self._operator.listed:
            found[entry.id] = _here(entry.id) or Model.listed(entry)
        if self._operator.hub == "any":
            for name in (*hub.cached_names(), *self._added):
                if name not in found and (model := _here(name)):
                    found[name] = model
        here_first = dict(sorted(found.items(), key=lambda item: item[1].remote))
        with self._lock:
            self._own, self._hub = own, here_first


def names_here(models: Mapping[str, Model]) -> list[str]:
    """Names of the models that need no download."""
    return [name for name, model in models.items() if not model.remote]


def language_names(models: Iterable[Model], among: Sequence[str]) -> dict[str, dict[str, str]]:
    """English names of the languages that models speak, with their names in other languages.

    Args:
        models: of the list.
        among: codes of the other languages.
    """
    codes = {code for model in models for pair in model.directions for code in pair}
    return {
        languages.language_name(code): {
            other: languages.language_name(code, among=other) for other in among
        }
        for code in sorted(codes)
    }


def _named(directions: tuple[tuple[str, str], ...]) -> str:
    """The directions, or for models of many languages the first of them and how many."""
    names = [wording.direction_name(*pair) for pair in directions]
    more = f" … ({len(names)})" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _here(name: str) -> Model | None:
    """The entry of a model that is completely in the cache and can be read."""
    try:
        folder = hub.cached(name)
        return None if folder is None else Model.of(name, _read(folder))
    except (HubError, CheckpointError) as error:
        _log.warning("%s", error)
    except Exception:  # one odd model must not take the others away
        _log.exception("%s cannot be offered", name)
    return None


@cache
def _read(folder: Path) -> Checkpoint:
    return read_model(folder)  # a commit's folder never changes
