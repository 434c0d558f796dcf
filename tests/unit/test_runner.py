from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import ARCHITECTURES, FRENCH, SHORT_SEARCH, make_checkpoint

from seq2seq.checkpoint import load_checkpoint
from seq2seq.config import SearchConfig
from seq2seq.decoding.search import SearchResult, search
from seq2seq.runner import Runner

CPU = "cpu"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_runs_and_stays_close(
    tmp_path: Path, architecture: str, dtype: torch.dtype
) -> None:
    make_checkpoint(tmp_path / "x", architecture=architecture)
    exact = Runner(load_checkpoint(tmp_path / "x"), device=CPU, precision="fp32")
    half = Runner(load_checkpoint(tmp_path / "x"), device=CPU, dtype=dtype)
    text = load_checkpoint(tmp_path / "x").text
    sources = [text.encode(sentence, language="fr").ids for sentence in FRENCH[:200:50]]
    forced = text.encode_prefix("The dog likes a bird", language="en")
    prefixes = [forced] * len(sources)
    wanted = exact.run(sources, config=SHORT_SEARCH, prefixes=prefixes)
    found = half.run(sources, config=SHORT_SEARCH, prefixes=prefixes)
    assert found.precision == ("bf16" if dtype == torch.bfloat16 else "fp16")
    assert half.memory_bytes < exact.memory_bytes
    for ours, theirs in zip(found.results, wanted.results, strict=True):
        first, second = ours.hypotheses[0], theirs.hypotheses[0]
        # The forced pieces are the same, so their probabilities can be compared.
        assert first.tokens[: len(forced)] == second.tokens[: len(forced)] == forced
        assert np.allclose(
            first.token_log_probabilities[: len(forced)],
            second.token_log_probabilities[: len(forced)],
            atol=0.1,
        )
        if first.attention is not None:
            assert np.allclose(first.attention.sum(-1), 1, atol=0.02)


def test_times_the_encoder_apart(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "x")
    runner = Runner(load_checkpoint(tmp_path / "x"), device=CPU, precision="fp32")
    found = runner.run([(5, 6, 2)], config=SHORT_SEARCH, prefixes=[()])
    assert 0 < found.encoder < found.encoder + found.decoder
    assert found.decoder > 0
    assert (found.device, found.precision, found.warnings) == ("cpu", "fp32", ())


def test_a_device_too_small_for_the_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_checkpoint(tmp_path / "x")
    wanted = Runner(load_checkpoint(tmp_path / "x"), device=CPU)
    checkpoint = load_checkpoint(tmp_path / "x")
    move = checkpoint.model.to

    def run_out(*arguments: object) -> None:
        move(torch.float16)  # some of it arrived, rounded
        raise torch.OutOfMemoryError("CUDA out of memory")

    checkpoint.model.to = run_out  # type: ignore[assignment, method-assign]
    poor = Runner(checkpoint, device="cuda:0")
    assert poor.device == CPU
    found, other = (
        runner.run([(5, 6, 2)], config=SHORT_SEARCH, prefixes=[()]) for runner in (poor, wanted)
    )
    assert found.results[0].hypotheses[0].score == other.results[0].hypotheses[0].score
    assert found.device == "cpu"
    assert "cuda:0 has no memory left" in found.warnings[0]
    assert "cuda:0 has no memory left" in caplog.text


def with_room_for(most: int, sizes: list[int]) -> Callable[..., list[SearchResult]]:
    """A search on a device with memory for so many sentences."""

    def small(model: Any, source: Sequence[Sequence[int]], **options: Any) -> list[SearchResult]:
        sizes.append(len(source))
        if len(source) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return search(model, source, **options)

    return small


def test_a_batch_too_large_is_decoded_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_checkpoint(tmp_path / "x")
    runner = Runner(load_checkpoint(tmp_path / "x"), device=CPU, precision="fp32")
    sources = [(5, 6, 2), (7, 2), (8, 9, 5, 2), (6, 2), (9, 2)]
    prefixes = [(), (8,), (), (), (7,)]
    wanted = runner.run(sources, config=SHORT_SEARCH, prefixes=prefixes)
    sizes: list[int] = []
    monkeypatch.setattr("seq2seq.runner.search", with_room_for(2, sizes))
    found = runner.run(sources, config=SHORT_SEARCH, prefixes=prefixes)
    assert sizes == [5, 3, 2, 2, 1]
    for ours, theirs in zip(found.results, wanted.results, strict=True):
        assert ours.hypotheses[0].tokens == theirs.hypotheses[0].tokens
    assert (found.precision, found.warnings) == (wanted.precision, ())
    assert found.decoder > 0


def test_a_batch_of_which_no_sentence_fits_goes_to_the_cpu_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_checkpoint(tmp_path / "x")
    runner = Runner(load_checkpoint(tmp_path / "x"), device=CPU, precision="fp32")
    sizes: list[int] = []
    full = with_room_for(0, sizes)

    def on_the_device(
        model: Any, source: Sequence[Sequence[int]], **options: Any
    ) -> list[SearchResult]:
        poor = len(sizes) < 4
        return full(model, source, **options) if poor else search(model, source, **options)

    monkeypatch.setattr("seq2seq.runner.search", on_the_device)
    shown: list[int] = []
    found = runner.run(
        [(5, 6, 2)] * 8,
        config=SHORT_SEARCH,
        prefixes=[()] * 8,
        on_step=lambda partial: shown.append(len(partial)),
    )
    assert sizes == [8, 4, 2, 1]
    assert len(found.results) == 8
    assert "ran out of memory" in found.warnings[0]
    assert caplog.text.count("ran out of memory") == 1
    assert set(shown) == {8}


def test_whoever_stops_is_stopped_in_a_part_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_checkpoint(tmp_path / "x")
    runner = Runner(load_checkpoint(tmp_path / "x"), device=CPU, precision="fp32")
    monkeypatch.setattr("seq2seq.runner.search", with_room_for(1, []))
    config = SearchConfig(min_length=5, max_length=5)
    found = runner.run(
        [(5, 6, 2)] * 4, config=config, prefixes=[()] * 4, should_stop=lambda row: row == 2
    )
    lengths = [len(result.hypotheses[0].tokens) for result in found.results]
    assert lengths[2] == 1
    assert all(length >= 5 for n, length in enumerate(lengths) if n != 2)
