"""What a model card says."""

import pytest
from config_support import FILE

from seq2seq.config import Experiment
from seq2seq.nn import build_model
from seq2seq.training.card import began_with, model_card, training_of, with_results

HISTORY = {
    "epoch": 0, "batch": 1, "step": 1200, "tokens": 34567, "seconds": 90.0, "machine": "a laptop",
    "precision": "bf16",
}  # fmt: skip


def card(**data: object) -> str:
    experiment = Experiment.from_dict(
        {
            "name": "toy",
            "data": {
                "directions": [["fr", "en"], ["en", "fr"]], "train": [FILE], "dev": [FILE], **data
            },
            "model": {"architecture": "transformer", "d_model": 16, "heads": 2},
        }
    )  # fmt: skip
    sizes = experiment.model_config(source_vocabulary=300, target_vocabulary=300)
    return model_card(
        experiment,
        model=build_model(sizes),
        dataset={"train": 1234, "vocabulary": 300},
        history=HISTORY,
        average={"checkpoints": [1200]},
        storage="int8",
        results={},
        earlier=[began_with("first", "9 updates")],
    )


def test_it_says_how_the_pairs_were_mixed() -> None:
    plain = card()
    assert "1,234 sentence pairs after cleaning, from:" in plain
    assert "chosen on `a.tsv`; no test sentence was used." in plain
    shared = card(
        temperature=2,
        shares=[{"direction": ["fr", "en"], "factor": 0.5}],
        dev=[{**FILE, "toward": "fr"}],
    )
    assert "repeated (temperature 2), then more or fewer of them (French to English 0.5 " in shared
    assert "chosen on `a.tsv` (French to English had no part in that); no test" in shared


def test_what_came_before_can_be_read_from_it() -> None:
    assert training_of(card(), "toy") == [
        "- began with the weights of `first` (`assets/configs/first.json`): 9 updates",
        "- began with the weights of `toy` (`assets/configs/toy.json`): 1,200 updates, "
        "34,567 target pieces, 2 minutes on a laptop in bf16",
    ]
    assert training_of("Another card.", "toy") == [began_with("toy")]


def test_other_scores_replace_those_it_had() -> None:
    before = card()
    assert with_results(before, {}) == before
    links = {"source": "fr", "target": "en", "sentences": 9, "file": "gold", "symmetrised": 0.25}
    after = with_results(before, {"alignments": [links]})
    assert "- fr-en, 9 sentences of `gold`: 25.0% (both directions joined)\n" in after
    assert with_results(after, {}) == before
    with pytest.raises(ValueError, match="no section of scores"):
        with_results("# A card of one's own", {})
