"""A model folder of this disk to the Hub: its files, and nothing else that lies beside them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from seq2seq.hub.card import body
from seq2seq.hub.errors import LOG_IN, HubCancelledError, HubError, HubInputError, explain
from seq2seq.hub.listing import CARD, written_by_us
from seq2seq.hub.package import Package, read_package
from seq2seq.hub.report import Progress, Report
from seq2seq.hub.repository import RepositoryId, quoted
from seq2seq.hub.session import Hub, Pulse, watch
from seq2seq.hub.target import Target, look_at

__all__ = ["push"]

_LOG = logging.getLogger(__name__)


def push(
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    message: str | None = None,
    replace_card: bool = False,
    endpoint: str | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    note: Callable[[str], None] = _LOG.warning,
    timeout: float = 5.0,
    patience: float = 600.0,
) -> str:
    """Upload a checkpoint folder, or a Marian folder, as one commit.

    The repository is made if there is none. Weights of an earlier upload that this model does
    not have are deleted, since a reader might prefer them. The token is the one of ``HF_TOKEN``
    or ``hf auth login``; it is shown nowhere.

    Args:
        folder: of the model, with a model card that names its licence.
        repo_id: ``OWNER/NAME``.
        private: make a new repository that only its owner sees.
        message: of the commit.
        replace_card: replace a card on the Hub that says something else; it is kept otherwise.
        endpoint: address of the Hub; None for ``HF_ENDPOINT``.
        progress: called in this thread with bytes done, bytes in total and a file name.
        cancelled: asked many times a second in this thread; True stops.
        note: called with a line that the user should read though it is no error.
        timeout: seconds until the Hub must have answered a question.
        patience: seconds that one file may take.

    Returns:
        ``OWNER/NAME@COMMIT``.

    Raises:
        HubInputError: the folder is no whole model, or the name is taken by another one.
        HubCancelledError: ``cancelled`` said so.
        HubError: anything else.
    """
    repo = RepositoryId.parse(repo_id)
    if repo.revision is not None:
        raise HubInputError(f"{quoted(repo_id)}: leave out what follows the @; main is written")
    package = read_package(folder)
    hub = Hub.here(endpoint=endpoint, timeout=timeout)
    if hub.offline:
        raise HubError(f"{repo}: nothing can be uploaded while HF_HUB_OFFLINE is set; unset it")
    report = Report(progress, package.total_bytes)
    committing = threading.Event()
    seconds = timeout
    try:
        target = watch(
            lambda pulse: look_at(repo, hub, pulse), patience=timeout + 0.5, cancelled=cancelled
        )
        target.check(repo, hub, package.kind, private=private)
        card = _card(package, target, replace_card, note)
        seconds = patience
        commit = watch(
            lambda pulse: _write(
                package,
                card,
                repo.id,
                hub,
                target,
                private=private,
                message=message or f"Upload {package.name}",
                committing=committing,
                pulse=pulse,
                report=report,
            ),
            patience=patience,
            cancelled=lambda: cancelled is not None and not committing.is_set() and cancelled(),
            tick=report.tell,
        )
    except HubCancelledError as error:
        raise HubCancelledError(
            f"{repo}: the upload was stopped; the model is as before"
        ) from error
    except Exception as error:
        clear = _explain(error, str(repo), hub, seconds)
        if clear is None:
            raise
        raise clear from None  # what lies behind it may quote headers
    report.tell()
    return f"{repo.id}@{commit}"


def _card(
    package: Package, target: Target, replace_card: bool, note: Callable[[str], None]
) -> str | None:
    """The card to write; None to keep the one that is there, which people may have edited."""
    there = target.card.strip()
    if there == package.card.strip() or _is_empty(there):
        return package.card
    if replace_card:
        note("the card on the Hub was replaced; its history keeps the old one")
        return package.card
    note("the card on the Hub says something else and was kept; --replace-card replaces it")
    return None


def _is_empty(card: str) -> bool:
    """Whether it has no text yet: a new repository has metadata alone."""
    try:
        return not card or not body(card).strip()
    except HubInputError:
        return False


def _write(
    package: Package,
    card: str | None,
    repo: str,
    hub: Hub,
    target: Target,
    *,
    private: bool,
    message: str,
    committing: threading.Event,
    pulse: Pulse,
    report: Report,
) -> str:
    """Make the repository, bring the large files one by one, commit. Gives the commit."""
    api, done = hub.api(), 0
    if not target.exists:
        api.create_repo(repo, private=private, exist_ok=True)
        pulse.beat()
    additions = [CommitOperationAdd(path.name, path) for path in package.files]
    with _no_bars():
        for addition, path in zip(additions, package.files, strict=True):
            report.arrived(done, path.name)
            api.preupload_lfs_files(repo, [addition], num_threads=1, free_memory=False)
            done += path.stat().st_size
            report.arrived(done, path.name)
            pulse.beat()
        if card is not None:
            additions.append(CommitOperationAdd(CARD, card.encode()))
        kept = {path.name for path in package.files} | {CARD}
        stale = sorted(written_by_us(target.names, package.kind) - kept)
        deletions = [CommitOperationDelete(name) for name in stale]
        committing.set()  # too late to stop from here on
        pulse.beat()
        info = api.create_commit(repo, [*additions, *deletions], commit_message=message)
    return str(info.oid)


@contextmanager
def _no_bars() -> Iterator[None]:
    """The library's own progress bars would come between ours."""
    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


def _explain(error: Exception, name: str, hub: Hub, seconds: float) -> HubError | None:
    """As :func:`explain`; failures of an upload are wrapped by the library."""
    inner: BaseException | None = error
    while inner is not None:
        clear = explain(inner, name=name, endpoint=hub.endpoint, seconds=seconds)
        if clear is not None:
            return _for_upload(clear, inner, name)
        inner = inner.__cause__
    if isinstance(error, ValueError | KeyError | TypeError):  # an answer of the wrong form
        return HubError(f"{name}: {hub.endpoint} gave an answer that makes no sense; try again")
    return None


def _for_upload(clear: HubError, error: BaseException, name: str) -> HubError:
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response) and response.status_code in (401, 403):
        return HubError(
            f"{name}: the token may not write there; {LOG_IN} with a token that has the right to "
            f"write to {name.partition('/')[0]}"
        )
    return clear
