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
from catalog_server.errors import CatalogError, Conflict, Invalid, NotFound, Unavailable
from catalog_server.providers.base import Fetched
from catalog_server.schema.kind import Kind
from catalog_server.scope import Scope
from catalog_server.sources.config import Source, definition_digest
from catalog_server.sources.globs import ItemFilter
from catalog_server.sources.secrets import mask

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
    patience_seconds: float = -1
    """How long to wait for another refresh of the same source to end; -1: as long as it takes."""


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


class Busy(Unavailable):
    """The source is being refreshed by somebody else, and not done with in the time that the caller has."""


Configured = Callable[[Plugin, Source], Source | None]


class Refresher:
    """Loads sources into the store. Safe to call from several threads; one source is refreshed by one at a time.

    `configured` gives a source as it is in force now: who waited for another refresh to end may hold an old one, and
    must not bring back what was deleted, disabled or pointed elsewhere meanwhile.
    """

    def __init__(self, *, writer: Writer, statuses: Statuses, fetcher: Fetcher, configured: Configured) -> None:
        self._writer = writer
        self._statuses = statuses
        self._fetcher = fetcher
        self._configured = configured
        self._locks: dict[SourceKey, threading.Lock] = {}

    def refresh(self, plugin: Plugin, source: Source, options: RefreshOptions = DEFAULT_OPTIONS) -> Refreshed:
        """Load one source.

        Raises:
            NotFound: it is configured no more.
            Busy: it is being refreshed, for longer than `options.patience_seconds`.
            Unavailable: the database is down. Also what `options.check` raises.
        """
        key = key_of(plugin, source)
        with self._only_one(key, options.patience_seconds):
            current = self._configured(plugin, source)
            if current is None:
                raise NotFound(f'source "{source.id}" is configured no more')
            source = current
            held = self._statuses.get(key)
            done = _Refresh(self._writer, self._fetcher, plugin, source, held, options).run()
            if done.status is not held:  # else there was nothing to do, and is nothing to tell
                self._statuses.put(key, done.status)
                _log(plugin, source, done.status)
            return done

    def remove(self, key: SourceKey, *, patience_seconds: float = -1) -> Written:
        """Forget a source that is no longer configured. Raises Busy, or Unavailable."""
        with self._only_one(key, patience_seconds):
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

    @contextmanager
    def _only_one(self, key: SourceKey, patience_seconds: float) -> Iterator[None]:
        lock = self._locks.setdefault(key, threading.Lock())
        if not lock.acquire(timeout=patience_seconds):
            raise Busy(f'source "{key.source_id}" is being refreshed; the change is taken up as soon as that is over')
        try:
            yield
        finally:
            lock.release()


class _Refresh:
    """One refresh of one source."""

    def __init__(
        self,
        writer: Writer,
        fetcher: Fetcher,
        plugin: Plugin,
        source: Source,
        held: SourceStatus | None,
        options: RefreshOptions,
    ) -> None:
        self._writer = writer
        self._fetcher = fetcher
        self._plugin = plugin
        self._source = source
        self._held = held
        self._options = options
        self._key = key_of(plugin, source)
        self._prepared: Prepared | None = None
        self._started = time.monotonic()

    @property
    def _elapsed_ms(self) -> int:
        return int((time.monotonic() - self._started) * 1000)

    def run(self) -> Refreshed:
        try:
            return self._load()
        except Unreachable as error:
            return self._fail(error)
        except Unavailable:  # of the database: only that may stop everything
            raise
        except CatalogError as error:
            return self._fail(error)
        except Exception as error:  # noqa: BLE001 - door: the refresh of one source (architecture.md 9)
            secrets = self._prepared.secrets if self._prepared is not None else ()
            log.error(
                "refresh failed unexpectedly",
                namespace=self._source.namespace,
                plugin=self._plugin.name,
                source=self._source.id,
                traceback=mask(traceback.format_exc(), secrets),
            )
            return self._fail(Invalid(f"internal error ({type(error).__name__}); the log has the details"))

    def _load(self) -> Refreshed:
        if not self._source.enabled:
            return self._disable()
        self._prepared = self._fetcher.prepare(self._plugin, self._source)
        self._options.progress("fetching")
        fetched = self._prepared.fetch(self._options.check)
        self._options.check()
        fingerprint = _fingerprint(self._plugin.kind, self._source, fetched)
        if self._is_loaded(fingerprint):
            return self._unchanged(fetched)
        return self._replace(fetched, fingerprint)

    def _is_loaded(self, fingerprint: str) -> bool:
        return self._held is not None and self._held.state in SERVING and self._held.fingerprint == fingerprint

    def _unchanged(self, fetched: Fetched) -> Refreshed:
        held = self._held
        assert held is not None
        facts = {"commit_sha": fetched.commit_sha, "definition": definition_digest(self._source)}
        is_news = any(getattr(held, name) != value for name, value in facts.items())
        if not is_news and not self._options.is_requested:
            return Refreshed(held)
        summary = f"Loaded {held.entity_count} entities"
        now = _now()
        status = replace(
            held,
            **facts,  # type: ignore[arg-type]
            last_refresh_time=now,
            last_refresh_summary=summary,
            entities_removed=0,
            duration_ms=self._elapsed_ms,
            updated_at=now,
        )
        self._writer.write_status(self._key, status)
        return Refreshed(status)

    def _replace(self, fetched: Fetched, fingerprint: str) -> Refreshed:
        origin = Origin(
            commit_sha=fetched.commit_sha,
            job_id=self._options.job_id,
            confirm_removal=self._options.confirm_removal,
        )
        for attempt in range(1, _ATTEMPTS + 1):
            self._options.progress("reading")
            known = self._writer.read_known(self._key)
            job = self._read_job(fetched, known)
            batch = read_apart.read(self._plugin.name, self._plugin.kind, job, timeout_seconds=READ_TIMEOUT_SECONDS)
            _keep_missed(batch, fetched, known)
            self._options.check()
            self._options.progress("writing")
            status = self._status_of(batch, fetched, fingerprint)
            try:
                written = self._writer.replace_source(self._key, batch, status, origin)
            except Conflict:
                if attempt == _ATTEMPTS:
                    raise
                continue
            return Refreshed(status.after(written.held, written.removed), written.removed)
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
        now = _now()
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
        held = self._held
        if held is not None and held.state == "disabled":
            return Refreshed(held)
        status = SourceStatus("disabled", updated_at=_now())
        written = self._writer.remove_source(self._key, status)
        return Refreshed(status, written.removed)

    def _fail(self, error: CatalogError) -> Refreshed:
        """Keep what is stored; say what is wrong. The same reason again is not written again, unless asked for."""
        error = self._prepared.shown(error) if self._prepared is not None else error
        held = self._held
        is_same = held is not None and held.state == "error" and held.last_error == error.message
        definition = definition_digest(self._source)
        if held is not None and is_same and held.definition == definition and not self._options.is_requested:
            return Refreshed(held, error=error)
        now = _now()
        status = replace(
            held or SourceStatus("error"),
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
        self._writer.write_status(self._key, status)
        return Refreshed(status, error=error)


def key_of(plugin: Plugin, source: Source) -> SourceKey:
    return SourceKey(Scope(source.namespace), plugin.name, plugin.kind.name, source.id)


def _log(plugin: Plugin, source: Source, status: SourceStatus) -> None:
    (log.warning if status.state == "error" else log.info)(
        "source refreshed",
        namespace=source.namespace,
        plugin=plugin.name,
        source=source.id,
        state=status.state,
        entities=status.entity_count,
        problems=len(status.problems),
        reason=status.last_error,
        duration_ms=status.duration_ms,
    )


def _keep_missed(batch: Batch, fetched: Fetched, known: dict[str, str]) -> None:
    """What could not be fetched is neither new nor gone: its last good version stays."""
    if not fetched.missed:
        return
    missed = ItemFilter(tuple(one.names for one in fetched.missed))
    batch.rejected |= {name for name in known if name not in batch.items and missed.accepts(name)}
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


def _now() -> int:
    return int(time.time() * 1000)
