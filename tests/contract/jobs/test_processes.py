"""Several processes on one queue: no job is run twice, none is lost, not even when one is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog_server.clock import clock_ms
from catalog_server.db.engine import Engine
from catalog_server.jobs.job import JobFilter, JobResult, JobState
from catalog_server.jobs.queue import Queue, Recovered
from tests.contract.jobs.queues import TEAM_A, TIMEOUT_MS, ManualClock, build_queue, wait_until

ROOT = Path(__file__).parents[3]
JOBS = 300
END_SECONDS = 60


@contextmanager
def worker_process(dsn: str, out: Path, mode: str, count: int) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [sys.executable, "-m", "tests.contract.jobs.process", dsn, str(out), mode, str(count)]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(END_SECONDS)


def test_three_processes_drain_the_queue_without_loss_or_repetition(
    engine: Engine, migrated: str, tmp_path: Path
) -> None:
    queue = build_queue(engine, clock_ms)
    out = tmp_path / "started"
    out.touch()

    with (
        worker_process(migrated, out, "drain", JOBS) as first,
        worker_process(migrated, out, "drain", JOBS) as second,
        worker_process(migrated, out, "drain", JOBS) as third,
    ):
        wait_until(lambda: len(list(tmp_path.glob("started.*"))) == 3, "all are ready")
        wanted = {queue.enqueue(TEAM_A, "model", f"s{number}", "ann")[0].id for number in range(JOBS)}
        assert [process.wait(END_SECONDS) for process in (first, second, third)] == [0, 0, 0]

    started = [line.split() for line in out.read_text().splitlines()]
    assert len(started) == JOBS
    assert {job_id for job_id, _ in started} == wanted
    assert len({process for _, process in started}) == 3
    succeeded = queue.list_jobs(TEAM_A, JobFilter(state=JobState.SUCCEEDED), page_size=JOBS)
    assert succeeded.total_size == JOBS
    assert {job.attempt_count for job in succeeded.jobs} == {1}


def test_a_job_whose_process_is_killed_is_recovered_and_done_by_another(
    engine: Engine, migrated: str, tmp_path: Path
) -> None:
    clock = ManualClock(clock_ms())
    queue: Queue = build_queue(engine, clock)
    job, _ = queue.enqueue(TEAM_A, "model", "a", "ann")
    out = tmp_path / "started"
    out.touch()
    with worker_process(migrated, out, "hang", 2) as process:
        wait_until(out.read_text, "the job starts")
        process.send_signal(signal.SIGKILL)
        process.wait(END_SECONDS)

    clock.now = clock_ms()
    assert queue.recover_stuck() == Recovered()
    clock.advance(TIMEOUT_MS + 1)
    assert queue.recover_stuck() == Recovered(requeued=1)

    again = queue.claim("other")
    assert again is not None
    assert (again.id, again.attempt_count) == (job.id, 2)
    assert queue.complete(again, JobResult())
