"""The queue of refresh jobs, in the database, shared by all replicas. Who runs them is in worker.py.

Every change is one transaction; what two processes want at once, the database decides: a unique constraint for
enqueueing, row locks for claiming, and the claim itself (worker and attempt) for everything that a worker reports.
"""

from __future__ import annotations

import random
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from catalog_server.clock import clock_ms, steady_seconds
from catalog_server.db.dialects import read_committed
from catalog_server.db.engine import Connection, Engine, reading
from catalog_server.db.transactions import write
from catalog_server.errors import Conflict, Invalid, NotFound, Unavailable
from catalog_server.jobs import retry, sql, transitions
from catalog_server.jobs.job import ALL_SOURCES, Cursor, Job, JobFilter, JobPage, JobResult, JobState, idempotency_key
from catalog_server.jobs.limits import JobLimits
from catalog_server.scope import Scope

_RACES = 8
_PRUNE_CHUNK = 500
_MAX_ID_LENGTH = 36
_MAX_WORKER_LENGTH = 100
_MAX_SOURCE_LENGTH = 128
_ALL = JobFilter()

T = TypeVar("T")


class ClaimState(StrEnum):
    """What has become of a claim."""

    HELD = "held"
    CANCEL_REQUESTED = "cancel requested"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many stuck jobs went which way."""

    requeued: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def total(self) -> int:
        return self.requeued + self.failed + self.canceled


Record = Callable[[Connection, Job], object]
"""Writes something about a job in the transaction that changes it."""


def no_record(connection: Connection, job: Job) -> None:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that asks for a job. `record` may be called again, when the transaction is."""

    correlation_id: str | None = None
    record: Record = no_record


_NO_ORIGIN = Origin()


class Queue:
    """All that can be done with jobs. Every method raises Unavailable when the database is down."""

    def __init__(
        self,
        engine: Engine,
        limits: JobLimits,
        *,
        clock: Callable[[], int] = clock_ms,
        steady: Callable[[], float] = steady_seconds,
        chance: Callable[[], float] = random.random,
        ended: Record = no_record,
    ) -> None:
        """`clock` is for what other processes read, `steady` for how long something takes.

        `ended` is told of each job in the transaction that ends it.
        """
        self._engine = engine
        self._writing_engine = read_committed(engine)
        self.limits = limits
        self.clock = clock
        self.steady = steady
        self._chance = chance
        self._ended = ended

    # --- for the API ---

    def enqueue(
        self,
        scope: Scope,
        plugin: str,
        source_id: str | None,
        requested_by: str,
        *,
        confirm_removal: bool = False,
        origin: Origin = _NO_ORIGIN,
    ) -> tuple[Job, bool]:
        """The live job for this refresh, and whether it was made now. Without a source (or `_all`): all sources.

        A confirmation also counts for the job that is there already, unless it runs: look at its `confirm_removal`.

        Raises:
            Invalid: no source can have this id.
        """
        source = None if source_id in (None, "", ALL_SOURCES) else source_id
        if source is not None and not (source.isascii() and source.isprintable() and len(source) <= _MAX_SOURCE_LENGTH):
            raise Invalid("no source has such an id", field="sourceId")
        key = idempotency_key(scope, plugin, source)
        values = {
            "plugin": plugin,
            "source_id": source,
            "requested_by": requested_by,
            "confirm_removal": confirm_removal,
            "idempotency_key": key,
            "active_key": key,
            "correlation_id": origin.correlation_id,
        }

        def change(connection: Connection) -> tuple[Job, bool] | None:
            found = self._insert_or_read(connection, scope, values)
            if found is not None:
                origin.record(connection, found[0])
            return found

        for _ in range(_RACES):
            found = self._write(change)
            if found is not None:
                return found
        raise Unavailable("the job of this refresh ended again and again while it was looked up")

    def _insert_or_read(
        self, connection: Connection, scope: Scope, wanted: dict[str, str | bool | None]
    ) -> tuple[Job, bool] | None:
        """None: the live job, because of which nothing was inserted, has ended meanwhile."""
        job_id = str(uuid.uuid4())
        job = sql.read_live(connection, scope, str(wanted["active_key"]))
        if job is None:
            sql.insert_job(connection, scope, {**wanted, **self._fresh(job_id)})
            job = sql.read_live(connection, scope, str(wanted["active_key"]))
        if job is None:
            return None
        must_confirm = bool(wanted["confirm_removal"]) and not job.confirm_removal
        if must_confirm and sql.confirm_removal(connection, scope, job.id):
            job = sql.read_job(connection, scope, job.id) or job
        return job, job.id == job_id

    def _fresh(self, job_id: str) -> dict[str, str | int]:
        now = self.clock()
        return {
            "id": job_id,
            "requested_at": now,
            "next_attempt_at": transitions.AT_ONCE,
            "state": JobState.QUEUED,
            "attempt_count": 0,
            "max_attempts": self.limits.max_attempts,
            "cancel_requested": False,
        }

    def find_live(self, scope: Scope, plugin: str, source_id: str | None) -> Job | None:
        """The queued or running job for this refresh."""
        with reading(self._engine) as connection:
            return sql.read_live(connection, scope, idempotency_key(scope, plugin, source_id))

    def get(self, scope: Scope, job_id: str) -> Job:
        """Raises NotFound, also for a job of another namespace."""
        if _is_job_id(job_id):
            with reading(self._engine) as connection:
                job = sql.read_job(connection, scope, job_id)
            if job is not None:
                return job
        raise _not_found(job_id)

    def list_jobs(
        self, scope: Scope, wanted: JobFilter = _ALL, *, page_size: int, after: Cursor | None = None
    ) -> JobPage:
        """One page of the scope's jobs, newest first."""
        if not _is_possible(wanted) or (after is not None and not _is_job_id(after.job_id)):
            return JobPage((), None, 0)
        with reading(self._engine) as connection:
            found = sql.list_jobs(connection, scope, wanted, after=after, limit=page_size + 1)
            total = sql.count_jobs(connection, scope, wanted)
        jobs = found[:page_size]
        more = len(found) > page_size
        return JobPage(jobs, Cursor(jobs[-1].requested_at, jobs[-1].id) if more else None, total)

    def count_states(self) -> dict[str, int]:
        """State -> jobs of all tenants. Raises Unavailable."""
        with reading(self._engine) as connection:
            return sql.count_states(connection)

    def cancel(self, scope: Scope, job_id: str, record: Record = no_record) -> Job:
        """Cancel a queued job at once; ask the worker of a running one to stop. Returns the job afterwards.

        Raises:
            NotFound: no such job in this scope.
            Conflict: it has ended; the message names the state.
        """
        if not _is_job_id(job_id):
            raise _not_found(job_id)

        def change(connection: Connection) -> Job:
            job = sql.lock_job(connection, scope, job_id)
            if job is None:
                raise _not_found(job_id)
            if job.state.is_terminal:
                raise Conflict(f'job "{job_id}" cannot be canceled: it is {job.state}')
            if job.state is JobState.QUEUED:
                self._update(connection, job, transitions.canceled(job, self.clock()))
            else:
                asked = {"cancel_requested": True, "message": transitions.CANCEL_REQUESTED}
                self._update(connection, job, asked)
            record(connection, job)
            return sql.read_job(connection, scope, job_id) or job

        return self._write(change)

    # --- for the workers: across all namespaces ---

    def claim(self, worker: str, term: int | None = None) -> Job | None:
        """Take the oldest job that is due. The returned job is what the other calls want as proof of the claim.

        `term` is that of the leader whose worker this is, where one is elected.
        """
        now = self.clock()
        # A name of its own for each claim: a job that a worker gives back and takes again must not be the same claim.
        name = worker.encode("ascii", "replace").decode()[:_MAX_WORKER_LENGTH]
        values = {
            "worker": f"{name}#{secrets.token_hex(4)}",
            "term": term,
            "started_at": now,
            "heartbeat_at": now,
            "deadline_at": now + self.limits.run_limit_ms,
            "message": None,
            "progress": None,
        }
        return self._write(lambda connection: sql.claim_next(connection, now, values))

    def look(self, job: Job) -> ClaimState:
        """What has become of a claim, without renewing it."""
        with reading(self._engine) as connection:
            return _claim_state(sql.read_claim(connection, job))

    def heartbeat(self, job: Job, progress: str | None = None) -> ClaimState:
        """Renew a claim, and write how far the job is."""
        values = {"heartbeat_at": self.clock()} | ({} if progress is None else {"progress": progress})

        def change(connection: Connection) -> ClaimState:
            if not sql.update_claim(connection, job, values):
                return ClaimState.LOST
            return _claim_state(sql.read_claim(connection, job))

        return self._write(change)

    def complete(self, job: Job, result: JobResult) -> bool:
        """End a job well; False (and no change) when the claim is lost."""
        changes = transitions.completed(job, result, self.clock())

        def change(connection: Connection) -> bool:
            is_held = sql.update_claim(connection, job, changes)
            if is_held:
                self._ended(connection, replace(job, **changes))
            return is_held

        return self._write(change)

    def fail(self, job: Job, error: Exception, result: JobResult | None = None) -> JobState | None:
        """Report a failed attempt. Returns the state that the job is in now, None when the claim is lost.

        Transient errors queue it again with a growing pause while attempts are left; others fail it at once.
        """
        now = self.clock()
        retry_at = None
        if retry.is_transient(error):
            retry_at = now + retry.delay_after(error, job.attempt_count, self.limits.retry_base_ms, self._chance)
        reason = retry.describe_failure(error)

        def change(held: Job) -> transitions.Changes:
            return transitions.with_counts(transitions.failed(held, reason, now, retry_at=retry_at), result)

        return self._change_claim(job, change)

    def release(self, job: Job) -> JobState | None:
        """Give a job back without burning the attempt; if it was asked to cancel, it is canceled now.

        Returns the state that the job is in now, None when the claim is lost.
        """
        return self._change_claim(job, lambda held: transitions.released(held, self.clock()))

    def recover_stuck(self, term: int | None = None, alive: Callable[[], Sequence[Job]] = list) -> Recovered:
        """Take back the jobs of dead workers. The attempt counts: what kills its worker must not do so for ever.

        Dead is who gave no sign of life for too long, or works for a leader of an earlier term than `term`: of those no
        write is taken any more. The claims of `alive` are passed over, however old their last sign of life looks.
        """
        now = self.clock()  # before `alive`: the clock may be set at any moment, and a claim be made
        passed = alive()
        states: list[JobState] = []
        while (state := self._write(lambda connection: self._recover_one(connection, now, term, passed))) is not None:
            states.append(state)
        return Recovered(*map(states.count, (JobState.QUEUED, JobState.FAILED, JobState.CANCELED)))

    def _recover_one(self, connection: Connection, now: int, term: int | None, alive: Sequence[Job]) -> JobState | None:
        job = sql.lock_stuck(connection, now - self.limits.claim_timeout_ms, term, alive)
        if job is None:
            return None
        if term is not None and job.term is not None and job.term < term:
            reason = f"stuck job recovered: worker {job.worker} was that of an earlier leader"
        else:
            silent_seconds = (now - (job.heartbeat_at or now)) // 1000
            reason = f"stuck job recovered: no sign of life from worker {job.worker} for {silent_seconds} s"
        changes = transitions.failed(job, reason, now, retry_at=transitions.AT_ONCE)
        self._update(connection, job, changes)
        return JobState(changes["state"])

    def prune(self) -> int:
        """Forget jobs that ended longer ago than the retention; return how many."""
        before, removed = self.clock() - self.limits.retention_ms, 0
        while True:
            count = self._write(lambda connection: sql.delete_finished(connection, before, _PRUNE_CHUNK))
            removed += count
            if count < _PRUNE_CHUNK:
                return removed

    # --- transactions ---

    def _change_claim(self, job: Job, change: Callable[[Job], transitions.Changes]) -> JobState | None:
        def apply(connection: Connection) -> JobState | None:
            held = sql.lock_claim(connection, job)
            if held is None:
                return None
            changes = change(held)
            self._update(connection, held, changes)
            return JobState(changes["state"])

        return self._write(apply)

    def _update(self, connection: Connection, job: Job, changes: transitions.Changes) -> None:
        """Change a job that this transaction has locked."""
        sql.update_locked(connection, job, changes)
        changed = replace(job, **changes)
        if changed.state.is_terminal:
            self._ended(connection, changed)

    def _write(self, work: Callable[[Connection], T]) -> T:
        return write(self._writing_engine, work, chance=self._chance)


def _claim_state(job: Job | None) -> ClaimState:
    if job is None:
        return ClaimState.LOST
    return ClaimState.CANCEL_REQUESTED if job.cancel_requested else ClaimState.HELD


def _not_found(job_id: str) -> NotFound:
    return NotFound(f'job "{job_id[:100]}" not found')


def _is_job_id(text: str) -> bool:
    """Whether it could be one: the databases differ in how they take odd characters."""
    return len(text) <= _MAX_ID_LENGTH and text.isascii() and text.isprintable()


def _is_possible(wanted: JobFilter) -> bool:
    words = (wanted.plugin or "", wanted.source_id or "")
    return all(word.isascii() and word.isprintable() for word in words) and (wanted.requested_by or "").isprintable()
