"""Refresh jobs over several real servers: none is lost, none done twice, and a server that goes hands its jobs on."""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.databases import fetch_value
from tests.e2e.managed import BASE, JOBS, MANAGEMENT, QUICK_JOBS, Folder, Managed, git, local, skills
from tests.server import wait_until

COUNT = 50
LARGE = (0, 25)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@contextmanager
def hung_fetch(folder: Folder, managed: Managed) -> Iterator[str]:
    """While a refresh of the git source `g` hangs in its fetch. Gives the id of its job.

    What holds it up are the locks on the mirrors, as other fetches of the same repositories would.
    """
    with ExitStack() as stack:
        for lock in (folder.root / "data/git").glob("*/lock"):
            fcntl.flock(stack.enter_context(lock.open("ab")), fcntl.LOCK_EX)
        job_id = managed.refresh("g")
        wait_until("the fetch", lambda: "fetching" in managed.job(job_id).get("progress", ""), 10)
        yield job_id


def synced(managed: Managed) -> None:
    """The first sync of `g` is over, its job included."""
    managed.expect_state("g", "available")
    wait_until("the job to end", lambda: {one["state"] for one in jobs(managed)} == {"succeeded"}, 10)


def jobs(managed: Managed, **wanted: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = managed.server.json(JOBS, pageSize="100", **wanted)["jobs"]
    return found


def test_jobs_when_three_servers_drain_one_queue_then_each_is_done_once(database: str, folder: Folder) -> None:
    """Some of the sources are large enough to be read by a process of their own."""
    for number in range(COUNT):
        size = 3000 if number in LARGE else 5
        text = "skills:\n" + "".join(f"- {{name: e-{number}-{one}, description: {'x' * 200}}}\n" for one in range(size))
        (folder.root / "config").mkdir(exist_ok=True)
        (folder.root / f"config/{number}.yaml").write_text(text)
    folder.write(*(local(f"s-{number}", f"{number}.yaml") for number in range(COUNT)))
    options = {"DATABASE_DSN": database, **QUICK_JOBS}
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        first = stack.enter_context(folder.server("a", **options))
        servers = [first, *(stack.enter_context(folder.server(name, **options)) for name in "bc")]
        asked = set(pool.map(lambda number: servers[number % 3].refresh(f"s-{number}"), range(COUNT)))
        assert len(asked) == COUNT
        wait_until("the end", lambda: first.server.json(JOBS, state="succeeded")["totalSize"] == COUNT, 60)
        assert {one["id"] for one in jobs(first)} == asked
        assert {one["attemptCount"] for one in jobs(first)} == {1}
        started = Counter(line["job"] for one in servers for line in one.server.logged("job started"))
        assert started == Counter(asked)
        total = len(LARGE) * 3000 + (COUNT - len(LARGE)) * 5
        for one in servers:
            wait_until("all entities", lambda one=one: one.server.json(f"{BASE}/skills")["totalSize"] == total, 10)


def test_job_when_its_server_is_stopped_then_handed_back_and_done_by_another(database: str, folder: Folder) -> None:
    repository = folder.repository("repository", "one")
    folder.write(git("g", repository))
    options = {"DATABASE_DSN": database, **QUICK_JOBS}
    with ExitStack() as stack:
        first = stack.enter_context(folder.server("data", **options))
        synced(first)
        repository.commit({"skills.yaml": skills("two")})
        with hung_fetch(folder, first) as job_id:
            second = stack.enter_context(folder.server("other", **options))
            assert second.names() == ["one"]
            first.server.process.terminate()
            assert first.server.process.wait(30) == 0
            ended = second.wait_for_job(job_id)
        assert (ended["state"], ended["attemptCount"]) == ("succeeded", 1)
        assert second.names() == ["two"]
        assert not first.server.logged("job done", job=job_id)


def test_job_when_canceled_while_it_runs_then_canceled_and_the_last_good_set_stays(folder: Folder) -> None:
    repository = folder.repository("repository", "one")
    folder.write(git("g", repository))
    with folder.server(**QUICK_JOBS) as managed:
        synced(managed)
        repository.commit({"skills.yaml": skills("two")})
        with hung_fetch(folder, managed) as job_id:
            answer = managed.post(f"{JOBS}/{job_id}:cancel")
            assert answer.status_code == 200, answer.text
            wait_until("the request", lambda: "Cancel" in managed.job(job_id).get("message", ""), 5)
        ended = managed.wait_for_job(job_id)
        assert ended["state"] == "canceled"
        assert managed.names() == ["one"]
        assert managed.status("g")["state"] == "available"
        assert managed.post(f"{JOBS}/{job_id}:cancel").status_code == 409


def test_job_when_its_source_is_deleted_meanwhile_then_failed_with_the_reason_and_nothing_comes_back(
    folder: Folder, tmp_path: Path
) -> None:
    repository = folder.repository("repository", "one")
    folder.write(git("g", repository), git("h", folder.repository("other", "two")))
    with folder.server(**QUICK_JOBS) as managed:
        managed.expect("one", "two")
        synced(managed)
        repository.commit({"skills.yaml": skills("three")})
        with hung_fetch(folder, managed) as job_id:
            assert managed.delete("g").status_code == 200
            managed.expect("two")
        ended = managed.wait_for_job(job_id)
        assert ended["state"] == "failed"
        assert "deleted" in ended["lastError"]
        assert managed.names() == ["two"]
        assert managed.source("g") == {}
        database = f"sqlite:///{tmp_path / 'data/catalog.db'}"
        assert fetch_value(database, "SELECT count(*) FROM entities WHERE source_id = 'g'") == 0


def test_job_when_idle_then_started_within_a_second_and_its_outcome_is_seen_at_once(folder: Folder) -> None:
    folder.catalog("one.yaml", "one")
    folder.write(*(local(f"s-{number}", "one.yaml") for number in range(10)))
    with folder.server(CATALOG_WATCH_ENABLED="false", **QUICK_JOBS) as managed:
        waits = []
        for number in range(10):
            folder.catalog("one.yaml", "one", f"new-{number}")
            asked = time.time()
            job_id = managed.refresh(f"s-{number}")
            ended = managed.wait_for_job(job_id)
            # Read your writes: the job has ended, so what it loaded is there, and the source says so.
            assert f"new-{number}" in managed.names()
            assert managed.status(f"s-{number}")["entityCount"] == ended["entitiesLoaded"] == 2
            (started,) = managed.server.logged("job started", job=job_id)
            waits.append(_seconds(started["timestamp"]) - asked)
        assert sorted(waits)[5] < 1.0, waits


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def test_refresh_when_jobs_are_off_then_done_before_the_answer(folder: Folder) -> None:
    repository = folder.repository("repository", "one")
    folder.write(git("g", repository))
    with folder.server(CATALOG_JOB_ENABLED="false") as managed:
        managed.expect("one")
        repository.commit({"skills.yaml": skills("two")})
        done = managed.post(f"{MANAGEMENT}/refresh/g")
        assert done.status_code == 200, done.text
        assert done.json()["entitiesLoaded"] == 1
        assert managed.names() == ["two"]
