"""Metadata of model cards, and which files of a folder are uploaded."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from support import make_checkpoint

from seq2seq.hub import HubInputError, with_metadata
from seq2seq.hub.card import body, license_of
from seq2seq.hub.package import read_package

ROOT = Path(__file__).parents[2]
CARD = "---\nlicense: mit\nbase_model: x/y\ntags: [old]\n---\n\n# Title\n\nText --- with a rule.\n"


def results(score: float = 12.34) -> dict[str, Any]:
    settings = {"source": "fr", "target": "en", "file": "tatoeba/en-fr.test.tsv"}
    metrics = {"bleu": score, "chrf": 40.0, "ter": 60.5}
    signatures = {"bleu": "nrefs:1|tok:13a", "chrf": "nc:6", "ter": "tok:tercom"}
    return {"tests": [{**metrics, "signatures": signatures, "settings": settings}]}


def metadata(card: str) -> dict[str, Any]:
    found: dict[str, Any] = ModelCard(card).data.to_dict()
    return found


class TestWithMetadata:
    def test_what_is_said_already_stays(self) -> None:
        card = with_metadata(CARD, name="m", languages=("fr", "en"), datasets=["d"], tags=["new"])
        assert metadata(card) == {
            "license": "mit",
            "base_model": "x/y",
            "tags": ["old", "translation", "new"],
            "library_name": "seq2seq-explorer",
            "pipeline_tag": "translation",
            "language": ["fr", "en"],
            "datasets": ["d"],
        }
        assert body(card) == body(CARD) == "# Title\n\nText --- with a rule.\n"

    def test_a_card_without_metadata(self) -> None:
        card = with_metadata("# Title\n", name="m", license="cc-by-4.0")
        assert card.startswith("---\n")
        assert metadata(card)["license"] == "cc-by-4.0"
        assert body(card) == "# Title\n"

    def test_scores_as_the_hub_lists_them(self) -> None:
        (model,) = metadata(with_metadata(CARD, name="m", results=results()))["model-index"]
        assert model["name"] == "m"
        (result,) = model["results"]
        assert result["task"] == {"type": "translation", "name": "Translation fr-en"}
        assert result["dataset"]["type"] == "tatoeba"
        assert result["dataset"]["config"] == "fr-en"
        assert {m["name"]: m["value"] for m in result["metrics"]} == {
            "BLEU": 12.34, "chrF": 40.0, "TER": 60.5,
        }  # fmt: skip
        assert result["metrics"][0]["args"] == {"signature": "nrefs:1|tok:13a"}

    def test_twice_is_the_same_and_new_scores_replace_old_ones(self) -> None:
        once = with_metadata(CARD, name="m", results=results())
        assert with_metadata(once, name="m", results=results()) == once
        again = with_metadata(once, name="m", results=results(20.0))
        assert "12.34" not in again
        assert metadata(again)["model-index"][0]["results"][0]["metrics"][0]["value"] == 20.0
        assert "12.34" in with_metadata(once, name="m")  # none measured: the old ones stay

    @pytest.mark.parametrize(
        "name", ["fr-en-transformer", "fr-en-gru-additive", "fr-en-lstm-general"]
    )
    def test_the_embedded_models(self, name: str) -> None:
        card = (ROOT / "checkpoints" / name / "README.md").read_text(encoding="utf-8")
        measured = json.loads((ROOT / "assets" / "results" / f"{name}.json").read_text())
        found = with_metadata(card, name=name, results=measured)
        assert body(found) == body(card)
        (model,) = metadata(found)["model-index"]
        assert len(model["results"]) == len(measured["tests"])

    @pytest.mark.parametrize("text", ["---\n[\n---\n", "---\n- a\n---\n", "---\na: b: c\n---\nx"])
    def test_metadata_that_cannot_be_read(self, text: str) -> None:
        with pytest.raises(HubInputError) as caught:
            with_metadata(text, name="m")
        assert str(caught.value) == (
            "README.md: the metadata between the lines --- cannot be read; correct it as YAML"
        )

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [(CARD, "mit"), ("# x\n", None), ("---\nlicense: unknown\n---\n", None), ("", None),
         ("---\nlicense:\n---\n", None), ("---\r\nlicense: mit\r\n---\r\n", "mit")],
    )  # fmt: skip
    def test_licence(self, text: str, wanted: str | None) -> None:
        assert license_of(text) == wanted


class TestPackage:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        make_checkpoint(tmp_path / "tiny")
        (tmp_path / "tiny" / "README.md").write_text(CARD)
        (tmp_path / "tiny" / "optimizer.pt").write_bytes(b"x")
        return tmp_path / "tiny"

    def test_only_what_belongs_to_the_model(self, folder: Path) -> None:
        package = read_package(folder)
        assert (package.name, package.kind) == ("tiny", "seq2seq")
        names = {path.name for path in package.files}
        assert names == {"config.json", "tokenizer.json", "model.safetensors"}
        assert package.total_bytes == sum(path.stat().st_size for path in package.files)

    def test_scores_and_data_are_looked_up_by_name(self, folder: Path, tmp_path: Path) -> None:
        for part, value in {
            "results": results(),
            "configs": {"data": {"train": [{"path": "tatoeba/x.tsv"}, {"path": "tatoeba/y.tsv"}]}},
        }.items():
            (tmp_path / part).mkdir()
            (tmp_path / part / "tiny.json").write_text(json.dumps(value))
        found = metadata(read_package(folder, assets=tmp_path).card)
        assert found["datasets"] == ["tatoeba"]
        assert found["language"] == ["fr", "en"]
        assert found["tags"] == ["old", "translation", "seq2seq", "transformer"]
        assert found["model-index"][0]["name"] == "tiny"

    def test_a_missing_shard(self, folder: Path) -> None:
        shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
        (folder / "model.safetensors").rename(folder / shards[0])
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": dict(enumerate(shards))}))
        with pytest.raises(HubInputError, match=r"00002-of-00002\.safetensors: is missing; copy"):
            read_package(folder)
        index.write_text("{")
        with pytest.raises(HubInputError, match=r"index\.json: cannot be read; copy the whole"):
            read_package(folder)

    def test_the_embedded_models_can_be_pushed(self) -> None:
        for folder in sorted((ROOT / "checkpoints").iterdir()):
            assert license_of(read_package(folder).card) is not None
