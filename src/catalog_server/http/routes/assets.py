"""All entities of all plugins in one shape: `/api/assets` (spec http-api.md 4.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from catalog_server.access.permissions import GET_ASSETS, LIST_ASSETS
from catalog_server.catalog.merged import MergedPage, plan_merged, run_merged
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import ListQuery
from catalog_server.errors import Invalid, NotFound, Unavailable
from catalog_server.http.assets import API_VERSION, asset_of
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.params import parse_lenient_size, parse_names, parse_sort_order, parse_text, parse_token
from catalog_server.http.router import Operation, Route, decode_name
from catalog_server.http.routes.entities import DEADLINE_SECONDS, check_loaded
from catalog_server.http.routes.parameters import (
    FILTER,
    ORDER_BY,
    PAGE_TOKEN,
    SOURCE_ID,
    STRICT_SORT_ORDER,
    Q,
    choice_parameter,
    parameter,
)
from catalog_server.http.schemas import ASSET_LIST_SCHEMA, ASSET_SCHEMA
from catalog_server.http.services import Services

PATH = "/api/assets"
_SIZE, _MAX_SIZE = 100, 1000
_CHOICES = {
    "type": "object",
    "required": ["error", "message", "choices"],
    "properties": {"choices": {"type": "array", "items": {"type": "object", "required": ["sourceId", "href"]}}},
}


def asset_routes(services: Services) -> list[Route]:
    plugin = choice_parameter("plugin", "Name of a plugin.", *(one.name for one in services.registry))
    kind = choice_parameter("kind", "A kind of entity.", *(one.kind.name for one in services.registry))
    parameters = (
        *(plugin, kind, SOURCE_ID, Q, FILTER, ORDER_BY, STRICT_SORT_ORDER),
        *(parameter("pageSize", "Assets per page; 100 by default, at most 1000.", {"type": "string"}), PAGE_TOKEN),
    )
    tag = "assets"
    listing = Operation("List the assets of all kinds", tag, parameters, {200: ASSET_LIST_SCHEMA}, (400, 503))
    responses = {200: ASSET_SCHEMA, 300: _CHOICES}
    getting = Operation("Get one asset of a kind", tag, (plugin, SOURCE_ID), responses, (400, 404, 503))
    version = _version_of(services)
    endpoints = _Endpoints(services)
    return [
        Route(PATH, endpoints.list_assets, listing, version=version, permission=LIST_ASSETS),
        Route(f"{PATH}/{{kind}}/{{name...}}", endpoints.get_asset, getting, version=version, permission=GET_ASSETS),
    ]


def _version_of(services: Services) -> Callable[[Request], str]:
    def version(request: Request) -> str:
        found = (services.indexes.get(request.scope, plugin.name).generation for plugin in services.registry)
        loaded = "" if services.health.is_loaded else "-"
        return f"{'.'.join(f'{one:x}' for one in found)}.{services.configuration.version_of(request.scope)}{loaded}"

    return version


class _Endpoints:
    def __init__(self, services: Services) -> None:
        self._services = services

    def list_assets(self, request: Request) -> Response | Awaitable[Response]:
        check_loaded(self._services)
        reader = self._services.reader
        plugins = self._plugins(request, parse_text(request, "kind"))
        query = _query(request)
        plan = plan_merged(reader, request.scope, plugins[::-1] if query.descending else plugins, query)
        if not plan.is_heavy:
            return self._page(request, run_merged(reader, plan))

        async def run_apart() -> Response:
            try:
                page = await asyncio.wait_for(asyncio.to_thread(run_merged, reader, plan), DEADLINE_SECONDS)
            except TimeoutError as error:
                raise Unavailable(f"the filter took longer than {DEADLINE_SECONDS:.0f} s") from error
            return self._page(request, page)

        return run_apart()

    def _page(self, request: Request, page: MergedPage) -> Response:
        configuration = self._services.configuration
        document = {
            "apiVersion": API_VERSION,
            "kind": "AssetList",
            "items": [
                asset_of(plugin, configuration, request.scope, msgspec.json.decode(one))
                for plugin, part in page.parts
                for one in part.documents
            ],
            "nextPageToken": page.next_token,
            "totalSize": page.total,
        }
        return json_response(document)

    def get_asset(self, request: Request) -> Response:
        check_loaded(self._services)
        kind, name = decode_name(request, "kind"), decode_name(request)
        source_id = request.first("sourceId")
        if all(plugin.kind.name != kind for plugin in self._services.registry):
            raise NotFound(f"there is no kind {kind[:80]!r}")
        for plugin in self._plugins(request, kind):
            index = self._services.reader.index(request.scope, plugin)
            sources = [one for one in index.sources_of(name) if source_id in ("", one)]
            if len(sources) > 1:
                return _choose(kind, name, sources)
            if sources:
                document = self._services.reader.get(request.scope, plugin, name, sources[0])
                entity = msgspec.json.decode(document)
                return json_response(asset_of(plugin, self._services.configuration, request.scope, entity))
        raise NotFound(f'{kind[:80]} "{name[:200]}" not found')

    def _plugins(self, request: Request, kind: str) -> list[Plugin]:
        """Those that the request is about, in order of their kind. Raises Invalid."""
        name = parse_text(request, "plugin")
        registry = self._services.registry
        if name and registry.get(name) is None:
            raise Invalid(f"there is no plugin {name[:80]!r}", field="plugin")
        kinds = [plugin.kind.name for plugin in registry]
        if kind and kind not in kinds:
            raise Invalid(f"{kind[:80]!r} is none of {', '.join(kinds)}", field="kind")
        found = [one for one in registry if name in ("", one.name) and kind in ("", one.kind.name)]
        return sorted(found, key=lambda plugin: plugin.kind.name)


def _query(request: Request) -> ListQuery:
    parameter_name, token = parse_token(request)
    sources = parse_names(request, "sourceId")
    return ListQuery(
        page_size=parse_lenient_size(request, _SIZE, _MAX_SIZE),
        filter=request.first("filterQuery"),
        q=parse_text(request, "q"),
        order_by=parse_text(request, "orderBy") or "NAME",
        descending=parse_sort_order(request),
        sources=None if sources is None else frozenset(sources),
        token=token,
        token_parameter=parameter_name,
    )


def _choose(kind: str, name: str, sources: Sequence[str]) -> Response:
    """Several sources have it: the client has to say which one it means."""
    message = f"several sources have a {kind} of the name {name!r}: say which by sourceId"
    choices: list[dict[str, Any]] = [{"sourceId": one, "href": f"?sourceId={one}"} for one in sources]
    return json_response({"error": "Multiple Choices", "message": message, "choices": choices}, 300)
