"""What each setting may be, alone and together with the others."""

import pytest
from config_support import DATA, FILE, SIZES, SMALLEST, Values, refused

from seq2seq.config import (
    ConfigError,
    DataConfig,
    DataFile,
    Experiment,
    RecurrentConfig,
    SamplingConfig,
    SearchConfig,
    Settings,
    TrainingConfig,
    TransformerConfig,
)

OUT_OF_RANGE: list[tuple[type[Settings], str, list[object]]] = [
    (SamplingConfig, "temperature", [0, 100.1]),
    (SamplingConfig, "top_k", [-1]),
    (SamplingConfig, "top_p", [0, 1.01]),
    (SamplingConfig, "seed", [-1, 2**63]),
    (SearchConfig, "beam", [0, 65]),
    (SearchConfig, "n_best", [0, 6, 65]),
    (SearchConfig, "length_penalty coverage_penalty", [-0.1, 10.1]),
    (SearchConfig, "no_repeat_ngram", [-1, 21]),
    (SearchConfig, "min_length", [-1]),
    (SearchConfig, "max_length", [0, 1025]),
    (SearchConfig, "length_factor", [-0.1, 20.1]),
    (SearchConfig, "length_margin", [-1, 513]),
    (SearchConfig, "trace_candidates", [0, 51]),
    (TransformerConfig, "source_vocabulary target_vocabulary", [4]),
    (TransformerConfig, "dropout", [-0.1, 1]),
    (TransformerConfig, "pad_id bos_id eos_id unk_id", [-1, 300]),
    (TransformerConfig, "d_model heads feed_forward_size max_positions", [0]),
    (TransformerConfig, "encoder_layers decoder_layers", [0]),
    (TransformerConfig, "heads", [3, -4]),
    (RecurrentConfig, "embedding_size encoder_size decoder_size attention_size", [0]),
    (RecurrentConfig, "encoder_layers decoder_layers", [0]),
    (DataFile, "columns", [[], ["en"], ["en", "en"], ["en", "fr", "en"]]),
    (DataFile, "toward", ["de"]),
    (DataConfig, "directions", [[], [["fr", "fr"]], [["fr", "en"], ["fr", "en"]]]),
    (DataConfig, "train dev", [[]]),
    (DataConfig, "vocabulary", [299, 65536]),
    (DataConfig, "max_pieces max_ratio", [1]),
    (DataConfig, "temperature", [0.9, 101]),
    (DataConfig, "join_rate copy_rate bpe_dropout", [-0.1, 1]),
    (DataConfig, "variants", [0, 101]),
    (TrainingConfig, "batch_tokens accumulate max_epochs max_steps validate_every", [0]),
    (TrainingConfig, "warmup_steps validation_sentences patience keep_best", [0]),
    (TrainingConfig, "learning_rate", [0, 1.1]),
    (TrainingConfig, "label_smoothing", [-0.1, 1]),
    (TrainingConfig, "weight_decay clip_norm", [-0.1]),
    (TrainingConfig, "adam_betas", [[1, 0.9], [0.9, -0.1]]),
    (Experiment, "name", ["", ".", "..", ".hidden", "a/b", "a b", "é", "-", "a\n"]),
]
CASES = [
    (kind, key, v) for kind, keys, values in OUT_OF_RANGE for key in keys.split() for v in values
]


@pytest.mark.parametrize(("kind", "key", "value"), CASES)
def test_values_out_of_range_are_named(kind: type[Settings], key: str, value: object) -> None:
    message = refused(kind, {**SMALLEST[kind], key: value})
    assert message.startswith(f"{kind.__name__}.{key}: ")
    assert " is not " in message


def test_ranges_include_their_ends() -> None:
    SamplingConfig(temperature=100, top_k=0, top_p=1, seed=2**63 - 1)
    SearchConfig(beam=64, n_best=64, length_penalty=10, no_repeat_ngram=20, max_length=1024)
    SearchConfig(beam=1, min_length=1, max_length=1, length_factor=0, trace_candidates=50)
    TransformerConfig(source_vocabulary=5, target_vocabulary=5, dropout=0, pad_id=4)
    DataConfig.from_dict({**DATA, "vocabulary": 65535, "max_pieces": 2, "join_rate": 0})
    DataConfig.from_dict({**DATA, "vocabulary": 300, "temperature": 100, "copy_rate": 0})
    TrainingConfig(learning_rate=1, label_smoothing=0, clip_norm=0, adam_betas=(0, 0))


# --- Rules between keys -----------------------------------------------------------------------

TWO = {"directions": [["fr", "en"], ["de", "en"]]}
TO_FR = {**FILE, "toward": "fr"}
FR_MORE = {"direction": ["fr", "en"], "factor": 2}
DE_MORE = {**FR_MORE, "direction": ["de", "en"]}

CONTRADICTIONS: list[tuple[type[Settings], Values, str]] = [
    (SearchConfig, {"beam": 2, "n_best": 3}, "n_best: 3 is not at most the beam (2)"),
    (SearchConfig, {"beam": 2, "sampling": {}}, "beam: 2 is not 1, which sampling needs"),
    (SearchConfig, {"min_length": 9, "max_length": 8}, "min_length: 9 is not at most max_length"),
    (TransformerConfig, {"target_vocabulary": 301}, "share_embeddings: True is not possible"),
    (TransformerConfig, {"d_model": 30}, "heads: 4 is not a divisor of 30"),
    (TransformerConfig, {"d_model": 15, "heads": 3}, "d_model: 15 is not even"),
    (RecurrentConfig, {"attention": "dot", "encoder_size": 100}, "attention: 'dot' is not"),
    (RecurrentConfig, {"attention": "dot", "bidirectional": False}, "attention: 'dot' is not"),
    (RecurrentConfig, {"input_feeding": True}, "input_feeding: True is not possible"),
    (RecurrentConfig, {"input_feeding": True, "attention": "none"}, "input_feeding: True is not"),
    (DataConfig, {"variants": 2}, "DataConfig.variants: 2 is not 1, as without bpe_dropout"),
    (DataConfig, {"zero_shot": [["en", "fr"]]}, "DataConfig.zero_shot: "),
    (DataConfig, TWO, "DataConfig.train: no file serves de to en"),
    (DataConfig, {"shares": [DE_MORE]}, "shares: de to en is none of the directions (fr to en); a"),
    (DataConfig, {"shares": [FR_MORE, FR_MORE]}, "DataConfig.shares: fr to en stands there twice"),
    (DataConfig, {"directions": [["fr", "fr"]]}, 'directions: [["fr", "fr"]] is not between two'),
    (DataConfig, {"dev": [TO_FR]}, "DataFile.columns: a.tsv has ['en', 'fr'], which serves none"),
    (DataConfig, {"train": [FILE, {**FILE, "columns": ["de", "en"]}]}, "serves none"),
    (Experiment, {"model": {"architecture": "transformer", "heads": 3}}, "TransformerConfig.heads"),
    (Experiment, {"model": {}}, "ModelConfig.architecture: None is not one of"),
]


@pytest.mark.parametrize(("kind", "values", "message"), CONTRADICTIONS)
def test_contradictions_are_refused(kind: type[Settings], values: Values, message: str) -> None:
    assert message in refused(kind, {**SMALLEST[kind], **values})


def test_what_those_rules_allow() -> None:
    SearchConfig(beam=1, n_best=9, sampling=SamplingConfig())
    sizes = {"source_vocabulary": 300, "target_vocabulary": 301}
    TransformerConfig(**sizes, share_embeddings=False, pad_id=299)
    with pytest.raises(ConfigError, match="pad_id: 300 is not inside both"):
        TransformerConfig(**sizes, share_embeddings=False, pad_id=300)
    RecurrentConfig(**SIZES, attention="dot", encoder_size=256, decoder_size=512)
    RecurrentConfig(
        **SIZES, attention="dot", encoder_size=512, decoder_size=512, bidirectional=False
    )
    RecurrentConfig(**SIZES, attention="general", input_feeding=True)


def test_files_serve_directions() -> None:
    file = DataFile(path="a", columns=("en", "fr", "de"), toward="fr")
    assert file.serves(("en", "fr"))
    assert file.serves(("de", "fr"))
    assert not file.serves(("fr", "en"))
    assert not file.serves(("zh", "fr"))
    assert DataFile(path="a").serves(("fr", "en"))


def test_languages_and_tags_follow_from_directions() -> None:
    three = {**FILE, "columns": ["en", "fr", "de"]}
    files = {"train": [three], "dev": [three]}
    one = DataConfig.from_dict({"directions": [["fr", "en"], ["de", "en"]], **files})
    assert (one.languages, one.target_tags) == (("fr", "en", "de"), False)
    two = DataConfig.from_dict({"directions": [["en", "fr"], ["fr", "en"]], **files})
    assert (two.languages, two.target_tags) == (("en", "fr"), True)
