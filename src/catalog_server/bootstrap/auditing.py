"""Ends of jobs as audit events: what the queue, which knows no audit, tells when a job has ended."""

from __future__ import annotations

import uuid
from typing import Final

from catalog_server.audit.event import JOB, Event, Outcome
from catalog_server.catalog.refreshes import SCHEDULE
from catalog_server.jobs.job import ALL_SOURCES, Job, JobState

SYSTEM: Final = "system"
"""The actor where nobody has asked."""
_OUTCOMES: Final[dict[JobState, Outcome]] = {
    JobState.SUCCEEDED: "success",
    JobState.FAILED: "failure",
    JobState.CANCELED: "canceled",
}


def job_event(job: Job) -> Event:
    """How a job ended. Its resources are the job and the source (`_all`: all of the plugin)."""
    counts = {
        "entitiesLoaded": job.entities_loaded,
        "entitiesRemoved": job.entities_removed,
        "durationMs": job.duration_ms,
    }
    return Event(
        id=str(uuid.uuid4()),
        namespace=job.namespace,
        correlation_id=job.correlation_id or job.id,
        event_type=JOB,
        actor=SYSTEM if job.requested_by == SCHEDULE else job.requested_by,
        created_at=job.finished_at or job.requested_at,
        outcome=_OUTCOMES[job.state],
        action="refresh",
        plugin=job.plugin,
        resource_type="jobs",
        resource_ids=(job.id, job.source_id or ALL_SOURCES),
        reason=None if job.state is JobState.SUCCEEDED else job.last_error or job.message,
        metadata={
            "jobId": job.id,
            "state": str(job.state),
            "attemptCount": job.attempt_count,
            **{name: count for name, count in counts.items() if count is not None},
        },
    )
