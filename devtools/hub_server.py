"""A small hub on 127.0.0.1 that speaks the protocol of the Hugging Face hub, so that its real client can be tried.

Repositories are dictionaries of files. What goes wrong in reality can be caused: connections that are cut, content that
is not what was announced, repositories whose licence has to be accepted, a line that is slow.

>>> with HubServer({"somebody/net": HubRepository({"config.json": b"{}"})}) as hub:
...     os.environ["HF_ENDPOINT"] = hub.endpoint
"""

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

LARGE = 10_000  # bytes; larger files, and weights, lie in the hub's store of large files
PIECE = 64 * 1024
API = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
FILE = re.compile(r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
STORE = re.compile(r"/store/(?P<name>[^/]+/[^/]+)/(?P<file>.+)")


@dataclass
class HubRepository:
    """A repository at its only commit. `gated` asks for `token`; `served` is sent instead of what is announced."""

    files: dict[str, bytes]
    license: str = "apache-2.0"
    languages: tuple[str, ...] = ()
    gated: bool = False
    token: str = "hf_accepted"
    served: dict[str, bytes] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        """Return the id of its commit."""
        parts = [
            f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in sorted(self.files.items())
        ]
        return hashlib.sha1("\n".join(parts).encode(), usedforsecurity=False).hexdigest()

    def is_large(self, file: str) -> bool:
        """Whether a file lies in the store of large files, which knows files by their SHA-256."""
        return file.endswith(".safetensors") or len(self.files[file]) > LARGE

    def etag(self, file: str) -> str:
        """Return the SHA-256 of a large file, and what git calls a small one."""
        content = self.files[file]
        if self.is_large(file):
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Exchange(NamedTuple):
    """One request and how it was answered."""

    method: str
    path: str
    range: str
    status: int


class HubServer:
    """The server; its repositories may be changed while it runs."""

    def __init__(self, repositories: Mapping[str, HubRepository]) -> None:
        self.repositories = dict(repositories)
        self.exchanges: list[Exchange] = []
        self.pause = 0.0  # seconds between two pieces of a large file
        self._cuts: dict[str, list[int]] = {}
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def endpoint(self) -> str:
        """Return what HF_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def cut(self, file: str, *after: int) -> None:
        """Cut the connection after so many bytes of a file, once for each number."""
        self._cuts.setdefault(file, []).extend(after)

    def next_cut(self, file: str) -> int | None:
        """Return after how many bytes this answer ends; None when it is sent whole."""
        waiting = self._cuts.get(file)
        return waiting.pop(0) if waiting else None

    def ranges(self, file: str) -> list[str]:
        """Return the ranges of a file's content that were asked for, in order; "" for all of it."""
        return [
            one.range
            for one in self.exchanges
            if one.method == "GET" and one.path.endswith(f"/{file}") and one.status in (200, 206)
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers as the hub does: facts of repositories, small files, and where large ones lie."""

    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if found := API.fullmatch(path):
                self._facts(found["name"], found["revision"] or "main")
            elif found := FILE.fullmatch(path):
                self._file(found["name"], found["revision"], found["file"])
            elif found := STORE.fullmatch(path):
                repository = self.hub.repositories[found["name"]]
                self._content(repository, found["file"], repository.etag(found["file"]))
            else:
                self._refuse(404, "EntryNotFound", "No such page")

    def _repository(self, name: str, revision: str) -> HubRepository | None:
        """Return a repository that may be read; else answer why not."""
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._refuse(401, "RepoNotFound", "Repository not found")
        elif repository.gated and self.headers.get("Authorization") != f"Bearer {repository.token}":
            self._refuse(403, "GatedRepo", "Access to this model is restricted")
        elif revision not in ("main", repository.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repository
        return None

    def _facts(self, name: str, revision: str) -> None:
        repository = self.hub.repositories.get(name)
        if repository is not None and not repository.gated:
            repository = self._repository(name, revision)
        elif repository is None:
            self._repository(name, revision)
        if repository is None:
            return
        siblings = []
        for file, content in repository.files.items():
            entry: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": repository.etag(file)}
            if repository.is_large(file):
                entry["lfs"] = {"sha256": repository.etag(file), "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        facts = {
            **{"_id": "0" * 24, "id": name, "modelId": name, "sha": repository.commit, "private": False},
            **{"gated": "manual" if repository.gated else False, "tags": [f"license:{repository.license}"]},
            "cardData": {"license": repository.license, "language": list(repository.languages)},
            "siblings": siblings,
        }
        self._send(200, json.dumps(facts).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, revision: str, file: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        if file not in repository.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        elif repository.is_large(file):
            headers = {
                "Location": f"{self.hub.endpoint}/store/{name}/{file}",
                "X-Linked-Etag": f'"{repository.etag(file)}"',
                "X-Linked-Size": str(len(repository.files[file])),
                "X-Repo-Commit": repository.commit,
            }
            self._send(302, b"", headers)
        else:
            self._content(repository, file, repository.etag(file), {"X-Repo-Commit": repository.commit})

    def _content(
        self, repository: HubRepository, file: str, etag: str, more: Mapping[str, str] | None = None
    ) -> None:
        content = repository.served.get(file, repository.files[file])
        headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes", **(more or {})}
        asked, first = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")), 0
        if asked:
            first = int(asked[1])
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        self._send(206 if asked else 200, content[first:], headers, file=Path(file).name)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": message})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], file: str = "") -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.exchanges.append(Exchange(self.command, path, self.headers.get("Range", ""), status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.hub.next_cut(file) if file else None
        for piece in _pieces(body[:cut]):
            self.wfile.write(piece)
            if file and self.hub.pause:
                time.sleep(self.hub.pause)
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True


def _pieces(body: bytes) -> Iterator[bytes]:
    for place in range(0, len(body), PIECE):
        yield body[place : place + PIECE]
