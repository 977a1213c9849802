"""How a live job changes: from what it is to the columns to write. Pure; the caller holds the row's lock.

One rule for all of them: a job that was asked to cancel ends as canceled unless it has succeeded.
"""

from __future__ import annotations

from typing import Any, Final

from catalog_server.jobs.job import Job, JobResult, JobState

CANCELED_BY_USER = "Canceled by user"
CANCEL_REQUESTED = "Cancel requested by user"
Changes = dict[str, Any]
AT_ONCE: Final = 0
"""When a job is due that need not wait. No time of day: the clocks of replicas differ, and are set."""


def completed(job: Job, result: JobResult, now: int) -> Changes:
    return {**_finished(job, JobState.SUCCEEDED, now), "message": result.summary, **_counts(result)}


def failed(job: Job, reason: str, now: int, *, retry_at: int | None) -> Changes:
    """After an attempt that went wrong. `retry_at` None: trying again is of no use."""
    if job.cancel_requested:
        return {**canceled(job, now), "last_error": reason}
    if retry_at is None:
        return {**_finished(job, JobState.FAILED, now), "message": f"Refresh failed: {reason}", "last_error": reason}
    if job.attempt_count >= job.max_attempts:
        spent = {"message": f"Max retries exceeded: {reason}", "last_error": reason}
        return {**_finished(job, JobState.FAILED, now), **spent}
    return {**_requeued(retry_at), "last_error": reason}


def released(job: Job, now: int) -> Changes:
    """Given back by a worker that could not go on for reasons of its own: the attempt does not count."""
    if job.cancel_requested:
        return canceled(job, now)
    return {**_requeued(AT_ONCE), "attempt_count": max(job.attempt_count - 1, 0)}


def canceled(job: Job, now: int) -> Changes:
    return {**_finished(job, JobState.CANCELED, now), "message": CANCELED_BY_USER}


def with_counts(changes: Changes, result: JobResult | None) -> Changes:
    """A failed refresh may have done something before."""
    return changes if result is None else {**changes, **_counts(result)}


def _counts(result: JobResult) -> Changes:
    return {"entities_loaded": result.entities_loaded, "entities_removed": result.entities_removed}


def _finished(job: Job, state: JobState, now: int) -> Changes:
    duration = None if job.started_at is None else max(now - job.started_at, 0)
    # How far it was is of no interest any more, and would read as if it stood there still.
    return {"state": state, "active_key": None, "finished_at": now, "duration_ms": duration, "progress": None}


def _requeued(due_at: int) -> Changes:
    return {
        "state": JobState.QUEUED,
        "next_attempt_at": due_at,
        "worker": None,
        "term": None,
        "started_at": None,
        "heartbeat_at": None,
        "deadline_at": None,
        "progress": None,
    }
