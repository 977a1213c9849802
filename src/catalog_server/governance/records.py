"""Reads and changes governance records. What a section may hold is in record.py, the states are in lifecycle.py."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog_server.audit.trail import Trail
from catalog_server.clock import clock_ms, format_ms
from catalog_server.db.dialects import read_committed
from catalog_server.db.engine import Connection, Engine, reading
from catalog_server.db.transactions import write
from catalog_server.governance import events, sql
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.events import Caller, Told, event_of
from catalog_server.governance.lifecycle import INITIAL, State
from catalog_server.governance.record import DEFAULT_RISK, RISK_COLUMN, Columns, read_patch, sections_of
from catalog_server.scope import Scope

SET_STATE: Final = "lifecycle.setState"


@dataclass(frozen=True, slots=True)
class StateChange:
    """A step of a lifecycle, and in whose name it is taken."""

    before: State
    after: State
    reason: str | None
    user: str


class Records:
    """The governance records of all assets, whether a catalog has them at present or not."""

    def __init__(self, engine: Engine, trail: Trail, *, clock: Callable[[], int] = clock_ms) -> None:
        self._engine = engine
        self._writing_engine = read_committed(engine)
        self._trail = trail
        self._clock = clock

    def get(self, scope: Scope, asset: AssetRef, user: str) -> dict[str, Any]:
        """The record as clients see it. Where there is none, the one that a change by `user` would begin with.

        Raises:
            Unavailable: the database is down.
        """
        return record_document(asset, self.read(scope, asset, user))

    def read(self, scope: Scope, asset: AssetRef, user: str) -> Columns:
        """The columns of a record, or those that it would begin with. Nothing is written."""
        with reading(self._engine) as connection:
            # What was never written has not been changed at any time.
            return sql.read_record(connection, scope, asset) or {**self._initial(user), "lifecycle_changed_at": None}

    def patch(self, scope: Scope, asset: AssetRef, body: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Replace the sections that `body` gives, and return the record.

        Raises:
            Invalid: a section, field or value is wrong; nothing changed.
            Unavailable: the database is down; nothing changed.
        """
        given = read_patch(body)

        def change(connection: Connection) -> Columns:
            before = self.lock(connection, scope, asset, caller.user)
            after = {**before, **given}
            caller.record(connection, 200)
            old, new = sections_of(before), sections_of(after)
            if after != before:
                sql.update_record(connection, scope, asset, {**given, "updated_at": self._clock()})
                told = Told(type=events.METADATA_CHANGED, action="patch", old=old, new=new)
                self._trail.add(connection, event_of(scope, asset, caller, told))
            return after

        return record_document(asset, write(self._writing_engine, change))

    # --- within a transaction ---

    def lock(self, connection: Connection, scope: Scope, asset: AssetRef, user: str) -> Columns:
        """The columns of a record, kept so until the transaction ends. Whoever changes anything of an asset does this
        first, so that two of them take turns and never wait for each other."""
        return sql.lock_record(connection, scope, asset, self._initial(user))

    def set_state(
        self, connection: Connection, scope: Scope, asset: AssetRef, change: StateChange, caller: Caller, **about: Any
    ) -> None:
        """Write a state, which may follow the one before, to a locked record. `about` goes into the event."""
        now = self._clock()
        values = {
            "lifecycle_state": change.after,
            "lifecycle_reason": change.reason,
            "lifecycle_changed_by": change.user,
            "lifecycle_changed_at": now,
            "updated_at": now,
        }
        sql.update_record(connection, scope, asset, values)
        told = Told(
            type=events.LIFECYCLE_CHANGED,
            action=SET_STATE,
            reason=change.reason,
            old={"lifecycleState": change.before},
            new={"lifecycleState": change.after},
            metadata=about,
        )
        self._trail.add(connection, event_of(scope, asset, caller, told, actor=change.user))

    def _initial(self, user: str) -> Columns:
        now = self._clock()
        return {
            "id": str(uuid.uuid4()),
            RISK_COLUMN: DEFAULT_RISK,
            "lifecycle_state": INITIAL,
            "lifecycle_changed_by": user,
            "lifecycle_changed_at": now,
            "created_at": now,
            "updated_at": now,
        }


def record_document(asset: AssetRef, columns: Mapping[str, Any]) -> dict[str, Any]:
    """GovernanceRecord: the sections that are filled, risk and lifecycle always."""
    changed_at = columns["lifecycle_changed_at"]
    lifecycle = {
        "state": columns["lifecycle_state"],
        "reason": columns.get("lifecycle_reason"),
        "changedBy": columns["lifecycle_changed_by"],
        "changedAt": None if changed_at is None else format_ms(changed_at),
    }
    filled = {name: value for name, value in lifecycle.items() if value}
    return {"assetRef": asset.document, "governance": {**sections_of(columns), "lifecycle": filled}}
