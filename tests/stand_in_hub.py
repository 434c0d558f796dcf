"""A stand-in for the Hugging Face Hub: the part of its HTTP interface that pull and push use.

In a test::

    with StandInHub() as hub:
        hub.add("owner/name", {"config.json": b"{}"})
        hub.fail("status", path="resolve/", status=500)
        pull("owner/name", endpoint=hub.url)

In another process, serving ``FOLDER/owner/name/*`` as repositories, with faults switched on by
``POST /stand-in/faults`` (the JSON of a :class:`Fault`) and off by ``DELETE /stand-in/faults``::

    python tests/stand_in_hub.py FOLDER --port 8123
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from huggingface_hub import ModelCard

LARGE = (".safetensors", ".bin", ".spm")  # kept as large files, answered by a redirect


@dataclass
class Fault:
    """Something that goes wrong.

    Attributes:
        kind: status (with ``status`` and ``headers``), hang (before the answer), stall and cut
            (after ``after`` bytes of the body), length (``after`` bytes more are announced),
            size (the listing is right, the file is ``after`` bytes longer), corrupt, whole (a
            range is not heeded), portal (a login page instead of anything).
        path: part of the request's path; empty for every request.
        method: GET, HEAD, POST or PUT; empty for every one.
        times: how often; None for always.
    """

    kind: str
    path: str = ""
    method: str = ""
    times: int | None = None
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 0


@dataclass
class Repository:
    """Commits with their files, and what the API says about them."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    extra: list[dict[str, Any]] = field(default_factory=list)  # more siblings, however odd
    messages: list[str] = field(default_factory=list)

    def commit(self, files: Mapping[str, bytes], message: str = "") -> str:
        """A new newest state."""
        digest = hashlib.sha1(str(len(self.commits)).encode())
        for name, content in sorted(files.items()):
            digest.update(f"{name}\0{git_id(content)}".encode())
        sha = digest.hexdigest()
        self.commits[sha] = dict(files)
        self.refs["main"] = sha
        self.messages.append(message)
        return sha

    def find(self, revision: str) -> str | None:
        """The commit of a branch, a tag or a commit."""
        return revision if revision in self.commits else self.refs.get(revision)


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]


def git_id(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def is_large(name: str) -> bool:
    return name.endswith(LARGE)


class StandInHub:
    """The Hub; its large files lie on a second server, as on the real one."""

    def __init__(self, *, port: int = 0) -> None:
        self.repositories: dict[str, Repository] = {}
        self.renamed: dict[str, str] = {}
        self.large: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.token: str | None = None  # that uploads must bring; None accepts any
        self.released = threading.Event()  # ends all hanging at once
        self._servers = [self._server(port), self._server(0)]
        self.url, self.storage = (
            f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers
        )

    def _server(self, port: int) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"hub": self})
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        server.daemon_threads = True
        server.block_on_close = False
        return server

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add(self, name: str, files: Mapping[str, bytes] | Path, **facts: Any) -> str:
        """Put a repository there; gives its commit."""
        if isinstance(files, Path):
            files = {p.name: p.read_bytes() for p in sorted(files.iterdir()) if p.is_file()}
        repository = self.repositories.setdefault(name, Repository())
        for key, value in facts.items():
            setattr(repository, key, value)
        return repository.commit(files)

    def fail(self, kind: str, **settings: Any) -> Fault:
        """Switch a fault on."""
        fault = Fault(kind, **settings)
        self.faults.append(fault)
        return fault

    def recover(self) -> None:
        """Switch all faults off."""
        self.faults.clear()
        self.released.set()
        self.released = threading.Event()

    def paths(self, method: str = "") -> list[str]:
        """Paths of the requests so far, ``GET /…``."""
        return [f"{r.method} {r.path}" for r in self.requests if r.method.startswith(method)]

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that a request meets, if any."""
        for fault in self.faults:
            if fault.path in path and fault.method in method and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    hub: StandInHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # header and body are two writes: 40 ms less per answer
    _fault: Fault | None = None

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self._body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path.startswith("/stand-in/"):
            return self._control()
        headers = {key.title(): value for key, value in self.headers.items()}
        self.hub.requests.append(Request(self.command, self.path, headers))
        self._fault = self.hub.fault(self.command, self.path)
        if (fault := self._fault) is not None:
            if fault.kind == "hang":
                self.hub.released.wait(60)
                self.close_connection = True
                return None
            if fault.kind == "status":
                return self._send(fault.status, b"", fault.headers)
            if fault.kind == "portal":
                page = b"<html>Please log in to this network</html>"
                return self._send(200, page, {"Content-Type": "text/html"})
        for pattern, method in _ROUTES:
            if (found := re.fullmatch(pattern, path)) is not None:
                return method(self, *found.groups())
        return self._error(404, "RepoNotFound")

    # --- Answers ------------------------------------------------------------------------------

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str] = {}, *, more: int = 0
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body) + more), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str = "", message: str = "") -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message or code}
        self._send(status, b"", {key: value for key, value in headers.items() if value})

    def _content(self, content: bytes, headers: dict[str, str]) -> None:
        """A file, or the range of it that was asked for, with the faults of a body."""
        fault = self._fault or Fault("none")
        if fault.kind == "corrupt":
            content = bytes([content[0] ^ 1]) + content[1:]
        if fault.kind == "size":
            content += b"x" * fault.after
        status, start = 200, 0
        wish = "" if fault.kind == "whole" else self.headers.get("Range", "")
        if (found := re.fullmatch(r"bytes=(\d+)-", wish)) is not None:
            status, start = 206, int(found[1])
            if start >= len(content):
                return self._send(416, b"")
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if fault.kind in ("stall", "cut"):
            self._send(status, body[: fault.after], headers, more=len(body[fault.after :]))
            self.wfile.flush()
            if fault.kind == "stall":
                self.hub.released.wait(60)
            self.close_connection = True
            return None
        if fault.kind == "length":
            self.close_connection = True
        return self._send(status, body, headers, more=fault.after if fault.kind == "length" else 0)

    # --- Reading ------------------------------------------------------------------------------

    def _repository(self, name: str, revision: str | None) -> tuple[Repository, str] | None:
        """The repository and commit that are asked for, or an error is sent."""
        if (new := self.hub.renamed.get(name)) is not None:
            self._send(307, b"", {"Location": self.path.replace(name, new, 1)})
            return None
        repository = self.hub.repositories.get(name)
        authorised = "Authorization" in self.headers
        if repository is None or (repository.private and not authorised):
            self._error(404 if authorised else 401, "RepoNotFound", "Repository not found")
            return None
        sha = repository.find(revision or "main")
        if sha is None:
            self._error(404, "RevisionNotFound", "Invalid rev id")
            return None
        return repository, sha

    def _info(self, name: str, revision: str | None = None) -> None:
        if (found := self._repository(name, revision)) is None:
            return
        repository, sha = found
        files = repository.commits[sha]
        siblings = [_sibling(name, content) for name, content in files.items()]
        card = files.get("README.md", b"").decode()
        self._json(
            {
                "id": name,
                "modelId": name,
                "sha": sha,
                "private": repository.private,
                "gated": "auto" if repository.gated else False,
                "siblings": siblings + repository.extra,
                "cardData": _front_matter(card),
                "tags": [],
            }
        )

    def _tree(self, name: str, revision: str) -> None:
        if (found := self._repository(name, revision)) is not None:
            files = found[0].commits[found[1]]
            self._json(
                [
                    {"type": "file", "path": path, "size": len(content), "oid": git_id(content)}
                    for path, content in files.items()
                ]
            )

    def _resolve(self, name: str, revision: str, file: str) -> None:
        if (found := self._repository(name, revision)) is None:
            return None
        repository, sha = found
        if repository.gated and "Authorization" not in self.headers:
            return self._error(403, "GatedRepo", "Access to this model is restricted")
        content = repository.commits[sha].get(file)
        if content is None:
            return self._error(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": sha, "ETag": f'"{git_id(content)}"', "Accept-Ranges": "bytes"}
        if not is_large(file):
            return self._content(content, headers)
        digest = hashlib.sha256(content).hexdigest()
        self.hub.large[digest] = content
        headers |= {
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(content)),
            "Location": f"{self.hub.storage}/storage/{digest}",
        }
        return self._send(302, b"", headers)

    def _storage(self, digest: str) -> None:
        if self.command == "PUT":
            self.hub.large[digest] = self._body
            return self._send(200, b"")
        content = self.hub.large.get(digest)
        if content is None:
            return self._send(404, b"")
        return self._content(content, {"ETag": f'"{digest}"', "Accept-Ranges": "bytes"})

    # --- Writing ------------------------------------------------------------------------------

    def _may_write(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if given and self.hub.token in (None, given):
            return True
        self._error(403 if given else 401, message="Invalid credentials in Authorization header")
        return False

    def _create(self) -> None:
        if self._may_write():
            wish = json.loads(self._body)
            name = f"{wish['organization']}/{wish['name']}"
            if name in self.hub.repositories:
                return self._json({"url": f"{self.hub.url}/{name}"}, 409)
            private = wish.get("visibility") == "private"
            self.hub.add(name, {".gitattributes": b"*.bin filter=lfs\n"}, private=private)
            self._json({"url": f"{self.hub.url}/{name}"})
        return None

    def _validate(self) -> None:
        self._json({"errors": [], "warnings": []})

    def _preupload(self, name: str, revision: str) -> None:
        found = self._repository(name, revision) if self._may_write() else None
        if found is not None:
            files = found[0].commits[found[1]]
            answers = []
            for wish in json.loads(self._body)["files"]:
                path, large = wish["path"], is_large(wish["path"])
                there = files.get(path)
                oid = None
                if there is not None:
                    oid = hashlib.sha256(there).hexdigest() if large else git_id(there)
                mode = "lfs" if large else "regular"
                answers.append(
                    {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}
                )
            self._json({"files": answers})

    def _batch(self, name: str) -> None:
        if self._may_write():
            objects = []
            for wish in json.loads(self._body)["objects"]:
                answer = {"oid": wish["oid"], "size": wish["size"]}
                if wish["oid"] not in self.hub.large:
                    href = f"{self.hub.storage}/storage/{wish['oid']}"
                    answer["actions"] = {"upload": {"href": href, "header": {}}}
                objects.append(answer)
            self._json({"transfer": "basic", "objects": objects})

    def _commit(self, name: str, revision: str) -> None:
        found = self._repository(name, revision) if self._may_write() else None
        if found is None:
            return
        repository, sha = found
        files, message = dict(repository.commits[sha]), ""
        for line in self._body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                message = value["summary"]
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        new = repository.commit(files, message)
        self._json({"commitOid": new, "commitUrl": f"{self.hub.url}/{name}/commit/{new}"})

    # --- For other processes ------------------------------------------------------------------

    def _control(self) -> None:
        if self.path == "/stand-in/faults" and self.command == "POST":
            self.hub.fail(**json.loads(self._body))
        elif self.path == "/stand-in/faults" and self.command == "DELETE":
            self.hub.recover()
        self._json({"requests": self.hub.paths()})


_NAME = r"([\w.-]+/[\w.-]+)"
_ROUTES: list[tuple[str, Callable[..., None]]] = [
    (rf"/api/models/{_NAME}", _Handler._info),
    (rf"/api/models/{_NAME}/revision/(.+)", _Handler._info),
    (rf"/api/models/{_NAME}/tree/([^/]+)", _Handler._tree),
    (rf"/{_NAME}/resolve/([^/]+)/(.+)", _Handler._resolve),
    (r"/storage/([0-9a-f]{64})", _Handler._storage),
    (r"/api/repos/create", _Handler._create),
    (r"/api/validate-yaml", _Handler._validate),
    (rf"/api/models/{_NAME}/preupload/([^/]+)", _Handler._preupload),
    (rf"/{_NAME}\.git/info/lfs/objects/batch", _Handler._batch),
    (rf"/api/models/{_NAME}/commit/([^/]+)", _Handler._commit),
]


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_id(content)}
    if is_large(name):
        digest = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
    return found


def _front_matter(card: str) -> dict[str, Any]:
    if not card.startswith("---\n"):
        return {}
    found: dict[str, Any] = ModelCard(card, ignore_metadata_errors=True).data.to_dict()
    return found


def main() -> None:
    """Serve the repositories of a folder until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    hub = StandInHub(port=options.port)
    for folder in sorted(options.folder.glob("*/*")):
        if folder.is_dir():
            hub.add(f"{folder.parent.name}/{folder.name}", folder)
    with hub:
        print(hub.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
