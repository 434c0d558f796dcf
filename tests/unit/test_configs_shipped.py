"""The settings of models that come along."""

import re
from pathlib import Path

import pytest

from seq2seq.config import Experiment

CONFIGS = Path(__file__).parents[2] / "assets" / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.json")), ids=lambda path: path.stem)
def test_settings_are_of_their_name_and_lead_back_to_a_beginning(path: Path) -> None:
    met = []
    name: str | None = path.stem
    while name is not None:
        assert name not in met
        met.append(name)
        experiment = Experiment.read(CONFIGS / f"{name}.json")
        assert experiment.name == name
        if experiment.begin is not None:
            first = Experiment.read(CONFIGS / f"{experiment.begin}.json")
            assert experiment.data.vocabulary == first.data.vocabulary
            assert experiment.data.languages == first.data.languages
            sizes = {**experiment.model, "dropout": None}
            assert sizes == {**first.model, "dropout": None}
        name = experiment.begin


def test_the_settings_that_the_notes_name_are_there() -> None:
    named = set(re.findall(r"`([\w-]+)\.json`", (CONFIGS / "README.md").read_text("utf-8")))
    assert named
    assert named <= {path.stem for path in CONFIGS.glob("*.json")}
