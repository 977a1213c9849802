"""Statements on what replicas share: terms, the lease that the database keeps, news of the configuration.

None of it is a tenant's.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from catalog_server.clock import clock_ms
from catalog_server.cluster.lease import LeaseState
from catalog_server.db.dialects import insert_ignore, upsert
from catalog_server.db.news import tell_news
from catalog_server.db.tables import configuration_feed, leader_terms, leases

_SOURCES = "sources"


def read_term(connection: Connection, name: str) -> int:
    """The newest term, 0 before the first."""
    return int(connection.execute(select(leader_terms.c.term).where(leader_terms.c.name == name)).scalar() or 0)


def begin_term(connection: Connection, name: str, term: int, holder: str) -> bool:
    """Make it the newest term; False where it is not. Waits for transactions that keep an older one."""
    first = {"name": name, "term": 0, "holder": "", "began_at": clock_ms()}
    connection.execute(insert_ignore(connection, leader_terms, [first]))
    connection.execute(
        update(leader_terms)
        .where(leader_terms.c.name == name, leader_terms.c.term < term)
        .values(term=term, holder=holder, began_at=clock_ms())
    )
    return keep_term(connection, name, term, holder)


def keep_term(connection: Connection, name: str, term: int, holder: str) -> bool:
    """Whether this is the newest term; if so, it stays that until the transaction ends."""
    query = select(leader_terms.c.term, leader_terms.c.holder).where(leader_terms.c.name == name)
    return connection.execute(query.with_for_update(read=True)).one_or_none() == (term, holder)


def read_lease(connection: Connection, name: str) -> LeaseState | None:
    row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
    if row is None:
        return None
    return LeaseState(holder=row.holder, term=row.term, duration_seconds=row.duration_seconds, version=str(row.version))


def write_lease(connection: Connection, name: str, state: LeaseState, *, over: LeaseState | None) -> bool:
    """Put `state` in place of what was read; False when something else is there by now."""
    values = {
        "version": int(state.version),
        "holder": state.holder,
        "term": state.term,
        "duration_seconds": state.duration_seconds,
        "renewed_at": clock_ms(),
    }
    if over is not None:
        mine = update(leases).where(leases.c.name == name, leases.c.version == int(over.version))
        return connection.execute(mine.values(**values)).rowcount == 1
    connection.execute(insert_ignore(connection, leases, [{"name": name, **values}]))
    return read_lease(connection, name) == state


def read_configuration_version(connection: Connection) -> str | None:
    """What was saved last, if anything was."""
    query = select(configuration_feed.c.version).where(configuration_feed.c.name == _SOURCES)
    return connection.execute(query).scalar_one_or_none()


def write_configuration_version(connection: Connection, version: str) -> None:
    row = {"name": _SOURCES, "version": version, "changed_at": clock_ms()}
    connection.execute(upsert(connection, configuration_feed, row))
    tell_news(connection)
