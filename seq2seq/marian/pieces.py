"""Our byte-pair vocabulary as a SentencePiece model, so that other programs can cut with it.

A merge becomes a score: SentencePiece joins the neighbours whose union scores highest, and the
union of an earlier merge scores higher. It joins any neighbours whose union is a piece, where
ours joins only those it has learned to, so a rare word can be cut differently.
"""

from __future__ import annotations

from collections.abc import Sequence

from sentencepiece import sentencepiece_model_pb2

__all__ = ["SPACED", "sentence_piece_model"]

SPACED = "Its words stand apart as Moses cuts them, each with a space before it."
"""What the model expects of a text."""

_TYPES = sentencepiece_model_pb2.ModelProto.SentencePiece


def sentence_piece_model(
    pieces: Sequence[str], *, first_byte: int, specials: Sequence[str], unknown: str
) -> bytes:
    """A SentencePiece model file of byte-pair kind.

    Texts are taken as they are: nothing is normalised, no space is added or removed.

    Args:
        pieces: bytes, characters and merges, the latter in the order they were learned.
        first_byte: index in ``pieces`` of the first of the 256 byte pieces.
        specials: names of ids that no text ever gives.
        unknown: name of the piece for what cannot be spelt.
    """
    model = sentencepiece_model_pb2.ModelProto()

    def add(piece: str, kind: int, score: float = 0.0) -> None:
        entry = model.pieces.add()
        entry.piece, entry.type, entry.score = piece, kind, score

    add(unknown, _TYPES.UNKNOWN)
    for name in specials:
        add(name, _TYPES.CONTROL)
    for place, piece in enumerate(pieces):
        is_byte = first_byte <= place < first_byte + 256
        add(piece, _TYPES.BYTE if is_byte else _TYPES.NORMAL, -float(place))
    trainer = model.trainer_spec
    trainer.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    trainer.vocab_size = len(model.pieces)
    trainer.byte_fallback = True
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = 0, -1, -1, -1
    trainer.unk_piece = unknown
    rules = model.normalizer_spec
    rules.name = "identity"
    rules.add_dummy_prefix = False
    rules.remove_extra_whitespaces = False
    rules.escape_whitespaces = True
    result: bytes = model.SerializeToString()
    return result
