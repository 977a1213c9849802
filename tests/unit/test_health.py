"""Health: what probes say, from facts that others recorded."""

from __future__ import annotations

from typing import Any

import pytest

from catalog_server.health import STALE_AFTER_SECONDS, Health, uptime


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ready(clock: Clock) -> Health:
    health = Health(clock=clock)
    health.watch_plugins(lambda: {"model": True, "mcp": True})
    health.database_is(None)
    health.initial_load_done()
    return health


def component(health: Health, name: str) -> dict[str, Any]:
    is_ready, body = health.readiness()
    assert body["status"] == ("ready" if is_ready else "not_ready")
    return dict(body["components"][name])


def test_process_when_all_is_well_then_is_ready(ready: Health) -> None:
    assert ready.readiness()[0]
    assert component(ready, "database") == {"status": "up"}
    assert component(ready, "initial_load") == {"status": "complete"}
    assert component(ready, "plugins") == {"status": "healthy", "details": "all 2 plugins healthy"}


def test_process_when_just_started_then_is_alive_and_not_ready(clock: Clock) -> None:
    health = Health(clock=clock)
    clock.now += 75
    assert health.liveness() == {"status": "alive", "uptime": "1m15s"}
    assert not health.readiness()[0]
    assert component(health, "database") == {"status": "down", "error": "not checked yet"}
    assert component(health, "initial_load") == {"status": "pending"}


def test_database_when_down_or_silent_for_too_long_then_is_down(ready: Health, clock: Clock) -> None:
    clock.now += STALE_AFTER_SECONDS
    assert component(ready, "database") == {"status": "up"}
    clock.now += 0.1
    assert component(ready, "database") == {"status": "down", "error": "no answer"}
    ready.database_is("connection refused")
    assert component(ready, "database") == {"status": "down", "error": "connection refused"}
    ready.database_is(None)
    assert ready.readiness()[0]


def test_plugins_when_one_is_ill_then_are_degraded(ready: Health) -> None:
    ready.watch_plugins(lambda: {"model": True, "mcp": False})
    assert component(ready, "plugins") == {"status": "degraded", "details": "1 of 2 plugins healthy"}
    assert not ready.readiness()[0]


def test_process_when_stopping_then_is_alive_and_not_ready(ready: Health) -> None:
    ready.is_stopping.set()
    assert not ready.readiness()[0]
    assert ready.liveness()["status"] == "alive"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (0.5, "1s"),
        (59.6, "1m0s"),
        (155, "2m35s"),
        (3600, "1h0m0s"),
        (26 * 3600 + 180, "26h3m0s"),
    ],
)
def test_uptime_when_shown_then_is_rounded_and_has_no_days(seconds: float, shown: str) -> None:
    assert uptime(seconds) == shown
