"""Which namespaces there are (spec platform.md 3.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from catalog_server.access.decisions import Undecided
from catalog_server.access.permissions import LIST_ASSETS
from catalog_server.http.decisions import decision
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.router import Operation, Route
from catalog_server.http.services import Services
from catalog_server.scope import DEFAULT_NAMESPACE, Scope

_AT_ONCE: Final = 4
"""Half of the threads that ask the cluster: one long list must not hold up everybody else."""
_DEADLINE_SECONDS: Final = 10.0
_SCHEMA = {
    "type": "object",
    "required": ["namespaces", "mode"],
    "properties": {
        "namespaces": {"type": "array", "items": {"type": "string"}},
        "mode": {"enum": ["single", "namespace"]},
    },
}


def tenancy_routes(services: Services) -> list[Route]:
    """The list of namespaces, which names none itself: whoever asks does not know yet which there are.

    With several tenants it holds those whose assets the caller may list. Where that takes a user, nobody gets 401, as
    on the other routes, and no empty list, which would look as if there were nothing.
    """
    is_single = services.tenancy_mode == "single"
    scopes = [Scope(name) for name in services.namespaces or (DEFAULT_NAMESPACE,)]

    async def list_namespaces(request: Request) -> Response:
        names = [DEFAULT_NAMESPACE] if is_single else await _visible(services, request, scopes)
        return json_response({"namespaces": names, "mode": services.tenancy_mode})

    errors = (401, 503) if services.authorization_mode == "sar" and not is_single else ()
    operation = Operation("List the namespaces", "tenancy", responses={200: _SCHEMA}, errors=errors)
    return [Route("/api/tenancy/v1alpha1/namespaces", list_namespaces, operation, needs_tenant=False, permission=None)]


async def _visible(services: Services, request: Request, scopes: Sequence[Scope]) -> list[str]:
    """Raises Undecided when it is not known of one of them: half a list would look whole."""
    allowed: list[bool] = []
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            for start in range(0, len(scopes), _AT_ONCE):
                answers = [
                    services.authorizer.decide(request.principal, LIST_ASSETS, scope)
                    for scope in scopes[start : start + _AT_ONCE]
                ]
                allowed += await asyncio.gather(*map(decision, answers))
    except TimeoutError as error:
        raise Undecided from error
    return [scope.namespace for scope, is_allowed in zip(scopes, allowed, strict=True) if is_allowed]
