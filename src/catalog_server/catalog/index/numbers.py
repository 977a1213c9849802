"""The numbers of a column, sorted, with the position of each: equality and ranges by binary search."""

from __future__ import annotations

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from catalog_server.catalog.index.terms import EMPTY, to_bitmap
from catalog_server.query.nodes import Operator

Positions = npt.NDArray[np.uint32]

# Beyond this, neighbouring whole numbers share a float; the caller then has to look at the values themselves.
_EXACT_LIMIT = float(2**53)

# Into so many parts the sorted numbers are cut, each of at least so many numbers.
_MAX_PARTS = 64
_MIN_PART = 512

_Side = Literal["left", "right"]
_BOUNDS: dict[Operator, tuple[_Side | None, _Side | None]] = {
    Operator.EQUAL: ("left", "right"),
    Operator.LESS: (None, "left"),
    Operator.LESS_EQUAL: (None, "right"),
    Operator.GREATER: ("right", None),
    Operator.GREATER_EQUAL: ("left", None),
}
COMPARE: dict[Operator, Callable[[float, float], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.LESS: operator.lt,
    Operator.LESS_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_EQUAL: operator.ge,
}


class Numbers:
    """Immutable; `changed` makes the next version."""

    __slots__ = ("_cuts", "_joined", "_keys", "_parts", "_positions", "at")

    def __init__(self, keys: npt.NDArray[np.float64], positions: npt.NDArray[np.uint32], at: BitMap) -> None:
        self._keys = keys
        self._positions = positions
        self.at = at
        """Positions that hold a number."""
        self._cuts: list[int] = []
        self._parts: dict[int, BitMap] = {}
        self._joined: dict[tuple[int, int], BitMap] = {}

    @classmethod
    def build(cls, pairs: list[tuple[int, float]]) -> Numbers:
        """From (position, number) pairs."""
        positions = np.array([position for position, _ in pairs], dtype=np.uint32)
        return cls.of(positions, [value for _, value in pairs])

    @classmethod
    def of(cls, positions: npt.NDArray[np.uint32], values: list[float]) -> Numbers:
        """`values[i]` stands at `positions[i]`."""
        keys = np.array(values, dtype=np.float64)
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], positions[order], to_bitmap(positions))

    def is_exact(self, value: float) -> bool:
        """Whether comparing as floats is the same as comparing the values."""
        if not len(self._keys):
            return True
        return max(abs(float(self._keys[0])), abs(float(self._keys[-1])), abs(value)) < _EXACT_LIMIT

    def count(self, op: Operator, value: float) -> int:
        low, high = self._range(op, value)
        return max(0, high - low)

    def select(self, op: Operator, value: float) -> BitMap:
        low, high = self._range(op, value)
        return self._between(low, high)

    def _between(self, low: int, high: int) -> BitMap:
        """Positions of the numbers from rank `low` to before `high`. Whole parts stay bitmaps, once asked for."""
        cuts = self._cuts or self._cut()
        first, last = bisect_left(cuts, low), bisect_right(cuts, high) - 1
        if first >= last:
            return to_bitmap(self._positions[low:high])
        whole = self._whole(first, last)
        start, end = cuts[first], cuts[last]
        if (start, end) == (low, high):
            return whole
        return whole | to_bitmap(np.concatenate((self._positions[low:start], self._positions[end:high])))

    def _cut(self) -> list[int]:
        """Ranks at which parts begin, and the end. Equal numbers stay together: with few distinct ones no range
        begins or ends inside of a part.
        """
        size = len(self._keys)
        count = min(_MAX_PARTS, max(1, size // _MIN_PART))
        keys = self._keys[[size * part // count for part in range(1, count)]]
        self._cuts = sorted({0, *self._keys.searchsorted(keys).tolist(), size})
        return self._cuts

    def _whole(self, first: int, last: int) -> BitMap:
        """The positions of some parts. Joined parts that lie at an end of the numbers stay, too: `<` and `>` ask so."""
        kept = self._joined.get((first, last))
        if kept is None:
            kept = BitMap.union(EMPTY, *map(self._part, range(first, last)))
            if first == 0 or last == len(self._cuts) - 1:
                self._joined[first, last] = kept
        return kept

    def _part(self, number: int) -> BitMap:
        if number not in self._parts:
            self._parts[number] = to_bitmap(self._positions[self._cuts[number] : self._cuts[number + 1]])
        return self._parts[number]

    def _range(self, op: Operator, value: float) -> tuple[int, int]:
        left, right = _BOUNDS[op]
        key = float(value)
        low = int(self._keys.searchsorted(key, side=left)) if left else 0
        high = int(self._keys.searchsorted(key, side=right)) if right else len(self._keys)
        return low, high

    def bounds(self) -> tuple[float, float] | None:
        return (float(self._keys[0]), float(self._keys[-1])) if len(self._keys) else None

    def changed(self, gone: BitMap, added: Iterable[tuple[int, float]]) -> Numbers:
        """The next version: all numbers of the positions `gone` taken away, then pairs added."""
        keys, positions = self._keys, self._positions
        if gone:
            keep = ~np.isin(positions, np.frombuffer(gone.to_array(), dtype=np.uint32))
            keys, positions = keys[keep], positions[keep]
        pairs = sorted(added, key=lambda pair: pair[1])
        if pairs:
            new_keys = np.array([value for _, value in pairs], dtype=np.float64)
            places = np.searchsorted(keys, new_keys, side="right")
            keys = np.insert(keys, places, new_keys)
            positions = np.insert(positions, places, np.array([p for p, _ in pairs], dtype=np.uint32))
        return Numbers(keys, positions, (self.at - gone) | BitMap([p for p, _ in pairs]))


def to_positions(bitmap: BitMap) -> Positions:
    """The positions in ascending order."""
    return np.frombuffer(bitmap.to_array(), dtype=np.uint32)
