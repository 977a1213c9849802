"""What is told of a job in the transaction that changes it: of asking, of canceling, and of each end, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from catalog_server.db.engine import Connection, Engine
from catalog_server.errors import Invalid, Unavailable
from catalog_server.jobs.job import Job, JobResult, JobState
from catalog_server.jobs.queue import Origin, Queue
from tests.contract.jobs.queues import LIMITS, TEAM_A, TIMEOUT_MS, ManualClock


@pytest.fixture
def ended() -> list[Job]:
    return []


@pytest.fixture
def telling(engine: Engine, clock: ManualClock, ended: list[Job]) -> Queue:
    """A queue that tells `ended` of each job that ends."""
    return Queue(engine, LIMITS, clock=clock, chance=lambda: 0.5, ended=lambda _, job: ended.append(job))


def claimed(queue: Queue) -> Job:
    queue.enqueue(TEAM_A, "model", "models", "ann")
    job = queue.claim("worker")
    assert job is not None
    return job


def test_who_asks_is_recorded_with_the_job_also_where_it_lives_already(queue: Queue) -> None:
    told: list[Job] = []
    origin = Origin("c-1", lambda _, job: told.append(job))
    first, _ = queue.enqueue(TEAM_A, "model", "models", "ann", origin=origin)
    again, _ = queue.enqueue(TEAM_A, "model", "models", "bob", origin=Origin("c-2", origin.record))
    assert told == [first, again]
    assert first.id == again.id
    assert again.correlation_id == "c-1"


def test_a_record_that_fails_takes_the_job_with_it(queue: Queue) -> None:
    """Neither is there without the other."""

    def fail(connection: Connection, job: Job) -> None:
        raise Unavailable("no room")

    with pytest.raises(Unavailable):
        queue.enqueue(TEAM_A, "model", "models", "ann", origin=Origin(None, fail))
    assert queue.find_live(TEAM_A, "model", "models") is None
    job, _ = queue.enqueue(TEAM_A, "model", "models", "ann")
    with pytest.raises(Unavailable):
        queue.cancel(TEAM_A, job.id, fail)
    assert queue.get(TEAM_A, job.id).state is JobState.QUEUED


ENDS: dict[JobState, Callable[[Queue, Job], object]] = {
    JobState.SUCCEEDED: lambda queue, job: queue.complete(job, JobResult(entities_loaded=3)),
    JobState.FAILED: lambda queue, job: queue.fail(job, Invalid("no")),
}


@pytest.mark.parametrize("state", ENDS)
def test_an_end_is_told_once_as_it_is_stored(telling: Queue, ended: list[Job], state: JobState) -> None:
    job = claimed(telling)
    assert ended == []
    ENDS[state](telling, job)
    ENDS[state](telling, job)  # the claim is lost by now
    assert ended == [telling.get(TEAM_A, job.id)]
    assert ended[0].state is state


def test_what_is_not_the_end_is_not_told(telling: Queue, ended: list[Job]) -> None:
    job = claimed(telling)
    telling.fail(job, Unavailable("later"))
    telling.cancel(TEAM_A, job.id)
    assert [one.state for one in ended] == [JobState.CANCELED]


def test_a_running_job_that_is_canceled_ends_with_its_worker(telling: Queue, ended: list[Job]) -> None:
    job = claimed(telling)
    telling.cancel(TEAM_A, job.id)
    assert ended == []
    telling.release(job)
    assert [one.state for one in ended] == [JobState.CANCELED]


def test_a_stuck_job_in_its_last_attempt_is_told(telling: Queue, clock: ManualClock, ended: list[Job]) -> None:
    claimed(telling)
    for _ in range(LIMITS.max_attempts):
        clock.advance(TIMEOUT_MS + 1)
        telling.recover_stuck()
        telling.claim("worker")
    assert [one.state for one in ended] == [JobState.FAILED]
    assert "stuck" in (ended[0].last_error or "")
