"""A model's copy with packed weights: same modules, other matrices; and its weights by name."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from seq2seq.inference.int8 import Int8Embedding, Int8Linear
from seq2seq.inference.recurrent import Int8RecurrentLayer
from seq2seq.nn import AnyModel
from seq2seq.nn.cells import RecurrentLayer

__all__ = ["ModuleWeights", "memory_of", "pack"]


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


def memory_of(model: nn.Module) -> int:
    """Bytes of a model's weights and tables; packed weights say theirs."""
    total = 0
    for module in model.modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        packed: int = getattr(module, "packed_bytes", 0)
        total += packed + sum({t.data_ptr(): t.nbytes for t in own}.values())
    return total


class ModuleWeights:
    """Weights of a model or of its packed copy, by name; see :class:`seq2seq.parameters.Weights`.

    Args:
        model: on the CPU.
    """

    def __init__(self, model: nn.Module) -> None:
        table = getattr(model, "position_table", None)
        self.positions: np.ndarray | None = None if table is None else _array(table)
        self._floats = {
            name: value.detach()
            for name, value in (*model.named_parameters(), *model.named_buffers())
        }
        self._matrices: dict[str, Int8Linear | Int8Embedding] = {}
        for name, module in model.named_modules():
            if isinstance(module, Int8RecurrentLayer):
                self._matrices[f"{name}.rnn.weight_ih_l0"] = module.input
                self._matrices[f"{name}.rnn.weight_hh_l0"] = module.recurrent
                self._offset(f"{name}.rnn.bias_ih_l0", module.input)
                self._offset(f"{name}.rnn.bias_hh_l0", module.recurrent)
            elif isinstance(module, Int8Linear | Int8Embedding):
                self._matrices[f"{name}.weight"] = module

    def read(self, name: str) -> np.ndarray:
        """A parameter in fp32."""
        return _array(self._floats[name])

    def read_rows(
        self, name: str, *, at_once: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """A matrix, a few rows after the other; see :meth:`Weights.read_rows`."""
        matrix = self._matrices.get(name)
        if matrix is None:
            value = self._floats[name]
            for part in value.split(max(1, at_once // value.shape[1])):
                yield _array(part), None
            return
        values, scale = matrix.unpacked()
        yield values.numpy(), scale.numpy()

    def _offset(self, name: str, layer: Int8Linear) -> None:
        assert layer.bias is not None  # noqa: S101  (recurrent layers have them)
        self._floats[name] = layer.bias


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().to("cpu", torch.float32).numpy()
    return array
