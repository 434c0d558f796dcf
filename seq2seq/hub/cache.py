"""The layout of huggingface_hub's cache, which its documentation describes.

``blobs`` holds contents under their hashes, ``snapshots`` a folder of links for each commit,
``refs`` the commit of a branch or tag. Files get in only whole and verified, by a rename.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from seq2seq.hub.listing import INDEX, kind_of, missing_from, needed, read_config, shards_in

__all__ = ["CachedRepository", "free_bytes", "is_commit", "names_in"]


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a commit, which never changes."""
    return revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None


@dataclass(frozen=True)
class CachedRepository:
    """What the cache holds of one repository.

    Attributes:
        cache: the cache folder.
        id: owner and name.
    """

    cache: Path
    id: str

    @property
    def _name(self) -> str:
        return f"models--{self.id.replace('/', '--')}"

    def blob(self, digest: str) -> Path:
        """Where a content lies."""
        return self.cache / self._name / "blobs" / digest

    def partial(self, digest: str) -> Path:
        """Where a content is collected, to be gone on with after a break."""
        return self.cache / self._name / "blobs" / f"{digest}.incomplete"

    def lock(self, digest: str) -> Path:
        """Lock file of a content, the one that huggingface_hub uses as well."""
        return self.cache / ".locks" / self._name / f"{digest}.lock"

    def snapshot(self, commit: str) -> Path:
        """Folder of a commit's files."""
        return self.cache / self._name / "snapshots" / commit

    def commit_of(self, revision: str | None) -> str | None:
        """The commit that a revision had when it was pulled last."""
        if is_commit(revision):
            return revision
        try:
            path = self.cache / self._name / "refs" / (revision or "main")
            commit = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
        return commit if is_commit(commit) else None

    def complete(self, revision: str | None) -> Path | None:
        """The folder of a revision if nothing that its model needs is missing."""
        commit = self.commit_of(revision)
        if commit is None:
            return None
        folder = self.snapshot(commit)
        if (kind := kind_of(read_config(folder))) is None:
            return None
        names = {path.name for path in folder.iterdir() if path.is_file()}  # no dead links
        if missing_from(names, kind) is not None:
            return None
        if INDEX in needed(names, kind):
            shards = shards_in(folder)
            if shards is None or not shards <= names:
                return None
        return folder

    def has(self, commit: str, name: str, size: int) -> bool:
        """Whether a file is there, with the size that it must have."""
        try:
            return (self.snapshot(commit) / name).stat().st_size == size
        except OSError:
            return False

    def link(self, commit: str, name: str, digest: str) -> None:
        """Let a content appear as a file of a commit."""
        pointer, blob = self.snapshot(commit) / name, self.blob(digest)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        fresh = pointer.with_name(f".{name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            os.symlink(os.path.relpath(blob, pointer.parent), fresh)
        except OSError:  # no links on this disk; huggingface_hub moves the file then, too
            os.replace(blob, pointer)
        else:
            os.replace(fresh, pointer)

    def remember(self, revision: str | None, commit: str) -> None:
        """Write down which commit a branch or tag has."""
        if is_commit(revision):
            return
        path = self.cache / self._name / "refs" / (revision or "main")
        with contextlib.suppress(OSError):  # a cache that cannot be written is a cache still
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
            fresh.write_text(commit, encoding="utf-8")
            os.replace(fresh, path)


def names_in(cache: Path) -> list[str]:
    """Ids of the repositories of models that the cache knows, whether or not they can be read."""
    try:
        folders = sorted(path.name for path in cache.iterdir() if path.is_dir())
    except OSError:
        return []
    names = [name.removeprefix("models--") for name in folders if name.startswith("models--")]
    return [name.replace("--", "/", 1) for name in names if "--" in name]


def free_bytes(folder: Path) -> int | None:
    """Free space on the disk of a folder that may not exist yet; None if it cannot be told."""
    for place in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None
