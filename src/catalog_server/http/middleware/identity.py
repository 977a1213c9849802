"""Who asks (spec http-api.md 0.3 and 5). Identity comes in headers that a proxy before the server sets.

The role header is for development: any client can send it. It counts only where the server listens on loopback, or
where the operator has allowed it (CATALOG_ALLOW_HEADER_AUTH).
"""

from __future__ import annotations

from collections.abc import Awaitable

from catalog_server.http.messages import ANONYMOUS, Handler, Middleware, Request, Response

OPERATOR = "operator"
_MAX_LENGTH = 255


def identity(*, honours_role_header: bool) -> Middleware:
    """Middleware: `request.user`, and whether it is an operator."""

    def wrap(following: Handler) -> Handler:
        def handle(request: Request) -> Awaitable[Response]:
            user, role = request.header(b"x-remote-user"), request.header(b"x-user-role")
            if user is not None:
                user = user.strip()
                request.user = user[:_MAX_LENGTH] if user and user.isprintable() else ANONYMOUS
            if role is not None:
                request.is_operator = honours_role_header and role.strip().lower() == OPERATOR
            return following(request)

        return handle

    return wrap
