"""A small Hugging Face hub for tests: real HTTP, the four requests that a catalog needs, and ways to go wrong.

It knows whoami-v2, lists with author, search, limit, full and cursor, single models, raw files, private models, renamed
models, and tokens. Like the real one it answers 401 to strangers who ask for a model that does not exist.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

TOKEN = "hf_theRightToken0123456789"
SHORT = ("id", "modelId", "private", "tags", "createdAt")
"""What a list says of a model when it is not asked for more, or cannot give more."""


@dataclass
class Fault:
    """What happens to the requests for one path (and page: `?cursor=…`), `times` times. Status 0: no answer at all."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "made by the test"}'
    times: int = 1_000_000
    delay_seconds: float = 0.0
    """Before each byte of the body."""


@dataclass
class Asked:
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Hub:
    """The models, and how the hub is to behave."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.renamed: dict[str, str] = {}
        self.faults: dict[str, Fault] = {}
        self.tokens = {TOKEN}
        self.lists_in_full = True
        self.page_size = 100
        self.next_link = "{base}{path}?{query}"
        self.requests: list[Asked] = []
        self.url = ""

    def add(self, name: str, readme: str | None = None, **fields: Any) -> None:
        files = [".gitattributes", "config.json", *(["README.md"] if readme is not None else [])]
        self.models[name] = {
            **{"id": name, "modelId": name, "author": name.partition("/")[0], "private": False, "gated": False},
            **{"tags": ["transformers", "license:apache-2.0"], "pipeline_tag": "text-generation"},
            **{"library_name": "transformers", "createdAt": "2024-05-06T07:08:09.123Z"},
            **{"lastModified": "2024-06-07T08:09:10.000Z", "downloads": 5, "cardData": {"license": "apache-2.0"}},
            **{"siblings": [{"rfilename": one} for one in files], **fields},
        }
        if readme is not None:
            self.files[f"/{name}/raw/main/README.md"] = readme.encode()

    def paths(self) -> list[str]:
        return [asked.path for asked in self.requests]

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if asked.path == "/api/whoami-v2":
            return _json({"name": "someone"} if token in self.tokens else None, 401)
        if token and token not in self.tokens:
            return _json(None, 401)
        if asked.path == "/api/models":
            return self._list(asked, bool(token))
        if asked.path in self.files:
            return 200, {"Content-Type": "text/plain"}, self.files[asked.path]
        name = asked.path.removeprefix("/api/models/")
        if name in self.renamed:
            return 307, {"Location": f"/api/models/{self.renamed[name]}"}, b""
        model = self.models.get(name)
        if model is None or (model["private"] and not token):
            return _json(None, 404 if token else 401)
        return _json(model, 200)

    def _list(self, asked: Asked, sees_private: bool) -> tuple[int, dict[str, str], bytes]:
        query = asked.query
        found = [
            model if self.lists_in_full and query.get("full") else {key: model[key] for key in SHORT}
            for name, model in self.models.items()
            if name.partition("/")[0].lower() == query["author"].lower()
            and query.get("search", "").lower() in name.partition("/")[2].lower()
            and (sees_private or not model["private"])
        ]
        start, size = int(query.get("cursor") or 0), min(int(query["limit"]), self.page_size)
        status, headers, body = _json(found[start : start + size], 200)
        if start + size < len(found):
            rest = "&".join(f"{key}={quote(value)}" for key, value in query.items() if key != "cursor")
            link = self.next_link.format(base=self.url, path=asked.path, query=f"{rest}&cursor={start + size}")
            headers["Link"] = f'<{link}>; rel="next"'
        return status, headers, body


def _json(value: Any, status: int) -> tuple[int, dict[str, str], bytes]:
    if value is None:
        return status, {"Content-Type": "application/json"}, b'{"error": "Invalid username or password."}'
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        asked = Asked(url.path, query, {name.lower(): value for name, value in self.headers.items()})
        self.hub.requests.append(asked)
        cursor = f"?cursor={query['cursor']}" if "cursor" in query else ""
        fault = self.hub.faults.get(url.path + cursor)
        if fault is None or fault.times <= 0:
            self._send(*self.hub.answer(asked))
            return
        fault.times -= 1
        if fault.status == 0:
            self.close_connection = True
            return
        self._send(fault.status, fault.headers, fault.body, fault.delay_seconds)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def _send(self, status: int, headers: dict[str, str], body: bytes, delay_seconds: float = 0.0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for piece in [bytes([byte]) for byte in body] if delay_seconds else [body]:
            time.sleep(delay_seconds)
            self.wfile.write(piece)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is what some tests are about."""


@contextmanager
def serve_hub(certificate: Path | None = None) -> Iterator[Hub]:
    """An empty hub; `url` is where it answers. `certificate`: a file with key and certificate, for https."""
    hub = Hub()
    connection = type("Connection", (_Connection,), {"hub": hub})
    with _Server(("127.0.0.1", 0), connection) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        scheme = "http" if certificate is None else "https"
        hub.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
