"""An HTTP server on loopback that does exactly what a test says, and an http provider that may reach it."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from catalog_server.catalog.configuration import Files
from catalog_server.errors import CatalogError, Invalid
from catalog_server.providers.http import HTTPLimits, HTTPProvider
from catalog_server.providers.http_guard import Resolve
from catalog_server.sources.paths import Roots

YAML = b"agents:\n- name: a\n"
LOOPBACK = (ip_network("127.0.0.0/8"),)
HOST = "catalog.test"
"""Resolves to 127.0.0.1 on every bench, and stands in the certificate of TLS servers."""


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    path: str
    headers: dict[str, str]


Answer = bytes | Callable[[socket.socket, Seen], None]


def answer(status: int = 200, body: bytes = YAML, **headers: str) -> bytes:
    """A whole answer; `Content_Type` stands for Content-Type."""
    given = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return "\r\n".join(lines).encode() + body


class ScriptedServer:
    """Gives the `answers` one after the other, the last one again and again; one connection for each request."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = list(answers) or [answer()]
        self.seen: list[Seen] = []
        self.stopped = threading.Event()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://{HOST}:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for the next request
        self._thread.join(5)
        self._listener.close()

    def then(self, *answers: Answer) -> None:
        self.answers[:] = answers

    def send_slowly(self, connection: socket.socket, data: Iterable[bytes], pause: float = 0.05) -> None:
        for piece in data:
            connection.sendall(piece)
            if self.stopped.wait(pause):
                return

    def _serve(self) -> None:
        with suppress(OSError):
            while not self.stopped.is_set():
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with suppress(OSError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                seen = self._read(connection)
                self.seen.append(seen)
                chosen = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if isinstance(chosen, bytes):
                    connection.sendall(chosen)
                else:
                    chosen(connection, seen)
                if isinstance(connection, ssl.SSLSocket):
                    connection.unwrap()

    @staticmethod
    def _read(connection: socket.socket) -> Seen:
        data = b""
        while b"\r\n\r\n" not in data:
            portion = connection.recv(65536)
            if not portion or portion.startswith(b"\x16"):  # a client that speaks TLS to a server that does not
                raise ConnectionError
            data += portion
        first, *rest = data.decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        return Seen(first.split(" ")[1], headers)


class HTTPBench:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "data"
        self.cache = folder / "cache"
        self.root.mkdir()
        self.files = Files(Roots((self.root,)), str(self.root / "sources.yaml"), self.root, 10**7)
        self.provider = self.build()

    def build(self, *, resolve: Resolve | None = None, allowed: Any = LOOPBACK, **limits: Any) -> HTTPProvider:
        given: dict[str, Any] = {"timeout_seconds": 10.0, "backoff_seconds": 0.01, **limits}
        return HTTPProvider(self.cache, HTTPLimits(**given), allowed_networks=allowed, resolve=resolve or to_loopback)

    def fetch(self, url: str, provider: HTTPProvider | None = None, **properties: Any) -> bytes:
        fetched = (provider or self.provider).fetch({"url": url, **properties}, self.files)
        (file,) = fetched.files
        assert file.shown == url.partition("?")[0]
        return file.data

    def fails(self, url: str, provider: HTTPProvider | None = None, **properties: Any) -> CatalogError:
        with pytest.raises(CatalogError) as caught:
            self.fetch(url, provider, **properties)
        assert str(self.root.parent) not in caught.value.message
        return caught.value

    def refused(self, url: str, provider: HTTPProvider | None = None, **properties: Any) -> Invalid:
        error = self.fails(url, provider, **properties)
        assert isinstance(error, Invalid), error
        return error

    def kept(self) -> list[Path]:
        return [path for path in self.cache.rglob("*") if path.is_file()]


def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own, and a server that it vouches for."""

    certificate: Path
    context: ssl.SSLContext


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificate(folder: Path, names: str) -> Path:
    """A file with a key and a certificate that nobody vouches for; beside it the certificate alone, `server.crt`."""
    subject = ("-subj", "/CN=localhost", "-addext", f"subjectAltName={names}", "-days", "2")
    _openssl(folder, "req", "-x509", *_NEW_KEY, *subject, "-keyout", "server.pem", "-out", "server.crt")
    with (folder / "server.pem").open("a") as file:
        file.write((folder / "server.crt").read_text())
    return folder / "server.pem"


def make_authority(folder: Path, names: str = f"DNS:{HOST}") -> Authority:
    folder.mkdir()
    (folder / "names").write_text(f"subjectAltName={names}\n")
    _openssl(
        folder, "req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority"
    )
    _openssl(folder, "req", *_NEW_KEY, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    _openssl(folder, "x509", "-req", "-in", "server.csr", *signing, "-out", "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return Authority(folder / "ca.pem", context)
