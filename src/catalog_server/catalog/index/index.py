"""Index: the entities of one (namespace, plugin) and their children, as one snapshot."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pyroaring import BitMap

from catalog_server.catalog.index.layout import (
    CUSTOM,
    ID,
    NAME,
    ORDERS,
    SOURCE,
    Layout,
    child_layout,
    kind_layout,
)
from catalog_server.catalog.index.names import KindNames, TableNames
from catalog_server.catalog.index.numbers import to_positions
from catalog_server.catalog.index.table import Row, Table
from catalog_server.catalog.index.terms import Terms, TermsBuilder
from catalog_server.query.checker import Resolved
from catalog_server.schema.kind import Kind


@dataclass(frozen=True, slots=True)
class ChildRow:
    """A child as the index takes it: a row, and the id of its entity."""

    entity_id: int
    row: Row


@dataclass(frozen=True, slots=True)
class Changes:
    """What a change brings: new or changed entities with all their children, and ids of entities that are gone."""

    upserts: Sequence[Row]
    children: Mapping[str, Sequence[ChildRow]]
    deletes: Sequence[int]


@dataclass(frozen=True)
class Shape:
    """What an index derives from its kind; made once and shared by all snapshots of all namespaces."""

    kind: Kind
    layout: Layout
    child_layouts: Mapping[str, Layout]

    @classmethod
    def of(cls, kind: Kind) -> Shape:
        return cls(kind, kind_layout(kind), {child.collection: child_layout(child) for child in kind.children})


@dataclass(frozen=True)
class ChildTable:
    """The children of one collection. `parents[position]` is the entity's position."""

    table: Table
    parents: array[int]

    def of(self, parent: int) -> BitMap:
        """Positions of one entity's children."""
        return BitMap(self._by_parent.get(parent, ()))

    def parents_of(self, positions: BitMap) -> BitMap:
        parents = self.parents
        return BitMap([parents[position] for position in to_positions(positions).tolist()])

    @cached_property
    def _by_parent(self) -> dict[int, list[int]]:
        held: dict[int, list[int]] = {}
        for position in self.table.live:
            held.setdefault(self.parents[position], []).append(position)
        return held


class Checked(NamedTuple):
    """A filter whose names and types are right, and whether it has to look into documents."""

    filter: Resolved
    reads_documents: bool


class Index:
    """A snapshot of one (namespace, plugin). `generation` is the change feed's number that it stands at."""

    def __init__(
        self, shape: Shape, generation: int, table: Table, words: Terms, children: Mapping[str, ChildTable]
    ) -> None:
        self.shape = shape
        self.generation = generation
        self.table = table
        self.words = words
        """Vocabulary of text search."""
        self.children = children
        self.names = KindNames(shape.kind, table, self._child_names())
        self.checked: dict[str, Checked] = {}
        """Filters by their text, as far as the reader keeps them."""
        self.changes_since_build = 0

    def _child_names(self) -> dict[str, TableNames]:
        return {
            collection: TableNames(
                {field.path: field for field in child.table.layout.fields},
                child.table,
                child=collection,
                like=False,
            )
            for collection, child in self.children.items()
        }

    @classmethod
    def build(
        cls,
        shape: Shape,
        generation: int,
        rows: Iterable[Row],
        children: Mapping[str, Iterable[ChildRow]],
        directory: Path | None = None,
    ) -> Index:
        """From all rows, in order of id. `directory` takes the spool files."""
        vocabulary = TermsBuilder()
        table = Table.build(shape.layout, rows, directory, vocabulary)
        words = vocabulary.build()
        built = {}
        for collection, child_layout_ in shape.child_layouts.items():
            given = list(children.get(collection, ()))
            child_table = Table.build(child_layout_, (one.row for one in given), directory)
            parents = array("I", (table.position(one.entity_id) or 0 for one in given))
            built[collection] = ChildTable(child_table, parents)
        index = cls(shape, generation, table, words, built)
        index._warm()
        table.arrange(ORDERS[shape.kind.rules.default_order], directory)
        return index

    def _warm(self) -> None:
        """Sort by what is asked for most before anybody waits for it; `changed` carries orders along."""
        for name in (NAME, ID):
            self.table.order(name).get()

    def changed(self, generation: int, changes: Changes) -> Index:
        """The next snapshot."""
        table, touched = self.table.changed(changes.upserts, changes.deletes)
        removed = self._words_at(self.table, touched & self.table.live)
        added = self._words_at(table, touched & table.live)
        children = {
            collection: self._changed_children(child, table, touched, changes.children.get(collection, ()))
            for collection, child in self.children.items()
        }
        following = Index(self.shape, generation, table, self.words.changed(removed, added), children)
        following.changes_since_build = self.changes_since_build + len(touched)
        return following

    def _words_at(self, table: Table, positions: BitMap) -> list[tuple[int, str]]:
        texts = self.shape.layout.extract(map(table.documents.__getitem__, positions)).searched
        at = zip(positions, texts, strict=False)  # no texts at all where nothing is searched
        return [(position, word) for position, text in at for word in set(text.split())]

    def _changed_children(
        self, child: ChildTable, table: Table, touched: BitMap, rows: Sequence[ChildRow]
    ) -> ChildTable:
        gone = [child.table.ids[position] for parent in touched for position in child.of(parent)]
        if not gone and not rows:
            return child
        kept = {one.row.id for one in rows}
        following, _ = child.table.changed([one.row for one in rows], [i for i in gone if i not in kept])
        parents = child.parents[:]
        parents.extend([0] * (following.allocated - len(parents)))
        for one in rows:
            position, parent = following.position(one.row.id), table.position(one.entity_id)
            if position is not None and parent is not None:
                parents[position] = parent
        return ChildTable(following, parents)

    def find(self, name: str, source_id: str | None = None) -> int | None:
        """Position of the entity with this name: of the given source, else of the first source by id that has it."""
        columns = self.table.columns
        found = columns[NAME].texts.posting(name)
        if isinstance(found, int):
            return found if source_id is None or columns[SOURCE].values[found] == source_id else None
        sources = columns[SOURCE].values
        candidates = [p for p in found if source_id is None or sources[p] == source_id]
        return min(candidates, key=lambda position: str(sources[position]), default=None)

    def source_of(self, position: int) -> str:
        """Id of the source that the entity at this position comes from."""
        return str(self.table.columns[SOURCE].values[position])

    def sources_of(self, name: str) -> list[str]:
        """Ids of the sources that have an entity of this name, sorted."""
        positions = self.table.columns[NAME].texts.positions(name) & self.table.live
        return sorted(self.source_of(position) for position in positions)

    def custom_properties(self) -> list[str]:
        """Names of the custom properties that some entity has."""
        prefix = f"{CUSTOM}."
        return sorted(name.removeprefix(prefix) for name in self.table.columns if name.startswith(prefix))
