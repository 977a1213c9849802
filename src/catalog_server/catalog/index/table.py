"""Rows of one kind: their documents, ids and columns, by position. Entities form one table, their children others."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from pyroaring import BitMap

from catalog_server.catalog.index.column import Column, ColumnBuilder, Value
from catalog_server.catalog.index.documents import Documents, build_documents
from catalog_server.catalog.index.layout import CREATED, CUSTOM, ID, NAME, SOURCE, UPDATED, Layout
from catalog_server.catalog.index.ordering import Order, sort_value
from catalog_server.catalog.index.terms import TermsBuilder
from catalog_server.query.nodes import Scalar

_MAX_CUSTOM_COLUMNS = 256
# So many documents are taken apart at a time, and so many rows turned into columns: the processor's cache then holds
# the documents first, and one column (or the vocabulary) after the other later, and they do not drive each other out.
_PORTION = 100
_TURN = 5000
_CUSTOM = f"{CUSTOM}."
_STANDARD = (NAME, SOURCE, CREATED, UPDATED)


class Row(NamedTuple):
    """One row as the table takes it. `document` is the JSON that clients get."""

    id: int
    name: str
    source_id: str
    created: int
    updated: int
    document: bytes


class Table:
    """A snapshot; `changed` makes the next one, which shares what did not change."""

    def __init__(
        self,
        layout: Layout,
        ids: array[int],
        by_id: dict[int, int],
        live: BitMap,
        documents: Documents,
        columns: dict[str, Column],
    ) -> None:
        self.layout = layout
        self.ids = ids
        self._by_id = by_id
        self.live = live
        self.documents = documents
        self.columns = columns
        """By canonical field name; custom properties as `customProperties.<name>`."""
        self._orders: dict[str, Order] = {}
        self._derived_orders: dict[str, Order] = {}
        self._id_column: Column | None = None

    @classmethod
    def build(
        cls, layout: Layout, rows: Iterable[Row], directory: Path | None, words: TermsBuilder | None = None
    ) -> Table:
        """From all rows. The words that `q` looks into go to `words`."""
        documents = build_documents(directory)
        bounds: array[int] = array("q")
        ids: array[int] = array("q")
        gathered = _Gathered(layout, words)
        remaining = iter(rows)
        while portion := list(islice(remaining, _PORTION)):
            ids.extend([row.id for row in portion])
            bounds.extend(chain.from_iterable(documents.spool.append([row.document for row in portion])))
            gathered.add(portion)
        size = len(ids)
        return cls(
            layout,
            ids,
            {row_id: position for position, row_id in enumerate(ids)},
            BitMap(range(size)),
            Documents(documents.spool, bounds),
            gathered.columns(),
        )

    def __len__(self) -> int:
        return len(self.live)

    @property
    def allocated(self) -> int:
        """Positions in use or dead."""
        return len(self.ids)

    @property
    def has_overflow(self) -> bool:
        """Whether there may be custom properties without a column, because there are too many of them."""
        return sum(map(_is_custom, self.columns)) >= _MAX_CUSTOM_COLUMNS

    def position(self, row_id: int) -> int | None:
        return self._by_id.get(row_id)

    def changed(self, upserts: Sequence[Row], deletes: Iterable[int]) -> tuple[Table, BitMap]:
        """The next snapshot, and the positions that changed in it."""
        ids, by_id = self.ids[:], self._by_id
        gone = [by_id[row_id] for row_id in deletes if row_id in by_id]
        if gone or any(row.id not in by_id for row in upserts):
            by_id = by_id.copy()
        for position in gone:
            del by_id[ids[position]]
        placed: list[tuple[int, Row]] = []
        for row in upserts:
            position = by_id.setdefault(row.id, len(ids))
            if position == len(ids):
                ids.append(row.id)
            placed.append((position, row))
        touched = BitMap([position for position, _ in placed]) | BitMap(gone)
        documents = self.documents.changed(
            [*((position, row.document) for position, row in placed), *((position, b"") for position in gone)]
        )
        live = (self.live - BitMap(gone)) | BitMap([position for position, _ in placed])
        following = Table(self.layout, ids, by_id, live, documents, self._changed_columns(placed, gone, len(ids)))
        following._carry_orders(self, touched)
        return following, touched

    def _changed_columns(self, placed: list[tuple[int, Row]], gone: list[int], size: int) -> dict[str, Column]:
        updates: dict[str, list[tuple[int, Value]]] = {name: [(p, None) for p in gone] for name in self.columns}
        custom = set(filter(_is_custom, self.columns))
        positions, rows = [position for position, _ in placed], [row for _, row in placed]
        extract = self.layout.extract([row.document for row in rows])
        for name, values in zip(_column_names(self.layout), (*_standard(rows), *extract.own), strict=True):
            updates[name] += zip(positions, values, strict=True)
        for name in dict.fromkeys(chain(custom, *[map(_CUSTOM.__add__, found) for found in extract.custom])):
            if name in updates or sum(map(_is_custom, updates)) < _MAX_CUSTOM_COLUMNS:
                values = [found.get(name.removeprefix(_CUSTOM)) for found in extract.custom]
                updates.setdefault(name, []).extend(zip(positions, values, strict=True))
        columns = {
            name: (self.columns.get(name) or Column.build([])).changed(changes, size)
            for name, changes in updates.items()
        }
        if sum(map(_is_custom, columns)) >= _MAX_CUSTOM_COLUMNS:
            return columns  # as long as there are that many, some property may have no column
        return {name: column for name, column in columns.items() if not (_is_custom(name) and column.is_empty)}

    def _carry_orders(self, previous: Table, touched: BitMap) -> None:
        """Bring along the orders that readers have used, so that they never wait for one to be sorted anew."""
        added = [position for position in touched if position in self.live]
        for key, order in list(previous._orders.items()):
            self._orders[key] = order.changed(self.sort_value_of(key), self.ids, touched, added)

    def sort_value_of(self, name: str) -> Callable[[int], Scalar | None]:
        """Position -> what the named column sorts by."""
        if name == ID:
            return self.ids.__getitem__
        values = self.columns[name].values
        return lambda position: sort_value(values[position])

    def order(self, name: str) -> OrderRef:
        """The order by a column."""
        return OrderRef(self, self._orders, name, self.sort_value_of(name))

    def arrange(self, name: str, directory: Path | None) -> None:
        """Lay the documents in this order, so that the pages of a list in it are read in one piece."""
        self.documents = self.documents.arranged(self.order(name).get().sequence(False), directory)

    def derived_order(self, key: str, value_of: Callable[[int], Scalar | None]) -> OrderRef:
        """An order by something that is not a column. Kept for this snapshot only."""
        return OrderRef(self, self._derived_orders, key, value_of)

    def column(self, name: str) -> Column | None:
        """The column of a field; the ids, which few filter on, become one when first asked for."""
        if name != ID:
            return self.columns.get(name)
        if self._id_column is None:
            values: list[Value] = [str(row_id) if p in self.live else None for p, row_id in enumerate(self.ids)]
            self._id_column = Column.build(values)
        return self._id_column


@dataclass(frozen=True, slots=True)
class OrderRef:
    """An order of a table, sorted when first asked for and then kept."""

    _table: Table
    _kept: dict[str, Order]
    _key: str
    _value_of: Callable[[int], Scalar | None]

    @property
    def is_sorted(self) -> bool:
        """Whether asking for it is cheap."""
        return self._key in self._kept

    def get(self) -> Order:
        if self._key not in self._kept:
            self._kept[self._key] = Order(self._value_of, self._table.ids, list(self._table.live))
        return self._kept[self._key]


def _is_custom(name: str) -> bool:
    return name.startswith(_CUSTOM)


def _standard(rows: Sequence[Row]) -> list[list[Value]]:
    return [
        [row.name for row in rows],
        [row.source_id for row in rows],
        [row.created for row in rows],
        [row.updated for row in rows],
    ]


def _column_names(layout: Layout) -> tuple[str, ...]:
    """In the order of `_standard` and Extract.own."""
    return (*_STANDARD, *layout.names)


class _Gathered:
    """Values of many rows by column, while a table is built."""

    def __init__(self, layout: Layout, words: TermsBuilder | None) -> None:
        self._layout = layout
        self._words = words
        self._own = [ColumnBuilder() for _ in _column_names(layout)]
        self._custom: dict[str, ColumnBuilder] = {}
        self._size = 0
        self._begin()

    def _begin(self) -> None:
        """Hold no row."""
        self._held: list[list[Value]] = [[] for _ in self._own]
        self._held_custom: list[dict[str, Value]] = []
        self._held_searched: list[str] = []

    def add(self, rows: Sequence[Row]) -> None:
        extract = self._layout.extract([row.document for row in rows])
        for held, values in zip(self._held, (*_standard(rows), *extract.own), strict=True):
            held += values
        self._held_custom += extract.custom
        self._held_searched += extract.searched
        if len(self._held_custom) >= _TURN:
            self._turn()

    def _turn(self) -> None:
        """The rows that are held into columns."""
        for builder, values in zip(self._own, self._held, strict=True):
            builder.extend(values)
        for name in dict.fromkeys(chain.from_iterable(self._held_custom)):
            if name not in self._custom:
                if len(self._custom) >= _MAX_CUSTOM_COLUMNS:
                    continue
                self._custom[name] = ColumnBuilder()
            self._custom[name].fill(self._size)
            self._custom[name].extend([custom.get(name) for custom in self._held_custom])
        if self._words is not None:
            self._words.add_words(self._size, self._held_searched)
        self._size += len(self._held_custom)
        self._begin()

    def columns(self) -> dict[str, Column]:
        self._turn()
        for builder in self._custom.values():
            builder.fill(self._size)
        gathered = dict(zip(_column_names(self._layout), self._own, strict=True))
        gathered |= {_CUSTOM + name: builder for name, builder in self._custom.items()}
        self._own, self._custom = [], {}
        # What was gathered for a column goes as soon as the column is there.
        return {name: gathered.pop(name).build() for name in list(gathered)}
