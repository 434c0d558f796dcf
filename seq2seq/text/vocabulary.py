"""The subword vocabulary: byte-pair merges with bytes for everything else (Sennrich 2016).

The file is an ordinary ``tokenizer.json`` of the ``tokenizers`` library without added tokens,
so that no text of a user can ever turn into a special id.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.trainers import BpeTrainer

from seq2seq.text.encoding import TextError

__all__ = ["BYTES", "MARK", "SPECIALS", "Vocabulary"]

MARK = "\u2581"
"""Stands before the first piece of a word."""

SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
"""Names of ids 0 to 3."""

BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
"""Names of the pieces for single bytes."""

_ASCII = tuple(map(chr, range(0x21, 0x7F)))
_FILE = "tokenizer.json"
_LARGEST_FILE = 50 * 1024 * 1024
_LARGEST_CACHE = 200_000
_LONGEST_CACHED = 48


class Vocabulary:
    """Pieces and merges. Safe to share between threads.

    Ids: four specials, one tag per language if there are any, 256 bytes, characters, merges.
    """

    def __init__(self, pieces: Sequence[str], merges: Sequence[tuple[str, str]], *, tags: int = 0):
        self.pieces = tuple(pieces)
        self.first_byte = len(SPECIALS) + tags
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._ids = vocab = {piece: index for index, piece in enumerate(self.pieces)}
        try:
            if len(vocab) != len(self.pieces):
                raise TextError("a piece occurs twice")
            self._model = BPE(vocab, list(merges), unk_token=SPECIALS[3], byte_fallback=True)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise TextError(f"pieces and merges do not fit together: {reason}") from error
        self._cache: dict[str, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self.pieces)

    def cut(self, word: str) -> tuple[int, ...]:
        """Ids of one word, which carries its :data:`MARK` if it needs one."""
        ids = self._cache.get(word)
        if ids is None:
            ids = tuple(token.id for token in self._model.tokenize(word))
            if len(word) <= _LONGEST_CACHED:
                if len(self._cache) >= _LARGEST_CACHE:
                    self._cache.clear()
                self._cache[word] = ids
        return ids

    def sample(self, word: str, *, dropout: float, random: Random) -> list[int]:
        """Ids of one word, cut at random: BPE dropout (Provilkov 2020, algorithm 1).

        Args:
            word: as for :meth:`cut`.
            dropout: probability that a merge is left out whenever it could be made; 0 gives
                :meth:`cut`, near 1 single characters.
            random: where the chances come from.
        """
        symbols = list(word)
        while True:
            possible = [
                (rank, place)
                for place, pair in enumerate(pairwise(symbols))
                if (rank := self._ranks.get(pair)) is not None and random.random() >= dropout
            ]
            if not possible:
                break
            _, place = min(possible)
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
        ids: list[int] = []
        for symbol in symbols:
            known = self._ids.get(symbol)
            ids += [known] if known is not None else self._spelt(symbol)
        return ids

    def _spelt(self, symbol: str) -> list[int]:
        return [self.first_byte + value for value in symbol.encode("utf-8")]

    def name(self, piece: int) -> str:
        """The piece itself, with its :data:`MARK`; raises :class:`TextError` outside."""
        if not 0 <= piece < len(self.pieces):
            raise TextError(f"id {piece} is outside the vocabulary of {len(self.pieces)} pieces")
        return self.pieces[piece]

    def is_special(self, piece: int) -> bool:
        """Whether no text stands behind the id."""
        return piece < self.first_byte

    def byte_of(self, piece: int) -> int | None:
        """Value of a byte piece, None for any other."""
        value = piece - self.first_byte
        return value if 0 <= value < 256 else None

    @classmethod
    def train(
        cls,
        words: Counter[str],
        *,
        size: int,
        tags: Sequence[str] = (),
        minimum_count: int = 20,
        alphabet: int = 400,
    ) -> Vocabulary:
        """Learn merges from counted words.

        Args:
            words: with their :data:`MARK`, and how often each occurs.
            size: ids in all; fewer come out if the words give fewer merges.
            tags: special pieces after the first four.
            minimum_count: characters seen less often become bytes.
            alphabet: at most so many characters, besides printable ASCII, which is always there.

        Raises:
            TextError: no words, or ``size`` too small for specials, bytes and characters.
        """
        characters: Counter[str] = Counter()
        for word, count in words.items():
            for character in word:
                characters[character] += count
        if not characters:
            raise TextError("no text to learn a vocabulary from")
        common = {c for c, n in characters.most_common(alphabet) if n >= minimum_count}
        common |= {MARK, *_ASCII}
        reserved = [*SPECIALS, *tags, *BYTES]
        room = size - len(reserved)
        if room < len(common):
            raise TextError(
                f"vocabulary size {size} is too small: specials, bytes and characters need "
                f"{len(reserved) + len(common)}"
            )
        unseen = sorted(common - characters.keys())
        learned, merges = _learn(_fragments(words, common), room - len(unseen), len(common))
        return cls([*reserved, *unseen, *learned], merges, tags=len(tags))

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        text = Tokenizer(self._model).to_str(pretty=False)
        handle, name = tempfile.mkstemp(dir=folder, prefix=_FILE, suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(name, 0o644)
            os.replace(name, folder / _FILE)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, folder: Path, *, tags: Sequence[str] = ()) -> Vocabulary:
        """Read ``tokenizer.json``.

        Raises:
            TextError: missing, too large, not JSON, not such a vocabulary, or other specials.
        """
        path = Path(folder) / _FILE
        model = _read(path)
        if model.get("type") != "BPE" or not model.get("byte_fallback"):
            raise TextError(f"{path}: not a BPE vocabulary with byte fallback")
        vocab, merges = model.get("vocab"), model.get("merges")
        if not isinstance(vocab, dict) or not isinstance(merges, list):
            raise TextError(f"{path}: vocabulary or merges are missing")
        if any(type(index) is not int for index in vocab.values()):
            raise TextError(f"{path}: an id is not a whole number")
        pieces = sorted(vocab, key=lambda piece: int(vocab[piece]))
        if [vocab[piece] for piece in pieces] != list(range(len(pieces))):
            raise TextError(f"{path}: ids have gaps or occur twice")
        start = [*SPECIALS, *tags, *BYTES]
        for index, name in enumerate(start):
            found = pieces[index] if index < len(pieces) else "nothing"
            if found != name:
                raise TextError(f"{path}: id {index} should be {name}, found {found!r:.40}")
        for piece in pieces[len(start) :]:
            if not piece or piece.rfind(MARK) > 0 or any(c.isspace() for c in piece):
                raise TextError(f"{path}: {piece!r:.40} is no stretch of a word")
        if MARK not in vocab:
            raise TextError(f"{path}: the word mark {MARK} is missing")
        pairs = [m.split(" ") if isinstance(m, str) else m for m in merges]
        if not all(
            isinstance(p, list) and len(p) == 2 and all(isinstance(x, str) for x in p)
            for p in pairs
        ):
            raise TextError(f"{path}: a merge is not a pair of pieces")
        if not {p[0] + p[1] for p in pairs}.isdisjoint(start):
            raise TextError(f"{path}: a merge spells the name of a special or a byte")
        try:
            return cls(pieces, [(p[0], p[1]) for p in pairs], tags=len(tags))
        except TextError as error:
            raise TextError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise TextError(f"{path}: {size} bytes, more than {_LARGEST_FILE}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TextError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, TextError):
            raise
        raise TextError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise TextError(f"{path}: not a tokenizer file, it has no 'model'")
    if content.get("added_tokens"):
        raise TextError(f"{path}: added tokens are not allowed")
    model: dict[str, Any] = content["model"]
    return model


def _fragments(words: Counter[str], alphabet: set[str]) -> Iterator[str]:
    """Words as training text, cut at characters that will be bytes."""
    rare = {c for word in words for c in word} - alphabet
    cut = re.compile("[" + "".join(map(re.escape, sorted(rare))) + "]+") if rare else None
    for word, count in words.items():
        text = cut.sub(" ", word) if cut else word
        if "<" in word and ">" in word:  # no merge may spell the name of a special or a byte
            text = re.sub("([<>])", r" \1 ", text)
        for start in range(0, count, 1000):
            yield (text + " ") * min(count - start, 1000)


def _learn(
    text: Iterator[str], room: int, alphabet: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces in the order of their ids, and merges in order."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = WhitespaceSplit()
    trainer = BpeTrainer(
        vocab_size=room, limit_alphabet=alphabet, min_frequency=2, show_progress=False
    )
    tokenizer.train_from_iterator(text, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab: dict[str, int] = model["vocab"]
    merges = [tuple(m.split(" ") if isinstance(m, str) else m) for m in model["merges"]]
    return sorted(vocab, key=lambda piece: vocab[piece]), [(m[0], m[1]) for m in merges]
