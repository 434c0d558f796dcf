"""Every architecture learns to copy and to reverse strings it has never seen."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seq2seq.config import ModelConfig, RecurrentConfig, TransformerConfig
from seq2seq.nn import AnyModel, build_model

PAD, BOS, EOS = 0, 1, 2
VOCABULARY = 12
LONGEST = 6
Task = Callable[[Tensor], Tensor]


def copy(string: Tensor) -> Tensor:
    return string


def reverse(string: Tensor) -> Tensor:
    return string.flip(0)


def strings(count: int, generator: torch.Generator, shortest: int, longest: int) -> list[Tensor]:
    lengths = torch.randint(shortest, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(4, VOCABULARY, (n,), generator=generator) for n in lengths]


def batch(sources: list[Tensor], task: Task) -> tuple[Tensor, Tensor]:
    """Right-padded sources with eos, and targets between bos and eos."""
    source = torch.full((len(sources), LONGEST + 1), PAD)
    target = torch.full((len(sources), LONGEST + 2), PAD)
    for row, string in enumerate(sources):
        n = len(string)
        source[row, :n], source[row, n] = string, EOS
        target[row, 0], target[row, 1 : n + 1], target[row, n + 1] = BOS, task(string), EOS
    return source, target


def train(
    config: ModelConfig, task: Task, unseen: list[Tensor], *, steps: int, rate: float
) -> AnyModel:
    """Train on random strings as long as the ``unseen`` ones, which are left out."""
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(2)
    banned = {tuple(string.tolist()) for string in unseen}
    lengths = {len(string) for string in unseen}
    model = build_model(config).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=rate, total_steps=steps, pct_start=0.1
    )
    for _ in range(steps):
        drawn = strings(64, generator, min(lengths), max(lengths))
        kept = [string for string in drawn if tuple(string.tolist()) not in banned]
        source, target = batch(kept, task)
        logits = model(source, target[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def greedy(model: AnyModel, source: Tensor) -> list[list[int]]:
    """Decode step by step, each row up to its end-of-sentence."""
    state = model.start(model.encode(source, source != PAD))
    tokens = torch.full((len(source),), BOS)
    columns = []
    for _ in range(LONGEST + 1):
        output = model.step(tokens, state)
        tokens, state = output.logits.argmax(-1), output.state
        columns.append(tokens)
    rows = torch.stack(columns, dim=1).tolist()
    return [row[: row.index(EOS)] if EOS in row else row for row in rows]


def recurrent(**options: object) -> RecurrentConfig:
    values = {
        "source_vocabulary": VOCABULARY,
        "target_vocabulary": VOCABULARY,
        "embedding_size": 32,
        "encoder_size": 32,
        "decoder_size": 64,
        "attention_size": 32,
        "dropout": 0.0,
    }
    return RecurrentConfig.from_dict({**values, **options})


TRANSFORMER = TransformerConfig(
    source_vocabulary=VOCABULARY,
    target_vocabulary=VOCABULARY,
    d_model=32,
    heads=4,
    encoder_layers=2,
    decoder_layers=2,
    feed_forward_size=64,
    dropout=0.0,
)
NO_ATTENTION = recurrent(
    cell="lstm",
    attention="none",
    encoder_size=128,
    decoder_size=128,
    bidirectional=False,
    reverse_source=True,
)
CASES = [
    pytest.param(NO_ATTENTION, range(3, 6), 500, 1e-2, id="none"),
    pytest.param(recurrent(), range(3, 7), 300, 1e-2, id="additive"),
    pytest.param(
        recurrent(cell="lstm", attention="general", input_feeding=True),
        range(3, 7),
        300,
        1e-2,
        id="general-feeding",
    ),
    pytest.param(TRANSFORMER, range(3, 7), 400, 5e-3, id="transformer"),
]


@pytest.mark.parametrize("task", [copy, reverse])
@pytest.mark.parametrize(("config", "lengths", "steps", "rate"), CASES)
def test_learns(config: ModelConfig, lengths: range, steps: int, rate: float, task: Task) -> None:
    unseen = strings(300, torch.Generator().manual_seed(99), lengths[0], lengths[-1])
    model = train(config, task, unseen, steps=steps, rate=rate)
    source, _ = batch(unseen, task)
    found = greedy(model, source)
    right = sum(
        answer == task(string).tolist() for answer, string in zip(found, unseen, strict=True)
    )
    assert right / len(unseen) >= 0.99
