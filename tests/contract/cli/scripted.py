"""A small HTTP server that answers what a test tells it to, and keeps what it was asked."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

BASE = "/api/things_catalog/v1alpha1"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """`drips`: the body comes byte by byte and never ends. `is_cut`: half of it comes."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    drips: bool = False
    is_cut: bool = False

    @property
    def data(self) -> bytes:
        return json.dumps(self.body).encode() if self.raw is None else self.raw


Script = dict[str, Reply | Callable[[Asked], Reply]]


@dataclass
class Scripted:
    """`script`: path, or `*`, -> what is answered. Everything else is a 404."""

    url: str = ""
    script: Script = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    stopping: Event = field(default_factory=Event)

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        nothing = Reply({"error": "Not Found", "message": "no such path"}, 404)
        found = self.script.get(asked.path) or self.script.get("*", nothing)
        return found if isinstance(found, Reply) else found(asked)

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]


class _Handler(BaseHTTPRequestHandler):
    """`server.scripted` says what to answer."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        scripted: Scripted = self.server.scripted  # type: ignore[attr-defined]
        parts = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qsl(parts.query, keep_blank_values=True)
        reply = scripted.reply(Asked(self.command, parts.path, query, headers, json.loads(data) if data else None))
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(1 << 30 if reply.drips else len(reply.data)))
        self.end_headers()
        while reply.drips and not scripted.stopping.wait(0.05):
            self.wfile.write(b" ")
        self.wfile.write(reply.data[: len(reply.data) // 2] if reply.is_cut else reply.data)
        self.close_connection = True

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _answer

    def handle(self) -> None:
        with suppress(OSError):  # the client went away, as some tests want it to
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(script: Script | None = None, certificate: Path | None = None) -> Iterator[Scripted]:
    """A server on a free port, with TLS where there is a certificate."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.handle_error = lambda request, address: None  # type: ignore[method-assign]
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scripted = Scripted(f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}", script or {})
    server.scripted = scripted  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield scripted
    finally:
        scripted.stopping.set()
        server.shutdown()
        server.server_close()


def plugin(name: str = "things", **changes: Any) -> dict[str, Any]:
    """A plugin as `/api/plugins` lists it. `changes`: of its one kind of entity."""
    base = f"/api/{name}_catalog/v1alpha1"
    entity = {
        "kind": "Thing",
        "plural": "things",
        "displayName": "Thing",
        "endpoints": {"list": f"{base}/things", "get": f"{base}/things/{{name}}"},
        "fields": {"columns": [{"displayName": "Name", "path": "name"}, {"displayName": "Size", "path": "size"}]},
        "actions": ["tag", "erase"],
        **changes,
    }
    actions = [
        {"id": "tag", "scope": "asset", "supportsDryRun": True, "description": "Tag it."},
        {"id": "erase", "displayName": "Erase", "scope": "asset", "destructive": True},
        {"id": "refresh", "scope": "source"},
    ]
    capabilities = {
        "schemaVersion": "v1",
        "plugin": {"name": name},
        "entities": [entity],
        "sources": {"manageable": True, "refreshable": True},
        "actions": actions,
    }
    described = {"name": name, "displayName": name.title(), "basePath": base, "healthy": True}
    return {**described, "capabilitiesV2": capabilities}


def listing(*plugins: dict[str, Any]) -> Reply:
    return Reply({"plugins": list(plugins), "count": len(plugins)})
