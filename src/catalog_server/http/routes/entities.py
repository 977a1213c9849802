"""The native routes that every kind has: list, get, filter options, dependencies (spec plugins.md 1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from catalog_server.access.permissions import GET_ASSETS, LIST_ASSETS
from catalog_server.catalog.options import filter_options
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import Page, Plan
from catalog_server.errors import Unavailable
from catalog_server.http.assets import asset_list, asset_of
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.params import ListQueries, parse_choice
from catalog_server.http.router import ErrorStyle, Link, Operation, Route, decode_name
from catalog_server.http.routes.parameters import SOURCE_ID, VIEW, list_parameters
from catalog_server.http.schemas import (
    ASSET_LIST_SCHEMA,
    ASSET_SCHEMA,
    entity_schema,
    options_schema,
    page_schema,
    viewed,
)
from catalog_server.http.services import Services

DEADLINE_SECONDS = 10.0


def entity_routes(services: Services, plugin: Plugin) -> list[Route]:
    """List, filter options, and where names are one path segment also get and dependencies."""
    kind, tag = plugin.kind, plugin.display_name
    reader, queries = services.reader, ListQueries(plugin, services.configuration)
    style: ErrorStyle = "code" if kind.rules.code_errors else "text"

    def list_entities(request: Request) -> Response | Awaitable[Response]:
        check_loaded(services)
        query, is_asset = queries.of(request)
        plan = reader.plan(request.scope, plugin, query)
        if is_asset:
            return run(services, plan, lambda page: asset_list(plugin, services.configuration, request.scope, page))
        return run(services, plan, lambda page: page_response(page, query.page_size, kind.rules.size_is_total))

    def get_options(request: Request) -> Response:
        check_loaded(services)
        named = services.configuration.named_queries(request.scope, plugin)
        return json_response(filter_options(reader.index(request.scope, plugin), named))

    version = version_of(services, plugin)
    listed = viewed(page_schema(entity_schema(kind)), ASSET_LIST_SCHEMA)
    routes = [
        Route(
            plugin.list_path,
            list_entities,
            Operation(f"List {tag}", tag, list_parameters(kind.rules), {200: listed}, (400, 503), links=_links(plugin)),
            version=version,
            errors=style,
            permission=LIST_ASSETS,
        ),
        Route(
            f"{plugin.list_path}/filter_options",
            get_options,
            Operation(f"Values to filter {tag} by", tag, responses={200: options_schema()}, errors=(503,)),
            version=version,
            errors=style,
            permission=LIST_ASSETS,
        ),
    ]
    return routes if kind.slashes_in_names else [*routes, *_by_name(services, plugin)]


def _links(plugin: Plugin) -> tuple[Link, ...]:
    """From a list to its first entity."""
    name = {"name": "/items/0/name"}
    own = (
        Link(200, "GET", plugin.entity_path, {**name, "source_id": "/items/0/source_id"})
        if plugin.kind.slashes_in_names
        else Link(200, "GET", plugin.entity_path, name)
    )
    return own, Link(200, "GET", f"{plugin.base_path}/management/entities/{{name...}}", name)


def _by_name(services: Services, plugin: Plugin) -> list[Route]:
    kind = plugin.kind

    def get_entity(request: Request) -> Response:
        check_loaded(services)
        is_asset = parse_choice(request, "view", ("native", "asset"), "native") == "asset"
        name, source_id = decode_name(request), request.first("sourceId") or None
        document = services.reader.get(request.scope, plugin, name, source_id)
        return entity_response(services, plugin, request, document, is_asset)

    operation = Operation(
        f"Get one {kind.noun}",
        plugin.display_name,
        (SOURCE_ID, VIEW),
        {200: viewed(entity_schema(kind), ASSET_SCHEMA)},
        (400, 404, 503),
    )
    version = version_of(services, plugin)
    routes = [Route(plugin.entity_path, get_entity, operation, version=version, errors="text", permission=GET_ASSETS)]
    return [*routes, _dependencies(services, plugin)] if services.links.has_links(plugin) else routes


def _dependencies(services: Services, plugin: Plugin) -> Route:
    def get_dependencies(request: Request) -> Response:
        check_loaded(services)
        source_id = request.first("sourceId") or None
        return json_response(services.links.describe(request.scope, plugin, decode_name(request), source_id))

    operation = Operation(
        f"What one {plugin.kind.noun} depends on",
        plugin.display_name,
        (SOURCE_ID,),
        {200: {"type": "object", "required": ["links", "unresolved", "cycles"]}},
        (400, 404, 503),
    )
    return Route(
        f"{plugin.list_path}/{{name}}/dependencies", get_dependencies, operation, errors="text", permission=GET_ASSETS
    )


def check_loaded(services: Services) -> None:
    """Until the first load is done an empty answer would be a wrong one."""
    if not services.health.is_loaded:
        raise Unavailable("the catalog is still being loaded", retry_after_seconds=1)


def version_of(services: Services, plugin: Plugin) -> Callable[[Request], str]:
    """What answers about a plugin's entities depend on: their generation, and the configuration."""
    indexes, configuration, name = services.indexes, services.configuration, plugin.name
    health = services.health

    def version(request: Request) -> str:
        loaded = "" if health.is_loaded else "-"
        return f"{indexes.get(request.scope, name).generation:x}.{configuration.version_of(request.scope)}{loaded}"

    return version


def run(services: Services, plan: Plan, answer: Callable[[Page], Response]) -> Response | Awaitable[Response]:
    """Run a plan: at once, or in a thread when it has to look into many documents."""
    if not plan.is_heavy:
        return answer(services.reader.run(plan))

    async def run_apart() -> Response:
        try:
            page = await asyncio.wait_for(asyncio.to_thread(services.reader.run, plan), DEADLINE_SECONDS)
        except TimeoutError as error:
            raise Unavailable(f"the filter took longer than {DEADLINE_SECONDS:.0f} s") from error
        return answer(page)

    return run_apart()


def page_response(page: Page, page_size: int, size_is_total: bool) -> Response:
    """The list envelope, joined around finished documents."""
    shown = len(page)
    tail = b'],"size":%d,"pageSize":%d,"nextPageToken":"%b","totalSize":%d}\n' % (
        page.total if size_is_total else shown,
        page_size,
        page.next_token.encode(),
        page.total,
    )
    return Response(200, b"".join((b'{"items":[', *page.joined, tail)))


def entity_response(services: Services, plugin: Plugin, request: Request, document: bytes, is_asset: bool) -> Response:
    """One entity, as it is or in the asset envelope."""
    if not is_asset:
        return Response(200, document + b"\n")
    entity = msgspec.json.decode(document)
    return json_response(asset_of(plugin, services.configuration, request.scope, entity))
