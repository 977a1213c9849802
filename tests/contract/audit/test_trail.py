"""Audit events on all databases: written once, found in their namespace only, forgotten in time (platform.md 5)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy.event
from sqlalchemy import insert

from catalog_server.audit.event import Cursor, Event, EventFilter
from catalog_server.audit.spool import Spool
from catalog_server.audit.trail import ENDED_EARLY, Trail
from catalog_server.db.engine import Engine, writing
from catalog_server.db.tables import audit_events
from catalog_server.errors import NotFound, Unavailable
from catalog_server.scope import Scope
from catalog_server.settings import Audit
from tests.contract.audit.trails import NOW, TEAM_A, TEAM_B, build_trail, event
from tests.contract.jobs.queues import open_test_engine

ALL = EventFilter()
DAY_MS = 86_400_000


def listed(trail: Trail, wanted: EventFilter = ALL) -> tuple[Event, ...]:
    return trail.list_events(TEAM_A, wanted, page_size=100).events


def counted(trail: Trail, scope: Scope, wanted: EventFilter) -> int | None:
    return trail.list_events(scope, wanted, page_size=1, is_counted=True).total_size


FULL = event(
    request_id="r-1",
    plugin="mcp",
    resource_type="entities",
    resource_ids=("a/b", 'q"uo\\te', "Ünal 🦊"),
    status_code=409,
    outcome="failure",
    reason="no\nway",
    old_value={"tags": ["a"]},
    new_value={},
    metadata={"groups": ["x"], "duration": "1ms"},
)


def test_an_event_comes_back_as_it_was_written(trail: Trail) -> None:
    trail.write(FULL)
    assert trail.get(TEAM_A, FULL.id) == FULL
    assert listed(trail) == (FULL,)


def test_an_event_when_written_again_then_is_one_and_the_newer(trail: Trail) -> None:
    """The request was answered otherwise than its transaction had foreseen."""
    first = event(status_code=202)
    trail.write(first)
    later = event(id=first.id, status_code=500, outcome="failure", reason="internal error")
    trail.write(later)
    assert listed(trail) == (later,)


def test_an_event_in_a_transaction_when_that_fails_then_is_not_there(engine: Engine, trail: Trail) -> None:
    one, two = event(), event()

    def fail() -> None:
        with writing(engine) as connection:
            trail.add(connection, one)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with writing(engine) as connection:
        trail.add(connection, two)
    assert listed(trail) == (two,)


def test_odd_text_is_fitted(trail: Trail) -> None:
    odd = event(
        actor="a" * 300, reason="x\0\ud800" + "y" * 3000, resource_ids=("\0\ud800",), metadata={"path": "\ud800"}
    )
    trail.write(odd)
    (found,) = listed(trail)
    assert (len(found.actor), len(found.reason or "")) == (255, 2000)
    assert found.resource_ids == ("\0?",)


def test_of_another_namespace_nothing_is_seen(trail: Trail) -> None:
    mine, theirs = event(), event(namespace="team-b")
    trail.write(mine)
    trail.write(theirs)
    assert listed(trail) == (mine,)
    assert counted(trail, TEAM_A, ALL) == 1
    with pytest.raises(NotFound):
        trail.get(TEAM_A, theirs.id)
    assert trail.get(TEAM_B, theirs.id) == theirs


@pytest.mark.parametrize("event_id", ["", "x", "é" * 36, "x" * 36, "\0" * 36, "x" * 10_000])
def test_an_unknown_id_is_not_found(trail: Trail, event_id: str) -> None:
    with pytest.raises(NotFound):
        trail.get(TEAM_A, event_id)


FILTERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"actor": "bob"}, {"actor": "bob"}),
    ({"plugin": "mcp"}, {"plugin": "mcp"}),
    ({"action": "rollback"}, {"action": "other", "action_verb": "rollback"}),
    ({"action": "lifecycle.setState"}, {"action": "lifecycle.setState", "action_verb": "create"}),
    ({"event_type": "job"}, {"event_type": "job"}),
    ({"outcome": "denied"}, {"outcome": "denied"}),
    ({"correlation_id": "c-2"}, {"correlation_id": "c-2"}),
    ({"resource_id": "b"}, {"resource_ids": ("a", "b")}),
    ({"resource_id": 'x"%_\\y'}, {"resource_ids": ('x"%_\\y',)}),
    ({"resource_id": "Ünal 🦊"}, {"resource_ids": ("Ünal 🦊",)}),
    ({"since": NOW + 1}, {"created_at": NOW + 1}),
    ({"until": NOW}, {"created_at": NOW - 1}),
]


@pytest.mark.parametrize(("wanted", "given"), FILTERS)
def test_a_filter_finds_what_it_names_and_nothing_else(
    trail: Trail, wanted: dict[str, Any], given: dict[str, Any]
) -> None:
    others = [event(resource_ids=("B",)), event(resource_ids=("ab",)), event(resource_ids=('b"', "x"))]
    one = event(**given)
    for each in (*others, one):
        trail.write(each)
    assert listed(trail, EventFilter(**wanted)) == (one,)
    assert counted(trail, TEAM_A, EventFilter(**wanted)) == 1


@pytest.mark.parametrize(
    "name", ["actor", "plugin", "action", "event_type", "outcome", "correlation_id", "resource_id"]
)
@pytest.mark.parametrize("value", ["nobody", "ü", "🦊" * 300, "%", "'", "\x01"])
def test_a_filter_that_nothing_can_match_finds_nothing(trail: Trail, name: str, value: str) -> None:
    trail.write(FULL)
    assert listed(trail, EventFilter(**{name: value})) == ()
    assert counted(trail, TEAM_A, EventFilter(**{name: value})) == 0


def test_pages_neither_skip_nor_repeat_events_of_one_moment(trail: Trail) -> None:
    """D46. While somebody pages, more events come, which are newer and so not on the pages to come."""
    written = {event(created_at=NOW - number // 7).id for number in range(30)}
    for number, event_id in enumerate(sorted(written)):
        trail.write(event(id=event_id, created_at=NOW - number // 7))
    found: list[str] = []
    after: Cursor | None = None
    while True:
        page = trail.list_events(TEAM_A, ALL, page_size=4, after=after)
        found += [one.id for one in page.events]
        trail.write(event(created_at=NOW + 1))
        after = page.next
        if after is None:
            break
    assert len(found) == len(set(found)) == 30
    assert set(found) == written


def test_the_size_is_that_of_the_moment_of_the_page(engine: Engine, trail: Trail) -> None:
    """An event that comes between the two questions is in neither answer."""
    came: list[Event] = []

    def write_another(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("SELECT") and not came:
            came.append(event())
            trail.write(came[0])

    sqlalchemy.event.listen(engine, "after_cursor_execute", write_another)
    page = trail.list_events(TEAM_A, ALL, page_size=5, is_counted=True)
    assert (page.events, page.total_size) == ((), 0)
    assert listed(trail) == tuple(came)


def test_retention_forgets_what_is_older_in_batches_and_nothing_else(engine: Engine, trail: Trail) -> None:
    template = {
        **{"correlation_id": "c", "event_type": "job", "actor": "a", "action": "refresh", "outcome": "success"},
        **{"resource_ids": "[]", "metadata": "{}", "created_at": NOW - 90 * DAY_MS - 1},
    }
    rows = [{**template, "id": f"old-{number}", "namespace": f"team-{'ab'[number % 2]}"} for number in range(1100)]
    with writing(engine) as connection:
        connection.execute(insert(audit_events), rows)
    kept = event(created_at=NOW - 90 * DAY_MS)
    trail.write(kept)
    assert trail.prune() == 1100
    assert trail.prune() == 0
    assert listed(trail) == (kept,)
    assert counted(trail, TEAM_B, ALL) == 0


# --- the spool


def test_what_is_spooled_is_drained_once_and_the_folder_is_empty(tmp_path: Path, trail: Trail) -> None:
    events = [event(created_at=NOW - number) for number in range(250)]
    for one in events:
        trail.keep(one)
    assert listed(trail) == ()
    assert trail.drain() == 250
    assert trail.list_events(TEAM_A, ALL, page_size=300).events == tuple(events)
    assert trail.drain() == 0
    assert list((tmp_path / "audit").iterdir()) == []


def test_draining_what_the_database_has_already_changes_nothing(trail: Trail, spool: Spool) -> None:
    """The process died between the commit and the removal of the file."""
    one = event()
    trail.write(one)
    trail.keep(one)
    assert trail.drain() == 1
    assert listed(trail) == (one,)


def test_another_process_drains_what_a_dead_one_left(engine: Engine, tmp_path: Path, trail: Trail) -> None:
    one = event()
    trail.keep(one)
    assert build_trail(engine, Spool(tmp_path / "audit")).drain() == 1
    assert listed(trail) == (one,)


def test_without_a_database_the_event_is_spooled_and_draining_says_so(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    engine = open_test_engine(f"sqlite:///{tmp_path / 'none' / 'not-migrated.db'}")
    trail = build_trail(engine, Spool(tmp_path / "audit"))
    one = event()
    trail.write(one)
    assert [path.name for path in (tmp_path / "audit").iterdir()] == [f"{one.id}.event"]
    with pytest.raises(Unavailable):
        trail.drain()
    assert len(list((tmp_path / "audit").iterdir())) == 1
    engine.dispose()


def test_an_announcement_is_told_when_its_process_is_dead_only(
    engine: Engine, tmp_path: Path, trail: Trail, spool: Spool
) -> None:
    one = event(status_code=500)
    trail.announce(one)
    trail.announce(event(id=one.id, status_code=500, old_value={"version": "v"}))
    assert build_trail(engine, Spool(tmp_path / "audit")).drain() == 0
    assert trail.drain() == 0
    die(spool)
    assert build_trail(engine, Spool(tmp_path / "audit")).drain() == 1
    (found,) = listed(trail)
    assert (found.outcome, found.status_code, found.reason) == ("failure", None, ENDED_EARLY)
    assert found.old_value == {"version": "v"}


def test_an_announcement_does_not_undo_what_is_known(engine: Engine, trail: Trail, spool: Spool) -> None:
    """The process died between writing the event and withdrawing the announcement."""
    one = event()
    trail.announce(one)
    trail.write(one)
    die(spool)
    assert trail.drain() == 1
    assert listed(trail) == (one,)


def test_a_withdrawn_announcement_leaves_nothing(tmp_path: Path, trail: Trail, spool: Spool) -> None:
    one = event()
    trail.announce(one)
    trail.withdraw(one.id)
    trail.withdraw(one.id)
    assert list((tmp_path / "audit").iterdir()) == []
    assert trail.drain() == 0


def test_a_file_that_is_no_event_is_set_aside(
    tmp_path: Path, trail: Trail, spool: Spool, capsys: pytest.CaptureFixture[str]
) -> None:
    spool.put("bad", b"{")
    good = event()
    trail.keep(good)
    trail.drain()
    assert listed(trail) == (good,)
    assert [path.name for path in (tmp_path / "audit").iterdir()] == ["bad.broken"]
    assert "bad.event" in capsys.readouterr().out


def test_what_the_spool_does_not_take_is_logged_as_a_whole(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trail = build_trail(engine, Spool(tmp_path / "audit", max_files=2))
    for one in (event(), event()):
        trail.keep(one)
    lost = event(actor="the-lost-one")
    trail.keep(lost)
    logged = capsys.readouterr().out
    assert "audit event lost" in logged
    assert "the-lost-one" in logged
    assert lost.id in logged
    assert len(list((tmp_path / "audit").iterdir())) == 2
    (tmp_path / "file").write_text("")
    build_trail(engine, Spool(tmp_path / "file")).keep(lost)
    assert "audit event lost" in capsys.readouterr().out


# --- switches


@pytest.mark.parametrize("how", [Trail.write, Trail.keep])
def test_when_off_then_nothing_is_written(
    engine: Engine, tmp_path: Path, trail: Trail, how: Callable[[Trail, Event], None]
) -> None:
    off = build_trail(engine, Spool(tmp_path / "off"), Audit(enabled=False, retention_days=90, log_denied=True))
    how(off, event())
    off.announce(event())
    with writing(engine) as connection:
        off.add(connection, event())
    assert not (tmp_path / "off").exists()
    assert listed(trail) == ()


def test_denials_can_be_left_out(engine: Engine, tmp_path: Path) -> None:
    trail = build_trail(engine, Spool(tmp_path / "a"), Audit(enabled=True, retention_days=90, log_denied=False))
    trail.write(event(outcome="denied"))
    trail.write(failed := event(outcome="failure", created_at=NOW + 1))
    trail.write(refused := event(outcome="denied", event_type="governance.approval.denied"))
    assert listed(trail) == (failed, refused), "what a reviewer says is no denied request"


def die(spool: Spool) -> None:
    """What the end of the process does to the locks."""
    for descriptor in spool._announced.values():
        os.close(descriptor)
    spool._announced.clear()
