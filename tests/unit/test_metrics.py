import math

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.evaluation.metrics import PAPERS, TOKENIZERS, MetricError, compare, score
from seq2seq.evaluation.papers import lowercased_tokenised

REFERENCES = ["The cat sat on the mat.", "There is a house over there.", "I like green tea a lot!"]
ANIMALS = ("cat", "dog", "horse", "mouse")
HYPOTHESES = ["The cat sat on a mat.", "There is a home over there.", "I like green tea a lot!"]


def test_agrees_with_sacrebleu() -> None:
    scores = score(HYPOTHESES, REFERENCES, target_language="en")
    assert scores.bleu.value == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert scores.chrf.value == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    assert scores.ter.value == sacrebleu.corpus_ter(HYPOTHESES, [REFERENCES]).score
    assert scores.sentences == 3


def test_a_perfect_and_a_hopeless_system() -> None:
    perfect = score(REFERENCES, REFERENCES, target_language="en")
    assert perfect.bleu.value == pytest.approx(100)
    assert perfect.chrf.value == pytest.approx(100)
    assert perfect.ter.value == 0
    hopeless = score(["x"] * 3, REFERENCES, target_language="en")
    assert hopeless.bleu.value < 1
    assert hopeless.ter.value > 90


def test_ter_by_hand() -> None:
    scores = score(["a b c d"], ["a b x d"], target_language="en")
    assert scores.ter.value == pytest.approx(25)  # one substitution in four words


def test_case_counts() -> None:
    lower = [text.lower() for text in REFERENCES]
    assert score(lower, REFERENCES, target_language="en").bleu.value < 90


def test_chinese_is_split_into_characters() -> None:
    references = ["我喜欢喝绿茶。", "那边有一所房子。"]
    hypotheses = ["我喜欢绿茶。", "那边有一个房子。"]
    scores = score(hypotheses, references, target_language="zh")
    assert "tok:zh" in scores.bleu.signature
    assert "asian:yes" in scores.ter.signature
    assert scores.bleu.value > 20
    assert scores.ter.value < 50
    assert score(hypotheses, references, target_language="en").ter.value == 100


def test_signatures_say_how() -> None:
    scores = score(HYPOTHESES, REFERENCES, target_language="fr")
    assert scores.bleu.signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert scores.chrf.signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version")
    assert scores.ter.signature.startswith("nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|")


def test_tokenisation_can_be_chosen() -> None:
    found = {
        name: score(HYPOTHESES, REFERENCES, target_language="en", tokenize=name)
        for name in TOKENIZERS
        if name != PAPERS
    }
    assert all(f"tok:{name}" in scores.bleu.signature for name, scores in found.items())
    assert found["none"].bleu.value != found["13a"].bleu.value


def test_bootstrap_interval() -> None:
    hypotheses, references = HYPOTHESES * 20, REFERENCES * 20
    scores = score(hypotheses, references, target_language="en", bootstrap_samples=200)
    assert "bs:200" in scores.bleu.signature
    assert scores.bleu.mean is not None
    assert scores.bleu.margin is not None
    assert abs(scores.bleu.mean - scores.bleu.value) < scores.bleu.margin
    assert 0 < scores.bleu.margin < 20
    again = score(hypotheses, references, target_language="en", bootstrap_samples=200)
    assert again == scores
    without = score(hypotheses, references, target_language="en")
    assert without.bleu.mean is None
    assert without.bleu.value == scores.bleu.value


def test_interval_agrees_with_sacrebleu() -> None:
    hypotheses, references = HYPOTHESES * 20, REFERENCES * 20
    ours = score(hypotheses, references, target_language="en", bootstrap_samples=100)
    metric = sacrebleu.BLEU()
    theirs = metric.corpus_score(hypotheses, [references], n_bootstrap=100)
    assert ours.bleu.mean == pytest.approx(theirs._mean, rel=1e-5)
    assert ours.bleu.margin == pytest.approx(theirs._ci, rel=1e-5)
    assert ours.bleu.signature == str(metric.get_signature())


def test_interval_where_some_samples_score_nothing() -> None:
    hypotheses, references = ["x"] * 8 + REFERENCES, REFERENCES[:1] * 8 + REFERENCES
    scores = score(hypotheses, references, target_language="en", bootstrap_samples=50)
    assert scores.bleu.margin is not None
    assert scores.bleu.margin > 0


def test_all_three_have_intervals() -> None:
    scores = score(HYPOTHESES * 5, REFERENCES * 5, target_language="en", bootstrap_samples=20)
    values = scores.to_dict()
    assert set(values) == {"bleu", "chrf", "ter", "sentences"}
    for name in ("bleu", "chrf", "ter"):
        assert values[name]["margin"] > 0


def test_errors_are_one_clear_line() -> None:
    with pytest.raises(MetricError, match="2 translations cannot be scored against 3 references"):
        score(HYPOTHESES[:2], REFERENCES, target_language="en")
    with pytest.raises(MetricError, match="no sentences"):
        score([], [], target_language="en")
    with pytest.raises(MetricError, match="'flores' is not one of 13a"):
        score(HYPOTHESES, REFERENCES, target_language="en", tokenize="flores")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=4))
def test_any_text_can_be_scored(pairs: list[tuple[str, str]]) -> None:
    scores = score([a for a, _ in pairs], [b for _, b in pairs], target_language="en")
    assert 0 <= scores.bleu.value <= 100.0001
    assert 0 <= scores.chrf.value <= 100.0001
    assert scores.ter.value >= 0
    assert math.isfinite(scores.ter.value)


def test_a_clear_difference_is_significant_and_none_is_not() -> None:
    references = [f"The {animal} sleeps {n} hours." for n in range(2, 12) for animal in ANIMALS]
    worse = [text.replace("sleeps", "is") for text in references]
    found = compare(references, worse, references, target_language="en", samples=200)
    assert set(found) == {"bleu", "chrf", "ter"}
    for name, result in found.items():
        one = score(worse, references, target_language="en").to_dict()[name]["value"]
        assert result.theirs == round(one, 2)
        assert result.p_value < 0.05
        assert "bs:200" in result.signature
    assert found["bleu"].ours == 100
    same = compare(worse, worse, references, target_language="en", samples=200)
    assert all(result.p_value == 1 and result.ours == result.theirs for result in same.values())
    with pytest.raises(MetricError, match="1 translations"):
        compare(["a"], worse, references, target_language="en")


def test_the_form_of_the_papers_on_multi30k() -> None:
    made = lowercased_tokenised(["Ein Mann sagt: „Los!“", "", "Er geht's an."], language="de")
    assert made == ["ein mann sagt : &quot; los ! &quot;", "", "er geht &apos; s an ."]
    french = lowercased_tokenised(["L’homme est là."], language="fr")
    assert french == ["l&apos; homme est là ."]
    words = "Ein Mann geht heim."
    found = score([words.upper()], [words], target_language="de", tokenize=PAPERS)
    assert found.bleu.value == pytest.approx(100)
    assert "tok:none" in found.bleu.signature
    assert found.chrf.value < 100
    with pytest.raises(MetricError, match=r"lc\.norm\.tok"):
        compare(["a"], ["b"], ["c"], target_language="de", tokenize=PAPERS)
