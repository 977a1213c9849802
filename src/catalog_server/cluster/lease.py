"""A lease: the place where replicas agree on who leads. Kept by Kubernetes or by the database.

Whoever keeps it lets one of two that change it at once win. It needs no clock: when a lease has run out is told by each
replica's own one, by how long it has seen no change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """What a lease says. `version` is its keeper's, and another one after each change."""

    holder: str
    """Empty: nobody."""
    term: int
    """Counts up each time that the lease is taken."""
    duration_seconds: int
    version: str


class Lease(Protocol):
    """One lease, by name. All methods raise Unavailable when its keeper does not answer, or refuses."""

    def read(self) -> LeaseState | None:
        """None: there is none yet."""

    def write(self, holder: str, term: int, duration_seconds: int, *, over: LeaseState | None) -> LeaseState:
        """Put this in place of what was read (None: nothing). Raises Conflict when something else is there by now."""
