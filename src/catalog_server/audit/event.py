"""An audit event as a value, and the document that clients see. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from catalog_server.clock import format_ms

Outcome = Literal["success", "denied", "failure", "canceled", "pending"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("success", "denied", "failure", "canceled", "pending")
MANAGEMENT: Final = "management"
"""The type of an event that a request caused."""
JOB: Final = "job"
"""The type of an event that tells how a job ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What was done, by whom, to what, and what came of it. `created_at` is milliseconds since the epoch, UTC."""

    id: str
    """A UUID. Whoever writes an event twice writes it once."""
    namespace: str
    correlation_id: str
    """What the client gives to everything that belongs together; else the request's id. Printable ASCII."""
    event_type: str
    actor: str
    created_at: int
    outcome: Outcome
    action: str
    request_id: str | None = None
    plugin: str | None = None
    resource_type: str | None = None
    resource_ids: tuple[str, ...] = ()
    action_verb: str | None = None
    """Of a request: what its route does."""
    status_code: int | None = None
    reason: str | None = None
    """Why it failed or was denied, in words that the client was told too."""
    old_value: Mapping[str, Any] | None = None
    new_value: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    asset_uid: str | None = None
    """Of an event of governance: `plugin:kind:name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events of a scope to list; None does not narrow."""

    actor: str | None = None
    plugin: str | None = None
    action: str | None = None
    """Of the verb of a request, or of the action of any other event."""
    event_type: str | None = None
    outcome: str | None = None
    correlation_id: str | None = None
    resource_id: str | None = None
    """One of the event's resource ids."""
    since: int | None = None
    """Milliseconds since the epoch; events of this moment are in."""
    until: int | None = None
    """Milliseconds since the epoch; events of this moment are out."""
    asset_uid: str | None = None
    """The history of one asset."""


class Cursor(NamedTuple):
    """The last event that a page showed; the edge wraps it into an opaque token."""

    created_at: int
    event_id: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, newest first. `next` is None on the last page; `total_size` counts all pages, None: not counted."""

    events: tuple[Event, ...]
    next: Cursor | None
    total_size: int | None


def event_document(event: Event) -> dict[str, Any]:
    """The event as JSON (spec platform.md 5.4): what is empty is left out, the rest has a fixed order."""
    document = {
        "id": event.id,
        "namespace": event.namespace,
        "correlationId": event.correlation_id,
        "eventType": event.event_type,
        "actor": event.actor,
        "requestId": event.request_id,
        "plugin": event.plugin,
        "resourceType": event.resource_type,
        "resourceIds": list(event.resource_ids),
        "assetUid": event.asset_uid,
        "action": event.action,
        "actionVerb": event.action_verb,
        "outcome": event.outcome,
        "statusCode": event.status_code,
        "reason": event.reason,
        "oldValue": event.old_value,
        "newValue": event.new_value,
        "metadata": dict(event.metadata),
        "createdAt": format_ms(event.created_at),
    }
    return {name: value for name, value in document.items() if value not in (None, "", [])}
