"""Each engine behind one method: sentences of our ids in, target ids of ours out.

Every translation has exactly ``tokens`` steps of the decoder, the last of which may give the end
of the sentence; ids come back without it. Ours returns the attention of every translation, the
others do not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

__all__ = ["BATCH", "Adapter", "Contender", "load"]

BATCH = 32
"""Sentences that are translated together at most."""

Ids = list[list[int]]


@dataclass(frozen=True)
class Contender:
    """An engine with its settings.

    Attributes:
        engine: ``ours``, ``transformers`` or ``ctranslate2``.
        kind: number format: ``int8``, ``fp32``, ``bf16``.
        threads: per worker.
        workers: batches at the same time, in one process.
        processes: each with a part of the sentences.
        environment: variables that its process is started with.
        stored: of us: as which the model lies on disk, see :mod:`speed.models`.
    """

    engine: str
    kind: str
    threads: int = 1
    workers: int = 1
    processes: int = 1
    environment: dict[str, str] = field(default_factory=dict, hash=False)
    stored: str = "ours"

    @property
    def label(self) -> str:
        """For people."""
        parts = [self.engine, self.kind]
        if self.processes > 1:
            parts.append(f"{self.processes} processes x {self.threads} th")
        elif self.workers > 1:
            parts.append(f"{self.workers} workers x {self.threads} th")
        else:
            parts.append(f"{self.threads} th")
        if self.stored != "ours":
            parts.append(f"from {self.stored}")
        return " ".join(parts + [f"{k}={v}" for k, v in self.environment.items()])


class Adapter(Protocol):
    """What a process that is measured can do."""

    def translate(self, sources: Ids, *, beam: int, tokens: int) -> Ids:
        """Target ids of every sentence."""

    def ready(self) -> None:
        """Have it as fast as it becomes."""


def load(folder: Path, contender: Contender) -> Adapter:
    """Read a contender's model from ``folder``, see :mod:`speed.models`."""
    makers: dict[str, Any] = {"ours": _Ours, "transformers": _Transformers, "ctranslate2": _CT2}
    adapter: Adapter = makers[contender.engine](folder, contender)
    return adapter


class _Ours:
    def __init__(self, folder: Path, contender: Contender) -> None:
        from seq2seq import kernels
        from seq2seq.formats import load_model
        from seq2seq.runner import Runner

        name = "ours-fp32" if contender.kind == "fp32" else contender.stored
        kind: Any = contender.kind
        kernels.set_threads(contender.threads)
        checkpoint = load_model(folder / name, whole=False)  # as Translator.load does it
        self.runner = Runner(checkpoint, device="cpu", precision=kind)
        if torch := sys.modules.get("torch"):  # 8 bits do without it
            torch.set_num_threads(contender.threads)
        assert self.runner.precision == contender.kind, "this machine lacks it"
        self._order: list[int] | None = None
        if contender.stored.startswith("marian"):
            self._order = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
        count = contender.workers
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def ready(self) -> None:
        self.runner.model.wait()

    def translate(self, sources: Ids, *, beam: int, tokens: int) -> Ids:
        from seq2seq.config import SearchConfig

        config = SearchConfig(beam=beam, min_length=tokens - 1, max_length=tokens - 1)
        if order := self._order:
            new = {old: number for number, old in enumerate(order)}
            sources = [[new[n] for n in row] for row in sources]

        def run(batch: Ids) -> Ids:
            outcome = self.runner.run(batch, config=config, prefixes=[[] for _ in batch])
            best = [result.hypotheses[0] for result in outcome.results]
            assert all(one.attention is not None for one in best)
            return [list(one.tokens[: tokens - 1]) for one in best]

        parts = _batches(sources)
        found = self._pool.map(run, parts) if self._pool else map(run, parts)
        rows = [ids for part in found for ids in part]
        return [[order[n] for n in row] for row in rows] if order else rows


class _Transformers:
    def __init__(self, folder: Path, contender: Contender) -> None:
        import torch
        from transformers import MarianMTModel

        torch.set_num_threads(contender.threads)
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[contender.kind]
        self._model: Any = MarianMTModel.from_pretrained(folder / "marian", dtype=dtype).eval()
        self._order = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
        self._new = {old: new for new, old in enumerate(self._order)}

    def ready(self) -> None:
        pass

    def translate(self, sources: Ids, *, beam: int, tokens: int) -> Ids:
        import torch
        from transformers import GenerationConfig

        ids = self._model.config
        pad = ids.pad_token_id
        settings = GenerationConfig(
            num_beams=beam, do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens,
            eos_token_id=ids.eos_token_id, pad_token_id=pad, decoder_start_token_id=pad,
        )  # fmt: skip
        found: Ids = []
        for batch in _batches(sources):
            width = max(map(len, batch))
            rows = [[*(self._new[n] for n in row), *[pad] * (width - len(row))] for row in batch]
            source = torch.tensor(rows)
            with torch.inference_mode():
                output = self._model.generate(
                    input_ids=source,
                    attention_mask=(source != pad).long(),
                    generation_config=settings,
                )
            assert output.shape[1] == tokens + 1
            found += [[self._order[n] for n in row[1:tokens]] for row in output.tolist()]
        return found


class _CT2:
    def __init__(self, folder: Path, contender: Contender) -> None:
        import ctranslate2

        name = {"fp32": "float32"}.get(contender.kind, contender.kind)
        self._engine = ctranslate2.Translator(
            str(folder / f"ct2-{name}"),
            device="cpu",
            compute_type=name,
            inter_threads=contender.workers,
            intra_threads=contender.threads,
        )
        names = json.loads((folder / "marian" / "vocab.json").read_text(encoding="utf-8"))
        order = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
        self._name = {order[new]: piece for piece, new in names.items()}
        self._id = {piece: old for old, piece in self._name.items()}

    def ready(self) -> None:
        pass

    def translate(self, sources: Ids, *, beam: int, tokens: int) -> Ids:
        results = self._engine.translate_batch(
            [[self._name[n] for n in row] for row in sources],
            beam_size=beam,
            min_decoding_length=tokens,
            max_decoding_length=tokens,
            max_batch_size=BATCH,
        )
        best = [one.hypotheses[0] for one in results]
        assert all(len(one) == tokens for one in best)
        return [[self._id[piece] for piece in one[: tokens - 1]] for one in best]


def _batches(sources: Sequence[list[int]]) -> list[Ids]:
    return [list(sources[n : n + BATCH]) for n in range(0, len(sources), BATCH)]
