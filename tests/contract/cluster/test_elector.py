"""Elections over a lease in a real database: one leads at a time, and there is always a next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from catalog_server.clock import steady_seconds
from catalog_server.cluster.database import DatabaseLease
from catalog_server.cluster.elector import Elector, Timing
from catalog_server.cluster.lease import Lease, LeaseState
from catalog_server.cluster.term import Term, newest_term
from catalog_server.db.engine import Engine
from catalog_server.errors import Conflict, Unavailable
from tests.server import wait_until

TIMING = Timing(duration=2, renew_deadline=1, retry=0.05)
SECONDS = 30.0


@dataclass
class Recorder:
    """The work of a leader that only takes notes."""

    terms: list[Term] = field(default_factory=list)
    is_leading: bool = False
    while_ending: Callable[[], object] = lambda: None

    def begin(self, term: Term) -> None:
        self.terms.append(term)
        self.is_leading = True

    def end(self) -> None:
        self.while_ending()
        self.is_leading = False


class Breakable:
    """A lease whose keeper can be away, or slow."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.is_away = False
        self.while_writing: Callable[[], object] = lambda: None

    def read(self) -> LeaseState | None:
        self._check()
        return self._lease.read()

    def write(self, holder: str, term: int, duration_seconds: int, *, over: LeaseState | None) -> LeaseState:
        self._check()
        self.while_writing()
        return self._lease.write(holder, term, duration_seconds, over=over)

    def _check(self) -> None:
        if self.is_away:
            raise Unavailable("kubernetes: away")


class Replica:
    def __init__(self, engine: Engine, name: str, clock: Callable[[], float] = steady_seconds) -> None:
        self.lease = Breakable(DatabaseLease(engine, "leader"))
        self.work = Recorder()
        self.stop = threading.Event()
        elector = Elector(
            self.lease,
            self.work,
            name="leader",
            identity=name,
            timing=TIMING,
            newest_term=lambda: newest_term(engine, "leader"),
            clock=clock,
        )
        self.thread = threading.Thread(target=elector.campaign_until, args=(self.stop,), daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()


@pytest.fixture
def start(engine: Engine) -> Iterator[Callable[..., Replica]]:
    started: list[Replica] = []

    def begin(name: str, **options: Any) -> Replica:
        started.append(Replica(engine, name, **options))
        return started[-1]

    yield begin
    for one in started:
        one.end()


def holder(engine: Engine) -> str:
    state = DatabaseLease(engine, "leader").read()
    assert state is not None
    return state.holder


def leaders(*replicas: Replica) -> list[Replica]:
    return [one for one in replicas if one.work.is_leading]


def test_election_when_several_campaign_then_one_leads(start: Callable[..., Replica]) -> None:
    replicas = [start(name) for name in "abc"]
    wait_until("a leader", lambda: leaders(*replicas), SECONDS)
    assert len(leaders(*replicas)) == 1
    assert [len(one.work.terms) for one in replicas if one.work.terms] == [1]


def test_leader_when_it_ends_then_the_next_leads_at_once_and_not_before(
    engine: Engine, start: Callable[..., Replica]
) -> None:
    """It gives the lease back when its work has ended, so that nobody waits until it runs out."""
    first = start("a")
    wait_until("the first", lambda: leaders(first), SECONDS)
    second = start("b")
    holders: list[str] = []
    first.work.while_ending = lambda: holders.append(holder(engine))
    first.end()
    assert not first.work.is_leading
    assert holders == ["a"]
    assert holder(engine) in ("", "b")
    wait_until("the second", lambda: leaders(second), SECONDS)
    assert second.work.terms[0].number == first.work.terms[0].number + 1


def test_leader_when_it_cannot_renew_then_it_ends_before_another_begins_and_campaigns_again(
    start: Callable[..., Replica],
) -> None:
    first = start("a")
    wait_until("the first", lambda: leaders(first), SECONDS)
    second = start("b")
    first.lease.is_away = True
    wait_until("the second", lambda: leaders(second), SECONDS)
    assert not first.work.is_leading
    assert first.work.terms[0].is_over()
    first.lease.is_away = False
    second.end()
    wait_until("the first again", lambda: leaders(first), SECONDS)
    assert [one.number for one in first.work.terms] == [1, 3]


def test_leader_when_a_renewal_takes_long_then_its_lease_counts_from_before(start: Callable[..., Replica]) -> None:
    """Whoever keeps the lease may have written it at once, and only the answer been late."""
    now = [0.0]
    first = start("a", clock=lambda: now[0])
    wait_until("the first", lambda: leaders(first), SECONDS)

    def take_long() -> None:
        now[0] += TIMING.renew_deadline + 0.5
        first.lease.is_away = True  # from the next one on

    first.lease.while_writing = take_long
    wait_until("the end of its lead", lambda: not first.work.is_leading, SECONDS)
    assert not first.work.terms[0].is_over()
    now[0] = float(TIMING.duration)
    assert first.work.terms[0].is_over()


def test_leader_when_the_keeper_is_away_for_a_moment_then_it_goes_on(start: Callable[..., Replica]) -> None:
    first = start("a")
    wait_until("the first", lambda: leaders(first), SECONDS)
    first.lease.is_away = True
    threading.Event().wait(TIMING.renew_deadline / 3)
    first.lease.is_away = False
    threading.Event().wait(TIMING.duration)
    assert (first.work.is_leading, len(first.work.terms)) == (True, 1)
    assert not first.work.terms[0].is_over()


def test_lease_when_its_holder_is_dead_then_taken_after_its_duration_whatever_the_clocks_say(
    engine: Engine, start: Callable[..., Replica]
) -> None:
    """Neither the times in the lease nor the time of day matter, only how long nothing changed."""
    DatabaseLease(engine, "leader").write("dead", 7, 1, over=None)
    late = start("late", clock=lambda: steady_seconds() + 1e6)
    wait_until("a leader", lambda: leaders(late), SECONDS)
    assert late.work.terms[0].number == 8


def test_lease_when_deleted_then_terms_go_on_counting(engine: Engine, start: Callable[..., Replica]) -> None:
    Term(name="leader", number=41, holder="x", is_over=lambda: False, idle_seconds=1).begin(engine)
    first = start("a")
    wait_until("a leader", lambda: leaders(first), SECONDS)
    assert first.work.terms[0].number == 42


def test_lease_when_somebody_else_writes_to_it_and_leaves_the_holder_then_kept(
    engine: Engine, start: Callable[..., Replica]
) -> None:
    first = start("a")
    wait_until("the first", lambda: leaders(first), SECONDS)
    other = DatabaseLease(engine, "leader")
    for _ in range(5):
        seen = other.read()
        assert seen is not None
        with suppress(Conflict):  # the holder was quicker
            other.write(seen.holder, seen.term, seen.duration_seconds, over=seen)
        threading.Event().wait(0.1)
    assert (first.work.is_leading, len(first.work.terms)) == (True, 1)
