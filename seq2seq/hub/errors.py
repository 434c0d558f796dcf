"""What can go wrong with the Hub, each in one line that names the culprit and the remedy."""

from __future__ import annotations

import errno

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

__all__ = [
    "HubCancelledError",
    "HubError",
    "HubInputError",
    "HubUnreachableError",
    "NoAnswerError",
    "disk_full",
    "explain",
    "megabytes",
    "not_a_hub",
]

LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class HubError(ValueError):
    """The Hub, the network or the disk failed; the message is one line with a remedy.

    Attributes:
        exit_status: of a command that ends with this error.
    """

    exit_status = 1


class HubInputError(HubError):
    """What was asked for cannot be: a bad name, no such model, a model of another kind."""

    exit_status = 2


class HubUnreachableError(HubError):
    """The Hub gave no usable answer; a copy that was pulled earlier may serve instead."""


class HubCancelledError(HubError):
    """The user stopped it."""

    exit_status = 130


class NoAnswerError(Exception):
    """Nothing happened for too long; has not been said in words yet."""


def explain(
    error: BaseException, *, name: str, endpoint: str, seconds: float, file: str | None = None
) -> HubError | None:
    """One line about an exception of huggingface_hub, httpx2 or the operating system.

    Args:
        error: what was raised.
        name: of the repository, with the revision if one was asked for.
        endpoint: the Hub's address.
        seconds: how long was waited for an answer.
        file: that was asked for.

    Returns:
        The error to raise instead; None for an exception that is none of theirs.
    """
    what = f"{name}: {file}" if file else name
    if isinstance(error, HubError):
        return error
    if isinstance(error, NoAnswerError | httpx2.TimeoutException):
        if file is not None:
            return HubUnreachableError(
                f"{what}: {endpoint} sent nothing for {seconds:g} s, twice; pull again later, "
                "it goes on where it ended"
            )
        return HubUnreachableError(
            f"{what}: {endpoint} gave no answer within {seconds:g} s; try again, or use a model "
            "that was pulled before: it needs no network"
        )
    if isinstance(error, OfflineModeIsEnabled):
        return HubUnreachableError(
            f"{what}: not asked for, because HF_HUB_OFFLINE is set; unset it to go online"
        )
    if isinstance(error, HfHubHTTPError):
        return _explain_status(error, name=name, endpoint=endpoint, what=what)
    if isinstance(error, httpx2.LocalProtocolError | UnicodeEncodeError):
        # its text may quote the header that holds the token
        return HubError(
            f"{name}: the token in HF_TOKEN or `hf auth` holds odd characters; {LOG_IN}"
        )
    if isinstance(error, httpx2.TooManyRedirects | httpx2.DecodingError):
        return not_a_hub(endpoint)
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return HubInputError(f"{endpoint!r} is no address of a Hub; correct or unset HF_ENDPOINT")
    if isinstance(error, httpx2.HTTPError):
        if file is not None:
            return HubUnreachableError(
                f"{what}: the connection to {endpoint} broke several times; pull again later, it "
                "goes on where it ended"
            )
        return HubUnreachableError(
            f"{what}: {endpoint} cannot be reached; check the connection, or use a model that was "
            "pulled before: it needs no network"
        )
    if isinstance(error, OSError):
        if error.errno in _FULL:
            return disk_full(what, str(error.filename or "the cache"))
        reason = error.strerror or str(error) or type(error).__name__
        where = error.filename or "the cache"
        return HubError(
            f"{what}: {where} cannot be used ({reason}); correct this, or set HF_HOME to another "
            "folder"
        )
    return None


def _explain_status(error: HfHubHTTPError, *, name: str, endpoint: str, what: str) -> HubError:
    status = error.response.status_code
    page = f"{endpoint}/{name.partition('@')[0]}"
    if isinstance(error, GatedRepoError):
        return HubError(f"{name} is gated; accept its terms on {page} and {LOG_IN}")
    if isinstance(error, RevisionNotFoundError):
        return HubInputError(f"{name}: there is no such revision; see {page}/tree/main for others")
    if isinstance(error, RemoteEntryNotFoundError):
        return HubInputError(f"{what}: there is no such file on {endpoint}")
    if status == 401 or (status == 404 and isinstance(error, RepositoryNotFoundError)):
        return HubInputError(
            f"{name} is not on {endpoint}, or it is private; check the name, or {LOG_IN} and "
            "accept its terms if it has any"
        )
    if status == 403:
        return HubError(
            f"{name}: {endpoint} forbids it; {LOG_IN} with a token that has the right to do this"
        )
    if status == 404:
        return HubInputError(f"{what} is not on {endpoint}; check the name, and HF_ENDPOINT if set")
    if status == 429:
        wait = error.response.headers.get("Retry-After", "").strip()
        when = f"in {int(wait)} seconds" if wait.isdecimal() else "in some minutes"
        return HubUnreachableError(
            f"{what}: {endpoint} has had too many requests from here; try again {when}, or {LOG_IN}"
        )
    if status >= 500:
        return HubUnreachableError(
            f"{what}: {endpoint} has a fault of its own (status {status}); try again later"
        )
    return HubError(f"{what}: {endpoint} refused with status {status}; check name and HF_ENDPOINT")


def not_a_hub(endpoint: str) -> HubUnreachableError:
    """Something answered, but not a Hub: the login page of a network, a wrong address."""
    return HubUnreachableError(
        f"{endpoint} does not answer like a Hugging Face Hub; log in to the network if it has a "
        "login page, or check HF_ENDPOINT"
    )


def disk_full(what: str, where: str, *, needed: int | None = None, free: int = 0) -> HubError:
    """No room for a download of ``needed`` bytes."""
    sizes = f": {megabytes(needed)} needed, {megabytes(free)} free" if needed is not None else ""
    return HubError(
        f"{what}: the disk of {where} is full{sizes}; make room, or set HF_HOME to another disk"
    )


def megabytes(count: int) -> str:
    """A number of bytes for people, in steps of a thousand: ``"298.4 MB"``."""
    for unit in ("bytes", "kB", "MB"):
        size = count / 1000 ** ("bytes", "kB", "MB").index(unit)
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
    return f"{count / 1000**3:.1f} GB"
