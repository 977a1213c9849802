"""Audit events are there after a SIGKILL, wherever it hits, and after the loss of the database."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from catalog_server.audit.trail import ENDED_EARLY
from tests.databases import execute
from tests.e2e.managed import MANAGEMENT, OPERATOR, QUICK_JOBS, Folder, Killer, Managed, git, local, skills
from tests.proxy import Proxy, proxy_to
from tests.server import wait_until

EVENTS = "/api/audit/v1alpha1/events"
TAG = {"action": "tag", "params": {"tags": ["kept"]}}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    found = Folder(tmp_path)
    found.catalog("one.yaml", "one")
    found.write(local("s", "one.yaml"))
    return found


@pytest.fixture
def killer(tmp_path: Path) -> Killer:
    return Killer(tmp_path)


def events(managed: Managed, **parameters: str) -> list[dict[str, Any]]:
    """Oldest first."""
    found = managed.server.json(EVENTS, pageSize="100", **parameters)
    assert found["totalSize"] == len(found["events"])
    return list(reversed(found["events"]))


def spooled(folder: Folder) -> list[str]:
    return sorted(path.suffix for path in (folder.root / "data/audit").glob("*"))


@contextmanager
def behind_proxy(database: str) -> Iterator[tuple[Proxy, dict[str, Any]]]:
    """A way to the database that can be cut, and the options of a server that takes it."""
    if database.startswith("sqlite"):
        pytest.skip("SQLite has no connection to lose")
    parts = urlsplit(database)
    with proxy_to(parts.hostname or "127.0.0.1", parts.port or 0) as proxy:
        proxy.open()
        login = f"{parts.username}:{parts.password}@" if parts.password else f"{parts.username}@"
        yield proxy, {"DATABASE_DSN": parts._replace(netloc=f"{login}127.0.0.1:{proxy.port}").geturl()}


def kill(managed: Managed) -> None:
    managed.server.process.send_signal(signal.SIGKILL)
    managed.server.wait_for_kill()


def test_a_kill_after_the_answer_then_each_event_is_there_once(database: str, folder: Folder) -> None:
    options: dict[str, Any] = {"DATABASE_DSN": database}
    with folder.server(**options) as managed:
        managed.applied(local("t", "one.yaml"))
        managed.post(f"{MANAGEMENT}/entities/one:action?sourceId=s", TAG)
        managed.server.client.post(f"{managed.server.url}{MANAGEMENT}/refresh")
        managed.refresh("s")
        kill(managed)
    with folder.server(**options) as managed:
        found = [(one["actionVerb"], one["statusCode"]) for one in events(managed, eventType="management")]
        assert found == [("apply-source", 200), ("execute-action", 200), ("refresh", 403), ("refresh", 202)]
        assert spooled(folder) == []


def test_a_kill_in_a_change_then_it_is_told_that_nobody_knows_how_it_ended(folder: Folder, killer: Killer) -> None:
    """No transaction covers the file of the configuration; so the change is announced before it is saved."""
    for number, step in enumerate(("renamed", "in-force"), 1):
        with folder.server(command=killer.command) as managed:
            killer.during(managed, step, partial(managed.apply, local(f"t{number}", "one.yaml")))
        with folder.server() as managed:
            wait_until("the event", lambda: len(events(managed)) == number)  # noqa: B023 - called at once
            last = events(managed)[-1]
            assert (last["actionVerb"], last["resourceIds"]) == ("apply-source", [f"t{number}"])
            assert (last["outcome"], last["reason"]) == ("failure", ENDED_EARLY)
            assert last["oldValue"]["version"]
            assert "statusCode" not in last
            assert f"t{number}" in folder.configured()
            assert spooled(folder) == []


def test_a_kill_before_the_change_then_there_is_neither(folder: Folder, killer: Killer) -> None:
    with folder.server(command=killer.command) as managed:
        killer.during(managed, "validated", partial(managed.apply, local("t", "one.yaml")))
    with folder.server() as managed:
        assert "t" not in folder.configured()
        assert events(managed) == []


def test_a_kill_between_a_job_and_the_answer_then_the_event_is_there(
    database: str, folder: Folder, killer: Killer
) -> None:
    options: dict[str, Any] = {"DATABASE_DSN": database, **QUICK_JOBS}
    with folder.server(command=killer.command, **options) as managed:
        killer.during(managed, "job-enqueued", partial(managed.post, f"{MANAGEMENT}/refresh/s"))
    with folder.server(**options) as managed:
        asked = events(managed, eventType="management")
        assert [(one["actionVerb"], one["statusCode"]) for one in asked] == [("refresh", 202)]
        job_id = asked[0]["metadata"]["jobId"]
        execute(database, "UPDATE refresh_jobs SET heartbeat_at = heartbeat_at - 3600000 WHERE state = 'running'")
        managed.wait_for_job(job_id)
        (ended,) = events(managed, eventType="job", resourceId=job_id)
        assert (ended["outcome"], ended["correlationId"]) == ("success", asked[0]["correlationId"])


def test_a_kill_when_a_job_is_done_and_not_reported_then_its_end_is_told_once(folder: Folder, killer: Killer) -> None:
    repository = folder.repository("repository", "one")
    folder.write(git("g", repository))
    dsn = f"sqlite:///{folder.root / 'catalog.db'}"
    options: dict[str, Any] = {"DATABASE_DSN": dsn, **QUICK_JOBS}
    with folder.server(command=killer.command, **options) as managed:
        managed.expect("one")
        first = wait_until("the first sync to be told", lambda: events(managed, eventType="job"))
        assert [(one["actor"], one["outcome"]) for one in first] == [("system", "success")]
        repository.commit({"skills.yaml": skills("two")})
        killer.during(managed, "job-done", partial(managed.refresh, "g"))
    with folder.server(**options) as managed:
        job_id = events(managed, eventType="management")[-1]["metadata"]["jobId"]
        assert events(managed, eventType="job", resourceId=job_id) == []
        execute(dsn, "UPDATE refresh_jobs SET heartbeat_at = heartbeat_at - 3600000 WHERE state = 'running'")
        managed.wait_for_job(job_id)
        (ended,) = events(managed, eventType="job", resourceId=job_id)
        assert (ended["outcome"], ended["metadata"]["attemptCount"]) == ("success", 2)


@pytest.mark.parametrize("way", ["cut", "freeze"])
def test_a_lost_database_then_the_events_wait_on_the_disk_and_outlive_a_kill(
    database: str, folder: Folder, way: str
) -> None:
    with behind_proxy(database) as (proxy, options):
        with folder.server(**options) as managed:
            getattr(proxy, way)()
            denied = managed.server.client.post(f"{managed.server.url}{MANAGEMENT}/refresh")
            assert denied.status_code == 403
            assert invalid(managed).status_code == 400
            assert spooled(folder) == [".event", ".event"]
            kill(managed)
        with folder.server(wait=False, **options) as managed:
            assert spooled(folder) == [".event", ".event"]
            proxy.open()
            managed.server.wait_for_ready(30)
            wait_until("the events", lambda: spooled(folder) == [], 20)
            assert [one["statusCode"] for one in events(managed, eventType="management")] == [403, 400]


def invalid(managed: Managed) -> httpx.Response:
    return managed.server.client.post(f"{managed.server.url}{MANAGEMENT}/apply-source", content=b"{", headers=OPERATOR)


def test_a_lost_database_that_is_back_then_the_running_server_brings_the_events(database: str, folder: Folder) -> None:
    with behind_proxy(database) as (proxy, options), folder.server(**options) as managed:
        proxy.cut()
        assert managed.applied(local("t", "one.yaml"))["pending"]
        assert managed.post(f"{MANAGEMENT}/refresh/s").status_code == 503
        assert spooled(folder) == [".event", ".event"]
        proxy.open()
        wait_until("the events", lambda: spooled(folder) == [], 20)
        managed.server.wait_for_ready(30)
        found = events(managed, eventType="management")
        assert [(one["actionVerb"], one["statusCode"]) for one in found] == [
            ("apply-source", 200),
            ("refresh", 503),
        ]
        assert found[0]["newValue"]["version"]
