"""Statements on governance records, approvals, versions and bindings. Each takes the scope it works in.

Returns frozen values, never rows that still talk to the database.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from catalog_server.db.dialects import insert_ignore
from catalog_server.db.fitting import fit
from catalog_server.db.paging import newest_first
from catalog_server.db.tables import (
    approval_decisions,
    approval_requests,
    asset_governance,
    asset_versions,
    env_bindings,
)
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.binding import Binding
from catalog_server.governance.requests import ApprovalRequest, Cursor, Decision, Gate, RequestFilter
from catalog_server.governance.version import Provenance, Version, VersionCursor
from catalog_server.scope import Scope

_RECORD, _REQUEST, _DECISION = asset_governance.c, approval_requests.c, approval_decisions.c
_VERSION, _BINDING = asset_versions.c, env_bindings.c

# --- records ---


def read_record(connection: Connection, scope: Scope, asset: AssetRef) -> dict[str, Any] | None:
    """The columns of a record; None: nobody has written it yet."""
    return _record(connection, scope, asset, is_locked=False)


def lock_record(connection: Connection, scope: Scope, asset: AssetRef, initial: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a record, kept so until the transaction ends. One that is not there is made from `initial`."""
    row = {
        **initial,
        "namespace": scope.namespace,
        "plugin": asset.plugin,
        "asset_kind": asset.kind,
        "asset_name": asset.name,
        "asset_uid": asset.uid,
    }
    found = _record(connection, scope, asset, is_locked=True)
    if found is None:
        connection.execute(insert_ignore(connection, asset_governance, [fit(asset_governance, row)]))
        found = _record(connection, scope, asset, is_locked=True)
    assert found is not None
    return found


def _record(connection: Connection, scope: Scope, asset: AssetRef, *, is_locked: bool) -> dict[str, Any] | None:
    query = select(asset_governance).where(_RECORD.namespace == scope.namespace, _RECORD.asset_uid == asset.uid)
    row = connection.execute(query.with_for_update() if is_locked else query).one_or_none()
    return None if row is None else dict(row._mapping)


def update_record(connection: Connection, scope: Scope, asset: AssetRef, values: Mapping[str, Any]) -> None:
    """Write to a record that this transaction has locked."""
    connection.execute(
        update(asset_governance)
        .where(_RECORD.namespace == scope.namespace, _RECORD.asset_uid == asset.uid)
        .values(**fit(asset_governance, values))
    )


# --- requests ---


def insert_request(connection: Connection, scope: Scope, asset: AssetRef, values: Mapping[str, Any]) -> None:
    """Insert unless a pending request has the same `active_key`: the unique constraint decides."""
    row = {
        **values,
        "namespace": scope.namespace,
        "asset_uid": asset.uid,
        "plugin": asset.plugin,
        "asset_kind": asset.kind,
        "asset_name": asset.name,
        "action_params": json.dumps(values["action_params"], ensure_ascii=False),
        "allowed_roles": json.dumps(values["allowed_roles"], ensure_ascii=False),
    }
    connection.execute(insert_ignore(connection, approval_requests, [fit(approval_requests, row)]))


def read_active(connection: Connection, scope: Scope, key: str) -> ApprovalRequest | None:
    """The request that holds this `active_key`."""
    return _one(connection, scope, _REQUEST.active_key == key)


def read_request(connection: Connection, scope: Scope, request_id: str) -> ApprovalRequest | None:
    return _one(connection, scope, _REQUEST.id == request_id)


def lock_request(connection: Connection, scope: Scope, request_id: str) -> ApprovalRequest | None:
    """The request as it is now, kept so until the transaction ends."""
    return _one(connection, scope, _REQUEST.id == request_id, is_locked=True)


def _one(
    connection: Connection, scope: Scope, condition: ColumnElement[bool], *, is_locked: bool = False
) -> ApprovalRequest | None:
    query = select(approval_requests).where(_REQUEST.namespace == scope.namespace, condition)
    row = connection.execute(query.with_for_update() if is_locked else query).one_or_none()
    return None if row is None else _request(row)


def update_request(connection: Connection, scope: Scope, request_id: str, values: Mapping[str, Any]) -> None:
    """Write to a request that this transaction has locked."""
    connection.execute(
        update(approval_requests)
        .where(_REQUEST.namespace == scope.namespace, _REQUEST.id == request_id)
        .values(**fit(approval_requests, values))
    )


def list_requests(
    connection: Connection, scope: Scope, wanted: RequestFilter, now: int, *, after: Cursor | None, limit: int
) -> tuple[ApprovalRequest, ...]:
    """Newest first."""
    query = select(approval_requests).where(_REQUEST.namespace == scope.namespace, *_conditions(wanted, now))
    found = connection.execute(newest_first(query, _REQUEST.created_at, _REQUEST.id, after=after, limit=limit))
    return tuple(map(_request, found))


def count_requests(connection: Connection, scope: Scope, wanted: RequestFilter, now: int) -> int:
    return _count_requests(connection, _REQUEST.namespace == scope.namespace, *_conditions(wanted, now))


def count_waiting(connection: Connection, now: int) -> int:
    """Of all tenants: a metric tells of none of them."""
    return _count_requests(connection, *_conditions(RequestFilter(status="pending"), now))


def _count_requests(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(approval_requests).where(*conditions)).scalar_one())


def _conditions(wanted: RequestFilter, now: int) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.asset_uid is not None:
        conditions.append(_REQUEST.asset_uid == wanted.asset_uid)
    is_over = and_(_REQUEST.status == "pending", _REQUEST.expires_at <= now)
    match wanted.status:
        case None:
            pass
        case "expired":
            conditions.append(or_(_REQUEST.status == "expired", is_over))
        case "pending":
            conditions += [_REQUEST.status == "pending", _REQUEST.expires_at > now]
        case status:
            conditions.append(_REQUEST.status == status)
    return conditions


def _request(row: Any) -> ApprovalRequest:
    return ApprovalRequest(
        id=row.id,
        asset=AssetRef(row.plugin, row.asset_kind, row.asset_name),
        action=row.action,
        action_params=json.loads(row.action_params),
        from_state=row.from_state,
        policy_id=row.policy_id,
        gate=Gate(row.required_count, tuple(json.loads(row.allowed_roles)), bool(row.deny_on_first)),
        status=row.status,
        requester=row.requester,
        reason=row.reason,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        resolution_note=row.resolution_note,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )


# --- decisions ---


def insert_decision(connection: Connection, scope: Scope, decision: Decision) -> None:
    """Write a decision about a request that this transaction has locked."""
    values = {
        "id": decision.id,
        "namespace": scope.namespace,
        "request_id": decision.request_id,
        "reviewer": decision.reviewer,
        "verdict": decision.verdict,
        "comment": decision.comment,
        "created_at": decision.created_at,
    }
    connection.execute(approval_decisions.insert().values(**fit(approval_decisions, values)))


def list_decisions(connection: Connection, scope: Scope, request_id: str) -> tuple[Decision, ...]:
    """Oldest first."""
    found = connection.execute(
        select(approval_decisions)
        .where(_DECISION.namespace == scope.namespace, _DECISION.request_id == request_id)
        .order_by(_DECISION.created_at, _DECISION.id)
    )
    return tuple(
        Decision(row.id, row.request_id, row.reviewer, row.verdict, row.comment, row.created_at) for row in found
    )


# --- versions ---


def insert_version(
    connection: Connection,
    scope: Scope,
    asset: AssetRef,
    version: Version,
    governance: Mapping[str, Any],
    document: bytes,
) -> None:
    """Keep a version with its snapshots: of the governance record, and of the entity as JSON."""
    origin = version.provenance
    values = {
        "id": version.id,
        "namespace": scope.namespace,
        "asset_uid": asset.uid,
        "version_id": version.version_id,
        "version_label": version.label,
        "created_at": version.created_at,
        "created_by": version.created_by,
        "content_digest": version.content_digest,
        "provenance_source_type": origin and origin.source_type,
        "provenance_source_uri": origin and origin.source_uri,
        "provenance_source_id": origin and origin.source_id,
        "provenance_revision_id": origin and origin.revision_id,
        "provenance_observed_at": origin and origin.observed_at,
        "governance_snapshot": json.dumps(governance, ensure_ascii=False),
        "asset_snapshot": document.decode(),
    }
    connection.execute(asset_versions.insert().values(**fit(asset_versions, values)))


def list_versions(
    connection: Connection, scope: Scope, asset: AssetRef, *, after: VersionCursor | None, limit: int
) -> tuple[Version, ...]:
    """Newest first."""
    # Without the snapshots, which may be long.
    columns = [column for column in _VERSION if not column.name.endswith("_snapshot")]
    query = select(*columns).where(*_versions_of(scope, asset))
    found = connection.execute(newest_first(query, _VERSION.created_at, _VERSION.id, after=after, limit=limit))
    return tuple(map(_version, found))


def count_versions(connection: Connection, scope: Scope, asset: AssetRef) -> int:
    query = select(func.count()).select_from(asset_versions).where(*_versions_of(scope, asset))
    return int(connection.execute(query).scalar_one())


def has_version(connection: Connection, scope: Scope, asset: AssetRef, version_id: str) -> bool:
    """Whether it is a version of this asset."""
    query = select(_VERSION.id).where(*_versions_of(scope, asset), _VERSION.version_id == version_id)
    return connection.execute(query).one_or_none() is not None


def _versions_of(scope: Scope, asset: AssetRef) -> tuple[ColumnElement[bool], ...]:
    return _VERSION.namespace == scope.namespace, _VERSION.asset_uid == asset.uid


def _version(row: Any) -> Version:
    has_origin = row.provenance_source_type is not None
    return Version(
        id=row.id,
        version_id=row.version_id,
        label=row.version_label,
        created_at=row.created_at,
        created_by=row.created_by,
        content_digest=row.content_digest,
        provenance=Provenance(
            row.provenance_source_type,
            row.provenance_source_id,
            row.provenance_source_uri,
            row.provenance_revision_id,
            row.provenance_observed_at,
        )
        if has_origin
        else None,
    )


# --- bindings ---


def list_bindings(connection: Connection, scope: Scope, asset: AssetRef) -> tuple[Binding, ...]:
    """In the order of the names of environments."""
    found = connection.execute(select(env_bindings).where(*_bindings_of(scope, asset)).order_by(_BINDING.environment))
    return tuple(map(_binding, found))


def read_binding(connection: Connection, scope: Scope, asset: AssetRef, environment: str) -> Binding | None:
    query = select(env_bindings).where(*_bindings_of(scope, asset), _BINDING.environment == environment)
    row = connection.execute(query).one_or_none()
    return None if row is None else _binding(row)


def write_binding(connection: Connection, scope: Scope, asset: AssetRef, binding: Binding) -> None:
    """Write the binding of an asset whose record this transaction has locked."""
    values = {
        "version_id": binding.version_id,
        "bound_at": binding.bound_at,
        "bound_by": binding.bound_by,
        "previous_version_id": binding.previous_version_id,
    }
    place = (*_bindings_of(scope, asset), _BINDING.environment == binding.environment)
    changed = connection.execute(update(env_bindings).where(*place).values(**fit(env_bindings, values)))
    if changed.rowcount == 0:
        row = {
            **values,
            "id": str(uuid.uuid4()),
            "namespace": scope.namespace,
            "plugin": asset.plugin,
            "asset_kind": asset.kind,
            "asset_name": asset.name,
            "asset_uid": asset.uid,
            "environment": binding.environment,
        }
        connection.execute(env_bindings.insert().values(**fit(env_bindings, row)))


def _bindings_of(scope: Scope, asset: AssetRef) -> tuple[ColumnElement[bool], ...]:
    return _BINDING.namespace == scope.namespace, _BINDING.asset_uid == asset.uid


def _binding(row: Any) -> Binding:
    return Binding(
        environment=row.environment,
        version_id=row.version_id,
        bound_at=row.bound_at,
        bound_by=row.bound_by,
        previous_version_id=row.previous_version_id,
    )
