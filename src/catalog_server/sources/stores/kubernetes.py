"""The store of mode `k8s`: one key of a ConfigMap, which all replicas share.

The API server compares and swaps: a save names the resourceVersion that it has read. The ConfigMap is made from the
sources file when it does not exist; a ConfigMap without the key is a mistake of the operator and stays one.
Not for: how older states are kept; that is configmap_revisions.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from catalog_server.errors import CatalogError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from catalog_server.kube.client import KubeClient, KubeObject
from catalog_server.kube.resources import CONFIG_MAPS, EVENTS
from catalog_server.sources.stores.base import (
    MAX_REASON_LENGTH,
    SHORT,
    Revision,
    Stored,
    check_expected,
    check_size,
    check_version,
    pick_revision,
    read_only,
    version_of,
)
from catalog_server.sources.stores.configmap_revisions import (
    FORMER_SNAPSHOT,
    INDEX,
    Entry,
    Snapshots,
    entry_of,
    read_index,
    with_entry,
)

MAX_BYTES: Final = 900 * 1024
CURRENT: Final = "catalog.kubeflow.org/current"
FORBIDDEN_SECONDS: Final = 10.0
"""How long a save that was forbidden stands for all others. Roles are given while servers run."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Which key of which ConfigMap."""

    namespace: str = "default"
    name: str = "catalog-sources"
    key: str = "sources.yaml"


class ConfigMapStore:
    """`initial` gives the content for a ConfigMap that does not exist at the start; else that is an error."""

    def __init__(self, client: KubeClient, place: Place, *, initial: Callable[[], bytes] | None = None) -> None:
        self._client = client
        self._place = place
        self._initial = initial
        self._snapshots = Snapshots(client, place.namespace, place.name)
        self._problem: str | None = None
        self._problem_until = 0.0
        self._was_there = False

    def load(self) -> Stored:
        return self._stored(self._get())

    def save(self, data: bytes, expected_version: str, *, author: str = "", reason: str = "") -> str:
        check_size(data, MAX_BYTES)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise Invalid("the configuration is not UTF-8", code="yaml_parse_error") from error
        found = self._get()
        stored = self._stored(found)
        check_expected(stored.version, expected_version)
        entry = entry_of(data, datetime.now(UTC), author, reason[:MAX_REASON_LENGTH])
        if entry.hash == stored.version:
            return entry.hash
        if found.get("immutable"):
            raise read_only("the ConfigMap is immutable")
        try:
            self._swap(found, stored, text, entry)
        except Forbidden as error:
            self._problem, self._problem_until = error.message, time.monotonic() + FORBIDDEN_SECONDS
            raise read_only(error.message) from error
        self._problem = None
        self._announce(entry)
        return entry.hash

    def changing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def list_revisions(self) -> list[Revision]:
        found = self._get()
        stored = self._stored(found)
        current = _current_entry(found, stored).as_revision(current=True)
        older = (entry for entry in read_index(_annotations(found)) if entry.hash != stored.version)
        return [current, *(entry.as_revision() for entry in older)]

    def read_revision(self, version: str) -> bytes:
        version = check_version(version)
        found = self._get()
        stored = self._stored(found)
        annotations = _annotations(found)
        entries = read_index(annotations)
        chosen = pick_revision([stored.version, *(entry.hash for entry in entries if entry.hash)], version)
        if chosen == stored.version:
            return stored.data
        former = annotations.get(FORMER_SNAPSHOT + chosen[:SHORT])
        if former is not None and version_of(former.encode()) == chosen:
            return former.encode()
        data = self._snapshots.get(chosen)
        if data is None:
            raise NotFound(f"the snapshot of revision {chosen[:SHORT]} is gone")
        return data

    def is_writable(self) -> str | None:
        if self._problem is not None and time.monotonic() >= self._problem_until:
            self._problem = None  # the next save finds out whether the role was given meanwhile
        return self._problem

    def describe(self) -> str:
        return f"configmap:{self._place.namespace}/{self._place.name}[{self._place.key}]"

    def _get(self) -> KubeObject:
        place = self._place
        try:
            found = self._client.get(CONFIG_MAPS, place.name, namespace=place.namespace)
        except NotFound as error:
            if self._initial is None:
                raise Unavailable(f"{self.describe()}: there is no such ConfigMap") from error
            if self._was_there:  # made anew it would undo all changes since, and take their entities away
                raise Unavailable(f"{self.describe()}: the ConfigMap was deleted; put it back, or restart") from error
            found = self._create(self._initial())
        except Forbidden as error:
            raise Unavailable(error.message) from error
        self._was_there = True
        return found

    def _create(self, data: bytes) -> KubeObject:
        check_size(data, MAX_BYTES)
        place = self._place
        body: KubeObject = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": place.name, "namespace": place.namespace},
            "data": {place.key: data.decode()},
        }
        try:
            return self._client.create(CONFIG_MAPS, body, namespace=place.namespace)
        except Conflict:  # another replica was faster
            return self._client.get(CONFIG_MAPS, place.name, namespace=place.namespace)
        except Forbidden as error:
            raise Unavailable(error.message) from error

    def _stored(self, found: KubeObject) -> Stored:
        contents = found.get("data") or {}
        text = contents.get(self._place.key)
        if text is None:
            keys = ", ".join(sorted(contents)) or "none"
            raise Unavailable(f"{self.describe()}: the ConfigMap lacks the key; it has: {keys}")
        data = text.encode()
        return Stored(data, version_of(data))

    def _swap(self, found: KubeObject, stored: Stored, text: str, entry: Entry) -> None:
        """Keep what is stored, then replace it if nobody else did. Raises Conflict, Forbidden or Unavailable."""
        annotations = dict(_annotations(found))
        index = read_index(annotations)
        for key in [key for key in annotations if key.startswith(FORMER_SNAPSHOT)]:
            self._snapshots.put(annotations.pop(key).encode())
        self._snapshots.put(stored.data)
        kept, dropped = with_entry(index, _current_entry(found, stored))
        annotations[INDEX] = msgspec.json.encode(kept).decode()
        annotations[CURRENT] = msgspec.json.encode(entry).decode()
        metadata = {**found["metadata"], "annotations": annotations}
        body = {**found, "metadata": metadata, "data": {**found["data"], self._place.key: text}}
        try:
            self._client.replace(CONFIG_MAPS, body, namespace=self._place.namespace)
        except (Conflict, NotFound) as error:
            raise Conflict("config was modified externally, retry the operation") from error
        if dropped:
            self._snapshots.remove(dropped, kept)

    def _announce(self, entry: Entry) -> None:
        """Leave an Event, for `kubectl describe`. A Role that does not allow it spoils nothing."""
        place = self._place
        moment = entry.timestamp.strftime("%Y-%m-%dT%H:%M:%SZ")
        body: KubeObject = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{place.name}.", "namespace": place.namespace},
            "involvedObject": {
                **{"apiVersion": "v1", "kind": "ConfigMap", "name": place.name, "namespace": place.namespace}
            },
            "type": "Normal",
            "reason": "SourcesChanged",
            "message": f"revision {entry.version} by {entry.author or 'unknown'}: {entry.reason or 'no reason given'}",
            "source": {"component": "catalog-server"},
            **{"firstTimestamp": moment, "lastTimestamp": moment, "count": 1},
        }
        try:
            self._client.create(EVENTS, body, namespace=place.namespace)
        except CatalogError as error:
            log.debug("config_event_not_written", problem=error.message)


def _annotations(found: KubeObject) -> dict[str, str]:
    annotations: dict[str, str] = found["metadata"].get("annotations") or {}
    return annotations


def _current_entry(found: KubeObject, stored: Stored) -> Entry:
    """Who saved the present state, if it was us; else when the object was made is the best that is known."""
    try:
        entry = msgspec.json.decode(_annotations(found).get(CURRENT, ""), type=Entry)
    except msgspec.DecodeError:
        entry = None
    if entry is not None and entry.hash == stored.version:
        return entry
    return entry_of(stored.data, _changed_at(found["metadata"]))


def _changed_at(metadata: dict[str, Any]) -> datetime:
    """The last change that the API server knows of."""
    times = [field.get("time") for field in metadata.get("managedFields") or ()]
    newest = max((time for time in times if time), default=metadata.get("creationTimestamp"))
    return datetime.fromisoformat(newest) if newest else datetime.now(UTC)
