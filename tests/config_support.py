"""The smallest valid settings of every kind, any valid ones, and how others are refused."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import strategies as st

from seq2seq.config import (
    ConfigError,
    DataConfig,
    DataFile,
    Experiment,
    RecurrentConfig,
    SamplingConfig,
    SearchConfig,
    Settings,
    Share,
    TrainingConfig,
    TransformerConfig,
)

Values = dict[str, Any]

SIZES: Values = {"source_vocabulary": 300, "target_vocabulary": 300}
FILE: Values = {"path": "a.tsv", "columns": ["en", "fr"]}
DATA: Values = {"directions": [["fr", "en"]], "train": [FILE], "dev": [FILE]}
EXPERIMENT: Values = {"name": "my", "data": DATA, "model": {"architecture": "transformer"}}

SMALLEST: dict[type[Settings], Values] = {
    RecurrentConfig: SIZES,
    TransformerConfig: SIZES,
    SamplingConfig: {},
    SearchConfig: {},
    DataFile: FILE,
    DataConfig: DATA,
    Share: {"direction": ["fr", "en"], "factor": 2},
    TrainingConfig: {},
    Experiment: EXPERIMENT,
}
"""All settings, each with the keys that have no default."""


def refused(kind: type[Settings], values: object) -> str:
    """The message with which the values are refused: one line."""
    with pytest.raises(ConfigError) as raised:
        kind.from_dict(values)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    return str(raised.value)


# --- Any valid settings for hypothesis --------------------------------------------------------


def of(kind: type[Settings], **chosen: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Settings with these values, and with any of the choices of every ``Literal`` field."""
    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) is Literal and name not in chosen:
            chosen[name] = st.sampled_from(get_args(hint))
    return st.builds(kind, **chosen)


small = st.integers(1, 64)
shares = st.floats(0, 1, exclude_max=True)
vocabulary = st.just(300)
specials = {key: st.integers(0, 299) for key in ("pad_id", "bos_id", "eos_id", "unk_id")}
common = {
    "source_vocabulary": vocabulary,
    "target_vocabulary": vocabulary,
    "share_embeddings": st.booleans(),
    "tie_output": st.booleans(),
    "dropout": shares,
    **specials,
}
recurrent = of(
    RecurrentConfig,
    **common,
    embedding_size=small,
    encoder_layers=small,
    bidirectional=st.booleans(),
    attention=st.sampled_from(["none", "additive", "general"]),
    reverse_source=st.booleans(),
)
transformer = of(
    TransformerConfig,
    **common,
    d_model=small.map(lambda n: 8 * n),
    heads=st.sampled_from([1, 2, 4, 8]),
    max_positions=small,
)
sampling = of(
    SamplingConfig,
    temperature=st.floats(0, 100, exclude_min=True),
    top_k=st.integers(0),
    top_p=st.floats(0, 1, exclude_min=True),
    seed=st.integers(0, 2**63 - 1),
)
beams = of(
    SearchConfig,
    beam=st.integers(5, 64),
    n_best=st.integers(1, 5),
    length_penalty=st.floats(0, 10),
    max_length=st.none() | st.integers(1, 1024),
    length_factor=st.floats(0, 20),
)
draws = of(SearchConfig, beam=st.just(1), n_best=st.integers(1, 64), sampling=sampling)
training = of(
    TrainingConfig,
    learning_rate=st.floats(0, 1, exclude_min=True),
    adam_betas=st.tuples(shares, shares),
    clip_norm=st.floats(0, 1e300),
)
both_ways = st.permutations([("fr", "en"), ("en", "fr")]).map(tuple)
files = of(DataFile, path=st.text(), columns=st.permutations(["en", "fr", "de"]).map(tuple))
data = of(
    DataConfig,
    directions=both_ways,
    train=st.lists(files, min_size=1, max_size=3).map(tuple),
    dev=st.lists(files, min_size=1, max_size=3).map(tuple),
    temperature=st.floats(1, 100),
    join_rate=shares,
)
experiments = of(
    Experiment,
    name=st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]*", fullmatch=True),
    data=data,
    training=training,
    search=beams | draws,
    model=(recurrent | transformer).map(Settings.to_dict),
)
any_settings = recurrent | transformer | beams | draws | training | data | experiments
