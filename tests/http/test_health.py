"""Probes (seed, Health Endpoints; spec platform.md 2)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.http.client import Client, open_client

PROBES = ("/healthz", "/livez", "/readyz")


@pytest.mark.parametrize("path", PROBES[:2])
def test_liveness(sample: Client, path: str) -> None:
    response = sample.get(path)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert set(body) == {"status", "uptime"}
    assert body["status"] == "alive"
    assert re.fullmatch(r"(\d+h)?(\d+m)?\d+s", body["uptime"])


def test_ready(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        assert client.ok("/readyz") == {
            "status": "ready",
            "components": {
                "database": {"status": "up"},
                "initial_load": {"status": "complete"},
                "plugins": {"status": "healthy", "details": "all 8 plugins healthy"},
            },
        }


def test_not_ready_yet(tmp_path: Path) -> None:
    with open_client(tmp_path, load_now=False) as client:
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json() == {
            "status": "not_ready",
            "components": {
                "database": {"status": "down", "error": "not checked yet"},
                "initial_load": {"status": "pending"},
                "plugins": {"status": "healthy", "details": "all 8 plugins healthy"},
            },
        }
        assert client.get("/livez").status_code == 200


def test_a_lost_database_and_a_stop_end_readiness(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        health = client.server.health
        health.database_is("connection refused")
        body = client.get("/readyz").json()
        assert body["components"]["database"] == {"status": "down", "error": "connection refused"}
        assert client.get("/readyz").status_code == 503
        health.database_is(None)
        assert client.get("/readyz").status_code == 200
        health.is_stopping.set()
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("path", PROBES)
def test_methods(tmp_path: Path, path: str) -> None:
    with open_client(tmp_path) as client:
        head = client.request("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 0
        refused = client.request("POST", path)
        assert refused.status_code == 405
        assert refused.headers["allow"] == "GET, HEAD, OPTIONS"
        assert client.request("OPTIONS", path).status_code == 204


def test_probes_leave_no_trace_in_the_access_log(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        for path in PROBES:
            client.get(path)
        assert client.log == ""
        client.get("/api/plugins")
        assert '"path":"/api/plugins"' in client.log


def test_text_as_kubernetes_tells_it(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        health = client.server.health

        def text(path: str, status: int) -> list[str]:
            response = client.get(path)
            assert (response.status_code, response.headers["content-type"]) == (status, "text/plain; charset=utf-8")
            return response.text.splitlines()

        assert text("/livez?verbose", 200) == ["[+]ping ok", "livez check passed"]
        passed = ["[+]ping ok", "[+]database ok", "[+]initial_load ok", "[+]plugins ok", "[+]shutdown ok"]
        assert text("/readyz?verbose=1", 200) == [*passed, "readyz check passed"]
        assert text("/readyz?exclude=database", 200) == ["ok"]
        health.database_is("connection refused")
        failed = [passed[0], "[-]database failed: reason withheld", *passed[2:]]
        assert text("/readyz?verbose", 503) == [*failed, "readyz check failed"]
        assert text("/readyz?exclude=plugins", 503)[-1] == "readyz check failed"
        assert text("/readyz?verbose&exclude=database&exclude=x", 200) == [
            passed[0],
            "[+]database excluded: ok",
            *passed[2:],
            'warn: some health checks cannot be excluded: no matches for "x"',
            "readyz check passed",
        ]
        health.is_stopping.set()
        assert "[-]shutdown failed: reason withheld" in text("/readyz?verbose", 503)
        assert text("/livez?verbose", 200)[-1] == "livez check passed"


def test_single_checks_in_both_forms(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        assert client.ok("/readyz/database") == {"status": "up"}
        assert client.ok("/livez/ping") == client.ok("/healthz/ping") == {"status": "ok"}
        assert client.get("/readyz/plugins?verbose").text == "ok"
        assert client.get("/readyz/plugins", headers={"Accept": "text/plain"}).text == "ok"
        client.server.health.database_is("connection refused")
        refused = client.get("/readyz/database")
        assert (refused.status_code, refused.json()) == (503, {"status": "down", "error": "connection refused"})
        withheld = client.get("/readyz/database?verbose")
        assert (withheld.status_code, withheld.text) == (503, "readyz check failed: reason withheld")
        unknown = client.get("/livez/database")
        assert unknown.status_code == 404
        assert unknown.json() == {"error": "Not Found", "message": "livez has these checks: ping"}


@pytest.mark.parametrize("query", ["?%ff", "?verbose=%00", "?" + "a&" * 200, "?exclude=%0a%1b[31m"])
def test_hostile_queries_of_probes(sample: Client, query: str) -> None:
    for path in ("/livez", "/readyz/ping"):
        response = sample.get(path + query)
        assert response.status_code == 200
        assert "\x1b" not in response.text
