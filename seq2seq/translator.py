"""Text in, Translation out: one model, loaded once, callable from many threads.

translator = Translator.load("fr-en-transformer")
print(translator.translate("Le chat dort.").text)
"""

from __future__ import annotations

import dataclasses
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self, overload

import torch

from seq2seq.catalogue import locate
from seq2seq.checkpoint import Checkpoint, LoadedCheckpoint, describe, load_checkpoint
from seq2seq.config import ConfigError, SamplingConfig, SearchConfig
from seq2seq.decoding.search import PartialHypothesis
from seq2seq.device import choose_device, precision_name
from seq2seq.document import Job, Writer
from seq2seq.runner import Outcome, Runner
from seq2seq.translation import ModelCardInfo, Timing, Translation

__all__ = ["MAX_CHARACTERS", "MAX_PIECES", "TextTooLongError", "Translator", "TranslatorError"]

MAX_CHARACTERS = 5000
"""Longest text of one call, in characters."""
MAX_PIECES = 256
"""Longest text of one call, in pieces of the model's vocabulary, end-of-sentence included."""
BATCH_TOKENS = 2048
"""Source pieces of one batch, padding included."""


class TranslatorError(ValueError):
    """A request that cannot be served; one line names the culprit and what is accepted."""


class TextTooLongError(TranslatorError):
    """A text beyond the limit that the message states; nothing is ever cut silently.

    Attributes:
        index: which text of a list it was, counted from 0.
    """

    def __init__(self, message: str, *, index: int) -> None:
        super().__init__(message)
        self.index = index


@dataclass(frozen=True)
class _Request:
    """What is the same for all texts of one call."""

    source: str
    target: str
    config: SearchConfig
    trace: bool
    attention: bool


class Translator:
    """Translates with one checkpoint.

    Safe to call from many threads at once: weights are only read, every call has its own state.

    Args:
        checkpoint: loaded on the CPU.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; None is ``auto``.
        batch_tokens: source pieces per batch when many texts are translated.

    Raises:
        DeviceError: this machine lacks the device.
    """

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        *,
        device: str | None = None,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        if batch_tokens < 1:
            raise TranslatorError(f"batch_tokens is {batch_tokens}, it must be at least 1")
        self._checkpoint = checkpoint
        self._text = checkpoint.text
        self._batch_tokens = batch_tokens
        self._runner = Runner(checkpoint, device=choose_device(device))
        model = self._runner.model
        positions = model.config.to_dict()
        learned = positions.get("positions") == "learned"
        self._most_positions: int | None = positions["max_positions"] if learned else None
        self._card = ModelCardInfo(
            name=checkpoint.info.name,
            revision=checkpoint.revision,
            architecture=describe(model.config),
            parameters=model.parameter_count,
            device=str(self._runner.device),
            precision=precision_name(self._runner.dtype),
        )
        self._writer = Writer(
            text=checkpoint.text,
            card=self._card,
            layout=model.attention_layout,
            attention_default=checkpoint.info.attention_default,
        )

    @classmethod
    def load(
        cls,
        name: str,
        *,
        device: str | None = None,
        threads: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
    ) -> Self:
        """Load an embedded checkpoint by name, or any checkpoint folder.

        Args:
            name: for instance ``fr-en-transformer``, or the path of a folder.
            device: None picks CUDA, then MPS, then the CPU.
            threads: sets torch's threads per operation **for the whole process**; None leaves
                them alone. Small models are fastest with 1: two threads of this size wait for
                each other longer than they compute, above all beside other busy processes.
            batch_tokens: source pieces per batch when many texts are translated.

        Raises:
            ModelNotFoundError: no such name or folder; lists what there is.
            CheckpointError: the folder is damaged or unsafe.
            DeviceError: this machine lacks the device.
        """
        chosen = str(choose_device(device))
        if threads is not None:
            if not 1 <= threads <= 1024:
                raise TranslatorError(f"threads is {threads}, it must be between 1 and 1024")
            torch.set_num_threads(threads)
        return cls(load_checkpoint(locate(name)), device=chosen, batch_tokens=batch_tokens)

    @property
    def info(self) -> Checkpoint:
        """What the checkpoint's ``config.json`` says: languages, directions, tuned settings."""
        return self._checkpoint.info

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
        name = self.info.name
        for role, code, side in (("source", source, 0), ("target", target, 1)):
            known = sorted({pair[side] for pair in self.directions})
            if code is not None and code not in known:
                raise TranslatorError(
                    f"{name}: {role} language {code!r} is not one of {', '.join(known)}"
                )
        fitting = [
            pair
            for pair in self.directions
            if source in (None, pair[0]) and target in (None, pair[1])
        ]
        listing = ", ".join(f"{a}-{b}" for a, b in self.directions)
        if not fitting:
            raise TranslatorError(
                f"{name}: does not translate {source} to {target}, only {listing}"
            )
        if len(fitting) > 1:
            raise TranslatorError(
                f"{name}: source and target language are needed to choose among {listing}"
            )
        return fitting[0]

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
        prefix: str | None = None,
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
        prefix: str | Sequence[str | None] | None = None,
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
        prefix: str | Sequence[str | None] | None = None,
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
            prefix: the translation has to begin with this text; one for all, or one per text.
                A prefix that ends in a space ends with a whole word.
            sample: draw at random instead of searching.
            trace: record the whole search.
            attention: keep the attention maps.
            search: settings instead of the checkpoint's own tuned ones.

        Raises:
            TranslatorError: an unknown language, or a request that makes no sense.
            TextTooLongError: beyond :data:`MAX_CHARACTERS` or :data:`MAX_PIECES`.
            ConfigError: a setting out of range.
        """
        request = self._request(
            source, target, beam, length_penalty, max_length, n_best, sample, search,
            trace=trace, attention=attention,
        )  # fmt: skip
        texts = [text] if isinstance(text, str) else list(text)
        jobs = self._jobs(texts, _one_each(prefix, len(texts)), request)
        found = self._run(jobs, request, progress=None)
        return found[0] if isinstance(text, str) else found

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
        request = self._request(
            source, target, beam, length_penalty, max_length, n_best, sample, search,
            trace=trace, attention=attention,
        )  # fmt: skip
        return self._many(iter(texts), request, chunk, progress)

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
        prefix: str | None = None,
        sample: SamplingConfig | None = None,
        trace: bool = False,
        attention: bool = True,
        search: SearchConfig | None = None,
    ) -> Iterator[Translation]:
        """Translate and show the work: the best hypothesis so far after every step.

        Yields partial Translations (``complete`` False, without n-best list and trace), then the
        one that :meth:`translate` would give. Closing the iterator stops the search. Arguments
        and errors are those of :meth:`translate`; errors are raised at once.
        """
        request = self._request(
            source, target, beam, length_penalty, max_length, n_best, sample, search,
            trace=trace, attention=attention,
        )  # fmt: skip
        return self._stream(self._jobs([text], [prefix], request)[0], request)

    # --- What is asked ------------------------------------------------------------------------

    def _request(
        self,
        source: str | None,
        target: str | None,
        beam: int | None,
        length_penalty: float | None,
        max_length: int | None,
        n_best: int | None,
        sample: SamplingConfig | None,
        search: SearchConfig | None,
        *,
        trace: bool,
        attention: bool,
    ) -> _Request:
        config = self.info.search if search is None else search
        if sample is not None:
            if beam not in (None, 1):
                raise ConfigError(f"beam: sampling needs beam 1, not {beam}")
            config = dataclasses.replace(config, sampling=sample, beam=1)
        chosen = {
            "beam": beam,
            "length_penalty": length_penalty,
            "max_length": max_length,
            "n_best": n_best,
        }
        given = {key: value for key, value in chosen.items() if value is not None}
        config = SearchConfig.from_dict({**config.to_dict(), **given})
        pair = self.direction(source, target)
        return _Request(*pair, config=config, trace=trace, attention=attention)

    def _jobs(
        self, texts: Sequence[str], prefixes: Sequence[str | None], request: _Request
    ) -> list[Job]:
        return [
            self._job(text, prefix, request, index)
            for index, (text, prefix) in enumerate(zip(texts, prefixes, strict=True))
        ]

    def _job(self, text: str, prefix: str | None, request: _Request, index: int) -> Job:
        """Encode one text within the limits."""
        if not isinstance(text, str):
            raise TranslatorError(f"text number {index + 1} is a {type(text).__name__}, not a str")
        started = time.perf_counter()
        if max(len(text), len(prefix or "")) > MAX_CHARACTERS:
            what = "text" if len(text) > MAX_CHARACTERS else "prefix"
            length = len(text) if what == "text" else len(prefix or "")
            raise TextTooLongError(
                f"the {what} has {length} characters, at most {MAX_CHARACTERS} are translated at "
                "once; give it in parts",
                index=index,
            )
        encoding = self._text.encode(text, language=request.source, target_language=request.target)
        limit = min(MAX_PIECES, self._most_positions or MAX_PIECES)
        if len(encoding.pieces) > limit:
            raise TextTooLongError(
                f"the text has {len(encoding.pieces)} pieces for the model, at most {limit} are "
                "translated at once; give it in parts",
                index=index,
            )
        forced: tuple[int, ...] = ()
        if prefix:
            whole = prefix != prefix.rstrip()
            forced = self._text.encode_prefix(prefix, language=request.target, complete=whole)
        longest = self._longest(len(encoding.pieces), request.config)
        if len(forced) >= longest:
            raise TextTooLongError(
                f"the prefix has {len(forced)} pieces, the translation at most {longest}; shorten "
                "the prefix or raise max_length",
                index=index,
            )
        blank = not any(not word.special for word in encoding.words)
        return Job(index, encoding, forced, blank, time.perf_counter() - started)

    def _longest(self, source_pieces: int, config: SearchConfig) -> int:
        """Target pieces before the search gives up."""
        longest = config.max_length or math.ceil(
            config.length_factor * source_pieces + config.length_margin
        )
        return min(longest, self._most_positions or longest)

    # --- How it is done -----------------------------------------------------------------------

    def _many(
        self,
        texts: Iterator[str],
        request: _Request,
        chunk: int,
        progress: Callable[[int], None] | None,
    ) -> Iterator[Translation]:
        done = 0
        while part := list(islice(texts, max(chunk, 1))):
            try:
                jobs = self._jobs(part, [None] * len(part), request)
            except TextTooLongError as error:
                error.index += done
                raise
            yield from self._run(jobs, request, progress=progress)
            done += len(part)

    def _run(
        self, jobs: Sequence[Job], request: _Request, *, progress: Callable[[int], None] | None
    ) -> list[Translation]:
        """Translate in batches of similar length, give back in the order of ``jobs``."""
        found: dict[int, Translation] = {}
        blank = [job for job in jobs if job.blank]
        for job in blank:
            found[job.index] = self._empty(job, request)
        if blank and progress:
            progress(len(blank))
        for batch in self._batches([job for job in jobs if not job.blank]):
            for job, translation in zip(batch, self._run_batch(batch, request), strict=True):
                found[job.index] = translation
            if progress:
                progress(len(batch))
        return [found[job.index] for job in jobs]

    def _batches(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """Longest first, so that the largest batch shows at once whether memory suffices."""
        batch: list[Job] = []
        for job in sorted(jobs, key=lambda job: -len(job.source.pieces)):
            widest = len((batch or [job])[0].source.pieces)
            if batch and (len(batch) + 1) * widest > self._batch_tokens:
                yield batch
                batch = []
            batch.append(job)
        if batch:
            yield batch

    def _run_batch(self, batch: Sequence[Job], request: _Request) -> list[Translation]:
        config = self._bounded(batch, request.config)
        outcome = self._runner.run(
            [job.source.ids for job in batch],
            config=config,
            prefixes=[job.prefix for job in batch],
            trace=request.trace,
            attention=request.attention,
        )
        return [self._write(outcome, n, batch, config, request) for n in range(len(batch))]

    def _bounded(self, batch: Sequence[Job], config: SearchConfig) -> SearchConfig:
        """``config`` with a length limit that the model's learned positions allow."""
        widest = max(len(job.source.pieces) for job in batch)
        free = math.ceil(config.length_factor * widest + config.length_margin)
        limit = self._most_positions
        if limit is None or (config.max_length or free) <= limit:
            return config
        return dataclasses.replace(
            config, max_length=limit, min_length=min(config.min_length, limit)
        )

    def _write(
        self,
        outcome: Outcome,
        n: int,
        batch: Sequence[Job],
        config: SearchConfig,
        request: _Request,
    ) -> Translation:
        started = time.perf_counter()
        document = self._writer.complete(
            batch[n], outcome.results[n], config=config, target_language=request.target
        )
        card = dataclasses.replace(self._card, device=outcome.device, precision=outcome.precision)
        timing = Timing(
            text=batch[n].seconds + time.perf_counter() - started,
            encoder=outcome.encoder / len(batch),
            decoder=outcome.decoder / len(batch),
        )
        warnings = (*outcome.warnings, *document.warnings)
        return dataclasses.replace(document, model=card, timing=timing, warnings=warnings)

    def _empty(self, job: Job, request: _Request) -> Translation:
        return self._writer.empty(job, config=request.config, target_language=request.target)

    def _stream(self, job: Job, request: _Request) -> Iterator[Translation]:
        if job.blank:
            yield self._empty(job, request)
            return
        config = self._bounded([job], request.config)
        events: queue.SimpleQueue[PartialHypothesis | Outcome | BaseException] = queue.SimpleQueue()
        stop = threading.Event()

        def work() -> None:
            try:
                outcome = self._runner.run(
                    [job.source.ids],
                    config=config,
                    prefixes=[job.prefix],
                    trace=request.trace,
                    attention=request.attention,
                    on_step=lambda partial: events.put(partial[0]),
                    should_stop=stop.is_set,
                )
            except BaseException as error:  # raised again where the consumer sees it
                events.put(error)
            else:
                events.put(outcome)

        worker = threading.Thread(target=work, name="translate-stream", daemon=True)
        worker.start()
        try:
            while True:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, Outcome):
                    yield self._write(event, 0, [job], config, request)
                    return
                yield self._writer.partial(
                    job, event, config=config, target_language=request.target
                )
        finally:
            stop.set()
            worker.join()


def _one_each(prefix: str | Sequence[str | None] | None, count: int) -> Sequence[str | None]:
    if prefix is None or isinstance(prefix, str):
        return [prefix] * count
    if len(prefix) != count:
        raise TranslatorError(f"there are {len(prefix)} prefixes for {count} texts")
    return prefix
