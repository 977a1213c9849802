"""Older states of a ConfigMap: an index in one of its annotations, the bytes in ConfigMaps of their own.

For: kubernetes.py. All annotations of an object together may have 256 KiB, so they hold no snapshots any more; those
of the former server (`rev-<8 hex>`, the text itself) are read, and moved out with the next save.
Not for: the present state, which is the ConfigMap itself.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from catalog_server.errors import CatalogError, Conflict, Forbidden, NotFound, Unavailable
from catalog_server.kube.client import KubeClient, KubeObject
from catalog_server.kube.resources import CONFIG_MAPS
from catalog_server.sources.stores.base import SHORT, Revision, version_of

INDEX: Final = "catalog.kubeflow.org/revisions"
FORMER_SNAPSHOT: Final = "catalog.kubeflow.org/rev-"
HASH: Final = "catalog.kubeflow.org/hash"
REVISION_OF: Final = "catalog.kubeflow.org/revision-of"
KEPT: Final = 10
_DATA_KEY: Final = "sources.yaml.gz"
_ORPHAN_AGE: Final = timedelta(hours=1)
_MAX_BYTES: Final = 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS

log = structlog.get_logger(__name__)


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the index. The former server wrote the first three fields only."""

    version: str
    timestamp: datetime
    size: int
    hash: str = ""
    author: str = ""
    reason: str = ""

    def as_revision(self, *, current: bool = False) -> Revision:
        return Revision(self.version, self.hash, self.timestamp, self.size, self.author, self.reason, current=current)


def entry_of(data: bytes, timestamp: datetime, author: str = "", reason: str = "") -> Entry:
    version = version_of(data)
    return Entry(version[:SHORT], timestamp, len(data), version, author, reason)


def read_index(annotations: Mapping[str, str]) -> list[Entry]:
    """The index, newest first, with full hashes wherever they can be known."""
    try:
        entries = msgspec.json.decode(annotations.get(INDEX, "[]"), type=list[Entry])
    except msgspec.DecodeError as error:
        raise Unavailable(f"the annotation {INDEX} of the ConfigMap is damaged: {error}") from error
    return [entry if entry.hash else _with_hash(entry, annotations) for entry in entries]


def with_entry(entries: list[Entry], entry: Entry) -> tuple[list[Entry], list[Entry]]:
    """`entries` with `entry` in front, each state once: what is kept, and what is one too many."""
    others = [other for other in entries if other.version != entry.version or (other.hash or entry.hash) != entry.hash]
    everything = [entry, *others]
    return everything[:KEPT], everything[KEPT:]


def _with_hash(entry: Entry, annotations: Mapping[str, str]) -> Entry:
    text = annotations.get(FORMER_SNAPSHOT + entry.version)
    return entry if text is None else msgspec.structs.replace(entry, hash=version_of(text.encode()))


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The ConfigMaps that hold what the ConfigMap `name` held before."""

    client: KubeClient
    namespace: str
    name: str

    def put(self, data: bytes) -> None:
        """Keep `data`, unless it is kept already."""
        version = version_of(data)
        for name in self._names(version):
            try:
                self.client.create(CONFIG_MAPS, self._snapshot(name, version, data), namespace=self.namespace)
                return
            except Conflict:
                if self._read(name, version) is not None:
                    return
        raise Unavailable(f"the snapshot of revision {version[:SHORT]} cannot be kept: its names are taken")

    def get(self, version: str) -> bytes | None:
        """The bytes with the hash `version`, or None."""
        found = (self._read(name, version) for name in self._names(version))
        return next((data for data in found if data is not None), None)

    def remove(self, dropped: list[Entry], kept: list[Entry]) -> None:
        """Remove the snapshots of `dropped`, and those that a save left which never came to its end.

        What fails here fails softly: the save itself is done.
        """
        wanted = {entry.hash for entry in kept}
        gone = {entry.hash for entry in dropped}
        try:
            for found in self.client.list(CONFIG_MAPS, namespace=self.namespace, labels={REVISION_OF: self.name}):
                metadata = found["metadata"]
                version = metadata.get("annotations", {}).get(HASH, "")
                # A young stranger may belong to a save of another replica that is under way.
                if version not in wanted and (version in gone or _is_old(metadata)):
                    self.client.delete(CONFIG_MAPS, metadata["name"], namespace=self.namespace)
        except CatalogError as error:
            log.warning("config_snapshots_not_removed", problem=error.message)

    def _names(self, version: str) -> tuple[str, str]:
        """The name to use, and the one for the rare case that a different state has the same first digits."""
        return f"{self.name}-rev-{version[:SHORT]}", f"{self.name}-rev-{version}"

    def _snapshot(self, name: str, version: str, data: bytes) -> KubeObject:
        packed = gzip.compress(data, mtime=0)
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {REVISION_OF: self.name}, "annotations": {HASH: version}},
            "binaryData": {_DATA_KEY: base64.b64encode(packed).decode()},
        }

    def _read(self, name: str, version: str) -> bytes | None:
        try:
            found = self.client.get(CONFIG_MAPS, name, namespace=self.namespace)
        except NotFound:
            return None
        except Forbidden as error:  # it is our Role that lacks a rule, not the caller's
            raise Unavailable(error.message) from error
        data = _unpack((found.get("binaryData") or {}).get(_DATA_KEY, ""))
        return data if data is not None and version_of(data) == version else None


def _unpack(text: str) -> bytes | None:
    """At most the bytes that a save allows: a snapshot is an object that others can write too."""
    try:
        return zlib.decompressobj(_GZIP).decompress(base64.b64decode(text, validate=True), _MAX_BYTES)
    except (ValueError, zlib.error):
        return None


def _is_old(metadata: Mapping[str, Any]) -> bool:
    try:
        created = datetime.fromisoformat(metadata.get("creationTimestamp") or "")
    except ValueError:
        return False
    return datetime.now(UTC) - created > _ORPHAN_AGE
