"""The fence: what an older term writes does not get into the database, wherever its process was asleep."""

from __future__ import annotations

import threading
from contextlib import nullcontext

import pytest
from sqlalchemy import func, insert, select

from catalog_server.cluster.configuration_feed import ConfigurationFeed
from catalog_server.cluster.term import Term, newest_term
from catalog_server.db.engine import Engine, reading, writing
from catalog_server.db.fencing import fenced
from catalog_server.db.tables import leases
from catalog_server.errors import Fenced, Unavailable

PATIENCE_SECONDS = 30.0


def term_of(number: int, holder: str = "a", *, is_over: bool = False) -> Term:
    return Term(name="leader", number=number, holder=holder, is_over=lambda: is_over, idle_seconds=1)


def write_row(engine: Engine, name: str) -> None:
    """Some write: what it is does not matter."""
    with writing(engine) as connection:
        row = {"name": name, "version": 1, "holder": "", "term": 0, "duration_seconds": 1, "renewed_at": 0}
        connection.execute(insert(leases).values(row))


def count_rows(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(leases)).scalar_one())


def test_write_when_the_term_is_the_newest_then_done(engine: Engine) -> None:
    term = term_of(1)
    term.begin(engine)
    with fenced(term):
        write_row(engine, "x")
    assert count_rows(engine) == 1
    assert newest_term(engine, "leader") == 1


def test_write_when_a_newer_term_began_then_refused_and_nothing_written(engine: Engine) -> None:
    old, new = term_of(1, "a"), term_of(2, "b")
    old.begin(engine)
    new.begin(engine)
    with fenced(old), pytest.raises(Fenced, match="term 1 of 'leader' is over"):
        write_row(engine, "x")
    assert count_rows(engine) == 0
    write_row(engine, "not the leader's work")
    with fenced(new):
        write_row(engine, "y")
    assert count_rows(engine) == 2


def test_write_when_our_own_clock_says_that_the_lease_has_run_out_then_refused(engine: Engine) -> None:
    term_of(1).begin(engine)
    with fenced(term_of(1, is_over=True)), pytest.raises(Fenced):
        write_row(engine, "x")
    assert count_rows(engine) == 0


def test_term_when_a_newer_one_began_or_another_has_its_number_then_it_never_begins(engine: Engine) -> None:
    """Whoever slept between taking the lease and beginning must not shut out who came after."""
    term_of(3, "b").begin(engine)
    for late in (term_of(2, "a"), term_of(3, "a")):
        with pytest.raises(Fenced):
            late.begin(engine)
    term_of(3, "b").begin(engine)
    assert newest_term(engine, "leader") == 3


def test_transaction_when_asleep_in_the_middle_then_no_write_after_the_next_term_began(engine: Engine) -> None:
    """The next term waits for a transaction that is under way; where the server can, not for longer than it may sleep.

    SQLite and MySQL wait for the sleeper, PostgreSQL ends its transaction.
    """
    old, new = term_of(1, "a"), term_of(2, "b")
    old.begin(engine)
    order = list[str]()

    def begin_next() -> None:
        new.begin(engine)
        order.append("new term")

    is_ended = engine.dialect.name == "postgresql"
    waiting = threading.Thread(target=begin_next)
    with pytest.raises(Unavailable) if is_ended else nullcontext(), fenced(old), writing(engine) as connection:
        row = {"name": "x", "version": 1, "holder": "", "term": 0, "duration_seconds": 1, "renewed_at": 0}
        connection.execute(insert(leases).values(row))
        waiting.start()
        waiting.join(PATIENCE_SECONDS if is_ended else 0.2)
        order.append("sleeper awakes")
    waiting.join(PATIENCE_SECONDS)
    expected = ["new term", "sleeper awakes"] if is_ended else ["sleeper awakes", "new term"]
    assert (order, count_rows(engine)) == (expected, 0 if is_ended else 1)


def test_fence_then_of_its_thread_and_of_what_is_inside_only(engine: Engine) -> None:
    term_of(2, "b").begin(engine)
    with fenced(term_of(1, "a")):
        other = threading.Thread(target=write_row, args=(engine, "other thread"))
        other.start()
        other.join(PATIENCE_SECONDS)
    write_row(engine, "after")
    assert count_rows(engine) == 2


def test_configuration_feed_when_another_replica_saves_then_news_once(engine: Engine) -> None:
    mine, other = ConfigurationFeed(engine), ConfigurationFeed(engine)
    mine.has_news()
    assert not mine.has_news()
    other.tell("v2")
    assert [mine.has_news(), mine.has_news()] == [True, False]
    other.tell("v1")
    assert [mine.has_news(), mine.has_news()] == [True, False]
