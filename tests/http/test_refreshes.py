"""Refreshing sources on request: jobs, limits, the guard against removals, and who else works on the same source."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog_server.catalog.refresher import Superseded
from catalog_server.providers.yaml import YAMLProvider
from tests.catalog_files import named, write_catalog
from tests.http.client import BASES
from tests.http.operator import BASE, JOBS, MANAGEMENT, SKILLS, SOURCES, Operator, operating

MANY = [f"skill-{n:02}" for n in range(20)]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with operating(tmp_path) as found:
        yield found


@pytest.fixture
def without_jobs(tmp_path: Path) -> Iterator[Operator]:
    with operating(tmp_path, CATALOG_JOB_ENABLED="false") as found:
        yield found


# --- with jobs ---


def test_a_refresh_is_a_job(operator: Operator) -> None:
    """202 with the id and the place of the job, which then loads the source."""
    write_catalog(operator.folder / "main.yaml", "skills", named("one", "new"))
    response = operator.ask("POST", f"{MANAGEMENT}/refresh/main")
    assert response.status_code == 202
    document = response.json()
    assert document == {"status": "queued", "jobId": document["jobId"]}
    assert response.headers["location"] == f"{JOBS}/{document['jobId']}"
    queued = operator.ok("GET", response.headers["location"])
    assert queued == {
        "id": document["jobId"],
        "namespace": "default",
        "plugin": "skills",
        "requestedBy": "olivia",
        "requestedAt": queued["requestedAt"],
        "state": "queued",
        "attemptCount": 0,
        "sourceId": "main",
    }
    job = operator.finished(document["jobId"])
    assert (job["state"], job["message"]) == ("succeeded", "Loaded 2 entities, removed 1")
    assert (job["entitiesLoaded"], job["entitiesRemoved"], job["attemptCount"]) == (2, 1, 1)
    assert job["startedAt"] >= job["requestedAt"]
    assert job["finishedAt"] >= job["startedAt"]
    assert operator.names() == ["four", "new", "one"]
    assert operator.sources()["main"]["status"]["lastRefreshSummary"] == "Loaded 2 entities, removed 1"


@pytest.mark.parametrize("path", ["refresh", "refresh/main", "sources/main/refresh"])
@pytest.mark.parametrize("base", [MANAGEMENT, BASE])
def test_a_refresh_has_several_paths(operator: Operator, base: str, path: str) -> None:
    job = operator.finished(operator.ok("POST", f"{base}/{path}", status=202)["jobId"])
    assert job["state"] == "succeeded"
    assert job.get("sourceId") == (None if path == "refresh" else "main")
    assert job["entitiesLoaded"] == (3 if path == "refresh" else 2)


def test_the_body_is_ignored(operator: Operator) -> None:
    for body in (b"", b"{}", b"no JSON", b"x" * 3_000_000):
        assert operator.ok("POST", f"{MANAGEMENT}/refresh/main", body, status=202)["status"] == "queued"


def test_the_live_job_answers_every_caller(operator: Operator) -> None:
    """Also other users, and without using up their budget."""
    first = operator.ok("POST", f"{MANAGEMENT}/refresh/main", status=202)["jobId"]
    for user in ("olivia", "oscar"):
        again = operator.ok("POST", f"{MANAGEMENT}/refresh/main", status=202, headers={"X-Remote-User": user})
        assert again["jobId"] == first
    assert operator.job(first)["requestedBy"] == "olivia"
    other = operator.ok("POST", f"{MANAGEMENT}/refresh", status=202)["jobId"]
    assert other != first
    operator.finished(first)
    response = operator.ask("POST", f"{MANAGEMENT}/refresh/main")
    assert response.status_code == 429


def test_once_in_thirty_seconds(operator: Operator) -> None:
    operator.finished(operator.refresh())
    response = operator.ask("POST", f"{MANAGEMENT}/refresh/main")
    assert response.status_code == 429
    seconds = int(response.headers["retry-after"])
    assert 1 <= seconds <= 30
    assert response.json() == {
        "error": "Too Many Requests",
        "message": f"rate limited, retry after {seconds} seconds",
    }
    assert operator.ok("POST", f"{MANAGEMENT}/refresh/other", status=202), "each source has a budget of its own"
    operator.forget_limits()
    assert operator.ok("POST", f"{MANAGEMENT}/refresh/main", status=202)


def test_the_budget_is_shared_with_the_action(operator: Operator) -> None:
    done = operator.ok("POST", f"{MANAGEMENT}/sources/main:action", {"action": "refresh"})
    assert (done["action"], done["status"], done["message"]) == ("refresh", "completed", "Refreshed source main")
    assert done["data"]["entitiesLoaded"] == 2
    assert done["data"]["duration"].endswith("s")
    operator.error("POST", f"{MANAGEMENT}/refresh/main", status=429)
    operator.error("POST", f"{MANAGEMENT}/sources/main:action", {"action": "refresh"}, status=429)


def test_an_unknown_source_costs_no_budget(operator: Operator) -> None:
    for source in ("nobody", "nobody", "_all", "a%2Fb", "%00", "a" * 200, "%F0%9F%98%80"):
        error = operator.error("POST", f"{MANAGEMENT}/refresh/{source}", status=404)
        assert "not found" in error["message"] or "no such path" in error["message"]
    operator.error("POST", f"{MANAGEMENT}/sources/nobody:action", {"action": "refresh"}, status=404)
    assert not operator.services.refreshes._limits._taken


def test_a_disabled_source_is_not_refreshed(operator: Operator) -> None:
    operator.ok("POST", f"{MANAGEMENT}/sources/main/enable", {"enabled": False})
    for request in (
        ("POST", f"{MANAGEMENT}/refresh/main"),
        ("POST", f"{MANAGEMENT}/sources/main:action", {"action": "refresh"}),
    ):
        assert "enable it first" in operator.error(*request, status=409)["message"]
    job = operator.finished(operator.ok("POST", f"{MANAGEMENT}/refresh", status=202)["jobId"])
    assert (job["state"], job["entitiesLoaded"]) == ("succeeded", 1)
    assert operator.names() == ["four"]


@pytest.mark.parametrize("base", BASES)
def test_every_plugin_refreshes(operator: Operator, base: str) -> None:
    job = operator.finished(operator.ok("POST", f"{base}/management/refresh", status=202)["jobId"])
    assert job["state"] == "succeeded"
    assert f"/{job['plugin']}_catalog/" in base


def test_a_source_that_is_broken_fails_its_job(operator: Operator) -> None:
    """At once, since it does not get better by itself; what was loaded stays."""
    (operator.folder / "main.yaml").write_text("skills: [")
    job = operator.finished(operator.refresh())
    assert (job["state"], job["attemptCount"]) == ("failed", 1)
    assert job["lastError"].startswith("main.yaml:2")
    assert str(operator.folder) not in str(job)
    assert operator.names() == ["four", "one", "two"]
    status = operator.sources()["main"]["status"]
    assert (status["state"], status["lastRefreshStatus"]) == ("error", "error")
    assert (status["lastRefreshSummary"], status["entityCount"]) == ("Refresh failed", 2)
    operator.forget_limits()
    done = operator.ok("POST", f"{MANAGEMENT}/sources/main:action", {"action": "refresh"})
    assert done["status"] == "error"
    assert done["message"].startswith("main.yaml:2")
    all_of_them = operator.finished(operator.ok("POST", f"{MANAGEMENT}/refresh", status=202)["jobId"])
    assert all_of_them["state"] == "failed"
    assert all_of_them["lastError"].startswith("main: main.yaml:2")


# --- the guard against removals ---


@pytest.fixture
def guarded(operator: Operator) -> Operator:
    """A source that held 20 entities and now brings 9."""
    write_catalog(operator.folder / "main.yaml", "skills", named(*MANY))
    operator.client.refresh()
    write_catalog(operator.folder / "main.yaml", "skills", named(*MANY[:9]))
    return operator


def test_more_than_half_is_not_removed_without_a_word(guarded: Operator) -> None:
    job = guarded.finished(guarded.refresh())
    assert (job["state"], job["attemptCount"]) == ("failed", 1)
    assert "would remove 11 of 20 entities" in job["lastError"]
    assert "?confirmRemoval=true" in job["lastError"]
    assert len(guarded.names()) == 21
    status = guarded.sources()["main"]["status"]
    assert (status["state"], status["errorCode"], status["entityCount"]) == ("error", "removal_refused", 20)
    told = guarded.ok("GET", f"{MANAGEMENT}/diagnostics")["errors"]
    assert [(one["source"], one["code"]) for one in told] == [("main", "removal_refused")]
    confirmed = guarded.finished(guarded.refresh(params={"confirmRemoval": "true"}))
    assert (confirmed["state"], confirmed["entitiesLoaded"], confirmed["entitiesRemoved"]) == ("succeeded", 9, 11)
    assert len(guarded.names()) == 10


def test_a_confirmation_counts_for_the_job_that_waits_already(guarded: Operator) -> None:
    guarded.forget_limits()
    first = guarded.ok("POST", f"{MANAGEMENT}/refresh/main", status=202)["jobId"]
    again = guarded.ok("POST", f"{MANAGEMENT}/refresh/main", status=202, params={"confirmRemoval": "true"})["jobId"]
    assert again == first
    assert guarded.finished(first)["state"] == "succeeded"


def test_exactly_half_may_go(guarded: Operator) -> None:
    write_catalog(guarded.folder / "main.yaml", "skills", named(*MANY[:10]))
    assert guarded.finished(guarded.refresh())["state"] == "succeeded"


def test_apply_can_confirm_too(guarded: Operator) -> None:
    given = {"id": "main", "name": "Main", "type": "yaml", "refreshAfterApply": True}
    guarded.forget_limits()
    refused = guarded.apply(given)["refreshResult"]
    assert "would remove 11 of 20" in refused["error"]
    guarded.forget_limits()
    assert guarded.apply(given, params={"confirmRemoval": "true"})["refreshResult"]["entitiesRemoved"] == 11


def test_a_confirmation_is_true_or_false(operator: Operator) -> None:
    params = {"confirmRemoval": "maybe"}
    assert operator.error("POST", f"{MANAGEMENT}/refresh", status=400, params=params)["field"] == "confirmRemoval"


# --- without jobs ---


def test_without_jobs_the_caller_waits(without_jobs: Operator) -> None:
    write_catalog(without_jobs.folder / "main.yaml", "skills", named("one", "new"))
    done = without_jobs.ok("POST", f"{MANAGEMENT}/refresh/main")
    assert done.pop("duration") > 0
    assert done == {"sourceId": "main", "entitiesLoaded": 2, "entitiesRemoved": 1}
    assert without_jobs.names() == ["four", "new", "one"]
    without_jobs.error("POST", f"{MANAGEMENT}/refresh/main", status=429)
    done = without_jobs.ok("POST", f"{MANAGEMENT}/refresh")
    assert (done["entitiesLoaded"], "sourceId" in done) == (3, False)
    without_jobs.error("GET", JOBS, status=404)


def test_without_jobs_a_failure_is_told_in_the_result(without_jobs: Operator) -> None:
    (without_jobs.folder / "main.yaml").write_text("skills: [")
    done = without_jobs.ok("POST", f"{MANAGEMENT}/refresh/main")
    assert done["error"].startswith("main.yaml:2")
    assert (done["entitiesLoaded"], done["entitiesRemoved"]) == (0, 0)


# --- who else works on the same source ---


class Gate:
    """Holds the fetch of `main` until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        fetch = YAMLProvider.fetch

        def slow(provider: YAMLProvider, properties: Any, files: Any) -> Any:
            if properties.get("yamlCatalogPath") == "main.yaml":
                self.reached.set()
                assert self.opened.wait(20)
            return fetch(provider, properties, files)

        monkeypatch.setattr(YAMLProvider, "fetch", slow)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("DELETE", "sources/main", None), ("POST", "sources/main/enable", {"enabled": False})],
)
def test_a_refresh_that_hangs_does_not_hold_up_changes(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    """The change is in force at once, and nothing comes back afterwards."""
    gate = Gate(monkeypatch)
    job_id = operator.refresh()
    operator.start_workers()
    assert gate.reached.wait(20)
    operator.ok(method, f"{MANAGEMENT}/{path}", body)
    assert operator.names() == ["four"]
    gate.opened.set()
    operator.finished(job_id)
    assert operator.names() == ["four"]


def test_a_refresh_that_waited_does_not_bring_back_what_was_deleted(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = operator.services
    plugin = services.registry.plugins["skills"]
    (stale,) = (one for one in services.configuration.section(plugin).sources if one.id == "main")
    operator.ok("DELETE", f"{MANAGEMENT}/sources/main")
    done = services.refreshes._refresher.refresh(plugin, stale)
    assert isinstance(done.error, Superseded)
    assert operator.names() == ["four"]


def test_a_file_that_changes_during_its_load_is_loaded_again(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    loader = operator.services.loader
    file = operator.folder / "main.yaml"
    loader.touch([file])
    thread = threading.Thread(target=loader.load)
    thread.start()
    assert gate.reached.wait(20)
    loader.touch([file])
    gate.opened.set()
    thread.join()
    assert loader.is_due


def test_a_job_of_a_source_that_is_deleted_meanwhile(operator: Operator) -> None:
    job_id = operator.refresh()
    operator.ok("DELETE", f"{MANAGEMENT}/sources/main")
    job = operator.finished(job_id)
    assert (job["state"], job["attemptCount"]) == ("failed", 1)
    assert "not found" in job["lastError"]
    assert operator.names(SKILLS) == ["four"]
    assert operator.file.read_text() != SOURCES


def test_changes_that_wait_do_not_hold_up_reads(without_jobs: Operator) -> None:
    """Not even when more of them wait than asyncio has threads for."""
    loader, plugin = without_jobs.services.loader, {"id": "other", "name": "O", "type": "yaml"}
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with loader.changing:
            held.set()
            assert done.wait(20)

    async def ask() -> set[int]:
        client, headers = without_jobs.client._client, without_jobs.headers
        applies = [client.post(f"{MANAGEMENT}/apply-source", headers=headers, json=plugin) for _ in range(50)]
        waiting = [asyncio.ensure_future(one) for one in applies]
        await asyncio.sleep(0.2)
        paths = (f"{MANAGEMENT}/sources", f"{MANAGEMENT}/diagnostics", f"{MANAGEMENT}/entities/one")
        read = [(await asyncio.wait_for(client.get(path, headers=headers), 10)).status_code for path in paths]
        assert not any(one.done() for one in waiting)
        done.set()
        return {*read, *[(await one).status_code for one in waiting]}

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    assert without_jobs.client._runner.run(ask()) == {200}
    thread.join()
