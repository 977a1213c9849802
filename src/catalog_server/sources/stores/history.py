"""The folder `.history` beside a sources file: what the file held before, byte for byte, and who saved it.

For: file.py, under its lock. A snapshot is `<unix ns>_<8 hex of the hash>.yaml`, with a sidecar of the same name that
ends in `.json`. Snapshots of the former server, with seconds in the name and no sidecar, are read as well.
Not for: the present state; but its author and reason wait here, in `current.json`, until it becomes a snapshot.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from catalog_server.errors import Invalid, Unavailable
from catalog_server.sources.paths import read_file
from catalog_server.sources.stores.base import SHORT, Revision, version_of
from catalog_server.sources.stores.replacing import replace_file

FOLDER: Final = ".history"
KEPT: Final = 20
_SNAPSHOT: Final = re.compile(r"([0-9]{1,19})_([0-9a-f]{8})\.yaml")
_CURRENT: Final = "current.json"
_NANOSECONDS: Final = 1_000_000_000
_LEAST_NANOSECONDS: Final = 10**12
"""Smaller numbers in a name are seconds: as nanoseconds they would be a quarter of an hour of 1970."""


class Note(msgspec.Struct, frozen=True):
    """Who saved a state, when and why."""

    saved_at: datetime
    author: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    path: Path
    taken_ns: int
    short: str

    @property
    def sidecar(self) -> Path:
        return self.path.with_suffix(".json")


class History:
    """The history of the file `config`; the folder is made with the first snapshot."""

    def __init__(self, config: Path, max_bytes: int) -> None:
        self._folder = config.parent / FOLDER
        self._max_bytes = max_bytes

    def snapshots(self) -> list[Snapshot]:
        """Newest first. Files of other names are nobody's business."""
        try:
            names = os.listdir(self._folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise Unavailable(f"the history of the sources file cannot be read: {error.strerror}") from error
        found = (_snapshot(self._folder / name) for name in names)
        return sorted(
            (one for one in found if one is not None), key=lambda one: (one.taken_ns, one.short), reverse=True
        )

    def revisions(self, skipped: str) -> list[Revision]:
        """The snapshots as revisions, without damaged ones.

        A newest one with the hash `skipped`, the present state's, is what an interrupted save left: no older state.
        """
        result: list[Revision] = []
        for snapshot in self.snapshots():
            data = self.read(snapshot)
            if data is None or (not result and version_of(data) == skipped):
                continue
            note = _read_note(snapshot.sidecar) or Note(_moment(snapshot.taken_ns))
            version = version_of(data)
            result.append(Revision(version[:SHORT], version, note.saved_at, len(data), note.author, note.reason))
        return result

    def read(self, snapshot: Snapshot) -> bytes | None:
        """The bytes of `snapshot`; None when it is gone or no longer what its name says."""
        try:
            data = read_file(snapshot.path, self._max_bytes)
        except Invalid:
            return None
        return data if version_of(data).startswith(snapshot.short) else None

    def add(self, data: bytes, note: Note, like: os.stat_result) -> None:
        """Keep `data`, unless it is the newest snapshot already. Raises OSError.

        `like` is the config file's: its history must not be open to more people than itself.
        """
        self._folder.mkdir(mode=0o755, exist_ok=True)
        newest = next(iter(self.snapshots()), None)
        if newest is not None and self.read(newest) == data:
            return
        # The clock may stand still or go back; the order of the names may not.
        taken_ns = max(time.time_ns(), newest.taken_ns + 1 if newest else 0)
        snapshot = Snapshot(self._folder / f"{taken_ns}_{version_of(data)[:SHORT]}.yaml", taken_ns, "")
        replace_file(snapshot.sidecar, msgspec.json.encode(note), like=like)
        replace_file(snapshot.path, data, like=like)

    def note_of_current(self, version: str) -> Note | None:
        return _decode_notes(self._folder / _CURRENT).get(version)

    def write_current(self, notes: dict[str, Note], like: os.stat_result) -> None:
        """Remember who saved the present state; `notes` hold the coming one too, for either may survive a crash."""
        self._folder.mkdir(mode=0o755, exist_ok=True)
        replace_file(self._folder / _CURRENT, msgspec.json.encode(notes), like=like)

    def prune(self) -> None:
        """Remove all but the newest. Raises OSError."""
        for snapshot in self.snapshots()[KEPT:]:
            snapshot.path.unlink(missing_ok=True)
            snapshot.sidecar.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what killed writers left: half files, and sidecars whose snapshot was never written."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                snapshot = _snapshot(path.with_suffix(".yaml"))
                is_orphan = path.suffix == ".json" and snapshot is not None and not snapshot.path.exists()
                if is_orphan or path.suffix == ".tmp":
                    path.unlink(missing_ok=True)


def _snapshot(path: Path) -> Snapshot | None:
    match = _SNAPSHOT.fullmatch(path.name)
    if match is None:
        return None
    taken = int(match[1])
    return Snapshot(path, taken if taken >= _LEAST_NANOSECONDS else taken * _NANOSECONDS, match[2])


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / _NANOSECONDS, UTC)


def _read_note(path: Path) -> Note | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return None


def _decode_notes(path: Path) -> dict[str, Note]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Note])
    except (OSError, msgspec.DecodeError):
        return {}
