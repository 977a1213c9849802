"""Who may change what: operators, told by a header that counts where nobody else can send it (spec http-api.md 5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from catalog_server.http.router import Route
from tests.http.operator import JOBS, MANAGEMENT, SOURCES, Operator, operating
from tests.server import SAMPLE, RunningServer, running

CHANGES = (
    *(("POST", f"{MANAGEMENT}/{path}") for path in ("validate-source", "apply-source", "sources", "rollback")),
    *(("POST", f"{MANAGEMENT}/sources/main{end}") for end in (":validate", "/enable", ":rollback", ":action")),
    *(("POST", f"{MANAGEMENT}/{path}") for path in ("refresh", "refresh/main", "sources/main/refresh")),
    ("POST", f"{MANAGEMENT}/entities/one:action"),
    ("DELETE", f"{MANAGEMENT}/sources/main"),
    ("POST", f"{JOBS}/x:cancel"),
)
READS = (
    *(f"{MANAGEMENT}/{path}" for path in ("sources", "revisions", "sources/main/revisions", "diagnostics")),
    *(f"{MANAGEMENT}/{path}" for path in ("actions/source", "actions/asset", "entities/one")),
    JOBS,
)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operating(tmp_path_factory.mktemp("roles")) as found:
        yield found


def routes_of(operator: Operator) -> tuple[Route, ...]:
    return operator.client.server.app.router.routes


def test_whatever_is_no_read_needs_an_operator(operator: Operator) -> None:
    unguarded = [one.template for one in routes_of(operator) if one.method != "GET" and not one.needs_operator]
    assert unguarded == ["/api/model_catalog/v1alpha1/sources/preview"][: len(unguarded)]
    assert not [one.template for one in routes_of(operator) if one.method == "GET" and one.needs_operator]


@pytest.mark.parametrize("body", [b"", b"no JSON", b"x" * 3_000_000])
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_viewers_change_nothing(operator: Operator, method: str, path: str, body: bytes) -> None:
    """403 before the body is looked at, as JSON."""
    for role in ({}, {"X-User-Role": "viewer"}, {"X-User-Role": "admin"}, {"X-User-Role": "operators"}):
        response = operator.client.request(method, path, headers=role, content=body)
        assert response.status_code == 403
        assert response.headers["content-type"] == "application/json"
        assert response.json() == {"error": "forbidden", "message": "insufficient permissions"}
    assert operator.file.read_text() == SOURCES


@pytest.mark.parametrize("role", ["operator", " Operator ", "OPERATOR", "\toperator"])
def test_the_role_is_trimmed_and_of_any_case(operator: Operator, role: str) -> None:
    headers = {"X-User-Role": role}
    response = operator.client.request("POST", f"{MANAGEMENT}/validate-source", headers=headers, content=b"{}")
    assert response.status_code == 200


@pytest.mark.parametrize("path", READS)
def test_viewers_read(operator: Operator, path: str) -> None:
    assert operator.client.get(path).status_code == 200


def test_viewers_do_not_see_paths_of_the_machine(operator: Operator) -> None:
    shown = operator.ok("GET", f"{MANAGEMENT}/diagnostics")["sources"]
    assert shown[0]["resolvedPath"] == str((operator.folder / "main.yaml").resolve())
    for path in READS:
        assert str(operator.folder) not in operator.client.get(path).text


@pytest.mark.parametrize(
    ("env", "arguments", "status"),
    [
        ({}, (), 200),
        ({}, ("--listen=0.0.0.0:0",), 403),
        ({"CATALOG_ALLOW_HEADER_AUTH": "true"}, ("--listen=0.0.0.0:0",), 200),
    ],
)
def test_the_header_counts_where_only_this_machine_can_connect(
    tmp_path: Path, env: dict[str, str], arguments: tuple[str, ...], status: int
) -> None:
    with running(tmp_path, SAMPLE, *arguments, **env) as server:  # type: ignore[arg-type]
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        headers = {"X-User-Role": "operator"}
        response = httpx.post(f"{url}{MANAGEMENT}/validate-source", headers=headers, content=b"{}", trust_env=False)
        assert response.status_code == status


def test_a_large_body_that_is_refused_unread(running_server: RunningServer) -> None:
    """The connection goes on working, or is closed; the server does not wait for the rest."""
    url = f"{running_server.url}{MANAGEMENT}/apply-source"
    with httpx.Client(trust_env=False) as client:
        for _ in range(2):
            assert client.post(url, content=b"x" * 20_000_000, timeout=20).status_code == 403
        assert client.get(f"{running_server.url}/livez").status_code == 200
