"""Text in, Translation out: one model, loaded once, callable from many threads.

translator = Translator.load("fr-en-transformer")
print(translator.translate("Le chat dort.").text)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Self, cast, overload

from seq2seq import kernels
from seq2seq.catalogue import is_repository, locate
from seq2seq.checkpoint import Checkpoint, LoadedCheckpoint, describe
from seq2seq.config import SamplingConfig, SearchConfig
from seq2seq.device import choose_device
from seq2seq.document import Writer
from seq2seq.engine import Engine
from seq2seq.formats import load_model
from seq2seq.inference import Precision
from seq2seq.occlusion import Occlusion, leave_out
from seq2seq.parameters import parameter_count
from seq2seq.request import (
    MAX_CHARACTERS,
    MAX_PIECES,
    BusyError,
    Prefix,
    Reader,
    Request,
    TextTooLongError,
    TranslatorError,
    checked,
    choose_direction,
    search_settings,
)
from seq2seq.runner import Runner
from seq2seq.text.encoding import Encoding
from seq2seq.translation import ModelCardInfo, Translation

__all__ = [
    "BATCH_TOKENS",
    "BATCH_TOKENS_GPU",
    "MAX_CHARACTERS",
    "MAX_PIECES",
    "MAX_WAIT",
    "MAX_WAITING",
    "BusyError",
    "TextTooLongError",
    "Translator",
    "TranslatorError",
]

BATCH_TOKENS = 2500
"""Source pieces times beam of one batch on a CPU, where larger ones leave its caches."""
BATCH_TOKENS_GPU = 40_000
"""The same on a GPU."""
MAX_WAITING = 256
"""Requests that wait for a translator at most; more are refused."""
MAX_WAIT = 60.0
"""Seconds that a request waits at most before it is refused."""


class Translator:
    """Translates with one checkpoint.

    Safe to call from many threads at once: weights are only read, every call has its own state.
    Calls that come while others run wait for their turn and are then decoded together, as many as
    fit into a batch; each gets what it would get alone. A lone call never waits.

    Args:
        checkpoint: loaded on the CPU.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; None is ``auto``.
        batch_tokens: source pieces times beam per batch when many texts are translated; None
            takes :data:`BATCH_TOKENS` or :data:`BATCH_TOKENS_GPU`.
        workers: batches that run at the same time: that many of calls with one text, and that
            many of lists of texts.
        precision: on a CPU, ``int8`` or ``fp32``; None for the fastest that the machine has.
        max_waiting: calls that wait at most; more get a :class:`BusyError` at once.
        max_wait: seconds until a call that still waits gets one; None for as long as it takes.

    Raises:
        DeviceError: this machine lacks the device.
        TranslatorError: a number out of range.
    """

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        *,
        device: str | None = None,
        batch_tokens: int | None = None,
        workers: int = 1,
        precision: Precision | None = None,
        max_waiting: int = MAX_WAITING,
        max_wait: float | None = MAX_WAIT,
    ) -> None:
        if batch_tokens is not None and batch_tokens < 1:
            raise TranslatorError(f"batch_tokens is {batch_tokens}, it must be at least 1")
        if not 1 <= workers <= 1024:
            raise TranslatorError(f"workers is {workers}, it must be between 1 and 1024")
        if max_waiting < 0:
            raise TranslatorError(f"max_waiting is {max_waiting}, it must be at least 0")
        if max_wait is not None and not max_wait >= 0:
            raise TranslatorError(f"max_wait is {max_wait}, it must be at least 0")
        self._info = checkpoint.info
        self._search = checked(checkpoint.info.search)
        self._text = checkpoint.text
        self._runner = Runner(checkpoint, device=choose_device(device), precision=precision)
        config = checkpoint.info.model
        settings = config.to_dict()
        learned = settings.get("positions") == "learned"
        most: int | None = settings["max_positions"] if learned else None
        self._card = ModelCardInfo(
            name=checkpoint.info.name,
            revision=checkpoint.revision,
            architecture=describe(config),
            parameters=parameter_count(config),
            device=self._runner.device,
            precision=self._runner.precision,
        )
        self._reader = Reader(checkpoint.text, max_pieces=min(MAX_PIECES, most or MAX_PIECES))
        writer = Writer(
            text=checkpoint.text,
            card=self._card,
            layout=config.attention_layout,
            attention_default=checkpoint.info.attention_default,
        )
        if batch_tokens is None:
            on_cpu = self._runner.device == "cpu"
            batch_tokens = BATCH_TOKENS if on_cpu else BATCH_TOKENS_GPU
        self._engine = Engine(
            self._runner,
            writer,
            batch_tokens=batch_tokens,
            workers=workers,
            most_positions=most,
            max_waiting=max_waiting,
            max_wait=max_wait,
        )

    @classmethod
    def load(
        cls,
        name: str,
        *,
        device: str | None = None,
        threads: int | None = None,
        batch_tokens: int | None = None,
        workers: int = 1,
        precision: Precision | None = None,
        max_waiting: int = MAX_WAITING,
        max_wait: float | None = MAX_WAIT,
    ) -> Self:
        """Load an embedded checkpoint by name, any model folder, or a model of the Hub.

        Args:
            name: for instance ``fr-en-transformer``, the path of a folder, or ``owner/name``.
            device: None picks CUDA, then MPS, then the CPU.
            threads: sets the threads per operation **for the whole process**; None leaves them
                alone. Two share the work on a single sentence if the machine has nothing
                else to do; beside other busy processes they wait for each other, and 1 is faster.
            batch_tokens, workers, precision, max_waiting, max_wait: as in the class.

        Raises:
            ModelNotFoundError: no such name or folder; lists what there is.
            CheckpointError: the folder is damaged or unsafe.
            DeviceError: this machine lacks the device.
        """
        if threads is not None and not 1 <= threads <= 1024:
            raise TranslatorError(f"threads is {threads}, it must be between 1 and 1024")
        device = choose_device(device)  # a wrong name is told before anything is downloaded
        if threads is not None:
            kernels.set_threads(threads)
        checkpoint = load_model(locate(name), whole=False)
        if is_repository(name):  # is asked for by that name again, revision and all
            named = dataclasses.replace(checkpoint.info, name=name)
            checkpoint = dataclasses.replace(checkpoint, info=named)
        return cls(
            checkpoint,
            device=device,
            batch_tokens=batch_tokens,
            workers=workers,
            precision=precision,
            max_waiting=max_waiting,
            max_wait=max_wait,
        )

    @property
    def info(self) -> Checkpoint:
        """What the checkpoint's ``config.json`` says: languages, directions, tuned settings."""
        return self._info

    @property
    def card(self) -> ModelCardInfo:
        """The model as it stands in every Translation."""
        return self._card

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """Pairs of source and target language."""
        return self.info.directions

    @property
    def memory_bytes(self) -> int:
        """Memory that the weights take."""
        return self._runner.memory_bytes

    def direction(self, source: str | None = None, target: str | None = None) -> tuple[str, str]:
        """The one direction that fits what is given.

        Raises:
            TranslatorError: an unknown language, no direction that fits, or several.
        """
        return choose_direction(self.directions, source=source, target=target, name=self.info.name)

    def encode(self, text: str, *, language: str, target: str | None = None) -> Encoding:
        """A text as the model cuts it: pieces, words, and where they stand in the text.

        Args:
            text: of either side.
            language: of the text.
            target: language to translate into, which some models need to be told in the source.

        Raises:
            TextError: a language that the model does not know.
        """
        return self._text.encode(text, language=language, target_language=target)

    def occlusion(self, translation: Translation) -> Occlusion:
        """How much less probable each word of a translation is without each source word.

        Args:
            translation: made by this model.

        Raises:
            TranslatorError: its pieces are not of this model's vocabulary, or too many.
        """
        for encoding, size in (
            (translation.source, self._text.source_vocabulary_size),
            (translation.target, self._text.vocabulary_size),
        ):
            known = all(0 <= piece < size for piece in encoding.ids)
            if not known or len(encoding.ids) > self._reader.max_pieces:
                raise TranslatorError("the translation was made by another model")
        words = leave_out(translation.source)
        sources = [list(translation.source.ids), *words.values()]
        target = list(translation.target.ids)
        scores = self._runner.score(sources, [target] * len(sources))
        return Occlusion.of(translation, words=tuple(words), scores=scores)

    @overload
    def translate(
        self,
        text: str,
        *,
        source: str | None = None,
        target: str | None = None,
        beam: int | None = None,
        length_penalty: float | None = None,
        max_length: int | None = None,
        n_best: int | None = None,
        prefix: Prefix | None = None,
        sample: SamplingConfig | None = None,
        trace: bool = False,
        attention: bool = True,
        search: SearchConfig | None = None,
    ) -> Translation: ...

    @overload
    def translate(
        self,
        text: list[str] | tuple[str, ...],
        *,
        source: str | None = None,
        target: str | None = None,
        beam: int | None = None,
        length_penalty: float | None = None,
        max_length: int | None = None,
        n_best: int | None = None,
        prefix: str | Sequence[Prefix | None] | None = None,
        sample: SamplingConfig | None = None,
        trace: bool = False,
        attention: bool = True,
        search: SearchConfig | None = None,
    ) -> list[Translation]: ...

    def translate(
        self,
        text: str | list[str] | tuple[str, ...],
        *,
        source: str | None = None,
        target: str | None = None,
        beam: int | None = None,
        length_penalty: float | None = None,
        max_length: int | None = None,
        n_best: int | None = None,
        prefix: Prefix | Sequence[Prefix | None] | None = None,
        sample: SamplingConfig | None = None,
        trace: bool = False,
        attention: bool = True,
        search: SearchConfig | None = None,
    ) -> Translation | list[Translation]:
        """Translate one text, or a list of them in batches; the order is kept.

        Blank text gives an empty Translation without asking the model.

        Args:
            text: a sentence, or many.
            source, target: languages; may be left out where the model leaves no choice.
            beam, length_penalty, max_length, n_best: override the search settings; see
                :class:`seq2seq.config.SearchConfig`.
            prefix: the translation has to begin with this text, or with these pieces (ids, as in
                ``Translation.target.ids``) and texts in their order; for a list of texts, one
                text for all or one prefix each. A text that ends in a space ends with a whole
                word; an end-of-sentence id may only come last.
            sample: draw at random instead of searching.
            trace: record the whole search.
            attention: keep the attention maps.
            search: settings instead of the checkpoint's own tuned ones.

        Raises:
            TranslatorError: an unknown language, or a request that makes no sense.
            TextTooLongError: beyond :data:`MAX_CHARACTERS` or :data:`MAX_PIECES`.
            ConfigError: a setting out of range.
            BusyError: too many calls are waiting, or this one waited too long.
        """
        config = search_settings(
            self._base(search),
            beam=beam,
            length_penalty=length_penalty,
            max_length=max_length,
            n_best=n_best,
            sample=sample,
        )
        request = self._request(source, target, config, trace=trace, attention=attention)
        if isinstance(text, str):
            start = cast("Prefix | None", prefix)
            return self._engine.run(
                [self._reader.job(text, prefix=start, request=request)], request
            )[0]
        starts = cast("str | Sequence[Prefix | None] | None", prefix)
        jobs = self._reader.jobs(list(text), prefix=starts, request=request)
        return self._engine.run(jobs, request)

    def translate_many(
        self,
        texts: Iterable[str],
        *,
        source: str | None = None,
        target: str | None = None,
        beam: int | None = None,
        length_penalty: float | None = None,
        max_length: int | None = None,
        n_best: int | None = None,
        sample: SamplingConfig | None = None,
        trace: bool = False,
        attention: bool = False,
        search: SearchConfig | None = None,
        chunk: int = 2000,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Translation]:
        """Translate a stream of texts in bounded memory; yields in order.

        Args:
            texts: any number; read ``chunk`` at a time.
            chunk: texts that are sorted by length and batched together.
            progress: called with the number of texts finished since its last call.

        The other arguments and errors are those of :meth:`translate`; attention is left out
        unless asked for.
        """
        config = search_settings(
            self._base(search),
            beam=beam,
            length_penalty=length_penalty,
            max_length=max_length,
            n_best=n_best,
            sample=sample,
        )
        request = self._request(source, target, config, trace=trace, attention=attention)
        return self._many(iter(texts), request, max(chunk, 1), progress)

    def translate_stream(
        self,
        text: str,
        *,
        source: str | None = None,
        target: str | None = None,
        beam: int | None = None,
        length_penalty: float | None = None,
        max_length: int | None = None,
        n_best: int | None = None,
        prefix: Prefix | None = None,
        sample: SamplingConfig | None = None,
        trace: bool = False,
        attention: bool = True,
        search: SearchConfig | None = None,
        interval: float = 0.0,
    ) -> Iterator[Translation]:
        """Translate and show the work: the best hypothesis so far after every step.

        Yields partial Translations (``complete`` False, without n-best list and trace), then the
        one that :meth:`translate` would give. Closing the iterator stops the search, or gives up
        its turn. Arguments and errors are those of :meth:`translate`; what is wrong with the
        request is raised at once.

        Args:
            text: what to translate.
            interval: when others are decoded together with this one, leave out partial ones
                that follow the one before in fewer seconds.
        """
        config = search_settings(
            self._base(search),
            beam=beam,
            length_penalty=length_penalty,
            max_length=max_length,
            n_best=n_best,
            sample=sample,
        )
        request = self._request(source, target, config, trace=trace, attention=attention)
        job = self._reader.job(text, prefix=prefix, request=request)
        return self._engine.stream(job, request, interval=interval)

    def _base(self, search: SearchConfig | None) -> SearchConfig:
        """The checkpoint's own settings, or what a program gives instead."""
        return self._search if search is None else checked(search)

    def _request(
        self,
        source: str | None,
        target: str | None,
        config: SearchConfig,
        *,
        trace: bool,
        attention: bool,
    ) -> Request:
        pair = self.direction(source, target)
        return Request(*pair, config=config, trace=trace, attention=attention)

    def _many(
        self,
        texts: Iterator[str],
        request: Request,
        chunk: int,
        progress: Callable[[int], None] | None,
    ) -> Iterator[Translation]:
        done = 0
        while part := list(islice(texts, chunk)):
            try:
                jobs = self._reader.jobs(part, prefix=None, request=request)
            except TextTooLongError as error:
                error.index += done
                raise
            yield from self._engine.run(jobs, request, progress=progress)
            done += len(part)
