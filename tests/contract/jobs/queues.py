"""Queues for tests: a clock that stands still until told, chance that always falls the same way."""

from __future__ import annotations

import time
from collections.abc import Callable

from catalog_server.db.dsn import parse_dsn
from catalog_server.db.engine import Engine, open_engine
from catalog_server.jobs.limits import JobLimits
from catalog_server.jobs.queue import Queue
from catalog_server.scope import Scope

TEAM_A, TEAM_B = Scope("team-a"), Scope("team-b")
TIMEOUT_MS = 600_000
LIMITS = JobLimits(
    max_attempts=3,
    retry_base_ms=5_000,
    claim_timeout_ms=TIMEOUT_MS,
    run_limit_ms=6 * TIMEOUT_MS,
    retention_ms=7 * 86_400_000,
)
START_MS = 1_900_000_000_000
PATIENCE_SECONDS = 20.0


class ManualClock:
    """Milliseconds that pass when a test says so."""

    def __init__(self, now: int = START_MS) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds


def open_test_engine(dsn: str) -> Engine:
    return open_engine(parse_dsn(dsn, None))


def build_queue(engine: Engine, clock: Callable[[], int], limits: JobLimits = LIMITS) -> Queue:
    return Queue(engine, limits, clock=clock, steady=lambda: clock() / 1000, chance=lambda: 0.5)


def wait_until(condition: Callable[[], object], what: str) -> None:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends_at, f"waited in vain: {what}"
        time.sleep(0.005)
