"""Runs jobs in plain threads: one that claims, one per running job, one that keeps claims alive, one that tidies up.

Nothing here knows what a job does; that is the callable passed in. What is certain about a job stands in the queue: a
process that is killed leaves only claims behind, which other processes recover.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from catalog_server.db.fencing import Fence, fenced
from catalog_server.errors import CatalogError, Fenced, Unavailable
from catalog_server.jobs.context import JobCanceled, JobContext, StopCause
from catalog_server.jobs.job import Job, JobResult
from catalog_server.jobs.queue import Queue
from catalog_server.settings import Jobs

Run = Callable[[Job, JobContext], JobResult]
_RETRY_SECONDS = 1.0
_JOIN_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the threads look. In seconds."""

    poll: float = 0.5
    """For jobs that other replicas enqueued (`wake` tells of our own): an idle worker starts one within a second."""
    watch: float = 1.0
    """For a request to cancel a running job; also how old its visible progress may be."""
    recover: float = 5.0
    """For stuck jobs."""
    prune: float = 60.0
    """For jobs past their retention."""

    @classmethod
    def of(cls, settings: Jobs) -> Pace:
        """Stuck jobs are looked for at the poll interval of the settings, but at least every minute."""
        return cls(recover=min(settings.poll_interval_seconds, 60.0))


_PACE = Pace()


class Workers:
    """Runs up to `concurrency` jobs at once, from `start` to `stop`, once in its life; behind the fence of a leader."""

    def __init__(
        self,
        queue: Queue,
        run: Run,
        *,
        concurrency: int,
        pace: Pace = _PACE,
        name: str | None = None,
        fence: Fence | None = None,
    ) -> None:
        self._queue = queue
        self._run = run
        self._pace = pace
        self._fence = fence
        self._term = None if fence is None else fence.number
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._slots = threading.Semaphore(concurrency)
        self._awake = threading.Event()
        self._stopping = threading.Event()  # no new jobs
        self._closing = threading.Event()  # no waiting for the database either
        self._lock = threading.Lock()
        self._running: dict[JobContext, threading.Thread] = {}
        self._loops: list[threading.Thread] = []

    def start(self) -> None:
        for name, loop in (("claim", self._claim_jobs), ("watch", self._watch), ("tidy", self._tidy)):
            thread = self._thread(f"jobs-{name}", loop)
            self._loops.append(thread)
            thread.start()

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            with fenced(self._fence):
                work()

        return threading.Thread(target=run, name=name, daemon=True)

    def wake(self) -> None:
        """There is a job: look now."""
        self._awake.set()

    def stop(self, grace_seconds: float) -> None:
        """Take no more jobs, ask the running ones to stop, and hand back those that have not ended in time.

        Jobs handed back keep their attempt; another worker can take them at once.
        """
        self._stopping.set()
        self._awake.set()
        self._slots.release()  # the claiming thread may be waiting for one
        ends_at = time.monotonic() + grace_seconds
        for claiming in self._loops[:1]:
            claiming.join(_JOIN_SECONDS)
        running = self._snapshot()
        for context in running:
            context.stop(StopCause.SHUTDOWN)
        for thread in running.values():
            thread.join(max(ends_at - time.monotonic(), 0))
        self._closing.set()
        with fenced(self._fence):
            for context in self._snapshot():
                context.stop(StopCause.LOST)
                self._hand_back(context.job)
        for loop in self._loops:
            loop.join(_JOIN_SECONDS)

    def _snapshot(self) -> dict[JobContext, threading.Thread]:
        with self._lock:
            return dict(self._running)

    # --- claiming ---

    def _claim_jobs(self) -> None:
        while not self._stopping.is_set():
            self._slots.acquire()
            if self._stopping.is_set():
                return
            job = self._claim()
            if job is not None:
                self._begin(job)
                continue
            self._slots.release()
            self._awake.wait(self._pace.poll)
            # Cleared before the next claim: a job enqueued from now on sets it again, one enqueued before is found.
            self._awake.clear()

    def _claim(self) -> Job | None:
        try:
            return self._queue.claim(self._name, self._term)
        except Unavailable as error:
            log.debug("cannot claim jobs", reason=error.message)
            return None

    def _begin(self, job: Job) -> None:
        context = JobContext(job, self._queue)
        thread = self._thread(f"job-{job.id}", lambda: self._work(context))
        with self._lock:
            self._running[context] = thread
        if self._stopping.is_set():  # the claim took so long that `stop` has not seen this job
            context.stop(StopCause.SHUTDOWN)
        thread.start()

    # --- running ---

    def _work(self, context: JobContext) -> None:
        try:
            report = self._attempt(context)
            self._until_written(context, report)
        finally:
            with self._lock:
                del self._running[context]
            self._slots.release()

    def _attempt(self, context: JobContext) -> Callable[[], object]:
        """Do the job; returns how to report what came of it."""
        job = context.job
        log.info("job started", **_facts(job))
        try:
            context.check()
            result = self._run(job, context)
        except JobCanceled as canceled:
            log.info("job stopped", reason=str(canceled.cause), **_facts(job))
            return self._report_of(job, canceled.cause)
        except Exception as error:  # door: the job worker (architecture.md 9)
            if not isinstance(error, CatalogError):
                log.exception("job failed unexpectedly", **_facts(job))
            return self._failure(context, error, None)
        if result.error is not None:
            return self._failure(context, result.error, result)
        log.info("job done", loaded=result.entities_loaded, removed=result.entities_removed, **_facts(job))
        return lambda: self._queue.complete(job, result)

    def _failure(self, context: JobContext, error: Exception, result: JobResult | None) -> Callable[[], object]:
        job = context.job
        log.warning("job attempt failed", reason=str(error), **_facts(job))
        if context.is_shut_down:  # as likely as not because everything around it is closing
            return lambda: self._queue.release(job)
        return lambda: self._queue.fail(job, error, result)

    def _report_of(self, job: Job, cause: StopCause) -> Callable[[], object]:
        if cause is StopCause.LOST:
            return lambda: None
        if cause is StopCause.DEADLINE:
            limit_seconds = self._queue.limits.run_limit_ms // 1000
            return lambda: self._queue.fail(job, Unavailable(f"not done within {limit_seconds} s"))
        return lambda: self._queue.release(job)

    def _until_written(self, context: JobContext, report: Callable[[], object]) -> None:
        """Report, again and again while the database is down: work that is done must not be done twice."""
        while not context.is_lost:
            try:
                if report() in (None, False):
                    log.warning("job result ignored: the claim was lost", **_facts(context.job))
                return
            except Fenced as error:
                log.warning("job result ignored", reason=error.message, **_facts(context.job))
                return
            except Unavailable as error:
                log.warning("cannot report a job yet", reason=error.message, **_facts(context.job))
            if self._closing.wait(_RETRY_SECONDS):
                return

    def _hand_back(self, job: Job) -> None:
        try:
            self._queue.release(job)
        except Unavailable as error:
            # Recovery finds it once its heartbeat is old.
            log.warning("cannot hand back a job", reason=error.message, **_facts(job))

    # --- beside the jobs ---

    def _watch(self) -> None:
        third = self._queue.limits.claim_timeout_ms / 3000
        while not self._closing.wait(min(self._pace.watch, third)):
            for context in self._snapshot():
                try:
                    context.follow()
                except Unavailable as error:
                    log.debug("cannot follow a job", reason=error.message, **_facts(context.job))

    def _alive(self) -> list[Job]:
        """Our own running jobs, of which we need no sign of life."""
        return [context.job for context in self._snapshot() if context.is_alive]

    def _tidy(self) -> None:
        prune_at = 0.0
        while True:
            try:
                recovered = self._queue.recover_stuck(self._term, self._alive)
                if recovered.total:
                    log.warning("stuck jobs recovered", requeued=recovered.requeued, failed=recovered.failed)
                    self.wake()
                if time.monotonic() >= prune_at:
                    self._queue.prune()
                    prune_at = time.monotonic() + self._pace.prune
            except Unavailable as error:
                log.debug("cannot tidy up jobs", reason=error.message)
            if self._stopping.wait(self._pace.recover):
                return


def _facts(job: Job) -> dict[str, object]:
    return {
        "job": job.id,
        "namespace": job.namespace,
        "plugin": job.plugin,
        "source": job.source_id,
        "attempt": job.attempt_count,
    }
