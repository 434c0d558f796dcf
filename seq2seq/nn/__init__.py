"""Neural networks: tensors in, tensors out; no strings."""

from seq2seq.nn import recurrent, transformer  # noqa: F401  (they register themselves)
from seq2seq.nn.model import (
    AnyModel,
    DecoderState,
    Memory,
    Seq2SeqModel,
    StepOutput,
    build_model,
)

__all__ = [
    "AnyModel",
    "DecoderState",
    "Memory",
    "Seq2SeqModel",
    "StepOutput",
    "build_model",
]
