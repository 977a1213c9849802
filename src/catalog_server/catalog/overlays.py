"""What operators add to an entity without touching its source: tags, annotations, a phase of life.

An overlay belongs to the source and the name of an entity, so it survives every refresh, and finds its entity again
when that comes back. A change of an overlay is a change of its entity: it goes through the change feed into the
index, and so into every answer, on every replica (spec http-api.md 4.7).
Not for: the actions that change overlays (actions.py), nor the states of governance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from catalog_server.catalog import sql
from catalog_server.catalog.writer import SourceKey
from catalog_server.clock import clock_ms
from catalog_server.db.engine import Connection, Engine, reading, writing
from catalog_server.errors import Invalid, NotFound

PHASES: Final = ("active", "deprecated", "retired", "draft")
MAX_TAGS: Final = 64
MAX_TAG_LENGTH: Final = 128
MAX_ANNOTATIONS: Final = 64
MAX_ANNOTATION_BYTES: Final = 16 * 1024
FIELD: Final = "overlay"
"""Where it stands in an entity's JSON."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """`phase` None: never said, which means active."""

    tags: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    phase: str | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What is set, by its names in JSON."""
        values = {"tags": list(self.tags), "annotations": self.annotations, "lifecyclePhase": self.phase}
        return {name: value for name, value in values.items() if value}

    @property
    def document(self) -> bytes:
        """The JSON of what is set."""
        return msgspec.json.encode(self.values)

    @property
    def is_empty(self) -> bool:
        return not self.tags and not self.annotations and self.phase is None

    def check(self) -> None:
        """Raises Invalid when it is larger than an overlay may be."""
        if len(self.tags) > MAX_TAGS or any(len(tag) > MAX_TAG_LENGTH for tag in self.tags):
            problem = f"at most {MAX_TAGS} tags of at most {MAX_TAG_LENGTH} characters"
            raise Invalid(problem, field="params.tags")
        size = len(json.dumps(dict(self.annotations), ensure_ascii=False).encode("utf-8", "replace"))
        if len(self.annotations) > MAX_ANNOTATIONS or size > MAX_ANNOTATION_BYTES:
            problem = f"at most {MAX_ANNOTATIONS} annotations, {MAX_ANNOTATION_BYTES} bytes together"
            raise Invalid(problem, field="params.annotations")


Record = Callable[[Connection, Overlay, Overlay], object]


def _no_record(connection: Connection, before: Overlay, after: Overlay) -> None:
    pass


class Overlays:
    """The writer of overlays. `after_write` makes a change visible to the next read of this process."""

    def __init__(self, engine: Engine, after_write: Callable[[], object]) -> None:
        self._engine = engine
        self._after_write = after_write

    def change(
        self, source: SourceKey, name: str, change: Callable[[Overlay], Overlay], record: Record = _no_record
    ) -> Overlay:
        """Change the overlay of one entity and return the new one. Changes of others at the same time are not lost.

        `record` is told of the overlay before and after, in the transaction of the change.

        Raises:
            NotFound: there is no such entity.
            Invalid: what `change` raises, or the result is too large.
            Unavailable: the database is down; nothing changed.
        """
        with writing(self._engine) as connection:
            generation = sql.lock_feed(connection, source.scope, source.plugin) + 1
            entity_id = sql.find_entity(connection, source.scope, source.plugin, source.kind, source.source_id, name)
            if entity_id is None:
                raise NotFound(f'entity "{name[:200]}" not found')
            uid = overlay_uid(source.source_id, name)
            row = sql.read_overlay(connection, source.scope, source.plugin, source.kind, uid)
            before = Overlay() if row is None else overlay_of(row)
            after = change(before)
            after.check()
            record(connection, before, after)
            if after == before:
                return after
            self._write(connection, source, name, after)
            sql.touch_entity(connection, source.scope, source.plugin, entity_id, generation)
            self._append(connection, source, name, entity_id, generation)
        self._after_write()
        return after

    def preview(self, source: SourceKey, name: str, change: Callable[[Overlay], Overlay]) -> Overlay:
        """What `change` would make of the overlay. Raises Invalid as it does, or Unavailable."""
        with reading(self._engine) as connection:
            uid = overlay_uid(source.source_id, name)
            row = sql.read_overlay(connection, source.scope, source.plugin, source.kind, uid)
        after = change(Overlay() if row is None else overlay_of(row))
        after.check()
        return after

    def read_provenance(self, source: SourceKey, name: str) -> sql.Provenance | None:
        """Where an entity was read from. Raises Unavailable."""
        with reading(self._engine) as connection:
            return sql.read_provenance(connection, source.scope, source.plugin, source.kind, source.source_id, name)

    @staticmethod
    def _write(connection: Connection, source: SourceKey, name: str, overlay: Overlay) -> None:
        values = {
            "entity_kind": source.kind,
            "entity_uid": overlay_uid(source.source_id, name),
            "source_id": source.source_id,
            "entity_name": name,
            "tags": json.dumps(overlay.tags),
            "annotations": json.dumps(dict(overlay.annotations)),
            "lifecycle_phase": overlay.phase,
            "updated_at": clock_ms(),
        }
        sql.write_overlay(connection, source.scope, source.plugin, values)

    @staticmethod
    def _append(connection: Connection, source: SourceKey, name: str, entity_id: int, generation: int) -> None:
        row = {
            "generation": generation,
            "entity_id": entity_id,
            "operation": "upsert",
            "kind": source.kind,
            "source_id": source.source_id,
            "name": name,
            "changed_at": clock_ms(),
        }
        sql.append_changes(connection, source.scope, source.plugin, [row])
        sql.set_generation(connection, source.scope, source.plugin, generation)


def overlay_uid(source_id: str, name: str) -> str:
    """The key of an overlay: a hash, since a name may be longer than a key of MySQL."""
    return hashlib.sha256(f"{source_id}\0{name}".encode()).hexdigest()


def overlay_of(row: sql.OverlayRow) -> Overlay:
    return Overlay(tuple(json.loads(row.tags)), json.loads(row.annotations), row.lifecycle_phase)
