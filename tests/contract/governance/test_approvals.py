"""Approval requests on all databases: four eyes, gates, expiry, races (spec platform.md 9.6)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from catalog_server.errors import CatalogError, Conflict, Forbidden, NotFound
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.requests import Cursor, RequestFilter
from catalog_server.governance.version import VersionCursor
from tests.contract.governance.offices import AGENT, ASSET, HOUR_MS, Office
from tests.contract.jobs.queues import TEAM_A, TEAM_B

PATIENCE_SECONDS = 30


def test_an_approval_carries_the_change_out_in_the_name_of_who_asked(office: Office) -> None:
    request_id = office.ask()
    assert office.state() == "draft"
    decided = office.decide(request_id, "bob")
    assert decided == {
        "decision": "approved",
        "requestId": request_id,
        "autoExecuted": True,
        "result": {
            "action": "lifecycle.setState",
            "status": "completed",
            "message": "draft is approved now",
            "data": {"from": "draft", "to": "approved", "reason": "ready"},
        },
    }
    lifecycle = office.records.get(TEAM_A, ASSET, "x")["governance"]["lifecycle"]
    assert (lifecycle["state"], lifecycle["changedBy"], lifecycle["reason"]) == ("approved", "ann", "ready")
    found = office.approvals.get(TEAM_A, request_id)
    assert (found.request.status, found.request.resolved_by) == ("approved", "bob")
    assert [(one.reviewer, one.verdict, one.comment) for one in found.decisions] == [("bob", "approve", "bob says")]
    assert [(event.event_type, event.actor, event.outcome) for event in office.history()] == [
        ("governance.lifecycle.changed", "ann", "success"),
        ("governance.approval.decision", "bob", "success"),
        ("governance.approval.requested", "ann", "pending"),
    ]
    assert {event.correlation_id for event in office.history()} == {"c-1"}
    assert office.recorded == [202, 200]


def test_who_asks_again_finds_the_request_that_waits(office: Office) -> None:
    request_id = office.ask()
    assert office.ask(user="eve") == request_id
    assert office.approvals.get(TEAM_A, request_id).request.requester == "ann"
    assert office.ask(AssetRef("mcp", "mcpserver", "other")) != request_id
    assert office.ask(scope=TEAM_B) != request_id


def test_who_asks_cannot_approve_and_can_deny(office: Office) -> None:
    request_id = office.ask()
    with pytest.raises(Forbidden, match="who asks"):
        office.decide(request_id, "ann")
    assert office.decide(request_id, "ann", "deny")["status"] == "pending"


def test_a_gate_wants_as_many_reviewers_as_it_says_each_of_them_once(office: Office) -> None:
    request_id = office.ask(AGENT)
    assert office.decide(request_id, "bob", "approve") == {
        "decision": "approve",
        "requestId": request_id,
        "status": "pending",
        "approvesCount": 1,
        "deniesCount": 0,
        "requiredCount": 2,
    }
    with pytest.raises(Conflict, match="bob has decided"):
        office.decide(request_id, "bob", "approve")
    assert office.state(AGENT) == "draft"
    assert office.decide(request_id, "abe", "approve")["decision"] == "approved"
    assert office.state(AGENT) == "approved"
    assert office.recorded == [202, 200, 200]


def test_a_denial_ends_a_request_where_the_gate_says_so(office: Office) -> None:
    request_id = office.ask(AGENT)
    assert office.decide(request_id, "bob", "deny") == {"decision": "denied", "requestId": request_id}
    assert (office.status(request_id), office.state(AGENT)) == ("denied", "draft")
    with pytest.raises(Conflict, match="is denied"):
        office.decide(request_id, "cid")
    assert "governance.approval.denied" in {event.event_type for event in office.history(AGENT)}
    assert office.ask(AGENT) != request_id


def test_a_role_counts_where_roles_are_known(office: Office) -> None:
    request_id = office.ask(AGENT)
    with pytest.raises(Forbidden, match="wants one of the roles admin"):
        office.decide(request_id, "bob", "approve", "dev", "operator")
    office.decide(request_id, "bob", "approve", "dev", "admin")
    office.decide(request_id, "cid", "approve")
    assert office.state(AGENT) == "approved"


def test_a_request_that_nobody_decides_expires_and_makes_room(office: Office) -> None:
    request_id = office.ask()
    office.clock.advance(HOUR_MS - 1)
    assert (office.status(request_id), office.approvals.count_waiting()) == ("pending", 1)
    office.clock.advance(1)
    assert (office.status(request_id), office.approvals.count_waiting()) == ("expired", 0)
    assert [
        one.id for one in office.approvals.list_requests(TEAM_A, RequestFilter("pending"), page_size=9).requests
    ] == []
    found = office.approvals.list_requests(TEAM_A, RequestFilter("expired"), page_size=9)
    assert ([one.id for one in found.requests], found.total_size) == ([request_id], 1)
    with pytest.raises(Conflict, match="is expired"):
        office.decide(request_id, "bob")
    assert office.approvals.get(TEAM_A, request_id).request.status == "expired"
    assert office.state() == "draft"
    second = office.ask()
    office.clock.advance(HOUR_MS)
    assert office.ask() not in (request_id, second)


def test_a_request_is_canceled_once(office: Office) -> None:
    request_id = office.ask()
    caller = office.by("eve")
    canceled = {"status": "canceled", "requestId": request_id}
    assert office.approvals.cancel(TEAM_A, request_id, "not now", caller) == canceled
    assert office.recorded == [202, 200]
    for again in (
        lambda: office.approvals.cancel(TEAM_A, request_id, None, caller),
        lambda: office.decide(request_id, "bob"),
    ):
        with pytest.raises(Conflict, match="is canceled"):
            again()
    (event,) = (one for one in office.history() if one.outcome == "canceled")
    assert (event.actor, event.reason) == ("eve", "not now")


def test_an_asset_that_went_another_way_is_not_changed_by_an_old_approval(office: Office) -> None:
    """The lifecycle would have the step: archived -> draft -> approved, but nobody approved of that one."""
    office.decide(office.ask(), "bob")
    office.act("archive")
    request_id = office.act("restore", targetState="draft").document["data"]["requestId"]
    office.act("setState", state="deprecated")
    with pytest.raises(Conflict, match="was archived when it was asked for, and is deprecated now"):
        office.decide(request_id, "bob")
    assert (office.status(request_id), office.state()) == ("canceled", "deprecated")
    (failed,) = (one for one in office.history() if one.event_type == "governance.approval.execution_failed")
    assert (failed.actor, failed.outcome) == ("system", "failure")


def test_a_request_about_another_step_to_the_same_state_makes_room(office: Office) -> None:
    office.decide(office.ask(), "bob")
    office.act("deprecate")
    old = office.ask()
    office.act("archive")
    office.decide(office.act("restore", targetState="draft").document["data"]["requestId"], "bob")
    new = office.ask()
    assert (office.status(old), office.status(new)) == ("canceled", "pending")


@pytest.mark.parametrize("request_id", ["", "x", "x" * 36, "ü" * 36, "\0" * 36])
def test_what_is_no_request(office: Office, request_id: str) -> None:
    for ask in (
        lambda: office.approvals.get(TEAM_A, request_id),
        lambda: office.decide(request_id, "bob"),
        lambda: office.approvals.cancel(TEAM_A, request_id, None, office.by("bob")),
    ):
        with pytest.raises(NotFound):
            ask()


def test_requests_of_another_namespace_are_not_there(office: Office) -> None:
    request_id = office.ask(scope=TEAM_B)
    for ask in (
        lambda: office.approvals.get(TEAM_A, request_id),
        lambda: office.decide(request_id, "bob"),
        lambda: office.approvals.cancel(TEAM_A, request_id, None, office.by("bob")),
    ):
        with pytest.raises(NotFound):
            ask()
    assert office.approvals.list_requests(TEAM_A, RequestFilter(), page_size=9).total_size == 0
    assert office.approvals.get(TEAM_B, request_id).request.status == "pending"


def test_pages_hold_each_request_once_newest_first(office: Office) -> None:
    asked = []
    for number in range(7):
        asked.append(office.ask(AssetRef("mcp", "mcpserver", f"m{number}")))
        office.clock.advance(number % 2)
    found: list[str] = []
    after: Cursor | None = None
    while True:
        page = office.approvals.list_requests(TEAM_A, RequestFilter(), page_size=2, after=after)
        assert page.total_size == 7
        found += [one.id for one in page.requests]
        after = page.next
        if after is None:
            break
    assert sorted(found) == sorted(asked)
    assert found[0] == asked[-1]
    assert office.approvals.list_requests(TEAM_A, RequestFilter(), page_size=7).next is None
    one = office.approvals.list_requests(TEAM_A, RequestFilter(asset_uid="mcp:mcpserver:m3"), page_size=9)
    assert [request.id for request in one.requests] == [asked[3]]


@pytest.mark.parametrize("row_id", ["", "\0", "\0" * 36, "ü" * 36, "x" * 500])
def test_a_place_that_no_page_has_shown_is_the_end(office: Office, row_id: str) -> None:
    """A token is not signed: the database must not choke on what somebody has put into one."""
    office.ask()
    office.keep("1")
    assert office.approvals.list_requests(TEAM_A, RequestFilter(), page_size=9, after=Cursor(1, row_id)).requests == ()
    assert office.versions.list_versions(TEAM_A, ASSET, page_size=9, after=VersionCursor(1, row_id)).versions == ()


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each gives or raises; all begin together."""
    barrier, found = threading.Barrier(len(works)), list[object]()

    def run(work: Callable[[], object]) -> None:
        barrier.wait(PATIENCE_SECONDS)
        try:
            found.append(work())
        except CatalogError as error:
            found.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert len(found) == len(works)
    return found


def test_many_who_ask_at_once_make_one_request(office: Office) -> None:
    asked = at_once(*(lambda user=f"u{n}": office.ask(user=user) for n in range(6)))
    assert len(set(map(str, asked))) == 1
    assert office.approvals.list_requests(TEAM_A, RequestFilter(), page_size=9).total_size == 1


def test_of_decisions_at_once_one_carries_the_change_out(office: Office) -> None:
    request_id = office.ask(AGENT)
    decided = at_once(*(lambda user=f"u{n}": office.decide(request_id, user) for n in range(5)))
    answers = [one for one in decided if isinstance(one, dict)]
    assert Counter(one["decision"] for one in answers) == Counter(approve=1, approved=1)
    assert all(isinstance(one, Conflict) for one in decided if one not in answers)
    changed = [one for one in office.history(AGENT) if one.event_type == "governance.lifecycle.changed"]
    assert len(changed) == 1
    assert len(office.approvals.get(TEAM_A, request_id).decisions) == 2


def test_a_decision_and_a_cancel_and_a_step_at_once_do_not_wait_for_each_other(office: Office) -> None:
    for number in range(4):
        asset = AssetRef("mcp", "mcpserver", f"m{number}")
        request_id = office.ask(asset)
        done = at_once(
            lambda request_id=request_id: office.decide(request_id, "bob"),
            lambda request_id=request_id: office.approvals.cancel(TEAM_A, request_id, None, office.by("eve")),
            lambda asset=asset: office.act("setState", asset, user="cid", state="approved"),
        )
        assert not [one for one in done if isinstance(one, CatalogError) and not isinstance(one, Conflict)]
        approved = office.status(request_id) == "approved"
        assert office.state(asset) == ("approved" if approved else "draft")
