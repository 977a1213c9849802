"""Liveness and readiness (seed, Health Endpoints). Probes only look at what background checks have found.

A probe never waits for a database: the supervisor pings it, and a result that is too old counts as down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

STALE_AFTER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What the last ping found. `error` is a class of failure, never a host, a user or a DSN."""

    is_up: bool
    error: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a probe looks at, and how it is told as JSON."""

    is_passed: bool
    component: dict[str, str]


Checks = dict[str, Check]
_COMPONENTS = ("database", "initial_load", "plugins")
"""The checks that the body of /readyz names (seed)."""


class Health:
    """The facts that probes report. Written by background threads, read by the event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._database = DatabaseState(False, "not checked yet", self._started)
        self._plugins: Callable[[], dict[str, bool]] = dict
        self._is_leading: Callable[[], bool] | None = None
        self.is_stopping = threading.Event()
        self._is_loaded = threading.Event()

    def watch_plugins(self, plugins: Callable[[], dict[str, bool]]) -> None:
        """Where to ask for the health of each plugin."""
        self._plugins = plugins

    def watch_leading(self, is_leading: Callable[[], bool]) -> None:
        """Where to ask whether this replica leads. Never called where no leader is elected."""
        self._is_leading = is_leading

    @property
    def is_leading(self) -> bool | None:
        """None: no leader is elected."""
        return None if self._is_leading is None else self._is_leading()

    @property
    def is_database_up(self) -> bool:
        return self._database_component()["status"] == "up"

    def database_is(self, error: str | None) -> None:
        """Record a ping: None for a good one, else the class of failure."""
        self._database = DatabaseState(error is None, error, self._clock())

    def initial_load_done(self) -> None:
        """Migrations and the first load of configuration and sources are done."""
        self._is_loaded.set()

    @property
    def is_loaded(self) -> bool:
        return self._is_loaded.is_set()

    @property
    def plugins(self) -> dict[str, bool]:
        return self._plugins()

    def liveness(self) -> dict[str, Any]:
        """The body of /livez and /healthz."""
        return {"status": "alive", "uptime": uptime(self._clock() - self._started)}

    def live_checks(self) -> Checks:
        """What /livez looks at: that it answers at all."""
        return {"ping": Check(True, {"status": "ok"})}

    def ready_checks(self) -> Checks:
        """What /readyz looks at, by name. A process that stops fails first here, while it still serves."""
        database = self._database_component()
        is_stopping = self.is_stopping.is_set()
        return {
            **self.live_checks(),
            "database": Check(database["status"] == "up", database),
            "initial_load": Check(self.is_loaded, {"status": "complete" if self.is_loaded else "pending"}),
            "plugins": self._plugins_check(),
            "shutdown": Check(not is_stopping, {"status": "stopping" if is_stopping else "ok"}),
        }

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether the process is ready, and the body of /readyz."""
        checks = self.ready_checks()
        is_ready = all(check.is_passed for check in checks.values())
        components = {name: checks[name].component for name in _COMPONENTS}
        leads = self.is_leading
        if leads is not None:  # told, and no reason to take a replica out of service
            components["leader_election"] = {"status": "leader" if leads else "follower"}
        return is_ready, {"status": "ready" if is_ready else "not_ready", "components": components}

    def _plugins_check(self) -> Check:
        plugins = self.plugins
        count, healthy = len(plugins), sum(plugins.values())
        if healthy == count:
            return Check(True, {"status": "healthy", "details": f"all {count} plugins healthy"})
        return Check(False, {"status": "degraded", "details": f"{healthy} of {count} plugins healthy"})

    def _database_component(self) -> dict[str, str]:
        state = self._database
        if state.is_up and self._clock() - state.at > STALE_AFTER_SECONDS:
            return {"status": "down", "error": "no answer"}
        if state.is_up:
            return {"status": "up"}
        return {"status": "down", "error": state.error or "unknown"}


def uptime(seconds: float) -> str:
    """`0s`, `2m35s`, `26h3m0s`: rounded half up to whole seconds, no days (spec platform.md 2)."""
    whole = int(seconds + 0.5)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours}h{minutes}m{whole % 60}s"
    return f"{minutes}m{whole % 60}s" if minutes else f"{whole}s"
