"""Documents as finished JSON bytes in one append-only file, read through a memory map.

The pages belong to the operating system's cache, which it may take back: 100,000 documents cost no memory of ours.
The file is unlinked as soon as it is open, so that nothing is left behind when the process dies.
"""

from __future__ import annotations

import mmap
import tempfile
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import IO

_BUFFER_BYTES = 1 << 16
_MEMORY_BYTES = 1 << 20


class Spool:
    """The file. One writer (the follower's thread); readers hold a Documents view of it.

    A small spool stays in memory: a server with hundreds of namespaces must not hold a file open for each.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._end = 0

    def __del__(self) -> None:
        # Nobody knows when the last reader lets go of a snapshot but the collector.
        if self._file is not None:
            self._file.close()

    def append(self, document: bytes) -> int:
        """Write one document and return its offset."""
        offset = self._end
        if self._file is None and offset + len(document) > _MEMORY_BYTES:
            self._file = self._open()
        if self._file is None:
            self._memory += document
        else:
            self._file.write(document)
        self._end += len(document)
        return offset

    def _open(self) -> IO[bytes]:
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(  # noqa: SIM115 - open for the life of the spool
            prefix="catalog-", suffix=".spool", dir=self._directory, buffering=_BUFFER_BYTES
        )
        file.write(self._memory)
        self._memory = bytearray()
        return file

    def view(self) -> mmap.mmap | bytes:
        """All that was written so far, read-only."""
        if self._file is None:
            return bytes(self._memory)
        self._file.flush()
        view = mmap.mmap(self._file.fileno(), self._end, access=mmap.ACCESS_READ)
        # Reads are scattered: without this the kernel maps 16 neighbours of each page that is touched.
        view.madvise(mmap.MADV_RANDOM)
        return view


class Documents:
    """Position -> bytes, as of one snapshot."""

    __slots__ = ("_lengths", "_map", "_offsets", "spool")

    def __init__(self, spool: Spool, offsets: array[int], lengths: array[int]) -> None:
        self.spool = spool
        self._offsets = offsets
        self._lengths = lengths
        # Slices of a memoryview copy nothing: a page of documents is copied once, into its answer.
        self._map = memoryview(spool.view())

    def __getitem__(self, position: int) -> bytes:
        offset = self._offsets[position]
        return bytes(self._map[offset : offset + self._lengths[position]])

    def many(self, positions: Iterable[int]) -> list[memoryview]:
        """The documents at these positions, not copied."""
        view, offsets, lengths = self._map, self._offsets, self._lengths
        return [view[offsets[p] : offsets[p] + lengths[p]] for p in positions]

    def changed(self, documents: Iterable[tuple[int, bytes]]) -> Documents:
        """A new view in which the given positions hold new documents (b"" for a deleted one)."""
        offsets, lengths = self._offsets[:], self._lengths[:]
        for position, document in documents:
            while position >= len(offsets):
                offsets.append(0)
                lengths.append(0)
            offsets[position] = self.spool.append(document)
            lengths[position] = len(document)
        return Documents(self.spool, offsets, lengths)


def build_documents(directory: Path | None) -> Documents:
    """An empty set of documents with a spool of its own in `directory` (None: the system's temporary folder)."""
    return Documents(Spool(directory), array("Q"), array("I"))
