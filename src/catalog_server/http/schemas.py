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


# --- managing sources ---

_COUNT: Document = {"type": "integer", "minimum": 0}
_TEXTS: Document = {"type": "array", "items": _TEXT}
_SOURCE_STATUS: Document = {
    "type": "object",
    "required": ["state", "entityCount"],
    "properties": {
        "state": {"enum": ["available", "partially-available", "error", "disabled", "loading", ""]},
        "entityCount": _COUNT,
        "lastRefreshTime": _TEXT,
        "lastRefreshStatus": {"enum": ["success", "error"]},
        "lastRefreshSummary": _TEXT,
        "lastCommit": _TEXT,
        "nextRefreshTime": _TEXT,
        "error": _TEXT,
        "errorCode": _TEXT,
        "problems": {"type": "array", "items": {"type": "object", "required": ["severity", "message"]}},
    },
}
SOURCE_SCHEMA: Document = {
    "type": "object",
    "title": "SourceInfo",
    "required": ["id", "name", "type", "enabled", "status"],
    "properties": {
        "id": _TEXT,
        "name": _TEXT,
        "type": _TEXT,
        "enabled": {"type": "boolean"},
        "labels": _TEXTS,
        "properties": {"type": "object"},
        "includedItems": _TEXTS,
        "excludedItems": _TEXTS,
        "status": _SOURCE_STATUS,
        "applied": {"const": True},
        "version": _TEXT,
        "persisted": {"type": "boolean"},
        "warnings": {"type": "array", "items": {"type": "object"}},
        "pending": _TEXT,
        "refreshResult": {"type": "object"},
    },
}
SOURCE_LIST_SCHEMA: Document = {
    "type": "object",
    "required": ["sources", "count"],
    "properties": {
        "sources": {"type": "array", "items": SOURCE_SCHEMA},
        "count": _COUNT,
        "configError": _TEXT,
    },
}
SOURCE_BODY: Document = {
    "type": "object",
    "title": "SourceConfigInput",
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$", "maxLength": 128},
        "name": {"type": "string", "maxLength": 256},
        "type": _TEXT,
        "enabled": {"type": "boolean"},
        "labels": _TEXTS,
        "properties": {"type": "object"},
        "includedItems": _TEXTS,
        "excludedItems": _TEXTS,
        "refreshAfterApply": {"type": "boolean"},
    },
}
_FINDING: Document = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": _TEXT, "message": _TEXT, "code": _TEXT, "layer": _TEXT},
}
_FINDINGS: Document = {"type": "array", "items": _FINDING}
VALIDATION_SCHEMA: Document = {
    "type": "object",
    "title": "DetailedValidationResult",
    "required": ["valid", "layerResults"],
    "properties": {
        "valid": {"type": "boolean"},
        "errors": _FINDINGS,
        "warnings": _FINDINGS,
        "layerResults": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["layer", "valid"],
                "properties": {"layer": _TEXT, "valid": {"type": "boolean"}, "errors": _FINDINGS},
            },
        },
    },
}
ENABLE_BODY: Document = {
    "type": "object",
    "required": ["enabled"],
    "properties": {"enabled": {"type": "boolean"}},
}
ROLLBACK_BODY: Document = {
    "type": "object",
    "required": ["version"],
    "properties": {"version": {"type": "string", "pattern": "^[0-9a-fA-F]{8,64}$"}},
}
ROLLBACK_SCHEMA: Document = {
    "type": "object",
    "required": ["status", "version", "reinitialized"],
    "properties": {
        "status": {"const": "rolled_back"},
        "version": _TEXT,
        "reinitialized": _TEXTS,
        "reinitErrors": {"type": "object", "additionalProperties": _TEXT},
    },
}
REVISIONS_SCHEMA: Document = {
    "type": "object",
    "required": ["revisions", "count"],
    "properties": {
        "revisions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["version", "hash", "timestamp", "size", "current"],
                "properties": {
                    "version": _TEXT,
                    "hash": _TEXT,
                    "timestamp": _TEXT,
                    "size": _COUNT,
                    "current": {"type": "boolean"},
                    "author": _TEXT,
                    "reason": _TEXT,
                },
            },
        },
        "count": _COUNT,
    },
}

# --- refreshes and jobs ---

QUEUED_SCHEMA: Document = {
    "type": "object",
    "required": ["status", "jobId"],
    "properties": {"status": {"const": "queued"}, "jobId": _TEXT},
}
REFRESH_SCHEMA: Document = {
    "type": "object",
    "title": "RefreshResult",
    "required": ["entitiesLoaded", "entitiesRemoved", "duration"],
    "properties": {
        "sourceId": _TEXT,
        "entitiesLoaded": _COUNT,
        "entitiesRemoved": _COUNT,
        "duration": _COUNT,
        "error": _TEXT,
    },
}
JOB_SCHEMA: Document = {
    "type": "object",
    "title": "RefreshJob",
    "required": ["id", "namespace", "plugin", "requestedBy", "requestedAt", "state", "attemptCount"],
    "properties": {
        "id": _TEXT,
        "namespace": _TEXT,
        "plugin": _TEXT,
        "sourceId": _TEXT,
        "requestedBy": _TEXT,
        "requestedAt": _TEXT,
        "state": {"enum": ["queued", "running", "succeeded", "failed", "canceled"]},
        "attemptCount": _COUNT,
        "progress": _TEXT,
        "message": _TEXT,
        "startedAt": _TEXT,
        "finishedAt": _TEXT,
        "lastError": _TEXT,
        "entitiesLoaded": _COUNT,
        "entitiesRemoved": _COUNT,
        "durationMs": _COUNT,
    },
}
JOB_LIST_SCHEMA: Document = {
    "type": "object",
    "required": ["jobs", "nextPageToken", "totalSize"],
    "properties": {
        "jobs": {"type": "array", "items": JOB_SCHEMA},
        "nextPageToken": _TEXT,
        "totalSize": _COUNT,
    },
}
DIAGNOSTICS_SCHEMA: Document = {
    "type": "object",
    "required": ["pluginName", "sources", "configVersion", "persistence"],
    "properties": {
        "pluginName": _TEXT,
        "lastRefresh": _TEXT,
        "sources": {
            "type": "array",
            "items": {"type": "object", "required": ["id", "name", "state", "entityCount"]},
        },
        "errors": {"type": "array", "items": {"type": "object", "required": ["source", "message"]}},
        "configVersion": _TEXT,
        "persistence": {"type": "object", "required": ["mode", "writable", "persistent"]},
        "lastReconcile": {"type": "object", "required": ["time", "result"]},
    },
}

# --- actions ---

ACTION_BODY: Document = {
    "type": "object",
    "required": ["action"],
    "properties": {"action": _TEXT, "dryRun": {"type": "boolean"}, "params": {"type": "object"}},
}
ACTION_SCHEMA: Document = {
    "type": "object",
    "title": "ActionResult",
    "required": ["action", "status", "message", "data"],
    "properties": {
        "action": _TEXT,
        "status": {"enum": ["completed", "dry-run", "error"]},
        "message": _TEXT,
        "data": {"type": "object"},
    },
}
ACTIONS_SCHEMA: Document = {
    "type": "object",
    "required": ["actions", "count"],
    "properties": {
        "actions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "displayName", "description", "scope", "supportsDryRun", "idempotent"],
            },
        },
        "count": _COUNT,
    },
}
