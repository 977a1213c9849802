"""What a running job holds in its hand: a way to say how far it is, and to learn that it must stop."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum

from catalog_server.errors import Unavailable
from catalog_server.jobs.job import Job
from catalog_server.jobs.queue import ClaimState, Queue


class StopCause(StrEnum):
    """Why a job must stop."""

    CANCELED = "canceled by user"
    DEADLINE = "deadline over"
    LOST = "taken over by another worker"
    SHUTDOWN = "the server stops"


class JobCanceled(BaseException):
    """Ends a run from inside `JobContext.check`.

    Not an Exception, so that no door on the way (a refresh turns any Exception of a source into that source's status)
    takes it for a failure of the work.
    """

    def __init__(self, cause: StopCause) -> None:
        super().__init__(str(cause))
        self.cause = cause


class JobContext:
    """Passed to the callable that does the job; its thread calls `progress` and the checks, others call the rest."""

    def __init__(self, job: Job, queue: Queue) -> None:
        self.job = job
        self._queue = queue
        began = queue.steady()
        self._deadline = began + queue.limits.run_limit_ms / 1000
        self._heartbeat_seconds = queue.limits.claim_timeout_ms / 3000
        self._next_heartbeat = began + self._heartbeat_seconds
        self._cause: StopCause | None = None
        self._progress: str | None = None
        self._written_progress: str | None = None

    def progress(self, text: str) -> None:
        """Tell how far the job is. Costs nothing: the newest text is written about once per second."""
        self._progress = text

    def check(self) -> None:
        """Call this often. Raises JobCanceled when the job must stop."""
        if self._cause is None and self._is_overdue():
            self._cause = StopCause.DEADLINE
        if self._cause is not None:
            raise JobCanceled(self._cause)

    def check_now(self) -> None:
        """The same by what the queue says at this moment: for before something that cannot be undone."""
        with suppress(Unavailable):  # whoever writes next will find out
            self.follow()
        self.check()

    def stop(self, cause: StopCause) -> None:
        """Let the next `check` raise. The first cause counts, but for a lost claim: then nothing may be reported."""
        if self._cause is None or cause is StopCause.LOST:
            self._cause = cause

    @property
    def is_lost(self) -> bool:
        return self._cause is StopCause.LOST

    @property
    def is_alive(self) -> bool:
        """Whether the run still has its claim and its time."""
        return not self.is_lost and not self._is_overdue()

    @property
    def is_shut_down(self) -> bool:
        return self._cause is StopCause.SHUTDOWN

    def follow(self) -> None:
        """Renew the claim when that is due, write new progress, and learn what has become of the claim.

        Past the deadline a claim is not renewed, so that recovery takes the job from a run that never calls `check`.
        """
        if self.is_lost or self._is_overdue():
            return
        now, progress = self._queue.steady(), self._progress
        is_new = progress != self._written_progress
        if is_new or now >= self._next_heartbeat:
            state = self._queue.heartbeat(self.job, progress if is_new else None)
            self._written_progress = progress
            self._next_heartbeat = now + self._heartbeat_seconds
        else:
            state = self._queue.look(self.job)
        if state is ClaimState.LOST:
            self.stop(StopCause.LOST)
        elif state is ClaimState.CANCEL_REQUESTED:
            self.stop(StopCause.CANCELED)

    def _is_overdue(self) -> bool:
        return self._queue.steady() >= self._deadline
