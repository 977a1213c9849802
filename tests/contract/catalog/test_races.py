"""A source is changed, switched off or deleted at the very moment in which it is refreshed: the last word counts."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from catalog_server.catalog import sql
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.schedule import Schedule
from catalog_server.catalog.status import SourceStatus
from catalog_server.db.engine import Connection
from catalog_server.errors import NotFound, Unavailable
from catalog_server.sources.config import Source
from tests.contract.catalog.site import PATIENCE_SECONDS, REGISTRY, Site


def expect(site: Site, state: str, *names: str) -> None:
    status = site.status()
    assert status is not None
    assert (status.state, status.entity_count, site.names()) == (state, len(names), sorted(names))


def test_disable_when_the_source_is_being_refreshed_then_at_once_and_it_stays_empty(site: Site) -> None:
    site.apply("one two")
    site.refresh()
    expect(site, "available", "one", "two")
    with site.at_gate(site.remote, site.refresh) as done:
        site.set_enabled(False)  # returns although the fetch goes on
        expect(site, "disabled")
    expect(site, "disabled")
    assert (done[0].error, done[0].loaded) == (None, 0)


def test_delete_when_the_source_is_being_refreshed_then_nothing_of_it_comes_back(site: Site) -> None:
    site.apply("one two")
    site.refresh()
    with site.at_gate(site.remote, site.refresh) as done:
        site.delete()
        assert site.names() == []
    assert site.names() == []
    assert site.status() is None
    assert isinstance(done[0], NotFound)


def test_apply_when_the_source_is_being_refreshed_then_the_refresh_brings_what_was_applied(site: Site) -> None:
    site.apply("one two")
    with site.at_gate(site.remote, site.refresh) as done:
        site.apply("three")
    expect(site, "available", "three")
    assert done[0].error is None


def test_disable_and_enable_when_the_source_is_being_refreshed_then_its_entities_are_there(site: Site) -> None:
    """The content is what it was before, but what was stored of it is gone meanwhile."""
    site.apply("one two")
    site.refresh()
    with site.at_gate(site.remote, site.refresh):
        site.set_enabled(False)
        site.set_enabled(True)
    expect(site, "available", "one", "two")


def test_disable_when_the_source_fails_meanwhile_then_it_is_disabled_and_not_in_error(site: Site) -> None:
    site.apply("down")
    with site.at_gate(site.remote, site.refresh):
        site.set_enabled(False)
    expect(site, "disabled")


def test_disable_when_its_turn_in_a_refresh_of_all_has_not_come_then_it_stays_empty(site: Site) -> None:
    site.apply("one", "a")
    site.apply("two", "s")
    site.apply("three", "t")
    with site.at_gate(site.remote, site.refresh, None) as done:
        site.set_enabled(False, "s")
        site.delete("t")
    status = site.status()
    assert status is not None
    assert (status.state, status.entity_count, site.names()) == ("disabled", 0, ["one"])
    assert (done[0].error, done[0].loaded) == (None, 1)


def test_refresh_when_two_are_asked_for_at_once_then_one_after_the_other(site: Site) -> None:
    site.apply("one")
    with site.at_gate(site.remote, site.refresh):
        second = threading.Thread(target=site.refresh)
        second.start()
        second.join(0.1)
        assert second.is_alive()
    second.join(PATIENCE_SECONDS)
    assert not second.is_alive()
    expect(site, "available", "one")


def test_apply_when_the_same_source_is_being_loaded_then_the_new_one_is_loaded_as_well(site: Site) -> None:
    """The watching thread loads the former configuration when the new one comes."""
    site.apply("one", source_type="yaml")
    site.loader.touch_all()
    with site.at_gate(site.local, site.loader.load):
        applying = threading.Thread(target=site.apply, args=("two", "s", "yaml"))
        applying.start()
        while b"path: two" not in site.file.read_bytes() or not site.loader.is_due:
            applying.join(0.01)
    applying.join(PATIENCE_SECONDS)
    assert not applying.is_alive()
    expect(site, "available", "two")


def test_delete_when_all_are_swept_at_that_moment_then_it_is_swept_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.apply("one", source_type="yaml")
    site.loader.touch_all()
    read_source_ids = sql.read_source_ids
    deleting = threading.Thread(target=site.delete)

    def during_the_sweep(connection: Connection) -> set[tuple[str, str, str]]:
        found = read_source_ids(connection)
        if not deleting.ident:
            deleting.start()
            while b"id: s" in site.file.read_bytes() or site.configuration.find(*_s(site)) is not None:
                deleting.join(0.01)
        return found

    monkeypatch.setattr(sql, "read_source_ids", during_the_sweep)
    site.loader.load()
    deleting.join(PATIENCE_SECONDS)
    assert not deleting.is_alive()
    assert (site.names(), site.status()) == ([], None)


def _s(site: Site) -> tuple[Any, Plugin, str]:
    key = site.key()
    return key.scope, REGISTRY.plugins[key.plugin], key.source_id


def test_statuses_when_one_is_put_while_all_are_read_then_it_is_not_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before a refresh stored its outcome is older than that outcome."""
    site.apply("one")
    site.refresh()
    older, newer = site.status(), SourceStatus("available", "another fingerprint")
    read_statuses = sql.read_statuses

    def read_slowly(connection: Connection) -> list[Mapping[str, Any]]:
        found = list(read_statuses(connection))
        site.statuses.put(site.key(), newer)
        return found

    monkeypatch.setattr(sql, "read_statuses", read_slowly)
    site.statuses.follow()
    assert site.statuses.get(site.key()) == newer
    monkeypatch.undo()
    site.statuses.follow()
    assert site.statuses.get(site.key()) == older


def test_load_when_the_database_goes_away_then_what_was_not_done_stays_due(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.apply("one", source_type="yaml")
    site.apply("two", "t", source_type="yaml")
    assert not site.loader.is_due

    def refuse(*_: object) -> None:
        raise Unavailable("database: connection refused")

    site.loader.touch_all()
    for name in ("read_statuses", "read_hashes", "write_status"):
        monkeypatch.setattr(sql, name, refuse)
    with pytest.raises(Unavailable):
        site.loader.load()
    assert site.loader.is_due
    monkeypatch.undo()
    site.loader.load()
    assert not site.loader.is_due
    assert site.names() == ["one", "two"]


def test_schedule_when_a_source_vanishes_under_its_hand_then_the_others_are_asked_for(site: Site) -> None:
    asked: list[str] = []

    def ask(plugin: Plugin, source: Source) -> None:
        asked.append(source.id)
        if source.id == "a":
            raise NotFound('source "a" not found')

    for source_id in "abc":
        site.apply("one", source_id)
    schedule = Schedule(
        registry=REGISTRY,
        configuration=site.configuration,
        statuses=site.statuses,
        fetcher=site.fetcher,
        ask=ask,
    )
    assert schedule.run() == 2
    assert asked == ["a", "b", "c"]
