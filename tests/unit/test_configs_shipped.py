"""The settings of models that come along."""

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
        name = experiment.begin
