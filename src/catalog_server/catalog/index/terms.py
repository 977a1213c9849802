"""Distinct texts and where they stand: the postings of a text column, and the vocabulary of text search.

Most texts of a large catalog stand at one position only (names, unique words): those positions are numbers in one
array, and only the others have a roaring bitmap each.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

Posting = int | BitMap
Numbers = npt.NDArray[np.int64]
EMPTY = BitMap()
_NONE: Numbers = np.empty(0, dtype=np.int64)
_SEPARATOR = "\n"
_MAX_BLOCKS = 8
# In the array of single positions:
_MANY = -1  # the text stands at several: its bitmap has them
_NOWHERE = -2  # the text stood somewhere once


class Terms:
    """Text -> positions, and substring -> texts. Immutable once built; `changed` makes the next one."""

    __slots__ = ("_blocks", "_many", "_singles", "_texts", "ids")

    def __init__(self, ids: dict[str, int], texts: list[str], singles: array[int], many: dict[int, BitMap]) -> None:
        self.ids = ids
        self._texts = texts
        self._singles = singles
        self._many = many
        self._blocks: tuple[_Block, ...] = ()

    @classmethod
    def build(cls, pairs: Iterable[tuple[int, str]]) -> Terms:
        """From (position, text) pairs."""
        builder = TermsBuilder()
        found = list(pairs)
        builder.add(np.array([position for position, _ in found], dtype=np.uint32), [text for _, text in found])
        return builder.build()

    def __len__(self) -> int:
        return len(self._texts)

    def texts(self) -> Iterator[str]:
        """The texts that stand anywhere."""
        return (text for text, single in zip(self._texts, self._singles, strict=True) if single != _NOWHERE)

    def count(self, text: str) -> int:
        """At how many positions `text` stands."""
        posting = self.posting(text)
        return 1 if isinstance(posting, int) else len(posting)

    def posting(self, text: str) -> Posting:
        """Where `text` stands: one position as a number, else a bitmap."""
        number = self.ids.get(text)
        return EMPTY if number is None else self._posting(number)

    def _posting(self, number: int) -> Posting:
        single = self._singles[number]
        if single >= 0:
            return single
        return self._many[number] if single == _MANY else EMPTY

    def positions(self, text: str) -> BitMap:
        posting = self.posting(text)
        return BitMap((posting,)) if isinstance(posting, int) else posting

    def union(self, numbers: Numbers | list[int]) -> BitMap:
        """All positions of the texts with these numbers."""
        if not len(numbers):
            return EMPTY
        wanted = np.asarray(numbers, dtype=np.int64)
        singles = np.frombuffer(self._singles, dtype=np.int64)[wanted]
        found = to_bitmap(singles[singles >= 0])
        many = [self._many[number] for number in wanted[singles == _MANY].tolist()]
        return BitMap.union(found, *many) if many else found

    def text(self, number: int) -> str:
        return self._texts[number]

    def containing(self, chunk: str) -> Numbers:
        """Numbers of the texts whose case-folded form contains `chunk` (case-folded, not empty)."""
        if _SEPARATOR in chunk:
            found = [number for number, text in enumerate(self._texts) if chunk in text.casefold()]
            return np.array(found, dtype=np.int64)
        parts = [block.containing(chunk) for block in self._folded()]
        return parts[0] if len(parts) == 1 else np.concatenate([_NONE, *parts])

    def _folded(self) -> tuple[_Block, ...]:
        known = sum(len(block) for block in self._blocks)
        if known < len(self._texts):
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks, known = (), 0
            self._blocks = (*self._blocks, _Block(self._texts[known:], known))
        return self._blocks

    def changed(self, removed: Iterable[tuple[int, str]], added: Iterable[tuple[int, str]]) -> Terms:
        """The next version: (position, text) pairs taken away, then added."""
        following = Terms(self.ids, self._texts, self._singles[:], self._many.copy())
        for position, text in removed:
            following._remove(following.ids[text], position)
        for position, text in added:
            number = following.ids.get(text)
            if number is not None:
                following._add(number, position)
                continue
            if following.ids is self.ids:
                following.ids, following._texts = self.ids.copy(), self._texts.copy()
            following.ids[text] = len(following._texts)
            following._texts.append(text)
            following._singles.append(position)
        following._blocks = self._blocks
        return following

    def _add(self, number: int, position: int) -> None:
        single = self._singles[number]
        if single == _NOWHERE:
            self._singles[number] = position
        elif single == _MANY:
            self._many[number] = self._many[number] | BitMap((position,))
        elif single != position:
            self._singles[number] = _MANY
            self._many[number] = BitMap((single, position))

    def _remove(self, number: int, position: int) -> None:
        single = self._singles[number]
        if single == position:
            self._singles[number] = _NOWHERE
        elif single == _MANY:
            left = self._many[number] - BitMap((position,))
            if len(left) > 1:
                self._many[number] = left
                return
            del self._many[number]
            self._singles[number] = left[0] if left else _NOWHERE


class TermsBuilder:
    """Gathers texts with their positions, portion by portion, so that equal texts soon are one object."""

    def __init__(self) -> None:
        # The look-up itself counts up, and never enters Python code.
        self._ids: defaultdict[str, int] = defaultdict(count().__next__)
        self._numbers: array[int] = array("I")
        self._positions: array[int] = array("I")

    def add(self, positions: npt.NDArray[np.uint32], texts: Iterable[str]) -> None:
        """`texts[i]` stands at `positions[i]`. A pair may come more than once."""
        self._numbers.extend(map(self._ids.__getitem__, texts))
        self._positions.frombytes(positions.tobytes())

    def add_words(self, first: int, texts: Iterable[str]) -> None:
        """Each word of `texts[i]` stands at position `first + i`."""
        counts = []
        for words in map(str.split, texts):
            self._numbers.extend(map(self._ids.__getitem__, words))
            counts.append(len(words))
        positions = np.arange(first, first + len(counts), dtype=np.uint32)
        self._positions.frombytes(positions.repeat(counts).tobytes())

    def each(self, size: int) -> list[str | None]:
        """The text at each of `size` positions, at none of which there is more than one."""
        texts = list(self._ids)
        if len(self._positions) == size:  # gathered in order: each position has its text
            return list(map(texts.__getitem__, self._numbers))
        found: list[str | None] = [None] * size
        for position, number in zip(self._positions, self._numbers, strict=True):
            found[position] = texts[number]
        return found

    def positions(self) -> npt.NDArray[np.uint32]:
        """Of all texts, in the order in which they were added."""
        return np.frombuffer(self._positions, dtype=np.uint32)

    def build(self) -> Terms:
        """The builder is not to be used afterwards."""
        ids = dict(self._ids)
        counts, ordered = self._ordered()
        ends = np.cumsum(counts)
        singles = np.full(len(ids), _MANY, dtype=np.int64)
        is_single = counts == 1
        singles[is_single] = ordered[ends[is_single] - 1]
        many = np.flatnonzero(counts > 1)
        spans = zip(many.tolist(), (ends - counts)[many].tolist(), ends[many].tolist(), strict=True)
        # By way of array.array, which pyroaring reads four times as fast as a numpy array.
        flat = array("I")
        flat.frombytes(ordered.view(np.uint8).data)
        bitmaps = {number: BitMap(flat[start:end]) for number, start, end in spans}
        return Terms(ids, list(ids), array("q", singles.tobytes()), bitmaps)

    def _ordered(self) -> tuple[Numbers, npt.NDArray[np.uint32]]:
        """At how many positions each text stands; the positions of the first text, then those of the second, and so
        on, ascending for each."""
        # One sort of plain numbers: several times as fast as sorting the places of the numbers.
        pairs = np.frombuffer(self._numbers, dtype=np.uint32).astype(np.uint64)
        pairs <<= np.uint64(32)
        pairs |= self.positions()
        pairs.sort()
        is_new = pairs[1:] != pairs[:-1]
        if not is_new.all():
            pairs = pairs[np.concatenate(([True], is_new))]
        ordered = pairs.astype(np.uint32)
        pairs >>= np.uint64(32)
        return np.bincount(pairs.view(np.int64), minlength=len(self._ids)), ordered


class _Block:
    """Case-folded texts in one long string, so that one scan looks into all of them."""

    __slots__ = ("_first", "_joined", "_starts")

    def __init__(self, texts: list[str], first: int) -> None:
        folded = [text.casefold() for text in texts]
        lengths = np.fromiter((len(text) + 1 for text in folded), dtype=np.int64, count=len(folded))
        self._joined = _SEPARATOR.join(folded)
        self._starts: Numbers = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        self._first = first

    def __len__(self) -> int:
        return len(self._starts)

    def containing(self, chunk: str) -> Numbers:
        joined, width = self._joined, len(chunk)
        hits: list[int] = []
        at = joined.find(chunk)
        while at >= 0:
            hits.append(at)
            at = joined.find(chunk, at + width)
        if not hits:
            return _NONE
        numbers: Numbers = np.searchsorted(self._starts, np.array(hits), side="right") - 1 + self._first
        if len(hits) > 1:
            numbers = numbers[np.concatenate(([True], numbers[1:] != numbers[:-1]))]
        return numbers


def to_bitmap(positions: npt.NDArray[np.integer[Any]]) -> BitMap:
    """From unsorted positions; by way of array.array, which pyroaring reads four times as fast as a numpy array."""
    return BitMap(array("I", np.sort(positions).astype(np.uint32).tobytes()))
