"""Settings through JSON and back, and everything that they refuse."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from config_support import EXPERIMENT, FILE, SIZES, SMALLEST, Values, any_settings, refused
from hypothesis import given, settings

from seq2seq.config import (
    ConfigError,
    DataConfig,
    DataFile,
    Experiment,
    ModelConfig,
    RecurrentConfig,
    SamplingConfig,
    SearchConfig,
    Settings,
    Share,
    TrainingConfig,
    TransformerConfig,
    read_json,
)


def through_json(config: Settings) -> Settings:
    return type(config).from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False)))


# --- Through JSON and back --------------------------------------------------------------------


@pytest.mark.parametrize("kind", SMALLEST)
def test_defaults_survive_json(kind: type[Settings]) -> None:
    config = kind.from_dict(SMALLEST[kind])
    again = through_json(config)
    assert again == config
    assert type(again) is kind
    assert set(config.to_dict()) == {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]


@settings(deadline=None, max_examples=120)
@given(any_settings)
def test_any_settings_survive_json(config: Settings) -> None:
    again = through_json(config)
    assert again == config
    assert again.to_dict() == config.to_dict()


def test_json_lists_become_tuples_and_objects_settings() -> None:
    config = Experiment.from_dict({**EXPERIMENT, "search": {"beam": 1, "sampling": {"seed": 7}}})
    assert config.data.directions == (("fr", "en"),)
    assert config.data.train == (DataFile(path="a.tsv", columns=("en", "fr")),)
    assert config.search.sampling == SamplingConfig(seed=7)
    assert config.training == TrainingConfig()


def test_nested_settings_may_be_given_as_they_are() -> None:
    given_as_is = SearchConfig.from_dict({"beam": 1, "sampling": SamplingConfig(seed=7)})
    assert given_as_is == SearchConfig(beam=1, sampling=SamplingConfig(seed=7))


def test_whole_numbers_stand_for_fractions() -> None:
    value = SearchConfig.from_dict({"length_penalty": 2}).length_penalty
    assert (value, type(value)) == (2.0, float)


# --- Wrong keys and kinds ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", SMALLEST)
def test_unknown_keys_are_named(kind: type[Settings]) -> None:
    message = refused(kind, {**SMALLEST[kind], "beem": 5})
    assert message.startswith(f"{kind.__name__}: unknown key 'beem' (known: ")
    assert all(f.name in message for f in dataclasses.fields(kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", SMALLEST)
def test_missing_keys_are_named(kind: type[Settings]) -> None:
    for key in SMALLEST[kind]:
        if (kind, key) == (DataFile, "columns"):
            continue  # has a default
        rest = {k: v for k, v in SMALLEST[kind].items() if k != key}
        assert refused(kind, rest) == f"{kind.__name__}: key '{key}' is missing"


@pytest.mark.parametrize("value", [None, 7, "text", [], [["beam", 5]]])
def test_settings_are_an_object(value: object) -> None:
    for kind in (*SMALLEST, ModelConfig):
        assert "must be a JSON object, not" in refused(kind, value)


DEEP: Any = "end"
for _ in range(5000):
    DEEP = [DEEP]

WRONG_KINDS: list[tuple[type[Settings], str, object, str]] = [
    (SearchConfig, "beam", True, "True is not of type int"),
    (SearchConfig, "beam", 5.0, "5.0 is not of type int"),
    (SearchConfig, "beam", "5", "'5' is not of type int"),
    (SearchConfig, "beam", None, "None is not of type int"),
    (SearchConfig, "beam", DEEP, "is not of type int"),
    (SearchConfig, "max_length", True, "True is not of type int"),
    (SearchConfig, "length_penalty", True, "True is not of type float"),
    (SearchConfig, "length_penalty", "1", "'1' is not of type float"),
    (SearchConfig, "length_penalty", None, "None is not of type float"),
    (SearchConfig, "length_formula", "Wu", "'Wu' is not one of 'power', 'wu'"),
    (SearchConfig, "length_formula", ["wu"], "['wu'] is not one of 'power', 'wu'"),
    (SearchConfig, "length_formula", DEEP, "is not one of 'power', 'wu'"),
    (SearchConfig, "sampling", 5, "SamplingConfig: must be a JSON object, not int"),
    (SearchConfig, "sampling", {"seed": "x"}, "SamplingConfig.seed: 'x' is not of type int"),
    (SearchConfig, "sampling", {"seeds": 1}, "SamplingConfig: unknown key 'seeds'"),
    (TransformerConfig, "share_embeddings", 1, "1 is not of type bool"),
    (TransformerConfig, "architecture", "recurrent", "'recurrent' is not one of 'transformer'"),
    (TrainingConfig, "adam_betas", 0.9, "must be a list"),
    (TrainingConfig, "adam_betas", "ab", "must be a list"),
    (TrainingConfig, "adam_betas", [0.9], "must hold 2 values, not 1"),
    (TrainingConfig, "adam_betas", [0.9, 0.98, 0.99], "must hold 2 values, not 3"),
    (TrainingConfig, "adam_betas", [0.9, None], "None is not of type float"),
    (DataFile, "path", 7, "7 is not of type str"),
    (DataFile, "columns", "en", "must be a list"),
    (DataFile, "columns", ["en", 7], "7 is not of type str"),
    (DataConfig, "directions", ["fr", "en"], 'instance [["fr", "en"]], not ["fr", "en"]'),
    (DataConfig, "directions", [["fr"]], 'instance [["fr", "en"]], not [["fr"]]'),
    (DataConfig, "directions", DEEP, 'instance [["fr", "en"]], not [[[['),
    (DataConfig, "zero_shot", "fr-en", 'must be a list of pairs of languages, for instance [["fr"'),
    (Share, "direction", "fr-en", 'must be a pair of languages, for instance ["fr", "en"], not "f'),
    (DataConfig, "train", [["a.tsv"]], "DataFile: must be a JSON object, not list"),
    (DataConfig, "train", [{**FILE, "column": 1}], "DataFile: unknown key 'column'"),
    (Experiment, "model", {"architecture": DEEP}, "ModelConfig.architecture: [[[[[["),
    (Experiment, "model", "transformer", "'transformer' is not of type dict"),
    (Experiment, "data", None, "DataConfig: must be a JSON object, not NoneType"),
]


@pytest.mark.parametrize(("kind", "key", "value", "message"), WRONG_KINDS)
def test_values_of_the_wrong_kind(
    kind: type[Settings], key: str, value: object, message: str
) -> None:
    found = refused(kind, {**SMALLEST[kind], key: value})
    assert message in found
    if "Config:" not in message and "Config." not in message and "DataFile" not in message:
        assert found.startswith(f"{kind.__name__}.{key}: ")
    assert len(found) < 300


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400, -(10**400)])
def test_numbers_are_finite(number: float) -> None:
    for kind, smallest in SMALLEST.items():
        hints = get_type_hints(kind)
        for key in (key for key, hint in hints.items() if hint is float):
            assert refused(kind, {**smallest, key: number}).startswith(f"{kind.__name__}.{key}: ")
    assert "TrainingConfig.adam_betas" in refused(TrainingConfig, {"adam_betas": [0.9, number]})


# --- Architectures ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"), [("recurrent", RecurrentConfig), ("transformer", TransformerConfig)]
)
def test_architecture_chooses_the_settings(name: str, kind: type[ModelConfig]) -> None:
    config = ModelConfig.from_dict({**SIZES, "architecture": name})
    assert type(config) is kind
    assert config.architecture == name
    assert ModelConfig.registry[name] is kind
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", ["rnn", "", None, 5, ["transformer"], True])
def test_unknown_architectures_are_refused(name: object) -> None:
    message = refused(ModelConfig, {**SIZES, "architecture": name})
    assert message == f"ModelConfig.architecture: {name!r} is not one of recurrent, transformer"


def test_keys_of_another_architecture_are_unknown() -> None:
    message = refused(ModelConfig, {**SIZES, "architecture": "recurrent", "heads": 4})
    assert message.startswith("RecurrentConfig: unknown key 'heads'")


@pytest.mark.parametrize("sizes", [{}, SIZES])
def test_experiment_completes_the_model(sizes: Values) -> None:
    chosen = {"architecture": "transformer", **sizes}
    config = Experiment.from_dict({**EXPERIMENT, "model": chosen})
    model = config.model_config(source_vocabulary=500, target_vocabulary=500)
    assert model == TransformerConfig(source_vocabulary=500, target_vocabulary=500)


# --- Files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"{'beam': 5}", "is not valid JSON"),
        (b'\xef\xbb\xbf{"beam": 5}', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not valid JSON"),
        (b'{"beam": 5, "beam": 6}', "key 'beam' occurs twice"),
        (b'{"a": [{"b": 1, "c": 2, "c": 2}]}', "key 'c' occurs twice"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8 text"),
        (b"[]", "must hold a JSON object"),
        (b"null", "must hold a JSON object"),
    ],
)
def test_files_that_hold_no_json_object(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    for read in (read_json, Experiment.read):
        with pytest.raises(ConfigError) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}: ")
        assert str(raised.value).count(str(path)) == 1
        assert message in str(raised.value)
        assert "\n" not in str(raised.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.json: cannot be read \(No such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        read_json(tmp_path)


def test_reading_an_object(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"é": [1, {"b": null}]}', encoding="utf-8")
    assert read_json(path) == {"é": [1, {"b": None}]}


def test_reading_an_experiment(tmp_path: Path) -> None:
    path = tmp_path / "my.json"
    path.write_text(json.dumps(EXPERIMENT), encoding="utf-8")
    assert Experiment.read(path) == Experiment.from_dict(EXPERIMENT)


def test_errors_of_an_experiment_name_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("name")  # also a word of the message
    path.write_text(json.dumps({**EXPERIMENT, "name": "a b"}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^name: Experiment\.name: 'a b' is not letters"):
        Experiment.read(path)
    path.write_text(json.dumps({**EXPERIMENT, "training": {"seed": 1e999}}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^name: TrainingConfig\.seed: inf is not of type int"):
        Experiment.read(path)


def test_changed_checks_what_is_said() -> None:
    base = SearchConfig()
    assert base.changed(beam=3, length_penalty=2) == SearchConfig(beam=3, length_penalty=2.0)
    assert type(base.changed(length_penalty=2).length_penalty) is float
    for wrong in ({"beam": 2.5}, {"beam": True}, {"beam": 0}, {"beem": 1}, {"stopping": "late"}):
        with pytest.raises(ConfigError):
            base.changed(**wrong)


def test_what_a_class_knows_is_no_setting() -> None:
    with pytest.raises(ConfigError, match="unknown key 'registry'"):
        TransformerConfig.from_dict({"registry": {}})
