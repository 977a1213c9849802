"""The work beside serving: start-up (migrate, first load), following the feed, pinging the database, watching files,
reconciling the configuration, the schedule of remote sources, the workers of jobs and the keys of tokens.

Plain threads that end when `stop` is called. A database that is down is waited for; reads go on meanwhile.
"""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from catalog_server.audit.trail import Trail
from catalog_server.bootstrap.watching import watch
from catalog_server.catalog.follower import Follower, follow_until
from catalog_server.catalog.links import Links
from catalog_server.catalog.loader import Loader
from catalog_server.catalog.schedule import Schedule
from catalog_server.catalog.statuses import Statuses
from catalog_server.db.engine import Engine, ping
from catalog_server.errors import CatalogError, Unavailable
from catalog_server.health import Health
from catalog_server.jobs.worker import Workers

if TYPE_CHECKING:  # it loads the library of tokens, which header mode has no use for
    from catalog_server.access.keys import KeyRing

FOLLOW_SECONDS = 1.0
PING_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_JOIN_SECONDS = 5.0
_JOB_GRACE_SECONDS = 10.0
SCHEDULE_SECONDS = 0.5
DRAIN_SECONDS = 1.0
_FIRST_PRUNE_SECONDS = (30.0, 90.0)
_PRUNE_SECONDS = 24 * 60 * 60.0

log = structlog.get_logger(__name__)


class Background:
    """Runs the threads. `fatal` holds the reason when start-up failed for good."""

    def __init__(  # noqa: PLR0913 - made in one place, by name
        self,
        *,
        engine: Engine,
        health: Health,
        loader: Loader,
        follower: Follower,
        statuses: Statuses,
        links: Links,
        schedule: Schedule,
        trail: Trail,
        workers: Workers | None,
        prepare_schema: Callable[[], object],
        keys: KeyRing | None,
        watch_files: bool,
        reconcile_seconds: int,
    ) -> None:
        self._engine = engine
        self._health = health
        self._loader = loader
        self._follower = follower
        self._statuses = statuses
        self._links = links
        self._schedule = schedule
        self._trail = trail
        self._workers = workers
        self._workers_started = False
        self._keys = keys
        self._reconcile_seconds = reconcile_seconds
        self._prepare_schema = prepare_schema
        self._watch_files = watch_files
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.fatal: str | None = None

    def start(self, on_fatal: Callable[[], None]) -> None:
        """Begin. `on_fatal` is called when the process cannot ever become ready."""
        self._run("ping", self._ping)
        self._run("boot", lambda: self._boot(on_fatal))
        keys = self._keys
        if keys is not None:
            self._run("keys", lambda: keys.renew_until(self._stop))

    def stop(self) -> None:
        """End all threads and wait for them, but not for a database that does not answer."""
        self._stop.set()
        if self._workers is not None and self._workers_started:
            self._workers.stop(_JOB_GRACE_SECONDS)
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            while not self._stop.is_set():
                try:
                    work()
                    return
                except Exception:  # door: work in the background, whose end nobody would notice
                    log.exception("background work failed, it is started again", work=name)
                self._stop.wait(_RETRY_SECONDS)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _ping(self) -> None:
        was_down: str | None = None
        while not self._stop.is_set():
            try:
                ping(self._engine)
                error = None
            except Unavailable as down:
                error = down.message.removeprefix("database: ")
            if error != was_down:
                (log.warning if error else log.info)("database is " + ("down" if error else "up"), reason=error)
                was_down = error
            self._health.database_is(error)
            self._stop.wait(PING_SECONDS)

    def _boot(self, on_fatal: Callable[[], None]) -> None:
        try:
            if not self._until_available(self._prepare_schema):
                return
            if not self._until_available(self._load):
                return
        except CatalogError as error:
            self.fatal = error.message
            log.error("start-up failed", reason=error.message)
            on_fatal()
            return
        except Exception as error:  # door: start-up; without it the process would hang, never ready
            self.fatal = f"{type(error).__name__}: {error}"
            log.exception("start-up failed")
            on_fatal()
            return
        # All that start-up made stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        self._health.initial_load_done()
        log.info("ready")
        self._loader.report_links(self._links)
        self._run("follow", self._follow)
        self._run("reconcile", self._reconcile)
        self._run("schedule", self._follow_schedule)
        self._run("audit", self._tend_audit)
        if self._workers is not None:
            self._workers.start()
            self._workers_started = True
        if self._watch_files:
            self._run("watch", self._watch)

    def _load(self) -> None:
        if not self._loader.is_configured:  # a cluster that was down at the start
            self._loader.take_configuration()
        self._loader.load()

    def _until_available(self, work: Callable[[], object]) -> bool:
        """Do the work, again and again while the database is down; False when the process is stopping."""
        last = None
        while not self._stop.is_set():
            try:
                work()
                return True
            except Unavailable as error:
                if error.message != last:
                    log.warning("waiting for the database", reason=error.message)
                last = error.message
            self._stop.wait(_RETRY_SECONDS)
        return False

    def _follow(self) -> None:
        follow_until(self._stop, self._follower, seconds=FOLLOW_SECONDS, after=lambda _: self._statuses.follow())

    def _watch(self) -> None:
        for changed in watch(self._loader.watched, self._loader.wanted, self._stop):
            self._reload(changed)

    def _reload(self, changed: set[Path]) -> None:
        """Take changed files into force; what the database is not there for stays due for the next round."""
        if changed & set(self._loader.files):
            self._loader.reconcile()
        self._loader.touch(changed)
        self._load_due()

    def _reconcile(self) -> None:
        """Look for changes that no file event told of: in a ConfigMap, on a mount, by another replica."""
        while not self._stop.wait(self._reconcile_seconds * random.uniform(0.9, 1.1)):  # noqa: S311 - no secret
            self._loader.reconcile()
            self._load_due()

    def _follow_schedule(self) -> None:
        while not self._stop.wait(SCHEDULE_SECONDS):
            try:
                self._schedule.run()
            except CatalogError as error:  # the database is down, or a source was deleted a moment ago
                log.debug("cannot ask for scheduled refreshes", reason=error.message)

    def _tend_audit(self) -> None:
        """Bring what was spooled into the database, and once a day forget what is too old, soon after the start first.

        All replicas prune: batches that find nothing cost nothing. Where one is the leader, only that one has to.
        """
        prune_at = time.monotonic() + random.uniform(*_FIRST_PRUNE_SECONDS)  # noqa: S311 - no secret
        while True:
            try:
                drained = self._trail.drain()
                if drained:
                    log.info("audit events brought into the database", count=drained)
                if time.monotonic() >= prune_at:
                    self._trail.prune()
                    prune_at = time.monotonic() + _PRUNE_SECONDS
            except Unavailable as error:
                log.debug("cannot tend audit events", reason=error.message)
            if self._stop.wait(DRAIN_SECONDS):
                return

    def _load_due(self) -> None:
        if not self._loader.is_due:
            return
        try:
            self._loader.load()
        except Unavailable as error:
            log.warning("cannot store changed sources yet", reason=error.message)
