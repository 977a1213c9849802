"""What governance tells the audit trail, in the transaction of each change (spec platform.md 5.2)."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from catalog_server.audit.event import Event, Outcome
from catalog_server.clock import clock_ms
from catalog_server.db.engine import Connection
from catalog_server.governance.asset import AssetRef
from catalog_server.scope import Scope

METADATA_CHANGED: Final = "governance.metadata.changed"
LIFECYCLE_CHANGED: Final = "governance.lifecycle.changed"
REQUESTED: Final = "governance.approval.requested"
DECIDED: Final = "governance.approval.decision"
DENIED: Final = "governance.approval.denied"
CANCELED: Final = "governance.approval.canceled"
EXECUTION_FAILED: Final = "governance.approval.execution_failed"
VERSION_CREATED: Final = "governance.version.created"
BOUND: Final = "governance.promotion.bound"
PROMOTED: Final = "governance.promotion.promoted"
ROLLED_BACK: Final = "governance.promotion.rollback"


_numbers: Final = count()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who changes something. `record` records the request itself, with its status, in the transaction of the change."""

    user: str
    roles: frozenset[str] | None
    """None: nobody knows them, so that no policy can ask for one."""
    correlation_id: str
    request_id: str
    record: Callable[[Connection, int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an event says beside who, when and about which asset."""

    type: str
    action: str
    outcome: Outcome = "success"
    reason: str | None = None
    old: Mapping[str, Any] | None = None
    new: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def event_of(scope: Scope, asset: AssetRef, caller: Caller, told: Told, actor: str | None = None) -> Event:
    """One domain event. It shares the ids of the request with the event of the request itself."""
    now = clock_ms()
    return Event(
        id=_next_id(now),
        namespace=scope.namespace,
        correlation_id=caller.correlation_id,
        event_type=told.type,
        actor=caller.user if actor is None else actor,
        created_at=now,
        outcome=told.outcome,
        action=told.action,
        request_id=caller.request_id,
        plugin=asset.plugin,
        resource_type="assets",
        resource_ids=(asset.uid,),
        action_verb=told.action,
        reason=told.reason,
        old_value=told.old,
        new_value=told.new,
        metadata=told.metadata,
        asset_uid=asset.uid,
    )


def _next_id(now: int) -> str:
    """A UUID (version 7). Events of one transaction have the same time: their ids tell which of them came first."""
    order = next(_numbers) & 0xFFF
    return str(uuid.UUID(int=(now << 80) | (7 << 76) | (order << 64) | (2 << 62) | secrets.randbits(62)))
