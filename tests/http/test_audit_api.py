"""Looking for audit events: filters, pages, export (spec platform.md 5.4)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.audit.trails import NOW, event
from tests.http.client import check_error
from tests.http.operator import Operator, operating

EVENTS = "/api/audit/v1alpha1/events"
EXPORT = f"{EVENTS}:export"
COUNT = 2345
DENIED = 7


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """With events of a few milliseconds: many have the same time."""
    with operating(tmp_path_factory.mktemp("events")) as found:
        trail = found.services.trail
        for number in range(COUNT):
            outcome = "denied" if number < DENIED else "success"
            ids = (f"s {number % 5}&",)
            trail.keep(event(namespace="default", created_at=NOW + number // 100, outcome=outcome, resource_ids=ids))
        trail.drain()
        yield found


def get(operator: Operator, **parameters: str) -> Any:
    return operator.ok("GET", EVENTS, params=parameters)


def test_pages_hold_each_event_once_newest_first(operator: Operator) -> None:
    """D46: equal times neither skip nor repeat; the token stands in a URL as it is."""
    found, token = [], ""
    while True:
        response = operator.ask("GET", f"{EVENTS}?pageSize=100" + (f"&pageToken={token}" if token else ""))
        page = response.json()
        assert page["totalSize"] == COUNT
        found += page["events"]
        token = page["nextPageToken"]
        if not token:
            break
    assert len({one["id"] for one in found}) == len(found) == COUNT
    assert [one["createdAt"] for one in found] == sorted((one["createdAt"] for one in found), reverse=True)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("", 20), ("5", 5), ("0", 20), ("-1", 20), ("x", 20), ("101", 100), ("9" * 30, 100), ("1.5", 20)],
)
def test_page_size_is_lenient(operator: Operator, size: str, expected: int) -> None:
    assert len(get(operator, pageSize=size)["events"]) == expected


def test_filters_narrow_the_list_and_its_size(operator: Operator) -> None:
    assert get(operator, outcome="denied")["totalSize"] == DENIED
    assert get(operator, outcome="Denied", actor="ann", eventType="management", plugin="")["totalSize"] == DENIED
    assert get(operator, resourceId="s 1&")["totalSize"] == COUNT // 5
    assert get(operator, namespace="default")["totalSize"] == COUNT
    assert get(operator, namespace="team-b") == {"events": [], "nextPageToken": "", "totalSize": 0}


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2030-03-17T17:46:40.005Z", "2030-03-17T17:46:40.006Z", 100),
        ("2030-03-17T19:46:40.005+02:00", "2030-03-17t17:46:40.006000z", 100),
        ("2030-03-17T17:46:41Z", "", 0),
        ("", "2030-03-17T17:46:40Z", 0),
        ("2030-03-17T17:46:40Z", "", COUNT),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", COUNT),
    ],
)
def test_since_is_inclusive_and_until_exclusive(operator: Operator, since: str, until: str, expected: int) -> None:
    assert get(operator, since=since, until=until)["totalSize"] == expected


@pytest.mark.parametrize(
    "moment",
    ["yesterday", "2030-03-17", "2030-03-17T17:46:40", "2030-13-17T17:46:40Z", "2030-03-17T17:46:40 02:00", "2030-W01"],
)
@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("path", [EVENTS, EXPORT])
def test_a_moment_that_is_none_is_named(operator: Operator, path: str, name: str, moment: str) -> None:
    error = operator.error("GET", path, status=400, params={name: moment})
    assert error["field"] == name
    assert error["error"] == error["message"]


@pytest.mark.parametrize("token", ["x", "2030-03-17T17:46:40Z", "eyJ2IjoxfQ", "%F0%9F%A6%8A"])
def test_a_bad_token_is_400(operator: Operator, token: str) -> None:
    response = operator.ask("GET", f"{EVENTS}?pageToken={token}")
    assert response.status_code == 400
    assert check_error(response)["field"] == "pageToken"


def test_a_token_is_of_its_filter(operator: Operator) -> None:
    token = get(operator, outcome="success")["nextPageToken"]
    assert get(operator, outcome="success", pageToken=token, pageSize="1")["events"]
    for other in ({}, {"outcome": "denied"}, {"outcome": "success", "actor": "ann"}):
        assert operator.ask("GET", EVENTS, params={**other, "pageToken": token}).status_code == 400


@pytest.mark.parametrize("given", [{"outcome": "good"}, {"actor": "x" * 1025}, {"resourceId": "x" * 1025}])
def test_a_bad_filter_is_named(operator: Operator, given: dict[str, str]) -> None:
    assert operator.error("GET", EVENTS, status=400, params=given)["field"] in given


@pytest.mark.parametrize(("given", "expected"), [({}, COUNT), ({"resourceId": "s 1&"}, COUNT // 5)])
def test_the_export_is_all_events_in_parts_of_bounded_size(
    operator: Operator, given: dict[str, str], expected: int
) -> None:
    found = []
    response = operator.ask("GET", EXPORT, params=given)
    while True:
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/x-ndjson"
        lines = response.text.splitlines()
        assert len(lines) <= 1000
        found += [json.loads(line)["id"] for line in lines]
        if "link" not in response.headers:
            break
        assert response.links["next"]["url"].startswith("/api/audit/")
        response = operator.ask("GET", response.links["next"]["url"])
    assert len(found) == len(set(found)) == expected


def test_one_event(operator: Operator) -> None:
    one = get(operator)["events"][0]
    assert operator.ok("GET", f"{EVENTS}/{one['id']}") == one
    error = operator.error("GET", f"{EVENTS}/no-such", status=404)
    assert error["error"] == 'audit event "no-such" not found'


def test_viewers_may_read(operator: Operator) -> None:
    """In mode `none` reads are open to all, these too."""
    for path in (EVENTS, EXPORT, f"{EVENTS}/{get(operator)['events'][0]['id']}"):
        assert operator.client.get(path).status_code == 200
