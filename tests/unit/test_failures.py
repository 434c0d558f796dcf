"""Counting what goes wrong, guessing languages, scoring by length."""

import threading

import pytest

from seq2seq.evaluation.failures import Failures, count_failures, loops
from seq2seq.evaluation.lengths import LENGTHS, score_by_length
from seq2seq.evaluation.metrics import score
from seq2seq.text.language import guess_language

LANGUAGES = ("de", "en", "fr", "zh")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He is very, very, very tired.", True),
        ("very very tired", False),
        ("the man and the man and the man and", True),
        ("the man and the man and the man", False),
        ("a b c d a b c d a b c d", True),
        ("a b c d e a b c d e a b c d e", False),  # five words are a stanza, not a stutter
        ("No! no! NO!", True),
        ("", False),
        ("哈哈哈", True),
        ("我们我们", False),
        ("x a b b c c d d", False),
    ],
)
def test_loops(text: str, expected: bool) -> None:
    assert loops(text) is expected


def test_failures_are_counted_once_each_and_only_where_the_reference_is_better() -> None:
    rows = [
        ("Le chat dort.", "The cat sleeps.", "The cat is sleeping."),
        ("Le chat dort.", "   ", "The cat is sleeping."),
        ("Le chat dort toujours ici.", "Le chat dort toujours ici !", "The cat sleeps here."),
        ("Paris !", "Paris.", "Paris!"),  # the reference is a copy as well
        ("Non, non, non !", "No, no, no!", "No, no, no!"),
        ("Je suis là.", "I am here here here.", "I am here."),
        ("Je suis là.", "Ich bin jetzt hier bei dir.", "I am here with you now."),
    ]
    sources, made, references = zip(*rows, strict=True)
    found = count_failures(sources, made, references, target_language="en", languages=LANGUAGES)
    assert found == Failures(empty=1, copied=1, looping=1, wrong_language=2)


def test_languages_are_told_apart_by_many_threads() -> None:
    texts = {
        "de": "Ich weiß nicht, wo sie wohnt.",
        "en": "I don't know where she lives.",
        "fr": "Je ne sais pas où elle habite.",
        "zh": "我不知道她住在哪里。",
    }
    wrong: list[str] = []

    def work(among: tuple[str, ...]) -> None:
        for _ in range(50):
            wrong.extend(code for code in among if guess_language(texts[code], among=among) != code)

    groups = [LANGUAGES, ("de", "en"), ("fr", "zh"), ("en", "fr")]
    threads = [threading.Thread(target=work, args=(group,)) for group in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert guess_language(texts["de"], among=["en", "fr"]) in ("en", "fr")


def test_scores_by_length_cover_every_sentence_once() -> None:
    sources = [" ".join(["mot"] * count) + "." for count in (1, 4, 5, 20, 60, 70)]
    references = [source.replace("mot", "word") for source in sources]
    made = [*references[:4], "word.", "nothing alike"]
    found = score_by_length(sources, made, references, source_language="fr", target_language="en")
    assert [one.first for one in found] == list(LENGTHS)
    assert [one.last for one in found] == [*(first - 1 for first in LENGTHS[1:]), None]
    assert [one.sentences for one in found] == [2, 1, 0, 0, 1, 0, 0, 2]
    assert found[0].chrf == 100
    assert found[2].bleu is None
    rest = score(made[4:], references[4:], target_language="en")
    assert found[-1].bleu == round(rest.bleu.value, 2)


def test_chinese_counts_characters() -> None:
    found = score_by_length(
        ["我不知道她住在哪里。"], ["x"], ["y"], source_language="zh", target_language="en"
    )
    assert [one.first for one in found if one.sentences] == [6]
