"""Conditional reads and the response cache (architecture.md 5).

A route that names a version says: equal version, namespace and URL give an equal answer. So the ETag follows from
them before any work is done, `If-None-Match` is answered with 304, and finished answers are kept, up to a number of
bytes, the least recently used leaving first. A new version makes old entries worthless; nothing has to be cleared.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import NamedTuple

from catalog_server.http.messages import Handler, Header, Middleware, Request, Response

_ENTRY_OVERHEAD_BYTES = 512
Key = tuple[str, bytes, bytes]


class Entry(NamedTuple):
    """An answer, the version that it belongs to, and its ETag."""

    version: str
    etag: str
    response: Response


class ResponseCache:
    """Answers by (namespace, path, query)."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._size = 0
        self._entries: OrderedDict[Key, Entry] = OrderedDict()

    def get(self, key: Key, version: str) -> Entry | None:
        entry = self._entries.get(key)
        if entry is None or entry.version != version:
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        size = _size_of(key, entry.response)
        if size * 8 > self.max_bytes:  # one huge answer must not push out everything else
            return
        self._drop(key)
        self._entries[key] = entry
        self._size += size
        while self._size > self.max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= _size_of(key, entry.response)


def _size_of(key: Key, response: Response) -> int:
    # A compressed copy may come to it later and is about a quarter of the size.
    return len(response.body) * 5 // 4 + len(key[1]) + len(key[2]) + _ENTRY_OVERHEAD_BYTES


def conditional_reads(cache_bytes: int) -> Middleware:
    """Middleware: ETag, 304 and, where `cache_bytes` is not 0, the response cache."""
    cache = ResponseCache(cache_bytes)
    return lambda following: _ConditionalReads(following, cache).handle


class _ConditionalReads:
    def __init__(self, following: Handler, cache: ResponseCache) -> None:
        self._following = following
        self._cache = cache

    def handle(self, request: Request) -> Awaitable[Response]:
        route = request.route
        if route is None or route.version is None or request.method not in ("GET", "HEAD"):
            return self._following(request)
        return self._answer(request, route.version)

    async def _answer(self, request: Request, version_of: Callable[[Request], str]) -> Response:
        version = version_of(request)
        key = (request.scope.namespace, request.raw_path, request.raw_query)
        entry = self._cache.get(key, version)
        etag = _etag(version, key) if entry is None else entry.etag
        wanted = request.header(b"if-none-match")
        if wanted is not None and _matches(wanted, etag):
            return _not_modified(etag)
        if entry is not None:
            response = entry.response
        else:
            response = await self._following(request)
            if response.status != 200:
                return response
            response = response.plus((b"etag", etag.encode()), _REVALIDATE)
            # An answer computed while a new version was published belongs to either: not kept.
            if self._cache.max_bytes and version_of(request) == version:
                self._cache.put(key, Entry(version, etag, response))
        # `*` asks whether there is anything: it must not hide a 404, so it is looked at last.
        return _not_modified(etag) if wanted == "*" else response


_REVALIDATE: Header = (b"cache-control", b"no-cache")


def _etag(version: str, key: Key) -> str:
    digest = blake2b(b"%s\0%s?%s" % (key[0].encode(), key[1], key[2]), digest_size=6).hexdigest()
    # Weak: the same answer may be sent compressed or not.
    return f'W/"{version}-{digest}"'


def _matches(wanted: str, etag: str) -> bool:
    if wanted == etag:
        return True
    strong = etag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") == strong for one in wanted.split(","))


def _not_modified(etag: str) -> Response:
    return Response.empty(304, ((b"etag", etag.encode()), _REVALIDATE))
