"""Audit events of the request's namespace: a list, one event, and the export of all (spec platform.md 5.4).

The export is NDJSON in parts of bounded size: the header `Link` names the next part, so that whoever was interrupted
goes on where it ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import astuple
from typing import Final
from urllib.parse import urlencode

import msgspec

from catalog_server.access.permissions import GET_AUDIT, LIST_AUDIT
from catalog_server.audit.event import JOB, MANAGEMENT, OUTCOMES, Cursor, EventFilter, EventPage, event_document
from catalog_server.audit.trail import Trail
from catalog_server.http.management_schemas import EVENT_LIST_SCHEMA, EVENT_SCHEMA
from catalog_server.http.messages import Header, Request, Response, json_response
from catalog_server.http.paging import MAX_SIZE, SIZE, read_place, token_after
from catalog_server.http.params import parse_choice, parse_lenient_size, parse_text, parse_time
from catalog_server.http.router import Operation, Route, decode_name
from catalog_server.http.routes.parameters import PAGE_TOKEN, choice_parameter, parameter
from catalog_server.http.services import Services
from catalog_server.query.tokens import binding_of
from catalog_server.telemetry.logs import escape_json

EVENTS: Final = "/api/audit/v1alpha1/events"
EXPORT: Final = f"{EVENTS}:export"
NDJSON: Final = "application/x-ndjson"
_EXPORT_SIZE = 1000
_WORD = {"type": "string", "maxLength": 1024}
_MOMENT = {"anyOf": [{"type": "string", "format": "date-time"}, {"enum": [""]}]}
_FILTERS = (
    parameter("actor", "Who did it.", _WORD),
    parameter("plugin", "Name of a plugin.", _WORD),
    parameter("action", "What was done, for example `apply-source`.", _WORD),
    parameter("eventType", f"`{MANAGEMENT}`: a request; `{JOB}`: the end of a job.", _WORD),
    choice_parameter("outcome", "What came of it.", *OUTCOMES),
    parameter("correlationId", "What the client sent as `X-Correlation-ID`, else the id of the request.", _WORD),
    parameter("resourceId", "One of the ids of what was touched: a source, an entity or a job.", _WORD),
    parameter("since", "Not before this time (RFC 3339).", _MOMENT),
    parameter("until", "Before this time (RFC 3339).", _MOMENT),
)


def audit_routes(services: Services) -> list[Route]:
    trail = services.trail

    async def list_events(request: Request) -> Response:
        return await asyncio.to_thread(_list_events, trail, request)

    async def export_events(request: Request) -> Response:
        return await asyncio.to_thread(_export_events, trail, request)

    async def get_event(request: Request) -> Response:
        event = await asyncio.to_thread(trail.get, request.scope, decode_name(request, "event_id"))
        return json_response(event_document(event))

    size = parameter("pageSize", f"Events per page; {SIZE} by default, at most {MAX_SIZE}.", {"type": "string"})
    listing = Operation(
        "List audit events, newest first", "audit", (*_FILTERS, size, PAGE_TOKEN), {200: EVENT_LIST_SCHEMA}, (400, 503)
    )
    exporting = Operation(
        f"Export audit events as NDJSON, newest first, {_EXPORT_SIZE} per answer; `Link` names the next ones",
        "audit",
        (*_FILTERS, PAGE_TOKEN),
        {200: None},
        (400, 503),
        content_type=NDJSON,
    )
    getting = Operation("Get one audit event", "audit", responses={200: EVENT_SCHEMA}, errors=(404, 503))
    return [
        Route(EVENTS, list_events, listing, errors="text", permission=LIST_AUDIT),
        Route(EXPORT, export_events, exporting, errors="text", permission=LIST_AUDIT),
        Route(f"{EVENTS}/{{event_id}}", get_event, getting, errors="text", permission=GET_AUDIT),
    ]


def _list_events(trail: Trail, request: Request) -> Response:
    size = parse_lenient_size(request, SIZE, MAX_SIZE)
    page, token = _page(trail, request, size, is_counted=True)
    document = {
        "events": [event_document(event) for event in page.events],
        "nextPageToken": token,
        "totalSize": page.total_size,
    }
    return json_response(document)


def _export_events(trail: Trail, request: Request) -> Response:
    page, token = _page(trail, request, _EXPORT_SIZE, is_counted=False)
    lines = msgspec.json.Encoder().encode_lines([event_document(event) for event in page.events])
    headers = (_link(request, token),) if token else ()
    # As in the log: nothing that a client has sent is a line end for whoever reads this, or steers a terminal.
    return Response(200, escape_json(lines).encode(), headers, NDJSON.encode())


def _link(request: Request, token: str) -> Header:
    kept = [(name, value) for name, values in request.query.items() if name not in _TOKEN_NAMES for value in values]
    query = urlencode([*kept, ("pageToken", token)])
    return b"link", f'<{EXPORT}?{query}>; rel="next"'.encode()


_TOKEN_NAMES = ("pageToken", "nextPageToken")


def _filter(request: Request) -> EventFilter | None:
    """None: what no event of this namespace can be. A namespace in the query may only narrow."""
    words = {
        name: parse_text(request, name) or None
        for name in ("actor", "plugin", "action", "eventType", "correlationId", "resourceId")
    }
    wanted = EventFilter(
        actor=words["actor"],
        plugin=words["plugin"],
        action=words["action"],
        event_type=words["eventType"],
        outcome=parse_choice(request, "outcome", OUTCOMES, "") or None,
        correlation_id=words["correlationId"],
        resource_id=words["resourceId"],
        since=parse_time(request, "since"),
        until=parse_time(request, "until"),
    )
    return wanted if request.first("namespace") in ("", request.scope.namespace) else None


def _page(trail: Trail, request: Request, size: int, *, is_counted: bool) -> tuple[EventPage, str]:
    """A page and the token of the next one. Raises Invalid for a token of another list."""
    wanted = _filter(request)
    bound = binding_of(request.scope.namespace, EVENTS, *map(str, astuple(wanted) if wanted is not None else ()))
    place = read_place(request, bound)
    if wanted is None:
        return EventPage((), None, 0), ""
    after = None if place is None else Cursor(*place)
    page = trail.list_events(request.scope, wanted, page_size=size, after=after, is_counted=is_counted)
    return page, token_after(page.next, bound)
