"""The states of an asset's life, against the table of the spec (platform.md 9.1)."""

from __future__ import annotations

from itertools import product

import pytest

from catalog_server.governance.lifecycle import STATES, IllegalTransition, State, check_transition

ALLOWED = {
    ("draft", "approved"),
    ("approved", "deprecated"),
    ("approved", "archived"),
    ("deprecated", "archived"),
    ("deprecated", "approved"),
    ("archived", "deprecated"),
    ("archived", "draft"),
}


@pytest.mark.parametrize(("before", "after"), list(product(STATES, STATES)))
def test_every_pair_of_states(before: State, after: State) -> None:
    if before == after or (before, after) in ALLOWED:
        assert check_transition(before, after) == after
        return
    with pytest.raises(IllegalTransition) as caught:
        check_transition(before, after)
    assert caught.value.details == {"code": "LIFECYCLE_TRANSITION_DENIED", "from": before, "to": after}


@pytest.mark.parametrize("after", ["", "Approved", "retired", "x" * 500])
def test_what_is_no_state(after: str) -> None:
    with pytest.raises(IllegalTransition, match="known: draft, approved, deprecated, archived") as caught:
        check_transition("draft", after)
    assert caught.value.details["code"] == "LIFECYCLE_INVALID_TRANSITION"
    assert len(caught.value.details["to"]) <= 80
