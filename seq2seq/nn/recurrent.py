"""Recurrent encoder-decoders (Sutskever 2014; Bahdanau 2015; Luong 2015) as one model.

Shapes: ``rows`` sentences, ``S`` source pieces, ``T`` target pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from seq2seq.config import RecurrentConfig
from seq2seq.nn.cells import CellState, RecurrentLayer, reverse_rows
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.model import Seq2SeqModel, StepOutput, register
from seq2seq.nn.recurrent_decoder import (
    AdditiveDecoder,
    Decoder,
    LuongDecoder,
    PlainDecoder,
    RecurrentMemory,
    RecurrentState,
)

__all__ = ["RecurrentModel"]


@register("recurrent")
class RecurrentModel(Seq2SeqModel[RecurrentMemory, RecurrentState]):
    """Recurrent encoder-decoder with the options of :class:`RecurrentConfig`."""

    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        width = config.embedding_size
        self.source_embedding = nn.Embedding(config.source_vocabulary, width)
        self.target_embedding = (
            self.source_embedding
            if config.share_embeddings
            else nn.Embedding(config.target_vocabulary, width)
        )
        self.dropout = Dropout(config.dropout)
        self.encoder = _Encoder(config)
        self.bridge = _Bridge(config)
        self.decoder = _build_decoder(config)
        self.output = nn.Linear(self.decoder.readout_size, config.target_vocabulary)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        if config.tie_output:
            self.output.weight = self.target_embedding.weight
        for table in (self.source_embedding, self.target_embedding):
            nn.init.normal_(table.weight, std=width**-0.5)

    def encode(self, source: Tensor, source_mask: Tensor) -> RecurrentMemory:
        """See :meth:`Seq2SeqModel.encode`."""
        lengths = source_mask.sum(dim=1)
        if self.config.reverse_source:
            source = reverse_rows(source, lengths)
        values, finals = self.encoder(self.dropout(self.source_embedding(source)), lengths)
        hidden, cell = self.bridge(finals)
        if self.config.attention == "none":
            return RecurrentMemory(source_mask, hidden=hidden, cell=cell, keys=None, values=None)
        if self.config.reverse_source:  # so that attention is over the source as it was given
            values = reverse_rows(values, lengths)
        keys = self.decoder.keys(values)
        return RecurrentMemory(source_mask, hidden=hidden, cell=cell, keys=keys, values=values)

    def start(self, memory: RecurrentMemory) -> RecurrentState:
        """See :meth:`Seq2SeqModel.start`."""
        return self.decoder.start(memory)

    def step(self, tokens: Tensor, state: RecurrentState) -> StepOutput[RecurrentState]:
        """See :meth:`Seq2SeqModel.step`."""
        done = self.decoder.step(self.dropout(self.target_embedding(tokens)), state)
        attention = None if done.weights is None else done.weights[:, None, None, :]
        return StepOutput(self.project(done.readout), attention, done.state)

    def hidden(self, memory: RecurrentMemory, target_in: Tensor) -> Tensor:
        """See :meth:`Seq2SeqModel.hidden`."""
        return self.decoder.hidden(self.dropout(self.target_embedding(target_in)), memory)

    def project(self, hidden: Tensor) -> Tensor:
        """See :meth:`Seq2SeqModel.project`."""
        logits: Tensor = self.output(hidden)
        return logits


def _build_decoder(config: RecurrentConfig) -> Decoder:
    """The decoder that ``config.attention`` names."""
    if config.attention == "none":
        return PlainDecoder(config)
    if config.attention == "additive":
        return AdditiveDecoder(config)
    return LuongDecoder(config)


class _Encoder(nn.Module):
    """Stacked recurrent layers, in one direction or both.

    The backward direction reads each row reversed, padding still on the right, so no state of
    a real piece depends on padding.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        size, directions = config.encoder_size, 2 if config.bidirectional else 1
        widths = [config.embedding_size, *[size * directions] * (config.encoder_layers - 1)]
        layers = nn.ModuleList(
            nn.ModuleList(RecurrentLayer(config.cell, width, size) for _ in range(directions))
            for width in widths
        )
        self.layers = cast("Sequence[Sequence[RecurrentLayer]]", layers)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, list[list[CellState]]]:
        """Read (rows, S, width).

        Returns:
            The top layer's states (rows, S, size * directions), the forward direction first,
            and for every layer and direction the state after its last piece.
        """
        finals = []
        for n, directions in enumerate(self.layers):
            if n:
                x = self.dropout(x)
            outputs, states = [], []
            for backward, layer in enumerate(directions):
                read = reverse_rows(x, lengths) if backward else x
                output, final = layer.read(read, lengths)
                outputs.append(reverse_rows(output, lengths) if backward else output)
                states.append(final)
            x = torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0]
            finals.append(states)
        return x, finals


class _Bridge(nn.Module):
    """From the encoder's final states to the decoder's first state.

    With additive attention ``s_0 = tanh(W_s h)`` for every layer, where ``h`` is the top
    encoder layer's backward state at the first piece (Bahdanau 2015, appendix A.2.2), or the
    last forward state of a unidirectional encoder. Otherwise the decoder starts where the
    encoder stopped, layer by layer (Sutskever 2014; Luong 2015), the two directions side by
    side; if the shapes do not fit, through a linear layer.
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        directions = 2 if config.bidirectional else 1
        self.layers, self.size = config.decoder_layers, config.decoder_size
        self.top_only = config.attention == "additive"
        fits = (config.encoder_layers, config.encoder_size * directions) == (self.layers, self.size)
        self.copies = fits and not self.top_only
        if self.copies:
            return
        width = config.encoder_size
        if not self.top_only:
            width *= directions * config.encoder_layers
        self.hidden = nn.Linear(width, self.layers * self.size)
        self.cell = nn.Linear(width, self.layers * self.size) if config.cell == "lstm" else None
        for layer in (self.hidden, self.cell):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, finals: list[list[CellState]]) -> tuple[Tensor, Tensor | None]:
        """Hidden states (rows, layers, size), and an LSTM's cells of the same shape."""
        chosen = [finals[-1][-1]] if self.top_only else [s for layer in finals for s in layer]
        hidden = torch.cat([state.hidden for state in chosen], dim=-1)
        cells = [state.cell for state in chosen if state.cell is not None]
        cell = torch.cat(cells, dim=-1) if cells else None
        if not self.copies:
            hidden = torch.tanh(self.hidden(hidden))
            cell = None if cell is None or self.cell is None else self.cell(cell)
        shape = (-1, self.layers, self.size)
        return hidden.view(shape), None if cell is None else cell.view(shape)
