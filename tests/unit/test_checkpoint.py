import json
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from support import ARCHITECTURES, make_checkpoint, tiny_config, tiny_model, tiny_text

from seq2seq.checkpoint import (
    AttentionChoice,
    CheckpointError,
    CheckpointInfo,
    describe,
    is_checkpoint,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from seq2seq.config import ConfigError, SearchConfig
from seq2seq.stored import count_parameters
from seq2seq.weights import load_weights, save_weights


def logits(model: Any) -> torch.Tensor:
    source = torch.tensor([[5, 6, 7, 2], [8, 2, 0, 0]])
    target = torch.tensor([[1, 9, 10], [1, 11, 0]])
    with torch.inference_mode():
        return model(source, target)


def edit_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_checkpoint(tmp_path / "tiny")
    return tmp_path / "tiny"


class TestRoundTrip:
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_fp32_gives_the_same_logits(self, tmp_path: Path, architecture: str) -> None:
        make_checkpoint(tmp_path / "x", architecture=architecture, seed=7)
        loaded = load_checkpoint(tmp_path / "x")
        original = tiny_model(architecture, vocabulary=loaded.text.vocabulary_size, seed=7)
        assert torch.equal(logits(loaded.model), logits(original))
        assert not loaded.model.training

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    @pytest.mark.parametrize(("storage", "bound"), [("fp16", 2**-10), ("int8", 1 / 127)])
    def test_smaller_formats_stay_within_their_rounding(
        self, tmp_path: Path, architecture: str, storage: Any, bound: float
    ) -> None:
        make_checkpoint(tmp_path / "x", architecture=architecture, storage=storage, seed=7)
        loaded = load_checkpoint(tmp_path / "x")
        original = tiny_model(architecture, vocabulary=loaded.text.vocabulary_size, seed=7)
        for (name, found), (_, wanted) in zip(
            loaded.model.named_parameters(), original.named_parameters(), strict=True
        ):
            largest = wanted.abs().amax(dim=-1, keepdim=True)
            assert ((found - wanted).abs() <= bound * largest + 1e-7).all(), name
            assert found.dtype == torch.float32

    @settings(deadline=None, max_examples=20)
    @given(exponents=st.lists(st.integers(-20, 20), min_size=16, max_size=16))
    def test_int8_scales_every_row_by_itself(self, exponents: list[int]) -> None:
        model: Any = tiny_model(vocabulary=400)
        weight = model.encoder[0].self_attention.project_out.weight
        with torch.no_grad():
            weight.mul_(10.0 ** torch.tensor(exponents, dtype=torch.float32)[:, None])
        wanted = weight.detach().clone()
        with tempfile.TemporaryDirectory() as folder:
            save_weights(Path(folder), model, storage="int8")
            loaded: Any = load_weights(Path(folder), model.config, storage="int8")
        found = loaded.encoder[0].self_attention.project_out.weight
        step = wanted.abs().amax(dim=1, keepdim=True) / 127
        assert ((found - wanted).abs() <= 0.5001 * step).all()

    def test_int8_takes_about_a_quarter(self, tmp_path: Path) -> None:
        sizes = {}
        for storage in ("fp32", "fp16", "int8"):
            make_checkpoint(tmp_path / storage, storage=storage)
            tensors = load_file(tmp_path / storage / "model.safetensors").values()
            sizes[storage] = sum(t.numel() * t.element_size() for t in tensors)
        assert sizes["fp16"] == sizes["fp32"] / 2
        assert sizes["int8"] < 0.4 * sizes["fp32"]  # the rows here are very short

    def test_text_and_settings_come_back(self, tmp_path: Path) -> None:
        search = SearchConfig(beam=7, length_penalty=0.6)
        made = make_checkpoint(
            tmp_path / "x",
            languages=("fr", "en"),
            directions=(("fr", "en"), ("en", "fr")),
            target_tags=True,
            search=search,
        )
        loaded = load_checkpoint(tmp_path / "x")
        assert loaded.info == made == read_checkpoint(tmp_path / "x")
        assert loaded.info.search == search
        text = "Le chat voit la maison."
        wanted = tiny_text(target_tags=True).encode(text, language="fr", target_language="en")
        assert loaded.text.encode(text, language="fr", target_language="en") == wanted

    def test_tied_weights_are_stored_once_and_stay_tied(self, folder: Path) -> None:
        names = load_file(folder / "model.safetensors").keys()
        assert sum("embedding" in name or "output" in name for name in names) == 1
        model: Any = load_checkpoint(folder).model
        assert model.output.weight is model.source_embedding.weight

    def test_shards_and_index(self, tmp_path: Path) -> None:
        model = tiny_model(vocabulary=400)
        save_weights(tmp_path, model, storage="fp32", max_shard_size="20KB")
        shards = list(tmp_path.glob("model-*.safetensors"))
        assert len(shards) >= 2
        assert (tmp_path / "model.safetensors.index.json").exists()
        loaded = load_weights(tmp_path, model.config, storage="fp32")
        assert torch.equal(logits(loaded), logits(model))

    def test_loading_leaves_the_random_numbers_alone(self, folder: Path) -> None:
        torch.manual_seed(3)
        wanted = torch.rand(4)
        torch.manual_seed(3)
        load_checkpoint(folder)
        assert torch.equal(torch.rand(4), wanted)

    def test_files_can_be_read_by_others(self, folder: Path) -> None:
        assert all(path.stat().st_mode & 0o044 == 0o044 for path in folder.iterdir())


class TestRevision:
    def test_same_content_same_revision(self, tmp_path: Path) -> None:
        for place in ("a", "b"):
            make_checkpoint(tmp_path / place / "x")
        first, second = (load_checkpoint(tmp_path / p / "x").revision for p in ("a", "b"))
        assert first == second
        assert len(first) == 12

    def test_changes_with_weights_settings_and_text_but_not_with_the_card(
        self, folder: Path, tmp_path: Path
    ) -> None:
        before = load_checkpoint(folder).revision
        (folder / "README.md").write_text("# words")
        assert load_checkpoint(folder).revision == before
        make_checkpoint(tmp_path / "other" / "tiny", seed=2)
        make_checkpoint(tmp_path / "third" / "tiny", search=SearchConfig(beam=2))
        others = {load_checkpoint(tmp_path / p / "tiny").revision for p in ("other", "third")}
        assert len(others | {before}) == 3


class TestWriting:
    def test_replaces_an_older_checkpoint_whole(self, folder: Path) -> None:
        (folder / "stale.txt").write_text("old")
        make_checkpoint(folder, architecture="gru-additive", storage="int8")
        assert load_checkpoint(folder).info.storage == "int8"
        assert not (folder / "stale.txt").exists()
        assert [path.name for path in folder.parent.iterdir()] == ["tiny"]

    def test_refuses_a_folder_that_is_something_else(self, tmp_path: Path) -> None:
        place = tmp_path / "photos"
        place.mkdir()
        (place / "cat.jpg").write_bytes(b"cat")
        (place / "config.json").write_text("{}")
        with pytest.raises(CheckpointError, match="photos: exists and is not a checkpoint"):
            make_checkpoint(place)
        assert (place / "cat.jpg").read_bytes() == b"cat"

    def test_refuses_a_file_and_a_link(self, tmp_path: Path) -> None:
        make_checkpoint(tmp_path / "real")
        (tmp_path / "file").write_text("x")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        for name in ("file", "link"):
            with pytest.raises(CheckpointError, match="is not a checkpoint"):
                make_checkpoint(tmp_path / name)
        assert (tmp_path / "file").read_text() == "x"

    def test_fills_an_empty_folder(self, tmp_path: Path) -> None:
        (tmp_path / "new").mkdir()
        make_checkpoint(tmp_path / "new")
        assert is_checkpoint(tmp_path / "new")

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_never_writes_weights_that_are_not_numbers(self, folder: Path, value: float) -> None:
        before = load_checkpoint(folder)
        broken = load_checkpoint(folder).model
        with torch.no_grad():
            next(broken.parameters())[0] = value
        with pytest.raises(CheckpointError, match="is not finite"):
            save_checkpoint(folder, broken, before.text, before.info, storage="fp16")
        assert load_checkpoint(folder).revision == before.revision
        assert [path.name for path in folder.parent.iterdir()] == ["tiny"]

    def test_fp16_overflow_is_named(self, folder: Path) -> None:
        loaded = load_checkpoint(folder)
        with torch.no_grad():
            next(loaded.model.parameters())[0] = 1e6
        with pytest.raises(CheckpointError, match="too large for fp16"):
            save_checkpoint(folder, loaded.model, loaded.text, loaded.info, storage="fp16")

    def test_text_of_another_model_is_refused(self, tmp_path: Path) -> None:
        text = tiny_text()
        info = CheckpointInfo(name="x", languages=("fr", "en"), directions=(("fr", "en"),))
        model = tiny_model(vocabulary=text.vocabulary_size + 1)
        with pytest.raises(CheckpointError, match=r"tokenizer has \d+ pieces"):
            save_checkpoint(tmp_path / "x", model, text, info, storage="fp32")
        assert not (tmp_path / "x").exists()

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(CheckpointError, match="cannot be written"):
            make_checkpoint(tmp_path / "file" / "x")

    def test_the_card_comes_along(self, tmp_path: Path) -> None:
        text = tiny_text()
        info = CheckpointInfo(name="x", languages=("fr", "en"), directions=(("fr", "en"),))
        model = tiny_model(vocabulary=text.vocabulary_size)
        save_checkpoint(tmp_path / "x", model, text, info, storage="fp32", card="# Card\n")
        assert (tmp_path / "x" / "README.md").read_text() == "# Card\n"


def set_model(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda config: config["model"].update({key: value})


class TestDamagedSettings:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: c.update(format_version=2), "format version 2 is newer"),
            (lambda c: c.update(format_version=0), "format_version: 0 is not 1"),
            (lambda c: c.pop("format_version"), "no 'format_version'"),
            (lambda c: c.update(extra=1), "unknown key 'extra'"),
            (lambda c: c.pop("model"), "'model' is missing"),
            (lambda c: c.update(storage="fp8"), "'fp8' is not one of"),
            (lambda c: c.update(text="sentencepiece"), "'sentencepiece' is not one of"),
            (lambda c: c.update(languages=["fr", "xx"]), "directions"),
            (lambda c: c.update(directions=[["fr", "fr"]]), "two different languages"),
            (lambda c: c.update(directions=[]), "at least one pair"),
            (lambda c: c.update(attention_default={"layer": 9, "head": 0}), "the model has 2"),
            (set_model("architecture", "mamba"), "'mamba' is not one of"),
            (set_model("heads", 3), "heads: 3 is not a divisor"),
            (set_model("layers", 3), "unknown key 'layers'"),
            (set_model("d_model", 10**30), "too large"),
            (set_model("d_model", 2**40), "too large"),
            (set_model("d_model", 32), "has the shape"),
            (set_model("max_positions", 2**40), "position tables are too large"),
            (set_model("decoder_layers", 10**9), "decoder_layers is 1000000000, at most"),
            (set_model("decoder_layers", 1), "is unexpected"),
            (set_model("decoder_layers", 3), "is missing from the files"),
            (set_model("feed_forward_size", 33), "config.json implies"),
            (set_model("source_vocabulary", 401), "vocabularies of different size"),
            (set_model("eos_id", 5), "eos_id is 2 in the tokenizer, model.eos_id is 5"),
            (lambda c: c.update(storage="int8"), "is missing|is stored as F32"),
        ],
    )
    def test_one_clear_line(
        self, folder: Path, change: Callable[[dict[str, Any]], object], message: str
    ) -> None:
        edit_config(folder, change)
        with pytest.raises(CheckpointError, match=message) as caught:
            load_checkpoint(folder)
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"not json", "is not valid JSON"),
            (b"[1]", "must hold a JSON object"),
            (b"\xff\xfe", "is not UTF-8"),
            (b"[" * 100_000, "is not valid JSON"),
            (b"", "is not valid JSON"),
        ],
    )
    def test_not_json(self, folder: Path, content: bytes, message: str) -> None:
        (folder / "config.json").write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(folder)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
    def test_a_missing_file_is_named(self, folder: Path, name: str) -> None:
        (folder / name).unlink()
        with pytest.raises(CheckpointError, match=name):
            load_checkpoint(folder)

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="nowhere: is not a folder"):
            load_checkpoint(tmp_path / "nowhere")

    @pytest.mark.parametrize("content", [b"{}", b"\x00", b'{"model": 3}', b"[" * 100_000])
    def test_a_damaged_tokenizer(self, folder: Path, content: bytes) -> None:
        (folder / "tokenizer.json").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
            load_checkpoint(folder)


class TestDamagedWeights:
    def test_cut_short_anywhere(self, folder: Path) -> None:
        path = folder / "model.safetensors"
        whole = path.read_bytes()
        for size in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            with pytest.raises(CheckpointError, match=r"model\.safetensors: is damaged"):
                load_checkpoint(folder)

    def test_header_that_lies(self, folder: Path) -> None:
        path = folder / "model.safetensors"
        whole = path.read_bytes()
        length = struct.unpack("<Q", whole[:8])[0]
        for bad in (
            struct.pack("<Q", 2**63) + whole[8:],
            whole[:8] + b"x" * length + whole[8 + length :],
            b"PK\x03\x04" + whole,
        ):
            path.write_bytes(bad)
            with pytest.raises(CheckpointError, match="is damaged"):
                load_checkpoint(folder)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("storage", ["fp32", "fp16", "int8"])
    def test_numbers_that_are_none(self, tmp_path: Path, value: float, storage: Any) -> None:
        make_checkpoint(tmp_path / "x", storage=storage)

        def spoil(weights: dict[str, torch.Tensor]) -> None:
            next(w for w in weights.values() if w.is_floating_point())[0] = value

        edit_weights(tmp_path / "x", spoil)
        with pytest.raises(CheckpointError, match="NaN or infinity"):
            load_checkpoint(tmp_path / "x")

    def test_wrong_shape_missing_unexpected_and_wrong_format(self, folder: Path) -> None:
        name = "encoder_norm.weight"
        cases: list[tuple[Callable[[dict[str, torch.Tensor]], object], str]] = [
            (lambda w: w.update({name: torch.ones(17)}), r"shape \[17\], config.json implies \[16"),
            (lambda w: w.update({name: torch.ones(16).half()}), "is stored as F16"),
            (lambda w: w.update({name: torch.ones(16).long()}), "is stored as I64"),
            (lambda w: w.update(extra=torch.ones(1)), "'extra' is unexpected"),
            (lambda w: w.pop(name), f"'{name}' is missing"),
            (lambda w: w.clear(), "and .* more is missing"),
        ]
        whole = (folder / "model.safetensors").read_bytes()
        for change, message in cases:
            (folder / "model.safetensors").write_bytes(whole)
            edit_weights(folder, change)
            with pytest.raises(CheckpointError, match=message):
                load_checkpoint(folder)

    @pytest.mark.parametrize(
        "file",
        [
            "../outside.safetensors",
            "/etc/passwd",
            "/tmp/x.safetensors",
            "sub/x.safetensors",
            "..\\x.safetensors",
            "C:x.safetensors",
            "model.bin",
            ".hidden.safetensors",
            "a\0.safetensors",
            7,
            None,
        ],
    )
    def test_an_index_that_points_elsewhere(self, folder: Path, file: object) -> None:
        names = load_file(folder / "model.safetensors").keys()
        outside = folder.parent / "outside.safetensors"
        outside.write_bytes((folder / "model.safetensors").read_bytes())
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, file)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(CheckpointError, match="is not the name of a"):
            load_checkpoint(folder)

    @pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": []}', "x"])
    def test_a_damaged_index(self, folder: Path, content: str) -> None:
        (folder / "model.safetensors.index.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"index\.json"):
            load_checkpoint(folder)

    def test_an_index_that_disagrees_or_a_shard_that_is_missing(self, folder: Path) -> None:
        names = list(load_file(folder / "model.safetensors"))
        path = folder / "model.safetensors.index.json"
        path.write_text(json.dumps({"weight_map": dict.fromkeys(names[1:], "model.safetensors")}))
        with pytest.raises(CheckpointError, match="disagrees with"):
            load_checkpoint(folder)
        path.write_text(json.dumps({"weight_map": dict.fromkeys(names, "other.safetensors")}))
        with pytest.raises(CheckpointError, match=r"other\.safetensors: is missing"):
            load_checkpoint(folder)

    def test_a_pickle_is_never_opened(self, folder: Path, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.mkdir, (str(tmp_path / "exploded"),)

        torch.save({"weight": Bomb()}, folder / "model.safetensors")
        with pytest.raises(CheckpointError, match="is damaged"):
            load_checkpoint(folder)
        assert not (tmp_path / "exploded").exists()


class TestInfo:
    def test_wrong_info_is_refused(self) -> None:
        good: dict[str, Any] = {
            "name": "x",
            "languages": ("fr", "en"),
            "directions": (("fr", "en"),),
        }
        CheckpointInfo(**good)
        for bad in (
            {"name": " "},
            {"languages": ()},
            {"languages": ("fr", "en", "fr")},
            {"directions": (("fr", "de"),)},
            {"search": SearchConfig.from_dict({"beam": 1, "sampling": {}})},
        ):
            with pytest.raises(ConfigError):
                CheckpointInfo(**{**good, **bad})
        with pytest.raises(ConfigError):
            AttentionChoice(layer=-1)

    def test_one_line_for_people(self) -> None:
        lines = [describe(tiny_config(name, vocabulary=400)) for name in ARCHITECTURES]
        assert lines[0] == "Transformer, 1+2 layers, 16 wide, 2 heads"
        assert lines[2] == "bidirectional GRU, 1+1 layers, 24 wide, additive attention"
        assert lines[4] == "bidirectional LSTM, 1+1 layers, 24 wide, no attention"

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_parameters_are_counted_without_building(
        self, tmp_path: Path, architecture: str
    ) -> None:
        model = tiny_model(architecture, vocabulary=400)
        assert count_parameters(tmp_path, model.config) == model.parameter_count
