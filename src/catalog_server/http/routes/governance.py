"""Governance of assets: records, steps of their lifecycle, approvals (spec http-api.md 1.11, platform.md 9)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from catalog_server.access.permissions import APPROVE_APPROVALS, LIST_APPROVALS, UPDATE_APPROVALS
from catalog_server.access.proxy import HeaderTrust
from catalog_server.audit.event import Cursor as EventCursor
from catalog_server.audit.event import EventFilter, event_document
from catalog_server.errors import Invalid
from catalog_server.governance.actions import ACTIONS, plan_action, read_reason
from catalog_server.governance.asset import MAX_NAME, MAX_WORD, WORD, AssetRef, name_pattern
from catalog_server.governance.binding import Move
from catalog_server.governance.bindings import BIND
from catalog_server.governance.entities import refer
from catalog_server.governance.events import Caller
from catalog_server.governance.record import patch_schema
from catalog_server.governance.requests import STATUSES, VERDICTS, Cursor, RequestFilter, Status, Verdict
from catalog_server.governance.version import VersionCursor
from catalog_server.governance.versions import read_label
from catalog_server.http.auditing import correlation_of, entry_of, recorder
from catalog_server.http.bodies import read_action, read_object
from catalog_server.http.governance_schemas import (
    ACTION_BODY,
    ACTION_RESULT_SCHEMA,
    BINDING_BODY,
    BINDING_SCHEMA,
    BINDINGS_SCHEMA,
    CANCEL_BODY,
    CANCELED_SCHEMA,
    DECIDED_SCHEMA,
    DECISION_BODY,
    HISTORY_SCHEMA,
    POLICIES_SCHEMA,
    RECORD_SCHEMA,
    REQUEST_LIST_SCHEMA,
    REQUEST_SCHEMA,
    VERSION_BODY,
    VERSION_LIST_SCHEMA,
    VERSION_SCHEMA,
)
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.paging import MAX_SIZE, SIZE, read_place, token_after
from catalog_server.http.params import parse_choice, parse_lenient_size, parse_text
from catalog_server.http.router import Audited, Link, Operation, Route, decode_name
from catalog_server.http.routes.parameters import PAGE_TOKEN, choice_parameter, parameter
from catalog_server.http.services import Services
from catalog_server.query.tokens import binding_of

BASE: Final = "/api/governance/v1alpha1"
ASSET: Final = f"{BASE}/assets/{{plugin}}/{{kind}}/{{name...}}"
APPROVALS: Final = f"{BASE}/approvals"
VERSIONS: Final = f"{ASSET}/versions"
_TAG: Final = "governance"
_WORD: Final = {"pattern": f"^{WORD}$", "maxLength": MAX_WORD}
# Names are decoded once more, so `%` in one is written as %25, and that once more encoded.
_NAME: Final = {"pattern": f"^{name_pattern('%')}$", "maxLength": MAX_NAME}
_PATH: Final[Mapping[str, Mapping[str, Any]]] = {
    "plugin": _WORD,
    "kind": _WORD,
    "name": _NAME,
    "action": {"enum": list(ACTIONS)},
}
_APPROVAL: Final = f"{APPROVALS}/{{request_id}}"
_PAGING: Final = (
    parameter("pageSize", f"Entries per page; {SIZE} by default, at most {MAX_SIZE}.", {"type": "string"}),
    PAGE_TOKEN,
)
_FILTERS: Final = (
    choice_parameter("status", "State of the request.", *STATUSES),
    parameter("assetUid", "Requests of one asset, as `plugin:kind:name`.", {"type": "string", "maxLength": 1024}),
)


def _links(status: int, pointer: str) -> tuple[Link, ...]:
    ends = (("GET", ""), ("POST", "/decisions"), ("POST", "/cancel"))
    return tuple(Link(status, method, _APPROVAL + end, {"request_id": pointer}) for method, end in ends)


_GETTING = Operation(
    "Governance record of an asset", _TAG, responses={200: RECORD_SCHEMA}, errors=(400, 503), path=_PATH
)
_PATCHING = Operation(
    "Change sections of a governance record",
    _TAG,
    responses={200: RECORD_SCHEMA},
    errors=(503,),
    body=patch_schema(),
    path=_PATH,
)
_HISTORY = Operation(
    "What happened to an asset, newest first", _TAG, _PAGING, {200: HISTORY_SCHEMA}, errors=(400, 503), path=_PATH
)
_ACTING = Operation(
    f"Do something with an asset: {', '.join(ACTIONS)}",
    _TAG,
    responses={200: ACTION_RESULT_SCHEMA, 202: ACTION_RESULT_SCHEMA},
    errors=(409, 503),
    body=ACTION_BODY,
    path=_PATH,
    links=_links(202, "/data/requestId"),
)
_VERSIONS = Operation(
    "Versions of an asset, newest first", _TAG, _PAGING, {200: VERSION_LIST_SCHEMA}, errors=(400, 503), path=_PATH
)
_CREATING = Operation(
    "Keep an asset as it is now, as a version",
    _TAG,
    responses={201: VERSION_SCHEMA},
    errors=(503,),
    body=VERSION_BODY,
    path=_PATH,
)
_BINDINGS = Operation(
    "Which version each environment has", _TAG, responses={200: BINDINGS_SCHEMA}, errors=(400, 503), path=_PATH
)
_BINDING = Operation(
    "Let an environment have another version",
    _TAG,
    responses={200: BINDING_SCHEMA},
    errors=(404, 503),
    body=BINDING_BODY,
    path=_PATH,
)
_LISTING = Operation(
    "List approval requests, newest first",
    _TAG,
    (*_FILTERS, *_PAGING),
    {200: REQUEST_LIST_SCHEMA},
    (400, 503),
    links=_links(200, "/requests/0/id"),
)
_READING = Operation("Get one approval request", _TAG, responses={200: REQUEST_SCHEMA}, errors=(404, 503))
_DECIDING = Operation(
    "Approve or deny",
    _TAG,
    responses={200: DECIDED_SCHEMA},
    errors=(404, 409, 503),
    body=DECISION_BODY,
)
_CANCELING = Operation(
    "Cancel an approval request", _TAG, responses={200: CANCELED_SCHEMA}, errors=(404, 409, 503), body=CANCEL_BODY
)
_POLICIES = Operation("Which changes need an approval", _TAG, responses={200: POLICIES_SCHEMA})


def governance_routes(services: Services) -> list[Route]:
    do = _Endpoints(services)
    environments = {"environment": {"enum": list(services.governance.bindings.environments)}}
    binding = replace(_BINDING, path={**_PATH, **environments})
    reads = [
        (ASSET, do.get_record, _GETTING),
        (f"{ASSET}/history", do.list_history, _HISTORY),
        (VERSIONS, do.list_versions, _VERSIONS),
        (f"{ASSET}/bindings", do.list_bindings, _BINDINGS),
        (APPROVALS, do.list_requests, _LISTING),
        (_APPROVAL, do.get_request, _READING),
        (f"{BASE}/policies", do.list_policies, _POLICIES),
    ]
    changes = [
        ("PATCH", ASSET, do.patch_record, _PATCHING, UPDATE_APPROVALS, ("patch", "assets")),
        ("PUT", f"{ASSET}/bindings/{{environment}}", do.bind, binding, UPDATE_APPROVALS, ("bind", "bindings")),
        ("POST", f"{ASSET}/actions/{{action}}", do.act, _ACTING, APPROVE_APPROVALS, ("execute-action", "assets")),
        ("POST", VERSIONS, do.create_version, _CREATING, APPROVE_APPROVALS, ("create", "versions")),
        ("POST", f"{_APPROVAL}/decisions", do.decide, _DECIDING, APPROVE_APPROVALS, ("decide", "approvals")),
        ("POST", f"{_APPROVAL}/cancel", do.cancel, _CANCELING, APPROVE_APPROVALS, ("cancel", "approvals")),
    ]
    found = [Route(path, read, about, errors="text", permission=LIST_APPROVALS) for path, read, about in reads]
    for method, path, change, about, permission, (verb, resource) in changes:
        audited = Audited(verb, resource, _TAG)
        found.append(Route(path, change, about, method=method, errors="text", permission=permission, audited=audited))
    return found


class _Endpoints:
    """What the routes do. The database is waited for in threads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._governance = services.governance

    async def get_record(self, request: Request) -> Response:
        records, asset = self._governance.records, self._asset(request)
        return json_response(await asyncio.to_thread(records.get, request.scope, asset, request.principal.user))

    async def patch_record(self, request: Request) -> Response:
        asset, body = self._asset(request), await read_object(request)
        patch = self._governance.records.patch
        return json_response(await asyncio.to_thread(patch, request.scope, asset, body, self._caller(request)))

    async def list_history(self, request: Request) -> Response:
        asset = self._asset(request)
        return json_response(await asyncio.to_thread(self._history, request, asset))

    async def act(self, request: Request) -> Response:
        asset, action = self._asset(request), decode_name(request, "action")
        entry_of(request).details["actionId"] = action[:80]
        body = await read_object(request, may_be_empty=True)
        dry_run, params = read_action(body)
        planned, actions, scope = plan_action(action, params), self._governance.actions, request.scope
        if dry_run:
            entry_of(request).details["dryRun"] = True
            done = await asyncio.to_thread(actions.preview, scope, asset, planned, request.principal.user)
        else:
            done = await asyncio.to_thread(actions.act, scope, asset, planned, self._caller(request))
        return json_response(done.document, done.status)

    async def list_versions(self, request: Request) -> Response:
        asset = self._asset(request)
        return json_response(await asyncio.to_thread(self._list_versions, request, asset))

    async def create_version(self, request: Request) -> Response:
        asset, body = self._asset(request), await read_object(request)
        label, reason = read_label(body.get("versionLabel"), "versionLabel"), read_reason(body.get("reason"), "reason")
        create, caller = self._governance.versions.create, self._caller(request)
        version = await asyncio.to_thread(create, request.scope, asset, label, reason, caller, 201)
        return json_response(version.document, 201)

    async def list_bindings(self, request: Request) -> Response:
        found = await asyncio.to_thread(self._governance.bindings.list_bindings, request.scope, self._asset(request))
        return json_response({"bindings": [one.document for one in found]})

    async def bind(self, request: Request) -> Response:
        asset, environment, body = self._asset(request), decode_name(request, "environment"), await read_object(request)
        version_id = body.get("versionId")
        if not isinstance(version_id, str) or not version_id:
            raise Invalid("required: the version to bind", field="versionId")
        move, wanted = self._governance.bindings.move, Move(BIND, environment, version_id)
        bound = await asyncio.to_thread(move, request.scope, asset, wanted, self._caller(request))
        warnings = {"warnings": list(bound.warnings)} if bound.warnings else {}
        return json_response({**bound.binding.document, **warnings})

    async def list_requests(self, request: Request) -> Response:
        return json_response(await asyncio.to_thread(self._list, request))

    async def get_request(self, request: Request) -> Response:
        approvals = self._governance.approvals
        found = await asyncio.to_thread(approvals.get, request.scope, decode_name(request, "request_id"))
        decisions = {"decisions": [one.document for one in found.decisions]} if found.decisions else {}
        return json_response({**found.request.document(approvals.clock()), **decisions})

    async def decide(self, request: Request) -> Response:
        body = await read_object(request)
        verdict, comment = body.get("verdict"), read_reason(body.get("comment"), "comment")
        if verdict not in VERDICTS:
            raise Invalid(f"must be one of {', '.join(VERDICTS)}", field="verdict")
        entry_of(request).details["verdict"] = verdict
        decide, request_id = self._governance.approvals.decide, decode_name(request, "request_id")
        caller = self._caller(request)
        return json_response(
            await asyncio.to_thread(decide, request.scope, request_id, cast(Verdict, verdict), comment, caller)
        )

    async def cancel(self, request: Request) -> Response:
        reason = read_reason((await read_object(request, may_be_empty=True)).get("reason"), "reason")
        cancel, request_id = self._governance.approvals.cancel, decode_name(request, "request_id")
        return json_response(await asyncio.to_thread(cancel, request.scope, request_id, reason, self._caller(request)))

    async def list_policies(self, request: Request) -> Response:
        return json_response({"policies": [one.document for one in self._governance.policies.entries]})

    def _caller(self, request: Request) -> Caller:
        """Who asks. A role counts where somebody vouches for it: a token, or a proxy that names groups."""
        principal, trail = request.principal, self._services.trail
        are_known = bool(principal.groups) or not isinstance(self._services.trust, HeaderTrust)
        roles = frozenset((*principal.groups, *(("operator",) if principal.is_operator else ())))
        return Caller(
            principal.user,
            roles if are_known else None,
            correlation_of(request),
            request.id,
            lambda connection, status: recorder(trail, request, status)(connection),
        )

    def _asset(self, request: Request) -> AssetRef:
        """The asset that the path names. Raises Invalid."""
        plugin, kind, name = (decode_name(request, word) for word in ("plugin", "kind", "name"))
        is_audited = request.route is not None and request.route.audited is not None
        if is_audited:
            entry_of(request).resource_ids = (f"{plugin}:{kind}:{name}",)
        asset = refer(self._services.registry, plugin, kind, name)
        if is_audited:
            entry_of(request).resource_ids = (asset.uid,)
        return asset

    # --- in threads ---

    def _history(self, request: Request, asset: AssetRef) -> dict[str, Any]:
        bound = binding_of(request.scope.namespace, BASE, asset.uid)
        place = read_place(request, bound)
        page = self._services.trail.list_events(
            request.scope,
            EventFilter(asset_uid=asset.uid),
            page_size=parse_lenient_size(request, SIZE, MAX_SIZE),
            after=None if place is None else EventCursor(*place),
            is_counted=True,
        )
        return _page("events", map(event_document, page.events), token_after(page.next, bound), page.total_size)

    def _list_versions(self, request: Request, asset: AssetRef) -> dict[str, Any]:
        bound = binding_of(request.scope.namespace, VERSIONS, asset.uid)
        place = read_place(request, bound)
        page = self._governance.versions.list_versions(
            request.scope,
            asset,
            page_size=parse_lenient_size(request, SIZE, MAX_SIZE),
            after=None if place is None else VersionCursor(*place),
        )
        found = (one.document for one in page.versions)
        return _page("versions", found, token_after(page.next, bound), page.total_size)

    def _list(self, request: Request) -> dict[str, Any]:
        status, uid = parse_choice(request, "status", STATUSES, ""), parse_text(request, "assetUid")
        wanted = RequestFilter(cast(Status, status) if status else None, uid or None)
        bound = binding_of(request.scope.namespace, APPROVALS, status, uid)
        place = read_place(request, bound)
        approvals = self._governance.approvals
        page = approvals.list_requests(
            request.scope,
            wanted,
            page_size=parse_lenient_size(request, SIZE, MAX_SIZE),
            after=None if place is None else Cursor(*place),
        )
        now = approvals.clock()
        found = (one.document(now) for one in page.requests)
        return _page("requests", found, token_after(page.next, bound), page.total_size)


def _page(key: str, entries: Iterable[dict[str, Any]], token: str, total_size: int | None) -> dict[str, Any]:
    """The lists of governance have no token where there is no further page (spec platform.md 9.2)."""
    return {key: list(entries), **({"nextPageToken": token} if token else {}), "totalSize": total_size}
