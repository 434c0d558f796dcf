"""A model from the Hub to a folder on this disk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from seq2seq.hub.cache import CachedRepository, free_bytes, names_in
from seq2seq.hub.errors import (
    HubCancelledError,
    HubError,
    HubInputError,
    HubUnreachableError,
    disk_full,
    explain,
    megabytes,
)
from seq2seq.hub.listing import INDEX, shards_in
from seq2seq.hub.report import Progress, Report
from seq2seq.hub.repository import RemoteFile, Repository, RepositoryId, look_up
from seq2seq.hub.session import Hub, watch
from seq2seq.hub.transfer import Transfer

__all__ = ["MAX_BYTES", "Progress", "cached", "cached_names", "pull"]

MAX_BYTES = 2 * 1024**3
_MARGIN = 16 * 1024**2  # bytes that a download leaves free on the disk
_LOG = logging.getLogger(__name__)


def pull(
    repo_id: str,
    *,
    revision: str | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    note: Callable[[str], None] = _LOG.warning,
    max_bytes: int = MAX_BYTES,
    offline: bool = False,
    endpoint: str | None = None,
    cache: Path | None = None,
    timeout: float = 5.0,
    stall: float = 10.0,
) -> Path:
    """Have a model in huggingface_hub's cache, downloading what is missing of it.

    A commit that is there needs no network. Otherwise the Hub is asked for the newest state; if
    it gives no answer, the copy that was pulled last is used. A download that breaks is resumed,
    now or by the next call.

    Args:
        repo_id: ``OWNER/NAME`` or ``OWNER/NAME@REVISION``.
        revision: a branch, a tag or a commit; None for the newest state.
        progress: called in this thread while the download goes on.
        cancelled: asked many times a second in this thread; True stops.
        note: called with a line that the user should read though it is no error.
        max_bytes: a larger model is refused.
        offline: use no network; ``HF_HUB_OFFLINE=1`` does the same.
        endpoint: address of the Hub; None for ``HF_ENDPOINT``.
        cache: cache folder; None for ``HF_HUB_CACHE``, or ``hub`` in ``HF_HOME``.
        timeout: seconds until the Hub must have answered a question.
        stall: seconds that a download may bring no byte before it is tried again (once).

    Returns:
        The folder of the model's files; its name is the commit.

    Raises:
        HubInputError: there is no such model, or it is too large or of a wrong kind.
        HubUnreachableError: the Hub gave no usable answer and nothing is there.
        HubCancelledError: ``cancelled`` said so.
        HubError: anything else.
    """
    repo = RepositoryId.parse(repo_id, revision=revision)
    hub = Hub.here(endpoint=endpoint, cache=cache, offline=offline, timeout=timeout, stall=stall)
    store = CachedRepository(hub.cache, repo.id)
    here = store.complete(repo.revision)
    if here is not None and (repo.pinned or hub.offline):
        return here
    if hub.offline:
        raise HubUnreachableError(
            f"{repo} is not in {hub.cache} and no network may be used; pull it once without "
            "--offline and HF_HUB_OFFLINE"
        )
    try:
        found = look_up(repo, hub, cancelled=cancelled)
    except HubCancelledError as error:
        raise _stopped(repo) from error
    except HubUnreachableError as error:
        if here is None:
            raise
        note(f"the copy of {repo} that was pulled earlier is used, because: {error}")
        return here
    if found.renamed_to is not None:
        note(f"{repo.id} is called {found.renamed_to} now")
    _download(found, repo, hub, progress, cancelled, max_bytes)
    store.remember(repo.revision, found.revision)
    return store.snapshot(found.revision)


def cached(repo_id: str, revision: str | None = None, *, cache: Path | None = None) -> Path | None:
    """The folder of a model that is completely in the cache; asks nobody.

    Raises:
        HubInputError: ``repo_id`` is no name of a repository.
    """
    repo = RepositoryId.parse(repo_id, revision=revision)
    return CachedRepository(Hub.here(cache=cache).cache, repo.id).complete(repo.revision)


def cached_names(*, cache: Path | None = None) -> list[str]:
    """Ids of all models that are completely in the cache in the version that was newest."""
    folder = Hub.here(cache=cache).cache
    return [name for name in names_in(folder) if CachedRepository(folder, name).complete(None)]


def _download(
    found: Repository,
    repo: RepositoryId,
    hub: Hub,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
    max_bytes: int,
) -> None:
    store = CachedRepository(hub.cache, repo.id)
    missing = [f for f in found.files if not store.has(found.revision, f.path, f.size)]
    _check_room(found, missing, store, hub, max_bytes)
    done = found.total_bytes - sum(file.size for file in missing)
    report = Report(progress, found.total_bytes)
    for file in missing:
        _bring(file, found, store, hub, report, done, cancelled)
        done += file.size
    if any(file.path == INDEX for file in found.files):
        shards = shards_in(store.snapshot(found.revision))
        if shards is None or not shards <= {file.path for file in found.files}:
            raise HubInputError(
                f"{repo}: {INDEX} names files that are not there; choose another model"
            )


def _check_room(
    found: Repository,
    missing: list[RemoteFile],
    store: CachedRepository,
    hub: Hub,
    max_bytes: int,
) -> None:
    if found.total_bytes > max_bytes:
        raise HubInputError(
            f"{found.id} has {megabytes(found.total_bytes)}, the limit is {megabytes(max_bytes)}; "
            "choose a smaller model"
        )
    if missing:
        needed = sum(file.size for file in missing) + _MARGIN
        for file in missing:
            partial = store.partial(file.digest)
            needed -= min(partial.stat().st_size, file.size) if partial.is_file() else 0
        free = free_bytes(hub.cache)
        if free is not None and free < needed:
            raise disk_full(found.id, str(hub.cache), needed=needed, free=free)


def _bring(
    file: RemoteFile,
    found: Repository,
    store: CachedRepository,
    hub: Hub,
    report: Report,
    before: int,
    cancelled: Callable[[], bool] | None,
) -> None:
    try:
        watch(
            lambda pulse: Transfer(
                hub=hub,
                cached=store,
                commit=found.revision,
                file=file,
                pulse=pulse,
                arrived=lambda count: report.arrived(before + count, file.path),
            ).run(),
            patience=hub.timeout + hub.stall + 0.5,
            cancelled=cancelled,
            tick=report.tell,
        )
    except HubCancelledError as error:
        raise _stopped(found.id) from error
    except HubError:
        raise
    except Exception as error:
        clear = explain(
            error, name=found.id, endpoint=hub.endpoint, seconds=hub.stall, file=file.path
        )
        if clear is None:
            raise
        raise clear from error
    report.tell()


def _stopped(repo: RepositoryId | str) -> HubCancelledError:
    return HubCancelledError(
        f"{repo}: the download was stopped; the next pull goes on where it ended"
    )
