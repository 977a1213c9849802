"""Routes of the kind whose names hold slashes: entities and their artifacts under a source (spec plugins.md 1.1).

The name is greedy, so it may hold `/`; the suffix `/artifacts` chooses the list of artifacts.
"""

from __future__ import annotations

from collections.abc import Awaitable

from pyroaring import BitMap

from catalog_server.access.permissions import GET_ASSETS
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import ListQuery, find
from catalog_server.errors import Invalid, NotFound
from catalog_server.http.messages import Request, Response
from catalog_server.http.params import parse_choice, parse_page_size, parse_text, parse_token
from catalog_server.http.router import Operation, Route, decode_name
from catalog_server.http.routes.entities import check_loaded, entity_response, page_response, run, version_of
from catalog_server.http.routes.parameters import (
    FILTER,
    NEXT_PAGE_TOKEN,
    ORDER_BY,
    PAGE_TOKEN,
    SORT_ORDER,
    VIEW,
    list_parameter,
    page_size,
)
from catalog_server.http.schemas import ASSET_SCHEMA, child_schema, entity_schema, page_schema, viewed
from catalog_server.http.services import Services
from catalog_server.schema.kind import ChildKind

_TYPES = ("model-artifact", "metrics-artifact")
_TYPE_PARAMETERS = ("artifactType", "artifact_type")


def model_routes(services: Services, plugin: Plugin) -> list[Route]:
    kind, tag = plugin.kind, plugin.display_name
    base = plugin.entity_path

    def get_entity(request: Request) -> Response:
        check_loaded(services)
        is_asset = parse_choice(request, "view", ("native", "asset"), "native") == "asset"
        source_id = decode_name(request, "source_id")
        document = services.reader.get(request.scope, plugin, decode_name(request), source_id)
        return entity_response(services, plugin, request, document, is_asset)

    routes = [_children_route(services, plugin, child, base) for child in kind.children if child.served]
    routes.append(
        Route(
            base,
            get_entity,
            Operation(
                f"Get one {kind.noun}", tag, (VIEW,), {200: viewed(entity_schema(kind), ASSET_SCHEMA)}, (400, 404, 503)
            ),
            version=version_of(services, plugin),
            errors="code",
            permission=GET_ASSETS,
        )
    )
    return routes


def _children_route(services: Services, plugin: Plugin, child: ChildKind, base: str) -> Route:
    def list_children(request: Request) -> Response | Awaitable[Response]:
        check_loaded(services)
        source_id, name = decode_name(request, "source_id"), decode_name(request)
        index = services.reader.index(request.scope, plugin)
        try:
            position = find(index, plugin, name, source_id)
        except NotFound as error:  # the contract's answer to an unknown model is 400 here
            raise Invalid(f"invalid model name: {error.message}", field="name") from error
        types = _artifact_types(request)
        within = None
        if types:
            texts = index.children[child.collection].table.columns["artifactType"].texts
            within = BitMap.union(BitMap(), *(texts.positions(one) for one in types))
        query = _child_query(request, plugin)
        plan = services.reader.plan_children(request.scope, plugin, position, child.collection, query, within)
        return run(services, plan, lambda page: page_response(page, query.page_size, size_is_total=False))

    rules = plugin.kind.rules
    artifact_type = list_parameter("artifactType", "Types to list, all by default.", {"enum": list(_TYPES)})
    parameters = (artifact_type, FILTER, ORDER_BY, SORT_ORDER, page_size(rules), PAGE_TOKEN, NEXT_PAGE_TOKEN)
    return Route(
        f"{base}/{child.collection}",
        list_children,
        Operation(
            f"List the {child.collection} of one {plugin.kind.noun}",
            plugin.display_name,
            parameters,
            {200: page_schema(child_schema(child))},
            (400, 503),
        ),
        version=version_of(services, plugin),
        errors="code",
        permission=GET_ASSETS,
    )


def _artifact_types(request: Request) -> list[str]:
    given = [
        part.strip()
        for name in _TYPE_PARAMETERS
        for value in request.query.get(name, ())
        for part in value.split(",")
        if part.strip()
    ]
    for one in given:
        if one not in _TYPES:
            raise Invalid(f"{one[:80]!r} is none of {', '.join(_TYPES)}", field="artifactType")
    return given


def _child_query(request: Request, plugin: Plugin) -> ListQuery:
    token_parameter, token = parse_token(request)
    return ListQuery(
        page_size=parse_page_size(request, plugin.kind.rules),
        filter=request.first("filterQuery"),
        restriction=",".join(sorted(_artifact_types(request))),
        order_by=parse_text(request, "orderBy"),
        descending=request.first("sortOrder").strip().upper() == "DESC",
        token=token,
        token_parameter=token_parameter,
    )
