"""The state of a source: what the last refresh did, and what is wrong with it (spec http-api.md 1.5.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from catalog_server.catalog.records import Problem

State = Literal["available", "partially-available", "error", "disabled", "loading"]
SERVING: Final = ("available", "partially-available")
"""States in which the last refresh brought content."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One row of catalog_refresh_status, its key apart. Times are ms since the epoch."""

    state: State
    fingerprint: str = ""
    entity_count: int = 0
    last_refresh_time: int | None = None
    last_refresh_status: str | None = None
    last_refresh_summary: str | None = None
    last_error: str | None = None
    error_code: str | None = None
    definition: str = ""
    """Digest of the configuration that the last refresh followed (sources.merge.definition_digest)."""
    commit_sha: str | None = None
    problems: tuple[Problem, ...] = ()
    entities_loaded: int = 0
    entities_removed: int = 0
    duration_ms: int = 0
    updated_at: int = 0

    def after(self, held: int, removed: int) -> SourceStatus:
        """This status with the counts that a write brought to light."""
        summary = f"Loaded {held} entities" + (f", removed {removed}" if removed else "")
        return replace(
            self,
            entity_count=held,
            entities_loaded=held,
            entities_removed=removed,
            last_refresh_summary=summary if self.state in SERVING else self.last_refresh_summary,
        )
