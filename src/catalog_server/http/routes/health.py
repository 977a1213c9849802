"""Probes (seed, Health Endpoints)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from catalog_server.errors import Invalid, NotFound
from catalog_server.health import Checks
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.router import Operation, Route, decode_name
from catalog_server.http.routes.parameters import parameter
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
            "properties": {
                "leader_election": {
                    **_COMPONENT,
                    "description": "Only where a leader is elected: `leader` or `follower`. Either is ready.",
                }
            },
            "additionalProperties": _COMPONENT,
        },
    },
}


_VERBOSE = parameter("verbose", "One line of text for each check, as Kubernetes has it, whatever the value.", {})
_NAMES = {"type": "array", "items": {"type": "string"}}
_EXCLUDE = parameter("exclude", "A check to leave out; may be repeated.", _NAMES)


def health_routes(services: Services) -> list[Route]:
    health = services.health
    alive = Operation("Whether the process is alive", "health", (_VERBOSE, _EXCLUDE), {200: _LIVE}, is_text_too=True)
    ready = Operation(
        "Whether the process can serve",
        "health",
        (_VERBOSE, _EXCLUDE),
        {200: _READY, 503: _READY},
        is_text_too=True,
    )

    def tell_alive() -> tuple[bool, dict[str, Any]]:
        return True, health.liveness()

    return [
        *_probe("healthz", health.live_checks, tell_alive, alive),
        *_probe("livez", health.live_checks, tell_alive, alive),
        *_probe("readyz", health.ready_checks, health.readiness, ready),
    ]


def _probe(
    name: str, checks: Callable[[], Checks], tell: Callable[[], tuple[bool, dict[str, Any]]], operation: Operation
) -> list[Route]:
    """The probe and its single checks: as JSON, or as text where that is asked for."""

    def get(request: Request) -> Response:
        if _wants_text(request):
            return _as_text(name, checks(), request)
        is_passed, document = tell()
        return json_response(document, 200 if is_passed else 503)

    def get_check(request: Request) -> Response:
        check = checks().get(decode_name(request, "check"))
        if check is None:
            raise NotFound(f"{name} has these checks: {', '.join(checks())}")
        status = 200 if check.is_passed else 503
        if _wants_text(request):
            return _text("ok" if check.is_passed else f"{name} check failed: reason withheld", status)
        return json_response(check.component, status)

    single = Operation(
        f"One check of {name}", "health", (_VERBOSE,), {200: _COMPONENT, 503: _COMPONENT}, (404,), is_text_too=True
    )
    return [
        Route(f"/{name}", get, operation, is_probe=True, permission=None),
        Route(f"/{name}/{{check}}", get_check, single, is_probe=True, permission=None),
    ]


def _query(request: Request) -> Mapping[str, list[str]]:
    """What is asked for. A probe that is asked in a strange way is a probe all the same."""
    try:
        return request.query
    except Invalid:
        return {}


def _wants_text(request: Request) -> bool:
    query = _query(request)
    return "text/plain" in (request.header(b"accept") or "") or "verbose" in query or "exclude" in query


def _as_text(name: str, checks: Checks, request: Request) -> Response:
    """The form of the Kubernetes API server. Why a check failed is told by the JSON form, in words that are safe."""
    query = _query(request)
    excluded = set(query.get("exclude", ()))
    failed = [one for one, check in checks.items() if not check.is_passed and one not in excluded]
    if not failed and "verbose" not in query:
        return _text("ok", 200)
    lines = [
        f"[+]{one} excluded: ok"
        if one in excluded
        else f"[+]{one} ok"
        if check.is_passed
        else f"[-]{one} failed: reason withheld"
        for one, check in checks.items()
    ]
    unknown = ", ".join(f'"{one[:80]}"' for one in sorted(excluded - set(checks)) if one.isprintable())
    if unknown:
        lines.append(f"warn: some health checks cannot be excluded: no matches for {unknown}")
    lines.append(f"{name} check {'failed' if failed else 'passed'}")
    return _text("\n".join(lines) + "\n", 503 if failed else 200)


def _text(body: str, status: int) -> Response:
    return Response(status, body.encode(), content_type=b"text/plain; charset=utf-8")
