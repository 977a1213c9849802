"""Refreshing sources, the jobs that do it, and how sources fare (spec http-api.md 1.6 and 1.10)."""

from __future__ import annotations

import asyncio
from typing import Any

from catalog_server.access.permissions import CREATE_JOBS, GET_JOBS, GET_SOURCES, LIST_JOBS, UPDATE_SOURCES
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.refresher import key_of
from catalog_server.catalog.refreshes import RefreshResult
from catalog_server.http.auditing import announce, job_recorder, origin_of, tell_refresh
from catalog_server.http.decisions import decision
from catalog_server.http.management_schemas import (
    CANCELED_SCHEMA,
    DIAGNOSTICS_SCHEMA,
    JOB_LIST_SCHEMA,
    JOB_SCHEMA,
    QUEUED_SCHEMA,
    REFRESH_SCHEMA,
)
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.paging import MAX_SIZE, SIZE, read_place, token_after
from catalog_server.http.params import parse_choice, parse_flag, parse_lenient_size, parse_text
from catalog_server.http.router import Audited, Link, Operation, Route, decode_name
from catalog_server.http.routes.entities import check_loaded
from catalog_server.http.routes.management import Managed, mount
from catalog_server.http.routes.parameters import CONFIRM_REMOVAL, PAGE_TOKEN, choice_parameter, parameter
from catalog_server.http.services import Services
from catalog_server.http.source_documents import diagnosed_source, format_time, refresh_document, source_error
from catalog_server.http.threads import in_change_thread
from catalog_server.jobs.job import Cursor, Job, JobFilter, JobState, job_document
from catalog_server.jobs.queue import Queue
from catalog_server.query.tokens import binding_of
from catalog_server.scope import Scope

JOBS = "/api/jobs/v1alpha1/refresh"
_REFRESH = Audited("refresh", "refresh")
_WORD = {"type": "string", "maxLength": 1024}
_LIST_PARAMETERS = (
    parameter("plugin", "Name of a plugin.", _WORD),
    parameter("sourceId", "A source; `_all` for refreshes of a whole plugin.", _WORD),
    choice_parameter("state", "State of the job.", *map(str, JobState)),
    parameter("requestedBy", "Who asked for it.", _WORD),
    parameter("pageSize", f"Jobs per page; {SIZE} by default, at most {MAX_SIZE}.", {"type": "string"}),
    PAGE_TOKEN,
)


def _job_links(status: int, pointer: str) -> tuple[Link, ...]:
    job = f"{JOBS}/{{job_id}}"
    return Link(status, "GET", job, {"job_id": pointer}), Link(status, "POST", f"{job}:cancel", {"job_id": pointer})


_LISTING = Operation(
    "List refresh jobs, newest first",
    "jobs",
    _LIST_PARAMETERS,
    {200: JOB_LIST_SCHEMA},
    (400, 503),
    links=_job_links(200, "/jobs/0/id"),
)
_GETTING = Operation("Get one refresh job", "jobs", responses={200: JOB_SCHEMA}, errors=(404, 503))
_CANCELING = Operation("Cancel a refresh job", "jobs", responses={200: CANCELED_SCHEMA}, errors=(404, 409, 503))


def refresh_routes(services: Services, plugin: Plugin) -> list[Route]:
    """Refresh and diagnostics of one plugin."""
    tag = plugin.display_name

    async def refresh(request: Request) -> Response:
        check_loaded(services)
        source_id = decode_name(request, "source_id") if "source_id" in request.params else None
        confirm = parse_flag(request, "confirmRemoval")
        done = await in_change_thread(_refresh, services, plugin, request, source_id, confirm)
        if isinstance(done, RefreshResult):
            tell_refresh(request, done)
            return json_response(refresh_document(done))
        location = f"{JOBS}/{done.id}".encode()
        return json_response({"status": "queued", "jobId": done.id}, 202, ((b"location", location),))

    async def diagnose(request: Request) -> Response:
        with_paths = await decision(services.authorizer.decide(request.principal, UPDATE_SOURCES, request.scope))
        document = await asyncio.to_thread(_diagnose, services, plugin, request.scope, with_paths=with_paths)
        return json_response(document)

    refreshing = _refreshing(tag, is_queued=services.queue is not None)
    diagnosing = Operation(f"How the sources of {tag} fare", tag, responses={200: DIAGNOSTICS_SCHEMA})
    return mount(
        plugin,
        [
            Managed("POST", "/refresh", refresh, refreshing, CREATE_JOBS, _REFRESH),
            Managed("POST", "/refresh/{source_id}", refresh, refreshing, CREATE_JOBS, _REFRESH),
            Managed("POST", "/sources/{source_id}/refresh", refresh, refreshing, CREATE_JOBS, _REFRESH),
            Managed("GET", "/diagnostics", diagnose, diagnosing, GET_SOURCES),
        ],
    )


def _refreshing(tag: str, *, is_queued: bool) -> Operation:
    responses = {202: QUEUED_SCHEMA} if is_queued else {200: REFRESH_SCHEMA}
    links = _job_links(202, "/jobId") if is_queued else ()
    errors = (400, 404, 409, 429, 503)
    return Operation(f"Refresh sources of {tag}", tag, (CONFIRM_REMOVAL,), responses, errors, links=links)


def _refresh(
    services: Services, plugin: Plugin, request: Request, source_id: str | None, confirm: bool
) -> Job | RefreshResult:
    if services.queue is None:
        announce(services.trail, request)
    return services.refreshes.request(
        request.scope,
        plugin,
        source_id,
        request.principal.user,
        confirm_removal=confirm,
        origin=origin_of(services.trail, request, 202),
    )


def _diagnose(services: Services, plugin: Plugin, scope: Scope, *, with_paths: bool) -> dict[str, Any]:
    sources = services.configuration.sources(scope, plugin)
    found = [(one, services.statuses.get(key_of(plugin, one))) for one in sources]
    times = [status.last_refresh_time for _, status in found if status is not None and status.last_refresh_time]
    errors = [source_error(one, s) for one, s in found if s is not None and s.last_error and one.enabled]
    document: dict[str, Any] = {
        "pluginName": plugin.name,
        "sources": [
            diagnosed_source(plugin, one, status, services.schedule.next_at(plugin, one)) for one, status in found
        ],
        **({"lastRefresh": format_time(max(times))} if times else {}),
        **({"errors": errors} if errors else {}),
        "configVersion": services.configuration.store_version,
        "persistence": _persistence(services),
    }
    reconciled = services.loader.reconciled
    if reconciled is not None:
        document["lastReconcile"] = {"time": format_time(reconciled.at), "result": reconciled.result} | (
            {"error": reconciled.error} if reconciled.error else {}
        )
    if with_paths:  # of this machine: for those who may change the sources
        for shown, source in zip(document["sources"], sources, strict=True):
            paths = services.fetcher.watched(source)
            shown |= {"resolvedPath": str(paths[0])} if paths else {}
    return document


def _persistence(services: Services) -> dict[str, Any]:
    """Whether a change would be kept, and if not, why."""
    control = services.control
    reason = control.read_only_reason
    return {
        "mode": control.mode,
        "writable": reason is None,
        "persistent": control.is_persistent,
        **({"reason": reason} if reason is not None else {}),
    }


def job_routes(services: Services) -> list[Route]:
    """The jobs of all plugins; nothing where refreshes are not jobs."""
    queue = services.queue
    if queue is None:
        return []

    async def list_jobs(request: Request) -> Response:
        return await asyncio.to_thread(_list_jobs, queue, request)

    async def get_job(request: Request) -> Response:
        job = await asyncio.to_thread(queue.get, request.scope, decode_name(request, "job_id"))
        return json_response(job_document(job))

    async def cancel_job(request: Request) -> Response:
        record = job_recorder(services.trail, request, 200)
        job = await asyncio.to_thread(queue.cancel, request.scope, decode_name(request, "job_id"), record)
        status = "canceled" if job.state is JobState.CANCELED else "canceling"
        return json_response({"status": status, "jobId": job.id})

    return [
        Route(JOBS, list_jobs, _LISTING, errors="text", permission=LIST_JOBS),
        Route(f"{JOBS}/{{job_id}}", get_job, _GETTING, errors="text", permission=GET_JOBS),
        Route(
            f"{JOBS}/{{job_id}}:cancel",
            cancel_job,
            _CANCELING,
            method="POST",
            errors="text",
            permission=CREATE_JOBS,
            audited=Audited("cancel-job", "jobs"),
        ),
    ]


def _list_jobs(queue: Queue, request: Request) -> Response:
    state = parse_choice(request, "state", tuple(map(str, JobState)), "")
    names = ("plugin", "sourceId", "requestedBy")
    plugin, source_id, requested_by = (parse_text(request, name) or None for name in names)
    wanted = JobFilter(
        plugin=plugin, source_id=source_id, state=JobState(state) if state else None, requested_by=requested_by
    )
    bound = binding_of(
        request.scope.namespace, JOBS, *(text or "" for text in (plugin, source_id, state, requested_by))
    )
    place = read_place(request, bound)
    page = queue.list_jobs(
        request.scope,
        wanted,
        page_size=parse_lenient_size(request, SIZE, MAX_SIZE),
        after=None if place is None else Cursor(*place),
    )
    document = {
        "jobs": [job_document(job) for job in page.jobs],
        "nextPageToken": token_after(page.next, bound),
        "totalSize": page.total_size,
    }
    return json_response(document)
