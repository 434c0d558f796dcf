"""What a training goes on from must fit it, and ``prepare`` says so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import make_checkpoint

from seq2seq.config import ConfigError, Experiment
from seq2seq.training.prepare import prepare

BOTH = [["fr", "en"], ["en", "fr"]]
MODEL = {"architecture": "transformer", "d_model": 16, "heads": 2}


def experiment(*, begin: str | None = "first", model: Any = (), **data: Any) -> Experiment:
    return Experiment.from_dict(
        {
            "name": "second" if begin else "first",
            "data": {
                "directions": [["fr", "en"]],
                "train": [{"path": "pairs.tsv"}],
                "dev": [{"path": "dev.tsv"}],
                "vocabulary": 400,
                **data,
            },
            "model": {**MODEL, **dict(model)},
            "begin": begin,
        }
    )


@pytest.fixture
def begun(tmp_path: Path) -> Callable[..., None]:
    """Prepare a run that begins with another one in the same folder."""
    pairs = [f"The cat sleeps {n} times.\tLe chat dort {n} fois.\n" for n in range(30)]
    (tmp_path / "pairs.tsv").write_text("".join(pairs[:25]), encoding="utf-8")
    (tmp_path / "dev.tsv").write_text("".join(pairs[25:]), encoding="utf-8")

    def go(settings: Experiment) -> None:
        prepare(settings, data=[tmp_path], out=tmp_path / settings.name)

    return go


def trained(run: Path, settings: Experiment) -> None:
    """As far as ``prepare`` of another run looks at it."""
    size = len(json.loads((run / "dataset" / "vocabulary.json").read_text(encoding="utf-8")))
    model = settings.model_config(source_vocabulary=size, target_vocabulary=size)
    (run / "model.json").write_text(json.dumps(model.to_dict()), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 32}, "model.d_model is 16 in .*first and 32 here"),
        ({"heads": 4}, "model.heads is 2 in .*first and 4 here"),
        ({"norm": "post"}, "model.norm is pre in .*first and post here"),
    ],
)
def test_another_model_is_refused(
    begun: Callable[..., None], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    first = experiment(begin=None)
    begun(first)
    begun(experiment(model=change))  # nobody can tell before the first one is trained
    trained(tmp_path / "first", first)
    with pytest.raises(ConfigError, match=f"^begin: {message}; go on with the same model"):
        begun(experiment(model=change))
    begun(experiment(model={"dropout": 0.3}))


def test_a_vocabulary_learnt_anew_is_refused(begun: Callable[..., None], tmp_path: Path) -> None:
    first = experiment(begin=None)
    begun(first)
    trained(tmp_path / "first", first)
    begun(experiment(begin=None, vocabulary=380))  # after it was trained
    with pytest.raises(ConfigError, match=r"trained with a vocabulary of 4\d\d pieces, here are 3"):
        begun(experiment())


def test_another_architecture_is_refused(begun: Callable[..., None], tmp_path: Path) -> None:
    first = experiment(begin=None)
    begun(first)
    trained(tmp_path / "first", first)
    values = {**experiment().to_dict(), "model": {"architecture": "recurrent"}}
    with pytest.raises(ConfigError, match=r"architecture is transformer in .* and recurrent here"):
        begun(Experiment.from_dict(values))


def test_target_tags_must_be_the_same(begun: Callable[..., None]) -> None:
    begun(experiment(begin=None))
    with pytest.raises(ConfigError, match="first translates into one language, without tags, the"):
        begun(experiment(directions=BOTH))
    begun(experiment(begin=None, directions=BOTH))
    with pytest.raises(ConfigError, match="first translates into several languages, told by tags"):
        begun(experiment())


def test_languages_must_be_the_same(begun: Callable[..., None]) -> None:
    begun(experiment(begin=None, directions=BOTH))
    with pytest.raises(ConfigError, match="the languages fr, en in this order, these settings en"):
        begun(experiment(directions=BOTH[::-1]))
    begun(experiment(begin=None))
    german = {"path": "pairs.tsv", "columns": ["en", "de"]}
    with pytest.raises(ConfigError, match="the languages fr, en, these settings de, en; let"):
        begun(experiment(directions=[["de", "en"]], train=[german], dev=[german]))
    begun(experiment(directions=[["en", "fr"]]))  # without tags the same vocabulary


def test_a_checkpoint_must_fit_as_well(begun: Callable[..., None], tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "first")
    with pytest.raises(ConfigError, match=r"^begin: model\.\w+ is .* in .*first and .* here"):
        begun(experiment(model={"d_model": 2}))
    with pytest.raises(ConfigError, match="first translates into one language"):
        begun(experiment(directions=BOTH))
    model = json.loads((tmp_path / "first" / "config.json").read_text())["model"]
    begun(Experiment.from_dict({**experiment().to_dict(), "model": model}))


def test_a_damaged_beginning_is_named(begun: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokenizer\.json: is missing, .* prepare and train"):
        begun(experiment())
    begun(experiment(begin=None))
    for damage in ("{", "{}", '{"data": {"directions": []}}'):
        (tmp_path / "first" / "dataset" / "dataset.json").write_text(damage)
        with pytest.raises(ConfigError, match=r"^begin: .*first"):
            begun(experiment())
    assert not (tmp_path / "second").exists()
