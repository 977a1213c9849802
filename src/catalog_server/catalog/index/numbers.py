"""The numbers of a column, sorted, with the position of each: equality and ranges by binary search."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from catalog_server.catalog.index.terms import to_bitmap
from catalog_server.query.nodes import Operator

# Beyond this, neighbouring whole numbers share a float; the caller then has to look at the values themselves.
_EXACT_LIMIT = float(2**53)

_BLOCK = 512

_BOUNDS: dict[Operator, tuple[str | None, str | None]] = {
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

    __slots__ = ("_blocks", "_keys", "_positions", "at")

    def __init__(self, keys: npt.NDArray[np.float64], positions: npt.NDArray[np.uint32], at: BitMap) -> None:
        self._keys = keys
        self._positions = positions
        self.at = at
        """Positions that hold a number."""
        self._blocks: dict[int, BitMap] = {}

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
        """Positions of the numbers from rank `low` to before `high`. Whole blocks stay bitmaps, once asked for."""
        first, last = -(-low // _BLOCK), high // _BLOCK
        if first >= last:
            return to_bitmap(self._positions[low:high])
        edges = np.concatenate((self._positions[low : first * _BLOCK], self._positions[last * _BLOCK : high]))
        return BitMap.union(to_bitmap(edges), *map(self._block, range(first, last)))

    def _block(self, number: int) -> BitMap:
        if number not in self._blocks:
            self._blocks[number] = to_bitmap(self._positions[number * _BLOCK : (number + 1) * _BLOCK])
        return self._blocks[number]

    def _range(self, op: Operator, value: float) -> tuple[int, int]:
        left, right = _BOUNDS[op]
        key = float(value)
        low = int(np.searchsorted(self._keys, key, side=left)) if left else 0  # type: ignore[call-overload]
        high = int(np.searchsorted(self._keys, key, side=right)) if right else len(self._keys)  # type: ignore[call-overload]
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


def to_positions(bitmap: BitMap) -> npt.NDArray[np.uint32]:
    """The positions in ascending order."""
    return np.frombuffer(bitmap.to_array(), dtype=np.uint32)
