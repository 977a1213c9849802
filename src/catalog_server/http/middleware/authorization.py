"""May the caller do what the route is for? Asked by the permission of the routed template, never by the path.

It stands before conditional reads: neither an answer out of the cache nor a 304 is given without a decision. Nothing of
the body has been read yet.
"""

from __future__ import annotations

from collections.abc import Awaitable

from catalog_server.access.authorizers import Authorizer
from catalog_server.access.decisions import Answer
from catalog_server.access.permissions import Permission
from catalog_server.http.decisions import decision
from catalog_server.http.messages import Handler, Middleware, Request, Response
from catalog_server.http.problems import NotAllowed


def authorization(authorizer: Authorizer) -> Middleware:
    """Middleware: 403 for who may not do this, 401 for nobody where it takes a user, 503 when nobody can tell."""

    def wrap(following: Handler) -> Handler:
        def handle(request: Request) -> Awaitable[Response]:
            assert request.route is not None
            needed = request.route.permission
            if needed is None:
                return following(request)
            answer = authorizer.decide(request.principal, needed, request.scope)
            if answer is True:
                return following(request)
            return after(answer, needed, request)

        async def after(answer: Answer, needed: Permission, request: Request) -> Response:
            if not await decision(answer):
                raise NotAllowed(authorizer.denial(needed, request.scope))
            return await following(request)

        return handle

    return wrap
