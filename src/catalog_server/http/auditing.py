"""Requests as audit events (spec platform.md 5.1): what the route, the request and the route's handler tell.

The middleware (middleware/audit.py) makes the entry and writes the event. A handler says what only it knows: ids that
stand in the body, states before and after, and the transaction that the event belongs into.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from catalog_server.audit.event import MANAGEMENT, Event, Outcome
from catalog_server.audit.trail import Trail
from catalog_server.catalog.overlays import Overlay
from catalog_server.catalog.refreshes import RefreshResult
from catalog_server.clock import clock_ms
from catalog_server.db.engine import Connection
from catalog_server.errors import CatalogError, Invalid
from catalog_server.http.messages import Request
from catalog_server.http.router import decode_name
from catalog_server.jobs.job import Job
from catalog_server.jobs.queue import Origin
from catalog_server.sources.redaction import mask_urls, redact

_MAX_CORRELATION = 128
_MAX_ID = 1024
_MAX_PATH = 2048
_MAX_GROUPS = 100
_CODES: Final = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    422: "invalid",
    429: "rate_limited",
    500: "internal_error",
    503: "unavailable",
}


class Entry:
    """What is known of a change while its request is under way. In the end it is one event."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.started_at = clock_ms()
        self.started_ns = time.monotonic_ns()
        self.resource_ids: tuple[str, ...] | None = None
        """None: what the path says."""
        self.plugin: str | None = None
        """None: what the route says."""
        self.old: dict[str, Any] | None = None
        self.new: dict[str, Any] | None = None
        self.details: dict[str, Any] = {}
        """More metadata."""
        self.error: CatalogError | None = None
        self.recorded_status: int | None = None
        """What the event says that a transaction has taken."""
        self.is_announced = False

    def name_resource(self, resource_id: Any) -> None:
        """The id that a body gives, if it is one."""
        if isinstance(resource_id, str) and resource_id:
            self.resource_ids = (resource_id,)


def entry_of(request: Request) -> Entry:
    """The entry of a request to a route that is audited."""
    if request.entry is None:
        request.entry = Entry()
    return request.entry


def build_event(request: Request, status: int) -> Event:
    """What the event of a request says when it is answered with this status."""
    entry, audited = entry_of(request), request.route.audited if request.route is not None else None
    assert audited is not None
    ids = entry.resource_ids
    if ids is None:
        ids = tuple(decode_name(request, name) for name in request.params)
    return Event(
        id=entry.id,
        namespace=request.scope.namespace,
        correlation_id=correlation_of(request),
        event_type=MANAGEMENT,
        actor=request.principal.user,
        created_at=entry.started_at,
        outcome=outcome_of(status),
        action=audited.verb,
        request_id=request.id,
        plugin=entry.plugin or audited.plugin,
        resource_type=audited.resource_type,
        resource_ids=tuple(one[:_MAX_ID] for one in ids),
        action_verb=audited.verb,
        status_code=status,
        reason=_reason(entry, status),
        old_value=entry.old,
        new_value=entry.new,
        metadata=_metadata(request, entry, status),
    )


def correlation_of(request: Request) -> str:
    """What the client gives to everything that belongs together, where it can be kept; else the request's id."""
    given = request.header(b"x-correlation-id")
    if given and len(given) <= _MAX_CORRELATION and given.isascii() and given.isprintable():
        return given
    return request.id


def outcome_of(status: int) -> Outcome:
    if 200 <= status < 300:
        return "success"
    return "denied" if status == 403 else "failure"


def _reason(entry: Entry, status: int) -> str | None:
    if entry.error is not None:
        return mask_urls(entry.error.message)
    return "internal error" if status >= 500 else None


def _metadata(request: Request, entry: Entry, status: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "method": request.method,
        "path": request.raw_path.decode("ascii", "backslashreplace")[:_MAX_PATH],
        "duration": f"{(time.monotonic_ns() - entry.started_ns) // 1_000_000}ms",
        "traceId": request.trace.span.trace_id,
        "groups": list(request.principal.groups[:_MAX_GROUPS]),
        **({"clientAddress": request.peer} if request.peer else {}),
        **entry.details,
    }
    if status >= 400:
        code = entry.error.code if isinstance(entry.error, Invalid) else None
        found["errorCode"] = code or _CODES.get(status, f"http_{status}")
    return found


# --- for handlers ----------------------------------------------------------------------------------------------------


def recorder(trail: Trail, request: Request, status: int) -> Callable[[Connection], None]:
    """Records the request in the transaction of its change. `status` is what the handler will answer if that holds."""

    def record(connection: Connection) -> None:
        trail.add(connection, build_event(request, status))
        entry_of(request).recorded_status = status

    return record


def origin_of(trail: Trail, request: Request, status: int) -> Origin:
    """The request as where a job comes from, recorded with it."""
    return Origin(correlation_of(request), job_recorder(trail, request, status))


def job_recorder(trail: Trail, request: Request, status: int) -> Callable[[Connection, Job], None]:
    record = recorder(trail, request, status)

    def record_job(connection: Connection, job: Job) -> None:
        entry = entry_of(request)
        entry.plugin = job.plugin
        entry.details["jobId"] = job.id
        record(connection)

    return record_job


def overlay_recorder(trail: Trail, request: Request, status: int) -> Callable[[Connection, Overlay, Overlay], None]:
    record = recorder(trail, request, status)

    def record_overlay(connection: Connection, before: Overlay, after: Overlay) -> None:
        entry = entry_of(request)
        entry.old, entry.new = redact(before.values), redact(after.values)
        record(connection)

    return record_overlay


def tell_refresh(request: Request, done: RefreshResult) -> None:
    """What a refresh came to that the request has waited for."""
    details = entry_of(request).details
    details |= {"entitiesLoaded": done.loaded, "entitiesRemoved": done.removed}
    if done.error is not None:
        details["refreshError"] = mask_urls(done.error.message)


def announce(trail: Trail, request: Request) -> None:
    """Before a change that no transaction covers. Waits for the disk."""
    entry_of(request).is_announced = True
    trail.announce(build_event(request, 500))
