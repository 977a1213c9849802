"""The work beside serving, on every replica: start-up (migrate, first load), following the feed, pinging the database,
watching files, reconciling the configuration, the keys of tokens, and the election of a leader.

What only one replica does is in leading.py. A database that is down is waited for; reads go on meanwhile.
"""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from catalog_server.audit.trail import Trail
from catalog_server.bootstrap.leading import Leading
from catalog_server.bootstrap.threads import RETRY_SECONDS, Threads
from catalog_server.bootstrap.watching import watch
from catalog_server.catalog.follower import Follower, follow_until
from catalog_server.catalog.links import Links
from catalog_server.catalog.loader import Loader
from catalog_server.catalog.statuses import Statuses
from catalog_server.cluster.configuration_feed import ConfigurationFeed
from catalog_server.cluster.elector import Elector
from catalog_server.db.engine import Engine, ping
from catalog_server.db.news import hear_until
from catalog_server.errors import CatalogError, Unavailable
from catalog_server.health import Health

if TYPE_CHECKING:  # it loads the library of tokens, which header mode has no use for
    from catalog_server.access.keys import KeyRing

FOLLOW_SECONDS = 1.0
PING_SECONDS = 0.5
DRAIN_SECONDS = 1.0
_FIRST_LOOK_SECONDS = 0.2

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
        feed: ConfigurationFeed,
        trail: Trail,
        leading: Leading,
        elector: Elector | None,
        prepare_schema: Callable[[], object],
        keys: KeyRing | None,
        watch_files: bool,
        reconcile_seconds: int,
    ) -> None:
        """`elector` None: no leader is elected, and this replica leads."""
        self._engine = engine
        self._health = health
        self._loader = loader
        self._follower = follower
        self._statuses = statuses
        self._links = links
        self._feed = feed
        self._trail = trail
        self._leading = leading
        self._elector = elector
        self._keys = keys
        self._reconcile_seconds = reconcile_seconds
        self._prepare_schema = prepare_schema
        self._watch_files = watch_files
        self._news = threading.Event()
        self._threads = Threads()
        self._stop = self._threads.stop
        self._campaign: threading.Thread | None = None
        self.fatal: str | None = None

    def start(self, on_fatal: Callable[[], None]) -> None:
        """Begin. `on_fatal` is called when the process cannot ever become ready."""
        self._run("ping", self._ping)
        self._run("boot", lambda: self._boot(on_fatal))
        keys = self._keys
        if keys is not None:
            self._run("keys", lambda: keys.renew_until(self._stop))

    def stop(self) -> None:
        """End all threads and wait for them, but not for a database that does not answer.

        The lead is given back when the work of the leader has ended, never before.
        """
        self._stop.set()
        self._news.set()
        if self._campaign is not None:
            self._campaign.join()  # it ends the work of the leader
        self._leading.end()
        self._threads.join()

    def _run(self, name: str, work: Callable[[], None]) -> None:
        self._threads.run(name, work)

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
            if not self._until_available(self._prepare_schema) or not self._until_available(self._load):
                return
            if self._stop.is_set():
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
        self._run("listen", lambda: hear_until(self._stop, self._engine, self._hear))
        self._run("reconcile", self._reconcile)
        self._run("audit", self._drain_audit)
        if self._watch_files:
            self._run("watch", self._watch)

    def _load(self) -> None:
        """Have everything loaded for the first time: by ourselves, or where a leader is elected by whoever that is."""
        if not self._loader.is_configured:  # a cluster that was down at the start
            self._loader.take_configuration()
        elector = self._elector
        if elector is None:
            self._loader.load()
            self._leading.begin(None)
            return
        if self._campaign is None:
            self._campaign = self._threads.run("elector", lambda: elector.campaign_until(self._stop))
        while not self._stop.wait(_FIRST_LOOK_SECONDS):
            self._statuses.follow()
            self._follower.catch_up()
            if self._leading.has_loaded.is_set() or self._loader.is_loaded:
                return

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
            self._stop.wait(RETRY_SECONDS)
        return False

    def _hear(self) -> None:
        self._news.set()
        self._leading.wake()

    def _follow(self) -> None:
        follow_until(self._stop, self._news, self._follower, seconds=FOLLOW_SECONDS, after=self._follow_others)

    def _follow_others(self) -> None:
        self._statuses.follow()
        if self._feed.has_news():
            self._loader.reconcile()
            self._leading.load_due()

    def _watch(self) -> None:
        for changed in watch(self._loader.watched, self._loader.wanted, self._stop):
            self._reload(changed)

    def _reload(self, changed: set[Path]) -> None:
        """Take changed files into force; what the database is not there for stays due for the next round."""
        if changed & set(self._loader.files):
            self._loader.reconcile()
        self._loader.touch(changed)
        self._leading.load_due()

    def _reconcile(self) -> None:
        """Look for changes that no file event told of: in a ConfigMap, on a mount; and try again what has failed."""
        while not self._stop.wait(self._reconcile_seconds * random.uniform(0.9, 1.1)):  # noqa: S311 - no secret
            self._loader.reconcile()
            self._loader.touch_failed()
            self._leading.load_due()

    def _drain_audit(self) -> None:
        """Bring what this replica has spooled into the database."""
        while True:
            try:
                drained = self._trail.drain()
                if drained:
                    log.info("audit events brought into the database", count=drained)
            except Unavailable as error:
                log.debug("cannot tend audit events", reason=error.message)
            if self._stop.wait(DRAIN_SECONDS):
                return
