"""A model's copy with packed weights: same modules, other matrices."""

from __future__ import annotations

import copy

from torch import nn

from seq2seq.inference.int8 import Int8Embedding, Int8Linear
from seq2seq.inference.recurrent import Int8RecurrentLayer
from seq2seq.nn import AnyModel
from seq2seq.nn.cells import RecurrentLayer

__all__ = ["pack"]


def pack(model: AnyModel) -> AnyModel:
    """The model with 8-bit matrices in place of its linear layers, embeddings and recurrent ones.

    What is small (norms, biases, position tables) is shared with ``model``, which stays as it is.
    """
    tables: dict[int, Int8Embedding] = {}

    def packed(module: nn.Module) -> nn.Module:
        if isinstance(module, nn.Linear):
            if module.out_features == 1:  # a vector: nothing to gain
                return module
            return Int8Linear(module.weight, module.bias)
        if isinstance(module, nn.Embedding):  # two sides may share one
            key = id(module.weight)
            if key not in tables:
                tables[key] = Int8Embedding(module.weight)
            return tables[key]
        if isinstance(module, RecurrentLayer):
            return Int8RecurrentLayer(module)
        changed = copy.copy(module)
        changed._modules = {
            name: child if child is None else packed(child)
            for name, child in module._modules.items()
        }
        return changed

    result = packed(model)
    assert isinstance(result, type(model))  # noqa: S101  (for the type checker)
    return result.eval()
