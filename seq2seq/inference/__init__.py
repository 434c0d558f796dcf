"""Models as they run: weights packed for the processor, a step of the decoder as one unit."""

from seq2seq.inference.model import InferenceModel, Session, compiled
from seq2seq.inference.precision import Precision, available, choose

__all__ = ["InferenceModel", "Precision", "Session", "available", "choose", "compiled"]
