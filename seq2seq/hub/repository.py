"""What a repository of the Hub holds, and which of it is needed: believed only after checks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelCardData, ModelInfo, hf_hub_url
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import get_session, hf_raise_for_status, validate_repo_id

from seq2seq.hub.cache import CachedRepository, is_commit
from seq2seq.hub.errors import HubError, HubInputError, explain, not_a_hub
from seq2seq.hub.listing import CONFIG, Kind, kind_of, missing_from, needed, read_config
from seq2seq.hub.session import Hub, Pulse, watch

__all__ = ["RemoteFile", "Repository", "RepositoryId", "file_url", "inspect", "look_up", "quoted"]

_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MAX_CONFIG = 1_000_000  # bytes


@dataclass(frozen=True)
class RepositoryId:
    """``owner/name`` or ``owner/name@revision``.

    Attributes:
        id: owner and name.
        revision: a branch, a tag or a commit; None for the newest state.
    """

    id: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str, *, revision: str | None = None) -> Self:
        """Read what people write.

        Raises:
            HubInputError: it is something else.
        """
        name, at, written = text.strip().partition("@")
        if at and revision is not None and revision != written:
            raise HubInputError(f"{quoted(text)} and the revision {quoted(revision)} contradict")
        chosen = written if at else revision
        try:
            validate_repo_id(name)
        except HFValidationError:
            name = ""
        if name.count("/") != 1 or not name.isascii():
            raise HubInputError(
                f"{quoted(text)} is no model of the Hub: write OWNER/NAME or OWNER/NAME@REVISION, "
                "for instance Helsinki-NLP/opus-mt-fr-en"
            )
        if chosen is not None and (
            not _REVISION.fullmatch(chosen) or ".." in chosen or "//" in chosen
        ):
            raise HubInputError(
                f"{quoted(chosen)} is no revision of {name}: give a branch, a tag or a commit"
            )
        return cls(name, chosen)

    @property
    def pinned(self) -> bool:
        """Whether it names one commit, which never changes."""
        return is_commit(self.revision)

    def __str__(self) -> str:
        return self.id if self.revision is None else f"{self.id}@{self.revision}"


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository.

    Attributes:
        path: its plain name.
        size: in bytes.
        digest: SHA-256 of its content (64 digits), or what git calls it (40 digits).
    """

    path: str
    size: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A model on the Hub that can be read.

    Attributes:
        id: owner and name, as asked for.
        revision: the commit, 40 hexadecimal digits.
        kind: whose model it is.
        files: the needed ones, in the order to download them.
        license, languages: what its card says.
        private: only some people can see it.
        gated: its terms have to be accepted.
        renamed_to: its present id, if that is another one.
    """

    id: str
    revision: str
    kind: Kind
    files: tuple[RemoteFile, ...]
    license: str | None
    languages: tuple[str, ...]
    private: bool
    gated: bool
    renamed_to: str | None

    @property
    def total_bytes(self) -> int:
        """Size of the needed files together."""
        return sum(file.size for file in self.files)


def inspect(
    repo: RepositoryId | str,
    *,
    endpoint: str | None = None,
    cache: Path | None = None,
    timeout: float = 5.0,
) -> Repository:
    """Ask the Hub about a model; downloads ``config.json`` at most.

    Args:
        repo: which model.
        endpoint: address of the Hub; None for ``HF_ENDPOINT``.
        cache: where a ``config.json`` may lie already.
        timeout: seconds to wait for each of two answers.

    Raises:
        HubUnreachableError: there was no usable answer.
        HubInputError: there is no such model, or it is of a kind that cannot be read.
        HubError: access was denied.
    """
    asked = RepositoryId.parse(repo) if isinstance(repo, str) else repo
    return look_up(asked, Hub.here(endpoint=endpoint, cache=cache, timeout=timeout))


def look_up(
    repo: RepositoryId, hub: Hub, *, cancelled: Callable[[], bool] | None = None
) -> Repository:
    """As :func:`inspect`; raises HubCancelledError if ``cancelled`` says so."""
    try:
        return watch(
            lambda pulse: _ask(repo, hub, pulse), patience=hub.timeout + 0.5, cancelled=cancelled
        )
    except Exception as error:
        clear = explain(error, name=str(repo), endpoint=hub.endpoint, seconds=hub.timeout)
        if clear is None:
            raise
        raise clear from error


def file_url(repo: str, commit: str, name: str, *, hub: Hub) -> str:
    """Address of a file."""
    return hub.endpoint + hf_hub_url(repo, name, revision=commit, endpoint="")


def quoted(text: str) -> str:
    """Text of other people in a message: short, on one line, without control characters."""
    return repr(text if len(text) <= 80 else text[:80] + "…")


def _ask(repo: RepositoryId, hub: Hub, pulse: Pulse) -> Repository:
    try:
        info = hub.api().model_info(
            repo.id, revision=repo.revision, files_metadata=True, timeout=hub.timeout
        )
        listing = _listing(info)
    except UnicodeEncodeError:  # a ValueError as well, but about the token
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise not_a_hub(hub.endpoint) from error
    if not is_commit(info.sha):
        raise not_a_hub(hub.endpoint)
    commit = str(info.sha)
    pulse.beat()
    files = {file.path: file for file in listing}
    if CONFIG not in files:
        raise HubInputError(
            f"{repo} has no config.json; only Marian (OPUS-MT) models and checkpoints of this "
            "program can be read"
        )
    kind = _kind(repo, commit, files[CONFIG], hub)
    if (missing := missing_from(files, kind)) is not None:
        raise HubInputError(
            f"{repo}: the model is not whole, {missing} is not there; choose another"
        )
    card = info.card_data if info.card_data is not None else ModelCardData()
    return Repository(
        id=repo.id,
        revision=commit,
        kind=kind,
        files=tuple(files[name] for name in needed(files, kind)),
        license=_word(card.get("license")),
        languages=_words(card.get("language")),
        private=bool(info.private),
        gated=bool(info.gated),
        renamed_to=_renamed(repo, info),
    )


def _listing(info: ModelInfo) -> list[RemoteFile]:
    """Files at the top level whose size and hash are stated; others are none of ours."""
    found = []
    for sibling in info.siblings or []:
        digest = sibling.lfs.sha256 if sibling.lfs is not None else sibling.blob_id
        size = sibling.lfs.size if sibling.lfs is not None else sibling.size
        plain = isinstance(sibling.rfilename, str) and re.fullmatch(
            r"[A-Za-z0-9_][A-Za-z0-9._-]*", sibling.rfilename
        )
        stated = isinstance(digest, str) and _DIGEST.fullmatch(digest)
        if plain and stated and isinstance(size, int) and size >= 0:
            found.append(RemoteFile(sibling.rfilename, size, str(digest)))
    return found


def _kind(repo: RepositoryId, commit: str, file: RemoteFile, hub: Hub) -> Kind:
    cached = CachedRepository(hub.cache, repo.id)
    config: Any = {}
    if cached.has(commit, CONFIG, file.size):
        config = read_config(cached.snapshot(commit))
    elif file.size <= _MAX_CONFIG:
        url = file_url(repo.id, commit, CONFIG, hub=hub)
        response = get_session().get(url, headers=hub.headers(), timeout=hub.timeout)
        hf_raise_for_status(response)
        try:
            config = json.loads(response.content)
        except (ValueError, RecursionError):
            config = None
    if not isinstance(config, dict) or not config:
        raise HubInputError(f"{repo}: config.json cannot be read; choose another model")
    kind = kind_of(config)
    if kind is None:
        named = config.get("model_type")
        what = f"a {quoted(named)} model" if isinstance(named, str) else "a model of unknown type"
        raise HubInputError(
            f"{repo} is {what}; only Marian (OPUS-MT) models and checkpoints of this program can "
            "be read"
        )
    return kind


def _renamed(repo: RepositoryId, info: ModelInfo) -> str | None:
    if info.id == repo.id:
        return None
    try:
        return replace(RepositoryId.parse(str(info.id)), revision=None).id
    except HubError:
        return None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _words(value: object) -> tuple[str, ...]:
    found: Sequence[object] = [value] if isinstance(value, str) else []
    if isinstance(value, list):
        found = value
    return tuple(word for word in found if isinstance(word, str))
