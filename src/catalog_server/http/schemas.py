"""JSON Schemas of bodies, derived from the kinds."""

from __future__ import annotations

from typing import Any

import msgspec

from catalog_server.catalog.capabilities import Document
from catalog_server.schema.kind import ChildKind, Kind

_TEXT = {"type": "string"}
_REFS = "#/$defs/{name}"
ERROR_SCHEMA: Document = {
    "type": "object",
    "required": ["error", "message"],
    "properties": {
        "error": _TEXT,
        "message": _TEXT,
        "code": _TEXT,
        "field": _TEXT,
        "position": {"type": "integer"},
        "file": _TEXT,
        "line": {"type": "integer"},
    },
}


def entity_schema(kind: Kind) -> Document:
    """The JSON of one entity as the native routes give it."""
    schema = _inlined(kind.entity)
    properties = dict(schema["properties"])
    for child in kind.children:
        if not child.inline:
            properties.pop(child.collection)
    properties[kind.source_field] = _TEXT
    required = ["name", kind.source_field]
    if kind.serves_id:
        properties |= _SERVED
        required += list(_SERVED)
    return {"type": "object", "title": kind.name, "required": required, "properties": properties}


ASSET_SCHEMA: Document = {
    "type": "object",
    "title": "Asset",
    "required": ["apiVersion", "kind", "metadata", "spec", "status"],
    "properties": {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "metadata": {"type": "object", "required": ["uid", "name", "sourceRef"]},
        "spec": {"type": "object"},
        "status": {"type": "object"},
    },
}
ASSET_LIST_SCHEMA: Document = {
    "type": "object",
    "title": "AssetList",
    "required": ["apiVersion", "kind", "items", "nextPageToken", "totalSize"],
    "properties": {
        "kind": {"const": "AssetList"},
        "items": {"type": "array", "items": ASSET_SCHEMA},
        "nextPageToken": _TEXT,
        "totalSize": {"type": "integer", "minimum": 0},
    },
}


def viewed(native: Document, asset: Document) -> Document:
    """What a route answers that has the parameter `view`."""
    return {"anyOf": [native, asset]}


def child_schema(child: ChildKind) -> Document:
    """The JSON of one child as it is served."""
    schema = _inlined(child.struct)
    variants = schema.get("anyOf", [schema])
    return {"type": "object", "required": list(_SERVED), "properties": _SERVED, "anyOf": variants}


_SERVED: Document = {"id": _TEXT, "createTimeSinceEpoch": _TEXT, "lastUpdateTimeSinceEpoch": _TEXT}


def page_schema(item: Document) -> Document:
    """The list envelope."""
    count = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "required": ["items", "size", "pageSize", "nextPageToken", "totalSize"],
        "properties": {
            "items": {"type": "array", "items": item},
            "size": count,
            "pageSize": count,
            "nextPageToken": _TEXT,
            "totalSize": count,
        },
    }


def options_schema() -> Document:
    """The filter_options document."""
    option = {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"enum": ["string", "number"]},
            "values": {"type": "array", "items": _TEXT},
            "range": {"type": "object", "required": ["min", "max"]},
        },
    }
    return {
        "type": "object",
        "required": ["filters"],
        "properties": {
            "filters": {"type": "object", "additionalProperties": option},
            "namedQueries": {"type": "object"},
        },
    }


def _inlined(struct: Any) -> Document:
    """The schema of a class with the schemas of nested classes put in place: names of plugins never collide."""
    (schema,), components = msgspec.json.schema_components([struct], ref_template=_REFS)
    found: Document = _resolve(schema, components)
    return found


def _resolve(schema: Any, components: Document) -> Any:
    if isinstance(schema, list):
        return [_resolve(one, components) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolve(components[schema["$ref"].rpartition("/")[2]], components)
    # `discriminator` only works with references, and says nothing that the variants do not say.
    return {key: _resolve(value, components) for key, value in schema.items() if key != "discriminator"}
