"""The actions of governance by name: what their parameters mean, what they would do, and doing it (spec 9.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog_server.db.dialects import read_committed
from catalog_server.db.engine import Connection, Engine
from catalog_server.db.transactions import write
from catalog_server.errors import Invalid, NotFound
from catalog_server.governance.approvals import Approvals, completed, result
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.binding import Bound, Move
from catalog_server.governance.bindings import BIND, PROMOTE, ROLLBACK, Bindings
from catalog_server.governance.events import Caller
from catalog_server.governance.lifecycle import IllegalTransition, State, check_transition
from catalog_server.governance.policies import Policies, Policy
from catalog_server.governance.record import RISK_COLUMN, Columns
from catalog_server.governance.records import SET_STATE, Records, StateChange
from catalog_server.governance.versions import CREATE, Versions, read_label
from catalog_server.schema.yaml_reader import nearest_key
from catalog_server.scope import Scope

MAX_REASON: Final = 2000
ACCEPTED: Final = 202
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a lifecycle. `is_restoring`: from `archived` only."""

    action: str
    target: str
    reason: str | None
    is_restoring: bool = False


@dataclass(frozen=True, slots=True)
class NewVersion:
    """Keeping the asset as it is now."""

    label: str
    reason: str | None


Planned = Step | NewVersion | Move


@dataclass(frozen=True, slots=True)
class Done:
    """What an action came to, and the HTTP status that says so."""

    status: int
    document: dict[str, Any]


# --- parameters ---


def plan_action(action: str, params: Params) -> Planned:
    """Raises Invalid: no such action, or its parameters are wrong."""
    plan = ACTIONS.get(action)
    if plan is None:
        kind = "promotion action" if action.startswith("promotion.") else "action"
        raise Invalid(f"unknown {kind} {action[:80]!r}; known: {', '.join(ACTIONS)}", field="action")
    known = (*plan.params, "reason")
    for name in params:
        if name not in known:
            raise Invalid(f"unknown parameter: {nearest_key(name, known)}", field=f"params.{name[:80]}")
    return plan.read(action, params, read_reason(params.get("reason"), "params.reason"))


def read_reason(value: Any, field: str) -> str | None:
    """Free text. Raises Invalid."""
    if value is not None and (not isinstance(value, str) or len(value) > MAX_REASON):
        raise Invalid(f"must be text of at most {MAX_REASON} characters", field=field)
    return value or None


def _text(params: Params, *names: str, default: str | None = None) -> str:
    """The value of a parameter, which older clients may call otherwise."""
    value = next((params[name] for name in names if params.get(name) is not None), default)
    if value is None:
        raise Invalid("required, and missing", field=f"params.{names[0]}")
    if not isinstance(value, str):
        raise Invalid("must be text", field=f"params.{names[0]}")
    return value


@dataclass(frozen=True, slots=True)
class _Plan:
    read: Callable[[str, Params, str | None], Planned]
    params: tuple[str, ...] = ()


def _restore(action: str, params: Params, reason: str | None) -> Step:
    return Step(action, _text(params, "targetState", default="deprecated"), reason, is_restoring=True)


def _promote(action: str, params: Params, reason: str | None) -> Move:
    source, target = _text(params, "fromEnv", "fromEnvironment"), _text(params, "toEnv", "toEnvironment")
    return Move(action, target, from_environment=source)


def _roll_back(action: str, params: Params, reason: str | None) -> Move:
    return Move(action, _text(params, "environment"), _text(params, "targetVersionId", "versionId"))


ACTIONS: Final[Mapping[str, _Plan]] = {
    SET_STATE: _Plan(lambda action, params, reason: Step(action, _text(params, "state"), reason), ("state",)),
    "lifecycle.deprecate": _Plan(lambda action, _, reason: Step(action, "deprecated", reason)),
    "lifecycle.archive": _Plan(lambda action, _, reason: Step(action, "archived", reason)),
    "lifecycle.restore": _Plan(_restore, ("targetState",)),
    CREATE: _Plan(
        lambda _, params, reason: NewVersion(read_label(params.get("versionLabel"), "params.versionLabel"), reason),
        ("versionLabel",),
    ),
    BIND: _Plan(
        lambda action, params, _: Move(action, _text(params, "environment"), _text(params, "versionId")),
        ("environment", "versionId"),
    ),
    PROMOTE: _Plan(_promote, ("fromEnv", "toEnv", "fromEnvironment", "toEnvironment")),
    ROLLBACK: _Plan(_roll_back, ("environment", "targetVersionId", "versionId")),
}


# --- doing ---


class Actions:
    """Does them. Raises Unavailable when the database is down, and then nothing changed."""

    def __init__(
        self,
        engine: Engine,
        policies: Policies,
        records: Records,
        approvals: Approvals,
        versions: Versions,
        bindings: Bindings,
    ) -> None:
        self._writing_engine = read_committed(engine)
        self._policies = policies
        self._records = records
        self._approvals = approvals
        self._versions = versions
        self._bindings = bindings

    def preview(self, scope: Scope, asset: AssetRef, planned: Planned, user: str) -> Done:
        """What an action would do. Nothing is written. Raises as `act`."""
        match planned:
            case Step():
                return self._preview_step(scope, asset, planned, user)
            case NewVersion():
                state = self._records.read(scope, asset, user)["lifecycle_state"]
                data = {"versionLabel": planned.label, "lifecycleState": state}
                return _done(CREATE, "dry-run", f"would keep it as {planned.label}", data)
            case Move():
                data = _moved(planned, _found(lambda: self._bindings.preview(scope, asset, planned, user)))
                return _done(
                    planned.action, "dry-run", f"would bind {data['versionId']} to {planned.environment}", data
                )

    def act(self, scope: Scope, asset: AssetRef, planned: Planned, caller: Caller) -> Done:
        """Do it, or ask for the approval that it needs.

        Raises:
            IllegalTransition: the lifecycle does not go this way.
            Invalid: there is no such version or environment, or the state of the asset forbids it.
            Conflict: it contradicts what there is.
        """
        match planned:
            case Step():
                return self._take_step(scope, asset, planned, caller)
            case NewVersion():
                version = self._versions.create(scope, asset, planned.label, planned.reason, caller, 200)
                data = {"versionId": version.version_id, "versionLabel": version.label}
                return _done(CREATE, "completed", f"kept as {version.version_id}", data)
            case Move():
                data = _moved(planned, _found(lambda: self._bindings.move(scope, asset, planned, caller)))
                return _done(planned.action, "completed", f"{planned.environment} has {data['versionId']} now", data)

    def _preview_step(self, scope: Scope, asset: AssetRef, step: Step, user: str) -> Done:
        record = self._records.read(scope, asset, user)
        before, after, policy = self._check(asset, record, step)
        gate = {} if policy is None else {"policyId": policy.id, "requiredCount": policy.gate.required_count}
        data = {"from": before, "to": after, "requiresApproval": policy is not None, **gate}
        message = f"would wait for an approval ({policy.id})" if policy else f"would be {after}"
        return _done(step.action, "dry-run", message, data)

    def _take_step(self, scope: Scope, asset: AssetRef, step: Step, caller: Caller) -> Done:
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
                return Done(ACCEPTED, result(step.action, "pending-approval", message, data))
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


def _found(work: Callable[[], Bound]) -> Bound:
    """In an action, what is not there is a wrong parameter (spec 9.3): the path names the asset, and that is there."""
    try:
        return work()
    except NotFound as error:
        raise Invalid(error.message, field="params") from error


def _moved(move: Move, bound: Bound) -> dict[str, Any]:
    binding = bound.binding
    place = {"environment": move.environment}
    if move.from_environment is not None:
        place = {"fromEnv": move.from_environment, "toEnv": move.environment}
    optional = {"previousVersionId": binding.previous_version_id, "warning": "; ".join(bound.warnings)}
    return {**place, "versionId": binding.version_id, **{name: value for name, value in optional.items() if value}}


def _done(action: str, status: str, message: str, data: dict[str, Any]) -> Done:
    return Done(200, result(action, status, message, data))
