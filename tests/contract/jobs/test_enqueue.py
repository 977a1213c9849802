"""One live job per (namespace, plugin, source), whoever asks at the same time (platform.md 6.3)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from catalog_server.clock import clock_ms
from catalog_server.db.engine import Engine
from catalog_server.errors import Invalid, NotFound
from catalog_server.jobs.job import Job, JobFilter, JobResult, JobState
from catalog_server.jobs.queue import Queue
from catalog_server.jobs.transitions import AT_ONCE
from tests.contract.jobs.queues import TEAM_A, TEAM_B, ManualClock, build_queue


def test_a_new_job_is_queued_with_all_that_was_asked(queue: Queue, clock: ManualClock) -> None:
    job, created = queue.enqueue(TEAM_A, "model", "models", "Ünal 🦊", confirm_removal=True)

    assert created
    assert queue.get(TEAM_A, job.id) == job
    assert (job.namespace, job.plugin, job.source_id, job.requested_by) == ("team-a", "model", "models", "Ünal 🦊")
    assert (job.state, job.attempt_count, job.max_attempts) == (JobState.QUEUED, 0, 3)
    assert (job.requested_at, job.next_attempt_at) == (clock.now, AT_ONCE)
    assert job.active_key == job.idempotency_key == "team-a:model:models"
    assert job.confirm_removal is True
    assert job.cancel_requested is False
    assert job.scope == TEAM_A


@pytest.mark.parametrize("nothing", [None, "", "_all"])
def test_without_a_source_the_job_is_for_all_sources(queue: Queue, nothing: str | None) -> None:
    job, _ = queue.enqueue(TEAM_A, "model", nothing, "ann")

    assert job.source_id is None
    assert job.idempotency_key == "team-a:model:_all"
    assert queue.enqueue(TEAM_A, "model", "_all", "bob") == (job, False)


def test_a_live_job_is_given_to_everybody_who_asks_for_the_same(queue: Queue) -> None:
    first, _ = queue.enqueue(TEAM_A, "model", "models", "ann")

    assert queue.enqueue(TEAM_A, "model", "models", "bob") == (first, False)
    running = queue.claim("worker")
    assert queue.enqueue(TEAM_A, "model", "models", "bob") == (running, False)


def test_other_sources_plugins_and_namespaces_have_jobs_of_their_own(queue: Queue) -> None:
    wanted = [(TEAM_A, "model", "a"), (TEAM_A, "model", "b"), (TEAM_A, "mcp", "a"), (TEAM_B, "model", "a")]

    found = [queue.enqueue(scope, plugin, source, "ann") for scope, plugin, source in wanted]

    assert all(created for _, created in found)
    assert len({job.id for job, _ in found}) == 4


def test_the_third_refresh_of_a_source_works_like_the_first(queue: Queue) -> None:
    """D49: the reference fails here, since it blanks the key of finished jobs under a unique index."""
    jobs = []
    for _ in range(3):
        for source in ("a", "b"):
            job, created = queue.enqueue(TEAM_A, "model", source, "ann")
            assert created
            jobs.append(job.id)
        for _ in range(2):
            claimed = queue.claim("worker")
            assert claimed is not None
            queue.complete(claimed, JobResult())

    page = queue.list_jobs(TEAM_A, page_size=20)
    assert {job.id for job in page.jobs} == set(jobs)
    assert all(job.active_key is None for job in page.jobs)
    assert {job.idempotency_key for job in page.jobs} == {"team-a:model:a", "team-a:model:b"}


@pytest.mark.parametrize("ended", ["canceled", "failed"])
def test_after_any_end_a_new_job_can_be_made(queue: Queue, ended: str) -> None:
    first, _ = queue.enqueue(TEAM_A, "model", "models", "ann")
    if ended == "canceled":
        queue.cancel(TEAM_A, first.id)
    else:
        claimed = queue.claim("worker")
        assert claimed is not None
        queue.fail(claimed, NotFound('source "models" not found'))

    second, created = queue.enqueue(TEAM_A, "model", "models", "ann")

    assert created
    assert second.id != first.id
    assert queue.get(TEAM_A, first.id).idempotency_key == "team-a:model:models"


def test_eight_threads_that_ask_at_once_get_one_job(engine: Engine) -> None:
    queue = build_queue(engine, clock_ms)
    barrier = threading.Barrier(8)

    def ask(number: int) -> list[tuple[Job, bool]]:
        barrier.wait()
        return [queue.enqueue(TEAM_A, "model", f"s{turn}", f"user-{number}") for turn in range(10)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))

    for turn in range(10):
        found = [answer[turn] for answer in answers]
        assert len({job.id for job, _ in found}) == 1
        assert sum(created for _, created in found) == 1
    assert queue.list_jobs(TEAM_A, page_size=1).total_size == 10


def test_jobs_that_end_while_others_enqueue_lose_no_request(engine: Engine) -> None:
    """The live job may end between insert and look-up: every answer must name a job that was live when asked."""
    queue = build_queue(engine, clock_ms)
    stop = threading.Event()

    def drain() -> int:
        count = 0
        while True:
            is_last_look = stop.is_set()
            job = queue.claim("worker")
            if job is not None:
                assert queue.complete(job, JobResult())
                count += 1
            elif is_last_look:
                return count

    def ask(_: int) -> set[str]:
        return {queue.enqueue(TEAM_A, "model", "hot", "ann")[0].id for _ in range(15)}

    with ThreadPoolExecutor(5) as pool:
        drained = pool.submit(drain)
        asked = set().union(*pool.map(ask, range(4)))
        stop.set()
        assert drained.result() == len(asked)
    assert queue.list_jobs(TEAM_A, JobFilter(state=JobState.SUCCEEDED), page_size=1).total_size == len(asked)


def test_a_confirmation_reaches_a_job_that_waits_but_not_one_that_runs(queue: Queue) -> None:
    waiting, _ = queue.enqueue(TEAM_A, "model", "a", "ann")

    confirmed, created = queue.enqueue(TEAM_A, "model", "a", "bob", confirm_removal=True)
    assert (confirmed.id, confirmed.confirm_removal, created) == (waiting.id, True, False)
    assert queue.enqueue(TEAM_A, "model", "a", "ann")[0].confirm_removal is True

    queue.enqueue(TEAM_A, "model", "b", "ann")
    queue.claim("worker")
    queue.claim("worker")
    assert queue.enqueue(TEAM_A, "model", "b", "bob", confirm_removal=True)[0].confirm_removal is False


@pytest.mark.parametrize("source", ["ü", "a\0b", "x" * 129])
def test_a_source_that_cannot_exist_is_refused(queue: Queue, source: str) -> None:
    with pytest.raises(Invalid) as refused:
        queue.enqueue(TEAM_A, "model", source, "ann")
    assert refused.value.field == "sourceId"


def test_text_of_any_kind_and_length_is_kept_as_far_as_it_fits(queue: Queue) -> None:
    job, _ = queue.enqueue(TEAM_A, "model", "a", "n\0" + "ü" * 300 + "\ud800")

    assert job.requested_by == "n\N{REPLACEMENT CHARACTER}" + "ü" * 252 + "…"
