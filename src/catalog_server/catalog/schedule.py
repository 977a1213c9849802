"""When remote sources are fetched: at their interval, and at once when their configuration says something new.

The clock is what the last refresh wrote into the source's status, so it survives a restart and is shared by replicas.
Not for: local files, which are loaded when they change (loader.py), nor doing the work (jobs, refreshes.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import structlog

from catalog_server.catalog.configuration import Configuration
from catalog_server.catalog.fetcher import Fetcher
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.refresher import key_of
from catalog_server.catalog.registry import Registry
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import SourceKey
from catalog_server.errors import CatalogError, Unavailable
from catalog_server.sources.config import Source, definition_digest

_AGAIN_SECONDS = 60.0
_CLOCK_SET_BACK_SECONDS = 60
"""A source that was asked for and has no new status yet is in work; after that time it is asked for again."""
Ask = Callable[[Plugin, Source], object]

log = structlog.get_logger(__name__)


class Schedule:
    """Asks for the refresh of what is due. `run` is called about once a second, by one thread."""

    def __init__(
        self,
        *,
        registry: Registry,
        configuration: Configuration,
        statuses: Statuses,
        fetcher: Fetcher,
        ask: Ask,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._configuration = configuration
        self._statuses = statuses
        self._fetcher = fetcher
        self._ask = ask
        self._clock = clock
        self._asked: dict[SourceKey, tuple[str, int | None, float]] = {}

    def run(self) -> int:
        """Ask for all that is due; return how many that was. Raises Unavailable when the queue is down."""
        return sum(self._ask_for(plugin, source) for plugin, source in list(self._due()))

    def _ask_for(self, plugin: Plugin, source: Source) -> bool:
        try:
            self._ask(plugin, source)
        except Unavailable:
            raise
        except CatalogError as error:  # deleted a moment ago, for one; the others still have their turn
            log.info("cannot refresh as scheduled", plugin=plugin.name, source=source.id, reason=error.message)
            return False
        self._asked[key_of(plugin, source)] = self._state_of(plugin, source)
        return True

    def next_at(self, plugin: Plugin, source: Source) -> int | None:
        """When the source is due next, in ms since the epoch; None: only on request."""
        interval = self._fetcher.sync_interval(source)
        status = self._statuses.get(key_of(plugin, source))
        if interval is None or not source.enabled:
            return None
        last = status.last_refresh_time if status is not None else None
        return (last or int(self._clock() * 1000)) + interval // timedelta(milliseconds=1)

    def _due(self) -> Iterator[tuple[Plugin, Source]]:
        now = self._clock()
        for plugin, source in self._configuration.keys(self._registry.plugins).values():
            if not source.enabled or not self._fetcher.is_remote(source):
                continue
            if self._is_due(plugin, source, now) and not self._is_in_work(plugin, source, now):
                yield plugin, source

    def _is_due(self, plugin: Plugin, source: Source, now: float) -> bool:
        status = self._statuses.get(key_of(plugin, source))
        if status is None or status.last_refresh_time is None or status.definition != definition_digest(source):
            return True
        interval = self._fetcher.sync_interval(source)
        age = now - status.last_refresh_time / 1000
        # A refresh of the future: the clock was set back since, and its interval may be over or not.
        return interval is not None and (age >= interval.total_seconds() or age < -_CLOCK_SET_BACK_SECONDS)

    def _is_in_work(self, plugin: Plugin, source: Source, now: float) -> bool:
        asked = self._asked.get(key_of(plugin, source))
        if asked is None:
            return False
        definition, last, _ = self._state_of(plugin, source)
        return asked[:2] == (definition, last) and now < asked[2] + _AGAIN_SECONDS

    def _state_of(self, plugin: Plugin, source: Source) -> tuple[str, int | None, float]:
        status = self._statuses.get(key_of(plugin, source))
        return definition_digest(source), status.last_refresh_time if status else None, self._clock()
