"""Who asks (spec http-api.md 0.3 and 5). Identity comes in headers that a proxy before the server sets.

The role header is for development: any client can send it. It counts only where the server listens on loopback, or
where the operator has allowed it (CATALOG_ALLOW_HEADER_AUTH).
"""

from __future__ import annotations

from catalog_server.http.messages import Handler, Middleware, Request, Response

ANONYMOUS = "anonymous"
OPERATOR = "operator"
_MAX_LENGTH = 255


def identity(*, honours_role_header: bool) -> Middleware:
    """Middleware: `request.user`, and whether it is an operator."""

    def wrap(following: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            user = (request.header(b"x-remote-user") or "").strip()
            request.user = user[:_MAX_LENGTH] if user and user.isprintable() else ANONYMOUS
            role = (request.header(b"x-user-role") or "").strip().lower()
            request.is_operator = honours_role_header and role == OPERATOR
            return await following(request)

        return handle

    return wrap
