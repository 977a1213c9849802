"""Claiming, and what a worker may do with a claim (platform.md 6.4 to 6.6)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from catalog_server.clock import clock_ms
from catalog_server.db.engine import Engine
from catalog_server.errors import CatalogError, Forbidden, Invalid, NotFound, RateLimited, TooLarge, Unavailable
from catalog_server.jobs.job import Job, JobResult, JobState
from catalog_server.jobs.limits import JobLimits
from catalog_server.jobs.queue import ClaimState, Queue, Recovered
from catalog_server.jobs.retry import MAX_DELAY_MS
from catalog_server.jobs.transitions import AT_ONCE
from tests.contract.jobs.queues import LIMITS, TEAM_A, TEAM_B, TIMEOUT_MS, ManualClock, build_queue


def claim(queue: Queue, worker: str = "worker") -> Job:
    job = queue.claim(worker)
    assert job is not None
    return job


def enqueue_and_claim(queue: Queue, source: str = "a") -> Job:
    queue.enqueue(TEAM_A, "model", source, "ann")
    return claim(queue)


def read(queue: Queue, job: Job) -> Job:
    return queue.get(TEAM_A, job.id)


def test_the_oldest_job_of_any_namespace_is_claimed_first(queue: Queue, clock: ManualClock) -> None:
    wanted = []
    for number, scope in enumerate([TEAM_B, TEAM_A, TEAM_B, TEAM_A]):
        wanted.append(queue.enqueue(scope, "model", f"s{number}", "ann")[0].id)
        clock.advance(1)

    assert [claim(queue).id for _ in range(4)] == wanted
    assert queue.claim("worker") is None


def test_a_claimed_job_runs_with_worker_attempt_heartbeat_and_deadline(queue: Queue, clock: ManualClock) -> None:
    queue.enqueue(TEAM_A, "model", "a", "ann")
    clock.advance(50)

    job = claim(queue, "pöd-1")

    assert read(queue, job) == job
    assert (job.state, job.attempt_count) == (JobState.RUNNING, 1)
    assert job.worker is not None
    assert job.worker.startswith("p?d-1#")
    assert job.started_at == job.heartbeat_at == clock.now
    assert job.deadline_at == clock.now + LIMITS.run_limit_ms


def test_threads_that_claim_at_once_share_the_jobs_out(engine: Engine) -> None:
    queue = build_queue(engine, clock_ms)
    for number in range(40):
        queue.enqueue(TEAM_A, "model", f"s{number}", "ann")
    barrier = threading.Barrier(4)

    def drain(name: str) -> list[str]:
        barrier.wait()
        return [job.id for job in iter(lambda: queue.claim(name), None)]

    with ThreadPoolExecutor(4) as pool:
        claimed = [job_id for ids in pool.map(drain, "abcd") for job_id in ids]

    assert len(claimed) == len(set(claimed)) == 40


def test_a_completed_job_tells_what_it_did(queue: Queue, clock: ManualClock) -> None:
    job = enqueue_and_claim(queue)
    clock.advance(1234)

    assert queue.complete(job, JobResult(entities_loaded=6, entities_removed=1))

    done = read(queue, job)
    assert (done.state, done.message) == (JobState.SUCCEEDED, "Loaded 6 entities, removed 1")
    assert (done.entities_loaded, done.entities_removed, done.duration_ms) == (6, 1, 1234)
    assert done.finished_at == clock.now
    assert done.active_key is None


def test_a_transient_failure_waits_longer_each_time_and_then_is_final(queue: Queue, clock: ManualClock) -> None:
    """Base is the poll interval, factor 2; chance falls on the middle here."""
    job = enqueue_and_claim(queue)
    for pause in (2_500, 5_000):
        assert queue.fail(job, Unavailable("host is down")) is JobState.QUEUED
        waiting = read(queue, job)
        assert (waiting.started_at, waiting.worker, waiting.last_error) == (None, None, "host is down")
        assert waiting.next_attempt_at == clock.now + pause
        clock.advance(pause - 1)
        assert queue.claim("early") is None
        clock.advance(1)
        job = claim(queue)

    assert job.attempt_count == 3
    assert queue.fail(job, Unavailable("host is down")) is JobState.FAILED
    failed = read(queue, job)
    assert (failed.message, failed.last_error) == ("Max retries exceeded: host is down", "host is down")
    assert (failed.attempt_count, failed.active_key, failed.finished_at) == (3, None, clock.now)


def test_a_pause_never_exceeds_the_cap_and_heeds_what_the_host_asks(engine: Engine, clock: ManualClock) -> None:
    limits = JobLimits(
        max_attempts=100, retry_base_ms=5_000, claim_timeout_ms=TIMEOUT_MS, run_limit_ms=TIMEOUT_MS, retention_ms=1
    )
    queue = build_queue(engine, clock, limits)
    job = enqueue_and_claim(queue)
    for _ in range(12):
        queue.fail(job, Unavailable("down"))
        assert read(queue, job).next_attempt_at - clock.now <= MAX_DELAY_MS
        clock.advance(MAX_DELAY_MS)
        job = claim(queue)

    queue.fail(job, RateLimited("slow down", retry_after_seconds=900))

    assert read(queue, job).next_attempt_at == clock.now + 900_000


@pytest.mark.parametrize(
    "error", [NotFound('source "a" not found'), Invalid("bad"), TooLarge("big"), Forbidden("no")], ids=repr
)
def test_a_permanent_failure_is_final_at_once(queue: Queue, error: CatalogError) -> None:
    job = enqueue_and_claim(queue)

    assert queue.fail(job, error, JobResult(entities_loaded=2)) is JobState.FAILED

    failed = read(queue, job)
    assert (failed.last_error, failed.message) == (error.message, f"Refresh failed: {error.message}")
    assert (failed.attempt_count, failed.entities_loaded) == (1, 2)


def test_an_accident_is_retried_and_its_words_are_not_shown(queue: Queue) -> None:
    job = enqueue_and_claim(queue)

    assert queue.fail(job, KeyError("/secret/path")) is JobState.QUEUED

    assert read(queue, job).last_error == "internal error (KeyError)"


def test_an_endless_error_is_cut(queue: Queue) -> None:
    job = enqueue_and_claim(queue)

    queue.fail(job, Invalid("ü" * 5000))

    failed = read(queue, job)
    assert failed.last_error == "ü" * 1999 + "…"
    assert failed.message is not None
    assert len(failed.message) == 2000


def test_zero_retries_still_make_one_attempt(engine: Engine, clock: ManualClock) -> None:
    queue = build_queue(
        engine,
        clock,
        JobLimits(max_attempts=1, retry_base_ms=1, claim_timeout_ms=1000, run_limit_ms=1000, retention_ms=1),
    )

    assert queue.fail(enqueue_and_claim(queue), Unavailable("down")) is JobState.FAILED


def test_a_released_job_is_due_again_and_keeps_its_attempt(queue: Queue, clock: ManualClock) -> None:
    job = enqueue_and_claim(queue)
    clock.advance(10)

    assert queue.release(job) is JobState.QUEUED

    waiting = read(queue, job)
    assert (waiting.attempt_count, waiting.next_attempt_at, waiting.started_at) == (0, AT_ONCE, None)
    again = claim(queue)
    assert again.attempt_count == 1
    # The same worker, the same attempt number, and yet another claim:
    assert not queue.complete(job, JobResult())
    assert queue.complete(again, JobResult())


def test_a_heartbeat_keeps_a_long_job_and_shows_its_progress(queue: Queue, clock: ManualClock) -> None:
    job = enqueue_and_claim(queue)
    for step in range(6):
        clock.advance(TIMEOUT_MS // 3)
        assert queue.heartbeat(job, f"step {step}") is ClaimState.HELD
        assert queue.recover_stuck() == Recovered()

    assert read(queue, job).progress == "step 5"
    assert queue.heartbeat(job) is ClaimState.HELD
    assert read(queue, job).progress == "step 5"
    assert queue.look(job) is ClaimState.HELD


def test_a_job_without_heartbeat_is_recovered_and_its_first_worker_is_fenced_off(
    queue: Queue, clock: ManualClock
) -> None:
    """D52, D57: whatever the lost worker reports, the second one's result stands."""
    lost = enqueue_and_claim(queue)
    clock.advance(TIMEOUT_MS)
    assert queue.recover_stuck() == Recovered()
    clock.advance(1)

    assert queue.recover_stuck() == Recovered(requeued=1)

    waiting = read(queue, lost)
    assert (waiting.state, waiting.attempt_count, waiting.next_attempt_at) == (JobState.QUEUED, 1, AT_ONCE)
    assert waiting.last_error is not None
    assert "stuck job recovered" in waiting.last_error
    second = claim(queue)
    assert second.attempt_count == 2
    assert queue.heartbeat(lost) is queue.look(lost) is ClaimState.LOST
    assert not queue.complete(lost, JobResult(entities_loaded=99))
    assert queue.fail(lost, NotFound("late")) is queue.release(lost) is None
    assert queue.complete(second, JobResult(entities_loaded=1))
    assert not queue.complete(lost, JobResult(entities_loaded=99))
    assert read(queue, lost).entities_loaded == 1


def test_a_job_that_gets_stuck_again_and_again_fails_with_the_reason(queue: Queue, clock: ManualClock) -> None:
    """D56: it must neither wait unclaimable for ever nor block the source."""
    queue.enqueue(TEAM_A, "model", "a", "ann")
    for attempt in (1, 2, 3):
        job = claim(queue)
        assert job.attempt_count == attempt
        clock.advance(TIMEOUT_MS + 1)
        assert queue.recover_stuck() == (Recovered(requeued=1) if attempt < 3 else Recovered(failed=1))

    failed = read(queue, job)
    assert failed.state is JobState.FAILED
    assert failed.message is not None
    assert failed.message.startswith("Max retries exceeded: stuck job recovered: no sign of life")
    assert queue.enqueue(TEAM_A, "model", "a", "ann")[1]


def test_finished_jobs_are_forgotten_after_the_retention_and_live_ones_never(queue: Queue, clock: ManualClock) -> None:
    old = enqueue_and_claim(queue, "old")
    queue.complete(old, JobResult())
    queue.enqueue(TEAM_A, "model", "waiting", "ann")
    clock.advance(1000)
    canceled, _ = queue.enqueue(TEAM_A, "model", "young", "ann")
    queue.cancel(TEAM_A, canceled.id)
    clock.advance(LIMITS.retention_ms - 999)

    assert queue.prune() == 1

    assert {job.source_id for job in queue.list_jobs(TEAM_A, page_size=10).jobs} == {"waiting", "young"}
    clock.advance(1000)
    assert queue.prune() == 1
    assert queue.prune() == 0
