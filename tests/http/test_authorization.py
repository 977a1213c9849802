"""Mode `sar`: the cluster decides about each request (spec platform.md 4.3), and nobody gets in when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fake_kubernetes import REVIEWS
from tests.http.client import SERVERS, check_error
from tests.http.operator import BASE, JOBS, MANAGEMENT, SKILLS
from tests.http.reviewed import Reviewed, reviewing

NAMESPACES = "/api/tenancy/v1alpha1/namespaces"
EXEMPT = ("/healthz", "/livez", "/readyz", "/", "/openapi.json", NAMESPACES)
PREFLIGHT = {"Origin": "https://ui.example", "Access-Control-Request-Method": "DELETE"}
UNDECIDED = {"error": "service_unavailable", "message": "authorization check failed"}
TEAMS = {"CATALOG_TENANCY_MODE": "namespace", "CATALOG_NAMESPACES": "team-a,team-b,team-c,team-d,team-e,team-f"}


@pytest.fixture
def reviewed(tmp_path: Path) -> Iterator[Reviewed]:
    with reviewing(tmp_path) as found:
        yield found


def test_nobody_then_unauthorized_and_the_cluster_is_not_asked(reviewed: Reviewed) -> None:
    for headers in ({}, {"X-Remote-User": "  "}, {"X-Remote-User": "anonymous"}, {"X-User-Role": "operator"}):
        for path in (SKILLS, "/api/plugins", JOBS, "/nowhere"):
            answer = reviewed.client.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert check_error(answer) == {"error": "unauthorized", "message": "the request names no user"}
    assert reviewed.cluster.reviews == []


def test_denied_then_forbidden_with_permission_and_namespace(reviewed: Reviewed) -> None:
    for method, path, permission in (
        ("GET", SKILLS, "assets/list"),
        ("GET", f"{SKILLS}/one", "assets/get"),
        ("POST", f"{MANAGEMENT}/apply-source", "catalogsources/create"),
        ("POST", f"{JOBS}/x:cancel", "jobs/create"),
    ):
        message = f"insufficient permissions for {permission} in namespace default"
        assert reviewed.error(method, path, b"no JSON" * 1000 if method == "POST" else None, status=403) == {
            "error": "forbidden",
            "message": message,
        }


def test_unknown_endpoint_then_forbidden_though_everything_is_allowed(reviewed: Reviewed) -> None:
    """Default deny: what no route answers, and methods that a path does not take, are nobody's."""
    reviewed.cluster.allows = lambda spec: True
    for method, path in (
        ("GET", "/nowhere"),
        ("GET", "/api/skills_catalog/v1alpha1/management/nothing"),
        ("PUT", SKILLS),
        ("DELETE", "/api/plugins"),
        ("OPTIONS", SKILLS),
    ):
        answer = reviewed.error(method, path, status=403)
        assert answer["error"] == "forbidden"
        assert answer["message"] == "insufficient permissions for an unknown endpoint"
    assert reviewed.cluster.reviews == []


def test_exempt_when_the_cluster_is_down_then_answered_to_nobody(reviewed: Reviewed) -> None:
    reviewed.fail()
    for path in EXEMPT:
        assert reviewed.client.get(path).status_code == 200, path
    answer = reviewed.client.request("OPTIONS", SKILLS, headers=PREFLIGHT)
    assert answer.status_code == 204
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    assert reviewed.cluster.requests == []


@pytest.mark.parametrize("status", [403, 404, 409, 422, 500, 503])
def test_api_when_it_gives_no_decision_then_unavailable(reviewed: Reviewed, status: int) -> None:
    """Also when the server's own account is the one that may not ask: 503, no 403, and none of the reason."""
    reviewed.fail(status)
    for path in (SKILLS, JOBS, "/api/plugins", f"{MANAGEMENT}/sources"):
        for _ in range(2):
            answer = reviewed.ask("GET", path)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert check_error(answer) == UNDECIDED
            assert "etcd" not in answer.text
            assert "10.0.0.7" not in answer.text
    assert len(reviewed.cluster.requests) == 8, "errors are not kept"


def test_api_when_it_is_back_then_so_are_we(reviewed: Reviewed) -> None:
    reviewed.fail()
    reviewed.error("GET", SKILLS, status=503)
    reviewed.cluster.before = lambda method, path: None
    reviewed.allow("assets/list")
    assert len(reviewed.names()) == 3


def test_api_when_it_is_down_then_kept_decisions_still_count(reviewed: Reviewed) -> None:
    reviewed.allow("assets/list")
    names = reviewed.names()
    reviewed.cluster.allows = lambda spec: False
    assert reviewed.names() == names
    assert len(reviewed.cluster.reviews) == 1
    reviewed.forget()
    reviewed.error("GET", SKILLS, status=403)


def test_decisions_then_counted_by_what_came_of_them(reviewed: Reviewed) -> None:
    """Asked of the cluster or kept; what needs no decision is none."""
    reviewed.allow("assets/list")
    for _ in range(3):
        assert reviewed.ok("GET", SKILLS)
        assert reviewed.error("GET", f"{SKILLS}/one", status=403)
    reviewed.client.get("/livez")
    reviewed.fail()
    assert reviewed.error("GET", SKILLS, status=503)
    decisions = reviewed.client.server.app._measurements.decisions
    assert decisions == {("allowed",): 3, ("denied",): 3, ("undecided",): 1}


def test_cached_answer_and_etag_when_denied_then_not_given(reviewed: Reviewed) -> None:
    reviewed.allow("assets/list")
    etag = reviewed.ask("GET", SKILLS).headers["etag"]
    assert reviewed.ask("GET", SKILLS, headers={"If-None-Match": etag}).status_code == 304
    bob = {"X-Remote-User": "bob"}
    for headers in (bob, {**bob, "If-None-Match": etag}, {**bob, "If-None-Match": "*"}):
        answer = reviewed.ask("GET", SKILLS, headers=headers)
        assert answer.status_code == 403
        assert "etag" not in answer.headers
    assert reviewed.client.get(SKILLS, headers={"If-None-Match": etag}).status_code == 401


def test_head_then_as_get(reviewed: Reviewed) -> None:
    assert reviewed.ask("HEAD", SKILLS).status_code == 403
    reviewed.allow("assets/list")
    assert reviewed.ask("HEAD", SKILLS).status_code == 200
    assert reviewed.asked == ["assets/list default"]


@pytest.mark.parametrize(
    "name", ["x:action", "x:rollback", "x:validate", "management", "entities", "refresh", "sources"]
)
def test_name_that_looks_like_a_route_then_no_other_permission(reviewed: Reviewed, name: str) -> None:
    """What is asked follows from the routed template (D26)."""
    reviewed.allow("assets/get")
    models = "/api/model_catalog/v1alpha1/sources/management/models"
    for path in (f"{SKILLS}/{name}", f"{SERVERS}/{name}", f"{models}/{name}", f"{models}/management%2Frefresh/{name}"):
        reviewed.error("GET", path, status=404)
    assert reviewed.asked == ["assets/get default"]


def test_role_then_plays_no_part(reviewed: Reviewed) -> None:
    reviewed.allow("assets/list")
    role = {"X-User-Role": "operator"}
    reviewed.error("POST", f"{MANAGEMENT}/refresh", headers=role, status=403)
    reviewed.allow("jobs/create")
    reviewed.refresh()
    assert reviewed.asked == ["jobs/create default"]


def test_content_and_paths_then_for_those_who_may_change_the_sources(reviewed: Reviewed) -> None:
    """What only operators see in mode `none` goes by catalogsources/update here."""
    role = {"X-User-Role": "operator"}
    reads = ("catalogsources/list", "catalogsources/get")
    reviewed.allow(*reads)
    for path in ("sources", "diagnostics"):
        shown = reviewed.ask("GET", f"{MANAGEMENT}/{path}", headers=role)
        assert shown.status_code == 200
        assert "resolvedPath" not in shown.text
        assert "- name: one" not in shown.text
    assert str(reviewed.folder) not in reviewed.ask("GET", f"{BASE}/diagnostics", headers=role).text
    reviewed.allow(*reads, "catalogsources/update")
    assert "name: one" in reviewed.sources()["main"]["properties"]["content"]
    path = reviewed.ok("GET", f"{MANAGEMENT}/diagnostics")["sources"][0]["resolvedPath"]
    assert path == str((reviewed.folder / "main.yaml").resolve())


def test_thousand_requests_at_once_then_one_review(reviewed: Reviewed) -> None:
    """1,000 identical uncached requests cause one SubjectAccessReview, and some that are given up take nothing away."""
    reviewed.allow("assets/list")
    client = reviewed.client._client

    async def ask() -> list[httpx.Response | BaseException]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(client.get(SKILLS, headers={"X-Remote-User": "ann"}), name=str(number))
                for number in range(1000)
            ]
            await asyncio.sleep(0)
            for task in tasks[:10]:
                task.cancel()
        return [task.result() for task in tasks[10:]]

    answers = reviewed.client._runner.run(ask())
    assert [one.status_code for one in answers if isinstance(one, httpx.Response)] == [200] * 990
    assert reviewed.cluster.requests == [("POST", f"/apis/authorization.k8s.io/v1/{REVIEWS}")]


def test_names_of_users_then_asked_as_they_are(reviewed: Reviewed) -> None:
    reviewed.allow("assets/list", user="system:serviceaccount:team-a:bot")
    for user, status in (("system:serviceaccount:team-a:bot", 200), ("system:serviceaccount:team-a", 403)):
        assert reviewed.ask("GET", SKILLS, headers={"X-Remote-User": user}).status_code == status
    assert [spec["user"] for spec in reviewed.cluster.reviews] == [
        "system:serviceaccount:team-a:bot",
        "system:serviceaccount:team-a",
    ]


class TestNamespaces:
    @pytest.fixture
    def teams(self, tmp_path: Path) -> Iterator[Reviewed]:
        with reviewing(tmp_path, **TEAMS) as found:
            yield found

    def test_tenant_then_the_one_that_is_asked_about(self, teams: Reviewed) -> None:
        teams.allow("assets/list", namespaces=("team-a",))
        assert teams.ask("GET", f"{SKILLS}?namespace=team-a").status_code == 200
        error = teams.error("GET", f"{SKILLS}?namespace=team-b", headers={"X-Namespace": "team-a"}, status=403)
        assert error["message"] == "insufficient permissions for assets/list in namespace team-b"
        assert teams.asked == ["assets/list team-a", "assets/list team-b"]
        # Tenancy comes first, as ever.
        assert teams.error("GET", SKILLS, status=400)["error"] == "bad_request"
        assert "not served" in teams.error("GET", f"{SKILLS}?namespace=team-x", status=403)["message"]

    def test_list_then_those_whose_assets_the_caller_may_list(self, teams: Reviewed) -> None:
        teams.allow("assets/list", namespaces=("team-f", "team-b", "team-x"))
        expected = {"namespaces": ["team-b", "team-f"], "mode": "namespace"}
        assert teams.ok("GET", NAMESPACES) == expected
        assert teams.ok("GET", NAMESPACES, headers={"X-User-Role": "operator"}) == expected
        assert len(teams.cluster.reviews) == 6
        teams.allow("assets/get", "jobs/list")
        assert teams.ok("GET", NAMESPACES) == {"namespaces": [], "mode": "namespace"}

    def test_list_when_nobody_asks_then_unauthorized(self, teams: Reviewed) -> None:
        assert check_error(teams.client.get(NAMESPACES))["error"] == "unauthorized"
        assert teams.client.get(NAMESPACES).status_code == 401

    def test_list_when_one_of_them_is_not_known_then_unavailable(self, teams: Reviewed) -> None:
        """Half a list would look whole."""
        teams.allow("assets/list", namespaces=("team-a",))
        calls = iter(range(100))

        def before(method: str, path: str) -> None:
            if next(calls) == 3:
                teams.fail()
                teams.cluster.before(method, path)

        teams.cluster.before = before
        answer = teams.ask("GET", NAMESPACES)
        assert answer.status_code == 503
        assert "retry-after" in answer.headers

    def test_list_when_roles_decide_then_all(self, tmp_path: Path) -> None:
        with reviewing(tmp_path, **TEAMS, CATALOG_AUTHZ_MODE="none") as found:
            assert len(found.client.ok(NAMESPACES)["namespaces"]) == 6


def test_api_document_then_tells_what_the_cluster_can_lead_to(reviewed: Reviewed) -> None:
    paths = reviewed.client.ok("/openapi.json")["paths"]
    for path, methods in paths.items():
        for operation in methods.values():
            is_exempt = path.removesuffix("/{check}") in EXEMPT
            assert ({"401", "403", "503"} <= set(operation["responses"])) is not is_exempt, path
