"""Sources and labels of a plugin, for readers (spec plugins.md 1.1 and 6.1). Managing them is another group of routes.

Properties are not shown here: they are the operators' business.
"""

from __future__ import annotations

from typing import Any

from catalog_server.access.permissions import LIST_SOURCES
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.refresher import key_of
from catalog_server.catalog.status import SourceStatus
from catalog_server.http.listing import RULES, page_of
from catalog_server.http.messages import Request, Response, json_response
from catalog_server.http.params import parse_choice, parse_sort_order, parse_text
from catalog_server.http.router import ErrorStyle, Operation, Route
from catalog_server.http.routes.parameters import (
    NEXT_PAGE_TOKEN,
    PAGE_TOKEN,
    STRICT_SORT_ORDER,
    choice_parameter,
    page_size,
    parameter,
)
from catalog_server.http.schemas import page_schema
from catalog_server.http.services import Services
from catalog_server.http.source_documents import source_info, state_of
from catalog_server.sources.config import Source

_PAGING = (STRICT_SORT_ORDER, page_size(RULES), PAGE_TOKEN, NEXT_PAGE_TOKEN)
_ITEM = {
    "type": "object",
    "required": ["id", "name", "enabled", "labels", "status", "error"],
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "enabled": {"type": "boolean"},
        "labels": {"type": "array", "items": {"type": "string"}},
        "status": {"enum": ["available", "partially-available", "error", "disabled", "loading"]},
        "error": {"type": ["string", "null"]},
    },
}
_LABEL = {"type": "object", "required": ["name"], "properties": {"name": {"type": ["string", "null"]}}}


def source_routes(services: Services, plugin: Plugin) -> list[Route]:
    tag = plugin.display_name
    style: ErrorStyle = "code" if plugin.kind.rules.code_errors else "phrase"
    name = parameter("name", "Part of the source's name.", {"type": "string", "maxLength": 1024})
    source_order = choice_parameter("orderBy", "ID or NAME.", "ID", "NAME")
    label_order = parameter("orderBy", "A key of the labels.", {"type": "string", "maxLength": 1024})
    return [
        Route(
            f"{plugin.base_path}/sources",
            lambda request: _list_sources(services, plugin, request),
            Operation(f"Sources of {tag}", tag, (name, source_order, *_PAGING), {200: page_schema(_ITEM)}, (400,)),
            errors=style,
            permission=LIST_SOURCES,
        ),
        Route(
            f"{plugin.base_path}/labels",
            lambda request: _list_labels(services, plugin, request),
            Operation(f"Labels of {tag}", tag, (label_order, *_PAGING), {200: page_schema(_LABEL)}, (400,)),
            errors=style,
            permission=LIST_SOURCES,
        ),
    ]


def _list_sources(services: Services, plugin: Plugin, request: Request) -> Response:
    configuration = services.configuration
    wanted = parse_text(request, "name").casefold()
    order = parse_choice(request, "orderBy", ("ID", "NAME"), "ID")
    descending = parse_sort_order(request)

    def key(source: Source) -> tuple[str, str]:
        return (source.name if order == "NAME" else source.id), source.id

    found = [one for one in configuration.sources(request.scope, plugin) if wanted in one.name.casefold()]
    found.sort(key=key, reverse=descending)
    shown, envelope = page_of(request, found, key, wanted, order, str(descending))
    statuses = [(source, services.statuses.get(key_of(plugin, source))) for source in shown]
    document = {
        "items": [_item(source, status) for source, status in statuses],
        "sources": [source_info(source, status) for source, status in statuses],
        "count": len(statuses),
        **envelope,
    }
    if configuration.problem is not None:
        document["configError"] = configuration.problem
    return json_response(document)


def _list_labels(services: Services, plugin: Plugin, request: Request) -> Response:
    """By a key of the labels: those that have it come first, the others keep the order of the configuration."""
    configuration = services.configuration
    order_by = parse_text(request, "orderBy")
    descending = parse_sort_order(request)
    labels = list(enumerate(configuration.labels(request.scope, plugin)))
    with_key = [row for row in labels if order_by and row[1].get(order_by) is not None]
    with_key.sort(key=lambda row: (str(row[1][order_by]), row[0]), reverse=descending)
    rows = with_key + [row for row in labels if row not in with_key]
    shown, envelope = page_of(
        request,
        rows,
        lambda row: (None, str(row[0])),
        order_by,
        str(descending),
        configuration.version_of(request.scope),
    )
    return json_response({"items": [label for _, label in shown], **envelope})


def _item(source: Source, status: SourceStatus | None) -> dict[str, Any]:
    """The flat shape that clients of the model catalog know."""
    return {
        "id": source.id,
        "name": source.name,
        "enabled": source.enabled,
        "labels": list(source.labels),
        "status": state_of(source, status),
        "error": status.last_error if status is not None and status.state == "error" else None,
        "includedModels": list(source.included),
        "excludedModels": list(source.excluded),
    }
