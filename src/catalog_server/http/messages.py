"""Request and Response, as small as the read path needs them.

A Response is a value that may be cached and shared between requests: nobody changes one after it was made.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec

from catalog_server.access.principal import ANONYMOUS, Principal
from catalog_server.errors import Invalid, TooLarge
from catalog_server.scope import DEFAULT_SCOPE, Scope
from catalog_server.telemetry.traces import NO_TRACE, Trace

if TYPE_CHECKING:
    from catalog_server.http.auditing import Entry
    from catalog_server.http.router import Route

Header = tuple[bytes, bytes]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

JSON = b"application/json"
_MAX_QUERY_FIELDS = 100
_KEPT_CHARACTERS = 1024
_GZIP_FROM_BYTES = 1024
# Named, and not with the weight 0, which refuses it.
_TAKES_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)", re.IGNORECASE)


class Request:
    """One request. `path` is percent-decoded, `raw_path` as it was sent."""

    __slots__ = (
        "_headers",
        "_query",
        "entry",
        "headers",
        "id",
        "method",
        "params",
        "path",
        "peer",
        "principal",
        "raw_path",
        "raw_query",
        "receive",
        "route",
        "scope",
        "trace",
    )

    def __init__(self, asgi: Mapping[str, Any], receive: Receive) -> None:
        self.method: str = asgi["method"]
        self.path: str = asgi["path"]
        self.raw_path: bytes = asgi.get("raw_path") or self.path.encode()
        self.raw_query: bytes = asgi["query_string"]
        self.headers: list[Header] = asgi["headers"]
        """All header lines, names in lower case."""
        self._headers = dict(reversed(self.headers))  # so that of several the first stays
        peer = asgi.get("client")
        self.peer: str | None = peer[0] if peer else None
        """The address that the connection comes from; None: not one of the network."""
        self.receive = receive
        self.id = ""
        self.scope: Scope = DEFAULT_SCOPE
        """The tenant. Set by the tenancy middleware."""
        self.principal: Principal = ANONYMOUS
        """Who asks. Set by the identity middleware."""
        self.route: Route | None = None
        self.trace: Trace = NO_TRACE
        self.params: dict[str, str] = {}
        """Values of the route's placeholders."""
        self.entry: Entry | None = None
        """What the audit event of this request will say. Set by the audit middleware, for routes that change things."""
        self._query: dict[str, list[str]] | None = None

    def header(self, name: bytes) -> str | None:
        """The first header of this (lower-case) name."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def query(self) -> dict[str, list[str]]:
        """All values of each query parameter.

        Raises:
            Invalid: not valid UTF-8, a NUL character, or absurdly many parameters.
        """
        found = self._query
        if found is None:
            found = self._query = _parse_query(self.raw_query)
        return found

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def only(self, name: str, default: str = "") -> str:
        """The value of a query parameter that must not be repeated. Raises Invalid."""
        if len(self.query.get(name, ())) > 1:
            raise Invalid("given more than once", field=name)
        return self.first(name, default)

    async def body(self, max_bytes: int) -> bytes:
        """The whole body.

        Raises:
            TooLarge: it is longer than `max_bytes`.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] != "http.request":
                raise Invalid("the client went away before the body was complete")
            part = message.get("body", b"")
            size += len(part)
            if size > max_bytes:
                raise TooLarge(f"request body is larger than {max_bytes} bytes")
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)


def _parse_query(raw: bytes) -> dict[str, list[str]]:
    if not raw:
        return {}
    if raw.count(b"&") >= _MAX_QUERY_FIELDS:
        raise Invalid(f"the query string has more than {_MAX_QUERY_FIELDS} parameters", field="query")
    values: dict[str, list[str]] = {}
    try:
        for pair in raw.decode("ascii").split("&"):
            if pair:
                name, _, value = pair.partition("=")
                values.setdefault(_unescape(name), []).append(_unescape(value))
    except UnicodeDecodeError as error:
        raise Invalid("the query string is not valid UTF-8", field="query") from error
    if b"%00" in raw or b"\0" in raw:
        _refuse_nul(values)
    return values


def _unescape(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return _unescape_kept(text) if len(text) <= _KEPT_CHARACTERS else _unescape_whole(text)


def _unescape_whole(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode()


# Clients ask for page after page with the same filter.
_unescape_kept = lru_cache(maxsize=1024)(_unescape_whole)


def _refuse_nul(values: Mapping[str, list[str]]) -> None:
    for name, found in values.items():
        if "\0" in name or any("\0" in value for value in found):
            raise Invalid("holds a NUL character", field=name.replace("\0", "")[:80] or "query")


class Response:
    """One answer."""

    __slots__ = ("_gzipped", "body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Iterable[Header] = (), content_type: bytes = JSON) -> None:
        self.status = status
        self.body = body
        self.headers: tuple[Header, ...] = (
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            *headers,
        )
        self._gzipped: Response | None = None

    @classmethod
    def empty(cls, status: int, headers: Iterable[Header] = ()) -> Response:
        """An answer that must not have a body (204, 304), and so no headers about one."""
        return cls._of(status, b"", tuple(headers))

    @classmethod
    def _of(cls, status: int, body: bytes, headers: tuple[Header, ...]) -> Response:
        response = cls.__new__(cls)
        response.status, response.body, response.headers, response._gzipped = status, body, headers, None
        return response

    def plus(self, *headers: Header) -> Response:
        """The same answer with more headers, of names that it does not have yet."""
        if not headers:
            return self
        return Response._of(self.status, self.body, self.headers + headers)

    def with_headers(self, *headers: Header) -> Response:
        """The same answer with more headers. Headers of these names that it has already are replaced."""
        names = {name for name, _ in headers}
        kept = tuple(header for header in self.headers if header[0] not in names)
        return Response._of(self.status, self.body, kept + headers)

    def gzipped(self) -> Response:
        """The same answer compressed, where that helps. Made once and kept."""
        if len(self.body) < _GZIP_FROM_BYTES:
            return self
        if self._gzipped is None:
            body = gzip.compress(self.body, compresslevel=1, mtime=0)
            self._gzipped = self.with_headers((b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(body)))
            self._gzipped.body = body
        return self._gzipped


def takes_gzip(request: Request) -> bool:
    """Whether the client wants answers compressed."""
    accepted = request.header(b"accept-encoding")
    return accepted is not None and _TAKES_GZIP.search(accepted) is not None


def json_response(document: Any, status: int = 200, headers: Iterable[Header] = ()) -> Response:
    """A JSON answer with one trailing newline (spec http-api.md 0.1)."""
    return Response(status, msgspec.json.encode(document) + b"\n", headers)


Handler = Callable[[Request], Awaitable[Response]]
Endpoint = Callable[[Request], Response | Awaitable[Response]]
Middleware = Callable[[Handler], Handler]
