"""The Transformer keeps the model contract and agrees with PyTorch's own layers."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.config import TransformerConfig
from seq2seq.nn import build_model
from seq2seq.nn.multihead import attend
from seq2seq.nn.transformer import DecoderLayer, EncoderLayer, TransformerModel, sinusoids

VARIANTS = [
    {"norm": "pre", "positions": "sinusoidal", "activation": "relu"},
    {"norm": "post", "positions": "sinusoidal", "activation": "swish"},
    {"norm": "pre", "positions": "learned", "activation": "gelu"},
    {"norm": "post", "positions": "learned", "activation": "relu", "scale_embeddings": False},
    {"share_embeddings": False, "tie_output": False, "target_vocabulary": 19},
    {"encoder_layers": 1, "decoder_layers": 3, "heads": 1},
]


def make(**options: object) -> TransformerModel:
    torch.manual_seed(3)
    sizes = {"source_vocabulary": 23, "target_vocabulary": 23, "d_model": 16, "heads": 4}
    layers = {"encoder_layers": 2, "decoder_layers": 2, "feed_forward_size": 24, "dropout": 0.0}
    config = TransformerConfig.from_dict({**sizes, **layers, **options})
    model = build_model(config)
    assert isinstance(model, TransformerModel)
    # Zero biases and unit norms would hide a forgotten one.
    for parameter in model.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, mean=0.3, std=0.3)
    return model.eval()


def batch() -> tuple[Tensor, Tensor]:
    source = torch.tensor([[5, 6, 7, 8, 2], [9, 10, 2, 0, 0], [11, 2, 0, 0, 0]])
    target = torch.tensor([[1, 4, 5, 6], [1, 7, 8, 9], [1, 10, 11, 12]])
    return source, target


def by_steps(model: TransformerModel, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    state = model.start(model.encode(source, source != 0))
    logits, attention = [], []
    for position in range(target.shape[1]):
        out = model.step(target[:, position], state)
        state = out.state
        logits.append(out.logits)
        assert out.attention is not None
        attention.append(out.attention)
    return torch.stack(logits, dim=1), torch.stack(attention, dim=1)


@pytest.mark.parametrize("options", VARIANTS)
@torch.inference_mode()
def test_steps_equal_teacher_forcing(options: dict[str, object]) -> None:
    model = make(**options)
    source, target = batch()
    logits, attention = by_steps(model, source, target)
    torch.testing.assert_close(logits, model(source, target), atol=1e-4, rtol=0)
    rows, length = target.shape
    config = model.config
    assert attention.shape == (rows, length, config.decoder_layers, config.heads, 5)
    torch.testing.assert_close(attention.sum(-1), torch.ones(attention.shape[:-1]))
    layout = model.attention_layout
    assert (len(layout.layers), len(layout.heads)) == attention.shape[2:4]


@pytest.mark.parametrize("options", VARIANTS)
@torch.inference_mode()
def test_padding_gets_no_attention_and_changes_no_logit(options: dict[str, object]) -> None:
    model = make(**options)
    source, target = batch()
    padded, attention = by_steps(model, source, target)
    hidden = (source == 0)[:, None, None, None, :].expand_as(attention)
    assert (attention[hidden] == 0).all()
    for row, length in enumerate((5, 3, 2)):
        alone, _ = by_steps(model, source[row : row + 1, :length], target[row : row + 1])
        torch.testing.assert_close(padded[row : row + 1], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", VARIANTS)
def test_gradients_reach_every_parameter(options: dict[str, object]) -> None:
    model = make(**options).train()
    source, target = batch()
    logits = model(source, target)
    (logits * torch.randn_like(logits)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@torch.inference_mode()
def test_a_later_target_piece_changes_no_earlier_logit() -> None:
    model = make()
    source, target = batch()
    changed = target.clone()
    changed[:, 2] = 20
    before, after = model(source, target), model(source, changed)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.equal(before[:, 2:], after[:, 2:])


@torch.inference_mode()
def test_select_reorders_repeats_and_drops_rows() -> None:
    model = make()
    source, target = batch()
    rows = torch.tensor([2, 0, 0])
    state = model.step(target[:, 0], model.start(model.encode(source, source != 0))).state
    picked = model.step(target[rows, 1], state.select(rows))
    whole = model.step(target[:, 1], state)
    torch.testing.assert_close(picked.logits, whole.logits[rows])
    assert picked.attention is not None
    assert whole.attention is not None
    torch.testing.assert_close(picked.attention, whole.attention[rows])


@torch.inference_mode()
def test_memory_is_copied_only_when_a_row_changes_its_sentence() -> None:
    model = make()
    source, _ = batch()
    memory = model.encode(source, source != 0)
    beams = memory.select(torch.tensor([0, 0, 1, 1, 2, 2]))
    assert beams.select(torch.tensor([1, 1, 3, 2, 4, 4])) is beams
    fewer = beams.select(torch.tensor([1, 0, 5, 4]))
    assert fewer is not beams
    for part, whole in zip(fewer.keys, memory.keys, strict=True):
        assert torch.equal(part, whole[[0, 0, 2, 2]])
    assert torch.equal(fewer.mask, memory.mask[[0, 0, 2, 2]])


def test_attention_agrees_with_pytorch() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 7, 8), torch.randn(2, 4, 7, 8)
    allowed = torch.rand(2, 1, 5, 7) > 0.4
    allowed[..., 0] = True
    context, weights = attend(query, key, value, allowed)
    wanted = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    torch.testing.assert_close(context, wanted)
    assert (weights[~allowed.expand_as(weights)] == 0).all()


def _copy_self(ours: nn.Module, theirs: nn.MultiheadAttention) -> None:
    ours.project_in.load_state_dict({"weight": theirs.in_proj_weight, "bias": theirs.in_proj_bias})
    ours.project_out.load_state_dict(theirs.out_proj.state_dict())


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@torch.no_grad()
def test_layers_agree_with_pytorch(norm: str, activation: str) -> None:
    torch.manual_seed(1)
    config = TransformerConfig.from_dict(
        {
            "source_vocabulary": 9, "target_vocabulary": 9, "d_model": 16, "heads": 2,
            "feed_forward_size": 32, "dropout": 0.0, "norm": norm, "activation": activation,
        }
    )  # fmt: skip
    options = {"activation": activation, "batch_first": True, "norm_first": norm == "pre"}
    theirs = nn.TransformerDecoderLayer(16, 2, 32, dropout=0.0, **options).eval()
    their_encoder = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, **options).eval()
    for layer in (theirs, their_encoder):
        for parameter in layer.parameters():
            nn.init.normal_(parameter, std=0.4)
    ours, our_encoder = DecoderLayer(config).eval(), EncoderLayer(config).eval()
    _copy_self(ours.self_attention, theirs.self_attn)
    cross, weight = ours.cross_attention, theirs.multihead_attn.in_proj_weight
    bias = theirs.multihead_attn.in_proj_bias
    cross.project_query.load_state_dict({"weight": weight[:16], "bias": bias[:16]})
    cross.project_memory.load_state_dict({"weight": weight[16:], "bias": bias[16:]})
    cross.project_out.load_state_dict(theirs.multihead_attn.out_proj.state_dict())
    _copy_self(our_encoder.self_attention, their_encoder.self_attn)
    pairs = [
        (ours.self_norm, theirs.norm1), (ours.cross_norm, theirs.norm2),
        (ours.feed_norm, theirs.norm3), (ours.feed_forward.inner, theirs.linear1),
        (ours.feed_forward.outer, theirs.linear2), (our_encoder.self_norm, their_encoder.norm1),
        (our_encoder.feed_norm, their_encoder.norm2),
        (our_encoder.feed_forward.inner, their_encoder.linear1),
        (our_encoder.feed_forward.outer, their_encoder.linear2),
    ]  # fmt: skip
    for mine, other in pairs:
        mine.load_state_dict(other.state_dict())
    x, memory = torch.randn(3, 5, 16), torch.randn(3, 6, 16)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]]).bool()
    causal = torch.ones(5, 5).tril().bool()
    wanted = theirs(x, memory, tgt_mask=~causal, memory_key_padding_mask=~mask)
    key, value = cross.memory(memory)
    found = ours(x, key, value, causal=causal, allowed=mask[:, None, None])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    inner = their_encoder(memory, src_key_padding_mask=~mask)
    kept = our_encoder(memory, mask[:, None, None])
    torch.testing.assert_close(kept[mask], inner[mask], atol=1e-5, rtol=1e-5)


def test_sinusoids_follow_the_paper() -> None:
    table = sinusoids(50, 6)
    for position in (0, 1, 49):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            assert table[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


@torch.inference_mode()
def test_sinusoids_go_on_beyond_the_table_and_learned_positions_say_so() -> None:
    source = torch.tensor([[5] * 9 + [2]])
    target = torch.tensor([[1] + [6] * 9])
    short, long = make(max_positions=4), make(max_positions=64)
    torch.testing.assert_close(short(source, target), long(source, target))
    with pytest.raises(ValueError, match="longer than the 4 positions"):
        make(positions="learned", max_positions=4)(source, target)


def test_tied_parameters_are_one() -> None:
    model = make()
    assert model.output.weight is model.target_embedding.weight
    assert model.target_embedding is model.source_embedding
    loose = make(share_embeddings=False, tie_output=False)
    assert loose.parameter_count == model.parameter_count + 2 * 23 * 16
