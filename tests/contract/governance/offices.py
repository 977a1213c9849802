"""Governance put together for tests: people who ask and decide, and a clock that stands still until told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from catalog_server.audit.event import Event, EventFilter
from catalog_server.audit.spool import Spool
from catalog_server.audit.trail import Trail
from catalog_server.db.engine import Engine
from catalog_server.governance.actions import Actions, Done, plan_action
from catalog_server.governance.approvals import Approvals
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.bindings import Bindings
from catalog_server.governance.events import Caller
from catalog_server.governance.policies import parse_policies
from catalog_server.governance.records import Records
from catalog_server.governance.requests import Verdict
from catalog_server.governance.version import Provenance, Snapshot
from catalog_server.governance.versions import Versions
from catalog_server.scope import Scope
from tests.contract.audit.trails import build_trail
from tests.contract.jobs.queues import START_MS, TEAM_A, ManualClock

ASSET = AssetRef("mcp", "mcpserver", "github")
HOUR_MS = 60 * 60 * 1000
POLICIES = """\
policies:
  - id: two-eyes-more
    selector: {kinds: [Agent], transitions: [{from: draft, to: approved}]}
    gate: {requiredCount: 2, allowedRoles: [admin], denyOnFirst: true}
    expiryHours: 2
  - id: promotion
    selector: {transitions: [{to: approved}, {from: archived, to: draft}]}
    expiryHours: 1
"""
AGENT = AssetRef("agents", "Agent", "helper")


ORIGIN = Provenance("git", "main", "servers/ünal.yaml", "7816a9eb1a11b64898cd3944e546c88ea9258993", START_MS)
SHELF = {(TEAM_A, ASSET): Snapshot('{"name":"github","description":"Ünal 🦊"}'.encode(), ORIGIN)}
"""What the catalog has."""


@dataclass
class Office:
    """`recorded`: the statuses under which requests were recorded, in their transactions."""

    actions: Actions
    approvals: Approvals
    records: Records
    versions: Versions
    bindings: Bindings
    trail: Trail
    clock: ManualClock
    recorded: list[int]

    @classmethod
    def open(cls, engine: Engine, spool: Spool) -> Office:
        trail, clock = build_trail(engine, spool), ManualClock()
        records = Records(engine, trail, clock=clock)
        approvals = Approvals(engine, records, trail, clock=clock)
        versions = Versions(engine, records, trail, lambda scope, asset: SHELF.get((scope, asset)), clock=clock)
        bindings = Bindings(engine, records, trail, ("dev", "stage", "prod"), clock=clock)
        policies = parse_policies(POLICIES.encode(), file="policies.yaml")
        actions = Actions(engine, policies, records, approvals, versions, bindings)
        return cls(actions, approvals, records, versions, bindings, trail, clock, [])

    def by(self, user: str, *roles: str) -> Caller:
        return Caller(
            user,
            frozenset(roles) if roles else None,
            "c-1",
            "r-1",
            lambda connection, status: self.recorded.append(status),
        )

    def act(
        self,
        action: str,
        asset: AssetRef = ASSET,
        *,
        user: str = "ann",
        scope: Scope = TEAM_A,
        **params: Any,
    ) -> Done:
        return self.actions.act(scope, asset, plan_action(f"lifecycle.{action}", params), self.by(user))

    def do(self, action: str, *, user: str = "ann", **params: Any) -> dict[str, Any]:
        """Any action on ASSET; its data."""
        data: dict[str, Any] = self.actions.act(TEAM_A, ASSET, plan_action(action, params), self.by(user)).document[
            "data"
        ]
        return data

    def keep(self, label: str, asset: AssetRef = ASSET, scope: Scope = TEAM_A) -> str:
        """Make a version; its id."""
        return self.versions.create(scope, asset, label, None, self.by("ann"), 201).version_id

    def bound(self, asset: AssetRef = ASSET) -> dict[str, str]:
        """Environment -> version."""
        return {one.environment: one.version_id for one in self.bindings.list_bindings(TEAM_A, asset)}

    def ask(self, asset: AssetRef = ASSET, *, user: str = "ann", scope: Scope = TEAM_A) -> str:
        """Ask for the approval of a draft; the id of the request."""
        done = self.act("setState", asset, user=user, scope=scope, state="approved", reason="ready")
        assert (done.status, done.document["status"]) == (202, "pending-approval")
        request_id: str = done.document["data"]["requestId"]
        return request_id

    def decide(self, request_id: str, user: str, verdict: Verdict = "approve", *roles: str) -> dict[str, Any]:
        return self.approvals.decide(TEAM_A, request_id, verdict, f"{user} says", self.by(user, *roles))

    def state(self, asset: AssetRef = ASSET, scope: Scope = TEAM_A) -> str:
        state: str = self.records.read(scope, asset, "x")["lifecycle_state"]
        return state

    def status(self, request_id: str) -> str:
        return self.approvals.get(TEAM_A, request_id).request.status_at(self.clock())

    def history(self, asset: AssetRef = ASSET) -> list[Event]:
        """Of one asset, newest first."""
        return list(self.trail.list_events(TEAM_A, EventFilter(asset_uid=asset.uid), page_size=100).events)
