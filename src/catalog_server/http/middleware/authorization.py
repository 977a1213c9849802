"""May the caller do what the route is for? Asked by the permission of the routed template, never by the path.

It stands before conditional reads: neither an answer out of the cache nor a 304 is given without a decision. Nothing of
the body has been read yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable
from typing import Final

from catalog_server.access.authorizers import Authorizer
from catalog_server.access.decisions import Answer, Undecided
from catalog_server.access.permissions import Permission
from catalog_server.http.decisions import decision
from catalog_server.http.messages import Handler, Middleware, Request, Response
from catalog_server.http.problems import NotAllowed
from catalog_server.telemetry.measurements import Labels

_ALLOWED: Final[Labels] = ("allowed",)


def authorization(authorizer: Authorizer, decisions: Counter[Labels]) -> Middleware:
    """Middleware: 403 for who may not do this, 401 for nobody where it takes a user, 503 when nobody can tell.

    `decisions` counts (result).
    """

    def wrap(following: Handler) -> Handler:
        def handle(request: Request) -> Awaitable[Response]:
            assert request.route is not None
            needed = request.route.permission
            if needed is None:
                return following(request)
            answer = authorizer.decide(request.principal, needed, request.scope)
            if answer is True:
                decisions[_ALLOWED] += 1
                return following(request)
            return after(answer, needed, request)

        async def after(answer: Answer, needed: Permission, request: Request) -> Response:
            try:
                is_allowed = await decision(answer)
            except Undecided:
                decisions["undecided",] += 1
                raise
            decisions["allowed" if is_allowed else "denied",] += 1
            if not is_allowed:
                raise NotAllowed(authorizer.denial(needed, request.scope))
            return await following(request)

        return handle

    return wrap
