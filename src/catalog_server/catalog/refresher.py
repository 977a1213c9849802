"""Refreshes sources: fetch, read, compare, write in one transaction. A failure keeps the last good set and says why.

One of the four doors where any exception is caught: whatever goes wrong with one source is its status, and nobody
else's trouble (architecture.md 9). Who asks for a refresh, and when, is loader.py (files and configuration),
schedule.py (remote sources) and refreshes.py (people).
"""

from __future__ import annotations

import hashlib
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from catalog_server import __version__
from catalog_server.catalog import read_apart
from catalog_server.catalog.fetcher import Fetcher, Prepared, Unreachable
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.records import Batch, Problem, ReadJob, SourceFile
from catalog_server.catalog.status import SERVING, SourceStatus
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import Origin, SourceKey, Writer, Written
from catalog_server.clock import clock_ms
from catalog_server.errors import CatalogError, Conflict, Invalid, Unavailable
from catalog_server.providers.base import Fetched
from catalog_server.schema.kind import Kind
from catalog_server.scope import Scope
from catalog_server.sources.config import Source, definition_digest
from catalog_server.sources.globs import ItemFilter
from catalog_server.sources.secrets import mask
from catalog_server.sources.stores.replacing import AtStep, no_step
from catalog_server.telemetry.measurements import REFRESH_BOUNDS, Durations

READ_TIMEOUT_SECONDS = 300.0
_ATTEMPTS = 3

log = structlog.get_logger(__name__)


def _never(*_: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOptions:
    """How a refresh is done, and for whom."""

    job_id: str | None = None
    confirm_removal: bool = False
    is_requested: bool = False
    """Somebody waits for it: that it found nothing new is worth a new time in the status."""
    progress: Callable[[str], None] = _never
    check: Callable[[], None] = _never
    """Called between the steps; raises when the refresh is to be given up."""


DEFAULT_OPTIONS = RefreshOptions()


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to. With an `error` the last good set is still there."""

    status: SourceStatus
    removed: int = 0
    error: CatalogError | None = None

    @property
    def loaded(self) -> int:
        """How many entities the source brought; 0 after an error."""
        return 0 if self.error else self.status.entity_count


class Superseded(Conflict):
    """The configuration says something else of the source by now; what was fetched is thrown away."""

    def __init__(self, source_id: str) -> None:
        super().__init__(f'source "{source_id}" was changed while it was refreshed')


def _always(*_: object) -> bool:
    return True


class Refresher:
    """Loads sources into the store. Safe to call from several threads; one source is refreshed by one at a time.

    A source has two locks: one is held for a whole refresh, which may take as long as the network pleases; the other
    for the moment of storing. Who switches a source off or removes it takes the second one only, and need not wait:
    a refresh that is on its way finds out before it stores anything (`says`: whether the source is still configured
    like that).
    """

    def __init__(
        self,
        *,
        writer: Writer,
        statuses: Statuses,
        fetcher: Fetcher,
        says: Callable[[Plugin, Source], bool] = _always,
        durations: Durations | None = None,
        at_step: AtStep = no_step,
    ) -> None:
        """`durations` is told of each refresh by (plugin, result)."""
        self._durations = durations or Durations(REFRESH_BOUNDS)
        self._writer = writer
        self._statuses = statuses
        self._fetcher = fetcher
        self._says = says
        self._at_step = at_step
        self._refreshing: dict[SourceKey, threading.Lock] = {}
        self._storing: dict[SourceKey, threading.Lock] = {}

    def refresh(self, plugin: Plugin, source: Source, options: RefreshOptions = DEFAULT_OPTIONS) -> Refreshed:
        """Load one source. Raises only Unavailable, when the database is down, and what `options.check` raises."""
        key = key_of(plugin, source)
        shelf = _Shelf(
            key=key,
            writer=self._writer,
            statuses=self._statuses,
            lock=self._storing.setdefault(key, threading.Lock()),
            says=lambda: self._says(plugin, source),
            at_step=self._at_step,
        )
        refresh = _Refresh(shelf, self._fetcher, plugin, source, options)
        if not source.enabled:
            return refresh.run()
        with self._refreshing.setdefault(key, threading.Lock()):
            started = time.monotonic()
            refreshed = refresh.run()
        result = "success" if refreshed.error is None else "error"
        self._durations.add((plugin.name, result), time.monotonic() - started)
        return refreshed

    def remove(self, key: SourceKey) -> Written:
        """Forget a source that is no longer configured."""
        with self._storing.setdefault(key, threading.Lock()):
            written = self._writer.remove_source(key, None)
            self._statuses.drop(key)
        log.info(
            "source removed",
            namespace=key.scope.namespace,
            plugin=key.plugin,
            source=key.source_id,
            entities=written.removed,
        )
        return written


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """Where one source is stored, and what is known of it."""

    key: SourceKey
    writer: Writer
    statuses: Statuses
    lock: threading.Lock
    says: Callable[[], bool]
    at_step: AtStep

    @property
    def held(self) -> SourceStatus | None:
        return self.statuses.get(self.key)

    @contextmanager
    def open(self) -> Iterator[None]:
        """For storing: nobody else does, and the source is still configured as it was. Raises Superseded."""
        with self.lock:
            if not self.says():
                raise Superseded(self.key.source_id)
            yield


class _Refresh:
    """One refresh of one source."""

    def __init__(
        self, shelf: _Shelf, fetcher: Fetcher, plugin: Plugin, source: Source, options: RefreshOptions
    ) -> None:
        self._shelf = shelf
        self._fetcher = fetcher
        self._plugin = plugin
        self._source = source
        self._options = options
        self._prepared: Prepared | None = None
        self._started = time.monotonic()

    @property
    def _elapsed_ms(self) -> int:
        return int((time.monotonic() - self._started) * 1000)

    def run(self) -> Refreshed:
        try:
            return self._try()
        except Superseded as error:
            log.info("refresh given up", reason=error.message, **_facts(self._plugin, self._source))
            return Refreshed(self._shelf.held or SourceStatus("loading"), error=error)

    def _try(self) -> Refreshed:
        """Raises Superseded, or Unavailable."""
        try:
            return self._load()
        except Unreachable as error:
            return self._fail(error)
        except (Superseded, Unavailable):  # Unavailable is the database: only that may stop everything
            raise
        except CatalogError as error:
            return self._fail(error)
        except Exception as error:  # noqa: BLE001 - door: the refresh of one source (architecture.md 9)
            secrets = self._prepared.secrets if self._prepared is not None else ()
            log.error(
                "refresh failed unexpectedly",
                traceback=mask(traceback.format_exc(), secrets),
                **_facts(self._plugin, self._source),
            )
            return self._fail(Invalid(f"internal error ({type(error).__name__}); the log has the details"))

    def _load(self) -> Refreshed:
        if not self._source.enabled:
            return self._disable()
        self._prepared = self._fetcher.prepare(self._plugin, self._source)
        self._options.progress("fetching")
        fetched = self._prepared.fetch(self._options.check)
        self._shelf.at_step("fetched")
        self._options.check()
        fingerprint = _fingerprint(self._plugin.kind, self._source, fetched)
        with self._shelf.open():
            held = self._shelf.held
            if held is not None and held.state in SERVING and held.fingerprint == fingerprint:
                return self._unchanged(held, fetched)
        return self._replace(fetched, fingerprint)

    def _unchanged(self, held: SourceStatus, fetched: Fetched) -> Refreshed:
        facts = {"commit_sha": fetched.commit_sha, "definition": definition_digest(self._source)}
        is_news = any(getattr(held, name) != value for name, value in facts.items())
        if not is_news and not self._options.is_requested:
            return Refreshed(held)
        summary = f"Loaded {held.entity_count} entities"
        now = clock_ms()
        status = replace(
            held,
            **facts,  # type: ignore[arg-type]
            last_refresh_time=now,
            last_refresh_summary=summary,
            entities_removed=0,
            duration_ms=self._elapsed_ms,
            updated_at=now,
        )
        self._shelf.writer.write_status(self._shelf.key, status)
        return Refreshed(self._told(status))

    def _replace(self, fetched: Fetched, fingerprint: str) -> Refreshed:
        shelf = self._shelf
        origin = Origin(
            commit_sha=fetched.commit_sha,
            job_id=self._options.job_id,
            confirm_removal=self._options.confirm_removal,
        )
        for attempt in range(1, _ATTEMPTS + 1):
            self._options.progress("reading")
            known = shelf.writer.read_known(shelf.key)
            job = self._read_job(fetched, known.hashes)
            batch = read_apart.read(self._plugin.name, self._plugin.kind, job, timeout_seconds=READ_TIMEOUT_SECONDS)
            _keep_missed(batch, fetched, known.hashes)
            shelf.at_step("read")
            self._options.check()
            self._options.progress("writing")
            status = self._status_of(batch, fetched, fingerprint)
            try:
                with shelf.open():
                    written = shelf.writer.replace_source(shelf.key, batch, status, origin, known)
                    return Refreshed(self._told(status.after(written.held, written.removed)), written.removed)
            except Conflict as error:
                if attempt == _ATTEMPTS or isinstance(error, Superseded):
                    raise
        raise AssertionError("unreachable")

    def _read_job(self, fetched: Fetched, known: dict[str, str]) -> ReadJob:
        source = self._source
        filtered = not self._fetcher.takes_globs(source)
        return ReadJob(
            source.id,
            tuple(SourceFile(file.shown, file.data) for file in fetched.files),
            source.included if filtered else (),
            (*source.excluded, *_legacy_excluded(source)) if filtered else (),
            known,
            self._fetcher.max_file_bytes,
        )

    def _status_of(self, batch: Batch, fetched: Fetched, fingerprint: str) -> SourceStatus:
        now = clock_ms()
        missed = [f"{one.names}: {one.reason}" for one in fetched.missed]
        problems = [*([f"items rejected: {batch.errors}"] if batch.errors else []), *missed]
        return SourceStatus(
            "partially-available" if missed else "available",
            fingerprint,
            last_refresh_time=now,
            last_refresh_status="success",
            last_error="; ".join(problems)[:2000] or None,
            definition=definition_digest(self._source),
            commit_sha=fetched.commit_sha,
            problems=tuple(batch.problems),
            duration_ms=self._elapsed_ms,
            updated_at=now,
        )

    def _disable(self) -> Refreshed:
        shelf = self._shelf
        with shelf.open():
            held = shelf.held
            if held is not None and held.state == "disabled":
                return Refreshed(held)
            status = SourceStatus("disabled", updated_at=clock_ms())
            written = shelf.writer.remove_source(shelf.key, status)
            return Refreshed(self._told(status), written.removed)

    def _fail(self, error: CatalogError) -> Refreshed:
        """Keep what is stored; say what is wrong. The same reason again is not written again, unless asked for."""
        error = self._prepared.shown(error) if self._prepared is not None else error
        with self._shelf.open():
            held = self._shelf.held
            is_same = held is not None and held.state == "error" and held.last_error == error.message
            definition = definition_digest(self._source)
            if held is not None and is_same and held.definition == definition and not self._options.is_requested:
                return Refreshed(held, error=error)
            status = self._error_status(held or SourceStatus("error"), error, definition)
            self._shelf.writer.write_status(self._shelf.key, status)
            return Refreshed(self._told(status), error=error)

    def _error_status(self, held: SourceStatus, error: CatalogError, definition: str) -> SourceStatus:
        now = clock_ms()
        return replace(
            held,
            state="error",
            fingerprint="",
            last_refresh_time=now,
            last_refresh_status="error",
            last_refresh_summary="Refresh failed",
            last_error=error.message,
            error_code=error.code if isinstance(error, Invalid) else None,
            definition=definition,
            problems=(),
            duration_ms=self._elapsed_ms,
            updated_at=now,
        )

    def _told(self, status: SourceStatus) -> SourceStatus:
        """The status that was just stored, made known."""
        self._shelf.statuses.put(self._shelf.key, status)
        (log.warning if status.state == "error" else log.info)(
            "source refreshed",
            state=status.state,
            entities=status.entity_count,
            problems=len(status.problems),
            reason=status.last_error,
            duration_ms=status.duration_ms,
            **_facts(self._plugin, self._source),
        )
        return status


def key_of(plugin: Plugin, source: Source) -> SourceKey:
    return SourceKey(Scope(source.namespace), plugin.name, plugin.kind.name, source.id)


def _facts(plugin: Plugin, source: Source) -> dict[str, str]:
    return {"namespace": source.namespace, "plugin": plugin.name, "source": source.id}


def _keep_missed(batch: Batch, fetched: Fetched, known: dict[str, str]) -> None:
    """What could not be fetched is neither new nor gone: its last good version stays."""
    if not fetched.missed:
        return
    missed = ItemFilter(tuple(one.names for one in fetched.missed))
    batch.rejected |= {name for name in known if name not in batch and missed.accepts(name)}
    for one in fetched.missed:
        batch.add_problem(Problem("warning", f"could not be fetched: {one.reason}", "", 0, None, one.names))


def _fingerprint(kind: Kind, source: Source, fetched: Fetched) -> str:
    """Of all that decides what a refresh stores: the files, the globs, and the code that reads them."""
    digest = hashlib.sha256(repr((__version__, kind.digest, source.type, source.included, source.excluded)).encode())
    digest.update(repr((_legacy_excluded(source), fetched.missed)).encode())
    for file in fetched.files:
        digest.update(b"\0%s\0" % file.shown.encode("utf-8", "surrogateescape"))
        digest.update(hashlib.sha256(file.data).digest())
    return digest.hexdigest()


def _legacy_excluded(source: Source) -> tuple[str, ...]:
    """Older model sources carry `excludedModels` inside their properties (spec http-api.md 2.5)."""
    given = source.properties.get("excludedModels", ())
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise Invalid("must be a list of text", field="properties.excludedModels", code="property_type")
    return tuple(given)
