"""The `http` provider: one YAML or JSON document behind a URL (spec plugins.md 3.4).

A fetch asks on condition that the document has changed since the last one, and keeps what it gets for the next.
`http_source.py` says what a source may ask for, `http_client.py` how it is asked, `http_guard.py` who may be asked at
all, and `http_cache.py` what is kept. The guard and the modules for target, connection and body serve the `hf` provider
as well.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from catalog_server.providers.base import Fetched, FetchedFile, FileAccess
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.http_cache import HTTPCache
from catalog_server.providers.http_client import HTTPClient, HTTPLimits
from catalog_server.providers.http_connection import Connector
from catalog_server.providers.http_guard import AddressGuard, Network, Resolve, resolve_host
from catalog_server.providers.http_source import HTTPSource, http_sync_interval, read_http_source

__all__ = ["HTTPLimits", "HTTPProvider"]


class HTTPProvider:
    """Safe to call from several threads and processes that share `cache`, a folder of which nothing else is used.

    `allowed_networks` may be reached although they are private or otherwise special.
    """

    is_remote = True
    takes_globs = False

    def __init__(
        self,
        cache: Path,
        limits: HTTPLimits | None = None,
        *,
        allowed_networks: Collection[Network] = (),
        resolve: Resolve = resolve_host,
    ) -> None:
        self._limits = limits or HTTPLimits()
        self._cache = HTTPCache(cache.absolute(), self._limits.cache_bytes)
        self._guard = AddressGuard(allowed_networks, resolve)
        self._connector = Connector(self._guard)
        self._client = HTTPClient(self._connector, self._limits, random.random)

    def check(self, properties: Mapping[str, Any], files: FileAccess) -> None:
        self._connector.tls_context(self._read(properties, files).tls)

    def fetch(self, properties: Mapping[str, Any], files: FileAccess) -> Fetched:
        source = self._read(properties, files)
        deadline = Deadline.after(source.timeout_seconds, files.check)
        key = source.identity
        known = self._cache.read(key, source.max_bytes)
        entry = self._client.get(source, known, deadline)
        if entry is not known:
            if entry.etag or entry.last_modified:
                self._cache.write(key, entry)
            else:
                self._cache.drop(key)
        return Fetched((FetchedFile(source.target.shown, entry.body),))

    def watched(self, properties: Mapping[str, Any], files: FileAccess) -> tuple[Path, ...]:
        return ()

    def sync_interval(self, properties: Mapping[str, Any]) -> timedelta | None:
        return http_sync_interval(properties)

    def _read(self, properties: Mapping[str, Any], files: FileAccess) -> HTTPSource:
        source = read_http_source(
            properties, files, max_bytes=self._limits.max_bytes, timeout_seconds=self._limits.timeout_seconds
        )
        self._guard.check_literal(source.target)
        return source
