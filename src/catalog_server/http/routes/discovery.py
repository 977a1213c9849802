"""Which plugins there are and what they can do (spec http-api.md 1.3)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from catalog_server.access.permissions import GET_CAPABILITIES, LIST_PLUGINS
from catalog_server.catalog.capabilities import capabilities_v1, capabilities_v2, cli_hints, management, ui_hints
from catalog_server.catalog.plugin import Plugin
from catalog_server.errors import NotFound
from catalog_server.governance.lifecycle import INITIAL, STATES
from catalog_server.http.answer_cache import AnswerCache
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.router import Operation, Route, decode_name
from catalog_server.http.routes.entities import version_of
from catalog_server.http.services import CacheSettings, Services

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
    """Their version holds the health of each plugin, so that it is never served stale."""
    registry, loader, settings = services.registry, services.loader, services.cache
    governance = _describe_governance(services)
    descriptions = {plugin.name: describe(plugin, governance) for plugin in registry}
    version = _version_of_all(services)

    def list_plugins(request: Request) -> Response:
        healthy = loader.healthy(request.scope)
        plugins = [{**descriptions[plugin.name], "healthy": healthy[plugin.name]} for plugin in registry]
        return json_response({"count": len(plugins), "plugins": plugins})

    def get_capabilities(request: Request) -> Response:
        name = decode_name(request, "plugin_name")
        plugin = registry.get(name)
        if plugin is None:
            raise NotFound(f'plugin "{name[:128]}" not found')
        return json_response(capabilities_v2(plugin, governance))

    return [
        Route(
            "/api/plugins",
            list_plugins,
            Operation("List the plugins", "discovery", responses={200: _PLUGINS}),
            version=version,
            cache=_cache(settings, settings.discovery_ttl),
            errors="text",
            permission=LIST_PLUGINS,
        ),
        Route(
            "/api/plugins/{plugin_name}/capabilities",
            get_capabilities,
            Operation("Describe one plugin", "discovery", responses={200: _CAPABILITIES}, errors=(404,)),
            version=version,
            cache=_cache(settings, settings.capabilities_ttl),
            errors="text",
            permission=GET_CAPABILITIES,
        ),
    ]


def _version_of_all(services: Services) -> Callable[[Request], str]:
    """What is configured, loaded and healthy, of all plugins."""
    registry, loader = services.registry, services.loader
    versions = {plugin.name: version_of(services, plugin) for plugin in registry}

    def version(request: Request) -> str:
        healthy = loader.healthy(request.scope)
        states = (f"{one(request)}{'' if healthy[name] else '!'}" for name, one in versions.items())
        return blake2b(" ".join(states).encode(), digest_size=8).hexdigest()

    return version


def _cache(settings: CacheSettings, ttl_seconds: int) -> AnswerCache | None:
    if not settings.is_enabled:
        return None
    return AnswerCache(max_entries=settings.max_entries, ttl_seconds=ttl_seconds, is_told=True)


def describe(plugin: Plugin, governance: dict[str, Any]) -> dict[str, Any]:
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
        "capabilitiesV2": capabilities_v2(plugin, governance),
        "management": management(plugin),
        "uiHints": ui_hints(plugin),
        "cliHints": cli_hints(plugin),
    }


def _describe_governance(services: Services) -> dict[str, Any]:
    """The same for all kinds: assets are governed whatever they are."""
    return {
        "supported": True,
        "lifecycle": {"states": list(STATES), "defaultState": INITIAL},
        "versioning": {"enabled": True, "environments": list(services.governance.bindings.environments)},
        "approvals": {"enabled": True},
        "provenance": {"enabled": True},
    }
