"""Documents as finished JSON bytes in one append-only file, read through a memory map.

The pages belong to the operating system's cache, which it may take back: 100,000 documents cost no memory of ours.
The file is unlinked as soon as it is open, so that nothing is left behind when the process dies.
"""

from __future__ import annotations

import mmap
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO

import numpy as np

from catalog_server.catalog.index.numbers import Positions

_BUFFER_BYTES = 1 << 16
_MEMORY_BYTES = 1 << 20
# So many documents are copied at a time.
_PORTION = 100


class Spool:
    """The file. One writer (the follower's thread); readers hold a Documents view of it.

    A small spool stays in memory: a server with hundreds of namespaces must not hold a file open for each.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        # Pages that nothing was written to take no memory.
        self._memory = mmap.mmap(-1, _MEMORY_BYTES, flags=mmap.MAP_PRIVATE)
        self._file: IO[bytes] | None = None
        self._end = 0

    def __del__(self) -> None:
        # Nobody knows when the last reader lets go of a snapshot but the collector.
        if self._file is not None:
            self._file.close()

    def append(self, documents: Sequence[bytes]) -> list[tuple[int, int]]:
        """Write documents, each with a comma behind it; return where each begins, and where it and its comma end."""
        data = b",".join((*documents, b""))
        places = accumulate((len(document) + 1 for document in documents), initial=self._end)
        if self._file is None and self._end + len(data) > _MEMORY_BYTES:
            self._file = self._open()
        if self._file is None:
            self._memory[self._end : self._end + len(data)] = data
        else:
            self._file.write(data)
        self._end += len(data)
        return list(pairwise(places))

    def _open(self) -> IO[bytes]:
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(  # noqa: SIM115 - open for the life of the spool
            prefix="catalog-", suffix=".spool", dir=self._directory, buffering=_BUFFER_BYTES
        )
        file.write(memoryview(self._memory)[: self._end])
        del self._memory  # views of it keep it for as long as they live
        return file

    def view(self) -> memoryview:
        """All that was written so far, read-only. What is appended later is in none of it."""
        if self._file is None:
            return memoryview(self._memory).toreadonly()[: self._end]
        self._file.flush()
        view = mmap.mmap(self._file.fileno(), self._end, access=mmap.ACCESS_READ)
        # Reads are scattered: without this the kernel maps 16 neighbours of each page that is touched.
        view.madvise(mmap.MADV_RANDOM)
        return memoryview(view)


class Documents:
    """Position -> bytes, as of one snapshot.

    `bounds` holds for each position where its document begins in the spool, and where it and its comma end.
    """

    __slots__ = ("_bounds", "_map", "_pairs", "spool")

    def __init__(self, spool: Spool, bounds: array[int]) -> None:
        self.spool = spool
        self._bounds = bounds
        # The same memory: numpy fetches what a whole page needs at once, not one after the other.
        self._pairs = np.frombuffer(bounds, dtype=np.int64).reshape(-1, 2)
        # Slices of a memoryview copy nothing: a page of documents is copied once, into its answer.
        self._map = spool.view()

    def __getitem__(self, position: int) -> bytes:
        return bytes(self._map[self._bounds[2 * position] : self._bounds[2 * position + 1] - 1])

    def joined(self, positions: Positions) -> list[memoryview]:
        """The documents at these positions and the commas between them in parts to be joined, not copied."""
        if not len(positions):
            return []
        view, bounds = self._map, self._pairs[positions].ravel().tolist()
        bounds[-1] -= 1
        if bounds[1:-1:2] == bounds[2::2]:
            # They lie one behind the other, as those of a list in its own order do: one piece, which is read faster.
            return [view[bounds[0] : bounds[-1]]]
        return [view[begin:end] for begin, end in zip(bounds[::2], bounds[1::2], strict=True)]

    def arranged(self, sequence: Positions, directory: Path | None) -> Documents:
        """The same documents, which are those at all these positions, in a spool in which they lie in this order."""
        if np.array_equal(sequence, np.arange(len(self._pairs))):
            return self
        spool, bounds = Spool(directory), np.empty_like(self._pairs)
        for start in range(0, len(sequence), _PORTION):
            positions = sequence[start : start + _PORTION]
            documents = list(map(self.__getitem__, positions.tolist()))
            bounds[positions] = spool.append(documents)
        return Documents(spool, array("q", bounds.tobytes()))

    def changed(self, documents: Iterable[tuple[int, bytes]]) -> Documents:
        """A new view in which the given positions hold new documents (b"" for a deleted one)."""
        bounds = self._bounds[:]
        for position, document in documents:
            while 2 * position >= len(bounds):
                bounds.extend((0, 1))
            ((bounds[2 * position], bounds[2 * position + 1]),) = self.spool.append((document,))
        return Documents(self.spool, bounds)


def build_documents(directory: Path | None) -> Documents:
    """An empty set of documents with a spool of its own in `directory` (None: the system's temporary folder)."""
    return Documents(Spool(directory), array("q"))
