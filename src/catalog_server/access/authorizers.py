"""Who may do what: by the role of the caller, or by what the cluster says (spec platform.md 4.2 and 4.3).

One role with two implementations. What a route needs is in permissions.py; the HTTP side, which waits for decisions
and turns them into answers, is http/middleware/authorization.py.
"""

from __future__ import annotations

from typing import Protocol

from catalog_server.access.decisions import Answer, Decisions
from catalog_server.access.permissions import UNKNOWN, Permission
from catalog_server.access.principal import Principal
from catalog_server.access.reviews import Question
from catalog_server.errors import Unauthenticated
from catalog_server.scope import Scope


class Authorizer(Protocol):
    """Decides. Called for each request on the event loop, so it must not wait: a future stands for what takes time."""

    def decide(self, principal: Principal, permission: Permission, scope: Scope) -> Answer:
        """Whether this caller has this permission in this namespace. Raises Unauthenticated where that needs a user."""
        ...

    def denial(self, permission: Permission, scope: Scope) -> str:
        """What a caller is told who has it not."""
        ...


class RoleAuthorizer:
    """Mode `none`: everybody reads, operators change. What is no route answers 404 or 405 to everybody."""

    def decide(self, principal: Principal, permission: Permission, scope: Scope) -> Answer:
        return permission.is_read or permission == UNKNOWN or principal.is_operator

    def denial(self, permission: Permission, scope: Scope) -> str:
        return "insufficient permissions"


class ReviewAuthorizer:
    """Mode `sar`: the cluster decides about each permission; roles play no part, and nobody has what is unknown."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def decide(self, principal: Principal, permission: Permission, scope: Scope) -> Answer:
        if principal.is_anonymous:
            raise Unauthenticated("the request names no user")
        if permission == UNKNOWN:
            return False
        return self._decisions.get(Question.of(principal, permission, scope))

    def denial(self, permission: Permission, scope: Scope) -> str:
        if permission == UNKNOWN:
            return "insufficient permissions for an unknown endpoint"
        return f"insufficient permissions for {permission} in namespace {scope.namespace}"
