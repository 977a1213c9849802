"""A refresh job as a value: its states, what a run gives back, and the document that clients see. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from catalog_server.clock import format_ms
from catalog_server.errors import CatalogError
from catalog_server.scope import Scope

ALL_SOURCES = "_all"
"""Stands for a refresh of every source of the plugin, where a source id is expected."""


class JobState(StrEnum):
    """queued → running → succeeded | failed | canceled; queued → canceled; running → queued (retry, stuck, release)."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of the queue. Times are milliseconds since the epoch, UTC.

    A job that `Queue.claim` gave out is also the proof of that claim: worker and attempt_count fence off all others.
    """

    id: str
    namespace: str
    plugin: str
    source_id: str | None
    """None: all sources of the plugin."""
    requested_by: str
    requested_at: int
    state: JobState
    progress: str | None
    message: str | None
    started_at: int | None
    finished_at: int | None
    attempt_count: int
    max_attempts: int
    last_error: str | None
    idempotency_key: str
    active_key: str | None
    """The idempotency key while the job is queued or running, None afterwards."""
    entities_loaded: int | None
    entities_removed: int | None
    duration_ms: int | None
    worker: str | None
    heartbeat_at: int | None
    next_attempt_at: int
    deadline_at: int | None
    cancel_requested: bool
    confirm_removal: bool
    """The caller has confirmed that the refresh may remove what it would otherwise refuse to remove."""
    correlation_id: str | None = None
    """Of the request that asked for it."""
    term: int | None = None
    """Of the leader whose worker has claimed it; None where no leader is elected."""

    @property
    def scope(self) -> Scope:
        """Whose data the job may touch: what runs it must work in this scope."""
        return Scope(self.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What a run that came to its end has done. With an `error` the job has failed all the same."""

    entities_loaded: int = 0
    entities_removed: int = 0
    error: CatalogError | None = None

    @property
    def summary(self) -> str:
        removed = f", removed {self.entities_removed}" if self.entities_removed else ""
        return f"Loaded {self.entities_loaded} entities{removed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs of a scope to list; None does not narrow. `source_id` may be ALL_SOURCES."""

    plugin: str | None = None
    source_id: str | None = None
    state: JobState | None = None
    requested_by: str | None = None


class Cursor(NamedTuple):
    """The last job that a page showed; the edge wraps it into an opaque token."""

    requested_at: int
    job_id: str


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, newest first. `next` is None on the last page; `total_size` counts all pages."""

    jobs: tuple[Job, ...]
    next: Cursor | None
    total_size: int


def idempotency_key(scope: Scope, plugin: str, source_id: str | None) -> str:
    """What may be live once only. Neither namespaces nor plugin names hold a colon, so no two refreshes share a key."""
    return f"{scope.namespace}:{plugin}:{source_id or ALL_SOURCES}"


def job_document(job: Job) -> dict[str, Any]:
    """The job as JSON (spec platform.md 6.8): what is empty is left out, the rest has a fixed order."""
    always = {
        "id": job.id,
        "namespace": job.namespace,
        "plugin": job.plugin,
        "requestedBy": job.requested_by,
        "requestedAt": _time(job.requested_at),
        "state": str(job.state),
        "attemptCount": job.attempt_count,
    }
    sometimes = {
        "sourceId": job.source_id,
        "progress": job.progress,
        "message": job.message,
        "startedAt": _time(job.started_at),
        "finishedAt": _time(job.finished_at),
        "lastError": job.last_error,
        "entitiesLoaded": job.entities_loaded,
        "entitiesRemoved": job.entities_removed,
        "durationMs": job.duration_ms,
    }
    return always | {name: value for name, value in sometimes.items() if value}


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else format_ms(milliseconds)
