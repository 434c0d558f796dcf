"""What a Marian folder's JSON files say, as our own settings.

Every option that changes what a model computes or how its text is found is either followed or
refused by its name; what only concerns training or other programs is passed over.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from seq2seq.config import ConfigError, SearchConfig, TransformerConfig, read_json
from seq2seq.stored import CheckpointError

__all__ = ["MarianSettings", "is_marian", "read_settings"]

_CONFIG = "config.json"
_GENERATION = "generation_config.json"
_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "swish": "swish", "silu": "swish"}
_LARGEST_LENGTH = 1024
_LARGEST = 10**9
_MOST = {
    "vocab_size": 10**6,
    "decoder_vocab_size": 10**6,
    "d_model": 2**14,
    **{f"{side}_layers": 256 for side in ("encoder", "decoder")},
    **{f"{side}_attention_heads": 2**10 for side in ("encoder", "decoder")},
    **{f"{side}_ffn_dim": 2**16 for side in ("encoder", "decoder")},
}
"""Sizes that are believed before there is memory for them."""

_ARCHITECTURE: dict[str, tuple[Any, ...]] = {
    "is_decoder": (False,),
    "is_encoder_decoder": (True,),
    "static_position_embeddings": (True,),
    "normalize_before": (False,),
    "normalize_embedding": (False,),
    "add_final_layer_norm": (False,),
    "add_bias_logits": (False,),
    "do_blenderbot_90_layernorm": (False,),
    "quantization_config": (),
}
"""Options of ``config.json`` with the values that can be read; None always can."""

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "do_sample": (False,),
    "forced_bos_token_id": (),
    "repetition_penalty": (1, 1.0),
    "encoder_repetition_penalty": (1, 1.0),
    "encoder_no_repeat_ngram_size": (0,),
    "diversity_penalty": (0, 0.0),
    "num_beam_groups": (1,),
    "penalty_alpha": (),
    "guidance_scale": (1, 1.0),
    "suppress_tokens": ([],),
    "begin_suppress_tokens": ([],),
    "sequence_bias": (),
    "exponential_decay_length_penalty": (),
    "force_words_ids": (),
    "constraints": (),
    "min_new_tokens": (0,),
    "max_time": (),
    "stop_strings": (),
}
"""Options of the search with the values that change nothing; None always does."""


@dataclass(frozen=True, kw_only=True)
class MarianSettings:
    """What the JSON files of a Marian folder say.

    Attributes:
        model: architecture and sizes.
        search: the generation defaults.
        excluded: ids that the model never gives, as if their probability were 0.
        shared_tables: both sides look up one stored table.
    """

    model: TransformerConfig
    search: SearchConfig
    excluded: tuple[int, ...]
    shared_tables: bool


def is_marian(folder: Path) -> bool:
    """Whether ``folder`` has a ``config.json`` that names the model type ``marian``."""
    try:
        return read_json(folder / _CONFIG).get("model_type") == "marian"
    except ConfigError:
        return False


def read_settings(folder: Path) -> MarianSettings:
    """Read ``config.json`` and, where there is one, ``generation_config.json``.

    Raises:
        CheckpointError: a file cannot be read, or an option that is not supported; names it.
    """
    path = folder / _CONFIG
    values = _read(path)
    options = _Options(path, values)
    options.require("model_type", ("marian",))
    options.refuse_others(_ARCHITECTURE)
    try:
        model, shared = _model(options)
        generation = folder / _GENERATION
        own = _Options(generation, _read(generation)) if generation.is_file() else options
        search, excluded = _search(own, options, model)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return MarianSettings(model=model, search=search, excluded=excluded, shared_tables=shared)


class _Options:
    """The options of one file; an error names the file and the option."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self._path = path
        self._values = values

    def refuse(self, key: str, why: str) -> CheckpointError:
        shown = reprlib.repr(self._values.get(key))
        return CheckpointError(f"{self._path}: {key} is {shown}, {why}")

    def require(self, key: str, allowed: tuple[Any, ...]) -> None:
        if self._values.get(key) not in allowed:
            known = " or ".join(repr(value) for value in allowed)
            raise self.refuse(key, f"only {known} can be read")

    def refuse_others(self, table: Mapping[str, tuple[Any, ...]]) -> None:
        """Refuse every option of ``table`` whose value is not one of those listed."""
        for key, allowed in table.items():
            value = self._values.get(key)
            if value is not None and value not in allowed:
                raise self.refuse(key, "which is not supported")

    def whole(self, key: str, default: int | None = None, *, least: int = 0) -> int:
        """A whole number; a list of a single one counts as it."""
        value = self._values.get(key)
        value = default if value is None else value
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        most = _MOST.get(key, 2**31)
        if type(value) is not int or not least <= value <= most:
            raise self.refuse(key, f"it must be a whole number between {least} and {most}")
        return value

    def number(self, key: str, default: float) -> float:
        value = self._values.get(key)
        value = default if value is None else value
        if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > _LARGEST:
            raise self.refuse(key, "it must be a number")
        return float(value)

    def switch(self, key: str, *, default: bool) -> bool:
        value = self._values.get(key)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise self.refuse(key, "it must be true or false")
        return value

    def has(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> Any:
        return self._values.get(key)


def _model(options: _Options) -> tuple[TransformerConfig, bool]:
    """Architecture and sizes, and whether one stored table serves both sides."""
    activation = _ACTIVATIONS.get(str(options.get("activation_function") or "gelu"))
    if activation is None:
        known = ", ".join(_ACTIVATIONS)
        raise options.refuse("activation_function", f"only {known} can be read")
    for part in ("attention_heads", "ffn_dim"):
        default = 16 if part == "attention_heads" else 4096
        one, other = (options.whole(f"{side}_{part}", default) for side in ("encoder", "decoder"))
        if one != other:
            raise options.refuse(f"decoder_{part}", f"the encoder has {one}: only equal ones work")
    source = options.whole("vocab_size", 58101)
    shared = options.switch("share_encoder_decoder_embeddings", default=True)
    tied = options.switch("tie_word_embeddings", default=True)
    target = source if shared else options.whole("decoder_vocab_size", source)
    pad = options.whole("pad_token_id", 58100)
    return TransformerConfig(
        source_vocabulary=source,
        target_vocabulary=target,
        share_embeddings=shared and tied,
        tie_output=tied,
        dropout=0.0,
        pad_id=pad,
        bos_id=options.whole("decoder_start_token_id", pad),
        eos_id=options.whole("eos_token_id", 0),
        unk_id=1,  # its place in every vocabulary of Marian, held against the text's own
        d_model=options.whole("d_model", 1024),
        heads=options.whole("encoder_attention_heads", 16),
        encoder_layers=options.whole("encoder_layers", 12),
        decoder_layers=options.whole("decoder_layers", 12),
        feed_forward_size=options.whole("encoder_ffn_dim", 4096),
        norm="post",
        positions="sinusoidal-halves",
        # Sinusoids beyond these are computed when they are needed.
        max_positions=min(options.whole("max_position_embeddings", 1024, least=1), 1024),
        activation=cast('Literal["relu", "gelu", "swish"]', activation),
        scale_embeddings=options.switch("scale_embedding", default=False),
        output_bias=True,
    ), shared


def _search(
    own: _Options, config: _Options, model: TransformerConfig
) -> tuple[SearchConfig, tuple[int, ...]]:
    """Generation defaults, and ids that are never given.

    Lengths of ``transformers`` count the piece that starts the decoder, ours do not.
    """
    own.refuse_others(_NEUTRAL)
    for key, expected in (("eos_token_id", model.eos_id), ("pad_token_id", model.pad_id)):
        if own.get(key) is not None and own.whole(key) != expected:
            raise own.refuse(key, f"config.json says {expected}")
    if own.get("decoder_start_token_id") is not None:
        start = own.whole("decoder_start_token_id")
        if start != model.bos_id:
            raise own.refuse("decoder_start_token_id", f"config.json says {model.bos_id}")
    forced = own.get("forced_eos_token_id") is not None
    if forced and own.whole("forced_eos_token_id") != model.eos_id:
        raise own.refuse("forced_eos_token_id", "only the end-of-sentence can be forced")
    # Without a file for the search, transformers takes the model's own defaults.
    forced = forced or (own is config and not own.has("forced_eos_token_id"))
    longest = own.whole("max_length", 512, least=2)
    if own.get("max_new_tokens") is not None:
        longest = own.whole("max_new_tokens", least=1) + 1
    beam = own.whole("num_beams", 1, least=1)
    early = own.get("early_stopping")
    stopping = {None: "heuristic", False: "heuristic", True: "first", "never": "exact"}
    if not (early is None or isinstance(early, bool) or early == "never"):
        raise own.refuse("early_stopping", "only true, false and 'never' are known")
    if own.switch("renormalize_logits", default=False):
        for key in ("no_repeat_ngram_size", "min_length"):
            if own.whole(key, 0) > 1:  # what they forbid changes from step to step
                raise own.refuse(key, "which is not supported together with renormalize_logits")
    search = SearchConfig(
        beam=beam,
        n_best=min(own.whole("num_return_sequences", 1, least=1), beam),
        length_penalty=own.number("length_penalty", 1.0),
        no_repeat_ngram=own.whole("no_repeat_ngram_size", 0),
        min_length=max(own.whole("min_length", 0) - 1, 0),
        max_length=min(max(longest - (2 if forced else 1), 1), _LARGEST_LENGTH),
        stopping=cast('Literal["exact", "heuristic", "first"]', stopping[early]),
        forced_end=forced,
    )
    return search, _excluded(own, model)


def _excluded(own: _Options, model: TransformerConfig) -> tuple[int, ...]:
    """Ids that the model never gives. Padding never is one anyway: the search leaves it out."""
    banned = own.get("bad_words_ids") or []
    if not isinstance(banned, list) or not all(map(_single, banned)):
        raise own.refuse("bad_words_ids", "only single pieces can be left out")
    ids = {words[0] for words in cast(Iterable[list[int]], banned)}
    if any(not 0 <= number < model.target_vocabulary for number in ids):
        raise own.refuse("bad_words_ids", "it names ids beyond the vocabulary")
    renormalised = own.switch("renormalize_logits", default=False)
    if ids - {model.pad_id} and not renormalised:
        raise own.refuse("bad_words_ids", "without renormalize_logits only padding can be left out")
    return tuple(sorted(ids)) if renormalised else ()


def _single(words: object) -> bool:
    return isinstance(words, list) and len(words) == 1 and type(words[0]) is int


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
