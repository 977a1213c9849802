"""Which namespaces there are (spec platform.md 3.4)."""

from __future__ import annotations

from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.router import Operation, Route
from catalog_server.http.services import Services
from catalog_server.scope import DEFAULT_NAMESPACE

_SCHEMA = {
    "type": "object",
    "required": ["namespaces", "mode"],
    "properties": {
        "namespaces": {"type": "array", "items": {"type": "string"}},
        "mode": {"enum": ["single", "namespace"]},
    },
}


def tenancy_routes(services: Services) -> list[Route]:
    is_single = services.tenancy_mode == "single"
    names = [DEFAULT_NAMESPACE] if is_single or not services.namespaces else list(services.namespaces)
    document = {"namespaces": names, "mode": services.tenancy_mode}

    def list_namespaces(request: Request) -> Response:
        return json_response(document)

    operation = Operation("List the namespaces", "tenancy", responses={200: _SCHEMA})
    return [Route("/api/tenancy/v1alpha1/namespaces", list_namespaces, operation, needs_tenant=False, permission=None)]
