"""Who asks (spec http-api.md 0.3 and 5). Identity comes in headers that a proxy before the server sets.

The role header is for development: any client can send it. It counts only where the server listens on loopback, or
where the operator has allowed it (CATALOG_ALLOW_HEADER_AUTH).
"""

from __future__ import annotations

from collections.abc import Awaitable

from catalog_server.access.principal import ANONYMOUS, Principal
from catalog_server.http.messages import Handler, Middleware, Request, Response

OPERATOR = "operator"
_MAX_LENGTH = 255


def identity(*, honours_role_header: bool) -> Middleware:
    """Middleware: sets `request.principal`."""

    def wrap(following: Handler) -> Handler:
        def handle(request: Request) -> Awaitable[Response]:
            user, role = request.header(b"x-remote-user"), request.header(b"x-user-role")
            if user is not None or role is not None:
                name = (user or "").strip()
                is_operator = honours_role_header and role is not None and role.strip().lower() == OPERATOR
                is_named = bool(name) and name.isprintable()
                request.principal = Principal(name[:_MAX_LENGTH] if is_named else ANONYMOUS.user, (), is_operator)
            return following(request)

        return handle

    return wrap
