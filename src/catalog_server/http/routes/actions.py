"""Actions on sources and entities, and the entity getter of every plugin (spec http-api.md 1.7 and 1.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog

from catalog_server.access.permissions import EXECUTE_ACTIONS, GET_ASSETS, LIST_ACTIONS
from catalog_server.catalog import sql
from catalog_server.catalog.actions import ACTIONS, Scope, find_action, plan_action
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import find
from catalog_server.catalog.refreshes import RefreshResult
from catalog_server.catalog.writer import SourceKey
from catalog_server.errors import NotFound, Unavailable
from catalog_server.http.assets import asset_of
from catalog_server.http.auditing import announce, entry_of, overlay_recorder, tell_refresh
from catalog_server.http.bodies import read_action, read_object
from catalog_server.http.management_schemas import ACTION_SCHEMA, ACTIONS_SCHEMA, ASSET_ACTION_BODY, SOURCE_ACTION_BODY
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.params import parse_choice
from catalog_server.http.router import Audited, Operation, Route, decode_name
from catalog_server.http.routes.entities import check_loaded
from catalog_server.http.routes.management import Managed, mount
from catalog_server.http.routes.parameters import SOURCE_ID, VIEW
from catalog_server.http.schemas import ASSET_SCHEMA, entity_schema, viewed
from catalog_server.http.services import Services
from catalog_server.http.threads import in_change_thread

_ON_SOURCE = Audited("execute-action", "sources")
_ON_ENTITY = Audited("execute-action", "entities")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The body of an action."""

    name: Any
    dry_run: bool
    params: Mapping[str, Any]


def action_routes(services: Services, plugin: Plugin) -> list[Route]:
    endpoints = _Endpoints(services, plugin)
    tag, kind = plugin.display_name, plugin.kind
    errors = (404, 409, 429, 503)
    about = f"Do something with a source of {tag}"
    on_source = Operation(about, tag, responses={200: ACTION_SCHEMA}, errors=errors, body=SOURCE_ACTION_BODY)
    on_entity = Operation(
        f"Do something with one {kind.noun}",
        tag,
        (SOURCE_ID,),
        {200: ACTION_SCHEMA},
        errors=(404, 503),
        body=ASSET_ACTION_BODY,
    )
    getting = Operation(
        f"Get one {kind.noun} of any source, with its provenance",
        tag,
        (SOURCE_ID, VIEW),
        {200: viewed(entity_schema(kind), ASSET_SCHEMA)},
        (400, 404, 503),
    )
    listing = Operation(f"Actions of {tag}", tag, responses={200: ACTIONS_SCHEMA})
    routes = [
        Managed("GET", "/actions/source", lambda _: _list_actions("source"), listing, LIST_ACTIONS),
        Managed("GET", "/actions/asset", lambda _: _list_actions("asset"), listing, LIST_ACTIONS),
        Managed("POST", "/sources/{source_id}:action", endpoints.act_on_source, on_source, EXECUTE_ACTIONS, _ON_SOURCE),
        Managed("POST", "/entities/{name...}:action", endpoints.act_on_entity, on_entity, EXECUTE_ACTIONS, _ON_ENTITY),
        Managed("GET", "/entities/{name...}", endpoints.get_entity, getting, GET_ASSETS),
    ]
    placeholder = "{name...}" if kind.slashes_in_names else "{name}"
    native = f"{plugin.list_path}/{placeholder}:action"
    audited = replace(_ON_ENTITY, plugin=plugin.name)
    alias = Route(
        native, endpoints.act_on_entity, on_entity, method="POST", permission=EXECUTE_ACTIONS, audited=audited
    )
    return [*mount(plugin, routes), alias]


def _list_actions(scope: Scope) -> Response:
    found = [action.document for action in ACTIONS if action.scope == scope]
    return json_response({"actions": found, "count": len(found)})


class _Endpoints:
    """What the routes of one plugin do."""

    def __init__(self, services: Services, plugin: Plugin) -> None:
        self._services = services
        self._plugin = plugin

    async def act_on_source(self, request: Request) -> Response:
        check_loaded(self._services)
        asked = await _read(request)
        action = find_action("source", asked.name, dry_run=asked.dry_run)
        entry_of(request).details["actionId"] = action.id
        source_id = decode_name(request, "source_id")
        done = await in_change_thread(self._refresh, request, source_id)
        return json_response(_refreshed(source_id, done))

    def _refresh(self, request: Request, source_id: str) -> RefreshResult:
        services = self._services
        announce(services.trail, request)
        done = services.refreshes.refresh_now(request.scope, self._plugin, source_id, confirm_removal=False)
        tell_refresh(request, done)
        return done

    async def act_on_entity(self, request: Request) -> Response:
        check_loaded(self._services)
        asked = await _read(request)
        action = find_action("asset", asked.name, dry_run=asked.dry_run)
        details = entry_of(request).details
        details |= {"actionId": action.id, **({"dryRun": True} if asked.dry_run else {})}
        planned = plan_action(action, asked.params)
        key, name = self._target(request)
        details["sourceId"] = key.source_id
        overlays = self._services.overlays
        if asked.dry_run:
            after = await asyncio.to_thread(overlays.preview, key, name, planned.change)
        else:
            record = overlay_recorder(self._services.trail, request, 200)
            after = await asyncio.to_thread(overlays.change, key, name, planned.change, record)
        data = planned.given if asked.dry_run else planned.data(after)
        document = {
            "action": action.id,
            "status": "dry-run" if asked.dry_run else "completed",
            "message": planned.message(name, dry_run=asked.dry_run),
            "data": data,
        }
        return json_response(document)

    async def get_entity(self, request: Request) -> Response:
        check_loaded(self._services)
        is_asset = parse_choice(request, "view", ("native", "asset"), "native") == "asset"
        key, name = self._target(request)
        services, plugin = self._services, self._plugin
        entity = msgspec.json.decode(services.reader.get(request.scope, plugin, name, key.source_id))
        document = asset_of(plugin, services.configuration, request.scope, entity) if is_asset else entity
        return json_response({**document, **await asyncio.to_thread(self._provenance, key, name)})

    def _target(self, request: Request) -> tuple[SourceKey, str]:
        """The entity that the path names. Raises NotFound."""
        plugin, name = self._plugin, decode_name(request)
        index = self._services.reader.index(request.scope, plugin)
        try:
            position = find(index, plugin, name, request.first("sourceId") or None)
        except NotFound as error:
            raise NotFound(f'entity "{name[:200]}" not found') from error
        return SourceKey(request.scope, plugin.name, plugin.kind.name, index.source_of(position)), name

    def _provenance(self, key: SourceKey, name: str) -> dict[str, Any]:
        """Where the entity comes from. It stands in the database only: while that is down, the entity is still told."""
        try:
            found = self._services.overlays.read_provenance(key, name)
        except Unavailable as error:
            log.warning("no provenance", reason=error.message)
            return {"provenanceError": error.message}
        return {} if found is None else {"provenance": _provenance_document(key, found)}


def _provenance_document(key: SourceKey, found: sql.Provenance) -> dict[str, Any]:
    optional = {"commit": found.commit_sha, "jobId": found.job_id}
    return {
        "sourceId": key.source_id,
        "file": found.origin,
        "line": found.line,
        **{name: value for name, value in optional.items() if value},
    }


async def _read(request: Request) -> _Asked:
    body = await read_object(request)
    return _Asked(body.get("action"), *read_action(body))


def _refreshed(source_id: str, done: RefreshResult) -> dict[str, Any]:
    document: dict[str, Any] = {"action": "refresh", "status": "error" if done.error else "completed"}
    document["message"] = done.error.message if done.error else f"Refreshed source {source_id}"
    return {**document, "data": {"entitiesLoaded": done.loaded, "duration": _human(done.duration_ns)}}


def _human(nanoseconds: int) -> str:
    """`12ms`, `1.2s`."""
    milliseconds = nanoseconds // 1_000_000
    return f"{milliseconds}ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f}s"
