"""Documents as finished JSON bytes in one append-only file, read through a memory map.

The pages belong to the operating system's cache, which it may take back: 100,000 documents cost no memory of ours.
The file is unlinked as soon as it is open, so that nothing is left behind when the process dies.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from array import array
from collections.abc import Iterable
from pathlib import Path

_BUFFER_BYTES = 1 << 20


class Spool:
    """The file. One writer (the follower's thread); readers hold a Documents view of it."""

    def __init__(self, directory: Path | None) -> None:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        # Open for the life of the spool; closed by `close` or with the object.
        self._file = tempfile.TemporaryFile(prefix="catalog-", suffix=".spool", dir=directory, buffering=_BUFFER_BYTES)  # noqa: SIM115
        self._end = 0

    def append(self, document: bytes) -> int:
        """Write one document and return its offset."""
        offset = self._end
        self._file.write(document)
        self._end += len(document)
        return offset

    def view(self) -> mmap.mmap | bytes:
        """A read-only map of all that was written so far."""
        self._file.flush()
        if not self._end:
            return b""
        view = mmap.mmap(self._file.fileno(), self._end, access=mmap.ACCESS_READ)
        # Reads are scattered: without this the kernel maps 16 neighbours of each page that is touched.
        view.madvise(mmap.MADV_RANDOM)
        return view

    @property
    def size_bytes(self) -> int:
        return self._end

    def close(self) -> None:
        self._file.close()


class Documents:
    """Position -> bytes, as of one snapshot."""

    __slots__ = ("_lengths", "_map", "_offsets", "live_bytes", "spool")

    def __init__(self, spool: Spool, offsets: array[int], lengths: array[int]) -> None:
        self.spool = spool
        self._offsets = offsets
        self._lengths = lengths
        self._map = spool.view()
        self.live_bytes = sum(lengths)

    def __getitem__(self, position: int) -> bytes:
        offset = self._offsets[position]
        return self._map[offset : offset + self._lengths[position]]

    def join(self, positions: Iterable[int]) -> bytes:
        """The documents as the inside of a JSON array."""
        view, offsets, lengths = self._map, self._offsets, self._lengths
        return b",".join([view[offsets[p] : offsets[p] + lengths[p]] for p in positions])

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
    return Documents(Spool(directory), array("Q"), array("L" if os.name == "nt" else "I"))
