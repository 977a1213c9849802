"""Statements on audit events. What serves the API takes the scope it works in.

Returns frozen values, never rows that still talk to the database.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, delete, func, or_, select

from catalog_server.audit.event import Cursor, Event, EventFilter
from catalog_server.db.dialects import holds_text, insert_ignore, upsert
from catalog_server.db.fitting import fit
from catalog_server.db.paging import newest_first
from catalog_server.db.tables import audit_events
from catalog_server.scope import Scope

_C = audit_events.c
_JSON = ("resource_ids", "old_value", "new_value", "metadata")


def _row(event: Event) -> dict[str, Any]:
    values = {name: getattr(event, name) for name in _C.keys()}  # noqa: SIM118 - not a dict
    for name in _JSON:
        if values[name] is not None:
            values[name] = json.dumps(values[name], ensure_ascii=False)
    return fit(audit_events, values)


def _event(row: Any) -> Event:
    values = dict(row._mapping)
    for name in _JSON:
        if values[name] is not None:
            values[name] = msgspec.json.decode(values[name])
    return Event(**{**values, "resource_ids": tuple(values["resource_ids"])})


def write_event(connection: Connection, event: Event) -> None:
    """Insert an event, or put it in the place of what is known of it so far."""
    connection.execute(upsert(connection, audit_events, _row(event)))


def write_missing(connection: Connection, event: Event) -> None:
    """Insert an event unless it is known already."""
    connection.execute(insert_ignore(connection, audit_events, [_row(event)]))


def delete_before(connection: Connection, before: int, limit: int) -> int:
    """Delete up to `limit` events, of any namespace, that are older than a time; return how many there were."""
    # MySQL takes no LIMIT in a subquery, so the ids travel.
    ids = list(connection.execute(select(_C.id).where(_C.created_at < before).limit(limit)).scalars())
    if ids:
        connection.execute(delete(audit_events).where(_C.id.in_(ids)))
    return len(ids)


# --- for the API: within one scope -----------------------------------------------------------------------------------


def read_event(connection: Connection, scope: Scope, event_id: str) -> Event | None:
    row = connection.execute(_own(scope, _C.id == event_id)).one_or_none()
    return None if row is None else _event(row)


def list_events(
    connection: Connection, scope: Scope, wanted: EventFilter, *, after: Cursor | None, limit: int
) -> tuple[Event, ...]:
    """Newest first."""
    query = _own(scope, *_conditions(connection, wanted))
    found = connection.execute(newest_first(query, _C.created_at, _C.id, after=after, limit=limit))
    return tuple(map(_event, found))


def count_events(connection: Connection, scope: Scope, wanted: EventFilter) -> int:
    conditions = (_C.namespace == scope.namespace, *_conditions(connection, wanted))
    return int(connection.execute(select(func.count()).select_from(audit_events).where(*conditions)).scalar_one())


def _own(scope: Scope, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(audit_events).where(_C.namespace == scope.namespace, *conditions)


def _conditions(connection: Connection, wanted: EventFilter) -> list[ColumnElement[bool]]:
    equal = {
        _C.actor: wanted.actor,
        _C.plugin: wanted.plugin,
        _C.event_type: wanted.event_type,
        _C.outcome: wanted.outcome,
        _C.correlation_id: wanted.correlation_id,
        _C.asset_uid: wanted.asset_uid,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if wanted.action is not None:
        conditions.append(or_(_C.action_verb == wanted.action, _C.action == wanted.action))
    if wanted.resource_id is not None:
        # A whole element: inside of one, quotes stand behind a backslash.
        conditions.append(holds_text(connection, _C.resource_ids, json.dumps(wanted.resource_id, ensure_ascii=False)))
    if wanted.since is not None:
        conditions.append(_C.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(_C.created_at < wanted.until)
    return conditions
