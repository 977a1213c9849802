"""Keeps every index in step with the store: builds them, applies deltas from the change feed, rebuilds on a gap.

One thread works here at a time; readers take finished snapshots from `Indexes` without a lock. A new snapshot is made
beside the old one and then swapped, so that a reader sees the state before a change or after it, never between.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog

from catalog_server.catalog import sql
from catalog_server.catalog.index.index import Changes, ChildRow, Index, Shape
from catalog_server.catalog.index.table import Row
from catalog_server.catalog.overlays import FIELD, overlay_of
from catalog_server.catalog.registry import Registry
from catalog_server.db.engine import Connection, Engine, reading
from catalog_server.errors import Unavailable
from catalog_server.schema.kind import ChildKind, Kind
from catalog_server.scope import Scope

# A delta that touches more than this, or more than half of the index, costs more than building anew.
_MAX_DELTA = 5000
# Dead positions, words and documents pile up with each change, and building anew drops them: after so many changes, or
# as many as one for so many entities of a larger index, whose building takes longer (25 us for each).
_MAX_CHANGES_SINCE_BUILD = 250
_ENTITIES_PER_CHANGE = 8
_FREEZE_FROM = 10_000

Overlaid = Mapping[tuple[str, str], bytes]
NO_OVERLAYS: Overlaid = {}

log = structlog.get_logger(__name__)


class Indexes:
    """The published snapshots by (namespace, plugin)."""

    def __init__(self, registry: Registry, directory: Path | None = None) -> None:
        self.shapes = {plugin.name: Shape.of(plugin.kind) for plugin in registry}
        self.directory = directory
        self._empty = {name: Index.build(shape, 0, (), {}) for name, shape in self.shapes.items()}
        self._held: dict[tuple[str, str], Index] = {}

    def get(self, scope: Scope, plugin: str) -> Index:
        """The index of one tenant's plugin; an empty one where nothing was ever loaded."""
        return self._held.get((scope.namespace, plugin)) or self._empty[plugin]

    def publish(self, scope: Scope, plugin: str, index: Index) -> None:
        self._held[scope.namespace, plugin] = index

    def all(self) -> Mapping[tuple[str, str], Index]:
        return dict(self._held)


class Follower:
    """Follows the change feed of all (namespace, plugin) pairs."""

    def __init__(self, engine: Engine, registry: Registry, indexes: Indexes) -> None:
        self._engine = engine
        self._registry = registry
        self._indexes = indexes
        self._lock = threading.Lock()
        self.looked_at: float | None = None
        """When the feed was last followed to its end, by time.monotonic(); None: never."""

    def catch_up(self) -> int:
        """Bring every index to the generation of the store; return how many changed.

        Raises:
            Unavailable: the database cannot be read; all indexes stay as they are.
        """
        with self._lock:
            began = time.monotonic()
            with reading(self._engine) as connection:
                feeds = sql.read_feeds(connection)
            changed = sum(self._follow(Scope(ns), plugin, state) for (ns, plugin), state in feeds.items())
            self.looked_at = began
            return changed

    def _follow(self, scope: Scope, plugin: str, state: sql.FeedState) -> bool:
        shape = self._indexes.shapes.get(plugin)
        if shape is None:  # rows of a plugin that is not installed any more
            return False
        held = self._indexes.get(scope, plugin)
        if held.generation == state.generation:
            return False
        with _collector_paused():
            with reading(self._engine) as connection:
                behind = _Behind(connection, scope, plugin, shape)
                must_build = held.generation < state.pruned_to or held.generation > state.generation
                if must_build or held.generation == 0 or behind.is_far(held):
                    index = behind.build(state.generation, self._indexes.directory)
                    log.info("index built", namespace=scope.namespace, plugin=plugin, entities=len(index.table))
                else:
                    index = behind.apply(held, state.generation)
            self._indexes.publish(scope, plugin, index)
            if len(index.table) >= _FREEZE_FROM:
                # Long-lived rows: the collector need not walk through millions of them again and again.
                gc.freeze()
        return True


class _Behind:
    """The work of bringing one index up to date, on one connection."""

    def __init__(self, connection: Connection, scope: Scope, plugin: str, shape: Shape) -> None:
        self._connection = connection
        self._scope = scope
        self._plugin = plugin
        self._shape = shape

    def is_far(self, held: Index) -> bool:
        """Whether building anew is the better way."""
        count = sql.count_entities(self._connection, self._scope, self._plugin, after_generation=held.generation)
        size = len(held.table)
        is_large = count > _MAX_DELTA or (count > 100 and count > size // 2)
        is_worn = held.changes_since_build + count > max(_MAX_CHANGES_SINCE_BUILD, size // _ENTITIES_PER_CHANGE)
        return is_large or is_worn

    def build(self, generation: int, directory: Path | None) -> Index:
        overlays = self.overlays()
        rows = (
            entity_row(self._shape.kind, row, overlays)
            for row in sql.read_entities(self._connection, self._scope, self._plugin)
        )
        return Index.build(self._shape, generation, rows, _Children(self), directory)

    def apply(self, held: Index, generation: int) -> Index:
        found = list(sql.read_entities(self._connection, self._scope, self._plugin, after_generation=held.generation))
        deleted = sql.read_deleted(self._connection, self._scope, self._plugin, after_generation=held.generation)
        overlays = self.overlays()
        upserts = [entity_row(self._shape.kind, row, overlays) for row in found]
        children = {
            child.collection: list(self.children(child, [row.id for row in found]))
            for child in self._shape.kind.children
        }
        return held.changed(generation, Changes(upserts, children, deleted))

    def children(self, child: ChildKind, entity_ids: list[int] | None = None) -> Iterator[ChildRow]:
        for row in sql.read_children(self._connection, self._scope, self._plugin, entity_ids):
            if row.kind == child.name:
                yield ChildRow(row.entity_id, child_row(child, row))

    def overlays(self) -> Overlaid:
        """(source id, name) -> the JSON of the overlay."""
        rows = sql.read_overlays(self._connection, self._scope, self._plugin, self._shape.kind.name)
        found = ((row, overlay_of(row)) for row in rows)
        return {(row.source_id, row.entity_name): overlay.document for row, overlay in found if not overlay.is_empty}

    @property
    def kinds_of_children(self) -> Mapping[str, ChildKind]:
        return {child.collection: child for child in self._shape.kind.children}


@contextmanager
def _collector_paused() -> Iterator[None]:
    """An index is millions of objects that all stay, and no cycles: looking for garbage would only cost time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Children(Mapping[str, Iterable[ChildRow]]):
    """Collection -> children, read when asked for: after the entities, on the same connection."""

    def __init__(self, behind: _Behind) -> None:
        self._behind = behind

    def __getitem__(self, collection: str) -> Iterable[ChildRow]:
        return self._behind.children(self._behind.kinds_of_children[collection])

    def __iter__(self) -> Iterator[str]:
        return iter(self._behind.kinds_of_children)

    def __len__(self) -> int:
        return len(self._behind.kinds_of_children)


def entity_row(kind: Kind, row: sql.EntityRow, overlays: Overlaid = NO_OVERLAYS) -> Row:
    """A stored entity as clients see it."""
    document = row.document
    if overlays and (overlay := overlays.get((row.source_id, row.name))) is not None:
        document = b'%b,"%b":%b}' % (document[:-1], FIELD.encode(), overlay)
    if kind.serves_id:
        document = serve(document, row.id, row.created_at, row.updated_at)
    return Row(row.id, row.name, row.source_id, row.created_at, row.updated_at, document)


def child_row(child: ChildKind, row: sql.ChildRow) -> Row:
    """A stored child as clients see it."""
    document = row.document.encode()
    if child.served:
        document = serve(document, row.id, row.created_at, row.updated_at)
    return Row(row.id, row.name, "", row.created_at, row.updated_at, document)


def serve(document: bytes, row_id: int, created: int, updated: int) -> bytes:
    """Put id and times into a finished JSON object."""
    return b'{"id":"%d",%s,"createTimeSinceEpoch":"%d","lastUpdateTimeSinceEpoch":"%d"}' % (
        row_id,
        document[1:-1],
        created,
        updated,
    )


def follow_until(
    stop: threading.Event, news: threading.Event, follower: Follower, *, seconds: float, after: Callable[[], object]
) -> None:
    """Catch up again and again until `stop` is set: at once when `news` is set. What is down is waited for."""
    was_down = False
    while True:
        news.wait(seconds)
        news.clear()  # before looking: what comes from now on is looked at once more
        if stop.is_set():
            return
        try:
            follower.catch_up()
            after()
            was_down = False
        except Unavailable as error:
            if not was_down:
                log.warning("cannot follow the change feed", reason=error.message)
            was_down = True
