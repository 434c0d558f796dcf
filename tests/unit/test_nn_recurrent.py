"""Recurrent models: every variant keeps the contract; the decoders follow their papers."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq.config import RecurrentConfig
from seq2seq.nn import StepOutput, build_model
from seq2seq.nn.cells import CellState, RecurrentLayer, reverse_rows
from seq2seq.nn.recurrent import RecurrentModel
from seq2seq.nn.recurrent_decoder import RecurrentState

VOCABULARY = 15
LENGTHS = [7, 3, 1, 5]
STEPS = 5


def variant(
    cell: str, attention: str, bidirectional: bool, layers: int, reverse: bool, tied: bool
) -> RecurrentConfig:
    return RecurrentConfig(
        source_vocabulary=VOCABULARY,
        target_vocabulary=VOCABULARY,
        share_embeddings=tied,
        tie_output=tied,
        dropout=0.3,
        cell=cell,
        embedding_size=6,
        encoder_size=5,
        decoder_size=10 if bidirectional else 5,
        encoder_layers=layers,
        decoder_layers=layers,
        bidirectional=bidirectional,
        reverse_source=reverse,
        attention=attention.removesuffix("+feeding"),
        attention_size=7,
        input_feeding=attention.endswith("+feeding"),
    )


ATTENTIONS = ("none", "additive", "dot", "dot+feeding", "general", "general+feeding")
FLAGS = (False, True)
VARIANTS = [
    pytest.param(
        variant(cell, attention, bidirectional, layers, reverse, tied),
        id="-".join(
            [
                cell,
                attention,
                "bi" if bidirectional else "uni",
                str(layers),
                *(["reversed"] if reverse else []),
                *(["tied"] if tied else []),
            ]
        ),
    )
    for cell, attention, bidirectional, layers, reverse, tied in itertools.product(
        ("gru", "lstm"), ATTENTIONS, FLAGS, (1, 2), FLAGS, FLAGS
    )
]
# The bridge has work to do where encoder and decoder differ in depth or width.
UNEQUAL = [
    pytest.param(
        replace(variant(cell, attention, True, 1, False, False), **sizes),
        id=f"{cell}-{attention}-{name}",
    )
    for cell, attention in itertools.product(("gru", "lstm"), ("none", "additive", "general"))
    for name, sizes in {
        "deep-encoder": {"encoder_layers": 3},
        "deep-decoder": {"decoder_layers": 3},
        "wide-decoder": {"decoder_size": 13},
    }.items()
]


def build(config: RecurrentConfig) -> RecurrentModel:
    torch.manual_seed(3)
    model = build_model(config)
    assert isinstance(model, RecurrentModel)
    with torch.no_grad():  # biases start at zero: give them a part to play
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.normal_(std=0.5)
    return model.eval()


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(4)
    source = torch.randint(4, VOCABULARY, (len(LENGTHS), max(LENGTHS)))
    for row, length in enumerate(LENGTHS):
        source[row, length:] = 0
    target = torch.randint(4, VOCABULARY, (len(LENGTHS), STEPS))
    target[:, 0] = 1
    return source, target


def run_steps(
    model: RecurrentModel, source: Tensor, target: Tensor
) -> list[StepOutput[RecurrentState]]:
    state = model.start(model.encode(source, source != 0))
    outputs = []
    for tokens in target.unbind(1):
        outputs.append(model.step(tokens, state))
        state = outputs[-1].state
    return outputs


# --- The contract -----------------------------------------------------------------------------


@pytest.mark.parametrize("config", [*VARIANTS, *UNEQUAL])
def test_steps_equal_teacher_forcing(config: RecurrentConfig) -> None:
    model = build(config)
    source, target = batch()
    with torch.no_grad():
        forced = model(source, target)
        steps = torch.stack([output.logits for output in run_steps(model, source, target)], dim=1)
    assert forced.shape == (len(LENGTHS), STEPS, VOCABULARY)
    torch.testing.assert_close(steps, forced, atol=1e-4, rtol=0)


@pytest.mark.parametrize("config", [*VARIANTS, *UNEQUAL])
def test_padding_changes_nothing_and_gets_nothing(config: RecurrentConfig) -> None:
    model = build(config)
    source, target = batch()
    with torch.no_grad():
        together = run_steps(model, source, target)
        for row, length in enumerate(LENGTHS):
            alone = run_steps(model, source[row : row + 1, :length], target[row : row + 1])
            for padded, bare in zip(together, alone, strict=True):
                torch.testing.assert_close(padded.logits[row], bare.logits[0], atol=1e-5, rtol=0)
                if padded.attention is None:
                    continue
                assert bare.attention is not None
                weights = padded.attention[row, 0, 0]
                assert (weights[length:] == 0).all()
                torch.testing.assert_close(weights[:length], bare.attention[0, 0, 0])


@pytest.mark.parametrize("config", VARIANTS)
def test_attention_has_its_shape_and_sums_to_one(config: RecurrentConfig) -> None:
    model = build(config)
    source, target = batch()
    layout = model.attention_layout
    for output in run_steps(model, source, target):
        if config.attention == "none":
            assert layout is None
            assert output.attention is None
            continue
        assert layout is not None
        assert layout.layers == (f"{config.attention} attention",)
        assert layout.heads == ("head 1",)
        assert output.attention is not None
        assert output.attention.shape == (len(LENGTHS), 1, 1, max(LENGTHS))
        torch.testing.assert_close(output.attention.sum(-1), torch.ones(len(LENGTHS), 1, 1))


@pytest.mark.parametrize("config", [*VARIANTS, *UNEQUAL])
def test_gradients_reach_every_parameter(config: RecurrentConfig) -> None:
    model = build(config).train()
    source, target = batch()
    model(source, target).log_softmax(-1)[..., 5].sum().backward()
    idle = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert idle == []


@pytest.mark.parametrize("config", VARIANTS)
def test_select_reorders_repeats_and_drops_rows(config: RecurrentConfig) -> None:
    model = build(config)
    source, target = batch()
    rows = torch.tensor([2, 0, 2])
    with torch.no_grad():
        state = run_steps(model, source, target[:, :2])[-1].state
        tokens = torch.tensor([5, 6, 7, 8])
        whole = model.step(tokens, state)
        picked = model.step(tokens[rows], state.select(rows))
    torch.testing.assert_close(picked.logits, whole.logits[rows])
    assert picked.state.hidden.shape == (3, config.decoder_layers, config.decoder_size)
    if whole.attention is not None:
        assert picked.attention is not None
        torch.testing.assert_close(picked.attention, whole.attention[rows])


@pytest.mark.parametrize("config", VARIANTS)
def test_dropout_acts_in_training_only(config: RecurrentConfig) -> None:
    model = build(config)
    source, target = batch()
    with torch.no_grad():
        assert torch.equal(model(source, target), model(source, target))
        model.train()
        assert not torch.equal(model(source, target), model(source, target))


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_half_precision_stays_close(cell: str, attention: str) -> None:
    model = build(variant(cell, attention, True, 2, False, True))
    source, target = batch()
    exact = model(source, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model(source, target)
        mixed.float().sum().backward()
    torch.testing.assert_close(mixed.float(), exact, atol=0.2, rtol=0)
    half = model.bfloat16()
    forced = half(source, target)
    assert forced.dtype == torch.bfloat16
    torch.testing.assert_close(forced.float(), exact, atol=0.2, rtol=0)
    for step, output in enumerate(run_steps(half, source, target)):
        torch.testing.assert_close(output.logits.float(), forced[:, step].float(), atol=0.2, rtol=0)


# --- Options ----------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("bidirectional", FLAGS)
def test_reversed_source_is_reported_in_its_own_order(attention: str, bidirectional: bool) -> None:
    config = variant("gru", attention, bidirectional, 2, True, True)
    reversing = build(config)
    plain = build(replace(config, reverse_source=False))
    source = torch.tensor([[5, 9, 7, 12, 4]])
    target = torch.tensor([[1, 6, 8]])
    with torch.no_grad():
        expected = run_steps(plain, source.flip(1), target)
        for ours, theirs in zip(run_steps(reversing, source, target), expected, strict=True):
            torch.testing.assert_close(ours.logits, theirs.logits)
            if theirs.attention is not None:
                assert ours.attention is not None
                torch.testing.assert_close(ours.attention, theirs.attention.flip(-1))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_without_attention_only_the_last_state_is_kept(cell: str) -> None:
    model = build(variant(cell, "none", True, 2, False, True))
    source, _ = batch()
    memory = model.encode(source, source != 0)
    assert memory.keys is None
    assert memory.values is None
    assert memory.hidden.shape == (len(LENGTHS), 2, 10)
    assert (memory.cell is None) == (cell == "gru")


def test_source_can_be_told_from_its_order() -> None:
    model = build(variant("gru", "none", False, 1, False, True))
    forward, backward = torch.tensor([[5, 6, 7]]), torch.tensor([[7, 6, 5]])
    target = torch.tensor([[1, 5]])
    assert not torch.allclose(model(forward, target), model(backward, target), atol=1e-3)


def test_input_feeding_hands_on_the_attentional_vector() -> None:
    model = build(variant("lstm", "general+feeding", True, 1, False, True))
    source, target = batch()
    first = run_steps(model, source, target[:, :1])[0]
    assert first.state.feed is not None
    torch.testing.assert_close(model.project(first.state.feed), first.logits)
    starved = replace(first.state, feed=torch.zeros_like(first.state.feed))
    tokens = target[:, 1]
    fed, unfed = model.step(tokens, first.state).logits, model.step(tokens, starved).logits
    assert not torch.allclose(fed, unfed, atol=1e-3)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_tied_and_shared_tables_are_one_parameter(attention: str) -> None:
    model = build(variant("gru", attention, True, 1, False, True))
    assert model.output.weight is model.source_embedding.weight is model.target_embedding.weight


def test_unshared_vocabularies_may_differ() -> None:
    config = variant("gru", "additive", True, 1, False, False)
    model = build(replace(config, target_vocabulary=VOCABULARY + 6))
    source, target = batch()
    assert model(source, target).shape[-1] == VOCABULARY + 6


# --- The papers' equations --------------------------------------------------------------------


def cell_of(layer: RecurrentLayer) -> nn.GRUCell | nn.LSTMCell:
    """PyTorch's own single-step cell with the same weights."""
    kind = nn.LSTMCell if isinstance(layer.rnn, nn.LSTM) else nn.GRUCell
    cell = kind(layer.rnn.input_size, layer.rnn.hidden_size)
    names = {name: getattr(layer.rnn, f"{name}_l0") for name in cell.state_dict()}
    cell.load_state_dict({name: value.detach() for name, value in names.items()})
    return cell


@torch.no_grad()
def test_additive_model_is_bahdanau_2015() -> None:
    """One sentence, appendix A written out: eq. 5 and 6, A.1.2, A.2.2."""
    model = build(variant("gru", "additive", True, 1, False, False))
    source, target = torch.tensor([[5, 9, 7, 12]]), torch.tensor([[1, 6, 8, 5]])
    decoder, bridge = model.decoder, model.bridge
    embedded = model.source_embedding.weight[source[0]]
    forward_cell, backward_cell = (cell_of(layer) for layer in model.encoder.layers[0])
    forward, backward = [torch.zeros(5)], [torch.zeros(5)]
    for x in embedded:
        forward.append(forward_cell(x, forward[-1]))
    for x in embedded.flip(0):
        backward.append(backward_cell(x, backward[-1]))
    h = [torch.cat(pair) for pair in zip(forward[1:], backward[:0:-1], strict=True)]

    s = torch.tanh(bridge.hidden.weight @ backward[-1] + bridge.hidden.bias)
    W, U = decoder.attention.query.weight, decoder.attention.key.weight
    v, bias = decoder.attention.score.weight[0], decoder.attention.key.bias
    cell, readout = cell_of(decoder.layers[0]), decoder.readout
    outputs = run_steps(model, source, target)
    for y, output in zip(target[0], outputs, strict=True):
        e = torch.stack([v @ torch.tanh(W @ s + U @ h_j + bias) for h_j in h])
        a = e.exp() / e.exp().sum()
        c = sum(a_j * h_j for a_j, h_j in zip(a, h, strict=True))
        Ey = model.target_embedding.weight[y]
        s = cell(torch.cat([Ey, c]), s)
        U_o, V_o, C_o = readout.weight.split([10, 6, 10], dim=1)
        t = U_o @ s + V_o @ Ey + C_o @ c + readout.bias
        maxout = torch.stack([max(t[k], t[k + 6]) for k in range(6)])
        logits = model.output.weight @ maxout + model.output.bias
        torch.testing.assert_close(output.logits[0], logits, atol=1e-5, rtol=1e-5)
        assert output.attention is not None
        torch.testing.assert_close(output.attention[0, 0, 0], a, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("score", ["dot", "general"])
@pytest.mark.parametrize("feeding", FLAGS)
@torch.no_grad()
def test_multiplicative_model_is_luong_2015(score: str, feeding: bool) -> None:
    """One sentence, eq. 5 to 8 and section 3.3 written out."""
    name = f"{score}+feeding" if feeding else score
    model = build(variant("lstm", name, False, 1, False, True))
    source, target = torch.tensor([[5, 9, 7, 12]]), torch.tensor([[1, 6, 8, 5]])
    decoder, table = model.decoder, model.target_embedding.weight
    encoder_cell = cell_of(model.encoder.layers[0][0])
    h_bar, state = [], (torch.zeros(5), torch.zeros(5))
    for x in table[source[0]]:
        state = encoder_cell(x, state)
        h_bar.append(state[0])
    cell, h_tilde = cell_of(decoder.layers[0]), torch.zeros(6)
    for y, output in zip(target[0], run_steps(model, source, target), strict=True):
        state = cell(torch.cat([table[y], h_tilde]) if feeding else table[y], state)
        h_t = state[0]
        if score == "dot":
            scores = torch.stack([h_t @ h_s for h_s in h_bar])
        else:
            scores = torch.stack([h_t @ decoder.attention.key.weight @ h_s for h_s in h_bar])
        a_t = scores.exp() / scores.exp().sum()
        c_t = sum(a * h_s for a, h_s in zip(a_t, h_bar, strict=True))
        h_tilde = torch.tanh(decoder.readout.weight @ torch.cat([c_t, h_t]))
        logits = table @ h_tilde + model.output.bias
        torch.testing.assert_close(output.logits[0], logits, atol=1e-5, rtol=1e-5)
        assert output.attention is not None
        torch.testing.assert_close(output.attention[0, 0, 0], a_t, atol=1e-5, rtol=1e-5)


# --- One layer --------------------------------------------------------------------------------


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), width=st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_reversing_keeps_padding_on_the_right(lengths: list[int], width: int) -> None:
    longest = max(lengths)
    x = torch.arange(len(lengths) * longest).view(len(lengths), longest)
    x = x[:, :, None].expand(-1, -1, width) if width else x
    turned = reverse_rows(x, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        assert torch.equal(turned[row, :length], x[row, :length].flip(0))
        assert torch.equal(turned[row, length:], x[row, length:])
    assert torch.equal(reverse_rows(turned, torch.tensor(lengths)), x)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
@pytest.mark.parametrize("lengths", [[4, 4, 4], [4, 2, 1], [1, 3, 4]])
@torch.no_grad()
def test_layer_reads_like_packed_sequences(kind: str, lengths: list[int]) -> None:
    layer = RecurrentLayer(kind, 3, 5)
    x = torch.randn(3, 4, 3)
    output, final = layer.read(x, torch.tensor(lengths))
    packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    states, last = layer.rnn(packed)
    expected, _ = pad_packed_sequence(states, batch_first=True, total_length=4)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(output[row, :length], expected[row, :length])
    hidden, cell = last if kind == "lstm" else (last, None)
    torch.testing.assert_close(final.hidden, hidden[0])
    if cell is not None:
        torch.testing.assert_close(final.cell, cell[0])


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_layer_steps_like_its_fused_run(kind: str) -> None:
    layer = RecurrentLayer(kind, 3, 5)
    x = torch.randn(2, 6, 3)
    start = CellState(torch.randn(2, 5), torch.randn(2, 5) if kind == "lstm" else None)
    gates, rest = layer.split_gates(x[..., :2], width=2)
    state, outputs = start, []
    for t in range(6):
        state = layer.step(gates[:, t] + x[:, t, 2:] @ rest.T, state)
        outputs.append(state.hidden)
    torch.testing.assert_close(torch.stack(outputs, dim=1), layer.run(x, start))


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_layer_starts_orthogonal_with_open_forget_gates(kind: str) -> None:
    layer = RecurrentLayer(kind, 3, 5)
    for matrix in layer.rnn.weight_hh_l0.split(5):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(5))
    total = layer.rnn.bias_ih_l0 + layer.rnn.bias_hh_l0
    forget = torch.zeros_like(total)
    if kind == "lstm":
        forget[5:10] = 1
    assert torch.equal(total, forget)
