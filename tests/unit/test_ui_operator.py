"""What the operator's environment variables mean, and which of them are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from seq2seq.ui.operator import Operator, OperatorError


def test_by_default_every_model_of_the_hub_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQ2SEQ_HUB")
    operator = Operator.from_environment()
    assert (operator.hub, operator.models) == ("any", ())
    assert len(operator.listed) >= 12
    assert ("Helsinki-NLP/opus-mt-en-de", (("en", "de"),)) in [
        (entry.id, entry.directions) for entry in operator.listed
    ]


def test_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.json"
    path.write_text('[{"id": "a/b@v1", "directions": ["en-pt-BR"]}]')
    values = {
        "SEQ2SEQ_HUB": "Listed", "SEQ2SEQ_HUB_LIST": str(path), "SEQ2SEQ_MODELS": "x/y, x/z@v2",
        "SEQ2SEQ_MEMORY_MB": "512", "SEQ2SEQ_DOWNLOAD_MB": "100",
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    operator = Operator.from_environment()
    assert operator.models == ("x/y", "x/z@v2")
    assert operator.listed[0].directions == (("en", "pt-BR"),)
    assert (operator.memory_bytes, operator.download_bytes) == (512 * 2**20, 100 * 2**20)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SEQ2SEQ_HUB", "maybe", "SEQ2SEQ_HUB is 'maybe'; it must be one of any, listed, off"),
        ("SEQ2SEQ_MODELS", "no model", "SEQ2SEQ_MODELS: 'no' is no model of the Hub"),
        ("SEQ2SEQ_MEMORY_MB", "-1", "SEQ2SEQ_MEMORY_MB is '-1'"),
        ("SEQ2SEQ_DOWNLOAD_MB", "lots", "SEQ2SEQ_DOWNLOAD_MB is 'lots'"),
        ("SEQ2SEQ_HUB_LIST", "/nowhere.json", "/nowhere.json: cannot be read"),
    ],
)
def test_what_cannot_be_followed_is_named(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQ2SEQ_HUB", "any")
    monkeypatch.setenv(name, value)
    with pytest.raises(OperatorError, match=message):
        Operator.from_environment()


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"id": "a/b"}]', '[{"id": "a", "directions": []}]',
                                  '[{"id": "a/b", "directions": ["en"]}]', "["])  # fmt: skip
def test_odd_lists_are_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    monkeypatch.setenv("SEQ2SEQ_HUB", "listed")
    monkeypatch.setenv("SEQ2SEQ_HUB_LIST", str(path))
    with pytest.raises(OperatorError, match="must hold a list of models"):
        Operator.from_environment()
