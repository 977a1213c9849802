"""The list of refresh jobs: filters, pages, one of them, cancelling (spec http-api.md 1.10, platform.md 6.8)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog_server.providers.yaml import YAMLProvider
from tests.http.operator import JOBS, MANAGEMENT, Operator, operating

AGENTS = "/api/agents_catalog/v1alpha1/management"


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with operating(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, dict[str, str]]]:
    """Five jobs that nobody runs; one is canceled. They must not be changed."""
    with operating(tmp_path_factory.mktemp("jobs")) as operator:
        wanted = {
            "main": (f"{MANAGEMENT}/refresh/main", "olivia"),
            "other": (f"{MANAGEMENT}/refresh/other", "oscar"),
            "all": (f"{MANAGEMENT}/refresh", "olivia"),
            "agents": (f"{AGENTS}/refresh", "olivia"),
            "helpers": (f"{AGENTS}/refresh/helpers", "oscar"),
        }
        made = {
            name: operator.ok("POST", path, status=202, headers={"X-Remote-User": user})["jobId"]
            for name, (path, user) in wanted.items()
        }
        operator.ok("POST", f"{JOBS}/{made['other']}:cancel")
        yield operator, made


def test_an_empty_list(operator: Operator) -> None:
    assert operator.ok("GET", JOBS) == {"jobs": [], "nextPageToken": "", "totalSize": 0}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, {"main", "other", "all", "agents", "helpers"}),
        ({"plugin": "skills"}, {"main", "other", "all"}),
        ({"plugin": "nothing"}, set()),
        ({"plugin": "skills\u00e4"}, set()),
        ({"sourceId": "main"}, {"main"}),
        ({"sourceId": "_all"}, {"all", "agents"}),
        ({"sourceId": "MAIN"}, set()),
        ({"state": "queued"}, {"main", "all", "agents", "helpers"}),
        ({"state": "CANCELED"}, {"other"}),
        ({"state": ""}, {"main", "other", "all", "agents", "helpers"}),
        ({"requestedBy": "oscar"}, {"other", "helpers"}),
        ({"requestedBy": "oscar", "plugin": "agents", "state": "queued"}, {"helpers"}),
        ({"namespace": "team-b"}, {"main", "other", "all", "agents", "helpers"}),
    ],
)
def test_filters(queue: tuple[Operator, dict[str, str]], filters: dict[str, str], names: set[str]) -> None:
    operator, made = queue
    page = operator.ok("GET", JOBS, params=filters)
    assert {one["id"] for one in page["jobs"]} == {made[name] for name in names}
    assert (page["totalSize"], page["nextPageToken"]) == (len(names), "")


@pytest.mark.parametrize(
    ("name", "value"),
    [("state", "done"), ("pageToken", "zzz"), ("pageToken", "2031-01-01T00:00:00Z"), ("plugin", "\0")],
)
def test_what_is_wrong_is_named(queue: tuple[Operator, dict[str, str]], name: str, value: str) -> None:
    """A page token that is none is 400, not 500."""
    error = queue[0].error("GET", JOBS, status=400, params={name: value})
    assert error["field"] == name
    assert error["error"] == error["message"]


def test_pages(queue: tuple[Operator, dict[str, str]]) -> None:
    operator, made = queue
    found, token, sizes = [], "", []
    while True:
        page = operator.ok("GET", JOBS, params={"pageSize": "2", "pageToken": token})
        assert page["totalSize"] == 5
        found += page["jobs"]
        sizes.append(len(page["jobs"]))
        token = page["nextPageToken"]
        if not token:
            break
    assert sizes == [2, 2, 1]
    assert {one["id"] for one in found} == set(made.values())
    times = [one["requestedAt"] for one in found]
    assert times == sorted(times, reverse=True)


def test_a_token_belongs_to_its_filters(queue: tuple[Operator, dict[str, str]]) -> None:
    operator, _ = queue
    token = operator.ok("GET", JOBS, params={"pageSize": "1", "plugin": "skills"})["nextPageToken"]
    assert operator.ok("GET", JOBS, params={"pageSize": "1", "plugin": "skills", "nextPageToken": token})["jobs"]
    error = operator.error("GET", JOBS, status=400, params={"pageSize": "1", "pageToken": token})
    assert error["field"] == "pageToken"


@pytest.mark.parametrize("size", ["0", "-1", "x", "", "1000", "9" * 30])
def test_a_page_size_that_is_none_is_the_default(queue: tuple[Operator, dict[str, str]], size: str) -> None:
    assert len(queue[0].ok("GET", JOBS, params={"pageSize": size})["jobs"]) == 5


def test_everybody_may_look(queue: tuple[Operator, dict[str, str]]) -> None:
    operator, made = queue
    assert operator.client.ok(JOBS)["totalSize"] == 5
    assert operator.client.ok(f"{JOBS}/{made['main']}")["state"] == "queued"
    response = operator.client.request("POST", f"{JOBS}/{made['main']}:cancel")
    assert response.status_code == 403


@pytest.mark.parametrize("job", ["nothing", "0" * 36, "a" * 300, "%00", "%F0%9F%98%80", "x'--"])
def test_a_job_that_is_not_there(queue: tuple[Operator, dict[str, str]], job: str) -> None:
    for request in (("GET", f"{JOBS}/{job}"), ("POST", f"{JOBS}/{job}:cancel")):
        error = queue[0].error(*request, status=404)
        assert error["error"] == error["message"]
        assert "not found" in error["message"]


def test_cancel_a_waiting_job(operator: Operator) -> None:
    job_id = operator.refresh()
    assert operator.ok("POST", f"{JOBS}/{job_id}:cancel") == {"status": "canceled", "jobId": job_id}
    job = operator.job(job_id)
    assert (job["state"], job["message"]) == ("canceled", "Canceled by user")
    assert job["finishedAt"]
    error = operator.error("POST", f"{JOBS}/{job_id}:cancel", status=409)
    assert "it is canceled" in error["message"]
    assert operator.refresh() != job_id, "the source can be refreshed again"


def test_cancel_a_running_job(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, opened = threading.Event(), threading.Event()
    fetch = YAMLProvider.fetch

    def slow(provider: YAMLProvider, properties: Any, files: Any) -> Any:
        reached.set()
        assert opened.wait(20)
        return fetch(provider, properties, files)

    monkeypatch.setattr(YAMLProvider, "fetch", slow)
    job_id = operator.refresh()
    operator.start_workers()
    assert reached.wait(20)
    job = operator.job(job_id)
    assert (job["state"], job["attemptCount"]) == ("running", 1)
    assert operator.ok("POST", f"{JOBS}/{job_id}:cancel") == {"status": "canceling", "jobId": job_id}
    threading.Timer(1.5, opened.set).start()  # the worker looks for such wishes each second
    assert operator.finished(job_id)["state"] == "canceled"
    assert operator.names() == ["four", "one", "two"]


def test_cancel_a_job_that_has_ended(operator: Operator) -> None:
    job_id = operator.refresh()
    operator.finished(job_id)
    assert "it is succeeded" in operator.error("POST", f"{JOBS}/{job_id}:cancel", status=409)["message"]


def test_a_job_that_has_ended_shows_no_progress(operator: Operator) -> None:
    job_id = operator.ok("POST", f"{MANAGEMENT}/refresh", status=202)["jobId"]
    job = operator.finished(job_id)
    assert job["state"] == "succeeded"
    assert "progress" not in job
