"""Probes (seed, Health Endpoints)."""

from __future__ import annotations

from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.router import Operation, Route
from catalog_server.http.services import Services

_LIVE = {
    "type": "object",
    "required": ["status", "uptime"],
    "properties": {"status": {"const": "alive"}, "uptime": {"type": "string"}},
}
_COMPONENT = {"type": "object", "required": ["status"], "additionalProperties": {"type": "string"}}
_READY = {
    "type": "object",
    "required": ["status", "components"],
    "properties": {
        "status": {"enum": ["ready", "not_ready"]},
        "components": {
            "type": "object",
            "required": ["database", "initial_load", "plugins"],
            "additionalProperties": _COMPONENT,
        },
    },
}


def health_routes(services: Services) -> list[Route]:
    health = services.health

    def live(request: Request) -> Response:
        return json_response(health.liveness(), headers=_NO_STORE)

    def ready(request: Request) -> Response:
        is_ready, document = health.readiness()
        return json_response(document, 200 if is_ready else 503, _NO_STORE)

    alive = Operation("Whether the process is alive", "health", responses={200: _LIVE})
    return [
        Route("/healthz", live, alive, is_probe=True, permission=None),
        Route("/livez", live, alive, is_probe=True, permission=None),
        Route(
            "/readyz",
            ready,
            Operation("Whether the process can serve", "health", responses={200: _READY, 503: _READY}),
            is_probe=True,
            permission=None,
        ),
    ]


_NO_STORE = ((b"cache-control", b"no-store"),)
