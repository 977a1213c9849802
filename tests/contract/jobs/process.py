"""A worker process for the tests: `python -m tests.contract.jobs.process DSN FILE drain|hang COUNT`.

Makes the file FILE.<pid> when it is ready, and appends a line to FILE for every job that it starts.
`drain` ends when FILE has COUNT lines; `hang` never ends a job.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from catalog_server.clock import clock_ms
from catalog_server.jobs.context import JobContext
from catalog_server.jobs.job import Job, JobResult
from catalog_server.jobs.worker import Workers
from tests.contract.jobs.queues import build_queue, open_test_engine


def main(dsn: str, path: str, mode: str, count: str) -> None:
    out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def run(job: Job, context: JobContext) -> JobResult:
        os.write(out, f"{job.id} {os.getpid()}\n".encode())
        if mode == "hang":
            threading.Event().wait()
        context.check()
        return JobResult(entities_loaded=1)

    workers = Workers(build_queue(open_test_engine(dsn), clock_ms), run, concurrency=1)
    workers.start()
    Path(f"{path}.{os.getpid()}").touch()
    while len(Path(path).read_bytes().splitlines()) < int(count):
        time.sleep(0.05)
    workers.stop(grace_seconds=10)


if __name__ == "__main__":
    main(*sys.argv[1:])
