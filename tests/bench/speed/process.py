"""Contenders in processes of their own, of which only one runs at a time.

Threads of an engine that has answered may go on waiting for work in a loop, so a process is
stopped between its turns.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from speed.adapters import Contender

__all__ = ["Answer", "Running"]

_CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class Answer:
    """What one turn gave.

    Attributes:
        seconds: of every repetition.
        tokens: of every sentence.
        peak: largest memory so far in MB, of all processes of the contender together.
        resident: memory now.
    """

    seconds: list[float]
    tokens: list[list[int]]
    peak: float
    resident: float


class Running:
    """A contender that has been started and has loaded its model; a context manager.

    Attributes:
        loading: seconds from the start of its process until the model was loaded.
        peak: MB at that time.
        cpu: processor seconds until its last answer.
    """

    def __init__(self, contender: Contender, folder: Path) -> None:
        self.contender = contender
        said = json.dumps(asdict(contender))
        common = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
        environment = {**os.environ, **common, **contender.environment}
        started = time.perf_counter()
        self._processes = [
            subprocess.Popen(
                [sys.executable, str(_CHILD), str(folder), said],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for _ in range(contender.processes)
        ]
        first = [self._read(process) for process in self._processes]
        self.loading = time.perf_counter() - started
        self.peak = sum(one.get("peak", 0.0) for one in first)
        self.cpu = sum(one["cpu"] for one in first)
        self._pause()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
            assert process.stdin is not None
            process.stdin.close()
            process.wait()

    def ready(self) -> None:
        """Have it as fast as it becomes."""
        self._ask([{"ready": True}] * len(self._processes))

    def forget(self) -> float:
        """Begin to look for a new peak; memory now in MB."""
        answers = self._ask([{"forget": True}] * len(self._processes))
        return sum(float(one["resident"]) for one in answers)

    def run(
        self,
        sources: Sequence[list[int]],
        *,
        beam: int,
        tokens: int,
        skip: int = 0,
        repeat: int = 1,
    ) -> Answer:
        """Translate ``skip + repeat`` times and time the last ``repeat`` ones.

        Several processes begin at the same time, each with its part, and it takes as long as the
        last of them does.
        """
        count = len(self._processes)
        parts = [list(sources[n * len(sources) // count : (n + 1) * len(sources) // count])
                 for n in range(count)]  # fmt: skip
        work = {"beam": beam, "tokens": tokens, "skip": skip, "repeat": repeat}
        if count == 1:
            answers = self._ask([{"sources": parts[0], **work}])
            seconds = answers[0]["seconds"]
        else:  # each repetition begins together
            seconds = []
            for number in range(skip + repeat):
                once = {**work, "skip": 0, "repeat": 1}
                answers = self._ask([{"sources": part, **once} for part in parts])
                if number >= skip:
                    seconds.append(max(one["seconds"][0] for one in answers))
        return Answer(
            seconds=seconds,
            tokens=[ids for one in answers for ids in one["tokens"]],
            peak=sum(one.get("peak", 0.0) for one in answers),
            resident=sum(one.get("resident", 0.0) for one in answers),
        )

    def _ask(self, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
        for process, request in zip(self._processes, requests, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        answers = [self._read(process) for process in self._processes]
        self.cpu = sum(one["cpu"] for one in answers)
        self._pause()
        return answers

    def _pause(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)

    def _read(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.contender.label}: ended with status {process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer
