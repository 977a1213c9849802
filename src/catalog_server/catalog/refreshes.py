"""Refreshes that somebody asks for: put into the queue of jobs, or done at once where there is none.

For: the refresh routes and actions, the schedule of remote sources, and the workers that run the jobs.
Not for: how a source is loaded (refresher.py), nor how a queue works (jobs/).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from catalog_server.catalog.configuration import Configuration
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.refresh_limits import RefreshLimits
from catalog_server.catalog.refresher import Refreshed, Refresher, RefreshOptions, Superseded
from catalog_server.catalog.registry import Registry
from catalog_server.errors import CatalogError, Conflict, Invalid, NotFound, Unavailable
from catalog_server.jobs.context import JobContext
from catalog_server.jobs.job import Job, JobResult
from catalog_server.jobs.queue import Origin, Queue
from catalog_server.scope import Scope
from catalog_server.sources.config import Source
from catalog_server.sources.stores.replacing import AtStep, no_step

SCHEDULE = "system:schedule"
"""Who asks for the refreshes of the schedule."""
_ATTEMPTS = 3
_NO_REQUEST = Origin()


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What a refresh that was done at once came to. `source_id` None: all sources of the plugin."""

    source_id: str | None
    loaded: int
    removed: int
    duration_ns: int
    error: CatalogError | None = None


class Refreshes:
    """`queue` None: there are no jobs, and whoever asks waits."""

    def __init__(  # noqa: PLR0913 - made in one place, by name
        self,
        *,
        registry: Registry,
        configuration: Configuration,
        refresher: Refresher,
        queue: Queue | None,
        after_write: Callable[[], object],
        limits: RefreshLimits | None = None,
        at_step: AtStep = no_step,
    ) -> None:
        self._registry = registry
        self._configuration = configuration
        self._refresher = refresher
        self._queue = queue
        self._after_write = after_write
        self._limits = limits or RefreshLimits()
        self._at_step = at_step
        self.wake: Callable[[], object] = _nobody
        """Tells the workers of this process that there is a job."""

    def request(
        self,
        scope: Scope,
        plugin: Plugin,
        source_id: str | None,
        user: str,
        *,
        confirm_removal: bool = False,
        origin: Origin = _NO_REQUEST,
    ) -> Job | RefreshResult:
        """Refresh a source, or all of a plugin's. A job for it that lives already is the answer, whoever asked first.

        Raises:
            NotFound: there is no such source.
            Conflict: the source is disabled.
            RateLimited: the same was asked for less than 30 s ago.
        """
        self._check_enabled(scope, plugin, source_id)
        if self._queue is not None and self._queue.find_live(scope, plugin.name, source_id) is not None:
            return self._enqueue(scope, plugin, source_id, user, confirm_removal, origin)
        with self._limits.taken(scope, plugin.name, source_id):
            if self._queue is not None:
                return self._enqueue(scope, plugin, source_id, user, confirm_removal, origin)
            return self._do(scope, plugin, source_id, RefreshOptions(confirm_removal=confirm_removal))

    def refresh_now(self, scope: Scope, plugin: Plugin, source_id: str, *, confirm_removal: bool) -> RefreshResult:
        """Refresh one source while the caller waits, jobs or not. Raises as `request` does."""
        self._check_enabled(scope, plugin, source_id)
        with self._limits.taken(scope, plugin.name, source_id):
            return self._do(scope, plugin, source_id, RefreshOptions(confirm_removal=confirm_removal))

    def schedule(self, plugin: Plugin, source: Source) -> None:
        """Refresh a source because its time has come."""
        scope = Scope(source.namespace)
        if self._queue is None:
            self._do(scope, plugin, source.id, RefreshOptions())
        else:
            self._enqueue(scope, plugin, source.id, SCHEDULE, False, _NO_REQUEST)

    def run(self, job: Job, context: JobContext) -> JobResult:
        """Do a job."""
        self._at_step("job-claimed")
        plugin = self._registry.get(job.plugin)
        if plugin is None:
            raise NotFound(f'plugin "{job.plugin}" not found')
        options = RefreshOptions(
            job_id=job.id, confirm_removal=job.confirm_removal, progress=context.progress, check=context.check_now
        )
        done = self._do(job.scope, plugin, job.source_id, options)
        self._at_step("job-done")  # and not yet reported
        return JobResult(entities_loaded=done.loaded, entities_removed=done.removed, error=done.error)

    def _enqueue(
        self, scope: Scope, plugin: Plugin, source_id: str | None, user: str, confirm_removal: bool, origin: Origin
    ) -> Job:
        assert self._queue is not None
        job, _ = self._queue.enqueue(
            scope, plugin.name, source_id, user, confirm_removal=confirm_removal, origin=origin
        )
        self._at_step("job-enqueued")
        self.wake()
        return job

    def _do(self, scope: Scope, plugin: Plugin, source_id: str | None, given: RefreshOptions) -> RefreshResult:
        started = time.monotonic_ns()
        done: list[tuple[Source, Refreshed]] = []
        wanted = self._wanted(scope, plugin, source_id)
        for number, one in enumerate(wanted, 1):
            given.check()
            options = replace(given, is_requested=True, progress=_progress_of(given, one, number, len(wanted)))
            refreshed = self._refresh(scope, plugin, one, options)
            if refreshed is not None:
                done.append(refreshed)
            elif source_id is not None:
                raise NotFound(f'source "{source_id[:128]}" was deleted')
            self._after_write()
        return RefreshResult(
            source_id,
            sum(one.loaded for _, one in done),
            sum(one.removed for _, one in done),
            time.monotonic_ns() - started,
            _error_of(source_id, done),
        )

    def _check_enabled(self, scope: Scope, plugin: Plugin, source_id: str | None) -> None:
        if source_id is not None and not self._configuration.source(scope, plugin, source_id).enabled:
            raise Conflict(f'source "{source_id}" is disabled: enable it first')

    def _wanted(self, scope: Scope, plugin: Plugin, source_id: str | None) -> list[str]:
        if source_id is not None:
            return [self._configuration.source(scope, plugin, source_id).id]
        return [one.id for one in self._configuration.sources(scope, plugin) if one.enabled]

    def _refresh(
        self, scope: Scope, plugin: Plugin, source_id: str, options: RefreshOptions
    ) -> tuple[Source, Refreshed] | None:
        """Refresh a source as it is configured by now, anew when that changes under way. None: it is gone."""
        for attempt in range(1, _ATTEMPTS + 1):
            source = self._configuration.find(scope, plugin, source_id)
            if source is None:
                return None
            done = self._refresher.refresh(plugin, source, options)
            if not isinstance(done.error, Superseded) or attempt == _ATTEMPTS:
                return source, done
            options.check()
        raise AssertionError("unreachable")


def _progress_of(given: RefreshOptions, source_id: str, number: int, count: int) -> Callable[[str], None]:
    return lambda step: given.progress(f"{source_id} ({number} of {count}): {step}")


def _nobody() -> None:
    pass


def _error_of(source_id: str | None, done: list[tuple[Source, Refreshed]]) -> CatalogError | None:
    """One error for all: of a single source its own, else a list; worth another attempt when one of them is."""
    failed = [(source, one.error) for source, one in done if one.error is not None]
    if not failed:
        return None
    if source_id is not None:
        return failed[0][1]
    message = "; ".join(f"{source.id}: {error.message}" for source, error in failed)
    transient = [error for _, error in failed if isinstance(error, Unavailable)]
    if not transient:
        return Invalid(message)
    asked = [error.retry_after_seconds for error in transient if error.is_asked]
    return Unavailable(message, retry_after_seconds=max(asked), is_asked=True) if asked else Unavailable(message)
