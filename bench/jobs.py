"""The queue of refresh jobs: 1,000 of them drained by three workers, and how long one waits for an idle worker."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from pathlib import Path
from threading import Event, Lock
from typing import Final

from bench.processes import BenchError
from bench.report import Row, progress
from bench.stores import fresh_database
from catalog_server.db.dsn import parse_dsn
from catalog_server.db.engine import Engine, open_engine
from catalog_server.db.migrate import migrate
from catalog_server.jobs.context import JobContext
from catalog_server.jobs.job import Job, JobFilter, JobResult, JobState
from catalog_server.jobs.limits import JobLimits
from catalog_server.jobs.queue import Queue
from catalog_server.jobs.worker import Workers
from catalog_server.scope import Scope
from catalog_server.settings import Jobs
from catalog_server.telemetry.logs import set_up_logging

JOBS: Final = 1000
WORKERS: Final = 3
IDLE_JOBS: Final = 20
DEADLINE_SECONDS: Final = 120.0
_SCOPE: Final = Scope("bench")
_PLUGIN: Final = "mcp"


class _Counting:
    """Does nothing, and remembers which jobs it did."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self._lock = Lock()

    def __call__(self, job: Job, context: JobContext) -> JobResult:
        with self._lock:
            self.runs[job.id] += 1
        return JobResult()


def measure_jobs(database: str, scratch: Path) -> list[Row]:
    set_up_logging("text", "error")
    with fresh_database(database) as dsn:
        engine = open_engine(parse_dsn(dsn or f"sqlite:///{scratch / 'jobs.db'}", None))
        try:
            migrate(engine)
            return [*_drain(engine, database), _wait(engine, database)]
        finally:
            engine.dispose()


def _drain(engine: Engine, database: str) -> list[Row]:
    queue, counting = Queue(engine, JobLimits.of(Jobs())), _Counting()
    ids = {queue.enqueue(_SCOPE, _PLUGIN, f"source-{number}", "bench")[0].id for number in range(JOBS)}
    workers = Workers(queue, counting, concurrency=WORKERS)
    started = time.perf_counter()
    workers.start()
    try:
        _until_done(queue)
        seconds = time.perf_counter() - started
    finally:
        workers.stop(5.0)
    wrong = sum(counting.runs[one] != 1 for one in ids | counting.runs.keys())
    progress(f"  jobs: {JOBS} in {seconds:.1f} s, {wrong} not run exactly once")
    name = f"{JOBS:,} queued jobs drained by {WORKERS} workers"
    return [
        Row(name, database, 0, seconds, "s"),
        Row("of these, jobs lost or run twice", database, 0, wrong, "jobs", 0),
    ]


def _wait(engine: Engine, database: str) -> Row:
    """From enqueueing to the start, where nobody tells the workers: as for a job of another replica."""
    queue = Queue(engine, JobLimits.of(Jobs()))
    workers = Workers(queue, _Counting(), concurrency=WORKERS)
    workers.start()
    try:
        ids = []
        for number in range(IDLE_JOBS):
            ids.append(queue.enqueue(_SCOPE, _PLUGIN, f"idle-{number}", "bench")[0].id)
            _until_done(queue)
        jobs = [queue.get(_SCOPE, one) for one in ids]
    finally:
        workers.stop(5.0)
    waits = [((job.started_at or 0) - job.requested_at) / 1000 for job in jobs]
    note = f"median {statistics.median(waits):.2f}"
    return Row("longest wait for an idle worker", database, 0, max(waits), "s", 1.0, note)


def _until_done(queue: Queue) -> None:
    pause, deadline = Event(), time.monotonic() + DEADLINE_SECONDS
    while any(_count(queue, state) for state in (JobState.QUEUED, JobState.RUNNING)):
        if time.monotonic() > deadline:
            raise BenchError(f"the jobs were not done after {DEADLINE_SECONDS:.0f} s")
        pause.wait(0.05)


def _count(queue: Queue, state: JobState) -> int:
    return queue.list_jobs(_SCOPE, JobFilter(state=state), page_size=1).total_size
