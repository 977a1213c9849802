"""Writes what a source holds in one transaction: entities, children, change feed, generation and source status.

All or nothing; unchanged entities are not touched; an unchanged source costs no write (architecture.md 7).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catalog_server.catalog import sql
from catalog_server.catalog.records import Batch, Loaded
from catalog_server.catalog.status import SourceStatus
from catalog_server.clock import clock_ms
from catalog_server.db.engine import Connection, Engine, reading, writing
from catalog_server.errors import Conflict, Invalid
from catalog_server.schema.decode import ChildRecord
from catalog_server.scope import Scope
from catalog_server.sources.stores.replacing import AtStep, no_step

FEED_RETENTION_MS = 24 * 3600 * 1000
GUARDED_FROM = 20
"""A source that holds as many entities may not lose more than half of them at once without a confirmation."""


@dataclass(frozen=True, slots=True)
class SourceKey:
    """Which source, of which tenant."""

    scope: Scope
    plugin: str
    kind: str
    source_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What brought a batch here, for the provenance of what it changes; and whether it may remove most of a source."""

    commit_sha: str | None = None
    job_id: str | None = None
    confirm_removal: bool = False


_UNKNOWN_ORIGIN = Origin()


@dataclass(frozen=True, slots=True)
class Known:
    """What the store held of a source at one generation of its feed: name -> content hash."""

    generation: int
    hashes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Written:
    """What one write did. `generation` is None where nothing changed."""

    generation: int | None
    upserted: int
    removed: int
    held: int


class Writer:
    """The only writer of entities."""

    def __init__(self, engine: Engine, *, at_step: AtStep = no_step) -> None:
        self._engine = engine
        self._at_step = at_step

    def read_known(self, key: SourceKey) -> Known:
        """What the store holds of a source."""
        with reading(self._engine) as connection:
            generation = sql.read_generation(connection, key.scope, key.plugin)
            return Known(generation, sql.read_hashes(connection, key.scope, key.plugin, key.kind, key.source_id))

    def replace_source(
        self,
        key: SourceKey,
        batch: Batch,
        status: SourceStatus,
        origin: Origin = _UNKNOWN_ORIGIN,
        known: Known | None = None,
    ) -> Written:
        """Make the store hold exactly the batch (and the last good version of what was rejected).

        `known` is what the batch was compared with: where nothing was written since, it is not read again.

        Raises:
            Conflict: the store changed since the batch was compared with it; read and compare again.
            Invalid: the batch would remove too much (code `removal_refused`).
            Unavailable: the database is down; nothing was written.
        """
        with writing(self._engine) as connection:
            change = _Change(connection, key, origin)
            written = change.apply(batch, known)
            self._write_status(connection, key, status, written)
            self._at_step("written")  # and not yet committed
        return written

    def remove_source(self, key: SourceKey, status: SourceStatus | None) -> Written:
        """Delete all entities of a source; its status is replaced, or deleted where `status` is None."""
        with writing(self._engine) as connection:
            written = _Change(connection, key, Origin(confirm_removal=True)).apply(Batch())
            if status is None:
                sql.delete_status(connection, key.scope, key.plugin, key.source_id)
            else:
                self._write_status(connection, key, status, written)
        return written

    def write_status(self, key: SourceKey, status: SourceStatus) -> None:
        """Write the status alone: entities stay as they are."""
        with writing(self._engine) as connection:
            sql.write_status(connection, key.scope, key.plugin, key.source_id, _status_values(status))

    @staticmethod
    def _write_status(connection: Connection, key: SourceKey, status: SourceStatus, written: Written) -> None:
        values = _status_values(status.after(written.held, written.removed))
        sql.write_status(connection, key.scope, key.plugin, key.source_id, values)


def _status_values(status: SourceStatus) -> dict[str, Any]:
    values = asdict(status)
    values["problems"] = json.dumps([asdict(problem) for problem in status.problems], ensure_ascii=True)
    return values


class _Change:
    """One transaction's work on one source."""

    def __init__(self, connection: Connection, key: SourceKey, origin: Origin) -> None:
        self._connection = connection
        self._key = key
        self._origin = origin
        self._now = clock_ms()

    def apply(self, batch: Batch, known: Known | None = None) -> Written:
        connection, key = self._connection, self._key
        current = sql.lock_feed(connection, key.scope, key.plugin)
        if known is not None and known.generation == current:
            stored = known.hashes
        else:
            stored = sql.read_hashes(connection, key.scope, key.plugin, key.kind, key.source_id)
            _check_unchanged(batch, stored)
        changed = [one for one in batch.items.values() if stored.get(one.name) != one.content_hash]
        left = sorted(stored.keys() - batch.unchanged.keys())
        gone = [name for name in left if name not in batch.items and name not in batch.rejected]
        self._check_removal(len(stored), len(gone))
        held = len(batch) + sum(name in stored and name not in batch for name in batch.rejected)
        if not changed and not gone:
            return Written(None, 0, 0, held)
        generation = current + 1
        old = [*(one.name for one in changed if one.name in stored), *gone]
        items = sql.read_items(connection, key.scope, key.plugin, key.kind, key.source_id, old)
        removed = {name: items[name].id for name in gone}
        ids = self._write_entities(changed, items, generation)
        self._write_children(changed, items, ids)
        sql.delete_entities(connection, key.scope, key.plugin, list(removed.values()))
        self._append_feed(generation, ids, removed)
        sql.set_generation(connection, key.scope, key.plugin, generation)
        return Written(generation, len(changed), len(gone), held)

    def _check_removal(self, stored: int, gone: int) -> None:
        """A truncated file or an empty branch must not empty a catalog that people work with."""
        if stored >= GUARDED_FROM and gone * 2 > stored and not self._origin.confirm_removal:
            raise Invalid(
                f"the refresh would remove {gone} of {stored} entities, more than half: it was refused;"
                " if that is right, refresh the source with ?confirmRemoval=true",
                code="removal_refused",
            )

    def _write_entities(
        self, changed: Sequence[Loaded], stored: Mapping[str, sql.StoredItem], generation: int
    ) -> dict[str, int]:
        connection, key = self._connection, self._key
        new, old = [], []
        for one in changed:
            created, updated = one.record.times
            held = stored.get(one.name)
            values = {
                "document": one.record.document.decode(),
                "content_hash": one.content_hash,
                "origin": one.file,
                "line": one.line,
                "commit_sha": self._origin.commit_sha,
                "job_id": self._origin.job_id,
                "created_at": created or (held.created_at if held else self._now),
                "updated_at": updated or self._now,
                "generation": generation,
            }
            if held is not None:
                old.append({"entity_id": held.id, **values})
            else:
                new.append({"kind": key.kind, "source_id": key.source_id, "name": one.name, **values})
        sql.insert_entities(connection, key.scope, key.plugin, new)
        sql.update_entities(connection, key.scope, key.plugin, old)
        return sql.read_ids(connection, key.scope, key.plugin, generation=generation)

    def _write_children(
        self, changed: Sequence[Loaded], stored: Mapping[str, sql.StoredItem], ids: Mapping[str, int]
    ) -> None:
        """Children keep their id while they keep their place."""
        connection, scope, plugin = self._connection, self._key.scope, self._key.plugin
        wanted: dict[tuple[int, str, int], ChildRecord] = {}
        for one in changed:
            for position, child in enumerate(one.record.children):
                wanted[ids[one.name], child.kind, position] = child
        updated = [ids[one.name] for one in changed if one.name in stored]
        gone: list[int] = []
        for row in sql.read_children(connection, scope, plugin, updated):
            place = (row.entity_id, row.kind, row.position)
            if place not in wanted:
                gone.append(row.id)
                continue
            child = wanted.pop(place)
            values = self._child_values(child, row.created_at)
            if values["document"] != row.document or child.times != (None, None):
                sql.update_child(connection, scope, plugin, row.id, values)
        sql.delete_children(connection, scope, plugin, gone)
        sql.insert_children(
            connection,
            scope,
            plugin,
            [
                {
                    "entity_id": entity_id,
                    "kind": kind,
                    "position": position,
                    **self._child_values(child, self._now),
                }
                for (entity_id, kind, position), child in wanted.items()
            ],
        )

    def _child_values(self, child: ChildRecord, created_before: int) -> dict[str, Any]:
        created, updated = child.times
        return {
            "name": child.name,
            "document": child.document.decode(),
            "created_at": created or created_before,
            "updated_at": updated or self._now,
        }

    def _append_feed(self, generation: int, upserted: Mapping[str, int], deleted: Mapping[str, int]) -> None:
        connection, key = self._connection, self._key
        common = {
            "generation": generation,
            "kind": key.kind,
            "source_id": key.source_id,
            "changed_at": self._now,
        }
        rows = [
            {**common, "entity_id": entity_id, "operation": operation, "name": name}
            for operation, names in (("upsert", upserted), ("delete", deleted))
            for name, entity_id in names.items()
        ]
        sql.append_changes(connection, key.scope, key.plugin, rows)
        sql.prune_changes(connection, key.scope, key.plugin, before=self._now - FEED_RETENTION_MS)


def _check_unchanged(batch: Batch, stored: Mapping[str, str]) -> None:
    """What the reader took for stored must be so still. Raises Conflict."""
    for name, digest in batch.unchanged.items():
        if stored.get(name) != digest:
            raise Conflict(f"the stored content of {name!r} changed while its source was read")
