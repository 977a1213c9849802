"""A stable total order over positions, and pages out of it.

Order by sort key, ties by id; entities without a value come last in both directions (spec plugins.md 2.7).
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from pyroaring import BitMap

from catalog_server.catalog.index.column import Value
from catalog_server.catalog.index.numbers import Positions, to_positions
from catalog_server.catalog.index.terms import to_bitmap
from catalog_server.query.nodes import Scalar

SortKey = tuple[int, Any, Any]
# Of a text; a page token, which has to fit into a URL, holds as many. Texts that differ later only are in order of id.
_SORTED_CHARACTERS = 256
# Up to this many hits, looking up the rank of each is cheaper than going along the order.
_FEW_HITS = 512
_MIN_STRETCH = 2048
_MAX_STRETCHES = 64
_TURN = 4096


class Place(NamedTuple):
    """Where a page begins: behind the entity with this sort value and id, which is at `position` if it still exists."""

    value: Scalar | None
    id: int
    position: int | None = None


def sort_key(value: Scalar) -> SortKey:
    """Numbers before booleans before texts; texts without regard to case first, then exactly."""
    if isinstance(value, str):
        return 2, value.casefold(), value
    return (1, value, 0) if isinstance(value, bool) else (0, value, 0)


def sort_value(value: Value) -> Scalar | None:
    """What a value sorts by, and what a page token remembers: a list sorts by its joined elements."""
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return value[:_SORTED_CHARACTERS] if isinstance(value, str) else value


class Order:
    """Positions in order. `value_of` gives the sort value at a position, `ids[position]` the tie-breaker."""

    def __init__(
        self, value_of: Callable[[int], Scalar | None], ids: Sequence[int] | array[int], positions: Sequence[int]
    ) -> None:
        self._value_of = value_of
        self._ids = ids
        pairs = [(value_of(p), p) for p in positions]
        missing = sorted((p for value, p in pairs if value is None), key=ids.__getitem__)
        self._missing: Positions = np.array(missing, dtype=np.uint32)
        self._present: Positions = _sorted([(value, p) for value, p in pairs if value is not None], ids)
        self._sequences: dict[bool, Positions] = {}
        self._ranks: dict[bool, Positions] = {}
        self._stretches: dict[tuple[bool, int], BitMap] = {}

    def _key(self, position: int) -> tuple[SortKey, int]:
        value = self._value_of(position)
        assert value is not None
        return sort_key(value), self._ids[position]

    def value_at(self, position: int) -> Scalar | None:
        """What the position sorts by: the part of a page token that is not the id."""
        return self._value_of(position)

    def changed(
        self,
        value_of: Callable[[int], Scalar | None],
        ids: Sequence[int] | array[int],
        gone: BitMap,
        added: Sequence[int],
    ) -> Order:
        """The next version: positions in `gone` taken out, those in `added` put in at their new place."""
        following = Order(value_of, ids, ())
        taken = to_positions(gone)
        following._present = self._present[~np.isin(self._present, taken)]
        following._missing = self._missing[~np.isin(self._missing, taken)]
        with_value = sorted((p for p in added if value_of(p) is not None), key=following._key)
        places = [_bisect(following._present, following._key(p), following._key) for p in with_value]
        following._present = np.insert(following._present, places, np.array(with_value, dtype=np.uint32))
        without = sorted((p for p in added if value_of(p) is None), key=ids.__getitem__)
        places = [_bisect(following._missing, ids[p], ids.__getitem__) for p in without]
        following._missing = np.insert(following._missing, places, np.array(without, dtype=np.uint32))
        return following

    def sequence(self, descending: bool) -> Positions:
        """All positions, first to last; descending is the exact reverse, but for those without a value."""
        if descending not in self._sequences:
            parts = (self._present[::-1], self._missing[::-1]) if descending else (self._present, self._missing)
            self._sequences[descending] = np.concatenate(parts)
        return self._sequences[descending]

    def page(self, hits: BitMap | None, descending: bool, after: Place | None, size: int) -> Positions:
        """The first `size` positions of `hits` (None: all) that follow the place `after`."""
        sequence = self.sequence(descending)
        start = 0 if after is None else self._start(descending, after)
        if hits is None:
            return sequence[start : start + size]
        ranks = self._ranks_of(hits, descending, start, size)
        ranks.sort()
        return sequence[ranks[:size]]

    def _ranks_of(self, hits: BitMap, descending: bool, start: int, size: int) -> Positions:
        """Ranks of `hits` from `start` on: all of them, or the `size` first and perhaps more."""
        rank, count = self._rank(descending), len(self.sequence(descending))
        if len(hits) <= _FEW_HITS:
            ranks = rank[to_positions(hits)]
            return ranks[ranks >= start] if start else ranks
        width = max(_MIN_STRETCH, count // _MAX_STRETCHES)
        parts, found = [], 0
        for number in range(start // width, -(-count // width)):
            # Most hits are not looked at: those of the first stretch or two fill a page.
            inside = hits & self._stretch(descending, number, width)
            ranks = rank[to_positions(inside)]
            if number * width < start:
                ranks = ranks[ranks >= start]
            parts.append(ranks)
            found += len(ranks)
            if found >= size:
                break
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def _stretch(self, descending: bool, number: int, width: int) -> BitMap:
        """The positions of one part of the order. Stays, once asked for."""
        kept = self._stretches.get((descending, number))
        if kept is None:
            kept = to_bitmap(self.sequence(descending)[number * width : (number + 1) * width])
            self._stretches[descending, number] = kept
        return kept

    def _rank(self, descending: bool) -> Positions:
        if descending not in self._ranks:
            sequence = self.sequence(descending)
            ranks = np.zeros(len(self._ids), dtype=np.uint32)
            ranks[sequence] = np.arange(len(sequence), dtype=np.uint32)
            self._ranks[descending] = ranks
        return self._ranks[descending]

    def _start(self, descending: bool, after: Place) -> int:
        """Index in the sequence of the first position behind `after`, whether that entity still exists or not."""
        value, entity_id, position = after
        if position is not None and self._is_still(position, value):
            return int(self._rank(descending)[position]) + 1
        count = len(self._present)
        if value is None:
            place = _bisect(self._missing, entity_id, self._ids.__getitem__, right=not descending)
            return count + (len(self._missing) - place if descending else place)
        place = _bisect(self._present, (sort_key(value), entity_id), self._key, right=not descending)
        return count - place if descending else place

    def _is_still(self, position: int, value: Scalar | None) -> bool:
        """Whether the position sorts by `value`: to Python, 1, 1.0 and True are equal."""
        held = self._value_of(position)
        return type(held) is type(value) and held == value


def _sorted(pairs: list[tuple[Scalar, int]], ids: Sequence[int] | array[int]) -> Positions:
    """Positions by (value, id)."""
    if all(type(value) is int for value, _ in pairs):
        positions = np.array([p for _, p in pairs], dtype=np.uint32)
        values = np.array([value for value, _ in pairs], dtype=np.int64)
        return positions[np.lexsort((np.array(ids, dtype=np.int64)[positions], values))]
    # One large sort would hold the interpreter to its end: in turns, other threads are let in.
    rows = [(*sort_key(value), ids[p], p) for value, p in pairs]
    turns = [sorted(rows[start : start + _TURN]) for start in range(0, len(rows), _TURN)]
    merged = turns[0] if len(turns) == 1 else heapq.merge(*turns)
    return np.array([row[-1] for row in merged], dtype=np.uint32)


def _bisect(positions: Positions, target: Any, key: Callable[[int], Any], *, right: bool = True) -> int:
    low, high = 0, len(positions)
    while low < high:
        middle = (low + high) // 2
        here = key(int(positions[middle]))
        if target < here or (target == here and not right):
            high = middle
        else:
            low = middle + 1
    return low
