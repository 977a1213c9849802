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
