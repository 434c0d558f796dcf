"""The training loop."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from seq2seq.config import ConfigError, DataConfig, Experiment
from seq2seq.files import write_json
from seq2seq.nn import AnyModel, build_model
from seq2seq.training.average import Average, Weights, best_average, write_tensors
from seq2seq.training.beginning import begin_with
from seq2seq.training.corpus import Direction
from seq2seq.training.data import (
    Batch,
    ParallelIds,
    dev_split,
    make_batch,
    plan_batches,
    train_split,
)
from seq2seq.training.machine import (
    best_device,
    choose_precision,
    describe_machine,
    keep_freed_memory,
    stop_signals,
    summary_log,
)
from seq2seq.training.optim import MasterAdamW, learning_rate
from seq2seq.training.parallel import LossModule, Processes
from seq2seq.training.progress import Progress
from seq2seq.training.state import latest_state, load_state, save_state
from seq2seq.training.validate import Validation, Vocabulary, validate

__all__ = ["Dataset", "TrainingError", "train"]


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why."""


@dataclass(frozen=True)
class Dataset:
    """What ``prepare`` wrote.

    Attributes:
        train: the same pairs, cut into pieces in one or several ways; epochs take turns.
        dev: pairs of each direction that is validated.
        vocabulary: ids to text.
        size: of the vocabulary.
    """

    train: tuple[ParallelIds, ...]
    dev: dict[Direction, ParallelIds]
    vocabulary: Vocabulary
    size: int

    @classmethod
    def open(cls, run: Path, data: DataConfig, model_specials: frozenset[int]) -> Dataset:
        """Open ``run/dataset``; raises :class:`ConfigError` if it is not there or damaged."""
        folder = run / "dataset"
        try:
            pieces = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder}: no prepared dataset here; run prepare first") from error
        return cls(
            train=tuple(ParallelIds.open(folder, train_split(n)) for n in range(data.variants)),
            dev={
                direction: ParallelIds.open(folder, dev_split(direction))
                for direction in data.validated
            },
            vocabulary=Vocabulary(pieces, model_specials),
            size=len(pieces),
        )


def train(
    experiment: Experiment,
    *,
    folder: Path,
    minutes: float | None = None,
    resume: bool = False,
    threads: int | None = None,
    device: str | None = None,
) -> Progress:
    """Train a model and leave its averaged weights in ``folder/model.safetensors``.

    Args:
        experiment: its ``training`` and ``model`` sections; the data must be prepared.
        folder: of the run.
        minutes: wall-clock budget of this call; the state is saved when it is used up, and
            ``resume`` goes on from there, update for update as an unbroken run would.
        resume: go on from the newest saved state.
        threads: of one process on a CPU; None leaves PyTorch's choice.
        device: ``cpu``, ``cuda``, ``mps``; None takes the best there is.

    Raises:
        ConfigError: no prepared data, a state where none was expected, a damaged state.
        TrainingError: the loss is no longer a number.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    where = best_device(device)
    processes = Processes.join(where)
    try:
        return _Run(experiment, folder, where, processes, resume=resume).go(minutes)
    finally:
        processes.leave()


class _Run:
    """One call of :func:`train`."""

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        device: torch.device,
        processes: Processes,
        *,
        resume: bool,
    ) -> None:
        self.folder, self.device, self.processes = folder, device, processes
        self.config = config = experiment.training
        saved = latest_state(folder)
        if saved is not None and not resume:
            raise ConfigError(f"{folder}: holds a training already; add --resume to go on with it")
        self.data = Dataset.open(folder, experiment.data, frozenset({0, 1, 2, 3}))
        model_config = experiment.model_config(
            source_vocabulary=self.data.size, target_vocabulary=self.data.size
        )
        torch.manual_seed(config.seed)
        model = build_model(model_config).to(device)
        tensors: dict[str, Any] = {}
        if saved is not None:
            tensors, progress = load_state(saved)
            self.progress = Progress.from_dict(progress)
        else:
            precision = choose_precision(model, config, self.data.train[0], device)
            self.progress = Progress(precision=precision)
        self.progress.machine = describe_machine(device, processes.count)
        self.chunk = 8192 if device.type == "cuda" else 256
        if self.progress.precision == "bf16":
            model.to(torch.bfloat16)
        self.model: AnyModel = model
        self.optimizer = MasterAdamW(model, config)
        self.loss: nn.Module = processes.wrap(
            LossModule(model, smoothing=config.label_smoothing, chunk=self.chunk)
        )
        if saved is not None:
            try:
                self.optimizer.restore(tensors)
            except (KeyError, RuntimeError) as error:
                raise ConfigError(f"{saved}: does not fit this configuration") from error
        elif experiment.begin is not None:
            begin_with(folder.parent / experiment.begin, self.optimizer, model_config)
        if processes.first:
            write_json(folder / "experiment.json", experiment.to_dict())
            write_json(folder / "model.json", model_config.to_dict())

    def go(self, minutes: float | None) -> Progress:
        """Train until something ends it, then average."""
        deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
        with (
            stop_signals() as stopped,
            summary_log(self.folder / "tensorboard", active=self.processes.first) as log,
        ):
            if self.progress.finished is None:
                reason = self._loop(deadline, stopped, log)
                if self.processes.first:
                    self._save()
                    print(f"{reason}; {self.progress.step} updates done", file=sys.stderr)
        if self.processes.first:
            self._average()
        return self.progress

    def _loop(self, deadline: float, stopped: Callable[[], bool], log: Any) -> str:
        """Updates and validations until a reason to stop, which is returned."""
        config, progress = self.config, self.progress
        self.model.train()
        started, before = time.monotonic(), progress.seconds
        bar = tqdm(
            total=config.max_steps,
            initial=progress.step,
            unit="update",
            disable=None if self.processes.first else True,
        )
        tokens_before = progress.tokens
        with bar:
            for data, group in self._updates():
                norm = self._update(data, group)
                progress.seconds = before + time.monotonic() - started
                rate = (progress.tokens - tokens_before) / (time.monotonic() - started)
                bar.update()
                bar.set_postfix_str(f"{rate:,.0f} tok/s, epoch {progress.epoch}, norm {norm:.2f}")
                if progress.step % config.validate_every == 0:
                    self._validate(rate, log)
                if progress.worse >= config.patience:
                    progress.finished = "dev BLEU no longer rises"
                elif progress.step >= config.max_steps:
                    progress.finished = "all updates done"
                if progress.finished:
                    return progress.finished
                late = time.monotonic() > deadline or stopped()
                if self.processes.agree(float(late), self.device):
                    return "stopped by signal" if stopped() else "time is used up"
        progress.finished = "all epochs done"
        return progress.finished

    def _updates(self) -> Iterator[tuple[ParallelIds, list[Any]]]:
        """Pairs and a group of planned batches of them per update; advances the position."""
        config, progress = self.config, self.progress
        while progress.epoch < config.max_epochs:
            data = self.data.train[progress.epoch % len(self.data.train)]
            plan = plan_batches(
                data.source_lengths,
                data.target_lengths,
                tokens=config.batch_tokens,
                seed=config.seed,
                epoch=progress.epoch,
            )
            while progress.batch < len(plan):
                group = plan[progress.batch : progress.batch + config.accumulate]
                progress.batch += len(group)
                if progress.batch >= len(plan):
                    progress.epoch, progress.batch = progress.epoch + 1, 0
                    yield data, group
                    break
                yield data, group

    def _update(self, data: ParallelIds, group: list[Any]) -> float:
        """Train on one group of batches of ``data``; returns the gradient norm."""
        progress, processes = self.progress, self.processes
        sums = torch.zeros(4, dtype=torch.float64)
        # What is dropped depends on the update and the process alone, so that a resumed
        # training drops the same without storing any generator's state.
        torch.manual_seed(hash((self.config.seed, progress.step, processes.rank)))
        last = len(group) - 1
        for n, rows in enumerate(group):
            batch, weight = self._share(data, rows)
            held = getattr(self.loss, "no_sync", contextlib.nullcontext)
            # With master weights every batch is collected, so every batch must be synchronised.
            with (
                held()
                if n < last and self.progress.precision == "fp32"
                else contextlib.nullcontext()
            ):
                result = self.loss(batch)
                (result.loss * weight).backward()
            self.optimizer.collect()
            figures = torch.stack((result.loss.detach(), result.nll, result.correct)).double()
            sums[:3] += figures.cpu() * weight
            sums[3] += batch.tokens * weight
        sums = processes.sum(sums.to(self.device)).cpu()
        tokens = float(sums[3])
        progress.step += 1
        progress.tokens += int(tokens)
        norm = self.optimizer.step(
            rate=learning_rate(self.config, progress.step), scale=processes.count / tokens
        )
        if not math.isfinite(norm):
            progress.skipped += 1
            if progress.skipped > 20 or not math.isfinite(float(sums[0])):
                raise TrainingError(
                    f"the loss is not a number any more (update {progress.step}); "
                    "try a lower training.learning_rate or training.precision fp32"
                )
        progress.window = [a + float(b) for a, b in zip(progress.window, sums, strict=True)]
        return norm

    def _share(self, data: ParallelIds, rows: Any) -> tuple[Batch, float]:
        """This process's part of a batch; weight 0 if there was no sentence left for it."""
        mine = rows[self.processes.rank :: self.processes.count]
        weight = 1.0 if len(mine) else 0.0
        config = self.model.config
        chosen = mine if len(mine) else rows[:1]
        batch = make_batch(data, chosen, pad=config.pad_id, bos=config.bos_id)
        return batch.to(self.device), weight

    def _validate(self, rate: float, log: Any) -> None:
        """Measure, log, keep the weights if they are among the best, save the state."""
        progress, config = self.progress, self.config
        loss, nll, correct, tokens = progress.window
        progress.window = [0.0] * 4
        if self.processes.first:
            dev = self._measure(config.validation_sentences)
            record = {
                "step": progress.step,
                "epoch": progress.epoch,
                "seconds": round(progress.seconds, 1),
                "tokens": progress.tokens,
                "tokens_per_second": round(rate, 1),
                "rate": learning_rate(config, progress.step),
                "train_loss": loss / tokens,
                "train_nll": nll / tokens,
                "train_accuracy": correct / tokens,
                "dev_loss": dev.loss,
                "dev_perplexity": dev.perplexity,
                "dev_accuracy": dev.accuracy,
                "dev_bleu": dev.bleu,
            }
            progress.curve.append(record)
            self._keep(dev)
            for key in record.keys() - {"step"}:
                log(key, record[key], progress.step)
            tqdm.write(
                f"update {progress.step}, epoch {progress.epoch}: train nll {nll / tokens:.3f}, "
                f"dev nll {dev.loss:.3f}, accuracy {dev.accuracy:.3f}, BLEU {dev.bleu:.2f}, "
                f"{rate:,.0f} tok/s",
                file=sys.stderr,
            )
            self._save()
        progress.worse = int(self.processes.agree(progress.worse, self.device))

    def _measure(self, sentences: int) -> Validation:
        return validate(
            self.model,
            self.data.dev,
            self.data.vocabulary,
            sentences=sentences,
        )

    def _keep(self, dev: Validation) -> None:
        """Store the weights if this is one of the best validations."""
        progress, config = self.progress, self.config
        improved = not progress.best or dev.bleu > progress.best[0][0]
        progress.worse = 0 if improved else progress.worse + 1
        progress.best.append([dev.bleu, progress.step])
        progress.best.sort(key=lambda item: (-item[0], -item[1]))
        dropped = progress.best[config.keep_best :]
        progress.best = progress.best[: config.keep_best]
        if all(step != progress.step for _, step in dropped):
            path = self._best_path(progress.step)
            path.parent.mkdir(exist_ok=True)
            write_tensors(path, self.optimizer.weights())

    def _best_path(self, step: float) -> Path:
        return self.folder / "best" / f"{int(step):09d}.safetensors"

    def _save(self) -> None:
        progress = self.progress.to_dict()
        save_state(self.folder, self.progress.step, self.optimizer.state(), progress)
        write_json(self.folder / "history.json", progress)
        kept = {self._best_path(step) for _, step in self.progress.best}
        for path in (self.folder / "best").glob("*.safetensors"):
            if path not in kept:
                path.unlink()

    def _average(self) -> None:
        """Write ``model.safetensors`` from the best checkpoints and restore the weights.

        Before the first validation there is none yet: then from the weights as they are.
        """
        steps = [int(step) for _, step in self.progress.best]
        current = self.optimizer.weights()

        def dev_bleu(weights: Weights) -> float:
            self.optimizer.load_weights(weights)
            return self._measure(sum(map(len, self.data.dev.values()))).bleu

        if steps:
            result = best_average([self._best_path(step) for step in steps], dev_bleu)
            self.optimizer.load_weights(current)
        else:
            steps = [self.progress.step]
            result = Average(weights=current, count=1, bleu=dev_bleu(current))
        write_tensors(self.folder / "model.safetensors", result.weights)
        average = {"checkpoints": steps[: result.count], "dev_bleu": result.bleu}
        write_json(self.folder / "average.json", average)
