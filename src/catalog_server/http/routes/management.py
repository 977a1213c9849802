"""Managing a plugin's sources: list, validate, apply, enable, delete, revisions, rollback (spec http-api.md 1.5).

Each route stands under `{base}/management`, and where the plugin does not use the path for itself also without that
word, as older clients expect (spec http-api.md 1.12). Refreshes and diagnostics are in refreshes.py, entities and
actions in actions.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog_server.access.permissions import (
    CREATE_SOURCES,
    DELETE_SOURCES,
    GET_SOURCES,
    LIST_SOURCES,
    UPDATE_SOURCES,
    Permission,
)
from catalog_server.audit.trail import Trail
from catalog_server.catalog.control import Caller, Changed, Rejected
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.refresher import key_of
from catalog_server.catalog.refreshes import RefreshResult
from catalog_server.errors import CatalogError, Invalid, NotFound
from catalog_server.http.auditing import announce, entry_of, tell_refresh
from catalog_server.http.bodies import read_object
from catalog_server.http.decisions import decision
from catalog_server.http.management_schemas import (
    ENABLE_BODY,
    JUDGED_BODY,
    REVISIONS_SCHEMA,
    ROLLBACK_BODY,
    ROLLBACK_SCHEMA,
    SOURCE_LIST_SCHEMA,
    SOURCE_SCHEMA,
    VALIDATION_SCHEMA,
    source_body,
)
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.params import parse_flag
from catalog_server.http.router import Audited, Link, Operation, Route, decode_name
from catalog_server.http.routes.entities import check_loaded
from catalog_server.http.routes.parameters import CONFIRM_REMOVAL
from catalog_server.http.services import Services
from catalog_server.http.source_documents import (
    findings,
    managed_source,
    refresh_document,
    revision_document,
    validation_document,
)
from catalog_server.http.threads import in_change_thread
from catalog_server.scope import Scope
from catalog_server.sources.config import Source
from catalog_server.sources.editing import CONTENT
from catalog_server.sources.paths import WRITE_MAX_BYTES, read_file
from catalog_server.sources.redaction import redact

_VALIDATE_NEW = Audited("validate-source", "validate-source")
_VALIDATE = Audited("validate", "sources")
_ENABLE = Audited("enable-source", "sources")
_DELETE = Audited("delete", "sources")
_APPLY = Audited("apply-source", "apply-source")
_ROLLBACK = Audited("rollback", "sources")
_CHANGE_ERRORS = (403, 404, 409, 503)
MIN_VERSION_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Managed:
    """One management route, before it is known under which paths it stands."""

    method: str
    path: str
    endpoint: Callable[[Request], Response | Awaitable[Response]]
    operation: Operation
    permission: Permission
    audited: Audited | None = None
    is_aliased: bool = True
    """Also without `/management`."""


def mount(plugin: Plugin, routes: list[Managed]) -> list[Route]:
    """The routes of a plugin under all their paths."""
    found = []
    for one in routes:
        audited = None if one.audited is None else replace(one.audited, plugin=plugin.name)
        for base in (f"{plugin.base_path}/management", plugin.base_path)[: 2 if one.is_aliased else 1]:
            found.append(
                Route(
                    f"{base}{one.path}",
                    one.endpoint,
                    one.operation,
                    method=one.method,
                    permission=one.permission,
                    audited=audited,
                )
            )
    return found


def management_routes(services: Services, plugin: Plugin) -> list[Route]:
    endpoints = _Endpoints(services, plugin)
    return mount(plugin, [*_source_routes(endpoints, plugin), *_revision_routes(endpoints, plugin)])


def _source_routes(endpoints: _Endpoints, plugin: Plugin) -> list[Managed]:
    tag = plugin.display_name
    validation = Operation(
        f"Judge a source of {tag} without applying it",
        tag,
        responses={200: VALIDATION_SCHEMA},
        errors=(409, 503),
        body=JUDGED_BODY,
    )
    applying = Operation(
        f"Create or change a source of {tag}",
        tag,
        (CONFIRM_REMOVAL,),
        responses={200: SOURCE_SCHEMA, 422: VALIDATION_SCHEMA},
        errors=_CHANGE_ERRORS,
        body=source_body(plugin),
    )
    enabling = Operation(
        f"Switch a source of {tag} on or off",
        tag,
        responses={200: SOURCE_SCHEMA},
        errors=_CHANGE_ERRORS,
        body=ENABLE_BODY,
    )
    deleting = Operation(
        f"Delete a source of {tag}",
        tag,
        responses={200: {"type": "object", "required": ["status"], "properties": {"status": {"const": "deleted"}}}},
        errors=_CHANGE_ERRORS,
    )
    return [
        Managed("GET", "/sources", endpoints.list_sources, _listing(plugin), LIST_SOURCES, is_aliased=False),
        Managed("POST", "/validate-source", endpoints.validate, validation, UPDATE_SOURCES, _VALIDATE_NEW),
        Managed("POST", "/sources/{source_id}:validate", endpoints.validate, validation, UPDATE_SOURCES, _VALIDATE),
        Managed("POST", "/apply-source", endpoints.apply, applying, CREATE_SOURCES, _APPLY),
        Managed("POST", "/sources", endpoints.apply, applying, CREATE_SOURCES, _APPLY),
        Managed("POST", "/sources/{source_id}/enable", endpoints.enable, enabling, UPDATE_SOURCES, _ENABLE),
        Managed("DELETE", "/sources/{source_id}", endpoints.delete, deleting, DELETE_SOURCES, _DELETE),
    ]


def _listing(plugin: Plugin) -> Operation:
    one, source_id = f"{plugin.base_path}/management/sources/{{source_id}}", {"source_id": "/sources/0/id"}
    ends = (("GET", "/revisions"), ("POST", ":validate"), ("POST", "/enable"), ("POST", "/refresh"))
    links = tuple(Link(200, method, f"{one}{end}", source_id) for method, end in ends)
    tag = plugin.display_name
    return Operation(f"Configured sources of {tag}", tag, (), {200: SOURCE_LIST_SCHEMA}, (503,), links=links)


def _revision_routes(endpoints: _Endpoints, plugin: Plugin) -> list[Managed]:
    tag = plugin.display_name
    listing = Operation(
        "Saved states of the whole configuration", tag, responses={200: REVISIONS_SCHEMA}, errors=(503,)
    )
    rolling_back = Operation(
        "Put a saved state of the configuration back",
        tag,
        responses={200: ROLLBACK_SCHEMA},
        errors=_CHANGE_ERRORS,
        body=ROLLBACK_BODY,
    )
    return [
        Managed("GET", "/sources/{source_id}/revisions", endpoints.list_revisions, listing, GET_SOURCES),
        Managed("GET", "/revisions", endpoints.list_revisions, listing, GET_SOURCES),
        Managed("POST", "/sources/{source_id}:rollback", endpoints.roll_back, rolling_back, UPDATE_SOURCES, _ROLLBACK),
        Managed("POST", "/rollback", endpoints.roll_back, rolling_back, UPDATE_SOURCES, _ROLLBACK),
    ]


def _caller(trail: Trail, request: Request) -> Caller:
    """Who asks, and the version that the header `If-Match` names; `*` stands for any.

    The stores of the configuration have no transaction that an audit event could go into. So a change is announced just
    before it is saved, and its event says which version it replaced.
    """
    given = (request.header(b"if-match") or "*").strip()
    entry = entry_of(request)

    def before_save(version: str) -> None:
        entry.old = {"version": version}
        announce(trail, request)

    def after_save(before: str, after: str) -> None:
        entry.old, entry.new = {"version": before}, {"version": after}

    expected = None if given == "*" else given.removeprefix("W/").strip('"')
    return Caller(request.principal.user, expected, before_save, after_save)


class _Endpoints:
    """What the routes of one plugin do. Files, stores and databases are waited for in threads."""

    def __init__(self, services: Services, plugin: Plugin) -> None:
        self._services = services
        self._plugin = plugin

    async def list_sources(self, request: Request) -> Response:
        may_update = self._services.authorizer.decide(request.principal, UPDATE_SOURCES, request.scope)
        with_content = await decision(may_update)
        return json_response(await asyncio.to_thread(self._list, request.scope, with_content=with_content))

    async def validate(self, request: Request) -> Response:
        given = await read_object(request, with_content=True)
        path_id = decode_name(request, "source_id") if "source_id" in request.params else None
        if path_id is None:
            entry_of(request).name_resource(given.get("id"))
        control = self._services.control
        found = await in_change_thread(control.validate, request.scope, self._plugin, given, path_id)
        return json_response(validation_document(found))

    async def apply(self, request: Request) -> Response:
        check_loaded(self._services)
        given = await read_object(request, with_content=True)
        entry_of(request).name_resource(given.get("id"))
        confirm_removal = parse_flag(request, "confirmRemoval")
        return await in_change_thread(self._apply, request, given, confirm_removal)

    async def enable(self, request: Request) -> Response:
        check_loaded(self._services)
        enabled = (await read_object(request)).get("enabled")
        if not isinstance(enabled, bool):
            raise Invalid("must be true or false", field="enabled")
        entry_of(request).details["enabled"] = enabled
        return await in_change_thread(self._enable, request, enabled)

    async def delete(self, request: Request) -> Response:
        check_loaded(self._services)
        control, source_id = self._services.control, decode_name(request, "source_id")
        by = _caller(self._services.trail, request)
        await in_change_thread(control.delete, request.scope, self._plugin, source_id, by=by)
        return json_response({"status": "deleted"})

    async def list_revisions(self, request: Request) -> Response:
        found = await asyncio.to_thread(self._services.control.revisions)
        return json_response({"revisions": [revision_document(one) for one in found], "count": len(found)})

    async def roll_back(self, request: Request) -> Response:
        check_loaded(self._services)
        version = (await read_object(request)).get("version")
        if not isinstance(version, str) or not version:
            raise Invalid("version is required", field="version")
        if len(version) < MIN_VERSION_LENGTH:
            raise Invalid(f"must have {MIN_VERSION_LENGTH} digits or more", field="version")
        entry_of(request).details["revision"] = version
        by = _caller(self._services.trail, request)
        done = await in_change_thread(self._services.control.rollback, request.scope, version, by=by)
        document: dict[str, Any] = {
            "status": "rolled_back",
            "version": done.version,
            "reinitialized": list(done.plugins),
        }
        return json_response({**document, **({"reinitErrors": dict(done.errors)} if done.errors else {})})

    # --- in threads ---

    def _list(self, scope: Scope, *, with_content: bool) -> Mapping[str, Any]:
        services, plugin = self._services, self._plugin
        sources = services.configuration.sources(scope, plugin)
        documents = [self._info(source) for source in sources]
        if with_content:
            documents = [{**one, **self._content(source)} for one, source in zip(documents, sources, strict=True)]
        problem = services.configuration.problem
        return {
            "sources": documents,
            "count": len(documents),
            **({"configError": problem} if problem is not None else {}),
        }

    def _content(self, source: Source) -> Mapping[str, Any]:
        """The text of a source's catalog file, for the editor of those who may change it."""
        files = self._services.fetcher.watched(source) if source.type == "yaml" else ()
        if not files:
            return {}
        try:
            text = read_file(files[0], WRITE_MAX_BYTES).decode()
            return {"properties": {**(redact(source.properties) or {}), CONTENT: text}}
        except (Invalid, UnicodeDecodeError):
            return {"contentOmitted": True}

    def _info(self, source: Source) -> dict[str, Any]:
        services = self._services
        status = services.statuses.get(key_of(self._plugin, source))
        return managed_source(source, status, services.schedule.next_at(self._plugin, source))

    def _apply(self, request: Request, given: Mapping[str, Any], confirm_removal: bool) -> Response:
        services, plugin, scope = self._services, self._plugin, request.scope
        try:
            changed = services.control.apply(scope, plugin, given, by=_caller(services.trail, request))
        except Rejected as error:
            entry_of(request).error = error
            return json_response(validation_document(error.validation), 422)
        refreshed: dict[str, Any] = {}
        if given.get("refreshAfterApply"):
            refreshed = {"refreshResult": self._refresh(request, str(given["id"]), confirm_removal)}
        return json_response({**self._changed(request, str(given["id"]), changed), "applied": True, **refreshed})

    def _refresh(self, request: Request, source_id: str, confirm_removal: bool) -> Mapping[str, Any]:
        """A refresh that fails does not undo the change; it is told beside it."""
        try:
            done = self._services.refreshes.refresh_now(
                request.scope, self._plugin, source_id, confirm_removal=confirm_removal
            )
        except CatalogError as error:
            done = RefreshResult(source_id, loaded=0, removed=0, duration_ns=0, error=error)
        tell_refresh(request, done)
        return refresh_document(done)

    def _enable(self, request: Request, enabled: bool) -> Response:
        source_id = decode_name(request, "source_id")
        changed = self._services.control.set_enabled(
            request.scope, self._plugin, source_id, enabled, by=_caller(self._services.trail, request)
        )
        return json_response(self._changed(request, source_id, changed))

    def _changed(self, request: Request, source_id: str, changed: Changed) -> dict[str, Any]:
        """The source as it is now. Somebody else may have deleted it since: then what was changed is still true."""
        services = self._services
        try:
            info = self._info(services.configuration.source(request.scope, self._plugin, source_id))
        except NotFound:
            info = {
                "id": source_id,
                "name": "",
                "type": "",
                "enabled": False,
                "status": {"state": "", "entityCount": 0},
            }
        optional = {"warnings": findings(changed.warnings), "pending": changed.later}
        return {
            **info,
            "version": changed.version,
            "persisted": services.control.is_persistent,
            **{name: value for name, value in optional.items() if value},
        }
