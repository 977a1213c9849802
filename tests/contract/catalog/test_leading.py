"""All that a leader does stands behind the fence of its term."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from catalog_server.bootstrap import leading as module
from catalog_server.bootstrap.leading import Leading
from catalog_server.cluster.term import Term
from catalog_server.db.engine import Engine, writing
from catalog_server.errors import Fenced
from tests.contract.catalog.site import PATIENCE_SECONDS, Site
from tests.server import wait_until


@dataclass
class Writes:
    """Stands for whatever is written: what it is does not matter, only who was let through."""

    engine: Engine
    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    before: Callable[[], object] = lambda: None

    def named(self, name: str) -> Callable[[], None]:
        def write() -> None:
            self.before()
            try:
                with writing(self.engine):
                    self.done.append(name)
            except Fenced:
                self.refused.append(name)
                raise

        return write


@pytest.fixture
def writes(site: Site, monkeypatch: pytest.MonkeyPatch) -> Writes:
    site.loader.load()  # so that nothing is due
    writes = Writes(site.engine)
    monkeypatch.setattr(module, "_FIRST_PRUNE_SECONDS", (0.1, 0.1))
    monkeypatch.setattr(module, "_PRUNE_SECONDS", 0.1)
    monkeypatch.setattr(module, "SCHEDULE_SECONDS", 0.1)
    monkeypatch.setattr(site.loader, "load", writes.named("load"))
    monkeypatch.setattr(site.schedule, "run", writes.named("schedule"))
    monkeypatch.setattr(site.trail, "prune", writes.named("retention"))
    return writes


def leading_of(site: Site) -> Leading:
    return Leading(engine=site.engine, loader=site.loader, schedule=site.schedule, trail=site.trail, make_workers=None)


def term_of(number: int) -> Term:
    return Term(name="leader", number=number, holder=f"r-{number}", is_over=lambda: False, idle_seconds=1)


def test_leader_when_it_begins_then_everything_is_loaded(site: Site, writes: Writes) -> None:
    """Nobody knows what an earlier leader has left undone."""
    leading = leading_of(site)
    found: list[bool] = [site.loader.is_due]
    writes.before = lambda: found.append(site.loader.is_due)
    leading.begin(term_of(1))
    try:
        wait_until("the load", leading.has_loaded.is_set, PATIENCE_SECONDS)
        assert found[:2] == [False, True]
    finally:
        leading.end()


def test_replica_when_it_does_not_lead_then_it_loads_nothing(site: Site, writes: Writes) -> None:
    site.loader.touch_all()
    leading_of(site).load_due()
    assert writes.done == []


def test_leader_when_a_newer_term_begins_then_none_of_its_work_is_written(site: Site, writes: Writes) -> None:
    leading = leading_of(site)
    leading.begin(term_of(1))
    try:
        wait_until("the work", lambda: {"load", "schedule", "retention"} <= set(writes.done), PATIENCE_SECONDS)
        term_of(2).begin(site.engine)
        site.loader.touch_all()
        leading.load_due()
        wait_until("all refused", lambda: {"load", "schedule", "retention"} <= set(writes.refused), PATIENCE_SECONDS)
        done, refused = len(writes.done), writes.refused.count("schedule")
        wait_until("more refused", lambda: writes.refused.count("schedule") > refused + 3, PATIENCE_SECONDS)
        assert len(writes.done) == done
    finally:
        leading.end()


def test_leader_when_a_newer_term_begins_while_it_takes_over_then_it_does_not_begin(site: Site, writes: Writes) -> None:
    leading = leading_of(site)
    writes.before = lambda: writes.refused or term_of(2).begin(site.engine)  # once
    leading.begin(term_of(1))
    try:
        wait_until("the refusal", lambda: writes.refused or writes.done, PATIENCE_SECONDS)
        threading.Event().wait(1)  # ten rounds of a schedule that must not have begun
    finally:
        leading.end()
    assert (writes.refused, writes.done) == (["load"], [])
    assert not leading.has_loaded.is_set()
