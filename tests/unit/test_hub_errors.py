"""What people read when something goes wrong: one line, the culprit, the remedy."""

import errno

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import hf_raise_for_status

from seq2seq.hub import HubError, HubInputError, HubUnreachableError
from seq2seq.hub.errors import NoAnswerError, explain, megabytes

HUB = "https://hub.example"
TOKEN = "hf_secret"


def answer(status: int, **headers: str) -> HfHubHTTPError:
    """The exception for an answer of the Hub."""
    names = {key.replace("_", "-"): value for key, value in headers.items()}
    request = httpx2.Request("GET", f"{HUB}/a/b", headers={"Authorization": f"Bearer {TOKEN}"})
    response = httpx2.Response(
        status, headers=names, request=request, content=b'{"error": "x\\ny"}'
    )
    with pytest.raises(HfHubHTTPError) as caught:
        hf_raise_for_status(response)
    return caught.value


def said(error: BaseException, *, file: str | None = None) -> HubError:
    clear = explain(error, name="a/b@v1", endpoint=HUB, seconds=5, file=file)
    assert clear is not None
    assert "\n" not in str(clear)
    assert TOKEN not in str(clear)
    assert str(clear).startswith(("a/b", HUB, repr(HUB)))
    return clear


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (answer(401), HubInputError, "a/b@v1 is not on https://hub.example, or it is private"),
        (answer(404, X_Error_Code="RepoNotFound"), HubInputError, "or it is private; check the"),
        (answer(404), HubInputError, "a/b@v1 is not on https://hub.example; check the name"),
        (answer(403, X_Error_Code="GatedRepo"), HubError, f"gated; accept its terms on {HUB}/a/b "),
        (answer(403), HubError, "forbids it; log in with `hf auth login` or set HF_TOKEN"),
        (answer(404, X_Error_Code="RevisionNotFound"), HubInputError, "there is no such revision"),
        (answer(404, X_Error_Code="EntryNotFound"), HubInputError, "there is no such file on"),
        (answer(429, Retry_After="9"), HubUnreachableError, "try again in 9 seconds, or log in"),
        (answer(429), HubUnreachableError, "try again in some minutes, or log in"),
        (answer(503), HubUnreachableError, "has a fault of its own (status 503); try again later"),
        (answer(418), HubError, "refused with status 418; check name and HF_ENDPOINT"),
        (NoAnswerError(), HubUnreachableError, "gave no answer within 5 s; try again, or use"),
        (httpx2.ReadTimeout("x"), HubUnreachableError, "gave no answer within 5 s"),
        (httpx2.ConnectError("x"), HubUnreachableError, "cannot be reached; check the connection"),
        (httpx2.ReadError("x"), HubUnreachableError, "cannot be reached"),
        (httpx2.TooManyRedirects("x"), HubUnreachableError, "not answer like a Hugging Face Hub"),
        (httpx2.UnsupportedProtocol("x"), HubInputError, "correct or unset HF_ENDPOINT"),
        (httpx2.LocalProtocolError(TOKEN), HubError, "`hf auth` holds odd characters"),
        (OfflineModeIsEnabled("x"), HubUnreachableError, "because HF_HUB_OFFLINE is set; unset it"),
        (OSError(errno.ENOSPC, "No space", "/x"), HubError, "the disk of /x is full; make room"),
        (PermissionError(13, "Denied", "/x"), HubError, "/x cannot be used (Denied); correct this"),
    ],
)  # fmt: skip
def test_one_line_each(error: Exception, kind: type[HubError], words: str) -> None:
    clear = said(error)
    assert type(clear) is kind
    assert words in str(clear)


def test_a_file_is_named() -> None:
    for error in (answer(500), httpx2.ReadTimeout("x"), httpx2.ReadError("x"), OSError(28, "x")):
        assert str(said(error, file="vocab.json")).startswith("a/b@v1: vocab.json: ")
    assert "it goes on where it ended" in str(said(httpx2.ReadError("x"), file="vocab.json"))


def test_exit_status_says_whose_fault_it_is() -> None:
    assert said(answer(401)).exit_status == 2
    assert said(answer(500)).exit_status == 1


def test_our_own_mistakes_are_not_explained_away() -> None:
    for error in (ZeroDivisionError(), AssertionError(), KeyError("x")):
        assert explain(error, name="a/b", endpoint=HUB, seconds=5) is None
    own = HubInputError("said already")
    assert explain(own, name="a/b", endpoint=HUB, seconds=5) is own


def test_sizes_for_people() -> None:
    sizes = {0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 298_400_000: "298.4 MB"}
    assert {count: megabytes(count) for count in sizes} == sizes
    assert megabytes(2 * 1024**3) == "2.1 GB"
