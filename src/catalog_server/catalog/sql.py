"""Statements on the entity store, its change feed and the refresh status. Every one takes the scope it works in.

Returns frozen values, never rows that still talk to the database; tuples where there are many of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from catalog_server.db.dialects import insert_ignore, stream_rows, upsert, utf8
from catalog_server.db.news import tell_news
from catalog_server.db.tables import (
    changes,
    entities,
    entity_children,
    generations,
    overlays,
    refresh_status,
)
from catalog_server.scope import Scope

T = TypeVar("T")

_CHUNK = 500


# Row by row SQLAlchemy would work longer, and all rows at once in one go: either way readers wait for the interpreter.
_ROWS_AT_ONCE: Final = 250


class StoredItem(NamedTuple):
    """What who changes or removes an entity needs to know of it."""

    id: int
    created_at: int


class EntityRow(NamedTuple):
    """One stored entity. Its document is UTF-8, as it is served."""

    id: int
    source_id: str
    name: str
    document: bytes
    created_at: int
    updated_at: int


class ChildRow(NamedTuple):
    """One stored child."""

    id: int
    entity_id: int
    kind: str
    position: int
    name: str
    document: str
    created_at: int
    updated_at: int


class OverlayRow(NamedTuple):
    """One stored overlay. Tags and annotations are JSON."""

    source_id: str
    entity_name: str
    tags: str
    annotations: str
    lifecycle_phase: str | None


class Provenance(NamedTuple):
    """Where an entity was read from."""

    origin: str
    line: int
    commit_sha: str | None
    job_id: str | None


@dataclass(frozen=True, slots=True)
class FeedState:
    """Where the feed of one (namespace, plugin) stands."""

    generation: int
    pruned_to: int


_CHILD = (
    entity_children.c.id,
    entity_children.c.entity_id,
    entity_children.c.kind,
    entity_children.c.position,
    entity_children.c.name,
    entity_children.c.document,
    entity_children.c.created_at,
    entity_children.c.updated_at,
)


def _own(table: Any, scope: Scope, plugin: str) -> tuple[Any, Any]:
    return table.c.namespace == scope.namespace, table.c.plugin == plugin


def _of_source(scope: Scope, plugin: str, kind: str, source_id: str) -> tuple[Any, ...]:
    """Entities of one source. The kind is there for the unique index, whose part it is."""
    return *_own(entities, scope, plugin), entities.c.kind == kind, entities.c.source_id == source_id


# --- reading ---------------------------------------------------------------------------------------------------------


def read_hashes(connection: Connection, scope: Scope, plugin: str, kind: str, source_id: str) -> dict[str, str]:
    """The names of the stored entities of one source, and the hashes of their contents."""
    query = select(entities.c.name, entities.c.content_hash).where(*_of_source(scope, plugin, kind, source_id))
    found = connection.execute(query)
    return {name: digest for rows in found.partitions(_ROWS_AT_ONCE) for name, digest in rows}


def read_items(
    connection: Connection, scope: Scope, plugin: str, kind: str, source_id: str, names: Sequence[str]
) -> dict[str, StoredItem]:
    """Those of these names of the stored entities of one source."""
    own = _of_source(scope, plugin, kind, source_id)
    query = select(entities.c.name, entities.c.id, entities.c.created_at).where(*own)
    found = (connection.execute(query.where(entities.c.name.in_(chunk))) for chunk in _chunks(names))
    return {name: StoredItem(row_id, created) for rows in found for name, row_id, created in rows}


def read_generation(connection: Connection, scope: Scope, plugin: str) -> int:
    """Of one feed; 0 where nothing was written yet."""
    query = select(generations.c.generation).where(*_own(generations, scope, plugin))
    return int(connection.execute(query).scalar_one_or_none() or 0)


def read_feeds(connection: Connection) -> dict[tuple[str, str], FeedState]:
    """All feeds of all namespaces: only the follower, which keeps every index in step, may ask for that."""
    found = connection.execute(select(generations))
    return {(row.namespace, row.plugin): FeedState(row.generation, row.pruned_to) for row in found}


def read_entities(
    connection: Connection, scope: Scope, plugin: str, *, after_generation: int = 0
) -> Iterator[EntityRow]:
    """Entities that changed after a generation (0: all), streamed in no particular order: sorting them would make
    SQLite copy every document first."""
    own = entities.c
    columns = (own.id, own.source_id, own.name, utf8(connection, own.document), own.created_at, own.updated_at)
    query = select(*columns).where(*_own(entities, scope, plugin))
    if after_generation:
        query = query.where(entities.c.generation > after_generation)
    yield from map(EntityRow._make, stream_rows(connection, query))


def read_children(
    connection: Connection, scope: Scope, plugin: str, entity_ids: Sequence[int] | None = None
) -> Iterator[ChildRow]:
    """Children of the given entities (None: of all), in order of id."""
    query = select(*_CHILD).where(*_own(entity_children, scope, plugin)).order_by(entity_children.c.id)
    if entity_ids is None:
        yield from map(ChildRow._make, stream_rows(connection, query))
        return
    for chunk in _chunks(entity_ids):
        yield from (ChildRow(*row) for row in connection.execute(query.where(entity_children.c.entity_id.in_(chunk))))


def count_entities(connection: Connection, scope: Scope, plugin: str, *, after_generation: int) -> int:
    """How many entities changed after a generation."""
    query = (
        select(func.count())
        .select_from(entities)
        .where(*_own(entities, scope, plugin), entities.c.generation > after_generation)
    )
    return int(connection.execute(query).scalar_one())


def read_deleted(connection: Connection, scope: Scope, plugin: str, *, after_generation: int) -> list[int]:
    """Ids of the entities that were deleted after a generation."""
    query = select(changes.c.entity_id).where(
        *_own(changes, scope, plugin), changes.c.generation > after_generation, changes.c.operation == "delete"
    )
    return [int(entity_id) for (entity_id,) in connection.execute(query)]


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


# --- writing ---------------------------------------------------------------------------------------------------------


def lock_feed(connection: Connection, scope: Scope, plugin: str) -> int:
    """Keep other writers of this (namespace, plugin) out until the transaction ends; return its generation."""
    row = {"namespace": scope.namespace, "plugin": plugin, "generation": 0, "pruned_to": 0}
    connection.execute(insert_ignore(connection, generations, [row]))
    query = select(generations.c.generation).where(*_own(generations, scope, plugin)).with_for_update()
    return int(connection.execute(query).scalar_one())


def set_generation(connection: Connection, scope: Scope, plugin: str, generation: int) -> None:
    connection.execute(update(generations).where(*_own(generations, scope, plugin)).values(generation=generation))
    tell_news(connection)


def insert_entities(connection: Connection, scope: Scope, plugin: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows hold all columns but id, namespace and plugin."""
    owned = [{**row, "namespace": scope.namespace, "plugin": plugin} for row in rows]
    if owned:
        connection.execute(insert(entities), owned)


def update_entities(connection: Connection, scope: Scope, plugin: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows hold `entity_id` and the columns to change."""
    if not rows:
        return
    values: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "entity_id"}
    statement = update(entities).where(*_own(entities, scope, plugin), entities.c.id == bindparam("entity_id"))
    connection.execute(statement.values(values), [dict(row) for row in rows])


def delete_entities(connection: Connection, scope: Scope, plugin: str, ids: Sequence[int]) -> None:
    """Their children go with them, by the foreign key."""
    for chunk in _chunks(ids):
        connection.execute(delete(entities).where(*_own(entities, scope, plugin), entities.c.id.in_(chunk)))


def read_ids(connection: Connection, scope: Scope, plugin: str, *, generation: int) -> dict[str, int]:
    """Name -> id of what one generation wrote. (One generation is the work of one source.)"""
    query = select(entities.c.name, entities.c.id).where(
        *_own(entities, scope, plugin), entities.c.generation == generation
    )
    return {name: int(entity_id) for name, entity_id in connection.execute(query)}


def insert_children(connection: Connection, scope: Scope, plugin: str, rows: Sequence[Mapping[str, Any]]) -> None:
    owned = [{**row, "namespace": scope.namespace, "plugin": plugin} for row in rows]
    if owned:
        connection.execute(insert(entity_children), owned)


def update_child(connection: Connection, scope: Scope, plugin: str, child_id: int, values: Mapping[str, Any]) -> None:
    connection.execute(
        update(entity_children)
        .where(*_own(entity_children, scope, plugin), entity_children.c.id == child_id)
        .values(**values)
    )


def delete_children(connection: Connection, scope: Scope, plugin: str, ids: Sequence[int]) -> None:
    for chunk in _chunks(ids):
        connection.execute(
            delete(entity_children).where(*_own(entity_children, scope, plugin), entity_children.c.id.in_(chunk))
        )


def append_changes(connection: Connection, scope: Scope, plugin: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows hold generation, entity_id, operation, kind, source_id, name, changed_at."""
    owned = [{**row, "namespace": scope.namespace, "plugin": plugin} for row in rows]
    if owned:
        connection.execute(insert(changes), owned)


def prune_changes(connection: Connection, scope: Scope, plugin: str, *, before: int) -> None:
    """Forget changes older than `before` (ms), and remember up to which generation that was."""
    old = (*_own(changes, scope, plugin), changes.c.changed_at < before)
    newest = connection.execute(select(func.max(changes.c.generation)).where(*old)).scalar()
    if newest is None:
        return
    connection.execute(delete(changes).where(*_own(changes, scope, plugin), changes.c.generation <= newest))
    connection.execute(update(generations).where(*_own(generations, scope, plugin)).values(pruned_to=newest))


# --- overlays and provenance -----------------------------------------------------------------------------------------

_OVERLAY = (
    overlays.c.source_id,
    overlays.c.entity_name,
    overlays.c.tags,
    overlays.c.annotations,
    overlays.c.lifecycle_phase,
)


def _of_plugin(scope: Scope, plugin: str, kind: str) -> tuple[Any, Any, Any]:
    of_plugin = overlays.c.plugin_name == plugin
    return overlays.c.namespace == scope.namespace, of_plugin, overlays.c.entity_kind == kind


def read_overlays(connection: Connection, scope: Scope, plugin: str, kind: str) -> list[OverlayRow]:
    """All overlays of a plugin's entities: as many as people have made by hand."""
    found = connection.execute(select(*_OVERLAY).where(*_of_plugin(scope, plugin, kind)))
    return [OverlayRow(*row) for row in found]


def read_overlay(connection: Connection, scope: Scope, plugin: str, kind: str, uid: str) -> OverlayRow | None:
    query = select(*_OVERLAY).where(*_of_plugin(scope, plugin, kind), overlays.c.entity_uid == uid)
    row = connection.execute(query).one_or_none()
    return None if row is None else OverlayRow(*row)


def write_overlay(connection: Connection, scope: Scope, plugin: str, values: Mapping[str, Any]) -> None:
    connection.execute(upsert(connection, overlays, {"namespace": scope.namespace, "plugin_name": plugin, **values}))


def _named(scope: Scope, plugin: str, kind: str, source_id: str, name: str) -> tuple[Any, ...]:
    return *_of_source(scope, plugin, kind, source_id), entities.c.name == name


def find_entity(connection: Connection, scope: Scope, plugin: str, kind: str, source_id: str, name: str) -> int | None:
    """The id of one entity."""
    query = select(entities.c.id).where(*_named(scope, plugin, kind, source_id, name))
    return connection.execute(query).scalar_one_or_none()


def touch_entity(connection: Connection, scope: Scope, plugin: str, entity_id: int, generation: int) -> None:
    """Let followers of the feed read an entity anew."""
    connection.execute(
        update(entities).where(*_own(entities, scope, plugin), entities.c.id == entity_id).values(generation=generation)
    )


def read_provenance(
    connection: Connection, scope: Scope, plugin: str, kind: str, source_id: str, name: str
) -> Provenance | None:
    columns = (entities.c.origin, entities.c.line, entities.c.commit_sha, entities.c.job_id)
    row = connection.execute(select(*columns).where(*_named(scope, plugin, kind, source_id, name))).one_or_none()
    return None if row is None else Provenance(*row)


# --- refresh status --------------------------------------------------------------------------------------------------


def read_statuses(connection: Connection) -> list[Mapping[str, Any]]:
    """All rows of all namespaces: for the process's own picture, never for a client as they are."""
    return [dict(row._mapping) for row in connection.execute(select(refresh_status))]


def write_status(connection: Connection, scope: Scope, plugin: str, source_id: str, values: Mapping[str, Any]) -> None:
    row = {"namespace": scope.namespace, "plugin_name": plugin, "source_id": source_id, **values}
    connection.execute(upsert(connection, refresh_status, row))
    tell_news(connection)


def delete_status(connection: Connection, scope: Scope, plugin: str, source_id: str) -> None:
    connection.execute(
        delete(refresh_status).where(
            refresh_status.c.namespace == scope.namespace,
            refresh_status.c.plugin_name == plugin,
            refresh_status.c.source_id == source_id,
        )
    )
    tell_news(connection)


def read_source_ids(connection: Connection) -> set[tuple[str, str, str]]:
    """(namespace, plugin, source) of everything stored, to find sources that vanished from the configuration."""
    query = select(entities.c.namespace, entities.c.plugin, entities.c.source_id).distinct()
    held = {(ns, plugin, source) for ns, plugin, source in connection.execute(query)}
    status = select(refresh_status.c.namespace, refresh_status.c.plugin_name, refresh_status.c.source_id)
    return held | {(ns, plugin, source) for ns, plugin, source in connection.execute(status)}
