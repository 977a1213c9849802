"""What the API does with jobs: get, list, page, cancel, each within one namespace (platform.md 6.8, D50)."""

from __future__ import annotations

import pytest

from catalog_server.errors import Conflict, NotFound, Unavailable
from catalog_server.jobs.job import Cursor, Job, JobFilter, JobResult, JobState
from catalog_server.jobs.queue import ClaimState, Queue, Recovered
from tests.contract.jobs.queues import TEAM_A, TEAM_B, TIMEOUT_MS, ManualClock


def claim(queue: Queue) -> Job:
    job = queue.claim("worker")
    assert job is not None
    return job


def test_a_queued_job_is_canceled_at_once(queue: Queue, clock: ManualClock) -> None:
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")

    canceled = queue.cancel(TEAM_A, job.id)

    assert canceled == queue.get(TEAM_A, job.id)
    assert (canceled.state, canceled.message) == (JobState.CANCELED, "Canceled by user")
    assert (canceled.finished_at, canceled.active_key, canceled.duration_ms) == (clock.now, None, None)
    assert queue.claim("worker") is None


def test_a_running_job_is_asked_to_stop_and_canceled_when_its_worker_does(queue: Queue) -> None:
    queue.enqueue(TEAM_A, "model", "a", "ann")
    job = claim(queue)

    asked = queue.cancel(TEAM_A, job.id)

    assert (asked.state, asked.cancel_requested) == (JobState.RUNNING, True)
    assert queue.cancel(TEAM_A, job.id) == asked
    assert queue.look(job) is queue.heartbeat(job) is ClaimState.CANCEL_REQUESTED
    assert queue.release(job) is JobState.CANCELED
    assert queue.get(TEAM_A, job.id).attempt_count == 1


@pytest.mark.parametrize("error", [Unavailable("down"), NotFound("gone")])
def test_a_job_that_fails_while_asked_to_cancel_is_canceled_and_not_tried_again(queue: Queue, error: Exception) -> None:
    queue.enqueue(TEAM_A, "model", "a", "ann")
    job = claim(queue)
    queue.cancel(TEAM_A, job.id)

    assert queue.fail(job, error) is JobState.CANCELED
    assert queue.get(TEAM_A, job.id).last_error == str(error)


def test_a_job_whose_worker_dies_after_the_cancel_is_canceled_by_recovery(queue: Queue, clock: ManualClock) -> None:
    queue.enqueue(TEAM_A, "model", "a", "ann")
    job = claim(queue)
    queue.cancel(TEAM_A, job.id)
    clock.advance(TIMEOUT_MS + 1)

    assert queue.recover_stuck() == Recovered(canceled=1)
    assert queue.get(TEAM_A, job.id).state is JobState.CANCELED


def test_a_job_that_succeeds_in_spite_of_the_cancel_has_succeeded(queue: Queue) -> None:
    queue.enqueue(TEAM_A, "model", "a", "ann")
    job = claim(queue)
    queue.cancel(TEAM_A, job.id)

    assert queue.complete(job, JobResult(entities_loaded=1))
    assert queue.get(TEAM_A, job.id).state is JobState.SUCCEEDED


@pytest.mark.parametrize("state", ["succeeded", "failed", "canceled"])
def test_a_job_that_has_ended_cannot_be_canceled(queue: Queue, state: str) -> None:
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    if state == "canceled":
        queue.cancel(TEAM_A, job.id)
    elif state == "failed":
        queue.fail(claim(queue), NotFound("gone"))
    else:
        queue.complete(claim(queue), JobResult())

    with pytest.raises(Conflict, match=f"it is {state}"):
        queue.cancel(TEAM_A, job.id)


@pytest.mark.parametrize("job_id", ["b5f4bd3c-8dd0-4cf0-9a5e-0f2a0c2e6a11", "", "ü", "a\0b", "x" * 500, "\ud800"])
def test_an_unknown_job_is_not_found(queue: Queue, job_id: str) -> None:
    with pytest.raises(NotFound, match=r'^job ".*" not found$'):
        queue.get(TEAM_A, job_id)
    with pytest.raises(NotFound, match=r'^job ".*" not found$'):
        queue.cancel(TEAM_A, job_id)


def test_a_job_of_another_namespace_does_not_exist(queue: Queue) -> None:
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")

    with pytest.raises(NotFound, match=f'job "{job.id}" not found'):
        queue.get(TEAM_B, job.id)
    with pytest.raises(NotFound, match=f'job "{job.id}" not found'):
        queue.cancel(TEAM_B, job.id)
    page = queue.list_jobs(TEAM_B, page_size=10)
    assert (page.jobs, page.next, page.total_size) == ((), None, 0)
    assert queue.get(TEAM_A, job.id).state is JobState.QUEUED


def test_pages_join_up_newest_first_also_within_one_millisecond(queue: Queue, clock: ManualClock) -> None:
    for number in range(11):
        queue.enqueue(TEAM_A, "model", f"s{number}", "ann")
        queue.enqueue(TEAM_B, "model", f"s{number}", "ann")
        clock.advance(number % 3 // 2)  # three jobs share a time

    found: list[Job] = []
    after: Cursor | None = None
    while True:
        page = queue.list_jobs(TEAM_A, page_size=4, after=after)
        assert page.total_size == 11
        found += page.jobs
        after = page.next
        if after is None:
            break
        assert len(page.jobs) == 4

    assert len(found) == 11
    assert found == sorted(found, key=lambda job: (job.requested_at, job.id), reverse=True)
    assert {job.namespace for job in found} == {"team-a"}


def test_a_full_last_page_has_no_next(queue: Queue) -> None:
    for number in range(4):
        queue.enqueue(TEAM_A, "model", f"s{number}", "ann")

    assert queue.list_jobs(TEAM_A, page_size=4).next is None


def test_filters_narrow_and_are_counted(queue: Queue) -> None:
    queue.enqueue(TEAM_A, "model", "a", "ann")
    queue.enqueue(TEAM_A, "model", "b", "bob")
    queue.enqueue(TEAM_A, "mcp", "a", "Ann")
    queue.enqueue(TEAM_A, "mcp", None, "bob")
    queue.complete(claim(queue), JobResult())

    def count(**wanted: str) -> int:
        page = queue.list_jobs(TEAM_A, JobFilter(**wanted), page_size=1)  # type: ignore[arg-type]
        assert len(page.jobs) == min(page.total_size, 1)
        return page.total_size

    assert count(plugin="model") == 2
    assert count(source_id="a") == 2
    assert count(source_id="_all") == 1
    assert count(requested_by="ann") == 1
    assert count(state=JobState.QUEUED) == 3
    assert count(plugin="mcp", source_id="a", requested_by="Ann") == 1
    assert count(plugin="nothing") == 0
    for odd in ("ü", "a\0b", "\ud800"):
        assert count(plugin=odd) == count(source_id=odd) == 0
        assert count(requested_by=odd) == 0
