"""Real git repositories for tests, made without a work tree, and a real git server on loopback."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

EXECUTABLE, LINK, MODULE = "100755", "120000", "160000"
_ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}


@dataclass(frozen=True)
class Special:
    """A tree entry that is no plain file: a link to `text`, or a submodule at the commit `text`."""

    mode: str
    text: str


Files = Mapping[str, bytes | str | Special]


@dataclass
class Repository:
    """A bare repository. Commits get a time of their own, so that equal files give different commits."""

    path: Path
    clock: int = 1_700_000_000
    heads: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: Path, files: Files | None = None, branch: str = "main") -> Repository:
        path.mkdir(parents=True)
        repository = cls(path)
        repository.git("init", "--quiet", "--bare", "--template=")
        repository.git("config", "core.compression", "0")
        repository.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        if files is not None:
            repository.commit(files, branch)
        return repository

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *arguments: str, given: bytes = b"") -> str:
        command = [
            "git",
            "-c",
            "core.compression=0",
            "-c",
            "core.hooksPath=/dev/null",
            f"--git-dir={self.path}",
            *arguments,
        ]
        done = subprocess.run(command, input=given, env=_ENVIRONMENT, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, files: Files, branch: str = "main") -> str:
        """One more commit on the branch, with exactly these files."""
        self.clock += 60
        ref = f"refs/heads/{branch}"
        parts = [f"commit {ref}\ncommitter T <t@example.com> {self.clock} +0000\ndata 0\n".encode()]
        if branch in self.heads:
            parts.append(f"from {ref}^0\n".encode())
        parts.append(b"deleteall\n")
        for path, content in files.items():
            parts.append(_entry(path, content))
        self.git("fast-import", "--quiet", "--force", given=b"".join(parts))
        self.heads[branch] = self.git("rev-parse", ref)
        return self.heads[branch]


def _entry(path: str, content: bytes | str | Special) -> bytes:
    if isinstance(content, Special) and content.mode == MODULE:
        return f"M {MODULE} {content.text} {path}\n".encode()
    mode = content.mode if isinstance(content, Special) else "100644"
    text = content.text if isinstance(content, Special) else content
    data = text.encode() if isinstance(text, str) else text
    return b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), path.encode(errors="surrogateescape"), len(data), data)


class GitServer(ThreadingHTTPServer):
    """Serves the bare repositories below `root` over HTTP, by way of `git http-backend`."""

    daemon_threads = True

    def __init__(self, root: Path, *, password: str | None = None, username: str = "git") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.expected = None if password is None else f"{username}:{password}"
        self.delay_seconds = 0.0
        """Before each answer."""
        self.chunk_pause_seconds = 0.0
        """After each 64 KiB of an answer."""
        self.redirect: str | None = None
        """Where every request is sent on to: scheme, host and port."""
        self.status: int | None = None
        """Answer everything with this."""
        self.seen: list[str] = []
        self.authorizations: list[str] = []
        self.sent_bytes = 0
        self.released = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> GitServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: GitServer

    def do_GET(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        if authorization := self.headers.get("Authorization"):
            self.server.authorizations.append(authorization)
        self.server.released.wait(self.server.delay_seconds)
        if self.server.status is not None:
            self.refuse(self.server.status)
        elif self.server.redirect is not None:
            self.refuse(302, Location=self.server.redirect + self.path)
        elif not self.is_allowed(authorization):
            self.refuse(401, **{"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self.run_backend()

    do_POST = do_GET

    def is_allowed(self, authorization: str | None) -> bool:
        if self.server.expected is None:
            return True
        return authorization == "Basic " + base64.b64encode(self.server.expected.encode()).decode()

    def refuse(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def run_backend(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        environment = _ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.send_slowly(content)

    def send_slowly(self, content: bytes) -> None:
        for start in range(0, len(content), 65536):
            self.wfile.write(content[start : start + 65536])
            self.server.sent_bytes += len(content[start : start + 65536])
            if self.server.chunk_pause_seconds:
                time.sleep(self.server.chunk_pause_seconds)

    def log_message(self, format: str, *args: object) -> None:
        pass


def processes_with(text: str) -> dict[int, str]:
    """Command lines of the running processes that mention `text` in them, by process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in command:
                found[int(folder.name)] = command
    return found
