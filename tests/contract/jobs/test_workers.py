"""The threads that run jobs: prompt start, cancel, progress, heartbeat, deadline, and a stop that loses nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from catalog_server.db.engine import Engine
from catalog_server.errors import NotFound, Unavailable
from catalog_server.jobs.context import JobCanceled, JobContext
from catalog_server.jobs.job import Job, JobResult, JobState
from catalog_server.jobs.queue import Queue, Recovered
from catalog_server.jobs.worker import Pace, Run, Workers
from tests.contract.jobs.queues import LIMITS, TEAM_A, TEAM_B, TIMEOUT_MS, ManualClock, build_queue, wait_until

FAST = Pace(watch=0.02, recover=0.02)
Start = Callable[..., Workers]


@pytest.fixture
def start(queue: Queue) -> Iterator[Start]:
    """Start workers on the queue; they are stopped before the engine goes."""
    started: list[Workers] = []

    def start(run: Run, *, concurrency: int = 1, pace: Pace = FAST, on: Queue = queue) -> Workers:
        workers = Workers(on, run, concurrency=concurrency, pace=pace, name="test")
        workers.start()
        started.append(workers)
        return workers

    yield start
    for workers in started:
        workers.stop(grace_seconds=5)


class Recorded:
    """A job that does nothing but to be remembered."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def __call__(self, job: Job, _: JobContext) -> JobResult:
        self.jobs.append(job)
        return JobResult()


class Patient:
    """A job that goes on until it must stop or may end."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.may_end = threading.Event()
        self.stopped: list[str] = []

    def __call__(self, job: Job, context: JobContext) -> JobResult:
        self.jobs.append(job)
        context.progress(f"working on {job.source_id}")
        try:
            while not self.may_end.wait(0.005):
                context.check()
        except JobCanceled as canceled:
            self.stopped.append(str(canceled))
            raise
        return JobResult(entities_loaded=3)


def state(queue: Queue, job: Job) -> JobState:
    return queue.get(TEAM_A, job.id).state


def wait_for_state(queue: Queue, job: Job, wanted: JobState) -> Job:
    wait_until(lambda: state(queue, job) is wanted, f"state {wanted}")
    return queue.get(TEAM_A, job.id)


def test_a_job_runs_in_the_scope_of_its_namespace(queue: Queue, start: Start) -> None:
    """D55: the reference drops the namespace on the way to the worker."""
    run = Recorded()
    for scope in (TEAM_A, TEAM_B):
        queue.enqueue(scope, "model", "a", "ann")
    start(run)

    wait_until(lambda: len(run.jobs) == 2, "both jobs")
    assert {(job.scope, job.plugin, job.source_id) for job in run.jobs} == {
        (TEAM_A, "model", "a"),
        (TEAM_B, "model", "a"),
    }


@pytest.mark.parametrize(("pace", "must_wake"), [(Pace(), False), (Pace(poll=3600), True)], ids=["polls", "is woken"])
def test_an_idle_worker_starts_a_job_within_a_second(
    queue: Queue, start: Start, monkeypatch: pytest.MonkeyPatch, pace: Pace, must_wake: bool
) -> None:
    run, looks = Recorded(), list[str]()
    claim = queue.claim

    def seen(worker: str, term: int | None = None) -> Job | None:
        looks.append(worker)
        return claim(worker, term)

    monkeypatch.setattr(queue, "claim", seen)
    workers = start(run, pace=pace)
    wait_until(lambda: looks, "the first look")
    time.sleep(0.1)
    queue.enqueue(TEAM_A, "model", "a", "ann")
    if must_wake:
        workers.wake()
    wait_until(lambda: run.jobs, "the job")
    assert must_wake or pace.poll < 1


def test_a_worker_drains_the_queue_without_pauses(queue: Queue, start: Start) -> None:
    """D59: one job per worker and tick."""
    run = Recorded()
    for number in range(30):
        queue.enqueue(TEAM_A, "model", f"s{number}", "ann")
    start(run, pace=Pace(poll=3600))

    wait_until(lambda: len(run.jobs) == 30, "all jobs")
    assert len({job.id for job in run.jobs}) == 30


def test_no_more_jobs_run_at_once_than_the_concurrency(queue: Queue, start: Start) -> None:
    run = Patient()
    for number in range(5):
        queue.enqueue(TEAM_A, "model", f"s{number}", "ann")
    workers = start(run, concurrency=2)
    wait_until(lambda: len(run.jobs) == 2, "two jobs")
    workers.wake()
    time.sleep(0.1)
    assert len(run.jobs) == 2

    run.may_end.set()
    wait_until(lambda: len(run.jobs) == 5, "all jobs")


def test_progress_is_visible_while_the_job_runs(queue: Queue, start: Start) -> None:
    run = Patient()
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    start(run)

    wait_until(lambda: queue.get(TEAM_A, job.id).progress == "working on a", "progress")
    assert state(queue, job) is JobState.RUNNING
    run.may_end.set()
    done = wait_for_state(queue, job, JobState.SUCCEEDED)
    assert (done.entities_loaded, done.message) == (3, "Loaded 3 entities")


def test_a_running_job_that_is_canceled_stops(queue: Queue, start: Start) -> None:
    run = Patient()
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    start(run)
    wait_until(lambda: run.jobs, "the job")

    queue.cancel(TEAM_A, job.id)

    assert wait_for_state(queue, job, JobState.CANCELED).message == "Canceled by user"
    assert run.stopped == ["canceled by user"]


def test_a_look_at_the_queue_tells_of_a_cancellation_that_nobody_else_has_told_of_yet(queue: Queue) -> None:
    """So a job that was canceled before its point of no return does not go past it."""
    queue.enqueue(TEAM_A, "model", "a", "ann")
    job = queue.claim("worker")
    assert job is not None
    context = JobContext(job, queue)
    context.check_now()
    queue.cancel(TEAM_A, job.id)
    context.check()
    with pytest.raises(JobCanceled, match="canceled by user"):
        context.check_now()


def test_heartbeats_keep_a_job_that_takes_longer_than_the_claim_timeout(
    queue: Queue, clock: ManualClock, start: Start
) -> None:
    """D57."""
    run = Patient()
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    start(run)
    wait_until(lambda: run.jobs, "the job")
    for _ in range(8):
        clock.advance(TIMEOUT_MS // 3 + 1)
        wait_until(lambda: queue.get(TEAM_A, job.id).heartbeat_at == clock.now, "a heartbeat")
    run.may_end.set()

    assert wait_for_state(queue, job, JobState.SUCCEEDED).attempt_count == 1


@pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000])
def test_a_clock_that_is_set_neither_stops_a_running_job_nor_makes_it_look_dead(
    engine: Engine, clock: ManualClock, start: Start, jump_ms: int
) -> None:
    """Deadlines and heartbeats go by a clock that nobody sets, and a worker never takes its own jobs for stuck."""
    queue = Queue(engine, LIMITS, clock=clock)
    run = Patient()
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    recovered: list[object] = []
    recover = queue.recover_stuck
    queue.recover_stuck = lambda *arguments: recovered.append(None) or recover(*arguments)  # type: ignore[method-assign,func-returns-value]
    start(run, on=queue)
    wait_until(lambda: run.jobs, "the job")
    held = queue.get(TEAM_A, job.id)
    known = len(recovered)
    wait_until(lambda: len(recovered) > known + 1, "looks for stuck jobs that know of it")

    clock.advance(jump_ms)

    known = len(recovered)
    wait_until(lambda: len(recovered) > known + 3, "looks for stuck jobs")
    assert queue.get(TEAM_A, job.id).worker == held.worker
    run.may_end.set()
    assert wait_for_state(queue, job, JobState.SUCCEEDED).attempt_count == 1
    assert run.stopped == []


def test_a_job_past_its_deadline_is_stopped_and_tried_again(engine: Engine, clock: ManualClock, start: Start) -> None:
    queue = build_queue(engine, clock, replace(LIMITS, run_limit_ms=TIMEOUT_MS // 2))
    run = Patient()
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    start(run, on=queue)
    wait_until(lambda: run.jobs, "the job")

    clock.advance(TIMEOUT_MS // 2)

    waiting = wait_for_state(queue, job, JobState.QUEUED)
    assert run.stopped == ["deadline over"]
    assert waiting.last_error == "not done within 300 s"
    assert (waiting.attempt_count, waiting.next_attempt_at) == (1, clock.now + 2_500)


def test_a_run_that_never_looks_up_loses_its_job_after_the_deadline(
    queue: Queue, clock: ManualClock, start: Start
) -> None:
    may_end = threading.Event()
    runs: list[Job] = []

    def deaf(job: Job, _: JobContext) -> JobResult:
        runs.append(job)
        may_end.wait()
        return JobResult(entities_loaded=99)

    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    start(deaf)
    wait_until(lambda: runs, "the job")
    clock.advance(LIMITS.run_limit_ms + TIMEOUT_MS + 1)
    wait_until(lambda: state(queue, job) is JobState.QUEUED, "recovery, by the workers' own loop")
    other = queue.claim("other")
    assert other is not None
    may_end.set()

    assert queue.complete(other, JobResult(entities_loaded=1))
    assert queue.get(TEAM_A, job.id).entities_loaded == 1


def test_errors_decide_between_another_attempt_and_the_end(queue: Queue, start: Start) -> None:
    def run(job: Job, _: JobContext) -> JobResult:
        errors = {
            "down": Unavailable("host is down"),
            "gone": NotFound('source "gone" not found'),
            "bug": ValueError("secret"),
        }
        if job.source_id == "partly":
            return JobResult(entities_loaded=2, error=Unavailable("1 of 3 sources failed"))
        raise errors[job.source_id or ""]

    jobs = {source: queue.enqueue(TEAM_A, "model", source, "ann")[0] for source in ("down", "gone", "bug", "partly")}
    start(run)

    wait_until(lambda: all(queue.get(TEAM_A, job.id).last_error for job in jobs.values()), "four failures")
    found = {source: queue.get(TEAM_A, job.id) for source, job in jobs.items()}
    assert {source: (str(job.state), job.last_error) for source, job in found.items()} == {
        "down": ("queued", "host is down"),
        "gone": ("failed", 'source "gone" not found'),
        "bug": ("queued", "internal error (ValueError)"),
        "partly": ("queued", "1 of 3 sources failed"),
    }
    assert found["partly"].entities_loaded == 2


def test_a_stop_hands_running_jobs_back_without_burning_an_attempt(queue: Queue, start: Start) -> None:
    run = Patient()
    jobs = [queue.enqueue(TEAM_A, "model", f"s{number}", "ann")[0] for number in range(3)]
    workers = start(run, concurrency=2)
    wait_until(lambda: len(run.jobs) == 2, "two jobs")

    workers.stop(grace_seconds=5)

    assert run.stopped == ["the server stops"] * 2
    found = [queue.get(TEAM_A, job.id) for job in jobs]
    assert {(job.state, job.attempt_count, job.last_error) for job in found} == {(JobState.QUEUED, 0, None)}
    assert queue.claim("another replica") is not None


def test_a_stop_takes_the_job_from_a_run_that_does_not_end_in_time(queue: Queue, start: Start) -> None:
    may_end = threading.Event()
    ended = threading.Event()

    def deaf(*_: object) -> JobResult:
        may_end.wait()
        ended.set()
        return JobResult(entities_loaded=99)

    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    workers = start(deaf)
    wait_for_state(queue, job, JobState.RUNNING)

    workers.stop(grace_seconds=0.1)

    assert state(queue, job) is JobState.QUEUED
    other = queue.claim("another replica")
    assert other is not None
    assert other.attempt_count == 1
    may_end.set()
    ended.wait(5)
    assert queue.complete(other, JobResult(entities_loaded=1))
    assert queue.get(TEAM_A, job.id).entities_loaded == 1


def test_a_run_that_breaks_because_the_server_stops_burns_no_attempt(queue: Queue, start: Start) -> None:
    is_running = threading.Event()

    def breaks(_: Job, context: JobContext) -> JobResult:
        is_running.set()
        try:
            while True:
                context.check()
        except JobCanceled:
            raise RuntimeError("pool is closed") from None

    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    workers = start(breaks)
    is_running.wait(5)

    workers.stop(grace_seconds=5)

    assert queue.get(TEAM_A, job.id).attempt_count == 0
    assert queue.get(TEAM_A, job.id).last_error is None


def test_workers_that_never_started_can_be_stopped(queue: Queue) -> None:
    Workers(queue, Recorded(), concurrency=1).stop(grace_seconds=5)


def test_workers_recover_and_prune_by_themselves(engine: Engine, clock: ManualClock, start: Start) -> None:
    queue = build_queue(engine, clock)
    old, _ = queue.enqueue(TEAM_A, "model", "old", "ann")
    queue.cancel(TEAM_A, old.id)
    clock.advance(LIMITS.retention_ms + 1)
    stuck, _ = queue.enqueue(TEAM_A, "model", "stuck", "ann")
    queue.claim("dead")
    clock.advance(TIMEOUT_MS + 1)

    start(lambda *_: JobResult())

    assert wait_for_state(queue, stuck, JobState.SUCCEEDED).attempt_count == 2
    wait_until(lambda: queue.list_jobs(TEAM_A, page_size=5).total_size == 1, "pruning")
    assert queue.recover_stuck() == Recovered()


def test_work_that_is_done_is_reported_when_the_database_is_back(
    engine: Engine, clock: ManualClock, start: Start
) -> None:
    class Shaky(Queue):
        """The database is down for the first report of a result, and for some claims before."""

        refusals = 2

        def claim(self, worker: str, term: int | None = None) -> Job | None:
            self._refuse()
            return super().claim(worker, term)

        def complete(self, job: Job, result: JobResult) -> bool:
            if not runs_reported:
                runs_reported.append(job)
                raise Unavailable("database: connection refused")
            return super().complete(job, result)

        def _refuse(self) -> None:
            if self.refusals:
                self.refusals -= 1
                raise Unavailable("database: connection refused")

    run, runs_reported = Recorded(), list[Job]()
    queue = Shaky(engine, LIMITS, clock=clock)
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    start(run, on=queue, pace=Pace(poll=0.01, watch=0.02))

    wait_for_state(queue, job, JobState.SUCCEEDED)
    assert len(run.jobs) == 1
