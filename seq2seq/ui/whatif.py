"""What would have happened otherwise: changes to a translation, and what they changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from seq2seq.difference import difference
from seq2seq.path import best_path, token_text
from seq2seq.text.surrogates import whole_characters
from seq2seq.translation import Translation
from seq2seq.ui import wording
from seq2seq.ui.figures.style import visible
from seq2seq.ui.figures.table import percent
from seq2seq.ui.service import Request, RequestError

__all__ = ["Edit", "branch_view", "edited", "read_edit", "root_view"]

Kind = Literal["token", "text", "word"]


@dataclass(frozen=True)
class Edit:
    """One change to a translation.

    Attributes:
        kind: ``token``: another piece at a step; ``text``: free text from the word of a step on;
            ``word``: other text in place of a word of the source.
        index: the step, or the source word.
        token: id of the piece.
        text: the new text; empty to leave a source word out.
        branch, parent: names that the page gave to what comes of it and to what it started from.
    """

    kind: Kind
    index: int
    token: int = 0
    text: str = ""
    branch: str = ""
    parent: str = ""


def read_edit(value: object) -> Edit:
    """What the page sent, checked as far as that goes without the translation.

    Raises:
        RequestError: it is no change.
    """
    if isinstance(value, dict) and value.get("kind") in get_args(Kind):
        index, token = value.get("index"), value.get("token", 0)
        texts = [value.get(key, "") for key in ("text", "branch", "parent")]
        if type(index) is int and type(token) is int and all(isinstance(t, str) for t in texts):
            return Edit(value["kind"], index, token, *map(whole_characters, texts))
    raise RequestError(wording.EDIT_DAMAGED)


def edited(before: Translation, edit: Edit) -> Request:
    """The request that makes the change; everything else is as it was.

    Raises:
        RequestError: there is no such step or word, or nothing would be left.
    """
    text = before.source.text
    prefix: tuple[int | str, ...] = ()
    pieces = before.target.pieces
    count = len(before.source.words) if edit.kind == "word" else len(pieces)
    if not 0 <= edit.index < count:
        raise RequestError(wording.EDIT_DAMAGED)
    if edit.kind == "token":
        prefix = (*before.target.ids[: edit.index], edit.token)
    elif edit.kind == "text":
        if not edit.text.strip():
            raise RequestError(wording.EMPTY)
        # The space after it says that its last word is whole.
        prefix = (*before.target.ids[: _word_start(before, edit.index)], edit.text.strip() + " ")
    else:
        text = _replaced(before, edit)
    search = before.search
    return Request(
        text=text,
        model=before.model.name,
        direction=f"{before.source_language}-{before.target_language}",
        beam=search.beam,
        length_penalty=search.length_penalty,
        n_best=search.n_best,
        max_length=search.max_length or 0,
        sampling=search.sampling,
        prefix=prefix,
    )


def branch_view(before: Translation, after: Translation, edit: Edit) -> dict[str, Any]:
    """What a change did: plain JSON types, nothing escaped."""
    change = difference(before, after)
    return {
        "branch": edit.branch,
        "parent": edit.parent,
        "label": _label(before, edit),
        "text": after.text,
        "stretches": [{"kind": s.kind, "text": _visible(s.text)} for s in change.stretches],
        "own": _own(before, after, edit),
        "score": f"{change.score:+.3f}",
        "log_probability": f"{change.log_probability:+.3f}",
        "attention": None if change.attention is None else percent(change.attention),
        "common": change.common,
    }


def root_view(translation: Translation) -> dict[str, Any]:
    """A translation that was not made from another one."""
    return {"branch": "", "text": translation.text, "label": wording.ROOT}


def _visible(text: str) -> str:
    """Spaces stay spaces; what cannot be seen becomes visible."""
    return " ".join(visible(part) if part else "" for part in text.split(" "))


def _word_start(before: Translation, step: int) -> int:
    """The first piece of the word that the piece at ``step`` belongs to."""
    word = before.target.pieces[step].word
    return next(i for i, piece in enumerate(before.target.pieces) if piece.word == word)


def _replaced(before: Translation, edit: Edit) -> str:
    source = before.source
    word = source.words[edit.index]
    if word.special:
        raise RequestError(wording.EDIT_DAMAGED)
    new = edit.text.strip()
    start, end = word.start, word.end
    if not new and start and source.text[start - 1] == " ":
        start -= 1  # one of the spaces around the word goes with it
    text = (source.text[:start] + new + source.text[end:]).strip()
    if not text:
        raise RequestError(wording.EDIT_LAST_WORD)
    return text


def _label(before: Translation, edit: Edit) -> str:
    new = _visible(edit.text.strip())
    if edit.kind == "word":
        old = visible(before.source.words[edit.index].text)
        template = wording.EDIT_REPLACED if new else wording.EDIT_DELETED
        return template.format(new=new, old=old)
    word = before.target.words[before.target.pieces[edit.index].word]
    if edit.kind == "text":
        return wording.EDIT_TEXT.format(new=new, old=visible(word.text))
    new = visible(token_text(before, edit.token))
    old = visible(token_text(before, before.target.pieces[edit.index].id))
    if word.special:
        return wording.EDIT_FROM.format(new=new)
    ends = edit.token == _end(before)
    return (wording.EDIT_END if ends else wording.EDIT_TOKEN).format(new=new, old=old)


def _end(translation: Translation) -> int | None:
    """Id of end-of-sentence, if the translation ends with it."""
    last = translation.target.pieces[-1]
    return last.id if translation.target.words[last.word].special else None


def _own(before: Translation, after: Translation, edit: Edit) -> str:
    """The model's own probability and ranks of what was newly forced."""
    if edit.kind == "word":
        return wording.FROM_START if before.prefix else ""
    first = edit.index if edit.kind == "token" else _word_start(before, edit.index)
    forced = range(first, len(after.prefix))
    probability = float(np.exp(sum(after.token_log_probabilities[step] for step in forced)))
    path = best_path(after)
    ranks = [f"{path[step].chosen.rank:,}" for step in forced if step < len(path)]
    return wording.OWN.format(probability=percent(probability), ranks=", ".join(ranks) or "–")
