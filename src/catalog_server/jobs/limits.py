"""How long jobs may take and how often they are tried."""

from __future__ import annotations

from dataclasses import dataclass

from catalog_server.settings import Jobs

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS
_RUN_LIMIT_FACTOR = 6  # a healthy worker may take that many claim timeouts for one attempt: an hour by default


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """How long and how often. All times in milliseconds."""

    max_attempts: int
    """Of one job, the first one included."""
    retry_base_ms: int
    claim_timeout_ms: int
    """A running job without a heartbeat for that long is stuck."""
    run_limit_ms: int
    """The deadline of one attempt, however alive its worker is."""
    retention_ms: int

    @classmethod
    def of(cls, settings: Jobs) -> JobLimits:
        """What the CATALOG_JOB_* variables say. An attempt there must be, so 0 retries count as 1."""
        claim_timeout_ms = settings.claim_timeout_minutes * _MINUTE_MS
        return cls(
            max_attempts=max(settings.max_retries, 1),
            retry_base_ms=settings.poll_interval_seconds * 1000,
            claim_timeout_ms=claim_timeout_ms,
            run_limit_ms=claim_timeout_ms * _RUN_LIMIT_FACTOR,
            retention_ms=settings.retention_days * _DAY_MS,
        )
