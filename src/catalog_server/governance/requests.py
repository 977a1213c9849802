"""An approval request as a value: its states, its gate, what decisions make of it, and its document. No I/O, no clock.

The gate is the policy's as it was when somebody asked: a file that changed since changes nothing (spec 9.6).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from catalog_server.clock import format_ms
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.lifecycle import State
from catalog_server.scope import Scope

Status = Literal["pending", "approved", "denied", "canceled", "expired"]
STATUSES: Final[tuple[Status, ...]] = ("pending", "approved", "denied", "canceled", "expired")
Verdict = Literal["approve", "deny"]
VERDICTS: Final[tuple[Verdict, ...]] = ("approve", "deny")


@dataclass(frozen=True, slots=True)
class Gate:
    """What it takes. `allowed_roles` empty: whoever may approve at all."""

    required_count: int
    allowed_roles: tuple[str, ...]
    deny_on_first: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What one reviewer said. `created_at` is milliseconds since the epoch."""

    id: str
    request_id: str
    reviewer: str
    verdict: Verdict
    comment: str | None
    created_at: int

    @property
    def document(self) -> dict[str, Any]:
        found = {
            "id": self.id,
            "requestId": self.request_id,
            "reviewer": self.reviewer,
            "verdict": self.verdict,
            "comment": self.comment,
            "createdAt": format_ms(self.created_at),
        }
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A change that waits for people, or did. Times are milliseconds since the epoch."""

    id: str
    asset: AssetRef
    action: str
    action_params: Mapping[str, Any]
    from_state: State
    policy_id: str
    gate: Gate
    status: Status
    requester: str
    reason: str | None
    resolved_at: int | None
    resolved_by: str | None
    resolution_note: str | None
    expires_at: int
    created_at: int

    def status_at(self, now: int) -> Status:
        """A request expires by itself: nobody has to come and say so."""
        return "expired" if self.status == "pending" and self.expires_at <= now else self.status

    @property
    def target(self) -> str:
        """The state that the asset is to go to."""
        return str(self.action_params["state"])

    def document(self, now: int) -> dict[str, Any]:
        """As clients see it (spec 9.6), without its decisions."""
        always = {
            "id": self.id,
            "assetRef": self.asset.document,
            "action": self.action,
            "policyId": self.policy_id,
            "requiredCount": self.gate.required_count,
            "status": self.status_at(now),
            "requester": self.requester,
            "createdAt": format_ms(self.created_at),
        }
        sometimes = {
            "actionParams": dict(self.action_params),
            "reason": self.reason,
            "resolvedAt": None if self.resolved_at is None else format_ms(self.resolved_at),
            "resolvedBy": self.resolved_by,
            "resolutionNote": self.resolution_note,
            "expiresAt": format_ms(self.expires_at),
        }
        return always | {name: value for name, value in sometimes.items() if value}


@dataclass(frozen=True, slots=True)
class Tally:
    """How a request stands."""

    approves: int
    denies: int
    outcome: Literal["pending", "approved", "denied"]


def count_decisions(gate: Gate, decisions: Sequence[Decision]) -> Tally:
    """What the decisions come to. Without `deny_on_first` a denial only is no approval (spec 9.6)."""
    denies = sum(one.verdict == "deny" for one in decisions)
    approves = len(decisions) - denies
    if gate.deny_on_first and denies:
        return Tally(approves, denies, "denied")
    return Tally(approves, denies, "approved" if approves >= gate.required_count else "pending")


class RequestFilter(NamedTuple):
    """Which requests of a scope to list; None does not narrow."""

    status: Status | None = None
    asset_uid: str | None = None


class Cursor(NamedTuple):
    """The last request that a page showed; the edge wraps it into an opaque token."""

    created_at: int
    request_id: str


@dataclass(frozen=True, slots=True)
class RequestPage:
    """Some requests, newest first. `next` is None on the last page; `total_size` counts all pages."""

    requests: tuple[ApprovalRequest, ...]
    next: Cursor | None
    total_size: int


def active_key(scope: Scope, asset: AssetRef, action: str, target: str) -> str:
    """What may be pending once only: a hash, since a name may be longer than a key of MySQL."""
    return hashlib.sha256("\0".join((scope.namespace, asset.uid, action, target)).encode()).hexdigest()
