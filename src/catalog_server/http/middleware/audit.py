"""One audit event for each request to a route that changes something, whatever comes of it (spec platform.md 5.1).

Stands outside the error envelope: it sees the status that the client gets, and what identity and tenancy refuse. The
answer is sent when the event is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

from catalog_server.audit.event import Event
from catalog_server.audit.trail import Trail
from catalog_server.http.auditing import Entry, build_event
from catalog_server.http.messages import Handler, Middleware, Request, Response

_THREADS = 4
_DEADLINE_SECONDS = 5.0
"""A database that hangs, rather than being down, keeps no answer longer than this."""


def audit(trail: Trail) -> Middleware:
    """Middleware: records what was done."""

    def wrap(following: Handler) -> Handler:
        def handle(request: Request) -> Awaitable[Response]:
            if request.route is None or request.route.audited is None:
                return following(request)
            return record(request)

        async def record(request: Request) -> Response:
            entry = request.entry = Entry()
            try:
                response = await following(request)
            except asyncio.CancelledError:  # the server stops and waits no longer: neither does this
                trail.keep(build_event(request, 500))
                raise
            if entry.recorded_status != response.status:
                await _write(trail, build_event(request, response.status))
            if entry.is_announced:
                await asyncio.to_thread(trail.withdraw, entry.id)
            return response

        return handle

    return wrap


# Of its own: a database that hangs must not keep the threads that everybody else needs.
_pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="audit")


async def _write(trail: Trail, event: Event) -> None:
    if not trail.wants(event):
        return
    writing = asyncio.get_running_loop().run_in_executor(_pool, trail.write, event)
    done, _ = await asyncio.wait({writing}, timeout=_DEADLINE_SECONDS)
    if done:
        writing.result()
        return
    writing.cancel()  # or it is done late, which is no harm: it is the same event
    await asyncio.to_thread(trail.keep, event)
