"""Assets as the catalog knows them: how their kind is spelled, and the entity as it is now, which a version keeps."""

from __future__ import annotations

from catalog_server.catalog.configuration import Configuration
from catalog_server.catalog.overlays import Overlays
from catalog_server.catalog.reader import Reader
from catalog_server.catalog.registry import Registry
from catalog_server.catalog.writer import SourceKey
from catalog_server.clock import clock_ms
from catalog_server.errors import NotFound
from catalog_server.governance.asset import AssetRef, same_kind
from catalog_server.governance.policies import Selector
from catalog_server.governance.version import Provenance, Snapshot
from catalog_server.scope import Scope


def refer(registry: Registry, plugin: str, kind: str, name: str) -> AssetRef:
    """The asset of these words. The kind is spelled as its plugin does, where that is installed: one asset, one record.

    Raises:
        Invalid: no asset can have such a plugin, kind or name.
    """
    installed = registry.get(plugin)
    if installed is not None and same_kind(installed.kind.name, kind):
        kind = installed.kind.name
    return AssetRef(plugin, kind, name)


def unknown_names(selector: Selector, registry: Registry) -> list[str]:
    """The plugins and kinds that a policy is about and no installed plugin has."""
    plugins = [name for name in selector.plugins if registry.get(name) is None]
    return plugins + [
        name for name in selector.kinds if not any(same_kind(name, plugin.kind.name) for plugin in registry)
    ]


class Entities:
    """Looks into the catalogs."""

    def __init__(self, registry: Registry, reader: Reader, overlays: Overlays, configuration: Configuration) -> None:
        self._registry = registry
        self._reader = reader
        self._overlays = overlays
        self._configuration = configuration

    def look(self, scope: Scope, asset: AssetRef) -> Snapshot | None:
        """The entity, of the first source by id that has it; None: there is none. Raises Unavailable."""
        plugin = self._registry.get(asset.plugin)
        if plugin is None or plugin.kind.name != asset.kind:
            return None
        index = self._reader.index(scope, plugin)
        position = index.find(asset.name)
        if position is None:
            return None
        source_id = index.source_of(position)
        key = SourceKey(scope, plugin.name, plugin.kind.name, source_id)
        found = self._overlays.read_provenance(key, asset.name)
        try:
            source_type = self._configuration.source(scope, plugin, source_id).type
        except NotFound:  # its source has just gone
            return Snapshot(index.table.documents[position], None)
        origin = None
        if found is not None:
            origin = Provenance(source_type, source_id, found.origin, found.commit_sha, clock_ms())
        return Snapshot(index.table.documents[position], origin)
