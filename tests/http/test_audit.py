"""Exactly one audit event for each change that is asked for, whatever comes of it (spec platform.md 5.1 and 5.3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import event as sqlalchemy_event

from catalog_server.http.router import READS, Route
from catalog_server.http.routes.governance import BASE as GOVERNANCE
from tests.fake_kubernetes import serve_cluster
from tests.http.operator import BASE, JOBS, MANAGEMENT, SKILLS, Operator, operating

EVENTS = "/api/audit/v1alpha1/events"
APPLY = {"id": "new", "name": "New", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}}
TAG = {"action": "tag", "params": {"tags": ["a"]}}


@dataclass(frozen=True)
class Change:
    """A route that changes something, by its path below the plugin's, and what its event says."""

    path: str
    verb: str
    resource_type: str
    body: Any = None
    ids: list[str] = field(default_factory=list)
    method: str = "POST"
    status: int = 200
    bad_status: int = 400
    """When the body is no JSON, or there is no such source or job."""
    bad_path: str = ""


CHANGES = (
    Change("/validate-source", "validate-source", "validate-source", APPLY, ["new"]),
    Change("/sources/{source_id}:validate", "validate", "sources", {**APPLY, "id": "main"}, ["main"]),
    Change("/apply-source", "apply-source", "apply-source", APPLY, ["new"]),
    Change("/sources", "apply-source", "apply-source", APPLY, ["new"]),
    Change("/sources/{source_id}/enable", "enable-source", "sources", {"enabled": False}, ["main"]),
    Change("/sources/{source_id}", "delete", "sources", None, ["main"], "DELETE", 200, 404, "/sources/none"),
    Change("/sources/{source_id}:rollback", "rollback", "sources", "version", ["main"]),
    Change("/rollback", "rollback", "sources", "version"),
    Change("/refresh", "refresh", "refresh", None, [], "POST", 202, 429),
    Change("/refresh/{source_id}", "refresh", "refresh", None, ["main"], "POST", 202, 404, "/refresh/none"),
    Change(
        "/sources/{source_id}/refresh", "refresh", "refresh", None, ["main"], "POST", 202, 404, "/sources/none/refresh"
    ),
    Change("/sources/{source_id}:action", "execute-action", "sources", {"action": "refresh"}, ["main"]),
    Change("/entities/{name}:action", "execute-action", "entities", TAG, ["one"]),
)
ALIAS = Change("/skills/{name}:action", "execute-action", "entities", TAG, ["one"])
"""Beside the list of the entities, without `management`."""


def of_template(template: str) -> Change | None:
    """What is expected of a route: of any plugin as of `skills`."""
    path = template.replace("{name...}", "{name}").partition("_catalog/v1alpha1")[2].removeprefix("/management")
    if path.endswith("/{name}:action") and not path.startswith("/entities"):
        return ALIAS
    return next((one for one in CHANGES if one.path == path), None)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with operating(tmp_path) as found:
        yield found


def events(operator: Operator, **parameters: str) -> list[dict[str, Any]]:
    """All of them, newest first."""
    found = operator.ok("GET", EVENTS, params={"pageSize": "100", **parameters})
    assert found["totalSize"] == len(found["events"])
    listed: list[dict[str, Any]] = found["events"]
    return listed


def only(operator: Operator) -> dict[str, Any]:
    (found,) = events(operator)
    one: dict[str, Any] = operator.ok("GET", f"{EVENTS}/{found['id']}")
    assert one == found
    return one


def mutating(operator: Operator) -> list[Route]:
    return [route for route in operator.client.server.app.router.routes if route.method not in READS]


ASSET = "/assets/{plugin}/{kind}/{name...}"
GOVERNING = {
    ASSET: ("PATCH", "patch", "assets"),
    f"{ASSET}/actions/{{action}}": ("POST", "execute-action", "assets"),
    f"{ASSET}/versions": ("POST", "create", "versions"),
    f"{ASSET}/bindings/{{environment}}": ("PUT", "bind", "bindings"),
    "/approvals/{request_id}/decisions": ("POST", "decide", "approvals"),
    "/approvals/{request_id}/cancel": ("POST", "cancel", "approvals"),
}
"""What each of these tells is tested in test_governance.py."""


def test_each_route_that_changes_something_has_the_verb_of_the_specification(operator: Operator) -> None:
    """A new route without a row in CHANGES fails here."""
    routes = mutating(operator)
    assert len(routes) > 8 * len(CHANGES)
    for route in routes:
        assert route.audited is not None
        if route.template.startswith(GOVERNANCE):
            told = (route.method, route.audited.verb, route.audited.resource_type, route.audited.plugin)
            assert told == (*GOVERNING[route.template.removeprefix(GOVERNANCE)], "governance")
            continue
        if route.template == f"{JOBS}/{{job_id}}:cancel":
            assert (route.audited.verb, route.audited.resource_type) == ("cancel-job", "jobs")
            continue
        wanted = of_template(route.template)
        assert wanted is not None, f"{route.method} {route.template} has no row here"
        assert wanted.method == route.method
        assert (route.audited.verb, route.audited.resource_type) == (wanted.verb, wanted.resource_type)
        assert route.audited.plugin is not None
        assert f"/{route.audited.plugin}_catalog/" in route.template


def test_reads_are_not_audited(operator: Operator) -> None:
    with pytest.raises(ValueError, match="audited"):
        replace(mutating(operator)[0], method="GET")
    with pytest.raises(ValueError, match="audited"):
        replace(mutating(operator)[0], audited=None)


def path_of(change: Change, base: str = MANAGEMENT) -> str:
    path = change.path.replace("{source_id}", "main").replace("{name}", "one")
    return (BASE if change is ALIAS else base) + path


def body_of(operator: Operator, change: Change) -> Any:
    if change.body != "version":
        return change.body
    return {"version": operator.ok("GET", f"{MANAGEMENT}/revisions")["revisions"][0]["version"]}


each_change = pytest.mark.parametrize("change", [*CHANGES, ALIAS], ids=lambda change: f"{change.method} {change.path}")


@each_change
def test_a_success(operator: Operator, change: Change) -> None:
    headers = {"X-Correlation-ID": "release 7", "X-Request-Id": "r-1"}
    response = operator.ask(change.method, path_of(change), body_of(operator, change), headers=headers)
    assert response.status_code == change.status, response.text
    found = only(operator)
    assert found["metadata"].pop("duration").endswith("ms")
    metadata = found["metadata"]
    assert (metadata["method"], metadata["path"]) == (change.method, path_of(change))
    assert (metadata["groups"], metadata["clientAddress"]) == ([], "127.0.0.1")
    assert "errorCode" not in metadata
    assert {name: found.get(name) for name in FIXED} == {
        "namespace": "default",
        "correlationId": "release 7",
        "eventType": "management",
        "actor": "olivia",
        "requestId": "r-1",
        "plugin": "skills",
        "resourceType": change.resource_type,
        "resourceIds": change.ids or None,
        "action": change.verb,
        "actionVerb": change.verb,
        "outcome": "success",
        "statusCode": change.status,
        "reason": None,
    }


FIXED = (
    *("namespace", "correlationId", "eventType", "actor", "requestId", "plugin", "resourceType", "resourceIds"),
    *("action", "actionVerb", "outcome", "statusCode", "reason"),
)


@each_change
def test_a_failure(operator: Operator, change: Change) -> None:
    if change.bad_status == 429:
        operator.ok("POST", path_of(change), status=202)
        operator.ok("POST", f"{JOBS}/{events(operator)[0]['metadata']['jobId']}:cancel")
    before = {one["id"] for one in events(operator)}
    path = MANAGEMENT + change.bad_path if change.bad_path else path_of(change)
    response = operator.ask(change.method, path, b"{" if change.body else None)
    assert response.status_code == change.bad_status, response.text
    (found,) = (one for one in events(operator) if one["id"] not in before)
    assert (found["outcome"], found["statusCode"]) == ("failure", change.bad_status)
    assert (found["actor"], found["actionVerb"], found["plugin"]) == ("olivia", change.verb, "skills")
    assert found["reason"] in response.json()["message"]
    assert found["metadata"]["errorCode"] in ("invalid_body", "not_found", "rate_limited")
    assert "newValue" not in found


@each_change
def test_a_denial(operator: Operator, change: Change) -> None:
    response = operator.client.request(change.method, path_of(change), headers={"X-Remote-User": "vera"})
    assert response.status_code == 403
    found = only(operator)
    assert (found["outcome"], found["statusCode"], found["actor"]) == ("denied", 403, "vera")
    assert (found["actionVerb"], found["reason"]) == (change.verb, "insufficient permissions")
    ids = change.ids if "{" in change.path else None
    assert found.get("resourceIds") == ids
    assert found["metadata"]["errorCode"] == "forbidden"


@contextmanager
def crashing(operator: Operator) -> Iterator[None]:
    """Every handler fails after its work."""
    kept = [(route, route.endpoint) for route in mutating(operator)]
    for route, endpoint in kept:
        object.__setattr__(route, "endpoint", crash_after(endpoint))
    yield
    for route, endpoint in kept:
        object.__setattr__(route, "endpoint", endpoint)


def crash_after(endpoint: Any) -> Any:
    async def crash(request: Any) -> Any:
        await endpoint(request)
        raise RuntimeError("nobody thought of that")

    return crash


@each_change
def test_a_crash_after_the_change(operator: Operator, change: Change) -> None:
    """Also where a transaction has recorded a success already: there is one event, and it tells what was answered."""
    body = body_of(operator, change)
    with crashing(operator):
        assert operator.ask(change.method, path_of(change), body).status_code == 500
    found = only(operator)
    assert (found["outcome"], found["statusCode"], found["reason"]) == ("failure", 500, "internal error")
    assert (found["actor"], found["actionVerb"], found.get("resourceIds", [])) == ("olivia", change.verb, change.ids)
    assert found["metadata"]["errorCode"] == "internal_error"
    saves = change.verb in ("apply-source", "enable-source", "delete")
    assert ("newValue" in found) == (saves or change.verb == "rollback" or change.resource_type == "entities")


# --- tenancy

TENANTS = {"CATALOG_TENANCY_MODE": "namespace", "CATALOG_NAMESPACES": "default,team-a"}


@each_change
@pytest.mark.parametrize(("namespace", "status"), [("", 400), ("Not\u00a0a_Name", 400), ("team-x", 403)])
def test_a_request_that_tenancy_refuses(tmp_path: Path, change: Change, namespace: str, status: int) -> None:
    """It belongs to no namespace that is served, so that its event stands in `default`."""
    with operating(tmp_path, headers={"X-Namespace": "team-a"}, **TENANTS) as operator:
        refused = replace(operator, headers={**operator.headers, "X-Namespace": ""})
        query = {"params": {"namespace": namespace}} if namespace else {}
        assert refused.ask(change.method, path_of(change), **query).status_code == status
        assert events(operator) == []
        platform = replace(operator, headers={**operator.headers, "X-Namespace": "default"})
        found = only(platform)
        assert (found["namespace"], found["statusCode"]) == ("default", status)
        assert found["outcome"] == ("denied" if status == 403 else "failure")
        assert found["actionVerb"] == change.verb
        assert "namespace" in found["reason"]


@each_change
def test_a_request_that_authorization_refuses(tmp_path: Path, change: Change) -> None:
    """In mode `sar`: 401 without a user, 403 with the permission that was missing."""
    with serve_cluster() as (cluster, url):
        cluster.tokens.add("")
        cluster.allows = lambda spec: spec["resourceAttributes"]["resource"] == "audit"
        with operating(tmp_path, CATALOG_AUTHZ_MODE="sar", CATALOG_KUBERNETES_URL=url) as operator:
            for status, headers in ((401, {}), (403, {"X-Remote-User": "vera"})):
                assert operator.client.request(change.method, path_of(change), headers=headers).status_code == status
            denied, unknown = events(operator)
            assert operator.ask("POST", "/nowhere").status_code in (403, 404)
            assert len(events(operator)) == 2
    assert (unknown["actor"], unknown["outcome"], unknown["statusCode"]) == ("anonymous", "failure", 401)
    assert (denied["actor"], denied["outcome"], denied["statusCode"]) == ("vera", "denied", 403)
    assert denied["reason"].startswith("insufficient permissions for ")
    assert {denied["actionVerb"], unknown["actionVerb"]} == {change.verb}


def test_events_are_those_of_the_namespace(tmp_path: Path) -> None:
    with operating(tmp_path, headers={"X-Namespace": "team-a"}, **TENANTS) as anna:
        other = replace(anna, headers={**anna.headers, "X-Namespace": "default"})
        anna.apply(APPLY)
        assert [one["namespace"] for one in events(anna)] == ["team-a"]
        (one,) = events(anna)
        assert events(other) == []
        error = other.error("GET", f"{EVENTS}/{one['id']}", status=404)
        assert error["error"] == f'audit event "{one["id"]}" not found'
        assert other.ask("GET", f"{EVENTS}:export").text == ""
        assert events(replace(anna, headers={}), namespace="team-a") == [one]
        assert anna.ask("GET", f"{EVENTS}/{one['id']}", params={"namespace": "default"}).status_code == 404


# --- what is recorded, and what is not


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/nowhere"),
        ("POST", f"{MANAGEMENT}/nowhere"),
        ("DELETE", f"{MANAGEMENT}/sources"),
        ("POST", SKILLS),
        ("PATCH", f"{MANAGEMENT}/apply-source"),
        ("POST", "/livez"),
        ("POST", EVENTS),
        ("GET", f"{MANAGEMENT}/sources"),
        ("HEAD", f"{MANAGEMENT}/sources"),
        ("OPTIONS", f"{MANAGEMENT}/apply-source"),
    ],
)
def test_no_event_for_reads_and_for_what_is_no_route(operator: Operator, method: str, path: str) -> None:
    """D42: nobody can fill the table with paths that do not exist."""
    operator.ask(method, path)
    assert events(operator) == []


def test_a_change_of_the_configuration_tells_the_versions_before_and_after(operator: Operator) -> None:
    first = operator.ok("GET", f"{MANAGEMENT}/revisions")["revisions"][0]["hash"]
    second = operator.apply(APPLY)["version"]
    operator.ok("POST", f"{MANAGEMENT}/sources/new/enable", {"enabled": False})
    operator.ok("DELETE", f"{MANAGEMENT}/sources/new")
    operator.ok("POST", f"{MANAGEMENT}/rollback", {"version": first})
    found = events(operator)[::-1]
    versions = [(one["oldValue"]["version"], one["newValue"]["version"]) for one in found]
    assert versions[0] == (first, second)
    assert all(after == before for (_, after), (before, _) in pairwise(versions))
    assert versions[-1][1] == first
    assert found[1]["metadata"]["enabled"] is False
    assert found[3]["metadata"]["revision"] == first


def test_a_change_that_is_refused_tells_why(operator: Operator) -> None:
    operator.ask("POST", f"{MANAGEMENT}/apply-source", {"id": "new"})
    (found,) = events(operator)
    assert (found["statusCode"], found["reason"]) == (422, "source name is required")
    operator.ask("POST", f"{MANAGEMENT}/apply-source", APPLY, headers={"If-Match": '"00000000"'})
    conflict = events(operator)[0]
    assert (conflict["statusCode"], conflict["metadata"]["errorCode"]) == (409, "conflict")


def test_secrets_are_not_recorded(operator: Operator) -> None:
    secret = {"yamlCatalogPath": "spare.yaml", "apiToken": "hunter2", "url": "https://me:hunter2@host/?token=hunter2"}
    operator.ask("POST", f"{MANAGEMENT}/apply-source", {**APPLY, "properties": secret})
    annotate = {"action": "annotate", "params": {"annotations": {"api-token": "hunter2", "team": "a"}}}
    operator.ok("POST", f"{MANAGEMENT}/entities/one:action", annotate)
    assert events(operator)[0]["newValue"] == {"annotations": {"api-token": "***REDACTED***", "team": "a"}}
    assert "hunter2" not in operator.ask("GET", f"{EVENTS}:export").text


def test_an_action_tells_the_overlay_before_and_after(operator: Operator) -> None:
    operator.ok("POST", f"{MANAGEMENT}/entities/one:action", TAG)
    operator.ok("POST", f"{MANAGEMENT}/entities/one:action", {**TAG, "params": {"tags": ["b"]}})
    operator.ok("POST", f"{MANAGEMENT}/entities/one:action", {**TAG, "dryRun": True})
    dry, second, first = events(operator)
    assert (first["oldValue"], first["newValue"]) == ({}, {"tags": ["a"]})
    assert (second["oldValue"], second["newValue"]) == ({"tags": ["a"]}, {"tags": ["b"]})
    assert second["metadata"]["actionId"] == "tag"
    assert second["metadata"]["sourceId"] == "main"
    assert dry["metadata"]["dryRun"] is True
    assert "newValue" not in dry


def test_names_of_several_segments_are_whole(operator: Operator) -> None:
    """D43, and what looks like other parts of a path in them."""
    for name in ("org/sources/refresh", "a:action", "actions%2Fx"):
        operator.ask("POST", f"/api/model_catalog/v1alpha1/management/entities/{name}:action", TAG)
    found = [one["resourceIds"] for one in events(operator)[::-1]]
    assert found == [["org/sources/refresh"], ["a:action"], ["actions/x"]]
    assert {one["plugin"] for one in events(operator)} == {"model"}


def test_a_refresh_and_its_job_have_one_correlation_id(operator: Operator) -> None:
    job_id = operator.refresh("main", headers={"X-Correlation-ID": "c-9"})
    operator.finished(job_id)
    ended, asked = events(operator)
    assert (asked["eventType"], asked["metadata"]["jobId"], asked["statusCode"]) == ("management", job_id, 202)
    assert (ended["eventType"], ended["actor"], ended["outcome"]) == ("job", "olivia", "success")
    assert ended["correlationId"] == asked["correlationId"] == "c-9"
    assert ended["resourceIds"] == [job_id, "main"]
    assert ended["metadata"]["entitiesLoaded"] == 2
    assert events(operator, resourceId=job_id) == [ended]
    assert len(events(operator, resourceId="main")) == 2


def test_a_canceled_job_has_an_event_of_its_own(operator: Operator) -> None:
    """D44: asking to cancel is `cancel-job`."""
    job_id = operator.refresh("main")
    operator.ok("POST", f"{JOBS}/{job_id}:cancel", headers={"X-Remote-User": "carl"})
    canceled, asked = events(operator, resourceId=job_id)
    found = {(one["actor"], one.get("actionVerb"), one["outcome"]) for one in (canceled, asked)}
    assert found == {("carl", "cancel-job", "success"), ("olivia", None, "canceled")}
    assert operator.ask("POST", f"{JOBS}/{job_id}:cancel").status_code == 409
    assert len(events(operator, action="cancel-job")) == 2


def test_a_job_that_fails_tells_why(operator: Operator) -> None:
    (operator.folder / "main.yaml").unlink()
    operator.finished(operator.refresh("main"))
    failed = events(operator, eventType="job")[0]
    assert failed["outcome"] == "failure"
    assert "main.yaml" in failed["reason"]


@pytest.mark.parametrize("given", ["", "x" * 129, "a\x1b[2J", "ü", "a\nb"])
def test_an_unfit_correlation_id_is_the_request_id(operator: Operator, given: str) -> None:
    headers = [("X-Correlation-ID", given.encode()), ("X-Request-Id", b"r-7")]
    operator.client.request("POST", f"{MANAGEMENT}/refresh", headers=headers)
    assert only(operator)["correlationId"] == "r-7"


def test_denials_are_left_out_where_the_operator_says_so(tmp_path: Path) -> None:
    with operating(tmp_path, CATALOG_AUDIT_LOG_DENIED="false") as operator:
        operator.client.request("POST", f"{MANAGEMENT}/refresh")
        operator.ask("POST", f"{MANAGEMENT}/apply-source", b"{")
        assert only(operator)["statusCode"] == 400


def test_when_off_then_nothing_is_recorded_and_the_query_still_answers(tmp_path: Path) -> None:
    with operating(tmp_path, CATALOG_AUDIT_ENABLED="false") as operator:
        operator.apply(APPLY)
        operator.finished(operator.refresh("main"))
        operator.ok("POST", f"{MANAGEMENT}/entities/one:action", TAG)
        assert events(operator) == []
        assert operator.ok("GET", EVENTS) == {"events": [], "nextPageToken": "", "totalSize": 0}


def test_without_jobs_a_refresh_tells_what_it_did(tmp_path: Path) -> None:
    with operating(tmp_path, CATALOG_JOB_ENABLED="false") as operator:
        operator.ok("POST", f"{MANAGEMENT}/refresh/main")
        found = only(operator)
        assert (found["statusCode"], found["metadata"]["entitiesLoaded"]) == (200, 2)
        assert list((operator.folder / "data/audit").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "body", "extra"),
    [
        (f"{MANAGEMENT}/entities/one:action", TAG, 0),
        (f"{MANAGEMENT}/refresh/main", None, 0),
        (f"{MANAGEMENT}/validate-source", APPLY, 1),
        (f"{MANAGEMENT}/sources/other/enable", {"enabled": True}, 1),
    ],
)
def test_an_event_costs_one_transaction_at_most(tmp_path: Path, path: str, body: Any, extra: int) -> None:
    """None where the change has one of its own."""
    commits = []
    for name in ("true", "false"):
        with operating(tmp_path / name, CATALOG_AUDIT_ENABLED=name) as operator:
            count = count_commits(operator)
            operator.forget_limits()
            assert operator.ask("POST", path, body).status_code < 300
            commits.append(len(count))
    assert commits[0] - commits[1] == extra


def count_commits(operator: Operator) -> list[object]:
    """Grows with each transaction that writes."""
    engine, found = operator.client.server.engine, list[object]()

    def begun(connection: Any) -> None:
        if connection.get_execution_options().get("catalog_write"):
            found.append(connection)

    sqlalchemy_event.listen(engine, "begin", begun)
    return found


@pytest.mark.parametrize("text", ["\n", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u202e"], ids=ascii)
def test_a_line_of_the_export_cannot_be_forged(operator: Operator, text: str) -> None:
    name = f'a{text}{{"id":"forged"}}'
    operator.ask("POST", f"{MANAGEMENT}/entities/{quote(name)}:action", TAG)
    response: httpx.Response = operator.ask("GET", f"{EVENTS}:export")
    (line,) = response.text.splitlines()
    assert line.isprintable()
    assert json.loads(line)["resourceIds"] == [name]
