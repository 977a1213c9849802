"""The work that one replica does for all: loading what the configuration says, the schedule of remote sources, the
workers of jobs, the retention of audit events (seed, Leader Election).

Where no leader is elected, every replica does it. All that it writes stands behind the fence of its term.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog

from catalog_server.audit.trail import Trail
from catalog_server.bootstrap.threads import RETRY_SECONDS, Threads
from catalog_server.catalog.loader import Loader
from catalog_server.catalog.schedule import Schedule
from catalog_server.cluster.term import Term
from catalog_server.db.engine import Engine
from catalog_server.db.fencing import Fence, fenced
from catalog_server.errors import CatalogError, Fenced, Unavailable
from catalog_server.jobs.worker import Workers

SCHEDULE_SECONDS = 0.5
_JOB_GRACE_SECONDS = 10.0
_FIRST_PRUNE_SECONDS = (30.0, 90.0)
_PRUNE_SECONDS = 24 * 60 * 60.0

log = structlog.get_logger(__name__)


class Leading:
    """Begins and ends as often as this replica takes and loses the lead. `make_workers` None: there are no jobs."""

    def __init__(
        self,
        *,
        engine: Engine,
        loader: Loader,
        schedule: Schedule,
        trail: Trail,
        make_workers: Callable[[Fence | None], Workers] | None,
    ) -> None:
        self._engine = engine
        self._loader = loader
        self._schedule = schedule
        self._trail = trail
        self._make_workers = make_workers
        self._term: Term | None = None
        self._threads: Threads | None = None
        self._workers: Workers | None = None
        self._changing_workers = threading.Lock()
        self.has_loaded = threading.Event()
        """The sources were loaded once, by this replica."""

    @property
    def is_leading(self) -> bool:
        return self._threads is not None

    def begin(self, term: Term | None) -> None:
        """Start. Without a term there is nobody to be shut out, and the sources are loaded already."""
        self._term = term
        self._threads = threads = Threads()
        threads.run("lead", lambda: self._open(threads, term))

    def end(self) -> None:
        """End all of it, and hand running jobs back."""
        threads, self._threads = self._threads, None
        if threads is None:
            return
        threads.stop.set()
        with self._changing_workers:  # from here on none are started
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.stop(_JOB_GRACE_SECONDS)
        threads.join()

    def wake(self) -> None:
        """There is a job: look now."""
        workers = self._workers
        if workers is not None:
            workers.wake()

    def load_due(self) -> None:
        """Load the sources that are due; a replica that does not lead leaves that to the one that does."""
        if not self.is_leading or not self._loader.is_due:
            return
        try:
            with self._fenced():
                self._loader.load()
        except Unavailable as error:
            log.warning("cannot store changed sources yet", reason=error.message)

    def _fenced(self) -> AbstractContextManager[None]:
        return fenced(self._term)

    def _open(self, threads: Threads, term: Term | None) -> None:
        if term is not None and not self._take_over(threads, term):
            return
        threads.run("schedule", lambda: self._follow_schedule(threads.stop))
        threads.run("audit retention", lambda: self._prune_audit(threads.stop))
        if self._make_workers is None:
            return
        with self._changing_workers:
            if not threads.stop.is_set():
                self._workers = self._make_workers(term)
                self._workers.start()

    def _take_over(self, threads: Threads, term: Term) -> bool:
        """Shut out earlier leaders, and load everything once: nobody knows what they left undone."""
        last = None
        while not threads.stop.is_set():
            try:
                term.begin(self._engine)
                with self._fenced():
                    self._loader.touch_all()
                    self._loader.load()
                self.has_loaded.set()
                return True
            except Fenced as error:  # the elector will notice, too
                log.warning("cannot lead", reason=error.message)
                return False
            except CatalogError as error:
                if error.message != last:
                    log.warning("cannot lead yet", reason=error.message)
                last = error.message
            threads.stop.wait(RETRY_SECONDS)
        return False

    def _follow_schedule(self, stop: threading.Event) -> None:
        while not stop.wait(SCHEDULE_SECONDS):
            try:
                with self._fenced():
                    self._schedule.run()
            except CatalogError as error:  # the database is down, or a source was deleted a moment ago
                log.debug("cannot ask for scheduled refreshes", reason=error.message)

    def _prune_audit(self, stop: threading.Event) -> None:
        """Once a day forget audit events that are too old, soon after the start first."""
        wait = random.uniform(*_FIRST_PRUNE_SECONDS)  # noqa: S311 - no secret
        while not stop.wait(wait):
            try:
                with self._fenced():
                    self._trail.prune()
                wait = _PRUNE_SECONDS
            except Unavailable as error:
                log.debug("cannot forget audit events now", reason=error.message)
                wait = _FIRST_PRUNE_SECONDS[0]
