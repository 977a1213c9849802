"""Conditional reads and the response cache (architecture.md 5).

A route that names a version says: equal version, namespace and URL give an equal answer. So the ETag follows from
them before any work is done, `If-None-Match` is answered with 304, and finished answers are kept, up to a number of
bytes, the least recently used leaving first. A new version makes old entries worthless; nothing has to be cleared.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from catalog_server.http.messages import Handler, Header, Middleware, Request, Response

_ENTRY_OVERHEAD_BYTES = 512
Key = tuple[str, bytes, bytes]


class ResponseCache:
    """Answers by (namespace, path, query), each with the version that it belongs to."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size = 0
        self._entries: OrderedDict[Key, tuple[str, Response]] = OrderedDict()

    def get(self, key: Key, version: str) -> Response | None:
        entry = self._entries.get(key)
        if entry is None or entry[0] != version:
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: Key, version: str, response: Response) -> None:
        size = _size_of(key, response)
        if size * 8 > self._max_bytes:  # one huge answer must not push out everything else
            return
        self._drop(key)
        self._entries[key] = (version, response)
        self._size += size
        while self._size > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= _size_of(key, entry[1])


def _size_of(key: Key, response: Response) -> int:
    # A compressed copy may come to it later and is about a quarter of the size.
    return len(response.body) * 5 // 4 + len(key[1]) + len(key[2]) + _ENTRY_OVERHEAD_BYTES


def conditional_reads(cache_bytes: int) -> Middleware:
    """Middleware: ETag, 304 and, where `cache_bytes` is not 0, the response cache."""
    cache = ResponseCache(cache_bytes)

    def wrap(following: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            route = request.route
            if route is None or route.version is None or request.method not in ("GET", "HEAD"):
                return await following(request)
            version = route.version(request)
            key = (request.scope.namespace, request.raw_path, request.raw_query)
            wanted = request.header(b"if-none-match")
            if wanted is not None and _matches(wanted, etag := _etag(version, key)):
                return _not_modified(etag)
            response = cache.get(key, version)
            if response is None:
                response = await following(request)
                if response.status != 200:
                    return response
                response = response.with_headers((b"etag", _etag(version, key)), _REVALIDATE)
                # An answer computed while a new version was published belongs to either: not kept.
                if cache_bytes and route.version(request) == version:
                    cache.put(key, version, response)
            # `*` asks whether there is anything: it must not hide a 404, so it is looked at last.
            return _not_modified(_etag(version, key)) if wanted == "*" else response

        return handle

    return wrap


_REVALIDATE: Header = (b"cache-control", b"no-cache")


def _etag(version: str, key: Key) -> bytes:
    digest = blake2b(b"%s\0%s?%s" % (key[0].encode(), key[1], key[2]), digest_size=6).hexdigest()
    # Weak: the same answer may be sent compressed or not.
    return f'W/"{version}-{digest}"'.encode()


def _matches(wanted: str, etag: bytes) -> bool:
    text = etag.decode()
    if wanted == text:
        return True
    strong = text.removeprefix("W/")
    return any(one.strip().removeprefix("W/") == strong for one in wanted.split(","))


def _not_modified(etag: bytes) -> Response:
    return Response.empty(304, ((b"etag", etag), _REVALIDATE))
