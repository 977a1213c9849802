"""Records and steps of a lifecycle on all databases (spec platform.md 9.1 to 9.3)."""

from __future__ import annotations

from typing import Any

import pytest

from catalog_server.db.engine import Engine, reading
from catalog_server.db.tables import asset_governance
from catalog_server.errors import Invalid, Unavailable
from catalog_server.governance.actions import plan_action
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.lifecycle import IllegalTransition
from tests.contract.governance.offices import AGENT, ASSET, Office
from tests.contract.jobs.queues import TEAM_A, TEAM_B


def approved(office: Office) -> None:
    office.decide(office.ask(), "bob")


def test_an_asset_that_nobody_has_governed_is_a_draft_and_stays_unwritten(engine: Engine, office: Office) -> None:
    assert office.records.get(TEAM_A, ASSET, "ann") == {
        "assetRef": {"plugin": "mcp", "kind": "mcpserver", "name": "github"},
        "governance": {"risk": {"level": "medium"}, "lifecycle": {"state": "draft", "changedBy": "ann"}},
    }
    office.actions.preview(TEAM_A, ASSET, plan_action("lifecycle.setState", {"state": "approved"}), "ann")
    with reading(engine) as connection:
        assert list(connection.execute(asset_governance.select())) == []


def test_a_patch_changes_its_sections_in_its_namespace_only(office: Office) -> None:
    office.records.patch(TEAM_A, ASSET, {"owner": {"principal": "Ünal 🦊"}, "risk": {"level": "low"}}, office.by("ann"))
    found = office.records.patch(TEAM_A, ASSET, {"team": {"name": "t"}}, office.by("bob"))
    assert {name: value for name, value in found["governance"].items() if name != "lifecycle"} == {
        "owner": {"principal": "Ünal 🦊"},
        "risk": {"level": "low"},
        "team": {"name": "t"},
    }
    assert office.records.get(TEAM_A, ASSET, "x") == found
    assert "owner" not in office.records.get(TEAM_B, ASSET, "x")["governance"]
    assert "owner" not in office.records.get(TEAM_A, AssetRef("mcp", "mcpserver", "GitHub"), "x")["governance"]
    changed = office.history()
    assert {event.event_type for event in changed} == {"governance.metadata.changed"}
    assert sorted(event.actor for event in changed) == ["ann", "bob"]
    (last,) = (event for event in changed if event.actor == "bob")
    assert last.old_value is not None
    assert last.new_value is not None
    assert "team" not in last.old_value
    assert last.new_value["team"] == {"name": "t"}
    assert office.recorded == [200, 200]


def test_a_patch_that_changes_nothing_is_no_event(office: Office) -> None:
    for _ in range(2):
        office.records.patch(TEAM_A, ASSET, {"team": {"name": "t"}}, office.by("ann"))
    assert len(office.history()) == 1


def test_a_patch_that_is_wrong_changes_nothing(office: Office) -> None:
    with pytest.raises(Invalid):
        office.records.patch(TEAM_A, ASSET, {"team": {"name": "t"}, "risk": {"level": "x"}}, office.by("ann"))
    assert office.history() == []


def test_steps_without_a_policy_are_taken_at_once(office: Office) -> None:
    approved(office)
    done = office.act("deprecate", user="eve", reason="old")
    assert done.status == 200
    assert done.document == {
        "action": "lifecycle.deprecate",
        "status": "completed",
        "message": "approved is deprecated now",
        "data": {"from": "approved", "to": "deprecated", "reason": "old"},
    }
    assert office.act("archive").document["data"] == {"from": "deprecated", "to": "archived"}
    assert office.act("restore").document["data"]["to"] == "deprecated"
    lifecycle = office.records.get(TEAM_A, ASSET, "x")["governance"]["lifecycle"]
    assert lifecycle == {"state": "deprecated", "changedBy": "ann", "changedAt": "2030-03-17T17:46:40Z"}


def test_staying_in_a_state_is_no_change_and_needs_no_approval(office: Office) -> None:
    done = office.act("setState", state="draft")
    assert (done.status, done.document["status"]) == (200, "completed")
    assert office.history() == []


@pytest.mark.parametrize(
    ("action", "params", "words"),
    [
        ("archive", {}, "draft cannot become archived"),
        ("setState", {"state": "nope"}, "is no state"),
        ("restore", {}, "only what is archived"),
        ("restore", {"targetState": "draft"}, "only what is archived"),
    ],
)
def test_a_step_that_the_lifecycle_does_not_have(
    office: Office, action: str, params: dict[str, Any], words: str
) -> None:
    step = plan_action(f"lifecycle.{action}", params)
    with pytest.raises(IllegalTransition, match=words):
        office.act(action, **params)
    with pytest.raises(IllegalTransition, match=words):
        office.actions.preview(TEAM_A, ASSET, step, "ann")
    assert office.state() == "draft"


@pytest.mark.parametrize(
    ("action", "params", "field"),
    [
        ("lifecycle.explode", {}, "action"),
        ("version.explode", {"versionLabel": "1"}, "action"),
        ("lifecycle.setState", {}, "params.state"),
        ("lifecycle.setState", {"state": 5}, "params.state"),
        ("lifecycle.setState", {"state": "approved", "reasn": "x"}, "params.reasn"),
        ("lifecycle.archive", {"state": "approved"}, "params.state"),
        ("lifecycle.archive", {"reason": 5}, "params.reason"),
        ("lifecycle.archive", {"reason": "x" * 2001}, "params.reason"),
        ("lifecycle.restore", {"targetState": []}, "params.targetState"),
    ],
)
def test_parameters_that_are_wrong(action: str, params: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        plan_action(action, params)
    assert caught.value.field == field


def test_a_preview_says_which_approval_it_would_take(office: Office) -> None:
    step = plan_action("lifecycle.setState", {"state": "approved"})
    done = office.actions.preview(TEAM_A, AGENT, step, "ann")
    assert done.document["data"] == {
        "from": "draft",
        "to": "approved",
        "requiresApproval": True,
        "policyId": "two-eyes-more",
        "requiredCount": 2,
    }
    approved(office)
    done = office.actions.preview(TEAM_A, ASSET, plan_action("lifecycle.deprecate", {}), "ann")
    assert done.document["data"] == {"from": "approved", "to": "deprecated", "requiresApproval": False}
    assert office.state() == "approved"


def test_a_change_that_cannot_be_recorded_is_not_made(office: Office) -> None:
    caller = office.by("ann")

    def fail(connection: object, status: int) -> None:
        raise Unavailable("no")

    broken = type(caller)(caller.user, None, "c", "r", fail)
    with pytest.raises(Unavailable):
        office.records.patch(TEAM_A, ASSET, {"team": {"name": "t"}}, broken)
    with pytest.raises(Unavailable):
        office.actions.act(TEAM_A, ASSET, plan_action("lifecycle.setState", {"state": "approved"}), broken)
    assert office.history() == []
    assert "team" not in office.records.get(TEAM_A, ASSET, "x")["governance"]
