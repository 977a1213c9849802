"""Errors as answers: the one table from error kind to HTTP status, and the one function that builds the body.

Every body has `error` and `message` (spec http-api.md 0.2). What `error` holds depends on the family of routes, since
clients compare it: the HTTP phrase, the text itself, or for model routes the phrase beside `code`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog

from catalog_server import errors
from catalog_server.access.decisions import Undecided
from catalog_server.access.rejections import TokenRejected
from catalog_server.http.messages import Handler, Header, Request, Response, json_response

STATUS: dict[type[errors.CatalogError], int] = {
    errors.Invalid: 400,
    errors.TooLarge: 413,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Forbidden: 403,
    errors.Unauthenticated: 401,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}

log = structlog.get_logger(__name__)


class MethodNotAllowed(errors.CatalogError):
    """The path exists, the method does not."""

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(allowed)}")
        self.allowed = allowed


class TenantRejected(errors.Invalid):
    """The request names no tenant, or a malformed one; clients compare the word `bad_request`."""


class TenantForbidden(errors.Forbidden):
    """The request names a tenant outside the allowed list."""


class NotAllowed(errors.Forbidden):
    """The caller may not do this; clients compare the word `forbidden`."""


_WORDS: dict[type[errors.CatalogError], str] = {
    TenantRejected: "bad_request",
    TenantForbidden: "forbidden",
    NotAllowed: "forbidden",
    errors.Unauthenticated: "unauthorized",
    Undecided: "service_unavailable",
}


def problems(following: Handler) -> Handler:
    """Middleware: every error becomes an answer. One of the four doors where any exception is caught."""

    async def handle(request: Request) -> Response:
        try:
            return await following(request)
        except errors.CatalogError as error:
            if request.entry is not None:
                request.entry.error = error
            return problem_response(request, error)
        except Exception:  # door: HTTP (architecture.md 9)
            log.exception("request failed", request_id=request.id, path=request.path)
            return _body(request, 500, f"internal error; request id {request.id}", {})

    return handle


def problem_response(request: Request, error: errors.CatalogError) -> Response:
    """The answer that tells of an expected error."""
    extra: dict[str, Any] = dict(error.details)
    if error.field is not None:
        extra["field"] = error.field
    if isinstance(error, errors.Invalid):
        if error.position is not None:
            extra["position"] = error.position
        if error.location is not None:
            extra["file"], extra["line"] = error.location.file, error.location.line
    message = error.message
    if error.field is not None and error.field not in message:
        message = f"{error.field}: {message}"
    return _body(request, status_of(error), message, extra, error)


def status_of(error: errors.CatalogError) -> int:
    """The HTTP status of an error kind."""
    if isinstance(error, MethodNotAllowed):
        return 405
    if isinstance(error, errors.TooLarge) and error.field is not None:
        return 400  # 413 speaks of bodies; a parameter that is too long is wrong like any other
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def _body(
    request: Request, status: int, message: str, extra: dict[str, Any], error: errors.CatalogError | None = None
) -> Response:
    phrase = HTTPStatus(status).phrase
    style = request.route.errors if request.route is not None else "phrase"
    word = next((_WORDS[kind] for kind in type(error).__mro__ if kind in _WORDS), None)
    document: dict[str, Any] = {"error": word or (message if style == "text" else phrase), "message": message, **extra}
    if style == "code":
        document["code"] = phrase
    return json_response(document, status, (*_headers(error), *_cache_headers(request)))


def _cache_headers(request: Request) -> tuple[Header, ...]:
    """An error comes from no cache, and where X-Cache is told of answers it says so (platform.md 7)."""
    cache = request.route.cache if request.route is not None and request.method == "GET" else None
    return () if cache is None else cache.miss


def _headers(error: errors.CatalogError | None) -> tuple[Header, ...]:
    if isinstance(error, errors.RateLimited | errors.Unavailable):
        return ((b"retry-after", b"%d" % error.retry_after_seconds),)
    if isinstance(error, MethodNotAllowed):
        return ((b"allow", ", ".join(error.allowed).encode()),)
    if isinstance(error, TokenRejected):
        return ((b"www-authenticate", b'Bearer error="invalid_token"'),)
    return ((b"www-authenticate", b"Bearer"),) if isinstance(error, errors.Unauthenticated) else ()
