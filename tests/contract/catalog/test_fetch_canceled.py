"""A running job that hangs in a fetch is canceled promptly, and so it is when the server stops."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from catalog_server.catalog.fetcher import Fetcher
from catalog_server.catalog.refresher import Refresher, RefreshOptions, key_of
from catalog_server.catalog.registry import discover
from catalog_server.catalog.status import SourceStatus
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import Writer
from catalog_server.clock import clock_ms
from catalog_server.errors import Location
from catalog_server.jobs.context import JobContext
from catalog_server.jobs.job import Job, JobResult, JobState
from catalog_server.jobs.queue import Queue
from catalog_server.jobs.worker import Pace, Workers
from catalog_server.providers.git import PROTOCOLS, GitProvider
from catalog_server.providers.http import HTTPProvider
from catalog_server.scope import DEFAULT_SCOPE
from catalog_server.sources.config import Source
from catalog_server.sources.paths import Roots
from catalog_server.sources.secrets import NoSecrets
from tests.contract.jobs.queues import LIMITS, build_queue
from tests.contract.providers.http_bench import ScriptedServer
from tests.databases import sqlite_database
from tests.factories import open_store
from tests.repositories import GitServer, processes_with
from tests.server import FOREVER_SECONDS, wait_until

REGISTRY = discover()
AGENTS = REGISTRY.plugins["agents"]


class Office:
    """A queue, its workers, and a refresher of one source that hangs."""

    def __init__(self, folder: Path, dsn: str, seen: Sized, source_type: str, **properties: Any) -> None:
        self._seen = seen
        self.engine = open_store(dsn).engine
        self.statuses = Statuses(self.engine, REGISTRY)
        providers: dict[str, Any] = {
            "git": GitProvider(folder / "git", protocols=PROTOCOLS | {"http"}),
            "http": HTTPProvider(folder / "http", allowed_networks=[ip_network("127.0.0.0/8")]),
        }
        fetcher = Fetcher(
            providers=providers, secrets=NoSecrets(), roots=Roots((folder,)), base=folder, max_file_bytes=10**6
        )
        self._refresher = Refresher(writer=Writer(self.engine), statuses=self.statuses, fetcher=fetcher)
        self._source = Source(
            id="far", name="Far", type=source_type, properties=properties, origin="x", location=Location("x", 1)
        )
        self.queue: Queue = build_queue(self.engine, clock_ms, LIMITS)
        self.workers = Workers(self.queue, self._run, concurrency=1, pace=Pace(watch=0.1, recover=60), name="test")

    def start(self) -> Job:
        job, _ = self.queue.enqueue(DEFAULT_SCOPE, AGENTS.name, "far", "ann")
        self.workers.start()
        wait_until("the remote to be asked", lambda: len(self._seen) > 0)
        return job

    def state(self, job: Job) -> JobState:
        return self.queue.get(DEFAULT_SCOPE, job.id).state

    def status(self) -> SourceStatus | None:
        self.statuses.follow()
        return self.statuses.get(key_of(AGENTS, self._source))

    def _run(self, job: Job, context: JobContext) -> JobResult:
        done = self._refresher.refresh(AGENTS, self._source, RefreshOptions(job_id=job.id, check=context.check))
        return JobResult(error=done.error)


@pytest.fixture(params=["git", "http"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as stack:
        dsn = stack.enter_context(sqlite_database(tmp_path))
        if request.param == "git":
            server = stack.enter_context(GitServer(tmp_path))
            server.delay_seconds = FOREVER_SECONDS
            office = Office(tmp_path, dsn, server.seen, "git", repoUrl=f"{server.url}/r.git")
        else:
            web = stack.enter_context(ScriptedServer(lambda *_: (web.stopped.wait(), None)[1]))
            office = Office(tmp_path, dsn, web.seen, "http", url=f"http://127.0.0.1:{web.port}/a.yaml", timeout="1m")
        yield office
        office.workers.stop(grace_seconds=5)
        wait_until("the git processes to be gone", lambda: not processes_with(str(tmp_path)), 2)
        office.engine.dispose()


def test_canceled_while_the_remote_hangs_then_promptly_and_without_a_failure(office: Office) -> None:
    job = office.start()
    office.queue.cancel(DEFAULT_SCOPE, job.id)
    wait_until("the job to be canceled", lambda: office.state(job) is JobState.CANCELED)
    assert office.status() is None  # that nobody waited any more says nothing about the source


def test_server_stops_while_the_remote_hangs_then_the_job_goes_back_at_once(office: Office) -> None:
    job = office.start()
    office.workers.stop(grace_seconds=FOREVER_SECONDS)
    assert office.state(job) is JobState.QUEUED
