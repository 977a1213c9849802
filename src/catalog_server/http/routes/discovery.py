"""Which plugins there are and what they can do (spec http-api.md 1.3)."""

from __future__ import annotations

from typing import Any

from catalog_server.access.permissions import GET_CAPABILITIES, LIST_PLUGINS
from catalog_server.catalog.capabilities import capabilities_v1, capabilities_v2, cli_hints, management, ui_hints
from catalog_server.catalog.plugin import Plugin
from catalog_server.errors import NotFound
from catalog_server.http.discovery_cache import DiscoveryCache
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.router import Operation, Route, decode_name
from catalog_server.http.services import Services

_TEXT = {"type": "string"}
_CAPABILITIES = {
    "type": "object",
    "required": ["schemaVersion", "plugin", "entities", "sources", "actions"],
    "properties": {
        "schemaVersion": {"const": "v1"},
        "plugin": {"type": "object", "required": ["name", "version", "description"]},
        "entities": {
            "type": "array",
            "items": {"type": "object", "required": ["kind", "plural", "displayName", "endpoints", "fields"]},
        },
        "sources": {"type": "object"},
        "actions": {"type": "array", "items": {"type": "object"}},
    },
}
_PLUGIN = {
    "type": "object",
    "required": ["name", "displayName", "version", "description", "basePath", "healthy"],
    "properties": {
        "name": _TEXT,
        "displayName": _TEXT,
        "version": _TEXT,
        "description": _TEXT,
        "basePath": _TEXT,
        "healthy": {"type": "boolean"},
        "entityKinds": {"type": "array", "items": _TEXT},
        "capabilities": {"type": "object"},
        "capabilitiesV2": _CAPABILITIES,
        "management": {"type": "object"},
        "uiHints": {"type": "object"},
        "cliHints": {"type": "object"},
    },
}
_PLUGINS = {
    "type": "object",
    "required": ["count", "plugins"],
    "properties": {"count": {"type": "integer"}, "plugins": {"type": "array", "items": _PLUGIN}},
}


def discovery_routes(services: Services) -> list[Route]:
    registry, health, settings = services.registry, services.health, services.cache
    size = settings.max_entries if settings.is_enabled else 0
    listings = DiscoveryCache(ttl_seconds=settings.discovery_ttl, max_entries=size)
    documents = DiscoveryCache(ttl_seconds=settings.capabilities_ttl, max_entries=size)
    descriptions = {plugin.name: describe(plugin) for plugin in registry}

    def list_plugins(request: Request) -> Response:
        healthy = health.plugins

        def build() -> Response:
            plugins = [{**descriptions[p.name], "healthy": healthy.get(p.name, False)} for p in registry]
            return json_response({"count": len(plugins), "plugins": plugins})

        # The health of each plugin is part of the key: it is never served stale.
        return listings.get((request.scope.namespace, tuple(healthy.items())), build)

    def get_capabilities(request: Request) -> Response:
        name = decode_name(request, "plugin_name")
        plugin = registry.get(name)
        if plugin is None:
            raise NotFound(f'plugin "{name}" not found')
        return documents.get((request.scope.namespace, name), lambda: json_response(capabilities_v2(plugin)))

    return [
        Route(
            "/api/plugins",
            list_plugins,
            Operation("List the plugins", "discovery", responses={200: _PLUGINS}),
            errors="text",
            permission=LIST_PLUGINS,
        ),
        Route(
            "/api/plugins/{plugin_name}/capabilities",
            get_capabilities,
            Operation("Describe one plugin", "discovery", responses={200: _CAPABILITIES}, errors=(404,)),
            errors="text",
            permission=GET_CAPABILITIES,
        ),
    ]


def describe(plugin: Plugin) -> dict[str, Any]:
    """All that discovery says of a plugin but its health."""
    return {
        "name": plugin.name,
        "displayName": plugin.display_name,
        "version": plugin.version,
        "description": plugin.description,
        "basePath": plugin.base_path,
        "healthy": False,
        "entityKinds": [plugin.kind.name],
        "capabilities": capabilities_v1(plugin),
        "capabilitiesV2": capabilities_v2(plugin),
        "management": management(plugin),
        "uiHints": ui_hints(plugin),
        "cliHints": cli_hints(plugin),
    }
