"""Target pieces per second of a training step, from a plain loop to ours.

    python tests/bench/training_speed.py [--threads 2] [--device cpu]

Each row adds one measure to the row above it; the last one is what ``train`` does. The batch
holds random ids without padding, 256 wide, 3+3 layers, a vocabulary of 8,000.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from seq2seq.config import TrainingConfig, TransformerConfig
from seq2seq.nn import build_model
from seq2seq.nn.dropout import Dropout
from seq2seq.training.data import Batch
from seq2seq.training.machine import describe_machine, keep_freed_memory
from seq2seq.training.optim import MasterAdamW
from seq2seq.training.parallel import LossModule

ROWS, LENGTH, VOCABULARY = 256, 16, 8000


def batch(device: torch.device) -> Batch:
    """Random ids."""
    torch.manual_seed(0)
    shape = (ROWS, LENGTH)
    ids = [torch.randint(4, VOCABULARY, shape, device=device) for _ in range(3)]
    return Batch(source=ids[0], target_in=ids[1], target_out=ids[2], tokens=ROWS * LENGTH)


def plain_dropout(model: nn.Module) -> None:
    """PyTorch's own dropout instead of ours."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Dropout):
                setattr(parent, name, nn.Dropout(child.p))


def plain_step(device: torch.device, *, autocast: bool, ours: bool) -> Callable[[], None]:
    """A step as tutorials write it: all logits at once, AdamW on float32 weights."""
    model = build_model(config()).to(device).train()
    if not ours:
        plain_dropout(model)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3)
    data = batch(device)

    def step() -> None:
        context = (
            torch.autocast(device.type, dtype=torch.bfloat16)
            if autocast
            else contextlib.nullcontext()
        )
        with context:
            logits = model(data.source, data.target_in)
            loss = F.cross_entropy(
                logits.flatten(0, 1).float(), data.target_out.flatten(), label_smoothing=0.1
            )
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()

    return step


def our_step(device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """The step of ``train``: chunked output loss, weights in ``dtype`` with a float32 master."""
    model = build_model(config()).to(device, dtype).train()
    optimizer = MasterAdamW(model, TrainingConfig())
    chunk = 8192 if device.type == "cuda" else 256
    loss = LossModule(model, smoothing=0.1, chunk=chunk)
    data = batch(device)

    def step() -> None:
        loss(data).loss.backward()
        optimizer.collect()
        optimizer.step(rate=1e-3, scale=1 / data.tokens)

    return step


def config() -> TransformerConfig:
    """The size of the embedded model."""
    return TransformerConfig(source_vocabulary=VOCABULARY, target_vocabulary=VOCABULARY)


def speed(step: Callable[[], None], device: torch.device, repeats: int) -> float:
    """Median target pieces per second after two steps of warm-up."""
    seconds = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return ROWS * LENGTH / statistics.median(seconds[2:])


def main() -> None:
    """Print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    rows = [
        ("plain loop, fp32", lambda: plain_step(device, autocast=False, ours=False)),
        ("+ bf16 autocast", lambda: plain_step(device, autocast=True, ours=False)),
        ("+ cheap dropout masks", lambda: plain_step(device, autocast=True, ours=True)),
        ("+ output layer and loss in chunks, fp32", lambda: our_step(device, torch.float32)),
        ("+ bf16 weights, fp32 master", lambda: our_step(device, torch.bfloat16)),
    ]
    print(describe_machine(device, 1))
    results = {}
    for name, build in rows:
        results[name] = round(speed(build(), device, options.repeats))
        print(f"{name:45} {results[name]:>8,} tok/s")
    keep_freed_memory()
    name = "+ freed memory kept (what train does)"
    results[name] = round(speed(our_step(device, torch.bfloat16), device, options.repeats))
    print(f"{name:45} {results[name]:>8,} tok/s")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
