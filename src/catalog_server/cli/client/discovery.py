"""What plugins a server has, as it describes them, and a cache of that.

The cache saves a call in each use of a plugin's commands. It never answers what is asked of the server's state.
Other processes may read and write it at the same time; a file that is broken or old counts as none.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog_server.cli.client.config import write_private
from catalog_server.cli.client.failures import ExitCode, Failure
from catalog_server.cli.client.protocol import entries_of, segment

FRESH_SECONDS: Final = 60.0
_FORMAT: Final = 1


@dataclass(frozen=True)
class Entity:
    """One kind of entity of a plugin: the part of the capabilities that describes it."""

    plugin: Plugin
    document: Mapping[str, Any]

    @property
    def plural(self) -> str:
        return str(self.document.get("plural", ""))

    @property
    def kind(self) -> str:
        return str(self.document.get("kind", ""))

    @property
    def noun(self) -> str:
        return str(self.document.get("displayName") or self.kind).lower()

    @property
    def list_path(self) -> str:
        return str(self.document.get("endpoints", {}).get("list", ""))

    @property
    def columns(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.document.get("fields", {}).get("columns") or ()
        return found

    @property
    def details(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.document.get("fields", {}).get("detailFields") or ()
        return found

    @property
    def actions(self) -> list[Mapping[str, Any]]:
        """The actions that can be done to one entity of this kind."""
        wanted = self.document.get("actions") or ()
        return [one for one in self.plugin.actions if one.get("id") in wanted and one.get("scope") == "asset"]

    def get_path(self, name: str, source_id: str = "") -> tuple[str, dict[str, str]]:
        """Path and query of one entity. A path that wants the source is used where the source is known."""
        template = str(self.document.get("endpoints", {}).get("get", ""))
        if "{source_id}" in template and source_id:
            return template.replace("{source_id}", segment(source_id)).replace("{name}", segment(name)), {}
        query = {"sourceId": source_id} if source_id else {}
        if "{name}" not in template or template.count("{") > 1:
            return self.plugin.management(f"/entities/{segment(name)}"), query
        return template.replace("{name}", segment(name)), query

    def action_path(self, name: str) -> str:
        """Where actions on one entity are sent."""
        return self.plugin.management(f"/entities/{segment(name)}:action")


@dataclass(frozen=True)
class Plugin:
    """One plugin, as `GET /api/plugins` lists it."""

    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.document.get("name", ""))

    @property
    def display_name(self) -> str:
        return str(self.document.get("displayName") or self.name)

    @property
    def base_path(self) -> str:
        return str(self.document.get("basePath", "")).rstrip("/")

    @property
    def capabilities(self) -> Mapping[str, Any]:
        return self.document.get("capabilitiesV2") or {}

    @property
    def entities(self) -> list[Entity]:
        return [Entity(self, one) for one in self.capabilities.get("entities") or ()]

    @property
    def actions(self) -> Sequence[Mapping[str, Any]]:
        return self.capabilities.get("actions") or ()

    @property
    def is_refreshable(self) -> bool:
        return bool((self.capabilities.get("sources") or {}).get("refreshable"))

    def management(self, path: str) -> str:
        return f"{self.base_path}/management{path}"

    def entity(self, plural: str = "") -> Entity:
        """The kind of this plural or kind name; without one, the only kind.

        Raises:
            Failure: there is none, or several and none was named.
        """
        found = [one for one in self.entities if plural in ("", one.plural, one.kind)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(one.plural for one in self.entities) or "none"
        what = f"has no entities {plural!r}" if plural else "does not have exactly one kind of entity"
        raise Failure(f"plugin {self.name} {what}; it has: {known}", ExitCode.NOT_FOUND, word="not_found")


class Discovery:
    """The plugins of one server, asked for when they are needed.

    `identity`: whatever the answer may depend on (server, namespace, who asks); only a digest of it is stored.
    """

    def __init__(self, fetch: Callable[[], Any], folder: Path | None, identity: Sequence[str]) -> None:
        self._fetch = fetch
        digest = hashlib.sha256(json.dumps(list(identity)).encode()).hexdigest()[:32]
        self._file = None if folder is None else folder / f"plugins-{digest}.json"
        self._known: list[Plugin] | None = None
        self._is_fetched = False

    def plugins(self) -> list[Plugin]:
        """All plugins, at most a minute old."""
        if self._known is None:
            self._known = self._read(FRESH_SECONDS)
        return self._fetched() if self._known is None else self._known

    def seen(self) -> list[Plugin]:
        """What was seen last, however long ago; for help and completion, which must not wait."""
        return self._read(float("inf")) or []

    def find(self, name: str) -> Plugin | None:
        """The plugin of this name. One that the cache does not know may be new, so the server is asked."""
        for plugins in (self.plugins, self._fetched):
            if found := [one for one in plugins() if one.name == name]:
                return found[0]
        return None

    def get(self, name: str) -> Plugin:
        """Like `find`.

        Raises:
            Failure: there is no such plugin.
        """
        found = self.find(name)
        if found is None:
            known = ", ".join(one.name for one in self.plugins())
            raise Failure(f'plugin "{name}" not found; there are: {known}', ExitCode.NOT_FOUND, word="not_found")
        return found

    def _fetched(self) -> list[Plugin]:
        if not self._is_fetched or self._known is None:
            document = self._fetch()
            self._known = _parse(document)
            self._is_fetched = True
            self._write(document)
        return self._known

    def _read(self, fresh_seconds: float) -> list[Plugin] | None:
        if self._file is None:
            return None
        try:
            stored = json.loads(self._file.read_bytes())
            age = time.time() - stored["time"]
            if stored["format"] != _FORMAT or not 0 <= age < fresh_seconds:
                return None
            return _parse(stored["answer"])
        except (OSError, ValueError, TypeError, KeyError, Failure):
            return None

    def _write(self, document: Any) -> None:
        if self._file is None:
            return
        text = json.dumps({"format": _FORMAT, "time": time.time(), "answer": document})
        try:
            write_private(self._file, text)
        except OSError:
            return  # a home that cannot be written to costs a call each time, no more


def _parse(document: Any) -> list[Plugin]:
    """The plugins of an answer.

    Raises:
        Failure: it is not an answer to this question.
    """
    listed = entries_of(document, "plugins")
    if not all(isinstance(one, dict) for one in listed):
        raise Failure("the answer to GET /api/plugins holds more than plugins; is this a catalog-server?")
    return [Plugin(one) for one in listed]
