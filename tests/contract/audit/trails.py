"""Audit events and trails for tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from catalog_server.audit.event import Event
from catalog_server.audit.spool import Spool
from catalog_server.audit.trail import Trail
from catalog_server.db.engine import Engine
from catalog_server.scope import Scope
from catalog_server.settings import Audit

TEAM_A, TEAM_B = Scope("team-a"), Scope("team-b")
NOW = 1_900_000_000_000
ON = Audit(enabled=True, retention_days=90, log_denied=True)


def build_trail(engine: Engine, spool: Spool, settings: Audit = ON, clock: Callable[[], int] = lambda: NOW) -> Trail:
    return Trail(engine, spool, settings, clock=clock)


def event(**given: Any) -> Event:
    return Event(
        **{
            "id": str(uuid.uuid4()),
            "namespace": "team-a",
            "correlation_id": "c-1",
            "event_type": "management",
            "actor": "ann",
            "created_at": NOW,
            "outcome": "success",
            "action": "apply-source",
            "action_verb": "apply-source",
            **given,
        }
    )
