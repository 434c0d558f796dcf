"""The repository that is about to be written: is it free, or does it hold the same model?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from huggingface_hub import get_token
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import get_session, hf_raise_for_status

from seq2seq.hub.errors import LOG_IN, HubError, HubInputError, not_a_hub
from seq2seq.hub.listing import CARD, CONFIG, Kind, kind_of
from seq2seq.hub.repository import RepositoryId, file_url, quoted
from seq2seq.hub.session import Hub, Pulse

__all__ = ["Target", "look_at"]

_MAX_TEXT = 1_000_000  # bytes of a card or a configuration


@dataclass(frozen=True, kw_only=True)
class Target:
    """What there is under a name.

    Attributes:
        exists: there is a repository.
        private: which only some people see.
        names: its files.
        config: what its ``config.json`` says; None without one.
        card: text of its ``README.md``.
    """

    exists: bool = False
    private: bool = False
    names: frozenset[str] = frozenset()
    config: dict[str, Any] | None = None
    card: str = ""

    def check(self, repo: RepositoryId, hub: Hub, kind: Kind, *, private: bool) -> None:
        """Refuse a name that something else has.

        Raises:
            HubInputError: the name is taken, or it is public though ``private`` is asked for.
        """
        if self.config is not None and kind_of(self.config) != kind:
            named = quoted(str(self.config.get("model_type", "another")))
            raise HubInputError(f"{repo} holds a model of type {named}; choose another name")
        others = self.names - {CARD, ".gitattributes", "LICENSE"}
        if self.exists and self.config is None and others:
            raise HubInputError(
                f"{repo} holds something else, {quoted(min(others))} for one; choose another name"
            )
        if self.exists and private and not self.private:
            raise HubInputError(
                f"{repo} exists and is public; make it private on {hub.endpoint}/{repo}/settings, "
                "or leave out --private"
            )


def look_at(repo: RepositoryId, hub: Hub, pulse: Pulse) -> Target:
    """Ask the Hub what there is under a name.

    Raises:
        HubError: there is no token.
        HfHubHTTPError, httpx2.HTTPError: as they come.
    """
    if get_token() is None:
        raise HubError(f"{repo}: uploading needs a token; {LOG_IN}")
    pulse.beat()
    try:
        info = hub.api().model_info(repo.id, timeout=hub.timeout)
        names = frozenset(str(sibling.rfilename) for sibling in info.siblings or [])
        commit = str(info.sha)
    except HfHubHTTPError as error:
        if error.response.status_code == 404:
            return Target()
        raise
    except UnicodeEncodeError:  # a ValueError as well, but about the token
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise not_a_hub(hub.endpoint) from error
    pulse.beat()
    config = None
    if CONFIG in names:
        try:
            config = json.loads(_text(repo.id, commit, CONFIG, hub))
        except ValueError:
            config = {}
        config = config if isinstance(config, dict) else {}
    pulse.beat()
    return Target(
        exists=True,
        private=bool(info.private),
        names=names,
        config=config,
        card=_text(repo.id, commit, CARD, hub) if CARD in names else "",
    )


def _text(repo: str, commit: str, name: str, hub: Hub) -> str:
    url = file_url(repo, commit, name, hub=hub)
    response = get_session().get(url, headers=hub.headers(), timeout=hub.timeout)
    hf_raise_for_status(response)
    return response.content[:_MAX_TEXT].decode("utf-8", errors="replace")
