"""What decisions make of a request, and how it is shown (spec platform.md 9.6)."""

from __future__ import annotations

from typing import Any

import pytest

from catalog_server.governance.asset import AssetRef
from catalog_server.governance.requests import ApprovalRequest, Decision, Gate, active_key, count_decisions
from catalog_server.scope import Scope

ASSET = AssetRef("mcp", "mcpserver", "github")
NOW = 1_900_000_000_000


def decisions(verdicts: str) -> list[Decision]:
    words: dict[str, Any] = {"a": "approve", "d": "deny"}
    return [Decision(str(n), "r", f"u{n}", words[one], None, NOW) for n, one in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("count", "first", "verdicts", "outcome"),
    [
        (1, False, "", "pending"),
        (1, False, "a", "approved"),
        (2, False, "a", "pending"),
        (2, False, "ada", "approved"),
        (1, False, "dddd", "pending"),
        (2, True, "ad", "denied"),
        (1, True, "d", "denied"),
        (1, True, "a", "approved"),
    ],
)
def test_what_decisions_come_to(count: int, first: bool, verdicts: str, outcome: str) -> None:
    tally = count_decisions(Gate(count, (), first), decisions(verdicts))
    assert tally.outcome == outcome
    assert (tally.approves, tally.denies) == (verdicts.count("a"), verdicts.count("d"))


def request(**given: Any) -> ApprovalRequest:
    values = {
        "id": "r",
        "asset": ASSET,
        "action": "lifecycle.setState",
        "action_params": {"state": "approved"},
        "from_state": "draft",
        "policy_id": "p",
        "gate": Gate(2, ("admin",), False),
        "status": "pending",
        "requester": "ann",
        "reason": None,
        "resolved_at": None,
        "resolved_by": None,
        "resolution_note": None,
        "expires_at": NOW,
        "created_at": NOW - 1000,
    }
    return ApprovalRequest(**{**values, **given})


def test_a_pending_request_expires_by_itself() -> None:
    assert request().status_at(NOW - 1) == "pending"
    assert request().status_at(NOW) == "expired"
    assert request().status_at(NOW + 5) == "expired"
    assert request(status="denied").status_at(NOW) == "denied"


def test_what_is_not_said_is_not_shown() -> None:
    assert request().document(NOW - 1) == {
        "id": "r",
        "assetRef": {"plugin": "mcp", "kind": "mcpserver", "name": "github"},
        "action": "lifecycle.setState",
        "policyId": "p",
        "requiredCount": 2,
        "status": "pending",
        "requester": "ann",
        "createdAt": "2030-03-17T17:46:39Z",
        "actionParams": {"state": "approved"},
        "expiresAt": "2030-03-17T17:46:40Z",
    }


def test_only_the_same_change_of_the_same_asset_has_the_same_key() -> None:
    keys = {
        active_key(Scope(ns), AssetRef("p", kind, name), "a", target)
        for ns in ("x", "y")
        for kind, name in (("k", "n"), ("k", "m"), ("l", "n"))
        for target in ("approved", "archived")
    }
    assert len(keys) == 12
