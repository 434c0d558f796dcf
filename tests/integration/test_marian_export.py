"""What we export, transformers and CTranslate2 load and translate as we do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctranslate2
import pytest
import torch
from marian_support import sample_lines
from transformers import MarianMTModel, MarianTokenizer

from seq2seq import Translator
from seq2seq.checkpoint import CheckpointError, CheckpointInfo, save_checkpoint
from seq2seq.cli import main
from seq2seq.config import RecurrentConfig, SearchConfig, TransformerConfig
from seq2seq.formats import load_model
from seq2seq.marian.export import export_marian, new_ids
from seq2seq.nn import build_model
from seq2seq.text.moses_bpe import MosesBpe

SIZES: dict[str, Any] = {
    "d_model": 32, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "feed_forward_size": 48,
    "norm": "post", "zero_start": True, "pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3,
}  # fmt: skip


def checkpoint(folder: Path, *, tags: bool = False, config: dict[str, Any] | None = None) -> Path:
    """A checkpoint of ours with random weights and a real vocabulary."""
    languages = ("en", "fr", "de", "zh") if tags else ("fr", "en")
    text = MosesBpe.train(
        [(code, line) for code in languages for line in sample_lines(code)],
        languages=languages, vocabulary_size=1000, target_tags=tags, minimum_character_count=2,
    )  # fmt: skip
    size = text.vocabulary_size
    torch.manual_seed(3)
    model = build_model(
        TransformerConfig(
            source_vocabulary=size, target_vocabulary=size, **{**SIZES, **(config or {})}
        )
    ).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.copy_(torch.randn_like(weight) * 0.25)
        if model.config.to_dict()["output_bias"]:
            model.output.bias[:2] = -1e4  # transformers gives no mass to padding and bos
            model.output.bias[2] = 4  # so that outputs end now and then
    info = CheckpointInfo(
        name="tiny", languages=languages, target_tags=tags,
        directions=tuple((languages[0], code) for code in languages[1:]),
        search=SearchConfig(
            beam=4, n_best=4, max_length=22, forced_end=True, stopping="heuristic"
        ),
    )  # fmt: skip
    save_checkpoint(folder, model, text, info, storage="fp32")
    return folder


@pytest.fixture(scope="module", params=[
    {"tags": False, "config": {"positions": "sinusoidal-halves", "output_bias": True}},
    {"tags": False, "config": {"positions": "sinusoidal", "activation": "gelu"}},
    {"tags": True, "config": {"positions": "sinusoidal-halves", "encoder_layers": 1,
                              "output_bias": True, "scale_embeddings": False}},
], ids=["as Marian", "positions alternate", "target tags"])  # fmt: skip
def folders(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("export")
    ours = checkpoint(root / "ours", **request.param)
    assert main(["export", "--model", str(ours), str(root / "theirs")]) == 0
    return ours, root / "theirs"


def read(ours: Path) -> tuple[MosesBpe, str, str, list[int], dict[int, int]]:
    """Text pipeline, languages, our ids by the exported ones, and the way back."""
    loaded = load_model(ours)
    text = loaded.text
    assert isinstance(text, MosesBpe)
    source, target = loaded.info.directions[0]
    order = new_ids(text)
    return text, source, target, order, {old: new for new, old in enumerate(order)}


def test_their_tokenizer_cuts_prepared_text_as_ours_does(folders: tuple[Path, Path]) -> None:
    text, _, target, order, _ = read(folders[0])
    theirs: Any = MarianTokenizer.from_pretrained(folders[1])
    lines = [(code, line) for code in text.languages for line in sample_lines(code)]
    equal = 0
    for code, line in lines:
        tag = f">>{target}<<" if text.tag(target) else ""
        found = theirs(tag + text.words(line, language=code)).input_ids
        expected = list(text.encode(line, language=code, target_language=target).ids)
        equal += [order[number] for number in found] == expected
    assert equal / len(lines) > 0.97  # SentencePiece may merge what we never learned to


def test_transformers_translates_as_we_do(folders: tuple[Path, Path]) -> None:
    _, source, target, order, new = read(folders[0])
    model: Any = MarianMTModel.from_pretrained(folders[1], attn_implementation="eager").eval()
    translator = Translator.load(str(folders[0]), precision="fp32")
    lines = sample_lines(source)[:8]
    for line, ours in zip(
        lines, translator.translate(lines, source=source, target=target), strict=True
    ):
        ids = torch.tensor([[new[number] for number in ours.source.ids]])
        with torch.no_grad():
            theirs = model.generate(
                input_ids=ids, return_dict_in_generate=True, output_scores=True,
                output_attentions=True, num_return_sequences=4,
            )  # fmt: skip
        rows = [[order[n] for n in row[1:] if 0 < n < len(order) - 1]
                for row in theirs.sequences.tolist()]  # fmt: skip
        assert [[n for n in one.target.ids if n != 2] for one in ours.n_best] == rows, line
        scores = torch.tensor([one.score for one in ours.n_best])
        exact = translator.info.model.to_dict()["output_bias"]
        assert (scores - theirs.sequences_scores).abs().max() < (1e-4 if exact else 0.02)


def test_ctranslate2_translates_as_we_do(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, source, target, order, new = read(folders[0])
    ctranslate2.converters.TransformersConverter(str(folders[1])).convert(str(tmp_path / "ct2"))
    engine = ctranslate2.Translator(str(tmp_path / "ct2"), compute_type="float32")
    theirs: Any = MarianTokenizer.from_pretrained(folders[1])
    translator = Translator.load(str(folders[0]), precision="fp32")
    lines = sample_lines(source)[:12]
    for ours in translator.translate(lines, source=source, target=target, beam=1, n_best=1):
        pieces = theirs.convert_ids_to_tokens([new[number] for number in ours.source.ids])
        found = engine.translate_batch(
            [pieces], beam_size=1, max_decoding_length=22, min_decoding_length=0
        )[0]
        ids = [order[n] for n in theirs.convert_tokens_to_ids(found.hypotheses[0])]
        assert [n for n in ours.target.ids if n != 2] == ids


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm": "pre"}, "norm is 'pre' and cannot be exported to Marian"),
        ({"zero_start": False}, "zero_start is False"),
        ({"positions": "learned"}, "positions is 'learned'"),
        ({"tie_output": False}, "tie_output is False"),
        ({"share_embeddings": False}, "share_embeddings is False"),
    ],
)
def test_what_marian_lacks_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    ours = load_model(checkpoint(tmp_path / "ours", config=change))
    with pytest.raises(CheckpointError, match=message):
        export_marian(ours, tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()


def test_other_things_are_neither_exported_nor_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = checkpoint(tmp_path / "ours")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert main(["export", "--model", str(ours), str(tmp_path / "mine")]) == 2
    assert "exists and is no earlier export" in capsys.readouterr().err
    assert main(["export", "--model", str(ours), str(ours)]) == 2  # not even onto itself
    assert load_model(ours).info.name == "tiny"
    text = load_model(ours).text
    size = text.vocabulary_size
    model = build_model(RecurrentConfig(source_vocabulary=size, target_vocabulary=size)).eval()
    info = CheckpointInfo(name="rnn", languages=("fr", "en"), directions=(("fr", "en"),))
    save_checkpoint(tmp_path / "rnn", model, text, info, storage="fp16")
    assert main(["export", "--model", str(tmp_path / "rnn"), str(tmp_path / "out")]) == 2
    assert "only Transformers that we trained" in capsys.readouterr().err
    assert main(["export", "--model", str(ours), str(tmp_path / "out")]) == 0
    with pytest.raises(CheckpointError, match="was exported for other programs"):
        load_model(tmp_path / "out")
