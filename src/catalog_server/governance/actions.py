"""The actions of governance: steps of a lifecycle, at once or after an approval (spec platform.md 9.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog_server.db.dialects import read_committed
from catalog_server.db.engine import Connection, Engine
from catalog_server.db.transactions import write
from catalog_server.errors import Invalid
from catalog_server.governance.approvals import Approvals, completed
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.events import Caller
from catalog_server.governance.lifecycle import IllegalTransition, State, check_transition
from catalog_server.governance.policies import Policies, Policy
from catalog_server.governance.record import RISK_COLUMN, Columns
from catalog_server.governance.records import SET_STATE, Records, StateChange
from catalog_server.schema.yaml_reader import nearest_key
from catalog_server.scope import Scope

MAX_REASON: Final = 2000
ACCEPTED: Final = 202


@dataclass(frozen=True, slots=True)
class Step:
    """What an action asks for. `is_restoring`: from `archived` only."""

    action: str
    target: str
    reason: str | None
    is_restoring: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What an action came to, and the HTTP status that says so."""

    status: int
    document: dict[str, Any]


def plan_step(action: str, params: Mapping[str, Any]) -> Step:
    """Raises Invalid: no such action, or its parameters are wrong."""
    plan = ACTIONS.get(action)
    if plan is None:
        raise Invalid(f"unknown action {action[:80]!r}; known: {', '.join(ACTIONS)}", field="action")
    known = (*plan.params, "reason")
    for name in params:
        if name not in known:
            raise Invalid(f"unknown parameter: {nearest_key(name, known)}", field=f"params.{name[:80]}")
    return Step(action, plan.target(params), read_reason(params.get("reason"), "params.reason"), plan.is_restoring)


def read_reason(value: Any, field: str) -> str | None:
    """Free text. Raises Invalid."""
    if value is not None and (not isinstance(value, str) or len(value) > MAX_REASON):
        raise Invalid(f"must be text of at most {MAX_REASON} characters", field=field)
    return value or None


def _state(name: str, default: str | None = None) -> Callable[[Mapping[str, Any]], str]:
    def read(params: Mapping[str, Any]) -> str:
        value = params.get(name, default)
        if value is None:
            raise Invalid("required, and missing", field=f"params.{name}")
        if not isinstance(value, str):
            raise Invalid("must be text", field=f"params.{name}")
        return value

    return read


@dataclass(frozen=True, slots=True)
class _Plan:
    target: Callable[[Mapping[str, Any]], str]
    params: tuple[str, ...] = ()
    is_restoring: bool = False


ACTIONS: Final[Mapping[str, _Plan]] = {
    SET_STATE: _Plan(_state("state"), ("state",)),
    "lifecycle.deprecate": _Plan(lambda _: "deprecated"),
    "lifecycle.archive": _Plan(lambda _: "archived"),
    "lifecycle.restore": _Plan(_state("targetState", "deprecated"), ("targetState",), is_restoring=True),
}


class Actions:
    """Does them."""

    def __init__(self, engine: Engine, records: Records, approvals: Approvals, policies: Policies) -> None:
        self._writing_engine = read_committed(engine)
        self._records = records
        self._approvals = approvals
        self._policies = policies

    def preview(self, scope: Scope, asset: AssetRef, step: Step, user: str) -> Done:
        """What the step would do. Nothing is written. Raises as `act`."""
        record = self._records.read(scope, asset, user)
        before, after, policy = self._check(asset, record, step)
        gate = {} if policy is None else {"policyId": policy.id, "requiredCount": policy.gate.required_count}
        data = {"from": before, "to": after, "requiresApproval": policy is not None, **gate}
        message = f"would wait for an approval ({policy.id})" if policy else f"would be {after}"
        return Done(200, {"action": step.action, "status": "dry-run", "message": message, "data": data})

    def act(self, scope: Scope, asset: AssetRef, step: Step, caller: Caller) -> Done:
        """Take the step, or ask for the approval that it needs.

        Raises:
            IllegalTransition: the lifecycle does not go this way.
            Unavailable: the database is down; nothing changed.
        """

        def change(connection: Connection) -> Done:
            record = self._records.lock(connection, scope, asset, caller.user)
            before, after, policy = self._check(asset, record, step)
            wanted = StateChange(before, after, step.reason, caller.user)
            if policy is not None:
                request = self._approvals.ask(connection, scope, asset, wanted, policy, caller)
                caller.record(connection, ACCEPTED)
                data = {
                    "requestId": request.id,
                    "policyId": request.policy_id,
                    "requiredCount": request.gate.required_count,
                }
                message = f"waits for an approval ({request.policy_id})"
                document = {"action": step.action, "status": "pending-approval", "message": message, "data": data}
                return Done(ACCEPTED, document)
            if after != before:
                self._records.set_state(connection, scope, asset, wanted, caller)
            caller.record(connection, 200)
            return Done(200, completed(step.action, wanted))

        return write(self._writing_engine, change)

    def _check(self, asset: AssetRef, record: Columns, step: Step) -> tuple[State, State, Policy | None]:
        """State, next state, and the policy that wants an approval."""
        before: State = record["lifecycle_state"]
        if step.is_restoring and before != "archived":
            message = f"only what is archived can be restored, and this is {before}"
            raise IllegalTransition(before, step.target[:80], message, "LIFECYCLE_TRANSITION_DENIED")
        after = check_transition(before, step.target)
        # Staying where it is needs nobody's approval.
        is_step = after != before
        return before, after, self._policies.find(asset, record[RISK_COLUMN], before, after) if is_step else None
