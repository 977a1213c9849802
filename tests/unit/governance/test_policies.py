"""The policies file: which change needs whose approval, and what is wrong with a file (spec platform.md 9.6)."""

from __future__ import annotations

import json

import pytest

from catalog_server.errors import Invalid
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.lifecycle import State
from catalog_server.governance.policies import Policies, parse_policies

MODEL = AssetRef("model", "CatalogModel", "m")
TEXT = """\
policies:
  - id: off
    enabled: false
  - id: high-risk
    displayName: High risk
    selector:
      riskLevels: [high, critical]
      transitions: [{from: draft, to: approved}, {from: "*", to: archived}]
    gate: {requiredCount: 2, allowedRoles: [admin], denyOnFirst: true}
    expiryHours: 168
  - id: agents
    selector: {plugins: [agents], kinds: [Agent]}
  - id: promotion
    selector: {transitions: [{from: draft, to: approved}]}
"""


def parsed(text: str) -> Policies:
    return parse_policies(text.encode(), file="policies.yaml")


@pytest.mark.parametrize(
    ("asset", "risk", "before", "after", "found"),
    [
        (MODEL, "medium", "draft", "approved", "promotion"),
        (MODEL, "high", "draft", "approved", "high-risk"),
        (MODEL, "critical", "deprecated", "archived", "high-risk"),
        (MODEL, "medium", "deprecated", "archived", None),
        (MODEL, "high", "approved", "deprecated", None),
        (AssetRef("agents", "Agent", "a"), "low", "approved", "deprecated", "agents"),
        (AssetRef("agents", "AGENT", "a"), "low", "approved", "deprecated", "agents"),
        (AssetRef("agents", "Other", "a"), "low", "approved", "deprecated", None),
    ],
)
def test_the_first_policy_in_force_that_fits(
    asset: AssetRef, risk: str, before: State, after: State, found: str | None
) -> None:
    policy = parsed(TEXT).find(asset, risk, before, after)
    assert (policy and policy.id) == found


def test_what_is_not_said_has_a_default() -> None:
    (policy,) = parsed("policies: [{id: a}]").entries
    assert json.loads(json.dumps(policy.document)) == {
        "id": "a",
        "displayName": "",
        "description": "",
        "enabled": True,
        "selector": {"plugins": [], "kinds": [], "riskLevels": [], "transitions": []},
        "gate": {"requiredCount": 1, "allowedRoles": [], "denyOnFirst": False},
        "expiryHours": 72,
    }


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "policies.yaml:1", "policies: required, and missing"),
        ("- a\n", "policies.yaml:1", "expected `object`"),
        ("policies: [{id: a}, {id: a}]", "policies.yaml:1", "policies[1].id: a stands at policies[0] already"),
        ("policies:\n- {}\n", "policies.yaml:2", "policies[0].id: required, and missing"),
        ("policies:\n- id: a\n  gates: {}\n", "policies.yaml:3", "did you mean 'gate'?"),
        ("policies:\n- id: a b\n", "policies.yaml:2", "policies[0].id"),
        (
            "policies:\n- id: a\n  gate:\n    requiredCount: 0\n",
            "policies.yaml:4",
            "requiredCount: expected `int` >= 1",
        ),
        ("policies:\n- id: a\n  expiryHours: '3'\n", "policies.yaml:3", "expected `int`, got `str`"),
        ("policies:\n- id: a\n  selector: {riskLevels: [hi]}\n", "policies.yaml:3", "riskLevels[0]"),
        ("policies:\n- id: a\n  selector:\n    transitions:\n    - {form: draft}\n", "policies.yaml:5", "'from'"),
        ("policies: [", "policies.yaml:2", "parse error"),
    ],
)
def test_a_fault_names_file_line_and_field(text: str, place: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parsed(text)
    assert caught.value.message.startswith(place)
    assert words in caught.value.message
