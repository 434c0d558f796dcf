"""The Hugging Face Hub: models come from it and go to it.

Every call reads ``HF_ENDPOINT``, ``HF_HOME``, ``HF_HUB_CACHE`` and ``HF_HUB_OFFLINE`` anew, has a
clear answer within a bounded time, and says every failure in one line (:class:`HubError`).
"""

from seq2seq.hub.card import with_metadata
from seq2seq.hub.download import cached, cached_names, pull
from seq2seq.hub.errors import HubCancelledError, HubError, HubInputError, HubUnreachableError
from seq2seq.hub.repository import Repository, RepositoryId, inspect
from seq2seq.hub.upload import push

__all__ = [
    "HubCancelledError",
    "HubError",
    "HubInputError",
    "HubUnreachableError",
    "Repository",
    "RepositoryId",
    "cached",
    "cached_names",
    "inspect",
    "pull",
    "push",
    "with_metadata",
]
