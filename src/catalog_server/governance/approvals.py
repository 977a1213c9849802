"""Approval requests: asked for, decided, canceled, and carried out when enough have approved (spec platform.md 9.6).

Four eyes: who asks does not approve. Every change locks the asset's record first and then the request, so that of two
decisions at the same time the second sees the first, and a state that was approved of is the one that is left.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from catalog_server.audit.trail import Trail
from catalog_server.clock import clock_ms
from catalog_server.db.dialects import read_committed
from catalog_server.db.engine import Connection, Engine, reading
from catalog_server.db.paging import could_be_id
from catalog_server.db.transactions import write
from catalog_server.errors import CatalogError, Conflict, Forbidden, NotFound
from catalog_server.governance import events, sql
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.events import Caller, Told, event_of
from catalog_server.governance.lifecycle import State, check_transition
from catalog_server.governance.policies import Policy
from catalog_server.governance.records import SET_STATE, Records, StateChange
from catalog_server.governance.requests import (
    ApprovalRequest,
    Cursor,
    Decision,
    RequestFilter,
    RequestPage,
    Status,
    Verdict,
    active_key,
    count_decisions,
)
from catalog_server.scope import Scope

SYSTEM: Final = "system"
APPROVED_NOTE: Final = "enough reviewers have approved"
_HOUR_MS: Final = 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Detail:
    """A request with its decisions, oldest first."""

    request: ApprovalRequest
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    """A request and the state of its asset, both locked."""

    request: ApprovalRequest
    state: State


class Approvals:
    """All requests of all assets. Every method raises Unavailable when the database is down; then nothing changed."""

    def __init__(self, engine: Engine, records: Records, trail: Trail, *, clock: Callable[[], int] = clock_ms) -> None:
        self._engine = engine
        self._writing_engine = read_committed(engine)
        self._records = records
        self._trail = trail
        self.clock = clock

    # --- reading ---

    def get(self, scope: Scope, request_id: str) -> Detail:
        """Raises NotFound, also for a request of another namespace."""
        _check_id(request_id)
        with reading(self._engine) as connection:
            request = _found(sql.read_request(connection, scope, request_id), request_id)
            return Detail(request, sql.list_decisions(connection, scope, request_id))

    def list_requests(
        self, scope: Scope, wanted: RequestFilter, *, page_size: int, after: Cursor | None = None
    ) -> RequestPage:
        """One page of the scope's requests, newest first."""
        if after is not None and not could_be_id(after.request_id):
            return RequestPage((), None, 0)
        now = self.clock()
        with reading(self._engine) as connection:
            found = sql.list_requests(connection, scope, wanted, now, after=after, limit=page_size + 1)
            total = sql.count_requests(connection, scope, wanted, now)
        requests = found[:page_size]
        is_last = len(found) <= page_size
        return RequestPage(requests, None if is_last else Cursor(requests[-1].created_at, requests[-1].id), total)

    def count_waiting(self) -> int:
        """Requests of all tenants that can still be decided."""
        with reading(self._engine) as connection:
            return sql.count_waiting(connection, self.clock())

    # --- changing ---

    def ask(
        self,
        connection: Connection,
        scope: Scope,
        asset: AssetRef,
        change: StateChange,
        policy: Policy,
        caller: Caller,
    ) -> ApprovalRequest:
        """The pending request for this change of an asset whose record is locked: the one that is there, or a new one.

        A request that is over, or was about another step to the same state, makes room.
        """
        now, key = self.clock(), active_key(scope, asset, SET_STATE, change.after)
        held = sql.read_active(connection, scope, key)
        if held is not None and held.status_at(now) == "expired":
            self._close(connection, scope, held, "expired", SYSTEM, "nobody decided in time")
            held = None
        if held is not None and held.from_state != change.before:
            self._close(connection, scope, held, "canceled", SYSTEM, _stale(held, change.before))
            held = None
        if held is not None:
            return held
        request_id = str(uuid.uuid4())
        values = {**self._initial(change, policy), "id": request_id, "active_key": key, "requester": caller.user}
        sql.insert_request(connection, scope, asset, values)
        request = _found(sql.read_request(connection, scope, request_id), request_id)
        about = {"policyId": policy.id, "requiredCount": policy.gate.required_count, "state": change.after}
        told = Told(type=events.REQUESTED, action=SET_STATE, outcome="pending", reason=change.reason, metadata=about)
        self._tell(connection, scope, request, caller, told)
        return request

    def _initial(self, change: StateChange, policy: Policy) -> dict[str, Any]:
        now = self.clock()
        return {
            "action": SET_STATE,
            "action_params": {"state": change.after},
            "from_state": change.before,
            "policy_id": policy.id,
            "required_count": policy.gate.required_count,
            "allowed_roles": policy.gate.allowed_roles,
            "deny_on_first": policy.gate.deny_on_first,
            "status": "pending",
            "reason": change.reason,
            "expires_at": now + policy.expiry_hours * _HOUR_MS,
            "created_at": now,
            "updated_at": now,
        }

    def decide(
        self, scope: Scope, request_id: str, verdict: Verdict, comment: str | None, caller: Caller
    ) -> dict[str, Any]:
        """Take a decision down, and carry the change out if it is the last one that was needed.

        Raises:
            NotFound: no such request in this scope.
            Conflict: it is not pending, its reviewer has decided already, or its asset went another way meanwhile.
            Forbidden: a requester approves, or the policy asks for a role that the caller has not.
        """

        def change(connection: Connection) -> dict[str, Any] | CatalogError:
            held = self._lock(connection, scope, request_id)
            request = held.request
            if (over := self._over(connection, scope, request)) is not None:
                return over
            decided = sql.list_decisions(connection, scope, request_id)
            _check_reviewer(request, verdict, decided, caller)
            decision = Decision(str(uuid.uuid4()), request_id, caller.user, verdict, comment, self.clock())
            sql.insert_decision(connection, scope, decision)
            about = {"verdict": verdict}
            told = Told(type=events.DECIDED, action=f"approval.{verdict}", reason=comment, metadata=about)
            self._tell(connection, scope, request, caller, told)
            return self._conclude(connection, scope, held, (*decided, decision), caller)

        return _raised(write(self._writing_engine, change))

    def cancel(self, scope: Scope, request_id: str, reason: str | None, caller: Caller) -> dict[str, Any]:
        """Take a request back.

        Raises:
            NotFound: no such request in this scope. Conflict: it is not pending.
        """

        def change(connection: Connection) -> dict[str, Any] | CatalogError:
            request = self._lock(connection, scope, request_id).request
            if (over := self._over(connection, scope, request)) is not None:
                return over
            self._close(connection, scope, request, "canceled", caller.user, reason)
            told = Told(type=events.CANCELED, action=request.action, outcome="canceled", reason=reason)
            self._tell(connection, scope, request, caller, told)
            caller.record(connection, 200)
            return {"status": "canceled", "requestId": request_id}

        return _raised(write(self._writing_engine, change))

    # --- within a transaction ---

    def _lock(self, connection: Connection, scope: Scope, request_id: str) -> _Held:
        _check_id(request_id)
        request = _found(sql.read_request(connection, scope, request_id), request_id)
        record = self._records.lock(connection, scope, request.asset, request.requester)
        locked = _found(sql.lock_request(connection, scope, request_id), request_id)
        return _Held(locked, record["lifecycle_state"])

    def _over(self, connection: Connection, scope: Scope, request: ApprovalRequest) -> Conflict | None:
        """Why nothing can be done about a request any more; None: it is pending."""
        status = request.status_at(self.clock())
        if status == "pending":
            return None
        if status == "expired" and request.status == "pending":
            self._close(connection, scope, request, "expired", SYSTEM, "nobody decided in time")
        return Conflict(f'approval request "{request.id}" is {status}')

    def _conclude(
        self,
        connection: Connection,
        scope: Scope,
        held: _Held,
        decisions: tuple[Decision, ...],
        caller: Caller,
    ) -> dict[str, Any] | CatalogError:
        request = held.request
        tally, last = count_decisions(request.gate, decisions), decisions[-1]
        if tally.outcome == "denied":
            self._close(connection, scope, request, "denied", caller.user, last.comment)
            told = Told(type=events.DENIED, action=request.action, outcome="denied", reason=last.comment)
            self._tell(connection, scope, request, caller, told)
            caller.record(connection, 200)
            return {"decision": "denied", "requestId": request.id}
        if tally.outcome == "approved":
            return self._carry_out(connection, scope, held, caller)
        caller.record(connection, 200)
        return {
            "decision": last.verdict,
            "requestId": request.id,
            "status": "pending",
            "approvesCount": tally.approves,
            "deniesCount": tally.denies,
            "requiredCount": request.gate.required_count,
        }

    def _carry_out(
        self, connection: Connection, scope: Scope, held: _Held, caller: Caller
    ) -> dict[str, Any] | CatalogError:
        """What was approved of is a step from one state to another: from any other state it is another step."""
        request, state = held.request, held.state
        if state != request.from_state:
            note = _stale(request, state)
            self._close(connection, scope, request, "canceled", SYSTEM, note)
            told = Told(type=events.EXECUTION_FAILED, action=request.action, outcome="failure", reason=note)
            self._tell(connection, scope, request, caller, told)
            return Conflict(f'approval request "{request.id}" is canceled: {note}')
        change = StateChange(
            request.from_state, check_transition(state, request.target), request.reason, request.requester
        )
        about = {"approvalRequestId": request.id, "approvedBy": caller.user}
        self._records.set_state(connection, scope, request.asset, change, caller, **about)
        self._close(connection, scope, request, "approved", caller.user, APPROVED_NOTE)
        caller.record(connection, 200)
        return {
            "decision": "approved",
            "requestId": request.id,
            "autoExecuted": True,
            "result": completed(request.action, change),
        }

    def _close(
        self,
        connection: Connection,
        scope: Scope,
        request: ApprovalRequest,
        status: Status,
        user: str,
        note: str | None,
    ) -> None:
        now = self.clock()
        values = {
            "status": status,
            "active_key": None,
            "resolved_at": now,
            "resolved_by": user,
            "resolution_note": note,
            "updated_at": now,
        }
        sql.update_request(connection, scope, request.id, values)

    def _tell(self, connection: Connection, scope: Scope, request: ApprovalRequest, caller: Caller, told: Told) -> None:
        told = replace(told, metadata={"approvalRequestId": request.id, **told.metadata})
        actor = SYSTEM if told.type == events.EXECUTION_FAILED else None
        self._trail.add(connection, event_of(scope, request.asset, caller, told, actor))


def completed(action: str, change: StateChange) -> dict[str, Any]:
    """The ActionResult of a step that was taken."""
    data = {"from": change.before, "to": change.after, "reason": change.reason}
    message = f"{change.before} is {change.after} now" if change.before != change.after else f"is {change.after}"
    return result(action, "completed", message, {name: value for name, value in data.items() if value})


def result(action: str, status: str, message: str, data: dict[str, Any]) -> dict[str, Any]:
    """An ActionResult."""
    return {"action": action, "status": status, "message": message, "data": data}


def _check_reviewer(request: ApprovalRequest, verdict: Verdict, decided: tuple[Decision, ...], caller: Caller) -> None:
    if verdict == "approve" and caller.user == request.requester:
        raise Forbidden("who asks for an approval cannot give it")
    allowed = request.gate.allowed_roles
    if allowed and caller.roles is not None and not caller.roles.intersection(allowed):
        raise Forbidden(f"policy {request.policy_id} wants one of the roles {', '.join(allowed)}")
    if any(one.reviewer == caller.user for one in decided):
        raise Conflict(f"{caller.user} has decided about this request already")


def _stale(request: ApprovalRequest, state: str) -> str:
    return f"the asset was {request.from_state} when it was asked for, and is {state} now"


def _raised(done: Mapping[str, Any] | CatalogError) -> dict[str, Any]:
    """What was found to be over is written down as that, and then told as an error."""
    if isinstance(done, CatalogError):
        raise done
    return dict(done)


def _found(request: ApprovalRequest | None, request_id: str) -> ApprovalRequest:
    if request is None:
        raise _not_found(request_id)
    return request


def _check_id(text: str) -> None:
    """Raises NotFound for what cannot be an id."""
    if not could_be_id(text):
        raise _not_found(text)


def _not_found(request_id: str) -> NotFound:
    return NotFound(f'approval request "{request_id[:80]}" not found')
