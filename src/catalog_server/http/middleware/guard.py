"""Routes for operators are closed to everybody else (spec platform.md 4.2)."""

from __future__ import annotations

from collections.abc import Awaitable

from catalog_server.http.messages import Handler, Request, Response
from catalog_server.http.problems import NotAllowed


def guard(following: Handler) -> Handler:
    """Middleware: 403 for who may not do this, before the body is read."""

    def handle(request: Request) -> Awaitable[Response]:
        if request.route is not None and request.route.needs_operator and not request.principal.is_operator:
            raise NotAllowed("insufficient permissions")
        return following(request)

    return handle
