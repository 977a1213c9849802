"""The queue against a plain model of it: any sequence of calls, by any worker, leaves both in the same state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from catalog_server.db.engine import Engine, writing
from catalog_server.db.tables import refresh_jobs
from catalog_server.errors import Conflict, NotFound, Unavailable
from catalog_server.jobs.job import Job, JobResult
from catalog_server.jobs.queue import ClaimState
from tests.contract.jobs.queues import LIMITS, TEAM_A, TEAM_B, TIMEOUT_MS, ManualClock, build_queue, open_test_engine

SCOPES = st.sampled_from([TEAM_A, TEAM_B])
INDEXES = st.integers(0, 1000)


@dataclass
class Expected:
    """What the model knows of a job."""

    namespace: str
    key: str
    requested_at: int
    due_at: int
    state: str = "queued"
    attempts: int = 0
    is_cancel_requested: bool = False
    holder: str | None = None
    heartbeat_at: int = 0
    finished_at: int | None = None

    @property
    def is_live(self) -> bool:
        return self.state in ("queued", "running")

    def end(self, state: str, now: int) -> None:
        self.state, self.finished_at, self.holder = state, now, None

    def give_up_attempt(self, now: int, due_at: int) -> str:
        """After a failure that may be tried again."""
        if self.is_cancel_requested:
            self.end("canceled", now)
        elif self.attempts >= LIMITS.max_attempts:
            self.end("failed", now)
        else:
            self.state, self.due_at, self.holder = "queued", due_at, None
        return self.state


class QueueMachine(RuleBasedStateMachine):
    def __init__(self, engine: Engine) -> None:
        super().__init__()
        with writing(engine) as connection:
            connection.execute(refresh_jobs.delete())
        self.clock = ManualClock()
        self.queue = build_queue(engine, self.clock)
        self.jobs: dict[str, Expected] = {}
        self.claims: list[Job] = []

    def held(self, claim: Job) -> Expected | None:
        """The model's job, if the claim still holds."""
        job = self.jobs.get(claim.id)
        return job if job is not None and job.holder == claim.worker else None

    @rule(scope=SCOPES, source=st.sampled_from([None, "a", "b"]))
    def enqueue(self, scope: Any, source: str | None) -> None:
        job, created = self.queue.enqueue(scope, "model", source, "ann")
        key = f"{scope.namespace}:model:{source or '_all'}"
        live = [job_id for job_id, known in self.jobs.items() if known.is_live and known.key == key]
        assert created == (not live)
        assert created or live == [job.id]
        if created:
            self.jobs[job.id] = Expected(scope.namespace, key, self.clock.now, self.clock.now)

    @rule()
    def claim(self) -> None:
        due = [
            (known.requested_at, job_id)
            for job_id, known in self.jobs.items()
            if known.state == "queued" and known.due_at <= self.clock.now
        ]
        claimed = self.queue.claim("worker")
        assert (claimed and claimed.id) == (min(due)[1] if due else None)
        if claimed is not None:
            known = self.jobs[claimed.id]
            known.state, known.holder, known.heartbeat_at = "running", claimed.worker, self.clock.now
            known.attempts += 1
            self.claims.append(claimed)

    @precondition(lambda self: self.claims)
    @rule(index=INDEXES)
    def heartbeat(self, index: int) -> None:
        claim = self.claims[index % len(self.claims)]
        known = self.held(claim)
        wanted = ClaimState.LOST
        if known is not None:
            known.heartbeat_at = self.clock.now
            wanted = ClaimState.CANCEL_REQUESTED if known.is_cancel_requested else ClaimState.HELD
        assert self.queue.look(claim) is self.queue.heartbeat(claim, "step") is wanted

    @precondition(lambda self: self.claims)
    @rule(index=INDEXES)
    def complete(self, index: int) -> None:
        claim = self.claims[index % len(self.claims)]
        known = self.held(claim)
        assert self.queue.complete(claim, JobResult()) == (known is not None)
        if known is not None:
            known.end("succeeded", self.clock.now)

    @precondition(lambda self: self.claims)
    @rule(index=INDEXES, is_transient=st.booleans())
    def fail(self, index: int, is_transient: bool) -> None:
        claim = self.claims[index % len(self.claims)]
        known = self.held(claim)
        state = self.queue.fail(claim, Unavailable("down") if is_transient else NotFound("gone"))
        if known is None:
            assert state is None
        elif is_transient:
            pause = LIMITS.retry_base_ms * 2 ** (known.attempts - 1) // 2
            assert known.give_up_attempt(self.clock.now, self.clock.now + pause) == state
        else:
            known.end("canceled" if known.is_cancel_requested else "failed", self.clock.now)
            assert known.state == state

    @precondition(lambda self: self.claims)
    @rule(index=INDEXES)
    def release(self, index: int) -> None:
        claim = self.claims[index % len(self.claims)]
        known = self.held(claim)
        state = self.queue.release(claim)
        if known is None:
            assert state is None
        elif known.is_cancel_requested:
            known.end("canceled", self.clock.now)
        else:
            known.state, known.due_at, known.holder = "queued", self.clock.now, None
            known.attempts -= 1

    @precondition(lambda self: self.jobs)
    @rule(index=INDEXES, scope=SCOPES)
    def cancel(self, index: int, scope: Any) -> None:
        job_id = list(self.jobs)[index % len(self.jobs)]
        known = self.jobs[job_id]
        if known.namespace != scope.namespace:
            with pytest.raises(NotFound):
                self.queue.cancel(scope, job_id)
        elif not known.is_live:
            with pytest.raises(Conflict, match=known.state):
                self.queue.cancel(scope, job_id)
        else:
            self.queue.cancel(scope, job_id)
            if known.state == "queued":
                known.end("canceled", self.clock.now)
            else:
                known.is_cancel_requested = True

    @rule(milliseconds=st.sampled_from([1, 2_500, 10_000, TIMEOUT_MS // 2, TIMEOUT_MS + 1, LIMITS.retention_ms]))
    def wait(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

    @rule()
    def recover(self) -> None:
        now = self.clock.now
        stuck = [job for job in self.jobs.values() if job.state == "running" and job.heartbeat_at < now - TIMEOUT_MS]
        states = [job.give_up_attempt(now, now) for job in stuck]
        found = self.queue.recover_stuck()
        wanted = tuple(map(states.count, ("queued", "failed", "canceled")))
        assert (found.requeued, found.failed, found.canceled) == wanted

    @rule()
    def prune(self) -> None:
        limit = self.clock.now - LIMITS.retention_ms
        old = [job_id for job_id, job in self.jobs.items() if job.finished_at is not None and job.finished_at < limit]
        for job_id in old:
            del self.jobs[job_id]
        assert self.queue.prune() == len(old)

    @invariant()
    def both_agree(self) -> None:
        stored = [job for scope in (TEAM_A, TEAM_B) for job in self.queue.list_jobs(scope, page_size=1000).jobs]
        found = {job.id: (str(job.state), job.attempt_count, job.finished_at) for job in stored}
        assert found == {key: (job.state, job.attempts, job.finished_at) for key, job in self.jobs.items()}
        for job in stored:
            assert (job.active_key is None) == job.state.is_terminal
            assert job.idempotency_key == self.jobs[job.id].key
            assert job.state != "queued" or job.attempt_count < job.max_attempts


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_test_engine(f"sqlite:///{tmp_path / 'model.db'}")
    refresh_jobs.create(engine)
    yield engine
    engine.dispose()


def test_any_sequence_of_calls_leaves_queue_and_model_equal(sqlite_engine: Engine) -> None:
    class BoundMachine(QueueMachine):
        def __init__(self) -> None:
            super().__init__(sqlite_engine)

    run_state_machine_as_test(BoundMachine, settings=settings(max_examples=20, stateful_step_count=40, database=None))
