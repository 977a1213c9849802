"""The governance file (spec platform.md 9.8)."""

from __future__ import annotations

import pytest

from catalog_server.errors import Invalid
from catalog_server.governance.config import GovernanceConfig, parse_config


def parsed(text: str) -> GovernanceConfig:
    return parse_config(text.encode(), file="governance.yaml")


@pytest.mark.parametrize("text", ["", "{}", "auditRetention: {}"])
def test_what_is_not_said_has_a_default(text: str) -> None:
    """A file that omits `environments` does not yield an empty list."""
    found = parsed(text)
    assert found.environments == ("dev", "stage", "prod")
    assert (found.audit_retention.days, found.trusted_sources) == (None, ())


def test_what_is_said_counts() -> None:
    found = parsed("environments: [lab, live]\nauditRetention: {days: 30}\ntrustedSources: [a]\n")
    assert (found.environments, found.audit_retention.days, found.trusted_sources) == (("lab", "live"), 30, ("a",))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("environment: [dev]", "governance.yaml:1", "did you mean 'environments'?"),
        ("environments: []", "governance.yaml:1", "environments: expected `array`"),
        ("environments:\n- dev\n- dev\n", "governance.yaml:3", "environments[1]: dev stands there twice"),
        ("environments:\n- dev\n- Prod\n", "governance.yaml:3", "environments[1]"),
        ("auditRetention:\n  days: 0\n", "governance.yaml:2", "auditRetention.days: expected `int` >= 1"),
        ("auditRetention:\n  day: 5\n", "governance.yaml:2", "did you mean 'days'?"),
    ],
)
def test_a_fault_names_file_line_and_field(text: str, place: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parsed(text)
    assert caught.value.message.startswith(place)
    assert words in caught.value.message
