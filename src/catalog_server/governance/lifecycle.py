"""The states of an asset's life, and from which to which it can go (spec platform.md 9.1). Pure.

Not for: who has to approve of a step (policies.py); the phases that overlays put on entities, which nobody guards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from catalog_server.errors import Invalid

State = Literal["draft", "approved", "deprecated", "archived"]
STATES: Final[tuple[State, ...]] = ("draft", "approved", "deprecated", "archived")
INITIAL: Final[State] = "draft"
FOLLOWING: Final[Mapping[State, tuple[State, ...]]] = {
    "draft": ("approved",),
    "approved": ("deprecated", "archived"),
    "deprecated": ("approved", "archived"),
    "archived": ("deprecated", "draft"),
}


class IllegalTransition(Invalid):
    """The lifecycle does not go this way."""

    def __init__(self, before: str, after: str, message: str, code: str) -> None:
        super().__init__(message, field="state", code=code)
        self.details = {"code": code, "from": before, "to": after}


def check_transition(before: State, after: str) -> State:
    """The state `after`, if an asset in `before` may go or stay there. Raises IllegalTransition."""
    if after not in STATES:
        message = f"{after[:80]!r} is no state; known: {', '.join(STATES)}"
        raise IllegalTransition(before, after[:80], message, "LIFECYCLE_INVALID_TRANSITION")
    if after != before and after not in FOLLOWING[before]:
        message = f"{before} cannot become {after}; it can become {' or '.join(FOLLOWING[before])}"
        raise IllegalTransition(before, after, message, "LIFECYCLE_TRANSITION_DENIED")
    return after
