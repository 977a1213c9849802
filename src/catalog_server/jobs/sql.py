"""Statements on the queue. What serves the API takes the scope it works in; what serves the workers, which drain the
queues of all tenants, does not, and stands in its own part below.

Returns frozen values, never rows that still talk to the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, or_, select, update

from catalog_server.db.dialects import insert_ignore, returns_updates
from catalog_server.db.fitting import fit
from catalog_server.db.news import tell_news
from catalog_server.db.paging import newest_first
from catalog_server.db.tables import refresh_jobs
from catalog_server.jobs.job import ALL_SOURCES, Cursor, Job, JobFilter, JobState
from catalog_server.scope import Scope

_C = refresh_jobs.c


def _job(row: Any) -> Job | None:
    return None if row is None else Job(**{**row._mapping, "state": JobState(row.state)})


def _fit(values: Mapping[str, Any]) -> dict[str, Any]:
    return fit(refresh_jobs, values)


# --- for the API: within one scope -----------------------------------------------------------------------------------


def _own(scope: Scope, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(refresh_jobs).where(_C.namespace == scope.namespace, *conditions)


def insert_job(connection: Connection, scope: Scope, values: Mapping[str, Any]) -> None:
    """Insert unless a live job has the same `active_key`: the unique constraint decides, whoever else inserts now."""
    row = _fit({**values, "namespace": scope.namespace})
    connection.execute(insert_ignore(connection, refresh_jobs, [row]))
    tell_news(connection)


def read_live(connection: Connection, scope: Scope, key: str) -> Job | None:
    """The queued or running job with this key."""
    return _job(connection.execute(_own(scope, _C.active_key == key)).one_or_none())


def read_job(connection: Connection, scope: Scope, job_id: str) -> Job | None:
    return _job(connection.execute(_own(scope, _C.id == job_id)).one_or_none())


def lock_job(connection: Connection, scope: Scope, job_id: str) -> Job | None:
    """The job as it is now, kept so until the transaction ends."""
    return _job(connection.execute(_own(scope, _C.id == job_id).with_for_update()).one_or_none())


def confirm_removal(connection: Connection, scope: Scope, job_id: str) -> bool:
    """Let a job that has not begun yet remove; False when it has."""
    found = connection.execute(
        update(refresh_jobs)
        .where(_C.namespace == scope.namespace, _C.id == job_id, _C.state == JobState.QUEUED)
        .values(confirm_removal=True)
    )
    return found.rowcount == 1


def list_jobs(
    connection: Connection, scope: Scope, wanted: JobFilter, *, after: Cursor | None, limit: int
) -> tuple[Job, ...]:
    """Newest first."""
    query = _own(scope, *_conditions(wanted))
    found = connection.execute(newest_first(query, _C.requested_at, _C.id, after=after, limit=limit))
    return tuple(job for row in found if (job := _job(row)) is not None)


def count_jobs(connection: Connection, scope: Scope, wanted: JobFilter) -> int:
    conditions = (_C.namespace == scope.namespace, *_conditions(wanted))
    return int(connection.execute(select(func.count()).select_from(refresh_jobs).where(*conditions)).scalar_one())


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.plugin is not None:
        conditions.append(_C.plugin == wanted.plugin)
    if wanted.source_id is not None:
        is_all = wanted.source_id == ALL_SOURCES
        conditions.append(_C.source_id.is_(None) if is_all else _C.source_id == wanted.source_id)
    if wanted.state is not None:
        conditions.append(_C.state == wanted.state)
    if wanted.requested_by is not None:
        conditions.append(_C.requested_by == wanted.requested_by)
    return conditions


# --- for the workers: across all namespaces --------------------------------------------------------------------------


def count_states(connection: Connection) -> dict[str, int]:
    """State -> jobs, of all tenants: a metric tells of none of them."""
    found = connection.execute(select(_C.state, func.count()).group_by(_C.state))
    return {state: int(count) for state, count in found}


def claim_next(connection: Connection, now: int, values: Mapping[str, Any]) -> Job | None:
    """Take the oldest job that is due, of any namespace: write `values` and count the attempt.

    Jobs that another transaction is taking are passed over where the database can do that; SQLite has one writer only.
    """
    due = (
        select(_C.id)
        .where(_C.state == JobState.QUEUED, _C.next_attempt_at <= now)
        .order_by(_C.requested_at, _C.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    change = update(refresh_jobs).values(**_fit(values), state=JobState.RUNNING, attempt_count=_C.attempt_count + 1)
    if returns_updates(connection):
        taken = change.where(_C.id == due.scalar_subquery(), _C.state == JobState.QUEUED).returning(refresh_jobs)
        return _job(connection.execute(taken).one_or_none())
    job_id = connection.execute(due).scalar_one_or_none()
    if job_id is None or connection.execute(change.where(_C.id == job_id)).rowcount != 1:
        return None
    return _job(connection.execute(select(refresh_jobs).where(_C.id == job_id)).one_or_none())


def _claimed(job: Job) -> tuple[ColumnElement[bool], ...]:
    return (
        _C.id == job.id,
        _C.worker == job.worker,
        _C.attempt_count == job.attempt_count,
        _C.state == JobState.RUNNING,
    )


def lock_claim(connection: Connection, job: Job) -> Job | None:
    """The job as it is now, locked, if this claim still holds."""
    return _job(connection.execute(select(refresh_jobs).where(*_claimed(job)).with_for_update()).one_or_none())


def read_claim(connection: Connection, job: Job) -> Job | None:
    """The job as it is now, if this claim still holds."""
    return _job(connection.execute(select(refresh_jobs).where(*_claimed(job))).one_or_none())


def lock_stuck(connection: Connection, before: int, term: int | None, alive: Sequence[Job]) -> Job | None:
    """One running job, of any namespace, whose worker gave no sign of life since `before`, or works for a leader of a
    term before `term`; locked. None of the claims of `alive`."""
    is_stuck = _C.heartbeat_at < before
    if term is not None:
        is_stuck = or_(is_stuck, _C.term < term)
    query = (
        select(refresh_jobs)
        .where(_C.state == JobState.RUNNING, is_stuck, _C.worker.not_in([job.worker for job in alive]))
        .order_by(_C.requested_at, _C.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return _job(connection.execute(query).one_or_none())


def update_locked(connection: Connection, job: Job, values: Mapping[str, Any]) -> None:
    """Write to a job that this transaction has locked."""
    connection.execute(update(refresh_jobs).where(_C.id == job.id).values(**_fit(values)))


def update_claim(connection: Connection, job: Job, values: Mapping[str, Any]) -> bool:
    """Write if this claim still holds; say whether it does."""
    return connection.execute(update(refresh_jobs).where(*_claimed(job)).values(**_fit(values))).rowcount == 1


def delete_finished(connection: Connection, before: int, limit: int) -> int:
    """Delete up to `limit` jobs, of any namespace, that ended before a time; return how many there were."""
    # MySQL takes no LIMIT in a subquery, so the ids travel.
    found = connection.execute(select(_C.id).where(_C.finished_at < before).limit(limit))
    ids = [job_id for (job_id,) in found]
    if ids:
        connection.execute(delete(refresh_jobs).where(_C.id.in_(ids)))
    return len(ids)
