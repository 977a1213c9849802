"""Conditional reads and the caches of answers (architecture.md 5, platform.md 7).

A route that names a version says: equal version, namespace and URL give an equal answer. So the ETag follows from
them before any work is done, `If-None-Match` is answered with 304, and finished answers are kept (answer_cache.py).
A route with a cache of its own looks at no query parameter, so that none, known or not, makes another answer of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from hashlib import blake2b

from catalog_server.http.answer_cache import AnswerCache, Key
from catalog_server.http.messages import Handler, Header, Middleware, Request, Response
from catalog_server.http.router import Route
from catalog_server.telemetry.measurements import Labels


def conditional_reads(cache_bytes: int, asked: Counter[Labels]) -> Middleware:
    """Middleware: ETag, 304 and the caches; of `cache_bytes` 0 there is none that routes share.

    `asked` counts (cache, result).
    """
    shared = AnswerCache(max_bytes=cache_bytes)
    return lambda following: _ConditionalReads(following, shared, asked).handle


class _ConditionalReads:
    def __init__(self, following: Handler, shared: AnswerCache, asked: Counter[Labels]) -> None:
        self._following = following
        self._shared = shared
        self._asked = asked

    def handle(self, request: Request) -> Awaitable[Response]:
        route = request.route
        if route is None or route.version is None or request.method not in ("GET", "HEAD"):
            return self._following(request)
        return self._answer(request, route, route.version)

    async def _answer(self, request: Request, route: Route, version_of: Callable[[Request], str]) -> Response:
        version = version_of(request)
        if route.cache is None:
            cache, key = self._shared, (request.scope.namespace, request.raw_path, request.raw_query)
        else:
            # What X-Cache says is said of GET alone.
            cache = route.cache if request.method == "GET" else self._shared
            key = request.scope.namespace, request.path.encode(), b""
        entry = cache.get(key, version)
        etag = _etag(version, key) if entry is None else entry.etag
        name = "discovery" if cache is route.cache else "answers"
        wanted = request.header(b"if-none-match")
        if wanted is not None and _matches(wanted, etag):
            self._asked[name, "not_modified"] += 1
            return _not_modified(etag, cache.hit)
        self._asked[name, "miss" if entry is None else "hit"] += 1
        if entry is not None:
            # `*` asks whether there is anything: it must not hide a 404, so it is looked at last.
            return entry.response if wanted != "*" else _not_modified(etag, cache.hit)
        response = await self._following(request)
        if response.status != 200:
            return response.plus(*cache.miss)
        response = response.plus((b"etag", etag.encode()))
        # An answer computed while a new version was published belongs to either: not kept.
        if cache.is_on and version_of(request) == version:
            cache.put(key, version, etag, response)
        return _not_modified(etag, cache.miss) if wanted == "*" else response.plus(*cache.miss)


def _etag(version: str, key: Key) -> str:
    digest = blake2b(b"%s\0%s?%s" % (key[0].encode(), key[1], key[2]), digest_size=6).hexdigest()
    # Weak: the same answer may be sent compressed or not.
    return f'W/"{version}-{digest}"'


def _matches(wanted: str, etag: str) -> bool:
    if wanted == etag:
        return True
    strong = etag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") == strong for one in wanted.split(","))


def _not_modified(etag: str, headers: tuple[Header, ...]) -> Response:
    return Response.empty(304, ((b"etag", etag.encode()), *headers))
