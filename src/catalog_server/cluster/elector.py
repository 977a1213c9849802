"""Campaigns for the lease, keeps it while it leads, gives it back at the end (seed, Leader Election; platform.md 8.3).

A lease counts as run out when it has not changed for its duration by our own steady clock since we first saw it so:
what time its holder thinks it is, or we do, does not matter. The holder counts from before it asked for the renewal, so
that it knows of the end of its lease before anybody else does. Lost for whatever reason, it campaigns again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from catalog_server.clock import steady_seconds
from catalog_server.cluster.lease import Lease, LeaseState
from catalog_server.cluster.term import Term
from catalog_server.errors import CatalogError, Conflict, Unavailable

log = structlog.get_logger(__name__)


class Leading(Protocol):
    """The work of the leader. Both are called by the elector's thread."""

    def begin(self, term: Term) -> None:
        """Start it, and return at once."""

    def end(self) -> None:
        """End it, and return when it has ended."""


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds; duration > renew deadline > retry period."""

    duration: int
    """Of a lease that nobody renews."""
    renew_deadline: int
    """After that long without a renewal the leader stops leading, while nobody else can have begun."""
    retry: float
    """Between renewals, and between attempts to take the lease."""


class Elector:
    """One replica's part in the election. `identity` must be one of a kind: that of a process, not of a pod."""

    def __init__(  # noqa: PLR0913 - made in one place, by name
        self,
        lease: Lease,
        leading: Leading,
        *,
        name: str,
        identity: str,
        timing: Timing,
        newest_term: Callable[[], int],
        clock: Callable[[], float] = steady_seconds,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._lease = lease
        self._leading = leading
        self._name = name
        self._identity = identity
        self._timing = timing
        self._newest_term = newest_term
        self._clock = clock
        self._chance = chance
        self._seen: LeaseState | None = None
        self._seen_at = 0.0
        self._problem: str | None = None

    def campaign_until(self, stop: threading.Event) -> None:
        """Take the lease whenever it is to be had, and lead while it lasts."""
        while not stop.is_set():
            held = self._try_to_take()
            if held is not None:
                self._lead(held, stop)
            # Not all at the same moment, or they would only get into each other's way.
            stop.wait(self._timing.retry * (1 + 0.2 * self._chance()))

    # --- taking it ---

    def _try_to_take(self) -> _Held | None:
        try:
            held = self._take()
        except Conflict:  # somebody was quicker
            held = None
        except Unavailable as error:
            if error.message != self._problem:
                log.warning("cannot campaign to lead", lease=self._name, reason=error.message)
            self._problem = error.message
            return None
        self._problem = None
        return held

    def _take(self) -> _Held | None:
        started = self._clock()
        found = self._lease.read()
        if found is not None and self._is_taken(found):
            return None
        # Where the lease was deleted it counts from the beginning, but terms must not.
        term = max(found.term if found is not None else 0, self._newest_term()) + 1
        state = self._lease.write(self._identity, term, self._timing.duration, over=found)
        return _Held(state, started)

    def _is_taken(self, found: LeaseState) -> bool:
        now = self._clock()
        if self._seen is None or found.version != self._seen.version:
            self._seen, self._seen_at = found, now
        if not found.holder:
            return False
        return now < self._seen_at + (found.duration_seconds or self._timing.duration)

    # --- having it ---

    def _lead(self, held: _Held, stop: threading.Event) -> None:
        term = Term(
            name=self._name,
            number=held.state.term,
            holder=self._identity,
            is_over=lambda: self._clock() >= held.renewed_at + self._timing.duration,
            idle_seconds=self._timing.duration,
        )
        facts = {"lease": self._name, "identity": self._identity, "term": term.number}
        log.info("leads", **facts)
        self._leading.begin(term)
        try:
            reason = self._renew_until_lost(held, stop)
            log.log(20 if stop.is_set() else 30, "leads no more", reason=reason, **facts)
        finally:
            self._leading.end()
        if stop.is_set():
            self._give_back(held)

    def _renew_until_lost(self, held: _Held, stop: threading.Event) -> str:
        """Returns why it leads no more."""
        while not stop.wait(self._timing.retry):
            started = self._clock()
            try:
                held.state = self._renewed(held)
                held.renewed_at = started
            except Conflict:
                return "another replica has taken the lease"
            except Unavailable as error:
                log.warning("cannot renew the lease", lease=self._name, reason=error.message)
                if self._clock() >= held.renewed_at + self._timing.renew_deadline:
                    return f"not renewed for {self._timing.renew_deadline} s: {error.message}"
        return "the server stops"

    def _renewed(self, held: _Held) -> LeaseState:
        try:
            return self._write(held, self._identity, self._timing.duration)
        except Conflict:  # others may write to it as well: labels, for one; or an answer got lost
            found = self._lease.read()
            if found is None or (found.holder, found.term) != (self._identity, held.state.term):
                raise
            held.state = found
            return self._write(held, self._identity, self._timing.duration)

    def _give_back(self, held: _Held) -> None:
        """So that nobody has to wait until it runs out (ReleaseOnCancel)."""
        try:
            self._write(held, "", 1)
            log.info("lease given back", lease=self._name)
        except CatalogError as error:
            log.warning("cannot give the lease back, it will run out", lease=self._name, reason=error.message)

    def _write(self, held: _Held, holder: str, duration_seconds: int) -> LeaseState:
        return self._lease.write(holder, held.state.term, duration_seconds, over=held.state)


@dataclass(slots=True)
class _Held:
    """A lease that is ours."""

    state: LeaseState
    renewed_at: float
    """When we began to ask for it, by our clock."""
