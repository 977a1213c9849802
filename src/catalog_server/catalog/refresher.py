"""Refreshes sources: fetch, read, compare, write in one transaction. A failure keeps the last good set and says why.

One of the four doors where any exception is caught: whatever goes wrong with one source is its status, and nobody
else's trouble (architecture.md 9).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from catalog_server import __version__
from catalog_server.catalog import read_apart
from catalog_server.catalog.configuration import Files
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.records import Batch, ReadJob, SourceFile
from catalog_server.catalog.status import SourceStatus
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import SourceKey, Writer
from catalog_server.errors import CatalogError, Conflict, Invalid, Unavailable
from catalog_server.providers.base import Fetched, Provider
from catalog_server.schema.kind import Kind
from catalog_server.scope import Scope
from catalog_server.sources.config import Source
from catalog_server.sources.paths import Roots

READ_TIMEOUT_SECONDS = 300.0
_ATTEMPTS = 3

log = structlog.get_logger(__name__)


class Refresher:
    """Loads sources into the store. Safe to call from several threads; one source is refreshed by one at a time."""

    def __init__(
        self,
        *,
        writer: Writer,
        statuses: Statuses,
        providers: Mapping[str, Provider],
        roots: Roots,
        base: Path,
        max_file_bytes: int,
    ) -> None:
        self._writer = writer
        self._statuses = statuses
        self._providers = providers
        self._roots = roots
        self._base = base
        self._max_file_bytes = max_file_bytes
        self._locks: dict[SourceKey, threading.Lock] = {}

    def refresh(self, plugin: Plugin, source: Source) -> SourceStatus:
        """Load one source and return its new status. Raises only Unavailable, when the database is down."""
        key = key_of(plugin, source)
        with self._locks.setdefault(key, threading.Lock()):
            started = time.monotonic()
            held = self._statuses.get(key)
            try:
                status = self._refresh(key, plugin, source, held)
            except Unavailable:
                raise
            except CatalogError as error:
                status = self._fail(key, held, error.message)
            except Exception as error:  # door: the refresh of one source (architecture.md 9)
                log.exception("refresh failed unexpectedly", plugin=plugin.name, source=source.id)
                status = self._fail(key, held, f"internal error ({type(error).__name__}); the log has the details")
            if status is held:  # nothing to do, nothing to tell
                return status
            status = replace(status, duration_ms=int((time.monotonic() - started) * 1000))
            if status != held:
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
            return status

    def watched(self, source: Source) -> tuple[Path, ...]:
        """Local files that the source is made of."""
        provider = self._providers.get(source.type)
        if provider is None:
            return ()
        try:
            return provider.watched(source.properties, self._files(source))
        except Invalid:
            return ()

    def remove(self, key: SourceKey) -> None:
        """Forget a source that is no longer configured."""
        written = self._writer.remove_source(key, None)
        self._statuses.drop(key)
        log.info("source removed", plugin=key.plugin, source=key.source_id, entities=written.removed)

    def _refresh(self, key: SourceKey, plugin: Plugin, source: Source, held: SourceStatus | None) -> SourceStatus:
        if not source.enabled:
            return self._disable(key, held)
        provider = self._providers.get(source.type)
        if provider is None or source.type not in plugin.source_types:
            allowed = ", ".join(plugin.source_types)
            raise Invalid(f"source type {source.type!r} is not one that {plugin.name} takes: {allowed}", field="type")
        try:
            fetched = provider.fetch(source.properties, self._files(source))
        except Unavailable as error:  # of the source; only the database's own absence may stop everything
            raise Invalid(error.message) from error
        fingerprint = _fingerprint(plugin.kind, source, fetched)
        if held is not None and held.state == "available" and held.fingerprint == fingerprint:
            return held
        return self._load(key, plugin, source, fetched, fingerprint)

    def _load(self, key: SourceKey, plugin: Plugin, source: Source, fetched: Fetched, fingerprint: str) -> SourceStatus:
        for attempt in range(1, _ATTEMPTS + 1):
            known = self._writer.read_known(key)
            job = ReadJob(
                source.id,
                tuple(SourceFile(file.shown, file.data) for file in fetched.files),
                source.included,
                (*source.excluded, *_legacy_excluded(source)),
                known,
                self._max_file_bytes,
            )
            batch = read_apart.read(plugin.name, plugin.kind, job, timeout_seconds=READ_TIMEOUT_SECONDS)
            status = _status_of(batch, fingerprint)
            try:
                written = self._writer.replace_source(key, batch, status, commit_sha=fetched.commit_sha)
            except Conflict:
                if attempt == _ATTEMPTS:
                    raise
                continue
            status = status.after(written.held, written.removed)
            self._statuses.put(key, status)
            return status
        raise AssertionError("unreachable")

    def _disable(self, key: SourceKey, held: SourceStatus | None) -> SourceStatus:
        if held is not None and held.state == "disabled":
            return held
        status = SourceStatus("disabled", updated_at=_now())
        self._writer.remove_source(key, status)
        self._statuses.put(key, status)
        return status

    def _fail(self, key: SourceKey, held: SourceStatus | None, reason: str) -> SourceStatus:
        """Keep what is stored; say what is wrong. The same reason again is not written again."""
        if held is not None and held.state == "error" and held.last_error == reason:
            return held
        now = _now()
        status = replace(
            held or SourceStatus("error"),
            state="error",
            fingerprint="",
            last_refresh_time=now,
            last_refresh_status="error",
            last_refresh_summary="Refresh failed",
            last_error=reason,
            problems=(),
            updated_at=now,
        )
        self._writer.write_status(key, status)
        self._statuses.put(key, status)
        return status

    def _files(self, source: Source) -> Files:
        return Files(self._roots, source.origin, self._base, self._max_file_bytes)


def key_of(plugin: Plugin, source: Source) -> SourceKey:
    return SourceKey(Scope(source.namespace), plugin.name, plugin.kind.name, source.id)


def _status_of(batch: Batch, fingerprint: str) -> SourceStatus:
    now = _now()
    return SourceStatus(
        "available",
        fingerprint,
        last_refresh_time=now,
        last_refresh_status="success",
        last_error=f"items rejected: {batch.errors}" if batch.errors else None,
        problems=tuple(batch.problems),
        updated_at=now,
    )


def _fingerprint(kind: Kind, source: Source, fetched: Fetched) -> str:
    """Of all that decides what a refresh stores: the files, the globs, and the code that reads them."""
    digest = hashlib.sha256(repr((__version__, kind.digest, source.type, source.included, source.excluded)).encode())
    digest.update(repr(_legacy_excluded(source)).encode())
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
