"""The universal asset envelope: one shape for the entities of all kinds (spec plugins.md 1.10, http-api.md 4.8)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from catalog_server.catalog.configuration import Configuration
from catalog_server.catalog.links import links_of
from catalog_server.catalog.overlays import FIELD as OVERLAY
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import Page
from catalog_server.http.messages import Response, json_response
from catalog_server.http.source_documents import format_moment
from catalog_server.scope import Scope

API_VERSION = "catalog/v1alpha1"
_METADATA = ("id", "name", "description", "createTimeSinceEpoch", "lastUpdateTimeSinceEpoch", OVERLAY)


def asset_list(plugin: Plugin, configuration: Configuration, scope: Scope, page: Page) -> Response:
    """A page of assets."""
    entities = [msgspec.json.decode(document) for document in page.documents]
    return json_response(
        {
            "apiVersion": API_VERSION,
            "kind": "AssetList",
            "items": [asset_of(plugin, configuration, scope, entity) for entity in entities],
            "nextPageToken": page.next_token,
            "totalSize": page.total,
        }
    )


def asset_of(plugin: Plugin, configuration: Configuration, scope: Scope, entity: dict[str, Any]) -> dict[str, Any]:
    """One entity as an asset. Nothing is lost: what is not metadata stands in `spec`."""
    kind = plugin.kind
    source_id = entity[kind.source_field]
    metadata: dict[str, Any] = {
        "uid": entity.get("id") or f"{plugin.name}:{kind.name}:{source_id}:{entity['name']}",
        "name": entity["name"],
    }
    if entity.get("description"):
        metadata["description"] = entity["description"]
    for key, given in (("createdAt", "createTimeSinceEpoch"), ("updatedAt", "lastUpdateTimeSinceEpoch")):
        if given in entity:
            metadata[key] = _timestamp(int(entity[given]))
    overlay = entity.get(OVERLAY, {})
    metadata |= {name: overlay[name] for name in ("tags", "annotations") if name in overlay}
    metadata["sourceRef"] = _source_ref(configuration, plugin, scope, source_id)
    status: dict[str, Any] = {"lifecycle": overlay.get("lifecyclePhase", "active"), "health": "unknown"}
    links = links_of(kind, msgspec.json.encode(entity))
    if links:
        status["links"] = {"related": [{"kind": link.kind, "name": link.name} for link in links]}
    hidden = {*_METADATA, *(() if kind.source_column else (kind.source_field,))}
    spec = {key: value for key, value in entity.items() if key not in hidden}
    return {"apiVersion": API_VERSION, "kind": kind.name, "metadata": metadata, "spec": spec, "status": status}


def _source_ref(configuration: Configuration, plugin: Plugin, scope: Scope, source_id: str) -> dict[str, str]:
    source = configuration.find(scope, plugin, source_id)
    if source is None:
        return {"sourceId": source_id}
    return {"sourceId": source_id, "sourceName": source.name, "sourceType": source.type}


def _timestamp(milliseconds: int) -> str:
    try:
        return format_moment(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (OverflowError, ValueError):  # a file may claim any number; the year 10000 has no RFC 3339 form
        return ""
