from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_support import LANGUAGES, pipeline, sample

from seq2seq.text.encoding import Encoding, TextError
from seq2seq.text.moses_bpe import MosesBpe

ODD = [
    "Le chat 😀 est là",
    "👨‍👩‍👧 🏳️‍🌈 e\u0301\u0323",
    "שלום עליכם, السلام عليكم",
    "<b>x</b> <img onerror=alert(1)> &amp; &lt;",
    "</s> <s> <unk> <pad> <0x41> <2en> ▁ ␣",
    "a\x00b\x1b[31m\r\n\tc",
    "\ud800 \udfff lone",
    "ж ქ ไทย हिन्दी 한국어",
    "𝒳 \U0010ffff \ue000 \ufffd",
    "DOTMULTI THISISPROTECTED000 @-@ ``''",
    "０１２ ①②③ ½ ﬁ №",
    "",
    " \u3000\u00a0\n",
]

LONG = {
    "spaces": " " * 10_000,
    "dots": "." * 10_000,
    "letters": "a" * 10_000,
    "marks on one letter": "e" + "\u0301" * 10_000,
    "marks out of order": "e" + "\u0301\u0323" * 5_000,
    "emoji": "😀" * 10_000,
    "quotation marks": '"' * 10_000,
    "apostrophes": "a'b" * 3_333,
    "brackets": "( " * 5_000,
    "guillemets": "»«" * 5_000,
    "abbreviations": "a.b. " * 2_000,
    "Chinese": "我" * 10_000,
    "mixed": "我a," * 3_333,
}

any_text = st.text(st.characters(), max_size=40)  # lone surrogates included
languages = st.sampled_from(LANGUAGES)


def check_places(encoding: Encoding) -> None:
    """Spans are ordered, inside the text and inside their words, and words show their text."""
    size = len(encoding.text)
    for units in (encoding.words, encoding.pieces):
        starts = [unit.start for unit in units]
        assert starts == sorted(starts)
        assert all(0 <= unit.start <= unit.end <= size for unit in units)
    for word in encoding.words:
        if word.special:
            assert word.start == word.end
        else:
            assert encoding.text[word.start : word.end] == word.text
    owners = encoding.word_of_piece
    assert list(owners) == sorted(owners)
    assert set(owners) == set(range(len(encoding.words)))
    for piece in encoding.pieces:
        word = encoding.words[piece.word]
        assert word.start <= piece.start <= piece.end <= word.end


@pytest.mark.parametrize("language", LANGUAGES)
def test_sample_comes_back(language: str) -> None:
    text = pipeline()
    differing = []
    for sentence in sample(language):
        encoding = text.encode(sentence, language=language)
        decoded = text.decode(encoding.ids, language=language)
        check_places(encoding)
        check_places(decoded)
        if decoded.text != text.normalise(sentence, language=language):
            differing.append(sentence)
        assert decoded.ids == encoding.ids
    assert len(differing) <= 0.01 * len(sample(language)), differing


def test_words_and_pieces_of_a_french_sentence() -> None:
    sentence = "L’homme dort…  «ici» ?"
    encoding = pipeline().encode(sentence, language="fr")
    assert [word.text for word in encoding.words[:-1]] == [
        "L’",
        "homme",
        "dort",
        "…",
        "«",
        "ici",
        "»",
        "?",
    ]
    assert encoding.words[-1].text == "</s>"
    assert encoding.words[-1].special
    assert encoding.words[-1].start == encoding.words[-1].end == len(sentence)
    assert encoding.pieces[-1].id == pipeline().eos_id
    assert encoding.text == sentence
    spelt = "".join(piece.text for piece in encoding.pieces[:-1])
    assert spelt.replace("␣", "") == "L'hommedort...«ici»?"


def test_chinese_words_are_its_pieces_without_word_marks() -> None:
    text = pipeline()
    encoding = text.encode("我喜欢 Tom。", language="zh")
    chinese = [word for word in encoding.words if not word.special and word.text != "Tom"]
    assert "".join(word.text for word in chinese) == "我喜欢。"
    for index, word in enumerate(encoding.words):
        pieces = [piece for piece in encoding.pieces if piece.word == index]
        if word in chinese and len(word.text.encode()) != len(pieces):
            assert len(pieces) == 1
            assert not text.piece_text(pieces[0].id).startswith("␣")


@pytest.mark.parametrize("sentence", ODD)
@pytest.mark.parametrize("language", LANGUAGES)
def test_odd_text_comes_back(sentence: str, language: str) -> None:
    text = pipeline(target_tags=True)
    encoding = text.encode(sentence, language=language, target_language="fr")
    check_places(encoding)
    tag, *content, eos = encoding.ids
    assert (tag, eos) == (5, text.eos_id)
    assert all(piece >= 4 + len(LANGUAGES) for piece in content)
    decoded = text.decode(content, language=language)
    assert decoded.text == text.normalise(sentence, language=language)


def test_an_emoji_is_one_word_of_four_bytes() -> None:
    sentence = "oui 😀!"
    encoding = pipeline().encode(sentence, language="fr")
    word = next(i for i, w in enumerate(encoding.words) if w.text == "😀")
    pieces = [piece for piece in encoding.pieces if piece.word == word]
    assert [piece.text for piece in pieces] == ["␣", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]
    assert {(piece.start, piece.end) for piece in pieces[1:]} == {(4, 5)}


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("language", ["fr", "zh"])
def test_ten_thousand_characters(kind: str, language: str) -> None:
    text = pipeline()
    encoding = text.encode(LONG[kind], language=language)
    check_places(encoding)
    decoded = text.decode(encoding.ids, language=language)
    clean = text.normalise(LONG[kind], language=language)
    assert decoded.text.replace(" ", "") == clean.replace(" ", "")


@pytest.mark.parametrize("blank", ["", " ", "\n\u00a0", "\x00\ud800"])
def test_blank_text_is_end_of_sentence_alone(blank: str) -> None:
    text = pipeline()
    assert text.encode(blank, language="de").ids == (text.eos_id,)
    assert text.ids(blank, language="de") == [text.eos_id]
    assert text.encode_prefix(blank, language="de") == ()
    assert text.decode([], language="de").text == ""


@settings(deadline=None, max_examples=300)
@given(any_text, languages)
def test_any_text(sentence: str, language: str) -> None:
    text = pipeline()
    encoding = text.encode(sentence, language=language)
    check_places(encoding)
    assert list(encoding.ids) == text.ids(sentence, language=language)
    assert text.encode_prefix(sentence, language=language) == encoding.ids[:-1]
    assert all(0 <= piece < text.vocabulary_size for piece in encoding.ids)
    assert text.unk_id not in encoding.ids
    decoded = text.decode(encoding.ids, language=language)
    check_places(decoded)
    clean = text.normalise(sentence, language=language)
    assert decoded.text.replace(" ", "") == clean.replace(" ", "")


@settings(deadline=None, max_examples=300)
@given(st.text("abcé DEF 12 ,.?!", max_size=40), languages)
def test_plain_text_comes_back(sentence: str, language: str) -> None:
    text = pipeline()
    ids = text.ids(sentence, language=language)
    clean = text.normalise(sentence, language=language)
    assert text.decode(ids, language=language).text == clean


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.integers(0, 279) | st.integers(0, pipeline().vocabulary_size - 1), max_size=30),
    languages,
)
def test_any_ids_decode(ids: list[int], language: str) -> None:
    decoded = pipeline().decode(ids, language=language)
    check_places(decoded)
    assert decoded.ids == tuple(ids)


def test_bytes_that_are_no_text_are_replaced() -> None:
    text = pipeline()
    first = 4  # ids of bytes follow the specials
    broken = [first + 0xF0, first + 0x9F, first + 0x41, first + 0x00, first + 0x20]
    decoded = text.decode([*broken, text.eos_id], language="fr")
    assert decoded.text == "\ufffd\ufffdA\ufffd\ufffd"
    assert [piece.start for piece in decoded.pieces] == [0, 1, 2, 3, 4, 5]


def test_specials_inside_become_special_words() -> None:
    text = pipeline()
    chat = text.encode_prefix("un deux", language="fr")
    decoded = text.decode([text.bos_id, *chat, text.unk_id, *chat, 0, 2], language="fr")
    assert decoded.text == "un deux un deux"
    special = [(word.text, word.start) for word in decoded.words if word.special]
    assert special == [("<s>", 0), ("<unk>", 7), ("<pad>", 15), ("</s>", 15)]


def test_target_tags() -> None:
    text = pipeline(target_tags=True)
    encoding = text.encode("Tom", language="en", target_language="zh")
    assert encoding.words[0].text == encoding.pieces[0].text == "<2zh>"
    assert encoding.words[0].special
    assert list(encoding.ids) == text.ids("Tom", language="en", target_language="zh")
    with pytest.raises(TextError, match="needs a target language"):
        text.encode("Tom", language="en")
    with pytest.raises(TextError, match="'it' is not one of en, fr, de, zh"):
        text.encode("Tom", language="en", target_language="it")


def test_without_tags_the_target_language_changes_nothing() -> None:
    text = pipeline()
    assert text.ids("Tom", language="en", target_language="fr") == text.ids("Tom", language="en")


def test_piece_text_shows_every_entry() -> None:
    text = pipeline()
    shown = [text.piece_text(piece) for piece in range(text.vocabulary_size)]
    assert shown[:6] == ["<pad>", "<s>", "</s>", "<unk>", "<0x00>", "<0x01>"]
    assert "␣Tom" in shown
    assert len(set(shown)) == len(shown)
    for outside in (-1, text.vocabulary_size):
        with pytest.raises(TextError, match="outside the vocabulary"):
            text.piece_text(outside)
        with pytest.raises(TextError, match="outside the vocabulary"):
            text.decode([outside], language="fr")


def test_a_prefix_may_end_inside_a_word() -> None:
    text = pipeline()
    prefix = text.encode_prefix("Tom est all", language="fr")
    assert text.decode(prefix, language="fr").text == "Tom est all"
    assert text.eos_id not in prefix


def test_unknown_languages_are_named() -> None:
    text = pipeline()
    with pytest.raises(TextError, match="'it' is not one of"):
        text.encode("ciao", language="it")
    with pytest.raises(TextError, match="'it' is not one of"):
        text.decode([2], language="it")
    with pytest.raises(TextError, match="no rules for language 'it'"):
        MosesBpe.train([], languages=("it",), vocabulary_size=500)
    with pytest.raises(TextError, match="at least one language"):
        MosesBpe.train([], languages=(), vocabulary_size=500)
    with pytest.raises(TextError, match="'de' is not one of fr, en"):
        MosesBpe.train([("de", "nein")], languages=("fr", "en"), vocabulary_size=500)


def test_many_threads_get_the_same_as_one() -> None:
    text = pipeline()
    jobs = [(language, s) for language in LANGUAGES for s in sample(language)[:60]]

    def work(job: tuple[str, str]) -> tuple[list[int], str]:
        language, sentence = job
        ids = text.ids(sentence, language=language)
        return ids, text.decode(ids, language=language).text

    expected = [work(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, jobs)) == expected
