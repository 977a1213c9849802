"""Cross-origin requests (spec http-api.md 0.3). No credentials are involved, so `*` gives a script no one's rights."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from catalog_server.http.messages import Handler, Header, Middleware, Request, Response

_ALLOWED_HEADERS = (
    b"Accept, Authorization, Content-Type, If-Match, If-None-Match, X-CSRF-Token, X-PINGOTHER, X-Namespace,"
    b" X-User-Role, X-Correlation-ID, X-Request-Id"
)
_EXPOSED_HEADERS = b"ETag, Link, Retry-After, X-Cache, X-Request-Id"
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_MAX_AGE_SECONDS = b"300"


def cors(origins: Sequence[str]) -> Middleware:
    """Middleware for the allowed origins; `*` is any http or https origin."""
    allows_any = "*" in origins

    def headers_for(origin: str) -> tuple[Header, ...]:
        if allows_any:
            return ((b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED_HEADERS))
        return (
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", _EXPOSED_HEADERS),
        )

    def wrap(following: Handler) -> Handler:
        def handle(request: Request) -> Awaitable[Response]:
            origin = request.header(b"origin")
            return following(request) if origin is None else answer(request, origin)

        async def answer(request: Request, origin: str) -> Response:
            is_allowed = origin.lower().startswith(("http://", "https://")) and (
                allows_any or origin.lower() in origins
            )
            if request.method == "OPTIONS" and request.header(b"access-control-request-method"):
                return _preflight(headers_for(origin) if is_allowed else ())
            response = await following(request)
            return response.with_headers(*headers_for(origin)) if is_allowed else response

        return handle

    return wrap


def _preflight(headers: tuple[Header, ...]) -> Response:
    if not headers:
        return Response.empty(204)
    extra = (
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _ALLOWED_HEADERS),
        (b"access-control-max-age", _MAX_AGE_SECONDS),
    )
    return Response.empty(204, (*headers, *extra))
