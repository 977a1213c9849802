"""Links from one entity to others: found by the marks of the schema, resolved within the namespace.

A dangling link is a fact to be reported, never a failure (spec plugins.md 1.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from catalog_server.catalog.capabilities import get_path
from catalog_server.catalog.follower import Indexes
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import find
from catalog_server.catalog.registry import Registry
from catalog_server.schema.fields import SchemaField
from catalog_server.schema.kind import Kind
from catalog_server.scope import Scope

_MAX_CYCLES = 20


@dataclass(frozen=True, slots=True)
class Link:
    """One link as the document states it. `role` and `required` where the document says so."""

    kind: str
    name: str
    field: str
    role: str | None = None
    required: bool | None = None


def links_of(kind: Kind, document: bytes) -> list[Link]:
    """The links of one entity, in the order of the fields."""
    marked = [field for field in kind.fields if field.mark.links_to]
    if not marked:
        return []
    top = msgspec.json.decode(document)
    return [link for field in marked for link in _links(field, top, field.attributes)]


def _links(field: SchemaField, value: Any, keys: tuple[str, ...]) -> Iterator[Link]:
    if isinstance(value, list):
        for one in value:
            yield from _links(field, one, keys)
    elif isinstance(value, dict) and len(keys) > 1:
        yield from _links(field, value.get(keys[0]), keys[1:])
    elif isinstance(value, dict):
        names = value.get(keys[0])
        for name in names if isinstance(names, list) else [names]:
            if name:
                yield Link(str(field.mark.links_to), name, field.path, value.get("role"), value.get("required"))


class Links:
    """Resolves links of one tenant."""

    def __init__(self, registry: Registry, indexes: Indexes) -> None:
        self._registry = registry
        self._indexes = indexes

    def describe(self, scope: Scope, plugin: Plugin, name: str, source_id: str | None = None) -> dict[str, Any]:
        """The dependency document of one entity.

        Raises:
            NotFound: there is no such entity.
        """
        index = self._indexes.get(scope, plugin.name)
        position = find(index, plugin, name, source_id)
        links = [self._describe(scope, link) for link in links_of(plugin.kind, index.table.documents[position])]
        return {
            plugin.kind.noun: name,
            "links": links,
            "unresolved": [link for link in links if not link["resolved"]],
            "cycles": self._cycles(scope, plugin, name),
        }

    def dangling(self, scope: Scope, plugin: Plugin) -> list[tuple[str, Link]]:
        """(entity, link) for all links of one plugin's entities that lead nowhere."""
        index = self._indexes.get(scope, plugin.name)
        names = index.table.columns["name"].values
        return [
            (str(names[position]), link)
            for position in index.table.live
            for link in links_of(plugin.kind, index.table.documents[position])
            if self._target(scope, link) is None
        ]

    def has_links(self, plugin: Plugin) -> bool:
        return any(field.mark.links_to for field in plugin.kind.fields)

    def _target(self, scope: Scope, link: Link) -> tuple[Plugin, str] | None:
        """Plugin and source of the entity that the link means."""
        plugin = self._registry.by_kind(link.kind)
        if plugin is None:
            return None
        index = self._indexes.get(scope, plugin.name)
        position = index.find(link.name)
        return None if position is None else (plugin, index.source_of(position))

    def _describe(self, scope: Scope, link: Link) -> dict[str, Any]:
        described: dict[str, Any] = {"kind": link.kind, "name": link.name, "field": link.field}
        if link.role is not None:
            described["role"] = link.role
        if link.required is not None:
            described["required"] = link.required
        target = self._target(scope, link)
        described["resolved"] = target is not None
        if target is not None:
            plugin, source_id = target
            path = get_path(plugin).replace("{source_id}", source_id).replace("{name}", quote(link.name))
            described |= {"plugin": plugin.name, "path": path}
        return described

    def _cycles(self, scope: Scope, plugin: Plugin, start: str) -> list[list[str]]:
        """Paths of links among entities of the same kind that lead back to `start`."""
        cycles: list[list[str]] = []
        open_paths = [[start]]
        seen = {start}
        while open_paths and len(cycles) < _MAX_CYCLES:
            path = open_paths.pop()
            for name in self._same_kind(scope, plugin, path[-1]):
                if name == start:
                    cycles.append([*path, start])
                elif name not in seen:
                    seen.add(name)
                    open_paths.append([*path, name])
        return cycles

    def _same_kind(self, scope: Scope, plugin: Plugin, name: str) -> list[str]:
        index = self._indexes.get(scope, plugin.name)
        position = index.find(name)
        if position is None:
            return []
        links = links_of(plugin.kind, index.table.documents[position])
        return [link.name for link in links if link.kind == plugin.kind.name]
