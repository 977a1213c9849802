"""Governance over HTTP: statuses, errors, who may do what, and what the audit trail tells (http-api.md 1.11)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from catalog_server.errors import Invalid
from tests.http.operator import Operator, operating

BASE = "/api/governance/v1alpha1"
ASSET = f"{BASE}/assets/mcp/mcpserver/github"
SET_STATE = f"{ASSET}/actions/lifecycle.setState"
APPROVE = {"params": {"state": "approved", "reason": "ready"}}
POLICIES = """\
policies:
  - id: promotion
    displayName: To production
    selector: {transitions: [{from: draft, to: approved}]}
    gate: {requiredCount: 1, allowedRoles: [reviewer]}
"""


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    with operating(tmp_path, CATALOG_APPROVAL_POLICIES=str(tmp_path / "policies.yaml")) as found:
        yield found


def asked(operator: Operator) -> str:
    done = operator.ok("POST", SET_STATE, APPROVE, status=202)
    assert done["status"] == "pending-approval"
    request_id: str = done["data"]["requestId"]
    return request_id


def decide(operator: Operator, request_id: str, verdict: str = "approve", user: str = "bob", **options: Any) -> Any:
    headers = {"X-Remote-User": user, **options.pop("headers", {})}
    body = {"verdict": verdict}
    return operator.ask("POST", f"{BASE}/approvals/{request_id}/decisions", body, headers=headers, **options)


def test_from_a_draft_to_an_approved_asset(operator: Operator) -> None:
    assert operator.ok("GET", ASSET)["governance"]["lifecycle"]["state"] == "draft"
    request_id = asked(operator)
    (listed,) = operator.ok("GET", f"{BASE}/approvals?status=pending")["requests"]
    assert (listed["id"], listed["requester"], listed["policyId"]) == (request_id, "olivia", "promotion")
    assert "decisions" not in operator.ok("GET", f"{BASE}/approvals/{request_id}")
    assert decide(operator, request_id).json()["autoExecuted"] is True
    assert operator.ok("GET", ASSET)["governance"]["lifecycle"]["state"] == "approved"
    assert operator.ok("GET", f"{BASE}/approvals/{request_id}")["decisions"][0]["reviewer"] == "bob"
    assert operator.ok("GET", f"{BASE}/approvals?status=pending")["requests"] == []
    history = operator.ok("GET", f"{ASSET}/history")
    assert history["totalSize"] == len(history["events"]) == 3
    assert {event["assetUid"] for event in history["events"]} == {"mcp:McpServer:github"}


def test_the_request_and_what_it_did_can_be_joined(operator: Operator) -> None:
    """D45: both rows have the correlation id of the client and the id of the request."""
    operator.ok("PATCH", ASSET, {"owner": {"principal": "ann"}}, headers={"X-Correlation-ID": "c-9"})
    events = operator.ok("GET", "/api/audit/v1alpha1/events?correlationId=c-9")["events"]
    assert {event["eventType"] for event in events} == {"management", "governance.metadata.changed"}
    assert len({event["requestId"] for event in events}) == 1
    (request,) = (event for event in events if event["eventType"] == "management")
    assert (request["actionVerb"], request["statusCode"]) == ("patch", 200)
    assert request["resourceIds"] == ["mcp:McpServer:github"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", ASSET, {"owner": {"principal": "x"}}, 200),
        ("POST", SET_STATE, {**APPROVE, "dryRun": True}, 200),
        ("POST", SET_STATE, APPROVE, 202),
        ("POST", f"{ASSET}/actions/lifecycle.archive", None, 400),
        ("POST", f"{BASE}/approvals/none/decisions", {"verdict": "deny"}, 404),
        ("POST", f"{BASE}/approvals/none/cancel", None, 404),
    ],
)
def test_viewers_read_and_change_nothing(operator: Operator, method: str, path: str, body: Any, status: int) -> None:
    viewer = Operator(operator.client, operator.folder, {"X-Remote-User": "vic"})
    assert viewer.error(method, path, body, status=403)["error"] == "forbidden"
    assert operator.ask(method, path, body).status_code == status
    for read in (ASSET, f"{ASSET}/history", f"{BASE}/approvals", f"{BASE}/policies"):
        viewer.ok("GET", read)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", ASSET, {"lifecycle": {"state": "approved"}}, "lifecycle"),
        ("PATCH", ASSET, {"risk": {"level": "huge"}}, "risk.level"),
        ("PATCH", ASSET, b"[]", None),
        ("PATCH", ASSET, b"", None),
        ("POST", SET_STATE, b"{", None),
        ("POST", SET_STATE, b"", "params.state"),
        ("POST", SET_STATE, {"params": []}, "params"),
        ("POST", SET_STATE, {"dryRun": "yes"}, "dryRun"),
        ("POST", f"{ASSET}/actions/version.explode", {}, "action"),
        ("POST", f"{ASSET}/actions/version.create", {}, "params.versionLabel"),
        ("POST", f"{ASSET}/actions/promotion.bind", {"params": {"environment": "dev"}}, "params.versionId"),
        ("POST", f"{ASSET}/actions/promotion.bind", {"params": {"environment": "x", "versionId": "v"}}, "environment"),
        ("POST", f"{ASSET}/actions/promotion.bind", {"params": {"environment": "dev", "versionId": "v"}}, "params"),
        ("POST", f"{ASSET}/actions/promotion.promote", {"params": {"fromEnv": "dev", "toEnv": "dev"}}, "toEnv"),
        ("POST", f"{ASSET}/actions/promotion.promote", {"params": {"fromEnv": "dev", "toEnv": "stage"}}, "params"),
        ("POST", f"{ASSET}/versions", {}, "versionLabel"),
        ("POST", f"{ASSET}/versions", {"versionLabel": " x"}, "versionLabel"),
        ("PUT", f"{ASSET}/bindings/dev", {}, "versionId"),
        ("PUT", f"{ASSET}/bindings/production", {"versionId": "v"}, "environment"),
        ("GET", f"{ASSET}/versions?pageToken=abc", None, "pageToken"),
        ("POST", f"{BASE}/approvals/x/decisions", {"verdict": "maybe"}, "verdict"),
        ("POST", f"{BASE}/approvals/x/decisions", {"verdict": ["deny"]}, "verdict"),
        ("POST", f"{BASE}/approvals/x/decisions", {"verdict": "deny", "comment": 5}, "comment"),
        ("POST", f"{BASE}/approvals/x/cancel", {"reason": []}, "reason"),
        ("GET", f"{BASE}/assets/m%3Acp/mcpserver/x", None, "plugin"),
        ("GET", f"{BASE}/assets/mcp/mcpserver/a%00b", None, "name"),
        ("GET", f"{BASE}/approvals?status=open", None, "status"),
        ("GET", f"{BASE}/approvals?pageToken=abc", None, "pageToken"),
        ("GET", f"{ASSET}/history?pageToken=abc", None, "pageToken"),
    ],
)
def test_bad_input_is_named(operator: Operator, method: str, path: str, body: Any, field: str | None) -> None:
    found = operator.error(method, path, body, status=400)
    assert found.get("field") == field


def test_a_step_that_the_lifecycle_does_not_have_says_from_where_to_where(operator: Operator) -> None:
    found = operator.error("POST", SET_STATE, {"params": {"state": "archived"}}, status=400)
    assert (found["code"], found["from"], found["to"]) == ("LIFECYCLE_TRANSITION_DENIED", "draft", "archived")


def test_four_eyes(operator: Operator) -> None:
    request_id = asked(operator)
    assert decide(operator, request_id, user="olivia").status_code == 403
    assert decide(operator, request_id, headers={"X-Remote-Group": "dev"}).status_code == 403
    assert decide(operator, request_id, headers={"X-Remote-Group": "dev,reviewer"}).status_code == 200
    assert decide(operator, request_id, user="cid").status_code == 409
    assert operator.error("POST", f"{BASE}/approvals/{request_id}/cancel", status=409)


def test_a_request_is_canceled(operator: Operator) -> None:
    request_id = asked(operator)
    canceled = operator.ok("POST", f"{BASE}/approvals/{request_id}/cancel", {"reason": "not now"})
    assert canceled == {"status": "canceled", "requestId": request_id}
    found = operator.ok("GET", f"{BASE}/approvals/{request_id}")
    assert (found["status"], found["resolvedBy"], found["resolutionNote"]) == ("canceled", "olivia", "not now")


@pytest.mark.parametrize("name", ["org%2Fmodel", "org/model", "a%20b:c", "x:action", "%C3%BCnal"])
def test_names_as_catalogs_have_them(operator: Operator, name: str) -> None:
    path = f"{BASE}/assets/model/CatalogModel/{name}"
    operator.ok("PATCH", path, {"team": {"name": "t"}})
    assert operator.ok("GET", path)["governance"]["team"] == {"name": "t"}
    assert operator.ok("GET", f"{path}/history")["totalSize"] == 1
    assert operator.ok("POST", f"{path}/actions/lifecycle.setState", APPROVE, status=202)


def test_from_a_version_to_production(tmp_path: Path) -> None:
    (tmp_path / "governance.yaml").write_text("environments: [lab, live]\n")
    entity = f"{BASE}/assets/skills/Skill/one"
    with operating(tmp_path, CATALOG_GOVERNANCE_CONFIG=str(tmp_path / "governance.yaml")) as operator:
        version = operator.ok("POST", f"{entity}/versions", {"versionLabel": "1.0"}, status=201)
        assert version["contentDigest"].startswith("sha256:")
        assert (version["provenance"]["sourceId"], version["provenance"]["sourceUri"]) == ("main", "main.yaml")
        bound = operator.ok("PUT", f"{entity}/bindings/lab", {"versionId": version["versionId"]})
        assert (bound["environment"], bound["boundBy"]) == ("lab", "olivia")
        promote = {"params": {"fromEnvironment": "lab", "toEnvironment": "live"}}
        refused = operator.error("POST", f"{entity}/actions/promotion.promote", promote, status=400)
        assert "draft assets cannot be bound to live" in refused["message"]
        operator.ok("POST", f"{entity}/actions/lifecycle.setState", APPROVE)
        assert operator.ok("POST", f"{entity}/actions/promotion.promote", promote)["status"] == "completed"
        found = operator.ok("GET", f"{entity}/bindings")["bindings"]
        assert [one["environment"] for one in found] == ["lab", "live"]
        assert operator.error("PUT", f"{entity}/bindings/lab", {"versionId": "1.0:00000000"}, status=404)
        (described,) = operator.ok("GET", "/api/plugins/skills/capabilities")["entities"]
        assert described["governance"]["versioning"] == {"enabled": True, "environments": ["lab", "live"]}


@pytest.mark.parametrize(("given", "days"), [({}, 30), ({"CATALOG_AUDIT_RETENTION_DAYS": "90"}, 90)])
def test_the_file_says_how_long_events_are_kept_unless_the_variable_does(
    tmp_path: Path, given: dict[str, str], days: int
) -> None:
    """D48: the variable, when set, wins over the file, also with the value that is its default."""
    (tmp_path / "governance.yaml").write_text("auditRetention: {days: 30}\n")
    with operating(tmp_path, CATALOG_GOVERNANCE_CONFIG=str(tmp_path / "governance.yaml"), **given) as operator:
        assert operator.services.trail._retention_ms == days * 24 * 60 * 60 * 1000


def test_an_asset_has_one_record_however_its_kind_is_spelled(operator: Operator) -> None:
    operator.ok("PATCH", ASSET, {"owner": {"principal": "ann"}})
    for kind in ("McpServer", "MCPSERVER"):
        found = operator.ok("GET", f"{BASE}/assets/mcp/{kind}/github")
        assert found["assetRef"] == {"plugin": "mcp", "kind": "McpServer", "name": "github"}
        assert found["governance"]["owner"] == {"principal": "ann"}
    assert operator.ok("GET", f"{BASE}/assets/elsewhere/mcpServer/github")["assetRef"]["kind"] == "mcpServer"


def test_what_a_newer_client_says_beside_is_ignored(operator: Operator) -> None:
    """Spec http-api.md 1.1: unknown keys of a body are no error."""
    made = operator.ok("POST", f"{ASSET}/versions", {"versionLabel": "1.0", "signature": "s"}, status=201)
    operator.ok("PUT", f"{ASSET}/bindings/dev", {"versionId": made["versionId"], "until": "noon"})


def test_pages(operator: Operator) -> None:
    for number in range(5):
        operator.ok("POST", f"{BASE}/assets/mcp/mcpserver/m{number}/actions/lifecycle.setState", APPROVE, status=202)
        operator.ok("PATCH", ASSET, {"team": {"name": f"t{number}"}})
        operator.ok("POST", f"{BASE}/assets/x/y/z/versions", {"versionLabel": "1.0"}, status=201)
    lists = ((f"{BASE}/approvals", "requests", "id"), (f"{ASSET}/history", "events", "id"))
    for path, key, name in (*lists, (f"{BASE}/assets/x/y/z/versions", "versions", "versionId")):
        found, token = [], ""
        while True:
            page = operator.ok("GET", f"{path}?pageSize=2&pageToken={token}")
            assert page["totalSize"] == 5
            found += [one[name] for one in page[key]]
            token = page.get("nextPageToken", "")
            if not token:
                break
        assert len(set(found)) == len(found) == 5
    token = operator.ok("GET", f"{BASE}/approvals?pageSize=2")["nextPageToken"]
    operator.error("GET", f"{BASE}/approvals?status=pending&pageToken={token}", status=400)


def test_policies_are_shown(operator: Operator) -> None:
    (policy,) = operator.ok("GET", f"{BASE}/policies")["policies"]
    assert (policy["id"], policy["displayName"], policy["gate"]["requiredCount"]) == ("promotion", "To production", 1)


def test_without_a_file_nothing_needs_an_approval(tmp_path: Path) -> None:
    with operating(tmp_path, CATALOG_APPROVAL_POLICIES=str(tmp_path / "none.yaml")) as operator:
        assert operator.ok("GET", f"{BASE}/policies") == {"policies": []}
        assert operator.ok("POST", SET_STATE, APPROVE)["status"] == "completed"


def test_a_file_that_is_wrong_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "policies.yaml").write_text("policies:\n- id: a\n  gate: {requiredCount: none}\n")
    with (
        pytest.raises(Invalid, match=r"policies\.yaml:3.*policies\[0\]\.gate\.requiredCount"),
        operating(tmp_path, CATALOG_APPROVAL_POLICIES=str(tmp_path / "policies.yaml")),
    ):
        pass


def test_a_policy_about_what_no_plugin_has_is_a_warning(tmp_path: Path) -> None:
    """A slip of the pen in a selector would else keep a policy out of force without anybody noticing."""
    selectors = ("{plugins: [mcp], kinds: [mcpserver]}", "{plugins: [mpc, agents], kinds: [Agnet]}")
    entries = "\n".join(f"- {{id: p{number}, selector: {text}}}" for number, text in enumerate(selectors))
    (tmp_path / "policies.yaml").write_text(f"policies:\n{entries}\n")
    with (
        capture_logs() as logs,
        operating(tmp_path, CATALOG_APPROVAL_POLICIES=str(tmp_path / "policies.yaml")) as operator,
    ):
        assert operator.ok("POST", f"{ASSET}/actions/lifecycle.setState", APPROVE, status=202)["status"]
    warned = [(one["policy"], one["unknown"]) for one in logs if one["log_level"] == "warning" and "policy" in one]
    assert warned == [("p1", ["mpc", "Agnet"])]
