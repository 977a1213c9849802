"""Distinct texts and where they stand: the postings of a text column, and the vocabulary of text search.

A posting is an int where a text stands at one position only (names, unique tokens), else a roaring bitmap: most texts
of a large catalog are unique, and a bitmap object for each would cost more than all else together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

Posting = int | BitMap
EMPTY = BitMap()
_SEPARATOR = "\n"
_MAX_BLOCKS = 8


class Terms:
    """Text -> positions, and substring -> texts. Immutable once built; `changed` makes the next one."""

    __slots__ = ("_blocks", "_postings", "_texts", "ids")

    def __init__(self, ids: dict[str, int], texts: list[str], postings: list[Posting]) -> None:
        self.ids = ids
        self._texts = texts
        self._postings = postings
        self._blocks: tuple[_Block, ...] = ()

    @classmethod
    def build(cls, pairs: Iterable[tuple[int, str]]) -> Terms:
        """From (position, text) pairs in ascending order of position."""
        ids: dict[str, int] = {}
        found: list[int | list[int]] = []
        for position, text in pairs:
            number = ids.setdefault(text, len(found))
            if number == len(found):
                found.append(position)
                continue
            held = found[number]
            if isinstance(held, list):
                held.append(position)
            elif held != position:
                found[number] = [held, position]
        postings: list[Posting] = [BitMap(held) if isinstance(held, list) else held for held in found]
        return cls(ids, list(ids), postings)

    def __len__(self) -> int:
        return len(self._texts)

    def texts(self) -> Iterator[str]:
        """The texts that stand anywhere."""
        return (text for text, posting in zip(self._texts, self._postings, strict=True) if posting is not EMPTY)

    def count(self, text: str) -> int:
        """At how many positions `text` stands."""
        posting = self.posting(text)
        return 1 if isinstance(posting, int) else len(posting)

    def posting(self, text: str) -> Posting:
        number = self.ids.get(text)
        return EMPTY if number is None else self._postings[number]

    def positions(self, text: str) -> BitMap:
        posting = self.posting(text)
        return BitMap((posting,)) if isinstance(posting, int) else posting

    def union(self, numbers: Iterable[int]) -> BitMap:
        """All positions of the texts with these numbers."""
        postings = [self._postings[number] for number in numbers]
        single = BitMap([posting for posting in postings if isinstance(posting, int)])
        many = [posting for posting in postings if not isinstance(posting, int)]
        return BitMap.union(single, *many) if many else single

    def text(self, number: int) -> str:
        return self._texts[number]

    def containing(self, chunk: str) -> list[int]:
        """Numbers of the texts whose case-folded form contains `chunk` (case-folded, not empty)."""
        if _SEPARATOR in chunk:
            return [number for number, text in enumerate(self._texts) if chunk in text.casefold()]
        found: list[int] = []
        for block in self._folded():
            found.extend(block.containing(chunk))
        return found

    def _folded(self) -> tuple[_Block, ...]:
        known = sum(len(block) for block in self._blocks)
        if known < len(self._texts):
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks, known = (), 0
            self._blocks = (*self._blocks, _Block(self._texts[known:], known))
        return self._blocks

    def changed(self, removed: Iterable[tuple[int, str]], added: Iterable[tuple[int, str]]) -> Terms:
        """The next version: (position, text) pairs taken away, then added."""
        ids, texts, postings = self.ids, self._texts, self._postings.copy()
        for position, text in removed:
            number = ids[text]
            postings[number] = _without(postings[number], position)
        for position, text in added:
            found = ids.get(text)
            if found is None:
                if ids is self.ids:
                    ids, texts = ids.copy(), texts.copy()
                ids[text] = len(texts)
                texts.append(text)
                postings.append(position)
            else:
                postings[found] = _with(postings[found], position)
        following = Terms(ids, texts, postings)
        following._blocks = self._blocks
        return following


class _Block:
    """Case-folded texts in one long string, so that one scan looks into all of them."""

    __slots__ = ("_first", "_joined", "_starts")

    def __init__(self, texts: list[str], first: int) -> None:
        folded = [text.casefold() for text in texts]
        lengths = np.fromiter((len(text) + 1 for text in folded), dtype=np.int64, count=len(folded))
        self._joined = _SEPARATOR.join(folded)
        self._starts: npt.NDArray[np.int64] = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        self._first = first

    def __len__(self) -> int:
        return len(self._starts)

    def containing(self, chunk: str) -> list[int]:
        joined, width = self._joined, len(chunk)
        hits: list[int] = []
        at = joined.find(chunk)
        while at >= 0:
            hits.append(at)
            at = joined.find(chunk, at + width)
        if not hits:
            return []
        numbers = np.searchsorted(self._starts, hits, side="right") - 1 + self._first
        if len(hits) > 1:
            numbers = numbers[np.concatenate(([True], numbers[1:] != numbers[:-1]))]
        found: list[int] = numbers.tolist()
        return found


def _with(posting: Posting, position: int) -> Posting:
    if isinstance(posting, int):
        return posting if posting == position else BitMap((posting, position))
    if not posting:
        return position
    grown = posting.copy()
    grown.add(position)
    return grown


def _without(posting: Posting, position: int) -> Posting:
    if isinstance(posting, int):
        return EMPTY if posting == position else posting
    shrunk = posting.copy()
    shrunk.discard(position)
    return shrunk or EMPTY
