"""The states of all sources as this process knows them: written by refreshes, followed from the store."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from catalog_server.catalog import sql
from catalog_server.catalog.records import Problem
from catalog_server.catalog.registry import Registry
from catalog_server.catalog.status import SourceStatus
from catalog_server.catalog.writer import SourceKey
from catalog_server.db.engine import Engine, reading
from catalog_server.scope import Scope


class Statuses:
    """Source -> status. A plain dict underneath: single reads of one are atomic."""

    def __init__(self, engine: Engine, registry: Registry) -> None:
        self._engine = engine
        self._registry = registry
        self._held: dict[SourceKey, SourceStatus] = {}
        self._lock = threading.Lock()
        self._following = threading.Lock()
        self._touched: set[SourceKey] = set()
        """What was put or dropped since the store was last asked: what it answered then may be older."""

    def get(self, key: SourceKey) -> SourceStatus | None:
        return self._held.get(key)

    def all(self) -> Mapping[SourceKey, SourceStatus]:
        return dict(self._held)

    def put(self, key: SourceKey, status: SourceStatus) -> None:
        with self._lock:
            self._touched.add(key)
            self._held[key] = status

    def drop(self, key: SourceKey) -> None:
        with self._lock:
            self._touched.add(key)
            self._held.pop(key, None)

    def follow(self) -> None:
        """Read all from the store.

        Raises:
            Unavailable: the database cannot be read; what is known stays.
        """
        with self._following:
            with self._lock:
                self._touched.clear()
            with reading(self._engine) as connection:
                rows = sql.read_statuses(connection)
            found = {key: _status(row) for row in rows if (key := self._key(row)) is not None}
            with self._lock:
                newer = {key: self._held.get(key) for key in self._touched}
                known = {key: status for key, status in found.items() if key not in newer}
                self._held = known | {key: status for key, status in newer.items() if status is not None}

    def _key(self, row: Mapping[str, Any]) -> SourceKey | None:
        plugin = self._registry.get(row["plugin_name"])
        if plugin is None:
            return None
        return SourceKey(Scope(row["namespace"]), plugin.name, plugin.kind.name, row["source_id"])


def _status(row: Mapping[str, Any]) -> SourceStatus:
    values = {name: row[name] for name in SourceStatus.__dataclass_fields__}
    values["problems"] = tuple(Problem(**problem) for problem in json.loads(row["problems"]))
    return SourceStatus(**values)
