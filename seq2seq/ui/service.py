"""What the page may ask for: checked requests in, Translations out.

The service remembers models, never users: every request carries its whole state.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import unicodedata
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

from seq2seq import hub
from seq2seq.catalogue import is_repository
from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.hub import HubError, RepositoryId
from seq2seq.occlusion import Occlusion
from seq2seq.pool import TranslatorPool
from seq2seq.text.language import recognises
from seq2seq.translation import Translation
from seq2seq.translator import BusyError, Translator
from seq2seq.ui import wording
from seq2seq.ui.downloads import Downloads, Fetched
from seq2seq.ui.offers import Model, Offers
from seq2seq.ui.operator import Operator

__all__ = [
    "MAX_CHARACTERS",
    "MAX_SECONDS",
    "MAX_SENT",
    "STREAM_INTERVAL",
    "Model",
    "Request",
    "RequestError",
    "Service",
    "TooSlowError",
]

MAX_CHARACTERS = 500
"""Longest text that the page takes, in characters."""
MAX_SENT = 100_000
"""Characters that the page sends at most; what lies beyond is refused anyway."""
MAX_SECONDS = 60.0
"""Longest time that one translation may take."""
STREAM_INTERVAL = 0.04
"""Seconds between two partial translations when several people translate at once: more often
nobody sees, and every one takes time."""
_MOST_WORKERS = 4  # beyond, threads of one process wait for each other

_log = logging.getLogger(__name__)


class RequestError(ValueError):
    """A request that cannot be served; the message is one sentence for the person who asked."""


class TooSlowError(RuntimeError):
    """The translation took longer than :data:`MAX_SECONDS`."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One translation as the page asks for it.

    Attributes:
        text: what the person typed.
        model: name of an entry of :attr:`Service.models`.
        direction: source and target code with a hyphen, ``"fr-en"``.
        beam, length_penalty, n_best: as in :class:`seq2seq.config.SearchConfig`; more results
            than the beam is wide are cut down to the beam.
        max_length: most target pieces; 0 leaves it to the length of the source.
        sampling: draw at random instead of searching.
        prefix: pieces (ids) and texts that the translation has to begin with.
    """

    text: str
    model: str
    direction: str
    beam: int = 5
    length_penalty: float = 1.0
    n_best: int = 1
    max_length: int = 0
    sampling: SamplingConfig | None = None
    prefix: tuple[int | str, ...] = ()


@dataclass
class Service:
    """Translates with the embedded models and those of the Hub that may be used.

    Attributes:
        operator: which models may be used, and what they may cost.
        seconds: longest time for one translation.
        pool: keeps the models loaded; shared by everybody, holds nobody's text.
        offers: the model list.
        downloads: models on their way here.
    """

    operator: Operator = field(default_factory=Operator.from_environment)
    seconds: float = MAX_SECONDS
    pool: TranslatorPool = field(init=False)
    offers: Offers = field(init=False)
    downloads: Downloads = field(init=False)

    def __post_init__(self) -> None:
        workers = min(os.cpu_count() or 1, _MOST_WORKERS)
        self.pool = TranslatorPool(self.operator.memory_bytes, workers=workers)
        self.downloads = Downloads(max_bytes=self.operator.download_bytes)
        self.offers = Offers(self.operator)

    @property
    def models(self) -> dict[str, Model]:
        """The model list by name, the one to begin with first."""
        return self.offers.all()

    def prepare(self) -> None:
        """Download the operator's own models; what cannot be had is left out and logged."""
        for name in self.operator.models:
            try:
                for _ in self.downloads.wait(name):
                    pass
            except HubError as error:
                _log.warning("SEQ2SEQ_MODELS: %s", error)
        if self.operator.models:
            self.offers.refresh()

    def warm(self) -> threading.Thread:
        """Load the first model in the background, so that the first translation is fast."""
        worker = threading.Thread(target=self._warm, name="warm-up", daemon=True)
        worker.start()
        return worker

    def fetch(self, name: str) -> Iterator[Fetched]:
        """Download a model of the list that is not here yet; yields how far that is.

        Raises:
            HubError: it cannot be had; the message says why.
        """
        if name not in self.models or not is_repository(name) or self.pool.holds(name):
            return
        if hub.cached(name) is None:
            yield from self.downloads.wait(name)
            self.offers.refresh()

    def add(self, text: str) -> Iterator[Fetched]:
        """Download a model that somebody named, and load it.

        Raises:
            RequestError: only listed models may be used here.
            HubError: there is no such model, or it cannot be had.
            CheckpointError: it cannot be read.
        """
        name = str(RepositoryId.parse(text))
        model = self.models.get(name)
        if model is None and self.operator.hub != "any":
            raise RequestError(wording.HUB_CLOSED)
        if hub.cached(name) is None:
            yield from self.downloads.wait(name)
        self.pool.get(name)  # says what is wrong with it
        self.offers.add(name)

    def translate(
        self, request: Request, *, interval: float = STREAM_INTERVAL
    ) -> Iterator[Translation]:
        """Yield partial Translations while decoding, then the complete one with its trace.

        Args:
            request: what to translate, and how.
            interval: seconds between partial ones at least, when several people translate at once.

        Raises:
            RequestError: nothing to translate, too long, unknown model or direction; or too
                many people who want something at once.
            ValueError: the translator refuses the request; the message says why.
            TooSlowError: it took too long; partial Translations were yielded before.
        """
        source, target = self._check(request)
        translator = self._translator(request.model)
        deadline = time.monotonic() + self.seconds
        sampled = request.sampling is not None
        stream = translator.translate_stream(
            request.text,
            source=source,
            target=target,
            beam=1 if sampled else request.beam,
            length_penalty=request.length_penalty,
            max_length=request.max_length or None,
            n_best=request.n_best if sampled else min(request.n_best, request.beam),
            sample=request.sampling,
            prefix=request.prefix,
            trace=True,
            search=_by_source_length(translator),
            interval=interval,
        )
        # Closing the stream stops the search, whether the person or the clock ended it.
        with _crowded(), closing(cast(Generator[Translation, None, None], stream)):
            for translation in stream:
                yield translation
                if not translation.complete and time.monotonic() > deadline:
                    raise TooSlowError(wording.TOO_SLOW.format(seconds=self.seconds))

    def translate_all(self, request: Request, texts: Sequence[str]) -> list[Translation]:
        """Translate some texts together, in order, with attention but without their traces.

        Raises:
            RequestError, ValueError: as :meth:`translate`.
        """
        source, target = self._check_model(request)
        sampled = request.sampling is not None
        translator = self._translator(request.model)
        with _crowded():
            return translator.translate(
                list(texts),
                source=source,
                target=target,
                beam=1 if sampled else request.beam,
                length_penalty=request.length_penalty,
                max_length=request.max_length or None,
                n_best=1,
                sample=request.sampling,
                search=_by_source_length(translator),
            )

    def occlusion(self, translation: Translation) -> Occlusion:
        """What each source word changes, by the model that made the translation.

        Raises:
            RequestError: that model is not here.
        """
        name = translation.model.name
        if name not in self.models:
            raise RequestError(wording.NO_MODEL.format(name=name[:80]))
        return self._translator(name).occlusion(translation)

    def _translator(self, name: str) -> Translator:
        """A model of the list, downloaded and loaded if need be."""
        for _ in self.fetch(name):
            pass
        return self.pool.get(name)

    def _check(self, request: Request) -> tuple[str, str]:
        """The direction of a request that can be tried."""
        if all(_unseen(character) for character in request.text):
            raise RequestError(wording.EMPTY)
        if len(request.text) > MAX_CHARACTERS:
            count = f"{len(request.text):,}" + (" or more" if len(request.text) >= MAX_SENT else "")
            raise RequestError(wording.TOO_LONG.format(count=count, limit=MAX_CHARACTERS))
        return self._check_model(request)

    def _check_model(self, request: Request) -> tuple[str, str]:
        models = self.models
        if not models:
            raise RequestError(wording.NO_MODELS)
        model = models.get(request.model)
        if model is None:
            raise RequestError(wording.NO_MODEL.format(name=request.model[:80]))
        pair = model.pair(request.direction)
        if pair is None:
            raise RequestError(f"{model.name} cannot translate {request.direction[:20]}.")
        return pair

    def _warm(self) -> None:
        try:
            first = next(iter(self.models.values()), None)
            if first is not None and not first.remote:
                self.pool.get(first.name)
                recognises("en")  # reads what tells languages apart
        except Exception:
            # Whoever asks for the model will get the reason as an answer.
            _log.exception("the first model could not be loaded in advance")


@contextmanager
def _crowded() -> Iterator[None]:
    """Say in the page's words that a translator has too much to do."""
    try:
        yield
    except BusyError as error:
        raise RequestError(wording.CROWDED) from error


def _by_source_length(translator: Translator) -> SearchConfig:
    """The model's settings, but for a longest output that is the same for all sentences."""
    return replace(translator.info.search, max_length=None)


def _unseen(character: str) -> bool:
    """A space, a control or format character: nothing that could be translated."""
    return unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp")
