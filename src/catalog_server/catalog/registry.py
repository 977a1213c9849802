"""Which plugins there are: the folders of catalog_server.plugins, then packages that announce themselves.

A package announces a plugin by an entry point in the group `catalog_server.plugins` whose value is the Plugin. The set
is checked and frozen once at start; any fault stops the start with the plugin's name (style-anchors.md 2.4).
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from catalog_server.catalog.plugin import Plugin
from catalog_server.errors import Invalid

ENTRY_POINT_GROUP = "catalog_server.plugins"
BUILT_INS = "catalog_server.plugins"
# The order in which people know them; any other plugin follows by name.
_ORDER = ("model", "mcp", "knowledge", "prompts", "agents", "guardrails", "policies", "skills")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_PLURAL = re.compile(r"[a-z][a-z0-9_-]{0,60}")
_RESERVED_PLURALS = {"sources", "labels", "management", "diagnostics", "refresh", "entities"}


class Registry:
    """The plugins of this process, by name, in the order in which they are listed."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        ordered = sorted(plugins, key=_rank)
        check_plugins(ordered)
        self.plugins = MappingProxyType({plugin.name: plugin for plugin in ordered})

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self.plugins.values())

    def __len__(self) -> int:
        return len(self.plugins)

    def get(self, name: str) -> Plugin | None:
        return self.plugins.get(name)

    def by_kind(self, kind: str) -> Plugin | None:
        """The plugin whose entities are of this kind."""
        return next((plugin for plugin in self if plugin.kind.name == kind), None)


def discover() -> Registry:
    """All plugins that are installed.

    Raises:
        Invalid: a plugin cannot be imported, or contradicts another.
    """
    return Registry([*(_import_built_in(name) for name in _built_ins()), *map(load_announced, _announced())])


def load_plugin(name: str) -> Plugin:
    """One plugin by name, without importing the others.

    Raises:
        Invalid: there is none, or it cannot be imported.
    """
    if name in _built_ins():
        return _import_built_in(name)
    for announced in _announced():
        plugin = load_announced(announced)
        if plugin.name == name:
            return plugin
    raise Invalid(f"plugin {name!r} is not installed")


def load_announced(announced: EntryPoint) -> Plugin:
    """What an entry point leads to.

    Raises:
        Invalid: it cannot be imported, or is no Plugin.
    """
    try:
        return _checked(announced.load(), announced.name)
    except Invalid:
        raise
    except Exception as error:  # door: code of others runs here
        reason = f"{type(error).__name__}: {error}"
        raise Invalid(f"plugin {announced.name!r} cannot be imported: {reason}") from error


def check_plugins(plugins: Sequence[Plugin]) -> None:
    """Refuse a set of plugins that cannot live together.

    Raises:
        Invalid: naming the plugin.
    """
    seen: dict[str, str] = {}
    for plugin in plugins:
        if _NAME.fullmatch(plugin.name) is None or _PLURAL.fullmatch(plugin.kind.plural) is None:
            raise Invalid(f"plugin {plugin.name!r}: name and plural must be lower-case words")
        if plugin.kind.plural in _RESERVED_PLURALS:
            raise Invalid(f"plugin {plugin.name!r}: the plural {plugin.kind.plural!r} is a route of every plugin")
        for what in (f"name {plugin.name}", f"section {plugin.section_key}", f"kind {plugin.kind.name}"):
            if what in seen:
                raise Invalid(f"plugin {plugin.name!r}: {what!r} is taken by plugin {seen[what]!r}")
            seen[what] = plugin.name
        _check_marks(plugin)


def _check_marks(plugin: Plugin) -> None:
    for field in plugin.kind.fields:
        uses = field.mark.filter or field.mark.search or field.mark.facet or field.mark.links_to
        if uses and not field.scalar:
            raise Invalid(f"plugin {plugin.name!r}: {field.path} is an object, which cannot be filtered or searched")
        if field.mark.search and len(field.attributes) > 1:
            raise Invalid(f"plugin {plugin.name!r}: {field.path} is nested; only fields at the top are searched")


def _rank(plugin: Plugin) -> tuple[int, str]:
    return (_ORDER.index(plugin.name) if plugin.name in _ORDER else len(_ORDER), plugin.name)


def _built_ins() -> list[str]:
    package = importlib.import_module(BUILT_INS)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)


def _import_built_in(name: str) -> Plugin:
    return _checked(getattr(importlib.import_module(f"{BUILT_INS}.{name}"), "plugin", None), name)


def _announced() -> Iterable[EntryPoint]:
    return sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name)


def _checked(found: object, name: str) -> Plugin:
    if not isinstance(found, Plugin):
        raise Invalid(f"plugin {name!r} declares no Plugin object")
    return found
