"""The document of an audit event."""

from __future__ import annotations

from catalog_server.audit.event import Event, event_document


def test_what_is_empty_is_left_out_and_times_are_utc() -> None:
    """createdAt is RFC 3339 in seconds, with Z (spec platform.md 5.4)."""
    event = Event(
        id="i",
        namespace="n",
        correlation_id="c",
        event_type="job",
        actor="ann",
        created_at=1_900_000_000_999,
        outcome="success",
        action="refresh",
        old_value={},
    )
    assert event_document(event) == {
        "id": "i",
        "namespace": "n",
        "correlationId": "c",
        "eventType": "job",
        "actor": "ann",
        "action": "refresh",
        "outcome": "success",
        "oldValue": {},
        "metadata": {},
        "createdAt": "2030-03-17T17:46:40Z",
    }
